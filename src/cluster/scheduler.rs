//! The scheduler: the default plug-ins' filters in their order, each with its reason
//! (`pkg/scheduler/framework/plugins`), and the message when none fits (`framework.FitError`).
//!
//! *Simplified*: of the scores only what users write is looked at (taints that are better avoided, preferred node
//! affinity); beyond that the node with the fewest Pods is chosen, and of equal ones the first.

mod affinity;
mod preemption;
mod resources;

pub use preemption::{Budget, Preemption, preempt};

use crate::api::{NodeSpec, Pod, Taint, TaintEffect, Toleration};
use preemption::Seen;
use serde_json::Value;
use std::collections::BTreeMap;

/// A node that a Pod might go to.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The node.
    pub node: &'a NodeSpec,
    /// How many Pods are bound to it.
    pub pods: usize,
}

/// What the scheduler asks of the rest of the cluster, only where a Pod or a node makes it look.
pub trait Surroundings {
    /// The Pods bound to a node.
    fn placed(&self, node: &str) -> Vec<&Pod>;
    /// Labels of a namespace.
    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String>;
    /// Whether any Pod keeps others away from itself.
    fn has_anti_affinity(&self) -> bool;
    /// Why the claims that a Pod mounts hold it back.
    fn claims(&self, pod: &Pod) -> Option<String>;
    /// Why the volumes of a Pod's claims cannot be had on a node (`VolumeBinding.Filter`).
    fn volumes(&self, pod: &Pod, node: &NodeSpec) -> Option<&'static str>;
    /// The Pods for which others are taken away from a node.
    fn nominated(&self, node: &str) -> Vec<&Pod>;
    /// `status.startTime` of a Pod in seconds since 1970; `None` for one that its kubelet has not taken yet.
    fn start_secs(&self, pod: &Pod) -> Option<u64>;
}

/// Why a node does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons {
    /// The reasons of the first filter that refused.
    pub texts: Vec<String>,
    /// Whether taking other Pods away could help.
    pub resolvable: bool,
}

impl Reasons {
    fn fixed(text: impl Into<String>) -> Self {
        Self { texts: vec![text.into()], resolvable: false }
    }

    fn resolvable(text: impl Into<String>) -> Self {
        Self { texts: vec![text.into()], resolvable: true }
    }
}

/// Why there is no node for a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// How many nodes have each reason.
    reasons: String,
    /// What would be gained by taking other Pods away, as long as nothing is.
    preemption: String,
}

impl Unfit {
    /// The message of the Event `FailedScheduling`, after other Pods were asked to go.
    pub fn after_preemption(self) -> String {
        self.reasons
    }

    /// The message where nobody goes, for this reason if there is one of the Pod's own.
    pub fn alone(self, why: Option<&str>) -> String {
        match why {
            Some(why) => format!("{} preemption: {why}", self.reasons),
            None => self.reasons + &self.preemption,
        }
    }
}

/// Chooses a node, or says why there is none.
pub fn schedule(pod: &Pod, nodes: &[Candidate<'_>], around: &dyn Surroundings) -> Result<String, Unfit> {
    if nodes.is_empty() {
        let reasons = "no nodes available to schedule pods".to_owned();
        return Err(Unfit { reasons, preemption: String::new() });
    }
    let around: &dyn Surroundings = &Seen::Beside(around, pod);
    if let Some(reason) = around.claims(pod) {
        let refused = vec![Reasons::fixed(reason.clone()); nodes.len()];
        return Err(failed_scheduling(&refused, Some(&reason)));
    }
    let spread = affinity::Topology::of(pod, nodes, around);
    let mut refused = Vec::new();
    let mut best: Option<((usize, i64, usize), &Candidate<'_>)> = None;
    for candidate in nodes {
        let reasons = why_not(pod, candidate.node, around);
        if let Some(reasons) = reasons.or_else(|| spread.why_not(candidate.node)) {
            refused.push(reasons);
            continue;
        }
        let preferred = affinity::preferred(pod, candidate.node);
        let score = (avoided(pod, candidate.node), -preferred, candidate.pods);
        if best.as_ref().is_none_or(|(least, _)| score < *least) {
            best = Some((score, candidate));
        }
    }
    match best {
        Some((_, candidate)) => Ok(candidate.node.name.clone()),
        None => Err(failed_scheduling(&refused, None)),
    }
}

/// The filters that look at the node and the Pods on it, in the order of the default plug-ins.
fn why_not(pod: &Pod, node: &NodeSpec, around: &dyn Surroundings) -> Option<Reasons> {
    let cordoned = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: TaintEffect::NoSchedule,
        ..Taint::default()
    };
    if node.unschedulable && !is_tolerated(pod, &cordoned) {
        return Some(Reasons::fixed("node(s) were unschedulable"));
    }
    if pod.spec.node_name.as_ref().is_some_and(|name| *name != node.name) {
        return Some(Reasons::fixed("node(s) didn't match the requested node name"));
    }
    if let Some(taint) = untolerated(pod, node, &[TaintEffect::NoSchedule, TaintEffect::NoExecute]) {
        let value = taint.value.as_deref().unwrap_or("");
        return Some(Reasons::fixed(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)));
    }
    if !affinity::node_fits(pod, node) {
        return Some(Reasons::fixed("node(s) didn't match Pod's node affinity/selector"));
    }
    if ports_conflict(pod, node, around) {
        return Some(Reasons::resolvable("node(s) didn't have free ports for the requested pod ports"));
    }
    let lacking = resources::insufficient(pod, node, around);
    if !lacking.is_empty() {
        return Some(Reasons { texts: lacking, resolvable: true });
    }
    around.volumes(pod, node).map(Reasons::fixed)
}

/// Whether a node has what a volume's `nodeAffinity` asks for.
pub fn volume_fits(affinity: &Value, node: &NodeSpec) -> bool {
    let terms = affinity["required"]["nodeSelectorTerms"].as_array();
    terms.is_none_or(|terms| terms.iter().any(|term| affinity::term_fits(term, node)))
}

/// A port of a node that a Pod takes: protocol, address, number.
fn host_ports(pod: &Pod) -> Vec<(crate::api::Protocol, String, u16)> {
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let ports = containers.flat_map(|container| &container.ports);
    let taken = ports.filter_map(|port| {
        // In the node's network namespace every port is the node's.
        let number = port.host_port.or(pod.spec.host_network.then_some(port.container_port))?;
        let address =
            port.host_ip.clone().filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned());
        (number != 0).then_some((port.protocol, address, number))
    });
    taken.collect()
}

/// Whether a port that a Pod wants of a node is taken there (`HostPortInfo.CheckConflict`): the same number and protocol
/// on the same address or on all of them.
pub fn ports_conflict(pod: &Pod, node: &NodeSpec, around: &dyn Surroundings) -> bool {
    let wanted = host_ports(pod);
    if wanted.is_empty() {
        return false;
    }
    let every = |address: &str| address == "0.0.0.0";
    around.placed(&node.name).into_iter().flat_map(host_ports).any(|(protocol, address, number)| {
        wanted.iter().any(|(other, on, at)| {
            (*other, *at) == (protocol, number) && (*on == address || every(on) || every(&address))
        })
    })
}

/// The first taint with one of these effects that a Pod does not tolerate.
pub fn untolerated<'n>(pod: &Pod, node: &'n NodeSpec, effects: &[TaintEffect]) -> Option<&'n Taint> {
    node.taints.iter().find(|taint| effects.contains(&taint.effect) && !is_tolerated(pod, taint))
}

fn is_tolerated(pod: &Pod, taint: &Taint) -> bool {
    pod.spec.tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// How many taints of a node say that it had better be avoided.
fn avoided(pod: &Pod, node: &NodeSpec) -> usize {
    let soft = |taint: &&Taint| taint.effect == TaintEffect::PreferNoSchedule && !is_tolerated(pod, taint);
    node.taints.iter().filter(soft).count()
}

/// Whether a toleration covers a taint (`Toleration.ToleratesTaint`).
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect =
        toleration.effect.as_deref().is_none_or(|effect| effect.is_empty() || effect == taint.effect.name());
    let key = toleration.key.as_deref().unwrap_or("");
    let exists = toleration.operator.as_deref() == Some("Exists");
    let value = exists || toleration.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or("");
    effect && ((key.is_empty() && exists) || (key == taint.key && value))
}

/// Whether a DaemonSet's Pod is to be on a node, and whether one that is there stays (`NodeShouldRunDaemonPod`).
pub fn daemon_fits(pod: &Pod, node: &NodeSpec) -> (bool, bool) {
    if pod.spec.node_name.as_ref().is_some_and(|name| *name != node.name) || !affinity::node_fits(pod, node) {
        return (false, false);
    }
    let all = [TaintEffect::NoSchedule, TaintEffect::NoExecute];
    let stays = untolerated(pod, node, &[TaintEffect::NoExecute]).is_none();
    (untolerated(pod, node, &all).is_none(), stays)
}

/// What a kubelet finds wrong with a Pod that was bound to its node without asking the scheduler: the reason and the
/// message of the Pod's status (`lifecycle.predicateAdmitHandler`).
pub fn refused_by_kubelet(pod: &Pod, node: &NodeSpec, around: &dyn Surroundings) -> Option<(String, String)> {
    let predicate = |name: &str, why: &str| (name.to_owned(), format!("Predicate {name} failed: {why}"));
    let lacking = resources::shortages(pod, node, around);
    if let Some(shortage) = lacking.first() {
        let message = format!(
            "Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}",
            shortage.resource, shortage.requested, shortage.used, shortage.capacity
        );
        return Some((format!("OutOf{}", shortage.resource), message));
    }
    if !affinity::node_fits(pod, node) {
        return Some(predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector"));
    }
    if ports_conflict(pod, node, around) {
        return Some(predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports"));
    }
    untolerated(pod, node, &[TaintEffect::NoExecute])
        .map(|_| predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate"))
}

/// The message of `FitError`: how many nodes have each reason, the lines sorted as text, and what preemption found.
fn failed_scheduling(refused: &[Reasons], all: Option<&str>) -> Unfit {
    let total = refused.len();
    let histogram = |texts: Vec<String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for text in texts {
            *counts.entry(text).or_default() += 1;
        }
        let mut lines: Vec<String> = counts.iter().map(|(text, count)| format!("{count} {text}")).collect();
        lines.sort();
        lines.join(", ")
    };
    let reasons = match all {
        Some(reason) => reason.to_owned(),
        None => histogram(refused.iter().flat_map(|reasons| reasons.texts.clone()).collect()),
    };
    let preempted = |reasons: &Reasons| {
        let text = if reasons.resolvable {
            "No preemption victims found for incoming pod"
        } else {
            "Preemption is not helpful for scheduling"
        };
        text.to_owned()
    };
    let preemption = histogram(refused.iter().map(preempted).collect());
    Unfit {
        reasons: format!("0/{total} nodes are available: {reasons}."),
        preemption: format!(" preemption: 0/{total} nodes are available: {preemption}."),
    }
}

/// Whether an expression of the form of a node selector requirement fits a value.
fn expression_fits(operator: &str, values: &[Value], value: Option<&str>) -> bool {
    let listed = || value.is_some_and(|value| values.iter().any(|each| each.as_str() == Some(value)));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let bound = || number(values.first().and_then(Value::as_str));
    match operator {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number(value).zip(bound()).is_some_and(|(value, bound)| value > bound),
        "Lt" => number(value).zip(bound()).is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}
