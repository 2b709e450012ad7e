//! Rows of Kubernetes objects: Nodes, Pods with their containers, Events, and the lesson's steps of a Pod's life.

use crate::base::{Ipv4Addr, Ipv4Net, NetnsId, SimTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A Node object, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Name.
    pub name: Arc<str>,
    /// Its root namespace.
    pub netns: NetnsId,
    /// Internal address.
    pub address: Ipv4Addr,
    /// `spec.podCIDR`.
    pub pod_cidr: Ipv4Net,
    /// Condition Ready.
    pub ready: bool,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `metadata.creationTimestamp`.
    pub created: SimTime,
    /// `lastTransitionTime` of condition Ready.
    pub transitioned: SimTime,
}

/// Phase of a Pod (`status.phase`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodPhase {
    /// Not all containers have started yet.
    Pending,
    /// At least one container runs or restarts.
    Running,
    /// All ended well.
    Succeeded,
    /// All ended, one badly.
    Failed,
}

impl PodPhase {
    /// The API's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

/// A Pod object, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRow {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// `spec.nodeName`, once scheduled.
    pub node: Option<Arc<str>>,
    /// `status.nominatedNodeName`: the node from which others go for its sake.
    pub nominated: Option<Arc<str>>,
    /// Its sandbox's network namespace, once made; the node's own with `hostNetwork`.
    pub netns: Option<NetnsId>,
    /// `status.phase`.
    pub phase: PodPhase,
    /// `status.reason`, or the reason the sandbox waits for.
    pub reason: Option<Arc<str>>,
    /// `status.podIP`.
    pub ip: Option<Ipv4Addr>,
    /// `status.hostIP`.
    pub host_ip: Option<Ipv4Addr>,
    /// Init containers, then containers, in the order of the spec.
    pub containers: Vec<ContainerRow>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `metadata.creationTimestamp`.
    pub created: SimTime,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `status.message`.
    pub message: Option<Arc<str>>,
    /// Conditions, in the order in which the kubelet reports them.
    pub conditions: Arc<[ConditionRow]>,
}

/// A condition of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionRow {
    /// Which, as `Ready`.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why not, in a word; empty where there is nothing to say.
    pub reason: Arc<str>,
    /// Why not, in a sentence.
    pub message: Arc<str>,
    /// Since when (`lastTransitionTime`).
    pub since: SimTime,
}

/// A container of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the API")]
pub struct ContainerRow {
    /// Name.
    pub name: Arc<str>,
    /// Image.
    pub image: Arc<str>,
    /// Declared ports, as `80/TCP`.
    pub ports: Vec<Arc<str>>,
    /// Whether it is an init container.
    pub init: bool,
    /// Whether it is an init container that stays (`restartPolicy: Always`).
    pub sidecar: bool,
    /// Whether it came into the running Pod to look into it (`ephemeralContainers`).
    pub ephemeral: bool,
    /// State.
    pub state: ContainerState,
    /// Restarts.
    pub restarts: u32,
    /// How it ended the last time: its state while it has ended, else `lastState.terminated`.
    pub last: Option<LastState>,
    /// How it ended the time before, if it ended more than once.
    pub before: Option<LastState>,
    /// What the runtime made for it last.
    pub made: Option<Made>,
    /// Whether it is ready (`ready`).
    pub ready: bool,
    /// Whether it has started (`started`): it runs, and its startup probe has succeeded.
    pub started: bool,
    /// What is said besides the reason of its state.
    pub message: Option<Arc<str>>,
}

impl ContainerRow {
    /// Whether it is one of the Pod's own, for which the Pod is there.
    pub fn is_main(&self) -> bool {
        !self.init && !self.ephemeral
    }

    /// Whether its readiness counts for the Pod's.
    pub fn counts(&self) -> bool {
        self.is_main() || self.sidecar
    }

    /// It ended with this exit code, for this reason, and with what is said besides; it had started then, or not at
    /// all. How it ended before is kept.
    pub fn has_ended(
        &mut self,
        (code, reason, message): (u8, &str, Option<&str>),
        (started, finished): (Option<SimTime>, SimTime),
    ) {
        let id = self.made.as_ref().map(|made| made.id.clone());
        let message = message.map(Into::into);
        let last = LastState { code, reason: reason.into(), message, started, finished: Some(finished), id };
        self.before = self.last.replace(last);
    }

    /// Nothing is known any more of what the runtime made for it (`ContainerStatusUnknown`).
    pub fn is_lost(&mut self) {
        const MESSAGE: &str = "The container could not be located when the pod was terminated";
        let reason: Arc<str> = "ContainerStatusUnknown".into();
        let last = LastState {
            code: 137,
            reason: reason.clone(),
            message: Some(MESSAGE.into()),
            started: None,
            finished: None,
            id: None,
        };
        self.before = self.last.replace(last);
        self.state = ContainerState::Terminated(137, reason);
    }
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastState {
    /// Exit code.
    pub code: u8,
    /// Reason: `Completed`, `Error`, `StartError`.
    pub reason: Arc<str>,
    /// What is said besides.
    pub message: Option<Arc<str>>,
    /// When it had started; `None` for one that did not begin.
    pub started: Option<SimTime>,
    /// When it ended; `None` for one of which nothing is known (`ContainerStatusUnknown`).
    pub finished: Option<SimTime>,
    /// Identity of what ended, 64 hexadecimal digits.
    pub id: Option<Arc<str>>,
}

/// What the runtime made for a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its identity, 64 hexadecimal digits.
    pub id: Arc<str>,
    /// The image's name as the runtime says it (`image`).
    pub image: Arc<str>,
    /// The image's name with its digest (`imageID`).
    pub image_id: Arc<str>,
}

/// State of a container (`status.containerStatuses[].state`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Waiting, with the reason (`ContainerCreating`, `PodInitializing` …).
    Waiting(Arc<str>),
    /// Running since.
    Running(SimTime),
    /// Ended, with its exit code and reason.
    Terminated(u8, Arc<str>),
}

/// A Kubernetes Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeEventRow {
    /// Kind of the object concerned.
    pub kind: Arc<str>,
    /// Namespace of the object concerned.
    pub namespace: Arc<str>,
    /// Name of the object concerned.
    pub name: Arc<str>,
    /// Whether it is a Warning.
    pub warning: bool,
    /// Reason in camel case.
    pub reason: Arc<str>,
    /// Message.
    pub message: String,
    /// Reporting component.
    pub component: Arc<str>,
    /// Node that it reports from; empty for a controller.
    pub host: Arc<str>,
    /// Part of the object that is meant, as `spec.containers{web}`; empty for the whole.
    pub field_path: Arc<str>,
}

/// The two lists of eight steps that the lesson teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Steps {
    /// A Pod comes up.
    Creation,
    /// A Pod goes down.
    Termination,
}

/// A step of a Pod's creation or termination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// Namespace of the Pod.
    pub namespace: Arc<str>,
    /// Name of the Pod.
    pub pod: Arc<str>,
    /// Which list.
    pub steps: Steps,
    /// Number in the list, 1 to 8. Its text is `step.creation.N` or `step.termination.N` in the catalogue.
    pub number: u8,
    /// What was asked, as JSON, where this step is a CNI call.
    pub request: Option<Arc<str>>,
    /// What came back, as JSON.
    pub result: Option<Arc<str>>,
    /// Arguments of the step's text: node, address …
    pub args: Vec<String>,
}
