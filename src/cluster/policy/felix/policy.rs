//! The chain of a policy (`felix/rules/policy.go`), after its rules have become Calico's own
//! (`libcalico-go/lib/backend/k8s/conversion`): one rule for each protocol and each peer.

use super::endpoint::Way;
use super::line::{Line, limited, set_name};
use super::{ACCEPT, ALL_FIT, PASS, Set, THIS_FITS, Wanted, host_net};
use crate::api::{
    AdminAction, AdminNetworkPolicy, AdminTier, LabelOperator, LabelSelector, NetworkPolicy, PolicyPeer,
    PolicyPort, PolicyType, PortRef, Protocol,
};
use crate::base::Ipv4Net;
use crate::cluster::policy::admin::{self, Far};
use crate::cluster::policy::{Scope, protocol_name};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Ports that one `-m multiport` takes; a range counts as two.
const MULTIPORT_SLOTS: usize = 15;

/// The name of a network policy's chain; its rules and the sets they ask are written.
pub(super) fn chain(wanted: &mut Wanted, scope: &Scope<'_>, policy: &NetworkPolicy, way: Way) -> String {
    let (namespace, name) = (&policy.metadata.namespace, &policy.metadata.name);
    let id = format!("{namespace}/knp.default.{name}");
    let chain = limited(way.policy, &id);
    if wanted.chains.contains_key(&chain) {
        return chain;
    }
    let mut lines = Vec::new();
    for (peers, ports) in policy.rules(way.direction) {
        let far: Vec<Peer<'_>> = peers.iter().map(|peer| Peer::of(namespace, peer)).collect();
        let far = if far.is_empty() { vec![Peer::Any] } else { far };
        for (protocol, ports) in by_protocol(ports) {
            for peer in &far {
                let action = AdminAction::Allow;
                lines.extend(rule(wanted, scope, &Rule { action, peer, protocol, ports: &ports }, way));
            }
        }
    }
    finish(wanted, (&chain, &id), lines, way);
    chain
}

/// The same for a policy of the administrators.
pub(super) fn admin_chain(
    wanted: &mut Wanted,
    scope: &Scope<'_>,
    policy: &AdminNetworkPolicy,
    way: Way,
) -> String {
    let prefix = match policy.tier {
        AdminTier::Admin => "kanp.adminnetworkpolicy.",
        AdminTier::Baseline => "kbanp.baselineadminnetworkpolicy.",
    };
    let id = format!("{prefix}{}", policy.metadata.name);
    let chain = limited(way.policy, &id);
    if wanted.chains.contains_key(&chain) {
        return chain;
    }
    let mut lines = Vec::new();
    for taken in admin::taken(policy, way.direction) {
        for (protocol, ports) in by_protocol(&taken.ports) {
            for far in &taken.peers {
                let (peer, action) = (&Peer::of_far(far), taken.action);
                lines.extend(rule(wanted, scope, &Rule { action, peer, protocol, ports: &ports }, way));
            }
        }
    }
    finish(wanted, (&chain, &id), lines, way);
    chain
}

/// Writes the chain of a policy.
fn finish(wanted: &mut Wanted, (chain, id): (&str, &str), mut lines: Vec<Line>, way: Way) {
    // A rule that returns is no use at the end.
    while lines.last().is_some_and(Line::is_return) {
        lines.pop();
    }
    let comment = format!("Policy {id} {}", way.word);
    match lines.first_mut() {
        Some(first) => *first = std::mem::take(first).comment(&comment),
        None => lines.push(Line::empty().comment(&comment)),
    }
    wanted.add(chain, &lines);
}

/// The other end of a rule.
enum Peer<'a> {
    Any,
    /// Pods, of this namespace unless it selects others.
    Pods(&'a str, &'a PolicyPeer),
    /// Ranges, and what is left out of them.
    Nets(Vec<&'a str>, &'a [String]),
}

impl<'a> Peer<'a> {
    fn of(namespace: &'a str, peer: &'a PolicyPeer) -> Self {
        match &peer.ip_block {
            Some(block) => Self::Nets(vec![&block.cidr], &block.except),
            None => Self::Pods(namespace, peer),
        }
    }

    fn of_far(far: &'a Far) -> Self {
        match far {
            Far::Any => Self::Any,
            Far::Pods(peer) => Self::Pods("", peer),
            Far::Networks(nets) => Self::Nets(nets.iter().map(String::as_str).collect(), &[]),
        }
    }
}

/// A rule of Calico's: one protocol, one peer.
struct Rule<'a> {
    action: AdminAction,
    peer: &'a Peer<'a>,
    protocol: Option<Protocol>,
    ports: &'a [&'a PolicyPort],
}

/// The ports of each protocol in the order of their names; one without ports stands for all of them. No protocol at
/// all stands for every one.
fn by_protocol(ports: &[PolicyPort]) -> Vec<(Option<Protocol>, Vec<&PolicyPort>)> {
    if ports.is_empty() {
        return vec![(None, Vec::new())];
    }
    let mut groups: BTreeMap<&str, (Protocol, bool, Vec<&PolicyPort>)> = BTreeMap::new();
    for port in ports {
        let name = protocol_name(port.protocol);
        let group = groups.entry(name).or_insert((port.protocol, false, Vec::new()));
        group.1 |= port.port.is_none();
        group.2.push(port);
    }
    let listed = |(protocol, all, ports)| (Some(protocol), if all { Vec::new() } else { ports });
    groups.into_values().map(listed).collect()
}

/// The port conditions of a rule: numbers in groups that `-m multiport` takes, and sets for names.
fn port_conditions(
    wanted: &mut Wanted,
    scope: &Scope<'_>,
    (protocol, ports): (Protocol, &[&PolicyPort]),
    keep: &dyn Fn(usize) -> bool,
) -> (Vec<String>, Vec<String>) {
    let (mut groups, mut names): (Vec<(usize, String)>, Vec<String>) = (Vec::new(), Vec::new());
    for port in ports {
        match &port.port {
            None => {}
            Some(PortRef::Name(name)) => names.push(named_port(wanted, scope, (name, protocol), keep)),
            Some(PortRef::Number(first)) => {
                let last = port.end_port.filter(|last| last != first);
                let slots = if last.is_some() { 2 } else { 1 };
                let text = last.map_or_else(|| first.to_string(), |last| format!("{first}:{last}"));
                match groups.last_mut().filter(|(used, _)| used + slots <= MULTIPORT_SLOTS) {
                    Some((used, list)) => {
                        *used += slots;
                        let _ = write!(list, ",{text}");
                    }
                    None => groups.push((slots, text)),
                }
            }
        }
    }
    let group = |(_, list)| format!("-m multiport --destination-ports {list}");
    let name = |set| format!("-m set --match-set {set} dst,dst");
    (groups.into_iter().map(group).collect(), names.into_iter().map(name).collect())
}

/// The set of addresses and ports that bear a name.
fn named_port(
    wanted: &mut Wanted,
    scope: &Scope<'_>,
    (name, protocol): (&str, Protocol),
    keep: &dyn Fn(usize) -> bool,
) -> String {
    let number = protocol_number(protocol);
    let ports = |at: usize| {
        let endpoint = &scope.pods[at];
        endpoint.named_ports(name, protocol).map(move |port| (host_net(endpoint.ip), Some((number, port))))
    };
    let mut members: Vec<_> = (0..scope.pods.len()).filter(|&at| keep(at)).flat_map(ports).collect();
    members.sort_unstable();
    members.dedup();
    // Sets with the same members ask the same; the members stand for the selector here.
    let content = format!("{},{name},{members:?}", protocol_name(protocol).to_lowercase());
    let set = set_name("n", &content);
    wanted.sets.insert(set.clone(), Set { kind: "hash:ip,port", members });
    set
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// The lines of one rule (`ProtoRuleToIptablesRules`). What does not fit into one line of iptables, ports both by
/// number and by name, several ranges, or one with exceptions, is worked out before in bits of the mark.
fn rule(wanted: &mut Wanted, scope: &Scope<'_>, rule: &Rule<'_>, way: Way) -> Vec<Line> {
    let (net_option, side) = match way.direction {
        PolicyType::Ingress => ("--source", "src"),
        PolicyType::Egress => ("--destination", "dst"),
    };
    let (mut nets, except): (Vec<Ipv4Net>, &[String]) = match rule.peer {
        Peer::Any | Peer::Pods(..) => (Vec::new(), &[]),
        Peer::Nets(nets, except) => (nets.iter().filter_map(|net| parsed(net)).collect(), except),
    };
    // Ranges of IPv6 have no rule here.
    if matches!(rule.peer, Peer::Nets(..)) && nets.is_empty() {
        return Vec::new();
    }
    let to_peer = |at: usize| {
        let is_meant = match rule.peer {
            Peer::Pods(namespace, peer) => scope.peer_is_pod(namespace, peer, at),
            Peer::Any | Peer::Nets(..) => true,
        };
        scope.pods[at].is_selectable() && (way.direction == PolicyType::Ingress || is_meant)
    };
    let (mut groups, mut names) = match rule.protocol {
        Some(protocol) => port_conditions(wanted, scope, (protocol, rule.ports), &to_peer),
        None => (Vec::new(), Vec::new()),
    };
    let protocol = rule.protocol.map(|protocol| format!("-p {}", protocol_name(protocol).to_lowercase()));
    let mut blocks = Blocks::default();
    if groups.len() + names.len() > 1 {
        let with_protocol = |group: String| protocol.iter().cloned().chain([group]).collect();
        let groups = groups.drain(..).map(with_protocol);
        let conditions = groups.chain(names.drain(..).map(|name| vec![name])).collect::<Vec<Vec<String>>>();
        blocks.one_of(&conditions);
    }
    if nets.len() > 1 {
        let conditions: Vec<_> = nets.drain(..).map(|net| vec![format!("{net_option} {net}")]).collect();
        blocks.one_of(&conditions);
    }
    let except = except.iter().filter_map(|net| parsed(net));
    let except: Vec<String> = except.map(|net| format!("{net_option} {net}")).collect();
    blocks.none_of(&except);
    let mut conditions: Vec<String> = protocol.into_iter().collect();
    conditions.extend(nets.iter().map(|net| format!("{net_option} {net}")));
    if let Peer::Pods(namespace, peer) = rule.peer {
        let set = selector_set(wanted, scope, (namespace, peer));
        conditions.push(format!("-m set --match-set {set} {side}"));
    }
    conditions.extend(groups);
    conditions.extend(names);
    if blocks.begun {
        conditions.push(Line::mark_condition(ALL_FIT));
    }
    let mut lines = blocks.lines;
    lines.extend(acted(rule.action, &conditions));
    lines
}

/// A range of IPv4 without bits behind its prefix.
fn parsed(net: &str) -> Option<Ipv4Net> {
    net.parse::<Ipv4Net>().ok().map(|net| net.trunc())
}

/// What happens where all conditions are met (`CombineMatchAndActionsForProtoRule`).
fn acted(action: AdminAction, conditions: &[String]) -> Vec<Line> {
    let met = |line: Line| conditions.iter().fold(line, |line, condition| line.with(condition));
    match action {
        AdminAction::Allow => vec![met(Line::set_mark(ACCEPT)), Line::returns().marked(ACCEPT)],
        AdminAction::Pass => vec![met(Line::set_mark(PASS)), Line::returns().marked(PASS)],
        AdminAction::Deny => vec![met(Line::drop())],
    }
}

/// Conditions that are worked out in bits of the mark before the rule itself (`matchBlockBuilder`).
#[derive(Default)]
struct Blocks {
    lines: Vec<Line>,
    begun: bool,
}

impl Blocks {
    /// One of these has to be met, each with all its parts. The first block sets the bit for all of them at once.
    fn one_of(&mut self, conditions: &[Vec<String>]) {
        let is_first = !std::mem::replace(&mut self.begun, true);
        let bit = if is_first { ALL_FIT } else { THIS_FITS };
        self.lines.push(if is_first {
            Line::masked_mark(0, ALL_FIT | THIS_FITS)
        } else {
            Line::clear_mark(THIS_FITS)
        });
        for parts in conditions {
            self.lines.push(parts.iter().fold(Line::set_mark(bit), |line, part| line.with(part)));
        }
        if !is_first {
            self.lines.push(Line::clear_mark(ALL_FIT).unmarked(THIS_FITS));
        }
    }

    /// None of these may be met.
    fn none_of(&mut self, conditions: &[String]) {
        if conditions.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.lines.push(Line::masked_mark(ALL_FIT, ALL_FIT | THIS_FITS));
        }
        self.lines.extend(conditions.iter().map(|condition| Line::clear_mark(ALL_FIT).with(condition)));
    }
}

/// The set of the Pods that a peer selects.
fn selector_set(wanted: &mut Wanted, scope: &Scope<'_>, (namespace, peer): (&str, &PolicyPeer)) -> String {
    let set = set_name("s", &selector_text(namespace, peer));
    if !wanted.sets.contains_key(&set) {
        let is_peer = |at: &usize| scope.peer_is_pod(namespace, peer, *at);
        let members = (0..scope.pods.len()).filter(is_peer).map(|at| host_net(scope.pods[at].ip));
        wanted.sets.insert(set.clone(), Set::of_nets(members.collect()));
    }
    set
}

/// A peer as a selector of Calico's: labels of namespaces have the prefix `pcns.`.
fn selector_text(namespace: &str, peer: &PolicyPeer) -> String {
    let namespaces = match &peer.namespace_selector {
        None => format!("projectcalico.org/namespace == \"{namespace}\""),
        Some(selector) if selector.is_empty() => "has(projectcalico.org/namespace)".to_owned(),
        Some(selector) => terms(selector, "pcns.").join(" && "),
    };
    let mut pods = vec!["projectcalico.org/orchestrator == \"k8s\"".to_owned()];
    pods.extend(peer.pod_selector.iter().flat_map(|selector| terms(selector, "")));
    format!("({namespaces}) && ({})", pods.join(" && "))
}

fn terms(selector: &LabelSelector, prefix: &str) -> Vec<String> {
    let quoted =
        |values: &[String]| values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", ");
    let equal = selector.match_labels.iter().map(|(key, value)| format!("{prefix}{key} == \"{value}\""));
    let asked = selector.match_expressions.iter().map(|each| {
        let (key, values) = (format!("{prefix}{}", each.key), quoted(&each.values));
        match each.operator {
            LabelOperator::In => format!("{key} in {{ {values} }}"),
            LabelOperator::NotIn => format!("{key} not in {{ {values} }}"),
            LabelOperator::Exists => format!("has({key})"),
            LabelOperator::DoesNotExist => format!("! has({key})"),
        }
    });
    equal.chain(asked).collect()
}
