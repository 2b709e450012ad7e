//! The rows of each resource, and the table as the client lays it out.

use super::age::human_duration;
use super::args::{Format, Query};
use super::{services, status};
use crate::base::SimTime;
use crate::trace::{Inventory, KubeEventRow, NodeRow, PodRow};
use std::collections::{BTreeMap, BTreeSet};

/// A kind of object that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Pods,
    Nodes,
    Namespaces,
    Events,
    Services,
    Endpoints,
    EndpointSlices,
}

impl Resource {
    /// By any of its names.
    pub(super) fn named(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "pods" | "pod" | "po" => Self::Pods,
            "nodes" | "node" | "no" => Self::Nodes,
            "namespaces" | "namespace" | "ns" => Self::Namespaces,
            "events" | "event" | "ev" => Self::Events,
            "services" | "service" | "svc" => Self::Services,
            "endpoints" | "ep" => Self::Endpoints,
            "endpointslices" | "endpointslice" | "endpointslices.discovery.k8s.io" => Self::EndpointSlices,
            _ => return None,
        })
    }

    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Nodes => "nodes",
            Self::Namespaces => "namespaces",
            Self::Events => "events",
            Self::Services => "services",
            Self::Endpoints => "endpoints",
            Self::EndpointSlices => "endpointslices.discovery.k8s.io",
        }
    }

    pub(super) fn singular(self) -> &'static str {
        match self {
            Self::Pods => "pod",
            Self::Nodes => "node",
            Self::Namespaces => "namespace",
            Self::Events => "event",
            Self::Services => "service",
            Self::Endpoints => "endpoints",
            Self::EndpointSlices => "endpointslice.discovery.k8s.io",
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Pods => "Pod",
            Self::Nodes => "Node",
            Self::Namespaces => "Namespace",
            Self::Events => "Event",
            Self::Services => "Service",
            Self::Endpoints => "Endpoints",
            Self::EndpointSlices => "EndpointSlice",
        }
    }

    pub(super) fn is_namespaced(self) -> bool {
        !matches!(self, Self::Nodes | Self::Namespaces)
    }

    fn headers(self, wide: bool) -> Vec<&'static str> {
        match (self, wide) {
            (Self::Pods, false) => vec!["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
            (Self::Pods, true) => vec![
                "NAME",
                "READY",
                "STATUS",
                "RESTARTS",
                "AGE",
                "IP",
                "NODE",
                "NOMINATED NODE",
                "READINESS GATES",
            ],
            (Self::Nodes, false) => vec!["NAME", "STATUS", "ROLES", "AGE", "VERSION"],
            (Self::Nodes, true) => vec![
                "NAME",
                "STATUS",
                "ROLES",
                "AGE",
                "VERSION",
                "INTERNAL-IP",
                "EXTERNAL-IP",
                "OS-IMAGE",
                "KERNEL-VERSION",
                "CONTAINER-RUNTIME",
            ],
            (Self::Namespaces, _) => vec!["NAME", "STATUS", "AGE"],
            (Self::Services, wide) => {
                let mut headers = vec!["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"];
                headers.extend(wide.then_some("SELECTOR"));
                headers
            }
            (Self::Endpoints, _) => vec!["NAME", "ENDPOINTS", "AGE"],
            (Self::EndpointSlices, _) => vec!["NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"],
            (Self::Events, false) => vec!["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"],
            (Self::Events, true) => vec![
                "LAST SEEN",
                "TYPE",
                "REASON",
                "OBJECT",
                "SUBOBJECT",
                "SOURCE",
                "MESSAGE",
                "FIRST SEEN",
                "COUNT",
                "NAME",
            ],
        }
    }
}

/// An object with its cells.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) namespace: String,
    pub(super) name: String,
    labels: BTreeMap<String, String>,
    cells: Vec<String>,
    /// Which cell the name stands in.
    name_cell: Option<usize>,
}

/// The objects that a query selects, in the order of the API.
pub(super) fn items(inventory: &Inventory, resource: Resource, query: &Query) -> Vec<Item> {
    let wide = query.format == Format::Wide;
    let now = inventory.now;
    let mut items: Vec<Item> = match resource {
        Resource::Pods => inventory.pods.values().map(|pod| pod_item(pod, now, wide)).collect(),
        Resource::Nodes => inventory.nodes.values().map(|node| node_item(node, now, wide)).collect(),
        Resource::Namespaces => namespace_items(inventory),
        Resource::Services => services::services(inventory, now, wide),
        Resource::Endpoints => services::endpoints(inventory, now),
        Resource::EndpointSlices => services::slices(inventory, now),
        Resource::Events => {
            inventory.kube_events.iter().map(|(at, event)| event_item(event, *at, now, wide)).collect()
        }
    };
    items.retain(|item| {
        let here = query.namespace.as_ref().is_none_or(|namespace| item.namespace == *namespace);
        (here || !resource.is_namespaced()) && query.selects(&item.labels)
    });
    items
}

pub(super) fn age(now: SimTime, since: SimTime) -> String {
    human_duration(now.since(since).as_secs().cast_signed())
}

pub(super) fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "<none>".to_owned())
}

/// An object without labels whose name stands in the first cell.
pub(super) fn item(namespace: &str, name: &str, cells: Vec<String>) -> Item {
    Item {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        labels: BTreeMap::new(),
        cells,
        name_cell: Some(0),
    }
}

fn pod_item(pod: &PodRow, now: SimTime, wide: bool) -> Item {
    let cells = status::cells(&status::facts(pod));
    let mut row =
        vec![pod.name.to_string(), cells.ready, cells.status, cells.restarts, age(now, pod.created)];
    if wide {
        row.push(or_none(pod.ip.map(|ip| ip.to_string())));
        row.push(or_none(pod.node.as_ref().map(ToString::to_string)));
        row.extend([or_none(None), or_none(None)]);
    }
    Item {
        namespace: pod.namespace.to_string(),
        name: pod.name.to_string(),
        labels: pod.labels.clone(),
        cells: row,
        name_cell: Some(0),
    }
}

/// Roles by the labels `node-role.kubernetes.io/ROLE` and `kubernetes.io/role`.
fn roles(labels: &BTreeMap<String, String>) -> String {
    let roles: BTreeSet<&str> = labels
        .iter()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None => (key == "kubernetes.io/role").then_some(value.as_str()),
        })
        .filter(|role| !role.is_empty())
        .collect();
    or_none((!roles.is_empty()).then(|| roles.into_iter().collect::<Vec<_>>().join(",")))
}

/// The release whose behaviour is simulated.
const VERSION: &str = "v1.35.0";

fn node_item(node: &NodeRow, now: SimTime, wide: bool) -> Item {
    let mut status = if node.ready { "Ready" } else { "NotReady" }.to_owned();
    if node.unschedulable {
        status.push_str(",SchedulingDisabled");
    }
    let mut row =
        vec![node.name.to_string(), status, roles(&node.labels), age(now, node.created), VERSION.to_owned()];
    if wide {
        row.push(node.address.to_string());
        row.push(or_none(None));
        // No operating system is simulated below the network.
        row.extend(std::iter::repeat_n("<unknown>".to_owned(), 3));
    }
    let name = node.name.to_string();
    Item { namespace: String::new(), name, labels: node.labels.clone(), cells: row, name_cell: Some(0) }
}

/// Namespaces that every cluster has, and those of the Pods.
fn namespace_items(inventory: &Inventory) -> Vec<Item> {
    let own = ["default", "kube-node-lease", "kube-public", "kube-system"].map(str::to_owned);
    let mut created: BTreeMap<String, SimTime> = own.into_iter().map(|name| (name, SimTime::ZERO)).collect();
    for pod in inventory.pods.values() {
        let first = created.entry(pod.namespace.to_string()).or_insert(pod.created);
        *first = (*first).min(pod.created);
    }
    let items = created.into_iter().map(|(name, since)| Item {
        namespace: String::new(),
        labels: BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), name.clone())]),
        cells: vec![name.clone(), "Active".to_owned(), age(inventory.now, since)],
        name,
        name_cell: Some(0),
    });
    items.collect()
}

fn event_item(event: &KubeEventRow, at: SimTime, now: SimTime, wide: bool) -> Item {
    let seen = age(now, at);
    let object = format!("{}/{}", event.kind.to_lowercase(), event.name);
    let kind = if event.warning { "Warning" } else { "Normal" }.to_owned();
    let name = format!("{}.{:x}", event.name, at.0);
    let mut cells = vec![seen.clone(), kind, event.reason.to_string(), object];
    if wide {
        cells.extend([String::new(), event.component.to_string(), event.message.clone()]);
        cells.extend([seen, "1".to_owned(), name.clone()]);
    } else {
        cells.push(event.message.clone());
    }
    let namespace = event.namespace.to_string();
    Item { namespace, name, labels: BTreeMap::new(), cells, name_cell: wide.then_some(9) }
}

/// The table: columns at least six wide, three blanks between them, the last one as it is.
pub(super) fn text(query: &Query, resource: Resource, items: &[Item], prefix: &str) -> String {
    let with_namespace = query.namespace.is_none() && resource.is_namespaced();
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !query.no_headers {
        let mut head: Vec<String> =
            resource.headers(query.format == Format::Wide).into_iter().map(str::to_owned).collect();
        if with_namespace {
            head.insert(0, "NAMESPACE".to_owned());
        }
        head.extend(query.show_labels.then(|| "LABELS".to_owned()));
        rows.push(head);
    }
    for item in items {
        let mut cells: Vec<String> = item.cells.iter().map(|cell| first_line(cell)).collect();
        if let Some(cell) = item.name_cell.and_then(|at| cells.get_mut(at)) {
            cell.insert_str(0, prefix);
        }
        if with_namespace {
            cells.insert(0, item.namespace.clone());
        }
        if query.show_labels {
            let labels: Vec<String> =
                item.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            cells.push(or_none((!labels.is_empty()).then(|| labels.join(","))));
        }
        rows.push(cells);
    }
    layout(&rows)
}

/// A cell ends at its first line break.
fn first_line(cell: &str) -> String {
    match cell.find(['\n', '\r', '\u{c}']) {
        Some(end) => format!("{}...", &cell[..end]),
        None => cell.to_owned(),
    }
}

fn layout(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let widest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
            (widest.unwrap_or(0) + 3).max(6)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                text.push_str(&" ".repeat(widths[column].saturating_sub(cell.chars().count())));
            }
        }
        text.push('\n');
    }
    text
}
