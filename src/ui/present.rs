//! Presenting to a class: the network and what happens fill the screen in the projector theme, and a clicker's keys step
//! through it. What the page looked like before comes back afterwards.

use super::state::{Page, Theme, use_page};
use leptos::ev;
use leptos::prelude::*;

/// The button that begins and ends it.
#[component]
pub(super) fn PresentButton() -> impl IntoView {
    let page = use_page();
    let is_on = move || page.presenting.with(Option::is_some);
    let turn = move |_| if page.presenting.with_untracked(Option::is_some) { end(page) } else { begin(page) };
    view! {
        <button class="button primary present" data-testid="present" aria-pressed=move || is_on().to_string() on:click=turn>
            {move || page.word(if is_on() { "frame.present.end" } else { "frame.present" })}
        </button>
    }
}

/// Ends with the full screen, which the browser leaves on Escape by itself.
pub(super) fn listen(page: Page) {
    let changed: ev::Custom<web_sys::Event> = ev::Custom::new("fullscreenchange");
    let _ = window_event_listener(changed, move |_| {
        if document().fullscreen_element().is_none() {
            end(page);
        }
    });
}

fn begin(page: Page) {
    page.presenting.set(Some(page.ui.theme.get_untracked()));
    page.ui.theme.set(Theme::Projector);
    page.view.set(None);
    if let Some(root) = document().document_element() {
        // A browser that refuses leaves its own bars on the screen; everything else is as it should be.
        let _ = root.request_fullscreen();
    }
    page.ui.announce(page.ui.word("frame.present.begun"));
}

/// Brings the page back as it was, if it presents.
pub(super) fn end(page: Page) {
    let Some(before) = page.presenting.get_untracked() else { return };
    page.presenting.set(None);
    page.ui.theme.set(before);
    if document().fullscreen_element().is_some() {
        document().exit_fullscreen();
    }
}
