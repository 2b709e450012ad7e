//! Resource quotas: the admission of new objects (`plugin/pkg/admission/resourcequota`) and what is used of each
//! (`pkg/controller/resourcequota`). *Simplified*: changes of objects are not checked.

use crate::agent::control::ControlPlane;
use crate::agent::serve::resource;
use crate::agent::world::World;
use crate::api::ApiError;
use crate::base::ObjectKey;
use crate::cluster::quantity;
use crate::trace::{ObjectRow, PodPhase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Amounts of resources, in thousandths.
type Amounts = BTreeMap<String, i128>;

/// Resources of containers that a quota may name, with the field they stand in and their name there. A bare name is a
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
fn usage(kind: &str, value: &Value) -> Amounts {
    let mut used = Amounts::new();
    used.insert(format!("count/{}", resource(kind)), 1_000);
    used.extend(counted(kind).map(|name| (name.to_owned(), 1_000)));
    let spec = &value["spec"];
    match kind {
        "Service" => {
            let kind = spec["type"].as_str().unwrap_or("ClusterIP");
            let ports = spec["ports"].as_array().map_or(0, Vec::len);
            if kind == "LoadBalancer" {
                used.insert("services.loadbalancers".to_owned(), 1_000);
            }
            if matches!(kind, "LoadBalancer" | "NodePort") {
                used.insert("services.nodeports".to_owned(), 1_000 * i128::try_from(ports).unwrap_or(0));
            }
        }
        "Pod" => {
            for (resource, field, name) in COMPUTE {
                let of = |list: &str| {
                    let containers = spec[list].as_array().into_iter().flatten();
                    containers.filter_map(|one| amount(one, field, name)).collect::<Vec<_>>()
                };
                let own: i128 = of("containers").iter().sum();
                let first = of("initContainers").into_iter().max().unwrap_or(0);
                if own.max(first) > 0 {
                    used.insert(resource.to_owned(), own.max(first));
                }
            }
        }
        _ => {}
    }
    used
}

/// An amount as the API writes it: whole, in thousandths, or, of memory, with the largest suffix that divides it.
fn shown(resource: &str, amount: i128) -> String {
    if amount % 1_000 != 0 {
        return format!("{amount}m");
    }
    let whole = amount / 1_000;
    if resource.ends_with("memory") && whole != 0 {
        for (suffix, bits) in [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)] {
            if whole % (1_i128 << bits) == 0 {
                return format!("{}{suffix}", whole >> bits);
            }
        }
    }
    whole.to_string()
}

/// `cpu=1,pods=2`.
fn joined(names: &[&String], of: impl Fn(&str) -> String) -> String {
    names.iter().map(|name| format!("{name}={}", of(name))).collect::<Vec<_>>().join(",")
}

/// What a quota allows.
fn hard(quota: &ObjectRow) -> BTreeMap<String, Value> {
    let fields = quota.at(&["spec", "hard"]).and_then(Value::as_object);
    fields.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether no container of a Pod says anything of processors or memory.
fn is_best_effort(spec: &Value) -> bool {
    let lists = ["containers", "initContainers"].map(|list| spec[list].as_array());
    let mut containers = lists.into_iter().flatten().flatten();
    containers.all(|one| {
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
fn is_about(quota: &ObjectRow, kind: &str, value: &Value) -> bool {
    let plain = quota.at(&["spec", "scopes"]).and_then(Value::as_array).into_iter().flatten();
    let plain = plain.map(|scope| json!({ "scopeName": scope, "operator": "Exists" }));
    let chosen = quota.at(&["spec", "scopeSelector", "matchExpressions"]).and_then(Value::as_array);
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

impl ControlPlane {
    fn quotas_in(&self, namespace: &str) -> Vec<Arc<ObjectRow>> {
        self.objects_of("ResourceQuota").filter(|row| &*row.key.namespace == namespace).cloned().collect()
    }

    /// Whether the quotas of its namespace leave room for a new object.
    pub(in crate::agent) fn check_quota(&self, key: &ObjectKey, value: &Value) -> Result<(), ApiError> {
        for quota in self.quotas_in(&key.namespace) {
            if !is_about(&quota, &key.kind, value) {
                continue;
            }
            let hard = hard(&quota);
            let name = &quota.key.name;
            let refused = |why: String| Err(ApiError::forbidden(&resource(&key.kind), &key.name, &why));
            if &*key.kind == "Pod" {
                let unsaid = unsaid(value, &hard);
                if !unsaid.is_empty() {
                    return refused(format!("failed quota: {name}: must specify {}", unsaid.join("; ")));
                }
            }
            let wanted = usage(&key.kind, value);
            let used = self.used_in(&quota, &hard);
            let limit = |name: &str| hard.get(name).and_then(quantity::of_json).unwrap_or(0);
            let sum = |name: &String| used.get(name).unwrap_or(&0) + wanted.get(name).unwrap_or(&0);
            let over: Vec<&String> =
                hard.keys().filter(|name| wanted.contains_key(*name) && sum(name) > limit(name)).collect();
            if !over.is_empty() {
                let of = |amounts: &Amounts, name: &str| shown(name, *amounts.get(name).unwrap_or(&0));
                return refused(format!(
                    "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                    joined(&over, |name| of(&wanted, name)),
                    joined(&over, |name| of(&used, name)),
                    joined(&over, |name| shown(name, limit(name)))
                ));
            }
        }
        Ok(())
    }

    /// What the objects of a namespace use of the resources that a quota names. Pods that have ended use nothing.
    fn used_in(&self, quota: &ObjectRow, hard: &BTreeMap<String, Value>) -> Amounts {
        let mut used: Amounts = hard.keys().map(|name| (name.clone(), 0)).collect();
        for row in self.objects_in(&quota.key.namespace) {
            let ended = &*row.key.kind == "Pod" && !self.counts_as_pod(row);
            if ended || !is_about(quota, &row.key.kind, &row.value) {
                continue;
            }
            for (name, amount) in usage(&row.key.kind, &row.value) {
                if let Some(sum) = used.get_mut(&name) {
                    *sum += amount;
                }
            }
        }
        used
    }

    fn counts_as_pod(&self, row: &ObjectRow) -> bool {
        let key = self.store.pod_named(&row.key.namespace, &row.key.name);
        let entry = key.and_then(|key| self.store.pods.get(key));
        entry.is_none_or(|entry| !matches!(entry.phase, PodPhase::Failed | PodPhase::Succeeded))
    }

    /// Objects of a namespace with quotas came or went.
    pub(super) fn quotas_watch(&mut self, world: &mut dyn World, row: &ObjectRow) {
        if &*row.key.kind != "ResourceQuota" {
            for quota in self.quotas_in(&row.key.namespace) {
                self.enqueue(world, quota.key.clone());
            }
        }
    }

    /// Writes down what is used of a quota.
    pub(super) fn sync_quota(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        // A status that was pasted stays.
        if row.at(&["status", "used"]).is_some() && !self.queue.quotas.contains(&row.uid) {
            return;
        }
        self.queue.quotas.insert(row.uid.clone());
        let hard = hard(&row);
        let used = self.used_in(&row, &hard);
        let used: BTreeMap<String, String> =
            used.into_iter().map(|(name, amount)| (name.clone(), shown(&name, amount))).collect();
        let status = json!({ "hard": hard, "used": used });
        if row.at(&["status"]) != Some(&status) && !hard.is_empty() {
            self.edit(world, key, |value| value["status"] = status);
        }
    }
}
