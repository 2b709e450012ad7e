//! When something is done: what the user did, as soon as it can be done without a long wait in between; and what the
//! page shows, as often as it can show it.

use super::wake;
use crate::lab::Lab;
use crate::ui::state::Page;
use leptos::prelude::*;

/// Something that the user did and that waits for its turn.
pub(super) type Deed = Box<dyn FnOnce(Page)>;

/// When the page is shown what is new, in milliseconds of its clock: while much happens, that takes a third of the time
/// at most.
#[derive(Default)]
pub(super) struct Shown {
    /// When that was begun last.
    pub(super) begun: Option<f64>,
    /// When it may be done again.
    pub(super) next: f64,
}

impl Shown {
    /// It is a frame later, and all that followed has been done.
    pub(super) fn is_done(&mut self, now: f64) {
        if let Some(begun) = self.begun.take() {
            self.next = now + 2.0 * (now - begun);
        }
    }
}

/// Does `deed` as soon as the lab can take an action: at once, unless a log is replayed or a text is applied. All that
/// happens before it is worked through in slices.
pub(super) fn when_caught_up(page: Page, deed: impl FnOnce(Page) + 'static) {
    if takes_actions(page) {
        return deed(page);
    }
    page.driver.update_value(|driver| driver.queued.push_back(Box::new(deed)));
    wake(page);
}

/// Whether an action is taken without a wait.
fn takes_actions(page: Page) -> bool {
    page.driver.with_value(|driver| !driver.is_replaying) && page.ui.lab.with_value(Lab::is_caught_up)
}

/// Does what waits, as far as it can be done now.
pub(super) fn do_queued(page: Page) {
    while takes_actions(page)
        && let Some(deed) = page.driver.try_update_value(|driver| driver.queued.pop_front()).flatten()
    {
        deed(page);
    }
}
