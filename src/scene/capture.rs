//! A capture on an interface, as tcpdump shows it: lines that grow with the trace, chosen by a filter.
//!
//! Simplified: a device without Ethernet header (`ipip`, `gre`) is filtered as if its packets had one, so that `ether`
//! in a filter fits nothing there instead of being refused.

use crate::base::{EPOCH_SECS, EventId, IfIndex, MacAddr, NetnsId, SimTime};
use crate::trace::{EventKind, Inventory, PacketType, Trace};
use crate::wire::Frame;
use crate::wire::filter::{Filter, FilterError, Link, Seen, Setting};
use crate::wire::print::{Conversations, Cooked, PacketKind, Printer, Style, network_offset};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a capture listens: one interface, or with `IfIndex::NONE` every interface of the namespace (tcpdump's `any`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Namespace.
    pub netns: NetnsId,
    /// Interface.
    pub ifindex: IfIndex,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureLine {
    /// The event that was captured.
    pub event: EventId,
    /// Time of day as tcpdump writes it.
    pub time: String,
    /// The packet in tcpdump's words, without names (`-n`).
    pub text: String,
}

/// A capture under way.
#[derive(Clone, Debug)]
pub struct Capture {
    tap: Tap,
    filter: Filter,
    conversations: Conversations,
    names: BTreeMap<IfIndex, Arc<str>>,
    upto: usize,
    last: Option<(SimTime, EventKind)>,
    seen: usize,
    lines: Vec<CaptureLine>,
}

/// A frame as it comes by an interface.
struct Passing<'a> {
    frame: &'a Frame,
    kind: PacketKind,
    ifindex: IfIndex,
}

impl Capture {
    /// A capture from the beginning of the trace on. The error is what libpcap says of the filter, with its column.
    pub fn new(tap: Tap, filter: &str, tables: &Inventory) -> Result<Self, FilterError> {
        let state = tables.netns.get(&tap.netns);
        let addr = state.and_then(|state| state.addrs.iter().find(|row| row.ifindex == tap.ifindex));
        let setting = Setting {
            link: if tap.ifindex.is_some() { Link::Ethernet } else { Link::Cooked },
            live: true,
            netmask: addr.map(|row| row.addr.netmask()),
            resolve: &|_| None,
        };
        let names = state.map(|state| state.links.values().map(|link| (link.ifindex, link.name.clone())));
        Ok(Self {
            tap,
            filter: Filter::compile(filter, &setting)?,
            conversations: Conversations::default(),
            names: names.into_iter().flatten().collect(),
            upto: 0,
            last: None,
            seen: 0,
            lines: Vec::new(),
        })
    }

    /// Takes in at most `limit` of the events that were added to the trace; another trace is read anew. Returns whether
    /// there are more.
    pub fn extend(&mut self, trace: &Trace, limit: usize) -> bool {
        let known = self.upto.checked_sub(1).and_then(|at| trace.events.get(at)).map(|it| (it.at, it.kind));
        if known != self.last {
            (self.upto, self.seen) = (0, 0);
            self.lines.clear();
            self.conversations = Conversations::default();
        }
        let end = trace.len().min(self.upto.saturating_add(limit));
        for at in self.upto..end {
            let event = &trace.events[at];
            if event.netns != self.tap.netns
                || (self.tap.ifindex.is_some() && event.ifindex != self.tap.ifindex)
            {
                continue;
            }
            let (Some(kind), Some(frame)) = (kind_of(event.kind), trace.frame_of(event)) else { continue };
            let passing = Passing { frame, kind, ifindex: event.ifindex };
            self.seen += 1;
            if let Some(text) = self.line(&passing) {
                let (event, time) = (EventId(at as u32), time_of_day(event.at));
                self.lines.push(CaptureLine { event, time, text });
            }
        }
        self.upto = end;
        self.last = end.checked_sub(1).map(|at| (trace.events[at].at, trace.events[at].kind));
        self.upto < trace.len()
    }

    /// How many events of the trace were looked at.
    pub fn upto(&self) -> usize {
        self.upto
    }

    /// How many packets came by, whether or not they passed the filter.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// The packets that passed the filter, in order.
    pub fn lines(&self) -> &[CaptureLine] {
        &self.lines
    }

    /// The packet as a line, if it passes the filter.
    fn line(&mut self, passing: &Passing<'_>) -> Option<String> {
        let whole = passing.frame.emit();
        let ifindex = passing.ifindex.0;
        let outbound = passing.kind == PacketKind::Out;
        if self.tap.ifindex.is_some() {
            let (bytes, vlan) = untagged(&whole);
            if !self.filter.matches(&Seen { bytes: &bytes, outbound, ifindex, vlan }) {
                return None;
            }
            let printer = Printer::new(style(), &mut self.conversations, &|_| None);
            return Some(printer.ethernet(&whole, whole.len()));
        }
        let network = network_offset(&whole);
        let ethertype = u16::from_be_bytes([*whole.get(network - 2)?, *whole.get(network - 1)?]);
        let mut bytes = cooked(passing, ethertype, ifindex);
        bytes.extend_from_slice(&whole[network..]);
        if !self.filter.matches(&Seen { bytes: &bytes, outbound, ifindex, vlan: None }) {
            return None;
        }
        let name = self.names.get(&passing.ifindex).cloned().unwrap_or_else(|| format!("if{ifindex}").into());
        let header = Cooked {
            interface: &name,
            ifindex,
            kind: passing.kind,
            source: Some(passing.frame.src),
            ethertype,
        };
        let printer = Printer::new(style(), &mut self.conversations, &|_| None);
        Some(printer.cooked(&header, &whole[network..], whole.len() - network))
    }
}

fn style() -> Style {
    Style { numeric: true, ..Style::default() }
}

/// How a frame came by; `None` for events at which a tap sees nothing.
fn kind_of(kind: EventKind) -> Option<PacketKind> {
    match kind {
        EventKind::Transmitted => Some(PacketKind::Out),
        EventKind::Received(PacketType::Host) => Some(PacketKind::In),
        EventKind::Received(PacketType::Broadcast) => Some(PacketKind::Broadcast),
        EventKind::Received(PacketType::Multicast) => Some(PacketKind::Multicast),
        EventKind::Received(PacketType::OtherHost) => Some(PacketKind::OtherHost),
        EventKind::Originated
        | EventKind::Passed(_)
        | EventKind::Decided(..)
        | EventKind::Changed(_)
        | EventKind::Queued
        | EventKind::Encapsulated
        | EventKind::Decapsulated
        | EventKind::Ended(_)
        | EventKind::Wrote(_)
        | EventKind::Started(_)
        | EventKind::Exited(..) => None,
    }
}

/// The frame as the kernel hands it to a tap: a VLAN tag stands beside it (`tp_vlan_tci`).
fn untagged(whole: &[u8]) -> (Vec<u8>, Option<u16>) {
    match whole {
        _ if whole.get(12..14) == Some(&[0x81, 0x00]) && whole.len() >= 16 => {
            let tag = u16::from_be_bytes([whole[14], whole[15]]);
            ([&whole[..12], &whole[16..]].concat(), Some(tag))
        }
        _ => (whole.to_vec(), None),
    }
}

/// The link header of `any` (`LINUX_SLL2`): protocol, interface, `ARPHRD_ETHER`, kind and source.
fn cooked(passing: &Passing<'_>, ethertype: u16, ifindex: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(20);
    out.extend_from_slice(&ethertype.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&ifindex.to_be_bytes());
    out.extend_from_slice(&[0, 1, passing.kind.number(), 6]);
    let MacAddr(source) = passing.frame.src;
    out.extend_from_slice(&source);
    out.extend_from_slice(&[0, 0]);
    out
}

/// `HH:MM:SS.micros` of the day, in UTC.
fn time_of_day(at: SimTime) -> String {
    let seconds = (EPOCH_SECS + at.0 / 1_000_000_000) % 86_400;
    let micros = at.0 / 1_000 % 1_000_000;
    format!("{:02}:{:02}:{:02}.{micros:06}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::sample;

    fn capture(tap: Tap, filter: &str) -> Capture {
        let trace = sample::cold_ping(false);
        let tables = Inventory::at(&trace, trace.len());
        let mut capture = Capture::new(tap, filter, &tables).expect("the filter is fine");
        while capture.extend(&trace, 7) {}
        capture
    }

    #[test]
    fn a_capture_says_what_tcpdump_says() {
        let all = capture(Tap { netns: sample::POD_A, ifindex: sample::ETH0 }, "");
        let texts: Vec<&str> = all.lines().iter().map(|line| line.text.as_str()).collect();
        assert!(texts[0].starts_with("ARP, Request who-has "), "{texts:?}");
        assert!(texts.iter().any(|text| text.contains("ICMP echo request")), "{texts:?}");
        assert_eq!(all.seen(), texts.len());
        assert!(all.lines()[0].time.starts_with("00:00:0"), "{}", all.lines()[0].time);
    }

    #[test]
    fn a_filter_chooses_and_an_error_names_its_column() {
        let tap = Tap { netns: sample::POD_A, ifindex: sample::ETH0 };
        let some = capture(tap, "arp");
        assert!(some.lines().iter().all(|line| line.text.starts_with("ARP")));
        assert!(some.seen() > some.lines().len());
        let error = Capture::new(tap, "arp and", &Inventory::default()).expect_err("something is missing");
        assert_eq!(error.at, 7);
    }

    #[test]
    fn any_names_the_interface_and_the_direction() {
        let any = capture(Tap { netns: sample::NODE1, ifindex: IfIndex::NONE }, "icmp");
        let directions: Vec<&str> =
            any.lines().iter().filter_map(|line| line.text.split_whitespace().nth(1)).collect();
        assert!(directions.contains(&"In") && directions.contains(&"Out"), "{directions:?}");
    }
}
