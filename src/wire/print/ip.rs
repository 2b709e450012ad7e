//! IPv4 and what it carries (`ip_print`, `ip_demux_print`).

use super::{Cut, DEPTH_MAX, Printer, addr, checksum, long, word};
use crate::base::Ipv4Addr;
use crate::wire::names;

/// What the layers above need of an IPv4 header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) src: Ipv4Addr,
    pub(super) dst: Ipv4Addr,
    pub(super) protocol: u8,
    /// Whether it is a piece of a larger packet.
    pub(super) is_fragment: bool,
}

/// Protocol names of the line that `-v` adds.
fn protocol_name(protocol: u8) -> &'static str {
    match protocol {
        0 => "Options",
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        6 => "TCP",
        9 => "IGRP",
        17 => "UDP",
        41 => "IPv6",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        88 => "EIGRP",
        89 => "OSPF",
        103 => "PIM",
        108 => "Compressed IP",
        112 => "VRRP",
        132 => "SCTP",
        _ => "unknown",
    }
}

impl Printer<'_> {
    /// A packet, the outermost, one in a tunnel or one quoted.
    pub(super) fn ip(&mut self, bytes: &[u8], length: usize) {
        if !self.style.link {
            self.put("IP ");
        }
        self.depth += 1;
        if self.depth <= DEPTH_MAX
            && let Err(cut) = self.ip_inside(bytes, length)
        {
            self.put(" ");
            self.cut(&cut);
        }
        self.depth -= 1;
    }

    fn ip_inside(&mut self, bytes: &[u8], length: usize) -> Result<(), Cut> {
        const CUT: Cut = Cut("ip");
        if bytes.len() < 20 {
            return Err(CUT);
        }
        if length < 20 {
            self.put(format!("truncated-ip {length}"));
            return Ok(());
        }
        let first = *bytes.first().ok_or(CUT)?;
        let header_len = usize::from(first & 0x0f) * 4;
        if first >> 4 != 4 {
            self.put(format!("[wrong version {}]", first >> 4));
            return Ok(());
        }
        if header_len < 20 {
            self.put(format!("bad-hlen {header_len}"));
            return Ok(());
        }
        let mut total = usize::from(word(bytes, 2).ok_or(CUT)?);
        if length < total {
            self.put(format!("truncated-ip - {} bytes missing! ", total - length));
        }
        if total < header_len {
            if total != 0 {
                self.put(format!("bad-len {total}"));
                return Ok(());
            }
            total = length;
        }
        let off = word(bytes, 6).ok_or(CUT)?;
        let protocol = *bytes.get(9).ok_or(CUT)?;
        if self.is_verbose() {
            self.ip_details(bytes, header_len, total)?;
        }
        let (src, dst) = (addr(bytes, 12).ok_or(CUT)?, addr(bytes, 16).ok_or(CUT)?);
        let is_fragment = off & 0x3fff != 0;
        let header = Header { src, dst, protocol, is_fragment };
        let (from, to) = (self.host(src), self.host(dst));
        if off & 0x1fff != 0 {
            let name = self.protocol_word(protocol);
            self.put(format!("{from} > {to}: {name}"));
            return Ok(());
        }
        let rest = bytes.get(header_len.min(bytes.len())..).unwrap_or_default();
        let left = (total - header_len).min(length.saturating_sub(header_len));
        let body = &rest[..rest.len().min(total - header_len)];
        if !matches!(protocol, 6 | 17 | 132) {
            self.put(format!("{from} > {to}: "));
        }
        self.demux(header, body, if length < total { total - header_len } else { left });
        Ok(())
    }

    fn ip_details(&mut self, bytes: &[u8], header_len: usize, total: usize) -> Result<(), Cut> {
        const CUT: Cut = Cut("ip");
        let tos = bytes[1];
        let ecn = ["", ",ECT(1)", ",ECT(0)", ",CE"][usize::from(tos & 3)];
        self.put(format!("(tos 0x{tos:x}{ecn}"));
        let (ttl, protocol) = (bytes[8], bytes[9]);
        if ttl >= 1 {
            self.put(format!(", ttl {ttl}"));
        }
        let (id, off) = (word(bytes, 4).ok_or(CUT)?, word(bytes, 6).ok_or(CUT)?);
        let flags: Vec<&str> = [(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")]
            .into_iter()
            .filter_map(|(bit, name)| (off & bit != 0).then_some(name))
            .collect();
        let flags = if flags.is_empty() { "none".to_owned() } else { flags.join(", ") };
        self.put(format!(", id {id}, offset {}, flags [{flags}]", u32::from(off & 0x1fff) * 8));
        self.put(format!(", proto {} ({protocol}), length {total}", protocol_name(protocol)));
        if header_len > 20 {
            self.put(", options (");
            let options = bytes.get(20..header_len.min(bytes.len())).unwrap_or_default();
            self.ip_options(options);
            self.put(")");
        }
        if let (false, Some(header)) = (self.style.unverified, bytes.get(..header_len)) {
            let sum = checksum(0, header);
            if sum != 0 {
                let held = word(bytes, 10).unwrap_or(0);
                let mut right = header.to_vec();
                right[10..12].copy_from_slice(&[0, 0]);
                self.put(format!(", bad cksum {held:x} (->{:x})!", checksum(0, &right)));
            }
        }
        self.put(")\n    ");
        Ok(())
    }

    fn ip_options(&mut self, mut options: &[u8]) {
        let mut sep = "";
        while let Some(&kind) = options.first() {
            let name = match kind {
                0 => "EOL".to_owned(),
                1 => "NOP".to_owned(),
                7 => "RR".to_owned(),
                68 => "timestamp".to_owned(),
                130 => "security".to_owned(),
                131 => "LSRR".to_owned(),
                137 => "SSRR".to_owned(),
                148 => "RA".to_owned(),
                other => format!("unknown {other}"),
            };
            self.put(format!("{sep}{name}"));
            sep = ",";
            if kind == 0 {
                return;
            }
            if kind == 1 {
                options = &options[1..];
                continue;
            }
            let len = options.get(1).copied().map_or(0, usize::from);
            if len < 2 || len > options.len() {
                self.put(format!(" [bad length {len}]"));
                return;
            }
            if kind == 148 && len == 4 {
                let value = word(options, 2).unwrap_or(0);
                if value != 0 {
                    self.put(format!(" value {value}"));
                }
            }
            options = &options[len..];
        }
    }

    fn protocol_word(&self, protocol: u8) -> String {
        let name = if self.style.numeric { None } else { names::protocol_name(protocol) };
        name.map_or_else(|| format!("ip-proto-{protocol}"), str::to_owned)
    }

    /// What the packet carries: `bytes` of it are there, of `length`.
    fn demux(&mut self, header: Header, bytes: &[u8], length: usize) {
        let done = match header.protocol {
            1 => {
                self.icmp(header.is_fragment, bytes, length);
                Ok(())
            }
            2 => self.igmp(bytes, length),
            4 => {
                self.ip(bytes, length);
                Ok(())
            }
            6 => self.tcp(header, bytes, length),
            17 => self.udp(header, bytes, length),
            47 => self.gre(bytes, length),
            50 => self.esp(bytes, length),
            protocol => {
                let name = self.protocol_word(protocol);
                self.put(format!(" {name} {length}"));
                Ok(())
            }
        };
        if let Err(cut) = done {
            self.put(" ");
            self.cut(&cut);
        }
    }

    /// `igmp_print`.
    fn igmp(&mut self, bytes: &[u8], length: usize) -> Result<(), Cut> {
        const CUT: Cut = Cut("igmp");
        if self.style.quiet {
            self.put("igmp");
            return Ok(());
        }
        let (kind, time) = (*bytes.first().ok_or(CUT)?, *bytes.get(1).ok_or(CUT)?);
        match kind {
            0x11 => {
                let version = if length >= 12 {
                    3
                } else if time == 0 {
                    1
                } else {
                    2
                };
                self.put(format!("igmp query v{version}"));
                if version == 2 && time != 100 {
                    let tenth = time % 10;
                    let point = if tenth == 0 { String::new() } else { format!(".{tenth}") };
                    self.put(format!(" [max resp time {}{point}s]", time / 10));
                }
                let group = addr(bytes, 4).ok_or(CUT)?;
                if group != Ipv4Addr::UNSPECIFIED && version < 3 {
                    let group = self.host(group);
                    self.put(format!(" [gaddr {group}]"));
                }
            }
            0x12 | 0x16 => {
                let group = self.host(addr(bytes, 4).ok_or(CUT)?);
                let version = if kind == 0x12 { 1 } else { 2 };
                self.put(format!("igmp v{version} report {group}"));
            }
            0x17 => {
                let group = self.host(addr(bytes, 4).ok_or(CUT)?);
                self.put(format!("igmp leave {group}"));
            }
            0x22 => {
                let groups = word(bytes, 6).ok_or(CUT)?;
                self.put(format!("igmp v3 report, {groups} group record(s)"));
                if self.is_verbose() {
                    self.igmp_records(bytes, groups)?;
                }
            }
            other => self.put(format!("igmp-{other}")),
        }
        if self.is_verbose() && bytes.len() >= length && checksum(0, bytes) != 0 {
            self.put(format!(" bad igmp cksum {:x}!", word(bytes, 2).unwrap_or(0)));
        }
        Ok(())
    }

    /// Group records of a version 3 report (`print_igmpv3_report`).
    fn igmp_records(&mut self, bytes: &[u8], groups: u16) -> Result<(), Cut> {
        const CUT: Cut = Cut("igmp");
        let mut at = 8;
        for _ in 0..groups {
            let group = self.host(addr(bytes, at + 4).ok_or(CUT)?);
            let kinds = ["is_in", "is_ex", "to_in", "to_ex", "allow", "block"];
            let kind = usize::from(*bytes.get(at).ok_or(CUT)?);
            let name = kind.checked_sub(1).and_then(|kind| kinds.get(kind).copied()).unwrap_or("unknown");
            let sources = usize::from(word(bytes, at + 2).ok_or(CUT)?);
            self.put(format!(" [gaddr {group} {name}"));
            if self.style.verbosity == 1 {
                self.put(format!(", {sources} source(s)"));
            } else {
                self.put(" {");
                for source in 0..sources {
                    let source = self.host(addr(bytes, at + 8 + 4 * source).ok_or(CUT)?);
                    self.put(format!(" {source}"));
                }
                self.put(" }");
            }
            self.put("]");
            at += 8 + 4 * sources;
        }
        Ok(())
    }

    /// `gre_print`, version 0.
    fn gre(&mut self, bytes: &[u8], length: usize) -> Result<(), Cut> {
        const CUT: Cut = Cut("gre");
        let flags = word(bytes, 0).ok_or(CUT)?;
        self.put(format!("GREv{}", flags & 7));
        let protocol = word(bytes, 2).ok_or(CUT)?;
        if self.is_verbose() {
            let names = [
                (0x8000, "checksum present"),
                (0x4000, "routing present"),
                (0x2000, "key present"),
                (0x1000, "sequence# present"),
                (0x0800, "source routing present"),
            ];
            let set: Vec<&str> =
                names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
            let set = if set.is_empty() { "none".to_owned() } else { set.join(", ") };
            self.put(format!(", Flags [{set}]"));
        }
        let mut at = 4;
        if flags & 0xc000 != 0 {
            if flags & 0x8000 != 0 && self.is_verbose() {
                self.put(format!(", sum 0x{:x}", word(bytes, at).ok_or(CUT)?));
            }
            self.put(format!(", off 0x{:x}", word(bytes, at + 2).ok_or(CUT)?));
            at += 4;
        }
        if flags & 0x2000 != 0 {
            self.put(format!(", key=0x{:x}", long(bytes, at).ok_or(CUT)?));
            at += 4;
        }
        if flags & 0x1000 != 0 {
            self.put(format!(", seq {}", long(bytes, at).ok_or(CUT)?));
            at += 4;
        }
        self.put(", ");
        let known = match protocol {
            0x0800 => "IPv4",
            0x6558 => "TEB",
            0x86dd => "IPv6",
            0x0806 => "ARP",
            _ => "unknown",
        };
        if self.style.link {
            self.put(format!("proto {known} (0x{protocol:04x}), "));
        }
        self.put(format!("length {length}"));
        let sep = if self.is_verbose() { "\n\t" } else { ": " };
        self.put(sep);
        let (rest, left) = (bytes.get(at..).unwrap_or_default(), length.saturating_sub(at));
        match protocol {
            0x0800 => self.ip(rest, left),
            0x6558 => self.ether(rest, left),
            other => self.put(format!("gre-proto-0x{other:04x}")),
        }
        Ok(())
    }

    /// `esp_print`, without keys.
    fn esp(&mut self, bytes: &[u8], length: usize) -> Result<(), Cut> {
        const CUT: Cut = Cut("esp");
        let (spi, seq) = (long(bytes, 0).ok_or(CUT)?, long(bytes, 4).ok_or(CUT)?);
        self.put(format!("ESP(spi=0x{spi:08x},seq=0x{seq:x}), length {length}"));
        Ok(())
    }
}
