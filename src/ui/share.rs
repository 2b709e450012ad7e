//! The link that holds the whole lab: in the page's address when it is opened, in a dialog when it is made.

use super::export;
use super::lab_driver;
use super::state::{Page, use_page};
use crate::base::SimTime;
use crate::lab::Lab;
use crate::lab::share::{self, LINK_LIMIT, ShareError, Shared};
use leptos::html;
use leptos::prelude::*;

/// What the page's address holds, if it holds a link.
pub(super) fn from_location() -> Option<Result<Shared, ShareError>> {
    let fragment = window().location().hash().ok()?;
    (!fragment.trim_start_matches('#').is_empty()).then(|| share::decode(&fragment))
}

/// Takes the link out of the address: a reload then opens what was made of it since, not the link again.
pub(super) fn leave_location() {
    let location = window().location();
    let bare =
        location.pathname().ok().zip(location.search().ok()).map(|(path, search)| format!("{path}{search}"));
    if let (Some(bare), Ok(history)) = (bare, window().history()) {
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&bare));
    }
}

/// Opens a link that was put into the address of the open page. What was open before is in the history.
pub(super) fn open_location(page: Page) {
    match from_location() {
        None => {}
        Some(Ok(_)) => {
            lab_driver::save(page);
            lab_driver::open_first(page);
        }
        Some(Err(error)) => {
            leave_location();
            let (key, args) = error.words();
            page.notify(key, args);
        }
    }
}

/// The link to the lab as it stands now.
fn link(page: Page, with_moment: bool) -> String {
    let at = with_moment.then(|| moment(page)).flatten();
    let log = page.ui.lab.with_value(Lab::log);
    let location = window().location();
    let base = location.href().unwrap_or_default();
    let base = base.split('#').next().unwrap_or_default();
    format!("{base}#{}", share::encode(&Shared { log, at }))
}

/// Simulated time at the playhead.
fn moment(page: Page) -> Option<SimTime> {
    let step = page.ui.playback.with_untracked(|playback| playback.steps.get(playback.at).copied())?;
    Some(page.ui.lab.with_value(|lab| lab.trace().event(step).at))
}

/// The dialog's content.
#[component]
pub(super) fn ShareForm() -> impl IntoView {
    let page = use_page();
    let with_moment = RwSignal::new(false);
    let is_copied = RwSignal::new(false);
    let field = NodeRef::<html::Input>::new();
    let url = Memo::new(move |_| link(page, with_moment.get()));
    let length = Memo::new(move |_| url.with(String::len));
    let is_short = Memo::new(move |_| length.get() <= LINK_LIMIT);
    let copy = move |_| {
        let text = url.get_untracked();
        leptos::task::spawn_local(async move {
            let promise = window().navigator().clipboard().write_text(&text);
            if js_sys::futures::JsFuture::from(promise).await.is_ok() {
                is_copied.set(true);
                page.ui.announce(
                    page.ui.lang.with_untracked(|lang| crate::base::words::word(*lang, "frame.share.copied")),
                );
            } else if let Some(field) = field.get_untracked() {
                // Without the permission to write, the link is selected for the user's own Ctrl+C.
                field.select();
            }
        });
    };
    view! {
        <p>{move || page.word("frame.share.about")}</p>
        <Show when=move || is_short.get() fallback=move || view! {
            <p class="refused" data-testid="share-refused">
                {move || page.ui.sentence("frame.share.too_long", &[length.get().to_string(), LINK_LIMIT.to_string()])}
            </p>
            <button class="button primary" on:click=move |_| export::log(page)>{move || page.word("frame.export.log")}</button>
        }>
            <div class="share-row">
                <input class="mono" node_ref=field readonly data-testid="share-link"
                    aria-label=move || page.word("frame.share.link") prop:value=move || url.get()
                    on:focus=move |_| select(field)/>
                <button class="button primary" data-testid="share-copy" on:click=copy>
                    {move || page.word(if is_copied.get() { "frame.share.copied" } else { "frame.share.copy" })}
                </button>
            </div>
            <p class="second" data-testid="share-length">
                {move || page.ui.sentence("frame.share.length", &[length.get().to_string()])}
            </p>
            <label class="check">
                <input type="checkbox" data-testid="share-moment" prop:checked=move || with_moment.get()
                    on:change=move |event| { with_moment.set(event_target_checked(&event)); is_copied.set(false); }/>
                {move || page.word("frame.share.moment")}
            </label>
        </Show>
        <p class="second">{move || page.word("frame.share.private")}</p>
    }
}

/// Selects the whole link, to be copied by hand.
fn select(field: NodeRef<html::Input>) {
    if let Some(field) = field.get_untracked() {
        field.select();
    }
}
