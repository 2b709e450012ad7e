//! Requests and limits of a container (`ValidateContainerResourceRequirements`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::{Cursor, quoted};
use crate::manifest::validate::{quantity, resource};
use serde_json::Value;
use std::collections::BTreeSet;

/// `claims` are the names of the Pod's `resourceClaims`.
pub(super) fn validate(resources: &Cursor<'_>, claims: &BTreeSet<&str>, report: &mut Report<'_>) {
    if !resources.is_set() {
        return;
    }
    let (limits, requests) = (resources.get("limits"), resources.get("requests"));
    for (name, amount) in limits.entries() {
        resource::named_of_container(&amount, name, report);
        resource::amount(&amount, name, report);
        huge_pages_fit(&amount, name, report);
    }
    for (name, amount) in requests.entries() {
        resource::named_of_container(&amount, name, report);
        resource::amount(&amount, name, report);
        within_limit(&amount, name, (&limits, &requests), report);
        huge_pages_fit(&amount, name, report);
    }
    let has = |is: &dyn Fn(&str) -> bool| {
        [&limits, &requests].iter().any(|list| list.entries().any(|(name, _)| is(name)))
    };
    if has(&resource::is_huge) && !has(&|name| matches!(name, "cpu" | "memory")) {
        resources.forbidden(report, "HugePages require cpu or memory");
    }
    claimed(&resources.get("claims"), claims, report);
}

/// A request against the limit: at most as much, and exactly that of what cannot be shared out more than once.
fn within_limit(
    request: &Cursor<'_>,
    name: &str,
    (limits, requests): (&Cursor<'_>, &Cursor<'_>),
    report: &mut Report<'_>,
) {
    let Some(limit) = limits.value.get(name) else {
        if !resource::may_be_exceeded(name) {
            limits.required_because(report, "Limit must be set for non overcommitable resources");
        }
        return;
    };
    let (Some(asked), Some(most)) = (amount_of(request.value), amount_of(limit)) else { return };
    let relation = if asked != most && !resource::may_be_exceeded(name) {
        "must be equal to"
    } else if asked > most {
        "must be less than or equal to"
    } else {
        return;
    };
    let most = crate::base::quantity::canonical(limit);
    let why = format!("{relation} {name} limit of {most}");
    // The API server names all requests as the place.
    request.because_at(report, &requests.path(), (&resource::shown(request.value), &why));
}

/// `validateResourceQuantityHugePageValue`: whole pages.
fn huge_pages_fit(amount: &Cursor<'_>, name: &str, report: &mut Report<'_>) {
    let Some(size) = name.strip_prefix("hugepages-").and_then(quantity::nanos) else { return };
    let Some(wanted) = amount_of(amount.value) else { return };
    if size > 0 && (wanted <= 0 || wanted % size != 0) {
        let text = crate::base::quantity::canonical(amount.value);
        let why = format!("{text} is not positive integer multiple of {name}");
        amount.because_of(report, &quoted(&text), &why);
    }
}

/// `validateResourceClaimNames`.
fn claimed(list: &Cursor<'_>, claims: &BTreeSet<&str>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for claim in list.items() {
        let name = claim.get("name");
        let shown = quoted(name.text());
        if name.text().is_empty() {
            claim.required(report);
            continue;
        }
        if !seen.insert(name.text()) {
            report.error(&claim.path(), "invalid.duplicate", Some("invalid.duplicate.hint"), &[&shown]);
        }
        if !claims.contains(name.text()) {
            let known = claims.iter().copied().collect::<Vec<_>>().join(", ");
            let rest = if known.is_empty() { " which is empty".to_owned() } else { format!(": {known}") };
            let why = format!("{shown}: must be one of the names in pod.spec.resourceClaims{rest}");
            report.error(&claim.path(), "invalid.no-volume", Some("invalid.no-claim.hint"), &[&why]);
        }
    }
}

fn amount_of(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => quantity::nanos(text),
        Value::Number(number) => quantity::nanos(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
