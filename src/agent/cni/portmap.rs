//! The plug-in portmap (containernetworking/plugins, `plugins/meta/portmap`): ports of a node that lead to a Pod, as
//! rules of the node's table nat.
//!
//! Cilium does the same in eBPF; *not modelled*: there no port of a node leads to a Pod.

use crate::agent::world::{World, with};
use crate::api::{Pod, Protocol};
use crate::base::{Ipv4Addr, Ipv4Net, NetnsId};
use crate::kernel::{Ctx, NetfilterOp, Netns};
use crate::xtables::{Family, Table, parse_rule};
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

const DNAT: &str = "CNI-HOSTPORT-DNAT";
const MASQ: &str = "CNI-HOSTPORT-MASQ";
const SETMARK: &str = "CNI-HOSTPORT-SETMARK";
/// The bit that says that a packet needs the node's address (`DefaultMarkBit` 13).
const MARK: &str = "0x2000/0x2000";

/// A Pod's call: name of the network, container id, address with the length of its prefix.
pub(in crate::agent) struct Mapped<'a> {
    pub(in crate::agent) network: &'a str,
    pub(in crate::agent) container: &'a str,
    pub(in crate::agent) addr: Ipv4Addr,
    pub(in crate::agent) prefix_len: u8,
}

/// Ports of a node that a Pod wants: protocol, port of the node, port of the Pod, address of the node.
type Wanted = Vec<(&'static str, u16, u16, Option<String>)>;

fn wanted(pod: &Pod) -> Wanted {
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    let ports = containers.flat_map(|container| &container.ports).filter_map(|port| {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        let address = port.host_ip.clone().filter(|ip| !ip.is_empty() && ip != "0.0.0.0");
        Some((protocol, port.host_port.filter(|number| *number != 0)?, port.container_port, address))
    });
    ports.collect()
}

/// Whether a Pod wants ports of its node.
pub(in crate::agent) fn has_ports(pod: &Pod) -> bool {
    !pod.spec.host_network && !wanted(pod).is_empty()
}

/// Name of a Pod's own chain (`MustFormatChainNameWithPrefix`): 28 letters.
fn chain_of(network: &str, container: &str) -> String {
    let digest = Sha512::digest(format!("{network}{container}"));
    let mut hex = String::new();
    for byte in digest.iter().take(16) {
        let _ = write!(hex, "{byte:02x}");
    }
    format!("CNI-DN-{}", &hex[..21])
}

/// Where in its chain a rule comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// Appends a rule, unless it is there.
fn append(netns: &mut Netns, ctx: &mut Ctx<'_>, chain: &str, words: &[&str]) {
    insert(netns, ctx, (chain, End::Last), words);
}

/// Puts a rule to one end of a chain, unless it is there (`insertUnique`).
fn insert(netns: &mut Netns, ctx: &mut Ctx<'_>, (chain, end): (&str, End), words: &[&str]) {
    let Ok(rule) = parse_rule(words) else {
        debug_assert!(false, "the plug-in's rules can be read: {words:?}");
        return;
    };
    let rule = Arc::new(rule);
    let present: Vec<_> = netns.nf_rules(Family::V4, Table::Nat, chain).map(|(_, rule)| rule).collect();
    if !present.contains(&rule) {
        let place = if end == End::First { 0 } else { present.len() as u32 };
        netns.change_netfilter(ctx, NetfilterOp::Insert(Table::Nat, chain.into(), place, rule, (0, 0)));
    }
}

/// The chains that all Pods share.
fn prepare(netns: &mut Netns, ctx: &mut Ctx<'_>) {
    for chain in [DNAT, MASQ, SETMARK] {
        netns.change_netfilter(ctx, NetfilterOp::NewChain(Table::Nat, chain.into()));
    }
    for hook in ["PREROUTING", "OUTPUT"] {
        append(netns, ctx, hook, &["-m", "addrtype", "--dst-type", "LOCAL", "-j", DNAT]);
    }
    let why = ["-m", "comment", "--comment"];
    // Before all others, as it has to see the packet before another rule takes it (`prependEntry`).
    let jump = ["CNI portfwd requiring masquerade", "-j", MASQ];
    insert(netns, ctx, ("POSTROUTING", End::First), &[&why[..], &jump].concat());
    append(netns, ctx, MASQ, &["-m", "mark", "--mark", MARK, "-j", "MASQUERADE"]);
    let mark = ["CNI portfwd masquerade mark", "-j", "MARK", "--set-xmark", MARK];
    append(netns, ctx, SETMARK, &[&why[..], &mark[..]].concat());
}

/// `ADD`: what comes to the ports goes to the Pod.
pub(in crate::agent) fn add(world: &mut dyn World, node: NetnsId, pod: &Pod, call: &Mapped<'_>) {
    let ports = wanted(pod);
    let chain = chain_of(call.network, call.container);
    let comment = format!("dnat name: \"{}\" id: \"{}\"", call.network, call.container);
    let own = Ipv4Net::new(call.addr, call.prefix_len)
        .map_or_else(|_| call.addr.to_string(), |net| net.trunc().to_string());
    let mut by_protocol: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (protocol, port, _, _) in &ports {
        by_protocol.entry(protocol).or_default().push(port.to_string());
    }
    with(world, node, |netns, ctx| {
        // So that 127.0.0.0/8 can leave by the interface that leads to the Pod (`enableLocalnetRouting`).
        let way = netns.ip_route_output(ctx.now, call.addr, None, None).ok();
        if let Some(link) = way.and_then(|flow| netns.link(flow.oif)) {
            let setting = format!("net.ipv4.conf.{}.route_localnet", link.name);
            netns.set_sysctl(ctx, &setting, "1");
        }
        prepare(netns, ctx);
        netns.change_netfilter(ctx, NetfilterOp::NewChain(Table::Nat, chain.as_str().into()));
        for (protocol, numbers) in &by_protocol {
            // One rule takes at most 15 ports.
            for numbers in numbers.chunks(15) {
                let list = numbers.join(",");
                let words = [
                    "-p",
                    protocol,
                    "-m",
                    "comment",
                    "--comment",
                    &comment,
                    "-m",
                    "multiport",
                    "--dports",
                    &list,
                    "-j",
                    &chain,
                ];
                append(netns, ctx, DNAT, &words);
            }
        }
        for (protocol, port, inner, address) in &ports {
            let (port, to) = (port.to_string(), format!("{}:{inner}", call.addr));
            let mut at: Vec<&str> = vec!["-p", protocol];
            if let Some(address) = address {
                at.extend(["-d", address]);
            }
            at.extend(["-m", protocol, "--dport", &port]);
            // What comes from the Pod itself or from the node's loopback has to come back here.
            for from in [own.as_str(), "127.0.0.1/32"] {
                append(netns, ctx, &chain, &[&["-s", from], &at[..], &["-j", SETMARK]].concat());
            }
            append(netns, ctx, &chain, &[&at[..], &["-j", "DNAT", "--to-destination", &to]].concat());
        }
    });
}

/// `DEL`: the Pod's rules go.
pub(in crate::agent) fn del(world: &mut dyn World, node: NetnsId, call: &Mapped<'_>) {
    let chain = chain_of(call.network, call.container);
    with(world, node, |netns, ctx| {
        let jumps: Vec<u32> = netns
            .nf_rules(Family::V4, Table::Nat, DNAT)
            .filter(|(_, rule)| rule.jumps_to().is_some_and(|target| **target == *chain))
            .map(|(handle, _)| handle)
            .collect();
        for handle in jumps {
            netns.change_netfilter(ctx, NetfilterOp::Delete(Table::Nat, DNAT.into(), handle));
        }
        netns.change_netfilter(ctx, NetfilterOp::DelChain(Table::Nat, chain.as_str().into()));
    });
}
