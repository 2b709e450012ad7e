//! Rows of the process table.

use crate::base::{NetnsId, PidNsId, ProcessId, SimTime};
use std::sync::Arc;

/// A process, as `ps` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRow {
    /// Its number in the simulation.
    pub process: ProcessId,
    /// Its network namespace.
    pub netns: NetnsId,
    /// Its PID namespace.
    pub pidns: PidNsId,
    /// Its number there.
    pub pid: u32,
    /// The container it is the main process of; `None` for what a user started.
    pub container: Option<ContainerRef>,
    /// Command line.
    pub args: Arc<str>,
    /// When it began.
    pub started: SimTime,
}

impl ProcessRow {
    /// The name of the program, as the kernel keeps it (`/proc/PID/comm`): at most 15 characters.
    pub fn comm(&self) -> String {
        let first = self.args.split([' ', ':']).next().unwrap_or("");
        first.rsplit('/').next().unwrap_or("").chars().take(15).collect()
    }

    /// The command line from the program's name on.
    pub fn title(&self) -> &str {
        let first = self.args.split(' ').next().unwrap_or("");
        let path = first.rfind('/').map_or(0, |at| at + 1);
        &self.args[path..]
    }
}

/// A container of a Pod, in one of its lives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerRef {
    /// Namespace of the Pod.
    pub namespace: Arc<str>,
    /// Name of the Pod.
    pub pod: Arc<str>,
    /// Number of the Pod's incarnation.
    pub uid: u32,
    /// Name of the container.
    pub container: Arc<str>,
    /// How often it was started before.
    pub restarts: u32,
}
