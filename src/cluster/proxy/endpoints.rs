//! Which endpoints a port may use (`CategorizeEndpoints` of `pkg/proxy/topology.go`).

use super::service::Port;
use super::{Config, Watched};
use crate::api::{Endpoint, EndpointSlice};
use std::net::IpAddr;

/// An endpoint of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the conditions of an endpoint, each apart in the API"
)]
pub(super) struct Target {
    /// Address.
    pub(super) ip: IpAddr,
    /// `address:port`, by which endpoints are sorted and named.
    pub(super) text: String,
    ready: bool,
    serving: bool,
    terminating: bool,
    local: bool,
    zones: Vec<String>,
}

/// The endpoints of a port by what they serve for.
#[derive(Clone, Debug, Default)]
pub(super) struct Categories {
    /// For the traffic policy `Cluster`.
    pub(super) cluster: Vec<Target>,
    /// For the traffic policy `Local`.
    pub(super) local: Vec<Target>,
    /// All that this node may send to.
    pub(super) reachable: Vec<Target>,
    /// Whether there is any endpoint anywhere.
    pub(super) any: bool,
}

/// The endpoints of `port` in the order of their text.
fn targets(port: &Port<'_>, watched: Watched<'_>, config: &Config) -> Vec<Target> {
    let metadata = &port.service.metadata;
    let own = |slice: &&&EndpointSlice| {
        slice.metadata.namespace == metadata.namespace && slice.service() == Some(&metadata.name)
    };
    let mut found: Vec<Target> = Vec::new();
    for slice in watched.slices.iter().filter(own) {
        let numbers = slice
            .ports
            .iter()
            .filter(|at| at.name == port.spec.name && at.protocol == port.spec.protocol && at.port.is_some());
        for number in numbers.filter_map(|at| at.port) {
            let new = slice.endpoints.iter().filter_map(|endpoint| target(endpoint, number, port, config));
            found.extend(new);
        }
    }
    found.sort_by(|a, b| a.text.cmp(&b.text));
    found.dedup_by(|a, b| a.text == b.text);
    found
}

fn target(endpoint: &Endpoint, number: u16, port: &Port<'_>, config: &Config) -> Option<Target> {
    let ip: IpAddr = endpoint.addresses.first()?.parse().ok().filter(|&ip| config.family.has(ip))?;
    let conditions = endpoint.conditions;
    let publish = port.service.spec.publish_not_ready_addresses;
    let ready = conditions.ready.unwrap_or(true) || publish;
    Some(Target {
        ip,
        text: std::net::SocketAddr::new(ip, number).to_string(),
        ready,
        serving: conditions.serving.unwrap_or(ready),
        terminating: conditions.terminating.unwrap_or(false),
        local: endpoint.node_name.as_deref() == Some(&*config.node),
        zones: endpoint
            .hints
            .iter()
            .flat_map(|hints| &hints.for_zones)
            .map(|zone| zone.name.clone())
            .collect(),
    })
}

/// Sorts the endpoints of `port`.
pub(super) fn categorize(port: &Port<'_>, watched: Watched<'_>, config: &Config) -> Categories {
    let all = targets(port, watched, config);
    let mut out = Categories::default();
    let keep =
        |wanted: &dyn Fn(&Target) -> bool| all.iter().filter(|at| wanted(at)).cloned().collect::<Vec<_>>();
    let ending = |at: &Target| at.serving && at.terminating;
    if port.uses_cluster_endpoints() {
        let zone = zone_in_use(&all, config);
        out.cluster = keep(&|at| at.ready && zone.is_none_or(|zone| at.zones.iter().any(|its| its == zone)));
        // What terminates serves only where nothing is ready.
        if out.cluster.is_empty() {
            out.cluster = keep(&ending);
        }
        out.any = !out.cluster.is_empty();
    }
    if !port.uses_local_endpoints() {
        out.reachable.clone_from(&out.cluster);
        return out;
    }
    out.local = keep(&|at| at.ready && at.local);
    if out.local.is_empty() {
        out.local = keep(&|at| ending(at) && at.local);
    }
    out.any = out.any || all.iter().any(|at| at.ready || ending(at));
    out.reachable.clone_from(&out.cluster);
    let missing = out.local.iter().filter(|at| !out.cluster.contains(at)).cloned();
    let missing: Vec<Target> = missing.collect();
    out.reachable.extend(missing);
    out
}

/// The zone that the hints keep traffic in: this node's, where every ready endpoint has a hint and one is for it
/// (`topologyModeFromHints`).
fn zone_in_use<'c>(all: &[Target], config: &'c Config) -> Option<&'c str> {
    let zone = config.zone.as_deref()?;
    let mut ready = all.iter().filter(|at| at.ready).peekable();
    ready.peek()?;
    let hinted = all.iter().filter(|at| at.ready).all(|at| !at.zones.is_empty());
    let here = all.iter().any(|at| at.ready && at.zones.iter().any(|its| its == zone));
    (hinted && here).then_some(zone)
}
