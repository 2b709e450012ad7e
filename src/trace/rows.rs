//! Rows of the tables that people look at, as plain data. The kernel and the control plane record a row whenever it
//! comes or changes, and its key when it goes; see [`super::Inventory`].

use super::object_rows::{KubeEventRow, NodeRow, PodRow, StepRow};
use super::rows_link::{IpvlanMode, LinkExtra, MacvlanMode, PortExtra, TunnelRow, VlanRow};
use super::{
    AddrRow, CiliumChange, FaultRow, FibRuleRow, IpcChange, NamesRow, NetfilterChange, NexthopChange,
    ObjectRow, ProcessRow, ProxyChange, RouteRow, ServiceChange, SocketRow, TlsRow, XfrmChange,
};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr, NetnsId, ObjectKey, ProcessId, SimTime, SocketId};
use crate::wire::VlanProtocol;
use std::sync::Arc;

/// A table row that came or changed, or the key of one that went. Large rows stand elsewhere, for the trace holds many
/// small ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableChange {
    /// A network namespace came.
    Netns(NetnsRow),
    /// A network namespace went, with everything in it.
    NetnsGone(NetnsId),
    /// A link came or changed.
    Link(Box<LinkRow>),
    /// A link went.
    LinkGone(NetnsId, IfIndex),
    /// An address came or changed.
    Addr(Box<AddrRow>),
    /// An address went.
    AddrGone(Box<AddrRow>),
    /// A route came, behind others of its table, destination and metric.
    Route(RouteRow),
    /// A route came before others of its table, destination and metric.
    RouteBefore(RouteRow),
    /// A next hop of a route with several died, or lives again.
    RouteLeg(RouteRow),
    /// A route went.
    RouteGone(RouteRow),
    /// A rule of the routing came.
    FibRule(Box<FibRuleRow>),
    /// A rule of the routing went.
    FibRuleGone(Box<FibRuleRow>),
    /// A next hop that stands by itself came, leads elsewhere or went.
    Nexthop(NexthopChange),
    /// A neighbour entry came or changed.
    Neigh(NeighRow),
    /// A neighbour entry went.
    NeighGone(NetnsId, IfIndex, Ipv4Addr),
    /// An address that ARP is answered for on somebody's behalf came, changed or went.
    Proxy(ProxyChange),
    /// An entry of a bridge's or a VXLAN device's forwarding database came or changed.
    Fdb(FdbRow),
    /// An entry of a forwarding database went.
    FdbGone(FdbRow),
    /// A port, or a bridge itself, became a member of a VLAN, or in another way.
    Vlan(VlanRow),
    /// A port, or a bridge itself, left a VLAN.
    VlanGone(NetnsId, IfIndex, u16),
    /// A path MTU or a better next hop was learnt.
    Exception(ExceptionRow),
    /// An entry of an eBPF map came or changed.
    Bpf(BpfRow),
    /// An entry of an eBPF map went.
    BpfGone(BpfRow),
    /// An entry of Cilium's policy maps or of its connections came, changed or went.
    Cilium(CiliumChange),
    /// A kernel setting was changed.
    Sysctl(SysctlRow),
    /// A TCP or UDP socket came or changed.
    Socket(Arc<SocketRow>),
    /// A socket went.
    SocketGone(NetnsId, SocketId),
    /// A row of netfilter came, changed or went.
    Netfilter(NetfilterChange),
    /// A Node object came or changed.
    Node(NodeRow),
    /// A Node object went, by name.
    NodeGone(Arc<str>),
    /// A Pod object came or changed.
    Pod(Box<PodRow>),
    /// A Pod object went, by namespace and name.
    PodGone(Arc<str>, Arc<str>),
    /// An API object of any kind came or changed in the store.
    Object(Arc<ObjectRow>),
    /// An API object went from the store.
    ObjectGone(ObjectKey),
    /// A Service or its endpoints came, changed or went.
    Service(ServiceChange),
    /// A Kubernetes Event was recorded.
    KubeEvent(Box<KubeEventRow>),
    /// A step of a Pod's creation or termination was taken.
    Step(Box<StepRow>),
    /// A plugin of a DNS server did something with a question.
    Names(Box<NamesRow>),
    /// Something within a Pod beside the network.
    Ipc(Box<IpcChange>),
    /// Something happened on a TLS connection.
    Tls(Box<TlsRow>),
    /// A process came, or runs another program.
    Process(Box<ProcessRow>),
    /// A process ended.
    ProcessGone(ProcessId),
    /// A security association or policy came or went.
    Xfrm(XfrmChange),
    /// Something was broken on purpose.
    Fault(FaultRow),
    /// A fault was mended, by its number.
    FaultGone(u32),
}

/// What a network namespace belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetnsRole {
    /// A Kubernetes node's root namespace.
    Node,
    /// A Pod sandbox on the node whose root namespace is given.
    Pod {
        /// Namespace of the Pod object.
        namespace: Arc<str>,
        /// Name of the Pod object.
        pod: Arc<str>,
        /// The node's root namespace.
        node: NetnsId,
    },
    /// The switch that the nodes' cables go to.
    Switch,
    /// A router outside the cluster.
    Router,
    /// Another host outside the cluster.
    Host,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetnsRow {
    /// Its number.
    pub netns: NetnsId,
    /// Its name as captures show it: `node1`, `gw`, `default/web`.
    pub name: Arc<str>,
    /// What it belongs to.
    pub role: NetnsRole,
}

/// A link, as `ip -d link` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Interface number.
    pub ifindex: IfIndex,
    /// Interface name, at most 15 bytes.
    pub name: Arc<str>,
    /// Kind and what belongs to it.
    pub kind: LinkKind,
    /// Ethernet address.
    pub mac: MacAddr,
    /// MTU in bytes.
    pub mtu: u32,
    /// Administrative state (`IFF_UP`).
    pub up: bool,
    /// Whether there is a carrier (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// Transmit queue length; 0 for veths that CNI plug-ins make, which `ip` then does not print.
    pub txqlen: u32,
    /// The bridge this is a port of, and the port's settings.
    pub port: Option<PortRow>,
    /// What else is known of it.
    pub extra: LinkExtra,
}

/// Kind of a link (`IFLA_INFO_KIND`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// `lo`.
    Loopback,
    /// One end of a veth pair.
    Veth {
        /// Namespace of the other end.
        peer_netns: NetnsId,
        /// Interface number of the other end.
        peer: IfIndex,
        /// `link-netnsid` of the other end's namespace, as `ip` prints it.
        peer_nsid: u32,
    },
    /// A bridge.
    Bridge {
        /// Ageing time of learnt entries, in seconds.
        ageing_secs: u32,
    },
    /// A VXLAN tunnel end.
    Vxlan {
        /// Network identifier.
        vni: u32,
        /// Local address of the outer packets.
        local: Ipv4Addr,
        /// The underlying interface.
        dev: IfIndex,
        /// UDP destination port.
        port: u16,
        /// Whether it learns source addresses.
        learning: bool,
    },
    /// A network card with a cable to a port elsewhere.
    Physical {
        /// Namespace of the other end of the cable.
        peer_netns: NetnsId,
        /// Interface number of the other end.
        peer: IfIndex,
    },
    /// A device that swallows what is sent to it.
    Dummy,
    /// The frames of one VLAN on another device.
    Vlan {
        /// The device that carries the tagged frames.
        lower: IfIndex,
        /// VLAN identifier.
        id: u16,
        /// Kind of tag.
        protocol: VlanProtocol,
    },
    /// A device with an address of its own on another device.
    Macvlan {
        /// The device below.
        lower: IfIndex,
        /// Mode.
        mode: MacvlanMode,
    },
    /// A device with the address of the device below.
    Ipvlan {
        /// The device below.
        lower: IfIndex,
        /// Mode.
        mode: IpvlanMode,
    },
    /// A tunnel of IPv4 in IPv4.
    Ipip(TunnelRow),
    /// A tunnel of GRE.
    Gre(TunnelRow),
    /// A tunnel of Ethernet in GRE.
    Gretap(TunnelRow),
}

/// A bridge port, as `bridge -d link` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRow {
    /// The bridge.
    pub master: IfIndex,
    /// Port number, from 1.
    pub number: u16,
    /// Spanning tree state.
    pub state: PortState,
    /// Whether frames may go out where they came in.
    pub hairpin: bool,
    /// Whether source addresses are learnt.
    pub learning: bool,
    /// Whether unknown unicast is flooded to it.
    pub flood: bool,
    /// Further settings and its spanning tree.
    pub extra: PortExtra,
}

/// State of a bridge port (`BR_STATE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortState {
    /// Down.
    Disabled,
    /// Listening for spanning tree packets only.
    Listening,
    /// Learning addresses, not forwarding.
    Learning,
    /// Forwarding.
    Forwarding,
    /// Blocked by the spanning tree.
    Blocking,
}

/// Scope of an address or a route (`rtnetlink(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Anywhere (0).
    Global,
    /// Within a site (200).
    Site,
    /// Directly attached (253).
    Link,
    /// This host (254).
    Host,
}

impl Scope {
    /// Its number (`RT_SCOPE_*`).
    pub fn number(self) -> u8 {
        match self {
            Self::Global => 0,
            Self::Site => 200,
            Self::Link => 253,
            Self::Host => 254,
        }
    }
}

/// Type of a route (`RTN_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteKind {
    /// To a next hop or a directly attached network.
    Unicast,
    /// To this host.
    Local,
    /// To everybody on the link.
    Broadcast,
    /// Dropped in silence.
    Blackhole,
    /// Answered with host unreachable.
    Unreachable,
    /// Answered with communication administratively prohibited.
    Prohibit,
    /// As if the table had no route: the next rule is asked.
    Throw,
}

/// Who installed a route (`RTPROT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteProtocol {
    /// The kernel, with an address.
    Kernel,
    /// `ip route add` without a protocol.
    Boot,
    /// An administrator.
    Static,
    /// The BIRD routing daemon.
    Bird,
    /// Calico's Felix, which uses the number 80; `ip` has no name for it.
    Felix,
}

/// Neighbour unreachability detection state (`NUD_*`, RFC 4861 section 7.3 as Linux applies it to ARP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nud {
    /// Asked, no answer yet.
    Incomplete,
    /// Confirmed lately.
    Reachable,
    /// Known, to be confirmed when used.
    Stale,
    /// Used while stale; a confirmation from above may still come.
    Delay,
    /// Being asked by unicast.
    Probe,
    /// No answer.
    Failed,
    /// Set by hand, never checked.
    Permanent,
    /// Needs no resolution, as on `lo`.
    NoArp,
}

/// A neighbour entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Interface.
    pub ifindex: IfIndex,
    /// Protocol address.
    pub addr: Ipv4Addr,
    /// Hardware address, where known.
    pub mac: Option<MacAddr>,
    /// State.
    pub state: Nud,
    /// Requests sent since the last confirmation.
    pub probes: u8,
    /// When the state or address last changed.
    pub updated: SimTime,
    /// When it was last confirmed.
    pub confirmed: SimTime,
}

/// An entry of a forwarding database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbRow {
    /// Namespace.
    pub netns: NetnsId,
    /// The bridge port, the bridge itself, or the VXLAN device.
    pub ifindex: IfIndex,
    /// The bridge whose database this is; `None` for a device's own (`self`).
    pub master: Option<IfIndex>,
    /// Ethernet address.
    pub mac: MacAddr,
    /// VLAN; 0 where the bridge does not filter by VLAN.
    pub vlan: u16,
    /// Whether it neither ages nor moves (`permanent`): the address of a port or an entry set by hand.
    pub permanent: bool,
    /// Whether it was set by hand and does not age, though it moves with its address (`static`, `BR_FDB_STATIC`).
    pub is_static: bool,
    /// Tunnel end for a VXLAN device.
    pub dst: Option<Ipv4Addr>,
    /// When it was learnt, moved or set.
    pub updated: SimTime,
}

impl FdbRow {
    /// The word that `bridge fdb` ends its line with; none for what was learnt.
    pub fn state(&self) -> &'static str {
        match (self.permanent, self.is_static) {
            (true, _) => "permanent",
            (false, true) => "static",
            (false, false) => "",
        }
    }
}

/// What was learnt about one destination beside its route (`struct fib_nh_exception`): `ip route get` shows it as
/// `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Destination.
    pub dst: Ipv4Addr,
    /// The better next hop that a redirect named.
    pub gateway: Option<Ipv4Addr>,
    /// The path MTU that "fragmentation needed" named, in bytes.
    pub mtu: Option<u32>,
    /// Whether that is less than is believed: packets leave as large as is believed and may be cut (`fnhe_mtu_locked`).
    pub locked: bool,
    /// When it is forgotten.
    pub expires: SimTime,
}

/// A map that eBPF programs look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BpfMap {
    /// The endpoints of this node (`cilium_lxc`).
    Endpoints,
    /// All addresses with their identities and, where they are elsewhere, the node's address (`cilium_ipcache`).
    Ipcache,
}

/// An entry of an eBPF map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BpfRow {
    /// Namespace.
    pub netns: NetnsId,
    /// The map.
    pub map: BpfMap,
    /// The address or range.
    pub key: Ipv4Net,
    /// The endpoint's interface at the node; `NONE` in the ipcache.
    pub ifindex: IfIndex,
    /// The endpoint's Ethernet address.
    pub mac: Option<MacAddr>,
    /// The security identity.
    pub identity: u32,
    /// The node whose tunnel end leads there.
    pub tunnel: Option<Ipv4Addr>,
}

/// A setting under `/proc/sys/net` that was changed from what the kernel begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysctlRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Its key with dots.
    pub key: Arc<str>,
    /// Its value.
    pub value: Arc<str>,
}
