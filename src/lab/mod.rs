//! The facade: a lab is a log of actions, and its state is the replay of that log.

mod builtins;
mod commands;
pub mod compare;
mod corefiles;
mod demo;
mod exec;
pub mod exercise;
pub mod fault;
pub mod flow;
pub mod history;
mod jobs;
pub mod lessons;
pub mod lookup;
pub mod lookups;
pub mod matrix;
pub mod names;
mod need_names;
mod objects;
mod pipes;
pub mod prompt;
mod remote;
mod script;
pub mod share;
mod shells;
mod substitution;
mod target;
pub mod transcript;
mod zone;

pub use target::{StartError, Target};

use crate::agent::{ControlPlane, Desired, Wakeup, Written};
use crate::api::{ApiError, ApiRequest};
use crate::base::{Diagnostic, EventId, NetnsId, ProcessId, Severity, SimTime, Span};
use crate::kernel::{Netns, Urgency};
use crate::manifest::{self, Located, Parsed, Reading};
pub use crate::sim::EVENTS_MAX;
use crate::sim::Simulation;
use crate::trace::{Fault, Inventory, Trace};
use script::Script;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Events that the tables may lag behind the trace.
const EVENTS_BEHIND: usize = 1_000;

/// Something a user did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Applied this text: what it describes comes, changes, or goes.
    Apply(String),
    /// Ran this command line. It may be `sh -c 'A; B && C'`.
    Run {
        /// Where.
        target: Target,
        /// The words of the command.
        argv: Vec<String>,
    },
    /// Broke something; see [`fault`].
    Fault(Fault),
    /// Mended the `n`-th `Fault` of the log, counted from 0.
    Mend(u32),
    /// Asked the API server for a change of one object. What commands ask for while they run is not logged: their `Run`
    /// does the same again.
    Request(ApiRequest),
    /// Typed Ctrl-C at the process started by the `n`-th `Run` of the log, counted from 0.
    Interrupt(u32),
    /// Typed a line at that process, Enter included, or Ctrl-D (`null`).
    Type(u32, Option<String>),
}

/// A seed and an ordered list of actions, each at a simulated time: all that is needed to see the same again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabLog {
    /// Seed of all chance.
    pub seed: u64,
    /// Actions with the simulated time of each, in order.
    pub actions: Vec<(SimTime, Action)>,
}

impl LabLog {
    /// The commands with their targets, numbered.
    pub fn runs(&self) -> impl Iterator<Item = (u32, (&Target, &[String]))> {
        let runs = self.actions.iter().filter_map(|(_, action)| match action {
            Action::Run { target, argv } => Some((target, argv.as_slice())),
            Action::Apply(_)
            | Action::Fault(_)
            | Action::Mend(_)
            | Action::Request(_)
            | Action::Interrupt(_)
            | Action::Type(..) => None,
        });
        (0..).zip(runs)
    }
}

/// How far a slice of work got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to do until the next action.
    Idle,
    /// There is more to do; simulated time reached.
    Busy(SimTime),
    /// A limit was reached (of the trace's size) and the run was stopped.
    Stopped(SimTime),
}

/// A running lab.
pub struct Lab {
    sim: Simulation<ControlPlane>,
    log: LabLog,
    /// Actions of a log being replayed that are still to come.
    upcoming: VecDeque<(SimTime, Action)>,
    /// A text of such a log that is being read.
    reading: Option<Reading>,
    live: Inventory,
    parsed: Parsed,
    scripts: BTreeMap<ProcessId, Script>,
    /// Processes in the order of the log's `Run` actions.
    runs: Vec<ProcessId>,
    faults: fault::Faults,
}

impl Lab {
    /// An empty lab: no nodes, no Pods, until a text is applied.
    pub fn new(seed: u64) -> Self {
        Self {
            sim: Simulation::new(seed, ControlPlane::default()),
            log: LabLog { seed, actions: Vec::new() },
            upcoming: VecDeque::new(),
            reading: None,
            live: Inventory::default(),
            parsed: manifest::parse(""),
            scripts: BTreeMap::new(),
            runs: Vec::new(),
            faults: fault::Faults::default(),
        }
    }

    /// Replays a log: its actions are taken as [`Self::advance`] reaches their time.
    pub fn open(log: &LabLog) -> Self {
        let mut lab = Self::new(log.seed);
        lab.upcoming = log.actions.iter().cloned().collect();
        lab
    }

    /// Applies a text now. With an error among the diagnostics nothing is applied and nothing is logged.
    pub fn apply(&mut self, text: &str) -> Vec<Diagnostic> {
        let parsed = parse(text);
        let diagnostics = parsed.diagnostics.clone();
        self.apply_parsed(text, parsed);
        diagnostics
    }

    /// Applies what `text` was read to be, unless there is an error in it. Returns whether it did.
    pub fn apply_parsed(&mut self, text: &str, parsed: Parsed) -> bool {
        if parsed.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return false;
        }
        self.catch_up();
        self.log.actions.push((self.sim.now(), Action::Apply(text.to_owned())));
        let objects = parsed.objects.iter().filter_map(Written::new).collect();
        let desired = Desired { cluster: parsed.resolve_cluster(), objects };
        self.sim.tell(Wakeup::Apply(Arc::new(desired)));
        self.parsed = parsed;
        true
    }

    /// How many objects of a text that is being applied are still to be written; 0 when all are.
    pub fn n_unwritten(&self) -> usize {
        self.sim.actor().map_or(0, ControlPlane::n_unwritten)
    }

    /// Whether each step is a larger piece of work at the moment: a text is being read or applied.
    pub fn is_heavy(&self) -> bool {
        self.reading.is_some() || self.n_unwritten() > 0
    }

    /// Asks the API server now. Only what changes something is logged.
    pub fn request(&mut self, request: &ApiRequest) -> Result<Value, ApiError> {
        self.catch_up();
        let answer = self.sim.ask(request)?;
        if !request.is_reading() {
            self.log.actions.push((self.sim.now(), Action::Request(request.clone())));
        }
        Ok(answer)
    }

    /// Starts a command now.
    pub fn start(&mut self, target: &Target, argv: &[String]) -> Result<ProcessId, StartError> {
        self.catch_up();
        self.live();
        self.find(target)?;
        self.need_names(target, argv);
        self.live();
        let (netns, environment) = self.find(target)?;
        if self.is_dead(netns) {
            return Err(StartError::Stopped(target.to_string()));
        }
        self.log.actions.push((self.sim.now(), Action::Run { target: target.clone(), argv: argv.to_vec() }));
        let process = self.sim.begin(netns, &environment);
        self.runs.push(process);
        self.launch(process, argv, environment);
        Ok(process)
    }

    /// Works through at most `steps` entries of the event queue, so that a page never blocks.
    pub fn advance(&mut self, steps: u32) -> Progress {
        for _ in 0..steps {
            if self.sim.trace().len() >= EVENTS_MAX {
                return Progress::Stopped(self.sim.now());
            }
            self.take_upcoming();
            if self.is_idle() || !self.step() {
                return Progress::Idle;
            }
            self.keep_up();
        }
        Progress::Busy(self.sim.now())
    }

    /// Runs until nothing is under way, as after applying a text. Stops at a limit of simulated time.
    pub fn settle(&mut self, limit: SimTime) -> Progress {
        self.run_while(limit, |lab| !lab.sim.is_quiet(Urgency::Now) || !lab.is_replayed())
    }

    /// One step towards where [`Self::settle`] ends.
    fn settle_step(&mut self, limit: SimTime) -> Progress {
        if self.sim.is_quiet(Urgency::Now) && self.is_replayed() {
            return Progress::Idle;
        }
        if self.reading.is_none() && self.sim.next_at().is_none_or(|at| at > limit) {
            return Progress::Stopped(self.sim.now());
        }
        self.take_upcoming();
        self.step();
        Progress::Busy(self.sim.now())
    }

    /// Runs until a process ended, or a shell in it asks for a command.
    pub fn finish(&mut self, process: ProcessId, limit: SimTime) -> Progress {
        self.run_while(limit, |lab| lab.sim.status(process).is_none() && !lab.asks(process))
    }

    /// Runs until all that was caused has happened: no packet under way, no neighbour asked or about to be checked.
    pub fn linger(&mut self, limit: SimTime) -> Progress {
        self.run_while(limit, |lab| !lab.sim.is_quiet(Urgency::Soon))
    }

    /// Lets time pass to `at`, with everything that happens until then.
    pub fn wait_until(&mut self, at: SimTime) -> Progress {
        let progress = self.run_while(at, |_| true);
        if self.sim.next_at().is_none_or(|next| next > at) && self.sim.now() < at {
            self.sim.wait_until(at);
        }
        progress
    }

    fn run_while(&mut self, limit: SimTime, goes_on: impl Fn(&Self) -> bool) -> Progress {
        while goes_on(self) {
            let late = self.reading.is_none() && self.sim.next_at().is_none_or(|at| at > limit);
            if self.sim.trace().len() >= EVENTS_MAX || late {
                return Progress::Stopped(self.sim.now());
            }
            self.take_upcoming();
            self.step();
        }
        Progress::Idle
    }

    /// Nothing is left to do before the next action: upkeep of the kernel alone does not count.
    pub fn is_idle(&self) -> bool {
        self.sim.is_quiet(Urgency::Soon) && self.is_replayed()
    }

    /// All actions of a replayed log have been taken.
    fn is_replayed(&self) -> bool {
        self.upcoming.is_empty() && self.reading.is_none()
    }

    fn step(&mut self) -> bool {
        if let Some(reading) = self.reading.take() {
            self.read_on(reading);
            return true;
        }
        let stepped = self.sim.step();
        for (process, status) in self.sim.take_ended() {
            self.go_on(process, status);
        }
        for (process, launch) in self.sim.take_launches() {
            self.launch_main(process, launch);
        }
        stepped
    }

    /// Whatever happens at this very moment happens before a new action, so that the moment alone says where an action
    /// stands among the events, and a replay finds the same place.
    fn catch_up(&mut self) {
        while !self.is_caught_up() {
            self.step();
        }
    }

    /// Whether an action can be taken at once. Where it is not, whatever happens at this very moment is done first, in
    /// one piece; who shows a screen rather waits while [`Self::advance`] does it.
    pub fn is_caught_up(&self) -> bool {
        let now = self.sim.now();
        self.sim.next_at().is_none_or(|at| at > now) || self.sim.trace().len() >= EVENTS_MAX
    }

    /// Reads a piece of a replayed log's text, and applies it when all is read.
    fn read_on(&mut self, mut reading: Reading) {
        if reading.advance() {
            self.reading = Some(reading);
        } else {
            let text = reading.text().clone();
            self.apply_parsed(&text, finish(reading));
        }
    }

    /// Takes the actions of a replayed log whose time has come.
    fn take_upcoming(&mut self) {
        while self.reading.is_none()
            && let Some((at, _)) = self.upcoming.front()
        {
            let comes_first = self.sim.next_at().is_none_or(|next| *at < next);
            if !comes_first {
                return;
            }
            let Some((at, action)) = self.upcoming.pop_front() else { return };
            self.sim.wait_until(at);
            match action {
                Action::Apply(text) => self.reading = Some(Reading::new(text.into())),
                // It is in the log because it succeeded, and so it does here.
                Action::Request(request) => drop(self.request(&request)),
                Action::Run { target, argv } => self.replay_run(&target, &argv),
                Action::Fault(fault) => self.replay_fault(&fault),
                // One whose place was gone has nothing to mend.
                Action::Mend(number) => drop(self.mend(number)),
                Action::Interrupt(run) => {
                    if let Some(&process) = self.runs.get(run as usize) {
                        self.interrupt(process);
                    }
                }
                Action::Type(run, line) => {
                    if let Some(&process) = self.runs.get(run as usize) {
                        self.type_at(process, line.as_deref());
                    }
                }
            }
        }
    }

    /// Everything that happened so far.
    pub fn trace(&self) -> &Trace {
        self.sim.trace()
    }

    /// All tables as they stand at the end of the trace.
    pub fn live(&mut self) -> &Inventory {
        let trace = self.sim.trace();
        self.live.advance(trace, trace.len());
        &self.live
    }

    /// Brings the tables nearer to the end of the trace once they are far behind it, so that who next asks for them does
    /// not wait for all of it.
    fn keep_up(&mut self) {
        let trace = self.sim.trace();
        if trace.len() > self.live.upto + EVENTS_BEHIND {
            self.live.advance(trace, self.live.upto + EVENTS_BEHIND);
        }
    }

    /// A network namespace as its kernel has it; [`Self::live`] tells the same from the trace.
    pub fn netns(&self, netns: NetnsId) -> Option<&Netns> {
        self.sim.netns(netns)
    }

    /// The log that makes this lab, the actions still to be replayed included.
    pub fn log(&self) -> LabLog {
        let mut log = self.log.clone();
        let read = self.reading.as_ref().map(|reading| Action::Apply(reading.text().to_string()));
        log.actions.extend(read.map(|action| (self.sim.now(), action)));
        log.actions.extend(self.upcoming.iter().cloned());
        log
    }

    /// How many actions that log has.
    pub fn n_actions(&self) -> usize {
        self.log.actions.len() + self.upcoming.len() + usize::from(self.reading.is_some())
    }

    /// When the last of them is taken.
    pub fn last_action_at(&self) -> Option<SimTime> {
        let taken = || self.log.actions.last().map(|(at, _)| *at);
        let read = || self.reading.as_ref().map(|_| self.sim.now());
        self.upcoming.back().map(|(at, _)| *at).or_else(read).or_else(taken)
    }

    /// Simulated time.
    pub fn now(&self) -> SimTime {
        self.sim.now()
    }

    /// The text applied last, as parsed.
    pub fn parsed(&self) -> &Parsed {
        &self.parsed
    }

    /// Where a Pod stands in the text applied last.
    pub fn span_of_pod(&self, namespace: &str, name: &str) -> Option<Span> {
        let is_it = |located: &&Located| {
            let meta = located.object.metadata();
            located.object.kind() == "Pod" && meta.name == name && meta.namespace == namespace
        };
        self.parsed.objects.iter().find(is_it).map(|located| located.span)
    }

    /// Exit status of a process, once it ended.
    pub fn status(&self, process: ProcessId) -> Option<u8> {
        self.sim.status(process)
    }

    /// The event with which a process began.
    pub fn began(&self, process: ProcessId) -> Option<EventId> {
        self.sim.began(process)
    }

    /// Processes in the order in which they were started.
    pub fn processes(&self) -> &[ProcessId] {
        &self.runs
    }
}

/// Reads a text as [`manifest::parse`] does, and the Corefiles in it as CoreDNS does.
pub fn parse(text: &str) -> Parsed {
    let mut reading = Reading::new(text.into());
    while reading.advance() {}
    finish(reading)
}

/// What a text that has been read holds, its Corefiles read as well.
pub fn finish(reading: Reading) -> Parsed {
    let text = reading.text().clone();
    let mut parsed = reading.finish();
    let found = corefiles::findings(&text, &parsed);
    if !found.is_empty() {
        parsed.diagnostics.extend(found);
        parsed.diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    }
    parsed
}

/// What is wrong in a text, without applying it.
pub fn check(text: &str) -> Vec<Diagnostic> {
    parse(text).diagnostics
}
