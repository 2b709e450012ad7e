//! Which socket a packet is for (`__udp4_lib_lookup`, `__inet_lookup`).

use super::Sock;
use crate::base::{IfIndex, Ipv4Addr, SocketId};
use crate::kernel::Netns;
use crate::trace::{SocketState, Transport};
use std::net::SocketAddrV4;

/// A packet's ends as its receiver sees them, and where it came in.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernel) struct Ends {
    pub(in crate::kernel) local: SocketAddrV4,
    pub(in crate::kernel) remote: SocketAddrV4,
    pub(in crate::kernel) ifindex: IfIndex,
}

impl Netns {
    /// `__udp4_lib_lookup`: sockets bound to the very address come before those bound to any.
    pub(super) fn udp_lookup(&self, ends: Ends) -> Option<SocketId> {
        self.udp_lookup_on(ends, *ends.local.ip()).or_else(|| self.udp_lookup_on(ends, Ipv4Addr::UNSPECIFIED))
    }

    /// The socket with the highest score (`udp4_lib_lookup2`). The one bound last is looked at first.
    fn udp_lookup_on(&self, ends: Ends, addr: Ipv4Addr) -> Option<SocketId> {
        let mut best: Option<(u32, &Sock)> = None;
        for sock in self.on_port(Transport::Udp, ends.local.port()).rev() {
            let Some(score) = udp_score(sock, ends, addr) else { continue };
            if best.is_none_or(|(highest, _)| score > highest) {
                best = Some((score, sock));
            }
        }
        let (score, best) = best?;
        if !best.options.reuse_port || best.remote.is_some() {
            return Some(best.id);
        }
        let group: Vec<SocketId> = self
            .on_port(Transport::Udp, ends.local.port())
            .filter(|sock| sock.options.reuse_port && udp_score(sock, ends, addr) == Some(score))
            .map(|sock| sock.id)
            .collect();
        Some(self.reuseport_select(ends, &group))
    }

    /// `__inet_lookup`: a connection, else a listening socket.
    pub(in crate::kernel) fn tcp_lookup(&self, ends: Ends) -> Option<SocketId> {
        let connected = self.socks.connected(&(ends.local, ends.remote));
        connected.or_else(|| self.tcp_lookup_listener(ends))
    }

    /// `__inet_lookup_listener`: one for the very address comes before one for any.
    pub(in crate::kernel) fn tcp_lookup_listener(&self, ends: Ends) -> Option<SocketId> {
        [*ends.local.ip(), Ipv4Addr::UNSPECIFIED].into_iter().find_map(|addr| {
            let fits = |sock: &&Sock| {
                sock.state() == SocketState::Listen
                    && *sock.local.ip() == addr
                    && sock.options.device.is_none_or(|device| device == ends.ifindex)
            };
            let group: Vec<SocketId> =
                self.on_port(Transport::Tcp, ends.local.port()).filter(fits).map(|sock| sock.id).collect();
            (!group.is_empty()).then(|| self.reuseport_select(ends, &group))
        })
    }

    /// Whether somebody holds this port by `bind`, so that no connection may draw it.
    pub(in crate::kernel) fn tcp_port_bound(&self, port: u16) -> bool {
        self.on_port(Transport::Tcp, port)
            .any(|sock| sock.bind_locks.1 || sock.state() == SocketState::Listen || sock.remote.is_none())
    }

    /// Shares connections among a group of sockets by a hash over both ends (`reuseport_select_sock`).
    pub(super) fn reuseport_select(&self, ends: Ends, group: &[SocketId]) -> SocketId {
        let ports = u64::from(ends.local.port()) << 16 | u64::from(ends.remote.port());
        let addrs = [*ends.local.ip(), *ends.remote.ip()].map(|addr| u64::from(u32::from(addr)));
        let hash = self.keyed_hash([addrs[0], addrs[1], ports]);
        group[(((hash & 0xffff_ffff) * group.len() as u64) >> 32) as usize]
    }

    /// A hash under a secret of this namespace, where the kernel uses siphash.
    pub(in crate::kernel) fn keyed_hash(&self, words: [u64; 3]) -> u64 {
        words.into_iter().fold(self.hash_secret, |hash, word| {
            let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ mixed >> 29
        })
    }
}

/// How well a socket bound to `addr` fits (`compute_score`); `None` where it does not.
fn udp_score(sock: &Sock, ends: Ends, addr: Ipv4Addr) -> Option<u32> {
    let fits = *sock.local.ip() == addr
        && sock.remote.is_none_or(|remote| remote == ends.remote)
        && sock.options.device.is_none_or(|device| device == ends.ifindex);
    let connected = if sock.remote.is_some() { 8 } else { 0 };
    let device = if sock.options.device.is_some() { 4 } else { 0 };
    fits.then_some(2 + connected + device)
}
