//! Commands of a shell about processes in the background: `wait`, `kill`, and `timeout`.

use super::Lab;
use super::script::{Step, literal};
use crate::app::sleep::Sleep;
use crate::base::{Duration, ProcessId, SimTime};
use crate::sim::Signal;
use crate::trace::Stream;

/// Status of `timeout` when the time was over.
const TIMED_OUT: u8 = 124;

/// Seconds with decimals.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals: String = decimals.chars().chain("000".chars()).take(3).collect();
    Some(Duration::from_ms(whole.parse::<u64>().ok()?.checked_mul(1000)? + decimals.parse::<u64>().ok()?))
}

impl Lab {
    /// Looks after the processes in the background, now and every while. `None` while one still runs.
    pub(super) fn wait_for_children(&mut self, process: ProcessId, until: Option<SimTime>) -> Option<u8> {
        const WHILE: Duration = Duration::from_ms(10);
        let script = self.scripts.get(&process)?;
        let title = script.title.clone();
        let running: Vec<ProcessId> =
            script.children.iter().copied().filter(|child| self.sim.status(*child).is_none()).collect();
        let last = script.children.last().and_then(|child| self.sim.status(*child));
        let now = self.sim.now();
        let left = match until {
            _ if running.is_empty() => return Some(if until.is_some() { last.unwrap_or(0) } else { 0 }),
            Some(until) if until <= now => {
                for child in running {
                    self.sim.signal(child, Signal::Terminate);
                }
                let steps = &mut self.scripts.get_mut(&process)?.steps;
                steps.extend([Step::Status(TIMED_OUT), Step::Wait(None)]);
                return Some(0);
            }
            Some(until) => until.since(now).min(WHILE),
            None => WHILE,
        };
        let script = self.scripts.get_mut(&process)?;
        script.steps.push(Step::Wait(until));
        script.n_at_once = 0;
        self.sim.run(process, Box::new(Sleep { duration: left }), &title);
        None
    }

    /// `timeout SECONDS COMMAND`.
    pub(super) fn run_for(&mut self, process: ProcessId, words: &[String]) -> Option<u8> {
        let limit = words.get(1).and_then(|text| seconds(text.trim_end_matches('s')));
        let (Some(limit), [_, _, _, ..]) = (limit, words) else {
            let text = "Try 'timeout --help' for more information.\n";
            self.sim.write(process, Stream::Stderr, text);
            return Some(125);
        };
        self.run_with_input(process, &words[2..]);
        let until = self.sim.now() + limit;
        self.scripts.get_mut(&process)?.steps.push(Step::Wait(Some(until)));
        Some(0)
    }

    /// Starts a command as a process of its own that reads what this one would have read.
    fn run_with_input(&mut self, process: ProcessId, words: &[String]) {
        let Some(child) = self.fork(process, literal(words)) else { return };
        let Some(parent) = self.scripts.get_mut(&process) else { return };
        parent.children.push(child);
        let (stdin, is_piped) = (parent.io.stdin.clone(), parent.io.is_piped);
        if is_piped {
            self.sim.hand_stdin_on(process, child);
        }
        if let Some(script) = self.scripts.get_mut(&child) {
            script.io.stdin = stdin.or(script.io.stdin.take()).filter(|_| !is_piped);
            script.io.is_piped = is_piped;
        }
        self.go_on(child, 0);
    }

    /// `flock [-n] FILE COMMAND…`: waits until nobody else has the lock.
    pub(super) fn lock(&mut self, process: ProcessId, words: &[String]) -> Option<u8> {
        const WHILE: Duration = Duration::from_ms(10);
        let at_once = words.get(1).is_some_and(|word| word == "-n");
        let [path, command @ ..] = &words[1 + usize::from(at_once)..] else {
            let text = "flock: not enough arguments\nTry 'flock --help' for more information.\n";
            self.sim.write(process, Stream::Stderr, text);
            return Some(64);
        };
        let command = match command {
            [flag, line] if flag == "-c" => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
            words => words.to_vec(),
        };
        if command.is_empty() {
            self.sim.write(process, Stream::Stderr, &format!("flock: bad file descriptor: '{path}'\n"));
            return Some(64);
        }
        if self.sim.try_lock(process, path) {
            let steps = &mut self.scripts.get_mut(&process)?.steps;
            steps.extend([Step::Unlock(path.clone()), Step::Run(literal(&command))]);
            return Some(0);
        }
        if at_once {
            return Some(1);
        }
        let script = self.scripts.get_mut(&process)?;
        script.n_at_once = 0;
        let title = script.title.clone();
        script.steps.push(Step::Lock(words.to_vec()));
        self.sim.run(process, Box::new(Sleep { duration: WHILE }), &title);
        None
    }

    /// `kill [-SIGNAL] PID…`, where `%N` is the N-th process in the background.
    pub(super) fn kill(&mut self, process: ProcessId, words: &[String]) -> u8 {
        let mut signal = Signal::Terminate;
        let mut status = 0;
        for word in &words[1..] {
            if let Some(name) = word.strip_prefix('-') {
                signal = match name.trim_start_matches("SIG") {
                    "2" | "INT" => Signal::Interrupt,
                    "9" | "KILL" => Signal::Kill,
                    _ => Signal::Terminate,
                };
                continue;
            }
            let found = match word.strip_prefix('%') {
                Some(number) => {
                    let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                    at.and_then(|at| self.scripts.get(&process)?.children.get(at).copied())
                }
                None => word.parse().ok().and_then(|pid| self.sim.process_of(process, pid)),
            };
            if let Some(found) = found.filter(|found| self.sim.status(*found).is_none()) {
                let name = match signal {
                    Signal::Interrupt => "SIGINT",
                    Signal::Terminate => "SIGTERM",
                    Signal::Kill => "SIGKILL",
                };
                self.sim.signalled(process, found, name);
                self.sim.signal(found, signal);
            } else {
                let text = self.dialect(process).complaint("kill: No such process");
                self.sim.write(process, Stream::Stderr, &text);
                status = 1;
            }
        }
        status
    }
}
