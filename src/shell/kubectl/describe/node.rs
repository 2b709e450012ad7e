//! Nodes.

use super::node_resources::resources;
use super::{Look, annotations, labels, line, moment};
use crate::shell::kubectl::json::{at, entries, list, or, plain, text};
use crate::shell::kubectl::print;
use serde_json::Value;

/// Titles of `status.nodeInfo`.
const SYSTEM: [(&str, &str); 9] = [
    ("Machine ID", "machineID"),
    ("System UUID", "systemUUID"),
    ("Boot ID", "bootID"),
    ("Kernel Version", "kernelVersion"),
    ("OS Image", "osImage"),
    ("Operating System", "operatingSystem"),
    ("Architecture", "architecture"),
    ("Container Runtime Version", "containerRuntimeVersion"),
    ("Kubelet Version", "kubeletVersion"),
];

pub(super) fn node(node: &Value, look: &Look<'_>, out: &mut String) {
    let name = text(node, "metadata.name");
    let cells = print::cells("Node", node, print::Look { now: look.now, wide: false });
    line(out, &format!("Name:\t{name}"));
    line(out, &format!("Roles:\t{}", cells[2]));
    labels(node, "Labels", "metadata.labels", out);
    annotations(node, out);
    line(out, &format!("CreationTimestamp:\t{}", moment(text(node, "metadata.creationTimestamp"))));
    let taints = list(node, "spec.taints");
    if taints.is_empty() {
        line(out, "Taints:\t<none>");
    }
    for (index, taint) in taints.iter().enumerate() {
        let value = text(taint, "value");
        let value = if value.is_empty() { String::new() } else { format!("={value}") };
        let title = if index == 0 { "Taints:" } else { "" };
        line(out, &format!("{title}\t{}{value}:{}", text(taint, "key"), text(taint, "effect")));
    }
    line(out, &format!("Unschedulable:\t{}", *at(node, "spec.unschedulable") == true));
    lease(name, look, out);
    conditions(node, out);
    line(out, "Addresses:");
    for one in list(node, "status.addresses") {
        line(out, &format!("  {}:\t{}", text(one, "type"), text(one, "address")));
    }
    for (title, field) in [("Capacity", "status.capacity"), ("Allocatable", "status.allocatable")] {
        let amounts = entries(node, field);
        if !amounts.is_empty() {
            line(out, &format!("{title}:"));
            for (name, amount) in &amounts {
                line(out, &format!("  {name}:\t{}", plain(amount)));
            }
        }
    }
    line(out, "System Info:");
    for (title, field) in SYSTEM {
        line(out, &format!("  {title}:\t{}", text(node, &format!("status.nodeInfo.{field}"))));
    }
    let range = text(node, "spec.podCIDR");
    if !range.is_empty() {
        line(out, &format!("PodCIDR:\t{range}"));
        let ranges: Vec<String> = list(node, "spec.podCIDRs").iter().map(plain).collect();
        line(out, &format!("PodCIDRs:\t{}", or(&ranges.join(","), range)));
    }
    let provider = text(node, "spec.providerID");
    if !provider.is_empty() {
        line(out, &format!("ProviderID:\t{provider}"));
    }
    resources(node, look, out);
}

/// The kubelet's Lease in `kube-node-lease`.
fn lease(name: &str, look: &Look<'_>, out: &mut String) {
    let Some(row) = look.inventory.nodes.get(name) else { return };
    let renewed = moment(&row.renewed(look.now).rfc3339());
    line(
        out,
        &format!("Lease:\n  HolderIdentity:\t{name}\n  AcquireTime:\t<unset>\n  RenewTime:\t{renewed}"),
    );
}

fn conditions(node: &Value, out: &mut String) {
    let conditions = list(node, "status.conditions");
    if !conditions.is_empty() {
        line(out, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
        line(out, "  ----\t------\t-----------------\t------------------\t------\t-------");
        for one in conditions {
            let time = |field: &str| or(&moment(text(one, field)), "<unknown>");
            line(
                out,
                &format!(
                    "  {} \t{} \t{} \t{} \t{} \t{}",
                    text(one, "type"),
                    text(one, "status"),
                    time("lastHeartbeatTime"),
                    time("lastTransitionTime"),
                    text(one, "reason"),
                    text(one, "message")
                ),
            );
        }
    }
}
