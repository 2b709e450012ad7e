//! What policies say of a packet: for each direction whether the Pod is isolated, and which policy admits it.

use super::{End, Packet, Scope};
use crate::api::{AdminAction, AdminTier, NamespacedName, PolicyType};

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
    /// This rule of the administrators allows the packet, whatever network policies say.
    Allows(Applied),
    /// This rule of the administrators denies the packet.
    Denies(Applied),
}

/// The rule that decides about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Kind of the policy.
    pub kind: &'static str,
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
    /// Rules of the administrators that passed the packet on to network policies: of egress, of ingress.
    pub passed_on: [Option<Applied>; 2],
}

impl Verdict {
    /// Whether the packet passes.
    pub fn passes(&self) -> bool {
        match self {
            Self::NotGoverned | Self::NotIsolated | Self::Admits(_) | Self::Allows(_) => true,
            Self::NoneAdmits(_) | Self::Denies(_) => false,
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
        return Answer {
            egress: Verdict::NotGoverned,
            ingress: Verdict::NotGoverned,
            passed_on: [None, None],
        };
    }
    let (ingress, passed_in) = if from_own_node(scope, packet) {
        (Verdict::NotGoverned, None)
    } else {
        one_way(scope, packet, packet.dst, PolicyType::Ingress)
    };
    let (egress, passed_out) = one_way(scope, packet, packet.src, PolicyType::Egress);
    Answer { egress, ingress, passed_on: [passed_out, passed_in] }
}

/// Whether a Pod of the node's own network calls a Pod of the same node, which always passes, as the kubelet's probes
/// have to.
fn from_own_node(scope: &Scope<'_>, packet: &Packet) -> bool {
    let (End::Pod(src), End::Pod(dst)) = (packet.src, packet.dst) else { return false };
    let (src, dst) = (&scope.pods[src], &scope.pods[dst]);
    !src.is_selectable() && src.node == dst.node
}

/// Administrators' policies first, in the order of their priorities; then network policies; then, where none of these
/// isolates the Pod, the baseline.
fn one_way(
    scope: &Scope<'_>,
    packet: &Packet,
    end: End,
    direction: PolicyType,
) -> (Verdict, Option<Applied>) {
    let End::Pod(at) = end else { return (Verdict::NotGoverned, None) };
    if !scope.pods[at].is_selectable() {
        return (Verdict::NotGoverned, None);
    }
    let mut passed_on = None;
    if let Some((action, rule)) = administrators(scope, packet, at, (AdminTier::Admin, direction)) {
        match action {
            AdminAction::Allow => return (Verdict::Allows(rule), None),
            AdminAction::Deny => return (Verdict::Denies(rule), None),
            AdminAction::Pass => passed_on = Some(rule),
        }
    }
    let verdict = network_policies(scope, packet, at, direction);
    if verdict != Verdict::NotIsolated {
        return (verdict, passed_on);
    }
    let verdict = match administrators(scope, packet, at, (AdminTier::Baseline, direction)) {
        Some((AdminAction::Allow, rule)) => Verdict::Allows(rule),
        Some((AdminAction::Deny, rule)) => Verdict::Denies(rule),
        Some((AdminAction::Pass, _)) | None => Verdict::NotIsolated,
    };
    (verdict, passed_on)
}

fn administrators(
    scope: &Scope<'_>,
    packet: &Packet,
    at: usize,
    (tier, direction): (AdminTier, PolicyType),
) -> Option<(AdminAction, Applied)> {
    let (policy, rule) = scope.admin_rule(at, (tier, direction), packet)?;
    let path = format!("spec.{}[{}]", field(direction), rule.index);
    Some((rule.action, Applied { kind: tier.kind(), policy: policy.metadata.namespaced_name(), path }))
}

fn field(direction: PolicyType) -> &'static str {
    match direction {
        PolicyType::Ingress => "ingress",
        PolicyType::Egress => "egress",
    }
}

fn network_policies(scope: &Scope<'_>, packet: &Packet, at: usize, direction: PolicyType) -> Verdict {
    let mut isolating = Vec::new();
    for policy in scope.isolating(at, direction) {
        let name = policy.metadata.namespaced_name();
        if let Some(rule) = scope.admitting_rule(policy, direction, packet) {
            let path = format!("spec.{}[{rule}]", field(direction));
            return Verdict::Admits(Applied { kind: "NetworkPolicy", policy: name, path });
        }
        isolating.push(name);
    }
    if isolating.is_empty() { Verdict::NotIsolated } else { Verdict::NoneAdmits(isolating) }
}
