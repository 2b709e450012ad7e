//! `ip nexthop`: next hops that stand by themselves, and groups of them. What the kernel would refuse is refused here
//! with its words (`net/ipv4/nexthop.c`).

use super::change::{address, answers, change, kernel};
use super::nexthop::{Hop, print_way};
use super::options::Family;
use super::route::{MAIN, number, protocol, protocol_number};
use super::{Ip, Stop, command_named, done, next, route_get};
use crate::base::{IfIndex, Ipv4Addr};
use crate::shell::Command;
use crate::shell::change::KernelChange;
use crate::shell::out::{Out, not_simulated, refuse};
use crate::shell::print::Printer;
use crate::trace::{
    LinkRow, NexthopRow, NexthopWay, Nexthops, RouteProtocol, RouteRow, Scope, group_text, rows_text,
};
use std::slice::Iter;

/// Which next hops are shown.
#[derive(Default)]
struct Filter {
    dev: Option<IfIndex>,
    master: Option<IfIndex>,
    groups: bool,
    /// A number, 0 for all.
    protocol: u32,
}

/// What `add` and `replace` say.
#[derive(Default)]
struct Wanted<'a> {
    id: Option<u32>,
    link: Option<&'a LinkRow>,
    gateway: Option<Ipv4Addr>,
    blackhole: bool,
    onlink: bool,
    group: Option<Vec<(u32, u16)>>,
    protocol: Option<RouteProtocol>,
}

/// What a command does with a next hop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Delete,
}

/// Runs `ip nexthop`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((word, rest)) = words.split_first() else { return list(ip, &[]) };
    let names = ["add", "replace", "delete", "list", "show", "lst", "get", "bucket", "flush"];
    match command_named("nexthop", word, &names)? {
        "add" => modify(ip, rest, Verb::Add),
        "replace" => modify(ip, rest, Verb::Replace),
        "delete" => modify(ip, rest, Verb::Delete),
        "get" => get(ip, rest),
        "flush" => flush(ip, rest),
        "bucket" => Err(not_simulated("ip nexthop", "bucket")),
        _ => list(ip, rest),
    }
}

fn wrong(word: &str, what: &str) -> Stop {
    (format!("Error: argument \"{word}\" is wrong: {what}\n"), 255)
}

fn read_id<'w>(words: &mut impl Iterator<Item = &'w String>) -> Result<u32, Stop> {
    let word = next(words)?;
    number(word).ok_or_else(|| wrong(word, "invalid id value"))
}

fn read_device<'a, 'w>(
    ip: &Ip<'a>,
    words: &mut impl Iterator<Item = &'w String>,
) -> Result<&'a LinkRow, Stop> {
    let name = next(words)?;
    ip.link(name).ok_or_else(|| wrong(name, "Device does not exist\n"))
}

/// What is to be listed, or the number of a single one (`ipnh_list_flush`).
fn read_filter(ip: &Ip<'_>, words: &[String]) -> Result<Result<Filter, u32>, Stop> {
    let mut filter = Filter::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let is = |name: &str| !word.is_empty() && name.starts_with(word.as_str());
        if is("dev") {
            filter.dev = Some(read_device(ip, &mut words)?.ifindex);
        } else if is("groups") {
            filter.groups = true;
        } else if is("master") {
            filter.master = Some(read_device(ip, &mut words)?.ifindex);
        } else if is("vrf") {
            return Err(wrong(next(&mut words)?, "Invalid VRF\n"));
        } else if word == "id" {
            return Ok(Err(read_id(&mut words)?));
        } else if is("protocol") {
            let word = next(&mut words)?;
            filter.protocol = number(word).ok_or_else(|| wrong(word, "invalid protocol value"))?;
        } else if !is("fdb") {
            return Err(wrong(word, ""));
        }
    }
    Ok(Ok(filter))
}

/// The next hops that a filter lets through (`nh_dump_filtered`); a family has no groups.
fn select<'a>(ip: &Ip<'a>, filter: &Filter) -> Vec<&'a NexthopRow> {
    let by = |row: &NexthopRow| match row.way {
        NexthopWay::Hop { oif, .. } => Some(oif),
        NexthopWay::Blackhole => Some(IfIndex(1)),
        NexthopWay::Group(_) => None,
    };
    let master = |oif: &IfIndex| ip.state.links.get(oif).and_then(|link| link.port).map(|port| port.master);
    let has_family = ip.options.family == Some(Family::Inet);
    let fits = |row: &&NexthopRow| {
        let number = row.protocol.map_or(0, |protocol| u32::from(protocol_number(protocol)));
        let oif = by(row);
        (!filter.groups || oif.is_none())
            && (!has_family || oif.is_some())
            && filter.dev.is_none_or(|dev| oif == Some(dev))
            && filter.master.is_none_or(|bridge| oif.as_ref().and_then(master) == Some(bridge))
            && (filter.protocol == 0 || filter.protocol == number)
    };
    let rows = ip.state.nexthops.values().filter(|_| !ip.is_inet6());
    rows.filter(fits).collect()
}

fn list(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let rows = match read_filter(ip, words)? {
        Ok(filter) => select(ip, &filter),
        Err(id) => vec![find(ip, id)?],
    };
    Ok(show(ip, &rows))
}

fn get(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let mut id = 0;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word != "id" {
            id = 0;
            break;
        }
        id = read_id(&mut words)?;
    }
    if id == 0 {
        return Ok(refuse(super::help::NEXTHOP, 255));
    }
    Ok(show(ip, &[find(ip, id)?]))
}

fn find<'a>(ip: &Ip<'a>, id: u32) -> Result<&'a NexthopRow, Stop> {
    if id == 0 {
        return Err(kernel("Invalid nexthop id."));
    }
    ip.state.nexthops.get(&id).ok_or_else(|| answers("No such file or directory"))
}

fn show(ip: &Ip<'_>, rows: &[&NexthopRow]) -> Command {
    let mut printer = ip.options.printer();
    for row in rows {
        printer.object("");
        print(ip, &mut printer, row);
        printer.plain("\n");
        printer.close();
    }
    done(printer.finish())
}

/// `print_nexthop`, without the end of its line.
fn print(ip: &Ip<'_>, printer: &mut Printer, row: &NexthopRow) {
    let details = ip.options.details;
    printer.any("id", row.id, format!("id {} ", row.id));
    let (mut scope, mut flags) = (Scope::Global, Vec::new());
    match &row.way {
        NexthopWay::Group(members) => print_group(printer, members),
        NexthopWay::Blackhole => {}
        NexthopWay::Hop { gateway, oif, onlink, scope: own } => {
            print_way(ip, printer, (*gateway, Some(*oif)));
            scope = *own;
            flags.extend(onlink.then_some("onlink"));
        }
    }
    if scope != Scope::Global || details {
        let scope = rows_text::scope(scope);
        printer.any("scope", scope, format!("scope {scope} "));
    }
    if row.way == NexthopWay::Blackhole {
        printer.any("blackhole", serde_json::Value::Null, "blackhole ");
    }
    if row.protocol.is_some() || details {
        let protocol = row.protocol.map_or("unspec", rows_text::route_protocol);
        printer.any("protocol", protocol, format!("proto {protocol} "));
    }
    let text: String = flags.iter().flat_map(|flag| [*flag, " "]).collect();
    printer.any("flags", flags, text);
}

fn print_group(printer: &mut Printer, members: &[(u32, u16)]) {
    printer.plain(format!("group {} ", group_text(members)));
    printer.list("group");
    for (id, weight) in members {
        printer.object("");
        printer.field("id", *id);
        if *weight > 1 {
            printer.field("weight", *weight);
        }
        printer.close();
    }
    printer.close();
}

/// What a route with details says of its next hop.
pub(super) fn print_info(ip: &Ip<'_>, printer: &mut Printer, id: u32) {
    let Some(row) = ip.state.nexthops.get(&id) else { return };
    printer.plain("\n\tnh_info ");
    printer.object("nh_info");
    print(ip, printer, row);
    printer.close();
}

/// `ip nexthop flush`: all, groups first, or those that a filter names.
fn flush(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let filter = match read_filter(ip, words)? {
        Ok(filter) => filter,
        Err(id) => {
            let row = find(ip, id).map_err(|(text, _)| (text, 1))?;
            return Ok(change(vec![KernelChange::DelNexthop(row.id)]));
        }
    };
    let mut rows = select(ip, &filter);
    if words.is_empty() {
        rows.sort_by_key(|row| row.members().is_empty());
    }
    let mut out = Out::default();
    let (mut left, mut changes) = (ip.state.nexthops.clone(), Vec::new());
    for row in rows {
        if left.contains_key(&row.id) {
            forget(&mut left, row.id);
            changes.push(KernelChange::DelNexthop(row.id));
        } else {
            out.err(answers("No such file or directory").0);
        }
    }
    out.out(match changes.len() {
        0 => "Nothing to flush\n".to_owned(),
        count => format!("Flushed {count} nexthops\n"),
    });
    Ok(Command::Change { changes, output: out.into_pieces(), status: 0 })
}

/// A next hop goes, and with it the groups that have no other member.
fn forget(left: &mut Nexthops, id: u32) {
    left.remove(&id);
    let mut empty = Vec::new();
    for row in left.values_mut() {
        if let NexthopWay::Group(members) = &mut row.way {
            members.retain(|(member, _)| *member != id);
            empty.extend(members.is_empty().then_some(row.id));
        }
    }
    for group in empty {
        forget(left, group);
    }
}

fn modify(ip: &Ip<'_>, words: &[String], verb: Verb) -> Result<Command, Stop> {
    let wanted = read(ip, words)?;
    if verb == Verb::Delete {
        return delete(ip, &wanted);
    }
    let way = way(ip, &wanted)?;
    let id = wanted.id.unwrap_or(0);
    if id == 0 && verb == Verb::Replace {
        return Err(kernel("Replace requires nexthop id."));
    }
    let way = created(ip, way)?;
    let row = NexthopRow { netns: ip.state.row.netns, id, way, protocol: wanted.protocol };
    match ip.state.nexthops.get(&id) {
        Some(_) if verb == Verb::Add => return Err(answers("File exists")),
        Some(old) => replaceable(ip, old, &row)?,
        None => {}
    }
    Ok(change(vec![KernelChange::SetNexthop(Box::new(row))]))
}

/// `rtm_del_nexthop`.
fn delete(ip: &Ip<'_>, wanted: &Wanted<'_>) -> Result<Command, Stop> {
    let other =
        wanted.link.is_some() || wanted.gateway.is_some() || wanted.blackhole || wanted.group.is_some();
    if other {
        return Err(kernel("Unknown attribute type."));
    }
    if wanted.protocol.is_some() || wanted.onlink {
        return Err(kernel("Invalid values in header."));
    }
    let id = wanted.id.ok_or_else(|| kernel("Nexthop id is missing."))?;
    Ok(change(vec![KernelChange::DelNexthop(find(ip, id)?.id)]))
}

/// `ipnh_modify`.
fn read<'a>(ip: &Ip<'a>, words: &[String]) -> Result<Wanted<'a>, Stop> {
    let mut wanted = Wanted::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "id" => wanted.id = Some(read_id(&mut words)?),
            "dev" => wanted.link = Some(read_device(ip, &mut words)?),
            "via" => wanted.gateway = Some(read_gateway(&mut words)?),
            "blackhole" => wanted.blackhole = true,
            "onlink" => wanted.onlink = true,
            "group" => wanted.group = Some(read_group(next(&mut words)?)?),
            "type" => match next(&mut words)? {
                "mpath" => {}
                "resilient" => return Err(not_simulated("ip nexthop", "resilient")),
                word => return Err(wrong(word, "\"type\" value is invalid\n")),
            },
            "encap" | "fdb" => return Err(not_simulated("ip nexthop", word)),
            word if !word.is_empty() && "protocol".starts_with(word) => {
                wanted.protocol = Some(protocol(next(&mut words)?)?);
            }
            word => return Err(wrong(word, "")),
        }
    }
    Ok(wanted)
}

fn read_gateway(words: &mut Iter<'_, String>) -> Result<Ipv4Addr, Stop> {
    let mut word = next(words)?;
    if word == "inet" {
        word = next(words)?;
    }
    if word == "inet6" || word.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(not_simulated("ip nexthop", "inet6"));
    }
    // An address has no length (`get_addr_1`).
    let digits = word.split('/').next().unwrap_or_default();
    if digits != word {
        return Err((format!("Error: any valid address is expected rather than \"{word}\".\n"), 1));
    }
    address(word)
}

/// `1,3/2`: members with their weights (`add_nh_group_attr`).
fn read_group(word: &str) -> Result<Vec<(u32, u16)>, Stop> {
    // What the program has read of the word is cut off at the separators.
    let cut = word.split(['/', ',']).next().unwrap_or_default();
    let invalid = || wrong(cut, "\"group\" value is invalid\n");
    word.split('/')
        .map(|member| {
            let (id, weight) = member.split_once(',').unwrap_or((member, "1"));
            let id = number(id).ok_or_else(invalid)?;
            let weight = number(weight)
                .filter(|weight| (1..=256).contains(weight))
                .and_then(|weight| weight.try_into().ok())
                .ok_or_else(|| wrong(weight, "\"weight\" is invalid\n"))?;
            Ok((id, weight))
        })
        .collect()
}

/// What a request means, before anything is made of it (`rtm_to_nh_config`). Of a single next hop the scope is not known
/// yet.
fn way(ip: &Ip<'_>, wanted: &Wanted<'_>) -> Result<NexthopWay, Stop> {
    let named = wanted.link.is_some() || wanted.gateway.is_some();
    let has_family = ip.options.family == Some(Family::Inet) || named || wanted.blackhole;
    if let Some(members) = &wanted.group {
        if has_family {
            return Err(kernel("Invalid family for group."));
        }
        check_group(ip, members)?;
        return Ok(NexthopWay::Group(members.clone()));
    }
    if !has_family {
        return Err(kernel("Invalid address family."));
    }
    if wanted.blackhole {
        let text = "Blackhole attribute can not be used with gateway, oif, encap or fdb.";
        return if named { Err(kernel(text)) } else { Ok(NexthopWay::Blackhole) };
    }
    let missing = || kernel("Device attribute required for non-blackhole and non-fdb nexthops.");
    let link = wanted.link.ok_or_else(missing)?;
    if !link.up {
        return Err(kernel("Nexthop device is not up."));
    }
    if !link.carrier {
        return Err(kernel("Carrier for nexthop device is down."));
    }
    if wanted.gateway.is_none() && wanted.onlink {
        return Err(kernel("ONLINK flag can not be set for nexthop without a gateway."));
    }
    let (gateway, oif, onlink) = (wanted.gateway, link.ifindex, wanted.onlink);
    Ok(NexthopWay::Hop { gateway, oif, onlink, scope: Scope::Host })
}

/// `nh_check_attr_group`.
fn check_group(ip: &Ip<'_>, members: &[(u32, u16)]) -> Result<(), Stop> {
    let is_twice = |(at, (id, _)): (usize, &(u32, u16))| members[..at].iter().any(|(other, _)| other == id);
    if members.iter().enumerate().any(is_twice) {
        return Err(kernel("Nexthop id can not be used twice in a group."));
    }
    for (id, _) in members {
        let row = ip.state.nexthops.get(id).ok_or_else(|| kernel("Invalid nexthop id."))?;
        match row.way {
            NexthopWay::Group(_) => {
                return Err(kernel("Hash-threshold group can not be a nexthop within a group."));
            }
            NexthopWay::Blackhole if members.len() > 1 => {
                return Err(kernel("Blackhole nexthop can not be used in a group with more than 1 path."));
            }
            NexthopWay::Blackhole | NexthopWay::Hop { .. } => {}
        }
    }
    Ok(())
}

/// A next hop as the kernel makes it, which asks whether it can be used (`nh_create_ipv4`).
fn created(ip: &Ip<'_>, way: NexthopWay) -> Result<NexthopWay, Stop> {
    match way {
        NexthopWay::Group(_) => Ok(way),
        NexthopWay::Blackhole => {
            Hop::plain(None, Some(IfIndex(1)), false).check(ip, MAIN, Scope::Global)?;
            Ok(way)
        }
        NexthopWay::Hop { gateway, oif, onlink, .. } => {
            Hop::plain(gateway, Some(oif), onlink).check(ip, MAIN, Scope::Global)?;
            let found = gateway.and_then(|to| route_get::reach(ip, MAIN, (to, Some(oif)), Scope::Link));
            let scope = match gateway {
                None => Scope::Host,
                Some(_) if onlink => Scope::Link,
                Some(_) => found.map_or(Scope::Link, |row| row.scope),
            };
            Ok(NexthopWay::Hop { gateway, oif, onlink, scope })
        }
    }
}

/// Whether a next hop can take the place of another (`replace_nexthop`).
fn replaceable(ip: &Ip<'_>, old: &NexthopRow, new: &NexthopRow) -> Result<(), Stop> {
    let (was_group, is_group) = (!old.members().is_empty(), !new.members().is_empty());
    // The route that came last is asked.
    let scope_of = |id| {
        let mut routes = ip.state.routes.iter().rev().map(|(_, row)| row);
        routes.find(|row| row.nhid == id).map(|row| row.scope)
    };
    let all = &ip.state.nexthops;
    let check = |id| scope_of(id).map_or(Ok(()), |scope| check_scope(all, new, scope));
    check(old.id)?;
    for group in all.values().filter(|row| row.members().iter().any(|(id, _)| *id == old.id)) {
        if new.way == NexthopWay::Blackhole && group.members().len() > 1 {
            let text = "Blackhole nexthop can not be a member of a group with more than one path.";
            return Err(kernel(text));
        }
        check(group.id)?;
    }
    match (was_group, is_group) {
        (true, false) => Err(kernel("Can not replace a nexthop group with a nexthop.")),
        (false, true) => Err(kernel("Can not replace a nexthop with a nexthop group.")),
        (true, true) | (false, false) => Ok(()),
    }
}

/// Whether a route of this scope can lead by a next hop (`fib_check_nexthop`).
fn check_scope(all: &Nexthops, nexthop: &NexthopRow, scope: Scope) -> Result<(), Stop> {
    let first = nexthop.members().first().and_then(|(id, _)| all.get(id));
    if first.is_some() && scope == Scope::Host {
        return Err(kernel("Route with host scope can not have multiple nexthops."));
    }
    let NexthopWay::Hop { gateway, onlink, .. } = first.unwrap_or(nexthop).way else { return Ok(()) };
    if scope == Scope::Host && gateway.is_some() {
        return Err(kernel("Route with host scope can not have a gateway."));
    }
    if onlink && scope >= Scope::Link {
        return Err(kernel("Scope mismatch with nexthop."));
    }
    Ok(())
}

/// The rows of a route that leads by a next hop (`fib_create_info` with `fc_nh_id`).
pub(super) fn route_rows(ip: &Ip<'_>, route: RouteRow, id: u32) -> Result<Vec<RouteRow>, Stop> {
    let nexthop = ip.state.nexthops.get(&id).ok_or_else(|| kernel("Nexthop id does not exist."))?;
    check_scope(&ip.state.nexthops, nexthop, route.scope)?;
    Ok(nexthop.rows(route, &ip.state.nexthops))
}
