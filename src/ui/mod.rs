//! The page.

#![expect(unreachable_pub, reason = "the component macro writes a pub of its own")]

mod app;
mod bundles;
mod dialogs;
mod editor;
mod exercise;
mod export;
mod header;
mod icon;
pub mod inspector;
mod keys;
mod lab_driver;
mod lesson;
mod light;
mod panels;
mod present;
mod rule;
mod share;
mod slices;
pub mod stage;
mod state;
mod storage;
mod terminal;
mod theme;
pub mod timeline;
mod views;

pub use state::{Selection, Theme, Ui};

/// Mounts the page.
pub fn mount() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(app::App);
}
