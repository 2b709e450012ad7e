//! The events as a ladder diagram: places beside each other, time downwards, an arrow for each hop.

use crate::base::EventId;
use crate::scene::{self, ScoreMark, StepKind};
use crate::ui::stage::{PacketShape, Show};
use leptos::prelude::*;

const ROW: usize = 30;
const LEFT: usize = 90;
const COLUMN: usize = 96;
/// Letters of a name that fit above a column.
const NAME: usize = 11;
/// Height of the names above the columns.
const HEAD: usize = 28;
/// Arrows drawn at once, around the playhead.
const ROWS: usize = 60;
/// Room for what a row says.
const TEXT: usize = 420;

#[component]
pub(super) fn Ladder(show: Show) -> impl IntoView {
    let start = Memo::new(move |_| {
        let at = show.at.get();
        (at / (ROWS / 2) * (ROWS / 2)).saturating_sub(ROWS / 4)
    });
    let score = Memo::new(move |_| {
        let (start, tables) = (start.get(), show.tables.get());
        show.count.track();
        show.ui.playback.with_untracked(|play| {
            show.with_trace(|trace| scene::score(trace, &tables, &play.steps, start..start + ROWS))
        })
    });
    Effect::new(move || {
        let row = show.at.get().saturating_sub(start.get());
        score.track();
        request_animation_frame(move || scroll_to(row));
    });
    let body = move || {
        let score = score.get();
        let first = score.marks.first().map_or(0, |mark| mark.step);
        let height = ROW * score.marks.len();
        let column = |line: usize| LEFT + COLUMN * line + COLUMN / 2;
        let names = score.lines.iter().enumerate().map(|(at, line)| view! {
            <text class="score-name" x=column(at) y="19" text-anchor="middle">{scene::shortened(&line.name, NAME)}<title>{line.name.to_string()}</title></text>
        }).collect::<Vec<_>>();
        let lines = (0..score.lines.len())
            .map(|at| {
                view! {
                    <line class="score-line" x1=column(at) x2=column(at) y1="0" y2=height></line>
                }
            })
            .collect::<Vec<_>>();
        let text = LEFT + COLUMN * score.lines.len().max(1);
        let arrows = score
            .marks
            .iter()
            .enumerate()
            .map(|(at, mark)| {
                // The hop that led here: from the same conversation's mark before.
                let before = score.marks[..at]
                    .iter()
                    .rev()
                    .find(|other| other.root == mark.root && mark.root.is_some());
                let from = before.filter(|before| before.line != mark.line).map(|before| column(before.line));
                let y = ROW * (mark.step - first) + ROW / 2;
                arrow(show, mark, from, column(mark.line), (text, y))
            })
            .collect::<Vec<_>>();
        // What a row says may be longer than the window: the picture is as wide as that, but never narrower than the window.
        let width = format!("max(100%, {}px)", text + TEXT);
        view! {
            <svg class="ladder-head" style:width=width.clone() height=HEAD aria-hidden="true">{names}</svg>
            <svg class="ladder-picture" style:width=width height=height role="img" aria-label=show.ui.word("timeline.ladder")>{lines}{arrows}</svg>
        }
    };
    view! { <div class="ladder" data-testid="ladder">{body}</div> }
}

/// Brings a row into the ladder's own window.
fn scroll_to(row: usize) {
    let Ok(Some(ladder)) = document().query_selector(".ladder") else { return };
    let (top, height) = ((ROW * row) as i32, ladder.client_height());
    let seen = ladder.scroll_top();
    if top < seen + ROW as i32 || top > seen + height - (HEAD + 2 * ROW) as i32 {
        ladder.set_scroll_top(top - height / 3);
    }
}

/// Where it was and which packet; what happened, where there is none.
fn said(show: Show, event: EventId) -> String {
    let packet = show.with_trace(|trace| {
        let seen = trace.event(event);
        let frame = trace.frame_of(seen)?.to_string();
        let tables = show.tables.get_untracked();
        let state = tables.netns.get(&seen.netns).filter(|_| seen.ifindex.is_some());
        Some(match state {
            Some(state) => format!("{}  {frame}", state.ifname(seen.ifindex)),
            None => frame,
        })
    });
    packet.unwrap_or_else(|| show.why(event))
}

fn arrow(
    show: Show,
    mark: &ScoreMark,
    from: Option<usize>,
    x: usize,
    (text, y): (usize, usize),
) -> impl IntoView + use<> {
    let (step, event) = (mark.step, mark.event);
    let time = show.with_trace(|trace| trace.event(event).at.to_string());
    let says = said(show, event);
    let (shape, slug) = match mark.kind {
        StepKind::Packet(look) => {
            (Some(look.protocol), if look.tunnel.is_some() { "tunnel" } else { look.protocol.slug() })
        }
        StepKind::Drop(look, _) => (look.map(|look| look.protocol), "drop"),
        StepKind::Fault(true) => (None, "drop"),
        StepKind::Pod(_) | StepKind::Process | StepKind::Within | StepKind::Fault(false) => (None, "other"),
    };
    view! {
        <g
            class="ladder-row"
            class:is-now=move || show.at.get() == step
            class:is-future=move || show.at.get() < step
            on:click=move |_| show.go_to(event)
        >
            <rect class="ladder-hit" x="0" y=y - ROW / 2 width="100%" height=ROW></rect>
            <text class="ladder-time" x="8" y=y + 5>{time}</text>
            {from.map(|from| view! { <line class=format!("score-way stroke-{slug}") x1=from x2=x y1=y y2=y></line> })}
            <g transform=format!("translate({x} {y})")>
                {match shape {
                    Some(protocol) => view! { <PacketShape protocol size=0.75/> }.into_any(),
                    None => view! { <path class="score-process" d="M-6,-5 L0,0 L-6,5 M1,6 H7"></path> }.into_any(),
                }}
                {(slug == "drop").then(|| view! { <path class="score-cross" d="M-9,-9 L9,9 M9,-9 L-9,9"></path> })}
            </g>
            <text class="ladder-text" x=text y=y + 5>{says}</text>
        </g>
    }
}
