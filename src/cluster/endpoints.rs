//! The endpoints behind a Service, as its `EndpointSlices` (`k8s.io/endpointslice` `reconciler.go`) and in the older form
//! (`pkg/controller/endpoint`).

use super::services::{PodView, endpoint, ports_of};
use super::topology::is_auto;
use crate::api::{
    Endpoint, EndpointAddress, EndpointPort, EndpointSlice, EndpointSubset, ObjectMeta, OwnerReference,
    SERVICE_NAME_LABEL, Service,
};
use std::collections::BTreeMap;

/// Most endpoints in one slice (`--max-endpoints-per-slice`).
pub const MOST: usize = 100;
/// Most addresses in one object of the older form (`maxCapacity`).
const MOST_OLD: usize = 1000;
/// Label by which a controller marks the slices that it keeps.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// The controller that keeps the slices of Services with a selector.
pub const CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// Label of the endpoints of a Service without an address of its own.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What is to be done with the slices of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Slices under their present names whose content changes.
    pub changed: Vec<EndpointSlice>,
    /// New slices, still without names.
    pub new: Vec<EndpointSlice>,
    /// Names of slices that go.
    pub gone: Vec<String>,
}

/// Whether the controllers of endpoints look after this Service: it has a selector and addresses of its own Pods.
pub fn is_followed(service: &Service) -> bool {
    !service.spec.selector.is_empty() && service.spec.r#type != crate::api::ServiceType::ExternalName
}

/// What is to be done with the present slices of a Service, so that they hold the Pods that it selects: as few slices as
/// possible change, and there is always one, with nothing in it where nothing is selected.
pub fn plan(service: &Service, owner_uid: &str, present: &[EndpointSlice], pods: &[PodView<'_>]) -> Plan {
    let mut groups: Vec<(Vec<EndpointPort>, Vec<Endpoint>)> = Vec::new();
    for view in pods {
        let ports = ports_of(service, view.pod);
        if ports.is_empty() && !service.spec.ports.is_empty() {
            continue;
        }
        let endpoint = endpoint(service, view);
        match groups.iter_mut().find(|(known, _)| *known == ports) {
            Some((_, endpoints)) => endpoints.push(endpoint),
            None => groups.push((ports, vec![endpoint])),
        }
    }
    let metadata = metadata(service, owner_uid);
    let mut plan = Plan::default();
    let known = |slice: &&EndpointSlice| groups.iter().any(|(ports, _)| *ports == slice.ports);
    plan.gone.extend(present.iter().filter(|slice| !known(slice)).map(|slice| slice.metadata.name.clone()));
    for (ports, wanted) in &groups {
        let own: Vec<&EndpointSlice> = present.iter().filter(|slice| slice.ports == *ports).collect();
        plan_group((&metadata, is_auto(service)), (ports, wanted.clone()), &own, &mut plan);
    }
    if plan.new.is_empty() && plan.gone.len() == present.len() {
        plan.new.push(slice(&metadata, Vec::new(), Vec::new()));
    }
    // A slice that would go takes what a new one would hold, and keeps its name (`finalize`).
    while !plan.new.is_empty() && !plan.gone.is_empty() {
        let (mut new, name) = (plan.new.remove(0), plan.gone.remove(0));
        new.metadata.name = name;
        plan.changed.push(new);
    }
    plan.changed.retain(|slice| !present.contains(slice));
    plan
}

/// The slices for one set of ports (`reconcileByPortMapping`).
fn plan_group(
    (metadata, keeps_hints): (&ObjectMeta, bool),
    (ports, mut wanted): (&[EndpointPort], Vec<Endpoint>),
    present: &[&EndpointSlice],
    plan: &mut Plan,
) {
    let mut kept: Vec<(EndpointSlice, bool)> = Vec::new();
    for old in present {
        let mut new = slice(metadata, ports.to_vec(), Vec::new());
        new.metadata.name.clone_from(&old.metadata.name);
        for endpoint in &old.endpoints {
            if let Some(at) = wanted.iter().position(|other| is_same(other, endpoint)) {
                let mut fresh = wanted.remove(at);
                // Hints by topology mode stay while nothing else changes.
                let unhinted = Endpoint { hints: None, ..endpoint.clone() };
                if keeps_hints && fresh == unhinted {
                    fresh.hints.clone_from(&endpoint.hints);
                }
                new.endpoints.push(fresh);
            }
        }
        if new.endpoints.is_empty() && !old.endpoints.is_empty() {
            plan.gone.push(old.metadata.name.clone());
        } else {
            let changes = new != **old;
            kept.push((new, changes));
        }
    }
    // What is left goes into slices that change anyway, the fullest first,
    let mut by_room: Vec<usize> = (0..kept.len()).filter(|at| kept[*at].1).collect();
    by_room.sort_by_key(|at| std::cmp::Reverse(kept[*at].0.endpoints.len()));
    for at in by_room {
        let endpoints = &mut kept[at].0.endpoints;
        let room = MOST.saturating_sub(endpoints.len()).min(wanted.len());
        endpoints.extend(wanted.drain(..room));
    }
    // then as a whole into the one that it fills best, or else into new ones.
    while !wanted.is_empty() {
        let fits = |(slice, _): &&mut (EndpointSlice, bool)| slice.endpoints.len() + wanted.len() <= MOST;
        let fullest = kept.iter_mut().filter(fits).max_by_key(|(slice, _)| slice.endpoints.len());
        if let Some((slice, _)) = fullest {
            slice.endpoints.append(&mut wanted);
        } else {
            let taken = MOST.min(wanted.len());
            plan.new.push(slice(metadata, ports.to_vec(), wanted.drain(..taken).collect()));
        }
    }
    plan.changed.extend(kept.into_iter().map(|(slice, _)| slice));
}

/// Whether two endpoints are of the same Pod.
fn is_same(a: &Endpoint, b: &Endpoint) -> bool {
    a.addresses == b.addresses && a.target_ref == b.target_ref
}

fn slice(metadata: &ObjectMeta, ports: Vec<EndpointPort>, endpoints: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice { metadata: metadata.clone(), address_type: "IPv4".to_owned(), endpoints, ports }
}

/// The metadata of a Service's slices, without a name (`setEndpointSliceLabels`).
fn metadata(service: &Service, owner_uid: &str) -> ObjectMeta {
    let own = &service.metadata;
    let mut labels = own.labels.clone();
    labels.remove(HEADLESS);
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME_LABEL.to_owned(), own.name.clone());
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    ObjectMeta {
        generate_name: Some(format!("{}-", own.name)),
        namespace: own.namespace.clone(),
        labels,
        owner_references: vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            name: own.name.clone(),
            uid: owner_uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }],
        ..ObjectMeta::default()
    }
}

/// Labels of a Service's endpoints in the older form.
pub fn old_labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone();
    labels.insert("endpoints.kubernetes.io/managed-by".to_owned(), "endpoint-controller".to_owned());
    labels.remove(HEADLESS);
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

/// The endpoints of a Service in the older form: ports with the same addresses behind them stand together
/// (`RepackSubsets`). Pods about to go are not in it, but for a Service that wants those that are not ready.
pub fn subsets(service: &Service, pods: &[PodView<'_>]) -> Vec<EndpointSubset> {
    type Behind = BTreeMap<String, (bool, EndpointAddress)>;
    let mut by_port: Vec<(Option<EndpointPort>, Behind)> = Vec::new();
    let mut put = |port: Option<EndpointPort>, (ready, address): (bool, EndpointAddress)| {
        let place = by_port.iter().position(|(known, _)| *known == port).unwrap_or_else(|| {
            by_port.push((port, Behind::new()));
            by_port.len() - 1
        });
        by_port[place].1.insert(address.ip.clone(), (ready, address));
    };
    let early = service.spec.publish_not_ready_addresses;
    for view in pods.iter().filter(|view| early || !view.terminating).take(MOST_OLD) {
        let slice = endpoint(service, view);
        let address = EndpointAddress {
            ip: view.ip.to_string(),
            hostname: slice.hostname,
            node_name: slice.node_name,
            target_ref: slice.target_ref,
        };
        let behind = (early || view.ready, address);
        if service.spec.ports.is_empty() {
            put(None, behind.clone());
        }
        for port in ports_of(service, view.pod) {
            put(Some(port), behind.clone());
        }
    }
    let mut groups: Vec<(Behind, Vec<EndpointPort>)> = Vec::new();
    for (port, behind) in by_port {
        match groups.iter_mut().find(|(known, _)| *known == behind) {
            Some((_, ports)) => ports.extend(port),
            None => groups.push((behind, port.into_iter().collect())),
        }
    }
    let of = |behind: &Behind, ready: bool| {
        let those = behind.values().filter(|(is_ready, _)| *is_ready == ready);
        those.map(|(_, address)| address.clone()).collect::<Vec<_>>()
    };
    let subset = |(behind, ports): (Behind, Vec<EndpointPort>)| EndpointSubset {
        addresses: of(&behind, true),
        not_ready_addresses: of(&behind, false),
        ports,
    };
    groups.into_iter().map(subset).collect()
}
