//! One line a frame, as `tcpdump -n` prints it after the time.
//!
//! Three things differ. What a VXLAN packet carries stands on the same line after ` > ` instead of on a line of its
//! own; port 8472 is called VXLAN, whereas tcpdump takes it for OTV, which has the same header; and a VLAN tag is always
//! told, which tcpdump does with `-e` only.

use super::tls::records;
use super::{
    Arp, ArpOp, Body, Bpdu, Frame, Gre, GrePayload, Icmp, Igmp, Ipv4, Payload, Quote, Tcp, TcpFlags, Udp,
    UdpPayload, sctp,
};
use crate::base::{Ipv4Addr, MacAddr};
use std::fmt;

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        payload_line(f, self, &self.payload)
    }
}

fn payload_line(f: &mut fmt::Formatter<'_>, frame: &Frame, payload: &Payload) -> fmt::Result {
    match payload {
        Payload::Arp(arp) => write!(f, "ARP, {arp}"),
        Payload::Ipv4(packet) => write!(f, "IP {packet}"),
        Payload::Vlan(vlan) => {
            write!(f, "vlan {}, p {}, ", vlan.id, vlan.priority)?;
            if vlan.drop_eligible {
                f.write_str("DEI, ")?;
            }
            payload_line(f, frame, &vlan.inner)
        }
        Payload::Bpdu(bpdu) => write!(f, "{bpdu}"),
        Payload::Other { ethertype, bytes } => {
            write!(f, "{} > {}, ethertype Unknown (0x{ethertype:04x}), ", frame.src, frame.dst)?;
            write!(f, "length {}", bytes.len())
        }
    }
}

/// Flags of a configuration message, in tcpdump's words.
const BPDU_FLAGS: [(u8, &str); 6] = [
    (0x01, "Topology change"),
    (0x02, "Proposal"),
    (0x10, "Learn"),
    (0x20, "Forward"),
    (0x40, "Agreement"),
    (0x80, "Topology change ACK"),
];

impl fmt::Display for Bpdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, config) = match self {
            Self::Config(config) => ("802.1d, Config", config),
            Self::Rapid(config) => ("802.1w, Rapid STP", config),
            Self::TopologyChange => return f.write_str("STP 802.1d, Topology Change"),
        };
        let set: Vec<&str> =
            BPDU_FLAGS.iter().filter(|(bit, _)| config.flags & bit != 0).map(|(_, name)| *name).collect();
        let flags = if set.is_empty() { "none".to_owned() } else { set.join(", ") };
        write!(f, "STP {head}, Flags [{flags}], bridge-id {}.{:04x}, ", config.bridge, config.port)?;
        write!(f, "length {}", self.wire_len() - 3)
    }
}

impl fmt::Display for Gre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GREv0")?;
        if self.checksum {
            f.write_str(", off 0x0")?;
        }
        if let Some(key) = self.key {
            write!(f, ", key=0x{key:x}")?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, ", seq {sequence}")?;
        }
        write!(f, ", length {}: ", self.wire_len())?;
        match &self.payload {
            GrePayload::Ipv4(packet) => write!(f, "IP {packet}"),
            GrePayload::Ethernet(frame) => write!(f, "{frame}"),
            GrePayload::Other { ethertype, .. } => write!(f, "gre-proto-0x{ethertype:x}"),
        }
    }
}

impl fmt::Display for Igmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V3Report(records) => write!(f, "igmp v3 report, {} group record(s)", records.len()),
            Self::Plain { kind: 0x11, rest, .. } if rest.len() >= 4 => f.write_str("igmp query v3"),
            Self::Plain { kind: 0x11, max_response: 0, .. } => f.write_str("igmp query v1"),
            Self::Plain { kind: 0x11, max_response, group, .. } => {
                f.write_str("igmp query v2")?;
                if *max_response != 100 {
                    write!(f, " [max resp time {max_response}]")?;
                }
                if !group.is_unspecified() {
                    write!(f, " [gaddr {group}]")?;
                }
                Ok(())
            }
            Self::Plain { kind: 0x12, group, .. } => write!(f, "igmp v1 report {group}"),
            Self::Plain { kind: 0x16, group, .. } => write!(f, "igmp v2 report {group}"),
            Self::Plain { kind: 0x17, group, .. } => write!(f, "igmp leave {group}"),
            Self::Plain { kind, .. } => write!(f, "igmp-{kind}"),
        }
    }
}

impl fmt::Display for Arp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            ArpOp::Request => {
                write!(f, "Request who-has {}", self.target_ip)?;
                if self.target_mac != MacAddr::ZERO {
                    write!(f, " ({})", self.target_mac)?;
                }
                write!(f, " tell {}", self.sender_ip)?;
            }
            ArpOp::Reply => write!(f, "Reply {} is-at {}", self.sender_ip, self.sender_mac)?,
            ArpOp::Other(code) => write!(f, "Unknown ({code})")?,
        }
        write!(f, ", length {}", Self::LEN)
    }
}

impl fmt::Display for Ipv4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, dst) = (self.src, self.dst);
        match &*self.body {
            Body::Icmp(icmp) => write!(f, "{src} > {dst}: {icmp}"),
            Body::Tcp(tcp) => {
                write!(f, "{src}.{} > {dst}.{}: {tcp}", tcp.src_port, tcp.dst_port)
            }
            Body::Udp(udp) => {
                write!(f, "{src}.{} > {dst}.{}: {udp}", udp.src_port, udp.dst_port)
            }
            Body::Igmp(igmp) => write!(f, "{src} > {dst}: {igmp}"),
            Body::Ipip(inner) => write!(f, "{src} > {dst}: IP {inner}"),
            Body::Gre(gre) => write!(f, "{src} > {dst}: {gre}"),
            Body::Esp(esp) => {
                write!(f, "{src} > {dst}: ESP(spi=0x{:08x},seq=0x{:x}), ", esp.spi, esp.seq)?;
                write!(f, "length {}", esp.wire_len())
            }
            Body::Raw { protocol, .. } if self.fragment_offset != 0 => {
                write!(f, "{src} > {dst}: ip-proto-{protocol}")
            }
            Body::Raw { protocol: sctp::PROTOCOL, bytes } if let Some(init) = sctp::Init::read(bytes) => {
                write!(f, "{src}.{} > {dst}.{}: {init}", init.src_port, init.dst_port)
            }
            Body::Raw { protocol: 1, bytes } if bytes.len() >= Icmp::HEADER_LEN => {
                write!(f, "{src} > {dst}: ")?;
                icmp_line(f, bytes)
            }
            Body::Raw { protocol: 17, bytes } if bytes.len() >= Udp::HEADER_LEN => {
                let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                write!(f, "{src}.{} > {dst}.{}: UDP, ", word(0), word(2))?;
                // Only the first fragment comes here, so its length speaks of more than is there.
                write!(f, "bad length {} > {}", word(4).saturating_sub(8), bytes.len() - 8)
            }
            Body::Raw { protocol: 6, bytes } => match Tcp::read(bytes, 0) {
                Ok(tcp) => write!(f, "{src}.{} > {dst}.{}: {tcp}", tcp.src_port, tcp.dst_port),
                Err(_) => write!(f, "{src} > {dst}: ip-proto-6 {}", bytes.len()),
            },
            Body::Raw { protocol, bytes } => {
                write!(f, "{src} > {dst}: ip-proto-{protocol} {}", bytes.len())
            }
        }
    }
}

impl fmt::Display for Udp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.payload {
            UdpPayload::Data(bytes) => write!(f, "UDP, length {}", bytes.len()),
            UdpPayload::Vxlan(vxlan) => {
                write!(f, "VXLAN, flags [I] (0x08), vni {} > {}", vxlan.vni, vxlan.inner)
            }
        }
    }
}

impl fmt::Display for Tcp {
    /// With absolute sequence numbers, as with `-S`: relative ones need the connection's beginning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.data.len();
        write!(f, "Flags [{}]", self.flags)?;
        if len > 0 || self.flags.intersects(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
            write!(f, ", seq {}", self.seq)?;
            if len > 0 {
                write!(f, ":{}", self.seq.wrapping_add(len as u32))?;
            }
        }
        if self.flags.contains(TcpFlags::ACK) {
            write!(f, ", ack {}", self.ack)?;
        }
        write!(f, ", win {}", self.window)?;
        if self.flags.contains(TcpFlags::URG) {
            write!(f, ", urg {}", self.urgent)?;
        }
        for (index, option) in self.options().iter().enumerate() {
            write!(f, "{}{option}", if index == 0 { ", options [" } else { "," })?;
        }
        if !self.options().is_empty() {
            f.write_str("]")?;
        }
        write!(f, ", length {len}")?;
        if len > 0 && [80, 8080].iter().any(|port| [self.src_port, self.dst_port].contains(port)) {
            f.write_str(": HTTP")?;
            http_line(f, &self.data)?;
        }
        let records: Vec<String> = records(&self.data).map(|record| record.summary()).collect();
        if !records.is_empty() {
            write!(f, ", TLS {}", records.join(", "))?;
        }
        Ok(())
    }
}

/// The first line of a request or response (`http_print`); of other data nothing.
fn http_line(f: &mut fmt::Formatter<'_>, data: &[u8]) -> fmt::Result {
    let line = data.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Ok(()) };
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let request = ["GET", "PUT", "HEAD", "POST", "TRACE", "DELETE", "CONNECT", "OPTIONS"].contains(&first);
    let response = second.len() == 3 && second.bytes().all(|byte| byte.is_ascii_digit());
    let printable = line.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    if (request || response) && printable { write!(f, ": {line}") } else { Ok(()) }
}

impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(self.wire_len());
        self.emit_into(&mut bytes);
        icmp_line(f, &bytes)
    }
}

/// An ICMP message, of which at least the header is there.
fn icmp_line(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let quote = Quote::read(&bytes[Icmp::HEADER_LEN..]);
    f.write_str("ICMP ")?;
    match (bytes[0], bytes[1], quote) {
        (8, _, _) => write!(f, "echo request, id {}, seq {}", word(4), word(6))?,
        (0, _, _) => write!(f, "echo reply, id {}, seq {}", word(4), word(6))?,
        (3, code, Some(quote)) => unreachable_text(f, code, word(6), &quote)?,
        (5, code, Some(quote)) => redirect_text(f, code, [bytes[4], bytes[5], bytes[6], bytes[7]], &quote)?,
        (11, 0, _) => f.write_str("time exceeded in-transit")?,
        (11, 1, _) => f.write_str("ip reassembly time exceeded")?,
        (11, code, _) => write!(f, "time exceeded-#{code}")?,
        (13, _, _) => f.write_str("time stamp request")?,
        (14, _, _) => f.write_str("time stamp reply")?,
        (kind, code, _) => write!(f, "type-#{kind}, code {code}")?,
    }
    write!(f, ", length {}", bytes.len())
}

fn unreachable_text(f: &mut fmt::Formatter<'_>, code: u8, mtu: u16, quote: &Quote<'_>) -> fmt::Result {
    let dst = quote.dst;
    match (code, quote.protocol, quote.ports()) {
        (0, ..) => write!(f, "net {dst} unreachable"),
        (1, ..) => write!(f, "host {dst} unreachable"),
        (2, protocol, _) => write!(f, "{dst} protocol {protocol} unreachable"),
        (3, 6, Some((_, port))) => write!(f, "{dst} tcp port {port} unreachable"),
        (3, 17, Some((_, port))) => write!(f, "{dst} udp port {port} unreachable"),
        (3, protocol, _) => write!(f, "{dst} protocol {protocol} port unreachable"),
        (4, ..) if mtu == 0 => write!(f, "{dst} unreachable - need to frag"),
        (4, ..) => write!(f, "{dst} unreachable - need to frag (mtu {mtu})"),
        (5, ..) => write!(f, "{dst} unreachable - source route failed"),
        (6, ..) => write!(f, "net {dst} unreachable - unknown"),
        (7, ..) => write!(f, "host {dst} unreachable - unknown"),
        (9, ..) => write!(f, "net {dst} unreachable - admin prohibited"),
        (10, ..) => write!(f, "host {dst} unreachable - admin prohibited"),
        (13, ..) => write!(f, "host {dst} unreachable - admin prohibited filter"),
        (code, ..) => write!(f, "{dst} unreachable - #{code}"),
    }
}

fn redirect_text(f: &mut fmt::Formatter<'_>, code: u8, to: [u8; 4], quote: &Quote<'_>) -> fmt::Result {
    let what = if code.is_multiple_of(2) { "net" } else { "host" };
    write!(f, "redirect {} to {what} {}", quote.dst, Ipv4Addr::from(to))
}
