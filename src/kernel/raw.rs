//! Raw sockets (`net/ipv4/raw.c`, `raw(7)`), connected to one host: they send bodies of their protocol, and get a copy of
//! what comes from there before the protocol itself does.

use super::rule::Traits;
use super::sock::IcmpReport;
use super::{Ctx, Errno, Netns, PathMtuDiscovery, RawMessage, RawSocket, Sender, User};
use crate::base::{IfIndex, Ipv4Addr, MacAddr, ProcessId, SocketId};
use crate::trace::{EventKind, Relation};
use crate::wire::{Body, Frame, Ipv4, Payload, Quote};
use std::collections::VecDeque;
use std::sync::Arc;

/// A raw socket.
#[derive(Clone, Debug)]
pub(super) struct RawSock {
    pub(super) process: ProcessId,
    user: User,
    options: RawSocket,
    device: Option<IfIndex>,
    /// The address that packets are sent from and taken for (`inet_saddr`).
    source: Ipv4Addr,
    /// Next identification (`inet_id`).
    ip_id: u16,
    queue: VecDeque<RawMessage>,
}

impl RawSock {
    fn traits(&self) -> Traits {
        let protocol = self.options.protocol;
        Traits {
            mark: 0,
            tos: self.options.tos,
            protocol,
            ports: (0, 0),
            uid: self.user.uid,
            ..Traits::default()
        }
    }
}

impl Netns {
    /// Opens a raw socket for a process and connects it (`raw_bind`, `__ip4_datagram_connect`).
    pub fn raw_open(
        &mut self,
        ctx: &Ctx<'_>,
        (process, user): (ProcessId, User),
        options: RawSocket,
    ) -> Result<SocketId, Errno> {
        let device = match &options.device {
            None => None,
            Some(name) => Some(self.link_named(name).ok_or(Errno::Enodev)?.ifindex),
        };
        if options.source.is_some_and(|source| !self.has_addr(source) && !source.is_loopback()) {
            return Err(Errno::Eaddrnotavail);
        }
        let (source, ip_id) = (options.source.unwrap_or(Ipv4Addr::UNSPECIFIED), self.rng.u16(..));
        let queue = VecDeque::new();
        let mut sock = RawSock { process, user, options, device, source, ip_id, queue };
        let ends = (sock.options.source, device);
        let flow = self.ip_route_output_flow(ctx.now, sock.options.to, ends, sock.traits())?;
        if flow.broadcast {
            return Err(Errno::Eacces);
        }
        sock.source = flow.src;
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        self.raws.insert(socket, sock);
        Ok(socket)
    }

    /// Takes what a socket received next.
    pub fn raw_receive(&mut self, socket: SocketId) -> Option<RawMessage> {
        self.raws.get_mut(&socket)?.queue.pop_front()
    }

    /// Sends a packet with this time to live (`raw_sendmsg`).
    pub fn raw_socket_send(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        (ttl, body): (u8, Body),
    ) -> Result<(), Errno> {
        let sock = self.raws.get(&socket).ok_or(Errno::Ebadf)?;
        let (process, sender, options) = (sock.process, Sender::User(sock.user), sock.options.clone());
        let ends = (Some(sock.source), sock.device);
        let flow = self.ip_route_output_flow(ctx.now, options.to, ends, sock.traits())?;
        let len = Ipv4::HEADER_LEN + body.wire_len();
        let fits = len <= flow.mtu as usize;
        let whole = matches!(options.discovery, PathMtuDiscovery::Do | PathMtuDiscovery::Probe);
        if len > usize::from(u16::MAX) || (whole && !fits) {
            return Err(Errno::Emsgsize);
        }
        let packet = Ipv4 {
            tos: options.tos,
            id: self.raw_ip_id(socket),
            dont_fragment: options.discovery.dont_fragment(flow.mtu_locked) && fits,
            more_fragments: false,
            fragment_offset: 0,
            ttl,
            src: flow.src,
            dst: options.to,
            options: None,
            body: Arc::new(body),
        };
        let frame = Frame { dst: MacAddr::ZERO, src: MacAddr::ZERO, payload: Payload::Ipv4(packet) };
        let mut skb = ctx.fresh(Relation::Sent, process, Arc::new(frame));
        ctx.note((self.id, flow.oif), &mut skb, EventKind::Originated);
        skb.nf.sender = sender;
        skb.frag_max = if fits { 0 } else { flow.mtu as u16 };
        if let Some(Body::Icmp(icmp)) = skb.frame.ipv4().map(|packet| &*packet.body) {
            self.mib.icmp_sent(icmp.kind_and_code().0);
        }
        self.ip_local_out(ctx, &flow, ctx.delays.output, skb).map_or(Ok(()), Err)
    }

    fn raw_ip_id(&mut self, socket: SocketId) -> u16 {
        self.raws.get_mut(&socket).map_or(0, |sock| {
            sock.ip_id = sock.ip_id.wrapping_add(1);
            sock.ip_id.wrapping_sub(1)
        })
    }

    /// The sockets that hear of packets of this protocol between these addresses (`raw_v4_match`).
    fn raw_hear(&mut self, protocol: u8, (from, to): (Ipv4Addr, Ipv4Addr), iif: IfIndex) -> Vec<SocketId> {
        let hears = |sock: &RawSock| {
            (sock.options.protocol, sock.options.to, sock.source) == (protocol, from, to)
                && sock.device.is_none_or(|device| device == iif)
        };
        self.raws.iter().filter(|(_, sock)| hears(sock)).map(|(socket, _)| *socket).collect()
    }

    fn raw_queue(&mut self, ctx: &mut Ctx<'_>, socket: SocketId, message: RawMessage) {
        if let Some(sock) = self.raws.get_mut(&socket) {
            sock.queue.push_back(message);
            ctx.effects.readable.push((sock.process, socket));
        }
    }

    /// Gives sockets their copies of a packet that came, and says whether there were any (`raw_local_deliver`).
    pub(super) fn raw_local_deliver(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, packet: &Ipv4) -> bool {
        if self.raws.is_empty() {
            return false;
        }
        let iif = self.inet_iif(ifindex, packet.dst);
        let heard = self.raw_hear(packet.protocol(), (packet.src, packet.dst), iif);
        let is_heard = !heard.is_empty();
        for socket in heard {
            let message = RawMessage::Packet { ttl: packet.ttl, body: packet.body.clone(), at: ctx.now };
            self.raw_queue(ctx, socket, message);
        }
        is_heard
    }

    /// Tells sockets of an error about one of their packets (`raw_icmp_error`); the last one that heard of it.
    pub(super) fn raw_err(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        report: &IcmpReport,
        quote: &Quote<'_>,
    ) -> Option<SocketId> {
        let heard = self.raw_hear(quote.protocol, (quote.dst, quote.src), ifindex);
        for socket in &heard {
            let message = RawMessage::Error {
                from: report.from,
                ttl: report.ttl,
                kind_and_code: report.kind_and_code,
                mtu: u32::from(report.mtu),
                body: quote.body.into(),
                at: ctx.now,
            };
            self.raw_queue(ctx, *socket, message);
        }
        heard.last().copied()
    }
}
