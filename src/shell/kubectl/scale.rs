//! Subresources of objects: `status`, and `scale` as the group `autoscaling` has it.

use super::json::{at, number, selector, text};
use serde_json::{Value, json};

/// Which part of an object is asked for (`--subresource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subresource {
    /// The whole.
    None,
    /// Its status.
    Status,
    /// How many replicas it wants and has.
    Scale,
}

impl Subresource {
    /// Reads the value of the flag.
    pub(super) fn read(text: Option<&str>) -> Result<Self, String> {
        match text {
            None => Ok(Self::None),
            Some("status") => Ok(Self::Status),
            Some("scale") => Ok(Self::Scale),
            Some(other) => Err(format!(
                "error: invalid subresource value: \"{other}\". Must be one of [status scale resize]\n"
            )),
        }
    }
}

/// Whether objects of a kind have a scale.
pub(super) fn scales(kind: &str) -> bool {
    matches!(kind, "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController")
}

/// The scale of a workload (`autoscaling/v1` `Scale`).
pub(super) fn scale(object: &Value) -> Value {
    let mut metadata = json!({});
    for field in ["creationTimestamp", "name", "namespace", "resourceVersion", "uid"] {
        if !at(object, &format!("metadata.{field}")).is_null() {
            metadata[field] = at(object, &format!("metadata.{field}")).clone();
        }
    }
    let labels = match text(object, "kind") {
        "ReplicationController" => super::json::labels(object, "spec.selector"),
        _ => selector(object, "spec.selector"),
    };
    json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": metadata,
        "spec": { "replicas": at(object, "spec.replicas").as_i64().unwrap_or(1) },
        "status": { "replicas": number(object, "status.replicas"), "selector": labels },
    })
}
