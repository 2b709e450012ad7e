//! `ip addr`.

use super::link::{Filter, Shown, print_link, read_filter, set_device};
use super::options::Family;
use super::{Ip, Stop, change, command_named, done, next};
use crate::base::Ipv4Net;
use crate::shell::Command;
use crate::shell::out::not_simulated;
use crate::shell::print::{Color, Printer};
use crate::trace::{AddrRow, LinkRow, Scope};

/// Which addresses are shown.
#[derive(Default)]
struct AddrFilter {
    scope: Option<Scope>,
    to: Option<Ipv4Net>,
    none: bool,
    secondary: bool,
    label: Option<String>,
}

impl AddrFilter {
    fn accepts(&self, row: &AddrRow) -> bool {
        !self.none
            && self.scope.is_none_or(|scope| scope == row.scope)
            && self.to.is_none_or(|to| to.contains(&row.addr.addr()) && to.prefix_len() <= 32)
    }
}

/// Runs `ip addr`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((word, rest)) = words.split_first() else { return show(ip, &[]) };
    let names = ["add", "change", "chg", "replace", "delete", "show", "lst", "list", "flush", "help"];
    match command_named("address", word, &names)? {
        "add" | "change" | "chg" | "replace" => change::addr_add(ip, rest),
        "delete" => change::addr_del(ip, rest),
        "show" | "lst" | "list" => show(ip, rest),
        "flush" => flush(ip, rest),
        name => Err(not_simulated("ip address", name)),
    }
}

/// Reads which interfaces and addresses are meant.
fn read_filters(ip: &Ip<'_>, words: &[String]) -> Result<(Filter, AddrFilter), Stop> {
    let mut filter = Filter::default();
    let mut addrs = AddrFilter::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "to" => addrs.to = Some(prefix(next(&mut words)?)?),
            "scope" => addrs.scope = Some(scope(next(&mut words)?)?),
            "permanent" | "primary" => {}
            // No address here is given for a time only.
            "dynamic" | "deprecated" | "tentative" | "dadfailed" | "temporary" => addrs.none = true,
            "secondary" => addrs.secondary = true,
            "label" => addrs.label = Some(next(&mut words)?.to_owned()),
            _ if read_filter(ip, &mut filter, word, &mut words)? => {}
            _ => set_device(ip, &mut filter, word, &mut words)?,
        }
    }
    Ok((filter, addrs))
}

/// `ip addr flush`: it wants to be told which.
fn flush(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    if words.is_empty() {
        return Err(("Flush requires arguments.\n".to_owned(), 1));
    }
    let (filter, addrs) = read_filters(ip, words)?;
    let links = || ip.state.links.values().filter(|link| filter.accepts(link));
    let rows = links().flat_map(|link| ip.state.addrs.iter().filter(|row| row.ifindex == link.ifindex));
    Ok(change::addr_flush(rows.filter(|row| addrs.accepts(row))))
}

fn show(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let (filter, addrs) = read_filters(ip, words)?;
    let mut printer = ip.options.printer();
    for link in ip.state.links.values().filter(|link| filter.accepts(link)) {
        let rows: Vec<&AddrRow> = ip
            .state
            .addrs
            .iter()
            .filter(|row| row.ifindex == link.ifindex && addrs.accepts(row) && wants_inet(ip))
            .filter(|row| !addrs.secondary || is_secondary(ip, row))
            .filter(|_| addrs.label.as_ref().is_none_or(|label| **label == *link.name))
            .collect();
        let only_with = addrs.scope.is_some()
            || addrs.to.is_some()
            || addrs.none
            || addrs.secondary
            || addrs.label.is_some()
            || ip.options.family.is_some();
        // A link without any address is kept as long as no family is asked for, as a prefix does (`ipaddr_filter`).
        let bare = ip.options.family.is_none()
            && addrs.to.is_none()
            && !ip.state.addrs.iter().any(|row| row.ifindex == link.ifindex);
        if rows.is_empty() && only_with && !bare && ip.options.family != Some(Family::Link) {
            continue;
        }
        printer.object("");
        if addrs.to.is_some() && !ip.options.oneline {
            print_link(
                &Ip { options: inet_only(ip), rng: ip.rng.clone(), ..*ip },
                &mut printer,
                link,
                Shown::Addr,
            );
        } else if !ip.options.oneline && addrs.label.is_none() {
            print_link(ip, &mut printer, link, Shown::Addr);
        }
        if ip.options.family != Some(Family::Link) {
            print_addrs(ip, &mut printer, link, &rows);
        }
        if ip.options.brief {
            printer.plain("\n");
        } else if ip.options.stats > 0 && !ip.options.oneline {
            // The rows of counters end without a line's end, and begin with one.
            let mut rows = ip.options.printer();
            if printer.is_json() {
                super::stats::print(ip, &mut printer, link);
            } else {
                super::stats::print(ip, &mut rows, link);
                let text = rows.finish();
                printer.plain(format!("{}\n", text.trim_start_matches('\n')));
            }
        }
        printer.close();
    }
    Ok(done(printer.finish()))
}

fn wants_inet(ip: &Ip<'_>) -> bool {
    matches!(ip.options.family, None | Some(Family::Inet))
}

/// A filter by prefix is one for IPv4, which leaves the line of the Ethernet address out.
fn inet_only(ip: &Ip<'_>) -> super::Options {
    super::Options { family: Some(Family::Inet), ..ip.options.clone() }
}

fn print_addrs(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, rows: &[&AddrRow]) {
    printer.list("addr_info");
    for row in rows {
        printer.object("");
        if ip.options.brief {
            print_brief(printer, row);
        } else {
            print_addr(ip, printer, link, row);
        }
        printer.close();
    }
    printer.close();
}

fn print_brief(printer: &mut Printer, row: &AddrRow) {
    let local = row.addr.addr().to_string();
    printer.colored(Color::Inet, "local", local.as_str(), local.as_str());
    printer.any("prefixlen", row.addr.prefix_len(), format!("/{} ", row.addr.prefix_len()));
}

fn print_addr(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, row: &AddrRow) {
    if ip.options.oneline {
        printer.plain(format!("{}: {}", link.ifindex.0, link.name));
    }
    printer.any("family", "inet", "    inet ");
    let local = row.addr.addr().to_string();
    printer.colored(Color::Inet, "local", local.as_str(), local.as_str());
    printer.any("prefixlen", row.addr.prefix_len(), format!("/{} ", row.addr.prefix_len()));
    if let Some(broadcast) = row.broadcast {
        let broadcast = broadcast.to_string();
        printer.plain("brd ");
        printer.colored(Color::Inet, "broadcast", broadcast.as_str(), format!("{broadcast} "));
    }
    let scope = scope_name(row.scope);
    printer.any("scope", scope, format!("scope {scope} "));
    if is_secondary(ip, row) {
        printer.any("secondary", true, "secondary ");
    }
    printer.any("label", &*link.name, &*link.name);
    printer.plain(ip.options.separator());
    printer.any("valid_life_time", u32::MAX, "       valid_lft forever");
    printer.any("preferred_life_time", u32::MAX, " preferred_lft forever");
    printer.plain("\n");
}

/// Whether an address of the same network was there before (`IFA_F_SECONDARY`).
fn is_secondary(ip: &Ip<'_>, row: &AddrRow) -> bool {
    let earlier = ip.state.addrs.iter().take_while(|other| *other != row);
    let mut same_link = earlier.filter(|other| other.ifindex == row.ifindex);
    same_link.any(|other| other.addr.trunc() == row.addr.trunc() && row.addr.prefix_len() < 32)
}

/// A scope's name in `/etc/iproute2/rt_scopes`.
pub(super) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "global",
        Scope::Link => "link",
        Scope::Host => "host",
    }
}

/// A scope by name or number.
pub(super) fn scope(word: &str) -> Result<Scope, Stop> {
    match word {
        "global" | "universe" | "0" => Ok(Scope::Global),
        "link" | "253" => Ok(Scope::Link),
        "host" | "254" => Ok(Scope::Host),
        _ => Err((format!("Error: argument \"{word}\" is wrong: invalid \"scope\"\n\n"), 255)),
    }
}

/// `get_prefix`: an address or a prefix; parts of the address may be left out when a length is given.
pub(super) fn prefix(word: &str) -> Result<Ipv4Net, Stop> {
    let wrong = || (format!("Error: any valid prefix is expected rather than \"{word}\".\n"), 1);
    if matches!(word, "default" | "any" | "all") {
        return Ok(Ipv4Net::default());
    }
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => (address, length.parse().map_err(|_| wrong())?),
        None => (word, 32),
    };
    let parts: Vec<u8> = address.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let mut octets = [0; 4];
    octets.get_mut(..parts.len()).ok_or_else(wrong)?.copy_from_slice(&parts);
    if word == address && parts.len() < 4 {
        return Err(wrong());
    }
    Ipv4Net::new(octets.into(), length).map_err(|_| wrong())
}
