//! `ValidateServiceCreate`, after the defaults of `SetDefaults_Service`.

mod cluster_ips;
mod port;

use super::cursor::Cursor;
use super::{address, meta, names};
use crate::manifest::report::Report;

/// The kubelet's own port (`ports.KubeletPort`), which no load balancer may take.
const KUBELET_PORT: i64 = 10250;
/// `MaxClientIPServiceAffinitySeconds`.
const AFFINITY_SECONDS: i64 = 86400;

/// `AnnotationLoadBalancerSourceRangesKey`.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// `spec.type` with its default.
pub(super) fn kind<'v>(spec: &Cursor<'v>) -> &'v str {
    spec.get("type").text_or("ClusterIP")
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

pub(super) fn validate(root: &Cursor<'_>, report: &mut Report<'_>) {
    let spec = &root.get("spec");
    topology_annotations(&root.get("metadata").get("annotations"), report);
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
    spec.get("type").one_of_or_empty(report, &types);
    load_balancer(spec, report);
    if spec.get("loadBalancerSourceRanges").len() == 0 {
        annotated_ranges(root, report);
    }
    traffic_policies(spec, report);
}

fn by_type(spec: &Cursor<'_>, report: &mut Report<'_>) {
    match kind(spec) {
        "LoadBalancer" => {
            for port in spec.get("ports").items().filter(|port| port.get("port").number() == KUBELET_PORT) {
                let shown = KUBELET_PORT.to_string();
                report.error(&port.path(), "invalid.kubelet-port", Some("invalid.port.hint"), &[&shown]);
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
    affinity.one_of_or_empty(report, &["ClientIP", "None"]);
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
        report.error_near((&ranges.path(), path), "invalid.only-load-balancer", hint, &[&ranges.shown()]);
    }
    for (index, range) in ranges.items().enumerate() {
        if !names::is_cidr(range.text().trim()) {
            let path = format!("{path}[{index}]");
            report.error_near((&range.path(), &path), "invalid.cidr", "invalid.cidr.hint", &[&range.shown()]);
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

/// The older way to write the ranges, as an annotation: a list with commas.
fn annotated_ranges(root: &Cursor<'_>, report: &mut Report<'_>) {
    let annotation = root.get("metadata").get("annotations").get(SOURCE_RANGES);
    if !annotation.is_set() {
        return;
    }
    let path = format!("metadata.annotations[{SOURCE_RANGES}]");
    let shown = annotation.shown();
    if kind(&root.get("spec")) != "LoadBalancer" {
        let hint = Some("invalid.only-load-balancer.hint");
        report.error(&path, "invalid.only-load-balancer", hint, &[&shown]);
    }
    let text = annotation.text().trim();
    for range in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
        if !names::is_cidr(range) {
            report.error(&path, "invalid.cidr", Some("invalid.cidr.hint"), &[&format!("{range:?}")]);
        }
    }
}

/// The annotation that asks for topology hints, in its older and its newer form.
fn topology_annotations(annotations: &Cursor<'_>, report: &mut Report<'_>) {
    const OLDER: &str = "service.kubernetes.io/topology-aware-hints";
    const NEWER: &str = "service.kubernetes.io/topology-mode";
    let (older, newer) = (annotations.get(OLDER), annotations.get(NEWER));
    if older.is_set() && newer.is_set() && older.text() != newer.text() {
        let path = format!("metadata.annotations[{NEWER}]");
        let why = format!("must match annotations[{OLDER}] when both are specified");
        report.error(&path, "invalid.because", Some("invalid.because.hint"), &[&newer.shown(), &why]);
    }
}

fn traffic_policies(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let external = spec.get("externalTrafficPolicy");
    let policies = ["Cluster", "Local"];
    if is_external(spec) {
        external.one_of_or_empty(report, &policies);
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
    spec.get("internalTrafficPolicy").one_of_or_empty(report, &policies);
    let distribution = spec.get("trafficDistribution");
    distribution.one_of(report, &["PreferClose", "PreferSameNode", "PreferSameZone"]);
}
