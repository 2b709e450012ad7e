//! What moves and what happened: packets, the rows that decided, packets lost.

use super::{PacketShape, Show};
use crate::base::words;
use crate::scene::{Burst, Mark, Note, Token};
use crate::trace::Table;
use crate::ui::{Selection, Theme};
use leptos::prelude::*;

#[component]
pub(super) fn Live(show: Show) -> impl IntoView {
    let tokens = move || show.frame.get().tokens.clone();
    let bursts = move || show.frame.get().bursts.clone();
    view! {
        {move || show.frame.get().note.clone().map(|note| view! { <NoteBox show note/> })}
        <For each=bursts key=|burst| (burst.event, burst.now, burst.at) let:burst><BurstView show burst/></For>
        <For each=tokens key=token_key let:token><TokenView show token/></For>
    }
}

fn scale(show: Show) -> f64 {
    if show.ui.theme.get() == Theme::Projector { 1.4 } else { 1.0 }
}

/// A packet keeps its element while it looks the same; its way is looked up anew each step.
fn token_key(token: &Token) -> String {
    format!("{}{:?}{}", token.journey.0, token.look, token.waits)
}

#[component]
fn TokenView(show: Show, token: Token) -> impl IntoView {
    let (journey, look, event) = (token.journey, token.look, token.event);
    let now = Memo::new(move |before: Option<&Token>| {
        let found =
            show.frame.with(|frame| frame.tokens.iter().find(|token| token.journey == journey).cloned());
        found.or_else(|| before.cloned()).unwrap_or_else(|| token.clone())
    });
    let place = move || {
        let (x, y) = now.with(|token| token.at(show.position()));
        // Whoever waits stands aside, so that what it waits for can be seen.
        let aside = if now.with(|token| token.waits) { -30.0 * scale(show) } else { 0.0 };
        format!("translate({:.1} {:.1}) scale({})", x + aside, y, scale(show))
    };
    let opacity = move || {
        let token = now.get();
        if token.emerges { 0.25 + 0.75 * token.part(show.position()) } else { 1.0 }
    };
    let mark = (look.mark != Mark::None).then(
        || view! { <text class="token-mark" y="5" text-anchor="middle">{look.mark.to_string()}</text> },
    );
    let body = match look.tunnel {
        Some(added) => view! {
            <rect class="ring-back" x="-78" y="-21" width="156" height="42" rx="21"></rect>
            <rect class="ring" x="-78" y="-21" width="156" height="42" rx="21"></rect>
            <g transform="translate(-54 0)"><PacketShape protocol=look.protocol size=1.25/>{mark}</g>
            <text class="token-name" x="-34" y="5">"VXLAN"</text>
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
            {move || now.with(|token| token.waits).then(|| view! {
                <text class="token-wait" x=if look.tunnel.is_some() { "-86" } else { "-20" } y="5" text-anchor="end">{move || show.ui.word("stage.waits")}</text>
            })}
        </g>
    }
}

fn table_key(table: Table) -> &'static str {
    match table {
        Table::Fib => "fib",
        Table::Neighbor => "neighbor",
        Table::BridgeFdb => "bridge-fdb",
        Table::VxlanFdb => "vxlan-fdb",
        Table::Netfilter => "netfilter",
        Table::Conntrack => "conntrack",
    }
}

#[component]
fn NoteBox(show: Show, note: Note) -> impl IntoView {
    let lang = show.ui.lang.get_untracked();
    let scale = untrack(|| scale(show));
    let mut y = 0.0;
    let mut width: f64 = 0.0;
    let mut lines = Vec::new();
    for (table, row, text) in &note.rows {
        let title = words::word(lang, &format!("stage.table.{}", table_key(*table)));
        let tail = match row {
            Some(_) => text.tail.clone(),
            None => words::word(lang, &format!("stage.none.{}", table_key(*table))),
        };
        let wide =
            |text: &str| text.chars().map(|char| if char.is_ascii() { 8.5 } else { 14.0 }).sum::<f64>();
        width = width.max(wide(&text.head) + wide(&title) + 40.0).max(wide(&tail) + 28.0);
        lines.push((y, title, text.head.clone(), tail));
        y += 42.0;
    }
    let right = width.max(180.0);
    // Beside the last node it would run out of the picture.
    let edge = f64::from(show.scene.with_untracked(|scene| scene.bounds.right())) - 4.0;
    let x = f64::from(note.at.x).min(edge - right * scale).max(0.0);
    view! {
        <g class="note" transform=format!("translate({x} {}) scale({scale})", note.at.y)>
            <rect width=right height=y + 6.0 rx="8"></rect>
            {lines.into_iter().map(|(y, title, head, tail)| view! {
                <text class="note-head" x="14" y=y + 20.0>{head}</text>
                <text class="note-title" x=right - 14.0 y=y + 20.0 text-anchor="end">{title}</text>
                <text class="note-tail" x="14" y=y + 39.0>{tail}</text>
            }).collect::<Vec<_>>()}
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
