//! The course's second exercise in the panel of the lesson: what has to hold, what is missing and why. The text is tried in
//! slices of a frame, in clusters of its own, and again after every change while that is wanted.

use super::lab_driver;
use super::state::{Page, use_page};
use crate::base::words::Lang;
use crate::lab::exercise::{Exercise, GOALS, Goal, SOLVED, START, Verdict};
use leptos::prelude::*;

/// Milliseconds of a frame after which nothing further is begun.
const SLICE_MS: f64 = 10.0;

#[derive(Clone, Copy)]
struct Trying {
    page: Page,
    verdicts: RwSignal<Vec<Verdict>>,
    busy: RwSignal<bool>,
    work: StoredValue<Option<Exercise>, LocalStorage>,
}

fn slug(goal: Goal) -> &'static str {
    match goal {
        Goal::Names => "names",
        Goal::Spread => "spread",
        Goal::Survives => "survives",
        Goal::Open => "open",
        Goal::Closed => "closed",
    }
}

#[component]
pub(super) fn ExercisePanel() -> impl IntoView {
    let page = use_page();
    let trying = Trying {
        page,
        verdicts: RwSignal::new(Vec::new()),
        busy: RwSignal::new(false),
        work: StoredValue::new_local(None),
    };
    let live = RwSignal::new(false);
    // What was tried was another text.
    Effect::new(move || {
        page.ui.text.track();
        trying.work.set_value(None);
        trying.verdicts.set(Vec::new());
        if live.get() {
            begin(&trying);
        }
    });
    let give = move |text: &'static str| {
        move |_| {
            lab_driver::typed(page, text.to_owned());
            live.set(true);
        }
    };
    view! {
        <details class="lesson-chapter" data-testid="exercise">
            <summary>{move || page.word("exercise.title")}</summary>
            <p>{move || page.word("exercise.about")}</p>
            <p class="exercise-tools">
                <button class="button" data-testid="exercise-open" on:click=give(START)>{move || page.word("exercise.open")}</button>
                <button class="button" data-testid="exercise-check" on:click=move |_| begin(&trying)>{move || page.word("exercise.check")}</button>
                <button class="button" data-testid="exercise-solve" on:click=give(SOLVED)>{move || page.word("exercise.solve")}</button>
            </p>
            <label>
                <input type="checkbox" data-testid="exercise-live" prop:checked=move || live.get()
                    on:change=move |event| live.set(event_target_checked(&event))/>
                " "{move || page.word("exercise.live")}
            </label>
            <p role="status" data-testid="exercise-state">
                {move || trying.busy.get().then(|| page.word("exercise.busy"))}
            </p>
            <ol data-testid="exercise-goals">
                {GOALS.map(|goal| goal_view(&trying, goal)).into_iter().collect_view()}
            </ol>
        </details>
    }
}

fn goal_view(trying: &Trying, goal: Goal) -> impl IntoView + use<> {
    let (page, verdicts) = (trying.page, trying.verdicts);
    let own = Memo::new(move |_| {
        verdicts.with(|all| all.iter().find(|verdict| verdict.0 == goal).map(|verdict| verdict.1.clone()))
    });
    let is_reached = move || own.with(|own| own.as_ref().is_some_and(Vec::is_empty));
    let state = move || {
        page.word(match (own.with(Option::is_some), is_reached()) {
            (true, true) => "exercise.reached",
            (true, false) => "exercise.missed",
            (false, _) => "exercise.untried",
        })
    };
    let sign = move || match (own.with(Option::is_some), is_reached()) {
        (true, true) => "✓",
        (true, false) => "✗",
        (false, _) => "○",
    };
    let lang = move || -> Lang { page.ui.lang.get() };
    view! {
        <li class="lesson-step" class:is-done=is_reached data-testid=format!("goal-{}", slug(goal))>
            <p class="lesson-task">
                <span class="lesson-sign" role="img" aria-label=state>{sign}</span>
                <span>{move || page.word(&format!("exercise.goal.{}", slug(goal)))}</span>
            </p>
            <ul class="exercise-missing">
                {move || own.get().unwrap_or_default().into_iter().map(|missing| view! {
                    <li>{missing.text(lang())}</li>
                }).collect_view()}
            </ul>
        </li>
    }
}

fn begin(trying: &Trying) {
    let text = trying.page.ui.text.get_untracked();
    trying.verdicts.set(Vec::new());
    trying.work.set_value(Some(Exercise::new(&text)));
    if !trying.busy.get_untracked() {
        trying.busy.set(true);
        go_on(trying);
    }
}

/// A slice of the work a frame, until it is done or the panel was closed.
fn go_on(trying: &Trying) {
    let trying = *trying;
    request_animation_frame(move || {
        let clock = window().performance();
        let now = || clock.as_ref().map_or(0.0, web_sys::Performance::now);
        let begun = now();
        let done = trying.work.try_update_value(|work| {
            let work = work.as_mut()?;
            let mut more = true;
            while more && now() - begun <= SLICE_MS {
                more = work.advance();
            }
            Some((more, work.verdicts.clone()))
        });
        match done {
            Some(Some((more, verdicts))) => {
                if trying.verdicts.with_untracked(Vec::len) != verdicts.len() {
                    trying.verdicts.set(verdicts);
                }
                if more {
                    return go_on(&trying);
                }
                trying.work.set_value(None);
                trying.busy.set(false);
            }
            Some(None) => trying.busy.set(false),
            None => {}
        }
    });
}
