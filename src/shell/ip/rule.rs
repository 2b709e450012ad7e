//! `ip rule`: the rules of the routing policy database.

use super::route::{number, protocol, table};
use super::{Ip, Stop, change, command_named, done, next};
use crate::base::Ipv4Net;
use crate::shell::Command;
use crate::shell::change::KernelChange;
use crate::shell::out::{not_simulated, refuse};
use crate::shell::print::Printer;
use crate::trace::{FibRuleAction, FibRuleRow, RouteProtocol, ipproto_name, rows_text};
use crate::wire::names;
use crate::xtables::dscp_class;
use std::sync::Arc;

/// Number of the table main.
const MAIN: u32 = 254;
/// Words of a selector or an action that the real program knows and the simulation does not.
const UNSIMULATED: [&str; 8] =
    ["realms", "tun_id", "suppress_ifgroup", "sup_group", "l3mdev", "nat", "map-to", "order_by"];

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
    tos: Option<u8>,
    ipproto: Option<u8>,
    sport: Option<(u16, u16)>,
    dport: Option<(u16, u16)>,
    uids: Option<(u32, u32)>,
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
            "tos" | "dsfield" => {
                let word = next(words)?;
                self.tos = Some(dsfield(word).ok_or_else(|| wrong(word, "TOS value is invalid\n"))?);
            }
            "ipproto" => {
                let word = next(words)?;
                let number = number(word)
                    .map_or_else(|| names::protocol_number(word), |number| number.try_into().ok());
                self.ipproto = Some(number.ok_or_else(|| wrong(word, "Invalid \"ipproto\" value\n"))?);
            }
            "sport" => self.sport = Some(port_range(next(words)?)?),
            "dport" => self.dport = Some(port_range(next(words)?)?),
            "uidrange" => {
                let word = next(words)?;
                let range =
                    word.split_once('-').and_then(|(first, last)| Some((leading(first)?, leading(last)?)));
                self.uids = Some(range.ok_or_else(|| wrong(word, "invalid UID range\n"))?);
            }
            word if UNSIMULATED.contains(&word) => return Err(not_simulated("ip rule", word)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether a rule has the selectors, beside addresses, marks and interfaces, that were named.
    fn fits_traits(&self, row: &FibRuleRow) -> bool {
        self.tos.is_none_or(|tos| row.tos == tos)
            && self.ipproto.is_none_or(|ipproto| row.ipproto == ipproto)
            && (self.sport.is_none() || row.sport == self.sport)
            && (self.dport.is_none() || row.dport == self.dport)
            && (self.uids.is_none() || row.uids == self.uids)
    }

    /// What the kernel refuses of a new rule of this priority (`fib_nl2rule`, `fib4_rule_configure`).
    fn check(&self, priority: u32) -> Result<(), Stop> {
        let refused = |what: &str| Err((format!("Error: {what}.\n"), 2));
        let bad = |range: Option<(u16, u16)>| range.is_some_and(|(first, last)| first == 0 || first > last);
        let tos = self.tos.unwrap_or(0);
        match self.kind {
            Some(FibRuleAction::Goto(target)) if target <= priority => {
                return refused("Backward goto not supported");
            }
            Some(_) | None => {}
        }
        if self.uids.is_some_and(|(first, last)| first > last || last == u32::MAX) {
            return refused("Invalid uid range");
        }
        if bad(self.sport) {
            return refused("Invalid sport range");
        }
        if bad(self.dport) {
            return refused("Invalid dport range");
        }
        if tos & 3 != 0 {
            return refused("Invalid dsfield (tos): ECN bits must be 0");
        }
        if tos & 0xe0 != 0 {
            return refused("Invalid tos");
        }
        Ok(())
    }
}

/// A field of differentiated services (`rtnl_dsfield_a2n`): a name, or a number to the base of 16.
pub(super) fn dsfield(word: &str) -> Option<u8> {
    let named = if word == "default" { Some(0) } else { dscp_class(word).map(|class| class << 2) };
    let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
    named.or_else(|| u8::from_str_radix(digits, 16).ok())
}

/// The decimal number that a text begins with (`sscanf`); what it has beyond 32 bits is lost.
fn leading(text: &str) -> Option<u32> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let digits = &text[..end];
    let fold = |sum: u32, digit: u8| sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
    (!digits.is_empty()).then(|| digits.bytes().fold(0, fold))
}

/// A port or two (`sscanf("%hu-%hu")`): what a port has beyond 16 bits is lost.
fn port_range(word: &str) -> Result<(u16, u16), Stop> {
    let (first, last) = word.split_once('-').unwrap_or((word, ""));
    let first = leading(first).ok_or_else(|| wrong(word, "invalid port range\n"))?;
    let last = leading(last).unwrap_or(first);
    Ok((first as u16, last as u16))
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
    let rows = ip.state.rules.iter().map(|(_, row)| row);
    Ok(rows.filter(fits).filter(|row| wanted.fits_traits(row)).collect())
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
    if row.tos > 0 {
        let tos = format!("0x{:02x}", row.tos);
        printer.any("tos", tos.as_str(), format!(" tos {tos}"));
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
    print_traits(ip, printer, row);
    print_action(ip, printer, row);
    printer.plain("\n");
}

/// Users, protocol and ports.
fn print_traits(ip: &Ip<'_>, printer: &mut Printer, row: &FibRuleRow) {
    if let Some((first, last)) = row.uids {
        printer.any("uid_start", first, format!(" uidrange {first}"));
        printer.any("uid_end", last, format!("-{last}"));
    }
    if row.ipproto > 0 {
        let numeric = format!("ipproto-{}", row.ipproto);
        let name = if ip.options.numeric { numeric } else { ipproto_name(row.ipproto) };
        printer.any("ipproto", name.as_str(), format!(" ipproto {name}"));
    }
    for (key, range) in [("sport", row.sport), ("dport", row.dport)] {
        match range {
            None => {}
            Some((first, last)) if first == last => printer.any(key, first, format!(" {key} {first}")),
            Some((first, last)) => {
                printer.any(&format!("{key}_start"), first, format!(" {key} {first}"));
                printer.any(&format!("{key}_end"), last, format!("-{last}"));
            }
        }
    }
}

fn print_action(ip: &Ip<'_>, printer: &mut Printer, row: &FibRuleRow) {
    let plain = ip.options.numeric;
    if let Some(table) = row.idle_table {
        let name = if plain { table.to_string() } else { rows_text::table(table) };
        printer.any("table", name.as_str(), format!(" lookup {name}"));
    }
    match row.action {
        FibRuleAction::Lookup(table) => {
            let name = if plain { table.to_string() } else { rows_text::table(table) };
            printer.any("table", name.as_str(), format!(" lookup {name}"));
            if let Some(len) = row.suppress {
                printer.any("suppress_prefixlen", len, format!(" suppress_prefixlength {len}"));
            }
        }
        FibRuleAction::Goto(target) => {
            printer.any("goto", target, format!(" goto {target}"));
            if FibRuleRow::jump(&ip.state.rules, target).is_none() {
                printer.any("unresolved", serde_json::Value::Null, " [unresolved]");
            }
        }
        FibRuleAction::Nop => printer.any("nop", serde_json::Value::Null, " nop"),
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
        FibRuleAction::Goto(_) => 2,
        FibRuleAction::Nop => 3,
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
            "goto" => {
                let word = next(&mut words)?;
                let target = number(word).ok_or_else(|| wrong(word, "invalid target\n"))?;
                wanted.kind = Some(FibRuleAction::Goto(target));
            }
            "nop" => wanted.kind = Some(FibRuleAction::Nop),
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
    wanted.check(priority)?;
    let row = FibRuleRow {
        negated: wanted.negated,
        src: wanted.src.unwrap_or_default(),
        dst: wanted.dst.unwrap_or_default(),
        mark: wanted.mark.unwrap_or(0),
        mask: wanted.mask.unwrap_or(if wanted.mark.is_some() { u32::MAX } else { 0 }),
        iif: wanted.iif,
        oif: wanted.oif,
        tos: wanted.tos.unwrap_or(0),
        ipproto: wanted.ipproto.unwrap_or(0),
        sport: wanted.sport,
        dport: wanted.dport,
        uids: wanted.uids,
        idle_table: wanted.table.filter(|_| wanted.kind.is_some()),
        suppress: wanted.suppress,
        protocol: wanted.protocol,
        ..FibRuleRow::new(ip.state.row.netns, priority, action)
    };
    // Who installed it is no part of what a rule is, nor where it jumps to (`rule_exists`).
    let same = |other: &FibRuleRow| {
        let action = if same_action(row.action, other.action) { row.action } else { other.action };
        FibRuleRow { protocol: row.protocol, action, ..other.clone() } == row
    };
    if ip.state.rules.iter().any(|(_, other)| same(other)) {
        return Err(answers("File exists"));
    }
    Ok(change::change(vec![KernelChange::AddRule(Box::new(row))]))
}

/// Whether two rules do the same, as the kernel compares them: of a jump not its target.
fn same_action(one: FibRuleAction, other: FibRuleAction) -> bool {
    let jumps = |action| matches!(action, FibRuleAction::Goto(_));
    one == other || jumps(one) && jumps(other)
}

/// `ip rule del`: the first rule that has all that was said (`rule_find`).
fn delete(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let wanted = read(words)?;
    let action = wanted.kind.or_else(|| wanted.table.map(FibRuleAction::Lookup));
    let net =
        |wanted: Option<Ipv4Net>, net| wanted.is_none_or(|wanted| wanted.prefix_len() == 0 || wanted == net);
    let fits = |row: &&FibRuleRow| {
        wanted.priority.is_none_or(|priority| row.priority == priority)
            && action.is_none_or(|action| same_action(row.action, action))
            && net(wanted.src, row.src)
            && net(wanted.dst, row.dst)
            && wanted.mark.is_none_or(|mark| row.mark == mark)
            && wanted.mask.is_none_or(|mask| row.mask == mask)
            && wanted.iif.as_ref().is_none_or(|iif| row.iif.as_ref() == Some(iif))
            && wanted.oif.as_ref().is_none_or(|oif| row.oif.as_ref() == Some(oif))
            && wanted.suppress.is_none_or(|len| row.suppress == Some(len))
            && (!wanted.negated || row.negated)
    };
    let found = ip.state.rules.iter().map(|(_, row)| row).find(|row| fits(row) && wanted.fits_traits(row));
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
