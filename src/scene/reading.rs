//! How far something that is kept beside a trace has read it.

use crate::base::{EventId, SimTime};
use crate::trace::{EventKind, Trace};

/// A place in a trace that grows, with what stands before it, by which another trace is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    upto: usize,
    last: Option<(SimTime, EventKind)>,
}

impl Reading {
    /// Number of events read.
    pub(super) fn upto(&self) -> usize {
        self.upto
    }

    /// Whether `trace` goes on from what was read. Where it does not, it is another and has to be read from its beginning.
    pub(super) fn is_of(&self, trace: &Trace) -> bool {
        let known = self.upto.checked_sub(1).and_then(|at| trace.events.get(at));
        known.map(|event| (event.at, event.kind)) == self.last
    }

    /// The events not read yet, which count as read from now on.
    pub(super) fn read(&mut self, trace: &Trace) -> impl Iterator<Item = EventId> + use<> {
        let from = self.upto;
        self.upto = trace.len();
        self.last = trace.events.last().map(|event| (event.at, event.kind));
        (from..self.upto).map(|at| EventId(at as u32))
    }
}
