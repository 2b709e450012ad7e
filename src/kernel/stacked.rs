//! Devices that share another device's wire: VLANs (`net/8021q/vlan_dev.c`), macvlan (`drivers/net/macvlan.c`) and
//! ipvlan (`drivers/net/ipvlan/ipvlan_core.c`). A device that was moved away from the one
//! below leaves a stub there (`away`).

use super::{Ctx, Kind, Link, Netns, Skb, VlanLink};
use crate::base::{IfIndex, Ipv4Addr};
use crate::trace::{DropReason, IpvlanMode, MacvlanMode};
use crate::wire::{Payload, VlanProtocol};

/// Where a frame that came in at a device belongs.
pub(super) enum Claimed {
    /// A device that stands on it takes the frame.
    By(IfIndex),
    /// The device itself takes it, after these devices got copies.
    After(Vec<IfIndex>),
}

impl Netns {
    /// Whether any device stands on this one.
    pub(super) fn has_riders(&self, lower: IfIndex) -> bool {
        self.riders(lower).next().is_some()
    }

    /// Devices that stand on this one have a carrier while it runs (`netif_stacked_transfer_operstate`).
    pub(super) fn follow_lower(&mut self, ctx: &mut Ctx<'_>, lower: IfIndex) {
        let running = self.link(lower).is_some_and(Link::is_running);
        let riders: Vec<IfIndex> = self
            .all_links()
            .filter(|link| link.lower() == Some(lower) && link.carrier != running)
            .map(|link| link.ifindex)
            .collect();
        for rider in riders {
            self.set_carrier(ctx, rider, running);
        }
    }

    fn riders(&self, lower: IfIndex) -> impl Iterator<Item = &Link> {
        self.all_links().filter(move |link| link.up && link.lower() == Some(lower))
    }

    /// A frame leaves by a device that stands on another.
    pub(super) fn stacked_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mut skb: Skb) {
        let Some(link) = self.link(ifindex) else { return };
        skb.nesting += 1;
        match link.kind {
            Kind::Vlan(VlanLink { lower, id, protocol }) => {
                let frame = skb.frame_mut();
                *frame = frame.clone().tagged(protocol, id);
                self.dev_queue_xmit(ctx, lower, skb);
            }
            Kind::Macvlan { lower, mode } => self.macvlan_xmit(ctx, ifindex, (lower, mode), skb),
            Kind::Ipvlan { lower, mode } => self.ipvlan_xmit(ctx, ifindex, (lower, mode), skb),
            Kind::Loopback
            | Kind::Veth(..)
            | Kind::Physical(_)
            | Kind::Bridge(_)
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Ipip(_)
            | Kind::Gre(_)
            | Kind::Gretap(_) => ctx.drop((self.id, ifindex), skb, DropReason::UnhandledProto),
        }
    }

    /// `macvlan_queue_xmit`: in mode bridge, siblings in that mode are reached directly.
    fn macvlan_xmit(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        (lower, mode): (IfIndex, MacvlanMode),
        skb: Skb,
    ) {
        let dst = skb.frame.dst;
        if mode == MacvlanMode::Bridge {
            let siblings: Vec<IfIndex> = self
                .riders(lower)
                .filter(|link| link.ifindex != ifindex)
                .filter(|link| matches!(link.kind, Kind::Macvlan { mode: MacvlanMode::Bridge, .. }))
                .filter(|link| dst.is_multicast() || link.mac == dst)
                .map(|link| link.ifindex)
                .collect();
            if let (false, Some(&sibling)) = (dst.is_multicast(), siblings.first()) {
                return self.receive_rider(ctx, sibling, skb);
            }
            for sibling in siblings {
                let copy = ctx.copy(&skb);
                self.receive_rider(ctx, sibling, copy);
            }
        }
        self.dev_queue_xmit(ctx, lower, skb);
    }

    /// `ipvlan_xmit_mode_l2` and `ipvlan_xmit_mode_l3`: siblings are told by their IPv4 addresses.
    fn ipvlan_xmit(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        (lower, mode): (IfIndex, IpvlanMode),
        mut skb: Skb,
    ) {
        let own_mac = skb.frame.dst == skb.frame.src;
        let sibling = ipvlan_destination(&skb).and_then(|addr| self.ipvlan_with(lower, addr));
        match (mode, sibling) {
            (IpvlanMode::L3, Some(sibling)) => self.receive_rider(ctx, sibling, skb),
            (IpvlanMode::L2, Some(sibling)) if own_mac => self.receive_rider(ctx, sibling, skb),
            (IpvlanMode::L2, None) if own_mac => self.netif_receive(ctx, lower, skb),
            (IpvlanMode::L2, _) if skb.frame.dst.is_multicast() => {
                let others: Vec<IfIndex> = self
                    .riders(lower)
                    .filter(|link| link.ifindex != ifindex && matches!(link.kind, Kind::Ipvlan { .. }))
                    .map(|link| link.ifindex)
                    .collect();
                for other in others {
                    let copy = ctx.copy(&skb);
                    self.receive_rider(ctx, other, copy);
                }
                self.dev_queue_xmit(ctx, lower, skb);
            }
            (IpvlanMode::L2, _) => self.dev_queue_xmit(ctx, lower, skb),
            // `ipvlan_process_outbound`: routed anew as if the lower device's host had sent it.
            (IpvlanMode::L3, None) => {
                let Some(dst) = ipvlan_destination(&skb) else {
                    return ctx.drop((self.id, ifindex), skb, DropReason::IpvlanNoTarget);
                };
                match self.ip_route_output(ctx.now, dst, None, Some(lower)) {
                    Ok(flow) if flow.oif != ifindex => {
                        let frame = skb.frame_mut();
                        (frame.dst, frame.src) = Default::default();
                        self.ip_local_out(ctx, &flow, ctx.delays.output, skb);
                    }
                    Ok(_) => ctx.drop((self.id, ifindex), skb, DropReason::Recursion),
                    Err(_) => ctx.drop((self.id, ifindex), skb, DropReason::IpOutNoRoutes),
                }
            }
        }
    }

    /// The ipvlan device on `lower` that has this address (`ipvlan_addr_lookup`).
    fn ipvlan_with(&self, lower: IfIndex, addr: Ipv4Addr) -> Option<IfIndex> {
        self.riders(lower)
            .filter(|link| matches!(link.kind, Kind::Ipvlan { .. }))
            .find(|link| {
                let has =
                    |row: &crate::trace::AddrRow| row.ifindex == link.ifindex && row.addr.addr() == addr;
                link.away_addrs.contains(&addr) || self.addrs().iter().any(has)
            })
            .map(|link| link.ifindex)
    }

    /// Which device takes a frame that came in at `lower` (`vlan_do_receive`, `macvlan_handle_frame`,
    /// `ipvlan_handle_frame`). A VLAN's frame comes without its tag.
    pub(super) fn rx_handler(&self, lower: IfIndex, skb: &mut Skb) -> Claimed {
        for protocol in [VlanProtocol::Dot1q, VlanProtocol::Dot1ad] {
            let Some(id) = skb.frame.vlan_id(protocol) else { continue };
            let is_it = |link: &&Link| matches!(link.kind, Kind::Vlan(vlan) if (vlan.id, vlan.protocol) == (id, protocol));
            let found = self.riders(lower).find(is_it).map(|link| link.ifindex);
            // A tag that carries a priority only is as good as none.
            if found.is_some() || id == 0 {
                let frame = skb.frame_mut();
                *frame = frame.clone().untagged();
            }
            if let Some(vlan) = found {
                return Claimed::By(vlan);
            }
        }
        if skb.frame.dst.is_multicast() {
            return Claimed::After(self.multicast_riders(lower, skb));
        }
        let (dst, addr) = (skb.frame.dst, ipvlan_destination(skb));
        let takes = |link: &&Link| match link.kind {
            Kind::Macvlan { mode, .. } => mode == MacvlanMode::Passthru || link.mac == dst,
            Kind::Loopback
            | Kind::Veth(..)
            | Kind::Physical(_)
            | Kind::Bridge(_)
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Vlan(_)
            | Kind::Ipvlan { .. }
            | Kind::Ipip(_)
            | Kind::Gre(_)
            | Kind::Gretap(_) => false,
        };
        let macvlan = self.riders(lower).find(takes).map(|link| link.ifindex);
        let found = macvlan.or_else(|| addr.and_then(|addr| self.ipvlan_with(lower, addr)));
        found.map_or(Claimed::After(Vec::new()), Claimed::By)
    }

    /// Which devices get a copy of a group frame (`macvlan_multicast_rx`): what a sibling in mode bridge sent, the
    /// others in that mode have seen already.
    fn multicast_riders(&self, lower: IfIndex, skb: &Skb) -> Vec<IfIndex> {
        let mode_of =
            |link: &Link| if let Kind::Macvlan { mode, .. } = link.kind { Some(mode) } else { None };
        let source = self.riders(lower).filter(|link| link.mac == skb.frame.src).find_map(mode_of);
        let hears = |mode: MacvlanMode| match source {
            None => true,
            Some(MacvlanMode::Vepa) => matches!(mode, MacvlanMode::Vepa | MacvlanMode::Bridge),
            Some(MacvlanMode::Bridge) => mode == MacvlanMode::Vepa,
            Some(MacvlanMode::Private | MacvlanMode::Passthru) => false,
        };
        let own = |link: &&Link| link.mac != skb.frame.src;
        self.riders(lower)
            .filter(own)
            .filter(|link| {
                matches!(link.kind, Kind::Ipvlan { mode: IpvlanMode::L2, .. })
                    || mode_of(link).is_some_and(hears)
            })
            .map(|link| link.ifindex)
            .collect()
    }
}

/// The IPv4 address that a frame is for, by its IPv4 or ARP header (`ipvlan_get_L3_hdr`).
fn ipvlan_destination(skb: &Skb) -> Option<Ipv4Addr> {
    match &skb.frame.payload {
        Payload::Ipv4(packet) => Some(packet.dst),
        Payload::Arp(arp) => Some(arp.target_ip),
        Payload::Vlan(_) | Payload::Bpdu(_) | Payload::Other { .. } => None,
    }
}
