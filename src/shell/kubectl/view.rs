//! The objects as the API server would answer them: what is in the store, with the status that came of it.

use super::json::{at, list, number, text};
use super::resources::Resource;
use crate::base::{ObjectKey, SimTime};
use crate::trace::{Inventory, NodeRow, ServiceRow};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) use crate::trace::KUBERNETES as VERSION;

/// All objects of a type, in the order of namespace and name.
pub(super) fn objects(inventory: &Inventory, resource: &Resource) -> Vec<Value> {
    let kind = resource.kind;
    if kind == "Event" {
        return super::events::events(inventory);
    }
    let first = ObjectKey::new(kind, "", "");
    let rows = inventory.objects.range(first..).take_while(|(key, _)| *key.kind == *kind);
    let mut found: BTreeMap<(String, String), Value> =
        rows.map(|(key, row)| ((key.namespace.to_string(), key.name.to_string()), row.whole())).collect();
    match kind {
        "Pod" => pods(inventory, &mut found),
        "Node" => {
            for (name, row) in &inventory.nodes {
                let key = (String::new(), name.to_string());
                let entry = found.entry(key).or_insert_with(|| bare("v1", "Node", "", name, row.created));
                node(row, inventory.now, entry);
            }
        }
        "Service" => {
            for ((namespace, name), row) in &inventory.services {
                let key = (namespace.to_string(), name.to_string());
                let entry =
                    found.entry(key).or_insert_with(|| bare("v1", "Service", namespace, name, row.created));
                service(row, entry);
            }
        }
        _ => {}
    }
    found.into_values().collect()
}

pub(super) fn bare(api_version: &str, kind: &str, namespace: &str, name: &str, created: SimTime) -> Value {
    let mut value = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": name, "creationTimestamp": created.rfc3339() },
    });
    if !namespace.is_empty() {
        value["metadata"]["namespace"] = json!(namespace);
    }
    value
}

fn pods(inventory: &Inventory, found: &mut BTreeMap<(String, String), Value>) {
    for ((namespace, name), row) in &inventory.pods {
        let key = (namespace.to_string(), name.to_string());
        let entry = found.entry(key).or_insert_with(|| bare("v1", "Pod", namespace, name, row.created));
        row.overlay(entry);
    }
}

fn node(row: &NodeRow, now: SimTime, value: &mut Value) {
    if at(value, "spec.podCIDR").is_null() {
        value["spec"]["podCIDR"] = json!(row.pod_cidr.to_string());
        value["spec"]["podCIDRs"] = json!([row.pod_cidr.to_string()]);
    }
    if row.unschedulable {
        value["spec"]["unschedulable"] = json!(true);
    }
    for (key, label) in &row.labels {
        if value["metadata"]["labels"][key].is_null() {
            value["metadata"]["labels"][key] = json!(label);
        }
    }
    row.overlay(value);
    for condition in value["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if condition["lastHeartbeatTime"].is_null() {
            condition["lastHeartbeatTime"] = json!(row.reported(now).rfc3339());
        }
    }
}

fn service(row: &ServiceRow, value: &mut Value) {
    let spec = &mut value["spec"];
    if at(spec, "type").is_null() {
        spec["type"] = json!(&*row.kind);
    }
    if !row.cluster_ip.is_empty() && text(spec, "clusterIP").is_empty() {
        spec["clusterIP"] = json!(&*row.cluster_ip);
    }
    if !row.cluster_ip.is_empty() && list(spec, "clusterIPs").is_empty() {
        spec["clusterIPs"] = json!([&*row.cluster_ip]);
    }
    let ports = spec["ports"].as_array_mut().into_iter().flatten();
    for (port, row) in ports.zip(&row.ports) {
        if at(port, "protocol").is_null() {
            port["protocol"] = json!(row.protocol);
        }
        if row.node_port != 0 && number(port, "nodePort") == 0 {
            port["nodePort"] = json!(row.node_port);
        }
        if at(port, "targetPort").is_null() {
            port["targetPort"] = json!(row.port);
        }
    }
    let written: Vec<String> = list(spec, "externalIPs").iter().map(super::json::plain).collect();
    if &*row.kind == "LoadBalancer" && list(value, "status.loadBalancer.ingress").is_empty() {
        let given = row.external.iter().filter(|ip| !written.contains(&ip.to_string()));
        let ingress: Vec<Value> = given.map(|ip| json!({ "ip": &**ip })).collect();
        value["status"]["loadBalancer"] =
            if ingress.is_empty() { json!({}) } else { json!({ "ingress": ingress }) };
    }
}
