//! Validation as the API server does it, after decoding (k8s.io/kubernetes `pkg/apis/core/validation`), and what only
//! this cluster can know: whether objects fit each other.

mod across;
mod address;
mod admin;
mod allocation;
mod autoscaler;
mod cluster;
mod config;
mod cron;
mod cursor;
mod endpoints;
mod enforcement;
mod ingress;
mod internal;
mod job;
mod limits;
mod lint;
mod mesh;
mod meta;
mod names;
mod network;
mod node;
mod pod;
mod policy;
mod quantity;
mod rbac;
mod resource;
mod selector;
mod service;
mod storage;
mod update;
mod volume_source;
mod workload;

pub(super) use across::Across;
pub(super) use update::update;

use super::conversion;
use super::report::Report;
use super::schema::Kind;
use cursor::Cursor;
use serde_json::Value;

/// Validates one object.
pub(super) fn object(kind: Kind, raw: &Value, report: &mut Report<'_>) {
    let root = Cursor::root(raw);
    meta::validate(kind, &root.get("metadata"), report);
    match kind.name {
        "Pod" => {
            let stands = root.get("metadata").get("uid").is_set();
            let owner = if stands { pod::Owner::Standing } else { pod::Owner::Pod };
            pod::validate(&root.get("spec"), owner, &[], report);
        }
        "Node" => node::validate(&root, report),
        "Cluster" => cluster::validate(&root.get("spec"), report),
        "Service" => service::validate(&root, report),
        "NetworkPolicy" => policy::validate(&root.get("spec"), report),
        "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" => admin::validate(kind.name, &root, report),
        "Endpoints" => endpoints::endpoints(&root, report),
        "EndpointSlice" => endpoints::slice(&root, report),
        "ConfigMap" | "Secret" => config::validate(kind.name, &root, report),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicationController" => {
            workload::validate(kind.name, &root, report);
        }
        "ControllerRevision" => workload::revision(&root, report),
        "AuthorizationPolicy" => mesh::authorization_policy(&root.get("spec"), report),
        "PeerAuthentication" => mesh::peer_authentication(&root.get("spec"), report),
        "CronJob" => job::cron_job(&root, report),
        "HorizontalPodAutoscaler" if conversion::kept_as(kind.api_version, kind.name).is_some() => {
            // What is wrong is told of the form in which it is kept.
            let mut kept = raw.clone();
            conversion::keep(&mut kept);
            autoscaler::validate(&Cursor::root(&kept).get("spec"), report);
        }
        "HorizontalPodAutoscaler" => autoscaler::validate(&root.get("spec"), report),
        "PodDisruptionBudget" => workload::disruption_budget(&root.get("spec"), report),
        "Ingress" => ingress::validate(&root, report),
        "IngressClass" => ingress::class(&root.get("spec"), report),
        "PersistentVolume" => storage::volume(&root.get("spec"), report),
        "PersistentVolumeClaim" => storage::claim(&root.get("spec"), report),
        "StorageClass" => storage::class(&root, report),
        "PriorityClass" => storage::priority(&root, report),
        "ResourceQuota" => limits::quota(&root.get("spec"), report),
        "LimitRange" => limits::range(&root.get("spec"), report),
        "Role" | "ClusterRole" => rbac::role(kind.name, &root, report),
        "RoleBinding" | "ClusterRoleBinding" => rbac::binding(kind.name, &root, report),
        _ => {}
    }
}

/// What is wrong with a key of data (`IsConfigMapKey`).
pub(in crate::manifest) fn config_key(key: &str) -> Vec<String> {
    let shown = cursor::quoted(key);
    let told = |(message, args): names::Fault| {
        let args: Vec<String> = std::iter::once(shown.clone()).chain(args).collect();
        let text = crate::base::words::text(crate::base::words::Lang::En, message, &args);
        text.strip_prefix(&format!("Invalid value: {shown}: ")).map_or_else(|| text.clone(), str::to_owned)
    };
    names::config_key(key).into_iter().map(told).collect()
}

/// Whether a text is a name of the DNS (`IsDNS1123Subdomain`).
pub(in crate::manifest) fn is_subdomain(text: &str) -> bool {
    names::dns_subdomain(text).is_empty()
}
