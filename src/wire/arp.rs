//! ARP for IPv4 over Ethernet (RFC 826).

use super::WireError;
use crate::base::{Ipv4Addr, MacAddr};

/// An ARP packet with hardware type 1 and protocol type 0x0800.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arp {
    /// Operation (`ar$op`).
    pub op: ArpOp,
    /// Sender hardware address (`ar$sha`).
    pub sender_mac: MacAddr,
    /// Sender protocol address (`ar$spa`).
    pub sender_ip: Ipv4Addr,
    /// Target hardware address (`ar$tha`); all zero in a request.
    pub target_mac: MacAddr,
    /// Target protocol address (`ar$tpa`).
    pub target_ip: Ipv4Addr,
}

/// An ARP operation code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArpOp {
    /// 1, "who has".
    Request,
    /// 2, "is at".
    Reply,
    /// Any other code; neither 1 nor 2.
    Other(u16),
}

impl Arp {
    /// Length of the packet, in bytes.
    pub const LEN: usize = 28;

    /// Hardware type Ethernet, protocol type IPv4, and the lengths of their addresses.
    const FIXED: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

    pub(super) fn emit_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Self::FIXED);
        out.extend_from_slice(&self.op.code().to_be_bytes());
        out.extend_from_slice(&self.sender_mac.0);
        out.extend_from_slice(&self.sender_ip.octets());
        out.extend_from_slice(&self.target_mac.0);
        out.extend_from_slice(&self.target_ip.octets());
    }

    pub(super) fn parse_at(bytes: &[u8], base: usize) -> Result<Self, WireError> {
        let Some((packet, _padding)) = bytes.split_first_chunk::<{ Self::LEN }>() else {
            return Err(WireError::truncated("ARP", base + bytes.len()));
        };
        if let Some(at) = (0..Self::FIXED.len()).find(|&at| packet[at] != Self::FIXED[at]) {
            return Err(WireError::new("ARP", base + at, "not ARP for IPv4 over Ethernet"));
        }
        let mac = |at| MacAddr(std::array::from_fn(|i| packet[at + i]));
        let ip = |at| Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|i| packet[at + i]));
        Ok(Self {
            op: ArpOp::from_code(u16::from_be_bytes([packet[6], packet[7]])),
            sender_mac: mac(8),
            sender_ip: ip(14),
            target_mac: mac(18),
            target_ip: ip(24),
        })
    }
}

impl ArpOp {
    /// The operation's number.
    pub fn code(self) -> u16 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::Other(code) => code,
        }
    }

    /// The operation of this number.
    pub fn from_code(code: u16) -> Self {
        match code {
            1 => Self::Request,
            2 => Self::Reply,
            code => Self::Other(code),
        }
    }
}
