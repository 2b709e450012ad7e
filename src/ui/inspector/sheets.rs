//! Every table of a namespace at the playhead: the rows that this step used or changed are lit, with what they said
//! before.

use crate::scene::tables::{self, RowMark, TableKind, TableLine, TableSheet};
use crate::trace::NetnsRole;
use crate::ui::Selection;
use crate::ui::stage::{Shared, Show};
use leptos::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A table longer than this scrolls by itself and draws its rows as they come near.
const LONG: usize = 60;
/// Rows drawn more each time.
const MORE: usize = 80;

/// The namespace shown, chosen from a list.
#[component]
pub(super) fn Choice(show: Show, netns: String) -> impl IntoView {
    let places = Memo::new(move |_| {
        let tables = show.tables.get();
        let role = |wanted: fn(&NetnsRole) -> bool| {
            let of = tables.netns.values().filter(|state| wanted(&state.row.role));
            let mut names: Vec<String> = of.map(|state| state.row.name.to_string()).collect();
            names.sort();
            names
        };
        [
            role(|role| *role == NetnsRole::Node),
            role(|role| matches!(role, NetnsRole::Pod { .. })),
            role(|role| matches!(role, NetnsRole::Switch | NetnsRole::Router | NetnsRole::Host)),
        ]
    });
    let choose = move |event| {
        show.ui.selection.set(Selection::Place(event_target_value(&event), None));
    };
    let group = move |at: usize, key: &'static str| {
        let netns = netns.clone();
        view! {
            <optgroup label=move || show.ui.word(key)>
                {move || places.with(|places| places[at].iter().map(|name| {
                    let chosen = *name == netns;
                    view! { <option value=name.clone() selected=chosen>{name.clone()}</option> }
                }).collect::<Vec<_>>())}
            </optgroup>
        }
    };
    view! {
        <select
            class="choice mono"
            data-testid="tables-place"
            aria-label=move || show.ui.word("tables.place")
            on:change=choose
        >
            {group(0, "tables.nodes")}
            {group(1, "tables.pods")}
            {group(2, "tables.outside")}
        </select>
    }
}

/// The tables of a namespace, or of one interface in it.
#[component]
pub(super) fn Sheets(show: Show, netns: String, ifname: Option<String>) -> impl IntoView {
    let sheets = Memo::new(move |_| {
        let (before, now) = (show.earlier.get(), show.tables.get());
        let state = now.netns_named(&netns);
        let only = ifname.as_deref().and_then(|name| state?.link_named(name)).map(|link| link.ifindex);
        show.with_trace(|trace| Shared::from(tables::sheets(trace, &before, &now, &netns, only)))
    });
    let kinds = move || sheets.get().iter().map(|sheet| sheet.kind).collect::<Vec<_>>();
    let folded = RwSignal::new(BTreeSet::<TableKind>::new());
    view! {
        <div class="sheets" data-testid="sheets">
            <For each=kinds key=|kind| *kind let:kind><SheetView show sheets kind folded/></For>
        </div>
    }
}

fn rows_of(sheets: &[TableSheet], kind: TableKind) -> Vec<TableLine> {
    sheets.iter().find(|sheet| sheet.kind == kind).map_or_else(Vec::new, |sheet| sheet.rows.clone())
}

#[component]
fn SheetView(
    show: Show,
    sheets: Memo<Shared<Vec<TableSheet>>>,
    kind: TableKind,
    folded: RwSignal<BTreeSet<TableKind>>,
) -> impl IntoView {
    let rows = Memo::new(move |_| rows_of(&sheets.get(), kind));
    let count = Memo::new(move |_| rows.with(Vec::len));
    let long = Memo::new(move |_| count.get() > LONG);
    let lit =
        Memo::new(move |_| rows.with(|rows| rows.iter().filter(|row| row.mark != RowMark::None).count()));
    let open = Memo::new(move |_| !folded.with(|folded| folded.contains(&kind)));
    let flip = move |_| {
        folded.update(|folded| {
            if !folded.remove(&kind) {
                folded.insert(kind);
            }
        });
    };
    // What no row says takes no room.
    let empty = Memo::new(move |_| {
        rows.with(|rows| {
            let said = |at: usize| {
                rows.iter().any(|row| !row.cells[at].text.is_empty() || row.cells[at].before.is_some())
            };
            (0..kind.columns().len()).filter(|at| !said(*at)).collect::<BTreeSet<_>>()
        })
    });
    let drawn = RwSignal::new(MORE);
    let shown = move || {
        let limit = if long.get() { drawn.get() } else { usize::MAX };
        rows.with(|rows| {
            // In a long table what the step used or changed comes first, so that it is seen.
            let first = rows.iter().filter(|row| long.get() && row.mark != RowMark::None);
            let rest = rows.iter().filter(|row| !long.get() || row.mark == RowMark::None);
            first.chain(rest).take(limit).cloned().collect::<Vec<_>>()
        })
    };
    let scroll = move |event: leptos::ev::Event| {
        let list = event_target::<web_sys::HtmlElement>(&event);
        let left = list.scroll_height() - list.scroll_top() - list.client_height();
        if left < 800 && drawn.get_untracked() < count.get_untracked() {
            drawn.update(|drawn| *drawn += MORE);
        }
    };
    let title = move || show.ui.word(&format!("tables.{}", kind.slug()));
    view! {
        <section class="sheet" data-testid=format!("sheet-{}", kind.slug())>
            <button class="sheet-head" aria-expanded=move || open.get().to_string() on:click=flip>
                <span class="sheet-title">{title}</span>
                <code>{kind.command()}</code>
                <span class="sheet-count" class:is-lit=move || lit.get() != 0>
                    {move || match lit.get() {
                        0 => count.get().to_string(),
                        lit => format!("{lit} / {}", count.get()),
                    }}
                </span>
            </button>
            {move || open.get().then(|| view! {
                <div
                    class="sheet-rows mono"
                    class:is-long=move || long.get()
                    role="table"
                    aria-label=title
                    aria-rowcount=move || count.get().to_string()
                    tabindex=move || if long.get() { "0" } else { "-1" }
                    style:--columns=move || template(&rows.get(), kind, &empty.get())
                    on:scroll=scroll
                >
                    <div class="sheet-columns" role="row">
                        <span></span>
                        {move || kind.columns().iter().enumerate().filter(|(at, _)| !empty.get().contains(at)).map(|(_, name)| {
                            view! { <span role="columnheader">{*name}</span> }
                        }).collect::<Vec<_>>()}
                    </div>
                    <For each=shown key=TableLine::clone let:row>{row_view(show, kind, &row, empty)}</For>
                </div>
            })}
        </section>
    }
}

/// Widths of the columns, in letters, for where a table stands in columns.
fn template(rows: &[TableLine], kind: TableKind, empty: &BTreeSet<usize>) -> String {
    let mut widths = String::from("2ch");
    for (at, name) in kind.columns().iter().enumerate().filter(|(at, _)| !empty.contains(at)) {
        let cell = |row: &TableLine| {
            let cell = &row.cells[at];
            cell.text.chars().count() + cell.before.as_ref().map_or(0, |before| before.chars().count() + 3)
        };
        let most = rows.iter().map(cell).max().unwrap_or(0).max(name.chars().count());
        let _ = write!(widths, " {}ch", most + 1);
    }
    widths
}

fn row_view(
    show: Show,
    kind: TableKind,
    row: &TableLine,
    empty: Memo<BTreeSet<usize>>,
) -> impl IntoView + use<> {
    let (sign, class, key) = match row.mark {
        RowMark::None => ("", "sheet-row", ""),
        RowMark::Used => ("▸", "sheet-row is-used", "tables.used"),
        RowMark::Changed => ("±", "sheet-row is-changed", "tables.changed"),
        RowMark::Came => ("+", "sheet-row is-new", "tables.came"),
        RowMark::Gone => ("−", "sheet-row is-gone", "tables.gone"),
    };
    let used = row.used && row.mark != RowMark::Used;
    let meaning = move || if key.is_empty() { String::new() } else { show.ui.word(key) };
    let cells = row.cells.iter().enumerate().map(|(at, cell)| {
        let (text, before) = (cell.text.clone(), cell.before.clone());
        let blank = text.is_empty() && before.is_none();
        view! {
            <span
                class="sheet-cell"
                class:is-first=at == 0
                class:is-blank=blank
                role="cell"
                hidden=move || empty.with(|empty| empty.contains(&at))
            >
                <span class="sheet-name">{kind.columns()[at]}" "</span>
                {before.map(|before| view! { <del>{if before.is_empty() { "–".to_string() } else { before }}</del>"→" })}
                {text}
            </span>
        }
    });
    view! {
        <div class=class class:also-used=used role="row">
            <span class="sheet-sign" title=meaning aria-label=meaning>{sign}{used.then_some("▸")}</span>
            {cells.collect::<Vec<_>>()}
        </div>
    }
}
