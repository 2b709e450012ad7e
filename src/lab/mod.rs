//! The facade: a lab is a log of actions, and its state is the replay of that log.

pub mod history;
pub mod lessons;
pub mod prompt;
pub mod share;
pub mod transcript;

use crate::base::{Diagnostic, EventId, ProcessId, SimTime};
use crate::trace::{Inventory, Trace};
use serde::{Deserialize, Serialize};

/// Where a command runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// A container of a Pod.
    Pod {
        /// Namespace of the Pod.
        namespace: String,
        /// Name of the Pod.
        name: String,
        /// Name of the container; the first one where `None`.
        container: Option<String>,
    },
    /// A node, by name.
    Node(String),
    /// A host outside the cluster, by name.
    Host(String),
}

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
    /// Typed Ctrl-C at the process started by the `n`-th `Run` of the log, counted from 0.
    Interrupt(u32),
}

/// A seed and an ordered list of actions, each at a simulated time: all that is needed to see the same again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabLog {
    /// Seed of all chance.
    pub seed: u64,
    /// Actions with the simulated time of each, in order.
    pub actions: Vec<(SimTime, Action)>,
}

/// How far a slice of work got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to do until the next action.
    Idle,
    /// There is more to do; simulated time reached.
    Busy(SimTime),
    /// A limit was reached (of the trace's size or of simulated time) and the run was stopped.
    Stopped(SimTime),
}

/// Why a command could not be started at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// There is no such Pod, node or host.
    NoSuchTarget(String),
    /// The Pod has no such container; the names it has.
    NoSuchContainer(String, Vec<String>),
    /// The Pod does not run yet, and why.
    NotRunning(String),
}

/// A running lab.
pub struct Lab;

impl Lab {
    /// An empty lab: no nodes, no Pods, until a text is applied.
    pub fn new(_seed: u64) -> Self {
        Self
    }
    /// Replays a log from the beginning.
    pub fn open(_log: &LabLog) -> Self {
        Self
    }
    /// Applies a text. With an error among the diagnostics nothing is applied and nothing is logged.
    pub fn apply(&mut self, _text: &str) -> Vec<Diagnostic> {
        Vec::new()
    }
    /// Starts a command now.
    pub fn start(&mut self, _target: &Target, _argv: &[String]) -> Result<ProcessId, StartError> {
        Err(StartError::NotRunning("not built yet".to_owned()))
    }
    /// Types Ctrl-C.
    pub fn interrupt(&mut self, _process: ProcessId) {}
    /// Works through at most `steps` entries of the event queue, so that a page never blocks.
    pub fn advance(&mut self, _steps: u32) -> Progress {
        Progress::Idle
    }
    /// Everything that happened so far.
    pub fn trace(&self) -> &Trace {
        static T: std::sync::OnceLock<Trace> = std::sync::OnceLock::new();
        T.get_or_init(Trace::default)
    }
    /// All tables as they stand at the end of the trace.
    pub fn live(&self) -> &Inventory {
        static T: std::sync::OnceLock<Inventory> = std::sync::OnceLock::new();
        T.get_or_init(Inventory::default)
    }
    /// The log that makes this lab.
    pub fn log(&self) -> &LabLog {
        static T: std::sync::OnceLock<LabLog> = std::sync::OnceLock::new();
        T.get_or_init(LabLog::default)
    }
    /// Exit status of a process, once it ended.
    pub fn status(&self, _process: ProcessId) -> Option<u8> {
        unimplemented!("the simulation is being built")
    }
    /// The event with which a process began.
    pub fn began(&self, _process: ProcessId) -> EventId {
        unimplemented!("the simulation is being built")
    }
}

/// Checks.
pub fn check(_text: &str) -> Vec<Diagnostic> {
    Vec::new()
}
/// Capture.
pub fn pcapng(_lab: &Lab) -> Vec<u8> {
    Vec::new()
}
