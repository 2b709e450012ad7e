//! Rules of the routing policy database, as `ip rule` shows them (`net/core/fib_rules.c`, `net/ipv4/fib_rules.c`).

use super::{NetnsState, RouteProtocol, rows_text};
use crate::base::{ChangeId, Ipv4Net, NetnsId};
use crate::wire::names;
use std::fmt::{self, Display, Formatter, Write as _};
use std::sync::Arc;

/// Bits of the type of service that a rule looks at (`IPTOS_TOS_MASK` without the congestion bits).
pub(super) const TOS_BITS: u8 = 0x1c;

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibRuleRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Its place: rules are asked from the lowest priority to the highest, among equals from the oldest.
    pub priority: u32,
    /// Whether it holds for the packets that do not fit (`not`).
    pub negated: bool,
    /// Source addresses.
    pub src: Ipv4Net,
    /// Destination addresses.
    pub dst: Ipv4Net,
    /// What the packet's mark has to be in the bits of `mask`; any where `mask` is 0.
    pub mark: u32,
    /// Bits of the mark that count.
    pub mask: u32,
    /// Interface the packet came in by; `lo` for this machine's own packets.
    pub iif: Option<Arc<str>>,
    /// Interface the sending socket is bound to.
    pub oif: Option<Arc<str>>,
    /// Type of service, by the bits that RFC 1349 gives a meaning (`fib_dscp_masked_match`); any where it is 0.
    pub tos: u8,
    /// IP protocol; any where it is 0.
    pub ipproto: u8,
    /// First and last source port.
    pub sport: Option<(u16, u16)>,
    /// First and last destination port.
    pub dport: Option<(u16, u16)>,
    /// First and last user whose socket a packet comes from; what comes from none is root's.
    pub uids: Option<(u32, u32)>,
    /// What is done with packets that fit.
    pub action: FibRuleAction,
    /// A table that is named although the action looks none up.
    pub idle_table: Option<u32>,
    /// Routes with prefixes of this length or less do not count (`suppress_prefixlength`).
    pub suppress: Option<u8>,
    /// Who installed it; `None` for `unspec`.
    pub protocol: Option<RouteProtocol>,
}

/// What a rule does (`FR_ACT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FibRuleAction {
    /// Looks a route up in this table; where there is none the next rule is asked.
    Lookup(u32),
    /// Drops in silence.
    Blackhole,
    /// Network unreachable.
    Unreachable,
    /// Communication administratively prohibited.
    Prohibit,
    /// The first rule of this priority is asked next (`goto`); this one counts for nothing while there is none.
    Goto(u32),
    /// Nothing (`nop`).
    Nop,
}

impl FibRuleRow {
    /// A rule for all packets.
    pub fn new(netns: NetnsId, priority: u32, action: FibRuleAction) -> Self {
        Self {
            netns,
            priority,
            negated: false,
            src: Ipv4Net::default(),
            dst: Ipv4Net::default(),
            mark: 0,
            mask: 0,
            iif: None,
            oif: None,
            tos: 0,
            ipproto: 0,
            sport: None,
            dport: None,
            uids: None,
            action,
            idle_table: None,
            suppress: None,
            protocol: None,
        }
    }

    /// Where among `rules` a jump to this priority leads: to the first rule that has it.
    pub fn jump(rules: &[(ChangeId, Self)], priority: u32) -> Option<usize> {
        rules.iter().position(|(_, rule)| rule.priority == priority)
    }

    /// Whether it is for packets of this type of service, IP protocol, source and destination port (0 for none) and
    /// sending user, whatever else it asks for (`fib4_rule_match`, `fib_rule_match`).
    pub fn fits_flow(&self, tos: u8, protocol: u8, ports: (u16, u16), uid: u32) -> bool {
        let port = |range: Option<(u16, u16)>, port: u16| {
            range.is_none_or(|(first, last)| port != 0 && first <= port && port <= last)
        };
        (self.tos == 0 || self.tos == tos & TOS_BITS)
            && (self.ipproto == 0 || self.ipproto == protocol)
            && port(self.sport, ports.0)
            && port(self.dport, ports.1)
            && self.uids.is_none_or(|(first, last)| first <= uid && uid <= last)
    }

    /// The three rules that every namespace begins with (`fib_default_rules_init`).
    pub fn defaults(netns: NetnsId) -> [Self; 3] {
        let rule = |priority, table| Self {
            protocol: Some(RouteProtocol::Kernel),
            ..Self::new(netns, priority, FibRuleAction::Lookup(table))
        };
        [rule(0, 255), rule(32766, 254), rule(32767, 253)]
    }

    /// Where it goes among the others: behind those of its own priority.
    pub fn place_among<'a>(&self, others: impl Iterator<Item = &'a Self>) -> usize {
        others.take_while(|other| other.priority <= self.priority).count()
    }
}

impl NetnsState {
    pub(super) fn add_rule(&mut self, change: ChangeId, row: &FibRuleRow) {
        let at = row.place_among(self.rules.iter().map(|(_, row)| row));
        self.rules.insert(at, (change, row.clone()));
        self.has_custom_rules = true;
    }

    pub(super) fn remove_rule(&mut self, row: &FibRuleRow) {
        if let Some(at) = self.rules.iter().position(|(_, rule)| rule == row) {
            self.rules.remove(at);
        }
        self.has_custom_rules = true;
    }
}

impl FibRuleAction {
    /// Its name in a rule without a lookup.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Lookup(_) | Self::Goto(_) => None,
            Self::Nop => Some("nop"),
            Self::Blackhole => Some("blackhole"),
            Self::Unreachable => Some("unreachable"),
            Self::Prohibit => Some("prohibit"),
        }
    }
}

impl FibRuleRow {
    /// Which packets it is for, as `ip rule` prints that: `from` is left out.
    pub fn selector(&self) -> String {
        let all =
            |net: Ipv4Net| if net.prefix_len() == 0 { "all".to_owned() } else { rows_text::host_or_net(net) };
        let mut out = all(self.src);
        if self.dst.prefix_len() > 0 {
            let _ = write!(out, " to {}", all(self.dst));
        }
        if self.tos > 0 {
            let _ = write!(out, " tos 0x{:02x}", self.tos);
        }
        if self.mask == u32::MAX {
            let _ = write!(out, " fwmark {:#x}", self.mark);
        } else if self.mask > 0 {
            let _ = write!(out, " fwmark {:#x}/{:#x}", self.mark, self.mask);
        }
        if let Some(iif) = &self.iif {
            let _ = write!(out, " iif {iif}");
        }
        if let Some(oif) = &self.oif {
            let _ = write!(out, " oif {oif}");
        }
        if let Some((first, last)) = self.uids {
            let _ = write!(out, " uidrange {first}-{last}");
        }
        if self.ipproto > 0 {
            let _ = write!(out, " ipproto {}", ipproto_name(self.ipproto));
        }
        for (name, range) in [("sport", self.sport), ("dport", self.dport)] {
            if let Some((first, last)) = range {
                let text = if first == last { first.to_string() } else { format!("{first}-{last}") };
                let _ = write!(out, " {name} {text}");
            }
        }
        if self.negated { format!("not {out}") } else { out }
    }

    /// What it does with them: the table that it looks up, or how it refuses.
    pub fn action_text(&self) -> String {
        let action = match self.action {
            FibRuleAction::Lookup(table) => rows_text::table(table),
            FibRuleAction::Goto(target) => format!("goto {target}"),
            FibRuleAction::Blackhole
            | FibRuleAction::Unreachable
            | FibRuleAction::Prohibit
            | FibRuleAction::Nop => self.action.name().unwrap_or_default().to_owned(),
        };
        match self.suppress {
            Some(len) => format!("{action} suppress_prefixlength {len}"),
            None => action,
        }
    }
}

/// An IP protocol as `ip rule` names it (`inet_proto_n2a`).
pub fn ipproto_name(number: u8) -> String {
    names::protocol_name(number).map_or_else(|| format!("ipproto-{number}"), str::to_owned)
}

/// As `ip rule` prints it, with a space behind the priority.
impl Display for FibRuleRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let selector = self.selector();
        let (not, selector) =
            selector.strip_prefix("not ").map_or(("", &*selector), |selector| ("not ", selector));
        let lookup = if matches!(self.action, FibRuleAction::Lookup(_)) { "lookup " } else { "" };
        write!(f, "{}: {not}from {selector} {lookup}{}", self.priority, self.action_text())
    }
}
