//! Network policies (`networking.k8s.io/v1`) and label selectors (`meta/v1`).

use super::{ObjectMeta, Protocol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which traffic Pods may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicy {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: NetworkPolicySpec,
}

/// What a policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    /// The Pods of the policy's own namespace that it applies to; empty for all of them.
    pub pod_selector: LabelSelector,
    /// Traffic that those Pods may receive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<IngressRule>,
    /// Traffic that those Pods may send.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<EgressRule>,
    /// The directions it isolates; by default ingress, and egress where there are egress rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy_types: Vec<PolicyType>,
}

/// A direction as seen from the Pod (`PolicyType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PolicyType {
    /// Traffic to the Pod.
    Ingress,
    /// Traffic from the Pod.
    Egress,
}

/// Traffic that may come in: from any of these peers to any of these ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressRule {
    /// Ports of the Pod; empty for all of every protocol.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PolicyPort>,
    /// Sources; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<PolicyPeer>,
}

/// Traffic that may go out: to any of these ports of any of these peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EgressRule {
    /// Ports of the destination; empty for all of every protocol.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PolicyPort>,
    /// Destinations; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<PolicyPeer>,
}

/// Ports of the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyPort {
    /// Protocol; TCP where none is written.
    pub protocol: Protocol,
    /// Number, or the name that a container of the destination gives to a port of this protocol; none for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<PortRef>,
    /// Last number of a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_port: Option<u16>,
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PortRef {
    /// Number.
    Number(u16),
    /// Name.
    Name(String),
}

/// Pods, or addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyPeer {
    /// Pods; those of the policy's namespace, or of the namespaces selected beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// Namespaces; all Pods in them, or those selected beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_block: Option<IpBlock>,
}

/// A range of addresses without some ranges inside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IpBlock {
    /// The range.
    pub cidr: String,
    /// What is left out of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

/// A question about labels; all its parts have to be answered with yes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels with their values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further questions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelRequirement>,
}

/// A question about one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelRequirement {
    /// The label's key.
    pub key: String,
    /// The question.
    pub operator: LabelOperator,
    /// Values for [`LabelOperator::In`] and [`LabelOperator::NotIn`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// What is asked of a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LabelOperator {
    /// Whether it has one of the values.
    #[default]
    In,
    /// Whether it has none of the values; true of what has no such label.
    NotIn,
    /// Whether it is there.
    Exists,
    /// Whether it is not there.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether labels fit (`LabelSelectorAsSelector`).
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        self.match_labels.iter().all(equal) && self.match_expressions.iter().all(|each| each.matches(labels))
    }

    /// Whether it asks nothing, so that everything fits.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

impl LabelRequirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelOperator::In => listed,
            LabelOperator::NotIn => !listed,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

impl NetworkPolicy {
    /// Whether it isolates the Pods it selects in this direction (`SetDefaults_NetworkPolicy`).
    pub fn isolates(&self, direction: PolicyType) -> bool {
        let types = &self.spec.policy_types;
        if !types.is_empty() {
            return types.contains(&direction);
        }
        direction == PolicyType::Ingress || !self.spec.egress.is_empty()
    }

    /// Its rules of one direction: the peers and the ports of each.
    pub fn rules(&self, direction: PolicyType) -> Vec<(&[PolicyPeer], &[PolicyPort])> {
        match direction {
            PolicyType::Ingress => {
                self.spec.ingress.iter().map(|rule| (&rule.from[..], &rule.ports[..])).collect()
            }
            PolicyType::Egress => {
                self.spec.egress.iter().map(|rule| (&rule.to[..], &rule.ports[..])).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        text.split(',').filter_map(pair).collect()
    }

    #[test]
    fn not_in_is_true_of_what_has_no_such_label() {
        let selector: LabelSelector =
            serde_json::from_str(r#"{"matchExpressions":[{"key":"pod","operator":"NotIn","values":["b"]}]}"#)
                .expect("a selector");
        assert!(selector.matches(&labels("pod=a")) && selector.matches(&labels("app=b")));
        assert!(!selector.matches(&labels("pod=b")));
    }

    #[test]
    fn directions_are_filled_in_as_the_api_server_does() {
        let of = |spec: &str| {
            let spec: NetworkPolicySpec = serde_json::from_str(spec).expect("a spec");
            let policy = NetworkPolicy { spec, ..NetworkPolicy::default() };
            (policy.isolates(PolicyType::Ingress), policy.isolates(PolicyType::Egress))
        };
        assert_eq!(of("{}"), (true, false));
        assert_eq!(of(r#"{"egress":[{}]}"#), (true, true));
        assert_eq!(of(r#"{"policyTypes":["Egress"],"ingress":[{}]}"#), (false, true));
    }
}
