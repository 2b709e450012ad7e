//! Views that lie over the stage, one at a time: each shows one side of the same lab, in step with the playhead.

mod compare;
mod exchanges;
mod lives;
mod lookups;
mod names;
mod policies;
mod services;
mod within;

use super::icon::{Icon, Sign};
use super::state::{Page, use_page};
use leptos::prelude::*;

/// A view over the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// The life of a Pod, step by step.
    Lives,
    /// What the containers of a Pod talk by.
    Within,
    /// From a Service's address to the Pods behind it.
    Services,
    /// How a name becomes an address.
    Names,
    /// Who reaches whom, and which policy decided.
    Policies,
    /// The same packet over several networks.
    Compare,
}

impl View {
    /// All views, in the order in which they are offered.
    pub(super) const ALL: [Self; 6] =
        [Self::Lives, Self::Within, Self::Services, Self::Names, Self::Policies, Self::Compare];

    /// Its name in keys and for tests.
    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::Lives => "lives",
            Self::Within => "within",
            Self::Services => "services",
            Self::Names => "names",
            Self::Policies => "policies",
            Self::Compare => "compare",
        }
    }

    fn title(self, page: Page) -> String {
        page.word(&format!("view.{}", self.slug()))
    }
}

/// The view that is open, if one is.
#[component]
pub(super) fn ViewPanel() -> impl IntoView {
    let page = use_page();
    move || {
        page.view.get().map(|view| {
            let close = move || {
                page.view.set(None);
                super::app::focus("view-menu");
            };
            request_animation_frame(|| super::app::focus("view"));
            view! {
                <section class="view" id="view" data-testid=format!("view-{}", view.slug()) tabindex="-1"
                    aria-label=move || view.title(page)
                    on:keydown=move |event| {
                        if event.key() == "Escape" {
                            event.stop_propagation();
                            close();
                        }
                    }>
                    <header class="view-head">
                        <h2>{move || view.title(page)}</h2>
                        <p class="view-about">{move || page.word(&format!("view.{}.about", view.slug()))}</p>
                        <button class="button" data-testid="view-close" on:click=move |_| close()>
                            <Icon sign=Sign::Lost/>{move || page.word("view.close")}
                        </button>
                    </header>
                    <div class="view-body">
                        {match view {
                            View::Lives => view! { <lives::LivesView/> }.into_any(),
                            View::Within => view! { <within::WithinView/> }.into_any(),
                            View::Services => view! { <services::ServicesView/> }.into_any(),
                            View::Names => view! { <names::NamesView/> }.into_any(),
                            View::Policies => view! { <policies::PoliciesView/> }.into_any(),
                            View::Compare => view! { <compare::CompareView/> }.into_any(),
                        }}
                    </div>
                </section>
            }
        })
    }
}

/// The menu that opens the views.
#[component]
pub(super) fn ViewMenu() -> impl IntoView {
    let page = use_page();
    let item = move |own: View| {
        view! {
            <button class="menu-item" data-testid=format!("open-{}", own.slug())
                aria-pressed=move || (page.view.get() == Some(own)).to_string()
                on:click=move |event| {
                    super::header::close_menu(&event);
                    page.view.set(Some(own));
                }>{move || own.title(page)}</button>
        }
    };
    view! {
        <details class="menu" data-testid="view-menu">
            <summary class="button" id="view-menu">{move || page.word("view.menu")}</summary>
            <div class="menu-sheet">{View::ALL.map(item).collect_view()}</div>
        </details>
    }
}
