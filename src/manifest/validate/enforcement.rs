//! Whether the network plug-in does what policies say.

use super::across::{Entry, overlap};
use crate::api::{AdminAction, AdminNetworkPolicy, ClusterSpec, Cni, Object, PolicyType};
use crate::base::{Diagnostic, Fix, Ipv4Net, Span};

pub(super) fn check(text: &str, spec: &ClusterSpec, entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    entries.iter().flat_map(|entry| unenforced((text, spec), entries, *entry)).collect()
}

/// What surprises people about policies: plug-ins that enforce none, and ranges that one plug-in does not mean so.
fn unenforced(
    (text, spec): (&str, &ClusterSpec),
    entries: &[Entry<'_>],
    entry: Entry<'_>,
) -> Vec<Diagnostic> {
    let policy = match &entry.located.object {
        Object::NetworkPolicy(policy) => policy,
        Object::AdminNetworkPolicy(policy) => {
            return unenforced_admin((text, spec.network.cni), policy, entries, entry);
        }
        Object::Pod(_)
        | Object::Node(_)
        | Object::Cluster(_)
        | Object::Service(_)
        | Object::EndpointSlice(_)
        | Object::Endpoints(_)
        | Object::Other(_) => return Vec::new(),
    };
    let (cni, pods) = (spec.network.cni, spec.network.pod_cidr);
    let covers_pods = |cidr: &str| {
        cidr.parse::<Ipv4Net>().is_ok_and(|net| overlap(net.trunc(), pods)).then(|| cidr.to_owned())
    };
    let ranges = [PolicyType::Ingress, PolicyType::Egress].into_iter().flat_map(|direction| {
        let (way, peers) = match direction {
            PolicyType::Ingress => ("ingress", "from"),
            PolicyType::Egress => ("egress", "to"),
        };
        let rules = policy.rules(direction).into_iter().enumerate();
        let blocks = rules.flat_map(move |(rule, (list, _))| {
            let path = move |peer| format!("spec.{way}[{rule}].{peers}[{peer}].ipBlock.cidr");
            list.iter().enumerate().filter_map(move |(at, peer)| Some((path(at), peer.ip_block.as_ref()?)))
        });
        blocks.filter_map(|(path, block)| Some((path, covers_pods(&block.cidr)?))).collect::<Vec<_>>()
    });
    entry.find(|report| match cni {
        Cni::Calico => {}
        Cni::Cilium => {
            for (path, cidr) in ranges {
                report.warning(&path, "across.cilium-block", Some("across.cilium-block.hint"), &[&cidr]);
            }
        }
        Cni::Bridge | Cni::Flannel => {
            let name = if cni == Cni::Flannel { "flannel" } else { "bridge" };
            report.warning("kind", "across.unenforced", Some("across.unenforced.hint"), &[name]);
            report.fix(calico(text, entries));
        }
    })
}

/// The same for policies of administrators: plug-ins that know none, and what Calico does not understand.
fn unenforced_admin(
    (text, cni): (&str, Cni),
    policy: &AdminNetworkPolicy,
    entries: &[Entry<'_>],
    entry: Entry<'_>,
) -> Vec<Diagnostic> {
    entry.find(|report| match cni {
        Cni::Calico => {
            for (way, peers, rules) in
                [("ingress", "from", &policy.spec.ingress), ("egress", "to", &policy.spec.egress)]
            {
                for (at, rule) in rules.iter().enumerate() {
                    let Some(place) = rule.not_understood(peers) else { continue };
                    let field = place.rsplit('.').next().unwrap_or("").to_owned();
                    let (message, hint) = match rule.action {
                        AdminAction::Allow => ("across.calico-left-out", "across.calico-left-out.hint"),
                        AdminAction::Deny | AdminAction::Pass => {
                            ("across.calico-closed", "across.calico-closed.hint")
                        }
                    };
                    report.warning(&format!("spec.{way}[{at}].{place}"), message, Some(hint), &[&field]);
                }
            }
        }
        Cni::Cilium | Cni::Bridge | Cni::Flannel => {
            let name = Cni::ALL.iter().find(|known| known.1 == cni).map_or("", |known| known.0);
            let args = [name, policy.tier.kind()];
            report.warning("kind", "across.unenforced-admin", Some("across.unenforced-admin.hint"), &args);
            report.fix(calico(text, entries));
        }
    })
}

/// Has the cluster use Calico: in the Cluster document, or in one that is put at the end. Nothing where the document is
/// written so that a line cannot be put into it.
fn calico(text: &str, entries: &[Entry<'_>]) -> Option<Fix> {
    let fix = |start: usize, end: usize, text: String| {
        Some(Fix { title: "across.unenforced.fix", args: Vec::new(), span: Span { start, end }, text })
    };
    let Some(cluster) = entries.iter().find(|entry| matches!(entry.located.object, Object::Cluster(_)))
    else {
        let before = if text.ends_with('\n') { "" } else { "\n" };
        return fix(
            text.len(),
            text.len(),
            format!(
                "{before}---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec: {{network: {{cni: calico}}}}\n"
            ),
        );
    };
    if let Some(named) = cluster.root.find("spec.network.cni") {
        return fix(named.span.start, named.span.end, "calico".to_owned());
    }
    let (place, field) = match (cluster.root.find("spec.network"), cluster.root.find("spec")) {
        (Some(network), _) => (network.span.start, "cni: calico"),
        (None, Some(spec)) => (spec.span.start, "network: {cni: calico}"),
        (None, None) => return None,
    };
    let line = text[..place].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[line..place];
    if text[place..].starts_with('{') {
        let rest = text[place + 1..].trim_start();
        let comma = if rest.starts_with('}') { "" } else { ", " };
        fix(place + 1, place + 1, format!("{field}{comma}"))
    } else if before.trim().is_empty() {
        fix(place, place, format!("{field}\n{before}"))
    } else {
        None
    }
}
