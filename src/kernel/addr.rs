//! Addresses and the routes that come and go with them (`net/ipv4/devinet.c`, `fib_frontend.c`). Secondaries go with
//! their primary, unless `promote_secondaries` has one take its place.

use super::fib::{LOCAL, MAIN};
use super::{Ctx, Kind, Netns};
use crate::base::{EventId, IfIndex, Ipv4Addr, Ipv4Net};
use crate::trace::{AddrRow, RouteKind, RouteProtocol, RouteRow, Scope, TableChange};

impl Netns {
    /// Adds an address, with its routes in the tables local and main (`fib_add_ifaddr`).
    pub fn add_addr(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        addr: Ipv4Net,
        broadcast: Option<Ipv4Addr>,
        scope: Scope,
    ) {
        let row = AddrRow { netns: self.id, ifindex, addr, broadcast, scope };
        self.addrs.insert(row.place_among(&self.addrs), row);
        ctx.change(self.id, ifindex, EventId::NONE, TableChange::Addr(row));
        self.add_addr_routes(ctx, &row);
    }

    /// Removes an address with its routes (`inet_del_ifa`, `fib_del_ifaddr`): routes that prefer it as their source go
    /// too, and with the last address every route of the link.
    pub fn del_addr(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, addr: Ipv4Net) {
        let Some(gone) = self.addrs.iter().position(|row| row.ifindex == ifindex && row.addr == addr) else {
            return;
        };
        let secondaries: Vec<Ipv4Net> = match self.primary_of(&self.addrs[gone]) {
            Some(_) => Vec::new(),
            // A secondary takes its place (`promote_secondaries`).
            None if self.conf_or(ifindex, |conf| conf.promote_secondaries) => Vec::new(),
            None => self.secondaries_of(&self.addrs[gone]),
        };
        for secondary in secondaries {
            self.del_addr(ctx, ifindex, secondary);
        }
        self.addrs.retain(|row| row.ifindex != ifindex || row.addr != addr);
        self.flush_masquerade(ctx, ifindex, Some(addr.addr()));
        ctx.change(self.id, ifindex, EventId::NONE, TableChange::AddrGone(self.id, ifindex, addr));
        let local = addr.addr();
        let still_ours = self.has_addr(local);
        self.drop_routes(ctx, ifindex, |route| {
            let of_address =
                route.kind == RouteKind::Local && route.dst.addr() == local && route.dst.prefix_len() == 32;
            !still_ours && (route.prefsrc == Some(local) || of_address)
        });
        let promoted = |row: &&AddrRow| row.ifindex == ifindex && row.addr.trunc() == addr.trunc();
        let promoted: Vec<AddrRow> = self.addrs.iter().filter(promoted).copied().collect();
        for row in promoted {
            self.add_addr_routes(ctx, &row);
        }
        if !self.addrs.iter().any(|row| row.ifindex == ifindex) {
            // `fib_disable_ip`: without an address the interface speaks no IP, and knows nobody.
            self.drop_routes(ctx, ifindex, |route| route.oif == Some(ifindex));
            self.flush_neighbors(ctx, ifindex);
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
            ctx.change(self.id, ifindex, EventId::NONE, TableChange::RouteGone(route));
        }
    }

    /// The primary of a secondary address: the first address of the same network on the same link
    /// (`inet_ifa_byprefix`). `None` for a primary.
    pub(super) fn primary_of(&self, row: &AddrRow) -> Option<Ipv4Addr> {
        let first = self.addrs.iter().find(|other| is_of_one_network(other, row))?;
        (first.addr != row.addr).then(|| first.addr.addr())
    }

    fn secondaries_of(&self, primary: &AddrRow) -> Vec<Ipv4Net> {
        let others =
            self.addrs.iter().filter(|row| is_of_one_network(row, primary) && row.addr != primary.addr);
        others.map(|row| row.addr).collect()
    }

    pub(super) fn add_addr_routes(&mut self, ctx: &mut Ctx<'_>, row: &AddrRow) {
        let addr = row.addr.addr();
        let primary = self.primary_of(row);
        let base = RouteRow {
            netns: self.id,
            table: LOCAL,
            dst: host(addr),
            kind: RouteKind::Local,
            gateway: None,
            oif: Some(row.ifindex),
            prefsrc: Some(primary.unwrap_or(addr)),
            metric: 0,
            scope: Scope::Host,
            protocol: RouteProtocol::Kernel,
            onlink: false,
            metrics: crate::trace::RouteMetrics::default(),
        };
        self.put_new(ctx, base);
        if !self.link(row.ifindex).is_some_and(|link| link.up) {
            return;
        }
        let broadcast =
            |dst| RouteRow { dst: host(dst), kind: RouteKind::Broadcast, scope: Scope::Link, ..base };
        if let Some(dst) = row.broadcast {
            self.put_new(ctx, broadcast(dst));
        }
        if primary.is_some() || row.addr.prefix_len() == 32 {
            return;
        }
        let net = row.addr.trunc();
        // The whole network of an address on `lo` is this machine's own (`fib_add_ifaddr`).
        if self.link(row.ifindex).is_some_and(|link| matches!(link.kind, Kind::Loopback)) {
            self.put_new(ctx, RouteRow { dst: net, ..base });
        } else {
            let scope = Scope::Link;
            self.put_new(ctx, RouteRow { dst: net, table: MAIN, kind: RouteKind::Unicast, scope, ..base });
        }
        if row.addr.prefix_len() < 31 {
            self.put_new(ctx, broadcast(row.addr.broadcast()));
        }
    }

    /// Adds a route unless the very same one is there.
    fn put_new(&mut self, ctx: &mut Ctx<'_>, route: RouteRow) {
        if !self.fib.has(&route) {
            self.put_route(ctx, route);
        }
    }
}

fn is_of_one_network(a: &AddrRow, b: &AddrRow) -> bool {
    a.ifindex == b.ifindex && a.addr.trunc() == b.addr.trunc()
}

/// A host route's prefix.
fn host(addr: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(addr, 32)
}
