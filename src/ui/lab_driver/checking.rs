//! Checks what is typed, in slices of a frame, and applies it when the typing pauses. Until then, and where the user
//! stops it, the last good network stays.

use super::pace::{Deed, when_caught_up};
use super::{Follow, has_errors, open, save_soon, wake};
use crate::base::Diagnostic;
use crate::lab::{self, Lab, lessons};
use crate::manifest::{Parsed, Reading};
use crate::ui::slices::in_slices;
use crate::ui::state::{Checking, Page};
use leptos::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration as WallDuration;

/// Milliseconds without a key stroke after which a text without errors is applied.
const TYPING_PAUSE: WallDuration = WallDuration::from_millis(300);

/// What is known of the text in the editor.
#[derive(Default)]
pub(super) struct Typed {
    pause: Option<TimeoutHandle>,
    /// Counts the checks that were begun: only the newest goes on.
    n_begun: u32,
    state: State,
    progress: RwSignal<Option<Checking>>,
    /// What the user did after the text was typed, in order.
    waiting: Vec<Deed>,
}

impl Typed {
    /// Another lab is opened: what waited for this one's text is void.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }
}

/// How far a check is.
#[derive(Default)]
enum State {
    /// There is none, or the user stopped it.
    #[default]
    None,
    /// It is under way; whether the text is to be applied as soon as it is over.
    Reading { is_due: bool },
    /// It is over, and the text was this.
    Read(Arc<str>, Parsed),
}

/// How far the check of the text in the editor is, while it goes on for longer than a frame.
pub(in crate::ui) fn progress_of_check(page: Page) -> Option<Checking> {
    page.driver.with_value(|driver| driver.typed.progress).get()
}

fn set_progress(page: Page, progress: Option<Checking>) {
    page.driver.with_value(|driver| driver.typed.progress).set(progress);
}

fn set_state(page: Page, state: State) {
    page.driver.update_value(|driver| driver.typed.state = state);
}

/// Takes in what stands in the editor now. It is checked from the next frame on, and applied when the typing pauses.
pub(in crate::ui) fn typed(page: Page, text: String) {
    page.ui.text.set(text);
    begin_check(page);
    apply_after_pause(page);
    save_soon(page);
}

/// Checks the text in the editor, without applying it.
pub(in crate::ui) fn begin_check(page: Page) {
    let text: Arc<str> = page.ui.text.get_untracked().into();
    let begun = page
        .driver
        .try_update_value(|driver| {
            driver.typed.n_begun += 1;
            driver.typed.state = State::Reading { is_due: false };
            driver.typed.n_begun
        })
        .unwrap_or_default();
    // Not a stored value: that one would go with the part of the page from which the check was begun.
    let reading = Rc::new(RefCell::new(Some(Reading::new(text))));
    let is_newest = move || page.driver.with_value(|driver| driver.typed.n_begun == begun);
    let read_on = reading.clone();
    let advance = move || is_newest().then(|| read_on.borrow_mut().as_mut().is_some_and(Reading::advance));
    let after_slice = move |more: bool| {
        if more {
            let far = |reading: &Reading| (reading.n_checked(), reading.percent());
            let (n_objects, percent) = reading.borrow().as_ref().map_or((0, 0), far);
            set_progress(page, Some(Checking { n_objects, percent }));
            return;
        }
        let read = reading.borrow_mut().take();
        if let Some(read) = read {
            let text = read.text().clone();
            checked(page, text, lab::finish(read));
        }
    };
    in_slices(advance, after_slice);
}

/// A check is over.
fn checked(page: Page, text: Arc<str>, parsed: Parsed) {
    set_progress(page, None);
    let diagnostics: Vec<Diagnostic> = parsed.diagnostics.clone();
    let was_due = page.driver.try_update_value(|driver| {
        let read = State::Read(text, parsed);
        matches!(std::mem::replace(&mut driver.typed.state, read), State::Reading { is_due: true })
    });
    page.diagnostics.set(diagnostics);
    if was_due == Some(true) {
        apply_typed(page);
    }
}

/// Stops the check of the text in the editor. The text stays, and so does the network.
pub(in crate::ui) fn stop_check(page: Page) {
    page.driver.update_value(|driver| {
        driver.typed.n_begun += 1;
        driver.typed.state = State::None;
    });
    set_progress(page, None);
    page.diagnostics.set(Vec::new());
    page.notify("frame.checking.stopped", Vec::new());
    do_waiting(page);
}

/// Takes back the text that is being applied. It stays in the editor.
pub(in crate::ui) fn stop_applying(page: Page) {
    let mut log = page.ui.lab.with_value(Lab::log);
    let text = page.ui.text.get_untracked();
    log.actions.pop();
    if log.actions.is_empty() {
        // Nothing stood before it: a page is never left without a network.
        log = lessons::opening(page.ui.lang.get_untracked());
    }
    open(page, &log, Follow::End);
    page.ui.text.set(text);
    stop_check(page);
    save_soon(page);
}

fn apply_after_pause(page: Page) {
    let timer = set_timeout_with_handle(move || apply_typed(page), TYPING_PAUSE).ok();
    page.driver.update_value(|driver| {
        if let Some(earlier) = std::mem::replace(&mut driver.typed.pause, timer) {
            earlier.clear();
        }
    });
}

/// Does `deed` after what stands in the editor has been applied, without a wait for a pause in the typing; where it has
/// errors, or its check is stopped, the deed meets the last good network.
pub(super) fn when_applied(page: Page, deed: impl FnOnce(Page) + 'static) {
    if page.driver.with_value(|driver| matches!(driver.typed.state, State::None)) {
        return when_caught_up(page, deed);
    }
    page.driver.update_value(|driver| driver.typed.waiting.push(Box::new(deed)));
    apply_typed(page);
}

/// The text in the editor waits no longer: what came after it has its turn.
fn do_waiting(page: Page) {
    let waiting = page.driver.try_update_value(|driver| std::mem::take(&mut driver.typed.waiting));
    for deed in waiting.into_iter().flatten() {
        when_caught_up(page, deed);
    }
}

/// Applies the text in the editor to the running lab, if nothing is wrong in it; once it is checked, if it is not yet.
pub(in crate::ui) fn apply_typed(page: Page) {
    let text = page.ui.text.get_untracked();
    if page.driver.with_value(|driver| driver.applied == text) {
        return do_waiting(page);
    }
    if page.driver.with_value(|driver| driver.is_replaying) {
        // Not lost, only later: the text is applied to what the replay ends in.
        return apply_after_pause(page);
    }
    let state = page.driver.try_update_value(|driver| std::mem::take(&mut driver.typed.state));
    match state.unwrap_or_default() {
        State::Read(known, parsed) if *known == *text => {
            apply(page, text, parsed);
            do_waiting(page);
        }
        State::Reading { .. } => set_state(page, State::Reading { is_due: true }),
        State::Read(..) | State::None => {
            begin_check(page);
            set_state(page, State::Reading { is_due: true });
        }
    }
}

fn apply(page: Page, text: String, parsed: Parsed) {
    if has_errors(&parsed.diagnostics) {
        return set_state(page, State::Read(text.into(), parsed));
    }
    when_caught_up(page, move |page| {
        page.ui.lab.update_value(|lab| {
            lab.apply_parsed(&text, parsed);
        });
        page.driver.update_value(|driver| {
            driver.applied = text;
            driver.follow = Follow::End;
            driver.redo.clear();
        });
        save_soon(page);
        wake(page);
    });
}
