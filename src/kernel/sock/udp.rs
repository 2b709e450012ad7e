//! UDP sockets (`net/ipv4/udp.c`, RFC 768, `udp(7)`).

use super::lookup::Ends;
use super::{RMEM_DEFAULT, Sock, Woken, truesize};
use crate::base::{IfIndex, Ipv4Addr, MacAddr, SocketId};
use crate::kernel::icmp::{IcmpErrno, IcmpError, icmp_err_convert};
use crate::kernel::{Ctx, Datagram, Errno, Flow, Netns, PathMtuDiscovery, Shutdown, Skb, SocketError};
use crate::trace::{Disposition, DropReason, EventKind, Mib, PacketType, Relation, Transport};
use crate::wire::{Body, Bytes, Frame, Ipv4, Payload, Quote, Udp, UdpChecksum, UdpPayload};
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// What belongs to UDP.
#[derive(Clone, Debug, Default)]
pub(in crate::kernel) struct UdpSock {
    queue: VecDeque<Datagram>,
    /// Memory that the queue takes (`sk_rmem_alloc`).
    rmem: usize,
    /// Directions that `shutdown` ended: receiving, sending.
    shut: (bool, bool),
}

impl UdpSock {
    /// What `ss` shows as queued, which is memory and not data.
    pub(super) fn queued(&self) -> u32 {
        self.rmem as u32
    }

    pub(super) fn shut(&mut self, how: Shutdown) {
        self.shut.0 |= matches!(how, Shutdown::Read | Shutdown::Both);
        self.shut.1 |= matches!(how, Shutdown::Write | Shutdown::Both);
    }
}

impl Netns {
    /// `__ip4_datagram_connect`.
    pub(super) fn udp_connect(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        remote: SocketAddrV4,
    ) -> Result<(), Errno> {
        self.autobind(socket)?;
        let sock = self.sock(socket)?;
        let remote = if remote.ip().is_unspecified() {
            SocketAddrV4::new(Ipv4Addr::LOCALHOST, remote.port())
        } else {
            remote
        };
        let found = self.sock_route(ctx, sock, remote);
        let flow = self.counted_route(found)?;
        if flow.broadcast && !self.sock(socket)?.options.broadcast {
            return Err(Errno::Eacces);
        }
        let (txhash, ip_id) = (self.rng.u32(1..), self.rng.u16(..));
        let sock = self.sock_mut(socket)?;
        if sock.source.is_unspecified() {
            sock.source = flow.src;
        }
        if sock.local.ip().is_unspecified() {
            sock.local.set_ip(flow.src);
        }
        (sock.remote, sock.txhash, sock.ip_id) = (Some(remote), txhash, ip_id);
        Ok(())
    }

    /// The way a socket's packets take to `remote`.
    pub(in crate::kernel) fn sock_route(
        &self,
        ctx: &Ctx<'_>,
        sock: &Sock,
        remote: SocketAddrV4,
    ) -> Result<Flow, Errno> {
        let source = (!sock.source.is_unspecified()).then_some(sock.source);
        let traits = sock.traits(remote.port());
        let ends = (source, sock.options.device);
        let mut flow = self.ip_route_output_flow(ctx.now, *remote.ip(), ends, traits)?;
        flow.broadcast |= remote.ip().is_broadcast();
        Ok(flow)
    }

    /// `sendto(2)`, or `send(2)` without `remote` (`udp_sendmsg`).
    pub fn socket_send_to(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        remote: Option<SocketAddrV4>,
        data: Bytes,
    ) -> Result<(), Errno> {
        if data.len() > usize::from(u16::MAX) {
            return Err(Errno::Emsgsize);
        }
        let remote = match remote {
            Some(remote) if remote.port() == 0 => return Err(Errno::Einval),
            Some(remote) => self.balance(ctx, socket, remote)?,
            None => self.sock(socket)?.remote.ok_or(Errno::Edestaddrreq)?,
        };
        let unbound = self.sock(socket)?.local.port() == 0;
        self.autobind(socket)?;
        if unbound {
            self.record_sock(ctx, socket);
        }
        let sock = self.sock(socket)?;
        let found = self.sock_route(ctx, sock, remote);
        let flow = self.counted_route(found)?;
        if flow.broadcast && !self.sock(socket)?.options.broadcast {
            return Err(Errno::Eacces);
        }
        let sock = self.sock_mut(socket)?;
        if sock.udp_mut().is_some_and(|udp| udp.shut.1) {
            return Err(Errno::Epipe);
        }
        // `sock_alloc_send_skb`: a pending error is reported by the next call, whatever it does.
        if let Some(error) = sock.error.take() {
            self.mib.inc(Mib::IpOutDiscards);
            return Err(error);
        }
        self.udp_send_skb(ctx, socket, (flow, remote), data)
    }

    fn udp_send_skb(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        (flow, remote): (Flow, SocketAddrV4),
        data: Bytes,
    ) -> Result<(), Errno> {
        let device_mtu = self.link(flow.oif).map_or(flow.mtu, |link| link.mtu);
        let sock = self.sock(socket)?;
        let discovery = sock.options.discovery;
        let (probes, refuses) = match discovery {
            PathMtuDiscovery::Dont | PathMtuDiscovery::Want => (false, false),
            PathMtuDiscovery::Do => (false, true),
            PathMtuDiscovery::Probe => (true, true),
        };
        let mtu = if probes { device_mtu } else { flow.mtu };
        // What was learnt of the path does not count for a probe on its way out either (`ip_sk_use_pmtu`).
        let flow = Flow { mtu, ..flow };
        let len = Ipv4::HEADER_LEN + Udp::HEADER_LEN + data.len();
        let fits = len <= mtu as usize;
        if len > usize::from(u16::MAX) || (refuses && !fits) {
            self.udp_local_error(ctx, socket, remote, mtu);
            return Err(Errno::Emsgsize);
        }
        let dont_fragment = discovery.dont_fragment(flow.mtu_locked) && fits;
        let (connected, process) = (sock.remote.is_some(), sock.holder.map(|(process, _)| process));
        let sender = sock.sender();
        let (txhash, local_port) = (sock.txhash, sock.local.port());
        let (tos, ttl) = (sock.options.tos, sock.options.ttl.unwrap_or(self.default_ttl(*remote.ip())));
        let udp = Udp {
            src_port: local_port,
            dst_port: remote.port(),
            checksum: UdpChecksum::Computed,
            payload: UdpPayload::of(remote.port(), data),
        };
        let packet = Ipv4 {
            tos,
            id: self.udp_ip_id(socket, connected, refuses),
            dont_fragment,
            more_fragments: false,
            fragment_offset: 0,
            ttl,
            src: flow.src,
            dst: *remote.ip(),
            options: None,
            body: Arc::new(Body::Udp(udp)),
        };
        let frame = Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet) };
        let process = process.unwrap_or(crate::base::ProcessId::NONE);
        let mut skb = ctx.fresh(Relation::Sent, process, Arc::new(frame));
        skb.hash = txhash;
        skb.nf.sender = sender;
        // The path MTU may be smaller than the device's: what is larger is cut here to the path's size.
        skb.frag_max = if fits { 0 } else { flow.mtu.min(u32::from(u16::MAX)) as u16 };
        ctx.note((self.id, flow.oif), &mut skb, EventKind::Originated);
        if let Some(errno) = self.ip_local_out(ctx, &flow, ctx.delays.output, skb) {
            return Err(errno);
        }
        self.mib.inc(Mib::UdpOutDatagrams);
        Ok(())
    }

    /// `ip_select_ident`: a connected socket counts for itself; else only what might be cut needs one.
    fn udp_ip_id(&mut self, socket: SocketId, connected: bool, never_cut: bool) -> u16 {
        if connected && let Some(sock) = self.socks.get_mut(socket) {
            sock.ip_id = sock.ip_id.wrapping_add(1);
            return sock.ip_id.wrapping_sub(1);
        }
        if never_cut { 0 } else { self.next_ip_id() }
    }

    /// `ip_local_error`.
    fn udp_local_error(&mut self, ctx: &mut Ctx<'_>, socket: SocketId, remote: SocketAddrV4, mtu: u32) {
        let Some(sock) = self.socks.get_mut(socket).filter(|sock| sock.options.receive_errors) else {
            return;
        };
        sock.errors.push_back(SocketError {
            errno: Errno::Emsgsize,
            offender: None,
            kind_and_code: None,
            mtu,
            remote,
            ttl: 0,
            at: ctx.now,
        });
    }

    /// `recvmsg(2)`: the next datagram, or the pending error.
    pub fn socket_receive_from(&mut self, ctx: &mut Ctx<'_>, socket: SocketId) -> Result<Datagram, Errno> {
        let sock = self.sock_mut(socket)?;
        if let Some(error) = sock.error.take() {
            return Err(error);
        }
        let udp = sock.udp_mut().ok_or(Errno::Eopnotsupp)?;
        let datagram = udp.queue.pop_front().ok_or(Errno::Eagain)?;
        udp.rmem -= truesize(datagram.data.len());
        // It counts when it is read (`udp_recvmsg`).
        self.mib.inc(Mib::UdpInDatagrams);
        self.record_sock(ctx, socket);
        Ok(Datagram { from: self.unbalanced(socket, datagram.from), ..datagram })
    }

    /// A datagram came (`__udp4_lib_rcv`).
    pub(in crate::kernel) fn udp_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        kind: PacketType,
        (packet, udp): (&Ipv4, &Udp),
        skb: Skb,
    ) {
        let at = (self.id, ifindex);
        let ends = Ends {
            local: SocketAddrV4::new(packet.dst, udp.dst_port),
            remote: SocketAddrV4::new(packet.src, udp.src_port),
            ifindex,
        };
        let datagram =
            || Datagram { from: ends.remote, data: udp.payload.to_bytes(), ttl: packet.ttl, at: ctx.now };
        if kind != PacketType::Host || self.is_for_many(packet.dst) {
            return self.udp_deliver_many(ctx, ends, &datagram(), skb);
        }
        if let Some(socket) = self.udp_lookup(ends) {
            let datagram = datagram();
            let taken = self.udp_queue(ctx, socket, datagram);
            ctx.end(at, skb, taken);
        } else {
            self.mib.inc(Mib::UdpNoPorts);
            self.unclaimed(ctx, ifindex, kind, IcmpError::PORT_UNREACHABLE, skb);
        }
    }

    pub(in crate::kernel) fn is_for_many(&self, dst: Ipv4Addr) -> bool {
        use crate::trace::RouteKind;
        dst.is_broadcast() || dst.is_multicast() || self.fib.lookup_local(dst) == Some(RouteKind::Broadcast)
    }

    /// Every socket on the port gets a datagram that is for many (`__udp4_lib_mcast_deliver`).
    fn udp_deliver_many(&mut self, ctx: &mut Ctx<'_>, ends: Ends, datagram: &Datagram, skb: Skb) {
        let at = (self.id, ends.ifindex);
        let all: Vec<SocketId> = self
            .on_port(Transport::Udp, ends.local.port())
            .filter(|sock| {
                let addr = *sock.local.ip();
                (addr.is_unspecified() || addr == *ends.local.ip())
                    && sock.remote.is_none_or(|remote| remote == ends.remote)
                    && sock.options.device.is_none_or(|device| device == ends.ifindex)
            })
            .map(|sock| sock.id)
            .collect();
        if all.is_empty() {
            self.mib.inc(Mib::UdpIgnoredMulti);
        }
        let mut end = Disposition::Dropped(DropReason::NoSocket);
        for socket in all {
            end = self.udp_queue(ctx, socket, datagram.clone());
        }
        ctx.end(at, skb, end);
    }

    /// `__udp_enqueue_schedule_skb`.
    fn udp_queue(&mut self, ctx: &mut Ctx<'_>, socket: SocketId, datagram: Datagram) -> Disposition {
        let Some(udp) = self.socks.get_mut(socket).and_then(Sock::udp_mut) else {
            return Disposition::Dropped(DropReason::NoSocket);
        };
        if udp.rmem > RMEM_DEFAULT {
            self.mib.inc(Mib::UdpRcvbufErrors);
            self.mib.inc(Mib::UdpInErrors);
            return Disposition::Dropped(DropReason::SocketRcvbuff);
        }
        udp.rmem += truesize(datagram.data.len());
        udp.queue.push_back(datagram);
        if let Some(sock) = self.socks.get(socket) {
            sock.wake(ctx, Woken::Readable);
        }
        self.record_sock(ctx, socket);
        Disposition::Delivered(socket)
    }

    /// An ICMP error about a datagram came (`__udp4_lib_err`): the socket it was sent from hears of it.
    pub(in crate::kernel) fn udp_err(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        error: &IcmpReport,
        quote: &Quote<'_>,
    ) -> Option<SocketId> {
        let (sport, dport) = quote.ports()?;
        let remote = SocketAddrV4::new(quote.dst, dport);
        let ends = Ends { local: SocketAddrV4::new(quote.src, sport), remote, ifindex };
        let socket = self.udp_lookup(ends)?;
        let sock = self.socks.get_mut(socket)?;
        let (errno, hard) = match error.kind_and_code {
            (3, 4) if sock.options.discovery == PathMtuDiscovery::Dont => return Some(socket),
            (3, 4) => (Errno::Emsgsize, true),
            (3, code) => {
                let IcmpErrno { errno, fatal } = icmp_err_convert(code);
                (errno, fatal)
            }
            (12, _) => (Errno::Eproto, true),
            _ => (Errno::Ehostunreach, false),
        };
        if sock.options.receive_errors {
            sock.errors.push_back(SocketError {
                errno,
                offender: Some(error.from),
                kind_and_code: Some(error.kind_and_code),
                mtu: u32::from(error.mtu),
                remote,
                ttl: error.ttl,
                at: ctx.now,
            });
        } else if !hard || sock.remote.is_none() {
            return Some(socket);
        }
        sock.error = Some(errno);
        sock.wake(ctx, Woken::Readable);
        Some(socket)
    }
}

/// An ICMP error as it came.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel) struct IcmpReport {
    /// Who sent it.
    pub(in crate::kernel) from: Ipv4Addr,
    /// TTL of the message.
    pub(in crate::kernel) ttl: u8,
    /// Type and code.
    pub(in crate::kernel) kind_and_code: (u8, u8),
    /// Next-hop MTU, with code 4.
    pub(in crate::kernel) mtu: u16,
}
