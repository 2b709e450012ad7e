//! ICMP that the kernel sends (`net/ipv4/icmp.c`, RFC 792, RFC 1812 section 4.3) and its rate limits.

use super::ip_options::{Host, echo, timestamp};
use super::rule::Traits;
use super::sock::IcmpReport;
use super::{Ctx, Errno, Flow, Netns, Sender, Skb};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, SimTime};
use crate::trace::{Disposition, DropReason, EventKind, Mib, Relation};
use crate::wire::{Body, Bytes, Frame, Icmp, Ipv4, Payload, Quote};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Precedence "internetwork control", which Linux sets on errors (`IPTOS_PREC_INTERNETCONTROL`).
const TOS_INTERNETCONTROL: u8 = 0xc0;
/// Errors are cut to this size, IPv4 header included (RFC 1812 section 4.3.2.3).
const ERROR_LEN_MAX: usize = 576;
/// Errors a peer may get in a burst (`XRLIM_BURST_FACTOR`).
const PEER_BURST: u64 = 6;
/// `ip_rt_error_cost` and `ip_rt_error_burst`: routing errors have a budget of their own rules in the same bucket.
const ROUTE_ERROR_COST_NS: u64 = 1_000_000_000;
const ROUTE_ERROR_BURST_NS: u64 = 5_000_000_000;
/// `icmp_msgs_per_sec` and `icmp_msgs_burst`.
const GLOBAL_PER_SEC: u64 = 1_000;
const GLOBAL_BURST: u64 = 50;

/// An error to report about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IcmpError {
    kind: u8,
    code: u8,
    mtu: u16,
    gateway: Ipv4Addr,
}

/// An error of this type and code, which carries neither MTU nor next hop.
const fn error(kind: u8, code: u8) -> IcmpError {
    IcmpError { kind, code, mtu: 0, gateway: Ipv4Addr::UNSPECIFIED }
}

impl IcmpError {
    pub(super) const NET_UNREACHABLE: Self = error(3, 0);
    pub(super) const HOST_UNREACHABLE: Self = error(3, 1);
    pub(super) const PROTOCOL_UNREACHABLE: Self = error(3, 2);
    pub(super) const PORT_UNREACHABLE: Self = error(3, 3);
    pub(super) const PACKET_FILTERED: Self = error(3, 13);
    pub(super) const TTL_EXCEEDED: Self = error(11, 0);
    pub(super) const REASSEMBLY_EXCEEDED: Self = error(11, 1);

    /// Destination unreachable with a code.
    pub(super) fn unreachable(code: u8) -> Self {
        error(3, code)
    }

    pub(super) fn frag_needed(mtu: u32) -> Self {
        Self { mtu: u16::try_from(mtu).unwrap_or(u16::MAX), ..error(3, 4) }
    }

    /// There is a better next hop to this host (RFC 792, type 5 code 1).
    pub(super) fn redirect(gateway: Ipv4Addr) -> Self {
        Self { gateway, ..error(5, 1) }
    }

    /// Whether the budgets count it: those of `net.ipv4.icmp_ratemask`, and never "fragmentation needed", without which
    /// path MTU discovery would fail (`icmpv4_mask_allow`).
    fn is_limited(self) -> bool {
        matches!((self.kind, self.code), (3, 0..=3 | 5..) | (4 | 11 | 12, _))
    }

    fn kind_and_code(self) -> (u8, u8) {
        (self.kind, self.code)
    }

    fn message(self, quote: Bytes) -> Icmp {
        match self.kind {
            5 => Icmp::Other { kind: 5, code: self.code, rest: self.gateway.octets(), data: quote },
            11 => Icmp::TimeExceeded { code: self.code, quote },
            _ => Icmp::DestinationUnreachable { code: self.code, mtu: self.mtu, quote },
        }
    }
}

/// What is remembered of a host that errors or redirects went to (`struct inet_peer`).
#[derive(Clone, Copy, Debug)]
struct Peer {
    /// Tokens, and when they were counted (`rate_tokens`, `rate_last`).
    tokens: u64,
    then: SimTime,
    /// Redirects sent since the last silence (`n_redirects`).
    redirects: u32,
}

/// What an unreachable message means to a connected socket (`icmp_err_convert`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IcmpErrno {
    /// The error.
    pub(super) errno: Errno,
    /// Whether it ends what it is about, or only might.
    pub(super) fatal: bool,
}

/// The meaning of a code of "destination unreachable" (RFC 1122 section 3.2.2.1).
pub(super) fn icmp_err_convert(code: u8) -> IcmpErrno {
    let (errno, fatal) = match code {
        0 | 11 => (Errno::Enetunreach, false),
        2 => (Errno::Enoprotoopt, true),
        3 => (Errno::Econnrefused, true),
        4 => (Errno::Emsgsize, false),
        5 => (Errno::Eopnotsupp, false),
        6 | 9 => (Errno::Enetunreach, true),
        7 => (Errno::Ehostdown, true),
        8 => (Errno::Enonet, true),
        10 | 13..=15 => (Errno::Ehostunreach, true),
        _ => (Errno::Ehostunreach, false),
    };
    IcmpErrno { errno, fatal }
}

/// Budgets for errors, as token buckets counted in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// Per receiver.
    peers: BTreeMap<Ipv4Addr, Peer>,
    /// For all together: tokens used since, and when.
    global: Option<(u64, SimTime)>,
}

impl Limits {
    /// A peer that was not heard of has a full bucket (`inet_getpeer`).
    fn refill(&mut self, peer: Ipv4Addr, now: SimTime, burst: u64) -> u64 {
        let (tokens, redirects) = match self.peers.get(&peer) {
            None => (burst, 0),
            Some(old) => ((old.tokens + now.since(old.then).0).min(burst), old.redirects),
        };
        self.peers.insert(peer, Peer { tokens, then: now, redirects });
        tokens
    }

    fn take(&mut self, peer: Ipv4Addr, now: SimTime, cost: u64, burst: u64) -> bool {
        let tokens = self.refill(peer, now, burst);
        let enough = tokens >= cost;
        if enough && let Some(peer) = self.peers.get_mut(&peer) {
            peer.tokens = tokens - cost;
        }
        enough
    }

    /// Whether a peer is to be told of a better way: again only after a pause that doubles each time, nine times at
    /// most, until it was silent for 20.48 s (`ip_rt_redirect_load`, `_number`, `_silence`).
    pub(super) fn may_redirect(&mut self, addr: Ipv4Addr, now: SimTime) -> bool {
        const LOAD_NS: u64 = 20_000_000;
        const NUMBER: u32 = 9;
        let new = Peer { tokens: 0, then: now, redirects: 0 };
        let peer = self.peers.entry(addr).or_insert(new);
        if now.since(peer.then).0 > LOAD_NS << (NUMBER + 1) {
            (peer.tokens, peer.redirects) = (0, 0);
        }
        if peer.redirects >= NUMBER {
            peer.then = now;
            return false;
        }
        peer.redirects == 0 || now.since(peer.then).0 > LOAD_NS << peer.redirects
    }

    /// A peer was told.
    pub(super) fn redirected(&mut self, addr: Ipv4Addr, now: SimTime) {
        if let Some(peer) = self.peers.get_mut(&addr) {
            peer.then = now;
            peer.redirects += 1;
        }
    }

    /// `icmp_global_allow`.
    fn take_global(&mut self, now: SimTime) -> bool {
        let (credit, then) = self.global.unwrap_or((GLOBAL_BURST, now));
        let earned = now.since(then).0 * GLOBAL_PER_SEC / 1_000_000_000;
        let credit = (credit + earned).min(GLOBAL_BURST);
        let counted = if earned > 0 { now } else { then };
        let enough = credit > 0;
        self.global = Some((credit - u64::from(enough), counted));
        enough
    }
}

impl Netns {
    /// A routing error (`ip_error`): it has to pass the budget for routing errors before the one for ICMP.
    pub(super) fn ip_error(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: &Skb, error: IcmpError) {
        let Some(packet) = skb.frame.ipv4() else { return };
        if self.limits.take(packet.src, ctx.now, ROUTE_ERROR_COST_NS, ROUTE_ERROR_BURST_NS) {
            self.icmp_send(ctx, ifindex, skb, error);
        }
    }

    /// A next hop did not answer (`ipv4_link_failure`).
    pub(super) fn ipv4_link_failure(&mut self, ctx: &mut Ctx<'_>, oif: IfIndex, after: Duration, skb: Skb) {
        // What waits for a next hop was not routed to this machine, whoever it is for.
        self.icmp_send_after(ctx, oif, (&skb, false), IcmpError::HOST_UNREACHABLE, after);
        ctx.drop((self.id, oif), skb, DropReason::NeighFailed);
    }

    /// Reports an error about a packet to its sender (`__icmp_send`).
    pub(super) fn icmp_send(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, about: &Skb, error: IcmpError) {
        let is_own = |packet: &Ipv4| self.has_addr(packet.dst) || packet.dst.is_loopback();
        let local = about.frame.ipv4().is_some_and(is_own);
        self.icmp_send_after(ctx, ifindex, (about, local), error, ctx.delays.input);
    }

    fn icmp_send_after(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        (about, local): (&Skb, bool),
        error: IcmpError,
        after: Duration,
    ) {
        let Some(packet) = about.frame.ipv4() else { return };
        if !deserves_error(packet) {
            return;
        }
        let from = local.then_some(packet.dst);
        let tos = packet.tos & 0x1e | TOS_INTERNETCONTROL;
        let traits = Traits::icmp_error(tos, error.kind_and_code(), about);
        let Ok(flow) = self.ip_route_output_flow(ctx.now, packet.src, (from, None), traits) else { return };
        let on_loopback = flow.oif == IfIndex(1);
        let cost = self.sysctl.icmp_ratelimit.0;
        if !on_loopback && error.is_limited() {
            if !self.limits.take_global(ctx.now) {
                return self.mib.inc(Mib::IcmpOutRateLimitGlobal);
            }
            if !self.limits.take(packet.src, ctx.now, cost, PEER_BURST * cost) {
                return self.mib.inc(Mib::IcmpOutRateLimitHost);
            }
        }
        let host = Host { addr: flow.src, ms: timestamp(ctx.now), counts: false };
        let options = echo(packet.options.as_ref(), host);
        let room =
            (flow.mtu as usize).min(ERROR_LEN_MAX) - 20 - 8 - options.as_ref().map_or(0, |own| own.len());
        let mut quote = packet.emit();
        quote.truncate(room);
        let message = error.message(quote.into());
        let answer = self.icmp_packet(&flow, packet.src, (tos, options), message);
        let mut skb = ctx.child(about, Relation::Error, Arc::new(answer));
        // `icmp_glue_bits`: so an error about a translated packet is translated back, even about the very first one.
        skb.nf.attach(about.nf);
        skb.nf.sender = Sender::Kernel;
        ctx.note((self.id, ifindex), &mut skb, EventKind::Originated);
        self.mib.icmp_sent(error.kind);
        self.ip_local_out(ctx, &flow, after, skb);
    }

    /// Answers a packet from the address it was sent to (`icmp_reply`).
    pub(super) fn icmp_reply(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        request: &Ipv4,
        message: Icmp,
        about: &Skb,
    ) {
        // What was for many is answered from the address that reaches the one who asked (`fib_compute_spec_dst`).
        let from = Some(request.dst).filter(|dst| !self.is_for_many(*dst));
        let traits = Traits::icmp(request.tos, (0, 0));
        let Ok(flow) = self.ip_route_output_flow(ctx.now, request.src, (from, None), traits) else { return };
        let host = Host { addr: flow.src, ms: timestamp(ctx.now), counts: false };
        let options = echo(request.options.as_ref(), host);
        self.mib.icmp_sent(message.kind_and_code().0);
        let answer = self.icmp_packet(&flow, request.src, (request.tos, options), message);
        let mut skb = ctx.child(about, Relation::Reply, Arc::new(answer));
        skb.nf.sender = Sender::Kernel;
        ctx.note((self.id, ifindex), &mut skb, EventKind::Originated);
        self.ip_local_out(ctx, &flow, ctx.delays.input, skb);
    }

    /// The kernel's ICMP socket never sets DF (`IP_PMTUDISC_DONT`).
    fn icmp_packet(
        &mut self,
        flow: &Flow,
        dst: Ipv4Addr,
        (tos, options): (u8, Option<Bytes>),
        message: Icmp,
    ) -> Frame {
        let packet = Ipv4 {
            tos,
            id: self.next_ip_id(),
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl: self.sysctl.ip_default_ttl,
            src: flow.src,
            dst,
            options,
            body: Arc::new(Body::Icmp(message)),
        };
        Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet) }
    }

    /// An ICMP error arrived: the socket whose packet it quotes hears of it, and a smaller path MTU is remembered.
    pub(super) fn icmp_error_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        report: IcmpReport,
        quote: &Bytes,
        skb: Skb,
    ) {
        let IcmpReport { kind_and_code, mtu, .. } = report;
        if kind_and_code == (3, 4)
            && let Some(quoted) = Quoted::read(quote)
        {
            self.update_pmtu(ctx, (quoted.src, quoted.dst), mtu, skb.cause);
        }
        if let Some(quoted) = Quoted::read(quote) {
            self.ip_tunnel_err(ctx.now, (quoted.protocol, quoted.dst), kind_and_code);
        }
        let raw = Quote::read(quote).and_then(|quote| self.raw_err(ctx, ifindex, &report, &quote));
        let is_transport = Quoted::read(quote).is_none_or(|quoted| matches!(quoted.protocol, 6 | 17));
        let is_tunnel = Quote::read(quote)
            .and_then(|quote| quote.ports())
            .is_some_and(|(_, port)| self.vxlan_listening(port).is_some());
        let told = match Quote::read(quote) {
            Some(quote) if quote.protocol == 17 => self.udp_err(ctx, ifindex, &report, &quote),
            Some(quote) if quote.protocol == 6 => self.tcp_err(ctx, ifindex, &report, &quote),
            _ => Quoted::read(quote)
                .filter(|quoted| quoted.protocol == 1 && quoted.echo_request)
                .and_then(|quoted| self.ping_err(ctx, &report, &quoted)),
        };
        // Nobody here sent what it is about (`__udp4_lib_err`, `tcp_v4_err`).
        if told.is_none() && is_transport && !is_tunnel {
            self.mib.inc(Mib::IcmpInErrors);
        }
        match told.or(raw) {
            Some(socket) => ctx.end((self.id, ifindex), skb, Disposition::Delivered(socket)),
            None => ctx.end((self.id, ifindex), skb, Disposition::Consumed),
        };
    }
}

/// The start of a packet quoted in an error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    pub(super) src: Ipv4Addr,
    pub(super) dst: Ipv4Addr,
    pub(super) protocol: u8,
    pub(super) echo_request: bool,
    pub(super) id: u16,
    pub(super) seq: u16,
}

impl Quoted {
    /// Reads the IPv4 header and the first 8 bytes behind it, which every error quotes at least.
    pub(super) fn read(quote: &[u8]) -> Option<Self> {
        let header_len = usize::from(*quote.first()? & 0x0f) * 4;
        let src: [u8; 4] = quote.get(12..16)?.try_into().ok()?;
        let dst: [u8; 4] = quote.get(16..20)?.try_into().ok()?;
        let rest = quote.get(header_len..header_len + 8)?;
        Some(Self {
            src: src.into(),
            dst: dst.into(),
            protocol: *quote.get(9)?,
            echo_request: rest[0] == 8,
            id: u16::from_be_bytes([rest[4], rest[5]]),
            seq: u16::from_be_bytes([rest[6], rest[7]]),
        })
    }
}

/// No errors about errors, about later fragments, or about packets to many (RFC 1122 section 3.2.2).
fn deserves_error(packet: &Ipv4) -> bool {
    let about_error = match &*packet.body {
        Body::Icmp(icmp) => icmp.is_error(),
        Body::Tcp(_)
        | Body::Udp(_)
        | Body::Igmp(_)
        | Body::Ipip(_)
        | Body::Gre(_)
        | Body::Esp(_)
        | Body::Raw { .. } => false,
    };
    !about_error
        && packet.fragment_offset == 0
        && !packet.dst.is_broadcast()
        && !packet.dst.is_multicast()
        && !packet.src.is_unspecified()
        && !packet.src.is_broadcast()
        && !packet.src.is_multicast()
}
