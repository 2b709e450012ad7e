//! Zones as text (RFC 1035 section 5).

use super::dns::{RData, Record, Type, labels, string_of};
use std::collections::BTreeSet;

/// TTL of records where a zone says none, in seconds.
const DEFAULT_TTL: u32 = 3600;

/// Records of one or more zones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneFile {
    records: Vec<Record>,
}

/// What is wrong in a zone, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// A line with its words; whether it began with a blank, so that it goes on with the owner before.
struct Line {
    number: usize,
    blank: bool,
    words: Vec<String>,
}

/// Lines of words. Parentheses join lines, a semicolon begins a comment, quotes hold a word together.
fn lines(text: &str) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::new();
    let mut depth = 0_usize;
    for (index, line) in text.lines().enumerate() {
        if depth == 0 {
            let blank = line.starts_with([' ', '\t']);
            out.push(Line { number: index + 1, blank, words: Vec::new() });
        }
        let Some(current) = out.last_mut() else { continue };
        let mut chars = line.chars().peekable();
        while let Some(at) = chars.next() {
            match at {
                ';' => break,
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                '"' => {
                    let mut word = String::from('"');
                    while let Some(next) = chars.next() {
                        match next {
                            '"' => break,
                            '\\' => word.extend([next].into_iter().chain(chars.next())),
                            other => word.push(other),
                        }
                    }
                    current.words.push(word);
                }
                blank if blank.is_whitespace() => {}
                first => {
                    let mut word = String::from(first);
                    let mut escaped = first == '\\';
                    while let Some(next) =
                        chars.next_if(|at| escaped || (!at.is_whitespace() && !"();".contains(*at)))
                    {
                        escaped = next == '\\' && !escaped;
                        word.push(next);
                    }
                    current.words.push(word);
                }
            }
        }
    }
    out.retain(|line| !line.words.is_empty());
    out
}

fn absolute(name: &str, origin: &str) -> Result<String, String> {
    if name.starts_with('"') {
        return Err(format!("a string in quotes where a name should stand: {name}\""));
    }
    let name = match name {
        "@" => origin.to_owned(),
        _ if name.ends_with('.') => name.to_owned(),
        _ if origin == "." => format!("{name}."),
        _ => format!("{name}.{origin}"),
    };
    labels(&name).map_err(|wrong| format!("{name}: {wrong}"))?;
    Ok(name)
}

/// Seconds, or with units as BIND takes them.
fn ttl(word: &str) -> Option<u32> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().ok();
    }
    let (last, _) = word.char_indices().next_back()?;
    let (digits, unit) = word.split_at(last);
    let factor = match unit {
        "s" | "S" => 1,
        "m" | "M" => 60,
        "h" | "H" => 3600,
        "d" | "D" => 86_400,
        "w" | "W" => 604_800,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

impl ZoneFile {
    /// Reads a zone. Names without a last dot lie below `origin`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ZoneError> {
        let mut origin = origin.to_owned();
        let (mut default_ttl, mut is_set) = (DEFAULT_TTL, false);
        let mut owner = origin.clone();
        let mut records = Vec::new();
        for line in lines(text) {
            let at = |message: String| ZoneError { line: line.number, message };
            let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
            match words[..] {
                ["$ORIGIN", name] => origin = absolute(name, &origin).map_err(at)?,
                ["$TTL", text] => {
                    default_ttl = ttl(text).ok_or_else(|| at(format!("not a TTL: {text}")))?;
                    is_set = true;
                }
                [word, ..] if word.starts_with('$') => return Err(at(format!("{word} is not simulated"))),
                [first, ref rest @ ..] => {
                    let rest = if line.blank { &words[..] } else { rest };
                    if !line.blank {
                        owner = absolute(first, &origin).map_err(at)?;
                    }
                    let record = record(&owner, rest, &origin, default_ttl).map_err(at)?;
                    // Without `$TTL` the last one counts (RFC 1035 section 5.1).
                    if !is_set {
                        default_ttl = record.ttl;
                    }
                    records.push(record);
                }
                [] => {}
            }
        }
        Ok(Self { records })
    }

    /// Adds a record.
    pub fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Adds all records of another one.
    pub fn extend(&mut self, other: Self) {
        self.records.extend(other.records);
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All records in the order of the text.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The zones that have a `SOA`.
    pub fn zones(&self) -> BTreeSet<String> {
        let soas = self.records.iter().filter(|record| record.kind() == Type::Soa);
        soas.map(|record| record.owner.to_ascii_lowercase()).collect()
    }
}

/// `[TTL] [IN] TYPE DATA`, in either order of TTL and class.
pub fn record(owner: &str, words: &[&str], origin: &str, default: u32) -> Result<Record, String> {
    let mut rest = words;
    let mut found_ttl = default;
    let mut kind = None;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        if let Some(secs) = ttl(word) {
            found_ttl = secs;
        } else if word.eq_ignore_ascii_case("IN") {
        } else if let Ok(found) = word.parse::<Type>() {
            kind = Some(found);
            break;
        } else {
            return Err(format!("neither a TTL nor a class nor a type: {word}"));
        }
    }
    let kind = kind.ok_or("a record without a type")?;
    let data = data(kind, rest, origin)?;
    Ok(Record { owner: owner.to_owned(), ttl: found_ttl, data })
}

fn data(kind: Type, words: &[&str], origin: &str) -> Result<RData, String> {
    let wrong = || format!("not the data of a {kind} record: {}", words.join(" "));
    let number = |word: &str| word.parse::<u16>().map_err(|_| wrong());
    Ok(match (kind, words) {
        (Type::A, [ip]) => RData::A(ip.parse().map_err(|_| wrong())?),
        (Type::Aaaa, [ip]) => RData::Aaaa(ip.parse().map_err(|_| wrong())?),
        (Type::Cname, [name]) => RData::Cname(absolute(name, origin)?),
        (Type::Ns, [name]) => RData::Ns(absolute(name, origin)?),
        (Type::Ptr, [name]) => RData::Ptr(absolute(name, origin)?),
        (Type::Mx, [preference, host]) => RData::Mx(number(preference)?, absolute(host, origin)?),
        (Type::Srv, [priority, weight, port, target]) => {
            RData::Srv(number(priority)?, number(weight)?, number(port)?, absolute(target, origin)?)
        }
        (Type::Txt, [_, ..]) => RData::Txt(
            words.iter().map(|word| string_of(word).map_err(|_| wrong())).collect::<Result<_, _>>()?,
        ),
        (Type::Soa, [server, mailbox, numbers @ ..]) if numbers.len() == 5 => {
            let mut values = [0; 5];
            for (value, word) in values.iter_mut().zip(numbers) {
                *value = ttl(word).ok_or_else(wrong)?;
            }
            RData::Soa(absolute(server, origin)?, absolute(mailbox, origin)?, values)
        }
        (Type::Other(number), ["\\#", _, hex @ ..]) => {
            let digits = hex.concat();
            if !digits.is_ascii() || digits.len() % 2 == 1 {
                return Err(wrong());
            }
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong());
            RData::Other(number, (0..digits.len()).step_by(2).map(byte).collect::<Result<_, _>>()?)
        }
        (Type::Other(number), _) => {
            RData::Other(number, super::rdata::parse(kind, words, &|name| absolute(name, origin))?)
        }
        _ => return Err(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without `$TTL` the last one counts; a backslash takes what follows as it is.
    #[test]
    fn times_and_escapes_are_read() {
        let text = "a 60 A 1.2.3.4\nb A 1.2.3.5\n$TTL 5\nc 7 TXT a\\;b \"c\\\"\\100\"\nd A 1.2.3.6\n";
        let zone = ZoneFile::parse(text, "x.").unwrap();
        let told: Vec<String> = zone.records().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["a.x. 60 A 1.2.3.4", "b.x. 60 A 1.2.3.5", "c.x. 7 TXT \"a;b\" \"c\\\"d\"", "d.x. 5 A 1.2.3.6"]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in [
            ("\n@ IN A x\n", 2),
            ("a B 1\n", 1),
            ("$INCLUDE x\n", 1),
            ("a..b A 1.2.3.4\n", 1),
            ("\"a b\" A 1.2.3.4\n", 1),
            ("a CNAME \"b\"\n", 1),
            ("a HINFO x\n", 1),
            ("a CAA 0 issue\n", 1),
            ("a 1ך A 1.2.3.4\n", 1),
        ] {
            assert_eq!(ZoneFile::parse(text, ".").unwrap_err().line, line, "{text}");
        }
    }
}
