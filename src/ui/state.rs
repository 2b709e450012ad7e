//! The page's state, handed down as one context. Panels read it, and change it only through its methods.

use crate::base::EventId;
use crate::base::words::Lang;
use crate::lab::{Lab, Target};
use crate::scene::Playback;
use leptos::prelude::*;

/// Theme of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Light.
    Light,
    /// Dark.
    Dark,
    /// For projectors: white, black outlines, large type.
    Projector,
}

/// What the inspector shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The event at the playhead.
    Playhead,
    /// This event.
    Event(EventId),
    /// A namespace, by name, and optionally an interface in it.
    Place(String, Option<String>),
}

/// The state of the page.
#[derive(Clone, Copy)]
pub struct Ui {
    /// The lab. It is not copied; `version` tells when it changed.
    pub lab: StoredValue<Lab, LocalStorage>,
    /// Counts up whenever the lab or its trace changed.
    pub version: RwSignal<u32>,
    /// The playhead.
    pub playback: RwSignal<Playback>,
    /// What the inspector shows.
    pub selection: RwSignal<Selection>,
    /// Language.
    pub lang: RwSignal<Lang>,
    /// Theme.
    pub theme: RwSignal<Theme>,
    /// Whether motion is reduced, by the system or by the user.
    pub reduced_motion: RwSignal<bool>,
    /// The text in the editor.
    pub text: RwSignal<String>,
    /// Where the terminal's commands run.
    pub terminal: RwSignal<Target>,
}
