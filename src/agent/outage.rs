//! Nodes that stand still, and how the control plane notices: the kubelet does not renew its lease, the node controller
//! waits out the grace period, then the node is `NotReady` and tainted, its Pods are not ready, their endpoints go, and
//! when their tolerations run out they are evicted (`nodes.rs`).

use super::control::ControlPlane;
use super::controllers::Kind;
use super::store::PodKey;
use super::world::{Patience, Power, Wakeup, World};
use crate::base::Duration;
use crate::trace::{KubeEventRow, NODE_MONITOR_GRACE as GRACE, TableChange};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often a kubelet reports (`nodeStatusUpdateFrequency`).
const REPORT: Duration = Duration::from_secs(10);

/// The nodes that stand still.
#[derive(Clone, Debug, Default)]
pub(super) struct Outages {
    /// Number of each node's outage, and what its kubelet has not done yet.
    held: BTreeMap<Arc<str>, (u32, Vec<Wakeup>)>,
    next: u32,
}

impl Outages {
    /// Whether a node stands still.
    pub(super) fn has(&self, node: &str) -> bool {
        self.held.contains_key(node)
    }
}

impl ControlPlane {
    /// Keeps back what the kubelet of a node that stands still would do; gives back everything else.
    pub(super) fn hold(&mut self, wakeup: Wakeup) -> Option<Wakeup> {
        if self.outages.held.is_empty() {
            return Some(wakeup);
        }
        let key = match &wakeup {
            Wakeup::Kubelet(key, _)
            | Wakeup::Container(key, ..)
            | Wakeup::Probe(key, ..)
            | Wakeup::HookOver(key, _)
            | Wakeup::Deadline(key) => Some(key),
            Wakeup::Exited(process, _) => self.mains.get(process).map(|(key, _)| key),
            Wakeup::DaemonStarted(node) => {
                let Some((_, held)) = self.outages.held.get_mut(node) else { return Some(wakeup) };
                held.push(wakeup);
                return None;
            }
            Wakeup::Apply(_)
            | Wakeup::ApplyMore
            | Wakeup::NodePower(..)
            | Wakeup::NodeMonitor(..)
            | Wakeup::Schedule(_)
            | Wakeup::ScheduleAgain
            | Wakeup::Reconcile
            | Wakeup::Requeue(_)
            | Wakeup::Evict(..)
            | Wakeup::CollectPod(_)
            | Wakeup::ProbeLate(_)
            | Wakeup::Refresh(_)
            | Wakeup::Endpoints
            | Wakeup::Policies
            | Wakeup::ProxyRules
            | Wakeup::Balancers => None,
        };
        let node = key.and_then(|key| self.store.pods.get(key)).and_then(|entry| entry.node.clone());
        let Some((_, held)) = node.and_then(|node| self.outages.held.get_mut(&node)) else {
            return Some(wakeup);
        };
        held.push(wakeup);
        None
    }

    pub(super) fn node_power(&mut self, world: &mut dyn World, node: &Arc<str>, power: Power) {
        match power {
            Power::Stopped => {
                let outage = self.outages.next;
                self.outages.next += 1;
                self.outages.held.entry(node.clone()).or_insert_with(|| (outage, Vec::new()));
                world.wake_in(GRACE, Patience::Prompt, Wakeup::NodeMonitor(node.clone(), outage));
            }
            Power::Running => {
                let Some((_, held)) = self.outages.held.remove(node) else { return };
                for wakeup in held {
                    world.wake_in(Duration::ZERO, Patience::Prompt, wakeup);
                }
                let outage = self.outages.next;
                self.outages.next += 1;
                world.wake_in(REPORT, Patience::Prompt, Wakeup::NodeMonitor(node.clone(), outage));
            }
        }
    }

    /// The node controller looks whether a node still reports.
    pub(super) fn monitor_node(&mut self, world: &mut dyn World, name: &Arc<str>, outage: u32) {
        let silent = self.outages.held.get(name);
        if silent.is_some_and(|(current, _)| *current != outage) {
            return;
        }
        let ready = silent.is_none();
        let Some(node) = self.store.nodes.get_mut(name).filter(|node| node.ready != ready) else { return };
        node.ready = ready;
        node.transitioned = world.now();
        let row = node.row();
        world.record(TableChange::Node(row));
        let word = if ready { "NodeReady" } else { "NodeNotReady" };
        world.record(TableChange::KubeEvent(Box::new(KubeEventRow {
            kind: "Node".into(),
            namespace: "default".into(),
            name: name.clone(),
            warning: false,
            reason: word.into(),
            message: format!("Node {name} status is now: {word}"),
            component: if ready { "kubelet" } else { "node-controller" }.into(),
            host: if ready { name.clone() } else { "".into() },
            field_path: "".into(),
        })));
        let pods: Vec<PodKey> = self.store.pods_on(name).cloned().collect();
        for key in &pods {
            if let Some(entry) = self.store.pods.get_mut(key) {
                entry.unreachable = !ready;
            }
            if !ready {
                let source = ("NodeNotReady", "node-controller");
                Self::event(world, &key.object(), Kind::Warning, source, "Node is not ready".to_owned());
            }
            self.record_pod(world, key);
        }
        self.mark_unreachable(world, name, !ready);
    }
}
