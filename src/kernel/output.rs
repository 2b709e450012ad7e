//! IPv4 going out (`net/ipv4/ip_output.c`, `route.c`, `fib_semantics.c`): choosing route and source, hooks,
//! fragmentation, next hop.

use super::icmp::IcmpError;
use super::{Ctx, Errno, FibResult, Netns, Skb, Urgency, Work};
use crate::base::{ChangeId, Duration, IfIndex, Ipv4Addr, MacAddr};
use crate::trace::{DropReason, EventKind, Hook, RouteKind, Scope, Table};

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
    /// The deciding route's row in the trace.
    pub change: ChangeId,
    /// Whether it goes to everybody on the link.
    pub broadcast: bool,
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
        if src.is_some_and(|src| !self.has_addr(src) && !src.is_loopback()) {
            return Err(Errno::Einval);
        }
        let Some(found) = self.lookup_out(dst, oif) else { return self.onlink_flow(dst, src, oif) };
        let route = found.route;
        match route.kind {
            RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast => {}
            RouteKind::Blackhole => return Err(Errno::Einval),
            RouteKind::Unreachable => return Err(Errno::Ehostunreach),
            RouteKind::Prohibit => return Err(Errno::Eacces),
        }
        let local = route.kind == RouteKind::Local;
        let link_out = if local { IfIndex(1) } else { route.oif.ok_or(Errno::Enetunreach)? };
        let chosen = src.or_else(|| self.prefsrc(&found, dst)).ok_or(Errno::Enetunreach)?;
        // `__mkroute_output`: an address of this machine alone may not leave it.
        if chosen.is_loopback() && !local && !self.sysctl.route_localnet {
            return Err(Errno::Einval);
        }
        Ok(Flow {
            oif: link_out,
            next_hop: route.gateway.unwrap_or(dst),
            src: chosen,
            mtu: self.path_mtu(now, dst, link_out),
            change: found.change,
            broadcast: route.kind == RouteKind::Broadcast || dst.is_broadcast(),
        })
    }

    /// A socket bound to a device looks only at routes by that device, except towards this machine itself.
    fn lookup_out(&self, dst: Ipv4Addr, oif: Option<IfIndex>) -> Option<FibResult> {
        let found = self.fib.lookup(dst)?;
        match oif {
            Some(oif) if found.route.kind != RouteKind::Local && found.route.oif != Some(oif) => {
                self.fib.lookup_by(dst, oif)
            }
            _ => Some(found),
        }
    }

    /// With a device given and no route by it, the destination counts as attached to it (`ip_route_output_key_hash`,
    /// "Apparently, routing tables are wrong").
    fn onlink_flow(&self, dst: Ipv4Addr, src: Option<Ipv4Addr>, oif: Option<IfIndex>) -> Result<Flow, Errno> {
        let oif = oif.ok_or(Errno::Enetunreach)?;
        let mtu = self.link(oif).ok_or(Errno::Enodev)?.mtu;
        let src = src.or_else(|| self.inet_select_addr(oif, None)).ok_or(Errno::Enetunreach)?;
        Ok(Flow { oif, next_hop: dst, src, mtu, change: ChangeId::NONE, broadcast: false })
    }

    fn path_mtu(&self, now: crate::base::SimTime, dst: Ipv4Addr, oif: IfIndex) -> u32 {
        let device = self.link(oif).map_or(0, |link| link.mtu);
        match self.pmtu.get(&dst) {
            Some(&(mtu, expires)) if now < expires => mtu.min(device),
            Some(_) | None => device,
        }
    }

    /// The source address that a route prefers (`fib_result_prefsrc`).
    fn prefsrc(&self, found: &FibResult, dst: Ipv4Addr) -> Option<Ipv4Addr> {
        let route = &found.route;
        if route.kind == RouteKind::Local {
            return Some(if self.has_addr(dst) { dst } else { route.prefsrc.unwrap_or(dst) });
        }
        route.prefsrc.or_else(|| self.inet_select_addr(route.oif?, route.gateway))
    }

    /// The address of `ifindex` that shares a network with `towards`, else its first one, else the first of any
    /// other interface (`inet_select_addr`, `man 8 ip-route`, "src").
    pub(super) fn inet_select_addr(&self, ifindex: IfIndex, towards: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        let usable = || self.addrs.iter().filter(|row| row.scope != Scope::Host);
        let here = || usable().filter(|row| row.ifindex == ifindex);
        let matching = towards.and_then(|dst| here().find(|row| row.addr.contains(&dst)));
        let elsewhere = || usable().find(|row| row.ifindex != ifindex);
        matching.or_else(|| here().next()).or_else(elsewhere).map(|row| row.addr.addr())
    }

    /// Sends a packet of this machine's own (`ip_local_out`). Its frame still lacks Ethernet addresses.
    pub(super) fn ip_local_out(&mut self, ctx: &mut Ctx<'_>, flow: &Flow, after: Duration, mut skb: Skb) {
        let at = (self.id, flow.oif);
        ctx.note(at, &mut skb, EventKind::Decided(Table::Fib, flow.change));
        skb.dst.mtu = flow.mtu;
        ctx.note(at, &mut skb, EventKind::Passed(Hook::Output));
        if flow.broadcast {
            return self.ip_mc_output(ctx, flow.oif, after, skb);
        }
        self.ip_output(ctx, flow.oif, flow.next_hop, after, skb);
    }

    /// `ip_output`, then `ip_finish_output`.
    pub(super) fn ip_output(
        &mut self,
        ctx: &mut Ctx<'_>,
        oif: IfIndex,
        next_hop: Ipv4Addr,
        after: Duration,
        mut skb: Skb,
    ) {
        ctx.note((self.id, oif), &mut skb, EventKind::Passed(Hook::Postrouting));
        let Some(link) = self.link(oif) else { return ctx.drop((self.id, oif), skb, DropReason::DevReady) };
        let bare = link.is_raw_ip() || matches!(link.kind, super::Kind::Loopback);
        let (noarp, mac) = (link.is_noarp(), link.mac);
        if self.exceeds_path_mtu(oif, &skb) {
            let mtu = self.dst_mtu(oif, &skb);
            self.icmp_send(ctx, oif, &skb, IcmpError::frag_needed(mtu));
            return ctx.drop((self.id, oif), skb, DropReason::PktTooBig);
        }
        for mut piece in self.refragment(ctx, oif, skb) {
            piece.dst.next_hop = Some(next_hop);
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
        }
    }

    /// The path MTU by which a packet leaves (`ip_skb_dst_mtu`): for a packet of this machine's own what was learnt
    /// counts, for one that is passed on only the device's.
    pub(super) fn dst_mtu(&self, oif: IfIndex, skb: &Skb) -> u32 {
        let device = self.link(oif).map_or(0, |link| link.mtu);
        if skb.dst.mtu == 0 { device } else { skb.dst.mtu.min(device) }
    }

    /// Whether a packet is too large for its way and must not be cut (`ip_fragment`).
    fn exceeds_path_mtu(&self, oif: IfIndex, skb: &Skb) -> bool {
        let Some(packet) = skb.frame.ipv4() else { return false };
        skb.frag_max == 0 && packet.dont_fragment && packet.wire_len() > self.dst_mtu(oif, skb) as usize
    }

    fn ip_mc_output(&mut self, ctx: &mut Ctx<'_>, oif: IfIndex, after: Duration, mut skb: Skb) {
        ctx.note((self.id, oif), &mut skb, EventKind::Passed(Hook::Postrouting));
        let src = self.link(oif).map_or(MacAddr::ZERO, |link| link.mac);
        let frame = skb.frame_mut();
        frame.dst = MacAddr::BROADCAST;
        frame.src = src;
        ctx.later(after, Urgency::Now, Work::Transmit(oif, skb));
    }
}
