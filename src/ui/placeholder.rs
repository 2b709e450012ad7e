//! Stands where the stage, the timeline and the inspector go until they are there.

use leptos::prelude::*;

#[component]
pub(super) fn Stage() -> impl IntoView {
    view! { <div class="stage" data-testid="stage"></div> }
}

#[component]
pub(super) fn Inspector() -> impl IntoView {
    view! { <div class="inspector" data-testid="inspector"></div> }
}

#[component]
pub(super) fn Timeline() -> impl IntoView {
    view! { <div class="timeline" data-testid="timeline"></div> }
}
