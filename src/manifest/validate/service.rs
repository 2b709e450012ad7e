//! `ValidateServiceCreate`, after the defaults of `SetDefaults_Service`.

mod cluster_ips;
mod port;

use super::cursor::Cursor;
use super::{address, meta, names};
use crate::manifest::report::Report;
use serde_json::Value;

/// The kubelet's own port (`ports.KubeletPort`), which no load balancer may take.
const KUBELET_PORT: i64 = 10250;
/// `MaxClientIPServiceAffinitySeconds`.
const AFFINITY_SECONDS: i64 = 86400;

/// `spec.type` with its default.
pub(super) fn kind<'v>(spec: &Cursor<'v>) -> &'v str {
    Some(spec.get("type").text()).filter(|text| !text.is_empty()).unwrap_or("ClusterIP")
}

/// `IsHeadlessService`.
fn is_headless(spec: &Cursor<'_>) -> bool {
    let ips = spec.get("clusterIPs");
    spec.get("clusterIP").text() == "None" || (ips.len() == 1 && ips.items().any(|ip| ip.text() == "None"))
}

/// `ExternallyAccessible`.
fn is_external(spec: &Cursor<'_>) -> bool {
    match kind(spec) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => spec.get("externalIPs").len() > 0,
        _ => false,
    }
}

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let ports = spec.get("ports");
    if ports.len() == 0 && !is_headless(spec) && kind(spec) != "ExternalName" {
        ports.required(report);
    }
    by_type(spec, report);
    port::validate(spec, report);
    meta::labels(&spec.get("selector"), report);
    affinity(spec, report);
    cluster_ips::validate(spec, report);
    for ip in spec.get("externalIPs").items() {
        address::reachable_ip(&ip, report);
    }
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    not_empty(&spec.get("type"), report, &types);
    load_balancer(spec, report);
    traffic_policies(spec, report);
}

/// An enumeration in which an empty text stands for the default.
fn not_empty(field: &Cursor<'_>, report: &mut Report<'_>, allowed: &[&str]) {
    if !field.text().is_empty() {
        field.one_of(report, allowed);
    }
}

fn by_type(spec: &Cursor<'_>, report: &mut Report<'_>) {
    match kind(spec) {
        "LoadBalancer" => {
            for port in spec.get("ports").items().filter(|port| port.get("port").number() == KUBELET_PORT) {
                let shown = KUBELET_PORT.to_string();
                report.error(&port.path, "invalid.kubelet-port", Some("invalid.port.hint"), &[&shown]);
            }
            no_none(spec, "LoadBalancer", report);
        }
        "NodePort" => no_none(spec, "NodePort", report),
        "ExternalName" => external_name(spec, report),
        _ => {}
    }
}

fn no_none(spec: &Cursor<'_>, kind: &str, report: &mut Report<'_>) {
    if is_headless(spec) {
        let place = cluster_ips::place(spec, 0);
        let places = (&*place, "spec.clusterIPs[0]");
        report.error_near(places, "invalid.no-none", "invalid.no-none.hint", &["\"None\"", kind]);
    }
}

fn external_name(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let has_ips = !spec.get("clusterIP").text().is_empty() || spec.get("clusterIPs").len() > 0;
    if has_ips {
        let place = if spec.get("clusterIPs").is_set() { "clusterIPs" } else { "clusterIP" };
        let shown = spec.get(place).shown();
        let place = format!("spec.{place}");
        let places = (&*place, "spec.clusterIPs");
        report.error_near(places, "invalid.external-name", "invalid.external-name.hint", &[&shown]);
    }
    for field in ["ipFamilies", "ipFamilyPolicy"] {
        let field = spec.get(field);
        if field.is_set() {
            field.fault(report, "invalid.external-name", "invalid.external-name.hint", &[]);
        }
    }
    let name = spec.get("externalName");
    let cname = name.text().strip_suffix('.').unwrap_or(name.text());
    if cname.is_empty() {
        name.required(report);
    } else {
        name.invalid(report, names::dns_subdomain(cname));
    }
}

fn affinity(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let affinity = spec.get("sessionAffinity");
    not_empty(&affinity, report, &["ClientIP", "None"]);
    let timeout = spec.get("sessionAffinityConfig").get("clientIP").get("timeoutSeconds");
    let wrong = timeout.is_set() && !(1..=AFFINITY_SECONDS).contains(&timeout.number());
    // Without ClientIP the defaults clear the configuration, so nothing in it can be wrong.
    if affinity.text() == "ClientIP" && wrong {
        let most = AFFINITY_SECONDS.to_string();
        timeout.fault(report, "invalid.affinity-timeout", "invalid.range.hint", &["1", &most]);
    }
}

fn load_balancer(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let balanced = kind(spec) == "LoadBalancer";
    let ranges = spec.get("loadBalancerSourceRanges");
    // The API server's own path begins with a capital letter.
    let path = "spec.LoadBalancerSourceRanges";
    if ranges.len() > 0 && !balanced {
        let hint = "invalid.only-load-balancer.hint";
        report.error_near((&ranges.path, path), "invalid.only-load-balancer", hint, &[&ranges.shown()]);
    }
    for (index, range) in ranges.items().enumerate() {
        if !names::is_cidr(range.text().trim()) {
            let path = format!("{path}[{index}]");
            report.error_near((&range.path, &path), "invalid.cidr", "invalid.cidr.hint", &[&range.shown()]);
        }
    }
    let allocate = spec.get("allocateLoadBalancerNodePorts");
    let class = spec.get("loadBalancerClass");
    for field in [&allocate, &class].into_iter().filter(|field| field.is_set() && !balanced) {
        field.fault(report, "invalid.only-load-balancer", "invalid.only-load-balancer.hint", &[]);
    }
    if class.is_set() && balanced {
        class.invalid(report, names::qualified_name(class.text()));
    }
}

fn traffic_policies(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let external = spec.get("externalTrafficPolicy");
    let policies = ["Cluster", "Local"];
    if is_external(spec) {
        not_empty(&external, report, &policies);
    } else if !external.text().is_empty() {
        external.fault(report, "invalid.not-external", "invalid.not-external.hint", &[]);
    }
    let health = spec.get("healthCheckNodePort");
    let checked = kind(spec) == "LoadBalancer" && external.text() == "Local";
    if !checked && health.number() != 0 {
        health.fault(report, "invalid.health-port", "invalid.health-port.hint", &[]);
    } else if checked && health.number() != 0 && !names::port_number(health.number()) {
        health.fault(report, "invalid.port", "invalid.port.hint", &[]);
    }
    not_empty(&spec.get("internalTrafficPolicy"), report, &policies);
    let distribution = spec.get("trafficDistribution");
    distribution.one_of(report, &["PreferClose", "PreferSameNode", "PreferSameZone"]);
}

/// The text of a value, with `otherwise` for an empty one.
fn text_or<'v>(field: &Cursor<'v>, otherwise: &'v str) -> &'v str {
    match field.value {
        Value::String(text) if !text.is_empty() => text,
        Value::String(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_) => otherwise,
    }
}
