//! Which containers the kubelet ends though their Pod stays, what it says of it, and which begin anew
//! (`computePodActions` and `killContainer`, `pkg/kubelet/kuberuntime`).

use super::containers;
use super::control::ControlPlane;
use super::controllers::Kind;
use super::hooks::Hook;
use super::images::Pull;
use super::probes;
use super::store::{PodEntry, PodKey};
use super::teardown;
use super::world::{Patience, ProbeKind, Wakeup, World};
use crate::api::{Pod, RestartPolicy};
use crate::base::{Duration, ProcessId, SimTime};
use crate::trace::ContainerState;

/// The least time that a container is given to end (`minimumGracePeriodInSeconds`).
pub(super) const LEAST_GRACE: Duration = Duration::from_secs(2);

/// A probe says that a container is not well. It ends and begins anew if its Pod's policy has that
/// (`shouldRestartOnFailure`), a sidecar always; where nothing else would run, the Pod ends as a whole.
pub(super) fn unhealthy(
    control: &mut ControlPlane,
    world: &mut dyn World,
    (key, index): (&PodKey, usize),
    kind: ProbeKind,
) {
    let Some(entry) = control.store.pods.get(key) else { return };
    let is_sidecar = entry.containers[index].sidecar;
    let again = is_sidecar || entry.pod.spec.restart_policy != Some(RestartPolicy::Never);
    if !again && !others_stay(entry, index, &|process| control.ending.contains_key(process)) {
        return teardown::complete(control, world, key);
    }
    let grace = entry.spec_of(index).and_then(|spec| probes::grace_seconds(spec, kind));
    let grace = grace.unwrap_or_else(|| entry.grace_seconds());
    let what = format!("failed {} probe", probes::name(kind).to_lowercase());
    let message = message(entry, index, &what, again);
    end(control, world, (key, index), (message, grace, again));
}

/// The hook after a container's start failed: it ends; its Pod's policy decides what follows, as of any that ends.
pub(super) fn hook_failed(
    control: &mut ControlPlane,
    world: &mut dyn World,
    (key, index): (&PodKey, usize),
    why: String,
) {
    let message = "PostStartHook failed".to_owned();
    control.pod_event(world, (key, Some(index)), Kind::Warning, "FailedPostStartHook", message);
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let runtime = entry.runtime(index);
    (runtime.hook_failed, runtime.in_hook) = (Some(why), false);
    let grace = entry.grace_seconds();
    end(control, world, (key, index), ("FailedPostStartHook".to_owned(), grace, false));
}

/// A Pod's object was written anew: containers of another image begin anew, whatever the policy says.
pub(super) fn redefined(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, old: &Pod) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let count = entry.regular();
    let before: Vec<Option<String>> = old
        .spec
        .init_containers
        .iter()
        .chain(&old.spec.containers)
        .map(|container| container.image.clone())
        .collect();
    for index in 0..count {
        let Some(entry) = control.store.pods.get_mut(key) else { return };
        let Some(image) = entry.spec_of(index).map(|spec| spec.image.clone()) else { continue };
        if before.get(index) == Some(&image) {
            continue;
        }
        let row = &mut entry.containers[index];
        row.image = image.as_deref().unwrap_or("").into();
        let goes_on = row.init && !row.sidecar;
        let runtime = entry.runtime(index);
        if runtime.process.is_some() && !goes_on {
            let message = message(entry, index, "definition changed", true);
            let grace = entry.grace_seconds();
            end(control, world, (key, index), (message, grace, true));
        } else if runtime.pull != Pull::Idle {
            runtime.pull = Pull::Idle;
            runtime.turn += 1;
            containers::start(control, world, key, index);
        }
    }
    containers::looked_into(control, world, key);
}

/// Whether an ordinary container besides this one runs on or is still to begin.
fn others_stay(entry: &PodEntry, index: usize, is_ending: &dyn Fn(&ProcessId) -> bool) -> bool {
    let stays = |at: usize| {
        let process = entry.runtimes.get(at).and_then(|runtime| runtime.process);
        match &entry.containers[at].state {
            ContainerState::Running(_) => process.is_some_and(|process| !is_ending(&process)),
            ContainerState::Waiting(_) => true,
            ContainerState::Terminated(..) => containers::restarts_in(entry, at),
        }
    };
    (0..entry.containers.len()).any(|at| at != index && entry.containers[at].is_main() && stays(at))
}

/// What is said of a container that ends. Of a sidecar it is not said that it begins anew, though it always does.
fn message(entry: &PodEntry, index: usize, what: &str, again: bool) -> String {
    let row = &entry.containers[index];
    if row.init {
        return format!("Init container {} {what}", row.name);
    }
    format!("Container {} {what}{}", row.name, if again { ", will be restarted" } else { "" })
}

/// The time that a container had is over. One whose hook took all of it is told to end all the same, and has a little more.
pub(super) fn late(control: &mut ControlPlane, world: &mut dyn World, process: ProcessId) {
    let Some((key, index)) = control.ending.get(&process).cloned() else { return };
    control.hook_over(world, &key, index);
    let rest = control.store.pods.get(&key).and_then(|entry| rest(entry, index, world.now()));
    if let Some(rest) = rest {
        return world.wake_in(rest, Patience::Prompt, Wakeup::ProbeLate(process));
    }
    control.ending.remove(&process);
    world.kill(process);
}

/// How much longer a container is given that was told to end; `None` where that is over.
pub(super) fn rest(entry: &PodEntry, index: usize, now: SimTime) -> Option<Duration> {
    let end = entry.runtimes.get(index)?.told? + LEAST_GRACE;
    (now < end).then(|| end.since(now))
}

/// Ends a container, after its hook, and kills it when `grace` seconds are over.
fn end(
    control: &mut ControlPlane,
    world: &mut dyn World,
    (key, index): (&PodKey, usize),
    (message, grace, again): (String, u64, bool),
) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let runtime = entry.runtime(index);
    let Some(process) = runtime.process else { return };
    runtime.anew |= again;
    // One that is on its way out already is not told twice.
    if control.ending.insert(process, (key.clone(), index)).is_some() {
        return;
    }
    control.pod_event(world, (key, Some(index)), Kind::Normal, "Killing", message);
    let grace = Duration::from_secs(grace).max(LEAST_GRACE);
    world.wake_in(grace, Patience::Prompt, Wakeup::ProbeLate(process));
    if !control.begin_hook(world, key, index, Hook::PreStop) {
        control.hook_over(world, key, index);
    }
}
