//! A place: the tables of a namespace at the playhead, and for a Pod its containers and how it came to be.

use super::tables::{Json, Row, Rows};
use super::{faults, sheets};
use crate::base::words;
use crate::scene::rows::RowText;
use crate::trace::{ContainerState, Inventory, NetnsRole, NetnsState, PodRow, explain, pod_status};
use crate::ui::Selection;
use crate::ui::stage::Show;
use leptos::prelude::*;

#[component]
pub(super) fn PlaceView(show: Show, netns: String, ifname: Option<String>) -> impl IntoView {
    let gone = {
        let netns = netns.clone();
        Memo::new(move |_| show.tables.get().netns_named(&netns).is_none())
    };
    let pod = {
        let netns = netns.clone();
        Memo::new(move |_| {
            let tables = show.tables.get();
            tables.netns_named(&netns).and_then(|state| pod_of(&tables, state)).cloned()
        })
    };
    let (place, whole) = (netns.clone(), netns.clone());
    let broken = view! { <faults::FaultsView show netns=netns.clone() ifname=ifname.clone()/> };
    let tapped = (netns.clone(), ifname.clone());
    let only = ifname.clone().map(|ifname| {
        view! {
            <button
                class="button sheet-only mono"
                data-testid="tables-whole"
                title=move || show.ui.word("tables.whole")
                on:click=move |_| show.ui.selection.set(Selection::Place(whole.clone(), None))
            >
                {ifname}<crate::ui::icon::Icon sign=crate::ui::icon::Sign::Lost/>
            </button>
        }
    });
    view! {
        <header class="inspector-head">
            <div class="sheet-choice">
                <sheets::Choice show netns=place/>
                {only}
                <button
                    class="button"
                    data-testid="capture-here"
                    title=move || show.ui.word("capture.here.about")
                    on:click=move |_| show.capture_at(tapped.0.clone(), tapped.1.clone())
                >
                    {move || show.ui.word("capture.here")}
                </button>
            </div>
            <p class="inspector-where">
                {move || show.ui.sentence("inspector.tables", &[(show.at.get() + 1).to_string()])}
            </p>
        </header>
        {move || gone.get().then(|| view! { <p class="why-sentence">{show.ui.word("inspector.gone")}</p> })}
        <sheets::Sheets show netns ifname/>
        {broken}
        {move || pod.get().map(|pod| view! { <PodView show pod tables=show.tables.get()/> })}
    }
}

fn pod_of<'a>(tables: &'a Inventory, state: &NetnsState) -> Option<&'a PodRow> {
    match &state.row.role {
        NetnsRole::Pod { namespace, pod, .. } => {
            tables.pods.get(&(namespace.clone(), pod.clone())).map(|pod| &**pod)
        }
        NetnsRole::Node | NetnsRole::Switch | NetnsRole::Router | NetnsRole::Host => None,
    }
}

#[component]
fn PodView(show: Show, pod: PodRow, tables: crate::ui::stage::Shared<Inventory>) -> impl IntoView {
    let lang = show.ui.lang.get_untracked();
    let containers = pod.containers.iter().map(|container| {
        let state = match &container.state {
            ContainerState::Waiting(reason) => reason.to_string(),
            ContainerState::Running(_) => "Running".to_string(),
            ContainerState::Terminated(code, reason) => format!("{reason} ({code})"),
        };
        let ports = container.ports.join(" ");
        let tail = format!("{} · {} {state}", container.image, ports);
        Row { text: RowText { head: container.name.to_string(), tail }, decided: false, fresh: false }
    });
    let containers: Vec<Row> = containers.collect();
    let own = |row: &crate::trace::StepRow| row.namespace == pod.namespace && row.pod == pod.name;
    let steps: Vec<_> = tables.steps.iter().filter(|(_, row)| own(row)).cloned().collect();
    let word = pod_status::word(&pod);
    let node = pod.node.clone().unwrap_or_else(|| "–".into());
    view! {
        <section>
            <h3>"Pod" <span class="section-note">{word}" · "{node.to_string()}</span></h3>
            <Rows rows=Signal::derive(move || containers.clone())/>
        </section>
        {(!steps.is_empty()).then(|| view! {
            <section>
                <h3>{words::word(lang, "inspector.steps")}</h3>
                <ol class="pod-steps">
                    {steps.into_iter().map(|(event, row)| {
                        let text = explain::step_text(&row, lang);
                        view! {
                            <li value=row.number.to_string()>
                                <button class="pod-step" on:click=move |_| show.go_to(event)>{text}</button>
                                <Json show key="inspector.request" text=row.request.clone()/>
                                <Json show key="inspector.result" text=row.result.clone()/>
                            </li>
                        }
                    }).collect::<Vec<_>>()}
                </ol>
            </section>
        })}
    }
}
