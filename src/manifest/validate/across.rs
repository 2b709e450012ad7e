//! What objects say of each other: names that stand twice, ranges that overlap, nodes that are not there.

use crate::api::{
    AdminAction, AdminNetworkPolicy, ClusterSpec, Cni, NamespacedName, NodeSpec, Object, PolicyType,
};
use crate::base::{Diagnostic, Ipv4Net, Severity};
use crate::manifest::limits;
use crate::manifest::objects::label;
use crate::manifest::report::Report;
use crate::manifest::tree::Node;
use crate::manifest::{Located, Parsed};
use std::collections::{BTreeMap, BTreeSet};

/// An object with its text.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) located: &'a Located,
    root: &'a Node,
}

impl<'a> Entry<'a> {
    pub(super) fn report(self) -> Report<'a> {
        let object = &self.located.object;
        let namespaced = !object.metadata().namespace.is_empty();
        Report::new(self.root, label(object.kind(), namespaced, self.root.get("metadata")))
    }

    fn find(self, say: impl FnOnce(&mut Report<'a>)) -> Vec<Diagnostic> {
        let mut report = self.report();
        say(&mut report);
        report.finish()
    }
}

/// Validates what the objects of `parsed` say of each other; `roots` are their texts in the same order.
pub(in crate::manifest) fn across(text: &str, parsed: &Parsed, roots: &[&Node]) -> Vec<Diagnostic> {
    let entries = parsed.objects.iter().zip(roots).map(|(located, root)| Entry { located, root });
    let entries = entries.collect::<Vec<_>>();
    let mut found = twice(text, &entries);
    found.extend(beyond_limits(&entries));
    // With a node or the cluster in error, what the nodes are is not known, and complaints would be noise.
    let unsure = |diagnostic: &Diagnostic| {
        let kind = diagnostic.object.split('/').next().unwrap_or("");
        diagnostic.severity == Severity::Error && matches!(kind, "Cluster" | "Node" | "")
    };
    if !parsed.diagnostics.iter().chain(&found).any(unsure) {
        let spec = parsed.resolve_cluster();
        found.extend(ranges(&spec, &entries));
        found.extend(addresses(&spec, &entries));
        found.extend(missing_nodes(&spec, &entries));
        found.extend(super::allocation::check(&spec, &entries));
        found.extend(super::lint::lint((text, &spec), &entries));
        found.extend(entries.iter().flat_map(|entry| unenforced(&spec, *entry)));
    }
    found
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

/// What surprises people about policies: plug-ins that enforce none, and ranges that one plug-in does not mean so.
fn unenforced(spec: &ClusterSpec, entry: Entry<'_>) -> Vec<Diagnostic> {
    let policy = match &entry.located.object {
        Object::NetworkPolicy(policy) => policy,
        Object::AdminNetworkPolicy(policy) => return unenforced_admin(spec.network.cni, policy, entry),
        Object::Pod(_)
        | Object::Node(_)
        | Object::Cluster(_)
        | Object::Service(_)
        | Object::EndpointSlice(_)
        | Object::Endpoints(_)
        | Object::Other(_) => return Vec::new(),
    };
    let (cni, pods) = (spec.network.cni, spec.network.pod_cidr);
    let covers_pods = |cidr: &str| {
        cidr.parse::<Ipv4Net>().is_ok_and(|net| overlap(net.trunc(), pods)).then(|| cidr.to_owned())
    };
    let ranges = [PolicyType::Ingress, PolicyType::Egress].into_iter().flat_map(|direction| {
        let (way, peers) = match direction {
            PolicyType::Ingress => ("ingress", "from"),
            PolicyType::Egress => ("egress", "to"),
        };
        let rules = policy.rules(direction).into_iter().enumerate();
        let blocks = rules.flat_map(move |(rule, (list, _))| {
            let path = move |peer| format!("spec.{way}[{rule}].{peers}[{peer}].ipBlock.cidr");
            list.iter().enumerate().filter_map(move |(at, peer)| Some((path(at), peer.ip_block.as_ref()?)))
        });
        blocks.filter_map(|(path, block)| Some((path, covers_pods(&block.cidr)?))).collect::<Vec<_>>()
    });
    entry.find(|report| match cni {
        Cni::Calico => {}
        Cni::Cilium => {
            for (path, cidr) in ranges {
                report.warning(&path, "across.cilium-block", Some("across.cilium-block.hint"), &[&cidr]);
            }
        }
        Cni::Bridge | Cni::Flannel => {
            let name = if cni == Cni::Flannel { "flannel" } else { "bridge" };
            report.warning("kind", "across.unenforced", Some("across.unenforced.hint"), &[name]);
        }
    })
}

/// The same for policies of administrators: plug-ins that know none, and what Calico does not understand.
fn unenforced_admin(cni: Cni, policy: &AdminNetworkPolicy, entry: Entry<'_>) -> Vec<Diagnostic> {
    entry.find(|report| match cni {
        Cni::Calico => {
            for (way, peers, rules) in
                [("ingress", "from", &policy.spec.ingress), ("egress", "to", &policy.spec.egress)]
            {
                for (at, rule) in rules.iter().enumerate() {
                    let Some(place) = rule.not_understood(peers) else { continue };
                    let field = place.rsplit('.').next().unwrap_or("").to_owned();
                    let (message, hint) = match rule.action {
                        AdminAction::Allow => ("across.calico-left-out", "across.calico-left-out.hint"),
                        AdminAction::Deny | AdminAction::Pass => {
                            ("across.calico-closed", "across.calico-closed.hint")
                        }
                    };
                    report.warning(&format!("spec.{way}[{at}].{place}"), message, Some(hint), &[&field]);
                }
            }
        }
        Cni::Cilium | Cni::Bridge | Cni::Flannel => {
            let name = Cni::ALL.iter().find(|known| known.1 == cni).map_or("", |known| known.0);
            let args = [name, policy.tier.kind()];
            report.warning("kind", "across.unenforced-admin", Some("across.unenforced-admin.hint"), &args);
        }
    })
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
        let name = if cluster { NamespacedName::default() } else { metadata.namespaced_name() };
        let key = (group, object.kind(), name);
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

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
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
