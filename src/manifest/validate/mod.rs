//! Validation as the API server does it, after decoding (k8s.io/kubernetes `pkg/apis/core/validation`), and what only
//! this cluster can know: whether objects fit each other.

mod across;
mod cluster;
mod cursor;
mod meta;
mod names;
mod network;
mod node;
mod pod;

pub(super) use across::across;

use super::report::Report;
use super::schema::Kind;
use cursor::Cursor;
use serde_json::Value;

/// Validates one object.
pub(super) fn object(kind: Kind, raw: &Value, report: &mut Report<'_>) {
    let root = Cursor::root(raw);
    meta::validate(kind, &root.get("metadata"), report);
    match kind.name {
        "Pod" => pod::validate(&root.get("spec"), report),
        "Node" => node::validate(&root, report),
        "Cluster" => cluster::validate(&root.get("spec"), report),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicationController" => {
            template(&root.get("spec").get("template"), report);
        }
        "CronJob" => template(&root.get("spec").get("jobTemplate").get("spec").get("template"), report),
        _ => {}
    }
}

/// The Pods that a controller makes must be valid as well.
fn template(template: &Cursor<'_>, report: &mut Report<'_>) {
    meta::labels(&template.get("metadata").get("labels"), report);
    if template.is_set() {
        pod::validate(&template.get("spec"), report);
    }
}
