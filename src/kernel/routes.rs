//! Routes that come and go (`fib_table_insert`, `fib_table_delete` in `net/ipv4/fib_trie.c`).

use super::fib::{MAIN, Place};
use super::{Ctx, FibResult, Netns};
use crate::base::{EventId, IfIndex, Ipv4Addr, Ipv4Net};
use crate::trace::{Leg, RouteKind, RouteMetrics, RouteProtocol, RouteRow, Scope, TableChange};

impl Netns {
    /// Adds a route (`ip route add`). Returns `false` where one with that destination and metric is there already
    /// (`EEXIST`).
    pub fn add_route(&mut self, ctx: &mut Ctx<'_>, route: RouteRow) -> bool {
        self.add_rows(ctx, &[route])
    }

    /// The same for a route of one or several next hops, a row for each.
    pub fn add_rows(&mut self, ctx: &mut Ctx<'_>, rows: &[RouteRow]) -> bool {
        let is_new = rows.first().is_some_and(|route| self.fib.same(route).is_none());
        if is_new {
            self.put_rows(ctx, rows, Place::Last);
        }
        is_new
    }

    /// Adds a route behind others of its destination and metric (`ip route append`), unless the very same one is there.
    pub fn append_rows(&mut self, ctx: &mut Ctx<'_>, rows: &[RouteRow]) {
        if !self.fib.has_rows(rows) {
            self.put_rows(ctx, rows, Place::Last);
        }
    }

    /// Adds a route before others of its destination and metric (`ip route prepend`), unless the very same one is there.
    pub fn prepend_rows(&mut self, ctx: &mut Ctx<'_>, rows: &[RouteRow]) {
        if !self.fib.has_rows(rows) {
            self.put_rows(ctx, rows, Place::First);
        }
    }

    /// Puts a route in the place of the first of its table, destination and metric (`ip route replace`), unless the very
    /// same one is there.
    pub fn replace_rows(&mut self, ctx: &mut Ctx<'_>, rows: &[RouteRow]) {
        if self.fib.has_rows(rows) {
            return;
        }
        if let Some(old) = rows.first().and_then(|route| self.fib.same(route)) {
            self.del_routes(ctx, |other| other.is_beside(&old.route));
        }
        self.put_rows(ctx, rows, Place::First);
    }

    /// The rows of a route keep their order, wherever it goes; those of several next hops get its number.
    pub(super) fn put_rows(&mut self, ctx: &mut Ctx<'_>, rows: &[RouteRow], place: Place) {
        let Some(first) = rows.first() else { return };
        let place = if self.fib.same(first).is_none() { Place::Last } else { place };
        self.fib.numbered += u32::from(first.leg.is_some());
        let (route, key) = (self.fib.numbered, self.hash_secret);
        let numbered = |row: &RouteRow| {
            let leg = row.leg.map(|leg| Leg { route, key, dead: false, ..leg });
            RouteRow { leg, ..*row }
        };
        let mut rows: Vec<RouteRow> = rows.iter().map(numbered).collect();
        if place == Place::First {
            rows.reverse();
        }
        for row in rows {
            self.put_route(ctx, row, place);
        }
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
            tos: 0,
            nhid: 0,
            leg: None,
        }
    }
}
