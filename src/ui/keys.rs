//! Keys of the whole page. They never take a key from a field, a button or the browser.

use super::lab_driver;
use super::state::{Dialog, Page};
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

/// Keys with the words for what they do, as the list of keys shows them.
pub(super) const KEYS: [(&[&str], &str); 9] = [
    (&["Space"], "frame.keys.play"),
    (&["←", "→"], "frame.keys.step"),
    (&["PageUp", "PageDown", "."], "frame.keys.remote"),
    (&["?"], "frame.keys.list"),
    (&["Esc"], "frame.keys.leave"),
    (&["Ctrl", "Enter"], "frame.keys.apply"),
    (&["Esc", "Tab"], "frame.keys.leave_editor"),
    (&["Ctrl", "C"], "frame.keys.interrupt"),
    (&["Tab"], "frame.keys.complete"),
];

/// Listens to the whole page.
pub(super) fn listen(page: Page) {
    let _ = window_event_listener(ev::keydown, move |event| {
        let has_modifier = event.ctrl_key() || event.meta_key() || event.alt_key();
        if has_modifier
            || event.default_prevented()
            || event.is_composing()
            || page.dialog.get_untracked().is_some()
        {
            return;
        }
        if event.key() == "Escape" {
            close_menus(None);
            super::present::end(page);
            return;
        }
        let Some(act) = action(page, &event) else { return };
        event.prevent_default();
        act(page);
    });
    let _ = window_event_listener(ev::pointerdown, move |event| {
        let inside = event.target().and_then(|target| target.dyn_into().ok());
        close_menus(inside.as_ref());
    });
}

fn action(page: Page, event: &web_sys::KeyboardEvent) -> Option<fn(Page)> {
    let element = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let is_in = |selector: &str| {
        element.as_ref().is_some_and(|element| element.closest(selector).ok().flatten().is_some())
    };
    if is_in("input, textarea, select, [contenteditable], .editor, .terminal") {
        return None;
    }
    let has_single = page.settings.with_untracked(|settings| settings.single_keys);
    // A button takes Space, and some things take arrows for themselves.
    let is_pressed_by_space = is_in("button, a, summary, [role=button], [role=slider], [role=option]");
    let has_arrows =
        is_in("[role=separator], [role=tab], [role=slider], [role=listbox], [role=tree], [role=grid]");
    match event.key().as_str() {
        " " if !is_pressed_by_space => Some(lab_driver::toggle_playing),
        "." if has_single => Some(lab_driver::toggle_playing),
        "ArrowRight" if !has_arrows => Some(lab_driver::step_forward),
        "ArrowLeft" if !has_arrows => Some(lab_driver::step_back),
        "PageDown" if !is_in(".panel") => Some(lab_driver::step_forward),
        "PageUp" if !is_in(".panel") => Some(lab_driver::step_back),
        "?" if has_single => Some(|page| page.dialog.set(Some(Dialog::Shortcuts))),
        _ => None,
    }
}

/// Closes every open menu, except the one that `inside` is in. The focus goes back to the menu's button.
fn close_menus(inside: Option<&web_sys::Element>) {
    let kept = inside.and_then(|element| element.closest("details.menu").ok().flatten());
    let Ok(open) = document().query_selector_all("details.menu[open]") else { return };
    for index in 0..open.length() {
        let Some(menu) = open.get(index).and_then(|node| node.dyn_into::<web_sys::Element>().ok()) else {
            continue;
        };
        if kept.as_ref().is_some_and(|kept| kept.is_same_node(Some(&menu))) {
            continue;
        }
        let _ = menu.remove_attribute("open");
        let holds_focus = document().active_element().is_some_and(|active| menu.contains(Some(&active)));
        let summary = menu.query_selector("summary").ok().flatten();
        if let (true, Some(summary)) =
            (holds_focus, summary.and_then(|summary| summary.dyn_into::<web_sys::HtmlElement>().ok()))
        {
            let _ = summary.focus();
        }
    }
}
