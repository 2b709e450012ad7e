//! What holds of every trace, whatever happened in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use vethscope::base::{EventId, IfIndex, JourneyId, NetnsId, SimTime};
use vethscope::kernel::{Netns, Peer};
use vethscope::lab::{Lab, Progress};
use vethscope::trace::{
    Disposition, Event, EventKind, FdbRow, Inventory, LinkRow, NeighRow, NetnsState, Relation, RouteRow,
    Trace,
};
use vethscope::wire::{Frame, Inner, Ipv4, Payload};

/// Most faults that are told of one run.
const TOLD: usize = 12;

/// What is wrong with a lab.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for fault in self.0.iter().take(TOLD) {
            writeln!(f, "  {fault}")?;
        }
        if self.0.len() > TOLD {
            writeln!(f, "  and {} more", self.0.len() - TOLD)?;
        }
        Ok(())
    }
}

/// Everything that must hold while and after anything happened.
pub(crate) fn faults(lab: &Lab) -> Faults {
    let mut faults = faults_of(lab.trace());
    walk(lab, &mut faults);
    faults
}

/// What of that can be told from the trace alone.
pub(crate) fn faults_of(trace: &Trace) -> Faults {
    let mut faults = Faults::default();
    order(trace, &mut faults);
    endings(trace, &mut faults);
    time_to_live(trace, &mut faults);
    bytes(trace, &mut faults);
    faults
}

/// Everything that must hold once nothing is under way, on top of [`faults`]: every journey has ended.
pub(crate) fn faults_at_rest(lab: &Lab) -> Faults {
    let mut faults = faults(lab);
    let trace = lab.trace();
    let mut ended = vec![0_u32; trace.journeys.len()];
    for event in &trace.events {
        if matches!(event.kind, EventKind::Ended(_)) {
            ended[event.journey.index()] += 1;
        }
    }
    for (journey, count) in ended.iter().enumerate().filter(|(_, count)| **count == 0) {
        let last = trace.events.iter().rposition(|event| event.journey.index() == journey);
        let last = last.map_or_else(|| "it has no event at all".to_owned(), |at| describe(trace, at));
        faults.add(format!("journey {journey} ended {count} times; last: {last}"));
    }
    faults
}

fn describe(trace: &Trace, at: usize) -> String {
    let event = &trace.events[at];
    let mut out = format!(
        "event {at} at {} ns, netns {} if {}: {:?}",
        event.at.0, event.netns.0, event.ifindex.0, event.kind
    );
    if let Some(packet) = trace.frame_of(event).and_then(|frame| frame.ipv4()) {
        let _ = write!(out, " {} > {}", packet.src, packet.dst);
    }
    out
}

/// Time runs forward, and a cause comes before what it causes.
fn order(trace: &Trace, faults: &mut Faults) {
    for (index, event) in trace.events.iter().enumerate() {
        if index > 0 && event.at < trace.events[index - 1].at {
            faults.add(format!("{} comes before the event in front of it", describe(trace, index)));
        }
        if event.cause.is_some() && event.cause.index() >= index {
            faults.add(format!("{} has a later cause", describe(trace, index)));
        }
        if event.journey.is_some() && event.journey.index() >= trace.journeys.len() {
            faults.add(format!("{} is of no journey", describe(trace, index)));
        }
    }
}

/// A journey ends at most once, nothing happens to it afterwards, and a drop has words for its reason.
fn endings(trace: &Trace, faults: &mut Faults) {
    let mut over: BTreeMap<JourneyId, usize> = BTreeMap::new();
    for (index, event) in trace.events.iter().enumerate().filter(|(_, event)| event.journey.is_some()) {
        if let Some(end) = over.get(&event.journey) {
            faults.add(format!("{} after its end at event {end}", describe(trace, index)));
        }
        if let EventKind::Ended(disposition) = event.kind {
            over.insert(event.journey, index);
            if let Disposition::Dropped(reason) = disposition {
                let why = vethscope::trace::explain::why(
                    trace,
                    EventId(index as u32),
                    vethscope::base::words::Lang::En,
                );
                if why.trim().is_empty() || why.contains('{') {
                    faults.add(format!("the drop {reason:?} has no reason in words: {why:?}"));
                }
            }
        }
    }
}

/// TTLs of the packets around a packet, the innermost one's first.
type Ttls = Vec<u8>;

/// A TTL never rises: not along a journey, not from a packet to its copies and fragments. What is put into a tunnel
/// comes out with the TTL it went in with.
fn time_to_live(trace: &Trace, faults: &mut Faults) {
    let mut after: Vec<Ttls> = Vec::with_capacity(trace.len());
    for (index, event) in trace.events.iter().enumerate() {
        let mut ttls = before(trace, event, &after);
        if event.journey.is_some()
            && let Some(packet) = trace.frame_of(event).and_then(|frame| frame.ipv4())
        {
            if event.kind == EventKind::Encapsulated {
                ttls.push(packet.ttl);
            } else if event.kind == EventKind::Decapsulated {
                ttls.pop();
            }
            if ttls.is_empty() {
                ttls = nested(packet);
            }
            if let Some(last) = ttls.last_mut() {
                if packet.ttl > *last {
                    faults.add(format!(
                        "{} has TTL {}, above {last} before",
                        describe(trace, index),
                        packet.ttl
                    ));
                }
                *last = packet.ttl;
            }
        }
        after.push(ttls);
    }
}

/// What is known in front of an event: what stood behind the one before it in the journey, or in the journey that
/// this one continues.
fn before(trace: &Trace, event: &Event, after: &[Ttls]) -> Ttls {
    if !event.cause.is_some() || !event.journey.is_some() {
        return Ttls::new();
    }
    let continued = trace.events[event.cause.index()].journey == event.journey
        || matches!(trace.journeys[event.journey.index()].relation, Relation::Copy | Relation::Fragment);
    if continued { after[event.cause.index()].clone() } else { Ttls::new() }
}

fn nested(packet: &Ipv4) -> Ttls {
    let mut ttls = Vec::new();
    let mut at = Some(packet);
    while let Some(packet) = at {
        ttls.insert(0, packet.ttl);
        at = match packet.tunneled() {
            Some(Inner::Frame(frame)) => frame.inner_ipv4(),
            Some(Inner::Ipv4(inner)) => Some(inner),
            None => None,
        };
    }
    ttls
}

/// Every stored packet gives bytes that read back as the same packet.
fn bytes(trace: &Trace, faults: &mut Faults) {
    for (index, packet) in trace.packets.iter().enumerate() {
        let bytes = packet.emit();
        if bytes.len() != packet.wire_len() {
            faults.add(format!("packet {index} has {} bytes and says {}", bytes.len(), packet.wire_len()));
        }
        match Frame::parse(&bytes) {
            Ok(read) if read == **packet => {}
            Ok(read) => faults.add(format!("packet {index} reads back as {read:?}, not as {packet:?}")),
            Err(error) => faults.add(format!("packet {index} does not read back: {error:?}: {packet:?}")),
        }
    }
}

/// Walks along the trace with the tables as they stood: what one end of a wire sends, the other end receives or
/// loses, and at the end the tables are the kernel's own.
fn walk(lab: &Lab, faults: &mut Faults) {
    let trace = lab.trace();
    let mut inventory = Inventory::default();
    let mut under_way: BTreeMap<JourneyId, (usize, Peer)> = BTreeMap::new();
    for (index, event) in trace.events.iter().enumerate() {
        if event.journey.is_some() {
            if let Some((sent, peer)) = under_way.remove(&event.journey) {
                let arrives =
                    matches!(event.kind, EventKind::Received(_) | EventKind::Ended(Disposition::Dropped(_)));
                if !arrives || (event.netns, event.ifindex) != (peer.netns, peer.ifindex) {
                    faults.add(format!(
                        "{} is followed by {}",
                        describe(trace, sent),
                        describe(trace, index)
                    ));
                }
            }
            if event.kind == EventKind::Transmitted {
                inventory.advance(trace, index);
                if let Some(peer) = wire(&inventory, event.netns, event.ifindex) {
                    under_way.insert(event.journey, (index, peer));
                }
                delivers_true_addresses(trace, &inventory, index, faults);
            }
        }
    }
    inventory.advance(trace, trace.len());
    tables(lab, &inventory, faults);
}

/// A frame on a wire has a source, whatever the neighbour table was doing.
fn delivers_true_addresses(trace: &Trace, inventory: &Inventory, index: usize, faults: &mut Faults) {
    let event = &trace.events[index];
    let zero = vethscope::base::MacAddr::ZERO;
    let Some(frame) = trace.frame_of(event) else {
        return faults.add(format!("{} has no frame", describe(trace, index)));
    };
    let loopback = event.ifindex == IfIndex(1);
    let bare = inventory
        .netns
        .get(&event.netns)
        .and_then(|state| state.links.get(&event.ifindex))
        .is_some_and(|link| link.kind.is_raw_ip());
    if !loopback && !bare && (frame.src == zero || frame.dst == zero) {
        faults.add(format!(
            "{} lacks an Ethernet address: {} > {}",
            describe(trace, index),
            frame.src,
            frame.dst
        ));
    }
    if let Payload::Other { ethertype, .. } = frame.payload {
        faults.add(format!("{} is of EtherType {ethertype:#06x}", describe(trace, index)));
    }
}

fn wire(inventory: &Inventory, netns: NetnsId, ifindex: IfIndex) -> Option<Peer> {
    let (netns, ifindex) = inventory.netns.get(&netns)?.links.get(&ifindex)?.kind.wire()?;
    Some(Peer { netns, ifindex })
}

/// The tables folded from the trace are those that the kernel decides by.
fn tables(lab: &Lab, inventory: &Inventory, faults: &mut Faults) {
    for (&id, state) in &inventory.netns {
        match lab.netns(id) {
            None => faults.add(format!("the trace has the namespace {}, the kernel has not", state.row.name)),
            Some(netns) => namespace(netns, state, faults),
        }
    }
    let next = inventory.netns.keys().next_back().map_or(0, |id| id.0 + 1);
    for id in (0..next + 8).map(NetnsId) {
        if lab.netns(id).is_some() && !inventory.netns.contains_key(&id) {
            faults.add(format!("the kernel has the namespace {}, the trace has not", id.0));
        }
    }
}

fn namespace(netns: &Netns, state: &NetnsState, faults: &mut Faults) {
    let name = &state.row.name;
    let links: Vec<LinkRow> = netns.links().map(|link| link.row(netns.id)).collect();
    let told: Vec<LinkRow> = state.links.values().cloned().collect();
    same(faults, name, "links", &links, &told);
    same(faults, name, "addresses", netns.addrs(), &state.addrs);
    let route = |row: &RouteRow| (row.table, row.dst, row.metric, row.oif, row.gateway);
    let mut real: Vec<RouteRow> = netns.routes().copied().collect();
    let mut told: Vec<RouteRow> = state.routes.iter().map(|(_, row)| *row).collect();
    real.sort_by_key(route);
    told.sort_by_key(route);
    same(faults, name, "routes", &real, &told);
    // When an entry was confirmed last is bookkeeping that no table shows at once.
    let neighbor = |row: &NeighRow| NeighRow { confirmed: SimTime::ZERO, ..*row };
    let real: Vec<NeighRow> = netns.neighbors().map(neighbor).collect();
    let told: Vec<NeighRow> = state.neighbors.values().map(|entry| neighbor(&entry.row)).collect();
    same(faults, name, "neighbours", &real, &told);
    // That a source was seen again at the same port is no change of the table.
    let fdb = |row: &FdbRow| FdbRow { updated: SimTime::ZERO, ..*row };
    let key = |row: &FdbRow| (row.master, row.ifindex, row.mac, row.dst);
    let mut real: Vec<FdbRow> = netns.fdb().iter().map(fdb).collect();
    let mut told: Vec<FdbRow> = state.fdb.iter().map(|entry| fdb(&entry.row)).collect();
    real.sort_by_key(key);
    told.sort_by_key(key);
    same(faults, name, "forwarding databases", &real, &told);
}

fn same<T: PartialEq + std::fmt::Debug>(faults: &mut Faults, name: &str, what: &str, real: &[T], told: &[T]) {
    for row in real.iter().filter(|row| !told.contains(row)) {
        faults.add(format!("{name}, {what}: the trace lacks {row:?}"));
    }
    for row in told.iter().filter(|row| !real.contains(row)) {
        faults.add(format!("{name}, {what}: the kernel lacks {row:?}"));
    }
    if real.len() != told.len() {
        faults.add(format!("{name}, {what}: {} rows in the kernel, {} in the trace", real.len(), told.len()));
    }
}

/// Replays what a lab did and says where the replay differs.
pub(crate) fn replay_faults(lab: &Lab) -> Faults {
    let mut faults = Faults::default();
    let mut again = Lab::open(&lab.log());
    while matches!(again.advance(10_000), Progress::Busy(_)) {}
    let (one, two) = (lab.trace(), again.trace());
    if one.hash() == two.hash() {
        return faults;
    }
    let differ = one.events.iter().zip(two.events.iter()).position(|(a, b)| a != b);
    let at = differ.unwrap_or(one.len().min(two.len()));
    let line = |trace: &Trace| if at < trace.len() { describe(trace, at) } else { "nothing more".to_owned() };
    faults.add(format!(
        "{} events live, {} replayed; live: {}; replayed: {}",
        one.len(),
        two.len(),
        line(one),
        line(two)
    ));
    faults
}
