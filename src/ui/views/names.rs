//! Names: the search list unrolled with the rule of ndots, each question a row with what CoreDNS's plugins did, and what
//! the same name costs with fewer dots wanted or with a dot at its end; the ways compared are in [`super::lookups`], what
//! the packets of the trace say in [`super::exchanges`].

use super::exchanges::Exchanges;
use super::lookups::Lookups;
use crate::lab::lookup::{Lookup, Try};
use crate::lab::names::NamesAnswer;
use crate::lab::prompt::prompt_of;
use crate::ui::state::{Page, Work, use_page};
use leptos::prelude::*;

/// The lookup asked for, and the same with another `ndots` or a dot at the end: what it was, and its questions.
#[derive(Clone, PartialEq, Eq)]
struct Told {
    name: String,
    lookup: Lookup,
    others: Vec<(String, usize)>,
}

#[component]
pub(super) fn NamesView() -> impl IntoView {
    let page = use_page();
    let name = RwSignal::new(first_name(page));
    let told = RwSignal::new_local(None::<Result<Told, String>>);
    // Asked again whenever the cluster has come to rest after a change: records follow the endpoints. What says the same
    // stays as it stands, with what was opened in it.
    Effect::new(move |before: Option<String>| {
        page.ui.version.track();
        page.ui.terminal.track();
        let typed = name.get();
        let is_busy = page.work.with(|work| matches!(work, Work::Busy(_) | Work::Applying(_)));
        if is_busy && before.as_ref() == Some(&typed) {
            return typed;
        }
        let new = if typed.trim().is_empty() { None } else { Some(tell(page, typed.trim())) };
        if told.with_untracked(|told| *told != new) {
            told.set(new);
        }
        typed
    });
    let shown =
        Signal::derive(move || told.with(|told| told.as_ref()?.as_ref().ok().map(|told| told.name.clone())));
    view! {
        <form class="names-form" on:submit=|event| event.prevent_default()>
            <label class="compare-line">
                <span class="mono">{move || prompt_of(&page.ui.terminal.get())}</span>
                <input class="mono" type="text" spellcheck="false" autocapitalize="none" autocomplete="off"
                    data-testid="names-name" aria-label=move || page.word("names.name")
                    prop:value=move || name.get() on:input=move |event| name.set(event_target_value(&event))/>
            </label>
        </form>
        {move || told.get().map(|told| match told {
            Ok(told) => view! { <Shown page told/> }.into_any(),
            Err(problem) => view! { <p class="names-problem" role="status" data-testid="names-problem">{problem}</p> }.into_any(),
        })}
        <Lookups page name=shown/>
        <Exchanges/>
    }
}

/// The name of a Service that the learner made, or one outside, which shows the whole search list.
fn first_name(page: Page) -> String {
    let name = page.ui.lab.try_update_value(|lab| {
        let mut names = lab.live().services.keys();
        let own = names.find(|(namespace, name)| &**namespace == "default" && &**name != "kubernetes");
        own.map(|(_, name)| name.to_string())
    });
    name.flatten().unwrap_or_else(|| "example.com".to_owned())
}

fn tell(page: Page, name: &str) -> Result<Told, String> {
    let from = page.ui.terminal.get_untracked();
    let asked = page.ui.lab.try_update_value(|lab| {
        let lookup = lab.lookup(name, &from, None)?;
        let full = format!(
            "{}.",
            lookup.tries.iter().find(|one| one.found()).map_or(name, |one| &one.name).trim_end_matches('.')
        );
        let mut others = Vec::new();
        for ndots in [5, 2, 1].into_iter().filter(|ndots| *ndots != lookup.ndots) {
            others.push((format!("ndots:{ndots}"), lab.lookup(name, &from, Some(ndots))?.queries));
        }
        others.push((full.clone(), lab.lookup(&full, &from, None)?.queries));
        Ok(Told { name: name.to_owned(), lookup, others })
    });
    asked.unwrap_or_else(|| Err(String::new()))
}

#[component]
fn Shown(page: Page, told: Told) -> impl IntoView {
    let Told { name, lookup, others } = told;
    let Lookup { resolv_conf, hosts, dots, ndots, tries, queries, libc: _ } = lookup;
    let rule = [name, dots.to_string(), ndots.to_string()];
    let key = if rule[0].ends_with('.') {
        "names.rule.whole"
    } else if dots >= ndots {
        "names.rule.first"
    } else {
        "names.rule.last"
    };
    let total = queries.to_string();
    let rows = tries.into_iter().map(|one| try_view(page, one)).collect_view();
    view! {
        <div class="names-conf">
            <pre class="mono">{resolv_conf}</pre>
            <p data-testid="names-rule">{move || page.ui.sentence(key, &rule)}</p>
        </div>
        {hosts.map(|line| view! { <p>{move || page.word("names.hosts")}" "<code>{line}</code></p> })}
        <p class="names-total" data-testid="names-total">{move || page.ui.sentence("names.total", std::slice::from_ref(&total))}</p>
        <ol class="names-tries" data-testid="names-tries">{rows}</ol>
        <p class="names-others">
            {move || page.word("names.others")}
            {others.into_iter().map(|(what, count)| view! {
                " " <span class="names-other">
                    <code>{what}</code>" "{move || page.ui.sentence("names.questions", &[count.to_string()])}
                </span>
            }).collect_view()}
        </p>
    }
}

fn try_view(page: Page, one: Try) -> impl IntoView {
    let found = one.found();
    let asked = !one.answers.is_empty();
    let state = move || {
        page.word(match (asked, found) {
            (false, _) => "names.unasked",
            (true, true) => "names.found",
            (true, false) => "names.missing",
        })
    };
    let sign = match (asked, found) {
        (false, _) => "·",
        (true, true) => "✓",
        (true, false) => "✗",
    };
    let answers =
        one.answers.into_iter().map(|(kind, answer)| answer_view(page, kind, answer)).collect_view();
    let suffix = one.suffix.map(|suffix| {
        let (head, tail) = one.name.split_at(one.name.len().saturating_sub(suffix.len() + 1));
        (head.to_owned(), tail.to_owned())
    });
    let (head, tail) = suffix.unwrap_or_else(|| (one.name.clone(), String::new()));
    view! {
        <li class="names-try" class:is-found=found class:is-unasked=!asked>
            <p class="mono">
                <span class="names-sign" role="img" aria-label=state>{sign}</span>
                <b>{head}</b><span class="walk-word">{tail}</span>
            </p>
            {answers}
        </li>
    }
}

fn answer_view(page: Page, kind: &'static str, answer: NamesAnswer) -> impl IntoView {
    let empty = answer.rcode == "NOERROR" && answer.answer.is_empty();
    let rcode = if empty { "NODATA".to_owned() } else { answer.rcode };
    let steps: Vec<_> = answer
        .steps
        .into_iter()
        .map(|step| view! { <li><b class="mono">{step.plugin}</b>" "{step.did}</li> })
        .collect();
    let records: Vec<_> = answer
        .answer
        .into_iter()
        .chain(answer.authority)
        .map(|record| view! { <p class="mono">{record}</p> })
        .collect();
    view! {
        <details class="names-answer">
            <summary><span class="names-kind mono">{kind}</span><span class="mono">{rcode}</span></summary>
            {records}
            <ol class="names-plugins" aria-label=move || page.word("names.plugins")>{steps}</ol>
        </details>
    }
}
