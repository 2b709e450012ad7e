//! Congestion control and recovery from loss (`tcp_fastretrans_alert`, `tcp_recovery.c`, RFC 5681, RFC 6937, RFC 8985).

use super::ack::Acked;
use super::control::{CaState, Pending, Tcb};
use super::{TIMEOUT_MIN_US, after, before};
use crate::base::{Duration, SimTime};
use crate::kernel::sock::Sock;
use crate::kernel::{Ctx, Netns};

/// Duplicates that prove a loss (`net.ipv4.tcp_reordering`).
const REORDERING: u32 = 3;

impl Tcb {
    /// `tcp_reno_cong_avoid`, where the congestion window was what held the sender back.
    fn grow_cwnd(&mut self, segments: u32) {
        let slow_start = self.cwnd < self.ssthresh;
        let limited = if slow_start { self.cwnd < 2 * self.max_packets_out } else { self.cwnd_limited };
        if !limited {
            return;
        }
        if slow_start {
            self.cwnd = (self.cwnd + segments).min(self.ssthresh);
            return;
        }
        self.cwnd_cnt += segments;
        if self.cwnd_cnt >= self.cwnd {
            self.cwnd_cnt -= self.cwnd;
            self.cwnd += 1;
        }
    }

    /// `tcp_reno_ssthresh`.
    fn halved(&self) -> u32 {
        (self.cwnd >> 1).max(2)
    }

    /// `tcp_enter_recovery`.
    fn enter_recovery(&mut self) {
        (self.ca, self.high_seq) = (CaState::Recovery, self.snd_nxt);
        (self.prior_cwnd, self.prr_delivered, self.prr_out) = (self.cwnd, 0, 0);
        self.ssthresh = self.halved();
        self.tlp_high_seq = None;
    }

    /// `tcp_enter_loss`: everything not known to be there counts as lost.
    pub(super) fn enter_loss(&mut self) {
        if !matches!(self.ca, CaState::Loss | CaState::Recovery) || !after(self.high_seq, self.snd_una) {
            self.ssthresh = self.halved();
        }
        self.mark_all_lost();
        self.cwnd = self.in_flight() + 1;
        (self.cwnd_cnt, self.ca, self.high_seq) = (0, CaState::Loss, self.snd_nxt);
        self.tlp_high_seq = None;
        self.dupacks = 0;
    }

    fn mark_all_lost(&mut self) {
        for skb in self.queue.iter_mut().filter(|skb| skb.sent.is_some() && !skb.sacked) {
            (skb.lost, skb.retrans) = (true, false);
        }
    }

    /// Segments sent so long before a delivered one that they must be lost (`tcp_rack_detect_loss`). What is not yet
    /// sure is so after the duration returned.
    fn rack_detect(&mut self, now: SimTime) -> Option<Duration> {
        let certain = matches!(self.ca, CaState::Recovery | CaState::Loss) || self.sacked_out() >= REORDERING;
        let reo_wnd = if certain { 0 } else { (self.min_rtt_us >> 2).min(self.srtt_us >> 3) };
        let (rack, mut wait) = (self.rack, None);
        for skb in &mut self.queue {
            let Some(sent) = skb.sent else { break };
            let earlier = (sent, skb.order) < (rack.sent, rack.order);
            if skb.sacked || (skb.lost && !skb.retrans) || !earlier {
                continue;
            }
            let deadline = sent + Duration::from_us(rack.rtt_us + reo_wnd);
            if deadline <= now {
                (skb.lost, skb.retrans) = (true, false);
            } else {
                wait = wait.max(Some(deadline.since(now)));
            }
        }
        wait
    }

    /// Without SACK, three duplicates mean that the first segment is lost (RFC 6582).
    fn newreno_mark(&mut self, advanced: bool) {
        let proven = self.dupacks >= REORDERING || (self.ca == CaState::Recovery && advanced);
        if proven && let Some(first) = self.queue.front_mut().filter(|skb| skb.sent.is_some()) {
            first.lost |= !first.retrans;
        }
    }

    /// `tcp_identify_packet_loss`.
    fn identify_loss(&mut self, now: SimTime, advanced: bool) -> Option<Duration> {
        if self.sack_ok {
            return if self.rack.advanced { self.rack_detect(now) } else { None };
        }
        self.newreno_mark(advanced);
        None
    }

    /// `tcp_cwnd_reduction`: as many segments go as were delivered, scaled to the new threshold.
    fn reduce_cwnd(&mut self, delivered: u32, advanced: bool) {
        if delivered == 0 || self.prior_cwnd == 0 {
            return;
        }
        self.prr_delivered += delivered;
        let flight = self.in_flight();
        let room = if flight > self.ssthresh {
            let due = (self.ssthresh * self.prr_delivered).div_ceil(self.prior_cwnd);
            due.saturating_sub(self.prr_out)
        } else {
            let due = self.prr_delivered.saturating_sub(self.prr_out).max(delivered) + u32::from(advanced);
            due.min(self.ssthresh - flight)
        };
        self.cwnd = flight + room.max(u32::from(self.prr_out == 0));
    }
}

impl Netns {
    /// `tcp_fastretrans_alert`, `tcp_cong_control`, `tcp_xmit_recovery`.
    pub(super) fn tcp_congestion(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &mut Sock,
        (acked, duplicate, prior_flight): (Acked, bool, u32),
    ) {
        let Some(tcb) = sock.tcp_mut() else { return };
        if acked.advanced {
            tcb.dupacks = 0;
        } else if duplicate && tcb.packets_out() > 0 {
            tcb.dupacks += 1;
        }
        let over = !before(tcb.snd_una, tcb.high_seq);
        match tcb.ca {
            CaState::Recovery if over => {
                tcb.cwnd = tcb.ssthresh;
                tcb.ca = CaState::Open;
            }
            CaState::Loss if over => (tcb.ca, tcb.retrans_since) = (CaState::Open, None),
            CaState::Open | CaState::Disorder | CaState::Recovery | CaState::Loss => {}
        }
        let wait = tcb.identify_loss(ctx.now, acked.advanced);
        let lost = tcb.queue.iter().any(|skb| skb.lost && !skb.retrans);
        match tcb.ca {
            CaState::Open | CaState::Disorder if lost => tcb.enter_recovery(),
            CaState::Open | CaState::Disorder => {
                let disorder = tcb.sacked_out() > 0 || tcb.dupacks > 0;
                tcb.ca = if disorder { CaState::Disorder } else { CaState::Open };
            }
            CaState::Recovery | CaState::Loss => {}
        }
        match tcb.ca {
            CaState::Recovery => tcb.reduce_cwnd(acked.delivered.max(u32::from(duplicate)), acked.advanced),
            CaState::Open | CaState::Loss if acked.segments > 0 && prior_flight > 0 => {
                tcb.grow_cwnd(acked.segments);
            }
            CaState::Open | CaState::Disorder | CaState::Loss => {}
        }
        tcb.cwnd_limited = false;
        if let Some(wait) = wait {
            self.tcp_set_pending(ctx, sock, Pending::Reorder, wait + Duration::from_us(TIMEOUT_MIN_US));
        }
        self.tcp_xmit_retransmit_queue(ctx, sock);
    }

    /// The reordering timer went off (`tcp_rack_reo_timeout`).
    pub(super) fn tcp_reo_timeout(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        tcb.rack_detect(ctx.now);
        if tcb.queue.iter().any(|skb| skb.lost && !skb.retrans) {
            if matches!(tcb.ca, CaState::Open | CaState::Disorder) {
                tcb.enter_recovery();
                tcb.reduce_cwnd(1, false);
            }
            self.tcp_xmit_retransmit_queue(ctx, sock);
        }
        if sock.tcp().is_some_and(|tcb| tcb.pending.is_none() && tcb.packets_out() > 0) {
            self.tcp_rearm_rto(ctx, sock);
        }
    }

    /// Sends what is lost again, as far as the congestion window lets it (`tcp_xmit_retransmit_queue`).
    pub(super) fn tcp_xmit_retransmit_queue(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let mut any = false;
        while let Some(tcb) = sock.tcp_mut()
            && tcb.in_flight() < tcb.cwnd
            && let Some(at) = tcb.queue.iter().position(|skb| skb.lost && !skb.retrans && !skb.sacked)
        {
            // What goes to the device as one has PSH on its last segment.
            let room = tcb.cwnd - tcb.in_flight();
            let cut = tcb.queue[at].data.len() > tcb.mss as usize;
            let follows =
                tcb.queue.get(at + 1).is_some_and(|next| next.lost && !next.retrans && !next.sacked);
            let ends_burst = any && !cut && (room == 1 || !follows);
            self.tcp_retransmit(ctx, sock, at, ends_burst);
            any = true;
        }
        if any {
            self.tcp_rearm_rto(ctx, sock);
        }
    }

    /// The segment size fell: what is larger counts as lost and goes again in smaller pieces (`tcp_simple_retransmit`).
    pub(super) fn tcp_simple_retransmit(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        let mss = tcb.mss as usize;
        let mut any = false;
        for skb in tcb.queue.iter_mut().filter(|skb| skb.sent.is_some() && !skb.sacked) {
            if skb.data.len() > mss {
                (skb.lost, skb.retrans) = (true, false);
                any = true;
            }
        }
        if !any {
            return;
        }
        tcb.join_lost();
        if tcb.ca != CaState::Loss {
            (tcb.ca, tcb.high_seq) = (CaState::Loss, tcb.snd_nxt);
            tcb.ssthresh = tcb.ssthresh.min(tcb.cwnd.max(2));
        }
        self.tcp_xmit_retransmit_queue(ctx, sock);
    }
}

impl Tcb {
    /// What lies side by side and is lost becomes one stretch, as it is in the kernel, which cuts segments from stretches
    /// of up to 64 KB.
    fn join_lost(&mut self) {
        let mut at = 0;
        while at + 1 < self.queue.len() {
            let (first, next) = (&self.queue[at], &self.queue[at + 1]);
            if first.lost && next.lost && !first.syn {
                let joined = first.data.iter().chain(next.data.iter()).copied().collect();
                let (psh, fin) = (next.psh, next.fin);
                let skb = &mut self.queue[at];
                (skb.data, skb.psh, skb.fin) = (joined, psh, fin);
                self.queue.remove(at + 1);
            } else {
                at += 1;
            }
        }
    }
}
