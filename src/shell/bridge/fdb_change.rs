//! `bridge fdb add`, `append`, `replace` and `del` for VXLAN devices: the checks of `vxlan_fdb_update` and
//! `vxlan_fdb_delete`.

use super::{Bridge, Stop, next};
use crate::base::{IfIndex, Ipv4Addr, MacAddr};
use crate::shell::change::KernelChange;
use crate::shell::out::not_simulated;
use crate::trace::LinkKind;

const COMMANDS: [&str; 4] = ["add", "append", "replace", "delete"];

/// Whether this is a sub-command that changes entries.
pub(super) fn takes(command: &str) -> bool {
    COMMANDS.iter().any(|name| name.starts_with(command))
}

/// How long an entry of a bridge stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// For ever, as an address of the bridge's own (`permanent`, `local`).
    Own,
    /// For ever, behind the port (`static`).
    Static,
    /// Until it has not been seen for the ageing time (`dynamic`).
    Dynamic,
}

/// What the words say: a VXLAN device, an address and a tunnel end.
struct Wanted {
    ifindex: IfIndex,
    mac: MacAddr,
    dst: Option<Ipv4Addr>,
    /// For a bridge port: how long the entry is to stay.
    port: Option<Stay>,
}

fn read(bridge: &Bridge<'_>, words: &[String]) -> Result<Wanted, Stop> {
    let (mut device, mut mac, mut dst) = (None, None, None);
    let (mut master, mut stay) = (false, Stay::Own);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => device = Some(next(&mut words)?),
            "dst" => {
                let value = next(&mut words)?;
                let wrong = || (format!("Error: an IP address is expected rather than \"{value}\".\n"), 1);
                dst = Some(value.parse().map_err(|_| wrong())?);
            }
            // An entry of a VXLAN device is its own and permanent unless told otherwise.
            "self" | "local" | "permanent" => {}
            "master" => master = true,
            "dynamic" | "temp" => stay = Stay::Dynamic,
            "static" => stay = Stay::Static,
            "router" | "extern_learn" | "sticky" | "port" | "vni" | "via" | "src_vni" | "nhid" | "vlan"
            | "use" => {
                return Err(not_simulated("bridge fdb", word));
            }
            word => {
                let word = if word == "to" { next(&mut words)? } else { word };
                if mac.is_some() {
                    let text = format!("Error: duplicate \"to\": \"{word}\" is the second value.\n");
                    return Err((text, 255));
                }
                mac = Some(word);
            }
        }
    }
    let (Some(device), Some(mac)) = (device, mac) else {
        return Err(("Device and address are required arguments.\n".to_owned(), 255));
    };
    let mac = mac.parse().map_err(|_| (format!("Invalid address \"{mac}\"\n"), 255))?;
    let ifindex = bridge.device(device)?;
    let link = bridge.state.links.get(&ifindex);
    if link.is_some_and(|link| matches!(link.kind, LinkKind::Vxlan { .. })) {
        return Ok(Wanted { ifindex, mac, dst, port: None });
    }
    if master && link.is_some_and(|link| link.port.is_some()) {
        return Ok(Wanted { ifindex, mac, dst, port: Some(stay) });
    }
    Err(not_simulated("bridge fdb", &format!("dev {device}")))
}

/// The changes that a sub-command asks for.
pub(super) fn run(bridge: &Bridge<'_>, command: &str, words: &[String]) -> Result<Vec<KernelChange>, Stop> {
    let Wanted { ifindex, mac, dst, port } = read(bridge, words)?;
    if let Some(stay) = port {
        return of_port(bridge, command, (ifindex, mac), stay);
    }
    let rows = bridge.state.fdb.iter().map(|entry| &entry.row);
    let known: Vec<Ipv4Addr> =
        rows.filter(|row| row.ifindex == ifindex && row.mac == mac).filter_map(|row| row.dst).collect();
    let answers = |text: &str| (format!("RTNETLINK answers: {text}\n"), 2);
    let remove = KernelChange::DelVxlanFdb(ifindex, mac);
    if "delete".starts_with(command) && !"add".starts_with(command) {
        if known.is_empty() || dst.is_some_and(|dst| !known.contains(&dst)) {
            return Err(answers("No such file or directory"));
        }
        // Of several tunnel ends only the named one goes: the others come back.
        let others = known.into_iter().filter(|other| dst.is_some_and(|dst| dst != *other));
        let back = others.map(|other| KernelChange::AddVxlanFdb(ifindex, mac, other));
        return Ok(std::iter::once(remove).chain(back).collect());
    }
    let dst = dst.ok_or_else(|| not_simulated("bridge fdb", "an entry without dst"))?;
    let add = KernelChange::AddVxlanFdb(ifindex, mac, dst);
    // Only a group or all-zeros address, the default entry, has several tunnel ends.
    let several = mac == MacAddr::ZERO || mac.0[0] & 1 == 1;
    let name = COMMANDS.iter().find(|name| name.starts_with(command)).copied();
    Ok(match name {
        _ if known.is_empty() => vec![add],
        Some("append") if several && !known.contains(&dst) => vec![add],
        Some("append") => Vec::new(),
        Some("replace") if several => return Err(answers("Operation not supported")),
        Some("replace") => vec![remove, add],
        _ => return Err(answers("File exists")),
    })
}

/// Entries of a bridge's own database (`br_fdb_add`, `br_fdb_delete`).
fn of_port(
    bridge: &Bridge<'_>,
    command: &str,
    (port, mac): (IfIndex, MacAddr),
    stay: Stay,
) -> Result<Vec<KernelChange>, Stop> {
    let answers = |text: &str| (format!("RTNETLINK answers: {text}\n"), 255);
    let master = bridge.state.links.get(&port).and_then(|link| link.port).map(|port| port.master);
    let mut rows = bridge.state.fdb.iter().map(|entry| &entry.row);
    let known = rows.find(|row| row.master == master && row.mac == mac && row.vlan == 0);
    if "delete".starts_with(command) && !"add".starts_with(command) {
        return match known.filter(|row| row.ifindex == port) {
            Some(_) => Ok(vec![KernelChange::DelBridgeFdb(port, mac)]),
            None => Err(answers("No such file or directory")),
        };
    }
    // Unless told otherwise it is the bridge's own address, for ever.
    if stay == Stay::Own {
        return Err(not_simulated("bridge fdb", "an entry that does not age"));
    }
    if known.is_some() && "add".starts_with(command) {
        return Err(answers("File exists"));
    }
    Ok(vec![KernelChange::SetBridgeFdb(port, mac, stay == Stay::Static)])
}
