//! What stands in every cluster without anybody having written it: the Service of the API server with its endpoints
//! (`pkg/controlplane/reconcilers`), the classes of priority, a lease for each node, and in each namespace the account
//! `default` and the `ConfigMap` with the certificate (`serviceaccounts_controller.go`, `rootcacertpublisher`).
//!
//! *Simplified*: certificates are not simulated, so the `ConfigMap` holds an empty one; nobody listens at the API server's
//! port of a node; leases are not renewed.

use super::control::ControlPlane;
use super::endpoints::slice_value;
use super::objects::{Typed, Written};
use super::world::World;
use crate::api::{ClusterSpec, EndpointSlice, Service};
use crate::base::{Ipv4Addr, ObjectKey};
use serde_json::{Value, json};
use std::sync::Arc;

/// Name of the API server's Service in the namespace `default`, and of its endpoints.
const API: &str = "kubernetes";
/// Port at which the API server is reached on its node.
const API_PORT: u16 = 6443;
/// The account that Pods have which name none.
const ACCOUNT: &str = "default";
/// The `ConfigMap` with the certificate by which the API server is known.
const ROOT_CA: &str = "kube-root-ca.crt";
/// Label of nodes on which the control plane runs.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// Classes of priority that the API server makes (`pkg/apis/scheduling/v1/helpers.go`), with what they are for.
const PRIORITIES: [(&str, u32, &str); 2] = [
    ("system-cluster-critical", 2_000_000_000, "For Pods without which the cluster does not work."),
    ("system-node-critical", 2_000_001_000, "For Pods without which a node does not work."),
];

/// Whether this is the Service of the API server.
pub(super) fn is_api_service(service: &Service) -> bool {
    service.metadata.namespace == "default" && service.metadata.name == API
}

/// Whether an object comes again when somebody deletes it.
pub(super) fn comes_again(key: &ObjectKey) -> bool {
    match &*key.kind {
        "ServiceAccount" => &*key.name == ACCOUNT,
        "ConfigMap" => &*key.name == ROOT_CA,
        "Service" | "Endpoints" | "EndpointSlice" => &*key.namespace == "default" && &*key.name == API,
        _ => false,
    }
}

/// The address of the API server's Service: the first of the range.
pub(super) fn api_address(cluster: &ClusterSpec) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(cluster.network.service_cidr.network()) + 1)
}

/// The node of the API server: one of the control plane, or the first.
fn api_node(cluster: &ClusterSpec) -> Option<Ipv4Addr> {
    let marked = cluster.nodes.iter().find(|node| node.labels.contains_key(CONTROL_PLANE));
    marked.or(cluster.nodes.first()).map(|node| node.address)
}

impl ControlPlane {
    /// What belongs to no namespace, and the Service of the API server.
    pub(super) fn furnish_cluster(&mut self, world: &mut dyn World) {
        for (name, value, purpose) in PRIORITIES {
            let key = ObjectKey::new("PriorityClass", "", name);
            if self.objects.get(&key).is_none() {
                let class = json!({
                    "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": { "name": name },
                    "value": value, "description": purpose, "preemptionPolicy": "PreemptLowerPriority",
                });
                self.put(world, &key, &"scheduling.k8s.io/v1".into(), Arc::new(class));
            }
        }
        self.furnish_api_service(world);
    }

    /// What every namespace holds.
    pub(super) fn furnish_namespace(&mut self, world: &mut dyn World, namespace: &str) {
        let objects = [
            ("ServiceAccount", ACCOUNT, json!({})),
            ("ConfigMap", ROOT_CA, json!({ "data": { "ca.crt": "" } })),
        ];
        for (kind, name, mut value) in objects {
            let key = ObjectKey::new(kind, namespace, name);
            if self.objects.get(&key).is_none() {
                value["apiVersion"] = json!("v1");
                value["kind"] = json!(kind);
                value["metadata"] = json!({ "name": name, "namespace": namespace });
                self.put(world, &key, &"v1".into(), Arc::new(value));
            }
        }
        if namespace == "default" {
            self.furnish_api_service(world);
        }
    }

    /// The lease by which a node says that it is there.
    pub(super) fn furnish_node(&mut self, world: &mut dyn World, node: &str) {
        let key = ObjectKey::new("Lease", "kube-node-lease", node);
        let owner = self.objects.get(&Self::node_key(node)).map(|row| row.uid.clone());
        let Some(uid) = owner.filter(|_| self.objects.get(&key).is_none()) else { return };
        self.ensure_namespace(world, "kube-node-lease");
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {
                "name": node, "namespace": "kube-node-lease",
                "ownerReferences": [{ "apiVersion": "v1", "kind": "Node", "name": node, "uid": &*uid }],
            },
            "spec": { "holderIdentity": node, "leaseDurationSeconds": 40 },
        });
        self.put(world, &key, &"coordination.k8s.io/v1".into(), Arc::new(lease));
    }

    fn furnish_api_service(&mut self, world: &mut dyn World) {
        let Some(cluster) = self.cluster.clone() else { return };
        let key = ObjectKey::new("Service", "default", API);
        let address = api_address(&cluster).to_string();
        let is_users = self.objects.text.contains_key(&key);
        let stale = |row: &&Arc<crate::trace::ObjectRow>| {
            row.text(&["spec", "clusterIP"]).is_some_and(|ip| ip != address && !is_users)
        };
        if self.objects.get(&key).as_ref().is_some_and(stale) {
            self.discard(world, &key);
        }
        if self.objects.get(&key).is_none() {
            let value = api_service(&address);
            if let Ok(service) = serde_json::from_value::<Service>(value.clone()) {
                let typed = Typed::Service(Arc::new(service));
                self.write(world, Written { key, api_version: "v1".into(), value: Arc::new(value), typed });
            }
        }
        if let Some(node) = api_node(&cluster) {
            self.furnish_api_endpoints(world, node);
        }
    }

    /// The endpoints of the API server, which it writes itself.
    fn furnish_api_endpoints(&mut self, world: &mut dyn World, node: Ipv4Addr) {
        let slice = json!({
            "metadata": {
                "name": API, "namespace": "default", "labels": { "kubernetes.io/service-name": API },
            },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": [node.to_string()], "conditions": { "ready": true } }],
            "ports": [{ "name": "https", "port": API_PORT, "protocol": "TCP" }],
        });
        let Ok(slice) = serde_json::from_value::<EndpointSlice>(slice) else { return };
        let key = ObjectKey::new("EndpointSlice", "default", API);
        let as_it_is =
            |row: &Arc<crate::trace::ObjectRow>| row.at(&["endpoints"]) == Some(&json!(slice.endpoints));
        if !self.services.written.contains_key(&key) && !self.objects.get(&key).is_some_and(as_it_is) {
            let mut value = slice_value(&slice, "");
            value["metadata"].as_object_mut().map(|fields| fields.remove("annotations"));
            self.put_slice(world, ("default".to_owned(), API.to_owned()), Arc::new(slice));
            self.put(world, &key, &"discovery.k8s.io/v1".into(), Arc::new(value));
            self.endpoints_changed(world);
        }
        let old_form = ObjectKey::new("Endpoints", "default", API);
        if !self.services.written.contains_key(&old_form) {
            let value = json!({
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": {
                    "name": API, "namespace": "default",
                    "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" },
                },
                "subsets": [{
                    "addresses": [{ "ip": node.to_string() }],
                    "ports": [{ "name": "https", "port": API_PORT, "protocol": "TCP" }],
                }],
            });
            self.put(world, &old_form, &"v1".into(), Arc::new(value));
        }
    }
}

fn api_service(address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": API, "namespace": "default", "labels": { "component": "apiserver", "provider": "kubernetes" },
        },
        "spec": {
            "clusterIP": address, "clusterIPs": [address], "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "ports": [{ "name": "https", "port": 443, "protocol": "TCP", "targetPort": API_PORT }],
            "sessionAffinity": "None", "type": "ClusterIP",
        },
        "status": { "loadBalancer": {} },
    })
}
