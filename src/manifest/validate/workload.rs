//! Controllers that make Pods: their selectors, templates and strategies (`pkg/apis/apps/validation`,
//! `pkg/apis/batch/validation`).

use super::cursor::Cursor;
use super::{meta, pod, selector};
use crate::manifest::report::Report;

/// A controller of this kind.
pub(super) fn validate(kind: &str, spec: &Cursor<'_>, report: &mut Report<'_>) {
    for field in NOT_NEGATIVE {
        let number = spec.get(field);
        if number.number() < 0 {
            number.fault(report, "invalid.negative", "invalid.negative.hint", &[]);
        }
    }
    let template = spec.get("template");
    pod_template(&template, report);
    match kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => {
            selected(kind, spec, report);
            always(&template, report);
        }
        "Job" => runs_to_its_end(&template, report),
        _ => {}
    }
    if kind == "Deployment" {
        deployment_strategy(spec, report);
    }
}

const NOT_NEGATIVE: [&str; 6] =
    ["replicas", "minReadySeconds", "revisionHistoryLimit", "parallelism", "completions", "backoffLimit"];

/// The Pods that a controller makes must be valid as well.
pub(super) fn pod_template(template: &Cursor<'_>, report: &mut Report<'_>) {
    meta::labels(&template.get("metadata").get("labels"), report);
    if template.is_set() {
        pod::validate(&template.get("spec"), report);
    }
}

/// The selector must select something, and the controller's own Pods above all.
fn selected(kind: &str, spec: &Cursor<'_>, report: &mut Report<'_>) {
    let selector = spec.get("selector");
    if !selector.is_set() {
        return selector.required(report);
    }
    selector::validate(&selector, report);
    if selector::is_empty(&selector) {
        let name = kind.to_lowercase();
        return selector.fault(report, "invalid.empty-selector", "invalid.empty-selector.hint", &[&name]);
    }
    let labels = spec.get("template").get("metadata").get("labels");
    if spec.get("template").is_set() && !selector::matches(&selector, &labels) {
        labels.fault(report, "invalid.unselected", "invalid.unselected.hint", &[]);
    }
}

fn always(template: &Cursor<'_>, report: &mut Report<'_>) {
    let policy = template.get("spec").get("restartPolicy");
    if matches!(policy.text(), "OnFailure" | "Never") {
        policy.one_of(report, &["Always"]);
    }
}

fn runs_to_its_end(template: &Cursor<'_>, report: &mut Report<'_>) {
    let policy = template.get("spec").get("restartPolicy");
    if template.is_set() && matches!(policy.text(), "" | "Always") {
        report.error(&policy.path, "invalid.job-restart", Some("invalid.job-restart.hint"), &[]);
    }
}

/// `ValidateDeploymentStrategy`.
fn deployment_strategy(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let strategy = spec.get("strategy");
    let (kind, rolling) = (strategy.get("type"), strategy.get("rollingUpdate"));
    if !kind.text().is_empty() {
        kind.one_of(report, &["Recreate", "RollingUpdate"]);
    }
    if kind.text() == "Recreate" {
        if rolling.is_set() {
            rolling.fault(report, "invalid.recreate", "invalid.recreate.hint", &[]);
        }
        return;
    }
    let is_zero = |field: &Cursor<'_>| match field.value.as_str() {
        Some(text) => text.trim_end_matches('%').parse::<u32>() == Ok(0),
        None => field.is_set() && field.number() == 0,
    };
    for field in ["maxUnavailable", "maxSurge"] {
        amount(&rolling.get(field), report);
    }
    let unavailable = rolling.get("maxUnavailable");
    if is_zero(&unavailable) && is_zero(&rolling.get("maxSurge")) {
        unavailable.fault(report, "invalid.no-rollout", "invalid.no-rollout.hint", &[]);
    }
    let deadline = spec.get("progressDeadlineSeconds");
    if deadline.is_set() && deadline.number() <= spec.get("minReadySeconds").number() {
        deadline.fault(report, "invalid.deadline", "invalid.deadline.hint", &[]);
    }
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
        None if field.number() < 0 => field.fault(report, "invalid.negative", "invalid.negative.hint", &[]),
        None => {}
    }
}
