//! The API server's store: the objects as they are, with what the agents remember about each.

use crate::api::{NodeSpec, Pod};
use crate::base::{Ipv4Addr, NetnsId, SimTime};
use crate::cluster::ipam::Ipam;
use crate::trace::{ConditionRow, ContainerRow, ContainerState, NodeRow, PodPhase, PodRow};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Namespace and name of a Pod, with the number of its incarnation: a Pod made anew under an old name is another Pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodKey {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Incarnation, as `metadata.uid` tells them apart.
    pub uid: u32,
}

/// A Pod in the store.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct PodEntry {
    pub(super) pod: Arc<Pod>,
    pub(super) node: Option<Arc<str>>,
    pub(super) netns: Option<NetnsId>,
    pub(super) ip: Option<Ipv4Addr>,
    pub(super) phase: PodPhase,
    pub(super) reason: Option<Arc<str>>,
    /// `status.message`.
    pub(super) message: Option<Arc<str>>,
    pub(super) containers: Vec<ContainerRow>,
    pub(super) created: SimTime,
    /// Since when it has been ready.
    pub(super) ready_since: Option<SimTime>,
    /// What the scheduler said last, while it fits nowhere.
    pub(super) unschedulable: Option<String>,
    /// The node from which others go for its sake.
    pub(super) nominated: Option<Arc<str>>,
    /// Whether it goes for another one's sake.
    pub(super) preempted: bool,
    /// Whether the garbage collector deletes it, for its node is not there.
    pub(super) collected: bool,
    pub(super) deleting: bool,
    /// When it is deleted because of its node's taints.
    pub(super) evict_at: Option<SimTime>,
    /// Where the kubelet stands with it.
    pub(super) stage: super::kubelet::Stage,
    /// Tells an outdated wake-up of the kubelet.
    pub(super) turn: u32,
    /// Sandbox (container) id, 64 hexadecimal digits.
    pub(super) sandbox: String,
    /// What takes its place when it is gone.
    pub(super) successor: Option<(Arc<Pod>, Arc<Value>)>,
    /// Failed attempts to make the sandbox.
    pub(super) attempts: u32,
    /// What the kubelet remembers about each container.
    pub(super) runtimes: Vec<super::containers::Runtime>,
    pub(super) shared: super::containers::Shared,
    /// How many of its containers have had their first turn to begin.
    pub(super) begun: usize,
    /// Conditions as they were last recorded.
    pub(super) conditions: Arc<[ConditionRow]>,
    /// Whether the kubelet ends it for good, as when its containers have ended or its time is over.
    pub(super) ended: bool,
    /// Reason and message of its failure, which are told when nothing of it runs any more.
    pub(super) failure: Option<(&'static str, &'static str)>,
    /// Whether it was said once that it runs.
    pub(super) reported: bool,
    /// Seconds that a deletion gives it instead of its own.
    pub(super) grace: Option<u64>,
    /// The status that its text came with, while a request has put another one in its place.
    pub(super) overwritten: Option<Pasted>,
    /// What the API server was last told of its status.
    pub(super) told: Option<Arc<PodRow>>,
    /// Whether its object is gone already, as after a deletion by force, while its kubelet still takes it down.
    pub(super) orphaned: bool,
    /// Whether its node is lost, so that it counts as not ready whatever its containers did last.
    pub(super) unreachable: bool,
}

/// The status that a Pod's text came with, if it came with one.
#[derive(Clone, Debug)]
pub(super) struct Pasted(pub(super) Option<Value>);

/// A node in the store.
#[derive(Clone, Debug)]
pub(super) struct NodeEntry {
    pub(super) spec: NodeSpec,
    pub(super) netns: NetnsId,
    pub(super) ipam: Ipam,
    /// Whether the daemon of its network plug-in has started.
    pub(super) connected: bool,
    /// Condition Ready.
    pub(super) ready: bool,
    pub(super) created: SimTime,
    /// When condition Ready last changed.
    pub(super) transitioned: SimTime,
    /// Images that it holds.
    pub(super) images: BTreeSet<Arc<str>>,
    /// What its kubelet's probes see.
    pub(super) kubelet: Option<super::launch::Environment>,
    /// How many Pods are bound to it, as the scheduler asks for each Pod and each node.
    pub(super) pods: usize,
}

static NONE: BTreeSet<PodKey> = BTreeSet::new();

/// All objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    pub(super) nodes: BTreeMap<Arc<str>, NodeEntry>,
    pub(super) pods: BTreeMap<PodKey, PodEntry>,
    /// The Pods bound to each node, so that scheduling does not look at all of them for each.
    bound: BTreeMap<Arc<str>, BTreeSet<PodKey>>,
    /// The Pods that bear a label, by namespace, key and value.
    labelled: BTreeMap<(Arc<str>, String, String), BTreeSet<PodKey>>,
    /// How many Pods keep others away from themselves.
    pub(super) n_anti_affinity: usize,
}

impl PodEntry {
    /// The address that it has. One that has ended only shows the address that it had.
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.ip.filter(|_| self.netns.is_some())
    }

    pub(super) fn row(&self, key: &PodKey, host_ip: Option<Ipv4Addr>) -> PodRow {
        PodRow {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            node: self.node.clone(),
            nominated: self.nominated.clone(),
            netns: self.netns,
            phase: self.phase,
            reason: self.reason.clone(),
            ip: self.ip,
            host_ip: host_ip.filter(|_| self.stage != super::kubelet::Stage::Unscheduled),
            containers: self.containers.clone(),
            labels: self.pod.metadata.labels.clone(),
            created: self.created,
            deleting: self.deleting,
            message: self.message.clone(),
            conditions: self.condition_rows(),
        }
    }

    /// Sets the state of the containers that `which` chooses.
    pub(super) fn set_containers(
        &mut self,
        which: impl Fn(usize, &ContainerRow) -> bool,
        state: &ContainerState,
    ) {
        for (index, container) in self.containers.iter_mut().enumerate() {
            if which(index, container) {
                container.state = state.clone();
            }
        }
    }
}

impl NodeEntry {
    pub(super) fn row(&self) -> NodeRow {
        NodeRow {
            name: self.spec.name.as_str().into(),
            netns: self.netns,
            address: self.spec.address,
            pod_cidr: self.spec.pod_cidr,
            ready: self.ready,
            unschedulable: self.spec.unschedulable,
            labels: self.spec.labels.clone(),
            created: self.created,
            transitioned: self.transitioned,
        }
    }
}

/// Whether a Pod has rules on which Pods it does not want near itself.
pub(super) fn has_anti_affinity(pod: &Pod) -> bool {
    pod.spec.affinity.as_ref().is_some_and(|affinity| !affinity["podAntiAffinity"].is_null())
}

impl Store {
    /// The Pod that bears this name now, if there is one.
    pub(super) fn pod_named(&self, namespace: &str, name: &str) -> Option<&PodKey> {
        let first = PodKey { namespace: namespace.into(), name: name.into(), uid: 0 };
        let of_name = |key: &PodKey| &*key.namespace == namespace && &*key.name == name;
        let mut named = self.pods.range(first..).take_while(|(key, _)| of_name(key));
        named.find(|(_, entry)| !entry.orphaned).map(|(key, _)| key)
    }

    /// Binds a Pod to a node, which need not exist.
    pub(super) fn bind(&mut self, key: &PodKey, node: &str) {
        let Some(entry) = self.pods.get_mut(key) else { return };
        let node: Arc<str> = node.into();
        entry.node = Some(node.clone());
        let is_new = self.bound.entry(node.clone()).or_default().insert(key.clone());
        if let Some(entry) = self.nodes.get_mut(&node).filter(|_| is_new) {
            entry.pods += 1;
        }
    }

    /// The Pods of a namespace that bear a label.
    pub(super) fn labelled(&self, namespace: &str, key: &str, value: &str) -> &BTreeSet<PodKey> {
        let label = (Arc::from(namespace), key.to_owned(), value.to_owned());
        self.labelled.get(&label).unwrap_or(&NONE)
    }

    /// A Pod has these labels from now on, in the place of those.
    pub(super) fn relabel(
        &mut self,
        key: &PodKey,
        old: &BTreeMap<String, String>,
        new: &BTreeMap<String, String>,
    ) {
        for (name, value) in old.iter().filter(|(name, value)| new.get(*name) != Some(value)) {
            let label = (key.namespace.clone(), name.clone(), value.clone());
            if let Some(pods) = self.labelled.get_mut(&label) {
                pods.remove(key);
                if pods.is_empty() {
                    self.labelled.remove(&label);
                }
            }
        }
        for (name, value) in new.iter().filter(|(name, value)| old.get(*name) != Some(value)) {
            let label = (key.namespace.clone(), name.clone(), value.clone());
            self.labelled.entry(label).or_default().insert(key.clone());
        }
    }

    /// The Pods of a namespace.
    pub(super) fn pods_in(&self, namespace: &str) -> Vec<PodKey> {
        let first = PodKey { namespace: namespace.into(), name: "".into(), uid: 0 };
        let range = self.pods.range(first..).take_while(|(key, _)| &*key.namespace == namespace);
        range.filter(|(_, entry)| !entry.orphaned).map(|(key, _)| key.clone()).collect()
    }

    /// Pods that have their objects.
    pub(super) fn live(&self) -> impl Iterator<Item = (&PodKey, &PodEntry)> {
        self.pods.iter().filter(|(_, entry)| !entry.orphaned)
    }

    /// Pods without objects that a node still takes down.
    pub(super) fn orphans_on(&self, node: &str) -> Vec<PodKey> {
        let there = |entry: &PodEntry| entry.orphaned && entry.node.as_deref() == Some(node);
        self.pods.iter().filter(|(_, entry)| there(entry)).map(|(key, _)| key.clone()).collect()
    }

    /// A Pod loses its object while its kubelet still takes it down: nobody else counts it any more.
    pub(super) fn orphan(&mut self, key: &PodKey) {
        let Some(entry) = self.remove_pod(key) else { return };
        self.pods.insert(key.clone(), PodEntry { orphaned: true, ..entry });
    }

    /// Removes a Pod.
    pub(super) fn remove_pod(&mut self, key: &PodKey) -> Option<PodEntry> {
        let entry = self.pods.remove(key)?;
        if entry.orphaned {
            return Some(entry);
        }
        self.n_anti_affinity -= usize::from(has_anti_affinity(&entry.pod));
        self.relabel(key, &entry.pod.metadata.labels, &BTreeMap::new());
        if let Some(node) = &entry.node {
            if let Some(bound) = self.bound.get_mut(node) {
                bound.remove(key);
            }
            if let Some(node) = self.nodes.get_mut(node) {
                node.pods -= 1;
            }
        }
        Some(entry)
    }

    /// Pods bound to a node.
    pub(super) fn pods_on(&self, node: &str) -> impl ExactSizeIterator<Item = &PodKey> {
        self.bound.get(node).unwrap_or(&NONE).iter()
    }
}
