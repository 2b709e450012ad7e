//! What policies say of a packet, in a sentence for each direction. The words are exact: a network policy never denies;
//! a Pod is isolated or not; a policy applies or not, and if it does it admits or does not admit. A policy of the
//! administrators allows, denies, or passes on.

use super::{Answer, Applied, End, Packet, Scope, Verdict, protocol_name};
use crate::api::PolicyType;
use crate::base::words::{Lang, text};

/// The sentences about egress and about ingress; before each, what passed the packet on to network policies.
pub fn sentences(scope: &Scope<'_>, packet: &Packet, answer: &Answer, lang: Lang) -> Vec<String> {
    let [out, into] = &answer.passed_on;
    let ways = [(PolicyType::Egress, &answer.egress, out), (PolicyType::Ingress, &answer.ingress, into)];
    let mut sentences = Vec::new();
    for (direction, verdict, passed_on) in ways {
        sentences.extend(passed_on.as_ref().map(|rule| passes_on(scope, packet, (direction, rule), lang)));
        sentences.push(sentence(scope, packet, (direction, verdict), lang));
    }
    sentences
}

/// That a rule of the administrators passes a packet on.
fn passes_on(
    scope: &Scope<'_>,
    packet: &Packet,
    (direction, rule): (PolicyType, &Applied),
    lang: Lang,
) -> String {
    let (own, other, way) = match direction {
        PolicyType::Egress => (packet.src, packet.dst, "egress"),
        PolicyType::Ingress => (packet.dst, packet.src, "ingress"),
    };
    text(lang, &format!("policy.{way}.passes"), &about(scope, packet, (own, other), rule))
}

/// The words of a sentence about a rule of the administrators: the Pod, the policy, the rule, the traffic, the other end.
fn about(scope: &Scope<'_>, packet: &Packet, (own, other): (End, End), rule: &Applied) -> Vec<String> {
    let policy = format!("{} {}", rule.kind, rule.policy);
    vec![name(scope, own), policy, rule.path.clone(), port(packet), name(scope, other)]
}

fn port(packet: &Packet) -> String {
    format!("{} {}", protocol_name(packet.protocol), packet.port)
}

/// What an end is called.
fn name(scope: &Scope<'_>, end: End) -> String {
    match end {
        End::Pod(at) => scope.pods[at].pod.metadata.namespaced_name().to_string(),
        End::Address(addr) => addr.to_string(),
    }
}

fn sentence(
    scope: &Scope<'_>,
    packet: &Packet,
    (direction, verdict): (PolicyType, &Verdict),
    lang: Lang,
) -> String {
    let (own, other, way) = match direction {
        PolicyType::Egress => (packet.src, packet.dst, "egress"),
        PolicyType::Ingress => (packet.dst, packet.src, "ingress"),
    };
    let ends = (own, other);
    let (own, other) = (name(scope, own), name(scope, other));
    let port = port(packet);
    let (key, args) = match verdict {
        Verdict::NotGoverned => ("outside", vec![own]),
        Verdict::NotIsolated => ("free", vec![own]),
        Verdict::Admits(rule) => {
            ("admits", vec![own, rule.policy.to_string(), rule.path.clone(), port, other])
        }
        Verdict::NoneAdmits(policies) => {
            let names: Vec<String> = policies.iter().map(ToString::to_string).collect();
            ("none", vec![own, names.join(", "), port, other])
        }
        Verdict::Allows(rule) => ("allows", about(scope, packet, ends, rule)),
        Verdict::Denies(rule) => ("denies", about(scope, packet, ends, rule)),
    };
    text(lang, &format!("policy.{way}.{key}"), &args)
}
