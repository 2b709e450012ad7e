//! kube-proxy's decisions: which endpoints a Service port may use, and the rules that send packets there
//! (k8s.io/kubernetes `pkg/proxy`).

mod endpoints;
mod iptables;
mod service;

pub use iptables::{Rules, iptables};

use crate::api::{EndpointSlice, Service};
use std::net::IpAddr;

/// Family of addresses that a set of rules is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Whether `ip` belongs to it.
    pub fn has(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == (self == Self::V4)
    }
}

/// How kube-proxy runs on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Family of the rules.
    pub family: Family,
    /// Name of the node.
    pub node: String,
    /// Zone of the node (`topology.kubernetes.io/zone`).
    pub zone: Option<String>,
    /// The node's first address.
    pub node_ip: IpAddr,
    /// Prefix of the Pods' addresses, by which traffic of Pods is told (`clusterCIDR`); `None` for no local detector.
    pub cluster_cidr: Option<String>,
    /// `iptables.masqueradeAll`.
    pub masquerade_all: bool,
    /// `iptables.localhostNodePorts`.
    pub localhost_node_ports: bool,
    /// Addresses of the node that `nodePortAddresses` selects; `None` where it is not set, so that all count.
    pub node_port_ips: Option<Vec<IpAddr>>,
}

/// What kube-proxy has watched.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// Services in the order of namespace and name.
    pub services: &'a [&'a Service],
    /// Their slices.
    pub slices: &'a [&'a EndpointSlice],
}
