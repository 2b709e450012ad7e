//! API objects of every kind, as the store holds them.

use crate::base::{ObjectKey, SimTime};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// An API object as it stands in the store.
///
/// What the API server itself adds (identity, version, times) stands beside the JSON, so that the store, the trace and
/// the text that a user wrote share one value. The status of a Pod or a Node stands in its own row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRow {
    /// Kind, namespace and name.
    pub key: ObjectKey,
    /// Group and version, as `apps/v1`.
    pub api_version: Arc<str>,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`.
    pub version: u64,
    /// `metadata.generation`: it grows with every change of what is desired.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created: SimTime,
    /// `metadata.deletionTimestamp`: when the deletion was asked for, while something still holds the object.
    pub deleted: Option<SimTime>,
    /// The object as it was written, and the status that controllers have written into it.
    pub value: Arc<Value>,
}

/// Kinds of objects with a `spec` whose changes the API server does not count: their strategies leave the field alone.
const WITHOUT_GENERATION: [&str; 8] = [
    "Service",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "LimitRange",
    "HorizontalPodAutoscaler",
];

/// Kinds of objects without a `spec` that have a generation all the same.
const WITH_GENERATION: [&str; 2] = ["EndpointSlice", "PriorityClass"];

impl ObjectRow {
    /// The whole object, as the API server answers: with what it fills in.
    pub fn whole(&self) -> Value {
        let mut value = (*self.value).clone();
        if !value["metadata"].is_object() {
            value["metadata"] = json!({});
        }
        let metadata = &mut value["metadata"];
        metadata["name"] = json!(&*self.key.name);
        if !self.key.namespace.is_empty() {
            metadata["namespace"] = json!(&*self.key.namespace);
        }
        metadata["uid"] = json!(&*self.uid);
        metadata["resourceVersion"] = json!(self.version.to_string());
        metadata["creationTimestamp"] = json!(self.created.rfc3339());
        let kind = &*self.key.kind;
        let counted = value.get("spec").is_some() && !WITHOUT_GENERATION.contains(&kind);
        if counted || WITH_GENERATION.contains(&kind) {
            value["metadata"]["generation"] = json!(self.generation);
        }
        if let Some(deleted) = self.deleted {
            value["metadata"]["deletionTimestamp"] = json!(deleted.rfc3339());
        }
        super::api_defaults::fill(&mut value);
        value
    }

    /// Text at a path of keys below the object, as `["spec", "type"]`.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.as_str()
    }

    /// The value at a path of keys below the object.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&*self.value, |value, key| value.get(key))
    }

    /// Its labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.strings(&["metadata", "labels"])
    }

    /// Its annotations.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.strings(&["metadata", "annotations"])
    }

    /// The text entries of a mapping at a path.
    pub fn strings(&self, path: &[&str]) -> BTreeMap<String, String> {
        let entries = self.at(path).and_then(Value::as_object).into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }
}

/// `Deployment/default/web` with its version.
impl fmt::Display for ObjectRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.key, self.version)
    }
}
