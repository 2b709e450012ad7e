//! READY, STATUS and RESTARTS of a Pod object.

use super::age::{human_duration, unix_secs};
use super::json::{at, list, number, text};
use crate::base::SimTime;
use crate::trace::pod_status::{self, Container, Facts, State};
use serde_json::Value;

/// The three cells as they are printed.
pub(super) fn cells(pod: &Value, now: SimTime) -> [String; 3] {
    let cells = pod_status::cells(&facts(pod, now));
    let restarts = &cells.restarts;
    let restarts = match restarts.last_secs.filter(|_| restarts.count > 0) {
        Some(secs) => format!("{} ({} ago)", restarts.count, human_duration(secs)),
        None => restarts.count.to_string(),
    };
    [format!("{}/{}", cells.ready, cells.total), cells.status, restarts]
}

/// What the rules look at in a Pod object.
fn facts(pod: &Value, now: SimTime) -> Facts {
    let specs = list(pod, "spec.initContainers");
    let is_sidecar = |spec: &&Value| text(spec, "restartPolicy") == "Always";
    let sidecars = specs.iter().filter(is_sidecar).count();
    let statuses = |path: &str| list(pod, path).to_vec();
    let condition = |kind: &str| {
        let found = list(pod, "status.conditions").iter().find(|one| text(one, "type") == kind);
        found.map_or("", |one| text(one, "status"))
    };
    let gated = list(pod, "status.conditions")
        .iter()
        .any(|one| text(one, "type") == "PodScheduled" && text(one, "reason") == "SchedulingGated");
    // A status belongs to the init container of its name; one without a name stands at its place.
    let init = statuses("status.initContainerStatuses")
        .iter()
        .enumerate()
        .map(|(at, status)| {
            let name = text(status, "name");
            let spec = if name.is_empty() {
                specs.get(at)
            } else {
                specs.iter().find(|spec| text(spec, "name") == name)
            };
            container(status, spec.is_some_and(|spec| is_sidecar(&spec)), now)
        })
        .collect();
    Facts {
        phase: text(pod, "status.phase").to_owned(),
        reason: text(pod, "status.reason").to_owned(),
        total: list(pod, "spec.containers").len() + sidecars,
        init_total: specs.len(),
        init,
        containers: statuses("status.containerStatuses")
            .iter()
            .map(|status| container(status, false, now))
            .collect(),
        gated,
        initialized: condition("Initialized") == "True",
        ready: condition("Ready") == "True",
        deleting: !at(pod, "metadata.deletionTimestamp").is_null(),
    }
}

fn container(status: &Value, sidecar: bool, now: SimTime) -> Container {
    let state = at(status, "state");
    let state = if let Some(waiting) = state.get("waiting") {
        State::Waiting(text(waiting, "reason").to_owned())
    } else if let Some(ended) = state.get("terminated") {
        State::Terminated {
            reason: text(ended, "reason").to_owned(),
            code: number(ended, "exitCode"),
            signal: number(ended, "signal"),
        }
    } else if state.get("running").is_some() {
        State::Running
    } else {
        State::None
    };
    let ended = unix_secs(text(status, "lastState.terminated.finishedAt"));
    Container {
        state,
        ready: *at(status, "ready") == true,
        started: *at(status, "started") == true,
        sidecar,
        restarts: number(status, "restartCount").unsigned_abs(),
        last_ended_secs: ended.map(|then| now.unix_secs().cast_signed() - then),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A Pod object of the table's short form.
    fn pod(input: &Value, now: SimTime) -> Value {
        let list = |key: &str| input[key].as_array().cloned().unwrap_or_default();
        let status = |short: &Value| {
            let mut status = json!({
                "ready": short["ready"], "restartCount": short["restarts"], "state": short["state"],
            });
            for field in ["name", "started"] {
                if !short[field].is_null() {
                    status[field] = short[field].clone();
                }
            }
            if let Some(ago) = short["last_finished_s_ago"].as_u64() {
                let then = SimTime(now.0 - ago * 1_000_000_000);
                status["lastState"] = json!({ "terminated": { "finishedAt": then.rfc3339() } });
            }
            status
        };
        let statuses = |key: &str| -> Vec<Value> { list(key).iter().map(status).collect() };
        let conditions: Vec<Value> = ["Ready", "Initialized", "PodScheduled"]
            .iter()
            .filter(|kind| !input["conditions"][**kind].is_null())
            .map(|kind| {
                let reason = input["conditions"][format!("{kind}.reason")].as_str().unwrap_or("");
                json!({ "type": kind, "status": input["conditions"][*kind], "reason": reason })
            })
            .collect();
        let containers = input["containers"].as_u64().unwrap_or(0);
        let mut pod = json!({
            "metadata": { "name": "p" },
            "spec": {
                "containers": (0..containers).map(|n| json!({ "name": format!("c{n}") })).collect::<Vec<_>>(),
                "initContainers": list("init"),
            },
            "status": {
                "phase": input["phase"],
                "reason": input["reason"],
                "conditions": conditions,
                "initContainerStatuses": statuses("initStatuses"),
                "containerStatuses": statuses("statuses"),
            },
        });
        if input["deleting"] == true {
            pod["metadata"]["deletionTimestamp"] = json!(now.rfc3339());
        }
        pod
    }

    #[test]
    fn cells_follow_the_printer() {
        let now = SimTime(100 * 86_400 * 1_000_000_000);
        let rows = include_str!("../../../tests/kubectl/pod_status.txt");
        for row in rows.lines().filter(|row| !row.starts_with('#') && !row.is_empty()) {
            let fields: Vec<&str> = row.split('\t').collect();
            let input = serde_json::from_str(fields[4]).unwrap();
            let found = cells(&pod(&input, now), now);
            assert_eq!(found, [fields[1], fields[2], fields[3]].map(str::to_owned), "{}", fields[0]);
        }
    }
}
