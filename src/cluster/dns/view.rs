//! What the plugin has watched, with the indices it looks things up by (`plugin/kubernetes/controller.go`).

use crate::api::{Endpoint, EndpointSlice, Object, Protocol, Service, ServiceType};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Namespace and name, in lower case as Kubernetes has them.
type Key = (String, String);
/// Labels of an object.
pub(super) type Labels = BTreeMap<String, String>;

/// A Service.
#[derive(Clone, Debug)]
pub(super) struct ServiceEntry {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) kind: ServiceType,
    pub(super) headless: bool,
    pub(super) cluster_ips: Vec<IpAddr>,
    pub(super) external_name: String,
    /// External addresses, then those of load balancers, some of which are names.
    pub(super) external: Vec<String>,
    pub(super) ports: Vec<Port>,
}

/// A Service of other clusters (`ServiceImport`, KEP-1645).
#[derive(Clone, Debug)]
pub(super) struct ImportEntry {
    pub(super) headless: bool,
    pub(super) ips: Vec<IpAddr>,
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
    /// Namespaces with their labels.
    namespaces: BTreeMap<String, Labels>,
    services: BTreeMap<Key, ServiceEntry>,
    endpoints: BTreeMap<Key, Vec<EndpointEntry>>,
    pods: BTreeSet<(String, IpAddr)>,
    /// Namespaces of Pods by address.
    by_pod: BTreeMap<IpAddr, String>,
    /// Services by external address.
    by_external: BTreeMap<String, Vec<Key>>,
    imports: BTreeMap<Key, ImportEntry>,
    /// Endpoints of other clusters, each with its cluster.
    imported: BTreeMap<Key, Vec<(String, EndpointEntry)>>,
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

/// Labels of the slices of other clusters.
const IMPORT_NAME_LABEL: &str = "multicluster.kubernetes.io/service-name";
const SOURCE_CLUSTER_LABEL: &str = "multicluster.kubernetes.io/source-cluster";

/// External addresses of a Service, and what its load balancer is reached by.
fn external(service: &Service) -> Vec<String> {
    let ingress = service.status.load_balancer.ingress.iter();
    let ingress = ingress.filter_map(|way| way.ip.map(|ip| ip.to_string()).or_else(|| way.hostname.clone()));
    service.spec.external_ips.iter().map(ToString::to_string).chain(ingress).collect()
}

/// An endpoint under each of its addresses.
fn entries<'e>(endpoint: &'e Endpoint, ports: &'e [Port]) -> impl Iterator<Item = EndpointEntry> + 'e {
    endpoint.addresses.iter().filter_map(|text| text.parse().ok()).map(|ip| EndpointEntry {
        ip,
        hostname: endpoint.hostname.clone().filter(|name| !name.is_empty()),
        pod: endpoint.target_ref.as_ref().map(|target| target.name.clone()),
        ports: ports.to_vec(),
    })
}

/// Namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl View {
    /// Everything that these objects say, as it is written: Pods with the addresses of their status, Services with
    /// their cluster IPs.
    pub fn of<'o>(objects: impl Iterator<Item = &'o Object>) -> Self {
        let mut view = Self::default();
        for namespace in NAMESPACES {
            view.add_namespace(namespace, &Labels::new());
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
                Object::Other(other) if other.kind == "Namespace" => {
                    view.add_namespace(&other.metadata.name, &other.metadata.labels);
                }
                Object::Other(other) if other.kind == "ServiceImport" => {
                    let metadata = &other.metadata;
                    view.add_import(&metadata.namespace, &metadata.name, &other.raw);
                }
                Object::Node(_)
                | Object::Cluster(_)
                | Object::NetworkPolicy(_)
                | Object::AdminNetworkPolicy(_)
                | Object::Other(_) => {}
            }
        }
        view
    }

    /// A namespace was seen.
    pub fn add_namespace(&mut self, name: &str, labels: &BTreeMap<String, String>) {
        let mut labels = labels.clone();
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        self.namespaces.insert(name.to_owned(), labels);
    }

    /// A Pod with this address was seen.
    pub fn add_pod(&mut self, namespace: &str, address: IpAddr) {
        self.pods.insert((namespace.to_owned(), address));
        self.by_pod.entry(address).or_insert_with(|| namespace.to_owned());
    }

    /// A Service of other clusters was seen.
    pub fn add_import(&mut self, namespace: &str, name: &str, object: &Value) {
        let spec = &object["spec"];
        let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let ports = array(&spec["ports"]).into_iter().map(|port| Port {
            name: port["name"].as_str().unwrap_or("").to_owned(),
            protocol: match port["protocol"].as_str() {
                Some("UDP") => "UDP",
                Some("SCTP") => "SCTP",
                _ => "TCP",
            },
            number: port["port"].as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(-1),
        });
        let entry = ImportEntry {
            headless: spec["type"] == "Headless",
            ips: array(&spec["ips"]).iter().filter_map(|ip| ip.as_str()?.parse().ok()).collect(),
            ports: or_none(ports.collect()),
        };
        self.imports.insert((namespace.to_owned(), name.to_owned()), entry);
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
            labels: service.metadata.labels.clone(),
            kind: service.spec.r#type,
            headless: service.is_headless(),
            cluster_ips: service.cluster_ips(),
            external_name: service.spec.external_name.clone(),
            external: external(service),
            ports: or_none(ports.collect()),
        };
        for address in &entry.external {
            self.by_external.entry(address.clone()).or_default().push(key.clone());
        }
        for &ip in &entry.cluster_ips {
            self.by_cluster_ip.entry(ip).or_insert_with(|| key.clone());
        }
        self.services.insert(key, entry);
    }

    /// A slice was seen. Endpoints that are not ready have no names.
    pub fn add_slice(&mut self, slice: &EndpointSlice) {
        let ports = slice.ports.iter().map(|port| Port {
            name: port.name.clone(),
            protocol: protocol(port.protocol),
            number: port.port.map_or(-1, i32::from),
        });
        let ports = or_none(ports.collect());
        let ready = slice.endpoints.iter().filter(|endpoint| endpoint.is_ready());
        let entries: Vec<EndpointEntry> = ready.flat_map(|endpoint| entries(endpoint, &ports)).collect();
        let (namespace, labels) = (&slice.metadata.namespace, &slice.metadata.labels);
        if let Some(import) = labels.get(IMPORT_NAME_LABEL) {
            let cluster = labels.get(SOURCE_CLUSTER_LABEL).cloned().unwrap_or_default();
            let key = (namespace.clone(), import.clone());
            let known = self.imported.entry(key).or_default();
            known.extend(entries.iter().map(|entry| (cluster.clone(), entry.clone())));
        }
        let Some(service) = slice.service() else { return };
        let key = (namespace.clone(), service.to_owned());
        for entry in &entries {
            let services = self.by_endpoint.entry(entry.ip).or_default();
            if !services.contains(&key) {
                services.push(key.clone());
            }
        }
        self.endpoints.entry(key).or_default().extend(entries);
    }

    /// The namespace of the Pod with this address.
    pub(super) fn namespace_of(&self, address: IpAddr) -> Option<&str> {
        self.by_pod.get(&address).map(String::as_str)
    }

    /// The Services that have this external address.
    pub(super) fn services_with_external(&self, address: IpAddr) -> impl Iterator<Item = &Key> {
        self.by_external.get(&address.to_string()).into_iter().flatten()
    }

    pub(super) fn import(&self, namespace: &str, name: &str) -> Option<&ImportEntry> {
        self.imports.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn imported(&self, namespace: &str, name: &str) -> &[(String, EndpointEntry)] {
        self.imported.get(&(namespace.to_owned(), name.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// The labels of a namespace, where there is one.
    pub(super) fn namespace(&self, name: &str) -> Option<&Labels> {
        self.namespaces.get(name)
    }

    pub(super) fn has_pod(&self, namespace: &str, address: IpAddr) -> bool {
        self.pods.contains(&(namespace.to_owned(), address))
    }

    /// All Services by namespace and name.
    pub(super) fn services(&self) -> impl Iterator<Item = &ServiceEntry> {
        self.services.values()
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
