//! A packet opened: its layers and fields beside its bytes, with what the last hop changed.

use super::look;
use crate::base::EventId;
use crate::trace::Trace;
use crate::wire::{Frame, Layer, fields};
use std::ops::Range;

/// A packet as the inspector shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Layers, outermost first.
    pub layers: Vec<OpenedLayer>,
    /// The frame's bytes.
    pub bytes: Vec<u8>,
    /// Names of the layers that the last hop took off.
    pub removed: Vec<&'static str>,
    /// Length of the frame one hop before, where there was one.
    pub length_before: Option<usize>,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedLayer {
    /// Protocol.
    pub name: &'static str,
    /// How many tunnels it lies in.
    pub depth: usize,
    /// Its bytes.
    pub range: Range<usize>,
    /// What matters most of it, in one line.
    pub summary: String,
    /// Whether the last hop put it on.
    pub added: bool,
    /// Its fields.
    pub fields: Vec<OpenedField>,
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedField {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: String,
    /// Its bytes.
    pub range: Range<usize>,
    /// Where it lies in some bits of those bytes only: all of them in groups of four, a dot for each bit of another field.
    pub bits: Option<String>,
    /// The value one hop before, where it was another.
    pub before: Option<String>,
}

impl OpenedLayer {
    /// Whether the last hop changed anything in it.
    pub fn is_changed(&self) -> bool {
        self.added || self.fields.iter().any(|field| field.before.is_some())
    }
}

impl Opened {
    /// Which bytes the last hop changed or put on.
    pub fn is_changed(&self, at: usize) -> bool {
        self.layers.iter().filter(|layer| layer.range.contains(&at)).any(|layer| {
            let here = |field: &OpenedField| field.before.is_some() && field.range.contains(&at);
            layer.added || layer.fields.iter().any(here)
        })
    }
}

/// The packet's station before `event`: the step of the same journey that led to it.
pub fn station_before(trace: &Trace, event: EventId) -> Option<EventId> {
    let seen = trace.event(event);
    let mut at = seen.cause;
    while at.is_some() {
        let before = trace.event(at);
        if before.journey != seen.journey {
            return None;
        }
        if before.packet.is_some() && look::step_kind(trace, before).is_some() {
            return Some(at);
        }
        at = before.cause;
    }
    None
}

/// Opens the packet that `event` saw and compares it with its station before.
pub fn open(trace: &Trace, event: EventId) -> Option<Opened> {
    let frame = trace.frame_of(trace.event(event))?;
    let before = station_before(trace, event).and_then(|at| trace.frame_of(trace.event(at)));
    Some(compare(frame, before.map(|frame| &**frame)))
}

fn compare(frame: &Frame, before: Option<&Frame>) -> Opened {
    let now = fields(frame);
    let bytes = frame.emit();
    let then = before.map(fields).unwrap_or_default();
    // What is inside stays inside: the layers are matched from the innermost outwards.
    let shared = now.iter().rev().zip(then.iter().rev()).take_while(|(a, b)| a.name == b.name).count();
    let added = now.len() - shared;
    let off = then.len() - shared;
    let layers = now.iter().enumerate().map(|(at, layer)| {
        let old = at.checked_sub(added).map(|at| &then[at + off]);
        let fields = layer.fields.iter().enumerate().map(|(at, field)| OpenedField {
            name: field.name,
            value: field.value.clone(),
            range: field.range.clone(),
            bits: field.bits.clone().map(|bits| pattern(&bytes[field.range.clone()], &bits)),
            before: old
                .and_then(|old| old.fields.get(at).filter(|old| old.name == field.name))
                .filter(|old| old.value != field.value)
                .map(|old| old.value.clone()),
        });
        OpenedLayer {
            name: layer.name,
            depth: layer.depth,
            range: layer.range.clone(),
            summary: summary(layer),
            added: before.is_some() && old.is_none(),
            fields: fields.collect(),
        }
    });
    Opened {
        layers: layers.collect(),
        bytes,
        removed: then[..off].iter().map(|layer| layer.name).collect(),
        length_before: before.map(Frame::wire_len),
    }
}

/// `..1. ....` for the third bit, if it is set.
fn pattern(bytes: &[u8], own: &Range<u8>) -> String {
    let mut out = String::new();
    for at in 0..bytes.len() * 8 {
        if at > 0 && at % 4 == 0 {
            out.push(' ');
        }
        let is_own = (usize::from(own.start)..usize::from(own.end)).contains(&at);
        out.push(match bytes[at / 8] >> (7 - at % 8) & 1 {
            _ if !is_own => '.',
            1 => '1',
            _ => '0',
        });
    }
    out
}

/// What stands before a field in a line, and the field's name. Nothing stands before the first.
type Part = (&'static str, &'static str);

/// Of a DNS record: the owner is a name or a pointer to one, and the data is of one kind.
const RECORD: &[Part] = &[
    (" · ", "Owner name"),
    (" · ", "Pointer to byte"),
    (" · ", "Type"),
    (" · TTL ", "TTL"),
    (" · ", "Address"),
    (" · ", "Canonical name"),
    (" · ", "Name pointed to"),
    (" · ", "Name server"),
    (" · ", "Port"),
    (" · ", "Target"),
    (" · ", "MNAME (primary server)"),
    (" · ", "String"),
];

/// Fields worth a line, by protocol.
const SUMMARIES: [(&str, &[Part]); 14] = [
    ("Ethernet", &[("", "Source"), (" → ", "Destination")]),
    ("ARP", &[("", "Operation"), (" · ", "Sender protocol address"), (" → ", "Target protocol address")]),
    ("IPv4", &[("", "Source address"), (" → ", "Destination address"), (" · TTL ", "Time to live")]),
    ("UDP", &[("", "Source port"), (" → ", "Destination port")]),
    ("VXLAN", &[("", "VXLAN network identifier (VNI)")]),
    ("ICMP", &[("", "Type"), (" · ", "Identifier"), (" · ", "Sequence number")]),
    ("TCP", &[("", "Source port"), (" → ", "Destination port")]),
    ("DNS", &[("", "Identifier"), (" · ", "QR"), (" · ", "RCODE")]),
    ("DNS over TCP", &[("", "Length")]),
    ("DNS question", &[("", "Name"), (" · ", "Type")]),
    ("DNS answer", RECORD),
    ("DNS authority", RECORD),
    ("DNS additional", RECORD),
    ("DNS EDNS", &[("", "UDP payload size"), (" · ", "DO (DNSSEC OK)")]),
];

/// A layer in a line: the fields worth one, and a segment's flags.
fn summary(layer: &Layer) -> String {
    let Some((_, parts)) = SUMMARIES.iter().find(|(name, _)| *name == layer.name) else {
        return format!("{} B", layer.range.len());
    };
    let mut line = String::new();
    for (before, name) in *parts {
        if let Some(field) = layer.fields.iter().find(|field| field.name == *name) {
            line.extend([if line.is_empty() { "" } else { before }, &field.value]);
        }
    }
    if layer.name == "TCP" {
        let set = layer.fields.iter().filter(|field| field.value.starts_with('1'));
        let flags: Vec<_> = set.filter_map(|field| field.name.strip_prefix("Flag ")).collect();
        // A quotation may end before them.
        if !flags.is_empty() {
            line.extend([" · ", &flags.join(" ")]);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::summary;
    use crate::wire::{Field, Layer};

    fn tcp(flags: &[&'static str]) -> Layer {
        let field = |name, value: &str| Field { name, value: value.to_owned(), range: 0..1, bits: None };
        let ports = [field("Source port", "80"), field("Destination port", "41626")];
        let flags = flags.iter().map(|name| field(name, "1 (set)"));
        let fields = ports.into_iter().chain([field("Flag FIN", "0 (not set)")]).chain(flags).collect();
        Layer { name: "TCP", depth: 0, quoted: false, range: 0..8, fields }
    }

    #[test]
    fn a_segment_shows_the_flags_that_are_set() {
        assert_eq!(summary(&tcp(&["Flag SYN", "Flag ACK"])), "80 → 41626 · SYN ACK");
        assert_eq!(summary(&tcp(&[])), "80 → 41626");
    }
}
