//! A frame taken apart for reading: layers, their fields, and the bytes and bits each field lies in.
//!
//! The fields of a layer cover its bytes exactly, in order and without gaps, and the layers cover the frame.

mod dns;
mod tcp;
mod tls;

use super::{Body, Bpdu, Esp, Frame, Gre, GrePayload, Igmp, Ipv4, Payload, Quote, Udp, UdpPayload};
use crate::base::{Ipv4Addr, MacAddr};
use std::ops::Range;

/// A header, or data that no header claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Name of the protocol, as `IPv4`; `Data` for data.
    pub name: &'static str,
    /// How many tunnels it lies in.
    pub depth: usize,
    /// Whether it belongs to the packet that an ICMP error quotes.
    pub quoted: bool,
    /// Its bytes in the outermost frame.
    pub range: Range<usize>,
    /// Its fields in order.
    pub fields: Vec<Field>,
}

/// A field of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name in the words of the protocol's standard.
    pub name: &'static str,
    /// Value as text.
    pub value: String,
    /// The bytes it lies in, counted from the beginning of the outermost frame.
    pub range: Range<usize>,
    /// The bits it lies in where it does not fill those bytes, counted from the most significant bit of the first.
    pub bits: Option<Range<u8>>,
}

/// The layers of `frame`, outermost first.
pub fn fields(frame: &Frame) -> Vec<Layer> {
    let bytes = frame.emit();
    let mut reader = Reader { bytes: &bytes, layers: Vec::new(), depth: 0, quoted: false };
    reader.frame(frame, 0);
    reader.layers
}

struct Reader<'a> {
    bytes: &'a [u8],
    layers: Vec<Layer>,
    depth: usize,
    quoted: bool,
}

/// A layer being written: fields follow one another from its first byte on.
struct Fields<'a> {
    bytes: &'a [u8],
    start: usize,
    at: usize,
    done: Vec<Field>,
}

/// Some bits of a field: name, number of bits, and the text of the value.
type Part = (&'static str, u8, fn(u32) -> String);

impl<'a> Fields<'a> {
    /// Adds the next `len` bytes as a field whose text `show` makes.
    fn next(&mut self, name: &'static str, len: usize, show: impl FnOnce(&'a [u8]) -> String) {
        let range = self.at..self.at + len;
        self.at = range.end;
        self.done.push(Field { name, value: show(&self.bytes[range.clone()]), range, bits: None });
    }

    fn number(&mut self, name: &'static str, len: usize) {
        self.next(name, len, |bytes| number(bytes).to_string());
    }

    fn hex(&mut self, name: &'static str, len: usize) {
        self.next(name, len, |bytes| format!("0x{}", hex(bytes)));
    }

    fn mac(&mut self, name: &'static str) {
        self.next(name, 6, |bytes| MacAddr(std::array::from_fn(|i| bytes[i])).to_string());
    }

    fn ethertype(&mut self) {
        let name = |value| match value {
            0x0800 => " (IPv4)",
            0x0806 => " (ARP)",
            0x6558 => " (transparent Ethernet bridging)",
            0x8100 => " (802.1Q)",
            0x88a8 => " (802.1ad)",
            0..0x0600 => " (length)",
            _ => "",
        };
        self.next("EtherType", 2, |bytes| format!("0x{}{}", hex(bytes), name(number(bytes))));
    }

    fn ip(&mut self, name: &'static str) {
        self.next(name, 4, |bytes| Ipv4Addr::from(number(bytes)).to_string());
    }

    /// Adds the next `len` bytes as fields of some bits each.
    fn bits(&mut self, len: usize, parts: &[Part]) {
        let range = self.at..self.at + len;
        self.at = range.end;
        let whole = number(&self.bytes[range.clone()]);
        let width = (len * 8) as u8;
        let mut first = 0;
        for (name, count, show) in parts {
            let value = (whole >> (width - first - count)) & ((1 << count) - 1);
            let bits = Some(first..first + count);
            self.done.push(Field { name, value: show(value), range: range.clone(), bits });
            first += count;
        }
        assert_eq!(first, width, "the parts fill the bytes");
    }
}

/// Up to four bytes as a number in network order.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string does not fail");
        out
    })
}

fn decimal(value: u32) -> String {
    value.to_string()
}

fn flag(value: u32) -> String {
    if value == 1 { "1 (set)" } else { "0 (not set)" }.to_string()
}

impl<'a> Reader<'a> {
    fn begin(&self, at: usize) -> Fields<'a> {
        Fields { bytes: self.bytes, start: at, at, done: Vec::new() }
    }

    fn end(&mut self, name: &'static str, layer: Fields<'a>) {
        let (depth, quoted) = (self.depth, self.quoted);
        let range = layer.start..layer.at;
        self.layers.push(Layer { name, depth, quoted, range, fields: layer.done });
    }

    fn data(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let mut layer = self.begin(range.start);
        layer.next("Data", range.len(), |bytes| format!("{} bytes", bytes.len()));
        self.end("Data", layer);
    }

    fn frame(&mut self, frame: &Frame, at: usize) {
        let mut layer = self.begin(at);
        layer.mac("Destination");
        layer.mac("Source");
        layer.ethertype();
        self.end("Ethernet", layer);
        self.payload(&frame.payload, at + Frame::HEADER_LEN);
    }

    fn payload(&mut self, payload: &Payload, at: usize) {
        match payload {
            Payload::Arp(_) => self.arp(at),
            Payload::Ipv4(packet) => self.ipv4(packet, at),
            Payload::Vlan(vlan) => {
                let mut layer = self.begin(at);
                layer.bits(
                    2,
                    &[
                        ("Priority (PCP)", 3, decimal),
                        ("Drop eligible (DEI)", 1, flag),
                        ("VLAN identifier (VID)", 12, decimal),
                    ],
                );
                layer.ethertype();
                let rest = layer.at;
                self.end("VLAN", layer);
                self.payload(&vlan.inner, rest);
            }
            Payload::Bpdu(bpdu) => self.bpdu(*bpdu, at),
            Payload::Other { bytes, .. } => self.data(at..at + bytes.len()),
        }
    }

    fn bpdu(&mut self, bpdu: Bpdu, at: usize) {
        let mut layer = self.begin(at);
        layer.hex("Destination service access point", 1);
        layer.hex("Source service access point", 1);
        layer.hex("Control", 1);
        let rest = layer.at;
        self.end("LLC", layer);
        let mut layer = self.begin(rest);
        layer.number("Protocol identifier", 2);
        layer.number("Protocol version", 1);
        layer.next("BPDU type", 1, |bytes| match bytes[0] {
            0 => "0x00 (configuration)".to_string(),
            2 => "0x02 (rapid)".to_string(),
            _ => "0x80 (topology change notification)".to_string(),
        });
        if bpdu.config().is_some() {
            layer.bits(
                1,
                &[
                    ("Topology change acknowledgment", 1, flag),
                    ("Agreement", 1, flag),
                    ("Forwarding", 1, flag),
                    ("Learning", 1, flag),
                    ("Port role", 2, decimal),
                    ("Proposal", 1, flag),
                    ("Topology change", 1, flag),
                ],
            );
            layer.number("Root priority", 2);
            layer.mac("Root address");
            layer.number("Root path cost", 4);
            layer.number("Bridge priority", 2);
            layer.mac("Bridge address");
            layer.hex("Port identifier", 2);
            for name in ["Message age", "Maximum age", "Hello time", "Forward delay"] {
                layer.next(name, 2, |bytes| format!("{} s", number(bytes) / 256));
            }
            if matches!(bpdu, Bpdu::Rapid(_)) {
                layer.number("Version 1 length", 1);
            }
        }
        self.end("STP", layer);
    }

    fn arp(&mut self, at: usize) {
        let mut layer = self.begin(at);
        layer.next("Hardware type", 2, |_| "1 (Ethernet)".to_string());
        layer.next("Protocol type", 2, |_| "0x0800 (IPv4)".to_string());
        layer.number("Hardware address length", 1);
        layer.number("Protocol address length", 1);
        layer.next("Operation", 2, |bytes| match number(bytes) {
            1 => "1 (request)".to_string(),
            2 => "2 (reply)".to_string(),
            code => code.to_string(),
        });
        layer.mac("Sender hardware address");
        layer.ip("Sender protocol address");
        layer.mac("Target hardware address");
        layer.ip("Target protocol address");
        self.end("ARP", layer);
    }

    fn ipv4(&mut self, packet: &Ipv4, at: usize) {
        let body = at + packet.header_len();
        self.ipv4_header(at, packet.header_len());
        match &*packet.body {
            Body::Icmp(icmp) => self.icmp(body, body + icmp.wire_len()),
            Body::Tcp(tcp) => self.tcp(body, body + tcp.wire_len()),
            Body::Udp(udp) => self.udp(udp, body),
            Body::Igmp(igmp) => self.igmp(igmp, body),
            Body::Ipip(inner) => {
                self.depth += 1;
                self.ipv4(inner, body);
                self.depth -= 1;
            }
            Body::Gre(gre) => self.gre(gre, body),
            Body::Esp(esp) => self.esp(esp, body),
            Body::Raw { bytes, .. } => self.data(body..body + bytes.len()),
        }
    }

    fn ipv4_header(&mut self, at: usize, header_len: usize) {
        let mut layer = self.begin(at);
        layer.bits(
            1,
            &[("Version", 4, decimal), ("Header length", 4, |words| format!("{} bytes", words * 4))],
        );
        layer.bits(1, &[("DSCP", 6, dscp), ("ECN", 2, decimal)]);
        layer.number("Total length", 2);
        layer.hex("Identification", 2);
        layer.bits(
            2,
            &[
                ("Reserved flag", 1, flag),
                ("Don't fragment", 1, flag),
                ("More fragments", 1, flag),
                ("Fragment offset", 13, |units| format!("{} bytes", units * 8)),
            ],
        );
        layer.number("Time to live", 1);
        layer.next("Protocol", 1, |bytes| match bytes[0] {
            1 => "1 (ICMP)".to_string(),
            2 => "2 (IGMP)".to_string(),
            4 => "4 (IPv4)".to_string(),
            47 => "47 (GRE)".to_string(),
            50 => "50 (ESP)".to_string(),
            6 => "6 (TCP)".to_string(),
            17 => "17 (UDP)".to_string(),
            other => other.to_string(),
        });
        layer.hex("Header checksum", 2);
        layer.ip("Source address");
        layer.ip("Destination address");
        if header_len > Ipv4::HEADER_LEN {
            layer.hex("Options", header_len - Ipv4::HEADER_LEN);
        }
        self.end("IPv4", layer);
    }

    fn icmp(&mut self, at: usize, end: usize) {
        let (kind, code) = (self.bytes[at], self.bytes[at + 1]);
        let mut layer = self.begin(at);
        layer.next("Type", 1, |_| with_name(kind, icmp_type(kind)));
        layer.next("Code", 1, |_| with_name(code, icmp_code(kind, code)));
        layer.hex("Checksum", 2);
        match (kind, code) {
            (0 | 8, _) => {
                layer.number("Identifier", 2);
                layer.number("Sequence number", 2);
            }
            (3, 4) => {
                layer.hex("Unused", 2);
                layer.number("Next-hop MTU", 2);
            }
            (5, _) => layer.ip("Gateway address"),
            (3 | 11, _) => layer.hex("Unused", 4),
            _ => layer.hex("Rest of header", 4),
        }
        let rest = layer.at..end;
        self.end("ICMP", layer);
        if matches!(kind, 3..=5 | 11 | 12) && !self.quoted {
            self.quote(rest);
        } else {
            self.data(rest);
        }
    }

    /// The packet that an ICMP error quotes, as far as it goes.
    fn quote(&mut self, range: Range<usize>) {
        self.quoted = true;
        match Quote::read(&self.bytes[range.clone()]) {
            Some(quote) => {
                self.ipv4_header(range.start, quote.header_len);
                let at = range.start + quote.header_len;
                match (quote.protocol, quote.fragment_offset, range.end - at) {
                    (1, 0, 8..) => self.icmp(at, range.end),
                    (6, 0, 8..) => self.tcp(at, range.end),
                    (17, 0, 8..) => {
                        self.udp_header(at);
                        self.data(at + Udp::HEADER_LEN..range.end);
                    }
                    _ => self.data(at..range.end),
                }
            }
            None => self.data(range),
        }
        self.quoted = false;
    }

    fn igmp(&mut self, igmp: &Igmp, at: usize) {
        let mut layer = self.begin(at);
        layer.next("Type", 1, |bytes| with_name(bytes[0], igmp_type(bytes[0])));
        match igmp {
            Igmp::Plain { rest, .. } => {
                layer.next("Maximum response time", 1, |bytes| format!("{}/10 s", bytes[0]));
                layer.hex("Checksum", 2);
                layer.ip("Group address");
                let rest = layer.at..layer.at + rest.len();
                self.end("IGMP", layer);
                self.data(rest);
            }
            Igmp::V3Report(records) => {
                layer.hex("Reserved", 1);
                layer.hex("Checksum", 2);
                layer.hex("Reserved", 2);
                layer.number("Number of group records", 2);
                for record in records {
                    layer.next("Record type", 1, |bytes| with_name(bytes[0], record_type(bytes[0])));
                    layer.number("Auxiliary data length", 1);
                    layer.number("Number of sources", 2);
                    layer.ip("Multicast address");
                    record.sources.iter().for_each(|_| layer.ip("Source address"));
                }
                self.end("IGMP", layer);
            }
        }
    }

    fn gre(&mut self, gre: &Gre, at: usize) {
        let mut layer = self.begin(at);
        layer.bits(
            2,
            &[
                ("Checksum present", 1, flag),
                ("Routing present", 1, flag),
                ("Key present", 1, flag),
                ("Sequence number present", 1, flag),
                ("Reserved flags", 9, decimal),
                ("Version", 3, decimal),
            ],
        );
        layer.ethertype();
        if gre.checksum {
            layer.hex("Checksum", 2);
            layer.hex("Reserved", 2);
        }
        if gre.key.is_some() {
            layer.number("Key", 4);
        }
        if gre.sequence.is_some() {
            layer.number("Sequence number", 4);
        }
        let inner = layer.at;
        self.end("GRE", layer);
        self.depth += 1;
        match &gre.payload {
            GrePayload::Ipv4(packet) => self.ipv4(packet, inner),
            GrePayload::Ethernet(frame) => self.frame(frame, inner),
            GrePayload::Other { bytes, .. } => self.data(inner..inner + bytes.len()),
        }
        self.depth -= 1;
    }

    /// The encrypted part cannot be told apart without the key, only where it begins and ends.
    fn esp(&mut self, esp: &Esp, at: usize) {
        let mut layer = self.begin(at);
        layer.hex("Security parameters index (SPI)", 4);
        layer.number("Sequence number", 4);
        let sealed = esp.data.len().saturating_sub(Esp::IV_LEN + Esp::ICV_LEN);
        if sealed == 0 {
            layer.next("Encrypted data", esp.data.len(), |bytes| format!("{} bytes", bytes.len()));
        } else {
            layer.hex("Initialization vector", Esp::IV_LEN);
            layer.next("Encrypted payload, padding and next header", sealed, |bytes| {
                format!("{} bytes", bytes.len())
            });
            layer.hex("Integrity check value (ICV)", Esp::ICV_LEN);
        }
        self.end("ESP", layer);
    }

    fn udp(&mut self, udp: &Udp, at: usize) {
        self.udp_header(at);
        let at = at + Udp::HEADER_LEN;
        match &udp.payload {
            UdpPayload::Data(bytes) => {
                self.datagram([udp.src_port, udp.dst_port], at..at + bytes.len());
            }
            UdpPayload::Vxlan(vxlan) => {
                let mut layer = self.begin(at);
                layer.bits(
                    1,
                    &[
                        ("Reserved flags", 4, decimal),
                        ("Flag I (VNI valid)", 1, flag),
                        ("Reserved flags", 3, decimal),
                    ],
                );
                layer.hex("Reserved", 3);
                layer.number("VXLAN network identifier (VNI)", 3);
                layer.hex("Reserved", 1);
                let inner = layer.at;
                self.end("VXLAN", layer);
                self.depth += 1;
                self.frame(&vxlan.inner, inner);
                self.depth -= 1;
            }
        }
    }

    fn udp_header(&mut self, at: usize) {
        let mut layer = self.begin(at);
        layer.number("Source port", 2);
        layer.number("Destination port", 2);
        layer.number("Length", 2);
        layer.next("Checksum", 2, |bytes| match number(bytes) {
            0 => "0x0000 (none)".to_string(),
            sum => format!("0x{sum:04x}"),
        });
        self.end("UDP", layer);
    }
}

fn with_name(value: u8, name: Option<&str>) -> String {
    name.map_or_else(|| value.to_string(), |name| format!("{value} ({name})"))
}

/// RFC 2474 section 4.2 names the class selectors.
fn dscp(value: u32) -> String {
    match value {
        0 => "0 (default)".to_string(),
        value if value % 8 == 0 => format!("{value} (CS{})", value / 8),
        value => value.to_string(),
    }
}

fn icmp_type(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "echo reply",
        3 => "destination unreachable",
        4 => "source quench",
        5 => "redirect",
        8 => "echo request",
        11 => "time exceeded",
        12 => "parameter problem",
        _ => return None,
    })
}

fn igmp_type(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0x11 => "membership query",
        0x12 => "version 1 membership report",
        0x16 => "version 2 membership report",
        0x17 => "leave group",
        0x22 => "version 3 membership report",
        _ => return None,
    })
}

fn record_type(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "mode is include",
        2 => "mode is exclude",
        3 => "change to include mode",
        4 => "change to exclude mode",
        5 => "allow new sources",
        6 => "block old sources",
        _ => return None,
    })
}

fn icmp_code(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (3, 0) => "net unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed and DF set",
        (3, 13) => "communication administratively prohibited",
        (5, 0) => "for the network",
        (5, 1) => "for the host",
        (11, 0) => "in transit",
        (11, 1) => "in reassembly",
        _ => return None,
    })
}
