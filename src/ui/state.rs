//! The page's state, handed down as two contexts: [`Ui`] for every panel, [`Page`] for the frame around them. Panels
//! read signals, and change them only through the methods here and in [`super::lab_driver`].

use super::lab_driver::Driver;
use super::storage::{self, Settings};
use crate::base::words::{self, Lang};
use crate::base::{Diagnostic, EventId, SimTime, Span};
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

impl Theme {
    /// Every theme, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Projector];

    /// The name that style sheets and storage know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Projector => "projector",
        }
    }

    /// The theme of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }
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

/// The state of the page that every panel knows.
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
    /// The stretch of the editor's text that is lit, in bytes.
    pub highlight: RwSignal<Option<Span>>,
    /// What the one live region says. It is set once a step, never once a frame.
    pub announcement: RwSignal<String>,
}

impl Ui {
    /// The word `key` in the page's language. Inside a view it follows the language.
    pub fn word(self, key: &str) -> String {
        words::word(self.lang.get(), key)
    }

    /// The sentence `key` with its arguments in the page's language.
    pub fn sentence(self, key: &str, args: &[String]) -> String {
        words::text(self.lang.get(), key, args)
    }

    /// Has the live region say `text`.
    pub fn announce(self, text: String) {
        self.announcement.set(text);
    }
}

/// A tab of the panel at the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    /// The manifest.
    Yaml,
    /// The terminal.
    Terminal,
    /// The course.
    Lesson,
}

impl Tab {
    /// All tabs from left to right.
    pub(super) const ALL: [Self; 3] = [Self::Yaml, Self::Terminal, Self::Lesson];
}

/// A dialog that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialog {
    /// The link to this lab.
    Share,
    /// The list of keys.
    Shortcuts,
    /// Labs of earlier visits.
    History,
}

/// A message above the panels that stays until it is dismissed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// Key of the sentence.
    pub(super) key: &'static str,
    /// Its arguments.
    pub(super) args: Vec<String>,
}

/// What the simulation is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing is left to do.
    Idle,
    /// It applies the text in the editor: as many of its objects are left.
    Applying(usize),
    /// It runs, and got to this simulated time.
    Busy(SimTime),
    /// It has run far enough ahead of the playhead and waits.
    Ahead,
    /// The user, or a limit, stopped it at this simulated time.
    Stopped(SimTime),
}

/// How far the check of a text is that takes longer than a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checking {
    /// Objects that were checked.
    pub(super) n_objects: usize,
    /// How much of the text they are, from 0 to 100.
    pub(super) percent: usize,
}

/// The state of the frame around the panels.
#[derive(Clone, Copy)]
pub(super) struct Page {
    /// What the panels know.
    pub(super) ui: Ui,
    /// Tab at the left.
    pub(super) tab: RwSignal<Tab>,
    /// Dialog that is open.
    pub(super) dialog: RwSignal<Option<Dialog>>,
    /// Message above the panels.
    pub(super) notice: RwSignal<Option<Notice>>,
    /// What is wrong in the editor's text.
    pub(super) diagnostics: RwSignal<Vec<Diagnostic>>,
    /// What the simulation is doing.
    pub(super) work: RwSignal<Work>,
    /// Sizes of panels and other choices that are remembered.
    pub(super) settings: RwSignal<Settings>,
    /// The loop that drives the lab.
    pub(super) driver: StoredValue<Driver, LocalStorage>,
    /// Whether the last action can be taken back, and whether one that was can be done again.
    pub(super) can_undo: RwSignal<(bool, bool)>,
    /// The view that lies over the stage.
    pub(super) view: RwSignal<Option<super::views::View>>,
    /// While the page is presented, the theme to come back to.
    pub(super) presenting: RwSignal<Option<Theme>>,
}

impl Page {
    /// The state a page begins with: what was chosen last time, else what the browser asks for.
    pub(super) fn new() -> Self {
        let settings = storage::settings();
        let lang = settings.lang.unwrap_or_else(browser_language);
        let theme = settings.theme.as_deref().and_then(Theme::named).unwrap_or_else(system_theme);
        let reduced = settings.reduced_motion || system_wants_less_motion();
        let (terminal, _) = crate::lab::lessons::first_command();
        let tab = if settings.terminal_tab { Tab::Terminal } else { Tab::Yaml };
        let ui = Ui {
            lab: StoredValue::new_local(Lab::new(crate::lab::lessons::SEED)),
            version: RwSignal::new(0),
            playback: RwSignal::new(super::lab_driver::new_playback()),
            selection: RwSignal::new(Selection::Playhead),
            lang: RwSignal::new(lang),
            theme: RwSignal::new(theme),
            reduced_motion: RwSignal::new(reduced),
            text: RwSignal::new(crate::lab::lessons::vxlan(lang).to_owned()),
            terminal: RwSignal::new(terminal),
            highlight: RwSignal::new(None),
            announcement: RwSignal::new(String::new()),
        };
        Self {
            ui,
            tab: RwSignal::new(tab),
            dialog: RwSignal::new(None),
            notice: RwSignal::new(None),
            diagnostics: RwSignal::new(Vec::new()),
            work: RwSignal::new(Work::Idle),
            settings: RwSignal::new(settings),
            driver: StoredValue::new_local(Driver::default()),
            can_undo: RwSignal::new((false, false)),
            view: RwSignal::new(None),
            presenting: RwSignal::new(None),
        }
    }

    /// The word `key` in the page's language.
    pub(super) fn word(self, key: &str) -> String {
        self.ui.word(key)
    }

    /// Shows a message above the panels and has it said.
    pub(super) fn notify(self, key: &'static str, args: Vec<String>) {
        self.ui.announce(words::text(self.ui.lang.get_untracked(), key, &args));
        self.notice.set(Some(Notice { key, args }));
    }

    /// Changes what is remembered of the user's choices.
    pub(super) fn set(self, change: impl FnOnce(&mut Settings)) {
        self.settings.update(change);
        storage::save_settings(&self.settings.get_untracked());
    }
}

/// The frame's state, from the context.
pub(super) fn use_page() -> Page {
    expect_context::<Page>()
}

fn browser_language() -> Lang {
    let korean = window().navigator().language().is_some_and(|code| code.to_lowercase().starts_with("ko"));
    if korean { Lang::Ko } else { Lang::En }
}

/// Whether the system's settings match a media query.
fn system_says(query: &str) -> bool {
    window().match_media(query).ok().flatten().is_some_and(|list| list.matches())
}

fn system_theme() -> Theme {
    if system_says("(prefers-color-scheme: dark)") { Theme::Dark } else { Theme::Light }
}

/// Whether the system asks for less motion.
pub(super) fn system_wants_less_motion() -> bool {
    system_says("(prefers-reduced-motion: reduce)")
}
