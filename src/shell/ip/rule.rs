//! `ip rule`: the three rules that every namespace begins with.

use super::{Ip, Stop, command_named, done, next};
use crate::base::Ipv4Net;
use crate::shell::Command;

/// Which rules are listed.
#[derive(Default)]
struct Filter {
    priority: Option<u32>,
    table: Option<String>,
    /// A selector that none of the three rules has.
    nothing: bool,
}

impl Filter {
    fn accepts(&self, priority: u32, table: &str) -> bool {
        !self.nothing
            && self.priority.is_none_or(|wanted| wanted == priority)
            && self.table.as_deref().is_none_or(|wanted| wanted == table)
    }
}

/// Reads the selector of `iprule_list_flush_or_save`. The three rules say nothing but their table, so any other
/// selector leaves none of them.
fn read_filter(words: &[String]) -> Result<Filter, Stop> {
    let mut filter = Filter::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "preference" | "order" | "priority" | "pref" => {
                let word = next(&mut words)?;
                let wrong =
                    || (format!("Error: argument \"{word}\" is wrong: preference value is invalid\n\n"), 255);
                filter.priority = Some(word.parse().map_err(|_| wrong())?);
            }
            "lookup" | "table" => {
                let word = next(&mut words)?;
                let name = match word {
                    "255" | "local" => "local",
                    "254" | "main" => "main",
                    "253" | "default" => "default",
                    "all" | "0" | "unspec" => continue,
                    number if number.parse::<u32>().is_ok() => number,
                    _ => {
                        return Err((
                            format!("Error: argument \"{word}\" is wrong: table id value is invalid\n\n"),
                            255,
                        ));
                    }
                };
                filter.table = Some(name.to_owned());
            }
            "from" | "to" => filter.nothing |= !prefix(next(&mut words)?)?.trunc().eq(&Ipv4Net::default()),
            "tos" | "dsfield" | "fwmark" | "dev" | "iif" | "oif" | "uidrange" | "protocol" | "ipproto"
            | "sport" | "dport" => {
                next(&mut words)?;
                filter.nothing = true;
            }
            word => filter.nothing |= !prefix(word)?.trunc().eq(&Ipv4Net::default()),
        }
    }
    Ok(filter)
}

/// Runs `ip rule`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let word = words.first().map_or("list", String::as_str);
    let names = ["list", "lst", "show"];
    command_named("rule", word, &names)?;
    let filter = read_filter(words.get(1..).unwrap_or(&[]))?;
    let mut printer = ip.options.printer();
    for (priority, table) in [(0, "local"), (32766, "main"), (32767, "default")] {
        if !filter.accepts(priority, table) || ip.is_inet6() && table == "default" {
            continue;
        }
        printer.object("");
        printer.any("priority", priority, format!("{priority}:\t"));
        printer.any("src", "all", "from all ");
        printer.any("table", table, format!("lookup {table}"));
        if ip.options.details {
            printer.any("protocol", "kernel", " proto kernel");
        }
        printer.plain("\n");
        printer.close();
    }
    Ok(done(printer.finish()))
}

/// An address or prefix, in the words of `ip rule`'s own complaint.
fn prefix(word: &str) -> Result<Ipv4Net, Stop> {
    super::addr::prefix(word)
        .map_err(|_| (format!("Error: inet prefix is expected rather than \"{word}\".\n"), 1))
}
