//! What Istio's own definitions ask of its objects (`manifests/charts/base/files/crd-all.gen.yaml`): the API server checks
//! them by the schema and the rules that stand there.

use super::cursor::Cursor;
use crate::manifest::report::Report;

const MODES: [&str; 4] = ["UNSET", "DISABLE", "PERMISSIVE", "STRICT"];

/// A `PeerAuthentication`.
pub(super) fn peer_authentication(spec: &Cursor<'_>, report: &mut Report<'_>) {
    spec.get("mtls").get("mode").one_of(report, &MODES);
    let selector = spec.get("selector");
    workloads(&selector, report);
    let ports = spec.get("portLevelMtls");
    if !ports.is_set() {
        return;
    }
    if ports.entries().next().is_none() {
        because(&ports, report, "portLevelMtls in body should have at least 1 properties");
    } else if selector.get("matchLabels").entries().next().is_none() {
        because(spec, report, "portLevelMtls requires selector");
    }
    if ports.entries().any(|(port, _)| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        because(&ports, report, "port must be between 1-65535");
    }
    for (_, port) in ports.entries() {
        port.get("mode").one_of(report, &MODES);
    }
}

/// A selector of workloads.
fn workloads(selector: &Cursor<'_>, report: &mut Report<'_>) {
    let labels = selector.get("matchLabels");
    if labels.entries().any(|(key, _)| key.contains('*')) {
        because(&labels, report, "wildcard not allowed in label key match");
    }
    if labels.entries().any(|(key, _)| key.is_empty()) {
        because(&labels, report, "key must not be empty");
    }
    for (_, value) in labels.entries().filter(|(_, value)| value.text().contains('*')) {
        report.error(
            &value.path,
            "invalid.because",
            Some("invalid.because.hint"),
            &["\"string\"", "wildcard not allowed in label value match"],
        );
    }
}

/// A rule of the definition that an object breaks; of the object itself only its type is shown.
fn because(object: &Cursor<'_>, report: &mut Report<'_>, why: &str) {
    report.error(&object.path, "invalid.because", Some("invalid.because.hint"), &["\"object\"", why]);
}
