//! What CoreDNS watches: the Services, endpoints, Pods and namespaces of the store.

use super::control::ControlPlane;
use super::store::PodEntry;
use crate::api::{ClusterSpec, Protocol};
use crate::cluster::dns::View;
use crate::cluster::resolv;
use crate::trace::PodPhase;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Namespace of the cluster's own objects.
pub(super) const KUBE_SYSTEM: &str = "kube-system";
/// Annotation of the `ConfigMap` with the Corefile: CoreDNS cannot reach the API server.
const UNREACHABLE: &str = "vethscope.dev/api-unreachable";
/// The port of DNS.
const PORT: u16 = 53;

impl ControlPlane {
    /// Everything that CoreDNS watches, as it stands now.
    pub fn watched_names(&self) -> View {
        let mut view = View::of(std::iter::empty());
        for row in self.objects_of("Namespace") {
            let labels = row.value["metadata"]["labels"].as_object().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let labels: BTreeMap<String, String> =
                labels.map(|(key, value)| (key.clone(), text(value))).collect();
            view.add_namespace(&row.key.name, &labels);
        }
        for row in self.objects_of("ServiceImport") {
            view.add_import(&row.key.namespace, &row.key.name, &row.value);
        }
        self.services.tell(&mut view);
        // CoreDNS does not watch Pods that have ended (`podListFunc`).
        let ended = |entry: &PodEntry| {
            entry.is_told_ended() || matches!(entry.phase, PodPhase::Succeeded | PodPhase::Failed)
        };
        for (key, entry) in self.store.live().filter(|(_, entry)| !ended(entry)) {
            let pasted = entry.pod.status.pod_ips.iter().filter_map(|ip| ip.ip.parse().ok());
            for ip in entry.ip.map(IpAddr::V4).into_iter().chain(pasted) {
                view.add_pod(&key.namespace, ip);
            }
        }
        view.unsynced = self.coredns_config().is_some_and(|(_, config)| {
            config["metadata"]["annotations"][UNREACHABLE].as_str().is_some_and(|text| text == "true")
        });
        view
    }

    pub(super) fn has_service_at(&self, ip: IpAddr) -> bool {
        self.services.has_address(ip)
    }

    /// The `ConfigMap` that holds the Corefile: `coredns` of `kube-system`, or another one of that name.
    fn coredns_config(&self) -> Option<(&str, &Value)> {
        let own = self.object("ConfigMap", KUBE_SYSTEM, "coredns");
        let row = own.or_else(|| self.objects_of("ConfigMap").find(|row| &*row.key.name == "coredns"))?;
        Some((&row.key.namespace, &row.value))
    }

    /// The Corefile, where the store has one, and the other files that lie beside it.
    pub fn corefile(&self) -> Option<(String, BTreeMap<String, String>)> {
        let (_, config) = self.coredns_config()?;
        let mut files = BTreeMap::new();
        for (key, value) in config["data"].as_object()? {
            files.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        let corefile = files.remove("Corefile")?;
        Some((corefile, files))
    }

    /// Addresses of CoreDNS: the endpoints of the Service with the cluster's DNS address, or of another one that
    /// `kube-system` has for it.
    pub fn coredns_addresses(&self) -> Vec<IpAddr> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        let own = self.services.endpoints_of(|service| {
            cluster.dns.service_ip.is_some_and(|ip| service.cluster_ips().contains(&IpAddr::V4(ip)))
        });
        if !own.is_empty() {
            return own;
        }
        self.services.endpoints_of(|service| {
            let serves = |port: &crate::api::ServicePort| port.port == PORT && port.protocol == Protocol::Udp;
            service.metadata.namespace == KUBE_SYSTEM && service.spec.ports.iter().any(serves)
        })
    }

    /// The cluster as it was applied last.
    pub fn cluster_spec(&self) -> Option<&Arc<ClusterSpec>> {
        self.cluster.as_ref()
    }

    /// `/etc/resolv.conf` of the first node, which a CoreDNS with `dnsPolicy: Default` reads.
    pub fn node_resolv_conf(&self) -> String {
        let node = self.cluster.as_ref().and_then(|cluster| cluster.nodes.first());
        node.map(resolv::node_resolv_conf).unwrap_or_default()
    }

    /// The address of a Pod.
    pub fn pod_address(&self, namespace: &str, name: &str) -> Option<IpAddr> {
        let entry = &self.store.pods[self.store.pod_named(namespace, name)?];
        let pasted = entry.pod.status.pod_ip.as_deref().and_then(|text| text.parse().ok());
        entry.ip.map(IpAddr::V4).or(pasted)
    }
}
