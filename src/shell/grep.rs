//! `grep` of GNU grep 3.8, without `-P`, `-r` and back-references.

use super::getopt::getopt;
use super::out::{Out, not_simulated, refuse};
use super::posix_regex::{Unusable, compiled, translated};
use super::{Command, Context};
use regex_lite::Regex;

const USAGE: &str = "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n";

/// Long options and the letters they stand for; `=` is behind those that take a value.
const LONG: [(&str, char); 24] = [
    ("ignore-case", 'i'),
    ("invert-match", 'v'),
    ("word-regexp", 'w'),
    ("line-regexp", 'x'),
    ("count", 'c'),
    ("line-number", 'n'),
    ("only-matching", 'o'),
    ("quiet", 'q'),
    ("silent", 'q'),
    ("no-messages", 's'),
    ("extended-regexp", 'E'),
    ("fixed-strings", 'F'),
    ("basic-regexp", 'G'),
    ("with-filename", 'H'),
    ("no-filename", 'h'),
    ("files-with-matches", 'l'),
    ("files-without-match", 'L'),
    ("regexp", 'e'),
    ("max-count", 'm'),
    ("after-context", 'A'),
    ("before-context", 'B'),
    ("context", 'C'),
    ("color", '-'),
    ("colour", '-'),
];

/// What the options ask for.
#[derive(Default)]
struct Asked {
    letters: String,
    patterns: Vec<String>,
    most: Option<usize>,
    before: usize,
    after: usize,
}

impl Asked {
    fn has(&self, letter: char) -> bool {
        self.letters.contains(letter)
    }
}

/// Runs `grep`.
pub(super) fn grep(context: &Context<'_>, words: &[String]) -> Command {
    let (asked, files) = match read(words) {
        Ok(read) => read,
        Err(command) => return command,
    };
    let search = match Search::new(&asked) {
        Ok(search) => search,
        Err(Unusable::Wrong(text)) => return refuse(format!("grep: {text}\n"), 2),
        Err(Unusable::Unsimulated(what)) => {
            let (text, status) = not_simulated("grep", what);
            return refuse(text, status);
        }
    };
    let named = (files.len() > 1 || asked.has('H')) && !asked.has('h');
    let files = if files.is_empty() { vec!["-".to_owned()] } else { files };
    let mut out = Out::default();
    let (mut found, mut failed) = (false, false);
    for file in &files {
        let text = match (context.files)(file) {
            Some(text) => text,
            None if file == "-" => context.input.unwrap_or("").to_owned(),
            None => {
                failed = true;
                if !asked.has('s') {
                    out.err(format!("grep: {file}: No such file or directory\n"));
                }
                continue;
            }
        };
        let name = if file == "-" { "(standard input)" } else { file };
        let (lines, any) = one(&asked, &search, &text, if named { Some(name) } else { None }, name);
        found |= any;
        out.out(lines);
        if any && asked.has('q') {
            return out.done(0);
        }
    }
    out.done(if failed { 2 } else { u8::from(!found) })
}

/// What is printed of one text, and whether a line was selected.
fn one(asked: &Asked, search: &Search, text: &str, prefix: Option<&str>, name: &str) -> (String, bool) {
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let lines = if text.is_empty() { Vec::new() } else { lines };
    let selected = lines.iter().enumerate().filter(|(_, line)| search.fits(line) != asked.has('v'));
    let selected: Vec<usize> =
        selected.map(|(index, _)| index).take(asked.most.unwrap_or(usize::MAX)).collect();
    let any = !selected.is_empty();
    let mut out = String::new();
    let head = prefix.map_or_else(String::new, |name| format!("{name}:"));
    if asked.has('l') || asked.has('L') {
        // Which of them is named is what the status tells as well.
        let told = any == asked.has('l');
        return (if told { format!("{name}\n") } else { out }, told);
    }
    if asked.has('q') {
        return (out, any);
    }
    if asked.has('c') {
        return (format!("{head}{}\n", selected.len()), any);
    }
    let line_of = |index: usize, line: &str, mark: char| {
        let name = prefix.map_or_else(String::new, |name| format!("{name}{mark}"));
        let number = if asked.has('n') { format!("{}{mark}", index + 1) } else { String::new() };
        format!("{name}{number}{line}\n")
    };
    if asked.has('o') {
        let parts = selected.iter().filter(|_| !asked.has('v'));
        for (index, part) in
            parts.flat_map(|&at| search.parts(lines[at]).into_iter().map(move |part| (at, part)))
        {
            out += &line_of(index, part, ':');
        }
        return (out, any);
    }
    let mut next = 0;
    let mut is_first = true;
    for (order, &at) in selected.iter().enumerate() {
        let from = at.saturating_sub(asked.before).max(next);
        if !is_first && from > next && asked.before + asked.after > 0 {
            out.push_str("--\n");
        }
        is_first = false;
        for (index, line) in lines.iter().enumerate().take(at).skip(from) {
            out += &line_of(index, line, '-');
        }
        out += &line_of(at, lines[at], ':');
        let until = selected.get(order + 1).copied().unwrap_or(lines.len()).min(at + 1 + asked.after);
        for (index, line) in lines.iter().enumerate().take(until).skip(at + 1) {
            out += &line_of(index, line, '-');
        }
        next = until.max(at + 1);
    }
    (out, any)
}

/// The expressions to look for.
struct Search {
    /// Whether a line is selected.
    line: Regex,
    /// The parts of it that match, in group 1.
    part: Regex,
}

impl Search {
    fn new(asked: &Asked) -> Result<Self, Unusable> {
        let fixed = asked.has('F');
        let each = asked.patterns.iter().flat_map(|pattern| pattern.split('\n'));
        let texts: Result<Vec<String>, Unusable> =
            each.map(|pattern| {
                if fixed { Ok(regex_lite::escape(pattern)) } else { translated(pattern, asked.has('E')) }
            })
            .collect();
        let all = texts?.iter().map(|text| format!("(?:{text})")).collect::<Vec<_>>().join("|");
        let flags = if asked.has('i') { "(?i)" } else { "" };
        let (line, part) = if asked.has('x') {
            (format!("{flags}^(?:{all})$"), format!("{flags}^({all})$"))
        } else if asked.has('w') {
            let around = |group: &str| format!(r"{flags}(?:^|\W)({group}{all})(?:\W|$)");
            (around("?:"), around(""))
        } else {
            (format!("{flags}(?:{all})"), format!("{flags}({all})"))
        };
        Ok(Self { line: compiled(&line)?, part: compiled(&part)? })
    }

    fn fits(&self, line: &str) -> bool {
        self.line.is_match(line)
    }

    /// The parts of a line that match, none of them empty.
    fn parts<'a>(&self, line: &'a str) -> Vec<&'a str> {
        let mut out = Vec::new();
        let mut from = 0;
        while from <= line.len() {
            let Some(found) = self.part.captures_at(line, from).and_then(|groups| groups.get(1)) else {
                break;
            };
            if !found.is_empty() {
                out.push(found.as_str());
            }
            let step = line[found.end()..].chars().next().map_or(1, char::len_utf8);
            from = if found.is_empty() { found.end() + step } else { found.end() };
        }
        out
    }
}

/// Reads the options; the files follow.
fn read(words: &[String]) -> Result<(Asked, Vec<String>), Command> {
    let wrong = |text: String| refuse(text + USAGE, 2);
    let mut asked = Asked::default();
    let mut short = Vec::new();
    for word in words {
        let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) else {
            short.push(word.clone());
            continue;
        };
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let Some((_, letter)) = LONG.iter().find(|(known, _)| known.starts_with(name)) else {
            return Err(wrong(format!("grep: unrecognized option '{word}'\n")));
        };
        set(&mut asked, *letter, value.unwrap_or_default())?;
    }
    let parsed = getopt("icvqnoEFGwxhHlLse:m:A:B:C:", &short);
    let parsed = parsed.map_err(|text| wrong(format!("grep: {text}\n")))?;
    for (letter, value) in &parsed.options {
        set(&mut asked, *letter, value)?;
    }
    let mut operands = parsed.operands;
    if asked.patterns.is_empty() {
        if operands.is_empty() {
            return Err(refuse(USAGE, 2));
        }
        asked.patterns.push(operands.remove(0));
    }
    Ok((asked, operands))
}

fn set(asked: &mut Asked, letter: char, value: &str) -> Result<(), Command> {
    let context = || {
        let wrong = |_| refuse(format!("grep: {value}: invalid context length argument\n"), 2);
        value.parse::<usize>().map_err(wrong)
    };
    match letter {
        'e' => asked.patterns.push(value.to_owned()),
        'm' => {
            asked.most = Some(value.parse().map_err(|_| refuse("grep: invalid max count\n", 2))?);
        }
        'A' => asked.after = context()?,
        'B' => asked.before = context()?,
        'C' => {
            asked.before = context()?;
            asked.after = asked.before;
        }
        letter => asked.letters.push(letter),
    }
    Ok(())
}
