//! IPv4 going out (`net/ipv4/ip_output.c`, `route.c`, `fib_semantics.c`): choosing route and source, hooks,
//! fragmentation, next hop.

use super::icmp::IcmpError;
use super::netfilter::{HookState, Verdict};
use super::rule::{FibKey, NO_TABLE, Traits};
use super::{Ctx, Errno, FibResult, Netns, Sender, Skb, Urgency, Work};
use crate::base::{ChangeId, Duration, IfIndex, Ipv4Addr, MacAddr};
use crate::trace::{AddrRow, DropReason, EventKind, Hook, Mib, RouteKind, RouteMetrics, Scope, Table};

/// Where a packet of this machine's own goes (`struct rtable` and `struct flowi4`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Way out.
    pub oif: IfIndex,
    /// The host to hand it to.
    pub next_hop: Ipv4Addr,
    /// Source address.
    pub src: Ipv4Addr,
    /// Path MTU in bytes.
    pub mtu: u32,
    /// Whether that MTU is locked (`ip_mtu_locked`).
    pub mtu_locked: bool,
    /// What its route says about connections.
    pub metrics: RouteMetrics,
    /// The deciding route's row in the trace.
    pub change: ChangeId,
    /// Whether it goes to everybody on the link.
    pub broadcast: bool,
}

/// The MTU that every gateway has to manage (RFC 791, "every internet destination must be able to receive").
const LEAST_MTU: u32 = 576;

/// The MTU of a route by a device of this MTU, before anything is learnt of the path (`ip_dst_mtu_maybe_forward`). Where it is
/// locked, but not said, it is one that any gateway manages.
pub(super) fn own_mtu(metrics: RouteMetrics, device_mtu: u32, uses_gateway: bool) -> u32 {
    match metrics.mtu {
        0 if metrics.mtu_locked() && uses_gateway => device_mtu.min(LEAST_MTU),
        0 => device_mtu,
        mtu => mtu.min(device_mtu),
    }
}

impl Netns {
    /// `ip_route_output_key`: the way to `dst`, from `src` if one is given, by `oif` if one is given.
    pub fn ip_route_output(
        &self,
        now: crate::base::SimTime,
        dst: Ipv4Addr,
        src: Option<Ipv4Addr>,
        oif: Option<IfIndex>,
    ) -> Result<Flow, Errno> {
        self.ip_route_output_flow(now, dst, (src, oif), Traits::default())
    }

    /// The same for a packet of which more is known, by which rules may choose another table (`ip_route_output_flow`).
    pub(super) fn ip_route_output_flow(
        &self,
        now: crate::base::SimTime,
        dst: Ipv4Addr,
        (src, oif): (Option<Ipv4Addr>, Option<IfIndex>),
        traits: Traits,
    ) -> Result<Flow, Errno> {
        // `__ip_dev_find`: whatever the table local says is this machine's own.
        if src.is_some_and(|src| self.fib.lookup_local(src) != Some(RouteKind::Local)) {
            return Err(Errno::Einval);
        }
        if dst.is_multicast() && oif.is_some() {
            // A group is on the link itself, whatever the default route says.
            return self.onlink_flow(dst, src, oif).map(|flow| Flow { broadcast: true, ..flow });
        }
        let key = FibKey { src: src.unwrap_or(Ipv4Addr::UNSPECIFIED), oif, traits, ..FibKey::towards(dst) };
        let Some(found) = self.fib_lookup(&key) else { return self.onlink_flow(dst, src, oif) };
        let route = found.route;
        match route.kind {
            RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast => {}
            RouteKind::Blackhole => return Err(Errno::Einval),
            RouteKind::Unreachable if route.table != NO_TABLE => return Err(Errno::Ehostunreach),
            RouteKind::Unreachable | RouteKind::Throw => return Err(Errno::Enetunreach),
            RouteKind::Prohibit => return Err(Errno::Eacces),
        }
        let to_many = route.kind == RouteKind::Broadcast || dst.is_broadcast() || dst.is_multicast();
        let local = route.kind == RouteKind::Local;
        let link_out = if local { IfIndex(1) } else { route.oif.ok_or(Errno::Enetunreach)? };
        let chosen = src.or_else(|| self.prefsrc(&found, dst)).ok_or(Errno::Enetunreach)?;
        let learnt = self.exception(now, dst, &found);
        // All hosts of the link are attached to it, whatever the route says.
        let gateway = learnt.and_then(|row| row.gateway).or(route.gateway).filter(|_| !to_many);
        let device_mtu = self.link(link_out).map_or(0, |link| link.mtu);
        let device_mtu = self.xfrm_mtu(chosen, dst, device_mtu);
        let own_mtu = own_mtu(route.metrics, device_mtu, route.gateway.is_some());
        // `__mkroute_output`: an address of this machine alone may not leave it.
        if chosen.is_loopback() && !local && !self.conf_or(link_out, |conf| conf.route_localnet) {
            return Err(Errno::Einval);
        }
        Ok(Flow {
            oif: link_out,
            next_hop: gateway.unwrap_or(dst),
            src: chosen,
            mtu: learnt.and_then(|row| row.mtu).map_or(own_mtu, |mtu| mtu.min(own_mtu)),
            mtu_locked: route.metrics.mtu_locked() || learnt.is_some_and(|row| row.locked),
            metrics: route.metrics,
            change: found.change,
            broadcast: to_many,
        })
    }

    /// With a device given and no route by it, the destination counts as attached to it (`ip_route_output_key_hash`,
    /// "Apparently, routing tables are wrong").
    fn onlink_flow(&self, dst: Ipv4Addr, src: Option<Ipv4Addr>, oif: Option<IfIndex>) -> Result<Flow, Errno> {
        let oif = oif.ok_or(Errno::Enetunreach)?;
        let mtu = self.link(oif).ok_or(Errno::Enodev)?.mtu;
        let src = src.or_else(|| self.inet_select_addr(oif, None, Scope::Link)).ok_or(Errno::Enetunreach)?;
        let metrics = RouteMetrics::default();
        let (change, broadcast) = (ChangeId::NONE, false);
        Ok(Flow { oif, next_hop: dst, src, mtu, mtu_locked: false, metrics, change, broadcast })
    }

    /// The time to live of a packet for which nobody chose one (`ip_select_ttl`): groups are not to leave the link.
    pub(super) fn default_ttl(&self, dst: Ipv4Addr) -> u8 {
        if dst.is_multicast() { 1 } else { self.sysctl.ip_default_ttl }
    }

    /// The source address that a route prefers (`fib_result_prefsrc`).
    pub(super) fn prefsrc(&self, found: &FibResult, dst: Ipv4Addr) -> Option<Ipv4Addr> {
        let route = &found.route;
        if route.kind == RouteKind::Local {
            return Some(if self.has_addr(dst) { dst } else { route.prefsrc.unwrap_or(dst) });
        }
        route.prefsrc.or_else(|| self.inet_select_addr(route.oif?, route.gateway, route.scope))
    }

    /// The address that a packet by `ifindex` gets (`inet_select_addr`).
    pub(super) fn inet_select_addr(
        &self,
        ifindex: IfIndex,
        towards: Option<Ipv4Addr>,
        scope: Scope,
    ) -> Option<Ipv4Addr> {
        let links = || self.links().map(|link| link.ifindex);
        AddrRow::select(&self.addrs, links, ifindex, (towards, scope))
    }

    /// Sends a packet of this machine's own (`ip_local_out`). Its frame still lacks Ethernet addresses.
    ///
    /// The error is what a system call hears of a packet that a rule dropped.
    pub(super) fn ip_local_out(
        &mut self,
        ctx: &mut Ctx<'_>,
        flow: &Flow,
        after: Duration,
        mut skb: Skb,
    ) -> Option<Errno> {
        let at = (self.id, flow.oif);
        ctx.note(at, &mut skb, EventKind::Decided(Table::Fib, flow.change));
        skb.dst.mtu = flow.mtu;
        self.mib.inc(Mib::IpOutRequests);
        let ends = |skb: &Skb| (skb.frame.ipv4().map(|packet| (packet.dst, packet.tos)), skb.nf.mark);
        let before = ends(&skb);
        let state = HookState { hook: Hook::Output, iif: IfIndex::NONE, oif: flow.oif };
        match self.nf_hook(ctx, flow.oif, state, &mut skb) {
            Verdict::Accept => {}
            Verdict::Drop => {
                ctx.drop(at, skb, DropReason::NetfilterDrop);
                return Some(Errno::Eperm);
            }
            // `NF_STOLEN`: what becomes of it, the sender does not hear.
            Verdict::Redirected => {
                self.ipvs_xmit(ctx, flow.oif, after, skb);
                return None;
            }
        }
        if flow.broadcast {
            return self.ip_mc_output(ctx, flow.oif, after, skb);
        }
        if ends(&skb) != before {
            return self.ip_route_me_harder(ctx, flow.oif, after, skb);
        }
        self.ip_output(ctx, flow.oif, flow.next_hop, after, skb)
    }

    /// The destination was translated, the packet marked, or its type of service changed: the way out is looked up again (`ip_route_me_harder`).
    fn ip_route_me_harder(
        &mut self,
        ctx: &mut Ctx<'_>,
        oif: IfIndex,
        after: Duration,
        mut skb: Skb,
    ) -> Option<Errno> {
        let (src, dst, tos) = skb.frame.ipv4().map(|packet| (packet.src, packet.dst, packet.tos))?;
        let uid = if let Sender::User(user) = skb.nf.sender { user.uid } else { 0 };
        let traits = Traits { mark: skb.nf.mark, tos, uid, ..Traits::default() };
        let own = (self.has_addr(src) || src.is_loopback()).then_some(src);
        match self.ip_route_output_flow(ctx.now, dst, (own, None), traits) {
            Ok(flow) => {
                ctx.note((self.id, flow.oif), &mut skb, EventKind::Decided(Table::Fib, flow.change));
                self.ip_output(ctx, flow.oif, flow.next_hop, after, skb)
            }
            Err(errno) => {
                ctx.drop((self.id, oif), skb, DropReason::IpOutNoRoutes);
                Some(errno)
            }
        }
    }

    /// `ip_output`, then `ip_finish_output`.
    pub(super) fn ip_output(
        &mut self,
        ctx: &mut Ctx<'_>,
        oif: IfIndex,
        next_hop: Ipv4Addr,
        after: Duration,
        mut skb: Skb,
    ) -> Option<Errno> {
        skb.dst.next_hop = Some(next_hop);
        let state = HookState { hook: Hook::Postrouting, iif: IfIndex::NONE, oif };
        if self.nf_hook(ctx, oif, state, &mut skb) == Verdict::Drop {
            let reason = skb.nf.drop_reason();
            ctx.drop((self.id, oif), skb, reason);
            return Some(Errno::Eperm);
        }
        let skb = self.xfrm_output(ctx, oif, skb)?;
        let Some(link) = self.link(oif) else {
            ctx.drop((self.id, oif), skb, DropReason::DevReady);
            return None;
        };
        let bare = link.is_raw_ip() || matches!(link.kind, super::Kind::Loopback);
        let (noarp, mac) = (link.is_noarp() && !self.has_neighbor(oif, next_hop), link.mac);
        if self.exceeds_path_mtu(oif, &skb) {
            self.mib.inc(Mib::IpFragFails);
            let mtu = self.dst_mtu(oif, &skb);
            self.icmp_send(ctx, oif, &skb, IcmpError::frag_needed(mtu));
            ctx.drop((self.id, oif), skb, DropReason::PktTooBig);
            return Some(Errno::Emsgsize);
        }
        self.refragment(ctx, oif, skb).each(|mut piece| {
            piece.dst.next_hop = Some(next_hop);
            self.count_transmit(&piece);
            if bare {
                ctx.later(after, Urgency::Now, Work::Transmit(oif, piece));
            } else if noarp {
                // `arp_constructor`: the device's own address stands for everybody's.
                let frame = piece.frame_mut();
                (frame.dst, frame.src) = (mac, mac);
                ctx.later(after, Urgency::Now, Work::Transmit(oif, piece));
            } else {
                self.neigh_output(ctx, oif, next_hop, after, piece);
            }
        });
        None
    }

    /// A packet, or a piece of one, goes to its device (`ip_finish_output2`).
    fn count_transmit(&mut self, skb: &Skb) {
        if let Some(packet) = skb.frame.ipv4() {
            self.mib.packet((Mib::IpOutTransmits, Mib::IpExtOutOctets), packet.wire_len());
        }
    }

    /// A system call finds no route (`IPSTATS_MIB_OUTNOROUTES`).
    pub(super) fn counted_route<T>(&mut self, found: Result<T, Errno>) -> Result<T, Errno> {
        if matches!(found, Err(Errno::Enetunreach)) {
            self.mib.inc(Mib::IpOutNoRoutes);
        }
        found
    }

    /// The path MTU by which a packet leaves (`ip_skb_dst_mtu`): for a packet of this machine's own what was learnt
    /// counts, for one that is passed on only the device's.
    pub(super) fn dst_mtu(&self, oif: IfIndex, skb: &Skb) -> u32 {
        let device = self.link(oif).map_or(0, |link| link.mtu);
        let device = match skb.frame.ipv4() {
            Some(packet) if !skb.dst.transformed => self.xfrm_mtu(packet.src, packet.dst, device),
            Some(_) | None => device,
        };
        if skb.dst.mtu == 0 { device } else { skb.dst.mtu.min(device) }
    }

    /// Whether a packet is too large for its way and must not be cut (`ip_fragment`).
    fn exceeds_path_mtu(&self, oif: IfIndex, skb: &Skb) -> bool {
        let Some(packet) = skb.frame.ipv4() else { return false };
        skb.frag_max == 0 && packet.dont_fragment && packet.wire_len() > self.dst_mtu(oif, skb) as usize
    }

    /// What goes to many (`ip_mc_output`): this machine hears it too, unless it goes to a group in which it is not, or
    /// its sender does not want to hear itself.
    fn ip_mc_output(
        &mut self,
        ctx: &mut Ctx<'_>,
        oif: IfIndex,
        after: Duration,
        mut skb: Skb,
    ) -> Option<Errno> {
        let group = skb.frame.ipv4().map(|packet| packet.dst).filter(Ipv4Addr::is_multicast);
        let state = HookState { hook: Hook::Postrouting, iif: IfIndex::NONE, oif };
        if group.is_none_or(|group| self.has_joined(oif, group) && !skb.dst.unheard) {
            let mut copy = ctx.copy(&skb);
            if self.nf_hook(ctx, oif, state, &mut copy) == Verdict::Drop {
                let reason = copy.nf.drop_reason();
                ctx.drop((self.id, oif), copy, reason);
            } else {
                copy.dst = super::Dst { delivered: true, ..super::Dst::default() };
                ctx.later(after, Urgency::Now, Work::Loopback(oif, copy));
            }
        }
        if self.nf_hook(ctx, oif, state, &mut skb) == Verdict::Drop {
            let reason = skb.nf.drop_reason();
            ctx.drop((self.id, oif), skb, reason);
            return Some(Errno::Eperm);
        }
        self.count_transmit(&skb);
        if let Some(packet) = skb.frame.ipv4() {
            let mib = if group.is_some() {
                (Mib::IpExtOutMcastPkts, Mib::IpExtOutMcastOctets)
            } else {
                (Mib::IpExtOutBcastPkts, Mib::IpExtOutBcastOctets)
            };
            self.mib.packet(mib, packet.wire_len());
        }
        let src = self.link(oif).map_or(MacAddr::ZERO, |link| link.mac);
        self.refragment(ctx, oif, skb).each(|mut piece| {
            let frame = piece.frame_mut();
            frame.dst = group.map_or(MacAddr::BROADCAST, MacAddr::of_group);
            frame.src = src;
            ctx.later(after, Urgency::Now, Work::Transmit(oif, piece));
        });
        None
    }
}
