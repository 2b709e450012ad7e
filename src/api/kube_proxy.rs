//! kube-proxy's configuration (`kubeproxy.config.k8s.io/v1alpha1`, kind `KubeProxyConfiguration`), as far as rules
//! depend on it.

use crate::base::{Duration, IpNet, IpvsScheduler};

/// How kube-proxy runs, on every node alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeProxySpec {
    /// `mode`.
    pub mode: ProxyMode,
    /// `detectLocalMode`, with `clusterCIDR` or `detectLocal`.
    pub local: LocalTraffic,
    /// `masqueradeAll` of its mode.
    pub masquerade_all: bool,
    /// `iptables.localhostNodePorts`.
    pub localhost_node_ports: bool,
    /// `nodePortAddresses`.
    pub node_port_addresses: NodePortAddresses,
    /// `masqueradeBit` of its mode: the bit of a packet's mark that has it masqueraded.
    pub masquerade_bit: u8,
    /// `ipvs.scheduler`.
    pub scheduler: IpvsScheduler,
    /// `ipvs.strictARP`: nodes answer ARP only for addresses of the device asked.
    pub strict_arp: bool,
    /// `minSyncPeriod` of its mode: rules are written at most so often.
    pub min_sync: Duration,
}

/// What kube-proxy writes its rules for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProxyMode {
    /// Chains of iptables.
    #[default]
    Iptables,
    /// Virtual servers of IPVS.
    Ipvs,
    /// Maps of nftables.
    Nftables,
}

/// How traffic of this node's Pods is told from other traffic (`LocalModeDetector`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalTraffic {
    /// It is not: no range is known.
    Unknown,
    /// By its source, which lies in one of these ranges.
    Ranges(Vec<IpNet>),
    /// By its source, which lies in the node's own range of Pods.
    NodeRange,
    /// By this bridge, through which it comes.
    Bridge(String),
    /// By the beginning of the name of the interface through which it comes.
    Interfaces(String),
}

/// Which addresses of a node take traffic for node ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// Those in these ranges; all of a family that has no range here.
    Ranges(Vec<IpNet>),
    /// The node's first address.
    Primary,
}

impl Default for KubeProxySpec {
    fn default() -> Self {
        Self {
            mode: ProxyMode::default(),
            local: LocalTraffic::Unknown,
            masquerade_all: false,
            localhost_node_ports: true,
            node_port_addresses: NodePortAddresses::Ranges(Vec::new()),
            masquerade_bit: 14,
            scheduler: IpvsScheduler::default(),
            strict_arp: false,
            min_sync: Duration::from_secs(1),
        }
    }
}

impl ProxyMode {
    /// Every mode, with its name.
    pub const ALL: [(&'static str, Self); 3] =
        [("iptables", Self::Iptables), ("ipvs", Self::Ipvs), ("nftables", Self::Nftables)];
}
