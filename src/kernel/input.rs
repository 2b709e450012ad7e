//! IPv4 coming in (`net/ipv4/ip_input.c`, `route.c`, `ip_forward.c`): the hook, the route, then up or on.

use super::icmp::IcmpError;
use super::netfilter::{self, HookState};
use super::output::own_mtu;
use super::rule::{FibKey, NO_TABLE, Traits};
use super::sock::IcmpReport;
use super::{Ctx, FibResult, Kind, Link, Netns, Skb};
use crate::base::{ChangeId, IfIndex, Ipv4Addr};
use crate::trace::{
    Disposition, DropReason, EventKind, Hook, Mib, PacketType, RouteKind, Table, XfrmDirection,
};
use crate::wire::{Body, Icmp, Ipv4, Payload, UdpPayload};

/// What the routing decision for an incoming packet says.
pub(super) enum Verdict {
    Local,
    Forward(FibResult),
    Drop(DropReason),
    Error(DropReason, IcmpError),
}

impl Netns {
    /// `ip_rcv`.
    pub(super) fn ip_rcv(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, kind: PacketType, mut skb: Skb) {
        let at = (self.id, ifindex);
        if kind == PacketType::OtherHost {
            return ctx.drop(at, skb, DropReason::OtherHost);
        }
        if let Some(packet) = skb.frame.ipv4() {
            self.mib.received(packet);
        }
        // Here the control block begins anew (`ip_rcv_core`): what a bridge's hook put together is cut to the
        // sender's size again only if it does not fit as it is.
        skb.frag_max = 0;
        // What a bridge took in has passed this hook there (`ip_sabotage_in`).
        if skb.nf.bridge.is_none() {
            if self.tracks() && skb.frame.ipv4().is_some_and(Ipv4::is_fragment) {
                ctx.note(at, &mut skb, EventKind::Passed(Hook::Prerouting));
                match self.defragment(ctx, ifindex, skb) {
                    Some(whole) => skb = whole,
                    None => return,
                }
            }
            let state = HookState { hook: Hook::Prerouting, iif: ifindex, oif: IfIndex::NONE };
            if self.nf_hook(ctx, ifindex, state, &mut skb) == netfilter::Verdict::Drop {
                return ctx.drop(at, skb, DropReason::NetfilterDrop);
            }
        }
        let verdict =
            if skb.dst.delivered { Verdict::Local } else { self.ip_route_input(ctx, ifindex, &mut skb) };
        let mut recorded = None;
        if matches!(verdict, Verdict::Local | Verdict::Forward(_)) {
            let is_local = matches!(verdict, Verdict::Local);
            match self.ip_rcv_options(ctx.now, ifindex, (&mut skb, is_local)) {
                Ok(slot) => recorded = slot,
                Err(reason) => {
                    self.mib.inc(Mib::IpInHdrErrors);
                    return ctx.drop(at, skb, reason);
                }
            }
        }
        self.count_verdict(&verdict, &skb);
        match verdict {
            Verdict::Local => self.ip_local_deliver(ctx, ifindex, kind, skb),
            Verdict::Forward(route) => self.ip_forward(ctx, ifindex, kind, (route, recorded), skb),
            Verdict::Drop(reason) => ctx.drop(at, skb, reason),
            Verdict::Error(reason, error) => {
                self.ip_error(ctx, ifindex, &skb, error);
                ctx.drop(at, skb, reason);
            }
        }
    }

    /// Counts what the routing decision says (`ip_rcv_finish_core`, `ip_error`).
    fn count_verdict(&mut self, verdict: &Verdict, skb: &Skb) {
        let Some(packet) = skb.frame.ipv4() else { return };
        match verdict {
            Verdict::Local if packet.dst.is_multicast() => {
                self.mib.packet((Mib::IpExtInMcastPkts, Mib::IpExtInMcastOctets), packet.wire_len());
            }
            Verdict::Local if self.is_for_many(packet.dst) => {
                self.mib.packet((Mib::IpExtInBcastPkts, Mib::IpExtInBcastOctets), packet.wire_len());
            }
            Verdict::Drop(DropReason::IpRpFilter) => self.mib.inc(Mib::TcpExtIpReversePathFilter),
            // A group that nobody here is in has no address to be wrong.
            Verdict::Drop(DropReason::IpInAddrErrors) if !packet.dst.is_multicast() => {
                self.mib.inc(Mib::IpInAddrErrors);
            }
            Verdict::Error(_, IcmpError::NET_UNREACHABLE) => self.mib.inc(Mib::IpExtInNoRoutes),
            Verdict::Local | Verdict::Forward(_) | Verdict::Drop(_) | Verdict::Error(..) => {}
        }
    }

    /// `ip_route_input_slow`.
    pub(super) fn ip_route_input(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, skb: &mut Skb) -> Verdict {
        let Some(packet) = skb.frame.ipv4() else { return Verdict::Drop(DropReason::IpInHdr) };
        let (src, dst) = (packet.src, packet.dst);
        let traits = Traits::of_incoming(packet, skb.nf.mark, skb.hash);
        if self.is_martian(ifindex, src, dst) {
            return Verdict::Drop(DropReason::IpMartianSource);
        }
        if self.has_joined(ifindex, dst) {
            return Verdict::Local;
        }
        if dst.is_multicast() {
            return Verdict::Drop(DropReason::IpInAddrErrors);
        }
        if dst.is_broadcast() {
            return self.for_everybody(ifindex, src, traits);
        }
        let found = self.route_of_incoming(ifindex, (src, dst), traits);
        let change = found.map_or(ChangeId::NONE, |found| found.change);
        ctx.note((self.id, ifindex), skb, EventKind::Decided(Table::Fib, change));
        let Some(found) = found else {
            return if ifindex == IfIndex(1) { Verdict::Local } else { self.no_route(ifindex) };
        };
        let validated = |oif, verdict| match self.fib_validate_source(ifindex, oif, src, (dst, traits)) {
            Some(reason) => Verdict::Drop(reason),
            None => verdict,
        };
        match found.route.kind {
            RouteKind::Broadcast => self.for_everybody(ifindex, src, traits),
            RouteKind::Local => validated(None, Verdict::Local),
            // Whatever was sent by lo has its route since then, and is delivered (`__mkroute_output`, `RTCF_LOCAL`).
            _ if ifindex == IfIndex(1) => Verdict::Local,
            _ if !self.forwards(ifindex) => Verdict::Drop(DropReason::IpInAddrErrors),
            RouteKind::Unicast => validated(found.route.oif, Verdict::Forward(found)),
            RouteKind::Blackhole => Verdict::Drop(DropReason::Blackhole),
            RouteKind::Unreachable if found.route.table == NO_TABLE => {
                Verdict::Error(DropReason::Unreachable, IcmpError::NET_UNREACHABLE)
            }
            RouteKind::Unreachable => Verdict::Error(DropReason::Unreachable, IcmpError::HOST_UNREACHABLE),
            RouteKind::Throw => self.no_route(ifindex),
            RouteKind::Prohibit => Verdict::Error(DropReason::Prohibit, IcmpError::PACKET_FILTERED),
        }
    }

    /// A packet for everybody on the link (`ip_route_input_slow`, `brd_input`).
    fn for_everybody(&self, ifindex: IfIndex, src: Ipv4Addr, traits: Traits) -> Verdict {
        let to = (Ipv4Addr::UNSPECIFIED, traits);
        let refused =
            if src.is_unspecified() { None } else { self.fib_validate_source(ifindex, None, src, to) };
        refused.map_or(Verdict::Local, Verdict::Drop)
    }

    /// Whether a device on this one is in a group (`ip_check_mc_rcu`). *Simplified*: nobody is told by IGMP, for the switch
    /// floods groups.
    pub(super) fn has_joined(&self, ifindex: IfIndex, group: Ipv4Addr) -> bool {
        let has = |link: &Link| {
            link.up
                && matches!(&link.kind, Kind::Vxlan(own) if own.group == Some(group) && own.dev == ifindex)
        };
        // Every interface is in the group of all hosts (`ip_mc_up`).
        let all_hosts = group == Ipv4Addr::new(224, 0, 0, 1) && ifindex != IfIndex(1);
        group.is_multicast() && (all_hosts || self.links().any(has))
    }

    fn no_route(&self, ifindex: IfIndex) -> Verdict {
        if self.forwards(ifindex) {
            Verdict::Error(DropReason::IpInNoRoutes, IcmpError::NET_UNREACHABLE)
        } else {
            Verdict::Drop(DropReason::IpInAddrErrors)
        }
    }

    /// Addresses that may not be in a packet from outside, whatever the routes (RFC 1812 section 5.3.7).
    pub(super) fn is_martian(&self, ifindex: IfIndex, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        if src.is_multicast() || src.is_broadcast() {
            return true;
        }
        if dst.is_broadcast() || src.is_unspecified() && dst.is_unspecified() {
            return false;
        }
        if src.is_unspecified() || dst.is_unspecified() {
            return true;
        }
        let from_lo = self.link(ifindex).is_some_and(|link| matches!(link.kind, Kind::Loopback));
        let local = src.is_loopback() || dst.is_loopback();
        local && !from_lo && !self.conf_or(ifindex, |conf| conf.route_localnet)
    }

    /// Whether a packet with this source may come in here, if it goes on by `oif` (`fib_validate_source`).
    pub(super) fn fib_validate_source(
        &self,
        ifindex: IfIndex,
        oif: Option<IfIndex>,
        src: Ipv4Addr,
        (dst, traits): (Ipv4Addr, Traits),
    ) -> Option<DropReason> {
        if self.link(ifindex).is_some_and(|link| matches!(link.kind, Kind::Loopback)) {
            // It has its route since it was sent.
            return None;
        }
        let accepts_own = || self.conf_or(ifindex, |conf| conf.accept_local);
        let filter = self.conf_max(ifindex, |conf| conf.rp_filter);
        let turns_back = oif == Some(ifindex) && self.conf_or(ifindex, |conf| conf.send_redirects);
        if filter == 0 && !turns_back && !self.has_custom_rules() {
            return (self.has_addr(src) && !accepts_own()).then_some(DropReason::IpMartianSource);
        }
        if filter == 0 && !turns_back && accepts_own() {
            return None;
        }
        let refused = (filter > 0).then_some(DropReason::IpRpFilter);
        let way_back = FibKey { src: dst, traits: traits.back(), ..FibKey::towards(src) };
        let Some(FibResult { route, .. }) = self.fib_find(&way_back) else { return refused };
        match route.kind {
            RouteKind::Unicast if self.fib_uses_dev(&route, ifindex) => None,
            // The way back is another one, which only a strict filter minds.
            RouteKind::Unicast if filter != 1 => None,
            RouteKind::Local if accepts_own() => {
                if filter == 1 {
                    refused
                } else {
                    None
                }
            }
            RouteKind::Local | RouteKind::Broadcast => Some(DropReason::IpMartianSource),
            RouteKind::Unicast
            | RouteKind::Blackhole
            | RouteKind::Unreachable
            | RouteKind::Prohibit
            | RouteKind::Throw => refused,
        }
    }

    /// `ip_local_deliver`.
    fn ip_local_deliver(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, kind: PacketType, skb: Skb) {
        let Some(mut skb) = self.defragment(ctx, ifindex, skb) else { return };
        let state = HookState { hook: Hook::Input, iif: ifindex, oif: IfIndex::NONE };
        match self.nf_hook(ctx, ifindex, state, &mut skb) {
            netfilter::Verdict::Accept => {}
            netfilter::Verdict::Drop => {
                let reason = skb.nf.drop_reason();
                return ctx.drop((self.id, ifindex), skb, reason);
            }
            netfilter::Verdict::Redirected => {
                let after = ctx.delays.netfilter + ctx.delays.forward;
                self.ipvs_xmit(ctx, ifindex, after, skb);
                return;
            }
        }
        let frame = skb.frame.clone();
        let Payload::Ipv4(packet) = &frame.payload else {
            return ctx.drop((self.id, ifindex), skb, DropReason::IpInHdr);
        };
        if !matches!(&*packet.body, Body::Esp(_) | Body::Ipip(_))
            && let Err(reason) = self.xfrm_check(XfrmDirection::In, &skb)
        {
            return ctx.drop((self.id, ifindex), skb, reason);
        }
        let is_heard = self.raw_local_deliver(ctx, ifindex, packet);
        // Only what neither a protocol nor a socket takes is of an unknown one (`ip_protocol_deliver_rcu`).
        let is_unknown = matches!(&*packet.body, Body::Raw { .. }) && !is_heard;
        self.mib.inc(if is_unknown { Mib::IpInUnknownProtos } else { Mib::IpInDelivers });
        match &*packet.body {
            Body::Icmp(icmp) => self.icmp_rcv(ctx, ifindex, kind, (packet, icmp), skb),
            Body::Udp(udp) => {
                if let UdpPayload::Vxlan(vxlan) = &udp.payload
                    && let Some(tunnel) = self.vxlan_listening(udp.dst_port)
                {
                    self.mib.inc(Mib::UdpInDatagrams);
                    return self.vxlan_rcv(ctx, ifindex, tunnel, (packet, vxlan), skb);
                }
                self.udp_rcv(ctx, ifindex, kind, (packet, udp), skb);
            }
            Body::Tcp(tcp) => self.tcp_rcv(ctx, ifindex, kind, (packet, tcp), skb),
            Body::Ipip(inner) => self.ipip_rcv(ctx, ifindex, kind, (packet, inner), skb),
            Body::Gre(gre) => self.gre_rcv(ctx, ifindex, kind, (packet, gre), skb),
            Body::Esp(esp) => self.esp_rcv(ctx, ifindex, kind, (packet, esp), skb),
            Body::Igmp(_) | Body::Raw { .. } => {
                self.unclaimed(ctx, ifindex, kind, IcmpError::PROTOCOL_UNREACHABLE, skb);
            }
        }
    }

    /// Nobody listens for it.
    pub(super) fn unclaimed(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        error: IcmpError,
        skb: Skb,
    ) {
        if kind == PacketType::Host {
            self.icmp_send(ctx, ifindex, &skb, error);
        }
        ctx.drop((self.id, ifindex), skb, DropReason::NoSocket);
    }

    /// `ip_forward`.
    fn ip_forward(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        (route, recorded): (FibResult, Option<usize>),
        mut skb: Skb,
    ) {
        let at = (self.id, ifindex);
        if kind != PacketType::Host {
            return ctx.drop(at, skb, DropReason::OtherHost);
        }
        if let Err(reason) = self.xfrm_check(XfrmDirection::Forward, &skb) {
            return ctx.drop(at, skb, reason);
        }
        let Some(packet) = skb.frame.ipv4() else { return ctx.drop(at, skb, DropReason::IpInHdr) };
        if packet.ttl <= 1 {
            self.mib.inc(Mib::IpInHdrErrors);
            self.icmp_send(ctx, ifindex, &skb, IcmpError::TTL_EXCEEDED);
            return ctx.drop(at, skb, DropReason::TtlExceeded);
        }
        let Some(oif) = route.route.oif else { return ctx.drop(at, skb, DropReason::IpInNoRoutes) };
        let mtu = self.link(oif).map_or(0, |link| link.mtu);
        let mtu = self.xfrm_mtu(packet.src, packet.dst, mtu);
        let mtu = own_mtu(route.route.metrics, mtu, route.route.gateway.is_some());
        // A packet put together from fragments counts by its largest one (`ip_exceeds_mtu`).
        let size = if skb.frag_max > 0 { usize::from(skb.frag_max) } else { packet.wire_len() };
        if size > mtu as usize && packet.dont_fragment {
            self.mib.inc(Mib::IpFragFails);
            self.icmp_send(ctx, ifindex, &skb, IcmpError::frag_needed(mtu));
            return ctx.drop(at, skb, DropReason::PktTooBig);
        }
        let learnt = self.exception(ctx.now, packet.dst, &route).and_then(|row| row.gateway);
        let next_hop = learnt.or(route.route.gateway).unwrap_or(packet.dst);
        let redirects = self.deserves_redirect(ifindex, &skb, &route);
        // A packet that is passed on goes by what the route says, not by what was learnt of the path.
        let metrics = route.route.metrics;
        let mtu = if metrics.mtu_locked() { mtu } else { metrics.mtu };
        skb.dst = super::Dst { mtu, ..super::Dst::default() };
        if let Payload::Ipv4(packet) = &mut skb.frame_mut().payload {
            packet.ttl -= 1;
            self.ip_forward_options(packet, &route, recorded);
        }
        if redirects {
            self.ip_rt_send_redirect(ctx, ifindex, next_hop, &skb);
        }
        let state = HookState { hook: Hook::Forward, iif: ifindex, oif };
        if self.nf_hook(ctx, ifindex, state, &mut skb) == netfilter::Verdict::Drop {
            return ctx.drop(at, skb, DropReason::NetfilterDrop);
        }
        self.mib.inc(Mib::IpForwDatagrams);
        let after = ctx.delays.netfilter + ctx.delays.forward;
        self.ip_output(ctx, oif, next_hop, after, skb);
    }

    /// `icmp_rcv`.
    fn icmp_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        (packet, icmp): (&Ipv4, &Icmp),
        skb: Skb,
    ) {
        let at = (self.id, ifindex);
        self.mib.icmp_received(icmp.kind_and_code().0);
        match icmp {
            Icmp::EchoRequest { id, seq, data } => {
                let to_many = kind != PacketType::Host || self.is_for_many(packet.dst);
                let silent = to_many && self.sysctl.icmp_echo_ignore_broadcasts;
                if silent {
                    self.mib.inc(Mib::IcmpInErrors);
                }
                if !silent && !self.sysctl.icmp_echo_ignore_all {
                    let reply = Icmp::EchoReply { id: *id, seq: *seq, data: data.clone() };
                    self.icmp_reply(ctx, ifindex, packet, reply, &skb);
                }
                ctx.end(at, skb, Disposition::Consumed);
            }
            Icmp::EchoReply { id, seq, data } => self.ping_rcv(ctx, ifindex, packet, (*id, *seq, data), skb),
            Icmp::DestinationUnreachable { code, mtu, quote } => {
                let report =
                    IcmpReport { from: packet.src, ttl: packet.ttl, kind_and_code: (3, *code), mtu: *mtu };
                self.icmp_error_rcv(ctx, ifindex, report, quote, skb);
            }
            Icmp::TimeExceeded { code, quote } => {
                let report =
                    IcmpReport { from: packet.src, ttl: packet.ttl, kind_and_code: (11, *code), mtu: 0 };
                self.icmp_error_rcv(ctx, ifindex, report, quote, skb);
            }
            Icmp::Other { kind: 5, code: code @ 0..=3, rest, data } => {
                self.icmp_redirect(ctx, ifindex, packet.src, (*code, (*rest).into(), data), skb);
            }
            Icmp::Other { .. } => {
                ctx.end(at, skb, Disposition::Consumed);
            }
        }
    }
}
