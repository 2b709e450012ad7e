//! Rows of what the containers of a Pod talk by beside the network: System V objects of their IPC namespace, UNIX
//! sockets, and each use of one of these ways.

use super::ContainerRef;
use crate::base::words::{self, Lang};
use crate::base::{NetnsId, ProcessId};
use std::fmt;
use std::sync::Arc;

/// A way to talk inside one Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// A UNIX domain socket (`unix(7)`).
    Unix,
    /// A named pipe (`fifo(7)`).
    Fifo,
    /// A System V shared memory segment (`shmget(2)`).
    SharedMemory,
    /// A System V set of semaphores (`semget(2)`).
    Semaphore,
    /// A System V message queue (`msgget(2)`).
    MessageQueue,
    /// A file in memory: `/dev/shm`, or a volume with `medium: Memory` (`tmpfs(5)`), which is what `shm_open(3)` and
    /// mapped files work on.
    MemoryFile,
    /// A POSIX message queue, as a file under `/dev/mqueue` (`mq_overview(7)`).
    PosixQueue,
    /// A file on a volume that several containers mount.
    File,
    /// A lock on such a file (`flock(2)`).
    Lock,
    /// A signal (`kill(2)`).
    Signal,
}

/// All ways, in the order in which they are shown.
pub const WAYS: [Way; 10] = [
    Way::Unix,
    Way::Fifo,
    Way::SharedMemory,
    Way::Semaphore,
    Way::MessageQueue,
    Way::PosixQueue,
    Way::MemoryFile,
    Way::File,
    Way::Lock,
    Way::Signal,
];

/// What the data passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The kernel only: no packet, no file.
    Kernel,
    /// Memory that both see: nothing is carried at all.
    Memory,
    /// A file system.
    File,
}

impl Way {
    /// The key of its name in the catalogues (`ipc.way.KEY`).
    pub fn key(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Fifo => "fifo",
            Self::SharedMemory => "shm",
            Self::Semaphore => "sem",
            Self::MessageQueue => "msg",
            Self::MemoryFile => "memory",
            Self::PosixQueue => "mqueue",
            Self::File => "file",
            Self::Lock => "lock",
            Self::Signal => "signal",
        }
    }

    /// What its data passes through.
    pub fn path(self) -> Path {
        match self {
            Self::Unix
            | Self::Fifo
            | Self::Semaphore
            | Self::MessageQueue
            | Self::PosixQueue
            | Self::Signal => Path::Kernel,
            Self::SharedMemory | Self::MemoryFile => Path::Memory,
            Self::File | Self::Lock => Path::File,
        }
    }

    /// How often the bytes are copied on their way from one program's memory to the other's.
    pub fn copies(self) -> u8 {
        match self {
            Self::Unix | Self::Fifo | Self::MessageQueue | Self::PosixQueue | Self::File => 2,
            Self::SharedMemory | Self::Semaphore | Self::MemoryFile | Self::Lock | Self::Signal => 0,
        }
    }
}

impl Path {
    /// The key of its name in the catalogues (`ipc.path.KEY`).
    pub fn key(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Memory => "memory",
            Self::File => "file",
        }
    }
}

/// Kinds of System V objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpcKind {
    /// Shared memory.
    Shm,
    /// Semaphores.
    Sem,
    /// Messages.
    Msg,
}

impl IpcKind {
    /// The way that it is.
    pub fn way(self) -> Way {
        match self {
            Self::Shm => Way::SharedMemory,
            Self::Sem => Way::Semaphore,
            Self::Msg => Way::MessageQueue,
        }
    }
}

/// A System V object, as `ipcs` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpcRow {
    /// The network namespace of the sandbox whose IPC namespace it is in.
    pub netns: NetnsId,
    /// Kind.
    pub kind: IpcKind,
    /// Number that the kernel gave it.
    pub id: u32,
    /// Key by which programs find it.
    pub key: u32,
    /// Bytes of memory, or number of semaphores; 0 for a queue.
    pub size: u32,
    /// Permissions.
    pub mode: u16,
}

/// A UNIX socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixRow {
    /// The network namespace in which it was opened.
    pub netns: NetnsId,
    /// Its number in the file system of sockets.
    pub inode: u32,
    /// That of the other end; 0 for none.
    pub peer: u32,
    /// Whether it takes connections.
    pub listens: bool,
    /// The path it is bound to.
    pub path: Option<Arc<str>>,
    /// The process that holds it, and the number under which it does.
    pub holder: (ProcessId, u32),
}

/// One use of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseRow {
    /// The network namespace of the process.
    pub netns: NetnsId,
    /// The container that used it; `None` on a node.
    pub container: Option<ContainerRef>,
    /// Names of the Pod's containers at the other end: the one that holds it where the way has two ends, else all that
    /// can look there.
    pub others: Vec<Arc<str>>,
    /// The way.
    pub way: Way,
    /// Path, number or name of what was used.
    pub object: Arc<str>,
    /// Bytes that were passed on.
    pub bytes: u32,
}

/// Something that happened within a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpcChange {
    /// A System V object came.
    Object(IpcRow),
    /// A System V object was taken away.
    ObjectGone(NetnsId, IpcKind, u32),
    /// A UNIX socket came or changed.
    Unix(UnixRow),
    /// A UNIX socket was closed.
    UnixGone(NetnsId, u32),
    /// A way was used.
    Used(UseRow),
}

impl IpcChange {
    /// The namespace it belongs to.
    pub fn netns(&self) -> NetnsId {
        match self {
            Self::Object(IpcRow { netns, .. })
            | Self::Unix(UnixRow { netns, .. })
            | Self::Used(UseRow { netns, .. })
            | Self::ObjectGone(netns, ..)
            | Self::UnixGone(netns, _) => *netns,
        }
    }
}

impl fmt::Display for IpcChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(row) => {
                write!(
                    f,
                    "ipc {} id {} key {:#010x} size {}",
                    row.kind.way().key(),
                    row.id,
                    row.key,
                    row.size
                )
            }
            Self::ObjectGone(_, kind, id) => write!(f, "ipc {} id {id} gone", kind.way().key()),
            Self::Unix(row) => {
                let path = row.path.as_deref().unwrap_or("*");
                write!(f, "unix socket {} {path} peer {}", row.inode, row.peer)
            }
            Self::UnixGone(_, inode) => write!(f, "unix socket {inode} gone"),
            Self::Used(row) => {
                let (way, path) = (row.way.key(), row.way.path().key());
                write!(f, "within the pod: {way} {} {} bytes, path {path}", row.object, row.bytes)?;
                let Some(from) = &row.container else { return Ok(()) };
                write!(f, ", {} to {}", from.container, row.others.join(" "))
            }
        }
    }
}

/// What a namespace's state holds of all this.
#[derive(Clone, Debug, Default)]
pub struct Ipc {
    /// System V objects by kind and number.
    pub objects: std::collections::BTreeMap<(IpcKind, u32), IpcRow>,
    /// How many objects of each kind were ever made here, from which their numbers follow.
    pub made: std::collections::BTreeMap<IpcKind, u32>,
    /// UNIX sockets by their number.
    pub unix: std::collections::BTreeMap<u32, UnixRow>,
    /// How often each way was used, with all bytes.
    pub used: std::collections::BTreeMap<Way, (u32, u64)>,
}

impl Ipc {
    /// Takes a change in.
    pub fn apply(&mut self, change: &IpcChange) {
        match change {
            IpcChange::Object(row) => {
                *self.made.entry(row.kind).or_default() += 1;
                self.objects.insert((row.kind, row.id), row.clone());
            }
            IpcChange::ObjectGone(_, kind, id) => {
                self.objects.remove(&(*kind, *id));
            }
            IpcChange::Unix(row) => {
                self.unix.insert(row.inode, row.clone());
            }
            IpcChange::UnixGone(_, inode) => {
                self.unix.remove(inode);
            }
            IpcChange::Used(row) => {
                let (count, bytes) = self.used.entry(row.way).or_default();
                (*count, *bytes) = (*count + 1, *bytes + u64::from(row.bytes));
            }
        }
    }
}

/// Key and arguments of the sentence for a change; `of` names a namespace.
pub(super) fn sentence(
    change: &IpcChange,
    of: &dyn Fn(NetnsId) -> String,
    lang: Lang,
) -> (&'static str, Vec<String>) {
    let place = of(change.netns());
    let name = |way: Way| words::word(lang, &format!("ipc.way.{}", way.key()));
    match change {
        IpcChange::Object(row) => {
            let key = format!("{:#010x}", row.key);
            let args = vec![place, name(row.kind.way()), row.id.to_string(), key, row.size.to_string()];
            ("ipc_object", args)
        }
        IpcChange::ObjectGone(_, kind, id) => {
            ("ipc_object_gone", vec![place, name(kind.way()), id.to_string()])
        }
        IpcChange::Unix(row) => {
            let path = row.path.as_deref().unwrap_or("-").to_owned();
            ("ipc_unix", vec![place, row.inode.to_string(), path])
        }
        IpcChange::UnixGone(_, inode) => ("ipc_unix_gone", vec![place, inode.to_string()]),
        IpcChange::Used(row) => {
            let path = words::word(lang, &format!("ipc.path.{}", row.way.path().key()));
            let needs = words::word(lang, &format!("ipc.needs.{}", row.way.key()));
            let (bytes, copies) = (row.bytes.to_string(), row.way.copies().to_string());
            let from =
                row.container.as_ref().map_or(place, |from| format!("{}/{}", from.pod, from.container));
            let others = match row.others.as_slice() {
                [] => words::word(lang, "ipc.nobody"),
                others => others.join(", "),
            };
            (
                "ipc_used",
                vec![from, name(row.way), row.object.to_string(), bytes, path, copies, needs, others],
            )
        }
    }
}
