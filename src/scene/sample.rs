//! A small cluster and a cold ping across it, written down event by event as Linux does it, for the tests of this room.

use crate::base::{
    ChangeId, EventId, IfIndex, Ipv4Addr, JourneyId, MacAddr, NetnsId, PacketId, ProcessId, SimTime, SocketId,
};
use crate::trace::*;
use crate::wire::{Arp, ArpOp, Body, Frame, Icmp, Ipv4, Payload, Udp, UdpChecksum, UdpPayload, Vxlan};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const NODE1: NetnsId = NetnsId(0);
pub(crate) const NODE2: NetnsId = NetnsId(1);
pub(crate) const SWITCH: NetnsId = NetnsId(2);
pub(crate) const GW: NetnsId = NetnsId(3);
pub(crate) const POD_A: NetnsId = NetnsId(4);
pub(crate) const POD_C: NetnsId = NetnsId(5);
pub(crate) const POD_B: NetnsId = NetnsId(6);
pub(crate) const ETH0: IfIndex = IfIndex(2);
pub(crate) const CNI0: IfIndex = IfIndex(3);
pub(crate) const FLANNEL: IfIndex = IfIndex(4);
pub(crate) const VETH: IfIndex = IfIndex(5);

/// Writes a trace.
pub(crate) struct Scribe {
    pub(crate) trace: Trace,
    now: u64,
    last: BTreeMap<JourneyId, EventId>,
}

impl Scribe {
    fn new() -> Self {
        Self { trace: Trace::default(), now: 0, last: BTreeMap::new() }
    }

    fn push(
        &mut self,
        spot: (NetnsId, IfIndex),
        packet: PacketId,
        journey: JourneyId,
        kind: EventKind,
    ) -> EventId {
        let cause = self.last.get(&journey).copied().unwrap_or(EventId::NONE);
        let at = SimTime(self.now);
        let id = self.trace.push(Event { at, netns: spot.0, ifindex: spot.1, packet, journey, cause, kind });
        if journey.is_some() {
            self.last.insert(journey, id);
        }
        id
    }

    pub(crate) fn change(&mut self, netns: NetnsId, change: TableChange) -> ChangeId {
        let id = self.trace.record(change);
        self.push((netns, IfIndex::NONE), PacketId::NONE, JourneyId::NONE, EventKind::Changed(id));
        id
    }

    /// Begins a journey caused by another's last event.
    pub(crate) fn journey(&mut self, parent: Option<JourneyId>, relation: Relation) -> JourneyId {
        let id = self.trace.begin(JourneyInfo { parent, relation, process: ProcessId(0) });
        if let Some(cause) = parent.and_then(|parent| self.last.get(&parent)) {
            self.last.insert(id, *cause);
        }
        id
    }

    pub(crate) fn at(&mut self, us: u64) {
        self.now = us * 1_000;
    }
}

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

pub(crate) fn netns(s: &mut Scribe, netns: NetnsId, name: &str, role: NetnsRole) {
    s.change(netns, TableChange::Netns(NetnsRow { netns, name: name.into(), role }));
}

fn link(
    s: &mut Scribe,
    spot: (NetnsId, IfIndex),
    name: &str,
    kind: LinkKind,
    mac: MacAddr,
    master: Option<IfIndex>,
) {
    let port = master.map(|master| PortRow {
        master,
        number: 1,
        state: PortState::Forwarding,
        hairpin: true,
        learning: true,
        flood: true,
        extra: PortExtra::default(),
    });
    let mtu = if name == "lo" { 65_536 } else { 1_450 };
    let (netns, ifindex) = spot;
    let row = LinkRow {
        netns,
        ifindex,
        name: name.into(),
        kind,
        mac,
        mtu,
        up: true,
        carrier: true,
        txqlen: 0,
        port,
        extra: LinkExtra::default(),
    };
    s.change(netns, TableChange::Link(Box::new(row)));
}

fn addr(s: &mut Scribe, spot: (NetnsId, IfIndex), text: &str) {
    let (netns, ifindex) = spot;
    let row = AddrRow::new(netns, ifindex, text.parse().unwrap());
    s.change(netns, TableChange::Addr(Box::new(row)));
}

fn route(s: &mut Scribe, netns: NetnsId, dst: &str, via: Option<&str>, oif: IfIndex) -> ChangeId {
    let row = RouteRow {
        netns,
        table: 254,
        dst: dst.parse().unwrap(),
        kind: RouteKind::Unicast,
        gateway: via.map(|via| via.parse().unwrap()),
        oif: Some(oif),
        prefsrc: None,
        metric: 0,
        scope: if via.is_some() { Scope::Global } else { Scope::Link },
        protocol: RouteProtocol::Boot,
        onlink: oif == FLANNEL,
        metrics: RouteMetrics::default(),
        tos: 0,
        nhid: 0,
        leg: None,
    };
    s.change(netns, TableChange::Route(row))
}

fn neigh(s: &mut Scribe, spot: (NetnsId, IfIndex), addr: &str, to: &str, state: Nud) -> ChangeId {
    let row = NeighRow {
        netns: spot.0,
        ifindex: spot.1,
        addr: addr.parse().unwrap(),
        mac: Some(mac(to)),
        state,
        probes: 0,
        updated: SimTime(s.now),
        confirmed: SimTime(s.now),
    };
    s.change(spot.0, TableChange::Neigh(row))
}

/// A node with its devices and routes.
pub(crate) fn node(s: &mut Scribe, netns_id: NetnsId, n: u8, switch_port: IfIndex) {
    let name = format!("node{n}");
    netns(s, netns_id, &name, NetnsRole::Node);
    let row = NodeRow {
        name: name.into(),
        netns: netns_id,
        address: Ipv4Addr::new(192, 168, 1, 9 + n),
        pod_cidr: format!("10.244.{n}.0/24").parse().unwrap(),
        ready: true,
        unschedulable: false,
        labels: BTreeMap::new(),
        created: SimTime::ZERO,
        transitioned: SimTime::ZERO,
    };
    s.change(netns_id, TableChange::Node(row));
    let card = LinkKind::Physical { peer_netns: SWITCH, peer: switch_port };
    let local = Ipv4Addr::new(192, 168, 1, 9 + n);
    let vxlan = LinkKind::Vxlan { vni: 1, local, dev: ETH0, port: 8472, learning: false };
    link(s, (netns_id, IfIndex(1)), "lo", LinkKind::Loopback, MacAddr::ZERO, None);
    link(s, (netns_id, ETH0), "eth0", card, mac(&format!("02:00:c0:a8:01:{n:02x}")), None);
    link(s, (netns_id, CNI0), "cni0", LinkKind::Bridge { ageing_secs: 300 }, mac("16:15:f1:31:5b:60"), None);
    link(s, (netns_id, FLANNEL), "flannel.1", vxlan, mac(&format!("02:f1:0a:f4:{n:02x}:00")), None);
    addr(s, (netns_id, ETH0), &format!("192.168.1.{}/24", 9 + n));
    addr(s, (netns_id, CNI0), &format!("10.244.{n}.1/24"));
    addr(s, (netns_id, FLANNEL), &format!("10.244.{n}.0/32"));
    route(s, netns_id, &format!("10.244.{n}.0/24"), None, CNI0);
    let other = 3 - n.min(2);
    route(s, netns_id, &format!("10.244.{other}.0/24"), Some(&format!("10.244.{other}.0")), FLANNEL);
    route(s, netns_id, "192.168.1.0/24", None, ETH0);
    let far = format!("02:f1:0a:f4:{other:02x}:00");
    neigh(s, (netns_id, FLANNEL), &format!("10.244.{other}.0"), &far, Nud::Permanent);
    let row = FdbRow {
        vlan: 0,
        netns: netns_id,
        ifindex: FLANNEL,
        master: None,
        mac: mac(&far),
        permanent: true,
        is_static: false,
        dst: Some(Ipv4Addr::new(192, 168, 1, 9 + other)),
        updated: SimTime::ZERO,
    };
    s.change(netns_id, TableChange::Fdb(row));
}

/// A running Pod on a node, its veth at `port` of the node.
pub(crate) fn pod(
    s: &mut Scribe,
    netns_id: NetnsId,
    name: &str,
    node: (NetnsId, u8),
    ip: &str,
    port: IfIndex,
) {
    let role = NetnsRole::Pod { namespace: "default".into(), pod: name.into(), node: node.0 };
    netns(s, netns_id, &format!("default/{name}"), role);
    let own = mac("0a:58:0a:f4:01:0a");
    let inside = LinkKind::Veth { peer_netns: node.0, peer: port, peer_nsid: 0 };
    let outside = LinkKind::Veth { peer_netns: netns_id, peer: ETH0, peer_nsid: port.0 - VETH.0 };
    link(s, (netns_id, IfIndex(1)), "lo", LinkKind::Loopback, MacAddr::ZERO, None);
    link(s, (netns_id, ETH0), "eth0", inside, own, None);
    link(s, (node.0, port), &format!("vethd9f671{:02x}", netns_id.0), outside, own, Some(CNI0));
    addr(s, (netns_id, ETH0), &format!("{ip}/24"));
    route(s, netns_id, "0.0.0.0/0", Some(&format!("10.244.{}.1", node.1)), ETH0);
    let container = |name: &str, image: &str, ports: &[&str]| ContainerRow {
        ready: true,
        started: true,
        message: None,
        name: name.into(),
        image: image.into(),
        ports: ports.iter().map(|port| (*port).into()).collect(),
        init: false,
        sidecar: false,
        ephemeral: false,
        state: ContainerState::Running(SimTime::ZERO),
        restarts: 0,
        last: None,
        before: None,
        made: None,
    };
    let mut containers = vec![container("web", "nginx:1.27", &["80/TCP"])];
    if name == "c" {
        containers.push(container("log", "fluent/fluentd", &["24224/TCP"]));
    }
    let row = PodRow {
        message: None,
        conditions: Arc::new([]),
        namespace: "default".into(),
        name: name.into(),
        node: Some(format!("node{}", node.1).into()),
        nominated: None,
        netns: Some(netns_id),
        phase: PodPhase::Running,
        reason: None,
        ip: Some(ip.parse().unwrap()),
        host_ip: None,
        containers,
        labels: BTreeMap::new(),
        created: SimTime(s.now),
        deleting: false,
    };
    s.change(netns_id, TableChange::Pod(Box::new(row)));
}

/// Two nodes, a switch, a router; Pods a and c on node1, b on node2.
pub(crate) fn cluster() -> Scribe {
    let mut s = Scribe::new();
    netns(&mut s, SWITCH, "switch", NetnsRole::Switch);
    node(&mut s, NODE1, 1, IfIndex(2));
    node(&mut s, NODE2, 2, IfIndex(3));
    link(
        &mut s,
        (SWITCH, IfIndex(1)),
        "br0",
        LinkKind::Bridge { ageing_secs: 300 },
        mac("02:00:00:00:b0:00"),
        None,
    );
    for (port, name, peer) in [(2, "p-node1", NODE1), (3, "p-node2", NODE2), (4, "p-gw", GW)] {
        // The router's cable is a veth, as in a lab of namespaces.
        let kind = if peer == GW {
            LinkKind::Veth { peer_netns: peer, peer: ETH0, peer_nsid: 0 }
        } else {
            LinkKind::Physical { peer_netns: peer, peer: ETH0 }
        };
        link(&mut s, (SWITCH, IfIndex(port)), name, kind, MacAddr::ZERO, Some(IfIndex(1)));
    }
    netns(&mut s, GW, "gw", NetnsRole::Router);
    let cable = LinkKind::Veth { peer_netns: SWITCH, peer: IfIndex(4), peer_nsid: 0 };
    link(&mut s, (GW, ETH0), "eth0", cable, mac("02:00:c0:a8:01:01"), None);
    addr(&mut s, (GW, ETH0), "192.168.1.1/24");
    pod(&mut s, POD_A, "a", (NODE1, 1), "10.244.1.10", VETH);
    pod(&mut s, POD_C, "c", (NODE1, 1), "10.244.1.11", IfIndex(6));
    pod(&mut s, POD_B, "b", (NODE2, 2), "10.244.2.10", VETH);
    s
}

fn arp(op: ArpOp, from: (&str, &str), to: (&str, &str)) -> Frame {
    let target = if op == ArpOp::Request { MacAddr::ZERO } else { mac(to.0) };
    let arp = Arp {
        op,
        sender_mac: mac(from.0),
        sender_ip: from.1.parse().unwrap(),
        target_mac: target,
        target_ip: to.1.parse().unwrap(),
    };
    let dst = if op == ArpOp::Request { MacAddr::BROADCAST } else { mac(to.0) };
    Frame { dst, src: mac(from.0), payload: Payload::Arp(arp) }
}

fn ip(src: &str, dst: &str, ttl: u8, body: Arc<Body>) -> Ipv4 {
    Ipv4 {
        tos: 0,
        id: 51_486,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl,
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        options: None,
        body,
    }
}

const A: (&str, &str) = ("0a:58:0a:f4:01:0a", "10.244.1.10");
const BRIDGE1: (&str, &str) = ("16:15:f1:31:5b:60", "10.244.1.1");
const CARD1: (&str, &str) = ("02:00:c0:a8:01:01", "192.168.1.10");
const CARD2: (&str, &str) = ("02:00:c0:a8:01:02", "192.168.1.11");

fn frame(from: &str, to: &str, packet: Ipv4) -> Arc<Frame> {
    Arc::new(Frame { dst: mac(to), src: mac(from), payload: Payload::Ipv4(packet) })
}

impl Scribe {
    fn packet(&mut self, frame: Frame) -> PacketId {
        self.trace.store(Arc::new(frame))
    }

    /// The first change that records a route of `netns` to `dst`, and the like.
    fn find(&self, wanted: impl Fn(&TableChange) -> bool) -> ChangeId {
        ChangeId(self.trace.changes.iter().position(wanted).unwrap() as u32)
    }

    /// Pod a asks for its gateway, and the bridge floods the question to Pod c.
    fn first_arp(&mut self, parent: JourneyId) {
        let ask = self.journey(Some(parent), Relation::Resolution);
        let packet = self.packet(arp(ArpOp::Request, A, BRIDGE1));
        self.at(10);
        self.push((POD_A, ETH0), packet, ask, EventKind::Originated);
        self.push((POD_A, ETH0), packet, ask, EventKind::Transmitted);
        self.at(12);
        self.push((NODE1, VETH), packet, ask, EventKind::Received(PacketType::Broadcast));
        self.push((NODE1, VETH), packet, ask, EventKind::Decided(Table::BridgeFdb, ChangeId::NONE));
        let copy = self.journey(Some(ask), Relation::Copy);
        let back = self.journey(Some(ask), Relation::Copy);
        self.push((NODE1, CNI0), packet, ask, EventKind::Received(PacketType::Broadcast));
        self.push((NODE1, IfIndex(6)), packet, copy, EventKind::Transmitted);
        self.push((NODE1, VETH), packet, back, EventKind::Transmitted);
        self.at(14);
        self.push((POD_C, ETH0), packet, copy, EventKind::Received(PacketType::Broadcast));
        self.push(
            (POD_C, ETH0),
            packet,
            copy,
            EventKind::Ended(Disposition::Dropped(DropReason::ArpIgnored)),
        );
        self.push((POD_A, ETH0), packet, back, EventKind::Received(PacketType::Broadcast));
        self.push(
            (POD_A, ETH0),
            packet,
            back,
            EventKind::Ended(Disposition::Dropped(DropReason::ArpIgnored)),
        );
        self.push((NODE1, CNI0), packet, ask, EventKind::Ended(Disposition::Consumed));
        let answer = self.journey(Some(ask), Relation::Reply);
        let packet = self.packet(arp(ArpOp::Reply, BRIDGE1, A));
        self.at(20);
        self.push((NODE1, CNI0), packet, answer, EventKind::Originated);
        self.push((NODE1, CNI0), packet, answer, EventKind::Transmitted);
        self.push((NODE1, VETH), packet, answer, EventKind::Transmitted);
        self.at(22);
        self.push((POD_A, ETH0), packet, answer, EventKind::Received(PacketType::Host));
        neigh(self, (POD_A, ETH0), BRIDGE1.1, BRIDGE1.0, Nud::Reachable);
        self.push((POD_A, ETH0), packet, answer, EventKind::Ended(Disposition::Consumed));
    }

    fn forward(&mut self, netns: NetnsId, packet: PacketId, journey: JourneyId, route: ChangeId) {
        self.push((netns, CNI0), packet, journey, EventKind::Passed(Hook::Prerouting));
        self.push((netns, CNI0), packet, journey, EventKind::Decided(Table::Fib, route));
        self.push((netns, CNI0), packet, journey, EventKind::Passed(Hook::Forward));
        self.push((netns, CNI0), packet, journey, EventKind::Passed(Hook::Postrouting));
    }
}

/// Pod a pings Pod b with empty caches, until the request stands at Pod b. With `lost` the far node has no route
/// and drops it.
pub(crate) fn cold_ping(lost: bool) -> Trace {
    let mut s = cluster();
    s.at(1);
    s.push((POD_A, IfIndex::NONE), PacketId::NONE, JourneyId::NONE, EventKind::Started(ProcessId(0)));
    let echo = s.journey(None, Relation::Sent);
    let body = Arc::new(Body::Icmp(Icmp::EchoRequest { id: 7, seq: 1, data: vec![0; 56].into() }));
    let inner =
        |ttl, from: &str, to: &str| frame(from, to, ip("10.244.1.10", "10.244.2.10", ttl, body.clone()));
    let first = s.trace.store(inner(64, A.0, BRIDGE1.0));
    s.push((POD_A, ETH0), first, echo, EventKind::Originated);
    s.push((POD_A, ETH0), first, echo, EventKind::Queued);
    s.first_arp(echo);
    s.at(30);
    s.push((POD_A, ETH0), first, echo, EventKind::Transmitted);
    s.at(32);
    s.push((NODE1, VETH), first, echo, EventKind::Received(PacketType::OtherHost));
    s.push((NODE1, CNI0), first, echo, EventKind::Received(PacketType::Host));
    let to_far = |change: &TableChange| matches!(change, TableChange::Route(row) if row.netns == NODE1 && row.oif == Some(FLANNEL));
    let far = s.find(to_far);
    s.forward(NODE1, first, echo, far);
    let second = s.trace.store(inner(63, "02:f1:0a:f4:01:00", "02:f1:0a:f4:02:00"));
    s.at(40);
    s.push((NODE1, FLANNEL), second, echo, EventKind::Transmitted);
    let tunnel = s.find(|change| matches!(change, TableChange::Fdb(row) if row.netns == NODE1));
    s.push((NODE1, FLANNEL), second, echo, EventKind::Decided(Table::VxlanFdb, tunnel));
    let vxlan = Vxlan { vni: 1, inner: inner(63, "02:f1:0a:f4:01:00", "02:f1:0a:f4:02:00") };
    let udp = Udp {
        src_port: 37_858,
        dst_port: 8_472,
        checksum: UdpChecksum::Computed,
        payload: UdpPayload::Vxlan(vxlan),
    };
    let outer = frame(CARD1.0, CARD2.0, ip(CARD1.1, CARD2.1, 64, Arc::new(Body::Udp(udp))));
    let outer = s.trace.store(outer);
    s.push((NODE1, FLANNEL), outer, echo, EventKind::Encapsulated);
    s.push((NODE1, ETH0), outer, echo, EventKind::Passed(Hook::Output));
    s.push((NODE1, ETH0), outer, echo, EventKind::Passed(Hook::Postrouting));
    s.at(50);
    s.push((NODE1, ETH0), outer, echo, EventKind::Transmitted);
    s.push((SWITCH, IfIndex(2)), outer, echo, EventKind::Received(PacketType::OtherHost));
    s.push((SWITCH, IfIndex(3)), outer, echo, EventKind::Transmitted);
    s.at(60);
    s.push((NODE2, ETH0), outer, echo, EventKind::Received(PacketType::Host));
    s.push((NODE2, ETH0), outer, echo, EventKind::Passed(Hook::Prerouting));
    s.push((NODE2, ETH0), outer, echo, EventKind::Passed(Hook::Input));
    s.push((NODE2, FLANNEL), second, echo, EventKind::Decapsulated);
    s.push((NODE2, FLANNEL), second, echo, EventKind::Received(PacketType::Host));
    if lost {
        s.push((NODE2, FLANNEL), second, echo, EventKind::Decided(Table::Fib, ChangeId::NONE));
        let end = Disposition::Dropped(DropReason::IpInNoRoutes);
        s.push((NODE2, FLANNEL), second, echo, EventKind::Ended(end));
        return s.trace;
    }
    let own = |change: &TableChange| matches!(change, TableChange::Route(row) if row.netns == NODE2 && row.oif == Some(CNI0));
    let own = s.find(own);
    s.forward(NODE2, second, echo, own);
    let third = s.trace.store(inner(62, "16:15:f1:31:5b:60", A.0));
    s.at(70);
    s.push((NODE2, CNI0), third, echo, EventKind::Transmitted);
    s.push((NODE2, VETH), third, echo, EventKind::Transmitted);
    s.at(72);
    s.push((POD_B, ETH0), third, echo, EventKind::Received(PacketType::Host));
    s.push((POD_B, ETH0), third, echo, EventKind::Ended(Disposition::Delivered(SocketId(0))));
    s.trace
}
