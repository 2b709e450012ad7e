//! `sed` of GNU sed 4.9: `s`, `y`, `p`, `d`, `q`, `=`, `n`, `a`, `i`, `c` and blocks, with addresses; other commands are
//! refused by name.

mod parse;

use super::out::{Out, refuse};
use super::{Command, Context, KernelChange};
use parse::{Address, Op, Step, Substitution};
use std::fmt::Write as _;

const USAGE: &str = include_str!("usage/sed.txt");

/// What the options ask for.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
struct Asked {
    quiet: bool,
    extended: bool,
    in_place: bool,
    separate: bool,
    scripts: Vec<String>,
    files: Vec<String>,
}

/// `sed`.
pub(super) fn sed(context: &Context<'_>, words: &[String]) -> Command {
    let asked = match read(context, words) {
        Ok(asked) => asked,
        Err(command) => return command,
    };
    let steps = match parse::parse(&asked.scripts, asked.extended) {
        Ok(steps) => steps,
        Err(text) => return refuse(text, 1),
    };
    let mut run =
        Run { steps: &steps, quiet: asked.quiet, out: String::new(), is_open: Vec::new(), number: 0 };
    let (mut out, mut status, mut changes) = (Out::default(), 0, Vec::new());
    let files = if asked.files.is_empty() { vec!["-".to_owned()] } else { asked.files.clone() };
    let mut texts = Vec::new();
    for file in &files {
        let Some(text) = text_of(context, file) else {
            out.err(format!("sed: can't read {file}: No such file or directory\n"));
            status = 2;
            continue;
        };
        texts.push((file, text));
    }
    if !asked.in_place && !asked.separate {
        // The last line is that of the last file. A file without a newline at its end gets one before the next.
        let joined = texts.iter().enumerate().map(|(at, (_, text))| {
            let is_last = at + 1 == texts.len();
            if is_last || text.is_empty() || text.ends_with('\n') {
                text.clone()
            } else {
                format!("{text}\n")
            }
        });
        let ended = run.text(&joined.collect::<String>());
        out.out(run.out);
        return out.done(ended.unwrap_or(status));
    }
    for (file, text) in texts {
        if asked.in_place {
            run.number = 0;
        }
        let ended = run.text(&text);
        let written = std::mem::take(&mut run.out);
        if asked.in_place {
            changes.push(KernelChange::Write(file.clone(), written.into()));
        } else {
            out.out(written);
        }
        if let Some(ended) = ended {
            status = ended;
            break;
        }
    }
    Command::Change { changes, output: out.into_pieces(), status }
}

fn text_of(context: &Context<'_>, file: &str) -> Option<String> {
    if file == "-" { Some(context.input.unwrap_or("").to_owned()) } else { (context.files)(file) }
}

/// Reads the command line.
fn read(context: &Context<'_>, words: &[String]) -> Result<Asked, Command> {
    let mut asked = Asked::default();
    let mut operands = Vec::new();
    let (mut words, mut has_script) = (words.iter(), false);
    while let Some(word) = words.next() {
        let long = match word.as_str() {
            "--quiet" | "--silent" => "-n",
            "--regexp-extended" => "-E",
            "--in-place" => "-i",
            "--separate" => "-s",
            "--version" => {
                let mut out = Out::default();
                out.out("sed (GNU sed) 4.9\n");
                return Err(out.done(0));
            }
            other => other.strip_prefix("--expression=").map_or(other, |_| "-e"),
        };
        let Some(letters) = long.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            operands.push(word.clone());
            continue;
        };
        if letters == "-" {
            operands.extend(words.by_ref().cloned());
            break;
        }
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            match letter {
                'n' => asked.quiet = true,
                'E' | 'r' => asked.extended = true,
                's' => asked.separate = true,
                'u' => {}
                'i' if rest.as_str().is_empty() => asked.in_place = true,
                'e' | 'f' => {
                    let joined = word.strip_prefix("--expression=").unwrap_or(rest.as_str()).to_owned();
                    let argument = if joined.is_empty() { words.next().cloned() } else { Some(joined) };
                    let Some(argument) = argument else {
                        let text = format!("sed: option requires an argument -- '{letter}'\n{USAGE}");
                        return Err(refuse(text, 1));
                    };
                    let script =
                        if letter == 'e' { Some(argument.clone()) } else { text_of(context, &argument) };
                    let Some(script) = script else {
                        let text = format!("sed: couldn't open file {argument}: No such file or directory\n");
                        return Err(refuse(text, 1));
                    };
                    asked.scripts.push(script.strip_suffix('\n').unwrap_or(&script).to_owned());
                    has_script = true;
                    break;
                }
                'i' | 'l' | 'z' | '-' => {
                    return Err(refuse(format!("sed: not simulated: {word}\n"), 1));
                }
                other => return Err(refuse(format!("sed: invalid option -- '{other}'\n{USAGE}"), 1)),
            }
        }
    }
    let mut operands = operands.into_iter();
    if !has_script {
        let Some(script) = operands.next() else { return Err(refuse(USAGE, 1)) };
        asked.scripts.push(script);
    }
    asked.files = operands.collect();
    Ok(asked)
}

/// A script at work.
struct Run<'a> {
    steps: &'a [Step],
    quiet: bool,
    out: String,
    /// Ranges that have begun, by the address of their step, and the line at which they end if that is known.
    is_open: Vec<(usize, Option<usize>)>,
    /// Number of the line.
    number: usize,
}

/// How a line's cycle ended.
enum Ended {
    /// At the end of the script.
    Whole,
    /// Before, and the line is not printed (`d`).
    Deleted,
    /// The program ends with this status (`q`, `Q`); whether the line is printed before.
    Quit(u8, bool),
}

/// The lines of a text that are still to come.
struct Lines<'a> {
    rest: Vec<&'a str>,
    /// Whether the last one lacks its newline.
    is_cut: bool,
}

impl Lines<'_> {
    fn is_last(&self) -> bool {
        self.rest.is_empty()
    }

    /// What stands behind the current line.
    fn end(&self) -> &'static str {
        if self.is_cut && self.is_last() { "" } else { "\n" }
    }
}

impl Run<'_> {
    /// Runs the script over a text; the status where the script ended the program.
    fn text(&mut self, text: &str) -> Option<u8> {
        let is_cut = !text.is_empty() && !text.ends_with('\n');
        let body = text.strip_suffix('\n').unwrap_or(text);
        let mut rest: Vec<&str> = if text.is_empty() { Vec::new() } else { body.split('\n').collect() };
        rest.reverse();
        let mut lines = Lines { rest, is_cut };
        while let Some(line) = lines.rest.pop() {
            self.number += 1;
            let mut line = line.to_owned();
            let mut after = String::new();
            let steps = self.steps;
            let ended = self.cycle(steps, &mut line, (&mut lines, &mut after));
            let prints = match ended {
                Ended::Whole => true,
                Ended::Deleted => false,
                Ended::Quit(_, prints) => prints,
            };
            if prints && !self.quiet {
                self.out += &line;
                self.out += lines.end();
            }
            self.append(&after);
            if let Ended::Quit(status, _) = ended {
                return Some(status);
            }
        }
        None
    }

    /// Text for behind the line (`a`).
    fn append(&mut self, after: &str) {
        if !after.is_empty() && !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.out += after;
    }

    fn cycle(
        &mut self,
        steps: &[Step],
        line: &mut String,
        (lines, after): (&mut Lines<'_>, &mut String),
    ) -> Ended {
        for step in steps {
            if self.selects(step, line, lines) == step.negated {
                continue;
            }
            match &step.op {
                Op::Block(inner) => match self.cycle(inner, line, (lines, after)) {
                    Ended::Whole => {}
                    ended @ (Ended::Deleted | Ended::Quit(..)) => return ended,
                },
                Op::Delete => return Ended::Deleted,
                Op::Print => {
                    self.out += line;
                    // What is printed twice has its newline between.
                    self.out.push('\n');
                }
                Op::Number => {
                    let _ = writeln!(self.out, "{}", self.number);
                }
                Op::Quit(status, prints) => return Ended::Quit(*status, *prints),
                Op::Append(text) => *after += text,
                Op::Insert(text) => self.out += text,
                Op::Change(text) => {
                    let last_of_range = step.to.is_none() || step.negated || !self.is_within(step);
                    if last_of_range {
                        self.out += text;
                    }
                    return Ended::Deleted;
                }
                Op::Next => {
                    if lines.is_last() {
                        // GNU prints the line where there is no next one.
                        return Ended::Quit(0, true);
                    }
                    if !self.quiet {
                        self.out += line;
                        self.out.push('\n');
                    }
                    let text = std::mem::take(after);
                    self.append(&text);
                    lines.rest.pop().unwrap_or_default().clone_into(line);
                    self.number += 1;
                }
                Op::Translate(pairs) => {
                    let put = |letter: char| {
                        pairs.iter().find(|(from, _)| *from == letter).map_or(letter, |(_, to)| *to)
                    };
                    *line = line.chars().map(put).collect();
                }
                Op::Substitute(how) => {
                    if let Some(new) = how.apply(line) {
                        *line = new;
                        if how.prints {
                            self.out += line;
                            self.out.push('\n');
                        }
                    }
                }
            }
        }
        Ended::Whole
    }

    fn is_within(&self, step: &Step) -> bool {
        self.is_open.iter().any(|(id, _)| *id == step.id)
    }

    /// Whether a step's addresses select this line (`match_address_p`).
    fn selects(&mut self, step: &Step, line: &str, lines: &Lines<'_>) -> bool {
        let Some(from) = &step.from else { return true };
        let Some(to) = &step.to else { return self.is_at(from, line, lines) };
        if let Some(at) = self.is_open.iter().position(|(id, _)| *id == step.id) {
            let (is_over, is_in) = match (to, self.is_open[at].1) {
                (_, Some(end)) => (self.number >= end, self.number <= end),
                (to, None) => (self.is_at(to, line, lines), true),
            };
            if is_over {
                self.is_open.remove(at);
            }
            // A range that ended before this line may begin anew with it.
            return is_in || self.is_at(from, line, lines);
        }
        let is_zero = matches!(from, Address::Line(0)) && self.number == 1;
        if !is_zero && !self.is_at(from, line, lines) {
            return false;
        }
        let end = match to {
            Address::Line(end) => Some(*end),
            Address::Plus(count) => Some(self.number + count),
            Address::Multiple(count) => Some(self.number.next_multiple_of((*count).max(1))),
            Address::Last | Address::Regex(_) | Address::Step(..) => None,
        };
        let ends_here = match end {
            Some(end) => end <= self.number,
            // The end of a range is looked for from the next line on, but for `0,/re/` and the last line.
            None => (is_zero || matches!(to, Address::Last)) && self.is_at(to, line, lines),
        };
        if !ends_here {
            self.is_open.push((step.id, end));
        }
        true
    }

    fn is_at(&self, address: &Address, line: &str, lines: &Lines<'_>) -> bool {
        match address {
            Address::Line(number) => self.number == *number,
            Address::Last => lines.is_last(),
            Address::Regex(pattern) => pattern.is_match(line),
            Address::Step(first, step) => {
                if *step == 0 {
                    self.number == *first
                } else {
                    self.number >= *first && (self.number - first).is_multiple_of(*step)
                }
            }
            Address::Plus(_) | Address::Multiple(_) => false,
        }
    }
}

impl Substitution {
    /// The line with what was found replaced; `None` where nothing was.
    fn apply(&self, line: &str) -> Option<String> {
        let (mut out, mut from, mut any) = (String::new(), 0, false);
        for (at, groups) in self.pattern.captures_iter(line).enumerate() {
            if at + 1 < self.first {
                continue;
            }
            let Some(whole) = groups.get(0) else { continue };
            out += &line[from..whole.start()];
            for part in &self.replacement {
                match part {
                    parse::Part::Text(text) => out += text,
                    parse::Part::Group(number) => {
                        out += groups.get(*number).map_or("", |group| group.as_str());
                    }
                }
            }
            from = whole.end();
            any = true;
            if !self.all {
                break;
            }
        }
        out += &line[from..];
        any.then_some(out)
    }
}
