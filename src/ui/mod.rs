//! The page.

pub mod inspector;
pub mod stage;
mod state;
pub mod timeline;

pub use state::{Selection, Theme, Ui};

/// Mounts the page.
pub fn mount() {}
