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

    /// Copies a file as `tar` in the container would take or write it. The status.
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
            Way::Into(bytes) => self.unpack(&there, copying, bytes, tools),
            Way::From => match self.pack((process, tools), &there, copying) {
                Ok(bytes) => return self.put_here(process, &copying.local, bytes),
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
        bytes: &[u8],
        tools: Tools,
    ) -> Option<String> {
        let base = copying.local.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let mut path = absolute(&copying.remote);
        if copying.remote.ends_with('/') || self.sim.holds_files(&environment.mounts, &path) {
            path = format!("{}/{base}", path.trim_end_matches('/'));
        }
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let directory = if directory.is_empty() { "/" } else { directory };
        let is_there = self.bytes_of(*netns, &environment.mounts, &path).is_some();
        let errno = self.sim.put_file(*netns, &environment.mounts, &path, bytes.to_vec()).err()?;
        Some(match (tools, errno) {
            (Tools::Busybox, Errno::Enoent) => {
                format!("tar: can't change directory to '{directory}': {}\n", errno.text())
            }
            (Tools::Busybox, _) if is_there => {
                format!("tar: can't remove old file {name}: {}\n", errno.text())
            }
            (Tools::Busybox, _) => format!("tar: can't open '{name}': {}\n", errno.text()),
            (_, Errno::Enoent) => format!(
                "tar: {directory}: Cannot open: {}\ntar: Error is not recoverable: exiting now\n",
                errno.text()
            ),
            _ => format!(
                "tar: {name}: Cannot open: {}\ntar: Exiting with failure status due to previous errors\n",
                if is_there { "File exists" } else { errno.text() }
            ),
        })
    }

    /// `tar cf - PATH`: the file, or what it says where it fails.
    fn pack(
        &mut self,
        (process, tools): (ProcessId, Tools),
        (netns, environment): &(NetnsId, Environment),
        copying: &Copying,
    ) -> Result<Vec<u8>, String> {
        let path = &copying.remote;
        let found = self.bytes_of(*netns, &environment.mounts, &absolute(path));
        let removing = match (path.starts_with('/'), tools) {
            (false, _) => "",
            (true, Tools::Busybox) => "tar: removing leading '/' from member names\n",
            (true, _) => "tar: Removing leading `/' from member names\n",
        };
        let why = match tools {
            Tools::Busybox => {
                format!(
                    "tar: {path}: No such file or directory\ntar: error exit delayed from previous errors\n"
                )
            }
            Tools::Full | Tools::Nothing => format!(
                "{removing}tar: {path}: Cannot stat: No such file or directory\ntar: Exiting with failure status due to previous errors\n"
            ),
        };
        let bytes = found.ok_or(why)?;
        self.sim.write(process, Stream::Stdout, removing);
        Ok(bytes)
    }

    /// Writes a file at the client's machine. The status.
    fn put_here(&mut self, process: ProcessId, path: &str, bytes: Vec<u8>) -> u8 {
        let Some(script) = self.scripts.get(&process) else { return 1 };
        let mounts = script.environment.mounts.clone();
        let netns = self.sim.netns_of(process);
        let why = if matches!(path, "." | "..") || self.sim.holds_files(&mounts, path) {
            "is a directory".to_owned()
        } else {
            match self.sim.put_file(netns, &mounts, path.strip_prefix("./").unwrap_or(path), bytes) {
                Ok(()) => return 0,
                Err(errno) => errno.text().to_lowercase(),
            }
        };
        self.sim.write(process, Stream::Stderr, &format!("error: open {path}: {why}\n"));
        1
    }
}

/// A path in a container, whose programs start at the root.
fn absolute(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = path.trim_end_matches('/');
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
