//! `ip` of busybox 1.35: what it prints otherwise than iproute2. It asks the same questions, so the answers come from
//! there and are put into its words.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::ip::{self, link_flags};
use super::out::{answer, refuse};
use super::{Command, Context};
use crate::trace::{LinkKind, LinkRow, NetnsState};

const USAGE: &str = include_str!("usage/busybox-ip.txt");

/// Runs the applet.
pub(super) fn run(context: &mut Context<'_>, words: &[String]) -> Command {
    let (mut oneline, mut inet, mut at) = (false, false, 0);
    while let Some(option) = words.get(at).filter(|word| word.starts_with('-')) {
        at += 1;
        let family = match option.as_str() {
            "-o" | "-oneline" | "--oneline" => {
                oneline = true;
                continue;
            }
            "-4" => "inet",
            "-0" | "-6" => "other",
            "-f" | "-family" | "--family" => {
                at += 1;
                words.get(at - 1).map_or("", String::as_str)
            }
            _ => return refuse(USAGE, 1),
        };
        match family {
            "inet" => inet = true,
            "inet6" | "link" | "other" => {
                let (text, status) = super::out::not_simulated("ip", option);
                return refuse(text, status);
            }
            _ => return refuse(USAGE, 1),
        }
    }
    let rest = &words[at.min(words.len())..];
    let Some((object, rest)) = rest.split_first() else { return refuse(USAGE, 1) };
    let objects = ["address", "route", "link", "tunnel", "tunl", "neigh", "rule"];
    let Some(object) = objects.into_iter().find(|name| name.starts_with(object.as_str())) else {
        return refuse(USAGE, 1);
    };
    let commands: &[&str] = match object {
        "address" => &["add", "change", "replace", "delete", "list", "show", "lst", "flush"],
        "link" => &["add", "change", "replace", "delete", "set", "show", "lst", "list"],
        "route" => &[
            "add", "append", "change", "chg", "delete", "get", "list", "show", "prepend", "replace", "test",
            "flush",
        ],
        "neigh" | "rule" => &["show", "flush", "list", "lst", "add", "delete"],
        _ => &["add", "change", "delete", "show", "list", "lst"],
    };
    let Some(command) = rest
        .first()
        .map_or(Some("show"), |word| commands.iter().find(|name| name.starts_with(word.as_str())).copied())
    else {
        return refuse(format!("ip: invalid argument '{}' to 'ip'\n", rest[0]), 1);
    };
    let shows = matches!(command, "show" | "list" | "lst");
    match object {
        "address" | "link" if shows => links(context, rest, (object == "address", inet, oneline)),
        "tunnel" | "tunl" if shows => answer(""),
        _ => translated(context, (object, command, shows), rest),
    }
}

/// What iproute2 answers, in the applet's words.
fn translated(
    context: &mut Context<'_>,
    (object, command, shows): (&str, &str, bool),
    rest: &[String],
) -> Command {
    let mut asked: Vec<String> = Vec::new();
    if object == "neigh" && shows {
        asked.push("-s".to_owned());
    }
    asked.push(object.to_owned());
    asked.extend(rest.iter().cloned());
    // Unlike iproute2 it shows the device of a route even where one was asked for.
    let device = asked.iter().position(|word| word == "dev").filter(|_| object == "route" && shows);
    let device =
        device.filter(|at| at + 1 < asked.len()).map(|at| asked.drain(at..at + 2).nth(1).unwrap_or_default());
    let of_device = |line: &&str| device.as_ref().is_none_or(|name| line.contains(&format!("dev {name} ")));
    let answered = ip::ip(context, &asked);
    let Command::Done { output, status } = answered else { return answered };
    let pieces = output.into_iter().map(|(stream, text)| {
        let lines = || text.lines().filter(of_device);
        let text: String = match (object, status > 0) {
            (asks, true) => failure(asks, &text),
            ("route", false) => lines().filter_map(|line| route_line(line, command)).collect(),
            ("neigh", false) => text.lines().map(neigh_line).collect(),
            ("rule", false) => text.lines().flat_map(|line| [line, " \n"]).collect(),
            (_, false) => text,
        };
        (stream, text)
    });
    let status = if object == "link" && status == 1 { 2 } else { status };
    Command::Done { output: pieces.collect(), status }
}

/// The applet knows no messages of the kernel's own, only error numbers.
fn failure(asks: &str, text: &str) -> String {
    let reason = match text.trim_end().trim_start_matches("Error: ") {
        "Nexthop has invalid gateway." => "RTNETLINK answers: Network is unreachable",
        "Device for nexthop is not up." => "RTNETLINK answers: Network is down",
        "Invalid prefix for given prefix length." | "Invalid prefsrc address." => {
            "RTNETLINK answers: Invalid argument"
        }
        "ipv4: Address already assigned." => "RTNETLINK answers: File exists",
        "ipv4: Address not found." => "RTNETLINK answers: Cannot assign requested address",
        other => other,
    };
    if asks == "link" && reason.starts_with("Cannot find device") {
        return "ip: SIOCGIFFLAGS: No such device\n".to_owned();
    }
    match reason.strip_prefix("Cannot find device \"") {
        Some(name) => format!("ip: can't find device '{}'\n", name.trim_end_matches('"')),
        None => format!("ip: {reason}\n"),
    }
}

/// A route: no protocol, and a blank before source and metric of its own.
fn route_line(line: &str, command: &str) -> Option<String> {
    if line.starts_with("    cache") {
        return None;
    }
    let mut out = String::new();
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            "proto" => {
                words.next();
            }
            "uid" if command == "get" => {
                words.next();
            }
            "src" | "metric" => out += &format!(" {word} {} ", words.next().unwrap_or("")),
            word => out += &format!("{word} "),
        }
    }
    Some(out + "\n")
}

/// A neighbor: always with references and probes; times come out as 0.
fn neigh_line(line: &str) -> String {
    let (head, tail) = line.trim_end().split_once(" used ").unwrap_or((line, ""));
    let (_, probes) = tail.split_once("probes ").unwrap_or(("", tail));
    let head = if head.contains("lladdr") { head.replace("  ", " ") } else { head.to_owned() };
    format!(
        "{} used 0/0/0 probes {probes}\n",
        head.trim_end_matches(' ').to_owned()
            + if head.contains("lladdr") || head.contains(" ref ") { "" } else { " " }
    )
}

/// `ip link` and `ip addr`.
fn links(context: &Context<'_>, rest: &[String], (addrs, inet, oneline): (bool, bool, bool)) -> Command {
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 1) };
    let mut words = rest.iter().skip(1);
    let mut name = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => name = words.next(),
            "up" => {}
            _ if name.is_some() => {
                return refuse(format!("ip: either \"dev\" is duplicate, or \"{word}\" is garbage\n"), 2);
            }
            _ => name = Some(word),
        }
    }
    if rest.len() == 3 && name.is_some_and(|name| name == "type") {
        return refuse(format!("ip: either \"dev\" is duplicate, or \"{}\" is garbage\n", rest[2]), 2);
    }
    if let Some(name) = name.filter(|name| state.link_named(name).is_none()) {
        return refuse(format!("ip: can't find device '{name}'\n"), 1);
    }
    let shown = state
        .links
        .values()
        .filter(|link| name.is_none_or(|name| *link.name == **name))
        .filter(|link| !inet || !addrs || state.addrs.iter().any(|row| row.ifindex == link.ifindex));
    let mut text = String::new();
    for link in shown {
        let whole = block(state, link, (!inet, addrs));
        if !oneline {
            text += &whole;
        } else if addrs {
            // One line for each address, without the link's own.
            let lines: Vec<&str> =
                whole.lines().filter(|line| !line.starts_with("    link/")).skip(1).collect();
            for pair in lines.chunks(2) {
                text += &format!(
                    "{}: {}{}\\{}\n",
                    link.ifindex.0,
                    link.name,
                    pair[0],
                    pair.get(1).unwrap_or(&"")
                );
            }
        } else {
            text += &whole.trim_end_matches('\n').replace('\n', "\\");
            text.push('\n');
        }
    }
    answer(text)
}

fn block(state: &NetnsState, link: &LinkRow, (with_link, with_addrs): (bool, bool)) -> String {
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
    text.push('\n');
    if with_link {
        text.push_str(&format!("    link/{kind} {} brd {broadcast}\n", link.mac));
    }
    for row in state.addrs.iter().filter(|row| with_addrs && row.ifindex == link.ifindex) {
        let broadcast = row.broadcast.map_or(String::new(), |broadcast| format!(" brd {broadcast}"));
        let scope = crate::trace::rows_text::scope(row.scope);
        let second = if row.secondary { "secondary " } else { "" };
        let label = row.label.as_deref().unwrap_or(&link.name);
        text.push_str(&format!("    inet {}{broadcast} scope {scope} {second}{label}\n", row.text()));
        text.push_str("       valid_lft forever preferred_lft forever\n");
    }
    text
}
