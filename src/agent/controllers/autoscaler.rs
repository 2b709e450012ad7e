//! The controller of autoscalers (`pkg/controller/podautoscaler/horizontal.go`) of a cluster that has no
//! metrics: it keeps a target between its bounds, and says each time that it looks that it cannot compute more.

use super::disruption::selector_text;
use super::{ControlPlane, Kind};
use crate::agent::world::{Patience, World};
use crate::base::{Duration, ObjectKey};
use crate::manifest;
use crate::trace::{ObjectRow, api_defaults};
use serde_json::{Value, json};

/// How often it looks at each (`--horizontal-pod-autoscaler-sync-period`), and how long after it first saw one.
const PERIOD: Duration = Duration::from_secs(15);
const SOURCE: &str = "horizontal-pod-autoscaler";
/// What the API server answers who asks for metrics that nobody serves.
const NO_METRICS: &str = "the server could not find the requested resource";
const NO_CUSTOM: &str = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";

/// Why a metric has no value: the reason of the condition, what went wrong, and what is put before that where several
/// metrics are told of together.
struct Failure {
    reason: &'static str,
    why: String,
    before: String,
}

/// Why a metric of a specification has no value (`computeReplicasForMetric`).
fn failure(namespace: &str, spec: &Value) -> Failure {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_resource = |source: &Value| {
        let name = text(&source["name"]);
        let what = if source["target"]["averageValue"].is_null() { "utilization" } else { "usage" };
        let client = format!(
            "unable to fetch metrics from resource metrics API: {NO_METRICS} (get pods.metrics.k8s.io)"
        );
        (format!("failed to get {name} {what}: unable to get metrics for resource {name}: {client}"), name)
    };
    match spec["type"].as_str().unwrap_or_default() {
        "Pods" => {
            let name = text(&spec["pods"]["metric"]["name"]);
            let why = format!("unable to get metric {name}: {NO_CUSTOM}");
            Failure {
                reason: "FailedGetPodsMetric",
                why,
                before: "failed to get pods metric value".to_owned(),
            }
        }
        "Object" => {
            let source = &spec["object"];
            let (name, object) = (text(&source["metric"]["name"]), &source["describedObject"]);
            // The order of the words is upstream's.
            let whose = format!("{} on {namespace} {}", text(&object["kind"]), text(&object["name"]));
            let why = format!("unable to get metric {name}: {whose}/{NO_CUSTOM}");
            let before = "failed to get object metric value".to_owned();
            Failure { reason: "FailedGetObjectMetric", why, before }
        }
        "External" => {
            let metric = &spec["external"]["metric"];
            let (name, selector) = (text(&metric["name"]), &metric["selector"]);
            let selector = if selector.is_null() { "nil".to_owned() } else { selector_text(selector) };
            let client = format!("{NO_METRICS} (get {name}.external.metrics.k8s.io)");
            let client = format!("unable to fetch metrics from external metrics API: {client}");
            let why = format!("unable to get external metric {namespace}/{name}/{selector}: {client}");
            let before = format!("failed to get {name} external metric value");
            Failure { reason: "FailedGetExternalMetric", why, before }
        }
        "ContainerResource" => {
            let (why, name) = of_resource(&spec["containerResource"]);
            let before = format!("failed to get {name} container metric value");
            Failure { reason: "FailedGetContainerResourceMetric", why, before }
        }
        _ => {
            let (why, name) = of_resource(&spec["resource"]);
            let before = format!("failed to get {name} resource metric value");
            Failure { reason: "FailedGetResourceMetric", why, before }
        }
    }
}

/// Sets a condition; its time stays while its status does (`setConditionInList`).
fn set_condition(
    status: &mut Value,
    now: &str,
    (kind, holds): (&str, bool),
    (reason, message): (&str, &str),
) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    let word = if holds { "True" } else { "False" };
    let at = conditions.iter().position(|one| one["type"] == json!(kind));
    let at = at.unwrap_or_else(|| {
        conditions.push(json!({ "type": kind }));
        conditions.len() - 1
    });
    let one = &mut conditions[at];
    if one["status"] != json!(word) {
        one["status"] = json!(word);
        one["lastTransitionTime"] = json!(now);
    }
    (one["reason"], one["message"]) = (json!(reason), json!(message));
}

/// Asks for each metric, in vain (`computeReplicasForMetrics`).
fn ask_metrics(world: &mut dyn World, key: &ObjectKey, metrics: &Value, (status, now): (&mut Value, &str)) {
    let metrics = metrics.as_array().map_or(&[][..], Vec::as_slice);
    status["currentMetrics"] = metrics.iter().map(|_| json!({ "type": "" })).collect();
    let failures: Vec<Failure> = metrics.iter().map(|metric| failure(&key.namespace, metric)).collect();
    for one in &failures {
        ControlPlane::event(world, key, Kind::Warning, (one.reason, SOURCE), one.why.clone());
    }
    let Some(Failure { reason, why, before }) = failures.first() else { return };
    let message = format!("the HPA was unable to compute the replica count: {why}");
    set_condition(status, now, ("ScalingActive", false), (reason, &message));
    let count = failures.len();
    let all = format!("invalid metrics ({count} invalid out of {count}), first error is: {before}: {why}");
    ControlPlane::event(world, key, Kind::Warning, ("FailedComputeMetricsReplicas", SOURCE), all);
}

impl ControlPlane {
    /// Looks at an autoscaler if its time has come; else sees to it that it will.
    pub(super) fn sync_autoscaler(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned().filter(|row| row.deleted.is_none()) else { return };
        let now = world.now();
        match self.queue.scaling.get(&row.uid) {
            Some(next) if now < *next => return,
            Some(_) => self.autoscale(world, &row),
            None => {}
        }
        self.queue.scaling.insert(row.uid.clone(), now + PERIOD);
        self.enqueue_in(world, PERIOD, Patience::Patient, key);
    }

    /// `reconcileAutoscaler`.
    fn autoscale(&mut self, world: &mut dyn World, row: &ObjectRow) {
        let now = world.now().rfc3339();
        let mut object = (*row.value).clone();
        api_defaults::fill(&mut object);
        let mut status = object["status"].take();
        if !status.is_object() {
            status = json!({ "currentReplicas": 0, "desiredReplicas": 0 });
        }
        let spec = &object["spec"];
        let target = match self.scale_of(&row.key.namespace, &spec["scaleTargetRef"]) {
            Ok(target) => target,
            Err(why) => {
                Self::event(world, &row.key, Kind::Warning, ("FailedGetScale", SOURCE), why.clone());
                let message =
                    format!("the HPA controller was unable to get the target's current scale: {why}");
                set_condition(&mut status, &now, ("AbleToScale", false), ("FailedGetScale", &message));
                return self.write_autoscaler(world, row, status);
            }
        };
        let (target, replicas) = target;
        let message = "the HPA controller was able to get the target's current scale";
        set_condition(&mut status, &now, ("AbleToScale", true), ("SucceededGetScale", message));
        let bound = |field: &str, otherwise: i64| spec[field].as_i64().unwrap_or(otherwise);
        let (least, most) = (bound("minReplicas", 1), bound("maxReplicas", replicas));
        let (wanted, reason) = if replicas == 0 && least != 0 {
            let message = "scaling is disabled since the replica count of the target is zero";
            set_condition(&mut status, &now, ("ScalingActive", false), ("ScalingDisabled", message));
            (0, None)
        } else if replicas > most {
            (most, Some("Current number of replicas above Spec.MaxReplicas"))
        } else if replicas < least {
            (least, Some("Current number of replicas below Spec.MinReplicas"))
        } else {
            status["currentReplicas"] = json!(replicas);
            ask_metrics(world, &row.key, &spec["metrics"], (&mut status, &now));
            return self.write_autoscaler(world, row, status);
        };
        if let Some(reason) = reason {
            self.edit(world, &target, |value| value["spec"]["replicas"] = json!(wanted));
            let message = format!("the HPA controller was able to update the target scale to {wanted}");
            set_condition(&mut status, &now, ("AbleToScale", true), ("SucceededRescale", &message));
            let said = format!("New size: {wanted}; reason: {reason}");
            Self::event(world, &row.key, Kind::Normal, ("SuccessfulRescale", SOURCE), said);
            status["lastScaleTime"] = json!(now);
        }
        (status["currentReplicas"], status["desiredReplicas"]) = (json!(replicas), json!(wanted));
        if let Some(fields) = status.as_object_mut() {
            fields.remove("currentMetrics");
        }
        self.write_autoscaler(world, row, status);
    }

    fn write_autoscaler(&mut self, world: &mut dyn World, row: &ObjectRow, status: Value) {
        if row.at(&["status"]) != Some(&status) {
            self.edit(world, &row.key, |value| value["status"] = status);
        }
    }

    /// The object that a reference names and how many Pods it wants, or why it has no scale.
    fn scale_of(&self, namespace: &str, reference: &Value) -> Result<(ObjectKey, i64), String> {
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        let group = |version: &str| version.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
        let (kind, name, own) = (text("kind"), text("name"), group(text("apiVersion")));
        let resource = manifest::resource(kind).filter(|resource| group(resource.api_version) == own);
        let Some(resource) = resource else {
            return Err(format!("no matches for kind \"{kind}\" in group \"{own}\""));
        };
        let plural = resource.plural();
        let plural = plural.split('.').next().unwrap_or_default();
        let group = match kind {
            "Deployment" | "ReplicaSet" | "StatefulSet" => "apps",
            "ReplicationController" => "autoscaling",
            _ => return Err(NO_METRICS.to_owned()),
        };
        let row = self.object(kind, namespace, name);
        let row = row.ok_or_else(|| format!("{plural}/scale.{group} \"{name}\" not found"))?;
        let replicas = row.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(1);
        Ok((row.key.clone(), replicas))
    }
}
