//! Resource quotas and limit ranges (`ValidateResourceQuota`, `ValidateLimitRange`).

use super::cursor::Cursor;
use crate::manifest::quantity;
use crate::manifest::report::Report;
use serde_json::Value;
use std::collections::BTreeSet;

/// One, in the thousandths in which amounts are counted.
const ONE: i128 = 1_000;
/// Resources that are whole numbers (`integerResources`).
const WHOLE: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// The others that a quota can name without a domain (`standardQuotaResources`).
const AMOUNTS: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
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

fn is_standard(name: &str) -> bool {
    WHOLE.contains(&name)
        || AMOUNTS.contains(&name)
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-")
}

/// A `ResourceQuota`.
pub(super) fn quota(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let hard = spec.get("hard");
    for (name, amount) in hard.entries() {
        let shown = format!("{name:?}");
        amount.named(name, report);
        if !name.contains('/') && !is_standard(name) {
            amount.because_of(report, &shown, "must be a standard resource type or fully qualified");
            amount.because_of(report, &shown, "must be a standard resource for quota");
        }
        let Some(value) = quantity::of_json(amount.value) else { continue };
        if value < 0 {
            amount.fault(report, "invalid.negative", "invalid.negative.hint", &[]);
        }
        if WHOLE.contains(&name.as_str()) && value % ONE != 0 {
            amount.because(report, "must be an integer");
        }
    }
    let scopes = spec.get("scopes");
    let has = |scope: &str| scopes.items().any(|one| one.text() == scope);
    for scope in scopes.items() {
        if !SCOPES.contains(&scope.text()) {
            scopes.because(report, "unsupported scope");
        }
        for (name, _) in hard.entries().filter(|(name, _)| is_standard(name)) {
            if !tells_apart(scope.text(), name) {
                scopes.because(report, "unsupported scope applied to resource");
            }
        }
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if has(one) && has(other) {
            scopes.because(report, "conflicting scopes");
        }
    }
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
        if !kind.text().contains('/')
            && !matches!(kind.text(), "" | "Pod" | "Container" | "PersistentVolumeClaim")
        {
            kind.because(report, "must be a standard limit type or fully qualified");
        }
        if !seen.insert(kind.text()) {
            kind.duplicate(report);
        }
        if kind.text() == "Pod" {
            for field in ["default", "defaultRequest"] {
                let field = item.get(field);
                if field.entries().next().is_some() {
                    field.forbidden(report, "may not be specified when `type` is 'Pod'");
                }
            }
        }
        let has_storage = |field: &str| item.get(field).get("storage").is_set();
        if kind.text() == "PersistentVolumeClaim" && !has_storage("min") && !has_storage("max") {
            let why = "either minimum or maximum storage value is required, but neither was provided";
            item.get("limits").required_because(report, why);
        }
        let fields = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
        let resources: BTreeSet<&String> = fields
            .into_iter()
            .flat_map(|field| item.get(field).entries().map(|(name, _)| name).collect::<Vec<_>>())
            .collect();
        for name in resources {
            for amount in fields.iter().map(|field| item.get(field).get(name)).filter(Cursor::is_set) {
                amount.named(name, report);
            }
            compare(&item, name, report);
        }
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
            let shown = format!("{shown:?}");
            report.error(&path, "invalid.because", Some("invalid.because.hint"), &[&shown, &why]);
        }
    };
    check("min", (least, "min"), (most, "max"));
    check("defaultRequest", (least, "min"), (request, "default request"));
    check("defaultRequest", (request, "default request"), (most, "max"));
    check("defaultRequest", (request, "default request"), (limit, "default limit"));
    check("default", (least, "min"), (limit, "default"));
    check("default", (limit, "default"), (most, "max"));
    let ratio = item.get("maxLimitRequestRatio").get(name);
    if quantity::of_json(ratio.value).is_some_and(|ratio| ratio < ONE) {
        let path = format!("{}.maxLimitRequestRatio[{name}]", item.path());
        let (shown, why) =
            (ratio.shown(), format!("ratio {} is less than 1", quantity::canonical(ratio.value)));
        report.error(&path, "invalid.because", Some("invalid.because.hint"), &[&shown, &why]);
    }
}
