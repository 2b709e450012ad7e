//! The page.

mod state;

pub use state::{Selection, Theme, Ui};

/// Mounts the page.
pub fn mount() {}
