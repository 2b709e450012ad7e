//! UDP (RFC 768).

use super::checksum::Pseudo;
use super::{Bytes, Vxlan, WireError};

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

impl UdpPayload {
    /// What a datagram to `port` carries: a VXLAN packet where the port says so and the bytes are one.
    pub fn of(port: u16, bytes: Bytes) -> Self {
        if Vxlan::PORTS.contains(&port)
            && let Ok(vxlan) = Vxlan::parse_at(&bytes, 0, 0)
        {
            return Self::Vxlan(vxlan);
        }
        Self::Data(bytes)
    }

    /// The bytes carried.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Data(bytes) => bytes.clone(),
            Self::Vxlan(vxlan) => {
                let mut out = Vec::with_capacity(vxlan.wire_len());
                vxlan.emit_into(&mut out);
                out.into()
            }
        }
    }
}

impl Udp {
    /// Length of the header, in bytes.
    pub const HEADER_LEN: usize = 8;

    /// The pseudo header is needed for the checksum.
    pub(super) fn emit_into(&self, pseudo: Pseudo, out: &mut Vec<u8>) {
        let start = out.len();
        let len = u16::try_from(self.wire_len()).expect("a UDP datagram fits into an IPv4 packet");
        out.extend_from_slice(&self.src_port.to_be_bytes());
        out.extend_from_slice(&self.dst_port.to_be_bytes());
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        match &self.payload {
            UdpPayload::Data(bytes) => out.extend_from_slice(bytes),
            UdpPayload::Vxlan(vxlan) => vxlan.emit_into(out),
        }
        if self.checksum == UdpChecksum::Computed {
            // A sum of zero is sent as its other form, since zero stands for "none" (RFC 768).
            let sum = match pseudo.checksum(&out[start..]) {
                0 => 0xffff,
                sum => sum,
            };
            out[start + 6..start + 8].copy_from_slice(&sum.to_be_bytes());
        }
    }

    pub(super) fn parse_at(
        bytes: &[u8],
        base: usize,
        depth: usize,
        pseudo: Pseudo,
    ) -> Result<Self, WireError> {
        let Some((header, rest)) = bytes.split_first_chunk::<{ Self::HEADER_LEN }>() else {
            return Err(WireError::truncated("UDP", base + bytes.len()));
        };
        let [s0, s1, d0, d1, l0, l1, c0, c1] = *header;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if len < Self::HEADER_LEN {
            return Err(WireError::new("UDP", base + 4, "length is less than the header's"));
        }
        if bytes.len() < len {
            return Err(WireError::truncated("UDP", base + bytes.len()));
        }
        if len < bytes.len() {
            return Err(WireError::new("UDP", base + 4, "length is less than the IPv4 packet's"));
        }
        let checksum = if [c0, c1] == [0, 0] { UdpChecksum::Zero } else { UdpChecksum::Computed };
        if checksum == UdpChecksum::Computed && pseudo.checksum(bytes) != 0 {
            return Err(WireError::new("UDP", base + 6, "bad checksum"));
        }
        let dst_port = u16::from_be_bytes([d0, d1]);
        let payload = if Vxlan::PORTS.contains(&dst_port) {
            UdpPayload::Vxlan(Vxlan::parse_at(rest, base + Self::HEADER_LEN, depth)?)
        } else {
            UdpPayload::Data(rest.into())
        };
        Ok(Self { src_port: u16::from_be_bytes([s0, s1]), dst_port, checksum, payload })
    }

    /// Length of the datagram in bytes.
    pub fn wire_len(&self) -> usize {
        Self::HEADER_LEN
            + match &self.payload {
                UdpPayload::Data(bytes) => bytes.len(),
                UdpPayload::Vxlan(vxlan) => vxlan.wire_len(),
            }
    }
}
