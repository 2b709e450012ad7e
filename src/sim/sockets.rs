//! System calls on TCP and UDP sockets: the way from a process to the sockets of its namespace.

use super::syscalls::Syscalls;
use crate::agent::Actor;
use crate::app::{Errno, Transport};
use crate::base::{NetnsId, SocketId};
use crate::kernel::{Ctx, Netns};

impl<A: Actor> Syscalls<'_, A> {
    pub(super) fn socket_open(&mut self, transport: Transport) -> Result<SocketId, Errno> {
        let process = (self.process, self.sim.processes[self.process.index()].user);
        let open = |netns: &mut Netns, ctx: &mut Ctx<'_>| netns.socket_open(ctx, process, transport);
        self.sim.administer(self.netns, open).unwrap_or(Err(Errno::Enetunreach))
    }

    /// Works on a socket that this process holds; `Ebadf` where it does not.
    pub(super) fn on_socket<T>(
        &mut self,
        socket: SocketId,
        work: impl FnOnce(&mut Netns, &mut Ctx<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        self.on_socket_at((self.netns, socket), work)
    }

    /// The same for a socket that may be in another namespace.
    pub(super) fn on_socket_at<T>(
        &mut self,
        (at, socket): (NetnsId, SocketId),
        work: impl FnOnce(&mut Netns, &mut Ctx<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        if self.asked.is_some() {
            return Err(Errno::Eagain);
        }
        let process = self.process;
        let checked = |netns: &mut Netns, ctx: &mut Ctx<'_>| {
            if netns.holds(process, socket) { work(netns, ctx) } else { Err(Errno::Ebadf) }
        };
        self.sim.administer(at, checked).unwrap_or(Err(Errno::Enetunreach))
    }
}
