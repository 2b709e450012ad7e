//! Resource quotas: what of a new object they count, and why they refuse it (`plugin/pkg/admission/resourcequota`).

use super::pod_amounts::Sources;
use crate::base::quantity;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub use super::pod_amounts::Amounts;

/// Resources of containers of which each has to say something where a quota names them, with the field they stand in and their name there. A bare name is a
/// request.
const COMPUTE: [(&str, &str, &str); 6] = [
    ("cpu", "requests", "cpu"),
    ("memory", "requests", "memory"),
    ("requests.cpu", "requests", "cpu"),
    ("requests.memory", "requests", "memory"),
    ("limits.cpu", "limits", "cpu"),
    ("limits.memory", "limits", "memory"),
];

/// The names under which an object of a kind is counted besides `count/RESOURCE`.
fn counted(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Pod" => "pods",
        "Service" => "services",
        "ConfigMap" => "configmaps",
        "Secret" => "secrets",
        "PersistentVolumeClaim" => "persistentvolumeclaims",
        "ReplicationController" => "replicationcontrollers",
        "ResourceQuota" => "resourcequotas",
        _ => return None,
    })
}

/// An amount of a container; a limit stands in for a request that is not written.
fn amount(container: &Value, field: &str, name: &str) -> Option<i128> {
    let of = |field: &str| container["resources"][field].get(name).and_then(quantity::of_json);
    of(field).or_else(|| of("limits").filter(|_| field == "requests"))
}

/// What an object uses, of all that a quota may count.
pub fn usage(kind: &str, value: &Value) -> Amounts {
    let mut used = Amounts::new();
    used.insert(format!("count/{}", plural(kind)), 1_000);
    used.extend(counted(kind).map(|name| (name.to_owned(), 1_000)));
    let spec = &value["spec"];
    match kind {
        "Service" => used.extend(of_service(spec)),
        "PersistentVolumeClaim" => used.extend(of_claim(value)),
        "Pod" => used.extend(of_pod(spec)),
        _ => {}
    }
    used
}

/// Doors at nodes (`serviceEvaluator.Usage`): a load balancer that is to have none has only those that are written.
fn of_service(spec: &Value) -> Amounts {
    let mut used = Amounts::new();
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    if kind == "LoadBalancer" {
        used.insert("services.loadbalancers".to_owned(), 1_000);
    }
    if matches!(kind, "LoadBalancer" | "NodePort") {
        let only_written = kind == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] == false;
        let is_written = |port: &&Value| port["nodePort"].as_u64().is_some_and(|number| number != 0);
        let n_ports = ports.iter().filter(|port| !only_written || is_written(port)).count();
        used.insert("services.nodeports".to_owned(), 1_000 * n_ports as i128);
    }
    used
}

/// Storage, as such and of its class (`pvcEvaluator.Usage`).
fn of_claim(value: &Value) -> Amounts {
    let mut used = Amounts::new();
    let annotation = value["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str();
    let class = annotation.or_else(|| value["spec"]["storageClassName"].as_str()).unwrap_or("");
    let of_class = |name: &str| format!("{class}.storageclass.storage.k8s.io/{name}");
    if !class.is_empty() {
        used.insert(of_class("persistentvolumeclaims"), 1_000);
    }
    let storage = quantity::of_json(&value["spec"]["resources"]["requests"]["storage"]);
    if let Some(amount) = storage {
        used.insert("requests.storage".to_owned(), amount);
        if !class.is_empty() {
            used.insert(of_class("requests.storage"), amount);
        }
    }
    used
}

/// What a Pod asks for and may use (`podComputeUsageHelper`).
fn of_pod(spec: &Value) -> Amounts {
    let sources = Sources::of(spec);
    let mut used = Amounts::new();
    for (name, amount) in sources.requests() {
        let is_compute = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if is_compute || name.starts_with("hugepages-") {
            used.insert(name.clone(), amount);
        }
        if is_compute || name.starts_with("hugepages-") || name.contains('/') {
            used.insert(format!("requests.{name}"), amount);
        }
    }
    for (name, amount) in sources.limits() {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}"), amount);
        }
    }
    used
}

/// `cpu=1,pods=2`.
fn joined(names: &[&String], of: impl Fn(&str) -> String) -> String {
    names.iter().map(|name| format!("{name}={}", of(name))).collect::<Vec<_>>().join(",")
}

/// What a quota allows.
pub fn hard(quota: &Value) -> BTreeMap<String, Value> {
    let fields = quota["spec"]["hard"].as_object();
    fields.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether neither a Pod nor one of its containers says anything of processors or memory.
fn is_best_effort(spec: &Value) -> bool {
    let lists = ["containers", "initContainers"].map(|list| spec[list].as_array());
    let mut said = lists.into_iter().flatten().flatten().chain([spec]);
    said.all(|one| {
        COMPUTE.iter().all(|(_, field, name)| amount(one, field, name).is_none_or(|amount| amount == 0))
    })
}

/// Whether a Pod is within one scope (`podMatchesScopeFunc`).
fn is_within(scope: &Value, spec: &Value) -> bool {
    let text = |field: &str| scope[field].as_str().unwrap_or_default();
    let class = spec["priorityClassName"].as_str().filter(|class| !class.is_empty());
    let listed = || {
        let values = scope["values"].as_array();
        values.into_iter().flatten().any(|value| value.as_str() == class && class.is_some())
    };
    match text("scopeName") {
        "BestEffort" => is_best_effort(spec),
        "NotBestEffort" => !is_best_effort(spec),
        "Terminating" => spec["activeDeadlineSeconds"].is_number(),
        "NotTerminating" => !spec["activeDeadlineSeconds"].is_number(),
        "PriorityClass" => match text("operator") {
            "In" => listed(),
            "NotIn" => !listed(),
            "DoesNotExist" => class.is_none(),
            _ => class.is_some(),
        },
        "CrossNamespacePodAffinity" => ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
            let rules = spec["affinity"][kind].to_string();
            rules.contains("\"namespaces\"") || rules.contains("\"namespaceSelector\"")
        }),
        _ => false,
    }
}

/// Whether a quota is about an object: one with scopes only about the Pods within all of them.
pub fn is_about(quota: &Value, kind: &str, value: &Value) -> bool {
    let plain = quota["spec"]["scopes"].as_array().into_iter().flatten();
    let plain = plain.map(|scope| json!({ "scopeName": scope, "operator": "Exists" }));
    let chosen = quota["spec"]["scopeSelector"]["matchExpressions"].as_array();
    let scopes: Vec<Value> = plain.chain(chosen.into_iter().flatten().cloned()).collect();
    scopes.is_empty() || (kind == "Pod" && scopes.iter().all(|scope| is_within(scope, &value["spec"])))
}

/// Resources of which the containers of a Pod have to say something, with those that do not: `limits.cpu for: a,b`.
fn unsaid(value: &Value, hard: &BTreeMap<String, Value>) -> Vec<String> {
    let missing = |(resource, field, name): &(&str, &str, &str)| {
        let containers = ["containers", "initContainers"].map(|list| value["spec"][list].as_array());
        let silent =
            containers.into_iter().flatten().flatten().filter(|one| amount(one, field, name).is_none());
        let mut names: Vec<&str> = silent.filter_map(|one| one["name"].as_str()).collect();
        names.sort_unstable();
        (!names.is_empty()).then(|| format!("{resource} for: {}", names.join(",")))
    };
    let mut found: Vec<String> =
        COMPUTE.iter().filter(|(resource, ..)| hard.contains_key(*resource)).filter_map(missing).collect();
    found.sort();
    found
}

/// The name under which a kind's objects are counted.
fn plural(kind: &str) -> String {
    super::resource(kind).map_or_else(|| kind.to_lowercase(), |resource| resource.plural())
}

/// Adds what an object uses of the resources that `used` names.
pub fn add_usage(used: &mut Amounts, kind: &str, value: &Value) {
    for (name, amount) in usage(kind, value) {
        if let Some(sum) = used.get_mut(&name) {
            *sum += amount;
        }
    }
}

/// Nothing used yet of what a quota counts.
pub fn unused(quota: &Value) -> Amounts {
    hard(quota).into_keys().map(|name| (name, 0)).collect()
}

/// Why a quota of which this much is used refuses a new object that it is about.
pub fn objection(quota: &Value, used: &Amounts, (kind, value): (&str, &Value)) -> Option<String> {
    // Where the Pod as a whole says something its containers need not.
    if kind == "Pod" && !Sources::of(&value["spec"]).has_whole() {
        let unsaid = unsaid(value, &hard(quota));
        if !unsaid.is_empty() {
            let name = quota["metadata"]["name"].as_str().unwrap_or_default();
            return Some(format!("failed quota: {name}: must specify {}", unsaid.join("; ")));
        }
    }
    excess(quota, used, &usage(kind, value))
}

/// The same for a change of an object from `old` to `new`: what it uses more counts, of the kinds whose changes are looked at
/// (`Handles` of `pkg/quota/v1/evaluator/core`).
pub fn objection_to_change(
    quota: &Value,
    used: &Amounts,
    (kind, old, new): (&str, &Value, &Value),
) -> Option<String> {
    if !matches!(kind, "Service" | "PersistentVolumeClaim") {
        return None;
    }
    let before = usage(kind, old);
    let more = usage(kind, new).into_iter().filter_map(|(name, amount)| {
        let more = amount - before.get(&name).unwrap_or(&0);
        (more > 0).then_some((name, more))
    });
    excess(quota, used, &more.collect())
}

/// What of the amounts that are wanted a quota leaves no room for.
fn excess(quota: &Value, used: &Amounts, wanted: &Amounts) -> Option<String> {
    let hard = hard(quota);
    let name = quota["metadata"]["name"].as_str().unwrap_or_default();
    let limit = |name: &str| hard.get(name).and_then(quantity::of_json).unwrap_or(0);
    let sum = |name: &String| used.get(name).unwrap_or(&0) + wanted.get(name).unwrap_or(&0);
    let over: Vec<&String> =
        hard.keys().filter(|name| wanted.contains_key(*name) && sum(name) > limit(name)).collect();
    if over.is_empty() {
        return None;
    }
    let of = |amounts: &Amounts, name: &str| quantity::usual(name, *amounts.get(name).unwrap_or(&0));
    Some(format!(
        "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
        joined(&over, |name| of(wanted, name)),
        joined(&over, |name| of(used, name)),
        joined(&over, |name| quantity::usual(name, limit(name)))
    ))
}
