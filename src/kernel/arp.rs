//! ARP (RFC 826; `net/ipv4/arp.c`).

use super::{Ctx, FibResult, Netns, Skb, Urgency, Work};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, ProcessId};
use crate::trace::{Disposition, DropReason, EventKind, Nud, PacketType, Relation, RouteKind};
use crate::wire::{Arp, ArpOp, Frame, Payload};
use std::sync::Arc;

/// How soon a second reply may replace what a first one said (`net.ipv4.neigh.default.locktime`).
const LOCKTIME: Duration = Duration::from_secs(1);

impl Netns {
    /// `arp_rcv`, then `arp_process`.
    pub(super) fn arp_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        arp: Arp,
        skb: Skb,
    ) {
        let at = (self.id, ifindex);
        if kind == PacketType::OtherHost {
            return ctx.drop(at, skb, DropReason::OtherHost);
        }
        let known_op = matches!(arp.op, ArpOp::Request | ArpOp::Reply);
        if !known_op || arp.target_ip.is_loopback() || arp.target_ip.is_multicast() {
            return ctx.drop(at, skb, DropReason::ArpIgnored);
        }
        if arp.op == ArpOp::Request && self.answers_for(ifindex, &arp) {
            self.neigh_event_ns(ctx, ifindex, &arp, &skb);
            if arp.sender_ip != arp.target_ip || !arp.sender_ip.is_unspecified() {
                self.arp_reply(ctx, ifindex, &arp, &skb);
            }
            ctx.end(at, skb, Disposition::Consumed);
            return;
        }
        self.arp_learn(ctx, ifindex, kind, arp, skb);
    }

    /// Whether this machine answers for the target: it is local and the sender may be talked to. With `arp_ignore` 0
    /// an address of any interface is answered for.
    fn answers_for(&self, ifindex: IfIndex, arp: &Arp) -> bool {
        let local = matches!(
            self.fib.lookup(arp.target_ip),
            Some(FibResult { route, .. }) if route.kind == RouteKind::Local
        );
        let of_this_link =
            || self.addrs.iter().any(|row| row.ifindex == ifindex && row.addr.addr() == arp.target_ip);
        // A request that carries one of our own addresses as its sender is our own echo, or an impostor's.
        local && !self.has_addr(arp.sender_ip) && (self.sysctl.arp_ignore == 0 || of_this_link())
    }

    /// An entry that exists is refreshed by what was heard; none is made (`arp_accept` 0).
    fn arp_learn(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, kind: PacketType, arp: Arp, skb: Skb) {
        let at = (self.id, ifindex);
        let Some(entry) = self.neighbors.get(&(ifindex, arp.sender_ip)) else {
            return ctx.drop(at, skb, DropReason::ArpIgnored);
        };
        let gratuitous = arp.sender_ip == arp.target_ip;
        let may_override = ctx.now.since(entry.row.updated) > LOCKTIME || gratuitous;
        let state = match (arp.op, kind) {
            (ArpOp::Reply, PacketType::Host) => Nud::Reachable,
            _ => Nud::Stale,
        };
        let flags = super::neighbor::Update { state, may_override };
        self.neigh_update(ctx, (ifindex, arp.sender_ip), arp.sender_mac, flags, skb.cause);
        ctx.end(at, skb, Disposition::Consumed);
    }

    fn neigh_event_ns(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, arp: &Arp, skb: &Skb) {
        let flags = super::neighbor::Update { state: Nud::Stale, may_override: true };
        self.neigh_create(ctx, ifindex, arp.sender_ip);
        self.neigh_update(ctx, (ifindex, arp.sender_ip), arp.sender_mac, flags, skb.cause);
    }

    fn arp_reply(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, request: &Arp, skb: &Skb) {
        let Some(mac) = self.link(ifindex).map(|link| link.mac) else { return };
        let reply = Arp {
            op: ArpOp::Reply,
            sender_mac: mac,
            sender_ip: request.target_ip,
            target_mac: request.sender_mac,
            target_ip: request.sender_ip,
        };
        let frame = Frame { dst: request.sender_mac, src: mac, payload: Payload::Arp(reply) };
        let reply = ctx.child(skb, Relation::Reply, Arc::new(frame));
        self.arp_xmit(ctx, ifindex, ctx.delays.input, reply);
    }

    /// Asks for `target` (`arp_solicit`): by unicast to `known` when checking an entry, else by broadcast. `waiting`
    /// is the packet that needs the answer.
    pub(super) fn arp_solicit(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        target: Ipv4Addr,
        known: Option<MacAddr>,
        waiting: Option<&Skb>,
    ) {
        let Some(mac) = self.link(ifindex).map(|link| link.mac) else { return };
        // With arp_announce 0 the waiting packet's own source is used if it is ours.
        let source = waiting
            .and_then(|skb| skb.frame.ipv4())
            .map(|packet| packet.src)
            .filter(|&src| self.has_addr(src))
            .or_else(|| self.inet_select_addr(ifindex, Some(target)));
        let Some(sender_ip) = source else { return };
        let request = Arp {
            op: ArpOp::Request,
            sender_mac: mac,
            sender_ip,
            target_mac: MacAddr::ZERO,
            target_ip: target,
        };
        let dst = known.unwrap_or(MacAddr::BROADCAST);
        let frame = Arc::new(Frame { dst, src: mac, payload: Payload::Arp(request) });
        let skb = match waiting {
            Some(parent) => ctx.child(parent, Relation::Resolution, frame),
            None => ctx.fresh(Relation::Unasked, ProcessId::NONE, frame),
        };
        self.arp_xmit(ctx, ifindex, Duration::ZERO, skb);
    }

    /// Announces an address to everybody on the link (`ARP announce`, RFC 5227 section 1.1), as the CNI bridge
    /// plug-in does for a new Pod.
    pub fn announce(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, addr: Ipv4Addr) {
        let Some(mac) = self.link(ifindex).map(|link| link.mac) else { return };
        let arp = Arp {
            op: ArpOp::Request,
            sender_mac: mac,
            sender_ip: addr,
            target_mac: MacAddr::ZERO,
            target_ip: addr,
        };
        let frame = Frame { dst: MacAddr::BROADCAST, src: mac, payload: Payload::Arp(arp) };
        let skb = ctx.fresh(Relation::Unasked, ProcessId::NONE, Arc::new(frame));
        self.arp_xmit(ctx, ifindex, Duration::ZERO, skb);
    }

    fn arp_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, after: Duration, mut skb: Skb) {
        ctx.note((self.id, ifindex), &mut skb, EventKind::Originated);
        ctx.later(after, Urgency::Now, Work::Transmit(ifindex, skb));
    }
}
