//! The status of a Pod object, from the row of the Pod (`kubelet` `generateAPIPodStatus`).

use super::{ConditionRow, ContainerRow, ContainerState, LastState, PodRow};
use crate::base::{SimTime, quantity};
use serde_json::{Value, json};

/// Chooses containers.
type Chooses = fn(&ContainerRow) -> bool;

const NULL: &Value = &Value::Null;
/// The moment of a Go runtime's zero in nanoseconds.
const EPOCH: &str = "1970-01-01T00:00:00Z";

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

/// Whether the status that came with a Pod's text still says how it is: it tells of containers or conditions, and the
/// Pod is not on its way out here.
fn keeps_its_status(row: &PodRow, status: &Value) -> bool {
    let told = ["containerStatuses", "initContainerStatuses", "conditions"];
    !row.deleting && told.iter().any(|field| !list(status, field).is_empty())
}

impl PodRow {
    /// Writes into a Pod object what became of it: its node and its status. A status that came with the Pod's text
    /// holds until the Pod is deleted here.
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
    let mut status = json!({ "phase": row.phase.word(), "qosClass": qos_class(value) });
    for (field, text) in [("reason", &row.reason), ("message", &row.message)] {
        if let Some(text) = text {
            status[field] = json!(&**text);
        }
    }
    if let Some(node) = &row.nominated {
        status["nominatedNodeName"] = json!(&**node);
    }
    if !row.conditions.is_empty() {
        status["conditions"] = row.conditions.iter().map(condition).collect();
    }
    // Since 1.35 the kubelet tells of which generation it speaks (`PodObservedGenerationTracking`).
    if let Some(generation) = at(value, "metadata.generation").as_i64() {
        status["observedGeneration"] = json!(generation);
        for one in status["conditions"].as_array_mut().into_iter().flatten() {
            one["observedGeneration"] = json!(generation);
        }
    }
    // Before a node has taken the Pod, no status of its containers is reported.
    if row.host_ip.is_none() {
        return status;
    }
    status["startTime"] = json!(started_at(&row.conditions).unwrap_or(row.created).rfc3339());
    let of: [(&str, Chooses); 3] = [
        ("initContainerStatuses", |row| row.init),
        ("containerStatuses", ContainerRow::is_main),
        ("ephemeralContainerStatuses", |row| row.ephemeral),
    ];
    for (field, is_one) in of {
        let rows = row.containers.iter().filter(|container| is_one(container));
        let statuses: Vec<Value> = rows.map(container_status).collect();
        if !statuses.is_empty() {
            status[field] = Value::Array(statuses);
        }
    }
    status
}

/// When a kubelet took a Pod, from its conditions: as soon as it was bound. `None` for one that is not.
pub fn started_at(conditions: &[ConditionRow]) -> Option<SimTime> {
    let scheduled = conditions.iter().find(|row| row.kind == "PodScheduled" && row.holds);
    scheduled.map(|row| row.since)
}

fn condition(row: &ConditionRow) -> Value {
    let mut condition = json!({
        "type": row.kind,
        "status": if row.holds { "True" } else { "False" },
        "lastProbeTime": null,
        "lastTransitionTime": row.since.rfc3339(),
    });
    for (field, text) in [("reason", &row.reason), ("message", &row.message)] {
        if !text.is_empty() {
            condition[field] = json!(&**text);
        }
    }
    condition
}

/// The status of a container (`v1.ContainerStatus`, `convertToAPIContainerStatuses`).
fn container_status(row: &ContainerRow) -> Value {
    let is_terminated = matches!(row.state, ContainerState::Terminated(..));
    let state = match &row.state {
        ContainerState::Waiting(reason) => {
            let mut waiting = json!({ "reason": &**reason });
            if let Some(message) = &row.message {
                waiting["message"] = json!(&**message);
            }
            json!({ "waiting": waiting })
        }
        ContainerState::Running(since) => json!({ "running": { "startedAt": since.rfc3339() } }),
        ContainerState::Terminated(code, reason) => {
            let bare = || json!({ "terminated": { "exitCode": code, "reason": &**reason } });
            row.last.as_ref().map_or_else(bare, ended)
        }
    };
    let last = if is_terminated { &row.before } else { &row.last };
    // An init container that has ended well is ready from then on (`prober.UpdatePodStatus`).
    let done = row.init && !row.sidecar && matches!(row.state, ContainerState::Terminated(0, _));
    let mut status = json!({
        "name": &*row.name,
        "image": row.made.as_ref().map_or(&*row.image, |made| &*made.image),
        "imageID": row.made.as_ref().map_or("", |made| &*made.image_id),
        "ready": row.ready || done,
        "started": row.started,
        "restartCount": row.restarts,
        "state": state,
        "lastState": last.as_ref().map_or(json!({}), ended),
    });
    // Nobody asks one that only looks into the Pod whether it is ready.
    if let Some(fields) = status.as_object_mut().filter(|_| row.ephemeral) {
        fields.insert("ready".to_owned(), json!(false));
        fields.remove("started");
    }
    if let Some(made) = &row.made {
        status["containerID"] = json!(container_id(&made.id));
    }
    status
}

/// A container's identity with the runtime that gave it.
fn container_id(id: &str) -> String {
    format!("containerd://{id}")
}

/// `v1.ContainerStateTerminated`. What did not begin began when the epoch did, as the runtime says it; of what nothing
/// is known both moments are null.
fn ended(last: &LastState) -> Value {
    let moment = |at: Option<SimTime>| at.map(SimTime::rfc3339);
    let began = moment(last.started).or_else(|| last.finished.map(|_| EPOCH.to_owned()));
    let mut ended = json!({
        "exitCode": last.code,
        "reason": &*last.reason,
        "startedAt": began,
        "finishedAt": moment(last.finished),
    });
    if let Some(message) = &last.message {
        ended["message"] = json!(&**message);
    }
    if let Some(id) = &last.id {
        ended["containerID"] = json!(container_id(id));
    }
    json!({ "terminated": ended })
}

/// `Guaranteed`, `Burstable` or `BestEffort` (`ComputePodQOS`): by what the Pod says of itself as a whole, else by its
/// containers.
fn qos_class(pod: &Value) -> &'static str {
    let whole = at(pod, "spec.resources");
    let all: Vec<&Value> = if whole.is_null() {
        let containers = list(pod, "spec.containers").iter().chain(list(pod, "spec.initContainers"));
        containers.map(|one| at(one, "resources")).collect()
    } else {
        vec![whole]
    };
    // Limits stand in for requests that are not written, and nothing is not asked for.
    let amount = |resources: &Value, field: &str, name: &str| {
        let of = |field: &str| quantity::of_json(at(at(resources, field), name));
        of(field).or_else(|| of("limits")).filter(|amount| *amount > 0)
    };
    let names = ["cpu", "memory"];
    let each = || all.iter().flat_map(|one| names.map(|name| (*one, name)));
    let is_bare = each()
        .all(|(one, name)| amount(one, "requests", name).is_none() && amount(one, "limits", name).is_none());
    let is_limited = each().all(|(one, name)| amount(one, "limits", name).is_some());
    let sum = |field: &str, name: &str| all.iter().filter_map(|one| amount(one, field, name)).sum::<i128>();
    if is_bare {
        "BestEffort"
    } else if is_limited && names.iter().all(|name| sum("requests", name) == sum("limits", name)) {
        "Guaranteed"
    } else {
        "Burstable"
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
