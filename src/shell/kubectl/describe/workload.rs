//! Controllers of Pods.

use super::{Look, annotations, controller, indented_labels, labels, line, moment, pod};
use crate::shell::kubectl::json::{at, list, number, or, plain, selector, text};
use crate::shell::kubectl::resources::of_kind;
use crate::shell::kubectl::view;
use serde_json::Value;

/// Annotation with the number of a revision.
const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) fn workload(kind: &str, object: &Value, look: &Look<'_>, out: &mut String) {
    line(out, &format!("Name:\t{}", text(object, "metadata.name")));
    line(out, &format!("Namespace:\t{}", text(object, "metadata.namespace")));
    if matches!(kind, "Deployment" | "StatefulSet") {
        line(out, &format!("CreationTimestamp:\t{}", moment(text(object, "metadata.creationTimestamp"))));
    }
    let chosen = selector(object, "spec.selector");
    if kind == "Deployment" {
        labels(object, "Labels", "metadata.labels", out);
        annotations(object, out);
        line(out, &format!("Selector:\t{chosen}"));
    } else {
        line(out, &format!("Selector:\t{chosen}"));
        if kind == "DaemonSet" {
            line(
                out,
                &format!(
                    "Node-Selector:\t{}",
                    crate::shell::kubectl::json::labels(object, "spec.template.spec.nodeSelector")
                ),
            );
        }
        labels(object, "Labels", "metadata.labels", out);
        annotations(object, out);
    }
    if let Some(controller) = controller(object) {
        line(out, &format!("Controlled By:\t{controller}"));
    }
    counts(kind, object, look, out);
    line(out, "Pod Template:");
    template(at(object, "spec.template"), out);
    if kind == "Deployment" {
        ending(object, look, out);
    }
}

fn counts(kind: &str, object: &Value, look: &Look<'_>, out: &mut String) {
    match kind {
        "Deployment" => deployment_counts(object, out),
        "Job" => job_counts(object, out),
        "DaemonSet" => {
            let known = [
                ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
                ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
                ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
                ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
                ("Number of Nodes Misscheduled", "numberMisscheduled"),
            ];
            for (title, field) in known {
                line(out, &format!("{title}: {}", number(object, &format!("status.{field}"))));
            }
            pods_status(object, look, out);
        }
        _ => {
            let wanted = at(object, "spec.replicas").as_i64().unwrap_or(1);
            let now = number(object, "status.replicas");
            if kind == "StatefulSet" {
                line(out, &format!("Replicas:\t{wanted} desired | {now} total"));
                let strategy = or(text(object, "spec.updateStrategy.type"), "RollingUpdate");
                line(out, &format!("Update Strategy:\t{strategy}"));
                let partition = number(object, "spec.updateStrategy.rollingUpdate.partition");
                line(out, &format!("  Partition:\t{partition}"));
            } else {
                line(out, &format!("Replicas:\t{now} current / {wanted} desired"));
            }
            pods_status(object, look, out);
        }
    }
}

fn deployment_counts(object: &Value, out: &mut String) {
    let status = |field: &str| number(object, &format!("status.{field}"));
    let wanted = at(object, "spec.replicas").as_i64().unwrap_or(1);
    let (updated, all) = (status("updatedReplicas"), status("replicas"));
    let (available, unavailable) = (status("availableReplicas"), status("unavailableReplicas"));
    let most = format!("{wanted} desired | {updated} updated | {all} total | {available} available");
    line(out, &format!("Replicas:\t{most} | {unavailable} unavailable"));
    let strategy = or(text(object, "spec.strategy.type"), "RollingUpdate");
    line(out, &format!("StrategyType:\t{strategy}"));
    line(out, &format!("MinReadySeconds:\t{}", number(object, "spec.minReadySeconds")));
    if strategy == "RollingUpdate" {
        let given = |field: &str| {
            let value = at(object, &format!("spec.strategy.rollingUpdate.{field}"));
            if value.is_null() { "25%".to_owned() } else { plain(value) }
        };
        let (unavailable, surge) = (given("maxUnavailable"), given("maxSurge"));
        line(out, &format!("RollingUpdateStrategy:\t{unavailable} max unavailable, {surge} max surge"));
    }
}

fn job_counts(object: &Value, out: &mut String) {
    let status = |field: &str| number(object, &format!("status.{field}"));
    let given =
        |field: &str, otherwise: i64| at(object, &format!("spec.{field}")).as_i64().unwrap_or(otherwise);
    line(out, &format!("Parallelism:\t{}", given("parallelism", 1)));
    line(out, &format!("Completions:\t{}", given("completions", 1)));
    line(out, &format!("Completion Mode:\t{}", or(text(object, "spec.completionMode"), "NonIndexed")));
    line(out, &format!("Suspend:\t{}", *at(object, "spec.suspend") == true));
    line(out, &format!("Backoff Limit:\t{}", given("backoffLimit", 6)));
    for (title, field) in [("Start Time", "status.startTime"), ("Completed At", "status.completionTime")] {
        if !text(object, field).is_empty() {
            line(out, &format!("{title}:\t{}", moment(text(object, field))));
        }
    }
    let (active, ready) = (status("active"), status("ready"));
    let (succeeded, failed) = (status("succeeded"), status("failed"));
    line(
        out,
        &format!("Pods Statuses:\t{active} Active ({ready} Ready) / {succeeded} Succeeded / {failed} Failed"),
    );
}

/// `describeCronJob`.
pub(super) fn cron_job(object: &Value, out: &mut String) {
    super::head(object, true, out);
    let unset = |path: &str| {
        let value = at(object, path);
        if value.is_null() { "<unset>".to_owned() } else { plain(value) }
    };
    let seconds = |path: &str| at(object, path).as_i64().map(|count| format!("{count}s"));
    let moment_of = |path: &str| Some(text(object, path)).filter(|text| !text.is_empty()).map(moment);
    let suspended = super::bool_ptr(object, "spec.suspend");
    let job = "spec.jobTemplate.spec";
    line(out, &format!("Schedule:\t{}", text(object, "spec.schedule")));
    line(out, &format!("Concurrency Policy:\t{}", text(object, "spec.concurrencyPolicy")));
    line(out, &format!("Suspend:\t{suspended}"));
    line(out, &format!("Time Zone:\t{}", unset("spec.timeZone")));
    line(out, &format!("Successful Job History Limit:\t{}", unset("spec.successfulJobsHistoryLimit")));
    line(out, &format!("Failed Job History Limit:\t{}", unset("spec.failedJobsHistoryLimit")));
    let deadline = seconds("spec.startingDeadlineSeconds");
    line(out, &format!("Starting Deadline Seconds:\t{}", or(&deadline.unwrap_or_default(), "<unset>")));
    let chosen = format!("{job}.selector");
    let chosen = if at(object, &chosen).is_null() { "<unset>".to_owned() } else { selector(object, &chosen) };
    line(out, &format!("Selector:\t{chosen}"));
    line(out, &format!("Parallelism:\t{}", unset(&format!("{job}.parallelism"))));
    line(out, &format!("Completions:\t{}", unset(&format!("{job}.completions"))));
    if let Some(deadline) = seconds(&format!("{job}.activeDeadlineSeconds")) {
        line(out, &format!("Active Deadline Seconds:\t{deadline}"));
    }
    line(out, "Pod Template:");
    template(at(object, &format!("{job}.template")), out);
    let last = moment_of("status.lastScheduleTime").unwrap_or_default();
    line(out, &format!("Last Schedule Time:\t{}", or(&last, "<unset>")));
    let active: Vec<&str> = list(object, "status.active").iter().map(|one| text(one, "name")).collect();
    line(out, &format!("Active Jobs:\t{}", or(&active.join(", "), "<none>")));
}

/// How many of a controller's Pods are in each phase.
fn pods_status(object: &Value, look: &Look<'_>, out: &mut String) {
    let uid = text(object, "metadata.uid");
    let pods = of_kind("Pod").map(|one| view::objects(look.inventory, one)).unwrap_or_default();
    let own =
        |pod: &&Value| list(pod, "metadata.ownerReferences").iter().any(|owner| text(owner, "uid") == uid);
    let count =
        |phase: &str| pods.iter().filter(own).filter(|pod| text(pod, "status.phase") == phase).count();
    line(
        out,
        &format!(
            "Pods Status:\t{} Running / {} Waiting / {} Succeeded / {} Failed",
            count("Running"),
            count("Pending"),
            count("Succeeded"),
            count("Failed")
        ),
    );
}

/// `DescribePodTemplate`.
pub(super) fn template(template: &Value, out: &mut String) {
    if template.is_null() {
        return line(out, "  <unset>");
    }
    indented_labels(template, ("  ", "Labels"), "metadata.labels", out);
    if !at(template, "metadata.annotations").is_null() {
        let pairs = crate::shell::kubectl::json::entries(template, "metadata.annotations");
        for (index, (key, value)) in pairs.into_iter().enumerate() {
            let title = if index == 0 { "Annotations:" } else { "" };
            line(out, &format!("  {title}\t{key}: {}", plain(value)));
        }
    }
    if !text(template, "spec.serviceAccountName").is_empty() {
        line(out, &format!("  Service Account:\t{}", text(template, "spec.serviceAccountName")));
    }
    if !list(template, "spec.initContainers").is_empty() {
        pod::containers("Init Containers", list(template, "spec.initContainers"), &[], "  ", out);
    }
    pod::containers("Containers", list(template, "spec.containers"), &[], "  ", out);
    pod::volumes(list(template, "spec.volumes"), "  ", out);
    indented_labels(template, ("  ", "Node-Selectors"), "spec.nodeSelector", out);
    pod::tolerations(list(template, "spec.tolerations"), "  ", out);
}

/// The conditions of a Deployment, and its `ReplicaSets`.
fn ending(object: &Value, look: &Look<'_>, out: &mut String) {
    let conditions = list(object, "status.conditions");
    if !conditions.is_empty() {
        line(out, "Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------");
        for one in conditions {
            line(out, &format!("  {} \t{}\t{}", text(one, "type"), text(one, "status"), text(one, "reason")));
        }
    }
    let uid = text(object, "metadata.uid");
    let sets = of_kind("ReplicaSet").map(|one| view::objects(look.inventory, one)).unwrap_or_default();
    let revision = |one: &Value| at(one, "metadata.annotations").get(REVISION).map(plain);
    let own: Vec<&Value> = sets
        .iter()
        .filter(|set| list(set, "metadata.ownerReferences").iter().any(|owner| text(owner, "uid") == uid))
        .collect();
    let shown = |set: &Value| {
        let (now, wanted) = (number(set, "status.replicas"), number(set, "spec.replicas"));
        format!("{} ({now}/{wanted} replicas created)", text(set, "metadata.name"))
    };
    let current = revision(object);
    let (new, old): (Vec<&Value>, Vec<&Value>) =
        own.into_iter().partition(|set| current.is_some() && revision(set) == current);
    let join =
        |sets: &[&Value]| or(&sets.iter().map(|set| shown(set)).collect::<Vec<_>>().join(", "), "<none>");
    line(out, &format!("OldReplicaSets:\t{}", join(&old)));
    line(out, &format!("NewReplicaSet:\t{}", join(&new)));
}
