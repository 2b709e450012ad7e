//! The trace room from outside, on a small trace built by hand.

mod capture;
mod explain;
mod format;
mod hash;
mod sample;
