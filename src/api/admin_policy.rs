//! `AdminNetworkPolicy` and `BaselineAdminNetworkPolicy` (`policy.networking.k8s.io/v1alpha1`, SIG Network's
//! network-policy-api): rules of the cluster's administrators, asked in order before network policies and after them.

use super::{LabelSelector, ObjectMeta, PolicyPeer, PolicyPort, PolicyType, PortRef, Protocol};
use serde::Deserialize;

/// A policy of the cluster's administrators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminNetworkPolicy {
    /// Whether it is asked before network policies or after them, as its kind says.
    #[serde(skip)]
    pub tier: AdminTier,
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: AdminPolicySpec,
}

/// When a policy of the administrators is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdminTier {
    /// Before network policies: `AdminNetworkPolicy`.
    #[default]
    Admin,
    /// After them, where none isolates the Pod: `BaselineAdminNetworkPolicy`.
    Baseline,
}

impl AdminTier {
    /// The kind of the policies that are asked then.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Admin => "AdminNetworkPolicy",
            Self::Baseline => "BaselineAdminNetworkPolicy",
        }
    }
}

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminPolicySpec {
    /// 0 to 1000; the lowest is asked first. The baseline has none.
    pub priority: i32,
    /// The Pods that it applies to.
    pub subject: AdminPods,
    /// Rules about traffic to those Pods; the first one that fits decides.
    pub ingress: Vec<AdminRule>,
    /// Rules about traffic from those Pods; the first one that fits decides.
    pub egress: Vec<AdminRule>,
}

/// Pods by one of two ways; exactly one is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminPods {
    /// All Pods of these namespaces.
    pub namespaces: Option<LabelSelector>,
    /// These Pods of these namespaces.
    pub pods: Option<NamespacedPods>,
}

/// Pods of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespacedPods {
    /// The namespaces; empty for all.
    pub namespace_selector: LabelSelector,
    /// The Pods in them; empty for all.
    pub pod_selector: LabelSelector,
}

/// What happens to traffic that a rule fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum AdminAction {
    /// It passes, whatever stands behind.
    Allow,
    /// It is dropped, whatever stands behind.
    #[default]
    Deny,
    /// The further rules of administrators are passed over: network policies decide, and after them the baseline.
    Pass,
}

/// A rule: traffic of any of these peers at any of these ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminRule {
    /// A name for it, of which nothing depends.
    pub name: Option<String>,
    /// What happens.
    pub action: AdminAction,
    /// Peers: `from` of rules about ingress, `to` of those about egress.
    #[serde(alias = "from", alias = "to")]
    pub peers: Vec<AdminPeer>,
    /// Ports of the destination; none for all of every protocol.
    pub ports: Vec<AdminPort>,
}

/// The other end; exactly one way of saying it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminPeer {
    /// All Pods of these namespaces.
    pub namespaces: Option<LabelSelector>,
    /// These Pods of these namespaces.
    pub pods: Option<NamespacedPods>,
    /// Nodes, of egress only.
    pub nodes: Option<LabelSelector>,
    /// Ranges of addresses, of egress only.
    pub networks: Vec<String>,
    /// Names of hosts, of egress that is allowed only.
    pub domain_names: Vec<String>,
}

/// Ports of the destination; exactly one way of saying it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminPort {
    /// One port.
    pub port_number: Option<AdminPortNumber>,
    /// A port by the name that a container of the destination gives it, of any protocol.
    pub named_port: Option<String>,
    /// Ports in a row.
    pub port_range: Option<AdminPortRange>,
}

/// One port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminPortNumber {
    /// Protocol.
    pub protocol: Protocol,
    /// Number.
    pub port: u16,
}

/// Ports in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminPortRange {
    /// Protocol.
    pub protocol: Protocol,
    /// First one.
    pub start: u16,
    /// Last one.
    pub end: u16,
}

impl AdminNetworkPolicy {
    /// Its rules of one direction.
    pub fn rules(&self, direction: PolicyType) -> &[AdminRule] {
        match direction {
            PolicyType::Ingress => &self.spec.ingress,
            PolicyType::Egress => &self.spec.egress,
        }
    }
}

impl AdminPods {
    /// The Pods as a peer of a network policy, which says the same.
    pub fn as_peer(&self) -> PolicyPeer {
        as_peer(self.namespaces.as_ref(), self.pods.as_ref())
    }
}

impl AdminPeer {
    /// The Pods as a peer of a network policy; `None` where it speaks of no Pods.
    pub fn as_peer(&self) -> Option<PolicyPeer> {
        let speaks = self.namespaces.is_some() || self.pods.is_some();
        speaks.then(|| as_peer(self.namespaces.as_ref(), self.pods.as_ref()))
    }
}

fn as_peer(namespaces: Option<&LabelSelector>, pods: Option<&NamespacedPods>) -> PolicyPeer {
    let all = || namespaces.cloned().unwrap_or_default();
    PolicyPeer {
        namespace_selector: Some(pods.map_or_else(all, |pods| pods.namespace_selector.clone())),
        pod_selector: pods.map(|pods| pods.pod_selector.clone()),
        ip_block: None,
    }
}

impl AdminPort {
    /// The port as network policies say it; `None` for one by name, which means every protocol.
    pub fn as_policy_port(&self) -> Option<PolicyPort> {
        let number = self.port_number.map(|one| PolicyPort {
            protocol: one.protocol,
            port: Some(PortRef::Number(one.port)),
            end_port: None,
        });
        let range = self.port_range.map(|many| PolicyPort {
            protocol: many.protocol,
            port: Some(PortRef::Number(many.start)),
            end_port: Some(many.end),
        });
        number.or(range)
    }
}

impl AdminRule {
    /// The path within the rule of the first part that Calico cannot convert: nodes, names of hosts, ports by name.
    pub fn not_understood(&self, peers: &str) -> Option<String> {
        let peer = self.peers.iter().enumerate().find_map(|(at, peer)| {
            let nodes = peer.nodes.is_some().then_some("nodes");
            let field = nodes.or_else(|| (!peer.domain_names.is_empty()).then_some("domainNames"))?;
            Some(format!("{peers}[{at}].{field}"))
        });
        let named = || self.ports.iter().position(|port| port.named_port.is_some());
        peer.or_else(|| named().map(|at| format!("ports[{at}].namedPort")))
    }
}
