//! Packets as typed headers that emit and parse true bytes, one protocol a file.
//!
//! A [`Frame`] is a stack of headers down to a payload. Lengths and checksums are not stored: they are computed when
//! bytes are asked for, so a frame that Wireshark would call malformed cannot be built. Bodies are shared: a router
//! that changes a TTL copies the IPv4 header and shares the rest.

mod arp;
mod checksum;
mod error;
mod ethernet;
mod fields;
mod icmp;
mod ipv4;
mod pretty;
mod quote;
mod tcp;
mod udp;
mod vxlan;

pub use arp::{Arp, ArpOp};
pub use error::WireError;
pub use ethernet::{Frame, Payload};
pub use fields::{Field, Layer, fields};
pub use icmp::Icmp;
pub use ipv4::{Body, Ipv4};
pub use quote::Quote;
pub use tcp::{Tcp, TcpFlags, TcpOption};
pub use udp::{Udp, UdpChecksum, UdpPayload};
pub use vxlan::Vxlan;

use std::sync::Arc;

/// Bytes shared between the packets that carry them.
pub type Bytes = Arc<[u8]>;
