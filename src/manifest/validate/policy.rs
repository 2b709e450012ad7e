//! `ValidateNetworkPolicy` (k8s.io/kubernetes `pkg/apis/networking/validation`).

use super::cursor::Cursor;
use super::{address, names, selector};
use crate::manifest::report::Report;

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    selector::validate(&spec.get("podSelector"), report);
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.get(rules).items() {
            for port in rule.get("ports").items() {
                ports(&port, report);
            }
            for one in rule.get(peers).items() {
                peer(&one, report);
            }
        }
    }
    let types = spec.get("policyTypes");
    if types.len() > 2 {
        return types.fault(report, "invalid.policy-types", "invalid.policy-types.hint", &[]);
    }
    for kind in types.items() {
        kind.one_of(report, &["Ingress", "Egress"]);
    }
}

fn ports(port: &Cursor<'_>, report: &mut Report<'_>) {
    port.get("protocol").one_of_or_empty(report, &["SCTP", "TCP", "UDP"]);
    let (number, end) = (port.get("port"), port.get("endPort"));
    if let Some(name) = number.value.as_str() {
        if end.is_set() {
            end.fault(report, "invalid.end-port-named", "invalid.end-port.hint", &[]);
        }
        return number.invalid(report, names::port_name(name));
    }
    if !number.is_set() {
        if end.is_set() {
            end.fault(report, "invalid.end-port-alone", "invalid.end-port.hint", &[]);
        }
        return;
    }
    if !names::port_number(number.number()) {
        number.fault(report, "invalid.port", "invalid.port.hint", &[]);
    }
    if end.is_set() && end.number() < number.number() {
        end.fault(report, "invalid.end-port-less", "invalid.end-port.hint", &[]);
    }
    if end.is_set() && !names::port_number(end.number()) {
        end.fault(report, "invalid.port", "invalid.port.hint", &[]);
    }
}

fn peer(peer: &Cursor<'_>, report: &mut Report<'_>) {
    let (pods, namespaces, block) =
        (peer.get("podSelector"), peer.get("namespaceSelector"), peer.get("ipBlock"));
    selector::validate(&pods, report);
    selector::validate(&namespaces, report);
    if block.is_set() {
        ip_block(&block, report);
    }
    match (block.is_set(), pods.is_set() || namespaces.is_set()) {
        (false, false) => report.error(&peer.path(), "invalid.no-peer", Some("invalid.no-peer.hint"), &[]),
        (true, true) => report.error(&peer.path(), "invalid.two-peers", Some("invalid.two-peers.hint"), &[]),
        (true, false) | (false, true) => {}
    }
}

/// `ValidateIPBlock`.
fn ip_block(block: &Cursor<'_>, report: &mut Report<'_>) {
    let cidr = block.get("cidr");
    if cidr.text().is_empty() {
        return cidr.required(report);
    }
    let Some(outer) = address::cidr(&cidr, report) else { return };
    for except in block.get("except").items() {
        if address::cidr(&except, report).is_some_and(|inner| !outer.strictly_contains(inner)) {
            except.fault(report, "invalid.except", "invalid.except.hint", &[cidr.text()]);
        }
    }
}
