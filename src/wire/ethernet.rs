//! Ethernet II frames (IEEE 802.3 clause 3, with the EtherType numbers that IANA lists).

use super::{Arp, Bpdu, Bytes, Ipv4, Vlan, VlanProtocol, WireError};
use crate::base::MacAddr;

/// An Ethernet II frame without its frame check sequence, which captures do not hold either.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Destination address.
    pub dst: MacAddr,
    /// Source address.
    pub src: MacAddr,
    /// What the EtherType says follows.
    pub payload: Payload,
}

/// What an Ethernet frame carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// EtherType 0x0806.
    Arp(Arp),
    /// EtherType 0x0800.
    Ipv4(Ipv4),
    /// EtherType 0x8100 or 0x88a8: a VLAN tag.
    Vlan(Vlan),
    /// A length instead of an EtherType, and a spanning tree packet in an LLC frame.
    Bpdu(Bpdu),
    /// Any other EtherType, kept as bytes.
    Other {
        /// The EtherType, none of the above; below 0x0600 the length field of an LLC frame.
        ethertype: u16,
        /// What follows the Ethernet header.
        bytes: Bytes,
    },
}

impl Frame {
    /// Length of the Ethernet header, in bytes.
    pub const HEADER_LEN: usize = 14;

    /// Length of the frame on the wire without the frame check sequence, in bytes. Short frames are not padded, as
    /// on a veth.
    pub fn wire_len(&self) -> usize {
        Self::HEADER_LEN + self.payload.wire_len()
    }

    /// The frame's bytes. Lengths and checksums are computed here.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.wire_len());
        self.emit_into(&mut out);
        out
    }

    /// Appends the frame's bytes.
    pub fn emit_into(&self, out: &mut Vec<u8>) {
        out.reserve(self.wire_len());
        out.extend_from_slice(&self.dst.0);
        out.extend_from_slice(&self.src.0);
        out.extend_from_slice(&self.payload.ethertype().to_be_bytes());
        self.payload.emit_into(out);
    }

    /// Reads a frame, down to the payload. What follows an ARP or IPv4 packet is padding and is left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        Self::parse_at(bytes, 0, 0)
    }

    /// Reads a frame that begins `base` bytes into the outermost one, inside `depth` tunnels.
    pub(super) fn parse_at(bytes: &[u8], base: usize, depth: usize) -> Result<Self, WireError> {
        let Some((header, rest)) = bytes.split_first_chunk::<{ Self::HEADER_LEN }>() else {
            return Err(WireError::truncated("Ethernet", base + bytes.len()));
        };
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
        let base = base + Self::HEADER_LEN;
        let payload = Payload::parse_at(u16::from_be_bytes([t0, t1]), rest, base, (depth, 0))?;
        Ok(Self { dst: MacAddr([d0, d1, d2, d3, d4, d5]), src: MacAddr([s0, s1, s2, s3, s4, s5]), payload })
    }

    /// The IPv4 packet carried, if it is one.
    pub fn ipv4(&self) -> Option<&Ipv4> {
        match &self.payload {
            Payload::Ipv4(packet) => Some(packet),
            Payload::Arp(_) | Payload::Vlan(_) | Payload::Bpdu(_) | Payload::Other { .. } => None,
        }
    }
}

impl Payload {
    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Arp(arp) => arp.emit_into(out),
            Self::Ipv4(packet) => packet.emit_into(out),
            Self::Vlan(vlan) => vlan.emit_into(out),
            Self::Bpdu(bpdu) => bpdu.emit_into(out),
            Self::Other { bytes, .. } => out.extend_from_slice(bytes),
        }
    }

    /// `place` is the number of tunnels around this, and of VLAN tags in front of it.
    pub(super) fn parse_at(
        ethertype: u16,
        bytes: &[u8],
        base: usize,
        place: (usize, usize),
    ) -> Result<Self, WireError> {
        if let Some(protocol) = VlanProtocol::from_ethertype(ethertype) {
            return Ok(Self::Vlan(Vlan::parse_at(protocol, bytes, base, place)?));
        }
        Ok(match ethertype {
            0x0806 => Self::Arp(Arp::parse_at(bytes, base)?),
            0x0800 => Self::Ipv4(Ipv4::parse_at(bytes, base, place.0)?),
            len @ ..0x0600 if bytes.len() < usize::from(len) => {
                return Err(WireError::truncated("LLC", base + bytes.len()));
            }
            len @ ..0x0600 if Bpdu::begins(bytes) => {
                let bytes = &bytes[..usize::from(len)];
                let bpdu = Bpdu::parse_at(bytes, base)?;
                if bpdu.wire_len() != bytes.len() {
                    return Err(WireError::new("LLC", base, "length is not the spanning tree packet's"));
                }
                Self::Bpdu(bpdu)
            }
            ethertype => Self::Other { ethertype, bytes: bytes.into() },
        })
    }

    /// Length in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Arp(_) => Arp::LEN,
            Self::Ipv4(packet) => packet.wire_len(),
            Self::Vlan(vlan) => vlan.wire_len(),
            Self::Bpdu(bpdu) => bpdu.wire_len(),
            Self::Other { bytes, .. } => bytes.len(),
        }
    }

    /// The EtherType, or the length of an LLC frame.
    pub fn ethertype(&self) -> u16 {
        match self {
            Self::Arp(_) => 0x0806,
            Self::Ipv4(_) => 0x0800,
            Self::Vlan(vlan) => vlan.protocol.ethertype(),
            Self::Bpdu(bpdu) => bpdu.wire_len() as u16,
            Self::Other { ethertype, .. } => *ethertype,
        }
    }
}
