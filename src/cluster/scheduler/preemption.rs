//! Preemption (`pkg/scheduler/framework/plugins/defaultpreemption`): which Pods of lower priority go so that another one
//! fits.
//!
//! *Simplified*: disruption budgets are not looked at, and of equal victims those of the first node go.

use super::affinity::Topology;
use super::{Candidate, Surroundings, why_not};
use crate::api::{NodeSpec, Pod};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Pods that are to go from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preemption {
    /// The node.
    pub node: String,
    /// Namespace and name of each.
    pub victims: Vec<(String, String)>,
}

/// The priority that admission gave a Pod.
pub(super) fn priority(pod: &Pod) -> i32 {
    pod.spec.priority.unwrap_or(0)
}

fn is_same(one: &Pod, other: &Pod) -> bool {
    let id = |pod: &Pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone());
    id(one) == id(other)
}

/// The cluster as another one sees it.
pub(super) enum Seen<'a> {
    /// Without these Pods.
    Without(&'a dyn Surroundings, Vec<&'a Pod>),
    /// With those Pods of no lower priority that wait for room on a node, but for the Pod itself.
    Beside(&'a dyn Surroundings, &'a Pod),
}

impl Seen<'_> {
    fn all(&self) -> &dyn Surroundings {
        match self {
            Self::Without(all, _) | Self::Beside(all, _) => *all,
        }
    }
}

impl Surroundings for Seen<'_> {
    fn placed(&self, node: &str) -> Vec<&Pod> {
        let mut placed = self.all().placed(node);
        match self {
            Self::Without(_, gone) => placed.retain(|pod| !gone.iter().any(|one| is_same(one, pod))),
            Self::Beside(all, own) => {
                let waiting = all.nominated(node).into_iter();
                placed.extend(waiting.filter(|pod| priority(pod) >= priority(own) && !is_same(pod, own)));
            }
        }
        placed
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.all().namespace_labels(namespace)
    }

    fn has_anti_affinity(&self) -> bool {
        self.all().has_anti_affinity()
    }

    fn claims(&self, pod: &Pod) -> Option<String> {
        self.all().claims(pod)
    }

    fn nominated(&self, node: &str) -> Vec<&Pod> {
        self.all().nominated(node)
    }
}

/// Chooses the node on which the least important Pods would go (`pickOneNodeForPreemption`): the highest of their
/// priorities counts first, then their sum, then their number.
pub fn preempt(pod: &Pod, nodes: &[Candidate<'_>], around: &dyn Surroundings) -> Option<Preemption> {
    let rank = |victims: &[&Pod]| {
        let priorities = || victims.iter().map(|victim| i64::from(priority(victim)));
        (priorities().max(), priorities().map(|one| one - i64::from(i32::MIN)).sum::<i64>(), victims.len())
    };
    let offers =
        nodes.iter().filter_map(|candidate| Some((candidate, victims(pod, candidate.node, nodes, around)?)));
    let (candidate, victims) = offers.min_by_key(|(_, victims)| rank(victims))?;
    let id = |pod: &&Pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone());
    Some(Preemption { node: candidate.node.name.clone(), victims: victims.iter().map(id).collect() })
}

/// The Pods that have to go from a node: all of lower priority, less those without which it works as well, the most
/// important ones first (`SelectVictimsOnNode`).
fn victims<'a>(
    pod: &Pod,
    node: &NodeSpec,
    nodes: &[Candidate<'_>],
    around: &'a dyn Surroundings,
) -> Option<Vec<&'a Pod>> {
    let fits = |gone: &[&'a Pod]| {
        let rest = Seen::Without(around, gone.to_vec());
        why_not(pod, node, &rest).is_none() && Topology::of(pod, nodes, &rest).why_not(node).is_none()
    };
    let mut gone = around.placed(&node.name);
    gone.retain(|other| priority(other) < priority(pod));
    if gone.is_empty() || !fits(&gone) {
        return None;
    }
    gone.sort_by_key(|other| Reverse(priority(other)));
    for other in gone.clone() {
        let rest: Vec<&Pod> = gone.iter().copied().filter(|one| !is_same(one, other)).collect();
        if fits(&rest) {
            gone = rest;
        }
    }
    Some(gone)
}
