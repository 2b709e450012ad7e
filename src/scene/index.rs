//! The trace made ready for playing: which events are steps, and the stations of every journey. It grows with the
//! trace and never looks at an event twice.

use super::look::{self, StepKind};
use super::reading::Reading;
use crate::base::{EventId, JourneyId};
use crate::trace::{EventKind, Relation, Trace};
use std::collections::BTreeMap;

/// Steps and stations of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    reading: Reading,
    steps: Vec<EventId>,
    stations: Vec<Vec<EventId>>,
    ends: Vec<Option<EventId>>,
    families: BTreeMap<JourneyId, Vec<JourneyId>>,
}

/// The events that are steps, in order: a packet leaves or enters an interface, is wrapped or unwrapped, waits or
/// dies; a Pod takes a step of its life; a process begins or writes. Copies of one flood that leave together, or
/// arrive together, are one step.
pub fn steps(trace: &Trace) -> Vec<EventId> {
    let mut index = Index::default();
    index.extend(trace);
    index.steps
}

/// The steps among the events from `from` on.
pub fn steps_from(trace: &Trace, from: usize) -> Vec<EventId> {
    let is_step = |id: &EventId| look::step_kind(trace, trace.event(*id)).is_some();
    let ids = |range: std::ops::Range<usize>| range.map(|at| EventId(at as u32));
    let mut last = ids(0..from.min(trace.len())).rev().find(is_step);
    let mut steps = Vec::new();
    for id in ids(from..trace.len()).filter(is_step) {
        if !last.is_some_and(|last| is_one_flood(trace, last, id)) {
            steps.push(id);
        }
        last = Some(id);
    }
    steps
}

impl Index {
    /// Takes in what was added to the trace. A trace that is not a continuation of the one before is read anew.
    pub fn extend(&mut self, trace: &Trace) {
        if !self.reading.is_of(trace) {
            *self = Self::default();
        }
        self.stations.resize(trace.journeys.len(), Vec::new());
        self.ends.resize(trace.journeys.len(), None);
        for id in self.reading.read(trace) {
            self.take(trace, id);
        }
    }

    fn take(&mut self, trace: &Trace, id: EventId) {
        let event = trace.event(id);
        if look::step_kind(trace, event).is_some() && !self.belongs_to_last(trace, id) {
            self.steps.push(id);
        }
        if !event.journey.is_some() {
            return;
        }
        let journey = event.journey.index();
        if self.stations[journey].is_empty() && self.ends[journey].is_none() {
            self.families.entry(trace.root_of(event.journey)).or_default().push(event.journey);
        }
        match event.kind {
            EventKind::Originated
            | EventKind::Transmitted
            | EventKind::Received(_)
            | EventKind::Queued
            | EventKind::Encapsulated
            | EventKind::Decapsulated => self.stations[journey].push(id),
            EventKind::Ended(_) => self.ends[journey] = Some(id),
            EventKind::Passed(_)
            | EventKind::Decided(..)
            | EventKind::Changed(_)
            | EventKind::Wrote(_)
            | EventKind::Started(_)
            | EventKind::Exited(..) => {}
        }
    }

    fn belongs_to_last(&self, trace: &Trace, id: EventId) -> bool {
        self.steps.last().is_some_and(|last| is_one_flood(trace, *last, id))
    }

    /// The events that are steps.
    pub fn steps(&self) -> &[EventId] {
        &self.steps
    }

    /// The steps that `shown` lets through.
    pub fn filtered(&self, trace: &Trace, shown: impl Fn(StepKind) -> bool) -> Vec<EventId> {
        let visible = |id: &EventId| look::step_kind(trace, trace.event(*id)).is_some_and(&shown);
        self.steps.iter().copied().filter(visible).collect()
    }

    /// The last event that belongs to the step `at` of `steps`: further copies of a flood are shown with the first.
    pub fn horizon(&self, trace: &Trace, steps: &[EventId], at: usize) -> Option<EventId> {
        let first = *steps.get(at)?;
        // Copies are found among all steps: a filter may have left out what follows.
        let next = self.steps.partition_point(|step| *step <= first);
        let end = self.steps.get(next).map_or(self.reading.upto(), |step| step.index());
        let kind = std::mem::discriminant(&trace.event(first).kind);
        let last = (first.index() + 1..end).rev().find(|id| {
            std::mem::discriminant(&trace.events[*id].kind) == kind
                && look::step_kind(trace, &trace.events[*id]).is_some()
        });
        Some(last.map_or(first, |id| EventId(id as u32)))
    }

    /// The step that shows what `event` did: the event itself, or the next step of the same packet, for a packet that is
    /// only just made is seen where it leaves by its first interface.
    pub fn step_of(&self, trace: &Trace, event: EventId) -> EventId {
        let is_step = |id: &EventId| self.steps.binary_search(id).is_ok();
        let journey = trace.event(event).journey;
        if is_step(&event) || !journey.is_some() {
            return event;
        }
        let later = self.stations(journey).iter().filter(|station| **station >= event);
        later.copied().find(is_step).unwrap_or(event)
    }

    /// How many journeys there are.
    pub(super) fn journeys(&self) -> usize {
        self.stations.len()
    }

    /// The events at which a journey was seen at a place.
    pub(super) fn stations(&self, journey: JourneyId) -> &[EventId] {
        self.stations.get(journey.index()).map_or(&[], Vec::as_slice)
    }

    /// The end of a journey.
    pub(super) fn end(&self, journey: JourneyId) -> Option<EventId> {
        self.ends.get(journey.index()).copied().flatten()
    }

    /// All journeys that began with `root`.
    pub(super) fn family(&self, root: JourneyId) -> &[JourneyId] {
        self.families.get(&root).map_or(&[], Vec::as_slice)
    }
}

/// Whether the step `id` is a further copy of the flood that the step before it belongs to.
fn is_one_flood(trace: &Trace, before: EventId, id: EventId) -> bool {
    let (before, now) = (trace.event(before), trace.event(id));
    let alike = match (before.kind, now.kind) {
        (EventKind::Transmitted, EventKind::Transmitted) => before.netns == now.netns,
        (EventKind::Received(_), EventKind::Received(_)) => true,
        _ => false,
    };
    alike
        && before.journey != now.journey
        && before.journey.is_some()
        && now.journey.is_some()
        && flood_of(trace, before.journey) == flood_of(trace, now.journey)
}

/// The journey that a flood copied.
fn flood_of(trace: &Trace, journey: JourneyId) -> JourneyId {
    let mut at = journey;
    while let info = &trace.journeys[at.index()]
        && info.relation == Relation::Copy
        && let Some(parent) = info.parent
    {
        at = parent;
    }
    at
}
