//! Lifecycle hooks (`pkg/kubelet/lifecycle`): what runs after a container has started, and before it is told to end.

use super::containers;
use super::control::ControlPlane;
use super::controllers::Kind;
use super::killing;
use super::launch::{Exit, Launch};
use super::probes::{command, executable_missing, of_machine, of_request, request};
use super::store::PodKey;
use super::world::{Patience, Wakeup, World};
use crate::app::probe::{NOT_HTTPS, Purpose, Request};
use crate::base::{Duration, ProcessId};
use crate::cluster::probe::Asks;
use serde_json::Value;
use std::collections::BTreeMap;

/// How long a connection of a hook may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    PostStart,
    PreStop,
}

/// Which hook a process is: of which container of a Pod.
pub(super) type Hooks = BTreeMap<ProcessId, Running>;

/// A hook at work.
#[derive(Clone, Debug)]
pub(super) struct Running {
    key: PodKey,
    index: usize,
    hook: Hook,
    /// What it asks over the network, and whether it is asked without TLS after the server did not speak it.
    request: Option<Request>,
    falls_back: bool,
}

impl ControlPlane {
    /// Begins a hook of a container; whether it has one.
    pub(super) fn begin_hook(
        &mut self,
        world: &mut dyn World,
        key: &PodKey,
        index: usize,
        hook: Hook,
    ) -> bool {
        let Some(entry) = self.store.pods.get_mut(key) else { return false };
        let Some(spec) = entry.spec_of(index).cloned() else { return false };
        let lifecycle = spec.lifecycle.as_ref();
        let action: Option<&Value> = match hook {
            Hook::PostStart => lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref()),
            Hook::PreStop => lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref()),
        };
        let Some(action) = action else { return false };
        if let Some(seconds) = action["sleep"]["seconds"].as_u64() {
            let after = (Duration::from_secs(seconds), Patience::Prompt);
            match hook {
                Hook::PostStart => containers::wait(self, world, (key, index), after),
                Hook::PreStop => {
                    world.wake_in(after.0, after.1, Wakeup::HookOver(key.clone(), index));
                }
            }
            return true;
        }
        let (netns, ip, node) = (entry.netns, entry.ip, entry.node.clone());
        let environment = entry.environment(index).cloned();
        let launch = match command(action) {
            Some(argv) => {
                environment.zip(netns).map(|(environment, netns)| Launch::program(netns, environment, argv))
            }
            None => ip
                .and_then(|ip| request(&spec, action, ip, (Purpose::Hook, TIMEOUT)))
                .and_then(|request| self.asking(world, &node?, request)),
        };
        let Some(launch) = launch else { return false };
        let request = launch.probe.clone();
        let process = world.launch(launch);
        self.hooks.insert(process, Running { key: key.clone(), index, hook, request, falls_back: false });
        true
    }

    /// The kubelet of a node asks.
    fn asking(&mut self, world: &mut dyn World, node: &str, request: Request) -> Option<Launch> {
        let node = self.store.nodes.get_mut(node)?;
        let environment = node.kubelet.get_or_insert_with(|| of_machine(world)).clone();
        Some(of_request(node.netns, environment, request))
    }

    /// Asks once more without TLS where the server did not speak it; whether it does (`isHTTPResponseError`).
    fn fall_back(&mut self, world: &mut dyn World, running: &Running, said: &str) -> bool {
        let Some(mut request) = running.request.clone().filter(|_| said.ends_with(NOT_HTTPS)) else {
            return false;
        };
        if let Asks::Http { is_https, headers, .. } = &mut request.asks {
            *is_https = false;
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Authorization"));
        }
        let node = self.store.pods.get(&running.key).and_then(|entry| entry.node.clone());
        let Some(launch) = node.and_then(|node| self.asking(world, &node, request)) else { return false };
        let process = world.launch(launch);
        self.hooks.insert(process, Running { falls_back: true, ..running.clone() });
        true
    }

    /// A process ended; whether it was a hook.
    pub(super) fn hooked(&mut self, world: &mut dyn World, process: ProcessId, exit: &Exit) -> bool {
        let Some(running) = self.hooks.remove(&process) else { return false };
        let failed = *exit != Exit::Status(0);
        let said = if failed { world.last_words(process) } else { String::new() };
        if failed && self.fall_back(world, &running, &said) {
            return true;
        }
        let Running { key, index, hook, request, falls_back } = running;
        if let Some(request) = request.filter(|_| falls_back && !failed) {
            let message = format!(
                "request to HTTPS lifecycle hook {} got HTTP response, retry with HTTP succeeded",
                request.to
            );
            self.pod_event(world, (&key, None), Kind::Warning, "LifecycleHTTPFallback", message);
        }
        match hook {
            Hook::PostStart if failed => {
                let why = self.failure_of(world, (&key, index), process, exit);
                killing::hook_failed(self, world, (&key, index), why);
            }
            Hook::PostStart => containers::begun(self, world, &key, index),
            Hook::PreStop => {
                if failed {
                    self.pod_event(
                        world,
                        (&key, Some(index)),
                        Kind::Warning,
                        "FailedPreStopHook",
                        "PreStopHook failed".to_owned(),
                    );
                }
                self.hook_over(world, &key, index);
            }
        }
        true
    }

    /// What is said of a hook after a start that failed (`HandlerRunner.Run`).
    fn failure_of(
        &self,
        world: &dyn World,
        (key, index): (&PodKey, usize),
        process: ProcessId,
        exit: &Exit,
    ) -> String {
        let Some(entry) = self.store.pods.get(key) else { return String::new() };
        let action = entry.spec_of(index).and_then(|spec| spec.lifecycle.as_ref()?.post_start.as_ref());
        let (name, uid) = (&entry.containers[index].name, containers::uid_of(entry));
        let whose =
            format!("for Container \"{name}\" in Pod \"{}_{}({uid})\" failed", key.name, key.namespace);
        let said = world.last_words(process);
        let Some(action) = action else { return said };
        match (command(action), exit) {
            (Some(argv), Exit::NoSuchProgram(program)) => {
                let why = executable_missing(program);
                format!("Exec lifecycle hook ([{}]) {whose} - error: {why}, message: \"\"", argv.join(" "))
            }
            (Some(argv), Exit::Status(code)) => {
                let argv = argv.join(" ");
                let why = format!("command '{argv}' exited with {code}: {said}");
                format!("Exec lifecycle hook ([{argv}]) {whose} - error: {why}, message: {said:?}")
            }
            (None, _) => {
                let path = action["httpGet"]["path"].as_str().unwrap_or("");
                format!("HTTP lifecycle hook ({path}) {whose} - error: {said}")
            }
        }
    }

    /// The hook before a container's end is over, or its time is: the container is told to end, once.
    pub(super) fn hook_over(&mut self, world: &mut dyn World, key: &PodKey, index: usize) {
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        let runtime = entry.runtime(index);
        if let Some(process) = runtime.process.filter(|_| runtime.told.is_none()) {
            runtime.told = Some(world.now());
            world.terminate(process);
        }
    }
}
