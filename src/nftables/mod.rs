//! nftables in words: base chains, rules, sets and verdict maps, as `nft list ruleset` prints them (nft(8)). Only what
//! kube-proxy's nftables mode writes is there.

mod rule;

pub use rule::{Far, Key, Part, Rule, Side, Verdict};

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

/// Where a base chain is hooked in (`hook` and `priority`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Base {
    /// Type of the chain.
    pub kind: Kind,
    /// Hook.
    pub hook: Hook,
    /// Priority; chains with a lower one are asked first.
    pub priority: i32,
}

/// Type of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Takes or drops.
    Filter,
    /// Translates; only the first packet of a connection passes it.
    Nat,
}

/// Hook of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// `prerouting`.
    Prerouting,
    /// `input`.
    Input,
    /// `forward`.
    Forward,
    /// `output`.
    Output,
    /// `postrouting`.
    Postrouting,
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }
}

/// Priorities that have names, each with the hook it is for (`std_prios` of nft); nothing stands for all.
const NAMED: [(&str, i32, Option<Hook>); 5] = [
    ("raw", -300, None),
    ("mangle", -150, None),
    ("dstnat", -100, Some(Hook::Prerouting)),
    ("filter", 0, None),
    ("srcnat", 100, Some(Hook::Postrouting)),
];

impl fmt::Display for Base {
    /// As `nft` prints the line in a chain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Filter => "filter",
            Kind::Nat => "nat",
        };
        write!(f, "type {kind} hook {} priority ", self.hook.name())?;
        let near = NAMED
            .iter()
            .filter(|(_, _, hook)| hook.is_none_or(|hook| hook == self.hook))
            .find(|(_, value, _)| (self.priority - value).abs() <= 10);
        match near {
            Some((name, value, _)) if *value == self.priority => f.write_str(name)?,
            Some((name, value, _)) if *value < self.priority => {
                write!(f, "{name} + {}", self.priority - value)?;
            }
            Some((name, value, _)) => write!(f, "{name} - {}", value - self.priority)?,
            None => write!(f, "{}", self.priority)?,
        }
        f.write_str("; policy accept;")
    }
}

/// A chain: a base chain is passed at its hook, any other when a rule leads there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where it is hooked in, of a base chain.
    pub base: Option<Base>,
    /// Comment.
    pub comment: Option<&'static str>,
    /// Its rules in order.
    pub rules: Vec<Arc<Rule>>,
}

/// What the elements of a set or a map are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// Addresses.
    Addresses,
    /// Address, protocol and port.
    Sockets,
    /// Protocol and port.
    Ports,
}

/// A set, or a map from its elements to verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Whether it is a map to verdicts (`vmap`).
    pub is_map: bool,
    /// What its elements are made of.
    pub shape: Shape,
    /// Comment.
    pub comment: Option<&'static str>,
    /// Seconds that an element stays which the packets themselves put in; `None` for a set that they do not change.
    pub timeout: Option<u32>,
}

impl Shape {
    fn type_name(self, is_v6: bool) -> &'static str {
        match (self, is_v6) {
            (Self::Addresses, false) => "ipv4_addr",
            (Self::Addresses, true) => "ipv6_addr",
            (Self::Sockets, false) => "ipv4_addr . inet_proto . inet_service",
            (Self::Sockets, true) => "ipv6_addr . inet_proto . inet_service",
            (Self::Ports, _) => "inet_proto . inet_service",
        }
    }
}

impl Set {
    /// `set` or `map`.
    pub fn word(&self) -> &'static str {
        if self.is_map { "map" } else { "set" }
    }

    /// Its lines without the elements, as `nft` prints them.
    pub fn lines(&self, is_v6: bool) -> Vec<String> {
        let to = if self.is_map { " : verdict" } else { "" };
        let mut lines = vec![format!("type {}{to}", self.shape.type_name(is_v6))];
        if let Some(seconds) = self.timeout {
            lines.push("size 65535".to_owned());
            lines.push("flags dynamic,timeout".to_owned());
            lines.push(format!("timeout {}", seconds_text(seconds)));
        }
        lines.extend(self.comment.map(|text| format!("comment \"{text}\"")));
        lines
    }
}

/// A protocol as `nft` prints it.
pub fn protocol_text(protocol: u8) -> String {
    match protocol {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

/// An element: the address where its shape has one, the protocol and the port where it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    /// Address.
    pub addr: Option<std::net::IpAddr>,
    /// Protocol and port.
    pub port: Option<(u8, u16)>,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = self.addr.map(|addr| addr.to_string());
        let port = self.port.map(|(protocol, port)| format!("{} . {port}", protocol_text(protocol)));
        f.write_str(&addr.into_iter().chain(port).collect::<Vec<_>>().join(" . "))
    }
}

/// A set with its elements: what a map holds for each, and a comment.
pub type Filled = (Set, BTreeMap<Element, (Option<Verdict>, Option<Arc<str>>)>);

/// A table of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Chains by name.
    pub chains: BTreeMap<Arc<str>, Chain>,
    /// Sets and maps by name.
    pub sets: BTreeMap<Arc<str>, Filled>,
}

impl Ruleset {
    /// Adds a rule at the end of a chain, which is made where it is missing.
    pub fn rule(&mut self, chain: &str, parts: Vec<Part>, comment: Option<&'static str>) {
        let rule = Arc::new(Rule { parts, comment });
        match self.chains.get_mut(chain) {
            Some(known) => known.rules.push(rule),
            None => {
                self.chains.insert(chain.into(), Chain { rules: vec![rule], ..Chain::default() });
            }
        }
    }

    /// Adds an element to a set or a map that is there.
    pub fn add(&mut self, set: &str, element: Element, verdict: Option<Verdict>, comment: Option<Arc<str>>) {
        if let Some((_, elements)) = self.sets.get_mut(set) {
            elements.insert(element, (verdict, comment));
        }
    }
}

/// Seconds as `nft` prints a time: `3h`, `2m30s`.
pub fn seconds_text(seconds: u32) -> String {
    let parts =
        [(seconds / 86_400, 'd'), (seconds / 3600 % 24, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let mut text = String::new();
    for (count, unit) in parts.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, "{count}{unit}");
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_said_by_the_nearest_name_of_their_hook() {
        let base = |kind, hook, priority| Base { kind, hook, priority }.to_string();
        assert_eq!(
            base(Kind::Filter, Hook::Prerouting, -110),
            "type filter hook prerouting priority dstnat - 10; policy accept;"
        );
        assert_eq!(
            base(Kind::Filter, Hook::Output, -110),
            "type filter hook output priority -110; policy accept;"
        );
        assert_eq!(
            base(Kind::Filter, Hook::Input, 0),
            "type filter hook input priority filter; policy accept;"
        );
        assert_eq!(
            base(Kind::Nat, Hook::Postrouting, 100),
            "type nat hook postrouting priority srcnat; policy accept;"
        );
        assert_eq!((seconds_text(10_800), seconds_text(150)), ("3h".to_owned(), "2m30s".to_owned()));
    }
}
