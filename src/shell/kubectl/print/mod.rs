//! The columns of each kind and what stands in them, as the API server's printers have them
//! (`pkg/printers/internalversion/printers.go`).

mod network;
mod storage;
mod workload;

use super::age::since;
use super::json::{at, entries, list, number, or, plain, selector, text};
use super::status;
use crate::base::SimTime;
use serde_json::Value;
use std::collections::BTreeSet;
pub(super) use storage::access_modes;

/// What the printers know besides the object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The moment of the command.
    pub(super) now: SimTime,
    /// `-o wide`.
    pub(super) wide: bool,
}

const NONE: &str = "<none>";

/// Columns of a kind: those of every table, and those that `-o wide` adds. Events have a list of their own.
fn columns(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "Pod" => ("NAME|READY|STATUS|RESTARTS|AGE", "IP|NODE|NOMINATED NODE|READINESS GATES"),
        "Service" => ("NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE", "SELECTOR"),
        "Endpoints" => ("NAME|ENDPOINTS|AGE", ""),
        "EndpointSlice" => ("NAME|ADDRESSTYPE|PORTS|ENDPOINTS|AGE", ""),
        "Deployment" => ("NAME|READY|UP-TO-DATE|AVAILABLE|AGE", "CONTAINERS|IMAGES|SELECTOR"),
        "ReplicaSet" | "ReplicationController" => {
            ("NAME|DESIRED|CURRENT|READY|AGE", "CONTAINERS|IMAGES|SELECTOR")
        }
        "ControllerRevision" => ("NAME|CONTROLLER|REVISION|AGE", ""),
        "StatefulSet" => ("NAME|READY|AGE", "CONTAINERS|IMAGES"),
        "DaemonSet" => (
            "NAME|DESIRED|CURRENT|READY|UP-TO-DATE|AVAILABLE|NODE SELECTOR|AGE",
            "CONTAINERS|IMAGES|SELECTOR",
        ),
        "Job" => ("NAME|STATUS|COMPLETIONS|DURATION|AGE", "CONTAINERS|IMAGES|SELECTOR"),
        "CronJob" => {
            ("NAME|SCHEDULE|TIMEZONE|SUSPEND|ACTIVE|LAST SCHEDULE|AGE", "CONTAINERS|IMAGES|SELECTOR")
        }
        "Node" => (
            "NAME|STATUS|ROLES|AGE|VERSION",
            "INTERNAL-IP|EXTERNAL-IP|OS-IMAGE|KERNEL-VERSION|CONTAINER-RUNTIME",
        ),
        "Namespace" => ("NAME|STATUS|AGE", ""),
        "Scale" => ("NAME|DESIRED|AVAILABLE|AGE", ""),
        "NetworkPolicy" => ("NAME|POD-SELECTOR|AGE", ""),
        "Ingress" => ("NAME|CLASS|HOSTS|ADDRESS|PORTS|AGE", ""),
        "IngressClass" => ("NAME|CONTROLLER|PARAMETERS|AGE", ""),
        "ConfigMap" => ("NAME|DATA|AGE", ""),
        "Secret" => ("NAME|TYPE|DATA|AGE", ""),
        "PersistentVolumeClaim" => {
            ("NAME|STATUS|VOLUME|CAPACITY|ACCESS MODES|STORAGECLASS|VOLUMEATTRIBUTESCLASS|AGE", "VOLUMEMODE")
        }
        "PersistentVolume" => (
            "NAME|CAPACITY|ACCESS MODES|RECLAIM POLICY|STATUS|CLAIM|STORAGECLASS|VOLUMEATTRIBUTESCLASS|REASON|AGE",
            "VOLUMEMODE",
        ),
        "PodDisruptionBudget" => ("NAME|MIN AVAILABLE|MAX UNAVAILABLE|ALLOWED DISRUPTIONS|AGE", ""),
        "Lease" => ("NAME|HOLDER|AGE", ""),
        "ResourceQuota" => ("NAME|REQUEST|LIMIT|AGE", ""),
        "ServiceCIDR" => ("NAME|CIDRS|AGE", ""),
        "IPAddress" => ("NAME|PARENTREF", ""),
        "HorizontalPodAutoscaler" => ("NAME|REFERENCE|TARGETS|MINPODS|MAXPODS|REPLICAS|AGE", ""),
        "PriorityClass" => ("NAME|VALUE|GLOBAL-DEFAULT|AGE|PREEMPTIONPOLICY", ""),
        "StorageClass" => ("NAME|PROVISIONER|RECLAIMPOLICY|VOLUMEBINDINGMODE|ALLOWVOLUMEEXPANSION|AGE", ""),
        "LimitRange" | "Role" | "ClusterRole" => ("NAME|CREATED AT", ""),
        "RoleBinding" | "ClusterRoleBinding" => ("NAME|ROLE|AGE", "USERS|GROUPS|SERVICEACCOUNTS"),
        "AdminNetworkPolicy" => ("NAME|PRIORITY|AGE", ""),
        "AuthorizationPolicy" => ("NAME|ACTION|AGE", ""),
        "PeerAuthentication" => ("NAME|MODE|AGE", ""),
        _ => ("NAME|AGE", ""),
    }
}

/// The heads of the columns.
pub(super) fn headers(kind: &str, wide: bool) -> Vec<&'static str> {
    let (usual, more) = match (kind, wide) {
        ("Event", true) => {
            ("LAST SEEN|TYPE|REASON|OBJECT|SUBOBJECT|SOURCE|MESSAGE|FIRST SEEN|COUNT|NAME", "")
        }
        ("Event", false) => ("LAST SEEN|TYPE|REASON|OBJECT|MESSAGE", ""),
        _ => columns(kind),
    };
    let more = if wide && !more.is_empty() { more } else { "" };
    usual.split('|').chain(more.split('|').filter(|column| !column.is_empty())).collect()
}

/// Which cell the name stands in.
pub(super) fn name_cell(kind: &str, wide: bool) -> Option<usize> {
    match (kind, wide) {
        ("Event", true) => Some(9),
        ("Event", false) => None,
        _ => Some(0),
    }
}

/// The cells of an object.
pub(super) fn cells(kind: &str, object: &Value, look: Look) -> Vec<String> {
    match kind {
        "Pod" => pod(object, look),
        "Node" => node(object, look),
        "Event" => event(object, look),
        "Service" => network::service(object, look),
        "Endpoints" => network::endpoints(object, look),
        "EndpointSlice" => network::slice(object, look),
        "NetworkPolicy" => vec![name(object), selector(object, "spec.podSelector"), age(object, look)],
        "Ingress" => network::ingress(object, look),
        "IngressClass" => network::ingress_class(object, look),
        "ServiceCIDR" => {
            let cidrs: Vec<String> = list(object, "spec.cidrs").iter().map(plain).collect();
            vec![name(object), cidrs.join(","), age(object, look)]
        }
        "IPAddress" => network::ip_address(object),
        "Deployment"
        | "ReplicaSet"
        | "ReplicationController"
        | "StatefulSet"
        | "DaemonSet"
        | "Job"
        | "CronJob" => workload::cells(kind, object, look),
        "ControllerRevision" => workload::revision(object, look),
        "Namespace" => vec![name(object), text(object, "status.phase").to_owned(), age(object, look)],
        "Scale" => {
            let count = |path: &str| number(object, path).to_string();
            vec![name(object), count("spec.replicas"), count("status.replicas"), age(object, look)]
        }
        "ConfigMap" => {
            let count = entries(object, "data").len() + entries(object, "binaryData").len();
            vec![name(object), count.to_string(), age(object, look)]
        }
        "Secret" => {
            let count = entries(object, "data").len();
            vec![name(object), or(text(object, "type"), "Opaque"), count.to_string(), age(object, look)]
        }
        "PersistentVolumeClaim" | "PersistentVolume" | "StorageClass" => storage::cells(kind, object, look),
        "PodDisruptionBudget" | "HorizontalPodAutoscaler" | "ResourceQuota" | "PriorityClass" | "Lease" => {
            workload::limits(kind, object, look)
        }
        "LimitRange" | "Role" | "ClusterRole" => {
            vec![name(object), text(object, "metadata.creationTimestamp").to_owned()]
        }
        "RoleBinding" | "ClusterRoleBinding" => binding(object, look),
        "AuthorizationPolicy" => {
            vec![name(object), text(object, "spec.action").to_owned(), age(object, look)]
        }
        "PeerAuthentication" => {
            vec![name(object), text(object, "spec.mtls.mode").to_owned(), age(object, look)]
        }
        "AdminNetworkPolicy" => {
            vec![name(object), number(object, "spec.priority").to_string(), age(object, look)]
        }
        _ => vec![name(object), age(object, look)],
    }
}

fn name(object: &Value) -> String {
    text(object, "metadata.name").to_owned()
}

fn age(object: &Value, look: Look) -> String {
    since(look.now, text(object, "metadata.creationTimestamp"))
}

fn pod(pod: &Value, look: Look) -> Vec<String> {
    let [ready, status, restarts] = status::cells(pod, look.now);
    let mut row = vec![name(pod), ready, status, restarts, age(pod, look)];
    if look.wide {
        let ip = list(pod, "status.podIPs").first().map_or(text(pod, "status.podIP"), |one| text(one, "ip"));
        row.push(or(ip, NONE));
        row.push(or(text(pod, "spec.nodeName"), NONE));
        row.push(or(text(pod, "status.nominatedNodeName"), NONE));
        let gates = list(pod, "spec.readinessGates");
        let open = gates.iter().filter(|gate| {
            list(pod, "status.conditions")
                .iter()
                .any(|one| text(one, "type") == text(gate, "conditionType") && text(one, "status") == "True")
        });
        row.push(if gates.is_empty() {
            NONE.to_owned()
        } else {
            format!("{}/{}", open.count(), gates.len())
        });
    }
    row
}

/// Roles by the labels `node-role.kubernetes.io/ROLE` and `kubernetes.io/role` (`findNodeRoles`).
fn roles(node: &Value) -> String {
    let labels = entries(node, "metadata.labels");
    let roles: BTreeSet<String> = labels
        .into_iter()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role.to_owned()),
            None => (key == "kubernetes.io/role").then(|| plain(value)),
        })
        .filter(|role| !role.is_empty())
        .collect();
    or(&roles.into_iter().collect::<Vec<_>>().join(","), NONE)
}

fn node(node: &Value, look: Look) -> Vec<String> {
    let ready = list(node, "status.conditions").iter().find(|one| text(one, "type") == "Ready");
    let mut status = match ready.map(|one| text(one, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if *at(node, "spec.unschedulable") == true {
        status.push_str(",SchedulingDisabled");
    }
    let version = text(node, "status.nodeInfo.kubeletVersion").to_owned();
    let mut row = vec![name(node), status, roles(node), age(node, look), version];
    if look.wide {
        for kind in ["InternalIP", "ExternalIP"] {
            let address = list(node, "status.addresses").iter().find(|one| text(one, "type") == kind);
            row.push(or(address.map_or("", |one| text(one, "address")), NONE));
        }
        for field in ["osImage", "kernelVersion", "containerRuntimeVersion"] {
            row.push(or(text(node, &format!("status.nodeInfo.{field}")), "<unknown>"));
        }
    }
    row
}

fn event(event: &Value, look: Look) -> Vec<String> {
    let first = match text(event, "firstTimestamp") {
        "" => since(look.now, text(event, "eventTime")),
        moment => since(look.now, moment),
    };
    let series = text(event, "series.lastObservedTime");
    let last = match (series, text(event, "lastTimestamp")) {
        ("", "") => first.clone(),
        ("", moment) | (moment, _) => since(look.now, moment),
    };
    let count = [number(event, "series.count"), number(event, "count")].into_iter().find(|count| *count > 0);
    let kind = text(event, "involvedObject.kind").to_lowercase();
    let object = match text(event, "involvedObject.name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let message = text(event, "message").trim().to_owned();
    let mut row = vec![last, text(event, "type").to_owned(), text(event, "reason").to_owned(), object];
    if !look.wide {
        row.push(message);
        return row;
    }
    row.push(text(event, "involvedObject.fieldPath").to_owned());
    row.push(source(event));
    row.push(message);
    row.push(first);
    row.push(count.unwrap_or(1).to_string());
    row.push(name(event));
    row
}

/// `component, host` (`formatEventSource`).
pub(super) fn source(event: &Value) -> String {
    let component = or(text(event, "source.component"), text(event, "reportingComponent"));
    let host = or(text(event, "source.host"), text(event, "reportingInstance"));
    if host.is_empty() { component } else { format!("{component}, {host}") }
}

fn binding(binding: &Value, look: Look) -> Vec<String> {
    let role = format!("{}/{}", text(binding, "roleRef.kind"), text(binding, "roleRef.name"));
    let mut row = vec![name(binding), role, age(binding, look)];
    if look.wide {
        for kind in ["User", "Group", "ServiceAccount"] {
            let subjects = list(binding, "subjects").iter().filter(|one| text(one, "kind") == kind);
            let names = subjects.map(|one| match (kind, text(one, "namespace")) {
                ("ServiceAccount", namespace) if !namespace.is_empty() => {
                    format!("{namespace}/{}", text(one, "name"))
                }
                _ => text(one, "name").to_owned(),
            });
            row.push(names.collect::<Vec<_>>().join(", "));
        }
    }
    row
}
