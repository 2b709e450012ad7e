//! What the terminal shows at the playhead: the commands of the log that run there, with what they wrote.

use super::{Driver, process_of};
use crate::lab::prompt::{line_of, prompt_of};
use crate::lab::transcript::Entry;
use crate::lab::{Lab, Target};
use crate::ui::state::Page;
use leptos::prelude::*;

/// Who takes the line that the user types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ui) enum Asking {
    /// Nobody: a command runs that reads none.
    Nobody,
    /// The terminal's own shell, which asks for a command.
    #[default]
    Shell,
    /// The program that runs.
    Program,
}

/// What the terminal at `target` shows at the playhead, and who takes what is typed there.
pub(in crate::ui) fn screen(page: Page, target: &Target) -> (String, Asking) {
    page.ui.version.track();
    let upto = page.ui.playback.with(|playback| playback.steps.get(playback.at + 1).map(|step| step.index()));
    page.ui.lab.with_value(|lab| {
        let upto = upto.unwrap_or(lab.trace().len());
        page.driver.with_value(|driver| {
            let entries = entries(driver, lab, target);
            let (text, is_waiting) = driver.transcript.text(lab.trace(), &entries, upto);
            let shown = entries.iter().rfind(|entry| entry.entered <= upto).and_then(|entry| entry.process);
            let asking = match shown {
                _ if is_waiting => Asking::Shell,
                Some(process) if lab.reads_typed(process) => Asking::Program,
                Some(_) | None => Asking::Nobody,
            };
            (text, asking)
        })
    })
}

fn entries(driver: &Driver, lab: &Lab, target: &Target) -> Vec<Entry> {
    let log = lab.log();
    let started = log.runs().filter(|(_, (at, _))| *at == target).filter_map(|(run, (at, argv))| {
        let process = process_of(lab, run)?;
        Some(Entry {
            prompt: prompt_of(at),
            line: line_of(argv),
            process: Some(process),
            entered: lab.began(process)?.index(),
            note: None,
        })
    });
    let noted = driver.notes.iter().filter(|(at, _)| at == target).map(|(_, entry)| entry.clone());
    let mut all: Vec<Entry> = started.chain(noted).collect();
    all.sort_by_key(|entry| entry.entered);
    all
}
