//! The trace as JSON, for programs.
//!
//! The top is an object with two lists, `events` and `journeys`. Names are in camel case and stay as they are; what
//! does not apply is left out. Times are nanoseconds since the first event shown, packets are decoded down to the
//! innermost layer, and table rows stand as the real tools print them.

mod tunnel;

pub use tunnel::{EspJson, GreJson, IgmpJson, StpJson, TunnelJson, VlanJson};

use super::format::{Selection, row_text};
use super::service_path::{self, ServiceFact};
use super::{
    Disposition, Event, EventKind, JourneyInfo, PacketType, Relation, Stream, Surroundings, Table, Trace,
    explain,
};
use crate::base::words::{self, Lang};
use crate::base::{EventId, Ipv4Addr, JourneyId, MacAddr};
use crate::wire::{Body, Frame, Icmp, Ipv4, Payload, Quote, Tcp, TcpFlags, UdpChecksum, UdpPayload};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub struct TraceJson {
    /// What happened, in order.
    pub events: Vec<EventJson>,
    /// The journeys that these events are part of.
    pub journeys: Vec<JourneyJson>,
}

impl fmt::Display for TraceJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// One event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventJson {
    /// Number of the event in the whole trace.
    pub id: u32,
    /// Nanoseconds since the first event shown.
    pub time_ns: u64,
    /// `originated`, `transmitted`, `received`, `passed`, `decided`, `changed`, `queued`, `encapsulated`,
    /// `decapsulated`, `ended`, `wrote`, `started` or `exited`.
    pub kind: &'static str,
    /// Network namespace, as `node1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Interface, as `cni0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// `in` or `out`, where a tap at the interface would see the frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    /// How a received frame was addressed: `host`, `broadcast`, `multicast` or `otherhost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_type: Option<&'static str>,
    /// Number of the journey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journey: Option<u32>,
    /// Number of the event that this one follows from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<u32>,
    /// The netfilter hook, as `FORWARD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<&'static str>,
    /// The table that decided: `fib`, `neighbor`, `bridgeFdb`, `vxlanFdb`, `netfilter` or `conntrack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<&'static str>,
    /// The row that decided, came or went, as the real tool prints it, with the table's name before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// What that row says about a Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceFact>,
    /// How the journey ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<DispositionJson>,
    /// What a process wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputJson>,
    /// Exit status of the process that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<u8>,
    /// The frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<PacketJson>,
    /// One sentence that explains it.
    pub why: String,
}

/// How a journey ended.
#[derive(Clone, Debug, Serialize)]
pub struct DispositionJson {
    /// `delivered`, `consumed`, `dropped`, `fragmented`, `reassembled` or `loop`.
    pub kind: &'static str,
    /// Of a drop: the kernel's word, or ours where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Of a drop: what that means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of a drop: what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What a process wrote.
#[derive(Clone, Debug, Serialize)]
pub struct OutputJson {
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The text.
    pub text: String,
}

/// One journey: the way of one packet from its making to its end.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JourneyJson {
    /// Number of the journey.
    pub id: u32,
    /// `sent`, `reply`, `resolution`, `error`, `copy`, `fragment` or `unasked`.
    pub relation: &'static str,
    /// The journey that gave rise to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// Its events among those shown.
    pub events: Vec<u32>,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<DispositionJson>,
}

/// A frame, decoded.
#[derive(Clone, Debug, Serialize)]
pub struct PacketJson {
    /// The line that tcpdump prints.
    pub line: String,
    /// Length in bytes.
    pub length: usize,
    /// The bytes in hexadecimal.
    pub hex: String,
    /// The layers.
    #[serde(flatten)]
    pub frame: FrameJson,
}

/// The layers of a frame.
#[derive(Clone, Debug, Serialize)]
pub struct FrameJson {
    /// The Ethernet header.
    pub ethernet: EthernetJson,
    /// The ARP packet, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arp: Option<ArpJson>,
    /// The VLAN tags, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlan: Vec<VlanJson>,
    /// The spanning tree packet, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stp: Option<StpJson>,
    /// The IPv4 packet, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Json>,
}

/// An Ethernet header.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EthernetJson {
    /// Destination address.
    pub destination: MacAddr,
    /// Source address.
    pub source: MacAddr,
    /// EtherType.
    pub ether_type: u16,
}

/// An ARP packet.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArpJson {
    /// Operation: 1 request, 2 reply.
    pub operation: u16,
    /// Sender hardware address.
    pub sender_mac: MacAddr,
    /// Sender protocol address.
    pub sender_ip: Ipv4Addr,
    /// Target hardware address.
    pub target_mac: MacAddr,
    /// Target protocol address.
    pub target_ip: Ipv4Addr,
}

/// An IPv4 packet.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ipv4Json {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// Protocol number.
    pub protocol: u8,
    /// Identification.
    pub identification: u16,
    /// Total length in bytes.
    pub total_length: usize,
    /// Type of service.
    pub tos: u8,
    /// Flag DF.
    pub dont_fragment: bool,
    /// Flag MF.
    pub more_fragments: bool,
    /// Fragment offset in bytes.
    pub fragment_offset: u32,
    /// The ICMP message, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<IcmpJson>,
    /// The UDP datagram, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp: Option<UdpJson>,
    /// TCP, if the packet carries that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpJson>,
    /// The tunnelled or group packet, if it is one.
    #[serde(flatten)]
    pub tunnel: Option<TunnelJson>,
}

/// An ICMP message.
#[derive(Clone, Debug, Serialize)]
pub struct IcmpJson {
    /// Type.
    #[serde(rename = "type")]
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier of an echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<u16>,
    /// Sequence number of an echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u16>,
    /// Next-hop MTU of "fragmentation needed".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// What an error quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quoted: Option<QuoteJson>,
    /// Length of what follows the header, in bytes.
    pub data: usize,
}

/// The packet that an ICMP error quotes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteJson {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Time to live when the error arose.
    pub ttl: u8,
    /// Protocol number.
    pub protocol: u8,
    /// Total length in bytes of the whole packet.
    pub total_length: u16,
}

/// A UDP datagram.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UdpJson {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Length in bytes, header included.
    pub length: usize,
    /// Whether the checksum is filled in.
    pub checksummed: bool,
    /// The VXLAN packet, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vxlan: Option<VxlanJson>,
}

/// A TCP segment.
#[derive(Clone, Debug, Serialize)]
pub struct TcpJson {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number, with ACK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledgment: Option<u32>,
    /// The flags as tcpdump writes them, `S.` for SYN and ACK.
    pub flags: String,
    /// Window as in the header, not scaled.
    pub window: u16,
    /// The options as tcpdump writes them.
    pub options: Vec<String>,
    /// Bytes of data.
    pub data: usize,
}

/// A VXLAN packet.
#[derive(Clone, Debug, Serialize)]
pub struct VxlanJson {
    /// Network identifier.
    pub vni: u32,
    /// The frame inside.
    pub inner: Box<FrameJson>,
}

/// The selected events and their journeys.
pub fn json(trace: &Trace, selection: impl Into<Selection>) -> TraceJson {
    let selection = selection.into();
    let mut around = Surroundings::default();
    let began = selection.began(trace);
    let mut journeys: BTreeMap<JourneyId, Vec<u32>> = BTreeMap::new();
    let mut events = Vec::new();
    for (id, event) in selection.events(trace) {
        around.advance(trace, id.index() + 1);
        if event.journey.is_some() {
            journeys.entry(event.journey).or_default().push(id.0);
        }
        let why = explain::why_in(trace, &around, id, Lang::En);
        events.push(EventJson {
            why,
            time_ns: event.at.since(began).0,
            ..event_json(trace, &around, id, event)
        });
    }
    let journeys = journeys
        .into_iter()
        .map(|(id, events)| journey_json(trace, id, trace.journeys[id.index()], events))
        .collect();
    TraceJson { events, journeys }
}

fn event_json(trace: &Trace, around: &Surroundings, id: EventId, event: &Event) -> EventJson {
    let mut json = EventJson {
        id: id.0,
        time_ns: 0,
        kind: "originated",
        namespace: event.netns.is_some().then(|| around.netns(event.netns).to_string()),
        interface: event.ifindex.is_some().then(|| around.ifname(event.netns, event.ifindex).to_string()),
        direction: None,
        packet_type: None,
        journey: event.journey.is_some().then_some(event.journey.0),
        cause: event.cause.is_some().then_some(event.cause.0),
        hook: None,
        table: None,
        row: None,
        service: None,
        disposition: None,
        output: None,
        exit_status: None,
        packet: trace.frame_of(event).map(|frame| packet_json(frame)),
        why: String::new(),
    };
    match event.kind {
        EventKind::Originated => {}
        EventKind::Transmitted => (json.kind, json.direction) = ("transmitted", Some("out")),
        EventKind::Received(packet_type) => {
            (json.kind, json.direction) = ("received", Some("in"));
            json.packet_type = Some(packet_type_name(packet_type));
        }
        EventKind::Passed(hook) => (json.kind, json.hook) = ("passed", Some(explain::hook_name(hook))),
        EventKind::Decided(table, row) => {
            (json.kind, json.table) = ("decided", Some(table_name(table)));
            json.row = row.is_some().then(|| row_text(around, &trace.changes[row.index()])).flatten();
            json.service =
                row.is_some().then(|| service_path::of_change(&trace.changes[row.index()])).flatten();
        }
        EventKind::Changed(change) => {
            json.kind = "changed";
            json.row = row_text(around, &trace.changes[change.index()]);
            json.service = service_path::of_socket(&trace.changes[change.index()]);
        }
        EventKind::Queued => json.kind = "queued",
        EventKind::Encapsulated => json.kind = "encapsulated",
        EventKind::Decapsulated => json.kind = "decapsulated",
        EventKind::Ended(disposition) => {
            (json.kind, json.disposition) = ("ended", Some(disposition_json(disposition)));
        }
        EventKind::Wrote(output) => {
            let output = &trace.outputs[output.index()];
            let stream = match output.stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
                Stream::Echo => "echo",
            };
            json.kind = "wrote";
            json.output = Some(OutputJson { stream, text: output.text.clone() });
        }
        EventKind::Started(_) => json.kind = "started",
        EventKind::Exited(_, status) => (json.kind, json.exit_status) = ("exited", Some(status)),
    }
    json
}

fn packet_type_name(packet_type: PacketType) -> &'static str {
    match packet_type {
        PacketType::Host => "host",
        PacketType::Broadcast => "broadcast",
        PacketType::Multicast => "multicast",
        PacketType::OtherHost => "otherhost",
    }
}

fn table_name(table: Table) -> &'static str {
    match table {
        Table::Fib => "fib",
        Table::Neighbor => "neighbor",
        Table::BridgeFdb => "bridgeFdb",
        Table::VxlanFdb => "vxlanFdb",
        Table::Netfilter => "netfilter",
        Table::Conntrack => "conntrack",
        Table::Ipvs => "ipvs",
        Table::Bpf => "bpf",
        Table::Qdisc => "qdisc",
        Table::Xfrm => "xfrm",
    }
}

fn relation_name(relation: Relation) -> &'static str {
    match relation {
        Relation::Sent => "sent",
        Relation::Reply => "reply",
        Relation::Resolution => "resolution",
        Relation::Error => "error",
        Relation::Copy => "copy",
        Relation::Fragment => "fragment",
        Relation::Unasked => "unasked",
    }
}

fn disposition_json(disposition: Disposition) -> DispositionJson {
    let mut json = DispositionJson { kind: "delivered", reason: None, text: None, remedy: None };
    match disposition {
        Disposition::Delivered(_) => {}
        Disposition::Consumed => json.kind = "consumed",
        Disposition::Dropped(reason) => {
            json.kind = "dropped";
            json.reason = Some(reason.name());
            json.text = Some(words::word(Lang::En, reason.key()));
            json.remedy = Some(words::word(Lang::En, &format!("{}.remedy", reason.key())));
        }
        Disposition::Fragmented => json.kind = "fragmented",
        Disposition::Reassembled => json.kind = "reassembled",
        Disposition::Loop => json.kind = "loop",
    }
    json
}

fn journey_json(trace: &Trace, id: JourneyId, info: JourneyInfo, events: Vec<u32>) -> JourneyJson {
    let end = events.iter().rev().find_map(|event| match trace.event(EventId(*event)).kind {
        EventKind::Ended(disposition) => Some(disposition),
        EventKind::Originated
        | EventKind::Transmitted
        | EventKind::Received(_)
        | EventKind::Passed(_)
        | EventKind::Decided(..)
        | EventKind::Changed(_)
        | EventKind::Queued
        | EventKind::Encapsulated
        | EventKind::Decapsulated
        | EventKind::Wrote(_)
        | EventKind::Started(_)
        | EventKind::Exited(..) => None,
    });
    JourneyJson {
        id: id.0,
        relation: relation_name(info.relation),
        parent: info.parent.map(|parent| parent.0),
        events,
        disposition: end.map(disposition_json),
    }
}

fn packet_json(frame: &Frame) -> PacketJson {
    let hex = frame.emit().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
        hex
    });
    PacketJson { line: frame.to_string(), length: frame.wire_len(), hex, frame: frame_json(frame) }
}

fn frame_json(frame: &Frame) -> FrameJson {
    let arp = match frame.inner_payload() {
        Payload::Arp(arp) => Some(ArpJson {
            operation: arp.op.code(),
            sender_mac: arp.sender_mac,
            sender_ip: arp.sender_ip,
            target_mac: arp.target_mac,
            target_ip: arp.target_ip,
        }),
        Payload::Ipv4(_) | Payload::Vlan(_) | Payload::Bpdu(_) | Payload::Other { .. } => None,
    };
    let ethernet =
        EthernetJson { destination: frame.dst, source: frame.src, ether_type: frame.payload.ethertype() };
    let (vlan, stp) = (tunnel::vlans(frame), tunnel::stp(frame));
    FrameJson { ethernet, arp, vlan, stp, ipv4: frame.inner_ipv4().map(ipv4_json) }
}

fn ipv4_json(packet: &Ipv4) -> Ipv4Json {
    let (icmp, udp, tcp) = match &*packet.body {
        Body::Icmp(icmp) => (Some(icmp_json(icmp)), None, None),
        Body::Tcp(tcp) => (None, None, Some(tcp_json(tcp))),
        Body::Udp(udp) => {
            let vxlan = match &udp.payload {
                UdpPayload::Vxlan(vxlan) => {
                    Some(VxlanJson { vni: vxlan.vni, inner: Box::new(frame_json(&vxlan.inner)) })
                }
                UdpPayload::Data(_) => None,
            };
            let udp = UdpJson {
                source_port: udp.src_port,
                destination_port: udp.dst_port,
                length: udp.wire_len(),
                checksummed: udp.checksum == UdpChecksum::Computed,
                vxlan,
            };
            (None, Some(udp), None)
        }
        Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => (None, None, None),
    };
    Ipv4Json {
        source: packet.src,
        destination: packet.dst,
        ttl: packet.ttl,
        protocol: packet.protocol(),
        identification: packet.id,
        total_length: packet.wire_len(),
        tos: packet.tos,
        dont_fragment: packet.dont_fragment,
        more_fragments: packet.more_fragments,
        fragment_offset: u32::from(packet.fragment_offset) * 8,
        icmp,
        udp,
        tcp,
        tunnel: tunnel::tunnel(packet),
    }
}

fn tcp_json(tcp: &Tcp) -> TcpJson {
    TcpJson {
        source_port: tcp.src_port,
        destination_port: tcp.dst_port,
        sequence: tcp.seq,
        acknowledgment: tcp.flags.contains(TcpFlags::ACK).then_some(tcp.ack),
        flags: tcp.flags.to_string(),
        window: tcp.window,
        options: tcp.options().iter().map(ToString::to_string).collect(),
        data: tcp.data.len(),
    }
}

fn icmp_json(icmp: &Icmp) -> IcmpJson {
    let (kind, code) = icmp.kind_and_code();
    let (mut identifier, mut sequence, mut mtu) = (None, None, None);
    match icmp {
        Icmp::EchoRequest { id, seq, .. } | Icmp::EchoReply { id, seq, .. } => {
            (identifier, sequence) = (Some(*id), Some(*seq));
        }
        Icmp::DestinationUnreachable { code: 4, mtu: next_hop, .. } => mtu = Some(*next_hop),
        Icmp::DestinationUnreachable { .. } | Icmp::TimeExceeded { .. } | Icmp::Other { .. } => {}
    }
    let quote = if icmp.is_error() { Quote::read(icmp.data()) } else { None };
    let quoted = quote.map(|quote| QuoteJson {
        source: quote.src,
        destination: quote.dst,
        ttl: quote.ttl,
        protocol: quote.protocol,
        total_length: quote.total_len,
    });
    IcmpJson { kind, code, identifier, sequence, mtu, quoted, data: icmp.data().len() }
}
