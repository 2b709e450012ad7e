//! Network policies: names that cannot be asked for any more, and ranges that nobody comes from.

use super::View;
use crate::api::ClusterSpec;
use crate::base::{Diagnostic, Ipv4Net};
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::selector;

/// The port of DNS.
const DNS: i64 = 53;

pub(super) fn lint(view: &View<'_>, cluster: &ClusterSpec, found: &mut Vec<Diagnostic>) {
    let all: Vec<_> = view.of_kind("NetworkPolicy").collect();
    for (entry, root) in &all {
        let mut report = entry.report();
        let namespace = &entry.located.object.metadata().namespace;
        let spec = root.get("spec");
        let others = all.iter().filter(|(other, _)| other.located.object.metadata().namespace == *namespace);
        let pods = spec.get("podSelector");
        // Policies add up: any that selects the same Pods may admit the queries.
        let admitted = others.into_iter().any(|(_, other)| {
            let other = other.get("spec");
            covers(&other.get("podSelector"), &pods) && admits_dns(&other.get("egress"))
        });
        if is_egress(&spec) && spec.get("egress").len() > 0 && !admitted {
            let egress = spec.get("egress");
            report.warning(&egress.path, "lint.no-dns", Some("lint.no-dns.hint"), &[]);
            let first = format!("{}[0]", egress.path);
            report.fix_insert((view.text, &first), "lint.no-dns.fix", rule);
        }
        if !view.pods.is_empty() && !selector::is_empty(&pods) && view.matched(namespace, &pods).is_empty() {
            report.warning(&pods.path, "lint.policy-no-pods", Some("lint.policy-no-pods.hint"), &[namespace]);
        }
        blocks(&spec, cluster, &mut report);
        found.extend(report.finish());
    }
}

/// A rule that admits queries, as list item at this indentation.
fn rule(indent: &str) -> String {
    format!(
        "- ports:\n{indent}  - {{protocol: UDP, port: 53}}\n{indent}  - {{protocol: TCP, port: 53}}\n{indent}"
    )
}

fn is_egress(spec: &Cursor<'_>) -> bool {
    let types = spec.get("policyTypes");
    if types.len() == 0 {
        spec.get("egress").len() > 0
    } else {
        types.items().any(|one| one.text() == "Egress")
    }
}

/// Whether a selector selects at least what another does: everything, or just the same.
fn covers(one: &Cursor<'_>, other: &Cursor<'_>) -> bool {
    selector::is_empty(one) || one.value == other.value
}

/// Whether a rule lets queries out, to wherever. A rule without peers and ports admits all.
fn admits_dns(egress: &Cursor<'_>) -> bool {
    egress.items().any(|rule| {
        let ports = rule.get("ports");
        let fits = |port: &Cursor<'_>| {
            let (number, end) = (port.get("port"), port.get("endPort"));
            let last = if end.is_set() { end.number() } else { number.number() };
            let named = matches!(number.text(), "dns" | "domain" | "dns-tcp");
            let hit = !number.is_set() || named || (number.number() <= DNS && DNS <= last);
            hit && port.get("protocol").text_or("TCP") == "UDP"
        };
        let to_all = rule.get("to").len() == 0;
        let to_pods = rule.get("to").items().any(|peer| peer.get("namespaceSelector").is_set());
        let wide = rule.get("to").items().any(|peer| peer.get("ipBlock").get("cidr").text() == "0.0.0.0/0");
        (ports.len() == 0 && (to_all || to_pods || wide)) || ports.items().any(|port| fits(&port))
    })
}

/// A policy sees a packet with the address of the Pod behind a Service, never with the Service's.
fn blocks(spec: &Cursor<'_>, cluster: &ClusterSpec, report: &mut Report<'_>) {
    let services = cluster.network.service_cidr;
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.get(rules).items() {
            for peer in rule.get(peers).items() {
                let cidr = peer.get("ipBlock").get("cidr");
                let Ok(range) = cidr.text().parse::<Ipv4Net>() else { continue };
                if services.contains(&range) {
                    let args = [cidr.text(), &services.to_string()];
                    report.warning(&cidr.path, "lint.service-block", Some("lint.service-block.hint"), &args);
                }
            }
        }
    }
}
