//! The cluster's DNS as kubeadm installs it: a `ConfigMap` with the Corefile, a Deployment and the Service `kube-dns`.
//!
//! It comes with a text that holds its Corefile, and else with the first command that looks a name up
//! (`Lab::need_names`): a lesson about frames and routes has no Pods that nobody asked for. It stays out of the way of a
//! user who brings a DNS of their own.

use super::control::ControlPlane;
use super::objects::{Typed, Written};
use crate::api::{ClusterSpec, ProxyMode};
use crate::base::ObjectKey;
use crate::cluster::dns::{default_corefile, node_local_corefile};
use crate::cluster::resolv::LOCAL_DNS;
use crate::manifest;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// Where the images are from.
const IMAGE: &str = "registry.k8s.io/coredns/coredns:v1.12.1";

const NODE_CACHE_IMAGE: &str = "registry.k8s.io/dns/k8s-dns-node-cache:1.26.4";

/// The four objects; `{ip}` and `{corefile}` are filled in.
const OBJECTS: &str = "apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system}
---
apiVersion: v1
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

/// `NodeLocal DNSCache` as its own manifest has it (`cluster/addons/dns/nodelocaldns`), its words for the cluster's domain
/// and addresses filled in as its instructions say for the mode of kube-proxy.
const NODE_LOCAL: &str = "apiVersion: v1
kind: ServiceAccount
metadata: {name: node-local-dns, namespace: kube-system, labels: {kubernetes.io/cluster-service: \"true\"}}
---
apiVersion: v1
kind: Service
metadata:
  name: kube-dns-upstream
  namespace: kube-system
  labels: {k8s-app: kube-dns, kubernetes.io/cluster-service: \"true\", kubernetes.io/name: KubeDNSUpstream}
spec:
  selector: {k8s-app: kube-dns}
  ports:
  - {name: dns, port: 53, protocol: UDP, targetPort: 53}
  - {name: dns-tcp, port: 53, protocol: TCP, targetPort: 53}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: node-local-dns, namespace: kube-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: node-local-dns, namespace: kube-system}
data:
  Corefile: |
{corefile}---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: node-local-dns
  namespace: kube-system
  labels: {k8s-app: node-local-dns, kubernetes.io/cluster-service: \"true\"}
spec:
  updateStrategy: {rollingUpdate: {maxUnavailable: 10%}}
  selector: {matchLabels: {k8s-app: node-local-dns}}
  template:
    metadata:
      labels: {k8s-app: node-local-dns}
      annotations: {prometheus.io/port: \"9253\", prometheus.io/scrape: \"true\"}
    spec:
      priorityClassName: system-node-critical
      serviceAccountName: node-local-dns
      hostNetwork: true
      dnsPolicy: Default
      tolerations:
      - {key: CriticalAddonsOnly, operator: Exists}
      - {effect: NoExecute, operator: Exists}
      - {effect: NoSchedule, operator: Exists}
      containers:
      - name: node-cache
        image: {image}
        resources: {requests: {cpu: 25m, memory: 5Mi}}
        args: [-localip, '{addresses}', -conf, /etc/Corefile, -upstreamsvc, kube-dns-upstream, -pidfile, /tmp/node-cache.pid]
        securityContext: {capabilities: {add: [NET_ADMIN]}}
        ports:
        - {containerPort: 53, name: dns, protocol: UDP}
        - {containerPort: 53, name: dns-tcp, protocol: TCP}
        - {containerPort: 9253, name: metrics, protocol: TCP}
        livenessProbe:
          httpGet: {host: {local}, path: /health, port: 8080}
          initialDelaySeconds: 60
          timeoutSeconds: 5
        volumeMounts:
        - {mountPath: /run/xtables.lock, name: xtables-lock, readOnly: false}
        - {mountPath: /etc/coredns, name: config-volume}
        - {mountPath: /etc/kube-dns, name: kube-dns-config}
      volumes:
      - name: xtables-lock
        hostPath: {path: /run/xtables.lock, type: FileOrCreate}
      - name: kube-dns-config
        configMap: {name: kube-dns, optional: true}
      - name: config-volume
        configMap: {name: node-local-dns, items: [{key: Corefile, path: Corefile.base}]}
---
apiVersion: v1
kind: Service
metadata:
  name: node-local-dns
  namespace: kube-system
  labels: {k8s-app: node-local-dns}
  annotations: {prometheus.io/port: \"9253\", prometheus.io/scrape: \"true\"}
spec:
  clusterIP: None
  selector: {k8s-app: node-local-dns}
  ports:
  - {name: metrics, port: 9253, targetPort: 9253}
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
        let service = ObjectKey::new("Service", "kube-system", "kube-dns");
        let has_dns = has(&service) || self.has_service_at(ip);
        let own = if has_dns { Vec::new() } else { objects(cluster, ip) };
        let caches = if cluster.dns.node_local { node_local(cluster, ip) } else { Vec::new() };
        let missing = own.into_iter().chain(caches).filter(|written| !has(&written.key));
        missing.map(|written| written.value).collect()
    }

    /// The objects of `NodeLocal DNSCache` for this cluster; none where it has no address for its DNS.
    pub fn node_local_dns(&self) -> Vec<Arc<Value>> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        let caches = dns_address(cluster).map(|ip| node_local(cluster, ip)).unwrap_or_default();
        caches.into_iter().map(|written| written.value).collect()
    }
}

/// The address of the DNS Service, where a Service can have it.
fn dns_address(cluster: &ClusterSpec) -> Option<IpAddr> {
    let ip = cluster.dns.service_ip.filter(|ip| cluster.network.service_cidr.contains(ip));
    ip.map(IpAddr::V4)
}

fn objects(cluster: &ClusterSpec, ip: IpAddr) -> Vec<Written> {
    let corefile = indented(&default_corefile(&cluster.dns.cluster_domain));
    let text =
        OBJECTS.replace("{corefile}", &corefile).replace("{ip}", &ip.to_string()).replace("{image}", IMAGE);
    manifest::parse(&text).objects.iter().filter_map(Written::new).collect()
}

fn node_local(cluster: &ClusterSpec, ip: IpAddr) -> Vec<Written> {
    let (local, under_ipvs) = (LOCAL_DNS.to_string(), cluster.proxy.mode == ProxyMode::Ipvs);
    let corefile = node_local_corefile(&cluster.dns.cluster_domain, &local, (ip, under_ipvs));
    let corefile = indented(&corefile);
    let addresses = if under_ipvs { local.clone() } else { format!("{local},{ip}") };
    let text = NODE_LOCAL
        .replace("{corefile}", &corefile)
        .replace("{image}", NODE_CACHE_IMAGE)
        .replace("{addresses}", &addresses)
        .replace("{local}", &local);
    manifest::parse(&text).objects.iter().filter_map(Written::new).collect()
}

/// A text as the value of a key in a `ConfigMap`.
fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("    {line}\n")).collect();
    lines.concat()
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
