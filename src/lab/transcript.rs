//! What a terminal shows, as a function of the trace and of a moment in it: stepping back takes the output back too.

use crate::base::{EventId, OutputId, ProcessId};
use crate::trace::{EventKind, Trace};

/// A command entered at a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The prompt it was entered at.
    pub prompt: String,
    /// The line as it was entered.
    pub line: String,
    /// The process it started; `None` where it could not be started.
    pub process: Option<ProcessId>,
    /// Number of events there were when it was entered.
    pub entered: usize,
    /// Why it could not be started, or what else the terminal itself has to say.
    pub note: Option<String>,
}

/// What processes wrote and when they ended, gathered from a trace as it grows.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    seen: usize,
    writes: Vec<(EventId, ProcessId, OutputId)>,
    starts: Vec<(EventId, ProcessId)>,
    exits: Vec<(EventId, ProcessId)>,
}

impl Transcript {
    /// Takes in the events that came since the last time. A trace that became shorter is another one.
    pub fn extend(&mut self, trace: &Trace) {
        if trace.len() < self.seen {
            *self = Self::default();
        }
        for index in self.seen..trace.len() {
            let id = EventId(index as u32);
            match trace.event(id).kind {
                EventKind::Wrote(output) => {
                    self.writes.push((id, trace.outputs[output.index()].process, output));
                }
                EventKind::Started(process) => self.starts.push((id, process)),
                EventKind::Exited(process, _) => self.exits.push((id, process)),
                EventKind::Originated
                | EventKind::Transmitted
                | EventKind::Received(_)
                | EventKind::Passed(_)
                | EventKind::Decided(..)
                | EventKind::Changed(_)
                | EventKind::Queued
                | EventKind::Encapsulated
                | EventKind::Decapsulated
                | EventKind::Ended(_) => {}
            }
        }
        self.seen = trace.len();
    }

    /// The event with which a process began, if it did.
    pub fn start(&self, process: ProcessId) -> Option<EventId> {
        self.starts.iter().find(|(_, started)| *started == process).map(|(id, _)| *id)
    }

    /// The event with which a process ended, if it did.
    pub fn exit(&self, process: ProcessId) -> Option<EventId> {
        self.exits.iter().find(|(_, exited)| *exited == process).map(|(id, _)| *id)
    }

    /// The text on the terminal after the first `upto` events, and whether the shell waits for the next command.
    pub fn text(&self, trace: &Trace, entries: &[Entry], upto: usize) -> (String, bool) {
        let mut out = String::new();
        let mut is_waiting = true;
        for entry in entries.iter().filter(|entry| entry.entered <= upto) {
            out.push_str(&entry.prompt);
            out.push_str(&entry.line);
            out.push('\n');
            if let Some(note) = &entry.note {
                out.push_str(note);
                out.push('\n');
            }
            is_waiting = match entry.process {
                Some(process) => self.output(&mut out, (trace, upto), process),
                None => true,
            };
            // A program that Ctrl-C has ended leaves the line to the shell.
            if is_waiting && out.ends_with("^C") {
                out.push('\n');
            }
        }
        (out, is_waiting)
    }

    /// Adds what `process` wrote, and says whether it ended by then.
    fn output(&self, out: &mut String, (trace, upto): (&Trace, usize), process: ProcessId) -> bool {
        let of_process = self.writes.iter().filter(|(_, writer, _)| *writer == process);
        for (_, _, output) in of_process.take_while(|(id, ..)| id.index() < upto) {
            out.push_str(&trace.outputs[output.index()].text);
        }
        self.exit(process).is_some_and(|id| id.index() < upto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{IfIndex, JourneyId, NetnsId, PacketId, SimTime};
    use crate::trace::{Event, Output, Stream};

    fn push(trace: &mut Trace, at: u64, kind: EventKind) {
        trace.push(Event {
            at: SimTime(at),
            netns: NetnsId(0),
            ifindex: IfIndex::NONE,
            packet: PacketId::NONE,
            journey: JourneyId::NONE,
            cause: EventId::NONE,
            kind,
        });
    }

    fn write(trace: &mut Trace, at: u64, process: u32, text: &str) {
        let output = Output { process: ProcessId(process), stream: Stream::Stdout, text: text.into() };
        let id = trace.write(output);
        push(trace, at, EventKind::Wrote(id));
    }

    fn entry(line: &str, process: Option<u32>, entered: usize) -> Entry {
        let process = process.map(ProcessId);
        Entry { prompt: "$ ".into(), line: line.into(), process, entered, note: None }
    }

    #[test]
    fn the_terminal_follows_the_playhead_both_ways() {
        let mut trace = Trace::default();
        push(&mut trace, 0, EventKind::Started(ProcessId(0)));
        write(&mut trace, 1, 0, "one\n");
        write(&mut trace, 2, 9, "of another terminal\n");
        write(&mut trace, 3, 0, "two\n");
        push(&mut trace, 4, EventKind::Exited(ProcessId(0), 0));
        let mut transcript = Transcript::default();
        transcript.extend(&trace);
        let entries = [entry("ping b", Some(0), 0), entry("ip a", None, 5)];
        for (upto, text, waiting) in [
            (0, "$ ping b\n", false),
            (2, "$ ping b\none\n", false),
            (4, "$ ping b\none\ntwo\n", false),
            (1, "$ ping b\n", false),
            (5, "$ ping b\none\ntwo\n$ ip a\n", true),
        ] {
            assert_eq!(transcript.text(&trace, &entries, upto), (text.to_owned(), waiting), "after {upto}");
        }
    }

    #[test]
    fn what_is_typed_shows_where_it_was_typed() {
        let mut trace = Trace::default();
        write(&mut trace, 1, 0, "/ # ");
        let echo = |text: &str| Output { process: ProcessId(0), stream: Stream::Echo, text: text.into() };
        let line = trace.write(echo("sleep 9\n"));
        push(&mut trace, 1, EventKind::Wrote(line));
        let interrupt = trace.write(echo("^C"));
        push(&mut trace, 4, EventKind::Wrote(interrupt));
        push(&mut trace, 4, EventKind::Exited(ProcessId(0), 130));
        let mut transcript = Transcript::default();
        transcript.extend(&trace);
        let entries = [entry("sh", Some(0), 0)];
        assert_eq!(transcript.text(&trace, &entries, 3), ("$ sh\n/ # sleep 9\n^C".to_owned(), false));
        assert_eq!(transcript.text(&trace, &entries, 4), ("$ sh\n/ # sleep 9\n^C\n".to_owned(), true));
    }
}
