//! Simulated processes, each a state machine over sockets and timers. A process sees the world only through
//! [`Os`], which stands for the system calls.

pub mod busybox_ping;
pub mod ping;
pub mod sleep;

use crate::base::{Duration, Ipv4Addr, NetnsId, SimTime, SocketId};
pub use crate::kernel::{Errno, PathMtuDiscovery, PingMessage, PingSocket};
use crate::trace::Stream;
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
    /// The source address the kernel would choose towards `dst` (`connect(2)` then `getsockname(2)`) on a socket bound
    /// to `device`, if any. Without `broadcast` (`SO_BROADCAST`) a broadcast address is refused with `Eacces`.
    fn source_towards(&self, dst: Ipv4Addr, device: Option<&str>, broadcast: bool)
    -> Result<Ipv4Addr, Errno>;
    /// The addresses of a device, by name (`getifaddrs(3)`); `Enodev` where there is no such device.
    fn device_addresses(&self, device: &str) -> Result<Vec<Ipv4Addr>, Errno>;
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
