//! What is needed to speak of an event: the names of namespaces and interfaces, and the routes as they stood.
//!
//! Unlike the inventory it keeps the names of what is gone, and it is cheap enough to be carried along a whole trace.

use super::{EventKind, LinkRow, NetnsRow, RouteRow, TableChange, Trace};
use crate::base::{EventId, IfIndex, Ipv4Addr, NetnsId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names and routes after the first events of a trace.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    upto: usize,
    netns: BTreeMap<NetnsId, NetnsRow>,
    links: BTreeMap<(NetnsId, IfIndex), LinkRow>,
    routes: BTreeMap<NetnsId, Vec<RouteRow>>,
}

impl Surroundings {
    /// As the event `id` of `trace` found them, its own change included.
    pub fn of(trace: &Trace, id: EventId) -> Self {
        let mut surroundings = Self::default();
        surroundings.advance(trace, id.index() + 1);
        surroundings
    }

    /// How many events are folded in.
    pub fn upto(&self) -> usize {
        self.upto
    }

    /// Folds in the events up to `upto`.
    pub fn advance(&mut self, trace: &Trace, upto: usize) {
        for event in trace.events.range(self.upto..upto) {
            if let EventKind::Changed(change) = event.kind {
                self.apply(&trace.changes[change.index()]);
            }
        }
        self.upto = self.upto.max(upto);
    }

    fn apply(&mut self, change: &TableChange) {
        match change {
            TableChange::Netns(row) => {
                self.netns.insert(row.netns, row.clone());
                self.routes.remove(&row.netns);
            }
            TableChange::NetnsGone(netns) => {
                self.routes.remove(netns);
            }
            TableChange::Link(row) => {
                self.links.insert((row.netns, row.ifindex), (**row).clone());
            }
            TableChange::LinkGone(netns, ifindex) => {
                let routes = self.routes.entry(*netns).or_default();
                routes.retain(|row| row.oif != Some(*ifindex));
            }
            TableChange::Route(row) => self.routes.entry(row.netns).or_default().push(*row),
            TableChange::RouteBefore(row) => {
                let routes = self.routes.entry(row.netns).or_default();
                routes.insert(row.place_before(routes.iter()), *row);
            }
            TableChange::RouteLeg(row) => {
                let routes = self.routes.entry(row.netns).or_default();
                routes.iter_mut().filter(|route| route.is_leg(row)).for_each(|route| *route = *row);
            }
            TableChange::RouteGone(row) => {
                self.routes.entry(row.netns).or_default().retain(|route| route != row);
            }
            TableChange::Addr(_)
            | TableChange::AddrGone(_)
            | TableChange::Neigh(_)
            | TableChange::NeighGone(..)
            | TableChange::Fdb(_)
            | TableChange::FdbGone(_)
            | TableChange::Vlan(_)
            | TableChange::VlanGone(..)
            | TableChange::FibRule(_)
            | TableChange::FibRuleGone(_)
            | TableChange::Nexthop(_)
            | TableChange::Proxy(_)
            | TableChange::Exception(_)
            | TableChange::Sysctl(_)
            | TableChange::Socket(_)
            | TableChange::SocketGone(..)
            | TableChange::Service(_)
            | TableChange::Netfilter(_)
            | TableChange::Bpf(_)
            | TableChange::BpfGone(_)
            | TableChange::Cilium(_)
            | TableChange::Node(_)
            | TableChange::NodeGone(_)
            | TableChange::Pod(_)
            | TableChange::PodGone(..)
            | TableChange::Object(_)
            | TableChange::ObjectGone(_)
            | TableChange::KubeEvent(_)
            | TableChange::Step(_)
            | TableChange::Names(_)
            | TableChange::Ipc(_)
            | TableChange::Tls(_)
            | TableChange::Process(_)
            | TableChange::ProcessGone(_)
            | TableChange::Xfrm(_)
            | TableChange::Fault(_)
            | TableChange::FaultGone(_) => {}
        }
    }

    /// Name of a namespace; empty for none.
    pub fn netns(&self, netns: NetnsId) -> Arc<str> {
        if !netns.is_some() {
            return "".into();
        }
        let name = || format!("netns{}", netns.0).into();
        self.netns.get(&netns).map_or_else(name, |row| row.name.clone())
    }

    /// A link that is there or once was.
    pub fn link(&self, netns: NetnsId, ifindex: IfIndex) -> Option<&LinkRow> {
        self.links.get(&(netns, ifindex))
    }

    /// Name of an interface.
    pub fn ifname(&self, netns: NetnsId, ifindex: IfIndex) -> Arc<str> {
        let name = || format!("if{}", ifindex.0).into();
        self.link(netns, ifindex).map_or_else(name, |row| row.name.clone())
    }

    /// A place as captures name it: `node1/cni0`, or the namespace alone where there is no interface.
    pub fn place(&self, netns: NetnsId, ifindex: IfIndex) -> String {
        if netns.is_some() && ifindex.is_some() {
            format!("{}/{}", self.netns(netns), self.ifname(netns, ifindex))
        } else {
            self.netns(netns).to_string()
        }
    }

    /// The sum of the weights of a route's next hops that are alive.
    pub fn shares(&self, netns: NetnsId, route: u32) -> u32 {
        let rows = self.routes.get(&netns).into_iter().flatten();
        let legs = rows.filter_map(|row| row.leg).filter(|leg| leg.route == route && !leg.dead);
        legs.map(|leg| u32::from(leg.weight)).sum()
    }

    /// The routes of a namespace that fit an address and a type of service, longest prefix first, then by rank.
    pub fn fitting_routes(&self, netns: NetnsId, dst: Ipv4Addr, tos: u8) -> Vec<RouteRow> {
        let routes = self.routes.get(&netns).map(Vec::as_slice).unwrap_or_default();
        let mut fitting: Vec<_> =
            routes.iter().filter(|row| row.dst.contains(&dst) && row.is_for_tos(tos)).copied().collect();
        // The local table is asked first (`ip rule` 0), whatever the prefix.
        fitting.sort_by_key(|row| (row.table != 255, 32 - row.dst.prefix_len(), row.rank()));
        fitting
    }
}
