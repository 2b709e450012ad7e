//! Volumes and their classes.

use super::{Look, age, name};
use crate::shell::kubectl::json::{at, list, or, plain, text};
use serde_json::Value;

const UNSET: &str = "<unset>";

pub(super) fn cells(kind: &str, object: &Value, look: Look) -> Vec<String> {
    match kind {
        "PersistentVolumeClaim" => claim(object, look),
        "PersistentVolume" => volume(object, look),
        _ => class(object, look),
    }
}

/// `RWO,RWX` (`GetAccessModesAsString`).
pub(in crate::shell::kubectl) fn access_modes(object: &Value, path: &str) -> String {
    let known = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let has = |mode: &str| list(object, path).iter().any(|one| one == mode);
    known.into_iter().filter(|(mode, _)| has(mode)).map(|(_, short)| short).collect::<Vec<_>>().join(",")
}

fn claim(claim: &Value, look: Look) -> Vec<String> {
    let deleting = !at(claim, "metadata.deletionTimestamp").is_null();
    let volume = text(claim, "spec.volumeName");
    let (capacity, access) = if volume.is_empty() {
        (String::new(), String::new())
    } else {
        let capacity = at(claim, "status.capacity.storage");
        (
            if capacity.is_null() { String::new() } else { plain(capacity) },
            access_modes(claim, "status.accessModes"),
        )
    };
    let phase = if deleting { "Terminating".to_owned() } else { or(text(claim, "status.phase"), "Pending") };
    let mut row = vec![
        name(claim),
        phase,
        volume.to_owned(),
        capacity,
        access,
        text(claim, "spec.storageClassName").to_owned(),
        or(text(claim, "spec.volumeAttributesClassName"), UNSET),
        age(claim, look),
    ];
    if look.wide {
        row.push(or(text(claim, "spec.volumeMode"), "Filesystem"));
    }
    row
}

fn volume(volume: &Value, look: Look) -> Vec<String> {
    let deleting = !at(volume, "metadata.deletionTimestamp").is_null();
    let reference = at(volume, "spec.claimRef");
    let claim = match (text(reference, "namespace"), text(reference, "name")) {
        (_, "") => String::new(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    let capacity = at(volume, "spec.capacity.storage");
    let phase =
        if deleting { "Terminating".to_owned() } else { or(text(volume, "status.phase"), "Available") };
    let mut row = vec![
        name(volume),
        if capacity.is_null() { String::new() } else { plain(capacity) },
        access_modes(volume, "spec.accessModes"),
        or(text(volume, "spec.persistentVolumeReclaimPolicy"), "Retain"),
        phase,
        claim,
        text(volume, "spec.storageClassName").to_owned(),
        or(text(volume, "spec.volumeAttributesClassName"), UNSET),
        text(volume, "status.reason").to_owned(),
        age(volume, look),
    ];
    if look.wide {
        row.push(or(text(volume, "spec.volumeMode"), "Filesystem"));
    }
    row
}

fn class(class: &Value, look: Look) -> Vec<String> {
    let annotations = at(class, "metadata.annotations");
    let is_default =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|key| annotations.get(key).is_some_and(|value| value == "true"));
    let mut shown = name(class);
    if is_default {
        shown.push_str(" (default)");
    }
    vec![
        shown,
        text(class, "provisioner").to_owned(),
        or(text(class, "reclaimPolicy"), "Delete"),
        or(text(class, "volumeBindingMode"), "Immediate"),
        (*at(class, "allowVolumeExpansion") == true).to_string(),
        age(class, look),
    ]
}
