//! Multus (k8snetworkplumbingwg/multus-cni): further interfaces of a Pod, which its annotation
//! `k8s.v1.cni.cncf.io/networks` names and `NetworkAttachmentDefinition` objects describe, in the form of the Network
//! Plumbing Working Group's specification. *Simulated*: macvlan, ipvlan, vlan, bridge, host-device and SR-IOV, with
//! addresses of host-local, whereabouts and static. *Simplified*: a virtual function is shown as a macvlan on its card;
//! dhcp is refused by name.

mod plugins;

use super::control::ControlPlane;
use super::fabric::random_mac;
use super::host_device;
use super::store::PodKey;
use super::world::{World, with};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, MacAddr, NetnsId};
use crate::cluster::host_local::{self, Given, Owner, Range, RangeSet, Store};
use crate::kernel::Netns;
use crate::trace::Scope;
use ipnet::IpNet;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const STATUS: &str = "k8s.v1.cni.cncf.io/network-status";
const KIND: &str = "NetworkAttachmentDefinition";

/// The stores of address plug-ins: by node, or for all nodes alike, and by the network's name.
#[derive(Clone, Debug, Default)]
pub(super) struct Multus {
    stores: BTreeMap<(Option<Arc<str>>, String), Store>,
    /// Devices of nodes that Pods hold.
    held: Vec<host_device::Held>,
}

/// One network that a Pod asks for (`NetworkSelectionElement`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    namespace: String,
    name: String,
    interface: Option<String>,
    mac: Option<MacAddr>,
    ips: Vec<Ipv4Net>,
}

/// Reads the annotation: `[NAMESPACE/]NAME[@INTERFACE]` with commas between, or a list in JSON.
fn wanted(text: &str, namespace: &str) -> Result<Vec<Wanted>, String> {
    if text.trim_start().starts_with('[') {
        let list: Vec<Value> = serde_json::from_str(text)
            .map_err(|error| format!("parsePodNetworkAnnotation: failed to parse pod Network Attachment Selection Annotation JSON format: {error}"))?;
        return Ok(list.iter().map(|entry| element(entry, namespace)).collect());
    }
    let one = |part: &str| {
        let part = part.trim();
        let (path, interface) =
            part.split_once('@').map_or((part, None), |(path, at)| (path, Some(at.to_owned())));
        let (own, name) = path.split_once('/').unwrap_or((namespace, path));
        Wanted { namespace: own.to_owned(), name: name.to_owned(), interface, ..Wanted::default() }
    };
    Ok(text.split(',').filter(|part| !part.trim().is_empty()).map(one).collect())
}

fn element(entry: &Value, namespace: &str) -> Wanted {
    let text = |key: &str| entry[key].as_str().map(str::to_owned);
    let ips = entry["ips"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Wanted {
        namespace: text("namespace").unwrap_or_else(|| namespace.to_owned()),
        name: text("name").unwrap_or_default(),
        interface: text("interface"),
        mac: text("mac").and_then(|mac| mac.parse().ok()),
        ips: ips.filter_map(net).collect(),
    }
}

/// An address with its prefix length, or alone.
fn net(text: &str) -> Option<Ipv4Net> {
    text.parse().ok().or_else(|| Some(Ipv4Net::from(text.parse::<Ipv4Addr>().ok()?)))
}

/// Where a further interface is made.
struct Place<'a> {
    node: NetnsId,
    node_name: &'a Arc<str>,
    sandbox: NetnsId,
    container: &'a str,
}

/// What was made.
pub(super) struct Made {
    pub(super) ifindex: IfIndex,
    pub(super) mac: MacAddr,
    pub(super) stub: Option<IfIndex>,
    pub(super) held: Option<host_device::Held>,
}

/// Makes the further interfaces of a Pod. The error is what the runtime hears.
pub(super) fn attach(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) -> Result<(), String> {
    let Some(entry) = control.store.pods.get(key) else { return Ok(()) };
    let Some(text) = entry.pod.metadata.annotations.get(NETWORKS).cloned() else { return Ok(()) };
    let (Some(sandbox), Some(node_name), container) =
        (entry.netns, entry.node.clone(), entry.sandbox.clone())
    else {
        return Ok(());
    };
    let Some(node) = control.store.nodes.get(&node_name).map(|node| node.netns) else { return Ok(()) };
    let place = Place { node, node_name: &node_name, sandbox, container: &container };
    let failed = |error: String| format!("Multus: [{}/{}]: {error}", key.namespace, key.name);
    let mut status = vec![first(control, world, key)];
    for (at, network) in wanted(&text, &key.namespace).map_err(failed)?.iter().enumerate() {
        let config = definition(control, network).map_err(failed)?;
        let name = network.interface.clone().unwrap_or_else(|| format!("net{}", at + 1));
        let made = add(control, world, &place, (network, &config, &name));
        status.push(made.map_err(|error| {
            failed(format!("error adding container to network \"{}\": {error}", network.name))
        })?);
    }
    write_status(control, world, key, &Value::Array(status).to_string());
    Ok(())
}

/// The interface that the cluster's own plug-in made.
fn first(control: &ControlPlane, world: &dyn World, key: &PodKey) -> Value {
    let entry = control.store.pods.get(key);
    let link =
        entry.and_then(|entry| entry.netns).and_then(|netns| world.netns(netns)?.link_named("eth0").cloned());
    let ip = entry.and_then(|entry| entry.ip).map_or_else(String::new, |ip| ip.to_string());
    let mac = link.map_or_else(String::new, |link| link.mac.to_string());
    json!({ "name": "cbr0", "interface": "eth0", "ips": [ip], "mac": mac, "default": true, "dns": {} })
}

/// Says in the Pod's own annotation what it got.
fn write_status(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, status: &str) {
    if let Some(entry) = control.store.pods.get_mut(key) {
        let pod = Arc::make_mut(&mut entry.pod);
        pod.metadata.annotations.insert(STATUS.to_owned(), status.to_owned());
    }
    let object = key.object();
    let Some(row) = control.object("Pod", &key.namespace, &key.name).cloned() else { return };
    let mut value = (*row.value).clone();
    value["metadata"]["annotations"][STATUS] = json!(status);
    control.put(world, &object, &"v1".into(), Arc::new(value));
}

/// The configuration that a definition holds.
fn definition(control: &ControlPlane, network: &Wanted) -> Result<Value, String> {
    let Wanted { namespace, name, .. } = network;
    let row = control.object(KIND, namespace, name).ok_or_else(|| {
        format!(
            "error loading k8s delegates k8s args: TryLoadPodDelegates: error in getting k8s network for pod: \
             GetNetworkDelegates: failed getting the delegate: getKubernetesDelegate: cannot find a \
             network-attachment-definition ({name}) in namespace ({namespace}): \
             network-attachment-definitions.k8s.cni.cncf.io \"{name}\" not found"
        )
    })?;
    let config = row.value["spec"]["config"].as_str().unwrap_or_default();
    let config: Value = serde_json::from_str(config).map_err(|error| {
        format!("GetCNIConfig: err in getCNIConfigFromSpec: failed to unmarshal {name}: {error}")
    })?;
    // Of a list the first plug-in makes the interface.
    Ok(match config["plugins"].as_array().and_then(|plugins| plugins.first()) {
        Some(plugin) => plugin.clone(),
        None => config,
    })
}

fn add(
    control: &mut ControlPlane,
    world: &mut dyn World,
    place: &Place<'_>,
    (network, config, name): (&Wanted, &Value, &str),
) -> Result<Value, String> {
    let lower = plugins::check(world, place, config)?;
    let addresses = addresses(control, place, (network, config, name))?;
    let mac = network.mac.unwrap_or_else(|| random_mac(world));
    let mut made = plugins::make(world, place, (config, lower), (name, mac)).inspect_err(|_| {
        for store in control.multus.stores.values_mut() {
            store.release(place.container, Some(name));
        }
    })?;
    control.multus.held.extend(made.held.take());
    configure(world, place, (&made, config), &addresses);
    let ips: Vec<String> = addresses.iter().map(|(net, _)| net.addr().to_string()).collect();
    let full = format!("{}/{}", network.namespace, network.name);
    Ok(json!({ "name": full, "interface": name, "ips": ips, "mac": made.mac.to_string(), "dns": {} }))
}

fn configure(
    world: &mut dyn World,
    place: &Place<'_>,
    (made, config): (&Made, &Value),
    addresses: &[(Ipv4Net, Option<Ipv4Addr>)],
) {
    let routes: Vec<(Ipv4Net, Option<Ipv4Addr>)> = config["ipam"]["routes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|route| {
            let gateway = route["gw"].as_str().and_then(|gw| gw.parse().ok());
            Some((route["dst"].as_str()?.parse::<Ipv4Net>().ok()?, gateway))
        })
        .collect();
    let first_gateway = addresses.iter().find_map(|(_, gateway)| *gateway);
    with(world, place.sandbox, |netns, ctx| {
        for (net, _) in addresses {
            netns.add_addr(ctx, made.ifindex, *net, Some(net.broadcast()), Scope::Global);
        }
        netns.set_up(ctx, made.ifindex);
        for (dst, gateway) in routes {
            netns.add_route(ctx, netns.route_to(dst, gateway.or(first_gateway), made.ifindex));
        }
    });
    if let Some(stub) = made.stub {
        let own = addresses.iter().map(|(net, _)| net.addr()).collect();
        with(world, place.node, |netns, _| netns.set_stub_addrs(stub, own));
    }
    // Plug-ins with `isGateway` give the bridge the gateway's address.
    if let (Some(true), Some(gateway)) = (config["isGateway"].as_bool(), first_gateway) {
        let prefix_len = addresses.first().map_or(24, |(net, _)| net.prefix_len());
        let name = config["bridge"].as_str().unwrap_or("cni0").to_owned();
        with(world, place.node, |netns, ctx| {
            let bridge = netns.link_named(&name).map(|link| link.ifindex);
            if let Some(bridge) = bridge.filter(|_| !netns.has_addr(gateway)) {
                let net = Ipv4Net::new_assert(gateway, prefix_len);
                netns.add_addr(ctx, bridge, net, Some(net.broadcast()), Scope::Global);
            }
        });
    }
}

/// Addresses with their gateways, from what the Pod asks for or from the address plug-in.
fn addresses(
    control: &mut ControlPlane,
    place: &Place<'_>,
    (network, config, ifname): (&Wanted, &Value, &str),
) -> Result<Vec<(Ipv4Net, Option<Ipv4Addr>)>, String> {
    if !network.ips.is_empty() {
        return Ok(network.ips.iter().map(|net| (*net, None)).collect());
    }
    let ipam = &config["ipam"];
    let owner = Owner { container: place.container, ifname };
    let gateway = |value: &Value| value["gateway"].as_str().and_then(|text| text.parse().ok());
    match ipam["type"].as_str().unwrap_or_default() {
        "" => Ok(Vec::new()),
        "static" => Ok(ipam["addresses"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| Some((net(entry["address"].as_str()?)?, gateway(entry))))
            .collect()),
        "host-local" => {
            let name = config["name"].as_str().unwrap_or(&network.name).to_owned();
            reserve(control, (Some(place.node_name.clone()), name), &host_local::read(ipam)?, owner)
        }
        "whereabouts" => {
            let name = ipam["range"].as_str().unwrap_or_default().to_owned();
            reserve(control, (None, name), &[whereabouts(ipam)?], owner)
        }
        kind => Err(format!("not simulated: address plug-in \"{kind}\"")),
    }
}

/// The range that whereabouts gives addresses from, with what it leaves out.
fn whereabouts(ipam: &Value) -> Result<RangeSet, String> {
    let text = |key: &str| ipam[key].as_str();
    let range = text("range").unwrap_or_default();
    let range = range.parse().map_err(|_| format!("invalid CIDR address: {range}"))?;
    let addr = |key: &str| text(key).and_then(|addr| addr.parse::<IpAddr>().ok());
    let excluded = ipam["exclude"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let excluded =
        excluded.filter_map(|text| text.parse().ok().or_else(|| Some(text.parse::<IpAddr>().ok()?.into())));
    let range = Range::new(range)?.within(addr("range_start"), addr("range_end"), addr("gateway"))?;
    RangeSet::new(vec![range.without(excluded.collect())])
}

/// Reserves an address of each set.
fn reserve(
    control: &mut ControlPlane,
    store: (Option<Arc<str>>, String),
    sets: &[RangeSet],
    owner: Owner<'_>,
) -> Result<Vec<(Ipv4Net, Option<Ipv4Addr>)>, String> {
    let store = control.multus.stores.entry(store).or_default();
    let given = host_local::add(sets, store, owner, &[])?;
    let shown: Result<Vec<_>, _> = given.iter().map(shown).collect();
    if shown.is_err() {
        store.release(owner.container, Some(owner.ifname));
    }
    shown
}

/// An address with its gateway, of the family that is simulated.
fn shown(given: &Given) -> Result<(Ipv4Net, Option<Ipv4Addr>), String> {
    let IpNet::V4(net) = given.net else {
        return Err(format!("not simulated: the IPv6 address {}", given.net));
    };
    let gateway = match given.gateway {
        IpAddr::V4(gateway) => Some(gateway),
        IpAddr::V6(_) => None,
    };
    Ok((net, gateway))
}

/// Frees what a Pod's further interfaces held; the interfaces go with its namespace.
pub(super) fn release(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey) {
    let Some(entry) = control.store.pods.get(key) else { return };
    let (container, sandbox) = (entry.sandbox.clone(), entry.netns.filter(|_| !entry.pod.spec.host_network));
    for store in control.multus.stores.values_mut() {
        store.release(&container, None);
    }
    let Some(sandbox) = sandbox else { return };
    let is_here = |held: &mut host_device::Held| held.sandbox == sandbox;
    for held in control.multus.held.extract_if(.., is_here) {
        held.give_back(world);
    }
    let wired = |netns: NetnsId| {
        let links = world.netns(netns).into_iter().flat_map(Netns::links);
        links.filter(|link| link.peer().is_some()).map(|link| link.ifindex).collect::<Vec<_>>()
    };
    for ifindex in wired(sandbox) {
        world.del_wire(sandbox, ifindex);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_is_read_in_both_forms() {
        let names = |text: &str| {
            let read = wanted(text, "default").expect("it can be read");
            read.iter()
                .map(|one| format!("{}/{} {:?}", one.namespace, one.name, one.interface))
                .collect::<Vec<_>>()
        };
        assert_eq!(names("a, other/b@eth5"), ["default/a None", "other/b Some(\"eth5\")"]);
        assert_eq!(
            names(r#"[{"name": "a"}, {"name": "b", "interface": "x"}]"#),
            ["default/a None", "default/b Some(\"x\")"]
        );
        assert!(wanted("[{", "default").is_err());
    }
}
