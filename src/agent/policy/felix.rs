//! Calico's Felix: what [`crate::cluster::policy::felix`] wants is written into each node's netfilter.

use crate::agent::cni::calico;
use crate::agent::control::ControlPlane;
use crate::agent::world::{World, with};
use crate::api::{Backend, ClusterSpec, Encapsulation};
use crate::base::{Ipv4Addr, Ipv4Net, NetnsId};
use crate::cluster::policy::felix::{self, Host, Tunnel, Wanted};
use crate::cluster::policy::{Blocks, Scope};
use crate::kernel::{Ctx, NetfilterOp, Netns};
use crate::trace::SetMember;
use crate::xtables::{Family, Rule, Table, parse_line};
use std::sync::Arc;

impl ControlPlane {
    /// Felix of every node writes.
    pub(super) fn sync_felix(&mut self, world: &mut dyn World, cluster: &ClusterSpec) {
        let (scope, keys) = self.scope(Blocks::All);
        let interfaces: Vec<Arc<str>> =
            keys.iter().map(|key| calico::veth_name(&key.namespace, &key.name)).collect();
        let hosts: Vec<_> = self.store.nodes.values().map(|node| node.spec.address).collect();
        let mut written = Vec::new();
        for (name, node) in &self.store.nodes {
            if !node.connected || self.outages.has(name) {
                continue;
            }
            let wanted = wanted(&scope, name, (&interfaces, &hosts), cluster);
            let old = self.policies.felix.get(name);
            if old != Some(&wanted) {
                write(world, node.netns, old, &wanted);
                written.push((name.clone(), wanted));
            }
        }
        self.policies.felix.extend(written);
    }
}

/// What Felix of one node wants.
fn wanted(
    scope: &Scope<'_>,
    name: &str,
    (interfaces, hosts): (&[Arc<str>], &[Ipv4Addr]),
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
        let member = |(net, port): &(Ipv4Net, Option<(u8, u16)>)| {
            let (protocol, port) = port.unwrap_or_default();
            SetMember { addr: net.addr().into(), len: net.prefix_len(), protocol, port, ..SetMember::EMPTY }
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
