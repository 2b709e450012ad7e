//! What objects say of each other: names that stand twice, ranges that overlap, nodes that are not there.

use super::enforcement;
use crate::api::{ClusterSpec, NodeSpec, Object};
use crate::base::{Diagnostic, Ipv4Net, Severity};
use crate::manifest::report::{About, Report};
use crate::manifest::tree::Node;
use crate::manifest::{Located, Parsed};
use crate::manifest::{limits, quotas};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// An object with its text.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) located: &'a Located,
    pub(super) root: &'a Node,
}

impl<'a> Entry<'a> {
    pub(super) fn report(self) -> Report<'a> {
        let object = &self.located.object;
        let is_namespaced = !object.metadata().namespace.is_empty();
        Report::new(self.root, About { kind: object.kind(), is_namespaced })
    }

    fn is(&self, kind: &str) -> bool {
        self.located.object.kind() == kind
    }

    fn namespace(&self) -> &'a str {
        &self.located.object.metadata().namespace
    }

    pub(super) fn find(self, say: impl FnOnce(&mut Report<'a>)) -> Vec<Diagnostic> {
        let mut report = self.report();
        say(&mut report);
        report.finish()
    }
}

/// What the objects of a text say of each other, looked at one question after the other.
#[derive(Default)]
pub(in crate::manifest) struct Across {
    n_asked: usize,
    /// Objects that have answered the first of the questions about the cluster.
    n_answered: usize,
    /// The cluster, unless what its nodes are is not known: complaints would be noise.
    spec: Option<ClusterSpec>,
    found: Vec<Diagnostic>,
}

/// A question to all objects together.
type Question = fn(&str, &ClusterSpec, &[Entry<'_>]) -> Vec<Diagnostic>;

/// Objects that the question to each object for itself is put to in one piece of work.
const OBJECTS: usize = 500;

/// The questions that ask what the cluster is. The first is answered by each object for itself.
const QUESTIONS: [Question; 11] = [
    |text, spec, entries| super::lint::pods((text, spec), entries),
    |_, spec, entries| ranges(spec, entries),
    |_, spec, entries| addresses(spec, entries),
    |_, spec, entries| missing_nodes(spec, entries),
    |_, spec, entries| super::allocation::check(spec, entries),
    |text, spec, entries| super::lint::host_ports((text, spec), entries),
    |text, spec, entries| super::lint::services((text, spec), entries),
    |text, spec, entries| super::lint::policies((text, spec), entries),
    |text, spec, entries| super::lint::references((text, spec), entries),
    |text, spec, entries| super::lint::network((text, spec), entries),
    enforcement::check,
];

impl Across {
    /// Asks the next question of the objects of `parsed`; `roots` are their texts in the same order. Returns whether
    /// there is another one.
    pub(in crate::manifest) fn advance(&mut self, text: &str, parsed: &Parsed, roots: &[Node]) -> bool {
        let entries = parsed.objects.iter().zip(roots).map(|(located, root)| Entry { located, root });
        let entries = entries.collect::<Vec<_>>();
        let asked = self.n_asked;
        self.n_asked += 1;
        match asked {
            0 => self.found.extend(twice(text, &entries)),
            1 => {
                self.found.extend(beyond_limits(&entries));
                self.found.extend(beyond_quotas(&entries));
                let unsure = |diagnostic: &Diagnostic| {
                    let kind = diagnostic.object.split('/').next().unwrap_or("");
                    diagnostic.severity == Severity::Error && matches!(kind, "Cluster" | "Node" | "")
                };
                let sure = !parsed.diagnostics.iter().chain(&self.found).any(unsure);
                self.spec = sure.then(|| parsed.resolve_cluster());
            }
            _ => {
                let Some(spec) = &self.spec else { return false };
                let asks_each = asked == 2;
                let from = if asks_each { self.n_answered } else { 0 };
                let to = if asks_each { entries.len().min(from + OBJECTS) } else { entries.len() };
                self.found.extend(QUESTIONS[asked - 2](text, spec, &entries[from..to]));
                if to < entries.len() {
                    (self.n_answered, self.n_asked) = (to, asked);
                    return true;
                }
            }
        }
        asked < 1 || (self.spec.is_some() && asked - 1 < QUESTIONS.len())
    }

    /// What was found.
    pub(in crate::manifest) fn found(self) -> Vec<Diagnostic> {
        self.found
    }
}

/// Pods that a limit range refuses which stands before them: objects are made in the order of the text.
fn beyond_limits(entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let mut ranges: Vec<Entry<'_>> = Vec::new();
    let mut found = Vec::new();
    for &entry in entries {
        let object = &entry.located.object;
        if object.kind() == "LimitRange" {
            ranges.push(entry);
            continue;
        }
        let Object::Pod(pod) = object else { continue };
        let namespace = &pod.metadata.namespace;
        let here = ranges.iter().filter(|range| range.located.object.metadata().namespace == *namespace);
        let mut completed = None;
        for range in here {
            let pod = completed.get_or_insert_with(|| (*entry.located.raw).clone());
            limits::complete(pod, &range.located.raw);
            for (path, why) in limits::objections(pod, &range.located.raw) {
                let name = &range.located.object.metadata().name;
                found.extend(entry.find(|report| {
                    report.error(&path, "across.limit-range", Some("across.limit-range.hint"), &[&why, name]);
                }));
            }
        }
    }
    found
}

/// Objects that a resource quota refuses which stands before them, with what stands before and is not refused.
fn beyond_quotas(entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let namespaces: BTreeSet<&str> =
        entries.iter().filter(|one| one.is("ResourceQuota")).map(Entry::namespace).collect();
    let mut found = Vec::new();
    for namespace in namespaces {
        let here = entries.iter().filter(|one| one.namespace() == namespace);
        let mut ranges: Vec<&Value> = Vec::new();
        let mut quotas: Vec<(&Value, quotas::Amounts)> = Vec::new();
        let mut before = furniture(namespace);
        for entry in here {
            let raw = &*entry.located.raw;
            let kind = entry.located.object.kind();
            let value = completed(kind, raw, &ranges);
            let about = |quota: &Value| quotas::is_about(quota, kind, &value);
            let why = quotas.iter().find_map(|(quota, used)| {
                let why = about(quota).then(|| quotas::objection(quota, used, (kind, &value)))?;
                Some((why?, quota["metadata"]["name"].as_str().unwrap_or_default()))
            });
            if let Some((why, name)) = why {
                found.extend(entry.find(|report| {
                    report.error("", "across.quota", Some("across.quota.hint"), &[&why, name]);
                }));
                continue;
            }
            for (_, used) in quotas.iter_mut().filter(|(quota, _)| about(quota)) {
                quotas::add_usage(used, kind, &value);
            }
            before.push((kind, value));
            if entry.is("LimitRange") {
                ranges.push(raw);
            }
            if entry.is("ResourceQuota") {
                let mut used = quotas::unused(raw);
                for (kind, value) in before.iter().filter(|(kind, value)| quotas::is_about(raw, kind, value))
                {
                    quotas::add_usage(&mut used, kind, value);
                }
                quotas.push((raw, used));
            }
        }
    }
    found
}

/// What a namespace has from the beginning and quotas count.
fn furniture(namespace: &str) -> Vec<(&'static str, Cow<'static, Value>)> {
    let service = (namespace == "default").then_some(("Service", Cow::Owned(Value::Null)));
    [("ConfigMap", Cow::Owned(Value::Null))].into_iter().chain(service).collect()
}

/// A Pod filled in by limit ranges; anything else as it is.
fn completed<'a>(kind: &str, raw: &'a Value, ranges: &[&Value]) -> Cow<'a, Value> {
    if kind != "Pod" || ranges.is_empty() {
        return Cow::Borrowed(raw);
    }
    let mut pod = raw.clone();
    for range in ranges {
        limits::complete(&mut pod, range);
    }
    Cow::Owned(pod)
}

fn twice(text: &str, entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let mut first = BTreeMap::new();
    let mut found = Vec::new();
    for &entry in entries {
        let object = &entry.located.object;
        let metadata = object.metadata();
        let cluster = matches!(object, Object::Cluster(_));
        // The API server makes up what follows a generateName.
        if metadata.name.is_empty() && !cluster {
            continue;
        }
        let group = object.api_version().rsplit_once('/').map_or("", |(group, _)| group);
        let (namespace, name) = if cluster { ("", "") } else { (&*metadata.namespace, &*metadata.name) };
        // What differs most stands first, so that comparing ends soon.
        let key = (name, namespace, object.kind(), group);
        match first.get(&key) {
            None => {
                first.insert(key, entry.located.span);
            }
            Some(span) => found.extend(entry.find(|report| {
                let line = span.place(text).line.to_string();
                let (message, hint, path) = if cluster {
                    ("across.cluster-twice", "across.cluster-twice.hint", "kind")
                } else {
                    ("across.twice", "across.twice.hint", "metadata.name")
                };
                report.error(path, message, Some(hint), &[&metadata.name, &line, object.kind()]);
            })),
        }
    }
    found
}

/// The object that a node comes from, with the path to the node's `field` in it.
fn place<'a>(spec: &NodeSpec, entries: &[Entry<'a>], field: &str) -> Option<(Entry<'a>, String)> {
    let of_node = entries
        .iter()
        .find(|entry| matches!(&entry.located.object, Object::Node(node) if node.metadata.name == spec.name));
    let written = |entry: &&Entry<'a>| match field {
        "podCIDR" => entry.root.get("spec").is_some_and(|spec| spec.get("podCIDR").is_some()),
        _ => entry.root.get("status").is_some(),
    };
    if let Some(&entry) = of_node.filter(written) {
        let path = if field == "podCIDR" { "spec.podCIDR" } else { "status.addresses" };
        return Some((entry, path.to_owned()));
    }
    let in_cluster = entries.iter().find_map(|&entry| {
        let Object::Cluster(cluster) = &entry.located.object else { return None };
        let nodes = cluster.spec.nodes.as_ref()?;
        let index = nodes.iter().position(|node| node.name == spec.name)?;
        Some((entry, format!("spec.nodes[{index}].{field}")))
    });
    in_cluster.or_else(|| of_node.map(|&entry| (entry, "metadata.name".to_owned())))
}

fn ranges(spec: &ClusterSpec, entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut error = |node: &NodeSpec, message, hint, args: &[&str]| {
        if let Some((entry, path)) = place(node, entries, "podCIDR") {
            found.extend(entry.find(|report| report.error(&path, message, Some(hint), args)));
        }
    };
    let within = spec.network.pod_cidr;
    for node in &spec.nodes {
        let (range, name) = (node.pod_cidr.to_string(), node.name.as_str());
        if !within.contains(&node.pod_cidr) {
            error(node, "across.outside", "across.outside.hint", &[&range, &within.to_string(), name]);
        }
        let last = u64::from(u32::from(node.pod_cidr.broadcast()) - u32::from(node.pod_cidr.network()));
        let start = u64::from(spec.network.ipam.range_start);
        if start >= last {
            error(node, "across.range-start", "across.range-start.hint", &[&start.to_string(), &range]);
        }
    }
    let mut sorted = spec.nodes.iter().collect::<Vec<_>>();
    sorted.sort_by_key(|node| (node.pod_cidr.network(), node.pod_cidr.prefix_len()));
    let mut widest: Option<&NodeSpec> = None;
    for node in sorted {
        match widest.filter(|other| overlap(other.pod_cidr, node.pod_cidr)) {
            Some(other) => {
                let later = |node: &&NodeSpec| spec.nodes.iter().position(|known| known.name == node.name);
                let (first, second) =
                    if later(&other) < later(&node) { (other, node) } else { (node, other) };
                let (own, theirs) = (second.pod_cidr.to_string(), first.pod_cidr.to_string());
                error(second, "across.overlap", "across.overlap.hint", &[&own, &theirs, &first.name]);
            }
            None => widest = Some(node),
        }
    }
    found.extend(cluster_ranges(spec, entries));
    found
}

pub(super) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

fn cluster_ranges(spec: &ClusterSpec, entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let cluster = entries.iter().find(|entry| matches!(entry.located.object, Object::Cluster(_)));
    let Some(cluster) = cluster else { return Vec::new() };
    let (pods, services) = (spec.network.pod_cidr, spec.network.service_cidr);
    cluster.find(|report| {
        if overlap(pods, services) {
            let args = [&*services.to_string(), &*pods.to_string()];
            report.error(
                "spec.network.serviceCIDR",
                "across.service-range",
                Some("across.service-range.hint"),
                &args,
            );
        }
        if let Some(address) = spec.dns.service_ip.filter(|address| !services.contains(address)) {
            let args = [&*address.to_string(), &*services.to_string()];
            report.warning(
                "spec.dns.serviceIP",
                "across.dns-address",
                Some("across.dns-address.hint"),
                &args,
            );
        }
    })
}

fn addresses(spec: &ClusterSpec, entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let mut seen =
        spec.external.iter().map(|host| (host.address, host.name.as_str())).collect::<BTreeMap<_, _>>();
    let mut found = Vec::new();
    for node in &spec.nodes {
        let address = node.address.to_string();
        let other = seen.insert(node.address, &node.name);
        let (message, hint, arg) = if let Some(other) = other {
            ("across.address-twice", "across.address-twice.hint", other.to_owned())
        } else if spec.network.pod_cidr.contains(&node.address) {
            ("across.address-in-pods", "across.address-in-pods.hint", spec.network.pod_cidr.to_string())
        } else {
            continue;
        };
        if let Some((entry, path)) = place(node, entries, "address") {
            found.extend(entry.find(|report| report.error(&path, message, Some(hint), &[&address, &arg])));
        }
    }
    found
}

fn missing_nodes(spec: &ClusterSpec, entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let names = spec.nodes.iter().map(|node| node.name.as_str()).collect::<BTreeSet<_>>();
    let mut found = Vec::new();
    for entry in entries {
        let Object::Pod(pod) = &entry.located.object else { continue };
        let Some(node) =
            pod.spec.node_name.as_deref().filter(|name| !name.is_empty() && !names.contains(name))
        else {
            continue;
        };
        let known = names.iter().copied().collect::<Vec<_>>().join(", ");
        found.extend(entry.find(|report| {
            report.warning("spec.nodeName", "across.no-node", Some("across.no-node.hint"), &[node, &known]);
        }));
    }
    found
}
