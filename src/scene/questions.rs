//! Questions to DNS servers and their answers, read off the packets of the trace: who asked whom, what came back and when, and
//! what the server's plugins did in between. Beside it, what the servers' caches hold.

use super::conversation::End;
use super::reading::Reading;
use crate::base::dns::{Question, Type};
use crate::base::{EventId, JourneyId, NetnsId, SimTime};
use crate::trace::{Disposition, DropReason, EventKind, Inventory, NamesRow, Relation, TableChange, Trace};
use crate::wire::dns::{Message, QR};
use crate::wire::{Body, Ipv4, UdpPayload};
use std::collections::{BTreeMap, BTreeSet};

/// The port at which servers listen, if they do not say otherwise.
const PORT: u16 = 53;
/// More than any window of a connection that is looked at, in bytes.
const FAR_OFF: u32 = 1 << 24;

/// Where and when something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: SimTime,
    /// The event.
    pub event: EventId,
    /// The namespace.
    pub netns: NetnsId,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// It was sent; over TCP, the segment with its last byte.
    pub sent: Moment,
    /// A socket took it.
    pub taken: Option<Moment>,
    /// It was lost, and nothing sent it again.
    pub lost: Option<(Moment, DropReason)>,
}

/// What a server's cache said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// It had the answer or the denial.
    Hit,
    /// It had one that had ended.
    Stale,
    /// It did not have it.
    Miss,
}

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The query.
    pub query: Message,
    /// The client and the server as the client addresses them.
    pub ends: (End, End),
    /// Whether it goes over TCP.
    pub tcp: bool,
    /// Whether the client sent the same query before.
    pub again: bool,
    /// The way of the query.
    pub asked: Way,
    /// The client as the server sees it.
    seen: Option<End>,
    /// What the server's plugins did, oldest first.
    pub steps: Vec<(EventId, NamesRow)>,
    /// The answer and its way.
    pub answer: Option<(Message, Way)>,
}

impl Way {
    fn new(sent: Moment) -> Self {
        Self { sent, taken: None, lost: None }
    }

    fn upto(&mut self, event: EventId) {
        self.taken = self.taken.filter(|moment| moment.event <= event);
        self.lost = self.lost.filter(|(moment, _)| moment.event <= event);
    }
}

impl Exchange {
    /// The first question of the query.
    pub fn question(&self) -> Option<&Question> {
        self.query.questions.first()
    }

    /// The exchange as far as it had got after `event`; `None` before the query was sent.
    pub fn upto(&self, event: EventId) -> Option<Self> {
        if self.asked.sent.event > event {
            return None;
        }
        let mut own = self.clone();
        own.asked.upto(event);
        own.steps.retain(|(at, _)| *at <= event);
        own.answer = own.answer.filter(|(_, way)| way.sent.event <= event);
        if let Some((_, way)) = &mut own.answer {
            way.upto(event);
        }
        Some(own)
    }

    /// What the cache said, where the server has one.
    pub fn cached(&self) -> Option<Cached> {
        self.steps.iter().find_map(|(_, row)| match row.did {
            "dns.cache.hit" | "dns.cache.denial" => Some(Cached::Hit),
            "dns.cache.stale" => Some(Cached::Stale),
            "dns.cache.miss" => Some(Cached::Miss),
            _ => None,
        })
    }

    /// Whether a CoreDNS asked itself, to see whether the question comes back (the plugin `loop`).
    pub fn is_self_check(&self) -> bool {
        let of_digits = |label: &str| label.len() > 9 && label.bytes().all(|at| at.is_ascii_digit());
        self.question().is_some_and(|question| {
            question.kind == Type::HINFO && question.name.split('.').take(2).all(of_digits)
        })
    }

    /// From sending the query until the client has the answer.
    pub fn delay(&self) -> Option<crate::base::Duration> {
        let taken = self.answer.as_ref()?.1.taken?;
        Some(taken.at.since(self.asked.sent.at))
    }
}

/// A message of an exchange: its number, and whether it is the answer.
type Part = (usize, bool);

/// One direction of a TCP connection.
#[derive(Clone, Debug, Default)]
struct Stream {
    /// Sequence number of the next byte that is new.
    next: Option<u32>,
    /// What was sent and is no whole message yet.
    bytes: Vec<u8>,
    /// Messages by the sequence number after their last byte.
    parts: Vec<(u32, Part)>,
}

/// All exchanges of a trace, kept as it grows.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    reading: Reading,
    /// Ports besides 53 at which a server has begun to listen.
    ports: BTreeSet<u16>,
    list: Vec<Exchange>,
    by_journey: BTreeMap<JourneyId, Vec<Part>>,
    streams: BTreeMap<(NetnsId, End, End), Stream>,
    /// Queries that a server took and has not answered yet, by the server and the client as it sees it.
    open: BTreeMap<(NetnsId, End), Vec<usize>>,
    /// Queries by the client and its end.
    by_client: BTreeMap<(NetnsId, End), Vec<usize>>,
}

/// The ends of a packet that may carry a message.
fn ends_of(packet: &Ipv4, others: &BTreeSet<u16>) -> Option<(End, End)> {
    let ports = match &*packet.body {
        Body::Udp(udp) => (udp.src_port, udp.dst_port),
        Body::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
        Body::Icmp(_) | Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => {
            return None;
        }
    };
    let serves = |port: u16| port == PORT || others.contains(&port);
    (serves(ports.0) || serves(ports.1)).then_some(((packet.src, ports.0), (packet.dst, ports.1)))
}

impl Questions {
    /// Takes in what was added to the trace. Another trace is read anew.
    pub fn extend(&mut self, trace: &Trace) {
        if !self.reading.is_of(trace) {
            *self = Self::default();
        }
        for id in self.reading.read(trace) {
            self.take(trace, id);
        }
    }

    /// The exchanges in the order in which they were asked.
    pub fn list(&self) -> &[Exchange] {
        &self.list
    }

    fn take(&mut self, trace: &Trace, id: EventId) {
        let event = trace.event(id);
        let here = Moment { at: event.at, event: id, netns: event.netns };
        match event.kind {
            EventKind::Originated => {
                let packet = trace.frame_of(event).and_then(|frame| Some(frame.ipv4()?.innermost()));
                if let Some(packet) = packet
                    && let Some(ends) = ends_of(packet, &self.ports)
                {
                    let parts = self.sent(here, packet, ends);
                    if !parts.is_empty() {
                        self.by_journey.insert(event.journey, parts);
                    }
                }
            }
            EventKind::Ended(disposition) => self.ended(trace, here, event.journey, disposition),
            EventKind::Changed(change) => {
                if let TableChange::Names(row) = &trace.changes[change.index()] {
                    if row.did == "dns.server.begins" {
                        let ports = row.question.split(' ').filter_map(|zone| zone.rsplit_once(':'));
                        self.ports.extend(ports.filter_map(|(_, port)| port.parse::<u16>().ok()));
                    }
                    self.step(id, row);
                }
            }
            EventKind::Transmitted
            | EventKind::Received(_)
            | EventKind::Passed(_)
            | EventKind::Decided(..)
            | EventKind::Queued
            | EventKind::Encapsulated
            | EventKind::Decapsulated
            | EventKind::Wrote(_)
            | EventKind::Started(_)
            | EventKind::Exited(..) => {}
        }
    }

    /// The messages that a packet which was just made completes.
    fn sent(&mut self, here: Moment, packet: &Ipv4, ends: (End, End)) -> Vec<Part> {
        match &*packet.body {
            Body::Udp(udp) => {
                let UdpPayload::Data(bytes) = &udp.payload else { return Vec::new() };
                let message = Message::parse(bytes).ok();
                message.and_then(|message| self.message(here, message, ends, false)).into_iter().collect()
            }
            Body::Tcp(tcp) if !tcp.data.is_empty() => self.segment(here, ends, tcp.seq, &tcp.data),
            Body::Tcp(_)
            | Body::Icmp(_)
            | Body::Igmp(_)
            | Body::Ipip(_)
            | Body::Gre(_)
            | Body::Esp(_)
            | Body::Raw { .. } => Vec::new(),
        }
    }

    /// Takes in what is new of a segment. Messages have their length before them (RFC 1035 section 4.2.2).
    fn segment(&mut self, here: Moment, ends: (End, End), seq: u32, data: &[u8]) -> Vec<Part> {
        let key = (here.netns, ends.0, ends.1);
        let mut stream = self.streams.remove(&key).unwrap_or_default();
        let len = data.len() as u32;
        // How much of it was sent before. Numbers far off belong to another connection between the same ends.
        let before = stream.next.map_or(0, |next| next.wrapping_sub(seq));
        if before > FAR_OFF {
            stream = Stream::default();
        }
        let known = if before > FAR_OFF { 0 } else { before.min(len) };
        let end = seq.wrapping_add(len);
        // What was sent before completes the same messages again.
        let mut parts: Vec<Part> = stream
            .parts
            .iter()
            .filter(|(last, _)| (1..=len).contains(&last.wrapping_sub(seq)))
            .map(|(_, part)| *part)
            .collect();
        stream.bytes.extend_from_slice(&data[known as usize..]);
        if known < len {
            stream.next = Some(end);
        }
        while let [high, low, rest @ ..] = stream.bytes.as_slice() {
            let size = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(bytes) = rest.get(..size) else { break };
            let message = Message::parse(bytes).ok();
            stream.bytes.drain(..size + 2);
            let after = end.wrapping_sub(stream.bytes.len() as u32);
            if let Some(part) = message.and_then(|message| self.message(here, message, ends, true)) {
                stream.parts.push((after, part));
                parts.push(part);
            }
        }
        self.streams.insert(key, stream);
        parts
    }

    /// A message was sent: a new exchange, or the answer of one.
    fn message(&mut self, here: Moment, message: Message, ends: (End, End), tcp: bool) -> Option<Part> {
        if message.has(QR) {
            let open = self.open.get_mut(&(here.netns, ends.1))?;
            let same = |at: &usize| {
                let query = &self.list[*at].query;
                query.id == message.id && query.questions == message.questions && self.list[*at].tcp == tcp
            };
            let number = open.remove(open.iter().position(same)?);
            self.list[number].answer = Some((message, Way::new(here)));
            return Some((number, true));
        }
        message.questions.first()?;
        let number = self.list.len();
        let before = self.by_client.entry((here.netns, ends.0)).or_default();
        let again = before.iter().any(|at| {
            let query = &self.list[*at].query;
            query.id == message.id && query.questions == message.questions
        });
        before.push(number);
        let (asked, seen, steps, answer) = (Way::new(here), None, Vec::new(), None);
        self.list.push(Exchange { query: message, ends, tcp, again, asked, seen, steps, answer });
        Some((number, false))
    }

    fn ended(&mut self, trace: &Trace, here: Moment, journey: JourneyId, disposition: Disposition) {
        // A copy made by flooding, a fragment and what fragments become stand for what they were made of.
        let mut own = journey;
        while let Some(info) = trace.journeys.get(own.index())
            && matches!(info.relation, Relation::Copy | Relation::Fragment)
            && let Some(parent) = info.parent
        {
            own = parent;
        }
        let Some(parts) = self.by_journey.get(&own).cloned() else { return };
        for (number, is_answer) in parts {
            let exchange = &mut self.list[number];
            let way = match &mut exchange.answer {
                Some((_, way)) if is_answer => way,
                _ => &mut exchange.asked,
            };
            match disposition {
                Disposition::Delivered(_) if way.taken.is_none() => {
                    way.taken = Some(here);
                    way.lost = None;
                    if !is_answer {
                        let packet = trace.frame_at(here.event).and_then(|frame| frame.ipv4());
                        let client = packet.and_then(|packet| ends_of(packet.innermost(), &self.ports));
                        let client = client.map_or(exchange.ends.0, |ends| ends.0);
                        exchange.seen = Some(client);
                        self.open.entry((here.netns, client)).or_default().push(number);
                    }
                }
                Disposition::Dropped(reason) if way.taken.is_none() => way.lost = Some((here, reason)),
                Disposition::Loop if way.taken.is_none() => {
                    way.lost = Some((here, DropReason::TtlExceeded));
                }
                Disposition::Delivered(_)
                | Disposition::Dropped(_)
                | Disposition::Loop
                | Disposition::Consumed
                | Disposition::Fragmented
                | Disposition::Reassembled => {}
            }
        }
    }

    /// A plugin did something with a question that is open.
    fn step(&mut self, id: EventId, row: &NamesRow) {
        let Some((ip, port)) = row.client.rsplit_once(':') else { return };
        let (Ok(ip), Ok(port)) = (ip.parse(), port.parse()) else { return };
        let Some(open) = self.open.get(&(row.netns, (ip, port))) else { return };
        let same = |at: &&usize| {
            let question = self.list[**at].question();
            question.is_some_and(|at| format!("{} {}", at.name, at.kind) == *row.question)
        };
        if let Some(&number) = open.iter().find(same) {
            self.list[number].steps.push((id, row.clone()));
        }
    }
}

/// An answer that a server's cache holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The namespace of the server.
    pub netns: NetnsId,
    /// The question as `NAME TYPE`.
    pub question: String,
    /// Response code.
    pub rcode: String,
    /// The records, each as `OWNER TYPE DATA`.
    pub records: Vec<String>,
    /// For how long it was kept, in seconds.
    pub ttl: u64,
    /// For how much longer it is served, in seconds.
    pub left: u64,
}

/// What the caches hold at the moment of `tables` and have not let run out.
pub fn kept(trace: &Trace, tables: &Inventory) -> Vec<Kept> {
    let mut all: BTreeMap<(NetnsId, String), (SimTime, Kept)> = BTreeMap::new();
    for (id, row) in &tables.names {
        match row.did {
            // A Corefile read anew begins with an empty cache.
            "dns.server.begins" => all.retain(|(netns, _), _| *netns != row.netns),
            "dns.cache.kept" => {
                let [ttl, question, rcode, records @ ..] = row.args.as_slice() else { continue };
                let (netns, question, rcode) = (row.netns, question.clone(), rcode.clone());
                let ttl = ttl.parse().unwrap_or(0);
                let kept = Kept {
                    netns,
                    question: question.clone(),
                    rcode,
                    records: records.to_vec(),
                    ttl,
                    left: ttl,
                };
                all.insert((netns, question), (trace.event(*id).at, kept));
            }
            _ => {}
        }
    }
    let live = all.into_values().filter_map(|(stored, mut kept)| {
        // The plugin counts whole seconds, as an answer out of the cache has them.
        kept.left = kept.ttl.checked_sub(tables.now.since(stored).0 / 1_000_000_000)?;
        (kept.left > 0 && tables.netns.contains_key(&kept.netns)).then_some(kept)
    });
    live.collect()
}
