//! What the user types at a program that runs in the terminal: lines, Ctrl-D and Ctrl-C.

use super::{Follow, pace::when_caught_up, process_of, save_soon, wake};
use crate::base::{EventId, ProcessId};
use crate::lab::Lab;
use crate::ui::state::Page;
use leptos::prelude::*;

/// Where something was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The process it was typed at.
    process: ProcessId,
    /// The first event after it.
    pub(super) from: EventId,
    /// Journeys that there were before it.
    n_journeys: usize,
}

impl Moment {
    /// Whether the process waits for the next line already, and has sent nothing since: there is nothing to watch.
    pub(super) fn is_answered_at_once(self, lab: &Lab) -> bool {
        let is_over = lab.status(self.process).is_some() || lab.asks(self.process);
        let since = lab.trace().journeys.iter().skip(self.n_journeys);
        is_over && !since.into_iter().any(|journey| journey.process == self.process)
    }
}

/// What runs in the terminal that is shown, the last of it.
fn running(page: Page) -> Option<ProcessId> {
    let target = page.ui.terminal.get_untracked();
    page.ui.lab.with_value(|lab| {
        let log = lab.log();
        let here = log.runs().filter(|(_, (at, _))| **at == target);
        here.filter_map(|(run, _)| process_of(lab, run))
            .filter(|process| lab.status(*process).is_none())
            .last()
    })
}

/// Types a line, or Ctrl-D, at what runs in the terminal.
pub(in crate::ui) fn type_line(page: Page, line: Option<String>) {
    let Some(process) = running(page) else { return };
    when_caught_up(page, move |page| {
        let moment = page.ui.lab.try_update_value(|lab| {
            let trace = lab.trace();
            let (from, n_journeys) = (EventId(trace.len() as u32), trace.journeys.len());
            lab.type_at(process, line.as_deref());
            Moment { process, from, n_journeys }
        });
        page.driver.update_value(|driver| {
            driver.follow = moment.map_or(Follow::Stay, Follow::Typed);
            driver.redo.clear();
        });
        page.ui.playback.update(|playback| playback.playing = true);
        save_soon(page);
        wake(page);
    });
}

/// Types Ctrl-C at what runs in the terminal. What already ended, but is still ahead of the playhead, is shown to its
/// end instead.
pub(in crate::ui) fn interrupt(page: Page) {
    if let Some(process) = running(page) {
        when_caught_up(page, move |page| {
            page.ui.lab.update_value(|lab| lab.interrupt(process));
            save_soon(page);
        });
    }
    page.driver.update_value(|driver| driver.follow = Follow::End);
    wake(page);
}
