//! Kubernetes objects as small serde structs, with the API's own names and fields
//! (<https://kubernetes.io/docs/reference/kubernetes-api/>), and vethscope's own `Cluster` document.
//!
//! Only what the simulation reads stands here; the manifest room keeps each object's whole JSON beside it, so nothing
//! of what the user wrote is lost.

mod admin_policy;
mod cluster;
mod kube_proxy;
mod meta;
mod node;
mod object;
mod pod;
mod policy;
pub mod processes;
mod request;
mod service;
mod workload;

pub use admin_policy::{
    AdminAction, AdminNetworkPolicy, AdminPeer, AdminPods, AdminPolicySpec, AdminPort, AdminPortNumber,
    AdminPortRange, AdminRule, AdminTier, NamespacedPods,
};
pub use cluster::{
    Autodetection, Backend, BridgeSpec, CalicoSpec, Cluster, ClusterSpec, Cni, Delays, DnsSpec,
    Encapsulation, ExternalSpec, GreSpec, InterfaceSpec, IpamSpec, NetworkSpec, Nic, NodeSpec, VxlanSpec,
    WrittenBridge, WrittenCalico, WrittenDns, WrittenExternal, WrittenFlannel, WrittenInterface, WrittenIpam,
    WrittenNetwork, WrittenNode, WrittenSpec, WrittenVxlan,
};
pub use kube_proxy::{KubeProxySpec, LocalTraffic, NodePortAddresses, ProxyMode};
pub use meta::{NamespacedName, ObjectMeta, OwnerReference};
pub use node::{
    Node, NodeAddress, NodeAddressType, NodeCondition, NodeResourceSpec, NodeStatus, NodeSystemInfo, Taint,
    TaintEffect,
};
pub use object::{Object, Unsimulated};
pub use pod::{
    Container, ContainerPort, ContainerState, ContainerStatus, DnsPolicy, EnvVar, HostAlias, HostIp,
    Lifecycle, Pod, PodCondition, PodDnsConfig, PodDnsConfigOption, PodIp, PodReadinessGate, PodSpec,
    PodStatus, Protocol, RestartPolicy, Toleration, VolumeMount,
};
pub use policy::{
    EgressRule, IngressRule, IpBlock, LabelOperator, LabelRequirement, LabelSelector, NetworkPolicy,
    NetworkPolicySpec, PolicyPeer, PolicyPort, PolicyType, PortRef,
};
pub use request::{ApiError, ApiRequest, PatchKind, Propagation};
pub use service::{
    ClientIpConfig, Endpoint, EndpointAddress, EndpointConditions, EndpointHints, EndpointPort,
    EndpointSlice, EndpointSubset, Endpoints, ForNode, ForZone, LoadBalancerIngress, LoadBalancerStatus,
    ObjectReference, SERVICE_NAME_LABEL, Service, ServicePort, ServiceSpec, ServiceStatus, ServiceType,
    SessionAffinity, SessionAffinityConfig, TrafficPolicy,
};
pub use workload::{Condition, Ordinals, RollingUpdate, Strategy, Workload, WorkloadSpec, WorkloadStatus};
