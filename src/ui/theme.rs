//! Theme, language and motion: chosen in the header, remembered, and told to the style sheets by attributes of the
//! root element.

use super::state::{Page, Theme, system_wants_less_motion};
use crate::base::words::Lang;
use leptos::prelude::*;

/// Keeps the root element's attributes as the signals say.
pub(super) fn dress_root(page: Page) {
    Effect::new(move || {
        let theme = page.ui.theme.get();
        set_root("data-theme", theme.name());
    });
    Effect::new(move || {
        set_root("lang", code(page.ui.lang.get()));
        document().set_title(&page.word("frame.title"));
    });
    Effect::new(move || {
        set_root("data-motion", if page.ui.reduced_motion.get() { "reduced" } else { "full" });
    });
}

fn set_root(name: &str, value: &str) {
    if let Some(root) = document().document_element() {
        // Only a name that is no name makes this fail.
        let _ = root.set_attribute(name, value);
    }
}

/// The language's code, as `lang` attributes have it.
pub(super) fn code(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "en",
        Lang::Ko => "ko",
    }
}

/// Changes the language and remembers it.
pub(super) fn choose_lang(page: Page, lang: Lang) {
    page.ui.lang.set(lang);
    page.set(|settings| settings.lang = Some(lang));
    super::lab_driver::follow_language(page, lang);
}

/// Changes the theme and remembers it.
pub(super) fn choose_theme(page: Page, theme: Theme) {
    page.ui.theme.set(theme);
    page.set(|settings| settings.theme = Some(theme.name().to_owned()));
}

/// Turns motion down or back up. Where the system asks for less, it stays down.
pub(super) fn choose_motion(page: Page, is_reduced: bool) {
    page.set(|settings| settings.reduced_motion = is_reduced);
    page.ui.reduced_motion.set(is_reduced || system_wants_less_motion());
}
