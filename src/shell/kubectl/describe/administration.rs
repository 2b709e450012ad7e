//! Objects that say who may do what and how much: Secrets, service accounts, roles, quotas, limits, budgets, priorities;
//! and the classes of storage.

use super::{Look, bool_ptr, head, line};
use crate::shell::kubectl::json::{
    at, entries, labels as format_labels, list, number, or, plain, selector, text,
};
use crate::shell::kubectl::resources::of_kind;
use crate::shell::kubectl::{rules, view};
use base64::Engine as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn named(object: &Value, out: &mut String) {
    line(out, &format!("Name:\t{}", text(object, "metadata.name")));
}

fn placed(object: &Value, out: &mut String) {
    named(object, out);
    line(out, &format!("Namespace:\t{}", text(object, "metadata.namespace")));
}

fn strings(value: &Value, path: &str) -> Vec<String> {
    list(value, path).iter().map(plain).collect()
}

/// `describeSecret`: how long the values are, not what they say, except the token of a service account.
pub(super) fn secret(secret: &Value, out: &mut String) {
    head(secret, true, out);
    line(out, &format!("\nType:\t{}", text(secret, "type")));
    line(out, "\nData\n====");
    let data: BTreeMap<&str, &Value> = entries(secret, "data").into_iter().collect();
    for (key, value) in data {
        let bytes = base64::engine::general_purpose::STANDARD.decode(plain(value)).unwrap_or_default();
        if key == "token" && text(secret, "type") == "kubernetes.io/service-account-token" {
            line(out, &format!("{key}:\t{}", String::from_utf8_lossy(&bytes)));
        } else {
            line(out, &format!("{key}:\t{} bytes", bytes.len()));
        }
    }
}

/// `describeServiceAccount`.
pub(super) fn service_account(account: &Value, out: &mut String) {
    head(account, true, out);
    let names: Vec<&str> = list(account, "imagePullSecrets").iter().map(|one| text(one, "name")).collect();
    if names.is_empty() {
        line(out, "Image pull secrets:\t<none>");
    }
    for (at, name) in names.iter().enumerate() {
        let title = if at == 0 { "Image pull secrets:" } else { "                   " };
        line(out, &format!("{title}\t{name}"));
    }
}

/// `RoleDescriber`, `ClusterRoleDescriber`.
pub(super) fn role(role: &Value, out: &mut String) {
    head(role, false, out);
    line(out, "PolicyRule:");
    line(out, "  Resources\tNon-Resource URLs\tResource Names\tVerbs");
    line(out, "  ---------\t-----------------\t--------------\t-----");
    for rule in rules::compact(list(role, "rules")) {
        line(out, &format!("  {}", rule.cells().join("\t")));
    }
}

/// `RoleBindingDescriber`, `ClusterRoleBindingDescriber`.
pub(super) fn binding(binding: &Value, out: &mut String) {
    head(binding, false, out);
    let of = |path: &str| text(binding, path);
    line(out, &format!("Role:\n  Kind:\t{}\n  Name:\t{}", of("roleRef.kind"), of("roleRef.name")));
    line(out, "Subjects:\n  Kind\tName\tNamespace\n  ----\t----\t---------");
    for subject in list(binding, "subjects") {
        let of = |path: &str| text(subject, path);
        line(out, &format!("  {}\t{}\t{}", of("kind"), of("name"), of("namespace")));
    }
}

/// `describeNamespace`, with the quotas and limits that hold in it.
pub(super) fn namespace(namespace: &Value, look: &Look<'_>, out: &mut String) {
    head(namespace, false, out);
    line(out, &format!("Status:\t{}", text(namespace, "status.phase")));
    let name = text(namespace, "metadata.name");
    let within = |kind: &str| -> Vec<Value> {
        let all = of_kind(kind).map(|one| view::objects(look.inventory, one)).unwrap_or_default();
        all.into_iter().filter(|object| text(object, "metadata.namespace") == name).collect()
    };
    let (quotas, ranges) = (within("ResourceQuota"), within("LimitRange"));
    line(out, if quotas.is_empty() { "\nNo resource quota." } else { "\nResource Quotas" });
    for quota in &quotas {
        line(out, &format!("  Name:\t{}", text(quota, "metadata.name")));
        scopes(quota, "  ", out);
        line(out, "  Resource\tUsed\tHard\n  --------\t---\t---");
        amounts(quota, "  ", out);
    }
    if ranges.is_empty() {
        return line(out, "\nNo LimitRange resource.");
    }
    line(out, &format!("\nResource Limits\n {LIMITS}\n {LIMITS_RULE}"));
    for range in &ranges {
        limits(range, " ", out);
    }
}

fn scopes(quota: &Value, indent: &str, out: &mut String) {
    let mut scopes = strings(quota, "spec.scopes");
    if scopes.is_empty() {
        return;
    }
    scopes.sort();
    line(out, &format!("{indent}Scopes:\t{}", scopes.join(", ")));
    let bullet = if indent.is_empty() { " *" } else { "  *" };
    for scope in &scopes {
        let means = match scope.as_str() {
            "Terminating" => {
                "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system."
            }
            "NotTerminating" => {
                "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate."
            }
            "BestEffort" => {
                "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service."
            }
            "NotBestEffort" => {
                "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service."
            }
            _ => continue,
        };
        line(out, &format!("{bullet} {means}"));
    }
}

fn amounts(quota: &Value, indent: &str, out: &mut String) {
    let hard: BTreeMap<&str, &Value> = entries(quota, "status.hard").into_iter().collect();
    let used: BTreeMap<&str, &Value> = entries(quota, "status.used").into_iter().collect();
    for (resource, hard) in hard {
        let used = used.get(resource).map_or("0".to_owned(), |used| plain(used));
        line(out, &format!("{indent}{resource}\t{used}\t{}", plain(hard)));
    }
}

/// `describeQuota`.
pub(super) fn quota(quota: &Value, out: &mut String) {
    placed(quota, out);
    scopes(quota, "", out);
    line(out, "Resource\tUsed\tHard\n--------\t----\t----");
    amounts(quota, "", out);
}

const LIMITS: &str = "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio";
const LIMITS_RULE: &str = "----\t--------\t---\t---\t---------------\t-------------\t-----------------------";

/// `describeLimitRange`. The program goes through a map of Go; here the resources stand in order.
pub(super) fn limit_range(range: &Value, out: &mut String) {
    placed(range, out);
    line(out, LIMITS);
    line(out, LIMITS_RULE);
    limits(range, "", out);
}

fn limits(range: &Value, indent: &str, out: &mut String) {
    const COLUMNS: [&str; 5] = ["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"];
    for item in list(range, "spec.limits") {
        let resources: BTreeSet<&str> =
            COLUMNS.iter().flat_map(|column| entries(item, column)).map(|(resource, _)| resource).collect();
        for resource in resources {
            let cells =
                COLUMNS.map(|column| match item.get(column).and_then(|amounts| amounts.get(resource)) {
                    Some(amount) => plain(amount),
                    None => "-".to_owned(),
                });
            line(out, &format!("{indent}{}\t{resource}\t{}", text(item, "type"), cells.join("\t")));
        }
    }
}

/// `describePodDisruptionBudgetV1`.
pub(super) fn budget(budget: &Value, out: &mut String) {
    placed(budget, out);
    for (title, field) in [("Min available", "minAvailable"), ("Max unavailable", "maxUnavailable")] {
        if let Some(amount) = budget["spec"].get(field) {
            line(out, &format!("{title}:\t{}", plain(amount)));
            break;
        }
    }
    let chosen = if at(budget, "spec.selector").is_null() {
        "<unset>".to_owned()
    } else {
        selector(budget, "spec.selector")
    };
    line(out, &format!("Selector:\t{chosen}\nStatus:"));
    let counts = [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ];
    for (title, field) in counts {
        line(out, &format!("    {title}:\t{}", number(budget, &format!("status.{field}"))));
    }
}

/// `describePriorityClass`.
pub(super) fn priority_class(class: &Value, out: &mut String) {
    named(class, out);
    line(out, &format!("Value:\t{}", number(class, "value")));
    line(out, &format!("GlobalDefault:\t{}", *at(class, "globalDefault") == true));
    line(out, &format!("PreemptionPolicy:\t{}", or(text(class, "preemptionPolicy"), "PreemptLowerPriority")));
    line(out, &format!("Description:\t{}", text(class, "description")));
    line(out, &format!("Annotations:\t{}", format_labels(class, "metadata.annotations")));
}

/// `describeStorageClass`.
pub(super) fn storage_class(class: &Value, out: &mut String) {
    const DEFAULT: [&str; 2] =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    let notes = entries(class, "metadata.annotations");
    let is_default = notes.iter().any(|(key, value)| DEFAULT.contains(key) && **value == "true");
    named(class, out);
    line(out, &format!("IsDefaultClass:\t{}", if is_default { "Yes" } else { "No" }));
    line(out, &format!("Annotations:\t{}", format_labels(class, "metadata.annotations")));
    line(out, &format!("Provisioner:\t{}", text(class, "provisioner")));
    line(out, &format!("Parameters:\t{}", format_labels(class, "parameters")));
    line(out, &format!("AllowVolumeExpansion:\t{}", bool_ptr(class, "allowVolumeExpansion")));
    let options = strings(class, "mountOptions");
    line(out, &format!("MountOptions:{}", if options.is_empty() { "\t<none>" } else { "" }));
    for option in options {
        line(out, &format!("  {option}"));
    }
    line(out, &format!("ReclaimPolicy:\t{}", or(text(class, "reclaimPolicy"), "Delete")));
    line(out, &format!("VolumeBindingMode:\t{}", or(text(class, "volumeBindingMode"), "Immediate")));
}
