//! The simulator's side: commands in a lab, at the moments at which the real ones began.

use vethscope::base::{ProcessId, SimTime};
use vethscope::lab::{Lab, Target};

/// What a command wrote, and its status; `None` where it was still running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) output: String,
    pub(crate) status: Option<u8>,
}

/// Simulated time that a command may take.
const COMMAND_LIMIT_NS: u64 = 40_000_000_000;

/// A lab with `text` applied and settled.
pub(crate) fn lab(text: &str, seed: u64) -> Result<Lab, String> {
    let mut lab = Lab::new(seed);
    let found = lab.apply(text);
    let is_error = |severity| severity == vethscope::base::Severity::Error;
    let errors: Vec<_> = found.iter().filter(|found| is_error(found.severity)).collect();
    if !errors.is_empty() {
        return Err(format!("the cluster cannot be applied: {errors:?}"));
    }
    let limit = SimTime(lab.now().0 + COMMAND_LIMIT_NS);
    lab.settle(limit);
    Ok(lab)
}

/// Runs a command to its end.
pub(crate) fn run(lab: &mut Lab, target: &Target, argv: &[String]) -> Ran {
    match lab.start(target, argv) {
        Ok(process) => {
            finish(lab, process);
            ran(lab, process)
        }
        Err(error) => Ran { output: format!("{error}\n"), status: Some(1) },
    }
}

/// Runs until a process has ended.
pub(crate) fn finish(lab: &mut Lab, process: ProcessId) {
    let limit = SimTime(lab.now().0 + COMMAND_LIMIT_NS);
    lab.finish(process, limit);
}

/// What a process has written by now.
pub(crate) fn ran(lab: &Lab, process: ProcessId) -> Ran {
    Ran { output: lab.trace().written(0, process), status: lab.status(process) }
}
