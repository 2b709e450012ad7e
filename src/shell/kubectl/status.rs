//! READY, STATUS and RESTARTS of a Pod, by the rules of the API server's printer (`printPod`).

use super::age::{human_duration, unix_secs};
use super::json::{at, list, number, text};
use crate::base::SimTime;
use serde_json::Value;

/// A container's state as the rules look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// None is reported.
    #[default]
    None,
    /// Waiting, with the reason.
    Waiting(String),
    /// Running.
    Running,
    /// Ended.
    Terminated {
        /// Reason, empty where none is given.
        reason: String,
        /// Exit code.
        code: i64,
        /// Signal, 0 for none.
        signal: i64,
    },
}

/// A container's reported status.
#[derive(Clone, Debug, Default)]
pub(super) struct Container {
    pub(super) state: State,
    pub(super) ready: bool,
    pub(super) started: bool,
    /// Whether it is an init container that goes on running: a sidecar.
    pub(super) sidecar: bool,
    pub(super) restarts: u64,
    /// Seconds since it last ended.
    pub(super) last_ended_secs: Option<i64>,
}

/// What the rules look at.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field or a condition of the API")]
pub(super) struct Facts {
    pub(super) phase: String,
    pub(super) reason: String,
    /// Containers of the spec: ordinary ones and sidecars.
    pub(super) total: usize,
    /// Init containers of the spec.
    pub(super) init_total: usize,
    pub(super) init: Vec<Container>,
    pub(super) containers: Vec<Container>,
    pub(super) gated: bool,
    pub(super) initialized: bool,
    pub(super) ready: bool,
    pub(super) deleting: bool,
}

/// The three cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) ready: String,
    pub(super) status: String,
    pub(super) restarts: String,
}

#[derive(Default)]
struct Restarts {
    count: u64,
    last_secs: Option<i64>,
}

impl Restarts {
    fn add(&mut self, container: &Container) {
        self.count += container.restarts;
        self.last_secs = match (self.last_secs, container.last_ended_secs) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn text(&self) -> String {
        match self.last_secs.filter(|_| self.count > 0) {
            Some(secs) => format!("{} ({} ago)", self.count, human_duration(secs)),
            None => self.count.to_string(),
        }
    }
}

/// Applies the rules.
pub(super) fn cells(facts: &Facts) -> Cells {
    let mut status = if facts.reason.is_empty() { facts.phase.clone() } else { facts.reason.clone() };
    if facts.gated {
        "SchedulingGated".clone_into(&mut status);
    }
    let mut restarts = Restarts::default();
    let mut sidecars = Restarts::default();
    let mut ready = 0;
    let mut initializing = None;
    for (index, container) in facts.init.iter().enumerate() {
        restarts.add(container);
        if container.sidecar {
            sidecars.add(container);
        }
        if container.sidecar && container.started {
            ready += usize::from(container.ready);
            continue;
        }
        if let Some(text) = init_status(container, index, facts.init_total) {
            initializing = Some(text);
            break;
        }
    }
    let over = initializing.is_none();
    if let Some(text) = initializing {
        status = text;
    }
    if over || facts.initialized {
        restarts = sidecars;
        let (running, ready_now) = scan(facts, &mut status, &mut restarts);
        ready += ready_now;
        if status == "Completed" {
            status = completed(facts, running);
        }
    }
    let ended = matches!(facts.phase.as_str(), "Succeeded" | "Failed");
    if facts.deleting && facts.reason == "NodeLost" {
        "Unknown".clone_into(&mut status);
    } else if facts.deleting && !ended {
        "Terminating".clone_into(&mut status);
    }
    Cells { ready: format!("{ready}/{}", facts.total), status, restarts: restarts.text() }
}

/// What an init container makes the status, unless it is done.
fn init_status(container: &Container, index: usize, total: usize) -> Option<String> {
    Some(match &container.state {
        State::Terminated { code: 0, .. } => return None,
        State::Terminated { reason, code, signal } => format!("Init:{}", ended(reason, *code, *signal)),
        State::Waiting(reason) if !reason.is_empty() && reason != "PodInitializing" => {
            format!("Init:{reason}")
        }
        State::Waiting(_) | State::Running | State::None => format!("Init:{index}/{total}"),
    })
}

fn ended(reason: &str, code: i64, signal: i64) -> String {
    match (reason, signal) {
        ("", 0) => format!("ExitCode:{code}"),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// Looks at the ordinary containers from last to first, so that the first one decides; whether any runs, and how
/// many are ready.
fn scan(facts: &Facts, status: &mut String, restarts: &mut Restarts) -> (bool, usize) {
    let (mut running, mut ready) = (false, 0);
    for container in facts.containers.iter().rev() {
        restarts.add(container);
        match &container.state {
            State::Waiting(reason) if !reason.is_empty() => status.clone_from(reason),
            State::Terminated { reason, code, signal } => *status = ended(reason, *code, *signal),
            State::Running if container.ready => {
                running = true;
                ready += 1;
            }
            State::Waiting(_) | State::Running | State::None => {}
        }
    }
    (running, ready)
}

/// A Pod whose deciding container ended well: what the others make of it.
fn completed(facts: &Facts, running: bool) -> String {
    if running && facts.ready {
        return "Running".to_owned();
    }
    let failed = facts.containers.iter().find_map(|container| match &container.state {
        State::Terminated { reason, code, signal } if *code != 0 => Some(ended(reason, *code, *signal)),
        State::Terminated { .. } | State::Waiting(_) | State::Running | State::None => None,
    });
    failed.unwrap_or_else(|| if running { "NotReady" } else { "Completed" }.to_owned())
}

/// What the rules look at in a Pod object.
pub(super) fn facts(pod: &Value, now: SimTime) -> Facts {
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
            let cells = cells(&facts(&pod(&input, now), now));
            let found = [cells.ready, cells.status, cells.restarts];
            assert_eq!(found, [fields[1], fields[2], fields[3]].map(str::to_owned), "{}", fields[0]);
        }
    }
}
