//! A port of a Service as kube-proxy sees it (`BaseServicePortInfo`, and `servicePortInfo` of its iptables mode).

use super::Family;
use crate::api::{Protocol, Service, ServicePort, ServiceType, SessionAffinity, TrafficPolicy};
use data_encoding::BASE32;
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Seconds that a client keeps its endpoint where nothing else is said (`DefaultClientIPServiceAffinitySeconds`).
const AFFINITY_SECONDS: u32 = 10800;

/// A port of a Service.
#[derive(Clone, Debug)]
pub(super) struct Port<'a> {
    pub(super) service: &'a Service,
    pub(super) spec: &'a ServicePort,
    pub(super) cluster_ip: IpAddr,
    pub(super) external_ips: Vec<IpAddr>,
    pub(super) load_balancer_ips: Vec<IpAddr>,
    pub(super) source_ranges: Vec<&'a str>,
}

/// `tcp`, `udp` or `sctp`.
pub(super) fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

impl<'a> Port<'a> {
    /// The ports of a Service; none for one without an address of this family.
    pub(super) fn all(service: &'a Service, family: Family) -> Vec<Self> {
        let spec = &service.spec;
        let cluster_ip = service.cluster_ips().into_iter().find(|&ip| family.has(ip));
        let Some(cluster_ip) = cluster_ip.filter(|_| spec.r#type != ServiceType::ExternalName) else {
            return Vec::new();
        };
        let ingress = service.status.load_balancer.ingress.iter();
        let vips = ingress.filter(|way| way.ip_mode.as_deref().is_none_or(|mode| mode == "VIP"));
        let load_balancer_ips: Vec<IpAddr> =
            vips.filter_map(|way| way.ip).filter(|&ip| family.has(ip)).collect();
        let external_ips: Vec<IpAddr> =
            spec.external_ips.iter().copied().filter(|&ip| family.has(ip)).collect();
        let ranges = spec.load_balancer_source_ranges.iter().map(|range| range.trim());
        let source_ranges: Vec<&str> =
            ranges.filter(|range| range.contains(':') == (family == Family::V6)).collect();
        let port = |port| Self {
            service,
            spec: port,
            cluster_ip,
            external_ips: external_ips.clone(),
            load_balancer_ips: load_balancer_ips.clone(),
            source_ranges: source_ranges.clone(),
        };
        spec.ports.iter().map(port).collect()
    }

    /// `namespace/name:port`, or `namespace/name` for a port without a name (`ServicePortName`).
    pub(super) fn name(&self) -> String {
        let metadata = &self.service.metadata;
        let port = if self.spec.name.is_empty() { String::new() } else { format!(":{}", self.spec.name) };
        format!("{}/{}{port}", metadata.namespace, metadata.name)
    }

    /// Protocol as rules name it.
    pub(super) fn protocol(&self) -> &'static str {
        protocol_name(self.spec.protocol)
    }

    /// Chain of this port with `prefix`; the endpoint where it is the endpoint's own chain
    /// (`portProtoHash`, `servicePortEndpointChainName`).
    pub(super) fn chain(&self, prefix: &str, endpoint: &str) -> String {
        let hash = Sha256::digest(format!("{}{}{endpoint}", self.name(), self.protocol()));
        format!("{prefix}{}", &BASE32.encode(&hash)[..16])
    }

    /// Whether traffic to the cluster IP stays on its node.
    pub(super) fn is_internal_local(&self) -> bool {
        self.service.spec.internal_traffic_policy == Some(TrafficPolicy::Local)
    }

    /// Whether traffic from outside stays on the node where it arrives.
    pub(super) fn is_external_local(&self) -> bool {
        self.service.spec.external_traffic_policy == Some(TrafficPolicy::Local)
    }

    /// Whether there is a way in from outside (`ExternallyAccessible`).
    pub(super) fn is_external(&self) -> bool {
        self.spec.node_port != 0 || !self.load_balancer_ips.is_empty() || !self.external_ips.is_empty()
    }

    /// `UsesClusterEndpoints`.
    pub(super) fn uses_cluster_endpoints(&self) -> bool {
        !self.is_internal_local() || self.is_external()
    }

    /// `UsesLocalEndpoints`.
    pub(super) fn uses_local_endpoints(&self) -> bool {
        self.is_internal_local() || (self.is_external_local() && self.is_external())
    }

    /// How long a client keeps its endpoint, where it does.
    pub(super) fn sticky_seconds(&self) -> Option<u32> {
        let spec = &self.service.spec;
        let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
        let seconds = config.and_then(|config| config.timeout_seconds).unwrap_or(AFFINITY_SECONDS);
        (spec.session_affinity == SessionAffinity::ClientIP).then_some(seconds)
    }
}
