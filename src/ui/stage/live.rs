//! What moves and what happened: packets, the rows that decided, packets lost.

use super::{PacketShape, Show};
use crate::scene::{ASIDE, Burst, Mark, Note, Rect, Token};
use crate::ui::{Selection, Theme};
use leptos::prelude::*;

#[component]
pub(super) fn Live(show: Show) -> impl IntoView {
    let tokens = move || show.frame.get().tokens.clone();
    let bursts = move || show.frame.get().bursts.clone();
    view! {
        {move || show.frame.get().note.clone().map(|note| view! { <NoteBox show note/> })}
        <For each=bursts key=|burst| (burst.event, burst.now, burst.at) let:burst><BurstView show burst/></For>
        {move || show.frame.with(|frame| frame.tokens.iter().filter_map(|token| token.sign).map(|at| wait_sign(show, at)).collect::<Vec<_>>())}
        <For each=tokens key=token_key let:token><TokenView show token/></For>
    }
}

fn scale(show: Show) -> f64 {
    if show.ui.theme.get() == Theme::Projector { 20.0 / 14.0 } else { 1.0 }
}

/// The words beside a packet that waits.
fn wait_sign(show: Show, at: Rect) -> impl IntoView {
    let (x, y) = (at.center().x, at.center().y + at.h / 5);
    view! {
        <g class="token-wait">
            <rect x=at.x y=at.y width=at.w height=at.h rx=at.h / 2></rect>
            <text x=x y=y text-anchor="middle">{show.ui.word("stage.waits")}</text>
        </g>
    }
}

/// A packet keeps its element while it looks the same; its way is looked up anew each step.
fn token_key(token: &Token) -> String {
    format!("{}{:?}{}", token.journey.0, token.look, token.waits)
}

/// A ring is wider than what it stands on: near the edge of the picture it is moved inwards so that none of it is cut.
fn inside(show: Show, x: f64) -> f64 {
    let bounds = show.scene.get().bounds;
    let half = 82.0 * scale(show);
    let (least, most) = (f64::from(bounds.x) + half, f64::from(bounds.right()) - half);
    if least < most { x.clamp(least, most) } else { x }
}

#[component]
fn TokenView(show: Show, token: Token) -> impl IntoView {
    // The key holds these, so they are this element's for as long as it stands.
    let (journey, look, event, waits) = (token.journey, token.look, token.event, token.waits);
    let now = Memo::new(move |before: Option<&Token>| {
        let found =
            show.frame.with(|frame| frame.tokens.iter().find(|token| token.journey == journey).cloned());
        found.or_else(|| before.cloned()).unwrap_or_else(|| token.clone())
    });
    let place = move || {
        let (x, y) = now.with(|token| token.at(show.position()));
        // Whoever waits stands aside, so that what it waits for can be seen.
        let aside = if now.with(|token| token.waits) { -f64::from(ASIDE) * scale(show) } else { 0.0 };
        let x = if look.tunnel.is_some() && aside == 0.0 { inside(show, x) } else { x + aside };
        format!("translate({x:.1} {y:.1}) scale({})", scale(show))
    };
    let opacity = move || {
        let token = now.get();
        if token.emerges { 0.25 + 0.75 * token.part(show.position()) } else { 1.0 }
    };
    let mark = (look.mark != Mark::None).then(
        || view! { <text class="token-mark" y="5" text-anchor="middle">{look.mark.to_string()}</text> },
    );
    let name = show
        .with_trace(|trace| trace.frame_at(event).map(|frame| crate::scene::tunnel_name(frame)))
        .unwrap_or_default();
    let body = match look.tunnel {
        // What waits stands beside what it waits for, and takes little room.
        Some(_) if waits => view! {
            <rect class="ring-back" x="-24" y="-19" width="48" height="38" rx="19"></rect>
            <rect class="ring" x="-24" y="-19" width="48" height="38" rx="19"></rect>
            <PacketShape protocol=look.protocol/>{mark}
        }
        .into_any(),
        Some(added) => view! {
            <rect class="ring-back" x="-78" y="-21" width="156" height="42" rx="21"></rect>
            <rect class="ring" x="-78" y="-21" width="156" height="42" rx="21"></rect>
            <g transform="translate(-54 0)"><PacketShape protocol=look.protocol size=1.25/>{mark}</g>
            <text class="token-name" x="-34" y="5">{name}</text>
            <text class="token-cost" x="68" y="5" text-anchor="end">{format!("+{added} B")}</text>
        }
        .into_any(),
        None => view! { <PacketShape protocol=look.protocol size=1.4/>{mark} }.into_any(),
    };
    view! {
        <g
            class="token"
            class:is-aside=move || !now.with(|token| token.main)
            class:is-waiting=move || now.with(|token| token.waits)
            transform=place
            opacity=opacity
            on:click=move |click| {
                click.stop_propagation();
                show.ui.selection.set(Selection::Event(event));
            }
        >
            <title>{move || show.why(event)}</title>
            {body}
        </g>
    }
}

#[component]
fn NoteBox(show: Show, note: Note) -> impl IntoView {
    let scale = untrack(|| scale(show));
    let Note { rect, leader, lines, .. } = note;
    let right = f64::from(rect.w) / scale;
    let lines = lines.into_iter().enumerate().map(|(at, line)| {
        let y = 40.0 * at as f64;
        view! {
            <text class="note-head" x="13" y=y + 20.0>{line.head}</text>
            <text class="note-title" x=right - 13.0 y=y + 20.0 text-anchor="end">{line.title}</text>
            <text class="note-tail" x="13" y=y + 39.0>{line.tail}</text>
        }
    });
    view! {
        {leader.map(|(from, to)| view! { <line class="note-leader" x1=from.x y1=from.y x2=to.x y2=to.y></line> })}
        <g class="note" transform=format!("translate({} {}) scale({scale})", rect.x, rect.y)>
            <rect width=right height=f64::from(rect.h) / scale rx="8"></rect>
            {lines.collect::<Vec<_>>()}
        </g>
    }
}

#[component]
fn BurstView(show: Show, burst: Burst) -> impl IntoView {
    let scale = untrack(|| scale(show));
    let name = burst.reason.name().trim_start_matches("SKB_DROP_REASON_");
    let width = 9.0 * name.len() as f64 + 24.0;
    let event = burst.event;
    view! {
        <g
            class="burst"
            class:is-now=burst.now
            transform=format!("translate({} {}) scale({scale})", burst.at.x, burst.at.y)
            on:click=move |click| {
                click.stop_propagation();
                show.ui.selection.set(Selection::Event(event));
            }
        >
            <title>{move || show.why(event)}</title>
            <path class="burst-star" d="M0,-26 L6,-11 L20,-18 L13,-4 L27,0 L13,5 L19,19 L6,11 L0,26 L-6,11 L-19,19 L-13,5 L-27,0 L-13,-4 L-20,-18 L-6,-11 Z"></path>
            <path class="burst-cross" d="M-6,-6 L6,6 M6,-6 L-6,6"></path>
            {burst.now.then(|| view! {
                <rect class="burst-label" x="32" y="-15" width=width height="30" rx="8"></rect>
                <text class="burst-text" x="44" y="5">{name}</text>
            })}
        </g>
    }
}
