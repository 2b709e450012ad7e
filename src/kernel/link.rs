//! Links (`struct net_device`) and what each kind keeps.

use super::{BpfProgram, DeviceConf};
use crate::base::{ChangeId, Duration, IfIndex, Ipv4Addr, MacAddr, NetnsId, SimTime};
use crate::trace::{LinkKind, LinkRow, PortRow, PortState};
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
    /// Its settings under `net.ipv4.conf`.
    pub conf: DeviceConf,
    /// The eBPF program attached to it.
    pub bpf: Option<BpfProgram>,
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
}

/// A bridge.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Ports in the order in which they were added. The kernel puts new ports in front of its list, so floods go
    /// through this one backwards.
    pub ports: Vec<IfIndex>,
    /// Forwarding database.
    pub fdb: BTreeMap<MacAddr, FdbEntry>,
    /// Ageing time of learnt entries.
    pub ageing: Duration,
    /// Number for the next port.
    pub next_port: u16,
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
    /// When it was last seen as a source.
    pub updated: SimTime,
    /// The row in the trace.
    pub change: ChangeId,
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

    /// The other end of the wire, if it is one.
    pub fn peer(&self) -> Option<Peer> {
        match &self.kind {
            Kind::Veth(peer, _) | Kind::Physical(peer) => Some(*peer),
            Kind::Loopback | Kind::Bridge(_) | Kind::Vxlan(_) => None,
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
            }),
        }
    }

    fn kind_row(&self) -> LinkKind {
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
        }
    }
}
