//! Service translation at the socket (cilium/cilium, `bpf/bpf_sock.c`): programs at the control group replace a Service's
//! address when a socket connects or sends, and put it back where the socket is told who sent. No packet ever bears it.
//!
//! *Simplified*: no session affinity, and a socket that stays connected to an endpoint that goes is not told.

use crate::base::{EventId, IfIndex, Ipv4Addr, SocketId};
use crate::kernel::{Ctx, Errno, Netns};
use crate::trace::{ServiceChange, SocketBalanced, TableChange, Transport};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// Virtual addresses with their endpoints (`cilium_lb4_services_v2`, `cilium_lb4_backends_v3`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketServices {
    /// Name of the Service's port and its endpoints, by protocol and address.
    pub all: BTreeMap<(Transport, SocketAddrV4), (Arc<str>, Vec<SocketAddrV4>)>,
}

/// As many replaced addresses as a socket remembers (`cilium_lb4_reverse_sk` is an LRU map).
const REMEMBERED: usize = 16;

impl Netns {
    /// Gives the sockets of this namespace these Services; `None` takes the programs away.
    pub fn set_socket_services(&mut self, services: Option<Arc<SocketServices>>) {
        self.socket_services = services;
    }

    /// The endpoint that a socket is to reach in place of a Service (`cil_sock4_connect`, `cil_sock4_sendmsg`).
    pub(super) fn balance(
        &mut self,
        ctx: &mut Ctx<'_>,
        socket: SocketId,
        to: SocketAddrV4,
    ) -> Result<SocketAddrV4, Errno> {
        let Some(services) = self.socket_services.clone() else { return Ok(to) };
        let transport = self.sock(socket)?.transport();
        let Some((service, endpoints)) = services.all.get(&(transport, to)) else { return Ok(to) };
        if endpoints.is_empty() {
            return Err(Errno::Ehostunreach);
        }
        let known =
            self.sock(socket)?.balanced.iter().find(|(_, before)| *before == to).map(|(after, _)| *after);
        if let Some(endpoint) = known.filter(|endpoint| endpoints.contains(endpoint)) {
            return Ok(endpoint);
        }
        let endpoint = endpoints[self.rng.usize(..endpoints.len())];
        let sock = self.sock_mut(socket)?;
        sock.balanced.retain(|(after, before)| *before != to && *after != endpoint);
        if sock.balanced.len() == REMEMBERED {
            sock.balanced.remove(0);
        }
        sock.balanced.push((endpoint, to));
        let row = SocketBalanced {
            netns: self.id,
            socket,
            service: service.clone(),
            to,
            endpoint,
            one_of: endpoints.len() as u32,
        };
        let change = TableChange::Service(ServiceChange::Balanced(Box::new(row)));
        ctx.change(self.id, IfIndex::NONE, EventId::NONE, change);
        Ok(endpoint)
    }

    /// Whom a socket is told that a datagram came from (`cil_sock4_recvmsg`).
    pub(super) fn unbalanced(&self, socket: SocketId, from: SocketAddrV4) -> SocketAddrV4 {
        let own = self.sock(socket).ok();
        let known = own.and_then(|sock| sock.balanced.iter().find(|(after, _)| *after == from));
        known.map_or(from, |(_, before)| *before)
    }
}

impl SocketServices {
    /// The Services of one node.
    pub fn new(
        ports: impl IntoIterator<Item = (Transport, (Ipv4Addr, u16), Arc<str>, Vec<SocketAddrV4>)>,
    ) -> Self {
        let entry = |(transport, (ip, port), name, endpoints)| {
            ((transport, SocketAddrV4::new(ip, port)), (name, endpoints))
        };
        Self { all: ports.into_iter().map(entry).collect() }
    }
}
