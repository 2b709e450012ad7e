//! The course's second exercise in the panel of the lesson: what has to hold, what is missing and why. The text is tried in
//! slices of a frame, in clusters of its own, and again after every change while that is wanted.

use super::lab_driver;
use super::slices::in_slices;
use super::state::{Page, use_page};
use crate::base::words::Lang;
use crate::lab::exercise::{Exercise, GOALS, Goal, SOLVED, START, Verdict};
use leptos::prelude::*;

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

/// Works until all is done, the text was changed or the panel was closed.
fn go_on(trying: &Trying) {
    let trying = *trying;
    let advance = move || trying.work.try_update_value(|work| work.as_mut().is_some_and(Exercise::advance));
    in_slices(advance, move |more| {
        let known = trying.verdicts.with_untracked(Vec::len);
        let new = trying.work.with_value(|work| {
            let verdicts = work.as_ref().map_or(&[][..], |work| &work.verdicts[..]);
            verdicts.get(known..).unwrap_or_default().to_vec()
        });
        if !new.is_empty() {
            trying.verdicts.update(|verdicts| verdicts.extend(new));
        }
        if !more {
            trying.work.set_value(None);
            trying.busy.set(false);
        }
    });
}
