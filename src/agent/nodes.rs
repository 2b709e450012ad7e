//! Nodes in the API server: what of them changes while they run.

use super::control::ControlPlane;
use super::controllers::Kind;
use super::store::PodKey;
use super::world::{Patience, Wakeup, World};
use crate::api::{ClusterSpec, Node, NodeSpec, Pod, Taint, TaintEffect};
use crate::base::{Duration, ObjectKey, SimTime};
use crate::cluster::scheduler;
use crate::trace::TableChange;
use serde_json::{Value, json};
use std::sync::Arc;

/// Taint of a node that does not report.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

impl ControlPlane {
    /// A Node is written by a request: its labels, annotations, taints and whether it takes new Pods.
    pub(super) fn write_node(&mut self, world: &mut dyn World, key: &ObjectKey, value: &Arc<Value>) {
        self.put(world, key, &"v1".into(), value.clone());
        let Ok(node) = serde_json::from_value::<Node>((**value).clone()) else { return };
        let Some(entry) = self.store.nodes.get_mut(&key.name) else { return };
        let relabelled = entry.spec.labels != node.metadata.labels;
        let was_closed = entry.spec.unschedulable;
        entry.spec.labels = node.metadata.labels;
        entry.spec.annotations = node.metadata.annotations;
        entry.spec.taints = node.spec.taints;
        entry.spec.unschedulable = node.spec.unschedulable == Some(true);
        let closed = entry.spec.unschedulable;
        if closed != was_closed {
            // The kubelet tells of it with its next status (`recordNodeSchedulableEvent`).
            let word = if closed { "NodeNotSchedulable" } else { "NodeSchedulable" };
            let message = format!("Node {} status is now: {word}", key.name);
            Self::event_of(world, (key, ""), Kind::Normal, (word, "kubelet", &key.name), message);
        }
        if relabelled {
            self.zones_changed(world);
        }
        self.node_changed(world, &key.name);
    }

    /// Nodes of the text that say something else than before, as far as that needs no new machine.
    pub(super) fn nodes_changed(&mut self, world: &mut dyn World, old: &ClusterSpec, new: &ClusterSpec) {
        for spec in &new.nodes {
            let before: Option<&NodeSpec> = old.nodes.iter().find(|node| node.name == spec.name);
            if before.is_none_or(|before| before == spec) {
                continue;
            }
            let name: Arc<str> = spec.name.as_str().into();
            if let Some(entry) = self.store.nodes.get_mut(&name) {
                entry.spec = spec.clone();
            }
            self.put_node(world, spec);
            self.zones_changed(world);
            self.node_changed(world, &name);
        }
    }

    /// The node controller taints a node that does not report, and takes the taint away again.
    pub(super) fn mark_unreachable(&mut self, world: &mut dyn World, name: &Arc<str>, lost: bool) {
        let added = world.now().rfc3339();
        let Some(entry) = self.store.nodes.get_mut(name) else { return };
        entry.spec.taints.retain(|taint| taint.key != UNREACHABLE);
        if lost {
            for effect in [TaintEffect::NoSchedule, TaintEffect::NoExecute] {
                let time_added = Some(added.clone());
                entry.spec.taints.push(Taint {
                    key: UNREACHABLE.to_owned(),
                    effect,
                    time_added,
                    value: None,
                });
            }
        }
        let taints = json!(entry.spec.taints);
        self.edit(world, &Self::node_key(name), |value| value["spec"]["taints"] = taints);
        self.node_changed(world, name);
    }

    /// The taint manager looks at the Pods of a node: who tolerates what is there only for a while, or not at all, goes
    /// then (`pkg/controller/tainteviction`).
    fn taints_changed(&mut self, world: &mut dyn World, name: &Arc<str>) {
        let Some(node) = self.store.nodes.get(name) else { return };
        let strict: Vec<Taint> =
            node.spec.taints.iter().filter(|taint| taint.effect == TaintEffect::NoExecute).cloned().collect();
        let now = world.now();
        for key in self.store.pods_on(name).cloned().collect::<Vec<_>>() {
            let Some(entry) = self.store.pods.get_mut(&key).filter(|entry| !entry.deleting) else { continue };
            let patience = patience_with(&entry.pod, &strict);
            let at = patience.map(|seconds| now + Duration::from_secs(seconds));
            match (entry.evict_at, at) {
                (None, Some(at)) => {
                    entry.evict_at = Some(at);
                    world.wake_in(at.since(now), Patience::Patient, Wakeup::Evict(key.clone(), at));
                }
                (Some(_), None) => {
                    entry.evict_at = None;
                    let message = format!("Cancelling deletion of Pod {}/{}", key.namespace, key.name);
                    let source = ("TaintManagerEviction", "taint-eviction-controller");
                    Self::event(world, &key.object(), Kind::Normal, source, message);
                }
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
    }

    /// A Pod's tolerations have run out.
    pub(super) fn evict(&mut self, world: &mut dyn World, key: &PodKey, at: SimTime) {
        let due = |entry: &&mut super::store::PodEntry| entry.evict_at == Some(at) && !entry.deleting;
        let Some(entry) = self.store.pods.get_mut(key).filter(due) else { return };
        entry.evict_at = None;
        let message = format!("Marking for deletion Pod {}/{}", key.namespace, key.name);
        let source = ("TaintManagerEviction", "taint-eviction-controller");
        Self::event(world, &key.object(), Kind::Normal, source, message);
        self.delete_pod(world, key, None);
    }

    fn node_changed(&mut self, world: &mut dyn World, name: &Arc<str>) {
        if let Some(entry) = self.store.nodes.get(name) {
            let row = entry.row();
            world.record(TableChange::Node(row));
        }
        self.taints_changed(world, name);
        self.room_made(world);
    }
}

/// How many seconds a Pod stays with these taints; `None` for ever. Without a word on it a Pod stays for five minutes on
/// a node that is not ready or not reached (`DefaultTolerationSeconds`).
fn patience_with(pod: &Pod, taints: &[Taint]) -> Option<u64> {
    let of = |taint: &Taint| {
        let mut fitting = pod
            .spec
            .tolerations
            .iter()
            .filter(|toleration| scheduler::tolerates(toleration, taint))
            .peekable();
        if fitting.peek().is_none() {
            let lenient = [UNREACHABLE, "node.kubernetes.io/not-ready"].contains(&taint.key.as_str());
            return Some(if lenient { 300 } else { 0 });
        }
        fitting
            .filter_map(|toleration| toleration.toleration_seconds)
            .map(|seconds| u64::try_from(seconds).unwrap_or(0))
            .min()
    };
    taints.iter().filter_map(of).min()
}
