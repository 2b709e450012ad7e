//! The packet's walk through netfilter: hook by hook and rule by rule, the rules that fitted lit, and what address
//! translation made of it.

use crate::base::EventId;
use crate::scene::chains::{self, HookPassed, Tracked, WalkKind, WalkLine};
use crate::ui::rule::words;
use crate::ui::stage::Show;
use leptos::prelude::*;

/// So many rules in a row that did not fit are shown; more are folded.
const FEW: usize = 3;

#[component]
pub(super) fn WalkView(show: Show, event: EventId) -> impl IntoView {
    let walk = show.with_trace(|trace| chains::walk(trace, &show.tables.get(), event));
    let nat = walk.nat.map(|(before, after)| {
        view! {
            <div class="nat" data-testid="nat">
                <h4>{move || show.ui.word("walk.nat")}</h4>
                <p class="mono"><del>{before}</del></p>
                <p class="mono"><mark>{after}</mark></p>
            </div>
        }
    });
    let hooks = walk.hooks.into_iter().filter(|hook| hook.tracked.is_some() || !hook.lines.is_empty());
    let hooks: Vec<_> = hooks.map(|hook| hook_view(show, hook)).collect();
    (nat.is_some() || !hooks.is_empty()).then(|| {
        view! {
            <section class="walk" data-testid="walk">
                <h3>{move || show.ui.word("walk.title")}</h3>
                {nat}
                {hooks}
            </section>
        }
    })
}

fn hook_view(show: Show, hook: HookPassed) -> impl IntoView {
    let tracked = hook.tracked.map(|tracked| match tracked {
        Tracked::Connection(row) => view! {
            <p class="walk-tracked mono" data-testid="walk-conntrack">
                <span class="walk-word">"conntrack "</span>{row}
            </p>
        }
        .into_any(),
        Tracked::Invalid => {
            view! { <p class="walk-tracked">{move || show.ui.word("walk.invalid")}</p> }.into_any()
        }
    });
    let lines: Vec<_> = hook.lines.into_iter().map(|line| line_view(show, line)).collect();
    view! {
        <h4 class="walk-hook mono">{chains::chain_of(hook.hook)}</h4>
        {tracked}
        <ul class="walk-lines">{lines}</ul>
    }
}

fn line_view(show: Show, line: WalkLine) -> impl IntoView {
    let inner = match line.kind {
        WalkKind::Chain(table, name) => view! {
            <span class="walk-chain mono"><b>{name.to_string()}</b>" "<span class="walk-word">{table}</span></span>
        }
        .into_any(),
        WalkKind::Passed(rules) => passed_view(show, rules),
        WalkKind::Fitted { text, ends, event } => view! {
            <button
                class="walk-rule is-fitted mono"
                class:ends=ends
                title=move || show.why(event)
                on:click=move |_| show.ui.selection.set(crate::ui::Selection::Event(event))
            >
                <span class="walk-sign" aria-hidden="true">{if ends { "■" } else { "✓" }}</span>
                <span class="visually-hidden">
                    {move || show.ui.word(if ends { "walk.ends" } else { "walk.fits" })}": "
                </span>
                {words(&text)}
            </button>
        }
        .into_any(),
        WalkKind::Back => {
            view! { <span class="walk-word">{move || show.ui.word("walk.back")}</span> }.into_any()
        }
        WalkKind::Policy(policy) => view! {
            <span class="walk-word">
                {move || show.ui.sentence("walk.policy", &[policy.to_string()])}
            </span>
        }
        .into_any(),
        WalkKind::NotAsked(chain) => view! {
            <span class="walk-word">
                {move || show.ui.sentence("walk.not_asked", &[chain.to_string()])}
            </span>
        }
        .into_any(),
    };
    view! { <li style:--depth=line.depth.to_string()>{inner}</li> }
}

/// Rules that did not fit: the last ones before what fitted, and the others folded away.
fn passed_view(show: Show, rules: Vec<String>) -> AnyView {
    let rule = move |text: String| {
        view! {
            <p class="walk-rule mono">
                <span class="walk-sign" aria-hidden="true">"✗"</span>
                <span class="visually-hidden">{move || show.ui.word("walk.misses")}": "</span>
                {words(if text.is_empty() { "·" } else { &text })}
            </p>
        }
    };
    if rules.len() <= FEW {
        return rules.into_iter().map(rule).collect::<Vec<_>>().into_any();
    }
    let count = rules.len().to_string();
    view! {
        <details class="walk-more">
            <summary>{move || show.ui.sentence("walk.passed", std::slice::from_ref(&count))}</summary>
            {rules.into_iter().map(rule).collect::<Vec<_>>()}
        </details>
    }
    .into_any()
}
