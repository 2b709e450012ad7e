//! The fields of a DNS message (RFC 1035 section 4.1, RFC 6891), one layer for the header and one for every question and record.

use super::{Field, Fields, Reader, decimal, flag, number};
use crate::base::dns::{Rcode, Type};
use crate::wire::dns::{Message, name_at};
use std::net::Ipv6Addr;
use std::ops::Range;

/// The port at which servers listen.
const PORT: u16 = 53;
/// Number of the pseudo-record's type.
const OPT: u32 = 41;
/// Sections with records, in their order.
const SECTIONS: [&str; 3] = ["DNS answer", "DNS authority", "DNS additional"];

impl Reader<'_> {
    /// What a datagram between these ports carries: a message where it is one, else data.
    pub(super) fn datagram(&mut self, ports: [u16; 2], range: Range<usize>) {
        if ports.contains(&PORT) && Message::parse(&self.bytes[range.clone()]).is_ok() {
            self.dns(range);
        } else {
            self.data(range);
        }
    }

    /// What a segment between these ports carries: whole messages, each with its length before it (RFC 1035 section
    /// 4.2.2), or records of TLS. A message that goes on in the next segment is data.
    pub(super) fn stream(&mut self, ports: [u16; 2], mut range: Range<usize>) {
        while ports.contains(&PORT) && range.len() > 2 {
            let message = range.start + 2;
            let end = message + number(&self.bytes[range.start..message]) as usize;
            if end > range.end || Message::parse(&self.bytes[message..end]).is_err() {
                break;
            }
            let mut layer = self.begin(range.start);
            layer.number("Length", 2);
            self.end("DNS over TCP", layer);
            self.dns(message..end);
            range.start = end;
        }
        let range = self.tls(range);
        self.data(range);
    }

    /// A message that can be read.
    fn dns(&mut self, range: Range<usize>) {
        let mut layer = self.begin(range.start);
        header(&mut layer);
        let counts: [u32; 4] = std::array::from_fn(|at| {
            let from = range.start + 4 + at * 2;
            number(&self.bytes[from..from + 2])
        });
        let mut at = layer.at;
        self.end("DNS", layer);
        for _ in 0..counts[0] {
            let mut layer = self.begin(at);
            name(&mut layer, "Name", range.start);
            layer.next("Type", 2, kind);
            layer.next("Class", 2, class);
            at = layer.at;
            self.end("DNS question", layer);
        }
        for (section, count) in SECTIONS.into_iter().zip(&counts[1..]) {
            for _ in 0..*count {
                let mut layer = self.begin(at);
                let is_pseudo = record(&mut layer, range.start);
                at = layer.at;
                self.end(if is_pseudo { "DNS EDNS" } else { section }, layer);
            }
        }
        // A message may have bytes behind its last record, which nobody reads.
        self.data(at..range.end);
    }
}

fn header(layer: &mut Fields<'_>) {
    layer.hex("Identifier", 2);
    layer.bits(
        2,
        &[
            ("QR", 1, |bit| if bit == 1 { "1 (response)" } else { "0 (query)" }.to_string()),
            ("Opcode", 4, |code| if code == 0 { "0 (QUERY)".to_string() } else { code.to_string() }),
            ("AA (authoritative answer)", 1, flag),
            ("TC (truncated)", 1, flag),
            ("RD (recursion desired)", 1, flag),
            ("RA (recursion available)", 1, flag),
            ("Z (reserved)", 1, decimal),
            ("AD (authentic data)", 1, flag),
            ("CD (checking disabled)", 1, flag),
            ("RCODE", 4, |code| format!("{code} ({})", Rcode::of_number(code as u8))),
        ],
    );
    for name in ["QDCOUNT (questions)", "ANCOUNT (answers)", "NSCOUNT (authority)", "ARCOUNT (additional)"] {
        layer.number(name, 2);
    }
}

fn kind(bytes: &[u8]) -> String {
    let number = number(bytes);
    format!("{number} ({})", Type::of_number(number as u16))
}

fn class(bytes: &[u8]) -> String {
    match number(bytes) {
        1 => "1 (IN)".to_string(),
        3 => "3 (CH)".to_string(),
        255 => "255 (ANY)".to_string(),
        other => other.to_string(),
    }
}

/// A name of the message that begins at byte `start`: its labels, and the compression pointer that it ends in, if it does
/// (RFC 1035 section 4.1.4).
fn name(layer: &mut Fields<'_>, what: &'static str, start: usize) {
    let (bytes, from) = (layer.bytes, layer.at);
    let whole = name_at(&bytes[start..], from - start).unwrap_or_default();
    let mut at = from;
    while let 1..=63 = bytes[at] {
        at += usize::from(bytes[at]) + 1;
    }
    let is_pointer = bytes[at] != 0;
    let labels = if is_pointer { at - from } else { at + 1 - from };
    if labels > 0 {
        layer.next(what, labels, |_| whole.clone());
    }
    if is_pointer {
        let place = number(&bytes[at..at + 2]) & 0x3fff;
        let to = name_at(&bytes[start..], place as usize).unwrap_or_default();
        let range = at..at + 2;
        let show = [
            ("Label type", 0..2, "0b11 (compression pointer)".to_string()),
            ("Pointer to byte", 2..16, format!("{place} ({to})")),
        ];
        layer.done.extend(show.map(|(name, bits, value)| Field {
            name,
            value,
            range: range.clone(),
            bits: Some(bits),
        }));
        layer.at = range.end;
    }
}

/// A record; whether it is the pseudo-record of EDNS.
fn record(layer: &mut Fields<'_>, start: usize) -> bool {
    name(layer, "Owner name", start);
    let number_of = number(&layer.bytes[layer.at..layer.at + 2]);
    layer.next("Type", 2, kind);
    if number_of == OPT {
        pseudo_record(layer);
        return true;
    }
    layer.next("Class", 2, class);
    layer.next("TTL", 4, |bytes| format!("{} s", number(bytes)));
    let length = number(&layer.bytes[layer.at..layer.at + 2]) as usize;
    layer.number("RDLENGTH", 2);
    let end = layer.at + length;
    data(layer, Type::of_number(number_of as u16), start, end);
    false
}

fn data(layer: &mut Fields<'_>, kind: Type, start: usize, end: usize) {
    match kind {
        Type::A => layer.ip("Address"),
        Type::Aaaa => layer.next("Address", 16, |bytes| {
            Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|at| bytes[at])).to_string()
        }),
        Type::Cname => name(layer, "Canonical name", start),
        Type::Ptr => name(layer, "Name pointed to", start),
        Type::Ns => name(layer, "Name server", start),
        Type::Mx => {
            layer.number("Preference", 2);
            name(layer, "Exchange", start);
        }
        Type::Srv => {
            for field in ["Priority", "Weight", "Port"] {
                layer.number(field, 2);
            }
            name(layer, "Target", start);
        }
        Type::Soa => {
            name(layer, "MNAME (primary server)", start);
            name(layer, "RNAME (mailbox)", start);
            layer.number("Serial", 4);
            for field in ["Refresh", "Retry", "Expire", "Minimum (TTL of denials)"] {
                layer.next(field, 4, |bytes| format!("{} s", number(bytes)));
            }
        }
        Type::Txt => {
            while layer.at < end {
                let length = usize::from(layer.bytes[layer.at]);
                layer.number("String length", 1);
                layer.next("String", length, |bytes| format!("{:?}", String::from_utf8_lossy(bytes)));
            }
        }
        Type::Other(_) => layer.hex("RDATA", end - layer.at),
    }
}

/// The fields of EDNS take the place of class and TTL (RFC 6891 section 6.1.2).
fn pseudo_record(layer: &mut Fields<'_>) {
    layer.next("UDP payload size", 2, |bytes| format!("{} bytes", number(bytes)));
    layer.number("Extended RCODE, upper bits", 1);
    layer.number("EDNS version", 1);
    layer.bits(2, &[("DO (DNSSEC OK)", 1, flag), ("Z (reserved)", 15, decimal)]);
    let length = number(&layer.bytes[layer.at..layer.at + 2]) as usize;
    layer.number("RDLENGTH", 2);
    let end = layer.at + length;
    while layer.at < end {
        layer.next("Option code", 2, |bytes| match number(bytes) {
            3 => "3 (NSID)".to_string(),
            8 => "8 (client subnet)".to_string(),
            10 => "10 (cookie)".to_string(),
            12 => "12 (padding)".to_string(),
            15 => "15 (extended error)".to_string(),
            other => other.to_string(),
        });
        let length = number(&layer.bytes[layer.at..layer.at + 2]) as usize;
        layer.number("Option length", 2);
        if length > 0 {
            layer.hex("Option data", length);
        }
    }
}
