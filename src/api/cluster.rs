//! The cluster document (`vethscope.dev/v1alpha1`, kind `Cluster`): as it is written, and with all defaults filled in.

mod resolved;

pub use resolved::{
    Autodetection, Backend, BridgeSpec, CalicoSpec, ClusterSpec, Cni, Delays, DnsSpec, Encapsulation,
    ExternalSpec, GreSpec, InterfaceSpec, IpamSpec, NetworkSpec, Nic, NodeSpec, VxlanSpec,
};

use super::{ObjectMeta, Taint};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The cluster document as it is written; what is left out is filled in by the manifest room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cluster {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The settings.
    pub spec: WrittenSpec,
}

impl Cluster {
    /// Group and version of the cluster document.
    pub const API_VERSION: &'static str = "vethscope.dev/v1alpha1";
}

/// The settings as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenSpec {
    /// Nodes; the lesson's two where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<WrittenNode>>,
    /// The network.
    pub network: WrittenNetwork,
    /// The cluster's DNS.
    pub dns: WrittenDns,
    /// Hosts that are no nodes; the lesson's where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<Vec<WrittenExternal>>,
}

/// A node as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenNode {
    /// Name.
    pub name: String,
    /// Address, optionally with a prefix length.
    pub address: Option<String>,
    /// Range of the node's Pods.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<String>,
    /// Default gateway, or `none`.
    pub gateway: Option<String>,
    /// Text of `/etc/resolv.conf`.
    pub resolv_conf: Option<String>,
    /// Further interfaces.
    pub interfaces: Vec<WrittenInterface>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
}

/// An interface as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenInterface {
    /// Name.
    pub name: String,
    /// Address with a prefix length.
    pub address: Option<String>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Hardware address.
    pub mac: Option<String>,
}

/// The network as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenNetwork {
    /// CNI plug-in.
    pub cni: Option<String>,
    /// How nodes are connected.
    pub backend: Option<String>,
    /// Range of all Pods.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<String>,
    /// Range of all Services.
    #[serde(rename = "serviceCIDR")]
    pub service_cidr: Option<String>,
    /// Range of the addresses that load balancers are given.
    #[serde(rename = "loadBalancerPool")]
    pub balancer_pool: Option<String>,
    /// MTU of the nodes' network in bytes.
    pub mtu: Option<u32>,
    /// The VXLAN.
    pub vxlan: WrittenVxlan,
    /// GRE tunnels.
    pub gre: WrittenGre,
    /// Address allocation.
    pub ipam: WrittenIpam,
    /// The plug-in bridge.
    pub bridge: WrittenBridge,
    /// flannel.
    pub flannel: WrittenFlannel,
    /// Calico.
    pub calico: WrittenCalico,
    /// Kind of the nodes' `eth0`.
    pub nic: Option<String>,
    /// Whether packets of one connection pass netfilter side by side and clash, as in kernels before 5.0.
    pub conntrack_race: Option<bool>,
    /// Delays as Go durations.
    pub delays: BTreeMap<String, String>,
}

/// The VXLAN as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenVxlan {
    /// VXLAN network identifier.
    pub vni: Option<u32>,
    /// UDP port.
    pub port: Option<u16>,
    /// Whether the device learns where hardware addresses are.
    pub learning: Option<bool>,
    /// Group that frames for unknown addresses go to.
    pub group: Option<String>,
}

/// GRE tunnels as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenGre {
    /// Key that all packets have.
    pub key: Option<u32>,
    /// Whether packets have a checksum.
    pub checksum: Option<bool>,
    /// Whether packets are numbered.
    pub sequence: Option<bool>,
}

/// Address allocation as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenIpam {
    /// First host number handed out.
    pub range_start: Option<u32>,
}

/// Settings of the plug-in bridge as they are written, under the names of its own configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenBridge {
    /// Whether packets that leave the node's Pods bear its address.
    pub ip_masq: Option<bool>,
    /// Whether the bridge has the gateway's address.
    pub is_gateway: Option<bool>,
    /// Whether frames may go out where they came in.
    pub hairpin_mode: Option<bool>,
    /// Whether the bridge takes in every frame.
    pub promisc_mode: Option<bool>,
    /// VLAN of the Pods' ports.
    pub vlan: Option<u16>,
    /// MTU of the Pods in bytes.
    pub mtu: Option<u32>,
}

/// Settings of flannel as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenFlannel {
    /// Whether nodes of one network talk without the tunnel.
    pub direct_routing: Option<bool>,
}

/// Settings of Calico as they are written, under the names of its `IPPool`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenCalico {
    /// When packets between nodes go through IP-in-IP: `Always`, `CrossSubnet`, `Never`.
    pub ipip_mode: Option<String>,
    /// When packets between nodes go through VXLAN.
    pub vxlan_mode: Option<String>,
    /// Prefix length of the blocks that nodes claim.
    pub block_size: Option<u8>,
    /// Whether packets that leave the Pods' range bear the node's address.
    pub nat_outgoing: Option<bool>,
    /// How a node finds its address: `first-found`, `interface=…`, `can-reach=…`, `cidr=…`.
    pub ip_autodetection: Option<String>,
}

/// The cluster's DNS as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenDns {
    /// Domain of the cluster.
    pub cluster_domain: Option<String>,
    /// Address of the DNS Service.
    #[serde(rename = "serviceIP")]
    pub service_ip: Option<String>,
    /// Whether every node has a cache of its own (`NodeLocal DNSCache`).
    pub node_local: Option<bool>,
}

/// A host that is no node, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenExternal {
    /// Name.
    pub name: String,
    /// Address, optionally with a prefix length.
    pub address: Option<String>,
    /// Whether it forwards packets.
    pub router: bool,
    /// TCP ports that answer.
    pub ports: Vec<u16>,
    /// Router that leads there.
    pub behind: Option<String>,
    /// Records that it serves as a DNS server, as a zone file with absolute names.
    pub zone: Option<String>,
}
