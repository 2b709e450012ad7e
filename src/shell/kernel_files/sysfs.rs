//! `/sys/class/net`: a directory for each device.

use super::{Entry, NO_ENTRY};
use crate::shell::ip;
use crate::trace::{LinkKind, LinkRow, NetnsState};

/// What every device has.
const ATTRIBUTES: [&str; 30] = [
    "addr_assign_type",
    "addr_len",
    "address",
    "broadcast",
    "carrier",
    "carrier_changes",
    "carrier_down_count",
    "carrier_up_count",
    "dev_id",
    "dev_port",
    "dormant",
    "duplex",
    "flags",
    "gro_flush_timeout",
    "ifalias",
    "ifindex",
    "iflink",
    "link_mode",
    "mtu",
    "name_assign_type",
    "napi_defer_hard_irqs",
    "netdev_group",
    "operstate",
    "proto_down",
    "speed",
    "testing",
    "threaded",
    "tx_queue_len",
    "type",
    "uevent",
];

/// Directories that every device has.
const DIRECTORIES: [&str; 4] = ["power", "queues", "statistics", "subsystem"];

const STATISTICS: [&str; 24] = [
    "collisions",
    "multicast",
    "rx_bytes",
    "rx_compressed",
    "rx_crc_errors",
    "rx_dropped",
    "rx_errors",
    "rx_fifo_errors",
    "rx_frame_errors",
    "rx_length_errors",
    "rx_missed_errors",
    "rx_nohandler",
    "rx_over_errors",
    "rx_packets",
    "tx_aborted_errors",
    "tx_bytes",
    "tx_carrier_errors",
    "tx_compressed",
    "tx_dropped",
    "tx_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
    "tx_packets",
    "tx_window_errors",
];

pub(super) fn find(state: &NetnsState, parts: &[&str]) -> Entry {
    let [name, rest @ ..] = parts else {
        let mut names: Vec<String> = state.links.values().map(|link| link.name.to_string()).collect();
        names.sort();
        return Entry::Directory(Some(names));
    };
    let Some(link) = state.link_named(name) else { return NO_ENTRY };
    let is_bridge = matches!(link.kind, LinkKind::Bridge { .. });
    match rest {
        [] => Entry::Directory(Some(device(state, link))),
        ["statistics"] => Entry::Directory(Some(STATISTICS.map(str::to_owned).to_vec())),
        ["statistics", which] if STATISTICS.contains(which) => Entry::File(counter(state, link, which)),
        ["power" | "queues" | "subsystem"] => Entry::Directory(None),
        ["bridge"] if is_bridge => Entry::Directory(None),
        ["brif"] if is_bridge => Entry::Directory(Some(ports(state, link))),
        ["brport" | "master"] if link.port.is_some() => Entry::Directory(None),
        [which] if ATTRIBUTES.contains(which) => attribute(state, link, which),
        [which, _, ..] if ATTRIBUTES.contains(which) => Entry::Missing("Not a directory"),
        [_, ..] => NO_ENTRY,
    }
}

/// The ports of a bridge.
fn ports(state: &NetnsState, bridge: &LinkRow) -> Vec<String> {
    let of_it = |link: &&LinkRow| link.port.as_ref().is_some_and(|port| port.master == bridge.ifindex);
    let mut names: Vec<String> =
        state.links.values().filter(of_it).map(|link| link.name.to_string()).collect();
    names.sort();
    names
}

/// What is in the directory of a device.
fn device(state: &NetnsState, link: &LinkRow) -> Vec<String> {
    let mut names: Vec<String> = ATTRIBUTES.into_iter().chain(DIRECTORIES).map(str::to_owned).collect();
    if matches!(link.kind, LinkKind::Bridge { .. }) {
        names.extend(["brforward", "bridge", "brif"].map(str::to_owned));
        names.extend(ports(state, link).into_iter().map(|port| format!("lower_{port}")));
    }
    if let Some(port) = &link.port {
        names.extend([
            "brport".to_owned(),
            "master".to_owned(),
            format!("upper_{}", state.ifname(port.master)),
        ]);
    }
    if let LinkKind::Vlan { lower, .. } | LinkKind::Macvlan { lower, .. } | LinkKind::Ipvlan { lower, .. } =
        link.kind
        && link.extra.lower_nsid.is_none()
    {
        names.push(format!("lower_{}", state.ifname(lower)));
    }
    names.sort();
    names
}

fn counter(state: &NetnsState, link: &LinkRow, which: &str) -> String {
    let seen = state.counters.get(&link.ifindex).copied().unwrap_or_default();
    let number = match which {
        "multicast" => seen.rx_multicast,
        "rx_bytes" => seen.rx_bytes,
        "rx_packets" => seen.rx_packets,
        "rx_dropped" => seen.rx_dropped,
        "tx_bytes" => seen.tx_bytes,
        "tx_packets" => seen.tx_packets,
        "tx_dropped" => seen.tx_dropped,
        _ => 0,
    };
    format!("{number}\n")
}

fn attribute(state: &NetnsState, link: &LinkRow, which: &str) -> Entry {
    let (hardware, address, broadcast) = ip::hardware(link);
    let kind = match hardware {
        "loopback" => 772,
        "ipip" => 768,
        "gre" => 778,
        _ => 1,
    };
    let is_loopback = link.kind == LinkKind::Loopback;
    let text = match which {
        "carrier" | "dormant" | "testing" | "speed" | "duplex" if !link.up => {
            return Entry::Refused("Invalid argument");
        }
        "speed" | "duplex" => return speed(link, which == "speed"),
        "address" => address,
        "broadcast" => broadcast,
        "addr_len" => if matches!(kind, 768 | 778) { "4" } else { "6" }.to_owned(),
        "carrier" => u8::from(link.carrier).to_string(),
        "flags" => format!("{:#x}", flags(link)),
        "ifindex" => link.ifindex.0.to_string(),
        "iflink" => match link.kind.tunnel() {
            Some(row) => row.dev.map_or(0, |dev| dev.0).to_string(),
            None => ip::peer(link).0.unwrap_or(link.ifindex).0.to_string(),
        },
        "mtu" => link.mtu.to_string(),
        "operstate" => ip::operstate(&state.links, link).to_lowercase(),
        "tx_queue_len" => link.txqlen.to_string(),
        "type" => kind.to_string(),
        "dev_id" => "0x0".to_owned(),
        "ifalias" => return Entry::File(String::new()),
        "uevent" => {
            let kind = match link.kind {
                LinkKind::Bridge { .. } => "DEVTYPE=bridge\n",
                LinkKind::Loopback | LinkKind::Veth { .. } => "",
                LinkKind::Vxlan { .. }
                | LinkKind::Physical { .. }
                | LinkKind::Dummy
                | LinkKind::Vlan { .. }
                | LinkKind::Macvlan { .. }
                | LinkKind::Ipvlan { .. }
                | LinkKind::Ipip(_)
                | LinkKind::Gre(_)
                | LinkKind::Gretap(_) => return Entry::Unknown,
            };
            format!("{kind}INTERFACE={}\nIFINDEX={}", link.name, link.ifindex.0)
        }
        "addr_assign_type" | "name_assign_type" if is_loopback => {
            if which == "addr_assign_type" { "0" } else { "2" }.to_owned()
        }
        "addr_assign_type" | "name_assign_type" | "carrier_changes" | "carrier_down_count"
        | "carrier_up_count" => {
            return Entry::Unknown;
        }
        _ => "0".to_owned(),
    };
    Entry::File(text + "\n")
}

/// What a driver says of its speed, in Mbit/s, and whether both ends may speak at once.
fn speed(link: &LinkRow, is_speed: bool) -> Entry {
    let text = match link.kind {
        LinkKind::Bridge { .. } => {
            if is_speed {
                "10000"
            } else {
                "unknown"
            }
        }
        LinkKind::Veth { .. } => {
            if is_speed {
                "10000"
            } else {
                "full"
            }
        }
        LinkKind::Loopback | LinkKind::Ipip(_) | LinkKind::Gre(_) | LinkKind::Gretap(_) => {
            return Entry::Refused("Invalid argument");
        }
        LinkKind::Vxlan { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. } => return Entry::Unknown,
    };
    Entry::File(format!("{text}\n"))
}

/// The flags of the device (`dev->flags`), with those that others asked for.
fn flags(link: &LinkRow) -> u32 {
    let named = ip::link_flags(link).into_iter().map(|name| match name {
        "UP" => 0x1,
        "BROADCAST" => 0x2,
        "LOOPBACK" => 0x8,
        "POINTOPOINT" => 0x10,
        "NOARP" => 0x80,
        "MULTICAST" => 0x1000,
        _ => 0,
    });
    let promisc = if link.extra.promisc > 0 { 0x100 } else { 0 };
    let allmulti = if link.extra.allmulti > 0 { 0x200 } else { 0 };
    named.sum::<u32>() | promisc | allmulti
}
