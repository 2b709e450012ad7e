//! kube-proxy in iptables mode: it writes what [`crate::cluster::proxy`] decides into its node's netfilter.

use super::world::{World, with};
use crate::api::{ClusterSpec, EndpointSlice, NodeSpec, Service};
use crate::base::NetnsId;
use crate::cluster::proxy::{self, Config, Family, Rules, Watched};
use crate::kernel::{Ctx, NetfilterOp, Netns};
use crate::xtables::{Rule, Table, parse_rule};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Chains of one table with their rules, in the order in which they are made.
type Wanted = Vec<(Arc<str>, Vec<Arc<Rule>>)>;

/// Writes the rules for these Services and slices on a node.
pub(super) fn sync(
    world: &mut dyn World,
    (netns, node): (NetnsId, &NodeSpec),
    cluster: &ClusterSpec,
    (services, slices): (&[&Service], &[&EndpointSlice]),
) {
    let config = config(node, cluster);
    let rules = proxy::iptables(&config, Watched { services, slices });
    let (filter, nat) = wanted(&rules);
    with(world, netns, |netns, ctx| {
        // Without it no packet from the loopback address leaves, and node ports on it do not work.
        if netns.sysctl.all.route_localnet != config.localhost_node_ports {
            netns.set_sysctl(ctx, "net.ipv4.conf.all.route_localnet", "1");
        }
        write(netns, ctx, Table::Filter, &filter);
        write(netns, ctx, Table::Nat, &nat);
        install_jumps(netns, ctx);
        drop_stale(netns, ctx, Table::Filter, &filter);
        drop_stale(netns, ctx, Table::Nat, &nat);
    });
}

/// How kube-proxy runs on this node, with the defaults of its configuration.
pub fn config(node: &NodeSpec, cluster: &ClusterSpec) -> Config {
    Config {
        family: Family::V4,
        node: node.name.clone(),
        zone: node.labels.get("topology.kubernetes.io/zone").cloned(),
        node_ip: IpAddr::V4(node.address),
        cluster_cidr: Some(cluster.network.pod_cidr.to_string()),
        masquerade_all: false,
        localhost_node_ports: true,
        node_port_ips: None,
    }
}

/// Rules as the kernel takes them, by table and chain.
fn wanted(rules: &Rules) -> (Wanted, Wanted) {
    let of = |chains: &[String], lines: &[String]| {
        let mut found: Wanted = chains.iter().map(|chain| (chain.as_str().into(), Vec::new())).collect();
        let places: BTreeMap<&str, usize> =
            chains.iter().enumerate().map(|(at, chain)| (chain.as_str(), at)).collect();
        for line in lines {
            let words = split(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let ["-A", chain, rest @ ..] = words.as_slice()
                && let (Some(&at), Ok(rule)) = (places.get(chain), parse_rule(rest))
            {
                found[at].1.push(Arc::new(rule));
            } else {
                debug_assert!(false, "kube-proxy writes rules that can be read: {line}");
            }
        }
        found
    };
    (of(&rules.filter_chains, &rules.filter), of(&rules.nat_chains, &rules.nat))
}

/// The words of a line, in quotes or not.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Makes the chains, and writes those anew whose rules are not as wanted.
fn write(netns: &mut Netns, ctx: &mut Ctx<'_>, table: Table, wanted: &Wanted) {
    netns.change_netfilter(ctx, NetfilterOp::Table(table));
    for (chain, _) in wanted {
        netns.change_netfilter(ctx, NetfilterOp::NewChain(table, chain.clone()));
    }
    for (chain, rules) in wanted {
        let present: Vec<(u32, Arc<Rule>)> = netns.nf_rules(table, chain).collect();
        if present.iter().map(|(_, rule)| rule).eq(rules.iter()) {
            continue;
        }
        for (handle, _) in present {
            netns.change_netfilter(ctx, NetfilterOp::Delete(table, chain.clone(), handle));
        }
        for (index, rule) in rules.iter().enumerate() {
            let insert = NetfilterOp::Insert(table, chain.clone(), index as u32, rule.clone(), (0, 0));
            netns.change_netfilter(ctx, insert);
        }
    }
}

/// Puts the rules that lead to kube-proxy's chains in front of the built-in ones, where they are missing.
fn install_jumps(netns: &mut Netns, ctx: &mut Ctx<'_>) {
    for (table, line) in Rules::jumps() {
        let Some(table) = Table::from_name(table) else { continue };
        let words = split(&line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let [chain, rest @ ..] = words.as_slice() else { continue };
        let Ok(rule) = parse_rule(rest) else { continue };
        let rule = Arc::new(rule);
        if netns.nf_rules(table, chain).all(|(_, present)| present != rule) {
            let insert = NetfilterOp::Insert(table, (*chain).into(), 0, rule, (0, 0));
            netns.change_netfilter(ctx, insert);
        }
    }
}

/// Removes chains of Services and endpoints that are gone, once nothing leads to them.
fn drop_stale(netns: &mut Netns, ctx: &mut Ctx<'_>, table: Table, wanted: &Wanted) {
    let own = |chain: &str| {
        ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-"]
            .iter()
            .any(|prefix| chain.starts_with(prefix))
    };
    let stale: Vec<Arc<str>> = netns
        .nf_chain_names(table)
        .filter(|chain| own(chain) && !wanted.iter().any(|(name, _)| name == chain))
        .collect();
    for chain in stale {
        netns.change_netfilter(ctx, NetfilterOp::DelChain(table, chain));
    }
}
