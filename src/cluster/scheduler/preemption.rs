//! Preemption (`pkg/scheduler/framework/plugins/defaultpreemption`): which Pods of lower priority go so that another one
//! fits.

use super::affinity::Topology;
use super::{Candidate, Surroundings, why_not};
use crate::api::{LabelSelector, NodeSpec, Pod};
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

/// A disruption budget as the scheduler reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its namespace.
    pub namespace: String,
    /// The Pods that it is about. An empty selector means none here, other than for evictions.
    pub selector: LabelSelector,
    /// `status.disruptionsAllowed`.
    pub allowed: i64,
}

impl Budget {
    fn covers(&self, pod: &Pod) -> bool {
        let is_empty = self.selector.match_labels.is_empty() && self.selector.match_expressions.is_empty();
        let labels = &pod.metadata.labels;
        !is_empty
            && !labels.is_empty()
            && self.namespace == pod.metadata.namespace
            && self.selector.matches(labels)
    }
}

/// The priority that admission gave a Pod.
pub(super) fn priority(pod: &Pod) -> i32 {
    pod.spec.priority.unwrap_or(0)
}

/// When a Pod began; one that has not begun counts as beginning now (`GetPodStartTime`).
fn began(around: &dyn Surroundings, pod: &Pod) -> u64 {
    around.start_secs(pod).unwrap_or(u64::MAX)
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

    fn volumes(&self, pod: &Pod, node: &NodeSpec) -> Option<&'static str> {
        self.all().volumes(pod, node)
    }

    fn nominated(&self, node: &str) -> Vec<&Pod> {
        self.all().nominated(node)
    }

    fn start_secs(&self, pod: &Pod) -> Option<u64> {
        self.all().start_secs(pod)
    }
}

/// Chooses the node on which the least important Pods would go (`pickOneNodeForPreemption`): the number of them that a
/// disruption budget keeps counts first, then the highest of their priorities, then their sum, then their number, then how
/// long those of the highest priority have run: the longest-running of them should have begun as late as possible.
pub fn preempt(
    pod: &Pod,
    nodes: &[Candidate<'_>],
    (around, budgets): (&dyn Surroundings, &[Budget]),
) -> Option<Preemption> {
    let rank = |(victims, n_kept): &(Vec<&Pod>, usize)| {
        let priorities = || victims.iter().map(|victim| i64::from(priority(victim)));
        let sum = priorities().map(|one| one - i64::from(i32::MIN)).sum::<i64>();
        let highest = priorities().max();
        let those = victims.iter().filter(|victim| Some(i64::from(priority(victim))) == highest);
        let earliest = those.map(|victim| began(around, victim)).min();
        (*n_kept, highest, sum, victims.len(), Reverse(earliest))
    };
    let offers = nodes
        .iter()
        .filter_map(|candidate| Some((candidate, victims(pod, candidate.node, nodes, (around, budgets))?)));
    let (candidate, (victims, _)) = offers.min_by_key(|(_, offer)| rank(offer))?;
    let id = |pod: &&Pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone());
    Some(Preemption { node: candidate.node.name.clone(), victims: victims.iter().map(id).collect() })
}

/// Pods that a budget would keep, and the others, each in their order (`filterPodsWithPDBViolation`): every Pod takes one
/// of what its budgets allow.
fn kept_by<'a>(pods: &[&'a Pod], budgets: &[Budget]) -> (Vec<&'a Pod>, Vec<&'a Pod>) {
    let mut allowed: Vec<i64> = budgets.iter().map(|budget| budget.allowed).collect();
    pods.iter().partition(|pod| {
        let mut is_kept = false;
        for (_, left) in budgets.iter().zip(&mut allowed).filter(|(budget, _)| budget.covers(pod)) {
            *left -= 1;
            is_kept |= *left < 0;
        }
        is_kept
    })
}

/// The Pods that have to go from a node, and how many of them a budget keeps: all of lower priority, less those without
/// which it works as well; those that a budget keeps are tried first, then the most important ones, which have the highest
/// priority and of one priority began first (`SelectVictimsOnNode`, `MoreImportantPod`).
fn victims<'a>(
    pod: &Pod,
    node: &NodeSpec,
    nodes: &[Candidate<'_>],
    (around, budgets): (&'a dyn Surroundings, &[Budget]),
) -> Option<(Vec<&'a Pod>, usize)> {
    let fits = |gone: &[&'a Pod]| {
        let rest = Seen::Without(around, gone.to_vec());
        why_not(pod, node, &rest).is_none() && Topology::of(pod, nodes, &rest).why_not(node).is_none()
    };
    let mut gone = around.placed(&node.name);
    gone.retain(|other| priority(other) < priority(pod));
    if gone.is_empty() || !fits(&gone) {
        return None;
    }
    gone.sort_by_key(|other| (Reverse(priority(other)), began(around, other)));
    let (kept, others) = kept_by(&gone, budgets);
    let mut n_kept = 0;
    for (at, other) in kept.iter().chain(&others).enumerate() {
        let rest: Vec<&Pod> = gone.iter().copied().filter(|one| !is_same(one, other)).collect();
        if fits(&rest) {
            gone = rest;
        } else {
            n_kept += usize::from(at < kept.len());
        }
    }
    Some((gone, n_kept))
}
