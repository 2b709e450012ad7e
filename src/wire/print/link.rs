//! Link headers: Ethernet, VLAN tags, IEEE 802.2 with spanning tree, and the cooked header of the device `any`.

use super::{Cut, DEPTH_MAX, Printer, word};
use crate::base::MacAddr;

/// How a frame came by the interface, for the cooked header of `any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// For this machine.
    In,
    /// Broadcast.
    Broadcast,
    /// Multicast.
    Multicast,
    /// For somebody else, seen because the interface listens to everything.
    OtherHost,
    /// Sent.
    Out,
}

/// A cooked header, version 2.
#[derive(Clone, Copy, Debug)]
pub struct Cooked<'a> {
    /// Name of the interface.
    pub interface: &'a str,
    /// Number of the interface.
    pub ifindex: u32,
    /// Direction and kind.
    pub kind: PacketKind,
    /// Source address of the frame; `None` on a device without addresses.
    pub source: Option<MacAddr>,
    /// EtherType.
    pub ethertype: u16,
}

impl PacketKind {
    fn text(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::Broadcast => "B",
            Self::Multicast => "M",
            Self::OtherHost => "P",
            Self::Out => "Out",
        }
    }

    /// The number in the cooked header (`PACKET_HOST` and so on).
    pub fn number(self) -> u8 {
        match self {
            Self::In => 0,
            Self::Broadcast => 1,
            Self::Multicast => 2,
            Self::OtherHost => 3,
            Self::Out => 4,
        }
    }
}

/// Where the network header of an Ethernet frame begins, behind VLAN tags and an IEEE 802.2 header: dumps without `-xx`
/// begin there.
pub fn network_offset(frame: &[u8]) -> usize {
    let mut at = 12;
    while matches!(word(frame, at), Some(0x8100 | 0x88a8 | 0x9100)) {
        at += 4;
    }
    let is_llc = word(frame, at).is_some_and(|ethertype| ethertype <= 1500);
    (at + if is_llc { 5 } else { 2 }).min(frame.len())
}

fn mac(bytes: &[u8]) -> MacAddr {
    MacAddr(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default()))
}

fn ethertype_name(ethertype: u16) -> Option<&'static str> {
    Some(match ethertype {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x8035 => "Reverse ARP",
        0x86dd => "IPv6",
        0x8100 => "802.1Q",
        0x88a8 => "802.1Q-QinQ",
        0x9100 => "802.1Q-9100",
        0x8847 => "MPLS unicast",
        0x88cc => "LLDP",
        0x6558 => "TEB",
        _ => return None,
    })
}

/// A VLAN tag (`ieee8021q_tci_string`).
fn tag_text(tag: u16) -> String {
    let dei = if tag & 0x1000 == 0 { "" } else { ", DEI" };
    format!("vlan {}, p {}{dei}", tag & 0x0fff, tag >> 13)
}

impl Printer<'_> {
    /// Prints an Ethernet frame of which `bytes` were captured and which has `length` bytes on the wire
    /// (`ether_print`). The text has no time in front and no line break at the end.
    pub fn ethernet(mut self, bytes: &[u8], length: usize) -> String {
        self.ether(bytes, length);
        self.out
    }

    /// Prints a packet with a cooked header (`sll2_if_print`); `bytes` begin with the network header.
    pub fn cooked(mut self, header: &Cooked<'_>, bytes: &[u8], length: usize) -> String {
        self.put(format!("{:<5} {:<3} ", header.interface, header.kind.text()));
        if self.style.link {
            self.put(format!("ifindex {} ", header.ifindex));
            let source = header.source.map_or_else(String::new, |mac| self.mac(&mac.0) + " ");
            self.put(source);
            self.put_ethertype(header.ethertype);
            self.put(format!(", length {}: ", length + 20));
        }
        if header.ethertype == 4 {
            self.llc(bytes, length);
        } else if !self.payload(header.ethertype, bytes, length) {
            if !self.style.link {
                self.put_ethertype(header.ethertype);
                self.put(format!(", length {}: ", length + 20));
            }
            self.default_dump(bytes);
        }
        self.out
    }

    fn put_ethertype(&mut self, ethertype: u16) {
        let name = ethertype_name(ethertype);
        self.put(match (self.style.quiet, name) {
            (false, name) => format!("ethertype {} (0x{ethertype:04x})", name.unwrap_or("Unknown")),
            (true, Some(name)) => name.to_owned(),
            (true, None) => format!("Unknown Ethertype (0x{ethertype:04x})"),
        });
    }

    /// An address; without `-n` the maker that its first half names follows.
    fn mac(&self, bytes: &[u8]) -> String {
        let mac = mac(bytes);
        match (self.style.numeric, &mac.0[..3]) {
            (true, _) => mac.to_string(),
            (false, [0, 0, 0]) => format!("{mac} (oui Ethernet)"),
            (false, _) if mac == MacAddr::BROADCAST => "Broadcast".to_owned(),
            (false, _) => format!("{mac} (oui Unknown)"),
        }
    }

    fn ether_header(&mut self, bytes: &[u8], length: usize, ethertype: u16) {
        let addresses = format!("{} > {}, ", self.mac(&bytes[6..]), self.mac(bytes));
        self.put(addresses);
        if ethertype <= 1500 {
            let said = usize::from(ethertype).min(length.saturating_sub(14));
            self.put(format!("802.3, length {said}: "));
        } else {
            self.put_ethertype(ethertype);
            self.put(format!(", length {length}: "));
        }
    }

    /// A frame, the outermost or one in a tunnel.
    pub(super) fn ether(&mut self, bytes: &[u8], length: usize) {
        let Some(mut ethertype) = word(bytes, 12) else { return self.cut(&Cut("ether")) };
        if self.depth >= DEPTH_MAX {
            return;
        }
        if self.style.link {
            self.ether_header(bytes, length, ethertype);
        }
        let (mut rest, mut left) = (&bytes[14..], length.saturating_sub(14));
        while matches!(ethertype, 0x8100 | 0x88a8 | 0x9100) {
            let (Some(tag), Some(inner)) = (word(rest, 0), word(rest, 2)) else {
                return self.cut(&Cut("vlan"));
            };
            ethertype = inner;
            (rest, left) = (&rest[4..], left.saturating_sub(4));
            if self.style.link {
                self.put(format!("{}, ", tag_text(tag)));
                if ethertype > 1500 {
                    self.put_ethertype(ethertype);
                    self.put(", ");
                }
            }
        }
        if ethertype <= 1500 {
            let left = left.min(usize::from(ethertype));
            self.llc(&rest[..rest.len().min(left)], left);
            return;
        }
        if !self.payload(ethertype, rest, left) {
            if !self.style.link {
                self.ether_header(bytes, length, ethertype);
            }
            self.default_dump(rest);
        }
    }

    /// What an EtherType announces (`ethertype_print`); whether it is known.
    fn payload(&mut self, ethertype: u16, bytes: &[u8], length: usize) -> bool {
        match ethertype {
            0x0800 => self.ip(bytes, length),
            0x0806 | 0x8035 => {
                if !self.style.link {
                    self.put("ARP, ");
                }
                if let Err(cut) = self.arp(bytes, length) {
                    self.cut(&cut);
                }
            }
            0x6558 => self.ether(bytes, length),
            _ => return false,
        }
        true
    }

    /// `arp_print`.
    fn arp(&mut self, bytes: &[u8], length: usize) -> Result<(), Cut> {
        let short = Cut("arp");
        let packet = bytes.get(..28).ok_or(short)?;
        let (hardware, protocol) = (word(packet, 0).unwrap_or(0), word(packet, 2).unwrap_or(0));
        let (mac_len, addr_len) = (packet[4], packet[5]);
        if self.is_verbose() || (hardware, protocol, mac_len, addr_len) != (1, 0x0800, 6, 4) {
            let hardware =
                if hardware == 1 { "Ethernet".to_owned() } else { format!("Unknown Hardware ({hardware})") };
            let protocol = if protocol == 0x0800 {
                "IPv4".to_owned()
            } else {
                format!("Unknown Protocol (0x{protocol:04x})")
            };
            self.put(format!("{hardware} (len {mac_len}), {protocol} (len {addr_len}), "));
        }
        let of =
            |at: usize| std::net::Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        let (sender, target) = (self.host(of(14)), self.host(of(24)));
        let (sender_mac, target_mac) = (self.mac(&packet[8..]), self.mac(&packet[18..]));
        let op = word(packet, 6).unwrap_or(0);
        match op {
            1 => {
                self.put(format!("Request who-has {target}"));
                if mac(&packet[18..]) != MacAddr::ZERO {
                    self.put(format!(" ({target_mac})"));
                }
                self.put(format!(" tell {sender}"));
            }
            2 => self.put(format!("Reply {sender} is-at {sender_mac}")),
            3 => self.put(format!("Reverse Request who-is {target_mac} tell {sender_mac}")),
            4 => self.put(format!("Reverse Reply {target_mac} at {target}")),
            other => self.put(format!("Unknown ({other})")),
        }
        self.put(format!(", length {length}"));
        Ok(())
    }

    /// `llc_print`, for spanning tree; anything else is dumped.
    fn llc(&mut self, bytes: &[u8], length: usize) {
        let Some([dsap, ssap, control]) = bytes.first_chunk::<3>() else { return self.cut(&Cut("llc")) };
        if self.style.link {
            self.put(format!("LLC, dsap {} (0x{:02x}) ", sap_name(*dsap), dsap & !1));
            self.put(if dsap & 1 == 0 { "Individual" } else { "Group" });
            self.put(format!(", ssap {} (0x{:02x}) ", sap_name(*ssap), ssap & !1));
            self.put(if ssap & 1 == 0 { "Command" } else { "Response" });
            self.put(format!(", ctrl 0x{control:02x}: "));
        }
        if (*dsap, *ssap, *control) == (0x42, 0x42, 0x03) {
            if let Err(cut) = self.stp(&bytes[3..], length.saturating_sub(3)) {
                self.put(" ");
                self.cut(&cut);
            }
            return;
        }
        self.default_dump(&bytes[3..]);
    }

    /// `stp_print`, for configuration messages and topology changes of IEEE 802.1D.
    fn stp(&mut self, bytes: &[u8], length: usize) -> Result<(), Cut> {
        const CUT: Cut = Cut("stp");
        let (version, kind) = (*bytes.get(2).ok_or(CUT)?, *bytes.get(3).ok_or(CUT)?);
        self.put(if version == 0 { "STP 802.1d, " } else { "STP 802.1w, Rapid STP, " });
        match kind {
            0x80 => {
                self.put("Topology Change");
                return Ok(());
            }
            0 | 2 if length < 35 => {
                self.put("Config (invalid)");
                return Ok(());
            }
            0 | 2 => {}
            other => {
                self.put(format!("Unknown STP type (0x{other:02x}), length {length}"));
                return Ok(());
            }
        }
        let message = bytes.get(..35).ok_or(CUT)?;
        let bridge = |at: usize| {
            let priority = word(message, at).unwrap_or(0);
            format!("{priority:04x}.{}", mac(&message[at + 2..]))
        };
        let flags = flag_text(message[4]);
        let port = word(message, 25).unwrap_or(0);
        self.put(format!("Config, Flags [{flags}], bridge-id {}.{port:04x}, length {length}", bridge(17)));
        if !self.is_verbose() {
            return Ok(());
        }
        let seconds = |at: usize| {
            let value = u32::from(word(message, at).unwrap_or(0));
            format!("{}.{:02}s", value / 256, value % 256 * 100 / 256)
        };
        self.put(format!("\n\tmessage-age {}, max-age {}, ", seconds(27), seconds(29)));
        self.put(format!("hello-time {}, forwarding-delay {}", seconds(31), seconds(33)));
        let cost = super::long(message, 13).unwrap_or(0);
        self.put(format!("\n\troot-id {}, root-pathcost {cost}", bridge(5)));
        Ok(())
    }
}

fn sap_name(sap: u8) -> &'static str {
    match sap & !1 {
        0x00 => "Null",
        0x42 => "STP",
        0x06 => "IP",
        0xaa => "SNAP",
        0xfe => "ISO NLPID",
        _ => "Unknown",
    }
}

fn flag_text(flags: u8) -> String {
    let names = [(0x01, "Topology change"), (0x80, "Topology change ACK")];
    let set: Vec<&str> = names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { "none".to_owned() } else { set.join(", ") }
}
