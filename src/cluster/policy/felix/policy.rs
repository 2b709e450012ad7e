//! The chain of a policy (`felix/rules/policy.go`), after its rules have become Calico's own
//! (`libcalico-go/lib/backend/k8s/conversion`): one rule for each protocol and each peer.

use super::endpoint::Way;
use super::line::{Line, limited, set_name};
use super::{ACCEPT, ALL_FIT, Set, THIS_FITS, Wanted, host_net};
use crate::api::{
    IpBlock, LabelOperator, LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort, PolicyType, PortRef,
    Protocol,
};
use crate::base::Ipv4Net;
use crate::cluster::policy::{Scope, protocol_name};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Ports that one `-m multiport` takes; a range counts as two.
const MULTIPORT_SLOTS: usize = 15;

/// The chain's name; its rules and the sets they ask are written.
pub(super) fn chain(wanted: &mut Wanted, scope: &Scope<'_>, policy: &NetworkPolicy, way: Way) -> String {
    let (namespace, name) = (&policy.metadata.namespace, &policy.metadata.name);
    let id = format!("{namespace}/knp.default.{name}");
    let chain = limited(way.policy, &id);
    if wanted.chains.contains_key(&chain) {
        return chain;
    }
    let mut lines = Vec::new();
    for (peers, ports) in policy.rules(way.direction) {
        for (protocol, ports) in by_protocol(ports) {
            let all = [None];
            let some: Vec<Option<&PolicyPeer>> = peers.iter().map(Some).collect();
            let peers = if some.is_empty() { &all[..] } else { &some[..] };
            for peer in peers {
                lines.extend(rule(wanted, scope, (namespace, *peer), (protocol, &ports), way));
            }
        }
    }
    // A rule that returns is no use at the end.
    while lines.last().is_some_and(Line::is_return) {
        lines.pop();
    }
    let comment = format!("Policy {id} {}", way.word);
    match lines.first_mut() {
        Some(first) => *first = std::mem::take(first).comment(&comment),
        None => lines.push(Line::empty().comment(&comment)),
    }
    wanted.add(&chain, &lines);
    chain
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
/// number and by name, or a range with exceptions, is worked out before in bits of the mark.
fn rule(
    wanted: &mut Wanted,
    scope: &Scope<'_>,
    (namespace, peer): (&str, Option<&PolicyPeer>),
    (protocol, ports): (Option<Protocol>, &[&PolicyPort]),
    way: Way,
) -> Vec<Line> {
    let (net_option, side) = match way.direction {
        PolicyType::Ingress => ("--source", "src"),
        PolicyType::Egress => ("--destination", "dst"),
    };
    let block = peer.and_then(|peer| peer.ip_block.as_ref());
    let excepted = match block.map(ranges) {
        Some(None) => return Vec::new(),
        Some(Some(excepted)) => excepted,
        None => Vec::new(),
    };
    let to_peer = |at: usize| {
        let selected = peer.filter(|peer| peer.ip_block.is_none());
        scope.pods[at].is_selectable()
            && (way.direction == PolicyType::Ingress
                || selected.is_none_or(|peer| scope.peer_is_pod(namespace, peer, at)))
    };
    let (mut groups, mut names) = match protocol {
        Some(protocol) => port_conditions(wanted, scope, (protocol, ports), &to_peer),
        None => (Vec::new(), Vec::new()),
    };
    let protocol = protocol.map(|protocol| format!("-p {}", protocol_name(protocol).to_lowercase()));
    let (mut lines, mut in_marks) = (Vec::new(), false);
    if groups.len() + names.len() > 1 {
        in_marks = true;
        lines.push(Line::masked_mark(0, ALL_FIT | THIS_FITS));
        for group in groups.drain(..) {
            let line = Line::set_mark(ALL_FIT);
            lines.push(protocol.iter().fold(line, |line, protocol| line.with(protocol)).with(&group));
        }
        lines.extend(names.drain(..).map(|name| Line::set_mark(ALL_FIT).with(&name)));
    }
    if !excepted.is_empty() {
        if !std::mem::replace(&mut in_marks, true) {
            lines.push(Line::masked_mark(ALL_FIT, ALL_FIT | THIS_FITS));
        }
        lines.extend(
            excepted.iter().map(|net| Line::clear_mark(ALL_FIT).with(&format!("{net_option} {net}"))),
        );
    }
    let mut conditions: Vec<String> = protocol.into_iter().collect();
    conditions.extend(block.map(|block| format!("{net_option} {}", block.cidr)));
    if let Some(peer) = peer.filter(|peer| peer.ip_block.is_none()) {
        let set = selector_set(wanted, scope, (namespace, peer));
        conditions.push(format!("-m set --match-set {set} {side}"));
    }
    conditions.extend(groups);
    conditions.extend(names);
    let main = conditions.iter().fold(Line::set_mark(ACCEPT), |line, condition| line.with(condition));
    lines.push(if in_marks { main.marked(ALL_FIT) } else { main });
    lines.push(Line::returns().marked(ACCEPT));
    lines
}

/// The exceptions of an IPv4 block; `None` for one of IPv6, which has no rule here.
fn ranges(block: &IpBlock) -> Option<Vec<Ipv4Net>> {
    block.cidr.parse::<Ipv4Net>().ok()?;
    Some(block.except.iter().filter_map(|net| net.parse().ok()).collect())
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
