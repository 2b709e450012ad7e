//! Pipes whose commands run at once: what the first writes over time, the last reads as it comes.

use super::Lab;
use super::script::Step;
use crate::app::sleep::Sleep;
use crate::base::{Duration, ProcessId};
use crate::shell::Node;
use crate::sim::Signal;
use std::sync::Arc;

impl Lab {
    /// Starts all commands of a pipe but the last as a process of their own, and has this one run the last, which reads
    /// what they write. What comes before the last but one command is run through first, as in any other pipe.
    pub(super) fn run_at_once(&mut self, process: ProcessId, nodes: &[Arc<Node>]) {
        let Some((last, before)) = nodes.split_last() else { return };
        let writes = match before {
            [only] => only.clone(),
            several => Arc::new(Node::Pipe(several.to_vec())),
        };
        let Some(writer) = self.fork(process, writes) else { return };
        self.sim.open_pipe(writer, process);
        let Some(script) = self.scripts.get_mut(&process) else { return };
        let outer = script.io.clone();
        (script.io.stdin, script.io.is_piped) = (None, true);
        script.steps.extend([
            Step::Restore(outer, None, String::new()),
            Step::Writer(writer, None),
            Step::Run(last.clone()),
        ]);
        self.go_on(writer, 0);
    }

    /// The last command of a pipe has ended with `status`: what writes to the pipe ends by itself, or when it next
    /// writes. `None` while it still runs.
    pub(super) fn wait_for_writer(
        &mut self,
        process: ProcessId,
        writer: ProcessId,
        status: u8,
    ) -> Option<u8> {
        const WHILE: Duration = Duration::from_ms(10);
        self.sim.stop_reading(writer);
        if self.sim.has_broken_pipe(writer) {
            self.end_writer(writer);
        }
        if self.sim.status(writer).is_some() {
            return Some(status);
        }
        let script = self.scripts.get_mut(&process)?;
        script.n_at_once = 0;
        script.steps.push(Step::Writer(writer, Some(status)));
        let title = script.title.clone();
        self.sim.run(process, Box::new(Sleep { duration: WHILE }), &title);
        None
    }

    /// Ctrl-C reaches all commands of a pipe.
    pub(super) fn end_writers(&mut self, process: ProcessId) {
        let steps = self.scripts.get(&process).map_or(&[][..], |script| &script.steps);
        let writers = steps
            .iter()
            .filter_map(|step| if let Step::Writer(writer, _) = step { Some(*writer) } else { None });
        for writer in writers.collect::<Vec<_>>() {
            self.end_writer(writer);
        }
    }

    fn end_writer(&mut self, writer: ProcessId) {
        if self.sim.status(writer).is_some() {
            return;
        }
        self.end_writers(writer);
        if let Some(script) = self.scripts.get_mut(&writer) {
            script.steps.clear();
        }
        self.sim.signal(writer, Signal::Kill);
    }
}
