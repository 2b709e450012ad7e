//! The life of a Pod as a swim lane: who did what when, from the scheduler's choice to the namespace's end. The eight
//! steps up and the eight down stand among what the API server recorded beside them.

use crate::base::{EventId, SimTime};
use crate::trace::{
    EventKind, KubeEventRow, PodRow, ServiceChange, SliceRow, StepRow, Steps, TableChange, Trace, pod_status,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whose lane it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// The API server: the Pod object as it stands there.
    ApiServer,
    /// The scheduler.
    Scheduler,
    /// The endpoint slice controller.
    Endpoints,
    /// The kubelet.
    Kubelet,
    /// The container runtime.
    Runtime,
    /// The CNI plug-in.
    Cni,
}

impl Actor {
    /// All lanes from top to bottom.
    pub const ALL: [Self; 6] =
        [Self::ApiServer, Self::Scheduler, Self::Endpoints, Self::Kubelet, Self::Runtime, Self::Cni];

    /// Its name in keys.
    pub fn slug(self) -> &'static str {
        match self {
            Self::ApiServer => "apiserver",
            Self::Scheduler => "scheduler",
            Self::Endpoints => "endpoints",
            Self::Kubelet => "kubelet",
            Self::Runtime => "runtime",
            Self::Cni => "cni",
        }
    }
}

/// Who takes a step of the two lists.
pub fn actor_of(steps: Steps, number: u8) -> Actor {
    match (steps, number) {
        (Steps::Creation, 1) => Actor::Scheduler,
        (Steps::Creation, 2 | 8) | (Steps::Termination, 1) => Actor::Kubelet,
        (Steps::Creation, 3 | 4 | 7) | (Steps::Termination, 2 | 4 | 8) => Actor::Runtime,
        (Steps::Creation | Steps::Termination, _) => Actor::Cni,
    }
}

/// A mark on a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The event.
    pub event: EventId,
    /// When.
    pub at: SimTime,
    /// Whose.
    pub actor: Actor,
    /// What.
    pub kind: MomentKind,
}

/// What a mark stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MomentKind {
    /// A step of the two lists.
    Step(StepRow),
    /// The Pod object's status, in the word of `kubectl get pods`.
    Status(Arc<str>),
    /// A Kubernetes Event: reason and message, and whether it is a warning.
    Note(Arc<str>, String, bool),
    /// A Service's endpoints took the Pod in, or left it out.
    Endpoint(Arc<str>, bool),
    /// The Pod object went.
    Gone,
}

/// What happened to the Pod that bore this name last. An older one's end is followed by steps of its successor.
pub fn latest(moments: &[Moment]) -> &[Moment] {
    let last_step =
        moments.iter().rposition(|moment| matches!(moment.kind, MomentKind::Step(_))).unwrap_or(0);
    let start = moments[..last_step].iter().rposition(|moment| moment.kind == MomentKind::Gone);
    &moments[start.map_or(0, |at| at + 1)..]
}

/// Namespace and name of a Pod.
pub type PodName = (Arc<str>, Arc<str>);

/// What happened to every Pod, kept as the trace grows.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    upto: usize,
    seen: Option<(SimTime, EventKind)>,
    pods: BTreeMap<PodName, Vec<Moment>>,
    /// The Pods that the slice of this namespace and name sends traffic to.
    ready: BTreeMap<PodName, Vec<Arc<str>>>,
}

impl Lives {
    /// Takes in what was added to the trace. Another trace is read anew.
    pub fn extend(&mut self, trace: &Trace) {
        let known = self.upto.checked_sub(1).and_then(|at| trace.events.get(at)).map(|it| (it.at, it.kind));
        if known != self.seen {
            *self = Self::default();
        }
        for at in self.upto..trace.len() {
            let event = &trace.events[at];
            if let EventKind::Changed(change) = event.kind {
                self.take(EventId(at as u32), event.at, &trace.changes[change.index()]);
            }
        }
        self.upto = trace.len();
        self.seen = trace.events.last().map(|event| (event.at, event.kind));
    }

    /// Every Pod that there ever was, by name.
    pub fn names(&self) -> impl Iterator<Item = &PodName> {
        self.pods.keys()
    }

    /// What happened to a Pod, in order.
    pub fn of(&self, pod: &PodName) -> &[Moment] {
        self.pods.get(pod).map_or(&[], Vec::as_slice)
    }

    fn take(&mut self, event: EventId, at: SimTime, change: &TableChange) {
        if let TableChange::Step(row) = change {
            let actor = actor_of(row.steps, row.number);
            let pod = (row.namespace.clone(), row.pod.clone());
            self.add(pod, Moment { event, at, actor, kind: MomentKind::Step((**row).clone()) });
        } else if let TableChange::Pod(row) = change {
            self.status(event, at, row);
        } else if let TableChange::PodGone(namespace, name) = change {
            let moment = Moment { event, at, actor: Actor::ApiServer, kind: MomentKind::Gone };
            self.add((namespace.clone(), name.clone()), moment);
        } else if let TableChange::KubeEvent(row) = change
            && &*row.kind == "Pod"
        {
            self.note(event, at, row);
        } else if let TableChange::Service(ServiceChange::Slice(row)) = change {
            self.endpoints(event, at, row);
        }
    }

    /// Who came among the endpoints that take traffic, and who left them.
    fn endpoints(&mut self, event: EventId, at: SimTime, row: &SliceRow) {
        let ready = row.endpoints.iter().filter(|endpoint| endpoint.ready);
        let now: Vec<Arc<str>> = ready.filter_map(|endpoint| endpoint.pod.clone()).collect();
        let key = (row.namespace.clone(), row.name.clone());
        let before = self.ready.insert(key, now.clone()).unwrap_or_default();
        let came = now.iter().filter(|pod| !before.contains(pod)).map(|pod| (pod, true));
        let went = before.iter().filter(|pod| !now.contains(pod)).map(|pod| (pod, false));
        for (pod, is_in) in came.chain(went) {
            let kind = MomentKind::Endpoint(row.service.clone(), is_in);
            let moment = Moment { event, at, actor: Actor::Endpoints, kind };
            self.add((row.namespace.clone(), pod.clone()), moment);
        }
    }

    fn add(&mut self, pod: PodName, moment: Moment) {
        self.pods.entry(pod).or_default().push(moment);
    }

    /// The word for a Pod's status is noted where it changed.
    fn status(&mut self, event: EventId, at: SimTime, row: &PodRow) {
        let word = pod_status::word(row);
        let moments = self.pods.entry((row.namespace.clone(), row.name.clone())).or_default();
        let before = moments.iter().rev().find_map(|moment| match &moment.kind {
            MomentKind::Status(word) => Some(&**word),
            MomentKind::Gone => Some(""),
            MomentKind::Step(_) | MomentKind::Note(..) | MomentKind::Endpoint(..) => None,
        });
        if before != Some(&*word) && !word.is_empty() {
            let kind = MomentKind::Status(word.into());
            moments.push(Moment { event, at, actor: Actor::ApiServer, kind });
        }
    }

    /// An Event, on the lane of who reported it. Those that only repeat a step are left out.
    fn note(&mut self, event: EventId, at: SimTime, row: &KubeEventRow) {
        let repeats =
            matches!(&*row.reason, "Scheduled" | "Created" | "Pulled" | "Pulling" | "Started" | "Killing");
        if repeats && !row.warning {
            return;
        }
        let actor = if row.component.contains("scheduler") { Actor::Scheduler } else { Actor::Kubelet };
        let kind = MomentKind::Note(row.reason.clone(), row.message.clone(), row.warning);
        self.add((row.namespace.clone(), row.name.clone()), Moment { event, at, actor, kind });
    }
}
