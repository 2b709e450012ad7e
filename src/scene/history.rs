//! What a trace adds up to at any step, quickly: folded forward from the nearest state kept.

use crate::trace::{Event, Inventory, Surroundings, Trace};
use std::sync::Arc;

/// Something that the events of a trace add up to.
pub trait Fold: Clone + Default {
    /// Events between two states that are kept.
    const SPACING: usize;

    /// How many events are folded in.
    fn upto(&self) -> usize;

    /// Folds in the events up to `upto`.
    fn advance(&mut self, trace: &Trace, upto: usize);
}

impl Fold for Inventory {
    const SPACING: usize = 2_048;

    fn upto(&self) -> usize {
        self.upto
    }

    fn advance(&mut self, trace: &Trace, upto: usize) {
        Self::advance(self, trace, upto);
    }
}

impl Fold for Surroundings {
    // They fold fast and share nothing with their copies.
    const SPACING: usize = 16_384;

    fn upto(&self) -> usize {
        Self::upto(self)
    }

    fn advance(&mut self, trace: &Trace, upto: usize) {
        Self::advance(self, trace, upto);
    }
}

/// States of a trace, kept at intervals.
pub struct History<T = Inventory> {
    kept: Vec<Arc<T>>,
    latest: Option<Arc<T>>,
    seen: Option<(usize, Event)>,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), latest: None, seen: None }
    }
}

impl<T: Fold> History<T> {
    /// How many events are folded into the state asked for last.
    pub fn upto(&self) -> usize {
        self.latest.as_ref().map_or(0, |latest| latest.upto())
    }

    /// The state after the first `upto` events. The trace may have grown since; another trace is read anew.
    pub fn at(&mut self, trace: &Trace, upto: usize) -> Arc<T> {
        let upto = upto.min(trace.len());
        if self.seen.is_some_and(|(at, event)| trace.events.get(at) != Some(&event)) {
            *self = Self::default();
        }
        if let Some(latest) = &self.latest
            && latest.upto() == upto
        {
            return latest.clone();
        }
        let before = |kept: &Arc<T>| kept.upto() <= upto;
        let start = self.latest.take().filter(before);
        let kept = self.kept.iter().rev().find(|kept| before(kept));
        let mut state = match (start, kept) {
            (Some(latest), Some(kept)) if latest.upto() < kept.upto() => kept.clone(),
            (Some(latest), _) => latest,
            (None, Some(kept)) => kept.clone(),
            (None, None) => Arc::default(),
        };
        while state.upto() < upto {
            let stop = ((state.upto() / T::SPACING + 1) * T::SPACING).min(upto);
            Arc::make_mut(&mut state).advance(trace, stop);
            let fresh = self.kept.last().is_none_or(|kept| kept.upto() < stop);
            if stop.is_multiple_of(T::SPACING) && fresh {
                self.kept.push(state.clone());
            }
        }
        self.latest = Some(state.clone());
        if let Some(last) = upto.checked_sub(1)
            && self.seen.is_none_or(|(at, _)| at < last)
        {
            self.seen = Some((last, trace.events[last]));
        }
        state
    }
}
