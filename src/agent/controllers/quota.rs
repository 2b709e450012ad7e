//! Resource quotas: the admission of new objects and what is used of each (`pkg/controller/resourcequota`), as
//! [`crate::manifest::quotas`] decides.

use crate::agent::control::ControlPlane;
use crate::agent::serve::resource;
use crate::agent::world::World;
use crate::api::ApiError;
use crate::base::ObjectKey;
use crate::base::quantity;
use crate::manifest::quotas::{Amounts, add_usage, hard, is_about, objection, objection_to_change, unused};
use crate::trace::{ObjectRow, PodPhase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

impl ControlPlane {
    fn quotas_in(&self, namespace: &str) -> Vec<Arc<ObjectRow>> {
        self.objects_of("ResourceQuota").filter(|row| &*row.key.namespace == namespace).cloned().collect()
    }

    /// Whether the quotas of its namespace leave room for a new object.
    pub(in crate::agent) fn check_quota(&self, key: &ObjectKey, value: &Value) -> Result<(), ApiError> {
        self.ask_quotas(key, value, |quota, used| objection(quota, used, (&key.kind, value)))
    }

    /// Whether they leave room for a change of one.
    pub(in crate::agent) fn check_quota_of_change(
        &self,
        key: &ObjectKey,
        old: &Value,
        new: &Value,
    ) -> Result<(), ApiError> {
        self.ask_quotas(key, new, |quota, used| objection_to_change(quota, used, (&key.kind, old, new)))
    }

    fn ask_quotas(
        &self,
        key: &ObjectKey,
        value: &Value,
        objection: impl Fn(&Value, &Amounts) -> Option<String>,
    ) -> Result<(), ApiError> {
        for quota in self.quotas_in(&key.namespace) {
            if !is_about(&quota.value, &key.kind, value) {
                continue;
            }
            if let Some(why) = objection(&quota.value, &self.used_in(&quota)) {
                return Err(ApiError::forbidden(&resource(&key.kind), &key.name, &why));
            }
        }
        Ok(())
    }

    /// What the objects of a namespace use of the resources that a quota names. Pods that have ended use nothing.
    fn used_in(&self, quota: &ObjectRow) -> Amounts {
        let mut used = unused(&quota.value);
        for row in self.objects_in(&quota.key.namespace) {
            let ended = &*row.key.kind == "Pod" && !self.counts_as_pod(row);
            if !ended && is_about(&quota.value, &row.key.kind, &row.value) {
                add_usage(&mut used, &row.key.kind, &row.value);
            }
        }
        used
    }

    fn counts_as_pod(&self, row: &ObjectRow) -> bool {
        let key = self.store.pod_named(&row.key.namespace, &row.key.name);
        let entry = key.and_then(|key| self.store.pods.get(key));
        entry.is_none_or(|entry| !matches!(entry.phase, PodPhase::Failed | PodPhase::Succeeded))
    }

    /// Objects of a namespace with quotas came or went.
    pub(super) fn quotas_watch(&mut self, world: &mut dyn World, row: &ObjectRow) {
        if &*row.key.kind != "ResourceQuota" {
            for quota in self.quotas_in(&row.key.namespace) {
                self.enqueue(world, quota.key.clone());
            }
        }
    }

    /// Writes down what is used of a quota.
    pub(super) fn sync_quota(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        // A status that was pasted stays.
        if row.at(&["status", "used"]).is_some() && !self.queue.quotas.contains(&row.uid) {
            return;
        }
        self.queue.quotas.insert(row.uid.clone());
        let hard = hard(&row.value);
        let used = self.used_in(&row);
        let used: BTreeMap<String, String> =
            used.into_iter().map(|(name, amount)| (name.clone(), quantity::usual(&name, amount))).collect();
        let status = json!({ "hard": hard, "used": used });
        if row.at(&["status"]) != Some(&status) && !hard.is_empty() {
            self.edit(world, key, |value| value["status"] = status);
        }
    }
}
