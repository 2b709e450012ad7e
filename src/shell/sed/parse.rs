//! Scripts of `sed` (`compile.c`).

use crate::shell::posix_regex::{Unusable, compiled, translated};
use regex_lite::{Regex, RegexBuilder};

/// A command with its addresses.
#[derive(Debug)]
pub(super) struct Step {
    /// Tells it from the others.
    pub(super) id: usize,
    pub(super) from: Option<Address>,
    pub(super) to: Option<Address>,
    /// `!`.
    pub(super) negated: bool,
    pub(super) op: Op,
}

#[derive(Debug)]
pub(super) enum Address {
    Line(usize),
    /// `$`.
    Last,
    Regex(Regex),
    /// `FIRST~STEP`.
    Step(usize, usize),
    /// `,+N`: so many lines more.
    Plus(usize),
    /// `,~N`: to the next line whose number is a multiple.
    Multiple(usize),
}

#[derive(Debug)]
pub(super) enum Op {
    Block(Vec<Step>),
    Delete,
    Print,
    /// `=`.
    Number,
    /// `q` and `Q`: the status, and whether the line is printed before.
    Quit(u8, bool),
    Append(String),
    Insert(String),
    Change(String),
    Next,
    Translate(Vec<(char, char)>),
    Substitute(Box<Substitution>),
}

/// `s/…/…/`.
#[derive(Debug)]
pub(super) struct Substitution {
    pub(super) pattern: Regex,
    pub(super) replacement: Vec<Part>,
    /// The first match that is replaced, counted from 1.
    pub(super) first: usize,
    /// Whether those after it are, too.
    pub(super) all: bool,
    pub(super) prints: bool,
}

/// A piece of a replacement.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    /// What a group found; 0 for all.
    Group(usize),
}

/// How deep blocks nest at most.
const DEPTH_MAX: u32 = 32;

/// Reads scripts, each the value of one `-e`.
pub(super) fn parse(scripts: &[String], extended: bool) -> Result<Vec<Step>, String> {
    let text = scripts.join("\n");
    let mut parser = Parser {
        letters: text.chars().collect(),
        at: 0,
        extended,
        ids: 0,
        depth: 0,
        starts: starts(scripts),
    };
    let steps = parser.steps()?;
    if parser.peek().is_none() {
        return Ok(steps);
    }
    parser.at += 1;
    Err(parser.wrong("unexpected `}'"))
}

/// Where each script begins in all of them.
fn starts(scripts: &[String]) -> Vec<usize> {
    let mut at = 0;
    scripts
        .iter()
        .map(|script| {
            let start = at;
            at += script.chars().count() + 1;
            start
        })
        .collect()
}

struct Parser {
    letters: Vec<char>,
    at: usize,
    extended: bool,
    ids: usize,
    depth: u32,
    starts: Vec<usize>,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek();
        self.at += usize::from(letter.is_some());
        letter
    }

    fn next_if(&mut self, wanted: char) -> bool {
        let is_it = self.peek() == Some(wanted);
        self.at += usize::from(is_it);
        is_it
    }

    fn skip(&mut self, letters: &str) {
        while self.peek().is_some_and(|letter| letters.contains(letter)) {
            self.at += 1;
        }
    }

    /// A message about what was read last.
    fn wrong(&self, what: &str) -> String {
        self.wrong_at(self.at, what)
    }

    fn wrong_at(&self, at: usize, what: &str) -> String {
        let number = self.starts.iter().rposition(|start| *start < at.max(1)).unwrap_or(0);
        format!("sed: -e expression #{}, char {}: {what}\n", number + 1, at - self.starts[number])
    }

    fn number(&mut self) -> Option<usize> {
        let mut digits = String::new();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.at += 1;
        }
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX).min(usize::MAX / 2))
    }

    /// Commands up to the end or a closing brace.
    fn steps(&mut self) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        loop {
            self.skip(" \t\n;");
            match self.peek() {
                None | Some('}') => return Ok(steps),
                Some('#') => {
                    while self.peek().is_some_and(|letter| letter != '\n') {
                        self.at += 1;
                    }
                }
                Some(_) => steps.push(self.step()?),
            }
        }
    }

    fn step(&mut self) -> Result<Step, String> {
        let from = self.address(false)?;
        let mut to = None;
        self.skip(" \t");
        if from.is_some() && self.next_if(',') {
            self.skip(" \t");
            to = self.address(true)?;
            if to.is_none() {
                self.at += 1;
                return Err(self.wrong("unexpected `,'"));
            }
        } else if self.next_if(',') {
            return Err(self.wrong("unexpected `,'"));
        }
        if matches!(from, Some(Address::Line(0))) && !matches!(to, Some(Address::Regex(_))) {
            self.at += 1;
            return Err(self.wrong("invalid usage of line address 0"));
        }
        self.skip(" \t");
        let negated = self.next_if('!');
        self.skip(" \t");
        if negated && self.next_if('!') {
            return Err(self.wrong("multiple `!'s"));
        }
        self.ids += 1;
        let id = self.ids;
        let op = self.op()?;
        Ok(Step { id, from, to, negated, op })
    }

    fn address(&mut self, is_second: bool) -> Result<Option<Address>, String> {
        match self.peek() {
            Some('0'..='9') => {
                let first = self.number().unwrap_or(0);
                if !is_second && self.next_if('~') {
                    return Ok(Some(Address::Step(first, self.number().unwrap_or(0))));
                }
                Ok(Some(Address::Line(first)))
            }
            Some('$') => {
                self.at += 1;
                Ok(Some(Address::Last))
            }
            Some('+') if is_second => {
                self.at += 1;
                Ok(Some(Address::Plus(self.number().unwrap_or(0))))
            }
            Some('~') if is_second => {
                self.at += 1;
                Ok(Some(Address::Multiple(self.number().unwrap_or(0))))
            }
            Some('/' | '\\') => {
                let mark = match self.next() {
                    Some('\\') => self.next().unwrap_or('/'),
                    _ => '/',
                };
                let Some(pattern) = self.delimited(mark, true) else {
                    return Err(self.wrong("unterminated address regex"));
                };
                let ignores_case = self.next_if('I');
                self.regex(&pattern, ignores_case).map(|pattern| Some(Address::Regex(pattern)))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Text up to the mark, which stands for itself behind a backslash (`match_slash`). Line breaks and tabs may be
    /// written as `\n` and `\t` in an expression.
    fn delimited(&mut self, mark: char, is_regex: bool) -> Option<String> {
        let mut out = String::new();
        while let Some(letter) = self.next() {
            match letter {
                letter if letter == mark => return Some(out),
                '\n' if is_regex => return None,
                '\\' => match self.next()? {
                    next if next == mark => out.push(next),
                    'n' if is_regex => out.push('\n'),
                    't' if is_regex => out.push('\t'),
                    next => out.extend(['\\', next]),
                },
                letter => out.push(letter),
            }
        }
        None
    }

    fn regex(&self, pattern: &str, ignores_case: bool) -> Result<Regex, String> {
        if pattern.is_empty() {
            return Err("sed: not simulated: an empty regular expression\n".to_owned());
        }
        let built = translated(pattern, self.extended).and_then(|text| {
            if !ignores_case {
                return compiled(&text);
            }
            let built = RegexBuilder::new(&text).case_insensitive(true).build();
            built.map_err(|_| Unusable::Wrong("Invalid regular expression"))
        });
        built.map_err(|why| match why {
            Unusable::Wrong(text) => self.wrong(text),
            Unusable::Unsimulated(what) => format!("sed: not simulated: {what}\n"),
        })
    }

    fn op(&mut self) -> Result<Op, String> {
        let Some(letter) = self.next() else { return Err(self.wrong("missing command")) };
        let op = match letter {
            '{' => return self.block(),
            's' => return self.substitution(),
            'y' => self.translation()?,
            'a' | 'i' | 'c' => return self.text(letter),
            'd' => Op::Delete,
            'p' => Op::Print,
            '=' => Op::Number,
            'n' => Op::Next,
            'q' | 'Q' => {
                self.skip(" \t");
                Op::Quit(self.number().unwrap_or(0) as u8, letter == 'q')
            }
            'b' | 't' | 'T' | ':' | 'D' | 'G' | 'g' | 'H' | 'h' | 'x' | 'N' | 'P' | 'l' | 'r' | 'R' | 'w'
            | 'W' | 'e' | 'F' | 'z' | 'v' => {
                return Err(format!("sed: not simulated: the command {letter}\n"));
            }
            '}' => return Err(self.wrong("unexpected `}'")),
            other => return Err(self.wrong(&format!("unknown command: `{other}'"))),
        };
        self.end_of_command()?;
        Ok(op)
    }

    fn end_of_command(&mut self) -> Result<(), String> {
        self.skip(" \t\r");
        match self.peek() {
            None | Some('\n' | ';' | '}' | '#') => Ok(()),
            Some(_) => {
                self.at += 1;
                Err(self.wrong("extra characters after command"))
            }
        }
    }

    fn block(&mut self) -> Result<Op, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("sed: not simulated: blocks nested more than {DEPTH_MAX} times\n"));
        }
        let steps = self.steps()?;
        self.depth -= 1;
        if !self.next_if('}') {
            return Err(self.wrong_at(0, "unmatched `{'"));
        }
        self.end_of_command()?;
        Ok(Op::Block(steps))
    }

    /// The text of `a`, `i` and `c`: in the same line, or behind a backslash in the next one.
    fn text(&mut self, letter: char) -> Result<Op, String> {
        self.skip(" \t");
        if self.next_if('\\') {
            let before = self.at;
            self.skip(" \t");
            // Behind a backslash in the same line blanks belong to the text.
            if !self.next_if('\n') {
                self.at = before;
            }
        }
        if self.peek().is_none() {
            return Err(self.wrong("expected \\ after `a', `c' or `i'"));
        }
        let mut out = String::new();
        while let Some(letter) = self.next() {
            match letter {
                '\n' => break,
                '\\' => out.extend(self.next()),
                letter => out.push(letter),
            }
        }
        out.push('\n');
        Ok(match letter {
            'a' => Op::Append(out),
            'i' => Op::Insert(out),
            _ => Op::Change(out),
        })
    }

    fn translation(&mut self) -> Result<Op, String> {
        const UNTERMINATED: &str = "unterminated `y' command";
        let mark = self.next().ok_or_else(|| self.wrong(UNTERMINATED))?;
        let from = self.delimited(mark, true).ok_or_else(|| self.wrong(UNTERMINATED))?;
        let to = self.delimited(mark, true).ok_or_else(|| self.wrong(UNTERMINATED))?;
        let plain = |text: &str| text.replace("\\\\", "\\").chars().collect::<Vec<char>>();
        let (from, to) = (plain(&from), plain(&to));
        if from.len() != to.len() {
            return Err(self.wrong("strings for `y' command are different lengths"));
        }
        Ok(Op::Translate(from.into_iter().zip(to).collect()))
    }

    fn substitution(&mut self) -> Result<Op, String> {
        const UNTERMINATED: &str = "unterminated `s' command";
        let mark = self.next().ok_or_else(|| self.wrong(UNTERMINATED))?;
        let pattern = self.delimited(mark, true).ok_or_else(|| self.wrong(UNTERMINATED))?;
        let replacement = self.delimited(mark, false).ok_or_else(|| self.wrong(UNTERMINATED))?;
        let (mut first, mut all, mut prints, mut ignores_case) = (1, false, false, false);
        loop {
            match self.peek() {
                Some('g') => all = true,
                Some('p') => prints = true,
                Some('i' | 'I') => ignores_case = true,
                Some('1'..='9') => {
                    first = self.number().unwrap_or(1);
                    continue;
                }
                Some('0') => {
                    self.at += 1;
                    return Err(self.wrong("number option to `s' command may not be zero"));
                }
                Some(flag @ ('e' | 'w' | 'm' | 'M')) => {
                    return Err(format!("sed: not simulated: the flag {flag} of s\n"));
                }
                None | Some('\n' | ';' | '}' | '#' | ' ' | '\t' | '\r') => break,
                Some(_) => {
                    self.at += 1;
                    return Err(self.wrong("unknown option to `s'"));
                }
            }
            self.at += 1;
        }
        self.end_of_command()?;
        let pattern = self.regex(&pattern, ignores_case)?;
        let replacement = self.replacement(&replacement, pattern.captures_len() - 1)?;
        Ok(Op::Substitute(Box::new(Substitution { pattern, replacement, first, all, prints })))
    }

    /// The pieces of a replacement (`setup_replacement`).
    fn replacement(&self, text: &str, groups: usize) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let group = match letter {
                '&' => 0,
                '\\' => match letters.next() {
                    Some(digit @ '0'..='9') => digit as usize - '0' as usize,
                    Some('n') => {
                        plain.push('\n');
                        continue;
                    }
                    Some('t') => {
                        plain.push('\t');
                        continue;
                    }
                    Some(case @ ('L' | 'U' | 'l' | 'u' | 'E')) => {
                        return Err(format!("sed: not simulated: \\{case} in a replacement\n"));
                    }
                    other => {
                        plain.extend(other);
                        continue;
                    }
                },
                letter => {
                    plain.push(letter);
                    continue;
                }
            };
            if group > groups {
                return Err(self.wrong(&format!("invalid reference \\{group} on `s' command's RHS")));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Group(group));
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(parts)
    }
}
