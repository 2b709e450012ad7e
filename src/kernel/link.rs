//! Links (`struct net_device`) and what each kind keeps.

use super::{BpfProgram, DeviceConf, Qdisc};
use super::{Stp, Tunnel, Vlans};
use crate::base::{ChangeId, Duration, IfIndex, Ipv4Addr, MacAddr, NetnsId, SimTime};
use crate::trace::{
    BridgeRow, IpvlanMode, LinkExtra, LinkKind, LinkRow, MacvlanMode, PortExtra, PortRow, PortState,
};
use crate::wire::VlanProtocol;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A link.
#[derive(Clone, Debug)]
pub struct Link {
    /// Interface number.
    pub ifindex: IfIndex,
    /// Interface name.
    pub name: Arc<str>,
    /// Kind.
    pub kind: Kind,
    /// Ethernet address.
    pub mac: MacAddr,
    /// MTU in bytes.
    pub mtu: u32,
    /// Administrative state.
    pub up: bool,
    /// Carrier.
    pub carrier: bool,
    /// Transmit queue length, for display.
    pub txqlen: u32,
    /// The bridge it is a port of.
    pub port: Option<Port>,
    /// Promiscuity and the like.
    pub extra: LinkExtra,
    /// VLANs it is a member of, as a port or as the bridge itself.
    pub vlans: Vlans,
    /// Its settings under `net.ipv4.conf`.
    pub conf: DeviceConf,
    /// The eBPF program attached to it.
    pub bpf: Option<BpfProgram>,
    /// Its queueing discipline, where it has one.
    pub qdisc: Option<Box<Qdisc>>,
    /// Where the device is for which this is a stub.
    pub away: Option<Peer>,
    /// The addresses that it has there.
    pub away_addrs: Vec<Ipv4Addr>,
    /// What a device is that was moved here from above one of another namespace.
    pub shown: Option<LinkKind>,
}

/// Kind of a link.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `lo`.
    Loopback,
    /// One end of a veth pair, and the `link-netnsid` of the other.
    Veth(Peer, u32),
    /// A network card with a cable.
    Physical(Peer),
    /// A bridge.
    Bridge(Bridge),
    /// A VXLAN tunnel end.
    Vxlan(Vxlan),
    /// A device that swallows what is sent to it.
    Dummy,
    /// The frames of one VLAN on another device.
    Vlan(VlanLink),
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
    Ipip(Tunnel),
    /// A tunnel of IPv4 in GRE.
    Gre(Tunnel),
    /// A tunnel of Ethernet in GRE.
    Gretap(Tunnel),
}

/// A VLAN device (`struct vlan_dev_priv`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanLink {
    /// The device that carries the tagged frames.
    pub lower: IfIndex,
    /// VLAN identifier.
    pub id: u16,
    /// Kind of tag.
    pub protocol: VlanProtocol,
}

/// The other end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Namespace.
    pub netns: NetnsId,
    /// Interface.
    pub ifindex: IfIndex,
}

/// A bridge port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The bridge.
    pub master: IfIndex,
    /// Port number, from 1.
    pub number: u16,
    /// State.
    pub state: PortState,
    /// Hairpin mode.
    pub hairpin: bool,
    /// Learning.
    pub learning: bool,
    /// Flooding of unknown unicast to it.
    pub flood: bool,
    /// Further settings and its spanning tree.
    pub extra: PortExtra,
}

/// A bridge.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Ports in the order in which they were added. The kernel puts new ports in front of its list, so floods go
    /// through this one backwards.
    pub ports: Vec<IfIndex>,
    /// Forwarding database by address and VLAN; VLAN 0 where nothing is filtered.
    pub fdb: BTreeMap<(MacAddr, u16), FdbEntry>,
    /// Ageing time of learnt entries.
    pub ageing: Duration,
    /// When its collector of old entries comes by next, where it has learnt any.
    pub gc_at: Option<SimTime>,
    /// Number for the next port.
    pub next_port: u16,
    /// Whether its Ethernet address was set by hand; otherwise it is that of the port with the lowest one.
    pub own_mac: bool,
    /// Spanning tree and VLAN filtering as they are shown.
    pub row: BridgeRow,
    /// The rest of the spanning tree's state.
    pub stp: Stp,
    /// Whether its ports have tables of VLANs.
    pub has_vlans: bool,
    /// Whether somebody set its MTU, which otherwise follows its ports (`BROPT_MTU_SET_BY_USER`).
    pub mtu_set: bool,
    /// The MTU by which netfilter cuts bridged packets: 1500 until the bridge's own is changed (`fake_rtable`).
    pub nf_mtu: u32,
}

/// An entry of a bridge's forwarding database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbEntry {
    /// The port, or the bridge itself.
    pub port: IfIndex,
    /// The address of a port or of the bridge: frames for it go up.
    pub local: bool,
    /// Set by hand not to age (`BR_FDB_STATIC`).
    pub is_static: bool,
    /// When it was last seen as a source.
    pub updated: SimTime,
    /// The row in the trace.
    pub change: ChangeId,
}

impl FdbEntry {
    /// What is learnt of an address that was seen at a port now.
    pub(super) fn at(port: IfIndex, now: SimTime) -> Self {
        Self { port, local: false, is_static: false, updated: now, change: ChangeId::NONE }
    }

    /// Whether it ages.
    pub(super) fn is_learnt(&self) -> bool {
        !self.local && !self.is_static
    }
}

/// A VXLAN tunnel end.
#[derive(Clone, Debug)]
pub struct Vxlan {
    /// Network identifier.
    pub vni: u32,
    /// Local address of outer packets.
    pub local: Ipv4Addr,
    /// Underlying interface.
    pub dev: IfIndex,
    /// UDP destination port.
    pub port: u16,
    /// Whether sources are learnt.
    pub learning: bool,
    /// Group that it joins and floods to.
    pub group: Option<Ipv4Addr>,
    /// Forwarding database: tunnel ends for an address. The address of all zeros holds the ends for everything else.
    pub fdb: BTreeMap<MacAddr, Vec<VxlanRemote>>,
}

/// A tunnel end on the far side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VxlanRemote {
    /// Its address.
    pub dst: Ipv4Addr,
    /// Set by hand, so that learning does not move it.
    pub permanent: bool,
    /// When it was last seen or set.
    pub updated: SimTime,
    /// The row in the trace.
    pub change: ChangeId,
}

impl Link {
    /// Whether frames can leave and arrive.
    pub fn is_running(&self) -> bool {
        self.up && self.carrier
    }

    /// Whether frames on it have no Ethernet header.
    pub fn is_raw_ip(&self) -> bool {
        matches!(self.kind, Kind::Ipip(_) | Kind::Gre(_))
    }

    /// Whether next hops on it need no hardware address (`IFF_NOARP`).
    pub fn is_noarp(&self) -> bool {
        let from_the_start =
            self.is_raw_ip() || matches!(self.kind, Kind::Dummy | Kind::Ipvlan { mode: IpvlanMode::L3, .. });
        self.extra.flags.arp.map_or(from_the_start, |arp| !arp)
    }

    /// The device that this one stands on, in the same namespace.
    pub fn lower(&self) -> Option<IfIndex> {
        match self.kind {
            Kind::Vlan(VlanLink { lower, .. }) | Kind::Macvlan { lower, .. } | Kind::Ipvlan { lower, .. } => {
                Some(lower)
            }
            Kind::Loopback
            | Kind::Veth(..)
            | Kind::Physical(_)
            | Kind::Bridge(_)
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Ipip(_)
            | Kind::Gre(_)
            | Kind::Gretap(_) => None,
        }
    }

    /// The tunnel of IPv4 packets that it is.
    pub fn tunnel(&self) -> Option<&Tunnel> {
        match &self.kind {
            Kind::Ipip(tunnel) | Kind::Gre(tunnel) | Kind::Gretap(tunnel) => Some(tunnel),
            Kind::Loopback
            | Kind::Veth(..)
            | Kind::Physical(_)
            | Kind::Bridge(_)
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Vlan(_)
            | Kind::Macvlan { .. }
            | Kind::Ipvlan { .. } => None,
        }
    }

    pub(super) fn tunnel_mut(&mut self) -> Option<&mut Tunnel> {
        match &mut self.kind {
            Kind::Ipip(tunnel) | Kind::Gre(tunnel) | Kind::Gretap(tunnel) => Some(tunnel),
            Kind::Loopback
            | Kind::Veth(..)
            | Kind::Physical(_)
            | Kind::Bridge(_)
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Vlan(_)
            | Kind::Macvlan { .. }
            | Kind::Ipvlan { .. } => None,
        }
    }

    /// The other end of the wire, if it is one.
    pub fn peer(&self) -> Option<Peer> {
        match &self.kind {
            Kind::Veth(peer, _) | Kind::Physical(peer) => Some(*peer),
            Kind::Loopback
            | Kind::Bridge(_)
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Vlan(_)
            | Kind::Macvlan { .. }
            | Kind::Ipvlan { .. }
            | Kind::Ipip(_)
            | Kind::Gre(_)
            | Kind::Gretap(_) => None,
        }
    }

    /// The link as a row of the trace.
    pub fn row(&self, netns: NetnsId) -> LinkRow {
        LinkRow {
            netns,
            ifindex: self.ifindex,
            name: self.name.clone(),
            kind: self.kind_row(),
            mac: self.mac,
            mtu: self.mtu,
            up: self.up,
            carrier: self.carrier,
            txqlen: self.txqlen,
            port: self.port.map(|port| PortRow {
                master: port.master,
                number: port.number,
                state: port.state,
                hairpin: port.hairpin,
                learning: port.learning,
                flood: port.flood,
                extra: port.extra,
            }),
            extra: self.extra_row(),
        }
    }

    fn extra_row(&self) -> LinkExtra {
        let mut extra = self.extra.clone();
        match &self.kind {
            Kind::Bridge(bridge) => extra.bridge = Some(bridge.row),
            Kind::Vxlan(vxlan) => extra.group = vxlan.group,
            Kind::Loopback
            | Kind::Veth(..)
            | Kind::Physical(_)
            | Kind::Dummy
            | Kind::Vlan(_)
            | Kind::Macvlan { .. }
            | Kind::Ipvlan { .. }
            | Kind::Ipip(_)
            | Kind::Gre(_)
            | Kind::Gretap(_) => {}
        }
        extra
    }

    fn kind_row(&self) -> LinkKind {
        if let Some(shown) = &self.shown {
            return shown.clone();
        }
        match &self.kind {
            Kind::Loopback => LinkKind::Loopback,
            Kind::Veth(peer, nsid) => {
                LinkKind::Veth { peer_netns: peer.netns, peer: peer.ifindex, peer_nsid: *nsid }
            }
            Kind::Physical(peer) => LinkKind::Physical { peer_netns: peer.netns, peer: peer.ifindex },
            Kind::Bridge(bridge) => LinkKind::Bridge { ageing_secs: bridge.ageing.as_secs() as u32 },
            Kind::Vxlan(vxlan) => LinkKind::Vxlan {
                vni: vxlan.vni,
                local: vxlan.local,
                dev: vxlan.dev,
                port: vxlan.port,
                learning: vxlan.learning,
            },
            Kind::Dummy => LinkKind::Dummy,
            Kind::Vlan(vlan) => LinkKind::Vlan { lower: vlan.lower, id: vlan.id, protocol: vlan.protocol },
            Kind::Macvlan { lower, mode } => LinkKind::Macvlan { lower: *lower, mode: *mode },
            Kind::Ipvlan { lower, mode } => LinkKind::Ipvlan { lower: *lower, mode: *mode },
            Kind::Ipip(tunnel) => LinkKind::Ipip(tunnel.row),
            Kind::Gre(tunnel) => LinkKind::Gre(tunnel.row),
            Kind::Gretap(tunnel) => LinkKind::Gretap(tunnel.row),
        }
    }
}
