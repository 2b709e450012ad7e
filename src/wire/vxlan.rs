//! VXLAN (RFC 7348 section 5).

use super::{Frame, WireError};
use std::sync::Arc;

/// A VXLAN header with the flag I set, and the Ethernet frame inside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vxlan {
    /// VXLAN network identifier, 24 bits.
    pub vni: u32,
    /// The frame inside, without its frame check sequence.
    pub inner: Arc<Frame>,
}

impl Vxlan {
    /// Length of the header, in bytes.
    pub const HEADER_LEN: usize = 8;

    /// UDP destination ports taken for VXLAN when parsing: IANA's and the one Linux and flannel use.
    pub const PORTS: [u16; 2] = [4789, 8472];

    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        let [high, a, b, c] = self.vni.to_be_bytes();
        assert_eq!(high, 0, "a VXLAN network identifier has 24 bits");
        out.extend_from_slice(&[0x08, 0, 0, 0, a, b, c, 0]);
        self.inner.emit_into(out);
    }

    /// Reserved bits must be zero, as Linux wants them (`vxlan_rcv`).
    pub(super) fn parse_at(bytes: &[u8], base: usize, depth: usize) -> Result<Self, WireError> {
        let Some((header, rest)) = bytes.split_first_chunk::<{ Self::HEADER_LEN }>() else {
            return Err(WireError::truncated("VXLAN", base + bytes.len()));
        };
        let [0x08, 0, 0, 0, a, b, c, 0] = *header else {
            return Err(WireError::new("VXLAN", base, "flag I is not set, or reserved bits are"));
        };
        if depth == super::MAX_DEPTH {
            return Err(WireError::new("VXLAN", base, "too many tunnels inside one another"));
        }
        let inner = Frame::parse_at(rest, base + Self::HEADER_LEN, depth + 1)?;
        Ok(Self { vni: u32::from_be_bytes([0, a, b, c]), inner: Arc::new(inner) })
    }

    /// Length of header and frame, in bytes.
    pub fn wire_len(&self) -> usize {
        Self::HEADER_LEN + self.inner.wire_len()
    }
}
