//! Routes with several next hops: which of them a packet takes, and what becomes of them with their devices
//! (`net/ipv4/fib_semantics.c`, `net/ipv4/route.c`).

use super::rule::{FibKey, Hashed};
use super::{Ctx, FibResult, Netns};
use crate::base::{EventId, IfIndex};
use crate::trace::{FlowKeys, HashFields, NextHop, RouteRow, Scope, TableChange, select};
use std::collections::BTreeSet;

impl Netns {
    /// The next hop that a packet takes of those of the route that was found (`fib_select_path`). For one of this machine's own
    /// its source address counts as well; where the way out is given already nothing is chosen.
    pub(super) fn fib_select_path(&self, found: FibResult, key: &FibKey) -> FibResult {
        let Some(leg) = found.route.leg.filter(|_| key.oif.is_none()) else { return found };
        let legs = self.fib.legs(&found.route);
        let hops: Vec<NextHop> = legs.iter().map(|entry| self.next_hop(&entry.route)).collect();
        let is_own = key.iif == IfIndex(1) && !key.src.is_unspecified();
        let at = select(&hops, self.multipath_hash(key, leg.key), is_own.then_some(key.src));
        let alive = || legs.iter().find(|entry| entry.route.leg.is_some_and(|leg| !leg.dead));
        at.and_then(|at| legs.get(at)).or_else(alive).copied().unwrap_or(found)
    }

    /// `fib_multipath_hash`. Under policy 1 the hash that the sending socket drew goes before one of our own.
    fn multipath_hash(&self, key: &FibKey, secret: u64) -> u32 {
        let (policy, traits) = (self.sysctl.fib_multipath_hash_policy, key.traits);
        let fields = HashFields(self.sysctl.fib_multipath_hash_fields);
        let asked = FlowKeys { ends: (key.src, key.dst), protocol: traits.protocol, ports: traits.ports };
        let asked = Hashed { flow: asked, within: None, txhash: 0 };
        let Hashed { flow, within, txhash } = traits.hashed.unwrap_or(asked);
        if policy == 1 && txhash != 0 {
            return txhash >> 1;
        }
        FlowKeys::of_policy((policy, fields), flow, within).hash(secret)
    }

    fn next_hop(&self, row: &RouteRow) -> NextHop {
        let entry = row.oif.zip(row.gateway).and_then(|at| self.neighbors.get(&at));
        let asked = self.sysctl.fib_multipath_use_neigh || row.nhid != 0;
        let state = entry.filter(|_| asked).map(|entry| entry.row.state);
        let source = row.oif.and_then(|oif| self.inet_select_addr(oif, row.gateway, row.scope));
        NextHop::of(row, (state, self.avoids(row)), source)
    }

    /// Whether a route by a device without carrier does not count (`fib_lookup_good_nhc`). What ends on this machine
    /// does not ask for one.
    pub(super) fn avoids(&self, route: &RouteRow) -> bool {
        let Some(link) = route.oif.and_then(|oif| self.link(oif)) else { return false };
        link.up
            && !link.carrier
            && route.scope != Scope::Host
            && self.conf_or(link.ifindex, |conf| conf.ignore_routes_with_linkdown)
    }

    /// Whether one of a route's next hops is by this device (`fib_info_nh_uses_dev`).
    pub(super) fn fib_uses_dev(&self, route: &RouteRow, ifindex: IfIndex) -> bool {
        route.oif == Some(ifindex)
            || self.fib.legs(route).iter().any(|entry| entry.route.oif == Some(ifindex))
    }

    /// A device went down or has lost its last address: the next hops by it are dead, a route with several goes with the last
    /// of them, and of the others those go that `goes` says (`fib_sync_down_dev`). Routes by next hops that stand by
    /// themselves go with those.
    pub(super) fn fib_sync_down_dev(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        goes: impl Fn(&RouteRow) -> bool,
    ) {
        self.mark_legs(ctx, ifindex, true);
        let legs = self.fib.routes().filter_map(|route| route.leg);
        let alive: BTreeSet<u32> = legs.filter(|leg| !leg.dead).map(|leg| leg.route).collect();
        self.drop_routes(ctx, ifindex, |route| match route.leg {
            Some(leg) => !alive.contains(&leg.route),
            None => route.nhid == 0 && goes(route),
        });
    }

    /// With a device go all routes that have a next hop by it (`fib_sync_down_dev` with `NETDEV_UNREGISTER`).
    pub(super) fn fib_forget_dev(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let by_it = self.fib.routes().filter(|route| route.oif == Some(ifindex));
        let gone: BTreeSet<u32> = by_it.filter_map(|route| route.leg).map(|leg| leg.route).collect();
        self.drop_routes(ctx, ifindex, |route| match route.leg {
            Some(leg) => gone.contains(&leg.route),
            None => route.oif == Some(ifindex) && route.nhid == 0,
        });
    }

    /// A device is up, or has an address again: the next hops by it live again (`fib_sync_up`).
    pub(super) fn fib_sync_up(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        if self.link(ifindex).is_some_and(|link| link.up) {
            self.mark_legs(ctx, ifindex, false);
        }
    }

    fn mark_legs(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, dead: bool) {
        for route in self.fib.mark_legs(ifindex, dead) {
            ctx.change(self.id, ifindex, EventId::NONE, TableChange::RouteLeg(route));
        }
    }
}
