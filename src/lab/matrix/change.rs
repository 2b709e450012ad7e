//! Two matrices side by side, and the policy that changes one cell.

use super::{Asking, Matrix, Protocol, explain};
use crate::api::{
    EgressRule, IngressRule, IpBlock, LabelOperator, LabelRequirement, LabelSelector, NamespacedName,
    NetworkPolicy, NetworkPolicySpec, ObjectMeta, Pod, PolicyPeer, PolicyPort, PolicyType, PortRef,
};
use crate::base::Ipv4Net;
use crate::cluster::policy::{self, Answer, End, Endpoint, Packet, Scope, Verdict};
use crate::shell::kubectl::to_yaml;
use serde_json::json;
use std::collections::BTreeMap;

/// The label that the API server gives every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// A cell that is another one in the second matrix; `None` where the Pod is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellChange {
    /// Source.
    pub from: NamespacedName,
    /// Destination.
    pub to: NamespacedName,
    /// Whether the packet got through before.
    pub before: Option<bool>,
    /// Whether it gets through after.
    pub after: Option<bool>,
}

/// The cells that differ between two matrices of one port, in the order of their names.
pub fn changes(before: &Matrix, after: &Matrix) -> Vec<CellChange> {
    let cells = |matrix: &Matrix| {
        let mut out = BTreeMap::new();
        for (from, row) in matrix.pods.iter().zip(matrix.allowed()) {
            for (to, allowed) in matrix.pods.iter().zip(row) {
                out.insert((from.clone(), to.clone()), allowed);
            }
        }
        out
    };
    let (old, new) = (cells(before), cells(after));
    let mut keys: Vec<_> = old.keys().chain(new.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    let change = |key: (NamespacedName, NamespacedName)| {
        let (before, after) = (old.get(&key).copied(), new.get(&key).copied());
        (before != after).then_some(CellChange { from: key.0, to: key.1, before, after })
    };
    keys.into_iter().filter_map(change).collect()
}

/// What is wanted of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The packet is to get through.
    Allow,
    /// It is not to get through.
    Deny,
}

/// Why no further policy can do what is wanted of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The cell is as wanted already.
    Already,
    /// A policy never denies, so what these admit stays admitted: they have to be changed.
    Admitted(Vec<NamespacedName>),
    /// These policies of the administrators decide, and network policies have no say before them.
    Administered(Vec<NamespacedName>),
    /// Policies have no say in it: one end is a Pod of the node's own network, both ends are one Pod, or the network
    /// plug-in enforces none.
    NoSay,
}

/// The text of the policies that make a cell what is wanted and, as far as labels tell Pods apart, nothing else. They
/// come beside those that are there.
pub fn policy_for(
    asking: &Asking,
    matrix: &Matrix,
    (from, to): (usize, usize),
    want: Want,
) -> Result<String, Obstacle> {
    let control = asking.lab.sim.agent().ok_or(Obstacle::NoSay)?;
    let scope = control.policy_scope();
    let packet = explain::packet(&scope, matrix, (from, to)).ok_or(Obstacle::NoSay)?;
    let (End::Pod(src), End::Pod(dst)) = (packet.src, packet.dst) else { return Err(Obstacle::NoSay) };
    let cell = Cell { scope: &scope, packet, src: scope.pods[src], dst: scope.pods[dst] };
    if control.unenforcing().is_some() || src == dst || !cell.src.is_selectable() || !cell.dst.is_selectable()
    {
        return Err(Obstacle::NoSay);
    }
    let answer = policy::decide(&scope, &cell.packet);
    let administered = administered(&answer, want);
    let policies = match want {
        _ if answer.passes() == (want == Want::Allow) => return Err(Obstacle::Already),
        _ if !administered.is_empty() => return Err(Obstacle::Administered(administered)),
        Want::Allow => cell.allow(&answer),
        Want::Deny => vec![cell.deny(&answer, asking.lab.parsed.resolve_cluster().network.pod_cidr)?],
    };
    Ok(policies.iter().map(yaml).collect::<Vec<_>>().join("---\n"))
}

/// A policy as YAML.
fn yaml(policy: &NetworkPolicy) -> String {
    let mut value = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy" });
    value["metadata"] = json!(policy.metadata);
    value["spec"] = json!(policy.spec);
    to_yaml(&value)
}

/// A cell with what policies know of it.
struct Cell<'a> {
    scope: &'a Scope<'a>,
    packet: Packet,
    src: Endpoint<'a>,
    dst: Endpoint<'a>,
}

fn equal(labels: &BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: labels.clone(), match_expressions: Vec::new() }
}

fn one(key: &str, operator: LabelOperator, value: &str) -> LabelSelector {
    let values = vec![value.to_owned()];
    let asked = LabelRequirement { key: key.to_owned(), operator, values };
    LabelSelector { match_labels: BTreeMap::new(), match_expressions: vec![asked] }
}

fn in_namespace(name: &str) -> LabelSelector {
    equal(&[(NAMESPACE_NAME.to_owned(), name.to_owned())].into())
}

/// A Pod as a peer, by its namespace and its labels.
fn peer_of(pod: &Pod) -> PolicyPeer {
    PolicyPeer {
        namespace_selector: Some(in_namespace(&pod.metadata.namespace)),
        pod_selector: Some(equal(&pod.metadata.labels)),
        ip_block: None,
    }
}

/// Everybody but Pods with these labels in this namespace: the other namespaces; Pods that differ in a label; and, in a
/// range of its own, what is no Pod.
fn all_but(pod: &Pod, pods: Ipv4Net) -> Vec<PolicyPeer> {
    let namespace = &pod.metadata.namespace;
    let elsewhere = PolicyPeer {
        namespace_selector: Some(one(NAMESPACE_NAME, LabelOperator::NotIn, namespace)),
        ..PolicyPeer::default()
    };
    let differing = pod.metadata.labels.iter().map(|(key, value)| PolicyPeer {
        namespace_selector: Some(in_namespace(namespace)),
        pod_selector: Some(one(key, LabelOperator::NotIn, value)),
        ip_block: None,
    });
    let outside = PolicyPeer {
        ip_block: Some(IpBlock { cidr: "0.0.0.0/0".to_owned(), except: vec![pods.to_string()] }),
        ..PolicyPeer::default()
    };
    std::iter::once(elsewhere).chain(differing).chain([outside]).collect()
}

impl Cell<'_> {
    fn port(&self) -> PolicyPort {
        PolicyPort {
            protocol: self.packet.protocol,
            port: Some(PortRef::Number(self.packet.port)),
            end_port: None,
        }
    }

    /// Every port of every protocol but the one asked about.
    fn other_ports(&self) -> Vec<PolicyPort> {
        let Packet { protocol, port, .. } = self.packet;
        let range = |first: u16, last: u16| PolicyPort {
            protocol,
            port: Some(PortRef::Number(first)),
            end_port: (first != last).then_some(last),
        };
        let below = (port > 1).then(|| range(1, port - 1));
        let above = (port < u16::MAX).then(|| range(port + 1, u16::MAX));
        let others =
            [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().filter(|other| *other != protocol);
        let whole = others.map(|protocol| PolicyPort { protocol, port: None, end_port: None });
        below.into_iter().chain(above).chain(whole).collect()
    }

    /// A policy on one end of the cell, under a name that no other policy has.
    fn policy(
        &self,
        verb: &str,
        direction: PolicyType,
        rules: Vec<(Vec<PolicyPeer>, Vec<PolicyPort>)>,
    ) -> NetworkPolicy {
        let (own, other, word) = match direction {
            PolicyType::Ingress => (self.dst.pod, self.src.pod, "from"),
            PolicyType::Egress => (self.src.pod, self.dst.pod, "to"),
        };
        let namespace = own.metadata.namespace.clone();
        let base: String = format!("{verb}-{}-{word}-{}", own.metadata.name, other.metadata.name)
            .chars()
            .take(240)
            .collect();
        let taken = |name: &str| {
            let same = |policy: &&&NetworkPolicy| {
                policy.metadata.namespace == namespace && policy.metadata.name == name
            };
            self.scope.policies.iter().find(same).is_some()
        };
        let mut name = base.clone();
        for number in 2.. {
            if !taken(&name) {
                break;
            }
            name = format!("{base}-{number}");
        }
        let metadata = ObjectMeta { name, namespace: namespace.clone(), ..ObjectMeta::default() };
        let mut spec = NetworkPolicySpec {
            pod_selector: equal(&own.metadata.labels),
            policy_types: vec![direction],
            ..NetworkPolicySpec::default()
        };
        match direction {
            PolicyType::Ingress => {
                spec.ingress = rules.into_iter().map(|(from, ports)| IngressRule { ports, from }).collect();
            }
            PolicyType::Egress => {
                spec.egress = rules.into_iter().map(|(to, ports)| EgressRule { ports, to }).collect();
            }
        }
        NetworkPolicy { metadata, spec }
    }

    /// Policies that admit the packet at each end that is isolated and admits it not yet.
    fn allow(&self, answer: &Answer) -> Vec<NetworkPolicy> {
        let kept = |verdict: &Verdict| !verdict.passes();
        let egress = kept(&answer.egress).then_some((PolicyType::Egress, self.dst.pod));
        let ingress = kept(&answer.ingress).then_some((PolicyType::Ingress, self.src.pod));
        let admit = |(direction, peer): (PolicyType, &Pod)| {
            self.policy("allow", direction, vec![(vec![peer_of(peer)], vec![self.port()])])
        };
        egress.into_iter().chain(ingress).map(admit).collect()
    }

    /// A policy that isolates one end and admits everything that it may have now but this: the destination if nothing
    /// isolates it yet, or else the source.
    fn deny(&self, answer: &Answer, pods: Ipv4Net) -> Result<NetworkPolicy, Obstacle> {
        let (direction, peer) = match (&answer.ingress, &answer.egress) {
            (Verdict::NotIsolated, _) => (PolicyType::Ingress, self.src.pod),
            (_, Verdict::NotIsolated) => (PolicyType::Egress, self.dst.pod),
            (ingress, egress) => return Err(Obstacle::Admitted(admitting([ingress, egress]))),
        };
        let rules = vec![(all_but(peer, pods), Vec::new()), (vec![peer_of(peer)], self.other_ports())];
        Ok(self.policy("isolate", direction, rules))
    }
}

/// The policies of the administrators that stand against what is wanted: any that denies, and for a denial those that
/// allow where no direction is left to isolate.
fn administered(answer: &Answer, want: Want) -> Vec<NamespacedName> {
    let ends = [&answer.egress, &answer.ingress];
    let is_free = ends.iter().any(|verdict| **verdict == Verdict::NotIsolated);
    let stands = |verdict: &&Verdict| match verdict {
        Verdict::Denies(rule) => Some(rule.policy.clone()),
        Verdict::Allows(rule) => (want == Want::Deny && !is_free).then(|| rule.policy.clone()),
        Verdict::NotGoverned | Verdict::NotIsolated | Verdict::Admits(_) | Verdict::NoneAdmits(_) => None,
    };
    ends.iter().filter_map(stands).collect()
}

fn admitting(verdicts: [&Verdict; 2]) -> Vec<NamespacedName> {
    let name = |verdict: &Verdict| match verdict {
        Verdict::Admits(rule) => Some(rule.policy.clone()),
        Verdict::NotGoverned
        | Verdict::NotIsolated
        | Verdict::NoneAdmits(_)
        | Verdict::Allows(_)
        | Verdict::Denies(_) => None,
    };
    verdicts.into_iter().filter_map(name).collect()
}
