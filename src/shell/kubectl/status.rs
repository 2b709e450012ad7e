//! READY, STATUS and RESTARTS of a Pod, by the rules of the API server's printer (`printPod`).

use super::age::human_duration;
use crate::base::SimTime;
use crate::trace::{ContainerState, PodPhase, PodRow};

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

/// What the rules look at in a Pod of the inventory. Nothing is probed yet: a container that runs is ready.
pub(super) fn facts(pod: &PodRow, now: SimTime) -> Facts {
    let of = |init: bool| {
        let rows = pod.containers.iter().filter(move |container| container.init == init);
        let containers = rows.map(|container| {
            let state = match &container.state {
                ContainerState::Waiting(reason) => State::Waiting(reason.to_string()),
                ContainerState::Running(_) => State::Running,
                ContainerState::Terminated(code, reason) => {
                    State::Terminated { reason: reason.to_string(), code: i64::from(*code), signal: 0 }
                }
            };
            let restarts = u64::from(container.restarts);
            Container {
                ready: container.ready,
                started: container.started,
                sidecar: container.sidecar,
                restarts,
                state,
                last_ended_secs: container
                    .last
                    .as_ref()
                    .map(|last| now.since(last.finished).as_secs() as i64),
            }
        });
        containers.collect::<Vec<_>>()
    };
    // Before a node has taken the Pod, no status of its containers is reported.
    let (init, containers) = if pod.node.is_some() { (of(true), of(false)) } else { Default::default() };
    let is_done = |container: &Container| match container.state {
        State::Terminated { code, .. } => code == 0,
        State::Running => container.sidecar,
        State::Waiting(_) | State::None => false,
    };
    let initialized = init.iter().all(is_done);
    Facts {
        phase: phase(pod.phase).to_owned(),
        reason: pod.reason.as_deref().unwrap_or("").to_owned(),
        total: pod.containers.iter().filter(|container| !container.init || container.sidecar).count(),
        init_total: pod.containers.iter().filter(|container| container.init).count(),
        ready: pod.conditions.iter().any(|condition| condition.kind == "Ready" && condition.holds),
        init,
        containers,
        gated: pod.conditions.iter().any(|condition| &*condition.reason == "SchedulingGated"),
        initialized: initialized && pod.node.is_some(),
        deleting: pod.deleting,
    }
}

fn phase(phase: PodPhase) -> &'static str {
    match phase {
        PodPhase::Pending => "Pending",
        PodPhase::Running => "Running",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn container(status: &Value, sidecar: bool) -> Container {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let state = &status["state"];
        let state = if let Some(waiting) = state.get("waiting") {
            State::Waiting(text(&waiting["reason"]))
        } else if let Some(ended) = state.get("terminated") {
            State::Terminated {
                reason: text(&ended["reason"]),
                code: ended["exitCode"].as_i64().unwrap_or(0),
                signal: ended["signal"].as_i64().unwrap_or(0),
            }
        } else if state.get("running").is_some() {
            State::Running
        } else {
            State::None
        };
        Container {
            state,
            ready: status["ready"] == true,
            started: status["started"] == true,
            sidecar,
            restarts: status["restarts"].as_u64().unwrap_or(0),
            last_ended_secs: status["last_finished_s_ago"].as_i64(),
        }
    }

    fn facts(input: &Value) -> Facts {
        let none = Vec::new();
        let list = |key: &str| input[key].as_array().unwrap_or(&none).clone();
        let init = list("init");
        let is_sidecar = |spec: &Value| spec["restartPolicy"] == "Always";
        let sidecars = init.iter().filter(|spec| is_sidecar(spec)).count();
        // A status belongs to the init container of its name, or stands at its place.
        let init_statuses = list("initStatuses").into_iter().enumerate().map(|(at, status)| {
            let named =
                init.iter().find(|spec| status.get("name").is_some() && spec["name"] == status["name"]);
            let spec = if status.get("name").is_some() { named } else { init.get(at) };
            container(&status, spec.is_some_and(is_sidecar))
        });
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        Facts {
            phase: text(&input["phase"]),
            reason: text(&input["reason"]),
            total: input["containers"].as_u64().unwrap_or(0) as usize + sidecars,
            init_total: init.len(),
            init: init_statuses.collect(),
            containers: list("statuses").iter().map(|status| container(status, false)).collect(),
            gated: input["conditions"]["PodScheduled.reason"] == "SchedulingGated",
            initialized: input["conditions"]["Initialized"] == "True",
            ready: input["conditions"]["Ready"] == "True",
            deleting: input["deleting"] == true,
        }
    }

    #[test]
    fn cells_follow_the_printer() {
        let rows = include_str!("../../../tests/kubectl/pod_status.txt");
        for row in rows.lines().filter(|row| !row.starts_with('#') && !row.is_empty()) {
            let fields: Vec<&str> = row.split('\t').collect();
            let input = serde_json::from_str(fields[4]).unwrap();
            let cells = cells(&facts(&input));
            let found = [cells.ready, cells.status, cells.restarts];
            assert_eq!(found, [fields[1], fields[2], fields[3]].map(str::to_owned), "{}", fields[0]);
        }
    }
}
