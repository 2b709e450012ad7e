//! The StatefulSet controller (`pkg/controller/statefulset`): numbered Pods with names that stay, made and deleted in
//! order.

use super::pods::{Name, own, with_labels};
use super::revision::hash_of;
use super::{Kind, count, reference_to, workload};
use crate::agent::control::ControlPlane;
use crate::agent::store::{PodEntry, PodKey};
use crate::agent::world::{Patience, World};
use crate::api::Workload;
use crate::base::ObjectKey;
use crate::trace::{ObjectRow, PodPhase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const COMPONENT: &str = "statefulset-controller";
/// Label of the Pods of one template.
pub(super) const REVISION: &str = "controller-revision-hash";

/// What a sync looks at.
struct Sync {
    row: Arc<ObjectRow>,
    set: Workload,
    /// Names of the revisions that Pods below the partition and the others are to have.
    current: String,
    update: String,
    ordered: bool,
}

impl ControlPlane {
    pub(super) fn sync_stateful_set(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let Some(set) = workload(&row) else { return };
        let claimed = self.claim_pods(world, &row, &set);
        let update = self.revision(world, &row, &set);
        let current = row.text(&["status", "currentRevision"]).unwrap_or(&update).to_owned();
        let ordered = set.spec.pod_management_policy != "Parallel";
        let sync = Sync { row, set, current, update, ordered };
        if sync.row.deleted.is_none() {
            self.keep_numbers(world, &sync, &claimed);
        }
        self.put_stateful_status(world, &sync);
    }

    /// The name of the revision of a template, whose object is made if there is none (`ControllerRevision`).
    pub(super) fn revision(&mut self, world: &mut dyn World, row: &ObjectRow, set: &Workload) -> String {
        let name = format!("{}-{}", row.key.name, hash_of(&set.spec.template, 0));
        let key = ObjectKey::new("ControllerRevision", &row.key.namespace, &name);
        if row.deleted.is_some() {
            return name;
        }
        let number = |row: &Arc<ObjectRow>| row.at(&["revision"]).and_then(Value::as_i64).unwrap_or(0);
        let newest = self
            .objects
            .owned_by(&row.uid)
            .filter(|key| &*key.kind == "ControllerRevision")
            .filter_map(|key| self.objects.get(key))
            .map(number)
            .max()
            .unwrap_or(0);
        match self.objects.get(&key).map(number) {
            Some(held) if held == newest => {}
            // A template that comes again takes the next number (`UpdateControllerRevision`).
            Some(_) => self.edit(world, &key, |value| value["revision"] = json!(newest + 1)),
            None => {
                let mut labels = set.template_labels();
                let hash = name.rsplit('-').next().unwrap_or_default().to_owned();
                let of_set =
                    if &*row.key.kind == "StatefulSet" { "controller.kubernetes.io/hash" } else { REVISION };
                labels.insert(of_set.to_owned(), hash);
                let mut value = json!({
                    "apiVersion": "apps/v1", "kind": "ControllerRevision",
                    "metadata": {
                        "name": name, "namespace": &*row.key.namespace, "labels": labels,
                        "ownerReferences": [reference_to(row)],
                    },
                    "data": { "spec": { "template": set.spec.template } },
                    "revision": newest + 1,
                });
                if let Some(annotations) = row.at(&["metadata", "annotations"]) {
                    value["metadata"]["annotations"] = annotations.clone();
                }
                let written = own("ControllerRevision", "apps/v1", &row.key.namespace, &name, value);
                self.write(world, written);
            }
        }
        name
    }

    /// The template of a revision.
    fn template_of(&self, sync: &Sync, revision: &str) -> Value {
        let known = self.object("ControllerRevision", &sync.row.key.namespace, revision);
        let template = known.and_then(|row| row.at(&["data", "spec", "template"]));
        template.unwrap_or(&sync.set.spec.template).clone()
    }

    /// Pods of the wanted numbers come, others go, old ones are replaced (`updateStatefulSet`).
    fn keep_numbers(&mut self, world: &mut dyn World, sync: &Sync, claimed: &[PodKey]) {
        let name = &sync.row.key.name;
        let number = |pod: &PodKey| pod.name.strip_prefix(&**name)?.strip_prefix('-')?.parse::<i64>().ok();
        let pods: BTreeMap<i64, PodKey> =
            claimed.iter().filter_map(|pod| Some((number(pod)?, pod.clone()))).collect();
        let first = sync.set.spec.ordinals.start;
        let wanted = first..first + sync.set.replicas();
        for at in wanted.clone() {
            let Some(pod) = pods.get(&at) else {
                self.make_numbered(world, sync, at);
                if sync.ordered {
                    return;
                }
                continue;
            };
            let Some(entry) = self.pod_entry(pod) else { continue };
            let ended = matches!(entry.phase, PodPhase::Failed | PodPhase::Succeeded);
            if ended && !entry.deleting {
                self.drop_numbered(world, &sync.row.key, &pod.clone());
                return;
            }
            if sync.ordered && (entry.deleting || !self.is_available(world, sync, pod)) {
                return;
            }
        }
        let surplus: Vec<&PodKey> =
            pods.iter().rev().filter(|(at, _)| !wanted.contains(at)).map(|(_, pod)| pod).collect();
        for pod in surplus {
            if self.pod_entry(pod).is_some_and(|entry| entry.deleting) {
                if sync.ordered {
                    return;
                }
                continue;
            }
            self.drop_numbered(world, &sync.row.key, pod);
            if sync.ordered {
                return;
            }
        }
        self.replace_old(world, sync, &pods, &wanted);
    }

    /// Pods of an old template go one by one, from the highest number down to the partition.
    fn replace_old(
        &mut self,
        world: &mut dyn World,
        sync: &Sync,
        pods: &BTreeMap<i64, PodKey>,
        wanted: &std::ops::Range<i64>,
    ) {
        if sync.set.spec.update_strategy.r#type == "OnDelete" {
            return;
        }
        let rolling = sync.set.spec.update_strategy.rolling_update.as_ref();
        let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
        for at in wanted.clone().rev().filter(|at| *at >= partition) {
            let Some(pod) = pods.get(&at) else { return };
            let Some(entry) = self.pod_entry(pod) else { return };
            let is_old = entry.pod.metadata.labels.get(REVISION) != Some(&sync.update);
            if is_old && !entry.deleting {
                return self.drop_numbered(world, &sync.row.key, pod);
            }
            if entry.deleting || !entry.is_ready() {
                return;
            }
        }
    }

    fn is_available(&self, world: &dyn World, sync: &Sync, pod: &PodKey) -> bool {
        let (_, available, _) =
            self.readiness(world, std::slice::from_ref(pod), sync.set.spec.min_ready_seconds);
        available == 1
    }

    fn make_numbered(&mut self, world: &mut dyn World, sync: &Sync, at: i64) {
        let row = &sync.row;
        let rolling = sync.set.spec.update_strategy.rolling_update.as_ref();
        let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
        let revision = if at < partition { &sync.current } else { &sync.update };
        let name = format!("{}-{at}", row.key.name);
        let labels = BTreeMap::from([
            ("statefulset.kubernetes.io/pod-name", name.clone()),
            ("apps.kubernetes.io/pod-index", at.to_string()),
            (REVISION, revision.clone()),
        ]);
        let mut template = with_labels(&self.template_of(sync, revision), &labels);
        template["spec"]["hostname"] = json!(name);
        if !sync.set.spec.service_name.is_empty() {
            template["spec"]["subdomain"] = json!(sync.set.spec.service_name);
        }
        self.make_claims(world, sync, (&name, &mut template));
        let source = |reason| (reason, COMPONENT);
        let set = &row.key.name;
        match self.make_pod(world, row, &template, Name::Given(name.clone())) {
            Ok(_) => {
                let message = format!("create Pod {name} in StatefulSet {set} successful");
                Self::event(world, &row.key, Kind::Normal, source("SuccessfulCreate"), message);
            }
            Err(error) if error.reason == "AlreadyExists" => {}
            Err(error) => {
                let message = format!("create Pod {name} in StatefulSet {set} failed error: {error}");
                Self::event(world, &row.key, Kind::Warning, source("FailedCreate"), message);
            }
        }
    }

    /// Claims of a Pod's own, which it mounts under the names of their templates. *Simplified*: one that names no class has
    /// a volume all the same.
    fn make_claims(&mut self, world: &mut dyn World, sync: &Sync, (pod, template): (&str, &mut Value)) {
        for claim in &sync.set.spec.volume_claim_templates {
            let volume = claim["metadata"]["name"].as_str().unwrap_or("");
            let name = format!("{volume}-{pod}");
            let mut value = claim.clone();
            value["apiVersion"] = json!("v1");
            value["kind"] = json!("PersistentVolumeClaim");
            value["metadata"]["name"] = json!(name);
            value["metadata"]["namespace"] = json!(&*sync.row.key.namespace);
            let written = own("PersistentVolumeClaim", "v1", &sync.row.key.namespace, &name, value);
            let key = written.key.clone();
            if self.objects.get(&key).is_none() {
                let set = &sync.row.key.name;
                let message = format!("create Claim {name} Pod {pod} in StatefulSet {set} success");
                self.write(world, written);
                self.serve_claim(world, &key);
                Self::event(world, &sync.row.key, Kind::Normal, ("SuccessfulCreate", COMPONENT), message);
            }
            let mounted = json!({ "name": volume, "persistentVolumeClaim": { "claimName": name } });
            let volumes = &mut template["spec"]["volumes"];
            let mut list = volumes.as_array().cloned().unwrap_or_default();
            list.retain(|known| known["name"] != mounted["name"]);
            list.push(mounted);
            *volumes = Value::Array(list);
        }
    }

    fn drop_numbered(&mut self, world: &mut dyn World, set: &ObjectKey, pod: &PodKey) {
        let message = format!("delete Pod {} in StatefulSet {} successful", pod.name, set.name);
        Self::event(world, set, Kind::Normal, ("SuccessfulDelete", COMPONENT), message);
        self.delete_pod(world, pod, None);
    }

    fn put_stateful_status(&mut self, world: &mut dyn World, sync: &Sync) {
        let owned = self.objects.owned_by(&sync.row.uid).filter(|key| &*key.kind == "Pod");
        let pods: Vec<PodKey> =
            owned.filter_map(|key| self.store.pod_named(&key.namespace, &key.name)).cloned().collect();
        let (ready, available, next) = self.readiness(world, &pods, sync.set.spec.min_ready_seconds);
        if let Some(next) = next {
            self.enqueue_in(world, next, Patience::Prompt, &sync.row.key);
        }
        let of = |control: &Self, revision: &str| {
            let has =
                |entry: &PodEntry| entry.pod.metadata.labels.get(REVISION).is_some_and(|at| at == revision);
            pods.iter()
                .filter_map(|pod| control.pod_entry(pod))
                .filter(|entry| !entry.deleting && has(entry))
                .count()
        };
        let updated = of(self, &sync.update) as i64;
        let wanted = sync.set.replicas();
        let done = updated == wanted && ready == wanted && pods.len() as i64 == wanted;
        let current = if done { &sync.update } else { &sync.current };
        let status = json!({
            "observedGeneration": sync.row.generation,
            "replicas": pods.len(),
            "readyReplicas": count(ready),
            "availableReplicas": available,
            "currentReplicas": count(of(self, current) as i64),
            "updatedReplicas": count(updated),
            "currentRevision": current,
            "updateRevision": sync.update,
            "collisionCount": 0,
        });
        self.put_status(world, &sync.row.key, status);
    }
}
