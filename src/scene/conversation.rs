//! TCP conversations: both ends beside each other, every segment with its flags and relative numbers, what was lost or
//! sent again, and the states that the ends' sockets went through.

use super::reading::Reading;
use crate::base::{EventId, Ipv4Addr, JourneyId, NetnsId, SimTime};
use crate::trace::{Disposition, DropReason, EventKind, SocketState, TableChange, Trace, Transport};
use crate::wire::{Body, Frame, Ipv4, Tcp, TcpFlags, TcpOption};
use std::collections::BTreeMap;

/// An address and a port.
pub type End = (Ipv4Addr, u16);

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The namespace of each end, the one that called first; the called end's once a segment arrived there.
    pub places: [Option<NetnsId>; 2],
    /// What the caller takes for its own and the other's end.
    pub seen_by_caller: (End, End),
    /// What the called end takes for the other's and its own: something else where an address was translated.
    pub seen_by_called: Option<(End, End)>,
    /// What happened, in order.
    pub rows: Vec<Row>,
}

/// A row of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A segment.
    Segment(Segment),
    /// The socket of an end (0 called, 1 was called) changed its state.
    State {
        /// Which end.
        end: usize,
        /// The state, as the kernel names it.
        state: SocketState,
        /// The event.
        event: EventId,
    },
}

impl Row {
    /// The event that the row stands for.
    pub fn event(&self) -> EventId {
        match self {
            Self::Segment(segment) => segment.sent,
            Self::State { event, .. } => *event,
        }
    }
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whether the end that was called sent it.
    pub back: bool,
    /// When it was made.
    pub at: SimTime,
    /// The event.
    pub sent: EventId,
    /// Its end: the event, and the reason if it was lost. `None` while it is on its way.
    pub end: Option<(EventId, Option<DropReason>)>,
    /// Flags.
    pub flags: TcpFlags,
    /// Sequence number, counted from the sender's first.
    pub seq: u32,
    /// Acknowledgment number, counted from the other's first, where the flag is set.
    pub ack: Option<u32>,
    /// Bytes of data.
    pub len: usize,
    /// Window as it stands in the header.
    pub window: u16,
    /// Largest segment that the sender takes, where it says so.
    pub mss: Option<u16>,
    /// Whether these bytes, or this SYN or FIN, were sent before.
    pub again: bool,
}

/// Numbers of a conversation that the lines are counted from.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    first: [Option<u32>; 2],
    /// The highest sequence number sent so far, from the first.
    highest: [u32; 2],
    closed: bool,
}

/// All conversations of a trace, kept as it grows.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    reading: Reading,
    list: Vec<Conversation>,
    numbers: Vec<Numbers>,
    by_ends: BTreeMap<(End, End), usize>,
    by_journey: BTreeMap<JourneyId, (usize, usize)>,
}

fn ends_of(packet: &Ipv4, tcp: &Tcp) -> (End, End) {
    ((packet.src, tcp.src_port), (packet.dst, tcp.dst_port))
}

fn sorted((a, b): (End, End)) -> (End, End) {
    if a <= b { (a, b) } else { (b, a) }
}

fn tcp_of(frame: &Frame) -> Option<(&Ipv4, &Tcp)> {
    let packet = frame.ipv4()?.innermost();
    match &*packet.body {
        Body::Tcp(tcp) => Some((packet, tcp)),
        Body::Icmp(_)
        | Body::Udp(_)
        | Body::Igmp(_)
        | Body::Ipip(_)
        | Body::Gre(_)
        | Body::Esp(_)
        | Body::Raw { .. } => None,
    }
}

impl Conversations {
    /// Takes in what was added to the trace. Another trace is read anew.
    pub fn extend(&mut self, trace: &Trace) {
        if !self.reading.is_of(trace) {
            *self = Self::default();
        }
        for id in self.reading.read(trace) {
            self.take(trace, id);
        }
    }

    /// The conversations, in the order in which they began.
    pub fn list(&self) -> &[Conversation] {
        &self.list
    }

    /// The conversation that a journey is a segment of.
    pub fn of_journey(&self, journey: JourneyId) -> Option<usize> {
        self.by_journey.get(&journey).map(|at| at.0)
    }

    fn take(&mut self, trace: &Trace, id: EventId) {
        let event = trace.event(id);
        match event.kind {
            EventKind::Originated => {
                if let Some((packet, tcp)) = trace.frame_of(event).and_then(|frame| tcp_of(frame)) {
                    self.sent(id, (event.netns, event.at, event.journey), packet, tcp);
                }
            }
            EventKind::Ended(disposition) => self.ended(trace, id, event.journey, disposition),
            EventKind::Changed(change) => {
                if let TableChange::Socket(row) = &trace.changes[change.index()]
                    && row.transport == Transport::Tcp
                {
                    let ends = ((*row.local.ip(), row.local.port()), (*row.remote.ip(), row.remote.port()));
                    self.state(id, ends, row.state);
                }
            }
            // On the way an address may be translated: an answer is sent before what it answers has ended.
            EventKind::Transmitted | EventKind::Received(_) => {
                let Some((number, _)) = self.by_journey.get(&event.journey).copied() else { return };
                if let Some((packet, tcp)) = trace.frame_of(event).and_then(|frame| tcp_of(frame)) {
                    self.by_ends.entry(sorted(ends_of(packet, tcp))).or_insert(number);
                }
            }
            EventKind::Passed(_)
            | EventKind::Decided(..)
            | EventKind::Queued
            | EventKind::Encapsulated
            | EventKind::Decapsulated
            | EventKind::Wrote(_)
            | EventKind::Started(_)
            | EventKind::Exited(..) => {}
        }
    }

    fn sent(
        &mut self,
        id: EventId,
        (netns, at, journey): (NetnsId, SimTime, JourneyId),
        packet: &Ipv4,
        tcp: &Tcp,
    ) {
        let ends = ends_of(packet, tcp);
        let is_call = tcp.flags.contains(TcpFlags::SYN) && !tcp.flags.contains(TcpFlags::ACK);
        let known = self.by_ends.get(&sorted(ends)).copied();
        // The same ports again after the connection was closed are another conversation.
        let known = known.filter(|at| !(is_call && self.numbers[*at].closed));
        let number = known.unwrap_or_else(|| {
            self.list.push(Conversation {
                places: [Some(netns), None],
                seen_by_caller: ends,
                seen_by_called: None,
                rows: Vec::new(),
            });
            self.numbers.push(Numbers::default());
            self.by_ends.insert(sorted(ends), self.list.len() - 1);
            self.list.len() - 1
        });
        let conversation = &mut self.list[number];
        let back = ends.0 != conversation.seen_by_caller.0;
        if back && conversation.places[1].is_none() {
            conversation.places[1] = Some(netns);
        }
        let own = usize::from(back);
        let numbers = &mut self.numbers[number];
        let first = *numbers.first[own].get_or_insert(tcp.seq);
        let seq = tcp.seq.wrapping_sub(first);
        let last = seq.wrapping_add(tcp.seq_len());
        let again = tcp.seq_len() > 0 && last <= numbers.highest[own];
        numbers.highest[own] = numbers.highest[own].max(if last < 1 << 31 { last } else { 0 });
        numbers.closed |= tcp.flags.intersects(TcpFlags::RST) || tcp.flags.intersects(TcpFlags::FIN);
        let other = numbers.first[1 - own];
        let ack = tcp.flags.contains(TcpFlags::ACK).then(|| tcp.ack.wrapping_sub(other.unwrap_or(0)));
        let mss = tcp
            .options()
            .iter()
            .find_map(|option| if let TcpOption::MaxSegmentSize(mss) = option { Some(*mss) } else { None });
        let (flags, len, window) = (tcp.flags, tcp.data.len(), tcp.window);
        let segment = Segment { back, at, sent: id, end: None, flags, seq, ack, len, window, mss, again };
        conversation.rows.push(Row::Segment(segment));
        self.by_journey.insert(journey, (number, conversation.rows.len() - 1));
    }

    fn ended(&mut self, trace: &Trace, id: EventId, journey: JourneyId, disposition: Disposition) {
        let Some((number, row)) = self.by_journey.get(&journey).copied() else { return };
        let lost = match disposition {
            Disposition::Dropped(reason) => Some(reason),
            Disposition::Loop => Some(DropReason::TtlExceeded),
            Disposition::Delivered(_)
            | Disposition::Consumed
            | Disposition::Fragmented
            | Disposition::Reassembled => None,
        };
        let conversation = &mut self.list[number];
        let Row::Segment(segment) = &mut conversation.rows[row] else { return };
        segment.end = Some((id, lost));
        let arrived = trace.frame_at(id).and_then(|frame| tcp_of(frame)).filter(|_| lost.is_none());
        let Some((packet, tcp)) = arrived else { return };
        let ends = ends_of(packet, tcp);
        if !segment.back && conversation.seen_by_called.is_none() {
            conversation.seen_by_called = Some(ends);
            conversation.places[1].get_or_insert(trace.event(id).netns);
            self.by_ends.insert(sorted(ends), number);
        }
    }

    fn state(&mut self, event: EventId, ends: (End, End), state: SocketState) {
        let Some(number) = self.by_ends.get(&sorted(ends)).copied() else { return };
        let conversation = &mut self.list[number];
        let end = usize::from(ends.0 != conversation.seen_by_caller.0);
        let before = conversation.rows.iter().rev().find_map(|row| match row {
            Row::State { end: other, state, .. } if *other == end => Some(*state),
            Row::State { .. } | Row::Segment(_) => None,
        });
        if before != Some(state) {
            conversation.rows.push(Row::State { end, state, event });
        }
    }
}
