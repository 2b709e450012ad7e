//! `-m hashlimit`: a rate for each group of packets by itself (`libxt_hashlimit.c`, third revision).

use super::connlimit::prefix_len;
use super::unsigned;
use crate::xtables::matches_parse::required;
use crate::xtables::options::{Given, Spec, exclusive, find, spec};
use crate::xtables::parse::{Problem, number};
use std::fmt::Write as _;
use std::sync::Arc;

/// Its options.
pub(super) const OPTIONS: &[Spec] = &[
    spec(&["--hashlimit-upto", "--hashlimit"], 1),
    spec(&["--hashlimit-above"], 1),
    spec(&["--hashlimit-srcmask"], 1),
    spec(&["--hashlimit-dstmask"], 1),
    spec(&["--hashlimit-burst"], 1),
    spec(&["--hashlimit-htable-size"], 1),
    spec(&["--hashlimit-htable-max"], 1),
    spec(&["--hashlimit-htable-gcinterval"], 1),
    spec(&["--hashlimit-htable-expire"], 1),
    spec(&["--hashlimit-mode"], 1),
    spec(&["--hashlimit-name"], 1),
    spec(&["--hashlimit-rate-match"], 0),
    spec(&["--hashlimit-rate-interval"], 1),
];

/// Parts of a second in which a rate of packets is counted (`XT_HASHLIMIT_SCALE_v2`).
const SCALE: u64 = 1_000_000;
/// Bytes are counted in pieces of sixteen (`XT_HASHLIMIT_BYTE_SHIFT`).
const BYTE_SHIFT: u32 = 4;
const BURST: u64 = 5;
const BURST_MAX: u64 = 1_000_000;
const GC_INTERVAL_MS: u32 = 1_000;
/// Milliseconds that an entry about bytes is kept, without and with a burst.
const BYTE_EXPIRE_MS: (u32, u32) = (15_000, 60_000);
/// Units of a rate with their length in [`SCALE`], the longest first.
const UNITS: [(&str, u64); 4] =
    [("day", SCALE * 86_400), ("hour", SCALE * 3_600), ("min", SCALE * 60), ("sec", SCALE)];
const BYTE_UNITS: [(&str, u64); 3] = [("m", 1 << 20), ("k", 1 << 10), ("", 1)];

/// By what packets are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of the kernel's mode under its own name")]
pub struct HashlimitMode {
    /// `srcip`.
    pub src_ip: bool,
    /// `srcport`.
    pub src_port: bool,
    /// `dstip`.
    pub dst_ip: bool,
    /// `dstport`.
    pub dst_port: bool,
}

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rate {
    /// Packets: millionths of a second for one.
    Packets(u64),
    /// Bytes: the cost of sixteen of them, of a second's [`u32::MAX`].
    Bytes(u32),
}

/// `-m hashlimit`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hashlimit {
    /// `--hashlimit-name`: rules of one name share their counts.
    pub name: Arc<str>,
    /// The rate.
    pub rate: Rate,
    /// Whether packets beyond it fit, rather than those within.
    pub above: bool,
    /// `--hashlimit-burst`: packets; or how often a second's bytes may be had at once.
    pub burst: u64,
    /// `--hashlimit-mode`.
    pub mode: HashlimitMode,
    /// `--hashlimit-srcmask` and `--hashlimit-dstmask`: lengths of prefixes.
    pub masks: (u8, u8),
    /// `--hashlimit-htable-size`; 0 for the kernel's choice.
    pub size: u32,
    /// `--hashlimit-htable-max`; 0 for the kernel's choice.
    pub max: u32,
    /// `--hashlimit-htable-gcinterval`, in milliseconds.
    pub gc_interval_ms: u32,
    /// `--hashlimit-htable-expire`, in milliseconds.
    pub expire_ms: u32,
    /// `--hashlimit-rate-match`: packets are only compared with the rate.
    pub rate_match: bool,
    /// `--hashlimit-rate-interval`, in seconds; 0 for none.
    pub interval: u32,
}

/// Bytes a second of a cost (`cost_to_bytes`).
pub(super) fn cost_to_bytes(cost: u32) -> u64 {
    let pieces = u64::from(u32::MAX.checked_div(cost).unwrap_or(u32::MAX));
    pieces.saturating_sub(1) << BYTE_SHIFT
}

/// The cost of a rate of bytes a second (`bytes_to_cost`).
fn bytes_to_cost(bytes: u64) -> u32 {
    // Of a rate too high for it the lower half counts.
    let pieces = (bytes >> BYTE_SHIFT) as u32;
    u32::MAX.checked_div(pieces.wrapping_add(1)).unwrap_or(u32::MAX)
}

/// The number at the beginning of a text (`atoll`).
fn leading(text: &str) -> (u64, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().unwrap_or(0), &text[end..])
}

fn factor(unit: Option<u8>) -> u64 {
    match unit {
        Some(b'm') => 1 << 20,
        Some(b'k') => 1 << 10,
        _ => 1,
    }
}

/// The rate, and the seconds of its unit.
fn rate(text: &str) -> Result<Option<(Rate, u32)>, Problem> {
    let (count, _) = leading(text);
    if let Some(at) = text.find("b/s").filter(|at| *at > 0)
        && count > 0
    {
        let bytes = count.saturating_mul(factor(text.as_bytes().get(at - 1).copied()));
        let cost = bytes_to_cost(bytes);
        if cost == 0 {
            return Err(Problem::new(format!("Rate too high \"{text}\"")));
        }
        return Ok(Some((Rate::Bytes(cost), BYTE_EXPIRE_MS.0 / 1_000)));
    }
    let secs = match text.split_once('/') {
        None => 1,
        Some((_, unit)) => {
            let unit = unit.to_ascii_lowercase();
            let units = [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)];
            let found = units.iter().find(|(name, _)| !unit.is_empty() && name.starts_with(&unit));
            match found {
                Some((_, secs)) => *secs,
                None => return Ok(None),
            }
        }
    };
    match (SCALE * u64::from(secs)).checked_div(count) {
        None => Ok(None),
        Some(0) => Err(Problem::new(format!("Rate too fast \"{text}\""))),
        Some(period) => Ok(Some((Rate::Packets(period), secs))),
    }
}

fn burst_problem() -> Problem {
    Problem::new(format!("bad value for option \"--hashlimit-burst\", or out of range (1-{BURST_MAX})."))
}

/// A burst, of bytes with a unit (`parse_burst`).
fn burst(text: &str) -> Result<u64, Problem> {
    let (value, rest) = match number(text) {
        Some(value) => (value, ""),
        None => leading(text),
    };
    if value == 0 || (rest.is_empty() && value > BURST_MAX) {
        return Err(burst_problem());
    }
    Ok(value.saturating_mul(factor(rest.as_bytes().first().copied())))
}

fn mode(text: &str) -> Result<HashlimitMode, Problem> {
    let mut mode = HashlimitMode::default();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let field = match word {
            "srcip" => &mut mode.src_ip,
            "srcport" => &mut mode.src_port,
            "dstip" => &mut mode.dst_ip,
            "dstport" => &mut mode.dst_port,
            _ => {
                let text = format!("hashlimit: Bad value for \"--hashlimit-mode\" option: \"{text}\"");
                return Err(Problem::new(text));
            }
        };
        *field = true;
    }
    Ok(mode)
}

/// The burst as it is kept. Of bytes it is how often the rate goes into it, rounded up.
fn kept_burst(rate: Rate, given: Option<u64>) -> Result<u64, Problem> {
    match (rate, given) {
        (Rate::Packets(_), burst) if burst.unwrap_or(BURST) > BURST_MAX => Err(burst_problem()),
        (Rate::Packets(_), burst) => Ok(burst.unwrap_or(BURST)),
        (Rate::Bytes(_), None) => Ok(0),
        (Rate::Bytes(cost), Some(burst)) => {
            let least = cost_to_bytes(cost);
            if burst < least {
                return Err(Problem::new(format!("burst cannot be smaller than {least}b")));
            }
            Ok(burst.div_ceil(least.max(1)))
        }
    }
}

impl Hashlimit {
    pub(super) fn parse(given: &[Given]) -> Result<Self, Problem> {
        let text = |name: &str| find(given, name).map(Given::text);
        let number = |name: &str, none: u32| match find(given, name) {
            Some(option) => unsigned("hashlimit", option, u64::from(u32::MAX))
                .map(|value| u32::try_from(value).unwrap_or(none)),
            None => Ok(none),
        };
        let mask = |name: &str| find(given, name).map_or(Ok(32), |option| prefix_len("hashlimit", option));
        let limit = exclusive(given, "hashlimit", &["--hashlimit-upto", "--hashlimit-above"])?;
        if text("--hashlimit-name") == Some("") {
            return Err(Problem::new("Argument must have a minimum length of 1 characters\n"));
        }
        let missing = || Problem::new("You have to specify --hashlimit");
        let name = match limit {
            Some(_) => required(given, "hashlimit", "--hashlimit-name")?.text(),
            None => return Err(missing()),
        };
        let limit = limit.ok_or_else(missing)?;
        let (rate, secs) = rate(limit.text())?.ok_or_else(|| {
            Problem::new(format!("hashlimit: Bad value for \"{}\" option: \"{}\"", limit.name, limit.text()))
        })?;
        let burst_given = text("--hashlimit-burst").map(burst).transpose()?;
        let burst = kept_burst(rate, burst_given)?;
        let expire = match rate {
            Rate::Packets(_) => secs * 1_000,
            Rate::Bytes(_) if burst_given.is_some() => BYTE_EXPIRE_MS.1,
            Rate::Bytes(_) => BYTE_EXPIRE_MS.0,
        };
        let mut interval = match text("--hashlimit-rate-interval") {
            Some(text) => {
                let secs = u32::try_from(leading(text).0).ok().filter(|secs| *secs > 0);
                secs.ok_or_else(|| {
                    Problem::new(format!(
                        "hashlimit: Bad value for \"--hashlimit-rate-interval\" option: \"{text}\""
                    ))
                })?
            }
            None => 0,
        };
        let rate_match = find(given, "--hashlimit-rate-match").is_some();
        let rate = match rate {
            // What is compared is the rate of a second.
            Rate::Packets(period) if rate_match => Rate::Packets(period / u64::from(secs)),
            Rate::Packets(_) | Rate::Bytes(_) => rate,
        };
        if rate_match && interval == 0 {
            interval = if matches!(rate, Rate::Bytes(_)) { 1 } else { secs };
        }
        Ok(Self {
            name: name.into(),
            rate,
            above: (limit.name == "--hashlimit-above") != limit.negated,
            burst,
            mode: mode(text("--hashlimit-mode").unwrap_or(""))?,
            masks: (mask("--hashlimit-srcmask")?, mask("--hashlimit-dstmask")?),
            size: number("--hashlimit-htable-size", 0)?,
            max: number("--hashlimit-htable-max", 0)?,
            gc_interval_ms: number("--hashlimit-htable-gcinterval", GC_INTERVAL_MS)?,
            expire_ms: number("--hashlimit-htable-expire", expire)?,
            rate_match,
            interval,
        })
    }

    /// Whether the kernel takes it (`hashlimit_mt_check_common`, `xt_check_proc_name`): why not, by its text.
    pub fn refused(&self) -> Option<&'static str> {
        let name = &*self.name;
        let bad_name = matches!(name, "." | "..") || name.contains('/') || name.len() > 254;
        if bad_name || self.gc_interval_ms == 0 || self.expire_ms == 0 {
            return Some("Invalid argument");
        }
        let bad_mask = self.masks.0 > 32 || self.masks.1 > 32;
        // What sixteen bytes cost comes to nothing (`user2credits_byte`).
        let too_high = matches!(self.rate, Rate::Bytes(0 | 1)) && !self.rate_match;
        if bad_mask || too_high {
            return Some("Invalid argument");
        }
        let no_rate = match self.rate {
            Rate::Packets(period) => period == 0 || period > u64::from(u32::MAX),
            Rate::Bytes(cost) => cost == 0,
        };
        (self.rate_match && no_rate).then_some("Numerical result out of range")
    }

    /// The rate with its burst, and how long an entry is kept where nothing else is said, in milliseconds.
    fn rate_words(&self, rate: Rate, before: &str) -> (String, u32) {
        match rate {
            Rate::Packets(period) => {
                let (text, expire) = packets_text(period);
                (format!(" {text} {before}burst {}", self.burst), expire)
            }
            Rate::Bytes(cost) => {
                let bytes = cost_to_bytes(cost);
                let is_exact =
                    |(_, unit): &&(&str, u64)| bytes >= *unit && bytes_to_cost(bytes & !(unit - 1)) == cost;
                let (unit, size) = BYTE_UNITS.iter().find(is_exact).unwrap_or(&BYTE_UNITS[2]);
                let mut out = format!(" {}{unit}b/s", bytes / size);
                if self.burst == 0 {
                    return (out, BYTE_EXPIRE_MS.0);
                }
                let burst = bytes.saturating_mul(self.burst);
                let (unit, size) =
                    BYTE_UNITS.iter().find(|(_, unit)| burst >= *unit).unwrap_or(&BYTE_UNITS[2]);
                let _ = write!(out, " {before}burst {}{unit}b", burst / size);
                (out, BYTE_EXPIRE_MS.1)
            }
        }
    }

    fn mode_words(&self, between: &str) -> String {
        let mode = &self.mode;
        let named = [
            (mode.src_ip, "srcip"),
            (mode.src_port, "srcport"),
            (mode.dst_ip, "dstip"),
            (mode.dst_port, "dstport"),
        ];
        named.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>().join(between)
    }

    /// What is said of the table, each after `before`.
    fn table_words(&self, expire: u32, before: &str) -> String {
        let mut out = String::new();
        let numbers = [
            ("htable-size", self.size, 0),
            ("htable-max", self.max, 0),
            ("htable-gcinterval", self.gc_interval_ms, GC_INTERVAL_MS),
            ("htable-expire", self.expire_ms, expire),
            ("srcmask", u32::from(self.masks.0), 32),
            ("dstmask", u32::from(self.masks.1), 32),
        ];
        for (name, value, _) in numbers.iter().filter(|(_, value, usual)| value != usual) {
            let _ = write!(out, " {before}{name} {value}");
        }
        if self.rate_match {
            let _ = write!(out, " {before}rate-match");
            if self.interval != 1 {
                let _ = write!(out, " {before}rate-interval {}", self.interval);
            }
        }
        out
    }

    pub(super) fn save(&self) -> String {
        const BEFORE: &str = "--hashlimit-";
        let verb = if self.above { "above" } else { "upto" };
        let (rate, expire) = self.rate_words(self.rate, BEFORE);
        let mut out = format!(" {BEFORE}{verb}{rate}");
        let mode = self.mode_words(",");
        if !mode.is_empty() {
            let _ = write!(out, " {BEFORE}mode {mode}");
        }
        let _ = write!(out, " {BEFORE}name {}", self.name);
        out + &self.table_words(expire, BEFORE)
    }

    pub(super) fn list(&self) -> String {
        let verb = if self.above { "above" } else { "up to" };
        // The listing takes a rate for that of its interval, also where nothing is compared with it.
        let rate = match self.rate {
            Rate::Packets(period) if self.interval != 0 => {
                Rate::Packets(period.saturating_mul(u64::from(self.interval)))
            }
            Rate::Packets(_) | Rate::Bytes(_) => self.rate,
        };
        let (rate, expire) = self.rate_words(rate, "");
        let mut out = format!(" limit: {verb}{rate}");
        let mode = self.mode_words("-");
        if !mode.is_empty() {
            let _ = write!(out, " mode {mode}");
        }
        out + &self.table_words(expire, "")
    }
}

/// A rate in the largest unit in which it is a whole number, and that unit in milliseconds (`print_rate`).
fn packets_text(period: u64) -> (String, u32) {
    if period == 0 {
        return ("inf".to_owned(), 0);
    }
    let mut best = UNITS[0];
    for unit in &UNITS[1..] {
        if period > unit.1 || unit.1 / period < unit.1 % period {
            break;
        }
        best = *unit;
    }
    (format!("{}/{}", best.1 / period, best.0), u32::try_from(best.1 / SCALE * 1_000).unwrap_or(u32::MAX))
}
