//! The ground floor: time, identifiers, addresses, chance, words and diagnostics. Everything above imports from
//! here; nothing here imports from above.

mod balance;
mod diagnostic;
pub mod dns;
mod id;
pub mod idn;
mod mac;
mod object_key;
pub mod quantity;
pub mod rdata;
mod time;
mod utf16;
pub mod words;
pub mod zone;

pub use balance::IpvsScheduler;
pub use diagnostic::{Demo, DemoPlace, Diagnostic, Fix, Place, Severity, Span};
pub use id::{
    ChangeId, DirId, EventId, IFNAME_LEN, IfIndex, JourneyId, NetnsId, OutputId, PacketId, PidNsId,
    ProcessId, SocketId,
};
pub use mac::MacAddr;
pub use object_key::ObjectKey;
pub use time::{Calendar, Duration, EPOCH_SECS, SimTime};
pub use utf16::{byte_offset, utf16_offset};

pub use ipnet::{IpNet, Ipv4Net};
pub use std::net::Ipv4Addr;

/// The seeded generator that all chance in a simulation comes from.
pub type Rng = fastrand::Rng;
