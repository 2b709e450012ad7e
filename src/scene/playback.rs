//! The playhead: a plain value moved by commands. Which events count as steps is decided by [`super`], the same for
//! the stage, the timeline and the list.

use crate::base::{Duration, EventId};

/// How time plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A fixed pause for every step, whatever simulated time lies between.
    PerStep(Duration),
    /// Simulated time, slowed down by this factor.
    Proportional(u64),
}

/// Where the playhead stands and whether it moves. Positions are step numbers; `elapsed` is how much of the way to the
/// next step has been played, from 0 to `Playback::UNIT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playback {
    /// Events that are steps, in order.
    pub steps: Vec<EventId>,
    /// The step shown: an index into `steps`; 0 where there are none.
    pub at: usize,
    /// Part of the way to the next step, in `UNIT`ths.
    pub elapsed: u32,
    /// Whether time plays.
    pub playing: bool,
    /// How it plays.
    pub pace: Pace,
}

impl Playback {
    /// A whole step.
    pub const UNIT: u32 = 1_000_000;
}
