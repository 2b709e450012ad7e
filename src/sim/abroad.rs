//! Sockets that a process holds in another network namespace than its own, as a container runtime does for
//! `kubectl port-forward`. They have numbers of their own.

use super::Simulation;
use super::syscalls::Syscalls;
use crate::agent::Actor;
use crate::app::{Errno, Transport};
use crate::base::{NetnsId, ObjectKey, ProcessId, SocketId};
use crate::kernel::{Ctx, Netns};
use std::collections::BTreeMap;

/// Numbers from here on are such sockets, up to those of `local`.
const FIRST: u32 = 1 << 30;

/// A socket in another namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abroad {
    process: ProcessId,
    netns: NetnsId,
    inner: SocketId,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: BTreeMap<SocketId, Abroad>,
    made: u32,
}

impl Sockets {
    /// The number under which a process knows a socket of this namespace.
    pub(super) fn outer(&self, process: ProcessId, netns: NetnsId, inner: SocketId) -> SocketId {
        let is_it = |one: &&Abroad| (one.process, one.netns, one.inner) == (process, netns, inner);
        self.open.iter().find(|(_, one)| is_it(one)).map_or(inner, |(outer, _)| *outer)
    }

    /// Whether a process holds a socket of this number.
    pub(super) fn holds(&self, process: ProcessId, outer: SocketId) -> bool {
        self.open.get(&outer).is_some_and(|one| one.process == process)
    }
}

impl<A: Actor> Simulation<A> {
    /// Closes what a process holds in other namespaces.
    pub(super) fn close_abroad(&mut self, process: ProcessId) {
        let own = |one: &Abroad| one.process == process;
        let places: Vec<NetnsId> =
            self.abroad.open.values().filter(|one| own(one)).map(|one| one.netns).collect();
        self.abroad.open.retain(|_, one| !own(one));
        for netns in places {
            self.administer(netns, |netns, ctx| netns.close_sockets_of(ctx, process));
        }
    }
}

impl<A: Actor> Syscalls<'_, A> {
    /// Opens a socket in the namespace of a Pod.
    pub(super) fn open_within(&mut self, pod: &ObjectKey, transport: Transport) -> Result<SocketId, Errno> {
        let process = self.process;
        let netns = self.sim.agent().and_then(|agent| agent.netns_of(pod)).ok_or(Errno::Enetunreach)?;
        let user = self.sim.processes[process.index()].user;
        let open = |netns: &mut Netns, ctx: &mut Ctx<'_>| netns.socket_open(ctx, (process, user), transport);
        let inner = self.sim.administer(netns, open).unwrap_or(Err(Errno::Enetunreach))?;
        let sockets = &mut self.sim.abroad;
        sockets.made += 1;
        let outer = SocketId(FIRST + sockets.made);
        sockets.open.insert(outer, Abroad { process, netns, inner });
        Ok(outer)
    }

    /// Where a socket is, and its number there.
    pub(super) fn home(&self, socket: SocketId) -> (NetnsId, SocketId) {
        self.sim.abroad.open.get(&socket).map_or((self.netns, socket), |one| (one.netns, one.inner))
    }

    /// A socket was closed.
    pub(super) fn forget_abroad(&mut self, socket: SocketId) {
        self.sim.abroad.open.remove(&socket);
    }
}
