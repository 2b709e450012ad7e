//! From trace to picture, still without a screen: what stands where, what lights up at a moment, and how time plays.

mod playback;

pub use playback::{Pace, Playback};
