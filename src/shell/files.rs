//! Small commands: `cat`, `ls`, `echo`, `hostname`, `sleep`.

use super::getopt::getopt;
use super::kernel_files::{self, Entry};
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context, KernelChange};
use crate::app::cat::{Cat, Part};
use crate::app::local::FifoRead;
use crate::app::sleep::{Forever, Sleep};
use crate::base::{Duration, Ipv4Addr};

/// Standard input as a part of what `cat` writes: what it was given, or what is yet to come.
fn read_input(context: &Context<'_>, parts: &mut Vec<Part>, out: &mut Out) {
    if let Some(text) = context.input {
        return out.out(text);
    }
    let before = std::mem::take(out).into_pieces();
    parts.extend(before.into_iter().map(|(stream, text)| Part::Text(stream, text)));
    parts.push(Part::Input);
}

/// `cat` of files that exist here, and of standard input.
pub(super) fn cat(context: &Context<'_>, words: &[String], busybox: bool) -> Command {
    let mut out = Out::default();
    if let Some(option) = words.iter().find(|word| word.len() > 1 && word.starts_with('-') && *word != "--") {
        let letter = option.trim_start_matches('-').chars().next().unwrap_or('-');
        out.err(format!("cat: invalid option -- '{letter}'\nTry 'cat --help' for more information.\n"));
        return out.done(1);
    }
    let mut status = 0;
    let paths: Vec<&String> = words.iter().filter(|word| *word != "--").collect();
    if let [path] = paths.as_slice()
        && (context.is_fifo)(path)
    {
        return Command::process(FifoRead::new(path), Out::default());
    }
    let mut parts = Vec::new();
    if paths.is_empty() {
        read_input(context, &mut parts, &mut out);
    }
    for path in paths {
        if path == "-" {
            read_input(context, &mut parts, &mut out);
            continue;
        }
        if let Some(text) = (context.files)(path) {
            out.out(text);
            continue;
        }
        let (why, opened) = match kernel_files::find(context.inventory, context.netns, path) {
            Some(Entry::Directory(_)) => ("Is a directory", true),
            Some(Entry::Refused(why)) => (why, true),
            Some(Entry::Unknown) => ("not simulated", true),
            Some(Entry::Missing(why)) => (why, false),
            Some(Entry::File(_)) | None => ("No such file or directory", false),
        };
        out.err(match (busybox, opened) {
            _ if why == "not simulated" => not_simulated("cat", path).0,
            (false, _) => format!("cat: {path}: {why}\n"),
            (true, true) => format!("cat: read error: {why}\n"),
            (true, false) => format!("cat: can't open '{path}': {why}\n"),
        });
        status = 1;
    }
    if parts.is_empty() {
        return out.done(status);
    }
    parts.extend(out.into_pieces().into_iter().map(|(stream, text)| Part::Text(stream, text)));
    Command::process(Cat::new(parts, status), Out::default())
}

/// `ls` of files, and of those directories whose content is known as a whole.
pub(super) fn ls(context: &Context<'_>, words: &[String], busybox: bool) -> Command {
    let parsed = match getopt("1aAdFC", words) {
        Ok(parsed) => parsed,
        Err(text) => match text.rsplit_once(' ') {
            // Other letters that the program knows.
            Some((_, letter)) if "lhrRtiSs".contains(letter.trim_matches('\'')) => {
                let (text, status) = not_simulated("ls", &format!("-{}", letter.trim_matches('\'')));
                return refuse(text, status);
            }
            _ => return refuse(format!("ls: {text}\nTry 'ls --help' for more information.\n"), 2),
        },
    };
    let has = |letter| parsed.options.iter().any(|(option, _)| *option == letter);
    let width = context.columns.filter(|_| !has('1')).or_else(|| has('C').then_some(80));
    let mut operands = parsed.operands.clone();
    operands.sort();
    let (mut files, mut directories, mut out, mut status) = (Vec::new(), Vec::new(), Out::default(), 0);
    for path in &operands {
        match kernel_files::find(context.inventory, context.netns, path) {
            Some(Entry::Directory(_)) if has('d') => files.push(path.clone()),
            Some(Entry::Directory(Some(names))) => directories.push((path, names)),
            Some(Entry::File(_) | Entry::Refused(_) | Entry::Unknown) => files.push(path.clone()),
            Some(Entry::Missing(why)) => {
                let named = if busybox { path.clone() } else { format!("cannot access '{path}'") };
                out.err(format!("ls: {named}: {why}\n"));
                status = if busybox { 1 } else { 2 };
            }
            None if (context.files)(path).is_some() || (context.is_fifo)(path) => files.push(path.clone()),
            Some(Entry::Directory(None)) | None => {
                out.err(not_simulated("ls", path).0);
                status = 1;
            }
        }
    }
    if operands.is_empty() {
        out.err(not_simulated("ls", ".").0);
        return out.done(1);
    }
    out.out(listed(&files, width, busybox));
    let mut blank = !files.is_empty();
    for (path, names) in directories {
        if operands.len() > 1 {
            out.out(format!("{}{path}:\n", if blank { "\n" } else { "" }));
        }
        let dots: &[&str] = if has('a') { &[".", ".."] } else { &[] };
        let names: Vec<String> = dots.iter().map(|dot| (*dot).to_owned()).chain(names).collect();
        out.out(listed(&names, width, busybox));
        blank = true;
    }
    out.done(status)
}

/// Names one below the other, or at a terminal in columns: as many as fit, filled from top to bottom.
fn listed(names: &[String], width: Option<usize>, busybox: bool) -> String {
    let Some(width) = width.filter(|_| !names.is_empty()) else {
        return names.iter().flat_map(|name| [name.as_str(), "\n"]).collect();
    };
    let widest = names.iter().map(String::len).max().unwrap_or(0) + 2;
    // Each column is as wide as its longest name and two blanks, in busybox as the longest of all.
    let widths = |rows: usize| -> Vec<usize> {
        let columns = names.chunks(rows);
        let own = |chunk: &[String]| chunk.iter().map(String::len).max().unwrap_or(0) + 2;
        columns.map(|chunk| if busybox { widest } else { own(chunk) }).collect()
    };
    let fits = |rows: &usize| {
        let widths = widths(*rows);
        let last = widths.last().copied().unwrap_or(0);
        let tail = if busybox { last } else { last.saturating_sub(2) };
        widths.iter().sum::<usize>() - last + tail <= width
    };
    let rows = (1..names.len()).find(fits).unwrap_or(names.len());
    let widths = widths(rows);
    let mut text = String::new();
    for row in 0..rows {
        let mut at = 0;
        for (column, name) in names.iter().skip(row).step_by(rows).enumerate() {
            let start: usize = widths[..column].iter().sum();
            text += &gap(at, start, busybox);
            text += name;
            at = start + name.len();
        }
        text.push('\n');
    }
    text
}

/// The way from one column to another: GNU's program takes tabs where it can.
fn gap(mut from: usize, to: usize, busybox: bool) -> String {
    let mut text = String::new();
    while from < to {
        if !busybox && to / 8 > (from + 1) / 8 {
            text.push('\t');
            from += 8 - from % 8;
        } else {
            text.push(' ');
            from += 1;
        }
    }
    text
}

/// `echo`, as a shell has it built in: no option but `-n`.
pub(super) fn echo(words: &[String]) -> Command {
    let (end, words) = match words.split_first() {
        Some((first, rest)) if first == "-n" => ("", rest),
        _ => ("\n", words),
    };
    answer(words.join(" ") + end)
}

/// `mkfifo PATH…`.
pub(super) fn mkfifo(context: &Context<'_>, words: &[String], busybox: bool) -> Command {
    let mut out = Out::default();
    let paths: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    if paths.is_empty() {
        out.err("mkfifo: missing operand\nTry 'mkfifo --help' for more information.\n");
        return out.done(1);
    }
    let mut changes = Vec::new();
    let mut status = 0;
    for path in paths {
        if (context.is_fifo)(path) || (context.files)(path).is_some() {
            out.err(if busybox {
                format!("mkfifo: {path}: File exists\n")
            } else {
                format!("mkfifo: cannot create fifo '{path}': File exists\n")
            });
            status = 1;
        } else {
            changes.push(KernelChange::MakeFifo(path.clone()));
        }
    }
    Command::Change { changes, output: out.into_pieces(), status }
}

/// `rm [-f] PATH…`: files, named pipes and sockets.
pub(super) fn rm(context: &Context<'_>, words: &[String]) -> Command {
    let force = words.iter().any(|word| word.starts_with('-') && word.contains('f'));
    let paths: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let mut out = Out::default();
    if paths.is_empty() && !force {
        out.err("rm: missing operand\nTry 'rm --help' for more information.\n");
        return out.done(1);
    }
    let state = context.inventory.netns.get(&context.netns);
    let is_socket = |path: &str| {
        state.is_some_and(|state| state.ipc.unix.values().any(|row| row.path.as_deref() == Some(path)))
    };
    let mut status = 0;
    let mut changes = Vec::new();
    for path in paths {
        let exists = (context.is_fifo)(path) || (context.files)(path).is_some() || is_socket(path);
        if exists || force {
            changes.push(KernelChange::Unlink(path.clone()));
        } else {
            out.err(format!("rm: cannot remove '{path}': No such file or directory\n"));
            status = 1;
        }
    }
    Command::Change { changes, output: out.into_pieces(), status }
}

/// `hostname`, and its addresses with `-i` and `-I`.
pub(super) fn hostname(context: &Context<'_>, words: &[String]) -> Command {
    match words.first().map(String::as_str) {
        None => answer(format!("{}\n", context.hostname)),
        Some("-s" | "--short") => {
            let short = context.hostname.split('.').next().unwrap_or(context.hostname);
            answer(format!("{short}\n"))
        }
        Some("-I" | "--all-ip-addresses") => {
            let state = context.inventory.netns.get(&context.netns);
            let addrs = state.map_or(&[][..], |state| &state.addrs);
            let addrs = addrs.iter().map(|row| row.addr.addr()).filter(|addr| !addr.is_loopback());
            answer(addrs.map(|addr| format!("{addr} ")).collect::<Vec<_>>().concat() + "\n")
        }
        Some("-i" | "--ip-address") => match own_address(context) {
            Some(address) => answer(format!("{address}\n")),
            None => refuse("hostname: Name or service not known\n", 1),
        },
        // The name in `/etc/hosts` up to its first dot is the host's, the rest its domain.
        Some("-d" | "--domain") => {
            let name = own_name(context);
            answer(name.split_once('.').map_or_else(String::new, |(_, domain)| format!("{domain}\n")))
        }
        Some("-y" | "--yp" | "--nis") => refuse("hostname: Local domain name not set\n", 1),
        Some("-f" | "--fqdn" | "--long") => answer(format!("{}\n", own_name(context))),
        Some(option) if option.starts_with('-') => {
            let letter = option.trim_start_matches('-').chars().next().unwrap_or('-');
            refuse(format!("hostname: invalid option -- '{letter}'\n"), 255)
        }
        Some(_) => refuse("hostname: you must be root to change the host name\n", 1),
    }
}

/// The line of `/etc/hosts` that has the host's own name: its address and its names.
fn own_line(context: &Context<'_>) -> Option<(Ipv4Addr, Vec<String>)> {
    let hosts = (context.files)("/etc/hosts")?;
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let address = words.next()?.parse().ok()?;
        let names: Vec<String> = words.map(str::to_owned).collect();
        names.iter().any(|name| name == context.hostname).then_some((address, names))
    })
}

fn own_address(context: &Context<'_>) -> Option<Ipv4Addr> {
    own_line(context).map(|(address, _)| address)
}

fn own_name(context: &Context<'_>) -> String {
    let first = own_line(context).and_then(|(_, names)| names.into_iter().next());
    first.unwrap_or_else(|| context.hostname.to_owned())
}

/// `sleep`: seconds with decimals, or with a unit; several add up.
pub(super) fn sleep(words: &[String]) -> Command {
    if words.is_empty() {
        return refuse("sleep: missing operand\nTry 'sleep --help' for more information.\n", 1);
    }
    if words.iter().any(|word| word == "infinity" || word == "inf") {
        return Command::process(Forever::default(), Out::default());
    }
    let mut total = Duration::ZERO;
    for word in words {
        let Some(duration) = interval(word) else {
            let text = "Try 'sleep --help' for more information.";
            return refuse(format!("sleep: invalid time interval '{word}'\n{text}\n"), 1);
        };
        total = total + duration;
    }
    Command::process(Sleep { duration: total }, Out::default())
}

fn interval(word: &str) -> Option<Duration> {
    let (digits, unit_secs) = match word.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(digits) if word.ends_with('m') => (digits, 60),
        Some(digits) if word.ends_with('h') => (digits, 3_600),
        Some(digits) if word.ends_with('d') => (digits, 86_400),
        Some(digits) => (digits, 1),
        None => (word, 1),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let secs: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let decimals: String = decimals.chars().chain("000000000".chars()).take(9).collect();
    let ns = secs.checked_mul(1_000_000_000)?.checked_add(decimals.parse().ok()?)?;
    Some(Duration::from_ns(ns.checked_mul(unit_secs)?))
}
