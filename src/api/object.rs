//! Any object of a manifest.

use super::{
    AdminNetworkPolicy, Cluster, EndpointSlice, Endpoints, NetworkPolicy, Node, ObjectMeta, Pod, Service,
};
use serde_json::Value;

/// An object of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A Pod.
    Pod(Box<Pod>),
    /// A Node.
    Node(Box<Node>),
    /// The cluster document.
    Cluster(Box<Cluster>),
    /// A Service.
    Service(Box<Service>),
    /// Endpoints of a Service.
    EndpointSlice(Box<EndpointSlice>),
    /// Endpoints of a Service in their older form.
    Endpoints(Box<Endpoints>),
    /// A network policy.
    NetworkPolicy(Box<NetworkPolicy>),
    /// A policy of the administrators.
    AdminNetworkPolicy(Box<AdminNetworkPolicy>),
    /// A valid object of a kind that is kept as it is.
    Other(Box<Unsimulated>),
}

/// An object that is accepted and kept, and does nothing in the simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsimulated {
    /// Group and version, as `apps/v1`.
    pub api_version: String,
    /// Kind, as `Deployment`.
    pub kind: String,
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The whole object.
    pub raw: Value,
}

impl Object {
    /// Group and version, as `v1` or `apps/v1`.
    pub fn api_version(&self) -> &str {
        match self {
            Self::Pod(_) | Self::Node(_) | Self::Service(_) | Self::Endpoints(_) => "v1",
            Self::EndpointSlice(_) => "discovery.k8s.io/v1",
            Self::NetworkPolicy(_) => "networking.k8s.io/v1",
            Self::AdminNetworkPolicy(_) => "policy.networking.k8s.io/v1alpha1",
            Self::Cluster(_) => Cluster::API_VERSION,
            Self::Other(other) => &other.api_version,
        }
    }

    /// Kind, as `Pod`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Pod(_) => "Pod",
            Self::Node(_) => "Node",
            Self::Cluster(_) => "Cluster",
            Self::Service(_) => "Service",
            Self::EndpointSlice(_) => "EndpointSlice",
            Self::Endpoints(_) => "Endpoints",
            Self::NetworkPolicy(_) => "NetworkPolicy",
            Self::AdminNetworkPolicy(policy) => policy.tier.kind(),
            Self::Other(other) => &other.kind,
        }
    }

    /// Metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Pod(pod) => &pod.metadata,
            Self::Node(node) => &node.metadata,
            Self::Cluster(cluster) => &cluster.metadata,
            Self::Service(service) => &service.metadata,
            Self::EndpointSlice(slice) => &slice.metadata,
            Self::Endpoints(endpoints) => &endpoints.metadata,
            Self::NetworkPolicy(policy) => &policy.metadata,
            Self::AdminNetworkPolicy(policy) => &policy.metadata,
            Self::Other(other) => &other.metadata,
        }
    }
}
