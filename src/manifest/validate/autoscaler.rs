//! Autoscalers (`pkg/apis/autoscaling/validation`).

use super::cursor::{Cursor, quoted};
use super::{names, quantity};
use crate::manifest::report::Report;

/// What a metric can come from: its type, and the field that says more.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
/// The order in which the API server looks for sources; only the first is looked into.
const LOOKED_AT: [&str; 5] = ["object", "external", "pods", "resource", "containerResource"];

/// `MaxStabilizationWindowSeconds` and `MaxPeriodSeconds`.
const MOST_WINDOW: i64 = 3600;
const MOST_PERIOD: i64 = 1800;

/// `validateHorizontalPodAutoscalerSpec`.
pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let (least, most) = (spec.get("minReplicas"), spec.get("maxReplicas"));
    if least.is_set() && least.number() < 1 {
        least.because(report, "must be greater than or equal to 1");
    }
    if most.number() < 1 {
        most.because_of(report, &most.number().to_string(), "must be greater than 0");
    }
    if least.is_set() && most.number() < least.number() {
        let why = "must be greater than or equal to `minReplicas`";
        most.because_of(report, &most.number().to_string(), why);
    }
    let target = spec.get("scaleTargetRef");
    // Of what can be scaled, the core group has one kind alone.
    reference(&target, target.get("kind").text() == "ReplicationController", report);
    for metric in spec.get("metrics").items() {
        source(&metric, report);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = spec.get("behavior").get(direction);
        if rules.is_set() {
            scaling(&rules, report);
        }
    }
}

/// `ValidateCrossVersionObjectReference`.
fn reference(object: &Cursor<'_>, may_be_core: bool, report: &mut Report<'_>) {
    let (kind, name, version) = (object.get("kind"), object.get("name"), object.get("apiVersion"));
    for field in [kind, name] {
        if field.text().is_empty() {
            field.required(report);
        }
        field.invalid(report, names::path_segment(field.text()));
    }
    let text = version.text();
    if text.matches('/').count() > 1 {
        version.because(report, &format!("unexpected GroupVersion string: {text}"));
    } else if !may_be_core && text.split_once('/').is_none_or(|(group, _)| group.is_empty()) {
        version.because_of(report, &quoted(text), "apiVersion must specify API group");
    }
}

/// `validateMetricSpec`.
fn source(metric: &Cursor<'_>, report: &mut Report<'_>) {
    let kind = metric.get("type");
    if kind.text().is_empty() {
        kind.required_because(report, "must specify a metric source type");
    }
    kind.one_of_any(report, &SOURCES.map(|(kind, _)| kind));
    let expected = SOURCES.iter().find(|(known, _)| *known == kind.text()).map(|(_, field)| *field);
    let present: Vec<&str> = LOOKED_AT.into_iter().filter(|field| metric.get(field).is_set()).collect();
    if let Some(first) = present.first() {
        one_source(first, &metric.get(first), report);
    }
    if let Some(field) = expected.filter(|field| !present.contains(field)) {
        metric.get(field).required_because(report, "must populate information for the given metric source");
    }
    if present.len() != 1 {
        for field in present.iter().filter(|field| Some(**field) != expected) {
            metric.get(field).forbidden(report, "must populate the given metric source only");
        }
    }
}

fn one_source(kind: &str, source: &Cursor<'_>, report: &mut Report<'_>) {
    let target = source.get("target");
    let (value, average) = (target.get("value"), target.get("averageValue"));
    if kind == "object" {
        reference(&source.get("describedObject"), true, report);
    }
    if matches!(kind, "object" | "external" | "pods") {
        let name = source.get("metric").get("name");
        if name.text().is_empty() {
            name.required_because(report, "must specify a metric name");
        }
        name.invalid(report, names::path_segment(name.text()));
    } else {
        let name = source.get("name");
        if name.text().is_empty() {
            name.required_because(report, "must specify a resource name");
        }
        let container = source.get("container");
        if kind == "containerResource" && container.text().is_empty() {
            container.required_because(report, "must specify a container");
        } else if container.is_set() {
            container.invalid(report, names::dns_label(container.text()));
        }
    }
    metric_target(&target, report);
    let utilization = target.get("averageUtilization");
    match kind {
        "object" if !value.is_set() && !average.is_set() => {
            average.required_because(report, "must set either a target value or averageValue");
        }
        "external" if !value.is_set() && !average.is_set() => {
            average.required_because(report, "must set either a target value for metric or a per-pod target");
        }
        "external" if value.is_set() && average.is_set() => {
            value.forbidden(report, "may not set both a target value for metric and a per-pod target");
        }
        "pods" if !average.is_set() => {
            average.required_because(report, "must specify a positive target averageValue");
        }
        "resource" | "containerResource" if !utilization.is_set() && !average.is_set() => {
            utilization
                .required_because(report, "must set either a target raw value or a target utilization");
        }
        "resource" | "containerResource" if utilization.is_set() && average.is_set() => {
            average.forbidden(report, "may not set both a target raw value and a target utilization");
        }
        _ => {}
    }
}

/// `validateMetricTarget`.
fn metric_target(target: &Cursor<'_>, report: &mut Report<'_>) {
    let kind = target.get("type");
    if kind.text().is_empty() {
        kind.required_because(report, "must specify a metric target type");
    }
    if !matches!(kind.text(), "Utilization" | "Value" | "AverageValue") {
        let why = "must be either Utilization, Value, or AverageValue";
        kind.because_of(report, &quoted(kind.text()), why);
    }
    for field in ["value", "averageValue"] {
        let amount = target.get(field);
        let text = amount.value.as_str().map_or_else(|| amount.shown(), str::to_owned);
        if amount.is_set() && quantity::nanos(&text).is_some_and(|nanos| nanos <= 0) {
            amount.because(report, "must be positive");
        }
    }
    let utilization = target.get("averageUtilization");
    if utilization.is_set() && utilization.number() < 1 {
        utilization.because(report, "must be greater than 0");
    }
}

/// `validateScalingRules`.
fn scaling(rules: &Cursor<'_>, report: &mut Report<'_>) {
    let window = rules.get("stabilizationWindowSeconds");
    if window.number() < 0 {
        window.because(report, "must be greater than or equal to zero");
    }
    if window.number() > MOST_WINDOW {
        window.because(report, &format!("must be less than or equal to {MOST_WINDOW}"));
    }
    rules.get("selectPolicy").one_of(report, &["Disabled", "Max", "Min"]);
    let policies = rules.get("policies");
    // Without the field the server's own policies stand.
    if policies.is_set() && policies.len() == 0 {
        policies.required_because(report, "must specify at least one Policy");
    }
    for policy in policies.items() {
        policy.get("type").one_of_any(report, &["Percent", "Pods"]);
        for field in ["value", "periodSeconds"] {
            let amount = policy.get(field);
            if amount.number() <= 0 {
                amount.because_of(report, &amount.number().to_string(), "must be greater than zero");
            }
        }
        let period = policy.get("periodSeconds");
        if period.number() > MOST_PERIOD {
            period.because(report, &format!("must be less than or equal to {MOST_PERIOD}"));
        }
    }
    let tolerance = rules.get("tolerance");
    if quantity::nanos(tolerance.text()).is_some_and(|nanos| nanos < 0) {
        tolerance.fault(report, "invalid.negative", "invalid.negative.hint", &[]);
    }
}
