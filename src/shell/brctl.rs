//! `brctl` of bridge-utils 1.7: what it changes, it asks the kernel for as `ip link` and `bridge link` do.

use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context, bridge, ip};
use crate::base::SimTime;
use crate::trace::{BridgeRow, Designated, Inventory, LinkKind, LinkRow, NetnsState, StpClock};
use crate::wire::{BridgeId, port_id};
use std::fmt::Write as _;

const USAGE: &str = include_str!("usage/brctl.txt");

/// Why a command ends: its text on standard error.
type Stop = String;

/// Runs `brctl`.
pub(super) fn brctl(context: &mut Context<'_>, words: &[String]) -> Command {
    let Some((name, operands)) = words.split_first() else { return usage("") };
    match name.as_str() {
        "-V" | "--version" => return answer("bridge-utils, 1.7\n"),
        "-h" | "--help" => return answer(USAGE),
        _ => {}
    }
    let Some(help) = USAGE.lines().find(|line| line.split_whitespace().next() == Some(name)) else {
        return usage(&format!("never heard of command [{name}]\n"));
    };
    // What a command needs is what its own line promises, but for what stands in brackets.
    let needed = help.split('\t').filter(|part| !part.contains('[')).collect::<String>();
    let needed = needed.matches(['<', '{']).count();
    if operands.len() < needed {
        let help = help.trim_start().replacen(name, "", 1);
        let text = format!("Usage: brctl {name} {}\n", help.trim_start());
        return refuse(format!("Incorrect number of arguments for command\n{text}"), 1);
    }
    let Some(state) = context.inventory.netns.get(&context.netns) else { return refuse("", 1) };
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let outcome = match (name.as_str(), operands.as_slice()) {
        ("show", names) => Ok(show(state, names)),
        ("showmacs", [name, ..]) => show_macs(state, name, context.inventory.now),
        ("showstp", [name, ..]) => show_stp(context.inventory, state, name),
        ("addbr", [name, ..]) => {
            add_bridge(state, name).map(|()| ask(context, &["link", "add", "name", name, "type", "bridge"]))
        }
        ("delbr", [name, ..]) => del_bridge(state, name).map(|()| ask(context, &["link", "del", name])),
        ("addif", [bridge, ports @ ..]) => Ok(each(context, ports, |context, port| {
            add_port(state, bridge, port)?;
            Ok(ask(context, &["link", "set", "dev", port, "master", bridge]))
        })),
        ("delif", [bridge, ports @ ..]) => Ok(each(context, ports, |context, port| {
            del_port(state, bridge, port)?;
            Ok(ask(context, &["link", "set", "dev", port, "nomaster"]))
        })),
        (name, operands) => set(context, state, name, operands),
    };
    outcome.unwrap_or_else(|text| refuse(text, 1))
}

fn usage(before: &str) -> Command {
    let mut out = Out::default();
    out.err(before);
    out.out(USAGE);
    out.done(1)
}

fn ask(context: &mut Context<'_>, words: &[&str]) -> Command {
    ip::ip(context, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
}

/// One change after the other, as far as they are possible.
fn each<'a>(
    context: &mut Context<'_>,
    ports: &[&'a str],
    one: impl Fn(&mut Context<'_>, &'a str) -> Result<Command, Stop>,
) -> Command {
    let (mut all, mut out) = (Vec::new(), Out::default());
    for port in ports {
        match one(context, port) {
            Ok(Command::Change { changes, .. }) => all.extend(changes),
            Ok(refused) => return refused,
            Err(text) => {
                out.err(text);
                return Command::Change { changes: all, output: out.into_pieces(), status: 1 };
            }
        }
    }
    Command::Change { changes: all, output: Vec::new(), status: 0 }
}

fn is_bridge(link: &LinkRow) -> bool {
    matches!(link.kind, LinkKind::Bridge { .. })
}

/// The bridge of this name.
fn bridge_named<'a>(state: &'a NetnsState, name: &str) -> Result<&'a LinkRow, Stop> {
    match state.link_named(name) {
        Some(link) if is_bridge(link) => Ok(link),
        Some(_) => Err(format!("device {name} is not a bridge!\n")),
        None => Err(format!("bridge {name} does not exist!\n")),
    }
}

/// A bridge's identifier as the program prints it, without colons.
fn dense_id(id: BridgeId) -> String {
    format!("{:04x}.{}", id.priority, id.mac.to_string().replace(':', ""))
}

/// The ports of a bridge by their names.
fn ports<'a>(state: &'a NetnsState, bridge: &LinkRow) -> Vec<&'a LinkRow> {
    let of_it = |link: &&LinkRow| link.port.as_ref().is_some_and(|port| port.master == bridge.ifindex);
    let mut ports: Vec<&LinkRow> = state.links.values().filter(of_it).collect();
    ports.sort_by_key(|link| link.name.clone());
    ports
}

fn show(state: &NetnsState, names: &[&str]) -> Command {
    let mut bridges: Vec<&LinkRow> = state.links.values().filter(|link| is_bridge(link)).collect();
    bridges.sort_by_key(|link| link.name.clone());
    let (mut out, mut status) = (Out::default(), 0);
    if !names.is_empty() {
        bridges.clear();
        for name in names {
            match bridge_named(state, name) {
                Ok(link) => bridges.push(link),
                Err(text) => out.err(text),
            }
        }
        status = u8::from(bridges.len() < names.len());
    }
    let mut text = String::new();
    for (at, bridge) in bridges.into_iter().enumerate() {
        if at == 0 {
            text += "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n";
        }
        let Some(row) = &bridge.extra.bridge else { continue };
        let stp = if row.stp { "yes" } else { "no" };
        let _ = write!(text, "{}\t\t{}\t{stp}\t\t", bridge.name, dense_id(row.id));
        let ports = ports(state, bridge).into_iter().map(|port| format!("{}\n", port.name));
        let ports = ports.collect::<Vec<_>>().join("\t\t\t\t\t\t\t");
        text += if ports.is_empty() { "\n" } else { &ports };
    }
    out.out(text);
    out.done(status)
}

fn show_macs(state: &NetnsState, name: &str, now: SimTime) -> Result<Command, Stop> {
    let failed = |why| format!("read of forward table failed: {why}\n");
    let bridge = state.link_named(name).ok_or_else(|| failed("No such device"))?;
    if !is_bridge(bridge) {
        return Err(failed("Operation not supported"));
    }
    let mut rows: Vec<_> =
        state.fdb.iter().filter(|entry| entry.row.master == Some(bridge.ifindex)).collect();
    rows.sort_by_key(|entry| entry.row.mac);
    let mut text = "port no\tmac addr\t\tis local?\tageing timer\n".to_owned();
    for entry in rows {
        // The bridge's own address is at no port.
        let port = state.links.get(&entry.row.ifindex).and_then(|link| link.port.as_ref());
        let Some(port) = port else { continue };
        let local = if entry.row.permanent { "yes" } else { "no" };
        let age = if entry.row.permanent { 0 } else { now.since(entry.row.updated).as_ms() / 10 };
        let (number, mac) = (port.number, entry.row.mac);
        let _ = writeln!(text, "{number:3}\t{mac}\t{local}\t\t{:4}.{:02}", age / 100, age % 100);
    }
    Ok(answer(text))
}

/// The state of a bridge and its ports (`br_dump_info`).
fn show_stp(inventory: &Inventory, state: &NetnsState, name: &str) -> Result<Command, Stop> {
    let bridge = bridge_named(state, name)?;
    let (Some(row), LinkKind::Bridge { ageing_secs, .. }) = (&bridge.extra.bridge, &bridge.kind) else {
        return Ok(answer(""));
    };
    let row = &inventory.with_times_in_force(bridge.netns, bridge.ifindex, *row);
    let (max_age, hello, delay) =
        (seconds(row.max_age.into()), seconds(row.hello_time.into()), seconds(row.forward_delay.into()));
    // The collector comes by only at a bridge that is up.
    let gc = seconds(if bridge.up { ip::gc_timer(inventory.now, *ageing_secs) } else { 0 });
    let ageing = seconds(row.ageing(*ageing_secs).into());
    let left = |clock| seconds(inventory.stp_left(bridge.netns, bridge.ifindex, clock));
    let (hello_left, tcn) = (left(StpClock::Hello), left(StpClock::Tcn));
    let change = left(StpClock::TopologyChange);
    let (own, root) = (dense_id(row.id), dense_id(row.root));
    let (port, cost) = (row.root_port, row.root_path_cost);
    let mut text = format!(
        "{name}\n bridge id\t\t{own}\n designated root\t{root}\n root port\t\t{port:4}\t\t\tpath cost\t\t{cost:4}\n \
         max age\t\t{max_age}\t\t\tbridge max age\t\t{max_age}\n \
         hello time\t\t{hello}\t\t\tbridge hello time\t{hello}\n \
         forward delay\t\t{delay}\t\t\tbridge forward delay\t{delay}\n \
         ageing time\t\t{ageing}\n \
         hello timer\t\t{hello_left}\t\t\ttcn timer\t\t{tcn}\n \
         topology change timer\t{change}\t\t\tgc timer\t\t{gc}\n \
         flags\t\t\t{}{}\n\n\n",
        if row.topology_change { "TOPOLOGY_CHANGE " } else { "" },
        if row.topology_change_detected { "TOPOLOGY_CHANGE_DETECTED " } else { "" },
    );
    for port in ports(state, bridge) {
        port_stp(&mut text, inventory, (row, port));
    }
    Ok(answer(text))
}

/// The part of a port (`dump_port_info`).
fn port_stp(text: &mut String, inventory: &Inventory, (bridge, link): (&BridgeRow, &LinkRow)) {
    let Some(port) = &link.port else { return };
    let (id, number, cost) = (port_id(port.extra.priority, port.number), port.number, port.extra.cost);
    // Where no other bridge was heard of, this one is the designated one at the port.
    let own = Designated { root: bridge.root, cost: bridge.root_path_cost, bridge: bridge.id, port: id };
    let known = port.extra.designated.filter(|known| known.bridge.mac != bridge.id.mac).unwrap_or(own);
    let (root, designated) = (dense_id(known.root), dense_id(known.bridge));
    let (root_cost, far) = (known.cost, known.port);
    let left = |clock| seconds(inventory.stp_left(link.netns, link.ifindex, clock));
    let (age, delay, hold) = (left(StpClock::MessageAge), left(StpClock::ForwardDelay), left(StpClock::Hold));
    let _ = write!(
        text,
        "{} ({number})\n port id\t\t{id:04x}\t\t\tstate\t\t{:>15}\n \
         designated root\t{root}\tpath cost\t\t{cost:4}\n \
         designated bridge\t{designated}\tmessage age timer\t{age}\n \
         designated port\t{far:04x}\t\t\tforward delay timer\t{delay}\n \
         designated cost\t{root_cost:4}\t\t\thold timer\t\t{hold}\n \
         flags\t\t\t{}{}\n{}\n",
        link.name,
        ip::port_state_name(port.state),
        if port.extra.config_pending { "CONFIG_PENDING " } else { "" },
        if port.extra.topology_change_ack { "TOPOLOGY_CHANGE_ACK " } else { "" },
        if port.hairpin { " hairpin mode\t\t   1\n" } else { "" },
    );
}

/// Hundredths of seconds as the program prints times.
fn seconds(hundredths: u64) -> String {
    format!("{:4}.{:02}", hundredths / 100, hundredths % 100)
}

fn add_bridge(state: &NetnsState, name: &str) -> Result<(), Stop> {
    match state.link_named(name) {
        Some(_) => Err(format!("device {name} already exists; can't create bridge with the same name\n")),
        None => Ok(()),
    }
}

fn del_bridge(state: &NetnsState, name: &str) -> Result<(), Stop> {
    match state.link_named(name) {
        None => Err(format!("bridge {name} doesn't exist; can't delete it\n")),
        Some(link) if !is_bridge(link) => {
            Err(format!("can't delete bridge {name}: Operation not permitted\n"))
        }
        Some(link) if link.up => Err(format!("bridge {name} is still up; can't delete it\n")),
        Some(_) => Ok(()),
    }
}

/// A bridge and a device that may become or be its port.
fn both<'a>(state: &'a NetnsState, bridge: &str, port: &str) -> Result<(&'a LinkRow, &'a LinkRow), Stop> {
    let found = state.link_named(port).ok_or_else(|| format!("interface {port} does not exist!\n"))?;
    let bridge = state.link_named(bridge).ok_or_else(|| format!("bridge {bridge} does not exist!\n"))?;
    Ok((bridge, found))
}

fn add_port(state: &NetnsState, bridge: &str, port: &str) -> Result<(), Stop> {
    let (_, link) = both(state, bridge, port)?;
    if link.port.is_some() {
        let what = format!("is already a member of a bridge; can't add it to bridge {bridge}.");
        return Err(format!("device {port} {what}\n"));
    }
    if matches!(link.kind, LinkKind::Loopback) {
        return Err(format!("can't add {port} to bridge {bridge}: Invalid argument\n"));
    }
    Ok(())
}

fn del_port(state: &NetnsState, bridge: &str, port: &str) -> Result<(), Stop> {
    let (master, link) = both(state, bridge, port)?;
    if link.port.as_ref().is_none_or(|row| row.master != master.ifindex) {
        return Err(format!("device {port} is not a port of {bridge}\n"));
    }
    Ok(())
}

/// `on` and what else the program takes for it.
fn switch(word: &str) -> Result<&'static str, Stop> {
    match word {
        "on" | "yes" | "1" => Ok("on"),
        "off" | "no" | "0" => Ok("off"),
        _ => Err("expect on/off for argument\n".to_owned()),
    }
}

/// The commands that set something.
fn set(
    context: &mut Context<'_>,
    state: &NetnsState,
    command: &str,
    operands: &[&str],
) -> Result<Command, Stop> {
    let (what, option) = match command {
        "stp" => ("stp status", "stp_state"),
        "setageing" => ("ageing time", "ageing_time"),
        "setfd" => ("forward delay", "forward_delay"),
        "sethello" => ("hello timer", "hello_time"),
        "setmaxage" => ("max age", "max_age"),
        "setbridgeprio" => ("bridge priority", "priority"),
        "hairpin" => ("hairpin mode", "hairpin"),
        "setpathcost" => ("path cost", "cost"),
        "setportprio" => ("port priority", "priority"),
        _ => return Err(not_simulated("brctl", command).0),
    };
    let (target, value) = match operands {
        [name, value] => (*name, *value),
        [_, port, value, ..] => (*port, *value),
        _ => return Ok(usage("")),
    };
    let value = match command {
        "stp" => u8::from(switch(value)? == "on").to_string(),
        "hairpin" => switch(value)?.to_owned(),
        _ => {
            let bad = |_| format!("bad {what} value\n");
            let number = value.parse::<u32>().map_err(bad)?;
            // The program takes seconds, the kernel hundredths of them.
            let is_time = ["setageing", "setfd", "sethello", "setmaxage"].contains(&command);
            if is_time { u64::from(number) * 100 } else { u64::from(number) }.to_string()
        }
    };
    if state.link_named(target).is_none() {
        return Err(format!("set {what} failed: No such device\n"));
    }
    if ["hairpin", "setpathcost", "setportprio"].contains(&command) {
        let words = ["link", "set", "dev", target, option, &value].map(str::to_owned);
        return Ok(bridge::bridge(context, &words));
    }
    Ok(ask(context, &["link", "set", "dev", target, "type", "bridge", option, &value]))
}
