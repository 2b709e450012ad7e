//! System calls on TCP sockets (`tcp.c`, `inet_connection_sock.c`, `tcp(7)`).

use super::control::Tcb;
use crate::base::{ProcessId, SocketId};
use crate::kernel::sock::{Sock, truesize};
use crate::kernel::{Ctx, Errno, Netns};
use crate::trace::SocketState;
use std::net::SocketAddrV4;

/// `net.core.somaxconn`.
const SOMAXCONN: u16 = 4096;

impl Netns {
    /// `listen(2)`: the port has to be free for listening now (`inet_csk_listen_start`).
    pub fn socket_listen(&mut self, ctx: &mut Ctx<'_>, socket: SocketId, backlog: u16) -> Result<(), Errno> {
        let sock = self.sock(socket)?;
        let state = sock.tcp().ok_or(Errno::Eopnotsupp)?.state();
        if !matches!(state, SocketState::Close | SocketState::Listen) {
            return Err(Errno::Einval);
        }
        let backlog = backlog.min(SOMAXCONN);
        if state == SocketState::Close {
            let port = sock.local.port();
            if port == 0 {
                self.autobind(socket)?;
            } else if self.bind_conflict(socket, port) {
                return Err(Errno::Eaddrinuse);
            }
        }
        self.with_tcp(ctx, socket, |_, _, sock| {
            if let Some(tcb) = sock.tcp_mut() {
                (tcb.state, tcb.backlog) = (SocketState::Listen, backlog);
            }
        });
        Ok(())
    }

    /// `accept(2)`.
    pub fn socket_accept(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        process: ProcessId,
    ) -> Result<(SocketId, SocketAddrV4), Errno> {
        let tcb = self.sock_mut(socket)?.tcp_mut().ok_or(Errno::Eopnotsupp)?;
        if tcb.state != SocketState::Listen {
            return Err(Errno::Einval);
        }
        let child = tcb.accept_queue.pop_front().ok_or(Errno::Eagain)?;
        self.record_sock(ctx, socket);
        let fd = self.socks.free_fd(process);
        let sock = self.sock_mut(child)?;
        sock.holder = Some((process, fd));
        let remote = sock.remote.ok_or(Errno::Enotconn)?;
        // What came before is told at once.
        if sock.tcp().is_some_and(|tcb| !tcb.received.is_empty() || tcb.shut_recv) {
            sock.wake(ctx, crate::kernel::sock::Woken::Readable);
        }
        self.record_sock(ctx, child);
        Ok((child, remote))
    }

    /// `send(2)` on a stream: how many bytes were taken.
    pub(in crate::kernel) fn tcp_send(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        data: &[u8],
    ) -> Result<usize, Errno> {
        let sent = self.with_tcp(ctx, socket, |netns, ctx, sock| {
            if let Some(error) = sock.error.take() {
                return Err(error);
            }
            let Some(tcb) = sock.tcp_mut() else { return Err(Errno::Eopnotsupp) };
            match tcb.state {
                SocketState::Established | SocketState::CloseWait if !tcb.shut_send => {}
                SocketState::SynSent | SocketState::SynRecv => return Err(Errno::Eagain),
                SocketState::Established
                | SocketState::CloseWait
                | SocketState::FinWait1
                | SocketState::FinWait2
                | SocketState::TimeWait
                | SocketState::Close
                | SocketState::LastAck
                | SocketState::Listen
                | SocketState::Closing => return Err(Errno::Epipe),
            }
            let taken = tcb.enqueue(data);
            if taken < data.len() {
                tcb.no_space = true;
            }
            if taken == 0 && !data.is_empty() {
                return Err(Errno::Eagain);
            }
            if taken > 0 {
                tcb.mark_push();
            }
            netns.tcp_write_xmit(ctx, sock, false);
            Ok(taken)
        });
        sent.unwrap_or(Err(Errno::Ebadf))
    }

    /// What could be received from a stream (`MSG_PEEK`); nothing where there is no such socket.
    pub fn socket_peek_stream(&self, socket: SocketId) -> Vec<u8> {
        let received = self.sock(socket).ok().and_then(Sock::tcp).map(|tcb| &tcb.received);
        received.into_iter().flatten().flat_map(|bytes| bytes.iter().copied()).collect()
    }

    /// `recv(2)` on a stream (`tcp_recvmsg_locked`).
    pub fn socket_receive_stream(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        most: usize,
    ) -> Result<Vec<u8>, Errno> {
        let received = self.with_tcp(ctx, socket, |netns, ctx, sock| {
            let Some(tcb) = sock.tcp_mut() else { return Err(Errno::Eopnotsupp) };
            if tcb.state == SocketState::Listen {
                return Err(Errno::Enotconn);
            }
            let data = tcb.take_received(most);
            if !data.is_empty() || most == 0 {
                netns.tcp_cleanup_rbuf(ctx, sock);
                return Ok(data);
            }
            if let Some(error) = sock.error.take() {
                return Err(error);
            }
            let connected = sock.remote.is_some();
            let Some(tcb) = sock.tcp() else { return Err(Errno::Eopnotsupp) };
            if tcb.shut_recv {
                Ok(data)
            } else if tcb.state != SocketState::Close {
                Err(Errno::Eagain)
            } else if connected {
                Ok(data)
            } else {
                Err(Errno::Enotconn)
            }
        });
        received.unwrap_or(Err(Errno::Ebadf))
    }

    /// A read may make it time to acknowledge, or to tell of a larger window (`__tcp_cleanup_rbuf`).
    fn tcp_cleanup_rbuf(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        if !tcb.is_open_for_acks() {
            return;
        }
        let mut now = false;
        if tcb.ack_scheduled {
            let drained = tcb.rmem == 0 && (tcb.pushed > 1 || (tcb.pushed == 1 && tcb.pingpong == 0));
            now = drained || tcb.rcv_nxt.wrapping_sub(tcb.rcv_wup) > tcb.rcv_mss;
        }
        if !now && !tcb.shut_recv {
            let current = tcb.receive_window();
            if 2 * current <= tcb.window_clamp {
                let window = tcb.new_window();
                now = window > 0 && window >= 2 * current;
            }
        }
        if now {
            self.tcp_send_ack(ctx, sock);
        }
    }
}

impl Tcb {
    fn is_open_for_acks(&self) -> bool {
        !matches!(self.state, SocketState::Close | SocketState::Listen | SocketState::TimeWait)
    }

    /// At most `most` bytes of what was received. A segment counts as memory until its last byte is read.
    fn take_received(&mut self, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < most
            && let Some(first) = self.received.pop_front()
        {
            let room = most - out.len();
            if first.len() <= room {
                out.extend_from_slice(&first);
                self.rmem = self.rmem.saturating_sub(truesize(first.len()));
            } else {
                out.extend_from_slice(&first[..room]);
                let rest = first.len() - room;
                self.rmem = self.rmem.saturating_sub(truesize(first.len())) + truesize(rest);
                self.received.push_front(first[room..].into());
            }
        }
        self.copied_seq = self.copied_seq.wrapping_add(out.len() as u32);
        out
    }
}
