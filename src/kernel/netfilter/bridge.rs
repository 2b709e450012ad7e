//! The hooks of a bridge (`br_netfilter_hooks.c`): bridged IPv4 passes PREROUTING, FORWARD and POSTROUTING as if it
//! were routed, and goes to whom it is translated to.

use super::{HookState, Verdict};
use crate::base::{IfIndex, MacAddr};
use crate::kernel::input::Verdict as Routed;
use crate::kernel::{Ctx, Link, Netns, Port, Skb};
use crate::trace::{DropReason, EventKind, Hook, Nud, Table};

/// Where a bridge took a packet in (`struct nf_bridge_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Bridged {
    /// The port it came in at.
    pub(in crate::kernel) iif: IfIndex,
    /// The port it goes out by, once that is known.
    pub(in crate::kernel) oif: IfIndex,
    /// The source address to put back when the packet comes out of the neighbour table to be bridged on
    /// (`bridged_dnat`).
    pub(in crate::kernel) source: Option<MacAddr>,
}

impl Netns {
    /// `br_nf_pre_routing`: the packet comes back if it is to be bridged on.
    pub(in crate::kernel) fn br_nf_pre_routing(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        port: Port,
        mut skb: Skb,
    ) -> Option<Skb> {
        if self.tracks() {
            let is_fragment = skb.frame.ipv4().is_some_and(crate::wire::Ipv4::is_fragment);
            if is_fragment {
                ctx.note((self.id, ifindex), &mut skb, EventKind::Passed(Hook::Prerouting));
            }
            skb = self.defragment(ctx, ifindex, skb)?;
        }
        let before = skb.frame.ipv4()?.dst;
        skb.nf.bridge = Some(Bridged { iif: ifindex, oif: IfIndex::NONE, source: None });
        let state = HookState { hook: Hook::Prerouting, iif: port.master, oif: IfIndex::NONE };
        if self.nf_hook(ctx, ifindex, state, &mut skb) == Verdict::Drop {
            ctx.drop((self.id, ifindex), skb, DropReason::NetfilterDrop);
            return None;
        }
        if skb.frame.ipv4()?.dst == before {
            return Some(skb);
        }
        self.br_nf_redirected(ctx, ifindex, port, skb)
    }

    /// The destination was translated: to a host of this bridge the frame is bridged, to any other it goes up to be
    /// routed (`br_nf_pre_routing_finish`).
    fn br_nf_redirected(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        port: Port,
        mut skb: Skb,
    ) -> Option<Skb> {
        match self.br_nf_route(ctx, port.master, &mut skb) {
            Ok(Some(next_hop)) => self.br_nf_neighbor(ctx, port.master, next_hop, skb),
            Ok(None) => {
                let mac = self.link(port.master).map(|link| link.mac)?;
                skb.frame_mut().dst = mac;
                Some(skb)
            }
            Err(reason) => {
                ctx.drop((self.id, ifindex), skb, reason);
                None
            }
        }
    }

    /// The next hop of a packet that was translated, where that is on this bridge; `None` for any other way.
    fn br_nf_route(
        &mut self,
        ctx: &mut Ctx<'_>,
        bridge: IfIndex,
        skb: &mut Skb,
    ) -> Result<Option<crate::base::Ipv4Addr>, DropReason> {
        let dst = skb.frame.ipv4().map(|packet| packet.dst).ok_or(DropReason::IpInHdr)?;
        let next_hop = |found: crate::kernel::FibResult| found.route.gateway.unwrap_or(dst);
        match self.ip_route_input(ctx, bridge, skb) {
            Routed::Forward(found) if found.route.oif == Some(bridge) => Ok(Some(next_hop(found))),
            Routed::Forward(_) | Routed::Local => Ok(None),
            // With forwarding disabled a host of this bridge is reached all the same.
            Routed::Drop(reason) | Routed::Error(reason, _) => {
                let found = self.route_towards(dst).filter(|_| !self.sysctl.ip_forward).ok_or(reason)?;
                if found.route.oif == Some(bridge) { Ok(Some(next_hop(found))) } else { Err(reason) }
            }
        }
    }

    /// To a host of this bridge: the frame gets its address. While that is not sure, the packet takes the way through
    /// the neighbour table and comes out of the bridge device (`br_nf_pre_routing_finish_bridge`).
    fn br_nf_neighbor(
        &mut self,
        ctx: &mut Ctx<'_>,
        bridge: IfIndex,
        next_hop: crate::base::Ipv4Addr,
        mut skb: Skb,
    ) -> Option<Skb> {
        if let Some((mac, change)) = self.connected_neighbor(bridge, next_hop) {
            ctx.note((self.id, bridge), &mut skb, EventKind::Decided(Table::Neighbor, change));
            skb.frame_mut().dst = mac;
            return Some(skb);
        }
        let source = skb.frame.src;
        if let Some(bridged) = &mut skb.nf.bridge {
            bridged.source = Some(source);
        }
        self.neigh_output(ctx, bridge, next_hop, ctx.delays.bridge, skb);
        None
    }

    /// A neighbour whose address is confirmed.
    fn connected_neighbor(
        &self,
        ifindex: IfIndex,
        addr: crate::base::Ipv4Addr,
    ) -> Option<(MacAddr, crate::base::ChangeId)> {
        let entry = self.neighbors.get(&(ifindex, addr))?;
        let is_connected = matches!(entry.row.state, Nud::Reachable | Nud::Permanent | Nud::NoArp);
        entry.row.mac.filter(|_| is_connected).map(|mac| (mac, entry.change()))
    }

    /// A packet that waited for its neighbour leaves by the bridge device: it is bridged on as if it had just come in
    /// (`br_nf_dev_xmit`).
    pub(in crate::kernel) fn br_nf_dev_xmit(&mut self, skb: &mut Skb) -> Option<(IfIndex, Port)> {
        let bridged = skb.nf.bridge.as_mut()?;
        let source = bridged.source.take()?;
        let ifindex = bridged.iif;
        skb.frame_mut().src = source;
        let port = self.link(ifindex).and_then(|link: &Link| link.port)?;
        Some((ifindex, port))
    }

    /// FORWARD and POSTROUTING of a frame that goes from port to port (`br_nf_forward`, `br_nf_post_routing`).
    pub(in crate::kernel) fn br_nf_forward(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: IfIndex,
        to: IfIndex,
        mut skb: Skb,
    ) -> Option<Skb> {
        let Some(bridge) = self.link(from).and_then(|link| link.port).map(|port| port.master) else {
            return Some(skb);
        };
        if let Some(bridged) = &mut skb.nf.bridge {
            bridged.oif = to;
        }
        let forward = HookState { hook: Hook::Forward, iif: bridge, oif: bridge };
        let postrouting = HookState { hook: Hook::Postrouting, iif: IfIndex::NONE, oif: bridge };
        for state in [forward, postrouting] {
            if self.nf_hook(ctx, from, state, &mut skb) == Verdict::Drop {
                let reason = skb.nf.drop_reason();
                ctx.drop((self.id, from), skb, reason);
                return None;
            }
        }
        Some(skb)
    }
}
