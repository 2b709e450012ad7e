//! Pipes between two processes that run at once (`pipe(7)`): what one writes wakes the other, which reads it as it comes.

use super::processes::Stdin;
use super::{Simulation, Task};
use crate::agent::Actor;
use crate::app::Wake;
use crate::base::ProcessId;
use crate::kernel::Urgency;

/// The end of a pipe that is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PipeEnd {
    /// This process reads.
    ReadBy(ProcessId),
    /// Nobody reads any more; whether it was written to since, which is the writer's end (SIGPIPE).
    Closed(bool),
}

impl<A: Actor> Simulation<A> {
    /// Has one process read from now on what another one writes to standard output.
    pub fn open_pipe(&mut self, writer: ProcessId, reader: ProcessId) {
        self.processes[reader.index()].stdin = Stdin::Pipe(Vec::new(), false);
        let slot = &mut self.processes[writer.index()];
        slot.pipe = Some(PipeEnd::ReadBy(reader));
        slot.is_terminal = false;
    }

    /// Standard input of a process, to be given to the next program of it.
    pub fn take_stdin(&mut self, process: ProcessId) -> Stdin {
        std::mem::replace(&mut self.processes[process.index()].stdin, Stdin::Content(Vec::new()))
    }

    /// Has another process read what one has read so far.
    pub fn hand_stdin_on(&mut self, from: ProcessId, to: ProcessId) {
        self.processes[to.index()].stdin = self.take_stdin(from);
        for slot in &mut self.processes {
            if slot.pipe == Some(PipeEnd::ReadBy(from)) {
                slot.pipe = Some(PipeEnd::ReadBy(to));
            }
        }
    }

    /// Nobody reads what this process writes any more.
    pub fn stop_reading(&mut self, writer: ProcessId) {
        let slot = &mut self.processes[writer.index()];
        if let Some(PipeEnd::ReadBy(_)) = slot.pipe {
            slot.pipe = Some(PipeEnd::Closed(false));
        }
    }

    /// Whether a process wrote to a pipe that nobody reads, which ends it.
    pub fn has_broken_pipe(&self, writer: ProcessId) -> bool {
        self.processes[writer.index()].pipe == Some(PipeEnd::Closed(true))
    }

    pub(super) fn write_to_pipe(&mut self, writer: ProcessId, text: &str) {
        match &mut self.processes[writer.index()].pipe {
            Some(PipeEnd::ReadBy(reader)) => {
                let reader = *reader;
                if let Stdin::Pipe(come, _) = &mut self.processes[reader.index()].stdin {
                    come.extend_from_slice(text.as_bytes());
                }
                self.queue.push(self.now, Urgency::Now, Task::Process(reader, Wake::Input, 0));
            }
            Some(PipeEnd::Closed(written)) => *written = true,
            None => {}
        }
    }

    /// The writer of a pipe is gone: its reader comes to the end.
    pub(super) fn close_pipe_of(&mut self, writer: ProcessId) {
        let Some(PipeEnd::ReadBy(reader)) = self.processes[writer.index()].pipe.take() else { return };
        if let Stdin::Pipe(_, is_over) = &mut self.processes[reader.index()].stdin {
            *is_over = true;
        }
        self.queue.push(self.now, Urgency::Now, Task::Process(reader, Wake::Input, 0));
    }
}
