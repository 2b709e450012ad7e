//! What policies say of a packet: for each direction whether the Pod is isolated, and which policy admits it.

use super::{End, Packet, Scope};
use crate::api::{NamespacedName, PolicyType};

/// What policies say of a packet in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Policies do not govern this end: it is outside the cluster, a node, or reached by its own node.
    NotGoverned,
    /// No policy isolates the Pod in this direction.
    NotIsolated,
    /// The Pod is isolated, and this rule admits the packet.
    Admits(Applied),
    /// The Pod is isolated by these policies, and none of them admits the packet.
    NoneAdmits(Vec<NamespacedName>),
}

/// The rule that admits a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The policy.
    pub policy: NamespacedName,
    /// Path of the rule in the policy: `spec.ingress[0]`.
    pub path: String,
}

/// What policies say of a packet: both directions have to let it pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What holds for the source.
    pub egress: Verdict,
    /// What holds for the destination.
    pub ingress: Verdict,
}

impl Verdict {
    /// Whether the packet passes.
    pub fn passes(&self) -> bool {
        match self {
            Self::NotGoverned | Self::NotIsolated | Self::Admits(_) => true,
            Self::NoneAdmits(_) => false,
        }
    }
}

impl Answer {
    /// Whether the packet passes.
    pub fn passes(&self) -> bool {
        self.egress.passes() && self.ingress.passes()
    }
}

/// What the policies of `scope` say of a packet that begins a connection; its replies pass with it.
pub fn decide(scope: &Scope<'_>, packet: &Packet) -> Answer {
    // What a Pod sends to itself never leaves it.
    if packet.src == packet.dst {
        return Answer { egress: Verdict::NotGoverned, ingress: Verdict::NotGoverned };
    }
    let ingress = if from_own_node(scope, packet) {
        Verdict::NotGoverned
    } else {
        one_way(scope, packet, packet.dst, PolicyType::Ingress)
    };
    Answer { egress: one_way(scope, packet, packet.src, PolicyType::Egress), ingress }
}

/// Whether a Pod of the node's own network calls a Pod of the same node, which always passes, as the kubelet's probes
/// have to.
fn from_own_node(scope: &Scope<'_>, packet: &Packet) -> bool {
    let (End::Pod(src), End::Pod(dst)) = (packet.src, packet.dst) else { return false };
    let (src, dst) = (&scope.pods[src], &scope.pods[dst]);
    !src.is_selectable() && src.node == dst.node
}

fn one_way(scope: &Scope<'_>, packet: &Packet, end: End, direction: PolicyType) -> Verdict {
    let End::Pod(at) = end else { return Verdict::NotGoverned };
    if !scope.pods[at].is_selectable() {
        return Verdict::NotGoverned;
    }
    let mut isolating = Vec::new();
    for policy in scope.isolating(at, direction) {
        let name = policy.metadata.namespaced_name();
        if let Some(rule) = scope.admitting_rule(policy, direction, packet) {
            let way = if direction == PolicyType::Ingress { "ingress" } else { "egress" };
            return Verdict::Admits(Applied { policy: name, path: format!("spec.{way}[{rule}]") });
        }
        isolating.push(name);
    }
    if isolating.is_empty() { Verdict::NotIsolated } else { Verdict::NoneAdmits(isolating) }
}
