//! All tables as they stood after a given event: a fold over the trace, so that stepping back takes every table back.

use super::counters::{self, Counters, QdiscCounters};
use super::netfilter::{Netfilter, NetfilterChange, netns_of};
use super::sharing::{Shared, SharedLog};
use super::{
    AddrRow, BpfRow, CiliumChange, CtRow, Disposition, DropReason, Event, EventKind, ExceptionRow, FaultRow,
    Fdb, FibRuleRow, Hook, Ipc, KubeEventRow, LinkKind, LinkRow, NamesRow, Neighbor, NetnsRow, Nexthops,
    NodeRow, ObjectRow, PodRow, PolicyRow, ProcessRow, ProxyRow, RouteRow, ServiceRow, SliceRow, SocketRow,
    StepRow, Table, TableChange, Trace, VlanRow, Xfrm, XfrmChange,
};
use crate::base::{ChangeId, EventId, IfIndex, Ipv4Addr, NetnsId, ObjectKey, ProcessId, SimTime, SocketId};
use crate::wire::Body;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Every table at one moment.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// How many events are folded in.
    pub upto: usize,
    /// Time of the last event folded in.
    pub now: SimTime,
    /// Network namespaces.
    pub netns: BTreeMap<NetnsId, Shared<NetnsState>>,
    /// Services by namespace and name.
    pub services: BTreeMap<(Arc<str>, Arc<str>), ServiceRow>,
    /// `EndpointSlices` by namespace and name.
    pub slices: BTreeMap<(Arc<str>, Arc<str>), SliceRow>,
    /// API objects of every kind, Pods and Services included, as the store holds them.
    pub objects: BTreeMap<ObjectKey, Arc<ObjectRow>>,
    /// Nodes by name.
    pub nodes: BTreeMap<Arc<str>, NodeRow>,
    /// Pods by namespace and name.
    pub pods: BTreeMap<(Arc<str>, Arc<str>), Shared<PodRow>>,
    /// Kubernetes Events with the time of each, oldest first.
    pub kube_events: SharedLog<(SimTime, KubeEventRow)>,
    /// Processes that live, by their number in the simulation.
    pub processes: BTreeMap<ProcessId, ProcessRow>,
    /// Faults that stand, by their number.
    pub faults: BTreeMap<u32, FaultRow>,
    /// Steps of Pod creation and termination with the time of each, oldest first.
    pub steps: SharedLog<(EventId, StepRow)>,
    /// What DNS servers did with questions, oldest first.
    pub names: SharedLog<(EventId, NamesRow)>,
    /// The protocols' counters of the namespace in which a command runs; they are not folded from events, so no other
    /// moment has them.
    pub snmp: Option<(NetnsId, super::Snmp)>,
    /// The timers of spanning trees of the same namespace.
    pub stp_timers: Option<(NetnsId, super::StpTimers)>,
}

/// The tables of one network namespace. Each row comes with the change that gave it its present form.
#[derive(Clone, Debug)]
pub struct NetnsState {
    /// The namespace itself.
    pub row: NetnsRow,
    /// Links by interface number.
    pub links: BTreeMap<IfIndex, LinkRow>,
    /// Counters by interface number.
    pub counters: BTreeMap<IfIndex, Counters>,
    /// Counters of queueing disciplines by interface number.
    pub qdiscs: BTreeMap<IfIndex, QdiscCounters>,
    /// Addresses; those of one link in the order in which the kernel lists them.
    pub addrs: Vec<AddrRow>,
    /// Routes in the order in which they were added.
    pub routes: Vec<(ChangeId, RouteRow)>,
    /// Numbers of the routing tables that there are: a table stays when its last route goes.
    pub tables: BTreeSet<u32>,
    /// Next hops that stand by themselves.
    pub nexthops: Nexthops,
    /// Rules of the routing, in the order in which they are asked.
    pub rules: Vec<(ChangeId, FibRuleRow)>,
    /// Whether one was ever added or removed: until then the tables local and main are looked up as one.
    pub has_custom_rules: bool,
    /// Addresses of others that ARP is answered for, in the kernel's order.
    pub proxies: Vec<ProxyRow>,
    /// Neighbour entries.
    pub neighbors: BTreeMap<(IfIndex, Ipv4Addr), Neighbor>,
    /// Forwarding databases, in the order in which entries were added.
    pub fdb: Vec<Fdb>,
    /// VLANs of bridges and their ports.
    pub vlans: BTreeMap<(IfIndex, u16), VlanRow>,
    /// What was learnt about single destinations.
    pub exceptions: BTreeMap<Ipv4Addr, ExceptionRow>,
    /// Entries of eBPF maps, in the order in which they were added.
    pub bpf: Vec<(ChangeId, BpfRow)>,
    /// Entries of the endpoints' policy maps.
    pub policy_maps: Vec<(ChangeId, PolicyRow)>,
    /// Connections that Cilium's programs let pass.
    pub bpf_connections: BTreeMap<CtRow, ChangeId>,
    /// Settings that were changed, by key.
    pub sysctls: BTreeMap<Arc<str>, Arc<str>>,
    /// TCP and UDP sockets.
    pub sockets: BTreeMap<SocketId, SocketRow>,
    /// What containers talk by beside the network.
    pub ipc: Ipc,
    /// netfilter's tables.
    pub netfilter: Netfilter,
    /// `IPsec`'s tables.
    pub xfrm: Xfrm,
}

impl NetnsState {
    fn new(row: NetnsRow) -> Self {
        Self {
            tables: BTreeSet::from([254, 255]),
            rules: FibRuleRow::defaults(row.netns).map(|row| (ChangeId::NONE, row)).into(),
            has_custom_rules: false,
            row,
            links: BTreeMap::new(),
            counters: BTreeMap::new(),
            qdiscs: BTreeMap::new(),
            addrs: Vec::new(),
            routes: Vec::new(),
            nexthops: Nexthops::new(),
            neighbors: BTreeMap::new(),
            proxies: Vec::new(),
            fdb: Vec::new(),
            vlans: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            bpf: Vec::new(),
            policy_maps: Vec::new(),
            bpf_connections: BTreeMap::new(),
            sysctls: BTreeMap::new(),
            ipc: Ipc::default(),
            sockets: BTreeMap::new(),
            netfilter: Netfilter::default(),
            xfrm: Xfrm::default(),
        }
    }

    /// The link called `name`.
    pub fn link_named(&self, name: &str) -> Option<&LinkRow> {
        let also = |link: &&LinkRow| link.extra.altnames.iter().any(|other| **other == *name);
        let named = self.links.values().find(|link| &*link.name == name);
        named.or_else(|| self.links.values().find(also))
    }

    /// Name of an interface; `ifN` where it is gone.
    pub fn ifname(&self, ifindex: IfIndex) -> Arc<str> {
        self.links.get(&ifindex).map_or_else(|| format!("if{}", ifindex.0).into(), |link| link.name.clone())
    }
}

impl Inventory {
    /// The tables after the first `upto` events of `trace`.
    pub fn at(trace: &Trace, upto: usize) -> Self {
        let mut inventory = Self::default();
        inventory.advance(trace, upto);
        inventory
    }

    /// Folds in the events up to `upto`, which must not lie before what is folded in already.
    pub fn advance(&mut self, trace: &Trace, upto: usize) {
        assert!(self.upto <= upto, "an inventory is folded forward; build it anew to go back");
        for index in self.upto..upto.min(trace.len()) {
            self.fold(trace, EventId(index as u32));
        }
        self.upto = upto.min(trace.len());
    }

    /// The objects of a kind, by namespace and name.
    pub fn objects_of(&self, kind: &str) -> impl Iterator<Item = &Arc<ObjectRow>> {
        let first = ObjectKey::new(kind, "", "");
        let same = first.kind.clone();
        self.objects.range(first..).map(|(_, row)| row).take_while(move |row| row.key.kind == same)
    }

    /// The tables of a namespace.
    pub fn state(&self, netns: NetnsId) -> Option<&NetnsState> {
        self.netns.get(&netns).map(|state| &**state)
    }

    /// The namespace called `name`.
    pub fn netns_named(&self, name: &str) -> Option<&NetnsState> {
        self.netns.values().map(|state| &**state).find(|state| &*state.row.name == name)
    }

    fn fold(&mut self, trace: &Trace, id: EventId) {
        let event = trace.event(id);
        self.now = event.at;
        match event.kind {
            EventKind::Changed(change) => self.apply(trace, id, change),
            EventKind::Received(_) => self.count(trace, event),
            EventKind::Transmitted => {
                self.count(trace, event);
                self.count_queue(trace, event);
            }
            EventKind::Decided(Table::Qdisc, _) => self.count_queue(trace, event),
            EventKind::Decided(table, row) => self.mark_used(trace, id, table, row),
            EventKind::Ended(Disposition::Dropped(reason)) => {
                self.count_drop(trace, event, reason);
                self.count_queue(trace, event);
            }
            EventKind::Originated
            | EventKind::Passed(_)
            | EventKind::Queued
            | EventKind::Encapsulated
            | EventKind::Decapsulated
            | EventKind::Ended(_)
            | EventKind::Wrote(_)
            | EventKind::Started(_)
            | EventKind::Exited(..) => {}
        }
    }

    fn state_mut(&mut self, netns: NetnsId) -> Option<&mut NetnsState> {
        self.netns.get_mut(&netns).map(|state| &mut **state)
    }

    fn count(&mut self, trace: &Trace, event: &Event) {
        let Some(frame) = trace.frame_of(event) else { return };
        let Some(state) = self.state_mut(event.netns) else { return };
        let Some(link) = state.links.get(&event.ifindex) else { return };
        let bytes = frame.wire_len() as u64;
        if counters::went_round(trace, state, event) {
            return;
        }
        let counters = state.counters.entry(event.ifindex).or_default();
        let without_header = bytes - 14;
        // What has no Ethernet header counts none.
        let bytes = if link.kind.is_raw_ip() { without_header } else { bytes };
        if event.kind == EventKind::Transmitted {
            counters.tx_packets += 1;
            // VXLAN counts after it has taken over the frame (`vxlan_xmit_one`), and `lo` as it receives
            // (`loopback_xmit`).
            counters.tx_bytes += match link.kind {
                LinkKind::Loopback | LinkKind::Vxlan { .. } => without_header,
                LinkKind::Bridge { .. }
                | LinkKind::Veth { .. }
                | LinkKind::Physical { .. }
                | LinkKind::Dummy
                | LinkKind::Vlan { .. }
                | LinkKind::Macvlan { .. }
                | LinkKind::Ipvlan { .. }
                | LinkKind::Ipip(_)
                | LinkKind::Gre(_)
                | LinkKind::Gretap(_) => bytes,
            };
        } else {
            // `lo`, a bridge and a VXLAN device count what they hand up without the Ethernet header, which
            // `eth_type_trans` has taken off by then.
            counters.rx_packets += 1;
            counters.rx_bytes += match link.kind {
                LinkKind::Loopback
                | LinkKind::Bridge { .. }
                | LinkKind::Vxlan { .. }
                | LinkKind::Vlan { .. }
                | LinkKind::Macvlan { .. }
                | LinkKind::Ipvlan { .. }
                | LinkKind::Gretap(_) => without_header,
                LinkKind::Veth { .. }
                | LinkKind::Physical { .. }
                | LinkKind::Dummy
                | LinkKind::Ipip(_)
                | LinkKind::Gre(_) => bytes,
            };
            // Devices with a driver of their own count group frames here; a veth does not.
            if frame.dst.is_multicast() && matches!(link.kind, LinkKind::Bridge { .. }) {
                counters.rx_multicast += u64::from(!frame.dst.is_broadcast());
            }
        }
    }

    /// Counts what a queueing discipline took, sent and dropped.
    fn count_queue(&mut self, trace: &Trace, event: &Event) {
        let Some(state) = self.state_mut(event.netns) else { return };
        let has_qdisc = state.links.get(&event.ifindex).is_some_and(|link| link.extra.qdisc.is_some());
        let Some(frame) = trace.frame_of(event).filter(|_| has_qdisc) else { return };
        let counted = state.qdiscs.entry(event.ifindex).or_default();
        let bytes = frame.wire_len() as u64;
        match event.kind {
            EventKind::Decided(Table::Qdisc, _) => {
                counted.taken += 1;
                counted.taken_bytes += bytes;
            }
            EventKind::Transmitted => {
                counted.sent += 1;
                counted.sent_bytes += bytes;
            }
            EventKind::Ended(Disposition::Dropped(
                DropReason::NetemLoss | DropReason::QdiscOverlimit | DropReason::QdiscDrop,
            )) => {
                counted.dropped += 1;
                counted.dropped_bytes += bytes;
            }
            EventKind::Originated
            | EventKind::Received(_)
            | EventKind::Passed(_)
            | EventKind::Decided(..)
            | EventKind::Changed(_)
            | EventKind::Queued
            | EventKind::Encapsulated
            | EventKind::Decapsulated
            | EventKind::Ended(_)
            | EventKind::Wrote(_)
            | EventKind::Started(_)
            | EventKind::Exited(..) => {}
        }
    }

    fn count_drop(&mut self, trace: &Trace, event: &Event, reason: DropReason) {
        let Some(state) = self.state_mut(event.netns) else { return };
        let Some(link) = state.links.get(&event.ifindex) else { return };
        let counters = state.counters.entry(event.ifindex).or_default();
        // What VXLAN cannot send on it does not count as sent (`vxlan_xmit_one`).
        let unsent =
            matches!(reason, DropReason::VxlanNoRemote | DropReason::IpOutNoRoutes | DropReason::Recursion);
        if matches!(link.kind, LinkKind::Vxlan { .. })
            && unsent
            && let Some(frame) = trace.frame_of(event)
        {
            counters.tx_packets = counters.tx_packets.saturating_sub(1);
            counters.tx_bytes = counters.tx_bytes.saturating_sub(frame.wire_len() as u64 - 14);
        }
        let by_device = matches!(
            reason,
            DropReason::VxlanNoRemote | DropReason::NoCarrier | DropReason::CableCut | DropReason::Recursion
        );
        // A device that is down has no queue that takes what it is handed (`noop_enqueue`).
        let handed_down = || {
            let before = trace.event(event.cause);
            before.netns == event.netns
                && matches!(
                    before.kind,
                    EventKind::Passed(Hook::Postrouting) | EventKind::Decided(..) | EventKind::Originated
                )
        };
        if by_device || reason == DropReason::DevReady && handed_down() {
            counters.tx_dropped += 1;
        } else if reason == DropReason::OversizeReceive {
            counters.rx_dropped += 1;
            self.take_back(trace, event);
        }
    }

    /// A veth learns at once that its other end did not take a frame, and counts it as dropped instead of sent
    /// (`veth_xmit`).
    fn take_back(&mut self, trace: &Trace, event: &Event) {
        let link = self.netns.get(&event.netns).and_then(|state| state.links.get(&event.ifindex));
        let (Some(LinkRow { kind: LinkKind::Veth { peer_netns, peer, .. }, .. }), Some(frame)) =
            (link, trace.frame_of(event))
        else {
            return;
        };
        let (peer_netns, peer, bytes) = (*peer_netns, *peer, frame.wire_len() as u64);
        let Some(counters) = self.state_mut(peer_netns).and_then(|state| state.counters.get_mut(&peer))
        else {
            return;
        };
        counters.tx_packets = counters.tx_packets.saturating_sub(1);
        counters.tx_bytes = counters.tx_bytes.saturating_sub(bytes);
        counters.tx_dropped += 1;
    }

    fn mark_used(&mut self, trace: &Trace, id: EventId, table: Table, row: ChangeId) {
        if !row.is_some() {
            return;
        }
        let event = trace.event(id);
        let now = event.at;
        let Some(state) = self.state_mut(event.netns) else { return };
        match (table, &trace.changes[row.index()]) {
            (Table::Neighbor, TableChange::Neigh(row)) => {
                if let Some(entry) = state.neighbors.get_mut(&(row.ifindex, row.addr)) {
                    entry.used = now;
                }
            }
            (Table::BridgeFdb | Table::VxlanFdb, TableChange::Fdb(row)) => {
                if let Some(entry) = state.fdb_entry(row) {
                    entry.used = now;
                }
            }
            (Table::Netfilter, TableChange::Netfilter(NetfilterChange::Rule(row))) => {
                if let Some(rule) = state.netfilter.rules.get_mut(&row.handle) {
                    let packet = trace.frame_at(id).and_then(|frame| frame.ipv4());
                    rule.packets += 1;
                    rule.bytes += packet.map_or(0, |packet| packet.wire_len() as u64);
                }
            }
            (Table::Netfilter, TableChange::Netfilter(NetfilterChange::Chain(row))) => {
                let chain = state.netfilter.chains.get_mut(&(row.table, row.name.clone()));
                if let Some((packets, bytes)) = chain.and_then(|chain| chain.counters.as_mut()) {
                    let packet = trace.frame_at(id).and_then(|frame| frame.ipv4());
                    *packets += 1;
                    *bytes += packet.map_or(0, |packet| packet.wire_len() as u64);
                }
            }
            (Table::Xfrm, TableChange::Xfrm(XfrmChange::State(row))) => {
                let packet = trace.frame_at(id).and_then(|frame| frame.ipv4());
                if let Some(Body::Esp(esp)) = packet.map(|packet| &*packet.body) {
                    state.xfrm.used((row.dst, row.spi), esp.seq);
                }
            }
            (
                Table::Ipvs,
                TableChange::Netfilter(NetfilterChange::Ipvs(super::IpvsChange::Connection(row))),
            ) => {
                if let Some(connection) = state.netfilter.ipvs.connections.get_mut(&row.id) {
                    connection.seen = now;
                }
            }
            (Table::Conntrack, TableChange::Netfilter(NetfilterChange::Conntrack(row))) => {
                if let Some(connection) = state.netfilter.conntrack.get_mut(&row.id) {
                    connection.seen = now;
                }
            }
            _ => {}
        }
    }

    /// An Event reaches the API server, which makes no new one in a namespace that is going (`NamespaceLifecycle`); one
    /// that is there is counted on.
    fn hear(&mut self, now: SimTime, row: &KubeEventRow) {
        let namespace = self.objects.get(&ObjectKey::new("Namespace", "", &row.namespace));
        let goes = namespace.is_some_and(|namespace| namespace.deleted.is_some());
        if !goes || self.kube_events.iter().any(|(_, known)| known == row) {
            self.kube_events.push((now, row.clone()));
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of change")]
    fn apply(&mut self, trace: &Trace, event: EventId, id: ChangeId) {
        let now = self.now;
        match &trace.changes[id.index()] {
            TableChange::Netns(row) => {
                self.netns.insert(row.netns, Shared::from(NetnsState::new(row.clone())));
            }
            TableChange::NetnsGone(netns) => {
                self.netns.remove(netns);
            }
            TableChange::Node(row) => {
                self.nodes.insert(row.name.clone(), row.clone());
            }
            TableChange::NodeGone(name) => {
                self.nodes.remove(name);
            }
            TableChange::Pod(row) => {
                self.pods.insert((row.namespace.clone(), row.name.clone()), Shared::from((**row).clone()));
            }
            TableChange::PodGone(namespace, name) => {
                self.pods.remove(&(namespace.clone(), name.clone()));
            }
            TableChange::Object(row) => drop(self.objects.insert(row.key.clone(), row.clone())),
            TableChange::ObjectGone(key) => {
                self.objects.remove(key);
                if &*key.kind == "Namespace" {
                    self.kube_events.retain(|(_, row)| row.namespace != key.name);
                }
            }
            TableChange::KubeEvent(row) => self.hear(now, row),
            TableChange::Step(row) => self.steps.push((event, (**row).clone())),
            TableChange::Names(row) => self.names.push((event, (**row).clone())),
            TableChange::Ipc(change) => self.with(change.netns(), |state| state.ipc.apply(change)),
            TableChange::Tls(_) => {}
            TableChange::Process(row) => drop(self.processes.insert(row.process, (**row).clone())),
            TableChange::ProcessGone(process) => drop(self.processes.remove(process)),
            TableChange::Fault(row) => drop(self.faults.insert(row.number, row.clone())),
            TableChange::Xfrm(change) => self.with(change.netns(), |state| state.xfrm.apply(change)),
            TableChange::FaultGone(number) => drop(self.faults.remove(number)),
            TableChange::Link(row) => self.with(row.netns, |state| state.set_link(row)),
            TableChange::LinkGone(netns, ifindex) => self.with(*netns, |state| state.remove_link(*ifindex)),
            TableChange::Addr(row) => {
                self.with(row.netns, |state| (**row).clone().enter(&mut state.addrs));
            }
            TableChange::AddrGone(gone) => {
                self.with(gone.netns, |state| state.addrs.retain(|row| !row.is_same(gone)));
            }
            TableChange::Route(row) => self.with(row.netns, |state| state.add_route(id, *row)),
            TableChange::RouteBefore(row) => self.with(row.netns, |state| state.add_route_before(id, *row)),
            TableChange::FibRule(row) => self.with(row.netns, |state| state.add_rule(id, row)),
            TableChange::FibRuleGone(row) => self.with(row.netns, |state| state.remove_rule(row)),
            TableChange::Nexthop(change) => self.with(change.netns(), |state| state.change_nexthop(change)),
            TableChange::Proxy(change) => self.with(change.row().netns, |state| state.change_proxy(change)),
            TableChange::RouteLeg(row) => self.with(row.netns, |state| state.set_leg(row)),
            TableChange::RouteGone(row) => self.with(row.netns, |state| state.remove_route(row)),
            TableChange::Neigh(row) => self.with(row.netns, |state| state.set_neighbor(id, row, now)),
            TableChange::NeighGone(netns, ifindex, addr) => self.with(*netns, |state| {
                state.neighbors.remove(&(*ifindex, *addr));
            }),
            TableChange::Netfilter(change) => {
                self.with(netns_of(change), |state| state.netfilter.apply(id, change, now));
            }
            TableChange::Fdb(row) => self.with(row.netns, |state| state.set_fdb(id, row, now)),
            TableChange::Vlan(row) => self.with(row.netns, |state| {
                state.vlans.insert((row.ifindex, row.id), *row);
            }),
            TableChange::VlanGone(netns, ifindex, vlan) => self.with(*netns, |state| {
                state.vlans.remove(&(*ifindex, *vlan));
            }),
            TableChange::Exception(row) => self.with(row.netns, |state| {
                state.exceptions.insert(row.dst, *row);
            }),
            TableChange::Bpf(row) => self.with(row.netns, |state| state.set_bpf(id, row)),
            TableChange::BpfGone(row) => self.with(row.netns, |state| {
                state.bpf.retain(|(_, old)| (old.map, old.key) != (row.map, row.key));
            }),
            TableChange::Cilium(change) => self.with(change.netns(), |state| state.set_cilium(id, change)),
            TableChange::Sysctl(row) => self.with(row.netns, |state| {
                state.sysctls.insert(row.key.clone(), row.value.clone());
            }),
            TableChange::Socket(row) => self.with(row.netns, |state| {
                state.sockets.insert(row.socket, (**row).clone());
            }),
            TableChange::Service(change) => change.apply(&mut self.services, &mut self.slices),
            TableChange::SocketGone(netns, socket) => self.with(*netns, |state| {
                state.sockets.remove(socket);
            }),
            TableChange::FdbGone(row) => self.with(row.netns, |state| {
                state.fdb.retain(|entry| {
                    entry.row.mac != row.mac
                        || entry.row.vlan != row.vlan
                        || entry.row.master != row.master
                        || (row.master.is_none() && entry.row.ifindex != row.ifindex)
                });
            }),
        }
    }

    fn with(&mut self, netns: NetnsId, change: impl FnOnce(&mut NetnsState)) {
        if let Some(state) = self.state_mut(netns) {
            change(state);
        }
    }
}

impl NetnsState {
    fn set_link(&mut self, row: &LinkRow) {
        let handle = |link: &LinkRow| link.extra.qdisc.map(|qdisc| qdisc.handle);
        if self.links.get(&row.ifindex).and_then(handle) != handle(row) {
            self.qdiscs.remove(&row.ifindex);
        }
        self.links.insert(row.ifindex, row.clone());
    }

    fn remove_link(&mut self, ifindex: IfIndex) {
        self.links.remove(&ifindex);
        self.counters.remove(&ifindex);
        self.qdiscs.remove(&ifindex);
        self.addrs.retain(|row| row.ifindex != ifindex);
        self.routes.retain(|(_, row)| row.oif != Some(ifindex));
        self.neighbors.retain(|(at, _), _| *at != ifindex);
        self.vlans.retain(|(at, _), _| *at != ifindex);
        self.fdb.retain(|entry| entry.row.ifindex != ifindex && entry.row.master != Some(ifindex));
    }

    fn set_cilium(&mut self, id: ChangeId, change: &CiliumChange) {
        let same = |row: &PolicyRow, old: &PolicyRow| (old.ifindex, old.key) == (row.ifindex, row.key);
        match change {
            CiliumChange::Policy(row) => match self.policy_maps.iter_mut().find(|(_, old)| same(row, old)) {
                Some(entry) => *entry = (id, row.clone()),
                None => self.policy_maps.push((id, row.clone())),
            },
            CiliumChange::PolicyGone(row) => self.policy_maps.retain(|(_, old)| !same(row, old)),
            CiliumChange::Connection(row) => {
                self.bpf_connections.insert(*row, id);
            }
            CiliumChange::ConnectionGone(row) => {
                self.bpf_connections.remove(row);
            }
        }
    }

    fn set_bpf(&mut self, change: ChangeId, row: &BpfRow) {
        match self.bpf.iter_mut().find(|(_, old)| (old.map, old.key) == (row.map, row.key)) {
            Some(entry) => *entry = (change, *row),
            None => self.bpf.push((change, *row)),
        }
    }
}
