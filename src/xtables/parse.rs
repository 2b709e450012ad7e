//! Reading a rule from words, as `iptables` does: options of the rule itself, then those of its target and matches.

use super::matches::net_mask;
use super::{Family, Iface, Masked, Match, Not, PortRange, Rule, Target, options, ports};
use crate::base::Ipv4Addr;
use std::collections::VecDeque;
use std::net::Ipv6Addr;

/// Why words are no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The tool's own text about a wrong parameter.
    Parameter(String),
    /// A word that the tool did not expect, which it says without its name in front.
    BadArgument(String),
    /// Something that the real tool knows and this one does not.
    NotSimulated(String),
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::Parameter(text.into())
    }
}

/// Words still to be read.
#[derive(Clone, Debug)]
pub struct Words {
    rest: VecDeque<String>,
}

impl Words {
    /// These words.
    pub fn new(words: &[String]) -> Self {
        Self { rest: words.iter().cloned().collect() }
    }

    /// The next word that is no argument. Letters joined come apart, as `-n` and `-L` in `-nL`, and a letter and its
    /// argument, as in `-jACCEPT`; so do `--name` and its value in `--name=value`.
    pub fn take(&mut self) -> Option<String> {
        /// Letters without an argument.
        const FLAGS: &str = "nvxfh46V";
        let word = self.rest.pop_front()?;
        if let Some(long) = word.strip_prefix("--") {
            let Some((name, value)) = long.split_once('=') else { return Some(word) };
            self.rest.push_front(value.to_owned());
            return Some(format!("--{name}"));
        }
        let Some(letters) = word.strip_prefix('-') else { return Some(word) };
        let mut rest = letters.chars();
        let Some(first) = rest.next().filter(|_| letters.len() > 1) else { return Some(word) };
        let dash = if FLAGS.contains(first) { "-" } else { "" };
        self.rest.push_front(format!("{dash}{}", rest.as_str()));
        Some(format!("-{first}"))
    }

    /// Puts a word back.
    pub fn put_back(&mut self, word: String) {
        self.rest.push_front(word);
    }

    /// The next word, unless it is an option or `!`.
    pub fn operand(&mut self) -> Option<String> {
        let next = self.rest.front()?;
        if next.starts_with('-') || next == "!" {
            return None;
        }
        self.rest.pop_front()
    }

    /// The next word, whatever it is.
    pub fn raw(&mut self) -> Option<String> {
        self.rest.pop_front()
    }

    /// The argument of the option `option`.
    pub fn argument(&mut self, option: &str) -> Result<String, Problem> {
        self.raw().ok_or_else(|| Problem::new(format!("option \"{option}\" requires an argument")))
    }
}

/// A rule being read.
#[derive(Clone, Debug, Default)]
pub struct RuleBuilder {
    /// What was read so far.
    pub rule: Rule,
    /// Addresses after `-s` and `-d`; with several a command is about as many rules.
    sources: Vec<Masked>,
    destinations: Vec<Masked>,
    seen: Vec<&'static str>,
    matches: Vec<options::Reader>,
    target: Option<options::Reader>,
    sets: Vec<String>,
}

/// Reads what stands behind the name of a chain of IPv4. `sets` are the sets that exist.
pub fn parse_rule(text: &[&str]) -> Result<Rule, Problem> {
    parse_rule_of(Family::V4, text)
}

/// The same of either protocol.
pub fn parse_rule_of(family: Family, text: &[&str]) -> Result<Rule, Problem> {
    parse_rule_with(family, &[], text)
}

/// The same for a rule that may name these sets.
pub fn parse_rule_with(family: Family, sets: &[&str], text: &[&str]) -> Result<Rule, Problem> {
    let words: Vec<String> = text.iter().map(|word| (*word).to_owned()).collect();
    let sets = sets.iter().map(|name| (*name).to_owned()).collect();
    read(&mut Words::new(&words), RuleBuilder { sets, ..RuleBuilder::of(family) })
}

fn read(words: &mut Words, mut builder: RuleBuilder) -> Result<Rule, Problem> {
    let mut negated = false;
    while let Some(word) = words.take() {
        if word == "!" {
            negated = true;
        } else if builder.option(&word, negated, words)? {
            negated = false;
        } else {
            return Err(Problem::new(format!("unknown option \"{word}\"")));
        }
    }
    builder.finish()
}

/// Reads a rule as one line, with words in double quotes kept whole. `sets` are the sets that exist.
pub fn parse_line(line: &str, sets: &[String]) -> Result<Rule, Problem> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    read(&mut Words::new(&words), RuleBuilder::with_sets(sets.to_vec()))
}

impl RuleBuilder {
    /// A rule that may name these sets.
    pub fn with_sets(sets: Vec<String>) -> Self {
        Self { sets, ..Self::default() }
    }

    /// A rule for the tables of this protocol.
    pub fn of(family: Family) -> Self {
        Self { rule: Rule { family, ..Rule::default() }, ..Self::default() }
    }

    /// Reads an option and its arguments; `false` where it is none of a rule's.
    pub fn option(&mut self, option: &str, negated: bool, words: &mut Words) -> Result<bool, Problem> {
        match option {
            "-s" | "--source" | "--src" => {
                self.once("-s")?;
                self.sources = addresses(self.rule.family, &words.argument(option)?)?;
                self.rule.src.negated = negated;
            }
            "-d" | "--destination" | "--dst" => {
                self.once("-d")?;
                self.destinations = addresses(self.rule.family, &words.argument(option)?)?;
                self.rule.dst.negated = negated;
            }
            "-i" | "--in-interface" => {
                self.once("-i")?;
                self.rule.iif = interface(&words.argument(option)?, negated)?;
            }
            "-o" | "--out-interface" => {
                self.once("-o")?;
                self.rule.oif = interface(&words.argument(option)?, negated)?;
            }
            "-p" | "--protocol" | "--proto" => self.protocol(negated, &words.argument(option)?)?,
            "-f" | "--fragment" => {
                self.once("-f")?;
                self.rule.fragment = Some(!negated);
            }
            "-m" | "--match" => {
                let name = words.argument(option)?;
                no_bang(negated, "-m")?;
                self.matches.push(options::Reader::of_match(self.rule.family, &name)?);
            }
            "-j" | "--jump" => {
                no_bang(negated, "-j")?;
                self.once("-j")?;
                let name = words.argument(option)?;
                self.target = Some(options::Reader::of_target(self.rule.family, &name)?);
            }
            "-g" | "--goto" => {
                no_bang(negated, "-g")?;
                self.once("-j")?;
                self.rule.target = Target::Goto(words.argument(option)?.into());
            }
            _ => return self.extension(option, negated, words),
        }
        Ok(true)
    }

    fn once(&mut self, option: &'static str) -> Result<(), Problem> {
        if self.seen.contains(&option) {
            return Err(Problem::new(format!("multiple {option} flags not allowed")));
        }
        self.seen.push(option);
        Ok(())
    }

    fn protocol(&mut self, negated: bool, text: &str) -> Result<(), Problem> {
        self.once("-p")?;
        let number = ports::protocol_number(text)
            .ok_or_else(|| Problem::new(format!("unknown protocol \"{text}\" specified")))?;
        if number == 0 && negated {
            return Err(Problem::new("rule would never match protocol"));
        }
        self.rule.protocol = (number != 0).then_some(Not { negated, is: number });
        Ok(())
    }

    /// The options of the target and the matches; at last that of the protocol's own match, which `-p` brings along.
    fn extension(&mut self, option: &str, negated: bool, words: &mut Words) -> Result<bool, Problem> {
        let protocol = self.rule.protocol.filter(|protocol| !protocol.negated).map(|protocol| protocol.is);
        if let Some(target) = &mut self.target
            && target.option(option, negated, words, protocol)?
        {
            return Ok(true);
        }
        for each in self.matches.iter_mut().rev() {
            if each.option(option, negated, words, protocol)? {
                return Ok(true);
            }
        }
        let own = match protocol {
            Some(6) => "tcp",
            Some(17) => "udp",
            Some(132) => "sctp",
            Some(1) => "icmp",
            _ => return Ok(false),
        };
        if self.matches.iter().any(|each| each.name() == own) {
            return Ok(false);
        }
        let mut reader = options::Reader::of_match(self.rule.family, own)?;
        let taken = reader.option(option, negated, words, protocol)?;
        if taken {
            self.matches.push(reader);
        }
        Ok(taken)
    }

    /// The whole rule, once all words are read; of several addresses the last counts.
    pub fn finish(self) -> Result<Rule, Problem> {
        self.finish_all().map(|mut rules| rules.pop().unwrap_or_default())
    }

    /// All rules that the words are about: one for each pair of addresses.
    pub fn finish_all(mut self) -> Result<Vec<Rule>, Problem> {
        let (negates, several) = (
            self.rule.src.negated || self.rule.dst.negated,
            self.sources.len() > 1 || self.destinations.len() > 1,
        );
        if negates && several {
            return Err(Problem::new("! not allowed with multiple source or destination IP addresses"));
        }
        let protocol = self.rule.protocol;
        for reader in std::mem::take(&mut self.matches) {
            self.rule.matches.push(reader.into_match(protocol, &self.sets)?);
        }
        if let Some(reader) = self.target.take() {
            self.rule.target = reader.into_target(protocol)?;
        }
        let or_any =
            |addresses: Vec<Masked>| if addresses.is_empty() { vec![Masked::ANY] } else { addresses };
        let (sources, destinations) = (or_any(self.sources), or_any(self.destinations));
        let pairs = sources.iter().flat_map(|src| destinations.iter().map(move |dst| (*src, *dst)));
        let rule = |(src, dst)| {
            let mut rule = self.rule.clone();
            (rule.src.is, rule.dst.is) = (src, dst);
            rule
        };
        Ok(pairs.map(rule).collect())
    }
}

fn no_bang(negated: bool, option: &str) -> Result<(), Problem> {
    if negated { Err(Problem::new(format!("cannot have ! before {option}"))) } else { Ok(()) }
}

/// Addresses or networks as they stand after `-s`, with commas between.
fn addresses(family: Family, text: &str) -> Result<Vec<Masked>, Problem> {
    text.split(',').map(|each| address(family, each.trim())).collect()
}

/// An address or network.
pub(super) fn address(family: Family, text: &str) -> Result<Masked, Problem> {
    let (host, mask) = text.split_once('/').map_or((text, None), |(host, mask)| (host, Some(mask)));
    let unknown = || Problem::new(format!("host/network `{host}' not found"));
    match family {
        Family::V4 => {
            let mask = mask.map_or(Some(u32::MAX), ipv4_mask).ok_or_else(|| invalid_mask(mask))?;
            // With no bit of it asked for, it does not matter how it is written.
            let host = if mask == 0 { "0.0.0.0" } else { host };
            let host: Ipv4Addr = host.parse().map_err(|_| unknown())?;
            Ok(Masked::V4(u32::from(host) & mask, mask))
        }
        Family::V6 => {
            let mask = mask.map_or(Some(u128::MAX), ipv6_mask).ok_or_else(|| invalid_mask(mask))?;
            let host: Ipv6Addr = host.parse().map_err(|_| unknown())?;
            Ok(Masked::V6(u128::from(host) & mask, mask))
        }
    }
}

fn invalid_mask(mask: Option<&str>) -> Problem {
    Problem::new(format!("invalid mask `{}' specified", mask.unwrap_or("")))
}

fn ipv4_mask(text: &str) -> Option<u32> {
    match text.parse::<u32>() {
        Ok(len) if len <= 32 => Some(net_mask(len)),
        _ => text.parse::<Ipv4Addr>().ok().map(u32::from),
    }
}

fn ipv6_mask(text: &str) -> Option<u128> {
    match text.parse::<u32>() {
        Ok(0) => Some(0),
        Ok(len) if len <= 128 => Some(u128::MAX << (128 - len)),
        _ => text.parse::<Ipv6Addr>().ok().map(u128::from),
    }
}

/// An interface name; `+` alone is any, which is no condition.
pub(super) fn interface(text: &str, negated: bool) -> Result<Option<Not<Iface>>, Problem> {
    if text.len() > 15 {
        let problem = format!("interface name `{text}' must be shorter than IFNAMSIZ (15)");
        return Err(Problem::new(problem));
    }
    Ok((text != "+").then(|| Not { negated, is: Iface::new(text) }))
}

/// A port or a range of ports, by number or name.
pub(super) fn port_range(text: &str, protocol: u8) -> Result<PortRange, Problem> {
    let one = |text: &str| {
        text.parse::<u16>()
            .ok()
            .or_else(|| ports::service_port(text, protocol))
            .ok_or_else(|| Problem::new(format!("invalid port/service `{text}' specified")))
    };
    let Some((first, last)) = text.split_once(':') else {
        let port = one(text)?;
        return Ok(PortRange(port, port));
    };
    let first = if first.is_empty() { 0 } else { one(first)? };
    let last = if last.is_empty() { u16::MAX } else { one(last)? };
    if first > last {
        return Err(Problem::new("invalid portrange (min > max)"));
    }
    Ok(PortRange(first, last))
}

/// A number, decimal, octal or hexadecimal as C reads them.
pub(super) fn number(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok();
    }
    if text.len() > 1 && text.starts_with('0') {
        return u64::from_str_radix(&text[1..], 8).ok();
    }
    text.parse().ok()
}

/// A mark with its mask, which is all ones where there is none.
pub(super) fn mark(text: &str) -> Option<(u32, u32)> {
    let (value, mask) = text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
    let value = u32::try_from(number(value)?).ok()?;
    let mask = match mask {
        Some(mask) => u32::try_from(number(mask)?).ok()?,
        None => u32::MAX,
    };
    Some((value, mask))
}

impl Match {
    /// Whether this is `-m NAME`.
    pub fn is(&self, name: &str) -> bool {
        self.name() == name
    }
}
