//! `netstat -s` of net-tools 2.10: the kernel's counters in words (`statistics.c`).

use crate::trace::{SnmpGroup, SnmpTables};
use std::cmp::Ordering;
use std::fmt::Write as _;

/// The words by group and counter.
const WORDS: &str = include_str!("usage/netstat-statistics.txt");

/// Which protocols are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) raw: bool,
    pub(super) tcp: bool,
    pub(super) udp: bool,
}

/// Where the last line stood, which says how far in the next one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Plain,
    CameIn,
    WentOut,
}

impl Place {
    fn indent(self) -> usize {
        if self == Self::Plain { 4 } else { 8 }
    }
}

/// The counters in words.
pub(super) fn text(tables: &SnmpTables, wanted: Wanted) -> String {
    let (mut out, mut place) = (String::new(), Place::Plain);
    for group in tables.snmp.iter().chain(&tables.netstat) {
        let words = words_of(group.name);
        let is_wanted = match group.name {
            "Ip" | "Icmp" => wanted.raw,
            "Tcp" | "TcpExt" => wanted.tcp,
            "Udp" => wanted.udp,
            _ => true,
        };
        // A group that it does not know is set in like the line before it.
        if !words.is_empty() {
            place = Place::Plain;
        }
        if is_wanted {
            out += &group_text(group, &words, &mut place);
        }
    }
    out
}

/// Names of counters with their words, in the program's order.
fn words_of(group: &str) -> Vec<(&'static str, &'static str)> {
    let head = format!("[{group}]");
    let lines = WORDS.lines().skip_while(|line| *line != head).skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('|')).collect()
}

fn group_text(group: &SnmpGroup, words: &[(&'static str, &'static str)], place: &mut Place) -> String {
    let mut out = format!("{}:\n", group.name);
    for (name, count) in &group.counters {
        // A number below zero is printed as the processor has it.
        let count = count.cast_unsigned();
        let Some(text) = search(words, name) else {
            if count > 0 {
                let _ = writeln!(out, "{:1$}{name}: {count}", "", place.indent());
            }
            continue;
        };
        let (kind, text) = match text.split_at_checked(1) {
            Some((kind @ ("!" | "?" | "<" | ">"), rest)) => (kind, rest),
            _ => ("", text),
        };
        let own = match kind {
            "<" => Place::CameIn,
            ">" => Place::WentOut,
            "!" => continue,
            _ => Place::Plain,
        };
        if own != Place::Plain && own != *place {
            let way = if own == Place::CameIn { "input" } else { "output" };
            let _ = writeln!(out, "{:1$}ICMP {way} histogram:", "", place.indent());
        }
        if count > 0 || kind.is_empty() {
            let text = text.replace('#', &count.to_string());
            let _ = writeln!(out, "{:1$}{text}", "", own.indent());
        }
        *place = own;
    }
    out
}

/// Looks a name up by halves, as the program does (`bsearch`): where its table is not sorted, it misses some.
fn search(words: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    let (mut low, mut high) = (0, words.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        match name.cmp(words[middle].0) {
            Ordering::Less => high = middle,
            Ordering::Greater => low = middle + 1,
            Ordering::Equal => return Some(words[middle].1),
        }
    }
    None
}
