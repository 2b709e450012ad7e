//! `awk` as mawk 1.3.4 runs it, which Debian installs: patterns and actions over lines and fields. Functions of one's own,
//! `getline`, and output to files and programs are refused by name.

mod expression;
mod format;
mod lexer;
mod parse;
mod run;
mod texts;
mod value;

use super::out::{Out, refuse};
use super::{Command, Context};
use run::Run;

const USAGE: &str = include_str!("../usage/mawk.txt");

/// Why a program does not run, or stops.
#[derive(Debug)]
pub(super) enum Wrong {
    /// A mistake at a line, before this token.
    Syntax(usize, String),
    /// In other words of the program's.
    Said(String),
    /// A mistake that shows while it runs.
    Run(String),
    /// Part of the language, and not simulated.
    NotSimulated(String),
}

impl Wrong {
    fn text(&self, program: &str, (file, fnr, nr): (&str, u64, u64)) -> String {
        match self {
            Self::Syntax(line, near) => format!("{program}: line {line}: syntax error at or near {near}\n"),
            Self::Said(text) => format!("{program}: {text}\n"),
            Self::Run(text) => {
                format!("{program}: run time error: {text}\n\tFILENAME=\"{file}\" FNR={fnr} NR={nr}\n")
            }
            Self::NotSimulated(what) => format!("awk: not simulated: {what}\n"),
        }
    }
}

/// `awk`.
pub(super) fn awk(context: &Context<'_>, program: &str, words: &[String]) -> Command {
    let mut words = words.iter().peekable();
    let (mut separator, mut assigned, mut programs) = (None, Vec::new(), Vec::<String>::new());
    while let Some(word) = words.next_if(|word| word.starts_with('-') && word.len() > 1) {
        if word == "--" {
            break;
        }
        let (letter, joined) = word[1..].split_at(word[1..].chars().next().map_or(0, char::len_utf8));
        if !matches!(letter, "F" | "v" | "f") {
            return refuse(format!("awk: not simulated: {word}\n"), 2);
        }
        let argument = if joined.is_empty() { words.next().cloned() } else { Some(joined.to_owned()) };
        let Some(argument) = argument else {
            return refuse(format!("{program}: option requires an argument -- {letter}\n"), 2);
        };
        match letter {
            "F" => separator = Some(escaped(&argument)),
            "v" => match argument.split_once('=') {
                Some((name, value)) => assigned.push((name.to_owned(), escaped(value))),
                None => return refuse(format!("{program}: improper assignment: -v {argument}\n"), 2),
            },
            _ => {
                let Some(text) = (context.files)(&argument) else {
                    let text = format!("{program}: cannot open {argument} (No such file or directory)\n");
                    return refuse(text, 2);
                };
                programs.push(text);
            }
        }
    }
    if programs.is_empty() {
        match words.next() {
            Some(text) => programs.push(text.clone()),
            None => return refuse(USAGE, 2),
        }
    }
    let rules = match parse::parse(&programs.join("\n")) {
        Ok(rules) => rules,
        Err(wrong) => return refuse(wrong.text(program, ("", 0, 0)), 2),
    };
    let mut run = Run::new(context, separator, assigned);
    let operands: Vec<&String> = words.collect();
    let mut out = Out::default();
    let status = match run.all(&rules, &operands) {
        Ok(status) => status,
        Err(wrong) => {
            out.out(std::mem::take(&mut run.output));
            out.err(wrong.text(program, (&run.file, run.fnr, run.nr)));
            return out.done(2);
        }
    };
    out.out(run.output);
    out.err(run.complaints);
    out.done(status)
}

/// Escapes in values of the command line.
fn escaped(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\")
}
