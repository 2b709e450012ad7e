//! Routes (`ip route`), and what becomes of a namespace's list of them.

use super::rule_rows::TOS_BITS;
use super::{Leg, NetnsState, RouteKind, RouteProtocol, Scope, TableChange};
use crate::base::{ChangeId, IfIndex, Ipv4Addr, Ipv4Net, NetnsId};

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Routing table: 254 main, 255 local.
    pub table: u32,
    /// Destination.
    pub dst: Ipv4Net,
    /// Type.
    pub kind: RouteKind,
    /// Next hop.
    pub gateway: Option<Ipv4Addr>,
    /// Way out; `None` for blackhole and the like.
    pub oif: Option<IfIndex>,
    /// Preferred source address.
    pub prefsrc: Option<Ipv4Addr>,
    /// Type of service of the packets that it is for; 0 for all, where no other of its destination is for theirs.
    pub tos: u8,
    /// Metric, 0 unless set; the lower wins.
    pub metric: u32,
    /// Scope of the destination.
    pub scope: Scope,
    /// Who installed it.
    pub protocol: RouteProtocol,
    /// Whether the next hop counts as attached even if no network says so (`RTNH_F_ONLINK`).
    pub onlink: bool,
    /// What it says about packets and connections that take it.
    pub metrics: RouteMetrics,
    /// Number of the next hop that it leads by, where that stands by itself (`ip nexthop`); 0 where it has its own.
    pub nhid: u32,
    /// Which one of several next hops of its route it is.
    pub leg: Option<Leg>,
}

/// Metrics of a route (`RTAX_*` in `linux/rtnetlink.h`, "man 8 ip-route"); 0 where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteMetrics {
    /// Path MTU in bytes, in place of the device's.
    pub mtu: u32,
    /// Segment size announced to the far end, in bytes.
    pub advmss: u32,
    /// Segments that a connection may have under way at first.
    pub initcwnd: u32,
    /// Those that the kernel may not change by itself, a bit for each (`RTAX_LOCK`).
    pub locks: u16,
}

impl RouteMetrics {
    /// The bit of the path MTU among the locks (`1 << RTAX_MTU`).
    pub const MTU: u16 = 1 << 2;
    /// The bit of the segment size.
    pub const ADVMSS: u16 = 1 << 8;
    /// The bit of the first window.
    pub const INITCWND: u16 = 1 << 11;

    /// Whether the path MTU is locked: errors do not lower it, and packets may be cut on their way.
    pub fn mtu_locked(self) -> bool {
        self.locks & Self::MTU != 0
    }

    /// Names and values of those that are set, and whether they are locked, in the order in which `ip` shows them.
    pub fn named(self) -> impl Iterator<Item = (&'static str, u32, bool)> {
        let all = [
            ("mtu", self.mtu, Self::MTU),
            ("advmss", self.advmss, Self::ADVMSS),
            ("initcwnd", self.initcwnd, Self::INITCWND),
        ];
        let locked = move |bit| self.locks & bit != 0;
        all.into_iter()
            .map(move |(name, value, bit)| (name, value, locked(bit)))
            .filter(|(_, value, locked)| *value != 0 || *locked)
    }

    /// The same as words: `mtu lock 1400`.
    pub fn words(self) -> impl Iterator<Item = String> {
        self.named()
            .map(|(name, value, locked)| format!("{name}{} {value}", if locked { " lock" } else { "" }))
    }
}

impl RouteRow {
    /// Its place among routes of its table and destination: those for a type of service come first, the highest before the
    /// others, then the lowest metric (`fib_find_alias`).
    pub fn rank(&self) -> (u8, u32) {
        (u8::MAX - self.tos, self.metric)
    }

    /// Whether it is for packets of this type of service, of which the bits count that RFC 1349 gives a meaning
    /// (`fib_dscp_masked_match`).
    pub fn is_for_tos(&self, tos: u8) -> bool {
        self.tos == 0 || self.tos == tos & TOS_BITS
    }

    /// Whether two routes lie one behind the other, so that only the first of them is taken: table, destination, type of
    /// service and metric are the same (`fib_table_insert`).
    pub fn is_rival(&self, other: &Self) -> bool {
        (self.table, self.dst, self.rank()) == (other.table, other.dst, other.rank())
    }

    /// Where it goes among others, of which some may be its rivals: before those, or at the end.
    pub fn place_before<'a>(&self, mut others: impl ExactSizeIterator<Item = &'a Self>) -> usize {
        let end = others.len();
        others.position(|other| self.is_rival(other)).unwrap_or(end)
    }
}

impl TableChange {
    /// The route that came.
    pub fn as_route(&self) -> Option<&RouteRow> {
        if let Self::Route(row) | Self::RouteBefore(row) = self { Some(row) } else { None }
    }
}

impl NetnsState {
    /// A route makes its table.
    pub(super) fn add_route(&mut self, change: ChangeId, row: RouteRow) {
        self.tables.insert(row.table);
        self.routes.push((change, row));
    }

    pub(super) fn add_route_before(&mut self, change: ChangeId, row: RouteRow) {
        let at = row.place_before(self.routes.iter().map(|(_, row)| row));
        self.tables.insert(row.table);
        self.routes.insert(at, (change, row));
    }

    pub(super) fn remove_route(&mut self, row: &RouteRow) {
        self.routes.retain(|(_, route)| route != row);
    }
}
