//! The same command over several networks, side by side: its largest packet's way, bytes on the wire, headers added, MTU
//! left and delay. Each network is a lab of its own, worked through in slices of a frame.

use crate::lab::compare::{Choice, Comparison, Followed, Outcome, added};
use crate::lab::prompt::{argv, line_of, prompt_of};
use crate::lab::{Action, lessons};
use crate::ui::slices::in_slices;
use crate::ui::state::{Page, use_page};
use leptos::prelude::*;
use std::collections::BTreeSet;

/// Queue entries between two looks at the clock.
const STEPS: u32 = 400;

/// What the view is at.
#[derive(Clone, Copy)]
struct Comparing {
    page: Page,
    line: RwSignal<String>,
    chosen: RwSignal<BTreeSet<usize>>,
    outcomes: RwSignal<Vec<Outcome>>,
    /// How many networks there are to be done, while it is at work.
    busy: RwSignal<Option<usize>>,
    problem: RwSignal<Option<String>>,
    work: StoredValue<Option<Comparison>, LocalStorage>,
}

#[component]
pub(super) fn CompareView() -> impl IntoView {
    let page = use_page();
    let all = Choice::usual();
    let comparing = Comparing {
        page,
        line: RwSignal::new(last_line(page)),
        chosen: RwSignal::new((0..all.len()).collect()),
        outcomes: RwSignal::new(Vec::new()),
        busy: RwSignal::new(None),
        problem: RwSignal::new(None),
        work: StoredValue::new_local(None),
    };
    // Something to look at from the first moment on.
    request_animation_frame(move || begin(&comparing));
    let check = move |(at, choice): (usize, Choice)| {
        view! {
            <label class="check">
                <input type="checkbox" prop:checked=move || comparing.chosen.with(|chosen| chosen.contains(&at))
                    on:change=move |event| {
                        let is_on = event_target_checked(&event);
                        comparing.chosen.update(|chosen| {
                            if is_on { chosen.insert(at) } else { chosen.remove(&at) };
                        });
                    }/>
                <span class="mono">{choice.name()}</span>
            </label>
        }
    };
    view! {
        <form class="compare-form" on:submit=move |event| {
            event.prevent_default();
            begin(&comparing);
        }>
            <label class="compare-line">
                <span class="mono">{move || prompt_of(&page.ui.terminal.get())}</span>
                <input class="mono" type="text" spellcheck="false" autocapitalize="none" autocomplete="off"
                    data-testid="compare-line" aria-label=move || page.word("compare.line")
                    prop:value=move || comparing.line.get()
                    on:input=move |event| comparing.line.set(event_target_value(&event))/>
            </label>
            <button class="button primary" data-testid="compare-run" prop:disabled=move || comparing.busy.get().is_some()>
                {move || page.word("compare.run")}
            </button>
            <fieldset class="compare-networks">
                <legend class="visually-hidden">{move || page.word("compare.networks")}</legend>
                {all.into_iter().enumerate().map(check).collect_view()}
            </fieldset>
        </form>
        <p class="compare-state" role="status" data-testid="compare-state">
            {move || comparing.problem.get().or_else(|| {
                let all = comparing.busy.get()?;
                let done = comparing.outcomes.with(Vec::len);
                Some(page.ui.sentence("compare.busy", &[done.to_string(), all.to_string()]))
            })}
        </p>
        {move || (!comparing.outcomes.with(Vec::is_empty)).then(|| view! { <Table comparing/> })}
    }
}

/// The command run last, or the lesson's.
fn last_line(page: Page) -> String {
    let log = page.ui.lab.with_value(crate::lab::Lab::log);
    let here = page.ui.terminal.get_untracked();
    let last = log.actions.iter().rev().find_map(|(_, action)| {
        let Action::Run { target, argv } = action else { return None };
        (*target == here).then(|| line_of(argv))
    });
    last.unwrap_or_else(|| line_of(&lessons::first_command().1))
}

fn begin(comparing: &Comparing) {
    let page = comparing.page;
    let all = Choice::usual();
    let chosen: Vec<Choice> =
        comparing.chosen.get_untracked().into_iter().filter_map(|at| all.get(at).cloned()).collect();
    comparing.outcomes.set(Vec::new());
    comparing.problem.set(None);
    let line = comparing.line.get_untracked();
    let words = match argv(&line) {
        Ok(words) if !words.is_empty() && !chosen.is_empty() => words,
        Ok(_) => return comparing.problem.set(Some(page.word("compare.nothing"))),
        Err(quote) => {
            let text = page.ui.sentence("compare.quote", &[quote.to_string()]);
            return comparing.problem.set(Some(text));
        }
    };
    let text = page.ui.text.get_untracked();
    let target = page.ui.terminal.get_untracked();
    match Comparison::new(&text, &chosen, &target, &words, lessons::SEED) {
        Ok(work) => {
            comparing.work.set_value(Some(work));
            comparing.busy.set(Some(chosen.len()));
            go_on(comparing);
        }
        Err(_) => comparing.problem.set(Some(page.word("compare.errors"))),
    }
}

/// Works until all is done or the view was closed.
fn go_on(comparing: &Comparing) {
    let comparing = *comparing;
    let advance =
        move || comparing.work.try_update_value(|work| work.as_mut().is_some_and(|work| work.advance(STEPS)));
    in_slices(advance, move |more| {
        let known = comparing.outcomes.with_untracked(Vec::len);
        let new = comparing.work.with_value(|work| {
            let outcomes = work.as_ref().map_or(&[][..], |work| &work.outcomes[..]);
            outcomes.get(known..).unwrap_or_default().to_vec()
        });
        if !new.is_empty() {
            comparing.outcomes.update(|outcomes| outcomes.extend(new));
        }
        if !more {
            comparing.busy.set(None);
            comparing.work.set_value(None);
            comparing.page.ui.announce(comparing.page.word("compare.done"));
        }
    });
}

#[component]
fn Table(comparing: Comparing) -> impl IntoView {
    let page = comparing.page;
    let word = move |key: &'static str| move || page.word(key);
    let most = Memo::new(move |_| {
        comparing.outcomes.with(|outcomes| {
            let followed = outcomes.iter().filter_map(|outcome| outcome.followed.as_ref());
            let most = followed.map(|packet| (packet.wire_bytes, packet.one_way_ns));
            most.fold((1, 1), |(bytes, time), one| (bytes.max(one.0), time.max(one.1)))
        })
    });
    view! {
        <div class="compare-scroll">
            <table class="compare-table is-cards" data-testid="compare-table">
                <thead>
                    <tr>
                        <th scope="col">{word("compare.network")}</th>
                        <th scope="col">{word("compare.reached")}</th>
                        <th scope="col">{word("compare.bytes")}</th>
                        <th scope="col">{word("compare.added")}</th>
                        <th scope="col">{word("compare.mtu")}</th>
                        <th scope="col">{word("compare.delay")}</th>
                        <th scope="col">{word("compare.netfilter")}</th>
                    </tr>
                </thead>
                {move || comparing.outcomes.get().into_iter().map(|outcome| row(page, most, outcome)).collect_view()}
            </table>
        </div>
    }
}

fn row(page: Page, most: Memo<(usize, u64)>, outcome: Outcome) -> impl IntoView {
    let Outcome { network, error, command, output, mtu, followed, .. } = outcome;
    let reached = followed.as_ref().is_some_and(|packet| packet.delivered);
    let verdict = move || {
        let sign = if reached { "✓ " } else { "✗ " };
        format!("{sign}{}", page.word(if reached { "compare.yes" } else { "compare.no" }))
    };
    let none = || "–".to_string();
    let cost = followed.as_ref().map_or_else(none, |packet| format!("+{} B", added(packet)));
    let mtu = mtu.map_or_else(none, |mtu| mtu.to_string());
    let hooks = followed.as_ref().map_or_else(none, |packet| hooks_text(page, packet));
    let delay = followed.as_ref().map(|packet| packet.one_way_ns);
    let bytes = followed.as_ref().map(|packet| format!("{} B", packet.wire_bytes));
    let path = followed.as_ref().map(path_view);
    let bar = followed.map(|packet| bytes_view(most, &packet));
    let line = line_of(&command);
    let said = error.unwrap_or(output);
    // Where the stage is narrow a network is a card, and each number has its name beside it.
    let word = move |key: &'static str| move || page.word(key);
    view! {
        <tbody>
            <tr>
                <th scope="row" class="mono" rowspan="2">{network}</th>
                <td class:is-lost=!reached data-label=word("compare.reached")>{verdict}</td>
                <td class="number mono" data-label=word("compare.bytes")>{bytes}</td>
                <td class="number mono" data-label=word("compare.added")>{cost}</td>
                <td class="number mono" data-label=word("compare.mtu")>{mtu}</td>
                <td class="number mono" data-label=word("compare.delay")>
                    {delay.map(|delay| view! {
                        <span class="compare-delay" aria-hidden="true"
                            style:width=move || format!("{}px", 60 * delay / most.get().1)></span>
                        {format!("{:.1} µs", delay as f64 / 1_000.0)}
                    })}
                </td>
                <td data-label=word("compare.netfilter")>{hooks}</td>
            </tr>
            <tr class="compare-path">
                <td colspan="6">
                    {bar}
                    {path}
                    <details><summary class="mono">{line}</summary><pre>{said}</pre></details>
                </td>
            </tr>
        </tbody>
    }
}

/// The packet and the headers around it, to scale.
fn bytes_view(most: Memo<(usize, u64)>, packet: &Followed) -> impl IntoView + use<> {
    let whole = packet.wire_bytes;
    let piece = move |name: String, bytes: usize, class: &'static str| {
        let title = format!("{name} {bytes} B");
        let spoken = title.clone();
        view! {
            <span class=format!("compare-piece {class}") title=title style:flex-grow=bytes.to_string()>
                <span class="visually-hidden">{spoken}</span>
            </span>
        }
    };
    let headers: Vec<_> = packet
        .headers
        .iter()
        .map(|header| piece(header.name.to_string(), header.bytes, "is-header"))
        .collect();
    let rest = whole.saturating_sub(added(packet) + packet.packet_bytes);
    let names: Vec<String> =
        packet.headers.iter().map(|header| format!("{} {}", header.name, header.bytes)).collect();
    view! {
        <div class="compare-bar" style:width=move || format!("{}%", 100 * whole / most.get().0)>
            {piece("Ethernet".to_string(), rest, "is-ethernet")}
            {headers}
            {piece("IPv4".to_string(), packet.packet_bytes, "is-packet")}
        </div>
        {(!names.is_empty()).then(|| view! { <p class="compare-headers mono">{names.join(" + ")}</p> })}
    }
}

/// The interfaces on the way, with the frame's length where it changes.
fn path_view(packet: &Followed) -> impl IntoView + use<> {
    let mut before = (String::new(), 0);
    let mut stops = Vec::new();
    for hop in &packet.path {
        let (same, grew) = (*hop.namespace == *before.0, hop.bytes != before.1);
        let name = if same { String::new() } else { format!("{} ", hop.namespace) };
        before = (hop.namespace.to_string(), hop.bytes);
        let class = format!("compare-hop is-{}", hop.role);
        let bytes =
            grew.then(|| view! { <span class="compare-hop-bytes">{format!(" {} B", hop.bytes)}</span> });
        stops.push(
            view! { <li class=class class:begins=!same><b>{name}</b>{hop.interface.to_string()}{bytes}</li> },
        );
    }
    view! { <ol class="compare-hops mono">{stops}</ol> }
}

fn hooks_text(page: Page, packet: &Followed) -> String {
    // A node and its number stay on one line.
    let list: Vec<String> =
        packet.netfilter.iter().map(|(node, hooks)| format!("{node}\u{a0}{hooks}")).collect();
    match (list.is_empty(), packet.bpf) {
        (false, _) => list.join(", "),
        (true, 0) => page.word("compare.unseen"),
        (true, _) => page.word("compare.bypassed"),
    }
}
