//! Drives the lab: applies what was typed, runs commands, and works through the event queue in slices of a frame, so
//! that the page never blocks. Simulated time runs only so far ahead of the playhead, since a `ping` without a count
//! never ends.

mod checking;
mod pace;
mod screen;
mod typing;

pub(super) use checking::{apply_typed, begin_check, progress_of_check, stop_applying, stop_check, typed};
pub(super) use screen::{Asking, screen};
pub(super) use typing::{interrupt, type_line};

use super::state::{Page, Tab, Work};
use super::{share, storage};
use crate::base::words::Lang;
use crate::base::{Diagnostic, EventId, ProcessId, Severity, SimTime};
use crate::lab::history::Entry as Saved;
use crate::lab::prompt::{line_of, prompt_of};
use crate::lab::transcript::{Entry, Transcript};
use crate::lab::{self, Action, Lab, LabLog, Progress, Target, lessons};
use crate::scene::{self, Playback};
use leptos::prelude::*;
use pace::{Deed, Shown, do_queued, when_caught_up};
use std::collections::VecDeque;
use std::time::Duration as WallDuration;

/// Milliseconds of a frame that the simulation may take.
const SLICE_MS: f64 = 8.0;

/// Entries of the event queue worked through between two looks at the clock.
const STEPS_PER_LOOK: u32 = 20;

/// Steps that the simulation may be ahead of the playhead.
const LOOKAHEAD: usize = 200;

/// Events after which a slice ends, unless it replays what was there before.
const AHEAD_EVENTS: usize = 1_000;

/// Milliseconds after a change before it is saved.
const SAVING_PAUSE: WallDuration = WallDuration::from_millis(400);

/// Where the playhead goes when new events come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Follow {
    /// It stays.
    #[default]
    Stay,
    /// To the newest step: an edit shows its result at once.
    End,
    /// To the beginning of this run, and on from there.
    Run(u32),
    /// To where this was typed, and on from there.
    Typed(typing::Moment),
    /// To this moment.
    Moment(SimTime),
}

/// The loop's own state.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, not a state of one machine")]
pub(super) struct Driver {
    is_scheduled: bool,
    shown: Shown,
    /// Has the view of the lab take in more of the trace, without showing it.
    keep_up: Option<Box<dyn Fn()>>,
    is_replaying: bool,
    is_halted: bool,
    follow: Follow,
    /// What is to be done as soon as an action can be taken, in order.
    queued: VecDeque<Deed>,
    /// The lesson's first command, which waits until all has come up.
    first_command: Option<(Target, Vec<String>)>,
    redo: Vec<(SimTime, Action)>,
    applied: String,
    transcript: Transcript,
    notes: Vec<(Target, Entry)>,
    n_scanned: usize,
    typed: checking::Typed,
    saving: Option<TimeoutHandle>,
    resumes_when_visible: bool,
}

/// A playhead before anything has happened.
pub(super) fn new_playback() -> Playback {
    Playback { playing: true, ..Playback::default() }
}

/// Has `keep_up` called while more happens than the page can show.
pub(super) fn on_much(page: Page, keep_up: impl Fn() + 'static) {
    page.driver.update_value(|driver| driver.keep_up = Some(Box::new(keep_up)));
}

/// Opens what the page begins with: a link, else what was saved, else the lesson with its first command.
pub(super) fn open_first(page: Page) {
    match share::from_location() {
        Some(Ok(shared)) => {
            let follow = shared.at.map_or_else(|| last_run(&shared.log), Follow::Moment);
            open(page, &shared.log, follow);
            share::leave_location();
            page.notify("frame.link.opened", Vec::new());
        }
        Some(Err(error)) => {
            open_saved(page);
            share::leave_location();
            let (key, args) = error.words();
            page.notify(key, args);
        }
        None => open_saved(page),
    }
}

fn open_saved(page: Page) {
    let newest = storage::history().entries.into_iter().next();
    match newest
        .and_then(|saved| lab::share::decode(&saved.link).ok().map(|shared| (shared.log, saved.draft)))
    {
        Some((log, draft)) => {
            open(page, &log, last_run(&log));
            if let Some(draft) = draft {
                page.ui.text.set(draft);
                begin_check(page);
            }
        }
        None => open_lesson(page),
    }
}

/// Opens the lesson from its beginning.
pub(super) fn open_lesson(page: Page) {
    open(page, &lessons::opening(page.ui.lang.get_untracked()), Follow::Stay);
    let (target, argv) = lessons::first_command();
    page.ui.terminal.set(target.clone());
    page.driver.update_value(|driver| driver.first_command = Some((target, argv)));
}

/// Opens a log from outside: a file or an entry of the history.
pub(super) fn open_log(page: Page, log: &LabLog) {
    open(page, log, last_run(log));
    save_soon(page);
}

/// Replays `log` in place of what is open.
fn open(page: Page, log: &LabLog, follow: Follow) {
    let text = last_text(log).unwrap_or_default().to_owned();
    page.ui.lab.set_value(Lab::open(log));
    page.driver.update_value(|driver| {
        driver.is_replaying = true;
        driver.is_halted = false;
        driver.follow = follow;
        driver.queued.clear();
        driver.typed.forget_waiting();
        driver.first_command = None;
        driver.transcript = Transcript::default();
        driver.notes.clear();
        driver.n_scanned = 0;
        driver.applied.clone_from(&text);
    });
    page.ui.text.set(text);
    follow_language(page, page.ui.lang.get_untracked());
    begin_check(page);
    page.ui.playback.update(|playback| (playback.steps, playback.at, playback.elapsed) = (Vec::new(), 0, 0));
    page.ui.version.update(|version| *version += 1);
    wake(page);
}

fn last_run(log: &LabLog) -> Follow {
    let n_runs = log.runs().count();
    n_runs.checked_sub(1).map_or(Follow::End, |run| Follow::Run(run as u32))
}

fn last_text(log: &LabLog) -> Option<&str> {
    log.actions.iter().rev().find_map(|(_, action)| match action {
        Action::Apply(text) => Some(text.as_str()),
        Action::Run { .. }
        | Action::Fault(_)
        | Action::Mend(_)
        | Action::Request(_)
        | Action::Interrupt(_)
        | Action::Type(..) => None,
    })
}

/// Whether the text in the editor is the one that was applied last.
pub(super) fn is_applied(page: Page) -> bool {
    page.ui.text.with(|text| page.driver.with_value(|driver| driver.applied == *text))
}

/// Whether the text cannot be applied.
pub(super) fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// Breaks something now.
pub(super) fn inject(page: Page, fault: &crate::trace::Fault) {
    let fault = fault.clone();
    act_on_lab(page, move |lab| lab.inject(&fault).map(|_| ()));
}

/// Mends a fault by its number, now.
pub(super) fn mend(page: Page, number: u32) {
    act_on_lab(page, move |lab| lab.mend(number));
}

/// Does something to the lab at the end of its time, and shows it there. While a log is replayed there is no such end.
fn act_on_lab(page: Page, act: impl FnOnce(&mut Lab) -> Result<(), lab::fault::FaultError> + 'static) {
    if page.driver.with_value(|driver| driver.is_replaying) {
        return;
    }
    when_caught_up(page, move |page| {
        match page.ui.lab.try_update_value(act) {
            Some(Ok(())) => page.driver.update_value(|driver| {
                driver.follow = Follow::End;
                driver.redo.clear();
            }),
            Some(Err(error)) => {
                let (key, args) = error.words();
                page.notify(key, args);
            }
            None => {}
        }
        save_soon(page);
        wake(page);
    });
}

/// Runs a command line that was entered at the terminal, after what was typed in the editor before it.
pub(super) fn run(page: Page, target: Target, argv: Vec<String>) {
    checking::when_applied(page, move |page| start(page, target, &argv));
}

fn start(page: Page, target: Target, argv: &[String]) {
    let n_events = page.ui.lab.with_value(|lab| lab.trace().len());
    let started = page.ui.lab.try_update_value(|lab| lab.start(&target, argv));
    match started {
        Some(Ok(_)) => {
            let run = page.ui.lab.with_value(|lab| lab.processes().len()).saturating_sub(1) as u32;
            page.driver.update_value(|driver| {
                driver.follow = Follow::Run(run);
                driver.redo.clear();
            });
            page.ui.playback.update(|playback| playback.playing = true);
        }
        Some(Err(error)) => {
            let entry = Entry {
                prompt: prompt_of(&target),
                line: line_of(argv),
                process: None,
                entered: n_events,
                note: Some(error.to_string()),
            };
            page.driver.update_value(|driver| driver.notes.push((target, entry)));
            page.ui.version.update(|version| *version += 1);
        }
        None => {}
    }
    save_soon(page);
    wake(page);
}

/// Takes the last action back: the lab is replayed without it.
pub(super) fn undo(page: Page) {
    let mut log = page.ui.lab.with_value(Lab::log);
    if log.actions.len() <= 1 || page.driver.with_value(|driver| driver.is_replaying) {
        return;
    }
    let Some(action) = log.actions.pop() else { return };
    page.driver.update_value(|driver| driver.redo.push(action));
    open(page, &log, Follow::End);
    save_soon(page);
}

/// Does the last action that was taken back again.
pub(super) fn redo(page: Page) {
    if page.driver.with_value(|driver| driver.is_replaying) {
        return;
    }
    let Some(action) = page.driver.try_update_value(|driver| driver.redo.pop()).flatten() else { return };
    let mut log = page.ui.lab.with_value(Lab::log);
    log.actions.push(action);
    let follow = if matches!(log.actions.last(), Some((_, Action::Run { .. }))) {
        last_run(&log)
    } else {
        Follow::End
    };
    open(page, &log, follow);
    save_soon(page);
}

/// Stops the simulation where it is; `resume` goes on.
pub(super) fn halt(page: Page) {
    page.driver.update_value(|driver| driver.is_halted = true);
    page.work.set(Work::Stopped(page.ui.lab.with_value(Lab::now)));
}

/// Goes on after a stop.
pub(super) fn resume(page: Page) {
    page.driver.update_value(|driver| driver.is_halted = false);
    wake(page);
}

/// Has the next frame work on, unless that is so already.
pub(super) fn wake(page: Page) {
    let is_new = page.driver.try_update_value(|driver| !std::mem::replace(&mut driver.is_scheduled, true));
    if is_new == Some(true) {
        request_animation_frame(move || tick(page));
    }
}

fn tick(page: Page) {
    page.driver.update_value(|driver| driver.is_scheduled = false);
    if page.driver.with_value(|driver| driver.is_halted) {
        return;
    }
    page.driver.update_value(|driver| driver.shown.is_done(now()));
    let is_urgent = page.driver.with_value(|driver| driver.is_replaying || driver.follow != Follow::Stay);
    if !is_urgent && is_far_ahead(page) {
        set_work(page, Work::Ahead);
        return;
    }
    let progress = slice(
        page,
        if page.driver.with_value(|driver| driver.is_replaying) { usize::MAX } else { AHEAD_EVENTS },
    );
    let is_over = !matches!(progress, Progress::Busy(_));
    if is_over || !is_urgent || page.driver.with_value(|driver| now() >= driver.shown.next) {
        // Only where a frame follows at once can that frame tell how long this took.
        page.driver.update_value(|driver| driver.shown.begun = (!is_over).then(now));
        take_in(page, progress);
    } else if page.driver.with_value(|driver| driver.follow == Follow::End) {
        // What will be shown is worked out as it comes, so that it is not all to be done in the last frame.
        page.driver.with_value(|driver| {
            if let Some(keep_up) = &driver.keep_up {
                keep_up();
            }
        });
    }
    match progress {
        Progress::Idle => {
            set_work(page, Work::Idle);
            if let Some((target, argv)) =
                page.driver.try_update_value(|driver| driver.first_command.take()).flatten()
            {
                start(page, target, &argv);
            }
            do_queued(page);
        }
        Progress::Busy(now) => {
            let n_left = page.ui.lab.with_value(Lab::n_unwritten);
            let is_applying = n_left > 0 && !page.driver.with_value(|driver| driver.is_replaying);
            set_work(page, if is_applying { Work::Applying(n_left) } else { Work::Busy(now) });
            do_queued(page);
            wake(page);
        }
        Progress::Stopped(now) => {
            page.driver.update_value(|driver| driver.is_replaying = false);
            set_work(page, Work::Stopped(now));
        }
    }
}

/// Milliseconds since the page began.
fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

fn set_work(page: Page, work: Work) {
    if page.work.get_untracked() != work {
        page.work.set(work);
    }
}

/// Works for at most [`SLICE_MS`] and until `n_events` more have happened, or until what waits can be done.
fn slice(page: Page, n_events: usize) -> Progress {
    let began = now();
    let is_awaited = page.driver.with_value(|driver| !driver.is_replaying && !driver.queued.is_empty());
    page.ui
        .lab
        .try_update_value(|lab| {
            let enough = lab.trace().len().saturating_add(n_events);
            loop {
                let progress = lab.advance(if is_awaited || lab.is_heavy() { 1 } else { STEPS_PER_LOOK });
                let is_enough = lab.trace().len() > enough
                    || now() - began > SLICE_MS
                    || (is_awaited && lab.is_caught_up());
                if !matches!(progress, Progress::Busy(_)) || is_enough {
                    return progress;
                }
            }
        })
        .unwrap_or(Progress::Idle)
}

fn is_far_ahead(page: Page) -> bool {
    page.ui.playback.with_untracked(|playback| playback.steps.len() > playback.at + LOOKAHEAD)
}

/// Brings steps, transcript and playhead up to date with the trace.
fn take_in(page: Page, progress: Progress) {
    let is_done = !matches!(progress, Progress::Busy(_));
    let from = page.driver.with_value(|driver| driver.n_scanned);
    let (added, n_events, is_past_log) = page.ui.lab.with_value(|lab| {
        let trace = lab.trace();
        page.driver.update_value(|driver| driver.transcript.extend(trace));
        let is_past_log = lab.last_action_at().is_none_or(|at| at <= lab.now());
        (scene::steps_from(trace, from), trace.len(), is_past_log)
    });
    let follow = page
        .driver
        .try_update_value(|driver| {
            driver.n_scanned = n_events;
            driver.is_replaying &= !is_done && !is_past_log;
            if is_done { std::mem::take(&mut driver.follow) } else { driver.follow }
        })
        .unwrap_or_default();
    let follow = match follow {
        Follow::Run(run) if page.ui.lab.with_value(|lab| is_over_at_once(lab, run)) => Follow::End,
        Follow::Typed(moment) if page.ui.lab.with_value(|lab| moment.is_answered_at_once(lab)) => Follow::End,
        Follow::Stay | Follow::End | Follow::Run(_) | Follow::Typed(_) | Follow::Moment(_) => follow,
    };
    let began = match follow {
        Follow::Run(run) => page.ui.lab.with_value(|lab| lab.began(process_of(lab, run)?)),
        Follow::Typed(moment) => Some(moment.from),
        Follow::Stay | Follow::End | Follow::Moment(_) => None,
    };
    if !added.is_empty() || follow != Follow::Stay {
        page.ui.playback.update(|playback| {
            playback.steps.extend(added);
            move_playhead(page, playback, follow, began);
        });
    }
    if began.is_some() {
        page.driver.update_value(|driver| driver.follow = Follow::Stay);
    }
    page.ui.version.update(|version| *version += 1);
    let can = (
        page.ui.lab.with_value(|lab| lab.n_actions() > 1),
        page.driver.with_value(|driver| !driver.redo.is_empty()),
    );
    if page.can_undo.get_untracked() != can {
        page.can_undo.set(can);
    }
}

/// Whether a command has ended, or asks for a line, and has sent nothing, as `ip route` does: there is nothing to watch,
/// so its output shows at once.
fn is_over_at_once(lab: &Lab, run: u32) -> bool {
    let Some(process) = process_of(lab, run) else { return false };
    let is_over = lab.status(process).is_some() || lab.asks(process);
    is_over && !lab.trace().journeys.iter().any(|journey| journey.process == process)
}

fn move_playhead(page: Page, playback: &mut Playback, follow: Follow, began: Option<EventId>) {
    let last = playback.steps.len().saturating_sub(1);
    let at = match follow {
        Follow::Stay => return,
        Follow::End => last,
        Follow::Run(_) | Follow::Typed(_) => match began {
            Some(began) => playback.steps.partition_point(|step| *step < began).min(last),
            None => return,
        },
        Follow::Moment(moment) => page.ui.lab.with_value(|lab| {
            playback.steps.partition_point(|step| lab.trace().event(*step).at < moment).min(last)
        }),
    };
    playback.seek(at);
    playback.playing = match follow {
        Follow::Run(_) | Follow::Typed(_) => true,
        Follow::Moment(_) => false,
        Follow::Stay | Follow::End => playback.playing,
    };
}

/// The process that the `run`-th `Run` of the log started, once it did.
fn process_of(lab: &Lab, run: u32) -> Option<ProcessId> {
    lab.processes().get(run as usize).copied()
}

/// Plays or pauses.
pub(super) fn toggle_playing(page: Page) {
    page.ui.playback.update(Playback::toggle);
}

/// Goes one step on and stops there.
pub(super) fn step_forward(page: Page) {
    page.ui.playback.update(Playback::forward);
}

/// Goes one step back and stops there.
pub(super) fn step_back(page: Page) {
    page.ui.playback.update(Playback::back);
}

/// Pauses while the tab is hidden, and goes on only if it was this that paused.
pub(super) fn follow_visibility(page: Page) {
    let is_hidden = document().hidden();
    if is_hidden && page.ui.playback.with_untracked(|playback| playback.playing) {
        page.driver.update_value(|driver| driver.resumes_when_visible = true);
        page.ui.playback.update(|playback| playback.playing = false);
    } else if !is_hidden
        && page.driver.try_update_value(|driver| std::mem::take(&mut driver.resumes_when_visible))
            == Some(true)
    {
        page.ui.playback.update(|playback| playback.playing = true);
    }
}

/// Puts the lesson in the editor: applied like any other edit, so it can be undone.
pub(super) fn reset_to_lesson(page: Page) {
    page.ui.text.set(lessons::vxlan(page.ui.lang.get_untracked()).to_owned());
    begin_check(page);
    apply_typed(page);
    page.tab.set(Tab::Yaml);
}

/// A lesson that nobody has changed follows the language of the page. The lab is opened anew, which shows the same.
pub(super) fn follow_language(page: Page, lang: Lang) {
    let text = page.ui.text.get_untracked();
    if lessons::is_lesson(&text) && text != lessons::vxlan(lang) {
        page.ui.text.set(lessons::vxlan(lang).to_owned());
        page.driver.update_value(|driver| lessons::vxlan(lang).clone_into(&mut driver.applied));
    }
}

/// Saves the lab soon, so that a reload or a crash loses nothing.
pub(super) fn save_soon(page: Page) {
    let timer = set_timeout_with_handle(move || save(page), SAVING_PAUSE).ok();
    page.driver.update_value(|driver| {
        if let Some(earlier) = std::mem::replace(&mut driver.saving, timer) {
            earlier.clear();
        }
    });
}

/// Saves the lab now.
pub(super) fn save(page: Page) {
    let log = page.ui.lab.with_value(Lab::log);
    let text = page.ui.text.get_untracked();
    let draft = page.driver.with_value(|driver| driver.applied != text).then_some(text);
    let link = lab::share::encode(&lab::share::Shared { log, at: None });
    let mut history = storage::history();
    #[expect(clippy::cast_sign_loss, reason = "the clock of the browser is past 1970")]
    let saved_ms = js_sys::Date::now() as u64;
    history.save(Saved { saved_ms, link, draft });
    if !storage::save_history(history) {
        // Said once: a page whose storage is forbidden works all the same.
        let is_first = page.driver.try_update_value(|driver| driver.saving.take().is_some());
        if is_first == Some(true) {
            page.ui.announce(
                page.ui.lang.with_untracked(|lang| crate::base::words::word(*lang, "frame.storage.failed")),
            );
        }
    }
}
