//! What `ip -d link` prints about devices that stand on others and about tunnels, and `ip tunnel`.
#![expect(
    clippy::format_push_string,
    reason = "lines are put together piece by piece, as the program prints them"
)]

use super::{Ip, Stop, command_named, done};
use crate::base::Ipv4Addr;
use crate::shell::Command;
use crate::shell::print::Printer;
use crate::trace::{LinkKind, TunnelRow};

fn word(printer: &mut Printer, key: &str, value: &str) {
    printer.any(key, value, format!("{key} {value} "));
}

/// Prints the settings of a VLAN, macvlan or ipvlan device or of a tunnel.
pub(super) fn details(ip: &Ip<'_>, printer: &mut Printer, kind: &LinkKind) {
    printer.object("info_data");
    match kind {
        LinkKind::Vlan { id, protocol, .. } => {
            word(printer, "protocol", protocol.name());
            printer.any("id", *id, format!("id {id} "));
            printer.any("flags", vec!["REORDER_HDR"], "<REORDER_HDR> ");
        }
        LinkKind::Macvlan { mode, .. } => {
            word(printer, "mode", mode.name());
            for name in ["bcqueuelen", "usedbcqueuelen"] {
                printer.any(name, 1000, format!("{name} 1000 "));
            }
        }
        LinkKind::Ipvlan { mode, .. } => {
            let mode = mode.name();
            printer.any("mode", mode, format!(" mode {mode} "));
            printer.any("bridge", Option::<u8>::None, "bridge ");
        }
        LinkKind::Ipip(row) => {
            let protocol = if row.any_protocol { "any" } else { "ipip" };
            printer.any("proto", protocol, format!("{protocol} "));
            endpoints(ip, printer, row);
            let discovers = if row.pmtudisc { "pmtudisc " } else { "nopmtudisc " };
            printer.any("pmtudisc", row.pmtudisc, discovers);
        }
        LinkKind::Gre(row) | LinkKind::Gretap(row) => {
            endpoints(ip, printer, row);
            printer.any("pmtudisc", row.pmtudisc, if row.pmtudisc { "" } else { "nopmtudisc " });
            gre_options(printer, row);
        }
        LinkKind::Loopback
        | LinkKind::Veth { .. }
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Dummy => {}
    }
    printer.close();
}

fn address(addr: Option<Ipv4Addr>) -> String {
    addr.map_or_else(|| "any".to_owned(), |addr| addr.to_string())
}

fn endpoints(ip: &Ip<'_>, printer: &mut Printer, row: &TunnelRow) {
    word(printer, "remote", &address(row.remote));
    word(printer, "local", &address(row.local));
    if let Some(dev) = row.dev {
        let dev = ip.ifname(dev);
        printer.any("link", dev.as_str(), format!("dev {dev} "));
    }
    let ttl = if row.ttl == 0 { "inherit".to_owned() } else { row.ttl.to_string() };
    printer.any("ttl", row.ttl, format!("ttl {ttl} "));
    match row.tos {
        0 => {}
        1 => printer.any("tos", "0x1", "tos inherit "),
        tos => printer.any("tos", format!("0x{tos:x}"), format!("tos 0x{tos:x} ")),
    }
}

fn gre_options(printer: &mut Printer, row: &TunnelRow) {
    for (name, key) in [("ikey", row.ikey), ("okey", row.okey)] {
        if let Some(key) = key {
            word(printer, name, &Ipv4Addr::from(key).to_string());
        }
    }
    for (name, on) in [("iseq", row.iseq), ("oseq", row.oseq), ("icsum", row.icsum), ("ocsum", row.ocsum)] {
        if on {
            printer.any(name, true, format!("{name} "));
        }
    }
}

/// Runs `ip tunnel`.
pub(super) fn run(ip: &mut Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let (command, rest) = words.split_first().map_or(("show", words), |(word, rest)| (word.as_str(), rest));
    let names = ["add", "change", "del", "show", "lst", "list", "prl", "6rd", "help"];
    match command_named("tunnel", command, &names)? {
        "add" => super::add::tunnel_add(ip, rest),
        "del" => super::add::tunnel_del(ip, rest),
        "show" | "lst" | "list" => Ok(show(ip, rest)),
        name => Err(crate::shell::out::not_simulated("ip tunnel", name)),
    }
}

fn show(ip: &Ip<'_>, words: &[String]) -> Command {
    let name = words.iter().rfind(|word| *word != "dev");
    let mut text = String::new();
    for link in ip.state.links.values() {
        let mode = match &link.kind {
            LinkKind::Ipip(row) if row.any_protocol => "any",
            LinkKind::Ipip(_) => "ip",
            LinkKind::Gre(_) => "gre",
            LinkKind::Loopback
            | LinkKind::Veth { .. }
            | LinkKind::Bridge { .. }
            | LinkKind::Vxlan { .. }
            | LinkKind::Physical { .. }
            | LinkKind::Dummy
            | LinkKind::Vlan { .. }
            | LinkKind::Macvlan { .. }
            | LinkKind::Ipvlan { .. }
            | LinkKind::Gretap(_) => continue,
        };
        if let Some(row) = link.kind.tunnel().filter(|_| name.is_none_or(|name| **name == *link.name)) {
            text += &line(ip, &link.name, mode, row);
        }
    }
    done(text)
}

/// A line as `print_tunnel` has it.
fn line(ip: &Ip<'_>, name: &str, mode: &str, row: &TunnelRow) -> String {
    let mut text = format!("{name}: {mode}/ip remote {} local {}", address(row.remote), address(row.local));
    if let Some(dev) = row.dev {
        text += &format!(" dev {}", ip.ifname(dev));
    }
    text += &if row.ttl == 0 { " ttl inherit".to_owned() } else { format!(" ttl {}", row.ttl) };
    match row.tos {
        0 => {}
        1 => text += " tos inherit",
        tos => text += &format!(" tos 0x{tos:x}"),
    }
    if !row.pmtudisc {
        text += " nopmtudisc";
    }
    match (row.ikey, row.okey) {
        (Some(ikey), Some(okey)) if ikey == okey => text += &format!(" key {ikey}"),
        (ikey, okey) => {
            text += &ikey.map_or_else(String::new, |key| format!(" ikey {key}"));
            text += &okey.map_or_else(String::new, |key| format!(" okey {key}"));
        }
    }
    for (on, what) in [
        (row.iseq, "  Drop packets out of sequence."),
        (row.icsum, "  Checksum in received packet is required."),
        (row.oseq, "  Sequence packets on output."),
        (row.ocsum, "  Checksum output packets."),
    ] {
        if on {
            text += "\n";
            text += what;
        }
    }
    text + "\n"
}
