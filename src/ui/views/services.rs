//! Services: from the name and the virtual address through the node's rules and the choice of an endpoint to the Pod. The
//! rules that the packet at the playhead has fitted so far are lit.

use crate::base::NetnsId;
use crate::scene::services::{self, Endpoint, RuleNode, ServicePicture};
use crate::ui::rule::words;
use crate::ui::stage::{Show, use_show};
use crate::ui::state::Selection;
use leptos::prelude::*;

#[component]
pub(super) fn ServicesView() -> impl IntoView {
    let show = use_show();
    let nodes = Memo::new(move |_| show.tables.with(|tables| services::nodes(tables)));
    let chosen = RwSignal::new(None::<NetnsId>);
    // The node where the packet is, unless one was chosen.
    let node = Memo::new(move |before: Option<&Option<NetnsId>>| {
        let is_node = |netns: &NetnsId| nodes.with(|nodes| nodes.iter().any(|node| node.1 == *netns));
        let here = show.event.get().map(|event| show.with_trace(|trace| trace.event(event).netns));
        chosen
            .get()
            .or(here)
            .filter(is_node)
            .or(before.copied().flatten().filter(is_node))
            .or_else(|| nodes.with(|nodes| nodes.first().map(|node| node.1)))
    });
    let pictures = Memo::new(move |_| {
        let Some(node) = node.get() else { return Vec::new() };
        let event = show.event.get();
        let used = event.map(|event| show.with_trace(|trace| services::used_by(trace, event)));
        show.tables.with(|tables| services::pictures(tables, node, &used.unwrap_or_default()))
    });
    let choose = move |event| {
        let value = event_target_value(&event);
        chosen.set(nodes.get_untracked().into_iter().find(|(name, _)| **name == *value).map(|node| node.1));
    };
    view! {
        <label class="services-node">
            <span>{move || show.ui.word("services.node")}</span>
            <select class="choice mono" data-testid="services-node" on:change=choose>
                {move || nodes.get().into_iter().map(|(name, netns)| view! {
                    <option value=name.to_string() selected=move || node.get() == Some(netns)>{name.to_string()}</option>
                }).collect_view()}
            </select>
        </label>
        {move || pictures.with(Vec::is_empty).then(|| view! { <p>{show.ui.word("services.empty")}</p> })}
        {move || pictures.get().into_iter().map(|picture| card(show, picture)).collect_view()}
    }
}

fn card(show: Show, picture: ServicePicture) -> impl IntoView {
    let ServicePicture { row, entrances, endpoints } = picture;
    let name = format!("{}.{}.svc.cluster.local", row.name, row.namespace);
    let selector: Vec<String> = row.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let selects = move || match selector.as_slice() {
        [] => show.ui.word("services.no_selector"),
        labels => show.ui.sentence("services.selector", &[labels.join(",")]),
    };
    let bare = entrances.iter().all(|entrance| entrance.rules.is_empty()) && !entrances.is_empty();
    let entrances: Vec<_> = entrances
        .into_iter()
        .map(|entrance| {
            let comment = entrance.rules.iter().find_map(|rule| rule.comment.clone());
            let lit = entrance.rules.iter().any(|rule| rule.used);
            view! {
                <div class="services-entrance" class:is-lit=lit>
                    <p class="services-vip mono">{entrance.name}</p>
                    {comment.map(|comment| view! { <span class="services-comment">{comment.to_string()}</span> })}
                    {tree(show, entrance.rules)}
                </div>
            }
        })
        .collect();
    let none = endpoints.is_empty();
    view! {
        <article class="services-card" data-testid=format!("service-{}", row.name)>
            <header>
                <h3>{row.name.to_string()}<span class="section-note">{row.kind.to_string()}</span></h3>
                <p class="mono">{name}</p>
                <p class="view-about">{selects}</p>
            </header>
            <div class="services-flow">
                <div>
                    {entrances}
                    {bare.then(|| {
                        let is_alone = show.tables.with_untracked(|tables| tables.services.len() == 1);
                        let key = if is_alone { "services.alone" } else { "services.no_rules" };
                        view! { <p class="view-about">{show.ui.word(key)}</p> }
                    })}
                </div>
                <ul class="services-endpoints" aria-label=move || show.ui.word("services.endpoints")>
                    {endpoints.into_iter().map(|endpoint| endpoint_view(show, endpoint)).collect_view()}
                    {none.then(|| view! { <li>{show.ui.word("services.no_endpoints")}</li> })}
                </ul>
            </div>
        </article>
    }
}

/// The rules of one chain, each with what it asks and where it leads, and under it those of the chain it leads to.
fn tree(show: Show, rules: Vec<RuleNode>) -> AnyView {
    let Some(first) = rules.first() else { return ().into_any() };
    let chain = first.chain.to_string();
    let items = rules.into_iter().map(|rule| {
        let packets = show.ui.sentence(
            if rule.is_server { "services.connections" } else { "services.packets" },
            &[rule.packets.to_string()],
        );
        let condition =
            if rule.condition.is_empty() { show.ui.word("services.any") } else { rule.condition.clone() };
        let chance = rule.chance.map(|chance| {
            let share = format!("{}.{} %", chance / 10, chance % 10).replace(".0 %", " %");
            view! { <span class="services-chance">{share}</span> }
        });
        view! {
            <li>
                <p class="services-rule mono" class:is-fitted=rule.used title=rule.text>
                    <span>{words(&condition)}</span>" "{chance}" "<b>{words(&arrow(&rule.target))}</b>
                    <span class="services-packets">{packets}</span>
                </p>
                {tree(show, rule.inner)}
            </li>
        }
    });
    view! {
        <div class="services-chain">
            <p class="services-name mono">{chain}</p>
            <ul class="services-tree">{items.collect::<Vec<_>>()}</ul>
        </div>
    }
    .into_any()
}

/// `-j DNAT --to-destination 10.244.2.10:80` as it is said in a picture.
fn arrow(target: &str) -> String {
    let target = target.trim_start_matches("-j ").trim_start_matches("-g ");
    format!("→ {}", target.replace("--to-destination ", ""))
}

fn endpoint_view(show: Show, endpoint: Endpoint) -> impl IntoView {
    let key = match (endpoint.ready, endpoint.terminating) {
        (true, false) => "services.ready",
        (true | false, true) => "services.terminating",
        (false, false) => "services.unready",
    };
    let sign = if endpoint.ready { "✓ " } else { "✗ " };
    let pod = endpoint.pod.clone();
    // What stands behind the Service `kubernetes` is no Pod.
    let place = [pod.as_deref(), endpoint.node.as_deref()];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let open = move |_| {
        let Some(pod) = pod.clone() else { return };
        let name = show.tables.with_untracked(|tables| {
            let own = tables.pods.values().find(|row| row.name == pod)?;
            let netns = tables.netns.get(&own.netns?)?;
            Some(netns.row.name.to_string())
        });
        if let Some(name) = name {
            show.ui.selection.set(Selection::Place(name, None));
        }
    };
    view! {
        <li class="services-endpoint" class:is-lit=endpoint.used class:is-lost=!endpoint.ready>
            <button on:click=open>
                <b class="mono">{endpoint.address}</b>
                {(!place.is_empty()).then(|| view! { <span>{place}</span> })}
                <span>{sign}{move || show.ui.word(key)}</span>
            </button>
        </li>
    }
}
