//! What policies say of a packet, in a sentence for each direction. The words are exact: a policy never denies; a Pod
//! is isolated or not; a policy applies or not, and if it does it admits or does not admit.

use super::{Answer, End, Packet, Scope, Verdict, protocol_name};
use crate::api::PolicyType;
use crate::base::words::{Lang, text};

/// The sentences about egress and about ingress.
pub fn sentences(scope: &Scope<'_>, packet: &Packet, answer: &Answer, lang: Lang) -> [String; 2] {
    [
        sentence(scope, packet, (PolicyType::Egress, &answer.egress), lang),
        sentence(scope, packet, (PolicyType::Ingress, &answer.ingress), lang),
    ]
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
    let (own, other) = (name(scope, own), name(scope, other));
    let port = format!("{} {}", protocol_name(packet.protocol), packet.port);
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
    };
    text(lang, &format!("policy.{way}.{key}"), &args)
}
