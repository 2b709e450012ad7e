//! Environment variables (`ValidateEnv`, `ValidateEnvFrom`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::names;

/// Fields of the Pod that a variable may hold.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Resources of the container that a variable may hold.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
const ONE_OF: &str =
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
const MANY: &str = "may not have more than one field specified at a time";

pub(super) fn validate(container: &Cursor<'_>, report: &mut Report<'_>) {
    for variable in container.get("env").items() {
        let name = variable.get("name");
        if name.text().is_empty() {
            name.required(report);
        } else {
            name.invalid(report, names::env_name(name.text()));
        }
        value_from(&variable, report);
    }
    for source in container.get("envFrom").items() {
        env_from(&source, &container.get("envFrom").path(), report);
    }
}

/// An error about a whole struct, which the API server shows as an empty text.
fn about(path: &str, why: &str, report: &mut Report<'_>) {
    report.error(path, "invalid.because", Some("invalid.because.hint"), &["\"\"", why]);
}

fn value_from(variable: &Cursor<'_>, report: &mut Report<'_>) {
    let from = variable.get("valueFrom");
    if !from.is_set() {
        return;
    }
    let set = SOURCES.map(|source| from.get(source)).into_iter().filter(Cursor::is_set).collect::<Vec<_>>();
    for source in &set {
        match &*source.name() {
            "fieldRef" => field_ref(source, &FIELDS, report),
            "resourceFieldRef" => resource_ref(source, report),
            "configMapKeyRef" | "secretKeyRef" => key_ref(source, report),
            _ => {}
        }
    }
    if set.is_empty() {
        about(&from.path(), ONE_OF, report);
    } else if !variable.get("value").text().is_empty() {
        report.error(&from.path(), "invalid.env-both", Some("invalid.env-both.hint"), &["\"\""]);
    } else if set.len() > 1 {
        about(&from.path(), MANY, report);
    }
}

/// What the conversion of field paths knows and no variable can hold.
const ONLY_KNOWN: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase"];

/// `validateObjectFieldSelector`: a field of the Pod, of those that can be `told` here.
pub(super) fn field_ref(source: &Cursor<'_>, told: &[&str], report: &mut Report<'_>) {
    let field = source.get("fieldPath");
    let text = field.text();
    if text.is_empty() {
        return field.required(report);
    }
    let subscript = text.strip_suffix("']").and_then(|text| text.split_once("['"));
    if let Some((path @ ("metadata.labels" | "metadata.annotations"), key)) = subscript {
        let key = if path == "metadata.labels" { key.to_owned() } else { key.to_lowercase() };
        return source.invalid(report, names::qualified_name(&key));
    }
    if told.contains(&text) {
        return;
    }
    if FIELDS.contains(&text) || ONLY_KNOWN.contains(&text) {
        return field.one_of(report, told);
    }
    field.because(report, &format!("error converting fieldPath: field label not supported: {text}"));
}

pub(super) fn resource_ref(source: &Cursor<'_>, report: &mut Report<'_>) {
    let resource = source.get("resource");
    let huge = ["requests.hugepages-", "limits.hugepages-"];
    if resource.text().is_empty() {
        resource.required(report);
    } else if !huge.iter().any(|prefix| resource.text().starts_with(prefix)) {
        resource.one_of(report, &RESOURCES);
    }
}

fn key_ref(source: &Cursor<'_>, report: &mut Report<'_>) {
    let (name, key) = (source.get("name"), source.get("key"));
    if name.is_set() {
        name.invalid(report, names::dns_subdomain(name.text()));
    }
    if key.text().is_empty() {
        key.required(report);
    } else {
        key.invalid(report, names::config_key(key.text()));
    }
}

fn env_from(source: &Cursor<'_>, list: &str, report: &mut Report<'_>) {
    let prefix = source.get("prefix");
    prefix.invalid(report, names::env_name(prefix.text()));
    let refs = ["configMapRef", "secretRef"].map(|name| source.get(name));
    let set = refs.iter().filter(|one| one.is_set()).count();
    for one in refs.iter().filter(|one| one.is_set()) {
        let name = one.get("name");
        if name.text().is_empty() {
            name.required(report);
        } else {
            name.invalid(report, names::dns_subdomain(name.text()));
        }
    }
    if set == 0 {
        about(list, "must specify one of: `configMapRef` or `secretRef`", report);
    } else if set > 1 {
        about(list, MANY, report);
    }
}
