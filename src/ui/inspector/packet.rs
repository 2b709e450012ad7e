//! A step: its sentence, the row that decided it, and its packet as layers and bytes, each lit by the other.

use super::{netfilter, tables};
use crate::base::EventId;
use crate::scene::packet::{self, Opened, OpenedField, OpenedLayer};
use crate::scene::{self, StepKind};
use crate::trace::{EventKind, StepRow, TableChange};
use crate::ui::stage::{Legend, Shared, Show};
use leptos::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;

#[component]
pub(super) fn EventView(show: Show) -> impl IntoView {
    let event = Memo::new(move |_| {
        show.ui.version.track();
        show.inspected()
    });
    let folded = RwSignal::new(BTreeSet::<String>::new());
    let lit = RwSignal::new(None::<Range<usize>>);
    let opened = Memo::new(move |_| {
        let opened = event.get().and_then(|event| show.with_trace(|trace| packet::open(trace, event)));
        opened.map(Shared::from)
    });
    view! {
        {move || event.get().map(|event| view! { <Head show event/> })}
        <section class="why">
            <h3>{move || show.ui.word("inspector.why")}</h3>
            <p class="why-sentence" data-testid="why">
                {move || event.get().map_or_else(|| show.ui.word("inspector.nothing"), |event| show.why(event))}
            </p>
            {move || event.get().map(|event| view! { <tables::Deciding show event/> })}
        </section>
        {move || event.get().map(|event| view! { <netfilter::WalkView show event/> })}
        {move || event.get().and_then(|event| pod_step(show, event)).map(|row| view! { <PodStep show row/> })}
        {move || opened.get().map(|opened| view! {
            <Layers show opened=opened.clone() folded lit/>
            <Bytes show opened lit/>
        })}
    }
}

#[component]
fn Head(show: Show, event: EventId) -> impl IntoView {
    let lang = show.lang();
    let (title, line, kind) = show.with_trace(|trace| {
        let seen = trace.event(event);
        let frame = trace.frame_of(seen);
        let title = frame.map(|frame| scene::packet_title(frame, lang)).or_else(|| {
            let step = pod_step(show, event)?;
            Some(format!("Pod {} · {}/8", step.pod, step.number))
        });
        (title, frame.map(ToString::to_string), scene::step_kind(trace, seen))
    });
    let (place, at) = show.with_trace(|trace| {
        let seen = trace.event(event);
        let tables = show.tables.get_untracked();
        let name = scene::place_name(&tables, scene::netns_of_step(trace, &tables, event));
        let state = tables.netns.get(&seen.netns).filter(|_| seen.ifindex.is_some());
        let ifname = state.map(|state| format!("/{}", state.ifname(seen.ifindex))).unwrap_or_default();
        (format!("{name}{ifname}"), format!("{} s", seen.at))
    });
    let number = show.ui.playback.with_untracked(|play| play.steps.partition_point(|step| *step <= event));
    let shape = kind.and_then(StepKind::look);
    view! {
        <header class="inspector-head">
            <h2>
                {shape.map(|look| view! {
                    {look.tunnel.map(|_| view! { <Legend protocol=None/> })}
                    <Legend protocol=Some(look.protocol)/>
                })}
                <span class="inspector-title">{title.unwrap_or_else(|| place.clone())}</span>
            </h2>
            <p class="inspector-where">
                {move || show.ui.sentence("inspector.where", &[number.to_string(), show.count.get().to_string(), place.clone(), at.clone()])}
            </p>
            {line.map(|line| view! { <p class="inspector-line mono" data-testid="packet-line">{line}</p> })}
        </header>
    }
}

/// The step of a Pod's life that an event is.
fn pod_step(show: Show, event: EventId) -> Option<StepRow> {
    show.with_trace(|trace| {
        let EventKind::Changed(change) = trace.events.get(event.index())?.kind else { return None };
        let TableChange::Step(row) = &trace.changes[change.index()] else { return None };
        Some((**row).clone())
    })
}

#[component]
fn PodStep(show: Show, row: StepRow) -> impl IntoView {
    view! {
        <section>
            <tables::Json show key="inspector.request" text=row.request.clone()/>
            <tables::Json show key="inspector.result" text=row.result.clone()/>
        </section>
    }
}

#[component]
fn Layers(
    show: Show,
    opened: Shared<Opened>,
    folded: RwSignal<BTreeSet<String>>,
    lit: RwSignal<Option<Range<usize>>>,
) -> impl IntoView {
    let removed = opened.removed.clone();
    let length = opened.bytes.len();
    let grown = opened.length_before.map(|before| length as i64 - before as i64).filter(|by| *by != 0);
    let inner = opened.layers.iter().map(|layer| layer.depth).max().unwrap_or(0);
    view! {
        <section class="layers" data-testid="layers">
            <h3>
                {move || show.ui.word("inspector.packet")}
                <span class="section-note">
                    {format!("{length} B")}
                    {grown.map(|by| view! { <mark>{format!("{by:+} B")}</mark> })}
                </span>
            </h3>
            {(!removed.is_empty()).then(|| {
                let names = removed.join(" · ");
                view! { <p class="removed"><del>{names}</del>" "{move || show.ui.word("inspector.removed")}</p> }
            })}
            {opened.layers.iter().enumerate().map(|(at, layer)| {
                // Several records of one section are opened one by one.
                let same = opened.layers[at..].iter().filter(|other| other.name == layer.name).count();
                let key = format!("{}{}{same}", inner - layer.depth, layer.name);
                let outer = layer.depth < inner;
                view! { <LayerView show layer=layer.clone() key outer folded lit first=at == 0/> }
            }).collect::<Vec<_>>()}
        </section>
    }
}

/// Class of a layer's edge: its protocol, or the tunnel's for what is outside.
fn edge(name: &str, outer: bool) -> &'static str {
    match name {
        _ if outer => "edge-tunnel",
        "VXLAN" => "edge-tunnel",
        "ARP" => "edge-arp",
        "TCP" => "edge-tcp",
        "UDP" => "edge-udp",
        "ICMP" => "edge-icmp",
        _ if name.starts_with("DNS") => "edge-udp",
        _ => "edge-plain",
    }
}

#[component]
fn LayerView(
    show: Show,
    layer: OpenedLayer,
    key: String,
    outer: bool,
    folded: RwSignal<BTreeSet<String>>,
    lit: RwSignal<Option<Range<usize>>>,
    first: bool,
) -> impl IntoView {
    let _ = first;
    // A layer is folded until it is opened; what a hop changed is shown on its line all the same.
    let open = {
        let key = key.clone();
        Memo::new(move |_| folded.with(|open| open.contains(&key)))
    };
    let flip = move |_| {
        folded.update(|open| {
            if !open.remove(&key) {
                open.insert(key.clone());
            }
        });
    };
    let range = layer.range.clone();
    let hover = move || lit.set(Some(range.clone()));
    let hover_too = hover.clone();
    let added = layer.added;
    let changed: Vec<(&'static str, String, String)> = layer
        .fields
        .iter()
        .filter_map(|field| Some((field.name, field.before.clone()?, field.value.clone())))
        .collect();
    let fields = layer.fields.clone();
    let name = layer.name;
    view! {
        <div class=format!("layer {}", edge(layer.name, outer)) class:is-added=added>
            <button
                class="layer-head"
                aria-expanded=move || open.get().to_string()
                on:click=flip
                on:mouseenter=move |_| hover()
                on:mouseleave=move |_| lit.set(None)
                on:focus=move |_| hover_too()
                on:blur=move |_| lit.set(None)
            >
                <span class="layer-name">{layer.name}</span>
                <span class="layer-summary mono">{layer.summary.clone()}</span>
                {added.then(|| view! { <mark>{move || show.ui.word("inspector.added")}</mark> })}
            </button>
            {(!changed.is_empty()).then(|| view! {
                <p class="layer-changes mono">
                    {changed.iter().filter(|(field, ..)| worth(name, field)).map(|(field, before, now)| view! {
                        <span class="change">{short(field)}" "<mark>{format!("{before} → {now}")}</mark></span>
                    }).collect::<Vec<_>>()}
                </p>
            })}
            {move || open.get().then(|| view! {
                <dl class="fields">
                    {fields.iter().cloned().map(|field| view! { <FieldView field lit/> }).collect::<Vec<_>>()}
                </dl>
            })}
        </div>
    }
}

/// Whether a changed field is named on the layer's line: a checksum always changes when something does.
fn worth(_layer: &str, field: &str) -> bool {
    !field.to_lowercase().contains("checksum")
}

fn short(field: &str) -> &str {
    match field {
        "Time to live" => "TTL",
        "Source address" | "Source" => "src",
        "Destination address" | "Destination" => "dst",
        other => other,
    }
}

#[component]
fn FieldView(field: OpenedField, lit: RwSignal<Option<Range<usize>>>) -> impl IntoView {
    let range = field.range.clone();
    let own = range.clone();
    let is_lit = move || {
        lit.with(|lit| {
            lit.as_ref().is_some_and(|lit| lit.start < own.end && own.start < lit.end && lit.len() < 60)
        })
    };
    let hover = move || lit.set(Some(range.clone()));
    let hover_too = hover.clone();
    view! {
        <div
            class="field"
            class:is-lit=is_lit
            class:is-changed=field.before.is_some()
            tabindex="0"
            on:mouseenter=move |_| hover()
            on:mouseleave=move |_| lit.set(None)
            on:focus=move |_| hover_too()
            on:blur=move |_| lit.set(None)
        >
            <dt>{field.name}</dt>
            <dd class="mono">
                {field.before.clone().map(|before| view! { <del>{before}</del>" → " })}
                {field.value.clone()}
                {field.bits.clone().map(|bits| view! { <span class="field-bits">{bits}</span> })}
            </dd>
        </div>
    }
}

/// The bytes, sixteen a line; the byte under the pointer lights its field.
#[component]
fn Bytes(show: Show, opened: Shared<Opened>, lit: RwSignal<Option<Range<usize>>>) -> impl IntoView {
    let lines = opened.bytes.chunks(16).enumerate().map(|(line, bytes)| {
        let cell = |at: usize, byte: &u8| {
            let field = field_of(&opened, at);
            let changed = opened.is_changed(at);
            let hover = move |_| lit.set(field.clone());
            view! {
                <span
                    class="byte"
                    class:is-changed=changed
                    class:is-lit=move || lit.with(|lit| lit.as_ref().is_some_and(|lit| lit.contains(&at)))
                    on:mouseenter=hover
                >
                    {format!("{byte:02x}")}
                </span>
            }
        };
        // Where sixteen do not fit beside each other, the second half goes on in a line with an offset of its own.
        let halves = bytes.chunks(8).enumerate().map(|(half, bytes)| {
            let start = line * 16 + half * 8;
            let cells = bytes.iter().enumerate().map(|(at, byte)| cell(start + at, byte));
            let cells = cells.collect::<Vec<_>>();
            view! {
                <span class="byte-half">
                    <span class="byte-offset">{format!("{start:04x}")}</span>
                    {cells}
                </span>
            }
        });
        view! { <div class="byte-line">{halves.collect::<Vec<_>>()}</div> }
    });
    let lines = lines.collect::<Vec<_>>();
    view! {
        <section class="bytes" data-testid="bytes">
            <h3>{move || show.ui.word("inspector.bytes")}</h3>
            <div class="byte-lines mono" on:mouseleave=move |_| lit.set(None)>{lines}</div>
        </section>
    }
}

fn field_of(opened: &Opened, at: usize) -> Option<Range<usize>> {
    let layer = opened.layers.iter().find(|layer| layer.range.contains(&at))?;
    let field = layer.fields.iter().find(|field| field.range.contains(&at));
    Some(field.map_or_else(|| layer.range.clone(), |field| field.range.clone()))
}
