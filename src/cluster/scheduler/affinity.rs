//! `NodeAffinity`, `PodTopologySpread` and `InterPodAffinity`.

use super::{Candidate, Reasons, Surroundings, expression_fits, untolerated};
use crate::api::{LabelSelector, NodeSpec, Pod, TaintEffect};
use serde_json::Value;
use std::collections::BTreeMap;

/// Items of a list in JSON; none where there is no list.
fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether a node has the labels that a Pod's `nodeSelector` and required node affinity ask for.
pub(super) fn node_fits(pod: &Pod, node: &NodeSpec) -> bool {
    let selected = pod.spec.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value));
    let Some(affinity) = &pod.spec.affinity else { return selected };
    let required = &affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    // Terms are alternatives, and without one nothing fits.
    selected
        && (required.is_null()
            || items(&required["nodeSelectorTerms"]).iter().any(|term| term_fits(term, node)))
}

/// Whether a node selector term fits: all its expressions do, and there is at least one.
pub(super) fn term_fits(term: &Value, node: &NodeSpec) -> bool {
    let (expressions, fields) = (items(&term["matchExpressions"]), items(&term["matchFields"]));
    let fits = |requirement: &Value, value: Option<&str>| {
        expression_fits(requirement["operator"].as_str().unwrap_or(""), items(&requirement["values"]), value)
    };
    let label = |requirement: &Value| {
        requirement["key"].as_str().and_then(|key| node.labels.get(key)).map(String::as_str)
    };
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|requirement| fits(requirement, label(requirement)))
        && fields.iter().all(|requirement| fits(requirement, Some(&node.name)))
}

/// How much a node is preferred by a Pod's preferred node affinity.
pub(super) fn preferred(pod: &Pod, node: &NodeSpec) -> i64 {
    let Some(affinity) = &pod.spec.affinity else { return 0 };
    let terms = items(&affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]);
    let fitting = terms.iter().filter(|term| term_fits(&term["preference"], node));
    fitting.filter_map(|term| term["weight"].as_i64()).sum()
}

fn selector_of(value: &Value) -> Option<LabelSelector> {
    if value.is_null() { None } else { serde_json::from_value(value.clone()).ok() }
}

/// A Pod affinity term: which Pods, and within which part of the cluster.
struct Term {
    selector: Option<LabelSelector>,
    namespaces: Vec<String>,
    namespace_selector: Option<LabelSelector>,
    topology_key: String,
}

impl Term {
    fn new(value: &Value, owner: &Pod) -> Self {
        let named: Vec<String> =
            items(&value["namespaces"]).iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        let namespace_selector = selector_of(&value["namespaceSelector"]);
        let own = named.is_empty() && namespace_selector.is_none();
        Self {
            selector: selector_of(&value["labelSelector"]),
            namespaces: if own { vec![owner.metadata.namespace.clone()] } else { named },
            namespace_selector,
            topology_key: value["topologyKey"].as_str().unwrap_or("").to_owned(),
        }
    }

    fn fits(&self, pod: &Pod, around: &dyn Surroundings) -> bool {
        let namespace = &pod.metadata.namespace;
        let here = self.namespaces.contains(namespace)
            || self
                .namespace_selector
                .as_ref()
                .is_some_and(|selector| selector.matches(&around.namespace_labels(namespace)));
        here && self.selector.as_ref().is_some_and(|selector| selector.matches(&pod.metadata.labels))
    }
}

fn terms(pod: &Pod, kind: &str) -> Vec<Term> {
    let Some(affinity) = &pod.spec.affinity else { return Vec::new() };
    let required = &affinity[kind]["requiredDuringSchedulingIgnoredDuringExecution"];
    items(required).iter().map(|term| Term::new(term, pod)).collect()
}

/// A constraint on the spread of Pods (`topologySpreadConstraints` with `DoNotSchedule`).
struct Constraint {
    key: String,
    max_skew: i64,
    /// How many Pods count in each part of the cluster.
    counts: BTreeMap<String, i64>,
    /// Whether the Pod itself counts.
    counts_itself: bool,
}

/// Where Pods are, as far as the rules of one Pod ask for it: found once for all nodes.
pub(super) struct Topology {
    constraints: Vec<Constraint>,
    /// Of each affinity term its key and the parts that have a Pod of it; whether the Pod itself fits its own terms.
    affinity: Vec<(String, Vec<String>)>,
    fits_itself: bool,
    /// The same of anti-affinity terms.
    anti: Vec<(String, Vec<String>)>,
    /// Parts that Pods which are there keep the Pod away from.
    existing: Vec<(String, String)>,
}

impl Topology {
    pub(super) fn of(pod: &Pod, nodes: &[Candidate<'_>], around: &dyn Surroundings) -> Self {
        let (affinity, anti) = (terms(pod, "podAffinity"), terms(pod, "podAntiAffinity"));
        let parts = |term: &Term| {
            let here = nodes
                .iter()
                .filter(|at| around.placed(&at.node.name).into_iter().any(|other| term.fits(other, around)));
            here.filter_map(|at| at.node.labels.get(&term.topology_key).cloned()).collect::<Vec<_>>()
        };
        let existing = if around.has_anti_affinity() { kept_away(pod, nodes, around) } else { Vec::new() };
        Self {
            constraints: constraints(pod, nodes, around),
            fits_itself: affinity.iter().all(|term| term.fits(pod, around)),
            affinity: affinity.iter().map(|term| (term.topology_key.clone(), parts(term))).collect(),
            anti: anti.iter().map(|term| (term.topology_key.clone(), parts(term))).collect(),
            existing,
        }
    }

    pub(super) fn why_not(&self, node: &NodeSpec) -> Option<Reasons> {
        self.uneven(node).or_else(|| self.unwanted(node))
    }

    fn uneven(&self, node: &NodeSpec) -> Option<Reasons> {
        const TEXT: &str = "node(s) didn't match pod topology spread constraints";
        for constraint in &self.constraints {
            let Some(part) = node.labels.get(&constraint.key) else {
                return Some(Reasons::fixed(format!("{TEXT} (missing required label)")));
            };
            let least = constraint.counts.values().min().copied().unwrap_or(0);
            let here = constraint.counts.get(part).copied().unwrap_or(0);
            if here + i64::from(constraint.counts_itself) - least > constraint.max_skew {
                return Some(Reasons::resolvable(TEXT));
            }
        }
        None
    }

    fn unwanted(&self, node: &NodeSpec) -> Option<Reasons> {
        // Without any Pod that fits, the first one of a group may go anywhere.
        let first = self.affinity.iter().all(|(_, parts)| parts.is_empty()) && self.fits_itself;
        let near = self
            .affinity
            .iter()
            .all(|(key, parts)| node.labels.get(key).is_some_and(|part| parts.contains(part) || first));
        if !near {
            return Some(Reasons::fixed("node(s) didn't match pod affinity rules"));
        }
        let within = |key: &String, part: &String| node.labels.get(key) == Some(part);
        if self.anti.iter().any(|(key, parts)| parts.iter().any(|part| within(key, part))) {
            return Some(Reasons::resolvable("node(s) didn't match pod anti-affinity rules"));
        }
        let away = self.existing.iter().any(|(key, part)| within(key, part));
        away.then(|| Reasons::resolvable("node(s) didn't satisfy existing pods anti-affinity rules"))
    }
}

/// Parts of the cluster that Pods which are there keep a Pod away from.
fn kept_away(pod: &Pod, nodes: &[Candidate<'_>], around: &dyn Surroundings) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    for at in nodes {
        for other in around.placed(&at.node.name) {
            for term in terms(other, "podAntiAffinity").iter().filter(|term| term.fits(pod, around)) {
                if let Some(part) = at.node.labels.get(&term.topology_key) {
                    parts.push((term.topology_key.clone(), part.clone()));
                }
            }
        }
    }
    parts
}

fn constraints(pod: &Pod, nodes: &[Candidate<'_>], around: &dyn Surroundings) -> Vec<Constraint> {
    let hard = |value: &&Value| value["whenUnsatisfiable"].as_str() != Some("ScheduleAnyway");
    let written: Vec<&Value> = pod.spec.topology_spread_constraints.iter().filter(hard).collect();
    let key = |value: &Value| value["topologyKey"].as_str().unwrap_or("").to_owned();
    let keys: Vec<String> = written.iter().map(|value| key(value)).collect();
    let one = |value: &&Value| {
        let selector = selector_of(&value["labelSelector"]).unwrap_or_default();
        let honors_taints = value["nodeTaintsPolicy"].as_str() == Some("Honor");
        let ignores_affinity = value["nodeAffinityPolicy"].as_str() == Some("Ignore");
        let counts = |other: &Pod| {
            other.metadata.namespace == pod.metadata.namespace
                && !selector.is_empty()
                && selector.matches(&other.metadata.labels)
        };
        let mut found: BTreeMap<String, i64> = BTreeMap::new();
        for at in nodes {
            // Nodes count that have all the keys and that the Pod could go to by its own rules.
            let all = keys.iter().all(|key| at.node.labels.contains_key(key));
            let effects = [TaintEffect::NoSchedule, TaintEffect::NoExecute];
            let open = !honors_taints || untolerated(pod, at.node, &effects).is_none();
            if !all || !open || !(ignores_affinity || node_fits(pod, at.node)) {
                continue;
            }
            let here = around.placed(&at.node.name).into_iter().filter(|other| counts(other)).count();
            *found.entry(at.node.labels[&key(value)].clone()).or_default() += here as i64;
        }
        Constraint {
            key: key(value),
            max_skew: value["maxSkew"].as_i64().unwrap_or(1),
            counts_itself: counts(pod),
            counts: found,
        }
    };
    written.iter().map(one).collect()
}
