//! The cluster with all defaults filled in and all values of their real types.

use crate::api::{KubeProxySpec, Taint};
use crate::base::{Duration, Ipv4Addr, Ipv4Net, MacAddr};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// Everything about the cluster that is no Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Nodes in the order in which they were written.
    pub nodes: Vec<NodeSpec>,
    /// The network.
    pub network: NetworkSpec,
    /// The cluster's DNS.
    pub dns: DnsSpec,
    /// kube-proxy.
    pub proxy: KubeProxySpec,
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
    /// Addresses of IPv6, of which only rules know.
    pub addresses6: Vec<Ipv6Addr>,
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
    /// What Pods may use of its resources, by name; what is not named is there without end.
    pub allocatable: BTreeMap<String, String>,
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
    /// How nodes are connected; `None` for not at all.
    pub backend: Option<Backend>,
    /// Range of all Pods.
    pub pod_cidr: Ipv4Net,
    /// Range of all Services.
    pub service_cidr: Ipv4Net,
    /// Range of the addresses that load balancers are given, in the nodes' network.
    pub balancer_pool: Ipv4Net,
    /// MTU of the nodes' network in bytes.
    pub mtu: u32,
    /// The VXLAN.
    pub vxlan: VxlanSpec,
    /// GRE tunnels.
    pub gre: GreSpec,
    /// Address allocation.
    pub ipam: IpamSpec,
    /// The plug-in bridge, by itself or as flannel delegates to it.
    pub bridge: BridgeSpec,
    /// Whether nodes of one network talk without flannel's tunnel.
    pub direct_routing: bool,
    /// Calico.
    pub calico: CalicoSpec,
    /// Kind of the nodes' `eth0`.
    pub nic: Nic,
    /// Whether packets of one connection pass netfilter side by side and clash, as in kernels before 5.0.
    pub conntrack_race: bool,
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
    /// Group that frames for unknown addresses go to, in place of what flannel programs.
    pub group: Option<Ipv4Addr>,
}

/// GRE tunnels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GreSpec {
    /// Key that all packets have.
    pub key: Option<u32>,
    /// Whether packets have a checksum.
    pub checksum: bool,
    /// Whether packets are numbered.
    pub sequence: bool,
}

impl GreSpec {
    /// Bytes that a tunnel adds: the outer IPv4 header, and GRE with the fields that are on (RFC 2784, RFC 2890).
    pub const fn overhead(self) -> u32 {
        let fields = self.checksum as u32 + self.key.is_some() as u32 + self.sequence as u32;
        Backend::Gre.overhead() + 4 * fields
    }
}

/// Address allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpamSpec {
    /// First host number handed out; host-local's own is 2, after the gateway.
    pub range_start: u32,
}

/// Settings of the plug-in bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the plug-in under its own name")]
pub struct BridgeSpec {
    /// Whether packets that leave the node's Pods bear its address.
    pub ip_masq: bool,
    /// Whether the bridge has the gateway's address.
    pub is_gateway: bool,
    /// Whether frames may go out where they came in.
    pub hairpin_mode: bool,
    /// Whether the bridge takes in every frame.
    pub promisc_mode: bool,
    /// VLAN of the Pods' ports.
    pub vlan: Option<u16>,
    /// MTU of the Pods in bytes, where it was given.
    pub mtu: Option<u32>,
}

/// Settings of Calico.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalicoSpec {
    /// When packets between nodes go through the tunnel.
    pub encapsulation: Encapsulation,
    /// Prefix length of the blocks that nodes claim.
    pub block_size: u8,
    /// Whether packets that leave the Pods' range bear the node's address.
    pub nat_outgoing: bool,
    /// How a node finds its address.
    pub autodetection: Autodetection,
}

/// When a tunnel is used (`ipipMode`, `vxlanMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encapsulation {
    /// Between all nodes.
    #[default]
    Always,
    /// Between nodes of different networks.
    CrossSubnet,
    /// Never.
    Never,
}

/// How a node finds the address that others reach it by (`IP_AUTODETECTION_METHOD`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Autodetection {
    /// The first interface with an address.
    #[default]
    FirstFound,
    /// This interface.
    Interface(String),
    /// The interface by which this host is reached.
    CanReach(Ipv4Addr),
    /// The first address in this network.
    Cidr(Ipv4Net),
}

/// The cluster's DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSpec {
    /// Domain of the cluster; empty for none, as the kubelet takes it.
    pub cluster_domain: String,
    /// Address of the DNS Service; `None` where kubelets know none.
    pub service_ip: Option<Ipv4Addr>,
    /// Whether every node has a cache of its own (`NodeLocal DNSCache`).
    pub node_local: bool,
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
    /// Records that it serves as a DNS server, as a zone file with absolute names.
    pub zone: Option<String>,
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
    /// From data's reaching a socket to its process's acting on it.
    pub wakeup: Option<Duration>,
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

impl Cni {
    /// The ways between nodes that this plug-in knows, its default first. Without one the plug-in bridge leaves the
    /// nodes apart.
    pub fn backends(self) -> &'static [Backend] {
        use Backend::{Bgp, Gre, HostGw, Ipip, Ipsec, Ospf, Rip, Static, Vxlan};
        match self {
            Self::Bridge => &[Static, HostGw, Gre, Ipip, Ipsec, Bgp, Ospf, Rip],
            Self::Flannel => &[Vxlan, HostGw, Ipip, Ipsec, Gre, Static, Bgp, Ospf, Rip],
            Self::Calico => &[Ipip, Vxlan, Bgp],
            Self::Cilium => &[Vxlan, HostGw, Bgp],
        }
    }
}

impl Encapsulation {
    /// Every mode, with its name in the cluster document.
    pub const ALL: [(&'static str, Self); 3] =
        [("Always", Self::Always), ("CrossSubnet", Self::CrossSubnet), ("Never", Self::Never)];
}

impl Autodetection {
    /// Reads a method as it is written; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('=') {
            None if matches!(text, "first-found" | "autodetect") => Some(Self::FirstFound),
            Some(("interface", name)) if !name.is_empty() => Some(Self::Interface(name.to_owned())),
            Some(("can-reach", host)) => host.parse().ok().map(Self::CanReach),
            Some(("cidr", net)) => net.parse().ok().map(Self::Cidr),
            None | Some(_) => None,
        }
    }
}

impl Backend {
    /// Bytes that it adds to a packet on its way between nodes: for VXLAN the outer IPv4, UDP and VXLAN headers and
    /// the inner Ethernet header; for `IPsec` the most that ESP with its padding takes (`ipsecOverhead` of flannel).
    pub const fn overhead(self) -> u32 {
        match self {
            Self::Vxlan => 20 + 8 + 8 + 14,
            Self::Ipip => 20,
            Self::Gre => 20 + 4,
            Self::Ipsec => 20 + 8 + 16 + 15 + 2 + 16,
            Self::HostGw | Self::Bgp | Self::Ospf | Self::Rip | Self::Static => 0,
        }
    }

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
