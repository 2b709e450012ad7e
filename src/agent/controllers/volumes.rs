//! The controller of volumes and claims (`pkg/controller/volume/persistentvolume`), the protection of both
//! (`pkg/controller/volume/pvcprotection`, `pvprotection`), and the default class (`RetroactiveDefaultStorageClass`).
//!
//! *Simplified*: whichever provisioner a class names is there, and makes a volume at once.

use super::{Kind, finalizers};
use crate::agent::control::ControlPlane;
use crate::agent::store::PodKey;
use crate::agent::world::{Patience, World};
use crate::api::{NodeSpec, Pod};
use crate::base::quantity;
use crate::base::{DirId, Duration, ObjectKey};
use crate::cluster::scheduler;
use crate::trace::{ObjectRow, PodPhase};
use serde_json::{Value, json};
use std::sync::Arc;

const COMPONENT: &str = "persistentvolume-controller";
/// How often it looks again at what is not bound (`--pvclaimbinder-sync-period`).
const RESYNC: Duration = Duration::from_secs(15);
/// A class with this provisioner has only volumes that somebody made.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
/// The provisioner that keeps volumes on nodes.
const LOCAL_PATH: &str = "rancher.io/local-path";
/// Annotations.
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const IS_DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// Finalizers.
const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";

fn annotation<'r>(row: &'r ObjectRow, name: &str) -> Option<&'r str> {
    row.text(&["metadata", "annotations", name])
}

fn is_bound(claim: &ObjectRow) -> bool {
    claim.text(&["status", "phase"]) == Some("Bound") || annotation(claim, BIND_COMPLETED).is_some()
}

fn class_of(row: &ObjectRow) -> &str {
    row.text(&["spec", "storageClassName"]).unwrap_or("")
}

/// The claim that a volume is kept for, with the claim's identity where it is bound.
fn kept_for(volume: &ObjectRow) -> Option<(&str, &str, Option<&str>)> {
    let part = |field| volume.text(&["spec", "claimRef", field]);
    Some((part("namespace").unwrap_or("default"), part("name")?, part("uid").filter(|uid| !uid.is_empty())))
}

fn is_for(volume: &ObjectRow, claim: &ObjectRow) -> bool {
    kept_for(volume).is_some_and(|(namespace, name, uid)| {
        (namespace, name) == (&*claim.key.namespace, &*claim.key.name)
            && uid.is_none_or(|uid| *uid == *claim.uid)
    })
}

/// Whether a class binds its claims only when a Pod asks for them.
fn is_delayed(class: &ObjectRow) -> bool {
    class.text(&["volumeBindingMode"]) == Some("WaitForFirstConsumer")
}

fn amount(row: &ObjectRow, path: &[&str]) -> i128 {
    row.at(path).and_then(quantity::of_json).unwrap_or(0)
}

fn fits_node(volume: &ObjectRow, node: &NodeSpec) -> bool {
    volume.at(&["spec", "nodeAffinity"]).is_none_or(|affinity| scheduler::volume_fits(affinity, node))
}

/// Why a volume is not what a claim asks for (`checkVolumeSatisfyClaim`).
fn mismatch(volume: &ObjectRow, claim: &ObjectRow) -> Option<&'static str> {
    let asked = amount(claim, &["spec", "resources", "requests", "storage"]);
    let mode = |row: &ObjectRow| row.text(&["spec", "volumeMode"]).unwrap_or("Filesystem").to_owned();
    let has_modes = || {
        let modes = |row: &ObjectRow| row.at(&["spec", "accessModes"]).and_then(Value::as_array).cloned();
        let offered = modes(volume).unwrap_or_default();
        modes(claim).unwrap_or_default().iter().all(|mode| offered.contains(mode))
    };
    if amount(volume, &["spec", "capacity", "storage"]) < asked {
        Some("requested PV is too small")
    } else if class_of(volume) != class_of(claim) {
        Some("storageClassName does not match")
    } else if mode(volume) != mode(claim) {
        Some("incompatible volumeMode")
    } else if !has_modes() {
        Some("incompatible accessMode")
    } else {
        None
    }
}

/// Why the controller cannot delete a volume that was made by hand (`findDeletablePlugin`, `newDeleter`): what a provisioner
/// made, that takes away.
fn undeletable(volume: &ObjectRow) -> Option<String> {
    if annotation(volume, PROVISIONED_BY).is_some() {
        return None;
    }
    if let Some(path) = volume.text(&["spec", "hostPath", "path"]) {
        let is_temporary = path.strip_prefix("/tmp/").is_some_and(|rest| !rest.is_empty());
        return (!is_temporary)
            .then(|| format!("host_path deleter only supports /tmp/.+ but received provided {path}"));
    }
    let is_known = ["nfs", "local"].iter().any(|kind| volume.at(&["spec", kind]).is_some());
    let why = if is_known { "no deletable volume plugin matched" } else { "no volume plugin matched" };
    Some(format!("error getting deleter volume plugin for volume \"{}\": {why}", volume.key.name))
}

impl ControlPlane {
    /// The claims that no volume is bound to.
    fn unbound_claims(&self) -> Vec<ObjectKey> {
        let unbound = self.objects_of("PersistentVolumeClaim").filter(|row| !is_bound(row));
        unbound.map(|row| row.key.clone()).collect()
    }

    /// The claims that a Pod names, as keys.
    fn claims_of(pod: &Pod) -> Vec<ObjectKey> {
        let named =
            pod.spec.volumes.iter().filter_map(|one| one["persistentVolumeClaim"]["claimName"].as_str());
        named.map(|name| ObjectKey::new("PersistentVolumeClaim", &pod.metadata.namespace, name)).collect()
    }

    /// Something that claims depend on came, changed or went.
    pub(super) fn claims_watch(&mut self, world: &mut dyn World, row: &ObjectRow) {
        match &*row.key.kind {
            "PersistentVolume" | "StorageClass" => {
                let bound = kept_for(row)
                    .map(|(space, name, _)| ObjectKey::new("PersistentVolumeClaim", space, name));
                for claim in self.unbound_claims().into_iter().chain(bound) {
                    self.enqueue(world, claim);
                }
            }
            "PersistentVolumeClaim" => {
                let of_it = |volume: &&Arc<ObjectRow>| {
                    kept_for(volume).is_some_and(|(space, name, _)| {
                        (space, name) == (&*row.key.namespace, &*row.key.name)
                    })
                };
                let volumes = self.objects_of("PersistentVolume").filter(of_it);
                for key in volumes.map(|volume| volume.key.clone()).collect::<Vec<_>>() {
                    self.enqueue(world, key);
                }
            }
            "Pod" => {
                let volumes = row.at(&["spec", "volumes"]).and_then(Value::as_array).into_iter().flatten();
                for name in volumes.filter_map(|one| one["persistentVolumeClaim"]["claimName"].as_str()) {
                    self.enqueue(world, ObjectKey::new("PersistentVolumeClaim", &row.key.namespace, name));
                }
            }
            _ => {}
        }
    }

    /// The Pods that name a claim and have not ended: their names, and whether a node has them.
    fn users_of(&self, claim: &ObjectKey) -> Vec<(String, bool)> {
        let keys = self.store.pods_in(&claim.namespace);
        let entries = keys.iter().filter_map(|key| Some((key, self.store.pods.get(key)?)));
        let living =
            entries.filter(|(_, entry)| !matches!(entry.phase, PodPhase::Succeeded | PodPhase::Failed));
        let users = living.filter(|(_, entry)| Self::claims_of(&entry.pod).contains(claim));
        users.map(|(key, entry)| (key.name.to_string(), entry.node.is_some())).collect()
    }

    /// Protects an object from going while it is used; says whether it is on its way out.
    fn protected(&mut self, world: &mut dyn World, row: &ObjectRow, (name, used): (&str, bool)) -> bool {
        let has = finalizers(&row.value).contains(&name);
        match (row.deleted.is_some(), has) {
            (true, true) if !used => self.edit(world, &row.key, |value| {
                if let Some(all) = value["metadata"]["finalizers"].as_array_mut() {
                    all.retain(|one| one != name);
                }
            }),
            (false, false) => {
                self.edit(world, &row.key, |value| match value["metadata"]["finalizers"].as_array_mut() {
                    Some(all) => all.push(json!(name)),
                    None => value["metadata"]["finalizers"] = json!([name]),
                });
            }
            _ => {}
        }
        row.deleted.is_some()
    }

    pub(super) fn sync_volume(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let phase = row.text(&["status", "phase"]).unwrap_or("").to_owned();
        if self.protected(world, &row, (VOLUME_PROTECTION, phase == "Bound")) {
            return;
        }
        let Some((namespace, name, uid)) = kept_for(&row) else {
            return self.put_phase(world, key, "Available");
        };
        let Some(uid) = uid else {
            if phase.is_empty() {
                self.put_phase(world, key, "Available");
            }
            return;
        };
        let claim = self.object("PersistentVolumeClaim", namespace, name);
        if claim.is_some_and(|claim| *claim.uid == *uid) || self.objects.by_uid(uid).is_some() {
            return;
        }
        // A volume that was pasted with its status may be bound to what was not pasted.
        if phase != "Bound"
            || annotation(&row, BOUND_BY_CONTROLLER).is_none() && !self.queue.bound.contains(&row.uid)
        {
            return;
        }
        self.put_phase(world, key, "Released");
        let policy = row.text(&["spec", "persistentVolumeReclaimPolicy"]).unwrap_or("Retain");
        match undeletable(&row).filter(|_| policy == "Delete") {
            Some(why) => {
                self.edit(world, key, |value| {
                    value["status"]["phase"] = json!("Failed");
                    value["status"]["message"] = json!(why);
                });
                Self::event(world, key, Kind::Warning, ("VolumeFailedDelete", COMPONENT), why);
            }
            None if policy == "Delete" => self.delete(world, key, None, None),
            None => {}
        }
    }

    fn put_phase(&mut self, world: &mut dyn World, key: &ObjectKey, phase: &str) {
        let known = self.objects.get(key).and_then(|row| row.text(&["status", "phase"]).map(str::to_owned));
        if known.as_deref() != Some(phase) {
            self.edit(world, key, |value| value["status"]["phase"] = json!(phase));
        }
    }

    /// The class that claims have which name none: of several the one that was made last.
    fn default_class(&self) -> Option<String> {
        let is = |row: &&Arc<ObjectRow>| IS_DEFAULT.iter().any(|name| annotation(row, name) == Some("true"));
        let newest = |row: &&Arc<ObjectRow>| (row.created, std::cmp::Reverse(row.key.name.clone()));
        self.objects_of("StorageClass").filter(is).max_by_key(newest).map(|row| row.key.name.to_string())
    }

    pub(super) fn sync_claim(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        let used = row.deleted.is_some() && self.users_of(key).iter().any(|(_, has_node)| *has_node);
        if self.protected(world, &row, (CLAIM_PROTECTION, used)) || is_bound(&row) {
            return self.sync_bound(world, key);
        }
        if row.at(&["spec", "storageClassName"]).is_none_or(Value::is_null)
            && let Some(class) = self.default_class()
        {
            return self.edit(world, key, |value| value["spec"]["storageClassName"] = json!(class));
        }
        if let Some(name) = row.text(&["spec", "volumeName"]).filter(|name| !name.is_empty()) {
            return self.bind_named(world, &row, name);
        }
        let class = self.object("StorageClass", "", class_of(&row)).cloned();
        let is_delayed = class.as_deref().is_some_and(is_delayed);
        if let Some(volume) = self.fitting_volume(&row, (is_delayed, None)) {
            return self.bind_volume(world, &row, &volume);
        }
        self.put_phase(world, key, "Pending");
        let is_told = self.queue.planned.iter().any(|(_, planned)| planned == key);
        let said = |world: &mut dyn World, kind, reason, message| {
            if !is_told {
                Self::event(world, key, kind, (reason, COMPONENT), message);
            }
        };
        let provisioner = class.as_ref().and_then(|class| class.text(&["provisioner"])).unwrap_or("");
        match (class_of(&row), &class) {
            (_, Some(_)) if is_delayed => {
                let (reason, message) = self.waits_for(key);
                said(world, Kind::Normal, reason, message);
            }
            ("", _) => {
                let message = "no persistent volumes available for this claim and no storage class is set";
                said(world, Kind::Normal, "FailedBinding", message.to_owned());
            }
            (name, None) => {
                let message = format!("storageclass.storage.k8s.io \"{name}\" not found");
                said(world, Kind::Warning, "ProvisioningFailed", message);
            }
            (_, Some(_)) if provisioner == NO_PROVISIONER => {
                let message = format!("no volume plugin matched name: {NO_PROVISIONER}");
                said(world, Kind::Warning, "ProvisioningFailed", message);
            }
            (_, Some(class)) => return self.provision(world, &row, Some(class), None),
        }
        if !is_told {
            self.enqueue_in(world, RESYNC, Patience::Patient, key);
        }
    }

    /// What a claim waits for whose class waits for the first Pod (`emitEventForUnboundDelayBindingClaim`).
    fn waits_for(&self, key: &ObjectKey) -> (&'static str, String) {
        let waiting: Vec<String> =
            self.users_of(key).into_iter().filter(|(_, has_node)| !has_node).map(|(name, _)| name).collect();
        match waiting.as_slice() {
            [] => {
                ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned())
            }
            [one] => ("WaitForPodScheduled", format!("waiting for pod {one} to be scheduled")),
            several => {
                ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", several.join(",")))
            }
        }
    }

    /// A claim whose volume is gone has lost it.
    fn sync_bound(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) =
            self.objects.get(key).filter(|row| annotation(row, BIND_COMPLETED).is_some()).cloned()
        else {
            return;
        };
        let Some(name) = row.text(&["spec", "volumeName"]) else { return };
        let has_lost =
            self.object("PersistentVolume", "", name).is_none() && self.queue.bound.contains(&row.uid);
        if has_lost && row.deleted.is_none() && row.text(&["status", "phase"]) != Some("Lost") {
            let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!".to_owned();
            Self::event(world, key, Kind::Warning, ("ClaimLost", COMPONENT), message);
            self.put_phase(world, key, "Lost");
        }
    }

    /// A claim that names its volume.
    fn bind_named(&mut self, world: &mut dyn World, row: &Arc<ObjectRow>, name: &str) {
        self.put_phase(world, &row.key, "Pending");
        let Some(volume) = self.object("PersistentVolume", "", name).cloned() else {
            return self.enqueue_in(world, RESYNC, Patience::Patient, &row.key);
        };
        let source = |reason| (reason, COMPONENT);
        if kept_for(&volume).is_some() && !is_for(&volume, row) {
            let message = format!("volume \"{name}\" already bound to a different claim.");
            Self::event(world, &row.key, Kind::Warning, source("FailedBinding"), message);
        } else if let Some(why) = mismatch(&volume, row).filter(|_| kept_for(&volume).is_none()) {
            let message = format!("Cannot bind to requested volume \"{name}\": {why}");
            Self::event(world, &row.key, Kind::Warning, source("VolumeMismatch"), message);
        } else {
            return self.bind_volume(world, row, &volume);
        }
        self.enqueue_in(world, RESYNC, Patience::Patient, &row.key);
    }

    /// The volume that suits a claim best (`findBestMatchForClaim`): one that is kept for it, or the smallest that is large
    /// enough, on this node. Of a class that waits only the former are taken.
    fn fitting_volume(
        &self,
        claim: &ObjectRow,
        (is_delayed, node): (bool, Option<&NodeSpec>),
    ) -> Option<Arc<ObjectRow>> {
        let selector = claim.at(&["spec", "selector"]).filter(|selector| selector.is_object());
        let selector: Option<crate::api::LabelSelector> =
            selector.and_then(|selector| serde_json::from_value(selector.clone()).ok());
        let volumes = || self.objects_of("PersistentVolume").filter(|volume| volume.deleted.is_none());
        if let Some(kept) = volumes().find(|volume| kept_for(volume).is_some() && is_for(volume, claim)) {
            return Some(kept.clone());
        }
        let free = |volume: &&Arc<ObjectRow>| {
            kept_for(volume).is_none()
                && !is_delayed
                && mismatch(volume, claim).is_none()
                && node.is_none_or(|node| fits_node(volume, node))
                && selector.as_ref().is_none_or(|selector| selector.matches(&volume.labels()))
        };
        let size = |volume: &&Arc<ObjectRow>| amount(volume, &["spec", "capacity", "storage"]);
        volumes().filter(free).min_by_key(size).cloned()
    }

    /// Binds a volume and a claim to each other.
    fn bind_volume(&mut self, world: &mut dyn World, claim: &ObjectRow, volume: &ObjectRow) {
        self.queue.bound.extend([claim.uid.clone(), volume.uid.clone()]);
        let chosen = kept_for(volume).is_none();
        self.edit(world, &volume.key, |value| {
            value["spec"]["claimRef"] = json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": &*claim.key.name,
                "namespace": &*claim.key.namespace, "resourceVersion": claim.version.to_string(), "uid": &*claim.uid,
            });
            if chosen {
                value["metadata"]["annotations"][BOUND_BY_CONTROLLER] = json!("yes");
            }
            value["status"]["phase"] = json!("Bound");
        });
        let given = claim.text(&["spec", "volumeName"]).is_some_and(|name| !name.is_empty());
        self.edit(world, &claim.key, |value| {
            value["spec"]["volumeName"] = json!(&*volume.key.name);
            value["metadata"]["annotations"][BIND_COMPLETED] = json!("yes");
            if !given {
                value["metadata"]["annotations"][BOUND_BY_CONTROLLER] = json!("yes");
            }
            value["status"] = json!({
                "phase": "Bound",
                "accessModes": volume.at(&["spec", "accessModes"]),
                "capacity": volume.at(&["spec", "capacity"]),
            });
        });
        self.room_made(world);
    }

    /// A provisioner makes a volume for a claim, on this node where it keeps volumes on nodes.
    fn provision(
        &mut self,
        world: &mut dyn World,
        claim: &ObjectRow,
        class: Option<&ObjectRow>,
        node: Option<&str>,
    ) {
        let key = &claim.key;
        let provisioner = class.and_then(|class| class.text(&["provisioner"])).unwrap_or("");
        let name = format!("pvc-{}", claim.uid);
        if !provisioner.is_empty() {
            self.edit(world, key, |value| {
                let annotations = &mut value["metadata"]["annotations"];
                annotations["volume.beta.kubernetes.io/storage-provisioner"] = json!(provisioner);
                annotations["volume.kubernetes.io/storage-provisioner"] = json!(provisioner);
                if let Some(node) = node {
                    annotations["volume.kubernetes.io/selected-node"] = json!(node);
                }
            });
            let waiting = format!(
                "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the \
                 system administrator. If volume creation is delayed, please verify that the provisioner is running and \
                 correctly registered."
            );
            let begun = format!(
                "External provisioner is provisioning volume for claim \"{}/{}\"",
                key.namespace, key.name
            );
            let done = format!("Successfully provisioned volume {name}");
            for (reason, source, message) in [
                ("ExternalProvisioning", COMPONENT, waiting),
                ("Provisioning", provisioner, begun),
                ("ProvisioningSucceeded", provisioner, done),
            ] {
                Self::event(world, key, Kind::Normal, (reason, source), message);
            }
        }
        let volume = provisioned(claim, class, (&name, node));
        let volume_key = ObjectKey::new("PersistentVolume", "", &name);
        self.put(world, &volume_key, &"v1".into(), Arc::new(volume));
        let (Some(claim), Some(volume)) =
            (self.objects.get(key).cloned(), self.objects.get(&volume_key).cloned())
        else {
            return;
        };
        self.bind_volume(world, &claim, &volume);
    }

    /// Sees to it that a claim which a StatefulSet made has a volume, where neither it nor the cluster says of which class.
    pub(super) fn serve_claim(&mut self, world: &mut dyn World, key: &ObjectKey) {
        if self.default_class().is_some() {
            return;
        }
        let unclassed =
            |row: &&Arc<ObjectRow>| row.at(&["spec", "storageClassName"]).is_none_or(Value::is_null);
        if let Some(row) = self.objects.get(key).filter(unclassed).filter(|row| !is_bound(row)).cloned() {
            self.provision(world, &row, None, None);
        }
    }

    /// The volumes of a Pod that outlive it, as they are claimed, with the directories of their files.
    pub(in crate::agent) fn kept_volumes(
        &mut self,
        world: &mut dyn World,
        key: &PodKey,
    ) -> Vec<(String, DirId)> {
        let Some(pod) = self.store.pods.get(key).map(|entry| entry.pod.clone()) else { return Vec::new() };
        let claimed = |volume: &Value| {
            let name = volume["persistentVolumeClaim"]["claimName"].as_str()?;
            let claim = self.object("PersistentVolumeClaim", &key.namespace, name)?;
            Some((volume["name"].as_str().unwrap_or("").to_owned(), claim.uid.clone()))
        };
        let claimed: Vec<(String, Arc<str>)> = pod.spec.volumes.iter().filter_map(claimed).collect();
        let disks = &mut self.queue.disks;
        claimed
            .into_iter()
            .map(|(name, uid)| (name, *disks.entry(uid).or_insert_with(|| world.new_dir())))
            .collect()
    }

    /// What stands against a Pod's claims: the scheduler's words (`VolumeBinding`).
    pub(in crate::agent) fn claims_refuse(&self, pod: &Pod) -> Option<String> {
        for key in Self::claims_of(pod) {
            let name = &key.name;
            let Some(claim) = self.objects.get(&key) else {
                return Some(format!("persistentvolumeclaim \"{name}\" not found"));
            };
            if claim.deleted.is_some() {
                return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
            }
            if claim.text(&["status", "phase"]) == Some("Lost") {
                return Some(format!(
                    "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{}\"",
                    claim.text(&["spec", "volumeName"]).unwrap_or("")
                ));
            }
            if !is_bound(claim)
                && !self.object("StorageClass", "", class_of(claim)).is_some_and(|class| is_delayed(class))
            {
                return Some("pod has unbound immediate PersistentVolumeClaims".to_owned());
            }
        }
        None
    }

    /// Why the volumes of a Pod's claims cannot be had on a node.
    pub(in crate::agent) fn volumes_refuse(&self, pod: &Pod, node: &NodeSpec) -> Option<&'static str> {
        for key in Self::claims_of(pod) {
            let claim = self.objects.get(&key)?;
            let volume = claim
                .text(&["spec", "volumeName"])
                .and_then(|name| self.object("PersistentVolume", "", name));
            if let Some(volume) = volume {
                if !fits_node(volume, node) {
                    return Some("node(s) didn't match PersistentVolume's node affinity");
                }
            } else if !is_bound(claim) && !self.is_provided(claim) {
                let found = self.fitting_volume(claim, (false, Some(node)));
                if found.is_none() {
                    return Some("node(s) didn't find available persistent volumes to bind");
                }
            }
        }
        None
    }

    /// Whether a provisioner makes volumes for a claim.
    fn is_provided(&self, claim: &ObjectRow) -> bool {
        let class = self.object("StorageClass", "", class_of(claim));
        class.is_some_and(|class| class.text(&["provisioner"]) != Some(NO_PROVISIONER))
    }

    /// The claims of a Pod that wait for it get their volumes, now that its node is known.
    pub(in crate::agent) fn provide_claims(&mut self, world: &mut dyn World, pod: &Pod, node: &str) {
        for key in Self::claims_of(pod) {
            let Some(claim) = self.objects.get(&key).filter(|claim| !is_bound(claim)).cloned() else {
                continue;
            };
            let here = self.store.nodes.get(node).map(|entry| &entry.spec);
            if let Some(volume) = self.fitting_volume(&claim, (false, here)) {
                self.bind_volume(world, &claim, &volume);
            } else if let Some(class) = self.object("StorageClass", "", class_of(&claim)).cloned() {
                self.provision(world, &claim, Some(&class), Some(node));
            }
        }
    }
}

/// The volume that a provisioner makes.
fn provisioned(claim: &ObjectRow, class: Option<&ObjectRow>, (name, node): (&str, Option<&str>)) -> Value {
    let provisioner = class.and_then(|class| class.text(&["provisioner"])).unwrap_or("");
    let policy = class.and_then(|class| class.text(&["reclaimPolicy"])).unwrap_or("Delete");
    let (namespace, claim_name) = (&claim.key.namespace, &claim.key.name);
    let mut volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": { "name": name, "annotations": { PROVISIONED_BY: provisioner } },
        "spec": {
            "accessModes": claim.at(&["spec", "accessModes"]),
            "capacity": { "storage": claim.at(&["spec", "resources", "requests", "storage"]) },
            "persistentVolumeReclaimPolicy": policy,
            "volumeMode": claim.text(&["spec", "volumeMode"]).unwrap_or("Filesystem"),
        },
    });
    let spec = &mut volume["spec"];
    if !class_of(claim).is_empty() {
        spec["storageClassName"] = json!(class_of(claim));
    }
    if provisioner == LOCAL_PATH || provisioner.is_empty() {
        let path = format!("/var/local-path-provisioner/{name}_{namespace}_{claim_name}");
        spec["hostPath"] = json!({ "path": path, "type": "DirectoryOrCreate" });
    } else {
        spec["csi"] = json!({ "driver": provisioner, "volumeHandle": name });
    }
    if let Some(node) = node.filter(|_| provisioner == LOCAL_PATH) {
        let here = json!({ "key": "kubernetes.io/hostname", "operator": "In", "values": [node] });
        spec["nodeAffinity"] =
            json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [here] }] } });
    }
    volume
}
