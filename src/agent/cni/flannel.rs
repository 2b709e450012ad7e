//! The rules that flannel's daemon writes (flannel-io/flannel, `pkg/trafficmngr/iptables`): what leaves the cluster
//! bears the node's address, and what is of the cluster is forwarded.

use super::Peer;
use crate::agent::rules::append;
use crate::agent::world::{World, with};
use crate::api::ClusterSpec;
use crate::xtables::Table;

const MASQ: &str = "-m comment --comment \"flanneld masq\"";
const FORWARD: &str = "-m comment --comment \"flanneld forward\"";

/// Writes the rules on a node (`masqRules`, `forwardRules`).
pub(super) fn write_rules(world: &mut dyn World, node: &Peer, cluster: &ClusterSpec) {
    let (all, own) = (cluster.network.pod_cidr, node.spec.pod_cidr);
    let nat = [
        format!("POSTROUTING {MASQ} -j FLANNEL-POSTRTG"),
        // kube-proxy masquerades this already.
        format!("FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 {MASQ} -j RETURN"),
        // Nothing between Pods is translated, nor what comes to this node's Pods.
        format!("FLANNEL-POSTRTG -s {own} -d {all} {MASQ} -j RETURN"),
        format!("FLANNEL-POSTRTG -s {all} -d {own} {MASQ} -j RETURN"),
        format!("FLANNEL-POSTRTG ! -s {all} -d {own} {MASQ} -j RETURN"),
        format!("FLANNEL-POSTRTG -s {all} ! -d 224.0.0.0/4 {MASQ} -j MASQUERADE --random-fully"),
        format!("FLANNEL-POSTRTG ! -s {all} -d {all} {MASQ} -j MASQUERADE --random-fully"),
    ];
    let filter = [
        format!("FORWARD {FORWARD} -j FLANNEL-FWD"),
        format!("FLANNEL-FWD -s {all} {FORWARD} -j ACCEPT"),
        format!("FLANNEL-FWD -d {all} {FORWARD} -j ACCEPT"),
    ];
    with(world, node.netns, |netns, ctx| {
        for line in &nat {
            append(netns, ctx, Table::Nat, line);
        }
        for line in &filter {
            append(netns, ctx, Table::Filter, line);
        }
    });
}
