//! `metadata`: names, namespaces and labels.

use super::cursor::Cursor;
use super::names;
use crate::manifest::report::Report;
use crate::manifest::schema::Kind;

/// All annotations of an object together, in bytes (`TotalAnnotationSizeLimitB`).
const ANNOTATION_LIMIT: usize = 256 << 10;

pub(super) fn validate(kind: Kind, metadata: &Cursor<'_>, report: &mut Report<'_>) {
    name(kind, metadata, report);
    let namespace = metadata.get("namespace");
    if !kind.namespaced && !namespace.text().is_empty() {
        report.error(
            &namespace.path,
            "invalid.cluster-scoped",
            Some("invalid.cluster-scoped.hint"),
            &[kind.name],
        );
    } else if !namespace.text().is_empty() {
        namespace.invalid(report, names::dns_label(namespace.text()));
    }
    labels(&metadata.get("labels"), report);
    annotations(&metadata.get("annotations"), report);
}

fn name(kind: Kind, metadata: &Cursor<'_>, report: &mut Report<'_>) {
    // The cluster document stands once; it needs no name.
    if kind.name == "Cluster" && !metadata.get("name").is_set() {
        return;
    }
    let name = metadata.get("name");
    if name.text().is_empty() {
        let generated = metadata.get("generateName");
        if generated.text().is_empty() {
            return report.error(&name.path, "invalid.no-name", Some("invalid.no-name.hint"), &[]);
        }
        return generated.invalid(report, names::dns_subdomain(generated.text().trim_end_matches('-')));
    }
    let faults = match kind.name {
        "Namespace" => names::dns_label(name.text()),
        "Service" => names::dns1035_label(name.text()),
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => Vec::new(),
        _ => names::dns_subdomain(name.text()),
    };
    name.invalid(report, faults);
}

/// Keys and values of labels. The API server names the whole map as the place.
pub(super) fn labels(labels: &Cursor<'_>, report: &mut Report<'_>) {
    for (key, value) in labels.entries() {
        let mut faults = |shown: &str, faults: Vec<names::Fault>| {
            for (message, args) in faults {
                let shown = format!("{shown:?}");
                let args = std::iter::once(shown.as_str())
                    .chain(args.iter().map(String::as_str))
                    .collect::<Vec<_>>();
                report.error_near((&value.path, &labels.path), message, "invalid.name.hint", &args);
            }
        };
        faults(key, names::qualified_name(key));
        faults(value.text(), names::label_value(value.text()));
    }
}

fn annotations(annotations: &Cursor<'_>, report: &mut Report<'_>) {
    let mut size = 0;
    for (key, value) in annotations.entries() {
        size += key.len() + value.text().len();
        for (message, args) in names::qualified_name(&key.to_lowercase()) {
            let shown = format!("{key:?}");
            let args =
                std::iter::once(shown.as_str()).chain(args.iter().map(String::as_str)).collect::<Vec<_>>();
            report.error_near((&value.path, &annotations.path), message, "invalid.name.hint", &args);
        }
    }
    if size > ANNOTATION_LIMIT {
        report.error(&annotations.path, "invalid.annotations", Some("invalid.annotations.hint"), &[]);
    }
}
