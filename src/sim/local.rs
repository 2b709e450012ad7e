//! What passes between the processes of one machine without a packet: UNIX stream sockets and named pipes, found by
//! their paths on the volumes that their containers share (`net/unix/af_unix.c`, `fs/pipe.c`); and locks on files.

use super::{Simulation, Task};
use crate::agent::{Actor, Mounts};
use crate::app::{Errno, Wake};
use crate::base::{DirId, NetnsId, ProcessId, SocketId};
use crate::kernel::Urgency;
use crate::trace::{ContainerRef, IpcChange, IpcRow, TableChange, UnixRow, UseRow, Way};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Numbers from here on are sockets and pipes of this module, those below belong to a network namespace.
const FIRST: u32 = 1 << 31;
/// What a pipe and a socket's queue take before the writer has to wait (`pipe(7)`, `net.core.wmem_default`).
const CAPACITY: usize = 65_536;
/// The first inode in the file system of sockets that is given out here.
const FIRST_INODE: u32 = 40_000;

/// Where a path leads: a directory, and the path in it.
pub(super) type Place = (DirId, String);

/// A thing in the file system that is no file.
#[derive(Clone, Debug)]
enum Special {
    /// A bound UNIX socket; it stays when nobody listens any more.
    Socket(Option<SocketId>),
    /// A named pipe.
    Fifo { data: Vec<u8>, readers: Vec<SocketId>, writers: Vec<SocketId> },
}

/// An open socket, or an open end of a pipe.
#[derive(Clone, Debug)]
struct Open {
    process: ProcessId,
    netns: NetnsId,
    path: String,
    inode: u32,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Listener(VecDeque<SocketId>),
    /// The other end, what came from it, and whether more will come.
    Stream {
        peer: Option<SocketId>,
        data: Vec<u8>,
        ended: bool,
    },
    Reader(Place, bool),
    Writer(Place),
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Locals {
    places: BTreeMap<Place, Special>,
    open: BTreeMap<SocketId, Open>,
    made: u32,
    /// Who holds a lock on a file.
    pub(super) locks: BTreeMap<Place, ProcessId>,
}

/// A way being used: by which object, for how many bytes, and with which other containers.
pub(super) struct Use<'a> {
    pub(super) way: Way,
    pub(super) object: &'a str,
    pub(super) bytes: usize,
    pub(super) others: Vec<Arc<str>>,
}

/// The containers' names in order, each once, without `own`.
fn named<'a>(
    containers: impl Iterator<Item = &'a ContainerRef>,
    own: Option<&ContainerRef>,
) -> Vec<Arc<str>> {
    let own = own.map(|own| &own.container);
    let names: BTreeSet<&Arc<str>> =
        containers.map(|of| &of.container).filter(|name| Some(*name) != own).collect();
    names.into_iter().cloned().collect()
}

/// Whether a number is one of this module's.
pub(super) fn is_local(socket: SocketId) -> bool {
    socket.0 >= FIRST && socket != SocketId::NONE
}

/// Where a path leads for a process; the files of a network namespace are a directory of their own here.
pub(super) fn place(netns: NetnsId, mounts: &Mounts, path: &str) -> Place {
    mounts.find(path).unwrap_or_else(|| (DirId(u32::MAX - netns.0), path.to_owned()))
}

impl<A: Actor> Simulation<A> {
    fn place_of(&self, process: ProcessId, path: &str) -> Place {
        let slot = &self.processes[process.index()];
        place(slot.netns, &slot.mounts, &self.absolute(process, path))
    }

    fn opened(&mut self, process: ProcessId, path: &str, kind: Kind) -> SocketId {
        self.locals.made += 1;
        let id = SocketId(FIRST + self.locals.made);
        let netns = self.processes[process.index()].netns;
        let inode = FIRST_INODE + self.locals.made;
        self.locals.open.insert(id, Open { process, netns, path: path.to_owned(), inode, kind });
        id
    }

    /// Writes down a UNIX socket as it stands now.
    fn show(&mut self, id: SocketId) {
        let Some(open) = self.locals.open.get(&id) else { return };
        let (peer, listens) = match &open.kind {
            Kind::Listener(_) => (0, true),
            Kind::Stream { peer, .. } => {
                (peer.and_then(|peer| self.locals.open.get(&peer)).map_or(0, |peer| peer.inode), false)
            }
            Kind::Reader(..) | Kind::Writer(_) => return,
        };
        let path = (!open.path.is_empty()).then(|| open.path.as_str().into());
        let row =
            UnixRow { netns: open.netns, inode: open.inode, peer, listens, path, holder: (open.process, 3) };
        let netns = open.netns;
        self.change(netns, TableChange::Ipc(Box::new(IpcChange::Unix(row))));
    }

    /// Writes down a change of what is no matter of the network's.
    pub fn note_change(&mut self, netns: NetnsId, change: TableChange) {
        self.change(netns, change);
    }

    /// The network namespace and the directories that a process sees.
    fn sight_of(&self, process: ProcessId) -> (NetnsId, Arc<Mounts>) {
        let slot = &self.processes[process.index()];
        (slot.netns, slot.mounts.clone())
    }

    /// Writes down that a way was used by a process, and with which others.
    fn used(&mut self, process: ProcessId, way: Way, (object, bytes): (&str, usize), with: &[ProcessId]) {
        let (netns, mounts) = self.sight_of(process);
        let others = self.containers_of(with, mounts.container.as_ref());
        self.used_in(netns, &mounts, Use { way, object, bytes, others });
    }

    /// Writes down that something was sent to a process as a signal.
    pub fn signalled(&mut self, process: ProcessId, to: ProcessId, name: &str) {
        let object = format!("{name} to PID {}", self.pid_of(to));
        self.used(process, Way::Signal, (&object, 0), &[to]);
    }

    /// Writes down that a process made an object of its IPC namespace, which all containers of the Pod share.
    pub fn made_object(&mut self, process: ProcessId, row: &IpcRow) {
        let (netns, mounts) = self.sight_of(process);
        let others = self.sharing(netns, &mounts, |_| true);
        let object = format!("id {}", row.id);
        self.used_in(netns, &mounts, Use { way: row.kind.way(), object: &object, bytes: 0, others });
    }

    /// Writes down a use by somebody who sees these directories.
    pub(super) fn used_in(&mut self, netns: NetnsId, mounts: &Mounts, used: Use<'_>) {
        let Use { way, object, bytes, others } = used;
        let container = mounts.container.clone();
        let row = UseRow { netns, container, others, way, object: object.into(), bytes: bytes as u32 };
        self.change(netns, TableChange::Ipc(Box::new(IpcChange::Used(row))));
    }

    /// Names of the containers that these processes run in, but for `own`.
    fn containers_of(&self, processes: &[ProcessId], own: Option<&ContainerRef>) -> Vec<Arc<str>> {
        let of = |process: &ProcessId| self.processes.get(process.index())?.mounts.container.as_ref();
        named(processes.iter().filter_map(of), own)
    }

    /// Names of the other containers of the Pod that these directories are a container's of, of those that `has` says.
    fn sharing(&self, netns: NetnsId, mounts: &Mounts, has: impl Fn(&Mounts) -> bool) -> Vec<Arc<str>> {
        let Some(own) = &mounts.container else { return Vec::new() };
        let running = self.processes.iter().filter(|slot| slot.netns == netns && slot.status.is_none());
        let sees = running.filter(|slot| has(&slot.mounts)).filter_map(|slot| slot.mounts.container.as_ref());
        named(sees.filter(|other| (&other.pod, other.uid) == (&own.pod, own.uid)), Some(own))
    }

    /// Names of the other containers that mount the directory in which this path lies.
    pub(super) fn mounting(&self, netns: NetnsId, mounts: &Mounts, path: &str) -> Vec<Arc<str>> {
        let Some((dir, _)) = mounts.find(path) else { return Vec::new() };
        self.sharing(netns, mounts, |other| other.volumes.iter().any(|mount| mount.dir == dir))
    }

    fn wake_soon(&mut self, process: ProcessId, wake: Wake) {
        self.queue.push(self.now, Urgency::Now, Task::Process(process, wake, 0));
    }

    fn wake_holder(&mut self, id: SocketId, wake: fn(SocketId) -> Wake) {
        if let Some(process) = self.locals.open.get(&id).map(|open| open.process) {
            self.wake_soon(process, wake(id));
        }
    }

    /// Whether a process holds this socket.
    pub(super) fn holds_local(&self, process: ProcessId, socket: SocketId) -> bool {
        self.locals.open.get(&socket).is_some_and(|open| open.process == process)
    }

    /// Whether a path is a named pipe.
    pub fn is_fifo(&self, netns: NetnsId, mounts: &Mounts, path: &str) -> bool {
        matches!(self.locals.places.get(&place(netns, mounts, path)), Some(Special::Fifo { .. }))
    }

    /// `mkfifo(3)`.
    pub fn make_fifo(&mut self, process: ProcessId, path: &str) -> Result<(), Errno> {
        let place = self.place_of(process, path);
        if self.locals.places.contains_key(&place) || self.trees.contains_key(&place) {
            return Err(Errno::Eexist);
        }
        let empty = Special::Fifo { data: Vec::new(), readers: Vec::new(), writers: Vec::new() };
        self.locals.places.insert(place, empty);
        Ok(())
    }

    /// `socket`, `bind` and `listen` on a path.
    pub(super) fn local_listen(&mut self, process: ProcessId, path: &str) -> Result<SocketId, Errno> {
        let place = self.place_of(process, path);
        if self.processes[process.index()].mounts.is_read_only(&self.absolute(process, path)) {
            return Err(Errno::Erofs);
        }
        if self.locals.places.contains_key(&place) || self.trees.contains_key(&place) {
            return Err(Errno::Eaddrinuse);
        }
        let id = self.opened(process, path, Kind::Listener(VecDeque::new()));
        self.locals.places.insert(place, Special::Socket(Some(id)));
        self.show(id);
        Ok(id)
    }

    /// `socket` and `connect` to a path.
    pub(super) fn local_connect(&mut self, process: ProcessId, path: &str) -> Result<SocketId, Errno> {
        let place = self.place_of(process, path);
        let listener = match self.locals.places.get(&place) {
            Some(Special::Socket(Some(listener))) => *listener,
            Some(Special::Socket(None) | Special::Fifo { .. }) => return Err(Errno::Econnrefused),
            None if self.trees.contains_key(&place) => return Err(Errno::Econnrefused),
            None => return Err(Errno::Enoent),
        };
        let Some(server) = self.locals.open.get(&listener).map(|open| open.process) else {
            return Err(Errno::Econnrefused);
        };
        let stream = |peer| Kind::Stream { peer, data: Vec::new(), ended: false };
        let own = self.opened(process, "", stream(None));
        let other = self.opened(server, path, stream(Some(own)));
        if let Some(Open { kind: Kind::Stream { peer, .. }, .. }) = self.locals.open.get_mut(&own) {
            *peer = Some(other);
        }
        if let Some(Open { kind: Kind::Listener(waiting), .. }) = self.locals.open.get_mut(&listener) {
            waiting.push_back(other);
        }
        self.show(own);
        self.show(other);
        self.used(process, Way::Unix, (path, 0), &[server]);
        self.wake_soon(server, Wake::Readable(listener));
        Ok(own)
    }

    /// `accept(2)`.
    pub(super) fn local_accept(&mut self, socket: SocketId) -> Result<SocketId, Errno> {
        match self.locals.open.get_mut(&socket) {
            Some(Open { kind: Kind::Listener(waiting), .. }) => waiting.pop_front().ok_or(Errno::Eagain),
            Some(_) => Err(Errno::Einval),
            None => Err(Errno::Ebadf),
        }
    }

    /// Opens one end of a named pipe. A writer is told by [`Wake::Writable`] when somebody reads.
    pub(super) fn fifo_open(
        &mut self,
        process: ProcessId,
        path: &str,
        writes: bool,
    ) -> Result<SocketId, Errno> {
        let place = self.place_of(process, path);
        if !matches!(self.locals.places.get(&place), Some(Special::Fifo { .. })) {
            return Err(Errno::Enoent);
        }
        let kind = if writes { Kind::Writer(place.clone()) } else { Kind::Reader(place.clone(), false) };
        let id = self.opened(process, path, kind);
        let Some(Special::Fifo { readers, writers, .. }) = self.locals.places.get_mut(&place) else {
            return Err(Errno::Enoent);
        };
        if writes {
            writers.push(id);
        } else {
            readers.push(id);
        }
        let (readers, writers) = (readers.clone(), writers.clone());
        // Each end waits in `open(2)` for the other one.
        if !readers.is_empty() && !writers.is_empty() {
            for writer in writers {
                self.wake_holder(writer, Wake::Writable);
            }
            for reader in readers {
                if let Some(Open { kind: Kind::Reader(_, met), .. }) = self.locals.open.get_mut(&reader) {
                    *met = true;
                }
            }
        }
        Ok(id)
    }

    /// `write(2)`: the bytes taken.
    pub(super) fn local_send(
        &mut self,
        process: ProcessId,
        socket: SocketId,
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        let open = self.locals.open.get(&socket).ok_or(Errno::Ebadf)?;
        let path = open.path.clone();
        match open.kind.clone() {
            Kind::Stream { peer: Some(peer), .. } => {
                let Some(Open { kind: Kind::Stream { data, .. }, path: theirs, process: holder, .. }) =
                    self.locals.open.get_mut(&peer)
                else {
                    return Err(Errno::Epipe);
                };
                let taken = bytes.len().min(CAPACITY.saturating_sub(data.len()));
                data.extend_from_slice(&bytes[..taken]);
                let named = if path.is_empty() { theirs.clone() } else { path };
                let holder = *holder;
                if taken == 0 {
                    return Err(Errno::Eagain);
                }
                self.used(process, Way::Unix, (&named, taken), &[holder]);
                self.wake_holder(peer, Wake::Readable);
                Ok(taken)
            }
            Kind::Writer(place) => {
                let Some(Special::Fifo { data, readers, .. }) = self.locals.places.get_mut(&place) else {
                    return Err(Errno::Epipe);
                };
                if readers.is_empty() {
                    return Err(Errno::Eagain);
                }
                let taken = bytes.len().min(CAPACITY.saturating_sub(data.len()));
                data.extend_from_slice(&bytes[..taken]);
                let readers = readers.clone();
                if taken == 0 {
                    return Err(Errno::Eagain);
                }
                let holders: Vec<ProcessId> = readers
                    .iter()
                    .filter_map(|reader| self.locals.open.get(reader))
                    .map(|open| open.process)
                    .collect();
                self.used(process, Way::Fifo, (&path, taken), &holders);
                for reader in readers {
                    self.wake_holder(reader, Wake::Readable);
                }
                Ok(taken)
            }
            Kind::Stream { peer: None, .. } => Err(Errno::Epipe),
            Kind::Listener(_) | Kind::Reader(..) => Err(Errno::Enotconn),
        }
    }

    /// `read(2)`: empty at the end, `Eagain` where nothing is there yet.
    pub(super) fn local_receive(&mut self, socket: SocketId, most: usize) -> Result<Vec<u8>, Errno> {
        let (place, met) = match self.locals.open.get_mut(&socket) {
            Some(Open { kind: Kind::Stream { data, ended, peer }, .. }) => {
                if data.is_empty() {
                    return if *ended || peer.is_none() { Ok(Vec::new()) } else { Err(Errno::Eagain) };
                }
                return Ok(data.drain(..most.min(data.len())).collect());
            }
            Some(Open { kind: Kind::Reader(place, met), .. }) => (place.clone(), *met),
            Some(_) => return Err(Errno::Enotconn),
            None => return Err(Errno::Ebadf),
        };
        let Some(Special::Fifo { data, writers, .. }) = self.locals.places.get_mut(&place) else {
            return Ok(Vec::new());
        };
        if data.is_empty() {
            return if met && writers.is_empty() { Ok(Vec::new()) } else { Err(Errno::Eagain) };
        }
        let taken: Vec<u8> = data.drain(..most.min(data.len())).collect();
        let writers = writers.clone();
        for writer in writers {
            self.wake_holder(writer, Wake::Writable);
        }
        Ok(taken)
    }

    /// The other end hears that no more will come.
    fn end_of(&mut self, peer: SocketId) {
        if let Some(Open { kind: Kind::Stream { ended, .. }, .. }) = self.locals.open.get_mut(&peer) {
            *ended = true;
        }
        self.wake_holder(peer, Wake::Readable);
    }

    /// `shutdown(2)` of the sending side.
    pub(super) fn local_shutdown(&mut self, socket: SocketId) -> Result<(), Errno> {
        match self.locals.open.get(&socket).ok_or(Errno::Ebadf)?.kind {
            Kind::Stream { peer: Some(peer), .. } => self.end_of(peer),
            Kind::Stream { peer: None, .. } | Kind::Listener(_) | Kind::Reader(..) | Kind::Writer(_) => {}
        }
        Ok(())
    }

    /// `close(2)`.
    pub(super) fn local_close(&mut self, socket: SocketId) {
        let Some(open) = self.locals.open.remove(&socket) else { return };
        match open.kind {
            Kind::Stream { peer, .. } => {
                if let Some(peer) = peer {
                    self.end_of(peer);
                    if let Some(Open { kind: Kind::Stream { peer, .. }, .. }) =
                        self.locals.open.get_mut(&peer)
                    {
                        *peer = None;
                    }
                }
            }
            Kind::Listener(waiting) => {
                for special in self.locals.places.values_mut() {
                    if matches!(special, Special::Socket(Some(by)) if *by == socket) {
                        *special = Special::Socket(None);
                    }
                }
                for stream in waiting {
                    self.local_close(stream);
                }
            }
            Kind::Reader(place, _) | Kind::Writer(place) => {
                let Some(Special::Fifo { readers, writers, data }) = self.locals.places.get_mut(&place)
                else {
                    return;
                };
                readers.retain(|end| *end != socket);
                writers.retain(|end| *end != socket);
                if readers.is_empty() && writers.is_empty() {
                    data.clear();
                }
                let (readers, is_over) = (readers.clone(), writers.is_empty());
                for reader in readers.into_iter().filter(|_| is_over) {
                    self.wake_holder(reader, Wake::Readable);
                }
                return;
            }
        }
        let gone = IpcChange::UnixGone(open.netns, open.inode);
        self.change(open.netns, TableChange::Ipc(Box::new(gone)));
    }

    /// The kernel closes what a program left open.
    pub(super) fn close_locals_of(&mut self, process: ProcessId) {
        let held = self.locals.open.iter().filter(|(_, open)| open.process == process);
        let held: Vec<SocketId> = held.map(|(id, _)| *id).collect();
        for id in held {
            self.local_close(id);
        }
    }

    /// `flock(2)` without waiting; whether the lock is the process's now.
    pub fn try_lock(&mut self, process: ProcessId, path: &str) -> bool {
        let place = self.place_of(process, path);
        let is_free = self.locals.locks.get(&place).is_none_or(|by| *by == process);
        if is_free {
            self.trees.entry(place.clone()).or_default();
            self.locals.locks.insert(place, process);
            let (netns, mounts) = self.sight_of(process);
            let others = self.mounting(netns, &mounts, path);
            self.used_in(netns, &mounts, Use { way: Way::Lock, object: path, bytes: 0, others });
        }
        is_free
    }

    /// Makes an empty file at a path.
    ///
    /// # Errors
    /// As for writing one.
    pub fn touch(&mut self, process: ProcessId, path: &str) -> Result<(), Errno> {
        self.put_bytes(process, path, Vec::new())
    }

    /// Writes a file as this process sees it.
    ///
    /// # Errors
    /// As for writing one.
    pub fn put_bytes(&mut self, process: ProcessId, path: &str, bytes: Vec<u8>) -> Result<(), Errno> {
        let (netns, mounts) = (self.netns_of(process), self.processes[process.index()].mounts.clone());
        let path = self.absolute(process, path);
        self.put_file(netns, &mounts, &path, bytes)
    }

    /// Takes away what is at a path; whether there was anything.
    pub fn unlink(&mut self, process: ProcessId, path: &str) -> bool {
        let place = self.place_of(process, path);
        let special = self.locals.places.remove(&place).is_some();
        self.trees.remove(&place).is_some() || special
    }

    /// Gives a lock back.
    pub fn unlock(&mut self, process: ProcessId, path: &str) {
        let place = self.place_of(process, path);
        if self.locals.locks.get(&place) == Some(&process) {
            self.locals.locks.remove(&place);
        }
    }
}
