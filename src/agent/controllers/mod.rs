//! The controller manager: each controller looks at one object when something about it changed, and does what brings
//! the present state nearer to the wanted one. What is to be looked at stands in one queue, each object once.

mod autoscaler;
mod cronjob;
mod daemonset;
mod deployment;
mod disruption;
mod garbage;
mod job;
mod namespace;
mod pod_garbage;
mod pods;
mod quota;
mod replicaset;
mod revision;
mod statefulset;
mod volumes;

pub(in crate::agent) use deployment::Progress;
pub(in crate::agent) use garbage::finalizers;

use super::control::ControlPlane;
use super::store::PodKey;
use super::world::{Patience, Wakeup, World};
use crate::api::{Condition, Workload};
use crate::base::{DirId, Duration, ObjectKey, SimTime};
use crate::trace::{KubeEventRow, ObjectRow, TableChange};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long controllers take to look after a change: as a watch event and a work queue need.
const LOOK: Duration = Duration::from_ms(5);
/// Kinds that have a controller here.
const KINDS: [&str; 11] = [
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "ResourceQuota",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "PersistentVolume",
    "PersistentVolumeClaim",
];

/// What controllers have to look at.
#[derive(Clone, Debug, Default)]
pub(in crate::agent) struct Queue {
    keys: BTreeSet<ObjectKey>,
    /// Whether they are about to look.
    waking: bool,
    /// Objects with owners that may all be gone.
    garbage: BTreeSet<ObjectKey>,
    /// Wake-ups that are under way, so that one moment is not waited for twice.
    planned: BTreeSet<(SimTime, ObjectKey)>,
    /// How often in a row a controller has failed at an object, and when it tries again.
    failures: BTreeMap<ObjectKey, (u32, SimTime)>,
    /// When a `CronJob`, by its identity, was last due and started a Job.
    cron_starts: BTreeMap<Arc<str>, SimTime>,
    /// When an autoscaler, by its identity, is looked at next.
    scaling: BTreeMap<Arc<str>, SimTime>,
    /// Quotas, by their identity, whose status was written here and not pasted.
    quotas: BTreeSet<Arc<str>>,
    /// Volumes and claims, by their identity, that were bound here.
    bound: BTreeSet<Arc<str>>,
    /// Where the files of claims lie, by the claim's identity.
    disks: BTreeMap<Arc<str>, DirId>,
}

/// A kind of Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Kind {
    Normal,
    Warning,
}

/// The owner that manages an object (`metav1.GetControllerOf`): kind, name, identity.
pub(in crate::agent) fn controller_of(value: &Value) -> Option<(&str, &str, &str)> {
    let references = value["metadata"]["ownerReferences"].as_array()?;
    let owner = references.iter().find(|reference| reference["controller"] == json!(true))?;
    Some((owner["kind"].as_str()?, owner["name"].as_str()?, owner["uid"].as_str()?))
}

/// A reference to an object as the managing owner.
fn reference_to(owner: &ObjectRow) -> Value {
    json!({
        "apiVersion": &*owner.api_version,
        "kind": &*owner.key.kind,
        "name": &*owner.key.name,
        "uid": &*owner.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The typed form of a workload; `None` for one that does not decode, which validation has kept out.
fn workload(row: &ObjectRow) -> Option<Workload> {
    serde_json::from_value((*row.value).clone()).ok()
}

/// Sets a condition, with the times as the controllers keep them: one of update, one of the last change of status.
fn set_condition(
    conditions: &mut Vec<Condition>,
    now: SimTime,
    (name, status): (&str, &str),
    (reason, message): (&str, String),
) {
    let old = conditions.iter().find(|condition| condition.r#type == name);
    if old.is_some_and(|old| old.status == status && old.reason == reason) {
        return;
    }
    let kept = old.filter(|old| old.status == status).and_then(|old| old.last_transition_time.clone());
    let condition = Condition {
        r#type: name.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_probe_time: None,
        last_update_time: Some(now.rfc3339()),
        last_transition_time: Some(kept.unwrap_or_else(|| now.rfc3339())),
    };
    conditions.retain(|condition| condition.r#type != name);
    conditions.push(condition);
}

impl ControlPlane {
    /// The controllers are to look at an object.
    pub(in crate::agent) fn enqueue(&mut self, world: &mut dyn World, key: ObjectKey) {
        if KINDS.contains(&&*key.kind) || &*key.kind == "Namespace" {
            self.queue.keys.insert(key);
            self.wake_controllers(world);
        }
    }

    fn wake_controllers(&mut self, world: &mut dyn World) {
        if !std::mem::replace(&mut self.queue.waking, true) {
            world.wake_in(LOOK, Patience::Prompt, Wakeup::Reconcile);
        }
    }

    /// The garbage collector is to look at an object with owners.
    pub(in crate::agent) fn doubt(&mut self, world: &mut dyn World, key: ObjectKey) {
        self.queue.garbage.insert(key);
        self.wake_controllers(world);
    }

    /// Looks at an object again after a while.
    fn enqueue_in(&mut self, world: &mut dyn World, after: Duration, patience: Patience, key: &ObjectKey) {
        if self.queue.planned.insert((world.now() + after, key.clone())) {
            world.wake_in(after, patience, Wakeup::Requeue(key.clone()));
        }
    }

    /// Looks at an object again at a moment to come.
    fn enqueue_at(&mut self, world: &mut dyn World, at: SimTime, patience: Patience, key: &ObjectKey) {
        let after = at.since(world.now());
        self.enqueue_in(world, after, patience, key);
    }

    /// Looks at an object again after a failure: after 5 ms, and each time in a row after twice as long, up to 1,000 s
    /// (`ItemExponentialFailureRateLimiter`).
    fn enqueue_after_failure(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let now = world.now();
        let (count, due) = self.queue.failures.get(key).copied().unwrap_or((0, now));
        // Several failures of one look count once.
        if due > now {
            return;
        }
        let after = Duration::from_ms((5u64 << count.min(18)).min(1_000_000));
        self.queue.failures.insert(key.clone(), (count + 1, now + after));
        self.enqueue_in(world, after, Patience::Patient, key);
    }

    /// The time for which an object was to be looked at again.
    pub(in crate::agent) fn requeued(&mut self, world: &mut dyn World, key: ObjectKey) {
        if &*key.kind == "Pod" {
            return self.restore_pod_status(world, &key);
        }
        self.queue.planned.remove(&(world.now(), key.clone()));
        self.enqueue(world, key);
    }

    /// Controllers look at all that waits in the queue.
    pub(in crate::agent) fn reconcile(&mut self, world: &mut dyn World) {
        self.queue.waking = false;
        for key in std::mem::take(&mut self.queue.garbage) {
            self.collect_garbage(world, &key);
        }
        for key in std::mem::take(&mut self.queue.keys) {
            if self.objects.get(&key).is_none() {
                self.queue.failures.remove(&key);
            }
            match &*key.kind {
                "Deployment" => self.sync_deployment(world, &key),
                "ReplicaSet" => self.sync_replica_set(world, &key),
                "StatefulSet" => self.sync_stateful_set(world, &key),
                "DaemonSet" => self.sync_daemon_set(world, &key),
                "Job" => self.sync_job(world, &key),
                "CronJob" => self.sync_cron_job(world, &key),
                "ResourceQuota" => self.sync_quota(world, &key),
                "PodDisruptionBudget" => self.sync_budget(world, &key),
                "HorizontalPodAutoscaler" => self.sync_autoscaler(world, &key),
                "PersistentVolume" => self.sync_volume(world, &key),
                "PersistentVolumeClaim" => self.sync_claim(world, &key),
                "Namespace" => self.sync_namespace(world, &key),
                _ => {}
            }
        }
    }

    /// The managing owner of an object is to look, or those who could become it.
    fn enqueue_owner(&mut self, world: &mut dyn World, row: &ObjectRow) {
        if let Some((kind, name, _)) = controller_of(&row.value) {
            return self.enqueue(world, ObjectKey::new(kind, &row.key.namespace, name));
        }
        let kinds: &[&str] = match &*row.key.kind {
            "Pod" => &["ReplicaSet", "StatefulSet", "DaemonSet", "Job"],
            "ReplicaSet" => &["Deployment"],
            _ => return,
        };
        let labels = row.labels();
        let fits = |other: &&Arc<ObjectRow>| {
            other.key.namespace == row.key.namespace
                && other.at(&["spec", "selector"]).is_some_and(|selector| fits(selector, &labels))
        };
        let owners: Vec<ObjectKey> = kinds
            .iter()
            .flat_map(|kind| {
                self.objects_of(kind).filter(fits).map(|row| row.key.clone()).collect::<Vec<_>>()
            })
            .collect();
        for owner in owners {
            self.enqueue(world, owner);
        }
    }

    /// Something of an object changed, came or went; who watches it is woken.
    pub(in crate::agent) fn controllers_watch(
        &mut self,
        world: &mut dyn World,
        (old, new): (Option<&Arc<ObjectRow>>, Option<&Arc<ObjectRow>>),
    ) {
        let Some(row) = new.or(old) else { return };
        self.enqueue(world, row.key.clone());
        self.enqueue_owner(world, row);
        if let Some(old) = old.filter(|old| controller_of(&old.value) != controller_of(&row.value)) {
            self.enqueue_owner(world, old);
        }
        self.quotas_watch(world, row);
        self.budgets_watch(world, row);
        self.claims_watch(world, row);
        self.balancers_watch(world, (old, new));
        if &*row.key.kind == "Node" {
            let sets: Vec<ObjectKey> = self.objects_of("DaemonSet").map(|row| row.key.clone()).collect();
            for set in sets {
                self.enqueue(world, set);
            }
        }
        if new.is_none() {
            self.owner_gone(world, row);
            // A Deployment with the strategy Recreate waits for the Pods of its sets.
            let set = controller_of(&row.value).filter(|owner| owner.0 == "ReplicaSet");
            let set = set.and_then(|(_, _, uid)| self.objects.by_uid(uid)).cloned();
            if let Some(set) = set {
                self.enqueue_owner(world, &set);
            }
        }
    }

    /// Records an Event about an object.
    pub(in crate::agent) fn event(
        world: &mut dyn World,
        key: &ObjectKey,
        kind: Kind,
        (reason, component): (&str, &str),
        message: String,
    ) {
        Self::event_of(world, (key, ""), kind, (reason, component, ""), message);
    }

    /// Records an Event of the kubelet about a Pod, or about one of its containers.
    pub(in crate::agent) fn pod_event(
        &self,
        world: &mut dyn World,
        (key, container): (&PodKey, Option<usize>),
        kind: Kind,
        reason: &str,
        message: String,
    ) {
        let entry = self.store.pods.get(key);
        let host = entry.and_then(|entry| entry.node.clone()).unwrap_or_else(|| "".into());
        let container = container.and_then(|index| entry?.containers.get(index));
        let path = container.map_or_else(String::new, |row| {
            let list = match (row.init, row.ephemeral) {
                (true, _) => "initContainers",
                (false, true) => "ephemeralContainers",
                (false, false) => "containers",
            };
            format!("spec.{list}{{{}}}", row.name)
        });
        Self::event_of(world, (&key.object(), &path), kind, (reason, "kubelet", &host), message);
    }

    /// Records an Event about an object or a part of it, with the machine on which its reporter runs.
    pub(in crate::agent) fn event_of(
        world: &mut dyn World,
        (key, path): (&ObjectKey, &str),
        kind: Kind,
        (reason, component, host): (&str, &str, &str),
        message: String,
    ) {
        let namespace = if key.namespace.is_empty() { "default".into() } else { key.namespace.clone() };
        world.record(TableChange::KubeEvent(Box::new(KubeEventRow {
            kind: key.kind.clone(),
            namespace,
            name: key.name.clone(),
            warning: kind == Kind::Warning,
            reason: reason.into(),
            message,
            component: component.into(),
            host: host.into(),
            field_path: path.into(),
        })));
    }

    /// Changes an object in the store.
    pub(in crate::agent) fn edit(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        change: impl FnOnce(&mut Value),
    ) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let mut value = (*row.value).clone();
        change(&mut value);
        self.put(world, key, &row.api_version, Arc::new(value));
    }

    /// Writes the status of an object; fields that are `null` go.
    fn put_status(&mut self, world: &mut dyn World, key: &ObjectKey, status: Value) {
        self.edit(world, key, |value| {
            let mut status = status;
            if let Some(fields) = status.as_object_mut() {
                fields.retain(|_, field| !field.is_null());
            }
            value["status"] = status;
        });
    }
}

/// Whether a selector as JSON fits labels. An empty one fits nothing here, as for every workload.
fn fits(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let selector: crate::api::LabelSelector = serde_json::from_value(selector.clone()).unwrap_or_default();
    !selector.is_empty() && selector.matches(labels)
}

/// A number of Pods in a status, which leaves out what is zero.
fn count(number: i64) -> Value {
    if number == 0 { Value::Null } else { json!(number) }
}
