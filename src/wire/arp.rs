//! ARP for IPv4 over Ethernet (RFC 826).

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
}
