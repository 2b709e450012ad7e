//! Network policies: names that cannot be asked for any more, and ranges that nobody comes from.

use super::View;
use crate::api::ClusterSpec;
use crate::base::{DemoPlace, Diagnostic, Ipv4Net};
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
        let admitted = admitted || administrators_admit_dns(view);
        if is_egress(&spec) && spec.get("egress").len() > 0 && !admitted {
            let egress = spec.get("egress");
            report.warning(&egress.path(), "lint.no-dns", Some("lint.no-dns.hint"), &[]);
            if let Some(selected) = view.matched(namespace, &pods).first() {
                report.demo(selected.place(), "ping -c 1 -W 1 kube-dns.kube-system".to_owned());
            }
            let first = format!("{}[0]", egress.path());
            report.fix_insert((view.text, &first), "lint.no-dns.fix", rule);
        }
        if !view.pods().is_empty() && !selector::is_empty(&pods) && view.matched(namespace, &pods).is_empty()
        {
            report.warning(
                &pods.path(),
                "lint.policy-no-pods",
                Some("lint.policy-no-pods.hint"),
                &[namespace],
            );
            let labels = pods.get("matchLabels");
            let terms: Vec<String> =
                labels.entries().map(|(key, value)| format!("{key}={}", value.text())).collect();
            let asked = if terms.is_empty() { String::new() } else { format!(" -l {}", terms.join(",")) };
            report.demo(DemoPlace::Node, format!("kubectl get pods -n {namespace} --show-labels{asked}"));
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

/// Whether the administrators let queries out before any network policy is asked. Whom that is about is not looked at.
fn administrators_admit_dns(view: &View<'_>) -> bool {
    let fits = |port: &Cursor<'_>| {
        let (number, range) = (port.get("portNumber"), port.get("portRange"));
        let one = number.get("protocol").text() == "UDP" && number.get("port").number() == DNS;
        let many = range.get("protocol").text() == "UDP"
            && (range.get("start").number()..=range.get("end").number()).contains(&DNS);
        one || many
    };
    view.of_kind("AdminNetworkPolicy").any(|(_, root)| {
        root.get("spec").get("egress").items().any(|rule| {
            let ports = rule.get("ports");
            rule.get("action").text() == "Allow"
                && (ports.len() == 0 || ports.items().any(|port| fits(&port)))
        })
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
                    report.warning(
                        &cidr.path(),
                        "lint.service-block",
                        Some("lint.service-block.hint"),
                        &args,
                    );
                    // The addresses that policies see stand beside those of the Services.
                    let command = "sh -c 'kubectl get services -A; kubectl get endpointslices -A'";
                    report.demo(DemoPlace::Node, command.to_owned());
                }
            }
        }
    }
}
