//! What `-d` adds to the lines about a link. Attributes that nothing here can change print as the kernel sets them.

use super::Ip;
use super::link::kind_name;
use crate::shell::print::Printer;
use crate::trace::{LinkKind, LinkRow, PortRow};
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

/// Attributes of a bridge port that are on or off, after its timers.
const PORT_SWITCHES: [(&str, bool); 5] = [
    ("mcast_flood", true),
    ("bcast_flood", true),
    ("mcast_to_unicast", false),
    ("neigh_suppress", false),
    ("vlan_tunnel", false),
];

/// Prints a number as `KEY VALUE ` or under its key.
fn number(printer: &mut Printer, name: &str, key: &str, value: u32) {
    printer.any(key, value, format!("{name} {value} "));
}

fn on_off(printer: &mut Printer, name: &str, on: bool) {
    printer.any(name, on, format!("{name} {} ", if on { "on" } else { "off" }));
}

fn timer(printer: &mut Printer, name: &str) {
    // The program prints hundredths of seconds; JSON has the number with both decimals.
    let value = serde_json::from_str::<Value>("0.00").unwrap_or_default();
    printer.any(name, value, format!("{name}    0.00 "));
}

/// Prints everything that `-d` adds.
pub(super) fn print(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow) {
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
            bridge_port(ip, printer, port);
        }
        printer.close();
    }
    let queues = if matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Physical { .. }) { 2 } else { 1 };
    printer.any("inet6_addr_gen_mode", "eui64", "addrgenmode eui64 ");
    number(printer, "numtxqueues", "num_tx_queues", queues);
    number(printer, "numrxqueues", "num_rx_queues", queues);
    number(printer, "gso_max_size", "gso_max_size", 65536);
    number(printer, "gso_max_segs", "gso_max_segs", 65535);
    number(printer, "tso_max_size", "tso_max_size", 524_280);
    number(printer, "tso_max_segs", "tso_max_segs", 65535);
    number(printer, "gro_max_size", "gro_max_size", 65536);
}

/// `8000.` and the bridge's address.
fn bridge_id(mac: crate::base::MacAddr) -> String {
    format!("8000.{mac}")
}

fn bridge(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, ageing_secs: u32) {
    printer.object("info_data");
    for (name, value) in [
        ("forward_delay", 1500),
        ("hello_time", 200),
        ("max_age", 2000),
        ("ageing_time", ageing_secs * 100),
        ("stp_state", 0),
        ("priority", 32768),
        ("vlan_filtering", 0),
    ] {
        number(printer, name, name, value);
    }
    let id = bridge_id(link.mac);
    printer.any("bridge_id", id.as_str(), format!("bridge_id {id} "));
    printer.any("root_id", id.as_str(), format!("designated_root {id} "));
    for name in ["root_port", "root_path_cost", "topology_change", "topology_change_detected"] {
        number(printer, name, name, 0);
    }
    for name in ["hello_timer", "tcn_timer", "topology_change_timer"] {
        timer(printer, name);
    }
    let left = gc_timer(ip, ageing_secs);
    let value = serde_json::from_str::<Value>(&left).unwrap_or_default();
    printer.any("gc_timer", value, format!("gc_timer {left:>7} "));
    printer.any("group_fwd_mask", "0", "group_fwd_mask 0 ");
    printer.any("group_addr", "01:80:c2:00:00:00", "group_address 01:80:c2:00:00:00 ");
    for (name, key, value) in BRIDGE_MULTICAST {
        number(printer, name, key, value);
    }
    printer.close();
}

/// Time left until the bridge next looks for old entries, which it does once an ageing time.
fn gc_timer(ip: &Ip<'_>, ageing_secs: u32) -> String {
    let period = u64::from(ageing_secs.max(1)) * 100;
    let left = period - ip.now.0 / 10_000_000 % period;
    format!("{}.{:02}", left / 100, left % 100)
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

fn bridge_port(ip: &Ip<'_>, printer: &mut Printer, port: PortRow) {
    printer.object("info_slave_data");
    let state = state_name(port.state);
    printer.any("state", state, format!("state {state} "));
    number(printer, "priority", "priority", 32);
    number(printer, "cost", "cost", 2);
    on_off(printer, "hairpin", port.hairpin);
    for name in ["guard", "root_block", "fastleave"] {
        on_off(printer, name, false);
    }
    on_off(printer, "learning", port.learning);
    on_off(printer, "flood", port.flood);
    let id = 0x8000 | u32::from(port.number);
    printer.any("id", format!("{id:#x}"), format!("port_id {id:#x} "));
    printer.any("no", format!("{:#x}", port.number), format!("port_no {:#x} ", port.number));
    number(printer, "designated_port", "designated_port", id);
    number(printer, "designated_cost", "designated_cost", 0);
    let bridge = ip.state.links.get(&port.master).map_or(String::new(), |bridge| bridge_id(bridge.mac));
    printer.any("bridge_id", bridge.as_str(), format!("designated_bridge {bridge} "));
    printer.any("root_id", bridge.as_str(), format!("designated_root {bridge} "));
    for name in ["hold_timer", "message_age_timer", "forward_delay_timer"] {
        timer(printer, name);
    }
    number(printer, "topology_change_ack", "topology_change_ack", 0);
    number(printer, "config_pending", "config_pending", 0);
    on_off(printer, "proxy_arp", false);
    on_off(printer, "proxy_arp_wifi", false);
    number(printer, "mcast_router", "multicast_router", 1);
    // The program prints this one a second time, and only as text.
    printer.plain("mcast_fast_leave off ");
    for (name, on) in &PORT_SWITCHES[..4] {
        on_off(printer, name, *on);
    }
    printer.any("group_fwd_mask", "0", "group_fwd_mask 0 ");
    printer.any("group_fwd_mask_str", "0x0", "group_fwd_mask_str 0x0 ");
    for name in ["vlan_tunnel", "isolated", "locked"] {
        on_off(printer, name, false);
    }
    printer.close();
}

pub(in crate::shell) use crate::trace::rows_text::port_state as state_name;
