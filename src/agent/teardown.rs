//! The kubelet and the container runtime take a Pod down in eight steps (`SyncTerminatingPod` and `SyncTerminatedPod`,
//! `pkg/kubelet/kubelet.go`): one that is deleted, one whose containers have ended for good, and one whose time is over.
//! A Pod that ends without being deleted keeps its object, with the address that it had and another may have by now.

use super::cni;
use super::containers;
use super::control::ControlPlane;
use super::controllers::Kind;
use super::hooks::Hook;
use super::killing;
use super::kubelet::{PortMap, Stage, entry_and_node, map_ports, wait, with_call};
use super::multus;
use super::store::{PodEntry, PodKey};
use super::world::World;
use crate::base::Duration;
use crate::trace::{ContainerRow, ContainerState, PodPhase, Steps};

const SIGTERM: Duration = Duration::from_ms(10);
/// How often it looks whether the containers have ended.
const RECHECK: Duration = Duration::from_secs(1);
const TEARDOWN: Duration = Duration::from_ms(10);

/// What is said of a Pod whose time is over.
const OVER: &str = "Pod was active on the node longer than the specified deadline";

impl PodEntry {
    /// Whether its kubelet ends it or has ended it, and starts nothing more.
    pub(super) fn is_going(&self) -> bool {
        self.deleting || self.ended
    }
}

fn terminated(world: &mut dyn World, key: &PodKey, number: u8, args: Vec<String>) {
    ControlPlane::step(world, key, (Steps::Termination, number), args);
}

/// The containers of a Pod have ended and none starts again, or the Pod may not run any longer: its sandbox goes, and
/// then its phase says so (`mergePodStatus`: as long as something could run, the old phase stays).
pub(super) fn complete(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key).filter(|entry| !entry.is_going()) else { return };
    entry.ended = true;
    let runs = !entry.processes().is_empty();
    let next = if runs { (Stage::Sigterm, SIGTERM) } else { (Stage::Stopped, TEARDOWN) };
    wait(control, world, key, next);
}

/// A Pod has been active for as long as it may: it is to fail.
pub(super) fn deadline(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key).filter(|entry| !entry.is_going()) else { return };
    entry.failure = Some(("DeadlineExceeded", OVER));
    control.pod_event(world, (key, None), Kind::Normal, "DeadlineExceeded", OVER.to_owned());
    complete(control, world, key);
}

/// The Pod is deleted: wherever it stands, its kubelet begins to take it down, unless it does so already.
pub(super) fn terminate(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let now = world.now();
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    if entry.ended {
        // Containers that are ending already have no more time than the deletion leaves them.
        let until = now + Duration::from_secs(entry.grace_seconds());
        entry.shared.kill_at = entry.shared.kill_at.map(|at| at.min(until));
        return;
    }
    wait(control, world, key, (Stage::Sigterm, SIGTERM));
}

/// The containers that still run are told to end.
pub(super) fn stop(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get(key) else { return };
    let grace = entry.grace_seconds();
    let lives = |index: &usize| entry.runtimes.get(*index).is_some_and(|runtime| runtime.process.is_some());
    let (inits, mains): (Vec<usize>, Vec<usize>) =
        (0..entry.containers.len()).filter(lives).partition(|index| entry.containers[*index].init);
    let living: Vec<(usize, String)> = mains
        .into_iter()
        .chain(inits)
        .map(|index| (index, entry.containers[index].name.to_string()))
        .collect();
    if living.is_empty() {
        return wait(control, world, key, (Stage::Stopped, TEARDOWN));
    }
    for (index, name) in &living {
        let message = format!("Stopping container {name}");
        control.pod_event(world, (key, Some(*index)), Kind::Normal, "Killing", message);
    }
    let names: Vec<&str> = living.iter().map(|(_, name)| name.as_str()).collect();
    terminated(world, key, 1, vec![names.join(", ")]);
    terminated(world, key, 2, vec![grace.to_string()]);
    // What does not end by itself is killed when the grace period is over.
    let kill_at = world.now() + Duration::from_secs(grace);
    if let Some(entry) = control.store.pods.get_mut(key) {
        entry.shared.kill_at = Some(kill_at);
    }
    wait(control, world, key, (Stage::Stopped, RECHECK.min(Duration::from_secs(grace))));
    let Some(entry) = control.store.pods.get(key) else { return };
    let living = entry.runtimes.iter().enumerate().filter(|(_, runtime)| runtime.process.is_some());
    let (sidecars, others): (Vec<usize>, Vec<usize>) =
        living.map(|(index, _)| index).partition(|index| entry.containers[*index].sidecar);
    // Sidecars follow when the others have ended, the last one first.
    let first = if others.is_empty() { sidecars.last().copied().into_iter().collect() } else { others };
    for index in first {
        if !control.begin_hook(world, key, index, Hook::PreStop) {
            control.hook_over(world, key, index);
        }
    }
}

/// The last main process ended before the grace period did.
pub(super) fn all_stopped(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    wait(control, world, key, (Stage::Stopped, TEARDOWN));
}

pub(super) fn clean_up(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let now = world.now();
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let still_in_grace = entry.shared.kill_at.is_some_and(|at| now < at);
    if still_in_grace && !entry.processes().is_empty() {
        return wait(control, world, key, (Stage::Stopped, RECHECK));
    }
    // Whoever a hook has kept from hearing of it is told now, and has a little more time. *Simplified*: without grace the
    // containers go together with the object, which does not wait for them.
    let has_grace = entry.grace_seconds() > 0;
    let living = |entry: &PodEntry| -> Vec<usize> {
        let lives = |index: &usize| entry.runtimes[*index].process.is_some();
        (0..entry.runtimes.len()).filter(lives).collect()
    };
    for index in living(entry) {
        control.hook_over(world, key, index);
    }
    let Some(entry) = control.store.pods.get(key) else { return };
    let rest = living(entry).into_iter().filter_map(|index| killing::rest(entry, index, now)).max();
    if let Some(rest) = rest.filter(|_| has_grace) {
        return wait(control, world, key, (Stage::Stopped, RECHECK.min(rest)));
    }
    containers::kill_late(control, world, key);
    terminated(world, key, 3, vec![key.name.to_string()]);
    let host_network = control.store.pods.get(key).is_some_and(|entry| entry.pod.spec.host_network);
    let next = if host_network { Stage::Gone } else { Stage::PluginDel };
    wait(control, world, key, (next, TEARDOWN));
}

pub(super) fn call_plugin_del(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let request = with_call(control, key, |call, ipam| cni::request("DEL", call, ipam).to_string());
    let args = vec![key.name.to_string()];
    ControlPlane::step_with(world, key, (Steps::Termination, 4), args, (request.map(Into::into), None));
    wait(control, world, key, (Stage::Released, TEARDOWN));
}

pub(super) fn release(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let freed = entry_and_node(control, key).and_then(|(entry, node)| node.ipam.release(&entry.sandbox));
    let addr = freed.map_or_else(String::new, |addr| addr.to_string());
    terminated(world, key, 5, vec![addr]);
    wait(control, world, key, (Stage::Detached, TEARDOWN));
}

pub(super) fn detach(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let addr = control.store.pods.get(key).and_then(|entry| entry.ip);
    map_ports(control, world, key, PortMap::Del);
    with_call(control, key, |call, _| cni::detach(world, call, addr));
    multus::release(control, world, key);
    control.withdraw(world, key);
    terminated(world, key, 6, vec![key.name.to_string()]);
    terminated(world, key, 7, vec![key.name.to_string()]);
    wait(control, world, key, (Stage::Gone, TEARDOWN));
}

pub(super) fn gone(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let own = entry.netns.take().filter(|_| !entry.pod.spec.host_network);
    if let Some(netns) = own {
        world.del_netns(netns);
    }
    terminated(world, key, 8, vec![key.name.to_string()]);
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    if entry.orphaned {
        control.store.remove_pod(key);
        return;
    }
    entry.ended = true;
    settle(entry);
    entry.phase = entry.phase_now();
    // No Pod ends without a phase that says so.
    if !matches!(entry.phase, PodPhase::Succeeded | PodPhase::Failed) {
        entry.phase = PodPhase::Failed;
    }
    if let Some((reason, message)) = entry.failure {
        entry.phase = PodPhase::Failed;
        (entry.reason, entry.message) = (Some(reason.into()), Some(message.into()));
    }
    entry.stage = Stage::Ended;
    let is_deleted = entry.deleting;
    control.record_pod(world, key);
    if is_deleted {
        return control.finish_pod(world, key);
    }
    control.room_made(world);
}

/// Every container of a Pod that is over has ended (`TerminatePod`, `pkg/kubelet/status`): one that waited to begin again
/// as it did last, if the Pod is deleted; one of which nothing is known has failed. Those that came never to their turn,
/// as init containers did not end well, go on waiting.
fn settle(entry: &mut PodEntry) {
    let has_begun =
        |row: &ContainerRow| !matches!(row.state, ContainerState::Waiting(_)) || row.last.is_some();
    let n_inits = entry.containers.iter().filter(|row| row.init).count();
    let (inits, mains) = entry.containers.split_at(n_inits);
    let ended_well = |row: &ContainerRow| row.last.as_ref().is_some_and(|last| last.code == 0);
    let initialized = inits.last().is_none_or(ended_well) || mains.iter().any(has_begun);
    let begun = inits.iter().rposition(has_begun).map_or(1, |at| at + 1);
    for (index, row) in entry.containers.iter_mut().enumerate() {
        if matches!(row.state, ContainerState::Terminated(..)) {
            continue;
        }
        let its_turn = if row.init { index < begun } else { initialized };
        match row.last.clone().filter(|_| entry.deleting) {
            Some(last) => row.state = ContainerState::Terminated(last.code, last.reason),
            None if its_turn => row.is_lost(),
            None => {}
        }
    }
}
