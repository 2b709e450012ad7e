//! How connections end: FIN, RST, TIME-WAIT (`tcp_fin`, `tcp_reset`, `tcp_close`, `tcp_timewait_state_process`).

use super::after;
use super::input::Taken;
use super::segment::Segment;
use crate::base::SocketId;
use crate::kernel::sock::{Sock, Woken};
use crate::kernel::{Ctx, Errno, Netns, Skb};
use crate::trace::{DropReason, Mib, SocketState};
use crate::wire::{Ipv4, TcpFlags};

impl Netns {
    /// What an acknowledgment does to the state; whether the segment is to be looked at further.
    pub(super) fn tcp_state_after_ack(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &mut Sock,
        segment: &Segment,
    ) -> bool {
        let Some(tcb) = sock.tcp_mut() else { return false };
        let all_acked = tcb.snd_una == tcb.write_seq;
        match tcb.state {
            SocketState::FinWait1 if all_acked => {
                tcb.state = SocketState::FinWait2;
                tcb.shut_send = true;
                if !tcb.orphan {
                    sock.wake(ctx, Woken::Writable);
                    return true;
                }
                let fresh = after(segment.end_seq, tcb.rcv_nxt);
                if !segment.data.is_empty() && fresh {
                    return true;
                }
                if segment.has(TcpFlags::FIN) {
                    return true;
                }
                self.tcp_time_wait(ctx, sock, SocketState::FinWait2);
                false
            }
            SocketState::Closing if all_acked => {
                self.tcp_enter_timewait(ctx, sock);
                false
            }
            SocketState::LastAck if all_acked => {
                self.tcp_done(ctx, sock);
                false
            }
            SocketState::Established
            | SocketState::SynSent
            | SocketState::SynRecv
            | SocketState::FinWait1
            | SocketState::FinWait2
            | SocketState::TimeWait
            | SocketState::Close
            | SocketState::CloseWait
            | SocketState::LastAck
            | SocketState::Listen
            | SocketState::Closing => true,
        }
    }

    /// The far end has finished (`tcp_fin`).
    pub(super) fn tcp_fin(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        tcb.rcv_nxt = tcb.rcv_nxt.wrapping_add(1);
        tcb.ack_scheduled = true;
        tcb.shut_recv = true;
        tcb.ofo.clear();
        tcb.sacks.clear();
        match tcb.state {
            SocketState::Established | SocketState::SynRecv => {
                tcb.state = SocketState::CloseWait;
                tcb.pingpong = tcb.pingpong.max(1);
            }
            SocketState::FinWait1 => {
                // Both ends closed at once.
                tcb.state = SocketState::Closing;
                self.tcp_send_ack(ctx, sock);
            }
            SocketState::FinWait2 => {
                self.tcp_send_ack(ctx, sock);
                self.tcp_enter_timewait(ctx, sock);
            }
            SocketState::SynSent
            | SocketState::TimeWait
            | SocketState::Close
            | SocketState::CloseWait
            | SocketState::LastAck
            | SocketState::Listen
            | SocketState::Closing => {}
        }
        sock.wake(ctx, Woken::Readable);
    }

    /// `tcp_time_wait` for a connection that may still be held: the process keeps what it has to read, and something
    /// that nobody holds waits in its place.
    fn tcp_enter_timewait(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        if sock.holder.is_none() {
            return self.tcp_time_wait(ctx, sock, SocketState::TimeWait);
        }
        let mut waiting = self.split_sock(sock);
        self.tcp_time_wait(ctx, &mut waiting, SocketState::TimeWait);
        let id = waiting.id;
        self.socks.put_back(waiting);
        self.record_sock(ctx, id);
        self.tcp_unhash(sock);
    }

    /// The connection is over for whoever holds it, but what was received can still be read.
    fn tcp_unhash(&mut self, sock: &mut Sock) {
        self.unhash(sock);
        let Some(tcb) = sock.tcp_mut() else { return };
        match tcb.state {
            SocketState::SynSent | SocketState::SynRecv => self.mib.inc(Mib::TcpAttemptFails),
            SocketState::Established | SocketState::CloseWait => self.mib.inc(Mib::TcpEstabResets),
            SocketState::FinWait1
            | SocketState::FinWait2
            | SocketState::TimeWait
            | SocketState::Close
            | SocketState::LastAck
            | SocketState::Listen
            | SocketState::Closing => {}
        }
        tcb.state = SocketState::Close;
        tcb.shut_recv = true;
        tcb.shut_send = true;
        (tcb.pending, tcb.delack_at, tcb.keepalive_at) = (None, None, None);
        tcb.queue.clear();
    }

    /// `tcp_done`.
    pub(super) fn tcp_done(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        self.tcp_unhash(sock);
        let held = sock.holder.is_some();
        let Some(tcb) = sock.tcp_mut() else { return };
        if !held {
            tcb.dead = true;
        }
        if held {
            sock.wake(ctx, Woken::Readable);
            sock.wake(ctx, Woken::Writable);
        }
    }

    /// Ends a connection with an error, and perhaps with a reset for the far end (`tcp_write_err`).
    pub(super) fn tcp_abort(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, error: Errno, resets: bool) {
        if resets {
            self.tcp_send_active_reset(ctx, sock);
        }
        sock.error = Some(error);
        self.tcp_done(ctx, sock);
    }

    /// `tcp_reset`.
    pub(super) fn tcp_reset_received(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        let error = match tcb.state {
            SocketState::SynSent => Errno::Econnrefused,
            SocketState::CloseWait => Errno::Epipe,
            SocketState::Close => return,
            SocketState::Established
            | SocketState::SynRecv
            | SocketState::FinWait1
            | SocketState::FinWait2
            | SocketState::TimeWait
            | SocketState::LastAck
            | SocketState::Listen
            | SocketState::Closing => Errno::Econnreset,
        };
        self.tcp_abort(ctx, sock, error, false);
    }

    /// `tcp_timewait_state_process` in TIME-WAIT.
    pub(super) fn tcp_timewait_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &mut Sock,
        segment: &Segment,
        (packet, skb): (&Ipv4, &Skb),
    ) -> Taken {
        let Some(tcb) = sock.tcp_mut() else { return Ok(()) };
        let old = tcb.paws_rejects(segment);
        let reset = segment.has(TcpFlags::RST);
        if !old && segment.seq == tcb.rcv_nxt && (segment.seq == segment.end_seq || reset) {
            if reset {
                tcb.dead = true;
                return Err(DropReason::TcpReset);
            }
            self.tcp_restart_timewait(ctx, sock);
            return Ok(());
        }
        let newer_clock = segment.timestamps.is_some_and(|(value, _)| after(value, tcb.ts_recent));
        let begins = segment.has(TcpFlags::SYN) && !reset && !segment.has(TcpFlags::ACK);
        if begins && !old && (after(segment.seq, tcb.rcv_nxt) || (tcb.ts_ok && newer_clock)) {
            let local = sock.local;
            if self.tcp_listener_for(local, skb).is_some() {
                // The new connection's numbers begin beyond all of the old one's.
                let isn = sock.tcp().map_or(0, |tcb| tcb.snd_nxt.wrapping_add(65_537));
                self.tcp_next_isn = Some(isn);
                if let Some(tcb) = sock.tcp_mut() {
                    tcb.dead = true;
                }
                return Err(DropReason::TcpClose);
            }
        }
        if !reset {
            if old || segment.has(TcpFlags::ACK) {
                self.tcp_restart_timewait(ctx, sock);
            }
            self.tcp_timewait_ack(ctx, sock, (packet, skb));
        }
        Err(if old { DropReason::TcpRfc7323Paws } else { DropReason::TcpOldData })
    }

    fn tcp_restart_timewait(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let state = SocketState::TimeWait;
        self.tcp_time_wait(ctx, sock, state);
    }

    /// The same for a connection that was closed here and waits for the far end's FIN.
    pub(super) fn tcp_orphan_finwait2(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &mut Sock,
        segment: &Segment,
        (packet, skb): (&Ipv4, &Skb),
    ) -> Taken {
        let Some(tcb) = sock.tcp_mut() else { return Ok(()) };
        let (reset, fin) = (segment.has(TcpFlags::RST), segment.has(TcpFlags::FIN));
        if tcb.paws_rejects(segment) && !reset {
            self.tcp_timewait_ack(ctx, sock, (packet, skb));
            return Err(DropReason::TcpRfc7323Paws);
        }
        if reset {
            tcb.dead = true;
            return Err(DropReason::TcpReset);
        }
        if segment.has(TcpFlags::SYN) && super::before(segment.seq, tcb.rcv_nxt) {
            tcb.dead = true;
            return Err(DropReason::TcpFlags);
        }
        let nothing_new = segment.end_seq == segment.seq || !after(segment.end_seq, tcb.rcv_nxt);
        if !segment.has(TcpFlags::ACK) || nothing_new {
            return Ok(());
        }
        // Data for a process that is gone, or a FIN not in its place: a reset.
        if !fin || segment.end_seq != tcb.rcv_nxt.wrapping_add(1) {
            tcb.dead = true;
            return Err(DropReason::TcpAbortOnData);
        }
        tcb.rcv_nxt = segment.end_seq;
        if let Some((value, _)) = segment.timestamps {
            tcb.ts_recent = value;
        }
        self.tcp_time_wait(ctx, sock, SocketState::TimeWait);
        self.tcp_timewait_ack(ctx, sock, (packet, skb));
        Ok(())
    }

    /// `close(2)` on a TCP socket (`__tcp_close`).
    pub(in crate::kernel) fn tcp_close(&mut self, ctx: &mut Ctx<'_>, socket: SocketId) {
        let children = self.with_tcp(ctx, socket, Self::tcp_do_close);
        for child in children.unwrap_or_default() {
            self.with_tcp(ctx, child, |netns, ctx, sock| {
                netns.tcp_send_active_reset(ctx, sock);
                netns.tcp_done(ctx, sock);
            });
        }
    }

    /// Gives back the connections that wait in the queue of a listening socket: nobody will accept them.
    fn tcp_do_close(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) -> Vec<SocketId> {
        let id = sock.id;
        let Some(tcb) = sock.tcp_mut() else { return Vec::new() };
        let unread = !tcb.received.is_empty();
        tcb.orphan = true;
        tcb.shut_recv = true;
        tcb.received.clear();
        match tcb.state {
            SocketState::Listen => {
                let mut children: Vec<SocketId> = tcb.accept_queue.drain(..).collect();
                self.unhash(sock);
                if let Some(tcb) = sock.tcp_mut() {
                    tcb.dead = true;
                }
                // Those whose handshake is not over are forgotten.
                let halves = self.socks.half_open(id);
                for half in &halves {
                    self.remove_sock(ctx, *half);
                }
                children.retain(|child| !halves.contains(child));
                return children;
            }
            SocketState::Close | SocketState::SynSent => {
                // Whoever gives up by himself has not failed (`tcp_close_state`).
                tcb.state = SocketState::Close;
                self.tcp_done(ctx, sock);
            }
            _ if unread => {
                // Data that nobody will read: the far end must learn of it (RFC 2525 section 2.17).
                self.tcp_send_active_reset(ctx, sock);
                self.tcp_done(ctx, sock);
            }
            SocketState::Established | SocketState::SynRecv | SocketState::CloseWait => {
                self.tcp_send_fin(ctx, sock);
            }
            SocketState::FinWait2 => self.tcp_time_wait(ctx, sock, SocketState::FinWait2),
            SocketState::FinWait1 | SocketState::TimeWait | SocketState::LastAck | SocketState::Closing => {}
        }
        Vec::new()
    }

    /// `tcp_close_state` and `tcp_send_fin`.
    pub(super) fn tcp_send_fin(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        tcb.shut_send = true;
        tcb.state =
            if tcb.state == SocketState::CloseWait { SocketState::LastAck } else { SocketState::FinWait1 };
        let unsent = tcb.send_head().is_some();
        match tcb.queue.back_mut() {
            Some(tail) if unsent => {
                tail.fin = true;
                tcb.write_seq = tcb.write_seq.wrapping_add(1);
            }
            Some(_) | None => tcb.push_back(crate::wire::Bytes::from([]), true),
        }
        self.tcp_write_xmit(ctx, sock, true);
    }

    /// `shutdown(2)` for sending.
    pub(in crate::kernel) fn tcp_shutdown(&mut self, ctx: &mut Ctx<'_>, socket: SocketId) {
        self.with_tcp(ctx, socket, |netns, ctx, sock| {
            let Some(tcb) = sock.tcp() else { return };
            if matches!(tcb.state, SocketState::Established | SocketState::SynRecv | SocketState::CloseWait) {
                netns.tcp_send_fin(ctx, sock);
            }
        });
    }
}
