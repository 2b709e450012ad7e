//! `nstat` of iproute2 6.1: the kernel's counters, or how much they grew since it was asked last.

use super::getopt::getopt;
use super::out::{answer, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::trace::SnmpTables;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const USAGE: &str = include_str!("usage/nstat.txt");
const VERSION: &str = "nstat utility, iproute2-6.1.0\n";
/// Where it keeps what it saw last.
const HISTORY: &str = "/tmp/.nstat.u0";
/// What is no counter (`useless_numbers`).
const NO_COUNTERS: [&str; 7] = [
    "IpForwarding",
    "IpDefaultTTL",
    "TcpRtoAlgorithm",
    "TcpRtoMin",
    "TcpRtoMax",
    "TcpMaxConn",
    "TcpCurrEstab",
];
/// Counters of IPv6, between those of the two files. Nothing is sent over it, so all are zero.
const V6: &str = include_str!("usage/nstat-ipv6.txt");

/// Runs `nstat`.
pub(super) fn nstat(context: &Context<'_>, words: &[String]) -> Command {
    const LONG: [(&str, &str); 8] = [
        ("--help", "-h"),
        ("--ignore", "-a"),
        ("--json", "-j"),
        ("--nooutput", "-n"),
        ("--reset", "-r"),
        ("--noupdate", "-s"),
        ("--version", "-V"),
        ("--zeros", "-z"),
    ];
    let short = |word: &String| {
        let found = LONG.iter().find(|(long, _)| long == word);
        found.map_or_else(|| word.clone(), |(_, short)| (*short).to_owned())
    };
    let words: Vec<String> = words.iter().map(short).collect();
    let parsed = match getopt("h?vVzrnasd:t:jp", &words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("nstat: {text}\n{USAGE}"), 255),
    };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    if has('h') || has('?') {
        return refuse(USAGE, 255);
    }
    if has('v') || has('V') {
        return answer(VERSION);
    }
    if let Some((letter, _)) = parsed.options.iter().find(|(letter, _)| "dtp".contains(*letter)) {
        let (text, status) = not_simulated("nstat", &format!("-{letter}"));
        return refuse(text, status);
    }
    let counters = match &context.inventory.snmp {
        Some((netns, snmp)) if *netns == context.netns => counters(&snmp.tables()),
        Some(_) | None => Vec::new(),
    };
    let before = if has('a') || has('r') { BTreeMap::new() } else { history(context) };
    let fits = |name: &str| {
        parsed.operands.is_empty() || parsed.operands.iter().any(|pattern| matches(pattern, name))
    };
    let mut shown = Vec::new();
    for (name, count) in &counters {
        let grown = count.saturating_sub(before.get(name).copied().unwrap_or(0));
        if (has('z') || grown > 0) && fits(name) {
            shown.push((name.as_str(), grown));
        }
    }
    let text = match (has('n'), has('j')) {
        (true, _) => String::new(),
        (false, true) => json(&shown),
        (false, false) => lines(&shown),
    };
    if has('s') {
        return answer(text);
    }
    let kept: Vec<(&str, u64)> = counters
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    Command::Change {
        changes: vec![KernelChange::Write(HISTORY.to_owned(), lines(&kept).into_bytes())],
        output: vec![(crate::trace::Stream::Stdout, text)],
        status: 0,
    }
}

/// All counters under their whole names.
fn counters(tables: &SnmpTables) -> Vec<(String, u64)> {
    let of = |groups: &[crate::trace::SnmpGroup]| -> Vec<(String, u64)> {
        let named = groups.iter().flat_map(|group| {
            group.counters.iter().map(|(name, count)| (format!("{}{name}", group.name), *count))
        });
        let counters = named.filter(|(name, _)| !NO_COUNTERS.contains(&name.as_str()));
        counters.map(|(name, count)| (name, u64::try_from(count).unwrap_or(0))).collect()
    };
    let mut all = of(&tables.snmp);
    all.extend(V6.split_whitespace().map(|name| (name.to_owned(), 0)));
    all.extend(of(&tables.netstat));
    all
}

fn history(context: &Context<'_>) -> BTreeMap<String, u64> {
    let text = (context.files)(HISTORY).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
}

fn lines(counters: &[(&str, u64)]) -> String {
    let mut out = String::from("#kernel\n");
    for (name, count) in counters {
        let _ = writeln!(out, "{name:<32}{count:<16}   0.0");
    }
    out
}

fn json(counters: &[(&str, u64)]) -> String {
    let fields: Vec<String> = counters.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    format!("{{\"kernel\":{{{}}}}}\n", fields.join(","))
}

/// Whether a name fits a pattern with `*` and `?` (`fnmatch`).
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), Some(letter)) => {
            matches(&pattern[1..], name) || matches(pattern, &name[letter.len_utf8()..])
        }
        (Some('*'), None) => matches(&pattern[1..], name),
        (Some(wanted), Some(letter)) if wanted == '?' || wanted == letter => {
            matches(&pattern[wanted.len_utf8()..], &name[letter.len_utf8()..])
        }
        (Some(_) | None, Some(_)) | (Some(_), None) => false,
    }
}
