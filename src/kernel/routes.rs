//! Routes that come and go (`fib_table_insert`, `fib_table_delete` in `net/ipv4/fib_trie.c`).

use super::fib::{MAIN, Place};
use super::{Ctx, FibResult, Netns};
use crate::base::{EventId, IfIndex, Ipv4Addr, Ipv4Net};
use crate::trace::{RouteKind, RouteMetrics, RouteProtocol, RouteRow, Scope, TableChange};

impl Netns {
    /// Adds a route (`ip route add`). Returns `false` where one with that destination and metric is there already
    /// (`EEXIST`).
    pub fn add_route(&mut self, ctx: &mut Ctx<'_>, route: RouteRow) -> bool {
        if self.fib.same(&route).is_some() {
            return false;
        }
        self.put_route(ctx, route, Place::Last);
        true
    }

    /// Adds a route behind others of its destination and metric (`ip route append`), unless the very same one is there.
    pub fn append_route(&mut self, ctx: &mut Ctx<'_>, route: RouteRow) {
        if !self.fib.has(&route) {
            self.put_route(ctx, route, Place::Last);
        }
    }

    /// Adds a route before others of its destination and metric (`ip route prepend`), unless the very same one is there.
    pub fn prepend_route(&mut self, ctx: &mut Ctx<'_>, route: RouteRow) {
        if !self.fib.has(&route) {
            self.put_route(ctx, route, Place::First);
        }
    }

    /// Puts a route in the place of the first of its table, destination and metric (`ip route replace`), unless the very
    /// same one is there.
    pub fn replace_route(&mut self, ctx: &mut Ctx<'_>, route: RouteRow) {
        if self.fib.has(&route) {
            return;
        }
        if let Some(old) = self.fib.same(&route) {
            self.del_routes(ctx, |other| *other == old.route);
        }
        self.put_route(ctx, route, Place::First);
    }

    pub(super) fn put_route(&mut self, ctx: &mut Ctx<'_>, route: RouteRow, place: Place) {
        let at = route.oif.unwrap_or(IfIndex::NONE);
        let change = match place {
            Place::First if self.fib.same(&route).is_some() => TableChange::RouteBefore(route),
            Place::First | Place::Last => TableChange::Route(route),
        };
        let change = ctx.change(self.id, at, EventId::NONE, change);
        self.fib.insert(FibResult { route, change }, place);
    }

    /// Removes routes (`ip route del`); returns how many went.
    pub fn del_routes(&mut self, ctx: &mut Ctx<'_>, goes: impl Fn(&RouteRow) -> bool) -> usize {
        let gone = self.fib.remove(goes);
        for &route in &gone {
            let at = route.oif.unwrap_or(IfIndex::NONE);
            ctx.change(self.id, at, EventId::NONE, TableChange::RouteGone(route));
        }
        gone.len()
    }

    /// A plain route of the table main, as `ip route add DST [via GATEWAY] dev IFNAME` makes it.
    pub fn route_to(&self, dst: Ipv4Net, gateway: Option<Ipv4Addr>, oif: IfIndex) -> RouteRow {
        RouteRow {
            netns: self.id,
            table: MAIN,
            dst,
            kind: RouteKind::Unicast,
            gateway,
            oif: Some(oif),
            prefsrc: None,
            metric: 0,
            scope: if gateway.is_some() { Scope::Global } else { Scope::Link },
            protocol: RouteProtocol::Boot,
            onlink: false,
            metrics: RouteMetrics::default(),
        }
    }
}
