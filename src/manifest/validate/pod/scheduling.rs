//! What the scheduler reads: tolerations, affinity, spread, gates (`ValidateTolerations`, `validateAffinity`,
//! `validateTopologySpreadConstraints`, `validateSchedulingGates`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::{names, selector};
use std::collections::BTreeSet;

/// Field of a rule that must hold while scheduling.
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
/// Field of a rule that should hold.
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
/// Effects of a taint.
pub(super) const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    spec.get("tolerations").items().for_each(|toleration| tolerations(&toleration, report));
    let affinity = spec.get("affinity");
    if affinity.is_set() {
        node_affinity(&affinity.get("nodeAffinity"), report);
        pod_affinity(&affinity.get("podAffinity"), report);
        pod_affinity(&affinity.get("podAntiAffinity"), report);
    }
    for gate in spec.get("readinessGates").items() {
        let kind = gate.get("conditionType");
        kind.invalid(report, names::qualified_name(kind.text()));
    }
    let mut seen = BTreeSet::new();
    for gate in spec.get("schedulingGates").items() {
        let name = gate.get("name");
        for (message, args) in names::qualified_name(name.text()) {
            let shown = name.shown();
            let args: Vec<&str> = std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
            report.error(&gate.path(), message, Some("invalid.name.hint"), &args);
        }
        if !seen.insert(name.text()) {
            report.error(&gate.path(), "invalid.duplicate", Some("invalid.duplicate.hint"), &[&name.shown()]);
        }
    }
    spread(spec, report);
}

fn tolerations(toleration: &Cursor<'_>, report: &mut Report<'_>) {
    let [key, operator, value, effect] =
        ["key", "operator", "value", "effect"].map(|name| toleration.get(name));
    if !key.text().is_empty() {
        key.invalid(report, names::qualified_name(key.text()));
    } else if operator.text() != "Exists" {
        let shown = format!("{:?}", operator.text());
        let hint = Some("invalid.toleration-operator.hint");
        report.error(&operator.path(), "invalid.toleration-operator", hint, &[&shown]);
    }
    if toleration.get("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
        let shown = format!("{:?}", effect.text());
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        report.error(&effect.path(), "invalid.because", Some("invalid.because.hint"), &[&shown, why]);
    }
    // The API server names the operator as the place of a wrong value.
    let mut wrong = |message, args: &[String], hint| {
        let shown = value.shown();
        let args: Vec<&str> = std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
        report.error_near((&value.path(), &operator.path()), message, hint, &args);
    };
    match operator.text() {
        "Equal" | "" => {
            for (message, args) in names::label_value(value.text()) {
                wrong(message, &args, "invalid.name.hint");
            }
        }
        "Exists" => {
            if !value.text().is_empty() {
                wrong("invalid.toleration-value", &[], "invalid.toleration-value.hint");
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
    let terms = required.get("nodeSelectorTerms");
    if required.is_set() && terms.len() == 0 {
        terms.required_because(report, "must have at least one node selector term");
    }
    terms.items().for_each(|term| node_term(&term, true, report));
    for preferred in affinity.get(PREFERRED).items() {
        weight(&preferred, report);
        node_term(&preferred.get("preference"), false, report);
    }
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
            _ => operator.because(report, "not a valid selector operator"),
        }
        let key = requirement.get("key");
        key.invalid(report, names::qualified_name(key.text()));
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
            _ => operator.because(report, "not a valid selector operator"),
        }
        if key.text() == "metadata.name" {
            values.items().for_each(|value| value.invalid(report, names::dns_subdomain(value.text())));
        } else {
            key.because(report, "not a valid field selector key");
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
    let key = term.get("topologyKey");
    if key.text().is_empty() {
        key.required_because(report, "can not be empty");
    } else {
        key.invalid(report, names::qualified_name(key.text()));
    }
}

fn spread(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for constraint in spec.get("topologySpreadConstraints").items() {
        let (skew, key) = (constraint.get("maxSkew"), constraint.get("topologyKey"));
        if skew.number() <= 0 {
            skew.fault(report, "invalid.not-positive", "invalid.not-positive.hint", &[]);
        }
        if key.text().is_empty() {
            key.required_because(report, "can not be empty");
        } else {
            key.invalid(report, names::qualified_name(key.text()));
        }
        let otherwise = constraint.get("whenUnsatisfiable");
        otherwise.one_of(report, &["DoNotSchedule", "ScheduleAnyway"]);
        if !seen.insert((key.text(), otherwise.text())) {
            let path = format!("{}.{{topologyKey, whenUnsatisfiable}}", constraint.path());
            let shown = format!("\"{{{}, {}}}\"", key.text(), otherwise.text());
            report.error_near(
                (&constraint.path(), &path),
                "invalid.duplicate",
                "invalid.duplicate.hint",
                &[&shown],
            );
        }
        let domains = constraint.get("minDomains");
        if domains.is_set() && domains.number() <= 0 {
            domains.fault(report, "invalid.not-positive", "invalid.not-positive.hint", &[]);
        }
        if domains.is_set() && otherwise.text() != "DoNotSchedule" {
            domains.because(report, "can only use minDomains if whenUnsatisfiable=DoNotSchedule");
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            constraint.get(policy).one_of(report, &["Honor", "Ignore"]);
        }
        selector::validate(&constraint.get("labelSelector"), report);
    }
}
