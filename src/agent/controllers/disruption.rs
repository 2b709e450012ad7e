//! Disruption budgets: how many Pods may be missing (`pkg/controller/disruption`), and evictions, which ask them
//! (`pkg/registry/core/pod/storage/eviction.go`). *Simplified*: a Pod that is evicted is gone from the count at once, so
//! that `status.disruptedPods` is not needed.

use super::{ControlPlane, Kind, controller_of};
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

/// Status and reason of the condition of a budget that allows so many disruptions.
fn standing(allowed: i64) -> (&'static str, &'static str) {
    if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") }
}

/// The condition of a budget, whose time stays while its status does.
fn condition(
    budget: &ObjectRow,
    (status, reason, message): (&str, &str, &str),
    generation: Option<i64>,
    now: &str,
) -> Value {
    let before = budget.at(&["status", "conditions"]).and_then(|all| all.as_array()?.first());
    let since =
        before.filter(|one| one["status"] == json!(status)).map(|one| one["lastTransitionTime"].clone());
    let mut condition = json!({
        "lastTransitionTime": since.unwrap_or_else(|| json!(now)), "message": message, "reason": reason,
        "status": status, "type": "DisruptionAllowed",
    });
    if let Some(generation) = generation {
        condition["observedGeneration"] = json!(generation);
    }
    condition
}

/// What is said of Pods without a controller, with the selector as Go prints it.
fn unmanaged_text(budget: &ObjectRow) -> String {
    let selector = budget.at(&["spec", "selector"]).unwrap_or(&Value::Null);
    format!(
        "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the \
         status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these \
         pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
        selector_text(selector)
    )
}

/// A selector as Go prints it (`LabelSelector.String`).
pub(super) fn selector_text(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let labels: Vec<String> = labels.map(|(key, value)| format!("{key}: {},", text(value))).collect();
    let labels = labels.concat();
    let expression = |one: &Value| {
        let values: Vec<&str> =
            one["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
            text(&one["key"]),
            text(&one["operator"]),
            values.join(" ")
        )
    };
    let expressions = selector["matchExpressions"].as_array();
    let expressions: String = expressions.into_iter().flatten().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
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

    /// What decides over a Pod's number: its controller, or that of its ReplicaSet (`finders`).
    fn scaled_by(&self, pod: &ObjectKey) -> Result<Option<ObjectKey>, String> {
        let namespace = &*pod.namespace;
        let owner_of = |key: &ObjectKey| {
            let row = self.objects.get(key)?;
            controller_of(&row.value).map(|(kind, name, _)| ObjectKey::new(kind, namespace, name))
        };
        let Some(owner) = owner_of(pod) else { return Ok(None) };
        let unscaled = match &*owner.kind {
            "DaemonSet" => "daemonsets.apps",
            "Job" => "jobs.batch",
            "Node" => "nodes",
            _ => {
                let above = owner_of(&owner).filter(|above| &*above.kind == "Deployment");
                let owner = above.unwrap_or(owner);
                let known = self.objects.get(&owner).is_some();
                return if known {
                    Ok(Some(owner))
                } else {
                    Err(format!("found no controllers for pod {:?}", &*pod.name))
                };
            }
        };
        Err(format!("{unscaled} does not implement the scale subresource"))
    }

    /// How many Pods the controllers of these want, and whether some have none (`getExpectedScale`).
    fn expected(&self, pods: &[ObjectKey]) -> Result<(i64, bool), String> {
        let mut owners: BTreeSet<ObjectKey> = BTreeSet::new();
        let mut unmanaged = false;
        for pod in pods {
            match self.scaled_by(pod)? {
                Some(owner) => drop(owners.insert(owner)),
                None => unmanaged = true,
            }
        }
        let wanted = |owner: &ObjectKey| {
            let row = self.objects.get(owner);
            row.and_then(|row| row.at(&["spec", "replicas"])?.as_i64()).unwrap_or(1)
        };
        Ok((owners.iter().map(wanted).sum(), unmanaged))
    }

    /// How many Pods a budget expects and how many of them it wants healthy (`getExpectedPodCount`); then whether some of
    /// them have no controller.
    fn counts(&self, row: &ObjectRow, pods: &[ObjectKey]) -> Result<(i64, i64, bool), String> {
        let bound = |field: &str| row.at(&["spec", field]).filter(|value| !value.is_null());
        if let Some(most) = bound("maxUnavailable") {
            let (expected, unmanaged) = self.expected(pods)?;
            return Ok((expected, (expected - scaled(Some(most), expected, true)).max(0), unmanaged));
        }
        match bound("minAvailable") {
            Some(least) if least.is_string() => {
                let (expected, unmanaged) = self.expected(pods)?;
                Ok((expected, scaled(Some(least), expected, true), unmanaged))
            }
            Some(least) => Ok((i64::try_from(pods.len()).unwrap_or(0), least.as_i64().unwrap_or(0), false)),
            None => Ok((0, 0, false)),
        }
    }

    /// Writes down how it stands with a budget (`trySync`).
    pub(super) fn sync_budget(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let here = self.store.live().filter(|(pod, _)| pod.namespace == key.namespace);
        let those: Vec<_> = here.filter(|(_, entry)| covers(&row, &entry.pod.metadata.labels)).collect();
        let healthy = those.iter().filter(|(_, entry)| !entry.deleting && entry.is_ready()).count();
        let pods: Vec<ObjectKey> = those.iter().map(|(pod, _)| pod.object()).collect();
        let healthy = i64::try_from(healthy).unwrap_or(0);
        let (expected, desired, unmanaged) = match self.counts(&row, &pods) {
            Ok(counts) => counts,
            Err(why) => return self.budget_failed(world, &row, &why),
        };
        let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
        if self.write_budget(world, &row, [healthy, desired, allowed, expected]) {
            if pods.is_empty() {
                let what = "No matching pods found".to_owned();
                Self::event(world, key, Kind::Normal, ("NoPods", "controllermanager"), what);
            }
            if unmanaged {
                let what = unmanaged_text(&row);
                Self::event(world, key, Kind::Warning, ("UnmanagedPods", "controllermanager"), what);
            }
        }
    }

    /// A budget whose Pods cannot be counted allows nothing (`failSafe`).
    fn budget_failed(&mut self, world: &mut dyn World, row: &ObjectRow, why: &str) {
        let mut status =
            row.at(&["status"]).filter(|old| old.is_object()).cloned().unwrap_or_else(|| json!({}));
        let observed = status["observedGeneration"].as_i64();
        let condition = condition(row, ("False", "SyncFailed", why), observed, &world.now().rfc3339());
        if status["disruptionsAllowed"] == json!(0) && status["conditions"] == json!([condition]) {
            return;
        }
        for field in ["currentHealthy", "desiredHealthy", "expectedPods"] {
            if status[field].is_null() {
                status[field] = json!(0);
            }
        }
        status["disruptionsAllowed"] = json!(0);
        status["conditions"] = json!([condition]);
        if observed.is_none() {
            status.as_object_mut().map(|status| status.remove("observedGeneration"));
        }
        self.edit(world, &row.key, |value| value["status"] = status);
        let what = format!("Failed to calculate the number of expected pods: {why}");
        let reason = ("CalculateExpectedPodCountFailed", "controllermanager");
        Self::event(world, &row.key, Kind::Warning, reason, what);
    }

    /// Whether something was to be written.
    fn write_budget(
        &mut self,
        world: &mut dyn World,
        row: &ObjectRow,
        [healthy, desired, allowed, expected]: [i64; 4],
    ) -> bool {
        let old = row.at(&["status"]);
        let number = |field: &str| old.and_then(|old| old[field].as_i64());
        let generation = row.generation;
        let (state, reason) = standing(allowed);
        let condition = condition(row, (state, reason, ""), Some(generation), &world.now().rfc3339());
        let same = [
            number("currentHealthy") == Some(healthy),
            number("desiredHealthy") == Some(desired),
            number("disruptionsAllowed") == Some(allowed),
            number("expectedPods") == Some(expected),
            number("observedGeneration") == Some(generation),
            old.is_some_and(|old| old["conditions"] == json!([condition])),
        ];
        if same.iter().all(|same| *same) {
            return false;
        }
        let status = json!({
            "conditions": [condition], "currentHealthy": healthy, "desiredHealthy": desired,
            "disruptionsAllowed": allowed, "expectedPods": expected, "observedGeneration": generation,
        });
        self.edit(world, &row.key, |value| value["status"] = status);
        true
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
        let observed = number("observedGeneration").unwrap_or(0);
        let desired = number("desiredHealthy").unwrap_or(0);
        let always = budget.at(&["spec", "unhealthyPodEvictionPolicy"]) == Some(&json!("AlwaysAllow"));
        // A Pod that is not ready does not count.
        if !ready && (always || (desired > 0 && number("currentHealthy").unwrap_or(0) >= desired)) {
            return Ok(());
        }
        // The controller has not yet seen the budget as it stands, or it allows nothing.
        if observed < budget.generation || allowed <= 0 {
            return refused();
        }
        let (state, reason) = standing(allowed - 1);
        let condition = condition(budget, (state, reason, ""), Some(observed), &world.now().rfc3339());
        self.edit(world, &budget.key, |value| {
            value["status"]["disruptionsAllowed"] = json!(allowed - 1);
            value["status"]["conditions"] = json!([condition]);
        });
        Ok(())
    }
}
