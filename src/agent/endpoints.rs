//! The controllers of endpoints (`pkg/controller/endpointslice`, `pkg/controller/endpoint`,
//! `pkg/controller/endpointslicemirroring`): the slices of each Service follow the Pods that it selects, and stand in the store as
//! any other object. Only Services about which something changed are looked at.

use super::control::ControlPlane;
use super::controllers::Kind;
use super::objects::mix;
use super::services::{Key, key_of, slice_row};
use super::store::{PodEntry, PodKey};
use super::world::{Patience, Wakeup, World};
use crate::api::{EndpointSlice, OwnerReference, Service};
use crate::base::quantity;
use crate::base::{Duration, ObjectKey};
use crate::cluster::endpoints::{self, MANAGED_BY, is_followed};
use crate::cluster::services::{self, PodView};
use crate::cluster::topology;
use crate::trace::{PodPhase, ServiceChange, TableChange};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long the endpoint controllers take after a change of a Pod.
const LOOK: Duration = Duration::from_ms(5);
/// Group and version of slices.
const DISCOVERY: &str = "discovery.k8s.io/v1";
/// When the change came about that the controllers answered to.
const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What the controllers have to look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubtful {
    services: BTreeSet<Key>,
    /// Services by namespace and the first label of their selector.
    by_label: BTreeMap<(String, String, String), BTreeSet<Key>>,
    /// Whether the controllers are about to look.
    looking: bool,
}

/// What a Service is found by among those of its namespace: the first label that it looks for.
fn first_label(service: &Service) -> Option<(String, String, String)> {
    let (key, value) = service.spec.selector.first_key_value()?;
    Some((service.metadata.namespace.clone(), key.clone(), value.clone()))
}

fn slice_key(key: &Key) -> ObjectKey {
    ObjectKey::new("EndpointSlice", &key.0, &key.1)
}

impl ControlPlane {
    /// A Service comes, changes or goes.
    pub(super) fn service_changed(
        &mut self,
        world: &mut dyn World,
        (old, new): (Option<&Service>, Option<&Service>),
    ) {
        let Some(key) = new.or(old).map(|service| key_of(&service.metadata)) else { return };
        let by_label = &mut self.services.doubtful.by_label;
        if let Some(label) = old.and_then(first_label)
            && let Some(known) = by_label.get_mut(&label)
        {
            known.remove(&key);
            if known.is_empty() {
                by_label.remove(&label);
            }
        }
        if let Some(label) = new.and_then(first_label) {
            by_label.entry(label).or_default().insert(key.clone());
        }
        self.doubt_endpoints(world, key);
    }

    /// The endpoint controllers are to look at a Service.
    fn doubt_endpoints(&mut self, world: &mut dyn World, service: Key) {
        let doubtful = &mut self.services.doubtful;
        doubtful.services.insert(service);
        if !std::mem::replace(&mut doubtful.looking, true) {
            world.wake_in(LOOK, Patience::Prompt, Wakeup::Endpoints);
        }
    }

    /// Something about a Pod changed; the endpoint controllers look at the Services that may select it.
    pub(super) fn pod_touched(&mut self, world: &mut dyn World, key: &PodKey) {
        let Some(entry) = self.store.pods.get(key) else { return };
        if self.services.doubtful.by_label.is_empty() {
            return;
        }
        let namespace = &entry.pod.metadata.namespace;
        let labels = entry.pod.metadata.labels.iter();
        let found = labels
            .filter_map(|(name, value)| {
                let label = (namespace.clone(), name.clone(), value.clone());
                self.services.doubtful.by_label.get(&label)
            })
            .flatten();
        let found: Vec<Key> = found.cloned().collect();
        for service in found {
            self.doubt_endpoints(world, service);
        }
    }

    /// Something about a node changed that stands in the endpoints on it.
    pub(super) fn zones_changed(&mut self, world: &mut dyn World) {
        let all: Vec<Key> = self.services.all().map(|service| key_of(&service.metadata)).collect();
        for service in all {
            self.doubt_endpoints(world, service);
        }
    }

    /// The endpoint controllers look at all Services about which something changed.
    pub(super) fn sync_endpoints(&mut self, world: &mut dyn World) {
        let doubtful = &mut self.services.doubtful;
        doubtful.looking = false;
        let mut changed = false;
        for key in std::mem::take(&mut doubtful.services) {
            changed |= self.sync_service(world, &key);
        }
        if changed {
            self.endpoints_changed(world);
        }
    }

    fn sync_service(&mut self, world: &mut dyn World, key: &Key) -> bool {
        let old_form = ObjectKey::new("Endpoints", &key.0, &key.1);
        let is_own = !self.services.written.contains_key(&old_form);
        let Some(service) = self.services.get(key).cloned() else {
            // The slices go with their owner; what is in the older form has none.
            let ours =
                self.objects.get(&old_form).is_some_and(|row| row.labels().contains_key(OLD_MANAGED_BY));
            if is_own && ours {
                self.remove(world, &old_form);
            }
            return false;
        };
        let row = self.objects.get(&ObjectKey::new("Service", &key.0, &key.1)).map(|row| row.uid.clone());
        let Some(uid) = row.filter(|_| is_followed(&service)) else { return false };
        if self.check_namespace(&old_form).is_err() {
            return false;
        }
        let present = self.slices_of(&service);
        let (mut plan, subsets) = {
            let pods = self.views(&service);
            let plan = endpoints::plan(&service, &uid, &present, &pods);
            (plan, endpoints::subsets(&service, &pods))
        };
        if is_own {
            let subsets = json!(subsets);
            let labels = json!(endpoints::old_labels(&service));
            self.put_old_form(world, &old_form, &labels, subsets);
        }
        self.topology_hints(world, (key, &service), &present, &mut plan);
        let changes = !(plan.gone.is_empty() && plan.new.is_empty() && plan.changed.is_empty());
        for name in &plan.gone {
            let gone = (key.0.clone(), name.clone());
            self.remove_slice(world, &gone);
            self.remove(world, &slice_key(&gone));
        }
        for slice in plan.changed {
            self.put_own_slice(world, slice);
        }
        for mut slice in plan.new {
            slice.metadata.name = self.slice_name(key);
            self.put_own_slice(world, slice);
        }
        changes
    }

    /// Gives endpoints their zones where the Service asks for that by its topology mode, and tells whether that can be.
    fn topology_hints(
        &mut self,
        world: &mut dyn World,
        (key, service): (&Key, &Service),
        present: &[EndpointSlice],
        plan: &mut endpoints::Plan,
    ) {
        let event = |world: &mut dyn World, kind, reason, message: &str| {
            let object = ObjectKey::new("Service", &key.0, &key.1);
            let message = format!("{message}, addressType: IPv4");
            Self::event(world, &object, kind, (reason, "endpoint-slice-controller"), message);
        };
        if !topology::is_auto(service) {
            if self.services.hinted.remove(key) {
                let what = "Topology Aware Hints has been disabled";
                event(world, Kind::Warning, "TopologyAwareHintsDisabled", what);
            }
            return;
        }
        let nodes = self.store.nodes.values().map(|node| topology::NodeView {
            labels: &node.spec.labels,
            ready: node.ready,
            // *Simplified*: nodes that say nothing of what they have are alike.
            cpu: match node.spec.allocatable.get("cpu") {
                Some(text) => quantity::thousandths(text).unwrap_or(0),
                None => {
                    if node.spec.allocatable.is_empty() {
                        1_000
                    } else {
                        0
                    }
                }
            },
        });
        match topology::add_hints(plan, present, &topology::zones(nodes)) {
            Ok(()) if self.services.hinted.insert(key.clone()) => {
                let what = "Topology Aware Hints has been enabled";
                event(world, Kind::Normal, "TopologyAwareHintsEnabled", what);
            }
            Ok(()) => {}
            Err(why) => {
                self.services.hinted.remove(key);
                event(world, Kind::Warning, "TopologyAwareHintsDisabled", &why);
            }
        }
    }

    /// The slices of a Service that the controller keeps.
    fn slices_of(&self, service: &Service) -> Vec<EndpointSlice> {
        let first = (service.metadata.namespace.clone(), format!("{}-", service.metadata.name));
        let range = self.services.slices.range(first.clone()..);
        let near = range.take_while(|(key, _)| key.0 == first.0 && key.1.starts_with(&first.1));
        let own = near.map(|(_, (slice, _))| slice).filter(|slice| {
            slice.service() == Some(&service.metadata.name)
                && slice.metadata.labels.get(MANAGED_BY).is_some_and(|by| by == endpoints::CONTROLLER)
                && !self.services.is_written(slice)
        });
        own.map(|slice| (**slice).clone()).collect()
    }

    /// A name for a new slice of a Service. The API server draws five letters; here they follow from the name, so that a
    /// slice keeps its name when an edit makes it anew.
    fn slice_name(&self, service: &Key) -> String {
        let name = |index| format!("{}-{}", service.1, suffix(&service.1, index));
        let free = |name: &String| !self.services.slices.contains_key(&(service.0.clone(), name.clone()));
        (0..u64::from(u32::MAX)).map(name).find(free).unwrap_or_default()
    }

    fn put_own_slice(&mut self, world: &mut dyn World, slice: EndpointSlice) {
        let key = key_of(&slice.metadata);
        let value = slice_value(&slice, &world.now().rfc3339());
        self.put_slice(world, key.clone(), Arc::new(slice));
        self.put(world, &slice_key(&key), &DISCOVERY.into(), Arc::new(value));
    }

    fn put_old_form(&mut self, world: &mut dyn World, key: &ObjectKey, labels: &Value, mut subsets: Value) {
        // A port without a name says nothing of it here.
        for port in
            subsets.as_array_mut().into_iter().flatten().filter_map(|subset| subset["ports"].as_array_mut())
        {
            for fields in port.iter_mut().filter_map(Value::as_object_mut) {
                fields.retain(|name, field| name != "name" || *field != json!(""));
            }
        }
        let mut value = json!({ "apiVersion": "v1", "kind": "Endpoints", "metadata": { "labels": labels } });
        value["metadata"]["name"] = json!(&*key.name);
        value["metadata"]["namespace"] = json!(&*key.namespace);
        if subsets.as_array().is_some_and(|subsets| !subsets.is_empty()) {
            value["subsets"] = subsets;
        }
        let old = self.objects.get(key);
        let alike = |old: &Value| {
            old["subsets"] == value["subsets"] && old["metadata"]["labels"] == value["metadata"]["labels"]
        };
        if !old.is_some_and(|row| alike(&row.value)) {
            value["metadata"]["annotations"][TRIGGERED] = json!(world.now().rfc3339());
            self.put(world, key, &"v1".into(), Arc::new(value));
        }
    }

    /// The Pods that a Service selects and that have an address, in the order of their names.
    fn views(&self, service: &Service) -> Vec<PodView<'_>> {
        let zone = |name: &str| {
            let node = self.store.nodes.get(name)?;
            node.spec.labels.get("topology.kubernetes.io/zone").map(String::as_str)
        };
        let namespace = &service.metadata.namespace;
        let labelled =
            service.spec.selector.iter().map(|(key, value)| self.store.labelled(namespace, key, value));
        let fewest = labelled.min_by_key(|pods| pods.len());
        let pods = fewest.into_iter().flatten().filter_map(|key| Some((key, self.store.pods.get(key)?)));
        let views = pods.filter_map(|(key, entry)| {
            let uid = &self.objects.get(&key.object())?.uid;
            view(service, entry, uid)
        });
        views.map(|view| PodView { zone: zone(view.node), ..view }).collect()
    }

    /// Slices that the user wrote, in one object; those of an object in the older form are mirrored.
    pub(super) fn write_slices(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        slices: Vec<Arc<EndpointSlice>>,
    ) {
        let at = (key.namespace.to_string(), key.name.to_string());
        let is_mirrored = &*key.kind == "Endpoints";
        let known = self.services.written.contains_key(key);
        let managed =
            if is_mirrored { self.is_followed(&at) } else { self.services.slices.contains_key(&at) };
        // What a controller keeps it puts right again.
        if !known && managed && (!is_mirrored || self.follows_already(&at)) {
            let service = if is_mirrored { at } else { self.service_of(&at) };
            return self.doubt_endpoints(world, service);
        }
        self.remove_written_slices(world, key);
        let mut names = Vec::new();
        for slice in slices {
            let mut slice = (*slice).clone();
            if is_mirrored {
                self.mirror(key, &at, &mut slice);
            }
            let name = key_of(&slice.metadata);
            names.push(name.clone());
            let value = is_mirrored.then(|| slice_value(&slice, &world.now().rfc3339()));
            self.put_slice(world, name.clone(), Arc::new(slice));
            if let Some(value) = value {
                self.put(world, &slice_key(&name), &DISCOVERY.into(), Arc::new(value));
            }
        }
        self.services.written.insert(key.clone(), names);
        self.services_applied(world);
    }

    fn is_followed(&self, service: &Key) -> bool {
        self.services.get(service).is_some_and(|service| is_followed(service))
    }

    /// Whether the controller has written the endpoints of a Service already.
    fn follows_already(&self, service: &Key) -> bool {
        self.services.get(service).is_some_and(|service| !self.slices_of(service).is_empty())
    }

    /// The Service that a slice belongs to.
    fn service_of(&self, slice: &Key) -> Key {
        let name = self.services.slices.get(slice).and_then(|(slice, _)| slice.service());
        (slice.0.clone(), name.unwrap_or_default().to_owned())
    }

    /// The metadata of a slice that mirrors endpoints in the older form.
    fn mirror(&self, object: &ObjectKey, at: &Key, slice: &mut EndpointSlice) {
        let metadata = &mut slice.metadata;
        metadata.generate_name = Some(format!("{}-", at.1));
        metadata.name = self.slice_name(at);
        metadata.annotations.clear();
        metadata.labels.insert(MANAGED_BY.to_owned(), "endpointslicemirroring-controller.k8s.io".to_owned());
        metadata.owner_references = vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Endpoints".to_owned(),
            name: at.1.clone(),
            uid: self.objects.get(object).map(|row| row.uid.to_string()).unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }];
    }

    /// Slices that the user wrote go; those that a controller keeps come again.
    pub(super) fn remove_written_slices(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let at = (key.namespace.to_string(), key.name.to_string());
        match self.services.written.remove(key) {
            Some(names) => {
                for name in names {
                    self.remove_slice(world, &name);
                    if &*key.kind == "Endpoints" {
                        self.remove(world, &slice_key(&name));
                    }
                }
            }
            None if &*key.kind == "Endpoints" => self.doubt_endpoints(world, at),
            None => {
                let service = self.service_of(&at);
                self.remove_slice(world, &at);
                self.doubt_endpoints(world, service);
            }
        }
        self.services_applied(world);
    }

    pub(super) fn put_slice(&mut self, world: &mut dyn World, key: Key, slice: Arc<EndpointSlice>) {
        let old = self.services.slices.get(&key);
        if old.is_some_and(|(old, _)| *old == slice) {
            return;
        }
        let created = old.map_or(world.now(), |(_, created)| *created);
        let row = Box::new(slice_row(&slice, created));
        world.record(TableChange::Service(ServiceChange::Slice(row)));
        self.services.slices.insert(key, (slice, created));
    }

    fn remove_slice(&mut self, world: &mut dyn World, key: &Key) {
        if self.services.slices.remove(key).is_some() {
            world.record(TableChange::Service(ServiceChange::SliceGone(
                key.0.as_str().into(),
                key.1.as_str().into(),
            )));
        }
    }
}

/// Label of the endpoints in the older form that the controller keeps.
const OLD_MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

/// A slice as an object of the store.
pub(super) fn slice_value(slice: &EndpointSlice, now: &str) -> Value {
    let mut value = json!({
        "apiVersion": DISCOVERY,
        "kind": "EndpointSlice",
        "metadata": slice.metadata,
        "addressType": slice.address_type,
        "endpoints": slice.endpoints,
        "ports": slice.ports,
    });
    value["metadata"]["annotations"][TRIGGERED] = json!(now);
    // An empty list is stored as none.
    for field in ["endpoints", "ports"] {
        if value[field] == json!([]) {
            value[field] = Value::Null;
        }
    }
    value
}

/// A Pod that the Service selects, once it has an address and until it has run to its end.
fn view<'a>(service: &Service, entry: &'a PodEntry, uid: &'a str) -> Option<PodView<'a>> {
    let ended = entry.is_told_ended() || matches!(entry.phase, PodPhase::Succeeded | PodPhase::Failed);
    if ended || !services::selects(service, &entry.pod) {
        return None;
    }
    let (ip, node) = (entry.ip?, entry.node.as_deref()?);
    Some(PodView {
        pod: &entry.pod,
        uid,
        ip,
        node,
        zone: None,
        ready: entry.is_ready(),
        terminating: entry.deleting,
    })
}

/// Five letters that tell the slices of a Service apart.
fn suffix(name: &str, index: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut left = mix(hash ^ index);
    let mut letter = || {
        let at = (left % LETTERS.len() as u64) as usize;
        left /= LETTERS.len() as u64;
        char::from(LETTERS[at])
    };
    (0..5).map(|_| letter()).collect()
}
