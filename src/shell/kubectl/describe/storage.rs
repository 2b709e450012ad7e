//! Volumes and claims.

use super::{Look, annotations, labels, line, moment, volume_source};
use crate::shell::kubectl::age::since;
use crate::shell::kubectl::json::{at, list, or, plain, text};
use crate::shell::kubectl::print::access_modes;
use crate::shell::kubectl::resources::of_kind;
use crate::shell::kubectl::view;
use serde_json::Value;

/// The class, which an old annotation says too (`GetPersistentVolumeClass`).
fn class(object: &Value) -> &str {
    let annotation = at(object, "metadata.annotations").get("volume.beta.kubernetes.io/storage-class");
    annotation.and_then(Value::as_str).unwrap_or_else(|| text(object, "spec.storageClassName"))
}

fn status(object: &Value, otherwise: &str, look: &Look<'_>, out: &mut String) {
    let deleted = text(object, "metadata.deletionTimestamp");
    if deleted.is_empty() {
        line(out, &format!("Status:\t{}", or(text(object, "status.phase"), otherwise)));
    } else {
        line(out, &format!("Status:\tTerminating (lasts {})", since(look.now, deleted)));
    }
}

fn finalizers(object: &Value, out: &mut String) {
    let names: Vec<String> = list(object, "metadata.finalizers").iter().map(plain).collect();
    line(out, &format!("Finalizers:\t[{}]", names.join(" ")));
}

fn amount(object: &Value, path: &str) -> String {
    let amount = at(object, path);
    if amount.is_null() { "0".to_owned() } else { plain(amount) }
}

/// `describePersistentVolume`.
pub(super) fn volume(volume: &Value, look: &Look<'_>, out: &mut String) {
    line(out, &format!("Name:\t{}", text(volume, "metadata.name")));
    labels(volume, "Labels", "metadata.labels", out);
    annotations(volume, out);
    finalizers(volume, out);
    line(out, &format!("StorageClass:\t{}", class(volume)));
    status(volume, "Available", look, out);
    let reference = at(volume, "spec.claimRef");
    let claim = match (text(reference, "namespace"), text(reference, "name")) {
        ("", "") => String::new(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    line(out, &format!("Claim:\t{claim}"));
    line(
        out,
        &format!("Reclaim Policy:\t{}", or(text(volume, "spec.persistentVolumeReclaimPolicy"), "Retain")),
    );
    line(out, &format!("Access Modes:\t{}", access_modes(volume, "spec.accessModes")));
    line(out, &format!("VolumeMode:\t{}", or(text(volume, "spec.volumeMode"), "Filesystem")));
    line(out, &format!("Capacity:\t{}", amount(volume, "spec.capacity.storage")));
    node_affinity(at(volume, "spec.nodeAffinity.required"), out);
    line(out, &format!("Message:\t{}", text(volume, "status.message")));
    line(out, "Source:");
    volume_source::of_persistent(at(volume, "spec"), out);
}

/// `printVolumeNodeAffinity`.
fn node_affinity(required: &Value, out: &mut String) {
    if required.is_null() {
        return line(out, "Node Affinity:\t<none>");
    }
    line(out, "Node Affinity:\t");
    let terms = list(required, "nodeSelectorTerms");
    line(out, if terms.is_empty() { "  Required Terms:\t<none>" } else { "  Required Terms:\t" });
    for (index, term) in terms.iter().enumerate() {
        let expressions = list(term, "matchExpressions");
        if expressions.is_empty() {
            line(out, &format!("    Term {index}:\t<none>"));
        }
        for (at, one) in expressions.iter().enumerate() {
            let title = if at == 0 { format!("Term {index}:") } else { String::new() };
            let values: Vec<String> = list(one, "values").iter().map(plain).collect();
            let values = if values.is_empty() { String::new() } else { format!(" [{}]", values.join(", ")) };
            let operator = text(one, "operator").to_lowercase();
            line(out, &format!("    {title}\t{} {operator}{values}", text(one, "key")));
        }
    }
}

/// `describePersistentVolumeClaim`.
pub(super) fn claim(claim: &Value, look: &Look<'_>, out: &mut String) {
    line(out, &format!("Name:\t{}", text(claim, "metadata.name")));
    line(out, &format!("Namespace:\t{}", text(claim, "metadata.namespace")));
    line(out, &format!("StorageClass:\t{}", class(claim)));
    status(claim, "Pending", look, out);
    line(out, &format!("Volume:\t{}", text(claim, "spec.volumeName")));
    labels(claim, "Labels", "metadata.labels", out);
    annotations(claim, out);
    finalizers(claim, out);
    room(claim, out);
    let users = users(claim, look);
    if users.is_empty() {
        line(out, "Used By:\t<none>");
    }
    for (index, name) in users.iter().enumerate() {
        line(out, &format!("{}\t{name}", if index == 0 { "Used By:" } else { "" }));
    }
    let conditions = list(claim, "status.conditions");
    if conditions.is_empty() {
        return;
    }
    line(out, "Conditions:\n  Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage");
    line(out, "  ----\t------\t-----------------\t------------------\t------\t-------");
    for one in conditions {
        let (kind, status) = (text(one, "type"), text(one, "status"));
        let time = |field: &str| match text(one, field) {
            "" => "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(),
            time => moment(time),
        };
        let (probed, changed) = (time("lastProbeTime"), time("lastTransitionTime"));
        let (reason, message) = (text(one, "reason"), text(one, "message"));
        line(out, &format!("  {kind} \t{status} \t{probed} \t{changed} \t{reason} \t{message}"));
    }
}

/// The claim of an ephemeral volume, of which only some fields have a meaning (`printPersistentVolumeClaim`).
pub(super) fn claim_template(template: &Value, out: &mut String) {
    let mut lines = String::new();
    line(&mut lines, &format!("StorageClass:\t{}", class(template)));
    line(&mut lines, "Volume:\t");
    labels(template, "Labels", "metadata.labels", &mut lines);
    annotations(template, &mut lines);
    room(template, &mut lines);
    lines.lines().for_each(|text| line(out, &format!("    {text}")));
}

/// How much room there is, and who may use it; known of a claim that has its volume.
fn room(claim: &Value, out: &mut String) {
    let is_bound = !text(claim, "spec.volumeName").is_empty();
    let (capacity, modes) = if is_bound {
        (amount(claim, "status.capacity.storage"), access_modes(claim, "status.accessModes"))
    } else {
        (String::new(), String::new())
    };
    line(out, &format!("Capacity:\t{capacity}"));
    line(out, &format!("Access Modes:\t{modes}"));
    line(out, &format!("VolumeMode:\t{}", or(text(claim, "spec.volumeMode"), "Filesystem")));
    let source = at(claim, "spec.dataSource");
    if source.is_null() {
        return;
    }
    line(out, "DataSource:");
    if let Some(group) = at(source, "apiGroup").as_str() {
        line(out, &format!("  APIGroup:\t{group}"));
    }
    line(out, &format!("  Kind:\t{}\n  Name:\t{}", text(source, "kind"), text(source, "name")));
}

/// Pods with this claim among their volumes, or that it was made for (`getPodsForPVC`).
fn users(claim: &Value, look: &Look<'_>) -> Vec<String> {
    let Some(resource) = of_kind("Pod") else { return Vec::new() };
    let name = text(claim, "metadata.name");
    let owners = list(claim, "metadata.ownerReferences");
    let uses = |pod: &&Value| {
        let mut volumes = list(pod, "spec.volumes").iter();
        volumes.any(|volume| text(volume, "persistentVolumeClaim.claimName") == name)
            || owners
                .iter()
                .any(|owner| text(owner, "kind") == "Pod" && text(owner, "uid") == text(pod, "metadata.uid"))
    };
    let pods = view::objects(look.inventory, resource);
    let own = pods.iter().filter(|pod| text(pod, "metadata.namespace") == text(claim, "metadata.namespace"));
    let mut names: Vec<String> = own.filter(uses).map(|pod| text(pod, "metadata.name").to_owned()).collect();
    names.sort();
    names
}
