//! Why: the packet at the playhead opened, the row that decided, one sentence; or the tables of a place.

mod packet;
mod place;
mod tables;

use super::Selection;
use super::stage::use_show;
use leptos::prelude::*;

/// The inspector.
#[component]
pub fn Inspector() -> impl IntoView {
    let show = use_show();
    let place = Memo::new(move |_| match show.ui.selection.get() {
        Selection::Place(netns, ifname) => Some((netns, ifname)),
        Selection::Playhead | Selection::Event(_) => None,
    });
    view! {
        <div class="inspector" data-testid="inspector">
            {move || match place.get() {
                Some((netns, ifname)) => view! { <place::PlaceView show netns ifname/> }.into_any(),
                None => view! { <packet::EventView show/> }.into_any(),
            }}
        </div>
    }
}
