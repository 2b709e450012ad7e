//! Matches and targets that fewer rules use, each as its library of iptables 1.8.9 reads and prints it
//! (`extensions/libxt_*.c`).

mod connlimit;
mod hashlimit;
mod header;
mod string;
mod targets;
mod time;
mod u32;

pub use connlimit::Connlimit;
pub use hashlimit::{Hashlimit, HashlimitMode, Rate};
pub use header::{Ecn, Iprange, PktType};
pub use string::{Search, StringMatch};
pub use targets::{Audit, Nflog, SideTarget, Tee};
pub use time::TimeMatch;
pub use u32::U32Test;

pub(super) use targets::{TARGETS, build as build_target};

use super::matches::Not;
use super::matches_parse::required;
use super::options::{Extension, Given, spec};
use super::parse::{Problem, number};
use super::save::quoted;
use crate::base::MacAddr;
use std::sync::Arc;

/// A match that a packet alone, the time or its connection answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PacketMatch {
    /// `-m length`: first and last size of the IP packet in bytes.
    Length(Not<(u16, u16)>),
    /// `-m mac`: the Ethernet address that it came from.
    Mac(Not<MacAddr>),
    /// `-m pkttype`: to whom its frame was sent.
    Pkttype(Not<PktType>),
    /// `-m string`.
    String(Box<StringMatch>),
    /// `-m iprange`.
    Iprange(Iprange),
    /// `-m u32`: tests that all have to be fulfilled.
    U32(Not<Vec<U32Test>>),
    /// `-m time`.
    Time(TimeMatch),
    /// `-m ecn`.
    Ecn(Ecn),
    /// `-m helper`: the name of the helper that expected its connection.
    Helper(Not<Arc<str>>),
}

/// A match that remembers the packets it was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CountingMatch {
    /// `-m connlimit`.
    Connlimit(Connlimit),
    /// `-m hashlimit`.
    Hashlimit(Box<Hashlimit>),
    /// `-m quota`: bytes that fit.
    Quota(Not<u64>),
}

/// Their options.
pub(super) const MATCHES: [Extension; 12] = [
    ("length", &[spec(&["--length"], 1)]),
    ("mac", &[spec(&["--mac-source"], 1)]),
    ("pkttype", &[spec(&["--pkt-type"], 1)]),
    (
        "string",
        &[
            spec(&["--from"], 1),
            spec(&["--to"], 1),
            spec(&["--algo"], 1),
            spec(&["--string"], 1),
            spec(&["--hex-string"], 1),
            spec(&["--icase"], 0),
        ],
    ),
    ("iprange", &[spec(&["--src-range"], 1), spec(&["--dst-range"], 1)]),
    ("u32", &[spec(&["--u32"], 1)]),
    ("time", time::OPTIONS),
    ("ecn", &[spec(&["--ecn-tcp-cwr"], 0), spec(&["--ecn-tcp-ece"], 0), spec(&["--ecn-ip-ect"], 1)]),
    ("helper", &[spec(&["--helper"], 1)]),
    ("connlimit", connlimit::OPTIONS),
    ("hashlimit", hashlimit::OPTIONS),
    ("quota", &[spec(&["--quota"], 1)]),
];

/// Options of [`MATCHES`] that `!` may stand before (`XTOPT_INVERT`).
pub(super) const INVERTIBLE: [&str; 19] = [
    "--length",
    "--mac-source",
    "--pkt-type",
    "--string",
    "--hex-string",
    "--src-range",
    "--dst-range",
    "--u32",
    "--weekdays",
    "--monthdays",
    "--ecn-tcp-cwr",
    "--ecn-tcp-ece",
    "--ecn-ip-ect",
    "--helper",
    "--connlimit-upto",
    "--connlimit-above",
    "--hashlimit-upto",
    "--hashlimit-above",
    "--quota",
];

/// The match `name` of [`MATCHES`] from its options: one that a packet answers, or one that counts.
pub(super) fn build(name: &str, given: &[Given]) -> Result<super::Match, Problem> {
    use super::Match::{Counting, Packet};
    Ok(match name {
        "length" => {
            let option = required(given, name, "--length")?;
            let (first, last) = numbers(name, option, u64::from(u16::MAX))?;
            let last = last.unwrap_or(first);
            Packet(PacketMatch::Length(Not {
                negated: option.negated,
                is: (u16::try_from(first).unwrap_or(u16::MAX), u16::try_from(last).unwrap_or(u16::MAX)),
            }))
        }
        "mac" => Packet(PacketMatch::Mac(header::mac(required(given, name, "--mac-source")?)?)),
        "pkttype" => Packet(PacketMatch::Pkttype(header::pkttype(required(given, name, "--pkt-type")?)?)),
        "string" => Packet(PacketMatch::String(Box::new(StringMatch::parse(given)?))),
        "iprange" => Packet(PacketMatch::Iprange(Iprange::parse(given)?)),
        "u32" => {
            let option = required(given, name, "--u32")?;
            Packet(PacketMatch::U32(Not { negated: option.negated, is: u32::parse(option.text())? }))
        }
        "time" => Packet(PacketMatch::Time(TimeMatch::parse(given)?)),
        "ecn" => Packet(PacketMatch::Ecn(Ecn::parse(given)?)),
        "helper" => {
            /// Bytes of a name that the kernel keeps (`struct xt_helper_info`), without the one that ends it.
            const NAME_MAX: usize = 29;
            let option = required(given, name, "--helper")?;
            let name: String = option.text().chars().take(NAME_MAX).collect();
            Packet(PacketMatch::Helper(Not { negated: option.negated, is: name.into() }))
        }
        "connlimit" => Counting(CountingMatch::Connlimit(Connlimit::parse(given)?)),
        "hashlimit" => Counting(CountingMatch::Hashlimit(Box::new(Hashlimit::parse(given)?))),
        _ => {
            let option = required(given, name, "--quota")?;
            let bytes = unsigned(name, option, u64::MAX)?;
            Counting(CountingMatch::Quota(Not { negated: option.negated, is: bytes }))
        }
    })
}

/// The number of an option (`xtopt_parse_int`).
pub(super) fn unsigned(extension: &str, option: &Given, max: u64) -> Result<u64, Problem> {
    number(option.text()).filter(|value| *value <= max).ok_or_else(|| {
        let name = option.name;
        Problem::new(format!("{extension}: bad value for option \"{name}\", or out of range (0-{max}).\n"))
    })
}

/// One number, or two with a colon between, either of which may be left out (`xtopt_parse_mint`).
fn numbers(extension: &str, option: &Given, max: u64) -> Result<(u64, Option<u64>), Problem> {
    let (text, name) = (option.text(), option.name);
    let parts: Vec<&str> = text.split(':').collect();
    let rest = |at: usize| parts[at..].join(":");
    let one = |at: usize, missing: u64| -> Result<u64, Problem> {
        let part = parts[at];
        if part.is_empty() {
            return Ok(missing);
        }
        let value = number(part).filter(|value| *value <= max);
        let digits = part.chars().take_while(char::is_ascii_digit).count();
        if value.is_none() && digits > 0 && !part.starts_with('0') && digits < part.len() {
            let near = rest(at).split_off(digits);
            return Err(Problem::new(format!(
                "{extension}: Argument to \"{name}\" has unexpected characters near \"{near}\".\n"
            )));
        }
        value.ok_or_else(|| {
            let near = rest(at);
            Problem::new(format!(
                "{extension}: bad value for option \"{name}\" near \"{near}\", or out of range (0-{max}).\n"
            ))
        })
    };
    let first = one(0, 0)?;
    let last = if parts.len() > 1 { Some(one(1, max)?) } else { None };
    if parts.len() > 2 {
        return Err(Problem::new(format!(
            "{extension}: Too many components for option \"{name}\" (max: 2)\n"
        )));
    }
    Ok((first, last))
}

impl PacketMatch {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Length(_) => "length",
            Self::Mac(_) => "mac",
            Self::Pkttype(_) => "pkttype",
            Self::String(_) => "string",
            Self::Iprange(_) => "iprange",
            Self::U32(_) => "u32",
            Self::Time(_) => "time",
            Self::Ecn(_) => "ecn",
            Self::Helper(_) => "helper",
        }
    }

    /// Its options, each with a blank before it.
    pub(super) fn save(&self) -> String {
        match self {
            Self::Length(length) => format!(" {}--length {}", length.bang(), length_text(length.is)),
            Self::Mac(mac) => format!(" {}--mac-source {}", mac.bang(), mac.is),
            Self::Pkttype(kind) => format!(" {}--pkt-type {}", kind.bang(), kind.is.name()),
            Self::String(string) => string.save(),
            Self::Iprange(range) => range.words(["--src-range", "--dst-range"]),
            Self::U32(tests) => format!(" {}--u32 \"{}\"", tests.bang(), u32::text(&tests.is)),
            Self::Time(time) => time.save(),
            Self::Ecn(ecn) => ecn.save(),
            Self::Helper(name) => format!(" {}--helper {}", name.bang(), quoted(&name.is)),
        }
    }

    /// What `iptables -L` prints behind the columns, with a blank before it.
    pub(super) fn list(&self) -> String {
        match self {
            Self::Length(length) => format!(" length {}{}", length.mark(), length_text(length.is)),
            Self::Mac(mac) => format!(" MAC {}{}", mac.bang(), mac.is),
            Self::Pkttype(kind) => {
                format!(" PKTTYPE {}= {}", if kind.negated { "!" } else { "" }, kind.is.name())
            }
            Self::String(string) => string.list(),
            Self::Iprange(range) => range.list(),
            Self::U32(tests) => format!(" u32 {}\"{}\"", tests.bang(), u32::text(&tests.is)),
            Self::Time(time) => time.list(),
            Self::Ecn(ecn) => ecn.list(),
            Self::Helper(name) => format!(" helper match {}\"{}\"", name.bang(), name.is),
        }
    }
}

fn length_text((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}:{last}") }
}

impl CountingMatch {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connlimit(_) => "connlimit",
            Self::Hashlimit(_) => "hashlimit",
            Self::Quota(_) => "quota",
        }
    }

    /// Its options, each with a blank before it.
    pub(super) fn save(&self) -> String {
        match self {
            Self::Connlimit(limit) => limit.save(),
            Self::Hashlimit(limit) => limit.save(),
            Self::Quota(quota) => format!(" {}--quota {}", quota.bang(), quota.is),
        }
    }

    /// What `iptables -L` prints behind the columns, with a blank before it.
    pub(super) fn list(&self) -> String {
        match self {
            Self::Connlimit(limit) => limit.list(),
            Self::Hashlimit(limit) => limit.list(),
            Self::Quota(quota) => format!(" quota: {} bytes", quota.is),
        }
    }
}
