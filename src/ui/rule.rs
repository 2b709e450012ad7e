//! Texts of rules: a line may end between two words, not at the hyphens of an option.

use leptos::prelude::*;

/// A rule or a part of one.
pub(super) fn words(text: &str) -> Vec<AnyView> {
    let mut views = Vec::new();
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            views.push(" ".into_any());
        }
        views.push(view! { <span class="word">{word.to_owned()}</span> }.into_any());
    }
    views
}
