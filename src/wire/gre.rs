//! Generic routing encapsulation (RFC 2784, with the key and the sequence number of RFC 2890).

use super::{Bytes, Frame, Ipv4, WireError, checksum};
use std::sync::Arc;

/// A GRE header of version 0 and what it carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gre {
    /// Whether the checksum is there (flag C); it covers header and payload.
    pub checksum: bool,
    /// The key (flag K), which tells tunnels between the same two hosts apart.
    pub key: Option<u32>,
    /// The sequence number (flag S).
    pub sequence: Option<u32>,
    /// What is carried.
    pub payload: GrePayload,
}

/// What a GRE packet carries, by its protocol type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GrePayload {
    /// Protocol type 0x0800.
    Ipv4(Arc<Ipv4>),
    /// Protocol type 0x6558, transparent Ethernet bridging: a whole frame, as a gretap device sends it.
    Ethernet(Arc<Frame>),
    /// Any other protocol type.
    Other {
        /// The protocol type; neither 0x0800 nor 0x6558.
        ethertype: u16,
        /// What follows the header.
        bytes: Bytes,
    },
}

impl Gre {
    /// Length of the header without any option, in bytes.
    pub const HEADER_LEN: usize = 4;

    /// Flag C of RFC 2784 section 2.1, in the first of the header's 16-bit words.
    const CHECKSUM: u16 = 0x8000;
    /// Flag K of RFC 2890.
    const KEY: u16 = 0x2000;
    /// Flag S of RFC 2890.
    const SEQUENCE: u16 = 0x1000;

    /// Length of the header with its options, in bytes.
    pub fn header_len(&self) -> usize {
        let options = usize::from(self.checksum)
            + usize::from(self.key.is_some())
            + usize::from(self.sequence.is_some());
        Self::HEADER_LEN + 4 * options
    }

    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        let flags = flag(self.checksum, Self::CHECKSUM)
            | flag(self.key.is_some(), Self::KEY)
            | flag(self.sequence.is_some(), Self::SEQUENCE);
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&self.payload.ethertype().to_be_bytes());
        if self.checksum {
            out.extend_from_slice(&[0; 4]);
        }
        for word in [self.key, self.sequence].into_iter().flatten() {
            out.extend_from_slice(&word.to_be_bytes());
        }
        match &self.payload {
            GrePayload::Ipv4(packet) => packet.emit_into(out),
            GrePayload::Ethernet(frame) => frame.emit_into(out),
            GrePayload::Other { bytes, .. } => out.extend_from_slice(bytes),
        }
        if self.checksum {
            let sum = checksum::of(&out[start..]);
            out[start + 4..start + 6].copy_from_slice(&sum.to_be_bytes());
        }
    }

    /// Flags and versions that Linux does not take are errors (`gre_parse_header`).
    pub(super) fn parse_at(bytes: &[u8], base: usize, depth: usize) -> Result<Self, WireError> {
        let truncated = || WireError::truncated("GRE", base + bytes.len());
        let ([f0, f1, t0, t1], mut rest) =
            bytes.split_first_chunk::<{ Self::HEADER_LEN }>().ok_or_else(truncated)?;
        let flags = u16::from_be_bytes([*f0, *f1]);
        if flags & !(Self::CHECKSUM | Self::KEY | Self::SEQUENCE) != 0 {
            return Err(WireError::new(
                "GRE",
                base,
                "version is not 0, or routing or reserved flags are set",
            ));
        }
        let mut next = |set: u16| -> Result<Option<u32>, WireError> {
            if flags & set == 0 {
                return Ok(None);
            }
            let (word, tail) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
            rest = tail;
            Ok(Some(u32::from_be_bytes(*word)))
        };
        let summed = next(Self::CHECKSUM)?;
        let (key, sequence) = (next(Self::KEY)?, next(Self::SEQUENCE)?);
        if let Some(summed) = summed {
            if checksum::of(bytes) != 0 {
                return Err(WireError::new("GRE", base + 4, "bad checksum"));
            }
            if summed & 0xffff != 0 {
                return Err(WireError::new("GRE", base + 6, "reserved bits are set"));
            }
        }
        let ethertype = u16::from_be_bytes([*t0, *t1]);
        let base = base + bytes.len() - rest.len();
        if depth == super::MAX_DEPTH {
            return Err(WireError::new("GRE", base, "too many tunnels inside one another"));
        }
        let payload = match ethertype {
            0x0800 => GrePayload::Ipv4(Arc::new(Ipv4::parse_at(rest, base, depth + 1)?)),
            0x6558 => GrePayload::Ethernet(Arc::new(Frame::parse_at(rest, base, depth + 1)?)),
            ethertype => GrePayload::Other { ethertype, bytes: rest.into() },
        };
        Ok(Self { checksum: summed.is_some(), key, sequence, payload })
    }

    /// Length of header and payload, in bytes.
    pub fn wire_len(&self) -> usize {
        self.header_len() + self.payload.wire_len()
    }
}

impl GrePayload {
    /// The protocol type.
    pub fn ethertype(&self) -> u16 {
        match self {
            Self::Ipv4(_) => 0x0800,
            Self::Ethernet(_) => 0x6558,
            Self::Other { ethertype, .. } => *ethertype,
        }
    }

    /// Length in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Ipv4(packet) => packet.wire_len(),
            Self::Ethernet(frame) => frame.wire_len(),
            Self::Other { bytes, .. } => bytes.len(),
        }
    }
}
