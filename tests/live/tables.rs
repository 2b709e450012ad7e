//! The tables after a run, in one notation for both sides: lines as `ip` and `bridge` print them, sorted, without what
//! only time decides.

use crate::kernel::Machine;
use std::collections::BTreeMap;
use std::sync::Arc;
use vethscope::base::NetnsId;
use vethscope::trace::{Counters, Inventory, NetnsState, Nud, PortState, rows_text};

/// Lines of each table, by namespace and name of the table.
pub(crate) type Tables = BTreeMap<(NetnsId, &'static str), Vec<String>>;

/// Counters by namespace and interface.
pub(crate) type Counts = BTreeMap<(NetnsId, Arc<str>), Counters>;

/// The tables of the real kernel.
pub(crate) fn real(machine: &Machine, inventory: &Inventory) -> (Tables, Counts) {
    let mut tables = Tables::new();
    let mut counts = Counts::new();
    for &netns in inventory.netns.keys() {
        let mut put = |table, mut lines: Vec<String>| {
            lines.sort_unstable();
            tables.insert((netns, table), lines);
        };
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        put("routes", lines(&machine.ask(netns, "ip", &["-4", "route", "show", "table", "all"])));
        put("neighbours", lines(&machine.ask(netns, "ip", &["-4", "neigh", "show"])));
        let fdb = lines(&machine.ask(netns, "bridge", &["fdb", "show"]));
        put("fdb", fdb.into_iter().filter(|line| !is_own(line)).collect());
        let links = machine.ask(netns, "ip", &["-j", "-d", "-s", "link", "show"]);
        let links: serde_json::Value = serde_json::from_str(&links).unwrap_or_default();
        let links = links.as_array().cloned().unwrap_or_default();
        put("links", links.iter().map(link_line).collect());
        for link in &links {
            let name: Arc<str> = link["ifname"].as_str().unwrap_or_default().into();
            counts.insert((netns, name), counters(&link["stats64"]));
        }
    }
    (tables, counts)
}

/// Addresses that a device takes in by itself: groups that the kernel listens to, and those of devices that stand on it. The
/// simulated command shows them, and no row is kept of them.
fn is_own(line: &str) -> bool {
    ["33:33:", "01:00:5e:", "01:80:c2:"].iter().any(|group| line.starts_with(group))
        || (line.ends_with(" self permanent") && !line.contains(" dst "))
}

fn link_line(link: &serde_json::Value) -> String {
    let flag = |flag: &str| link["flags"].as_array().is_some_and(|flags| flags.iter().any(|at| at == flag));
    let master = link["master"].as_str().map_or_else(String::new, |master| format!(" master {master}"));
    let state = &link["linkinfo"]["info_slave_data"]["state"];
    let state = state.as_str().map_or_else(String::new, |state| format!(" state {state}"));
    format!(
        "{} {} {} mtu {}{}{}{master}{state}",
        link["ifindex"],
        link["ifname"].as_str().unwrap_or_default(),
        link["address"].as_str().unwrap_or_default(),
        link["mtu"],
        if flag("UP") { " up" } else { "" },
        if flag("LOWER_UP") { " carrier" } else { "" },
    )
}

fn counters(stats: &serde_json::Value) -> Counters {
    let number = |way: &str, what: &str| stats[way][what].as_u64().unwrap_or_default();
    Counters {
        rx_bytes: number("rx", "bytes"),
        rx_packets: number("rx", "packets"),
        rx_dropped: number("rx", "dropped"),
        rx_multicast: number("rx", "multicast"),
        tx_bytes: number("tx", "bytes"),
        tx_packets: number("tx", "packets"),
        tx_dropped: number("tx", "dropped"),
    }
}

/// The tables of the simulator.
pub(crate) fn simulated(inventory: &Inventory) -> (Tables, Counts) {
    let mut tables = Tables::new();
    let mut counts = Counts::new();
    for (&netns, state) in &inventory.netns {
        let mut put = |table, mut lines: Vec<String>| {
            lines.sort_unstable();
            tables.insert((netns, table), lines);
        };
        let name = |ifindex| state.ifname(ifindex);
        let routes = state.routes.iter().map(|(_, row)| {
            let carrier = row.oif.and_then(|oif| state.links.get(&oif)).is_none_or(|link| link.carrier);
            let style = rows_text::RouteStyle { names_table: true, details: false, linkdown: !carrier };
            rows_text::route(row, &name, style).trim_end().to_owned()
        });
        put("routes", routes.collect());
        let neighbors = state.neighbors.values().filter(|entry| entry.row.state != Nud::NoArp);
        let neighbors = neighbors.map(|entry| rows_text::neigh(&entry.row, &name, "").trim_end().to_owned());
        put("neighbours", neighbors.collect());
        let fdb = state.fdb.iter().map(|entry| {
            rows_text::fdb(&entry.row, &name, rows_text::FdbStyle::default()).trim_end().to_owned()
        });
        put("fdb", fdb.collect());
        put("links", links(state));
        for (ifindex, link) in &state.links {
            counts
                .insert((netns, link.name.clone()), state.counters.get(ifindex).copied().unwrap_or_default());
        }
    }
    (tables, counts)
}

fn links(state: &NetnsState) -> Vec<String> {
    let lines = state.links.values().map(|link| {
        let port = link.port.map_or_else(String::new, |port| {
            let state_name = match port.state {
                PortState::Disabled => "disabled",
                PortState::Listening => "listening",
                PortState::Learning => "learning",
                PortState::Forwarding => "forwarding",
                PortState::Blocking => "blocking",
            };
            format!(" master {} state {state_name}", state.ifname(port.master))
        });
        format!(
            "{} {} {} mtu {}{}{}{port}",
            link.ifindex.0,
            link.name,
            link.mac,
            link.mtu,
            if link.up { " up" } else { "" },
            if link.carrier && link.up { " carrier" } else { "" },
        )
    });
    lines.collect()
}

/// What was counted between two looks, in lines.
pub(crate) fn counted(inventory: &Inventory, before: &Counts, after: &Counts) -> Tables {
    let mut tables = Tables::new();
    for (&netns, state) in &inventory.netns {
        let lines = state.links.values().map(|link| {
            let key = (netns, link.name.clone());
            let at = |counts: &Counts| counts.get(&key).copied().unwrap_or_default();
            let (old, new) = (at(before), at(after));
            format!(
                "{} rx {} packets {} bytes {} dropped, tx {} packets {} bytes {} dropped",
                link.name,
                new.rx_packets.wrapping_sub(old.rx_packets),
                new.rx_bytes.wrapping_sub(old.rx_bytes),
                new.rx_dropped.wrapping_sub(old.rx_dropped),
                new.tx_packets.wrapping_sub(old.tx_packets),
                new.tx_bytes.wrapping_sub(old.tx_bytes),
                new.tx_dropped.wrapping_sub(old.tx_dropped),
            )
        });
        tables.insert((netns, "counters"), lines.collect());
    }
    tables
}
