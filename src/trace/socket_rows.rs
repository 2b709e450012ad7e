//! Rows of the socket table, as `ss` and `netstat` show them.

use crate::base::{IfIndex, NetnsId, ProcessId, SimTime, SocketId};
use std::net::SocketAddrV4;

/// Transport protocol of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// `SOCK_STREAM`.
    Tcp,
    /// `SOCK_DGRAM`.
    Udp,
}

/// State of a socket (`TCP_*`). A UDP socket is `Close` (which `ss` calls UNCONN), or `Established` once connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketState {
    /// Connected.
    Established,
    /// SYN sent, no answer yet.
    SynSent,
    /// SYN received and answered.
    SynRecv,
    /// Closed on this side, not acknowledged yet.
    FinWait1,
    /// Closed on this side, and that is acknowledged.
    FinWait2,
    /// Over; late segments are still answered.
    TimeWait,
    /// Not connected.
    Close,
    /// Closed by the far end.
    CloseWait,
    /// Closed by the far end, then by this one; not acknowledged yet.
    LastAck,
    /// Takes connections.
    Listen,
    /// Both ends closed at once.
    Closing,
}

impl SocketState {
    /// The kernel's name, which is also how `netstat` calls the states of TCP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
        }
    }
}

/// What a socket's timer is set for (`ss -o`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketTimerKind {
    /// `on`: a retransmission, or the loss probe before it.
    Retransmit,
    /// `keepalive`: also of a connection whose other end has to close yet.
    KeepAlive,
    /// `timewait`.
    TimeWait,
    /// `persist`: probes a closed window.
    Persist,
}

/// A running timer of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketTimer {
    /// What for.
    pub kind: SocketTimerKind,
    /// When it goes off.
    pub expires: SimTime,
    /// How often it went off in a row (`icsk_retransmits`, `icsk_probes_out`).
    pub retransmits: u8,
}

/// What `ss -i` tells of a connection, as it stood when the row was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpInfo {
    /// Window scale of the far end's windows, then of ours; `None` without the option.
    pub wscale: Option<(u8, u8)>,
    /// Whether timestamps are in use.
    pub timestamps: bool,
    /// Whether selective acknowledgments are in use.
    pub sack: bool,
    /// Retransmission timeout in microseconds.
    pub rto_us: u64,
    /// Smoothed round trip time and its variance in microseconds.
    pub rtt_us: (u32, u32),
    /// Delayed acknowledgment timeout in milliseconds.
    pub ato_ms: u32,
    /// Segment size for sending.
    pub mss: u32,
    /// Path MTU.
    pub pmtu: u32,
    /// Estimate of the far end's segment size.
    pub rcv_mss: u32,
    /// Segment size announced.
    pub advmss: u32,
    /// Congestion window in segments.
    pub cwnd: u32,
    /// Slow start threshold, once set.
    pub ssthresh: Option<u32>,
    /// Bytes sent, retransmitted ones included.
    pub bytes_sent: u64,
    /// Bytes retransmitted.
    pub bytes_retrans: u64,
    /// Bytes acknowledged.
    pub bytes_acked: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Segments sent.
    pub segs_out: u32,
    /// Segments received.
    pub segs_in: u32,
    /// Segments with data sent.
    pub data_segs_out: u32,
    /// Segments with data received.
    pub data_segs_in: u32,
    /// Segments under way.
    pub unacked: u32,
    /// Retransmissions under way, then all so far.
    pub retrans: (u32, u32),
    /// Send window of the far end in bytes.
    pub snd_wnd: u32,
    /// Current threshold of the receive window in bytes.
    pub rcv_ssthresh: u32,
}

/// A TCP or UDP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Its number inside the namespace. A connection that is not accepted yet, and one in TIME-WAIT, has one too.
    pub socket: SocketId,
    /// Transport protocol.
    pub transport: Transport,
    /// State.
    pub state: SocketState,
    /// Local address and port; 0.0.0.0 for any, port 0 while not bound.
    pub local: SocketAddrV4,
    /// Far end; 0.0.0.0:0 for none.
    pub remote: SocketAddrV4,
    /// The interface it is bound to (`SO_BINDTODEVICE`).
    pub device: Option<IfIndex>,
    /// The process that holds it and the number under which it does (file descriptor); `None` once closed there, and
    /// before `accept`.
    pub holder: Option<(ProcessId, u32)>,
    /// Bytes received and not yet read; of a listening socket connections not yet accepted.
    pub recv_queue: u32,
    /// Bytes not yet acknowledged; of a listening socket the most connections that may wait.
    pub send_queue: u32,
    /// User.
    pub uid: u32,
    /// Number in the file system of sockets; 0 without a file.
    pub inode: u32,
    /// The timer that goes off next.
    pub timer: Option<SocketTimer>,
    /// More about a connection.
    pub tcp: Option<TcpInfo>,
}

impl SocketRow {
    /// Whether two rows tell the same, but for what only `ss -i` tells.
    pub fn is_same_but_info(&self, other: &Self) -> bool {
        let Self { netns, socket, transport, state, local, remote, device, holder, .. } = self;
        let Self { recv_queue, send_queue, uid, inode, timer, tcp: _, .. } = self;
        (netns, socket, transport, state) == (&other.netns, &other.socket, &other.transport, &other.state)
            && (local, remote, device, holder) == (&other.local, &other.remote, &other.device, &other.holder)
            && (recv_queue, send_queue) == (&other.recv_queue, &other.send_queue)
            && (uid, inode, timer) == (&other.uid, &other.inode, &other.timer)
    }
}
