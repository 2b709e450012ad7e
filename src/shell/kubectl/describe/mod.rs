//! `kubectl describe` (`kubectl/pkg/describe/describe.go`): lines with tabs, laid out as Go's tabwriter does.

mod administration;
mod autoscaler;
mod ingress;
mod network;
mod node;
mod node_resources;
mod pod;
mod storage;
mod tabs;
mod volume_source;
mod workload;

use super::age::{since, unix_secs};
use super::flags::{Flag, read, switch, value};
use super::get::{deprecation, not_found, wanted};
use super::json::{at, entries, list, or, plain, text};
use super::resources::Resource;
use super::{labels, view};
use crate::base::{Calendar, SimTime};
use crate::shell::Command;
use crate::shell::out::{Out, refuse};
use crate::trace::Inventory;
use serde_json::Value;
use std::fmt::Write as _;

const FLAGS: [Flag; 4] = [
    switch("all-namespaces", 'A'),
    value("selector", 'l'),
    value("show-events", ' '),
    value("chunk-size", ' '),
];
const NO_TYPE: &str = "error: You must specify the type of resource to describe. Use \"kubectl api-resources\" for a \
    complete list of supported resources.\n";

/// What the describers know besides the object.
pub(super) struct Look<'a> {
    inventory: &'a Inventory,
    now: SimTime,
}

/// `kubectl describe` with these words after it.
pub(super) fn describe(inventory: &Inventory, namespace: &str, words: &[String]) -> Command {
    match described(inventory, namespace, words) {
        Ok(out) => out,
        Err(text) => refuse(text, 1),
    }
}

fn described(inventory: &Inventory, namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = read("describe", &FLAGS, &["filename", "kustomize", "recursive"], words)?;
    let wanted = wanted("describe", &words.operands, NO_TYPE)?;
    let labels = labels::of_list(wanted[0].0, words.value("selector"))?;
    let everywhere = words.is_set("all-namespaces");
    let own = words.namespace(namespace);
    let with_events = words.value("show-events") != Some("false");
    let look = Look { inventory, now: inventory.now };
    let mut out = Out::default();
    out.err(deprecation(wanted.iter().map(|(resource, _)| *resource)));
    let mut missing = Out::default();
    let (mut status, mut count) = (0, 0);
    for (resource, names) in &wanted {
        let mut objects = view::objects(inventory, resource);
        objects.retain(|one| {
            (everywhere || !resource.namespaced || text(one, "metadata.namespace") == own)
                && labels.selects(one)
        });
        let mut chosen: Vec<&Value> = Vec::new();
        for name in names {
            let exact = objects.iter().find(|one| text(one, "metadata.name") == name);
            // A name may be the beginning of several.
            let begins: Vec<&Value> = match exact {
                Some(one) => vec![one],
                None => objects
                    .iter()
                    .filter(|one| text(one, "metadata.name").starts_with(name.as_str()))
                    .collect(),
            };
            if begins.is_empty() {
                missing.err(not_found(resource, name));
                status = 1;
            }
            chosen.extend(begins);
        }
        if names.is_empty() {
            chosen.extend(&objects);
        }
        for object in chosen {
            if count > 0 {
                out.out("\n\n");
            }
            count += 1;
            out.out(one(resource, object, &look, with_events));
        }
    }
    if count == 0 && status == 0 {
        out.err(if everywhere || !wanted.iter().any(|(one, _)| one.namespaced) {
            "No resources found\n".to_owned()
        } else {
            format!("No resources found in {own} namespace.\n")
        });
    }
    out.append(missing);
    Ok(out.done(status))
}

/// Kinds whose describers show no events.
const WITHOUT_EVENTS: [&str; 9] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "LimitRange",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "Secret",
];

fn one(resource: &Resource, object: &Value, look: &Look<'_>, with_events: bool) -> String {
    let mut lines = String::new();
    match resource.kind {
        "Pod" => pod::pod(object, &mut lines),
        "Service" => network::service(object, look, &mut lines),
        "Node" => node::node(object, look, &mut lines),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => {
            workload::workload(resource.kind, object, look, &mut lines);
        }
        "NetworkPolicy" => network::policy(object, &mut lines),
        "EndpointSlice" => network::slice(object, &mut lines),
        "Endpoints" => network::old_endpoints(object, &mut lines),
        "Namespace" => administration::namespace(object, look, &mut lines),
        "ConfigMap" => config_map(object, &mut lines),
        "Secret" => administration::secret(object, &mut lines),
        "ServiceAccount" => administration::service_account(object, &mut lines),
        "Role" | "ClusterRole" => administration::role(object, &mut lines),
        "RoleBinding" | "ClusterRoleBinding" => administration::binding(object, &mut lines),
        "ResourceQuota" => administration::quota(object, &mut lines),
        "LimitRange" => administration::limit_range(object, &mut lines),
        "PodDisruptionBudget" => administration::budget(object, &mut lines),
        "PriorityClass" => administration::priority_class(object, &mut lines),
        "StorageClass" => administration::storage_class(object, &mut lines),
        "CronJob" => workload::cron_job(object, &mut lines),
        "HorizontalPodAutoscaler" => autoscaler::autoscaler(object, &mut lines),
        "Ingress" => ingress::ingress(object, look, &mut lines),
        "IngressClass" => ingress::class(object, &mut lines),
        "PersistentVolume" => storage::volume(object, look, &mut lines),
        "PersistentVolumeClaim" => storage::claim(object, look, &mut lines),
        _ => generic(object, &mut lines),
    }
    if !with_events || WITHOUT_EVENTS.contains(&resource.kind) {
        return tabs::write(&lines, 0, 2);
    }
    // Without events the line stands among the others; a table of events is laid out by itself.
    match events(object, resource, look) {
        Some(events) => tabs::write(&lines, 0, 2) + &events,
        None => tabs::write(&(lines + "Events:\t<none>\n"), 0, 2),
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Name, namespace, labels and annotations.
fn head(object: &Value, namespaced: bool, out: &mut String) {
    line(out, &format!("Name:\t{}", text(object, "metadata.name")));
    if namespaced {
        line(out, &format!("Namespace:\t{}", text(object, "metadata.namespace")));
    }
    labels(object, "Labels", "metadata.labels", out);
    annotations(object, out);
}

/// `printLabelsMultiline`.
fn labels(object: &Value, title: &str, path: &str, out: &mut String) {
    indented_labels(object, ("", title), path, out);
}

fn indented_labels(object: &Value, (indent, title): (&str, &str), path: &str, out: &mut String) {
    let pairs = entries(object, path);
    if pairs.is_empty() {
        return line(out, &format!("{indent}{title}:\t<none>"));
    }
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        let title = if index == 0 { format!("{title}:") } else { String::new() };
        line(out, &format!("{indent}{title}\t{key}={}", plain(value)));
    }
}

/// `printAnnotationsMultiline`; what `apply` remembers is left out.
fn annotations(object: &Value, out: &mut String) {
    let pairs = entries(object, "metadata.annotations");
    let pairs: Vec<_> = pairs
        .into_iter()
        .filter(|(key, _)| *key != "kubectl.kubernetes.io/last-applied-configuration")
        .collect();
    if pairs.is_empty() {
        return line(out, "Annotations:\t<none>");
    }
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        let title = if index == 0 { "Annotations:" } else { "" };
        let value = plain(value);
        let value = value.strip_suffix('\n').unwrap_or(&value);
        if value.contains('\n') || key.len() + value.len() > 140 {
            line(out, &format!("{title}\t{key}:"));
            for part in value.split('\n') {
                line(out, &format!("\t  {part}"));
            }
        } else {
            line(out, &format!("{title}\t{key}: {value}"));
        }
    }
}

/// `Thu, 01 Jan 2026 00:00:00 +0000` (`time.RFC1123Z`).
fn moment(text: &str) -> String {
    let Some(secs) = unix_secs(text).and_then(|secs| u64::try_from(secs).ok()) else {
        return text.to_owned();
    };
    let at = Calendar::of_unix(secs);
    let day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][at.weekday];
    let month =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][at.month - 1];
    format!("{day}, {:02} {month} {} {:02}:{:02}:{:02} +0000", at.day, at.year, at.hour, at.minute, at.second)
}

/// `2026-01-01 00:00:00 +0000 UTC` (`time.Time.String`).
fn go_time(text: &str) -> String {
    text.strip_suffix('Z')
        .and_then(|text| text.split_once('T'))
        .map_or_else(|| text.to_owned(), |(date, time)| format!("{date} {time} +0000 UTC"))
}

/// A switch that may be left out (`printBoolPtr`).
fn bool_ptr(object: &Value, path: &str) -> &'static str {
    at(object, path).as_bool().map_or("<unset>", |on| if on { "True" } else { "False" })
}

/// What an object is controlled by, as `ReplicaSet/web-5d4f`.
fn controller(object: &Value) -> Option<String> {
    let owner = list(object, "metadata.ownerReferences").iter().find(|one| *at(one, "controller") == true)?;
    Some(format!("{}/{}", text(owner, "kind"), text(owner, "name")))
}

/// Whether an Event is about this object and not about an earlier one of its name.
fn is_of(event: &Value, object: &Value) -> bool {
    text(object, "kind") == "Node" || text(event, "involvedObject.uid") == text(object, "metadata.uid")
}

/// The events of an object (`DescribeEvents`).
fn events(object: &Value, resource: &Resource, look: &Look<'_>) -> Option<String> {
    let (namespace, name) = (text(object, "metadata.namespace"), text(object, "metadata.name"));
    let all = super::events::events(look.inventory);
    let mut own: Vec<&Value> = all
        .iter()
        .filter(|event| {
            text(event, "involvedObject.kind") == resource.kind
                && text(event, "involvedObject.name") == name
                && (!resource.namespaced || text(event, "involvedObject.namespace") == namespace)
                && is_of(event, object)
        })
        .collect();
    if own.is_empty() {
        return None;
    }
    // Events of the scheduler have no such time and come first (`SortableEvents`).
    own.sort_by_key(|event| text(event, "lastTimestamp").to_owned());
    let mut lines =
        "Events:\n  Type\tReason\tAge\tFrom\tMessage\n  ----\t------\t----\t----\t-------\n".to_owned();
    for event in own {
        let age = super::events::interval(event, |moment| since(look.now, moment));
        let from = or(text(event, "source.component"), text(event, "reportingComponent"));
        let (kind, reason) = (text(event, "type"), text(event, "reason"));
        // The container that it is about stands before what is said (`kubectl` 1.35).
        let message = match (text(event, "involvedObject.fieldPath"), text(event, "message").trim()) {
            ("", message) => message.to_owned(),
            (path, message) => format!("{path}: {message}"),
        };
        let _ = writeln!(lines, "  {kind}\t{reason}\t{age}\t{from}\t{message}");
    }
    Some(tabs::write(&lines, 0, 2))
}

fn config_map(object: &Value, out: &mut String) {
    head(object, true, out);
    line(out, "\nData\n====");
    for (key, value) in entries(object, "data") {
        line(out, &format!("{key}:\n----\n{}\n", plain(value)));
    }
    line(out, "\nBinaryData\n====");
    for (key, value) in entries(object, "binaryData") {
        line(out, &format!("{key}: {} bytes", plain(value).len() * 3 / 4));
    }
    line(out, "");
}

/// Any other object: all of its fields, with words for names (`genericDescriber`).
fn generic(object: &Value, out: &mut String) {
    head(object, !text(object, "metadata.namespace").is_empty(), out);
    for (key, value) in object.as_object().into_iter().flatten() {
        field(key, value, 0, out);
    }
}

/// Words of a field's name: `podSelector` is `Pod Selector`.
fn words(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.chars().enumerate() {
        if index == 0 {
            out.extend(letter.to_uppercase());
        } else {
            if letter.is_uppercase() && !out.ends_with(|last: char| last.is_uppercase()) {
                out.push(' ');
            }
            out.push(letter);
        }
    }
    out.replace("Api ", "API ")
}

fn field(key: &str, value: &Value, depth: usize, out: &mut String) {
    const SKIPPED: [&str; 6] = ["name", "namespace", "labels", "annotations", "managedFields", "selfLink"];
    let indent = "  ".repeat(depth);
    let name = words(key);
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            line(out, &format!("{indent}{name}:"));
            for (inner, value) in
                fields.iter().filter(|(inner, _)| key != "metadata" || !SKIPPED.contains(&inner.as_str()))
            {
                field(inner, value, depth + 1, out);
            }
        }
        Value::Array(items) => {
            line(out, &format!("{indent}{name}:"));
            for item in items {
                match item {
                    Value::Object(fields) => {
                        fields.iter().for_each(|(key, value)| field(key, value, depth + 1, out));
                    }
                    other @ (Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)) => {
                        line(out, &format!("{indent}  {}", plain(other)));
                    }
                }
            }
        }
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            line(out, &format!("{indent}{name}:\t{}", plain(other)));
        }
    }
}

/// A Pod template as `rollout history --revision` shows it: with its tabs, which nobody turns into spaces there
/// (`printTemplate` of `history.go`).
pub(super) fn template(template: &Value) -> String {
    let mut lines = String::from("Pod Template:\n");
    workload::template(template, &mut lines);
    lines
}
