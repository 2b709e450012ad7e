//! Who may have which address and port (`inet_bind`, `inet_csk_get_port`, `udp_lib_get_port`).

use super::{LOCAL_PORTS, NOWHERE, Sock};
use crate::base::{Ipv4Addr, SocketId};
use crate::kernel::{Ctx, Errno, Netns};
use crate::trace::{RouteKind, SocketState, Transport};
use std::net::SocketAddrV4;

impl Netns {
    /// `bind(2)`.
    pub fn socket_bind(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        local: SocketAddrV4,
    ) -> Result<(), Errno> {
        let kind = self.inet_addr_type(*local.ip());
        if !local.ip().is_unspecified() && kind == AddrType::Foreign {
            return Err(Errno::Eaddrnotavail);
        }
        let sock = self.sock_mut(socket)?;
        if sock.local.port() != 0 || sock.state() != SocketState::Close {
            return Err(Errno::Einval);
        }
        let source = if kind == AddrType::Many { Ipv4Addr::UNSPECIFIED } else { *local.ip() };
        (sock.local, sock.source) = (SocketAddrV4::new(*local.ip(), 0), source);
        if let Err(error) = self.get_port(socket, local.port()) {
            let sock = self.sock_mut(socket)?;
            (sock.local, sock.source) = (NOWHERE, Ipv4Addr::UNSPECIFIED);
            return Err(error);
        }
        let sock = self.sock_mut(socket)?;
        sock.bind_locks = (!local.ip().is_unspecified(), local.port() != 0);
        self.record_sock(ctx, socket);
        Ok(())
    }

    /// Gives a socket that has none a port of the kernel's choice (`inet_autobind`).
    pub(in crate::kernel) fn autobind(&mut self, socket: SocketId) -> Result<(), Errno> {
        if self.sock(socket)?.local.port() != 0 {
            return Ok(());
        }
        self.get_port(socket, 0).map_err(|_| Errno::Eagain)
    }

    /// Takes `port`, or any free one for 0, for the address the socket has.
    fn get_port(&mut self, socket: SocketId, port: u16) -> Result<(), Errno> {
        let port = match port {
            0 => self.find_open_port(socket).ok_or(Errno::Eaddrinuse)?,
            port if self.bind_conflict(socket, port) => return Err(Errno::Eaddrinuse),
            port => port,
        };
        self.take_port(socket, port);
        Ok(())
    }

    /// Enters a socket under `port`.
    pub(in crate::kernel) fn take_port(&mut self, socket: SocketId, port: u16) {
        let Some(sock) = self.socks.get_mut(socket) else { return };
        sock.local.set_port(port);
        let key = (sock.transport(), port);
        self.socks.ports.entry(key).or_default().push(socket);
    }

    /// Gives a socket's port back.
    pub(super) fn unbind(&mut self, sock: &Sock) {
        let socket = sock.id;
        let key = (sock.transport(), sock.local.port());
        if let Some(bound) = self.socks.ports.get_mut(&key) {
            bound.retain(|other| *other != socket);
            if bound.is_empty() {
                self.socks.ports.remove(&key);
            }
        }
    }

    /// The sockets of a protocol on a port, in the order in which they were bound.
    pub(super) fn on_port(&self, transport: Transport, port: u16) -> impl DoubleEndedIterator<Item = &Sock> {
        let bound = self.socks.ports.get(&(transport, port)).map_or(&[][..], Vec::as_slice);
        bound.iter().filter_map(|socket| self.socks.get(*socket))
    }

    /// `inet_csk_bind_conflict` for a port that was asked for, `udp_lib_lport_inuse`. Also asked again by `listen`, when
    /// the socket itself is already bound.
    pub(in crate::kernel) fn bind_conflict(&self, socket: SocketId, port: u16) -> bool {
        let Some(sock) = self.socks.get(socket) else { return false };
        self.overlapping(sock, port).any(|other| {
            let (a, b) = (&sock.options, &other.options);
            // For TCP a listening socket cannot be joined by SO_REUSEADDR, for UDP no socket listens.
            let shares_addr = a.reuse_addr && b.reuse_addr && other.state() != SocketState::Listen;
            !(shares_addr || a.reuse_port && b.reuse_port)
        })
    }

    /// Other sockets on a port whose address and device overlap with those of `sock` (`inet_rcv_saddr_equal`).
    fn overlapping(&self, sock: &Sock, port: u16) -> impl Iterator<Item = &Sock> {
        let (id, addr, device) = (sock.id, *sock.local.ip(), sock.options.device);
        self.on_port(sock.transport(), port).filter(move |other| {
            let theirs = *other.local.ip();
            let same_addr = addr == theirs || addr.is_unspecified() || theirs.is_unspecified();
            let same_device =
                device.is_none() || other.options.device.is_none() || device == other.options.device;
            other.id != id && same_addr && same_device
        })
    }

    /// A port that nobody has on this address. TCP looks at odd ports first, which leaves the even ones to `connect`
    /// (`inet_csk_find_open_port`); UDP takes any (`udp_lib_get_port`).
    fn find_open_port(&mut self, socket: SocketId) -> Option<u16> {
        let (low, high) = LOCAL_PORTS;
        let count = u32::from(high - low) + 1;
        let start = self.rng.u32(..count);
        let sock = self.socks.get(socket)?;
        let free = |offset: u32| {
            let port = low + (offset % count) as u16;
            self.overlapping(sock, port).next().is_none().then_some(port)
        };
        match sock.transport() {
            Transport::Udp => (0..count).find_map(|step| free(start + step)),
            Transport::Tcp => {
                let odd = |step| free((start | 1) + 2 * step);
                let even = |step| free((start & !1) + 2 * step);
                (0..count / 2).find_map(odd).or_else(|| (0..count / 2).find_map(even))
            }
        }
    }

    /// What an address is: one that is this machine's own and a broadcast address as well is what it was first.
    pub(in crate::kernel) fn inet_addr_type(&self, addr: Ipv4Addr) -> AddrType {
        if addr.is_broadcast() || addr.is_multicast() {
            return AddrType::Many;
        }
        match self.fib.lookup_local(addr) {
            Some(RouteKind::Local) => AddrType::Own,
            Some(RouteKind::Broadcast) => AddrType::Many,
            Some(
                RouteKind::Unicast
                | RouteKind::Blackhole
                | RouteKind::Unreachable
                | RouteKind::Prohibit
                | RouteKind::Throw,
            )
            | None => AddrType::Foreign,
        }
    }
}

/// What an address is to this namespace (`inet_addr_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum AddrType {
    /// One of this machine's own.
    Own,
    /// Broadcast or multicast.
    Many,
    /// Neither.
    Foreign,
}
