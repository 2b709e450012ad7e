//! What a Service asks for itself and cannot have (`pkg/registry/core/service/storage/alloc.go`).

use super::control::ControlPlane;
use crate::api::{ApiError, Service};
use crate::manifest::families;
use serde_json::{Value, json};
use std::net::IpAddr;

impl ControlPlane {
    /// Refuses a Service that asks for families of addresses which the cluster does not have; `old` is what it was before.
    pub(super) fn settle_families(&self, service: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
        if service["kind"] != "Service" || self.cluster.is_none() {
            return Ok(());
        }
        let found = families::settle(service, old, &families::GIVEN);
        let told =
            |(path, shown, why): &families::Objection| format!("{path}: Invalid value: {shown}: {why}");
        let errors: Vec<String> = found.iter().map(told).collect();
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("Service", name, &errors)) }
    }

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
        let refused = |error: String| Err(ApiError::invalid("Service", &own.name, &[error]));
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
            return refused(format!(
                "spec.clusterIPs: Invalid value: {shown}: failed to allocate IP {ip}: {why}"
            ));
        }
        // A port of the nodes is given out once, whatever is spoken there.
        let is_taken = |port: u16| {
            let held = |other: &std::sync::Arc<Service>| {
                other.spec.health_check_node_port == port
                    || other.spec.ports.iter().any(|other| other.node_port == port)
            };
            port != 0 && others().any(held)
        };
        let ports = service.spec.ports.iter().map(|port| port.node_port);
        if let Some((index, number)) = ports.enumerate().find(|(_, port)| is_taken(*port)) {
            return refused(format!(
                "spec.ports[{index}].nodePort: Invalid value: {number}: provided port is already allocated"
            ));
        }
        let check = service.spec.health_check_node_port;
        if is_taken(check) {
            let why = format!(
                "failed to allocate requested HealthCheck NodePort {check}: provided port is already allocated"
            );
            return Err(ApiError::internal(&why));
        }
        Ok(())
    }
}
