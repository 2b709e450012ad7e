//! What the control plane decides about Services: their addresses and ports, and the endpoints behind them.

use crate::api::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, ForNode, ForZone, ObjectReference, Pod,
    Service, ServicePort,
};
use crate::base::{Ipv4Addr, Ipv4Net, Rng};
use serde_json::Value;
use std::collections::BTreeSet;

/// The ports of nodes that are handed out (`--service-node-port-range`).
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// Where the addresses begin that are handed out by chance; those before are kept for users who name one
/// (`ipallocator`, KEP-3070): between 16 and 256 of the range.
fn offset(size: u32) -> u32 {
    (size / 16).clamp(16, 256).min(size.saturating_sub(1))
}

/// A free cluster IP of `range`; `None` where all are taken.
pub fn allocate_cluster_ip(range: Ipv4Net, taken: &BTreeSet<Ipv4Addr>, rng: &mut Rng) -> Option<Ipv4Addr> {
    let base = u32::from(range.network());
    // Neither the network's own address nor the last one is handed out.
    let size = u32::from(range.broadcast()) - base - 1;
    let offset = offset(size);
    let upper = size - offset;
    let start = if upper > 0 { rng.u32(..upper) } else { 0 };
    let by_chance = (0..upper).map(|step| offset + 1 + (start + step) % upper);
    let candidates = by_chance.chain(1..=offset);
    candidates.map(|at| Ipv4Addr::from(base + at)).find(|ip| !taken.contains(ip))
}

/// A free port of the nodes; `None` where all are taken.
pub fn allocate_node_port(taken: &BTreeSet<u16>, rng: &mut Rng) -> Option<u16> {
    let (first, last) = (u32::from(*NODE_PORTS.start()), u32::from(*NODE_PORTS.end()));
    let size = last - first + 1;
    let start = rng.u32(..size);
    (0..size).map(|step| (first + (start + step) % size) as u16).find(|port| !taken.contains(port))
}

/// A Pod as the endpoint controller sees it.
#[derive(Clone, Debug)]
pub struct PodView<'a> {
    /// The object.
    pub pod: &'a Pod,
    /// Its identity.
    pub uid: &'a str,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its node.
    pub node: &'a str,
    /// The zone of that node.
    pub zone: Option<&'a str>,
    /// Whether its condition `Ready` is true.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// Whether the labels of a Pod are those that the Service looks for. A Service without selector looks for none.
pub fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = &service.spec.selector;
    !selector.is_empty()
        && service.metadata.namespace == pod.metadata.namespace
        && selector.iter().all(|(key, value)| pod.metadata.labels.get(key) == Some(value))
}

/// The ports of the Service that this Pod has; a name is looked up among its containers' ports.
pub(super) fn ports_of(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let port = |port: &ServicePort| {
        let number = target_port(port, pod)?;
        Some(EndpointPort {
            name: port.name.clone(),
            protocol: port.protocol,
            port: Some(number),
            app_protocol: port.app_protocol.clone(),
        })
    };
    service.spec.ports.iter().filter_map(port).collect()
}

/// `podutil.FindPort`.
fn target_port(port: &ServicePort, pod: &Pod) -> Option<u16> {
    match &port.target_port {
        Some(Value::String(name)) if !name.is_empty() => {
            let ports = pod.spec.containers.iter().flat_map(|container| &container.ports);
            let named = ports.filter(|at| at.name.as_deref() == Some(name) && at.protocol == port.protocol);
            named.map(|at| at.container_port).next()
        }
        Some(Value::Number(number)) if number.as_u64() != Some(0) => number.as_u64()?.try_into().ok(),
        _ => Some(port.port),
    }
}

pub(super) fn endpoint(service: &Service, view: &PodView<'_>) -> Endpoint {
    let (metadata, spec) = (&view.pod.metadata, &view.pod.spec);
    let named = spec.subdomain.as_deref() == Some(&*service.metadata.name);
    Endpoint {
        addresses: vec![view.ip.to_string()],
        conditions: EndpointConditions {
            ready: Some(service.spec.publish_not_ready_addresses || (view.ready && !view.terminating)),
            serving: Some(view.ready),
            terminating: Some(view.terminating),
        },
        hostname: spec.hostname.clone().filter(|_| named),
        node_name: Some(view.node.to_owned()),
        zone: view.zone.map(str::to_owned),
        hints: hints(service, view),
        target_ref: Some(ObjectReference {
            kind: "Pod".to_owned(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
            uid: view.uid.to_owned(),
        }),
    }
}

/// Where an endpoint had best be used, as `trafficDistribution` asks: in its zone, or on its node
/// (`pkg/controller/endpointslice/topologycache`, `ReconcileHints`).
fn hints(service: &Service, view: &PodView<'_>) -> Option<EndpointHints> {
    if super::topology::is_auto(service) {
        return None;
    }
    let zones = || view.zone.iter().map(|zone| ForZone { name: (*zone).to_owned() }).collect::<Vec<_>>();
    let hints = match service.spec.traffic_distribution.as_deref()? {
        "PreferClose" | "PreferSameZone" => EndpointHints { for_zones: zones(), for_nodes: Vec::new() },
        "PreferSameNode" => {
            EndpointHints { for_zones: zones(), for_nodes: vec![ForNode { name: view.node.to_owned() }] }
        }
        _ => return None,
    };
    (hints != EndpointHints::default()).then_some(hints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_handed_out_above_those_that_users_name() {
        let range: Ipv4Net = "10.96.0.0/24".parse().unwrap();
        let mut rng = Rng::with_seed(1);
        let mut taken = BTreeSet::new();
        for _ in 0..238 {
            let ip = allocate_cluster_ip(range, &taken, &mut rng).unwrap();
            assert!(ip.octets()[3] > 16, "{ip}");
            taken.insert(ip);
        }
        let mut last = BTreeSet::new();
        while let Some(ip) = allocate_cluster_ip(range, &taken, &mut rng) {
            taken.insert(ip);
            last.insert(ip.octets()[3]);
        }
        assert_eq!((last.first(), last.last(), taken.len()), (Some(&1), Some(&16), 254));
    }
}
