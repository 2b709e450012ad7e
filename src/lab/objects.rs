//! Objects as `kubectl get -o yaml` shows them: what was applied, with the status that came of it.

use crate::manifest::Parsed;
use crate::trace::{ContainerRef, Inventory, PodPhase, PodRow, TableChange, Trace};
use serde_json::{Value, json};

/// The object of this kind, namespace and name.
pub(super) fn object(
    parsed: &Parsed,
    live: &Inventory,
    (kind, namespace, name): (&str, &str, &str),
) -> Option<Value> {
    let applied = parsed.objects.iter().find(|located| {
        let object = &located.object;
        let meta = object.metadata();
        object.kind() == kind && meta.name == name && (kind == "Node" || meta.namespace == namespace)
    });
    let mut value = match applied {
        Some(located) => located.raw.clone(),
        None if kind == "Node" => json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } }),
        None => return None,
    };
    match kind {
        "Pod" => {
            let row = live.pods.get(&(namespace.into(), name.into()))?;
            value["metadata"]["namespace"] = json!(namespace);
            value["spec"]["nodeName"] = json!(row.node.as_deref());
            value["status"] = pod_status(row);
        }
        "Node" => {
            let row = live.nodes.get(name)?;
            value["spec"]["podCIDR"] = json!(row.pod_cidr.to_string());
            value["status"] = json!({
                "addresses": [
                    { "type": "InternalIP", "address": row.address.to_string() },
                    { "type": "Hostname", "address": &*row.name },
                ],
            });
        }
        _ => {}
    }
    Some(value)
}

/// What the main process of a container wrote, in one of its lives: its log.
pub(super) fn log(trace: &Trace, container: &ContainerRef) -> String {
    let is_start = |change: &&TableChange| matches!(change, TableChange::Process(row) if row.container.as_ref() == Some(container));
    let Some(TableChange::Process(row)) = trace.changes.iter().find(is_start) else { return String::new() };
    trace
        .outputs
        .iter()
        .filter(|output| output.process == row.process)
        .map(|output| output.text.as_str())
        .collect()
}

fn pod_status(row: &PodRow) -> Value {
    let phase = match row.phase {
        PodPhase::Pending => "Pending",
        PodPhase::Running => "Running",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
    };
    let mut status = json!({ "phase": phase });
    if let Some(host) = row.host_ip {
        status["hostIP"] = json!(host.to_string());
    }
    if let Some(ip) = row.ip {
        status["podIP"] = json!(ip.to_string());
        status["podIPs"] = json!([{ "ip": ip.to_string() }]);
    }
    status
}
