//! Older versions of kinds (`pkg/apis/autoscaling/v1/conversion.go`): the API server keeps objects in one form and takes and shows
//! them in each of their versions. What a version has no field for stands in annotations there.

use serde_json::{Map, Value, json};

const V1: &str = "autoscaling/v1";
const V2: &str = "autoscaling/v2";
/// Annotations of version 1.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
/// The part of what Pods ask for that is wanted where nothing is said (`DefaultCPUUtilization`).
const DEFAULT_PERCENT: i64 = 80;

/// The version in which objects of a version are kept, where that is another one.
pub fn kept_as(api_version: &str, kind: &str) -> Option<&'static str> {
    (api_version == V1 && kind == "HorizontalPodAutoscaler").then_some(V2)
}

/// Puts an object into the version in which it is kept.
pub fn keep(object: &mut Value) {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    if kept_as(text("apiVersion"), text("kind")).is_some() {
        to_v2(object);
    }
}

/// Puts an object that is kept into another version of its kind; whether there is one.
pub fn show(object: &mut Value, api_version: &str) {
    if object["kind"] == "HorizontalPodAutoscaler" && object["apiVersion"] == V2 && api_version == V1 {
        to_v1(object);
    }
}

/// Takes an annotation out, as JSON.
fn taken(object: &mut Value, name: &str) -> Option<Value> {
    let text = object.pointer_mut("/metadata/annotations")?.as_object_mut()?.remove(name)?;
    serde_json::from_str(text.as_str()?).ok()
}

fn put(object: &mut Value, name: &str, value: &Value) {
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = Value::Object(Map::new());
    }
    object["metadata"]["annotations"][name] = json!(value.to_string());
}

/// Fields under other names, and within other fields: `from` and `to` as paths with dots.
fn moved(from: &Value, fields: &[(&str, &str)]) -> Value {
    let mut made = json!({});
    for (own, other) in fields {
        let found = own.split('.').try_fold(from, |value, key| value.get(key));
        let Some(found) = found.filter(|found| !found.is_null()) else { continue };
        let mut place = &mut made;
        for key in other.split('.') {
            place = &mut place[key];
        }
        *place = found.clone();
    }
    made
}

/// Where the fields of a metric stand, in version 1 and in version 2.
const METRIC: [(&str, &[(&str, &str)]); 5] = [
    (
        "object",
        &[
            ("target", "describedObject"),
            ("metricName", "metric.name"),
            ("selector", "metric.selector"),
            ("targetValue", "target.value"),
            ("averageValue", "target.averageValue"),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", "metric.name"),
            ("selector", "metric.selector"),
            ("targetAverageValue", "target.averageValue"),
        ],
    ),
    (
        "resource",
        &[
            ("name", "name"),
            ("targetAverageUtilization", "target.averageUtilization"),
            ("targetAverageValue", "target.averageValue"),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", "name"),
            ("container", "container"),
            ("targetAverageUtilization", "target.averageUtilization"),
            ("targetAverageValue", "target.averageValue"),
        ],
    ),
    (
        "external",
        &[
            ("metricName", "metric.name"),
            ("metricSelector", "metric.selector"),
            ("targetValue", "target.value"),
            ("targetAverageValue", "target.averageValue"),
        ],
    ),
];

/// A metric in the other version.
fn metric(metric: &Value, to_newer: bool) -> Value {
    let mut made = json!({ "type": metric["type"] });
    for (field, names) in METRIC {
        if metric[field].is_null() {
            continue;
        }
        let names: Vec<(&str, &str)> =
            names.iter().map(|(old, new)| if to_newer { (*old, *new) } else { (*new, *old) }).collect();
        made[field] = moved(&metric[field], &names);
        if to_newer {
            let target = &made[field]["target"];
            let kind = if !target["averageUtilization"].is_null() {
                "Utilization"
            } else if !target["averageValue"].is_null() {
                "AverageValue"
            } else {
                "Value"
            };
            made[field]["target"]["type"] = json!(kind);
        }
    }
    made
}

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource"
        && metric["resource"]["name"] == "cpu"
        && !metric["resource"]["target"]["averageUtilization"].is_null()
}

fn to_v2(object: &mut Value) {
    object["apiVersion"] = json!(V2);
    let others = taken(object, METRICS);
    let others = others.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut metrics: Vec<Value> = others.iter().map(|one| metric(one, true)).collect();
    let behavior = taken(object, BEHAVIOR);
    let conditions = taken(object, CONDITIONS);
    // What it measures now is written anew by the controller.
    taken(object, CURRENT);
    let annotations = object["metadata"]["annotations"].as_object();
    if annotations.is_some_and(Map::is_empty)
        && let Some(metadata) = object["metadata"].as_object_mut()
    {
        metadata.remove("annotations");
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        let percent = spec.remove("targetCPUUtilizationPercentage").filter(|percent| !percent.is_null());
        let default = metrics.is_empty().then(|| json!(DEFAULT_PERCENT));
        if let Some(percent) = percent.or(default) {
            let target = json!({ "type": "Utilization", "averageUtilization": percent });
            metrics.push(json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } }));
        }
        spec.insert("metrics".to_owned(), json!(metrics));
        spec.extend(behavior.map(|behavior| ("behavior".to_owned(), behavior)));
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("currentCPUUtilizationPercentage");
        status.extend(conditions.map(|conditions| ("conditions".to_owned(), conditions)));
    }
}

fn to_v1(object: &mut Value) {
    object["apiVersion"] = json!(V1);
    let mut others = Vec::new();
    if let Some(spec) = object["spec"].as_object_mut() {
        let metrics = spec.remove("metrics").unwrap_or_default();
        for one in metrics.as_array().into_iter().flatten() {
            if is_cpu(one) {
                let percent = one["resource"]["target"]["averageUtilization"].clone();
                spec.insert("targetCPUUtilizationPercentage".to_owned(), percent);
            } else {
                others.push(metric(one, false));
            }
        }
        if let Some(behavior) = spec.remove("behavior") {
            put(object, BEHAVIOR, &behavior);
        }
    }
    if !others.is_empty() {
        put(object, METRICS, &json!(others));
    }
    let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else { return };
    let (conditions, current) = (status.remove("conditions"), status.remove("currentMetrics"));
    let measured = current.as_ref().and_then(Value::as_array).into_iter().flatten();
    let used = measured.filter(|one| one["resource"]["name"] == "cpu").find_map(|one| {
        Some(one["resource"]["current"]["averageUtilization"].clone()).filter(|used| !used.is_null())
    });
    status.extend(used.map(|used| ("currentCPUUtilizationPercentage".to_owned(), used)));
    if let Some(conditions) = conditions {
        put(object, CONDITIONS, &conditions);
    }
}

#[cfg(test)]
mod tests {
    use super::{keep, show};
    use serde_json::{Value, json};

    fn autoscaler(version: &str, spec: &Value) -> Value {
        json!({ "apiVersion": version, "kind": "HorizontalPodAutoscaler", "metadata": { "name": "a" }, "spec": spec })
    }

    #[test]
    fn what_is_wanted_of_processors_is_one_metric_of_several() {
        let cpu = |percent: i32| {
            let target = json!({ "type": "Utilization", "averageUtilization": percent });
            json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } })
        };
        let mut plain = autoscaler("autoscaling/v1", &json!({ "maxReplicas": 3 }));
        keep(&mut plain);
        assert_eq!(plain, autoscaler("autoscaling/v2", &json!({ "maxReplicas": 3, "metrics": [cpu(80)] })));
        let mut said = autoscaler("autoscaling/v1", &json!({ "targetCPUUtilizationPercentage": 50 }));
        let before = said.clone();
        keep(&mut said);
        assert_eq!(said, autoscaler("autoscaling/v2", &json!({ "metrics": [cpu(50)] })));
        show(&mut said, "autoscaling/v1");
        assert_eq!(said, before);
    }

    #[test]
    fn what_version_one_has_no_field_for_comes_back() {
        let object = json!({ "apiVersion": "v1", "kind": "Service", "name": "s" });
        let metrics = json!([
            { "type": "Resource", "resource": { "name": "memory", "target": { "type": "AverageValue", "averageValue": "1Gi" } } },
            { "type": "Object", "object": {
                "describedObject": object, "metric": { "name": "m" }, "target": { "type": "Value", "value": "3" },
            } },
        ]);
        let behavior = json!({ "scaleDown": { "stabilizationWindowSeconds": 5 } });
        let mut newer = autoscaler("autoscaling/v2", &json!({ "metrics": metrics, "behavior": behavior }));
        let before = newer.clone();
        show(&mut newer, "autoscaling/v1");
        assert_eq!(newer["spec"], json!({}));
        assert_eq!(
            newer["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/behavior"],
            json!("{\"scaleDown\":{\"stabilizationWindowSeconds\":5}}")
        );
        keep(&mut newer);
        assert_eq!(newer, before);
    }
}
