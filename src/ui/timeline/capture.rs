//! A capture on any interface, as tcpdump shows it: a filter in its language, lines that come as time goes on, a file for
//! Wireshark.

use crate::base::{EventId, IfIndex};
use crate::scene::capture::{Capture, CaptureLine, Tap};
use crate::ui::stage::{Show, TapChoice};
use crate::ui::state::Page;
use leptos::prelude::*;
use std::ops::Range;

/// Events looked at in one frame.
const SLICE: usize = 30_000;
/// Lines drawn at once, around the playhead.
const LINES: usize = 120;

/// The capture and what concerns it.
#[derive(Clone, Copy)]
struct Tapped {
    show: Show,
    filter: RwSignal<String>,
    /// What is wrong with the filter: column and message.
    error: RwSignal<Option<(usize, String)>>,
    capture: StoredValue<Option<Capture>, LocalStorage>,
    /// Counts up as the capture grows.
    grown: RwSignal<u32>,
}

#[component]
pub(super) fn CaptureView(show: Show) -> impl IntoView {
    let tapped = Tapped {
        show,
        filter: RwSignal::new(String::new()),
        error: RwSignal::new(None),
        capture: StoredValue::new_local(None),
        grown: RwSignal::new(0),
    };
    choose_first(show);
    // The interface by number: names and addresses that change do not begin the capture anew.
    let tap = Memo::new(move |_| {
        let choice = show.tap().get();
        show.tables.with(|tables| tap_of(tables, &choice))
    });
    Effect::new(move || {
        let (tap, filter) = (tap.get(), tapped.filter.get());
        let made =
            tap.map(|tap| show.tables.with_untracked(|tables| Capture::new(tap, filter.trim(), tables)));
        match made {
            Some(Err(error)) => tapped.error.set(Some((error.at, error.message))),
            Some(Ok(capture)) => {
                tapped.error.set(None);
                tapped.capture.set_value(Some(capture));
                grow(&tapped);
            }
            // Before the namespace came, or after it went, what was captured stays.
            None => {}
        }
    });
    Effect::new(move || {
        show.ui.version.track();
        grow(&tapped);
    });
    view! {
        <div class="capture" data-testid="capture">
            <Choices tapped/>
            <Lines tapped/>
        </div>
    }
}

fn tap_of(tables: &crate::trace::Inventory, choice: &TapChoice) -> Option<Tap> {
    let state = tables.netns_named(&choice.netns)?;
    let ifindex = match &choice.ifname {
        Some(name) => state.link_named(name)?.ifindex,
        None => IfIndex::NONE,
    };
    Some(Tap { netns: state.row.netns, ifindex })
}

/// Without a choice the capture listens where the packet is.
fn choose_first(show: Show) {
    if !show.tap().with_untracked(|tap| tap.netns.is_empty()) {
        return;
    }
    let tables = show.tables.get_untracked();
    let at = show.event.get_untracked().map(|event| show.with_trace(|trace| *trace.event(event)));
    let state = at.and_then(|event| tables.netns.get(&event.netns)).or_else(|| tables.netns.values().next());
    let Some(state) = state else { return };
    let ifindex = at.map(|event| event.ifindex).filter(|ifindex| ifindex.is_some());
    let ifname = ifindex.and_then(|ifindex| state.links.get(&ifindex)).map(|link| link.name.to_string());
    show.tap().set(TapChoice { netns: state.row.name.to_string(), ifname });
}

/// Takes in what the trace has got since, a slice a frame.
fn grow(tapped: &Tapped) {
    let more = tapped.show.with_trace(|trace| {
        let more = tapped.capture.try_update_value(|capture| capture.as_mut()?.extend(trace, SLICE).into());
        more.flatten()
    });
    if more.is_some() {
        tapped.grown.update(|grown| *grown += 1);
    }
    if more == Some(true) {
        let tapped = *tapped;
        request_animation_frame(move || {
            if tapped.grown.try_get_untracked().is_some() {
                grow(&tapped);
            }
        });
    }
}

#[component]
fn Choices(tapped: Tapped) -> impl IntoView {
    let show = tapped.show;
    let page = use_context::<Page>();
    let places = Memo::new(move |_| {
        let mut names: Vec<String> = show
            .tables
            .with(|tables| tables.netns.values().map(|state| state.row.name.to_string()).collect());
        names.sort();
        names
    });
    let links = Memo::new(move |_| {
        let choice = show.tap().get();
        show.tables.with(|tables| {
            let state = tables.netns_named(&choice.netns);
            state.map_or_else(Vec::new, |state| {
                state.links.values().map(|link| link.name.to_string()).collect::<Vec<_>>()
            })
        })
    });
    let option = |name: String, chosen: bool| view! { <option value=name.clone() selected=chosen>{name.clone()}</option> };
    let export = move |_| {
        let Some(page) = page else { return };
        let Some(bytes) = tapped.capture.with_value(|capture| {
            let capture = capture.as_ref()?;
            let events: Vec<EventId> = capture.lines().iter().map(|line| line.event).collect();
            Some(show.with_trace(|trace| {
                crate::trace::pcapng_of(trace, 0..trace.len(), |id| events.binary_search(&id).is_ok())
            }))
        }) else {
            return;
        };
        let TapChoice { netns, ifname } = show.tap().get_untracked();
        let name = format!("{netns}-{}.pcapng", ifname.as_deref().unwrap_or("any")).replace('/', "-");
        crate::ui::export::capture(page, &bytes, &name);
    };
    let counted = move || {
        tapped.grown.track();
        let (shown, seen) = tapped
            .capture
            .with_value(|capture| capture.as_ref().map_or((0, 0), |it| (it.lines().len(), it.seen())));
        show.ui.sentence("capture.count", &[shown.to_string(), seen.to_string()])
    };
    view! {
        <form class="capture-choices" on:submit=move |event| event.prevent_default()>
            <select
                class="choice mono"
                data-testid="capture-place"
                aria-label=move || show.ui.word("capture.place")
                on:change=move |event| show.tap().set(TapChoice { netns: event_target_value(&event), ifname: None })
            >
                {move || places.get().into_iter().map(|name| {
                    let chosen = show.tap().with(|tap| tap.netns == name);
                    option(name, chosen)
                }).collect::<Vec<_>>()}
            </select>
            <select
                class="choice mono"
                data-testid="capture-interface"
                aria-label=move || show.ui.word("capture.interface")
                on:change=move |event| {
                    let name = event_target_value(&event);
                    show.tap().update(|tap| tap.ifname = (name != "any").then_some(name));
                }
            >
                {move || {
                    let chosen = show.tap().with(|tap| tap.ifname.clone());
                    let all = std::iter::once("any".to_string()).chain(links.get());
                    all.map(|name| {
                        let is_chosen = chosen.as_deref().unwrap_or("any") == name;
                        option(name, is_chosen)
                    }).collect::<Vec<_>>()
                }}
            </select>
            <label class="capture-filter">
                <span>{move || show.ui.word("capture.filter")}</span>
                <input
                    class="mono"
                    type="text"
                    spellcheck="false"
                    autocomplete="off"
                    autocapitalize="none"
                    placeholder="icmp or (tcp port 80 and host 10.244.2.10)"
                    data-testid="capture-filter"
                    aria-invalid=move || tapped.error.with(Option::is_some).to_string()
                    aria-describedby="capture-error"
                    prop:value=move || tapped.filter.get()
                    on:input=move |event| tapped.filter.set(event_target_value(&event))
                />
            </label>
            <span class="capture-count" data-testid="capture-count">{counted}</span>
            <button type="button" class="button" data-testid="capture-export" on:click=export>
                {move || show.ui.word("capture.export")}
            </button>
        </form>
        {move || tapped.error.get().map(|(at, message)| view! { <FilterProblem tapped at message/> })}
    }
}

/// The filter with a mark under the place that libpcap stumbles over.
#[component]
fn FilterProblem(tapped: Tapped, at: usize, message: String) -> impl IntoView {
    let text = tapped.filter.get_untracked();
    let lead = text.chars().take_while(|char| char.is_whitespace()).count();
    let column = at + lead;
    let pointer = format!("{}^", " ".repeat(column));
    let show = tapped.show;
    let args = [(column + 1).to_string(), message];
    view! {
        <div class="capture-error" id="capture-error" role="status" data-testid="capture-error">
            <pre aria-hidden="true">{text}"\n"{pointer}</pre>
            <p>{move || show.ui.sentence("capture.error", &args)}</p>
        </div>
    }
}

/// The lines around the playhead.
fn window(lines: &[CaptureLine], event: EventId) -> Range<usize> {
    let now = lines.partition_point(|line| line.event <= event);
    let start = (now / (LINES / 2) * (LINES / 2)).saturating_sub(LINES / 4);
    let start = start.min(lines.len().saturating_sub(LINES));
    start..(start + LINES).min(lines.len())
}

#[component]
fn Lines(tapped: Tapped) -> impl IntoView {
    let show = tapped.show;
    let shown = Memo::new(move |_| {
        tapped.grown.track();
        let event = show.event.get().unwrap_or(EventId(0));
        tapped.capture.with_value(|capture| {
            let lines = capture.as_ref().map_or(&[][..], Capture::lines);
            lines[window(lines, event)].to_vec()
        })
    });
    // The last line at or before the playhead.
    let current = Memo::new(move |_| {
        let event = show.event.get()?;
        shown.with(|lines| lines.iter().rev().find(|line| line.event <= event).map(|line| line.event))
    });
    Effect::new(move || {
        if let Some(event) = current.get() {
            request_animation_frame(move || scroll_to(event));
        }
    });
    let empty = move || shown.with(Vec::is_empty);
    view! {
        <div class="capture-lines mono" data-testid="capture-lines" tabindex="0" role="list" aria-label=move || show.ui.word("capture.lines")>
            {move || empty().then(|| view! { <p class="capture-empty">{show.ui.word("capture.empty")}</p> })}
            <For each=move || shown.get() key=|line| line.event let:line>{line_view(show, current, line)}</For>
        </div>
    }
}

fn line_view(show: Show, current: Memo<Option<EventId>>, line: CaptureLine) -> impl IntoView {
    let event = line.event;
    view! {
        <div role="listitem">
            <button
                class="capture-line"
                id=format!("captured-{}", event.0)
                class:is-now=move || current.get() == Some(event)
                class:is-future=move || show.event.get().is_none_or(|now| now < event)
                on:click=move |_| show.go_to(event)
            >
                <span class="capture-time">{line.time}</span>" "{line.text}
            </button>
        </div>
    }
}

/// Brings a line into the list's own window, without moving the page.
fn scroll_to(event: EventId) {
    let Some(line) = document().get_element_by_id(&format!("captured-{}", event.0)) else { return };
    let Ok(Some(list)) = line.closest(".capture-lines") else { return };
    let (inner, outer) = (line.get_bounding_client_rect(), list.get_bounding_client_rect());
    if inner.top() < outer.top() || inner.bottom() > outer.bottom() {
        let by = inner.top() - outer.top() - outer.height() / 2.0;
        list.set_scroll_top(list.scroll_top() + by as i32);
    }
}
