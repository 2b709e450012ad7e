//! `ip route show`, and the words that all sub-commands of `ip route` share.

use super::addr::{prefix, scope, scope_name};
use super::rule::dsfield;
use super::{Ip, Stop, change, command_named, done, next, nexthop, nexthop_objects, route_get};
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net};
use crate::shell::Command;
use crate::shell::change::KernelChange;
use crate::shell::out::{answer, not_simulated, refuse};
use crate::shell::print::{Color, Printer};
use crate::trace::{RouteKind, RouteMetrics, RouteProtocol, RouteRow, Scope, rows_text};

/// Number of the main table.
pub(super) const MAIN: u32 = 254;
/// Number of the table of local addresses.
pub(super) const LOCAL: u32 = 255;

/// Which routes are shown.
#[derive(Default)]
struct Filter {
    table: Option<u32>,
    all_tables: bool,
    dev: Option<IfIndex>,
    via: Option<Ipv4Addr>,
    protocol: Option<RouteProtocol>,
    scope: Option<Scope>,
    kind: Option<RouteKind>,
    source: Option<Ipv4Addr>,
    tos: Option<u8>,
    exact: Option<Ipv4Net>,
    root: Option<Ipv4Net>,
    covering: Option<Ipv4Net>,
    /// The cache of routes, which is empty since Linux 3.6.
    cache: bool,
}

impl Filter {
    fn accepts(&self, row: &RouteRow) -> bool {
        // Only a route of a single next hop is found by where it leads.
        (self.all_tables || row.table == self.table.unwrap_or(MAIN))
            && self.dev.is_none_or(|dev| row.oif == Some(dev) && row.leg.is_none())
            && self.via.is_none_or(|via| row.gateway == Some(via) && row.leg.is_none())
            && self.protocol.is_none_or(|protocol| row.protocol == protocol)
            && self.scope.is_none_or(|scope| row.scope == scope)
            && self.kind.is_none_or(|kind| row.kind == kind)
            && self.source.is_none_or(|source| row.prefsrc == Some(source))
            && self.tos.is_none_or(|tos| row.tos == tos)
            && self.exact.is_none_or(|exact| row.dst == exact)
            && self.root.is_none_or(|root| root.contains(&row.dst))
            && self.covering.is_none_or(|inner| row.dst.contains(&inner))
    }
}

/// Runs `ip route`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let Some((word, rest)) = words.split_first() else { return show(ip, &[]) };
    let names = [
        "list", "show", "lst", "get", "add", "change", "chg", "replace", "prepend", "append", "test",
        "delete", "flush", "save", "restore", "showdump", "help",
    ];
    match command_named("route", word, &names)? {
        "list" | "show" | "lst" => show(ip, rest),
        "get" => route_get::run(ip, rest),
        "add" => change::route_add(ip, rest, change::Existing::Refused),
        "change" | "chg" => change::route_add(ip, rest, change::Existing::Required),
        "replace" => change::route_add(ip, rest, change::Existing::Replaced),
        "append" => change::route_add(ip, rest, change::Existing::Appended),
        "prepend" => change::route_add(ip, rest, change::Existing::Prepended),
        "delete" => change::route_del(ip, rest),
        "flush" => match rest.first().map(String::as_str) {
            // Of the cache of routes what was learnt about destinations is left.
            Some("cache") if ip.state.exceptions.is_empty() => Ok(answer("")),
            Some("cache") => Ok(change::change(vec![KernelChange::FlushExceptions])),
            None => Ok(refuse("\"ip route flush\" requires arguments.\n", 1)),
            Some(_) => Ok(change::route_flush(ip, matching(ip, rest)?)),
        },
        name => Err(not_simulated("ip route", name)),
    }
}

/// The routes that a selector names, in the order in which the kernel lists them.
fn matching<'a>(ip: &Ip<'a>, words: &[String]) -> Result<Vec<&'a RouteRow>, Stop> {
    let filter = read_filter(ip, words)?;
    no_such_table(ip, &filter, "Flush")?;
    Ok(select(ip, &filter))
}

fn select<'a>(ip: &Ip<'a>, filter: &Filter) -> Vec<&'a RouteRow> {
    let mut rows: Vec<&RouteRow> = ip
        .state
        .routes
        .iter()
        .map(|(_, row)| row)
        .filter(|row| row.is_head() && filter.accepts(row))
        .collect();
    rows.sort_by_key(|row| (row.table & 0xff, row.dst.network(), 32 - row.dst.prefix_len(), row.rank()));
    rows
}

fn show(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let filter = read_filter(ip, words)?;
    let mut printer = ip.options.printer();
    if ip.is_inet6() || filter.cache {
        return Ok(done(printer.finish()));
    }
    no_such_table(ip, &filter, "Dump")?;
    for row in select(ip, &filter) {
        printer.object("");
        print(ip, &mut printer, row, &filter);
        printer.close();
    }
    Ok(done(printer.finish()))
}

/// A table that never had a route does not exist (`inet_dump_fib`).
fn no_such_table(ip: &Ip<'_>, filter: &Filter, what: &str) -> Result<(), Stop> {
    match filter.table.filter(|table| !filter.all_tables && !ip.state.tables.contains(table)) {
        Some(_) => Err((format!("Error: ipv4: FIB table does not exist.\n{what} terminated\n"), 2)),
        None => Ok(()),
    }
}

/// A number as `strtoul` reads it: decimal, hexadecimal with `0x`, octal with `0`.
pub(super) fn number(word: &str) -> Option<u32> {
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if word.len() > 1 && word.starts_with('0') => u32::from_str_radix(word, 8).ok(),
        None => word.parse().ok(),
    }
}

fn read_filter(ip: &Ip<'_>, words: &[String]) -> Result<Filter, Stop> {
    let mut filter = Filter::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "table" => {
                let name = next(&mut words)?;
                filter.all_tables = matches!(name, "all" | "0");
                filter.table = if filter.all_tables { None } else { Some(table(name)?) };
            }
            "dev" | "oif" => filter.dev = Some(ip.device(next(&mut words)?)?.ifindex),
            "via" => filter.via = Some(prefix(next(&mut words)?)?.addr()),
            "src" => filter.source = Some(prefix(next(&mut words)?)?.addr()),
            "proto" | "protocol" => filter.protocol = Some(protocol(next(&mut words)?)?),
            "scope" => filter.scope = Some(scope(next(&mut words)?)?),
            "type" => {
                let name = next(&mut words)?;
                let wrong =
                    || (format!("Error: argument \"{name}\" is wrong: node type value is invalid\n\n"), 255);
                filter.kind = Some(kind(name).ok_or_else(wrong)?);
            }
            "cache" => filter.cache = true,
            "tos" | "dsfield" => {
                let word = next(&mut words)?;
                let wrong =
                    || (format!("Error: argument \"{word}\" is wrong: TOS value is invalid\n\n"), 255);
                filter.tos = Some(dsfield(word).ok_or_else(wrong)?);
            }
            "root" => filter.root = Some(prefix(next(&mut words)?)?),
            "match" => filter.covering = Some(prefix(next(&mut words)?)?),
            "cached" | "cloned" | "realms" | "metric" | "priority" | "preference" | "from" | "vrf"
            | "mark" | "iif" => return Err(not_simulated("ip route", word)),
            "exact" | "to" => filter.exact = Some(prefix(next(&mut words)?)?.trunc()),
            word => filter.exact = Some(prefix(word)?.trunc()),
        }
    }
    Ok(filter)
}

/// A table by name or number.
pub(super) fn table(name: &str) -> Result<u32, Stop> {
    match name {
        "main" => Ok(MAIN),
        "local" => Ok(LOCAL),
        "default" => Ok(253),
        _ => name.parse().map_err(|_| {
            (format!("Error: argument \"{name}\" is wrong: table id value is invalid\n\n"), 255)
        }),
    }
}

/// A protocol by name or number.
pub(super) fn protocol(name: &str) -> Result<RouteProtocol, Stop> {
    match name {
        "kernel" | "2" => Ok(RouteProtocol::Kernel),
        "boot" | "3" => Ok(RouteProtocol::Boot),
        "static" | "4" => Ok(RouteProtocol::Static),
        "bird" | "12" => Ok(RouteProtocol::Bird),
        "80" => Ok(RouteProtocol::Felix),
        _ => Err((format!("Error: argument \"{name}\" is wrong: \"protocol\" value is invalid\n\n"), 255)),
    }
}

/// A route's type by name.
pub(super) fn kind(name: &str) -> Option<RouteKind> {
    Some(match name {
        "unicast" => RouteKind::Unicast,
        "local" => RouteKind::Local,
        "broadcast" | "brd" => RouteKind::Broadcast,
        "blackhole" => RouteKind::Blackhole,
        "unreachable" => RouteKind::Unreachable,
        "prohibit" => RouteKind::Prohibit,
        "throw" => RouteKind::Throw,
        _ => return None,
    })
}

/// Number of a route's origin (`RTPROT_*`).
pub(super) fn protocol_number(protocol: RouteProtocol) -> u8 {
    match protocol {
        RouteProtocol::Kernel => 2,
        RouteProtocol::Boot => 3,
        RouteProtocol::Static => 4,
        RouteProtocol::Bird => 12,
        RouteProtocol::Felix => 80,
    }
}

/// A destination as iproute2 prints it: no length for a single address.
pub(super) fn destination(dst: Ipv4Net) -> String {
    match dst.prefix_len() {
        0 => "default".to_owned(),
        32 => dst.addr().to_string(),
        _ => dst.to_string(),
    }
}

/// What the kernel reports for a route that is listed as it stands.
pub(super) fn print_plain(ip: &Ip<'_>, printer: &mut Printer, row: &RouteRow) {
    print(ip, printer, row, &Filter::default());
}

/// `print_route`: what a filter already says is left out of the text.
fn print(ip: &Ip<'_>, printer: &mut Printer, row: &RouteRow, filter: &Filter) {
    let details = ip.options.details;
    if row.kind != RouteKind::Unicast || details {
        let kind = rows_text::route_kind(row.kind);
        printer.any("type", kind, format!("{kind} "));
    }
    let dst = destination(row.dst);
    let color = if row.dst.prefix_len() == 0 { Color::Plain } else { Color::Inet };
    printer.colored(color, "dst", dst.as_str(), format!("{dst} "));
    if row.nhid != 0 {
        printer.any("nhid", row.nhid, format!("nhid {} ", row.nhid));
    }
    print_tos(ip, printer, if filter.tos.is_none() { row.tos } else { 0 });
    if row.leg.is_none() {
        let gateway = row.gateway.filter(|_| filter.via.is_none());
        nexthop::print_way(ip, printer, (gateway, row.oif.filter(|_| filter.dev.is_none())));
    }
    if row.table != MAIN && filter.table.is_none() {
        let table = rows_text::table(row.table);
        printer.any("table", table.as_str(), format!("table {table} "));
    }
    if (row.protocol != RouteProtocol::Boot || details) && filter.protocol.is_none() {
        let protocol = rows_text::route_protocol(row.protocol);
        printer.any("protocol", protocol, format!("proto {protocol} "));
    }
    if (row.scope != Scope::Global || details) && filter.scope.is_none() {
        let scope = scope_name(row.scope);
        printer.any("scope", scope, format!("scope {scope} "));
    }
    if let Some(source) = row.prefsrc.filter(|_| filter.source.is_none()) {
        let source = source.to_string();
        printer.plain("src ");
        printer.colored(Color::Inet, "prefsrc", source.as_str(), format!("{source} "));
    }
    if row.metric > 0 {
        printer.any("metric", row.metric, format!("metric {} ", row.metric));
    }
    if row.leg.is_some() {
        nexthop::print_head_flags(ip, printer, row);
    } else {
        nexthop::print_flags(ip, printer, row);
    }
    print_metrics(printer, row.metrics);
    if details {
        nexthop_objects::print_info(ip, printer, row.nhid);
    }
    if row.leg.is_some() {
        nexthop::print(ip, printer, row);
    }
    printer.plain("\n");
}

/// The type of service of a route, where it is for one alone.
pub(super) fn print_tos(ip: &Ip<'_>, printer: &mut Printer, tos: u8) {
    if tos > 0 {
        let name = if ip.options.numeric { format!("0x{tos:02x}") } else { rows_text::dsfield(tos) };
        printer.any("tos", name.as_str(), format!("tos {name} "));
    }
}

/// What a route says about packets and connections.
pub(super) fn print_metrics(printer: &mut Printer, metrics: RouteMetrics) {
    let named: serde_json::Map<String, serde_json::Value> =
        metrics.named().map(|(name, value, _)| (name.to_owned(), value.into())).collect();
    if named.is_empty() {
        return;
    }
    let text: Vec<String> = metrics.words().map(|words| words + " ").collect();
    printer.any("metrics", serde_json::json!([named]), text.concat());
}
