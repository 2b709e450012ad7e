//! The bridge (`net/bridge/br_input.c`, `br_forward.c`, `br_fdb.c`): learning, ageing, flooding, hairpin, port
//! states; and its netfilter hook (`br_netfilter_hooks.c`). Not modelled here: spanning tree packets, VLAN filtering,
//! multicast snooping (group frames are flooded, as without a querier).

use super::device::is_skb_forwardable;
use super::link::FdbEntry;
use super::{Ctx, Kind, Link, Netns, Port, Skb, Urgency, Work};
use crate::base::{ChangeId, Duration, IfIndex, MacAddr};
use crate::trace::{DropReason, EventKind, PortState, Table, TableChange};
use crate::wire::Payload;

/// Where the forwarding database sends a frame.
enum Egress {
    Up,
    Port(IfIndex),
    Flood,
}

impl Netns {
    /// A frame came in at a bridge port (`br_handle_frame`, `br_handle_frame_finish`).
    pub(super) fn br_handle_frame(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, port: Port, mut skb: Skb) {
        let at = (self.id, ifindex);
        if skb.frame.src.is_multicast() {
            return ctx.drop(at, skb, DropReason::UnhandledProto);
        }
        if port.state == PortState::Forwarding && self.is_hooked(&skb) {
            match self.br_nf_pre_routing(ctx, ifindex, port, skb) {
                Some(passed) => skb = passed,
                None => return,
            }
        }
        self.br_handle_frame_finish(ctx, ifindex, port, skb);
    }

    /// Learns and forwards.
    fn br_handle_frame_finish(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, port: Port, mut skb: Skb) {
        let at = (self.id, ifindex);
        let may_learn = matches!(port.state, PortState::Learning | PortState::Forwarding);
        if may_learn && port.learning {
            self.br_fdb_update(ctx, port.master, ifindex, &skb);
        }
        if port.state != PortState::Forwarding {
            return ctx.drop(at, skb, DropReason::BridgePortState);
        }
        let dst = skb.frame.dst;
        if dst.is_multicast() {
            let copy = ctx.copy(&skb);
            self.br_pass_frame_up(ctx, port.master, copy);
            return self.br_flood(ctx, port.master, Some(ifindex), skb);
        }
        let egress = self.br_fdb_find(ctx, port.master, (ifindex, dst), &mut skb);
        match egress {
            Egress::Up => self.br_pass_frame_up(ctx, port.master, skb),
            Egress::Port(to) => self.br_forward(ctx, port.master, Some(ifindex), to, skb),
            Egress::Flood => self.br_flood(ctx, port.master, Some(ifindex), skb),
        }
    }

    /// A frame of this machine's own leaves by the bridge device (`br_dev_xmit`).
    pub(super) fn br_dev_xmit(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, mut skb: Skb) {
        if let Some((ifindex, port)) = self.br_nf_dev_xmit(&mut skb) {
            return self.br_handle_frame_finish(ctx, ifindex, port, skb);
        }
        let dst = skb.frame.dst;
        if dst.is_multicast() {
            return self.br_flood(ctx, bridge, None, skb);
        }
        match self.br_fdb_find(ctx, bridge, (bridge, dst), &mut skb) {
            Egress::Up => self.br_pass_frame_up(ctx, bridge, skb),
            Egress::Port(to) => self.br_forward(ctx, bridge, None, to, skb),
            Egress::Flood => self.br_flood(ctx, bridge, None, skb),
        }
    }

    fn br_fdb_find(
        &mut self,
        ctx: &mut Ctx<'_>,
        bridge: IfIndex,
        (from, dst): (IfIndex, MacAddr),
        skb: &mut Skb,
    ) -> Egress {
        self.br_fdb_expire(ctx, bridge, dst);
        let Some(Link { kind: Kind::Bridge(state), .. }) = self.link(bridge) else { return Egress::Flood };
        let entry = state.fdb.get(&dst).copied();
        let row = entry.map_or(ChangeId::NONE, |entry| entry.change);
        ctx.note((self.id, from), skb, EventKind::Decided(Table::BridgeFdb, row));
        match entry {
            Some(FdbEntry { local: true, .. }) => Egress::Up,
            Some(FdbEntry { port, .. }) => Egress::Port(port),
            None => Egress::Flood,
        }
    }

    /// Forgets an entry that was not seen for the ageing time. The kernel's collector comes by later; nobody can
    /// tell, for an entry that old is not used either (`has_expired`).
    fn br_fdb_expire(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, mac: MacAddr) {
        let now = ctx.now;
        let Some(Link { kind: Kind::Bridge(state), .. }) = self.link_mut(bridge) else { return };
        let ageing = state.ageing;
        let Some(entry) = state.fdb.get(&mac).copied() else { return };
        if entry.local || now.since(entry.updated) <= ageing {
            return;
        }
        state.fdb.remove(&mac);
        let row = self.bridge_fdb_row(bridge, mac, &entry);
        ctx.change(self.id, entry.port, crate::base::EventId::NONE, TableChange::FdbGone(row));
    }

    /// Learns where a source lives, or that it moved (`br_fdb_update`).
    fn br_fdb_update(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, port: IfIndex, skb: &Skb) {
        let (now, mac) = (ctx.now, skb.frame.src);
        let Some(Link { kind: Kind::Bridge(state), .. }) = self.link_mut(bridge) else { return };
        match state.fdb.get_mut(&mac) {
            Some(entry) if entry.local => {}
            Some(entry) if entry.port == port => entry.updated = now,
            Some(_) | None => {
                let mut entry = FdbEntry { port, local: false, updated: now, change: ChangeId::NONE };
                let row = self.bridge_fdb_row(bridge, mac, &entry);
                entry.change = ctx.change(self.id, port, skb.cause, TableChange::Fdb(row));
                if let Some(Link { kind: Kind::Bridge(state), .. }) = self.link_mut(bridge) {
                    state.fdb.insert(mac, entry);
                }
            }
        }
    }

    /// `should_deliver`: a forwarding port that is not the one it came from, unless that is a hairpin.
    fn should_deliver(&self, from: Option<IfIndex>, to: IfIndex) -> bool {
        self.link(to)
            .and_then(|link| link.port)
            .is_some_and(|port| port.state == PortState::Forwarding && (port.hairpin || from != Some(to)))
    }

    fn br_forward(
        &mut self,
        ctx: &mut Ctx<'_>,
        bridge: IfIndex,
        from: Option<IfIndex>,
        to: IfIndex,
        skb: Skb,
    ) {
        if !self.should_deliver(from, to) {
            return ctx.drop((self.id, from.unwrap_or(bridge)), skb, DropReason::BridgeNoEgressPort);
        }
        self.br_send(ctx, from, to, ctx.delays.bridge, skb);
    }

    /// Sends to every port that takes it; the kernel walks its list from the newest port to the oldest (`br_flood`).
    fn br_flood(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, from: Option<IfIndex>, skb: Skb) {
        let Some(Link { kind: Kind::Bridge(state), .. }) = self.link(bridge) else { return };
        let unicast = !skb.frame.dst.is_multicast();
        let takes = |to: &IfIndex| {
            let floods = self.link(*to).and_then(|link| link.port).is_some_and(|port| port.flood);
            self.should_deliver(from, *to) && (floods || !unicast)
        };
        let ports: Vec<IfIndex> = state.ports.iter().rev().copied().filter(takes).collect();
        let Some((&last, others)) = ports.split_last() else {
            return ctx.drop((self.id, from.unwrap_or(bridge)), skb, DropReason::BridgeNoEgressPort);
        };
        let mut delay = ctx.delays.bridge;
        for &to in others {
            let copy = ctx.copy(&skb);
            self.br_send(ctx, from, to, delay, copy);
            delay = delay + ctx.delays.copy;
        }
        self.br_send(ctx, from, last, delay, skb);
    }

    /// The last step to a port, through netfilter's hooks where `bridge-nf-call-iptables` asks for it.
    fn br_send(&mut self, ctx: &mut Ctx<'_>, from: Option<IfIndex>, to: IfIndex, delay: Duration, skb: Skb) {
        let (mut delay, mut pieces) = (delay, vec![skb]);
        if let Some(from) = from
            && let Some(skb) = pieces.pop_if(|skb| self.is_hooked(skb))
        {
            let Some(passed) = self.br_nf_forward(ctx, from, to, skb) else { return };
            delay = delay + ctx.delays.netfilter;
            pieces = self.br_refragment(ctx, to, passed);
        }
        for piece in pieces {
            // `br_dev_queue_push_xmit` sends nothing that the port cannot take.
            if self.link(to).is_some_and(|link| !is_skb_forwardable(link, &piece.frame)) {
                ctx.drop((self.id, to), piece, DropReason::PktTooBig);
            } else {
                ctx.later(delay, Urgency::Now, Work::Transmit(to, piece));
            }
        }
    }

    /// Whether netfilter looks at this bridged frame.
    fn is_hooked(&self, skb: &Skb) -> bool {
        self.sysctl.bridge_nf_call_iptables && matches!(skb.frame.payload, Payload::Ipv4(_))
    }
}
