//! Volumes whose files come from a `ConfigMap` or a Secret (`pkg/volume/configmap`, `pkg/volume/secret`).
//!
//! *Simplified*: of projected volumes and all others only the directory is there.

use super::control::ControlPlane;
use super::store::PodKey;
use super::world::{Patience, Wakeup, World};
use crate::base::{Duration, ObjectKey};
use data_encoding::BASE64;
use serde_json::Value;
use std::collections::BTreeMap;

/// After so long a kubelet looks at a Pod's volumes again (`syncFrequency`).
const SYNC: Duration = Duration::from_secs(60);

/// A volume that takes its files from an object.
struct Source<'v> {
    volume: &'v str,
    kind: &'static str,
    object: &'v str,
    /// Keys with the path that each is put at; all keys under their own names where there are none.
    items: Vec<(&'v str, &'v str)>,
    optional: bool,
}

fn source(volume: &Value) -> Option<Source<'_>> {
    let (kind, from, name) = match (&volume["configMap"], &volume["secret"]) {
        (from @ Value::Object(_), _) => ("ConfigMap", from, &from["name"]),
        (_, from @ Value::Object(_)) => ("Secret", from, &from["secretName"]),
        _ => return None,
    };
    let items = from["items"].as_array().into_iter().flatten();
    Some(Source {
        volume: volume["name"].as_str()?,
        kind,
        object: name.as_str()?,
        items: items.filter_map(|item| Some((item["key"].as_str()?, item["path"].as_str()?))).collect(),
        optional: from["optional"].as_bool() == Some(true),
    })
}

/// Files of an object: `data`, and what is written in base64.
fn files(kind: &str, object: &Value) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let texts = |section: &'static str| {
        object[section]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key, value.as_str()?)))
    };
    let (plain, encoded) = if kind == "Secret" { ("stringData", "data") } else { ("data", "binaryData") };
    for (key, text) in texts(encoded) {
        let bytes = BASE64.decode(text.as_bytes()).unwrap_or_default();
        files.insert(key.clone(), String::from_utf8_lossy(&bytes).into_owned());
    }
    for (key, text) in texts(plain) {
        files.insert(key.clone(), text.to_owned());
    }
    files
}

/// Objects that every namespace has, though nobody writes them.
const EVERYWHERE: [&str; 1] = ["kube-root-ca.crt"];

impl ControlPlane {
    /// Fills the volumes of a Pod; an error names the first one whose object is not there.
    pub(super) fn mount_volumes(&mut self, world: &mut dyn World, key: &PodKey) -> Result<(), String> {
        let Some(entry) = self.store.pods.get(key) else { return Ok(()) };
        let pod = entry.pod.clone();
        for source in pod.spec.volumes.iter().filter_map(source) {
            let object = self.object(source.kind, &key.namespace, source.object).map(|row| row.value.clone());
            let files = match &object {
                Some(object) => files(source.kind, object),
                None if source.optional || EVERYWHERE.contains(&source.object) => BTreeMap::new(),
                None => {
                    let what = source.kind.to_lowercase();
                    let name = source.object;
                    return Err(format!(
                        "MountVolume.SetUp failed for volume \"{}\" : {what} \"{name}\" not found",
                        source.volume
                    ));
                }
            };
            let Some(entry) = self.store.pods.get_mut(key) else { return Ok(()) };
            let dir = entry.shared.volume(world, source.volume);
            world.empty_dir(dir);
            for (file, text) in &files {
                let chosen = source.items.iter().find(|(key, _)| key == file).map(|(_, path)| *path);
                let path = if source.items.is_empty() { Some(file.as_str()) } else { chosen };
                if let Some(path) = path {
                    world.write_in(dir, &format!("/{path}"), text.clone());
                }
            }
        }
        Ok(())
    }

    /// A `ConfigMap` or Secret changed: the kubelets of the Pods that mount it will see it when they look next.
    pub(super) fn source_changed(&self, world: &mut dyn World, key: &ObjectKey) {
        if !["ConfigMap", "Secret"].contains(&&*key.kind) {
            return;
        }
        let uses = |volume: &Value| {
            source(volume).is_some_and(|from| from.kind == &*key.kind && from.object == &*key.name)
        };
        for (pod, entry) in &self.store.pods {
            let mounted = entry.netns.is_some() && pod.namespace == key.namespace;
            if mounted && entry.pod.spec.volumes.iter().any(uses) {
                world.wake_in(SYNC, Patience::Patient, Wakeup::Volumes(pod.clone()));
            }
        }
    }

    /// The kubelet looks at the volumes of a running Pod. What is gone keeps the files it had.
    pub(super) fn refresh_volumes(&mut self, world: &mut dyn World, key: &PodKey) {
        if let Err(message) = self.mount_volumes(world, key) {
            Self::kube_event(world, key, ("FailedMount", "kubelet"), message);
        }
    }
}
