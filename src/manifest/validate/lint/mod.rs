//! What the API server cannot see: objects that are valid, and will not do what they look like. Each finding is a
//! warning; where one edit mends it, it brings the edit.

mod network;
mod pods;
mod policies;
mod references;
mod services;

use super::across::Entry;
use super::cursor::Cursor;
use super::selector;
use crate::api::ClusterSpec;
use crate::base::{DemoPlace, Diagnostic};
use crate::manifest::report::Report;
use serde_json::Value;
use std::cell::OnceCell;

/// A Pod, or the template by which a controller makes Pods.
pub(super) struct Pods<'a> {
    /// The object that it stands in.
    entry: Entry<'a>,
    namespace: &'a str,
    /// How many there will be: 1 for a Pod, the replicas of a controller; `None` for one on each node.
    count: Option<i64>,
    labels: Cursor<'a>,
    annotations: Cursor<'a>,
    spec: Cursor<'a>,
}

impl<'a> Pods<'a> {
    /// The containers that run side by side: sidecars and the Pod's own.
    fn containers(&self) -> Vec<Cursor<'a>> {
        let sidecars = self.spec.get("initContainers").items();
        let sidecars = sidecars.filter(|one| one.get("restartPolicy").text() == "Always");
        sidecars.chain(self.spec.get("containers").items()).collect()
    }

    fn report(&self) -> Report<'a> {
        self.entry.report()
    }

    /// One of these Pods, as the place of a demonstration.
    fn place(&self) -> DemoPlace {
        DemoPlace::Pod(self.namespace.to_owned(), self.name().to_owned())
    }

    /// The name of the Pod or of its controller.
    fn name(&self) -> &'a str {
        &self.entry.located.object.metadata().name
    }

    /// `NAMESPACE/NAME`, as placeholders of a demonstration have it.
    fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name())
    }
}

/// A port on which something listens.
#[derive(Clone, Debug)]
struct Port<'v> {
    number: i64,
    protocol: &'v str,
    name: &'v str,
    /// Where it is declared; the container's name for what the image is known to do.
    place: Cursor<'v>,
}

/// Images of which it is known where they listen when nobody tells them otherwise.
const LISTENERS: [(&str, &[i64]); 12] = [
    ("nginx", &[80]),
    ("nginx-unprivileged", &[8080]),
    ("httpd", &[80]),
    ("redis", &[6379]),
    ("valkey", &[6379]),
    ("postgres", &[5432]),
    ("mysql", &[3306]),
    ("mariadb", &[3306]),
    ("mongo", &[27017]),
    ("memcached", &[11211]),
    ("rabbitmq", &[5672]),
    ("network-multitool", &[80, 443]),
];

/// The ports of a container: declared, or known of its image where nothing is declared and no program is given.
fn ports_of<'v>(container: &Cursor<'v>) -> Vec<Port<'v>> {
    let declared: Vec<Port<'_>> = container
        .get("ports")
        .items()
        .map(|port| Port {
            number: port.get("containerPort").number(),
            protocol: port.get("protocol").text_or("TCP"),
            name: port.get("name").text(),
            place: port.get("containerPort"),
        })
        .collect();
    let plain = container.get("command").len() == 0 && container.get("args").len() == 0;
    if !declared.is_empty() || !plain {
        return declared;
    }
    let image = container.get("image").text();
    let last = image.rsplit('/').next().unwrap_or(image);
    let name = last.split([':', '@']).next().unwrap_or(last);
    let known = LISTENERS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, ports)| ports);
    let place = container.get("name");
    known.iter().map(|&number| Port { number, protocol: "TCP", name: "", place: place.clone() }).collect()
}

/// Everything that stands in the text.
struct View<'a> {
    text: &'a str,
    entries: &'a [Entry<'a>],
    pods: OnceCell<Vec<Pods<'a>>>,
}

impl<'a> View<'a> {
    fn new(text: &'a str, entries: &'a [Entry<'a>]) -> Self {
        Self { text, entries, pods: OnceCell::new() }
    }

    /// All Pods and templates, gathered when first asked for: without a Service or a policy half of the looks never ask.
    fn pods(&self) -> &[Pods<'a>] {
        self.pods.get_or_init(|| self.entries.iter().filter_map(|entry| pods_of(*entry)).collect())
    }

    /// The objects of a kind.
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = (Entry<'a>, Cursor<'a>)> + '_ {
        let those = self.entries.iter().filter(move |entry| entry.located.object.kind() == kind);
        those.map(|entry| (*entry, Cursor::root(&entry.located.raw)))
    }

    /// The Pods of a namespace that a plain selector selects.
    fn selected(&self, namespace: &str, labels: &Cursor<'_>) -> Vec<&Pods<'a>> {
        let fits = |pods: &&Pods<'a>| {
            pods.namespace == namespace
                && labels.entries().all(|(key, value)| pods.labels.get(key).text() == value.text())
        };
        self.pods().iter().filter(fits).collect()
    }

    /// The Pods of a namespace that a label selector selects.
    fn matched(&self, namespace: &str, of: &Cursor<'_>) -> Vec<&Pods<'a>> {
        let fits = |pods: &&Pods<'a>| pods.namespace == namespace && selector::matches(of, &pods.labels);
        self.pods().iter().filter(fits).collect()
    }
}

fn pods_of(entry: Entry<'_>) -> Option<Pods<'_>> {
    let root = Cursor::root(&entry.located.raw);
    let kind = entry.located.object.kind();
    let (template, count) = match kind {
        "Pod" => (root.clone(), Some(1)),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController" => {
            let replicas = root.get("spec").get("replicas");
            (root.get("spec").get("template"), Some(if replicas.is_set() { replicas.number() } else { 1 }))
        }
        "DaemonSet" => (root.get("spec").get("template"), None),
        "Job" => {
            (root.get("spec").get("template"), Some(root.get("spec").get("parallelism").number().max(1)))
        }
        "CronJob" => (root.get("spec").get("jobTemplate").get("spec").get("template"), Some(1)),
        _ => return None,
    };
    let metadata = template.get("metadata");
    Some(Pods {
        entry,
        namespace: &entry.located.object.metadata().namespace,
        count,
        labels: metadata.get("labels"),
        annotations: metadata.get("annotations"),
        spec: template.get("spec"),
    })
}

type Lint = fn(&View<'_>, &ClusterSpec, &mut Vec<Diagnostic>);

fn look(lint: Lint, (text, spec): (&str, &ClusterSpec), entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    lint(&View::new(text, entries), spec, &mut found);
    found
}

/// Looks at what each Pod and each controller's template says, whatever else there is.
pub(super) fn pods(cluster: (&str, &ClusterSpec), entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    look(pods::each, cluster, entries)
}

/// Looks at ports of nodes that several Pods want.
pub(super) fn host_ports(cluster: (&str, &ClusterSpec), entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    look(pods::host_port_taken, cluster, entries)
}

/// Looks at Services and what they select.
pub(super) fn services(cluster: (&str, &ClusterSpec), entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    look(services::lint, cluster, entries)
}

/// Looks at network policies.
pub(super) fn policies(cluster: (&str, &ClusterSpec), entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    look(policies::lint, cluster, entries)
}

/// Looks at what Pods refer to.
pub(super) fn references(cluster: (&str, &ClusterSpec), entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    look(|view, _, found| references::lint(view, found), cluster, entries)
}

/// Looks at the cluster document.
pub(super) fn network(cluster: (&str, &ClusterSpec), entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    look(network::lint, cluster, entries)
}

/// Texts in a value: itself, or those of its elements.
fn texts<'v>(value: &Cursor<'v>) -> Vec<Cursor<'v>> {
    match value.value {
        Value::String(_) => vec![value.clone()],
        Value::Array(_) => value.items().filter(|item| item.value.is_string()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}
