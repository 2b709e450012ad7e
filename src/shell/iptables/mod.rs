//! `iptables`, `iptables-save` and `iptables-restore` 1.8.9 with the kernel's `nf_tables` behind them.

mod command;
mod list;
mod model;
mod perform;
mod restore;
mod validate;

use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::base::Ipv4Addr;
use crate::trace::NetnsState;
use crate::xtables::{Match, PacketMatch, Rule, Table};
use command::Parsed;
use list::Format;
use model::Model;
use restore::Wrong;

/// Why a command is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A wrong parameter (`PARAMETER_PROBLEM`).
    Usage(String),
    /// A word too many.
    BadArgument(String),
    /// Only where to find help is said.
    OnlyTry,
    /// `nft_strerror`.
    Plain(String),
    /// What the kernel said to one of the changes.
    Kernel(String),
    /// Something else, with its status.
    Other(String, u8),
    /// An option that the real program has and this one does not.
    NotSimulated(String),
}

impl Failure {
    fn plain(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }

    /// The message of `program`, and the status. In a file the number of the line is said too.
    fn message(&self, program: &str, line: Option<usize>) -> (String, u8) {
        let version = format!("{program} v1.8.9 (nf_tables): ");
        let hint = format!("Try `{program} -h' or '{program} --help' for more information.\n");
        let place = line.map_or_else(String::new, |line| format!("Error occurred at line: {line}\n"));
        match self {
            Self::Usage(text) => (format!("{version}{text}\n{place}{hint}"), 2),
            Self::BadArgument(word) => (format!("Bad argument `{word}'\n{place}{hint}"), 2),
            Self::OnlyTry => (hint, 2),
            Self::Plain(text) => match line {
                Some(line) => (format!("{program}: line {line} failed: {text}\n"), 1),
                None => (format!("{program}: {text}\n"), 1),
            },
            Self::Kernel(text) => match line {
                Some(line) => (format!("{version}\nline {line}: {text}\n"), 4),
                None => (format!("{version} {text}\n"), 4),
            },
            Self::Other(text, status) => (format!("{version}{text}\n"), *status),
            Self::NotSimulated(word) => not_simulated(program, word),
        }
    }
}

fn state<'a>(context: &'a Context<'_>) -> Option<&'a NetnsState> {
    context.inventory.state(context.netns)
}

fn sets(state: &NetnsState) -> Vec<String> {
    state.netfilter.sets.keys().map(ToString::to_string).collect()
}

/// The first name of an address in `/etc/hosts`.
fn host_name(context: &Context<'_>, addr: Ipv4Addr) -> Option<String> {
    let text = (context.files)("/etc/hosts")?;
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(&*addr.to_string()))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

/// What was asked of the kernel, and what was said.
fn change(before: &Model, after: &Model, out: Out) -> Command {
    let changes: Vec<KernelChange> =
        after.changes_since(before).into_iter().map(|op| KernelChange::Netfilter(Box::new(op))).collect();
    if changes.is_empty() {
        return out.done(0);
    }
    Command::Change { changes, output: out.into_pieces(), status: 0 }
}

/// Runs `iptables`.
pub(super) fn iptables(context: &Context<'_>, words: &[String]) -> Command {
    const PROGRAM: &str = "iptables";
    let Some(state) = state(context) else { return refuse("iptables: no network namespace\n", 1) };
    let before = Model::new(&state.netfilter);
    let mut after = before.clone();
    let mut out = Out::default();
    let fail = |failure: &Failure, mut out: Out| {
        let (text, status) = failure.message(PROGRAM, None);
        out.err(text);
        out.done(status)
    };
    let order = match command::parse(words, sets(state)) {
        Ok(Parsed::Version) => return answer("iptables v1.8.9 (nf_tables)\n"),
        Ok(Parsed::Order(order)) => order,
        Err(failure) => return fail(&failure, out),
    };
    let name = order.table.as_deref().unwrap_or("filter");
    let Some(table) = Table::from_name(name) else {
        let text =
            format!("table '{name}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.");
        return fail(&Failure::Other(text, 3), out);
    };
    for text in order.rules.iter().flat_map(warnings) {
        out.err(text);
    }
    let names = |addr| host_name(context, addr);
    let format = Format::of(&order, &names);
    let done = perform::perform(&mut after, table, &order, &format, &mut out)
        .and_then(|()| perform::check_all(&after, table))
        .and_then(|()| perform::kernel_check(&after, table, &order.verb).map_err(|(_, failure)| failure));
    match done {
        Ok(()) => change(&before, &after, out),
        Err(failure) => fail(&failure, out),
    }
}

/// What the program says of a rule that it takes nevertheless (`iprange_parse_range`).
fn warnings(rule: &Rule) -> Vec<String> {
    let reversed = rule.matches.iter().filter_map(|each| {
        if let Match::Packet(PacketMatch::Iprange(range)) = each { Some(range.reversed()) } else { None }
    });
    let text = |range| format!("xt_iprange: range {range} is reversed and will never match\n");
    reversed.flatten().map(text).collect()
}

/// When, as `ctime(3)` prints it.
fn date(context: &Context<'_>) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = context.inventory.now.calendar();
    let (day, month) = (DAYS[at.weekday], MONTHS[at.month - 1]);
    format!("{day} {month} {:2} {:02}:{:02}:{:02} {}", at.day, at.hour, at.minute, at.second, at.year)
}

/// Runs `iptables-save`.
pub(super) fn save(context: &Context<'_>, words: &[String]) -> Command {
    const PROGRAM: &str = "iptables-save";
    let Some(state) = state(context) else { return refuse("iptables-save: no network namespace\n", 1) };
    let words: Vec<String> = words.iter().map(|word| short_option(word).replace("-T", "-t")).collect();
    let parsed = match getopt("bcdt:M:f:46V", &words) {
        Ok(parsed) => parsed,
        Err(text) => {
            let hint = "Look at manual page `iptables-save.8' for more information.";
            return refuse(format!("{PROGRAM}: {text}\n{hint}\n"), 1);
        }
    };
    let mut counts = false;
    // The order in which the program keeps them (`enum nft_table_type`).
    let mut tables = vec![Table::Mangle, Table::Security, Table::Raw, Table::Filter, Table::Nat];
    for (letter, argument) in &parsed.options {
        match letter {
            'c' => counts = true,
            't' => match Table::from_name(argument) {
                Some(table) => tables = vec![table],
                None => return refuse(format!("Table `{argument}' does not exist\n"), 1),
            },
            'V' => return answer("iptables-save v1.8.9 (nf_tables)\n"),
            '4' => {}
            other => {
                let (text, status) = not_simulated(PROGRAM, &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    if !parsed.operands.is_empty() {
        return refuse("Unknown arguments found on commandline\n", 1);
    }
    let model = Model::new(&state.netfilter);
    let date = date(context);
    let tables = tables.into_iter().filter(|table| model.table(*table).exists);
    let mut text = String::new();
    for table in tables {
        let body = list::save(table, model.table(table), counts);
        text += &[
            &format!("# Generated by {PROGRAM} v1.8.9 (nf_tables) on {date}\n"),
            body.as_str(),
            &format!("# Completed on {date}\n"),
        ]
        .concat();
    }
    answer(text)
}

/// Long options of `iptables-save` and `iptables-restore` by their letters.
fn short_option(word: &str) -> String {
    const LONG: [(&str, &str); 9] = [
        ("--counters", "-c"),
        ("--table", "-T"),
        ("--noflush", "-n"),
        ("--test", "-t"),
        ("--verbose", "-v"),
        ("--version", "-V"),
        ("--ipv4", "-4"),
        ("--wait", "-w"),
        ("--help", "-h"),
    ];
    LONG.iter()
        .find(|(long, _)| *long == word)
        .map_or_else(|| word.to_owned(), |(_, short)| (*short).to_owned())
}

/// Runs `iptables-restore`.
pub(super) fn restore(context: &Context<'_>, words: &[String]) -> Command {
    const PROGRAM: &str = "iptables-restore";
    let Some(state) = state(context) else { return refuse("iptables-restore: no network namespace\n", 1) };
    let words: Vec<String> = words.iter().map(|word| short_option(word)).collect();
    let parsed = match getopt("bcvVthnM:T:wW:46", &words) {
        Ok(parsed) => parsed,
        Err(text) => {
            return refuse(format!("{PROGRAM}: {text}\nTry `{PROGRAM} -h' for more information.\n"), 1);
        }
    };
    let mut options = restore::Options::default();
    for (letter, argument) in &parsed.options {
        match letter {
            'c' => options.counters = true,
            'n' => options.keep = true,
            't' => options.test = true,
            'v' => options.verbose = true,
            'T' => options.table = Some(argument.clone()),
            'V' => return answer("iptables-restore v1.8.9 (nf_tables)\n"),
            '4' | 'w' => {}
            other => {
                let (text, status) = not_simulated(PROGRAM, &format!("-{other}"));
                return refuse(text, status);
            }
        }
    }
    let text = match parsed.operands.as_slice() {
        [] => context.input.unwrap_or_default().to_owned(),
        [path] => match (context.files)(path) {
            Some(text) => text,
            None => return refuse(format!("Can't open {path}: No such file or directory\n"), 1),
        },
        _ => return refuse("Unknown arguments found on commandline\n", 1),
    };
    let before = Model::new(&state.netfilter);
    let names = |addr| host_name(context, addr);
    let format = Format {
        numeric: true,
        exact: false,
        verbose: options.verbose,
        line_numbers: false,
        name_of: &names,
    };
    let mut out = Out::default();
    let (after, wrong) = restore::restore(&text, &before, (&options, &sets(state)), &format, &mut out);
    let after = if options.test { &before } else { &after };
    let Some(wrong) = wrong else { return change(&before, after, out) };
    let (text, status) = match wrong {
        Wrong::At(line, failure) => failure.message(PROGRAM, Some(line)),
        Wrong::Line(text, status) => (format!("{PROGRAM}: {text}"), status),
    };
    out.err(text);
    failed(&before, after, out, status)
}

/// What was committed before something was wrong stays.
fn failed(before: &Model, after: &Model, out: Out, status: u8) -> Command {
    match change(before, after, Out::default()) {
        Command::Change { changes, .. } => Command::Change { changes, output: out.into_pieces(), status },
        Command::Done { .. }
        | Command::Process { .. }
        | Command::Exec { .. }
        | Command::Follow(_)
        | Command::Copy(_) => out.done(status),
    }
}
