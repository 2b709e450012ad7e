//! Simulated processes, each a state machine over sockets and timers. A process sees the world only through
//! [`Os`], which stands for the system calls.

pub mod arping;
pub mod bind;
pub mod busybox_nslookup;
pub mod busybox_ping;
mod capture;
pub mod cat;
pub mod coredns;
pub mod curl;
mod dial;
pub mod forward;
pub mod getent;
mod grpc;
pub mod http;
pub mod local;
pub mod mausezahn;
pub mod mtr;
pub mod nc;
pub mod node_cache;
pub mod ping;
pub mod probe;
pub mod prompt;
pub mod resolver;
pub mod server;
pub mod services;
mod side;
pub mod sidecar;
pub mod sleep;
pub mod suricata;
pub mod tcpdump;
pub mod telnet;
pub mod tracepath;
pub mod traceroute;
pub mod wget;

pub use capture::{CaptureFilter, Captured};

use crate::api::{ApiError, ApiRequest};
use crate::base::{Duration, IfIndex, Ipv4Addr, Ipv4Net, NetnsId, ObjectKey, SimTime, SocketId};
use crate::cluster::dns::View;
use crate::cluster::mesh::{Mode, Policies, Route};
use crate::kernel::{Ctx, Netns};
pub use crate::kernel::{
    Datagram, Errno, PathMtuDiscovery, PingMessage, PingSocket, RawMessage, RawSocket, Shutdown, SocketError,
    SocketOption, Transport,
};
use crate::tls::Credentials;
use crate::trace::{NetfilterChange, Stream, TableChange};
use crate::wire::{Body, Bytes};
use resolver::{Gai, Libc, NotFound, Outcome, Wanted};
use serde_json::Value;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// What wakes a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// It was just started.
    Start,
    /// The timer it set with this token went off.
    Timer(u32),
    /// Something can be received from this socket: data, a connection to accept, an error or the end.
    Readable(SocketId),
    /// A connection attempt of this socket ended, well or not (see [`Os::take_error`]), or its send buffer has room
    /// again.
    Writable(SocketId),
    /// `SIGTERM`: the container runtime wants it to end.
    Terminate,
    /// `SIGINT`: the user typed Ctrl-C.
    Interrupt,
    /// Something can be read from standard input.
    Input,
}

/// What standard input has to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// These bytes.
    Data(Vec<u8>),
    /// Nothing yet: a terminal at which nobody typed, or a pipe whose writer lives.
    Pending,
    /// Nothing any more.
    End,
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
    /// Sets the time to live of the next requests (`IP_TTL`).
    fn set_echo_ttl(&mut self, _socket: SocketId, _ttl: u8) {}
    /// The identifier of a socket's echo requests; an [`Os`] of a test has none.
    fn echo_ident(&self, _socket: SocketId) -> u16 {
        0
    }
    /// Takes what the socket received next.
    fn receive(&mut self, socket: SocketId) -> Option<PingMessage>;
    /// Opens a raw socket, connected (`socket(AF_INET, SOCK_RAW, …)`, `bind(2)`, `connect(2)`).
    fn raw_socket(&mut self, _options: RawSocket) -> Result<SocketId, Errno> {
        Err(Errno::Enosys)
    }
    /// Sends a packet with this time to live by a raw socket.
    fn raw_send(&mut self, _socket: SocketId, _ttl: u8, _body: Body) -> Result<(), Errno> {
        Err(Errno::Enosys)
    }
    /// Takes what a raw socket received next.
    fn raw_receive(&mut self, _socket: SocketId) -> Option<RawMessage> {
        None
    }
    // Sockets. An [`Os`] without a transport layer of its own, as a test's, has none to give.

    /// Opens a socket (`socket(AF_INET, SOCK_STREAM | SOCK_DGRAM | SOCK_NONBLOCK, 0)`).
    fn socket(&mut self, _transport: Transport) -> Result<SocketId, Errno> {
        Err(Errno::Enosys)
    }
    /// Opens a socket in the network namespace of a Pod, as a container runtime's helper does (`setns(2)`, then
    /// `socket(2)`). Only connecting, sending, receiving, shutting down and closing work on it.
    fn socket_within(&mut self, _pod: &ObjectKey, _transport: Transport) -> Result<SocketId, Errno> {
        Err(Errno::Enosys)
    }
    /// Sets an option (`setsockopt(2)`).
    fn set_option(&mut self, _socket: SocketId, _option: SocketOption) -> Result<(), Errno> {
        Err(Errno::Enosys)
    }
    /// Binds to a local address and port; port 0 has the kernel choose one (`bind(2)`).
    fn bind(&mut self, _socket: SocketId, _local: SocketAddrV4) -> Result<(), Errno> {
        Err(Errno::Enosys)
    }
    /// Takes connections from now on, at most `backlog` waiting (`listen(2)`).
    fn listen(&mut self, _socket: SocketId, _backlog: u16) -> Result<(), Errno> {
        Err(Errno::Enosys)
    }
    /// Connects (`connect(2)`, not blocking): `Einprogress` for TCP, and [`Wake::Writable`] when it is decided.
    fn connect(&mut self, _socket: SocketId, _remote: SocketAddrV4) -> Result<(), Errno> {
        Err(Errno::Enosys)
    }
    /// Takes the next waiting connection and its far end (`accept(2)`); `Eagain` where there is none.
    fn accept(&mut self, _socket: SocketId) -> Result<(SocketId, SocketAddrV4), Errno> {
        Err(Errno::Enosys)
    }
    /// Sends on a connected socket (`send(2)`): the bytes taken.
    fn send(&mut self, _socket: SocketId, _data: &[u8]) -> Result<usize, Errno> {
        Err(Errno::Enosys)
    }
    /// Sends one datagram (`sendto(2)`).
    fn send_to(&mut self, _socket: SocketId, _remote: SocketAddrV4, _data: &[u8]) -> Result<usize, Errno> {
        Err(Errno::Enosys)
    }
    /// The bytes of a stream that are there, which stay to be received (`recv(2)` with `MSG_PEEK`).
    fn peek_stream(&self, _socket: SocketId) -> Vec<u8> {
        Vec::new()
    }
    /// Takes at most `most` bytes of a stream (`recv(2)`): empty at its end, `Eagain` where nothing is there.
    fn receive_stream(&mut self, _socket: SocketId, _most: usize) -> Result<Vec<u8>, Errno> {
        Err(Errno::Enosys)
    }
    /// Takes the next datagram (`recvmsg(2)`), `Eagain` where there is none, or the pending error.
    fn receive_from(&mut self, _socket: SocketId) -> Result<Datagram, Errno> {
        Err(Errno::Enosys)
    }
    /// Takes the next entry of the error queue (`MSG_ERRQUEUE`), kept with [`SocketOption::ReceiveErrors`].
    fn receive_error(&mut self, _socket: SocketId) -> Option<SocketError> {
        None
    }
    /// Takes the pending error (`SO_ERROR`).
    fn take_error(&mut self, _socket: SocketId) -> Option<Errno> {
        None
    }
    /// The local end (`getsockname(2)`).
    fn local_addr(&self, _socket: SocketId) -> Option<SocketAddrV4> {
        None
    }
    /// The far end (`getpeername(2)`).
    fn remote_addr(&self, _socket: SocketId) -> Option<SocketAddrV4> {
        None
    }
    /// Where a connection was going before its destination was translated (`SO_ORIGINAL_DST`): its own local end where
    /// it was not; `Enoent` without a tracked connection.
    fn original_dst(&self, _socket: SocketId) -> Result<SocketAddrV4, Errno> {
        Err(Errno::Enosys)
    }
    /// Ends one or both directions (`shutdown(2)`).
    fn shutdown(&mut self, _socket: SocketId, _how: Shutdown) -> Result<(), Errno> {
        Err(Errno::Enosys)
    }
    /// Takes connections at this path (`socket(AF_UNIX, …)`, `bind(2)`, `listen(2)`).
    fn local_listen(&mut self, _path: &str) -> Result<SocketId, Errno> {
        Err(Errno::Enosys)
    }
    /// Connects to the socket at this path; the other calls on sockets work on it as on a TCP connection.
    fn local_connect(&mut self, _path: &str) -> Result<SocketId, Errno> {
        Err(Errno::Enosys)
    }
    /// Opens a named pipe to read or to write. [`Wake::Writable`] tells a writer that somebody reads.
    fn fifo_open(&mut self, _path: &str, _writes: bool) -> Result<SocketId, Errno> {
        Err(Errno::Enosys)
    }
    /// Closes the socket (`close(2)`). What a process leaves open is closed when it ends.
    fn close(&mut self, _socket: SocketId) {}
    /// Captures what this device sees, or with `None` all of the namespace, as far as the filter lets it pass
    /// (`packet(7)`). [`Wake::Timer`] with this token tells when there is something. In promiscuous mode the device
    /// takes in what is for others, too (`PACKET_MR_PROMISC`).
    fn capture(
        &mut self,
        _device: Option<IfIndex>,
        _filter: CaptureFilter,
        _is_promiscuous: bool,
        _token: u32,
    ) -> Result<(), Errno> {
        Err(Errno::Enosys)
    }
    /// Takes the frames captured since this was last asked.
    fn take_captured(&mut self) -> Vec<Captured> {
        Vec::new()
    }
    /// Has the kernel tell of connections that it tracks in this namespace (`NFNLGRP_CONNTRACK_*`).
    /// [`Wake::Timer`] with this token tells when there is something.
    fn watch_connections(&mut self, _token: u32) {}
    /// Takes what became of connections since this was last asked, each with when.
    fn take_connections(&mut self) -> Vec<(SimTime, NetfilterChange)> {
        Vec::new()
    }
    /// The source address the kernel would choose towards `dst` (`connect(2)` then `getsockname(2)`) on a socket bound
    /// to `device`, if any, with the type of service that comes second. Unless the first
    /// (`SO_BROADCAST`) is set, a broadcast address is refused with `Eacces`.
    fn source_towards(
        &mut self,
        dst: Ipv4Addr,
        device: Option<&str>,
        broadcast_and_tos: (bool, u8),
    ) -> Result<Ipv4Addr, Errno>;
    /// The addresses of a device, by name (`getifaddrs(3)`); `Enodev` where there is no such device.
    fn device_addresses(&self, device: &str) -> Result<Vec<Ipv4Addr>, Errno>;
    /// MTU of the route towards `dst`, in bytes (`IP_MTU`).
    fn mtu_towards(&self, dst: Ipv4Addr) -> Option<u32>;
    /// Looks a name up in `/etc/hosts`, then in the DNS: the first address. Only programs that say so
    /// ([`Process::looks_up_names`]) get further than `/etc/hosts`.
    fn resolve(&mut self, name: &str) -> Option<Ipv4Addr>;
    /// Asks the DNS for a name, without `/etc/hosts`; `None` until there is an outcome.
    fn ask_for(&mut self, _name: &str, _wanted: Wanted) -> Option<Outcome> {
        Some(Err(NotFound { why: Gai::NoName, libc: self.libc() }))
    }
    /// The C library that the program is linked with.
    fn libc(&self) -> Libc {
        Libc::Glibc
    }
    /// The address that the kernel would choose as source towards `dst`, with its network.
    fn source_network(&self, _dst: Ipv4Addr) -> Option<Ipv4Net> {
        None
    }
    /// What the last lookup of a name came to.
    fn lookup(&self, _name: &str) -> Option<&Outcome> {
        None
    }
    /// Looks an address up in `/etc/hosts` of the process: the first name of the first line that has it.
    fn name_of(&self, _addr: Ipv4Addr) -> Option<String> {
        None
    }
    /// Takes what standard input has to give (`read(0, …)`).
    fn read_input(&mut self) -> Input {
        Input::Pending
    }
    /// Whether standard output is a terminal (`isatty(1)`).
    fn is_terminal(&self) -> bool {
        true
    }
    /// The process's number in its PID namespace (`getpid(2)`).
    fn pid(&self) -> u32 {
        1
    }
    /// Reads a file; `None` where there is none.
    fn read_file(&self, _path: &str) -> Option<String> {
        None
    }
    /// Reads a file that need not be text.
    fn read_bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.read_file(path).map(String::into_bytes)
    }
    /// Writes a file anew.
    fn write_file(&mut self, _path: &str, _bytes: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
    /// Sends a request to the API server and has its answer: what it changes is in the store when this returns. Packets
    /// to the API server are *not modelled*.
    fn api(&mut self, _request: &ApiRequest) -> Result<Value, ApiError> {
        Err(ApiError {
            code: 503,
            reason: "ServiceUnavailable",
            message: "there is no API server".to_owned(),
        })
    }
    /// An environment variable.
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
    /// The cluster as a DNS server watches it, with its version; `None` where that is still the one known.
    fn cluster_names(&self, _known: Option<u64>) -> Option<(u64, View)> {
        None
    }
    /// A fresh certificate from the mesh's control plane, for the workload of the process's network namespace. Packets
    /// to it are *not modelled*.
    fn mesh_credentials(&mut self) -> Result<Arc<Credentials>, String> {
        Err("there is no mesh".to_owned())
    }
    /// The mode of mutual TLS at a port of that workload, as the control plane tells its proxy.
    fn mesh_mode(&self, _port: u16) -> Mode {
        Mode::default()
    }
    /// The policies of authorization of that workload, as the control plane tells its proxy.
    fn mesh_policies(&self) -> Policies {
        Policies::default()
    }
    /// Where a proxy sends what its workload sends there, as the control plane tells it.
    fn mesh_route(&self, _to: SocketAddrV4) -> Route {
        Route::Passthrough
    }
    /// Works on the process's network namespace as root does over netlink (`CAP_NET_ADMIN`).
    fn administer(&mut self, _work: &mut dyn FnMut(&mut Netns, &mut Ctx<'_>)) {}
    /// Writes down what the process did, for those who look at the simulation.
    fn record(&mut self, _change: TableChange) {}
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
    /// The title that the program gives itself in place of its command line (`setproctitle(3)`).
    fn title(&self, _args: &str) -> Option<String> {
        None
    }
    /// Whether the program may look names up, and waits for them.
    fn looks_up_names(&self) -> bool {
        false
    }
    /// Whether the program has a handler for `SIGTERM`. The first process of a PID namespace is not ended by a signal
    /// that it does not handle (`pid_namespaces(7)`).
    fn handles_termination(&self) -> bool {
        false
    }
}
