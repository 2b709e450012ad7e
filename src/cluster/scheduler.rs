//! Which node a Pod goes to (kube-scheduler). *Simulated*: nodeSelector, taints and tolerations, unschedulable nodes,
//! spreading by the number of Pods. *Not modelled*: resources, affinity, priorities.

use crate::api::{NodeSpec, Pod, Taint, TaintEffect, Toleration};
use std::collections::BTreeMap;

/// A node as the scheduler sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The node.
    pub node: &'a NodeSpec,
    /// Pods bound to it.
    pub pods: usize,
}

/// Chooses a node, or says why none fits, in the words of the event `FailedScheduling`.
pub fn schedule(pod: &Pod, nodes: &[Candidate<'_>]) -> Result<String, String> {
    if nodes.is_empty() {
        return Err("no nodes available to schedule pods".to_owned());
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<&Candidate<'_>> = None;
    for candidate in nodes {
        match why_not(pod, candidate.node) {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None if best.is_none_or(|best| candidate.pods < best.pods) => best = Some(candidate),
            None => {}
        }
    }
    match best {
        Some(candidate) => Ok(candidate.node.name.clone()),
        None => Err(failed_scheduling(nodes.len(), &reasons)),
    }
}

/// The first filter that rejects the node, in the order of the default profile.
fn why_not(pod: &Pod, node: &NodeSpec) -> Option<String> {
    if node.unschedulable {
        return Some("node(s) were unschedulable".to_owned());
    }
    let untolerated = |taint: &&Taint| {
        matches!(taint.effect, TaintEffect::NoSchedule | TaintEffect::NoExecute)
            && !pod.spec.tolerations.iter().any(|toleration| tolerates(toleration, taint))
    };
    if let Some(taint) = node.taints.iter().find(untolerated) {
        let value = taint.value.as_deref().unwrap_or("");
        return Some(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key));
    }
    let selected = pod.spec.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value));
    (!selected).then(|| "node(s) didn't match Pod's node affinity/selector".to_owned())
}

/// `Toleration.ToleratesTaint`.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect =
        toleration.effect.as_deref().is_none_or(|effect| effect.is_empty() || effect == taint.effect.name());
    let key = toleration.key.as_deref().unwrap_or("");
    let exists = toleration.operator.as_deref() == Some("Exists");
    let value = exists || toleration.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or("");
    effect && ((key.is_empty() && exists) || (key == taint.key && value))
}

/// The histogram of reasons, each formatted first and then sorted as a string.
fn failed_scheduling(total: usize, reasons: &BTreeMap<String, usize>) -> String {
    let mut items: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    items.sort();
    format!(
        "0/{total} nodes are available: {}. preemption: 0/{total} nodes are available: {total} Preemption is not helpful for scheduling.",
        items.join(", ")
    )
}
