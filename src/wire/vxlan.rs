//! VXLAN (RFC 7348 section 5).

use super::Frame;
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

    /// Length of header and frame, in bytes.
    pub fn wire_len(&self) -> usize {
        Self::HEADER_LEN + self.inner.wire_len()
    }
}
