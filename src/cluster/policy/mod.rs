//! Network policies as pure functions: which of them select a Pod, which traffic their rules are about, and what each
//! plug-in makes of them. What a packet meets follows from the rules that the plug-ins write, never from here; that
//! both say the same is tested.

pub mod admin;
pub mod cilium;
mod decide;
pub mod felix;
mod say;

pub use decide::{Answer, Applied, Verdict, decide};
pub use say::sentences;

use crate::api::{
    AdminNetworkPolicy, IpBlock, NetworkPolicy, Pod, PolicyPeer, PolicyPort, PolicyType, PortRef, Protocol,
    RestartPolicy,
};
use crate::base::{Ipv4Addr, Ipv4Net};
use std::collections::BTreeMap;

/// Labels of the namespaces by name.
pub type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// A Pod that has an address.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// The Pod.
    pub pod: &'a Pod,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its node.
    pub node: &'a str,
}

/// What policies are about.
#[derive(Clone, Debug, Default)]
pub struct Scope<'a> {
    /// The Pods.
    pub pods: Vec<Endpoint<'a>>,
    /// The namespaces.
    pub namespaces: Namespaces,
    /// The policies.
    pub policies: Vec<&'a NetworkPolicy>,
    /// Those of the administrators that the plug-in enforces, in the order in which they are asked.
    pub admin: Vec<&'a AdminNetworkPolicy>,
    /// What an `ipBlock` covers.
    pub blocks: Blocks,
}

/// What an `ipBlock` covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocks {
    /// Every address, those of Pods and nodes too, as where addresses are matched.
    #[default]
    All,
    /// Addresses outside the cluster alone, as where a Pod is known by its identity (cilium/cilium issue 9209).
    Outside,
}

/// One end of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A Pod, by its place in [`Scope::pods`].
    Pod(usize),
    /// Somebody else's address.
    Address(Ipv4Addr),
}

/// A packet as policies see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where it comes from.
    pub src: End,
    /// Where it goes, behind every Service.
    pub dst: End,
    /// Protocol.
    pub protocol: Protocol,
    /// Destination port.
    pub port: u16,
}

impl Endpoint<'_> {
    /// Whether policies select it: a Pod with `hostNetwork` is the node to them.
    pub fn is_selectable(&self) -> bool {
        !self.pod.spec.host_network
    }

    /// The numbers that its containers give to a port name of this protocol.
    pub fn named_ports<'s>(&'s self, name: &'s str, protocol: Protocol) -> impl Iterator<Item = u16> + 's {
        let spec = &self.pod.spec;
        let sidecars = spec
            .init_containers
            .iter()
            .filter(|container| container.restart_policy == Some(RestartPolicy::Always));
        let ports = spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
        ports
            .filter(move |port| port.name.as_deref() == Some(name) && port.protocol == protocol)
            .map(|port| port.container_port)
    }
}

impl<'a> Scope<'a> {
    /// The Pods that a policy applies to, by their places.
    pub fn selected(&self, policy: &NetworkPolicy) -> Vec<usize> {
        (0..self.pods.len()).filter(|&at| self.applies(policy, at)).collect()
    }

    /// Whether a policy applies to a Pod.
    pub fn applies(&self, policy: &NetworkPolicy, at: usize) -> bool {
        let endpoint = &self.pods[at];
        endpoint.is_selectable()
            && endpoint.pod.metadata.namespace == policy.metadata.namespace
            && policy.spec.pod_selector.matches(&endpoint.pod.metadata.labels)
    }

    /// The policies that isolate a Pod in a direction, in the order of their names.
    pub fn isolating(&self, at: usize, direction: PolicyType) -> impl Iterator<Item = &'a NetworkPolicy> {
        self.policies
            .iter()
            .copied()
            .filter(move |policy| policy.isolates(direction) && self.applies(policy, at))
    }

    /// Whether a peer of a policy in this namespace is the Pod.
    pub fn peer_is_pod(&self, namespace: &str, peer: &PolicyPeer, at: usize) -> bool {
        let endpoint = &self.pods[at];
        if !endpoint.is_selectable() {
            return false;
        }
        let own = &endpoint.pod.metadata.namespace;
        let in_namespace = match &peer.namespace_selector {
            None => own == namespace,
            Some(selector) => self.namespaces.get(own).is_some_and(|labels| selector.matches(labels)),
        };
        let selects = |selector: &crate::api::LabelSelector| selector.matches(&endpoint.pod.metadata.labels);
        peer.ip_block.is_none() && in_namespace && peer.pod_selector.as_ref().is_none_or(selects)
    }

    /// The address of an end.
    pub fn address(&self, end: End) -> Ipv4Addr {
        match end {
            End::Pod(at) => self.pods[at].ip,
            End::Address(addr) => addr,
        }
    }

    fn peer_is(&self, namespace: &str, peer: &PolicyPeer, end: End) -> bool {
        match (&peer.ip_block, end) {
            (Some(_), End::Pod(_)) if self.blocks == Blocks::Outside => false,
            (Some(block), _) => block_contains(block, self.address(end)),
            (None, End::Pod(at)) => self.peer_is_pod(namespace, peer, at),
            (None, End::Address(_)) => false,
        }
    }

    /// Whether a rule is about a port of the destination.
    fn port_is(&self, port: &PolicyPort, packet: &Packet) -> bool {
        if port.protocol != packet.protocol {
            return false;
        }
        match (&port.port, packet.dst) {
            (None, _) => true,
            (Some(PortRef::Number(number)), _) => {
                (*number..=port.end_port.unwrap_or(*number)).contains(&packet.port)
            }
            // A name is looked up at the destination; it matches nothing where no container uses it.
            (Some(PortRef::Name(name)), End::Pod(at)) => {
                self.pods[at].named_ports(name, port.protocol).any(|number| number == packet.port)
            }
            (Some(PortRef::Name(_)), End::Address(_)) => false,
        }
    }

    /// The first rule of a policy that admits a packet in a direction, by its place.
    pub fn admitting_rule(
        &self,
        policy: &NetworkPolicy,
        direction: PolicyType,
        packet: &Packet,
    ) -> Option<usize> {
        let other = match direction {
            PolicyType::Ingress => packet.src,
            PolicyType::Egress => packet.dst,
        };
        let namespace = &policy.metadata.namespace;
        policy.rules(direction).iter().position(|(peers, ports)| {
            (peers.is_empty() || peers.iter().any(|peer| self.peer_is(namespace, peer, other)))
                && (ports.is_empty() || ports.iter().any(|port| self.port_is(port, packet)))
        })
    }
}

/// Whether a range without its exceptions holds an address. IPv6 ranges hold no address here.
pub fn block_contains(block: &IpBlock, addr: Ipv4Addr) -> bool {
    let holds = |range: &String| range.parse::<Ipv4Net>().is_ok_and(|net| net.contains(&addr));
    holds(&block.cidr) && !block.except.iter().any(holds)
}

/// A protocol's name in the API.
pub fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}
