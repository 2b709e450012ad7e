//! `iptables -L` and `-S`, and what `-v` says about a rule (`xshared.c`, `nft-ipv4.c`).

use super::command::Order;
use super::model::{Counters, ModelChain, ModelRule, ModelTable};
use crate::base::Ipv4Addr;
use crate::xtables::{
    Iface, Masked, Names, Not, Policy, Rule, Table, list_target, list_words, protocol_name,
};
use std::fmt::Write as _;

/// How rules are listed.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
#[derive(Clone, Copy)]
pub(super) struct Format<'a> {
    pub(super) numeric: bool,
    pub(super) exact: bool,
    pub(super) verbose: bool,
    pub(super) line_numbers: bool,
    /// The name of an address in `/etc/hosts`.
    pub(super) name_of: &'a dyn Fn(Ipv4Addr) -> Option<String>,
}

impl<'a> Format<'a> {
    pub(super) fn of(order: &Order, name_of: &'a dyn Fn(Ipv4Addr) -> Option<String>) -> Self {
        Self {
            numeric: order.numeric,
            exact: order.exact,
            verbose: order.verbose,
            line_numbers: order.line_numbers,
            name_of,
        }
    }

    /// A count as it stands in a column: from a hundred thousand on in thousands, and so on.
    fn count(&self, number: u64) -> String {
        if self.exact {
            return format!("{number:>8} ");
        }
        if number <= 99_999 {
            return format!("{number:>5} ");
        }
        let mut number = number;
        for unit in ["K", "M", "G"] {
            number = (number + 500) / 1000;
            if number <= 9999 {
                return format!("{number:>4}{unit} ");
            }
        }
        format!("{:>4}T ", (number + 500) / 1000)
    }

    fn address(&self, of: Masked) -> String {
        if self.numeric {
            return of.short();
        }
        if of.is_any() {
            return "anywhere".to_owned();
        }
        let name = match of {
            Masked::V4(addr, u32::MAX) => (self.name_of)(Ipv4Addr::from(addr)),
            Masked::V4(..) | Masked::V6(..) => None,
        };
        name.unwrap_or_else(|| of.short())
    }
}

/// The rules of one chain or of all.
pub(super) fn list(
    table: &ModelTable,
    chain: Option<&str>,
    place: Option<usize>,
    format: &Format<'_>,
) -> String {
    let chains = table.chains.iter().filter(|each| chain.is_none_or(|name| *each.name == *name));
    let mut parts = Vec::new();
    for each in chains {
        let mut out = if place.is_none() { head(table, each, format) } else { String::new() };
        for (index, rule) in each.rules.iter().enumerate() {
            if place.is_none_or(|place| place == index + 1) {
                out += &line(index + 1, rule, format);
            }
        }
        parts.push(out);
    }
    parts.join("\n")
}

fn head(table: &ModelTable, chain: &ModelChain, format: &Format<'_>) -> String {
    let mut out = match chain.policy {
        Some(policy) if format.verbose => {
            let (packets, bytes) = chain.counters.unwrap_or_default();
            let (packets, bytes) = (format.count(packets), format.count(bytes));
            let (packets, bytes) = (packets.trim(), bytes.trim());
            format!("Chain {} (policy {} {packets} packets, {bytes} bytes)\n", chain.name, policy.name())
        }
        Some(policy) => format!("Chain {} (policy {})\n", chain.name, policy.name()),
        None => format!("Chain {} ({} references)\n", chain.name, table.references(&chain.name)),
    };
    if format.line_numbers {
        out += "num  ";
    }
    if format.verbose {
        out += if format.exact { "    pkts      bytes " } else { " pkts bytes " };
    }
    out += "target     prot opt";
    if format.verbose {
        out += " in     out   ";
    }
    out += if format.verbose {
        "  source               destination         \n"
    } else {
        " source               destination         \n"
    };
    out
}

fn line(number: usize, rule: &ModelRule, format: &Format<'_>) -> String {
    let mut out = String::new();
    if format.line_numbers {
        let _ = write!(out, "{number:<4} ");
    }
    if format.verbose {
        out += &format.count(rule.counters.0);
        out += &format.count(rule.counters.1);
    }
    let of = &rule.rule;
    let _ = write!(out, "{:<9} {}{:<4} ", of.target.name(), protocol_bang(of), protocol(of, format.numeric));
    let _ = write!(out, "{} ", fragment(of));
    if format.verbose {
        let any = if format.numeric { "*" } else { "any" };
        let _ = write!(out, " {:<6} {:<6} ", device(of.iif.as_ref(), any), device(of.oif.as_ref(), any));
    }
    let _ = write!(out, "{}{:<19} ", bang(of.src.negated), format.address(of.src.is));
    let _ = write!(out, "{}{:<19} ", bang(of.dst.negated), format.address(of.dst.is));
    out + &words(of, format.numeric) + "\n"
}

fn bang(negated: bool) -> char {
    if negated { '!' } else { ' ' }
}

fn protocol_bang(rule: &Rule) -> char {
    bang(rule.protocol.is_some_and(|protocol| protocol.negated))
}

fn protocol(rule: &Rule, numeric: bool) -> String {
    match (rule.protocol, numeric) {
        (Some(protocol), true) => protocol.is.to_string(),
        (Some(protocol), false) => protocol_name(protocol.is),
        (None, true) => "0".to_owned(),
        (None, false) => "all".to_owned(),
    }
}

fn fragment(rule: &Rule) -> &'static str {
    match rule.fragment {
        None => "--",
        Some(true) => "-f",
        Some(false) => "!f",
    }
}

fn device(of: Option<&Not<Iface>>, any: &str) -> String {
    of.map_or_else(|| any.to_owned(), |of| format!("{}{}", of.mark(), of.is.text()))
}

/// Matches and target behind the columns.
fn words(rule: &Rule, numeric: bool) -> String {
    let names = if numeric { Names::Numeric } else { Names::Symbolic };
    let protocol = rule.protocol.map_or(0, |protocol| protocol.is);
    let matches: String = rule.matches.iter().map(|each| list_words(each, names, protocol)).collect();
    matches + &list_target(&rule.target, names)
}

/// What `-v` prints of a rule that is added, deleted or looked for.
pub(super) fn verbose(rule: &Rule) -> String {
    format!(
        "{} {}{} opt {} in {} out {} {}{} {}-> {}  {}\n",
        rule.target.name(),
        protocol_bang(rule),
        protocol(rule, false),
        fragment(rule),
        device(rule.iif.as_ref(), "*"),
        device(rule.oif.as_ref(), "*"),
        bang(rule.src.negated),
        rule.src.is.short(),
        bang(rule.dst.negated),
        rule.dst.is.short(),
        words(rule, true),
    )
}

/// `-P` of a built-in chain.
fn policy_line(chain: &ModelChain, policy: Policy, counts: bool) -> String {
    let (packets, bytes) = chain.counters.unwrap_or_default();
    let counters = if counts { format!(" -c {packets} {bytes}") } else { String::new() };
    format!("-P {} {}{counters}\n", chain.name, policy.name())
}

/// A rule as `-S` prints it.
pub(super) fn rule_line(chain: &str, rule: &Rule, counters: Option<Counters>) -> String {
    let mut out = format!("-A {chain}");
    let counted = counters.map_or_else(String::new, |(packets, bytes)| format!(" -c {packets} {bytes}"));
    let text = rule.to_string();
    // The counters stand before the target.
    let target = rule.target.save(rule.family);
    let before = text.strip_suffix(target.as_str()).unwrap_or(&text).trim_end();
    for part in [before, counted.trim_start(), target.as_str()] {
        if !part.is_empty() {
            out += " ";
            out += part;
        }
    }
    out + "\n"
}

/// `-S`: policies, chains, rules.
pub(super) fn rules(table: &ModelTable, chain: Option<&str>, place: Option<usize>, counts: bool) -> String {
    let chains = || table.chains.iter().filter(|each| chain.is_none_or(|name| *each.name == *name));
    let mut out = String::new();
    if place.is_none() {
        for each in chains() {
            let line = match each.policy {
                Some(policy) => policy_line(each, policy, counts),
                None => format!("-N {}\n", each.name),
            };
            out += &line;
        }
    }
    for each in chains() {
        for (index, rule) in each.rules.iter().enumerate() {
            if place.is_none_or(|place| place == index + 1) {
                out += &rule_line(&each.name, &rule.rule, counts.then_some(rule.counters));
            }
        }
    }
    out
}

/// A table as `iptables-save` prints it, without the lines that say when.
pub(super) fn save(table: Table, model: &ModelTable, counts: bool) -> String {
    let mut out = format!("*{}\n", table.name());
    for chain in &model.chains {
        let policy = chain.policy.map_or("-", Policy::name);
        let (packets, bytes) = chain.counters.unwrap_or_default();
        let _ = writeln!(out, ":{} {policy} [{packets}:{bytes}]", chain.name);
    }
    for chain in &model.chains {
        for rule in &chain.rules {
            if counts {
                let _ = write!(out, "[{}:{}] ", rule.counters.0, rule.counters.1);
            }
            out += &rule_line(&chain.name, &rule.rule, None);
        }
    }
    out + "COMMIT\n"
}
