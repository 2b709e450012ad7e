//! The routing tables (`net/ipv4/fib_trie.c`), each by longest prefix, then lowest metric. Which of them is asked is the
//! rules' matter.

use crate::base::{ChangeId, Ipv4Addr};
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

/// The routing tables of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Fib {
    local: Vec<FibResult>,
    main: Vec<FibResult>,
    others: BTreeMap<u32, Vec<FibResult>>,
}

/// Longer prefixes first, then by network, then by metric; among equals the older route stays in front.
fn key(route: &RouteRow) -> (u8, u32, u32) {
    (32 - route.dst.prefix_len(), u32::from(route.dst.network()), route.metric)
}

impl Fib {
    fn table(&self, table: u32) -> &[FibResult] {
        match table {
            LOCAL => &self.local,
            MAIN => &self.main,
            _ => self.others.get(&table).map_or(&[], Vec::as_slice),
        }
    }

    fn table_mut(&mut self, table: u32) -> &mut Vec<FibResult> {
        match table {
            LOCAL => &mut self.local,
            MAIN => &mut self.main,
            _ => self.others.entry(table).or_default(),
        }
    }

    /// The deciding route for `dst`, or `None`, where the rules are those of the beginning (`fib_lookup`): the tables
    /// local and main are one, in which the longest prefix decides and the table local among equals; then comes default.
    pub(super) fn lookup(&self, dst: Ipv4Addr) -> Option<FibResult> {
        let found = match lookup_in(&self.local, dst) {
            Some(found) if found.route.dst.prefix_len() == 32 => Some(found),
            Some(local) => Some(match lookup_in(&self.main, dst) {
                Some(main) if main.route.dst.prefix_len() > local.route.dst.prefix_len() => main,
                Some(_) | None => local,
            }),
            None => lookup_in(&self.main, dst),
        };
        let found = found.filter(|found| found.route.kind != RouteKind::Throw);
        found.or_else(|| {
            let rest = lookup_in(self.others.get(&DEFAULT)?, dst)?;
            (rest.route.kind != RouteKind::Throw).then_some(rest)
        })
    }

    /// The deciding route of one table, among those by `oif` if that is given (`fib_table_lookup`).
    pub(super) fn lookup_table(
        &self,
        table: u32,
        dst: Ipv4Addr,
        oif: Option<crate::base::IfIndex>,
    ) -> Option<FibResult> {
        let table = self.table(table);
        let Some(oif) = oif else { return lookup_in(table, dst) };
        let is_by = |route: &RouteRow| route.kind == RouteKind::Local || route.oif == Some(oif);
        table.iter().find(|entry| entry.route.dst.contains(&dst) && is_by(&entry.route)).copied()
    }

    /// What the table local says about an address (`inet_addr_type`).
    pub(super) fn lookup_local(&self, addr: Ipv4Addr) -> Option<RouteKind> {
        lookup_in(&self.local, addr).map(|found| found.route.kind)
    }

    /// The deciding route for `dst` among those of the table main that leave by `oif`.
    pub(super) fn lookup_by(&self, dst: Ipv4Addr, oif: crate::base::IfIndex) -> Option<FibResult> {
        self.main.iter().find(|entry| entry.route.oif == Some(oif) && entry.route.dst.contains(&dst)).copied()
    }

    /// The route with the same destination and metric, which `ip route add` would not replace.
    pub(super) fn same(&self, route: &RouteRow) -> Option<FibResult> {
        let table = self.table(route.table);
        table.binary_search_by_key(&key(route), |entry| key(&entry.route)).ok().map(|at| table[at])
    }

    /// Whether this very route is there.
    pub(super) fn has(&self, route: &RouteRow) -> bool {
        self.table(route.table).iter().any(|entry| entry.route == *route)
    }

    pub(super) fn insert(&mut self, entry: FibResult) {
        let table = self.table_mut(entry.route.table);
        let at = table.partition_point(|old| key(&old.route) <= key(&entry.route));
        table.insert(at, entry);
    }

    /// Takes out every route that `gone` says, in order.
    pub(super) fn remove(&mut self, gone: impl Fn(&RouteRow) -> bool) -> Vec<RouteRow> {
        let mut out = Vec::new();
        for table in [&mut self.local, &mut self.main].into_iter().chain(self.others.values_mut()) {
            table.retain(|entry| {
                let goes = gone(&entry.route);
                if goes {
                    out.push(entry.route);
                }
                !goes
            });
        }
        out
    }

    /// All routes, the table local first.
    pub(super) fn routes(&self) -> impl Iterator<Item = &RouteRow> {
        let others = self.others.values().flatten();
        self.local.iter().chain(&self.main).chain(others).map(|entry| &entry.route)
    }
}

/// Walks the prefix lengths that occur, longest first, with one binary search each.
fn lookup_in(table: &[FibResult], dst: Ipv4Addr) -> Option<FibResult> {
    let dst = u32::from(dst);
    let mut rest = table;
    while let Some(first) = rest.first() {
        let inverse = 32 - first.route.dst.prefix_len();
        let of_len = rest.partition_point(|entry| 32 - entry.route.dst.prefix_len() == inverse);
        let network = if inverse == 32 { 0 } else { dst >> inverse << inverse };
        let at = rest[..of_len].partition_point(|entry| u32::from(entry.route.dst.network()) < network);
        if at < of_len && u32::from(rest[at].route.dst.network()) == network {
            return Some(rest[at]);
        }
        rest = &rest[of_len..];
    }
    None
}
