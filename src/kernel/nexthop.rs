//! Next hops that stand by themselves, and what becomes of routes with them (`net/ipv4/nexthop.c`).

use super::fib::Place;
use super::{Ctx, FibResult, Netns};
use crate::base::{EventId, IfIndex};
use crate::trace::{NexthopChange, NexthopRow, NexthopWay, Nexthops as Rows, RouteRow, TableChange};

/// The next hops of a namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Nexthops {
    rows: Rows,
    /// The number that was given last where none was asked for.
    last_id: u32,
}

impl Nexthops {
    /// A number that is free (`nh_find_unused_id`).
    fn unused_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.rows.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// The groups that a next hop is in.
    fn groups_of(&self, id: u32) -> Vec<u32> {
        let is_in = |row: &&NexthopRow| row.members().iter().any(|(member, _)| *member == id);
        self.rows.values().filter(is_in).map(|row| row.id).collect()
    }
}

impl Netns {
    /// Adds a next hop, or has one lead elsewhere (`ip nexthop add`, `replace`); where its number is 0 one is found for it.
    pub fn set_nexthop(&mut self, ctx: &mut Ctx<'_>, row: NexthopRow) {
        let id = if row.id == 0 { self.nexthops.unused_id() } else { row.id };
        self.put_nexthop(ctx, NexthopRow { id, ..row });
        for group in self.nexthops.groups_of(id) {
            self.lead_routes_anew(ctx, group);
        }
    }

    fn put_nexthop(&mut self, ctx: &mut Ctx<'_>, row: NexthopRow) {
        let id = row.id;
        self.nexthops.rows.insert(id, row.clone());
        let change = NexthopChange::Came(Box::new(row));
        ctx.change(self.id, IfIndex::NONE, EventId::NONE, TableChange::Nexthop(change));
        self.lead_routes_anew(ctx, id);
    }

    /// Removes a next hop (`remove_nexthop`): its routes go with it, and groups that have no other member.
    pub fn del_nexthop(&mut self, ctx: &mut Ctx<'_>, id: u32) {
        if self.nexthops.rows.remove(&id).is_none() {
            return;
        }
        self.del_routes(ctx, |route| route.nhid == id);
        for group in self.nexthops.groups_of(id) {
            let Some(mut row) = self.nexthops.rows.get(&group).cloned() else { continue };
            if let NexthopWay::Group(members) = &mut row.way {
                members.retain(|(member, _)| *member != id);
            }
            if row.members().is_empty() {
                self.del_nexthop(ctx, group);
            } else {
                self.put_nexthop(ctx, row);
            }
        }
        let change = TableChange::Nexthop(NexthopChange::Gone(self.id, id));
        ctx.change(self.id, IfIndex::NONE, EventId::NONE, change);
    }

    /// With a device that goes down or loses its carrier go the next hops by it (`nexthop_flush_dev`).
    pub(super) fn nexthop_flush_dev(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let rows = self.nexthops.rows.values();
        let gone: Vec<u32> = rows.filter(|row| row.is_by(ifindex)).map(|row| row.id).collect();
        for id in gone {
            self.del_nexthop(ctx, id);
        }
    }

    /// Has the routes by a next hop lead where it leads now. They keep their places among their rivals.
    fn lead_routes_anew(&mut self, ctx: &mut Ctx<'_>, id: u32) {
        let Some(nexthop) = self.nexthops.rows.get(&id).cloned() else { return };
        let of_it = |route: &&RouteRow| route.nhid == id && route.is_head();
        let heads: Vec<RouteRow> = self.fib.routes().filter(of_it).copied().collect();
        for head in heads {
            let rows = nexthop.rows(RouteRow { leg: None, ..head }, &self.nexthops.rows);
            let own = self.fib.legs(&head).len().max(1);
            if own == rows.len() && self.fib.has_rows(&rows) {
                continue;
            }
            let rivals = self.fib.rivals(&head);
            let from = rivals.iter().position(|entry| entry.route == head).unwrap_or(rivals.len());
            let moved: Vec<FibResult> = rivals[from..].to_vec();
            self.del_routes(ctx, |route| moved.iter().any(|entry| entry.route == *route));
            self.put_rows(ctx, &rows, Place::Last);
            for entry in moved.iter().skip(own) {
                self.put_route(ctx, entry.route, Place::Last);
            }
        }
    }
}
