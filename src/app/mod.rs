//! Simulated processes, each a state machine over sockets and timers. A process sees the world only through
//! [`Os`], which stands for the system calls.

pub mod busybox_ping;
pub mod ping;
pub mod sleep;

use crate::base::{Duration, Ipv4Addr, NetnsId, SimTime, SocketId};
use crate::trace::{Inventory, Stream};
use crate::wire::Bytes;

/// What wakes a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// It was just started.
    Start,
    /// The timer it set with this token went off.
    Timer(u32),
    /// Something can be received from this socket.
    Readable(SocketId),
    /// `SIGINT`: the user typed Ctrl-C.
    Interrupt,
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

/// The system calls.
pub trait Os {
    /// Simulated time.
    fn now(&self) -> SimTime;
    /// Writes to the process's terminal.
    fn write(&mut self, stream: Stream, text: &str);
    /// Ends the process with this status. Nothing wakes it afterwards.
    fn exit(&mut self, status: u8);
    /// Wakes the process with [`Wake::Timer`] of this token after `after`; a timer with the same token set before is
    /// forgotten.
    fn set_timer(&mut self, token: u32, after: Duration);
    /// Forgets the timer with this token.
    fn cancel_timer(&mut self, token: u32);
    /// Opens an ICMP socket (`socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)`).
    fn ping_socket(&mut self, options: PingSocket) -> Result<SocketId, Errno>;
    /// Sends an echo request; the kernel chooses the identifier.
    fn send_echo(&mut self, socket: SocketId, dst: Ipv4Addr, seq: u16, data: Bytes) -> Result<(), Errno>;
    /// Takes what the socket received next.
    fn receive(&mut self, socket: SocketId) -> Option<PingMessage>;
    /// The source address the kernel would choose towards `dst` (`connect(2)` then `getsockname(2)`).
    fn source_towards(&self, dst: Ipv4Addr) -> Result<Ipv4Addr, Errno>;
    /// MTU of the route towards `dst`, in bytes (`IP_MTU`).
    fn mtu_towards(&self, dst: Ipv4Addr) -> Option<u32>;
    /// Looks a name up in `/etc/hosts` of the process. DNS is not simulated yet.
    fn resolve(&self, name: &str) -> Option<Ipv4Addr>;
    /// Looks an address up in `/etc/hosts` of the process: the first name of the first line that has it.
    fn name_of(&self, _addr: Ipv4Addr) -> Option<String> {
        None
    }
    /// The namespace the process lives in.
    fn netns(&self) -> NetnsId;
    /// All tables as they stand now.
    fn inventory(&self) -> &Inventory;
    /// A chance number.
    fn random(&mut self) -> u32;
}

/// A simulated process.
pub trait Process {
    /// Runs until it waits again or ends.
    fn wake(&mut self, os: &mut dyn Os, wake: Wake);
    /// A copy, for checkpoints.
    fn boxed_clone(&self) -> Box<dyn Process>;
}
