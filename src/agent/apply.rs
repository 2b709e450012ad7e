//! A text of the user's is applied: what it describes comes or changes, and what it no longer describes goes. What others
//! have made meanwhile (controllers, `kubectl` in a terminal) stays.

use super::control::ControlPlane;
use super::objects::{Typed, Written};
use super::service_update::drop_type_dependent_fields;
use super::world::{Patience, Wakeup, World};
use crate::api::{NodeSpec, Pod};
use crate::base::{Duration, ObjectKey};
use crate::cluster::patch;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// In which order the objects of a text are written: what others refer to before them, and objects that name an
/// address of their own before those that are given one.
fn rank(written: &Written) -> u8 {
    match &written.typed {
        Typed::Other if &*written.key.kind == "Namespace" => 0,
        Typed::Policy(_) | Typed::AdminPolicy(_) | Typed::Other => 1,
        Typed::Pod(pod) if pod.status.pod_ip.is_some() => 2,
        Typed::Pod(_) => 3,
        Typed::Service(service) if !service.spec.cluster_ip.is_empty() => 4,
        Typed::Service(_) => 5,
        Typed::Slices(_) => 6,
    }
}

/// Objects of a text that are written or deleted in one step of the simulation. All steps of a text are at the same
/// moment; they are steps so that whoever shows a screen can do something else between two of them.
const OBJECTS_PER_STEP: usize = 64;

/// What is left to be done of a text that is being applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Applying {
    /// Objects that the text no longer describes.
    gone: VecDeque<ObjectKey>,
    /// Objects of the text, in the order in which they are written; what the cluster has from the beginning is there
    /// before them.
    wanted: Option<Vec<Written>>,
    ordered: VecDeque<Written>,
    /// What the text before said.
    before: BTreeMap<ObjectKey, Arc<Value>>,
}

impl Applying {
    fn len(&self) -> usize {
        self.gone.len() + self.wanted.as_ref().map_or(0, Vec::len) + self.ordered.len()
    }
}

impl ControlPlane {
    /// How many objects of a text are still to be written or deleted.
    pub fn n_unwritten(&self) -> usize {
        self.applying.len()
    }

    /// The objects of a text take the place of those of the text before.
    pub(super) fn apply_objects(&mut self, world: &mut dyn World, wanted: Vec<Written>) {
        self.ensure_own_namespaces(world);
        let text: BTreeMap<ObjectKey, Arc<Value>> =
            wanted.iter().map(|written| (written.key.clone(), written.value.clone())).collect();
        let before = std::mem::replace(&mut self.objects.text, text);
        // A Node that is no longer written may still be one of the cluster document's.
        let gone = |key: &&ObjectKey| !self.objects.text.contains_key(*key) && &*key.kind != "Node";
        let gone = before.keys().filter(gone).cloned().collect();
        self.applying = Applying { gone, wanted: Some(wanted), ordered: VecDeque::new(), before };
        self.apply_more(world);
    }

    /// Does a step's share of what is left of a text.
    pub(super) fn apply_more(&mut self, world: &mut dyn World) {
        for _ in 0..OBJECTS_PER_STEP {
            if let Some(key) = self.applying.gone.pop_front() {
                self.delete(world, &key, None, None);
                continue;
            }
            if let Some(wanted) = self.applying.wanted.take() {
                self.begin_to_write(world, wanted);
            }
            let Some(written) = self.applying.ordered.pop_front() else { break };
            let before = self.applying.before.remove(&written.key);
            self.apply_object(world, &written, before.as_ref());
        }
        if self.applying.len() > 0 {
            world.wake_in(Duration::ZERO, Patience::Prompt, Wakeup::ApplyMore);
        } else {
            self.applying = Applying::default();
            self.services_applied(world);
        }
    }

    /// What comes before the objects themselves: their namespaces, and what the text says of nodes.
    fn begin_to_write(&mut self, world: &mut dyn World, mut wanted: Vec<Written>) {
        self.furnish_cluster(world);
        wanted.sort_by_key(rank);
        for written in &wanted {
            if !written.key.namespace.is_empty() {
                self.ensure_namespace(world, &written.key.namespace);
            }
        }
        for written in wanted.iter().filter(|written| &*written.key.kind == "Node") {
            // Its machine stands already; what the text says of its status is shown.
            let before = self.applying.before.get(&written.key);
            if let (Some(row), true) =
                (self.objects.get(&written.key).cloned(), before != Some(&written.value))
            {
                let value = patch::three_way(before.map(|old| &**old), &written.value, &row.value);
                self.put(world, &written.key, &written.api_version, Arc::new(value));
            }
        }
        wanted.retain(|written| &*written.key.kind != "Node");
        self.applying.ordered = wanted.into();
    }

    /// Writes an object of the text, unless the text says what it said before.
    fn apply_object(&mut self, world: &mut dyn World, written: &Written, before: Option<&Arc<Value>>) {
        let live = self.objects.get(&written.key).cloned();
        let value = match live {
            Some(_) if before == Some(&written.value) => return,
            Some(row) => {
                let mut merged = patch::three_way(before.map(|before| &**before), &written.value, &row.value);
                if &*written.key.kind == "Service" {
                    drop_type_dependent_fields(&mut merged, &self.whole(&row));
                }
                if merged == *written.value { written.value.clone() } else { Arc::new(merged) }
            }
            None => self.completed(written),
        };
        match &written.typed {
            Typed::Pod(pod) if value != written.value && before.is_none() => {
                let decoded = serde_json::from_value::<Pod>((*value).clone()).map(|mut decoded| {
                    decoded.metadata.namespace.clone_from(&pod.metadata.namespace);
                    Arc::new(decoded)
                });
                // Only amounts of resources and a note are filled in, and a Pod with them decodes as one without.
                debug_assert!(decoded.is_ok(), "a Pod that was filled in decodes: {decoded:?}");
                self.apply_pod(world, &decoded.unwrap_or_else(|_| pod.clone()), &value);
            }
            Typed::Pod(pod) => self.apply_pod(world, pod, &value),
            Typed::Service(_)
            | Typed::Slices(_)
            | Typed::Policy(_)
            | Typed::AdminPolicy(_)
            | Typed::Other => {
                self.write(world, Written { value, ..written.clone() });
            }
        }
    }

    /// A new object of the text, a Pod filled in by the limit ranges of its namespace.
    fn completed(&self, written: &Written) -> Arc<Value> {
        let is_pod = matches!(written.typed, Typed::Pod(_));
        let completed = is_pod.then(|| self.completed_pod(&written.key.namespace, &written.value)).flatten();
        let completed = completed.filter(|value| *value != *written.value);
        completed.map_or_else(|| written.value.clone(), Arc::new)
    }

    /// The object of a node of the cluster: what the user wrote of it, or what its kubelet registers.
    pub(super) fn put_node(&mut self, world: &mut dyn World, spec: &NodeSpec) {
        let key = ObjectKey::new("Node", "", &spec.name);
        let mut value = self.objects.text.get(&key).map_or_else(
            || json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": spec.name } }),
            |value| (**value).clone(),
        );
        value["metadata"]["labels"] = json!(spec.labels);
        value["spec"]["podCIDR"] = json!(spec.pod_cidr.to_string());
        value["spec"]["podCIDRs"] = json!([spec.pod_cidr.to_string()]);
        if !spec.taints.is_empty() {
            value["spec"]["taints"] = json!(spec.taints);
        }
        if spec.unschedulable {
            value["spec"]["unschedulable"] = json!(true);
        }
        self.put(world, &key, &"v1".into(), Arc::new(value));
        self.furnish_node(world, &spec.name);
    }
}
