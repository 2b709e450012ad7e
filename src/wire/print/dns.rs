//! DNS messages (`domain_print`).

use super::{Printer, addr, long, word};
use std::fmt::Write as _;

/// Longest name that is followed through compression pointers.
const NAME_STEPS_MAX: usize = 128;

const RCODES: [&str; 16] = [
    "",
    " FormErr",
    " ServFail",
    " NXDomain",
    " NotImp",
    " Refused",
    " YXDomain",
    " YXRRSet",
    " NXRRSet",
    " NotAuth",
    " NotZone",
    " Resp11",
    " Resp12",
    " Resp13",
    " Resp14",
    " Resp15",
];

/// A message being read; every reading may run over its end.
struct Message<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Message<'_> {
    fn word(&mut self) -> Option<u16> {
        let value = word(self.bytes, self.at)?;
        self.at += 2;
        Some(value)
    }

    fn long(&mut self) -> Option<u32> {
        let value = long(self.bytes, self.at)?;
        self.at += 4;
        Some(value)
    }

    /// A name with a point at its end (`ns_nprint`).
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut at = self.at;
        let mut end = None;
        for _ in 0..NAME_STEPS_MAX {
            let len = usize::from(*self.bytes.get(at)?);
            if len & 0xc0 == 0xc0 {
                end = end.or(Some(at + 2));
                at = usize::from(word(self.bytes, at)? & 0x3fff);
                continue;
            }
            if len & 0xc0 != 0 {
                return None;
            }
            at += 1;
            if len == 0 {
                self.at = end.unwrap_or(at);
                if name.is_empty() {
                    name.push('.');
                }
                return Some(name);
            }
            for byte in self.bytes.get(at..at + len)? {
                name.push(if byte.is_ascii_graphic() { char::from(*byte) } else { '.' });
            }
            name.push('.');
            at += len;
        }
        None
    }
}

fn type_name(kind: u16) -> String {
    let name = match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        41 => "OPT",
        43 => "DS",
        46 => "RRSIG",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        252 => "AXFR",
        255 => "ANY",
        other => return format!("Type{other}"),
    };
    name.to_owned()
}

impl Printer<'_> {
    pub(super) fn dns(&mut self, bytes: &[u8], length: usize, multicast: bool) {
        if length < 12 {
            return self.put(format!("domain [length {length} < 12] (invalid)"));
        }
        if bytes.len() < 12 {
            return self.put("[|domain]");
        }
        let mut message = Message { bytes, at: 0 };
        let mut text = String::new();
        let whole = self.dns_text(&mut message, &mut text, multicast).is_some();
        self.put(text);
        if whole {
            self.put(format!(" ({length})"));
        } else {
            self.put("[|domain]");
        }
    }

    fn dns_text(&self, message: &mut Message<'_>, text: &mut String, multicast: bool) -> Option<()> {
        let (id, flags) = (message.word()?, message.word()?);
        let counts = [message.word()?, message.word()?, message.word()?, message.word()?];
        let bit = |mask: u16, text: &'static str| if flags & mask == 0 { "" } else { text };
        let opcode = ["", " inv_q", " stat", " op3", " notify", " update"];
        let opcode = opcode.get(usize::from(flags >> 11 & 0xf)).copied().unwrap_or(" op");
        if flags & 0x8000 == 0 {
            // A query: the flag RD, and what is unusual in one.
            let _ = write!(text, "{id}{opcode}{}{}", bit(0x0100, "+"), bit(0x0010, "%"));
            return self.dns_query(message, text, flags, counts, multicast);
        }
        let rcode = RCODES[usize::from(flags & 0xf)];
        let marks = [
            bit(0x0400, "*"),
            bit(0x0080, ""),
            if flags & 0x0080 == 0 { "-" } else { "" },
            bit(0x0200, "|"),
            bit(0x0020, "$"),
        ]
        .concat();
        let _ = write!(text, "{id}{opcode}{rcode}{marks}");
        if counts[0] != 1 {
            let _ = write!(text, " [{}q]", counts[0]);
        }
        for _ in 0..counts[0] {
            let question = Self::dns_question(message, multicast)?;
            if self.style.verbosity > 1 {
                let _ = write!(text, " q:{question}");
            }
        }
        let _ = write!(text, " {}/{}/{}", counts[1], counts[2], counts[3]);
        for (section, name) in [(1, ""), (2, " ns:"), (3, " ar:")] {
            if section > 1 && self.style.verbosity < 2 {
                break;
            }
            for index in 0..counts[section] {
                let sep = match index {
                    0 if counts[section] > 0 && section > 1 => name,
                    0 => "",
                    _ => ",",
                };
                text.push_str(sep);
                self.dns_record(message, text, multicast)?;
            }
        }
        Some(())
    }

    fn dns_query(
        &self,
        message: &mut Message<'_>,
        text: &mut String,
        flags: u16,
        counts: [u16; 4],
        multicast: bool,
    ) -> Option<()> {
        if flags & 0x06cf != 0 {
            let _ = write!(text, " [b2&3=0x{flags:x}]");
        }
        let odd = [(counts[0], 1, "q"), (counts[1], 0, "a"), (counts[2], 0, "n"), (counts[3], 0, "au")];
        for (count, usual, name) in odd {
            if count != usual {
                let _ = write!(text, " [{count}{name}]");
            }
        }
        for _ in 0..counts[0] {
            text.push_str(&Self::dns_question(message, multicast)?);
        }
        if self.style.verbosity < 2 {
            return Some(());
        }
        for (section, name) in [(1, " an:"), (2, " ns:"), (3, " ar:")] {
            for index in 0..counts[section] {
                text.push_str(if index == 0 { name } else { "," });
                self.dns_record(message, text, multicast)?;
            }
        }
        Some(())
    }

    fn dns_question(message: &mut Message<'_>, multicast: bool) -> Option<String> {
        let start = message.at;
        let name = message.name()?;
        let (kind, class) = (message.word()?, message.word()?);
        debug_assert!(message.at > start, "a question has bytes");
        let asks = if multicast && class & 0x8000 != 0 {
            " (QU)"
        } else if multicast {
            " (QM)"
        } else {
            ""
        };
        let class = if multicast { class & 0x7fff } else { class };
        let class = if class == 1 { String::new() } else { format!(" {}", class_name(class)) };
        Some(format!(" {}{class}{asks}? {name}", type_name(kind)))
    }

    fn dns_record(&self, message: &mut Message<'_>, text: &mut String, multicast: bool) -> Option<()> {
        let name = message.name()?;
        let (kind, class) = (message.word()?, message.word()?);
        let ttl = message.long()?;
        let len = usize::from(message.word()?);
        let end = message.at + len;
        let is_option = kind == 41;
        if self.is_verbose() {
            let _ = write!(text, " {name}");
        }
        if is_option {
            let _ = write!(text, " OPT UDPsize={class}");
            if ttl & 0x8000 != 0 {
                text.push_str(" DO");
            }
            message.at = end;
            return (end <= message.bytes.len()).then_some(());
        }
        let flush = multicast && class & 0x8000 != 0;
        let class = if multicast { class & 0x7fff } else { class };
        if class != 1 {
            let _ = write!(text, " {}", class_name(class));
        }
        if flush {
            text.push_str(" (Cache flush)");
        }
        if self.style.verbosity > 2 {
            let _ = write!(text, " [{}]", ttl_text(ttl));
        }
        let _ = write!(text, " {}", type_name(kind));
        let mut inside = Message { bytes: message.bytes, at: message.at };
        match kind {
            1 => {
                let _ = write!(text, " {}", self.host(addr(message.bytes, message.at)?));
            }
            2 | 5 | 12 => {
                let _ = write!(text, " {}", inside.name()?);
            }
            6 if self.is_verbose() => {
                let _ = write!(text, " {} {}", inside.name()?, inside.name()?);
                for _ in 0..5 {
                    let _ = write!(text, " {}", inside.long()?);
                }
            }
            15 => {
                let preference = inside.word()?;
                let _ = write!(text, " {} {preference}", inside.name()?);
            }
            28 => {
                let bytes: [u8; 16] = message.bytes.get(message.at..message.at + 16)?.try_into().ok()?;
                let _ = write!(text, " {}", std::net::Ipv6Addr::from(bytes));
            }
            33 => {
                let (priority, weight, port) = (inside.word()?, inside.word()?, inside.word()?);
                let _ = write!(text, " {}:{port} {priority} {weight}", inside.name()?);
            }
            16 => {
                while inside.at < end {
                    let len = usize::from(*inside.bytes.get(inside.at)?);
                    let part = inside.bytes.get(inside.at + 1..inside.at + 1 + len)?;
                    let _ = write!(text, " \"{}\"", String::from_utf8_lossy(part));
                    inside.at += 1 + len;
                }
            }
            _ => {}
        }
        message.at = end;
        (end <= message.bytes.len()).then_some(())
    }
}

fn class_name(class: u16) -> String {
    match class {
        3 => "CHAOS".to_owned(),
        4 => "HS".to_owned(),
        255 => "ANY".to_owned(),
        other => format!("Class {other}"),
    }
}

/// A time to live, in weeks, days, hours, minutes and seconds (`unsigned_relts_print`).
fn ttl_text(seconds: u32) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut left = seconds;
    let mut text = String::new();
    for (unit, letter) in [(604_800, 'w'), (86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')] {
        if left >= unit {
            let _ = write!(text, "{}{letter}", left / unit);
            left %= unit;
        }
    }
    text
}
