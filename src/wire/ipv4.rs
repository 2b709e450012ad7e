//! IPv4 (RFC 791).

use super::checksum::{self, Pseudo};
use super::{Bytes, Esp, Gre, Icmp, Igmp, Tcp, Udp, WireError};
use crate::base::Ipv4Addr;
use std::sync::Arc;

/// An IPv4 packet or fragment. Version, header length, total length and checksum follow from the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ipv4 {
    /// Type of service octet (DSCP and ECN, RFC 2474 and 3168).
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// The flag DF.
    pub dont_fragment: bool,
    /// The flag MF.
    pub more_fragments: bool,
    /// Fragment offset in units of 8 bytes.
    pub fragment_offset: u16,
    /// Time to live.
    pub ttl: u8,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Options, padded to a multiple of 4 bytes; at most 40. `None` for none.
    pub options: Option<Bytes>,
    /// What follows the header, shared between hops.
    pub body: Arc<Body>,
}

/// What an IPv4 header carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// Protocol 1.
    Icmp(Icmp),
    /// Protocol 6.
    Tcp(Tcp),
    /// Protocol 17.
    Udp(Udp),
    /// Protocol 2.
    Igmp(Igmp),
    /// Protocol 4: an IPv4 packet inside this one (RFC 2003).
    Ipip(Arc<Ipv4>),
    /// Protocol 47.
    Gre(Gre),
    /// Protocol 50.
    Esp(Esp),
    /// Any other protocol, and every fragment of any protocol.
    Raw {
        /// IP protocol number.
        protocol: u8,
        /// What follows the header.
        bytes: Bytes,
    },
}

impl Ipv4 {
    /// Length of the header without options, in bytes.
    pub const HEADER_LEN: usize = 20;

    /// The packet's bytes, from its header on.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.wire_len());
        self.emit_into(&mut out);
        out
    }

    /// Appends the packet's bytes.
    pub fn emit_into(&self, out: &mut Vec<u8>) {
        self.emit_header(out);
        self.body.emit_into(self.src, self.dst, out);
    }

    fn emit_header(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let header_len = self.header_len();
        assert!(
            header_len <= 60 && header_len.is_multiple_of(4),
            "IPv4 options are padded and at most 40 bytes"
        );
        assert!(self.fragment_offset < 1 << 13, "an IPv4 fragment offset has 13 bits");
        let total_len = u16::try_from(self.wire_len()).expect("an IPv4 packet has at most 65535 bytes");
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        out.extend_from_slice(&[0x40 | (header_len / 4) as u8, self.tos]);
        out.extend_from_slice(&total_len.to_be_bytes());
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&(flags | self.fragment_offset).to_be_bytes());
        out.extend_from_slice(&[self.ttl, self.protocol(), 0, 0]);
        out.extend_from_slice(&self.src.octets());
        out.extend_from_slice(&self.dst.octets());
        out.extend_from_slice(self.options.as_deref().unwrap_or_default());
        let sum = checksum::of(&out[start..]);
        out[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
    }

    /// Reads a packet, down to the payload. What follows its total length is padding and is left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        Self::parse_at(bytes, 0, 0)
    }

    pub(super) fn parse_at(bytes: &[u8], base: usize, depth: usize) -> Result<Self, WireError> {
        let error = |at, reason| Err(WireError::new("IPv4", base + at, reason));
        let truncated = || WireError::truncated("IPv4", base + bytes.len());
        let (header, rest) = bytes.split_first_chunk::<{ Self::HEADER_LEN }>().ok_or_else(truncated)?;
        let [v, tos, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
        let header_len = usize::from(v & 0x0f) * 4;
        let total_len = usize::from(u16::from_be_bytes([l0, l1]));
        if v >> 4 != 4 {
            return error(0, "version is not 4");
        }
        if header_len < Self::HEADER_LEN {
            return error(0, "header length is less than 20 bytes");
        }
        if total_len < header_len {
            return error(2, "total length is less than the header's");
        }
        if bytes.len() < total_len {
            return Err(truncated());
        }
        if checksum::of(&bytes[..header_len]) != 0 {
            return error(10, "bad header checksum");
        }
        if f0 & 0x80 != 0 {
            return error(6, "reserved flag is set");
        }
        let offset = u16::from_be_bytes([f0, f1]);
        let options = &rest[..header_len - Self::HEADER_LEN];
        let (src, dst) = (Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(d0, d1, d2, d3));
        let body = &bytes[header_len..total_len];
        // Of a fragment only the first has the inner header, and its lengths and checksum are the whole packet's.
        let (more_fragments, fragment_offset) = (offset & 0x2000 != 0, offset & 0x1fff);
        let body = if more_fragments || fragment_offset != 0 {
            Body::Raw { protocol, bytes: body.into() }
        } else {
            Body::parse_at(body, base + header_len, depth, Pseudo { src, dst, protocol })?
        };
        Ok(Self {
            tos,
            id: u16::from_be_bytes([i0, i1]),
            dont_fragment: offset & 0x4000 != 0,
            more_fragments,
            fragment_offset,
            ttl,
            src,
            dst,
            options: (!options.is_empty()).then(|| options.into()),
            body: Arc::new(body),
        })
    }

    /// Header length in bytes, options included.
    pub fn header_len(&self) -> usize {
        Self::HEADER_LEN + self.options.as_ref().map_or(0, |options| options.len())
    }

    /// Total length in bytes.
    pub fn wire_len(&self) -> usize {
        self.header_len() + self.body.wire_len()
    }

    /// Whether this is a fragment of a larger packet (`ip_is_fragment`).
    pub fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// IP protocol number of the body.
    pub fn protocol(&self) -> u8 {
        self.body.protocol()
    }
}

impl Body {
    /// The body's bytes. The addresses are those of the IPv4 header, for the pseudo header of the TCP or UDP checksum.
    pub fn emit(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.wire_len());
        self.emit_into(src, dst, &mut out);
        out
    }

    fn emit_into(&self, src: Ipv4Addr, dst: Ipv4Addr, out: &mut Vec<u8>) {
        match self {
            Self::Icmp(icmp) => icmp.emit_into(out),
            Self::Tcp(tcp) => tcp.emit_into(Pseudo { src, dst, protocol: 6 }, out),
            Self::Udp(udp) => udp.emit_into(Pseudo { src, dst, protocol: 17 }, out),
            Self::Igmp(igmp) => igmp.emit_into(out),
            Self::Ipip(packet) => packet.emit_into(out),
            Self::Gre(gre) => gre.emit_into(out),
            Self::Esp(esp) => esp.emit_into(out),
            Self::Raw { bytes, .. } => out.extend_from_slice(bytes),
        }
    }

    /// Reads the body of a whole packet, as after reassembly. Offsets of errors count from the body's first byte.
    pub fn parse(bytes: &[u8], protocol: u8, src: Ipv4Addr, dst: Ipv4Addr) -> Result<Self, WireError> {
        Self::parse_at(bytes, 0, 0, Pseudo { src, dst, protocol })
    }

    fn parse_at(bytes: &[u8], base: usize, depth: usize, pseudo: Pseudo) -> Result<Self, WireError> {
        Ok(match pseudo.protocol {
            1 => Self::Icmp(Icmp::parse_at(bytes, base)?),
            6 => Self::Tcp(Tcp::parse_at(bytes, base, pseudo)?),
            17 => Self::Udp(Udp::parse_at(bytes, base, depth, pseudo)?),
            2 => Self::Igmp(Igmp::parse_at(bytes, base)?),
            4 if depth == super::MAX_DEPTH => {
                return Err(WireError::new("IPv4", base, "too many tunnels inside one another"));
            }
            4 => Self::Ipip(Arc::new(Ipv4::parse_at(bytes, base, depth + 1)?)),
            47 => Self::Gre(Gre::parse_at(bytes, base, depth)?),
            50 => Self::Esp(Esp::parse_at(bytes, base)?),
            protocol => Self::Raw { protocol, bytes: bytes.into() },
        })
    }

    /// Length in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Icmp(icmp) => icmp.wire_len(),
            Self::Tcp(tcp) => tcp.wire_len(),
            Self::Udp(udp) => udp.wire_len(),
            Self::Igmp(igmp) => igmp.wire_len(),
            Self::Ipip(packet) => packet.wire_len(),
            Self::Gre(gre) => gre.wire_len(),
            Self::Esp(esp) => esp.wire_len(),
            Self::Raw { bytes, .. } => bytes.len(),
        }
    }

    /// IP protocol number.
    pub fn protocol(&self) -> u8 {
        match self {
            Self::Icmp(_) => 1,
            Self::Tcp(_) => 6,
            Self::Udp(_) => 17,
            Self::Igmp(_) => 2,
            Self::Ipip(_) => 4,
            Self::Gre(_) => 47,
            Self::Esp(_) => 50,
            Self::Raw { protocol, .. } => *protocol,
        }
    }
}
