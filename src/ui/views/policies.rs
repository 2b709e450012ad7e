//! Who reaches whom: a real packet from every Pod to every Pod, in a lab of its own. A cell opens the policy and the rule
//! that decided; an edit asks anew and marks what it changed.

use crate::lab::lessons;
use crate::lab::matrix::{self, Asking, Matrix, Obstacle, Port, Protocol, Reason, Want};
use crate::scene;
use crate::ui::lab_driver;
use crate::ui::slices::in_slices;
use crate::ui::state::{Page, Tab, use_page};
use leptos::prelude::*;
use std::time::Duration;

/// Queue entries between two looks at the clock.
const STEPS: u32 = 400;
/// After an edit the lab waits so long for the next key.
const PAUSE: Duration = Duration::from_millis(700);
/// Letters of a name above which the heads of the table stand upright.
const LONG: usize = 8;
/// Letters of a head that stands upright.
const HEAD: usize = 14;

const PROTOCOLS: [(&str, Protocol); 3] =
    [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];

#[derive(Clone, Copy)]
struct View {
    page: Page,
    port: RwSignal<u16>,
    protocol: RwSignal<usize>,
    asking: StoredValue<Option<Asking>, LocalStorage>,
    now: RwSignal<Option<Matrix>, LocalStorage>,
    before: RwSignal<Option<Matrix>, LocalStorage>,
    busy: RwSignal<bool>,
    chosen: RwSignal<Option<(usize, usize)>>,
    /// Counts the questions, so that an older one ends where a newer one began.
    round: RwSignal<u32>,
}

#[component]
pub(super) fn PoliciesView() -> impl IntoView {
    let page = use_page();
    let view = View {
        page,
        port: RwSignal::new(80),
        protocol: RwSignal::new(0),
        asking: StoredValue::new_local(None),
        now: RwSignal::new_local(None),
        before: RwSignal::new_local(None),
        busy: RwSignal::new(false),
        chosen: RwSignal::new(None),
        round: RwSignal::new(0),
    };
    // The first time at once, then after each edit that is without errors.
    Effect::new(move |asked: Option<String>| {
        let text = page.ui.text.get();
        let errors = page.diagnostics.with_untracked(|found| lab_driver::has_errors(found));
        if asked.as_ref() != Some(&text) && !errors {
            view.round.update_untracked(|round| *round += 1);
            let (round, wait) =
                (view.round.get_untracked(), if asked.is_some() { PAUSE } else { Duration::ZERO });
            set_timeout(
                move || {
                    if view.round.try_get_untracked() == Some(round) {
                        ask(&view);
                    }
                },
                wait,
            );
        }
        text
    });
    view! {
        <Form view/>
        <Unenforced page/>
        <p class="policies-state" role="status" data-testid="policies-state">{move || state_text(&view)}</p>
        {move || view.now.get().filter(|matrix| !matrix.pods.is_empty()).map(|matrix| view! { <Cells view matrix/> })}
        {move || view.chosen.get().and_then(|cell| {
            let matrix = view.now.get()?;
            let reason = view.asking.with_value(|asking| {
                Some(matrix::reason(asking.as_ref()?, &matrix, cell, page.ui.lang.get()))
            })?;
            Some(view! { <Why view matrix cell reason/> })
        })}
    }
}

/// Says that the network plug-in enforces no policy, where there is one, and offers one that does.
#[component]
fn Unenforced(page: Page) -> impl IntoView {
    let in_vain = Memo::new(move |_| {
        page.diagnostics
            .with(|found| found.iter().find(|diagnostic| diagnostic.message == "across.unenforced").cloned())
    });
    let mend = move |_| {
        let text = page.ui.text.get_untracked();
        let fix = in_vain.get_untracked().and_then(|found| found.fix);
        if let Some(mended) = fix.and_then(|fix| fix.applied(&text)) {
            lab_driver::typed(page, mended);
        }
    };
    let offer = move || {
        in_vain.with(|found| found.as_ref().is_some_and(|found| found.fix.is_some())).then(|| view! {
            <button class="button" data-testid="policies-calico" on:click=mend>{page.word("policies.calico")}</button>
        })
    };
    move || {
        in_vain.with(Option::is_some).then(|| view! {
            <p class="policies-vain" data-testid="policies-vain"><span>{move || page.word("policies.vain")}</span>{offer}</p>
        })
    }
}

#[component]
fn Form(view: View) -> impl IntoView {
    let page = view.page;
    view! {
        <form class="policies-form" on:submit=move |event| {
            event.prevent_default();
            ask(&view);
        }>
            <select class="choice" aria-label=move || page.word("policies.protocol") data-testid="policies-protocol"
                on:change=move |event| {
                    let chosen = event_target_value(&event);
                    view.protocol.set(PROTOCOLS.iter().position(|it| it.0 == chosen).unwrap_or(0));
                }>
                {PROTOCOLS.map(|(name, _)| view! { <option value=name>{name}</option> })}
            </select>
            <label>
                {move || page.word("policies.port")}" "
                <input type="number" min="1" max="65535" data-testid="policies-port"
                    prop:value=move || view.port.get().to_string()
                    on:input=move |event| {
                        if let Ok(port) = event_target_value(&event).parse() {
                            view.port.set(port);
                        }
                    }/>
            </label>
            <button class="button primary" data-testid="policies-ask">{move || page.word("policies.ask")}</button>
        </form>
    }
}

fn state_text(view: &View) -> String {
    let page = view.page;
    if view.busy.get() {
        return page.word("policies.busy");
    }
    if page.diagnostics.with(|found| lab_driver::has_errors(found)) {
        return page.word("policies.errors");
    }
    let Some(matrix) = view.now.get() else { return String::new() };
    if matrix.pods.is_empty() {
        return page.word("policies.none");
    }
    let cells = matrix.cells.iter().flatten();
    let (allowed, all) = (cells.clone().filter(|fate| fate.is_allowed()).count(), cells.count());
    let mut text = page.ui.sentence("policies.count", &[allowed.to_string(), all.to_string()]);
    let changed = (0..matrix.pods.len())
        .flat_map(|from| (0..matrix.pods.len()).map(move |to| (from, to)))
        .filter(|cell| view.before.with(|before| changed(before.as_ref(), &matrix, *cell)))
        .count();
    if changed > 0 {
        text = format!("{text} · {}", page.ui.sentence("policies.changed", &[changed.to_string()]));
    }
    if !matrix.absent.is_empty() {
        let names: Vec<String> = matrix.absent.iter().map(ToString::to_string).collect();
        text = format!("{text} · {}", page.ui.sentence("policies.absent", &[names.join(", ")]));
    }
    text
}

/// Whether an edit changed what became of the packet between two Pods.
fn changed(before: Option<&Matrix>, now: &Matrix, (from, to): (usize, usize)) -> bool {
    let Some(before) = before else { return false };
    let at = |name| before.pods.iter().position(|pod| pod == name);
    match (at(&now.pods[from]), at(&now.pods[to])) {
        (Some(then_from), Some(then_to)) => {
            before.cells[then_from][then_to].is_allowed() != now.cells[from][to].is_allowed()
        }
        _ => false,
    }
}

fn ask(view: &View) {
    let page = view.page;
    let text = page.ui.text.get_untracked();
    let port =
        Port { protocol: PROTOCOLS[view.protocol.get_untracked()].1, number: view.port.get_untracked() };
    view.round.update_untracked(|round| *round += 1);
    let Ok(asking) = Asking::new(&text, &[port], lessons::SEED) else { return };
    view.asking.set_value(Some(asking));
    view.busy.set(true);
    view.chosen.set(None);
    go_on(view, view.round.get_untracked());
}

/// Follows the packets' ways until all are known or something newer is asked.
fn go_on(view: &View, round: u32) {
    let view = *view;
    let advance = move || {
        if view.round.try_get_untracked() != Some(round) {
            return None;
        }
        view.asking.try_update_value(|asking| asking.as_mut().is_some_and(|asking| asking.advance(STEPS)))
    };
    in_slices(advance, move |more| {
        if !more {
            done(&view);
        }
    });
}

fn done(view: &View) {
    let found = view
        .asking
        .with_value(|asking| asking.as_ref().and_then(|asking| asking.matrices().into_iter().next()));
    let last = view.now.get_untracked();
    // The same question about another port is no edit.
    let same_port = |last: &Matrix| found.as_ref().is_some_and(|found| found.port == last.port);
    view.before.set(last.filter(same_port));
    view.now.set(found);
    view.busy.set(false);
    view.page.ui.announce(untrack(|| state_text(view)));
}

#[component]
fn Cells(view: View, matrix: Matrix) -> impl IntoView {
    let page = view.page;
    let short = |name: &matrix::Name| {
        if name.namespace == "default" { name.name.clone() } else { name.to_string() }
    };
    let names: Vec<String> = matrix.pods.iter().map(short).collect();
    let heads: Vec<_> = names
        .iter()
        .map(|name| view! { <th scope="col" class="mono" title=name.clone()><span>{scene::shortened(name, HEAD)}</span></th> })
        .collect();
    // Long names would hold the columns far apart.
    let is_long = names.iter().any(|name| name.chars().count() > LONG);
    let rows = names.iter().enumerate().map(|(from, name)| {
        let cells = (0..names.len()).map(|to| {
            let allowed = matrix.cells[from][to].is_allowed();
            let is_changed = view.before.with_untracked(|before| changed(before.as_ref(), &matrix, (from, to)));
            let (source, target) = (name.clone(), names[to].clone());
            let label = move || {
                let key = if allowed { "policies.allowed" } else { "policies.lost" };
                let mut text = page.ui.sentence(key, &[source.clone(), target.clone()]);
                if is_changed {
                    let was = if allowed { "policies.was_lost" } else { "policies.was_allowed" };
                    text = format!("{text} ({})", page.word(was));
                }
                text
            };
            let title = label.clone();
            view! {
                <td>
                    <button class="policies-cell" class:is-allowed=allowed class:is-lost=!allowed class:is-changed=is_changed
                        data-testid=format!("cell-{name}-{}", names[to])
                        aria-label=label title=title
                        aria-pressed=move || (view.chosen.get() == Some((from, to))).to_string()
                        on:click=move |_| view.chosen.set(Some((from, to)))>
                        {if allowed { "✓" } else { "✗" }}
                    </button>
                </td>
            }
        });
        view! { <tr><th scope="row" class="mono">{name.clone()}</th>{cells.collect::<Vec<_>>()}</tr> }
    });
    let rows = rows.collect::<Vec<_>>();
    view! {
        <div class="policies-scroll">
            <table class="policies-table" class:is-upright=is_long data-testid="policies-table">
                <caption>{move || page.word("policies.table")}</caption>
                <thead><tr><td></td>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

/// What decided about a cell, and policies that would decide otherwise.
#[component]
fn Why(view: View, matrix: Matrix, cell: (usize, usize), reason: Reason) -> impl IntoView {
    let page = view.page;
    let target = matrix.pods[cell.1].name.clone();
    if let Some(span) = reason.span {
        page.ui.highlight.set(Some(span));
        crate::ui::app::choose_tab(page, Tab::Yaml);
    }
    let write = move |want: Want| {
        let matrix = matrix.clone();
        move |_| {
            let written = view.asking.with_value(|asking| {
                asking.as_ref().map(|asking| matrix::policy_for(asking, &matrix, cell, want))
            });
            match written {
                Some(Ok(document)) => {
                    let text = page.ui.text.get_untracked();
                    lab_driver::typed(page, format!("{}\n---\n{document}", text.trim_end()));
                    crate::ui::app::choose_tab(page, Tab::Yaml);
                }
                Some(Err(Obstacle::Already)) => page.notify("policies.already", Vec::new()),
                Some(Err(Obstacle::NoSay)) => page.notify("policies.no-say", Vec::new()),
                Some(Err(Obstacle::Admitted(by))) => {
                    let by = by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    page.notify("policies.admitted", vec![by]);
                }
                Some(Err(Obstacle::Administered(by))) => {
                    let by = by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    page.notify("policies.administered", vec![by]);
                }
                None => {}
            }
        }
    };
    let admit = write(Want::Allow);
    let isolate = write(Want::Deny);
    let policy = reason.policy.map(|policy| {
        let path = reason.path.unwrap_or_default();
        view! { <p>{move || page.word("policies.policy")}": "<b class="mono">{policy}</b>" "<span class="mono">{path}</span></p> }
    });
    let rule = reason.rule.map(|rule| {
        view! { <p>{move || page.word("policies.rule")}": "<code>{rule}</code></p> }
    });
    view! {
        <div class="policies-why" data-testid="policies-why" aria-live="polite">
            {reason.sentences.into_iter().map(|sentence| view! { <p>{sentence}</p> }).collect_view()}
            {policy}
            {rule}
            <button class="button" data-testid="policies-admit" on:click=admit>{move || page.word("policies.admit")}</button>
            <button class="button" data-testid="policies-isolate" on:click=isolate>
                {move || page.ui.sentence("policies.isolate", std::slice::from_ref(&target))}
            </button>
        </div>
    }
}
