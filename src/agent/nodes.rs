//! Nodes in the API server: what of them changes while they run.

use super::control::ControlPlane;
use super::world::World;
use crate::api::{ClusterSpec, Node, NodeSpec};
use crate::base::ObjectKey;
use crate::trace::TableChange;
use serde_json::Value;
use std::sync::Arc;

impl ControlPlane {
    /// A Node is written by a request: its labels, annotations, taints and whether it takes new Pods.
    pub(super) fn write_node(&mut self, world: &mut dyn World, key: &ObjectKey, value: &Arc<Value>) {
        self.put(world, key, &"v1".into(), value.clone());
        let Ok(node) = serde_json::from_value::<Node>((**value).clone()) else { return };
        let Some(entry) = self.store.nodes.get_mut(&key.name) else { return };
        entry.spec.labels = node.metadata.labels;
        entry.spec.annotations = node.metadata.annotations;
        entry.spec.taints = node.spec.taints;
        entry.spec.unschedulable = node.spec.unschedulable == Some(true);
        self.node_changed(world, &key.name);
    }

    /// Nodes of the text that say something else than before, as far as that needs no new machine.
    pub(super) fn nodes_changed(&mut self, world: &mut dyn World, old: &ClusterSpec, new: &ClusterSpec) {
        for spec in &new.nodes {
            let before: Option<&NodeSpec> = old.nodes.iter().find(|node| node.name == spec.name);
            if before.is_none_or(|before| before == spec) {
                continue;
            }
            let name: Arc<str> = spec.name.as_str().into();
            if let Some(entry) = self.store.nodes.get_mut(&name) {
                entry.spec = spec.clone();
            }
            self.put_node(world, spec);
            self.node_changed(world, &name);
        }
    }

    fn node_changed(&mut self, world: &mut dyn World, name: &Arc<str>) {
        if let Some(entry) = self.store.nodes.get(name) {
            let row = entry.row();
            world.record(TableChange::Node(row));
        }
        self.room_made(world);
    }
}
