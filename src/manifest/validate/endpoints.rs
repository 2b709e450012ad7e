//! `ValidateEndpoints` and `ValidateEndpointSlice`.

use super::cursor::{Cursor, quoted};
use super::{address, names};
use crate::manifest::report::Report;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Most endpoints in one slice (`maxEndpoints`).
const ENDPOINTS: usize = 1000;
/// Most addresses of one endpoint (`maxAddresses`).
const ADDRESSES: usize = 100;

/// The subsets of an Endpoints object.
pub(super) fn endpoints(root: &Cursor<'_>, report: &mut Report<'_>) {
    for subset in root.get("subsets").items() {
        let lists = [subset.get("addresses"), subset.get("notReadyAddresses")];
        if lists.iter().all(|list| list.len() == 0) {
            report.error(&subset.path(), "invalid.no-addresses", Some("invalid.no-addresses.hint"), &[]);
        }
        for one in lists.iter().flat_map(Cursor::items) {
            subset_address(&one, report);
        }
        let ports = subset.get("ports");
        for port in ports.items() {
            subset_port(&port, ports.len() > 1, report);
        }
    }
}

fn subset_address(one: &Cursor<'_>, report: &mut Report<'_>) {
    let ip = one.get("ip");
    let is_ip = names::is_ip(ip.text());
    if !is_ip {
        address::ip(&ip, report);
    }
    let (host, node) = (one.get("hostname"), one.get("nodeName"));
    if !host.text().is_empty() {
        host.invalid(report, names::dns_label(host.text()));
    }
    if node.is_set() {
        node.invalid(report, names::dns_subdomain(node.text()));
    }
    if is_ip {
        address::reachable_ip(&ip, report);
    } else {
        ip.because_of(report, &quoted(ip.text()), "must be a valid IP address");
    }
}

fn subset_port(port: &Cursor<'_>, needs_name: bool, report: &mut Report<'_>) {
    let name = port.get("name");
    if !name.text().is_empty() {
        name.invalid(report, names::dns_label(name.text()));
    } else if needs_name {
        name.required(report);
    }
    let number = port.get("port");
    number.port(report);
    protocols(port, report);
}

fn protocols(port: &Cursor<'_>, report: &mut Report<'_>) {
    let protocol = port.get("protocol");
    if !protocol.text().is_empty() {
        protocol.one_of(report, &["SCTP", "TCP", "UDP"]);
    }
    let application = port.get("appProtocol");
    if application.is_set() {
        application.invalid(report, names::qualified_name(application.text()));
    }
}

/// An EndpointSlice.
pub(super) fn slice(root: &Cursor<'_>, report: &mut Report<'_>) {
    let family = root.get("addressType");
    if family.text().is_empty() {
        family.required(report);
    } else {
        family.one_of(report, &["FQDN", "IPv4", "IPv6"]);
    }
    let endpoints = root.get("endpoints");
    too_many(&endpoints, ENDPOINTS, report);
    for endpoint in endpoints.items() {
        let addresses = endpoint.get("addresses");
        if addresses.len() == 0 {
            report.error(&addresses.path(), "invalid.one-address", Some("invalid.no-addresses.hint"), &[]);
        }
        too_many(&addresses, ADDRESSES, report);
        for one in addresses.items() {
            slice_address(&one, family.text(), report);
        }
        let host = endpoint.get("hostname");
        if host.is_set() {
            host.invalid(report, names::dns_label(host.text()));
        }
    }
    let mut seen = BTreeSet::new();
    for port in root.get("ports").items() {
        let name = port.get("name");
        if !seen.insert(name.text()) {
            name.duplicate(report);
        }
        if !name.text().is_empty() {
            name.invalid(report, names::dns_label(name.text()));
        }
        protocols(&port, report);
    }
}

fn too_many(list: &Cursor<'_>, most: usize, report: &mut Report<'_>) {
    if list.len() > most {
        let (found, most) = (list.len().to_string(), most.to_string());
        report.error(&list.path(), "invalid.too-many", Some("invalid.too-many.hint"), &[&found, &most]);
    }
}

fn slice_address(one: &Cursor<'_>, family: &str, report: &mut Report<'_>) {
    let parsed = one.text().parse::<IpAddr>().ok();
    match family {
        "FQDN" => one.invalid(report, names::dns_subdomain(one.text())),
        "IPv4" if !parsed.is_some_and(|ip| ip.is_ipv4()) => {
            one.fault(report, "invalid.ipv4", "invalid.ip.hint", &[]);
        }
        "IPv6" if !parsed.is_some_and(|ip| ip.is_ipv6()) => {
            one.fault(report, "invalid.ipv6", "invalid.ipv6.hint", &[]);
        }
        "IPv4" | "IPv6" => address::reachable_ip(one, report),
        _ => {}
    }
}
