//! Devices that an administrator makes by hand (`ip link add`, `ip tunnel add`): their kinds, and the address and MTU
//! that each kind begins with.

use super::{BridgeOption, Ctx, Kind, Link, Netns, NewLink, Peer, Tunnel, VlanLink, Vxlan};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, SimTime};
use crate::trace::{LinkKind, LinkRow};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A device to be made, as the administrator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// Interface name.
    pub name: Arc<str>,
    /// Kind with its settings. Of a veth the other end is made along with it.
    pub kind: LinkKind,
    /// Ethernet address where one was given.
    pub mac: Option<MacAddr>,
    /// An address drawn for kinds that have one of their own and were given none.
    pub random_mac: MacAddr,
    /// MTU where one was given.
    pub mtu: Option<u32>,
    /// Transmit queue length where one was given.
    pub txqlen: Option<u32>,
    /// Name and address of a veth's other end.
    pub peer: Option<(Arc<str>, MacAddr)>,
    /// Other end that a VXLAN device sends to by default: a host, or a group to be joined.
    pub remote: Option<Ipv4Addr>,
    /// Settings of a bridge.
    pub bridge: Vec<BridgeOption>,
}

impl LinkSpec {
    /// A dummy device with nothing given but its name, and the address drawn for it.
    pub fn dummy(name: &str, random_mac: MacAddr) -> Self {
        Self {
            name: name.into(),
            kind: LinkKind::Dummy,
            mac: None,
            random_mac,
            mtu: None,
            txqlen: None,
            peer: None,
            remote: None,
            bridge: Vec::new(),
        }
    }
}

/// Bytes that VXLAN adds to an IPv4 packet: 20 + 8 + 8 + 14 (`vxlan_headroom`).
pub(super) const VXLAN_HEADROOM: u32 = 50;

impl Netns {
    /// Makes a device. A veth's other end comes first and so has the lower number, as on Linux.
    pub fn make_link(&mut self, ctx: &mut Ctx<'_>, spec: LinkSpec) -> IfIndex {
        let txqlen = spec.txqlen.unwrap_or(1000);
        if let Some((peer_name, peer_mac)) = spec.peer {
            let first = self.next_ifindex();
            let second = IfIndex(first.0 + 1);
            let end = |ifindex| Kind::Veth(Peer { netns: self.id, ifindex }, 0);
            let (kind_a, kind_b) = (end(second), end(first));
            let mtu = spec.mtu.unwrap_or(1500);
            self.add_link(ctx, NewLink { name: peer_name, kind: kind_a, mac: peer_mac, mtu, txqlen });
            let mac = spec.mac.unwrap_or(spec.random_mac);
            return self.add_link(ctx, NewLink { name: spec.name, kind: kind_b, mac, mtu, txqlen });
        }
        let kind = kind_of(&spec);
        let mac = spec.mac.unwrap_or_else(|| self.first_mac(&kind, spec.random_mac));
        let mtu = spec.mtu.unwrap_or_else(|| self.first_mtu(ctx.now, &kind));
        let ifindex = self.add_link(ctx, NewLink { name: spec.name, kind, mac, mtu, txqlen });
        for option in spec.bridge {
            self.set_bridge(ctx, ifindex, option);
        }
        if let Some(Link { kind: Kind::Vxlan(_), .. }) = self.link(ifindex)
            && let Some(remote) = spec.remote
        {
            self.add_vxlan_fdb(ctx, ifindex, MacAddr::ZERO, remote);
        }
        ifindex
    }

    fn first_mac(&self, kind: &Kind, random: MacAddr) -> MacAddr {
        match kind {
            Kind::Vlan(VlanLink { lower, .. }) | Kind::Ipvlan { lower, .. } => {
                self.link(*lower).map_or(random, |link| link.mac)
            }
            Kind::Macvlan { lower, mode: crate::trace::MacvlanMode::Passthru } => {
                self.link(*lower).map_or(random, |link| link.mac)
            }
            Kind::Loopback | Kind::Ipip(_) | Kind::Gre(_) => MacAddr::ZERO,
            Kind::Veth(..)
            | Kind::Physical(_)
            | Kind::Bridge(_)
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Macvlan { .. }
            | Kind::Gretap(_) => random,
        }
    }

    fn first_mtu(&self, now: SimTime, kind: &Kind) -> u32 {
        let of = |ifindex: IfIndex| self.link(ifindex).map(|link| link.mtu);
        match kind {
            Kind::Vlan(VlanLink { lower, .. }) | Kind::Macvlan { lower, .. } | Kind::Ipvlan { lower, .. } => {
                of(*lower).unwrap_or(1500)
            }
            Kind::Vxlan(vxlan) => of(vxlan.dev).map_or(1500, |mtu| mtu.saturating_sub(VXLAN_HEADROOM)),
            Kind::Ipip(_) | Kind::Gre(_) | Kind::Gretap(_) => self.tunnel_mtu(now, kind),
            Kind::Loopback => 65_536,
            Kind::Veth(..) | Kind::Physical(_) | Kind::Bridge(_) | Kind::Dummy => 1500,
        }
    }

    /// Gives a device another name (`ip link set name`).
    pub fn rename(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, name: Arc<str>) {
        if let Some(link) = self.link_mut(ifindex) {
            link.name = name;
            self.record_link(ctx, ifindex);
            self.rename_labels(ctx, ifindex);
        }
    }

    /// Sets the transmit queue length (`ip link set txqueuelen`).
    pub fn set_txqlen(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, len: u32) {
        if let Some(link) = self.link_mut(ifindex) {
            link.txqlen = len;
            self.record_link(ctx, ifindex);
        }
    }

    /// Takes a device out of its bridge (`ip link set nomaster`).
    pub fn del_master(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        self.leave_bridge(ctx, ifindex);
        if let Some(link) = self.link_mut(ifindex)
            && link.port.take().is_some()
        {
            link.extra.promisc = link.extra.promisc.saturating_sub(1);
            link.extra.allmulti = link.extra.allmulti.saturating_sub(1);
            self.record_link(ctx, ifindex);
        }
    }

    /// Asks a device for every frame, or no more (`ip link set promisc`).
    pub fn set_promisc(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, on: bool) {
        let Some(link) = self.link_mut(ifindex) else { return };
        if link.extra.promisc_flag != on {
            link.extra.promisc_flag = on;
            if on { self.inc_promiscuity(ctx, ifindex) } else { self.dec_promiscuity(ctx, ifindex) }
        }
    }

    /// Sets or clears a flag by hand (`ip link set … arp`, `multicast`, `allmulticast`). Whoever is known by the device is
    /// forgotten where hardware addresses begin or cease to matter (`arp_netdev_event`).
    pub fn set_flag(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, flag: LinkFlag, on: bool) {
        let Some(link) = self.link_mut(ifindex) else { return };
        let before = link.is_noarp();
        let flags = &mut link.extra.flags;
        match flag {
            LinkFlag::Arp => flags.arp = Some(on),
            LinkFlag::Multicast => flags.multicast = Some(on),
            LinkFlag::Allmulti if flags.allmulti != on => {
                flags.allmulti = on;
                let wanted = link.extra.allmulti;
                link.extra.allmulti = if on { wanted + 1 } else { wanted.saturating_sub(1) };
            }
            LinkFlag::Allmulti => {}
        }
        let changed = link.is_noarp() != before;
        self.record_link(ctx, ifindex);
        if changed {
            self.flush_neighbors(ctx, ifindex);
        }
    }

    /// Gives a device further names, or takes some of them away (`ip link property`).
    pub fn set_altnames(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, altnames: Vec<Arc<str>>) {
        if let Some(link) = self.link_mut(ifindex) {
            link.extra.altnames = altnames;
            self.record_link(ctx, ifindex);
        }
    }

    /// One more wants every frame of a device (`dev_set_promiscuity`).
    pub fn inc_promiscuity(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let Some(link) = self.link_mut(ifindex) else { return };
        link.extra.promisc += 1;
        self.record_link(ctx, ifindex);
    }

    /// One less wants every frame of a device.
    pub fn dec_promiscuity(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let Some(link) = self.link_mut(ifindex) else { return };
        link.extra.promisc = link.extra.promisc.saturating_sub(1);
        self.record_link(ctx, ifindex);
    }

    /// Devices that stand on this one; they go with it and follow its carrier and MTU.
    pub fn uppers(&self, ifindex: IfIndex) -> Vec<IfIndex> {
        let stands = |link: &&Link| {
            link.lower() == Some(ifindex) || matches!(&link.kind, Kind::Vxlan(vxlan) if vxlan.dev == ifindex)
        };
        self.all_links().filter(stands).map(|link| link.ifindex).collect()
    }

    /// The row of a link.
    pub fn link_row(&self, ifindex: IfIndex) -> Option<LinkRow> {
        self.link(ifindex).map(|link| link.row(self.id))
    }
}

fn kind_of(spec: &LinkSpec) -> Kind {
    match spec.kind {
        LinkKind::Loopback => Kind::Loopback,
        LinkKind::Veth { peer_netns, peer, peer_nsid } => {
            Kind::Veth(Peer { netns: peer_netns, ifindex: peer }, peer_nsid)
        }
        LinkKind::Physical { peer_netns, peer } => Kind::Physical(Peer { netns: peer_netns, ifindex: peer }),
        LinkKind::Bridge { ageing_secs } => {
            let Kind::Bridge(bridge) = Kind::bridge() else { return Kind::Dummy };
            let ageing = Duration::from_secs(u64::from(ageing_secs));
            Kind::Bridge(super::Bridge { ageing, own_mac: spec.mac.is_some(), ..bridge })
        }
        LinkKind::Vxlan { vni, local, dev, port, learning } => {
            let group = spec.remote.filter(Ipv4Addr::is_multicast);
            Kind::Vxlan(Vxlan { vni, local, dev, port, learning, group, fdb: BTreeMap::new() })
        }
        LinkKind::Dummy => Kind::Dummy,
        LinkKind::Vlan { lower, id, protocol } => Kind::Vlan(VlanLink { lower, id, protocol }),
        LinkKind::Macvlan { lower, mode } => Kind::Macvlan { lower, mode },
        LinkKind::Ipvlan { lower, mode } => Kind::Ipvlan { lower, mode },
        LinkKind::Ipip(row) => Kind::Ipip(Tunnel::from(row)),
        LinkKind::Gre(row) => Kind::Gre(Tunnel::from(row)),
        LinkKind::Gretap(row) => Kind::Gretap(Tunnel::from(row)),
    }
}

/// A flag that an administrator sets or clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFlag {
    /// Hardware addresses are asked for.
    Arp,
    /// It takes part in groups.
    Multicast,
    /// It takes in every multicast frame.
    Allmulti,
}
