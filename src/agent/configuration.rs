//! `ConfigMaps` and Secrets as containers see them: as environment variables and as files.

use super::control::ControlPlane;
use super::controllers::Kind;
use super::kubelet;
use super::store::{PodEntry, PodKey};
use super::world::{Patience, Wakeup, World};
use crate::api::Container;
use crate::base::{Duration, ObjectKey};
use crate::cluster::configuration::{self, Sources};
use crate::trace::ObjectRow;
use serde_json::Value;
use std::collections::BTreeMap;

/// How long until mounted volumes follow a change: the kubelet looks about once a minute (`syncFrequency`).
const REFRESH: Duration = Duration::from_secs(60);

/// What a Pod's configuration comes from.
struct OfPod<'a> {
    control: &'a ControlPlane,
    entry: &'a PodEntry,
    key: &'a PodKey,
}

impl Sources for OfPod<'_> {
    fn config_map(&self, name: &str) -> Option<BTreeMap<String, String>> {
        // The certificate of the API server is in every namespace, though nobody writes it.
        if name == "kube-root-ca.crt" {
            return Some(BTreeMap::from([("ca.crt".to_owned(), String::new())]));
        }
        Some(texts(self.control.object("ConfigMap", &self.key.namespace, name)?, "data"))
    }

    fn config_files(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let mut entries = self.config_map(name)?;
        let binary = self.control.object("ConfigMap", &self.key.namespace, name);
        let decoded = binary.map(|row| texts(row, "binaryData")).into_iter().flatten();
        entries.extend(decoded.map(|(key, value)| (key, configuration::base64(&value).unwrap_or_default())));
        Some(entries)
    }

    fn secret(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let row = self.control.object("Secret", &self.key.namespace, name)?;
        let decoded = texts(row, "data").into_iter();
        let mut entries: BTreeMap<String, String> =
            decoded.map(|(key, value)| (key, configuration::base64(&value).unwrap_or_default())).collect();
        entries.extend(texts(row, "stringData"));
        Some(entries)
    }

    fn field(&self, path: &str) -> Option<String> {
        let host = || self.control.host_ip(self.entry).map(|ip| ip.to_string());
        match path {
            "status.podIP" | "status.podIPs" => self.entry.ip.map(|ip| ip.to_string()),
            "status.hostIP" | "status.hostIPs" => host(),
            "spec.nodeName" => self.entry.node.as_deref().map(str::to_owned),
            "metadata.uid" => self.control.objects.get(&self.key.object()).map(|row| row.uid.to_string()),
            _ => configuration::field_of(&self.entry.pod, path),
        }
    }
}

fn texts(row: &ObjectRow, field: &str) -> BTreeMap<String, String> {
    let entries = row.at(&[field]).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

impl ControlPlane {
    /// The environment variables of a container; the error is what keeps it from being made.
    pub(super) fn variables_of(
        &self,
        key: &PodKey,
        container: &Container,
    ) -> Result<Vec<(String, String)>, String> {
        let Some(entry) = self.store.pods.get(key) else { return Ok(Vec::new()) };
        let links = entry.pod.spec.enable_service_links != Some(false);
        let services = if links { self.service_variables(&key.namespace) } else { Vec::new() };
        let sources = OfPod { control: self, entry, key };
        configuration::variables(&key.namespace, container, &services, &sources)
    }

    /// The first volume of a Pod that cannot be made, and why.
    pub(super) fn unmountable(&self, key: &PodKey) -> Option<(String, String)> {
        let entry = self.store.pods.get(key)?;
        let sources = OfPod { control: self, entry, key };
        entry.pod.spec.volumes.iter().find_map(|volume| {
            let error = configuration::files(volume, &sources)?.err()?;
            Some((volume["name"].as_str().unwrap_or("").to_owned(), error))
        })
    }

    /// Writes the files of a Pod's volumes, those that are gone taken away.
    pub(super) fn fill_volumes(&mut self, world: &mut dyn World, key: &PodKey) {
        let Some(entry) = self.store.pods.get(key).filter(|entry| !entry.pod.spec.volumes.is_empty()) else {
            return;
        };
        let sources = OfPod { control: self, entry, key };
        let mut filled = Vec::new();
        for volume in &entry.pod.spec.volumes {
            if let Some(Ok(files)) = configuration::files(volume, &sources) {
                filled.push((volume["name"].as_str().unwrap_or("").to_owned(), files));
            }
        }
        let kept = self.kept_volumes(world, key);
        let Some(entry) = self.store.pods.get_mut(key) else { return };
        for (name, dir) in kept {
            entry.shared.mount(name, dir);
        }
        for (name, files) in filled {
            let dir = entry.shared.volume(world, &name);
            world.empty_dir(dir);
            for (path, text) in files {
                world.write_in(dir, &format!("/{path}"), text);
            }
        }
    }

    /// A volume cannot be made yet: an Event tells of it, and the kubelet tries again.
    pub(super) fn mount_failed(&self, world: &mut dyn World, key: &PodKey, (volume, why): (&str, &str)) {
        let message = format!("MountVolume.SetUp failed for volume \"{volume}\" : {why}");
        self.pod_event(world, (key, None), Kind::Warning, "FailedMount", message);
    }

    /// A `ConfigMap` or Secret changed: Pods that wait for it go on, mounted files follow in their time.
    pub(super) fn configuration_changed(&mut self, world: &mut dyn World, key: &ObjectKey, is_new: bool) {
        let in_namespace = self.store.pods_in(&key.namespace);
        let mut mounted = false;
        for pod in in_namespace {
            let Some(entry) = self.store.pods.get(&pod) else { continue };
            mounted |= entry.pod.spec.volumes.iter().any(|volume| volume.to_string().contains(&*key.name));
            if is_new && entry.stage == kubelet::Stage::Mounting {
                kubelet::mount_again(self, world, &pod);
            }
        }
        if mounted && !is_new {
            world.wake_in(REFRESH, Patience::Patient, Wakeup::Refresh(key.clone()));
        }
    }

    /// Mounted files follow the object that they come from.
    pub(super) fn refresh_volumes(&mut self, world: &mut dyn World, key: &ObjectKey) {
        for pod in self.store.pods_in(&key.namespace) {
            let uses = |entry: &PodEntry| {
                entry.pod.spec.volumes.iter().any(|volume| volume.to_string().contains(&*key.name))
            };
            if self.store.pods.get(&pod).is_some_and(uses) {
                self.fill_volumes(world, &pod);
            }
        }
    }
}
