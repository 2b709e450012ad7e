//! Dialogs: real `<dialog>` elements, so the browser keeps the focus inside and Escape leaves.

use super::keys::KEYS;
use super::share::ShareForm;
use super::state::{Dialog, Page, use_page};
use super::{lab_driver, storage, theme};
use crate::lab::share;
use leptos::html;
use leptos::prelude::*;

/// The dialog that is open, if one is.
#[component]
pub(super) fn Dialogs() -> impl IntoView {
    let page = use_page();
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let Some(element) = dialog.get() else { return };
        match page.dialog.get() {
            Some(_) if !element.open() => {
                let _ = element.show_modal();
            }
            None if element.open() => element.close(),
            Some(_) | None => {}
        }
    });
    let title = move || {
        page.word(match page.dialog.get() {
            Some(Dialog::Share) | None => "frame.share.title",
            Some(Dialog::Shortcuts) => "frame.keys.title",
            Some(Dialog::History) => "frame.history.title",
        })
    };
    view! {
        <dialog class="dialog" node_ref=dialog data-testid="dialog" aria-labelledby="dialog-title"
            on:close=move |_| page.dialog.set(None)>
            <div class="dialog-head">
                <h2 id="dialog-title">{title}</h2>
                <button class="button" data-testid="dialog-close" on:click=move |_| page.dialog.set(None)>
                    {move || page.word("frame.close")}
                </button>
            </div>
            {move || match page.dialog.get() {
                None => ().into_any(),
                Some(Dialog::Share) => view! { <ShareForm/> }.into_any(),
                Some(Dialog::Shortcuts) => view! { <Shortcuts/> }.into_any(),
                Some(Dialog::History) => view! { <HistoryList/> }.into_any(),
            }}
        </dialog>
    }
}

#[component]
fn Shortcuts() -> impl IntoView {
    let page = use_page();
    let row = move |(keys, word): (&'static [&'static str], &'static str)| {
        let keys = keys.iter().map(|key| view! { <kbd>{*key}</kbd> }).collect_view();
        view! { <div><dt>{keys}</dt><dd>{move || page.word(word)}</dd></div> }
    };
    view! {
        <dl class="keys">{KEYS.into_iter().map(row).collect_view()}</dl>
        <label class="check">
            <input type="checkbox" data-testid="single-keys"
                prop:checked=move || page.settings.with(|settings| settings.single_keys)
                on:change=move |event| {
                    let is_on = event_target_checked(&event);
                    page.set(|settings| settings.single_keys = is_on);
                }/>
            {move || page.word("frame.keys.single")}
        </label>
    }
}

/// Labs of earlier visits and of earlier minutes.
#[component]
fn HistoryList() -> impl IntoView {
    let page = use_page();
    lab_driver::save(page);
    let entries = storage::history().entries;
    let row = move |entry: crate::lab::history::Entry| {
        let when = time(page, entry.saved_ms);
        let about = about(page, &entry);
        let open = move |_| {
            match share::decode(&entry.link) {
                Ok(shared) => {
                    lab_driver::open_log(page, &shared.log);
                    if let Some(draft) = &entry.draft {
                        lab_driver::typed(page, draft.clone());
                    }
                }
                Err(error) => {
                    let (key, args) = error.words();
                    page.notify(key, args);
                }
            }
            page.dialog.set(None);
        };
        view! {
            <li>
                <span>{when}<span class="second">{about}</span></span>
                <button class="button" on:click=open>{move || page.word("frame.history.open")}</button>
            </li>
        }
    };
    view! {
        <p>{move || page.word("frame.history.about")}</p>
        <ol class="saved" data-testid="history-list">{entries.into_iter().map(row).collect_view()}</ol>
        <button class="button" data-testid="start-over" on:click=move |_| {
            lab_driver::open_lesson(page);
            page.dialog.set(None);
        }>{move || page.word("frame.history.lesson")}</button>
    }
}

fn time(page: Page, ms: u64) -> String {
    let date = js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(ms as f64));
    date.to_locale_string(theme::code(page.ui.lang.get()), &wasm_bindgen::JsValue::UNDEFINED).into()
}

/// How much there is in an entry.
fn about(page: Page, entry: &crate::lab::history::Entry) -> String {
    let n_actions = share::decode(&entry.link).map_or(0, |shared| shared.log.actions.len());
    page.ui.sentence("frame.history.entry", &[n_actions.to_string()])
}
