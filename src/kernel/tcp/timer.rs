//! What a connection does by itself (`tcp_timer.c`).

use super::control::{CaState, Pending, Tcb, TcpTimer};
use super::{
    KEEPALIVE, RETRIES2, RTO_MAX, RTO_MIN_US, SYN_LINEAR_TIMEOUTS, SYN_RETRIES, SYNACK_RETRIES, TIMEOUT_INIT,
    TIMEOUT_MIN_US, TIMEWAIT_LEN,
};
use crate::base::{Duration, SimTime, SocketId};
use crate::kernel::sock::Sock;
use crate::kernel::{Ctx, Errno, Netns, Timer, Urgency, Work, timer};
use crate::trace::{Mib, SocketState};

impl Tcb {
    fn deadline(&self, which: TcpTimer) -> Option<SimTime> {
        match which {
            TcpTimer::Write => self.pending.map(|(_, at)| at),
            TcpTimer::Delack => self.delack_at,
            TcpTimer::Keepalive => self.keepalive_at,
            TcpTimer::TimeWait => self.timewait_at,
        }
    }
}

impl Netns {
    /// Has `which` go off after `after`, rounded as the kernel's timers are; gives back when.
    #[expect(clippy::unused_self, reason = "a timer is armed in a namespace, as everything else here")]
    fn tcp_arm(&self, ctx: &mut Ctx<'_>, sock: &Sock, which: TcpTimer, after: Duration) -> SimTime {
        let at = timer::expiry(ctx.now, after);
        // Somebody waits for an answer as long as a process holds the socket.
        let urgency = match which {
            TcpTimer::Write if sock.holder.is_some() && !sock.options.patient => Urgency::Now,
            TcpTimer::Write | TcpTimer::Delack => Urgency::Soon,
            TcpTimer::Keepalive | TcpTimer::TimeWait => Urgency::Background,
        };
        ctx.later(at.since(ctx.now), urgency, Work::Timer(Timer::Tcp(sock.id, which, at)));
        at
    }

    /// `tcp_reset_xmit_timer`.
    pub(super) fn tcp_set_pending(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &mut Sock,
        what: Pending,
        after: Duration,
    ) {
        let at = self.tcp_arm(ctx, sock, TcpTimer::Write, after);
        if let Some(tcb) = sock.tcp_mut() {
            tcb.pending = Some((what, at));
        }
    }

    /// `tcp_rearm_rto`.
    pub(super) fn tcp_rearm_rto(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        let Some(head) = tcb.queue.front().and_then(|skb| skb.sent) else { return };
        // What has passed since the first segment was sent counts, if another timer stood in meanwhile.
        let after = match tcb.pending {
            Some((Pending::LossProbe | Pending::Reorder, _)) => {
                Duration(tcb.rto.0.saturating_sub(ctx.now.since(head).0)).max(Duration::from_us(1))
            }
            Some((Pending::Retransmit | Pending::Probe0, _)) | None => tcb.rto,
        };
        self.tcp_set_pending(ctx, sock, Pending::Retransmit, after);
    }

    /// `tcp_schedule_loss_probe`: whether one was set.
    pub(super) fn tcp_schedule_loss_probe(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) -> bool {
        let Some(tcb) = sock.tcp() else { return false };
        let Some(head) = tcb.queue.front().and_then(|skb| skb.sent) else { return false };
        if tcb.ca != CaState::Open || !tcb.sack_ok || tcb.state == SocketState::SynSent {
            return false;
        }
        let mut after = if tcb.srtt_us == 0 {
            TIMEOUT_INIT
        } else {
            let slack = if tcb.packets_out() == 1 { RTO_MIN_US } else { TIMEOUT_MIN_US };
            Duration::from_us((tcb.srtt_us >> 2) + slack)
        };
        let left = tcb.rto.0.saturating_sub(ctx.now.since(head).0);
        if left > 0 {
            after = after.min(Duration(left));
        }
        self.tcp_set_pending(ctx, sock, Pending::LossProbe, after);
        true
    }

    /// A timer of a connection went off; one that was set anew meanwhile is not meant.
    pub(in crate::kernel) fn tcp_timer(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        which: TcpTimer,
        at: SimTime,
    ) {
        let meant =
            self.socks.get(socket).and_then(Sock::tcp).is_some_and(|tcb| tcb.deadline(which) == Some(at));
        if meant {
            self.with_tcp(ctx, socket, |netns, ctx, sock| netns.tcp_fire(ctx, sock, which));
        }
    }

    fn tcp_fire(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, which: TcpTimer) {
        let Some(tcb) = sock.tcp_mut() else { return };
        match which {
            TcpTimer::Write => match tcb.pending.take() {
                Some((Pending::Retransmit, _)) => self.tcp_retransmit_timer(ctx, sock),
                Some((Pending::LossProbe, _)) => self.tcp_send_loss_probe(ctx, sock),
                Some((Pending::Reorder, _)) => self.tcp_reo_timeout(ctx, sock),
                Some((Pending::Probe0, _)) => self.tcp_probe_timer(ctx, sock),
                None => {}
            },
            TcpTimer::Delack => self.tcp_delack_timer(ctx, sock),
            TcpTimer::Keepalive => {
                tcb.keepalive_at = None;
                self.tcp_keepalive_timer(ctx, sock);
            }
            TcpTimer::TimeWait => tcb.dead = true,
        }
    }

    /// `tcp_retransmit_timer`.
    fn tcp_retransmit_timer(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        if tcb.packets_out() == 0 {
            return;
        }
        tcb.tlp_high_seq = None;
        self.mib.inc(Mib::TcpExtTimeouts);
        let handshake = matches!(tcb.state, SocketState::SynSent | SocketState::SynRecv);
        let most = if tcb.orphan { 8 } else { RETRIES2 };
        // The linear timeouts come on top of the retries (`tcp_write_timeout`).
        let gives_up = if tcb.state == SocketState::SynSent {
            tcb.retransmits >= SYN_RETRIES + SYN_LINEAR_TIMEOUTS
        } else {
            Self::tcp_timed_out(ctx, sock, most)
        };
        if gives_up {
            let Some(tcb) = sock.tcp() else { return };
            let error = sock.soft_error.unwrap_or(Errno::Etimedout);
            let resets = !handshake && tcb.orphan;
            self.mib.inc(Mib::TcpExtAbortOnTimeout);
            return self.tcp_abort(ctx, sock, error, resets);
        }
        // A new flow hash may find another way (`sk_rethink_txhash`).
        sock.txhash = self.rng.u32(1..);
        let Some(tcb) = sock.tcp_mut() else { return };
        tcb.enter_loss();
        tcb.retransmits = tcb.retransmits.saturating_add(1);
        let linear = tcb.state == SocketState::SynSent && tcb.retransmits <= SYN_LINEAR_TIMEOUTS;
        self.tcp_retransmit(ctx, sock, 0, false);
        let Some(tcb) = sock.tcp_mut() else { return };
        if !linear {
            tcb.backoff = tcb.backoff.saturating_add(1);
            tcb.rto = Duration(tcb.rto.0 * 2).min(RTO_MAX);
        }
        let after = tcb.rto;
        self.tcp_set_pending(ctx, sock, Pending::Retransmit, after);
    }

    /// `retransmits_timed_out`: whether as much time has passed as `most` doublings of the shortest timeout take.
    fn tcp_timed_out(ctx: &Ctx<'_>, sock: &Sock, most: u8) -> bool {
        let Some(tcb) = sock.tcp() else { return false };
        if tcb.retransmits == 0 {
            return false;
        }
        let Some(since) = tcb.retrans_since else { return false };
        let min_ms = RTO_MIN_US / 1000;
        let thresh = u32::from((RTO_MAX.0 / 1_000_000 / min_ms).ilog2() as u8);
        let most = u32::from(most);
        let limit_ms = if most <= thresh {
            ((2 << most) - 1) * min_ms
        } else {
            ((2 << thresh) - 1) * min_ms + u64::from(most - thresh) * (RTO_MAX.0 / 1_000_000)
        };
        ctx.now.since(since).0 / 1_000_000 >= limit_ms
    }

    /// `tcp_send_loss_probe`: something new if there is, else the last segment again.
    fn tcp_send_loss_probe(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        if tcb.packets_out() == 0 {
            return;
        }
        if tcb.tlp_high_seq.is_none() {
            let last = tcb.packets_out() as usize - 1;
            let fresh = tcb.send_head().filter(|at| {
                let skb = &tcb.queue[*at];
                !super::after(skb.end_seq(), tcb.wnd_end())
            });
            if fresh.is_some() {
                let one_more = tcb.in_flight() + 1;
                let Some(tcb) = sock.tcp_mut() else { return };
                let cwnd = std::mem::replace(&mut tcb.cwnd, one_more);
                self.tcp_write_xmit(ctx, sock, true);
                if let Some(tcb) = sock.tcp_mut() {
                    (tcb.cwnd, tcb.pending) = (cwnd, None);
                }
            } else {
                self.tcp_retransmit(ctx, sock, last, false);
            }
            if let Some(tcb) = sock.tcp_mut() {
                tcb.tlp_high_seq = Some(tcb.snd_nxt);
            }
        }
        self.tcp_rearm_rto(ctx, sock);
    }

    /// `tcp_probe_timer`.
    fn tcp_probe_timer(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        let Some(at) = tcb.send_head() else { return };
        if tcb.packets_out() > 0 {
            return;
        }
        let most = if tcb.orphan { 8 } else { RETRIES2 };
        if tcb.probes_out >= most {
            return self.tcp_abort(ctx, sock, Errno::Etimedout, true);
        }
        tcb.probes_out += 1;
        let opened = super::before(tcb.queue[at].seq, tcb.wnd_end());
        tcb.backoff = tcb.backoff.saturating_add(1).min(RETRIES2);
        if opened {
            self.tcp_write_xmit(ctx, sock, true);
        } else {
            self.tcp_send_probe(ctx, sock);
        }
        if sock.tcp().is_some_and(|tcb| tcb.pending.is_none()) {
            self.tcp_reset_probe0(ctx, sock);
        }
    }

    /// `tcp_delack_timer_handler`.
    fn tcp_delack_timer(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        tcb.delack_at = None;
        if !tcb.ack_scheduled {
            return;
        }
        if tcb.pingpong == 0 {
            tcb.ato = Duration(tcb.ato.0 * 2).min(tcb.rto);
        } else {
            // The answer that the acknowledgment waited for did not come.
            (tcb.pingpong, tcb.ato) = (0, super::DELACK_MIN);
        }
        self.mib.inc(Mib::TcpExtDelayedAcks);
        self.tcp_send_ack(ctx, sock);
    }

    /// `tcp_send_delayed_ack`.
    pub(super) fn tcp_send_delayed_ack(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        let mut ato = tcb.ato;
        if ato > super::DELACK_MIN {
            let most =
                if tcb.pingpong > 0 || tcb.pushed > 0 { super::DELACK_MAX } else { Duration::from_ms(500) };
            let rtt = Duration::from_us((tcb.srtt_us >> 3).max(super::DELACK_MIN.0 / 1000));
            ato = ato.min(if tcb.srtt_us > 0 { most.min(rtt) } else { most });
        }
        let ato = ato.min(super::DELACK_MAX);
        tcb.ack_scheduled = true;
        // A timer already set for sooner stays.
        if tcb.delack_at.is_some_and(|at| at <= timer::expiry(ctx.now, ato)) {
            return;
        }
        let at = self.tcp_arm(ctx, sock, TcpTimer::Delack, ato);
        if let Some(tcb) = sock.tcp_mut() {
            tcb.delack_at = Some(at);
        }
    }

    /// The answer to a SYN is sent again (`reqsk_timer_handler`), an orphan waits no longer, or a silent far end is asked
    /// (`tcp_keepalive_timer`).
    fn tcp_keepalive_timer(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let keeps = sock.options.keep_alive;
        let Some(tcb) = sock.tcp_mut() else { return };
        match tcb.state {
            SocketState::SynRecv => {
                if tcb.retransmits >= SYNACK_RETRIES {
                    tcb.dead = true;
                    return;
                }
                tcb.retransmits += 1;
                let after = Duration(TIMEOUT_INIT.0 << tcb.retransmits);
                sock.txhash = self.rng.u32(1..);
                self.tcp_rtx_synack(ctx, sock);
                self.tcp_set_keepalive(ctx, sock, after);
            }
            SocketState::Established | SocketState::CloseWait if keeps => {
                let (_, interval, most) = KEEPALIVE;
                if tcb.probes_out >= most {
                    return self.tcp_abort(ctx, sock, Errno::Etimedout, true);
                }
                tcb.probes_out += 1;
                self.mib.inc(Mib::TcpExtKeepAlive);
                self.tcp_send_probe(ctx, sock);
                self.tcp_set_keepalive(ctx, sock, interval);
            }
            SocketState::Established
            | SocketState::SynSent
            | SocketState::FinWait1
            | SocketState::FinWait2
            | SocketState::TimeWait
            | SocketState::Close
            | SocketState::CloseWait
            | SocketState::LastAck
            | SocketState::Listen
            | SocketState::Closing => {}
        }
    }

    pub(super) fn tcp_set_keepalive(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, after: Duration) {
        let at = self.tcp_arm(ctx, sock, TcpTimer::Keepalive, after);
        if let Some(tcb) = sock.tcp_mut() {
            tcb.keepalive_at = Some(at);
        }
    }

    /// `tcp_time_wait`: the connection lives on only to answer what comes late.
    pub(super) fn tcp_time_wait(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, state: SocketState) {
        let at = self.tcp_arm(ctx, sock, TcpTimer::TimeWait, TIMEWAIT_LEN);
        sock.holder = None;
        let Some(tcb) = sock.tcp_mut() else { return };
        if tcb.timewait_at.is_none() {
            tcb.tw_rcv_wnd = tcb.receive_window();
        }
        tcb.state = state;
        tcb.orphan = true;
        tcb.timewait_at = Some(at);
        (tcb.pending, tcb.delack_at, tcb.keepalive_at) = (None, None, None);
        tcb.queue.clear();
        tcb.received.clear();
        tcb.ofo.clear();
    }
}
