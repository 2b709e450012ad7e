//! Services (`core/v1`) and what stands behind them (`discovery.k8s.io/v1`, `core/v1` Endpoints).

use super::{ObjectMeta, Protocol};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ServiceSpec,
    /// What is there.
    pub status: ServiceStatus,
}

/// How a Service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ServiceType {
    /// By an address inside the cluster, or by name alone when headless.
    #[default]
    #[serde(alias = "")]
    ClusterIP,
    /// Also by a port of every node.
    NodePort,
    /// Also by an address outside the cluster.
    LoadBalancer,
    /// As another name.
    ExternalName,
}

/// Which endpoints traffic may go to (`externalTrafficPolicy`, `internalTrafficPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrafficPolicy {
    /// All of them.
    #[default]
    #[serde(alias = "")]
    Cluster,
    /// Those on the node where the traffic arrives.
    Local,
}

/// Whether one client keeps to one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SessionAffinity {
    /// No.
    #[default]
    #[serde(alias = "")]
    None,
    /// Yes, by its address.
    ClientIP,
}

/// What is wanted of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// Type.
    pub r#type: ServiceType,
    /// Labels of the Pods behind it; empty where somebody else writes the endpoints.
    pub selector: std::collections::BTreeMap<String, String>,
    /// First cluster IP; `None` for a headless Service, empty where one is to be chosen.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// All cluster IPs.
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<String>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// The name that an `ExternalName` stands for.
    pub external_name: String,
    /// Further addresses that nodes take traffic for.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<IpAddr>,
    /// Session affinity.
    pub session_affinity: SessionAffinity,
    /// Its settings.
    pub session_affinity_config: Option<SessionAffinityConfig>,
    /// Endpoints for traffic from outside.
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Endpoints for traffic from inside.
    pub internal_traffic_policy: Option<TrafficPolicy>,
    /// Port on each node that tells load balancers whether it has endpoints; 0 for none.
    pub health_check_node_port: u16,
    /// Clients that may use the load balancer.
    pub load_balancer_source_ranges: Vec<String>,
    /// The address that is asked of the load balancer.
    #[serde(rename = "loadBalancerIP")]
    pub load_balancer_ip: Option<String>,
    /// Whose load balancer is meant; the cluster's own where absent.
    pub load_balancer_class: Option<String>,
    /// Whether a load balancer needs node ports; absent for yes.
    pub allocate_load_balancer_node_ports: Option<bool>,
    /// Whether endpoints count before they are ready.
    pub publish_not_ready_addresses: bool,
    /// `PreferClose` and its like.
    pub traffic_distribution: Option<String>,
}

/// Settings of the session affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionAffinityConfig {
    /// By client address.
    #[serde(rename = "clientIP")]
    pub client_ip: Option<ClientIpConfig>,
}

/// Settings of the affinity by client address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientIpConfig {
    /// How long a client keeps its endpoint, in seconds; 10800 where absent.
    pub timeout_seconds: Option<u32>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Name; empty only where there is one port.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Port number clients use.
    pub port: u16,
    /// Port number or name of the containers; the port itself where absent.
    pub target_port: Option<Value>,
    /// Port of the nodes; 0 for none.
    pub node_port: u16,
    /// Hint about the protocol above.
    pub app_protocol: Option<String>,
}

/// What is there of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// The load balancer.
    pub load_balancer: LoadBalancerStatus,
}

/// A load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancerStatus {
    /// Ways in.
    pub ingress: Vec<LoadBalancerIngress>,
}

/// A way into a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoadBalancerIngress {
    /// Address.
    pub ip: Option<IpAddr>,
    /// `VIP` or `Proxy`.
    pub ip_mode: Option<String>,
    /// Name, where there is no address.
    pub hostname: Option<String>,
}

/// Endpoints of one Service in one address family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// Metadata; the label `kubernetes.io/service-name` names the Service.
    pub metadata: ObjectMeta,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub address_type: String,
    /// Endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Ports of every endpoint.
    pub ports: Vec<EndpointPort>,
}

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Addresses; only the first one is used.
    pub addresses: Vec<String>,
    /// Conditions.
    pub conditions: EndpointConditions,
    /// Host name for DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The node it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// The Pod behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<ObjectReference>,
    /// Zone of its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Where it had best be used from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hints: Option<EndpointHints>,
}

/// Where an endpoint had best be used from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointHints {
    /// Zones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub for_zones: Vec<ForZone>,
    /// Nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub for_nodes: Vec<ForNode>,
}

/// A node on which an endpoint had best be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForNode {
    /// Name of the node.
    pub name: String,
}

/// A zone in which an endpoint had best be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForZone {
    /// Name of the zone.
    pub name: String,
}

/// Conditions of an endpoint; absent stands for `true`, for `terminating` for `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointConditions {
    /// Whether it takes traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Whether it answers, even while it terminates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<bool>,
    /// Whether it terminates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating: Option<bool>,
}

/// A port of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointPort {
    /// Name.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Number; absent for every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Hint about the protocol above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

/// An object that another one speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    /// Kind.
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// The older form of a Service's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoints {
    /// Metadata; the name is the Service's.
    pub metadata: ObjectMeta,
    /// Subsets.
    pub subsets: Vec<EndpointSubset>,
}

/// Endpoints with the same ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSubset {
    /// Ready endpoints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<EndpointAddress>,
    /// Endpoints that are not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ready_addresses: Vec<EndpointAddress>,
    /// Ports of all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<EndpointPort>,
}

/// An endpoint of the older form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointAddress {
    /// Address.
    pub ip: String,
    /// Host name for DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The node it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// The Pod behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<ObjectReference>,
}

/// The label by which a slice names its Service (`discoveryv1.LabelServiceName`).
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

impl Service {
    /// Whether it has no address of its own (`clusterIP: None`).
    pub fn is_headless(&self) -> bool {
        self.spec.cluster_ip == "None"
    }

    /// Its cluster IPs in order; none for a headless Service or an `ExternalName`.
    pub fn cluster_ips(&self) -> Vec<IpAddr> {
        let all = &self.spec.cluster_ips;
        let texts = if all.is_empty() { std::slice::from_ref(&self.spec.cluster_ip) } else { all };
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

impl EndpointSlice {
    /// Name of the Service it belongs to.
    pub fn service(&self) -> Option<&str> {
        self.metadata.labels.get(SERVICE_NAME_LABEL).map(String::as_str)
    }
}

impl Endpoint {
    /// Whether it takes traffic: absent stands for yes.
    pub fn is_ready(&self) -> bool {
        self.conditions.ready.unwrap_or(true)
    }
}

impl Endpoints {
    /// The slices that the mirroring controller makes of them, one for each subset.
    pub fn mirrored(&self) -> impl Iterator<Item = EndpointSlice> + '_ {
        let mut metadata = self.metadata.clone();
        metadata.labels.insert(SERVICE_NAME_LABEL.to_owned(), self.metadata.name.clone());
        self.subsets.iter().map(move |subset| EndpointSlice {
            metadata: metadata.clone(),
            address_type: "IPv4".to_owned(),
            endpoints: subset
                .addresses
                .iter()
                .map(|address| address.endpoint(true))
                .chain(subset.not_ready_addresses.iter().map(|address| address.endpoint(false)))
                .collect(),
            ports: subset.ports.clone(),
        })
    }
}

impl EndpointAddress {
    fn endpoint(&self, ready: bool) -> Endpoint {
        Endpoint {
            addresses: vec![self.ip.clone()],
            conditions: EndpointConditions { ready: Some(ready), serving: None, terminating: None },
            hostname: self.hostname.clone(),
            node_name: self.node_name.clone(),
            target_ref: self.target_ref.clone(),
            ..Endpoint::default()
        }
    }
}
