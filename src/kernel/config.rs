//! What an administrator or a CNI plug-in does to a namespace: links, addresses, routes, entries. Every change is
//! written to the trace.

use super::link::{FdbEntry, VxlanRemote};
use super::{Bridge, Ctx, Kind, Link, Netns, Port, Stp, Timer, Urgency, VlanLink, Vlans, Work};
use crate::base::{ChangeId, Duration, EventId, IfIndex, Ipv4Addr, Ipv4Net, MacAddr, SimTime};
use crate::trace::{
    AddrRow, BridgeRow, FdbRow, LinkExtra, NeighRow, Nud, PortExtra, PortState, RouteKind, Scope, TableChange,
};
use crate::wire::{BridgeId, VlanProtocol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A link to be made.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// Interface name.
    pub name: Arc<str>,
    /// Kind.
    pub kind: Kind,
    /// Ethernet address.
    pub mac: MacAddr,
    /// MTU in bytes.
    pub mtu: u32,
    /// Transmit queue length for display; CNI plug-ins make veths with 0.
    pub txqlen: u32,
}

impl Kind {
    /// A bridge without ports (`ip link add type bridge`), ageing time 300 s.
    pub fn bridge() -> Self {
        Self::Bridge(Bridge {
            ports: Vec::new(),
            fdb: BTreeMap::new(),
            ageing: Duration::from_secs(300),
            gc_at: None,
            next_port: 1,
            own_mac: true,
            row: BridgeRow {
                stp: false,
                vlan_filtering: false,
                vlan_protocol: VlanProtocol::Dot1q,
                default_pvid: 1,
                id: BridgeId { priority: 0x8000, mac: MacAddr::ZERO },
                root: BridgeId { priority: 0x8000, mac: MacAddr::ZERO },
                root_path_cost: 0,
                root_port: 0,
                topology_change: false,
                topology_change_detected: false,
                forward_delay: 1500,
                hello_time: 200,
                max_age: 2000,
            },
            stp: Stp::default(),
            has_vlans: false,
            mtu_set: false,
            nf_mtu: 1500,
        })
    }
}

impl Netns {
    /// The number the next link will get.
    pub fn next_ifindex(&self) -> IfIndex {
        IfIndex(self.links.len() as u32)
    }

    /// Makes a link, down (`ip link add`).
    pub fn add_link(&mut self, ctx: &mut Ctx<'_>, new: NewLink) -> IfIndex {
        self.add_link_as(ctx, new, |_| {})
    }

    /// Sets the name that is only told (`ip link set … alias`); empty for none.
    pub fn set_alias(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, alias: &str) {
        let Some(link) = self.link_mut(ifindex) else { return };
        link.extra.alias = (!alias.is_empty()).then(|| alias.into());
        self.record_link(ctx, ifindex);
    }

    /// The same, changed before anybody sees it.
    pub(super) fn add_link_as(
        &mut self,
        ctx: &mut Ctx<'_>,
        new: NewLink,
        change: impl FnOnce(&mut Link),
    ) -> IfIndex {
        self.add_link_at(ctx, self.next_ifindex(), new, change)
    }

    pub(super) fn add_link_at(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        new: NewLink,
        change: impl FnOnce(&mut Link),
    ) -> IfIndex {
        let wireless = self.carrier_of_new(&new.kind);
        let NewLink { name, mut kind, mac, mtu, txqlen } = new;
        // A bridge whose address nobody chose has no identifier until it has a port.
        let mut has_id = false;
        if let Kind::Bridge(bridge) = &mut kind
            && bridge.own_mac
        {
            (bridge.row.id.mac, bridge.row.root.mac) = (mac, mac);
            has_id = true;
        }
        let is_bridge = matches!(kind, Kind::Bridge(_));
        let vlans = Vlans::default();
        let extra =
            LinkExtra { never_up: true, operstate_unknown: is_bridge && wireless, ..LinkExtra::default() };
        let conf = self.sysctl.default;
        let mut link = Link {
            ifindex,
            name,
            kind,
            mac,
            mtu,
            up: false,
            carrier: wireless,
            txqlen,
            port: None,
            extra,
            vlans,
            conf,
            bpf: None,
            qdisc: None,
            away: None,
            away_addrs: Vec::new(),
            shown: None,
        };
        change(&mut link);
        let places = self.links.len().max(ifindex.index() + 1);
        self.links.resize_with(places, || None);
        self.links[ifindex.index()] = Some(link);
        self.record_link(ctx, ifindex);
        if has_id {
            self.fdb_insert_local(ctx, ifindex, ifindex, mac);
        }
        ifindex
    }

    /// Whether a new device has a carrier at once: one without a wire has, one that stands on another has its.
    fn carrier_of_new(&self, kind: &Kind) -> bool {
        match kind {
            // A bridge has one until its ports are looked at for the first time (`br_port_state_selection`).
            Kind::Bridge(bridge) => !bridge.own_mac,
            Kind::Loopback
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Ipip(_)
            | Kind::Gre(_)
            | Kind::Gretap(_) => true,
            Kind::Vlan(VlanLink { lower, .. }) | Kind::Macvlan { lower, .. } | Kind::Ipvlan { lower, .. } => {
                self.link(*lower).is_some_and(Link::is_running)
            }
            Kind::Veth(..) | Kind::Physical(_) => false,
        }
    }

    /// Makes `lo` with 127.0.0.1/8 and sets it up.
    pub fn add_loopback(&mut self, ctx: &mut Ctx<'_>) {
        let lo = self.add_link(
            ctx,
            NewLink {
                name: "lo".into(),
                kind: Kind::Loopback,
                mac: MacAddr::ZERO,
                mtu: 65_536,
                txqlen: 1000,
            },
        );
        self.set_up(ctx, lo);
        let net = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);
        self.add_addr(ctx, lo, net, None, Scope::Host);
    }

    pub(super) fn record_link(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) -> ChangeId {
        let Some(link) = self.link(ifindex).filter(|link| link.away.is_none()) else {
            return ChangeId::NONE;
        };
        let row = link.row(self.id);
        ctx.change(self.id, ifindex, EventId::NONE, TableChange::Link(Box::new(row)))
    }

    /// Removes a link with its addresses, routes and entries (`ip link del`). The other end of a veth is the
    /// caller's to remove.
    pub fn del_link(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        for upper in self.uppers(ifindex) {
            self.del_link(ctx, upper);
        }
        self.set_down(ctx, ifindex);
        for port in self.ports_of(ifindex) {
            self.del_master(ctx, port);
        }
        self.leave_bridge(ctx, ifindex);
        self.fib_forget_dev(ctx, ifindex);
        self.forget_addrs(ctx, ifindex);
        let gone = self.links.get_mut(ifindex.index()).and_then(Option::take);
        if gone.is_none_or(|link| link.away.is_none()) {
            ctx.change(self.id, ifindex, EventId::NONE, TableChange::LinkGone(self.id, ifindex));
        }
    }

    pub(super) fn leave_bridge(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let Some(port) = self.link(ifindex).and_then(|link| link.port) else { return };
        if port.state != PortState::Disabled {
            self.br_stp_disable_port(ctx, port.master, ifindex);
        }
        self.nbp_vlan_flush(ctx, ifindex);
        let mut gone = Vec::new();
        if let Some(Link { kind: Kind::Bridge(bridge), .. }) = self.link_mut(port.master) {
            bridge.ports.retain(|&at| at != ifindex);
            bridge.fdb.retain(|key, entry| {
                let goes = entry.port == ifindex;
                if goes {
                    gone.push((*key, *entry));
                }
                !goes
            });
        }
        for (key, entry) in gone {
            let row = self.bridge_fdb_row(port.master, key, &entry);
            ctx.change(self.id, ifindex, EventId::NONE, TableChange::FdbGone(row));
        }
        self.br_stp_recalculate_bridge_id(ctx, port.master);
        self.update_bridge_carrier(ctx, port.master);
        self.br_mtu_auto_adjust(ctx, port.master);
    }

    /// A bridge is as wide as its narrowest port, and 1500 without any, unless somebody said otherwise
    /// (`br_mtu_auto_adjust`).
    fn br_mtu_auto_adjust(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        const ETH_DATA_LEN: u32 = 1500;
        let Some(Link { kind: Kind::Bridge(state), .. }) = self.link(bridge) else { return };
        if state.mtu_set {
            return;
        }
        let widths = state.ports.iter().filter_map(|&port| self.link(port)).map(|port| port.mtu);
        let mtu = widths.min().unwrap_or(ETH_DATA_LEN);
        if let Some(link) = self.link_mut(bridge).filter(|link| link.mtu != mtu) {
            link.mtu = mtu;
            if let Kind::Bridge(state) = &mut link.kind {
                state.nf_mtu = mtu;
            }
            self.record_link(ctx, bridge);
        }
    }

    /// Sets a link up (`ip link set up`). Its connected routes come with it.
    pub fn set_up(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let Some(link) = self.link_mut(ifindex) else { return };
        if link.up {
            return;
        }
        link.up = true;
        link.extra.never_up = false;
        let peer = link.peer();
        self.record_link(ctx, ifindex);
        let rows: Vec<AddrRow> = self.addrs.iter().filter(|row| row.ifindex == ifindex).cloned().collect();
        for row in rows {
            self.add_addr_routes(ctx, &row);
        }
        self.fib_sync_up(ctx, ifindex);
        if let Some(peer) = peer {
            ctx.effects.carrier.push((peer.netns, peer.ifindex, true));
        }
        if self.conf_or(ifindex, |conf| conf.arp_notify) {
            self.announce_all(ctx, ifindex);
        }
        self.br_stp_enable_bridge(ctx, ifindex);
        self.follow_lower(ctx, ifindex);
        for port in self.ports_of(ifindex) {
            self.linkwatch(ctx, port);
        }
        if self.link(ifindex).is_some_and(Link::is_running) {
            self.schedule_linkwatch(ctx, ifindex);
        }
    }

    /// The ports of a bridge; none for other links.
    fn ports_of(&self, ifindex: IfIndex) -> Vec<IfIndex> {
        match self.link(ifindex) {
            Some(Link { kind: Kind::Bridge(bridge), .. }) => bridge.ports.clone(),
            Some(_) | None => Vec::new(),
        }
    }

    /// Sets a link down (`ip link set down`). Its routes and neighbour entries go.
    pub fn set_down(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let Some(link) = self.link_mut(ifindex) else { return };
        if !link.up {
            return;
        }
        link.up = false;
        let peer = link.peer();
        self.record_link(ctx, ifindex);
        self.linkwatch(ctx, ifindex);
        self.br_stp_disable_bridge(ctx, ifindex);
        self.follow_lower(ctx, ifindex);
        self.nexthop_flush_dev(ctx, ifindex);
        // The addresses stay this machine's own: their local routes are kept.
        self.fib_sync_down_dev(ctx, ifindex, |route| {
            route.oif == Some(ifindex) && route.kind != RouteKind::Local
        });
        self.flush_neighbors(ctx, ifindex);
        self.pneigh_ifdown(ctx, ifindex, false);
        self.flush_masquerade(ctx, ifindex, None);
        if let Some(peer) = peer {
            ctx.effects.carrier.push((peer.netns, peer.ifindex, false));
        }
    }

    /// The other end of the wire came up or went down.
    pub fn set_carrier(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, carrier: bool) {
        let Some(link) = self.link_mut(ifindex) else { return };
        let carrier = carrier && !link.extra.cut;
        if link.carrier == carrier {
            return;
        }
        link.carrier = carrier;
        if let Some(peer) = link.away {
            ctx.effects.carrier.push((peer.netns, peer.ifindex, carrier));
        }
        self.record_link(ctx, ifindex);
        if !carrier {
            self.neigh_carrier_down(ctx, ifindex);
            self.pneigh_ifdown(ctx, ifindex, true);
            self.nexthop_flush_dev(ctx, ifindex);
        }
        self.follow_lower(ctx, ifindex);
        self.schedule_linkwatch(ctx, ifindex);
    }

    /// One end of a cable is cut, or mended with the other end up or down.
    pub fn set_cut(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, cut: bool, other_up: bool) {
        let Some(link) = self.link_mut(ifindex).filter(|link| link.extra.cut != cut) else { return };
        link.extra.cut = cut;
        if link.carrier == (other_up && !cut) {
            self.record_link(ctx, ifindex);
        }
        self.set_carrier(ctx, ifindex, other_up);
    }

    fn schedule_linkwatch(&self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        if self.link(ifindex).is_some_and(|link| link.port.is_some()) {
            ctx.later(ctx.delays.linkwatch, Urgency::Now, Work::Timer(Timer::LinkWatch(ifindex)));
        }
    }

    /// A bridge port forwards only once the carrier's coming was noticed (`br_port_carrier_check`).
    pub(super) fn linkwatch(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let Some(link) = self.link(ifindex) else { return };
        let Some(port) = link.port else { return };
        let bridge_up = self.link(port.master).is_some_and(|bridge| bridge.up);
        match (link.is_running() && bridge_up, port.state) {
            (true, PortState::Disabled) => self.br_stp_enable_port(ctx, port.master, ifindex),
            (false, PortState::Disabled) | (true, _) => {}
            (false, _) => self.br_stp_disable_port(ctx, port.master, ifindex),
        }
    }

    pub(super) fn set_port_state(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, state: PortState) {
        let Some(link) = self.link_mut(ifindex) else { return };
        let Some(port) = link.port.as_mut().filter(|port| port.state != state) else { return };
        port.state = state;
        let master = port.master;
        self.record_link(ctx, ifindex);
        self.update_bridge_carrier(ctx, master);
    }

    /// A bridge has a carrier while one of its ports forwards (`br_port_state_selection`).
    pub(super) fn update_bridge_carrier(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let Some(Link { kind: Kind::Bridge(bridge), .. }) = self.link(ifindex) else { return };
        let forwards = |at: &IfIndex| {
            self.link(*at).and_then(|link| link.port).is_some_and(|port| port.state == PortState::Forwarding)
        };
        let carrier = bridge.ports.iter().any(forwards);
        if let Some(link) = self.link_mut(ifindex)
            && link.carrier != carrier
        {
            link.carrier = carrier;
            link.extra.operstate_unknown = false;
            self.record_link(ctx, ifindex);
            if !carrier {
                self.nexthop_flush_dev(ctx, ifindex);
            }
            self.follow_lower(ctx, ifindex);
        }
    }

    /// Changes a link's MTU (`ip link set mtu`).
    pub fn set_mtu(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mtu: u32) {
        let Some(link) = self.link_mut(ifindex) else { return };
        link.mtu = mtu;
        if let Kind::Bridge(bridge) = &mut link.kind {
            bridge.mtu_set = true;
            bridge.nf_mtu = mtu;
        }
        let master = link.port.map(|port| port.master);
        self.record_link(ctx, ifindex);
        if let Some(master) = master {
            self.br_mtu_auto_adjust(ctx, master);
        }
    }

    /// Changes a link's Ethernet address (`ip link set address`). A bridge's own entry for it moves along.
    pub fn set_mac(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mac: MacAddr) {
        let Some(link) = self.link_mut(ifindex) else { return };
        if let Kind::Bridge(bridge) = &mut link.kind {
            bridge.own_mac = true;
            return self.change_own_mac(ctx, ifindex, mac);
        }
        link.mac = mac;
        let master = link.port.map(|port| port.master);
        self.record_link(ctx, ifindex);
        // `arp_netdev_event`: whoever is known by this interface is asked anew, also what was set by hand.
        self.flush_neighbors(ctx, ifindex);
        if self.conf_or(ifindex, |conf| conf.arp_notify) {
            self.announce_all(ctx, ifindex);
        }
        if let Some(bridge) = master {
            self.forget_local(ctx, bridge, ifindex);
            self.fdb_insert_local(ctx, bridge, ifindex, mac);
            self.br_stp_recalculate_bridge_id(ctx, bridge);
        }
    }

    pub(super) fn forget_local(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, port: IfIndex) {
        let Some(Link { kind: Kind::Bridge(state), .. }) = self.link_mut(bridge) else { return };
        let old = state
            .fdb
            .iter()
            .find(|(_, entry)| entry.local && entry.port == port)
            .map(|(key, entry)| (*key, *entry));
        let Some((key, entry)) = old else { return };
        state.fdb.remove(&key);
        let row = self.bridge_fdb_row(bridge, key, &entry);
        ctx.change(self.id, port, EventId::NONE, TableChange::FdbGone(row));
        // Another port, or the bridge itself, may have the same address (`fdb_delete_local`).
        let ports = self.bridge(bridge).map_or(&[][..], |state| &state.ports).iter().copied();
        let mut others = ports.chain([bridge]).filter(|other| *other != port);
        let heir = others.find(|other| self.link(*other).is_some_and(|link| link.mac == key.0));
        if let Some(heir) = heir {
            self.fdb_insert_local(ctx, bridge, heir, key.0);
        }
    }

    /// Makes a link a port of a bridge (`ip link set master`). `hairpin` lets frames out where they came in.
    pub fn set_master(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, master: IfIndex, hairpin: Hairpin) {
        let Some(mac) = self.link(ifindex).map(|link| link.mac) else { return };
        let Some(Link { kind: Kind::Bridge(bridge), .. }) = self.link_mut(master) else { return };
        let number = bridge.next_port;
        bridge.next_port += 1;
        bridge.ports.push(ifindex);
        if let Some(link) = self.link_mut(ifindex) {
            link.port = Some(Port {
                master,
                number,
                state: PortState::Disabled,
                hairpin: hairpin == Hairpin::On,
                learning: true,
                flood: true,
                extra: PortExtra::default(),
            });
            // `br_add_if` asks for every frame and every group.
            link.extra.promisc += 1;
            link.extra.allmulti += 1;
        }
        self.record_link(ctx, ifindex);
        self.fdb_insert_local(ctx, master, ifindex, mac);
        self.nbp_vlan_init(ctx, master, ifindex);
        self.br_stp_recalculate_bridge_id(ctx, master);
        self.br_mtu_auto_adjust(ctx, master);
        if self.link(ifindex).is_some_and(Link::is_running) {
            self.schedule_linkwatch(ctx, ifindex);
        }
    }

    /// Enters an address of a port's or of the bridge's own (`fdb_add_local`); of several the first has the entry.
    pub(super) fn fdb_insert_local(
        &mut self,
        ctx: &mut Ctx<'_>,
        bridge: IfIndex,
        port: IfIndex,
        mac: MacAddr,
    ) {
        let known = self.bridge(bridge).and_then(|state| state.fdb.get(&(mac, 0)));
        if known.is_some_and(|entry| entry.local) {
            return;
        }
        let mut entry = FdbEntry { local: true, ..FdbEntry::at(port, ctx.now) };
        let row = self.bridge_fdb_row(bridge, (mac, 0), &entry);
        entry.change = ctx.change(self.id, port, EventId::NONE, TableChange::Fdb(row));
        if let Some(Link { kind: Kind::Bridge(bridge), .. }) = self.link_mut(bridge) {
            bridge.fdb.insert((mac, 0), entry);
        }
    }

    pub(super) fn bridge_fdb_row(
        &self,
        bridge: IfIndex,
        (mac, vlan): (MacAddr, u16),
        entry: &FdbEntry,
    ) -> FdbRow {
        FdbRow {
            netns: self.id,
            ifindex: entry.port,
            master: Some(bridge),
            mac,
            vlan,
            permanent: entry.local,
            is_static: entry.is_static,
            dst: None,
            updated: entry.updated,
        }
    }

    /// Sets a neighbour entry as it is given (`ip neigh replace`).
    pub fn set_neighbor(&mut self, ctx: &mut Ctx<'_>, row: NeighRow) {
        self.put_neighbor(ctx, NeighRow { updated: ctx.now, ..row });
    }

    /// Sets a permanent neighbour entry (`ip neigh replace … nud permanent`).
    pub fn set_permanent_neighbor(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        addr: Ipv4Addr,
        mac: MacAddr,
    ) {
        let row = NeighRow {
            netns: self.id,
            ifindex,
            addr,
            mac: Some(mac),
            state: Nud::Permanent,
            probes: 0,
            updated: ctx.now,
            confirmed: ctx.now,
        };
        self.put_neighbor(ctx, row);
    }

    /// Adds a tunnel end to a VXLAN device's forwarding database (`bridge fdb append … dst`).
    pub fn add_vxlan_fdb(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mac: MacAddr, dst: Ipv4Addr) {
        let row = self.vxlan_fdb_row(ifindex, mac, dst, true, ctx.now);
        let change = ctx.change(self.id, ifindex, EventId::NONE, TableChange::Fdb(row));
        if let Some(Link { kind: Kind::Vxlan(vxlan), .. }) = self.link_mut(ifindex) {
            let remote = VxlanRemote { dst, permanent: true, updated: row.updated, change };
            vxlan.fdb.entry(mac).or_default().push(remote);
        }
    }

    /// Removes an address from a VXLAN device's forwarding database (`bridge fdb del`).
    pub fn del_vxlan_fdb(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mac: MacAddr) {
        let Some(Link { kind: Kind::Vxlan(vxlan), .. }) = self.link_mut(ifindex) else { return };
        for remote in vxlan.fdb.remove(&mac).unwrap_or_default() {
            let row = self.vxlan_fdb_row(ifindex, mac, remote.dst, remote.permanent, remote.updated);
            ctx.change(self.id, ifindex, EventId::NONE, TableChange::FdbGone(row));
        }
    }

    pub(super) fn vxlan_fdb_row(
        &self,
        ifindex: IfIndex,
        mac: MacAddr,
        dst: Ipv4Addr,
        permanent: bool,
        updated: SimTime,
    ) -> FdbRow {
        FdbRow {
            netns: self.id,
            ifindex,
            master: None,
            mac,
            vlan: 0,
            permanent,
            is_static: false,
            dst: Some(dst),
            updated,
        }
    }
}

/// Hairpin mode of a bridge port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hairpin {
    /// Frames do not go out where they came in.
    Off,
    /// They may.
    On,
}
