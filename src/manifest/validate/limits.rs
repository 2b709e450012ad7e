//! Resource quotas and limit ranges (`ValidateResourceQuota`, `ValidateLimitRange`).

use super::cursor::{Cursor, quoted};
use super::{names, resource};
use crate::base::quantity;
use crate::manifest::report::Report;
use serde_json::Value;
use std::collections::BTreeSet;

/// What Pods use that scopes tell apart (`podComputeQuotaResources`).
const COMPUTE: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];
/// Scopes that a Pod is in or not, so that nothing can be said of them but that they exist.
const PLAIN: [&str; 5] =
    ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "Terminating"];
const PLAIN_OPERATOR: &str = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
/// Pairs of scopes of which no Pod is in both.
const OPPOSITES: [(&str, &str); 2] = [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")];

/// A `ResourceQuota`.
pub(super) fn quota(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let hard = spec.get("hard");
    for (name, amount) in hard.entries() {
        resource::named_of_quota(&amount, name, report);
        resource::amount(&amount, name, report);
    }
    let scopes = spec.get("scopes");
    for scope in scopes.items() {
        if !SCOPES.contains(&scope.text()) {
            scopes.because(report, "unsupported scope");
        }
        for _ in told_apart_wrongly(scope.text(), &hard) {
            scopes.because(report, "unsupported scope applied to resource");
        }
    }
    let named: Vec<&str> = scopes.items().map(|scope| scope.text()).collect();
    if is_contradictory(&named) {
        scopes.because(report, "conflicting scopes");
    }
    scope_selector(spec, report);
}

fn is_contradictory(scopes: &[&str]) -> bool {
    OPPOSITES.iter().any(|(one, other)| scopes.contains(one) && scopes.contains(other))
}

/// Resources of a quota whose uses a scope does not tell apart.
fn told_apart_wrongly<'v>(scope: &str, hard: &Cursor<'v>) -> Vec<&'v String> {
    let wrong = |(name, _): (&'v String, Cursor<'v>)| {
        (resource::is_of_quota(name) && !tells_apart(scope, name)).then_some(name)
    };
    hard.entries().filter_map(wrong).collect()
}

/// `validateScopedResourceSelectorRequirement`. The API server names the list without an index as the place.
fn scope_selector(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let (selector, hard) = (spec.get("scopeSelector"), spec.get("hard"));
    let list = selector.get("matchExpressions");
    let mut named = Vec::new();
    for one in list.items() {
        let (scope, operator, values) = (one.get("scopeName"), one.get("operator"), one.get("values"));
        let at = |field: &str| format!("{}.{field}", list.path());
        if !SCOPES.contains(&scope.text()) {
            scope.because_at(report, &at("scopeName"), (&quoted(scope.text()), "unsupported scope"));
        }
        for _ in told_apart_wrongly(scope.text(), &hard) {
            list.because_of(report, &internal(&list), "unsupported scope applied to resource");
        }
        if PLAIN.contains(&scope.text()) && operator.text() != "Exists" {
            operator.because_at(report, &at("operator"), (&quoted(operator.text()), PLAIN_OPERATOR));
        }
        match operator.text() {
            "In" | "NotIn" if values.len() == 0 => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                let places = (&*values.path(), &*at("values"));
                report.error_near(
                    places,
                    "invalid.required-because",
                    "invalid.required.hint",
                    &["values", why],
                );
            }
            "Exists" | "DoesNotExist" if values.len() > 0 => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                values.because_at(report, &at("values"), (&values.shown(), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => {
                let args = (&*quoted(operator.text()), "not a valid selector operator");
                operator.because_at(report, &at("operator"), args);
            }
        }
        named.push(scope.text());
    }
    if is_contradictory(&named) {
        list.because_of(report, &spec.get("scopes").shown(), "conflicting scopes");
    }
}

/// A selector of scopes as the API server shows its own form of it.
fn internal(list: &Cursor<'_>) -> String {
    let one = |item: Cursor<'_>| {
        let text = |field: &'static str| quoted(item.get(field).text());
        let values = item.get("values").shown();
        format!(
            "{{\"ScopeName\":{},\"Operator\":{},\"Values\":{values}}}",
            text("scopeName"),
            text("operator")
        )
    };
    let items: Vec<String> = list.items().map(one).collect();
    format!("{{\"MatchExpressions\":[{}]}}", items.join(","))
}

/// Whether a scope tells the uses of a resource apart (`IsResourceQuotaScopeValidForResource`).
fn tells_apart(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ if SCOPES.contains(&scope) => resource == "pods" || COMPUTE.contains(&resource),
        _ => true,
    }
}

/// A `LimitRange`.
pub(super) fn range(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for item in spec.get("limits").items() {
        let kind = item.get("type");
        range_type(&kind, report);
        if !seen.insert(kind.text()) {
            kind.duplicate(report);
        }
        let is_pod = kind.text() == "Pod";
        let mut names = BTreeSet::new();
        for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
            let amounts = item.get(field);
            if is_pod && matches!(field, "default" | "defaultRequest") {
                if amounts.entries().next().is_some() {
                    amounts.forbidden(report, "may not be specified when `type` is 'Pod'");
                }
                continue;
            }
            for (name, amount) in amounts.entries() {
                match kind.text() {
                    "Pod" | "Container" => resource::named_of_container(&amount, name, report),
                    _ => resource::named(&amount, name, report),
                }
                names.insert(name);
            }
        }
        let has_storage = |field: &str| item.get(field).get("storage").is_set();
        if kind.text() == "PersistentVolumeClaim" && !has_storage("min") && !has_storage("max") {
            let why = "either minimum or maximum storage value is required, but neither was provided";
            item.get("limits").required_because(report, why);
        }
        for name in names {
            compare(&item, name, report);
        }
    }
}

/// `validateLimitRangeTypeName`.
fn range_type(kind: &Cursor<'_>, report: &mut Report<'_>) {
    let faults = names::qualified_name(kind.text());
    if !faults.is_empty() {
        return kind.faulty(report, &quoted(kind.text()), faults);
    }
    if !kind.text().contains('/') && !matches!(kind.text(), "Pod" | "Container" | "PersistentVolumeClaim") {
        kind.because(report, "must be a standard limit type or fully qualified");
    }
}

/// The amounts of one resource against each other. For containers the server has filled in what was left out.
fn compare<'v>(item: &Cursor<'v>, name: &'v str, report: &mut Report<'_>) {
    let written = |field: &'v str| item.get(field).get(name).value;
    let or = |value: &'v Value, otherwise: &'v Value| if value.is_null() { otherwise } else { value };
    let (least, most) = (written("min"), written("max"));
    let (mut limit, mut request) = (written("default"), written("defaultRequest"));
    match item.get("type").text() {
        "Container" => {
            limit = or(limit, most);
            request = or(or(request, limit), least);
        }
        // A Pod has neither, and what is written all the same is refused as such alone.
        "Pod" => (limit, request) = (&Value::Null, &Value::Null),
        _ => {}
    }
    let mut check = |field: &str, (low, low_name): (&Value, &str), (high, high_name): (&Value, &str)| {
        let (Some(below), Some(above)) = (quantity::of_json(low), quantity::of_json(high)) else { return };
        if below > above {
            let (low, high) = (quantity::canonical(low), quantity::canonical(high));
            let shown = match field {
                "min" | "default" if low_name == "min" => &low,
                "default" => &high,
                _ if low_name == "min" => &high,
                _ => &low,
            };
            let why = format!("{low_name} value {low} is greater than {high_name} value {high}");
            let path = format!("{}.{field}[{name}]", item.path());
            report.error(&path, "invalid.because", Some("invalid.because.hint"), &[&quoted(shown), &why]);
        }
    };
    check("min", (least, "min"), (most, "max"));
    check("defaultRequest", (least, "min"), (request, "default request"));
    check("defaultRequest", (request, "default request"), (most, "max"));
    check("defaultRequest", (request, "default request"), (limit, "default limit"));
    check("default", (least, "min"), (limit, "default"));
    check("default", (limit, "default"), (most, "max"));
    ratio(item, name, report);
    let both = quantity::of_json(limit).zip(quantity::of_json(request));
    if both.is_some_and(|(limit, request)| limit != request) && !resource::may_be_exceeded(name) {
        let (limit, asked) = (quantity::canonical(limit), quantity::canonical(request));
        let why = format!("default value {limit} must equal to defaultRequest value {asked} in {name}");
        let path = format!("{}.defaultRequest[{name}]", item.path());
        report.error(&path, "invalid.because", Some("invalid.because.hint"), &[&quoted(asked), &why]);
    }
}

/// How far a limit may be above its request: at least as far as not at all, at most as far as the bounds are apart.
fn ratio<'v>(item: &Cursor<'v>, name: &'v str, report: &mut Report<'_>) {
    let ratio = item.get("maxLimitRequestRatio").get(name);
    let Some(times) = quantity::of_json(ratio.value) else { return };
    let text = quantity::canonical(ratio.value);
    let mut wrong = |why: &str| {
        let path = format!("{}.maxLimitRequestRatio[{name}]", item.path());
        report.error(&path, "invalid.because", Some("invalid.because.hint"), &[&quoted(&text), why]);
    };
    if times < resource::ONE {
        wrong(&format!("ratio {text} is less than 1"));
    }
    let bound = |field: &'v str| quantity::of_json(item.get(field).get(name).value);
    let (Some(least), Some(most)) = (bound("min"), bound("max")) else { return };
    if least > 0 && times * least > most * resource::ONE {
        // Six places behind the point, rounded half up.
        let millionths = (most * 2_000_000 + least) / (2 * least);
        let (whole, places) = (millionths / 1_000_000, millionths % 1_000_000);
        wrong(&format!("ratio {text} is greater than max/min = {whole}.{places:06}"));
    }
}
