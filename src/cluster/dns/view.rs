//! What the plugin has watched, with the indices it looks things up by (`plugin/kubernetes/controller.go`).

use crate::api::{Endpoint, EndpointSlice, Object, Protocol, Service, ServiceType};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Namespace and name, in lower case as Kubernetes has them.
type Key = (String, String);

/// A Service.
#[derive(Clone, Debug)]
pub(super) struct ServiceEntry {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kind: ServiceType,
    pub(super) headless: bool,
    pub(super) cluster_ips: Vec<IpAddr>,
    pub(super) external_name: String,
    pub(super) ports: Vec<Port>,
}

/// A port; number -1 stands for none declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) protocol: &'static str,
    pub(super) number: i32,
}

/// A ready endpoint with the ports of its slice.
#[derive(Clone, Debug)]
pub(super) struct EndpointEntry {
    pub(super) ip: IpAddr,
    pub(super) hostname: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) ports: Vec<Port>,
}

/// Everything the plugin has watched.
#[derive(Clone, Debug, Default)]
pub struct View {
    namespaces: BTreeSet<String>,
    services: BTreeMap<Key, ServiceEntry>,
    endpoints: BTreeMap<Key, Vec<EndpointEntry>>,
    pods: BTreeSet<(String, IpAddr)>,
    /// Services by cluster IP.
    by_cluster_ip: BTreeMap<IpAddr, Key>,
    /// Services by endpoint.
    by_endpoint: BTreeMap<IpAddr, Vec<Key>>,
    /// Addresses of the server itself, for the records of name servers.
    pub local: Vec<IpAddr>,
    /// Serial of the zone: when something last changed, in seconds.
    pub serial: u32,
    /// Whether the first list of all objects is still to come.
    pub unsynced: bool,
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}

/// A Service or slice without ports gets one that matches no question for a port.
fn or_none(ports: Vec<Port>) -> Vec<Port> {
    if ports.is_empty() {
        return vec![Port { name: String::new(), protocol: "", number: -1 }];
    }
    ports
}

/// Namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl View {
    /// Everything that these objects say, as it is written: Pods with the addresses of their status, Services with
    /// their cluster IPs.
    pub fn of<'o>(objects: impl Iterator<Item = &'o Object>) -> Self {
        let mut view = Self::default();
        for namespace in NAMESPACES {
            view.add_namespace(namespace);
        }
        for object in objects {
            match object {
                Object::Service(service) => view.add_service(service),
                Object::EndpointSlice(slice) => view.add_slice(slice),
                Object::Endpoints(endpoints) => {
                    for slice in endpoints.mirrored() {
                        view.add_slice(&slice);
                    }
                }
                Object::Pod(pod) => {
                    for ip in pod.status.pod_ips.iter().filter_map(|ip| ip.ip.parse().ok()) {
                        view.add_pod(&pod.metadata.namespace, ip);
                    }
                }
                Object::Other(other) if other.kind == "Namespace" => view.add_namespace(&other.metadata.name),
                Object::Node(_) | Object::Cluster(_) | Object::NetworkPolicy(_) | Object::Other(_) => {}
            }
        }
        view
    }

    /// A namespace was seen.
    pub fn add_namespace(&mut self, name: &str) {
        self.namespaces.insert(name.to_owned());
    }

    /// A Pod with this address was seen.
    pub fn add_pod(&mut self, namespace: &str, address: IpAddr) {
        self.pods.insert((namespace.to_owned(), address));
    }

    /// A Service was seen.
    pub fn add_service(&mut self, service: &Service) {
        let key = (service.metadata.namespace.clone(), service.metadata.name.clone());
        let ports = service.spec.ports.iter().map(|port| Port {
            name: port.name.clone(),
            protocol: protocol(port.protocol),
            number: i32::from(port.port),
        });
        let entry = ServiceEntry {
            namespace: key.0.clone(),
            name: key.1.clone(),
            kind: service.spec.r#type,
            headless: service.is_headless(),
            cluster_ips: service.cluster_ips(),
            external_name: service.spec.external_name.clone(),
            ports: or_none(ports.collect()),
        };
        for &ip in &entry.cluster_ips {
            self.by_cluster_ip.entry(ip).or_insert_with(|| key.clone());
        }
        self.services.insert(key, entry);
    }

    /// A slice was seen. Endpoints that are not ready have no names.
    pub fn add_slice(&mut self, slice: &EndpointSlice) {
        let Some(service) = slice.service() else { return };
        let key = (slice.metadata.namespace.clone(), service.to_owned());
        let ports = slice.ports.iter().map(|port| Port {
            name: port.name.clone(),
            protocol: protocol(port.protocol),
            number: port.port.map_or(-1, i32::from),
        });
        let ports = or_none(ports.collect());
        for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.is_ready()) {
            self.add_endpoint(&key, endpoint, &ports);
        }
    }

    fn add_endpoint(&mut self, key: &Key, endpoint: &Endpoint, ports: &[Port]) {
        for ip in endpoint.addresses.iter().filter_map(|text| text.parse().ok()) {
            let pod = endpoint.target_ref.as_ref().map(|target| target.name.clone());
            let hostname = endpoint.hostname.clone().filter(|name| !name.is_empty());
            let entry = EndpointEntry { ip, hostname, pod, ports: ports.to_vec() };
            self.endpoints.entry(key.clone()).or_default().push(entry);
            let services = self.by_endpoint.entry(ip).or_default();
            if !services.contains(key) {
                services.push(key.clone());
            }
        }
    }

    pub(super) fn has_namespace(&self, name: &str) -> bool {
        self.namespaces.contains(name)
    }

    pub(super) fn has_pod(&self, namespace: &str, address: IpAddr) -> bool {
        self.pods.contains(&(namespace.to_owned(), address))
    }

    pub(super) fn service(&self, namespace: &str, name: &str) -> Option<&ServiceEntry> {
        self.services.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn endpoints(&self, namespace: &str, service: &str) -> &[EndpointEntry] {
        let key = (namespace.to_owned(), service.to_owned());
        self.endpoints.get(&key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn service_with_ip(&self, ip: IpAddr) -> Option<&ServiceEntry> {
        self.services.get(self.by_cluster_ip.get(&ip)?)
    }

    pub(super) fn services_with_endpoint(&self, ip: IpAddr) -> impl Iterator<Item = &Key> {
        self.by_endpoint.get(&ip).into_iter().flatten()
    }
}
