//! How a packet looks from outside: its protocol as shape and colour, and whether it travels inside a tunnel.

use crate::trace::{Disposition, DropReason, Event, EventKind, IpcChange, TableChange, Trace};
use crate::wire::{ArpOp, Body, Frame, Inner, Ipv4, Payload, Udp, UdpPayload};

/// The protocol that decides shape and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// ARP: a diamond.
    Arp,
    /// ICMP: a circle.
    Icmp,
    /// TCP: a square.
    Tcp,
    /// UDP, and DNS over it: a hexagon.
    Udp,
    /// Anything else: a triangle.
    Other,
}

impl Protocol {
    /// All protocols that have a look of their own.
    pub const ALL: [Self; 5] = [Self::Arp, Self::Icmp, Self::Tcp, Self::Udp, Self::Other];

    /// Its name in keys and class names.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Other => "other",
        }
    }
}

/// How a packet looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketLook {
    /// The protocol of the innermost packet.
    pub protocol: Protocol,
    /// Bytes that a tunnel adds around it.
    pub tunnel: Option<usize>,
    /// What is written on it: an ICMP type, `?` and `!` for ARP's question and answer, and nothing otherwise.
    pub mark: Mark,
}

/// What is written on a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Nothing.
    None,
    /// An ARP request.
    Asks,
    /// An ARP reply.
    Answers,
    /// An ICMP type.
    Type(u8),
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Asks => f.write_str("?"),
            Self::Answers => f.write_str("!"),
            Self::Type(kind) => write!(f, "{kind}"),
        }
    }
}

/// How `frame` looks.
pub fn look_of(frame: &Frame) -> PacketLook {
    look_of_payload(frame.inner_payload(), frame.wire_len())
}

/// How a payload looks that stands in a frame of `wire_len` bytes.
fn look_of_payload(payload: &Payload, wire_len: usize) -> PacketLook {
    let plain = |protocol, mark| PacketLook { protocol, tunnel: None, mark };
    match payload {
        Payload::Arp(arp) => plain(
            Protocol::Arp,
            match arp.op {
                ArpOp::Request => Mark::Asks,
                ArpOp::Reply => Mark::Answers,
                ArpOp::Other(_) => Mark::None,
            },
        ),
        Payload::Ipv4(packet) => match &*packet.body {
            Body::Icmp(icmp) => plain(Protocol::Icmp, Mark::Type(icmp.kind_and_code().0)),
            Body::Tcp(_) => plain(Protocol::Tcp, Mark::None),
            Body::Udp(Udp { payload: UdpPayload::Data(_), .. }) => plain(Protocol::Udp, Mark::None),
            Body::Udp(_) | Body::Ipip(_) | Body::Gre(_) => look_of_tunnel(packet, wire_len),
            // What ESP carries cannot be seen.
            Body::Igmp(_) | Body::Esp(_) => plain(Protocol::Other, Mark::None),
            Body::Raw { protocol, .. } => plain(
                match protocol {
                    1 => Protocol::Icmp,
                    6 => Protocol::Tcp,
                    17 => Protocol::Udp,
                    _ => Protocol::Other,
                },
                Mark::None,
            ),
        },
        Payload::Vlan(_) | Payload::Bpdu(_) | Payload::Other { .. } => plain(Protocol::Other, Mark::None),
    }
}

fn look_of_tunnel(packet: &Ipv4, wire_len: usize) -> PacketLook {
    let Some(carried) = packet.tunneled() else {
        return PacketLook { protocol: Protocol::Other, tunnel: None, mark: Mark::None };
    };
    let inner = match carried {
        Inner::Frame(frame) => look_of(frame),
        Inner::Ipv4(packet) => look_of_payload(&Payload::Ipv4(packet.clone()), packet.wire_len()),
    };
    let added = wire_len.saturating_sub(carried.wire_len()) + inner.tunnel.unwrap_or(0);
    PacketLook { tunnel: Some(added), ..inner }
}

/// What kind of step an event is, for its mark on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// A packet moved.
    Packet(PacketLook),
    /// A packet was lost.
    Drop(Option<PacketLook>, DropReason),
    /// A step of a Pod's creation or termination, with its number.
    Pod(u8),
    /// A process wrote, began or ended.
    Process,
    /// Containers of a Pod talked without a packet.
    Within,
    /// Something was broken, or (`false`) mended.
    Fault(bool),
}

impl StepKind {
    /// The packet that the step is about, where there is one.
    pub fn look(self) -> Option<PacketLook> {
        match self {
            Self::Packet(look) | Self::Drop(Some(look), _) => Some(look),
            Self::Drop(None, _) | Self::Pod(_) | Self::Process | Self::Within | Self::Fault(_) => None,
        }
    }
}

/// Whether a packet that ends for this reason is merely none of the receiver's business, as with every copy of a
/// broadcast.
pub fn is_quiet(reason: DropReason) -> bool {
    matches!(reason, DropReason::OtherHost | DropReason::ArpIgnored | DropReason::NoPingSocket)
}

/// The kind of step that an event is; `None` when it is none. This is the one place that decides it.
pub fn step_kind(trace: &Trace, event: &Event) -> Option<StepKind> {
    let look = trace.frame_of(event).map(|frame| look_of(frame));
    match event.kind {
        EventKind::Transmitted
        | EventKind::Received(_)
        | EventKind::Queued
        | EventKind::Encapsulated
        | EventKind::Decapsulated => look.map(StepKind::Packet),
        EventKind::Ended(Disposition::Dropped(reason)) if !is_quiet(reason) => {
            Some(StepKind::Drop(look, reason))
        }
        EventKind::Ended(Disposition::Loop) => Some(StepKind::Drop(look, DropReason::TtlExceeded)),
        EventKind::Changed(change) => {
            let change = &trace.changes[change.index()];
            if let TableChange::Step(row) = change {
                return Some(StepKind::Pod(row.number));
            }
            if matches!(change, TableChange::Ipc(change) if matches!(**change, IpcChange::Used(_))) {
                return Some(StepKind::Within);
            }
            let fault = matches!(change, TableChange::Fault(_));
            (fault || matches!(change, TableChange::FaultGone(_))).then_some(StepKind::Fault(fault))
        }
        EventKind::Wrote(_) | EventKind::Started(_) => Some(StepKind::Process),
        EventKind::Originated
        | EventKind::Passed(_)
        | EventKind::Decided(..)
        | EventKind::Ended(_)
        | EventKind::Exited(..) => None,
    }
}
