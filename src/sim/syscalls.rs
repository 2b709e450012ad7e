//! System calls of simulated processes.

use super::names::Done;
use super::processes::Stdin;
use super::terminal::read_typed;
use super::{Simulation, Task, local};
use crate::agent::Actor;
use crate::api::{ApiError, ApiRequest};
use crate::app::resolver::{Gai, Libc, NotFound, Outcome, Wanted};
use crate::app::{
    CaptureFilter, Captured, Datagram, Errno, Input, Os, PingMessage, PingSocket, RawMessage, RawSocket,
    Shutdown, SocketError, SocketOption, Transport, Wake,
};
use crate::base::{Duration, IfIndex, Ipv4Addr, Ipv4Net, NetnsId, ObjectKey, ProcessId, SimTime, SocketId};
use crate::cluster::dns::View;
use crate::cluster::mesh::{Mode, Policies, Route};
use crate::kernel::{Ctx, Netns};
use crate::tls::Credentials;
use crate::trace::{NetfilterChange, Stream, TableChange};
use crate::wire::{Body, Bytes};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// The system calls of one process.
pub(super) struct Syscalls<'a, A> {
    pub(super) sim: &'a mut Simulation<A>,
    pub(super) process: ProcessId,
    pub(super) netns: NetnsId,
    pub(super) exit: Option<u8>,
    /// The name whose outcome the program has to wait for; whatever it does after it asked is not done.
    pub(super) asked: Option<(String, Wanted)>,
    /// Whether it waits for names; else only `/etc/hosts` is there for it.
    pub(super) waits: bool,
    /// What it did before it asked, and what it did already in a run that was undone.
    pub(super) done: VecDeque<Done>,
    pub(super) replay: VecDeque<Done>,
}

impl<'a, A> Syscalls<'a, A> {
    pub(super) fn new(sim: &'a mut Simulation<A>, process: ProcessId, netns: NetnsId) -> Self {
        let (done, replay) = (VecDeque::new(), VecDeque::new());
        Self { sim, process, netns, exit: None, asked: None, waits: false, done, replay }
    }
}

impl<A: Actor> Simulation<A> {
    /// Wakes a process, unless it ended or the timer was set anew meanwhile.
    pub(super) fn wake(&mut self, id: ProcessId, wake: Wake, timer: u64) {
        let slot = &mut self.processes[id.index()];
        if let Wake::Timer(token) = wake {
            if slot.timers.get(&token) != Some(&timer) {
                return;
            }
            slot.timers.remove(&token);
        }
        let netns = slot.netns;
        // A socket that was closed meanwhile wakes nobody.
        if let Wake::Readable(socket) | Wake::Writable(socket) = wake
            && !self.netns(netns).is_some_and(|netns| netns.holds(id, socket))
            && !self.holds_local(id, socket)
            && !self.abroad.holds(id, socket)
        {
            return;
        }
        if let Some(status) = self.hand_over(id, wake) {
            self.processes[id.index()].timers.clear();
            self.ended.push((id, status));
            self.close_sockets(netns, id);
            self.close_captures(id);
        }
    }
}

impl<A: Actor> Simulation<A> {
    /// Sets a timer of a process.
    pub(super) fn set_timer_of(&mut self, process: ProcessId, token: u32, after: Duration) {
        self.next_timer += 1;
        let number = self.next_timer;
        self.processes[process.index()].timers.insert(token, number);
        let at = self.now + after;
        let urgency = self.urgency_of_timer(process, at);
        self.queue.push(at, urgency, Task::Process(process, Wake::Timer(token), number));
    }
}

impl<A: Actor> Syscalls<'_, A> {
    /// The IPv4 lines of `/etc/hosts`: address and names (`hosts(5)`).
    fn hosts(&self) -> impl Iterator<Item = (Ipv4Addr, std::str::SplitWhitespace<'_>)> {
        let mounts = &self.sim.processes[self.process.index()].mounts;
        let bytes = self.sim.bytes_of(self.netns, mounts, "/etc/hosts").unwrap_or_default();
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let mut words = line.split_whitespace();
            let addr = words.next()?.parse().ok()?;
            Some((addr, words))
        })
    }
}

impl<A: Actor> Os for Syscalls<'_, A> {
    fn now(&self) -> SimTime {
        self.sim.now
    }

    fn write(&mut self, stream: Stream, text: &str) {
        if self.asked.is_some() {
            return;
        }
        self.done.push_back(Done::Wrote);
        if let Some(Done::Wrote) = self.replay.front() {
            self.replay.pop_front();
            return;
        }
        self.sim.write(self.process, stream, text);
    }

    fn exit(&mut self, status: u8) {
        if self.asked.is_none() {
            self.exit = Some(status);
        }
    }

    fn set_timer(&mut self, token: u32, after: Duration) {
        if self.asked.is_some() {
            return;
        }
        self.sim.set_timer_of(self.process, token, after);
    }

    fn cancel_timer(&mut self, token: u32) {
        self.sim.processes[self.process.index()].timers.remove(&token);
    }

    fn ping_socket(&mut self, options: PingSocket) -> Result<SocketId, Errno> {
        if self.asked.is_some() {
            return Err(Errno::Eagain);
        }
        let process = (self.process, self.sim.processes[self.process.index()].user);
        let netns = self.sim.netns.get_mut(self.netns.index()).and_then(Option::as_mut);
        netns.ok_or(Errno::Enetunreach)?.ping_open(process, options)
    }

    fn send_echo(&mut self, socket: SocketId, dst: Ipv4Addr, seq: u16, data: Bytes) -> Result<(), Errno> {
        let send = |netns: &mut Netns, ctx: &mut Ctx<'_>| netns.ping_send(ctx, socket, dst, (seq, data));
        self.sim.administer(self.netns, send).unwrap_or(Err(Errno::Enetunreach))
    }

    fn set_echo_ttl(&mut self, socket: SocketId, ttl: u8) {
        if let Some(netns) = self.sim.netns.get_mut(self.netns.index()).and_then(Option::as_mut) {
            netns.ping_set_ttl(socket, ttl);
        }
    }

    fn echo_ident(&self, socket: SocketId) -> u16 {
        let netns = self.sim.netns.get(self.netns.index()).and_then(Option::as_ref);
        netns.and_then(|netns| netns.ping_ident(socket)).unwrap_or(0)
    }

    fn receive(&mut self, socket: SocketId) -> Option<PingMessage> {
        self.sim.netns.get_mut(self.netns.index())?.as_mut()?.ping_receive(socket)
    }

    fn raw_socket(&mut self, options: RawSocket) -> Result<SocketId, Errno> {
        let process = (self.process, self.sim.processes[self.process.index()].user);
        let open = |netns: &mut Netns, ctx: &mut Ctx<'_>| netns.raw_open(ctx, process, options);
        self.sim.administer(self.netns, open).unwrap_or(Err(Errno::Enetunreach))
    }

    fn raw_send(&mut self, socket: SocketId, ttl: u8, body: Body) -> Result<(), Errno> {
        self.on_socket(socket, |netns, ctx| netns.raw_socket_send(ctx, socket, (ttl, body)))
    }

    fn raw_receive(&mut self, socket: SocketId) -> Option<RawMessage> {
        self.on_socket(socket, |netns, _| netns.raw_receive(socket).ok_or(Errno::Eagain)).ok()
    }

    fn socket(&mut self, transport: Transport) -> Result<SocketId, Errno> {
        if self.asked.is_some() {
            return Err(Errno::Eagain);
        }
        let opened = match self.replay.front() {
            Some(Done::Opened(opened)) => {
                let opened = *opened;
                self.replay.pop_front();
                opened
            }
            Some(Done::Wrote) | None => self.socket_open(transport),
        };
        self.done.push_back(Done::Opened(opened));
        opened
    }

    fn socket_within(&mut self, pod: &ObjectKey, transport: Transport) -> Result<SocketId, Errno> {
        self.open_within(pod, transport)
    }

    fn set_option(&mut self, socket: SocketId, option: SocketOption) -> Result<(), Errno> {
        self.on_socket(socket, |netns, _| netns.socket_set_option(socket, &option))
    }

    fn bind(&mut self, socket: SocketId, local: SocketAddrV4) -> Result<(), Errno> {
        self.on_socket(socket, |netns, ctx| netns.socket_bind(ctx, socket, local))
    }

    fn connect(&mut self, socket: SocketId, remote: SocketAddrV4) -> Result<(), Errno> {
        let home @ (_, socket) = self.home(socket);
        self.on_socket_at(home, |netns, ctx| netns.socket_connect(ctx, socket, remote))
    }

    fn send_to(&mut self, socket: SocketId, remote: SocketAddrV4, data: &[u8]) -> Result<usize, Errno> {
        let bytes = Bytes::from(data);
        self.on_socket(socket, |netns, ctx| netns.socket_send_to(ctx, socket, Some(remote), bytes))?;
        Ok(data.len())
    }

    fn receive_from(&mut self, socket: SocketId) -> Result<Datagram, Errno> {
        self.on_socket(socket, |netns, ctx| netns.socket_receive_from(ctx, socket))
    }

    fn receive_error(&mut self, socket: SocketId) -> Option<SocketError> {
        self.on_socket(socket, |netns, _| netns.socket_receive_error(socket).ok_or(Errno::Eagain)).ok()
    }

    fn take_error(&mut self, socket: SocketId) -> Option<Errno> {
        let home @ (_, socket) = self.home(socket);
        self.on_socket_at(home, |netns, _| netns.socket_take_error(socket).ok_or(Errno::Eagain)).ok()
    }

    fn local_addr(&self, socket: SocketId) -> Option<SocketAddrV4> {
        self.sim.netns(self.netns)?.socket_local(socket)
    }

    fn remote_addr(&self, socket: SocketId) -> Option<SocketAddrV4> {
        self.sim.netns(self.netns)?.socket_remote(socket)
    }

    fn original_dst(&self, socket: SocketId) -> Result<SocketAddrV4, Errno> {
        self.sim.netns(self.netns).ok_or(Errno::Ebadf)?.socket_original_dst(socket)
    }

    fn shutdown(&mut self, socket: SocketId, how: Shutdown) -> Result<(), Errno> {
        if local::is_local(socket) {
            return match how {
                Shutdown::Read => Ok(()),
                Shutdown::Write | Shutdown::Both => self.sim.local_shutdown(socket),
            };
        }
        let home @ (_, socket) = self.home(socket);
        self.on_socket_at(home, |netns, ctx| netns.socket_shutdown(ctx, socket, how))
    }

    fn close(&mut self, socket: SocketId) {
        if local::is_local(socket) {
            return self.sim.local_close(socket);
        }
        if self.asked.is_some() {
            return;
        }
        let home @ (_, inner) = self.home(socket);
        self.forget_abroad(socket);
        let socket = inner;
        let closed = self.on_socket_at(home, |netns, ctx| {
            netns.socket_close(ctx, socket);
            Ok(())
        });
        debug_assert!(closed.is_ok() || closed == Err(Errno::Ebadf), "closing fails only without a socket");
    }

    fn listen(&mut self, socket: SocketId, backlog: u16) -> Result<(), Errno> {
        self.on_socket(socket, |netns, ctx| netns.socket_listen(ctx, socket, backlog))
    }

    fn accept(&mut self, socket: SocketId) -> Result<(SocketId, SocketAddrV4), Errno> {
        if local::is_local(socket) {
            let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
            return self.sim.local_accept(socket).map(|accepted| (accepted, nowhere));
        }
        let process = self.process;
        self.on_socket(socket, |netns, ctx| netns.socket_accept(ctx, socket, process))
    }

    fn receive_stream(&mut self, socket: SocketId, most: usize) -> Result<Vec<u8>, Errno> {
        if local::is_local(socket) {
            return self.sim.local_receive(socket, most);
        }
        let home @ (_, socket) = self.home(socket);
        self.on_socket_at(home, |netns, ctx| netns.socket_receive_stream(ctx, socket, most))
    }

    fn peek_stream(&self, socket: SocketId) -> Vec<u8> {
        self.sim.netns(self.netns).map(|netns| netns.socket_peek_stream(socket)).unwrap_or_default()
    }

    fn send(&mut self, socket: SocketId, data: &[u8]) -> Result<usize, Errno> {
        if local::is_local(socket) {
            return self.sim.local_send(self.process, socket, data);
        }
        let home @ (_, socket) = self.home(socket);
        self.on_socket_at(home, |netns, ctx| netns.socket_send(ctx, socket, data))
    }

    fn local_listen(&mut self, path: &str) -> Result<SocketId, Errno> {
        self.sim.local_listen(self.process, path)
    }

    fn local_connect(&mut self, path: &str) -> Result<SocketId, Errno> {
        self.sim.local_connect(self.process, path)
    }

    fn fifo_open(&mut self, path: &str, writes: bool) -> Result<SocketId, Errno> {
        self.sim.fifo_open(self.process, path, writes)
    }

    fn capture(
        &mut self,
        device: Option<IfIndex>,
        filter: CaptureFilter,
        is_promiscuous: bool,
        token: u32,
    ) -> Result<(), Errno> {
        self.sim.open_capture(self.process, device, filter, is_promiscuous, token);
        Ok(())
    }

    fn watch_connections(&mut self, token: u32) {
        self.sim.open_watch(self.process, token);
    }

    fn take_connections(&mut self) -> Vec<(SimTime, NetfilterChange)> {
        self.sim.take_watched(self.process)
    }

    fn take_captured(&mut self) -> Vec<Captured> {
        self.sim.take_captured(self.process)
    }

    fn source_towards(
        &mut self,
        dst: Ipv4Addr,
        device: Option<&str>,
        (broadcast, tos): (bool, u8),
    ) -> Result<Ipv4Addr, Errno> {
        let (now, user) = (self.sim.now, self.sim.processes[self.process.index()].user);
        let netns = self.sim.netns.get_mut(self.netns.index()).and_then(Option::as_mut);
        let netns = netns.ok_or(Errno::Enetunreach)?;
        let named = |name| netns.link_named(name).map(|link| link.ifindex).ok_or(Errno::Enodev);
        let device = device.map(named).transpose()?;
        netns.source_towards(now, dst, device, (broadcast, tos, user))
    }

    fn device_addresses(&self, device: &str) -> Result<Vec<Ipv4Addr>, Errno> {
        let netns = self.sim.netns(self.netns).ok_or(Errno::Enodev)?;
        let ifindex = netns.link_named(device).ok_or(Errno::Enodev)?.ifindex;
        let rows = netns.addrs().iter().filter(|row| row.ifindex == ifindex);
        Ok(rows.map(|row| row.addr.addr()).collect())
    }

    fn mtu_towards(&self, dst: Ipv4Addr) -> Option<u32> {
        let netns = self.sim.netns(self.netns)?;
        netns.ip_route_output(self.sim.now, dst, None, None).ok().map(|flow| flow.mtu)
    }

    fn resolve(&mut self, name: &str) -> Option<Ipv4Addr> {
        let found = self.hosts().find_map(|(addr, mut names)| names.any(|at| at == name).then_some(addr));
        if found.is_some() {
            return found;
        }
        let outcome = self.ask_for(name, Wanted::Addresses)?;
        outcome.ok().and_then(|found| found.addresses.first().copied())
    }

    fn ask_for(&mut self, name: &str, wanted: Wanted) -> Option<Outcome> {
        let names = &self.sim.processes[self.process.index()].names;
        let known = names.get(name, wanted).cloned();
        if known.is_none() && !self.waits {
            return Some(Err(NotFound { why: Gai::NoName, libc: names.libc() }));
        }
        if known.is_none() {
            self.asked.get_or_insert_with(|| (name.to_owned(), wanted));
        }
        known
    }

    fn lookup(&self, name: &str) -> Option<&Outcome> {
        self.sim.processes[self.process.index()].names.get(name, Wanted::Addresses)
    }

    fn libc(&self) -> Libc {
        self.sim.processes[self.process.index()].names.libc()
    }

    fn source_network(&self, dst: Ipv4Addr) -> Option<Ipv4Net> {
        let user = self.sim.processes[self.process.index()].user;
        let netns = self.sim.netns(self.netns)?;
        let source = netns.source_of(self.sim.now, dst, None, (true, 0, user)).ok()?;
        netns.addrs().iter().map(|row| row.addr).find(|net| net.addr() == source)
    }

    fn name_of(&self, addr: Ipv4Addr) -> Option<String> {
        self.hosts()
            .find_map(|(at, mut names)| if at == addr { names.next().map(str::to_owned) } else { None })
    }

    fn read_input(&mut self) -> Input {
        if self.asked.is_some() {
            return Input::Pending;
        }
        let slot = &mut self.sim.processes[self.process.index()];
        match &mut slot.stdin {
            Stdin::Terminal => read_typed(slot.console, &mut slot.typed, &mut slot.awaits_input),
            Stdin::Pipe(come, _) if !come.is_empty() => Input::Data(std::mem::take(come)),
            Stdin::Pipe(_, true) => Input::End,
            Stdin::Pipe(_, false) => Input::Pending,
            Stdin::Content(content) if content.is_empty() => Input::End,
            Stdin::Content(content) => Input::Data(std::mem::take(content)),
        }
    }

    fn is_terminal(&self) -> bool {
        self.sim.processes[self.process.index()].is_terminal
    }

    fn pid(&self) -> u32 {
        self.sim.processes[self.process.index()].pid
    }

    fn read_file(&self, path: &str) -> Option<String> {
        let mounts = &self.sim.processes[self.process.index()].mounts;
        let path = self.sim.absolute(self.process, path);
        self.sim.file_of(self.netns, mounts, &path).map(Cow::into_owned)
    }

    fn read_bytes(&self, path: &str) -> Option<Vec<u8>> {
        let mounts = &self.sim.processes[self.process.index()].mounts;
        let path = self.sim.absolute(self.process, path);
        self.sim.bytes_of(self.netns, mounts, &path).map(<[u8]>::to_vec)
    }

    fn write_file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Errno> {
        if self.asked.is_some() {
            return Ok(());
        }
        let mounts = self.sim.processes[self.process.index()].mounts.clone();
        let path = self.sim.absolute(self.process, path);
        self.sim.put_file(self.netns, &mounts, &path, bytes.to_vec())
    }

    fn api(&mut self, request: &ApiRequest) -> Result<Value, ApiError> {
        self.sim.ask(request)
    }

    fn cluster_names(&self, known: Option<u64>) -> Option<(u64, View)> {
        self.sim.agent()?.names(known)
    }

    fn mesh_credentials(&mut self) -> Result<Arc<Credentials>, String> {
        self.sim.mesh_credentials(self.netns)
    }

    fn mesh_mode(&self, port: u16) -> Mode {
        self.sim.agent().map_or_else(Mode::default, |agent| agent.mesh_mode(self.netns, port))
    }

    fn mesh_policies(&self) -> Policies {
        self.sim.agent().map(|agent| agent.mesh_policies(self.netns)).unwrap_or_default()
    }

    fn mesh_route(&self, to: SocketAddrV4) -> Route {
        self.sim.agent().map_or(Route::Passthrough, |agent| agent.mesh_route(to))
    }

    fn variable(&self, name: &str) -> Option<String> {
        let variables = &self.sim.processes[self.process.index()].variables;
        variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn administer(&mut self, work: &mut dyn FnMut(&mut Netns, &mut Ctx<'_>)) {
        self.sim.administer(self.netns, |netns, ctx| work(netns, ctx));
    }

    fn record(&mut self, change: TableChange) {
        self.sim.change(self.netns, change);
    }

    fn netns(&self) -> NetnsId {
        self.netns
    }

    fn random(&mut self) -> u32 {
        self.sim.rng.u32(..)
    }
}
