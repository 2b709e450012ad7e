//! Packets as text, byte for byte as tcpdump 4.99 prints them.
//!
//! Everything is read from bytes, as there: a quoted packet, a packet cut by the snapshot length and one inside a
//! tunnel take the same way. [`Printer`] remembers TCP conversations, because their numbers are shown relative to the
//! first ones seen.

mod dns;
mod hex;
mod icmp;
mod ip;
mod link;
mod tcp;
mod text;
mod udp;

pub use hex::{ascii, hex, hex_and_ascii};
pub use link::{Cooked, PacketKind, network_offset};

use super::names;
use crate::base::Ipv4Addr;
use std::collections::BTreeMap;

#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
/// How packets are printed; each field is an option of tcpdump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// `-v`, `-vv`, `-vvv`.
    pub verbosity: u8,
    /// `-e`: the link header too.
    pub link: bool,
    /// `-q`: less.
    pub quiet: bool,
    /// `-S`: TCP numbers as they are.
    pub absolute: bool,
    /// `-n`: no names.
    pub numeric: bool,
    /// `-N`: names without their domain.
    pub short_names: bool,
    /// `-K`: checksums are not verified.
    pub unverified: bool,
    /// `-x` or `-X`: the bytes follow, so unknown payloads are not dumped by themselves.
    pub dumped: bool,
}

/// A TCP conversation: its lower and its higher end.
type Ends = ((Ipv4Addr, u16), (Ipv4Addr, u16));

/// Prints packets one after the other.
pub struct Printer<'a> {
    style: Style,
    conversations: &'a mut Conversations,
    /// Names of hosts (`gethostbyaddr(3)`).
    hosts: &'a dyn Fn(Ipv4Addr) -> Option<String>,
    out: String,
    /// Tunnels and quotations that are being printed.
    depth: usize,
}

/// The TCP conversations seen, with the first sequence number of each end.
#[derive(Clone, Debug, Default)]
pub struct Conversations {
    first: BTreeMap<Ends, (u32, u32)>,
}

/// How deep packets in packets are printed.
const DEPTH_MAX: usize = 20;

/// A packet that ends too early: the name that stands in `[|name]`.
pub(super) struct Cut(&'static str);

impl<'a> Printer<'a> {
    /// A printer for one packet.
    pub fn new(
        style: Style,
        conversations: &'a mut Conversations,
        hosts: &'a dyn Fn(Ipv4Addr) -> Option<String>,
    ) -> Self {
        Self { style, conversations, hosts, out: String::new(), depth: 0 }
    }

    fn put(&mut self, text: impl AsRef<str>) {
        self.out.push_str(text.as_ref());
    }

    fn cut(&mut self, Cut(name): &Cut) {
        self.put(format!("[|{name}]"));
    }

    fn host(&self, addr: Ipv4Addr) -> String {
        if self.style.numeric {
            return addr.to_string();
        }
        let name = (self.hosts)(addr);
        let short = |name: String| match (self.style.short_names, name.split_once('.')) {
            (true, Some((host, _))) => host.to_owned(),
            _ => name,
        };
        name.map_or_else(|| addr.to_string(), short)
    }

    fn port(&self, port: u16, protocol: &str) -> String {
        let name = if self.style.numeric { None } else { names::service_name(port, protocol) };
        name.map_or_else(|| port.to_string(), str::to_owned)
    }

    fn is_verbose(&self) -> bool {
        self.style.verbosity > 0
    }

    /// Prints bytes that nothing is known of, unless all bytes are printed anyway.
    fn default_dump(&mut self, bytes: &[u8]) {
        if !self.style.dumped && !self.style.quiet {
            self.out.push_str(&hex_and_ascii(bytes));
        }
    }
}

/// Two bytes in network order.
fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// Four bytes in network order.
fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(word(bytes, at)?) << 16 | u32::from(word(bytes, at + 2)?))
}

fn addr(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    long(bytes, at).map(Ipv4Addr::from_bits)
}

/// The Internet checksum on top of a sum of 16-bit words.
fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum = words.fold(start, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
