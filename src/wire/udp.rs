//! UDP (RFC 768).

use super::{Bytes, Vxlan};

/// A UDP datagram.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Udp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Whether the checksum is filled in.
    pub checksum: UdpChecksum,
    /// What is carried.
    pub payload: UdpPayload,
}

/// The two legal states of a UDP checksum over IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UdpChecksum {
    /// Filled in; Linux fills it in for VXLAN too (`udpcsum`).
    Computed,
    /// Zero, "no checksum", as RFC 7348 section 5 wants for VXLAN.
    Zero,
}

/// What a UDP datagram carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UdpPayload {
    /// Plain bytes.
    Data(Bytes),
    /// A VXLAN header with the frame inside; recognised by the destination port.
    Vxlan(Vxlan),
}

impl Udp {
    /// Length of the header, in bytes.
    pub const HEADER_LEN: usize = 8;

    /// Length of the datagram in bytes.
    pub fn wire_len(&self) -> usize {
        Self::HEADER_LEN
            + match &self.payload {
                UdpPayload::Data(bytes) => bytes.len(),
                UdpPayload::Vxlan(vxlan) => vxlan.wire_len(),
            }
    }
}
