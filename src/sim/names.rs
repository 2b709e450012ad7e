//! Names looked up by processes. To a program `getaddrinfo(3)` is one call that takes its time; here the program is a
//! state machine that cannot wait inside. So the wake-up in which it asks for a name that is not known yet is undone: the
//! program goes back to what it was before, the resolver that belongs to it sends its questions, and when there is an
//! outcome the same wake-up runs again. What it wrote and which sockets it opened before it asked is not done twice.
//!
//! *Simplified*: a program remembers what it looked up as long as it lives.

use super::Simulation;
use super::syscalls::Syscalls;
use crate::agent::Actor;
use crate::app::resolver::{Libc, Memory, Outcome, Resolver, Wanted};
use crate::app::{Errno, Process, Wake};
use crate::base::{ProcessId, SocketId};
use std::collections::VecDeque;

/// What a program did before it asked for a name.
#[derive(Clone, Debug)]
pub(super) enum Done {
    Wrote,
    Opened(Result<SocketId, Errno>),
}

/// The names of one process.
#[derive(Default)]
pub(super) struct Names {
    libc: Libc,
    memory: Memory,
    resolver: Option<Resolver>,
    found: Vec<(String, Wanted, Outcome)>,
    /// The wake-up that runs again, and what came meanwhile.
    again: Option<Wake>,
    held: Vec<Wake>,
    /// What the program did in the run that was undone.
    replay: VecDeque<Done>,
}

impl Names {
    /// Nothing is known yet to a program that is linked with this library.
    pub(super) fn new(libc: Libc) -> Self {
        Self { libc, ..Self::default() }
    }

    /// What is known of a name.
    pub(super) fn get(&self, name: &str, wanted: Wanted) -> Option<&Outcome> {
        let known = self.found.iter().find(|(known, what, _)| known == name && *what == wanted);
        known.map(|(_, _, outcome)| outcome)
    }

    /// The library that the program is linked with.
    pub(super) fn libc(&self) -> Libc {
        self.libc
    }
}

impl<A: Actor> Simulation<A> {
    /// Hands a wake-up to a process, or to the resolver that works for it. Whether the process ended, with its status.
    pub(super) fn hand_over(&mut self, id: ProcessId, wake: Wake) -> Option<u8> {
        let mut wakes = VecDeque::from([wake]);
        while let Some(wake) = wakes.pop_front() {
            let Some(wake) = self.resolve_on(id, wake) else { continue };
            let exit = self.run_once(id, wake);
            if exit.is_some() {
                return exit;
            }
            let names = &mut self.processes[id.index()].names;
            if names.resolver.is_none() {
                wakes.extend(names.held.drain(..));
            }
        }
        None
    }

    /// Lets the resolver take what is for it. Gives back the wake-up that the program is to have.
    fn resolve_on(&mut self, id: ProcessId, wake: Wake) -> Option<Wake> {
        let Some(mut resolver) = self.processes[id.index()].names.resolver.take() else { return Some(wake) };
        let netns = self.processes[id.index()].netns;
        let mut os = Syscalls::new(self, id, netns);
        if matches!(wake, Wake::Interrupt | Wake::Terminate) {
            resolver.close(&mut os);
            return Some(wake);
        }
        if !resolver.owns(&wake) {
            let names = &mut self.processes[id.index()].names;
            names.held.push(wake);
            names.resolver = Some(resolver);
            return None;
        }
        let outcome = resolver.wake(&mut os, &wake);
        let names = &mut self.processes[id.index()].names;
        match outcome {
            None => {
                names.resolver = Some(resolver);
                None
            }
            Some(outcome) => {
                names.memory = resolver.memory();
                names.found.push((resolver.name, resolver.wanted, outcome));
                names.again.take()
            }
        }
    }

    /// Runs a program once, and again as long as it asks for names whose outcome is there at once.
    fn run_once(&mut self, id: ProcessId, wake: Wake) -> Option<u8> {
        loop {
            let slot = &mut self.processes[id.index()];
            let mut process = slot.process.take()?;
            let before: Option<Box<dyn Process>> = process.looks_up_names().then(|| process.boxed_clone());
            let replay = std::mem::take(&mut slot.names.replay);
            let netns = slot.netns;
            let mut os = Syscalls::new(self, id, netns);
            os.replay = replay;
            os.waits = before.is_some();
            process.wake(&mut os, wake.clone());
            let (exit, asked, done) = (os.exit, os.asked.take(), std::mem::take(&mut os.done));
            let (Some((name, wanted)), Some(before)) = (asked, before) else {
                let slot = &mut self.processes[id.index()];
                if exit.is_none() {
                    slot.process = Some(process);
                }
                return exit;
            };
            let Names { libc, memory, .. } = self.processes[id.index()].names;
            let mut os = Syscalls::new(self, id, netns);
            let (resolver, outcome) = Resolver::start(&mut os, (&name, wanted), libc, memory);
            let slot = &mut self.processes[id.index()];
            slot.process = Some(before);
            slot.names.replay = done;
            let Some(outcome) = outcome else {
                slot.names.resolver = Some(resolver);
                slot.names.again = Some(wake);
                return None;
            };
            slot.names.memory = resolver.memory();
            slot.names.found.push((name, wanted, outcome));
        }
    }
}
