//! The life of a Pod as a swim lane: the lesson's eight steps up and eight steps down on the lanes of those who take
//! them, with the object's status and its endpoints beside them, in step with the playhead.

use crate::base::EventId;
use crate::scene::lives::{Actor, Moment, MomentKind, PodName, latest};
use crate::trace::{Steps, explain};
use crate::ui::stage::{Show, use_show};
use crate::ui::state::Selection;
use leptos::html;
use leptos::prelude::*;

/// Height of a lane, where the first mark begins, and distance of two marks at least.
const LANE: usize = 46;
const LEFT: usize = 14;
const PITCH: usize = 36;
/// Width of a letter in a status.
const LETTER: usize = 8;

#[component]
pub(super) fn LivesView() -> impl IntoView {
    let show = use_show();
    let names = Memo::new(move |_| show.with_lives(|lives| lives.names().cloned().collect::<Vec<PodName>>()));
    let chosen = RwSignal::new(None::<PodName>);
    let pod = Memo::new(move |_| {
        let names = names.get();
        chosen
            .get()
            .filter(|pod| names.contains(pod))
            .or_else(|| selected(show, &names))
            .or_else(|| names.first().cloned())
    });
    let moments = Memo::new(move |_| {
        let pod = pod.get();
        show.with_lives(|lives| pod.map_or_else(Vec::new, |pod| lives.of(&pod).to_vec()))
    });
    let full = |pod: &PodName| format!("{}/{}", pod.0, pod.1);
    view! {
        <select class="choice mono" data-testid="lives-pod" aria-label=move || show.ui.word("lives.pod")
            on:change=move |event| {
                let value = event_target_value(&event);
                chosen.set(names.get_untracked().into_iter().find(|pod| full(pod) == value));
            }>
            {move || names.get().iter().map(|name| {
                let is_chosen = pod.get_untracked().as_ref() == Some(name);
                view! { <option value=full(name) selected=is_chosen>{full(name)}</option> }
            }).collect_view()}
        </select>
        {move || moments.with(Vec::is_empty).then(|| view! { <p>{show.ui.word("lives.empty")}</p> })}
        {move || (!moments.with(Vec::is_empty)).then(|| view! { <Lanes show moments/> })}
        <div class="lives-lists">
            <StepList show moments steps=Steps::Creation/>
            <StepList show moments steps=Steps::Termination/>
        </div>
    }
}

/// The Pod chosen on the stage.
fn selected(show: Show, names: &[PodName]) -> Option<PodName> {
    let Selection::Place(netns, _) = show.ui.selection.get_untracked() else { return None };
    names.iter().find(|(namespace, name)| format!("{namespace}/{name}") == netns).cloned()
}

/// Whether the playhead has passed an event.
fn is_past(show: Show, event: EventId) -> bool {
    show.event.get().is_some_and(|now| event <= now)
}

#[component]
fn Lanes(show: Show, moments: Memo<Vec<Moment>>) -> impl IntoView {
    let body = move || {
        let moments = moments.get();
        let starts = starts(&moments);
        let width = width(&starts);
        let height = LANE * Actor::ALL.len() + 12;
        let lanes = (0..Actor::ALL.len()).map(|at| {
            let y = LANE * at + LANE / 2 + 6;
            view! { <line class="score-line" x1="0" x2=width y1=y y2=y></line> }
        });
        let lanes = lanes.collect::<Vec<_>>();
        let x = |at: usize| starts[at] + PITCH / 2;
        let y =
            |actor: Actor| LANE * Actor::ALL.iter().position(|own| *own == actor).unwrap_or(0) + LANE / 2 + 6;
        // From step to step, as the work is handed on.
        let mut way = Vec::new();
        let is_step = |moment: &&(usize, &Moment)| matches!(moment.1.kind, MomentKind::Step(_));
        let numbered: Vec<(usize, &Moment)> = moments.iter().enumerate().collect();
        let steps: Vec<_> = numbered.iter().filter(is_step).collect();
        for ends in steps.windows(2) {
            let ((a, from), (b, to)) = (*ends[0], *ends[1]);
            let event = to.event;
            way.push(view! {
                <line class="lives-way" class:is-future=move || !is_past(show, event)
                    x1=x(a) y1=y(from.actor) x2=x(b) y2=y(to.actor)></line>
            });
        }
        let marks: Vec<_> = moments
            .iter()
            .enumerate()
            .map(|(at, moment)| {
                let end = starts.get(next_status(&moments, at)).or(starts.last()).copied().unwrap_or(LEFT);
                mark(show, moment, x(at), y(moment.actor), end - starts[at])
            })
            .collect();
        view! {
            <svg class="lives-picture" width=width height=height role="group" aria-label=show.ui.word("lives.label")>
                {lanes}{way}{marks}
            </svg>
        }
    };
    let lanes = NodeRef::<html::Div>::new();
    let names = NodeRef::<html::Div>::new();
    follow(show, moments, lanes, names);
    let name = move |actor: Actor| {
        view! { <p>{move || show.ui.word(&format!("lives.actor.{}", actor.slug()))}</p> }
    };
    view! {
        <div class="lives-lanes" data-testid="lives-lanes" node_ref=lanes>
            <div class="lives-names" node_ref=names>{Actor::ALL.map(name)}</div>
            {body}
        </div>
    }
}

/// Keeps the moment at which the playhead stands, or the last one before it, in sight where the lanes are wider than the
/// stage. The names stay where they are, and cover the lanes that have gone by.
fn follow(show: Show, moments: Memo<Vec<Moment>>, lanes: NodeRef<html::Div>, names: NodeRef<html::Div>) {
    Effect::new(move || {
        let (Some(now), Some(lanes), Some(names)) = (show.event.get(), lanes.get(), names.get()) else {
            return;
        };
        let starts = moments.with(|moments| starts(moments));
        let passed = moments.with(|moments| moments.iter().filter(|moment| moment.event <= now).count());
        let (from, to) = (starts[passed.saturating_sub(1)], starts[passed]);
        request_animation_frame(move || {
            let covered = names.offset_width();
            // Themes may show the picture larger than it says.
            let pixels = |x: usize| x as i32 * (lanes.scroll_width() - covered) / width(&starts) as i32;
            let (left, room) = (lanes.scroll_left(), lanes.client_width() - covered);
            if pixels(to) > left + room {
                lanes.set_scroll_left(pixels(to + PITCH) - room);
            } else if pixels(from) < left {
                lanes.set_scroll_left(pixels(from.saturating_sub(PITCH)));
            }
        });
    });
}

/// Width of the lanes, with room after the last mark.
fn width(starts: &[usize]) -> usize {
    starts.last().copied().unwrap_or(LEFT) + 60
}

/// The moment at which the status changes again after the one at `at`.
fn next_status(moments: &[Moment], at: usize) -> usize {
    let is_status = |moment: &Moment| matches!(moment.kind, MomentKind::Status(_) | MomentKind::Gone);
    moments[at + 1..].iter().position(is_status).map_or(moments.len(), |next| at + 1 + next)
}

/// Where each moment begins, and where the last one ends: a status gets the room that its word needs.
fn starts(moments: &[Moment]) -> Vec<usize> {
    let mut out = vec![LEFT];
    for (at, moment) in moments.iter().enumerate() {
        let own = match &moment.kind {
            MomentKind::Status(word) => {
                let others = PITCH * (next_status(moments, at) - at - 1);
                (word.chars().count() * LETTER + 20).saturating_sub(others).max(16)
            }
            MomentKind::Step(_) | MomentKind::Note(..) | MomentKind::Endpoint(..) | MomentKind::Gone => PITCH,
        };
        out.push(out[at] + own);
    }
    out
}

fn mark(show: Show, moment: &Moment, x: usize, y: usize, span: usize) -> AnyView {
    let (event, at) = (moment.event, moment.at);
    let title = text_of(show, moment);
    let label = format!("{at} s: {title}");
    let shape = match &moment.kind {
        MomentKind::Step(row) => {
            let class = if row.steps == Steps::Creation { "lives-step" } else { "lives-step is-down" };
            view! {
                <circle class=class cx=x cy=y r="14"></circle>
                <text class="lives-number" class:is-down=row.steps == Steps::Termination x=x y=y + 5 text-anchor="middle">{row.number.to_string()}</text>
            }
            .into_any()
        }
        MomentKind::Status(word) => {
            let left = x - PITCH / 2;
            view! {
                <rect class="lives-status" x=left y=y - 13 width=span.saturating_sub(4) height="26" rx="6"></rect>
                <text class="lives-word" x=left + 8 y=y + 5>{word.to_string()}</text>
            }
            .into_any()
        }
        MomentKind::Note(_, _, warning) => {
            let class = if *warning { "lives-note is-warning" } else { "lives-note" };
            let sign = if *warning { "!" } else { "i" };
            view! {
                <rect class=class x=x - 11 y=y - 11 width="22" height="22" rx="4"></rect>
                <text class="lives-number" class:is-warning=*warning x=x y=y + 5 text-anchor="middle">{sign}</text>
            }
            .into_any()
        }
        MomentKind::Endpoint(_, is_in) => {
            let sign = if *is_in { "+" } else { "−" };
            view! {
                <rect class="lives-note" x=x - 11 y=y - 11 width="22" height="22" rx="11"></rect>
                <text class="lives-number" x=x y=y + 5 text-anchor="middle">{sign}</text>
            }
            .into_any()
        }
        MomentKind::Gone => {
            view! { <path class="score-cross" transform=format!("translate({x} {y})") d="M-7,-7 L7,7 M7,-7 L-7,7"></path> }
                .into_any()
        }
    };
    view! {
        <g class="lives-mark" role="button" tabindex="0" aria-label=label
            class:is-future=move || !is_past(show, event)
            class:is-now=move || show.event.get() == Some(event)
            on:click=move |_| show.go_to(event)
            on:keydown=move |press| {
                if press.key() == "Enter" {
                    show.go_to(event);
                }
            }>
            <title>{title}</title>
            {shape}
        </g>
    }
    .into_any()
}

fn text_of(show: Show, moment: &Moment) -> String {
    match &moment.kind {
        MomentKind::Step(row) => format!("{}. {}", row.number, explain::step_text(row, show.lang())),
        MomentKind::Status(word) => word.to_string(),
        MomentKind::Note(reason, message, _) => format!("{reason}: {message}"),
        MomentKind::Endpoint(service, is_in) => {
            let key = if *is_in { "lives.endpoint.in" } else { "lives.endpoint.out" };
            show.ui.sentence(key, &[service.to_string()])
        }
        MomentKind::Gone => show.ui.word("lives.gone"),
    }
}

/// The number of a step, where it belongs to this list.
fn number_in(moment: &Moment, steps: Steps) -> Option<u8> {
    let MomentKind::Step(row) = &moment.kind else { return None };
    (row.steps == steps).then_some(row.number)
}

/// The eight steps in words. The latest life of a Pod of this name is told.
#[component]
fn StepList(show: Show, moments: Memo<Vec<Moment>>, steps: Steps) -> impl IntoView {
    let title = match steps {
        Steps::Creation => "lives.up",
        Steps::Termination => "lives.down",
    };
    let rows = move || {
        let moments = moments.get();
        let taken: Vec<(u8, &Moment)> =
            latest(&moments).iter().filter_map(|moment| Some((number_in(moment, steps)?, moment))).collect();
        taken
            .into_iter()
            .map(|(number, moment)| {
                let (event, at) = (moment.event, moment.at);
                let text = text_of(show, moment);
                let text = text.split_once(". ").map_or(text.clone(), |(_, rest)| rest.to_string());
                let actor = moment.actor.slug();
                view! {
                    <li value=number.to_string() class:is-future=move || !is_past(show, event)
                        class:is-now=move || show.event.get() == Some(event)>
                        <button class="pod-step" on:click=move |_| show.go_to(event)>
                            <span class="lives-actor">{show.ui.word(&format!("lives.actor.{actor}"))}</span>
                            {text}
                            <span class="lives-time mono">{format!("{at} s")}</span>
                        </button>
                    </li>
                }
            })
            .collect::<Vec<_>>()
    };
    let first =
        move || moments.with(|moments| latest(moments).iter().find_map(|moment| number_in(moment, steps)));
    let is_cut = move || steps == Steps::Termination && first().is_some_and(|number| number > 1);
    view! {
        <section>
            <h3>{move || show.ui.word(title)}</h3>
            {move || first().is_none().then(|| view! { <p class="view-about">{show.ui.word("lives.not_yet")}</p> })}
            {move || is_cut().then(|| view! { <p class="view-about">{show.ui.word("lives.by_itself")}</p> })}
            <ol class="pod-steps">{rows}</ol>
        </section>
    }
}
