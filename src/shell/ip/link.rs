//! `ip link`, and what it shares with `ip addr`: the lines about a link (`print_linkinfo`).
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::options::Family;
use super::{Ip, Stop, add, change, command_named, details, done, next, stats};
use crate::base::IfIndex;
use crate::shell::Command;
use crate::shell::out::not_simulated;
use crate::shell::print::{Color, Printer};
use crate::trace::{LinkKind, LinkRow};
use std::collections::BTreeMap;

/// Which links are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) ifindex: Option<IfIndex>,
    pub(super) up: bool,
    pub(super) kind: Option<String>,
    pub(super) master: Option<IfIndex>,
    pub(super) nomaster: bool,
}

impl Filter {
    pub(super) fn accepts(&self, link: &LinkRow) -> bool {
        let master = link.port.map(|port| port.master);
        self.ifindex.is_none_or(|ifindex| ifindex == link.ifindex)
            && (!self.up || link.up)
            && self.kind.as_deref().is_none_or(|kind| is_of_kind(link, kind))
            && self.master.is_none_or(|wanted| master == Some(wanted))
            && !(self.nomaster && master.is_some())
    }
}

fn is_of_kind(link: &LinkRow, kind: &str) -> bool {
    kind_name(link) == Some(kind) || (kind == "bridge_slave" && link.port.is_some())
}

/// `IFLA_INFO_KIND`.
pub(super) fn kind_name(link: &LinkRow) -> Option<&'static str> {
    link.kind.name()
}

/// Runs `ip link`.
pub(super) fn run(ip: &mut Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((word, rest)) = words.split_first() else { return show(ip, &[]) };
    let names = [
        "add", "change", "replace", "delete", "set", "show", "lst", "list", "xstats", "afstats", "property",
        "help",
    ];
    match command_named("link", word, &names)? {
        "add" => add::link_add(ip, rest),
        "delete" => add::link_del(ip, rest),
        "set" | "change" => change::link_set(ip, rest),
        "show" | "lst" | "list" => show(ip, rest),
        "property" => super::link_set::property(ip, rest),
        name => Err(not_simulated("ip link", name)),
    }
}

fn show(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let mut filter = Filter::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !read_filter(ip, &mut filter, word, &mut words)? {
            set_device(ip, &mut filter, word, &mut words)?;
        }
    }
    let mut printer = ip.options.printer();
    for link in ip.state.links.values().filter(|link| filter.accepts(link)) {
        printer.object("");
        print_link(ip, &mut printer, link, Shown::Link);
        printer.close();
    }
    Ok(done(printer.finish()))
}

/// Reads a word of the filter that `ip link` and `ip addr` have in common; `false` if it is none.
pub(super) fn read_filter<'w>(
    ip: &Ip<'_>,
    filter: &mut Filter,
    word: &str,
    words: &mut impl Iterator<Item = &'w String>,
) -> Result<bool, Stop> {
    match word {
        "up" => filter.up = true,
        "type" => filter.kind = Some(next(words)?.to_owned()),
        "nomaster" => filter.nomaster = true,
        "master" => {
            let name = next(words)?;
            let missing = || (format!("Error: argument \"{name}\" is wrong: Device does not exist\n\n"), 255);
            filter.master = Some(ip.link(name).ok_or_else(missing)?.ifindex);
        }
        "vrf" => {
            let name = next(words)?;
            let text = format!("Error: argument \"{name}\" is wrong: Not a valid VRF name\n\n");
            return Err((text, 255));
        }
        // There is one group of devices only.
        "group" if matches!(next(words)?, "default" | "0") => {}
        "group" | "label" | "tentative" | "deprecated" | "dadfailed" | "temporary" | "secondary"
        | "dynamic" | "home" | "mngtmpaddr" | "nodad" | "noprefixroute" | "autojoin" | "proto" => {
            return Err(not_simulated("ip", word));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads the interface's name, with or without `dev` before it.
pub(super) fn set_device<'w>(
    ip: &Ip<'_>,
    filter: &mut Filter,
    word: &'w str,
    words: &mut impl Iterator<Item = &'w String>,
) -> Result<(), Stop> {
    let name = if word == "dev" { next(words)? } else { word };
    if filter.ifindex.is_some() {
        return Err((format!("Error: either \"dev\" is duplicate, or \"{name}\" is a garbage.\n"), 255));
    }
    let Some(link) = ip.link(name) else {
        // All words are read before the name is looked up.
        return Err(match words.next() {
            Some(more) => (format!("Error: either \"dev\" is duplicate, or \"{more}\" is a garbage.\n"), 255),
            None => (format!("Device \"{name}\" does not exist.\n"), 1),
        });
    };
    filter.ifindex = Some(link.ifindex);
    Ok(())
}

/// Which command shows a link: they differ in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Link,
    Addr,
}

/// Flags in the order of iproute2's `print_link_flags`.
pub(in crate::shell) fn flags(link: &LinkRow) -> Vec<&'static str> {
    let mut flags = Vec::new();
    if link.up && !link.carrier {
        flags.push("NO-CARRIER");
    }
    let of_kind = match &link.kind {
        LinkKind::Loopback => &["LOOPBACK"][..],
        LinkKind::Ipip(row) | LinkKind::Gre(row) if row.remote.is_some() => &["POINTOPOINT", "NOARP"][..],
        LinkKind::Ipip(_) | LinkKind::Gre(_) => &["NOARP"][..],
        LinkKind::Dummy => &["BROADCAST", "NOARP"][..],
        LinkKind::Ipvlan { mode: crate::trace::IpvlanMode::L3, .. } => {
            &["BROADCAST", "MULTICAST", "NOARP"][..]
        }
        LinkKind::Veth { .. }
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Gretap(_) => &["BROADCAST", "MULTICAST"][..],
    };
    let by_hand = link.extra.flags;
    let is_set = |flag: &&str| match *flag {
        "MULTICAST" => by_hand.multicast.unwrap_or(of_kind.contains(flag)),
        "NOARP" => by_hand.arp.map_or(of_kind.contains(flag), |arp| !arp),
        _ => of_kind.contains(flag),
    };
    flags.extend(["LOOPBACK", "BROADCAST", "POINTOPOINT", "MULTICAST", "NOARP"].into_iter().filter(is_set));
    flags.extend(by_hand.allmulti.then_some("ALLMULTI"));
    flags.extend(link.extra.promisc_flag.then_some("PROMISC"));
    if link.up {
        flags.push("UP");
        flags.extend(link.carrier.then_some("LOWER_UP"));
    }
    flags
}

/// `operstate` of a device among the others of its namespace. Without a carrier it is its lower layer that is down only
/// where the device with the lower one's number here has none either; the number may be another namespace's, and then it is
/// any device's (`default_operstate` in `net/core/link_watch.c`).
pub(in crate::shell) fn state(links: &BTreeMap<IfIndex, LinkRow>, link: &LinkRow) -> &'static str {
    match link.kind {
        _ if !link.up => "DOWN",
        LinkKind::Bridge { .. } if link.carrier && link.extra.operstate_unknown => "UNKNOWN",
        LinkKind::Loopback
        | LinkKind::Vxlan { .. }
        | LinkKind::Dummy
        | LinkKind::Ipip(_)
        | LinkKind::Gre(_)
        | LinkKind::Gretap(_) => "UNKNOWN",
        LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Veth { .. }
        | LinkKind::Bridge { .. }
        | LinkKind::Physical { .. } => {
            let below = peer(link).0.and_then(|number| links.get(&number));
            match (link.carrier, below) {
                (true, _) => "UP",
                (false, Some(below)) if !(below.up && below.carrier) => "LOWERLAYERDOWN",
                (false, _) => "DOWN",
            }
        }
    }
}

/// Interface number of the other end and, where it lives elsewhere, the identifier of that namespace.
pub(in crate::shell) fn peer(link: &LinkRow) -> (Option<IfIndex>, Option<u32>) {
    match link.kind {
        LinkKind::Veth { peer_netns, peer, peer_nsid } => {
            (Some(peer), (peer_netns != link.netns).then_some(peer_nsid))
        }
        // A cable was there before any Pod: its other end's namespace got the first identifier.
        LinkKind::Physical { peer, .. } => (Some(peer), Some(0)),
        LinkKind::Vlan { lower, .. } | LinkKind::Macvlan { lower, .. } | LinkKind::Ipvlan { lower, .. } => {
            (Some(lower), link.extra.lower_nsid)
        }
        LinkKind::Loopback
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Dummy
        | LinkKind::Ipip(_)
        | LinkKind::Gre(_)
        | LinkKind::Gretap(_) => (None, None),
    }
}

/// Flags, and that the device below in this namespace is down.
fn flags_here(ip: &Ip<'_>, link: &LinkRow) -> Vec<&'static str> {
    let mut flags = flags(link);
    let below = match peer(link) {
        (Some(other), None) => ip.state.links.get(&other),
        _ => None,
    };
    flags.extend(below.filter(|other| !other.up).map(|_| "M-DOWN"));
    flags
}

/// Name of the hardware type, the device's address and the address of all, or of the other end.
pub(in crate::shell) fn hardware(link: &LinkRow) -> (&'static str, String, String) {
    let addr =
        |addr: Option<crate::base::Ipv4Addr>| addr.unwrap_or(crate::base::Ipv4Addr::UNSPECIFIED).to_string();
    match &link.kind {
        LinkKind::Loopback => ("loopback", link.mac.to_string(), "00:00:00:00:00:00".to_owned()),
        LinkKind::Ipip(row) => ("ipip", addr(row.local), addr(row.remote)),
        LinkKind::Gre(row) => ("gre", addr(row.local), addr(row.remote)),
        LinkKind::Veth { .. }
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Gretap(_) => ("ether", link.mac.to_string(), "ff:ff:ff:ff:ff:ff".to_owned()),
    }
}

fn name_and_peer(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, pad: usize) {
    let (peer, elsewhere) = peer(link);
    let mut name = link.name.to_string();
    if let Some(row) = link.kind.tunnel() {
        let below = row.dev.map_or_else(|| "NONE".to_owned(), |dev| ip.ifname(dev));
        printer.field("link", below.as_str());
        name += &format!("@{below}");
    }
    if let Some(peer) = peer {
        if let (None, Some(other)) = (elsewhere, ip.state.links.get(&peer)) {
            printer.field("link", &*other.name);
            name += &format!("@{}", other.name);
        } else {
            printer.field("link_index", peer.0);
            name += &format!("@if{}", peer.0);
        }
    }
    let text = if pad > 0 { format!("{name:<pad$} ") } else { format!("{name}: ") };
    printer.colored(Color::Name, "ifname", &*link.name, text);
}

/// The lines about one link, without the end of the last one.
pub(super) fn print_link(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, shown: Shown) {
    if ip.options.brief {
        print_brief(ip, printer, link, shown);
        return;
    }
    printer.any("ifindex", link.ifindex.0, format!("{}: ", link.ifindex.0));
    name_and_peer(ip, printer, link, 0);
    let flags = flags_here(ip, link);
    printer.any("flags", flags.clone(), format!("<{}> ", flags.join(",")));
    printer.any("mtu", link.mtu, format!("mtu {} ", link.mtu));
    let qdisc = match link.extra.qdisc {
        Some(_) => "netem",
        None if link.extra.never_up => "noop",
        None => "noqueue",
    };
    printer.any("qdisc", qdisc, format!("qdisc {qdisc} "));
    if let Some(port) = link.port {
        let master = ip.ifname(port.master);
        printer.any("master", master.as_str(), format!("master {master} "));
    }
    print_state(ip, printer, link, "state ", 0);
    if shown == Shown::Link {
        printer.any("linkmode", "DEFAULT", "mode DEFAULT ");
    }
    printer.any("group", "default", "group default ");
    if link.txqlen > 0 {
        printer.any("txqlen", link.txqlen, format!("qlen {}", link.txqlen));
    }
    let inet_only = ip.options.family == Some(Family::Inet) && shown == Shown::Addr;
    if !inet_only {
        printer.plain(ip.options.separator());
        let (kind, mac, broadcast) = hardware(link);
        printer.any("link_type", kind, format!("    link/{kind} "));
        printer.colored(Color::Mac, "address", mac.as_str(), mac.as_str());
        // A tunnel from end to end shows the other end where others show the address of all.
        let is_peer = flags.contains(&"POINTOPOINT");
        printer.plain(if is_peer { " peer " } else { " brd " });
        let key = if is_peer { "link_pointtopoint" } else { "broadcast" };
        if is_peer {
            printer.field(key, true);
        }
        printer.colored(Color::Mac, "broadcast", broadcast.as_str(), broadcast.as_str());
    }
    if let (_, Some(nsid)) = peer(link) {
        printer.any("link_netnsid", nsid, format!(" link-netnsid {nsid}"));
    }
    if ip.options.details && !inet_only {
        details::print(ip, printer, link, shown);
    }
    if let Some(alias) = link.extra.alias.as_deref().filter(|_| shown == Shown::Link || ip.options.details) {
        printer.plain(ip.options.separator());
        printer.any("ifalias", alias, format!("    alias {alias}"));
    }
    // `ip addr` prints the addresses before the counters.
    if ip.options.stats > 0 && shown == Shown::Link {
        stats::print(ip, printer, link);
    }
    if !link.extra.altnames.is_empty() {
        printer.list("altnames");
        for name in &link.extra.altnames {
            printer.any("", &**name, format!("{}    altname {name}", ip.options.separator()));
        }
        printer.close();
    }
    printer.plain("\n");
}

fn print_state(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, before: &str, pad: usize) {
    let state = state(&ip.state.links, link);
    let color = match state {
        "UP" => Color::Up,
        "DOWN" => Color::Down,
        _ => Color::Plain,
    };
    printer.plain(before);
    printer.colored(color, "operstate", state, format!("{state:<pad$} "));
}

fn print_brief(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, shown: Shown) {
    name_and_peer(ip, printer, link, 16);
    print_state(ip, printer, link, "", 14);
    if shown == Shown::Addr {
        return;
    }
    let mac = link.mac.to_string();
    printer.colored(Color::Mac, "address", mac.as_str(), format!("{mac} "));
    let flags = flags_here(ip, link);
    printer.any("flags", flags.clone(), format!("<{}> ", flags.join(",")));
    printer.plain("\n");
}
