//! `nft` 1.0.6 of nftables: listing of the table that kube-proxy writes. The tables behind `iptables` are listed by
//! `iptables-save`.

use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context};
use crate::base::SimTime;
use crate::nftables::{Shape, seconds_text};
use crate::trace::{NftChain, NftSet, NftTable};
use std::fmt::Write as _;

/// The only table.
const TABLE: &str = "kube-proxy";

/// What is listed.
struct Listing<'a> {
    now: SimTime,
    /// Tables of each family that is there: its name, whether it is IPv6, its content.
    tables: Vec<(&'static str, bool, &'a NftTable)>,
}

/// Runs `nft`.
pub(super) fn nft(context: &Context<'_>, words: &[String]) -> Command {
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !is_plain_option(word)).collect();
    let Some(state) = context.inventory.netns.get(&context.netns) else {
        return refuse("nft: no network namespace\n", 1);
    };
    let both = [
        ("ip", false, Some(&state.netfilter.nft)),
        ("ip6", true, state.netfilter.v6.as_ref().map(|v6| &v6.nft)),
    ];
    let present = both.into_iter().filter_map(|(family, is_v6, table)| Some((family, is_v6, table?)));
    let tables = present.filter(|(_, _, table)| !table.chains.is_empty()).collect();
    let listing = Listing { now: context.inventory.now, tables };
    match words[..] {
        ["-v" | "--version"] => answer("nftables v1.0.6 (Lester Gooch #5)\n"),
        ["list", "ruleset"] => answer(listing.of(|_| true)),
        ["list", "ruleset", family] => answer(listing.of(|own| own == family)),
        ["list", "tables"] => answer(
            listing
                .tables
                .iter()
                .fold(String::new(), |out, (family, ..)| out + &format!("table {family} {TABLE}\n")),
        ),
        ["list", "table", TABLE] => listing.table("ip"),
        ["list", "table", family, TABLE] => listing.table(family),
        ["list", "chain", family, TABLE, name] => {
            listing.one(family, |table, is_v6| table.chains.get(name).map(|chain| chain_text(chain, is_v6)))
        }
        ["list", "set" | "map", family, TABLE, name] => listing
            .one(family, |table, is_v6| table.sets.get(name).map(|set| set_text(set, is_v6, listing.now))),
        ["list", "table" | "chain" | "set" | "map", ..] => missing(),
        [] => refuse("nft: no command specified\n", 1),
        [word, ..] => {
            let (text, status) = not_simulated("nft", word);
            refuse(text, status)
        }
    }
}

/// Options that change nothing in what is listed here: numbers are numbers, and there are no handles to show.
fn is_plain_option(word: &str) -> bool {
    matches!(word, "-n" | "--numeric" | "-nn" | "-s" | "--stateless")
}

fn missing() -> Command {
    refuse("Error: No such file or directory\n", 1)
}

impl Listing<'_> {
    fn of(&self, wanted: impl Fn(&str) -> bool) -> String {
        let listed = self.tables.iter().filter(|(family, ..)| wanted(family));
        listed.fold(String::new(), |out, table| out + &self.table_text(table))
    }

    fn table(&self, family: &str) -> Command {
        let text = self.of(|own| own == family);
        if text.is_empty() { missing() } else { answer(text) }
    }

    /// One chain or set in its table.
    fn one(&self, family: &str, find: impl Fn(&NftTable, bool) -> Option<String>) -> Command {
        let found = self.tables.iter().find(|(own, ..)| *own == family);
        let text = found.and_then(|(_, is_v6, table)| find(table, *is_v6));
        let Some(text) = text else { return missing() };
        let mut out = Out::default();
        out.out(format!("table {family} {TABLE} {{\n{text}}}\n"));
        out.done(0)
    }

    fn table_text(&self, (family, is_v6, table): &(&str, bool, &NftTable)) -> String {
        let mut out = format!("table {family} {TABLE} {{\n\tcomment \"rules for kube-proxy\"\n");
        let sets = table.sets.values().map(|set| set_text(set, *is_v6, self.now));
        let chains = table.chains.values().map(|chain| chain_text(chain, *is_v6));
        for text in sets.chain(chains) {
            let _ = write!(out, "\n{text}");
        }
        out + "}\n"
    }
}

fn set_text(set: &NftSet, is_v6: bool, now: SimTime) -> String {
    let mut out = format!("\t{} {} {{\n", set.row.set.word(), set.row.name);
    for line in set.row.set.lines(is_v6) {
        let _ = writeln!(out, "\t\t{line}");
    }
    let live = set.elements.values().map(|(_, row)| row);
    let live = live.filter(|row| row.until.is_none_or(|until| until > now));
    let elements: Vec<String> = live
        .map(|row| match row.until {
            Some(until) => format!("{row} expires {}", seconds_text(until.since(now).as_secs() as u32)),
            None => row.to_string(),
        })
        .collect();
    if !elements.is_empty() {
        // Addresses stand in pairs on a line, all else alone.
        let per_line = if set.row.set.shape == Shape::Addresses { 2 } else { 1 };
        let lines: Vec<String> = elements.chunks(per_line).map(|line| line.join(", ")).collect();
        let _ = writeln!(out, "\t\telements = {{ {} }}", lines.join(",\n\t\t\t     "));
    }
    out + "\t}\n"
}

fn chain_text(chain: &NftChain, is_v6: bool) -> String {
    let mut out = format!("\tchain {} {{\n", chain.row.name);
    if let Some(comment) = chain.row.comment {
        let _ = writeln!(out, "\t\tcomment \"{comment}\"");
    }
    if let Some(base) = chain.row.base {
        let _ = writeln!(out, "\t\t{base}");
    }
    for (_, row) in chain.rules.values() {
        let _ = writeln!(out, "\t\t{}", row.rule.text(is_v6));
    }
    out + "\t}\n"
}
