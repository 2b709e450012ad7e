//! The bar at the top: what this is, what is open, and what concerns the whole page.

use super::icon::{Icon, Sign};
use super::state::{Dialog, Page, Theme, use_page};
use super::{export, lab_driver, theme};
use crate::base::words::Lang;
use crate::lab::lessons;
use leptos::prelude::*;

/// The bar at the top.
#[component]
pub(super) fn Header() -> impl IntoView {
    let page = use_page();
    view! {
        <header class="header" data-testid="header">
            <h1 class="brand" translate="no">"veth"<span>"scope"</span></h1>
            <p class="shown">{move || shown(page)}</p>
            <div class="header-tools">
                <super::views::ViewMenu/>
                <Languages/>
                <ThemeMenu/>
                <UndoRedo/>
                <button class="button" data-testid="share" on:click=move |_| page.dialog.set(Some(Dialog::Share))>
                    {move || page.word("frame.share")}
                </button>
                <ExportMenu/>
                <button class="button icon" data-testid="shortcuts" aria-label=move || page.word("frame.keys.title")
                    title=move || page.word("frame.keys.title")
                    on:click=move |_| page.dialog.set(Some(Dialog::Shortcuts))>"?"</button>
                <super::present::PresentButton/>
            </div>
        </header>
    }
}

/// What is open, in words.
fn shown(page: Page) -> String {
    let is_lesson = page.ui.text.with(|text| lessons::is_lesson(text));
    page.word(if is_lesson { "frame.shown.lesson" } else { "frame.shown.own" })
}

#[component]
fn Languages() -> impl IntoView {
    let page = use_page();
    let option = move |lang: Lang, name: &'static str| {
        view! {
            <button class="segment" lang=theme::code(lang) data-testid=format!("lang-{}", theme::code(lang))
                aria-pressed=move || (page.ui.lang.get() == lang).to_string()
                on:click=move |_| theme::choose_lang(page, lang)>{name}</button>
        }
    };
    view! {
        <div class="segments" role="group" aria-label=move || page.word("frame.language")>
            {option(Lang::Ko, "한국어")}
            {option(Lang::En, "English")}
        </div>
    }
}

#[component]
fn ThemeMenu() -> impl IntoView {
    let page = use_page();
    let choice = move |choice: Theme| {
        view! {
            <label class="menu-item">
                <input type="radio" name="theme" data-testid=format!("theme-{}", choice.name())
                    prop:checked=move || page.ui.theme.get() == choice
                    on:change=move |_| theme::choose_theme(page, choice)/>
                {move || page.word(&format!("frame.theme.{}", choice.name()))}
            </label>
        }
    };
    view! {
        <details class="menu" data-testid="theme-menu">
            <summary class="button">{move || page.word("frame.theme")}</summary>
            <div class="menu-sheet">
                <fieldset>
                    <legend class="visually-hidden">{move || page.word("frame.theme")}</legend>
                    {Theme::ALL.map(choice).collect_view()}
                </fieldset>
                <label class="menu-item">
                    <input type="checkbox" data-testid="reduce-motion"
                        prop:checked=move || page.ui.reduced_motion.get()
                        on:change=move |event| theme::choose_motion(page, event_target_checked(&event))/>
                    {move || page.word("frame.motion.reduce")}
                </label>
            </div>
        </details>
    }
}

#[component]
fn UndoRedo() -> impl IntoView {
    let page = use_page();
    view! {
        <div class="segments" role="group" aria-label=move || page.word("frame.history.group")>
            <button class="segment icon" data-testid="undo" title=move || page.word("frame.undo")
                aria-label=move || page.word("frame.undo") prop:disabled=move || !page.can_undo.get().0
                on:click=move |_| lab_driver::undo(page)><Icon sign=Sign::Undo/></button>
            <button class="segment icon" data-testid="redo" title=move || page.word("frame.redo")
                aria-label=move || page.word("frame.redo") prop:disabled=move || !page.can_undo.get().1
                on:click=move |_| lab_driver::redo(page)><Icon sign=Sign::Redo/></button>
            <button class="segment icon" data-testid="history" title=move || page.word("frame.history.title")
                aria-label=move || page.word("frame.history.title")
                on:click=move |_| page.dialog.set(Some(Dialog::History))><Icon sign=Sign::History/></button>
        </div>
    }
}

#[component]
fn ExportMenu() -> impl IntoView {
    let page = use_page();
    let item = move |key: &'static str, id: &'static str, act: fn(Page)| {
        view! {
            <button class="menu-item" data-testid=id on:click=move |event| {
                close_menu(&event);
                act(page);
            }>{move || page.word(key)}</button>
        }
    };
    view! {
        <details class="menu" data-testid="export-menu">
            <summary class="button">{move || page.word("frame.export")}</summary>
            <div class="menu-sheet">
                {item("frame.export.pcapng", "export-pcapng", export::pcapng)}
                {item("frame.export.svg", "export-svg", export::svg)}
                {item("frame.export.png", "export-png", export::png)}
                {item("frame.export.yaml", "export-yaml", export::yaml)}
                {item("frame.export.log", "export-log", export::log)}
            </div>
        </details>
    }
}

/// Closes the menu that the event came from.
pub(super) fn close_menu(event: &web_sys::MouseEvent) {
    use wasm_bindgen::JsCast;
    let button = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    if let Some(menu) = button.and_then(|button| button.closest("details").ok().flatten()) {
        let _ = menu.remove_attribute("open");
    }
}
