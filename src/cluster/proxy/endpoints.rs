//! Which endpoints a port may use (`CategorizeEndpoints` of `pkg/proxy/topology.go`).

use super::service::Port;
use super::{Config, Watched};
use crate::api::{Endpoint, Service};
use std::collections::BTreeSet;
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
    nodes: Vec<String>,
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
fn targets<'a>(port: &Port<'a>, watched: &Watched<'a>, config: &Config) -> Vec<Target> {
    let mut found: Vec<Target> = Vec::new();
    for slice in watched.slices_of(port.service) {
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
        nodes: endpoint
            .hints
            .iter()
            .flat_map(|hints| &hints.for_nodes)
            .map(|node| node.name.clone())
            .collect(),
    })
}

/// How many endpoints of a Service are ready on this node, by their addresses (`LocalReadyEndpoints`).
pub fn local_ready<'a>(config: &Config, watched: &Watched<'a>, service: &'a Service) -> usize {
    let ports = Port::all(service, config.family);
    let all = ports.iter().flat_map(|port| targets(port, watched, config));
    let ready = all.filter(|target| target.ready && target.local);
    ready.map(|target| target.ip).collect::<BTreeSet<_>>().len()
}

/// The endpoints of `port` on this node, whether they are ready or not.
pub(super) fn local_targets(port: &Port<'_>, watched: &Watched<'_>, config: &Config) -> Vec<Target> {
    let mut all = targets(port, watched, config);
    all.retain(|target| target.local);
    all
}

/// Sorts the endpoints of `port`.
pub(super) fn categorize<'a>(port: &Port<'a>, watched: &Watched<'a>, config: &Config) -> Categories {
    let all = targets(port, watched, config);
    let mut out = Categories::default();
    let keep =
        |wanted: &dyn Fn(&Target) -> bool| all.iter().filter(|at| wanted(at)).cloned().collect::<Vec<_>>();
    let ending = |at: &Target| at.serving && at.terminating;
    if port.uses_cluster_endpoints() {
        let topology = topology(&all, config);
        out.cluster = keep(&|at| at.ready && topology.allows(at));
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

/// What the hints keep traffic in.
enum Topology<'c> {
    Any,
    Zone(&'c str),
    Node(&'c str),
}

impl Topology<'_> {
    fn allows(&self, target: &Target) -> bool {
        match self {
            Self::Any => true,
            Self::Zone(zone) => target.zones.iter().any(|its| its == zone),
            Self::Node(node) => target.nodes.iter().any(|its| its == node),
        }
    }
}

/// This node, or this zone, where every ready endpoint has such a hint and one is for it (`topologyModeFromHints`).
fn topology<'c>(all: &[Target], config: &'c Config) -> Topology<'c> {
    let all_ready = |wanted: &dyn Fn(&Target) -> bool| all.iter().filter(|at| at.ready).all(wanted);
    let any_ready = |wanted: &dyn Fn(&Target) -> bool| all.iter().any(|at| at.ready && wanted(at));
    let node = Topology::Node(&config.node);
    if all_ready(&|at| !at.nodes.is_empty()) && any_ready(&|at| node.allows(at)) {
        return node;
    }
    let Some(zone) = config.zone.as_deref().map(Topology::Zone) else { return Topology::Any };
    if all_ready(&|at| !at.zones.is_empty()) && any_ready(&|at| zone.allows(at)) {
        zone
    } else {
        Topology::Any
    }
}
