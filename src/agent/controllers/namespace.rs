//! The namespace controller (`pkg/controller/namespace`): what is in a namespace goes with it.

use crate::agent::control::ControlPlane;
use crate::agent::world::World;
use crate::api::Propagation;
use crate::base::ObjectKey;
use serde_json::json;

impl ControlPlane {
    /// A namespace is `Terminating` from now on, and takes nothing new.
    pub(super) fn begin_namespace_deletion(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let now = world.now();
        if self.objects.get(key).is_none_or(|row| row.deleted.is_some()) {
            return;
        }
        self.edit(world, key, |value| value["status"]["phase"] = json!("Terminating"));
        self.mark_deleted(world, key, now);
        self.enqueue(world, key.clone());
    }

    pub(super) fn sync_namespace(&mut self, world: &mut dyn World, key: &ObjectKey) {
        if self.objects.get(key).is_none_or(|row| row.deleted.is_none()) {
            return;
        }
        let inside: Vec<ObjectKey> = self.objects.in_namespace(&key.name);
        if inside.is_empty() {
            return self.discard(world, key);
        }
        for object in inside {
            let waits = self.objects.get(&object).is_none_or(|row| row.deleted.is_some());
            if !waits {
                self.delete(world, &object, Some(Propagation::Background), None);
            }
        }
    }

    /// Something of a namespace that is about to go went.
    pub(in crate::agent) fn namespace_emptied(&mut self, world: &mut dyn World, gone: &ObjectKey) {
        let key = ObjectKey::new("Namespace", "", &gone.namespace);
        if self.objects.get(&key).is_some_and(|row| row.deleted.is_some()) {
            self.enqueue(world, key);
        }
    }
}
