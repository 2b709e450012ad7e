//! Routes that come and go with addresses (`fib_add_ifaddr`, `fib_del_ifaddr` in `net/ipv4/fib_frontend.c`).

use super::fib::{LOCAL, MAIN, Place};
use super::{Ctx, Kind, Netns};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net};
use crate::trace::{AddrRow, RouteKind, RouteMetrics, RouteProtocol, RouteRow, Scope, TableChange};

/// Which of an address's routes another address needs as well.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of the kernel's under its own name")]
struct Needed {
    /// `LOCAL_OK`.
    local: bool,
    /// `BRD_OK`: its own broadcast address.
    broadcast: bool,
    /// `BRD1_OK`: the last address of its network.
    last: bool,
    /// `BRD0_OK`: the first one.
    first: bool,
}

impl Netns {
    /// Adds the routes of an address, or of all that a link needs when it comes up.
    pub(super) fn add_addr_routes(&mut self, ctx: &mut Ctx<'_>, row: &AddrRow) {
        let primary = self.primary_of(row);
        self.put_new(ctx, magic(&primary, RouteKind::Local, host(row.addr.addr())));
        if !self.link(row.ifindex).is_some_and(|link| link.up) {
            return;
        }
        if let Some(dst) = row.broadcast.filter(|addr| !addr.is_broadcast()) {
            self.put_new(ctx, magic(&primary, RouteKind::Broadcast, host(dst)));
        }
        if row.secondary || !has_prefix_routes(row) {
            return;
        }
        if !row.no_prefix_route {
            let metric = row.metric;
            self.put_new(ctx, RouteRow { metric, ..self.prefix_route(row) });
        }
        if row.addr.prefix_len() < 31 {
            self.put_new(ctx, magic(&primary, RouteKind::Broadcast, host(row.network().broadcast())));
        }
    }

    /// Removes the routes of an address unless others need them. `leaving` is its primary, where that goes and one of its
    /// secondaries is to take its place.
    pub(super) fn del_addr_routes(&mut self, ctx: &mut Ctx<'_>, row: &AddrRow, leaving: Option<&AddrRow>) {
        let primary = leaving.cloned().unwrap_or_else(|| self.primary_of(row));
        let of_network = !row.secondary && has_prefix_routes(row);
        if of_network && !row.no_prefix_route {
            self.del_magic(ctx, &self.prefix_route(row));
        }
        let needed = self.needed(row, &primary, leaving);
        let broadcast = |dst| magic(&primary, RouteKind::Broadcast, host(dst));
        if let Some(dst) = row.broadcast.filter(|_| !needed.broadcast) {
            self.del_magic(ctx, &broadcast(dst));
        }
        if of_network && row.addr.prefix_len() < 31 {
            let net = row.network();
            for (dst, kept) in [(net.broadcast(), needed.last), (net.network(), needed.first)] {
                if !kept {
                    self.del_magic(ctx, &broadcast(dst));
                }
            }
        }
        let local = row.addr.addr();
        if needed.local {
            return;
        }
        self.del_magic(ctx, &magic(&primary, RouteKind::Local, host(local)));
        if leaving.is_none() && self.fib.lookup_local(local) != Some(RouteKind::Local) {
            self.drop_routes_from(ctx, row.ifindex, &[local]);
        }
    }

    /// With an address go the routes of the table main that prefer it as their source (`fib_sync_down_addr`); those of
    /// other tables stay.
    pub(super) fn drop_routes_from(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, gone: &[Ipv4Addr]) {
        self.drop_routes(ctx, ifindex, |route| {
            route.table == MAIN && route.prefsrc.is_some_and(|source| gone.contains(&source))
        });
    }

    /// Moves the route to an address's network to another metric (`fib_modify_prefix_metric`).
    pub(super) fn change_prefix_metric(&mut self, ctx: &mut Ctx<'_>, row: &AddrRow, metric: u32) {
        let up = self.link(row.ifindex).is_some_and(|link| link.up);
        if up && !row.secondary && !row.no_prefix_route && has_prefix_routes(row) {
            let route = self.prefix_route(row);
            self.put_new(ctx, RouteRow { metric, ..route });
            self.del_magic(ctx, &RouteRow { metric: row.metric, ..route });
        }
    }

    /// The route to an address's network; the whole network of an address on `lo` is this machine's own.
    fn prefix_route(&self, row: &AddrRow) -> RouteRow {
        let loopback = self.link(row.ifindex).is_some_and(|link| matches!(link.kind, Kind::Loopback));
        magic(row, if loopback { RouteKind::Local } else { RouteKind::Unicast }, row.network())
    }

    /// The primary of an address's network, which may be the address itself (`inet_ifa_byprefix`).
    fn primary_of(&self, row: &AddrRow) -> AddrRow {
        let of_net = |other: &&AddrRow| !other.secondary && other.is_of_one_network(row);
        let primary = self.addrs.iter().find(of_net).filter(|_| row.secondary);
        primary.unwrap_or(row).clone()
    }

    /// What the addresses that stay need of `row`'s routes, whose source is `primary`.
    fn needed(&self, row: &AddrRow, primary: &AddrRow, leaving: Option<&AddrRow>) -> Needed {
        let mut needed = Needed::default();
        let net = row.network();
        let here = || self.addrs.iter().filter(|other| other.ifindex == row.ifindex && !other.is_same(row));
        for other in here() {
            if leaving.is_some_and(|leaving| leaving.is_of_one_network(other)) {
                continue;
            }
            // What has another source does not share routes.
            if self.primary_of(other).addr.addr() != primary.addr.addr() {
                continue;
            }
            needed.local |= other.addr.addr() == row.addr.addr();
            needed.broadcast |= other.broadcast == row.broadcast;
            needed.last |= other.broadcast == Some(net.broadcast());
            needed.first |= other.broadcast == Some(net.network());
            let theirs = other.network();
            if !other.secondary && other.addr.prefix_len() < 31 && theirs.addr().octets()[0] != 0 {
                let ends = [theirs.broadcast(), theirs.network()];
                needed.broadcast |= row.broadcast.is_some_and(|addr| ends.contains(&addr));
                needed.last |= ends.contains(&net.broadcast());
                needed.first |= ends.contains(&net.network());
            }
        }
        needed
    }

    /// Takes out the first route like this one; a metric of 0 stands for any (`fib_magic` with `RTM_DELROUTE`).
    fn del_magic(&mut self, ctx: &mut Ctx<'_>, like: &RouteRow) {
        let fits = |route: &&RouteRow| {
            (like.metric == 0 || route.metric == like.metric)
                && RouteRow { metric: like.metric, metrics: like.metrics, ..**route } == *like
        };
        let found = self.fib.routes().find(fits).copied();
        if let Some(found) = found {
            self.drop_routes(ctx, like.oif.unwrap_or(IfIndex::NONE), |route| *route == found);
        }
    }

    /// Takes routes out and writes that down.
    pub(super) fn drop_routes(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        goes: impl Fn(&RouteRow) -> bool,
    ) {
        for route in self.fib.remove(goes) {
            ctx.change(self.id, ifindex, crate::base::EventId::NONE, TableChange::RouteGone(route));
        }
    }

    /// Adds a route unless the very same one is there.
    fn put_new(&mut self, ctx: &mut Ctx<'_>, route: RouteRow) {
        if !self.fib.has(&route) {
            self.put_route(ctx, route, Place::Last);
        }
    }
}

/// Whether an address has a network that routes lead to.
fn has_prefix_routes(row: &AddrRow) -> bool {
    let net = row.network();
    let single = row.addr.prefix_len() == 32 && net.addr() == row.addr.addr();
    net.addr().octets()[0] != 0 && !net.addr().is_multicast() && !single
}

/// A route of the kernel's own, whose source is an address (`fib_magic`).
fn magic(source: &AddrRow, kind: RouteKind, dst: Ipv4Net) -> RouteRow {
    RouteRow {
        netns: source.netns,
        table: if kind == RouteKind::Unicast { MAIN } else { LOCAL },
        dst,
        kind,
        gateway: None,
        oif: Some(source.ifindex),
        prefsrc: Some(source.addr.addr()),
        metric: 0,
        scope: if kind == RouteKind::Local { Scope::Host } else { Scope::Link },
        protocol: RouteProtocol::Kernel,
        onlink: false,
        metrics: RouteMetrics::default(),
        tos: 0,
        nhid: 0,
        leg: None,
    }
}

fn host(addr: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(addr, 32)
}
