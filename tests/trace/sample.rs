//! A trace built by hand: Pod `a` on node1 pings Pod `b` on node2, and the reply never comes.
//!
//! It holds one of nearly everything that can happen, not a faithful run.

use std::sync::Arc;
use vethscope::base::{
    ChangeId, EventId, IfIndex, Ipv4Addr, JourneyId, MacAddr, NetnsId, PacketId, ProcessId, SimTime,
};
use vethscope::trace::{
    Disposition, DropReason, Event, EventKind, FdbRow, Hook, JourneyInfo, LinkKind, LinkRow, NeighRow,
    NetnsRole, NetnsRow, Nud, Output, PacketType, PortRow, PortState, Relation, RouteKind, RouteProtocol,
    RouteRow, Scope, StepRow, Steps, Stream, Table, TableChange, Trace,
};
use vethscope::wire::{
    Arp, ArpOp, Body, Bytes, Frame, Icmp, Ipv4, Payload, Udp, UdpChecksum, UdpPayload, Vxlan,
};

const POD: NetnsId = NetnsId(0);
const NODE1: NetnsId = NetnsId(1);
const NODE2: NetnsId = NetnsId(2);
const ETH0: IfIndex = IfIndex(2);
const CNI0: IfIndex = IfIndex(3);
const VETH: IfIndex = IfIndex(4);
const FLANNEL: IfIndex = IfIndex(5);

struct Builder {
    trace: Trace,
    now: u64,
    at: (NetnsId, IfIndex),
    packet: PacketId,
    journey: JourneyId,
    cause: EventId,
}

impl Builder {
    fn event(&mut self, kind: EventKind) -> EventId {
        let event = Event {
            at: SimTime(self.now),
            netns: self.at.0,
            ifindex: self.at.1,
            packet: self.packet,
            journey: self.journey,
            cause: self.cause,
            kind,
        };
        self.cause = self.trace.push(event);
        self.now += 1_500;
        self.cause
    }

    fn at(&mut self, netns: NetnsId, ifindex: IfIndex) -> &mut Self {
        self.at = (netns, ifindex);
        self
    }

    fn sees(&mut self, frame: &Frame) -> &mut Self {
        self.packet = self.trace.store(Arc::new(frame.clone()));
        self
    }

    fn change(&mut self, change: TableChange) -> ChangeId {
        let id = self.trace.record(change);
        self.event(EventKind::Changed(id));
        id
    }

    fn begin(&mut self, parent: Option<JourneyId>, relation: Relation) {
        self.journey = self.trace.begin(JourneyInfo { parent, relation, process: ProcessId(0) });
    }
}

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn netns(netns: NetnsId, name: &str, role: NetnsRole) -> TableChange {
    TableChange::Netns(NetnsRow { netns, name: name.into(), role })
}

fn link(netns: NetnsId, ifindex: IfIndex, name: &str, kind: LinkKind) -> LinkRow {
    LinkRow {
        netns,
        ifindex,
        name: name.into(),
        kind,
        mac: mac("02:00:00:00:00:01"),
        mtu: 1450,
        up: true,
        carrier: true,
        txqlen: 1000,
        port: None,
        extra: vethscope::trace::LinkExtra::default(),
    }
}

fn route(netns: NetnsId, dst: &str, gateway: Option<&str>, oif: IfIndex) -> RouteRow {
    RouteRow {
        netns,
        table: 254,
        dst: dst.parse().unwrap(),
        kind: RouteKind::Unicast,
        gateway: gateway.map(ip),
        oif: Some(oif),
        prefsrc: None,
        metric: 0,
        scope: Scope::Global,
        protocol: RouteProtocol::Boot,
        onlink: false,
        metrics: vethscope::trace::RouteMetrics::default(),
        tos: 0,
        nhid: 0,
        leg: None,
    }
}

fn neighbor(netns: NetnsId, ifindex: IfIndex, addr: &str, state: Nud) -> NeighRow {
    NeighRow {
        netns,
        ifindex,
        addr: ip(addr),
        mac: (state != Nud::Incomplete).then(|| mac("02:f1:0a:f4:02:00")),
        state,
        probes: 0,
        updated: SimTime::ZERO,
        confirmed: SimTime::ZERO,
    }
}

fn packet(src: &str, dst: &str, ttl: u8, body: Body) -> Ipv4 {
    Ipv4 {
        tos: 0,
        id: 0x1234,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl,
        src: ip(src),
        dst: ip(dst),
        options: None,
        body: Arc::new(body),
    }
}

fn ping(ttl: u8) -> Frame {
    let data = Bytes::from((0..56).collect::<Vec<u8>>());
    let echo = Body::Icmp(Icmp::EchoRequest { id: 7, seq: 1, data });
    Frame {
        dst: mac("02:f1:0a:f4:02:00"),
        src: mac("0a:58:0a:f4:01:0a"),
        payload: Payload::Ipv4(packet("10.244.1.10", "10.244.2.10", ttl, echo)),
    }
}

fn tunnelled(inner: Frame) -> Frame {
    let udp = Udp {
        src_port: 37858,
        dst_port: 8472,
        checksum: UdpChecksum::Computed,
        payload: UdpPayload::Vxlan(Vxlan { vni: 1, inner: Arc::new(inner) }),
    };
    Frame {
        dst: mac("02:00:c0:a8:01:0b"),
        src: mac("02:00:c0:a8:01:0a"),
        payload: Payload::Ipv4(packet("192.168.1.10", "192.168.1.11", 64, Body::Udp(udp))),
    }
}

fn who_has() -> Frame {
    Frame {
        dst: MacAddr::BROADCAST,
        src: mac("0a:58:0a:f4:01:0a"),
        payload: Payload::Arp(Arp {
            op: ArpOp::Request,
            sender_mac: mac("0a:58:0a:f4:01:0a"),
            sender_ip: ip("10.244.1.10"),
            target_mac: MacAddr::ZERO,
            target_ip: ip("10.244.1.1"),
        }),
    }
}

/// The trace, and the index of the event with which the command begins.
pub(crate) fn sample() -> (Trace, usize) {
    let mut builder = Builder {
        trace: Trace::default(),
        now: 1_000_000,
        at: (NetnsId::NONE, IfIndex::NONE),
        packet: PacketId::NONE,
        journey: JourneyId::NONE,
        cause: EventId::NONE,
    };
    links(&mut builder);
    builder.cause = EventId::NONE;
    builder.at(POD, IfIndex::NONE);
    let start = builder.event(EventKind::Started(ProcessId(0))).index();
    resolve(&mut builder);
    forward(&mut builder);
    builder.journey = JourneyId::NONE;
    builder.packet = PacketId::NONE;
    builder.at(POD, IfIndex::NONE);
    let text = "1 packets transmitted, 0 received\n".to_string();
    let output = builder.trace.write(Output { process: ProcessId(0), stream: Stream::Stdout, text });
    builder.event(EventKind::Wrote(output));
    builder.event(EventKind::Exited(ProcessId(0), 1));
    (builder.trace, start)
}

fn links(builder: &mut Builder) {
    let pod = NetnsRole::Pod { namespace: "default".into(), pod: "a".into(), node: NODE1 };
    builder.change(netns(NODE1, "node1", NetnsRole::Node));
    builder.change(netns(NODE2, "node2", NetnsRole::Node));
    builder.change(netns(POD, "default/a", pod));
    let peer_of = |peer_netns, peer| LinkKind::Veth { peer_netns, peer, peer_nsid: 0 };
    builder.change(TableChange::Link(Box::new(link(POD, ETH0, "eth0", peer_of(NODE1, VETH)))));
    let port = PortRow {
        master: CNI0,
        number: 1,
        state: PortState::Forwarding,
        hairpin: true,
        learning: true,
        flood: true,
        extra: vethscope::trace::PortExtra::default(),
    };
    let veth = link(NODE1, VETH, "veth1234", peer_of(POD, ETH0));
    builder.change(TableChange::Link(Box::new(LinkRow { port: Some(port), ..veth })));
    builder.change(TableChange::Link(Box::new(link(
        NODE1,
        CNI0,
        "cni0",
        LinkKind::Bridge { ageing_secs: 300 },
    ))));
    let tunnel =
        LinkKind::Vxlan { vni: 1, local: ip("192.168.1.10"), dev: ETH0, port: 8472, learning: false };
    builder.change(TableChange::Link(Box::new(link(NODE1, FLANNEL, "flannel.1", tunnel))));
    let cable = |peer_netns| LinkKind::Physical { peer_netns, peer: ETH0 };
    builder.change(TableChange::Link(Box::new(link(NODE1, ETH0, "eth0", cable(NODE2)))));
    builder.change(TableChange::Link(Box::new(link(NODE2, ETH0, "eth0", cable(NODE1)))));
    let step = StepRow {
        namespace: "default".into(),
        pod: "a".into(),
        steps: Steps::Creation,
        number: 1,
        request: None,
        result: None,
        args: vec!["a".to_string(), "node1".to_string()],
    };
    builder.change(TableChange::Step(Box::new(step)));
}

/// The ping is made and waits for the gateway's address.
fn resolve(builder: &mut Builder) {
    builder.at(POD, ETH0);
    let default = builder.change(TableChange::Route(route(POD, "0.0.0.0/0", Some("10.244.1.1"), ETH0)));
    let cluster = builder.change(TableChange::Route(route(POD, "10.244.0.0/16", Some("10.244.1.1"), ETH0)));
    assert!(default < cluster);
    builder.begin(None, Relation::Sent);
    builder.sees(&ping(64)).event(EventKind::Originated);
    builder.event(EventKind::Decided(Table::Fib, cluster));
    builder.event(EventKind::Decided(Table::Neighbor, ChangeId::NONE));
    let queued = builder.event(EventKind::Queued);
    builder.begin(Some(JourneyId(0)), Relation::Resolution);
    builder.sees(&who_has()).event(EventKind::Originated);
    builder.event(EventKind::Transmitted);
    builder.at(NODE1, VETH).event(EventKind::Received(PacketType::Broadcast));
    builder.event(EventKind::Decided(Table::BridgeFdb, ChangeId::NONE));
    builder.at(NODE1, CNI0).event(EventKind::Received(PacketType::Broadcast));
    builder.event(EventKind::Ended(Disposition::Consumed));
    builder.at(POD, ETH0);
    let known = builder.change(TableChange::Neigh(neighbor(POD, ETH0, "10.244.1.1", Nud::Reachable)));
    builder.journey = JourneyId(0);
    builder.cause = queued;
    builder.sees(&ping(64)).event(EventKind::Decided(Table::Neighbor, known));
    builder.event(EventKind::Transmitted);
}

/// The node forwards the ping into the tunnel; the other node drops it.
fn forward(builder: &mut Builder) {
    let overlay = RouteRow { onlink: true, ..route(NODE1, "10.244.2.0/24", Some("10.244.2.0"), FLANNEL) };
    builder.at(NODE1, VETH).event(EventKind::Received(PacketType::OtherHost));
    builder.at(NODE1, CNI0).event(EventKind::Received(PacketType::Host));
    builder.event(EventKind::Passed(Hook::Prerouting));
    let overlay = builder.change(TableChange::Route(overlay));
    builder.event(EventKind::Decided(Table::Fib, overlay));
    let programmed =
        builder.change(TableChange::Neigh(neighbor(NODE1, FLANNEL, "10.244.2.0", Nud::Permanent)));
    builder.at(NODE1, FLANNEL).sees(&ping(63));
    builder.event(EventKind::Decided(Table::Neighbor, programmed));
    builder.event(EventKind::Transmitted);
    let entry = builder.change(TableChange::Fdb(FdbRow {
        vlan: 0,
        netns: NODE1,
        ifindex: FLANNEL,
        master: None,
        mac: mac("02:f1:0a:f4:02:00"),
        permanent: true,
        is_static: false,
        dst: Some(ip("192.168.1.11")),
        updated: SimTime::ZERO,
    }));
    builder.event(EventKind::Decided(Table::VxlanFdb, entry));
    builder.sees(&tunnelled(ping(63))).event(EventKind::Encapsulated);
    builder.at(NODE1, ETH0).event(EventKind::Transmitted);
    builder.at(NODE2, ETH0).event(EventKind::Received(PacketType::Host));
    builder.event(EventKind::Ended(Disposition::Dropped(DropReason::VxlanVniNotFound)));
}
