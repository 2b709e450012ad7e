//! An awk program at work.

use super::Wrong;
use super::format;
use super::parse::{Expr, Pattern, Program, SUBSEP, Statement, regex};
use super::texts::{calculated, holds, is_name, replaced, split, substr, whole};
use super::value::Value;
use crate::shell::Context;
use regex_lite::Regex;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Steps after which a program is stopped: nobody could type Ctrl-C.
const STEPS_MAX: u64 = 2_000_000;
/// The longest text and the most output, in bytes.
const TEXT_MAX: usize = 4_000_000;
/// The highest number of a field.
const FIELDS_MAX: f64 = 32_767.0;

/// What a statement leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoesOn,
    Next,
    Break,
    Continue,
    Exit,
}

/// A program at work.
pub(super) struct Run<'a> {
    context: &'a Context<'a>,
    variables: BTreeMap<String, Value>,
    /// Elements by array and key, each with when it came.
    arrays: BTreeMap<String, BTreeMap<String, (u64, Value)>>,
    n_elements: u64,
    /// The line, and its fields where it was taken apart.
    record: String,
    fields: Option<Vec<Value>>,
    /// Ranges that have begun.
    open: BTreeSet<usize>,
    pub(super) output: String,
    pub(super) complaints: String,
    pub(super) file: String,
    pub(super) fnr: u64,
    pub(super) nr: u64,
    status: u8,
    steps: u64,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        separator: Option<String>,
        assigned: Vec<(String, String)>,
    ) -> Self {
        let mut variables: BTreeMap<String, Value> =
            [("FS", " "), ("OFS", " "), ("ORS", "\n"), ("RS", "\n"), ("SUBSEP", SUBSEP)]
                .map(|(name, text)| (name.to_owned(), Value::Text(text.to_owned())))
                .into();
        variables.extend(separator.map(|text| ("FS".to_owned(), Value::Text(text))));
        variables.extend(assigned.into_iter().map(|(name, text)| (name, Value::of_input(&text))));
        Self {
            context,
            variables,
            arrays: BTreeMap::new(),
            n_elements: 0,
            record: String::new(),
            fields: Some(Vec::new()),
            open: BTreeSet::new(),
            output: String::new(),
            complaints: String::new(),
            file: String::new(),
            fnr: 0,
            nr: 0,
            status: 0,
            steps: 0,
        }
    }

    /// Runs the program over its files; its status.
    pub(super) fn all(&mut self, program: &Program, operands: &[&String]) -> Result<u8, Wrong> {
        let mut ended = self.block(&program.begin)? == Then::Exit;
        if !ended && program.reads {
            ended = self.files(program, operands)?;
        }
        // `exit` leads to the actions of END, unless it stands in one.
        if !(ended && program.rules.is_empty() && program.end.is_empty()) {
            self.block(&program.end)?;
        }
        Ok(self.status)
    }

    fn files(&mut self, program: &Program, operands: &[&String]) -> Result<bool, Wrong> {
        let mut any = false;
        for word in operands {
            if let Some((name, value)) = word.split_once('=').filter(|(name, _)| is_name(name)) {
                self.variables.insert(name.to_owned(), Value::of_input(&super::escaped(value)));
                continue;
            }
            any = true;
            let text =
                if *word == "-" { self.context.input.map(str::to_owned) } else { (self.context.files)(word) };
            let Some(text) = text else {
                let _ = writeln!(self.complaints, "awk: cannot open {word} (No such file or directory)");
                self.status = 2;
                continue;
            };
            self.file.clone_from(word);
            if self.records(program, &text)? {
                return Ok(true);
            }
        }
        if any {
            return Ok(false);
        }
        let text = self.context.input.unwrap_or("").to_owned();
        "-".clone_into(&mut self.file);
        self.records(program, &text)
    }

    /// The lines of a file; whether the program said `exit`.
    fn records(&mut self, program: &Program, text: &str) -> Result<bool, Wrong> {
        self.fnr = 0;
        let separator = self.variable("RS").text();
        let mut letters = separator.chars();
        let (Some(mark), None) = (letters.next(), letters.next()) else {
            return Err(Wrong::NotSimulated(format!("RS={separator:?}")));
        };
        let text = text.strip_suffix(mark).unwrap_or(text);
        let lines: Vec<&str> = if text.is_empty() { Vec::new() } else { text.split(mark).collect() };
        for line in lines {
            self.fnr += 1;
            self.nr += 1;
            self.set_record(line.to_owned());
            for (pattern, action) in &program.rules {
                if !self.applies(pattern)? {
                    continue;
                }
                match self.block(action)? {
                    Then::Exit => return Ok(true),
                    Then::Next => break,
                    Then::GoesOn | Then::Break | Then::Continue => {}
                }
            }
        }
        Ok(false)
    }

    fn applies(&mut self, pattern: &Pattern) -> Result<bool, Wrong> {
        match pattern {
            Pattern::Always => Ok(true),
            Pattern::Where(expr) => Ok(self.value(expr)?.is_true()),
            Pattern::Range(first, last, number) => {
                if !self.open.contains(number) {
                    if !self.value(first)?.is_true() {
                        return Ok(false);
                    }
                    self.open.insert(*number);
                }
                if self.value(last)?.is_true() {
                    self.open.remove(number);
                }
                Ok(true)
            }
        }
    }

    fn step(&mut self) -> Result<(), Wrong> {
        self.steps += 1;
        if self.steps > STEPS_MAX || self.output.len() > TEXT_MAX {
            return Err(Wrong::NotSimulated("programs that run this long".to_owned()));
        }
        Ok(())
    }

    /// Long texts take longer.
    fn worked(&mut self, len: usize) {
        self.steps += len as u64 / 64;
    }

    fn block(&mut self, statements: &[Statement]) -> Result<Then, Wrong> {
        for statement in statements {
            let then = self.statement(statement)?;
            if then != Then::GoesOn {
                return Ok(then);
            }
        }
        Ok(Then::GoesOn)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Then, Wrong> {
        self.step()?;
        match statement {
            Statement::Expr(expr) => {
                self.value(expr)?;
            }
            Statement::Print(list) => self.print(list)?,
            Statement::Printf(list) => {
                let text = self.sprintf("printf", list)?;
                self.output += &text;
            }
            Statement::If(condition, yes, no) => {
                let branch = if self.value(condition)?.is_true() { yes } else { no };
                return self.block(branch);
            }
            Statement::While(condition, body) => return self.repeat(Some(condition), None, body),
            Statement::DoWhile(body, condition) => match self.block(body)? {
                Then::GoesOn | Then::Continue => return self.repeat(Some(condition), None, body),
                Then::Break => {}
                other @ (Then::Next | Then::Exit) => return Ok(other),
            },
            Statement::For(first, condition, step, body) => {
                if let Some(first) = first {
                    self.statement(first)?;
                }
                return self.repeat(condition.as_ref(), step.as_deref(), body);
            }
            Statement::ForIn(name, array, body) => return self.for_in(name, array, body),
            Statement::Delete(array, None) => {
                self.arrays.remove(array);
            }
            Statement::Delete(array, Some(element)) => {
                let key = self.value(element)?.text();
                if let Some(elements) = self.arrays.get_mut(array) {
                    elements.remove(&key);
                }
            }
            Statement::Next => return Ok(Then::Next),
            Statement::Break => return Ok(Then::Break),
            Statement::Continue => return Ok(Then::Continue),
            Statement::Exit(status) => {
                if let Some(status) = status {
                    self.status = whole(self.value(status)?.number()) as u8;
                }
                return Ok(Then::Exit);
            }
        }
        Ok(Then::GoesOn)
    }

    fn repeat(
        &mut self,
        condition: Option<&Expr>,
        step: Option<&Statement>,
        body: &[Statement],
    ) -> Result<Then, Wrong> {
        loop {
            self.step()?;
            if let Some(condition) = condition
                && !self.value(condition)?.is_true()
            {
                return Ok(Then::GoesOn);
            }
            match self.block(body)? {
                Then::GoesOn | Then::Continue => {}
                Then::Break => return Ok(Then::GoesOn),
                other @ (Then::Next | Then::Exit) => return Ok(other),
            }
            if let Some(step) = step {
                self.statement(step)?;
            }
        }
    }

    fn for_in(&mut self, name: &str, array: &str, body: &[Statement]) -> Result<Then, Wrong> {
        let mut keys: Vec<(u64, String)> =
            self.arrays.get(array).into_iter().flatten().map(|(key, (at, _))| (*at, key.clone())).collect();
        keys.sort_unstable();
        for (_, key) in keys {
            self.assign_name(name, Value::of_input(&key))?;
            match self.block(body)? {
                Then::GoesOn | Then::Continue => {}
                Then::Break => break,
                other @ (Then::Next | Then::Exit) => return Ok(other),
            }
        }
        Ok(Then::GoesOn)
    }

    fn print(&mut self, list: &[Expr]) -> Result<(), Wrong> {
        let texts: Vec<String> = if list.is_empty() {
            vec![self.record.clone()]
        } else {
            let values: Result<Vec<Value>, Wrong> = list.iter().map(|expr| self.value(expr)).collect();
            values?.iter().map(Value::text).collect()
        };
        let (between, after) = (self.variable("OFS").text(), self.variable("ORS").text());
        self.output += &texts.join(&between);
        self.output += &after;
        Ok(())
    }

    fn sprintf(&mut self, call: &str, list: &[Expr]) -> Result<String, Wrong> {
        let values: Result<Vec<Value>, Wrong> = list.iter().map(|expr| self.value(expr)).collect();
        let values = values?;
        let Some((form, values)) = values.split_first() else { return Ok(String::new()) };
        let form = form.text();
        format::formatted(&form, values).map_err(|wrong| {
            Wrong::Run(match wrong {
                format::Wrong::TooFewArguments => {
                    format!("not enough arguments passed to {call}(\"{form}\")")
                }
                format::Wrong::Conversion => format!("improper conversion(number 1) in {call}(\"{form}\")"),
            })
        })
    }

    fn variable(&mut self, name: &str) -> Value {
        match name {
            "NR" => Value::Number(self.nr as f64),
            "FNR" => Value::Number(self.fnr as f64),
            "NF" => Value::Number(self.split_record().len() as f64),
            "FILENAME" => Value::Text(self.file.clone()),
            _ => self.variables.get(name).cloned().unwrap_or_default(),
        }
    }

    fn set_record(&mut self, record: String) {
        (self.record, self.fields) = (record, None);
    }

    fn split_record(&mut self) -> &mut Vec<Value> {
        if self.fields.is_none() {
            let separator = self.variables.get("FS").map_or(" ".to_owned(), Value::text);
            let fields = split(&self.record, &separator).unwrap_or_default();
            self.fields = Some(fields.iter().map(|field| Value::of_input(field)).collect());
        }
        self.fields.get_or_insert_default()
    }

    fn join_record(&mut self) {
        let between = self.variables.get("OFS").map_or(" ".to_owned(), Value::text);
        let texts: Vec<String> = self.split_record().iter().map(Value::text).collect();
        self.record = texts.join(&between);
        self.worked(self.record.len());
    }

    fn field_number(&mut self, expr: &Expr) -> Result<usize, Wrong> {
        let number = self.value(expr)?.number();
        if number < 0.0 {
            return Err(Wrong::Run(format!("negative field index ${number}")));
        }
        if number > FIELDS_MAX {
            return Err(Wrong::NotSimulated(format!("more than {FIELDS_MAX} fields")));
        }
        Ok(whole(number) as usize)
    }

    fn assign_field(&mut self, number: usize, value: Value) {
        if number == 0 {
            return self.set_record(value.text());
        }
        let fields = self.split_record();
        if fields.len() < number {
            fields.resize(number, Value::Text(String::new()));
        }
        fields[number - 1] = value;
        self.join_record();
    }

    fn assign_name(&mut self, name: &str, value: Value) -> Result<(), Wrong> {
        match name {
            "NR" => self.nr = whole(value.number()),
            "FNR" => self.fnr = whole(value.number()),
            "NF" => {
                let count = whole(value.number().clamp(0.0, FIELDS_MAX)) as usize;
                self.split_record().resize(count, Value::Text(String::new()));
                self.join_record();
            }
            "FILENAME" => self.file = value.text(),
            "FS" => {
                // The line that is there is split as it came.
                self.split_record();
                if value.text().chars().count() > 1 {
                    regex(&value.text())?;
                }
                self.variables.insert(name.to_owned(), value);
            }
            _ => {
                self.variables.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn element(&mut self, array: &str, key: &str) -> &mut Value {
        self.n_elements += 1;
        let elements = self.arrays.entry(array.to_owned()).or_default();
        &mut elements.entry(key.to_owned()).or_insert((self.n_elements, Value::Unset)).1
    }

    fn assign(&mut self, place: &Expr, value: Value) -> Result<Value, Wrong> {
        // The grammar lets nothing else stand on the left.
        if let Expr::Name(name) = place {
            self.assign_name(name, value.clone())?;
        } else if let Expr::Index(array, key) = place {
            let key = self.value(key)?.text();
            *self.element(array, &key) = value.clone();
        } else if let Expr::Field(number) = place {
            let number = self.field_number(number)?;
            self.assign_field(number, value.clone());
        }
        Ok(value)
    }

    fn value(&mut self, expr: &Expr) -> Result<Value, Wrong> {
        self.step()?;
        Ok(match expr {
            Expr::Number(number) => Value::Number(*number),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Regex(pattern) => Value::truth(pattern.is_match(&self.record)),
            Expr::Name(name) => self.variable(name),
            Expr::Index(array, key) => {
                let key = self.value(key)?.text();
                self.element(array, &key).clone()
            }
            Expr::Field(number) => match self.field_number(number)? {
                0 => Value::of_input(&self.record),
                number => self.split_record().get(number - 1).cloned().unwrap_or_default(),
            },
            Expr::Assign(op, place, right) => {
                let right = self.value(right)?;
                let value = match op {
                    None => right,
                    Some(op) => calculated(op, self.value(place)?.number(), right.number()),
                };
                self.assign(place, value)?
            }
            Expr::Cond(condition, yes, no) => {
                let branch = if self.value(condition)?.is_true() { yes } else { no };
                self.value(branch)?
            }
            Expr::Logic(is_and, left, right) => {
                let left = self.value(left)?.is_true();
                Value::truth(if left == *is_and { self.value(right)?.is_true() } else { left })
            }
            Expr::In(key, array) => {
                let key = self.value(key)?.text();
                let elements = self.arrays.get(array);
                Value::truth(elements.is_some_and(|elements| elements.contains_key(&key)))
            }
            Expr::Match(wanted, text, pattern) => {
                let text = self.value(text)?.text();
                Value::truth(self.pattern(pattern)?.is_match(&text) == *wanted)
            }
            Expr::Compare(op, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Value::truth(holds(op, left.compare(&right)))
            }
            Expr::Concat(left, right) => {
                let text = self.value(left)?.text() + &self.value(right)?.text();
                self.worked(text.len());
                if text.len() > TEXT_MAX {
                    return Err(Wrong::NotSimulated("texts this long".to_owned()));
                }
                Value::Text(text)
            }
            Expr::Calc(op, left, right) => {
                let left = self.value(left)?.number();
                calculated(op, left, self.value(right)?.number())
            }
            Expr::Negate(operand) => Value::Number(-self.value(operand)?.number()),
            Expr::Plus(operand) => Value::Number(self.value(operand)?.number()),
            Expr::Not(operand) => Value::truth(!self.value(operand)?.is_true()),
            Expr::Step(before, by, place) => {
                let old = self.value(place)?.number();
                let new = self.assign(place, Value::Number(old + by))?;
                if *before { new } else { Value::Number(old) }
            }
            Expr::Group(inner) => self.value(inner)?,
            Expr::Call(name, arguments) => self.call(name, arguments)?,
        })
    }

    /// An expression to search with; a text counts as one, too.
    fn pattern<'e>(&mut self, expr: &'e Expr) -> Result<Cow<'e, Regex>, Wrong> {
        if let Expr::Regex(pattern) = expr {
            return Ok(Cow::Borrowed(pattern));
        }
        regex(&self.value(expr)?.text()).map(Cow::Owned)
    }

    fn call(&mut self, name: &str, arguments: &[Expr]) -> Result<Value, Wrong> {
        match (name, arguments) {
            ("length", [Expr::Name(array)]) if self.arrays.contains_key(array) => {
                return Ok(Value::Number(self.arrays[array].len() as f64));
            }
            ("length", []) => return Ok(Value::Number(self.record.len() as f64)),
            ("sprintf", list) => return self.sprintf("sprintf", list).map(Value::Text),
            ("split", [text, Expr::Name(array), rest @ ..]) => {
                let text = self.value(text)?.text();
                return self.split(&text, array, rest.first());
            }
            ("sub" | "gsub", [pattern, replacement, rest @ ..]) => {
                let whole = Expr::Field(Box::new(Expr::Number(0.0)));
                let place = rest.first().unwrap_or(&whole);
                return self.substitute(name == "gsub", pattern, (replacement, place));
            }
            ("match", [text, pattern]) => {
                let text = self.value(text)?.text();
                let found = self.pattern(pattern)?.find(&text).map(|found| (found.start() + 1, found.len()));
                let start = Value::Number(found.map_or(0, |(start, _)| start) as f64);
                let len = found.map_or(-1.0, |(_, len)| len as f64);
                self.variables.insert("RSTART".to_owned(), start.clone());
                self.variables.insert("RLENGTH".to_owned(), Value::Number(len));
                return Ok(start);
            }
            _ => {}
        }
        let values: Result<Vec<Value>, Wrong> = arguments.iter().map(|expr| self.value(expr)).collect();
        let values = values?;
        let first = values.first().cloned().unwrap_or_default();
        Ok(match name {
            "length" => Value::Number(first.text().len() as f64),
            "toupper" => Value::Text(first.text().to_ascii_uppercase()),
            "tolower" => Value::Text(first.text().to_ascii_lowercase()),
            "int" => Value::Number(first.number().trunc()),
            "index" => {
                let wanted = values.get(1).map_or(String::new(), Value::text);
                Value::Number(first.text().find(&wanted).map_or(0, |at| at + 1) as f64)
            }
            _ => Value::Text(substr(&first.text(), &values)),
        })
    }

    /// `split`: the pieces become the array's elements from 1 on.
    fn split(&mut self, text: &str, array: &str, separator: Option<&Expr>) -> Result<Value, Wrong> {
        let pieces: Vec<String> = match separator {
            Some(Expr::Regex(_)) if text.is_empty() => Vec::new(),
            Some(Expr::Regex(pattern)) => pattern.split(text).map(str::to_owned).collect(),
            Some(other) => split(text, &self.value(other)?.text())?,
            None => split(text, &self.variable("FS").text())?,
        };
        let count = pieces.len();
        self.arrays.remove(array);
        for (at, piece) in pieces.iter().enumerate() {
            *self.element(array, &(at + 1).to_string()) = Value::of_input(piece);
        }
        Ok(Value::Number(count as f64))
    }

    /// `sub` and `gsub`: how many were replaced.
    fn substitute(
        &mut self,
        all: bool,
        pattern: &Expr,
        (replacement, place): (&Expr, &Expr),
    ) -> Result<Value, Wrong> {
        let pattern = self.pattern(pattern)?;
        let replacement = self.value(replacement)?.text();
        let text = self.value(place)?.text();
        let (mut out, mut from, mut count) = (String::new(), 0, 0);
        for found in pattern.find_iter(&text).take(if all { usize::MAX } else { 1 }) {
            out += &text[from..found.start()];
            out += &replaced(&replacement, found.as_str());
            from = found.end();
            count += 1;
        }
        out += &text[from..];
        self.worked(out.len());
        if out.len() > TEXT_MAX {
            return Err(Wrong::NotSimulated("texts this long".to_owned()));
        }
        if count > 0 {
            self.assign(place, Value::Text(out))?;
        }
        Ok(Value::Number(f64::from(count)))
    }
}
