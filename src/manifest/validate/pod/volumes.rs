//! Volumes (`ValidateVolumes`, `validateVolumeSource`).

use super::projected::{self, downward, files};
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::{names, quantity, storage, volume_source};
use std::collections::BTreeMap;

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

/// The names of the volumes that are right in themselves, and whether each is a claim: what is mounted of another one
/// is not found.
pub(super) fn validate<'v>(spec: &Cursor<'v>, report: &mut Report<'_>) -> BTreeMap<&'v str, bool> {
    let mut right = BTreeMap::new();
    for volume in spec.get("volumes").items() {
        let n_found = report.n_found();
        let mut set = KINDS.iter().map(|kind| volume.get(kind)).filter(Cursor::is_set);
        let first = set.next();
        if let Some(first) = &first {
            source(first, report);
        }
        for second in set {
            let path = format!("{}.{}", volume.path(), volume_source::misnamed(&second.name()));
            let places = (&*second.path(), &*path);
            report.error_near(places, "invalid.one-volume-type", "invalid.one-volume-type.hint", &[]);
        }
        let name = volume.get("name");
        if name.text().is_empty() {
            name.required(report);
        } else {
            name.invalid(report, names::dns_label(name.text()));
        }
        if right.contains_key(name.text()) {
            name.duplicate(report);
        }
        if report.n_found() == n_found {
            let is_claim =
                first.is_some_and(|first| matches!(&*first.name(), "persistentVolumeClaim" | "ephemeral"));
            right.insert(name.text(), is_claim);
        }
    }
    right
}

fn source(source: &Cursor<'_>, report: &mut Report<'_>) {
    match &*source.name() {
        "emptyDir" => {
            let limit = source.get("sizeLimit");
            let text = limit.value.as_str().map_or_else(|| limit.value.to_string(), str::to_owned);
            if limit.is_set() && quantity::nanos(&text).is_some_and(|amount| amount < 0) {
                limit.forbidden(report, "SizeLimit field must be a valid resource quantity");
            }
        }
        "secret" => {
            volume_source::require(source, &["secretName"], report);
            files(source, report);
        }
        "configMap" => {
            volume_source::require(source, &["name"], report);
            files(source, report);
        }
        "gitRepo" => {
            volume_source::require(source, &["repository"], report);
            let directory = source.get("directory");
            for why in super::descending(directory.text()) {
                directory.because(report, why);
            }
        }
        "downwardAPI" => {
            projected::mode(&source.get("defaultMode"), report);
            downward(source, report);
        }
        "projected" => projected::validate(source, report),
        "ephemeral" => {
            let template = source.get("volumeClaimTemplate");
            if template.is_set() {
                storage::claim_template(&template, report);
            } else {
                template.required(report);
            }
        }
        "image" => {
            let policy = source.get("pullPolicy");
            policy.one_of_or_empty(report, &["Always", "IfNotPresent", "Never"]);
        }
        _ => volume_source::validate(source, false, report),
    }
}
