//! Connection tracking (`nf_conntrack_core.c` and the trackers of ICMP, UDP and all other protocols): which
//! connection a packet belongs to, and how long that is remembered.

use super::tcp::TcpConn;
use super::{CtInfo, Verdict, header, tcp};
use crate::base::{ChangeId, Duration, EventId, IfIndex, SimTime};
use crate::kernel::{Ctx, Netns, Skb, Timer, Urgency, Work};
use crate::trace::{Clash, ConntrackRow, EventKind, NetfilterChange, Table, TableChange, Tuple};
use crate::wire::{Body, Quote};
use std::collections::BTreeMap;

/// `nf_conntrack_icmp_timeout`.
const ICMP_TIMEOUT: Duration = Duration::from_secs(30);
/// `nf_conntrack_udp_timeout`.
const UDP_TIMEOUT: Duration = Duration::from_secs(30);
/// `nf_conntrack_udp_timeout_stream`.
const UDP_TIMEOUT_STREAM: Duration = Duration::from_secs(120);
/// `nf_conntrack_generic_timeout`.
const GENERIC_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection of UDP has to last to count as a stream.
const UDP_STREAM_AFTER: Duration = Duration::from_secs(2);
/// How long a connection that no packet confirmed is kept: such a packet was lost on its way through.
const UNCONFIRMED_KEPT: Duration = Duration::from_secs(10);
/// Within this time after the first packet of a connection came, the next one finds it although it is not confirmed: a
/// processor takes a packet through all hooks before it takes the next one, while here the hooks lie a few microseconds
/// apart.
const PASSAGE: Duration = Duration::from_us(100);
/// Protocol number of UDP, whose tracker allows clashes (`allow_clash`).
const UDP: u8 = 17;
/// How long a connection is kept that is known by its replies alone (`nf_ct_resolve_clash_harder`).
const CLASH_KEPT: Duration = Duration::from_secs(1);

/// A connection (`struct nf_conn`).
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of the kernel's status under its own name")]
pub(super) struct Conn {
    pub(super) orig: Tuple,
    /// What replies look like when they come in: translation is what makes it differ from the mirrored `orig`.
    pub(super) reply: Tuple,
    pub(super) confirmed: bool,
    pub(super) seen_reply: bool,
    pub(super) assured: bool,
    /// It was killed while a packet still belongs to it (`IPS_DYING`).
    pub(super) dying: bool,
    pub(super) src_nat: bool,
    pub(super) dst_nat: bool,
    pub(super) src_done: bool,
    pub(super) dst_done: bool,
    pub(super) mark: u32,
    pub(super) tcp: Option<TcpConn>,
    pub(super) timeout: Duration,
    pub(super) expires: SimTime,
    /// When a connection of UDP begins to count as a stream.
    stream_at: SimTime,
    /// The row in the trace.
    change: ChangeId,
    /// The interface whose address it is masqueraded to.
    pub(super) masquerade: Option<IfIndex>,
}

/// All connections of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Conntrack {
    conns: BTreeMap<u32, Conn>,
    /// Both directions of every confirmed connection; whether it is that of the replies.
    tuples: BTreeMap<Tuple, (u32, bool)>,
    /// The connection that began last with a first packet like this, and when.
    begun: BTreeMap<Tuple, (u32, SimTime)>,
    next: u32,
    /// When the collector comes by.
    gc_at: Option<SimTime>,
}

impl Conntrack {
    pub(super) fn get(&self, id: u32) -> Option<&Conn> {
        self.conns.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Conn> {
        self.conns.get_mut(&id)
    }

    pub(super) fn mark(&self, id: u32) -> Option<u32> {
        self.get(id).map(|conn| conn.mark)
    }

    /// The connection that a tuple is a direction of, and whether that is the one of the replies.
    pub(super) fn find(&self, tuple: &Tuple) -> Option<(u32, bool)> {
        self.tuples.get(tuple).copied()
    }

    /// Confirmed connections whose first packet came from this address and port.
    pub(super) fn with_source<'a>(&'a self, of: &Tuple) -> impl Iterator<Item = &'a Conn> {
        let (src, sport, protocol) = (of.src, of.sport, of.protocol);
        let first = Tuple { dst: crate::base::Ipv4Addr::UNSPECIFIED, dport: 0, ..*of };
        self.tuples
            .range(first..)
            .take_while(move |(tuple, _)| (tuple.src, tuple.sport, tuple.protocol) == (src, sport, protocol))
            .filter(|(_, (_, is_reply))| !is_reply)
            .filter_map(|(_, (id, _))| self.conns.get(id))
    }

    /// Numbers of the confirmed connections that `wanted` picks.
    pub(super) fn picked(&self, wanted: impl Fn(&Conn) -> bool) -> Vec<u32> {
        let picked = self.conns.iter().filter(|(_, conn)| conn.confirmed && !conn.dying && wanted(conn));
        picked.map(|(id, _)| *id).collect()
    }
}

/// Which way a packet goes through its connection, and what it is.
enum Found {
    Conn(u32, CtInfo),
    Invalid,
}

impl Netns {
    /// Finds the connection of a packet, or begins one (`nf_conntrack_in`).
    pub(super) fn nf_conntrack_in(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, skb: &mut Skb) -> Verdict {
        // What came over the loopback device was looked up on its way out.
        if skb.nf.ct.is_some() || skb.nf.info == CtInfo::Untracked {
            return Verdict::Accept;
        }
        let frame = skb.frame.clone();
        let Some(packet) = frame.ipv4() else { return Verdict::Accept };
        let found = match &*packet.body {
            Body::Icmp(icmp) if icmp.is_error() => self.nf_icmp_error(packet.dst, icmp.data()),
            Body::Icmp(_)
            | Body::Tcp(_)
            | Body::Udp(_)
            | Body::Igmp(_)
            | Body::Ipip(_)
            | Body::Gre(_)
            | Body::Esp(_)
            | Body::Raw { .. } => self.resolve_conntrack(ctx, packet, skb.cause),
        };
        let Found::Conn(id, info) = found else {
            ctx.note((self.id, at), skb, EventKind::Decided(Table::Conntrack, ChangeId::NONE));
            return Verdict::Accept;
        };
        (skb.nf.ct, skb.nf.info) = (Some(id), info);
        // A new connection has no row yet: the last hook makes one.
        let change = self.netfilter.conntrack.get(id).map_or(ChangeId::NONE, |conn| conn.change);
        if change.is_some() {
            ctx.note((self.id, at), skb, EventKind::Decided(Table::Conntrack, change));
        }
        Verdict::Accept
    }

    /// An ICMP error belongs to the connection of the packet that it quotes (`nf_conntrack_inet_error`).
    fn nf_icmp_error(&self, outer_dst: crate::base::Ipv4Addr, quote: &[u8]) -> Found {
        let inner = Quote::read(quote).and_then(|quote| header::quoted_tuple(&quote));
        let Some(inverted) = inner.and_then(|inner| header::inverted(&inner)) else { return Found::Invalid };
        let Some((id, is_reply)) = self.netfilter.conntrack.find(&inverted) else { return Found::Invalid };
        let Some(conn) = self.netfilter.conntrack.get(id) else { return Found::Invalid };
        // It has to be for the end that sent the packet.
        let meant = if is_reply { conn.reply.dst } else { conn.orig.dst };
        if meant != outer_dst {
            return Found::Invalid;
        }
        Found::Conn(id, if is_reply { CtInfo::RelatedReply } else { CtInfo::Related })
    }

    /// `resolve_normal_ct`, then `nf_conntrack_handle_packet`.
    fn resolve_conntrack(&mut self, ctx: &mut Ctx<'_>, packet: &crate::wire::Ipv4, cause: EventId) -> Found {
        let tuple = header::tuple(packet);
        for _ in 0..2 {
            let known = if self.races(ctx, &tuple) {
                None
            } else {
                self.find_live(ctx, &tuple).or_else(|| self.find_begun(ctx.now, &tuple))
            };
            let (id, is_reply) = match known {
                Some(known) => known,
                None => match self.init_conntrack(ctx, &tuple, packet) {
                    Some(id) => (id, false),
                    None => return Found::Invalid,
                },
            };
            let Some(conn) = self.netfilter.conntrack.get(id) else { return Found::Invalid };
            let info = match (is_reply, conn.seen_reply) {
                (true, _) => CtInfo::EstablishedReply,
                (false, true) => CtInfo::Established,
                (false, false) => CtInfo::New,
            };
            match self.conntrack_packet(ctx, id, is_reply, packet, cause) {
                tcp::Handled::Accepted => {}
                tcp::Handled::Invalid => return Found::Invalid,
                tcp::Handled::Repeat => continue,
            }
            if is_reply {
                self.change_conntrack(ctx, id, cause, |conn| conn.seen_reply = true);
            }
            return Found::Conn(id, info);
        }
        Found::Invalid
    }

    /// A connection whose time is over counts as gone.
    fn find_live(&mut self, ctx: &mut Ctx<'_>, tuple: &Tuple) -> Option<(u32, bool)> {
        let (id, is_reply) = self.netfilter.conntrack.find(tuple)?;
        if self.netfilter.conntrack.get(id)?.expires > ctx.now {
            return Some((id, is_reply));
        }
        self.kill_conntrack(ctx, id, EventId::NONE);
        None
    }

    /// Whether the first packet of the connection is still within the hooks, on another processor, so that this one is
    /// looked up before that one is entered.
    fn races(&self, ctx: &Ctx<'_>, tuple: &Tuple) -> bool {
        let begun = self.netfilter.conntrack.begun.get(tuple);
        self.sysctl.conntrack_race && begun.is_some_and(|(_, at)| ctx.now.since(*at) < ctx.delays.netfilter)
    }

    /// The connection whose first packet is still on its way through the host.
    fn find_begun(&self, now: SimTime, tuple: &Tuple) -> Option<(u32, bool)> {
        let (id, at) = *self.netfilter.conntrack.begun.get(tuple)?;
        let conn = self.netfilter.conntrack.get(id)?;
        (!conn.confirmed && !conn.dying && now.since(at) < PASSAGE).then_some((id, false))
    }

    /// `init_conntrack`: a connection that nothing has confirmed yet.
    fn init_conntrack(&mut self, ctx: &Ctx<'_>, tuple: &Tuple, packet: &crate::wire::Ipv4) -> Option<u32> {
        let reply = header::inverted(tuple)?;
        let tcp = match &*packet.body {
            Body::Tcp(segment) => Some(TcpConn::begin(segment, self.sysctl.conntrack_tcp_loose)?),
            Body::Icmp(icmp) if !header::asks(icmp.kind_and_code().0) => return None,
            Body::Icmp(_)
            | Body::Udp(_)
            | Body::Igmp(_)
            | Body::Ipip(_)
            | Body::Gre(_)
            | Body::Esp(_)
            | Body::Raw { .. } => None,
        };
        let table = &mut self.netfilter.conntrack;
        let id = table.next;
        table.next += 1;
        table.begun.retain(|_, (_, at)| ctx.now.since(*at) < PASSAGE);
        table.begun.insert(*tuple, (id, ctx.now));
        table.conns.insert(
            id,
            Conn {
                orig: *tuple,
                reply,
                confirmed: false,
                seen_reply: false,
                assured: false,
                dying: false,
                src_nat: false,
                dst_nat: false,
                src_done: false,
                dst_done: false,
                mark: 0,
                tcp,
                timeout: Duration::ZERO,
                expires: ctx.now + UNCONFIRMED_KEPT,
                stream_at: ctx.now + UDP_STREAM_AFTER,
                change: ChangeId::NONE,
                masquerade: None,
            },
        );
        Some(id)
    }

    /// What the tracker of the protocol makes of a packet (`nf_conntrack_handle_packet`).
    fn conntrack_packet(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: u32,
        is_reply: bool,
        packet: &crate::wire::Ipv4,
        cause: EventId,
    ) -> tcp::Handled {
        let now = ctx.now;
        let (timeout, assured) = match &*packet.body {
            Body::Tcp(segment) => return self.nf_tcp_packet(ctx, id, is_reply, segment, cause),
            Body::Icmp(_) => (ICMP_TIMEOUT, false),
            Body::Udp(_) => {
                let Some(conn) = self.netfilter.conntrack.get(id) else { return tcp::Handled::Invalid };
                let is_stream = conn.seen_reply && now > conn.stream_at;
                (if is_stream { UDP_TIMEOUT_STREAM } else { UDP_TIMEOUT }, is_stream)
            }
            Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => {
                (GENERIC_TIMEOUT, false)
            }
        };
        self.refresh_conntrack(ctx, id, timeout, cause, |conn| conn.assured |= assured);
        tcp::Handled::Accepted
    }

    /// Sets how long a connection is kept from now on (`nf_ct_refresh`), and changes it.
    pub(super) fn refresh_conntrack(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: u32,
        timeout: Duration,
        cause: EventId,
        change: impl FnOnce(&mut Conn),
    ) {
        let now = ctx.now;
        self.change_conntrack(ctx, id, cause, |conn| {
            conn.timeout = timeout;
            if conn.confirmed {
                conn.expires = now + timeout;
            }
            change(conn);
        });
        self.schedule_gc(ctx, now + timeout);
    }

    /// Changes a connection, and writes its row down where that is another one now.
    pub(super) fn change_conntrack(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: u32,
        cause: EventId,
        change: impl FnOnce(&mut Conn),
    ) {
        let netns = self.id;
        let Some(conn) = self.netfilter.conntrack.get_mut(id) else { return };
        let before = row(netns, id, conn);
        change(conn);
        let after = row(netns, id, conn);
        if conn.confirmed && !conn.dying && before != after {
            let row = TableChange::Netfilter(NetfilterChange::Conntrack(after));
            conn.change = ctx.change(netns, IfIndex::NONE, cause, row);
        }
    }

    pub(super) fn set_conntrack_mark(&mut self, ctx: &mut Ctx<'_>, id: u32, mark: u32, cause: EventId) {
        self.change_conntrack(ctx, id, cause, |conn| conn.mark = mark);
    }

    /// The last hook: the connection is entered into the table (`__nf_conntrack_confirm`).
    pub(super) fn nf_confirm(&mut self, ctx: &mut Ctx<'_>, skb: &mut Skb) -> Verdict {
        let (Some(id), netns, now) = (skb.nf.ct, self.id, ctx.now) else { return Verdict::Accept };
        let max = self.sysctl.conntrack_max;
        let full = self.netfilter.conntrack.tuples.len() / 2 >= max;
        let Some(conn) = self.netfilter.conntrack.get(id) else { return Verdict::Accept };
        if conn.confirmed || conn.dying || skb.nf.info.is_reply() {
            return Verdict::Accept;
        }
        let (orig, reply) = (conn.orig, conn.reply);
        if full && !self.early_drop(ctx, skb.cause) {
            return Verdict::Drop;
        }
        // Another packet of the same connection may have been faster.
        let table = &mut self.netfilter.conntrack;
        if table.tuples.contains_key(&orig) || table.tuples.contains_key(&reply) {
            let early = self.sysctl.conntrack_race;
            let verdict = if early {
                self.resolve_clash_early(skb, &orig)
            } else {
                self.resolve_clash(now, skb, &orig, &reply)
            };
            let clash = match (verdict, early) {
                (Verdict::Accept, false) => Clash::Resolved,
                (Verdict::Accept, true) => Clash::Joined,
                (_, _) => Clash::Lost,
            };
            let counted = TableChange::Netfilter(NetfilterChange::Clash(netns, clash));
            ctx.change(netns, IfIndex::NONE, skb.cause, counted);
            return verdict;
        }
        table.tuples.insert(orig, (id, false));
        table.tuples.insert(reply, (id, true));
        let Some(conn) = table.conns.get_mut(&id) else { return Verdict::Accept };
        conn.confirmed = true;
        conn.expires = now + conn.timeout;
        let row = row(netns, id, conn);
        conn.change = ctx.change(
            netns,
            IfIndex::NONE,
            skb.cause,
            TableChange::Netfilter(NetfilterChange::Conntrack(row)),
        );
        let expires = conn.expires;
        self.schedule_gc(ctx, expires);
        Verdict::Accept
    }

    /// `nf_ct_resolve_clash`: the packet joins the connection that was first. Where that one was translated otherwise, a
    /// datagram's connection is kept for its replies alone; everything else is dropped.
    fn resolve_clash(&mut self, now: SimTime, skb: &mut Skb, orig: &Tuple, reply: &Tuple) -> Verdict {
        let table = &mut self.netfilter.conntrack;
        let Some(own) = skb.nf.ct else { return Verdict::Drop };
        if let Some((first, false)) = table.find(orig)
            && table.get(first).is_some_and(|conn| conn.reply == *reply)
        {
            skb.nf.ct = Some(first);
            return Verdict::Accept;
        }
        let Some(conn) = table.conns.get_mut(&own) else { return Verdict::Drop };
        if orig.protocol != UDP || table.tuples.contains_key(reply) {
            return Verdict::Drop;
        }
        (conn.confirmed, conn.expires) = (true, now + CLASH_KEPT);
        table.tuples.insert(*reply, (own, true));
        Verdict::Accept
    }

    /// The same before Linux 5.0: a datagram joins the connection that was first only where nothing was or could have been
    /// translated (`IPS_NAT_DONE_MASK`); else it is lost, and `insert_failed` counts it.
    fn resolve_clash_early(&mut self, skb: &mut Skb, orig: &Tuple) -> Verdict {
        let table = &self.netfilter.conntrack;
        if let Some((first, false)) = table.find(orig)
            && orig.protocol == UDP
            && table.get(first).is_some_and(|conn| !conn.src_done && !conn.dst_done)
        {
            skb.nf.ct = Some(first);
            return Verdict::Accept;
        }
        skb.nf.clashed = true;
        Verdict::Drop
    }

    /// The table is full: the oldest connection that is not assured makes room (`early_drop`).
    fn early_drop(&mut self, ctx: &mut Ctx<'_>, cause: EventId) -> bool {
        let victim = self.netfilter.conntrack.picked(|conn| !conn.assured).first().copied();
        victim.map(|id| self.kill_conntrack(ctx, id, cause)).is_some()
    }

    /// Takes a connection out of the table (`nf_ct_kill`). Packets that belong to it go on with it.
    pub(super) fn kill_conntrack(&mut self, ctx: &mut Ctx<'_>, id: u32, cause: EventId) {
        let Some(conn) = self.netfilter.conntrack.conns.get_mut(&id) else { return };
        let (orig, reply, confirmed) = (conn.orig, conn.reply, conn.confirmed);
        if conn.dying {
            return;
        }
        conn.dying = true;
        conn.expires = ctx.now + UNCONFIRMED_KEPT;
        if confirmed {
            // One that is known by its replies alone leaves the other direction to the connection that was first.
            let tuples = &mut self.netfilter.conntrack.tuples;
            for tuple in [orig, reply] {
                if tuples.get(&tuple).is_some_and(|(owner, _)| *owner == id) {
                    tuples.remove(&tuple);
                }
            }
            let gone = NetfilterChange::ConntrackGone(self.id, id);
            ctx.change(self.id, IfIndex::NONE, cause, TableChange::Netfilter(gone));
        }
    }

    fn schedule_gc(&mut self, ctx: &mut Ctx<'_>, at: SimTime) {
        let table = &mut self.netfilter.conntrack;
        if table.gc_at.is_some_and(|already| already <= at) {
            return;
        }
        table.gc_at = Some(at);
        ctx.later(at.since(ctx.now), Urgency::Background, Work::Timer(Timer::Netfilter(at)));
    }

    /// Takes out what has not seen a packet for its time (`gc_worker`), and comes back when the next one is due.
    pub(super) fn gc_conntrack(&mut self, ctx: &mut Ctx<'_>, deadline: SimTime) {
        if self.netfilter.conntrack.gc_at != Some(deadline) {
            return;
        }
        self.netfilter.conntrack.gc_at = None;
        let now = ctx.now;
        let over = |conn: &Conn| conn.expires <= now;
        let late: Vec<u32> =
            self.netfilter.conntrack.conns.iter().filter(|(_, conn)| over(conn)).map(|(id, _)| *id).collect();
        for id in late {
            self.kill_conntrack(ctx, id, EventId::NONE);
            self.netfilter.conntrack.conns.remove(&id);
        }
        let next = self.netfilter.conntrack.conns.values().map(|conn| conn.expires).min();
        if let Some(next) = next {
            // Not sooner than a second, so that many connections make few visits.
            self.schedule_gc(ctx, next.max(now + Duration::from_ms(1)));
        }
    }
}

fn row(netns: crate::base::NetnsId, id: u32, conn: &Conn) -> ConntrackRow {
    ConntrackRow {
        netns,
        id,
        orig: conn.orig,
        reply: conn.reply,
        tcp: conn.tcp.as_ref().map(|tcp| tcp.state),
        seen_reply: conn.seen_reply,
        assured: conn.assured,
        mark: conn.mark,
        timeout: conn.timeout,
    }
}
