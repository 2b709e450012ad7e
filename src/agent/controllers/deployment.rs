//! The Deployment controller (`pkg/controller/deployment`): ReplicaSets of the templates that a Deployment has had, and
//! the rollout from the old ones to the new one.

use super::pods::own;
use super::revision::{equal_templates, hash_of, revision_of};
use super::{controller_of, count, reference_to, set_condition, workload};
use crate::agent::control::ControlPlane;
use crate::agent::world::{Patience, World};
use crate::api::{Condition, Workload};
use crate::base::{Duration, ObjectKey, SimTime};
use crate::cluster::rollout::{Bounds, Set, fenceposts, new_replicas, old_replicas, proportional};
use crate::trace::ObjectRow;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;

/// Label of the ReplicaSets and Pods of one template.
const HASH: &str = "pod-template-hash";
/// Annotations that the controller keeps at its objects.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// Annotation of `kubectl apply`, which is not handed on.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// A deadline that a user set this short is waited for before the cluster counts as settled.
const SHORT_DEADLINE: Duration = Duration::from_secs(120);

/// A ReplicaSet as the controller looks at it.
#[derive(Clone)]
struct Owned {
    row: Arc<ObjectRow>,
    set: Workload,
}

impl Owned {
    fn replicas(&self) -> i64 {
        self.set.replicas()
    }

    fn counts(&self) -> Set {
        Set { replicas: self.replicas(), available: self.set.status.available_replicas }
    }
}

/// What a sync looks at.
struct Sync {
    row: Arc<ObjectRow>,
    deployment: Workload,
    new: Option<Owned>,
    /// The others, oldest first.
    old: Vec<Owned>,
    bounds: Bounds,
}

impl Sync {
    fn all(&self) -> impl Iterator<Item = &Owned> {
        self.old.iter().chain(&self.new)
    }

    fn total(&self) -> i64 {
        self.all().map(Owned::replicas).sum()
    }
}

impl ControlPlane {
    pub(super) fn sync_deployment(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let Some(deployment) = workload(&row) else { return };
        if deployment.spec.selector.is_empty() {
            return;
        }
        let recreates = deployment.spec.strategy.r#type == "Recreate";
        let bounds = bounds(&deployment);
        let sets = self.claim_sets(world, &row, &deployment);
        let new = sets
            .iter()
            .position(|owned| equal_templates(&owned.set.spec.template, &deployment.spec.template, HASH));
        let mut sync = Sync { new: new.map(|at| sets[at].clone()), old: sets, row, deployment, bounds };
        if let Some(at) = new {
            sync.old.remove(at);
        }
        if sync.row.deleted.is_some() {
            return self.put_deployment_status(world, &sync);
        }
        let scales = sync.all().any(|owned| {
            let desired = owned.row.annotations().get(DESIRED).and_then(|text| text.parse::<i64>().ok());
            owned.replicas() > 0 && desired.is_some_and(|desired| desired != sync.deployment.replicas())
        });
        if sync.deployment.spec.paused || scales {
            self.settle_revision(world, &mut sync, false);
            self.scale_deployment(world, &sync);
        } else if recreates {
            self.recreate(world, &mut sync);
        } else {
            self.roll(world, &mut sync);
        }
        if let Some(sync) = self.look_again(&sync) {
            if is_complete(&sync) {
                self.clean_up_history(world, &sync);
            }
            self.put_deployment_status(world, &sync);
        }
    }

    /// The same with the ReplicaSets as they stand now.
    fn look_again(&self, sync: &Sync) -> Option<Sync> {
        let again = |owned: &Owned| {
            let row = self.objects.get(&owned.row.key)?.clone();
            Some(Owned { set: workload(&row)?, row })
        };
        let row = self.objects.get(&sync.row.key)?.clone();
        Some(Sync {
            deployment: workload(&row)?,
            row,
            new: sync.new.as_ref().and_then(again),
            old: sync.old.iter().filter_map(again).collect(),
            bounds: sync.bounds,
        })
    }

    /// The ReplicaSets of a Deployment, oldest first, after adopting and letting go.
    fn claim_sets(&mut self, world: &mut dyn World, row: &ObjectRow, deployment: &Workload) -> Vec<Owned> {
        let selector = &deployment.spec.selector;
        let owned: Vec<ObjectKey> =
            self.objects.owned_by(&row.uid).filter(|key| &*key.kind == "ReplicaSet").cloned().collect();
        for key in owned {
            let Some(set) = self.objects.get(&key) else { continue };
            if !selector.matches(&set.labels()) && row.deleted.is_none() {
                self.set_owner(world, &key, (&row.uid, None));
            }
        }
        for key in self.objects.orphans_of("ReplicaSet", &row.key.namespace) {
            let Some(set) = self.objects.get(&key) else { continue };
            if row.deleted.is_none() && set.deleted.is_none() && selector.matches(&set.labels()) {
                self.set_owner(world, &key, (&row.uid, Some(reference_to(row))));
            }
        }
        let owned = self.objects.owned_by(&row.uid).filter(|key| &*key.kind == "ReplicaSet");
        let managed =
            |set: &&Arc<ObjectRow>| controller_of(&set.value).is_some_and(|owner| owner.2 == &*row.uid);
        let rows = owned.filter_map(|key| self.objects.get(key)).filter(managed);
        let mut sets: Vec<Owned> =
            rows.filter_map(|row| Some(Owned { row: row.clone(), set: workload(row)? })).collect();
        sets.sort_by(|a, b| (a.row.created, &a.row.key).cmp(&(b.row.created, &b.row.key)));
        sets
    }

    /// Sees to the revision numbers, and makes the ReplicaSet of the present template where there is none
    /// (`getAllReplicaSetsAndSyncRevision`).
    fn settle_revision(&mut self, world: &mut dyn World, sync: &mut Sync, makes: bool) {
        let newest = sync.old.iter().map(|owned| revision_of(&owned.row)).max().unwrap_or(0) + 1;
        let (min_ready, annotations) = (sync.deployment.spec.min_ready_seconds, handed_on(&sync.row));
        if let Some(owned) = &sync.new {
            let (key, held) = (owned.row.key.clone(), revision_of(&owned.row));
            self.edit(world, &key, |value| {
                let own = &mut value["metadata"]["annotations"];
                for (name, text) in &annotations {
                    own[name] = json!(text);
                }
                if held < newest {
                    own[REVISION] = json!(newest.to_string());
                    if held > 0 {
                        let mut history: Vec<&str> = own[HISTORY]
                            .as_str()
                            .unwrap_or("")
                            .split(',')
                            .filter(|part| !part.is_empty())
                            .collect();
                        let held = held.to_string();
                        history.push(&held);
                        let history = history.join(",");
                        own[HISTORY] = json!(history);
                    }
                }
                if min_ready != 0 {
                    value["spec"]["minReadySeconds"] = json!(min_ready);
                }
            });
            sync.new = self.owned(&key);
            let held = sync.new.as_ref().map_or(newest, |owned| revision_of(&owned.row));
            self.note_revision(world, sync, held, ("FoundNewReplicaSet", "Found new replica set"));
        } else if makes {
            self.make_set(world, sync, newest, annotations);
        }
    }

    fn owned(&self, key: &ObjectKey) -> Option<Owned> {
        let row = self.objects.get(key)?.clone();
        Some(Owned { set: workload(&row)?, row })
    }

    fn make_set(
        &mut self,
        world: &mut dyn World,
        sync: &mut Sync,
        revision: i64,
        mut annotations: Vec<(String, String)>,
    ) {
        let (row, deployment) = (sync.row.clone(), &sync.deployment);
        let collisions = deployment.status.collision_count.unwrap_or(0);
        let hash = hash_of(&deployment.spec.template, collisions);
        let name = format!("{}-{hash}", row.key.name);
        let namespace = row.key.namespace.clone();
        if self.object("ReplicaSet", &namespace, &name).is_some() {
            // Somebody else has the name: another one comes of it with the next look.
            self.edit(world, &row.key, |value| value["status"]["collisionCount"] = json!(collisions + 1));
            return self.enqueue(world, row.key.clone());
        }
        let mut template = deployment.spec.template.clone();
        template["metadata"]["labels"][HASH] = json!(hash);
        let mut selector = row.value["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = json!(hash);
        let recreates = deployment.spec.strategy.r#type == "Recreate";
        let replicas =
            if recreates { sync.bounds.desired } else { new_replicas(sync.bounds, 0, sync.total()) };
        annotations.push((REVISION.to_owned(), revision.to_string()));
        annotations.push((DESIRED.to_owned(), sync.bounds.desired.to_string()));
        annotations.push((MAX.to_owned(), (sync.bounds.desired + sync.bounds.surge).to_string()));
        let annotations: serde_json::Map<String, Value> =
            annotations.into_iter().map(|(name, text)| (name, json!(text))).collect();
        let mut value = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": name, "namespace": &*namespace, "labels": template["metadata"]["labels"],
                "annotations": annotations, "ownerReferences": [reference_to(&row)],
            },
            "spec": { "replicas": replicas, "selector": selector, "template": template },
        });
        if deployment.spec.min_ready_seconds != 0 {
            value["spec"]["minReadySeconds"] = json!(deployment.spec.min_ready_seconds);
        }
        let written = own("ReplicaSet", "apps/v1", &namespace, &name, value);
        let key = written.key.clone();
        if let Err(error) = self.check_namespace(&key) {
            let message = format!("Failed to create new replica set \"{name}\": {error}");
            let source = ("ReplicaSetCreateError", "deployment-controller");
            return Self::event(world, &row.key, super::Kind::Warning, source, message);
        }
        self.write(world, written);
        if replicas > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {replicas}");
            let source = ("ScalingReplicaSet", "deployment-controller");
            Self::event(world, &row.key, super::Kind::Normal, source, message);
        }
        sync.new = self.owned(&key);
        self.note_revision(world, sync, revision, ("NewReplicaSetCreated", "Created new replica set"));
    }

    /// The Deployment bears the revision of its template, and notes the progress.
    fn note_revision(
        &mut self,
        world: &mut dyn World,
        sync: &mut Sync,
        revision: i64,
        (reason, what): (&str, &str),
    ) {
        let (key, now) = (sync.row.key.clone(), world.now());
        let known =
            sync.deployment.status.conditions.iter().any(|condition| condition.r#type == "Progressing");
        let name = sync.new.as_ref().map_or("".into(), |owned| owned.row.key.name.clone());
        let created = reason == "NewReplicaSetCreated";
        self.edit(world, &key, |value| {
            value["metadata"]["annotations"][REVISION] = json!(revision.to_string());
            if created || !known {
                let mut conditions = conditions_of(value);
                set_condition(
                    &mut conditions,
                    now,
                    ("Progressing", "True"),
                    (reason, format!("{what} \"{name}\"")),
                );
                value["status"]["conditions"] = json!(conditions);
            }
        });
        if let Some(row) = self.objects.get(&key).cloned()
            && let Some(deployment) = workload(&row)
        {
            (sync.row, sync.deployment) = (row, deployment);
        }
    }

    /// All old Pods go before the first new one comes (`rolloutRecreate`).
    fn recreate(&mut self, world: &mut dyn World, sync: &mut Sync) {
        self.settle_revision(world, sync, false);
        let mut scaled = false;
        for owned in sync.old.clone().iter().filter(|owned| owned.replicas() > 0) {
            self.scale_owned(world, sync, owned, 0);
            scaled = true;
        }
        if scaled || self.has_old_pods(sync) {
            return;
        }
        if sync.new.is_none() {
            self.settle_revision(world, sync, true);
        }
        if let Some(owned) = sync.new.clone() {
            self.scale_owned(world, sync, &owned, sync.bounds.desired);
        }
    }

    /// Whether Pods of old ReplicaSets still run, those about to go included (`oldPodsRunning`).
    fn has_old_pods(&self, sync: &Sync) -> bool {
        let pods = sync.old.iter().flat_map(|owned| self.objects.owned_by(&owned.row.uid));
        let mut pods = pods.filter_map(|key| self.store.pod_named(&key.namespace, &key.name));
        pods.any(|key| {
            let phase = self.store.pods.get(key).map(|entry| entry.phase);
            !matches!(phase, Some(crate::trace::PodPhase::Succeeded | crate::trace::PodPhase::Failed))
        })
    }

    /// Old Pods go as new ones come (`rolloutRolling`): one step, up before down.
    fn roll(&mut self, world: &mut dyn World, sync: &mut Sync) {
        let made = sync.new.is_none();
        self.settle_revision(world, sync, true);
        let Some(new) = sync.new.clone() else { return };
        let wanted = new_replicas(sync.bounds, new.replicas(), sync.total());
        if wanted != new.replicas() {
            return self.scale_owned(world, sync, &new, wanted);
        }
        if made && new.replicas() > 0 {
            return;
        }
        let counts: Vec<Set> = sync.old.iter().map(Owned::counts).collect();
        let wanted = old_replicas(sync.bounds, new.counts(), &counts);
        for (owned, wanted) in sync.old.clone().iter().zip(wanted) {
            if wanted != owned.replicas() {
                self.scale_owned(world, sync, owned, wanted);
            }
        }
    }

    /// Gives a ReplicaSet another number, and notes at it what the Deployment wanted then.
    fn scale_owned(&mut self, world: &mut dyn World, sync: &Sync, owned: &Owned, wanted: i64) {
        let key = &owned.row.key;
        let (desired, max) = (sync.bounds.desired, sync.bounds.desired + sync.bounds.surge);
        self.edit(world, key, |value| {
            value["metadata"]["annotations"][DESIRED] = json!(desired.to_string());
            value["metadata"]["annotations"][MAX] = json!(max.to_string());
        });
        if owned.replicas() != wanted {
            self.scale_set(world, &sync.row.key, key, (owned.replicas(), wanted));
        }
    }

    /// The wanted number changed, or the rollout is paused: the ReplicaSets share what is wanted (`scale`).
    fn scale_deployment(&mut self, world: &mut dyn World, sync: &Sync) {
        let desired = sync.bounds.desired;
        let active: Vec<&Owned> = sync.all().filter(|owned| owned.replicas() > 0).collect();
        // One active set, or the latest where there is none.
        let latest = active.is_empty().then(|| sync.new.as_ref().or(sync.old.last())).flatten();
        let only = if active.len() == 1 { Some(active[0]) } else { latest };
        if let Some(owned) = only {
            return self.scale_owned(world, sync, owned, desired);
        }
        if let Some(new) = &sync.new
            && new.replicas() == desired
            && new.set.status.available_replicas == desired
        {
            for owned in sync.old.iter().filter(|owned| owned.replicas() > 0) {
                self.scale_owned(world, sync, owned, 0);
            }
            return;
        }
        if sync.deployment.spec.strategy.r#type == "Recreate" {
            return;
        }
        let allowed = if desired > 0 { desired + sync.bounds.surge } else { 0 };
        let total: i64 = active.iter().map(|owned| owned.replicas()).sum();
        let mut ordered = active;
        ordered.sort_by_key(|owned| {
            let age = if allowed > total { u64::MAX - owned.row.created.0 } else { owned.row.created.0 };
            (Reverse(owned.replicas()), age)
        });
        let max = |owned: &Owned| {
            let text = owned.row.annotations().get(MAX).and_then(|text| text.parse().ok());
            text.unwrap_or(sync.deployment.status.replicas)
        };
        let shares: Vec<(i64, i64)> = ordered.iter().map(|owned| (owned.replicas(), max(owned))).collect();
        for (owned, wanted) in ordered.iter().zip(proportional(allowed, &shares)) {
            self.scale_owned(world, sync, owned, wanted);
        }
    }

    /// Old ReplicaSets beyond the history limit go (`cleanupDeployment`).
    fn clean_up_history(&mut self, world: &mut dyn World, sync: &Sync) {
        let limit =
            usize::try_from(sync.deployment.spec.revision_history_limit.unwrap_or(10)).unwrap_or(usize::MAX);
        let mut old: Vec<&Owned> = sync.old.iter().filter(|owned| owned.row.deleted.is_none()).collect();
        if old.len() <= limit {
            return;
        }
        old.sort_by_key(|owned| revision_of(&owned.row));
        let surplus = old.len() - limit;
        for owned in old.into_iter().take(surplus) {
            if owned.replicas() == 0 && owned.set.status.replicas == 0 {
                self.delete(world, &owned.row.key, None, None);
            }
        }
    }

    fn put_deployment_status(&mut self, world: &mut dyn World, sync: &Sync) {
        let now = world.now();
        let sum = |of: fn(&Owned) -> i64| sync.all().map(of).sum::<i64>();
        let (ready, available) =
            (sum(|owned| owned.set.status.ready_replicas), sum(|owned| owned.set.status.available_replicas));
        let replicas = sum(|owned| owned.set.status.replicas);
        let updated = sync.new.as_ref().map_or(0, |owned| owned.set.status.replicas);
        let mut conditions = sync.deployment.status.conditions.clone();
        let (status, reason, text) = if available >= sync.bounds.desired - sync.bounds.unavailable {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        set_condition(&mut conditions, now, ("Available", status), (reason, text.to_owned()));
        self.note_progress(world, sync, &mut conditions);
        let status = json!({
            "observedGeneration": sync.row.generation,
            "replicas": count(replicas),
            "updatedReplicas": count(updated),
            "readyReplicas": count(ready),
            "availableReplicas": count(available),
            "unavailableReplicas": count((sync.total() - available).max(0)),
            "collisionCount": sync.deployment.status.collision_count,
            "conditions": conditions,
        });
        self.put_status(world, &sync.row.key, status);
    }

    /// The condition `Progressing` (`syncRolloutStatus`): complete, on its way, or over its deadline.
    fn note_progress(&mut self, world: &mut dyn World, sync: &Sync, conditions: &mut Vec<Condition>) {
        let now = world.now();
        let deadline = sync.deployment.spec.progress_deadline_seconds.unwrap_or(600);
        let name = sync.new.as_ref().map_or(format!("Deployment \"{}\"", sync.row.key.name), |owned| {
            format!("ReplicaSet \"{}\"", owned.row.key.name)
        });
        if sync.deployment.spec.paused {
            let text = "Deployment is paused".to_owned();
            return set_condition(conditions, now, ("Progressing", "Unknown"), ("DeploymentPaused", text));
        }
        let current = conditions.iter().find(|condition| condition.r#type == "Progressing").cloned();
        let reason = current.as_ref().map_or("", |condition| condition.reason.as_str());
        if reason == "DeploymentPaused" {
            let text = "Deployment is resumed".to_owned();
            set_condition(conditions, now, ("Progressing", "Unknown"), ("DeploymentResumed", text));
        }
        if is_complete(sync) {
            let text = format!("{name} has successfully progressed.");
            return set_condition(conditions, now, ("Progressing", "True"), ("NewReplicaSetAvailable", text));
        }
        if Self::has_progressed(sync) {
            let text = format!("{name} is progressing.");
            // Each step puts the deadline off.
            let moved = reason == "ReplicaSetUpdated";
            set_condition(conditions, now, ("Progressing", "True"), ("ReplicaSetUpdated", text));
            if moved && let Some(condition) = conditions.iter_mut().find(|at| at.r#type == "Progressing") {
                condition.last_update_time = Some(now.rfc3339());
            }
            self.progress.insert(sync.row.key.clone(), now);
        }
        // A rollout that was complete before is not timed, nor one that has timed out.
        if matches!(reason, "NewReplicaSetAvailable" | "ProgressDeadlineExceeded")
            && !Self::has_progressed(sync)
        {
            return;
        }
        let since = *self.progress.entry(sync.row.key.clone()).or_insert(now);
        let due = since + Duration::from_secs(u64::try_from(deadline).unwrap_or(600));
        if now >= due {
            let text = format!("{name} has timed out progressing.");
            set_condition(conditions, now, ("Progressing", "False"), ("ProgressDeadlineExceeded", text));
        } else {
            let written = sync.deployment.spec.progress_deadline_seconds.is_some();
            let short = written && due.since(since) <= SHORT_DEADLINE;
            let patience = if short { Patience::Prompt } else { Patience::Patient };
            self.enqueue_in(world, due.since(now), patience, &sync.row.key);
        }
    }

    /// Whether something of the numbers is better than the status says (`DeploymentProgressing`).
    fn has_progressed(sync: &Sync) -> bool {
        let before = |field: &str| sync.row.at(&["status", field]).and_then(Value::as_i64).unwrap_or(0);
        let sum = |of: fn(&Owned) -> i64| sync.all().map(of).sum::<i64>();
        let updated = sync.new.as_ref().map_or(0, |owned| owned.set.status.replicas);
        let old = sum(|owned| owned.set.status.replicas) - updated;
        updated > before("updatedReplicas")
            || old < before("replicas") - before("updatedReplicas")
            || sum(|owned| owned.set.status.ready_replicas) > before("readyReplicas")
            || sum(|owned| owned.set.status.available_replicas) > before("availableReplicas")
    }

    /// Whether a rollout is about to be over its deadline, for those who forget objects.
    pub(super) fn forget_progress(&mut self, key: &ObjectKey) {
        self.progress.remove(key);
    }
}

/// Whether all Pods are of the present template and available (`DeploymentComplete`).
fn is_complete(sync: &Sync) -> bool {
    let desired = sync.bounds.desired;
    let updated = sync.new.as_ref().map_or(0, |owned| owned.set.status.replicas);
    let all: i64 = sync.all().map(|owned| owned.set.status.replicas).sum();
    let available: i64 = sync.all().map(|owned| owned.set.status.available_replicas).sum();
    updated == desired && all == desired && available == desired
}

/// The bounds of a rollout; a quarter each where nothing is written.
fn bounds(deployment: &Workload) -> Bounds {
    let desired = deployment.replicas();
    if deployment.spec.strategy.r#type == "Recreate" {
        return Bounds { desired, surge: 0, unavailable: 0 };
    }
    let quarter = json!("25%");
    let rolling = deployment.spec.strategy.rolling_update.as_ref();
    let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).unwrap_or(&quarter);
    let missing = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&quarter);
    let (surge, unavailable) = fenceposts(Some(surge), Some(missing), desired);
    Bounds { desired, surge, unavailable: unavailable.min(desired) }
}

/// Annotations of a Deployment that its ReplicaSets get.
fn handed_on(row: &ObjectRow) -> Vec<(String, String)> {
    let kept = [LAST_APPLIED, REVISION, HISTORY, DESIRED, MAX, "deprecated.deployment.rollback.to"];
    row.annotations().into_iter().filter(|(name, _)| !kept.contains(&name.as_str())).collect()
}

fn conditions_of(value: &Value) -> Vec<Condition> {
    serde_json::from_value(value["status"]["conditions"].clone()).unwrap_or_default()
}

/// When each rollout last moved.
pub(in crate::agent) type Progress = std::collections::BTreeMap<ObjectKey, SimTime>;
