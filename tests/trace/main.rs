//! The trace room from outside, on a small trace built by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod capture;
mod explain;
mod format;
mod hash;
mod sample;
