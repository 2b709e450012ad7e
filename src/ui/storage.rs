//! What the browser keeps between visits. Storage may be forbidden, full, or hold what another program wrote: then the
//! page goes on without it.

use crate::base::words::Lang;
use crate::lab::history::History;
use leptos::prelude::window;
use serde::{Deserialize, Serialize};

const SETTINGS: &str = "vethscope.settings";
const HISTORY: &str = "vethscope.history";

/// Choices that are remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    /// Language, once chosen.
    pub(super) lang: Option<Lang>,
    /// Name of the theme, once chosen.
    pub(super) theme: Option<String>,
    /// Whether the user asked for less motion.
    pub(super) reduced_motion: bool,
    /// Whether the terminal was the tab at the left.
    pub(super) terminal_tab: bool,
    /// Whether keys without a modifier are shortcuts (WCAG 2.1.4).
    pub(super) single_keys: bool,
    /// Width of the panel at the left.
    pub(super) left: PanelSize,
    /// Width of the inspector.
    pub(super) right: PanelSize,
    /// Height of the timeline.
    pub(super) bottom: PanelSize,
}

/// How much room a panel takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PanelSize {
    /// Pixels, once it was resized; before that the style sheet decides.
    pub(super) pixels: Option<i32>,
    /// Whether it is folded away.
    pub(super) folded: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lang: None,
            theme: None,
            reduced_motion: false,
            terminal_tab: false,
            single_keys: true,
            left: PanelSize::default(),
            right: PanelSize::default(),
            bottom: PanelSize::default(),
        }
    }
}

/// The settings of the last visit.
pub(super) fn settings() -> Settings {
    read(SETTINGS).and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}

/// Keeps the settings.
pub(super) fn save_settings(settings: &Settings) {
    if let Ok(json) = serde_json::to_string(settings) {
        write(SETTINGS, &json);
    }
}

/// The labs of earlier visits.
pub(super) fn history() -> History {
    read(HISTORY).map(|json| History::read(&json)).unwrap_or_default()
}

/// Keeps the labs, as many of the newest as the browser has room for. Says whether it could.
pub(super) fn save_history(mut history: History) -> bool {
    loop {
        if write(HISTORY, &history.write()) {
            return true;
        }
        if history.entries.len() <= 1 {
            return false;
        }
        history.halve();
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

fn read(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

fn write(key: &str, value: &str) -> bool {
    storage().is_some_and(|storage| storage.set_item(key, value).is_ok())
}
