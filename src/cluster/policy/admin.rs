//! Policies of the administrators as a plug-in takes them (Calico's conversion, `K8sAdminNetworkPolicyToCalico`). What it
//! does not understand (`nodes`, `domainNames`, ports by name) closes the way: such a rule that denies or passes on
//! denies everything, and one that allows is left out.

use super::{End, Packet, Scope, block_contains};
use crate::api::{
    AdminAction, AdminNetworkPolicy, AdminPeer, AdminPort, AdminRule, AdminTier, IpBlock, PolicyPeer,
    PolicyPort, PolicyType,
};

/// A rule as the plug-in has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its place in the policy.
    pub index: usize,
    /// What happens.
    pub action: AdminAction,
    /// The other ends.
    pub peers: Vec<Far>,
    /// Ports; none for all of every protocol.
    pub ports: Vec<PolicyPort>,
}

/// The other end of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Far {
    /// Everybody.
    Any,
    /// Pods.
    Pods(PolicyPeer),
    /// Ranges of addresses.
    Networks(Vec<String>),
}

/// The rules of one direction as the plug-in has them.
pub fn taken(policy: &AdminNetworkPolicy, direction: PolicyType) -> Vec<Taken> {
    let rules = policy.rules(direction).iter().enumerate();
    rules.filter_map(|(index, rule)| understood(index, rule).or_else(|| closed(index, rule.action))).collect()
}

fn understood(index: usize, rule: &AdminRule) -> Option<Taken> {
    if rule.not_understood("").is_some() {
        return None;
    }
    let peers = rule.peers.iter().map(far).collect();
    let ports = rule.ports.iter().filter_map(AdminPort::as_policy_port).collect();
    Some(Taken { index, action: rule.action, peers, ports })
}

fn far(peer: &AdminPeer) -> Far {
    peer.as_peer().map_or_else(|| Far::Networks(peer.networks.clone()), Far::Pods)
}

/// What stands for a rule that is not understood (`k8sANPHandleFailedRules`).
fn closed(index: usize, action: AdminAction) -> Option<Taken> {
    match action {
        AdminAction::Allow => None,
        AdminAction::Deny | AdminAction::Pass => {
            Some(Taken { index, action: AdminAction::Deny, peers: vec![Far::Any], ports: Vec::new() })
        }
    }
}

impl<'a> Scope<'a> {
    /// The policies of a tier that have rules of a direction and apply to a Pod, in the order in which they are asked.
    pub fn admin_of(
        &self,
        at: usize,
        tier: AdminTier,
        direction: PolicyType,
    ) -> impl Iterator<Item = &'a AdminNetworkPolicy> {
        self.admin.iter().copied().filter(move |policy| {
            policy.tier == tier
                && !taken(policy, direction).is_empty()
                && self.peer_is_pod("", &policy.spec.subject.as_peer(), at)
        })
    }

    /// The first rule of a tier that fits a packet: its policy, its place and what happens.
    pub(super) fn admin_rule(
        &self,
        at: usize,
        (tier, direction): (AdminTier, PolicyType),
        packet: &Packet,
    ) -> Option<(&'a AdminNetworkPolicy, Taken)> {
        let other = match direction {
            PolicyType::Ingress => packet.src,
            PolicyType::Egress => packet.dst,
        };
        self.admin_of(at, tier, direction).find_map(|policy| {
            let fits = |rule: &Taken| {
                rule.peers.iter().any(|peer| self.far_is(peer, other))
                    && (rule.ports.is_empty() || rule.ports.iter().any(|port| self.port_is(port, packet)))
            };
            taken(policy, direction).into_iter().find(fits).map(|rule| (policy, rule))
        })
    }

    fn far_is(&self, far: &Far, end: End) -> bool {
        match (far, end) {
            (Far::Any, _) => true,
            (Far::Pods(peer), End::Pod(at)) => self.peer_is_pod("", peer, at),
            (Far::Pods(_), End::Address(_)) => false,
            (Far::Networks(ranges), _) => ranges.iter().any(|range| {
                let block = IpBlock { cidr: range.clone(), except: Vec::new() };
                block_contains(&block, self.address(end))
            }),
        }
    }
}
