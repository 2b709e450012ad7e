//! Those who enforce network policies: Calico's Felix writes chains and sets into each node's netfilter, Cilium's agents
//! write the policy maps of each endpoint. The other plug-ins enforce nothing.

use super::cni::calico;
use super::control::ControlPlane;
use super::store::{NodeEntry, PodEntry, PodKey};
use super::world::{Patience, Wakeup, World, with};
use crate::api::{Backend, ClusterSpec, Cni, Encapsulation, NamespacedName, NetworkPolicy};
use crate::base::Duration;
use crate::base::NetnsId;
use crate::cluster::policy::felix::{self, Host, Tunnel, Wanted};
use crate::cluster::policy::{Blocks, Endpoint, Namespaces, Scope};
use crate::kernel::{Ctx, NetfilterOp, Netns};
use crate::trace::{ObjectRow, PodPhase, SetMember};
use crate::xtables::{Family, Rule, Table, parse_line};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long after a change the agents write.
const AGENT: Duration = Duration::from_ms(20);

/// The policies, and what was written because of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    /// By namespace and name.
    objects: BTreeMap<NamespacedName, Arc<NetworkPolicy>>,
    /// Whether the agents are about to write.
    writing: bool,
    /// What Felix wrote, by node.
    felix: BTreeMap<Arc<str>, Wanted>,
}

impl Policies {
    /// A policy came or changed.
    pub(super) fn keep(&mut self, policy: Arc<NetworkPolicy>) {
        self.objects.insert(policy.metadata.namespaced_name(), policy);
    }

    /// A policy went.
    pub(super) fn drop(&mut self, namespace: &str, name: &str) {
        let name = NamespacedName { namespace: namespace.to_owned(), name: name.to_owned() };
        self.objects.remove(&name);
    }

    /// The nodes are gone, with what was written there.
    pub(super) fn forget_nodes(&mut self) {
        self.felix.clear();
    }

    /// A node is gone.
    pub(super) fn forget_node(&mut self, name: &str) {
        self.felix.remove(name);
    }
}

impl ControlPlane {
    /// Something changed that policies ask about; the agents will write.
    pub(super) fn policies_changed(&mut self, world: &mut dyn World) {
        let enforced = self.cluster.as_ref().is_some_and(|cluster| enforces(cluster.network.cni));
        if enforced && !std::mem::replace(&mut self.policies.writing, true) {
            world.wake_in(AGENT, Patience::Prompt, Wakeup::Policies);
        }
    }

    /// The agents of all nodes write.
    pub(super) fn sync_policies(&mut self, world: &mut dyn World) {
        self.policies.writing = false;
        let Some(cluster) = self.cluster.clone() else { return };
        match cluster.network.cni {
            Cni::Calico => self.sync_felix(world, &cluster),
            Cni::Cilium | Cni::Bridge | Cni::Flannel => {}
        }
    }

    /// What policies are about, as the plug-in sees it now.
    pub fn policy_scope(&self) -> Scope<'_> {
        let cilium = self.is_cilium();
        self.scope(if cilium { Blocks::Outside } else { Blocks::All }).0
    }

    /// The name of the network plug-in, if it enforces no policies.
    pub fn unenforcing(&self) -> Option<&'static str> {
        let cni = self.cluster.as_ref()?.network.cni;
        let name = Cni::ALL.iter().find(|known| known.1 == cni).map(|known| known.0);
        name.filter(|_| !enforces(cni))
    }

    /// What policies are about, as it is now, with the keys of the Pods in the same order.
    fn scope(&self, blocks: Blocks) -> (Scope<'_>, Vec<&PodKey>) {
        let live: Vec<(&PodKey, Endpoint<'_>)> =
            self.store.pods.iter().filter_map(|(key, entry)| Some((key, endpoint(entry)?))).collect();
        let scope = Scope {
            pods: live.iter().map(|(_, endpoint)| *endpoint).collect(),
            namespaces: self.namespace_labels(),
            policies: self.policies.objects.values().map(|policy| &**policy).collect(),
            blocks,
        };
        (scope, live.into_iter().map(|(key, _)| key).collect())
    }

    fn namespace_labels(&self) -> Namespaces {
        let labels = |row: &Arc<ObjectRow>| {
            let labels = row.value["metadata"]["labels"].as_object().into_iter().flatten();
            let text = |(key, value): (&String, &serde_json::Value)| {
                (key.clone(), value.as_str().unwrap_or("").to_owned())
            };
            (row.key.name.to_string(), labels.map(text).collect())
        };
        self.objects_of("Namespace").map(labels).collect()
    }

    fn sync_felix(&mut self, world: &mut dyn World, cluster: &ClusterSpec) {
        let (scope, keys) = self.scope(Blocks::All);
        let interfaces: Vec<Arc<str>> =
            keys.iter().map(|key| calico::veth_name(&key.namespace, &key.name)).collect();
        let hosts: Vec<_> = self.store.nodes.values().map(|node| node.spec.address).collect();
        let mut written = Vec::new();
        for (name, node) in &self.store.nodes {
            if !node.connected || self.outages.has(name) {
                continue;
            }
            let wanted = wanted(&scope, (name, node), (&interfaces, &hosts), cluster);
            let old = self.policies.felix.get(name);
            if old != Some(&wanted) {
                write(world, node.netns, old, &wanted);
                written.push((name.clone(), wanted));
            }
        }
        self.policies.felix.extend(written);
    }
}

/// Whether a plug-in enforces network policies.
fn enforces(cni: Cni) -> bool {
    match cni {
        Cni::Calico | Cni::Cilium => true,
        Cni::Bridge | Cni::Flannel => false,
    }
}

/// A Pod that has its address, until it has run to its end.
fn endpoint(entry: &PodEntry) -> Option<Endpoint<'_>> {
    let ended = matches!(entry.phase, PodPhase::Succeeded | PodPhase::Failed);
    let (ip, node) = (entry.ip.filter(|_| !ended)?, entry.node.as_deref()?);
    Some(Endpoint { pod: &entry.pod, ip, node })
}

/// What Felix of one node wants.
fn wanted(
    scope: &Scope<'_>,
    (name, _): (&str, &NodeEntry),
    (interfaces, hosts): (&[Arc<str>], &[crate::base::Ipv4Addr]),
    cluster: &ClusterSpec,
) -> Wanted {
    let is_local = |at: &usize| scope.pods[*at].node == name && scope.pods[*at].is_selectable();
    let local = (0..scope.pods.len()).filter(is_local).map(|at| (at, &*interfaces[at]));
    let tunnel = match cluster.network.backend {
        _ if cluster.network.calico.encapsulation == Encapsulation::Never => Tunnel::None,
        Some(Backend::Ipip) => Tunnel::Ipip,
        Some(Backend::Vxlan) => Tunnel::Vxlan(cluster.network.vxlan.port),
        _ => Tunnel::None,
    };
    felix::render(scope, &Host { local: local.collect(), hosts: hosts.to_vec(), tunnel })
}

/// Writes what is wanted where it differs from what was written before.
fn write(world: &mut dyn World, netns: NetnsId, old: Option<&Wanted>, wanted: &Wanted) {
    with(world, netns, |netns, ctx| {
        netns.change_netfilter(ctx, NetfilterOp::Table(Table::Filter));
        write_sets(netns, ctx, old, wanted);
        for chain in wanted.chains.keys() {
            netns.change_netfilter(ctx, NetfilterOp::NewChain(Table::Filter, chain.as_str().into()));
        }
        let sets: Vec<String> = wanted.sets.keys().cloned().collect();
        for (chain, lines) in &wanted.chains {
            if old.and_then(|old| old.chains.get(chain)) != Some(lines) {
                fill(netns, ctx, (chain, lines), &sets);
            }
        }
        if old.is_none() {
            install(netns, ctx, wanted);
        }
        let Some(old) = old else { return };
        for gone in old.chains.keys().filter(|chain| !wanted.chains.contains_key(*chain)) {
            netns.change_netfilter(ctx, NetfilterOp::DelChain(Table::Filter, gone.as_str().into()));
        }
        for gone in old.sets.keys().filter(|set| !wanted.sets.contains_key(*set)) {
            netns.change_netfilter(ctx, NetfilterOp::DelSet(gone.as_str().into()));
        }
    });
}

fn write_sets(netns: &mut Netns, ctx: &mut Ctx<'_>, old: Option<&Wanted>, wanted: &Wanted) {
    for (name, set) in &wanted.sets {
        let before = old.and_then(|old| old.sets.get(name));
        if before == Some(set) {
            continue;
        }
        let name: Arc<str> = name.as_str().into();
        if before.is_none() {
            netns.change_netfilter(ctx, NetfilterOp::NewSet(name.clone(), set.kind.into(), None));
        }
        let member = |(net, port): &(crate::base::Ipv4Net, Option<(u8, u16)>)| {
            let (protocol, port) = port.unwrap_or_default();
            SetMember { addr: net.addr(), len: net.prefix_len(), protocol, port, ..SetMember::EMPTY }
        };
        netns.change_netfilter(ctx, NetfilterOp::Members(name, set.members.iter().map(member).collect()));
    }
}

fn parsed(line: &str, sets: &[String]) -> Option<Arc<Rule>> {
    let rule = parse_line(line, sets);
    debug_assert!(rule.is_ok(), "Felix writes rules that can be read: {line}: {rule:?}");
    rule.ok().map(Arc::new)
}

/// Gives a chain these rules.
fn fill(netns: &mut Netns, ctx: &mut Ctx<'_>, (chain, lines): (&str, &[String]), sets: &[String]) {
    let name: Arc<str> = chain.into();
    let present: Vec<u32> =
        netns.nf_rules(Family::V4, Table::Filter, chain).map(|(handle, _)| handle).collect();
    for handle in present {
        netns.change_netfilter(ctx, NetfilterOp::Delete(Table::Filter, name.clone(), handle));
    }
    for (index, rule) in lines.iter().filter_map(|line| parsed(line, sets)).enumerate() {
        let insert = NetfilterOp::Insert(Table::Filter, name.clone(), index as u32, rule, (0, 0));
        netns.change_netfilter(ctx, insert);
    }
}

/// Has the built-in chains lead to Felix's own.
fn install(netns: &mut Netns, ctx: &mut Ctx<'_>, wanted: &Wanted) {
    for (chain, line) in &wanted.first {
        if let Some(rule) = parsed(line, &[]) {
            let insert = NetfilterOp::Insert(Table::Filter, (*chain).into(), 0, rule, (0, 0));
            netns.change_netfilter(ctx, insert);
        }
    }
    for (chain, lines) in &wanted.last {
        for rule in lines.iter().filter_map(|line| parsed(line, &[])) {
            let end = netns.nf_rules(Family::V4, Table::Filter, chain).count() as u32;
            let insert = NetfilterOp::Insert(Table::Filter, (*chain).into(), end, rule, (0, 0));
            netns.change_netfilter(ctx, insert);
        }
    }
}
