//! Which tables of sockets `ss` asks for (`filter_db_parse`, `default_afs`, `default_dbs`).

use super::CONNECTED;
use crate::trace::SocketState;

/// A table of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Db {
    Tcp,
    Mptcp,
    Dccp,
    Udp,
    Raw,
    UnixStream,
    UnixDgram,
    UnixSeqpacket,
    PacketDgram,
    PacketRaw,
    Netlink,
    Sctp,
    VsockStream,
    VsockDgram,
    Tipc,
    Xdp,
}

use Db::{
    Dccp, Mptcp, Netlink, PacketDgram, PacketRaw, Raw, Sctp, Tcp, Tipc, Udp, UnixDgram, UnixSeqpacket,
    UnixStream, VsockDgram, VsockStream, Xdp,
};

const ALL: [Db; 16] = [
    Tcp,
    Mptcp,
    Dccp,
    Udp,
    Raw,
    UnixStream,
    UnixDgram,
    UnixSeqpacket,
    PacketDgram,
    PacketRaw,
    Netlink,
    Sctp,
    VsockStream,
    VsockDgram,
    Tipc,
    Xdp,
];
const INET: [Db; 6] = [Udp, Dccp, Tcp, Mptcp, Sctp, Raw];
const UNIX: [Db; 3] = [UnixStream, UnixDgram, UnixSeqpacket];
const PACKET: [Db; 2] = [PacketRaw, PacketDgram];
const VSOCK: [Db; 2] = [VsockStream, VsockDgram];

/// Tables by the names that `-A` takes.
pub(super) fn named(name: &str) -> Option<Vec<Db>> {
    Some(match name {
        "all" => ALL.to_vec(),
        "inet" => INET.to_vec(),
        "tcp" => vec![Tcp],
        "mptcp" => vec![Mptcp],
        "dccp" => vec![Dccp],
        "sctp" => vec![Sctp],
        "udp" => vec![Udp],
        "raw" => vec![Raw],
        "unix" => UNIX.to_vec(),
        "unix_stream" | "u_str" | "u_stream" => vec![UnixStream],
        "unix_dgram" | "u_dgr" | "u_dgram" => vec![UnixDgram],
        "unix_seqpacket" | "u_seq" | "u_seqpacket" => vec![UnixSeqpacket],
        "packet" => PACKET.to_vec(),
        "packet_raw" | "p_raw" => vec![PacketRaw],
        "packet_dgram" | "p_dgr" => vec![PacketDgram],
        "netlink" => vec![Netlink],
        "vsock" => VSOCK.to_vec(),
        "vsock_stream" | "v_str" => vec![VsockStream],
        "vsock_dgram" | "v_dgr" => vec![VsockDgram],
        "tipc" => vec![Tipc],
        "xdp" => vec![Xdp],
        _ => return None,
    })
}

/// Tables of an address family (`-f`).
pub(super) fn of_family(name: &str) -> Option<Vec<Db>> {
    named(match name {
        "inet" | "inet6" => "inet",
        "link" => "packet",
        "unix" | "netlink" | "vsock" | "tipc" | "xdp" => name,
        _ => return None,
    })
}

/// All tables, where nothing was said.
pub(super) fn everything() -> Vec<Db> {
    ALL.to_vec()
}

impl Db {
    /// The states shown where nothing was said, of a table that was asked for by name.
    pub(super) fn default_states(self) -> Vec<SocketState> {
        match self {
            Udp | Raw | Tipc => vec![SocketState::Established],
            UnixDgram | PacketDgram | PacketRaw | Netlink | Xdp => vec![SocketState::Close],
            Tcp | Mptcp | Dccp | Sctp | UnixStream | UnixSeqpacket | VsockStream | VsockDgram => {
                CONNECTED.to_vec()
            }
        }
    }
}
