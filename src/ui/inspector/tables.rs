//! Tables as they stand at the playhead, with the row that decided and the rows that just changed marked.

use crate::base::{ChangeId, EventId, NetnsId};
use crate::scene::rows::{self, RowText};
use crate::trace::{
    CiliumChange, EventKind, Inventory, IpvsChange, NetfilterChange, NetnsState, NftChange, Table,
};
use crate::ui::stage::Show;
use leptos::prelude::*;
use std::sync::Arc;

/// A row ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) text: RowText,
    /// Whether it decided.
    pub(super) decided: bool,
    /// Whether it came or changed with the step shown.
    pub(super) fresh: bool,
}

/// The tables asked on the way to an event, in order, with the deciding rows lit.
#[component]
pub(super) fn Deciding(show: Show, event: EventId) -> impl IntoView {
    let asked = show.with_trace(|trace| {
        let seen = trace.event(event);
        let mut asked: Vec<(Table, NetnsId, Option<ChangeId>)> = Vec::new();
        let mut at = event;
        // Back to the packet's station before.
        while at.is_some() && asked.len() < 4 {
            let here = trace.event(at);
            if here.netns != seen.netns || here.journey != seen.journey {
                break;
            }
            if let EventKind::Decided(Table::Netfilter | Table::Conntrack, _) = here.kind {
                // Rules are many; the walk through them is shown by itself.
            } else if let EventKind::Decided(table, row) = here.kind {
                asked.push((table, here.netns, row.is_some().then_some(row)));
            } else if at != event && crate::scene::step_kind(trace, here).is_some() {
                break;
            }
            at = here.cause;
        }
        asked.reverse();
        asked
    });
    let lists = asked.into_iter().map(|(table, netns, decided)| {
        let rows = move || {
            let tables = show.tables.get();
            tables.netns.get(&netns).map(|state| table_rows(&tables, state, table, decided)).unwrap_or_default()
        };
        let title = format!("inspector.table.{}", slug(table));
        let missing = format!("stage.none.{}", slug(table));
        view! {
            <h4>{move || show.ui.word(&title)}</h4>
            <Rows rows=Signal::derive(rows)/>
            {decided.is_none().then(|| view! { <p class="row is-decided row-none">{move || show.ui.word(&missing)}</p> })}
        }
    });
    lists.collect::<Vec<_>>()
}

fn slug(table: Table) -> &'static str {
    match table {
        Table::Fib => "fib",
        Table::Neighbor => "neighbor",
        Table::BridgeFdb => "bridge-fdb",
        Table::VxlanFdb => "vxlan-fdb",
        Table::Netfilter => "netfilter",
        Table::Conntrack => "conntrack",
        Table::Ipvs => "ipvs",
        Table::Bpf => "bpf",
        Table::Qdisc => "qdisc",
        Table::Xfrm => "xfrm",
    }
}

/// Rows worth showing beside a decision: the main table, and the deciding row wherever it is; at most a handful.
fn table_rows(tables: &Inventory, state: &NetnsState, table: Table, decided: Option<ChangeId>) -> Vec<Row> {
    let row = |change: ChangeId, text: RowText| Row { text, decided: Some(change) == decided, fresh: false };
    let mut all: Vec<Row> = match table {
        Table::Fib => state
            .routes
            .iter()
            .filter(|(change, route)| route.table == 254 || Some(*change) == decided)
            .map(|(change, route)| row(*change, rows::route(tables, route)))
            .collect(),
        Table::Neighbor => state
            .neighbors
            .values()
            .map(|entry| row(entry.change, rows::neighbor(tables, &entry.row)))
            .collect(),
        Table::Netfilter => state
            .netfilter
            .rules
            .values()
            .filter(|rule| Some(rule.change) == decided)
            .map(|rule| row(rule.change, rows::netfilter(&NetfilterChange::Rule(rule.row.clone()))))
            .chain(nft_row(state, decided).map(|(change, text)| row(change, text)))
            .collect(),
        Table::Conntrack => state
            .netfilter
            .conntrack
            .values()
            .map(|entry| row(entry.change, rows::netfilter(&NetfilterChange::Conntrack(entry.row))))
            .collect(),
        Table::Ipvs => {
            ipvs_rows(state, decided).into_iter().map(|(change, text)| row(change, text)).collect()
        }
        Table::Xfrm => {
            let states = state.xfrm.states.iter().map(|seen| seen.row.to_string());
            let policies = state.xfrm.policies.iter().map(ToString::to_string);
            states.chain(policies).map(|line| row(ChangeId::NONE, rows::xfrm(&line))).collect()
        }
        Table::Qdisc => state
            .links
            .values()
            .filter_map(|link| link.extra.qdisc)
            .map(|qdisc| row(ChangeId::NONE, rows::qdisc(&qdisc)))
            .collect(),
        Table::Bpf => {
            let policy = |(change, entry): &(ChangeId, crate::trace::PolicyRow)| {
                row(*change, rows::cilium(tables, &CiliumChange::Policy(entry.clone())))
            };
            let decides = |(change, _): &&(ChangeId, crate::trace::PolicyRow)| Some(*change) == decided;
            let maps = state.bpf.iter().map(|(change, entry)| row(*change, rows::bpf(tables, entry)));
            maps.chain(state.policy_maps.iter().filter(decides).map(policy)).collect()
        }
        Table::BridgeFdb | Table::VxlanFdb => state
            .fdb
            .iter()
            .filter(|entry| (entry.row.master.is_some()) == (table == Table::BridgeFdb))
            .map(|entry| row(entry.change, rows::fdb(tables, &entry.row)))
            .collect(),
    };
    if all.len() > 8 {
        let at = all.iter().position(|row| row.decided).unwrap_or(0);
        let start = at.saturating_sub(3).min(all.len() - 7);
        all = all.drain(start..start + 7).collect();
    }
    all
}

/// The virtual server or connection of IPVS that decided.
fn ipvs_rows(state: &NetnsState, decided: Option<ChangeId>) -> Vec<(ChangeId, RowText)> {
    let ipvs = &state.netfilter.ipvs;
    let own = |change: &ChangeId| Some(*change) == decided;
    let servers = ipvs.servers.values().filter(|(change, _)| own(change));
    let servers = servers.map(|(change, server)| (*change, IpvsChange::Server(server.clone())));
    let connections = ipvs.connections.values().filter(|connection| own(&connection.change));
    let connections = connections
        .map(|connection| (connection.change, IpvsChange::Connection(Box::new(connection.row.clone()))));
    let all = servers.chain(connections);
    all.map(|(change, text)| (change, rows::netfilter(&NetfilterChange::Ipvs(text)))).collect()
}

/// A table as lines.
#[component]
pub(super) fn Rows(rows: Signal<Vec<Row>>) -> impl IntoView {
    view! {
        <ul class="rows mono">
            {move || rows.get().into_iter().map(|row| view! {
                <li class="row" class:is-decided=row.decided class:is-fresh=row.fresh>
                    <span class="row-head">{row.text.head}</span>" "
                    <span class="row-tail">{row.text.tail}</span>
                </li>
            }).collect::<Vec<_>>()}
        </ul>
    }
}

/// A piece of JSON under a title, folded away.
#[component]
pub(super) fn Json(show: Show, key: &'static str, text: Option<Arc<str>>) -> impl IntoView {
    text.map(|text| {
        view! {
            <details class="json" open>
                <summary>{move || show.ui.word(key)}</summary>
                <pre>{indented(&text)}</pre>
            </details>
        }
    })
}

/// JSON over several lines; what is no JSON stays as it is.
fn indented(text: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(text);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| text.to_string())
}

/// The rule of nftables, or the element of a map, that decided.
fn nft_row(state: &NetnsState, decided: Option<ChangeId>) -> Option<(ChangeId, RowText)> {
    let decided = decided?;
    let nft = &state.netfilter.nft;
    let rules = nft.chains.values().flat_map(|chain| chain.rules.values());
    let rule = rules.filter(|(change, _)| *change == decided).map(|(_, row)| NftChange::Rule(row.clone()));
    let elements = nft.sets.values().flat_map(|set| set.elements.values());
    let element =
        elements.filter(|(change, _)| *change == decided).map(|(_, row)| NftChange::Element(row.clone()));
    rule.chain(element).next().map(|change| (decided, rows::netfilter(&NetfilterChange::Nft(change))))
}
