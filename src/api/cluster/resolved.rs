//! The cluster with all defaults filled in and all values of their real types.

use crate::api::Taint;
use crate::base::{Duration, Ipv4Addr, Ipv4Net, MacAddr};
use std::collections::BTreeMap;

/// Everything about the cluster that is no Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Nodes in the order in which they were written.
    pub nodes: Vec<NodeSpec>,
    /// The network.
    pub network: NetworkSpec,
    /// The cluster's DNS.
    pub dns: DnsSpec,
    /// Hosts that are no nodes.
    pub external: Vec<ExternalSpec>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Name.
    pub name: String,
    /// Address of `eth0` with its prefix length.
    pub address: Ipv4Addr,
    /// Prefix length of the network that `eth0` is in.
    pub prefix_len: u8,
    /// Further addresses of `eth0`.
    pub extra_addresses: Vec<Ipv4Addr>,
    /// Range of the node's Pods.
    pub pod_cidr: Ipv4Net,
    /// Default gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Text of `/etc/resolv.conf`, where it was given.
    pub resolv_conf: Option<String>,
    /// Further interfaces.
    pub interfaces: Vec<InterfaceSpec>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Whether new Pods are kept away.
    pub unschedulable: bool,
}

/// A further interface of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSpec {
    /// Name.
    pub name: String,
    /// Address with its prefix length.
    pub address: Option<Ipv4Net>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Hardware address, where it was given.
    pub mac: Option<MacAddr>,
}

/// The network of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// CNI plug-in.
    pub cni: Cni,
    /// How nodes are connected.
    pub backend: Backend,
    /// Range of all Pods.
    pub pod_cidr: Ipv4Net,
    /// Range of all Services.
    pub service_cidr: Ipv4Net,
    /// MTU of the nodes' network in bytes.
    pub mtu: u32,
    /// The VXLAN.
    pub vxlan: VxlanSpec,
    /// Address allocation.
    pub ipam: IpamSpec,
    /// Kind of the nodes' `eth0`.
    pub nic: Nic,
    /// Delays that were given.
    pub delays: Delays,
}

/// A CNI plug-in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cni {
    /// The bridge plug-in alone.
    Bridge,
    /// flannel.
    #[default]
    Flannel,
    /// Calico.
    Calico,
    /// Cilium.
    Cilium,
}

/// How the nodes' Pod networks are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// VXLAN tunnels.
    #[default]
    Vxlan,
    /// Routes to the other nodes.
    HostGw,
    /// GRE tunnels.
    Gre,
    /// IP-in-IP tunnels.
    Ipip,
    /// `IPsec` tunnels.
    Ipsec,
    /// Routes learned by BGP.
    Bgp,
    /// Routes learned by OSPF.
    Ospf,
    /// Routes learned by RIP.
    Rip,
    /// Routes that somebody wrote.
    Static,
}

/// Kind of a node's `eth0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nic {
    /// One end of a veth pair, as in kind.
    #[default]
    Veth,
    /// A physical device.
    Physical,
}

/// The VXLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VxlanSpec {
    /// VXLAN network identifier.
    pub vni: u32,
    /// UDP port.
    pub port: u16,
    /// Whether the device learns where hardware addresses are.
    pub learning: bool,
}

/// Address allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpamSpec {
    /// First host number handed out; host-local's own is 2, after the gateway.
    pub range_start: u32,
}

/// The cluster's DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSpec {
    /// Domain of the cluster.
    pub cluster_domain: String,
    /// Address of the DNS Service.
    pub service_ip: Ipv4Addr,
}

/// A host that is no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSpec {
    /// Name.
    pub name: String,
    /// Address.
    pub address: Ipv4Addr,
    /// Prefix length of the network that it is in.
    pub prefix_len: u8,
    /// Whether it forwards packets.
    pub router: bool,
    /// TCP ports that answer.
    pub ports: Vec<u16>,
    /// Router that leads there; `None` on the nodes' own network.
    pub behind: Option<String>,
}

/// Delays that were given in the cluster document; `None` for the simulation's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// From one end of a veth pair to the other.
    pub veth: Option<Duration>,
    /// Through a bridge.
    pub bridge: Option<Duration>,
    /// Through the forward path of the IP stack.
    pub forward: Option<Duration>,
    /// Up to a socket.
    pub input: Option<Duration>,
    /// Down from a socket.
    pub output: Option<Duration>,
    /// Through encapsulation or decapsulation.
    pub vxlan: Option<Duration>,
    /// Along a cable of the nodes' network.
    pub link: Option<Duration>,
}

impl Cni {
    /// Every plug-in, with its name in the cluster document.
    pub const ALL: [(&'static str, Self); 4] = [
        ("bridge", Self::Bridge),
        ("flannel", Self::Flannel),
        ("calico", Self::Calico),
        ("cilium", Self::Cilium),
    ];
}

impl Backend {
    /// Every backend, with its name in the cluster document.
    pub const ALL: [(&'static str, Self); 9] = [
        ("vxlan", Self::Vxlan),
        ("host-gw", Self::HostGw),
        ("gre", Self::Gre),
        ("ipip", Self::Ipip),
        ("ipsec", Self::Ipsec),
        ("bgp", Self::Bgp),
        ("ospf", Self::Ospf),
        ("rip", Self::Rip),
        ("static", Self::Static),
    ];
}

impl Nic {
    /// Every kind, with its name in the cluster document.
    pub const ALL: [(&'static str, Self); 2] = [("veth", Self::Veth), ("physical", Self::Physical)];
}
