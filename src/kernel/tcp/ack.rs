//! What a segment acknowledges (`tcp_ack`, `tcp_clean_rtx_queue`, `tcp_sacktag_write_queue`).

use super::control::{CaState, Pending, Tcb};
use super::segment::Segment;
use super::{after, before};
use crate::base::SimTime;
use crate::kernel::sock::{Sock, Woken};
use crate::kernel::{Ctx, Netns};
use crate::trace::DropReason;

/// What an acknowledgment did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acked {
    /// Segments newly delivered, cumulatively or selectively.
    pub(super) delivered: u32,
    /// Segments newly acknowledged cumulatively.
    pub(super) segments: u32,
    /// A round trip time measured.
    rtt_us: Option<u64>,
    /// Whether SYN, data or FIN was acknowledged.
    pub(super) advanced: bool,
}

impl Tcb {
    /// `tcp_ack_update_window`: whether the send window was taken from this segment.
    fn update_window(&mut self, segment: &Segment) {
        let window = u32::from(segment.window) << self.snd_wscale;
        let newer = after(segment.ack, self.snd_una)
            || after(segment.seq, self.snd_wl1)
            || (segment.seq == self.snd_wl1 && (window > self.snd_wnd || window == 0));
        if newer {
            self.snd_wl1 = segment.seq;
            self.snd_wnd = window;
            if window > self.max_window {
                self.max_window = window;
                self.sync_mss(self.pmtu);
            }
        }
    }

    /// Marks what the blocks of a segment tell (`tcp_sacktag_write_queue`).
    fn tag_sacked(&mut self, segment: &Segment, now: SimTime, acked: &mut Acked) {
        for &(first, end) in &segment.sacks {
            // A block below the acknowledgment number tells of something received twice (RFC 2883).
            if before(first, segment.ack) || after(end, self.snd_nxt) {
                continue;
            }
            for at in 0..self.queue.len() {
                let skb = &mut self.queue[at];
                let inside = !before(skb.seq, first) && !after(skb.end_seq(), end);
                if !inside || skb.sacked || skb.sent.is_none() {
                    continue;
                }
                (skb.sacked, skb.lost) = (true, false);
                let (sent, again) = ((skb.sent, skb.order), skb.ever_retrans);
                skb.retrans = false;
                acked.delivered += 1;
                self.rack_advance(sent, again, now);
            }
        }
    }

    /// `tcp_rack_advance`.
    fn rack_advance(&mut self, (sent, order): (Option<SimTime>, u64), again: bool, now: SimTime) {
        let Some(sent) = sent else { return };
        let rtt_us = now.since(sent).0 / 1000;
        // The answer may be to the first sending, if it came sooner than any answer ever did.
        if again && rtt_us < self.min_rtt_us {
            return;
        }
        self.rack.rtt_us = rtt_us;
        if (sent, order) > (self.rack.sent, self.rack.order) {
            (self.rack.sent, self.rack.order) = (sent, order);
            self.rack.advanced = true;
        }
    }

    /// Takes out what is acknowledged (`tcp_clean_rtx_queue`).
    fn clean_rtx_queue(&mut self, segment: &Segment, now: SimTime, acked: &mut Acked) {
        let mut only_first_sent = true;
        let mut first_sent = None;
        while let Some(skb) = self.queue.front()
            && skb.sent.is_some()
            && after(segment.ack, skb.seq)
        {
            let (sent, order) = (skb.sent, skb.order);
            let (again, sacked) = (skb.ever_retrans, skb.sacked);
            acked.advanced = true;
            if before(segment.ack, skb.end_seq()) {
                self.trim_front(segment.ack);
                break;
            }
            self.stats.bytes_acked += skb.data.len() as u64;
            self.queue.pop_front();
            acked.segments += 1;
            if !sacked {
                acked.delivered += 1;
                self.rack_advance((sent, order), again, now);
                first_sent = first_sent.or(sent);
            }
            only_first_sent &= !again;
        }
        self.snd_una = segment.ack;
        // Karn: what was sent twice tells nothing, unless its timestamp comes back (`tcp_ack_update_rtt`).
        if only_first_sent {
            acked.rtt_us = first_sent.map(|sent| now.since(sent).0 / 1000);
        } else if let Some((_, echo)) = segment.timestamps.filter(|(_, echo)| *echo != 0) {
            acked.rtt_us = Some(u64::from(self.ts_now(now).wrapping_sub(echo)).max(1) * 1000);
        }
    }

    /// `tcp_trim_head`: part of a segment was acknowledged.
    fn trim_front(&mut self, ack: u32) {
        let Some(skb) = self.queue.front_mut() else { return };
        let gone = (ack.wrapping_sub(skb.seq) as usize).min(skb.data.len());
        skb.data = skb.data[gone..].into();
        skb.seq = ack;
        self.stats.bytes_acked += gone as u64;
    }
}

impl Netns {
    /// `tcp_ack`. An error is why the segment goes no further.
    pub(super) fn tcp_ack(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &mut Sock,
        segment: &Segment,
    ) -> Result<Acked, DropReason> {
        let mut acked = Acked::default();
        let Some(tcb) = sock.tcp_mut() else { return Ok(acked) };
        let prior_una = tcb.snd_una;
        if before(segment.ack, prior_una) {
            if before(segment.ack, prior_una.wrapping_sub(tcb.max_window)) {
                return Err(DropReason::TcpOldAck);
            }
            tcb.tag_sacked(segment, ctx.now, &mut acked);
            return Ok(acked);
        }
        if after(segment.ack, tcb.snd_nxt) {
            return Err(DropReason::TcpAckUnsentData);
        }
        if after(segment.ack, prior_una) {
            tcb.retransmits = 0;
        }
        tcb.probes_out = 0;
        let (prior_wnd, prior_packets, prior_flight) = (tcb.snd_wnd, tcb.packets_out(), tcb.in_flight());
        tcb.update_window(segment);
        tcb.rack.advanced = false;
        tcb.tag_sacked(segment, ctx.now, &mut acked);
        if prior_packets == 0 {
            tcb.snd_una = segment.ack;
            self.tcp_ack_probe(ctx, sock);
            return Ok(acked);
        }
        tcb.clean_rtx_queue(segment, ctx.now, &mut acked);
        if let Some(rtt) = acked.rtt_us {
            tcb.measured_rtt(rtt);
        }
        let duplicate = !acked.advanced
            && segment.data.is_empty()
            && !segment.has(crate::wire::TcpFlags::SYN | crate::wire::TcpFlags::FIN)
            && tcb.snd_wnd == prior_wnd;
        // `FLAG_FORWARD_PROGRESS`, or what says nothing new at all (`FLAG_NOT_DUP`).
        let confirms = acked.advanced || acked.delivered > 0 || duplicate;
        if tcb.tlp_high_seq.is_some_and(|high| !before(segment.ack, high)) {
            tcb.tlp_high_seq = None;
        }
        sock.confirms |= confirms;
        self.tcp_congestion(ctx, sock, (acked, duplicate, prior_flight));
        if acked.advanced {
            self.tcp_set_xmit_timer(ctx, sock);
        }
        tcp_new_space(ctx, sock);
        Ok(acked)
    }

    /// The window may have been opened (`tcp_ack_probe`).
    fn tcp_ack_probe(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp_mut() else { return };
        let Some(at) = tcb.send_head() else { return };
        let end = tcb.queue[at].end_seq();
        if !after(end, tcb.wnd_end()) {
            tcb.backoff = 0;
            if matches!(tcb.pending, Some((Pending::Probe0, _))) {
                tcb.pending = None;
            }
        } else if matches!(tcb.pending, Some((Pending::Probe0, _))) {
            self.tcp_reset_probe0(ctx, sock);
        }
    }

    /// After an acknowledgment: the timer for what is still out (`tcp_set_xmit_timer`).
    fn tcp_set_xmit_timer(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        if tcb.packets_out() == 0 {
            if let Some(tcb) = sock.tcp_mut() {
                tcb.pending = None;
            }
            return;
        }
        if matches!(tcb.pending, Some((Pending::Reorder, _))) {
            return;
        }
        if tcb.ca == CaState::Open && self.tcp_schedule_loss_probe(ctx, sock) {
            return;
        }
        self.tcp_rearm_rto(ctx, sock);
    }
}

/// `tcp_new_space`: a process that waited for room is woken once a third is free.
fn tcp_new_space(ctx: &mut Ctx<'_>, sock: &mut Sock) {
    let Some(tcb) = sock.tcp_mut() else { return };
    tcb.expand_sndbuf();
    let queued = tcb.queued_memory();
    if tcb.no_space && tcb.sndbuf.saturating_sub(queued) >= queued >> 1 {
        tcb.no_space = false;
        sock.wake(ctx, Woken::Writable);
    }
}
