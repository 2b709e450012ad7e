//! Zones as text (RFC 1035 section 5) and answers from them, for the plugins `file`, `hosts` and `template` and for
//! servers outside the cluster.

use super::name::{is_subdomain, labels_below};
use super::{Answer, Question, RData, Rcode, Record, Type};
use crate::base::dns::labels;
use std::collections::BTreeSet;

/// TTL of records where a zone says none, in seconds.
const DEFAULT_TTL: u32 = 3600;
/// Longest chain of `CNAME` records that is followed.
const CNAMES: usize = 8;

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
                            '\\' => word.extend(chars.next()),
                            other => word.push(other),
                        }
                    }
                    current.words.push(word);
                }
                blank if blank.is_whitespace() => {}
                first => {
                    let mut word = String::from(first);
                    while let Some(next) = chars.next_if(|at| !at.is_whitespace() && !"();".contains(*at)) {
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
    let (digits, unit) = word.split_at(word.len().checked_sub(1)?);
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
        let mut default_ttl = DEFAULT_TTL;
        let mut owner = origin.clone();
        let mut records = Vec::new();
        for line in lines(text) {
            let at = |message: String| ZoneError { line: line.number, message };
            let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
            match words[..] {
                ["$ORIGIN", name] => origin = absolute(name, &origin).map_err(at)?,
                ["$TTL", text] => {
                    default_ttl = ttl(text).ok_or_else(|| at(format!("not a TTL: {text}")))?;
                }
                [word, ..] if word.starts_with('$') => return Err(at(format!("{word} is not simulated"))),
                [first, ref rest @ ..] => {
                    let rest = if line.blank { &words[..] } else { rest };
                    if !line.blank {
                        owner = absolute(first, &origin).map_err(at)?;
                    }
                    let record = record(&owner, rest, &origin, default_ttl).map_err(at)?;
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

    /// Records of this name and type, as the question writes the name.
    fn find<'r>(&'r self, name: &'r str, kind: Type) -> impl Iterator<Item = Record> + 'r {
        let fits = move |record: &&Record| {
            record.owner.eq_ignore_ascii_case(name) && (record.kind() == kind || kind == Type::ANY)
        };
        self.records
            .iter()
            .filter(fits)
            .map(move |record| Record { owner: name.to_owned(), ..record.clone() })
    }

    fn has_name(&self, name: &str) -> bool {
        self.records.iter().any(|record| is_subdomain(name, &record.owner))
    }

    /// The records that stand for a name: its own, or those of the wildcard above it (RFC 4592).
    fn source(&self, name: &str, zone: &str) -> Option<String> {
        if self.has_name(name) {
            return Some(name.to_owned());
        }
        let below = labels_below(zone, name);
        for skip in 1..=below.len() {
            let parent = below[skip..].iter().map(|label| format!("{label}.")).collect::<String>() + zone;
            let wildcard = format!("*.{parent}");
            if self.records.iter().any(|record| record.owner.eq_ignore_ascii_case(&wildcard)) {
                return Some(wildcard);
            }
            // The closest name that exists ends the search.
            if self.has_name(&parent) {
                return None;
            }
        }
        None
    }

    /// The answer for a question about `zone`, authoritative.
    pub fn answer(&self, question: &Question, zone: &str) -> Answer {
        let mut out = Answer { authoritative: true, ..Answer::default() };
        let mut name = question.name.clone();
        for _ in 0..=CNAMES {
            let Some(source) = self.source(&name, zone) else {
                if out.answer.is_empty() {
                    out.rcode = Rcode::NxDomain;
                }
                break;
            };
            let owned = |record: Record| Record { owner: name.clone(), ..record };
            let found: Vec<Record> = self.find(&source, question.kind).map(owned).collect();
            if !found.is_empty() {
                out.answer.extend(found);
                break;
            }
            let Some(cname) = self.find(&source, Type::Cname).map(owned).next() else { break };
            let RData::Cname(target) = cname.data.clone() else { break };
            out.answer.push(cname);
            if !is_subdomain(zone, &target) {
                break;
            }
            name = target;
        }
        let is_denial = !out.answer.iter().any(|record| record.kind() == question.kind)
            && question.kind != Type::ANY
            && !out.answer.iter().any(|record| record.kind() == Type::Cname);
        if is_denial {
            out.authority.extend(self.find(zone, Type::Soa));
        }
        self.add_glue(&mut out);
        out
    }

    /// Addresses of the hosts that the answer names.
    fn add_glue(&self, out: &mut Answer) {
        let mut hosts = BTreeSet::new();
        for record in &out.answer {
            if let RData::Srv(_, _, _, host) | RData::Mx(_, host) | RData::Ns(host) = &record.data {
                hosts.insert(host.clone());
            }
        }
        for host in &hosts {
            out.additional.extend(self.find(host, Type::A));
            out.additional.extend(self.find(host, Type::Aaaa));
        }
    }
}

/// `[TTL] [IN] TYPE DATA`, in either order of TTL and class.
pub(super) fn record(owner: &str, words: &[&str], origin: &str, default: u32) -> Result<Record, String> {
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
        (Type::Txt, [_, ..]) => {
            RData::Txt(words.iter().map(|word| word.strip_prefix('"').unwrap_or(word).to_owned()).collect())
        }
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
        (Type::Other(_), _) => return Err(format!("records of type {kind} are not simulated")),
        _ => return Err(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "$TTL 1h
@ IN SOA ns admin (
    1 ; serial
    7200 1800 1d 60 )
  IN NS ns
ns 300 A 192.0.2.53
www CNAME web
web A 192.0.2.1
*.dev IN 5 A 192.0.2.9
a.b.c TXT \"two words\" three
";

    #[test]
    fn a_zone_answers_with_names_wildcards_and_denials() {
        let zone = ZoneFile::parse(ZONE, "example.org.").unwrap();
        let ask = |name: &str, kind| {
            let question = Question { name: format!("{name}.example.org."), kind };
            let answer = zone.answer(&question, "example.org.");
            let all = answer.answer.iter().chain(&answer.authority);
            (answer.rcode, all.map(ToString::to_string).collect::<Vec<_>>())
        };
        let soa = "example.org. 3600 SOA ns.example.org. admin.example.org. 1 7200 1800 86400 60".to_owned();
        assert_eq!(
            ask("www", Type::A).1,
            ["www.example.org. 3600 CNAME web.example.org.", "web.example.org. 3600 A 192.0.2.1"]
        );
        assert_eq!(ask("x.dev", Type::A).1, ["x.dev.example.org. 5 A 192.0.2.9"]);
        assert_eq!(ask("web", Type::Aaaa), (Rcode::NoError, vec![soa.clone()]));
        assert_eq!(ask("b.c", Type::A), (Rcode::NoError, vec![soa.clone()]));
        assert_eq!(ask("none", Type::A), (Rcode::NxDomain, vec![soa]));
        assert_eq!(ask("a.b.c", Type::Txt).1, ["a.b.c.example.org. 3600 TXT \"two words\" \"three\""]);
        assert_eq!(zone.zones().into_iter().collect::<Vec<_>>(), ["example.org."]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in
            [("\n@ IN A x\n", 2), ("a B 1\n", 1), ("$INCLUDE x\n", 1), ("a..b A 1.2.3.4\n", 1)]
        {
            assert_eq!(ZoneFile::parse(text, ".").unwrap_err().line, line, "{text}");
        }
    }
}
