//! Segments that come (`tcp_v4_rcv`, `tcp_rcv_established`, `tcp_data_queue`).

use super::control::Tcb;
use super::segment::Segment;
use super::{DELACK_MIN, MAX_QUICKACKS, after, before};
use crate::base::{Duration, IfIndex};
use crate::kernel::sock::{Ends, Sock, Woken, truesize};
use crate::kernel::{Ctx, Netns, Skb};
use crate::trace::{Disposition, DropReason, Mib, PacketType, SocketState};
use crate::wire::{Bytes, Ipv4, Tcp, TcpFlags};
use std::net::SocketAddrV4;

/// Challenge acknowledgments go at most this often (`net.ipv4.tcp_invalid_ratelimit`).
const INVALID_RATELIMIT: Duration = Duration::from_ms(500);

/// What becomes of a segment that was looked at.
pub(super) type Taken = Result<(), DropReason>;

impl Netns {
    /// `tcp_v4_rcv`.
    pub(in crate::kernel) fn tcp_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        (packet, tcp): (&Ipv4, &Tcp),
        skb: Skb,
    ) {
        let at = (self.id, ifindex);
        if kind != PacketType::Host {
            return ctx.drop(at, skb, DropReason::NoSocket);
        }
        let ends = Ends {
            local: SocketAddrV4::new(packet.dst, tcp.dst_port),
            remote: SocketAddrV4::new(packet.src, tcp.src_port),
            ifindex,
        };
        self.mib.inc(Mib::TcpInSegs);
        let segment = Segment::of(tcp);
        self.tcp_cause = Some(skb.clone());
        let socket = self.tcp_lookup(ends);
        let taken = if let Some(socket) = socket {
            self.with_tcp(ctx, socket, |netns, ctx, sock| {
                netns.tcp_do_rcv(ctx, sock, &segment, (packet, tcp), (ends, &skb))
            })
            .unwrap_or(Err(DropReason::NoSocket))
        } else {
            self.tcp_send_reset(ctx, packet, tcp, (&skb, 0));
            Err(DropReason::NoSocket)
        };
        // A SYN for a connection in TIME-WAIT may begin it anew, after that is gone (`TCP_TW_SYN`).
        let taken = match (taken, socket) {
            (Err(DropReason::TcpClose), Some(old)) if self.socks.get(old).is_none() => {
                let listener = self.tcp_lookup(ends);
                listener
                    .and_then(|socket| {
                        self.with_tcp(ctx, socket, |netns, ctx, sock| {
                            netns.tcp_conn_request(ctx, sock, &segment, ends)
                        })
                    })
                    .unwrap_or(Err(DropReason::TcpClose))
            }
            (taken, _) => taken,
        };
        self.tcp_cause = None;
        match (taken, socket) {
            (Ok(()), Some(socket)) => ctx.end(at, skb, Disposition::Delivered(socket)),
            (Ok(()), None) => ctx.end(at, skb, Disposition::Consumed),
            (Err(reason), _) => ctx.end(at, skb, Disposition::Dropped(reason)),
        };
    }

    /// `tcp_v4_do_rcv`.
    fn tcp_do_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &mut Sock,
        segment: &Segment,
        (packet, tcp): (&Ipv4, &Tcp),
        (ends, skb): (Ends, &Skb),
    ) -> Taken {
        let Some(tcb) = sock.tcp_mut() else { return Err(DropReason::NoSocket) };
        tcb.stats.segs_in += 1;
        tcb.stats.data_segs_in += u32::from(!segment.data.is_empty());
        let answer = match tcb.state {
            SocketState::Listen if segment.has(TcpFlags::RST) => Err(DropReason::TcpReset),
            SocketState::Listen if segment.has(TcpFlags::ACK) => Err(DropReason::TcpFlags),
            SocketState::Listen if segment.has(TcpFlags::SYN) && !segment.has(TcpFlags::FIN) => {
                return self.tcp_conn_request(ctx, sock, segment, ends);
            }
            SocketState::Listen => return Err(DropReason::TcpFlags),
            SocketState::SynSent => self.tcp_rcv_synsent(ctx, sock, segment),
            SocketState::SynRecv if tcb.parent.is_some() => {
                let checked = self.tcp_check_req(ctx, sock, segment);
                let more = !segment.data.is_empty() || segment.has(TcpFlags::FIN);
                if checked.is_ok() && more && sock.state() == SocketState::Established {
                    return self.tcp_rcv_synchronized(ctx, sock, segment, (packet, tcp, skb));
                }
                checked
            }
            SocketState::TimeWait => {
                return self.tcp_timewait_rcv(ctx, sock, segment, (packet, skb));
            }
            SocketState::FinWait2 if tcb.timewait_at.is_some() => {
                self.tcp_orphan_finwait2(ctx, sock, segment, (packet, skb))
            }
            SocketState::Close => Err(DropReason::TcpClose),
            SocketState::Established
            | SocketState::SynRecv
            | SocketState::FinWait1
            | SocketState::FinWait2
            | SocketState::CloseWait
            | SocketState::LastAck
            | SocketState::Closing => {
                return self.tcp_rcv_synchronized(ctx, sock, segment, (packet, tcp, skb));
            }
        };
        // These are answered with a reset.
        let resets = matches!(
            answer,
            Err(DropReason::TcpInvalidAck | DropReason::TcpFlags | DropReason::TcpAbortOnData)
        );
        if resets {
            self.tcp_send_reset(ctx, packet, tcp, (skb, sock.txhash));
        }
        answer
    }

    /// `tcp_rcv_established` and the later states of `tcp_rcv_state_process`.
    pub(super) fn tcp_rcv_synchronized(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &mut Sock,
        segment: &Segment,
        (packet, tcp, skb): (&Ipv4, &Tcp, &Skb),
    ) -> Taken {
        self.tcp_validate_incoming(ctx, sock, segment)?;
        if !segment.has(TcpFlags::ACK) {
            return Err(DropReason::TcpFlags);
        }
        let outcome = self.tcp_ack(ctx, sock, segment);
        if let Err(reason) = outcome {
            if reason == DropReason::TcpAckUnsentData {
                self.tcp_challenge_ack(ctx, sock);
            }
            return Err(reason);
        }
        if !self.tcp_state_after_ack(ctx, sock, segment) {
            return Ok(());
        }
        let Some(tcb) = sock.tcp() else { return Ok(()) };
        let beyond = after(segment.end_seq, tcb.rcv_nxt) && !segment.data.is_empty();
        if tcb.orphan && tcb.shut_recv && beyond {
            // Data for a process that is gone (`TCPABORTONDATA`).
            self.tcp_send_reset(ctx, packet, tcp, (skb, sock.txhash));
            self.tcp_done(ctx, sock);
            return Err(DropReason::TcpAbortOnData);
        }
        let taken = self.tcp_data_queue(ctx, sock, segment);
        if sock.tcp().is_some_and(|tcb| !tcb.dead && tcb.timewait_at.is_none()) {
            self.tcp_write_xmit(ctx, sock, false);
            self.tcp_ack_snd_check(ctx, sock);
        }
        taken
    }

    /// `tcp_validate_incoming`: timestamps, sequence number, RST and SYN (RFC 9293 section 3.10.7.4, RFC 5961).
    fn tcp_validate_incoming(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, segment: &Segment) -> Taken {
        let Some(tcb) = sock.tcp_mut() else { return Ok(()) };
        let reset = segment.has(TcpFlags::RST);
        if tcb.paws_rejects(segment) && !reset {
            self.tcp_send_dupack(ctx, sock, segment);
            return Err(DropReason::TcpRfc7323Paws);
        }
        if let Err(reason) = tcb.sequence_fits(segment) {
            if reset {
                return Err(reason);
            }
            if segment.has(TcpFlags::SYN) {
                self.tcp_challenge_ack(ctx, sock);
            } else {
                self.tcp_send_dupack(ctx, sock, segment);
            }
            return Err(reason);
        }
        tcb.replace_ts_recent(segment, ctx.now);
        if reset {
            if segment.seq == tcb.rcv_nxt {
                self.tcp_reset_received(ctx, sock);
            } else {
                self.tcp_challenge_ack(ctx, sock);
            }
            return Err(DropReason::TcpReset);
        }
        if segment.has(TcpFlags::SYN) {
            self.tcp_challenge_ack(ctx, sock);
            return Err(DropReason::TcpFlags);
        }
        Ok(())
    }

    /// `tcp_send_challenge_ack`.
    pub(super) fn tcp_challenge_ack(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        if tcb.last_challenge.is_some_and(|last| ctx.now.since(last) < INVALID_RATELIMIT) {
            return;
        }
        tcb.last_challenge = Some(ctx.now);
        self.tcp_send_ack(ctx, sock);
    }

    /// `tcp_send_dupack`.
    fn tcp_send_dupack(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, segment: &Segment) {
        let Some(tcb) = sock.tcp_mut() else { return };
        // `tcp_oow_rate_limited`: without data it might be part of a loop of acknowledgments.
        if segment.data.is_empty() {
            if tcb.last_oow.is_some_and(|last| ctx.now.since(last) < INVALID_RATELIMIT) {
                return;
            }
            tcb.last_oow = Some(ctx.now);
        }
        if segment.end_seq != segment.seq && before(segment.seq, tcb.rcv_nxt) {
            tcb.enter_quickack(MAX_QUICKACKS);
            if tcb.sack_ok {
                let end = if after(segment.end_seq, tcb.rcv_nxt) { tcb.rcv_nxt } else { segment.end_seq };
                tcb.dsack = Some((segment.seq, end));
            }
        }
        self.tcp_send_ack(ctx, sock);
    }

    /// `tcp_data_queue`.
    fn tcp_data_queue(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, segment: &Segment) -> Taken {
        let Some(tcb) = sock.tcp_mut() else { return Ok(()) };
        if segment.seq == segment.end_seq {
            return Ok(());
        }
        let takes =
            matches!(tcb.state, SocketState::Established | SocketState::FinWait1 | SocketState::FinWait2);
        if !takes {
            return Ok(());
        }
        tcb.dsack = None;
        let fin = segment.has(TcpFlags::FIN);
        if !after(segment.end_seq, tcb.rcv_nxt) {
            tcb.out_of_window(segment);
            return Err(DropReason::TcpOldData);
        }
        let window = tcb.receive_window();
        let beyond = !before(segment.seq, tcb.rcv_nxt.wrapping_add(window));
        let bare_fin = fin && segment.data.is_empty();
        if beyond && !bare_fin {
            tcb.out_of_window(segment);
            return Err(if window == 0 { DropReason::TcpZerowindow } else { DropReason::TcpOverwindow });
        }
        if after(segment.seq, tcb.rcv_nxt) {
            return tcb.queue_out_of_order(segment, fin);
        }
        let fresh = tcb.rcv_nxt.wrapping_sub(segment.seq) as usize;
        if fresh > 0 && tcb.sack_ok {
            tcb.dsack = Some((segment.seq, tcb.rcv_nxt));
            tcb.ack_now = true;
        }
        let data: Bytes = if fresh == 0 { segment.data.clone() } else { segment.data[fresh..].into() };
        self.tcp_take_in_order(ctx, sock, data, fin);
        Ok(())
    }

    fn tcp_take_in_order(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, data: Bytes, fin: bool) {
        let Some(tcb) = sock.tcp_mut() else { return };
        let len = data.len() as u32;
        tcb.receive(data);
        if len > 0 {
            tcb.event_data_recv(ctx, len);
        }
        let mut fin = fin;
        // What lay beyond the gap may follow now (`tcp_ofo_queue`).
        if !tcb.ofo.is_empty() {
            fin |= tcb.take_following();
            if tcb.ofo.is_empty() {
                tcb.ack_now = true;
            }
        }
        let readable = len > 0;
        if fin {
            self.tcp_fin(ctx, sock);
        }
        if readable {
            sock.wake(ctx, Woken::Readable);
        }
    }

    /// `__tcp_ack_snd_check`.
    pub(super) fn tcp_ack_snd_check(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        if !tcb.ack_scheduled && !tcb.ack_now {
            return;
        }
        let unacked = tcb.rcv_nxt.wrapping_sub(tcb.rcv_wup);
        // Also the right edge of the window must move on, or the reader will acknowledge.
        let two_full = unacked > tcb.rcv_mss && tcb.new_window() >= tcb.rcv_wnd;
        if two_full || (tcb.quick > 0 && tcb.pingpong == 0) || tcb.ack_now || !tcb.ofo.is_empty() {
            self.tcp_send_ack(ctx, sock);
        } else {
            self.tcp_send_delayed_ack(ctx, sock);
        }
    }
}

impl Tcb {
    /// An older timestamp than one seen before, within 24 days (RFC 7323 section 5).
    pub(super) fn paws_rejects(&self, segment: &Segment) -> bool {
        let Some((value, _)) = segment.timestamps.filter(|_| self.ts_ok) else { return false };
        self.ts_recent_at.is_some() && before(value, self.ts_recent)
    }

    /// `tcp_sequence`.
    fn sequence_fits(&self, segment: &Segment) -> Taken {
        if before(segment.end_seq, self.rcv_wup) {
            return Err(DropReason::TcpOldData);
        }
        if after(segment.seq, self.rcv_nxt.wrapping_add(self.receive_window())) {
            return Err(DropReason::TcpInvalidSequence);
        }
        Ok(())
    }

    /// `tcp_replace_ts_recent`.
    pub(super) fn replace_ts_recent(&mut self, segment: &Segment, now: crate::base::SimTime) {
        if let Some((value, _)) = segment.timestamps.filter(|_| self.ts_ok)
            && !after(segment.seq, self.rcv_wup)
        {
            self.ts_recent = value;
            self.ts_recent_at = Some(now);
        }
    }

    /// `tcp_enter_quickack_mode`.
    pub(super) fn enter_quickack(&mut self, most: u32) {
        self.increase_quickack(most);
        self.pingpong = 0;
        self.ato = DELACK_MIN;
    }

    fn out_of_window(&mut self, segment: &Segment) {
        if !after(segment.end_seq, self.rcv_nxt) && self.sack_ok {
            self.dsack = Some((segment.seq, segment.end_seq));
        }
        self.enter_quickack(MAX_QUICKACKS);
        self.ack_scheduled = true;
    }

    /// Puts data that is next into the receive queue (`tcp_queue_rcv`).
    fn receive(&mut self, data: Bytes) {
        let len = data.len();
        self.rcv_nxt = self.rcv_nxt.wrapping_add(len as u32);
        self.stats.bytes_received += len as u64;
        if len > 0 {
            self.rmem += truesize(len);
            self.received.push_back(data);
        }
    }

    /// `tcp_event_data_recv`: when to acknowledge, and how much more to offer.
    fn event_data_recv(&mut self, ctx: &Ctx<'_>, len: u32) {
        self.ack_scheduled = true;
        self.measure_rcv_mss(len);
        let since = ctx.now.since(self.last_received);
        if self.ato == Duration(0) {
            self.increase_quickack(MAX_QUICKACKS);
            self.ato = DELACK_MIN;
        } else if since <= Duration(DELACK_MIN.0 / 2) {
            self.ato = Duration((self.ato.0 >> 1) + DELACK_MIN.0 / 2);
        } else if since < self.ato {
            self.ato = Duration((self.ato.0 >> 1) + since.0).min(self.rto);
        } else if since > self.rto {
            self.increase_quickack(MAX_QUICKACKS);
        }
        self.last_received = ctx.now;
        if len >= 128 {
            self.grow_window(len);
        }
    }

    /// `tcp_data_queue_ofo`.
    fn queue_out_of_order(&mut self, segment: &Segment, fin: bool) -> Taken {
        self.ack_scheduled = true;
        self.ack_now = true;
        let (first, end) = (segment.seq, segment.end_seq);
        let known = self
            .ofo
            .iter()
            .any(|(seq, data, _)| !before(first, *seq) && !after(end, seq.wrapping_add(data.len() as u32)));
        if known {
            if self.sack_ok {
                self.dsack = Some((first, end));
            }
            return Err(DropReason::TcpOldData);
        }
        let at = self.ofo.iter().position(|(seq, ..)| after(*seq, first)).unwrap_or(self.ofo.len());
        self.ofo.insert(at, (first, segment.data.clone(), fin));
        self.rmem += truesize(segment.data.len());
        if self.sack_ok {
            self.sack_new(first, end);
            self.grow_window(segment.data.len() as u32);
        }
        Ok(())
    }

    /// `tcp_sack_new_ofo_skb`: the block that grew stands first; blocks that touch become one.
    fn sack_new(&mut self, mut first: u32, mut end: u32) {
        self.sacks.retain(|(start, stop)| {
            let touches = !after(*start, end) && !after(first, *stop);
            if touches {
                first = if before(*start, first) { *start } else { first };
                end = if after(*stop, end) { *stop } else { end };
            }
            !touches
        });
        self.sacks.insert(0, (first, end));
        self.sacks.truncate(4);
    }

    /// Moves what follows without a gap into the receive queue; whether a FIN was among it.
    fn take_following(&mut self) -> bool {
        let mut fin = false;
        while let Some((seq, ..)) = self.ofo.first()
            && !after(*seq, self.rcv_nxt)
        {
            let (seq, data, last) = self.ofo.remove(0);
            self.rmem -= truesize(data.len());
            let known = (self.rcv_nxt.wrapping_sub(seq) as usize).min(data.len());
            self.receive(data[known..].into());
            fin |= last;
        }
        let next = self.rcv_nxt;
        self.sacks.retain(|(_, end)| after(*end, next));
        fin
    }
}
