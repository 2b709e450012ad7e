//! What tunnels of IPv4 packets have in common (`net/ipv4/ip_tunnel.c`, `ip_tunnel_core.c`): finding the other end,
//! the outer header, path MTU, and which device takes in what arrives.

use super::icmp::IcmpError;
use super::{Ctx, Flow, Kind, Link, Netns, Skb};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, SimTime};
use crate::trace::{DropReason, EventKind, TunnelRow};
use crate::wire::{Body, Frame, Gre, Ipv4, Payload};
use std::sync::Arc;

/// How long errors about a tunnel's packets are passed on to those who send into it (`IPTUNNEL_ERR_TIMEO`).
const ERROR_TIMEOUT: Duration = Duration::from_secs(30);
/// MTU that a tunnel is made with whose other end is not known yet (`ETH_DATA_LEN`).
const ETH_DATA_LEN: u32 = 1500;
/// No tunnel is made with less (`IPV4_MIN_MTU`).
const IPV4_MIN_MTU: u32 = 68;

/// A tunnel of IPv4 packets (`struct ip_tunnel`).
#[derive(Clone, Debug, Default)]
pub struct Tunnel {
    /// Its settings.
    pub row: TunnelRow,
    /// Number of the next packet sent, with GRE sequence numbers.
    pub o_seqno: u32,
    /// Number expected of the next packet received.
    pub i_seqno: u32,
    /// ICMP errors about its packets that are still to be passed on, and when the last one came.
    pub errors: (u32, SimTime),
}

impl From<TunnelRow> for Tunnel {
    fn from(row: TunnelRow) -> Self {
        Self { row, ..Self::default() }
    }
}

/// Length of the GRE header that a tunnel sends, in bytes (`gre_calc_hlen`).
pub(super) fn gre_header_len(row: &TunnelRow) -> usize {
    Gre::HEADER_LEN + 4 * (usize::from(row.ocsum) + usize::from(row.okey.is_some()) + usize::from(row.oseq))
}

/// A packet on its way into a tunnel.
pub(super) struct Outgoing {
    pub(super) skb: Skb,
    /// Settings of the tunnel.
    pub(super) row: TunnelRow,
    /// The body of the outer packet.
    pub(super) body: Body,
    /// Bytes between the outer IPv4 header and the packet inside: GRE, and with it an Ethernet header.
    pub(super) header_len: usize,
}

/// TTL, type of service and DF of the outer packet.
struct OuterHeader {
    tos: u8,
    ttl: u8,
    dont_fragment: bool,
}

impl Netns {
    /// The MTU of a new tunnel (`ip_tunnel_bind_dev`): that of the way to its other end less the headers.
    pub fn tunnel_mtu(&self, now: SimTime, kind: &Kind) -> u32 {
        let (row, overhead) = match kind {
            Kind::Ipip(tunnel) => (tunnel.row, Ipv4::HEADER_LEN),
            Kind::Gre(tunnel) => (tunnel.row, Ipv4::HEADER_LEN + gre_header_len(&tunnel.row)),
            Kind::Gretap(tunnel) => {
                (tunnel.row, Ipv4::HEADER_LEN + gre_header_len(&tunnel.row) + Frame::HEADER_LEN)
            }
            Kind::Loopback
            | Kind::Veth(..)
            | Kind::Physical(_)
            | Kind::Bridge(_)
            | Kind::Vxlan(_)
            | Kind::Dummy
            | Kind::Vlan(_)
            | Kind::Macvlan { .. }
            | Kind::Ipvlan { .. } => return ETH_DATA_LEN,
        };
        let routed = row
            .remote
            .and_then(|remote| self.ip_route_output(now, remote, row.local, row.dev).ok())
            .map(|flow| flow.oif);
        let below = routed.or(row.dev).and_then(|oif| self.link(oif));
        let mtu = below.map_or(ETH_DATA_LEN, |link| link.mtu.min(65_535));
        mtu.saturating_sub(overhead as u32).max(IPV4_MIN_MTU)
    }

    /// Sends a packet into a tunnel (`ip_tunnel_xmit`).
    pub(super) fn ip_tunnel_xmit(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, mut out: Outgoing) {
        let at = (self.id, ifindex);
        // Without a fixed other end the route's next hop is it (`rt_nexthop`).
        let Some(remote) = out.row.remote.or(out.skb.dst.next_hop) else {
            return ctx.drop(at, out.skb, DropReason::TunnelNoRemote);
        };
        let flow = match self.ip_route_output(ctx.now, remote, out.row.local, out.row.dev) {
            // Its own way out leads into itself (`collisions`).
            Ok(flow) if flow.oif == ifindex => return ctx.drop(at, out.skb, DropReason::Recursion),
            Ok(flow) => flow,
            Err(_) => return ctx.drop(at, out.skb, DropReason::IpOutNoRoutes),
        };
        let inner = out.skb.frame.inner_ipv4().cloned();
        let header = self.outer_header(&out.row, inner.as_ref());
        if let Some(inner) = &inner
            && !self.tnl_update_pmtu(ctx, ifindex, (&out, &flow), inner, header.dont_fragment)
        {
            return ctx.drop(at, out.skb, DropReason::PktTooBig);
        }
        if Ipv4::HEADER_LEN + out.body.wire_len() > usize::from(u16::MAX) {
            return ctx.drop(at, out.skb, DropReason::PktTooBig);
        }
        self.pass_on_error(ctx, ifindex, &out.skb);
        let outer = Ipv4 {
            tos: header.tos,
            id: self.next_ip_id(),
            dont_fragment: header.dont_fragment,
            more_fragments: false,
            fragment_offset: 0,
            ttl: header.ttl,
            src: flow.src,
            dst: remote,
            options: None,
            body: Arc::new(out.body),
        };
        let frame = Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(outer) };
        *out.skb.frame_mut() = frame;
        out.skb.frag_max = 0;
        out.skb.nesting += 1;
        out.skb.nf = out.skb.nf.scrubbed(false);
        out.skb.sec = None;
        ctx.note(at, &mut out.skb, EventKind::Encapsulated);
        self.ip_local_out(ctx, &flow, ctx.delays.tunnel, out.skb);
    }

    fn outer_header(&self, row: &TunnelRow, inner: Option<&Ipv4>) -> OuterHeader {
        let inherited = inner.map_or(0, |packet| packet.tos);
        let tos = if row.tos & 1 == 1 { inherited } else { row.tos };
        let ttl = match (row.ttl, inner) {
            (0, Some(packet)) => packet.ttl,
            (0, None) => self.sysctl.ip_default_ttl,
            (ttl, _) => ttl,
        };
        let dont_fragment = row.pmtudisc || inner.is_some_and(|packet| packet.dont_fragment);
        OuterHeader { tos: ecn_encapsulate(tos, inherited), ttl, dont_fragment }
    }

    /// What fits through is remembered for the packet's destination; what does not fit and may not be cut is
    /// reported (`tnl_update_pmtu`). `false` where it must not go on.
    fn tnl_update_pmtu(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        (out, flow): (&Outgoing, &Flow),
        inner: &Ipv4,
        dont_fragment: bool,
    ) -> bool {
        let room = flow.mtu.saturating_sub((Ipv4::HEADER_LEN + out.header_len) as u32);
        let mtu = if dont_fragment { room } else { self.link(ifindex).map_or(room, |link| link.mtu) };
        if mtu < inner.wire_len() as u32 {
            let known = u16::try_from(mtu).unwrap_or(u16::MAX);
            self.update_pmtu(ctx, (inner.src, inner.dst), known, out.skb.cause);
        }
        if inner.dont_fragment && mtu < inner.wire_len() as u32 {
            self.icmp_send(ctx, ifindex, &out.skb, IcmpError::frag_needed(mtu));
            return false;
        }
        true
    }

    /// The other end was reported unreachable lately: so is what is behind it.
    fn pass_on_error(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: &Skb) {
        let now = ctx.now;
        let Some(tunnel) = self.link_mut(ifindex).and_then(Link::tunnel_mut) else { return };
        let (count, since) = tunnel.errors;
        if count == 0 {
            return;
        }
        let recent = now < since + ERROR_TIMEOUT;
        tunnel.errors.0 = if recent { count - 1 } else { 0 };
        if recent {
            self.icmp_send(ctx, ifindex, skb, IcmpError::HOST_UNREACHABLE);
        }
    }

    /// An ICMP error quotes a packet that a tunnel sent (`ipip_err`, `ipgre_err`). Too large a packet is the path MTU's
    /// matter.
    pub(super) fn ip_tunnel_err(
        &mut self,
        now: SimTime,
        (protocol, dst): (u8, Ipv4Addr),
        (kind, code): (u8, u8),
    ) {
        let unreachable = kind == 3 && !matches!(code, 3..=5);
        for link in self.links.iter_mut().flatten() {
            let own = match &link.kind {
                Kind::Ipip(_) => protocol == 4,
                Kind::Gre(_) | Kind::Gretap(_) => protocol == 47,
                Kind::Loopback
                | Kind::Veth(..)
                | Kind::Physical(_)
                | Kind::Bridge(_)
                | Kind::Vxlan(_)
                | Kind::Dummy
                | Kind::Vlan(_)
                | Kind::Macvlan { .. }
                | Kind::Ipvlan { .. } => false,
            };
            let Some(tunnel) = link.tunnel_mut().filter(|tunnel| own && tunnel.row.remote == Some(dst))
            else {
                continue;
            };
            let expired = kind == 11 && code == 0 && tunnel.row.ttl != 0;
            if unreachable || expired {
                let recent = tunnel.errors.0 > 0 && now < tunnel.errors.1 + ERROR_TIMEOUT;
                tunnel.errors = (if recent { tunnel.errors.0 + 1 } else { 1 }, now);
            }
            return;
        }
    }

    /// The tunnel that takes in a packet (`ip_tunnel_lookup`): both addresses, then the sender's, then the receiver's,
    /// then the device that takes everything. Among GRE tunnels the key has to be the same.
    pub(super) fn ip_tunnel_lookup(
        &self,
        is_kind: impl Fn(&Kind) -> bool,
        key: Option<u32>,
        outer: &Ipv4,
        in_dev: IfIndex,
    ) -> Option<IfIndex> {
        let candidates = || {
            self.links().filter(|link| link.up && is_kind(&link.kind)).filter_map(|link| {
                let row = link.tunnel()?.row;
                let bound = row.dev.is_none_or(|dev| dev == in_dev);
                (bound && row.ikey == key).then_some((link.ifindex, row))
            })
        };
        let find = |test: &dyn Fn(&TunnelRow) -> bool| {
            candidates().find(|(_, row)| test(row)).map(|(ifindex, _)| ifindex)
        };
        find(&|row| row.remote == Some(outer.src) && row.local == Some(outer.dst))
            .or_else(|| find(&|row| row.remote == Some(outer.src) && row.local.is_none()))
            .or_else(|| find(&|row| row.remote.is_none() && row.local == Some(outer.dst)))
            .or_else(|| find(&|row| row.remote.is_none() && row.local.is_none()))
    }

    /// The packet inside comes in at the tunnel device (`ip_tunnel_rcv`).
    pub(super) fn ip_tunnel_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        tunnel: IfIndex,
        outer_tos: u8,
        inner: Frame,
        mut skb: Skb,
    ) {
        skb.frame = Arc::new(inner);
        skb.packet = crate::base::PacketId::NONE;
        skb.frag_max = 0;
        skb.dst = super::Dst::default();
        skb.nf = skb.nf.scrubbed(false);
        if !ecn_decapsulate(outer_tos, &mut skb) {
            return ctx.drop((self.id, tunnel), skb, DropReason::IpInHdr);
        }
        ctx.note((self.id, tunnel), &mut skb, EventKind::Decapsulated);
        self.netif_receive(ctx, tunnel, skb);
    }
}

/// Congestion bits of the outer header (RFC 6040; `INET_ECN_encapsulate`): the inner ones, but not "experienced".
pub(super) fn ecn_encapsulate(tos: u8, inner: u8) -> u8 {
    const CE: u8 = 3;
    const ECT_0: u8 = 2;
    let ecn = if inner & 3 == CE { ECT_0 } else { inner & 3 };
    tos & !3 | ecn
}

/// Congestion met on the way is told to the packet inside; `false` where that one cannot be told
/// (`IP_ECN_decapsulate`).
pub(super) fn ecn_decapsulate(outer_tos: u8, skb: &mut Skb) -> bool {
    let Some(inner) = skb.frame.ipv4() else { return true };
    if outer_tos & 3 != 3 || inner.tos & 3 == 3 {
        return true;
    }
    let capable = inner.tos & 3 > 0;
    if !capable {
        return false;
    }
    if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
        packet.tos |= 3;
    }
    true
}

/// A frame around a bare packet, for devices without an Ethernet header.
pub(super) fn bare(packet: &Ipv4) -> Frame {
    Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet.clone()) }
}
