//! The store of the API server: every object of every kind, by kind, namespace and name.
//!
//! **How others read it.** [`ControlPlane::object`] gives one object (a `ConfigMap`, a Namespace with its labels, a
//! `NetworkPolicy`) and [`ControlPlane::objects_of`] all of a kind in the order of namespace and name; both give the row
//! with its JSON. Whoever has to act when something changes adds a call in [`ControlPlane::object_changed`], which is
//! called after each write and each removal, and best only plans a wake-up there. What the screens and `kubectl` show
//! comes from the trace instead (`Inventory::objects`), as it stood at the moment looked at.
//!
//! Pods, Nodes, Services and `EndpointSlices` have typed entries of their own besides, which are written together with
//! these rows.

use super::control::ControlPlane;
use super::controllers::{controller_of, finalizers};
use super::world::World;
use crate::api::{AdminNetworkPolicy, ApiError, EndpointSlice, NetworkPolicy, Object, Pod, Service};
use crate::base::{ObjectKey, SimTime};
use crate::manifest::{self, Located};
use crate::trace::{ObjectRow, TableChange};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many writes the store remembers. etcd is compacted every five minutes in a real cluster.
const HISTORY: usize = 4096;

/// An object as somebody wants it, decoded as far as the simulation needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Kind, namespace and name.
    pub key: ObjectKey,
    /// Group and version.
    pub api_version: Arc<str>,
    /// The object as it was written.
    pub value: Arc<Value>,
    /// What of it is simulated by a typed entry.
    pub typed: Typed,
}

/// The typed form of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    /// A Pod.
    Pod(Arc<Pod>),
    /// A Service.
    Service(Arc<Service>),
    /// `EndpointSlices`: the object itself, or what stands for Endpoints in their older form.
    Slices(Vec<Arc<EndpointSlice>>),
    /// A network policy.
    Policy(Arc<NetworkPolicy>),
    /// A policy of the administrators.
    AdminPolicy(Arc<AdminNetworkPolicy>),
    /// Any other kind.
    Other,
}

impl Written {
    /// An object of a text; `None` for the cluster document, which is no API object.
    pub fn new(located: &Located) -> Option<Self> {
        let object = &located.object;
        let typed = match object {
            Object::Cluster(_) => return None,
            Object::Pod(pod) => Typed::Pod(Arc::new((**pod).clone())),
            Object::Service(service) => Typed::Service(Arc::new((**service).clone())),
            Object::EndpointSlice(slice) => Typed::Slices(vec![Arc::new((**slice).clone())]),
            Object::Endpoints(endpoints) => Typed::Slices(endpoints.mirrored().map(Arc::new).collect()),
            Object::NetworkPolicy(policy) => Typed::Policy(Arc::new((**policy).clone())),
            Object::AdminNetworkPolicy(policy) => Typed::AdminPolicy(Arc::new((**policy).clone())),
            Object::Node(_) | Object::Other(_) => Typed::Other,
        };
        let metadata = object.metadata();
        let kept = manifest::conversion::kept_as(object.api_version(), object.kind());
        let mut value = located.raw.clone();
        if kept.is_some() {
            manifest::conversion::keep(Arc::make_mut(&mut value));
        }
        Some(Self {
            key: ObjectKey::new(object.kind(), &metadata.namespace, &metadata.name),
            api_version: kept.unwrap_or_else(|| object.api_version()).into(),
            value,
            typed,
        })
    }

    /// An object that a request brings, checked as a text is. An error carries the messages of its fields.
    pub(super) fn checked(value: &Value) -> Result<Self, ApiError> {
        let parsed = manifest::parse_value(value);
        let errors = manifest::api_errors(&parsed);
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        if !errors.is_empty() {
            let name = value["metadata"]["name"].as_str().unwrap_or_default();
            let kind = kind_with_group(text("apiVersion"), text("kind"));
            return Err(ApiError::invalid(&kind, name, &errors));
        }
        let written = parsed.objects.first().and_then(Self::new);
        written.ok_or_else(|| ApiError::bad_request("no object in the request".to_owned()))
    }
}

/// `Deployment.apps`, as the API server names a kind in its errors.
pub(super) fn kind_with_group(api_version: &str, kind: &str) -> String {
    match api_version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind.to_owned(),
    }
}

/// All objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    rows: BTreeMap<ObjectKey, Arc<ObjectRow>>,
    /// Which object bears an identity.
    by_uid: BTreeMap<Arc<str>, ObjectKey>,
    /// The objects that name an owner, by the owner's identity.
    owned: BTreeMap<Arc<str>, BTreeSet<ObjectKey>>,
    /// Pods and ReplicaSets that nobody manages.
    orphans: BTreeSet<ObjectKey>,
    /// What the text that was applied last says, by object.
    pub(super) text: BTreeMap<ObjectKey, Arc<Value>>,
    version: u64,
    n_uids: u64,
    /// What was written last, with the versions: the object, or that it is gone.
    history: VecDeque<(u64, ObjectKey, Option<Arc<ObjectRow>>)>,
    /// The oldest version that the history reaches back to.
    compacted: u64,
}

/// `metadata.ownerReferences` as their identities.
fn owners(value: &Value) -> impl Iterator<Item = &str> {
    let references = value["metadata"]["ownerReferences"].as_array();
    references.into_iter().flatten().filter_map(|reference| reference["uid"].as_str())
}

impl Objects {
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Arc<ObjectRow>> {
        self.rows.get(key)
    }

    /// The object of this identity.
    pub(super) fn by_uid(&self, uid: &str) -> Option<&Arc<ObjectRow>> {
        self.rows.get(self.by_uid.get(uid)?)
    }

    /// Objects of a kind in a namespace that nobody manages.
    pub(super) fn orphans_of(&self, kind: &str, namespace: &str) -> Vec<ObjectKey> {
        let first = ObjectKey::new(kind, namespace, "");
        let of = |key: &&ObjectKey| &*key.kind == kind && &*key.namespace == namespace;
        self.orphans.range(first..).take_while(of).cloned().collect()
    }

    /// Everything in a namespace.
    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<ObjectKey> {
        self.rows.keys().filter(|key| &*key.namespace == namespace).cloned().collect()
    }

    /// The objects that name this identity as their owner.
    pub(super) fn owned_by(&self, uid: &str) -> impl Iterator<Item = &ObjectKey> {
        self.owned.get(uid).into_iter().flatten()
    }

    /// A new identity. It looks like a random UUID and follows from the number of identities given so far.
    fn new_uid(&mut self) -> Arc<str> {
        self.n_uids += 1;
        let [a, b] = [1, 2].map(|half| mix(self.n_uids * 2 + half));
        let (a, b) = ((a & !0xf000) | 0x4000, (b & !(0xc << 60)) | (0x8 << 60));
        let (a_high, a_mid, a_low) = (a >> 32, a >> 16 & 0xffff, a & 0xffff);
        format!("{a_high:08x}-{a_mid:04x}-{a_low:04x}-{:04x}-{:012x}", b >> 48, b & 0xffff_ffff_ffff).into()
    }

    /// Takes a row in, with the index of owners kept.
    fn insert(&mut self, row: Arc<ObjectRow>) {
        let old = self.rows.get(&row.key).cloned();
        if let Some(old) = old.filter(|old| !Arc::ptr_eq(&old.value, &row.value)) {
            self.unlink(&old);
        }
        for owner in owners(&row.value) {
            self.owned.entry(owner.into()).or_default().insert(row.key.clone());
        }
        if matches!(&*row.key.kind, "Pod" | "ReplicaSet") {
            if controller_of(&row.value).is_none() {
                self.orphans.insert(row.key.clone());
            } else {
                self.orphans.remove(&row.key);
            }
        }
        self.by_uid.insert(row.uid.clone(), row.key.clone());
        self.rows.insert(row.key.clone(), row);
    }

    /// The version of the whole store.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The objects of a kind as they stood at a version of the store.
    pub(super) fn at_version(&self, kind: &str, version: u64) -> Result<Vec<Arc<ObjectRow>>, ApiError> {
        if version < self.compacted {
            let message = format!("The provided resource version is too old: {version} ({})", self.compacted);
            return Err(ApiError { code: 410, reason: "Expired", message });
        }
        if version > self.version {
            let message = format!("Too large resource version: {version}, current: {}", self.version);
            return Err(ApiError { code: 504, reason: "Timeout", message });
        }
        let first = ObjectKey::new(kind, "", "");
        let same = |key: &ObjectKey| key.kind == first.kind;
        let now = self.rows.range(first.clone()..).take_while(|(key, _)| same(key));
        let mut found: BTreeMap<ObjectKey, Option<Arc<ObjectRow>>> =
            now.map(|(key, row)| (key.clone(), Some(row.clone()))).collect();
        // Each later write is taken back to what stood there before it.
        for (at, key, _) in self.history.iter().filter(|(at, key, _)| *at > version && same(key)) {
            let before = self.history.iter().rev().find(|(earlier, other, _)| earlier < at && other == key);
            if before.is_none_or(|(earlier, ..)| *earlier <= version) {
                found.insert(key.clone(), before.and_then(|(_, _, row)| row.clone()));
            }
        }
        Ok(found.into_values().flatten().collect())
    }

    fn remember(&mut self, key: &ObjectKey, row: Option<Arc<ObjectRow>>) {
        self.history.push_back((self.version, key.clone(), row));
        if self.history.len() > HISTORY
            && let Some((version, ..)) = self.history.pop_front()
        {
            self.compacted = version + 1;
        }
    }

    fn unlink(&mut self, row: &ObjectRow) {
        for owner in owners(&row.value) {
            if let Some(owned) = self.owned.get_mut(owner) {
                owned.remove(&row.key);
                if owned.is_empty() {
                    self.owned.remove(owner);
                }
            }
        }
    }
}

/// A step of `SplitMix64`.
pub(super) fn mix(seed: u64) -> u64 {
    let x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl ControlPlane {
    /// An object of the store.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<&Arc<ObjectRow>> {
        self.objects.get(&ObjectKey::new(kind, namespace, name))
    }

    /// The objects of a kind, in the order of namespace and name.
    pub fn objects_of(&self, kind: &str) -> impl Iterator<Item = &Arc<ObjectRow>> {
        let first = ObjectKey::new(kind, "", "");
        let same = first.kind.clone();
        self.objects.rows.range(first..).map(|(_, row)| row).take_while(move |row| row.key.kind == same)
    }

    /// All objects of a namespace.
    pub(super) fn objects_in<'c>(&'c self, namespace: &'c str) -> impl Iterator<Item = &'c Arc<ObjectRow>> {
        self.objects.rows.values().filter(move |row| *row.key.namespace == *namespace)
    }

    /// Something of an object changed, came or went: those who watch it are woken. `None` stands for what was not there
    /// before, or is gone.
    fn object_changed(
        &mut self,
        world: &mut dyn World,
        old: Option<&Arc<ObjectRow>>,
        new: Option<&Arc<ObjectRow>>,
    ) {
        self.controllers_watch(world, (old, new));
        let kind = new.or(old).map_or("", |row| &*row.key.kind);
        if let (Some(row), "ConfigMap" | "Secret") = (new, kind) {
            self.configuration_changed(world, &row.key, old.is_none());
        }
        if matches!(
            kind,
            "NetworkPolicy" | "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" | "Namespace" | "Pod"
        ) {
            self.policies_changed(world);
        }
    }

    /// Writes an object into the store: it comes, or its value is replaced. Nothing happens where nothing differs.
    pub(super) fn put(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        api_version: &Arc<str>,
        value: Arc<Value>,
    ) {
        let now = world.now();
        let row = match self.objects.rows.get(key) {
            Some(old) if old.value == value => return,
            Some(old) => {
                let desired = |value: &Value| {
                    let fields = value.as_object().into_iter().flatten();
                    let own = |(name, _): &(&String, &Value)| !matches!(name.as_str(), "metadata" | "status");
                    fields.filter(own).map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
                };
                let grown = i64::from(desired(&old.value) != desired(&value));
                ObjectRow { generation: old.generation + grown, value, ..(**old).clone() }
            }
            None => {
                let given =
                    value["metadata"]["uid"].as_str().filter(|uid| !self.objects.by_uid.contains_key(*uid));
                let uid = given.map_or_else(|| self.objects.new_uid(), Into::into);
                ObjectRow {
                    key: key.clone(),
                    api_version: api_version.clone(),
                    uid,
                    version: 0,
                    generation: 1,
                    created: now,
                    deleted: None,
                    value,
                }
            }
        };
        self.put_row(world, row);
    }

    /// Sets when an object's deletion was asked for.
    pub(super) fn mark_deleted(&mut self, world: &mut dyn World, key: &ObjectKey, at: SimTime) {
        if let Some(row) = self.objects.rows.get(key).filter(|row| row.deleted.is_none()) {
            let row = ObjectRow { deleted: Some(at), ..(**row).clone() };
            self.put_row(world, row);
        }
    }

    fn put_row(&mut self, world: &mut dyn World, mut row: ObjectRow) {
        self.objects.version += 1;
        row.version = self.objects.version;
        let key = row.key.clone();
        let row = Arc::new(row);
        let old = self.objects.get(&key).cloned();
        self.objects.insert(row.clone());
        self.objects.remember(&key, Some(row.clone()));
        world.record(TableChange::Object(row.clone()));
        self.object_written(&row, world.now());
        // Owners that are not there, and finalizers that let go, are the garbage collector's.
        let released = row.deleted.is_some() && finalizers(&row.value).is_empty();
        if released || (old.is_none() && owners(&row.value).next().is_some()) {
            self.doubt(world, key);
        }
        self.object_changed(world, old.as_ref(), Some(&row));
    }

    /// Removes an object from the store.
    pub(super) fn remove(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let Some(row) = self.objects.rows.remove(key) else { return };
        self.objects.unlink(&row);
        self.objects.by_uid.remove(&row.uid);
        self.objects.orphans.remove(key);
        self.objects.version += 1;
        self.objects.remember(key, None);
        world.record(TableChange::ObjectGone(key.clone()));
        self.object_gone(&row, world.now());
        self.namespace_emptied(world, key);
        self.object_changed(world, Some(&row), None);
    }

    /// Sees to it that a namespace is there, as every object of a text needs one.
    pub(super) fn ensure_namespace(&mut self, world: &mut dyn World, name: &str) {
        let key = ObjectKey::new("Namespace", "", name);
        if self.objects.get(&key).is_none() {
            self.put(world, &key, &"v1".into(), Arc::new(namespace(name)));
        }
    }

    /// The namespaces that every cluster has.
    pub(super) fn ensure_own_namespaces(&mut self, world: &mut dyn World) {
        for name in NAMESPACES {
            self.ensure_namespace(world, name);
        }
    }
}

/// A Namespace that nobody wrote.
fn namespace(name: &str) -> Value {
    let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    with_namespace_defaults(&object, name)
}

/// A Namespace with what the API server adds: the label with its name, its finalizer, its phase.
pub(super) fn with_namespace_defaults(value: &Value, name: &str) -> Value {
    let mut value = value.clone();
    value["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
    if value["spec"]["finalizers"].is_null() {
        value["spec"]["finalizers"] = json!(["kubernetes"]);
    }
    if value["status"]["phase"].is_null() {
        value["status"]["phase"] = json!("Active");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_look_like_random_uuids_and_differ() {
        let mut objects = Objects::default();
        let uids: BTreeSet<Arc<str>> = (0..1000).map(|_| objects.new_uid()).collect();
        assert_eq!(uids.len(), 1000);
        for uid in uids {
            let parts: Vec<&str> = uid.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uid}");
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{uid}");
        }
    }
}
