//! What limits and allows: quotas, disruption budgets, roles and bindings, and the classes of storage and priority.

use super::{annotations, head, labels, line};
use crate::shell::kubectl::json::{
    at, entries, labels as format_labels, list, number, plain, selector, text,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What `describe` says of a scope (`helpTextForResourceQuotaScope`).
fn help(scope: &str) -> &'static str {
    match scope {
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
        _ => "",
    }
}

/// `describeQuota`.
pub(super) fn quota(quota: &Value, out: &mut String) {
    line(out, &format!("Name:\t{}", text(quota, "metadata.name")));
    line(out, &format!("Namespace:\t{}", text(quota, "metadata.namespace")));
    let scopes: BTreeSet<&str> = list(quota, "spec.scopes").iter().filter_map(Value::as_str).collect();
    if !scopes.is_empty() {
        let all: Vec<&str> = scopes.iter().copied().collect();
        line(out, &format!("Scopes:\t{}", all.join(", ")));
        for text in scopes.iter().map(|scope| help(scope)).filter(|text| !text.is_empty()) {
            line(out, &format!(" * {text}"));
        }
    }
    line(out, "Resource\tUsed\tHard\n--------\t----\t----");
    let (used, hard) = (entries(quota, "status.used"), entries(quota, "status.hard"));
    let used: BTreeMap<&str, &Value> = used.into_iter().collect();
    let hard: BTreeMap<&str, &Value> = hard.into_iter().collect();
    for (name, most) in hard {
        let used = used.get(name).map_or_else(|| "0".to_owned(), |used| plain(used));
        line(out, &format!("{name}\t{used}\t{}", plain(most)));
    }
}

/// `describePodDisruptionBudget`.
pub(super) fn budget(budget: &Value, out: &mut String) {
    line(out, &format!("Name:\t{}", text(budget, "metadata.name")));
    line(out, &format!("Namespace:\t{}", text(budget, "metadata.namespace")));
    let (least, most) = (at(budget, "spec.minAvailable"), at(budget, "spec.maxUnavailable"));
    if !least.is_null() {
        line(out, &format!("Min available:\t{}", plain(least)));
    } else if !most.is_null() {
        line(out, &format!("Max unavailable:\t{}", plain(most)));
    }
    let chosen = if at(budget, "spec.selector").is_null() {
        "<unset>".to_owned()
    } else {
        selector(budget, "spec.selector")
    };
    line(out, &format!("Selector:\t{chosen}"));
    line(out, "Status:");
    for (title, field) in [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ] {
        line(out, &format!("    {title}:\t{}", number(budget, &format!("status.{field}"))));
    }
}

/// `describeStorageClass`.
pub(super) fn storage_class(class: &Value, out: &mut String) {
    line(out, &format!("Name:\t{}", text(class, "metadata.name")));
    let own = entries(class, "metadata.annotations");
    let is_default = own
        .iter()
        .any(|(key, value)| key.ends_with("storageclass.kubernetes.io/is-default-class") && *value == "true");
    line(out, &format!("IsDefaultClass:\t{}", if is_default { "Yes" } else { "No" }));
    annotations(class, out);
    line(out, &format!("Provisioner:\t{}", text(class, "provisioner")));
    line(out, &format!("Parameters:\t{}", format_labels(class, "parameters")));
    let expansion = match at(class, "allowVolumeExpansion").as_bool() {
        None => "<unset>",
        Some(true) => "True",
        Some(false) => "False",
    };
    line(out, &format!("AllowVolumeExpansion:\t{expansion}"));
    let options = list(class, "mountOptions");
    line(out, if options.is_empty() { "MountOptions:\t<none>" } else { "MountOptions:" });
    for option in options {
        line(out, &format!("  {}", plain(option)));
    }
    for (title, field) in [("ReclaimPolicy", "reclaimPolicy"), ("VolumeBindingMode", "volumeBindingMode")] {
        if !at(class, field).is_null() {
            line(out, &format!("{title}:\t{}", text(class, field)));
        }
    }
}

/// `describePriorityClass`.
pub(super) fn priority_class(class: &Value, out: &mut String) {
    line(out, &format!("Name:\t{}", text(class, "metadata.name")));
    line(out, &format!("Value:\t{}", number(class, "value")));
    line(out, &format!("GlobalDefault:\t{}", *at(class, "globalDefault") == true));
    line(out, &format!("PreemptionPolicy:\t{}", text(class, "preemptionPolicy")));
    line(out, &format!("Description:\t{}", text(class, "description")));
    line(out, &format!("Annotations:\t{}", format_labels(class, "metadata.annotations")));
}

/// `RoleDescriber` and `ClusterRoleDescriber`: a line for each resource or path, with all that may be done with it.
pub(super) fn role(role: &Value, out: &mut String) {
    head(role, false, out);
    line(out, "PolicyRule:");
    line(out, "  Resources\tNon-Resource URLs\tResource Names\tVerbs");
    line(out, "  ---------\t-----------------\t--------------\t-----");
    // Verbs about the same resource are one rule (`BreakdownRule`, `CompactRules`); those about paths stay apart.
    let mut by_resource: BTreeMap<(String, String, Option<String>), Vec<String>> = BTreeMap::new();
    let mut rows: Vec<(String, String)> = Vec::new();
    for rule in list(role, "rules") {
        let texts = |field: &str| -> Vec<String> { list(rule, field).iter().map(plain).collect() };
        let (verbs, names) = (texts("verbs"), texts("resourceNames"));
        let names: Vec<Option<String>> =
            if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for group in texts("apiGroups") {
            for resource in texts("resources") {
                for name in &names {
                    let known =
                        by_resource.entry((group.clone(), resource.clone(), name.clone())).or_default();
                    for verb in &verbs {
                        if !known.contains(verb) {
                            known.push(verb.clone());
                        }
                    }
                }
            }
        }
        for url in texts("nonResourceURLs") {
            rows.extend(verbs.iter().map(|verb| {
                let key =
                    format!("[{verb}],APIGroups:[],Resources:[],ResourceNames:[],NonResourceURLs:[{url}]");
                (key, format!("  \t[{url}]\t[]\t[{verb}]"))
            }));
        }
    }
    for ((group, resource, name), verbs) in by_resource {
        let dot = if group.is_empty() { "" } else { "." };
        // A subresource stands behind the group.
        let full = match resource.split_once('/') {
            Some((resource, sub)) => format!("{resource}{dot}{group}/{sub}"),
            None => format!("{resource}{dot}{group}"),
        };
        let (name, verbs) = (name.unwrap_or_default(), verbs.join(" "));
        let key = format!("[{verbs}],APIGroups:[{group}],Resources:[{resource}],ResourceNames:[{name}]");
        rows.push((key, format!("  {full}\t[]\t[{name}]\t[{verbs}]")));
    }
    // As the texts of the rules are sorted, in which the verbs stand first (`SortableRuleSlice`).
    rows.sort();
    for (_, row) in rows {
        line(out, &row);
    }
}

/// `RoleBindingDescriber` and `ClusterRoleBindingDescriber`.
pub(super) fn binding(binding: &Value, out: &mut String) {
    line(out, &format!("Name:\t{}", text(binding, "metadata.name")));
    labels(binding, "Labels", "metadata.labels", out);
    annotations(binding, out);
    line(out, "Role:");
    line(out, &format!("  Kind:\t{}", text(binding, "roleRef.kind")));
    line(out, &format!("  Name:\t{}", text(binding, "roleRef.name")));
    line(out, "Subjects:\n  Kind\tName\tNamespace\n  ----\t----\t---------");
    for subject in list(binding, "subjects") {
        let of = |field: &str| text(subject, field);
        line(out, &format!("  {}\t{}\t{}", of("kind"), of("name"), of("namespace")));
    }
}
