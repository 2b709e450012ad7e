//! The kubelet's part in the life of containers: it starts main processes, sees them end, and starts them again after
//! a back-off of 10 seconds that doubles to 5 minutes (`kuberuntime_manager.go`, `doBackOff`).

use super::control::ControlPlane;
use super::controllers::Kind;
use super::hooks::Hook;
use super::images::{self, Pull};
use super::kubelet::{self, Stage};
use super::launch::{self, Console, Environment, Exit, Launch, Mounts, StandIn};
use super::pods::container_rows;
use super::probes::Counted;
use super::stand_ins::{listener, listeners_of};
use super::store::{PodEntry, PodKey};
use super::teardown;
use super::world::{Patience, Wakeup, World};
use crate::api::{Container, RestartPolicy, processes};
use crate::base::{DirId, Duration, NetnsId, PidNsId, ProcessId, SimTime};
use crate::cluster::configuration::expanded;
use crate::cluster::{images as image_facts, reference};
use crate::kernel::User;
use crate::trace::{ContainerRef, ContainerState, Made, PodPhase};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The first back-off and the longest (`backOffPeriod`, `MaxContainerBackOff`).
const BACK_OFF: Duration = Duration::from_secs(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// The kubelet looks once a second which containers ended (`plegRelistPeriod`).
const RELIST: Duration = Duration::from_secs(1);

/// How soon the kubelet tries again to make a container.
const SYNC: Duration = Duration::from_secs(10);

/// What the kubelet remembers about a container.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "what its probes and hooks said is remembered apart")]
pub(super) struct Runtime {
    pub(super) process: Option<ProcessId>,
    environment: Option<Environment>,
    started: SimTime,
    pub(super) finished: Option<SimTime>,
    /// How long the next start waits after the end; `None` before the first restart.
    back_off: Option<Duration>,
    /// When the back-off was last used (`lastUpdate`).
    used: SimTime,
    /// Where the kubelet stands with its image, and the last back-off after a failed pull.
    pub(super) pull: Pull,
    pub(super) image_back_off: Option<Duration>,
    /// Whether its startup probe has succeeded, and what its readiness probe said.
    pub(super) has_started: bool,
    pub(super) is_ready: bool,
    /// What is counted of its probes: startup, liveness, readiness.
    pub(super) counted: [Counted; 3],
    /// Whether it was ended to be started anew.
    pub(super) anew: bool,
    /// Whether the hook after its start still runs.
    pub(super) in_hook: bool,
    /// What its hook said that failed after its start (`ErrPostStartHook`).
    pub(super) hook_failed: Option<String>,
    /// When it was told to end.
    pub(super) told: Option<SimTime>,
    /// Tells an outdated wake-up.
    pub(super) turn: u32,
}

/// The directories and PID namespace that belong to a Pod as a whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    volumes: BTreeMap<String, DirId>,
    pidns: Option<PidNsId>,
    /// The Pod's own `/etc/hosts` and its like, where its network namespace is the node's.
    pub(super) files: Option<DirId>,
    /// The sandbox's own process, where its PID namespace is everybody's.
    pause: Option<ProcessId>,
    /// When what still runs is killed.
    pub(super) kill_at: Option<SimTime>,
}

impl Shared {
    /// The directory of a volume, empty at first.
    pub(super) fn volume(&mut self, world: &mut dyn World, name: &str) -> DirId {
        *self.volumes.entry(name.to_owned()).or_insert_with(|| world.new_dir())
    }

    /// A volume lies in this directory, which outlives the Pod.
    pub(super) fn mount(&mut self, name: String, dir: DirId) {
        self.volumes.insert(name, dir);
    }
}

impl PodEntry {
    /// A container of the spec by its place: init containers come first, ephemeral ones last.
    pub(super) fn spec_of(&self, index: usize) -> Option<&Container> {
        self.pod.spec.all_containers().nth(index)
    }

    /// How many containers it has besides those that came to look into it, which stand behind the others.
    pub(super) fn regular(&self) -> usize {
        self.pod.spec.init_containers.len() + self.pod.spec.containers.len()
    }

    pub(super) fn runtime(&mut self, index: usize) -> &mut Runtime {
        if self.runtimes.len() <= index {
            self.runtimes.resize_with(index + 1, Runtime::default);
        }
        &mut self.runtimes[index]
    }

    /// Seconds between `SIGTERM` and `SIGKILL`.
    pub(super) fn grace_seconds(&self) -> u64 {
        let own = self.pod.spec.termination_grace_period_seconds.and_then(|secs| u64::try_from(secs).ok());
        self.grace.or(own).unwrap_or(30)
    }

    /// Main processes that live.
    pub(super) fn processes(&self) -> Vec<ProcessId> {
        self.runtimes.iter().filter_map(|runtime| runtime.process).collect()
    }

    /// What commands in a container see; `None` before it was first started.
    pub(super) fn environment(&self, index: usize) -> Option<&Environment> {
        self.runtimes.get(index)?.environment.as_ref()
    }
}

/// Starts a container, for the first time or again, once its image is there.
pub(super) fn start(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) {
    if images::ensure(control, world, key, index) {
        create(control, world, key, index);
    }
}

/// Makes and starts a container whose image is there.
fn create(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) {
    let now = world.now();
    let Some(spec) = control.store.pods.get(key).and_then(|entry| entry.spec_of(index)).cloned() else {
        return;
    };
    let variables = match control.variables_of(key, &spec) {
        Ok(variables) => variables,
        Err(why) => {
            images::waits(control, key, index, ("CreateContainerConfigError", &why));
            control.pod_event(world, (key, Some(index)), Kind::Warning, "Failed", format!("Error: {why}"));
            control.record_pod(world, key);
            wait(control, world, (key, index), (SYNC, Patience::Patient));
            return passed(control, world, key, index);
        }
    };
    if control.store.pods.get(key).is_some_and(|entry| entry.containers[index].restarts > 0) {
        // Each time the kubelet looks after a Pod, its volumes are written anew (`ReprocessPod`).
        control.fill_volumes(world, key);
    }
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let Some(launch) = launch(entry, world, key, (index, variables)) else { return };
    entry.containers[index].message = None;
    entry.containers[index].made = Some(made(entry, index));
    let tell = |control: &ControlPlane, world: &mut dyn World, reason, message: &str| {
        control.pod_event(world, (key, Some(index)), Kind::Normal, reason, message.to_owned());
    };
    let refused = launch.refused(world);
    if let Some(program) = refused {
        entry.runtime(index).image_back_off = None;
        tell(control, world, "Created", "Container created");
        return control.start_error(world, (key, index), &program);
    }
    let environment = launch.environment.clone();
    let process = world.launch(launch);
    let runtime = entry.runtime(index);
    (runtime.process, runtime.told) = (Some(process), None);
    runtime.environment = Some(environment);
    runtime.started = now;
    runtime.image_back_off = None;
    control.mains.insert(process, (key.clone(), index));
    tell(control, world, "Created", "Container created");
    tell(control, world, "Started", "Container started");
    let in_hook = control.begin_hook(world, key, index, Hook::PostStart);
    if let Some(entry) = control.store.pods.get_mut(key) {
        entry.runtime(index).in_hook = in_hook;
    }
    if !in_hook {
        begun(control, world, key, index);
    }
}

/// A container has begun and its hook after that is over. Only now the kubelet tells that it runs, probes it, and comes
/// to the next one (`startContainer` runs the hook, `SyncPod` one container after the other).
pub(super) fn begun(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) {
    let Some(entry) = control.store.pods.get_mut(key).filter(|entry| !entry.is_going()) else { return };
    let runtime = entry.runtime(index);
    runtime.in_hook = false;
    let started = runtime.started;
    if runtime.process.is_none() {
        return;
    }
    let others_wait = entry.stage == Stage::ContainersStarted && entry.begun < entry.regular();
    entry.set_containers(|at, _| at == index, &ContainerState::Running(started));
    if !others_wait {
        control.begin_probes(world, key, index);
    }
    kubelet::container_started(control, world, key, index);
    passed(control, world, key, index);
}

/// The kubelet has done for a container what it can for now: it comes to the next one of those that begin together.
pub(super) fn passed(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) {
    let Some(entry) = control.store.pods.get(key) else { return };
    if entry.stage == Stage::ContainersStarted && entry.begun == index + 1 {
        start_next(control, world, key);
    }
}

/// Starts the next container that has not had its turn. When all have had theirs, those that run are reported and probed.
pub(super) fn start_next(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key).filter(|entry| !entry.is_going()) else { return };
    let index = entry.begun;
    if index < entry.regular() {
        entry.begun += 1;
        return start(control, world, key, index);
    }
    let first = entry.pod.spec.init_containers.len();
    let runs = |at: &usize| entry.runtimes.get(*at).is_some_and(|runtime| runtime.process.is_some());
    let last_runs = runs(&(index - 1));
    let earlier: Vec<usize> = (first..index - 1).filter(runs).collect();
    for at in &earlier {
        control.begin_probes(world, key, *at);
    }
    if !last_runs && !earlier.is_empty() {
        kubelet::report_later(control, world, key);
    }
}

/// Containers that came into a running Pod to look into it begin.
pub(super) fn looked_into(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let known = entry.containers.len();
    let rows = container_rows(&entry.pod);
    let new: Vec<usize> = (known..rows.len()).collect();
    entry.containers.extend(rows.into_iter().skip(known));
    if entry.netns.is_none() || entry.is_going() {
        return;
    }
    entry.set_containers(|at, _| at >= known, &ContainerState::Waiting("ContainerCreating".into()));
    for index in new {
        start(control, world, key, index);
    }
    control.record_pod(world, key);
}

/// What the runtime tells of a container that it makes. Its identity follows from the sandbox's, its name and its life.
fn made(entry: &PodEntry, index: usize) -> Made {
    let row = &entry.containers[index];
    let told = reference::told(&row.image);
    let id = reference::hex_digest(&format!("{} {} {}", entry.sandbox, row.name, row.restarts));
    Made { id: id.into(), image: told.name.into(), image_id: told.id.into() }
}

/// The startup probe of a container succeeded.
pub(super) fn startup_done(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) {
    kubelet::container_started(control, world, key, index);
}

fn launch(
    entry: &mut PodEntry,
    world: &mut dyn World,
    key: &PodKey,
    (index, variables): (usize, Vec<(String, String)>),
) -> Option<Launch> {
    let spec = entry.spec_of(index)?.clone();
    let netns = entry.netns?;
    let row = entry.containers.get(index)?;
    let image = spec.image.clone().unwrap_or_default();
    let container = ContainerRef {
        namespace: key.namespace.clone(),
        pod: key.name.clone(),
        uid: key.uid,
        container: row.name.clone(),
        restarts: row.restarts,
    };
    let (is_init, is_sidecar, is_ephemeral) = (row.init, row.sidecar, row.ephemeral);
    let target = spec.target_container_name.as_deref().filter(|name| !name.is_empty());
    let target = target.and_then(|name| entry.containers.iter().position(|row| *row.name == *name));
    let target = target.and_then(|index| entry.environment(index)).map(|environment| environment.pidns);
    let pidns = match entry.pod.spec.share_process_namespace {
        Some(true) => shared_pidns(entry, world, netns),
        Some(false) | None if target.is_some() => target.unwrap_or_else(|| world.new_pidns(1)),
        Some(false) | None => world.new_pidns(1),
    };
    let known =
        |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let expand = |words: &[String]| words.iter().map(|word| expanded(word, &known)).collect::<Vec<_>>();
    let argv = image_facts::argv(&image, &expand(&spec.command), &expand(&spec.args));
    let serves = processes::of_container(&entry.pod.metadata.annotations, &spec.name);
    let stand_in = match (image_facts::known(&image), is_init && !is_sidecar) {
        (Some(_), _) => StandIn::Refused,
        (None, _) if is_ephemeral => StandIn::Ends,
        (None, true) => StandIn::Ends,
        (None, false) => StandIn::Serves(listeners_of(&image, &spec)),
    };
    let mounts = Arc::new(launch::mounts(entry, world, &spec, &container));
    let environment = Environment {
        image: Some(image.as_str().into()),
        kube_namespace: key.namespace.clone(),
        pidns,
        user: launch::user_of(&entry.pod.spec, &spec),
        variables: variables.into(),
        mounts,
        directory: spec.working_dir.as_deref().unwrap_or(image_facts::directory(&image)).into(),
    };
    let serves = serves.map(|specs| specs.iter().map(listener).collect());
    let console = match (spec.stdin, spec.tty) {
        (Some(true), Some(true)) => Console::Terminal,
        (Some(true), Some(false) | None) => Console::Pipe,
        (Some(false) | None, _) => Console::Closed,
    };
    let container = Some(container);
    Some(Launch { netns, container, environment, argv, serves, stand_in, probe: None, console })
}

/// The PID namespace that a Pod's containers share. The sandbox's own process is the first there.
fn shared_pidns(entry: &mut PodEntry, world: &mut dyn World, netns: NetnsId) -> PidNsId {
    if let Some(pidns) = entry.shared.pidns {
        return pidns;
    }
    let pidns = world.new_pidns(1);
    let environment = Environment {
        image: Some("registry.k8s.io/pause:3.10".into()),
        kube_namespace: "default".into(),
        pidns,
        user: User::default(),
        variables: Arc::new([]),
        mounts: Arc::new(Mounts::bare(world.new_dir())),
        directory: "/".into(),
    };
    let argv = vec!["/pause".to_owned()];
    entry.shared.pause = Some(world.launch(Launch::program(netns, environment, argv)));
    entry.shared.pidns = Some(pidns);
    pidns
}

/// Kills what still runs of a Pod, the sandbox's process last.
pub(super) fn kill_all(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let processes = entry.processes();
    let pause = entry.shared.pause.take();
    for process in processes.into_iter().chain(pause) {
        control.mains.remove(&process);
        world.kill(process);
    }
}

/// Kills what still runs of a Pod whose grace period is over, and writes down how it ended.
pub(super) fn kill_late(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let now = world.now();
    let Some(entry) = control.store.pods.get(key) else { return };
    let lives = |index: &usize| entry.runtimes[*index].process.is_some();
    let living: Vec<usize> = (0..entry.runtimes.len()).filter(lives).collect();
    kill_all(control, world, key);
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    for index in living {
        let runtime = entry.runtime(index);
        (runtime.process, runtime.finished) = (None, Some(now));
        let started = Some(runtime.started);
        entry.containers[index].has_ended((137, "Error", None), (started, now));
        entry.containers[index].state = ContainerState::Terminated(137, "Error".into());
        entry.update_readiness(index);
    }
}

/// A main process ended.
pub(super) fn exited(control: &mut ControlPlane, world: &mut dyn World, process: ProcessId, exit: &Exit) {
    let now = world.now();
    let Some((key, index)) = control.mains.remove(&process) else { return };
    let Some(entry) = control.store.pods.get_mut(&key) else { return };
    let (code, reason) = match exit {
        Exit::Status(0) => (0, "Completed"),
        Exit::Status(code) => (*code, "Error"),
        Exit::NoSuchProgram(_) => (128, "StartError"),
    };
    let runtime = entry.runtime(index);
    runtime.process = None;
    runtime.finished = Some(now);
    let started = Some(runtime.started);
    entry.containers[index].has_ended((code, reason, None), (started, now));
    entry.set_containers(|at, _| at == index, &ContainerState::Terminated(code, reason.into()));
    control.ending.remove(&process);
    ended(control, world, (&key, index), code);
}

/// A container has ended with this status: the Pod follows, and the next container's turn comes if this one's beginning
/// was its end.
pub(super) fn ended(
    control: &mut ControlPlane,
    world: &mut dyn World,
    (key, index): (&PodKey, usize),
    code: u8,
) {
    follow(control, world, (key, index), code);
    passed(control, world, key, index);
}

fn follow(control: &mut ControlPlane, world: &mut dyn World, (key, index): (&PodKey, usize), code: u8) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    entry.update_readiness(index);
    if entry.is_going() {
        // The kubelet tells of it when nothing runs any more (`SyncTerminatingPod`).
        return stopped_one(control, world, key);
    }
    if entry.stage == Stage::Init(index) && code == 0 && !entry.containers[index].sidecar {
        kubelet::init_ended(control, world, key, index);
        return;
    }
    let anew = std::mem::take(&mut entry.runtime(index).anew);
    let phase = entry.phase_now();
    if matches!(phase, PodPhase::Succeeded | PodPhase::Failed) && !anew {
        control.record_pod(world, key);
        return teardown::complete(control, world, key);
    }
    // One whose definition has changed begins anew whatever the policy says.
    if !anew {
        entry.phase = phase;
    }
    if let Some(why) = entry.runtime(index).hook_failed.take().filter(|_| anew || restarts_in(entry, index)) {
        images::waits(control, key, index, ("PostStartHookError", &why));
    }
    control.record_pod(world, key);
    if restarts(control, key, index) || anew {
        wait(control, world, (key, index), (RELIST, Patience::Prompt));
    } else if control.store.pods.get(key).is_some_and(mains_done) {
        // Sidecars have nothing to stand beside.
        teardown::complete(control, world, key);
    }
}

/// A container of a Pod that goes has ended: sidecars follow when no other runs, the last one first.
fn stopped_one(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get(key) else { return };
    if entry.processes().is_empty() {
        if entry.stage == Stage::Stopped {
            teardown::all_stopped(control, world, key);
        }
        return;
    }
    let sidecar = |index: usize| entry.containers.get(index).is_some_and(|row| row.sidecar);
    let living = entry.runtimes.iter().enumerate().filter(|(_, runtime)| runtime.process.is_some());
    let (sidecars, others): (Vec<_>, Vec<_>) = living.partition(|(index, _)| sidecar(*index));
    let last = sidecars.last().map(|(index, _)| *index);
    if let Some(index) = last.filter(|_| others.is_empty())
        && !control.begin_hook(world, key, index, Hook::PreStop)
    {
        control.hook_over(world, key, index);
    }
}

/// Whether every ordinary container has ended and none starts again.
fn mains_done(entry: &PodEntry) -> bool {
    entry
        .containers
        .iter()
        .enumerate()
        .filter(|(_, row)| row.is_main())
        .all(|(index, row)| matches!(row.state, ContainerState::Terminated(..)) && !restarts_in(entry, index))
}

/// Whether a container that ended starts again.
fn restarts(control: &ControlPlane, key: &PodKey, index: usize) -> bool {
    control.store.pods.get(key).is_some_and(|entry| restarts_in(entry, index))
}

pub(super) fn restarts_in(entry: &PodEntry, index: usize) -> bool {
    let Some(row) = entry.containers.get(index) else { return false };
    let failed = !matches!(row.state, ContainerState::Terminated(0, _));
    match entry.pod.spec.restart_policy.unwrap_or_default() {
        _ if entry.ended || row.ephemeral => false,
        _ if row.sidecar => !mains_done(entry),
        RestartPolicy::Always | RestartPolicy::OnFailure if row.init => failed,
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => failed,
        RestartPolicy::Never => false,
    }
}

pub(super) fn wait(
    control: &mut ControlPlane,
    world: &mut dyn World,
    (key, index): (&PodKey, usize),
    (after, patience): (Duration, Patience),
) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let runtime = entry.runtime(index);
    runtime.turn += 1;
    world.wake_in(after, patience, Wakeup::Container(key.clone(), index, runtime.turn));
}

/// The kubelet looks at a container that ended: it starts it, or sees that it has to wait.
pub(super) fn look(
    control: &mut ControlPlane,
    world: &mut dyn World,
    key: &PodKey,
    (index, turn): (usize, u32),
) {
    let now = world.now();
    let Some(entry) = control.store.pods.get_mut(key).filter(|entry| !entry.is_going()) else { return };
    let runtime = entry.runtime(index);
    if runtime.turn != turn {
        return;
    }
    if runtime.in_hook {
        return begun(control, world, key, index);
    }
    if runtime.process.is_some() {
        return;
    }
    let pull = runtime.pull;
    if pull != Pull::Idle {
        if images::go_on(control, world, key, (index, pull)) {
            create(control, world, key, index);
        }
        return;
    }
    let Some(finished) = runtime.finished else { return start(control, world, key, index) };
    // A back-off that was not used for long is forgotten (`hasExpired`).
    if now.since(runtime.used) > BACK_OFF_MAX + BACK_OFF_MAX {
        runtime.back_off = None;
    }
    if let Some(back_off) = runtime.back_off
        && now < finished + back_off
    {
        let left = (finished + back_off).since(now);
        return back_off_for(control, world, (key, index), left);
    }
    runtime.back_off =
        Some(runtime.back_off.map_or(BACK_OFF, |back_off| (back_off + back_off).min(BACK_OFF_MAX)));
    runtime.used = now;
    entry.containers[index].restarts += 1;
    start(control, world, key, index);
    control.record_pod(world, key);
}

/// The Pod's UID, as its sandbox is told it.
pub(super) fn uid_of(entry: &PodEntry) -> String {
    let id = &entry.sandbox[..32];
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}

fn back_off_for(
    control: &mut ControlPlane,
    world: &mut dyn World,
    (key, index): (&PodKey, usize),
    left: Duration,
) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let back_off = entry.runtime(index).back_off.unwrap_or(BACK_OFF);
    let (name, uid) = (entry.containers[index].name.clone(), uid_of(entry));
    let state = ContainerState::Waiting("CrashLoopBackOff".into());
    entry.set_containers(|at, _| at == index, &state);
    entry.containers[index].message = Some(
        format!(
            "back-off {} restarting failed container={name} pod={}_{}({uid})",
            back_off.as_go(),
            key.name,
            key.namespace
        )
        .into(),
    );
    let message =
        format!("Back-off restarting failed container {name} in pod {}_{}({uid})", key.name, key.namespace);
    control.pod_event(world, (key, Some(index)), Kind::Warning, "BackOff", message);
    control.record_pod(world, key);
    wait(control, world, (key, index), (left, Patience::Patient));
}

/// Sets the phase. The first time that the Pod runs is the last step of its creation.
pub(super) fn tell_phase(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    entry.phase = entry.phase_now();
    let first = entry.phase == PodPhase::Running && !std::mem::replace(&mut entry.reported, true);
    let ip = entry.ip.map_or_else(String::new, |ip| ip.to_string());
    if first {
        kubelet::created(world, key, 8, vec![key.name.to_string(), ip]);
    }
}
