//! The status of a Pod object, from the row of the Pod (`kubelet` `generateAPIPodStatus`).

use super::{ContainerRow, ContainerState, PodPhase, PodRow};
use serde_json::{Value, json};

const NULL: &Value = &Value::Null;

/// The value at a path of keys with dots between; null for what is not there.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').try_fold(value, |value, key| value.get(key)).unwrap_or(NULL)
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    at(value, path).as_str().unwrap_or("")
}

fn list<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value, path: &str) -> i64 {
    at(value, path).as_i64().unwrap_or(0)
}

/// Whether the status that came with a Pod's text still says how it is: it names containers, and nothing has happened
/// to the Pod here since it came up.
fn keeps_its_status(row: &PodRow, status: &Value) -> bool {
    let told =
        !list(status, "containerStatuses").is_empty() || !list(status, "initContainerStatuses").is_empty();
    told && !row.deleting && row.containers.iter().all(|container| container.restarts == 0)
}

impl PodRow {
    /// Writes into a Pod object what became of it: its node and its status. A status that came with the Pod's text
    /// holds as long as nothing has happened to the Pod here.
    pub fn overlay(&self, value: &mut Value) {
        overlay(self, value);
    }
}

fn overlay(row: &PodRow, value: &mut Value) {
    if let Some(node) = &row.node {
        value["spec"]["nodeName"] = json!(&**node);
    }
    if row.deleting && value["metadata"]["deletionTimestamp"].is_null() {
        value["metadata"]["deletionTimestamp"] = json!(row.created.rfc3339());
    }
    let written = at(value, "status").clone();
    let mut status = if keeps_its_status(row, &written) { written } else { live_status(row, value) };
    if let Some(host) = row.host_ip {
        status["hostIP"] = json!(host.to_string());
        status["hostIPs"] = json!([{ "ip": host.to_string() }]);
    }
    if let Some(ip) = row.ip {
        status["podIP"] = json!(ip.to_string());
        status["podIPs"] = json!([{ "ip": ip.to_string() }]);
    }
    if text(&status, "phase").is_empty() {
        status["phase"] = json!(phase_of(value, &status));
    }
    value["status"] = status;
}

fn live_status(row: &PodRow, value: &Value) -> Value {
    let phase = match row.phase {
        PodPhase::Pending => "Pending",
        PodPhase::Running => "Running",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
    };
    let mut status = json!({ "phase": phase, "qosClass": qos_class(value) });
    if let Some(reason) = &row.reason {
        status["reason"] = json!(&**reason);
    }
    // Before a node has taken the Pod, no status of its containers is reported.
    let scheduled = row.node.is_some();
    let of = |init: bool| -> Vec<&ContainerRow> {
        row.containers.iter().filter(|container| container.init == init && scheduled).collect()
    };
    let (init, main) = (of(true), of(false));
    let initialized = scheduled
        && init.iter().all(|container| match &container.state {
            ContainerState::Terminated(code, _) => *code == 0,
            ContainerState::Running(_) => container.sidecar,
            ContainerState::Waiting(_) => false,
        });
    let running = |container: &&ContainerRow| matches!(container.state, ContainerState::Running(_));
    let ready = initialized && !main.is_empty() && main.iter().all(running);
    let since = row.created.rfc3339();
    let condition = |kind: &str, holds: bool, reason: Option<&str>| {
        let mut condition = json!({
            "type": kind,
            "status": if holds { "True" } else { "False" },
            "lastProbeTime": null,
            "lastTransitionTime": since,
        });
        if let Some(reason) = reason {
            condition["reason"] = json!(reason);
        }
        condition
    };
    let not_ready = Some("ContainersNotReady").filter(|_| !ready);
    status["conditions"] = if scheduled {
        json!([
            condition("PodReadyToStartContainers", row.ip.is_some(), None),
            condition("Initialized", initialized, Some("ContainersNotInitialized").filter(|_| !initialized)),
            condition("Ready", ready, not_ready),
            condition("ContainersReady", ready, not_ready),
            condition("PodScheduled", true, None),
        ])
    } else {
        json!([condition("PodScheduled", false, Some("Unschedulable"))])
    };
    if !main.is_empty() {
        status["startTime"] = json!(since);
        status["containerStatuses"] = main.iter().map(|container| container_status(container)).collect();
    }
    if !init.is_empty() {
        status["initContainerStatuses"] = init.iter().map(|container| container_status(container)).collect();
    }
    status
}

fn container_status(row: &ContainerRow) -> Value {
    let state = match &row.state {
        ContainerState::Waiting(reason) => json!({ "waiting": { "reason": &**reason } }),
        ContainerState::Running(since) => json!({ "running": { "startedAt": since.rfc3339() } }),
        ContainerState::Terminated(code, reason) => {
            json!({ "terminated": { "exitCode": code, "reason": &**reason } })
        }
    };
    let last = row.last.as_ref().map_or_else(
        || json!({}),
        |last| {
            json!({ "terminated": {
                "exitCode": last.code,
                "reason": &*last.reason,
                "startedAt": last.started.rfc3339(),
                "finishedAt": last.finished.rfc3339(),
            } })
        },
    );
    let running = matches!(row.state, ContainerState::Running(_));
    let done = matches!(row.state, ContainerState::Terminated(0, _));
    json!({
        "name": &*row.name,
        "image": &*row.image,
        "imageID": "",
        "ready": if row.init && !row.sidecar { done } else { running },
        "started": running,
        "restartCount": row.restarts,
        "state": state,
        "lastState": last,
    })
}

/// `Guaranteed`, `Burstable` or `BestEffort` (`ComputePodQOS`).
fn qos_class(pod: &Value) -> &'static str {
    let containers = || list(pod, "spec.containers").iter().chain(list(pod, "spec.initContainers"));
    let asked = |container: &Value, list: &str, name: &str| {
        at(container, &format!("resources.{list}.{name}")).clone()
    };
    let names = ["cpu", "memory"];
    let any = containers().any(|container| {
        names
            .iter()
            .any(|name| ["requests", "limits"].iter().any(|list| !asked(container, list, name).is_null()))
    });
    let guaranteed = containers().all(|container| {
        names.iter().all(|name| {
            let (limit, request) = (asked(container, "limits", name), asked(container, "requests", name));
            !limit.is_null() && (request.is_null() || request == limit)
        })
    });
    match (any, guaranteed) {
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
        (false, _) => "BestEffort",
    }
}

/// The phase that follows from the states of the containers (`getPhase`), for a status that does not say it.
fn phase_of(pod: &Value, status: &Value) -> &'static str {
    let policy =
        Some(text(pod, "spec.restartPolicy")).filter(|policy| !policy.is_empty()).unwrap_or("Always");
    let state = |statuses: &str, name: &str| -> State {
        let found = list(status, statuses).iter().find(|one| text(one, "name") == name);
        found.map_or(State::Unknown, state_of)
    };
    let (mut pending_init, mut failed_init) = (0_usize, 0_usize);
    for container in list(pod, "spec.initContainers") {
        let name = text(container, "name");
        let sidecar = text(container, "restartPolicy") == "Always";
        let status_of = list(status, "initContainerStatuses").iter().find(|one| text(one, "name") == name);
        match state("initContainerStatuses", name) {
            State::Running if sidecar && status_of.is_some_and(|one| *at(one, "started") == true) => {}
            State::Ended(code) | State::Waiting(Some(code)) => {
                failed_init += usize::from(!sidecar && code != 0);
            }
            State::Running | State::Waiting(None) | State::Unknown => pending_init += 1,
        }
    }
    let (mut unknown, mut running, mut waiting, mut stopped, mut succeeded) = (0, 0, 0, 0, 0);
    let mains = list(pod, "spec.containers").iter().map(|one| ("containerStatuses", one, false));
    let sidecars =
        list(pod, "spec.initContainers").iter().filter(|one| text(one, "restartPolicy") == "Always");
    for (statuses, container, sidecar) in
        mains.chain(sidecars.map(|one| ("initContainerStatuses", one, true)))
    {
        match state(statuses, text(container, "name")) {
            State::Running => running += 1,
            // The exit code of a sidecar decides nothing.
            State::Ended(_) | State::Waiting(Some(_)) if sidecar => {}
            State::Ended(code) => {
                stopped += 1;
                succeeded += usize::from(code == 0);
            }
            State::Waiting(Some(_)) => stopped += 1,
            State::Waiting(None) => waiting += 1,
            State::Unknown => unknown += 1,
        }
    }
    if failed_init > 0 && policy == "Never" {
        return "Failed";
    }
    if pending_init > 0 || failed_init > 0 || waiting > 0 {
        return "Pending";
    }
    match (running > 0 && unknown == 0, running == 0 && stopped > 0 && unknown == 0) {
        (true, _) => "Running",
        (_, true) => match policy {
            "Always" => "Running",
            _ if stopped == succeeded => "Succeeded",
            "Never" => "Failed",
            _ => "Running",
        },
        (false, false) => "Pending",
    }
}

/// What a container's status says of it.
enum State {
    /// Nothing.
    Unknown,
    /// It waits; with the exit code of its last life, if it had one.
    Waiting(Option<i64>),
    Running,
    Ended(i64),
}

fn state_of(status: &Value) -> State {
    let state = at(status, "state");
    if state.get("running").is_some() {
        State::Running
    } else if let Some(ended) = state.get("terminated") {
        State::Ended(number(ended, "exitCode"))
    } else if state.get("waiting").is_some() {
        State::Waiting(status.pointer("/lastState/terminated").map(|ended| number(ended, "exitCode")))
    } else {
        State::Unknown
    }
}
