//! What Calico's Felix writes into a node's filter table for network policies (projectcalico/calico, `felix/rules`,
//! version 3.29 with iptables): its own chains with the names and hashes of the original, and the sets of addresses
//! that they ask. A packet of a Pod passes `cali-fw-` of its interface, then `cali-tw-` of the destination's; each asks
//! one chain for every policy that applies, and drops what none of them marked.
//!
//! *Simplified*: policies that share a selector are not put into a chain of their own (`cali-gi-`), a set's name hashes
//! a selector written in our own way, and of the tables nat, mangle and raw nothing is written.

mod endpoint;
mod line;
mod policy;

use super::{Scope, felix::line::Line};
use crate::base::{Ipv4Addr, Ipv4Net};
use std::collections::BTreeMap;

/// Marks: accepted; passed on to the next tier; a rule's parts all fit; a rule's present part fits.
const ACCEPT: u32 = 0x1_0000;
const PASS: u32 = 0x2_0000;
const ALL_FIT: u32 = 0x4_0000;
const THIS_FITS: u32 = 0x8_0000;
const ALL_MARKS: u32 = ACCEPT | PASS | ALL_FIT | THIS_FITS;

/// How nodes are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// By routes alone.
    None,
    /// By IP in IP.
    Ipip,
    /// By VXLAN to this port.
    Vxlan(u16),
}

/// A node as Felix sees it.
#[derive(Clone, Debug)]
pub struct Host<'a> {
    /// Its Pods, by their places in the scope, with their interfaces.
    pub local: Vec<(usize, &'a str)>,
    /// Addresses of all nodes.
    pub hosts: Vec<Ipv4Addr>,
    /// How nodes are joined.
    pub tunnel: Tunnel,
}

/// What is to stand in the filter table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Felix's own chains by name, each with its rules as arguments of `iptables -A CHAIN`.
    pub chains: BTreeMap<String, Vec<String>>,
    /// Rules that stand first in a built-in chain.
    pub first: Vec<(&'static str, String)>,
    /// Rules that stand last in a built-in chain.
    pub last: Vec<(&'static str, Vec<String>)>,
    /// Sets by name.
    pub sets: BTreeMap<String, Set>,
}

/// A set of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// What its members are made of, as `ipset` names it.
    pub kind: &'static str,
    /// Members in order: a network, and protocol and port in sets of ports.
    pub members: Vec<(Ipv4Net, Option<(u8, u16)>)>,
}

impl Set {
    /// Networks in order, each once.
    fn of_nets(mut nets: Vec<Ipv4Net>) -> Self {
        nets.sort_unstable();
        nets.dedup();
        Self { kind: "hash:net", members: nets.into_iter().map(|net| (net, None)).collect() }
    }
}

fn host_net(addr: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(addr, 32)
}

impl Wanted {
    fn add(&mut self, name: &str, lines: &[Line]) {
        self.chains.insert(name.to_owned(), line::rendered(name, lines));
    }
}

/// What Felix writes on a node.
pub fn render(scope: &Scope<'_>, host: &Host<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    static_chains(&mut wanted, host);
    endpoint::chains(&mut wanted, scope, host);
    wanted
}

/// The chains that do not depend on the Pods (`StaticFilterTableChains`).
fn static_chains(wanted: &mut Wanted, host: &Host<'_>) {
    for (name, rest) in [("INPUT", "cali-INPUT"), ("FORWARD", "cali-FORWARD"), ("OUTPUT", "cali-OUTPUT")] {
        let lines = [Line::jump(rest)];
        wanted.first.extend(line::rendered(name, &lines).into_iter().map(|rule| (name, rule)));
    }
    let accepted = Line::accept().marked(ACCEPT).comment("Policy explicitly accepted packet.");
    // Rules at the end of a built-in chain are hashed as a chain of this name.
    let last = line::rendered_as("FORWARD*appends*", &[accepted, Line::set_mark(ACCEPT)]);
    wanted.last.push(("FORWARD", last));
    for name in [
        "cali-from-hep-forward",
        "cali-to-hep-forward",
        "cali-from-host-endpoint",
        "cali-to-host-endpoint",
        "cali-cidr-block",
    ] {
        wanted.add(name, &[]);
    }
    wanted.add(
        "cali-FORWARD",
        &[
            Line::clear_mark(ALL_MARKS & !ACCEPT),
            Line::jump("cali-from-hep-forward").unmarked(ACCEPT),
            Line::jump("cali-from-wl-dispatch").with("--in-interface cali+"),
            Line::jump("cali-to-wl-dispatch").with("--out-interface cali+"),
            Line::jump("cali-to-hep-forward"),
            Line::jump("cali-cidr-block"),
        ],
    );
    wanted.add(
        "cali-wl-to-host",
        &[
            Line::jump("cali-from-wl-dispatch"),
            Line::accept().comment("Configured DefaultEndpointToHostAction"),
        ],
    );
    let (mut input, mut output) = (tunnel_in(host), vec![Line::accept().marked(ACCEPT)]);
    input.push(Line::goto("cali-wl-to-host").with("--in-interface cali+"));
    input.push(Line::accept().marked(ACCEPT));
    input.extend(host_endpoint("cali-from-host-endpoint", None));
    output.push(Line::returns().with("--out-interface cali+"));
    output.extend(tunnel_out(host));
    output.extend(host_endpoint("cali-to-host-endpoint", Some("-m conntrack ! --ctstate DNAT")));
    wanted.add("cali-INPUT", &input);
    wanted.add("cali-OUTPUT", &output);
    let nets = Set::of_nets(host.hosts.iter().copied().map(host_net).collect());
    if let Some(name) = hosts_set(host.tunnel) {
        wanted.sets.insert(name.to_owned(), nets);
    }
}

/// Policies of the node's own interfaces, of which there are none here.
fn host_endpoint(chain: &str, condition: Option<&str>) -> [Line; 3] {
    let jump = Line::jump(chain);
    [
        Line::clear_mark(ALL_MARKS),
        match condition {
            Some(condition) => jump.with(condition),
            None => jump,
        },
        Line::accept().marked(ACCEPT).comment("Host endpoint policy accepted packet."),
    ]
}

/// The set of the nodes that tunnels may come from.
fn hosts_set(tunnel: Tunnel) -> Option<&'static str> {
    match tunnel {
        Tunnel::None => None,
        Tunnel::Ipip => Some("cali40all-hosts-net"),
        Tunnel::Vxlan(_) => Some("cali40all-vxlan-net"),
    }
}

fn tunnel_in(host: &Host<'_>) -> Vec<Line> {
    let Some(set) = hosts_set(host.tunnel) else { return Vec::new() };
    let (packets, hosts, from) = tunnel_words(host.tunnel);
    let local = "-m addrtype --dst-type LOCAL";
    let drop = Line::drop().with(&packets);
    vec![
        Line::accept()
            .with(&format!("{packets} -m set --match-set {set} src {local}"))
            .comment(&format!("Allow {from} packets from {hosts} hosts")),
        if host.tunnel == Tunnel::Ipip { drop } else { drop.with(local) }
            .comment(&format!("Drop {from} packets from non-{hosts} hosts")),
    ]
}

fn tunnel_out(host: &Host<'_>) -> Vec<Line> {
    let Some(set) = hosts_set(host.tunnel) else { return Vec::new() };
    let (packets, hosts, from) = tunnel_words(host.tunnel);
    let (to, local) = (format!("-m set --match-set {set} dst"), "-m addrtype --src-type LOCAL");
    let condition = if host.tunnel == Tunnel::Ipip {
        format!("{packets} {to} {local}")
    } else {
        format!("{packets} {local} {to}")
    };
    let comment = format!("Allow {from} packets to other {hosts} hosts");
    vec![Line::accept().with(&condition).comment(&comment)]
}

/// A tunnel's packets as a condition, what its nodes are called, and what it is called.
fn tunnel_words(tunnel: Tunnel) -> (String, &'static str, &'static str) {
    match tunnel {
        Tunnel::None | Tunnel::Ipip => ("-p 4".to_owned(), "Calico", "IPIP"),
        Tunnel::Vxlan(port) => {
            (format!("-p 17 -m multiport --destination-ports {port}"), "allowed", "IPv4 VXLAN")
        }
    }
}

#[cfg(test)]
mod tests;
