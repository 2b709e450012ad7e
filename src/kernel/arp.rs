//! ARP (RFC 826; `net/ipv4/arp.c`).

use super::rule::Traits;
use super::{Ctx, FibResult, Netns, Skb, Urgency, Work};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, ProcessId};
use crate::trace::{
    AddrRow, Disposition, DropReason, EventKind, Nud, PacketType, Relation, RouteKind, Scope, Table,
};
use crate::wire::{Arp, ArpOp, Frame, Payload};
use std::sync::Arc;

/// How soon a second reply may replace what a first one said (`net.ipv4.neigh.default.locktime`).
const LOCKTIME: Duration = Duration::from_secs(1);

/// Whether and for whom a machine answers a request.
enum Answer {
    /// For itself.
    Own,
    /// For somebody behind it.
    Proxy,
    /// Its own address, and still it says nothing.
    Silence,
    /// The address is none of its business.
    No,
}

impl Netns {
    /// `arp_rcv`, then `arp_process`.
    pub(super) fn arp_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        arp: Arp,
        mut skb: Skb,
    ) {
        let at = (self.id, ifindex);
        if kind == PacketType::OtherHost {
            return ctx.drop(at, skb, DropReason::OtherHost);
        }
        let known_op = matches!(arp.op, ArpOp::Request | ArpOp::Reply);
        let loopback = arp.target_ip.is_loopback() && !self.conf_or(ifindex, |conf| conf.route_localnet);
        let unwanted =
            arp.sender_ip == arp.target_ip && self.conf_or(ifindex, |conf| conf.drop_gratuitous_arp);
        let deaf = self.link(ifindex).is_some_and(super::Link::is_noarp);
        if !known_op || loopback || unwanted || deaf || arp.target_ip.is_multicast() {
            return ctx.drop(at, skb, DropReason::ArpIgnored);
        }
        if arp.sender_ip.is_unspecified() {
            return self.arp_probe_rcv(ctx, ifindex, &arp, skb);
        }
        let answer =
            if arp.op == ArpOp::Request { self.arp_answer(ctx, ifindex, &arp, &mut skb) } else { Answer::No };
        match answer {
            Answer::Own => {
                self.neigh_event_ns(ctx, ifindex, &arp, &skb);
                self.arp_reply(ctx, ifindex, &arp, ctx.delays.input, &skb);
                ctx.end(at, skb, Disposition::Consumed);
            }
            Answer::Proxy => self.arp_proxy(ctx, ifindex, kind, &arp, skb),
            Answer::Silence => ctx.drop(at, skb, DropReason::ArpIgnored),
            Answer::No => self.arp_learn(ctx, ifindex, kind, arp, skb),
        }
    }

    /// Somebody asks whether an address is taken before taking it (RFC 5227 section 2.1.1): nothing is learnt.
    fn arp_probe_rcv(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, arp: &Arp, skb: Skb) {
        let local =
            self.route_towards(arp.target_ip).is_some_and(|found| found.route.kind == RouteKind::Local);
        if arp.op != ArpOp::Request || !local || self.arp_ignore(ifindex, arp) {
            return ctx.drop((self.id, ifindex), skb, DropReason::ArpIgnored);
        }
        self.arp_reply(ctx, ifindex, arp, ctx.delays.input, &skb);
        ctx.end((self.id, ifindex), skb, Disposition::Consumed);
    }

    /// Whether and for whom this machine answers: it asks its routing as for a packet from the sender to the target.
    fn arp_answer(&self, ctx: &mut Ctx<'_>, ifindex: IfIndex, arp: &Arp, skb: &mut Skb) -> Answer {
        // A request that carries one of our own addresses as its sender is our own echo, or an impostor's.
        let ends = (arp.sender_ip, arp.target_ip);
        let traits = Traits::default();
        if self.is_martian(ifindex, ends.0, ends.1) {
            return Answer::No;
        }
        let Some(FibResult { route, change }) = self.route_of_incoming(ifindex, ends, traits) else {
            return Answer::No;
        };
        let oif = route.oif.filter(|_| route.kind == RouteKind::Unicast);
        if self.fib_validate_source(ifindex, oif, ends.0, (ends.1, traits)).is_some() {
            return Answer::No;
        }
        if route.kind == RouteKind::Local {
            let silent = self.arp_ignore(ifindex, arp) || self.arp_filter(ctx, ifindex, arp);
            return if silent { Answer::Silence } else { Answer::Own };
        }
        if route.kind != RouteKind::Unicast || !self.forwards(ifindex) {
            return Answer::No;
        }
        let elsewhere = route.oif != Some(ifindex);
        let proxies = if elsewhere {
            self.conf_or(ifindex, |conf| conf.proxy_arp) || self.is_proxied(arp.target_ip, ifindex)
        } else {
            arp.sender_ip != arp.target_ip && self.link(ifindex).is_some_and(|link| link.conf.proxy_arp_pvlan)
        };
        if !proxies {
            return Answer::No;
        }
        ctx.note((self.id, ifindex), skb, EventKind::Decided(Table::Fib, change));
        Answer::Proxy
    }

    /// `arp_ignore`: whether the setting of that name forbids an answer.
    fn arp_ignore(&self, ifindex: IfIndex, arp: &Arp) -> bool {
        let own = |row: &&AddrRow| row.addr.addr() == arp.target_ip;
        let here = || self.addrs.iter().filter(|row| row.ifindex == ifindex).find(own);
        match self.conf_max(ifindex, |conf| conf.arp_ignore) {
            1 => here().is_none(),
            2 => !here().is_some_and(|row| row.network().contains(&arp.sender_ip)),
            3 => !self.addrs.iter().filter(own).any(|row| row.scope != Scope::Host),
            8 => true,
            _ => false,
        }
    }

    /// `arp_filter`: whether a packet to the sender would leave by another interface.
    fn arp_filter(&self, ctx: &Ctx<'_>, ifindex: IfIndex, arp: &Arp) -> bool {
        self.conf_or(ifindex, |conf| conf.arp_filter)
            && !self
                .ip_route_output(ctx.now, arp.sender_ip, Some(arp.target_ip), None)
                .is_ok_and(|flow| flow.oif == ifindex)
    }

    /// Answers for somebody else. A broadcast is answered after a random part of `proxy_delay`, so that the owner of the
    /// address, if it can hear the request, is first (`pneigh_enqueue`).
    fn arp_proxy(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, kind: PacketType, arp: &Arp, skb: Skb) {
        self.neigh_event_ns(ctx, ifindex, arp, &skb);
        let delay = self.link(ifindex).map_or(0, |link| link.conf.proxy_delay);
        let jiffies = super::timer::jiffies_of_hundredths(delay);
        let at = (self.id, ifindex);
        if kind == PacketType::Host || jiffies == 0 {
            self.arp_reply(ctx, ifindex, arp, ctx.delays.input, &skb);
            ctx.end(at, skb, Disposition::Consumed);
            return;
        }
        let wait = super::timer::of_jiffies(self.rng.u32(..jiffies));
        let due = super::timer::expiry(ctx.now, wait);
        ctx.later(due.since(ctx.now), Urgency::Now, Work::ProxyArp(ifindex, skb));
    }

    /// A proxy's wait is over (`neigh_proxy_process`, `parp_redo`): the request is looked at once more.
    pub(super) fn arp_redo(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: Skb) {
        let Payload::Arp(arp) = skb.frame.payload else {
            return ctx.drop((self.id, ifindex), skb, DropReason::ArpIgnored);
        };
        self.arp_rcv(ctx, ifindex, PacketType::Host, arp, skb);
    }

    /// An entry that exists is refreshed by what was heard; one is made only where `arp_accept` asks for it.
    fn arp_learn(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, kind: PacketType, arp: Arp, skb: Skb) {
        let at = (self.id, ifindex);
        let key = (ifindex, arp.sender_ip);
        let unicast = || {
            let found = self.route_towards(arp.sender_ip);
            found.is_none_or(|found| found.route.kind == RouteKind::Unicast)
        };
        let same_mac = arp.op != ArpOp::Reply || arp.target_mac == arp.sender_mac;
        let gratuitous = arp.sender_ip == arp.target_ip && same_mac && unicast();
        if !self.neighbors.contains_key(&key) {
            let wanted = gratuitous || (arp.op == ArpOp::Reply && unicast());
            if !wanted || !self.arp_accept(ifindex, arp.sender_ip) {
                return ctx.drop(at, skb, DropReason::ArpIgnored);
            }
            self.neigh_create(ctx, ifindex, arp.sender_ip);
        }
        let may_override = ctx.now.since(self.neighbors[&key].row.updated) > LOCKTIME || gratuitous;
        let state = match (arp.op, kind) {
            (ArpOp::Reply, PacketType::Host) => Nud::Reachable,
            _ => Nud::Stale,
        };
        let flags = super::neighbor::Update { state, may_override };
        self.neigh_update(ctx, key, arp.sender_mac, flags, skb.cause);
        ctx.end(at, skb, Disposition::Consumed);
    }

    /// `arp_accept`: whether somebody who announces itself gets an entry.
    fn arp_accept(&self, ifindex: IfIndex, sender: Ipv4Addr) -> bool {
        match self.conf_max(ifindex, |conf| conf.arp_accept) {
            0 => false,
            2 => self.addrs.iter().any(|row| row.ifindex == ifindex && row.network().contains(&sender)),
            _ => true,
        }
    }

    fn neigh_event_ns(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, arp: &Arp, skb: &Skb) {
        let flags = super::neighbor::Update { state: Nud::Stale, may_override: true };
        self.neigh_create(ctx, ifindex, arp.sender_ip);
        self.neigh_update(ctx, (ifindex, arp.sender_ip), arp.sender_mac, flags, skb.cause);
    }

    fn arp_reply(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, request: &Arp, after: Duration, skb: &Skb) {
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
        self.arp_xmit(ctx, ifindex, after, reply);
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
        let announce = self.conf_max(ifindex, |conf| conf.arp_announce);
        let onlink = |src: Ipv4Addr| {
            let of_net = |row: &AddrRow| row.ifindex == ifindex && row.network().contains(&target);
            self.addrs.iter().any(|row| of_net(row) && row.network().contains(&src))
        };
        // The waiting packet's own source is used if it is ours, as far as `arp_announce` lets it.
        let source = waiting
            .and_then(|skb| skb.frame.ipv4())
            .map(|packet| packet.src)
            .filter(|&src| self.has_addr(src))
            .filter(|&src| announce == 0 || (announce == 1 && onlink(src)))
            .or_else(|| self.inet_select_addr(ifindex, Some(target), Scope::Link));
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

    /// Announces every address of a link (`inetdev_send_gratuitous_arp`).
    pub(super) fn announce_all(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let own: Vec<Ipv4Addr> =
            self.addrs.iter().filter(|row| row.ifindex == ifindex).map(|row| row.addr.addr()).collect();
        for addr in own {
            self.announce(ctx, ifindex, addr);
        }
    }

    /// Sends what a program wrote into a socket of its own (`packet(7)`).
    pub fn send_by_hand(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, frame: Frame) {
        let skb = ctx.fresh(Relation::Sent, ProcessId::NONE, Arc::new(frame));
        self.arp_xmit(ctx, ifindex, ctx.delays.output, skb);
    }

    fn arp_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, after: Duration, mut skb: Skb) {
        ctx.note((self.id, ifindex), &mut skb, EventKind::Originated);
        ctx.later(after, Urgency::Now, Work::Transmit(ifindex, skb));
    }
}
