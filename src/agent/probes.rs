//! The kubelet's probes (`pkg/kubelet/prober`): real packets from the node to the Pod, or a command in the container.

use super::containers;
use super::control::ControlPlane;
use super::controllers::Kind;
use super::killing;
use super::launch::{Environment, Exit, Launch, Mounts, not_found};
use super::store::{PodEntry, PodKey};
use super::world::{Patience, ProbeKind, Wakeup, World};
use crate::api::Container;
use crate::app::probe::{Purpose, Request};
use crate::base::{Duration, Ipv4Addr, NetnsId, ProcessId};
use crate::cluster::probe::Asks;
use crate::kernel::User;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// The kinds in the order in which they are looked at.
const KINDS: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];
/// A probe without a delay of its own comes this long after its container has started.
const FIRST: Duration = Duration::from_ms(100);

/// What is counted of one probe in one life of a container.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    successes: i64,
    failures: i64,
    /// Whether it has come to a result.
    decided: bool,
}

/// Which probe a process is: Pod, container, kind, number of restarts.
pub(super) type Running = BTreeMap<ProcessId, (PodKey, usize, ProbeKind, u32)>;

fn written(container: &Container, kind: ProbeKind) -> Option<&Value> {
    match kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
    }
}

/// The time that a container has to end which this kind of probe ends, where the probe says one
/// (`terminationGracePeriodSeconds`).
pub(super) fn grace_seconds(container: &Container, kind: ProbeKind) -> Option<u64> {
    written(container, kind)?["terminationGracePeriodSeconds"].as_u64()
}

pub(super) fn name(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Startup => "Startup",
        ProbeKind::Liveness => "Liveness",
        ProbeKind::Readiness => "Readiness",
    }
}

/// A number of a probe, with the API's default.
fn number(probe: &Value, field: &str, default: i64) -> i64 {
    probe[field].as_i64().filter(|number| *number > 0).unwrap_or(default)
}

fn seconds(probe: &Value, field: &str, default: i64) -> Duration {
    Duration::from_secs(u64::try_from(number(probe, field, default)).unwrap_or(0))
}

/// A port by its number, or by a name that the container gives one of its ports.
pub(super) fn port(container: &Container, value: &Value) -> Option<u16> {
    match value {
        Value::String(name) => {
            let named = container.ports.iter().find(|port| port.name.as_deref() == Some(name));
            named.map(|port| port.container_port).or_else(|| name.parse().ok())
        }
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The connection that an action asks for; `None` for a command.
pub(super) fn request(
    container: &Container,
    action: &Value,
    ip: Ipv4Addr,
    (purpose, timeout): (Purpose, Duration),
) -> Option<Request> {
    let host = |value: &Value| value["host"].as_str().and_then(|host| host.parse().ok()).unwrap_or(ip);
    if let Some(http) = action.get("httpGet") {
        let headers = http["httpHeaders"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let path = http["path"].as_str().filter(|path| !path.is_empty()).unwrap_or("/");
        return Some(Request {
            purpose,
            to: SocketAddrV4::new(host(http), port(container, &http["port"])?),
            asks: Asks::Http {
                path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
                is_https: http["scheme"] == "HTTPS",
                headers: headers.map(|field| (text(&field["name"]), text(&field["value"]))).collect(),
            },
            timeout,
        });
    }
    if let Some(grpc) = action.get("grpc") {
        let to = SocketAddrV4::new(ip, port(container, &grpc["port"])?);
        let service = grpc["service"].as_str().unwrap_or("").to_owned();
        return Some(Request { purpose, to, asks: Asks::Grpc { service }, timeout });
    }
    let socket = action.get("tcpSocket")?;
    let to = SocketAddrV4::new(host(socket), port(container, &socket["port"])?);
    Some(Request { purpose, to, asks: Asks::Connection, timeout })
}

/// The words of a command that an action runs.
pub(super) fn command(action: &Value) -> Option<Vec<String>> {
    let words = action.get("exec")?["command"].as_array()?;
    Some(words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect())
}

impl PodEntry {
    /// Whether a container is ready: it runs, has started, and its readiness probe does not object.
    pub(super) fn update_readiness(&mut self, index: usize) {
        let Some(spec) = self.spec_of(index) else { return };
        let (startup, readiness) = (spec.startup_probe.is_some(), spec.readiness_probe.is_some());
        let runtime = self.runtime(index);
        let runs = runtime.process.is_some();
        let started = runs && (!startup || runtime.has_started);
        let ready = started && (!readiness || runtime.is_ready);
        let row = &mut self.containers[index];
        row.started = started;
        row.ready = ready && (!row.init || row.sidecar);
    }
}

impl ControlPlane {
    /// A container has started: its probes begin.
    pub(super) fn begin_probes(&mut self, world: &mut dyn World, key: &PodKey, index: usize) {
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        let Some(spec) = entry.spec_of(index).cloned() else { return };
        let life = entry.containers[index].restarts;
        let runtime = entry.runtime(index);
        (runtime.has_started, runtime.is_ready) = (false, false);
        runtime.counted = [Counted::default(); 3];
        entry.update_readiness(index);
        for kind in KINDS {
            let waits = kind != ProbeKind::Startup && spec.startup_probe.is_some();
            if let Some(probe) = written(&spec, kind).filter(|_| !waits) {
                self.plan_probe(world, (key, index, kind, life), first_after(probe));
            }
        }
    }

    /// The next probe; until the first result of a first life the cluster has not settled.
    fn plan_probe(
        &mut self,
        world: &mut dyn World,
        (key, index, kind, life): (&PodKey, usize, ProbeKind, u32),
        after: Duration,
    ) {
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        let decided = entry.runtime(index).counted[kind as usize].decided;
        let patience =
            if decided || life > 0 || entry.is_going() { Patience::Patient } else { Patience::Prompt };
        world.wake_in(after, patience, Wakeup::Probe(key.clone(), index, kind, life));
    }

    /// It is time for a probe.
    pub(super) fn probe(
        &mut self,
        world: &mut dyn World,
        key: &PodKey,
        index: usize,
        kind: ProbeKind,
        life: u32,
    ) {
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        // A Pod that is about to go is asked for its readiness only.
        let moot = entry.is_going() && kind != ProbeKind::Readiness;
        let current = entry.containers.get(index).is_some_and(|row| row.restarts == life);
        let Some(process) = entry.runtime(index).process.filter(|_| current && !moot) else { return };
        // One that ends for not being well is asked no more until it has begun anew (`onHold`).
        if kind != ProbeKind::Readiness && self.ending.contains_key(&process) {
            return;
        }
        let Some(spec) = entry.spec_of(index).cloned() else { return };
        let Some(probe) = written(&spec, kind).cloned() else { return };
        let timeout = seconds(&probe, "timeoutSeconds", 1);
        let (ip, netns) = (entry.ip, entry.netns);
        let environment = entry.environment(index).cloned();
        let node = entry.node.clone();
        let launch = match command(&probe) {
            Some(argv) => {
                environment.zip(netns).map(|(environment, netns)| Launch::program(netns, environment, argv))
            }
            None => {
                ip.and_then(|ip| request(&spec, &probe, ip, (Purpose::Probe, timeout))).and_then(|request| {
                    let node = self.store.nodes.get_mut(&node?)?;
                    let environment = node.kubelet.get_or_insert_with(|| of_machine(world)).clone();
                    Some(of_request(node.netns, environment, request))
                })
            }
        };
        let Some(launch) = launch else { return };
        let by_command = launch.probe.is_none();
        let process = world.launch(launch);
        self.probing.insert(process, (key.clone(), index, kind, life));
        if by_command {
            world.wake_in(timeout, Patience::Patient, Wakeup::ProbeLate(process));
        }
        self.plan_probe(world, (key, index, kind, life), seconds(&probe, "periodSeconds", 10));
    }

    /// A command has had its time.
    pub(super) fn probe_late(&mut self, world: &mut dyn World, process: ProcessId) {
        if self.probing.contains_key(&process) {
            self.late.insert(process);
            world.kill(process);
        } else {
            killing::late(self, world, process);
        }
    }

    /// A process ended; whether it was a probe.
    pub(super) fn probed(&mut self, world: &mut dyn World, process: ProcessId, exit: &Exit) -> bool {
        let Some((key, index, kind, life)) = self.probing.remove(&process) else { return false };
        let late = self.late.remove(&process);
        let Some(entry) = self.store.pods.get_mut(&key) else { return true };
        let same = entry.containers.get(index).is_some_and(|row| row.restarts == life);
        if !same || entry.runtime(index).process.is_none() {
            return true;
        }
        let what = name(kind);
        match exit {
            Exit::Status(0) => self.count_probe(world, (&key, index, kind, life), true),
            Exit::Status(_) => {
                let said = if late { "command timed out".to_owned() } else { world.last_words(process) };
                let message = format!("{what} probe failed: {said}");
                self.pod_event(world, (&key, Some(index)), Kind::Warning, "Unhealthy", message);
                self.count_probe(world, (&key, index, kind, life), false);
            }
            // A command that cannot be run says nothing of the container.
            Exit::NoSuchProgram(program) => {
                let why = executable_missing(program);
                let message = format!("{what} probe errored and resulted in unknown state: {why}");
                self.pod_event(world, (&key, Some(index)), Kind::Warning, "Unhealthy", message);
                if let Some(entry) = self.store.pods.get_mut(&key) {
                    entry.runtime(index).counted[kind as usize].decided = true;
                }
            }
        }
        true
    }

    fn count_probe(
        &mut self,
        world: &mut dyn World,
        (key, index, kind, life): (&PodKey, usize, ProbeKind, u32),
        good: bool,
    ) {
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        let Some(probe) = entry.spec_of(index).and_then(|spec| written(spec, kind)).cloned() else { return };
        let counted = &mut entry.runtime(index).counted[kind as usize];
        if good {
            (counted.successes, counted.failures) = (counted.successes + 1, 0);
        } else {
            (counted.successes, counted.failures) = (0, counted.failures + 1);
        }
        let reached = if good {
            counted.successes >= number(&probe, "successThreshold", 1)
        } else {
            counted.failures >= number(&probe, "failureThreshold", 3)
        };
        if !reached {
            return;
        }
        counted.decided = true;
        match (kind, good) {
            (ProbeKind::Readiness, good) => {
                entry.runtime(index).is_ready = good;
                self.readiness_changed(world, key, index);
            }
            (ProbeKind::Startup, true) => {
                if std::mem::replace(&mut entry.runtime(index).has_started, true) {
                    return;
                }
                let spec = entry.spec_of(index).cloned();
                self.readiness_changed(world, key, index);
                for kind in [ProbeKind::Liveness, ProbeKind::Readiness] {
                    if let Some(probe) = spec.as_ref().and_then(|spec| written(spec, kind)) {
                        self.plan_probe(world, (key, index, kind, life), first_after(probe));
                    }
                }
                containers::startup_done(self, world, key, index);
            }
            (ProbeKind::Liveness, true) => {}
            (ProbeKind::Liveness | ProbeKind::Startup, false) => {
                killing::unhealthy(self, world, (key, index), kind);
            }
        }
    }

    fn readiness_changed(&mut self, world: &mut dyn World, key: &PodKey, index: usize) {
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        let before = entry.containers[index].clone();
        entry.update_readiness(index);
        if entry.containers[index] != before {
            if !entry.is_going() {
                entry.phase = entry.phase_now();
            }
            self.record_pod(world, key);
        }
    }
}

/// What the container runtime says of a command that a container does not have.
pub(super) fn executable_missing(program: &str) -> String {
    format!(
        "rpc error: code = Unknown desc = failed to exec in container: failed to start exec: OCI runtime exec failed: exec \
         failed: unable to start container process: {}: unknown",
        not_found(program)
    )
}

fn first_after(probe: &Value) -> Duration {
    let written =
        probe["initialDelaySeconds"].as_i64().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
    Duration::from_secs(written).max(FIRST)
}

/// A connection from a node.
pub(super) fn of_request(netns: NetnsId, environment: Environment, request: Request) -> Launch {
    Launch { probe: Some(request), ..Launch::program(netns, environment, vec!["kubelet".to_owned()]) }
}

/// What the kubelet sees of its machine.
pub(super) fn of_machine(world: &mut dyn World) -> Environment {
    Environment {
        image: None,
        kube_namespace: "default".into(),
        // Its processes are threads of one that has been there from the beginning.
        pidns: world.new_pidns(700),
        user: User::default(),
        variables: Arc::new([]),
        mounts: Arc::new(Mounts::bare(world.new_dir())),
        directory: "/".into(),
    }
}
