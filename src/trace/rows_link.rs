//! What belongs to links of particular kinds, as `ip -d link` and `bridge -d link` show it.

use super::{LinkKind, Netem};
use crate::base::{IfIndex, Ipv4Addr, NetnsId};
use crate::wire::{BridgeId, VlanProtocol};
use std::sync::Arc;

/// A tunnel of IPv4 packets: ipip, gre or gretap (`struct ip_tunnel_parm_kern`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the device under its own name")]
pub struct TunnelRow {
    /// Local address of outer packets; `None` for any.
    pub local: Option<Ipv4Addr>,
    /// The other end; `None` where the route's next hop says it, packet by packet.
    pub remote: Option<Ipv4Addr>,
    /// The interface that outer packets are bound to.
    pub dev: Option<IfIndex>,
    /// TTL of outer packets; 0 to take the inner one's.
    pub ttl: u8,
    /// Type of service of outer packets; 1 to take the inner one's.
    pub tos: u8,
    /// Whether outer packets have DF set whatever the inner one has.
    pub pmtudisc: bool,
    /// GRE key that packets must have to be taken in.
    pub ikey: Option<u32>,
    /// GRE key of packets sent.
    pub okey: Option<u32>,
    /// Whether packets taken in must have sequence numbers.
    pub iseq: bool,
    /// Whether packets sent have sequence numbers.
    pub oseq: bool,
    /// Whether packets taken in must have a checksum.
    pub icsum: bool,
    /// Whether packets sent have a checksum.
    pub ocsum: bool,
    /// Whether an ipip device was made for any protocol inside (`mode any`, what `ip link add` makes).
    pub any_protocol: bool,
}

/// How a macvlan device treats its siblings (`MACVLAN_MODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MacvlanMode {
    /// They do not reach each other, not even through an outside switch.
    Private,
    /// Frames to them go out and have to come back.
    Vepa,
    /// They are bridged with each other directly.
    Bridge,
    /// There is only one, and it takes all the lower device gets.
    Passthru,
}

impl MacvlanMode {
    /// Its name in iproute2.
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Bridge => "bridge",
            Self::Passthru => "passthru",
        }
    }
}

/// At which layer an ipvlan device forwards (`IPVLAN_MODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpvlanMode {
    /// By neighbour entries of its own, with broadcasts.
    L2,
    /// By the routing tables of the lower device's namespace, without ARP.
    L3,
}

impl IpvlanMode {
    /// Its name in iproute2.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
        }
    }
}

/// What else is known of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, not a state of one machine")]
pub struct LinkExtra {
    /// How many want every frame that comes in (`promiscuity`).
    pub promisc: u32,
    /// Whether an administrator asked for that (`IFF_PROMISC`).
    pub promisc_flag: bool,
    /// How many want every multicast frame (`allmulti`).
    pub allmulti: u32,
    /// Whether it was never set up, so that it has no queueing discipline yet (`qdisc noop`).
    pub never_up: bool,
    /// Whether a bridge's carrier has neither come nor gone since it was made: its state is not known, for only a change
    /// has it told (`linkwatch_do_dev`).
    pub operstate_unknown: bool,
    /// A bridge's spanning tree and VLAN filtering.
    pub bridge: Option<BridgeRow>,
    /// Multicast group that a VXLAN device floods to, with the TTL of its outer packets.
    pub group: Option<Ipv4Addr>,
    /// Its queueing discipline, where somebody gave it one (`tc qdisc`).
    pub qdisc: Option<QdiscRow>,
    /// `link-netnsid` of the namespace where the device below it is, if that is another one.
    pub lower_nsid: Option<u32>,
    /// A name that is only told (`ifalias`).
    pub alias: Option<Arc<str>>,
    /// Further names that it goes by (`altname`).
    pub altnames: Vec<Arc<str>>,
    /// Flags that were set or cleared by hand.
    pub flags: LinkFlags,
    /// Whether its cable is cut.
    pub cut: bool,
    /// Where copies of what passes it go (`tc filter … mirred`).
    pub mirrors: Mirrors,
}

/// Flags of a device that were set or cleared by hand; `None` for what its kind has from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFlags {
    /// Whether hardware addresses are asked for (the contrary of `IFF_NOARP`).
    pub arp: Option<bool>,
    /// Whether it takes part in groups (`IFF_MULTICAST`).
    pub multicast: Option<bool>,
    /// Whether an administrator asked for every multicast frame (`IFF_ALLMULTI`).
    pub allmulti: bool,
}

/// What `tc` does with packets that come in and go out, beside the queueing discipline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// Whether the device has the discipline `clsact`, to which filters are tied.
    pub is_ready: bool,
    /// What happens with packets that come in.
    pub ingress: Option<Mirror>,
    /// What happens with packets that go out.
    pub egress: Option<Mirror>,
}

/// An action `mirred`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The device that sends the packet or its copy.
    pub to: IfIndex,
    /// Whether the packet itself goes there, and no further here (`redirect`).
    pub takes: bool,
}

/// A queueing discipline at the root of a device: netem, the only one that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QdiscRow {
    /// Major number of its handle, as `8001:` shows it.
    pub handle: u16,
    /// Its settings.
    pub netem: Netem,
}

/// Spanning tree and VLAN filtering of a bridge. Times are in hundredths of seconds (`USER_HZ`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a state of the kernel under its own name")]
pub struct BridgeRow {
    /// Whether the spanning tree protocol runs.
    pub stp: bool,
    /// Whether frames are filtered by VLAN.
    pub vlan_filtering: bool,
    /// Which tags it filters by.
    pub vlan_protocol: VlanProtocol,
    /// VLAN that new ports belong to, untagged; 0 for none.
    pub default_pvid: u16,
    /// Its own identifier.
    pub id: BridgeId,
    /// The root it knows.
    pub root: BridgeId,
    /// Cost of the path to the root.
    pub root_path_cost: u32,
    /// Number of the port towards the root; 0 for the root itself.
    pub root_port: u16,
    /// Whether the root announces a change of topology.
    pub topology_change: bool,
    /// Whether it saw one itself.
    pub topology_change_detected: bool,
    /// How long a port listens, and then learns.
    pub forward_delay: u32,
    /// How often the root sends.
    pub hello_time: u32,
    /// How old information may become.
    pub max_age: u32,
}

/// Further settings and the spanning tree of a bridge port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of the kernel under its own name")]
pub struct PortExtra {
    /// Cost of the path through it: 2 for a veth, which says it has 10 Gbit/s.
    pub cost: u32,
    /// Priority in the election of ports.
    pub priority: u8,
    /// Whether a spanning tree packet that comes in takes the port down (`guard`).
    pub bpdu_guard: bool,
    /// Whether it may not become the port towards the root (`root_block`).
    pub root_block: bool,
    /// Whether broadcasts are flooded to it.
    pub bcast_flood: bool,
    /// Whether multicast frames are flooded to it.
    pub mcast_flood: bool,
    /// Whether it talks only to ports that are not isolated.
    pub isolated: bool,
    /// Root, bridge, cost and port that were heard of or are announced on it; `None` while it is out of use.
    pub designated: Option<Designated>,
    /// Whether a change of topology is to be acknowledged on it.
    pub topology_change_ack: bool,
    /// Whether a configuration message waits for its turn.
    pub config_pending: bool,
}

/// What is known of the network behind a port: the best that was heard on it, or what the bridge itself announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Designated {
    /// Root.
    pub root: BridgeId,
    /// Cost from the designated bridge to the root.
    pub cost: u32,
    /// Designated bridge.
    pub bridge: BridgeId,
    /// Its port.
    pub port: u16,
}

impl Default for PortExtra {
    fn default() -> Self {
        Self {
            cost: 2,
            priority: 32,
            bpdu_guard: false,
            root_block: false,
            bcast_flood: true,
            mcast_flood: true,
            isolated: false,
            designated: None,
            topology_change_ack: false,
            config_pending: false,
        }
    }
}

/// A VLAN of a bridge port or of a bridge itself, as `bridge vlan` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanRow {
    /// Namespace.
    pub netns: NetnsId,
    /// The port or the bridge.
    pub ifindex: IfIndex,
    /// VLAN identifier.
    pub id: u16,
    /// Whether untagged frames that come in belong to it.
    pub pvid: bool,
    /// Whether its frames leave without a tag.
    pub untagged: bool,
}

impl LinkKind {
    /// Whether frames on it have no Ethernet header: a tunnel that carries bare IPv4 packets.
    pub fn is_raw_ip(&self) -> bool {
        matches!(self, Self::Ipip(_) | Self::Gre(_))
    }

    /// Whether it is a tunnel of IPv4 packets, with its settings.
    pub fn tunnel(&self) -> Option<&TunnelRow> {
        match self {
            Self::Ipip(row) | Self::Gre(row) | Self::Gretap(row) => Some(row),
            Self::Loopback
            | Self::Veth { .. }
            | Self::Bridge { .. }
            | Self::Vxlan { .. }
            | Self::Physical { .. }
            | Self::Dummy
            | Self::Vlan { .. }
            | Self::Macvlan { .. }
            | Self::Ipvlan { .. } => None,
        }
    }

    /// The device that this one stands on, in the same namespace (`IFLA_LINK`).
    pub fn lower(&self) -> Option<IfIndex> {
        match self {
            Self::Vlan { lower, .. } | Self::Macvlan { lower, .. } | Self::Ipvlan { lower, .. } => {
                Some(*lower)
            }
            Self::Loopback
            | Self::Veth { .. }
            | Self::Bridge { .. }
            | Self::Vxlan { .. }
            | Self::Physical { .. }
            | Self::Dummy
            | Self::Ipip(_)
            | Self::Gre(_)
            | Self::Gretap(_) => None,
        }
    }

    /// The other end of a wire, if it is one: namespace and interface number.
    pub fn wire(&self) -> Option<(NetnsId, IfIndex)> {
        match self {
            Self::Veth { peer_netns, peer, .. } | Self::Physical { peer_netns, peer } => {
                Some((*peer_netns, *peer))
            }
            Self::Loopback
            | Self::Bridge { .. }
            | Self::Vxlan { .. }
            | Self::Dummy
            | Self::Vlan { .. }
            | Self::Macvlan { .. }
            | Self::Ipvlan { .. }
            | Self::Ipip(_)
            | Self::Gre(_)
            | Self::Gretap(_) => None,
        }
    }

    /// Name of the kind as iproute2 has it (`IFLA_INFO_KIND`); nothing for `lo`.
    pub fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Loopback => return None,
            // A network card shows itself as the end of a veth pair, which is what stands for cards in every cluster
            // of containers.
            Self::Veth { .. } | Self::Physical { .. } => "veth",
            Self::Bridge { .. } => "bridge",
            Self::Vxlan { .. } => "vxlan",
            Self::Dummy => "dummy",
            Self::Vlan { .. } => "vlan",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Ipip(_) => "ipip",
            Self::Gre(_) => "gre",
            Self::Gretap(_) => "gretap",
        })
    }
}
