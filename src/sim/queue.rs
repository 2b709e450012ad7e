//! The event queue: a heap keyed by time, then by the order of insertion, so that equal times keep their order. The heap
//! holds keys alone; what is to be done waits beside it, for it is large and a heap moves its entries about.

use crate::base::SimTime;
use crate::kernel::Urgency;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is to happen, in order.
#[derive(Clone, Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Key>>,
    tasks: Vec<Option<T>>,
    /// Places in `tasks` that are free.
    free: Vec<u32>,
    seq: u64,
    /// Entries that a run waits for: those of urgency `Now`, and those of `Soon`.
    now: usize,
    soon: usize,
}

/// When, then in which order, then where the task waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: SimTime,
    seq: u64,
    place: u32,
    urgency: Urgency,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), tasks: Vec::new(), free: Vec::new(), seq: 0, now: 0, soon: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, at: SimTime, urgency: Urgency, task: T) {
        self.count(urgency, 1);
        let place = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() as u32 - 1
        });
        self.tasks[place as usize] = Some(task);
        self.heap.push(Reverse(Key { at, seq: self.seq, place, urgency }));
        self.seq += 1;
    }

    pub(super) fn pop(&mut self) -> Option<(SimTime, T)> {
        let Reverse(key) = self.heap.pop()?;
        self.count(key.urgency, -1);
        self.free.push(key.place);
        let task = self.tasks.get_mut(key.place as usize)?.take()?;
        Some((key.at, task))
    }

    pub(super) fn next_at(&self) -> Option<SimTime> {
        self.heap.peek().map(|Reverse(key)| key.at)
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
