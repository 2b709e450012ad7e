//! The mesh's control plane at work: it signs certificates for workloads, and tells proxies what
//! [`crate::cluster::mesh`] decides.

use super::control::ControlPlane;
use super::store::{PodEntry, PodKey};
use super::world::World;
use crate::api::{Endpoint, EndpointSlice, Protocol, Service};
use crate::base::{Ipv4Addr, NetnsId};
use crate::cluster::mesh::{self, Certificate, Mode, Policies, Route, Spoken, TRUST_DOMAIN};
use crate::tls::{Authority, Credentials};
use crate::trace::ObjectRow;
use serde_json::Value;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Arc;

/// How long a workload's certificate holds, in seconds (`DEFAULT_WORKLOAD_CERT_TTL`).
const WORKLOAD_TTL: i64 = 86_400;
/// How long ago an expired one has ended.
const EXPIRED: i64 = -3_600;

/// What the control plane keeps: its authority, made when the first certificate is asked for, and that of another mesh.
#[derive(Clone, Debug, Default)]
pub(super) struct Mesh {
    authority: Option<Authority>,
    foreign: Option<Authority>,
}

fn authority<'m>(
    place: &'m mut Option<Authority>,
    world: &mut dyn World,
) -> Result<&'m mut Authority, String> {
    let made = match place.take() {
        Some(known) => known,
        None => Authority::new(TRUST_DOMAIN, world.rng().u64(..), world.now())?,
    };
    Ok(place.insert(made))
}

impl ControlPlane {
    /// Puts a sidecar into a Pod that asks for one; whether it did.
    pub(super) fn inject_sidecar(&self, namespace: &str, pod: &mut Value) -> bool {
        let labels = self.object("Namespace", "", namespace).map(|row| row.labels()).unwrap_or_default();
        let wants = mesh::wants_sidecar(pod, &labels);
        if wants {
            mesh::inject(pod);
        }
        wants
    }

    fn pod_in(&self, netns: NetnsId) -> Option<(&PodKey, &PodEntry)> {
        self.store.pods.iter().find(|(_, entry)| entry.netns == Some(netns))
    }

    /// Signs a certificate for the Pod in this network namespace.
    pub(super) fn issue_credentials(
        &mut self,
        world: &mut dyn World,
        netns: NetnsId,
    ) -> Result<Arc<Credentials>, String> {
        let (key, entry) = self.pod_in(netns).ok_or("no Pod is there")?;
        let account = entry.pod.spec.service_account_name.as_deref().filter(|name| !name.is_empty());
        let spiffe = mesh::spiffe(&key.namespace, account.unwrap_or("default"));
        let asked = Certificate::asked(&entry.pod.metadata.annotations);
        let now = world.now();
        let own = authority(&mut self.mesh.authority, world)?;
        let signed = match asked {
            Certificate::Valid => own.issue(&spiffe, now, WORKLOAD_TTL)?,
            Certificate::Expired => own.issue(&spiffe, now, EXPIRED)?,
            Certificate::Foreign => {
                let foreign = authority(&mut self.mesh.foreign, world)?;
                foreign.issue(&spiffe, now, WORKLOAD_TTL)?.trusting(own)
            }
        };
        Ok(Arc::new(signed))
    }

    /// The mode at a port of the Pod in this network namespace.
    pub(super) fn mode_at(&self, netns: NetnsId, port: u16) -> Mode {
        self.pod_in(netns).map_or_else(Mode::default, |(key, entry)| self.mode_of(key, entry, port))
    }

    fn mode_of(&self, key: &PodKey, entry: &PodEntry, port: u16) -> Mode {
        let mut rows: Vec<&ObjectRow> = self.objects_of("PeerAuthentication").map(|row| &**row).collect();
        // Objects come in the order of their names; the oldest goes first.
        rows.sort_by_key(|row| row.created);
        let policies = rows.iter().map(|row| (&*row.key.namespace, &*row.value));
        mesh::mode(&policies, (&key.namespace, &entry.pod.metadata.labels), port)
    }

    /// The policies of authorization of the Pod in this network namespace.
    pub(super) fn policies_at(&self, netns: NetnsId) -> Policies {
        let Some((key, entry)) = self.pod_in(netns) else { return Policies::default() };
        let rows = self.objects_of("AuthorizationPolicy").map(|row| (&*row.key.namespace, &*row.value));
        Policies::of(rows, (&key.namespace, &entry.pod.metadata.labels))
    }

    /// Where the mesh sends what goes to this address: to the endpoints of the Service that has it.
    pub(super) fn route_of(&self, to: SocketAddrV4) -> Route {
        for service in self.services.all() {
            let is_headless = service.spec.cluster_ip == "None";
            let ours = service.cluster_ips().contains(&IpAddr::V4(*to.ip()));
            if !ours && !is_headless {
                continue;
            }
            for port in &service.spec.ports {
                if port.protocol != Protocol::Tcp || (ours && port.port != to.port()) {
                    continue;
                }
                let name = port.name.as_str();
                let spoken = Spoken::of(port.app_protocol.as_deref(), name, port.port);
                let mut ends = self.endpoints_at(service, name);
                if is_headless {
                    ends.retain(|(end, _)| *end == to);
                    if ends.is_empty() {
                        continue;
                    }
                }
                return Route::Service(ends, spoken);
            }
        }
        Route::Passthrough
    }

    /// The ready endpoints of a Service's port, each with whether it takes mutual TLS.
    fn endpoints_at(&self, service: &Service, port: &str) -> Vec<(SocketAddrV4, bool)> {
        let metadata = &service.metadata;
        let own = |slice: &&EndpointSlice| {
            slice.metadata.namespace == metadata.namespace && slice.service() == Some(&metadata.name)
        };
        let mut ends = Vec::new();
        for slice in self.services.slices().filter(own) {
            let number = slice.ports.iter().find(|one| one.name == port);
            let Some(number) = number.and_then(|one| one.port) else { continue };
            for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.is_ready()) {
                if let Some(ip) = address(endpoint) {
                    ends.push((SocketAddrV4::new(ip, number), self.takes_mtls(ip, number)));
                }
            }
        }
        ends
    }

    /// Automatic mutual TLS: to a workload with a sidecar, unless its policy says otherwise.
    fn takes_mtls(&self, ip: Ipv4Addr, port: u16) -> bool {
        let pods = self
            .store
            .pods
            .iter()
            .find(|(_, entry)| entry.address() == Some(ip) && !entry.pod.spec.host_network);
        pods.is_some_and(|(key, entry)| {
            mesh::speaks_mtls(&entry.pod.metadata.labels) && self.mode_of(key, entry, port) != Mode::Disable
        })
    }
}

fn address(endpoint: &Endpoint) -> Option<Ipv4Addr> {
    endpoint.addresses.first()?.parse().ok()
}
