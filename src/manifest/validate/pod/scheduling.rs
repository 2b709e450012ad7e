//! What the scheduler reads: tolerations, affinity, gates (`ValidateTolerations`, `validateAffinity`,
//! `validateSchedulingGates`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::{Cursor, quoted};
use crate::manifest::validate::{internal, names, selector};
use std::collections::BTreeSet;

/// Field of a rule that must hold while scheduling.
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
/// Field of a rule that should hold.
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
/// Effects of a taint.
pub(super) const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// `validateAffinity`.
pub(super) fn affinity(affinity: &Cursor<'_>, report: &mut Report<'_>) {
    if affinity.is_set() {
        node_affinity(&affinity.get("nodeAffinity"), report);
        pod_affinity(&affinity.get("podAffinity"), report);
        pod_affinity(&affinity.get("podAntiAffinity"), report);
    }
}

/// `validateReadinessGates` and `validateSchedulingGates`.
pub(super) fn gates(spec: &Cursor<'_>, report: &mut Report<'_>) {
    for gate in spec.get("readinessGates").items() {
        let kind = gate.get("conditionType");
        kind.faulty(report, &quoted(kind.text()), names::qualified_name(kind.text()));
    }
    let mut seen = BTreeSet::new();
    for gate in spec.get("schedulingGates").items() {
        let name = gate.get("name");
        gate.faulty(report, &quoted(name.text()), names::qualified_name(name.text()));
        if !seen.insert(name.text()) {
            let shown = quoted(name.text());
            report.error(&gate.path(), "invalid.duplicate", Some("invalid.duplicate.hint"), &[&shown]);
        }
    }
}

/// `ValidateTolerations`.
pub(super) fn toleration(toleration: &Cursor<'_>, report: &mut Report<'_>) {
    let [key, operator, value, effect] =
        ["key", "operator", "value", "effect"].map(|name| toleration.get(name));
    if !key.text().is_empty() {
        key.invalid(report, names::qualified_name(key.text()));
    } else if operator.text() != "Exists" {
        let hint = Some("invalid.toleration-operator.hint");
        let shown = quoted(operator.text());
        report.error(&operator.path(), "invalid.toleration-operator", hint, &[&shown]);
    }
    if toleration.get("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        effect.because_of(report, &quoted(effect.text()), why);
    }
    // The API server names the operator as the place of a wrong value.
    match operator.text() {
        "Equal" | "" => operator.joined(report, &value, &names::label_value(value.text())),
        "Exists" => {
            if !value.text().is_empty() {
                let shown = internal::toleration(toleration);
                let places = (&*value.path(), &*operator.path());
                let hint = "invalid.toleration-value.hint";
                report.error_near(places, "invalid.toleration-value", hint, &[&shown]);
            }
        }
        _ => operator.one_of(report, &["Equal", "Exists"]),
    }
    effect.one_of_or_empty(report, &EFFECTS);
}

fn weight(term: &Cursor<'_>, report: &mut Report<'_>) {
    let weight = term.get("weight");
    if !(1..=100).contains(&weight.number()) {
        weight.because(report, "must be in the range 1-100");
    }
}

fn node_affinity(affinity: &Cursor<'_>, report: &mut Report<'_>) {
    let required = affinity.get(REQUIRED);
    if required.is_set() {
        node_selector(&required, true, report);
    }
    for preferred in affinity.get(PREFERRED).items() {
        weight(&preferred, report);
        node_term(&preferred.get("preference"), false, report);
    }
}

/// `ValidateNodeSelector`.
pub(in crate::manifest::validate) fn node_selector(
    selector: &Cursor<'_>,
    values_are_labels: bool,
    report: &mut Report<'_>,
) {
    let terms = selector.get("nodeSelectorTerms");
    if terms.len() == 0 {
        terms.required_because(report, "must have at least one node selector term");
    }
    terms.items().for_each(|term| node_term(&term, values_are_labels, report));
}

fn node_term(term: &Cursor<'_>, values_are_labels: bool, report: &mut Report<'_>) {
    for requirement in term.get("matchExpressions").items() {
        let (operator, values) = (requirement.get("operator"), requirement.get("values"));
        match operator.text() {
            "In" | "NotIn" if values.len() == 0 => {
                values.required_because(report, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if values.len() > 0 => {
                values
                    .forbidden(report, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
            }
            "Gt" | "Lt" if values.len() != 1 => {
                values.required_because(
                    report,
                    "must be specified single value when `operator` is 'Lt' or 'Gt'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            _ => operator.because_of(report, &quoted(operator.text()), "not a valid selector operator"),
        }
        let key = requirement.get("key");
        key.faulty(report, &quoted(key.text()), names::qualified_name(key.text()));
        for value in values.items().filter(|_| values_are_labels) {
            value.invalid(report, names::label_value(value.text()));
        }
    }
    for requirement in term.get("matchFields").items() {
        let (key, operator, values) =
            (requirement.get("key"), requirement.get("operator"), requirement.get("values"));
        match operator.text() {
            "In" | "NotIn" if values.len() == 1 => {}
            "In" | "NotIn" => {
                let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                values.required_because(report, why);
            }
            _ => operator.because_of(report, &quoted(operator.text()), "not a valid selector operator"),
        }
        if key.text() == "metadata.name" {
            values.items().for_each(|value| value.invalid(report, names::dns_subdomain(value.text())));
        } else {
            key.because_of(report, &quoted(key.text()), "not a valid field selector key");
        }
    }
}

fn pod_affinity(affinity: &Cursor<'_>, report: &mut Report<'_>) {
    affinity.get(REQUIRED).items().for_each(|term| pod_term(&term, report));
    for preferred in affinity.get(PREFERRED).items() {
        weight(&preferred, report);
        pod_term(&preferred.get("podAffinityTerm"), report);
    }
}

fn pod_term(term: &Cursor<'_>, report: &mut Report<'_>) {
    selector::validate(&term.get("labelSelector"), report);
    selector::validate(&term.get("namespaceSelector"), report);
    for name in term.get("namespaces").items() {
        let path = format!("{}.namespace", term.path());
        for (message, args) in names::dns_label(name.text()) {
            let shown = name.shown();
            let args: Vec<&str> = std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
            report.error_near((&name.path(), &path), message, "invalid.name.hint", &args);
        }
    }
    let keys = ["matchLabelKeys", "mismatchLabelKeys"].map(|field| term.get(field));
    for list in keys.iter().filter(|list| list.len() > 0) {
        if !term.get("labelSelector").is_set() {
            list.forbidden(report, "must not be specified when labelSelector is not set");
            continue;
        }
        list.items().for_each(|key| key.invalid(report, names::qualified_name(key.text())));
    }
    let [matched, mismatched] = keys;
    for key in matched.items().filter(|key| mismatched.items().any(|other| other.text() == key.text())) {
        key.because(report, "exists in both matchLabelKeys and mismatchLabelKeys");
    }
    let key = term.get("topologyKey");
    if key.text().is_empty() {
        key.required_because(report, "can not be empty");
    }
    key.faulty(report, &quoted(key.text()), names::qualified_name(key.text()));
}
