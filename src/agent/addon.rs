//! The cluster's DNS as kubeadm installs it: a `ConfigMap` with the Corefile, a Deployment and the Service `kube-dns`.
//!
//! It comes with a text that holds its Corefile, and else with the first command that looks a name up
//! (`Lab::need_names`): a lesson about frames and routes has no Pods that nobody asked for. It stays out of the way of a
//! user who brings a DNS of their own.

use super::control::ControlPlane;
use super::objects::{Typed, Written};
use crate::api::ClusterSpec;
use crate::base::ObjectKey;
use crate::cluster::dns::default_corefile;
use crate::manifest;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// Where the image is from.
const IMAGE: &str = "registry.k8s.io/coredns/coredns:v1.12.1";

/// The three objects; `{ip}` and `{corefile}` are filled in.
const OBJECTS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
{corefile}---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec:
  replicas: 2
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1}}
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      priorityClassName: system-cluster-critical
      serviceAccountName: coredns
      dnsPolicy: Default
      tolerations:
      - {key: CriticalAddonsOnly, operator: Exists}
      - {key: node-role.kubernetes.io/control-plane, effect: NoSchedule}
      containers:
      - name: coredns
        image: {image}
        args: [-conf, /etc/coredns/Corefile]
        ports:
        - {containerPort: 53, name: dns, protocol: UDP}
        - {containerPort: 53, name: dns-tcp, protocol: TCP}
        - {containerPort: 9153, name: metrics, protocol: TCP}
        volumeMounts:
        - {name: config-volume, mountPath: /etc/coredns, readOnly: true}
      volumes:
      - name: config-volume
        configMap: {name: coredns, items: [{key: Corefile, path: Corefile}]}
---
apiVersion: v1
kind: Service
metadata:
  name: kube-dns
  namespace: kube-system
  labels: {k8s-app: kube-dns, kubernetes.io/cluster-service: \"true\", kubernetes.io/name: CoreDNS}
spec:
  selector: {k8s-app: kube-dns}
  clusterIP: {ip}
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
  - {name: metrics, port: 9153, protocol: TCP}
";

impl ControlPlane {
    /// The DNS that a text goes without although it speaks of it.
    pub(super) fn dns_addon(wanted: &[Written], cluster: &ClusterSpec) -> Vec<Written> {
        let brings_own = |ip: IpAddr| wanted.iter().any(|written| is_own_dns(written, ip));
        let has = |key: &ObjectKey| wanted.iter().any(|other| other.key == *key);
        match dns_address(cluster).filter(|_| wanted.iter().any(speaks_of_dns)) {
            Some(ip) if !brings_own(ip) => {
                objects(cluster, ip).into_iter().filter(|own| !has(&own.key)).collect()
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// The objects of the DNS that the cluster does not have yet; none where it has a DNS already.
    pub fn missing_dns(&self) -> Vec<Arc<Value>> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        let Some(ip) = dns_address(cluster) else { return Vec::new() };
        let has = |key: &ObjectKey| self.object(&key.kind, &key.namespace, &key.name).is_some();
        let own = objects(cluster, ip);
        let service = ObjectKey::new("Service", "kube-system", "kube-dns");
        if has(&service) || self.has_service_at(ip) {
            return Vec::new();
        }
        own.into_iter().filter(|written| !has(&written.key)).map(|written| written.value).collect()
    }
}

/// The address of the DNS Service, where a Service can have it.
fn dns_address(cluster: &ClusterSpec) -> Option<IpAddr> {
    let ip = cluster.dns.service_ip.filter(|ip| cluster.network.service_cidr.contains(ip));
    ip.map(IpAddr::V4)
}

fn objects(cluster: &ClusterSpec, ip: IpAddr) -> Vec<Written> {
    let corefile = default_corefile(&cluster.dns.cluster_domain);
    let corefile: Vec<String> = corefile.lines().map(|line| format!("    {line}\n")).collect();
    let text = OBJECTS
        .replace("{corefile}", &corefile.concat())
        .replace("{ip}", &ip.to_string())
        .replace("{image}", IMAGE);
    manifest::parse(&text).objects.iter().filter_map(Written::new).collect()
}

/// Whether an object is part of a DNS.
fn speaks_of_dns(written: &Written) -> bool {
    matches!(&*written.key.kind, "ConfigMap" | "Deployment") && &*written.key.name == "coredns"
}

/// Whether the user brings a DNS: a Service at its address, or under its name.
fn is_own_dns(written: &Written, ip: IpAddr) -> bool {
    let named = written.key == ObjectKey::new("Service", "kube-system", "kube-dns");
    named || matches!(&written.typed, Typed::Service(service) if service.cluster_ips().contains(&ip))
}
