//! Matches about what stands in a packet's headers: `mac`, `pkttype`, `iprange`, `ecn` (`libxt_mac.c`, `libxt_pkttype.c`,
//! `libxt_iprange.c`, `libxt_ecn.c`).

use super::unsigned;
use crate::base::{Ipv4Addr, MacAddr};
use crate::xtables::matches::Not;
use crate::xtables::options::{Given, find};
use crate::xtables::parse::Problem;
use std::fmt::Write as _;

/// To whom a frame was sent (`skb->pkt_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PktType {
    /// To this machine.
    Unicast,
    /// To everybody.
    Broadcast,
    /// To a group.
    Multicast,
}

impl PktType {
    /// Its name, as the tools print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unicast => "unicast",
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
        }
    }
}

/// The type of a packet, by one of its names in letters of either case.
pub(super) fn pkttype(option: &Given) -> Result<Not<PktType>, Problem> {
    const NAMES: [(&str, PktType); 6] = [
        ("unicast", PktType::Unicast),
        ("broadcast", PktType::Broadcast),
        ("multicast", PktType::Multicast),
        ("bcast", PktType::Broadcast),
        ("mcast", PktType::Multicast),
        ("host", PktType::Unicast),
    ];
    let text = option.text();
    let found = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found
        .map(|(_, is)| Not { negated: option.negated, is: *is })
        .ok_or_else(|| Problem::new(format!("Bad packet type '{text}'")))
}

/// An Ethernet address of six numbers in hexadecimal (`xtopt_parse_ethermac`).
pub(super) fn mac(option: &Given) -> Result<Not<MacAddr>, Problem> {
    let bad = || Problem::new("Invalid MAC address specified.");
    let parts: Vec<&str> = option.text().split(':').collect();
    let mut octets = [0; 6];
    if parts.len() != octets.len() {
        return Err(bad());
    }
    for (octet, part) in octets.iter_mut().zip(parts) {
        *octet = u8::from_str_radix(part, 16).map_err(|_| bad())?;
    }
    Ok(Not { negated: option.negated, is: MacAddr(octets) })
}

/// First and last address.
type Addresses = (Ipv4Addr, Ipv4Addr);

/// `-m iprange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Iprange {
    /// `--src-range`: first and last address.
    pub src: Option<Not<Addresses>>,
    /// `--dst-range`: first and last address.
    pub dst: Option<Not<Addresses>>,
}

impl Iprange {
    pub(super) fn parse(given: &[Given]) -> Result<Self, Problem> {
        let range = |name: &str| match find(given, name) {
            Some(option) => {
                let text = option.text();
                let one = |text: &str| {
                    numeric_address(text).ok_or_else(|| {
                        Problem::new(format!("iprange: Bad value for \"{name}\" option: \"{text}\""))
                    })
                };
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                Ok(Some(Not { negated: option.negated, is: (one(first)?, one(last)?) }))
            }
            None => Ok(None),
        };
        let range = Self { src: range("--src-range")?, dst: range("--dst-range")? };
        if range.src.is_none() && range.dst.is_none() {
            let text = "iprange match: You must specify `--src-range' or `--dst-range'";
            return Err(Problem::new(text));
        }
        Ok(range)
    }

    /// Both ranges, each after its name.
    pub(super) fn words(&self, names: [&str; 2]) -> String {
        let mut out = String::new();
        for (name, range) in names.iter().zip([self.src, self.dst]) {
            if let Some(range) = range {
                let (first, last) = range.is;
                let _ = write!(out, " {}{name} {first}-{last}", range.bang());
            }
        }
        out
    }

    pub(super) fn list(&self) -> String {
        let mut out = String::new();
        for (name, range) in [("source", self.src), ("destination", self.dst)] {
            if let Some(range) = range {
                let (first, last) = range.is;
                let _ = write!(out, " {name} IP range {}{first}-{last}", range.bang());
            }
        }
        out
    }

    /// Ranges that end before they begin, as they were written.
    pub fn reversed(&self) -> impl Iterator<Item = String> {
        let ranges = [self.src, self.dst].into_iter().flatten();
        ranges.filter(|range| range.is.0 > range.is.1).map(|range| format!("{}-{}", range.is.0, range.is.1))
    }
}

/// An address whose last numbers may be left out, as zeros (`xtables_numeric_to_ipaddr`).
fn numeric_address(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let mut octets = [0; 4];
    if parts.len() > octets.len() {
        return None;
    }
    for (octet, part) in octets.iter_mut().zip(parts) {
        *octet = part.parse().ok()?;
    }
    Some(octets.into())
}

/// `-m ecn`: the bits of explicit congestion notification (RFC 3168).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ecn {
    /// `--ecn-tcp-ece`.
    pub ece: Option<Not<()>>,
    /// `--ecn-tcp-cwr`.
    pub cwr: Option<Not<()>>,
    /// `--ecn-ip-ect`: the two lower bits of the type of service.
    pub ect: Option<Not<u8>>,
}

impl Ecn {
    /// Whether it asks about the header of TCP.
    pub fn asks_tcp(self) -> bool {
        self.ece.is_some() || self.cwr.is_some()
    }

    pub(super) fn parse(given: &[Given]) -> Result<Self, Problem> {
        let flag = |name: &str| find(given, name).map(|option| Not { negated: option.negated, is: () });
        let ect = match find(given, "--ecn-ip-ect") {
            Some(option) => {
                let value = unsigned("ecn", option, 3)?;
                Some(Not { negated: option.negated, is: u8::try_from(value).unwrap_or(0) })
            }
            None => None,
        };
        let ecn = Self { ece: flag("--ecn-tcp-ece"), cwr: flag("--ecn-tcp-cwr"), ect };
        if ecn == Self::default() {
            return Err(Problem::new("ECN match: some option required"));
        }
        Ok(ecn)
    }

    pub(super) fn save(self) -> String {
        let mut out = String::new();
        for (name, flag) in [("ece", self.ece), ("cwr", self.cwr)] {
            if let Some(flag) = flag {
                let _ = write!(out, " {}--ecn-tcp-{name}", flag.bang());
            }
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " {}--ecn-ip-ect {}", ect.bang(), ect.is);
        }
        out
    }

    pub(super) fn list(self) -> String {
        let mut out = String::from(" ECN match");
        for (name, flag) in [("ECE", self.ece), ("CWR", self.cwr)] {
            if let Some(flag) = flag {
                let _ = write!(out, " {}{name}", flag.mark());
            }
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " {}ECT={}", ect.mark(), ect.is);
        }
        out
    }
}
