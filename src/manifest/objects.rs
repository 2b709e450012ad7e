//! From a document to objects: which kind it is, whether it decodes, whether it is valid.

use super::report::{About, Report};
use super::schema::{Kind, nearest, schema};
use super::tree::{Node, NodeValue};
use super::{Located, decode, validate};
use crate::api::{AdminNetworkPolicy, AdminTier, Object, ObjectMeta, Unsimulated};
use crate::base::Diagnostic;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

/// Kinds that are part of the simulation, or that mean nothing beyond their name.
const SIMULATED: [&str; 34] = [
    "AdminNetworkPolicy",
    "AuthorizationPolicy",
    "BaselineAdminNetworkPolicy",
    "NetworkAttachmentDefinition",
    "PeerAuthentication",
    "Pod",
    "Node",
    "Cluster",
    "Namespace",
    "Service",
    "EndpointSlice",
    "Endpoints",
    "NetworkPolicy",
    "ServiceImport",
    "ConfigMap",
    "DaemonSet",
    "Deployment",
    "Job",
    "ReplicaSet",
    "Secret",
    "StatefulSet",
    "ClusterRole",
    "ClusterRoleBinding",
    "CronJob",
    "HorizontalPodAutoscaler",
    "LimitRange",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PriorityClass",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "ServiceAccount",
    "StorageClass",
];

/// The objects of a document; a list is taken apart, and where nothing is written there are none.
pub(super) fn within(root: Node, found: &mut VecDeque<Node>) {
    if root.is_null() {
        return;
    }
    let is_list = root.get("kind").and_then(Node::as_str).is_some_and(|kind| kind.ends_with("List"));
    match root.take(|key| is_list && key == "items") {
        Ok(NodeValue::Sequence(items)) => items.into_iter().for_each(|item| within(item, found)),
        Ok(NodeValue::Scalar(_) | NodeValue::Mapping(_)) => {}
        Err(root) => found.push_back(root),
    }
}

/// What an object is called in a diagnostic: `Pod/default/web`; the bare kind for an object without a name.
pub(super) fn label(kind: &str, namespaced: bool, metadata: Option<&Node>) -> String {
    let text = |key| match metadata.and_then(|metadata| metadata.get(key)).map(Node::to_json) {
        Some(Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    let Some(name) = text("name").or_else(|| text("generateName")) else { return kind.to_owned() };
    let namespace = namespaced.then(|| text("namespace").unwrap_or_else(|| "default".to_owned()));
    let kind = Some(kind.to_owned()).filter(|kind| !kind.is_empty());
    [kind, namespace, Some(name)].into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// Reads one object: whether it decodes, whether it is valid.
pub(super) fn read(root: &Node) -> (Option<Located>, Vec<Diagnostic>) {
    let text = |key| root.get(key).and_then(Node::as_str).unwrap_or("");
    let (api_version, name) = (text("apiVersion"), text("kind"));
    let Some(kind) = schema().kind(api_version, name) else {
        let mut report = Report::new(root, About { kind: name, is_namespaced: true });
        unknown_kind(root, &mut report);
        return (None, report.finish());
    };
    let mut report = Report::new(root, About { kind: kind.name, is_namespaced: kind.namespaced });
    decode::check(schema(), kind.type_name, root, &mut report);
    if report.is_undecodable() {
        return (None, report.finish());
    }
    let raw = root.to_json();
    validate::object(kind, &raw, &mut report);
    if report.has_errors() {
        return (None, report.finish());
    }
    let object = typed(kind, &raw, &mut report);
    if !SIMULATED.contains(&kind.name) {
        report.info("", "object.unsimulated", Some("object.unsimulated.hint"), &[kind.name]);
    }
    (object.map(|object| Located { span: root.span, raw: Arc::new(raw), object }), report.finish())
}

fn unknown_kind(root: &Node, report: &mut Report<'_>) {
    let api_version = root.get("apiVersion").filter(|node| !node.is_null());
    let kind = root.get("kind").filter(|node| !node.is_null());
    if !matches!(root.value, NodeValue::Mapping(_)) {
        return report.error("", "object.no-mapping", Some("object.no-mapping.hint"), &[]);
    }
    match (api_version.map(Node::as_str), kind.map(Node::as_str)) {
        (_, None) => report.error("", "object.no-kind", Some("object.no-kind.hint"), &[]),
        (None, _) => {
            let known = kind.and_then(Node::as_str).and_then(|kind| versions(kind).first().copied());
            let hint =
                if known.is_some() { "object.no-version.known.hint" } else { "object.no-version.hint" };
            report.error("", "object.no-version", Some(hint), &[known.unwrap_or("")]);
        }
        (Some(Some(api_version)), Some(Some(kind))) => no_match(api_version, kind, report),
        (Some(None), _) => {
            report.error("apiVersion", "object.no-string", Some("object.no-string.hint"), &["apiVersion"]);
        }
        (_, Some(None)) => report.error("kind", "object.no-string", Some("object.no-string.hint"), &["kind"]),
    }
}

fn no_match(api_version: &str, kind: &str, report: &mut Report<'_>) {
    let args = |meant: &str| [kind.to_owned(), api_version.to_owned(), meant.to_owned()];
    let say = |report: &mut Report<'_>, path: &str, hint: &'static str, args: [String; 3]| {
        report.error(path, "object.no-match", Some(hint), &args.each_ref().map(String::as_str));
    };
    let versions = versions(kind);
    if !versions.is_empty() {
        return say(report, "apiVersion", "object.no-match.version.hint", args(&versions.join(", ")));
    }
    let kinds = schema().kinds.iter().map(|known| known.name).chain(["List"]);
    match nearest(kind, kinds) {
        Some(meant) => say(report, "kind", "object.no-match.kind.hint", args(meant)),
        None => say(report, "kind", "object.no-match.hint", args("")),
    }
}

/// The versions in which there is a kind of this name.
fn versions(kind: &str) -> Vec<&'static str> {
    schema().kinds.iter().filter(|known| known.name == kind).map(|known| known.api_version).collect()
}

fn typed(kind: Kind, raw: &Value, report: &mut Report<'_>) -> Option<Object> {
    let value = &*without_nulls(raw);
    let result = match (kind.api_version, kind.name) {
        ("v1", "Pod") => from_json(value).map(Object::Pod),
        ("v1", "Node") => from_json(value).map(Object::Node),
        (_, "Cluster") => from_json(value).map(Object::Cluster),
        ("v1", "Service") => from_json(value).map(Object::Service),
        ("v1", "Endpoints") => from_json(value).map(Object::Endpoints),
        (_, "EndpointSlice") => from_json(value).map(Object::EndpointSlice),
        (_, "NetworkPolicy") => from_json(value).map(Object::NetworkPolicy),
        (_, "AdminNetworkPolicy") => admin(value, AdminTier::Admin),
        (_, "BaselineAdminNetworkPolicy") => admin(value, AdminTier::Baseline),
        _ => metadata(value).map(|metadata| {
            let (api_version, kind) = (kind.api_version.to_owned(), kind.name.to_owned());
            Object::Other(Box::new(Unsimulated { api_version, kind, metadata, raw: raw.clone() }))
        }),
    };
    match result {
        Ok(mut object) => {
            let metadata = metadata_mut(&mut object);
            if kind.namespaced && metadata.namespace.is_empty() {
                "default".clone_into(&mut metadata.namespace);
            }
            Some(object)
        }
        Err(error) => {
            report.error("", "object.undecodable", Some("object.undecodable.hint"), &[&error.to_string()]);
            None
        }
    }
}

fn admin(value: &Value, tier: AdminTier) -> serde_json::Result<Object> {
    let policy: Box<AdminNetworkPolicy> = from_json(value)?;
    Ok(Object::AdminNetworkPolicy(Box::new(AdminNetworkPolicy { tier, ..*policy })))
}

fn from_json<T: DeserializeOwned>(value: &Value) -> serde_json::Result<Box<T>> {
    T::deserialize(value).map(Box::new)
}

fn metadata(value: &Value) -> serde_json::Result<ObjectMeta> {
    value.get("metadata").map_or_else(|| Ok(ObjectMeta::default()), ObjectMeta::deserialize)
}

fn metadata_mut(object: &mut Object) -> &mut ObjectMeta {
    match object {
        Object::Pod(pod) => &mut pod.metadata,
        Object::Node(node) => &mut node.metadata,
        Object::Cluster(cluster) => &mut cluster.metadata,
        Object::Service(service) => &mut service.metadata,
        Object::EndpointSlice(slice) => &mut slice.metadata,
        Object::Endpoints(endpoints) => &mut endpoints.metadata,
        Object::NetworkPolicy(policy) => &mut policy.metadata,
        Object::AdminNetworkPolicy(policy) => &mut policy.metadata,
        Object::Other(other) => &mut other.metadata,
    }
}

/// A field that is `null` is a field that is not there.
fn without_nulls(value: &Value) -> Cow<'_, Value> {
    if !has_nulls(value) {
        return Cow::Borrowed(value);
    }
    let mut value = value.clone();
    drop_nulls(&mut value);
    Cow::Owned(value)
}

fn has_nulls(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.values().any(|field| field.is_null() || has_nulls(field)),
        Value::Array(items) => items.iter().any(has_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
