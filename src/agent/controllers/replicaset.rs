//! The ReplicaSet controller (`pkg/controller/replicaset`): as many Pods of one template as wanted.

use super::{Kind, count, workload};
use crate::agent::control::ControlPlane;
use crate::agent::store::{PodEntry, PodKey};
use crate::agent::world::{Patience, World};
use crate::base::ObjectKey;
use crate::cluster::rollout::DeletionRank;
use crate::trace::PodPhase;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const COMPONENT: &str = "replicaset-controller";
/// Annotation that says how dear a Pod is when some have to go.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

impl ControlPlane {
    pub(super) fn sync_replica_set(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let Some(set) = workload(&row) else { return };
        let claimed = self.claim_pods(world, &row, &set);
        let active = |control: &Self, pod: &PodKey| control.pod_entry(pod).is_some_and(PodEntry::is_active);
        let pods: Vec<PodKey> = claimed.into_iter().filter(|pod| active(self, pod)).collect();
        let mut failure = None;
        if row.deleted.is_none() {
            let (present, wanted) = (pods.len(), usize::try_from(set.replicas()).unwrap_or(0));
            for _ in present..wanted {
                failure = self.make_named_by_chance(world, &row, &set.spec.template, COMPONENT).err();
                if failure.is_some() {
                    break;
                }
            }
            if present > wanted {
                for pod in self.first_to_go(world, &row.uid, &pods).into_iter().take(present - wanted) {
                    self.drop_pod(world, key, &pod, COMPONENT);
                }
            }
        }
        // The status tells of the Pods that were there when the controller looked; those made now come with their own
        // events.
        let (ready, available, next) = self.readiness(world, &pods, set.spec.min_ready_seconds);
        if let Some(next) = next {
            let patience = self.patience_of(&row);
            self.enqueue_in(world, next, patience, key);
        }
        let labelled = pods.iter().filter(|pod| {
            self.pod_entry(pod).is_some_and(|entry| {
                set.template_labels()
                    .iter()
                    .all(|(key, value)| entry.pod.metadata.labels.get(key) == Some(value))
            })
        });
        let labelled = labelled.count() as i64;
        let mut status = json!({
            "replicas": pods.len(),
            "fullyLabeledReplicas": count(labelled),
            "readyReplicas": count(ready),
            "availableReplicas": count(available),
            "observedGeneration": row.generation,
        });
        if let Some(error) = failure {
            // The condition stays as it was first said.
            let old = row.at(&["status", "conditions"]).filter(|old| old.is_array()).cloned();
            status["conditions"] = old.unwrap_or_else(|| {
                json!([{
                    "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                    "message": error.to_string(), "lastTransitionTime": world.now().rfc3339(),
                }])
            });
        }
        self.put_status(world, key, status);
    }

    /// Whether somebody waits for this set's Pods to become available: a rollout that goes on then.
    fn patience_of(&self, row: &crate::trace::ObjectRow) -> Patience {
        let Some((_, name, uid)) = super::controller_of(&row.value) else { return Patience::Patient };
        let deployment = self.object("Deployment", &row.key.namespace, name);
        let alone = self
            .objects
            .owned_by(uid)
            .filter(|key| &*key.kind == "ReplicaSet")
            .filter_map(|key| self.objects.get(key))
            .filter(|set| set.at(&["spec", "replicas"]).is_some_and(|replicas| *replicas != json!(0)))
            .count()
            < 2;
        if deployment.is_some() && !alone { Patience::Prompt } else { Patience::Patient }
    }

    /// Pods in the order in which they go when there are too many (`ActivePodsWithRanks`).
    pub(super) fn first_to_go(&self, world: &dyn World, owner: &Arc<str>, pods: &[PodKey]) -> Vec<PodKey> {
        // Siblings count: Pods of other ReplicaSets of the same Deployment too.
        let siblings: Vec<&PodKey> =
            match self.objects.by_uid(owner).and_then(|row| super::controller_of(&row.value)) {
                None => pods.iter().collect(),
                Some((_, _, deployment)) => {
                    let sets = self.objects.owned_by(deployment).filter_map(|key| self.objects.get(key));
                    let pods = sets
                        .flat_map(|set| self.objects.owned_by(&set.uid))
                        .filter(|key| &*key.kind == "Pod");
                    pods.filter_map(|key| self.store.pod_named(&key.namespace, &key.name)).collect()
                }
            };
        let mut crowds: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for entry in siblings.iter().filter_map(|pod| self.pod_entry(pod)).filter(|entry| entry.is_active()) {
            if let Some(node) = &entry.node {
                *crowds.entry(node.clone()).or_default() += 1;
            }
        }
        let rank = |pod: &PodKey| {
            let entry = self.pod_entry(pod)?;
            let cost = entry.pod.metadata.annotations.get(DELETION_COST);
            let uid = self.objects.get(&pod.object()).map(|row| row.uid.clone())?;
            Some(DeletionRank {
                assigned: entry.node.is_some(),
                phase: match entry.phase {
                    PodPhase::Pending => 0,
                    PodPhase::Running | PodPhase::Succeeded | PodPhase::Failed => 2,
                },
                ready: entry.is_ready(),
                cost: cost.and_then(|cost| cost.parse().ok()).unwrap_or(0),
                crowd: entry.node.as_ref().and_then(|node| crowds.get(node)).copied().unwrap_or(0),
                ready_for_ns: self.ready_for(world, pod).map(|ready| ready.0),
                restarts: (restarts(entry, false), restarts(entry, true)),
                age_ns: world.now().since(entry.created).0,
                uid,
            })
        };
        let mut ranked: Vec<(DeletionRank, &PodKey)> =
            pods.iter().filter_map(|pod| Some((rank(pod)?, pod))).collect();
        ranked.sort_by(|(a, _), (b, _)| a.compare(b));
        ranked.into_iter().map(|(_, pod)| pod.clone()).collect()
    }

    /// Sets how many Pods a ReplicaSet wants, and tells of it for its Deployment.
    pub(super) fn scale_set(
        &mut self,
        world: &mut dyn World,
        deployment: &ObjectKey,
        set: &ObjectKey,
        (from, to): (i64, i64),
    ) {
        self.edit(world, set, |value| value["spec"]["replicas"] = json!(to));
        let word = if to > from { "up" } else { "down" };
        let message = format!("Scaled {word} replica set {} from {from} to {to}", set.name);
        let source = ("ScalingReplicaSet", "deployment-controller");
        Self::event(world, deployment, Kind::Normal, source, message);
    }
}

/// The most restarts of one container of a Pod, of its sidecars or of its own containers (`maxContainerRestarts`).
fn restarts(entry: &PodEntry, sidecars: bool) -> u32 {
    let those = entry.containers.iter().filter(|container| container.sidecar == sidecars);
    those.filter(|container| container.sidecar || !container.init).map(|one| one.restarts).max().unwrap_or(0)
}
