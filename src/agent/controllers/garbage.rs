//! The garbage collector (`pkg/controller/garbagecollector`), and what holds a deleted object back.

use super::Kind;
use crate::agent::control::ControlPlane;
use crate::agent::world::World;
use crate::api::Propagation;
use crate::base::ObjectKey;
use crate::manifest;
use crate::trace::ObjectRow;
use serde_json::{Value, json};
use std::sync::Arc;

/// Finalizers with which an object waits for what becomes of its dependents.
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// Finalizers of an object.
pub(in crate::agent) fn finalizers(value: &Value) -> Vec<&str> {
    value["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

impl ControlPlane {
    /// Deletes an object: at once, or when what holds it has let go.
    pub(in crate::agent) fn delete(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        propagation: Option<Propagation>,
        grace_seconds: Option<u64>,
    ) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        match &*key.kind {
            "Pod" => return self.delete_pod_object(world, key, grace_seconds),
            "Namespace" => return self.begin_namespace_deletion(world, key),
            _ => {}
        }
        // What the request asks for takes the place of what the finalizers say; without a word they decide.
        let mut held: Vec<String> = finalizers(&row.value).into_iter().map(str::to_owned).collect();
        if let Some(asked) = propagation {
            held.retain(|name| name != ORPHAN && name != FOREGROUND);
            match asked {
                Propagation::Background => {}
                Propagation::Foreground => held.push(FOREGROUND.to_owned()),
                Propagation::Orphan => held.push(ORPHAN.to_owned()),
            }
        }
        if held.is_empty() {
            return self.discard(world, key);
        }
        let now = world.now();
        self.edit(world, key, |value| value["metadata"]["finalizers"] = json!(held));
        self.mark_deleted(world, key, now);
        self.go_on_deleting(world, key);
    }

    /// Does what an object's finalizers wait for, as far as that is the garbage collector's.
    pub(in crate::agent) fn go_on_deleting(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned().filter(|row| row.deleted.is_some()) else { return };
        let held = finalizers(&row.value);
        if held.is_empty() {
            match &*key.kind {
                // A Pod goes when its kubelet is done with it, a namespace when nothing is in it.
                "Pod" => self.pod_released(world, key),
                "Namespace" => {}
                _ => self.discard(world, key),
            }
            return;
        }
        let dependents: Vec<ObjectKey> = self.objects.owned_by(&row.uid).cloned().collect();
        if held.contains(&ORPHAN) {
            for dependent in &dependents {
                self.set_owner(world, dependent, (&row.uid, None));
            }
            self.drop_finalizer(world, key, ORPHAN);
        } else if held.contains(&FOREGROUND) {
            let blocks = |dependent: &&ObjectKey| {
                let row = self.objects.get(dependent);
                let references = row.and_then(|row| row.at(&["metadata", "ownerReferences"])?.as_array());
                references.into_iter().flatten().any(|reference| {
                    reference["uid"] == json!(&*row_uid(&self.objects, key))
                        && reference["blockOwnerDeletion"] == json!(true)
                })
            };
            if !dependents.iter().any(|dependent| blocks(&dependent)) {
                return self.drop_finalizer(world, key, FOREGROUND);
            }
            for dependent in dependents {
                let waits = self.objects.get(&dependent).is_some_and(|row| row.deleted.is_some());
                if !waits {
                    self.delete(world, &dependent, Some(Propagation::Foreground), None);
                }
            }
        }
    }

    fn drop_finalizer(&mut self, world: &mut dyn World, key: &ObjectKey, name: &str) {
        self.edit(world, key, |value| {
            if let Some(list) = value["metadata"]["finalizers"].as_array_mut() {
                list.retain(|held| held != name);
            }
        });
        self.go_on_deleting(world, key);
    }

    /// An owner is gone: its dependents are looked at, and owners of its own that wait for it.
    pub(super) fn owner_gone(&mut self, world: &mut dyn World, row: &ObjectRow) {
        self.forget_progress(&row.key);
        let dependents: Vec<ObjectKey> = self.objects.owned_by(&row.uid).cloned().collect();
        for dependent in dependents {
            self.doubt(world, dependent);
        }
        let owners =
            row.at(&["metadata", "ownerReferences"]).and_then(Value::as_array).cloned().unwrap_or_default();
        for owner in owners.iter().filter_map(|owner| owner["uid"].as_str()) {
            if let Some(owner) = self.objects.by_uid(owner).filter(|owner| owner.deleted.is_some()) {
                let key = owner.key.clone();
                self.doubt(world, key);
            }
        }
    }

    /// Looks at an object whose owners may be gone (`attemptToDeleteItem`).
    pub(super) fn collect_garbage(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.get(key).cloned() else { return };
        if row.deleted.is_some() {
            return self.go_on_deleting(world, key);
        }
        let references = row.at(&["metadata", "ownerReferences"]).and_then(Value::as_array).cloned();
        let references = references.filter(|references| !references.is_empty());
        let Some(references) = references.filter(|_| !Self::is_exported(&row)) else { return };
        let (there, absent): (Vec<Value>, Vec<Value>) =
            references.iter().cloned().partition(|reference| self.owner_is_there(world, &row, reference));
        if there.is_empty() {
            return self.delete(world, key, None, None);
        }
        for uid in absent.iter().filter_map(|reference| reference["uid"].as_str()) {
            self.set_owner(world, key, (uid, None));
        }
    }

    /// Whether an object was pasted as another cluster printed it, where its owners may have been left out. In a real
    /// cluster it would get a new identity and be collected.
    fn is_exported(row: &Arc<ObjectRow>) -> bool {
        row.text(&["metadata", "uid"]).is_some()
    }

    /// Whether the owner that a reference names exists. It may live in the same namespace or in none.
    fn owner_is_there(&self, world: &mut dyn World, row: &ObjectRow, reference: &Value) -> bool {
        let Some(owner) = reference["uid"].as_str().and_then(|uid| self.objects.by_uid(uid)) else {
            return false;
        };
        let namespaced = manifest::resource(&owner.key.kind).is_some_and(|resource| resource.namespaced);
        if namespaced && owner.key.namespace != row.key.namespace {
            let group = reference["apiVersion"].as_str().unwrap_or("");
            let text = format!(
                "ownerRef [{group}/{}, namespace: {}, name: {}, uid: {}] does not exist in namespace \"{}\"",
                owner.key.kind, row.key.namespace, owner.key.name, owner.uid, row.key.namespace
            );
            let source = ("OwnerRefInvalidNamespace", "garbage-collector-controller");
            Self::event(world, &row.key, Kind::Warning, source, text);
            return false;
        }
        true
    }
}

fn row_uid(objects: &crate::agent::objects::Objects, key: &ObjectKey) -> Arc<str> {
    objects.get(key).map_or_else(|| "".into(), |row| row.uid.clone())
}
