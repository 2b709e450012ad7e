//! `arp` and `ifconfig` of net-tools 2.10, and what busybox 1.35 prints in their place.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::base::{Ipv4Addr, Ipv4Net};
use crate::trace::{AddrRow, Counters, LinkKind, LinkRow, NeighRow, NetnsState, Nud, RouteRow};

const BUSYBOX_ARP_USAGE: &str = include_str!("usage/busybox-arp.txt");
const ARP_USAGE: &str = include_str!("usage/arp.txt");
/// Address families and kinds of hardware that the programs were built for, as `-V` lists them.
pub(super) const FAMILIES: &str =
    "+UNIX +INET +INET6 +IPX +AX25 +NETROM +X25 +ATALK +ECONET +ROSE -BLUETOOTH";
pub(super) const HARDWARE: &str = "+ETHER +ARC +SLIP +PPP +TUNNEL -TR +AX25 +NETROM +X25 +FR +ROSE +ASH +SIT +FDDI +HIPPI +HDLC/LAPB +EUI64 ";

/// Whose output is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edition {
    /// net-tools.
    NetTools,
    /// busybox.
    Busybox,
}

fn state<'a>(context: &Context<'a>) -> Option<&'a NetnsState> {
    context.inventory.state(context.netns)
}

/// Entries that the kernel shows in `/proc/net/arp`.
pub(super) fn entries(state: &NetnsState) -> impl Iterator<Item = &NeighRow> {
    state.neighbors.values().map(|entry| &entry.row).filter(|row| row.state != Nud::NoArp)
}

/// The address of an entry that is complete.
fn complete(row: &NeighRow) -> Option<String> {
    row.mac.filter(|_| !matches!(row.state, Nud::Incomplete | Nud::Failed)).map(|mac| mac.to_string())
}

/// `arp`. Names are not looked up, so `-n` changes nothing.
pub(super) fn arp(context: &mut Context<'_>, words: &[String], edition: Edition) -> Command {
    let parsed = match getopt("A:H:adfp:nsei:t:vh?DNV", words) {
        Ok(parsed) => parsed,
        Err(text) if edition == Edition::NetTools => return refuse(format!("arp: {text}\n{ARP_USAGE}"), 3),
        Err(text) => return refuse(format!("arp: {text}\n{BUSYBOX_ARP_USAGE}"), 1),
    };
    if parsed.options.iter().any(|(option, _)| *option == 's') {
        return arp_set(context, &parsed, edition);
    }
    let Some(state) = state(context) else { return refuse("", 255) };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let device = parsed.options.iter().find(|(option, _)| *option == 'i').map(|(_, name)| name.as_str());
    let host = parsed.operands.first();
    if has('V') {
        return answer(format!(
            "net-tools 2.10\n+I18N +SELINUX\nAF: (inet) {FAMILIES}\nHW: (ether) {HARDWARE}\n"
        ));
    }
    if has('h') || has('?') {
        return refuse(ARP_USAGE, 3);
    }
    if has('f') {
        return refuse("arp: cannot open etherfile /etc/ethers !\n", 255);
    }
    if let Some((letter, _)) = parsed.options.iter().find(|(letter, _)| "DAHpt".contains(*letter)) {
        let (text, status) = not_simulated("arp", &format!("-{letter}"));
        return refuse(text, status);
    }
    if has('d') {
        return arp_delete(state, host, device, edition);
    }
    let rows: Vec<&NeighRow> = entries(state)
        .filter(|row| host.is_none_or(|host| row.addr.to_string() == *host))
        .filter(|row| device.is_none_or(|device| &*state.ifname(row.ifindex) == device))
        .collect();
    let count = entries(state).count();
    // What is said where nothing was found, and the count that `-v` adds.
    let verbose = if has('v') {
        format!("Entries: {count}\tSkipped: {}\tFound: {}\n", count - rows.len(), rows.len())
    } else {
        String::new()
    };
    if rows.is_empty() {
        return answer(match (edition, host, device) {
            (Edition::NetTools, Some(host), _) => format!("{verbose}{host} ({host}) -- no entry\n"),
            (Edition::NetTools, None, Some(_)) => {
                format!("{verbose}arp: in {count} entries no match found.\n")
            }
            (Edition::Busybox | Edition::NetTools, None, None) => verbose,
            (Edition::Busybox, ..) => format!("{verbose}No match found in {count} entries\n"),
        });
    }
    let text = if edition == Edition::Busybox || has('a') {
        rows.iter().map(|row| bsd_line(state, row, edition)).collect::<Vec<_>>().concat()
    } else {
        let head = "Address                  HWtype  HWaddress           Flags Mask            Iface\n";
        let lines = rows.iter().map(|row| table_line(state, row));
        head.to_owned() + &lines.collect::<Vec<_>>().concat()
    };
    answer(text + &verbose)
}

/// `arp -s HOST MAC`: a permanent entry on the device that leads to the address.
fn arp_set(context: &mut Context<'_>, parsed: &super::getopt::Parsed, edition: Edition) -> Command {
    let need = |what: &str| refuse(format!("arp: need {what}\n"), 255);
    let Some(host) = parsed.operands.first() else { return need("host name") };
    let Some(mac) = parsed.operands.get(1) else { return need("hardware address") };
    if mac.parse::<crate::base::MacAddr>().is_err() {
        return refuse("arp: invalid hardware address\n", 255);
    }
    let Ok(addr) = host.parse::<Ipv4Addr>() else {
        return refuse(format!("{host}: Unknown host\n"), 255);
    };
    let given = parsed.options.iter().find(|(option, _)| *option == 'i').map(|(_, name)| name.clone());
    let attached = state(context).and_then(|state| {
        let near = |row: &&RouteRow| row.gateway.is_none() && row.table == 254 && row.dst.contains(&addr);
        let row = state.routes.iter().map(|(_, row)| row).find(near)?;
        row.oif.map(|oif| state.ifname(oif).to_string())
    });
    let unreachable = if edition == Edition::Busybox { "arp: SIOCSARP" } else { "SIOCSARP" };
    let Some(device) = given.or(attached) else {
        let status = if edition == Edition::Busybox { 1 } else { 255 };
        return refuse(format!("{unreachable}: Network is unreachable\n"), status);
    };
    let words = ["neigh", "replace", host, "lladdr", mac, "dev", &device, "nud", "permanent"];
    super::ip::ip(context, &words.map(str::to_owned))
}

/// `arp -d HOST`: the entry of that address, on a device where one is named.
fn arp_delete(state: &NetnsState, host: Option<&String>, device: Option<&str>, edition: Edition) -> Command {
    let Some(host) = host else { return refuse("arp: need host name\n", 255) };
    let found = entries(state).find(|row| {
        row.addr.to_string() == *host && device.is_none_or(|device| &*state.ifname(row.ifindex) == device)
    });
    let Some(row) = found else {
        if edition == Edition::Busybox {
            return refuse("arp: SIOCDARP(pub): No such file or directory\n", 1);
        }
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

/// `ifconfig`: all interfaces that are up, all with `-a`, or the one that is named.
pub(super) fn ifconfig(context: &Context<'_>, words: &[String], edition: Edition) -> Command {
    let Some(state) = state(context) else { return refuse("", 1) };
    let all = words.iter().any(|word| word == "-a");
    let net_tools = edition == Edition::NetTools;
    let operands: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    for option in words.iter().filter(|word| word.starts_with('-') && *word != "-a") {
        match option.as_str() {
            "-v" if net_tools => {}
            "-s" if net_tools => return answer(super::netstat::short_list(state)),
            "-V" | "--version" if net_tools => return answer("net-tools 2.10\n"),
            // busybox takes any other word for an interface.
            _ if !net_tools => {
                let what = "error fetching interface information: Device not found";
                return refuse(format!("ifconfig: {option}: {what}\n"), 1);
            }
            _ => {
                return refuse(
                    format!(
                        "ifconfig: option `{option}' not recognised.\n\
                         ifconfig: `--help' gives usage information.\n"
                    ),
                    1,
                );
            }
        }
    }
    let name = operands.first();
    let mut links: Vec<&LinkRow> = state.links.values().collect();
    links.sort_by_key(|link| link.name.clone());
    if let Some(name) = name {
        links.retain(|link| *link.name == ***name);
        if operands.len() > 1 {
            return set_interface(state, (name, links.first().copied()), &operands[1..], net_tools);
        }
        if links.is_empty() {
            let what = "error fetching interface information: Device not found";
            let program = if net_tools { "" } else { "ifconfig: " };
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

/// `ifconfig DEV up`, `down`, `mtu BYTES`, or an address with `netmask`.
fn set_interface(
    state: &NetnsState,
    (name, link): (&str, Option<&LinkRow>),
    words: &[&String],
    net_tools: bool,
) -> Command {
    let Some(link) = link else {
        return if net_tools {
            refuse(format!("{name}: ERROR while getting interface flags: No such device\n"), 255)
        } else {
            refuse("ifconfig: SIOCGIFFLAGS: No such device\n", 1)
        };
    };
    let mut changes = Vec::new();
    let mut words = words.iter();
    let mut addr: Option<(Ipv4Addr, Option<u8>)> = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "up" => changes.push(KernelChange::SetLinkUp(link.ifindex)),
            "down" => changes.push(KernelChange::SetLinkDown(link.ifindex)),
            "mtu" => {
                match words.next().and_then(|bytes| bytes.parse::<u32>().ok()).filter(|bytes| *bytes >= 68) {
                    Some(bytes) => changes.push(KernelChange::SetMtu(link.ifindex, bytes)),
                    None if net_tools => return refuse("SIOCSIFMTU: Invalid argument\n", 1),
                    None => return refuse("ifconfig: SIOCSIFMTU: Invalid argument\n", 1),
                }
            }
            "netmask" => {
                let mask = words.next().and_then(|mask| mask.parse::<Ipv4Addr>().ok());
                let Some((addr, mask)) = addr.as_mut().zip(mask) else {
                    return refuse("ifconfig: netmask wants an address before it and a mask after it\n", 1);
                };
                addr.1 = Some(u32::from(mask).count_ones() as u8);
            }
            text => match text.parse::<Ipv4Addr>() {
                Ok(parsed) => addr = Some((parsed, None)),
                Err(_) if net_tools => {
                    let tail = "ifconfig: `--help' gives usage information.\n";
                    return refuse(format!("{text}: Unknown host\n{tail}"), 1);
                }
                Err(_) => return refuse(format!("ifconfig: bad address '{text}'\n"), 1),
            },
        }
    }
    if let Some((addr, prefix)) = addr {
        // Without a mask, the one of the address's class (RFC 791).
        let by_class = match addr.octets()[0] {
            0..=127 => 8,
            128..=191 => 16,
            _ => 24,
        };
        let Ok(net) = Ipv4Net::new(addr, prefix.unwrap_or(by_class)) else {
            return refuse("SIOCSIFNETMASK: Invalid argument\n", 1);
        };
        let old = state.addrs.iter().filter(|row| row.ifindex == link.ifindex);
        changes.extend(old.map(|row| KernelChange::DelAddr(Box::new(row.clone()))));
        changes.push(KernelChange::AddAddr(Box::new(AddrRow {
            broadcast: (link.kind != LinkKind::Loopback).then(|| net.broadcast()),
            scope: if addr.is_loopback() { crate::trace::Scope::Host } else { crate::trace::Scope::Global },
            ..AddrRow::new(link.netns, link.ifindex, net)
        })));
        changes.push(KernelChange::SetLinkUp(link.ifindex));
    }
    Command::Change { changes, output: Vec::new(), status: 0 }
}

/// `IFF_*` flags by number and by name, in the order of `ifconfig`.
fn interface_flags(link: &LinkRow) -> (u32, Vec<&'static str>) {
    let flags = super::ip::link_flags(link);
    let has = |flag| flags.contains(&flag);
    let all = [
        (0x1, "UP", link.up),
        (0x2, "BROADCAST", has("BROADCAST")),
        (0x8, "LOOPBACK", has("LOOPBACK")),
        (0x10, "POINTOPOINT", has("POINTOPOINT")),
        (0x40, "RUNNING", link.up && link.carrier),
        (0x80, "NOARP", has("NOARP")),
        (0x100, "PROMISC", has("PROMISC")),
        (0x200, "ALLMULTI", has("ALLMULTI")),
        (0x1000, "MULTICAST", has("MULTICAST")),
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
