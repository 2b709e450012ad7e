//! Ingresses and their classes (`pkg/apis/networking/validation`).

use super::cursor::Cursor;
use super::names;
use crate::manifest::report::Report;

/// What no path may contain, and what it may not end with (`invalidPathSequences`, `invalidPathSuffixes`).
const SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const SUFFIXES: [&str; 2] = ["/..", "/."];
/// `maxLenIngressClassController`.
const MOST_CONTROLLER: usize = 250;

/// `ValidateIngressCreate`.
pub(super) fn validate(root: &Cursor<'_>, report: &mut Report<'_>) {
    let spec = root.get("spec");
    let (backend, rules) = (spec.get("defaultBackend"), spec.get("rules"));
    if !backend.is_set() && rules.len() == 0 {
        spec.because_of(report, &rules.shown(), "either `defaultBackend` or `rules` must be specified");
    }
    if backend.is_set() {
        one_backend(&backend, report);
    }
    for rule in rules.items() {
        one_rule(&rule, report);
    }
    for tls in spec.get("tls").items() {
        for host in tls.get("hosts").items() {
            host.invalid(report, host_faults(host.text()));
        }
        let secret = tls.get("secretName");
        if !secret.text().is_empty() {
            secret.invalid(report, names::dns_subdomain(secret.text()));
        }
    }
    let class = spec.get("ingressClassName");
    if class.is_set() {
        class.invalid(report, names::dns_subdomain(class.text()));
    }
    let old = root.get("metadata").get("annotations").get("kubernetes.io/ingress.class");
    if old.is_set() && class.is_set() && old.text() != class.text() {
        let shown = old.shown();
        let why = "must match `ingressClassName` when both are specified";
        report.error_near(
            (&old.path(), "annotations.kubernetes.io/ingress.class"),
            "invalid.because",
            "invalid.because.hint",
            &[&shown, why],
        );
    }
}

/// `ValidateIngressClass`.
pub(super) fn class(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let controller = spec.get("controller");
    if controller.text().len() > MOST_CONTROLLER {
        let most = MOST_CONTROLLER.to_string();
        report.error(&controller.path(), "invalid.config-size", Some("invalid.long-name.hint"), &[&most]);
    }
    controller.domain_prefixed(report);
    let parameters = spec.get("parameters");
    if !parameters.is_set() {
        return;
    }
    reference(&parameters, report);
    // A scope that is not there has been filled in by the server.
    let (scope, namespace) = (parameters.get("scope"), parameters.get("namespace"));
    scope.one_of(report, &["Cluster", "Namespace"]);
    let is_set = scope.is_set();
    match scope.text() {
        "Namespace" if namespace.is_set() => {
            namespace.faulty(report, &namespace.shown(), names::dns_label(namespace.text()));
        }
        "Namespace" => namespace.required_because(report, "`parameters.scope` is set to 'Namespace'"),
        scope if namespace.is_set() && (scope == "Cluster" || !is_set) => {
            namespace.forbidden(report, "`parameters.scope` is set to 'Cluster'");
        }
        _ => {}
    }
}

/// A host: a subdomain, or one below `*.`.
fn host_faults(host: &str) -> Vec<names::Fault> {
    if host.contains('*') { names::wildcard_subdomain(host) } else { names::dns_subdomain(host) }
}

fn one_rule(rule: &Cursor<'_>, report: &mut Report<'_>) {
    let host = rule.get("host");
    if !host.text().is_empty() {
        if names::is_ip(host.text()) {
            host.because(report, "must be a DNS name, not an IP address");
        }
        host.invalid(report, host_faults(host.text()));
    }
    let http = rule.get("http");
    if !http.is_set() {
        return;
    }
    let paths = http.get("paths");
    if paths.len() == 0 {
        paths.required(report);
    }
    for path in paths.items() {
        one_path(&path, report);
    }
}

/// `validateHTTPIngressPath`.
fn one_path(path: &Cursor<'_>, report: &mut Report<'_>) {
    let (kind, text) = (path.get("pathType"), path.get("path"));
    if !kind.is_set() {
        return kind.required_because(report, "pathType must be specified");
    }
    let way = text.text();
    kind.one_of(report, &["Exact", "ImplementationSpecific", "Prefix"]);
    let is_strict = matches!(kind.text(), "Exact" | "Prefix");
    if !way.starts_with('/') && (is_strict || (kind.text() == "ImplementationSpecific" && !way.is_empty())) {
        text.because_of(report, &format!("{way:?}"), "must be an absolute path");
    }
    if is_strict {
        for part in SEQUENCES.iter().filter(|part| way.contains(**part)) {
            text.because(report, &format!("must not contain '{part}'"));
        }
        for end in SUFFIXES.iter().filter(|end| way.ends_with(**end)) {
            text.because(report, &format!("cannot end with '{end}'"));
        }
    }
    one_backend(&path.get("backend"), report);
}

/// `validateIngressBackend`.
fn one_backend(backend: &Cursor<'_>, report: &mut Report<'_>) {
    let (resource, service) = (backend.get("resource"), backend.get("service"));
    let nothing = "\"\"";
    match (resource.is_set(), service.is_set()) {
        (true, true) => {
            backend.because_of(report, nothing, "cannot set both resource and service backends");
        }
        (true, false) => reference(&resource, report),
        (false, false) => backend.because_of(report, nothing, "resource or service backend is required"),
        (false, true) => {
            let name = service.get("name");
            if name.text().is_empty() {
                name.required(report);
            } else {
                name.invalid(report, names::dns1035_label(name.text()));
            }
            let (port, number) = (service.get("port").get("name"), service.get("port").get("number"));
            match (port.text().is_empty(), number.number() == 0) {
                (false, false) => {
                    backend.because_of(report, nothing, "cannot set both port name & port number");
                }
                (false, true) => port.invalid(report, names::port_name(port.text())),
                (true, false) => number.port(report),
                (true, true) => backend.required_because(report, "port name or number is required"),
            }
        }
    }
}

/// What names an object of some kind (`validateIngressTypedLocalObjectReference`).
fn reference(object: &Cursor<'_>, report: &mut Report<'_>) {
    let group = object.get("apiGroup");
    if group.is_set() {
        group.invalid(report, names::dns_subdomain(group.text()));
    }
    for (field, why) in [("kind", "kind is required"), ("name", "name is required")] {
        let field = object.get(field);
        if field.text().is_empty() {
            field.required_because(report, why);
        }
        field.invalid(report, names::path_segment(field.text()));
    }
}
