//! Texts that the page opens with, each in every language of the interface: the YAML is the same, its comments are not.

pub mod course;
pub mod templates;

use super::{Action, LabLog, Target};
use crate::base::SimTime;
use crate::base::words::Lang;

/// Seed of the lessons: every reader sees the same addresses, delays and identifiers.
pub const SEED: u64 = 1;

/// The lesson's cluster: two nodes joined by VXLAN, Pods `a` and `c` on the first, `b` on the second.
pub fn vxlan(lang: Lang) -> &'static str {
    match lang {
        Lang::En => include_str!("en/vxlan.yaml"),
        Lang::Ko => include_str!("ko/vxlan.yaml"),
    }
}

/// Whether `text` is a lesson as it was given, in whichever language.
pub fn is_lesson(text: &str) -> bool {
    [Lang::En, Lang::Ko].into_iter().any(|lang| vxlan(lang) == text)
}

/// The log that a first visit opens with.
pub fn opening(lang: Lang) -> LabLog {
    LabLog { seed: SEED, actions: vec![(SimTime::ZERO, Action::Apply(vxlan(lang).to_owned()))] }
}

/// The command that is on its way when the page opens: from Pod `a` across the tunnel to Pod `b`.
pub fn first_command() -> (Target, Vec<String>) {
    let target = Target::Pod { namespace: "default".to_owned(), name: "a".to_owned(), container: None };
    (target, ["ping", "-c", "3", "10.244.2.10"].map(str::to_owned).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_comments(text: &str) -> Vec<&str> {
        text.lines()
            .map(|line| line.split(" #").next().unwrap_or("").trim_end())
            .filter(|line| !line.starts_with('#'))
            .collect()
    }

    #[test]
    fn a_lesson_differs_between_languages_only_in_its_comments() {
        assert_ne!(vxlan(Lang::En), vxlan(Lang::Ko));
        assert_eq!(without_comments(vxlan(Lang::En)), without_comments(vxlan(Lang::Ko)));
    }
}
