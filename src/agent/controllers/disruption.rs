//! Disruption budgets: how many Pods may be missing (`pkg/controller/disruption`), and evictions, which ask them
//! (`pkg/registry/core/pod/storage/eviction.go`). *Simplified*: a Pod that is evicted is gone from the count at once, so
//! that `status.disruptedPods` is not needed.

use super::{ControlPlane, controller_of};
use crate::agent::world::World;
use crate::api::{ApiError, LabelSelector};
use crate::base::ObjectKey;
use crate::cluster::rollout::scaled;
use crate::trace::{ObjectRow, PodPhase};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Whether a budget is about a Pod with these labels: an empty selector means every Pod, none means no Pod.
fn covers(budget: &ObjectRow, labels: &BTreeMap<String, String>) -> bool {
    let selector = budget.at(&["spec", "selector"]).filter(|selector| !selector.is_null());
    let selector = selector.and_then(|one| serde_json::from_value::<LabelSelector>(one.clone()).ok());
    selector.is_some_and(|selector| selector.matches(labels))
}

impl ControlPlane {
    fn budgets_in(&self, namespace: &str) -> Vec<Arc<ObjectRow>> {
        let here = |row: &&Arc<ObjectRow>| *row.key.namespace == *namespace;
        self.objects_of("PodDisruptionBudget").filter(here).cloned().collect()
    }

    /// An object that budgets depend on came, changed or went.
    pub(super) fn budgets_watch(&mut self, world: &mut dyn World, row: &ObjectRow) {
        if matches!(&*row.key.kind, "Pod" | "Deployment" | "ReplicaSet" | "StatefulSet") {
            self.budgets_touched(world, &row.key.namespace);
        }
    }

    /// Something about the Pods of a namespace changed: its budgets are looked at.
    pub(in crate::agent) fn budgets_touched(&mut self, world: &mut dyn World, namespace: &str) {
        for budget in self.budgets_in(namespace) {
            self.enqueue(world, budget.key.clone());
        }
    }

    /// How many Pods the controllers of these want (`getExpectedScale`).
    fn expected(&self, namespace: &str, pods: &[ObjectKey]) -> i64 {
        let mut owners: BTreeSet<ObjectKey> = BTreeSet::new();
        for pod in pods {
            let mut owner = None;
            let mut row = self.objects.get(pod);
            while let Some((kind, name, _)) = row.and_then(|row| controller_of(&row.value)) {
                let key = ObjectKey::new(kind, namespace, name);
                row = self.objects.get(&key);
                owner = Some(key);
            }
            owners.extend(owner);
        }
        let wanted = |owner: &ObjectKey| {
            let replicas =
                self.objects.get(owner).map(|row| row.at(&["spec", "replicas"]).and_then(Value::as_i64));
            replicas.map_or(0, |replicas| replicas.unwrap_or(1))
        };
        owners.iter().map(wanted).sum()
    }

    /// Writes down how it stands with a budget (`trySync`).
    pub(super) fn sync_budget(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let here = self.store.pods.iter().filter(|(pod, _)| pod.namespace == key.namespace);
        let those: Vec<_> = here.filter(|(_, entry)| covers(&row, &entry.pod.metadata.labels)).collect();
        let healthy = those.iter().filter(|(_, entry)| !entry.deleting && entry.is_ready()).count();
        let pods: Vec<ObjectKey> = those.iter().map(|(pod, _)| pod.object()).collect();
        let healthy = i64::try_from(healthy).unwrap_or(0);
        let least = row.at(&["spec", "minAvailable"]).filter(|value| !value.is_null());
        let (expected, desired) = match least {
            Some(least) if least.is_string() => {
                let expected = self.expected(&key.namespace, &pods);
                (expected, scaled(Some(least), expected, true))
            }
            Some(least) => (i64::try_from(pods.len()).unwrap_or(0), least.as_i64().unwrap_or(0)),
            None => {
                let expected = self.expected(&key.namespace, &pods);
                let most = row.at(&["spec", "maxUnavailable"]).filter(|value| !value.is_null());
                (expected, most.map_or(0, |most| (expected - scaled(Some(most), expected, true)).max(0)))
            }
        };
        let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
        self.write_budget(world, &row, [healthy, desired, allowed, expected]);
    }

    fn write_budget(
        &mut self,
        world: &mut dyn World,
        row: &ObjectRow,
        [healthy, desired, allowed, expected]: [i64; 4],
    ) {
        let old = row.at(&["status"]);
        let number = |field: &str| old.and_then(|old| old[field].as_i64());
        let generation = row.generation;
        let same = [
            number("currentHealthy") == Some(healthy),
            number("desiredHealthy") == Some(desired),
            number("disruptionsAllowed") == Some(allowed),
            number("expectedPods") == Some(expected),
            number("observedGeneration") == Some(generation),
        ];
        if same.iter().all(|same| *same) {
            return;
        }
        let (status, reason) =
            if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        let before = old.and_then(|old| old["conditions"].as_array()?.first().cloned());
        let since =
            before.filter(|one| one["status"] == json!(status)).map(|one| one["lastTransitionTime"].clone());
        let condition = json!({
            "lastTransitionTime": since.unwrap_or_else(|| json!(world.now().rfc3339())),
            "message": "", "observedGeneration": generation, "reason": reason, "status": status,
            "type": "DisruptionAllowed",
        });
        let status = json!({
            "conditions": [condition], "currentHealthy": healthy, "desiredHealthy": desired,
            "disruptionsAllowed": allowed, "expectedPods": expected, "observedGeneration": generation,
        });
        self.edit(world, &row.key, |value| value["status"] = status);
    }

    /// Evicts a Pod: deletes it, unless its budget says that it is needed.
    pub(in crate::agent) fn evict_by_request(
        &mut self,
        world: &mut dyn World,
        pod: &ObjectKey,
        grace_seconds: Option<u64>,
    ) -> Result<Value, ApiError> {
        self.check_namespace(pod).or_else(|error| if error.code == 404 { Ok(()) } else { Err(error) })?;
        let entry = self.store.pod_named(&pod.namespace, &pod.name).and_then(|key| self.store.pods.get(key));
        let Some(entry) = entry else { return Err(ApiError::not_found("pods", &pod.name)) };
        let (ready, labels) = (entry.is_ready(), entry.pod.metadata.labels.clone());
        let free = entry.deleting
            || matches!(entry.phase, PodPhase::Pending | PodPhase::Succeeded | PodPhase::Failed);
        let mut budgets = self.budgets_in(&pod.namespace);
        budgets.retain(|budget| covers(budget, &labels));
        if !free {
            if budgets.len() > 1 {
                let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does \
                               not support.";
                return Err(ApiError { code: 500, reason: "", message: message.to_owned() });
            }
            if let [budget] = &budgets[..] {
                self.spend(world, budget, ready)?;
            }
        }
        self.delete(world, pod, None, grace_seconds);
        Ok(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }))
    }

    /// Takes one from what a budget allows (`checkAndDecrement`).
    fn spend(&mut self, world: &mut dyn World, budget: &Arc<ObjectRow>, ready: bool) -> Result<(), ApiError> {
        let refused = || Err(ApiError { code: 429, reason: "TooManyRequests", message: REFUSED.to_owned() });
        let number = |field: &str| budget.at(&["status", field]).and_then(Value::as_i64);
        let Some(allowed) = number("disruptionsAllowed") else { return refused() };
        let desired = number("desiredHealthy").unwrap_or(0);
        let always = budget.at(&["spec", "unhealthyPodEvictionPolicy"]) == Some(&json!("AlwaysAllow"));
        // A Pod that is not ready does not count.
        if !ready && (always || (desired > 0 && number("currentHealthy").unwrap_or(0) >= desired)) {
            return Ok(());
        }
        if allowed <= 0 {
            return refused();
        }
        self.edit(world, &budget.key, |value| value["status"]["disruptionsAllowed"] = json!(allowed - 1));
        Ok(())
    }
}
