//! Roles and their bindings (`pkg/apis/rbac/validation`).

use super::cursor::Cursor;
use super::{names, selector};
use crate::manifest::report::Report;

const GROUP: &str = "rbac.authorization.k8s.io";

/// A `Role` or `ClusterRole`.
pub(super) fn role(kind: &str, root: &Cursor<'_>, report: &mut Report<'_>) {
    for rule in root.get("rules").items() {
        policy(&rule, kind == "Role", report);
    }
    let aggregation = root.get("aggregationRule");
    if aggregation.is_set() {
        let selectors = aggregation.get("clusterRoleSelectors");
        if selectors.len() == 0 {
            let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            selectors.required_because(report, why);
        }
        for one in selectors.items() {
            selector::validate(&one, report);
        }
    }
}

/// `ValidatePolicyRule`.
fn policy(rule: &Cursor<'_>, is_namespaced: bool, report: &mut Report<'_>) {
    let verbs = rule.get("verbs");
    if verbs.len() == 0 {
        verbs.required_because(report, "verbs must contain at least one value");
    }
    let (urls, groups, resources) =
        (rule.get("nonResourceURLs"), rule.get("apiGroups"), rule.get("resources"));
    if urls.len() > 0 {
        if is_namespaced {
            urls.because(report, "namespaced rules cannot apply to non-resource URLs");
        }
        if groups.len() + resources.len() + rule.get("resourceNames").len() > 0 {
            urls.because(report, "rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    if groups.len() == 0 {
        groups.required_because(report, "resource rules must supply at least one api group");
    }
    if resources.len() == 0 {
        resources.required_because(report, "resource rules must supply at least one resource");
    }
}

/// A `RoleBinding` or `ClusterRoleBinding`.
pub(super) fn binding(kind: &str, root: &Cursor<'_>, report: &mut Report<'_>) {
    let is_namespaced = kind == "RoleBinding";
    let role = root.get("roleRef");
    role.get("apiGroup").one_of_or_empty(report, &[GROUP]);
    let kinds: &[&str] = if is_namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    role.get("kind").one_of_any(report, kinds);
    let name = role.get("name");
    if name.text().is_empty() {
        name.required(report);
    }
    name.invalid(report, names::path_segment(name.text()));
    for one in root.get("subjects").items() {
        subject(&one, is_namespaced, report);
    }
}

/// `ValidateRoleBindingSubject`.
fn subject(subject: &Cursor<'_>, is_namespaced: bool, report: &mut Report<'_>) {
    let (kind, name, group) = (subject.get("kind"), subject.get("name"), subject.get("apiGroup"));
    if name.text().is_empty() {
        name.required(report);
    }
    match kind.text() {
        "ServiceAccount" => {
            if !name.text().is_empty() {
                name.invalid(report, names::dns_subdomain(name.text()));
            }
            if !group.text().is_empty() {
                group.one_of(report, &[""]);
            }
            let namespace = subject.get("namespace");
            if !is_namespaced && namespace.text().is_empty() {
                namespace.required(report);
            }
        }
        "User" | "Group" => group.one_of_or_empty(report, &[GROUP]),
        _ => kind.one_of_any(report, &["ServiceAccount", "User", "Group"]),
    }
}
