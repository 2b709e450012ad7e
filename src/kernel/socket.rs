//! Sockets as processes see them: options, what is received, and errors.

use crate::base::{Ipv4Addr, SimTime};
pub use crate::trace::Transport;
use crate::wire::{Body, Bytes};
use std::net::SocketAddrV4;

/// The socket that a packet of this machine's own comes from, as `-m owner` sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// None: it comes from elsewhere, or from a connection that no program has open (`sk_socket` is not set).
    #[default]
    Nobody,
    /// One of the kernel's own, from which it sends ICMP and resets (`inet_ctl_sock_create`); no file stands for it.
    Kernel,
    /// One that a program opened.
    User(User),
}

/// Whom a process runs as, and so its sockets (`struct cred`, `fsuid` and `fsgid`); 0 is root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Number of the user.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
}

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
        /// Options of its IPv4 header (`IP_RECVOPTS`).
        options: Option<Bytes>,
        /// Moment at which the kernel received it.
        at: SimTime,
    },
    /// A router named a better next hop for one of its requests.
    Redirect {
        /// The router.
        from: Ipv4Addr,
        /// ICMP code: 0 for the net, 1 for the host.
        code: u8,
        /// The better next hop.
        gateway: Ipv4Addr,
        /// Sequence number of the request quoted.
        seq: u16,
    },
    /// An ICMP error about one of its requests, or a local error such as `EMSGSIZE`.
    Error {
        /// Who reported it; `None` for a local error.
        from: Option<Ipv4Addr>,
        /// TTL of the ICMP message as received; 0 for a local error.
        ttl: u8,
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
    /// `IP_PMTUDISC_PROBE`: set DF, ignore the path MTU, refuse only what is larger than the device's.
    Probe,
}

impl PathMtuDiscovery {
    /// Whether packets that fit the path MTU may not be cut on their way (`ip_dont_fragment`, `__ip_make_skb`): where that
    /// MTU is locked, they may.
    pub(super) fn dont_fragment(self, mtu_locked: bool) -> bool {
        match self {
            Self::Dont => false,
            Self::Want => !mtu_locked,
            Self::Do | Self::Probe => true,
        }
    }
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
    /// Whether what it says to a group does not come back to this machine (`IP_MULTICAST_LOOP` is off).
    pub unheard: bool,
    /// Options of the IPv4 header, as they are before the first host fills them in (`IP_OPTIONS`).
    pub options: Option<Bytes>,
}

/// A raw socket, and the host it is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSocket {
    /// IP protocol number.
    pub protocol: u8,
    /// The far end.
    pub to: Ipv4Addr,
    /// Source address to bind to.
    pub source: Option<Ipv4Addr>,
    /// Interface to bind to (`SO_BINDTODEVICE`), by name.
    pub device: Option<String>,
    /// `IP_MTU_DISCOVER`.
    pub discovery: PathMtuDiscovery,
    /// Type of service octet.
    pub tos: u8,
}

/// What a raw socket receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawMessage {
    /// A packet from the far end.
    Packet {
        /// TTL as received.
        ttl: u8,
        /// What it carries.
        body: std::sync::Arc<Body>,
        /// Moment at which the kernel received it.
        at: SimTime,
    },
    /// An ICMP error about a packet of this socket's.
    Error {
        /// Who reported it.
        from: Ipv4Addr,
        /// TTL of the ICMP message as received.
        ttl: u8,
        /// ICMP type and code.
        kind_and_code: (u8, u8),
        /// Next-hop MTU where the error carries one.
        mtu: u32,
        /// What is quoted of the packet behind its IPv4 header.
        body: Bytes,
        /// Moment at which the kernel received it.
        at: SimTime,
    },
}

/// An option of a TCP or UDP socket (`socket(7)`, `ip(7)`, `tcp(7)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// `SO_REUSEADDR`.
    ReuseAddress(bool),
    /// `SO_REUSEPORT`.
    ReusePort(bool),
    /// `SO_BINDTODEVICE`.
    BindToDevice(String),
    /// `SO_BROADCAST`.
    Broadcast(bool),
    /// `IP_TTL`.
    Ttl(u8),
    /// `IP_TOS`.
    Tos(u8),
    /// `IP_MTU_DISCOVER`.
    MtuDiscovery(PathMtuDiscovery),
    /// `IP_RECVERR`: ICMP errors are queued for [`crate::app::Os::receive_error`].
    ReceiveErrors(bool),
    /// `TCP_NODELAY`.
    NoDelay(bool),
    /// `SO_KEEPALIVE`.
    KeepAlive(bool),
    /// Nobody waits for what comes of it, as it is asked again and again; no option of Linux.
    Patient(bool),
}

/// A datagram received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Sender.
    pub from: SocketAddrV4,
    /// Data.
    pub data: Bytes,
    /// TTL as received (`IP_RECVTTL`).
    pub ttl: u8,
    /// Moment at which the kernel received it.
    pub at: SimTime,
}

/// An entry of a socket's error queue (`struct sock_extended_err`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketError {
    /// The error.
    pub errno: Errno,
    /// Who reported it (`SO_EE_OFFENDER`); `None` for a local error.
    pub offender: Option<Ipv4Addr>,
    /// ICMP type and code; `None` for a local error.
    pub kind_and_code: Option<(u8, u8)>,
    /// Next-hop MTU where the error carries one (`ee_info`).
    pub mtu: u32,
    /// Where the datagram was going.
    pub remote: SocketAddrV4,
    /// TTL of the ICMP message as received (`IP_RECVTTL`); 0 for a local error.
    pub ttl: u8,
    /// Moment at which the kernel received it.
    pub at: SimTime,
}

/// Directions that `shutdown(2)` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// `SHUT_RD`.
    Read,
    /// `SHUT_WR`.
    Write,
    /// `SHUT_RDWR`.
    Both,
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
    /// Nobody listens there.
    Econnrefused,
    /// The far end reset the connection.
    Econnreset,
    /// The connection is closed for sending.
    Epipe,
    /// No answer in time.
    Etimedout,
    /// Somebody else has this address and port.
    Eaddrinuse,
    /// The connection is being made.
    Einprogress,
    /// A connection attempt is under way already.
    Ealready,
    /// Nothing is there yet.
    Eagain,
    /// Connected already.
    Eisconn,
    /// Not connected.
    Enotconn,
    /// No destination was given.
    Edestaddrreq,
    /// Not possible with this kind of socket.
    Eopnotsupp,
    /// No such socket.
    Ebadf,
    /// The next hop is down.
    Ehostdown,
    /// The machine is not on the network.
    Enonet,
    /// The far end does not speak this protocol.
    Enoprotoopt,
    /// The far end reported a protocol error.
    Eproto,
    /// The kernel lacks this system call.
    Enosys,
    /// There is no such file.
    Enoent,
    /// There is such a file already.
    Eexist,
    /// The file system is only read.
    Erofs,
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
            Self::Econnrefused => "Connection refused",
            Self::Econnreset => "Connection reset by peer",
            Self::Epipe => "Broken pipe",
            Self::Etimedout => "Connection timed out",
            Self::Eaddrinuse => "Address already in use",
            Self::Einprogress => "Operation now in progress",
            Self::Ealready => "Operation already in progress",
            Self::Eagain => "Resource temporarily unavailable",
            Self::Eisconn => "Transport endpoint is already connected",
            Self::Enotconn => "Transport endpoint is not connected",
            Self::Edestaddrreq => "Destination address required",
            Self::Eopnotsupp => "Operation not supported",
            Self::Ebadf => "Bad file descriptor",
            Self::Ehostdown => "Host is down",
            Self::Enonet => "Machine is not on the network",
            Self::Enoprotoopt => "Protocol not available",
            Self::Eproto => "Protocol error",
            Self::Enosys => "Function not implemented",
            Self::Enoent => "No such file or directory",
            Self::Eexist => "File exists",
            Self::Erofs => "Read-only file system",
        }
    }

    /// Its number on x86-64 (`errno(3)`).
    pub fn number(self) -> u8 {
        match self {
            Self::Eperm => 1,
            Self::Enoent => 2,
            Self::Eexist => 17,
            Self::Erofs => 30,
            Self::Ebadf => 9,
            Self::Eagain => 11,
            Self::Eacces => 13,
            Self::Enodev => 19,
            Self::Einval => 22,
            Self::Epipe => 32,
            Self::Enosys => 38,
            Self::Eproto => 71,
            Self::Edestaddrreq => 89,
            Self::Emsgsize => 90,
            Self::Enoprotoopt => 92,
            Self::Eopnotsupp => 95,
            Self::Eaddrinuse => 98,
            Self::Eaddrnotavail => 99,
            Self::Enetunreach => 101,
            Self::Econnreset => 104,
            Self::Eisconn => 106,
            Self::Enotconn => 107,
            Self::Etimedout => 110,
            Self::Econnrefused => 111,
            Self::Enonet => 64,
            Self::Ehostdown => 112,
            Self::Ehostunreach => 113,
            Self::Ealready => 114,
            Self::Einprogress => 115,
        }
    }
}
