//! Volumes (`ValidateVolumes`, `validateVolumeSource`).

use super::environment;
use super::mounts::descending;
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::{names, quantity};
use std::collections::BTreeSet;

/// Kinds of volumes in the order in which the API server looks at them: the second one is the one too many.
const KINDS: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// Kinds of files on the node that a `hostPath` may ask for; the empty one asks for nothing.
const HOST_PATHS: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// The names of the volumes.
pub(super) fn validate<'v>(spec: &Cursor<'v>, report: &mut Report<'_>) -> BTreeSet<&'v str> {
    let mut seen = BTreeSet::new();
    for volume in spec.get("volumes").items() {
        let mut set = KINDS.iter().map(|kind| volume.get(kind)).filter(Cursor::is_set);
        if let Some(first) = set.next() {
            source(&first, report);
        }
        for second in set {
            report.error(
                &second.path(),
                "invalid.one-volume-type",
                Some("invalid.one-volume-type.hint"),
                &[],
            );
        }
        let name = volume.get("name");
        if name.text().is_empty() {
            name.required(report);
        } else {
            let faults = names::dns_label(name.text());
            let wrong = !faults.is_empty();
            name.invalid(report, faults);
            if !seen.insert(name.text()) && !wrong {
                name.duplicate(report);
            }
        }
    }
    seen
}

fn source(source: &Cursor<'_>, report: &mut Report<'_>) {
    let needs = |field: &str, report: &mut Report<'_>| {
        if source.get(field).text().is_empty() {
            source.get(field).required(report);
        }
    };
    match &*source.name() {
        "emptyDir" => {
            let limit = source.get("sizeLimit");
            let text = limit.value.as_str().map_or_else(|| limit.value.to_string(), str::to_owned);
            if limit.is_set() && quantity::nanos(&text).is_some_and(|amount| amount < 0) {
                limit.forbidden(report, "SizeLimit field must be a valid resource quantity");
            }
        }
        "hostPath" => {
            needs("path", report);
            let path = source.get("path");
            if path.text().split('/').any(|part| part == "..") {
                path.because(report, "must not contain '..'");
            }
            source.get("type").one_of(report, &HOST_PATHS);
        }
        "secret" => {
            needs("secretName", report);
            files(source, report);
        }
        "configMap" => {
            needs("name", report);
            files(source, report);
        }
        "downwardAPI" => {
            mode(&source.get("defaultMode"), report);
            downward(source, report);
        }
        "projected" => projected(source, report),
        "persistentVolumeClaim" => needs("claimName", report),
        "nfs" => {
            needs("server", report);
            needs("path", report);
            let path = source.get("path");
            if !path.text().is_empty() && !path.text().starts_with('/') {
                path.because(report, "must be an absolute path");
            }
        }
        "csi" => needs("driver", report),
        _ => {}
    }
}

/// The bits of a file's mode.
fn mode(mode: &Cursor<'_>, report: &mut Report<'_>) {
    if !(0..=0o777).contains(&mode.number()) {
        mode.because(report, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

/// `validateKeyToPath` and the mode of the files.
fn files(source: &Cursor<'_>, report: &mut Report<'_>) {
    mode(&source.get("defaultMode"), report);
    for item in source.get("items").items() {
        if item.get("key").text().is_empty() {
            item.get("key").required(report);
        }
        file_path(&item.get("path"), report);
        mode(&item.get("mode"), report);
    }
}

/// `validateDownwardAPIVolumeFile`.
fn downward(source: &Cursor<'_>, report: &mut Report<'_>) {
    for item in source.get("items").items() {
        // `validateDownwardAPIVolumeFile` is told no index.
        let item = source.in_place_of(&item);
        file_path(&item.get("path"), report);
        mode(&item.get("mode"), report);
        let (field, resource) = (item.get("fieldRef"), item.get("resourceFieldRef"));
        match (field.is_set(), resource.is_set()) {
            (true, both) => {
                environment::field_ref(&field, &FILES, report);
                if both {
                    let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                    source.because_of(report, "\"resource\"", why);
                }
            }
            (false, true) => {
                let container = resource.get("containerName");
                if container.text().is_empty() {
                    container.required(report);
                }
                environment::resource_ref(&resource, report);
            }
            (false, false) => {
                source.required_because(report, "one of fieldRef and resourceFieldRef is required");
            }
        }
    }
}

/// What of a Pod a file can tell (`validVolumeDownwardAPIFieldPathExpressions`).
const FILES: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

fn file_path(path: &Cursor<'_>, report: &mut Report<'_>) {
    if path.text().is_empty() {
        path.required(report);
    } else if let Some(why) = descending(path.text()) {
        path.because(report, why);
    }
}

fn projected(source: &Cursor<'_>, report: &mut Report<'_>) {
    mode(&source.get("defaultMode"), report);
    for one in source.get("sources").items() {
        let kinds = ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"];
        let mut set = kinds.iter().map(|kind| one.get(kind)).filter(Cursor::is_set);
        if let Some(first) = set.next() {
            match &*first.name() {
                "secret" | "configMap" => {
                    if first.get("name").text().is_empty() {
                        first.get("name").required(report);
                    }
                    files(&first, report);
                }
                "downwardAPI" => downward(&first, report),
                "serviceAccountToken" => file_path(&first.get("path"), report),
                _ => {}
            }
        }
        for second in set {
            report.error(
                &second.path(),
                "invalid.one-volume-type",
                Some("invalid.one-volume-type.hint"),
                &[],
            );
        }
    }
}
