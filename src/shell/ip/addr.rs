//! `ip addr`.

use super::link::{Filter, Shown, print_link, read_filter, set_device};
use super::options::Family;
use super::{Ip, Stop, addr_change, command_named, done, next};
use crate::base::Ipv4Net;
use crate::shell::Command;
use crate::shell::out::not_simulated;
use crate::shell::print::{Color, Printer};
use crate::trace::{AddrRow, FOREVER, LinkRow, Scope};

/// What an address can be asked for, in the order in which the program names it (`ifa_flag_data`).
pub(super) const FLAGS: [&str; 13] = [
    "secondary",
    "temporary",
    "nodad",
    "optimistic",
    "dadfailed",
    "home",
    "deprecated",
    "tentative",
    "permanent",
    "mngtmpaddr",
    "noprefixroute",
    "autojoin",
    "stable-privacy",
];

/// Whether an address has one of those; the kernel gives the others to addresses of IPv6 alone.
fn has_flag(row: &AddrRow, flag: &str) -> bool {
    match flag {
        "secondary" | "temporary" => row.secondary,
        "deprecated" => row.is_deprecated(),
        "permanent" => row.is_permanent(),
        "noprefixroute" => row.no_prefix_route,
        _ => false,
    }
}

/// Which addresses are shown.
#[derive(Default)]
struct AddrFilter<'w> {
    scope: Option<u8>,
    to: Option<Ipv4Net>,
    flags: Vec<(&'w str, bool)>,
    label: Option<&'w str>,
}

impl AddrFilter<'_> {
    fn accepts(&self, row: &AddrRow, link: &LinkRow) -> bool {
        self.scope.is_none_or(|scope| scope == row.scope.number())
            && self.to.is_none_or(|to| to.contains(&row.addr.addr()))
            && self.flags.iter().all(|(flag, wanted)| has_flag(row, flag) == *wanted)
            && self.label.is_none_or(|label| matches_pattern(label, label_of(row, link)))
    }

    fn is_some(&self) -> bool {
        self.scope.is_some() || self.to.is_some() || !self.flags.is_empty() || self.label.is_some()
    }
}

fn label_of<'a>(row: &'a AddrRow, link: &'a LinkRow) -> &'a str {
    row.label.as_deref().unwrap_or(&link.name)
}

/// `fnmatch` with `*` and `?`.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => {
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| matches_pattern(rest, &text[at..]))
        }
        _ => text.chars().next().is_some_and(|own| {
            (first == '?' || own == first) && matches_pattern(rest, &text[own.len_utf8()..])
        }),
    }
}

/// Runs `ip addr`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((word, rest)) = words.split_first() else { return show(ip, &[]) };
    let names = [
        "add", "change", "chg", "replace", "delete", "show", "lst", "list", "flush", "save", "showdump",
        "restore", "help",
    ];
    match command_named("address", word, &names)? {
        "add" => addr_change::add(ip, rest, false),
        "change" | "chg" | "replace" => addr_change::add(ip, rest, true),
        "delete" => addr_change::del(ip, rest),
        "show" | "lst" | "list" => show(ip, rest),
        "flush" => flush(ip, rest),
        name => Err(not_simulated("ip address", name)),
    }
}

/// Reads which interfaces and addresses are meant.
fn read_filters<'w>(ip: &Ip<'_>, words: &'w [String]) -> Result<(Filter, AddrFilter<'w>), Stop> {
    let mut filter = Filter::default();
    let mut addrs = AddrFilter::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (flag, wanted) = word.strip_prefix('-').map_or((word.as_str(), true), |flag| (flag, false));
        match word.as_str() {
            "to" => addrs.to = Some(prefix(next(&mut words)?)?),
            "scope" => {
                let name = next(&mut words)?;
                let wrong = || (format!("Error: argument \"{name}\" is wrong: invalid \"scope\"\n\n"), 255);
                addrs.scope = if name == "all" { None } else { Some(scope_of(name).ok_or_else(wrong)?) };
            }
            // They are the absence of another.
            "dynamic" | "-dynamic" => addrs.flags.push(("permanent", !wanted)),
            "primary" | "-primary" => addrs.flags.push(("secondary", !wanted)),
            _ if FLAGS.contains(&flag) => addrs.flags.push((flag, wanted)),
            "label" => {
                let label = next(&mut words)?;
                if label.contains(['[', '\\']) {
                    return Err(not_simulated("ip address label", label));
                }
                addrs.label = Some(label);
            }
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
    let mut rows = Vec::new();
    let oneline =
        Ip { options: super::Options { oneline: false, ..ip.options.clone() }, rng: ip.rng.clone(), ..*ip };
    let mut printer = oneline.options.printer();
    for link in ip.state.links.values().filter(|link| filter.accepts(link)) {
        let own = ip.state.addrs.iter().filter(|row| row.ifindex == link.ifindex && addrs.accepts(row, link));
        for row in own {
            if ip.options.stats > 1 {
                printer.plain(format!("{}: {}", link.ifindex.0, link.name));
                print_addr(&oneline, &mut printer, link, row);
            }
            rows.push(row);
        }
    }
    Ok(addr_change::flush(ip, &rows, printer.finish()))
}

fn show(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let (filter, addrs) = read_filters(ip, words)?;
    let mut printer = ip.options.printer();
    for link in ip.state.links.values().filter(|link| filter.accepts(link)) {
        let own = || ip.state.addrs.iter().filter(|row| row.ifindex == link.ifindex);
        let rows: Vec<&AddrRow> = own().filter(|row| addrs.accepts(row, link) && wants_inet(ip)).collect();
        let only_with = addrs.is_some() || ip.options.family.is_some();
        // A link without any address is kept as long as no family is asked for, as a prefix does (`ipaddr_filter`).
        let bare = ip.options.family.is_none() && addrs.to.is_none() && own().next().is_none();
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

/// The address with the other end, where it has one, and its metric.
fn print_brief(printer: &mut Printer, row: &AddrRow) {
    let local = row.addr.addr().to_string();
    printer.colored(Color::Inet, "local", local.as_str(), local.as_str());
    if let Some(peer) = row.peer {
        let peer = peer.to_string();
        printer.plain(" peer ");
        printer.colored(Color::Inet, "address", peer.as_str(), peer.as_str());
    }
    printer.any("prefixlen", row.addr.prefix_len(), format!("/{} ", row.addr.prefix_len()));
    if row.metric > 0 {
        printer.any("metric", row.metric, format!("metric {} ", row.metric));
    }
}

fn print_addr(ip: &Ip<'_>, printer: &mut Printer, link: &LinkRow, row: &AddrRow) {
    if ip.options.oneline {
        printer.plain(format!("{}: {}", link.ifindex.0, link.name));
    }
    printer.any("family", "inet", "    inet ");
    print_brief(printer, row);
    if let Some(broadcast) = row.broadcast {
        let broadcast = broadcast.to_string();
        printer.plain("brd ");
        printer.colored(Color::Inet, "broadcast", broadcast.as_str(), format!("{broadcast} "));
    }
    let scope = scope_name(row.scope);
    printer.any("scope", scope, format!("scope {scope} "));
    for flag in FLAGS {
        match flag {
            "permanent" if !row.is_permanent() => printer.any("dynamic", true, "dynamic "),
            "permanent" | "temporary" => {}
            _ if has_flag(row, flag) => printer.any(flag, true, format!("{flag} ")),
            _ => {}
        }
    }
    let label = label_of(row, link);
    printer.any("label", label, label);
    printer.plain(ip.options.separator());
    let (valid, preferred) = row.lifetime.map_or((FOREVER, FOREVER), |lifetime| lifetime.left(ip.now));
    let text = |left: u32| if left == FOREVER { "forever".to_owned() } else { format!("{left}sec") };
    printer.any("valid_life_time", valid, format!("       valid_lft {}", text(valid)));
    printer.any("preferred_life_time", preferred, format!(" preferred_lft {}", text(preferred)));
    printer.plain("\n");
}

/// A scope's name in `/etc/iproute2/rt_scopes`.
pub(super) fn scope_name(scope: Scope) -> &'static str {
    crate::trace::rows_text::scope(scope)
}

/// The number of a scope, by that or by its name (`rtnl_rtscope_a2n`).
pub(super) fn scope_of(word: &str) -> Option<u8> {
    let named = [("global", 0), ("nowhere", 255), ("host", 254), ("link", 253), ("site", 200)];
    let found = named.into_iter().find(|(name, _)| *name == word).map(|(_, number)| number);
    found.or_else(|| super::route::number(word).and_then(|number| u8::try_from(number).ok()))
}

/// A scope by name or number.
pub(super) fn scope(word: &str) -> Result<Scope, Stop> {
    let known = [Scope::Global, Scope::Site, Scope::Link, Scope::Host];
    let found = scope_of(word).and_then(|number| known.into_iter().find(|scope| scope.number() == number));
    found.ok_or_else(|| (format!("Error: argument \"{word}\" is wrong: invalid \"scope\"\n\n"), 255))
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
