//! Services, what is behind them, and what leads to them.

use super::{Look, NONE, age, name};
use crate::shell::kubectl::json::{at, labels, list, number, or, plain, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// How many endpoints, ports or hosts a cell lists before it counts the rest.
const MOST: usize = 3;
/// Longest list of a load balancer's addresses outside `-o wide` (`loadBalancerWidth`).
const ADDRESSES: usize = 16;

pub(super) fn service(service: &Value, look: Look) -> Vec<String> {
    let ips = list(service, "spec.clusterIPs");
    let ip = ips.first().map_or_else(|| text(service, "spec.clusterIP").to_owned(), plain);
    let ports: Vec<String> = list(service, "spec.ports").iter().map(port).collect();
    let kind = or(text(service, "spec.type"), "ClusterIP");
    let external = external(service, &kind, look.wide);
    let mut row =
        vec![name(service), kind, or(&ip, NONE), external, or(&ports.join(","), NONE), age(service, look)];
    if look.wide {
        row.push(labels(service, "spec.selector"));
    }
    row
}

fn port(port: &Value) -> String {
    let protocol = or(text(port, "protocol"), "TCP");
    match number(port, "nodePort") {
        0 => format!("{}/{protocol}", number(port, "port")),
        node_port => format!("{}:{node_port}/{protocol}", number(port, "port")),
    }
}

/// `getServiceExternalIP`.
fn external(service: &Value, kind: &str, wide: bool) -> String {
    let own: Vec<String> = list(service, "spec.externalIPs").iter().map(plain).collect();
    match kind {
        "ClusterIP" | "NodePort" => or(&own.join(","), NONE),
        "LoadBalancer" => {
            let given = addresses(service, wide);
            let all: Vec<String> =
                Some(given).filter(|text| !text.is_empty()).into_iter().chain(own).collect();
            or(&all.join(","), "<pending>")
        }
        "ExternalName" => text(service, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// The addresses that a load balancer has, sorted and cut short (`loadBalancerStatusStringer`).
fn addresses(object: &Value, wide: bool) -> String {
    let ingress = list(object, "status.loadBalancer.ingress");
    let known: BTreeSet<&str> = ingress
        .iter()
        .map(|one| if text(one, "ip").is_empty() { text(one, "hostname") } else { text(one, "ip") })
        .filter(|text| !text.is_empty())
        .collect();
    let joined = known.into_iter().collect::<Vec<_>>().join(",");
    match joined.get(..ADDRESSES - 3) {
        Some(start) if !wide && joined.len() > ADDRESSES => format!("{start}..."),
        _ => joined,
    }
}

/// `formatEndpoints`: only addresses that are ready.
pub(super) fn endpoints(endpoints: &Value, look: Look) -> Vec<String> {
    let subsets = list(endpoints, "subsets");
    let mut all = Vec::new();
    for subset in subsets {
        let ips = || list(subset, "addresses").iter().map(|one| text(one, "ip"));
        let ports = list(subset, "ports");
        if ports.is_empty() {
            all.extend(ips().map(str::to_owned));
        }
        for port in ports {
            let number = number(port, "port");
            all.extend(ips().map(|ip| {
                if ip.contains(':') { format!("[{ip}]:{number}") } else { format!("{ip}:{number}") }
            }));
        }
    }
    let listed = if subsets.is_empty() { NONE.to_owned() } else { cut(all) };
    vec![name(endpoints), listed, age(endpoints, look)]
}

fn cut(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    let text = all.join(",");
    if more == 0 { text } else { format!("{text} + {more} more...") }
}

/// `formatDiscoveryPorts`, `formatDiscoveryEndpoints`.
pub(super) fn slice(slice: &Value, look: Look) -> Vec<String> {
    let ports = list(slice, "ports").iter().map(|port| match at(port, "port").as_i64() {
        Some(number) => number.to_string(),
        None => or(text(port, "name"), "*"),
    });
    let endpoints = list(slice, "endpoints").iter().flat_map(|one| list(one, "addresses")).map(plain);
    vec![
        name(slice),
        text(slice, "addressType").to_owned(),
        or(&cut(ports.collect()), "<unset>"),
        or(&cut(endpoints.collect()), "<unset>"),
        age(slice, look),
    ]
}

pub(super) fn ingress(ingress: &Value, look: Look) -> Vec<String> {
    let hosts: Vec<String> = list(ingress, "spec.rules")
        .iter()
        .map(|rule| text(rule, "host").to_owned())
        .filter(|host| !host.is_empty())
        .collect();
    let ports = if list(ingress, "spec.tls").is_empty() { "80" } else { "80, 443" };
    vec![
        name(ingress),
        or(text(ingress, "spec.ingressClassName"), NONE),
        or(&cut(hosts), "*"),
        addresses(ingress, look.wide),
        ports.to_owned(),
        age(ingress, look),
    ]
}

pub(super) fn ingress_class(class: &Value, look: Look) -> Vec<String> {
    let parameters = at(class, "spec.parameters");
    let reference = if parameters.is_null() {
        NONE.to_owned()
    } else {
        let group = text(parameters, "apiGroup");
        let dot = if group.is_empty() { "" } else { "." };
        format!("{}{dot}{group}/{}", text(parameters, "kind"), text(parameters, "name"))
    };
    vec![name(class), text(class, "spec.controller").to_owned(), reference, age(class, look)]
}

pub(super) fn ip_address(address: &Value) -> Vec<String> {
    let parent = at(address, "spec.parentRef");
    if parent.is_null() {
        return vec![name(address), NONE.to_owned()];
    }
    let group = text(parent, "group");
    let dot = if group.is_empty() { "" } else { "." };
    let parts = [
        format!("{}{dot}{group}", text(parent, "resource")),
        text(parent, "namespace").to_owned(),
        text(parent, "name").to_owned(),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    vec![name(address), parts.join("/")]
}
