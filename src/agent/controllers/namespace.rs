//! The namespace controller (`pkg/controller/namespace`): what is in a namespace goes with it.

use crate::agent::control::ControlPlane;
use crate::agent::furniture::comes_again;
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
        match self.objects.get(key).map(|row| row.deleted) {
            None => return,
            Some(None) => return self.furnish_namespace(world, &key.name),
            Some(Some(_)) => {}
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

    /// Something of a namespace went: one that is about to go may be empty now, another one misses what belongs to it.
    pub(in crate::agent) fn namespace_emptied(&mut self, world: &mut dyn World, gone: &ObjectKey) {
        let key = ObjectKey::new("Namespace", "", &gone.namespace);
        if comes_again(gone) || self.objects.get(&key).is_some_and(|row| row.deleted.is_some()) {
            self.enqueue(world, key);
        }
    }
}
