//! Which connections of UDP lead to endpoints that are gone (`pkg/proxy/conntrack/cleanup.go`). A connection of TCP ends
//! with its endpoint; one of UDP would go on into nowhere as long as its client sends.

use super::endpoints::categorize;
use super::service::Port;
use super::{Config, Watched};
use crate::api::Protocol;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// A port of a Service over UDP, with the endpoints that it has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpPort {
    /// Its addresses: cluster IP, external IPs, those of the load balancer.
    pub ips: Vec<IpAddr>,
    /// Its port at these addresses.
    pub port: u16,
    /// Its port at the addresses of the node; 0 for none.
    pub node_port: u16,
    /// Its endpoints.
    pub endpoints: BTreeSet<SocketAddr>,
}

impl UdpPort {
    /// Whether a connection to `to` is this port's; `is_own` says whether that is an address of the node.
    pub fn serves(&self, to: SocketAddr, is_own: bool) -> bool {
        (self.port == to.port() && self.ips.contains(&to.ip()))
            || (is_own && self.node_port != 0 && self.node_port == to.port())
    }
}

/// All ports over UDP.
pub fn udp_ports(config: &Config, watched: &Watched<'_>) -> Vec<UdpPort> {
    let ports = watched.services.iter().flat_map(|&service| Port::all(service, config.family));
    let udp = ports.filter(|port| port.spec.protocol == Protocol::Udp);
    udp.map(|port| {
        let endpoints = categorize(&port, watched, config).reachable;
        let outside = port.external_ips.iter().chain(&port.load_balancer_ips).copied();
        UdpPort {
            ips: std::iter::once(port.cluster_ip).chain(outside).collect(),
            port: port.spec.port,
            node_port: port.spec.node_port,
            endpoints: endpoints.iter().filter_map(|target| target.text.parse().ok()).collect(),
        }
    })
    .collect()
}
