//! What the taps saw, in one notation for both sides: every header field that is determined, by name.
//!
//! What is chance by nature is numbered in the order in which a tap sees it (`#1`, `#2` …), so that what belongs together
//! still has to belong together: identifications, ICMP identifiers and ports that the kernel drew. Checksums are left out,
//! for they follow from the rest and both sides' are checked when they are read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use vethscope::base::{IfIndex, NetnsId};
use vethscope::lab::Lab;
use vethscope::trace::EventKind;
use vethscope::wire::{Frame, Layer, fields};

use crate::kernel::Seen;

/// The loopback device of every namespace.
const LO: IfIndex = IfIndex(1);

/// A place where frames are seen.
pub(crate) type Tap = (NetnsId, IfIndex);

/// A frame at a tap.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    /// When: of the machine's clock, or of simulated time.
    pub(crate) at_ns: u64,
    /// Whether it went out.
    pub(crate) outgoing: bool,
    /// The frame in one line, for people.
    pub(crate) line: String,
    /// Every determined field: its name and value.
    pub(crate) fields: Vec<(String, String)>,
    /// The hop that this one follows from: its tap, and its number there. The simulator's trace knows it.
    pub(crate) cause: Option<(Tap, usize)>,
}

/// The hops of each tap in order.
pub(crate) type Hops = BTreeMap<Tap, Vec<Hop>>;

impl Hop {
    /// Whether two hops are the same, time aside.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.outgoing == other.outgoing && self.fields == other.fields
    }
}

/// Ports that a person wrote: any number in the experiment. All others were drawn by a kernel.
pub(crate) fn written_ports(texts: &[&str]) -> BTreeSet<String> {
    let mut ports: BTreeSet<String> = (1..1024).map(|port: u16| port.to_string()).collect();
    ports.extend(["4789", "8472"].map(str::to_owned));
    for text in texts {
        // They count up from these.
        if text.contains("traceroute") {
            ports.extend((33434..33464).map(|port: u16| port.to_string()));
        }
        if text.contains("tracepath") {
            ports.extend((44444..44544).map(|port: u16| port.to_string()));
        }
        let numbers = text.split(|letter: char| !letter.is_ascii_digit());
        ports.extend(numbers.filter(|number| !number.is_empty()).map(str::to_owned));
    }
    ports
}

/// The hops that the real kernel's taps saw.
pub(crate) fn real(seen: &BTreeMap<NetnsId, Vec<Seen>>, ports: &BTreeSet<String>) -> Hops {
    let mut hops = Hops::new();
    for (&netns, frames) in seen {
        for seen in frames {
            let tap = hops.entry((netns, seen.ifindex)).or_default();
            let bytes = if seen.ifindex == LO { filled_in(&seen.bytes) } else { Cow::Borrowed(&*seen.bytes) };
            let hop = match Frame::parse(&bytes) {
                Ok(frame) => hop(seen.at_ns, seen.outgoing, &frame),
                Err(error) => Hop {
                    at_ns: seen.at_ns,
                    outgoing: seen.outgoing,
                    line: format!("{} bytes that cannot be read: {error}", seen.len),
                    fields: vec![("error".to_owned(), error.to_string())],
                    cause: None,
                },
            };
            tap.push(hop);
        }
    }
    number(&mut hops, ports);
    hops
}

/// A frame of `lo` with the checksum of TCP or UDP that the kernel never fills in there.
fn filled_in(bytes: &[u8]) -> Cow<'_, [u8]> {
    const ETHERNET_LEN: usize = 14;
    let word = |at: usize| bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let is_whole_ipv4 = word(12) == Some(0x0800) && word(20).is_some_and(|fragment| fragment << 2 == 0);
    let (Some(&version), Some(&protocol), Some(len)) = (bytes.get(14), bytes.get(23), word(16)) else {
        return Cow::Borrowed(bytes);
    };
    let start = ETHERNET_LEN + usize::from(version & 0xf) * 4;
    let end = ETHERNET_LEN + usize::from(len);
    let at = start + if protocol == 6 { 16 } else { 6 };
    if !is_whole_ipv4 || !matches!(protocol, 6 | 17) || end > bytes.len() || at + 2 > end {
        return Cow::Borrowed(bytes);
    }
    let mut bytes = bytes.to_vec();
    bytes[at..at + 2].fill(0);
    let words = bytes[26..34].chunks(2).chain(bytes[start..end].chunks(2));
    let sum = words.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let mut sum = sum.sum::<u32>() + u32::from(protocol) + (end - start) as u32;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = if sum == 0xffff && protocol == 17 { 0xffff } else { !(sum as u16) };
    bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    Cow::Owned(bytes)
}

/// The hops that the simulator's taps saw from the event `from` on.
pub(crate) fn simulated(lab: &Lab, from: usize, ports: &BTreeSet<String>) -> Hops {
    let trace = lab.trace();
    let mut hops = Hops::new();
    // For each event, the last hop on its way so far.
    let mut last: Vec<Option<(Tap, usize)>> = vec![None; trace.len()];
    for (index, event) in trace.events.iter().enumerate() {
        let cause = if event.cause.is_some() { last[event.cause.index()] } else { None };
        last[index] = cause;
        let outgoing = event.kind == EventKind::Transmitted;
        if index < from || !(outgoing || matches!(event.kind, EventKind::Received(_))) {
            continue;
        }
        let Some(frame) = trace.frame_of(event) else { continue };
        let tap = (event.netns, event.ifindex);
        let line = hops.entry(tap).or_default();
        last[index] = Some((tap, line.len()));
        line.push(Hop { cause, ..hop(event.at.0, outgoing, frame) });
    }
    number(&mut hops, ports);
    hops
}

fn hop(at_ns: u64, outgoing: bool, frame: &Frame) -> Hop {
    let bytes = frame.emit();
    let layers = fields(frame);
    let mut fields = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &layers[before]);
        let place = format!(
            "{}{}{}",
            if layer.depth > 0 {
                format!("inner {}", "inner ".repeat(layer.depth - 1))
            } else {
                String::new()
            },
            if layer.quoted { "quoted " } else { "" },
            layer.name
        );
        for field in &layer.fields {
            if !field.name.ends_with("hecksum") {
                fields.push((format!("{place}: {}", field.name), field.value.clone()));
            } else if field.value.ends_with("(none)") {
                fields.push((format!("{place}: {}", field.name), "none".to_owned()));
            }
        }
        if let Some(pattern) = echo_pattern(layer, before, &bytes) {
            fields.push((format!("{place}: pattern"), pattern));
        }
    }
    Hop { at_ns, outgoing, line: frame.to_string(), fields, cause: None }
}

/// The data of an echo behind the time that ping writes at its beginning.
fn echo_pattern(layer: &Layer, before: Option<&Layer>, bytes: &[u8]) -> Option<String> {
    const TIME_LEN: usize = 16;
    let is_echo = before.is_some_and(|before| before.name == "ICMP" && !before.quoted);
    if layer.name != "Data" || layer.quoted || !is_echo || layer.range.len() <= TIME_LEN {
        return None;
    }
    let data = &bytes[layer.range.clone()][TIME_LEN..];
    let sum = data
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Some(format!("{sum:016x}"))
}

/// Gives what is chance its number, tap by tap and for each pair of addresses, so that the order of packets between other
/// pairs does not count.
fn number(hops: &mut Hops, ports: &BTreeSet<String>) {
    for tap in hops.values_mut() {
        count_from_first(tap);
        let mut known: BTreeMap<([String; 2], &'static str), Vec<String>> = BTreeMap::new();
        for hop in tap {
            let way = addresses(hop);
            let mut pair = way.clone();
            pair.sort_unstable();
            for (name, value) in &mut hop.fields {
                let kind = if name.ends_with(": Identification") && value != "0x0000" {
                    "id"
                } else if name.ends_with("ICMP: Identifier") {
                    "ident"
                } else if name.ends_with(" port") && !ports.contains(value) {
                    "port"
                } else {
                    continue;
                };
                // Both ends of a pair know its ports, and each draws its own identifications.
                let scope = if kind == "id" { &way } else { &pair };
                let seen = known.entry((scope.clone(), kind)).or_default();
                let number = seen.iter().position(|at| at == value).unwrap_or_else(|| {
                    seen.push(value.clone());
                    seen.len() - 1
                });
                *value = format!("#{}", number + 1);
            }
        }
    }
}

/// TCP's numbers count from the first that the tap saw of the connection's end, and its time stamps are chance.
fn count_from_first(tap: &mut [Hop]) {
    let mut first: BTreeMap<[String; 4], u32> = BTreeMap::new();
    for hop in tap {
        let [from, to] = addresses(hop);
        let [source, destination] = ["TCP: Source port", "TCP: Destination port"].map(|end| {
            let found = hop.fields.iter().rev().find(|(name, _)| name.ends_with(end));
            found.map_or_else(String::new, |(_, value)| value.clone())
        });
        let own = [from.clone(), source.clone(), to.clone(), destination.clone()];
        let other = [to, destination, from, source];
        for (name, value) in &mut hop.fields {
            let Ok(number) = value.parse::<u32>() else {
                if name.ends_with("TCP: Option: timestamps") {
                    "chance".clone_into(value);
                }
                continue;
            };
            if name.ends_with("TCP: Sequence number") && !name.contains("quoted") {
                let from = *first.entry(own.clone()).or_insert(number);
                *value = number.wrapping_sub(from).to_string();
            } else if name.ends_with("TCP: Sequence number") {
                "chance".clone_into(value);
            } else if name.ends_with("TCP: Acknowledgment number") && number != 0 {
                // A reset that answers a SYN is the first that is seen of its end.
                let from = first.get(&other).copied().unwrap_or(number);
                *value = number.wrapping_sub(from).to_string();
            }
        }
    }
}

/// Source and destination of the innermost packet.
fn addresses(hop: &Hop) -> [String; 2] {
    let last = |end: &str| {
        let found = hop.fields.iter().rev().find(|(name, _)| name.ends_with(end) && !name.contains("quoted"));
        found.map_or_else(String::new, |(_, value)| value.clone())
    };
    [last("Source address"), last("Destination address")]
}
