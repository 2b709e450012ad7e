//! `arp`, `route` and `ifconfig` of net-tools 2.10, and what busybox 1.35 prints in their place.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::getopt::getopt;
use super::ip::link_flags;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::base::{Ipv4Addr, Ipv4Net};
use crate::trace::{Counters, LinkKind, LinkRow, NeighRow, NetnsState, Nud, RouteKind, RouteRow};
use std::sync::Arc;

/// Whose output is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edition {
    /// net-tools.
    NetTools,
    /// busybox.
    Busybox,
}

fn state<'a>(context: &Context<'a>) -> Option<&'a NetnsState> {
    context.inventory.netns.get(&context.netns)
}

/// Entries that the kernel shows in `/proc/net/arp`.
fn entries(state: &NetnsState) -> impl Iterator<Item = &NeighRow> {
    state.neighbors.values().map(|entry| &entry.row).filter(|row| row.state != Nud::NoArp)
}

/// The address of an entry that is complete.
fn complete(row: &NeighRow) -> Option<String> {
    row.mac.filter(|_| !matches!(row.state, Nud::Incomplete | Nud::Failed)).map(|mac| mac.to_string())
}

/// `arp`. Names are not looked up, so `-n` changes nothing.
pub(super) fn arp(context: &Context<'_>, words: &[String], edition: Edition) -> Command {
    let parsed = match getopt("anevi:dsfD", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("arp: {text}\n"), 255),
    };
    let Some(state) = state(context) else { return refuse("", 255) };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let device = parsed.options.iter().find(|(option, _)| *option == 'i').map(|(_, name)| name.as_str());
    let host = parsed.operands.first();
    if let Some((letter, _)) = parsed.options.iter().find(|(letter, _)| "sfD".contains(*letter)) {
        let (text, status) = not_simulated("arp", &format!("-{letter}"));
        return refuse(text, status);
    }
    if has('d') {
        return arp_delete(state, host, device);
    }
    let rows: Vec<&NeighRow> = entries(state)
        .filter(|row| host.is_none_or(|host| row.addr.to_string() == *host))
        .filter(|row| device.is_none_or(|device| &*state.ifname(row.ifindex) == device))
        .collect();
    if let Some(host) = host.filter(|_| rows.is_empty()) {
        return answer(format!("{host} ({host}) -- no entry\n"));
    }
    let text = if edition == Edition::Busybox || has('a') {
        rows.iter().map(|row| bsd_line(state, row, edition)).collect::<Vec<_>>().concat()
    } else if rows.is_empty() {
        String::new()
    } else {
        let head = "Address                  HWtype  HWaddress           Flags Mask            Iface\n";
        let lines = rows.iter().map(|row| table_line(state, row));
        head.to_owned() + &lines.collect::<Vec<_>>().concat()
    };
    answer(text)
}

/// `arp -d HOST`: the entry of that address, on a device where one is named.
fn arp_delete(state: &NetnsState, host: Option<&String>, device: Option<&str>) -> Command {
    let Some(host) = host else { return refuse("arp: need host name\n", 255) };
    let found = entries(state).find(|row| {
        row.addr.to_string() == *host && device.is_none_or(|device| &*state.ifname(row.ifindex) == device)
    });
    let Some(row) = found else {
        let mut out = Out::default();
        out.out(format!("No ARP entry for {host}\n"));
        return out.done(255);
    };
    Command::Change {
        changes: vec![KernelChange::DelNeigh(row.ifindex, row.addr)],
        output: Vec::new(),
        status: 0,
    }
}

fn table_line(state: &NetnsState, row: &NeighRow) -> String {
    let device = state.ifname(row.ifindex);
    match complete(row) {
        Some(mac) => {
            let flags = if row.state == Nud::Permanent { "CM" } else { "C" };
            format!("{:<23}  ether   {mac:<18}  {flags:<21} {device}\n", row.addr.to_string())
        }
        None => format!(
            "{:<23}          (incomplete)                              {device}\n",
            row.addr.to_string()
        ),
    }
}

fn bsd_line(state: &NetnsState, row: &NeighRow, edition: Edition) -> String {
    let device = state.ifname(row.ifindex);
    let permanent = if row.state == Nud::Permanent { "PERM " } else { "" };
    match (complete(row), edition) {
        (Some(mac), Edition::NetTools) => {
            format!("? ({}) at {mac} [ether] {permanent}on {device}\n", row.addr)
        }
        (Some(mac), Edition::Busybox) => {
            format!("? ({}) at {mac} [ether] {permanent} on {device}\n", row.addr)
        }
        (None, Edition::NetTools) => format!("? ({}) at <incomplete> on {device}\n", row.addr),
        (None, Edition::Busybox) => format!("? ({}) at <incomplete>  on {device}\n", row.addr),
    }
}

/// Gateway and device as both listings show them; a route to nowhere has neither.
fn way(state: &NetnsState, row: &RouteRow) -> (String, Arc<str>) {
    let Some(oif) = row.oif else { return ("-".to_owned(), "-".into()) };
    (row.gateway.unwrap_or(Ipv4Addr::UNSPECIFIED).to_string(), state.ifname(oif))
}

/// `route`, whose listing is the same in both editions.
pub(super) fn route(context: &Context<'_>, words: &[String]) -> Command {
    if let Err(text) = getopt("ne", words) {
        return refuse(format!("route: {text}\n"), 4);
    }
    let Some(state) = state(context) else { return refuse("", 1) };
    let mut text = "Kernel IP routing table\n\
         Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
        .to_owned();
    for row in main_table(state) {
        let (gateway, device) = way(state, row);
        text.push_str(&format!(
            "{:<15} {gateway:<15} {:<15} {:<5} {:<6} 0        0 {device}\n",
            row.dst.network().to_string(),
            row.dst.netmask().to_string(),
            flags(row),
            row.metric,
        ));
    }
    answer(text)
}

/// `netstat -rn`.
pub(super) fn netstat_routes(context: &Context<'_>) -> Command {
    let Some(state) = state(context) else { return refuse("", 1) };
    let mut text = "Kernel IP routing table\n\
         Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
        .to_owned();
    for row in main_table(state) {
        let (gateway, device) = way(state, row);
        text.push_str(&format!(
            "{:<15} {gateway:<15} {:<15} {:<5}     0 0          0 {device}\n",
            row.dst.network().to_string(),
            row.dst.netmask().to_string(),
            flags(row),
        ));
    }
    answer(text)
}

/// The main table as `/proc/net/route` has it.
fn main_table(state: &NetnsState) -> Vec<&RouteRow> {
    let rows = state.routes.iter().map(|(_, row)| row);
    let mut rows: Vec<&RouteRow> =
        rows.filter(|row| row.table == 254 && row.kind != RouteKind::Broadcast).collect();
    rows.sort_by_key(|row| (row.dst.network(), 32 - row.dst.prefix_len(), row.metric));
    rows
}

fn flags(row: &RouteRow) -> String {
    let reject = matches!(row.kind, RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Blackhole);
    let host = if row.dst.prefix_len() == 32 { "H" } else { "" };
    if reject {
        return format!("!{host}");
    }
    format!("U{}{host}", if row.gateway.is_some() { "G" } else { "" })
}

/// `ifconfig`: all interfaces that are up, all with `-a`, or the one that is named.
pub(super) fn ifconfig(context: &Context<'_>, words: &[String], edition: Edition) -> Command {
    let Some(state) = state(context) else { return refuse("", 1) };
    let all = words.iter().any(|word| word == "-a");
    let name = words.iter().find(|word| !word.starts_with('-'));
    if let Some(option) = words.iter().find(|word| word.starts_with('-') && *word != "-a") {
        return refuse(
            format!(
                "ifconfig: option `{option}' not recognised.\nifconfig: `--help' gives usage information.\n"
            ),
            1,
        );
    }
    let mut links: Vec<&LinkRow> = state.links.values().collect();
    links.sort_by_key(|link| link.name.clone());
    if let Some(name) = name {
        links.retain(|link| *link.name == **name);
        if links.is_empty() {
            let what = "error fetching interface information: Device not found";
            let program = if edition == Edition::Busybox { "ifconfig: " } else { "" };
            return refuse(format!("{program}{name}: {what}\n"), 1);
        }
    } else {
        links.retain(|link| link.up || all);
    }
    let blocks = links.into_iter().map(|link| match edition {
        Edition::NetTools => block(state, link),
        Edition::Busybox => busybox_block(state, link),
    });
    answer(blocks.collect::<Vec<_>>().concat())
}

/// `IFF_*` flags by number and by name, in the order of `ifconfig`.
fn interface_flags(link: &LinkRow) -> (u32, Vec<&'static str>) {
    let loopback = link.kind == LinkKind::Loopback;
    let all = [
        (0x1, "UP", link.up),
        (0x2, "BROADCAST", !loopback),
        (0x8, "LOOPBACK", loopback),
        (0x40, "RUNNING", link.up && link.carrier),
        (0x1000, "MULTICAST", !loopback),
    ];
    let set = all.iter().filter(|(_, _, set)| *set);
    (set.clone().map(|(bit, _, _)| bit).sum(), set.map(|(_, name, _)| *name).collect())
}

fn addr(state: &NetnsState, link: &LinkRow) -> Option<(Ipv4Net, String)> {
    let row = state.addrs.iter().find(|row| row.ifindex == link.ifindex)?;
    let broadcast = row.broadcast.map_or("0.0.0.0".to_owned(), |broadcast| broadcast.to_string());
    Some((row.addr, broadcast))
}

fn counters(state: &NetnsState, link: &LinkRow) -> Counters {
    state.counters.get(&link.ifindex).copied().unwrap_or_default()
}

fn block(state: &NetnsState, link: &LinkRow) -> String {
    let (bits, names) = interface_flags(link);
    let mut text = format!("{}: flags={bits}<{}>  mtu {}\n", link.name, names.join(","), link.mtu);
    let loopback = link.kind == LinkKind::Loopback;
    if let Some((addr, broadcast)) = addr(state, link) {
        text.push_str(&format!("        inet {}  netmask {}", addr.addr(), addr.netmask()));
        text.push_str(&if loopback { "\n".to_owned() } else { format!("  broadcast {broadcast}\n") });
    }
    let queue = link.txqlen;
    text.push_str(&if loopback {
        format!("        loop  txqueuelen {queue}  (Local Loopback)\n")
    } else {
        format!("        ether {}  txqueuelen {queue}  (Ethernet)\n", link.mac)
    });
    let counters = counters(state, link);
    text.push_str(&format!(
        "        RX packets {}  bytes {} ({})\n        RX errors 0  dropped {}  overruns 0  frame 0\n",
        counters.rx_packets,
        counters.rx_bytes,
        bytes(counters.rx_bytes),
        counters.rx_dropped
    ));
    text.push_str(&format!(
        "        TX packets {}  bytes {} ({})\n        TX errors 0  dropped {} overruns 0  carrier 0  collisions 0\n\n",
        counters.tx_packets,
        counters.tx_bytes,
        bytes(counters.tx_bytes),
        counters.tx_dropped
    ));
    text
}

fn busybox_block(state: &NetnsState, link: &LinkRow) -> String {
    let loopback = link.kind == LinkKind::Loopback;
    let mut text = format!("{:<9} Link encap:", link.name);
    text.push_str(&if loopback {
        "Local Loopback  \n".to_owned()
    } else {
        format!("Ethernet  HWaddr {}  \n", link.mac.to_string().to_uppercase())
    });
    if let Some((addr, broadcast)) = addr(state, link) {
        text.push_str(&format!("          inet addr:{}", addr.addr()));
        if !loopback {
            text.push_str(&format!("  Bcast:{broadcast}"));
        }
        text.push_str(&format!("  Mask:{}\n", addr.netmask()));
    }
    let (_, names) = interface_flags(link);
    let names = if names.is_empty() { "[NO FLAGS]".to_owned() } else { names.join(" ") };
    let counters = counters(state, link);
    text.push_str(&format!("          {names}  MTU:{}  Metric:1\n", link.mtu));
    text.push_str(&format!(
        "          RX packets:{} errors:0 dropped:{} overruns:0 frame:0\n",
        counters.rx_packets, counters.rx_dropped
    ));
    text.push_str(&format!(
        "          TX packets:{} errors:0 dropped:{} overruns:0 carrier:0\n",
        counters.tx_packets, counters.tx_dropped
    ));
    text.push_str(&format!("          collisions:0 txqueuelen:{} \n", link.txqlen));
    text.push_str(&format!(
        "          RX bytes:{} ({})  TX bytes:{} ({})\n\n",
        counters.rx_bytes,
        bytes(counters.rx_bytes),
        counters.tx_bytes,
        bytes(counters.tx_bytes)
    ));
    text
}

/// Bytes in the largest unit below them, with one decimal cut off.
fn bytes(count: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "B")];
    let fit = units.into_iter().find(|(shift, _)| count >> shift > 0);
    let (shift, unit) = fit.unwrap_or((0, "B"));
    let tenths = (u128::from(count) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// `ip` of busybox: what it prints otherwise than iproute2 about links and addresses.
pub(super) fn busybox_ip(context: &Context<'_>, words: &[String]) -> Command {
    let mut words = words.iter().filter(|word| *word != "-4").peekable();
    let object = words.next().map_or("", String::as_str);
    let links = !object.is_empty() && "link".starts_with(object);
    let addrs = !object.is_empty() && "address".starts_with(object);
    if !links && !addrs {
        return refuse(format!("ip: invalid argument '{object}' to 'ip'\n"), 1);
    }
    let Some(state) = state(context) else { return refuse("", 1) };
    let _ = words.next_if(|word| ["show", "list", "lst"].iter().any(|name| name.starts_with(word.as_str())));
    let name = words.rfind(|word| *word != "dev");
    if let Some(name) = name.filter(|name| state.link_named(name).is_none()) {
        return refuse(format!("ip: can't find device '{name}'\n"), 1);
    }
    let links_shown = state.links.values().filter(|link| name.is_none_or(|name| *link.name == **name));
    let blocks = links_shown.map(|link| busybox_ip_block(state, link, addrs));
    answer(blocks.collect::<Vec<_>>().concat())
}

fn busybox_ip_block(state: &NetnsState, link: &LinkRow, with_addrs: bool) -> String {
    let mut flags = link_flags(link);
    let mut name = link.name.to_string();
    if let LinkKind::Veth { peer, .. } | LinkKind::Physical { peer, .. } = link.kind {
        // It looks the other end's number up in this namespace.
        if let Some(other) = state.links.get(&peer) {
            name = format!("{name}@{}", other.name);
            flags.extend((!other.up).then_some("M-DOWN"));
        } else {
            name = format!("{name}@if{}", peer.0);
            flags.push("M-DOWN");
        }
    }
    let mut text =
        format!("{}: {name}: <{}> mtu {} qdisc noqueue ", link.ifindex.0, flags.join(","), link.mtu);
    if let Some(port) = link.port {
        text.push_str(&format!("master {} ", state.ifname(port.master)));
    }
    if link.txqlen > 0 {
        text.push_str(&format!("qlen {}", link.txqlen));
    }
    let (kind, broadcast) = match link.kind {
        LinkKind::Loopback => ("loopback", "00:00:00:00:00:00"),
        LinkKind::Ipip(_) => ("ipip", "0.0.0.0"),
        LinkKind::Gre(_) => ("gre", "0.0.0.0"),
        LinkKind::Veth { .. }
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Gretap(_)
        | LinkKind::Physical { .. } => ("ether", "ff:ff:ff:ff:ff:ff"),
    };
    text.push_str(&format!("\n    link/{kind} {} brd {broadcast}\n", link.mac));
    for row in state.addrs.iter().filter(|row| with_addrs && row.ifindex == link.ifindex) {
        let broadcast = row.broadcast.map_or(String::new(), |broadcast| format!(" brd {broadcast}"));
        let scope = match row.scope {
            crate::trace::Scope::Global => "global",
            crate::trace::Scope::Link => "link",
            crate::trace::Scope::Host => "host",
        };
        text.push_str(&format!("    inet {}{broadcast} scope {scope} {}\n", row.addr, link.name));
        text.push_str("       valid_lft forever preferred_lft forever\n");
    }
    text
}
