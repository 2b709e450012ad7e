//! What agents can do to the world, and what wakes them.

use super::{Desired, Exit, Launch, PodKey};
use crate::api::{ApiError, ApiRequest};
use crate::base::{DirId, Duration, IfIndex, NetnsId, ObjectKey, PidNsId, ProcessId, Rng, SimTime};
use crate::cluster::dns::View;
use crate::cluster::mesh::{Mode, Policies, Route};
use crate::kernel::{Ctx, Kind, Netns, NewLink};
use crate::tls::Credentials;
use crate::trace::{LinkKind, NetnsRole, TableChange};
use serde_json::Value;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// The world as agents see it.
pub trait World {
    /// Simulated time.
    fn now(&self) -> SimTime;
    /// Writes down that a row of the control plane's own came, changed or went.
    fn record(&mut self, change: TableChange);
    /// Makes a network namespace with `lo` up.
    fn new_netns(&mut self, name: Arc<str>, role: NetnsRole) -> NetnsId;
    /// Removes a network namespace with everything in it.
    fn del_netns(&mut self, netns: NetnsId);
    /// A network namespace.
    fn netns(&self, netns: NetnsId) -> Option<&Netns>;
    /// Works on a network namespace. See [`with`] for a form that returns something.
    fn visit(&mut self, netns: NetnsId, visitor: &mut dyn FnMut(&mut Netns, &mut Ctx<'_>));
    /// Makes both ends of a wire, down. The kinds in `a` and `b` are replaced by the right ones.
    fn add_wire(&mut self, wire: Wire, a: (NetnsId, NewLink), b: (NetnsId, NewLink)) -> (IfIndex, IfIndex);
    /// Makes a device in a Pod that stands on one of its node: the kind it has there and what it shows itself as. The
    /// numbers of the device and of what stays behind at the node.
    fn add_moved(
        &mut self,
        below: (NetnsId, Kind),
        new: (NetnsId, NewLink),
        shown: &LinkKind,
    ) -> (IfIndex, IfIndex);
    /// Moves one end of a wire into another namespace, down and without what was set on it there (`ip link set … netns`).
    /// Its number there; `None` where there is no such end.
    fn move_end(&mut self, from: (NetnsId, IfIndex), to: NetnsId, name: Arc<str>) -> Option<IfIndex>;
    /// Removes a veth pair by one end.
    fn del_wire(&mut self, netns: NetnsId, ifindex: IfIndex);
    /// Puts a file where commands in that namespace read it.
    fn write_file(&mut self, netns: NetnsId, path: &str, text: String);
    /// Puts a file into a directory tree.
    fn write_in(&mut self, dir: DirId, path: &str, text: String);
    /// Takes all files out of a directory tree.
    fn empty_dir(&mut self, dir: DirId);
    /// A PID namespace whose next process gets this number.
    fn new_pidns(&mut self, first: u32) -> PidNsId;
    /// An empty directory tree.
    fn new_dir(&mut self) -> DirId;
    /// A directory tree with the files that another one has now.
    fn copy_dir(&mut self, dir: DirId) -> DirId;
    /// What a process wrote last, as far back as one looks for a probe's answer.
    fn last_words(&self, process: ProcessId) -> String;
    /// Whether an image has this program, or it is a shell.
    fn has_program(&self, image: Option<&str>, program: &str) -> bool;
    /// Starts a main process. [`Wakeup::Exited`] tells when it ended.
    fn launch(&mut self, launch: Launch) -> ProcessId;
    /// Sends `SIGTERM` to a process.
    fn terminate(&mut self, process: ProcessId);
    /// Sends `SIGKILL` to a process and to all others of its PID namespace, if it is the first there.
    fn kill(&mut self, process: ProcessId);
    /// Sets how long things take.
    fn set_delays(&mut self, delays: crate::kernel::Delays);
    /// Wakes the agents with this after a while. `patient` wake-ups do not keep the cluster from counting as settled.
    fn wake_in(&mut self, after: Duration, patience: Patience, wakeup: Wakeup);
    /// The source of chance.
    fn rng(&mut self) -> &mut Rng;
}

/// Kind of a wire between two namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A veth pair.
    Veth,
    /// A cable between two network cards.
    Cable,
}

/// Whether the cluster counts as settled while a wake-up is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It does not.
    Prompt,
    /// It does: a retry that may go on for ever.
    Patient,
}

/// Works on a network namespace and returns what the work returns; `None` where the namespace is gone.
pub fn with<T>(
    world: &mut dyn World,
    netns: NetnsId,
    work: impl FnOnce(&mut Netns, &mut Ctx<'_>) -> T,
) -> Option<T> {
    let mut work = Some(work);
    let mut out = None;
    world.visit(netns, &mut |netns, ctx| {
        if let Some(work) = work.take() {
            out = Some(work(netns, ctx));
        }
    });
    out
}

/// What wakes the agents.
#[derive(Clone, Debug)]
pub enum Wakeup {
    /// The user applied a text.
    Apply(Arc<Desired>),
    /// Write further objects of the text that is being applied.
    ApplyMore,
    /// The daemon of this node's network plug-in has started.
    DaemonStarted(Arc<str>),
    /// The scheduler looks at this Pod.
    Schedule(PodKey),
    /// The scheduler looks again at all Pods that fitted nowhere.
    ScheduleAgain,
    /// A Pod's tolerations of its node's taints have run out, unless they were put off.
    Evict(PodKey, SimTime),
    /// The garbage collector of Pods comes to one whose node was not there before its quarantine.
    CollectPod(PodKey),
    /// Controllers look at what waits in their queue.
    Reconcile,
    /// A controller looks at this object again.
    Requeue(ObjectKey),
    /// A node stands still, or goes on.
    NodePower(Arc<str>, Power),
    /// The node controller looks at a node that has not reported since the number of its outage.
    NodeMonitor(Arc<str>, u32),
    /// The endpoint controller looks at the Services and their Pods.
    Endpoints,
    /// The provider of load balancers looks at the Services that wait for one.
    Balancers,
    /// The kube-proxies write their rules.
    ProxyRules,
    /// The network plug-in's agents write what enforces the policies.
    Policies,
    /// The kubelet goes on with this Pod; the number tells an outdated wake-up.
    Kubelet(PodKey, u32),
    /// The kubelet looks after this container of a Pod, by its place; the number tells an outdated wake-up.
    Container(PodKey, usize, u32),
    /// The kubelet probes a container, by its place, in the life with this number of restarts.
    Probe(PodKey, usize, ProbeKind, u32),
    /// A probe or a hook by a command has had its time.
    ProbeLate(ProcessId),
    /// A hook that only waits is over.
    HookOver(PodKey, usize),
    /// A Pod has been active for as long as it may.
    Deadline(PodKey),
    /// Volumes follow the object that they come from.
    Refresh(ObjectKey),
    /// A main process ended.
    Exited(ProcessId, Exit),
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It stands still, with all that is on it.
    Stopped,
    /// It goes on where it stood.
    Running,
}

/// A kind of probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Whether it has started; until then the others wait.
    Startup,
    /// Whether it lives; if not it is started anew.
    Liveness,
    /// Whether it takes traffic.
    Readiness,
}

/// Somebody who acts over time.
pub trait Actor: Clone {
    /// Answers a request to the API server, which changes its store at once.
    fn serve(&mut self, world: &mut dyn World, request: &ApiRequest) -> Result<Value, ApiError>;
    /// The cluster as a DNS server watches it, with its version; `None` where that is still the one known.
    fn names(&self, _known: Option<u64>) -> Option<(u64, View)> {
        None
    }
    /// A fresh certificate for the workload in this network namespace, as the mesh's control plane signs it.
    fn mesh_credentials(
        &mut self,
        _world: &mut dyn World,
        _netns: NetnsId,
    ) -> Result<Arc<Credentials>, String> {
        Err("there is no mesh".to_owned())
    }
    /// The mode of mutual TLS at a port of the workload in this network namespace.
    fn mesh_mode(&self, _netns: NetnsId, _port: u16) -> Mode {
        Mode::default()
    }
    /// The policies of authorization of the workload in this network namespace.
    fn mesh_policies(&self, _netns: NetnsId) -> Policies {
        Policies::default()
    }
    /// Where the mesh sends what a workload sends there.
    fn mesh_route(&self, _to: SocketAddrV4) -> Route {
        Route::Passthrough
    }
    /// The network namespace of a Pod, while it has one.
    fn netns_of(&self, _pod: &ObjectKey) -> Option<NetnsId> {
        None
    }
    /// Acts, then waits again.
    fn wake(&mut self, world: &mut dyn World, wakeup: Wakeup);
}
