//! What `-d` adds to the lines about a link. Attributes that nothing here can change print as the kernel sets them.

use super::Ip;
use super::link::{Shown, kind_name};
use crate::base::SimTime;
use crate::shell::print::Printer;
use crate::trace::{Designated, LinkKind, LinkRow, PortRow, StpClock};
use crate::wire::{BridgeId, port_id};
use serde_json::Value;

/// Attributes of a bridge between `ageing_time` and its identifier, and after its timers, with their values.
const BRIDGE_MULTICAST: [(&str, &str, u32); 22] = [
    ("mcast_snooping", "mcast_snooping", 1),
    ("no_linklocal_learn", "no_linklocal_learn", 0),
    ("mcast_vlan_snooping", "mcast_vlan_snooping", 0),
    ("mcast_router", "mcast_router", 1),
    ("mcast_query_use_ifaddr", "mcast_query_use_ifaddr", 0),
    ("mcast_querier", "mcast_querier", 0),
    ("mcast_hash_elasticity", "mcast_hash_elasticity", 16),
    ("mcast_hash_max", "mcast_hash_max", 4096),
    ("mcast_last_member_count", "mcast_last_member_cnt", 2),
    ("mcast_startup_query_count", "mcast_startup_query_cnt", 2),
    ("mcast_last_member_interval", "mcast_last_member_intvl", 100),
    ("mcast_membership_interval", "mcast_membership_intvl", 26000),
    ("mcast_querier_interval", "mcast_querier_intvl", 25500),
    ("mcast_query_interval", "mcast_query_intvl", 12500),
    ("mcast_query_response_interval", "mcast_query_response_intvl", 1000),
    ("mcast_startup_query_interval", "mcast_startup_query_intvl", 3124),
    ("mcast_stats_enabled", "mcast_stats_enabled", 0),
    ("mcast_igmp_version", "mcast_igmp_version", 2),
    ("mcast_mld_version", "mcast_mld_version", 1),
    ("nf_call_iptables", "nf_call_iptables", 0),
    ("nf_call_ip6tables", "nf_call_ip6tables", 0),
    ("nf_call_arptables", "nf_call_arptables", 0),
];

/// Prints a number as `KEY VALUE ` or under its key.
fn number(printer: &mut Printer, name: &str, key: &str, value: u32) {
    printer.any(key, value, format!("{name} {value} "));
}

fn on_off(printer: &mut Printer, name: &str, on: bool) {
    printer.any(name, on, format!("{name} {} ", if on { "on" } else { "off" }));
}

/// A timer with what it has left, in hundredths of a second; JSON has the number with both decimals.
fn timer(printer: &mut Printer, name: &str, left: u64) {
    let left = format!("{}.{:02}", left / 100, left % 100);
    let value = serde_json::from_str::<Value>(&left).unwrap_or_default();
    printer.any(name, value, format!("{name} {left:>7} "));
}

/// Prints everything that `-d` adds.
pub(super) fn print(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, shown: Shown) {
    let promisc = link.extra.promisc;
    printer.any("promiscuity", promisc, format!(" promiscuity {promisc} "));
    let allmulti = link.extra.allmulti;
    printer.any("allmulti", allmulti, format!(" allmulti {allmulti} "));
    let (min, max) = match link.kind {
        LinkKind::Loopback | LinkKind::Dummy | LinkKind::Ipip(_) | LinkKind::Gre(_) => (0, 0),
        LinkKind::Vlan { .. } => (0, 65535),
        LinkKind::Gretap(_) => (68, 0),
        LinkKind::Veth { .. }
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. } => (68, 65535),
    };
    number(printer, "minmtu", "min_mtu", min);
    number(printer, "maxmtu", "max_mtu", max);
    if let Some(kind) = kind_name(link) {
        printer.plain(ip.options.separator());
        printer.object("linkinfo");
        printer.any("info_kind", kind, format!("    {kind} "));
        match link.kind {
            LinkKind::Bridge { ageing_secs } => bridge(ip, printer, link, ageing_secs),
            LinkKind::Vxlan { .. } => vxlan(ip, printer, &link.kind),
            LinkKind::Vlan { .. }
            | LinkKind::Macvlan { .. }
            | LinkKind::Ipvlan { .. }
            | LinkKind::Ipip(_)
            | LinkKind::Gre(_)
            | LinkKind::Gretap(_) => super::tunnel::details(ip, printer, &link.kind),
            LinkKind::Loopback | LinkKind::Veth { .. } | LinkKind::Physical { .. } | LinkKind::Dummy => {}
        }
        if let Some(port) = link.port {
            printer.plain(ip.options.separator());
            printer.any("info_slave_kind", "bridge", "    bridge_slave ");
            bridge_port(ip, printer, link, port);
        }
        printer.close();
    }
    let queues = if matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Physical { .. }) { 2 } else { 1 };
    if shown == Shown::Link {
        printer.any("inet6_addr_gen_mode", "eui64", "addrgenmode eui64 ");
    }
    number(printer, "numtxqueues", "num_tx_queues", queues);
    number(printer, "numrxqueues", "num_rx_queues", queues);
    number(printer, "gso_max_size", "gso_max_size", 65536);
    number(printer, "gso_max_segs", "gso_max_segs", 65535);
    number(printer, "tso_max_size", "tso_max_size", 524_280);
    number(printer, "tso_max_segs", "tso_max_segs", 65535);
    number(printer, "gro_max_size", "gro_max_size", 65536);
}

/// A bridge's identifier as iproute2 prints it: without zeros in front of the address's octets.
fn bridge_id(id: BridgeId) -> String {
    let octets: Vec<String> = id.mac.0.iter().map(|octet| format!("{octet:x}")).collect();
    format!("{:04x}.{}", id.priority, octets.join(":"))
}

/// The identifier of a bridge about whose spanning tree nothing was recorded.
fn own_id(link: &LinkRow) -> BridgeId {
    BridgeId { priority: 0x8000, mac: link.mac }
}

fn bridge(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, ageing_secs: u32) {
    printer.object("info_data");
    let row = link.extra.bridge;
    let row = row.map(|row| ip.inventory.with_times_in_force(link.netns, link.ifindex, row));
    let times = row.map_or((1500, 200, 2000), |row| (row.forward_delay, row.hello_time, row.max_age));
    for (name, value) in [
        ("forward_delay", times.0),
        ("hello_time", times.1),
        ("max_age", times.2),
        ("ageing_time", row.map_or(ageing_secs * 100, |row| row.ageing(ageing_secs))),
        ("stp_state", row.map_or(0, |row| u32::from(row.stp))),
        ("priority", row.map_or(32768, |row| u32::from(row.id.priority))),
        ("vlan_filtering", row.map_or(0, |row| u32::from(row.vlan_filtering))),
    ] {
        number(printer, name, name, value);
    }
    if let Some(row) = row.filter(|row| row.vlan_filtering) {
        let protocol = row.vlan_protocol.name();
        printer.any("vlan_protocol", protocol, format!("vlan_protocol {protocol} "));
    }
    let id = row.map_or_else(|| own_id(link), |row| row.id);
    // The program prints the bridge's own identifier in the root's place as well.
    for (key, name) in [("bridge_id", "bridge_id"), ("root_id", "designated_root")] {
        let id = bridge_id(id);
        printer.any(key, id.as_str(), format!("{name} {id} "));
    }
    for (name, value) in [
        ("root_port", row.map_or(0, |row| u32::from(row.root_port))),
        ("root_path_cost", row.map_or(0, |row| row.root_path_cost)),
        ("topology_change", row.map_or(0, |row| u32::from(row.topology_change))),
        ("topology_change_detected", row.map_or(0, |row| u32::from(row.topology_change_detected))),
    ] {
        number(printer, name, name, value);
    }
    let clocks = [
        ("hello_timer", StpClock::Hello),
        ("tcn_timer", StpClock::Tcn),
        ("topology_change_timer", StpClock::TopologyChange),
    ];
    for (name, clock) in clocks {
        timer(printer, name, ip.inventory.stp_left(link.netns, link.ifindex, clock));
    }
    timer(printer, "gc_timer", gc_timer(ip.now, ageing_secs));
    printer.any("group_fwd_mask", "0", "group_fwd_mask 0 ");
    printer.any("group_addr", "01:80:c2:00:00:00", "group_address 01:80:c2:00:00:00 ");
    for (name, key, value) in BRIDGE_MULTICAST {
        number(printer, name, key, value);
    }
    printer.close();
}

/// Time left until the bridge next looks for old entries, which it does once an ageing time; in hundredths of seconds.
pub(in crate::shell) fn gc_timer(now: SimTime, ageing_secs: u32) -> u64 {
    let period = u64::from(ageing_secs.max(1)) * 100;
    period - now.0 / 10_000_000 % period
}

fn vxlan(ip: &Ip<'_>, printer: &mut Printer, kind: &LinkKind) {
    let LinkKind::Vxlan { vni, local, dev, port, learning } = *kind else { return };
    printer.object("info_data");
    number(printer, "id", "id", vni);
    printer.any("local", local.to_string(), format!("local {local} "));
    let dev = ip.ifname(dev);
    printer.any("link", dev.as_str(), format!("dev {dev} "));
    printer.object("port_range");
    printer.any("low", 0, "srcport 0 ");
    printer.any("high", 0, "0 ");
    printer.close();
    number(printer, "dstport", "port", u32::from(port));
    printer.any("learning", learning, if learning { "" } else { "nolearning " });
    printer.any("ttl", 0, "ttl auto ");
    number(printer, "ageing", "ageing", 300);
    printer.any("udp_csum", true, "udpcsum ");
    printer.any("udp_zero_csum6_tx", false, "noudp6zerocsumtx ");
    printer.any("udp_zero_csum6_rx", false, "noudp6zerocsumrx ");
    printer.close();
}

fn bridge_port(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, port: PortRow) {
    printer.object("info_slave_data");
    let state = state_name(port.state);
    printer.any("state", state, format!("state {state} "));
    number(printer, "priority", "priority", u32::from(port.extra.priority));
    number(printer, "cost", "cost", port.extra.cost);
    on_off(printer, "hairpin", port.hairpin);
    on_off(printer, "guard", port.extra.bpdu_guard);
    on_off(printer, "root_block", port.extra.root_block);
    on_off(printer, "fastleave", false);
    on_off(printer, "learning", port.learning);
    on_off(printer, "flood", port.flood);
    let id = port_id(port.extra.priority, port.number);
    printer.any("id", format!("{id:#x}"), format!("port_id {id:#x} "));
    printer.any("no", format!("{:#x}", port.number), format!("port_no {:#x} ", port.number));
    let own = ip.state.links.get(&port.master).map(own_id);
    let own = own.map(|bridge| Designated { root: bridge, cost: 0, bridge, port: id });
    if let Some(designated) = port.extra.designated.or(own) {
        number(printer, "designated_port", "designated_port", u32::from(designated.port));
        number(printer, "designated_cost", "designated_cost", designated.cost);
        let bridge = bridge_id(designated.bridge);
        printer.any("bridge_id", bridge.as_str(), format!("designated_bridge {bridge} "));
        let root = bridge_id(designated.root);
        printer.any("root_id", root.as_str(), format!("designated_root {root} "));
    }
    let clocks = [
        ("hold_timer", StpClock::Hold),
        ("message_age_timer", StpClock::MessageAge),
        ("forward_delay_timer", StpClock::ForwardDelay),
    ];
    for (name, clock) in clocks {
        timer(printer, name, ip.inventory.stp_left(link.netns, link.ifindex, clock));
    }
    let acknowledges = u32::from(port.extra.topology_change_ack);
    number(printer, "topology_change_ack", "topology_change_ack", acknowledges);
    number(printer, "config_pending", "config_pending", u32::from(port.extra.config_pending));
    on_off(printer, "proxy_arp", false);
    on_off(printer, "proxy_arp_wifi", false);
    number(printer, "mcast_router", "multicast_router", 1);
    // The program prints this one a second time, and only as text.
    printer.plain("mcast_fast_leave off ");
    on_off(printer, "mcast_flood", port.extra.mcast_flood);
    on_off(printer, "bcast_flood", port.extra.bcast_flood);
    for name in ["mcast_to_unicast", "neigh_suppress"] {
        on_off(printer, name, false);
    }
    printer.any("group_fwd_mask", "0", "group_fwd_mask 0 ");
    printer.any("group_fwd_mask_str", "0x0", "group_fwd_mask_str 0x0 ");
    on_off(printer, "vlan_tunnel", false);
    on_off(printer, "isolated", port.extra.isolated);
    on_off(printer, "locked", false);
    printer.close();
}

pub(in crate::shell) use crate::trace::rows_text::port_state as state_name;
