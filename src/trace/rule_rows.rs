//! Rules of the routing policy database, as `ip rule` shows them (`net/core/fib_rules.c`, `net/ipv4/fib_rules.c`).

use super::{NetnsState, RouteProtocol, RouteRow, rows_text};
use crate::base::{ChangeId, Ipv4Net, NetnsId};
use std::fmt::{self, Display, Formatter, Write as _};
use std::sync::Arc;

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
    /// What is done with packets that fit.
    pub action: FibRuleAction,
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
            action,
            suppress: None,
            protocol: None,
        }
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
    /// A route makes its table.
    pub(super) fn add_route(&mut self, change: ChangeId, row: RouteRow) {
        self.tables.insert(row.table);
        self.routes.push((change, row));
    }

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
            Self::Lookup(_) => None,
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
        if self.negated { format!("not {out}") } else { out }
    }

    /// What it does with them: the table that it looks up, or how it refuses.
    pub fn action_text(&self) -> String {
        let action = match self.action {
            FibRuleAction::Lookup(table) => rows_text::table(table),
            FibRuleAction::Blackhole | FibRuleAction::Unreachable | FibRuleAction::Prohibit => {
                self.action.name().unwrap_or_default().to_owned()
            }
        };
        match self.suppress {
            Some(len) => format!("{action} suppress_prefixlength {len}"),
            None => action,
        }
    }
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
