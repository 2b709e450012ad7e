//! What is learnt about single destinations beside their routes (`struct fib_nh_exception`, `net/ipv4/route.c`): path
//! MTUs from "fragmentation needed" (RFC 1191) and better next hops from redirects (RFC 792, RFC 1122 section
//! 3.3.1.2); and the redirects that a router sends.

use super::icmp::{IcmpError, Quoted};
use super::rule::{FibKey, Traits};
use super::{Ctx, FibResult, Netns, PingMessage, Skb};
use crate::base::{ChangeId, Duration, EventId, IfIndex, Ipv4Addr, SimTime};
use crate::trace::{Disposition, DropReason, ExceptionRow, RouteKind, TableChange};
use crate::wire::Bytes;

/// How long a path MTU is remembered (`net.ipv4.route.mtu_expires`).
const MTU_EXPIRES: Duration = Duration::from_secs(600);
/// The smallest path MTU that is believed (`net.ipv4.route.min_pmtu`).
const MIN_PMTU: u32 = 552;
/// How long a redirect is remembered (`net.ipv4.route.gc_timeout`).
const REDIRECT_EXPIRES: Duration = Duration::from_secs(300);

/// An exception with the route that it belongs to: another route for that destination makes it void.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exception {
    row: ExceptionRow,
    /// The route; of one with several next hops the first.
    route: ChangeId,
    /// The next hop to which a redirect belongs.
    hop: ChangeId,
}

impl Netns {
    /// The exception for a destination, where one stands against the route that was found (`find_exception`). A path MTU
    /// counts for all next hops of the route, a better next hop for the one that it was reported of.
    pub(super) fn exception(&self, now: SimTime, dst: Ipv4Addr, found: &FibResult) -> Option<ExceptionRow> {
        let known = self.exceptions.get(&dst)?;
        let gateway = known.row.gateway.filter(|_| known.hop == found.change);
        let holds = known.route == self.first_hop(found) && now < known.row.expires;
        holds.then_some(ExceptionRow { gateway, ..known.row })
    }

    fn first_hop(&self, found: &FibResult) -> ChangeId {
        self.fib.legs(&found.route).first().map_or(found.change, |first| first.change)
    }

    /// Forgets what was learnt about destinations, as a write to `net.ipv4.route.flush` does (`rt_cache_flush`).
    pub fn flush_exceptions(&mut self, ctx: &mut Ctx<'_>) {
        for (_, Exception { mut row, .. }) in std::mem::take(&mut self.exceptions) {
            row.expires = row.expires.min(ctx.now);
            ctx.change(self.id, IfIndex::NONE, EventId::NONE, TableChange::Exception(row));
        }
    }

    /// `update_or_create_fnhe`.
    fn update_exception(
        &mut self,
        ctx: &mut Ctx<'_>,
        (src, dst): (Ipv4Addr, Ipv4Addr),
        cause: EventId,
        change: impl FnOnce(&mut ExceptionRow),
    ) {
        let Some(found) = self.fib_lookup(&FibKey { src, ..FibKey::towards(dst) }) else { return };
        let new =
            ExceptionRow { netns: self.id, dst, gateway: None, mtu: None, locked: false, expires: ctx.now };
        let mut row = self.exception(ctx.now, dst, &found).unwrap_or(new);
        change(&mut row);
        self.exceptions.insert(dst, Exception { row, route: self.first_hop(&found), hop: found.change });
        let at = found.route.oif.unwrap_or(IfIndex::NONE);
        ctx.change(self.id, at, cause, TableChange::Exception(row));
    }

    /// A path MTU was reported (`__ip_rt_update_pmtu`). One that is larger than what is known is not believed, nor one that
    /// is too small: packets leave as large as is believed then, and may be cut on their way.
    pub(super) fn update_pmtu(
        &mut self,
        ctx: &mut Ctx<'_>,
        (src, dst): (Ipv4Addr, Ipv4Addr),
        mtu: u16,
        cause: EventId,
    ) {
        let own = self.has_addr(src).then_some(src);
        let Ok(flow) = self.ip_route_output(ctx.now, dst, own, None) else { return };
        let (mtu, expires) = (u32::from(mtu), ctx.now + MTU_EXPIRES);
        if flow.mtu_locked || flow.mtu < mtu {
            return;
        }
        self.update_exception(ctx, (src, dst), cause, |row| {
            row.mtu = Some(mtu.max(MIN_PMTU.min(flow.mtu)));
            row.locked = mtu < MIN_PMTU;
            row.expires = expires;
        });
    }

    /// A redirect arrived: the routing hears of it, and so does the ping socket whose request it quotes (`icmp_redirect`).
    pub(super) fn icmp_redirect(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        from: Ipv4Addr,
        (code, gateway, quote): (u8, Ipv4Addr, &Bytes),
        skb: Skb,
    ) {
        let Some(quoted) = Quoted::read(quote) else {
            return ctx.drop((self.id, ifindex), skb, DropReason::IpInHdr);
        };
        self.redirect_rcv(ctx, ifindex, (from, gateway), &quoted, skb.cause);
        let is_ping = quoted.protocol == 1 && quoted.echo_request;
        let message = PingMessage::Redirect { from, code, gateway, seq: quoted.seq };
        let socket = is_ping.then(|| self.ping_deliver(ctx, quoted.id, message)).flatten();
        let end = socket.map_or(Disposition::Consumed, Disposition::Delivered);
        ctx.end((self.id, ifindex), skb, end);
    }

    /// A router says that there is a better next hop (`__ip_do_redirect`). It is believed from the next hop that was
    /// used alone, on the interface that leads there, and once the new one's hardware address is known.
    fn redirect_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        (old, new): (Ipv4Addr, Ipv4Addr),
        quoted: &Quoted,
        cause: EventId,
    ) {
        let key = FibKey { src: quoted.src, ..FibKey::towards(quoted.dst) };
        let Some(found) = self.fib_lookup(&key) else { return };
        let current = self.exception(ctx.now, quoted.dst, &found).and_then(|row| row.gateway);
        let uses_old = current.or(found.route.gateway) == Some(old) && found.route.oif == Some(ifindex);
        if !uses_old || new == old || !self.accepts_redirects(ifindex) || !self.may_be_next_hop(ifindex, new)
        {
            return;
        }
        if !self.neigh_ask(ctx, (ifindex, new), cause) {
            return;
        }
        let expires = ctx.now + REDIRECT_EXPIRES;
        self.update_exception(ctx, (quoted.src, quoted.dst), cause, |row| {
            row.gateway = Some(new);
            row.expires = expires;
        });
    }

    /// On a shared medium any host will do, else one in a network of the interface.
    fn may_be_next_hop(&self, ifindex: IfIndex, new: Ipv4Addr) -> bool {
        if new.is_multicast() || new.is_broadcast() || new.octets()[0] == 0 {
            return false;
        }
        if self.conf_or(ifindex, |conf| conf.shared_media) {
            return self.route_towards(new).is_none_or(|found| found.route.kind == RouteKind::Unicast);
        }
        let onlink = self.addrs.iter().any(|row| row.ifindex == ifindex && row.network().contains(&new));
        let secure = self.conf_or(ifindex, |conf| conf.secure_redirects);
        let of_default = |row: &crate::trace::RouteRow| row.dst.prefix_len() == 0 && row.gateway == Some(new);
        onlink && (!secure || self.fib.routes().any(of_default))
    }

    /// Whether a packet goes out where it came in although its sender could have reached the next hop by itself
    /// (`__mkroute_input`, `IPSKB_DOREDIRECT`).
    pub(super) fn deserves_redirect(&self, ifindex: IfIndex, skb: &Skb, route: &FibResult) -> bool {
        let Some(packet) = skb.frame.ipv4() else { return false };
        let src = packet.src;
        if route.route.oif != Some(ifindex) || !self.conf_or(ifindex, |conf| conf.send_redirects) {
            return false;
        }
        let traits = Traits::of_incoming(packet, skb.nf.mark, skb.hash).back();
        let key = FibKey { src: packet.dst, traits, ..FibKey::towards(src) };
        let back = self.fib_find(&key).filter(|back| self.fib_uses_dev(&back.route, ifindex));
        let back = back.or_else(|| self.fib_find(&FibKey { oif: Some(ifindex), ..key }));
        let attached =
            back.is_some_and(|back| back.route.kind == RouteKind::Unicast && back.route.gateway.is_none());
        let gateway = route.route.gateway.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let of_one_net =
            |row: &&crate::trace::AddrRow| row.ifindex == ifindex && row.network().contains(&src);
        let onlink =
            || self.addrs.iter().find(of_one_net).is_some_and(|row| row.network().contains(&gateway));
        attached && (self.conf_or(ifindex, |conf| conf.shared_media) || onlink())
    }

    /// Tells the sender of a better way, less and less often (`ip_rt_send_redirect`). Its bookkeeping shares the bucket
    /// of the peer's ICMP errors, so a redirect may cost an error that comes soon after it.
    pub(super) fn ip_rt_send_redirect(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        next_hop: Ipv4Addr,
        skb: &Skb,
    ) {
        let Some(src) = skb.frame.ipv4().map(|packet| packet.src) else { return };
        if self.limits.may_redirect(src, ctx.now) {
            self.icmp_send(ctx, ifindex, skb, IcmpError::redirect(next_hop));
            self.limits.redirected(src, ctx.now);
        }
    }
}
