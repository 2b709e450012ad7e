//! Volumes, claims and their classes (`ValidatePersistentVolume`, `ValidatePersistentVolumeClaim`,
//! `pkg/apis/storage/validation`), and classes of priority (`pkg/apis/scheduling/validation`).

use super::cursor::Cursor;
use super::{names, selector};
use crate::manifest::quantity;
use crate::manifest::report::Report;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
/// What a volume can be, in the order in which the API server looks.
const SOURCES: [&str; 22] = [
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
/// `HighestUserDefinablePriority`, and the classes above it.
const HIGHEST: i64 = 1_000_000_000;
const OF_THE_SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// A claim.
pub(super) fn claim(spec: &Cursor<'_>, report: &mut Report<'_>) {
    modes(&spec.get("accessModes"), "at least 1 access mode is required", report);
    let selector = spec.get("selector");
    if selector.is_set() {
        selector::validate(&selector, report);
    }
    let storage = spec.get("resources").get("requests").get("storage");
    let path = format!("{}[storage]", spec.get("resources").path());
    if !storage.is_set() {
        report.error(&path, "invalid.required", Some("invalid.required.hint"), &["storage"]);
    } else if quantity::of_json(storage.value).is_some_and(|amount| amount <= 0) {
        let shown = storage.shown();
        report.error_near(
            (&storage.path(), &path),
            "invalid.because",
            "invalid.because.hint",
            &[&shown, "must be greater than zero"],
        );
    }
    class_and_mode(spec, report);
}

/// A volume.
pub(super) fn volume(spec: &Cursor<'_>, report: &mut Report<'_>) {
    modes(&spec.get("accessModes"), "", report);
    let capacity = spec.get("capacity");
    if capacity.entries().next().is_none() {
        capacity.required(report);
    } else if capacity.entries().any(|(name, _)| name != "storage") {
        capacity.fault(report, "invalid.unsupported", "invalid.unsupported.hint", &["\"storage\""]);
    }
    for (_, amount) in capacity.entries() {
        if quantity::of_json(amount.value).is_some_and(|amount| amount <= 0) {
            amount.because(report, "must be greater than zero");
        }
    }
    let reclaim = spec.get("persistentVolumeReclaimPolicy");
    reclaim.one_of_or_empty(report, &["Delete", "Recycle", "Retain"]);
    let mut sources = SOURCES.iter().map(|name| spec.get(name)).filter(Cursor::is_set);
    match sources.next() {
        None => spec.required_because(report, "must specify a volume type"),
        Some(first) => source(&first, report),
    }
    let affinity = spec.get("nodeAffinity");
    if spec.get("local").is_set() && !affinity.is_set() {
        affinity.required_because(report, "Local volume requires node affinity");
    }
    for further in sources {
        further.forbidden(report, "may not specify more than 1 volume type");
    }
    let path = spec.get("hostPath").get("path");
    if reclaim.text() == "Recycle" && !path.text().is_empty() && path.text().trim_matches('/').is_empty() {
        reclaim.forbidden(report, "may not be 'recycle' for a hostPath mount of '/'");
    }
    class_and_mode(spec, report);
}

fn modes(modes: &Cursor<'_>, why: &str, report: &mut Report<'_>) {
    if modes.len() == 0 {
        return if why.is_empty() { modes.required(report) } else { modes.required_because(report, why) };
    }
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
    let alone = modes.items().filter(|mode| mode.text() == "ReadWriteOncePod").count();
    if alone > 0 && alone < modes.len() {
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

/// What the commonest sources need.
fn source(source: &Cursor<'_>, report: &mut Report<'_>) {
    let name = source.name();
    let fields: &[&str] = match &*name {
        "hostPath" | "local" => &["path"],
        "nfs" => &["server", "path"],
        "csi" => &["driver", "volumeHandle"],
        _ => &[],
    };
    for field in fields {
        let field = source.get(field);
        if field.text().is_empty() {
            field.required(report);
        }
    }
    let path = source.get("path");
    if matches!(&*name, "hostPath" | "local") && path.text().split('/').any(|part| part == "..") {
        path.because(report, "must not contain '..'");
    }
    if name == "nfs" && !path.text().is_empty() && !path.text().starts_with('/') {
        path.because(report, "must be an absolute path");
    }
}

/// A `StorageClass`.
pub(super) fn class(root: &Cursor<'_>, report: &mut Report<'_>) {
    let provisioner = root.get("provisioner");
    if provisioner.text().is_empty() {
        provisioner.required(report);
    } else {
        provisioner.invalid(report, names::qualified_name(&provisioner.text().to_lowercase()));
    }
    root.get("reclaimPolicy").one_of(report, &["Delete", "Retain"]);
    root.get("volumeBindingMode").one_of(report, &["Immediate", "WaitForFirstConsumer"]);
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
