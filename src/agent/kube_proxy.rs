//! kube-proxy in its modes iptables and nftables, and which mode it runs in: it writes what [`crate::cluster::proxy`] decides into its node's netfilter.

use super::ipvs;
use super::rules::split;
use super::world::{World, with};
use crate::api::{ClusterSpec, NodeSpec, ProxyMode};
use crate::base::{Ipv4Addr, MacAddr, NetnsId};
use crate::cluster::proxy::{self, Config, Family, Rules, UdpPort, Watched};
use crate::kernel::{Ctx, NetfilterOp, Netns};
use crate::trace::Tuple;
use crate::xtables::{Rule, Table, parse_rule_of, parse_rule_with};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Chains of one table with their rules, in the order in which they are made.
type Wanted = Vec<(Arc<str>, Vec<Arc<Rule>>)>;

/// Writes the rules for these Services and slices on a node, for each family of addresses that it has.
pub(super) fn sync(
    world: &mut dyn World,
    (netns, node): (NetnsId, &NodeSpec),
    cluster: &ClusterSpec,
    watched: &Watched<'_>,
) {
    for family in [Family::V4, Family::V6] {
        let Some(config) = Config::of(family, node, cluster) else { continue };
        match cluster.proxy.mode {
            ProxyMode::Nftables => {
                let table = NetfilterOp::Nft(Box::new(proxy::nftables(&config, watched)));
                with(world, netns, |netns, ctx| {
                    ipvs::clean_up(netns, ctx, family);
                    Tables { netns, ctx, family }.clean_up();
                    netns.change_netfilter(ctx, in_family(family, table));
                    if family == Family::V4 {
                        forget_stale(netns, ctx, &proxy::udp_ports(&config, watched));
                    }
                });
                continue;
            }
            ProxyMode::Ipvs => {
                with_ipvs(world, (netns, node), (&config, cluster), watched);
                continue;
            }
            ProxyMode::Iptables => {}
        }
        let rules = proxy::iptables(&config, watched);
        let (filter, nat) = wanted(family, &rules, &[]);
        with(world, netns, |netns, ctx| {
            // Without it no packet from the loopback address leaves, and node ports on it do not work.
            if config.wants_localnet() && !netns.sysctl.all.route_localnet {
                netns.set_sysctl(ctx, "net.ipv4.conf.all.route_localnet", "1");
            }
            if netns.nft_is_there(family) {
                netns.change_netfilter(ctx, in_family(family, NetfilterOp::Nft(Box::default())));
            }
            ipvs::clean_up(netns, ctx, family);
            let mut tables = Tables { netns, ctx, family };
            tables.write(Table::Filter, &filter);
            tables.write(Table::Nat, &nat);
            tables.install_jumps(Rules::jumps());
            tables.drop_stale(Table::Filter, &filter);
            tables.drop_stale(Table::Nat, &nat);
            if family == Family::V4 {
                forget_stale(netns, ctx, &proxy::udp_ports(&config, watched));
            }
        });
    }
}

/// Writes virtual servers and what goes with them.
fn with_ipvs(
    world: &mut dyn World,
    (netns, node): (NetnsId, &NodeSpec),
    (config, cluster): (&Config, &ClusterSpec),
    watched: &Watched<'_>,
) {
    let family = config.family;
    let octets: [u8; 6] = std::array::from_fn(|_| world.rng().u8(..));
    let mac = MacAddr([octets[0] & 0xfe | 2, octets[1], octets[2], octets[3], octets[4], octets[5]]);
    with(world, netns, |netns, ctx| {
        let own = match family {
            Family::V4 => ipvs::own_addresses(netns),
            Family::V6 => node.addresses6.iter().copied().map(IpAddr::V6).collect(),
        };
        if netns.nft_is_there(family) {
            netns.change_netfilter(ctx, in_family(family, NetfilterOp::Nft(Box::default())));
        }
        if cluster.proxy.strict_arp {
            netns.set_sysctl(ctx, "net.ipv4.conf.all.arp_ignore", "1");
            netns.set_sysctl(ctx, "net.ipv4.conf.all.arp_announce", "2");
        }
        ipvs::sync(netns, ctx, config, (&proxy::ipvs(config, watched, &own), mac));
        if family == Family::V4 {
            forget_stale(netns, ctx, &proxy::udp_ports(config, watched));
        }
    });
}

/// A change in the tables of a family.
pub(super) fn in_family(family: Family, op: NetfilterOp) -> NetfilterOp {
    match family {
        Family::V4 => op,
        Family::V6 => NetfilterOp::V6(Box::new(op)),
    }
}

/// Forgets the connections of UDP to endpoints that are gone.
fn forget_stale(netns: &mut Netns, ctx: &mut Ctx<'_>, ports: &[UdpPort]) {
    const UDP: u8 = 17;
    if ports.is_empty() {
        return;
    }
    let socket = |ip: Ipv4Addr, port| SocketAddr::new(IpAddr::V4(ip), port);
    let is_stale = |orig: &Tuple, reply: &Tuple| {
        let own = netns.has_addr(orig.dst);
        let port = ports.iter().find(|port| port.serves(socket(orig.dst, orig.dport), own));
        port.is_some_and(|port| !port.endpoints.contains(&socket(reply.src, reply.sport)))
    };
    let stale: Vec<u32> = netns
        .nf_connections()
        .filter(|(_, orig, reply)| orig.protocol == UDP && is_stale(orig, reply))
        .map(|(id, ..)| id)
        .collect();
    for id in stale {
        netns.change_netfilter(ctx, NetfilterOp::Forget(id));
    }
}

/// The built-in chain that a line of [`Rules::jumps`] is for, and the chain that it leads to.
fn ends(line: &str) -> Option<(&str, &str)> {
    Some((line.split(' ').next()?, line.rsplit(' ').next()?))
}

/// Rules as the kernel takes them, by table and chain.
pub(super) fn wanted(family: Family, rules: &Rules, sets: &[String]) -> (Wanted, Wanted) {
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let of = |chains: &[String], lines: &[String]| {
        let mut found: Wanted = chains.iter().map(|chain| (chain.as_str().into(), Vec::new())).collect();
        let places: BTreeMap<&str, usize> =
            chains.iter().enumerate().map(|(at, chain)| (chain.as_str(), at)).collect();
        for line in lines {
            let words = split(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let ["-A", chain, rest @ ..] = words.as_slice()
                && let (Some(&at), Ok(rule)) = (places.get(chain), parse_rule_with(family, &sets, rest))
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

/// The tables of one family on a node.
pub(super) struct Tables<'n, 'c, 't> {
    pub(super) netns: &'n mut Netns,
    pub(super) ctx: &'c mut Ctx<'t>,
    pub(super) family: Family,
}

impl Tables<'_, '_, '_> {
    fn change(&mut self, op: NetfilterOp) {
        self.netns.change_netfilter(self.ctx, in_family(self.family, op));
    }

    /// Makes the chains, and writes those anew whose rules are not as wanted.
    pub(super) fn write(&mut self, table: Table, wanted: &Wanted) {
        self.change(NetfilterOp::Table(table));
        for (chain, _) in wanted {
            self.change(NetfilterOp::NewChain(table, chain.clone()));
        }
        for (chain, rules) in wanted {
            let present: Vec<(u32, Arc<Rule>)> = self.netns.nf_rules(self.family, table, chain).collect();
            if present.iter().map(|(_, rule)| rule).eq(rules.iter()) {
                continue;
            }
            for (handle, _) in present {
                self.change(NetfilterOp::Delete(table, chain.clone(), handle));
            }
            for (index, rule) in rules.iter().enumerate() {
                self.change(NetfilterOp::Insert(table, chain.clone(), index as u32, rule.clone(), (0, 0)));
            }
        }
    }

    /// Puts the rules that lead to kube-proxy's chains in front of the built-in ones, where they are missing.
    pub(super) fn install_jumps(&mut self, jumps: impl Iterator<Item = (&'static str, String)>) {
        for (table, line) in jumps {
            let Some(table) = Table::from_name(table) else { continue };
            let words = split(&line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let [chain, rest @ ..] = words.as_slice() else { continue };
            let Ok(rule) = parse_rule_of(self.family, rest) else { continue };
            let rule = Arc::new(rule);
            if self.netns.nf_rules(self.family, table, chain).all(|(_, present)| present != rule) {
                self.change(NetfilterOp::Insert(table, (*chain).into(), 0, rule, (0, 0)));
            }
        }
    }

    /// Removes what iptables mode left behind, when another mode begins (`CleanupLeftovers`); chains that the kubelet
    /// makes as well stay.
    pub(super) fn clean_up(&mut self) {
        if self.netns.nf_chain_names(self.family, Table::Nat).any(|name| &*name == "KUBE-SERVICES") {
            self.remove(Rules::jumps(), &["KUBE-FIREWALL", "KUBE-MARK-MASQ"]);
        }
    }

    /// Removes these jumps, and all of kube-proxy's chains but those that are shared with others.
    pub(super) fn remove(&mut self, jumps: impl Iterator<Item = (&'static str, String)>, shared: &[&str]) {
        for (table, line) in jumps {
            let (Some(table), Some((chain, target))) = (Table::from_name(table), ends(&line)) else {
                continue;
            };
            let leads = |rule: &Rule| rule.jumps_to().is_some_and(|to| **to == *target);
            let rules: Vec<(u32, Arc<Rule>)> = self.netns.nf_rules(self.family, table, chain).collect();
            let own = rules.iter().filter(|(_, rule)| leads(rule) && !shared.contains(&target));
            for (handle, _) in own {
                self.change(NetfilterOp::Delete(table, chain.into(), *handle));
            }
        }
        for table in [Table::Filter, Table::Nat] {
            let names = self.netns.nf_chain_names(self.family, table);
            let own = names.filter(|name| name.starts_with("KUBE-") && !shared.contains(&&**name));
            for chain in own.collect::<Vec<_>>() {
                self.change(NetfilterOp::DelChain(table, chain));
            }
        }
    }

    /// Removes chains of Services and endpoints that are gone, once nothing leads to them.
    fn drop_stale(&mut self, table: Table, wanted: &Wanted) {
        let own = |chain: &str| {
            ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-"]
                .iter()
                .any(|prefix| chain.starts_with(prefix))
        };
        let kept: BTreeSet<&str> = wanted.iter().map(|(name, _)| &**name).collect();
        let names = self.netns.nf_chain_names(self.family, table);
        let stale: Vec<Arc<str>> = names.filter(|chain| own(chain) && !kept.contains(&**chain)).collect();
        for chain in stale {
            self.change(NetfilterOp::DelChain(table, chain));
        }
    }
}
