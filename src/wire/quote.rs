//! What an ICMP error quotes: the beginning of a packet, cut and with checksums that need not be right.

use crate::base::Ipv4Addr;

/// The IPv4 header of a quoted packet and what is left of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote<'a> {
    /// Length of the IPv4 header, in bytes.
    pub header_len: usize,
    /// Total length of the packet when it was whole, in bytes.
    pub total_len: u16,
    /// Identification.
    pub id: u16,
    /// Fragment offset in units of 8 bytes.
    pub fragment_offset: u16,
    /// Time to live where the error arose.
    pub ttl: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// What is left of the body.
    pub body: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Reads a quotation, as far as it holds at least a whole IPv4 header.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<20>()?;
        let [v, _, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, src @ .., _, _, _, _] = *header;
        let header_len = usize::from(v & 0x0f) * 4;
        if v >> 4 != 4 || header_len < 20 {
            return None;
        }
        let dst = bytes.get(16..20)?;
        Some(Self {
            header_len,
            total_len: u16::from_be_bytes([l0, l1]),
            id: u16::from_be_bytes([i0, i1]),
            fragment_offset: u16::from_be_bytes([f0, f1]) & 0x1fff,
            ttl,
            protocol,
            src: Ipv4Addr::from(src),
            dst: Ipv4Addr::new(dst[0], dst[1], dst[2], dst[3]),
            body: bytes.get(header_len..)?,
        })
    }

    /// Identifier and sequence number, where an echo request or reply is quoted.
    pub fn echo(&self) -> Option<(u16, u16)> {
        match (self.protocol, self.fragment_offset, self.body) {
            (1, 0, [0 | 8, _, _, _, a, b, c, d, ..]) => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        }
    }

    /// Sequence number, where TCP is quoted.
    pub fn tcp_seq(&self) -> Option<u32> {
        match (self.protocol, self.fragment_offset, self.body) {
            (6, 0, [_, _, _, _, a, b, c, d, ..]) => Some(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => None,
        }
    }

    /// Source and destination port, where TCP or UDP is quoted.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match (self.protocol, self.fragment_offset, self.body) {
            (6 | 17, 0, [a, b, c, d, ..]) => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        }
    }
}
