//! Segments that go (`tcp_output.c`).

use super::control::{CaState, Pending, Tcb, TxSkb};
use super::{DELACK_MIN, RTO_MAX, after, before};
use crate::base::{Duration, MacAddr, ProcessId};
use crate::kernel::rule::Traits;
use crate::kernel::sock::{Sock, truesize};
use crate::kernel::{Ctx, Flow, Netns, Sender, Skb};
use crate::trace::{EventKind, Mib, Relation};
use crate::wire::{Body, Bytes, Frame, Ipv4, Payload, Tcp, TcpFlags, TcpOption};
use std::sync::Arc;

/// What a segment is made from besides the connection.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) flags: TcpFlags,
    pub(super) seq: u32,
    pub(super) data: Bytes,
}

impl Outgoing {
    /// The last segment of several that go to the device as one asks for a push (`__tcp_transmit_skb`).
    fn push_if(&mut self, ends_burst: bool) {
        if ends_burst {
            self.flags |= TcpFlags::PSH;
        }
    }
}

impl Tcb {
    /// `tcp_sync_mss`: the segment size that a path MTU gives.
    pub(super) fn sync_mss(&mut self, pmtu: u32) {
        self.pmtu = pmtu;
        let room = pmtu.saturating_sub(40).min(self.mss_clamp).max(48);
        let mss = room.saturating_sub(self.header_len() - 20);
        let cutoff = if self.max_window > 536 { self.max_window >> 1 } else { self.max_window };
        self.mss = if cutoff > 0 && mss > cutoff { cutoff.max(68 - 20) } else { mss };
    }

    /// What SACK blocks leave of the segment size (`tcp_current_mss`).
    fn current_mss(&self) -> u32 {
        let blocks = self.sack_blocks().len() as u32;
        if blocks == 0 { self.mss } else { self.mss - (4 + 8 * blocks) }
    }

    /// The blocks to report, as many as fit (`tcp_established_options`).
    fn sack_blocks(&self) -> Vec<(u32, u32)> {
        let most = if self.ts_ok { 3 } else { 4 };
        self.dsack.iter().chain(&self.sacks).take(most).copied().collect()
    }

    /// `tcp_options_write` for an established connection.
    fn options(&self, ctx: &Ctx<'_>) -> Option<Arc<[TcpOption]>> {
        let mut options = Vec::new();
        if self.ts_ok {
            let (value, echo) = (self.ts_now(ctx.now), self.ts_recent);
            options.extend([TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { value, echo }]);
        }
        let blocks = self.sack_blocks();
        if !blocks.is_empty() {
            options.extend([TcpOption::Nop, TcpOption::Nop, TcpOption::Sack(blocks)]);
        }
        (!options.is_empty()).then(|| options.into())
    }

    /// The options of a SYN (`tcp_syn_options`) or of its answer (`tcp_synack_options`).
    fn syn_options(&self, ctx: &Ctx<'_>, mss: u32) -> Arc<[TcpOption]> {
        let mut options = vec![TcpOption::MaxSegmentSize(mss.min(65_535) as u16)];
        if self.ts_ok {
            if self.sack_ok {
                options.push(TcpOption::SackPermitted);
            } else {
                options.extend([TcpOption::Nop, TcpOption::Nop]);
            }
            options.push(TcpOption::Timestamps { value: self.ts_now(ctx.now), echo: self.ts_recent });
        } else if self.sack_ok {
            options.extend([TcpOption::Nop, TcpOption::Nop, TcpOption::SackPermitted]);
        }
        if self.wscale_ok {
            options.extend([TcpOption::Nop, TcpOption::WindowScale(self.rcv_wscale)]);
        }
        options.into()
    }

    /// Enters data into the send queue, behind what is not sent yet, and gives back how much fitted
    /// (`tcp_sendmsg_locked`).
    pub(super) fn enqueue(&mut self, mut data: &[u8]) -> usize {
        let (whole, mss) = (data.len(), self.current_mss() as usize);
        while !data.is_empty() {
            let full = self.queued_memory() >= self.sndbuf;
            let unsent = self.send_head().is_some();
            match self.queue.back_mut() {
                Some(tail) if unsent && tail.data.len() < mss && !tail.fin && !tail.syn => {
                    let take = data.len().min(mss - tail.data.len());
                    tail.data = tail.data.iter().chain(&data[..take]).copied().collect();
                    tail.psh = false;
                    self.write_seq = self.write_seq.wrapping_add(take as u32);
                    data = &data[take..];
                }
                Some(_) | None if full => break,
                Some(_) | None => {
                    let take = data.len().min(mss);
                    self.push_back(data[..take].into(), false);
                    data = &data[take..];
                }
            }
            if after(self.write_seq, self.pushed_seq.wrapping_add(self.max_window >> 1)) {
                self.mark_push();
            }
        }
        whole - data.len()
    }

    pub(super) fn push_back(&mut self, data: Bytes, fin: bool) {
        let seq = self.write_seq;
        let skb = TxSkb {
            seq,
            data,
            syn: false,
            fin,
            psh: false,
            sent: None,
            order: 0,
            sacked: false,
            lost: false,
            retrans: false,
            ever_retrans: false,
        };
        self.write_seq = skb.end_seq();
        self.queue.push_back(skb);
    }

    /// `tcp_mark_push`.
    pub(super) fn mark_push(&mut self) {
        if let Some(tail) = self.queue.back_mut() {
            tail.psh = true;
        }
        self.pushed_seq = self.write_seq;
    }

    /// Memory that the send queue takes (`sk_wmem_queued`).
    pub(super) fn queued_memory(&self) -> usize {
        self.queue.iter().map(|skb| truesize(skb.data.len())).sum()
    }

    /// Whether a short segment has to wait until what is out is acknowledged (Nagle with Minshall's change).
    fn nagle_waits(&self, skb: &TxSkb, no_delay: bool) -> bool {
        let partial = (skb.data.len() as u32) < self.current_mss();
        let small_out = after(self.snd_sml, self.snd_una) && !after(self.snd_sml, self.snd_nxt);
        partial && !skb.fin && !no_delay && self.packets_out() > 0 && small_out
    }

    /// Whether the segment at `at` lies in the far end's window. A FIN needs no room there (`tcp_snd_wnd_test` looks at
    /// data).
    fn fits_window(&self, at: usize) -> bool {
        let skb = &self.queue[at];
        !after(skb.seq.wrapping_add(skb.data.len() as u32), self.wnd_end())
    }

    /// Whether the segment at `at` may go now; it is cut to the segment size before.
    fn may_go(&mut self, at: usize, no_delay: bool) -> bool {
        let mss = self.current_mss() as usize;
        split(&mut self.queue, at, mss);
        self.fits_window(at) && !self.nagle_waits(&self.queue[at], no_delay)
    }

    /// Cuts the segment at `at` to what is left of the window behind the full segments before it
    /// (`tcp_mss_split_point`); whether that may go.
    fn fill_window(&mut self, at: usize, no_delay: bool) -> bool {
        let seq = self.queue[at].seq;
        if !after(self.wnd_end(), seq) || self.fits_window(at) {
            return false;
        }
        let room = self.wnd_end().wrapping_sub(seq);
        split(&mut self.queue, at, room as usize);
        !self.nagle_waits(&self.queue[at], no_delay)
    }

    /// A connection that was idle begins slowly again (`tcp_cwnd_restart`).
    fn restart_after_idle(&mut self, ctx: &Ctx<'_>) {
        if self.packets_out() > 0 || self.srtt_us == 0 {
            return;
        }
        let mut idle = ctx.now.since(self.lsndtime);
        let floor = self.cwnd.min(self.init_cwnd);
        while idle > self.rto && self.cwnd > floor {
            idle = Duration(idle.0 - self.rto.0);
            self.cwnd >>= 1;
        }
        self.cwnd = self.cwnd.max(floor);
    }
}

impl Netns {
    /// Sends what window and congestion window let be sent (`tcp_write_xmit`). `all` ends Nagle's waiting, as for a FIN.
    pub(super) fn tcp_write_xmit(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, all: bool) {
        let no_delay = sock.options.no_delay || all;
        let Some(tcb) = sock.tcp_mut() else { return };
        tcb.restart_after_idle(ctx);
        let mut sent = false;
        while let Some(tcb) = sock.tcp_mut()
            && tcb.send_head().is_some()
        {
            // `tcp_cwnd_test`: half the window at a time, so that at least two bursts are under way.
            let room = tcb.cwnd.saturating_sub(tcb.in_flight());
            if room == 0 {
                tcb.cwnd_limited = true;
                break;
            }
            let most = room.min((tcb.cwnd >> 1).max(1)).min((65_535 / tcb.mss).max(1));
            let burst = self.tcp_send_burst(ctx, sock, most, no_delay);
            sent |= burst > 0;
            if burst < most {
                break;
            }
        }
        let Some(tcb) = sock.tcp_mut() else { return };
        if sent {
            tcb.max_packets_out = tcb.packets_out();
            if tcb.ca == CaState::Recovery {
                tcb.prr_out += 1;
            }
            self.tcp_schedule_loss_probe(ctx, sock);
        } else if tcb.packets_out() == 0 && tcb.send_head().is_some() && tcb.pending.is_none() {
            // `tcp_check_probe_timer`.
            self.tcp_reset_probe0(ctx, sock);
        }
    }

    /// Sends at most `most` segments that the window lets through, as the kernel hands them to the device as one: PSH
    /// then stands on the last. Gives back how many went.
    fn tcp_send_burst(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, most: u32, no_delay: bool) -> u32 {
        let mut sent = 0;
        while sent < most
            && let Some(tcb) = sock.tcp_mut()
            && let Some(at) = tcb.send_head()
            && (tcb.may_go(at, no_delay) || (sent > 0 && tcb.fill_window(at, no_delay)))
        {
            let more =
                sent + 1 < most && at + 1 < tcb.queue.len() && after(tcb.wnd_end(), tcb.queue[at + 1].seq);
            self.tcp_send_new(ctx, sock, at, sent > 0 && !more);
            sent += 1;
        }
        sent
    }

    /// Sends the segment at `at` of the queue for the first time (`tcp_event_new_data_sent`).
    fn tcp_send_new(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, at: usize, ends_burst: bool) {
        let Some(tcb) = sock.tcp_mut() else { return };
        let (now, mss) = (ctx.now, tcb.current_mss());
        tcb.sendings += 1;
        let skb = &mut tcb.queue[at];
        (skb.sent, skb.order) = (Some(now), tcb.sendings);
        let end = skb.end_seq();
        if (skb.data.len() as u32) < mss {
            tcb.snd_sml = end;
        }
        tcb.snd_nxt = end;
        let mut out = outgoing(&tcb.queue[at]);
        out.push_if(ends_burst);
        let first = at == 0;
        self.tcp_transmit(ctx, sock, &out);
        if first && !matches!(sock.tcp().and_then(|tcb| tcb.pending), Some((Pending::LossProbe, _))) {
            self.tcp_rearm_rto(ctx, sock);
        }
    }

    /// Sends a segment of the queue again (`__tcp_retransmit_skb`).
    pub(super) fn tcp_retransmit(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, at: usize, ends_burst: bool) {
        let Some(remote) = sock.remote else { return };
        let (source, local_port) = (sock.source, sock.local.port());
        let Some(tcb) = sock.tcp_mut() else { return };
        let now = ctx.now;
        // What still waits here for the address of its next hop is not sent twice (`skb_still_in_host_queue`).
        let ends = ((source, local_port), (*remote.ip(), remote.port()));
        if tcb.queue.get(at).is_some_and(|skb| self.neigh_holds(ends, skb.seq)) {
            tcb.retrans_since.get_or_insert(now);
            return;
        }
        let mss = tcb.current_mss() as usize;
        split(&mut tcb.queue, at, mss);
        tcb.sendings += 1;
        let skb = &mut tcb.queue[at];
        (skb.sent, skb.order, skb.retrans, skb.ever_retrans) = (Some(now), tcb.sendings, true, true);
        let mut out = outgoing(skb);
        out.push_if(ends_burst);
        tcb.stats.total_retrans += 1;
        tcb.stats.bytes_retrans += out.data.len() as u64;
        tcb.retrans_since.get_or_insert(now);
        if tcb.ca == CaState::Recovery {
            tcb.prr_out += 1;
        }
        let is_syn = out.flags.contains(TcpFlags::SYN);
        self.mib.inc(Mib::TcpRetransSegs);
        self.mib.add(Mib::TcpExtSynRetrans, u64::from(is_syn));
        self.tcp_transmit_skb(ctx, sock, &out);
    }

    /// `tcp_send_ack`.
    pub(super) fn tcp_send_ack(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        let seq = tcb.acceptable_seq();
        self.tcp_transmit(ctx, sock, &Outgoing { flags: TcpFlags::ACK, seq, data: Bytes::from([]) });
    }

    /// Asks whether the window is open again or the far end still there (`tcp_xmit_probe_skb`).
    pub(super) fn tcp_send_probe(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        let seq = tcb.snd_una.wrapping_sub(1);
        self.tcp_transmit(ctx, sock, &Outgoing { flags: TcpFlags::ACK, seq, data: Bytes::from([]) });
    }

    /// Resets a connection of our own (`tcp_send_active_reset`).
    pub(super) fn tcp_send_active_reset(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        let (flags, seq) = (TcpFlags::RST | TcpFlags::ACK, tcb.acceptable_seq());
        self.mib.inc(Mib::TcpOutRsts);
        self.tcp_transmit(ctx, sock, &Outgoing { flags, seq, data: Bytes::from([]) });
    }

    /// Sends a segment for the first time.
    pub(super) fn tcp_transmit(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, out: &Outgoing) {
        self.mib.inc(Mib::TcpOutSegs);
        self.tcp_transmit_skb(ctx, sock, out);
    }

    /// `__tcp_transmit_skb`: header, options, and off to IP. What is sent again is counted by itself.
    fn tcp_transmit_skb(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, out: &Outgoing) {
        let Some(remote) = sock.remote else { return };
        let (local_port, source) = (sock.local.port(), sock.source);
        let flow = self.sock_route(ctx, sock, remote);
        let mtu_locked = flow.is_ok_and(|flow| flow.mtu_locked);
        let syn = out.flags.contains(TcpFlags::SYN);
        // The answer to a SYN is never cut: it is no longer than what any network carries (`ip_build_and_send_pkt`).
        let is_answer = syn && out.flags.contains(TcpFlags::ACK);
        let dont_fragment = is_answer || sock.options.discovery.dont_fragment(mtu_locked);
        let Some(tcb) = sock.tcp_mut() else { return };
        let (options, window) = if syn {
            (Some(tcb.syn_options(ctx, tcb.advmss)), tcb.rcv_wnd.min(65_535) as u16)
        } else {
            let options = tcb.options(ctx);
            (options, tcb.select_window())
        };
        let flags = out.flags;
        tcb.segment_leaves(ctx, out);
        let tcp = Tcp {
            src_port: local_port,
            dst_port: remote.port(),
            seq: out.seq,
            ack: if flags.contains(TcpFlags::ACK) { tcb.rcv_nxt } else { 0 },
            flags,
            window,
            urgent: 0,
            options,
            data: out.data.clone(),
        };
        // The answer to a SYN is sent before there is a connection, whose packets are counted.
        let id = if is_answer {
            0
        } else {
            sock.ip_id = sock.ip_id.wrapping_add(1);
            sock.ip_id.wrapping_sub(1)
        };
        let (tos, ttl) = (sock.options.tos, sock.options.ttl.unwrap_or(self.sysctl.ip_default_ttl));
        let packet = Ipv4 {
            tos,
            id,
            dont_fragment,
            more_fragments: false,
            fragment_offset: 0,
            ttl,
            src: source,
            dst: *remote.ip(),
            options: None,
            body: Arc::new(Body::Tcp(tcp)),
        };
        // Without a route the segment is not sent, and a timer will try again.
        match flow {
            Ok(flow) => self.tcp_queue_xmit(ctx, sock, &flow, packet),
            Err(_) => self.mib.inc(Mib::IpOutNoRoutes),
        }
    }

    /// `__ip_queue_xmit`.
    fn tcp_queue_xmit(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, flow: &Flow, packet: Ipv4) {
        let process = sock.holder.map_or(ProcessId::NONE, |(process, _)| process);
        let frame = Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet) };
        let mut skb = match &self.tcp_cause {
            Some(cause) => ctx.child(&cause.clone(), Relation::Reply, Arc::new(frame)),
            None => ctx.fresh(Relation::Sent, process, Arc::new(frame)),
        };
        skb.hash = sock.txhash;
        skb.confirms = std::mem::take(&mut sock.confirms);
        skb.nf.sender = sock.sender();
        ctx.note((self.id, flow.oif), &mut skb, EventKind::Originated);
        let after =
            if self.tcp_cause.is_some() { ctx.delays.input + super::TCP_INPUT } else { ctx.delays.output };
        let Some(tcb) = sock.tcp_mut() else { return };
        tcb.tx_at = tcb.tx_at.max(ctx.now + after);
        let after = tcb.tx_at.since(ctx.now);
        self.ip_local_out(ctx, flow, after, skb);
    }

    /// Answers a segment that fits no connection (`tcp_v4_send_reset`), with the flow hash of the socket, if there is one.
    pub(super) fn tcp_send_reset(
        &mut self,
        ctx: &mut Ctx<'_>,
        packet: &Ipv4,
        tcp: &Tcp,
        (about, hash): (&Skb, u32),
    ) {
        if tcp.flags.contains(TcpFlags::RST) {
            return;
        }
        self.mib.inc(Mib::TcpOutRsts);
        let (seq, ack, flags) = if tcp.flags.contains(TcpFlags::ACK) {
            (tcp.ack, 0, TcpFlags::RST)
        } else {
            (0, tcp.seq.wrapping_add(tcp.seq_len()), TcpFlags::RST | TcpFlags::ACK)
        };
        let answer = Tcp {
            src_port: tcp.dst_port,
            dst_port: tcp.src_port,
            seq,
            ack,
            flags,
            window: 0,
            urgent: 0,
            options: None,
            data: Bytes::from([]),
        };
        self.tcp_send_unicast_reply(ctx, packet, answer, (about, hash));
    }

    /// `ip_send_unicast_reply`: back to where a packet came from, without a connection's help.
    fn tcp_send_unicast_reply(
        &mut self,
        ctx: &mut Ctx<'_>,
        to: &Ipv4,
        answer: Tcp,
        (about, hash): (&Skb, u32),
    ) {
        self.mib.inc(Mib::TcpOutSegs);
        let ports = (answer.src_port, answer.dst_port);
        let traits = Traits { tos: to.tos, protocol: 6, ports, ..Traits::default() };
        let source = (Some(to.dst), None);
        let Ok(flow) = self.ip_route_output_flow(ctx.now, to.src, source, traits) else { return };
        let packet = Ipv4 {
            tos: to.tos,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: self.sysctl.ip_default_ttl,
            src: to.dst,
            dst: to.src,
            options: None,
            body: Arc::new(Body::Tcp(answer)),
        };
        let frame = Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet) };
        let mut skb = ctx.child(about, Relation::Reply, Arc::new(frame));
        skb.hash = hash;
        skb.nf.sender = Sender::Kernel;
        ctx.note((self.id, flow.oif), &mut skb, EventKind::Originated);
        self.ip_local_out(ctx, &flow, ctx.delays.input + super::TCP_INPUT, skb);
    }

    /// Acknowledges from TIME-WAIT (`tcp_v4_timewait_ack`).
    pub(super) fn tcp_timewait_ack(
        &mut self,
        ctx: &mut Ctx<'_>,
        sock: &Sock,
        (packet, about): (&Ipv4, &Skb),
    ) {
        let (Some(remote), Some(tcb)) = (sock.remote, sock.tcp()) else { return };
        let timestamps = TcpOption::Timestamps { value: tcb.ts_now(ctx.now), echo: tcb.ts_recent };
        let answer = Tcp {
            src_port: sock.local.port(),
            dst_port: remote.port(),
            seq: tcb.snd_nxt,
            ack: tcb.rcv_nxt,
            flags: TcpFlags::ACK,
            window: (tcb.tw_rcv_wnd >> tcb.rcv_wscale).min(65_535) as u16,
            urgent: 0,
            options: tcb.ts_ok.then(|| [TcpOption::Nop, TcpOption::Nop, timestamps].into()),
            data: Bytes::from([]),
        };
        self.tcp_send_unicast_reply(ctx, packet, answer, (about, sock.txhash));
    }

    /// `tcp_reset_xmit_timer` for a window probe.
    pub(super) fn tcp_reset_probe0(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        let base = tcb.rto.max(Duration::from_us(super::RTO_MIN_US));
        let after = Duration(base.0.saturating_mul(1 << tcb.backoff.min(20))).min(RTO_MAX);
        self.tcp_set_pending(ctx, sock, Pending::Probe0, after);
    }
}

impl Tcb {
    /// `tcp_acceptable_seq`: never beyond the far end's window.
    fn acceptable_seq(&self) -> u32 {
        if before(self.wnd_end(), self.snd_nxt) && self.snd_wnd > 0 { self.wnd_end() } else { self.snd_nxt }
    }

    /// `tcp_event_ack_sent`, `tcp_event_data_sent`, and counting.
    fn segment_leaves(&mut self, ctx: &Ctx<'_>, out: &Outgoing) {
        self.stats.segs_out += 1;
        if !out.data.is_empty() {
            self.stats.data_segs_out += 1;
            self.stats.bytes_sent += out.data.len() as u64;
            self.lsndtime = ctx.now;
            // An answer within the acknowledgment's delay: the conversation goes to and fro.
            if ctx.now.since(self.last_received) < self.ato {
                self.pingpong = (self.pingpong + 1).min(255);
            }
        }
        if out.flags.contains(TcpFlags::ACK) {
            self.dsack = None;
            if self.quick > 0 && self.ack_scheduled {
                self.quick -= 1;
                if self.quick == 0 {
                    self.ato = DELACK_MIN;
                }
            }
            (self.ack_scheduled, self.ack_now, self.pushed) = (false, false, 0);
            self.delack_at = None;
        }
    }
}

fn outgoing(skb: &TxSkb) -> Outgoing {
    let mut flags = if skb.syn { TcpFlags::SYN } else { TcpFlags::ACK };
    if skb.fin {
        flags |= TcpFlags::FIN;
    }
    if skb.psh {
        flags |= TcpFlags::PSH;
    }
    Outgoing { flags, seq: skb.seq, data: skb.data.clone() }
}

/// Cuts a segment that has become too long in two (`tcp_fragment`).
fn split(queue: &mut std::collections::VecDeque<TxSkb>, at: usize, mss: usize) {
    let skb = &mut queue[at];
    if skb.data.len() <= mss {
        return;
    }
    let mut rest = skb.clone();
    rest.seq = skb.seq.wrapping_add(mss as u32);
    rest.data = skb.data[mss..].into();
    skb.data = skb.data[..mss].into();
    (skb.psh, skb.fin) = (false, false);
    queue.insert(at + 1, rest);
}
