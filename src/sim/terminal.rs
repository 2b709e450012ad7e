//! What is typed at the terminal of a process, line by line (canonical mode, `termios(3)`), and where the process stands
//! among the directories.

use super::{Simulation, Task};
use crate::agent::{Actor, Console};
use crate::app::{Input, Wake};
use crate::base::ProcessId;
use crate::kernel::Urgency;
use crate::trace::Stream;
use std::collections::VecDeque;

/// Something typed at a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line, without its end.
    Line(String),
    /// The last line of an input that is no terminal and ends without a line's end.
    Rest(String),
    /// Ctrl-D at the beginning of a line.
    End,
}

impl<A: Actor> Simulation<A> {
    /// Types at a process; the terminal of `shown` shows it.
    pub fn type_at(&mut self, id: ProcessId, typed: Typed, shown: Option<ProcessId>) {
        if let (Typed::Line(line), Some(shown)) = (&typed, shown) {
            self.write(shown, Stream::Echo, &format!("{line}\n"));
        }
        self.processes[id.index()].typed.push_back(typed);
        self.queue.push(self.now, Urgency::Now, Task::Process(id, Wake::Input, 0));
    }

    /// Shows Ctrl-C at the terminal of a process. What was typed before and not yet read is gone (`NOFLSH` is not set).
    pub fn show_interrupt(&mut self, id: ProcessId) {
        self.processes[id.index()].typed.clear();
        self.write(id, Stream::Echo, "^C");
    }

    /// Where a process reads from by itself.
    pub fn console(&self, id: ProcessId) -> Console {
        self.processes[id.index()].console
    }

    /// Has `watcher` be woken, once, when a process writes or ends.
    pub fn watch(&mut self, id: ProcessId, watcher: ProcessId) {
        self.processes[id.index()].watchers.push(watcher);
    }

    pub(super) fn tell_watchers(&mut self, id: ProcessId) {
        for watcher in std::mem::take(&mut self.processes[id.index()].watchers) {
            self.queue.push(self.now, Urgency::Now, Task::Process(watcher, Wake::Input, 0));
        }
    }

    /// Takes what was typed first at the terminal of a process.
    pub fn next_typed(&mut self, id: ProcessId) -> Option<Typed> {
        self.processes[id.index()].typed.pop_front()
    }

    /// Whether something was typed at the terminal of a process that nobody has read yet.
    pub fn has_typed(&self, id: ProcessId) -> bool {
        !self.processes[id.index()].typed.is_empty()
    }

    /// Whether the program of a process waits for what is typed at its terminal.
    pub fn awaits_input(&self, id: ProcessId) -> bool {
        self.processes[id.index()].awaits_input
    }

    /// The working directory of a process.
    pub fn directory_of(&self, id: ProcessId) -> &str {
        &self.processes[id.index()].directory
    }

    /// Changes the working directory of a process (`chdir(2)`) to this absolute path.
    pub fn change_directory(&mut self, id: ProcessId, path: &str) {
        self.processes[id.index()].directory = path.into();
    }

    /// The path that a process means: an absolute one, from its working directory, without `.` and `..`.
    pub fn absolute(&self, id: ProcessId, path: &str) -> String {
        absolute(&self.processes[id.index()].directory, path)
    }
}

/// What `read(2)` gives of what was typed; whether there was nothing is noted. A pipe that has come to its end stays there,
/// while a terminal goes on after Ctrl-D.
pub(super) fn read_typed(console: Console, typed: &mut VecDeque<Typed>, awaits_input: &mut bool) -> Input {
    *awaits_input = typed.is_empty();
    if console == Console::Pipe && typed.front() == Some(&Typed::End) {
        return Input::End;
    }
    match typed.pop_front() {
        Some(Typed::Line(line)) => Input::Data((line + "\n").into_bytes()),
        Some(Typed::Rest(line)) => Input::Data(line.into_bytes()),
        Some(Typed::End) => Input::End,
        None => Input::Pending,
    }
}

fn absolute(directory: &str, path: &str) -> String {
    let from = if path.starts_with('/') { "" } else { directory };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn a_path_begins_at_the_root_or_where_the_process_stands() {
        for (directory, path, wanted) in [
            ("/", "etc/hosts", "/etc/hosts"),
            ("/etc", "hosts", "/etc/hosts"),
            ("/etc", "../tmp/./x", "/tmp/x"),
            ("/etc", "/tmp//x/", "/tmp/x"),
            ("/", "../..", "/"),
        ] {
            assert_eq!(absolute(directory, path), wanted, "{path} in {directory}");
        }
    }
}
