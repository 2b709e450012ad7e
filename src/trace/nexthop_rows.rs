//! Next hops that stand by themselves, as `ip nexthop` shows them (`net/ipv4/nexthop.c`), and the routes that lead by them.

use super::{Leg, NetnsState, RouteKind, RouteProtocol, RouteRow, Scope, rows_text};
use crate::base::{IfIndex, Ipv4Addr, NetnsId};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A next hop, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NexthopRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Its number, which no other has.
    pub id: u32,
    /// Where it leads.
    pub way: NexthopWay,
    /// Who installed it; `None` for `unspec`.
    pub protocol: Option<RouteProtocol>,
}

/// Where a next hop leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NexthopWay {
    /// Nowhere: packets are dropped in silence.
    Blackhole,
    /// By a device.
    Hop {
        /// To this address; `None` where what is sent is attached.
        gateway: Option<Ipv4Addr>,
        /// The device.
        oif: IfIndex,
        /// Whether the address counts as attached even if no network says so.
        onlink: bool,
        /// How far away it is itself.
        scope: Scope,
    },
    /// By one of these, each with its share of the flows, 1 to 256.
    Group(Vec<(u32, u16)>),
}

/// All next hops of a namespace by number.
pub type Nexthops = BTreeMap<u32, NexthopRow>;

/// What becomes of a next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NexthopChange {
    /// It came, or leads elsewhere now.
    Came(Box<NexthopRow>),
    /// It went.
    Gone(NetnsId, u32),
}

impl NexthopRow {
    /// The members of a group with their shares; none of what is not a group.
    pub fn members(&self) -> &[(u32, u16)] {
        if let NexthopWay::Group(members) = &self.way { members } else { &[] }
    }

    /// Whether it leads by this device.
    pub fn is_by(&self, ifindex: IfIndex) -> bool {
        matches!(self.way, NexthopWay::Hop { oif, .. } if oif == ifindex)
    }

    /// A line of `ip nexthop`, without its final blank.
    pub fn text(&self, ifname: impl Fn(IfIndex) -> String) -> String {
        let mut text = format!("id {}", self.id);
        match &self.way {
            NexthopWay::Blackhole => text += " blackhole",
            NexthopWay::Group(members) => {
                text = text + " group " + &group_text(members);
            }
            NexthopWay::Hop { gateway, oif, scope, .. } => {
                text += &gateway.map_or_else(String::new, |gateway| format!(" via {gateway}"));
                let _ = write!(text, " dev {} scope {}", ifname(*oif), rows_text::scope(*scope));
            }
        }
        if let Some(protocol) = self.protocol {
            text = text + " proto " + rows_text::route_protocol(protocol);
        }
        text + if matches!(self.way, NexthopWay::Hop { onlink: true, .. }) { " onlink" } else { "" }
    }

    /// The rows of a route by this next hop: one for each member of a group.
    pub fn rows(&self, route: RouteRow, all: &Nexthops) -> Vec<RouteRow> {
        let route = RouteRow { nhid: self.id, ..route };
        let NexthopWay::Group(members) = &self.way else { return vec![self.row(route)] };
        let of = members.len() as u16;
        let member = |(at, (id, weight)): (usize, &(u32, u16))| {
            let leg = Leg { route: 0, at: at as u16, of, weight: *weight, dead: false, key: 0 };
            let row = RouteRow { leg: (of > 1).then_some(leg), ..route };
            all.get(id).map(|nexthop| nexthop.row(row))
        };
        members.iter().enumerate().filter_map(member).collect()
    }

    /// What is no group: packets to nowhere count as sent by the loopback (`nexthop_create`).
    fn row(&self, route: RouteRow) -> RouteRow {
        match self.way {
            NexthopWay::Hop { gateway, oif, onlink, .. } => {
                RouteRow { kind: RouteKind::Unicast, gateway, oif: Some(oif), onlink, ..route }
            }
            NexthopWay::Blackhole | NexthopWay::Group(_) => {
                let (kind, oif) = (RouteKind::Blackhole, Some(IfIndex(1)));
                RouteRow { kind, gateway: None, oif, onlink: false, ..route }
            }
        }
    }
}

/// A group's members as they are written: `1,3/2`.
pub fn group_text(members: &[(u32, u16)]) -> String {
    let member = |(id, weight): &(u32, u16)| match weight {
        1 => id.to_string(),
        weight => format!("{id},{weight}"),
    };
    members.iter().map(member).collect::<Vec<_>>().join("/")
}

impl NexthopChange {
    /// The namespace.
    pub fn netns(&self) -> NetnsId {
        match self {
            Self::Came(row) => row.netns,
            Self::Gone(netns, _) => *netns,
        }
    }

    /// What came or went, in words of the trace.
    pub fn text(&self, ifname: impl Fn(IfIndex) -> String) -> String {
        match self {
            Self::Came(row) => row.text(ifname),
            Self::Gone(_, id) => format!("gone id {id}"),
        }
    }
}

impl NetnsState {
    pub(super) fn change_nexthop(&mut self, change: &NexthopChange) {
        match change {
            NexthopChange::Came(row) => drop(self.nexthops.insert(row.id, (**row).clone())),
            NexthopChange::Gone(_, id) => drop(self.nexthops.remove(id)),
        }
    }
}
