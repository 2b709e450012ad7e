//! From the cluster's settings to those of one kube-proxy on one node (`cmd/kube-proxy/app`).

use super::{Config, Family, Local};
use crate::api::{ClusterSpec, LocalTraffic, NodePortAddresses, NodeSpec};
use crate::base::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Config {
    /// Those of the kube-proxy on `node` for this family; `None` where the node has no address of it.
    pub fn of(family: Family, node: &NodeSpec, cluster: &ClusterSpec) -> Option<Self> {
        let addresses = addresses(family, node);
        let spec = &cluster.proxy;
        Some(Self {
            family,
            node: node.name.clone(),
            zone: node.labels.get("topology.kubernetes.io/zone").cloned(),
            node_ip: *addresses.first()?,
            local: local(family, node, &spec.local),
            scheduler: spec.scheduler,
            masquerade_mark: 1 << spec.masquerade_bit,
            masquerade_all: spec.masquerade_all,
            localhost_node_ports: spec.localhost_node_ports,
            service_ranges: Some(IpNet::V4(cluster.network.service_cidr))
                .filter(|range| family.has(range.addr()))
                .into_iter()
                .collect(),
            node_port_ips: node_port_ips(family, &addresses, &spec.node_port_addresses),
        })
    }

    /// Whether node ports are to work on the loopback address, which needs `route_localnet`
    /// (`localhostNodePorts && nodePortAddresses.ContainsIPv4Loopback()`).
    pub fn wants_localnet(&self) -> bool {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.family == Family::V4
            && self.localhost_node_ports
            && self.node_port_ips.as_ref().is_none_or(|ips| ips.contains(&loopback))
    }
}

/// The node's addresses of a family, its first one first.
fn addresses(family: Family, node: &NodeSpec) -> Vec<IpAddr> {
    match family {
        Family::V4 => std::iter::once(node.address)
            .chain(node.extra_addresses.iter().copied())
            .map(IpAddr::V4)
            .collect(),
        Family::V6 => node.addresses6.iter().copied().map(IpAddr::V6).collect(),
    }
}

fn local(family: Family, node: &NodeSpec, traffic: &LocalTraffic) -> Option<Local> {
    match traffic {
        LocalTraffic::Unknown => None,
        LocalTraffic::Ranges(ranges) => {
            let own = ranges.iter().find(|range| family.has(range.addr()));
            own.map(|range| Local::Range(range.to_string()))
        }
        LocalTraffic::NodeRange => (family == Family::V4).then(|| Local::Range(node.pod_cidr.to_string())),
        LocalTraffic::Bridge(name) => Some(Local::Interface(name.clone())),
        LocalTraffic::Interfaces(prefix) => Some(Local::Interface(format!("{prefix}+"))),
    }
}

/// The addresses that take traffic for node ports (`NodePortAddresses.GetNodeIPs`); `None` for all that are the
/// node's own.
fn node_port_ips(family: Family, addresses: &[IpAddr], wanted: &NodePortAddresses) -> Option<Vec<IpAddr>> {
    let ranges: Vec<&IpNet> = match wanted {
        NodePortAddresses::Primary => return Some(addresses.first().copied().into_iter().collect()),
        NodePortAddresses::Ranges(ranges) => ranges.iter().filter(|range| family.has(range.addr())).collect(),
    };
    if ranges.is_empty() || ranges.iter().any(|range| range.prefix_len() == 0) {
        return None;
    }
    let loopback = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let all = std::iter::once(loopback).chain(addresses.iter().copied());
    Some(all.filter(|ip| ranges.iter().any(|range| range.contains(ip))).collect())
}
