//! The phase of a Pod from the states of its containers (`kubelet_pods.go`, `getPhase`).

use crate::api::RestartPolicy;

/// State of a container as far as the phase asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No status yet.
    Unknown,
    /// Waiting; how it ended the last time, if it ever ran.
    Waiting(Option<i32>),
    /// Running; whether it has started (its startup probe has succeeded).
    Running(bool),
    /// Ended with this code.
    Exited(i32),
}

/// Phase of a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not every container has started once.
    Pending,
    /// All have started.
    Running,
    /// All ended well and none starts again.
    Succeeded,
    /// All ended, some not well, and none starts again.
    Failed,
}

/// The phase of a Pod with these init containers (whether each stays, and its state) and containers. `terminal` says
/// that the kubelet has ended the Pod.
pub fn phase(policy: RestartPolicy, inits: &[(bool, State)], mains: &[State], terminal: bool) -> Phase {
    let regular = || inits.iter().filter(|(stays, _)| !stays).map(|(_, state)| *state);
    let sidecars = || inits.iter().filter(|(stays, _)| *stays).map(|(_, state)| *state);
    let failed_init = regular().any(|state| match state {
        State::Exited(code) | State::Waiting(Some(code)) => code != 0,
        State::Unknown | State::Waiting(None) | State::Running(_) => false,
    });
    let pending_init =
        regular().any(|state| matches!(state, State::Unknown | State::Running(_) | State::Waiting(None)));
    let pending_sidecar =
        sidecars().any(|state| matches!(state, State::Running(false) | State::Waiting(None)));
    let any_main = mains.iter().any(|state| matches!(state, State::Running(_) | State::Exited(_)));
    let running = mains.iter().copied().chain(sidecars()).any(|state| matches!(state, State::Running(_)));
    let waiting = mains.iter().copied().chain(sidecars()).any(|state| state == State::Waiting(None));
    let unknown = mains.iter().copied().chain(sidecars()).any(|state| state == State::Unknown);
    let stopped =
        mains.iter().filter(|state| matches!(state, State::Exited(_) | State::Waiting(Some(_)))).count();
    let succeeded = mains.iter().filter(|state| **state == State::Exited(0)).count();
    if failed_init && policy == RestartPolicy::Never {
        return Phase::Failed;
    }
    if pending_init || (pending_sidecar && !any_main) || waiting || unknown {
        return Phase::Pending;
    }
    if running {
        return Phase::Running;
    }
    if stopped == 0 {
        return Phase::Pending;
    }
    let well = stopped == succeeded;
    match policy {
        _ if terminal && well => Phase::Succeeded,
        _ if terminal => Phase::Failed,
        RestartPolicy::Never | RestartPolicy::OnFailure if well => Phase::Succeeded,
        RestartPolicy::Never => Phase::Failed,
        RestartPolicy::Always | RestartPolicy::OnFailure => Phase::Running,
    }
}
