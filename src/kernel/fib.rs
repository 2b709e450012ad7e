//! The routing tables (`net/ipv4/fib_trie.c`), each by longest prefix, then type of service, then lowest metric. Which of them is asked is the
//! rules' matter.

use crate::base::{ChangeId, IfIndex, Ipv4Addr};
use crate::trace::{RouteKind, RouteRow};
use std::collections::BTreeMap;

/// Number of the table main.
pub(super) const MAIN: u32 = 254;
/// Number of the table local.
pub(super) const LOCAL: u32 = 255;
/// Number of the table default.
const DEFAULT: u32 = 253;

/// What a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibResult {
    /// The deciding route.
    pub route: RouteRow,
    /// Its row in the trace.
    pub change: ChangeId,
}

/// Where a route goes among those of its table, destination and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before them: the packets are its own from now on.
    First,
    /// Behind them.
    Last,
}

/// The routing tables of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Fib {
    local: Routes,
    main: Routes,
    others: BTreeMap<u32, Routes>,
    /// How many routes with several next hops there were.
    pub(super) numbered: u32,
}

/// One table: its routes, longer prefixes first, then by network, then by rank; among equals by [`Place`].
#[derive(Clone, Debug, Default)]
struct Routes {
    list: Vec<FibResult>,
    /// The networks alone, in the same order, for a lookup reads nothing else until it has found one.
    networks: Vec<u32>,
    /// The prefix lengths that occur, longest first: 32 less the length, and where its routes end.
    lengths: Vec<(u8, usize)>,
}

fn key(route: &RouteRow) -> (u8, u32, (u8, u32)) {
    (32 - route.dst.prefix_len(), u32::from(route.dst.network()), route.rank())
}

impl Routes {
    /// The first route of the longest prefix that holds `dst`.
    fn lookup(&self, dst: Ipv4Addr) -> Option<&FibResult> {
        let dst = u32::from(dst);
        let mut from = 0;
        for &(inverse, upto) in &self.lengths {
            let network = if inverse == 32 { 0 } else { dst >> inverse << inverse };
            let networks = &self.networks[from..upto];
            let at = networks.partition_point(|own| *own < network);
            if networks.get(at) == Some(&network) {
                return self.list.get(from + at);
            }
            from = upto;
        }
        None
    }

    /// The first route of the longest prefix among those that count.
    fn lookup_among(&self, dst: Ipv4Addr, counts: impl Fn(&RouteRow) -> bool) -> Option<&FibResult> {
        self.list.iter().find(|entry| entry.route.dst.contains(&dst) && counts(&entry.route))
    }

    /// Whether this very route is there.
    fn holds(&self, route: &RouteRow) -> bool {
        let from = self.list.partition_point(|old| key(&old.route) < key(route));
        let alike = self.list[from..].iter().take_while(|old| key(&old.route) == key(route));
        alike.map(|old| &old.route).any(|old| old == route)
    }

    /// Those of the destination and metric of a route.
    fn rivals(&self, route: &RouteRow) -> &[FibResult] {
        let own = key(route);
        let from = self.list.partition_point(|old| key(&old.route) < own);
        let upto = self.list.partition_point(|old| key(&old.route) <= own);
        &self.list[from..upto]
    }

    fn insert(&mut self, entry: FibResult, place: Place) {
        let own = key(&entry.route);
        let (inverse, network, _) = own;
        let at = self.list.partition_point(|old| match place {
            Place::First => key(&old.route) < own,
            Place::Last => key(&old.route) <= own,
        });
        self.list.insert(at, entry);
        self.networks.insert(at, network);
        let length = self.lengths.partition_point(|(own, _)| *own < inverse);
        if self.lengths.get(length).is_none_or(|(own, _)| *own != inverse) {
            self.lengths.insert(length, (inverse, at));
        }
        self.lengths[length..].iter_mut().for_each(|(_, upto)| *upto += 1);
    }

    /// Takes out every route that `gone` says, in order.
    fn remove(&mut self, gone: &impl Fn(&RouteRow) -> bool, out: &mut Vec<RouteRow>) {
        let before = out.len();
        out.extend(self.list.iter().map(|entry| entry.route).filter(gone));
        if out.len() > before {
            self.list.retain(|entry| !gone(&entry.route));
            self.index();
        }
    }

    fn index(&mut self) {
        self.networks = self.list.iter().map(|entry| u32::from(entry.route.dst.network())).collect();
        self.lengths.clear();
        for (at, entry) in self.list.iter().enumerate() {
            let inverse = 32 - entry.route.dst.prefix_len();
            match self.lengths.last_mut() {
                Some((own, upto)) if *own == inverse => *upto = at + 1,
                Some(_) | None => self.lengths.push((inverse, at + 1)),
            }
        }
    }
}

impl Fib {
    /// Whether this very route is there.
    pub(super) fn holds(&self, route: &RouteRow) -> bool {
        self.table(route.table).is_some_and(|table| table.holds(route))
    }

    fn table(&self, table: u32) -> Option<&Routes> {
        match table {
            LOCAL => Some(&self.local),
            MAIN => Some(&self.main),
            _ => self.others.get(&table),
        }
    }

    /// The deciding route for `dst`, or `None`, where the rules are those of the beginning (`fib_lookup`): the tables
    /// local and main are one, in which the longest prefix decides and the table local among equals; then comes default.
    pub(super) fn lookup(&self, dst: Ipv4Addr) -> Option<FibResult> {
        let found = match self.local.lookup(dst) {
            Some(found) if found.route.dst.prefix_len() == 32 => Some(found),
            Some(local) => Some(match self.main.lookup(dst) {
                Some(main) if main.route.dst.prefix_len() > local.route.dst.prefix_len() => main,
                Some(_) | None => local,
            }),
            None => self.main.lookup(dst),
        };
        let found = found.filter(|found| found.route.kind != RouteKind::Throw);
        found.copied().or_else(|| {
            let rest = self.others.get(&DEFAULT)?.lookup(dst)?;
            (rest.route.kind != RouteKind::Throw).then_some(*rest)
        })
    }

    /// The deciding route of one table among those that count (`fib_table_lookup`).
    pub(super) fn lookup_table(
        &self,
        table: u32,
        dst: Ipv4Addr,
        counts: impl Fn(&RouteRow) -> bool,
    ) -> Option<FibResult> {
        let table = self.table(table)?;
        let found = table.lookup(dst)?;
        if counts(&found.route) { Some(*found) } else { table.lookup_among(dst, counts).copied() }
    }

    /// What the table local says about an address (`inet_addr_type`).
    pub(super) fn lookup_local(&self, addr: Ipv4Addr) -> Option<RouteKind> {
        let found = self.local.lookup(addr).filter(|found| found.route.tos == 0);
        found.or_else(|| self.local.lookup_among(addr, |route| route.tos == 0)).map(|found| found.route.kind)
    }

    /// The same as [`Self::lookup`] among the routes that count.
    pub(super) fn lookup_among(
        &self,
        dst: Ipv4Addr,
        counts: impl Fn(&RouteRow) -> bool,
    ) -> Option<FibResult> {
        let tables = [&self.local, &self.main].into_iter();
        let found = tables.filter_map(|table| table.lookup_among(dst, &counts));
        // Of equals the first counts: the table local's.
        let found = found.min_by_key(|found| 32 - found.route.dst.prefix_len());
        let found = found.filter(|found| found.route.kind != RouteKind::Throw).copied();
        found.or_else(|| self.lookup_table(DEFAULT, dst, counts))
    }

    /// The first route with the same destination and metric, which `ip route add` would not replace.
    pub(super) fn same(&self, route: &RouteRow) -> Option<FibResult> {
        self.rivals(route).first().copied()
    }

    pub(super) fn rivals(&self, route: &RouteRow) -> &[FibResult] {
        self.table(route.table).map(|table| table.rivals(route)).unwrap_or_default()
    }

    /// Whether a route like this, of one or several next hops, is there.
    pub(super) fn has_rows(&self, rows: &[RouteRow]) -> bool {
        let Some(first) = rows.first() else { return false };
        let rivals: Vec<RouteRow> = self.rivals(first).iter().map(|entry| entry.route).collect();
        RouteRow::is_among(rows, &rivals)
    }

    /// All next hops of the route that a row belongs to, if it has several.
    pub(super) fn legs(&self, route: &RouteRow) -> &[FibResult] {
        let Some(leg) = route.leg else { return &[] };
        let rivals = self.rivals(route);
        let from = rivals.iter().position(|entry| entry.route.is_beside(route)).unwrap_or(rivals.len());
        &rivals[from..rivals.len().min(from + usize::from(leg.of))]
    }

    /// Says of the next hops by a device that they are dead, or not, but for those that stand by themselves; returns those of which it was not said yet.
    pub(super) fn mark_legs(&mut self, oif: IfIndex, dead: bool) -> Vec<RouteRow> {
        let mut marked = Vec::new();
        let tables = [&mut self.local, &mut self.main].into_iter().chain(self.others.values_mut());
        for route in tables.flat_map(|table| &mut table.list).map(|entry| &mut entry.route) {
            let by_it = route.oif == Some(oif) && route.nhid == 0;
            if let Some(leg) = route.leg.as_mut().filter(|leg| by_it && leg.dead != dead) {
                leg.dead = dead;
                marked.push(*route);
            }
        }
        marked
    }

    /// Whether this very route is there.
    pub(super) fn has(&self, route: &RouteRow) -> bool {
        self.table(route.table).is_some_and(|table| table.list.iter().any(|entry| entry.route == *route))
    }

    pub(super) fn insert(&mut self, entry: FibResult, place: Place) {
        let table = match entry.route.table {
            LOCAL => &mut self.local,
            MAIN => &mut self.main,
            other => self.others.entry(other).or_default(),
        };
        table.insert(entry, place);
    }

    /// Takes out every route that `gone` says, in order.
    pub(super) fn remove(&mut self, gone: impl Fn(&RouteRow) -> bool) -> Vec<RouteRow> {
        let mut out = Vec::new();
        for table in [&mut self.local, &mut self.main].into_iter().chain(self.others.values_mut()) {
            table.remove(&gone, &mut out);
        }
        out
    }

    /// All routes, the table local first.
    pub(super) fn routes(&self) -> impl Iterator<Item = &RouteRow> {
        let others = self.others.values();
        [&self.local, &self.main]
            .into_iter()
            .chain(others)
            .flat_map(|table| &table.list)
            .map(|entry| &entry.route)
    }
}
