//! Packets as typed headers that emit and parse true bytes, one protocol a file.
//!
//! A [`Frame`] is a stack of headers down to a payload. Lengths and checksums are not stored: they are computed when
//! bytes are asked for, so a frame that Wireshark would call malformed cannot be built. Bodies are shared: a router
//! that changes a TTL copies the IPv4 header and shares the rest.

mod arp;
mod checksum;
pub mod dns;
mod error;
mod esp;
mod ethernet;
mod fields;
pub mod filter;
mod gre;
pub mod http2;
mod icmp;
mod igmp;
mod ipv4;
pub mod names;
pub mod pcap;
mod pretty;
pub mod print;
mod quote;
pub mod sctp;
mod stp;
mod tcp;
pub mod tls;
mod tunnel;
mod udp;
mod vlan;
mod vxlan;

pub use arp::{Arp, ArpOp};
pub use error::WireError;
pub use esp::{Esp, EspCipher, EspContent};
pub use ethernet::{Frame, Payload};
pub use fields::{Field, Layer, fields};
pub use gre::{Gre, GrePayload};
pub use icmp::Icmp;
pub use igmp::{GroupRecord, Igmp};
pub use ipv4::{Body, Ipv4};
pub use quote::Quote;
pub use stp::{Bpdu, BpduConfig, BridgeId, port_id};
pub use tcp::{Tcp, TcpFlags, TcpOption};
pub use tunnel::Inner;
pub use udp::{Udp, UdpChecksum, UdpPayload};
pub use vlan::{Vlan, VlanProtocol};
pub use vxlan::Vxlan;

use std::sync::Arc;

/// Bytes shared between the packets that carry them.
pub type Bytes = Arc<[u8]>;

/// How many tunnels inside one another are read; far more than the kernel nests (`XMIT_RECURSION_LIMIT`).
const MAX_DEPTH: usize = 32;
