//! The score: one line a place, one mark a step, a playhead to drag.

use crate::scene::{self, Score, ScoreMark, StepKind};
use crate::ui::stage::{PacketShape, Show, whole};
use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::html::Div;
use leptos::prelude::*;
use std::ops::Range;
use std::time::Duration;

/// Pixels between two steps, and left of the first.
const PITCH: usize = 44;
const LEFT: usize = 128;
/// Letters of a place's name.
const NAME: usize = 13;
/// Steps drawn at once: a page of them, wider than any window.
const PAGE: usize = 60;

#[component]
pub(super) fn ScoreView(show: Show) -> impl IntoView {
    let node = NodeRef::<Div>::new();
    let size = RwSignal::new((1_200.0, 150.0));
    measure(node, size);
    // The window moves by whole screens' halves, so that the score stands still while the playhead runs.
    let window = Memo::new(move |_| {
        let fit = fitting(size.get().0);
        let (at, count) = (show.at.get(), show.count.get());
        if count <= fit {
            return 0..count;
        }
        let half = (fit / 2).max(1);
        let start = (at / half * half).saturating_sub(half / 2).min(count - fit);
        start..(start + fit).min(count)
    });
    let score = Memo::new(move |_| {
        let window = window.get();
        let tables = show.tables.get();
        show.ui.version.track();
        show.count.track();
        show.ui
            .playback
            .with_untracked(|play| show.with_trace(|trace| scene::score(trace, &tables, &play.steps, window)))
    });
    let pitch = Memo::new(move |_| pitch_of(size.get().0, window.get().len()));
    let place = move |event: &PointerEvent| {
        let Some(node) = node.get_untracked() else { return };
        let x = f64::from(event.client_x()) - node.get_bounding_client_rect().x() - LEFT as f64;
        let window = window.get_untracked();
        let at = whole((x / pitch.get_untracked() - 0.5).round()) + window.start;
        show.ui.playback.update(|play| {
            play.playing = false;
            play.seek(at.min(window.end.saturating_sub(1)));
        });
    };
    let dragging = RwSignal::new(false);
    let down = move |event: PointerEvent| {
        dragging.set(true);
        if let Some(node) = node.get_untracked() {
            let _ = node.set_pointer_capture(event.pointer_id());
        }
        place(&event);
    };
    let value_text = move || show.event.get().map_or_else(String::new, |event| show.why(event));
    view! {
        <div
            class="score"
            data-testid="score"
            node_ref=node
            tabindex="0"
            role="slider"
            aria-label=move || show.ui.word("timeline.playhead")
            aria-valuemin="1"
            aria-valuemax=move || show.count.get().to_string()
            aria-valuenow=move || (show.at.get() + 1).to_string()
            aria-valuetext=value_text
            on:pointerdown=down
            on:pointermove=move |event| if dragging.get_untracked() { place(&event) }
            on:pointerup=move |_| dragging.set(false)
            on:pointercancel=move |_| dragging.set(false)
            on:keydown=move |event| key(show, &event)
        >
            <svg class="score-picture" width="100%" height="100%" aria-hidden="true">
                <Lines score size/>
                <Marks show score pitch size window/>
                <Head show pitch window/>
            </svg>
        </div>
    }
}

fn fitting(width: f64) -> usize {
    whole((width - LEFT as f64 - 24.0) / 26.0).clamp(8, PAGE)
}

fn pitch_of(width: f64, steps: usize) -> f64 {
    ((width - LEFT as f64 - 24.0) / steps.max(1) as f64).clamp(18.0, PITCH as f64)
}

pub(super) fn measure(node: NodeRef<Div>, size: RwSignal<(f64, f64)>) {
    let look = move || {
        let Some(Some(node)) = node.try_get_untracked() else { return };
        let now = (f64::from(node.client_width()), f64::from(node.client_height()));
        if now.0 > 0.0 && size.get_untracked() != now {
            size.set(now);
        }
    };
    Effect::new(move || {
        node.track();
        look();
    });
    if let Ok(handle) = set_interval_with_handle(look, Duration::from_millis(400)) {
        on_cleanup(move || handle.clear());
    }
}

fn key(show: Show, event: &KeyboardEvent) {
    let play = show.ui.playback;
    match event.key().as_str() {
        "ArrowRight" => play.update(scene::Playback::forward),
        "ArrowLeft" => play.update(scene::Playback::back),
        "PageDown" => play.update(|play| {
            play.playing = false;
            play.seek(play.at + 10);
        }),
        "PageUp" => play.update(|play| {
            play.playing = false;
            play.seek(play.at.saturating_sub(10));
        }),
        "Home" => play.update(scene::Playback::to_start),
        "End" => play.update(scene::Playback::to_end),
        _ => return,
    }
    event.prevent_default();
    event.stop_propagation();
}

fn line_y(size: (f64, f64), lines: usize, line: usize) -> f64 {
    let gap = ((size.1 - 22.0) / (lines.max(2) - 1) as f64).clamp(15.0, 34.0);
    12.0 + gap * line as f64
}

#[component]
fn Lines(score: Memo<Score>, size: RwSignal<(f64, f64)>) -> impl IntoView {
    move || {
        let size = size.get();
        score.with(|score| {
            let count = score.lines.len();
            score
                .lines
                .iter()
                .enumerate()
                .map(|(at, line)| {
                    let y = line_y(size, count, at);
                    view! {
                        <text class="score-name" class:is-tight=size.1 < 22.0 + 16.5 * (count.max(2) - 1) as f64 x="8" y=y + 5.0>{scene::shortened(&line.name, NAME)}<title>{line.name.to_string()}</title></text>
                        <line class="score-line" x1=LEFT as f64 - 12.0 x2="100%" y1=y y2=y></line>
                    }
                })
                .collect::<Vec<_>>()
        })
    }
}

#[component]
fn Marks(
    show: Show,
    score: Memo<Score>,
    pitch: Memo<f64>,
    size: RwSignal<(f64, f64)>,
    window: Memo<Range<usize>>,
) -> impl IntoView {
    move || {
        let (size, pitch, start) = (size.get(), pitch.get(), window.get().start);
        score.with(|score| {
            let count = score.lines.len();
            let place = |mark: &ScoreMark| {
                (LEFT as f64 + pitch * ((mark.step - start) as f64 + 0.5), line_y(size, count, mark.line))
            };
            let strokes = score.marks.windows(2).filter(|ends| is_joined(&ends[0], &ends[1])).map(|ends| {
                let ((x1, y1), (x2, y2)) = (place(&ends[0]), place(&ends[1]));
                let step = ends[1].step;
                view! {
                    <line
                        class=format!("score-way stroke-{}", slug(&ends[1]))
                        class:is-future=move || show.at.get() < step
                        x1=x1 y1=y1 x2=x2 y2=y2
                    ></line>
                }
            });
            let marks = score.marks.iter().map(|mark| {
                let (x, y) = place(mark);
                let step = mark.step;
                view! {
                    <g
                        class="score-mark"
                        class:is-future=move || show.at.get() < step
                        class:is-now=move || show.at.get() == step
                        transform=format!("translate({x:.1} {y:.1})")
                    >
                        {mark_shape(mark.kind)}
                    </g>
                }
            });
            (strokes.collect::<Vec<_>>(), marks.collect::<Vec<_>>())
        })
    }
}

fn is_joined(a: &ScoreMark, b: &ScoreMark) -> bool {
    a.root == b.root && a.root.is_some()
}

fn slug(mark: &ScoreMark) -> &'static str {
    match mark.kind.look() {
        Some(look) if look.tunnel.is_some() => "tunnel",
        Some(look) => look.protocol.slug(),
        None => "other",
    }
}

fn mark_shape(kind: StepKind) -> AnyView {
    match kind {
        StepKind::Packet(look) => match look.tunnel {
            Some(_) => view! {
                <rect class="ring-back" x="-13" y="-9" width="26" height="18" rx="9"></rect>
                <rect class="ring ring-small" x="-13" y="-9" width="26" height="18" rx="9"></rect>
                <PacketShape protocol=look.protocol size=0.5/>
            }
            .into_any(),
            None => view! { <PacketShape protocol=look.protocol size=0.72/> }.into_any(),
        },
        StepKind::Drop(..) => view! {
            <circle class="score-drop" r="10"></circle>
            <path class="burst-cross" d="M-4,-4 L4,4 M4,-4 L-4,4"></path>
        }
        .into_any(),
        StepKind::Pod(number) => view! {
            <circle class="score-pod" r="10"></circle>
            <text class="score-number" y="4.5" text-anchor="middle">{number.to_string()}</text>
        }
        .into_any(),
        StepKind::Fault(broken) => {
            let class = if broken { "score-fault" } else { "score-fault is-mended" };
            view! { <path class=class d="M1.5,-11 L-7,2 H-0.5 L-2.5,11 L7,-3 H0.5 Z"></path> }.into_any()
        }
        // Two boxes and the way between them.
        StepKind::Within => view! {
            <path class="score-within" d="M-10,-7 h7 v7 h-7 Z M3,-7 h7 v7 h-7 Z M-6.5,0 v6 h13 v-6"></path>
        }
        .into_any(),
        StepKind::Process => {
            view! { <path class="score-process" d="M-6,-5 L0,0 L-6,5 M1,6 H7"></path> }.into_any()
        }
    }
}

#[component]
fn Head(show: Show, pitch: Memo<f64>, window: Memo<Range<usize>>) -> impl IntoView {
    let place = move || {
        let x = LEFT as f64 + pitch.get() * (show.position() - window.get().start as f64 + 0.5);
        format!("translate({x:.1} 0)")
    };
    view! {
        <g class="score-head" transform=place>
            <line y1="0" y2="100%"></line>
            <path d="M-7,0 H7 L0,9 Z"></path>
        </g>
    }
}
