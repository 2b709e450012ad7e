//! `bridge` of iproute2 6.1.

mod fdb_change;
mod vlan;

use super::ip::{link_flags, port_state_name};
use super::out::{answer, not_simulated, refuse};
use super::print::{Color, Printer};
use super::{Command, Context};
use crate::base::{IfIndex, MacAddr, SimTime};
use crate::trace::{Fdb, LinkKind, LinkRow, MacvlanMode, NetnsState, PortRow};

const USAGE: &str = include_str!("usage/bridge.txt");

type Stop = (String, u8);

#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
struct Options {
    json: bool,
    pretty: bool,
    stats: bool,
    details: bool,
    color: bool,
}

struct Bridge<'a> {
    options: Options,
    state: &'a NetnsState,
    now: SimTime,
}

/// Runs `bridge` with these words after its name.
pub(super) fn bridge(context: &Context<'_>, words: &[String]) -> Command {
    let mut options = Options::default();
    let mut rest = words;
    while let Some((word, tail)) = rest.split_first().filter(|(word, _)| word.starts_with('-')) {
        let option = if word.starts_with("--") { &word[1..] } else { word.as_str() };
        let is = |name: &str| option.len() > 1 && name.starts_with(option);
        match option {
            _ if is("-Version") => return answer("bridge utility, 6.1.0\n"),
            _ if is("-stats") || is("-statistics") => options.stats = true,
            _ if is("-details") => options.details = true,
            _ if is("-json") => options.json = true,
            _ if is("-pretty") => options.pretty = true,
            _ if is("-color") || option == "-color=always" => options.color = true,
            _ if is("-timestamp") => {}
            _ if is("-help") => return refuse(USAGE, 255),
            _ => return refuse(format!("Option \"{option}\" is unknown, try \"bridge help\".\n"), 255),
        }
        rest = tail;
    }
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 255) };
    let bridge = Bridge { options, state, now: context.inventory.now };
    let Some((object, rest)) = rest.split_first() else { return refuse(USAGE, 255) };
    let (command, rest) = rest.split_first().map_or(("show", rest), |(word, rest)| (word.as_str(), rest));
    let shows = ["show", "lst", "list"].iter().any(|name| name.starts_with(command));
    let outcome = match object.as_str() {
        word if "fdb".starts_with(word) && fdb_change::takes(command) => {
            return changes(fdb_change::run(&bridge, command, rest));
        }
        word if "vlan".starts_with(word) && matches!(command, "add" | "del" | "delete") => {
            return changes(vlan::modify(&bridge, command == "add", rest));
        }
        word if "link".starts_with(word) && matches!(command, "set" | "change") => {
            return changes(vlan::link_set(&bridge, rest));
        }
        word if "link".starts_with(word) && shows => bridge.links(rest),
        word if "fdb".starts_with(word) && shows => bridge.fdb(rest),
        word if "vlan".starts_with(word) && shows => vlan::show(&bridge, rest),
        word if ["link", "fdb", "vlan"].iter().any(|name| name.starts_with(word)) => {
            let object =
                ["link", "fdb", "vlan"].into_iter().find(|name| name.starts_with(word)).unwrap_or(word);
            let known =
                ["set", "change", "add", "append", "replace", "delete", "get", "flush", "tunnelshow", "help"];
            if known.iter().any(|name| name.starts_with(command)) {
                let (text, status) = not_simulated(&format!("bridge {object}"), command);
                return refuse(text, status);
            }
            Err((format!("Command \"{command}\" is unknown, try \"bridge {object} help\".\n"), 255))
        }
        word if ["mdb", "vni", "monitor"].iter().any(|name| name.starts_with(word)) => {
            Err(not_simulated("bridge", word))
        }
        word => Err((format!("Object \"{word}\" is unknown, try \"bridge help\".\n"), 255)),
    };
    match outcome {
        Ok(text) => answer(text),
        Err((text, status)) => refuse(text, status),
    }
}

fn changes(outcome: Result<Vec<crate::shell::KernelChange>, Stop>) -> Command {
    match outcome {
        Ok(changes) => Command::Change { changes, output: Vec::new(), status: 0 },
        Err((text, status)) => refuse(text, status),
    }
}

fn next<'w>(words: &mut impl Iterator<Item = &'w String>) -> Result<&'w str, Stop> {
    let missing = || ("Command line is not complete. Try option \"help\"\n".to_owned(), 255);
    words.next().map(String::as_str).ok_or_else(missing)
}

impl Bridge<'_> {
    fn printer(&self) -> Printer {
        if self.options.json { Printer::json(self.options.pretty) } else { Printer::text(self.options.color) }
    }

    fn device(&self, name: &str) -> Result<IfIndex, Stop> {
        let missing = || (format!("Cannot find device \"{name}\"\n"), 255);
        self.state.link_named(name).map(|link| link.ifindex).ok_or_else(missing)
    }

    fn links(&self, words: &[String]) -> Result<String, Stop> {
        let (mut device, mut master) = (None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "dev" => device = Some(self.device(next(&mut words)?)?),
                "master" => master = Some(self.device(next(&mut words)?)?),
                word => device = Some(self.device(word)?),
            }
        }
        let mut printer = self.printer();
        for link in self.state.links.values() {
            let Some(port) = link.port else { continue };
            let wanted = device.is_none_or(|device| device == link.ifindex)
                && master.is_none_or(|master| master == port.master);
            if wanted {
                printer.object("");
                self.print_link(&mut printer, link, port);
                printer.close();
            }
        }
        Ok(printer.finish())
    }

    fn print_link(&self, printer: &mut Printer, link: &LinkRow, port: PortRow) {
        printer.any("ifindex", link.ifindex.0, format!("{}: ", link.ifindex.0));
        let mut flags = link_flags(link);
        let mut name = link.name.to_string();
        if let LinkKind::Veth { peer, .. } | LinkKind::Physical { peer, .. } = link.kind {
            // The program looks the other end's number up here, in the wrong namespace, and believes what it finds.
            if let Some(other) = self.state.links.get(&peer) {
                printer.field("link", &*other.name);
                name = format!("{name}@{}", other.name);
                if !other.up {
                    flags.push("M-DOWN");
                }
            } else {
                printer.field("link_index", peer.0);
                name = format!("{name}@if{}", peer.0);
            }
        }
        printer.colored(Color::Name, "ifname", &*link.name, format!("{name}: "));
        printer.any("flags", flags.clone(), format!("<{}> ", flags.join(",")));
        printer.any("mtu", link.mtu, format!("mtu {} ", link.mtu));
        let master = self.state.ifname(port.master);
        printer.any("master", &*master, format!("master {master} "));
        let state = port_state_name(port.state);
        printer.any("state", state, format!("state {state} "));
        let (priority, cost) = (port.extra.priority, port.extra.cost);
        printer.any("priority", priority, format!("priority {priority} "));
        printer.any("cost", cost, format!("cost {cost} "));
        if self.options.details {
            printer.plain("\n    ");
            print_details(printer, port);
        }
        printer.plain("\n");
    }

    fn fdb(&self, words: &[String]) -> Result<String, Stop> {
        let mut filter = Filter::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "dev" | "brport" => filter.device = Some(self.device(next(&mut words)?)?),
                "br" => {
                    let name = next(&mut words)?;
                    let missing = || (format!("Cannot find bridge device \"{name}\"\n"), 255);
                    filter.bridge = Some(self.state.link_named(name).ok_or_else(missing)?.ifindex);
                }
                "state" => filter.permanent = Some(next(&mut words)?.starts_with("perm")),
                "dynamic" => filter.permanent = Some(false),
                "master" => {
                    next(&mut words)?;
                }
                word => filter.device = Some(self.device(word)?),
            }
        }
        let mut printer = self.printer();
        for link in self.state.links.values() {
            self.print_fdb(&mut printer, &filter, link);
        }
        Ok(printer.finish())
    }

    /// The kernel lists the database device by device: a bridge's group addresses and its own entries, a port's
    /// entries in the bridge, then the group addresses that every device hears.
    fn print_fdb(&self, printer: &mut Printer, filter: &Filter, link: &LinkRow) {
        let master = link.port.map(|port| port.master);
        let is_bridge = matches!(link.kind, LinkKind::Bridge { .. });
        let in_bridge = |bridge| link.ifindex == bridge || master == Some(bridge);
        if filter.device.is_some_and(|device| device != link.ifindex)
            || filter.bridge.is_some_and(|bridge| !in_bridge(bridge))
        {
            return;
        }
        let groups = |printer: &mut Printer| {
            if filter.permanent != Some(false) && filter.device.is_none_or(|device| device == link.ifindex) {
                let riders = self.rider_addresses(link);
                for mac in riders.into_iter().chain(group_addresses(link)) {
                    self.print_group(printer, filter, link, mac);
                }
            }
        };
        if is_bridge {
            groups(printer);
        }
        let mut entries: Vec<&Fdb> =
            self.state.fdb.iter().filter(|entry| entry.row.ifindex == link.ifindex).collect();
        // What was learnt stands before the port's own address, as the recorded tables have it.
        entries.sort_by_key(|entry| (entry.row.permanent && entry.row.master.is_some(), entry.row.mac));
        for entry in entries {
            if filter.permanent.is_none_or(|permanent| permanent == entry.row.permanent) {
                self.print_entry(printer, filter, entry);
            }
        }
        if !is_bridge {
            groups(printer);
        }
    }

    fn print_head(&self, printer: &mut Printer, filter: &Filter, mac: MacAddr, ifindex: IfIndex) {
        let mac = mac.to_string();
        printer.colored(Color::Mac, "mac", mac.as_str(), format!("{mac} "));
        if filter.device.is_none() {
            let name = self.state.ifname(ifindex);
            printer.plain("dev ");
            printer.colored(Color::Name, "ifname", &*name, format!("{name} "));
        }
    }

    fn print_group(&self, printer: &mut Printer, filter: &Filter, link: &LinkRow, mac: MacAddr) {
        printer.object("");
        self.print_head(printer, filter, mac, link.ifindex);
        printer.any("flags", vec!["self"], "self ");
        printer.any("state", "permanent", "permanent");
        printer.plain("\n");
        printer.close();
    }

    fn print_entry(&self, printer: &mut Printer, filter: &Filter, entry: &Fdb) {
        let row = &entry.row;
        printer.object("");
        self.print_head(printer, filter, row.mac, row.ifindex);
        if let Some(dst) = row.dst {
            let dst = dst.to_string();
            printer.plain("dst ");
            printer.colored(Color::Inet, "dst", dst.as_str(), format!("{dst} "));
        }
        if row.vlan != 0 {
            printer.any("vlan", row.vlan, format!("vlan {} ", row.vlan));
        }
        if self.options.stats {
            let used = self.now.since(entry.used).as_secs();
            let updated = self.now.since(row.updated).as_secs();
            printer.any("used", used, format!("used {used}/"));
            printer.any("updated", updated, format!("{updated} "));
        }
        if let Some(master) = row.master {
            let master = self.state.ifname(master);
            printer.field("flags", Vec::<String>::new());
            printer.any("master", &*master, format!("master {master} "));
        } else {
            printer.any("flags", vec!["self"], "self ");
        }
        let state = row.state();
        printer.any("state", state, state);
        printer.plain("\n");
        printer.close();
    }
}

impl Bridge<'_> {
    /// Addresses of the devices of this namespace that stand on a device and have others than its own: it takes in
    /// what is for them (`dev_uc_add`), while they are up.
    fn rider_addresses(&self, lower: &LinkRow) -> Vec<MacAddr> {
        let stands_here = |link: &&LinkRow| match link.kind {
            LinkKind::Macvlan { lower: below, mode } => {
                below == lower.ifindex && mode != MacvlanMode::Passthru
            }
            LinkKind::Vlan { lower: below, .. } => below == lower.ifindex,
            LinkKind::Loopback
            | LinkKind::Veth { .. }
            | LinkKind::Bridge { .. }
            | LinkKind::Vxlan { .. }
            | LinkKind::Physical { .. }
            | LinkKind::Dummy
            | LinkKind::Ipvlan { .. }
            | LinkKind::Ipip(_)
            | LinkKind::Gre(_)
            | LinkKind::Gretap(_) => false,
        };
        let links = self.state.links.values().filter(stands_here);
        links
            .filter(|link| link.up && link.extra.lower_nsid.is_none() && link.mac != lower.mac)
            .map(|link| link.mac)
            .collect()
    }
}

/// Which entries of the databases are shown.
#[derive(Default)]
struct Filter {
    device: Option<IfIndex>,
    bridge: Option<IfIndex>,
    permanent: Option<bool>,
}

/// Group addresses that the kernel adds to a device that is up: all nodes of IPv6 and IPv4, and for a bridge all
/// snoopers (RFC 4286) besides. A loopback device and one without a table of its own have none.
fn group_addresses(link: &LinkRow) -> Vec<MacAddr> {
    let v6 = |last| MacAddr([0x33, 0x33, 0, 0, 0, last]);
    let v4 = |last| MacAddr([0x01, 0x00, 0x5e, 0, 0, last]);
    match link.kind {
        // What shares another device's wire hands its addresses down and keeps no table of its own.
        LinkKind::Loopback
        | LinkKind::Vxlan { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Ipip(_)
        | LinkKind::Gre(_)
        | LinkKind::Gretap(_) => Vec::new(),
        LinkKind::Bridge { .. } => vec![v6(0x01), v4(0x6a), v6(0x6a), v4(0x01)],
        LinkKind::Veth { .. } | LinkKind::Physical { .. } => vec![v6(0x01), v4(0x01)],
    }
}

fn print_details(printer: &mut Printer, port: PortRow) {
    let mut switch = |name: &str, on: bool| {
        printer.any(name, on, format!("{name} {} ", if on { "on" } else { "off" }));
    };
    switch("hairpin", port.hairpin);
    switch("guard", port.extra.bpdu_guard);
    switch("root_block", port.extra.root_block);
    switch("fastleave", false);
    switch("learning", port.learning);
    switch("flood", port.flood);
    switch("mcast_flood", port.extra.mcast_flood);
    switch("bcast_flood", port.extra.bcast_flood);
    printer.any("mcast_router", 1, "mcast_router 1 ");
    for (name, on) in [
        ("mcast_to_unicast", false),
        ("neigh_suppress", false),
        ("vlan_tunnel", false),
        ("isolated", port.extra.isolated),
        ("locked", false),
    ] {
        printer.any(name, on, format!("{name} {} ", if on { "on" } else { "off" }));
    }
}
