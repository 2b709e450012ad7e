//! Commands that reach into containers without going there: `kubectl logs -f`, `attach`, `run --attach` and `cp`.

use super::script::Step;
use super::{Lab, Target};
use crate::agent::{Console, Environment};
use crate::app::prompt::Watching;
use crate::app::sleep::Sleep;
use crate::base::{Duration, NetnsId, ProcessId};
use crate::cluster::images::{self, Tools};
use crate::kernel::Errno;
use crate::shell::{Copying, Follow, Followed, Way};
use crate::sim::Typed;
use crate::trace::{ContainerState, ProcessRow, Stream};

/// How often new output is looked for.
const LOOKS: Duration = Duration::from_ms(50);

impl Lab {
    /// Begins to show what a container writes.
    pub(super) fn follow(&mut self, process: ProcessId, follow: Follow) -> Option<u8> {
        for (stream, text) in follow.output {
            self.sim.write(process, stream, &text);
        }
        // A terminal that is attached to from one gets its size, upon which a shell writes its prompt again.
        if let (Some(main), None) = (self.fed(&follow.followed), &follow.before)
            && self.reads_terminal(process)
            && self.waits(main)
            && self.sim.console(main) == Console::Terminal
            && self.dialect(main).edits_lines()
        {
            self.ask(main);
        }
        let script = self.scripts.get_mut(&process)?;
        script.steps.push(Step::Follow(Box::new(follow.followed)));
        let title = script.title.clone();
        let Some(before) = follow.before else { return Some(0) };
        self.sim.run(process, before.0, &title);
        None
    }

    /// Shows what was written since, and looks again while the container runs.
    pub(super) fn followed(
        &mut self,
        process: ProcessId,
        mut followed: Box<Followed>,
        status: u8,
    ) -> Option<u8> {
        if status != 0 {
            return Some(status);
        }
        let is_on = self.runs_on(&followed);
        if is_on {
            self.pass_on(process, &mut followed);
        }
        let (namespace, pod, container) = &followed.container;
        let trace = self.sim.trace();
        // The log is put together from all that was ever written: only where something came.
        let written = trace.outputs.len();
        if written > followed.looked_at {
            let log = super::objects::log(trace, (namespace, pod, container), followed.life);
            followed.looked_at = written;
            if let Some(more) = log.get(followed.shown..).filter(|more| !more.is_empty()) {
                followed.shown = log.len();
                self.sim.write(process, Stream::Stdout, more);
            }
        }
        // Nothing comes of what waits until something is typed.
        let waiting = self.fed(&followed).filter(|main| self.is_waiting(*main));
        let script = self.scripts.get_mut(&process)?;
        let title = script.title.clone();
        if is_on {
            script.n_at_once = 0;
            script.steps.push(Step::Follow(followed));
            if let Some(main) = waiting {
                self.sim.watch(main, process);
                self.sim.run(process, Box::new(Watching), &title);
            } else {
                self.sim.run(process, Box::new(Sleep { duration: LOOKS }), &title);
            }
            return None;
        }
        let Some(after) = followed.after else { return Some(0) };
        self.sim.run(process, after.0, &title);
        None
    }

    /// Whether the container runs, in the life that is followed.
    fn runs_on(&mut self, followed: &Followed) -> bool {
        let (namespace, pod, container) = &followed.container;
        let row = self.live().pods.get(&(namespace.as_str().into(), pod.as_str().into()));
        let mut containers = row.into_iter().flat_map(|row| &row.containers);
        containers.any(|one| {
            *one.name == **container
                && one.restarts == followed.life
                && matches!(one.state, ContainerState::Running(_))
        })
    }

    /// Passes on what a client reads from elsewhere than a terminal, all at once.
    fn pass_on(&mut self, process: ProcessId, followed: &mut Followed) {
        let Some(main) = self.fed(followed) else { return };
        let Some(bytes) = self.scripts.get_mut(&process).and_then(|script| script.io.stdin.take()) else {
            return;
        };
        followed.passes = false;
        let has_terminal = self.sim.console(main) == Console::Terminal;
        for line in String::from_utf8_lossy(&bytes).split_inclusive('\n') {
            let typed = match line.strip_suffix('\n') {
                None if !has_terminal => Typed::Rest(line.to_owned()),
                whole => Typed::Line(whole.unwrap_or(line).to_owned()),
            };
            self.sim.type_at(main, typed, has_terminal.then_some(main));
        }
        if followed.is_once && !has_terminal {
            self.sim.type_at(main, Typed::End, None);
        }
    }

    /// The main process that what is typed at a client is passed on to.
    fn fed(&self, followed: &Followed) -> Option<ProcessId> {
        let (namespace, pod, name) = &followed.container;
        let is_it = |row: &&ProcessRow| {
            row.container.as_ref().is_some_and(|one| {
                (&*one.namespace, &*one.pod, &*one.container) == (namespace, pod, name)
                    && one.restarts == followed.life
            })
        };
        let row = self.live.processes.values().find(is_it).filter(|_| followed.passes)?;
        let is_fed = self.sim.is_main(row.process) && self.sim.console(row.process) != Console::Closed;
        is_fed.then_some(row.process)
    }

    /// The process that reads what is typed at one: itself, or the container's that it is attached to from a terminal.
    pub(super) fn reader(&self, process: ProcessId) -> ProcessId {
        let is_typed_at = self.reads_terminal(process);
        match self.scripts.get(&process).and_then(|script| script.steps.last()) {
            Some(Step::Follow(followed)) if is_typed_at => self.fed(followed).unwrap_or(process),
            Some(_) | None => process,
        }
    }

    /// Copies files as `tar` in the container would take or write them. The status.
    pub(super) fn copy(&mut self, process: ProcessId, copying: &Copying) -> u8 {
        for (stream, text) in &copying.output {
            self.sim.write(process, *stream, text);
        }
        let (namespace, name) = copying.pod.clone();
        let target = Target::Pod { namespace, name, container: copying.container.clone() };
        let there = match self.find(&target) {
            Ok(found) => found,
            Err(error) => {
                self.sim.write(process, Stream::Stderr, &format!("{error}\n"));
                return 1;
            }
        };
        let tools = there.1.image.as_deref().map_or(Tools::Full, images::tools);
        if tools == Tools::Nothing {
            let text = self.refused_by_runtime("tar");
            self.sim.write(process, Stream::Stderr, &text);
            return 1;
        }
        let failed = match &copying.way {
            Way::Into(files) => self.unpack(&there, copying, files, tools),
            Way::From => match self.pack((process, tools), &there, copying) {
                Ok(files) => return self.put_here(process, &copying.local, files),
                Err(failed) => Some(failed),
            },
        };
        let Some(text) = failed else { return 0 };
        // What `tar` says when files are taken goes to the client's standard output.
        let stream = if matches!(copying.way, Way::From) { Stream::Stdout } else { Stream::Stderr };
        self.sim.write(process, stream, &text);
        let status = if tools == Tools::Busybox { 1 } else { 2 };
        self.sim.write(process, Stream::Stderr, &format!("command terminated with exit code {status}\n"));
        status
    }

    /// `tar -xmf - -C DIRECTORY`: what it says where it fails.
    fn unpack(
        &mut self,
        (netns, environment): &(NetnsId, Environment),
        copying: &Copying,
        files: &[(String, Vec<u8>)],
        tools: Tools,
    ) -> Option<String> {
        let mounts = &environment.mounts;
        let base = copying.local.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let mut path = absolute(&copying.remote);
        if copying.remote.ends_with('/') || self.sim.holds_files(mounts, &path) {
            path = format!("{}/{base}", path.trim_end_matches('/'));
        }
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let shown = if directory.is_empty() { "/" } else { directory };
        if !self.sim.is_directory(mounts, directory) {
            let why = Errno::Enoent.text();
            return Some(match tools {
                Tools::Busybox => format!("tar: can't change directory to '{shown}': {why}\n"),
                Tools::Full | Tools::Nothing => {
                    format!("tar: {shown}: Cannot open: {why}\ntar: Error is not recoverable: exiting now\n")
                }
            });
        }
        let mut failures = Vec::new();
        for (below, bytes) in files {
            let slash = if below.is_empty() { "" } else { "/" };
            let member = format!("{name}{slash}{below}");
            let whole = format!("{directory}/{member}");
            let is_there = self.bytes_of(*netns, mounts, &whole).is_some();
            if let Err(errno) = self.sim.make_file(*netns, mounts, &whole, bytes.clone()) {
                let top = member.rsplit_once('/').map(|(top, _)| top);
                let missing = top.filter(|top| !self.sim.holds_files(mounts, &format!("{directory}/{top}")));
                failures.push(not_unpacked(tools, errno, (&member, is_there, missing)));
            }
        }
        match tools {
            Tools::Busybox => failures.into_iter().next(),
            Tools::Full | Tools::Nothing if failures.is_empty() => None,
            Tools::Full | Tools::Nothing => {
                Some(failures.concat() + "tar: Exiting with failure status due to previous errors\n")
            }
        }
    }

    /// `tar cf - PATH`: the files, or what it says where it fails.
    fn pack(
        &mut self,
        (process, tools): (ProcessId, Tools),
        (netns, environment): &(NetnsId, Environment),
        copying: &Copying,
    ) -> Result<Vec<(String, Vec<u8>)>, String> {
        let path = &copying.remote;
        let top = absolute(path);
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        match self.bytes_of(*netns, &environment.mounts, &top) {
            Some(bytes) => found.push((String::new(), bytes)),
            None => {
                for name in self.sim.files_below(&environment.mounts, &top) {
                    let whole = format!("{}/{name}", top.trim_end_matches('/'));
                    let bytes = self.bytes_of(*netns, &environment.mounts, &whole);
                    found.extend(bytes.map(|bytes| (name, bytes)));
                }
            }
        }
        let removing = match (path.starts_with('/'), tools) {
            (false, _) => "",
            (true, Tools::Busybox) => "tar: removing leading '/' from member names\n",
            (true, _) => "tar: Removing leading `/' from member names\n",
        };
        if found.is_empty() {
            return Err(match tools {
                Tools::Busybox => {
                    format!(
                        "tar: {path}: No such file or directory\ntar: error exit delayed from previous errors\n"
                    )
                }
                Tools::Full | Tools::Nothing => format!(
                    "{removing}tar: {path}: Cannot stat: No such file or directory\ntar: Exiting with failure status due to previous errors\n"
                ),
            });
        }
        self.sim.write(process, Stream::Stdout, removing);
        Ok(found)
    }

    /// Writes files at the client's machine, and the directories that they lie in (`untarAll`). The status.
    fn put_here(&mut self, process: ProcessId, path: &str, files: Vec<(String, Vec<u8>)>) -> u8 {
        let Some(script) = self.scripts.get(&process) else { return 1 };
        let mounts = script.environment.mounts.clone();
        let netns = self.sim.netns_of(process);
        for (below, bytes) in files {
            let slash = if below.is_empty() { "" } else { "/" };
            let written = format!("{}{slash}{below}", path.trim_end_matches('/'));
            let whole = self.sim.absolute(process, &written);
            let why = if self.sim.holds_files(&mounts, &whole) {
                "is a directory".to_owned()
            } else {
                match self.sim.make_file(netns, &mounts, &whole, bytes) {
                    Ok(()) => continue,
                    Err(errno) => errno.text().to_lowercase(),
                }
            };
            self.sim.write(process, Stream::Stderr, &format!("error: open {written}: {why}\n"));
            return 1;
        }
        0
    }
}

/// What `tar` says of a member that it cannot write: whether a file of that name is there, and the directory that is not.
fn not_unpacked(
    tools: Tools,
    errno: Errno,
    (member, is_there, missing): (&str, bool, Option<&str>),
) -> String {
    let why = errno.text();
    let top = missing.map(|directory| directory.split('/').next().unwrap_or(directory));
    let nowhere = Errno::Enoent.text();
    match (tools, top) {
        (Tools::Busybox, Some(top)) => {
            format!("tar: can't create directory '{top}': {why}\ntar: can't open '{member}': {nowhere}\n")
        }
        (Tools::Busybox, None) if is_there => format!("tar: can't remove old file {member}: {why}\n"),
        (Tools::Busybox, None) => format!("tar: can't open '{member}': {why}\n"),
        (_, Some(top)) => {
            format!("tar: {top}: Cannot mkdir: {why}\ntar: {member}: Cannot open: {nowhere}\n")
        }
        (_, None) => {
            format!("tar: {member}: Cannot open: {}\n", if is_there { "File exists" } else { why })
        }
    }
}

/// A path in a container, whose programs start at the root.
fn absolute(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = path.trim_end_matches('/');
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
