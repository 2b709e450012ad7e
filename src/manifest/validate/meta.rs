//! `metadata`: names, namespaces and labels.

use super::cursor::{Cursor, quoted};
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
            &namespace.path(),
            "invalid.cluster-scoped",
            Some("invalid.cluster-scoped.hint"),
            &[kind.name],
        );
    } else if !namespace.text().is_empty() {
        namespace.invalid(report, names::dns_label(namespace.text()));
    }
    labels(&metadata.get("labels"), report);
    annotations(&metadata.get("annotations"), report);
    owners(&metadata.get("ownerReferences"), report);
    finalizers(&metadata.get("finalizers"), report);
}

fn name(kind: Kind, metadata: &Cursor<'_>, report: &mut Report<'_>) {
    // The cluster document stands once; it needs no name.
    if kind.name == "Cluster" && !metadata.get("name").is_set() {
        return;
    }
    let (name, generated) = (metadata.get("name"), metadata.get("generateName"));
    let form = |text: &str| match kind.name {
        "Namespace" | "StatefulSet" => names::dns_label(text),
        "Service" => names::dns1035_label(text),
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => names::path_segment(text),
        _ => names::dns_subdomain(text),
    };
    let prefix = generated.text();
    if !prefix.is_empty() {
        // A hyphen at the end is masked (`maskTrailingDash`), for more of the name follows.
        let masked = match prefix.strip_suffix('-') {
            Some(rest) if !rest.is_empty() => {
                format!("{}a", &rest[..rest.len() - rest.chars().next_back().map_or(0, char::len_utf8)])
            }
            _ => prefix.to_owned(),
        };
        generated.invalid(report, form(&masked));
    }
    if name.text().is_empty() {
        if prefix.is_empty() {
            report.error(&name.path(), "invalid.no-name", Some("invalid.no-name.hint"), &[]);
        }
        return;
    }
    name.invalid(report, form(name.text()));
}

/// `ValidateOwnerReferences`. The API server names the list without an index as the place.
fn owners(owners: &Cursor<'_>, report: &mut Report<'_>) {
    let mut controllers = Vec::new();
    for owner in owners.items() {
        let fields = [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ];
        for (name, why) in fields {
            let field = owner.get(name);
            if field.text().is_empty() {
                let path = format!("{}.{name}", owners.path());
                report.error_near(
                    (&field.path(), &path),
                    "invalid.because",
                    "invalid.because.hint",
                    &["\"\"", why],
                );
            }
        }
        if owner.get("controller").is_true() {
            controllers.push(owner);
        }
    }
    let shown = |owner: &Cursor<'_>| owner.get("kind").text().to_owned() + "/" + owner.get("name").text();
    if let [first, second, ..] = &controllers[..] {
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
            shown(first),
            shown(second)
        );
        owners.because(report, &why);
    }
}

/// `ValidateFinalizers`.
fn finalizers(finalizers: &Cursor<'_>, report: &mut Report<'_>) {
    for one in finalizers.items() {
        for (message, args) in names::qualified_name(one.text()) {
            let shown = one.shown();
            let args: Vec<&str> = std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
            report.error_near((&one.path(), &finalizers.path()), message, "invalid.name.hint", &args);
        }
    }
    for one in finalizers.items() {
        let is_own = matches!(one.text(), "kubernetes" | "orphan" | "foregroundDeletion");
        if !one.text().contains('/') && !is_own {
            one.because(report, "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
    let has = |name: &str| finalizers.items().any(|one| one.text() == name);
    if has("orphan") && has("foregroundDeletion") {
        finalizers.because(report, "finalizer orphan and foregroundDeletion cannot be both set");
    }
}

/// Keys and values of labels. The API server names the whole map as the place.
pub(super) fn labels(labels: &Cursor<'_>, report: &mut Report<'_>) {
    labels_at(labels, &|| labels.path(), report);
}

/// The same, where the API server has another name for the map.
pub(super) fn labels_at(labels: &Cursor<'_>, path: &dyn Fn() -> String, report: &mut Report<'_>) {
    for (key, value) in labels.entries() {
        let mut faults = |shown: &str, faults: Vec<names::Fault>| {
            for (message, args) in faults {
                let shown = quoted(shown);
                let args: Vec<&str> =
                    std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
                report.error_near((&value.path(), &path()), message, "invalid.name.hint", &args);
            }
        };
        faults(key, names::qualified_name(key));
        faults(value.text(), names::label_value(value.text()));
    }
}

pub(super) fn annotations(annotations: &Cursor<'_>, report: &mut Report<'_>) {
    annotations_at(annotations, &|| annotations.path(), report);
}

pub(super) fn annotations_at(annotations: &Cursor<'_>, path: &dyn Fn() -> String, report: &mut Report<'_>) {
    let mut size = 0;
    for (key, value) in annotations.entries() {
        size += key.len() + value.text().len();
        for (message, args) in names::qualified_name(&key.to_lowercase()) {
            let shown = quoted(key);
            let args: Vec<&str> = std::iter::once(&*shown).chain(args.iter().map(String::as_str)).collect();
            report.error_near((&value.path(), &path()), message, "invalid.name.hint", &args);
        }
    }
    if size > ANNOTATION_LIMIT {
        let places = (&*annotations.path(), &*path());
        report.error_near(places, "invalid.annotations", "invalid.annotations.hint", &[]);
    }
}
