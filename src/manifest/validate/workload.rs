//! Controllers that make Pods: their selectors, templates and strategies (`pkg/apis/apps/validation`), and what limits
//! their going (`pkg/apis/policy/validation`).

use super::cursor::{Cursor, quoted};
use super::{internal, job, meta, pod, selector};
use crate::manifest::report::Report;

/// A controller of this kind.
pub(super) fn validate(kind: &str, root: &Cursor<'_>, report: &mut Report<'_>) {
    let spec = &root.get("spec");
    match kind {
        "Deployment" => deployment(spec, report),
        "ReplicaSet" => replica_set(spec, report),
        "StatefulSet" => stateful_set(spec, report),
        "DaemonSet" => daemon_set(spec, report),
        "Job" => job::validate(root, report),
        "ReplicationController" => replication_controller(spec, report),
        _ => {}
    }
}

/// `ValidateDeploymentSpec`.
fn deployment(spec: &Cursor<'_>, report: &mut Report<'_>) {
    spec.get("replicas").not_negative(report);
    if selected("deployment", spec, report) {
        for_ever("ReplicaSet", spec, &[], report);
    }
    deployment_strategy(&spec.get("strategy"), report);
    let ready = spec.get("minReadySeconds");
    ready.not_negative(report);
    spec.get("revisionHistoryLimit").not_negative(report);
    let deadline = spec.get("progressDeadlineSeconds");
    deadline.not_negative(report);
    if deadline.is_set() && deadline.number() <= ready.number() {
        deadline.fault(report, "invalid.deadline", "invalid.deadline.hint", &[]);
    }
}

/// `ValidateReplicaSetSpec`, which takes an empty selector for that of a Deployment.
fn replica_set(spec: &Cursor<'_>, report: &mut Report<'_>) {
    spec.get("replicas").not_negative(report);
    spec.get("minReadySeconds").not_negative(report);
    if selected("deployment", spec, report) {
        for_ever("ReplicaSet", spec, &[], report);
    }
}

/// `ValidateDaemonSetSpec`: without a selector nothing is selected, and of a wrong one nothing more is said.
fn daemon_set(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let selector = spec.get("selector");
    let n_found = report.n_found();
    selector::validate(&selector, report);
    if report.n_found() == n_found {
        matched(spec, report);
    }
    if selector.is_set() && selector::is_empty(&selector) {
        selector.fault(report, "invalid.empty-selector", "invalid.empty-selector.hint", &["daemonset"]);
    }
    for_ever("DaemonSet", spec, &[], report);
    spec.get("minReadySeconds").not_negative(report);
    daemon_set_strategy(spec, report);
    spec.get("revisionHistoryLimit").not_negative(report);
}

/// A `ControllerRevision`.
pub(super) fn revision(root: &Cursor<'_>, report: &mut Report<'_>) {
    let data = root.get("data");
    if !data.is_set() {
        data.required_because(report, "data is mandatory");
    }
    root.get("revision").not_negative(report);
}

/// The Pods that a controller makes must be valid as well (`ValidatePodTemplateSpec`). The API server calls the places of
/// their labels and annotations by the names that these have in Go; `others` are volumes that come from elsewhere.
pub(super) fn pod_template(template: &Cursor<'_>, others: &[&str], report: &mut Report<'_>) {
    let metadata = template.get("metadata");
    let path = |field: &str| format!("{}.{field}", template.path());
    meta::labels_at(&metadata.get("labels"), &|| path("labels"), report);
    meta::annotations_at(&metadata.get("annotations"), &|| path("annotations"), report);
    pod::validate(&template.get("spec"), pod::Owner::Template, others, report);
}

/// The selector must select something, and the controller's own Pods above all. Whether it can select at all, without
/// which the API server does not look at the Pods.
fn selected(whose: &str, spec: &Cursor<'_>, report: &mut Report<'_>) -> bool {
    let selector = spec.get("selector");
    let n_found = report.n_found();
    if selector.is_set() {
        selector::validate(&selector, report);
    } else {
        selector.required(report);
    }
    let is_wrong = selector.is_set() && report.n_found() > n_found;
    if selector.is_set() && selector::is_empty(&selector) {
        selector.fault(report, "invalid.empty-selector", "invalid.empty-selector.hint", &[whose]);
    } else if is_wrong && whose == "statefulset" {
        selector.because_alone(report, &selector.shown());
    } else if is_wrong {
        selector.because(report, "invalid label selector");
    } else {
        matched(spec, report);
    }
    !is_wrong
}

/// What is not there selects nothing, not even the controller's own Pods.
fn matched(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let selector = spec.get("selector");
    let labels = spec.get("template").get("metadata").get("labels");
    if !selector.is_set() || !selector::matches(&selector, &labels) {
        report.error(
            &labels.path(),
            "invalid.unselected",
            Some("invalid.unselected.hint"),
            &[&labels.shown()],
        );
    }
}

/// `ValidateReplicationControllerSpec`: a selector of plain labels; without one the template's own labels are taken.
fn replication_controller(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let (selector, labels) = (spec.get("selector"), spec.get("template").get("metadata").get("labels"));
    spec.get("minReadySeconds").not_negative(report);
    if selector.entries().next().is_none() && labels.entries().next().is_none() {
        selector.required(report);
    }
    spec.get("replicas").not_negative(report);
    if !spec.get("template").is_set() {
        return spec.get("template").required(report);
    }
    if selector.entries().any(|(key, value)| labels.get(key).text() != value.text()) {
        report.error(
            &labels.path(),
            "invalid.unselected",
            Some("invalid.unselected.hint"),
            &[&labels.shown()],
        );
    }
    for_ever("ReplicationController", spec, &[], report);
}

/// The template of a controller whose Pods do not end.
fn for_ever(whose: &str, spec: &Cursor<'_>, others: &[&str], report: &mut Report<'_>) {
    let template = spec.get("template");
    pod_template(&template, others, report);
    let spec = template.get("spec");
    spec.get("restartPolicy").one_of_or_empty(report, &["Always"]);
    let deadline = spec.get("activeDeadlineSeconds");
    if deadline.is_set() {
        deadline.forbidden(report, &format!("activeDeadlineSeconds in {whose} is not Supported"));
    }
}

fn is_zero(field: &Cursor<'_>) -> bool {
    match field.value.as_str() {
        Some(text) => text.trim_end_matches('%').parse::<u32>() == Ok(0),
        None => field.is_set() && field.number() == 0,
    }
}

/// `Unsupported value` of a strategy, which is shown as a whole.
fn unknown_strategy(strategy: &Cursor<'_>, known: [&str; 2], report: &mut Report<'_>) {
    let list = known.map(quoted).join(", ");
    let args = [&*internal::strategy(strategy), &*list];
    let places = (&*strategy.get("type").path(), &*strategy.path());
    report.error_near(places, "invalid.unsupported", "invalid.unsupported.hint", &args);
}

/// `ValidateDeploymentStrategy`.
fn deployment_strategy(strategy: &Cursor<'_>, report: &mut Report<'_>) {
    let (kind, rolling) = (strategy.get("type"), strategy.get("rollingUpdate"));
    let known = ["Recreate", "RollingUpdate"];
    if !kind.text().is_empty() && !known.contains(&kind.text()) {
        return unknown_strategy(strategy, known, report);
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
            if is_zero(&unavailable) {
                unavailable.because(report, "cannot be 0");
            }
            at_most_all(&unavailable, report);
        }
        "OnDelete" if rolling.is_set() => {
            rolling.because(report, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "OnDelete" => {}
        _ => {
            let shown = internal::strategy(&strategy);
            strategy.because_of(report, &shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
    for field in ["whenDeleted", "whenScaled"] {
        spec.get("persistentVolumeClaimRetentionPolicy").get(field).one_of(report, &["Retain", "Delete"]);
    }
    spec.get("replicas").not_negative(report);
    spec.get("minReadySeconds").not_negative(report);
    spec.get("ordinals").get("start").not_negative(report);
    let claims = spec.get("volumeClaimTemplates").items().map(|one| one.get("metadata").get("name").text());
    let claims: Vec<&str> = claims.collect();
    if selected("statefulset", spec, report) {
        for_ever("StatefulSet", spec, &claims, report);
    }
    spec.get("revisionHistoryLimit").not_negative(report);
}

/// `ValidateDaemonSetUpdateStrategy`, with the defaults 1 and 0.
fn daemon_set_strategy(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let strategy = spec.get("updateStrategy");
    let (kind, rolling) = (strategy.get("type"), strategy.get("rollingUpdate"));
    let known = ["RollingUpdate", "OnDelete"];
    if !kind.text().is_empty() && !known.contains(&kind.text()) {
        return unknown_strategy(&strategy, known, report);
    }
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
