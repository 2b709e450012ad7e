//! Limit ranges: what the API server fills in of a new Pod, and what it refuses (`plugin/pkg/admission/limitranger`).

use super::pod_amounts::{self, Sources};
use crate::base::quantity;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Annotation that tells what was filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Amounts by resource, as they are written.
type Amounts = BTreeMap<String, Value>;

fn amounts(value: &Value) -> Amounts {
    value.as_object().into_iter().flatten().map(|(name, amount)| (name.clone(), amount.clone())).collect()
}

/// What something asks for and what it may use at most.
struct Needs {
    requests: Amounts,
    limits: Amounts,
}

impl Needs {
    fn of(container: &Value) -> Self {
        let of = |field: &str| amounts(&container["resources"][field]);
        Self { requests: of("requests"), limits: of("limits") }
    }

    /// Those of a Pod as a whole (`podRequests`, `podLimits`), to which the overhead does not belong here.
    fn of_pod(spec: &Value) -> Self {
        let sources = Sources::of(spec);
        let written = |amounts: pod_amounts::Amounts| {
            amounts
                .into_iter()
                .map(|(name, amount)| {
                    let text = quantity::usual(&name, amount);
                    (name, json!(text))
                })
                .collect()
        };
        Self { requests: written(sources.requests_alone()), limits: written(sources.limits_alone()) }
    }

    /// What of these goes beyond an item of a limit range.
    fn objections(&self, item: &Value) -> Vec<String> {
        let kind = item["type"].as_str().unwrap_or_default();
        let mut found = Vec::new();
        for (name, bound) in amounts(&item["min"]) {
            found.extend(self.too_little((kind, &name), &bound));
        }
        for (name, bound) in amounts(&item["max"]) {
            found.extend(self.too_much((kind, &name), &bound));
        }
        for (name, bound) in amounts(&item["maxLimitRequestRatio"]) {
            found.extend(self.too_far_apart((kind, &name), &bound));
        }
        found
    }

    fn said(amounts: &Amounts, name: &str) -> Option<(i128, String)> {
        let value = amounts.get(name)?;
        Some((quantity::of_json(value)?, quantity::canonical(value)))
    }

    fn too_little(&self, (kind, name): (&str, &str), bound: &Value) -> Option<String> {
        let least = quantity::of_json(bound)?;
        let head = format!("minimum {name} usage per {kind} is {}", quantity::canonical(bound));
        let Some((request, shown)) = Self::said(&self.requests, name) else {
            return Some(format!("{head}.  No request is specified"));
        };
        if request < least {
            return Some(format!("{head}, but request is {shown}"));
        }
        let (_, shown) = Self::said(&self.limits, name).filter(|(limit, _)| *limit < least)?;
        Some(format!("{head}, but limit is {shown}"))
    }

    fn too_much(&self, (kind, name): (&str, &str), bound: &Value) -> Option<String> {
        let most = quantity::of_json(bound)?;
        let head = format!("maximum {name} usage per {kind} is {}", quantity::canonical(bound));
        let Some((limit, shown)) = Self::said(&self.limits, name) else {
            return Some(format!("{head}.  No limit is specified"));
        };
        if limit > most {
            return Some(format!("{head}, but limit is {shown}"));
        }
        let (_, shown) = Self::said(&self.requests, name).filter(|(request, _)| *request > most)?;
        Some(format!("{head}, but request is {shown}"))
    }

    fn too_far_apart(&self, (kind, name): (&str, &str), bound: &Value) -> Option<String> {
        let most = quantity::of_json(bound)?;
        let head = format!("{name} max limit to request ratio per {kind} is {}", quantity::canonical(bound));
        let positive =
            |amounts: &Amounts| Self::said(amounts, name).map(|(amount, _)| amount).filter(|one| *one > 0);
        let Some(request) = positive(&self.requests) else {
            return Some(format!("{head}, but no request is specified or request is 0"));
        };
        let Some(limit) = positive(&self.limits) else {
            return Some(format!("{head}, but no limit is specified or limit is 0"));
        };
        if limit * 1_000 <= most * request {
            return None;
        }
        // Six places behind the point, rounded half up.
        let millionths = (limit * 2_000_000 + request) / (2 * request);
        let (whole, places) = (millionths / 1_000_000, millionths % 1_000_000);
        Some(format!("{head}, but provided ratio is {whole}.{places:06}"))
    }
}

/// Fills in what is missing of one field of a container's resources: the names of what was.
fn fill(container: &mut Value, field: &str, with: &Amounts) -> Vec<String> {
    let mut set = Vec::new();
    for (name, amount) in with {
        if container["resources"][field].get(name).is_none() {
            container["resources"][field][name] = amount.clone();
            set.push(name.clone());
        }
    }
    set
}

/// What a container gets of an item: requests and limits, where nothing is written what follows from its bounds
/// (`SetDefaults_LimitRangeItem`).
fn defaults(item: &Value) -> (Amounts, Amounts) {
    let of = |field: &str| amounts(&item[field]);
    let mut limits = of("max");
    limits.extend(of("default"));
    let mut requests = of("min");
    requests.extend(limits.clone());
    requests.extend(of("defaultRequest"));
    (requests, limits)
}

/// Fills in the resources of a Pod's containers, and notes it (`mergePodResourceRequirements`).
pub fn complete(pod: &mut Value, range: &Value) {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    for item in range["spec"]["limits"].as_array().into_iter().flatten() {
        if item["type"] == json!("Container") {
            let (asked, allowed) = defaults(item);
            requests.extend(asked);
            limits.extend(allowed);
        }
    }
    let mut notes: Vec<String> = Vec::new();
    for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
        let place = format!("/spec/{list}");
        for container in pod.pointer_mut(&place).and_then(Value::as_array_mut).into_iter().flatten() {
            // Before that, a limit stands for a request that is not written (`SetDefaults_Pod`).
            fill(container, "requests", &amounts(&container["resources"]["limits"].clone()));
            let set = [
                ("limits", fill(container, "limits", &limits)),
                ("requests", fill(container, "requests", &requests)),
            ];
            let name = container["name"].as_str().unwrap_or_default();
            for (field, set) in set.iter().rev().filter(|(_, set)| !set.is_empty()) {
                notes.push(format!("{} {} for {what} {name}", set.join(", "), field.trim_end_matches('s')));
            }
        }
    }
    if !notes.is_empty() {
        let annotations = &mut pod["metadata"]["annotations"];
        if !annotations.is_object() {
            *annotations = Value::Object(Map::new());
        }
        annotations[ANNOTATION] = json!(format!("LimitRanger plugin set: {}", notes.join("; ")));
    }
}

/// What of a Pod goes beyond a limit range, each message once, with the path of what it is about.
pub fn objections(pod: &Value, range: &Value) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for item in range["spec"]["limits"].as_array().into_iter().flatten() {
        let needs: Vec<(String, Needs)> = match item["type"].as_str() {
            Some("Container") => {
                let lists = ["containers", "initContainers"].into_iter();
                let all = lists.flat_map(|list| {
                    let own = pod["spec"][list].as_array().into_iter().flatten().enumerate();
                    own.map(move |(at, one)| (format!("spec.{list}[{at}].resources"), Needs::of(one)))
                });
                all.collect()
            }
            Some("Pod") => vec![("spec".to_owned(), Needs::of_pod(&pod["spec"]))],
            _ => Vec::new(),
        };
        for (path, needs) in &needs {
            for why in needs.objections(item) {
                if found.iter().all(|(_, known)| *known != why) {
                    found.push((path.clone(), why));
                }
            }
        }
    }
    found
}
