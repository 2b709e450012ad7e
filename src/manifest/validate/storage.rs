//! Volumes, claims and their classes (`ValidatePersistentVolume`, `ValidatePersistentVolumeClaim`,
//! `pkg/apis/storage/validation`), and classes of priority (`pkg/apis/scheduling/validation`).

use super::cursor::{Cursor, quoted};
use super::{meta, names, pod, resource, selector, volume_source};
use crate::base::quantity;
use crate::manifest::report::Report;
use std::collections::{BTreeMap, BTreeSet};

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
/// What a volume can be, in the order in which the API server looks.
pub(super) const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];
/// How many parameters a class may have, and how long they may be together, in bytes (`maxProvisionerParameterLen` and
/// `maxProvisionerParameterSize`).
const MOST_PARAMETERS: usize = 512;
const PARAMETERS_SIZE: usize = 256 << 10;
/// `HighestUserDefinablePriority`, and the classes above it.
const HIGHEST: i64 = 1_000_000_000;
const OF_THE_SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// A claim.
pub(super) fn claim(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let modes = spec.get("accessModes");
    if modes.len() == 0 {
        modes.required_because(report, "at least 1 access mode is required");
    }
    let selector = spec.get("selector");
    if selector.is_set() {
        selector::validate(&selector, report);
    }
    access_modes(&modes, report);
    let storage = spec.get("resources").get("requests").get("storage");
    let path = format!("{}[storage]", spec.get("resources").path());
    if !storage.is_set() {
        report.error(&path, "invalid.required", Some("invalid.required.hint"), &["storage"]);
    } else if quantity::of_json(storage.value).is_some_and(|amount| amount <= 0) {
        storage.because_at(report, &path, (&resource::shown(storage.value), "must be greater than zero"));
    }
    class_and_mode(spec, report);
    data_sources(spec, report);
    let attributes = spec.get("volumeAttributesClassName");
    if !attributes.text().is_empty() {
        attributes.invalid(report, names::dns_subdomain(attributes.text()));
    }
}

/// The claim that is made for a Pod (`ValidatePersistentVolumeClaimTemplate`).
pub(super) fn claim_template(template: &Cursor<'_>, report: &mut Report<'_>) {
    let metadata = template.get("metadata");
    meta::annotations(&metadata.get("annotations"), report);
    meta::labels(&metadata.get("labels"), report);
    for (name, field) in metadata.entries() {
        if !matches!(name.as_str(), "annotations" | "labels" | "creationTimestamp") {
            let args = [name, "cannot be set"];
            let path = format!("{}.{name}", metadata.path());
            report.error_near((&field.path(), &path), "invalid.forbidden", "invalid.forbidden.hint", &args);
        }
    }
    claim(&template.get("spec"), report);
}

/// What the files of a claim are copied from (`validateDataSource`, `validateDataSourceRef`).
fn data_sources(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let (source, other) = (spec.get("dataSource"), spec.get("dataSourceRef"));
    for one in [&source, &other].into_iter().filter(|one| one.is_set()) {
        let (group, kind) = (one.get("apiGroup"), one.get("kind"));
        volume_source::require(one, &["name", "kind"], report);
        if group.text().is_empty() && kind.text() != "PersistentVolumeClaim" {
            let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            one.because_of(report, &quoted(kind.text()), why);
        }
        if !group.text().is_empty() {
            group.invalid(report, names::dns_subdomain(group.text()));
        }
    }
    let namespace = other.get("namespace");
    if !namespace.text().is_empty() {
        namespace.invalid(report, names::dns_label(namespace.text()));
    }
    if !source.is_set() || !other.is_set() {
        return;
    }
    // The API server shows the path of the field, which has no fields of its own that could be shown.
    if !namespace.text().is_empty() {
        spec.because_of(report, "{}", "may not be specified when dataSourceRef.namespace is specified");
    } else if ["apiGroup", "kind", "name"]
        .iter()
        .any(|field| source.get(field).value != other.get(field).value)
    {
        spec.because_of(report, "{}", "must match dataSourceRef");
    }
}

/// A volume.
pub(super) fn volume(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let modes = spec.get("accessModes");
    if modes.len() == 0 {
        modes.required(report);
    }
    access_modes(&modes, report);
    capacity(&spec.get("capacity"), report);
    let reclaim = spec.get("persistentVolumeReclaimPolicy");
    reclaim.one_of_or_empty(report, &["Delete", "Recycle", "Retain"]);
    let affinity = spec.get("nodeAffinity");
    let required = affinity.get("required");
    if required.is_set() {
        pod::node_selector(&required, false, report);
    } else if affinity.is_set() {
        required.required_because(report, "must specify required node constraints");
    }
    let mut n_sources = 0;
    for source in SOURCES.iter().map(|name| spec.get(name)).filter(Cursor::is_set) {
        n_sources += 1;
        // A driver of the old kind is taken beside another one.
        if n_sources > 1 && source.name() != "flexVolume" {
            let path = format!("{}.{}", spec.path(), volume_source::misnamed(&source.name()));
            let places = (&*source.path(), &*path);
            report.error_near(places, "invalid.one-volume-type", "invalid.one-volume-type.hint", &[]);
            continue;
        }
        volume_source::validate(&source, true, report);
        if source.name() == "local" && !affinity.is_set() {
            affinity.required_because(report, "Local volume requires node affinity");
        }
    }
    if n_sources == 0 {
        spec.required_because(report, "must specify a volume type");
    }
    let path = spec.get("hostPath").get("path");
    let is_root = !path.text().is_empty() && path.text().split('/').all(|part| matches!(part, "" | "."));
    if reclaim.text() == "Recycle" && is_root && path.text().starts_with('/') {
        reclaim.forbidden(report, "may not be 'recycle' for a hostPath mount of '/'");
    }
    class_and_mode(spec, report);
    let attributes = spec.get("volumeAttributesClassName");
    if attributes.is_set() {
        if attributes.text().is_empty() {
            attributes.required_because(report, "an empty string is disallowed");
        } else {
            attributes.invalid(report, names::dns_subdomain(attributes.text()));
        }
        let driver = spec.get("csi");
        if !driver.is_set() {
            driver.required_because(report, "has to be specified when using volumeAttributesClassName");
        }
    }
}

/// How much a volume holds, of which there is but one kind.
fn capacity(capacity: &Cursor<'_>, report: &mut Report<'_>) {
    if capacity.entries().next().is_none() {
        capacity.required(report);
    }
    if !capacity.get("storage").is_set() || capacity.entries().count() > 1 {
        let one = |(name, amount): (&String, Cursor<'_>)| {
            format!("{}:{}", quoted(name), resource::shown(amount.value))
        };
        let amounts: Vec<String> = capacity.entries().map(one).collect();
        let shown = if capacity.is_set() { format!("{{{}}}", amounts.join(",")) } else { "null".to_owned() };
        let args = [&*shown, "\"storage\"", ""];
        report.error(&capacity.path(), "invalid.unsupported", Some("invalid.unsupported.hint"), &args);
    }
    for (_, amount) in capacity.entries() {
        let Some(value) = quantity::of_json(amount.value) else { continue };
        if value < 0 {
            let whole = value.div_euclid(resource::ONE).to_string();
            amount.because_of(report, &whole, "must be a valid resource quantity");
        }
        if value <= 0 {
            amount.because_of(report, &resource::shown(amount.value), "must be greater than zero");
        }
    }
}

fn access_modes(modes: &Cursor<'_>, report: &mut Report<'_>) {
    let list = MODES.map(|mode| format!("{mode:?}")).join(", ");
    for mode in modes.items().filter(|mode| !MODES.contains(&mode.text())) {
        let shown = mode.shown();
        report.error_near(
            (&mode.path(), &modes.path()),
            "invalid.unsupported",
            "invalid.unsupported.hint",
            &[&shown, &list],
        );
    }
    let has = |is_alone: bool| {
        let known = |mode: Cursor<'_>| {
            MODES.contains(&mode.text()) && (mode.text() == "ReadWriteOncePod") == is_alone
        };
        modes.items().any(known)
    };
    if has(true) && has(false) {
        modes.forbidden(report, "may not use ReadWriteOncePod with other access modes");
    }
}

fn class_and_mode(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let class = spec.get("storageClassName");
    if !class.text().is_empty() {
        class.invalid(report, names::dns_subdomain(class.text()));
    }
    spec.get("volumeMode").one_of(report, &VOLUME_MODES);
}

/// A `StorageClass`.
pub(super) fn class(root: &Cursor<'_>, report: &mut Report<'_>) {
    let provisioner = root.get("provisioner");
    if provisioner.text().is_empty() {
        provisioner.required(report);
    } else {
        provisioner.invalid(report, names::qualified_name(&provisioner.text().to_lowercase()));
    }
    parameters(&root.get("parameters"), report);
    root.get("reclaimPolicy").one_of_or_empty(report, &["Delete", "Retain"]);
    root.get("volumeBindingMode").one_of(report, &["Immediate", "WaitForFirstConsumer"]);
    topologies(&root.get("allowedTopologies"), report);
}

/// `validateParameters`.
fn parameters(parameters: &Cursor<'_>, report: &mut Report<'_>) {
    let mut too_long = |most: usize| {
        let most = most.to_string();
        report.error(&parameters.path(), "invalid.config-size", Some("invalid.config-size.hint"), &[&most]);
    };
    if parameters.entries().count() > MOST_PARAMETERS {
        return too_long(MOST_PARAMETERS);
    }
    let size: usize = parameters.entries().map(|(key, value)| key.len() + value.text().len()).sum();
    if size > PARAMETERS_SIZE {
        too_long(PARAMETERS_SIZE);
    }
    for (_, value) in parameters.entries().filter(|(key, _)| key.is_empty()) {
        value.because_at(report, &parameters.path(), ("\"\"", "field can not be empty."));
    }
}

/// `validateAllowedTopologies`: a term is not said twice, and one that asks for nothing is one too many.
fn topologies(terms: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen: Vec<BTreeMap<&str, BTreeSet<&str>>> = Vec::new();
    for term in terms.items() {
        let expressions = term.get("matchLabelExpressions");
        let mut wanted = BTreeMap::new();
        for one in expressions.items() {
            let (key, values) = (one.get("key"), one.get("values"));
            if values.len() == 0 {
                values.required(report);
            }
            let mut set = BTreeSet::new();
            values
                .items()
                .filter(|value| !set.insert(value.text()))
                .for_each(|value| value.duplicate(report));
            key.faulty(report, &quoted(key.text()), names::qualified_name(key.text()));
            if wanted.insert(key.text(), set).is_some() {
                key.duplicate(report);
            }
        }
        if wanted.is_empty() || seen.contains(&wanted) {
            let hint = Some("invalid.duplicate.hint");
            report.error(&expressions.path(), "invalid.duplicate", hint, &["\"\""]);
        }
        seen.push(wanted);
    }
}

/// A `PriorityClass`.
pub(super) fn priority(root: &Cursor<'_>, report: &mut Report<'_>) {
    let (name, value) = (root.get("metadata").get("name"), root.get("value"));
    if name.text().starts_with("system-") {
        let known = OF_THE_SYSTEM.iter().find(|(known, _)| *known == name.text());
        let why = match known {
            Some((_, right)) if *right == value.number() => None,
            Some((known, right)) => Some(format!("value of {known} PriorityClass must be {right}")),
            None => Some(format!("{} is not a known system priority class", name.text())),
        };
        if let Some(why) = why {
            let head = "priority class names with 'system-' prefix are reserved for system use only. error: ";
            name.forbidden(report, &format!("{head}{why}"));
        }
    } else if value.number() > HIGHEST {
        value.forbidden(report, &format!("maximum allowed value of a user defined priority is {HIGHEST}"));
    }
    root.get("preemptionPolicy").one_of_or_empty(report, &["Never", "PreemptLowerPriority"]);
}
