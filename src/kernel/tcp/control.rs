//! What a connection keeps (`struct tcp_sock`, `struct inet_connection_sock`).

use super::{INIT_CWND, JIFFY, MSS_DEFAULT, RTO_MAX, RTO_MIN_US, TCP_RMEM, TCP_WMEM, TIMEOUT_INIT, after};
use crate::base::{Duration, SimTime, SocketId};
use crate::kernel::{Errno, Shutdown};
use crate::trace::{SocketState, SocketTimer, SocketTimerKind, TcpInfo};
use crate::wire::Bytes;
use std::collections::VecDeque;

/// A timer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpTimer {
    /// Retransmission, loss probe, reordering, or window probe: one at a time (`icsk_pending`).
    Write,
    /// Delayed acknowledgment.
    Delack,
    /// Keepalive, and the answer to a SYN that is sent again.
    Keepalive,
    /// End of TIME-WAIT or of an orphan's FIN-WAIT-2.
    TimeWait,
}

/// What the write timer is set for (`ICSK_TIME_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Retransmit,
    LossProbe,
    Reorder,
    Probe0,
}

/// Congestion state (`enum tcp_ca_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CaState {
    Open,
    Disorder,
    Recovery,
    Loss,
}

/// A stretch of the send queue: one segment, sent or not.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the kernel's under its own name")]
pub(super) struct TxSkb {
    pub(super) seq: u32,
    pub(super) data: Bytes,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) psh: bool,
    /// When it was last sent; `None` while it waits.
    pub(super) sent: Option<SimTime>,
    /// Its place among all sendings, for several fall into one moment here.
    pub(super) order: u64,
    pub(super) sacked: bool,
    pub(super) lost: bool,
    /// Sent again and not yet accounted for (`TCPCB_SACKED_RETRANS`).
    pub(super) retrans: bool,
    pub(super) ever_retrans: bool,
}

impl TxSkb {
    pub(super) fn end_seq(&self) -> u32 {
        self.seq.wrapping_add(self.data.len() as u32 + u32::from(self.fin) + u32::from(self.syn))
    }
}

/// RACK: when the delivered segment that was sent last was sent, and its place in that order (RFC 8985).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rack {
    pub(super) sent: SimTime,
    pub(super) order: u64,
    pub(super) rtt_us: u64,
    pub(super) advanced: bool,
}

/// A connection, or a listening socket.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the kernel's under its own name")]
pub(in crate::kernel) struct Tcb {
    pub(super) state: SocketState,
    /// To be taken out of the table.
    pub(super) dead: bool,
    /// Nobody holds it any more (`SOCK_DEAD`).
    pub(super) orphan: bool,
    pub(super) shut_recv: bool,
    pub(super) shut_send: bool,

    // Sending.
    pub(super) snd_una: u32,
    pub(super) snd_nxt: u32,
    pub(super) write_seq: u32,
    pub(super) pushed_seq: u32,
    pub(super) snd_sml: u32,
    pub(super) queue: VecDeque<TxSkb>,
    pub(super) sndbuf: usize,
    pub(super) no_space: bool,
    pub(super) snd_wnd: u32,
    pub(super) snd_wl1: u32,
    pub(super) max_window: u32,
    pub(super) snd_wscale: u8,
    pub(super) mss_clamp: u32,
    pub(super) mss: u32,
    pub(super) pmtu: u32,
    pub(super) cwnd: u32,
    /// What it begins with, also after a pause.
    pub(super) init_cwnd: u32,
    pub(super) cwnd_cnt: u32,
    pub(super) cwnd_limited: bool,
    pub(super) max_packets_out: u32,
    pub(super) ssthresh: u32,
    pub(super) ca: CaState,
    pub(super) high_seq: u32,
    pub(super) dupacks: u32,
    pub(super) prior_cwnd: u32,
    pub(super) prr_delivered: u32,
    pub(super) prr_out: u32,
    pub(super) rack: Rack,
    /// Segments of the queue sent so far, those sent again included.
    pub(super) sendings: u64,
    pub(super) tlp_high_seq: Option<u32>,
    pub(super) lsndtime: SimTime,
    /// When the last segment will have left, so that none overtakes another.
    pub(super) tx_at: SimTime,
    pub(super) srtt_us: u64,
    pub(super) mdev_us: u64,
    pub(super) mdev_max_us: u64,
    pub(super) rttvar_us: u64,
    pub(super) rtt_seq: u32,
    pub(super) min_rtt_us: u64,
    pub(super) rto: Duration,
    pub(super) backoff: u8,
    pub(super) retransmits: u8,
    pub(super) probes_out: u8,
    pub(super) retrans_since: Option<SimTime>,

    // Options.
    pub(super) ts_ok: bool,
    pub(super) sack_ok: bool,
    pub(super) wscale_ok: bool,
    pub(super) ts_offset: u32,
    pub(super) ts_recent: u32,
    pub(super) ts_recent_at: Option<SimTime>,

    // Receiving.
    pub(super) rcv_nxt: u32,
    pub(super) rcv_wup: u32,
    pub(super) rcv_wnd: u32,
    pub(super) rcv_wscale: u8,
    pub(super) copied_seq: u32,
    pub(super) window_clamp: u32,
    pub(super) rcv_ssthresh: u32,
    pub(super) rcvbuf: usize,
    pub(super) scaling_ratio: u32,
    pub(super) advmss: u32,
    pub(super) rcv_mss: u32,
    pub(super) received: VecDeque<Bytes>,
    pub(super) rmem: usize,
    /// Segments beyond a gap, in order: sequence number, data, FIN.
    pub(super) ofo: Vec<(u32, Bytes, bool)>,
    /// Blocks to report, the latest first.
    pub(super) sacks: Vec<(u32, u32)>,
    pub(super) dsack: Option<(u32, u32)>,

    // Acknowledging.
    pub(super) ack_scheduled: bool,
    pub(super) ack_now: bool,
    pub(super) ato: Duration,
    pub(super) quick: u32,
    pub(super) pingpong: u32,
    pub(super) last_seg_size: u32,
    /// Small segments since the last acknowledgment, at most 2 (`ICSK_ACK_PUSHED`).
    pub(super) pushed: u8,
    pub(super) last_received: SimTime,
    pub(super) last_challenge: Option<SimTime>,
    /// When a segment without data from outside the window was last answered.
    pub(super) last_oow: Option<SimTime>,

    // Timers: deadlines.
    pub(super) pending: Option<(Pending, SimTime)>,
    pub(super) delack_at: Option<SimTime>,
    pub(super) keepalive_at: Option<SimTime>,
    pub(super) timewait_at: Option<SimTime>,
    /// The window that acknowledgments from TIME-WAIT announce (`tw_rcv_wnd`).
    pub(super) tw_rcv_wnd: u32,

    // Listening.
    pub(super) backlog: u16,
    pub(super) accept_queue: VecDeque<SocketId>,
    /// The listening socket of a connection that is being made.
    pub(super) parent: Option<SocketId>,

    pub(super) stats: Stats,
}

/// Counters for `ss -i`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stats {
    pub(super) bytes_sent: u64,
    pub(super) bytes_retrans: u64,
    pub(super) bytes_acked: u64,
    pub(super) bytes_received: u64,
    pub(super) segs_out: u32,
    pub(super) segs_in: u32,
    pub(super) data_segs_out: u32,
    pub(super) data_segs_in: u32,
    pub(super) total_retrans: u32,
}

impl Default for Tcb {
    #[expect(clippy::too_many_lines, reason = "one line for each field")]
    fn default() -> Self {
        Self {
            state: SocketState::Close,
            dead: false,
            orphan: false,
            shut_recv: false,
            shut_send: false,
            snd_una: 0,
            snd_nxt: 0,
            write_seq: 0,
            pushed_seq: 0,
            snd_sml: 0,
            queue: VecDeque::new(),
            sndbuf: TCP_WMEM.0,
            no_space: false,
            snd_wnd: 0,
            snd_wl1: 0,
            max_window: 0,
            snd_wscale: 0,
            mss_clamp: u32::MAX,
            mss: MSS_DEFAULT,
            pmtu: 0,
            cwnd: INIT_CWND,
            init_cwnd: INIT_CWND,
            cwnd_cnt: 0,
            cwnd_limited: false,
            max_packets_out: 0,
            ssthresh: u32::MAX,
            ca: CaState::Open,
            high_seq: 0,
            dupacks: 0,
            prior_cwnd: 0,
            prr_delivered: 0,
            prr_out: 0,
            rack: Rack::default(),
            sendings: 0,
            tlp_high_seq: None,
            lsndtime: SimTime::ZERO,
            tx_at: SimTime::ZERO,
            srtt_us: 0,
            mdev_us: 1_000_000,
            mdev_max_us: 0,
            rttvar_us: 0,
            rtt_seq: 0,
            min_rtt_us: u64::MAX,
            rto: TIMEOUT_INIT,
            backoff: 0,
            retransmits: 0,
            probes_out: 0,
            retrans_since: None,
            ts_ok: false,
            sack_ok: false,
            wscale_ok: false,
            ts_offset: 0,
            ts_recent: 0,
            ts_recent_at: None,
            rcv_nxt: 0,
            rcv_wup: 0,
            rcv_wnd: 0,
            rcv_wscale: 0,
            copied_seq: 0,
            window_clamp: 0,
            rcv_ssthresh: 0,
            rcvbuf: TCP_RMEM.0,
            scaling_ratio: 128,
            advmss: 0,
            rcv_mss: 0,
            received: VecDeque::new(),
            rmem: 0,
            ofo: Vec::new(),
            sacks: Vec::new(),
            dsack: None,
            ack_scheduled: false,
            ack_now: false,
            ato: Duration(0),
            quick: 0,
            pingpong: 0,
            last_seg_size: 0,
            pushed: 0,
            last_received: SimTime::ZERO,
            last_challenge: None,
            last_oow: None,
            pending: None,
            delack_at: None,
            keepalive_at: None,
            timewait_at: None,
            tw_rcv_wnd: 0,
            backlog: 0,
            accept_queue: VecDeque::new(),
            parent: None,
            stats: Stats::default(),
        }
    }
}

impl Tcb {
    pub(in crate::kernel) fn state(&self) -> SocketState {
        self.state
    }

    pub(in crate::kernel) fn parent(&self) -> Option<SocketId> {
        self.parent
    }

    /// `shutdown(2)` as far as it is about receiving; an error where there is no connection.
    pub(in crate::kernel) fn shut(&mut self, how: Shutdown) -> Result<(), Errno> {
        if matches!(self.state, SocketState::Close | SocketState::Listen | SocketState::SynSent) {
            return Err(Errno::Enotconn);
        }
        self.shut_recv |= how != Shutdown::Write;
        Ok(())
    }

    /// Segments sent and not cumulatively acknowledged (`packets_out`).
    pub(super) fn packets_out(&self) -> u32 {
        self.queue.iter().take_while(|skb| skb.sent.is_some()).count() as u32
    }

    /// Segments believed to be on the way (`tcp_packets_in_flight`).
    pub(super) fn in_flight(&self) -> u32 {
        let sent = self.queue.iter().take_while(|skb| skb.sent.is_some());
        sent.map(|skb| u32::from(!skb.sacked && !skb.lost) + u32::from(skb.retrans)).sum()
    }

    pub(super) fn sacked_out(&self) -> u32 {
        self.queue.iter().filter(|skb| skb.sacked).count() as u32
    }

    /// Index of the first segment that was not sent yet.
    pub(super) fn send_head(&self) -> Option<usize> {
        let at = self.packets_out() as usize;
        (at < self.queue.len()).then_some(at)
    }

    /// The end of what the far end lets be sent (`tcp_wnd_end`).
    pub(super) fn wnd_end(&self) -> u32 {
        self.snd_una.wrapping_add(self.snd_wnd)
    }

    /// Length of the header of a segment in an established connection without SACK blocks.
    pub(super) fn header_len(&self) -> u32 {
        20 + if self.ts_ok { super::TSTAMP_ALIGNED } else { 0 }
    }

    /// The value of the clock that goes into timestamps (`tcp_time_stamp_ts`).
    pub(super) fn ts_now(&self, now: SimTime) -> u32 {
        ((now.0 / 1_000_000) as u32).wrapping_add(self.ts_offset)
    }

    /// Takes a round trip time into account (`tcp_rtt_estimator`, `tcp_set_rto`).
    pub(super) fn measured_rtt(&mut self, rtt_us: u64) {
        let sample = rtt_us.max(1);
        self.min_rtt_us = self.min_rtt_us.min(sample);
        if self.srtt_us == 0 {
            self.srtt_us = sample << 3;
            self.mdev_us = sample << 1;
            self.rttvar_us = self.mdev_us.max(RTO_MIN_US);
            self.mdev_max_us = self.rttvar_us;
            self.rtt_seq = self.snd_nxt;
        } else {
            self.smooth(sample);
        }
        let rto = Duration::from_us((self.srtt_us >> 3) + self.rttvar_us);
        self.rto = Duration(rto.0.div_ceil(JIFFY.0) * JIFFY.0).min(RTO_MAX);
        self.backoff = 0;
    }

    fn smooth(&mut self, sample: u64) {
        let mut error = sample as i64 - (self.srtt_us >> 3) as i64;
        self.srtt_us = self.srtt_us.saturating_add_signed(error).max(1);
        if error < 0 {
            error = -error - (self.mdev_us >> 2) as i64;
            if error > 0 {
                error >>= 3;
            }
        } else {
            error -= (self.mdev_us >> 2) as i64;
        }
        self.mdev_us = self.mdev_us.saturating_add_signed(error);
        if self.mdev_us > self.mdev_max_us {
            self.mdev_max_us = self.mdev_us;
            self.rttvar_us = self.rttvar_us.max(self.mdev_max_us);
        }
        if after(self.snd_una, self.rtt_seq) {
            if self.mdev_max_us < self.rttvar_us {
                self.rttvar_us -= (self.rttvar_us - self.mdev_max_us) >> 2;
            }
            self.rtt_seq = self.snd_nxt;
            self.mdev_max_us = RTO_MIN_US;
        }
    }

    /// What the receive and send queues hold, as `ss` shows them.
    pub(in crate::kernel) fn queues(&self) -> (u32, u32) {
        match self.state {
            SocketState::Listen => (self.accept_queue.len() as u32, u32::from(self.backlog)),
            SocketState::SynRecv | SocketState::TimeWait | SocketState::Close => (0, 0),
            SocketState::FinWait2 if self.orphan => (0, 0),
            SocketState::Established
            | SocketState::SynSent
            | SocketState::FinWait1
            | SocketState::FinWait2
            | SocketState::CloseWait
            | SocketState::LastAck
            | SocketState::Closing => {
                let unread = self.rcv_nxt.wrapping_sub(self.copied_seq);
                (unread.min(1 << 30), self.write_seq.wrapping_sub(self.snd_una))
            }
        }
    }

    /// The timer that `ss -o` shows.
    pub(in crate::kernel) fn shown_timer(&self) -> Option<SocketTimer> {
        if let Some(expires) = self.timewait_at {
            return Some(SocketTimer { kind: SocketTimerKind::TimeWait, expires, retransmits: 0 });
        }
        match (self.pending, self.keepalive_at) {
            (Some((Pending::Probe0, expires)), _) => {
                Some(SocketTimer { kind: SocketTimerKind::Persist, expires, retransmits: self.probes_out })
            }
            (Some((_, expires)), _) => {
                let kind = SocketTimerKind::Retransmit;
                Some(SocketTimer { kind, expires, retransmits: self.retransmits })
            }
            (None, Some(expires)) => {
                let on = self.state == SocketState::SynRecv;
                let kind = if on { SocketTimerKind::Retransmit } else { SocketTimerKind::KeepAlive };
                let retransmits = if on { self.retransmits } else { self.probes_out };
                Some(SocketTimer { kind, expires, retransmits })
            }
            (None, None) => None,
        }
    }

    pub(in crate::kernel) fn info(&self) -> TcpInfo {
        let ssthresh = (self.ssthresh != u32::MAX).then_some(self.ssthresh);
        TcpInfo {
            wscale: self.wscale_ok.then_some((self.snd_wscale, self.rcv_wscale)),
            timestamps: self.ts_ok,
            sack: self.sack_ok,
            rto_us: self.rto.0 / 1000,
            rtt_us: ((self.srtt_us >> 3) as u32, (self.mdev_us >> 2) as u32),
            ato_ms: (self.ato.0 / 1_000_000) as u32,
            mss: self.mss,
            pmtu: self.pmtu,
            rcv_mss: self.rcv_mss,
            advmss: self.advmss,
            cwnd: self.cwnd,
            ssthresh,
            bytes_sent: self.stats.bytes_sent,
            bytes_retrans: self.stats.bytes_retrans,
            bytes_acked: self.stats.bytes_acked,
            bytes_received: self.stats.bytes_received,
            segs_out: self.stats.segs_out,
            segs_in: self.stats.segs_in,
            data_segs_out: self.stats.data_segs_out,
            data_segs_in: self.stats.data_segs_in,
            unacked: self.packets_out(),
            retrans: (self.queue.iter().filter(|skb| skb.retrans).count() as u32, self.stats.total_retrans),
            snd_wnd: self.snd_wnd,
            rcv_ssthresh: self.rcv_ssthresh,
        }
    }
}
