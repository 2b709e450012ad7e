//! Controllers of Pods, and what limits them.

use super::{Look, NONE, age, name};
use crate::shell::kubectl::age::{human_duration, since, unix_secs};
use crate::shell::kubectl::json::{at, entries, labels, list, number, or, plain, selector, text};
use serde_json::Value;

/// The number at a path, or 1 where the default is meant.
fn replicas(object: &Value, path: &str) -> i64 {
    at(object, path).as_i64().unwrap_or(1)
}

pub(super) fn cells(kind: &str, object: &Value, look: Look) -> Vec<String> {
    let count = |path: &str| number(object, path).to_string();
    let ready =
        || format!("{}/{}", number(object, "status.readyReplicas"), replicas(object, "spec.replicas"));
    let mut row = vec![name(object)];
    match kind {
        "Deployment" => {
            row.extend([ready(), count("status.updatedReplicas"), count("status.availableReplicas")]);
        }
        "StatefulSet" => row.push(ready()),
        "DaemonSet" => {
            row.extend(
                [
                    "desiredNumberScheduled",
                    "currentNumberScheduled",
                    "numberReady",
                    "updatedNumberScheduled",
                    "numberAvailable",
                ]
                .map(|field| count(&format!("status.{field}"))),
            );
            row.push(labels(object, "spec.template.spec.nodeSelector"));
        }
        "Job" => row.extend(job(object, look)),
        "CronJob" => row.extend(cron_job(object, look)),
        _ => row.extend([
            replicas(object, "spec.replicas").to_string(),
            count("status.replicas"),
            count("status.readyReplicas"),
        ]),
    }
    row.push(age(object, look));
    if look.wide {
        let spec = if kind == "CronJob" { at(object, "spec.jobTemplate.spec") } else { at(object, "spec") };
        let containers = list(spec, "template.spec.containers");
        let of = |field: &str| containers.iter().map(|one| text(one, field)).collect::<Vec<_>>().join(",");
        row.extend([of("name"), of("image")]);
        match kind {
            "StatefulSet" => {}
            "ReplicationController" => row.push(labels(spec, "selector")),
            _ => row.push(selector(spec, "selector")),
        }
    }
    row
}

/// The cells of a revision: whose it is, and its number.
pub(super) fn revision(object: &Value, look: Look) -> Vec<String> {
    let owner = list(object, "metadata.ownerReferences").iter().find(|owner| owner["controller"] == true);
    let whose = owner.map_or_else(
        || NONE.to_owned(),
        |owner| {
            let group = text(owner, "apiVersion").split_once('/').map_or("", |(group, _)| group);
            let dot = if group.is_empty() { "" } else { "." };
            format!("{}{dot}{group}/{}", text(owner, "kind").to_lowercase(), text(owner, "name"))
        },
    );
    vec![name(object), whose, number(object, "revision").to_string(), age(object, look)]
}

/// Whether a condition of this type is true.
fn holds(object: &Value, kind: &str) -> bool {
    let conditions = list(object, "status.conditions");
    conditions.iter().any(|one| text(one, "type") == kind && text(one, "status") == "True")
}

fn job(job: &Value, look: Look) -> [String; 3] {
    let status = if holds(job, "Complete") {
        "Complete"
    } else if holds(job, "Failed") {
        "Failed"
    } else if !at(job, "metadata.deletionTimestamp").is_null() {
        "Terminating"
    } else {
        let others = ["Suspended", "FailureTarget", "SuccessCriteriaMet"];
        others.into_iter().find(|kind| holds(job, kind)).unwrap_or("Running")
    };
    let succeeded = number(job, "status.succeeded");
    // Without either number both default to 1; with the parallelism alone any success completes the Job.
    let completions = match (at(job, "spec.completions").as_i64(), at(job, "spec.parallelism").as_i64()) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, Some(parallelism)) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let start = unix_secs(text(job, "status.startTime"));
    let end = unix_secs(text(job, "status.completionTime"));
    let duration = match (start, end) {
        (None, _) => String::new(),
        (Some(start), Some(end)) => human_duration(end - start),
        (Some(start), None) => human_duration(look.now.unix_secs().cast_signed() - start),
    };
    [status.to_owned(), completions, duration]
}

/// `printBoolPtr`.
fn truth(value: &Value) -> String {
    match value.as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    }
    .to_owned()
}

fn cron_job(job: &Value, look: Look) -> [String; 5] {
    let last = text(job, "status.lastScheduleTime");
    let suspend = at(job, "spec.suspend");
    [
        text(job, "spec.schedule").to_owned(),
        or(text(job, "spec.timeZone"), NONE),
        // The default is set when the object is made.
        if suspend.is_null() { "False".to_owned() } else { truth(suspend) },
        list(job, "status.active").len().to_string(),
        if last.is_empty() { NONE.to_owned() } else { since(look.now, last) },
    ]
}

/// Budgets, quotas, autoscalers and the like.
pub(super) fn limits(kind: &str, object: &Value, look: Look) -> Vec<String> {
    let given = |path: &str, otherwise: &str| {
        Some(at(object, path)).filter(|value| !value.is_null()).map_or_else(|| otherwise.to_owned(), plain)
    };
    let mut row = vec![name(object)];
    match kind {
        "PodDisruptionBudget" => row.extend([
            given("spec.minAvailable", "N/A"),
            given("spec.maxUnavailable", "N/A"),
            number(object, "status.disruptionsAllowed").to_string(),
        ]),
        "Lease" => row.push(text(object, "spec.holderIdentity").to_owned()),
        "ResourceQuota" => row.extend(quota(object)),
        "PriorityClass" => {
            let default = *at(object, "globalDefault") == true;
            row.extend([number(object, "value").to_string(), default.to_string(), age(object, look)]);
            row.push(or(text(object, "preemptionPolicy"), "PreemptLowerPriority"));
            return row;
        }
        _ => {
            let reference = at(object, "spec.scaleTargetRef");
            row.extend([
                format!("{}/{}", text(reference, "kind"), text(reference, "name")),
                metrics(object),
                given("spec.minReplicas", "1"),
                number(object, "spec.maxReplicas").to_string(),
                number(object, "status.currentReplicas").to_string(),
            ]);
        }
    }
    row.push(age(object, look));
    row
}

/// `resource: used/hard, …`, requests and limits apart.
fn quota(quota: &Value) -> [String; 2] {
    let mut columns = [Vec::new(), Vec::new()];
    for (resource, hard) in entries(quota, "status.hard") {
        let used = at(quota, "status.used").get(resource).map_or_else(|| "0".to_owned(), plain);
        columns[usize::from(resource.starts_with("limits"))]
            .push(format!("{resource}: {used}/{}", plain(hard)));
    }
    columns.map(|column| column.join(", "))
}

/// Targets of an autoscaler (`formatHPAMetrics`): what is measured against what is wanted.
fn metrics(object: &Value) -> String {
    let current = list(object, "status.currentMetrics");
    let specs = list(object, "spec.metrics");
    if specs.is_empty() {
        return NONE.to_owned();
    }
    let one = |(index, spec): (usize, &Value)| {
        let (field, is_named) = match text(spec, "type") {
            "Resource" => ("resource", true),
            "ContainerResource" => ("containerResource", true),
            "Pods" => ("pods", false),
            "Object" => ("object", false),
            "External" => ("external", false),
            _ => return "<unknown type>".to_owned(),
        };
        let (source, now) = (at(spec, field), current.get(index).map_or(&Value::Null, |one| at(one, field)));
        let name = if is_named { format!("{}: ", text(source, "name")) } else { String::new() };
        if let Some(wanted) = at(source, "target.averageUtilization").as_i64() {
            let found = at(now, "current.averageUtilization").as_i64();
            let found = found.map_or_else(|| "<unknown>".to_owned(), |percent| format!("{percent}%"));
            return format!("{name}{found}/{wanted}%");
        }
        let is_average = !at(source, "target.averageValue").is_null();
        let amount = if is_average { "averageValue" } else { "value" };
        let found = at(at(now, "current"), amount);
        let found = if found.is_null() { "<unknown>".to_owned() } else { plain(found) };
        // Only where a whole could be wanted as well it is said that it is a part.
        let part = if is_average && matches!(field, "object" | "external") { " (avg)" } else { "" };
        format!("{name}{found}/{}{part}", plain(at(at(source, "target"), amount)))
    };
    let all: Vec<String> = specs.iter().enumerate().map(one).collect();
    let more = all.len().saturating_sub(2);
    let text = all.into_iter().take(2).collect::<Vec<_>>().join(", ");
    if more == 0 { text } else { format!("{text} + {more} more...") }
}
