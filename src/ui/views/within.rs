//! What the containers of a Pod can talk by: the network over `lo`, the kernel alone, memory, files. Each way with what
//! it passes through, what it needs in the Pod's spec, whether this Pod has it, and every use up to the playhead.

use crate::base::EventId;
use crate::scene::within::{Offer, offers};
use crate::trace::{Path, PodRow, UseRow, Way};
use crate::ui::stage::{Show, use_show};
use crate::ui::state::Selection;
use leptos::prelude::*;

#[component]
pub(super) fn WithinView() -> impl IntoView {
    let show = use_show();
    let pods = Memo::new(move |_| {
        let tables = show.tables.get();
        let several = |pod: &PodRow| pod.containers.iter().filter(|container| !container.init).count() > 1;
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for pod in tables.pods.values() {
            if several(pod) { first.push(full(pod)) } else { rest.push(full(pod)) }
        }
        first.append(&mut rest);
        first
    });
    let chosen = RwSignal::new(None::<String>);
    let pod = Memo::new(move |_| {
        let names = pods.get();
        let selected = move || {
            let Selection::Place(netns, _) = show.ui.selection.get_untracked() else { return None };
            Some(netns)
        };
        let is_there = |name: &String| names.contains(name);
        chosen
            .get()
            .filter(is_there)
            .or_else(|| selected().filter(is_there))
            .or_else(|| names.first().cloned())
    });
    view! {
        <select class="choice mono" data-testid="within-pod" aria-label=move || show.ui.word("lives.pod")
            on:change=move |event| chosen.set(Some(event_target_value(&event)))>
            {move || pods.get().into_iter().map(|name| {
                let is_chosen = pod.get_untracked().as_ref() == Some(&name);
                view! { <option value=name.clone() selected=is_chosen>{name.clone()}</option> }
            }).collect_view()}
        </select>
        {move || pods.with(Vec::is_empty).then(|| view! { <p>{show.ui.word("lives.empty")}</p> })}
        {move || pod.get().map(|name| view! { <Ways show name=name.clone()/> <UseList show name/> })}
    }
}

fn full(pod: &PodRow) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

/// Reads the Pod of this name at the playhead.
fn with_pod<R>(show: Show, name: &str, read: impl FnOnce(&PodRow) -> R) -> Option<R> {
    show.tables.get().pods.values().find(|pod| full(pod) == name).map(|pod| read(pod))
}

#[component]
fn Ways(show: Show, name: String) -> impl IntoView {
    let list =
        Memo::new(move |_| with_pod(show, &name, |pod| offers(&show.tables.get(), pod)).unwrap_or_default());
    let word = move |key: &'static str| move || show.ui.word(key);
    let is_alone = move || list.with(|list| list.first().is_some_and(|offer| offer.open.is_empty()));
    view! {
        {move || is_alone().then(|| view! { <p class="within-alone" data-testid="within-alone">{show.ui.word("within.alone")}</p> })}
        <div class="within-ways">
            <table class="compare-table within-table" data-testid="within-table">
                <thead>
                    <tr>
                        <th scope="col">{word("within.way")}</th>
                        <th scope="col">{word("within.path")}</th>
                        <th scope="col">{word("within.needs")}</th>
                        <th scope="col">{word("within.used")}</th>
                    </tr>
                </thead>
                <tbody>{move || list.get().into_iter().map(|offer| row(show, &offer)).collect_view()}</tbody>
            </table>
        </div>
    }
}

fn row(show: Show, offer: &Offer) -> impl IntoView + use<> {
    let key = offer.way.map_or("net", Way::key);
    let path = offer.way.map(Way::path);
    let copies = match offer.way.map(Way::copies) {
        None => show.ui.word("within.copies.net"),
        Some(0) => show.ui.word("within.copies.none"),
        Some(copies) => show.ui.sentence("within.copies", &[copies.to_string()]),
    };
    let is_open = !offer.open.is_empty();
    let place = if is_open { offer.open.join("; ") } else { show.ui.word("within.closed") };
    let (count, bytes) = offer.used;
    let used = match (offer.way, count) {
        (_, 0) => "–".to_owned(),
        (None, _) => show.ui.sentence("within.frames", &[count.to_string(), bytes.to_string()]),
        (Some(_), _) => format!("{count} × · {bytes} B"),
    };
    view! {
        <tr data-testid=format!("within-{key}") class:is-used={count > 0}>
            <th scope="row">{show.ui.word(&format!("ipc.name.{key}"))}</th>
            <td>
                <div class="within-way">
                    <PathPicture path/>
                    <span>{show.ui.word(&format!("ipc.short.{}", path.map_or("net", Path::key)))}<br/><small>{copies}</small></span>
                </div>
            </td>
            <td>
                {show.ui.word(&format!("ipc.needs.{key}"))}
                <div class="within-open" class:is-lost=!is_open>{if is_open { "✓ " } else { "✗ " }}<span class:mono=is_open>{place}</span></div>
            </td>
            <td class="number mono">{used}</td>
        </tr>
    }
}

/// Two containers, and between them what the data passes through: the stack with `lo`, the kernel, memory, a file.
#[component]
fn PathPicture(path: Option<Path>) -> impl IntoView {
    let middle = match path {
        None => view! { <rect x="26" y="22" width="28" height="14" rx="3"></rect><text x="40" y="33" text-anchor="middle">"lo"</text> }.into_any(),
        Some(Path::Kernel) => view! { <line x1="26" y1="29" x2="54" y2="29"></line> }.into_any(),
        Some(Path::Memory) => view! { <path d="M28,22 h24 v14 h-24 Z M34,22 v14 M40,22 v14 M46,22 v14"></path> }.into_any(),
        Some(Path::File) => view! { <path d="M31,20 h12 l6,6 v12 h-18 Z M43,20 v6 h6"></path> }.into_any(),
    };
    view! {
        <svg class="within-path" width="80" height="40" viewBox="0 0 80 40" aria-hidden="true">
            <rect class="within-box" x="3" y="3" width="18" height="13" rx="3"></rect>
            <rect class="within-box" x="59" y="3" width="18" height="13" rx="3"></rect>
            <path d="M12,16 V29 H26 M54,29 H68 V16"></path>
            {middle}
        </svg>
    }
}

/// Every use so far, the newest first; each leads to its step.
#[component]
fn UseList(show: Show, name: String) -> impl IntoView {
    /// More of them are not listed.
    const MOST: usize = 100;
    let list = Memo::new(move |_| {
        let upto = show.event.get()?;
        with_pod(show, &name, |pod| {
            show.with_uses(|uses, trace| {
                let mut all: Vec<(EventId, String, UseRow)> = uses
                    .of(trace, pod, upto)
                    .map(|(event, row)| (event, trace.event(event).at.to_string(), row.clone()))
                    .collect();
                all.reverse();
                all.truncate(MOST);
                all
            })
        })
    });
    let rows = move || {
        let all = list.get().unwrap_or_default();
        let item = |(event, at, used): (EventId, String, UseRow)| {
            let text = format!("{} {}", show.ui.word(&format!("ipc.name.{}", used.way.key())), used.object);
            let from = used.container.as_ref().map_or_else(String::new, |from| from.container.to_string());
            let to = if used.others.is_empty() { show.ui.word("ipc.nobody") } else { used.others.join(", ") };
            let bytes = if used.bytes == 0 { String::new() } else { format!("{} B", used.bytes) };
            view! {
                <li class:is-now=move || show.event.get() == Some(event)>
                    <button class="pod-step" on:click=move |_| show.go_to(event)>
                        <span class="lives-actor">{format!("{from} → {to}")}</span>{text}" "<span class="mono">{bytes}</span>
                        <span class="lives-time mono">{format!("{at} s")}</span>
                    </button>
                </li>
            }
        };
        all.into_iter().map(item).collect_view()
    };
    let is_empty = move || list.with(|list| list.as_ref().is_none_or(Vec::is_empty));
    view! {
        <section class="within-uses">
            <h3>{move || show.ui.word("within.uses")}</h3>
            {move || is_empty().then(|| view! { <p class="view-about">{show.ui.word("within.unused")}</p> })}
            <ol class="pod-steps" data-testid="within-uses">{rows}</ol>
        </section>
    }
}
