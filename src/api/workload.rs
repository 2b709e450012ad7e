//! Workloads (`apps/v1`, `batch/v1`): objects whose controllers make Pods.
//!
//! The Pod template is kept as it was written: a Pod is made of it as JSON, and whether two templates are equal is asked
//! of the JSON too.

use super::{LabelSelector, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What kinds of controllers have in common: how many Pods, which ones, and of what template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Workload {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Desired state.
    pub spec: WorkloadSpec,
    /// Observed state.
    pub status: WorkloadStatus,
}

/// Desired state of a Deployment, ReplicaSet, StatefulSet, DaemonSet or Job: the fields of all of them, each of which
/// only some have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// How many Pods; 1 where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Which Pods belong to it.
    pub selector: LabelSelector,
    /// What Pods are made of: `metadata` and `spec`.
    pub template: Value,
    /// Seconds that a Pod has to be ready before it counts as available.
    pub min_ready_seconds: i64,
    /// How old Pods are replaced by new ones (Deployment).
    pub strategy: Strategy,
    /// The same of a StatefulSet or DaemonSet.
    pub update_strategy: Strategy,
    /// How many old ReplicaSets are kept; 10 where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i64>,
    /// Whether a rollout stands still.
    pub paused: bool,
    /// Seconds after which a rollout without progress counts as failed; 600 where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i64>,
    /// The headless Service that names the Pods (StatefulSet).
    pub service_name: String,
    /// `OrderedReady` or `Parallel` (StatefulSet).
    pub pod_management_policy: String,
    /// Claims made for each Pod (StatefulSet), as written.
    pub volume_claim_templates: Vec<Value>,
    /// First number of a Pod (StatefulSet).
    pub ordinals: Ordinals,
    /// How many Pods run at a time (Job); 1 where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i64>,
    /// How many Pods have to end well (Job).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<i64>,
    /// `NonIndexed` or `Indexed` (Job).
    pub completion_mode: String,
    /// How many failures a Job may have; 6 where `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<i64>,
    /// Seconds that a Job may be active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds after its end after which a Job is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i64>,
    /// Whether a Job's Pods are held back.
    pub suspend: bool,
}

/// How old Pods are replaced by new ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    /// `RollingUpdate`, `Recreate` or `OnDelete`.
    pub r#type: String,
    /// Bounds of a rolling update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
}

/// Bounds of a rolling update: numbers, or per cent of the wanted Pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// How many more Pods than wanted there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<Value>,
    /// How many of the wanted Pods may not be available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<Value>,
    /// Pods of a StatefulSet below this number keep their template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i64>,
}

/// Numbers of a StatefulSet's Pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ordinals {
    /// The first one.
    pub start: i64,
}

/// Observed state, as far as controllers read their own or each other's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadStatus {
    /// Pods.
    pub replicas: i64,
    /// Pods that are ready.
    pub ready_replicas: i64,
    /// Pods that have been ready for long enough.
    pub available_replicas: i64,
    /// How often a name was found taken (Deployment).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i64>,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// A condition of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Which.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, in a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it was last looked at (of a Job), RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_probe_time: Option<String>,
    /// When it was last looked at with another reason (of a Deployment), RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// When its status last changed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

impl Workload {
    /// How many Pods are wanted.
    pub fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }

    /// How many Pods of a Job have to end well: one, unless it says how many or how many at a time.
    pub fn completions(&self) -> Option<i64> {
        match (self.spec.completions, self.spec.parallelism) {
            (None, None) => Some(1),
            (completions, _) => completions,
        }
    }

    /// Labels of the Pod template.
    pub fn template_labels(&self) -> BTreeMap<String, String> {
        let labels = self.spec.template["metadata"]["labels"].as_object().into_iter().flatten();
        labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }
}
