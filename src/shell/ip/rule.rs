//! `ip rule`: the three rules that every namespace begins with.

use super::{Ip, Stop, command_named, done};
use crate::shell::Command;

/// Runs `ip rule`.
pub(super) fn run(ip: &Ip<'_>, words: &[String]) -> Result<Command, Stop> {
    let word = words.first().map_or("list", String::as_str);
    let names = ["list", "lst", "show"];
    command_named("rule", word, &names)?;
    let mut printer = ip.options.printer();
    for (priority, table) in [(0, "local"), (32766, "main"), (32767, "default")] {
        if ip.is_inet6() && table == "default" {
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
