//! The API server's side: what the user applied becomes objects in the store, and who watches them is woken. The
//! scheduler binds Pods to nodes.

use super::apply::Applying;
use super::cni::cilium::{self, Identities};
use super::cni::{self, Peer};
use super::containers;
use super::controllers::{Progress, Queue};
use super::fabric::Fabric;
use super::hooks::Hooks;
use super::kubelet::{self, Stage};
use super::launch::Environment;
use super::mesh::Mesh;
use super::multus::Multus;
use super::objects::{Objects, Written};
use super::outage::Outages;
use super::policy::Policies;
use super::probes;
use super::scheduling::Unscheduled;
use super::services::Services;
use super::store::{NodeEntry, PodEntry, PodKey, Store};
use super::teardown;
use super::watching::Changes;
use super::world::{Actor, Patience, Wakeup, World};
use crate::api::{ApiError, ApiRequest, ClusterSpec, Cni, NodeSpec, Pod};
use crate::base::{Duration, Ipv4Addr, NetnsId, ObjectKey, ProcessId};
use crate::cluster::dns::View;
use crate::cluster::ipam::Ipam;
use crate::cluster::mesh::{self, Mode, Route};
use crate::kernel::Delays;
use crate::tls::Credentials;
use crate::trace::{ContainerState, StepRow, Steps, TableChange};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;

/// How long after a node's start the daemon of its network plug-in has its device and knows of the other nodes.
const DAEMON_START: Duration = Duration::from_secs(2);

/// What the user wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The cluster.
    pub cluster: ClusterSpec,
    /// Its objects, in the order of the text.
    pub objects: Vec<Written>,
}

/// API server, scheduler, kubelets and CNI plug-ins.
#[derive(Clone, Debug, Default)]
pub struct ControlPlane {
    pub(super) store: Store,
    pub(super) objects: Objects,
    /// What is left of a text that is being applied.
    pub(super) applying: Applying,
    pub(super) cluster: Option<Arc<ClusterSpec>>,
    /// Security identities, which Cilium gives to label sets.
    pub(super) identities: Identities,
    pub(super) services: Services,
    pub(super) policies: Policies,
    pub(super) fabric: Fabric,
    pub(super) next_uid: u32,
    /// Counts what happens here, so that who watches knows when to look again.
    pub(super) turns: u64,
    pub(super) queue: Queue,
    pub(super) progress: Progress,
    pub(super) waiting: Unscheduled,
    /// Probes and hooks under way.
    pub(super) probing: probes::Running,
    pub(super) hooks: Hooks,
    /// Processes that are killed when their grace period is over.
    pub(super) ending: BTreeMap<ProcessId, (PodKey, usize)>,
    /// Commands of probes that have had their time.
    pub(super) late: BTreeSet<ProcessId>,
    pub(super) outages: Outages,
    /// What happened to objects lately.
    pub(super) changes: Changes,
    pub(super) multus: Multus,
    pub(super) mesh: Mesh,
    /// Main processes that live, each with the container it belongs to.
    pub(super) mains: BTreeMap<ProcessId, (PodKey, usize)>,
}

impl Actor for ControlPlane {
    fn netns_of(&self, pod: &ObjectKey) -> Option<NetnsId> {
        self.pod_netns(&pod.namespace, &pod.name)?.ok()
    }

    fn names(&self, known: Option<u64>) -> Option<(u64, View)> {
        (known != Some(self.turns)).then(|| (self.turns, self.watched_names()))
    }

    fn mesh_credentials(
        &mut self,
        world: &mut dyn World,
        netns: NetnsId,
    ) -> Result<Arc<Credentials>, String> {
        self.issue_credentials(world, netns)
    }

    fn mesh_mode(&self, netns: NetnsId, port: u16) -> Mode {
        self.mode_at(netns, port)
    }

    fn mesh_policies(&self, netns: NetnsId) -> mesh::Policies {
        self.policies_at(netns)
    }

    fn mesh_route(&self, to: SocketAddrV4) -> Route {
        self.route_of(to)
    }

    fn serve(&mut self, world: &mut dyn World, request: &ApiRequest) -> Result<Value, ApiError> {
        self.turns += u64::from(!request.is_reading());
        self.answer(world, request)
    }

    fn wake(&mut self, world: &mut dyn World, wakeup: Wakeup) {
        self.turns += 1;
        let Some(wakeup) = self.hold(wakeup) else { return };
        match wakeup {
            Wakeup::NodePower(node, power) => self.node_power(world, &node, power),
            Wakeup::NodeMonitor(node, outage) => self.monitor_node(world, &node, outage),
            Wakeup::Apply(desired) => self.apply(world, &desired),
            Wakeup::ApplyMore => self.apply_more(world),
            Wakeup::DaemonStarted(node) => self.daemon_started(world, &node),
            Wakeup::Schedule(key) => self.schedule(world, &key),
            Wakeup::ScheduleAgain => self.schedule_again(world),
            Wakeup::Evict(key, at) => self.evict(world, &key, at),
            Wakeup::CollectPod(key) => self.collect_pod(world, &key),
            Wakeup::Reconcile => self.reconcile(world),
            Wakeup::Requeue(key) => self.requeued(world, key),
            Wakeup::Kubelet(key, turn) => kubelet::go_on(self, world, &key, turn),
            Wakeup::Endpoints => self.sync_endpoints(world),
            Wakeup::ProxyRules => self.sync_proxies(world),
            Wakeup::Balancers => self.provide_balancers(world),
            Wakeup::Policies => self.sync_policies(world),
            Wakeup::Container(key, index, turn) => containers::look(self, world, &key, (index, turn)),
            Wakeup::Probe(key, index, kind, life) => self.probe(world, &key, index, kind, life),
            Wakeup::ProbeLate(process) => self.probe_late(world, process),
            Wakeup::HookOver(key, index) => self.hook_over(world, &key, index),
            Wakeup::Deadline(key) => teardown::deadline(self, world, &key),
            Wakeup::Refresh(key) => self.refresh_volumes(world, &key),
            Wakeup::Exited(process, exit) => {
                if self.probed(world, process, &exit) || self.hooked(world, process, &exit) {
                    return;
                }
                containers::exited(self, world, process, &exit);
            }
        }
    }
}

impl ControlPlane {
    /// The namespace of a Pod that runs, or why there is none: `None` for no such Pod, `Some(Err)` with its state.
    pub fn pod_netns(&self, namespace: &str, name: &str) -> Option<Result<NetnsId, String>> {
        let entry = &self.store.pods[self.store.pod_named(namespace, name)?];
        // Containers of a Pod that is about to go run until they have ended.
        let lives = || entry.containers.iter().any(|one| matches!(one.state, ContainerState::Running(_)));
        let netns = entry.netns.filter(|_| entry.stage == Stage::Running || (entry.is_going() && lives()));
        Some(netns.ok_or_else(|| entry.status_word().to_owned()))
    }

    /// A Pod object as applied.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        self.store.pod_named(namespace, name).map(|key| &self.store.pods[key].pod)
    }

    /// What commands in a container of a Pod see, by the container's place among init containers and containers.
    pub fn environment(&self, namespace: &str, name: &str, index: usize) -> Option<&Environment> {
        self.store.pods[self.store.pod_named(namespace, name)?].environment(index)
    }

    /// Whether a container of a Pod runs, by its place behind the init containers, as the runtime knows it: the API server
    /// may not have been told yet.
    pub fn container_runs(&self, namespace: &str, name: &str, index: usize) -> bool {
        let entry = self.store.pod_named(namespace, name).map(|key| &self.store.pods[key]);
        entry.is_some_and(|entry| entry.runtimes.get(index).is_some_and(|one| one.process.is_some()))
    }

    /// The namespace of a node.
    pub fn node_netns(&self, name: &str) -> Option<NetnsId> {
        self.store.nodes.get(name).map(|node| node.netns)
    }

    /// The namespace of a host outside the cluster, or of the switch.
    pub fn host_netns(&self, name: &str) -> Option<NetnsId> {
        self.fabric.hosts.get(name).copied().or_else(|| self.fabric.switch.filter(|_| name == "switch"))
    }

    fn apply(&mut self, world: &mut dyn World, desired: &Desired) {
        let rebuilt = match &self.cluster {
            Some(old) => needs_rebuilding(old, &desired.cluster),
            None => true,
        };
        if rebuilt {
            self.tear_down(world);
            self.services.forget_proxies();
            self.policies.forget_nodes();
            world.set_delays(delays(&desired.cluster));
            self.fabric.build_switch(world);
        }
        let gone: Vec<Arc<str>> =
            self.store.nodes.keys().filter(|name| !has_node(&desired.cluster, name)).cloned().collect();
        for name in gone {
            self.remove_node(world, &name);
        }
        let new: Vec<&NodeSpec> = desired
            .cluster
            .nodes
            .iter()
            .filter(|node| !self.store.nodes.contains_key(node.name.as_str()))
            .collect();
        for node in new {
            self.add_node(world, node, &desired.cluster);
        }
        if rebuilt {
            self.fabric.build_external(world, &desired.cluster);
        }
        let old = self.cluster.replace(Arc::new(desired.cluster.clone()));
        if let Some(old) = old.filter(|_| !rebuilt) {
            self.nodes_changed(world, &old, &desired.cluster);
        }
        let mut objects = desired.objects.clone();
        objects.extend(Self::dns_addon(&desired.objects, &desired.cluster));
        self.apply_objects(world, objects);
    }

    fn tear_down(&mut self, world: &mut dyn World) {
        let pods: Vec<PodKey> = self.store.pods.keys().cloned().collect();
        for key in pods {
            self.forget_pod(world, &key);
        }
        for (name, node) in std::mem::take(&mut self.store.nodes) {
            world.del_netns(node.netns);
            self.remove(world, &ObjectKey::new("Node", "", &name));
            world.record(TableChange::NodeGone(name));
        }
        self.fabric.tear_down(world);
    }

    fn add_node(&mut self, world: &mut dyn World, spec: &NodeSpec, cluster: &ClusterSpec) {
        let name: Arc<str> = spec.name.as_str().into();
        let netns = self.fabric.build_node(world, spec, cluster);
        let mut ipam = cni::ipam(spec, cluster);
        // The node's own tunnel device comes before its Pods.
        if let Ipam::Blocks(blocks) = &mut ipam
            && cni::has_tunnel_address(cluster)
        {
            blocks.tunnel_address();
        }
        let pods = self.store.pods_on(&name).len();
        let entry = NodeEntry {
            spec: spec.clone(),
            netns,
            ipam,
            connected: false,
            ready: true,
            created: world.now(),
            transitioned: world.now(),
            images: BTreeSet::new(),
            kubelet: None,
            pods,
        };
        world.record(TableChange::Node(entry.row()));
        self.store.nodes.insert(name.clone(), entry);
        self.put_node(world, spec);
        world.wake_in(DAEMON_START, Patience::Prompt, Wakeup::DaemonStarted(name));
    }

    pub(super) fn remove_node(&mut self, world: &mut dyn World, name: &Arc<str>) {
        let mut pods: Vec<PodKey> = self.store.pods_on(name).cloned().collect();
        pods.extend(self.store.orphans_on(name));
        for key in pods {
            self.forget_pod(world, &key);
        }
        let Some(gone) = self.store.nodes.remove(name) else { return };
        world.del_netns(gone.netns);
        self.policies.forget_node(name);
        self.policies_changed(world);
        world.record(TableChange::NodeGone(name.clone()));
        self.remove(world, &ObjectKey::new("Node", "", name));
        let Some(cluster) = self.cluster.clone() else { return };
        let gone = peer(&gone);
        for node in self.store.nodes.values().filter(|node| node.connected) {
            cni::forget(world, &peer(node), &gone, &cluster);
        }
    }

    /// A daemon makes its device and learns of the nodes that are there, and they of its own.
    fn daemon_started(&mut self, world: &mut dyn World, name: &Arc<str>) {
        let (Some(node), Some(cluster)) = (self.store.nodes.get_mut(name), self.cluster.clone()) else {
            return;
        };
        if std::mem::replace(&mut node.connected, true) {
            return;
        }
        cni::start(world, &peer(node), &cluster);
        self.connect(world, name);
        if self.is_cilium() {
            let own = |entry: &PodEntry| entry.address().is_some() && !entry.pod.spec.host_network;
            let known = self.store.live().filter(|(_, entry)| own(entry));
            for key in known.map(|(key, _)| key.clone()).collect::<Vec<PodKey>>() {
                self.publish(world, &key);
            }
        }
        self.policies_changed(world);
    }

    /// Sees to it that a node and the others have the routes to each other. It is called again when a node claims
    /// another block of addresses.
    pub(super) fn connect(&self, world: &mut dyn World, name: &str) {
        let (Some(node), Some(cluster)) = (self.store.nodes.get(name), &self.cluster) else { return };
        if !node.connected {
            return;
        }
        let near = peer(node);
        cni::protect(world, &near, cluster);
        for (other_name, other) in &self.store.nodes {
            if other.connected && &**other_name != name {
                let far = peer(other);
                cni::connect(world, &near, &far, cluster);
                cni::connect(world, &far, &near, cluster);
            }
        }
    }

    /// The network plug-in's agents hear of a Pod's address.
    pub(super) fn publish(&mut self, world: &mut dyn World, key: &PodKey) {
        self.policies_changed(world);
        let (Some(entry), true) = (self.store.pods.get(key), self.is_cilium()) else { return };
        let (Some(addr), Some(home)) = (entry.address(), entry.node.clone()) else { return };
        let identity = self.identities.of(&key.namespace, &entry.pod.metadata.labels);
        let home = self.store.nodes.get(&home).map(|node| (node.netns, node.spec.address));
        for node in self.store.nodes.values() {
            let elsewhere = home.filter(|home| home.0 != node.netns && self.tunnels()).map(|home| home.1);
            cilium::publish(world, node.netns, (addr, identity), elsewhere);
        }
    }

    /// The network plug-in's agents hear that a Pod is gone.
    pub(super) fn withdraw(&mut self, world: &mut dyn World, key: &PodKey) {
        self.policies_changed(world);
        let own = |entry: &&PodEntry| !entry.pod.spec.host_network;
        let Some(addr) = self.store.pods.get(key).filter(own).and_then(PodEntry::address) else { return };
        if self.is_cilium() {
            for node in self.store.nodes.values() {
                cilium::withdraw(world, node.netns, addr);
            }
        }
    }

    pub(super) fn is_cilium(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.network.cni == Cni::Cilium)
    }

    fn tunnels(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cilium::is_tunnelled(cluster))
    }

    /// Writes down a Pod's row as it is now.
    pub(super) fn record_pod(&mut self, world: &mut dyn World, key: &PodKey) {
        let now = world.now();
        let Some(entry) = self.store.pods.get_mut(key).filter(|entry| !entry.orphaned) else { return };
        if !entry.is_ready() {
            entry.ready_since = None;
        } else if entry.ready_since.is_none() {
            entry.ready_since = Some(now);
        }
        entry.update_conditions(now);
        self.owner_touched(world, key);
        self.pod_touched(world, key);
        let Some(entry) = self.store.pods.get(key) else { return };
        let row = entry.row(key, self.host_ip(entry));
        if let Some(entry) = self.store.pods.get_mut(key)
            && entry.told.as_deref() != Some(&row)
        {
            entry.told = Some(Arc::new(row.clone()));
            self.pod_told(&key.object(), now);
        }
        world.record(TableChange::Pod(Box::new(row)));
    }

    /// Writes down how a Pod is, of which its kubelet does not tell yet.
    pub(super) fn record_untold(&mut self, world: &mut dyn World, key: &PodKey) {
        let now = world.now();
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        entry.update_conditions(now);
        let Some(entry) = self.store.pods.get(key) else { return };
        world.record(TableChange::Pod(Box::new(entry.row(key, self.host_ip(entry)))));
    }

    /// The address of a Pod's node.
    pub(super) fn host_ip(&self, entry: &PodEntry) -> Option<Ipv4Addr> {
        entry.node.as_ref().and_then(|name| self.store.nodes.get(name)).map(|node| node.spec.address)
    }

    pub(super) fn step(world: &mut dyn World, key: &PodKey, (steps, number): (Steps, u8), args: Vec<String>) {
        Self::step_with(world, key, (steps, number), args, (None, None));
    }

    pub(super) fn step_with(
        world: &mut dyn World,
        key: &PodKey,
        (steps, number): (Steps, u8),
        args: Vec<String>,
        (request, result): (Option<Arc<str>>, Option<Arc<str>>),
    ) {
        let (namespace, pod) = (key.namespace.clone(), key.name.clone());
        let row = StepRow { namespace, pod, steps, number, request, result, args };
        world.record(TableChange::Step(Box::new(row)));
    }
}

impl PodEntry {
    /// A word for what a Pod that does not run is doing.
    fn status_word(&self) -> &'static str {
        match (self.deleting, self.stage) {
            (true, _) => "Terminating",
            (false, Stage::Unscheduled) => "Pending",
            (false, _) => "ContainerCreating",
        }
    }
}

/// A node as the others see it.
fn peer(node: &NodeEntry) -> Peer {
    let (ranges, tunnel) = match &node.ipam {
        Ipam::HostLocal(range) => (vec![range.subnet()], range.subnet().network()),
        Ipam::Blocks(blocks) => (blocks.claimed().collect(), blocks.range().network()),
    };
    Peer { netns: node.netns, spec: node.spec.clone(), ranges, tunnel }
}

fn has_node(cluster: &ClusterSpec, name: &str) -> bool {
    cluster.nodes.iter().any(|node| node.name == name)
}

/// Nodes may come and go; anything else makes the cluster anew, for the machines' own settings changed.
fn needs_rebuilding(old: &ClusterSpec, new: &ClusterSpec) -> bool {
    // Labels, annotations, taints and resources change on the running node.
    let machine = |node: &NodeSpec| NodeSpec {
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
        unschedulable: false,
        allocatable: BTreeMap::new(),
        ..node.clone()
    };
    let changed = |node: &NodeSpec| {
        new.nodes.iter().any(|other| other.name == node.name && machine(other) != machine(node))
    };
    old.network != new.network
        || old.external != new.external
        || old.dns != new.dns
        || old.nodes.iter().any(changed)
}

fn delays(cluster: &ClusterSpec) -> Delays {
    let given = &cluster.network.delays;
    let own = Delays::default();
    Delays {
        veth: given.veth.unwrap_or(own.veth),
        link: given.link.unwrap_or(own.link),
        wakeup: given.wakeup.unwrap_or(own.wakeup),
        bridge: given.bridge.unwrap_or(own.bridge),
        forward: given.forward.unwrap_or(own.forward),
        input: given.input.unwrap_or(own.input),
        output: given.output.unwrap_or(own.output),
        vxlan: given.vxlan.unwrap_or(own.vxlan),
        ..own
    }
}

/// Random hexadecimal digits, as container ids are made of.
pub(super) fn hex(world: &mut dyn World, digits: usize) -> String {
    (0..digits).map(|_| char::from_digit(world.rng().u32(..16), 16).unwrap_or('0')).collect()
}
