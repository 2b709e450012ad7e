//! From trace to picture, still without a screen: what stands where, what lights up at a moment, and how time plays.

mod playback;

pub use playback::{Pace, Playback};

/// Steps.
pub fn steps_from(trace: &crate::trace::Trace, from: usize) -> Vec<crate::base::EventId> {
    (from..trace.len()).map(|index| crate::base::EventId(index as u32)).collect()
}
