//! Why: the packet at the playhead opened, the row that decided, one sentence; or the tables of a place.

mod faults;
mod netfilter;
mod packet;
mod place;
mod sheets;
mod tables;

use super::Selection;
use super::stage::{Show, use_show};
use leptos::prelude::*;

/// The inspector.
#[component]
pub fn Inspector() -> impl IntoView {
    let show = use_show();
    let place = Memo::new(move |_| match show.ui.selection.get() {
        Selection::Place(netns, ifname) => Some((netns, ifname)),
        Selection::Playhead | Selection::Event(_) => None,
    });
    view! {
        <div class="inspector" data-testid="inspector">
            <Tabs show/>
            {move || match place.get() {
                Some((netns, ifname)) => view! { <place::PlaceView show netns ifname/> }.into_any(),
                None => view! { <packet::EventView show/> }.into_any(),
            }}
        </div>
    }
}

/// The packet, or the tables of the place where it is.
#[component]
fn Tabs(show: Show) -> impl IntoView {
    let at_place = move || matches!(show.ui.selection.get(), Selection::Place(..));
    let to_tables = move || {
        let event = show.event.get_untracked();
        let tables = show.tables.get_untracked();
        let at = event.and_then(|event| show.with_trace(|trace| tables.netns.get(&trace.event(event).netns)));
        if let Some(state) = at.or_else(|| tables.netns.values().next()) {
            show.ui.selection.set(Selection::Place(state.row.name.to_string(), None));
        }
    };
    let key = move |event: leptos::ev::KeyboardEvent| {
        let id = match event.key().as_str() {
            "ArrowRight" | "End" => {
                if !untrack(at_place) {
                    to_tables();
                }
                "why-tab-tables"
            }
            "ArrowLeft" | "Home" => {
                show.ui.selection.set(Selection::Playhead);
                "why-tab-packet"
            }
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        super::app::focus(id);
    };
    view! {
        <div class="why-tabs" role="tablist" aria-label=move || show.ui.word("inspector.tabs")>
            <button
                class="time-tab"
                role="tab"
                id="why-tab-packet"
                data-testid="back-to-packet"
                aria-selected=move || (!at_place()).to_string()
                tabindex=move || if at_place() { "-1" } else { "0" }
                on:click=move |_| show.ui.selection.set(Selection::Playhead)
                on:keydown=key
            >
                {move || show.ui.word("inspector.tab.packet")}
            </button>
            <button
                class="time-tab"
                role="tab"
                id="why-tab-tables"
                data-testid="to-tables"
                aria-selected=move || at_place().to_string()
                tabindex=move || if at_place() { "0" } else { "-1" }
                on:click=move |_| {
                    if !untrack(at_place) {
                        to_tables();
                    }
                }
                on:keydown=key
            >
                {move || show.ui.word("inspector.tab.tables")}
            </button>
        </div>
    }
}
