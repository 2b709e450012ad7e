//! The kubelet and the container runtime: a Pod's way up in the eight steps that the lesson teaches; `teardown.rs` has
//! its way down. Each step happens when the one before has taken its time; the times are round numbers near what a small
//! node needs with images present.

use super::cni::{self, Attached, Call, portmap};
use super::containers;
use super::control::{ControlPlane, hex};
use super::controllers::Kind;
use super::multus;
use super::store::{PodEntry, PodKey};
use super::teardown;
use super::world::{Patience, Wakeup, World};
use crate::api::{ClusterSpec, Cni};
use crate::base::{Duration, Ipv4Addr};
use crate::cluster::ipam::Ipam;
use crate::cluster::{names, resolv};
use crate::trace::{ContainerState, NetnsRole, PodPhase, Steps};
use std::sync::Arc;

/// Annotation of a Pod whose network plug-in is to fail: so many times, or `true` for always.
const CNI_FAILS: &str = "vethscope.dev/cni-add-fails";

const ADMISSION: Duration = Duration::from_ms(20);
const SANDBOX: Duration = Duration::from_ms(100);
const PLUGIN_START: Duration = Duration::from_ms(20);
const PLUGIN_HALF: Duration = Duration::from_ms(15);
const CONTAINER_START: Duration = Duration::from_ms(150);
const STATUS: Duration = Duration::from_ms(50);
/// How soon it looks again at what it waits for.
const RECHECK: Duration = Duration::from_secs(1);
/// How soon a volume that cannot be made is tried again, how late at most, and when it is said that it takes too long.
const MOUNT_AGAIN: Duration = Duration::from_ms(500);
const MOUNT_AGAIN_MAX: Duration = Duration::from_secs(122);
const MOUNT_TIMEOUT: Duration = Duration::from_secs(123);
/// The kubelet tries again with the next sync of the Pod (`podSyncFailed`, 10 to 15 s).
const RETRY: Duration = Duration::from_secs(12);

/// Where the kubelet stands with a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Unscheduled,
    Admitted,
    /// Its volumes are made, as soon as what they come from is there.
    Mounting,
    Sandbox,
    PluginCalled,
    Attached,
    Configured,
    /// This init container runs.
    Init(usize),
    ContainersStarted,
    Running,
    Sigterm,
    Stopped,
    PluginDel,
    Released,
    Detached,
    Gone,
    /// Nothing of it is left on its node, and nothing comes again: it has ended, or the kubelet did not take it.
    Ended,
    /// Nothing of it runs any more; its object waits for a finalizer.
    Held,
}

pub(super) fn wait(
    control: &mut ControlPlane,
    world: &mut dyn World,
    key: &PodKey,
    (stage, after): (Stage, Duration),
) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    entry.stage = stage;
    entry.turn += 1;
    world.wake_in(after, Patience::Prompt, Wakeup::Kubelet(key.clone(), entry.turn));
}

/// The kubelet sees a Pod bound to its node.
pub(super) fn admit(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    wait(control, world, key, (Stage::Admitted, ADMISSION));
}

/// The kubelet does not take a Pod that was bound to its node: it has failed before it began.
pub(super) fn reject(
    control: &mut ControlPlane,
    world: &mut dyn World,
    key: &PodKey,
    (reason, message): (&str, &str),
) {
    control.pod_event(world, (key, None), Kind::Warning, reason, message.to_owned());
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    entry.phase = PodPhase::Failed;
    entry.reason = Some(reason.into());
    entry.message = Some(format!("Pod was rejected: {message}").into());
    entry.stage = Stage::Ended;
    control.record_pod(world, key);
}

/// The kubelet comes upon a Pod that has ended already, for it was pasted with that status, and leaves it as it is.
pub(super) fn leave_ended(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let well = entry.pod.status.phase.as_deref() == Some("Succeeded");
    entry.phase = if well { PodPhase::Succeeded } else { PodPhase::Failed };
    entry.ended = true;
    entry.stage = Stage::Ended;
    control.record_pod(world, key);
}

/// Takes the step whose time has come.
pub(super) fn go_on(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, turn: u32) {
    let Some(entry) = control.store.pods.get(key).filter(|entry| entry.turn == turn) else { return };
    match entry.stage {
        Stage::Unscheduled | Stage::Running | Stage::Ended | Stage::Held => {}
        Stage::Admitted => begin(control, world, key),
        Stage::Mounting => mount(control, world, key),
        Stage::Sandbox => make_netns(control, world, key),
        Stage::PluginCalled => call_plugin(control, world, key),
        Stage::Attached => attach(control, world, key),
        Stage::Configured => configured(control, world, key),
        Stage::Init(index) => init_done(control, world, key, index),
        Stage::ContainersStarted => report(control, world, key),
        Stage::Sigterm => teardown::stop(control, world, key),
        Stage::Stopped => teardown::clean_up(control, world, key),
        Stage::PluginDel => teardown::call_plugin_del(control, world, key),
        Stage::Released => teardown::release(control, world, key),
        Stage::Detached => teardown::detach(control, world, key),
        Stage::Gone => teardown::gone(control, world, key),
    }
}

pub(super) fn created(world: &mut dyn World, key: &PodKey, number: u8, args: Vec<String>) {
    ControlPlane::step(world, key, (Steps::Creation, number), args);
}

fn begin(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let node = node_of(control, key);
    created(world, key, 2, vec![key.name.to_string(), node]);
    if let Some(entry) = control.store.pods.get_mut(key) {
        let reason =
            if entry.pod.spec.init_containers.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        entry.set_containers(|_, _| true, &ContainerState::Waiting(reason.into()));
    }
    let deadline = control.store.pods.get(key).and_then(|entry| entry.pod.spec.active_deadline_seconds);
    if let Some(seconds) = deadline.and_then(|seconds| u64::try_from(seconds).ok()) {
        world.wake_in(Duration::from_secs(seconds), Patience::Prompt, Wakeup::Deadline(key.clone()));
    }
    control.record_pod(world, key);
    mount(control, world, key);
}

/// The volumes are made (`WaitForAttachAndMount`); without what they come from the kubelet tries again, ever later.
fn mount(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some((volume, why)) = control.unmountable(key) else {
        control.fill_volumes(world, key);
        return wait(control, world, key, (Stage::Sandbox, SANDBOX));
    };
    control.mount_failed(world, key, (&volume, &why));
    let now = world.now();
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    entry.attempts += 1;
    let told = now.since(entry.created) >= MOUNT_TIMEOUT && !std::mem::replace(&mut entry.reported, true);
    if told {
        let message = format!(
            "Unable to attach or mount volumes: unmounted volumes=[{volume}], unattached volumes=[], failed to process \
             volumes=[]: timed out waiting for the condition"
        );
        control.pod_event(world, (key, None), Kind::Warning, "FailedMount", message);
    }
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let after = MOUNT_AGAIN.0 << entry.attempts.saturating_sub(1).min(8);
    entry.stage = Stage::Mounting;
    entry.turn += 1;
    let wakeup = Wakeup::Kubelet(key.clone(), entry.turn);
    world.wake_in(Duration(after).min(MOUNT_AGAIN_MAX), Patience::Patient, wakeup);
}

/// What a volume waits for may have come.
pub(super) fn mount_again(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    wait(control, world, key, (Stage::Mounting, RECHECK));
}

fn node_of(control: &ControlPlane, key: &PodKey) -> String {
    control.store.pods.get(key).and_then(|entry| entry.node.as_deref()).unwrap_or("").to_owned()
}

/// The runtime makes the sandbox with its network namespace; a Pod with `hostNetwork` lives in the node's.
fn make_netns(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let name: Arc<str> = format!("{}/{}", key.namespace, key.name).into();
    let Some(cluster) = control.cluster.clone() else { return };
    let Some((entry, node)) = entry_and_node(control, key) else { return };
    if let Err(wrong) = resolv::pod_dns(&entry.pod, &node.spec, &cluster) {
        let message = format!("Failed to create pod sandbox: {wrong}");
        return not_made(control, world, key, ("FailedCreatePodSandBox", message));
    }
    let (node_netns, address) = (node.netns, node.spec.address);
    if entry.pod.spec.host_network {
        entry.netns = Some(node_netns);
        entry.ip = Some(address);
        entry.shared.files = Some(world.new_dir());
        created(world, key, 3, vec![name.to_string()]);
        return configured(control, world, key);
    }
    let role = NetnsRole::Pod { namespace: key.namespace.clone(), pod: key.name.clone(), node: node_netns };
    let netns = world.new_netns(name.clone(), role);
    if let Some(entry) = control.store.pods.get_mut(key) {
        entry.netns = Some(netns);
    }
    let home = control.store.pods.get(key).and_then(|entry| entry.node.clone());
    if let Some(home) = home {
        control.attach_sockets(world, &home, netns);
    }
    created(world, key, 3, vec![name.to_string()]);
    // It tells of the sandbox when that has its address (`OnPodSandboxReady`).
    control.record_untold(world, key);
    wait(control, world, key, (Stage::PluginCalled, PLUGIN_START));
}

pub(super) type EntryAndNode<'a> = (&'a mut PodEntry, &'a mut super::store::NodeEntry);

pub(super) fn entry_and_node<'a>(control: &'a mut ControlPlane, key: &PodKey) -> Option<EntryAndNode<'a>> {
    let entry = control.store.pods.get_mut(key)?;
    let node = control.store.nodes.get_mut(entry.node.as_ref()?)?;
    Some((entry, node))
}

/// Runs `work` with the plug-in call for this Pod.
pub(super) fn with_call<T>(
    control: &mut ControlPlane,
    key: &PodKey,
    work: impl FnOnce(&Call<'_>, &mut Ipam) -> T,
) -> Option<T> {
    let cluster = control.cluster.clone()?;
    let labels = control.store.pods.get(key)?.pod.metadata.labels.clone();
    let identity = control.identities.of(&key.namespace, &labels);
    let (entry, node) = entry_and_node(control, key)?;
    let path = format!("/var/run/netns/cni-{}", &entry.sandbox[..32]);
    let call = Call {
        node: node.netns,
        node_name: &node.spec.name,
        sandbox: entry.netns?,
        container: &entry.sandbox,
        netns_path: &path,
        pod: (&key.namespace, &key.name),
        requested: requested_ip(entry, &node.ipam),
        identity,
        cluster: &cluster,
    };
    Some(work(&call, &mut node.ipam))
}

/// An object pasted with its status keeps its address where it is free.
fn requested_ip(entry: &PodEntry, ipam: &Ipam) -> Option<Ipv4Addr> {
    let status = &entry.pod.status;
    let addr: Ipv4Addr = status.pod_ip.as_deref()?.parse().ok()?;
    ipam.clone().allocate(&entry.sandbox, Some(addr)).is_ok().then_some(addr)
}

fn call_plugin(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let request = with_call(control, key, |call, ipam| cni::request("ADD", call, ipam).to_string());
    let args = vec![key.name.to_string()];
    ControlPlane::step_with(world, key, (Steps::Creation, 4), args, (request.map(Into::into), None));
    wait(control, world, key, (Stage::Attached, PLUGIN_HALF));
}

fn attach(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let before = blocks(control, key);
    // A failure on demand: so many calls of the plug-in fail, or all of them.
    let failing = control.store.pods.get(key).is_some_and(|entry| {
        match entry.pod.metadata.annotations.get(CNI_FAILS) {
            Some(text) => text.parse::<u32>().map_or(text == "true", |times| entry.attempts < times),
            None => false,
        }
    });
    let made = if failing {
        Some(Err("failure asked for by the annotation".to_owned()))
    } else {
        with_call(control, key, |call, ipam| cni::attach(world, call, ipam))
    };
    match made {
        None => {}
        Some(Err(error)) => {
            let failure = |cluster: &Arc<ClusterSpec>| cni::failure(cluster, &error);
            let failure = control.cluster.as_ref().map_or_else(String::new, failure);
            sandbox_failed(control, world, key, &failure);
        }
        Some(Ok(made)) => {
            if blocks(control, key) != before {
                let node = node_of(control, key);
                control.connect(world, &node);
            }
            created(world, key, 5, vec![made.addr.to_string(), made.veth.0.to_string()]);
            configure(control, world, key, &made);
        }
    }
}

/// Which call of portmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortMap {
    Add,
    Del,
}

/// Calls portmap after the plug-in that made the interface, or before the one that takes it away.
pub(super) fn map_ports(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, what: PortMap) {
    let Some(cluster) = control.cluster.clone().filter(|_| !control.is_cilium()) else { return };
    let Some((entry, node)) = entry_and_node(control, key) else { return };
    let Some(addr) = entry.ip.filter(|_| portmap::has_ports(&entry.pod)) else { return };
    let prefix_len = if cluster.network.cni == Cni::Calico { 32 } else { node.spec.pod_cidr.prefix_len() };
    let network = cni::network_name(&cluster);
    let call = portmap::Mapped { network, container: &entry.sandbox, addr, prefix_len };
    match what {
        PortMap::Add => portmap::add(world, node.netns, &entry.pod, &call),
        PortMap::Del => portmap::del(world, node.netns, &call),
    }
}

/// How many blocks of addresses the Pod's node has claimed.
fn blocks(control: &mut ControlPlane, key: &PodKey) -> usize {
    match entry_and_node(control, key).map(|(_, node)| &node.ipam) {
        Some(Ipam::Blocks(blocks)) => blocks.claimed().count(),
        Some(Ipam::HostLocal(_)) | None => 0,
    }
}

fn configure(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, made: &Attached) {
    let result = with_call(control, key, |call, ipam| {
        cni::configure(world, call, ipam, made);
        (cni::result(call, ipam, made).to_string(), cni::gateway(call, ipam))
    });
    let Some((result, gateway)) = result else { return };
    if let Some(entry) = control.store.pods.get_mut(key) {
        entry.ip = Some(made.addr);
    }
    map_ports(control, world, key, PortMap::Add);
    control.publish(world, key);
    if let Err(error) = multus::attach(control, world, key) {
        multus::release(control, world, key);
        if let Some((entry, node)) = entry_and_node(control, key) {
            node.ipam.release(&entry.sandbox);
        }
        let failure =
            format!("plugin type=\"multus-shim\" name=\"multus-cni-network\" failed (add): {error}");
        return sandbox_failed(control, world, key, &failure);
    }
    let args = vec![gateway.to_string()];
    ControlPlane::step_with(world, key, (Steps::Creation, 6), args, (None, Some(result.into())));
    wait(control, world, key, (Stage::Configured, PLUGIN_HALF));
}

/// The plug-in failed: the sandbox is taken down, the Pod stays `ContainerCreating`, and the kubelet tries again.
fn sandbox_failed(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, failure: &str) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let message = format!(
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"{}\": {failure}",
        entry.sandbox
    );
    not_made(control, world, key, ("FailedCreatePodSandBox", message));
}

/// Something was missing for the sandbox: what there is of it is taken down, and the kubelet tries again later.
fn not_made(
    control: &mut ControlPlane,
    world: &mut dyn World,
    key: &PodKey,
    (reason, message): (&str, String),
) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    entry.attempts += 1;
    let netns = entry.netns.take();
    entry.stage = Stage::Sandbox;
    entry.turn += 1;
    entry.sandbox = hex(world, 64);
    let wakeup = Wakeup::Kubelet(key.clone(), entry.turn);
    if let Some(netns) = netns {
        world.del_netns(netns);
    }
    control.pod_event(world, (key, None), Kind::Warning, reason, message);
    control.record_pod(world, key);
    world.wake_in(RETRY, Patience::Patient, wakeup);
}

fn configured(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    write_files(control, world, key);
    start_containers(control, world, key);
}

/// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a Pod. They lie with its network namespace, or, where that is
/// the node's, in a directory of the Pod's own.
fn write_files(control: &ControlPlane, world: &mut dyn World, key: &PodKey) {
    let (Some(entry), Some(cluster)) = (control.store.pods.get(key), &control.cluster) else { return };
    let Some(node) = entry.node.as_ref().and_then(|name| control.store.nodes.get(name)) else { return };
    let (Some(netns), Some(ip)) = (entry.netns, entry.ip) else { return };
    let hosts = if entry.pod.spec.host_network {
        names::host_network_hosts_file(&entry.pod, &node.spec.name)
    } else {
        names::hosts_file(&entry.pod, ip, &cluster.dns.cluster_domain)
    };
    let mut files = vec![("/etc/hosts", hosts)];
    files.push(("/etc/hostname", names::hostname(&entry.pod, &node.spec.name) + "\n"));
    if let Ok(dns) = resolv::pod_dns(&entry.pod, &node.spec, cluster) {
        files.push(("/etc/resolv.conf", dns.text));
        for (reason, message) in dns.events {
            control.pod_event(world, (key, None), Kind::Warning, reason, message);
        }
    }
    for (path, text) in files {
        match entry.shared.files {
            Some(dir) => world.write_in(dir, path, text),
            None => world.write_file(netns, path, text),
        }
    }
}

fn start_containers(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get(key) else { return };
    let inits = entry.pod.spec.init_containers.len();
    if inits > 0 {
        return run_init(control, world, key, 0);
    }
    start_main(control, world, key);
}

/// A sidecar (an init container with `restartPolicy: Always`) starts and stays; others run to their end first.
fn run_init(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    entry.stage = Stage::Init(index);
    containers::start(control, world, key, index);
    control.record_pod(world, key);
}

/// A container runs, or its startup probe has succeeded.
pub(super) fn container_started(
    control: &mut ControlPlane,
    world: &mut dyn World,
    key: &PodKey,
    index: usize,
) {
    let Some(entry) = control.store.pods.get_mut(key).filter(|entry| !entry.is_going()) else { return };
    let (row, stage) = (&entry.containers[index], entry.stage);
    let next = match stage {
        // The next init container waits for a sidecar to have started.
        Stage::Init(at) if at == index && row.sidecar && row.started => Some((stage, CONTAINER_START)),
        // The first report comes when all have had their turn.
        Stage::ContainersStarted if entry.begun < entry.regular() => None,
        Stage::ContainersStarted => Some((stage, CONTAINER_START + STATUS)),
        Stage::Init(_)
        | Stage::Unscheduled
        | Stage::Admitted
        | Stage::Mounting
        | Stage::Sandbox
        | Stage::PluginCalled
        | Stage::Attached
        | Stage::Configured
        | Stage::Running
        | Stage::Sigterm
        | Stage::Stopped
        | Stage::PluginDel
        | Stage::Released
        | Stage::Detached
        | Stage::Gone
        | Stage::Ended
        | Stage::Held => None,
    };
    if stage == Stage::Running {
        containers::tell_phase(control, world, key);
    }
    // Until the first report the API server knows of no container that runs: it comes together with the phase.
    if stage != Stage::ContainersStarted {
        control.record_pod(world, key);
    }
    if let Some(next) = next {
        wait(control, world, key, next);
    }
}

/// An init container ended well.
pub(super) fn init_ended(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) {
    control.record_pod(world, key);
    wait(control, world, key, (Stage::Init(index), STATUS));
}

fn init_done(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    if index + 1 < entry.pod.spec.init_containers.len() {
        run_init(control, world, key, index + 1);
    } else {
        start_main(control, world, key);
    }
}

fn start_main(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    let names: Vec<String> =
        entry.pod.spec.containers.iter().map(|container| container.name.clone()).collect();
    entry.begun = entry.pod.spec.init_containers.len();
    entry.stage = Stage::ContainersStarted;
    entry.turn += 1;
    created(world, key, 7, vec![names.join(", ")]);
    control.record_pod(world, key);
    containers::start_next(control, world, key);
}

/// The kubelet reports soon which containers run.
pub(super) fn report_later(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    wait(control, world, key, (Stage::ContainersStarted, CONTAINER_START + STATUS));
}

fn report(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get_mut(key) else { return };
    entry.stage = Stage::Running;
    containers::tell_phase(control, world, key);
    control.record_pod(world, key);
}
