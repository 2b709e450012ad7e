//! `NodeResourcesFit`: what Pods ask for against what a node has. A resource that a node says nothing of is taken to be
//! there without end, for a simulated machine has no processor and no memory.

use super::Surroundings;
use crate::api::{Container, NodeSpec, Pod, RestartPolicy};
use crate::cluster::quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// A resource of which a node has too little, in the units of the kubelet's messages: thousandths of a processor, and
/// whole units of everything else.
pub(super) struct Shortage {
    pub(super) resource: String,
    pub(super) requested: i128,
    pub(super) used: i128,
    pub(super) capacity: i128,
}

/// Amounts of resources, in thousandths.
pub type Amounts = BTreeMap<String, i128>;

/// What stands in a field of a container's resources.
fn listed(container: &Container, field: &str) -> Amounts {
    let resources = container.resources.as_ref().and_then(|resources| resources.get(field));
    let entries = resources.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), quantity::of_json(value)?))).collect()
}

/// What a Pod asks for (`PodRequests`); limits stand in for requests that are not written.
pub fn requests(pod: &Pod) -> Amounts {
    of_pod(pod, |container| {
        let mut amounts = listed(container, "limits");
        amounts.extend(listed(container, "requests"));
        amounts
    })
}

/// What a Pod may use at most, as far as it is written (`PodLimits`).
pub fn limits(pod: &Pod) -> Amounts {
    of_pod(pod, |container| listed(container, "limits"))
}

/// The containers and sidecars of a Pod together, or its largest init container.
fn of_pod(pod: &Pod, of_container: impl Fn(&Container) -> Amounts) -> Amounts {
    let mut sum = Amounts::new();
    for container in &pod.spec.containers {
        for (name, amount) in of_container(container) {
            *sum.entry(name).or_default() += amount;
        }
    }
    let mut sidecars = Amounts::new();
    let mut most = Amounts::new();
    for container in &pod.spec.init_containers {
        let own = of_container(container);
        let stays = container.restart_policy == Some(RestartPolicy::Always);
        for (name, amount) in own {
            let beside = sidecars.entry(name.clone()).or_default();
            let now = *beside + amount;
            let peak = most.entry(name.clone()).or_default();
            *peak = (*peak).max(now);
            if stays {
                *beside += amount;
                *sum.entry(name).or_default() += amount;
            }
        }
    }
    for (name, amount) in most {
        let wanted = sum.entry(name).or_default();
        *wanted = (*wanted).max(amount);
    }
    sum
}

/// The resources of which a node has too little for a Pod.
pub(super) fn shortages(pod: &Pod, node: &NodeSpec, around: &dyn Surroundings) -> Vec<Shortage> {
    if node.allocatable.is_empty() {
        return Vec::new();
    }
    let placed = around.placed(&node.name);
    let has = |name: &str| node.allocatable.get(name).and_then(|text| quantity::thousandths(text));
    let mut found = Vec::new();
    if let Some(capacity) = has("pods").map(|thousandths| thousandths / 1000) {
        let used = placed.len() as i128;
        if used + 1 > capacity {
            found.push(Shortage { resource: "pods".to_owned(), requested: 1, used, capacity });
        }
    }
    let wanted = requests(pod);
    if wanted.values().all(|amount| *amount == 0) {
        return found;
    }
    let mut used = Amounts::new();
    for other in placed {
        for (name, amount) in requests(other) {
            *used.entry(name).or_default() += amount;
        }
    }
    // Processor, memory and storage come first in the plug-in's order, the others by name.
    let order = |name: &String| {
        ["cpu", "memory", "ephemeral-storage"].iter().position(|known| known == name).unwrap_or(3)
    };
    let mut names: Vec<&String> = wanted.keys().collect();
    names.sort_by_key(|name| (order(name), (*name).clone()));
    for name in names {
        let (requested, used) = (wanted[name], used.get(name).copied().unwrap_or(0));
        let Some(capacity) = has(name) else { continue };
        if requested > 0 && requested > capacity - used {
            let unit = if name == "cpu" { 1 } else { 1000 };
            found.push(Shortage {
                resource: name.clone(),
                requested: requested / unit,
                used: used / unit,
                capacity: capacity / unit,
            });
        }
    }
    found
}

/// The reasons as the scheduler gives them.
pub(super) fn insufficient(pod: &Pod, node: &NodeSpec, around: &dyn Surroundings) -> Vec<String> {
    let reason = |shortage: &Shortage| match shortage.resource.as_str() {
        "pods" => "Too many pods".to_owned(),
        resource => format!("Insufficient {resource}"),
    };
    shortages(pod, node, around).iter().map(reason).collect()
}
