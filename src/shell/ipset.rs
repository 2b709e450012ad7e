//! `ipset` 7.17: listing of sets and asking whether something is in one. Members are listed in order, where the kernel
//! lists those of hashes in the order of its buckets; sizes in memory are near what a kernel says.

use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context};
use crate::trace::{NetnsState, SetMember, SetRow};
use crate::xtables::Match;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Kinds with their revision, what an empty set takes, and what each member adds.
const KINDS: [(&str, u8, usize, usize); 7] = [
    ("bitmap:port", 3, 8264, 0),
    ("hash:ip", 6, 216, 40),
    ("hash:ip,port", 7, 216, 48),
    ("hash:ip,port,ip", 6, 216, 48),
    ("hash:ip,port,net", 8, 456, 60),
    ("hash:net", 7, 456, 48),
    ("hash:net,port", 8, 456, 56),
];

/// Runs `ipset`.
pub(super) fn ipset(context: &Context<'_>, words: &[String]) -> Command {
    let Some(state) = context.inventory.netns.get(&context.netns) else {
        return refuse("ipset v7.17: Kernel error received: Operation not permitted\n", 1);
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let missing = || refuse("ipset v7.17: The set with the given name does not exist\n", 1);
    match words[..] {
        [] => refuse("ipset v7.17: No command specified.\nTry `ipset help' for more information.\n", 1),
        ["version" | "-v" | "--version" | "-V"] => answer("ipset v7.17, protocol version: 7\n"),
        ["list" | "-L" | "--list" | "-l", ref rest @ ..] => list(state, rest),
        ["save" | "-S" | "--save"] => answer(state.netfilter.sets.values().map(saved).collect::<String>()),
        ["save" | "-S" | "--save", name] => {
            state.netfilter.sets.get(name).map_or_else(missing, |set| answer(saved(set)))
        }
        ["test" | "-T" | "--test", name, entry] => {
            let Some(set) = state.netfilter.sets.get(name) else { return missing() };
            let is_there = set.members.iter().any(|member| text(set, member) == entry);
            let mut out = Out::default();
            if is_there {
                out.err(format!("Warning: {entry} is in set {name}.\n"));
                return out.done(0);
            }
            out.err(format!("{entry} is NOT in set {name}.\n"));
            out.done(1)
        }
        [word, ..] => {
            let (text, status) = not_simulated("ipset", word);
            refuse(text, status)
        }
    }
}

fn list(state: &NetnsState, words: &[&str]) -> Command {
    let (mut names, mut terse, mut save, mut name) = (false, false, false, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-n" | "-name" | "--name" => names = true,
            "-t" | "-terse" | "--terse" => terse = true,
            "-o" | "-output" | "--output" => save = words.next() == Some(&"save"),
            other => name = Some(other),
        }
    }
    let sets: Vec<&SetRow> =
        state.netfilter.sets.values().filter(|set| name.is_none_or(|name| *set.name == *name)).collect();
    if name.is_some() && sets.is_empty() {
        return refuse("ipset v7.17: The set with the given name does not exist\n", 1);
    }
    if names {
        let lines: Vec<String> = sets.iter().map(|set| format!("{}\n", set.name)).collect();
        return answer(lines.concat());
    }
    if save {
        return answer(sets.into_iter().map(saved).collect::<String>());
    }
    let texts: Vec<String> = sets.iter().map(|set| listed(state, set, terse)).collect();
    answer(texts.join("\n"))
}

fn listed(state: &NetnsState, set: &SetRow, terse: bool) -> String {
    let known = KINDS.iter().find(|(kind, ..)| **kind == *set.kind);
    let (revision, empty, each) =
        known.map_or((0, 216, 48), |(_, revision, empty, each)| (*revision, *empty, *each));
    let asks = |each: &Match| matches!(each, Match::Set(asked) if *asked.is.name == *set.name);
    let tables = std::iter::once(&state.netfilter).chain(state.netfilter.v6.as_deref());
    let rules = tables.flat_map(|tables| tables.rules.values());
    let references: usize =
        rules.map(|rule| rule.row.rule.matches.iter().filter(|each| asks(each)).count()).sum();
    let mut out = format!(
        "Name: {}\nType: {}\nRevision: {revision}\nHeader: {}\nSize in memory: {}\nReferences: {references}\nNumber of entries: {}\n",
        set.name,
        set.kind,
        header(set),
        empty + each * set.members.len(),
        set.members.len()
    );
    if !terse {
        out.push_str("Members:\n");
        for member in &set.members {
            let _ = writeln!(out, "{}", text(set, member));
        }
    }
    out
}

/// What a set was made with.
fn header(set: &SetRow) -> String {
    if set.kind.starts_with("bitmap:") {
        return "range 0-65535".to_owned();
    }
    let is_v6 = set.name.starts_with("KUBE-6-") || set.members.iter().any(|member| member.addr.is_ipv6());
    let family = if is_v6 { "inet6" } else { "inet" };
    let timeout = set.timeout.map_or_else(String::new, |seconds| format!(" timeout {seconds}"));
    let seed = set
        .name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("family {family} hashsize 1024 maxelem 65536{timeout} bucketsize 12 initval 0x{seed:08x}")
}

/// A member as it is listed.
fn text(set: &SetRow, member: &SetMember) -> String {
    let parts = set.kind.split_once(':').map_or("", |(_, parts)| parts);
    let mut is_second = false;
    let mut words: Vec<String> = Vec::new();
    for part in parts.split(',') {
        if part == "port" {
            words.push(match (set.kind.starts_with("bitmap:"), member.protocol) {
                (true, _) => member.port.to_string(),
                (false, 6) => format!("tcp:{}", member.port),
                (false, 17) => format!("udp:{}", member.port),
                (false, 132) => format!("sctp:{}", member.port),
                (false, other) => format!("{other}:{}", member.port),
            });
            continue;
        }
        let (addr, len) = if std::mem::replace(&mut is_second, true) {
            (member.other, member.other_len)
        } else {
            (member.addr, member.len)
        };
        let whole = if matches!(addr, IpAddr::V4(_)) { 32 } else { 128 };
        words.push(if len == whole || part == "ip" { addr.to_string() } else { format!("{addr}/{len}") });
    }
    words.join(",")
}

fn saved(set: &SetRow) -> String {
    let mut out = format!("create {} {} {}\n", set.name, set.kind, header(set));
    for member in &set.members {
        let _ = writeln!(out, "add {} {}", set.name, text(set, member));
    }
    out
}
