//! Conditions of a Pod, and its phase, from the states of its containers (`pkg/kubelet/status`, `generate.go`).

use super::store::PodEntry;
use crate::api::RestartPolicy;
use crate::base::SimTime;
use crate::cluster::phase::{self, Phase, State};
use crate::trace::{ConditionRow, ContainerRow, ContainerState, PodPhase};
use std::sync::Arc;

/// A condition as it is now: whether it holds, and if not the reason and the message.
type Now = (bool, &'static str, String);

/// Whether an init container has done what it has to.
fn is_done(row: &ContainerRow) -> bool {
    match row.state {
        ContainerState::Terminated(code, _) => code == 0 && !row.sidecar,
        ContainerState::Running(_) => row.sidecar && row.started,
        ContainerState::Waiting(_) => false,
    }
}

fn named(what: &str, rows: &[&ContainerRow]) -> String {
    let names: Vec<&str> = rows.iter().map(|row| &*row.name).collect();
    format!("containers with {what} status: [{}]", names.join(" "))
}

impl PodEntry {
    /// The phase by the states of its containers (`getPhase`); one that has ended stays.
    pub(super) fn phase_now(&self) -> PodPhase {
        if matches!(self.phase, PodPhase::Failed | PodPhase::Succeeded) {
            return self.phase;
        }
        let state = |row: &ContainerRow| match row.state {
            ContainerState::Running(_) => State::Running(row.started),
            ContainerState::Terminated(code, _) => State::Exited(i32::from(code)),
            ContainerState::Waiting(_) => State::Waiting(row.last.as_ref().map(|last| i32::from(last.code))),
        };
        let inits: Vec<(bool, State)> =
            self.containers.iter().filter(|row| row.init).map(|row| (row.sidecar, state(row))).collect();
        let mains: Vec<State> = self.containers.iter().filter(|row| row.is_main()).map(state).collect();
        let policy = self.pod.spec.restart_policy.unwrap_or(RestartPolicy::Always);
        match phase::phase(policy, &inits, &mains, self.ended) {
            Phase::Pending => PodPhase::Pending,
            Phase::Running => PodPhase::Running,
            Phase::Succeeded => PodPhase::Succeeded,
            Phase::Failed => PodPhase::Failed,
        }
    }

    /// Whether all containers that count are ready.
    pub(super) fn containers_ready(&self) -> bool {
        let mut counting = self.containers.iter().filter(|row| row.counts());
        self.phase == PodPhase::Running && counting.all(|row| row.ready)
    }

    fn gates_pass(&self) -> bool {
        self.pod.spec.readiness_gates.iter().all(|gate| {
            let set =
                self.pod.status.conditions.iter().find(|condition| condition.kind == gate.condition_type);
            set.is_some_and(|condition| condition.status == "True")
        })
    }

    /// Whether its condition `Ready` is true.
    pub(super) fn is_ready(&self) -> bool {
        !self.unreachable && self.containers_ready() && self.gates_pass() && !self.is_told_unready()
    }

    /// Whether a status that was written for it says that it is not ready.
    fn is_told_unready(&self) -> bool {
        let conditions = &self.pod.status.conditions;
        !self.deleting && conditions.iter().any(|one| one.kind == "Ready" && one.status != "True")
    }

    /// Whether a status that was written for it says that it has run to its end.
    pub(super) fn is_told_ended(&self) -> bool {
        !self.deleting && matches!(self.pod.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// Brings the conditions up to date; those that did not change keep their time.
    pub(super) fn update_conditions(&mut self, now: SimTime) {
        let fresh = self.conditions_now();
        let same = |row: &ConditionRow, (kind, (holds, reason, message)): &(&'static str, Now)| {
            (row.kind, row.holds, &*row.reason, &*row.message) == (*kind, *holds, *reason, message.as_str())
        };
        let all_same = self.conditions.len() == fresh.len()
            && self.conditions.iter().zip(&fresh).all(|(row, fresh)| same(row, fresh));
        if all_same {
            return;
        }
        let old = self.conditions.clone();
        let row = |(kind, (holds, reason, message)): (&'static str, Now)| {
            let before = old.iter().find(|row| row.kind == kind && row.holds == holds);
            let since = before.map_or(now, |row| row.since);
            ConditionRow { kind, holds, reason: reason.into(), message: message.into(), since }
        };
        self.conditions = fresh.into_iter().map(row).collect();
    }

    fn conditions_now(&self) -> Vec<(&'static str, Now)> {
        let fine = || (true, "", String::new());
        let scheduled = match (&self.node, &self.unschedulable) {
            (Some(_), _) => fine(),
            (None, Some(why)) => (false, "Unschedulable", why.clone()),
            (None, None) if !self.pod.spec.scheduling_gates.is_empty() => {
                let text = "Scheduling is blocked due to non-empty scheduling gates".to_owned();
                (false, "SchedulingGated", text)
            }
            (None, None) => return Vec::new(),
        };
        if self.node.is_none() {
            return vec![("PodScheduled", scheduled)];
        }
        let ended = match self.phase {
            PodPhase::Succeeded => Some("PodCompleted"),
            PodPhase::Failed => Some("PodFailed"),
            PodPhase::Pending | PodPhase::Running => None,
        };
        let undone: Vec<&ContainerRow> =
            self.containers.iter().filter(|row| row.init && !is_done(row)).collect();
        let initialized = match ended {
            Some("PodCompleted") => (true, "PodCompleted", String::new()),
            _ if undone.is_empty() => fine(),
            _ => (false, "ContainersNotInitialized", named("incomplete", &undone)),
        };
        let unready: Vec<&ContainerRow> =
            self.containers.iter().filter(|row| row.counts() && !row.ready).collect();
        let containers = match ended {
            Some(reason) => (false, reason, String::new()),
            None if unready.is_empty() && self.phase == PodPhase::Running => fine(),
            None => (false, "ContainersNotReady", named("unready", &unready)),
        };
        let ready = if self.unreachable {
            (false, "", String::new())
        } else if containers.0 && !self.gates_pass() {
            let gates: Vec<String> =
                self.pod.spec.readiness_gates.iter().map(|gate| gate.condition_type.clone()).collect();
            let text = format!(
                "corresponding condition of pod readiness gate \"{}\" does not exist.",
                gates.join(", ")
            );
            (false, "ReadinessGatesNotReady", text)
        } else {
            containers.clone()
        };
        let sandbox = (self.netns.is_some() && ended.is_none(), "", String::new());
        let mut all = vec![
            ("PodReadyToStartContainers", sandbox),
            ("Initialized", initialized),
            ("Ready", ready),
            ("ContainersReady", containers),
            ("PodScheduled", scheduled),
        ];
        if self.preempted {
            let text = "default-scheduler: preempting to accommodate a higher priority pod".to_owned();
            all.push(("DisruptionTarget", (true, "PreemptionByScheduler", text)));
        }
        if self.collected {
            let text = "PodGC: node no longer exists".to_owned();
            all.push(("DisruptionTarget", (true, "DeletionByPodGC", text)));
        }
        all
    }

    /// Conditions as a row of the trace has them.
    pub(super) fn condition_rows(&self) -> Arc<[ConditionRow]> {
        self.conditions.clone()
    }
}
