//! Targets that do something beside the packet's way: `CLASSIFY`, `CHECKSUM`, `TEE`, `NFLOG`, `AUDIT` (`libxt_CLASSIFY.c`,
//! `libxt_CHECKSUM.c`, `libxt_TEE.c`, `libxt_NFLOG.c`, `libxt_AUDIT.c`).

use super::unsigned;
use crate::base::Ipv4Addr;
use crate::xtables::Family;
use crate::xtables::matches_parse::required;
use crate::xtables::options::{Extension, Given, find, spec};
use crate::xtables::parse::Problem;
use crate::xtables::save::quoted;
use std::fmt::Write as _;
use std::sync::Arc;

/// Their options.
pub(crate) const TARGETS: [Extension; 5] = [
    ("CLASSIFY", &[spec(&["--set-class"], 1)]),
    ("CHECKSUM", &[spec(&["--checksum-fill"], 0)]),
    ("TEE", &[spec(&["--gateway"], 1), spec(&["--oif"], 1)]),
    (
        "NFLOG",
        &[
            spec(&["--nflog-group"], 1),
            spec(&["--nflog-prefix"], 1),
            spec(&["--nflog-range"], 1),
            spec(&["--nflog-size"], 1),
            spec(&["--nflog-threshold"], 1),
        ],
    ),
    ("AUDIT", &[spec(&["--type"], 1)]),
];

/// A target after which a packet goes on as it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SideTarget {
    /// `CLASSIFY`: the class of a queueing discipline, of 16 bits each.
    Classify(u16, u16),
    /// `CHECKSUM --checksum-fill`.
    Checksum,
    /// `TEE`.
    Tee(Tee),
    /// `NFLOG`.
    Nflog(Nflog),
    /// `AUDIT`.
    Audit(Audit),
}

/// `TEE`: a copy goes to another host on a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tee {
    /// `--gateway`.
    pub gateway: Ipv4Addr,
    /// `--oif`.
    pub oif: Option<Arc<str>>,
}

/// `NFLOG`: the packet is told to programs that listen to a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nflog {
    /// `--nflog-group`.
    pub group: u16,
    /// `--nflog-prefix`.
    pub prefix: Arc<str>,
    /// `--nflog-size`: bytes of the packet that are told.
    pub size: Option<u32>,
    /// `--nflog-threshold`: packets that are told together; 0 where not said.
    pub threshold: u16,
}

/// `AUDIT --type`: what is said to become of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audit {
    /// `accept`.
    Accept,
    /// `drop`.
    Drop,
    /// `reject`.
    Reject,
}

impl Audit {
    fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }
}

/// The target `name` of [`TARGETS`] from its options.
pub(crate) fn build(name: &str, given: &[Given], family: Family) -> Result<SideTarget, Problem> {
    Ok(match name {
        "CLASSIFY" => {
            let text = required(given, name, "--set-class")?.text();
            let found = class(text).ok_or_else(|| Problem::new(format!("Bad class value \"{text}\"")))?;
            SideTarget::Classify(found.0, found.1)
        }
        "CHECKSUM" => {
            required(given, name, "--checksum-fill")?;
            SideTarget::Checksum
        }
        "TEE" => {
            let text = required(given, name, "--gateway")?.text();
            if family == Family::V6 {
                return Err(Problem::NotSimulated("-j TEE of IPv6".to_owned()));
            }
            let gateway =
                text.parse().map_err(|_| Problem::new("getaddrinfo: Name or service not known\n"))?;
            SideTarget::Tee(Tee { gateway, oif: find(given, "--oif").map(|option| option.text().into()) })
        }
        "NFLOG" => SideTarget::Nflog(nflog(given)?),
        _ => {
            let text = required(given, name, "--type")?.text();
            let kinds = [Audit::Accept, Audit::Drop, Audit::Reject];
            let found = kinds.into_iter().find(|kind| kind.name() == text);
            let bad = || Problem::new(format!("Bad action type value \"{text}\""));
            SideTarget::Audit(found.ok_or_else(bad)?)
        }
    })
}

/// Two numbers in hexadecimal with a colon between; what follows does not matter. Of the first the lower half counts
/// (`TC_H_MAKE`).
fn class(text: &str) -> Option<(u16, u16)> {
    let hex = |text: &str| {
        let text = text.trim_start();
        let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let end = text.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(text.len());
        let value = u64::from_str_radix(text.get(..end)?, 16).ok()?;
        Some((value as u16, text[end..].to_owned()))
    };
    let (major, rest) = hex(text)?;
    let (minor, _) = hex(rest.strip_prefix(':')?)?;
    Some((major, minor))
}

fn nflog(given: &[Given]) -> Result<Nflog, Problem> {
    /// Bytes of a prefix that the kernel keeps (`NF_LOG_PREFIXLEN`), without the one that ends it.
    const PREFIX_MAX: usize = 127;
    let number =
        |name: &str, max: u64| find(given, name).map(|option| unsigned("NFLOG", option, max)).transpose();
    let half = |name: &str| -> Result<u16, Problem> {
        let value = number(name, u64::from(u16::MAX))?.unwrap_or(0);
        Ok(u16::try_from(value).unwrap_or(u16::MAX))
    };
    let prefix = find(given, "--nflog-prefix").map(Given::text);
    if prefix == Some("") {
        return Err(Problem::new("Argument must have a minimum length of 1 characters\n"));
    }
    number("--nflog-range", u64::from(u32::MAX))?;
    Ok(Nflog {
        group: half("--nflog-group")?,
        prefix: prefix.unwrap_or("").chars().take(PREFIX_MAX).collect::<String>().into(),
        size: number("--nflog-size", u64::from(u32::MAX))?
            .map(|size| u32::try_from(size).unwrap_or(u32::MAX)),
        threshold: half("--nflog-threshold")?,
    })
}

impl Nflog {
    /// What is said, each after `before`.
    fn words(&self, before: &str) -> String {
        let mut out = String::new();
        if !self.prefix.is_empty() {
            let _ = write!(out, " {before}nflog-prefix {}", quoted(&self.prefix));
        }
        if self.group != 0 {
            let _ = write!(out, " {before}nflog-group {}", self.group);
        }
        if let Some(size) = self.size {
            let _ = write!(out, " {before}nflog-size {size}");
        }
        if self.threshold != 0 {
            let _ = write!(out, " {before}nflog-threshold {}", self.threshold);
        }
        out
    }
}

impl SideTarget {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Classify(..) => "CLASSIFY",
            Self::Checksum => "CHECKSUM",
            Self::Tee(_) => "TEE",
            Self::Nflog(_) => "NFLOG",
            Self::Audit(_) => "AUDIT",
        }
    }

    /// Its options, each with a blank before it.
    pub(crate) fn save(&self) -> String {
        match self {
            Self::Classify(major, minor) => format!(" --set-class {major:04x}:{minor:04x}"),
            Self::Checksum => " --checksum-fill".to_owned(),
            Self::Tee(tee) => {
                let oif = tee.oif.as_ref().map_or_else(String::new, |oif| format!(" --oif {oif}"));
                format!(" --gateway {}{oif}", tee.gateway)
            }
            Self::Nflog(log) => log.words("--"),
            Self::Audit(kind) => format!(" --type {}", kind.name()),
        }
    }

    /// What `iptables -L` prints behind the columns, with a blank before it.
    pub(crate) fn list(&self) -> String {
        match self {
            Self::Classify(major, minor) => format!(" CLASSIFY set {major:x}:{minor:x}"),
            Self::Checksum => " CHECKSUM fill".to_owned(),
            Self::Tee(tee) => {
                let oif = tee.oif.as_ref().map_or_else(String::new, |oif| format!(" oif={oif}"));
                format!(" TEE gw:{}{oif}", tee.gateway)
            }
            Self::Nflog(log) => log.words(""),
            Self::Audit(kind) => format!(" AUDIT {}", kind.name()),
        }
    }
}
