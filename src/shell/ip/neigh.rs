//! `ip neigh`.

use super::addr::prefix;
use super::{Ip, Stop, change, command_named, done, next, proxy};
use crate::base::{Duration, IfIndex, Ipv4Net};
use crate::shell::Command;
use crate::shell::out::not_simulated;
use crate::shell::print::{Color, Printer};
use crate::trace::{Neighbor, Nud, rows_text};

/// Which entries are shown.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) ifindex: Option<IfIndex>,
    pub(super) to: Option<Ipv4Net>,
    /// States asked for; all but `NOARP` where empty.
    pub(super) states: Vec<Nud>,
}

impl Filter {
    pub(super) fn accepts(&self, entry: &Neighbor) -> bool {
        let row = &entry.row;
        let state =
            if self.states.is_empty() { row.state != Nud::NoArp } else { self.states.contains(&row.state) };
        state
            && self.ifindex.is_none_or(|ifindex| ifindex == row.ifindex)
            && self.to.is_none_or(|to| to.contains(&row.addr))
    }
}

/// Runs `ip neigh`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((word, rest)) = words.split_first() else { return show(ip, &[]) };
    let names = ["add", "change", "chg", "replace", "delete", "get", "show", "lst", "list", "flush", "help"];
    let command = command_named("neigh", word, &names)?;
    match command {
        "add" | "change" | "chg" | "replace" if proxy::is_meant(rest) => proxy::add(ip, rest),
        "delete" if proxy::is_meant(rest) => proxy::delete(ip, rest),
        "get" if proxy::is_meant(rest) => proxy::get(ip, rest),
        "show" | "lst" | "list" if proxy::is_meant(rest) => proxy::show(ip, rest),
        "flush" if proxy::is_meant(rest) => proxy::flush(ip, rest),
        "add" => change::neigh_add(ip, rest, change::Existing::Refused),
        "change" | "chg" => change::neigh_add(ip, rest, change::Existing::Required),
        "replace" => change::neigh_add(ip, rest, change::Existing::Replaced),
        "delete" => change::neigh_del(ip, rest),
        "get" => get(ip, rest),
        "show" | "lst" | "list" => show(ip, rest),
        "flush" => change::neigh_flush(ip, rest),
        name => Err(not_simulated("ip neigh", name)),
    }
}

/// Reads the filter of `show` and `flush`.
pub(super) fn read_filter(ip: &Ip<'_>, words: &[String]) -> Result<Filter, Stop> {
    let mut filter = Filter::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "dev" => filter.ifindex = Some(ip.device(next(&mut words)?)?.ifindex),
            "nud" => {
                let states = nud(next(&mut words)?)?;
                filter.states.extend(states);
            }
            "to" => filter.to = Some(prefix(next(&mut words)?)?),
            "all" | "any" => {}
            "unused" | "master" | "nomaster" | "vrf" | "router" | "extern_learn" | "managed" | "protocol" => {
                return Err(not_simulated("ip neigh", word));
            }
            word => filter.to = Some(prefix(word)?),
        }
    }
    Ok(filter)
}

/// States by name.
pub(super) fn nud(word: &str) -> Result<Vec<Nud>, Stop> {
    Ok(vec![match word {
        "incomplete" => Nud::Incomplete,
        "reachable" => Nud::Reachable,
        "stale" => Nud::Stale,
        "delay" => Nud::Delay,
        "probe" => Nud::Probe,
        "failed" => Nud::Failed,
        "permanent" => Nud::Permanent,
        "noarp" => Nud::NoArp,
        "all" => {
            let all = [
                Nud::Incomplete,
                Nud::Reachable,
                Nud::Stale,
                Nud::Delay,
                Nud::Probe,
                Nud::Failed,
                Nud::Permanent,
                Nud::NoArp,
            ];
            return Ok(all.to_vec());
        }
        _ => return Err((format!("Error: argument \"{word}\" is wrong: nud state is bad\n"), 255)),
    }])
}

fn show(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let filter = read_filter(ip, words)?;
    let mut printer = ip.options.printer();
    if !ip.is_inet6() {
        for entry in ip.state.neighbors.values().filter(|entry| filter.accepts(entry)) {
            print(ip, &mut printer, entry, filter.ifindex.is_none());
        }
    }
    Ok(done(printer.finish()))
}

fn get(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let filter = read_filter(ip, words)?;
    let (Some(ifindex), Some(to)) = (filter.ifindex, filter.to) else {
        return Err(("Device and address are required arguments.\n".to_owned(), 255));
    };
    let missing = || ("Error: Neighbour entry not found.\n".to_owned(), 2);
    let entry = ip.state.neighbors.get(&(ifindex, to.addr())).ok_or_else(missing)?;
    // A single entry is shown as text, whatever was asked for.
    let mut printer = Printer::text(ip.options.color);
    print(ip, &mut printer, entry, true);
    Ok(done(printer.finish()))
}

fn print(ip: &Ip<'_>, printer: &mut Printer, entry: &Neighbor, with_device: bool) {
    let row = &entry.row;
    printer.object("");
    let address = row.addr.to_string();
    printer.colored(Color::Inet, "dst", address.as_str(), format!("{address} "));
    if with_device {
        let name = ip.ifname(row.ifindex);
        printer.plain("dev ");
        printer.colored(Color::Name, "dev", name.as_str(), format!("{name} "));
    }
    if let Some(mac) = row.mac.filter(|_| !matches!(row.state, Nud::Incomplete | Nud::Failed)) {
        printer.plain("lladdr ");
        let mac = mac.to_string();
        printer.colored(Color::Mac, "lladdr", mac.as_str(), format!("{mac} "));
    }
    if ip.options.stats > 0 {
        print_stats(ip, printer, entry);
    }
    let state = rows_text::nud(row.state);
    printer.any("state", vec![state], format!("{state} "));
    printer.plain("\n");
    printer.close();
}

fn print_stats(ip: &Ip<'_>, printer: &mut Printer, entry: &Neighbor) {
    let row = &entry.row;
    // An entry whose timer runs is held once more by it.
    let timed = match row.state {
        Nud::Incomplete | Nud::Reachable | Nud::Delay | Nud::Probe => true,
        Nud::Stale | Nud::Failed | Nud::Permanent | Nud::NoArp => false,
    };
    if timed {
        printer.any("refcnt", 1, " ref 1");
    }
    let age = |since| Duration::as_secs(ip.now.since(since));
    let (used, confirmed, updated) = (age(entry.used), age(row.confirmed), age(row.updated));
    printer.any("used", used, format!(" used {used}/"));
    printer.any("confirmed", confirmed, format!("{confirmed}/"));
    printer.any("updated", updated, format!("{updated}"));
    printer.any("probes", row.probes, format!("probes {} ", row.probes));
}
