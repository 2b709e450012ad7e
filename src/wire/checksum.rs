//! The Internet checksum (RFC 1071), as IPv4, ICMP and UDP use it.

use crate::base::Ipv4Addr;
use etherparse::checksum::Sum16BitWords;

/// The checksum of `bytes`; zero where they hold their own right checksum.
pub(super) fn of(bytes: &[u8]) -> u16 {
    Sum16BitWords::new().add_slice(bytes).ones_complement().to_be()
}

/// The part of the IPv4 header that the checksum of the body covers (RFC 768).
#[derive(Clone, Copy)]
pub(super) struct Pseudo {
    pub(super) src: Ipv4Addr,
    pub(super) dst: Ipv4Addr,
    pub(super) protocol: u8,
}

impl Pseudo {
    /// The checksum of the pseudo header and `bytes`.
    pub(super) fn checksum(self, bytes: &[u8]) -> u16 {
        Sum16BitWords::new()
            .add_4bytes(self.src.octets())
            .add_4bytes(self.dst.octets())
            .add_2bytes([0, self.protocol])
            .add_2bytes((bytes.len() as u16).to_be_bytes())
            .add_slice(bytes)
            .ones_complement()
            .to_be()
    }
}
