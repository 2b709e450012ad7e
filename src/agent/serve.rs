//! The API server's verbs for single objects, as `kubectl` in a terminal or a controller asks for them.

use super::control::ControlPlane;
use super::controllers::finalizers;
use super::delete_options::{DeleteOptions, check_name};
use super::objects::{Typed, Written, kind_with_group, with_namespace_defaults};
use super::service_update::drop_type_dependent_fields;
use super::world::World;
use crate::api::{AdminTier, ApiError, ApiRequest, PatchKind};
use crate::base::ObjectKey;
use crate::cluster::patch;
use crate::manifest;
use crate::trace::{ObjectRow, api_defaults};
use serde_json::{Value, json};
use std::sync::Arc;

/// Letters of generated names (`k8s.io/apimachinery` `rand`): no vowels, and no digits that look like letters.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Random letters, as generated names end with.
pub(super) fn letters(world: &mut dyn World, count: usize) -> String {
    let length = LETTERS.len() as u32;
    (0..count).map(|_| char::from(LETTERS[world.rng().u32(..length) as usize])).collect()
}

/// Metadata that the API server keeps itself.
const SERVERS_OWN: [&str; 6] =
    ["uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp", "managedFields"];

/// Namespaces that every cluster keeps (`plugin/pkg/admission/namespace/lifecycle`).
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

impl ControlPlane {
    /// Answers a request. What it changes is there at once; what follows from it follows in its own time.
    pub(super) fn answer(&mut self, world: &mut dyn World, request: &ApiRequest) -> Result<Value, ApiError> {
        match request {
            ApiRequest::Get(key) => self.read(key).map(|row| self.whole(row)),
            ApiRequest::List { kind, namespace } => {
                let rows = self
                    .objects_of(kind)
                    .filter(|row| namespace.is_empty() || *row.key.namespace == **namespace);
                Ok(Value::Array(rows.map(|row| self.whole(row)).collect()))
            }
            ApiRequest::Watch { kind, namespace, after } => Ok(self.changes_since((kind, namespace), *after)),
            ApiRequest::Snapshot { kind, namespace, version } => self.snapshot((kind, namespace), *version),
            ApiRequest::Create(value) => self.create(world, value),
            ApiRequest::Check(value) => {
                let mut made = (*self.admitted(world, value)?.value).clone();
                made["metadata"]["creationTimestamp"] = json!(world.now().rfc3339());
                if made.get("spec").is_some() && made["kind"] != json!("Service") {
                    made["metadata"]["generation"] = json!(1);
                }
                api_defaults::fill(&mut made);
                Ok(made)
            }
            ApiRequest::Replace(value) => self.replace(world, value),
            ApiRequest::Patch { key, kind, patch } => self.patch(world, key, (*kind, patch)),
            ApiRequest::PatchStatus { key, kind, patch } => self.patch_status(world, key, (*kind, patch)),
            ApiRequest::Delete { key, propagation, grace_seconds } => {
                let asked = DeleteOptions {
                    propagation: *propagation,
                    grace_seconds: *grace_seconds,
                    ..DeleteOptions::default()
                };
                self.delete_by_request(world, key, &asked)
            }
            ApiRequest::DeleteWith { key, options } => {
                let asked = DeleteOptions::read(options)?;
                self.delete_by_request(world, key, &asked)
            }
            ApiRequest::Bind { pod, node } => self.bind_by_request(world, pod, node),
            ApiRequest::Debug { pod, container } => self.look_into(world, pod, container),
            ApiRequest::Token { account, request } => self.token(world, account, request),
            ApiRequest::Evict { pod, grace_seconds } => self.evict_by_request(world, pod, *grace_seconds),
        }
    }

    /// An object with its status.
    pub(super) fn whole(&self, row: &ObjectRow) -> Value {
        let mut value = row.whole();
        match &*row.key.kind {
            "Pod" => {
                let key = self.store.pod_named(&row.key.namespace, &row.key.name);
                if let Some((key, entry)) = key.and_then(|key| Some((key, self.store.pods.get(key)?))) {
                    match &entry.told {
                        Some(told) => told.overlay(&mut value),
                        None => entry.row(key, self.host_ip(entry)).overlay(&mut value),
                    }
                }
            }
            "Node" => {
                if let Some(node) = self.store.nodes.get(&row.key.name) {
                    node.row().overlay(&mut value);
                }
            }
            _ => {}
        }
        value
    }

    /// A container comes into a Pod that is there (`pods/NAME/ephemeralcontainers`).
    fn look_into(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        container: &Value,
    ) -> Result<Value, ApiError> {
        let row = self.read(key)?.clone();
        let mut whole = self.whole(&row);
        match whole["spec"]["ephemeralContainers"].as_array_mut() {
            Some(all) => all.push(container.clone()),
            None => whole["spec"]["ephemeralContainers"] = json!([container]),
        }
        Written::checked(&whole)?;
        let mut value = (*row.value).clone();
        value["spec"]["ephemeralContainers"] = whole["spec"]["ephemeralContainers"].take();
        let mut pod: crate::api::Pod = serde_json::from_value(value.clone())
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        // An object is kept as it was written, which may be without a namespace.
        pod.metadata.namespace = key.namespace.to_string();
        self.write_pod(world, Arc::new(pod), Arc::new(value));
        self.read(key).map(|row| self.whole(row))
    }

    fn delete_by_request(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        asked: &DeleteOptions,
    ) -> Result<Value, ApiError> {
        let row = self.read(key)?;
        let whole = self.whole(row);
        if &*key.kind == "Namespace" && IMMORTAL.contains(&&*key.name) {
            let why = "this namespace may not be deleted";
            return Err(ApiError::forbidden("namespaces", &key.name, why));
        }
        asked.check(key, (&row.uid, row.version))?;
        self.delete(world, key, asked.propagation, asked.grace_seconds);
        Ok(whole)
    }

    fn read(&self, key: &ObjectKey) -> Result<&Arc<ObjectRow>, ApiError> {
        self.objects.get(key).ok_or_else(|| ApiError::not_found(&resource(&key.kind), &key.name))
    }

    fn create(&mut self, world: &mut dyn World, value: &Value) -> Result<Value, ApiError> {
        let written = self.admitted(world, value)?;
        let key = written.key.clone();
        self.write(world, written);
        self.read(&key).map(|row| self.whole(row))
    }

    /// A new object as it is to be written, or why it is not.
    fn admitted(&mut self, world: &mut dyn World, value: &Value) -> Result<Written, ApiError> {
        let mut value = value.clone();
        let metadata = &mut value["metadata"];
        if metadata["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
            let why = "resourceVersion should not be set on objects to be created";
            return Err(ApiError::unknown(why.to_owned()));
        }
        if metadata.get("name").is_none()
            && let Some(prefix) = metadata["generateName"].as_str()
        {
            metadata["name"] = json!(format!("{prefix}{}", letters(world, 5)));
        }
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp"] {
            metadata.as_object_mut().map(|fields| fields.remove(field));
        }
        let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        self.settle_families(&mut value, None)?;
        if value["kind"] == json!("Pod") && self.object("Namespace", "", &namespace).is_some() {
            self.limit_pod(&namespace, &mut value)?;
        }
        let written = Written::checked(&value)?;
        let key = written.key.clone();
        self.check_namespace(&key)?;
        if self.objects.get(&key).is_some() {
            return Err(ApiError::already_exists(&resource(&key.kind), &key.name));
        }
        if let Typed::Service(service) = &written.typed {
            self.check_allocation(service)?;
        }
        if matches!(written.typed, Typed::Pod(_)) {
            self.check_references(&key, &written.value)?;
        }
        self.check_quota(&key, &written.value)?;
        Ok(written)
    }

    /// New objects need a namespace that is there and not about to go.
    pub(super) fn check_namespace(&self, key: &ObjectKey) -> Result<(), ApiError> {
        if key.namespace.is_empty() {
            return Ok(());
        }
        let namespace = self.object("Namespace", "", &key.namespace);
        let namespace = namespace.ok_or_else(|| ApiError::not_found("namespaces", &key.namespace))?;
        if namespace.deleted.is_some() {
            let name = &key.namespace;
            let why =
                format!("unable to create new content in namespace {name} because it is being terminated");
            return Err(ApiError::forbidden(&resource(&key.kind), &key.name, &why));
        }
        Ok(())
    }

    fn replace(&mut self, world: &mut dyn World, value: &Value) -> Result<Value, ApiError> {
        let name = |field: &str| value["metadata"][field].as_str().unwrap_or_default();
        let kind = value["kind"].as_str().unwrap_or_default();
        // An object is kept as it was written, which may be without a namespace.
        let keys =
            [name("namespace"), "default"].map(|namespace| ObjectKey::new(kind, namespace, name("name")));
        // The status is written by a request of its own.
        let mut own = value.clone();
        let old = keys.iter().find_map(|key| self.objects.get(key));
        if let (Some(old), Some(fields)) = (old, own.as_object_mut()) {
            let kept = old.value.get("status").cloned();
            fields.remove("status");
            fields.extend(kept.map(|status| ("status".to_owned(), status)));
            if kind == "Service" {
                let old = self.whole(old);
                drop_type_dependent_fields(&mut own, &old);
                self.settle_families(&mut own, Some(&old))?;
            }
        }
        let value = &own;
        // What is there already, which its identity shows, may have what a new one may not: ephemeral containers, the
        // selector that a Job was given.
        let has_given = |spec: &Value| {
            spec["ephemeralContainers"].is_array() || (kind == "Job" && spec["selector"].is_object())
        };
        let named = old.filter(|_| has_given(&value["spec"])).map(|old| {
            let mut named = value.clone();
            named["metadata"]["uid"] = json!(&*old.uid);
            named
        });
        let mut written = Written::checked(named.as_ref().unwrap_or(value))?;
        let key = written.key.clone();
        let old = self.read(&key)?;
        let given = value["metadata"]["resourceVersion"].as_str().filter(|version| !version.is_empty());
        if given.is_some_and(|version| version != old.version.to_string()) {
            return Err(ApiError::conflict(&resource(&key.kind), &key.name));
        }
        let mut filled = value.clone();
        manifest::conversion::keep(&mut filled);
        api_defaults::fill(&mut filled);
        let errors = manifest::update_errors(&self.whole(old), &filled);
        if !errors.is_empty() {
            return Err(ApiError::invalid(
                &kind_with_group(&written.api_version, &key.kind),
                &key.name,
                &errors,
            ));
        }
        if let Typed::Service(service) = &written.typed {
            self.check_allocation(service)?;
        }
        self.check_quota_of_change(&key, &old.value, &written.value)?;
        // What the server keeps itself is not stored a second time, where it would grow old.
        let pasted = old.value["metadata"]["uid"].is_string();
        let mut kept = own.clone();
        manifest::conversion::keep(&mut kept);
        if let Some(metadata) = kept["metadata"].as_object_mut() {
            metadata.retain(|field, _| !SERVERS_OWN.contains(&field.as_str()) || (pasted && field == "uid"));
        }
        written.value = Arc::new(kept);
        self.write(world, written);
        let lets_go = |row: &Arc<ObjectRow>| row.deleted.is_some() && finalizers(&row.value).is_empty();
        if self.objects.get(&key).is_some_and(lets_go) {
            self.go_on_deleting(world, &key);
        }
        // An object whose last finalizer this took away is gone by now.
        self.read(&key).map(|row| self.whole(row)).or_else(|_| Ok(value.clone()))
    }

    fn patch(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        (kind, change): (PatchKind, &Value),
    ) -> Result<Value, ApiError> {
        let mut value = (*self.read(key)?.value).clone();
        apply_patch(&mut value, kind, change)?;
        manifest::prune(&mut value);
        check_name(&value, key)?;
        // Whoever changes one of the two fields for the cluster IP means both (`normalizeClusterIPs`).
        let old = self.read(key)?;
        let spec = |field: &str| old.at(&["spec", field]);
        if &*key.kind == "Service"
            && spec("clusterIP") != value["spec"].get("clusterIP")
            && spec("clusterIPs") == value["spec"].get("clusterIPs")
            && spec("clusterIPs").is_some()
        {
            value["spec"]["clusterIPs"] = json!([value["spec"]["clusterIP"]]);
        }
        self.replace(world, &value)
    }

    fn patch_status(
        &mut self,
        world: &mut dyn World,
        key: &ObjectKey,
        (kind, change): (PatchKind, &Value),
    ) -> Result<Value, ApiError> {
        let row = self.read(key)?.clone();
        let mut whole = self.whole(&row);
        apply_patch(&mut whole, kind, change)?;
        check_name(&whole, key)?;
        let uid = whole["metadata"]["uid"].as_str().unwrap_or_default();
        if *uid != *row.uid {
            let why = format!("metadata.uid: Invalid value: {}: field is immutable", json!(uid));
            return Err(ApiError::invalid(&kind_with_group(&row.api_version, &key.kind), &key.name, &[why]));
        }
        let status = whole["status"].take();
        if &*key.kind == "Pod" {
            self.overwrite_pod_status(world, &row, status);
        } else {
            self.edit(world, key, |value| value["status"] = status);
        }
        self.read(key).map(|row| self.whole(row))
    }

    /// Objects of a kind as a list object, as they stand or stood.
    fn snapshot(&self, (kind, namespace): (&str, &str), version: Option<u64>) -> Result<Value, ApiError> {
        let rows = match version {
            Some(version) => self.objects.at_version(kind, version)?,
            None => self.objects_of(kind).cloned().collect(),
        };
        let here = |row: &&Arc<ObjectRow>| namespace.is_empty() || *row.key.namespace == *namespace;
        let items: Vec<Value> = rows.iter().filter(here).map(|row| self.whole(row)).collect();
        let api_version = manifest::resource(kind).map_or("v1", |resource| resource.api_version);
        Ok(json!({
            "kind": format!("{kind}List"),
            "apiVersion": api_version,
            "metadata": { "resourceVersion": version.unwrap_or(self.objects.version()).to_string() },
            "items": items,
            "next": self.changes.next(),
        }))
    }

    /// Takes an object out of the store, with its typed entry.
    pub(super) fn discard(&mut self, world: &mut dyn World, key: &ObjectKey) {
        match &*key.kind {
            "Service" => self.remove_service(world, key),
            "EndpointSlice" | "Endpoints" => self.remove_written_slices(world, key),
            "Node" => return self.remove_node(world, &key.name.clone()),
            "NetworkPolicy" => self.policies.drop(&key.namespace, &key.name),
            "AdminNetworkPolicy" => self.policies.drop_admin(AdminTier::Admin, &key.name),
            "BaselineAdminNetworkPolicy" => self.policies.drop_admin(AdminTier::Baseline, &key.name),
            _ => {}
        }
        self.remove(world, key);
    }

    /// Writes an object that has been checked, in the place of one that may be there.
    pub(super) fn write(&mut self, world: &mut dyn World, written: Written) {
        let Written { key, api_version, value, typed } = written;
        match typed {
            Typed::Pod(pod) => self.write_pod(world, pod, value),
            Typed::Service(service) => self.write_service(world, &service, &value),
            Typed::Slices(slices) => {
                self.put(world, &key, &api_version, value);
                self.write_slices(world, &key, slices);
            }
            Typed::Other if &*key.kind == "Node" => self.write_node(world, &key, &value),
            Typed::Policy(policy) => {
                self.policies.keep(policy);
                self.put(world, &key, &api_version, value);
            }
            Typed::AdminPolicy(policy) => {
                self.policies.keep_admin(policy);
                self.put(world, &key, &api_version, value);
            }
            Typed::Other if &*key.kind == "Namespace" => {
                let value = Arc::new(with_namespace_defaults(&value, &key.name));
                self.put(world, &key, &api_version, value);
            }
            Typed::Other => self.put(world, &key, &api_version, value),
        }
    }

    fn bind_by_request(
        &mut self,
        world: &mut dyn World,
        pod: &ObjectKey,
        node: &str,
    ) -> Result<Value, ApiError> {
        self.read(pod)?;
        let Some(key) = self.store.pod_named(&pod.namespace, &pod.name).cloned() else {
            return Err(ApiError::not_found("pods", &pod.name));
        };
        if let Some(bound) = self.store.pods[&key].node.clone() {
            let why = format!("pod {} is already assigned to node \"{bound}\"", pod.name);
            let message = format!("Operation cannot be fulfilled on pods/binding \"{}\": {why}", pod.name);
            return Err(ApiError { code: 409, reason: "Conflict", message });
        }
        self.bind(world, &key, node);
        Ok(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201 }))
    }
}

/// The resource of a kind with its group, as messages name it: `deployments.apps`.
pub(super) fn resource(kind: &str) -> String {
    manifest::resource(kind).map_or_else(|| kind.to_lowercase(), |resource| resource.plural())
}

fn apply_patch(value: &mut Value, kind: PatchKind, change: &Value) -> Result<(), ApiError> {
    match kind {
        PatchKind::Merge => patch::merge(value, change),
        PatchKind::Strategic => patch::strategic(value, change),
        PatchKind::Json => patch::operations(value, change).map_err(|_| ApiError::unprocessable())?,
    }
    Ok(())
}
