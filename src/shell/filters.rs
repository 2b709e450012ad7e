//! Small programs that read what a pipe brings: `head`, `tail`, `wc`, `tee`; and others that only print:
//! `seq`, `env`, `date`, `ps`.

use super::getopt::getopt;
use super::out::{Out, answer, not_simulated, refuse};
use super::{Command, Context};
use crate::base::SimTime;
use crate::trace::ProcessRow;

/// The text of the files named, or what comes in.
pub(super) fn texts(context: &Context<'_>, program: &str, paths: &[String]) -> Result<String, Command> {
    if paths.is_empty() {
        return Ok(context.input.unwrap_or("").to_owned());
    }
    let mut all = String::new();
    for path in paths {
        match (context.files)(path) {
            Some(text) => all.push_str(&text),
            None if path == "-" => all.push_str(context.input.unwrap_or("")),
            None => return Err(refuse(format!("{program}: {path}: No such file or directory\n"), 2)),
        }
    }
    Ok(all)
}

/// `wc`.
pub(super) fn wc(context: &Context<'_>, words: &[String]) -> Command {
    let parsed = match getopt("lwc", words) {
        Ok(parsed) => parsed,
        Err(text) => return refuse(format!("wc: {text}\n"), 1),
    };
    let text = match texts(context, "wc", &parsed.operands) {
        Ok(text) => text,
        Err(command) => return command,
    };
    // A file need not be text.
    let lengths = parsed.operands.iter().map(|path| (context.bytes)(path).map_or(0, |bytes| bytes.len()));
    let length = if parsed.operands.is_empty() { text.len() } else { lengths.sum() };
    let figures = [text.matches('\n').count(), text.split_whitespace().count(), length];
    let chosen: Vec<usize> = "lwc"
        .chars()
        .zip(figures)
        .filter(|(letter, _)| {
            parsed.options.is_empty() || parsed.options.iter().any(|(option, _)| option == letter)
        })
        .map(|(_, figure)| figure)
        .collect();
    let name = parsed.operands.first().map_or(String::new(), |path| format!(" {path}"));
    match chosen.as_slice() {
        [one] => answer(format!("{one}{name}\n")),
        several => {
            let cells = several.iter().map(|figure| format!(" {figure:7}")).collect::<Vec<_>>().concat();
            answer(format!("{}{name}\n", if name.is_empty() { cells } else { cells.replacen(' ', "", 1) }))
        }
    }
}

/// More numbers are not written out: they would fill the memory.
const SEQ_MAX: i128 = 100_000;

/// `seq`.
pub(super) fn seq(words: &[String]) -> Command {
    let numbers: Option<Vec<i64>> = words.iter().map(|word| word.parse().ok()).collect();
    let (first, step, last) = match numbers.as_deref() {
        Some([last]) => (1, 1, *last),
        Some([first, last]) => (*first, 1, *last),
        Some([first, step, last]) if *step != 0 => (*first, *step, *last),
        _ => return refuse("seq: missing operand\nTry 'seq --help' for more information.\n", 1),
    };
    // In numbers that hold the distance of any two.
    let (first, step, way) = (i128::from(first), i128::from(step), i128::from(last) - i128::from(first));
    let is_behind = way.signum() * step.signum() < 0;
    let count = if is_behind { 0 } else { way.abs() / step.abs() + 1 };
    if count > SEQ_MAX {
        return refuse(format!("seq: not simulated: more than {SEQ_MAX} numbers\n"), 1);
    }
    let lines: Vec<String> = (0..count).map(|at| (first + at * step).to_string() + "\n").collect();
    answer(lines.concat())
}

/// `env` and `printenv`.
pub(super) fn env(context: &Context<'_>, words: &[String]) -> Command {
    let path = ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let own = [path, ("HOSTNAME", context.hostname), ("HOME", "/root")];
    let own = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let all: Vec<(String, String)> = own.chain(context.variables.iter().cloned()).collect();
    match words.first() {
        None => {
            answer(all.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<Vec<_>>().concat())
        }
        Some(name) => match all.iter().rev().find(|(known, _)| known == name) {
            Some((_, value)) => answer(format!("{value}\n")),
            None => Out::default().done(1),
        },
    }
}

/// `date`.
pub(super) fn date(context: &Context<'_>, words: &[String]) -> Command {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let now = context.inventory.now;
    match words.first().map(String::as_str) {
        None => {
            let c = now.calendar();
            let (day, month) = (DAYS[c.weekday], MONTHS[c.month - 1]);
            answer(format!(
                "{day} {month} {:2} {:02}:{:02}:{:02} UTC {}\n",
                c.day, c.hour, c.minute, c.second, c.year
            ))
        }
        Some("+%s") => answer(format!("{}\n", now.unix_secs())),
        Some(other) => {
            let (text, status) = not_simulated("date", other);
            refuse(text, status)
        }
    }
}

/// The processes that `ps` sees: those of its PID namespace.
fn processes<'a>(context: &'a Context<'_>) -> Vec<&'a ProcessRow> {
    let rows = context.inventory.processes.values();
    let mut rows: Vec<&ProcessRow> = rows.filter(|row| row.pidns == context.pidns).collect();
    rows.sort_by_key(|row| row.pid);
    rows
}

fn hours(since: SimTime, now: SimTime) -> String {
    let secs = now.since(since).as_secs() % 86_400;
    format!("{:02}:{:02}", secs / 3600, secs / 60 % 60)
}

/// `ps` of procps, and with `-e`, `-ef`, `aux`.
pub(super) fn ps(context: &Context<'_>, words: &[String]) -> Command {
    let rows = processes(context);
    let own = context.pid;
    let name = |row: &ProcessRow| {
        let first = row.args.split(' ').next().unwrap_or("");
        first.rsplit('/').next().unwrap_or("").chars().take(15).collect::<String>()
    };
    let joined = words.concat();
    let now = context.inventory.now;
    let at = |row: &ProcessRow| hours(SimTime::ZERO, row.started);
    let mut out = Out::default();
    match joined.trim_start_matches('-') {
        "ef" | "f" | "eF" => {
            out.out("UID          PID    PPID  C STIME TTY          TIME CMD\n");
            for row in rows {
                out.out(format!(
                    "root     {:7}       0  0 {} ?        00:00:00 {}\n",
                    row.pid,
                    at(row),
                    row.args
                ));
            }
            out.out(format!(
                "root     {own:7}       0  0 {} pts/0    00:00:00 ps {joined}\n",
                hours(SimTime::ZERO, now)
            ));
        }
        "aux" | "auxw" | "auxww" => {
            out.out("USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n");
            for row in rows {
                out.out(format!(
                    "root     {:7}  0.0  0.0   2800  1500 ?        Ss   {}   0:00 {}\n",
                    row.pid,
                    at(row),
                    row.args
                ));
            }
            let start = hours(SimTime::ZERO, now);
            out.out(format!(
                "root     {own:7}  0.0  0.0   8100  4000 pts/0    R+   {start}   0:00 ps {joined}\n"
            ));
        }
        "e" | "A" | "ax" => {
            out.out("    PID TTY          TIME CMD\n");
            for row in rows {
                out.out(format!("{:7} ?        00:00:00 {}\n", row.pid, name(row)));
            }
            out.out(format!("{own:7} pts/0    00:00:00 ps\n"));
        }
        "" => out.out(format!("    PID TTY          TIME CMD\n{own:7} pts/0    00:00:00 ps\n")),
        other => {
            let (text, status) = not_simulated("ps", other);
            return refuse(text, status);
        }
    }
    out.done(0)
}

/// `ps` of busybox.
pub(super) fn busybox_ps(context: &Context<'_>) -> Command {
    let mut out = Out::default();
    out.out("PID   USER     TIME  COMMAND\n");
    for row in processes(context) {
        out.out(format!("{:5} root      0:00 {}\n", row.pid, row.args));
    }
    out.out(format!("{:5} root      0:00 ps\n", context.pid));
    out.done(0)
}
