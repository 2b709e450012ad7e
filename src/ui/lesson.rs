//! The course at the left: what to read, what to do, and a mark where the lab saw that it was done.

use super::state::{Page, Tab, Work, use_page};
use super::{editor, lab_driver};
use crate::lab::lessons::course::{COURSE, Chapter, Help, Step, is_done, with_addresses};
use crate::lab::lessons::templates::TEMPLATES;
use crate::lab::{Target, prompt};
use crate::trace::{Fault, Place};
use leptos::prelude::*;
use std::collections::BTreeSet;

/// Chapter and step.
type At = (usize, usize);

#[component]
pub(super) fn LessonPanel() -> impl IntoView {
    let page = use_page();
    let done = RwSignal::new(BTreeSet::<At>::new());
    // Looked at whenever the simulation comes to rest; what was done once stays done.
    Effect::new(move || {
        let resting = page.work.with(|work| !matches!(work, Work::Busy(_) | Work::Applying(_)));
        page.ui.version.track();
        page.diagnostics.track();
        if resting && page.tab.get() == Tab::Lesson {
            look(page, done);
        }
    });
    let all: usize = COURSE.iter().map(|chapter| chapter.steps.len()).sum();
    view! {
        <div class="lesson" data-testid="lesson">
            <p class="second">{move || page.word("lesson.about")}</p>
            <p class="lesson-progress" role="status" data-testid="lesson-progress">
                {move || page.ui.sentence("lesson.progress", &[done.with(BTreeSet::len).to_string(), all.to_string()])}
            </p>
            {COURSE.iter().enumerate().map(|(at, chapter)| chapter_view(page, done, at, chapter)).collect_view()}
            <super::exercise::ExercisePanel/>
            <Templates/>
        </div>
    }
}

/// Labs about isolation to begin from, each with the commands that show what it does.
#[component]
fn Templates() -> impl IntoView {
    let page = use_page();
    view! {
        <p class="second">{move || page.word("template.about")}</p>
        {TEMPLATES.iter().map(|template| view! {
            <details class="lesson-chapter" data-testid=format!("template-{}", template.name)>
                <summary>{move || page.word(&format!("template.{}", template.name))}</summary>
                <p>{move || page.word(&format!("template.{}.about", template.name))}</p>
                <button class="button" data-testid=format!("open-{}", template.name)
                    on:click=move |_| lab_driver::typed(page, template.yaml.to_owned())>
                    {move || page.word("template.open")}
                </button>
                <p class="second">{move || page.word("template.tries")}</p>
                <ol>
                    {template.tries.iter().map(|own| view! {
                        <li>
                            <button class="button mono" on:click=move |_| editor::demonstrate(page, &own.demo())>
                                {format!("{}$ {}", own.place, own.line)}
                            </button>
                            {(!own.works).then(|| view! {
                                " "<span class="second">{move || page.word("template.fails")}</span>
                            })}
                        </li>
                    }).collect_view()}
                </ol>
            </details>
        }).collect_view()}
    }
}

fn look(page: Page, done: RwSignal<BTreeSet<At>>) {
    let found: Vec<At> = page.ui.lab.with_value(|lab| {
        let steps = COURSE.iter().enumerate().flat_map(|(chapter, it)| {
            it.steps.iter().enumerate().map(move |(step, it)| ((chapter, step), it))
        });
        let open = steps.filter(|(at, _)| done.with_untracked(|done| !done.contains(at)));
        open.filter(|(_, step)| is_done(lab, step.check)).map(|(at, _)| at).collect()
    });
    if !found.is_empty() {
        let text = |(chapter, step): &At| {
            let key = key(&COURSE[*chapter], &COURSE[*chapter].steps[*step], ".done");
            crate::base::words::word(page.ui.lang.get_untracked(), &key)
        };
        page.ui.announce(found.iter().map(text).collect::<Vec<_>>().join(" "));
        done.update(|done| done.extend(found));
    }
}

fn key(chapter: &Chapter, step: &Step, end: &str) -> String {
    format!("lesson.{}.{}{end}", chapter.name, step.name)
}

fn chapter_view(
    page: Page,
    done: RwSignal<BTreeSet<At>>,
    at: usize,
    chapter: &'static Chapter,
) -> impl IntoView {
    // The first chapter with something to do is open.
    let open = Memo::new(move |_| {
        let is_open = |(at, chapter): &(usize, &Chapter)| {
            (0..chapter.steps.len()).any(|step| done.with(|done| !done.contains(&(*at, step))))
        };
        COURSE.iter().enumerate().find(is_open).map(|found| found.0) == Some(at)
    });
    let title = move || page.word(&format!("lesson.{}", chapter.name));
    let count = move || {
        let own = done.with(|done| done.iter().filter(|step| step.0 == at).count());
        format!("{own}/{}", chapter.steps.len())
    };
    view! {
        <details class="lesson-chapter" open=move || open.get() data-testid=format!("chapter-{}", chapter.name)>
            <summary>{title}" "<span class="second">{count}</span></summary>
            <ol>
                {chapter.steps.iter().enumerate().map(|(number, step)| step_view(page, done, (at, number), chapter, step)).collect_view()}
            </ol>
        </details>
    }
}

fn step_view(
    page: Page,
    done: RwSignal<BTreeSet<At>>,
    at: At,
    chapter: &'static Chapter,
    step: &'static Step,
) -> impl IntoView {
    let is_done = Memo::new(move |_| done.with(|done| done.contains(&at)));
    let word = move |end: &'static str| move || page.word(&key(chapter, step, end));
    let state = move || page.word(if is_done.get() { "lesson.is_done" } else { "lesson.is_open" });
    view! {
        <li class="lesson-step" class:is-done=move || is_done.get() data-testid=format!("step-{}-{}", chapter.name, step.name)>
            <p>{move || spoken(&word("")())}</p>
            <p class="lesson-task">
                <span class="lesson-sign" role="img" aria-label=state>{move || if is_done.get() { "✓" } else { "○" }}</span>
                <span>{move || spoken(&word(".task")())}</span>
            </p>
            {move || if is_done.get() {
                view! { <p class="lesson-seen">{move || spoken(&word(".done")())}</p> }.into_any()
            } else {
                view! {
                    <button class="button" data-testid=format!("help-{}-{}", chapter.name, step.name)
                        on:click=move |_| help(page, step.help)>{move || page.word("lesson.help")}</button>
                }.into_any()
            }}
        </li>
    }
}

/// A text in which what stands between backquotes is to be typed.
fn spoken(text: &str) -> impl IntoView + use<> {
    let pieces = text.split('`').enumerate().map(|(at, piece)| {
        let piece = piece.to_owned();
        if at % 2 == 1 { view! { <code>{piece}</code> }.into_any() } else { piece.into_any() }
    });
    pieces.collect::<Vec<_>>()
}

/// Does a step for the learner, as by hand.
fn help(page: Page, help: Help) {
    match help {
        Help::Run(pod, container, line) => {
            let line = page.ui.lab.with_value(|lab| with_addresses(lab.trace(), line));
            let Ok(argv) = prompt::argv(&line) else { return };
            let container = container.map(str::to_owned);
            let target = Target::Pod { namespace: "default".to_owned(), name: pod.to_owned(), container };
            page.ui.terminal.set(target.clone());
            lab_driver::run(page, target, argv);
        }
        Help::Add(document) => {
            let text = page.ui.text.get_untracked();
            lab_driver::typed(page, format!("{}\n{document}", text.trim_end()));
        }
        Help::Replace(old, new) => {
            let text = page.ui.text.get_untracked();
            if text.contains(old) {
                lab_driver::typed(page, text.replace(old, new));
            } else {
                page.notify("lesson.blocked", Vec::new());
            }
        }
        Help::Cut(namespace, interface) => {
            let place = Place { namespace: namespace.to_owned(), interface: interface.to_owned() };
            lab_driver::inject(page, &Fault::CutCable(place));
        }
        Help::Mend => {
            let standing: Vec<u32> = page
                .ui
                .lab
                .try_update_value(|lab| lab.live().faults.keys().copied().collect())
                .unwrap_or_default();
            for number in standing {
                lab_driver::mend(page, number);
            }
        }
    }
}
