//! The cluster's DNS as kubeadm installs it: a `ConfigMap` with the Corefile, a Deployment and the Service `kube-dns`.
//!
//! It comes with the first text that has to do with names (a Service, endpoints, `spec.dns`, a Corefile), so that the
//! lesson's Pods alone stay alone; and it stays out of the way of a user who brings a DNS of their own.

use super::control::ControlPlane;
use super::objects::{Typed, Written};
use crate::api::ClusterSpec;
use crate::base::ObjectKey;
use crate::cluster::dns::default_corefile;
use crate::manifest;
use std::net::IpAddr;

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
    /// The DNS that a text goes without although it needs one.
    pub(super) fn dns_addon(&self, wanted: &[Written], cluster: &ClusterSpec) -> Vec<Written> {
        let installed = self.object("Deployment", "kube-system", "coredns").is_some();
        if !(installed || cluster.dns.wanted || wanted.iter().any(concerns_names)) {
            return Vec::new();
        }
        let Some(ip) = cluster.dns.service_ip.filter(|ip| cluster.network.service_cidr.contains(ip)) else {
            return Vec::new();
        };
        if wanted.iter().any(|written| is_own_dns(written, ip.into())) {
            return Vec::new();
        }
        let corefile: String = default_corefile(&cluster.dns.cluster_domain)
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect();
        let text = OBJECTS
            .replace("{corefile}", &corefile)
            .replace("{ip}", &ip.to_string())
            .replace("{image}", IMAGE);
        let parsed = manifest::parse(&text);
        let written = parsed.objects.iter().filter_map(Written::new);
        written.filter(|own| !wanted.iter().any(|other| other.key == own.key)).collect()
    }
}

/// Whether an object makes sense only with names.
fn concerns_names(written: &Written) -> bool {
    let key = &written.key;
    matches!(&written.typed, Typed::Service(_) | Typed::Slices(_))
        || matches!(&*key.kind, "ConfigMap" | "Deployment") && &*key.name == "coredns"
}

/// Whether the user brings a DNS: a Service at its address, or under its name.
fn is_own_dns(written: &Written, ip: IpAddr) -> bool {
    let named = written.key == ObjectKey::new("Service", "kube-system", "kube-dns");
    named || matches!(&written.typed, Typed::Service(service) if service.cluster_ips().contains(&ip))
}
