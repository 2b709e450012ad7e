//! Processes: from their beginning to their end, with their PID namespaces, files and signals.

use super::local::Use;
use super::names::Names;
use super::pipes::PipeEnd;
use super::terminal::Typed;
use super::{Simulation, Task};
use crate::agent::{Actor, Console, Environment, Exit, Launch, Mounts, Wakeup};
use crate::app::resolver::Libc;
use crate::app::{Process, Wake};
use crate::base::{DirId, Duration, EventId, NetnsId, PidNsId, ProcessId, SimTime};
use crate::cluster::images;
use crate::kernel::{Errno, Urgency, User};
use crate::trace::{ContainerRef, EventKind, Output, ProcessRow, Stream, TableChange};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A run waits for what a main process does in this time after its start: as long as it may need to come up or to fail.
/// What it does by timers later, it does for itself.
const COMING_UP: Duration = Duration::from_secs(5);
/// The first number that a machine's processes get here; those below are the system's.
const FIRST_PID_OF_MACHINE: u32 = 1000;
/// Directories at the top that images have.
const DIRECTORIES: [&str; 21] = [
    "", "bin", "boot", "data", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr", "var", "lib64",
];
/// Those of them that are empty at first.
const BARE_DIRECTORIES: [&str; 8] = ["boot", "home", "media", "mnt", "opt", "root", "srv", "tmp"];

/// Standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// A terminal; what was typed at it and not yet read is kept beside it.
    Terminal,
    /// A pipe or file with this content.
    Content(Vec<u8>),
    /// A pipe that another process writes to: what has come and was not yet read; whether its end has come.
    Pipe(Vec<u8>, bool),
}

/// A signal that a user sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGINT`.
    Interrupt,
    /// `SIGTERM`.
    Terminate,
    /// `SIGKILL`.
    Kill,
}

/// Where standard error goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stderr {
    /// To the terminal, or to the log of a container.
    #[default]
    Own,
    /// Where standard output goes.
    WithOutput,
    /// Nowhere.
    Nowhere,
}

/// A process.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Slot {
    pub(super) netns: NetnsId,
    pub(super) process: Option<Box<dyn Process>>,
    /// Exit status, once it ended.
    pub(super) status: Option<u8>,
    pub(super) began: EventId,
    /// Timers set, each with the number that tells an outdated one.
    pub(super) timers: BTreeMap<u32, u64>,
    pub(super) pidns: PidNsId,
    pub(super) pid: u32,
    pub(super) mounts: Arc<Mounts>,
    /// Whom it runs as.
    pub(super) user: User,
    /// Environment variables.
    pub(super) variables: Arc<[(String, String)]>,
    pub(super) stdin: Stdin,
    /// What was typed at its terminal and not yet read.
    pub(super) typed: VecDeque<Typed>,
    /// Whether the program asked for what is typed at the terminal, and there was nothing.
    pub(super) awaits_input: bool,
    /// The working directory.
    pub(super) directory: Arc<str>,
    /// Where it reads from where nothing else is said.
    pub(super) console: Console,
    /// Who is told when it writes or ends.
    pub(super) watchers: Vec<ProcessId>,
    /// Whether standard output is a terminal.
    pub(super) is_terminal: bool,
    /// Text of standard output that is kept for the next command of a pipe.
    pub(super) kept: Option<String>,
    /// Where standard output goes, where that is a pipe that another process reads as it comes.
    pub(super) pipe: Option<PipeEnd>,
    stderr: Stderr,
    /// Whether nobody waits for what its timers do: a probe's, for the next one comes anyway.
    is_patient: bool,
    /// When a main process was started; `None` for what a user runs.
    pub(super) main_since: Option<SimTime>,
    /// Whether a shell waits for the program, so that signals reach the shell.
    pub(super) has_shell: bool,
    /// Names that it looks up.
    pub(super) names: Names,
    container: Option<ContainerRef>,
    /// Whether another process started it in the background.
    is_child: bool,
    /// The process whose terminal or log it writes to: itself, or the one that started it.
    writes_as: ProcessId,
    /// Its command line, where a row of the process table has it.
    args: Option<Arc<str>>,
}

impl Slot {
    /// Standard input where nothing else is said.
    fn own_stdin(&self) -> Stdin {
        match self.console {
            Console::Closed => Stdin::Content(Vec::new()),
            Console::Pipe | Console::Terminal => Stdin::Terminal,
        }
    }
}

impl<A: Actor> Simulation<A> {
    /// Makes room for a process in a namespace and writes down that it began. It does nothing until it is given a
    /// program.
    pub fn begin(&mut self, netns: NetnsId, environment: &Environment) -> ProcessId {
        let id = ProcessId(self.processes.len() as u32);
        let is_musl = environment.image.as_deref().is_some_and(images::has_musl);
        let libc = if is_musl { Libc::Musl } else { Libc::Glibc };
        let began = self.note(netns, EventKind::Started(id));
        let next_pid = &mut self.next_pids[environment.pidns.index()];
        let pid = *next_pid;
        *next_pid += 1;
        self.processes.push(Slot {
            netns,
            process: None,
            status: None,
            began,
            timers: BTreeMap::new(),
            pidns: environment.pidns,
            pid,
            mounts: environment.mounts.clone(),
            user: environment.user,
            variables: environment.variables.clone(),
            stdin: Stdin::Terminal,
            typed: VecDeque::new(),
            awaits_input: false,
            directory: environment.directory.clone(),
            console: Console::Terminal,
            watchers: Vec::new(),
            is_terminal: true,
            kept: None,
            pipe: None,
            stderr: Stderr::Own,
            is_patient: false,
            main_since: None,
            has_shell: false,
            names: Names::new(libc),
            container: None,
            is_child: false,
            writes_as: id,
            args: None,
        });
        id
    }

    /// Has a process go on in another namespace, as `kubectl exec` has a command run in a container. *Simplified*: the
    /// client and the command are one process.
    pub fn enter(&mut self, id: ProcessId, netns: NetnsId, environment: &Environment) {
        let next_pid = &mut self.next_pids[environment.pidns.index()];
        let pid = *next_pid;
        *next_pid += 1;
        let slot = &mut self.processes[id.index()];
        (slot.netns, slot.pidns, slot.pid) = (netns, environment.pidns, pid);
        slot.mounts = environment.mounts.clone();
        slot.user = environment.user;
        slot.variables = environment.variables.clone();
        slot.directory = environment.directory.clone();
    }

    /// What processes of a machine see.
    pub fn machine(&mut self, netns: NetnsId) -> Environment {
        if let Some(known) = self.machines.get(&netns) {
            return known.clone();
        }
        let pidns = self.add_pidns(FIRST_PID_OF_MACHINE);
        let mounts = Mounts::bare(self.add_dir());
        let environment = Environment::machine(pidns, mounts);
        self.machines.insert(netns, environment.clone());
        environment
    }

    pub(super) fn add_pidns(&mut self, first: u32) -> PidNsId {
        self.next_pids.push(first);
        PidNsId(self.next_pids.len() as u32 - 1)
    }

    pub(super) fn add_dir(&mut self) -> DirId {
        self.n_dirs += 1;
        DirId(self.n_dirs - 1)
    }

    /// Makes room for a main process; whoever runs commands is to start it.
    pub(super) fn add_main(&mut self, launch: Launch) -> ProcessId {
        let id = self.begin(launch.netns, &launch.environment);
        let slot = &mut self.processes[id.index()];
        slot.main_since = Some(self.now);
        slot.is_patient = launch.probe.is_some();
        slot.console = launch.console;
        slot.is_terminal = launch.console == Console::Terminal;
        slot.stdin = slot.own_stdin();
        slot.container.clone_from(&launch.container);
        self.launches.push((id, launch));
        id
    }

    /// Main processes to be started since this was last asked.
    pub fn take_launches(&mut self) -> Vec<(ProcessId, Launch)> {
        std::mem::take(&mut self.launches)
    }

    /// Has a process run this program from now on, under this command line.
    pub fn run(&mut self, id: ProcessId, program: Box<dyn Process>, args: &str) {
        let args = program.title(args).unwrap_or_else(|| args.to_owned());
        let slot = &mut self.processes[id.index()];
        slot.process = Some(program);
        slot.awaits_input = false;
        slot.timers.clear();
        self.announce(id, &args);
        self.queue.push(self.now, Urgency::Now, Task::Process(id, Wake::Start, 0));
    }

    /// A process that another one started in the background: what it does counts as the other's.
    pub fn begin_child(&mut self, netns: NetnsId, environment: &Environment, parent: ProcessId) -> ProcessId {
        let id = self.begin(netns, environment);
        let Slot { main_since, writes_as, is_terminal, ref directory, .. } = self.processes[parent.index()];
        let directory = directory.clone();
        let slot = &mut self.processes[id.index()];
        (slot.writes_as, slot.is_terminal, slot.directory) = (writes_as, is_terminal, directory);
        (slot.is_child, slot.main_since) = (true, main_since.or(Some(self.now)));
        slot.console = Console::Closed;
        id
    }

    /// Writes down the command line of a process in the process table, where it changed.
    pub fn announce(&mut self, id: ProcessId, args: &str) {
        let slot = &mut self.processes[id.index()];
        if slot.args.as_deref() == Some(args) {
            return;
        }
        slot.args = Some(args.into());
        let row = ProcessRow {
            process: id,
            netns: slot.netns,
            pidns: slot.pidns,
            pid: slot.pid,
            container: slot.container.clone(),
            args: args.into(),
            started: self.trace.event(slot.began).at,
        };
        let netns = slot.netns;
        self.change(netns, TableChange::Process(Box::new(row)));
    }

    /// Sets standard input, whether standard output is kept for a pipe or a file, and where standard error goes.
    pub fn redirect(&mut self, id: ProcessId, stdin: Option<Stdin>, keeps: bool, stderr: Stderr) {
        let slot = &mut self.processes[id.index()];
        slot.stdin = stdin.unwrap_or_else(|| slot.own_stdin());
        self.redirect_output(id, keeps, stderr);
    }

    /// Sets whether standard output is kept for a pipe or a file, and where standard error goes.
    pub fn redirect_output(&mut self, id: ProcessId, keeps: bool, stderr: Stderr) {
        let slot = &mut self.processes[id.index()];
        slot.is_terminal = !keeps && slot.console == Console::Terminal;
        slot.stderr = stderr;
        if keeps {
            slot.kept.get_or_insert_default();
        } else {
            slot.kept = None;
        }
    }

    /// What a process wrote to a pipe or a file.
    pub fn take_kept(&mut self, id: ProcessId) -> String {
        self.processes[id.index()].kept.take().unwrap_or_default()
    }

    /// Gives back what a process wrote before.
    pub fn keep(&mut self, id: ProcessId, text: String) {
        if !text.is_empty() {
            self.processes[id.index()].kept = Some(text);
        }
    }

    /// Whether it is a main process, or was started by one in the background.
    pub fn is_main(&self, id: ProcessId) -> bool {
        self.processes[id.index()].main_since.is_some()
    }

    /// Standard output of a process is no terminal, though what it writes shows on one.
    pub fn leave_terminal(&mut self, id: ProcessId) {
        self.processes[id.index()].is_terminal = false;
    }

    /// Whether standard output of a process is a terminal.
    pub fn is_terminal(&self, id: ProcessId) -> bool {
        self.processes[id.index()].is_terminal
    }

    /// Number of a process in its PID namespace.
    pub fn pid_of(&self, id: ProcessId) -> u32 {
        self.processes[id.index()].pid
    }

    /// Says whether a shell waits for the program of this process.
    pub fn set_shell(&mut self, id: ProcessId, has_shell: bool) {
        self.processes[id.index()].has_shell = has_shell;
    }

    /// Sends a signal.
    pub fn signal(&mut self, id: ProcessId, signal: Signal) {
        match signal {
            Signal::Interrupt => self.interrupt(id),
            Signal::Terminate => self.send_term(id),
            Signal::Kill => self.send_kill(id),
        }
    }

    /// The process with this number in the PID namespace of `near`.
    pub fn process_of(&self, near: ProcessId, pid: u32) -> Option<ProcessId> {
        let pidns = self.processes[near.index()].pidns;
        let is_it = |slot: &Slot| slot.pidns == pidns && slot.pid == pid;
        self.processes.iter().position(is_it).map(|index| ProcessId(index as u32))
    }

    /// Wakes a process with SIGINT.
    pub fn interrupt(&mut self, id: ProcessId) {
        self.queue.push(self.now, Urgency::Now, Task::Process(id, Wake::Interrupt, 0));
    }

    /// Sends SIGTERM. The first process of a PID namespace gets only what it handles, and a shell that waits for a
    /// command does not hand it on.
    pub(super) fn send_term(&mut self, id: ProcessId) {
        let slot = &self.processes[id.index()];
        let handles = slot.process.as_ref().is_some_and(|process| process.handles_termination());
        if slot.status.is_none() && !(slot.pid == 1 && (slot.has_shell || !handles)) {
            self.queue.push(self.now, Urgency::Now, Task::Process(id, Wake::Terminate, 0));
        }
    }

    /// Sends SIGKILL.
    pub(super) fn send_kill(&mut self, id: ProcessId) {
        let slot = &mut self.processes[id.index()];
        if slot.status.is_some() {
            return;
        }
        slot.process = None;
        slot.timers.clear();
        let netns = slot.netns;
        self.close_sockets(netns, id);
        self.close_captures(id);
        self.end(id, 137);
    }

    /// The kernel closes what a process left open.
    pub(super) fn close_sockets(&mut self, netns: NetnsId, id: ProcessId) {
        self.administer(netns, |netns, ctx| netns.close_sockets_of(ctx, id));
        self.close_locals_of(id);
        self.close_abroad(id);
    }

    /// Writes text for a process.
    pub fn write(&mut self, process: ProcessId, stream: Stream, text: &str) {
        if text.is_empty() {
            return;
        }
        let slot = &mut self.processes[process.index()];
        match (stream, slot.stderr, &mut slot.kept) {
            (Stream::Stderr, Stderr::Nowhere, _) => return,
            (Stream::Stdout, _, Some(kept))
            // The terminal at the other end shows what is typed, as part of its output.
            | (Stream::Stderr | Stream::Echo, Stderr::WithOutput, Some(kept)) => {
                kept.push_str(text);
                return;
            }
            _ => {}
        }
        let stream = if stream == Stream::Stderr && slot.stderr == Stderr::WithOutput {
            Stream::Stdout
        } else {
            stream
        };
        if slot.pipe.is_some() && stream == Stream::Stdout {
            return self.write_to_pipe(process, text);
        }
        let slot = &self.processes[process.index()];
        let (netns, process) = (slot.netns, slot.writes_as);
        let output = self.trace.write(Output { process, stream, text: text.to_owned() });
        self.note(netns, EventKind::Wrote(output));
        self.tell_watchers(process);
    }

    /// Ends a process for good, with this status.
    pub fn end(&mut self, process: ProcessId, status: u8) {
        self.end_with(process, status, Exit::Status(status));
    }

    /// Ends a main process that never began, because its image has no such program.
    pub fn end_unknown(&mut self, process: ProcessId, program: &str) {
        self.end_with(process, 128, Exit::NoSuchProgram(program.to_owned()));
    }

    fn end_with(&mut self, process: ProcessId, status: u8, exit: Exit) {
        let slot = &mut self.processes[process.index()];
        slot.status = Some(status);
        slot.process = None;
        self.close_pipe_of(process);
        let slot = &mut self.processes[process.index()];
        let is_main = slot.main_since.is_some() && !slot.is_child;
        let (netns, first, pidns) = (slot.netns, slot.pid == 1, slot.pidns);
        let had_row = slot.args.take().is_some();
        self.note(netns, EventKind::Exited(process, status));
        self.tell_watchers(process);
        if had_row {
            self.change(netns, TableChange::ProcessGone(process));
        }
        self.locals.locks.retain(|_, by| *by != process);
        if first {
            // With the first process of a PID namespace all others there end (`pid_namespaces(7)`).
            let others = self.processes.iter().enumerate();
            let others: Vec<ProcessId> = others
                .filter(|(_, slot)| slot.pidns == pidns && slot.status.is_none())
                .map(|(index, _)| ProcessId(index as u32))
                .collect();
            for other in others {
                self.send_kill(other);
            }
        }
        if is_main {
            self.tell(Wakeup::Exited(process, exit));
        }
    }

    /// Programs that ended since this was last asked, with their status. Their process lives on until [`Self::end`].
    pub fn take_ended(&mut self) -> Vec<(ProcessId, u8)> {
        std::mem::take(&mut self.ended)
    }

    /// The namespace of a process.
    pub fn netns_of(&self, process: ProcessId) -> NetnsId {
        self.processes[process.index()].netns
    }

    /// Exit status of a process that ended.
    pub fn status(&self, process: ProcessId) -> Option<u8> {
        self.processes.get(process.index())?.status
    }

    /// The event with which a process began.
    pub fn began(&self, process: ProcessId) -> Option<EventId> {
        self.processes.get(process.index()).map(|slot| slot.began)
    }

    /// How pressing a timer is that goes off at `at`.
    pub(super) fn urgency_of_timer(&self, process: ProcessId, at: SimTime) -> Urgency {
        let slot = &self.processes[process.index()];
        match slot.main_since {
            _ if slot.is_patient => Urgency::Background,
            Some(since) if at > since + COMING_UP => Urgency::Background,
            Some(_) | None => Urgency::Now,
        }
    }

    /// A file as a process sees it, as text.
    pub fn file_of(&self, netns: NetnsId, mounts: &Mounts, path: &str) -> Option<Cow<'_, str>> {
        self.bytes_of(netns, mounts, path).map(String::from_utf8_lossy)
    }

    /// The bytes of a file as a process sees it.
    pub fn bytes_of(&self, netns: NetnsId, mounts: &Mounts, path: &str) -> Option<&[u8]> {
        let shared = || self.file(netns, path).map(String::as_bytes);
        match mounts.find(path) {
            Some(place) => self.trees.get(&place).map(Vec::as_slice).or_else(shared),
            None => shared(),
        }
    }

    /// Writes a file for a process, where it may and the directory is there.
    pub fn put_file(
        &mut self,
        netns: NetnsId,
        mounts: &Mounts,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<(), Errno> {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        // A file system that is read-only is told of first.
        if !mounts.is_read_only(path) && !self.is_directory(mounts, directory) {
            return Err(Errno::Enoent);
        }
        self.make_file(netns, mounts, path, bytes)
    }

    /// Writes a file for a process, where it may, and makes the directories that it lies in.
    pub fn make_file(
        &mut self,
        netns: NetnsId,
        mounts: &Mounts,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<(), Errno> {
        if mounts.is_read_only(path) {
            return Err(Errno::Erofs);
        }
        // What several containers see may be meant for another of them.
        if let Some(way) = mounts.way(path) {
            let others = self.mounting(netns, mounts, path);
            self.used_in(netns, mounts, Use { way, object: path, bytes: bytes.len(), others });
        }
        if let Some(place) = mounts.find(path) {
            self.trees.insert(place, bytes);
        } else {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            self.files.insert((netns, path.to_owned()), text);
        }
        Ok(())
    }

    /// The files that lie below a directory as a process sees it, by their paths from there, in order.
    pub fn files_below(&self, mounts: &Mounts, path: &str) -> Vec<String> {
        let inside = format!("{}/", path.trim_end_matches('/'));
        let mut found = BTreeSet::new();
        // A volume that is mounted further below hides what lies there.
        let mounted = mounts.volumes.iter().filter(|mount| mount.path.starts_with(&inside));
        let tops = std::iter::once(inside.clone()).chain(mounted.map(|mount| format!("{}/", mount.path)));
        for top in tops {
            let Some((dir, begin)) = mounts.find(&top) else { continue };
            let from = self.trees.range((dir, begin.clone())..);
            let below = from.take_while(|(place, _)| place.0 == dir && place.1.starts_with(&begin));
            for (place, _) in below {
                let whole = format!("{top}{}", &place.1[begin.len()..]);
                if mounts.find(&whole).as_ref() == Some(place) {
                    found.insert(whole[inside.len()..].to_owned());
                }
            }
        }
        found.into_iter().collect()
    }

    /// Whether a path is certain to be a directory: a volume, one that holds something, or one at the root.
    pub fn holds_files(&self, mounts: &Mounts, path: &str) -> bool {
        let top = path.strip_prefix('/').is_some_and(|rest| DIRECTORIES.contains(&rest));
        let inside = format!("{}/", path.trim_end_matches('/'));
        let below = |place: (DirId, String)| {
            let from = (place.0, inside.clone());
            let next = self.trees.range(from..).next();
            next.is_some_and(|(at, _)| at.0 == place.0 && at.1.starts_with(&inside))
        };
        top || mounts.volumes.iter().any(|mount| format!("{}/", mount.path).starts_with(&inside))
            || mounts.find(path).is_some_and(below)
    }

    /// Whether there is a directory: a volume, one that holds something, or one that images have. *Simplified*: what
    /// lies below most of these is taken to be there too.
    pub fn is_directory(&self, mounts: &Mounts, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else { return true };
        let top = rest.split('/').next().unwrap_or("");
        let is_known = DIRECTORIES.contains(&top) && (rest == top || !BARE_DIRECTORIES.contains(&top));
        let inside = format!("{path}/");
        let holds = |place: &(DirId, String)| {
            let from = (place.0, inside.clone());
            self.trees
                .range(from..)
                .next()
                .is_some_and(|(at, _)| at.0 == place.0 && at.1.starts_with(&inside))
        };
        is_known
            || mounts.volumes.iter().any(|mount| format!("{}/", mount.path).starts_with(&inside))
            || mounts.find(path).is_some_and(|place| place.0 != mounts.own || holds(&place))
    }
}
