//! The ports of a Service (`validateServicePort`), one by one and among each other.

use super::kind;
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::{internal, names};
use std::collections::BTreeSet;

/// The node ports that are handed out (`--service-node-port-range`).
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let ports = spec.get("ports");
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.get("name");
        if name.text().is_empty() {
            if ports.len() > 1 {
                name.required(report);
            }
        } else {
            name.invalid(report, names::dns_label(name.text()));
            if !seen.insert(name.text()) {
                name.duplicate(report);
            }
        }
        numbers(&port, report);
        let application = port.get("appProtocol");
        if application.is_set() {
            application.invalid(report, names::qualified_name(application.text()));
        }
    }
    node_ports(spec, report);
    twice(&ports, report);
}

fn numbers(port: &Cursor<'_>, report: &mut Report<'_>) {
    let number = port.get("port");
    number.port(report);
    port.get("protocol").one_of_or_empty(report, &["SCTP", "TCP", "UDP"]);
    port_or_name(&port.get("targetPort"), report);
}

/// A number or a port's name (`ValidatePortNumOrName`). Zero and an empty name stand for the default.
fn port_or_name(field: &Cursor<'_>, report: &mut Report<'_>) {
    match field.value.as_str() {
        Some("") => {}
        Some(name) => field.invalid(report, names::port_name(name)),
        None if field.number() != 0 && !names::port_number(field.number()) => {
            field.fault(report, "invalid.port", "invalid.port.hint", &[]);
        }
        None => {}
    }
}

fn node_ports(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for port in spec.get("ports").items() {
        let node_port = port.get("nodePort");
        if node_port.number() == 0 {
            continue;
        }
        if kind(spec) == "ClusterIP" {
            node_port.fault(report, "invalid.no-node-port", "invalid.no-node-port.hint", &[]);
        } else if !seen.insert((port.get("protocol").text_or("TCP"), node_port.number())) {
            node_port.duplicate(report);
        } else if !NODE_PORTS.contains(&node_port.number()) {
            let (first, last) = (NODE_PORTS.start().to_string(), NODE_PORTS.end().to_string());
            node_port.fault(report, "invalid.node-port", "invalid.range.hint", &[&first, &last]);
        }
    }
}

fn twice(ports: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let (protocol, number) = (port.get("protocol").text_or("TCP"), port.get("port").number());
        if number != 0 && !seen.insert((protocol, number)) {
            let shown = internal::service_port(protocol, number);
            report.error(&port.path(), "invalid.duplicate", Some("invalid.duplicate.hint"), &[&shown]);
        }
    }
}
