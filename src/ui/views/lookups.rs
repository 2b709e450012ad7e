//! What the view's name costs when it is looked up in other ways: a row for each way, as it is measured. Each way has a
//! lab of its own, worked through in slices of a frame.

use crate::lab::Target;
use crate::lab::lookups::{HEADS, LOOKUPS, LookupComparison, LookupRow, WAYS};
use crate::lab::prompt::prompt_of;
use crate::ui::lab_driver;
use crate::ui::slices::in_slices;
use crate::ui::state::Page;
use leptos::prelude::*;

/// What the comparison is at.
#[derive(Clone, Copy)]
struct Comparing {
    page: Page,
    rows: RwSignal<Vec<LookupRow>>,
    /// Where and for which name it was begun.
    asked: RwSignal<Option<(Target, String)>>,
    busy: RwSignal<bool>,
    problem: RwSignal<bool>,
    work: StoredValue<Option<LookupComparison>, LocalStorage>,
}

/// The button and the table for `name`; where it is `None` there is nothing to look up.
#[component]
pub(super) fn Lookups(
    /// The page.
    page: Page,
    /// The name that the view shows.
    name: Signal<Option<String>>,
) -> impl IntoView {
    let comparing = Comparing {
        page,
        rows: RwSignal::new(Vec::new()),
        asked: RwSignal::new(None),
        busy: RwSignal::new(false),
        problem: RwSignal::new(false),
        work: StoredValue::new_local(None),
    };
    let counts = move || [comparing.rows.with(Vec::len), WAYS.len()].map(|count| count.to_string());
    view! {
        <section class="names-compare">
            <button class="button" type="button" data-testid="names-compare"
                prop:disabled=move || comparing.busy.get() || name.with(Option::is_none)
                on:click=move |_| if let Some(name) = name.get_untracked() { begin(&comparing, &name) }>
                {move || page.word("names.compare.run")}
            </button>
            <p class="names-compare-about">
                {move || page.ui.sentence("names.compare.about", &[LOOKUPS.to_string()])}
            </p>
            <p class="compare-state" role="status" data-testid="names-compare-state">
                {move || match (comparing.problem.get(), comparing.busy.get()) {
                    (true, _) => page.word("compare.errors"),
                    (false, true) => page.ui.sentence("names.compare.busy", &counts()),
                    (false, false) => String::new(),
                }}
            </p>
            {move || (!comparing.rows.with(Vec::is_empty)).then(|| view! { <Table comparing/> })}
        </section>
    }
}

fn begin(comparing: &Comparing, name: &str) {
    let page = comparing.page;
    let has_errors = page.diagnostics.with_untracked(|found| lab_driver::has_errors(found));
    comparing.rows.set(Vec::new());
    comparing.problem.set(has_errors);
    if has_errors {
        return;
    }
    let from = page.ui.terminal.get_untracked();
    let work = page.ui.text.with_untracked(|text| LookupComparison::new(text, &from, name));
    comparing.work.set_value(Some(work));
    comparing.asked.set(Some((from, name.to_owned())));
    comparing.busy.set(true);
    go_on(comparing);
}

/// Works until all is done or the view was closed.
fn go_on(comparing: &Comparing) {
    let comparing = *comparing;
    let advance =
        move || comparing.work.try_update_value(|work| work.as_mut().is_some_and(LookupComparison::advance));
    in_slices(advance, move |more| {
        let known = comparing.rows.with_untracked(Vec::len);
        let new = comparing.work.with_value(|work| {
            let rows = work.as_ref().map_or(&[][..], |work| &work.rows[..]);
            rows.get(known..).unwrap_or_default().to_vec()
        });
        if !new.is_empty() {
            comparing.rows.update(|rows| rows.extend(new));
        }
        if !more {
            comparing.busy.set(false);
            comparing.work.set_value(None);
            comparing.page.ui.announce(comparing.page.word("names.compare.done"));
        }
    });
}

#[component]
fn Table(comparing: Comparing) -> impl IntoView {
    let page = comparing.page;
    let heads = HEADS.map(|head| {
        view! { <th scope="col">{move || page.word(&format!("names.compare.{head}"))}</th> }
    });
    let line = move || {
        let asked = comparing.asked.get();
        asked.map(|(from, name)| format!("{}getent ahosts {name}", prompt_of(&from)))
    };
    view! {
        <div class="compare-scroll">
            <table class="compare-table" data-testid="names-compare-table">
                <caption class="mono">{line}</caption>
                <thead><tr>{heads.into_iter().collect_view()}</tr></thead>
                <tbody>
                    {move || comparing.rows.get().into_iter().map(|row| row_view(page, row)).collect_view()}
                </tbody>
            </table>
        </div>
    }
}

fn row_view(page: Page, row: LookupRow) -> impl IntoView {
    let way = row.way;
    let cells = match row.cost {
        Ok(cost) => {
            // The third figure counts failures, the fourth stale answers.
            let is_lost = |at: usize| at == 2 && cost.failed > 0 || at == 3 && cost.stale > 0;
            let cells = cost.cells().into_iter().enumerate();
            cells
                .map(|(at, cell)| view! { <td class="number mono" class:is-lost=is_lost(at)>{cell}</td> })
                .collect_view()
                .into_any()
        }
        Err(error) => {
            view! { <td class="is-lost" colspan="6">{move || error.text(page.ui.lang.get())}</td> }.into_any()
        }
    };
    view! { <tr><th scope="row">{move || way.text(page.ui.lang.get())}</th>{cells}</tr> }
}
