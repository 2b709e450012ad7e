//! Controllers that make Pods: their selectors, templates and strategies (`pkg/apis/apps/validation`), and what limits
//! their going (`pkg/apis/policy/validation`).

use super::cursor::Cursor;
use super::{job, meta, pod, selector};
use crate::manifest::report::Report;

/// A controller of this kind.
pub(super) fn validate(kind: &str, spec: &Cursor<'_>, report: &mut Report<'_>) {
    for field in NOT_NEGATIVE {
        spec.get(field).not_negative(report);
    }
    let template = spec.get("template");
    pod_template(&template, report);
    match kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => {
            selected(kind, spec, report);
            runs_for_ever(&template, report);
        }
        "Job" => job::validate(spec, report),
        "ReplicationController" => replication_controller(spec, report),
        _ => {}
    }
    match kind {
        "Deployment" => deployment_strategy(spec, report),
        "StatefulSet" => stateful_set(spec, report),
        "DaemonSet" => daemon_set_strategy(spec, report),
        _ => {}
    }
}

/// A `ControllerRevision`.
pub(super) fn revision(root: &Cursor<'_>, report: &mut Report<'_>) {
    let data = root.get("data");
    if !data.is_set() {
        data.required_because(report, "data is mandatory");
    }
    root.get("revision").not_negative(report);
}

const NOT_NEGATIVE: [&str; 8] = [
    "replicas",
    "minReadySeconds",
    "revisionHistoryLimit",
    "parallelism",
    "completions",
    "backoffLimit",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
];

/// The Pods that a controller makes must be valid as well.
pub(super) fn pod_template(template: &Cursor<'_>, report: &mut Report<'_>) {
    let metadata = template.get("metadata");
    meta::labels(&metadata.get("labels"), report);
    meta::annotations(&metadata.get("annotations"), report);
    pod::validate(&template.get("spec"), pod::Owner::Template, report);
}

/// The selector must select something, and the controller's own Pods above all.
fn selected(kind: &str, spec: &Cursor<'_>, report: &mut Report<'_>) {
    let selector = spec.get("selector");
    if selector.is_set() {
        selector::validate(&selector, report);
    } else {
        selector.required(report);
    }
    if selector.is_set() && selector::is_empty(&selector) {
        let name = kind.to_lowercase();
        return selector.fault(report, "invalid.empty-selector", "invalid.empty-selector.hint", &[&name]);
    }
    // What is not there selects nothing, not even the controller's own Pods.
    let labels = spec.get("template").get("metadata").get("labels");
    if !selector.is_set() || !selector::matches(&selector, &labels) {
        let shown = if labels.is_set() { labels.shown() } else { "null".to_owned() };
        report.error(&labels.path(), "invalid.unselected", Some("invalid.unselected.hint"), &[&shown]);
    }
}

/// A selector of plain labels; without one the template's own labels are taken.
fn replication_controller(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let (selector, labels) = (spec.get("selector"), spec.get("template").get("metadata").get("labels"));
    meta::labels(&selector, report);
    if selector.entries().next().is_none() && labels.entries().next().is_none() {
        selector.required(report);
    } else if selector.entries().any(|(key, value)| labels.get(key).text() != value.text()) {
        let shown = if labels.is_set() { labels.shown() } else { "null".to_owned() };
        report.error(&labels.path(), "invalid.unselected", Some("invalid.unselected.hint"), &[&shown]);
    }
    runs_for_ever(&spec.get("template"), report);
}

fn runs_for_ever(template: &Cursor<'_>, report: &mut Report<'_>) {
    let spec = template.get("spec");
    let policy = spec.get("restartPolicy");
    if matches!(policy.text(), "OnFailure" | "Never") {
        policy.one_of(report, &["Always"]);
    }
    let deadline = spec.get("activeDeadlineSeconds");
    if deadline.is_set() {
        deadline.forbidden(report, "activeDeadlineSeconds in ReplicaSet is not Supported");
    }
}

fn is_zero(field: &Cursor<'_>) -> bool {
    match field.value.as_str() {
        Some(text) => text.trim_end_matches('%').parse::<u32>() == Ok(0),
        None => field.is_set() && field.number() == 0,
    }
}

/// `ValidateDeploymentStrategy`.
fn deployment_strategy(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let strategy = spec.get("strategy");
    let (kind, rolling) = (strategy.get("type"), strategy.get("rollingUpdate"));
    kind.one_of_or_empty(report, &["Recreate", "RollingUpdate"]);
    let deadline = spec.get("progressDeadlineSeconds");
    deadline.not_negative(report);
    if deadline.is_set() && deadline.number() <= spec.get("minReadySeconds").number() {
        deadline.fault(report, "invalid.deadline", "invalid.deadline.hint", &[]);
    }
    if kind.text() == "Recreate" {
        if rolling.is_set() {
            rolling.fault(report, "invalid.recreate", "invalid.recreate.hint", &[]);
        }
        return;
    }
    for field in ["maxUnavailable", "maxSurge"] {
        amount(&rolling.get(field), report);
    }
    let unavailable = rolling.get("maxUnavailable");
    if is_zero(&unavailable) && is_zero(&rolling.get("maxSurge")) {
        unavailable.fault(report, "invalid.no-rollout", "invalid.no-rollout.hint", &[]);
    }
    at_most_all(&unavailable, report);
}

/// `IsNotMoreThan100Percent`.
fn at_most_all(field: &Cursor<'_>, report: &mut Report<'_>) {
    let percent = field.text().strip_suffix('%').and_then(|digits| digits.parse::<u32>().ok());
    if percent.is_some_and(|percent| percent > 100) {
        field.because(report, "must not be greater than 100%");
    }
}

/// `ValidateStatefulSetSpec`.
fn stateful_set(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let management = spec.get("podManagementPolicy");
    if !matches!(management.text(), "" | "OrderedReady" | "Parallel") {
        management.because(report, "must be 'OrderedReady' or 'Parallel'");
    }
    let strategy = spec.get("updateStrategy");
    let (kind, rolling) = (strategy.get("type"), strategy.get("rollingUpdate"));
    match kind.text() {
        "" | "RollingUpdate" => {
            rolling.get("partition").not_negative(report);
            let unavailable = rolling.get("maxUnavailable");
            amount(&unavailable, report);
            at_most_all(&unavailable, report);
        }
        "OnDelete" if rolling.is_set() => {
            rolling.because(report, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "OnDelete" => {}
        _ => strategy.because(report, "must be 'RollingUpdate' or 'OnDelete'"),
    }
    for field in ["whenDeleted", "whenScaled"] {
        spec.get("persistentVolumeClaimRetentionPolicy").get(field).one_of(report, &["Retain", "Delete"]);
    }
    spec.get("ordinals").get("start").not_negative(report);
}

/// `ValidateDaemonSetUpdateStrategy`, with the defaults 1 and 0.
fn daemon_set_strategy(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let strategy = spec.get("updateStrategy");
    let (kind, rolling) = (strategy.get("type"), strategy.get("rollingUpdate"));
    kind.one_of_or_empty(report, &["RollingUpdate", "OnDelete"]);
    if kind.text() == "OnDelete" {
        return;
    }
    let (unavailable, surge) = (rolling.get("maxUnavailable"), rolling.get("maxSurge"));
    for field in [&unavailable, &surge] {
        amount(field, report);
        at_most_all(field, report);
    }
    let has_surge = surge.is_set() && !is_zero(&surge);
    if has_surge && !is_zero(&unavailable) {
        surge.because(report, "may not be set when maxUnavailable is non-zero");
    } else if !has_surge && is_zero(&unavailable) {
        unavailable.required_because(report, "cannot be 0 when maxSurge is 0");
    }
}

/// `ValidatePodDisruptionBudgetSpec`.
pub(super) fn disruption_budget(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let amounts = ["minAvailable", "maxUnavailable"].map(|field| spec.get(field));
    if amounts.iter().all(Cursor::is_set) {
        spec.because(report, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in amounts.iter().filter(|field| field.is_set()) {
        amount(field, report);
        at_most_all(field, report);
    }
    let selector = spec.get("selector");
    if selector.is_set() {
        selector::validate(&selector, report);
    }
    spec.get("unhealthyPodEvictionPolicy").one_of(report, &["AlwaysAllow", "IfHealthyBudget"]);
}

/// A number or a percentage (`ValidatePositiveIntOrPercent`).
fn amount(field: &Cursor<'_>, report: &mut Report<'_>) {
    match field.value.as_str() {
        Some(text) => {
            let digits = text.strip_suffix('%').unwrap_or("");
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                field.fault(report, "invalid.percent", "invalid.percent.hint", &[]);
            }
        }
        None => field.not_negative(report),
    }
}
