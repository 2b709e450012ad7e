//! `bridge vlan` and `bridge link set`: VLANs and settings of bridge ports.

use super::{Bridge, Stop, next};
use crate::kernel::PortOption;
use crate::shell::change::KernelChange;
use crate::shell::out::not_simulated;
use crate::shell::print::{Color, Printer};
use crate::trace::{LinkKind, VlanRow};

fn fail(text: String) -> Stop {
    (text, 255)
}

/// The first and the last VLAN of `5` or `5-9` (`vlan_modify`, which reads digits as far as they go).
fn range(word: &str) -> Result<(u16, u16), Stop> {
    let digits = |word: &str| {
        let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        word[..end].parse::<u16>().unwrap_or(0)
    };
    let (first, last) =
        word.split_once('-').map_or((digits(word), None), |(a, b)| (digits(a), Some(digits(b))));
    match last {
        _ if first >= 4096 => Err(fail(format!("Invalid VLAN ID \"{first}\"\n"))),
        Some(last) if last >= 4096 || last <= first => {
            Err(fail(format!("Invalid VLAN range \"{first}-{last}\"\n")))
        }
        last => Ok((first, last.unwrap_or(first))),
    }
}

/// `bridge vlan add` and `del`.
pub(super) fn modify(bridge: &Bridge<'_>, adds: bool, words: &[String]) -> Result<Vec<KernelChange>, Stop> {
    let (mut device, mut ids, mut pvid, mut untagged, mut own) = (None, None, false, false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => device = Some(next(&mut words)?),
            "vid" => ids = Some(range(next(&mut words)?)?),
            "pvid" => pvid = true,
            "untagged" => untagged = true,
            "self" => own = true,
            "master" => own = false,
            word => return Err(not_simulated("bridge vlan", word)),
        }
    }
    let (Some(device), Some((first, last))) = (device, ids) else {
        return Err(fail("Device and VLAN ID are required arguments.\n".to_owned()));
    };
    let Some(link) = bridge.state.link_named(device) else {
        return Err(fail(format!("Cannot find bridge device \"{device}\"\n")));
    };
    if first != last && pvid {
        return Err(fail("pvid cannot be configured for a vlan range\n".to_owned()));
    }
    let answers = |text: &str| (format!("RTNETLINK answers: {text}\n"), 2);
    let is_bridge = matches!(link.kind, LinkKind::Bridge { .. });
    // A port's table is reached through its bridge, a bridge's own with `self` (`rtnl_bridge_setlink`).
    if is_bridge != own {
        return Err(answers("Operation not supported"));
    }
    if !is_bridge && link.port.is_none() {
        return Err(answers("Operation not supported"));
    }
    if first == 0 || last == 4095 {
        return Err(answers("Invalid argument"));
    }
    let row = |id| VlanRow { netns: link.netns, ifindex: link.ifindex, id, pvid, untagged };
    let change = |id| {
        if adds { KernelChange::AddVlan(row(id)) } else { KernelChange::DelVlan(link.ifindex, id) }
    };
    Ok((first..=last).map(change).collect())
}

/// `bridge vlan show`.
pub(super) fn show(bridge: &Bridge<'_>, words: &[String]) -> Result<String, Stop> {
    let (mut device, mut only) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => device = Some(bridge.device(next(&mut words)?)?),
            "vid" => only = Some(range(next(&mut words)?)?.0),
            word => return Err(not_simulated("bridge vlan", word)),
        }
    }
    let wanted = |row: &VlanRow| {
        device.is_none_or(|device| device == row.ifindex) && only.is_none_or(|id| id == row.id)
    };
    let mut printer = bridge.printer();
    if !bridge.options.json {
        printer.plain("port              vlan-id  \n");
    }
    for link in bridge.state.links.values() {
        let rows: Vec<&VlanRow> =
            bridge.state.vlans.values().filter(|row| row.ifindex == link.ifindex && wanted(row)).collect();
        if !rows.is_empty() {
            print_port(&mut printer, &link.name, &rows, bridge.options.json);
        }
    }
    Ok(printer.finish())
}

fn print_port(printer: &mut Printer, name: &str, rows: &[&VlanRow], json: bool) {
    let flags = |row: &VlanRow| {
        let mut flags = Vec::new();
        flags.extend(row.pvid.then_some("PVID"));
        flags.extend(row.untagged.then_some("Egress Untagged"));
        flags
    };
    if json {
        let vlans: Vec<serde_json::Value> = rows
            .iter()
            .map(|row| {
                let mut vlan = serde_json::json!({ "vlan": row.id });
                if !flags(row).is_empty() {
                    vlan["flags"] = flags(row).into();
                }
                vlan
            })
            .collect();
        printer.object("");
        printer.field("ifname", name);
        printer.field("vlans", vlans);
        printer.close();
        return;
    }
    for (at, row) in rows.iter().enumerate() {
        let shown = if at == 0 { name } else { "" };
        printer.colored(Color::Name, "ifname", shown, format!("{shown:<16}  "));
        printer.plain(format!("{}\n", crate::trace::rows_text::vlan(row)));
    }
}

const USAGE: &str = include_str!("../usage/bridge-link.txt");

/// `bridge link set`.
pub(super) fn link_set(bridge: &Bridge<'_>, words: &[String]) -> Result<Vec<KernelChange>, Stop> {
    let (mut device, mut options) = (None, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => device = Some(next(&mut words)?),
            "master" | "self" => {}
            "fastleave" | "learning_sync" | "mcast_router" | "mcast_to_unicast" | "neigh_suppress"
            | "vlan_tunnel" | "locked" | "hwmode" | "backup_port" | "nobackup_port" => {
                return Err(not_simulated("bridge link set", word));
            }
            word => {
                let known = [
                    "cost",
                    "priority",
                    "state",
                    "guard",
                    "hairpin",
                    "root_block",
                    "learning",
                    "flood",
                    "mcast_flood",
                    "bcast_flood",
                    "isolated",
                ];
                if !known.contains(&word) {
                    return Err(fail(USAGE.to_owned()));
                }
                let value = next(&mut words)?;
                let option = PortOption::read(word, value).ok_or_else(|| {
                    let text =
                        format!("Error: argument of \"{word}\" must be \"on\" or \"off\", not \"{value}\"\n");
                    (text, 1)
                })?;
                options.push(option);
            }
        }
    }
    let Some(device) = device else { return Err(fail("Device is a required argument.\n".to_owned())) };
    let Some(link) = bridge.state.link_named(device) else {
        return Err(fail(format!("Cannot find bridge device \"{device}\"\n")));
    };
    if link.port.is_none() {
        return Err(("RTNETLINK answers: Operation not supported\n".to_owned(), 2));
    }
    Ok(options.into_iter().map(|option| KernelChange::SetPort(link.ifindex, option)).collect())
}
