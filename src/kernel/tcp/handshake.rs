//! How connections begin (`tcp_v4_connect`, `tcp_conn_request`, `tcp_check_req`, `tcp_rcv_synsent_state_process`).

use super::control::{Pending, Tcb, TxSkb};
use super::input::Taken;
use super::output::Outgoing;
use super::segment::Segment;
use super::{MAX_QUICKACKS, MSS_DEFAULT, TIMEOUT_INIT, TSTAMP_ALIGNED};
use crate::base::{Duration, SimTime, SocketId};
use crate::kernel::output::own_mtu;
use crate::kernel::sock::{Ends, Sock, SockKind, Woken};
use crate::kernel::{Ctx, Errno, Netns, Skb};
use crate::trace::{DropReason, Mib, RouteMetrics, SocketState};
use crate::wire::{Bytes, TcpFlags};
use std::net::SocketAddrV4;

/// The lowest segment size that a route's MTU is taken to give (`ip_rt_min_advmss`), and the highest.
const ADVMSS: (u32, u32) = (256, 65_495);

/// The segment size to announce: what the route says, else what its MTU gives (`ipv4_default_advmss`).
fn advmss(metrics: RouteMetrics, mtu: u32) -> u32 {
    if metrics.advmss != 0 { metrics.advmss } else { mtu.saturating_sub(40).clamp(ADVMSS.0, ADVMSS.1) }
}

impl Netns {
    /// `tcp_v4_connect`.
    pub(in crate::kernel) fn tcp_connect(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        remote: SocketAddrV4,
    ) -> Result<(), Errno> {
        let remote = if remote.ip().is_unspecified() {
            SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, remote.port())
        } else {
            remote
        };
        let sock = self.sock(socket)?;
        match sock.tcp().map(Tcb::state) {
            Some(SocketState::Close) => {}
            Some(SocketState::SynSent) => return Err(Errno::Ealready),
            Some(_) | None => return Err(Errno::Eisconn),
        }
        let found = self.sock_route(ctx, sock, remote);
        let flow = self.counted_route(found)?;
        if flow.broadcast || remote.ip().is_multicast() {
            return Err(Errno::Enetunreach);
        }
        let source = flow.src;
        let port = self.tcp_hash_connect(ctx, socket, (source, remote))?;
        let (txhash, ip_id) = (self.rng.u32(1..), self.rng.u16(..));
        let isn = self.tcp_secure_seq(ctx.now, sock_key(source, port, remote));
        let offset = self.tcp_ts_offset(source, *remote.ip());
        let device_mtu = self.link(flow.oif).map_or(flow.mtu, |link| link.mtu);
        let sock = self.sock_mut(socket)?;
        (sock.source, sock.remote, sock.txhash, sock.ip_id) = (source, Some(remote), txhash, ip_id);
        sock.local = SocketAddrV4::new(source, port);
        self.socks.connect(sock_key(source, port, remote), socket);
        self.with_tcp(ctx, socket, |netns, ctx, sock| {
            if let Some(tcb) = sock.tcp_mut() {
                tcb.begin(isn, offset);
                (tcb.state, tcb.ts_ok, tcb.sack_ok, tcb.wscale_ok) = (SocketState::SynSent, true, true, true);
                let own_mtu = own_mtu(flow.metrics, device_mtu, flow.next_hop != *remote.ip());
                tcb.advmss = advmss(flow.metrics, own_mtu);
                tcb.set_init_cwnd(flow.metrics.initcwnd);
                tcb.sync_mss(flow.mtu);
                tcb.initialize_rcv_mss();
                let mss = tcb.advmss;
                tcb.select_initial_window(mss, true);
                tcb.queue.push_back(syn(isn));
                tcb.queue[0].sent = Some(ctx.now);
                (tcb.write_seq, tcb.snd_nxt) = (isn.wrapping_add(1), isn.wrapping_add(1));
            }
            let seq = isn;
            netns.tcp_transmit(ctx, sock, &Outgoing { flags: TcpFlags::SYN, seq, data: Bytes::from([]) });
            netns.mib.inc(Mib::TcpActiveOpens);
            netns.tcp_set_pending(ctx, sock, Pending::Retransmit, TIMEOUT_INIT);
        });
        Err(Errno::Einprogress)
    }

    /// The local port of a new connection: the one bound, or one that is free for these two ends
    /// (`__inet_hash_connect`): even ports first, from a place that moves on a little with every connection.
    fn tcp_hash_connect(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        (source, remote): (std::net::Ipv4Addr, SocketAddrV4),
    ) -> Result<u16, Errno> {
        let bound = self.sock(socket)?.local.port();
        if bound != 0 {
            let key = sock_key(source, bound, remote);
            let free = !self.socks.is_connected(&key) || self.tcp_reuse_timewait(ctx, key);
            return if free { Ok(bound) } else { Err(Errno::Eaddrnotavail) };
        }
        let (low, high) = crate::kernel::sock::LOCAL_PORTS;
        let count = u32::from(high - low) + 1;
        let jump = self.rng.u32(..8) * 2;
        let start = self.socks.perturb(remote, || self.rng.u32(..)) % count;
        for parity in 0..2 {
            for step in (0..count).step_by(2) {
                let port = low + (((start & !1) + step + parity) % count) as u16;
                let key = sock_key(source, port, remote);
                if self.tcp_port_bound(port) || self.socks.is_connected(&key) {
                    continue;
                }
                self.socks.move_perturb(remote, step.max(jump) + 2);
                self.take_port(socket, port);
                return Ok(port);
            }
        }
        Err(Errno::Eaddrnotavail)
    }

    /// `tcp_twsk_unique`: over `lo` a connection may take the place of one in TIME-WAIT after a second
    /// (`net.ipv4.tcp_tw_reuse` 2).
    fn tcp_reuse_timewait(&mut self, ctx: &mut Ctx<'_>, key: (SocketAddrV4, SocketAddrV4)) -> bool {
        if !key.0.ip().is_loopback() {
            return false;
        }
        let Some(old) = self.socks.connected(&key) else { return true };
        let waits_long = self.socks.get(old).and_then(Sock::tcp).is_some_and(|tcb| {
            tcb.state == SocketState::TimeWait
                && tcb.timewait_at.is_some_and(|at| at.since(ctx.now).0 + 1_000_000_000 < 60_000_000_000)
        });
        if waits_long {
            self.remove_sock(ctx, old);
        }
        waits_long
    }

    /// `tcp_conn_request`: answers a SYN.
    pub(super) fn tcp_conn_request(
        &mut self,
        ctx: &mut Ctx<'_>,
        listener: &mut Sock,
        segment: &Segment,
        ends: Ends,
    ) -> Taken {
        let Some(listening) = listener.tcp() else { return Err(DropReason::NoSocket) };
        if listening.accept_queue.len() > usize::from(listening.backlog) {
            self.count_listen_overflow();
            return Err(DropReason::TcpListenOverflow);
        }
        let traits = listener.traits(ends.remote.port());
        let source = (Some(*ends.local.ip()), None);
        let Ok(flow) = self.ip_route_output_flow(ctx.now, *ends.remote.ip(), source, traits) else {
            self.mib.inc(Mib::IpOutNoRoutes);
            return Err(DropReason::IpOutNoRoutes);
        };
        let isn = self.tcp_next_isn.take();
        let isn = isn.unwrap_or_else(|| self.tcp_secure_seq(ctx.now, (ends.local, ends.remote)));
        let (txhash, offset) = (self.rng.u32(1..), self.tcp_ts_offset(*ends.local.ip(), *ends.remote.ip()));
        let id = self.add_sock(SockKind::Tcp(Box::default()));
        let parent = listener.id;
        let (options, local) = (listener.options.clone(), ends.local);
        let Some(sock) = self.socks.get_mut(id) else { return Err(DropReason::NoSocket) };
        (sock.options, sock.local, sock.source) = (options, local, *local.ip());
        (sock.remote, sock.txhash) = (Some(ends.remote), txhash);
        self.socks.connect((local, ends.remote), id);
        self.take_port(id, local.port());
        let now = ctx.now;
        self.with_tcp(ctx, id, |netns, ctx, sock| {
            if let Some(tcb) = sock.tcp_mut() {
                tcb.begin(isn, offset);
                tcb.accept_syn(segment, flow.metrics, flow.mtu);
                tcb.set_init_cwnd(flow.metrics.initcwnd);
                (tcb.parent, tcb.ts_recent_at) = (Some(parent), segment.timestamps.map(|_| now));
            }
            netns.tcp_send_synack(ctx, sock);
            netns.tcp_set_keepalive(ctx, sock, TIMEOUT_INIT);
        });
        Ok(())
    }

    /// `tcp_v4_send_synack`.
    pub(super) fn tcp_send_synack(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        let Some(tcb) = sock.tcp() else { return };
        let seq = tcb.snd_una;
        let flags = TcpFlags::SYN | TcpFlags::ACK;
        self.tcp_transmit(ctx, sock, &Outgoing { flags, seq, data: Bytes::from([]) });
        if let Some(tcb) = sock.tcp_mut() {
            tcb.snd_nxt = seq.wrapping_add(1);
            tcb.lsndtime = ctx.now;
        }
    }

    /// The answer to a SYN goes out again (`tcp_rtx_synack`).
    pub(super) fn tcp_rtx_synack(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        self.mib.inc(Mib::TcpRetransSegs);
        self.mib.inc(Mib::TcpExtSynRetrans);
        self.tcp_send_synack(ctx, sock);
    }

    /// A connection finds no room with who listens (`tcp_listendrop`).
    fn count_listen_overflow(&mut self) {
        self.mib.inc(Mib::TcpExtListenOverflows);
        self.mib.inc(Mib::TcpExtListenDrops);
    }

    /// A segment for a connection whose SYN was answered (`tcp_check_req`).
    pub(super) fn tcp_check_req(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, segment: &Segment) -> Taken {
        let Some(tcb) = sock.tcp_mut() else { return Ok(()) };
        let irs = tcb.rcv_nxt.wrapping_sub(1);
        let paws = tcb.paws_rejects(segment);
        let (syn, ack) = (segment.has(TcpFlags::SYN), segment.has(TcpFlags::ACK));
        let reset = segment.has(TcpFlags::RST);
        if segment.seq == irs && syn && !ack && !reset && !paws {
            // The SYN came again: so does the answer, and its timer begins anew.
            let after = Duration(TIMEOUT_INIT.0 << tcb.retransmits);
            self.tcp_rtx_synack(ctx, sock);
            self.tcp_set_keepalive(ctx, sock, after);
            return Ok(());
        }
        if ack && segment.ack != tcb.snd_una.wrapping_add(1) {
            return Err(DropReason::TcpInvalidAck);
        }
        let window_end = tcb.rcv_nxt.wrapping_add(tcb.rcv_wnd);
        if paws || super::before(segment.end_seq, tcb.rcv_nxt) || super::after(segment.seq, window_end) {
            if !reset {
                self.tcp_send_ack(ctx, sock);
            }
            return Err(DropReason::TcpInvalidSequence);
        }
        if reset || syn {
            tcb.dead = true;
            self.mib.inc(Mib::TcpAttemptFails);
            self.mib.inc(Mib::TcpExtEmbryonicRsts);
            return Err(DropReason::TcpReset);
        }
        if !ack {
            return Err(DropReason::TcpFlags);
        }
        let Some(parent) = tcb.parent else { return Err(DropReason::NoSocket) };
        let child = sock.id;
        if !self.tcp_hand_to_listener(ctx, parent, child) {
            // `listen_overflow`: the far end will send again.
            self.count_listen_overflow();
            return Err(DropReason::TcpListenOverflow);
        }
        self.tcp_established_passively(ctx, sock, segment);
        Ok(())
    }

    fn tcp_hand_to_listener(&mut self, ctx: &mut Ctx<'_>, parent: SocketId, child: SocketId) -> bool {
        let handed = self.with_tcp(ctx, parent, |_, ctx, listener| {
            let Some(tcb) = listener.tcp_mut() else { return false };
            if tcb.accept_queue.len() > usize::from(tcb.backlog) {
                return false;
            }
            tcb.accept_queue.push_back(child);
            listener.wake(ctx, Woken::Readable);
            true
        });
        handed.unwrap_or(false)
    }

    /// `tcp_v4_syn_recv_sock`, then SYN-RECEIVED in `tcp_rcv_state_process`.
    fn tcp_established_passively(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, segment: &Segment) {
        let ip_id = self.rng.u16(..);
        self.mib.inc(Mib::TcpPassiveOpens);
        // What is said next passes the word on that the far end is there (`tcp_init_metrics`).
        (sock.ip_id, sock.confirms) = (ip_id, true);
        let Some(tcb) = sock.tcp_mut() else { return };
        let answered = tcb.lsndtime;
        (tcb.state, tcb.parent, tcb.keepalive_at) = (SocketState::Established, None, None);
        tcb.snd_una = segment.ack;
        (tcb.snd_nxt, tcb.write_seq, tcb.pushed_seq, tcb.snd_sml) =
            (segment.ack, segment.ack, segment.ack, segment.ack);
        if tcb.retransmits == 0 {
            tcb.measured_rtt(ctx.now.since(answered).0 / 1000);
        }
        (tcb.retransmits, tcb.retrans_since) = (0, None);
        if tcb.ts_ok {
            tcb.advmss -= TSTAMP_ALIGNED;
            tcb.replace_ts_recent(segment, ctx.now);
        }
        tcb.copied_seq = tcb.rcv_nxt;
        tcb.snd_wnd = u32::from(segment.window) << tcb.snd_wscale;
        tcb.max_window = tcb.max_window.max(tcb.snd_wnd);
        tcb.snd_wl1 = segment.seq;
        let pmtu = tcb.pmtu;
        tcb.sync_mss(pmtu);
        tcb.init_buffer_space();
        tcb.lsndtime = ctx.now;
        tcb.initialize_rcv_mss();
        self.tcp_start_keepalive(ctx, sock);
    }

    /// `tcp_rcv_synsent_state_process`.
    pub(super) fn tcp_rcv_synsent(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock, segment: &Segment) -> Taken {
        let Some(tcb) = sock.tcp_mut() else { return Ok(()) };
        let ack = segment.has(TcpFlags::ACK);
        if ack {
            let fits = super::after(segment.ack, tcb.snd_una) && !super::after(segment.ack, tcb.snd_nxt);
            if !fits {
                return Err(DropReason::TcpInvalidAck);
            }
            if segment.has(TcpFlags::RST) {
                self.tcp_reset_received(ctx, sock);
                return Err(DropReason::TcpReset);
            }
        }
        if segment.has(TcpFlags::RST) || !segment.has(TcpFlags::SYN) {
            return Err(if segment.has(TcpFlags::RST) {
                DropReason::TcpReset
            } else {
                DropReason::TcpOldData
            });
        }
        tcb.take_peer_options(segment, ctx.now);
        if !ack {
            // Both ends sent a SYN at once.
            (tcb.rcv_nxt, tcb.copied_seq) = (segment.seq.wrapping_add(1), segment.seq.wrapping_add(1));
            tcb.rcv_wup = tcb.rcv_nxt;
            tcb.snd_wnd = u32::from(segment.window);
            (tcb.snd_wl1, tcb.max_window) = (segment.seq, tcb.snd_wnd);
            tcb.state = SocketState::SynRecv;
            self.tcp_send_synack(ctx, sock);
            return Ok(());
        }
        tcb.snd_wl1 = segment.seq;
        (tcb.rcv_nxt, tcb.rcv_wup) = (segment.seq.wrapping_add(1), segment.seq.wrapping_add(1));
        let outcome = self.tcp_ack(ctx, sock, segment);
        debug_assert!(outcome.is_ok(), "the number was looked at");
        let Some(tcb) = sock.tcp_mut() else { return Ok(()) };
        tcb.snd_wnd = u32::from(segment.window);
        tcb.max_window = tcb.snd_wnd;
        tcb.snd_wl1 = segment.seq;
        self.tcp_finish_connect(ctx, sock);
        self.tcp_send_ack(ctx, sock);
        Ok(())
    }

    /// `tcp_finish_connect`.
    fn tcp_finish_connect(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        (sock.soft_error, sock.confirms) = (None, true);
        let Some(tcb) = sock.tcp_mut() else { return };
        (tcb.snd_sml, tcb.pushed_seq) = (tcb.snd_una, tcb.snd_una);
        let pmtu = tcb.pmtu;
        tcb.sync_mss(pmtu);
        tcb.initialize_rcv_mss();
        tcb.copied_seq = tcb.rcv_nxt;
        tcb.init_buffer_space();
        tcb.lsndtime = ctx.now;
        (tcb.state, tcb.pending, tcb.retransmits, tcb.backoff) = (SocketState::Established, None, 0, 0);
        self.tcp_start_keepalive(ctx, sock);
        sock.wake(ctx, Woken::Writable);
    }

    /// With `SO_KEEPALIVE` a silent connection is looked after.
    fn tcp_start_keepalive(&mut self, ctx: &mut Ctx<'_>, sock: &mut Sock) {
        if sock.options.keep_alive {
            self.tcp_set_keepalive(ctx, sock, super::KEEPALIVE.0);
        }
    }

    /// Where the numbers of a connection begin: a secret of these two ends, moved on by a clock of 64 ns
    /// (`secure_tcp_seq`), so that a later connection's lie beyond an earlier one's.
    fn tcp_secure_seq(&self, now: SimTime, (local, remote): (SocketAddrV4, SocketAddrV4)) -> u32 {
        let ports = u64::from(local.port()) << 16 | u64::from(remote.port());
        let hash = self.keyed_hash([addr_word(*local.ip()), addr_word(*remote.ip()), ports]);
        (hash as u32).wrapping_add((now.0 >> 6) as u32)
    }

    /// What is added to the clock in timestamps, the same for all connections of two addresses (`secure_tcp_ts_off`).
    fn tcp_ts_offset(&self, local: std::net::Ipv4Addr, remote: std::net::Ipv4Addr) -> u32 {
        self.keyed_hash([addr_word(local), addr_word(remote), u64::MAX]) as u32
    }

    /// The listening socket that a packet for `local` would find.
    pub(super) fn tcp_listener_for(&self, local: SocketAddrV4, skb: &Skb) -> Option<SocketId> {
        let remote = SocketAddrV4::new(skb.frame.ipv4()?.src, 0);
        self.tcp_lookup_listener(Ends { local, remote, ifindex: crate::base::IfIndex::NONE })
    }
}

fn addr_word(addr: std::net::Ipv4Addr) -> u64 {
    u64::from(u32::from(addr))
}

fn sock_key(source: std::net::Ipv4Addr, port: u16, remote: SocketAddrV4) -> (SocketAddrV4, SocketAddrV4) {
    (SocketAddrV4::new(source, port), remote)
}

fn syn(isn: u32) -> TxSkb {
    TxSkb {
        seq: isn,
        data: Bytes::from([]),
        syn: true,
        fin: false,
        psh: false,
        sent: None,
        order: 0,
        sacked: false,
        lost: false,
        retrans: false,
        ever_retrans: false,
    }
}

impl Tcb {
    /// How much may be under way at first (`tcp_init_cwnd`).
    fn set_init_cwnd(&mut self, segments: u32) {
        if segments != 0 {
            (self.init_cwnd, self.cwnd) = (segments, segments);
        }
    }

    fn begin(&mut self, isn: u32, ts_offset: u32) {
        (self.snd_una, self.snd_nxt, self.write_seq, self.pushed_seq) = (isn, isn, isn, isn);
        (self.snd_sml, self.ts_offset) = (isn, ts_offset);
    }

    /// Takes over what a SYN says, as the side that was called (`tcp_openreq_init`, `tcp_openreq_init_rwin`).
    fn accept_syn(&mut self, segment: &Segment, metrics: RouteMetrics, mtu: u32) {
        self.state = SocketState::SynRecv;
        self.ts_ok = segment.timestamps.is_some();
        self.ts_recent = segment.timestamps.map_or(0, |(value, _)| value);
        self.sack_ok = segment.sack_permitted;
        self.wscale_ok = segment.wscale.is_some();
        self.snd_wscale = segment.wscale.unwrap_or(0);
        self.mss_clamp = segment.mss.map_or(MSS_DEFAULT, u32::from);
        self.advmss = advmss(metrics, mtu);
        (self.rcv_nxt, self.rcv_wup) = (segment.seq.wrapping_add(1), segment.seq.wrapping_add(1));
        self.copied_seq = self.rcv_nxt;
        let mss = self.advmss - if self.ts_ok { TSTAMP_ALIGNED } else { 0 };
        self.select_initial_window(mss, self.wscale_ok);
        self.snd_wnd = u32::from(segment.window);
        self.max_window = self.snd_wnd;
        self.sync_mss(mtu);
        self.increase_quickack(MAX_QUICKACKS);
        self.quick = 0;
    }

    /// Takes over what the answer to a SYN says, as the side that called.
    fn take_peer_options(&mut self, segment: &Segment, now: SimTime) {
        self.ts_ok = segment.timestamps.is_some();
        if let Some((value, _)) = segment.timestamps {
            (self.ts_recent, self.ts_recent_at) = (value, Some(now));
            self.advmss -= TSTAMP_ALIGNED;
        }
        self.sack_ok = segment.sack_permitted;
        self.wscale_ok = segment.wscale.is_some();
        self.snd_wscale = segment.wscale.unwrap_or(0);
        if !self.wscale_ok {
            self.rcv_wscale = 0;
            self.window_clamp = self.window_clamp.min(65_535);
        }
        self.mss_clamp = segment.mss.map_or(MSS_DEFAULT, u32::from);
    }
}
