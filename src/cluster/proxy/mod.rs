//! kube-proxy's decisions: which endpoints a Service port may use, and the rules that send packets there
//! (k8s.io/kubernetes `pkg/proxy`).

mod config;
mod conntrack;
mod endpoints;
mod iptables;
mod ipvs;
mod nftables;
mod service;
mod sockets;

pub use crate::xtables::Family;
pub use conntrack::{UdpPort, udp_ports};
pub use endpoints::local_ready;
pub use iptables::{Rules, iptables, probability};
pub use ipvs::{DUMMY, IpvsPlan, SetEntry, WantedServer, ipvs, set_names};
pub use nftables::nftables;
pub use sockets::{Frontend, frontends};

use crate::api::{EndpointSlice, Service};
use crate::base::{IpNet, IpvsScheduler};
use std::collections::BTreeMap;
use std::net::IpAddr;

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
    /// How traffic of Pods is told; `None` where it cannot be.
    pub local: Option<Local>,
    /// The bit of a packet's mark that has it masqueraded, as a number.
    pub masquerade_mark: u32,
    /// `ipvs.scheduler`.
    pub scheduler: IpvsScheduler,
    /// `iptables.masqueradeAll`.
    pub masquerade_all: bool,
    /// `iptables.localhostNodePorts`.
    pub localhost_node_ports: bool,
    /// Ranges of cluster IPs (`ServiceCIDR`).
    pub service_ranges: Vec<IpNet>,
    /// Addresses of the node that `nodePortAddresses` selects; `None` where it is not set, so that all count.
    pub node_port_ips: Option<Vec<IpAddr>>,
}

/// How rules tell traffic of Pods (`LocalTrafficDetector`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// By its source, which lies in this range.
    Range(String),
    /// By the interface through which it comes, or the beginning of its name with `+` behind.
    Interface(String),
}

/// What kube-proxy has watched.
#[derive(Clone, Debug, Default)]
pub struct Watched<'a> {
    /// Services in the order of namespace and name.
    services: Vec<&'a Service>,
    /// Their slices, by namespace and name of the Service.
    slices: BTreeMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
}

impl<'a> Watched<'a> {
    /// These Services, in the order of namespace and name, and slices.
    pub fn new(services: Vec<&'a Service>, slices: impl IntoIterator<Item = &'a EndpointSlice>) -> Self {
        let mut by_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
        for slice in slices {
            if let Some(service) = slice.service() {
                by_service.entry((&slice.metadata.namespace, service)).or_default().push(slice);
            }
        }
        Self { services, slices: by_service }
    }

    /// The Services in the order of namespace and name.
    pub fn services(&self) -> impl Iterator<Item = &'a Service> + '_ {
        self.services.iter().copied()
    }

    /// The slices of a Service.
    fn slices_of(&self, service: &'a Service) -> &[&'a EndpointSlice] {
        let metadata = &service.metadata;
        self.slices.get(&(&*metadata.namespace, &*metadata.name)).map_or(&[], Vec::as_slice)
    }
}
