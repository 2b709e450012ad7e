//! ICMP that the kernel sends (`net/ipv4/icmp.c`, RFC 792, RFC 1812 section 4.3) and its rate limits.

use super::{Ctx, Flow, Netns, Skb};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, SimTime};
use crate::trace::{Disposition, DropReason, EventKind, Relation};
use crate::wire::{Body, Bytes, Frame, Icmp, Ipv4, Payload};
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
}

impl IcmpError {
    pub(super) const NET_UNREACHABLE: Self = Self { kind: 3, code: 0, mtu: 0 };
    pub(super) const HOST_UNREACHABLE: Self = Self { kind: 3, code: 1, mtu: 0 };
    pub(super) const PROTOCOL_UNREACHABLE: Self = Self { kind: 3, code: 2, mtu: 0 };
    pub(super) const PORT_UNREACHABLE: Self = Self { kind: 3, code: 3, mtu: 0 };
    pub(super) const PACKET_FILTERED: Self = Self { kind: 3, code: 13, mtu: 0 };
    pub(super) const TTL_EXCEEDED: Self = Self { kind: 11, code: 0, mtu: 0 };
    pub(super) const REASSEMBLY_EXCEEDED: Self = Self { kind: 11, code: 1, mtu: 0 };

    pub(super) fn frag_needed(mtu: u32) -> Self {
        Self { kind: 3, code: 4, mtu: u16::try_from(mtu).unwrap_or(u16::MAX) }
    }

    fn message(self, quote: Bytes) -> Icmp {
        match self.kind {
            11 => Icmp::TimeExceeded { code: self.code, quote },
            _ => Icmp::DestinationUnreachable { code: self.code, mtu: self.mtu, quote },
        }
    }
}

/// Budgets for errors, as token buckets counted in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// Per receiver (`struct inet_peer`): tokens and when they were counted.
    peers: BTreeMap<Ipv4Addr, (u64, SimTime)>,
    /// For all together: tokens used since, and when.
    global: Option<(u64, SimTime)>,
}

impl Limits {
    /// A peer that was not heard of has a full bucket (`inet_getpeer`).
    fn refill(&mut self, peer: Ipv4Addr, now: SimTime, burst: u64) -> u64 {
        let tokens = match self.peers.get(&peer) {
            None => burst,
            Some(&(tokens, then)) => (tokens + now.since(then).0).min(burst),
        };
        self.peers.insert(peer, (tokens, now));
        tokens
    }

    fn take(&mut self, peer: Ipv4Addr, now: SimTime, cost: u64, burst: u64) -> bool {
        let tokens = self.refill(peer, now, burst);
        let enough = tokens >= cost;
        if enough {
            self.peers.insert(peer, (tokens - cost, now));
        }
        enough
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
        self.icmp_send_after(ctx, oif, &skb, IcmpError::HOST_UNREACHABLE, after);
        ctx.drop((self.id, oif), skb, DropReason::NeighFailed);
    }

    /// Reports an error about a packet to its sender (`__icmp_send`).
    pub(super) fn icmp_send(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, about: &Skb, error: IcmpError) {
        self.icmp_send_after(ctx, ifindex, about, error, ctx.delays.input);
    }

    fn icmp_send_after(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        about: &Skb,
        error: IcmpError,
        after: Duration,
    ) {
        let Some(packet) = about.frame.ipv4() else { return };
        if !deserves_error(packet) {
            return;
        }
        let local = self.has_addr(packet.dst) || packet.dst.is_loopback();
        let from = local.then_some(packet.dst);
        let Ok(flow) = self.ip_route_output(ctx.now, packet.src, from, None) else { return };
        let on_loopback = flow.oif == IfIndex(1);
        let cost = self.sysctl.icmp_ratelimit.0;
        if !on_loopback {
            let allowed = self.limits.take_global(ctx.now)
                && self.limits.take(packet.src, ctx.now, cost, PEER_BURST * cost);
            if !allowed {
                return;
            }
        }
        let room = (flow.mtu as usize).min(ERROR_LEN_MAX) - 20 - 8;
        let mut quote = packet.emit();
        quote.truncate(room);
        let message = error.message(quote.into());
        let tos = packet.tos & 0x1e | TOS_INTERNETCONTROL;
        let answer = self.icmp_packet(&flow, packet.src, tos, message);
        let mut skb = ctx.child(about, Relation::Error, Arc::new(answer));
        ctx.note((self.id, ifindex), &mut skb, EventKind::Originated);
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
        let Ok(flow) = self.ip_route_output(ctx.now, request.src, Some(request.dst), None) else { return };
        let answer = self.icmp_packet(&flow, request.src, request.tos & 0x1e, message);
        let mut skb = ctx.child(about, Relation::Reply, Arc::new(answer));
        ctx.note((self.id, ifindex), &mut skb, EventKind::Originated);
        self.ip_local_out(ctx, &flow, ctx.delays.input, skb);
    }

    /// The kernel's ICMP socket never sets DF (`IP_PMTUDISC_DONT`).
    fn icmp_packet(&mut self, flow: &Flow, dst: Ipv4Addr, tos: u8, message: Icmp) -> Frame {
        let packet = Ipv4 {
            tos,
            id: self.next_ip_id(),
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl: self.sysctl.ip_default_ttl,
            src: flow.src,
            dst,
            options: None,
            body: Arc::new(Body::Icmp(message)),
        };
        Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet) }
    }

    /// An ICMP error arrived: the socket whose packet it quotes hears of it, and a smaller path MTU is remembered.
    pub(super) fn icmp_error_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        from: Ipv4Addr,
        (kind_and_code, mtu, quote): ((u8, u8), u16, &Bytes),
        skb: Skb,
    ) {
        if kind_and_code == (3, 4)
            && let Some(quoted) = Quoted::read(quote)
        {
            self.remember_pmtu(ctx.now, quoted.dst, mtu);
        }
        if let Some(quoted) = Quoted::read(quote) {
            self.ip_tunnel_err(ctx.now, (quoted.protocol, quoted.dst), kind_and_code);
        }
        let quoted = Quoted::read(quote).filter(|quoted| quoted.protocol == 1 && quoted.echo_request);
        match quoted.and_then(|quoted| self.ping_err(ctx, from, kind_and_code, mtu, &quoted)) {
            Some(socket) => ctx.end((self.id, ifindex), skb, Disposition::Delivered(socket)),
            None => ctx.end((self.id, ifindex), skb, Disposition::Consumed),
        };
    }

    /// `ip_rt_update_pmtu`: remembered for 10 minutes, never below `min_pmtu` (552).
    pub(super) fn remember_pmtu(&mut self, now: SimTime, dst: Ipv4Addr, mtu: u16) {
        const EXPIRES: Duration = Duration::from_secs(600);
        let mtu = u32::from(mtu).max(552);
        self.pmtu.insert(dst, (mtu, now + EXPIRES));
    }
}

/// The start of a packet quoted in an error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    pub(super) dst: Ipv4Addr,
    pub(super) protocol: u8,
    pub(super) echo_request: bool,
    pub(super) id: u16,
    pub(super) seq: u16,
}

impl Quoted {
    /// Reads the IPv4 header and the first 8 bytes behind it, which every error quotes at least.
    fn read(quote: &[u8]) -> Option<Self> {
        let header_len = usize::from(*quote.first()? & 0x0f) * 4;
        let dst: [u8; 4] = quote.get(16..20)?.try_into().ok()?;
        let rest = quote.get(header_len..header_len + 8)?;
        Some(Self {
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
        Body::Udp(_) | Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => {
            false
        }
    };
    !about_error
        && packet.fragment_offset == 0
        && !packet.dst.is_broadcast()
        && !packet.dst.is_multicast()
        && !packet.src.is_unspecified()
        && !packet.src.is_broadcast()
        && !packet.src.is_multicast()
}
