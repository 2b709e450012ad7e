//! `-m connlimit`: how many connections there are from, or to, one network (`libxt_connlimit.c`).

use super::unsigned;
use crate::xtables::Masked;
use crate::xtables::matches::net_mask;
use crate::xtables::options::{Given, Spec, exclusive, find, spec};
use crate::xtables::parse::{Problem, number};
use std::net::Ipv4Addr;

/// Its options.
pub(super) const OPTIONS: &[Spec] = &[
    spec(&["--connlimit-upto"], 1),
    spec(&["--connlimit-above"], 1),
    spec(&["--connlimit-mask"], 1),
    spec(&["--connlimit-saddr"], 0),
    spec(&["--connlimit-daddr"], 0),
];

/// `-m connlimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connlimit {
    /// The number of connections.
    pub limit: u32,
    /// Whether more than that fit, rather than up to that.
    pub above: bool,
    /// `--connlimit-mask`: length of the network's prefix.
    pub prefix_len: u8,
    /// `--connlimit-daddr`: whether it is the network of the destination.
    pub by_dst: bool,
}

impl Connlimit {
    /// The network of an address.
    pub fn network(self, addr: u32) -> u32 {
        addr & net_mask(u32::from(self.prefix_len))
    }

    pub(super) fn parse(given: &[Given]) -> Result<Self, Problem> {
        let option = exclusive(given, "connlimit", &["--connlimit-upto", "--connlimit-above"])?;
        exclusive(given, "connlimit", &["--connlimit-saddr", "--connlimit-daddr"])?;
        let option = option
            .ok_or_else(|| Problem::new("You must specify \"--connlimit-above\" or \"--connlimit-upto\"."))?;
        let limit = unsigned("connlimit", option, u64::from(u32::MAX))?;
        let prefix_len = match find(given, "--connlimit-mask") {
            Some(mask) => prefix_len("connlimit", mask)?,
            None => 32,
        };
        Ok(Self {
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            above: (option.name == "--connlimit-above") != option.negated,
            prefix_len: prefix_len.min(32),
            by_dst: find(given, "--connlimit-daddr").is_some(),
        })
    }

    pub(super) fn save(self) -> String {
        let verb = if self.above { "above" } else { "upto" };
        let side = if self.by_dst { "daddr" } else { "saddr" };
        format!(" --connlimit-{verb} {} --connlimit-mask {} --connlimit-{side}", self.limit, self.prefix_len)
    }

    pub(super) fn list(self) -> String {
        let side = if self.by_dst { "dst" } else { "src" };
        let sign = if self.above { ">" } else { "<=" };
        format!(" #conn {side}/{} {sign} {}", self.prefix_len, self.limit)
    }
}

/// The length of a prefix, as a number or a mask (`xtopt_parse_plen`). It may be longer than an address.
pub(super) fn prefix_len(extension: &str, option: &Given) -> Result<u8, Problem> {
    let text = option.text();
    let dotted = || {
        let mask: Ipv4Addr = text.parse().ok()?;
        let len = Masked::V4(0, u32::from(mask)).prefix_len().unwrap_or(32);
        u8::try_from(len).ok()
    };
    let len = number(text).map(|len| u8::try_from(len).unwrap_or(u8::MAX)).or_else(dotted);
    len.ok_or_else(|| {
        let name = option.name;
        Problem::new(format!(
            "{extension}: bad value for option \"{name}\", neither a valid network mask nor valid CIDR (0-32).\n"
        ))
    })
}
