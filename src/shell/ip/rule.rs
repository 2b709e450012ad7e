//! `ip rule`: the rules of the routing policy database.

use super::route::{number, protocol, table};
use super::{Ip, Stop, change, command_named, done, next};
use crate::base::Ipv4Net;
use crate::shell::Command;
use crate::shell::change::KernelChange;
use crate::shell::out::{not_simulated, refuse};
use crate::shell::print::Printer;
use crate::trace::{FibRuleAction, FibRuleRow, RouteProtocol, rows_text};
use std::sync::Arc;

/// Number of the table main.
const MAIN: u32 = 254;
/// Words of a selector or an action that the real program knows and the simulation does not.
const UNSIMULATED: [&str; 14] = [
    "tos",
    "dsfield",
    "uidrange",
    "ipproto",
    "sport",
    "dport",
    "realms",
    "tun_id",
    "suppress_ifgroup",
    "sup_group",
    "l3mdev",
    "nat",
    "map-to",
    "order_by",
];

/// What a command line says of a rule.
#[derive(Default)]
struct Wanted {
    negated: bool,
    src: Option<Ipv4Net>,
    dst: Option<Ipv4Net>,
    mark: Option<u32>,
    mask: Option<u32>,
    iif: Option<Arc<str>>,
    oif: Option<Arc<str>>,
    priority: Option<u32>,
    table: Option<u32>,
    kind: Option<FibRuleAction>,
    suppress: Option<u8>,
    protocol: Option<RouteProtocol>,
}

fn wrong(word: &str, what: &str) -> Stop {
    (format!("Error: argument \"{word}\" is wrong: {what}\n"), 255)
}

fn answers(text: &str) -> Stop {
    (format!("RTNETLINK answers: {text}\n"), 2)
}

impl Wanted {
    /// Reads a word that selecting and changing share; `false` where it is none.
    fn read(&mut self, word: &str, words: &mut std::slice::Iter<'_, String>) -> Result<bool, Stop> {
        match word {
            "preference" | "order" | "priority" | "pref" => {
                let word = next(words)?;
                let value = number(word).ok_or_else(|| wrong(word, "preference value is invalid\n"))?;
                self.priority = Some(value);
            }
            "fwmark" => {
                let word = next(words)?;
                let (mark, mask) =
                    word.split_once('/').map_or((word, None), |(mark, mask)| (mark, Some(mask)));
                self.mark = Some(number(mark).ok_or_else(|| wrong(word, "fwmark value is invalid\n"))?);
                let mask =
                    mask.map(|mask| number(mask).ok_or_else(|| wrong(mask, "fwmask value is invalid\n")));
                self.mask = mask.transpose()?;
            }
            "dev" | "iif" => self.iif = Some(next(words)?.into()),
            "oif" => self.oif = Some(next(words)?.into()),
            "proto" | "protocol" => self.protocol = Some(protocol(next(words)?)?),
            word if UNSIMULATED.contains(&word) => return Err(not_simulated("ip rule", word)),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Runs `ip rule`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let word = words.first().map_or("list", String::as_str);
    let names = ["list", "lst", "show", "save", "restore", "add", "delete", "flush", "help"];
    let rest = words.get(1..).unwrap_or(&[]);
    match command_named("rule", word, &names)? {
        "add" | "delete" | "flush" if ip.is_inet6() => Err(not_simulated("ip -6 rule", word)),
        name @ ("add" | "delete") if rest.is_empty() => {
            let short = if name == "delete" { "del" } else { name };
            Ok(refuse(format!("\"ip rule {short}\" requires arguments.\n"), 1))
        }
        "add" => add(ip, rest),
        "delete" => delete(ip, rest),
        "flush" => flush(ip, rest),
        name @ ("save" | "restore") => Err(not_simulated("ip rule", name)),
        _ => list(ip, rest),
    }
}

/// The rules that a selector names (`iprule_list_flush_or_save`, `filter_nlmsg`).
fn select<'a>(ip: &Ip<'a>, words: &[String]) -> Result<Vec<&'a FibRuleRow>, Stop> {
    let mut wanted = Wanted::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "lookup" | "table" => {
                let word = next(&mut words)?;
                wanted.table = match word {
                    "all" | "0" | "unspec" => None,
                    _ => Some(table(word)?),
                };
            }
            "to" => wanted.dst = Some(prefix(next(&mut words)?)?),
            "from" => wanted.src = Some(prefix(next(&mut words)?)?),
            word if wanted.read(word, &mut words)? => {}
            word => wanted.dst = Some(prefix(word)?),
        }
    }
    let within = |wanted: Option<Ipv4Net>, net: Ipv4Net| {
        wanted.is_none_or(|wanted| {
            wanted.prefix_len() == 0 || net.prefix_len() > 0 && wanted.contains(&net.addr())
        })
    };
    let fits = |row: &&FibRuleRow| {
        within(wanted.src, row.src)
            && within(wanted.dst, row.dst)
            && wanted.priority.is_none_or(|priority| row.priority == priority)
            && wanted.mark.is_none_or(|mark| row.mark == mark)
            && wanted.mask.is_none_or(|mask| row.mask == mask)
            && wanted.iif.as_ref().is_none_or(|iif| row.iif.as_ref() == Some(iif))
            && wanted.oif.as_ref().is_none_or(|oif| row.oif.as_ref() == Some(oif))
            && wanted.table.is_none_or(|table| row.action == FibRuleAction::Lookup(table))
            && wanted.protocol.is_none_or(|protocol| row.protocol == Some(protocol))
    };
    Ok(ip.state.rules.iter().map(|(_, row)| row).filter(fits).collect())
}

fn list(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let rows = select(ip, words)?;
    let mut printer = ip.options.printer();
    let first = FibRuleRow::defaults(ip.state.row.netns);
    let rows: Vec<&FibRuleRow> = if ip.is_inet6() {
        // Of IPv6 nothing was changed, and there is no table default.
        let of_inet6 = |row: &&FibRuleRow| rows.iter().any(|other| other.priority == row.priority);
        first[..2].iter().filter(of_inet6).collect()
    } else {
        rows
    };
    for row in rows {
        printer.object("");
        print(ip, &mut printer, row);
        printer.close();
    }
    Ok(done(printer.finish()))
}

/// `print_rule`.
fn print(ip: &Ip<'_>, printer: &mut Printer, row: &FibRuleRow) {
    printer.any("priority", row.priority, format!("{}:\t", row.priority));
    if row.negated {
        printer.any("not", serde_json::Value::Null, "not ");
    }
    let end = |printer: &mut Printer, key: &str, net: Ipv4Net, before: &str| {
        let all = net.prefix_len() == 0;
        let address = if all { "all".to_owned() } else { net.addr().to_string() };
        let text = if all { "all".to_owned() } else { rows_text::host_or_net(net) };
        printer.any(key, address, format!("{before} {text}"));
        if !all && net.prefix_len() < 32 {
            printer.field(&format!("{key}len"), net.prefix_len());
        }
    };
    end(printer, "src", row.src, "from");
    if row.dst.prefix_len() > 0 {
        end(printer, "dst", row.dst, " to");
    }
    if row.mask > 0 {
        printer.any("fwmark", format!("{:#x}", row.mark), format!(" fwmark {:#x}", row.mark));
        if row.mask != u32::MAX {
            printer.any("fwmask", format!("{:#x}", row.mask), format!("/{:#x}", row.mask));
        }
    }
    for (key, name) in [("iif", &row.iif), ("oif", &row.oif)] {
        let Some(name) = name else { continue };
        printer.any(key, &**name, format!(" {key} {name}"));
        if ip.link(name).is_none() {
            printer.any(&format!("{key}_detached"), serde_json::Value::Null, " [detached]");
        }
    }
    print_action(ip, printer, row);
    printer.plain("\n");
}

fn print_action(ip: &Ip<'_>, printer: &mut Printer, row: &FibRuleRow) {
    let plain = ip.options.numeric;
    match row.action {
        FibRuleAction::Lookup(table) => {
            let name = if plain { table.to_string() } else { rows_text::table(table) };
            printer.any("table", name.as_str(), format!(" lookup {name}"));
            if let Some(len) = row.suppress {
                printer.any("suppress_prefixlen", len, format!(" suppress_prefixlength {len}"));
            }
        }
        FibRuleAction::Blackhole | FibRuleAction::Unreachable | FibRuleAction::Prohibit => {
            let name = if plain {
                code(row.action).to_string()
            } else {
                row.action.name().unwrap_or_default().to_owned()
            };
            printer.any("action", name.as_str(), format!(" {name}"));
        }
    }
    let told = ip.options.details || row.protocol.is_some_and(|protocol| protocol != RouteProtocol::Kernel);
    if told {
        let name = match row.protocol {
            None if plain => "0".to_owned(),
            None => "unspec".to_owned(),
            Some(protocol) if plain => super::route::protocol_number(protocol).to_string(),
            Some(protocol) => rows_text::route_protocol(protocol).to_owned(),
        };
        printer.any("protocol", name.as_str(), format!(" proto {name}"));
    }
}

/// `FR_ACT_*`.
fn code(action: FibRuleAction) -> u8 {
    match action {
        FibRuleAction::Lookup(_) => 1,
        FibRuleAction::Blackhole => 6,
        FibRuleAction::Unreachable => 7,
        FibRuleAction::Prohibit => 8,
    }
}

/// Reads the words of `ip rule add` and `del` (`iprule_modify`).
fn read(words: &[String]) -> Result<Wanted, Stop> {
    let mut wanted = Wanted::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let word = if word == "type" { next(&mut words)? } else { word.as_str() };
        match word {
            "not" => wanted.negated = true,
            "from" => wanted.src = Some(any_prefix(next(&mut words)?)?),
            "to" => wanted.dst = Some(any_prefix(next(&mut words)?)?),
            "lookup" | "table" => {
                let word = next(&mut words)?;
                wanted.table = Some(table(word).map_err(|_| wrong(word, "invalid table ID\n"))?);
            }
            "suppress_prefixlength" | "sup_pl" => {
                let word = next(&mut words)?;
                let invalid = || wrong(word, "suppress_prefixlength value is invalid\n");
                wanted.suppress = Some(word.parse().map_err(|_| invalid())?);
            }
            "blackhole" => wanted.kind = Some(FibRuleAction::Blackhole),
            "unreachable" => wanted.kind = Some(FibRuleAction::Unreachable),
            "prohibit" => wanted.kind = Some(FibRuleAction::Prohibit),
            "goto" | "nop" => return Err(not_simulated("ip rule", word)),
            word if wanted.read(word, &mut words)? => {}
            word => return Err(wrong(word, "Failed to parse rule type")),
        }
    }
    Ok(wanted)
}

/// `ip rule add`: without a priority it goes before the second rule (`fib_default_rule_pref`).
fn add(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let wanted = read(words)?;
    let second = ip.state.rules.get(1).map_or(0, |(_, row)| row.priority);
    let priority = wanted.priority.unwrap_or_else(|| second.saturating_sub(1));
    let action = wanted.kind.unwrap_or_else(|| FibRuleAction::Lookup(wanted.table.unwrap_or(MAIN)));
    let row = FibRuleRow {
        negated: wanted.negated,
        src: wanted.src.unwrap_or_default(),
        dst: wanted.dst.unwrap_or_default(),
        mark: wanted.mark.unwrap_or(0),
        mask: wanted.mask.unwrap_or(if wanted.mark.is_some() { u32::MAX } else { 0 }),
        iif: wanted.iif,
        oif: wanted.oif,
        suppress: wanted.suppress,
        protocol: wanted.protocol,
        ..FibRuleRow::new(ip.state.row.netns, priority, action)
    };
    // Who installed it is no part of what a rule is (`rule_exists`).
    let same = |other: &FibRuleRow| FibRuleRow { protocol: row.protocol, ..other.clone() } == row;
    if ip.state.rules.iter().any(|(_, other)| same(other)) {
        return Err(answers("File exists"));
    }
    Ok(change::change(vec![KernelChange::AddRule(Box::new(row))]))
}

/// `ip rule del`: the first rule that has all that was said (`rule_find`).
fn delete(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let wanted = read(words)?;
    let action = wanted.kind.or_else(|| wanted.table.map(FibRuleAction::Lookup));
    let net =
        |wanted: Option<Ipv4Net>, net| wanted.is_none_or(|wanted| wanted.prefix_len() == 0 || wanted == net);
    let fits = |row: &&FibRuleRow| {
        wanted.priority.is_none_or(|priority| row.priority == priority)
            && action.is_none_or(|action| row.action == action)
            && net(wanted.src, row.src)
            && net(wanted.dst, row.dst)
            && wanted.mark.is_none_or(|mark| row.mark == mark)
            && wanted.mask.is_none_or(|mask| row.mask == mask)
            && wanted.iif.as_ref().is_none_or(|iif| row.iif.as_ref() == Some(iif))
            && wanted.oif.as_ref().is_none_or(|oif| row.oif.as_ref() == Some(oif))
            && wanted.suppress.is_none_or(|len| row.suppress == Some(len))
            && (!wanted.negated || row.negated)
    };
    let found = ip.state.rules.iter().map(|(_, row)| row).find(fits);
    let row = found.ok_or_else(|| answers("No such file or directory"))?;
    Ok(change::change(vec![KernelChange::DelRule(Box::new(row.clone()))]))
}

/// `ip rule flush`: all but that of priority 0, of which the kernel does not say the priority.
fn flush(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let rows = select(ip, words)?;
    let changes = rows.into_iter().filter(|row| row.priority > 0);
    Ok(change::change(changes.map(|row| KernelChange::DelRule(Box::new(row.clone()))).collect()))
}

/// An address or prefix of a selector.
fn prefix(word: &str) -> Result<Ipv4Net, Stop> {
    super::addr::prefix(word)
        .map_err(|_| (format!("Error: inet prefix is expected rather than \"{word}\".\n"), 1))
}

/// An address or prefix of a rule; `all` is everybody.
fn any_prefix(word: &str) -> Result<Ipv4Net, Stop> {
    if matches!(word, "all" | "any" | "default") {
        return Ok(Ipv4Net::default());
    }
    super::addr::prefix(word)
        .map_err(|_| (format!("Error: any valid prefix is expected rather than \"{word}\".\n"), 1))
}
