//! What controllers do with Pods: find their own, adopt and release, make and delete.

use super::{Kind, controller_of, reference_to};
use crate::agent::control::ControlPlane;
use crate::agent::objects::Written;
use crate::agent::serve::letters;
use crate::agent::store::{PodEntry, PodKey};
use crate::agent::world::World;
use crate::api::{ApiError, Pod, Workload};
use crate::base::{Duration, ObjectKey};
use crate::trace::{ObjectRow, PodPhase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a Pod that a controller makes is called.
pub(super) enum Name<'a> {
    /// A prefix and five letters.
    Generated(&'a str),
    /// This.
    Given(String),
}

impl PodEntry {
    /// Whether a controller counts on it: it has neither ended nor is about to go (`IsPodActive`).
    pub(in crate::agent) fn is_active(&self) -> bool {
        !self.deleting && !matches!(self.phase, PodPhase::Succeeded | PodPhase::Failed)
    }
}

impl ControlPlane {
    /// The Pods that an object manages, after adopting those that fit and letting go of those that no longer do
    /// (`PodControllerRefManager`).
    pub(super) fn claim_pods(
        &mut self,
        world: &mut dyn World,
        owner: &ObjectRow,
        workload: &Workload,
    ) -> Vec<PodKey> {
        let selector = &workload.spec.selector;
        let owned: Vec<ObjectKey> =
            self.objects.owned_by(&owner.uid).filter(|key| &*key.kind == "Pod").cloned().collect();
        let mut claimed = Vec::with_capacity(owned.len());
        for object in owned {
            let Some(key) = self.store.pod_named(&object.namespace, &object.name).cloned() else { continue };
            let Some(entry) = self.store.pods.get(&key) else { continue };
            let managed =
                self.objects.get(&object).and_then(|row| Some(controller_of(&row.value)?.2 == &*owner.uid));
            if managed != Some(true) {
                continue;
            }
            if selector.matches(&entry.pod.metadata.labels) || owner.deleted.is_some() {
                claimed.push(key);
            } else {
                self.set_owner(world, &object, (&owner.uid, None));
            }
        }
        if owner.deleted.is_some() {
            return claimed;
        }
        let orphans = self.objects.orphans_of("Pod", &owner.key.namespace);
        for object in orphans {
            let Some(key) = self.store.pod_named(&object.namespace, &object.name).cloned() else { continue };
            let Some(entry) = self.store.pods.get(&key) else { continue };
            if entry.is_active() && selector.matches(&entry.pod.metadata.labels) {
                self.set_owner(world, &object, (&owner.uid, Some(reference_to(owner))));
                claimed.push(key);
            }
        }
        claimed
    }

    /// Replaces the reference to one owner of an object.
    pub(super) fn set_owner(
        &mut self,
        world: &mut dyn World,
        object: &ObjectKey,
        (uid, reference): (&str, Option<Value>),
    ) {
        let Some(row) = self.objects.get(object).cloned() else { return };
        let mut value = (*row.value).clone();
        let metadata = &mut value["metadata"];
        let mut references = metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
        references.retain(|known| known["uid"] != json!(uid));
        references.extend(reference);
        if references.is_empty() {
            metadata.as_object_mut().map(|fields| fields.remove("ownerReferences"));
        } else {
            metadata["ownerReferences"] = Value::Array(references);
        }
        self.rewrite(world, &row, value);
    }

    /// Writes a changed object whose typed form, if it has one, is read anew.
    pub(in crate::agent) fn rewrite(&mut self, world: &mut dyn World, row: &ObjectRow, value: Value) {
        if &*row.key.kind == "Pod" {
            if let Ok(mut pod) = serde_json::from_value::<Pod>(value.clone()) {
                pod.metadata.namespace = row.key.namespace.to_string();
                self.write_pod(world, Arc::new(pod), Arc::new(value));
            }
            return;
        }
        self.put(world, &row.key, &row.api_version, Arc::new(value));
    }

    /// Makes a Pod of a template for its owner, which tries again where the server refuses it.
    pub(super) fn make_pod(
        &mut self,
        world: &mut dyn World,
        owner: &ObjectRow,
        template: &Value,
        name: Name<'_>,
    ) -> Result<String, ApiError> {
        let made = self.ask_for_pod(world, owner, template, name);
        match &made {
            Ok(_) => drop(self.queue.failures.remove(&owner.key)),
            Err(error) if error.reason == "AlreadyExists" => {}
            Err(_) => self.enqueue_after_failure(world, &owner.key),
        }
        made
    }

    /// Asks the server for a Pod of a template (`GetPodFromTemplate`).
    fn ask_for_pod(
        &mut self,
        world: &mut dyn World,
        owner: &ObjectRow,
        template: &Value,
        name: Name<'_>,
    ) -> Result<String, ApiError> {
        let mut value =
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": template["spec"] });
        let metadata = &mut value["metadata"];
        for field in ["labels", "annotations", "finalizers"] {
            if !template["metadata"][field].is_null() {
                metadata[field] = template["metadata"][field].clone();
            }
        }
        let name = match name {
            Name::Given(name) => name,
            Name::Generated(prefix) => {
                metadata["generateName"] = json!(prefix);
                // The server cuts the prefix so that the whole name has 63 letters (`SimpleNameGenerator`).
                let end =
                    prefix.char_indices().map(|(at, _)| at).take_while(|at| *at <= 58).last().unwrap_or(0);
                let kept = if prefix.len() > 58 { &prefix[..end.min(58)] } else { prefix };
                format!("{kept}{}", letters(world, 5))
            }
        };
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(&*owner.key.namespace);
        metadata["ownerReferences"] = json!([reference_to(owner)]);
        let key = ObjectKey::new("Pod", &owner.key.namespace, &name);
        self.check_namespace(&key)?;
        if self.objects.get(&key).is_some() {
            return Err(ApiError::already_exists("pods", &name));
        }
        self.limit_pod(&key.namespace, &mut value)?;
        self.check_references(&key, &value)?;
        self.check_quota(&key, &value)?;
        let decoded = serde_json::from_value::<Pod>(value.clone());
        let mut pod = decoded.map_err(|error| ApiError::bad_request(error.to_string()))?;
        pod.metadata.namespace = owner.key.namespace.to_string();
        self.create_pod(world, (Arc::new(pod), Arc::new(value)));
        Ok(name)
    }

    /// Makes a Pod with a name of its own and tells of it, as most controllers do.
    pub(super) fn make_named_by_chance(
        &mut self,
        world: &mut dyn World,
        owner: &ObjectRow,
        template: &Value,
        component: &str,
    ) -> Result<(), ApiError> {
        let prefix = format!("{}-", owner.key.name);
        match self.make_pod(world, owner, template, Name::Generated(&prefix)) {
            Ok(name) => {
                let message = format!("Created pod: {name}");
                Self::event(world, &owner.key, Kind::Normal, ("SuccessfulCreate", component), message);
                Ok(())
            }
            Err(error) => {
                let message = format!("Error creating: {error}");
                Self::event(world, &owner.key, Kind::Warning, ("FailedCreate", component), message);
                Err(error)
            }
        }
    }

    /// Deletes a Pod for its owner and tells of it.
    pub(super) fn drop_pod(
        &mut self,
        world: &mut dyn World,
        owner: &ObjectKey,
        pod: &PodKey,
        component: &str,
    ) {
        let message = format!("Deleted pod: {}", pod.name);
        Self::event(world, owner, Kind::Normal, ("SuccessfulDelete", component), message);
        self.delete_pod(world, pod, None);
    }

    /// Since when a Pod has been ready, if it is.
    pub(super) fn ready_for(&self, world: &dyn World, pod: &PodKey) -> Option<Duration> {
        let entry = self.store.pods.get(pod)?;
        entry.ready_since.filter(|_| entry.is_ready()).map(|since| world.now().since(since))
    }

    /// How many of these Pods are ready, how many available after having been ready for so many seconds, and the
    /// shortest time until another one is.
    pub(super) fn readiness(
        &self,
        world: &dyn World,
        pods: &[PodKey],
        min_ready_secs: i64,
    ) -> (i64, i64, Option<Duration>) {
        let wanted = Duration::from_secs(u64::try_from(min_ready_secs).unwrap_or(0));
        let (mut ready, mut available, mut next) = (0, 0, None::<Duration>);
        for since in pods.iter().filter_map(|pod| self.ready_for(world, pod)) {
            ready += 1;
            if since >= wanted {
                available += 1;
            } else {
                let left = wanted - since;
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        (ready, available, next)
    }

    /// An entry of a Pod that a controller holds the key of.
    pub(super) fn pod_entry(&self, pod: &PodKey) -> Option<&PodEntry> {
        self.store.pods.get(pod)
    }
}

/// A template with more labels.
pub(super) fn with_labels(template: &Value, labels: &BTreeMap<&str, String>) -> Value {
    let mut template = template.clone();
    for (key, value) in labels {
        template["metadata"]["labels"][*key] = json!(value);
    }
    template
}

/// An object that a controller writes itself, which needs no check.
pub(super) fn own(kind: &str, api_version: &str, namespace: &str, name: &str, value: Value) -> Written {
    Written {
        key: ObjectKey::new(kind, namespace, name),
        api_version: api_version.into(),
        value: Arc::new(value),
        typed: crate::agent::objects::Typed::Other,
    }
}
