//! The event queue: a heap keyed by time, then by the order of insertion, so that equal times keep their order.

use crate::base::SimTime;
use crate::kernel::Urgency;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What is to happen, in order.
#[derive(Clone, Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    seq: u64,
    /// Entries that a run waits for: those of urgency `Now`, and those of `Soon`.
    now: usize,
    soon: usize,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    at: SimTime,
    seq: u64,
    urgency: Urgency,
    task: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), seq: 0, now: 0, soon: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, at: SimTime, urgency: Urgency, task: T) {
        self.count(urgency, 1);
        self.heap.push(Reverse(Entry { at, seq: self.seq, urgency, task }));
        self.seq += 1;
    }

    pub(super) fn pop(&mut self) -> Option<(SimTime, T)> {
        let Reverse(entry) = self.heap.pop()?;
        self.count(entry.urgency, -1);
        Some((entry.at, entry.task))
    }

    pub(super) fn next_at(&self) -> Option<SimTime> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    pub(super) fn is_quiet(&self, upto: Urgency) -> bool {
        match upto {
            Urgency::Now => self.now == 0,
            Urgency::Soon => self.now + self.soon == 0,
            Urgency::Background => self.heap.is_empty(),
        }
    }

    fn count(&mut self, urgency: Urgency, by: isize) {
        match urgency {
            Urgency::Now => self.now = self.now.saturating_add_signed(by),
            Urgency::Soon => self.soon = self.soon.saturating_add_signed(by),
            Urgency::Background => {}
        }
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}
