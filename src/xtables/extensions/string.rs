//! `-m string`: a packet that holds a text (`libxt_string.c`, `xt_string.c`).

use super::unsigned;
use crate::xtables::matches::Not;
use crate::xtables::matches_parse::required;
use crate::xtables::options::{Given, exclusive, find};
use crate::xtables::parse::Problem;
use std::fmt::Write as _;
use std::sync::Arc;

/// Longest pattern in bytes (`XT_STRING_MAX_PATTERN_SIZE`).
const PATTERN_MAX: usize = 128;

/// How it is looked for. What is found is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Search {
    /// `bm`, that of Boyer and Moore.
    BoyerMoore,
    /// `kmp`, that of Knuth, Morris and Pratt.
    KnuthMorrisPratt,
    /// One that the kernel does not have.
    Unknown(Arc<str>),
}

/// `-m string`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StringMatch {
    /// What is looked for.
    pub pattern: Not<Arc<[u8]>>,
    /// `--algo`.
    pub search: Search,
    /// `--from`: bytes from the beginning of the IP header on before which is not looked.
    pub from: u16,
    /// `--to`: the same, at which the looking ends.
    pub to: u16,
    /// `--icase`: letters of either case are alike.
    pub icase: bool,
}

impl StringMatch {
    pub(super) fn parse(given: &[Given]) -> Result<Self, Problem> {
        let text = exclusive(given, "string", &["--string", "--hex-string"])?;
        let algo = required(given, "string", "--algo")?;
        let option =
            text.ok_or_else(|| Problem::new("STRING match: You must specify `--string' or `--hex-string'"))?;
        let is = if option.name == "--string" { plain(option.text())? } else { hex(option.text())? };
        let offset = |name: &str, none: u16| match find(given, name) {
            Some(option) => {
                let value = unsigned("string", option, u64::from(u16::MAX))?;
                Ok(u16::try_from(value).unwrap_or(none))
            }
            None => Ok(none),
        };
        Ok(Self {
            pattern: Not { negated: option.negated, is },
            search: match algo.text() {
                "bm" => Search::BoyerMoore,
                "kmp" => Search::KnuthMorrisPratt,
                other => Search::Unknown(other.into()),
            },
            from: offset("--from", 0)?,
            to: offset("--to", u16::MAX)?,
            icase: find(given, "--icase").is_some(),
        })
    }

    /// Whether the pattern stands in the bytes of an IP packet (`skb_find_text`).
    pub fn fits(&self, packet: &[u8]) -> bool {
        let (from, to) = (usize::from(self.from), usize::from(self.to).min(packet.len()));
        let pattern = &self.pattern.is;
        let within = packet.get(from..to.max(from)).unwrap_or_default();
        let is_same = |window: &[u8]| {
            if self.icase { window.eq_ignore_ascii_case(pattern) } else { window == &**pattern }
        };
        (!pattern.is_empty() && within.windows(pattern.len()).any(is_same)) != self.pattern.negated
    }

    /// The pattern in quotes: as text, or in hexadecimal where a byte of it cannot be printed.
    fn quoted(&self) -> (String, bool) {
        let pattern = &self.pattern.is;
        let is_hex =
            pattern.iter().any(|byte| !(b' '..=b'~').contains(byte)) || pattern.last() == Some(&b'\\');
        let mut out = String::from("\"");
        if is_hex {
            out += "|";
            for byte in pattern.iter() {
                let _ = write!(out, "{byte:02x}");
            }
            out += "|";
        } else {
            for byte in pattern.iter() {
                if b"\"\\".contains(byte) {
                    out.push('\\');
                }
                out.push(char::from(*byte));
            }
        }
        (out + "\"", is_hex)
    }

    fn algo(&self) -> &str {
        match &self.search {
            Search::BoyerMoore => "bm",
            Search::KnuthMorrisPratt => "kmp",
            Search::Unknown(name) => name,
        }
    }

    pub(super) fn save(&self) -> String {
        let (text, is_hex) = self.quoted();
        let option = if is_hex { "hex-string" } else { "string" };
        let mut out = format!(" {}--{option} {text} --algo {}", self.pattern.bang(), self.algo());
        if self.from != 0 {
            let _ = write!(out, " --from {}", self.from);
        }
        if self.to != u16::MAX {
            let _ = write!(out, " --to {}", self.to);
        }
        if self.icase {
            out += " --icase";
        }
        out
    }

    pub(super) fn list(&self) -> String {
        let (text, _) = self.quoted();
        let mut out = format!(" STRING match {} {text} ALGO name {}", self.pattern.mark(), self.algo());
        if self.from != 0 {
            let _ = write!(out, " FROM {}", self.from);
        }
        if self.to != u16::MAX {
            let _ = write!(out, " TO {}", self.to);
        }
        if self.icase {
            out += " ICASE";
        }
        out
    }
}

fn too_long(text: &str) -> Problem {
    Problem::new(format!("STRING too long \"{text}\""))
}

fn plain(text: &str) -> Result<Arc<[u8]>, Problem> {
    if text.len() > PATTERN_MAX {
        return Err(too_long(text));
    }
    Ok(text.as_bytes().into())
}

/// A text with bytes in hexadecimal between `|`, and with `\` before what is meant as it stands (`parse_hex_string`).
fn hex(text: &str) -> Result<Arc<[u8]>, Problem> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(Problem::new("STRING must contain at least one char"));
    }
    let (mut out, mut at, mut is_hex) = (Vec::new(), 0, false);
    while at < bytes.len() {
        let mut is_literal = false;
        match bytes[at] {
            b'\\' if is_hex => return Err(Problem::new("Cannot include literals in hex data")),
            b'\\' => is_literal = true,
            b'|' => {
                is_hex = !is_hex;
                while is_hex && bytes.get(at + 1) == Some(&b' ') {
                    at += 1;
                }
                if at + 1 >= bytes.len() {
                    break;
                }
                at += 1;
            }
            _ => {}
        }
        if is_literal {
            let literal = bytes.get(at + 1);
            out.push(*literal.ok_or_else(|| Problem::new("Bad literal placement at end of string"))?);
            at += 2;
        } else if is_hex {
            out.push(hex_byte(bytes, at)?);
            at += if bytes.get(at + 2) == Some(&b' ') { 3 } else { 2 };
        } else {
            out.push(bytes[at]);
            at += 1;
        }
        if out.len() > PATTERN_MAX {
            return Err(too_long(text));
        }
    }
    Ok(out.into())
}

fn hex_byte(bytes: &[u8], at: usize) -> Result<u8, Problem> {
    let [first, second, _, ..] = bytes[at..] else { return Err(Problem::new("Invalid hex block")) };
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digit.ok_or_else(|| Problem::new(format!("Invalid hex char '{}'", char::from(byte))))
    };
    Ok(digit(first)? << 4 | digit(second)?)
}
