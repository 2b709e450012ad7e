//! Label selectors (`ValidateLabelSelector` of k8s.io/apimachinery), and whether one selects given labels.

use super::cursor::Cursor;
use super::{meta, names};
use crate::manifest::report::Report;
use serde_json::Value;

/// A selector with `matchLabels` and `matchExpressions`.
pub(super) fn validate(selector: &Cursor<'_>, report: &mut Report<'_>) {
    meta::labels(&selector.get("matchLabels"), report);
    for requirement in selector.get("matchExpressions").items() {
        expression(&requirement, report);
    }
}

fn expression(requirement: &Cursor<'_>, report: &mut Report<'_>) {
    let (operator, values) = (requirement.get("operator"), requirement.get("values"));
    match operator.text() {
        "In" | "NotIn" if values.len() == 0 => {
            report.error(
                &values.path(),
                "invalid.selector-values",
                Some("invalid.selector-values.hint"),
                &[],
            );
        }
        "Exists" | "DoesNotExist" if values.len() > 0 => {
            let hint = Some("invalid.forbidden.hint");
            report.error(&values.path(), "invalid.selector-no-values", hint, &["values"]);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => operator.fault(report, "invalid.selector-operator", "invalid.selector-operator.hint", &[]),
    }
    let key = requirement.get("key");
    key.invalid(report, names::qualified_name(key.text()));
    for value in values.items() {
        value.invalid(report, names::label_value(value.text()));
    }
}

/// Whether the selector selects nothing in particular.
pub(super) fn is_empty(selector: &Cursor<'_>) -> bool {
    selector.get("matchLabels").entries().next().is_none() && selector.get("matchExpressions").len() == 0
}

/// Whether the selector matches these labels (`LabelSelectorAsSelector`).
pub(super) fn matches(selector: &Cursor<'_>, labels: &Cursor<'_>) -> bool {
    let label = |key: &str| labels.value.get(key).and_then(Value::as_str);
    let equal = |(key, value): (&String, Cursor<'_>)| label(key) == Some(value.text());
    let fits = |requirement: Cursor<'_>| {
        let found = label(requirement.get("key").text());
        let listed =
            found.is_some_and(|found| requirement.get("values").items().any(|at| at.text() == found));
        match requirement.get("operator").text() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            _ => false,
        }
    };
    selector.get("matchLabels").entries().all(equal) && selector.get("matchExpressions").items().all(fits)
}
