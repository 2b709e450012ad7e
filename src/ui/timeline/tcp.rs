//! A TCP conversation as a ladder: its two ends, every segment with its flags and relative numbers, what was lost or sent
//! again, and the states that the sockets go through.

use super::score::measure;
use crate::base::{EventId, NetnsId};
use crate::scene;
use crate::scene::conversation::{Conversation, End, Row, Segment};
use crate::trace::explain::drop_name;
use crate::ui::stage::{Show, whole};
use crate::wire::TcpFlags;
use leptos::html::Div;
use leptos::prelude::*;

/// Height of a row, and of what stands above the first.
const ROW: usize = 36;
const HEAD: usize = 52;
/// Rows drawn at once, around the playhead.
const ROWS: usize = 80;

#[component]
pub(super) fn TcpView(show: Show) -> impl IntoView {
    let chosen = RwSignal::new(None::<usize>);
    let count = Memo::new(move |_| show.with_conversations(|all| all.list().len()));
    // The conversation of the packet at the playhead, unless one was chosen; else the last one begun.
    let shown = Memo::new(move |before: Option<&Option<usize>>| {
        let count = count.get();
        if let Some(chosen) = chosen.get().filter(|chosen| *chosen < count) {
            return Some(chosen);
        }
        let journey = show.event.get().map(|event| show.with_trace(|trace| trace.event(event).journey));
        let here = journey.and_then(|journey| show.with_conversations(|all| all.of_journey(journey)));
        here.or(before.copied().flatten().filter(|at| *at < count)).or(count.checked_sub(1))
    });
    let conversation = Memo::new(move |_| {
        let at = shown.get()?;
        show.with_conversations(|all| all.list().get(at).cloned())
    });
    view! {
        <div class="tcp" data-testid="tcp">
            {move || match count.get() {
                0 => view! { <p class="tcp-empty">{move || show.ui.word("tcp.empty")}</p> }.into_any(),
                _ => view! { <Choice show count shown chosen/> }.into_any(),
            }}
            {move || conversation.get().map(|conversation| view! { <Ladder show conversation/> })}
        </div>
    }
}

#[component]
fn Choice(
    show: Show,
    count: Memo<usize>,
    shown: Memo<Option<usize>>,
    chosen: RwSignal<Option<usize>>,
) -> impl IntoView {
    let option = move |at: usize| {
        let ends = show.with_conversations(|all| all.list().get(at).map(|it| it.seen_by_caller));
        let text =
            ends.map_or_else(String::new, |(from, to)| format!("{} → {}", end_text(from), end_text(to)));
        view! { <option value=at.to_string() selected=move || shown.get() == Some(at)>{format!("{}. {text}", at + 1)}</option> }
    };
    view! {
        <select
            class="choice mono"
            data-testid="tcp-choice"
            aria-label=move || show.ui.word("tcp.choice")
            on:change=move |event| chosen.set(event_target_value(&event).parse().ok())
        >
            {move || (0..count.get()).map(option).collect::<Vec<_>>()}
        </select>
    }
}

fn end_text((addr, port): End) -> String {
    format!("{addr}:{port}")
}

fn place(show: Show, netns: Option<NetnsId>) -> String {
    let tables = show.tables.get_untracked();
    netns.map_or_else(|| "?".to_string(), |netns| scene::place_name(&tables, netns).to_string())
}

#[component]
fn Ladder(show: Show, conversation: Conversation) -> impl IntoView {
    let node = NodeRef::<Div>::new();
    let size = RwSignal::new((900.0, 150.0));
    measure(node, size);
    let rows = conversation.rows.clone();
    let events: Vec<EventId> = rows.iter().map(Row::event).collect();
    let now = Memo::new(move |_| {
        let event = show.event.get().unwrap_or(EventId(0));
        events.partition_point(|row| *row <= event).checked_sub(1)
    });
    let start = Memo::new(move |_| {
        let at = now.get().unwrap_or(0);
        (at / (ROWS / 2) * (ROWS / 2)).saturating_sub(ROWS / 4)
    });
    Effect::new(move || {
        let row = now.get().unwrap_or(0).saturating_sub(start.get());
        request_animation_frame(move || scroll_to(row));
    });
    let heads = [0, 1].map(|end| head(show, &conversation, end));
    let body = move || {
        // The lifelines stand so far apart as the panel allows.
        let width = whole(size.get().0).clamp(560, 1_400);
        let lines = [230, width - 150];
        let start = start.get();
        let part: Vec<Row> = rows.iter().skip(start).take(ROWS).cloned().collect();
        let height = HEAD + ROW * part.len() + 16;
        let columns = lines.iter().zip(&heads).map(|(x, (name, ends))| {
            view! {
                <text class="score-name" x=*x y="18" text-anchor="middle">{name.clone()}</text>
                <text class="ladder-time" x=*x y="36" text-anchor="middle">{ends.clone()}</text>
                <line class="score-line" x1=*x x2=*x y1="42" y2=height></line>
            }
        });
        let columns = columns.collect::<Vec<_>>();
        let drawn = part
            .into_iter()
            .enumerate()
            .map(|(at, row)| row_view(show, now, start + at, row, lines, HEAD + ROW * at));
        let drawn = drawn.collect::<Vec<_>>();
        view! {
            <svg class="ladder-picture" width=width height=height role="group" aria-label=show.ui.word("tcp.label")>
                {columns}{drawn}
            </svg>
        }
    };
    view! { <div class="tcp-ladder" node_ref=node>{body}</div> }
}

/// Name of an end and what it takes the two ends for, where the two do not agree.
fn head(show: Show, conversation: &Conversation, end: usize) -> (String, String) {
    let name = place(show, conversation.places[end]);
    let (caller, called) = conversation.seen_by_caller;
    let ends = match (end, conversation.seen_by_called) {
        (0, _) => end_text(caller),
        (_, Some((_, own))) if own != called => format!("{} ⇐ {}", end_text(own), end_text(called)),
        _ => end_text(called),
    };
    (name, ends)
}

/// Brings a row into the ladder's own window.
fn scroll_to(row: usize) {
    let Ok(Some(ladder)) = document().query_selector(".tcp-ladder") else { return };
    let (top, height) = ((HEAD + ROW * row) as i32, ladder.client_height());
    let seen = ladder.scroll_top();
    if top < seen + 20 || top + ROW as i32 > seen + height {
        ladder.set_scroll_top((top - height / 2).max(0));
    }
}

fn row_view(
    show: Show,
    now: Memo<Option<usize>>,
    number: usize,
    row: Row,
    lines: [usize; 2],
    y: usize,
) -> impl IntoView {
    let event = row.event();
    let is_now = move || now.get() == Some(number);
    let spoken = match &row {
        Row::Segment(segment) => format!("{} {}", segment.at, segment_text(show, segment)),
        Row::State { state, .. } => state.name().to_string(),
    };
    let body = match row {
        Row::Segment(segment) => segment_view(show, &segment, lines, y).into_any(),
        Row::State { end, state, .. } => {
            let (x, anchor) = if end == 0 { (lines[0] - 12, "end") } else { (lines[1] + 12, "start") };
            view! {
                <circle class="tcp-state" cx=lines[end] cy=y + 18 r="4.5"></circle>
                <text class="tcp-state-name" x=x y=y + 23 text-anchor=anchor>{state.name()}</text>
            }
            .into_any()
        }
    };
    view! {
        <g
            class="ladder-row"
            class:is-now=is_now
            class:is-future=move || now.get().is_none_or(|now| now < number)
            role="button"
            tabindex=move || if is_now() { "0" } else { "-1" }
            aria-label=spoken
            on:click=move |_| show.go_to(event)
            on:keydown=move |press| {
                if press.key() == "Enter" {
                    press.stop_propagation();
                    show.go_to(event);
                }
            }
        >
            <rect class="ladder-hit" x="0" y=y width="100%" height=ROW></rect>
            {body}
        </g>
    }
}

fn segment_text(show: Show, segment: &Segment) -> String {
    let names = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::ACK, "ACK"),
    ];
    let flags: Vec<&str> =
        names.iter().filter(|(flag, _)| segment.flags.contains(*flag)).map(|(_, name)| *name).collect();
    let end = segment.seq.wrapping_add(segment.len as u32);
    let numbers = if segment.len > 0 { format!("seq {}–{end}", segment.seq) } else { format!("seq {end}") };
    let parts = [
        Some(flags.join(" ")),
        Some(numbers),
        segment.ack.map(|ack| format!("ack {ack}")),
        Some(format!("win {}", segment.window)),
        segment.mss.map(|mss| format!("mss {mss}")),
        (segment.len > 0).then(|| format!("{} B", segment.len)),
        segment.again.then(|| format!("↻ {}", show.ui.word("tcp.again"))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn segment_view(show: Show, segment: &Segment, lines: [usize; 2], y: usize) -> impl IntoView + use<> {
    let (from, to) = if segment.back { (lines[1], lines[0]) } else { (lines[0], lines[1]) };
    let lost = segment.end.and_then(|(_, lost)| lost);
    // A lost segment goes half of the way.
    let to = if lost.is_some() { from.midpoint(to) } else { to };
    let (top, bottom) = (y + 19, y + 29);
    let tip = if to > from {
        format!("M{to},{bottom} l-11,-7 v10 Z")
    } else {
        format!("M{to},{bottom} l11,-7 v10 Z")
    };
    let text = segment_text(show, segment);
    let middle = lines[0].midpoint(lines[1]);
    let class = if segment.again { "tcp-way is-again" } else { "tcp-way" };
    view! {
        <text class="ladder-time" x="4" y=y + 23>{segment.at.to_string()}</text>
        <line class=class x1=from x2=to y1=top y2=bottom></line>
        {match lost {
            None => view! { <path class="tcp-tip" d=tip></path> }.into_any(),
            Some(reason) => view! {
                <path class="score-cross" transform=format!("translate({to} {bottom})") d="M-7,-7 L7,7 M7,-7 L-7,7"></path>
                <text class="tcp-lost" x=to + 14 y=bottom + 5>{drop_name(reason)}</text>
            }.into_any(),
        }}
        <text class="tcp-text" x=middle y=y + 14 text-anchor="middle">{text}</text>
    }
}
