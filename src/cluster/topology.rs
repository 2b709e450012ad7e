//! Hints by `service.kubernetes.io/topology-mode: Auto`: endpoints are shared out among the zones as their nodes'
//! processors are (`k8s.io/endpointslice/topologycache`).

use super::endpoints::Plan;
use crate::api::{Endpoint, EndpointHints, EndpointSlice, ForZone, Service};
use std::collections::BTreeMap;

/// What each zone has of the processors, where that is known and there are several zones.
pub type Zones = Option<BTreeMap<String, i128>>;

/// A node as it counts here.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'n> {
    /// Its labels.
    pub labels: &'n BTreeMap<String, String>,
    /// Whether it is ready.
    pub ready: bool,
    /// Thousandths of processors that Pods may use.
    pub cpu: i128,
}

/// Whether a Service asks for such hints (`hintsEnabled`).
pub fn is_auto(service: &Service) -> bool {
    let annotations = &service.metadata.annotations;
    let old = annotations.get("service.kubernetes.io/topology-aware-hints");
    let mode = old.or_else(|| annotations.get("service.kubernetes.io/topology-mode"));
    mode.is_some_and(|mode| mode == "Auto" || mode == "auto")
}

/// What each zone has of the processors of nodes that take part (`SetNodes`).
pub fn zones<'n>(nodes: impl Iterator<Item = NodeView<'n>>) -> Zones {
    const LEFT_OUT: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
    let mut by_zone: BTreeMap<String, i128> = BTreeMap::new();
    for node in nodes.filter(|node| node.ready && !LEFT_OUT.iter().any(|at| node.labels.contains_key(*at))) {
        let zone = node.labels.get("topology.kubernetes.io/zone").filter(|zone| !zone.is_empty())?;
        if node.cpu == 0 {
            return None;
        }
        *by_zone.entry(zone.clone()).or_default() += node.cpu;
    }
    (by_zone.len() > 1).then_some(by_zone)
}

/// Endpoints by zone.
type Counts = BTreeMap<String, i128>;

/// How many endpoints a zone should have, and how many it may at most.
#[derive(Clone, Copy, Debug)]
struct Allocation {
    /// In parts of an endpoint, as many as there are thousandths of processors.
    desired: i128,
    most: i128,
}

/// What the zones should have of this many endpoints, or why that cannot be (`getAllocations`).
fn allocations(zones: &Zones, n: usize) -> Result<(BTreeMap<String, Allocation>, i128), String> {
    let Some(zones) = zones else {
        return Err(
            "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
                .into(),
        );
    };
    if zones.len() > n {
        return Err(format!("Insufficient number of endpoints ({n} endpoints, {} zones)", zones.len()));
    }
    let (count, whole) = (n as i128, zones.values().sum::<i128>());
    // An endpoint may have to bear a fifth more than its share.
    let least = |cpu: i128| (cpu * count * 5 + whole * 6 - 1) / (whole * 6);
    let all: i128 = zones.values().map(|cpu| least(*cpu)).sum();
    if all > count {
        return Err(format!(
            "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ({n} \
             endpoints, {} zones)",
            zones.len()
        ));
    }
    let allocation = |cpu: i128| Allocation {
        desired: (cpu * count).max(least(cpu) * whole),
        most: least(cpu) + count - all,
    };
    Ok((zones.iter().map(|(zone, cpu)| (zone.clone(), allocation(*cpu))).collect(), whole))
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.ready == Some(true)
}

/// Gives the endpoints of a plan their hints (`AddHints`); an error says why there are none.
pub fn add_hints(plan: &mut Plan, present: &[EndpointSlice], zones: &Zones) -> Result<(), String> {
    let named = |slices: &[EndpointSlice], name: &str| slices.iter().any(|slice| slice.metadata.name == name);
    let stays = |slice: &&EndpointSlice| {
        !plan.gone.contains(&slice.metadata.name) && !named(&plan.changed, &slice.metadata.name)
    };
    let unchanged: Vec<EndpointSlice> = present.iter().filter(stays).cloned().collect();
    let done = hinted(plan, unchanged.clone(), zones);
    if done.is_err() {
        plan.changed.extend(unchanged);
        for endpoint in plan.new.iter_mut().chain(&mut plan.changed).flat_map(|slice| &mut slice.endpoints) {
            endpoint.hints = None;
        }
    }
    plan.changed.retain(|slice| !present.contains(slice));
    done
}

fn hinted(plan: &mut Plan, unchanged: Vec<EndpointSlice>, zones: &Zones) -> Result<(), String> {
    let slices = plan.new.iter().chain(&plan.changed).chain(&unchanged);
    let n = slices.flat_map(|slice| &slice.endpoints).filter(|endpoint| is_ready(endpoint)).count();
    let (allocations, whole) = allocations(zones, n)?;
    let mut by_zone = Counts::new();
    for slice in unchanged {
        if let Some(counts) = counted(&slice, &by_zone, &allocations) {
            for (zone, count) in counts {
                *by_zone.entry(zone).or_default() += count;
            }
        } else {
            plan.changed.push(slice);
        }
    }
    let mut those: Vec<&mut Endpoint> = plan
        .new
        .iter_mut()
        .chain(&mut plan.changed)
        .flat_map(|slice| &mut slice.endpoints)
        .filter(|endpoint| is_ready(endpoint))
        .collect();
    for endpoint in &mut those {
        let zone = endpoint.zone.clone().filter(|zone| !zone.is_empty());
        let zone = zone.ok_or("One or more endpoints do not have a zone specified")?;
        *by_zone.entry(zone.clone()).or_default() += 1;
        endpoint.hints = Some(hint(zone));
    }
    let (mut giving, mut receiving) = moves((&allocations, whole), &by_zone);
    for endpoint in those {
        let Some(left) =
            endpoint.zone.as_ref().and_then(|zone| giving.get_mut(zone)).filter(|left| **left > 0)
        else {
            continue;
        };
        let Some((zone, wanted)) = receiving.iter_mut().find(|(_, wanted)| **wanted > 0) else { break };
        endpoint.hints = Some(hint(zone.clone()));
        (*left, *wanted) = (*left - 1, *wanted - 1);
    }
    Ok(())
}

fn hint(zone: String) -> EndpointHints {
    EndpointHints { for_zones: vec![ForZone { name: zone }], for_nodes: Vec::new() }
}

/// The hints of a slice by zone, where they may stay (`getHintsByZone`).
fn counted(
    slice: &EndpointSlice,
    others: &Counts,
    allocations: &BTreeMap<String, Allocation>,
) -> Option<Counts> {
    let mut counts = Counts::new();
    for endpoint in slice.endpoints.iter().filter(|endpoint| is_ready(endpoint)) {
        let zones =
            endpoint.hints.as_ref().map(|hints| &hints.for_zones).filter(|zones| !zones.is_empty())?;
        for zone in zones {
            allocations.get(&zone.name)?;
            *counts.entry(zone.name.clone()).or_default() += 1;
        }
    }
    let fits = |(zone, count): (&String, &i128)| {
        let more = others.get(zone).copied().unwrap_or(0);
        allocations.get(zone).is_some_and(|allocation| count + more <= allocation.most)
    };
    counts.iter().all(fits).then_some(counts)
}

/// How many endpoints each zone gives to others, and how many it gets (`getGivingAndReceivingZones`).
fn moves((allocations, whole): (&BTreeMap<String, Allocation>, i128), by_zone: &Counts) -> (Counts, Counts) {
    let (mut above, mut below) = (Counts::new(), Counts::new());
    for (zone, allocation) in allocations {
        let has = by_zone.get(zone).copied().unwrap_or(0) * whole;
        if has > allocation.desired {
            above.insert(zone.clone(), has - allocation.desired);
        } else if has < allocation.desired {
            below.insert(zone.clone(), allocation.desired - has);
        }
    }
    // The first of those that have most.
    let most = |of: &Counts| {
        let most = of.values().max().filter(|most| **most > 0)?;
        of.iter().find(|(_, count)| *count == most).map(|(zone, count)| (zone.clone(), *count))
    };
    let (mut giving, mut receiving) = (Counts::new(), Counts::new());
    while let (Some((from, gives)), Some((to, gets))) = (most(&above), most(&below)) {
        if (gives < whole && gets < whole) || gives * 2 < whole || gets * 2 < whole {
            break;
        }
        above.entry(from.clone()).and_modify(|left| *left -= whole);
        below.entry(to.clone()).and_modify(|left| *left -= whole);
        *giving.entry(from).or_default() += 1;
        *receiving.entry(to).or_default() += 1;
    }
    (giving, receiving)
}
