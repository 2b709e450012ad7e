//! How Pods are spread over the nodes (`validateTopologySpreadConstraints`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::{Cursor, quoted};
use crate::manifest::validate::{names, selector};

const NOT_POSITIVE: &str = "must be greater than zero";

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let all = spec.get("topologySpreadConstraints");
    for (index, constraint) in all.items().enumerate() {
        let (skew, key) = (constraint.get("maxSkew"), constraint.get("topologyKey"));
        if skew.number() <= 0 {
            skew.because_of(report, &skew.number().to_string(), NOT_POSITIVE);
        }
        if key.text().is_empty() {
            key.required_because(report, "can not be empty");
        }
        let otherwise = constraint.get("whenUnsatisfiable");
        otherwise.one_of_any(report, &["DoNotSchedule", "ScheduleAnyway"]);
        // A key and a way together stand once; the API server names the first of two.
        let is_same = |other: Cursor<'_>| {
            other.get("topologyKey").text() == key.text()
                && other.get("whenUnsatisfiable").text() == otherwise.text()
        };
        if all.items().skip(index + 1).any(is_same) {
            let path = format!("{}.{{topologyKey, whenUnsatisfiable}}", constraint.path());
            let shown = quoted(format!("{{{}, {}}}", key.text(), otherwise.text()));
            let places = (&*constraint.path(), &*path);
            report.error_near(places, "invalid.duplicate", "invalid.duplicate.hint", &[&shown]);
        }
        let domains = constraint.get("minDomains");
        if domains.is_set() && domains.number() <= 0 {
            domains.because(report, NOT_POSITIVE);
        }
        if domains.is_set() && otherwise.text() != "DoNotSchedule" {
            let way = otherwise.text();
            let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {way}");
            domains.because(report, &why);
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            constraint.get(policy).one_of(report, &["Honor", "Ignore"]);
        }
        match_label_keys(&constraint, report);
        selector::validate(&constraint.get("labelSelector"), report);
    }
}

/// `validateMatchLabelKeysInTopologySpread`.
fn match_label_keys(constraint: &Cursor<'_>, report: &mut Report<'_>) {
    let (keys, selector) = (constraint.get("matchLabelKeys"), constraint.get("labelSelector"));
    if keys.len() > 0 && !selector.is_set() {
        keys.forbidden(report, "must not be specified when labelSelector is not set");
    }
    for key in keys.items() {
        key.invalid(report, names::qualified_name(key.text()));
        let is_in_map = selector.get("matchLabels").get(key.text()).is_set();
        let mut expressions = selector.get("matchExpressions").items();
        if is_in_map || expressions.any(|one| one.get("key").text() == key.text()) {
            key.because(report, "exists in both matchLabelKeys and labelSelector");
        }
    }
}
