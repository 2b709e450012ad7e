//! The catalogues: every sentence that a person reads, once in English and once in Korean.
//!
//! `words/en/` and `words/ko/` hold one file for each room that speaks, with one `key = text` a line in the same
//! order; `{0}`, `{1}` … are filled in. A test holds that both have the same keys with the same placeholders.

mod josa;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A language of the interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Korean.
    Ko,
}

const EN: [&str; 7] = [
    include_str!("words/en/manifest.txt"),
    include_str!("words/en/fields.txt"),
    include_str!("words/en/trace.txt"),
    include_str!("words/en/shell.txt"),
    include_str!("words/en/ui.txt"),
    include_str!("words/en/policy.txt"),
    include_str!("words/en/lessons.txt"),
];
const KO: [&str; 7] = [
    include_str!("words/ko/manifest.txt"),
    include_str!("words/ko/fields.txt"),
    include_str!("words/ko/trace.txt"),
    include_str!("words/ko/shell.txt"),
    include_str!("words/ko/ui.txt"),
    include_str!("words/ko/policy.txt"),
    include_str!("words/ko/lessons.txt"),
];

type Catalogue = BTreeMap<&'static str, &'static str>;

fn catalogue(lang: Lang) -> &'static Catalogue {
    static CATALOGUES: [OnceLock<Catalogue>; 2] = [OnceLock::new(), OnceLock::new()];
    let (slot, source) = match lang {
        Lang::En => (0, EN),
        Lang::Ko => (1, KO),
    };
    CATALOGUES[slot].get_or_init(|| entries(source).collect())
}

fn entries(sources: [&'static str; 7]) -> impl Iterator<Item = (&'static str, &'static str)> {
    sources
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
}

/// The text of `key` in `lang` with `args` filled in. A key that is missing shows as itself in brackets, which a
/// test turns into a failure.
pub fn text(lang: Lang, key: &str, args: &[String]) -> String {
    let Some(pattern) = catalogue(lang).get(key) else { return format!("[{key}]") };
    let filled = fill(pattern, args);
    match lang {
        Lang::En => filled,
        Lang::Ko => josa::resolve(&filled),
    }
}

/// The text of a key that takes no arguments.
pub fn word(lang: Lang, key: &str) -> String {
    text(lang, key, &[])
}

/// The text of a key that need not be there.
pub fn word_or_none(lang: Lang, key: &str) -> Option<String> {
    catalogue(lang).get(key).map(|text| (*text).to_owned())
}

fn fill(pattern: &str, args: &[String]) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((number, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        if let Ok(index) = number.parse::<usize>() {
            out.push_str(args.get(index).map_or("", String::as_str));
        } else {
            out.push('{');
            out.push_str(number);
            out.push('}');
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(number, _)| number).collect()
    }

    #[test]
    fn both_catalogues_have_the_same_keys_and_placeholders() {
        let (en, ko) = (catalogue(Lang::En), catalogue(Lang::Ko));
        assert_eq!(entries(EN).count(), en.len(), "a key stands twice in en/");
        assert_eq!(entries(KO).count(), ko.len(), "a key stands twice in ko/");
        let keys = |catalogue: &Catalogue| catalogue.keys().copied().collect::<BTreeSet<_>>();
        assert_eq!(keys(en), keys(ko));
        for (key, text) in en {
            assert_eq!(placeholders(text), placeholders(ko[key]), "{key}");
        }
    }

    #[test]
    fn no_korean_text_shows_both_forms_of_a_particle() {
        let args: Vec<String> = ["web", "10.244.1.10", "노드", "eth0", "1", "b"].map(String::from).into();
        for key in catalogue(Lang::Ko).keys() {
            let text = text(Lang::Ko, key, &args);
            for both in ["은(는)", "이(가)", "을(를)", "과(와)", "와(과)", "(으)로"] {
                assert!(!text.contains(both), "{key}: {text}");
            }
        }
    }

    #[test]
    fn arguments_are_filled_in_and_other_braces_stay() {
        assert_eq!(fill("{1} of {0} {x}", &["two".into(), "one".into()]), "one of two {x}");
    }
}
