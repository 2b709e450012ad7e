//! What a program that captures packets gets and asks for.

use crate::base::{IfIndex, SimTime};
use crate::trace::PacketType;
use crate::wire::filter::{Filter, Link, Seen};
use crate::wire::{Frame, Payload};
use std::sync::Arc;

/// A frame that a capture saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When.
    pub at: SimTime,
    /// At which device.
    pub ifindex: IfIndex,
    /// How it was addressed; `None` for a frame that goes out.
    pub received: Option<PacketType>,
    /// The frame.
    pub frame: Arc<Frame>,
}

/// What the kernel lets a capture see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFilter {
    /// The compiled expression.
    pub filter: Filter,
    /// The link header that it was compiled for.
    pub link: Link,
}

/// Length of a cooked header, version 2.
const COOKED_LEN: usize = 20;

impl CaptureFilter {
    /// Whether a frame passes.
    pub fn passes(&self, captured: &Captured) -> bool {
        let bytes = captured.bytes();
        let (bytes, vlan) = match self.link {
            Link::Cooked => (captured.cooked(&bytes), None),
            Link::Ethernet => match &captured.frame.payload {
                // The kernel takes the outermost tag off and keeps it beside the frame.
                Payload::Vlan(_) => {
                    let bare = [&bytes[..12], &bytes[16..]].concat();
                    (bare, Some(u16::from_be_bytes([bytes[14], bytes[15]])))
                }
                Payload::Arp(_) | Payload::Ipv4(_) | Payload::Bpdu(_) | Payload::Other { .. } => {
                    (bytes, None)
                }
            },
        };
        let outbound = captured.received.is_none();
        self.filter.matches(&Seen { bytes: &bytes, outbound, ifindex: captured.ifindex.0, vlan })
    }
}

impl Captured {
    /// The frame's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.frame.wire_len());
        self.frame.emit_into(&mut out);
        out
    }

    /// The EtherType.
    pub fn ethertype(bytes: &[u8]) -> u16 {
        bytes.get(12..14).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// The number of `sll2_pkttype`.
    fn packet_type(&self) -> u8 {
        match self.received {
            Some(PacketType::Host) => 0,
            Some(PacketType::Broadcast) => 1,
            Some(PacketType::Multicast) => 2,
            Some(PacketType::OtherHost) => 3,
            None => 4,
        }
    }

    /// The frame as the device `any` gives it: a cooked header and what follows the Ethernet header.
    pub fn cooked(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(COOKED_LEN + bytes.len());
        out.extend_from_slice(&Self::ethertype(bytes).to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.ifindex.0.to_be_bytes());
        // ARPHRD_ETHER, the type of the packet, and a source address of six bytes.
        out.extend_from_slice(&[0, 1, self.packet_type(), 6]);
        out.extend_from_slice(&self.frame.src.0);
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(bytes.get(14..).unwrap_or_default());
        out
    }
}
