//! Requests and limits of a container (`ValidateContainerResourceRequirements`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::quantity;
use serde_json::Value;

/// The resources that a container may ask for without a domain in their names.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

pub(super) fn validate(resources: &Cursor<'_>, report: &mut Report<'_>) {
    if !resources.is_set() {
        return;
    }
    let (limits, requests) = (resources.get("limits"), resources.get("requests"));
    for list in [&limits, &requests] {
        for (name, amount) in list.entries() {
            resource(name, &amount, report);
        }
    }
    huge_pages(resources, report);
    for (name, limit) in limits.entries() {
        let Some(most) = amount_of(limit.value) else { continue };
        let Some(request) = requests.value.get(name) else { continue };
        if amount_of(request).is_some_and(|asked| asked > most) {
            let why = format!("must be less than or equal to {name} limit of {}", text_of(limit.value));
            let shown = Value::from(text_of(request)).to_string();
            let place = format!("{}[{name}]", requests.path());
            let args = [&*shown, &*why];
            report.error_near((&place, &requests.path()), "invalid.because", "invalid.because.hint", &args);
        } else if is_extended(name) && amount_of(request) != Some(most) {
            let why = format!("must be equal to {name} limit of {}", text_of(limit.value));
            let shown = Value::from(text_of(request)).to_string();
            report.error(&requests.path(), "invalid.because", Some("invalid.because.hint"), &[&shown, &why]);
        }
    }
    for (name, request) in requests.entries().filter(|(name, _)| is_extended(name)) {
        if limits.value.get(name).is_none() {
            let why = format!("Limit must be set for non overcommitable resources: {}", request.name());
            limits.required_because(report, &why);
        }
    }
}

/// Huge pages are for processes that use a processor and memory as well.
fn huge_pages(resources: &Cursor<'_>, report: &mut Report<'_>) {
    let lists = [resources.get("limits"), resources.get("requests")];
    let has = |is: &dyn Fn(&str) -> bool| lists.iter().any(|list| list.entries().any(|(name, _)| is(name)));
    if has(&|name| name.starts_with("hugepages-")) && !has(&|name| matches!(name, "cpu" | "memory")) {
        resources.forbidden(report, "HugePages require cpu or memory");
    }
}

fn resource(name: &str, amount: &Cursor<'_>, report: &mut Report<'_>) {
    let shown = Value::from(name).to_string();
    amount.named(name, report);
    if !name.contains('/') && !STANDARD.contains(&name) && !name.starts_with("hugepages-") {
        for why in [
            "must be a standard resource type or fully qualified",
            "must be a standard resource for containers",
        ] {
            report.error(&amount.path(), "invalid.because", Some("invalid.because.hint"), &[&shown, why]);
        }
    }
    let Some(nanos) = amount_of(amount.value) else { return };
    if nanos < 0 {
        let shown = Value::from(text_of(amount.value)).to_string();
        report.error(&amount.path(), "invalid.negative", Some("invalid.negative.hint"), &[&shown]);
    }
    if is_extended(name) && nanos % 1_000_000_000 != 0 {
        amount.because(report, "must be an integer");
    }
}

/// Whether it is a resource of a device plug-in, of which a container gets a whole number.
fn is_extended(name: &str) -> bool {
    let domain = name.split_once('/').map(|(domain, _)| domain);
    domain.is_some_and(|domain| domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io"))
}

fn amount_of(value: &Value) -> Option<i128> {
    quantity::nanos(&text_of(value))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
