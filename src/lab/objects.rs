//! What containers wrote.

use crate::trace::{TableChange, Trace};

/// What the main process of a container wrote, in one of its lives: its log. Of Pods that bore one name it is the last
/// one's.
pub(super) fn log(trace: &Trace, (namespace, pod, name): (&str, &str, &str), restarts: u32) -> String {
    let main = trace.changes.iter().rev().find_map(|change| {
        let TableChange::Process(row) = change else { return None };
        let container = row.container.as_ref()?;
        let is_it = (&*container.namespace, &*container.pod, &*container.container) == (namespace, pod, name)
            && container.restarts == restarts;
        is_it.then_some(row.process)
    });
    let outputs = trace.outputs.iter().filter(|output| Some(output.process) == main);
    outputs.map(|output| output.text.as_str()).collect()
}
