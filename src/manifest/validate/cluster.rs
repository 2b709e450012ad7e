//! The cluster document: what each of its values must be. Whether ranges overlap is checked once the defaults are in
//! (see `across`).

use super::cursor::Cursor;
use super::network::plugin;
use super::{names, node};
use crate::api::{Backend, Cni, Nic};
use crate::base::zone::ZoneFile;
use crate::base::{IFNAME_LEN, IpNet, Ipv4Addr, Ipv4Net, MacAddr};
use crate::manifest::report::Report;
use crate::manifest::values::{duration, net_of};
use std::collections::{BTreeMap, BTreeSet};

/// Smallest MTU of an IPv4 interface, in bytes (RFC 791; `ETH_MIN_MTU` in Linux).
pub(super) const MIN_MTU: i64 = 68;
/// Largest MTU, in bytes (`ETH_MAX_MTU` in Linux).
const MAX_MTU: i64 = 65_535;
/// Largest VXLAN network identifier: 24 bits (RFC 7348).
const MAX_VNI: i64 = (1 << 24) - 1;
/// Longest prefix that holds a network address, a gateway, one Pod and a broadcast address.
const MAX_POD_PREFIX_LEN: u8 = 30;

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let mut names = BTreeSet::new();
    let mut addresses = BTreeMap::new();
    network(&spec.get("network"), report);
    for node in spec.get("nodes").items() {
        named(&node, &mut names, report);
        nodes_entry(&node, &mut addresses, report);
    }
    let routers = spec.get("external").items().filter(|host| host.get("router").value == true);
    let routers = routers.map(|host| host.get("name").text()).collect::<BTreeSet<_>>();
    for host in spec.get("external").items() {
        named(&host, &mut names, report);
        external(&host, &routers, &mut addresses, report);
    }
    if spec.get("nodes").is_set() && spec.get("nodes").len() == 0 {
        spec.get("nodes").required(report);
    }
    dns(spec, report);
}

fn named<'v>(entry: &Cursor<'v>, seen: &mut BTreeSet<&'v str>, report: &mut Report<'_>) {
    let name = entry.get("name");
    if name.text().is_empty() {
        return name.required(report);
    }
    name.invalid(report, names::dns_subdomain(name.text()));
    if !seen.insert(name.text()) {
        name.duplicate(report);
    }
}

type Addresses<'v> = BTreeMap<Ipv4Addr, String>;

/// An address of a host: one that is well formed, stands for a host, and is not taken.
fn host_address(field: &Cursor<'_>, seen: &mut Addresses<'_>, report: &mut Report<'_>) {
    if !field.is_set() {
        return;
    }
    let Some(net) = net_of(field.text(), 24) else {
        return field.fault(report, "cluster.address", "cluster.address.hint", &[]);
    };
    let address = net.addr();
    let edge = net.prefix_len() < 31 && (address == net.network() || address == net.broadcast());
    if edge
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_loopback()
        || address.is_broadcast()
    {
        return field.fault(report, "cluster.no-host", "cluster.no-host.hint", &[&net.trunc().to_string()]);
    }
    if let Some(first) = seen.insert(address, field.path()) {
        field.fault(report, "cluster.address-twice", "cluster.address-twice.hint", &[&first]);
    }
}

fn nodes_entry(entry: &Cursor<'_>, addresses: &mut Addresses<'_>, report: &mut Report<'_>) {
    host_address(&entry.get("address"), addresses, report);
    let range = entry.get("podCIDR");
    if let Some(net) = cidr(&range, report)
        && net.prefix_len() > MAX_POD_PREFIX_LEN
    {
        range.fault(report, "cluster.range-small", "cluster.range-small.hint", &[]);
    }
    let gateway = entry.get("gateway");
    if gateway.is_set() && gateway.text() != "none" && gateway.text().parse::<Ipv4Addr>().is_err() {
        gateway.fault(report, "cluster.gateway", "cluster.gateway.hint", &[]);
    }
    super::meta::labels(&entry.get("labels"), report);
    let taints = entry.get("taints");
    node::taints(&taints, &taints.path(), report);
    let mut seen = BTreeSet::from(["lo", "eth0"]);
    for interface in entry.get("interfaces").items() {
        let name = interface.get("name");
        let fits = !name.text().is_empty() && name.text().len() <= IFNAME_LEN;
        if !fits || name.text().chars().any(|c| c.is_whitespace() || matches!(c, '/' | ':')) {
            name.fault(report, "cluster.ifname", "cluster.ifname.hint", &[&IFNAME_LEN.to_string()]);
        } else if !seen.insert(name.text()) {
            name.duplicate(report);
        }
        host_address(&interface.get("address"), addresses, report);
        mtu(&interface.get("mtu"), MIN_MTU, report);
        let mac = interface.get("mac");
        if mac.is_set() && mac.text().parse::<MacAddr>().is_err() {
            mac.fault(report, "cluster.mac", "cluster.mac.hint", &[]);
        }
    }
}

fn network(network: &Cursor<'_>, report: &mut Report<'_>) {
    network.get("cni").one_of(report, &Cni::ALL.map(|known| known.0));
    network.get("backend").one_of(report, &Backend::ALL.map(|known| known.0));
    network.get("nic").one_of(report, &Nic::ALL.map(|known| known.0));
    plugin(network, report);
    ranges(&network.get("podCIDR"), report);
    ranges(&network.get("serviceCIDR"), report);
    cidr(&network.get("loadBalancerPool"), report);
    between(&network.get("vxlan").get("vni"), 0, MAX_VNI, report);
    between(&network.get("vxlan").get("port"), 1, 65_535, report);
    between(&network.get("gre").get("key"), 0, i64::from(u32::MAX), report);
    let group = network.get("vxlan").get("group");
    if group.is_set() && !group.text().parse::<Ipv4Addr>().is_ok_and(|group| group.is_multicast()) {
        group.fault(report, "cluster.group", "cluster.group.hint", &[]);
    }
    between(&network.get("ipam").get("rangeStart"), 2, i64::from(i32::MAX), report);
    for (name, _) in network.get("delays").entries() {
        let delay = network.get("delays").get(name);
        if delay.is_set() && duration(delay.text()).is_none() {
            delay.fault(report, "cluster.duration", "cluster.duration.hint", &[]);
        }
    }
}

pub(super) fn mtu(field: &Cursor<'_>, least: i64, report: &mut Report<'_>) {
    let number = field.number();
    if field.is_set() && !(least..=MAX_MTU).contains(&number) {
        field.fault(report, "cluster.mtu", "cluster.mtu.hint", &[&least.to_string(), &MAX_MTU.to_string()]);
    }
}

pub(super) fn between(field: &Cursor<'_>, least: i64, most: i64, report: &mut Report<'_>) {
    if field.is_set() && !(least..=most).contains(&field.number()) {
        field.fault(report, "invalid.range", "invalid.range.hint", &[&least.to_string(), &most.to_string()]);
    }
}

/// A range of IPv4, or one of each family with a comma between.
fn ranges(field: &Cursor<'_>, report: &mut Report<'_>) {
    let Some((one, other)) = field.text().split_once(',') else {
        cidr(field, report);
        return;
    };
    let (one, other) = (one.trim().parse::<IpNet>(), other.trim().parse::<IpNet>());
    let both = match (one, other) {
        (Ok(one), Ok(other)) => {
            one == one.trunc() && other == other.trunc() && one.addr().is_ipv4() != other.addr().is_ipv4()
        }
        (Ok(_) | Err(_), _) => false,
    };
    if !both {
        field.fault(report, "invalid.cidr", "invalid.cidr.hint", &[]);
    }
}

/// An IPv4 range whose host bits are zero.
fn cidr(field: &Cursor<'_>, report: &mut Report<'_>) -> Option<Ipv4Net> {
    if !field.is_set() {
        return None;
    }
    let Ok(net) = field.text().parse::<Ipv4Net>() else {
        field.fault(report, "invalid.cidr", "invalid.cidr.hint", &[]);
        return None;
    };
    if net != net.trunc() {
        field.fault(report, "cluster.host-bits", "cluster.host-bits.hint", &[&net.trunc().to_string()]);
    }
    Some(net)
}

fn dns(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let domain = spec.get("dns").get("clusterDomain");
    // A kubelet may be told of no domain and of no server; both are written as an empty text.
    if domain.is_set() && !domain.text().is_empty() {
        domain.invalid(report, names::dns_subdomain(domain.text()));
    }
    let address = spec.get("dns").get("serviceIP");
    if address.is_set() && !address.text().is_empty() && address.text().parse::<Ipv4Addr>().is_err() {
        address.fault(report, "cluster.address", "cluster.address.hint", &[]);
    }
}

fn external(
    host: &Cursor<'_>,
    routers: &BTreeSet<&str>,
    addresses: &mut Addresses<'_>,
    report: &mut Report<'_>,
) {
    let address = host.get("address");
    if address.text().is_empty() {
        address.required(report);
    } else {
        host_address(&address, addresses, report);
    }
    for port in host.get("ports").items() {
        if !names::port_number(port.number()) {
            port.fault(report, "invalid.port", "invalid.port.hint", &[]);
        }
    }
    let zone = host.get("zone");
    if zone.is_set()
        && let Err(wrong) = ZoneFile::parse(zone.text(), ".")
    {
        let line = wrong.line.to_string();
        zone.fault(report, "cluster.zone", "cluster.zone.hint", &[&line, &wrong.message]);
    }
    let behind = host.get("behind");
    let known = routers.contains(behind.text()) && behind.text() != host.get("name").text();
    if behind.is_set() && !known {
        let list = routers.iter().copied().collect::<Vec<_>>().join(", ");
        let hint = if list.is_empty() { "cluster.no-router.hint" } else { "cluster.behind.hint" };
        behind.fault(report, "cluster.behind", hint, &[&list]);
    }
}
