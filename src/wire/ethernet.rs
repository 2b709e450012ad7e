//! Ethernet II frames (IEEE 802.3 clause 3, EtherTypes as IANA lists them).

use super::{Arp, Bytes, Ipv4};
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
    /// Any other EtherType, kept as bytes.
    Other {
        /// The EtherType; neither 0x0800 nor 0x0806.
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

    /// The IPv4 packet carried, if it is one.
    pub fn ipv4(&self) -> Option<&Ipv4> {
        match &self.payload {
            Payload::Ipv4(packet) => Some(packet),
            Payload::Arp(_) | Payload::Other { .. } => None,
        }
    }
}

impl Payload {
    /// Length in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Arp(_) => Arp::LEN,
            Self::Ipv4(packet) => packet.wire_len(),
            Self::Other { bytes, .. } => bytes.len(),
        }
    }

    /// The EtherType.
    pub fn ethertype(&self) -> u16 {
        match self {
            Self::Arp(_) => 0x0806,
            Self::Ipv4(_) => 0x0800,
            Self::Other { ethertype, .. } => *ethertype,
        }
    }
}
