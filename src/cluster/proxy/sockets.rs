//! What Cilium's agent writes for its programs at the socket (cilium/cilium, `pkg/loadbalancer`): each address of a
//! Service with the endpoints that sockets of this node may reach by it.

use super::endpoints::{Target, categorize};
use super::service::Port;
use super::{Config, Watched};
use crate::api::Protocol;
use std::net::{IpAddr, SocketAddr};

/// An address of a Service's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// Name of the port, as `namespace/name:port`.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Address and port.
    pub address: SocketAddr,
    /// Endpoints.
    pub endpoints: Vec<SocketAddr>,
}

/// All addresses: cluster IPs, those outside, and node ports at the addresses of every node. What comes from inside the
/// cluster may reach all endpoints by the ways in from outside; `internalTrafficPolicy` restricts the cluster IP.
pub fn frontends(config: &Config, watched: &Watched<'_>, nodes: &[IpAddr]) -> Vec<Frontend> {
    let mut out = Vec::new();
    for port in watched.services.iter().flat_map(|&service| Port::all(service, config.family)) {
        let found = categorize(&port, watched, config);
        let sockets = |targets: &[Target]| {
            targets.iter().filter_map(|target| target.text.parse().ok()).collect::<Vec<_>>()
        };
        let inside = sockets(if port.is_internal_local() { &found.local } else { &found.cluster });
        let outside = sockets(&found.cluster);
        let mut add = |ip: IpAddr, number: u16, endpoints: &Vec<SocketAddr>| {
            out.push(Frontend {
                name: port.name(),
                protocol: port.spec.protocol,
                address: SocketAddr::new(ip, number),
                endpoints: endpoints.clone(),
            });
        };
        add(port.cluster_ip, port.spec.port, &inside);
        for &ip in port.external_ips.iter().chain(&port.load_balancer_ips) {
            add(ip, port.spec.port, &outside);
        }
        if port.spec.node_port != 0 {
            for &node in nodes {
                add(node, port.spec.node_port, &outside);
            }
        }
    }
    out
}
