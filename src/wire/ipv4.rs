//! IPv4 (RFC 791).

use super::{Bytes, Icmp, Udp};
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
    /// Protocol 17.
    Udp(Udp),
    /// Any other protocol, and every fragment of any protocol.
    Raw {
        /// IP protocol number.
        protocol: u8,
        /// What follows the header.
        bytes: Bytes,
    },
}

impl Ipv4 {
    /// Header length in bytes, options included.
    pub fn header_len(&self) -> usize {
        20 + self.options.as_ref().map_or(0, |options| options.len())
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
    /// Length in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Self::Icmp(icmp) => icmp.wire_len(),
            Self::Udp(udp) => udp.wire_len(),
            Self::Raw { bytes, .. } => bytes.len(),
        }
    }

    /// IP protocol number.
    pub fn protocol(&self) -> u8 {
        match self {
            Self::Icmp(_) => 1,
            Self::Udp(_) => 17,
            Self::Raw { protocol, .. } => *protocol,
        }
    }
}
