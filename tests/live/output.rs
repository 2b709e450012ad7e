//! What commands print, without what only time and chance decide.

use std::collections::BTreeSet;

/// Units behind which a figure is a time.
const UNITS: [&str; 4] = ["ms", "sec", "us", "usec"];

/// What `ip` says of the namespace at the other end of a veth pair: its number, or its name where it has one.
const NETNS: [&str; 2] = [" link-netnsid ", " link-netns "];

/// The lines of a command's output with every time written as `T` and every port that a kernel drew as `P`. What comes in
/// the order of a hash table is sorted.
pub(crate) fn normalized(argv: &[String], text: &str, ports: &BTreeSet<String>) -> Vec<String> {
    let mut lines: Vec<String> =
        text.lines().map(|line| line_normalized(without_netns(line), ports)).collect();
    let names = ["neigh", "n", "arp", "fdb", "conntrack"];
    if argv.iter().any(|word| names.contains(&word.as_str())) {
        lines.sort_unstable();
    }
    lines
}

fn line_normalized(line: &str, ports: &BTreeSet<String>) -> String {
    let is_figure = |letter: char| letter.is_ascii_digit() || letter == '.' || letter == '/';
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        out += &rest[..start];
        rest = &rest[start..];
        let end = rest.find(|letter| !is_figure(letter)).unwrap_or(rest.len());
        let (figure, after) = rest.split_at(end);
        let unit = after.trim_start_matches(' ');
        let word = unit.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
        if UNITS.contains(&word) {
            out += "T";
        } else if is_port(&out, figure) && !ports.contains(figure) {
            out += "P";
        } else {
            out += figure;
        }
        rest = after;
    }
    out + rest
}

/// Whether a figure is a port by what stands before it.
fn is_port(before: &str, figure: &str) -> bool {
    let is_address = |text: &str| {
        let last = text.rsplit(|letter: char| !(letter.is_ascii_digit() || letter == '.')).next();
        last.is_some_and(|last| last.parse::<std::net::Ipv4Addr>().is_ok())
    };
    let marked = ["port ", "sport=", "dport="].iter().any(|mark| before.ends_with(mark))
        || before.strip_suffix(':').is_some_and(is_address);
    marked && figure.parse::<u16>().is_ok()
}

fn without_netns(line: &str) -> &str {
    let end = NETNS.iter().filter_map(|mark| line.find(mark)).min();
    end.map_or(line, |end| line[..end].trim_end())
}
