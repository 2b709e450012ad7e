//! Matches and targets about two bytes of the IP header, its time to live and its type of service: `ttl`, `tos`, `dscp`,
//! `TTL`, `TOS`, `DSCP` (`libipt_ttl.c`, `libxt_tos.c`, `libxt_dscp.c`, `libipt_TTL.c`, `libxt_TOS.c`, `libxt_DSCP.c`).

use super::Names;
use super::matches::{Match, Not};
use super::matches_parse::required;
use super::options::{Given, exclusive};
use super::parse::{Problem, number};
use super::targets::Target;

/// What `TTL` does with the time to live (`IPT_TTL_SET` and its like).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TtlOp {
    /// `--ttl-set`.
    Set(u8),
    /// `--ttl-dec`.
    Dec(u8),
    /// `--ttl-inc`.
    Inc(u8),
}

/// What `-m ttl` asks of the time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TtlTest {
    /// `--ttl-eq`.
    Equal(u8),
    /// `! --ttl-eq`.
    Unequal(u8),
    /// `--ttl-lt`.
    Less(u8),
    /// `--ttl-gt`.
    Greater(u8),
}

impl TtlOp {
    /// The time to live afterwards (`ttl_tg`): it stays within its byte.
    pub fn apply(self, ttl: u8) -> u8 {
        match self {
            Self::Set(to) => to,
            Self::Dec(by) => ttl.saturating_sub(by),
            Self::Inc(by) => ttl.saturating_add(by),
        }
    }

    pub(super) fn save(self) -> String {
        match self {
            Self::Set(to) => format!(" --ttl-set {to}"),
            Self::Dec(by) => format!(" --ttl-dec {by}"),
            Self::Inc(by) => format!(" --ttl-inc {by}"),
        }
    }

    pub(super) fn list(self) -> String {
        match self {
            Self::Set(to) => format!(" TTL set to {to}"),
            Self::Dec(by) => format!(" TTL decrement by {by}"),
            Self::Inc(by) => format!(" TTL increment by {by}"),
        }
    }
}

impl TtlTest {
    /// Whether a time to live is what is asked for (`ttl_mt`).
    pub fn fits(self, ttl: u8) -> bool {
        match self {
            Self::Equal(is) => ttl == is,
            Self::Unequal(is) => ttl != is,
            Self::Less(than) => ttl < than,
            Self::Greater(than) => ttl > than,
        }
    }

    pub(super) fn save(self) -> String {
        match self {
            Self::Equal(is) => format!(" --ttl-eq {is}"),
            Self::Unequal(is) => format!(" ! --ttl-eq {is}"),
            Self::Less(than) => format!(" --ttl-lt {than}"),
            Self::Greater(than) => format!(" --ttl-gt {than}"),
        }
    }

    pub(super) fn list(self) -> String {
        let (sign, than) = match self {
            Self::Equal(is) => ("==", is),
            Self::Unequal(is) => ("!=", is),
            Self::Less(than) => ("<", than),
            Self::Greater(than) => (">", than),
        };
        format!(" TTL match TTL {sign} {than}")
    }
}

/// Types of service by their old names (`tos_symbol_names`), which say nothing of the two highest bits.
const TOS_NAMES: [(u8, &str); 5] = [
    (16, "Minimize-Delay"),
    (8, "Maximize-Throughput"),
    (4, "Maximize-Reliability"),
    (2, "Minimize-Cost"),
    (0, "Normal-Service"),
];
/// The bits that a name of [`TOS_NAMES`] is about.
const TOS_NAME_MASK: u8 = 0x3f;
/// Classes of differentiated services (RFC 2474, RFC 2597, RFC 3246), as the upper six bits of the type of service.
const DSCP_CLASSES: [(&str, u8); 21] = [
    ("CS0", 0),
    ("CS1", 8),
    ("CS2", 16),
    ("CS3", 24),
    ("CS4", 32),
    ("CS5", 40),
    ("CS6", 48),
    ("CS7", 56),
    ("AF11", 10),
    ("AF12", 12),
    ("AF13", 14),
    ("AF21", 18),
    ("AF22", 20),
    ("AF23", 22),
    ("AF31", 26),
    ("AF32", 28),
    ("AF33", 30),
    ("AF41", 34),
    ("AF42", 36),
    ("AF43", 38),
    ("EF", 46),
];

/// The upper six bits of the type of service that a class of differentiated services stands for.
pub fn dscp_class(name: &str) -> Option<u8> {
    DSCP_CLASSES.iter().find(|(class, _)| *class == name).map(|(_, value)| *value)
}

/// The class that has a value, which is not 0.
pub fn dscp_name(value: u8) -> Option<&'static str> {
    DSCP_CLASSES.iter().find(|(_, own)| *own == value).map(|(class, _)| *class)
}

/// The number of an option, which lies within bounds.
fn byte(extension: &str, option: &Given, (min, max): (u8, u8)) -> Result<u8, Problem> {
    let value = number(option.text()).and_then(|value| u8::try_from(value).ok());
    value.filter(|value| (min..=max).contains(value)).ok_or_else(|| {
        let name = option.name;
        Problem::new(format!(
            "{extension}: bad value for option \"{name}\", or out of range ({min}-{max}).\n"
        ))
    })
}

/// A type of service and its mask (`xtopt_parse_tosmask`): `0x10/0x3f`, a number alone for all bits, or a name.
fn tos_mask(text: &str) -> Result<(u8, u8), Problem> {
    let digits = |text: &str| number(text).and_then(|value| u8::try_from(value).ok());
    let is_hex = text.starts_with("0x") || text.starts_with("0X");
    let radix = if is_hex { 16 } else { 10 };
    let first = if is_hex { 2 } else { 0 };
    let end = text[first..].find(|letter: char| !letter.is_digit(radix)).map_or(text.len(), |at| first + at);
    if let Some(value) = digits(&text[..end]) {
        if text.len() == end {
            return Ok((value, u8::MAX));
        }
        let mask = text[end..].strip_prefix('/').and_then(digits);
        return mask
            .map(|mask| (value, mask))
            .ok_or_else(|| Problem::new(format!("Illegal value: \"{text}\"")));
    }
    let named = TOS_NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    named
        .map(|(value, _)| (*value, TOS_NAME_MASK))
        .ok_or_else(|| Problem::new(format!("Symbolic name \"{text}\" is unknown")))
}

/// A class as `iptables` reads it (`class_to_dscp`): in letters of either case, and `BE` for the default.
fn class_to_dscp(name: &str) -> Result<u8, Problem> {
    let class = name.to_ascii_uppercase();
    let known = if class == "BE" { Some(0) } else { dscp_class(&class) };
    known.ok_or_else(|| Problem::new(format!("Invalid DSCP value `{name}'")))
}

/// `TTL`.
pub(super) fn ttl_target(given: &[Given]) -> Result<Target, Problem> {
    let option = exclusive(given, "TTL", &["--ttl-set", "--ttl-dec", "--ttl-inc"])?
        .ok_or_else(|| Problem::new("TTL: You must specify an action"))?;
    Ok(Target::Ttl(match option.name {
        "--ttl-set" => TtlOp::Set(byte("TTL", option, (0, 255))?),
        "--ttl-dec" => TtlOp::Dec(byte("TTL", option, (1, 255))?),
        _ => TtlOp::Inc(byte("TTL", option, (1, 255))?),
    }))
}

/// `TOS`: the bits that are cleared, and those that are turned round afterwards (`tos_tg`).
pub(super) fn tos_target(given: &[Given]) -> Result<Target, Problem> {
    let option = exclusive(given, "TOS", &["--set-tos", "--and-tos", "--or-tos", "--xor-tos"])?
        .ok_or_else(|| Problem::new("TOS: An action is required"))?;
    if option.name == "--set-tos" {
        return tos_mask(option.text()).map(|(value, mask)| Target::Tos(value, mask));
    }
    let bits = byte("TOS", option, (0, 255))?;
    Ok(match option.name {
        "--and-tos" => Target::Tos(0, !bits),
        "--or-tos" => Target::Tos(bits, bits),
        _ => Target::Tos(bits, 0),
    })
}

/// `DSCP`.
pub(super) fn dscp_target(given: &[Given]) -> Result<Target, Problem> {
    let option = exclusive(given, "DSCP", &["--set-dscp", "--set-dscp-class"])?
        .ok_or_else(|| Problem::new("DSCP target: Parameter --set-dscp is required"))?;
    let value = match option.name {
        "--set-dscp" => byte("DSCP", option, (0, 63))?,
        _ => class_to_dscp(option.text())?,
    };
    Ok(Target::Dscp(value))
}

/// `-m ttl`.
pub(super) fn ttl_match(given: &[Given]) -> Result<Match, Problem> {
    let option = exclusive(given, "ttl", &["--ttl-lt", "--ttl-gt", "--ttl-eq"])?.ok_or_else(|| {
        Problem::new("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt")
    })?;
    let value = byte("ttl", option, (0, 255))?;
    Ok(Match::Ttl(match (option.name, option.negated) {
        ("--ttl-lt", _) => TtlTest::Less(value),
        ("--ttl-gt", _) => TtlTest::Greater(value),
        (_, false) => TtlTest::Equal(value),
        (_, true) => TtlTest::Unequal(value),
    }))
}

/// `-m tos`.
pub(super) fn tos_match(given: &[Given]) -> Result<Match, Problem> {
    let option = required(given, "tos", "--tos")?;
    Ok(Match::Tos(Not { negated: option.negated, is: tos_mask(option.text())? }))
}

/// `-m dscp`.
pub(super) fn dscp_match(given: &[Given]) -> Result<Match, Problem> {
    let option = exclusive(given, "dscp", &["--dscp", "--dscp-class"])?
        .ok_or_else(|| Problem::new("DSCP match: Parameter --dscp is required"))?;
    let is = match option.name {
        "--dscp" => byte("dscp", option, (0, 63))?,
        _ => class_to_dscp(option.text())?,
    };
    Ok(Match::Dscp(Not { negated: option.negated, is }))
}

/// The old name of a type of service, where it has one and names are wanted.
fn tos_name((value, mask): (u8, u8), names: Names) -> Option<&'static str> {
    if names == Names::Numeric || mask != TOS_NAME_MASK {
        return None;
    }
    TOS_NAMES.iter().find(|(own, _)| *own == value).map(|(_, name)| *name)
}

/// `TOS` as `iptables -L` prints it; before a name there is one blank more, and behind its verb none.
pub(super) fn tos_target_words(value: u8, mask: u8, names: Names) -> String {
    let hex = format!(" TOS set 0x{value:02x}/0x{mask:02x}");
    match tos_name((value, mask), names) {
        Some(name) => format!("  TOS set{name}"),
        None if names == Names::Numeric => hex,
        None if value == 0 => format!(" TOS and 0x{:02x}", !mask),
        None if value == mask => format!(" TOS or 0x{value:02x}"),
        None if mask == 0 => format!(" TOS xor 0x{value:02x}"),
        None => hex,
    }
}

/// `-m tos` as `iptables -L` prints it.
pub(super) fn tos_match_words(tos: Not<(u8, u8)>, names: Names) -> String {
    let (value, mask) = tos.is;
    let what = tos_name(tos.is, names)
        .map_or_else(|| format!("0x{value:02x}/0x{mask:02x}"), |name| format!(" {name}"));
    format!(" tos match{}{what}", tos.mark())
}
