//! A place: the tables of a namespace at the playhead, and for a Pod its containers and how it came to be.

use super::tables::{Json, Row, Rows};
use crate::base::{ChangeId, EventId, words};
use crate::scene::phase_word;
use crate::scene::rows::{self, RowText};
use crate::trace::{
    ContainerState, EventKind, Inventory, LinkKind, LinkRow, NetnsRole, NetnsState, PodRow, explain,
};
use crate::ui::Selection;
use crate::ui::stage::Show;
use leptos::prelude::*;
use std::collections::BTreeSet;

#[component]
pub(super) fn PlaceView(show: Show, netns: String, ifname: Option<String>) -> impl IntoView {
    let title = match &ifname {
        Some(ifname) => format!("{netns}/{ifname}"),
        None => netns.clone(),
    };
    let close = move |_| show.ui.selection.set(Selection::Playhead);
    let body = move || {
        let tables = show.tables.get();
        let fresh = fresh(show);
        let Some(state) = tables.netns_named(&netns) else {
            return view! { <p class="why-sentence">{show.ui.word("inspector.gone")}</p> }.into_any();
        };
        let section = |key: &'static str, rows: Vec<Row>| {
            (!rows.is_empty()).then(|| {
                view! {
                    <section>
                        <h3>{show.ui.word(key)}</h3>
                        <Rows rows=Signal::derive(move || rows.clone())/>
                    </section>
                }
            })
        };
        let only = ifname.as_deref().and_then(|name| state.link_named(name)).map(|link| link.ifindex);
        let wanted = |ifindex| only.is_none_or(|only| only == ifindex);
        let links = state
            .links
            .values()
            .filter(|link| wanted(link.ifindex))
            .map(|link| link_row(&tables, state, link));
        let routes =
            state.routes.iter().filter(|(_, route)| route.table == 254 && route.oif.is_none_or(wanted));
        let routes = routes.map(|(change, route)| row(rows::route(&tables, route), *change, &fresh));
        let neighbors = state.neighbors.values().filter(|entry| wanted(entry.row.ifindex));
        let neighbors = neighbors.map(|entry| row(rows::neighbor(&tables, &entry.row), entry.change, &fresh));
        let fdb = state
            .fdb
            .iter()
            .filter(|entry| wanted(entry.row.ifindex) || entry.row.master.is_some_and(wanted));
        let fdb = fdb.map(|entry| row(rows::fdb(&tables, &entry.row), entry.change, &fresh));
        let pod =
            pod_of(&tables, state).map(|pod| view! { <PodView show pod=pod.clone() tables=tables.clone()/> });
        view! {
            {pod}
            {section("inspector.links", links.collect())}
            {section("inspector.table.fib", routes.collect())}
            {section("inspector.table.neighbor", neighbors.collect())}
            {section("inspector.table.fdb", fdb.collect())}
        }
        .into_any()
    };
    view! {
        <header class="inspector-head">
            <h2><span class="inspector-title mono">{title}</span></h2>
            <p class="inspector-where">
                {move || show.ui.sentence("inspector.tables", &[(show.at.get() + 1).to_string()])}
            </p>
            <button class="button inspector-close" data-testid="back-to-packet" on:click=close>
                {move || show.ui.word("inspector.back")}
            </button>
        </header>
        {body}
    }
}

/// Changes recorded since the step before the one shown.
fn fresh(show: Show) -> BTreeSet<ChangeId> {
    let at = show.at.get();
    let upto = show.tables.get().upto;
    let before =
        show.ui.playback.with_untracked(|play| at.checked_sub(1).and_then(|at| play.steps.get(at).copied()));
    show.with_trace(|trace| {
        let start = before.map_or(0, |EventId(before)| before as usize + 1);
        trace
            .events
            .get(start..upto.min(trace.len()))
            .unwrap_or_default()
            .iter()
            .filter_map(|event| {
                let EventKind::Changed(change) = event.kind else { return None };
                Some(change)
            })
            .collect()
    })
}

fn row(text: RowText, change: ChangeId, fresh: &BTreeSet<ChangeId>) -> Row {
    Row { text, decided: false, fresh: fresh.contains(&change) }
}

/// A link with its addresses and counters.
fn link_row(_tables: &Inventory, state: &NetnsState, link: &LinkRow) -> Row {
    let kind = match &link.kind {
        LinkKind::Loopback => "loopback".to_string(),
        LinkKind::Veth { .. } => "veth".to_string(),
        LinkKind::Bridge { .. } => "bridge".to_string(),
        LinkKind::Vxlan { vni, port, .. } => format!("vxlan id {vni} dstport {port}"),
        LinkKind::Physical { .. } => "ether".to_string(),
        LinkKind::Vlan { id, .. } => format!("vlan id {id}"),
        LinkKind::Macvlan { mode, .. } => format!("macvlan mode {}", mode.name()),
        LinkKind::Ipvlan { mode, .. } => format!("ipvlan mode {}", mode.name()),
        LinkKind::Dummy | LinkKind::Ipip(_) | LinkKind::Gre(_) | LinkKind::Gretap(_) => {
            link.kind.name().unwrap_or_default().to_string()
        }
    };
    let mut tail = vec![kind, format!("mtu {}", link.mtu), if link.up { "UP".into() } else { "DOWN".into() }];
    if link.kind != LinkKind::Loopback {
        tail.push(link.mac.to_string());
    }
    if let Some(port) = &link.port {
        tail.push(format!("master {}", state.ifname(port.master)));
    }
    tail.extend(
        state
            .addrs
            .iter()
            .filter(|addr| addr.ifindex == link.ifindex)
            .map(|addr| format!("inet {}", addr.addr)),
    );
    let counters = state.counters.get(&link.ifindex).copied().unwrap_or_default();
    tail.push(format!(
        "RX {} ({} B) TX {} ({} B)",
        counters.rx_packets, counters.rx_bytes, counters.tx_packets, counters.tx_bytes
    ));
    if counters.rx_dropped + counters.tx_dropped > 0 {
        tail.push(format!("dropped {}", counters.rx_dropped + counters.tx_dropped));
    }
    Row {
        text: RowText { head: link.name.to_string(), tail: tail.join(" · ") },
        decided: false,
        fresh: false,
    }
}

fn pod_of<'a>(tables: &'a Inventory, state: &NetnsState) -> Option<&'a PodRow> {
    match &state.row.role {
        NetnsRole::Pod { namespace, pod, .. } => tables.pods.get(&(namespace.clone(), pod.clone())),
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
    let word = phase_word(&pod).to_string();
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
