//! Time: the buttons that move it, the score, and the same events as a list and as a ladder.

mod capture;
mod controls;
mod ladder;
mod list;
mod score;
mod tcp;

use super::stage::{TimeTab, use_show};
use leptos::prelude::*;

use TimeTab as Tab;

impl Tab {
    const ALL: [Self; 5] = [Self::Score, Self::List, Self::Ladder, Self::Tcp, Self::Capture];

    fn slug(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::List => "list",
            Self::Ladder => "ladder",
            Self::Tcp => "tcp",
            Self::Capture => "capture",
        }
    }
}

/// The timeline.
#[component]
pub fn Timeline() -> impl IntoView {
    let show = use_show();
    let tab = show.time_tab();
    let button = move |own: Tab| {
        let key = move |event: leptos::ev::KeyboardEvent| {
            let at = Tab::ALL.iter().position(|tab| *tab == own).unwrap_or(0);
            let next = match event.key().as_str() {
                "ArrowRight" => (at + 1) % Tab::ALL.len(),
                "ArrowLeft" => (at + Tab::ALL.len() - 1) % Tab::ALL.len(),
                _ => return,
            };
            event.prevent_default();
            event.stop_propagation();
            tab.set(Tab::ALL[next]);
            focus(&format!("time-tab-{}", Tab::ALL[next].slug()));
        };
        view! {
            <button
                class="time-tab"
                role="tab"
                id=format!("time-tab-{}", own.slug())
                aria-controls="time-panel"
                aria-selected=move || (tab.get() == own).to_string()
                tabindex=move || if tab.get() == own { "0" } else { "-1" }
                on:click=move |_| tab.set(own)
                on:keydown=key
            >
                {move || show.ui.word(&format!("timeline.tab.{}", own.slug()))}
            </button>
        }
    };
    view! {
        <div class="timeline" data-testid="timeline">
            <controls::Controls show/>
            <div class="time-views">
                <div class="time-tabs" role="tablist" aria-label=move || show.ui.word("timeline.tabs")>
                    {Tab::ALL.map(button)}
                </div>
                <div
                    class="time-panel"
                    id="time-panel"
                    role="tabpanel"
                    aria-labelledby=move || format!("time-tab-{}", tab.get().slug())
                >
                    {move || match tab.get() {
                        Tab::Score => view! { <score::ScoreView show/> }.into_any(),
                        Tab::List => view! { <list::EventList show/> }.into_any(),
                        Tab::Ladder => view! { <ladder::Ladder show/> }.into_any(),
                        Tab::Tcp => view! { <tcp::TcpView show/> }.into_any(),
                        Tab::Capture => view! { <capture::CaptureView show/> }.into_any(),
                    }}
                </div>
            </div>
        </div>
    }
}

fn focus(id: &str) {
    use wasm_bindgen::JsCast;
    let element = document().get_element_by_id(id);
    if let Some(element) = element.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = element.focus();
    }
}
