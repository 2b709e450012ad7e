//! READY, STATUS and RESTARTS of a Pod, by the rules of the API server's printer (`printPod`,
//! `pkg/printers/internalversion`): one place for `kubectl get` and for the page.

use super::{ConditionRow, ContainerRow, ContainerState, PodRow};

/// A container's state as the rules look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
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
pub struct Container {
    /// State.
    pub state: State,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it has started.
    pub started: bool,
    /// Whether it is an init container that goes on running: a sidecar.
    pub sidecar: bool,
    /// How often it was started again.
    pub restarts: u64,
    /// Seconds since it last ended.
    pub last_ended_secs: Option<i64>,
}

/// What the rules look at.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field or a condition of the API")]
pub struct Facts {
    /// `status.phase`.
    pub phase: String,
    /// `status.reason`, empty where none is given.
    pub reason: String,
    /// Containers of the spec: ordinary ones and sidecars.
    pub total: usize,
    /// Init containers of the spec.
    pub init_total: usize,
    /// Init containers whose status is reported.
    pub init: Vec<Container>,
    /// Ordinary containers whose status is reported.
    pub containers: Vec<Container>,
    /// Whether `PodScheduled` waits for a gate (`SchedulingGated`).
    pub gated: bool,
    /// Whether `Initialized` is true.
    pub initialized: bool,
    /// Whether `Ready` is true.
    pub ready: bool,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
}

/// What is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    /// Containers that are ready.
    pub ready: usize,
    /// Containers that count.
    pub total: usize,
    /// STATUS.
    pub status: String,
    /// How often containers were started again.
    pub restarts: Restarts,
}

/// How often containers were started again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    /// Restarts of all containers that count.
    pub count: u64,
    /// Seconds since the last of them ended.
    pub last_secs: Option<i64>,
}

impl Restarts {
    fn add(&mut self, container: &Container) {
        self.count += container.restarts;
        self.last_secs = match (self.last_secs, container.last_ended_secs) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Applies the rules.
#[must_use]
pub fn cells(facts: &Facts) -> Cells {
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
    Cells { ready, total: facts.total, status, restarts }
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

/// STATUS of a Pod, from its row.
#[must_use]
pub fn word(pod: &PodRow) -> String {
    cells(&facts(pod)).status
}

fn facts(pod: &PodRow) -> Facts {
    let condition = |kind: &str| pod.conditions.iter().find(|row: &&ConditionRow| row.kind == kind);
    let holds = |kind: &str| condition(kind).is_some_and(|row| row.holds);
    // Before a node has taken the Pod, no status of its containers is reported.
    let reported = |init: bool| -> Vec<Container> {
        let rows =
            pod.containers.iter().filter(|row| pod.host_ip.is_some() && row.init == init && !row.ephemeral);
        rows.map(container).collect()
    };
    Facts {
        phase: pod.phase.word().to_owned(),
        reason: pod.reason.as_deref().unwrap_or("").to_owned(),
        total: pod.containers.iter().filter(|row| row.counts()).count(),
        init_total: pod.containers.iter().filter(|row| row.init).count(),
        init: reported(true),
        containers: reported(false),
        gated: condition("PodScheduled").is_some_and(|row| &*row.reason == "SchedulingGated"),
        initialized: holds("Initialized"),
        ready: holds("Ready"),
        deleting: pod.deleting,
    }
}

fn container(row: &ContainerRow) -> Container {
    let state = match &row.state {
        ContainerState::Waiting(reason) => State::Waiting(reason.to_string()),
        ContainerState::Running(_) => State::Running,
        ContainerState::Terminated(code, reason) => {
            State::Terminated { reason: reason.to_string(), code: i64::from(*code), signal: 0 }
        }
    };
    Container {
        state,
        ready: row.ready,
        started: row.started,
        sidecar: row.sidecar,
        restarts: u64::from(row.restarts),
        last_ended_secs: None,
    }
}
