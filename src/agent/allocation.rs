//! What a Service asks for itself and cannot have (`pkg/registry/core/service/storage/alloc.go`).

use super::control::ControlPlane;
use crate::api::{ApiError, Service};
use serde_json::json;
use std::net::IpAddr;

impl ControlPlane {
    /// Refuses a Service whose addresses or ports of the nodes are another's, or lie outside of their ranges.
    pub(super) fn check_allocation(&self, service: &Service) -> Result<(), ApiError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let (own, range) = (&service.metadata, cluster.network.service_cidr);
        let others = || {
            let is_other = |other: &&std::sync::Arc<Service>| {
                (&other.metadata.namespace, &other.metadata.name) != (&own.namespace, &own.name)
            };
            self.services.all().filter(is_other)
        };
        let mut errors = Vec::new();
        for ip in service.cluster_ips() {
            let IpAddr::V4(v4) = ip else { continue };
            let why = if !range.contains(&v4) {
                format!(
                    "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {}",
                    range.trunc()
                )
            } else if others().any(|other| other.cluster_ips().contains(&ip)) {
                "provided IP is already allocated".to_owned()
            } else {
                continue;
            };
            let shown = json!([ip.to_string()]);
            errors
                .push(format!("spec.clusterIPs: Invalid value: {shown}: failed to allocate IP {ip}: {why}"));
        }
        for (index, port) in service.spec.ports.iter().enumerate().filter(|(_, port)| port.node_port != 0) {
            let taken = others()
                .flat_map(|other| &other.spec.ports)
                .any(|other| (other.node_port, other.protocol) == (port.node_port, port.protocol));
            if taken {
                let number = port.node_port;
                errors.push(format!(
                    "spec.ports[{index}].nodePort: Invalid value: {number}: provided port is already allocated"
                ));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("Service", &own.name, &errors)) }
    }
}
