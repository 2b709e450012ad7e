//! A shell's work: a process runs one command after the other, as its script says. Commands of a pipe run one after
//! the other too: the next begins when the one before has ended, with all of its output. *Simplified* so, because most
//! of what stands in pipes here ends by itself; where the last one reads its input as it comes, they run at once
//! (`pipes`).

use super::shells::{Shell, Surroundings};
use super::substitution::Outer;
use super::{Lab, Target};
use crate::agent::{Console, Environment, Launch, StandIn};
use crate::app::local::FifoWrite;
use crate::app::probe;
use crate::app::server::{Persona, Server};
use crate::app::sleep::Sleep;
use crate::base::{Duration, NetnsId, ProcessId, SimTime};
use crate::shell::{self, Dialect, Node, Redirection, Simple, Word, is_shell};
use crate::sim::{Stderr, Stdin};
use crate::trace::Stream;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Commands that take no time which a script may run one after the other; then time passes for it.
const STEPS_AT_ONCE: u32 = 200;
/// How much time passes then.
const STEPS_TAKE: Duration = Duration::from_ms(1);
/// How long a program runs that nothing is known of and that ends by itself, as an init container's.
const UNKNOWN_RUN: Duration = Duration::from_ms(500);

/// Where the streams of a command go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Io {
    pub(super) stdin: Option<Vec<u8>>,
    /// Whether standard input is a pipe that is written to at the same time.
    pub(super) is_piped: bool,
    /// Whether standard output is kept, for a pipe or a file.
    pub(super) keeps: bool,
    pub(super) stderr: Stderr,
    /// Whether what shows on a terminal comes through pipes, as with `kubectl exec` without `-t`.
    pub(super) is_remote: bool,
}

/// Something that a script has still to do.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Run(Arc<Node>),
    AndThen(Arc<Node>),
    OrElse(Arc<Node>),
    Invert,
    /// Looks at what the condition of this loop came to.
    Loop(Arc<Node>),
    Branch(Arc<Node>, Option<Arc<Node>>),
    Each(String, VecDeque<String>, Arc<Node>),
    /// Has the next command of a pipe read what the one before wrote; then the streams are these again.
    Pipe(VecDeque<Arc<Node>>, Io),
    /// Waits for the process that wrote to a pipe; then the status is this one, that of the pipe's last command.
    Writer(ProcessId, Option<u8>),
    /// Waits for what runs in the background; with a moment, only until then, and ends what still runs
    /// (`timeout(1)`).
    Wait(Option<SimTime>),
    /// Tells how long it took since then (`time`).
    Time(SimTime),
    /// Comes to this status.
    Status(u8),
    /// A command in a container is over: the process is where it was before.
    Return(NetnsId, Box<(Environment, Io, Surroundings)>),
    /// A shell within the shell is over.
    Within(Box<Surroundings>),
    /// A shell reads its next command from what is typed.
    Shell(Box<Shell>),
    /// Waits for a lock on a file, then runs a command (`flock(1)`).
    Lock(Vec<String>),
    /// A substituted command is over: what it wrote becomes part of the command around it.
    Substituted(Box<Outer>),
    /// Shows what a container writes.
    Follow(Box<shell::Followed>),
    /// Gives the lock on this file back.
    Unlock(String),
    /// Puts the streams back; what was kept goes to this file, and what was kept before it is kept again.
    Restore(Io, Option<(String, bool)>, String),
}

/// What a process has still to run.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) status: u8,
    pub(super) environment: Environment,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) io: Io,
    pub(super) n_at_once: u32,
    /// Processes that it started in the background, in order.
    pub(super) children: Vec<ProcessId>,
    /// The command line that `ps` shows of the shell.
    pub(super) title: String,
    /// Which shell runs it.
    pub(super) dialect: Dialect,
    /// Whether Ctrl-C was typed since a shell last asked for a command.
    pub(super) is_interrupted: bool,
}

impl Script {
    pub(super) fn new(environment: Environment, title: String) -> Self {
        let mut variables: BTreeMap<String, String> =
            [("HOME", "/root"), ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        variables.extend(environment.variables.iter().cloned());
        let dialect = Dialect::of(environment.image.as_deref(), "sh");
        Self {
            steps: Vec::new(),
            status: 0,
            environment,
            variables,
            io: Io::default(),
            n_at_once: 0,
            children: Vec::new(),
            title,
            dialect,
            is_interrupted: false,
        }
    }
}

/// Words as a command that a shell would run with exactly them.
pub(super) fn literal(argv: &[String]) -> Arc<Node> {
    let word = |text: &String| Word(vec![shell::Piece::Text(text.clone())]);
    Arc::new(Node::Simple(Simple { words: argv.iter().map(word).collect(), ..Simple::default() }))
}

impl Lab {
    /// A run that is replayed where its target is gone still counts, so that later actions find theirs.
    pub(super) fn replay_run(&mut self, target: &Target, argv: &[String]) {
        if self.start(target, argv).is_err() {
            self.runs.push(ProcessId::NONE);
        }
    }

    /// Has a process run a command line.
    pub(super) fn launch(&mut self, process: ProcessId, argv: &[String], environment: Environment) {
        let mut script = Script::new(environment, argv.join(" "));
        script.io.is_remote = self.sim.console(process) == Console::Pipe;
        script.steps.push(Step::Run(literal(argv)));
        self.scripts.insert(process, script);
        self.go_on(process, 0);
    }

    /// Starts a main process that the kubelet asked for.
    pub(super) fn launch_main(&mut self, process: ProcessId, launch: Launch) {
        let title = launch.argv.join(" ");
        let name = launch.container.as_ref().map_or("app".into(), |container| container.container.clone());
        self.sim.announce(process, &title);
        if let Some(probe) = launch.probe {
            return self.sim.run(process, probe::process(probe), &title);
        }
        if let Some(listeners) = launch.serves {
            let title = if title.is_empty() { name.to_string() } else { title };
            let server = Server::new(Persona::Other(name), listeners);
            return self.sim.run(process, Box::new(server), &title);
        }
        let image = launch.environment.image.as_deref();
        if launch.argv.first().is_some_and(|program| is_shell(program) || shell::has_program(image, program))
        {
            return self.launch(process, &launch.argv, launch.environment);
        }
        let program = launch.argv.first().cloned().unwrap_or_default();
        let title = if title.is_empty() { name.to_string() } else { title };
        match launch.stand_in {
            StandIn::Refused => self.sim.end_unknown(process, &program),
            StandIn::Serves(listeners) => {
                let server = Server::new(Persona::Other(name), listeners);
                self.sim.run(process, Box::new(server), &title);
            }
            StandIn::Ends => {
                self.scripts.insert(process, Script::new(launch.environment, title.clone()));
                self.sim.run(process, Box::new(Sleep { duration: UNKNOWN_RUN }), &title);
            }
        }
    }

    /// A program of a process ended with `status`: its script goes on, or the process ends.
    pub(super) fn go_on(&mut self, process: ProcessId, mut status: u8) {
        loop {
            if self.sim.status(process).is_some() {
                self.scripts.remove(&process);
                return;
            }
            let Some(script) = self.scripts.get_mut(&process) else {
                return self.sim.end(process, status);
            };
            script.status = status;
            if script.n_at_once >= STEPS_AT_ONCE {
                script.n_at_once = 0;
                let title = script.title.clone();
                return self.sim.run(process, Box::new(Sleep { duration: STEPS_TAKE }), &title);
            }
            let Some(step) = script.steps.pop() else {
                self.scripts.remove(&process);
                return self.sim.end(process, status);
            };
            match self.take_step(process, step) {
                Some(ended) => status = ended,
                None => return,
            }
        }
    }

    /// Takes one step. The status after it; `None` where a program runs now.
    fn take_step(&mut self, process: ProcessId, step: Step) -> Option<u8> {
        let script = self.scripts.get_mut(&process)?;
        let status = script.status;
        script.n_at_once += 1;
        match step {
            Step::Run(node) => return self.run_node(process, &node),
            Step::AndThen(node) if status == 0 => script.steps.push(Step::Run(node)),
            Step::OrElse(node) if status != 0 => script.steps.push(Step::Run(node)),
            Step::AndThen(_) | Step::OrElse(_) => {}
            Step::Invert => return Some(u8::from(status == 0)),
            Step::Loop(node) => {
                if let Node::Loop { until, body, .. } = &*node {
                    if (status == 0) == *until {
                        return Some(0);
                    }
                    script.steps.push(Step::Run(node.clone()));
                    script.steps.push(Step::Run(body.clone()));
                }
            }
            Step::Branch(yes, no) => match (status, no) {
                (0, _) => script.steps.push(Step::Run(yes)),
                (_, Some(no)) => script.steps.push(Step::Run(no)),
                (_, None) => return Some(0),
            },
            Step::Each(name, mut words, body) => {
                if let Some(word) = words.pop_front() {
                    script.variables.insert(name.clone(), word);
                    script.steps.push(Step::Each(name, words, body.clone()));
                    script.steps.push(Step::Run(body));
                }
            }
            Step::Status(status) => return Some(status),
            Step::Time(began) => return Some(self.timed(process, began, status)),
            Step::Writer(writer, ended) => {
                return self.wait_for_writer(process, writer, ended.unwrap_or(status));
            }
            Step::Wait(until) => return self.wait_for_children(process, until),
            Step::Pipe(rest, outer) => self.next_of_pipe(process, rest, outer),
            Step::Return(netns, before) => self.returned(process, netns, *before, status),
            Step::Within(outer) => self.left(process, *outer),
            Step::Shell(shell) => return self.read_command(process, shell, status),
            Step::Substituted(outer) => return self.substituted(process, *outer, status),
            Step::Restore(io, file, before) => return self.restore(process, io, (file, before), status),
            Step::Unlock(path) => self.sim.unlock(process, &path),
            Step::Lock(words) => return self.lock(process, &words),
            Step::Follow(followed) => return self.followed(process, followed, status),
        }
        Some(status)
    }

    fn next_of_pipe(&mut self, process: ProcessId, mut rest: VecDeque<Arc<Node>>, outer: Io) {
        let written = self.sim.take_kept(process);
        let Some(script) = self.scripts.get_mut(&process) else { return };
        let Some(node) = rest.pop_front() else { return };
        let is_last = rest.is_empty();
        let keeps = !is_last || outer.keeps;
        script.io = Io { stdin: Some(written.into_bytes()), is_piped: false, keeps, ..outer.clone() };
        if is_last {
            script.steps.push(Step::Restore(outer, None, String::new()));
        } else {
            script.steps.push(Step::Pipe(rest, outer));
        }
        script.steps.push(Step::Run(node));
    }

    /// The streams are what they were before a redirection; what was kept for a file goes there.
    fn restore(
        &mut self,
        process: ProcessId,
        io: Io,
        (file, before): (Option<(String, bool)>, String),
        status: u8,
    ) -> Option<u8> {
        let script = self.scripts.get_mut(&process)?;
        script.io = io;
        let Some((path, appends)) = file else { return Some(status) };
        let mounts = script.environment.mounts.clone();
        let title = script.title.clone();
        let written = self.sim.take_kept(process);
        self.sim.keep(process, before);
        let netns = self.sim.netns_of(process);
        if path == "/dev/null" {
            return Some(status);
        }
        let named = path;
        let path = self.sim.absolute(process, &named);
        if self.sim.is_fifo(netns, &mounts, &path) {
            let writer = FifoWrite::new(&path, written.into_bytes(), status);
            self.sim.run(process, Box::new(writer), &title);
            return None;
        }
        if path.starts_with("/proc/") || path.starts_with("/sys/") {
            return Some(self.write_to_kernel(process, &path, &written, status));
        }
        let old = self.sim.bytes_of(netns, &mounts, &path).filter(|_| appends).unwrap_or_default();
        let new = [old, written.as_bytes()].concat();
        let Err(errno) = self.sim.put_file(netns, &mounts, &path, new) else { return Some(status) };
        let text = self.dialect(process).cannot_create(&named, errno.text());
        self.sim.write(process, Stream::Stderr, &text);
        Some(2)
    }

    fn run_node(&mut self, process: ProcessId, node: &Arc<Node>) -> Option<u8> {
        if let Some(status) = self.substitute(process, node) {
            return Some(status);
        }
        let script = self.scripts.get_mut(&process)?;
        let status = script.status;
        let steps = &mut script.steps;
        match &**node {
            Node::Simple(simple) => return self.run_simple(process, simple, node.output_status()),
            Node::Not(inner) => steps.extend([Step::Invert, Step::Run(inner.clone())]),
            Node::And(left, right) => steps.extend([Step::AndThen(right.clone()), Step::Run(left.clone())]),
            Node::Or(left, right) => steps.extend([Step::OrElse(right.clone()), Step::Run(left.clone())]),
            Node::Loop { condition, .. } => {
                steps.extend([Step::Loop(node.clone()), Step::Run(condition.clone())]);
            }
            Node::If(condition, yes, no) => {
                steps.extend([Step::Branch(yes.clone(), no.clone()), Step::Run(condition.clone())]);
            }
            Node::For(name, words, body) => {
                let words = self.expand(process, words);
                let script = self.scripts.get_mut(&process)?;
                script.steps.push(Step::Each(name.clone(), words.into(), body.clone()));
            }
            Node::Case(subject, arms) => {
                let value = |name: &str| self.variable(process, name);
                let text = subject.join(&value);
                let fits = |pattern: &shell::Pattern| pattern.fits(&text, &value);
                let Some((_, body)) = arms.iter().find(|(patterns, _)| patterns.iter().any(fits)) else {
                    return Some(0);
                };
                let body = body.clone();
                let is_empty = matches!(&*body, Node::List(items) if items.is_empty());
                self.scripts.get_mut(&process)?.steps.push(Step::Run(body));
                return Some(if is_empty { 0 } else { status });
            }
            // `time` measures the whole pipe.
            Node::Pipe(nodes) if let Some(rest) = shell::timed_pipe(nodes, &script.dialect) => {
                return self.time(process, rest);
            }
            Node::Pipe(nodes) if shell::runs_at_once(nodes) => self.run_at_once(process, nodes),
            Node::Pipe(nodes) => {
                let outer = script.io.clone();
                let mut nodes: VecDeque<Arc<Node>> = nodes.iter().cloned().collect();
                let first = nodes.pop_front()?;
                script.io.keeps = true;
                script.steps.extend([Step::Pipe(nodes, outer), Step::Run(first)]);
            }
            Node::List(items) => {
                let mut later = Vec::new();
                for (item, background) in items {
                    if *background {
                        later.push(Step::Run(Arc::new(Node::List(vec![(item.clone(), true)]))));
                    } else {
                        later.push(Step::Run(item.clone()));
                    }
                }
                if let [(item, true)] = items.as_slice() {
                    let item = item.clone();
                    self.run_in_background(process, item);
                    return Some(0);
                }
                steps.extend(later.into_iter().rev());
            }
        }
        Some(status)
    }

    /// Starts a command as a process of its own.
    pub(super) fn run_in_background(&mut self, process: ProcessId, node: Arc<Node>) {
        let Some(child) = self.fork(process, node) else { return };
        if let Some(parent) = self.scripts.get_mut(&process) {
            parent.children.push(child);
            parent.variables.insert("!".into(), self.sim.pid_of(child).to_string());
        }
        self.go_on(child, 0);
    }

    /// Makes a process that is to run a command beside this one, without input.
    pub(super) fn fork(&mut self, process: ProcessId, node: Arc<Node>) -> Option<ProcessId> {
        let script = self.scripts.get(&process)?;
        let (environment, variables) = (script.environment.clone(), script.variables.clone());
        let dialect = script.dialect.clone();
        let netns = self.sim.netns_of(process);
        let child = self.sim.begin_child(netns, &environment, process);
        let mut script = Script::new(environment, String::new());
        (script.variables, script.dialect) = (variables, dialect);
        script.io.stdin = Some(Vec::new());
        script.steps.push(Step::Run(node));
        self.scripts.insert(child, script);
        Some(child)
    }

    /// The words that these become.
    fn expand(&self, process: ProcessId, words: &[Word]) -> Vec<String> {
        words.iter().flat_map(|word| word.expand(&|name| self.variable(process, name))).collect()
    }

    pub(super) fn variable(&self, process: ProcessId, name: &str) -> String {
        let Some(script) = self.scripts.get(&process) else { return String::new() };
        match name {
            "?" => script.status.to_string(),
            "$" => self.sim.pid_of(process).to_string(),
            "HOSTNAME" if !script.variables.contains_key(name) => {
                let netns = self.sim.netns_of(process);
                self.sim.file(netns, "/etc/hostname").map_or(String::new(), |text| text.trim_end().to_owned())
            }
            _ => script.variables.get(name).cloned().unwrap_or_default(),
        }
    }

    fn run_simple(&mut self, process: ProcessId, simple: &Simple, without_words: u8) -> Option<u8> {
        let words = self.expand(process, &simple.words);
        for (name, value) in &simple.assignments {
            let value = value.join(&|name| self.variable(process, name));
            let script = self.scripts.get_mut(&process)?;
            script.variables.insert(name.clone(), value);
        }
        if let Err(message) = self.redirect(process, &simple.redirections) {
            self.sim.write(process, Stream::Stderr, &message);
            return Some(2);
        }
        if words.is_empty() {
            return Some(without_words);
        }
        if let Some(status) = self.builtin(process, &words) {
            return Some(status);
        }
        if is_shell(&words[0]) && self.has_shell(process, &words[0]) {
            return self.run_shell(process, &words);
        }
        if words[0] == "flock" {
            return self.lock(process, &words);
        }
        if words[0] == "timeout" {
            return self.run_for(process, &words);
        }
        let script = self.scripts.get_mut(&process)?;
        let (io, mut environment) = (script.io.clone(), script.environment.clone());
        if !simple.assignments.is_empty() {
            let own = simple.assignments.iter().filter_map(|(name, _)| script.variables.get_key_value(name));
            let own = own.map(|(name, value)| (name.clone(), value.clone()));
            environment.variables = environment.variables.iter().cloned().chain(own).collect();
        }
        let waits = script.steps.iter().any(|step| !matches!(step, Step::Restore(..) | Step::Within(_)));
        let title = if waits { script.title.clone() } else { words.join(" ") };
        self.sim.set_shell(process, waits);
        let stdin = if io.is_piped {
            Some(self.sim.take_stdin(process))
        } else {
            io.stdin.clone().map(Stdin::Content)
        };
        self.sim.redirect(process, stdin, io.keeps, io.stderr);
        if io.is_remote {
            self.sim.leave_terminal(process);
        }
        let input = io.stdin.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let status = self.run_command(process, &words, (&environment, input.as_deref()), &title);
        if let Some(script) = self.scripts.get_mut(&process).filter(|_| status.is_none()) {
            script.n_at_once = 0;
        }
        status
    }

    /// Applies redirections, to be taken back after the command.
    fn redirect(&mut self, process: ProcessId, redirections: &[Redirection]) -> Result<(), String> {
        if redirections.is_empty() {
            return Ok(());
        }
        let netns = self.sim.netns_of(process);
        let Some(script) = self.scripts.get(&process) else { return Ok(()) };
        let (outer, mounts) = (script.io.clone(), script.environment.mounts.clone());
        let mut io = outer.clone();
        let mut out = None;
        for redirection in redirections {
            match redirection {
                Redirection::In(file) => {
                    let path = file.join(&|name| self.variable(process, name));
                    let bytes = self.bytes_of(netns, &mounts, &self.sim.absolute(process, &path));
                    let bytes = bytes.ok_or_else(|| self.dialect(process).cannot_open(&path))?;
                    (io.stdin, io.is_piped) = (Some(bytes), false);
                }
                Redirection::Here(text) => {
                    let text = text.join(&|name| self.variable(process, name));
                    (io.stdin, io.is_piped) = (Some(text.into_bytes()), false);
                }
                Redirection::Out { stream: 2, file, .. } => {
                    let path = file.join(&|name| self.variable(process, name));
                    if path != "/dev/null" {
                        let what = format!("\"2> {path}\" is not simulated in a shell, only 2>/dev/null");
                        return Err(self.dialect(process).complaint(&what));
                    }
                    io.stderr = Stderr::Nowhere;
                }
                Redirection::Out { append, file, .. } => {
                    let path = file.join(&|name| self.variable(process, name));
                    io.keeps = true;
                    out = Some((path, *append));
                }
                Redirection::Same(2, 1) if io.keeps => io.stderr = Stderr::WithOutput,
                Redirection::Same(..) => {}
            }
        }
        let before = if out.is_some() { self.sim.take_kept(process) } else { String::new() };
        if let Some(script) = self.scripts.get_mut(&process) {
            script.io = io;
            script.steps.push(Step::Restore(outer, out, before));
        }
        Ok(())
    }
}
