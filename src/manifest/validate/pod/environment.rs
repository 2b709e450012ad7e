//! Environment variables (`ValidateEnv`, `ValidateEnvFrom`).

use crate::base::quantity;
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::{Cursor, quoted};
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

/// What amounts of memory and storage can be divided by.
const SIZES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

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
            "resourceFieldRef" => resource_ref(source, false, report),
            "fileKeyRef" => file_ref(source, report),
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
        return source.faulty(report, &quoted(&key), names::qualified_name(&key));
    }
    if told.contains(&text) {
        return;
    }
    if FIELDS.contains(&text) || ONLY_KNOWN.contains(&text) {
        return field.one_of(report, told);
    }
    field.because(report, &format!("error converting fieldPath: field label not supported: {text}"));
}

/// `validateContainerResourceFieldSelector`.
pub(super) fn resource_ref(source: &Cursor<'_>, is_file: bool, report: &mut Report<'_>) {
    let (container, resource) = (source.get("containerName"), source.get("resource"));
    let name = resource.text();
    let is_huge = ["requests.hugepages-", "limits.hugepages-"].iter().any(|prefix| name.starts_with(prefix));
    if is_file && container.text().is_empty() {
        container.required(report);
    } else if name.is_empty() {
        resource.required(report);
    } else if !is_huge {
        resource.one_of(report, &RESOURCES);
    }
    divisor(&source.get("divisor"), name, report);
}

/// `validateContainerResourceDivisor`, which shows the resource in place of the divisor.
fn divisor(divisor: &Cursor<'_>, resource: &str, report: &mut Report<'_>) {
    let what = match resource.split_once('.').map_or("", |(_, name)| name) {
        "cpu" => "cpu",
        "memory" => "memory",
        "ephemeral-storage" => "local ephemeral storage",
        name if name.starts_with("hugepages-") => "hugepages",
        _ => return,
    };
    let allowed: &[&str] = if what == "cpu" { &["1m", "1"] } else { &SIZES };
    let text = quantity::canonical(divisor.value);
    if divisor.is_set() && text != "0" && !allowed.contains(&&*text) {
        let list = if what == "cpu" { allowed.join(" and ") } else { allowed.join(", ") };
        let why = format!("only divisor's values {list} are supported with the {what} resource");
        divisor.because_of(report, &quoted(resource), &why);
    }
}

/// `validateFileKeySelector`.
fn file_ref(source: &Cursor<'_>, report: &mut Report<'_>) {
    let [key, volume, path] = ["key", "volumeName", "path"].map(|field| source.get(field));
    for field in [&key, &volume, &path].into_iter().filter(|field| field.text().is_empty()) {
        field.required(report);
    }
    key.invalid(report, names::env_name(key.text()));
    if !volume.text().is_empty() {
        volume.invalid(report, names::dns_label(volume.text()));
    }
    if path.text().split('/').any(|part| part == "..") {
        path.because(report, "must not contain '..'");
    }
}

fn key_ref(source: &Cursor<'_>, report: &mut Report<'_>) {
    let (name, key) = (source.get("name"), source.get("key"));
    name.faulty(report, &quoted(name.text()), names::dns_subdomain(name.text()));
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
