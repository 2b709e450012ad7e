//! Sockets as processes see them: options, what is received, and errors.

use crate::base::{Ipv4Addr, SimTime};
use crate::wire::Bytes;

/// What a ping socket receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PingMessage {
    /// An echo reply to one of its requests.
    Reply {
        /// Source address of the reply.
        from: Ipv4Addr,
        /// TTL of the reply as received.
        ttl: u8,
        /// Sequence number.
        seq: u16,
        /// Data echoed.
        data: Bytes,
        /// Moment at which the kernel received it.
        at: SimTime,
    },
    /// An ICMP error about one of its requests, or a local error such as `EMSGSIZE`.
    Error {
        /// Who reported it; `None` for a local error.
        from: Option<Ipv4Addr>,
        /// ICMP type and code; `None` for a local error.
        kind_and_code: Option<(u8, u8)>,
        /// Next-hop MTU where the error carries one.
        mtu: u32,
        /// Sequence number of the request quoted.
        seq: u16,
    },
}

/// Path MTU discovery setting of a socket (`IP_MTU_DISCOVER`, `ping -M`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathMtuDiscovery {
    /// `IP_PMTUDISC_DONT`: never set DF.
    Dont,
    /// `IP_PMTUDISC_WANT`: set DF, fragment locally what is larger than the path MTU.
    #[default]
    Want,
    /// `IP_PMTUDISC_DO`: set DF, refuse what is larger.
    Do,
}

/// Options of a ping socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PingSocket {
    /// `IP_TTL`; `None` for the default of 64.
    pub ttl: Option<u8>,
    /// `IP_MTU_DISCOVER`.
    pub discovery: PathMtuDiscovery,
    /// Source address to bind to.
    pub source: Option<Ipv4Addr>,
    /// Interface to bind to (`SO_BINDTODEVICE`), by name.
    pub device: Option<String>,
    /// Type of service octet.
    pub tos: u8,
    /// `SO_BROADCAST`.
    pub broadcast: bool,
}

/// An error of a system call, by its C name (`errno(3)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// No route to the network.
    Enetunreach,
    /// No route to the host.
    Ehostunreach,
    /// Larger than the path MTU and not to be fragmented.
    Emsgsize,
    /// Not allowed, as with a prohibit route.
    Eacces,
    /// Invalid, as with a blackhole route.
    Einval,
    /// No such device.
    Enodev,
    /// No such address here.
    Eaddrnotavail,
    /// Broadcast without permission, or not permitted by the kernel.
    Eperm,
}

impl Errno {
    /// The C library's text (`strerror(3)`).
    pub fn text(self) -> &'static str {
        match self {
            Self::Enetunreach => "Network is unreachable",
            Self::Ehostunreach => "No route to host",
            Self::Emsgsize => "Message too long",
            Self::Eacces => "Permission denied",
            Self::Einval => "Invalid argument",
            Self::Enodev => "No such device",
            Self::Eaddrnotavail => "Cannot assign requested address",
            Self::Eperm => "Operation not permitted",
        }
    }
}
