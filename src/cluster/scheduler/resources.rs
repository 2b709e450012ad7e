//! `NodeResourcesFit`: what Pods ask for against what a node has. A resource that a node says nothing of is taken to be
//! there without end, for a simulated machine has no processor and no memory.

use super::Surroundings;
use crate::api::{Container, NodeSpec, Pod, RestartPolicy};
use crate::base::quantity;
use crate::manifest::pod_amounts::{Amounts, Sources};
use serde_json::Value;

/// A resource of which a node has too little, in the units of the kubelet's messages: thousandths of a processor, and
/// whole units of everything else.
pub(super) struct Shortage {
    pub(super) resource: String,
    pub(super) requested: i128,
    pub(super) used: i128,
    pub(super) capacity: i128,
}

/// The parts of a Pod from which its amounts follow.
fn sources(pod: &Pod) -> Sources<'_> {
    fn of(value: Option<&Value>) -> &Value {
        value.unwrap_or(&Value::Null)
    }
    let stays = |one: &Container| one.restart_policy == Some(RestartPolicy::Always);
    let spec = &pod.spec;
    Sources {
        containers: spec.containers.iter().map(|one| of(one.resources.as_ref())).collect(),
        init_containers: spec
            .init_containers
            .iter()
            .map(|one| (of(one.resources.as_ref()), stays(one)))
            .collect(),
        whole: of(spec.resources.as_ref()),
        overhead: of(spec.overhead.as_ref()),
    }
}

/// What a Pod asks for.
fn requests(pod: &Pod) -> Amounts {
    sources(pod).requests()
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
