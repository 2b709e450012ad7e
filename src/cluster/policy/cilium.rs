//! What Cilium's agent writes for network policies (cilium/cilium, `pkg/policy`): for each endpoint and direction the
//! identities and ports that may pass. Pods are known by the identities of their labels, addresses outside the cluster
//! by identities of their ranges, which are entered into the ipcache.

use super::{Scope, protocol_name};
use crate::api::{IpBlock, NetworkPolicy, PolicyPeer, PolicyPort, PolicyType, PortRef, Protocol};
use crate::base::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};

/// Identities that are reserved (`pkg/identity/numericidentity.go`).
const HOST: u32 = 1;
const WORLD: u32 = 2;
/// Identities of ranges count from here (`LocalIdentityFlag`).
pub const FIRST_RANGE: u32 = (1 << 24) + 1;

/// Identities.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    /// Of the Pods, in the order of the scope.
    pub pods: Vec<u32>,
    /// Of ranges of addresses outside the cluster.
    pub ranges: BTreeMap<Ipv4Net, u32>,
}

/// What may pass: direction, identity of the far end, protocol and port; zeros stand for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Whether it is about what the endpoint sends.
    pub egress: bool,
    /// Identity of the far end.
    pub identity: u32,
    /// IP protocol number.
    pub protocol: u8,
    /// Port.
    pub port: u16,
    /// How many bits of it count.
    pub port_len: u8,
}

/// The entries of an endpoint's policy map, each with the policy it is made from.
pub type PolicyMap = BTreeMap<Key, String>;

/// A range without its exceptions, as ranges (`ip.RemoveCIDRs`).
pub fn without_exceptions(block: &IpBlock) -> Vec<Ipv4Net> {
    let Ok(net) = block.cidr.parse::<Ipv4Net>() else { return Vec::new() };
    let except: Vec<Ipv4Net> = block.except.iter().filter_map(|net| net.parse().ok()).collect();
    let mut out = Vec::new();
    split(net.trunc(), &except, &mut out);
    out
}

fn split(net: Ipv4Net, except: &[Ipv4Net], out: &mut Vec<Ipv4Net>) {
    if except.iter().any(|other| other.contains(&net)) {
        return;
    }
    if !except.iter().any(|other| net.contains(other)) {
        return out.push(net);
    }
    if let Ok(halves) = net.subnets(net.prefix_len() + 1) {
        halves.for_each(|half| split(half, except, out));
    }
}

/// All ranges that policies name; all addresses together are the world, which has an identity of its own.
pub fn ranges(scope: &Scope<'_>) -> BTreeSet<Ipv4Net> {
    let directions = [PolicyType::Ingress, PolicyType::Egress];
    let rules = scope.policies.iter().flat_map(|policy| directions.map(|way| policy.rules(way))).flatten();
    let peers = rules.flat_map(|(peers, _)| peers);
    let nets = peers.filter_map(|peer| peer.ip_block.as_ref()).flat_map(without_exceptions);
    nets.filter(|net| net.prefix_len() > 0).collect()
}

/// The policy map of the Pod at `at`.
pub fn policy_map(scope: &Scope<'_>, at: usize, identities: &Identities) -> PolicyMap {
    let mut map = PolicyMap::new();
    for direction in [PolicyType::Ingress, PolicyType::Egress] {
        let egress = direction == PolicyType::Egress;
        let any = Key { egress, identity: 0, protocol: 0, port: 0, port_len: 0 };
        let mut isolated = false;
        for policy in scope.isolating(at, direction) {
            isolated = true;
            let mut writer = Writer { scope, identities, at, policy, any, map: &mut map };
            for (peers, ports) in policy.rules(direction) {
                writer.rule(peers, ports);
            }
        }
        if !isolated {
            map.insert(any, String::new());
        } else if !egress {
            // The node itself always reaches its Pods (`--allow-localhost=always`), as the kubelet's probes have to.
            map.entry(Key { identity: HOST, ..any }).or_insert_with(|| "reserved:host".to_owned());
        }
    }
    map
}

/// Writes the rules of one policy.
struct Writer<'w, 's> {
    scope: &'w Scope<'s>,
    identities: &'w Identities,
    at: usize,
    policy: &'s NetworkPolicy,
    any: Key,
    map: &'w mut PolicyMap,
}

impl Writer<'_, '_> {
    fn rule(&mut self, peers: &[PolicyPeer], ports: &[PolicyPort]) {
        let far = if peers.is_empty() {
            BTreeSet::from([0])
        } else {
            peers.iter().flat_map(|peer| self.identities_of(peer)).collect()
        };
        for identity in far {
            if ports.is_empty() {
                self.admit(Key { identity, ..self.any });
            }
            for port in ports {
                self.port(identity, port);
            }
        }
    }

    fn admit(&mut self, key: Key) {
        let origin = || format!("NetworkPolicy/{}", self.policy.metadata.namespaced_name());
        self.map.entry(key).or_insert_with(origin);
    }

    /// The identities of a peer. A range selects no Pod, whatever its address (cilium/cilium issue 9209).
    fn identities_of(&self, peer: &PolicyPeer) -> Vec<u32> {
        let Some(block) = &peer.ip_block else {
            let namespace = &self.policy.metadata.namespace;
            let is_peer = |at: &usize| self.scope.peer_is_pod(namespace, peer, *at);
            return (0..self.scope.pods.len()).filter(is_peer).map(|at| self.identities.pods[at]).collect();
        };
        let nets = without_exceptions(block);
        let inside = |range: &Ipv4Net| nets.iter().any(|net| net.contains(range));
        let known = self.identities.ranges.iter().filter(|(range, _)| inside(range)).map(|(_, id)| *id);
        let everywhere = nets.iter().any(|net| net.prefix_len() == 0).then_some(WORLD);
        known.chain(everywhere).collect()
    }

    fn port(&mut self, identity: u32, port: &PolicyPort) {
        let key = Key { identity, protocol: protocol_number(port.protocol), ..self.any };
        match &port.port {
            None => self.admit(key),
            Some(PortRef::Number(first)) => {
                for (port, port_len) in prefixes(*first, port.end_port.unwrap_or(*first)) {
                    self.admit(Key { port, port_len, ..key });
                }
            }
            Some(PortRef::Name(name)) => self.named(key, name, port.protocol),
        }
    }

    /// A name stands for the numbers that the destination gives it: the endpoint itself for ingress; for egress each
    /// Pod that may be meant, under its own identity.
    fn named(&mut self, key: Key, name: &str, protocol: Protocol) {
        let numbers = |at: usize| self.scope.pods[at].named_ports(name, protocol).collect::<Vec<_>>();
        let found: Vec<(u32, u16)> = if key.egress {
            let meant = |at: &usize| {
                self.scope.pods[*at].is_selectable()
                    && (key.identity == 0 || self.identities.pods[*at] == key.identity)
            };
            let pods = (0..self.scope.pods.len()).filter(meant);
            pods.flat_map(|at| numbers(at).into_iter().map(move |port| (at, port)))
                .map(|(at, port)| (self.identities.pods[at], port))
                .collect()
        } else {
            numbers(self.at).into_iter().map(|port| (key.identity, port)).collect()
        };
        for (identity, port) in found {
            self.admit(Key { identity, port, port_len: 16, ..key });
        }
    }
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol_name(protocol) {
        "TCP" => 6,
        "UDP" => 17,
        _ => 132,
    }
}

/// A range of ports as prefixes (`policyapi.PortRangeToMaskedPorts`): first port and how many bits count.
fn prefixes(first: u16, last: u16) -> Vec<(u16, u8)> {
    let mut out = Vec::new();
    let (mut next, last) = (u32::from(first), u32::from(last));
    while next <= last {
        // The largest block that begins here and does not go beyond the end.
        let aligned = if next == 0 { 16 } else { next.trailing_zeros().min(16) };
        let fits = (0..=aligned).rev().find(|bits| next + (1 << bits) - 1 <= last).unwrap_or(0);
        out.push((next as u16, 16 - fits as u8));
        next += 1 << fits;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_becomes_prefixes() {
        assert_eq!(prefixes(80, 80), [(80, 16)]);
        assert_eq!(prefixes(80, 84), [(80, 14), (84, 16)]);
        assert_eq!(prefixes(0, 65_535), [(0, 0)]);
        assert_eq!(prefixes(1, 3), [(1, 16), (2, 15)]);
        assert_eq!(prefixes(65_534, 65_535), [(65_534, 15)]);
    }

    #[test]
    fn exceptions_are_cut_out_of_a_range() {
        let block = |cidr: &str, except: &[&str]| IpBlock {
            cidr: cidr.to_owned(),
            except: except.iter().map(ToString::to_string).collect(),
        };
        let text = |block: &IpBlock| {
            without_exceptions(block).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(&block("10.0.0.0/24", &[])), "10.0.0.0/24");
        assert_eq!(text(&block("10.0.0.0/24", &["10.0.0.64/26"])), "10.0.0.0/26 10.0.0.128/25");
        assert_eq!(text(&block("10.0.0.0/24", &["10.0.0.0/24"])), "");
        assert_eq!(text(&block("fd00::/8", &[])), "");
    }
}
