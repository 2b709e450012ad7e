//! What each word of `ip link set` asks of the kernel, and what the kernel would refuse.

use super::change::{kernel, mac};
use super::{Ip, Stop, next};
use crate::kernel::{BridgeOption, LinkFlag, PortOption};
use crate::shell::change::KernelChange;
use crate::shell::{Command, out};
use crate::trace::{LinkKind, LinkRow};
use crate::wire::VlanProtocol;

fn answers(text: &str) -> Stop {
    (format!("RTNETLINK answers: {text}\n"), 2)
}

fn wrong(value: &str, what: &str) -> Stop {
    (format!("Error: argument \"{value}\" is wrong: {what}\n"), 255)
}

/// The changes that a word asks for; `options` are the words behind `type`.
pub(super) fn changes(
    ip: &Ip<'_>,
    link: &LinkRow,
    (word, value): (&str, &str),
    options: &[String],
) -> Result<Vec<KernelChange>, Stop> {
    let ifindex = link.ifindex;
    Ok(vec![match (word, value) {
        ("state", "up") => KernelChange::SetLinkUp(ifindex),
        ("state", _) => KernelChange::SetLinkDown(ifindex),
        ("mtu", value) => KernelChange::SetMtu(ifindex, mtu(ip, link, value)?),
        ("address", value) => KernelChange::SetMac(ifindex, mac(value)?),
        ("name", value) => {
            if value.len() > 15 {
                return Err(kernel("Attribute failed policy validation."));
            }
            // Its own further names are taken as well.
            if ip.link(value).is_some_and(|other| other.ifindex != ifindex || *other.name != *value) {
                return Err(answers("File exists"));
            }
            KernelChange::Rename(ifindex, value.into())
        }
        // `IFALIASZ` is 256 with the closing NUL.
        ("alias", value) if value.len() >= 256 => return Err(wrong(value, "alias too long\n")),
        ("alias", value) => KernelChange::SetAlias(ifindex, value.into()),
        ("master", "") => KernelChange::DelMaster(ifindex),
        ("master", value) => return master(ip, link, value),
        ("promisc", value) => KernelChange::SetPromisc(ifindex, on_off(word, value)?),
        ("arp", value) => KernelChange::SetLinkFlag(ifindex, LinkFlag::Arp, on_off(word, value)?),
        ("multicast", value) => KernelChange::SetLinkFlag(ifindex, LinkFlag::Multicast, on_off(word, value)?),
        ("allmulticast", value) => {
            KernelChange::SetLinkFlag(ifindex, LinkFlag::Allmulti, on_off(word, value)?)
        }
        ("txqlen", value) => {
            let len = value.parse().map_err(|_| wrong(value, "Invalid \"txqueuelen\" value\n"))?;
            KernelChange::SetTxqlen(ifindex, len)
        }
        (_, "bridge") if matches!(link.kind, LinkKind::Bridge { .. }) => return bridge(link, options),
        (_, "bridge_slave") if link.port.is_some() => return port(link, options),
        (_, "bridge" | "bridge_slave") => return Err(answers("Operation not supported")),
        (_, kind) => return Err(out::not_simulated("ip link set type", kind)),
    }])
}

fn on_off(word: &str, value: &str) -> Result<bool, Stop> {
    let wrong = || format!("Error: argument of \"{word}\" must be \"on\" or \"off\", not \"{value}\"\n");
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err((wrong(), 1)),
    }
}

/// Longest further name of a device (`ALTIFNAMSIZ` without the closing NUL).
const ALTNAME_MAX: usize = 127;

/// `ip link property add` and `del`.
pub(super) fn property(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((word, rest)) = words.split_first() else {
        return Ok(out::refuse(include_str!("../usage/ip-link.txt"), 255));
    };
    let adds = match word.as_str() {
        word if !word.is_empty() && "add".starts_with(word) => true,
        word if !word.is_empty() && "delete".starts_with(word) => false,
        word if !word.is_empty() && "help".starts_with(word) => {
            return Ok(out::refuse(include_str!("../usage/ip-link.txt"), 255));
        }
        _ => return Err(("Operator required\n".to_owned(), 255)),
    };
    let (mut device, mut names) = (None, Vec::new());
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "altname" => names.push(next(&mut words)?),
            word if device.is_none() => device = Some(if word == "dev" { next(&mut words)? } else { word }),
            word => {
                let text = format!("Error: either \"dev\" is duplicate, or \"{word}\" is a garbage.\n");
                return Err((text, 255));
            }
        }
    }
    let missing = || ("Not enough of information: \"dev\" argument is required.\n".to_owned(), 255);
    let link = ip.device(device.ok_or_else(missing)?)?;
    let invalid = |name: &&&str| name.is_empty() || name.contains(['/', ' ', '\t', '\n']);
    if let Some(name) = names.iter().find(invalid) {
        return Err((format!("Error: argument \"{name}\" is wrong: not a valid altname\n"), 255));
    }
    let mut all = link.extra.altnames.clone();
    for name in names {
        let at = all.iter().position(|known| **known == *name);
        match at {
            Some(at) if !adds => drop(all.remove(at)),
            None if !adds => return Err(answers("No such file or directory")),
            _ if name.len() > ALTNAME_MAX => return Err(kernel("Attribute failed policy validation.")),
            _ if ip.link(name).is_some() || at.is_some() => return Err(answers("File exists")),
            _ => all.push(name.into()),
        }
    }
    let changes = vec![KernelChange::SetAltnames(link.ifindex, all)];
    Ok(Command::Change { changes, output: Vec::new(), status: 0 })
}

fn mtu(ip: &Ip<'_>, link: &LinkRow, value: &str) -> Result<u32, Stop> {
    let mtu: u32 = value.parse().map_err(|_| wrong(value, "Invalid \"mtu\" value\n"))?;
    let (min, max) = if link.kind == LinkKind::Loopback { (0, u32::MAX) } else { (68, 65535) };
    if mtu < min {
        return Err(kernel("mtu less than device minimum."));
    }
    if mtu > max {
        return Err(kernel("mtu greater than device maximum."));
    }
    let below = |ifindex| ip.state.links.get(&ifindex).map_or(u32::MAX, |lower: &LinkRow| lower.mtu);
    match &link.kind {
        // `vxlan_change_mtu`: the outer headers have to fit below.
        LinkKind::Vxlan { dev, .. } if below(*dev).saturating_sub(50) < mtu => {
            Err(answers("Invalid argument"))
        }
        LinkKind::Vlan { lower, .. } if below(*lower) < mtu => Err(answers("Numerical result out of range")),
        LinkKind::Macvlan { lower, .. } if below(*lower) < mtu => Err(answers("Invalid argument")),
        LinkKind::Loopback
        | LinkKind::Veth { .. }
        | LinkKind::Bridge { .. }
        | LinkKind::Vxlan { .. }
        | LinkKind::Physical { .. }
        | LinkKind::Dummy
        | LinkKind::Vlan { .. }
        | LinkKind::Macvlan { .. }
        | LinkKind::Ipvlan { .. }
        | LinkKind::Ipip(_)
        | LinkKind::Gre(_)
        | LinkKind::Gretap(_) => Ok(mtu),
    }
}

fn master(ip: &Ip<'_>, link: &LinkRow, value: &str) -> Result<Vec<KernelChange>, Stop> {
    let missing = || wrong(value, "Device does not exist\n");
    let master = ip.link(value).ok_or_else(missing)?;
    if !matches!(master.kind, LinkKind::Bridge { .. }) {
        return Err(answers("Operation not supported"));
    }
    if matches!(link.kind, LinkKind::Bridge { .. }) {
        return Err(kernel("Can not enslave a bridge to a bridge."));
    }
    // `br_add_if` takes what has an Ethernet header and is not taken by a macvlan or ipvlan.
    if link.kind == LinkKind::Loopback || link.kind.is_raw_ip() {
        return Err(answers("Invalid argument"));
    }
    let is_taken = |other: &LinkRow| {
        other.kind.lower() == Some(link.ifindex) && !matches!(other.kind, LinkKind::Vlan { .. })
    };
    if ip.state.links.values().any(is_taken) {
        return Err(answers("Device or resource busy"));
    }
    let mut changes = Vec::new();
    if link.port.is_some() {
        changes.push(KernelChange::DelMaster(link.ifindex));
    }
    changes.push(KernelChange::SetMaster(link.ifindex, master.ifindex));
    Ok(changes)
}

fn number<T: std::str::FromStr>(value: &str, name: &str) -> Result<T, Stop> {
    value.parse().map_err(|_| wrong(value, &format!("invalid {name}")))
}

/// Options of `ip link set BRIDGE type bridge`.
fn bridge(link: &LinkRow, words: &[String]) -> Result<Vec<KernelChange>, Stop> {
    let stp = link.extra.bridge.is_some_and(|bridge| bridge.stp);
    let options = bridge_options("ip link set type bridge", stp, words)?;
    Ok(options.into_iter().map(|option| KernelChange::SetBridge(link.ifindex, option)).collect())
}

/// Settings of a bridge, which runs the spanning tree or not. Times are in hundredths of seconds.
pub(super) fn bridge_options(command: &str, stp: bool, words: &[String]) -> Result<Vec<BridgeOption>, Stop> {
    let mut options = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || next(&mut words);
        let out_of_range = || answers("Numerical result out of range");
        let range = |value: u32, min: u32, max: u32| {
            if (min..=max).contains(&value) { Ok(value) } else { Err(out_of_range()) }
        };
        let option = match word.as_str() {
            "stp_state" => BridgeOption::Stp(number::<u32>(value()?, "stp_state")? != 0),
            "priority" => BridgeOption::Priority(number(value()?, "priority")?),
            "forward_delay" => {
                let delay = number(value()?, "forward_delay")?;
                // `br_set_forward_delay` checks the range only while the protocol runs.
                BridgeOption::ForwardDelay(if stp { range(delay, 200, 3000)? } else { delay })
            }
            "hello_time" => BridgeOption::HelloTime(range(number(value()?, "hello_time")?, 100, 1000)?),
            "max_age" => BridgeOption::MaxAge(range(number(value()?, "max_age")?, 600, 4000)?),
            "ageing_time" => BridgeOption::Ageing(number(value()?, "ageing_time")?),
            "fdb_flush" => BridgeOption::FdbFlush,
            "vlan_filtering" => BridgeOption::VlanFiltering(number::<u32>(value()?, "vlan_filtering")? != 0),
            "vlan_default_pvid" => {
                let pvid: u16 = number(value()?, "vlan_default_pvid")?;
                if pvid > 4094 {
                    return Err(answers("Invalid argument"));
                }
                BridgeOption::DefaultPvid(pvid)
            }
            "vlan_protocol" => BridgeOption::VlanProtocol(match value()? {
                "802.1Q" | "802.1q" => VlanProtocol::Dot1q,
                "802.1ad" => VlanProtocol::Dot1ad,
                other => return Err(wrong(other, "invalid vlan_protocol")),
            }),
            // Groups are flooded here, as by a bridge that does not snoop.
            "mcast_snooping" => match value()? {
                "0" => continue,
                on => return Err(out::not_simulated(command, &format!("mcast_snooping {on}"))),
            },
            word => return Err(out::not_simulated(command, word)),
        };
        options.push(option);
    }
    Ok(options)
}

fn port(link: &LinkRow, words: &[String]) -> Result<Vec<KernelChange>, Stop> {
    let mut changes = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = next(&mut words)?;
        let Some(option) = PortOption::read(word, value) else {
            return Err(out::not_simulated("ip link set type bridge_slave", &format!("{word} {value}")));
        };
        changes.push(KernelChange::SetPort(link.ifindex, option));
    }
    Ok(changes)
}
