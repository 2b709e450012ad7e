//! ICMP ping sockets (`net/ipv4/ping.c`, `icmp(7)`). The identifier of a request is the socket's number, which the
//! kernel draws; replies and errors find their socket by it.

use super::fib::LOCAL;
use super::icmp::Quoted;
use super::rule::Traits;
use super::sock::{AddrType, IcmpReport};
use super::{Ctx, Errno, Netns, PathMtuDiscovery, PingMessage, PingSocket, Sender, Skb, User};
use crate::base::{IfIndex, Ipv4Addr, MacAddr, ProcessId, SimTime, SocketId};
use crate::trace::{Disposition, DropReason, EventKind, Relation};
use crate::wire::{Body, Bytes, Frame, Icmp, Ipv4, Payload};
use std::collections::VecDeque;
use std::sync::Arc;

/// A ping socket.
#[derive(Clone, Debug)]
pub(super) struct PingSock {
    pub(super) process: ProcessId,
    user: User,
    ident: u16,
    options: PingSocket,
    device: Option<IfIndex>,
    queue: VecDeque<PingMessage>,
}

impl Netns {
    /// Opens a ping socket for a process.
    pub fn ping_open(
        &mut self,
        (process, user): (ProcessId, User),
        options: PingSocket,
    ) -> Result<SocketId, Errno> {
        let device = match &options.device {
            None => None,
            Some(name) => Some(self.link_named(name).ok_or(Errno::Enodev)?.ifindex),
        };
        if options.ttl == Some(0) {
            return Err(Errno::Einval);
        }
        if options.source.is_some_and(|source| self.inet_addr_type(source) != AddrType::Own) {
            return Err(Errno::Eaddrnotavail);
        }
        let mut ident = self.rng.u16(1..);
        while self.pings.values().any(|sock| sock.ident == ident) {
            ident = ident.wrapping_add(1).max(1);
        }
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        self.pings.insert(socket, PingSock { process, user, ident, options, device, queue: VecDeque::new() });
        Ok(socket)
    }

    /// Sets the time to live of a socket's next requests (`IP_TTL`).
    pub fn ping_set_ttl(&mut self, socket: SocketId, ttl: u8) {
        if let Some(sock) = self.pings.get_mut(&socket) {
            sock.options.ttl = Some(ttl);
        }
    }

    /// The identifier that a socket's requests carry.
    pub fn ping_ident(&self, socket: SocketId) -> Option<u16> {
        self.pings.get(&socket).map(|sock| sock.ident)
    }

    /// Takes what a socket received next.
    pub fn ping_receive(&mut self, socket: SocketId) -> Option<PingMessage> {
        self.pings.get_mut(&socket)?.queue.pop_front()
    }

    /// Sends an echo request (`ping_v4_sendmsg`).
    pub fn ping_send(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        dst: Ipv4Addr,
        (seq, data): (u16, Bytes),
    ) -> Result<(), Errno> {
        let Some(sock) = self.pings.get(&socket) else { return Err(Errno::Einval) };
        let (ident, process, options, device) = (sock.ident, sock.process, sock.options.clone(), sock.device);
        let sender = Sender::User(sock.user);
        let body = Body::Icmp(Icmp::EchoRequest { id: ident, seq, data });
        // No length field could hold it: refused before there is a route, and with no word on the error queue.
        if body.wire_len() > usize::from(u16::MAX) {
            return Err(Errno::Emsgsize);
        }
        let traits = Traits { uid: sock.user.uid, ..Traits::icmp(options.tos, (8, 0)) };
        let found = self.ip_route_output_flow(ctx.now, dst, (options.source, device), traits);
        let mut flow = self.counted_route(found)?;
        flow.broadcast |= dst.is_broadcast();
        if flow.broadcast && !options.broadcast && !dst.is_multicast() {
            return Err(Errno::Eacces);
        }
        let own = Self::own_options(ctx.now, options.options.as_ref(), flow.src);
        let len = 20 + own.as_ref().map_or(0, |own| own.len()) + body.wire_len();
        let whole = matches!(options.discovery, PathMtuDiscovery::Do | PathMtuDiscovery::Probe);
        // A probe asks what the path carries: only the device itself limits it (`IP_PMTUDISC_PROBE`).
        let is_probe = options.discovery == PathMtuDiscovery::Probe;
        let device_mtu = self.link(flow.oif).map_or(flow.mtu, |link| link.mtu);
        let mtu = if is_probe { device_mtu } else { flow.mtu };
        flow.mtu = mtu;
        let fits = len <= mtu as usize;
        if len > usize::from(u16::MAX) || (whole && !fits) {
            self.local_error(ctx, socket, mtu, seq);
            return Err(Errno::Emsgsize);
        }
        let packet = Ipv4 {
            tos: options.tos,
            id: if whole { 0 } else { self.next_ip_id() },
            dont_fragment: options.discovery.dont_fragment(flow.mtu_locked) && fits,
            more_fragments: false,
            fragment_offset: 0,
            ttl: options.ttl.unwrap_or(self.default_ttl(dst)),
            src: flow.src,
            dst,
            options: own,
            body: Arc::new(body),
        };
        let frame = Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet) };
        let mut skb = ctx.fresh(Relation::Sent, process, Arc::new(frame));
        ctx.note((self.id, flow.oif), &mut skb, EventKind::Originated);
        let mut limited = skb;
        limited.nf.sender = sender;
        // The path MTU may be smaller than the device's: what is larger is cut here to the path's size.
        limited.frag_max = if fits { 0 } else { flow.mtu as u16 };
        limited.dst.unheard = options.unheard;
        // An echo request (RFC 792).
        self.mib.icmp_sent(8);
        self.ip_local_out(ctx, &flow, ctx.delays.output, limited).map_or(Ok(()), Err)
    }

    fn local_error(&mut self, ctx: &mut Ctx<'_>, socket: SocketId, mtu: u32, seq: u16) {
        if let Some(sock) = self.pings.get_mut(&socket) {
            sock.queue.push_back(PingMessage::Error { from: None, ttl: 0, kind_and_code: None, mtu, seq });
            ctx.effects.readable.push((sock.process, socket));
        }
    }

    fn ping_by_ident(&mut self, ident: u16) -> Option<(SocketId, &mut PingSock)> {
        self.pings.iter_mut().find(|(_, sock)| sock.ident == ident).map(|(id, sock)| (*id, sock))
    }

    /// The device at which a packet counts as come in, for sockets that are bound to one (`inet_iif`). What this machine
    /// sends to itself comes in at `lo`, and belongs to the device that has the address it is for.
    pub(super) fn inet_iif(&self, ifindex: IfIndex, dst: Ipv4Addr) -> IfIndex {
        if ifindex != IfIndex(1) {
            return ifindex;
        }
        let route = self.fib.lookup_table(LOCAL, dst, |_| true).map(|found| found.route);
        route.and_then(|route| route.oif).unwrap_or(ifindex)
    }

    /// An echo reply came (`ping_rcv`).
    pub(super) fn ping_rcv(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        packet: &Ipv4,
        (ident, seq, data): (u16, u16, &Bytes),
        skb: Skb,
    ) {
        let at = (self.id, ifindex);
        let now: SimTime = ctx.now;
        let iif = self.inet_iif(ifindex, packet.dst);
        let hears = |sock: &PingSock| sock.device.is_none_or(|device| device == iif);
        let found = self.ping_by_ident(ident).filter(|(_, sock)| hears(sock));
        let Some((socket, sock)) = found else {
            return ctx.drop(at, skb, DropReason::NoPingSocket);
        };
        let message = PingMessage::Reply {
            from: packet.src,
            ttl: packet.ttl,
            seq,
            data: data.clone(),
            options: packet.options.clone(),
            at: now,
        };
        sock.queue.push_back(message);
        ctx.effects.readable.push((sock.process, socket));
        ctx.end(at, skb, Disposition::Delivered(socket));
    }

    /// Hands a message to the socket of this identifier, if there is one.
    pub(super) fn ping_deliver(
        &mut self,
        ctx: &mut Ctx<'_>,
        ident: u16,
        message: PingMessage,
    ) -> Option<SocketId> {
        let (socket, sock) = self.ping_by_ident(ident)?;
        sock.queue.push_back(message);
        ctx.effects.readable.push((sock.process, socket));
        Some(socket)
    }

    /// An error about one of our requests came (`ping_err`).
    pub(super) fn ping_err(
        &mut self,
        ctx: &mut Ctx<'_>,
        report: &IcmpReport,
        quoted: &Quoted,
    ) -> Option<SocketId> {
        let (socket, sock) = self.ping_by_ident(quoted.id)?;
        sock.queue.push_back(PingMessage::Error {
            from: Some(report.from),
            ttl: report.ttl,
            kind_and_code: Some(report.kind_and_code),
            mtu: u32::from(report.mtu),
            seq: quoted.seq,
        });
        ctx.effects.readable.push((sock.process, socket));
        Some(socket)
    }
}
