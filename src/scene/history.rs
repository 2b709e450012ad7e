//! The tables at any step, quickly: an inventory folded forward from the nearest one kept.

use crate::trace::{Event, Inventory, Trace};
use std::sync::Arc;

/// Events between two inventories kept.
const SPACING: usize = 2_048;

/// Inventories of a trace, kept at intervals.
#[derive(Default)]
pub struct History {
    kept: Vec<Arc<Inventory>>,
    latest: Option<Arc<Inventory>>,
    seen: Option<(usize, Event)>,
}

impl History {
    /// The tables after the first `upto` events. The trace may have grown since; another trace is read anew.
    pub fn at(&mut self, trace: &Trace, upto: usize) -> Arc<Inventory> {
        let upto = upto.min(trace.len());
        if self.seen.is_some_and(|(at, event)| trace.events.get(at) != Some(&event)) {
            *self = Self::default();
        }
        if let Some(latest) = &self.latest
            && latest.upto == upto
        {
            return latest.clone();
        }
        let before = |kept: &Arc<Inventory>| kept.upto <= upto;
        let start = self.latest.take().filter(before);
        let kept = self.kept.iter().rev().find(|kept| before(kept));
        let mut inventory = match (start, kept) {
            (Some(latest), Some(kept)) if latest.upto < kept.upto => kept.clone(),
            (Some(latest), _) => latest,
            (None, Some(kept)) => kept.clone(),
            (None, None) => Arc::default(),
        };
        while inventory.upto < upto {
            let stop = ((inventory.upto / SPACING + 1) * SPACING).min(upto);
            Arc::make_mut(&mut inventory).advance(trace, stop);
            let fresh = self.kept.last().is_none_or(|kept| kept.upto < stop);
            if stop.is_multiple_of(SPACING) && fresh {
                self.kept.push(inventory.clone());
            }
        }
        self.latest = Some(inventory.clone());
        if let Some(last) = upto.checked_sub(1)
            && self.seen.is_none_or(|(at, _)| at < last)
        {
            self.seen = Some((last, trace.events[last]));
        }
        inventory
    }
}
