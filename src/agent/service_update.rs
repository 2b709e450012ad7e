//! What an update of a Service drops that its new type does not have, as long as nobody changed it
//! (`dropTypeDependentFields`, `pkg/registry/core/service/strategy.go`).

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

fn kind(spec: &Value) -> &str {
    spec["type"].as_str().filter(|kind| !kind.is_empty()).unwrap_or("ClusterIP")
}

fn has_cluster_ip(spec: &Value) -> bool {
    kind(spec) != "ExternalName"
}

fn is_balanced(spec: &Value) -> bool {
    kind(spec) == "LoadBalancer"
}

fn has_node_ports(spec: &Value) -> bool {
    kind(spec) == "NodePort" || (is_balanced(spec) && spec["allocateLoadBalancerNodePorts"] != false)
}

fn has_health_check(spec: &Value) -> bool {
    is_balanced(spec) && spec["externalTrafficPolicy"] == "Local"
}

/// `ExternallyAccessible`.
fn is_reached_from_outside(spec: &Value) -> bool {
    let has_own = || spec["externalIPs"].as_array().is_some_and(|own| !own.is_empty());
    matches!(kind(spec), "NodePort" | "LoadBalancer") || (kind(spec) == "ClusterIP" && has_own())
}

fn node_ports(spec: &Value) -> BTreeSet<i64> {
    let ports = spec["ports"].as_array().into_iter().flatten();
    ports.filter_map(|port| port["nodePort"].as_i64()).filter(|port| *port != 0).collect()
}

/// Whether a type has what a field is about.
type Has = fn(&Value) -> bool;

/// Fields that go as soon as the type has no use for them.
const FIELDS: [(&str, Has); 6] = [
    ("clusterIP", has_cluster_ip),
    ("clusterIPs", has_cluster_ip),
    ("healthCheckNodePort", has_health_check),
    ("allocateLoadBalancerNodePorts", is_balanced),
    ("loadBalancerClass", is_balanced),
    ("externalTrafficPolicy", is_reached_from_outside),
];

/// Drops them from `new`, by what the Service was before, with all that the server had filled in.
pub(super) fn drop_type_dependent_fields(new: &mut Value, old: &Value) {
    let (was, is) = (&old["spec"], new["spec"].clone());
    let lost = |has: Has| has(was) && !has(&is);
    // Only what is balanced has a balancer's addresses.
    if !is_balanced(&is) && new["status"]["loadBalancer"]["ingress"].is_array() {
        new["status"]["loadBalancer"] = json!({});
    }
    let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for (field, has) in FIELDS {
        if lost(has) && is.get(field) == was.get(field) {
            spec.remove(field);
        }
    }
    if lost(has_node_ports) && node_ports(was).is_superset(&node_ports(&is)) {
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
        for port in ports.filter_map(Value::as_object_mut) {
            Map::remove(port, "nodePort");
        }
    }
}
