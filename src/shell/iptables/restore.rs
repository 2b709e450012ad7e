//! `iptables-restore`: tables as `iptables-save` printed them, each carried out whole at its `COMMIT`.

use super::command::{self, Parsed, Verb};
use super::list::Format;
use super::model::{Counters, Model};
use super::{Failure, perform};
use crate::shell::out::Out;
use crate::xtables::{Policy, Table};
use std::fmt::Write as _;

/// What the options of the program ask for.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// `-c`: counters count.
    pub(super) counters: bool,
    /// `-n`: what is there stays.
    pub(super) keep: bool,
    /// `-t`: nothing is carried out.
    pub(super) test: bool,
    /// `-v`.
    pub(super) verbose: bool,
    /// `-T`: this table only.
    pub(super) table: Option<String>,
}

/// Why a text cannot be restored.
pub(super) enum Wrong {
    /// In this line.
    At(usize, Failure),
    /// As the program says it itself, with the status.
    Line(String, u8),
}

struct Restore<'a> {
    options: &'a Options,
    /// All tables as they will be after the last `COMMIT`.
    done: Model,
    /// The same with the table that is being read.
    model: Model,
    table: Option<Table>,
    /// Whether the table being read is left out.
    skipped: bool,
    format: &'a Format<'a>,
    sets: &'a [String],
}

/// Reads a text. The tables as they will be, also where a later line is wrong: what was committed before it counts.
pub(super) fn restore(
    text: &str,
    before: &Model,
    (options, sets): (&Options, &[String]),
    format: &Format<'_>,
    out: &mut Out,
) -> (Model, Option<Wrong>) {
    let (done, model) = (before.clone(), before.clone());
    let mut restore = Restore { options, done, model, table: None, skipped: false, format, sets };
    for (index, line) in text.lines().enumerate() {
        if let Err(wrong) = restore.line(index + 1, line, out) {
            return (restore.done, Some(wrong));
        }
    }
    let open = restore.table.is_some() && !restore.skipped;
    let n_lines = text.lines().count();
    let wrong = open.then(|| Wrong::Line(format!("COMMIT expected at line {}\n", n_lines + 1), 1));
    (restore.done, wrong)
}

impl Restore<'_> {
    fn line(&mut self, number: usize, line: &str, out: &mut Out) -> Result<(), Wrong> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let failed = |text: &str| Wrong::Line(format!("line {number} failed{text}\n"), 1);
        if line == "COMMIT" && self.table.is_some() {
            return self.commit(number);
        }
        if let (Some(name), None) = (line.strip_prefix('*'), self.table) {
            return self.begin(number, name.trim(), out);
        }
        let Some(table) = self.table else { return Err(failed("")) };
        if self.skipped {
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix(':') {
            return self.chain(number, table, rest);
        }
        self.rule(number, table, line, out)
    }

    /// Targets may be chains that were named later, so all is checked here.
    fn commit(&mut self, number: usize) -> Result<(), Wrong> {
        let Some(table) = self.table.take() else { return Ok(()) };
        perform::check_all(&self.model, table).map_err(|failure| Wrong::At(number, failure))?;
        perform::kernel_check(&self.model, table, &Verb::Append)
            .map_err(|(line, failure)| Wrong::At(line, failure))?;
        self.done = self.model.clone();
        Ok(())
    }

    fn begin(&mut self, number: usize, name: &str, out: &mut Out) -> Result<(), Wrong> {
        let Some(table) = Table::from_name(name) else {
            let text = format!("iptables-restore: line {number} table name '{name}' invalid");
            return Err(Wrong::At(number, Failure::Usage(text)));
        };
        self.table = Some(table);
        self.skipped = self.options.table.as_deref().is_some_and(|only| only != name);
        if self.skipped || self.options.keep {
            return Ok(());
        }
        let model = self.model.table_mut(table);
        let (mut flushed, mut deleted) = (String::new(), String::new());
        for chain in &mut model.chains {
            chain.rules.clear();
            chain.policy = chain.policy.map(|_| Policy::Accept);
            chain.count(None);
            let _ = writeln!(flushed, "Flushing chain `{}'", chain.name);
            if chain.policy.is_none() {
                let _ = writeln!(deleted, "Deleting chain `{}'", chain.name);
            }
        }
        model.chains.retain(|chain| chain.policy.is_some());
        // The table goes and comes again with what follows.
        model.exists = false;
        if self.options.verbose {
            out.out(flushed + &deleted);
        }
        Ok(())
    }

    fn chain(&mut self, number: usize, table: Table, rest: &str) -> Result<(), Wrong> {
        let mut words = rest.split_whitespace();
        let wrong = |what: &str| {
            let text = format!("iptables-restore: line {number} {what} invalid");
            Wrong::At(number, Failure::Usage(text))
        };
        let name = words.next().ok_or_else(|| wrong("chain name"))?;
        let policy = words.next().ok_or_else(|| wrong("policy"))?;
        let counters = words.next().and_then(|word| counters_in(word.strip_prefix('[')?.strip_suffix(']')?));
        if counters.is_none() && policy != "-" && self.options.counters {
            let text = format!("invalid policy counters for chain '{name}'");
            return Err(Wrong::At(number, Failure::Usage(text)));
        }
        let counters = counters.filter(|_| self.options.counters).unwrap_or_default();
        let model = self.model.table_mut(table);
        model.exists = true;
        let Some(chain) = model.find_mut(name) else {
            model.add(name);
            return Ok(());
        };
        if chain.policy.is_none() {
            // A chain that is named anew loses its rules.
            chain.rules.clear();
            return Ok(());
        }
        match policy {
            "ACCEPT" => chain.policy = Some(Policy::Accept),
            "DROP" => chain.policy = Some(Policy::Drop),
            "-" => {}
            _ => return Err(Wrong::Line(format!("line {number} failed: Bad policy name.\n"), 1)),
        }
        chain.count(Some(counters));
        Ok(())
    }

    fn rule(&mut self, number: usize, table: Table, line: &str, out: &mut Out) -> Result<(), Wrong> {
        let at = |failure| Wrong::At(number, failure);
        let (counters, line) = match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((counters, rest)) => {
                let wrong = || at(Failure::Usage(format!("invalid counters `{counters}'")));
                (Some(counters_in(counters).ok_or_else(wrong)?), rest)
            }
            None => (None, line),
        };
        let words = split(line).ok_or_else(|| at(Failure::Usage("unterminated quote".into())))?;
        let parsed = command::parse(&words, self.sets.to_vec()).map_err(at)?;
        let Parsed::Order(mut order) = parsed else { return Ok(()) };
        if order.table.is_some() {
            let text = "The -t option cannot be used in iptables-restore.".to_owned();
            return Err(at(Failure::Usage(text)));
        }
        order.line = number;
        order.verbose |= self.options.verbose;
        if self.options.counters {
            order.counters = order.counters.or(counters);
        }
        perform::perform(&mut self.model, table, &order, self.format, out).map_err(at)
    }
}

/// `PACKETS:BYTES`.
fn counters_in(text: &str) -> Option<Counters> {
    let (packets, bytes) = text.split_once(':')?;
    Some((packets.parse().ok()?, bytes.parse().ok()?))
}

/// The words of a line; quotes keep what is inside together, a backslash the next character there.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}
