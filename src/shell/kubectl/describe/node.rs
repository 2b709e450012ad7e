//! Nodes.

use super::{Look, annotations, labels, line, moment};
use crate::shell::kubectl::age::since;
use crate::shell::kubectl::json::{at, entries, list, or, plain, text};
use crate::shell::kubectl::print;
use crate::shell::kubectl::resources::of_kind;
use crate::shell::kubectl::view;
use serde_json::Value;

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
    line(out, &format!("  Kubelet Version:\t{}", text(node, "status.nodeInfo.kubeletVersion")));
    let range = text(node, "spec.podCIDR");
    if !range.is_empty() {
        line(out, &format!("PodCIDR:\t{range}"));
        let ranges: Vec<String> = list(node, "spec.podCIDRs").iter().map(plain).collect();
        line(out, &format!("PodCIDRs:\t{}", or(&ranges.join(","), range)));
    }
    let pods = of_kind("Pod").map(|one| view::objects(look.inventory, one)).unwrap_or_default();
    let here: Vec<&Value> = pods
        .iter()
        .filter(|pod| {
            text(pod, "spec.nodeName") == name && !matches!(text(pod, "status.phase"), "Succeeded" | "Failed")
        })
        .collect();
    line(out, &format!("Non-terminated Pods:\t({} in total)", here.len()));
    if !here.is_empty() {
        line(out, "  Namespace\tName\t\tAge\n  ---------\t----\t\t---");
        for pod in here {
            let age = since(look.now, text(pod, "metadata.creationTimestamp"));
            line(
                out,
                &format!("  {}\t{}\t\t{age}", text(pod, "metadata.namespace"), text(pod, "metadata.name")),
            );
        }
    }
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
