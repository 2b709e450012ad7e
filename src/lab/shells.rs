//! Shells: `sh -c`, a script, and a shell that asks for its commands at a terminal, whose lines are typed one by one
//! (`Action::Type`).

use super::script::{Io, Step};
use super::{Action, Lab};
use crate::agent::Console;
use crate::app::prompt::Prompted;
use crate::base::ProcessId;
use crate::kernel::Urgency;
use crate::shell::{self, Dialect, Place};
use crate::sim::{Signal, Stderr, Typed};
use crate::trace::Stream;
use std::collections::BTreeMap;

/// What a shell within another one has of its own, kept while it runs: that of the outer one.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    variables: BTreeMap<String, String>,
    directory: String,
    dialect: Dialect,
    title: String,
}

/// A shell that reads its commands from what is typed.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    /// Whether it asks for them with a prompt: whether it has a terminal.
    pub(super) is_interactive: bool,
    /// Whether it has asked with its prompt.
    has_asked: bool,
    /// Whether it waits for a line.
    waits: bool,
    /// Lines of a command that has not come to its end.
    begun: String,
    /// Its streams.
    io: Io,
}

/// Whether a command only lacks its end.
fn is_incomplete(text: &str, message: &str) -> bool {
    let continues = text.ends_with('\\') && !text.ends_with("\\\\");
    continues
        || message == "Syntax error: end of file unexpected"
        || message == "Syntax error: Unterminated quoted string"
        || message.starts_with("Syntax error: end of file unexpected (expecting")
        || message == "Syntax error: EOF in backquote substitution"
}

impl Lab {
    /// The shell that runs the commands of a process.
    pub(super) fn dialect(&self, process: ProcessId) -> Dialect {
        self.scripts.get(&process).map_or_else(Dialect::default, |script| script.dialect.clone())
    }

    /// Whether the container or machine that a process is in has this shell.
    pub(super) fn has_shell(&self, process: ProcessId, word: &str) -> bool {
        let script = self.scripts.get(&process);
        script.is_some_and(|script| shell::has_shell(script.environment.image.as_deref(), word))
    }

    /// Whether standard input of a process is what is typed at its terminal.
    pub(super) fn reads_terminal(&self, process: ProcessId) -> bool {
        let script = self.scripts.get(&process);
        script.is_some_and(|script| script.io.stdin.is_none() && !script.io.is_piped)
            && self.sim.console(process) != Console::Closed
    }

    pub(super) fn surroundings(&self, process: ProcessId) -> Surroundings {
        let script = self.scripts.get(&process);
        Surroundings {
            variables: script.map(|script| script.variables.clone()).unwrap_or_default(),
            directory: self.sim.directory_of(process).to_owned(),
            dialect: self.dialect(process),
            title: script.map(|script| script.title.clone()).unwrap_or_default(),
        }
    }

    /// A shell within another one is over.
    pub(super) fn left(&mut self, process: ProcessId, outer: Surroundings) {
        self.sim.change_directory(process, &outer.directory);
        if let Some(script) = self.scripts.get_mut(&process) {
            script.variables = outer.variables;
            (script.dialect, script.title) = (outer.dialect, outer.title);
        }
    }

    /// Runs a shell: what stands after `-c`, a file, or its standard input. The status so far.
    pub(super) fn run_shell(&mut self, process: ProcessId, words: &[String]) -> Option<u8> {
        let outer = Box::new(self.surroundings(process));
        let image = self.scripts.get(&process)?.environment.image.clone();
        let dialect = Dialect::of(image.as_deref(), &words[0]);
        let script = self.scripts.get_mut(&process)?;
        script.steps.push(Step::Within(outer));
        script.dialect = dialect;
        let mut options = words[1..].iter().take_while(|word| word.starts_with('-'));
        let operand = words[1..].iter().find(|word| !word.starts_with('-'));
        if options.any(|option| !option.starts_with("--") && option.ends_with('c')) {
            let Some(line) = operand else {
                let text = self.dialect(process).complaint("-c: option requires an argument");
                self.sim.write(process, Stream::Stderr, &text);
                return Some(2);
            };
            return self.run_script(process, line);
        }
        if let Some(path) = operand {
            return self.run_file(process, path);
        }
        let script = self.scripts.get_mut(&process)?;
        if let Some(text) = script.io.stdin.take() {
            script.io.stdin = Some(Vec::new());
            return self.run_script(process, &String::from_utf8_lossy(&text));
        }
        if !self.reads_terminal(process) {
            return Some(0);
        }
        let script = self.scripts.get_mut(&process)?;
        script.title = words.join(" ");
        let is_interactive = !script.io.is_remote;
        if is_interactive {
            script.dialect = script.dialect.clone().interactive();
        }
        let io = script.io.clone();
        script.steps.push(Step::Shell(Box::new(Shell {
            is_interactive,
            has_asked: false,
            waits: false,
            begun: String::new(),
            io,
        })));
        Some(0)
    }

    fn run_file(&mut self, process: ProcessId, path: &str) -> Option<u8> {
        let mounts = self.scripts.get(&process)?.environment.mounts.clone();
        let netns = self.sim.netns_of(process);
        let place = self.sim.absolute(process, path);
        let Some(bytes) = self.bytes_of(netns, &mounts, &place) else {
            let (text, status) = self.dialect(process).cannot_run(path);
            self.sim.write(process, Stream::Stderr, &text);
            return Some(status);
        };
        self.run_script(process, &String::from_utf8_lossy(&bytes))
    }

    fn run_script(&mut self, process: ProcessId, text: &str) -> Option<u8> {
        match shell::parse(text) {
            Ok(node) => {
                let script = self.scripts.get_mut(&process)?;
                script.steps.push(Step::Run(node));
                Some(0)
            }
            Err(message) => {
                self.sim.redirect(process, None, false, Stderr::Own);
                let text = self.dialect(process).syntax_error(&message);
                self.sim.write(process, Stream::Stderr, &text);
                Some(2)
            }
        }
    }

    /// A shell asks for its next command, and runs what was typed. `None` while it waits.
    pub(super) fn read_command(
        &mut self,
        process: ProcessId,
        mut shell: Box<Shell>,
        status: u8,
    ) -> Option<u8> {
        let script = self.scripts.get_mut(&process)?;
        script.io = shell.io.clone();
        let (keeps, stderr) = (shell.io.keeps, shell.io.stderr);
        if std::mem::take(&mut script.is_interrupted) {
            shell.begun.clear();
            shell.has_asked = false;
            self.sim.redirect_output(process, keeps, stderr);
            // A program that has a handler of its own has ended its line itself.
            if status == 130 {
                self.sim.write(process, Stream::Stdout, "\n");
            }
        }
        if shell.is_interactive && !shell.has_asked {
            self.sim.redirect_output(process, keeps, stderr);
            let prompt = self.prompt(process, !shell.begun.is_empty());
            self.sim.write(process, Stream::Stdout, &prompt);
            shell.has_asked = true;
        }
        match self.sim.next_typed(process) {
            None => {
                let script = self.scripts.get_mut(&process)?;
                script.n_at_once = 0;
                script.status = status;
                let title = script.title.clone();
                shell.waits = true;
                script.steps.push(Step::Shell(shell));
                self.sim.redirect(process, None, keeps, stderr);
                self.sim.run(process, Box::new(Prompted { status }), &title);
                None
            }
            Some(Typed::End) => {
                if shell.is_interactive {
                    let text = self.dialect(process).farewell(false);
                    self.sim.write(process, Stream::Stdout, text);
                }
                Some(status)
            }
            Some(Typed::Line(line) | Typed::Rest(line)) => self.take_line(process, shell, (&line, status)),
        }
    }

    /// Runs a line that a shell has read, once the command is complete.
    fn take_line(
        &mut self,
        process: ProcessId,
        mut shell: Box<Shell>,
        (line, status): (&str, u8),
    ) -> Option<u8> {
        let script = self.scripts.get_mut(&process)?;
        script.dialect.count_line();
        (shell.has_asked, shell.waits) = (false, false);
        let text = std::mem::take(&mut shell.begun) + line;
        match shell::parse(&text) {
            Ok(node) => script.steps.extend([Step::Shell(shell), Step::Run(node)]),
            Err(message) if is_incomplete(&text, &message) => {
                shell.begun = text + "\n";
                script.steps.push(Step::Shell(shell));
            }
            Err(message) => {
                let text = script.dialect.syntax_error(&message);
                let goes_on = shell.is_interactive;
                if goes_on {
                    script.steps.push(Step::Shell(shell));
                }
                self.sim.write(process, Stream::Stderr, &text);
                return Some(2);
            }
        }
        Some(status)
    }

    /// The prompt of a shell, or the one for more of a command.
    fn prompt(&self, process: ProcessId, continues: bool) -> String {
        let Some(script) = self.scripts.get(&process) else { return String::new() };
        let own = |name: &str| script.variables.get(name).map(String::as_str);
        if continues {
            return own("PS2").unwrap_or("> ").to_owned();
        }
        let hostname = self.sim.file(self.sim.netns_of(process), "/etc/hostname");
        let place = Place {
            directory: self.sim.directory_of(process),
            home: own("HOME").unwrap_or("/"),
            hostname: hostname.map_or("", |text| text.trim_end()),
            uid: script.environment.user.uid,
        };
        script.dialect.prompt(place, own("PS1"))
    }

    /// Types a line at a process, Enter included, or Ctrl-D at the beginning of one.
    pub fn type_at(&mut self, process: ProcessId, line: Option<&str>) {
        let Some(run) = self.runs.iter().position(|&at| at == process) else { return };
        let target = self.log.runs().nth(run).map(|(_, (target, _))| target.clone());
        if let (Some(line), Some(target)) = (line, target) {
            self.need_names(&target, &[line.to_owned()]);
        }
        self.catch_up();
        self.log.actions.push((self.sim.now(), Action::Type(run as u32, line.map(str::to_owned))));
        if self.sim.status(process).is_none() {
            self.live();
            let typed = line.map_or(Typed::End, |line| Typed::Line(line.to_owned()));
            let reader = self.reader(process);
            // A terminal shows what is typed at it; where it leads to none at the other end, the user's own does.
            let shown = if self.sim.console(reader) == Console::Pipe { process } else { reader };
            self.sim.type_at(reader, typed, Some(shown));
        }
    }

    /// Whether what is typed at a process is read: by a shell in it, or by the program that it runs.
    pub fn reads_typed(&self, process: ProcessId) -> bool {
        let reader = self.reader(process);
        let has_shell =
            |script: &super::Script| script.steps.iter().any(|step| matches!(step, Step::Shell(_)));
        self.sim.status(process).is_none()
            && (self.scripts.get(&reader).is_some_and(has_shell) || self.sim.awaits_input(reader))
    }

    /// Whether a shell in a process waits for a line.
    pub(super) fn waits(&self, process: ProcessId) -> bool {
        let top = self.scripts.get(&process).and_then(|script| script.steps.last());
        matches!(top, Some(Step::Shell(shell)) if shell.waits) && !self.sim.has_typed(process)
    }

    /// Whether a shell in a process waits for a line, or its program for input.
    pub(super) fn is_waiting(&self, process: ProcessId) -> bool {
        self.waits(process) || (self.sim.awaits_input(process) && !self.sim.has_typed(process))
    }

    /// Has a shell that waits ask once more.
    pub(super) fn ask(&mut self, process: ProcessId) {
        let prompt = self.prompt(process, false);
        self.sim.write(process, Stream::Stdout, &prompt);
    }

    /// Whether nothing more comes of a process with a shell at a terminal until something is typed: the shell asks for a
    /// command, or its program waits for input.
    pub fn asks(&self, process: ProcessId) -> bool {
        let reader = self.reader(process);
        if reader != process {
            // What it has written shows at the client.
            return self.is_waiting(reader) && self.is_caught_up();
        }
        let Some(script) = self.scripts.get(&process) else { return false };
        let is_shell = |step: &Step| matches!(step, Step::Shell(_));
        let awaits_input = self.sim.awaits_input(process) && self.sim.is_quiet(Urgency::Soon);
        let is_fed = script.steps.iter().any(is_shell) && awaits_input && !self.sim.has_typed(process);
        is_fed || self.waits(process)
    }

    /// Types Ctrl-C at a process: its program gets SIGINT, and of its script nothing more is run, but that a shell at a
    /// terminal asks for its next command, and that a client of whose terminal the key reached a container goes on.
    pub fn interrupt(&mut self, process: ProcessId) {
        let Some(run) = self.runs.iter().position(|&at| at == process) else { return };
        self.catch_up();
        self.log.actions.push((self.sim.now(), Action::Interrupt(run as u32)));
        if self.sim.status(process).is_some() {
            return;
        }
        self.live();
        // A terminal at the other end takes the key; where there is none, it ends the client.
        let reader = self.reader(process);
        let process = if self.sim.console(reader) == Console::Terminal { reader } else { process };
        self.sim.show_interrupt(process);
        self.end_writers(process);
        let Some(script) = self.scripts.get_mut(&process) else { return self.sim.interrupt(process) };
        // A client's terminal that leads into a container takes the key there.
        let leads = !script.io.is_remote;
        let goes_on = |step: &Step| {
            matches!(step, Step::Shell(shell) if shell.is_interactive)
                || (leads && matches!(step, Step::Return(..)))
        };
        let stays = script.steps.iter().rposition(goes_on);
        let is_shell = stays.is_some_and(|at| matches!(script.steps[at], Step::Shell(_)));
        let mut stopped = script.steps.split_off(stays.map_or(0, |at| at + 1));
        let is_limited = stopped.iter().any(|step| matches!(step, Step::Wait(Some(_))));
        let child = script.children.last().copied().filter(|_| is_limited);
        if stays.is_some() {
            script.is_interrupted = is_shell;
            // What is to be put back for who goes on.
            stopped.retain(|step| {
                matches!(step, Step::Restore(..) | Step::Return(..) | Step::Within(_) | Step::Unlock(_))
            });
            script.steps.append(&mut stopped);
        }
        if let Some(child) = child.filter(|child| self.sim.status(*child).is_none()) {
            self.sim.signal(child, Signal::Interrupt);
        }
        self.sim.interrupt(process);
    }
}
