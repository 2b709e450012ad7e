//! What the terminal shows at the playhead: the commands of the log that run there, with what they wrote.

use super::{Driver, process_of, runs};
use crate::base::SimTime;
use crate::lab::prompt::{line_of, prompt_of};
use crate::lab::transcript::Entry;
use crate::lab::{Action, Lab, LabLog, Target};
use crate::ui::state::Page;
use leptos::prelude::*;

/// What the terminal at `target` shows at the playhead, and whether its shell waits for a command.
pub(in crate::ui) fn screen(page: Page, target: &Target) -> (String, bool) {
    page.ui.version.track();
    let upto = page.ui.playback.with(|playback| playback.steps.get(playback.at + 1).map(|step| step.index()));
    page.ui.lab.with_value(|lab| {
        let upto = upto.unwrap_or(lab.trace().len());
        page.driver.with_value(|driver| {
            let entries = entries(driver, lab, target);
            driver.transcript.text(lab.trace(), &entries, upto)
        })
    })
}

fn entries(driver: &Driver, lab: &Lab, target: &Target) -> Vec<Entry> {
    let log = lab.log();
    let started = runs(&log).filter(|(_, (at, _))| *at == target).filter_map(|(run, (at, argv))| {
        let process = process_of(lab, run)?;
        Some(Entry {
            prompt: prompt_of(at),
            line: line_of(argv),
            process: Some(process),
            entered: lab.began(process)?.index(),
            note: None,
            interrupted: interrupted(&log, run),
        })
    });
    let noted = driver.notes.iter().filter(|(at, _)| at == target).map(|(_, entry)| entry.clone());
    let mut all: Vec<Entry> = started.chain(noted).collect();
    all.sort_by_key(|entry| entry.entered);
    all
}

fn interrupted(log: &LabLog, run: u32) -> Option<SimTime> {
    log.actions.iter().find_map(|(at, action)| match action {
        Action::Interrupt(number) if *number == run => Some(*at),
        Action::Interrupt(_)
        | Action::Apply(_)
        | Action::Fault(_)
        | Action::Mend(_)
        | Action::Request(_)
        | Action::Run { .. } => None,
    })
}
