//! TCP (`tcp_print`).

use super::ip::Header;
use super::{Cut, Printer, checksum, long, word};
use std::fmt::Write as _;

const CUT: Cut = Cut("tcp");

/// Bits of the flags with their letters.
const FLAGS: [(u8, char); 8] =
    [(0x01, 'F'), (0x02, 'S'), (0x04, 'R'), (0x08, 'P'), (0x10, '.'), (0x20, 'U'), (0x40, 'E'), (0x80, 'W')];
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

/// First numbers of both directions, seen from the sender of a segment.
#[derive(Clone, Copy, Default)]
struct First {
    own: u32,
    other: u32,
}

impl Printer<'_> {
    pub(super) fn tcp(&mut self, header: Header, bytes: &[u8], length: usize) -> Result<(), Cut> {
        let (from, to) = (self.host(header.src), self.host(header.dst));
        let (Some(src_port), Some(dst_port)) = (word(bytes, 0), word(bytes, 2)) else {
            self.put(format!("{from} > {to}:"));
            return Err(CUT);
        };
        let (src_name, dst_name) = (self.port(src_port, "tcp"), self.port(dst_port, "tcp"));
        self.put(format!("{from}.{src_name} > {to}.{dst_name}: "));
        let header_len = usize::from(bytes.get(12).ok_or(CUT)? >> 4) * 4;
        if header_len < 20 {
            let text = format!(
                " tcp {} [bad hdr length {header_len} - too short, < 20]",
                length.wrapping_sub(header_len) as u32
            );
            self.put(text);
            return Ok(());
        }
        let (seq, ack) = (long(bytes, 4).ok_or(CUT)?, long(bytes, 8).ok_or(CUT)?);
        let flags = *bytes.get(13).ok_or(CUT)?;
        let (window, urgent) = (word(bytes, 14).ok_or(CUT)?, word(bytes, 18).ok_or(CUT)?);
        if self.style.quiet {
            self.put(format!("tcp {}", length.wrapping_sub(header_len) as u32));
            if header_len > length {
                self.put(format!(" [bad hdr length {header_len} - too long, > {length}]"));
            }
            return Ok(());
        }
        let letters: String =
            FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect();
        self.put(format!("Flags [{}]", if letters.is_empty() { "none" } else { &letters }));
        let (first, seq, ack) =
            self.relative((header.src, src_port), (header.dst, dst_port), flags, (seq, ack));
        if header_len > length {
            self.put(format!(" [bad hdr length {header_len} - too long, > {length}]"));
            return Ok(());
        }
        if self.is_verbose() && !self.style.unverified && !header.is_fragment && bytes.len() >= length {
            self.tcp_checksum(header, &bytes[..length]);
        }
        let data_len = (length - header_len) as u32;
        if self.style.verbosity > 1 || data_len > 0 || flags & 0x07 != 0 {
            self.put(format!(", seq {seq}"));
            if data_len > 0 {
                self.put(format!(":{}", seq.wrapping_add(data_len)));
            }
        }
        if flags & ACK != 0 {
            self.put(format!(", ack {ack}"));
        }
        self.put(format!(", win {window}"));
        if flags & URG != 0 {
            self.put(format!(", urg {urgent}"));
        }
        if header_len > 20 {
            self.put(", options [");
            let options = bytes.get(20..header_len).ok_or(CUT)?;
            self.tcp_options(options, first);
            self.put("]");
        }
        self.put(format!(", length {data_len}"));
        if data_len > 0 && flags & RST == 0 {
            let data = bytes.get(header_len..).unwrap_or_default();
            self.tcp_data((src_port, dst_port), data, data_len as usize);
        }
        Ok(())
    }

    /// Sequence and acknowledgement number as they are shown: relative to the first of their conversation, once
    /// that was seen.
    fn relative(
        &mut self,
        src: (std::net::Ipv4Addr, u16),
        dst: (std::net::Ipv4Addr, u16),
        flags: u8,
        (seq, ack): (u32, u32),
    ) -> (First, u32, u32) {
        if self.style.absolute || flags & ACK == 0 {
            return (First::default(), seq, ack);
        }
        let turned = (src.1, src.0) > (dst.1, dst.0);
        let key = if turned { (dst, src) } else { (src, dst) };
        let known = self.conversations.first.get(&key).copied();
        if let (Some((low, high)), true) = (known, flags & SYN == 0) {
            let first =
                if turned { First { own: high, other: low } } else { First { own: low, other: high } };
            return (first, seq.wrapping_sub(first.own), ack.wrapping_sub(first.other));
        }
        let first = First { own: seq, other: ack.wrapping_sub(1) };
        let stored = if turned { (first.other, first.own) } else { (first.own, first.other) };
        self.conversations.first.insert(key, stored);
        (first, seq, ack)
    }

    fn tcp_checksum(&mut self, header: Header, segment: &[u8]) {
        let held = word(segment, 16).unwrap_or(0);
        let start = pseudo(header, segment.len());
        self.put(format!(", cksum 0x{held:04x}"));
        if checksum(start, segment) == 0 {
            self.put(" (correct)");
        } else {
            let mut right = segment.to_vec();
            right[16..18].copy_from_slice(&[0, 0]);
            self.put(format!(" (incorrect -> 0x{:04x})", checksum(start, &right)));
        }
    }

    fn tcp_options(&mut self, mut options: &[u8], first: First) {
        let mut sep = "";
        while let Some(&kind) = options.first() {
            self.put(sep);
            sep = ",";
            if kind < 2 {
                self.put(if kind == 0 { "eol" } else { "nop" });
                options = &options[1..];
                if kind == 0 {
                    return;
                }
                continue;
            }
            let len = options.get(1).copied().map_or(0, usize::from);
            if len < 2 || len > options.len() {
                self.put("[bad opt]");
                return;
            }
            let data = &options[2..len];
            let text = option_text(kind, data, first);
            self.put(text);
            options = &options[len..];
        }
    }

    /// Data of the protocols that are told by their port.
    fn tcp_data(&mut self, (src, dst): (u16, u16), data: &[u8], length: usize) {
        let is = |ports: &[u16]| ports.contains(&src) || ports.contains(&dst);
        if is(&[80, 8080, 3128]) {
            self.put(": ");
            self.text("HTTP", &super::text::HTTP, data, length);
        } else if is(&[21]) {
            self.put(": ");
            self.text("FTP", &super::text::FTP, data, length);
        } else if is(&[25, 587]) {
            self.put(": ");
            self.text("SMTP", &super::text::SMTP, data, length);
        } else if is(&[22]) {
            self.ssh(data, length);
        } else if is(&[53]) {
            self.put(" ");
            // A message over TCP has its length in front.
            let (message, left) = (data.get(2..).unwrap_or_default(), length.saturating_sub(2));
            self.dns(message, left, false);
        }
    }
}

/// One option (`tcp_option_values`).
fn option_text(kind: u8, data: &[u8], first: First) -> String {
    match (kind, data) {
        (2, [a, b]) => format!("mss {}", u16::from_be_bytes([*a, *b])),
        (3, [shift]) => format!("wscale {shift}"),
        (4, []) => "sackOK".to_owned(),
        (5, blocks) if blocks.len() % 8 == 0 => {
            let mut text = format!("sack {} ", blocks.len() / 8);
            for block in blocks.chunks(8) {
                let (start, end) = (long(block, 0).unwrap_or(0), long(block, 4).unwrap_or(0));
                let (start, end) = (start.wrapping_sub(first.other), end.wrapping_sub(first.other));
                let _ = write!(text, "{{{start}:{end}}}");
            }
            text
        }
        (5, _) => "sack malformed sack".to_owned(),
        (8, times) if times.len() == 8 => {
            format!("TS val {} ecr {}", long(times, 0).unwrap_or(0), long(times, 4).unwrap_or(0))
        }
        (253 | 254, [a, b]) => format!("exp-{a:02x}{b:02x}"),
        (kind, data) => {
            let mut hex = String::from(if data.is_empty() { "" } else { " 0x" });
            for byte in data {
                let _ = write!(hex, "{byte:02x}");
            }
            let name = match kind {
                2 => "mss".to_owned(),
                3 => "wscale".to_owned(),
                4 => "sackOK".to_owned(),
                8 => "TS".to_owned(),
                19 => "md5".to_owned(),
                28 => "uto".to_owned(),
                34 => "tfo".to_owned(),
                other => format!("unknown-{other}"),
            };
            format!("{name}{hex}")
        }
    }
}

/// The sum of the pseudo header.
pub(super) fn pseudo(header: Header, length: usize) -> u32 {
    let halves = |addr: std::net::Ipv4Addr| (addr.to_bits() >> 16) + (addr.to_bits() & 0xffff);
    halves(header.src) + halves(header.dst) + u32::from(header.protocol) + length as u32
}
