//! The events as a table: the picture's twin in words, for the eye that prefers it and for screen readers.

use crate::base::EventId;
use crate::scene::{self, StepKind};
use crate::ui::stage::{Legend, Show};
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

/// Rows drawn at once, around the playhead.
const ROWS: usize = 80;

#[component]
pub(super) fn EventList(show: Show) -> impl IntoView {
    let window = Memo::new(move |_| {
        let (at, count) = (show.at.get(), show.count.get());
        let start = (at / (ROWS / 2) * (ROWS / 2)).saturating_sub(ROWS / 4).min(count.saturating_sub(ROWS));
        start..(start + ROWS).min(count)
    });
    let rows = move || {
        let window = window.get();
        show.ui.playback.with_untracked(|play| {
            let steps = play.steps.get(window.clone()).unwrap_or_default();
            window.clone().zip(steps.iter().copied()).collect::<Vec<_>>()
        })
    };
    let word = move |key: &'static str| move || show.ui.word(key);
    let before = move || {
        let start = window.get().start;
        (start > 0).then(|| show.ui.sentence("timeline.before", &[start.to_string()]))
    };
    view! {
        <div class="event-list" data-testid="event-list">
            <p class="event-more">{before}</p>
            <table>
                <thead>
                    <tr>
                        <th scope="col">{word("timeline.col.number")}</th>
                        <th scope="col">{word("timeline.col.time")}</th>
                        <th scope="col">{word("timeline.col.place")}</th>
                        <th scope="col">{word("timeline.col.packet")}</th>
                        <th scope="col">{word("timeline.col.what")}</th>
                    </tr>
                </thead>
                <tbody on:keydown=move |event| key(show, &event)>
                    <For each=rows key=|row| *row let:row><Row show step=row.0 event=row.1/></For>
                </tbody>
            </table>
        </div>
    }
}

fn key(show: Show, event: &KeyboardEvent) {
    let at = show.at.get_untracked();
    let next = match event.key().as_str() {
        "ArrowDown" => at + 1,
        "ArrowUp" => at.saturating_sub(1),
        "Home" => 0,
        "End" => show.count.get_untracked(),
        _ => return,
    };
    event.prevent_default();
    event.stop_propagation();
    show.ui.playback.update(|play| {
        play.playing = false;
        play.seek(next);
    });
    let at = show.at.get_untracked();
    request_animation_frame(move || super::focus(&format!("row-{at}")));
}

#[component]
fn Row(show: Show, step: usize, event: EventId) -> impl IntoView {
    let shown = move || show.at.get() == step;
    let (time, place, packet, kind) = show.with_trace(|trace| {
        let seen = trace.event(event);
        let tables = show.tables.get_untracked();
        let netns = scene::place_name(&tables, seen.netns);
        let ifname = seen
            .ifindex
            .is_some()
            .then(|| tables.netns.get(&seen.netns).map(|state| state.ifname(seen.ifindex)));
        let place = match ifname.flatten() {
            Some(ifname) => format!("{netns}/{ifname}"),
            None => netns.to_string(),
        };
        let packet = trace.frame_of(seen).map_or_else(String::new, ToString::to_string);
        (seen.at.to_string(), place, packet, scene::step_kind(trace, seen))
    });
    let legend = kind.and_then(StepKind::look).map(|look| {
        view! {
            {look.tunnel.map(|_| view! { <Legend protocol=None/> })}
            <Legend protocol=Some(look.protocol)/>
        }
    });
    let drop = matches!(kind, Some(StepKind::Drop(..)));
    Effect::new(move || {
        if shown() && show.ui.playback.with_untracked(|play| !play.playing || step.is_multiple_of(4)) {
            scroll_to(step);
        }
    });
    view! {
        <tr
            id=format!("row-{step}")
            class:is-now=shown
            class:is-future=move || show.at.get() < step
            class:is-drop=drop
            aria-current=move || shown().then_some("step")
            tabindex=move || if shown() { "0" } else { "-1" }
            on:click=move |_| show.go_to(event)
        >
            <td class="mono number">{step + 1}</td>
            <td class="mono number">{time}</td>
            <td class="mono nowrap">{place}</td>
            <td class="mono packet-line">{legend}{packet}</td>
            <td>{move || show.why(event)}</td>
        </tr>
    }
}

/// Brings a row into the list's own window, without moving the page.
fn scroll_to(step: usize) {
    let Some(row) = document().get_element_by_id(&format!("row-{step}")) else { return };
    let Ok(Some(list)) = row.closest(".event-list") else { return };
    let (inner, outer) = (row.get_bounding_client_rect(), list.get_bounding_client_rect());
    if inner.top() < outer.top() + 30.0 || inner.bottom() > outer.bottom() {
        let by = inner.top() - outer.top() - outer.height() / 3.0;
        list.set_scroll_top(list.scroll_top() + by as i32);
    }
}
