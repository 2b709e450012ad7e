//! Rows of Services and of the endpoints behind them (`printService`, `printEndpoints`, `printEndpointSlice`).

use super::tables::{Item, age, item, or_none};
use crate::base::SimTime;
use crate::trace::{Inventory, ServiceRow, SliceRow};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many endpoints a cell lists before it counts the rest.
const ENDPOINTS: usize = 3;

pub(super) fn services(inventory: &Inventory, now: SimTime, wide: bool) -> Vec<Item> {
    inventory.services.values().map(|row| service(row, now, wide)).collect()
}

fn service(row: &ServiceRow, now: SimTime, wide: bool) -> Item {
    let cluster_ip = Some(row.cluster_ip.to_string()).filter(|ip| !ip.is_empty());
    let ports: Vec<String> = row.ports.iter().map(ToString::to_string).collect();
    let ports = Some(ports.join(",")).filter(|ports| !ports.is_empty());
    let mut cells = vec![
        row.name.to_string(),
        row.kind.to_string(),
        or_none(cluster_ip),
        external(row),
        or_none(ports),
        age(now, row.created),
    ];
    if wide {
        let labels: Vec<String> = row.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        cells.push(or_none(Some(labels.join(",")).filter(|labels| !labels.is_empty())));
    }
    item(&row.namespace, &row.name, cells)
}

/// `getServiceExternalIP`.
fn external(row: &ServiceRow) -> String {
    if &*row.kind == "ExternalName" {
        return row.external_name.to_string();
    }
    if !row.external.is_empty() {
        return row.external.join(",");
    }
    if &*row.kind == "LoadBalancer" { "<pending>".to_owned() } else { or_none(None) }
}

/// Endpoints in their older form, which the control plane keeps beside the slices.
pub(super) fn endpoints(inventory: &Inventory, now: SimTime) -> Vec<Item> {
    let mut by_service: BTreeMap<(&str, &str), Vec<&SliceRow>> = BTreeMap::new();
    for row in inventory.services.values().filter(|row| &*row.kind != "ExternalName") {
        by_service.entry((&row.namespace, &row.name)).or_default();
    }
    for slice in inventory.slices.values() {
        by_service.entry((&slice.namespace, &slice.service)).or_default().push(slice);
    }
    let row = |((namespace, name), slices): ((&str, &str), Vec<&SliceRow>)| {
        let first = slices.iter().map(|slice| slice.created).min();
        let service = inventory.services.get(&(namespace.into(), name.into())).map(|row| row.created);
        let created = first.or(service).unwrap_or(now);
        item(namespace, name, vec![name.to_owned(), listed(&slices), age(now, created)])
    };
    by_service.into_iter().map(row).collect()
}

/// `formatEndpoints`: addresses with ports, the first few of them.
fn listed(slices: &[&SliceRow]) -> String {
    let mut all = Vec::new();
    for slice in slices {
        for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready) {
            if slice.ports.is_empty() {
                all.push(endpoint.address.to_string());
            }
            let ports = slice.ports.iter().filter_map(|(_, _, port)| *port);
            all.extend(ports.map(|port| format!("{}:{port}", endpoint.address)));
        }
    }
    if all.is_empty() {
        return or_none(None);
    }
    let more = all.len().saturating_sub(ENDPOINTS);
    let mut text = all[..all.len() - more].join(",");
    if more > 0 {
        let _ = write!(text, " + {more} more...");
    }
    text
}

pub(super) fn slices(inventory: &Inventory, now: SimTime) -> Vec<Item> {
    inventory.slices.values().map(|row| slice(row, now)).collect()
}

fn slice(row: &SliceRow, now: SimTime) -> Item {
    let port = |port: Option<u16>| port.map_or_else(|| "*".to_owned(), |port| port.to_string());
    let ports = joined(row.ports.iter().map(|(_, _, number)| port(*number)));
    let endpoints = joined(row.endpoints.iter().map(|endpoint| endpoint.address.to_string()));
    let cells =
        vec![row.name.to_string(), row.address_type.to_string(), ports, endpoints, age(now, row.created)];
    item(&row.namespace, &row.name, cells)
}

/// `formatDiscoveryPorts`, `formatDiscoveryEndpoints`: the first three, `<unset>` for none.
fn joined(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    let more = texts.len().saturating_sub(ENDPOINTS);
    match (texts.is_empty(), more) {
        (true, _) => "<unset>".to_owned(),
        (false, 0) => texts.join(","),
        (false, more) => format!("{} + {more} more...", texts[..texts.len() - more].join(",")),
    }
}
