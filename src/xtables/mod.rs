//! The rules of netfilter as plain data, and the language in which `iptables` reads and prints them (version 1.8.9):
//! tables, chains, rules with their matches and targets. Nothing here looks at a packet.

mod extensions;
mod header_fields;
mod list;
mod matches;
mod matches_parse;
mod matches_save;
mod options;
mod parse;
mod ports;
mod save;
mod targets;
mod targets_parse;

pub use extensions::{
    Audit, Connlimit, CountingMatch, Ecn, Hashlimit, HashlimitMode, Iprange, Nflog, PacketMatch, PktType,
    Rate, Search, SideTarget, StringMatch, Tee, TimeMatch, U32Test,
};
pub use header_fields::{TtlOp, TtlTest, dscp_class, dscp_name};
pub use list::{Names, list_target, list_words};
pub use matches::{
    Addrtype, Conntrack, Icmp, Iface, Match, Multiport, Not, Owner, Physdev, PortRange, PortSide, Recent,
    RecentMode, Rpfilter, SetMatch, Statistic, Tcp, Udp, ctstate, net_mask,
};
pub use options::is_target;
pub use parse::{Problem, RuleBuilder, Words, parse_line, parse_rule, parse_rule_of, parse_rule_with};
pub use ports::{protocol_name, protocol_number, service_name, service_port};
pub use save::quoted;
pub use targets::{ConnmarkOp, Log, NatFlags, NatRange, RejectWith, Target, Tcpmss};

use std::net::IpAddr;
use std::sync::Arc;

/// Which internet protocol a table is for: `iptables` or `ip6tables`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Whether `ip` belongs to it.
    pub fn has(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == (self == Self::V4)
    }
}

/// A table of iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `filter`.
    Filter,
    /// `nat`.
    Nat,
    /// `mangle`.
    Mangle,
    /// `raw`.
    Raw,
    /// `security`.
    Security,
}

impl Table {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 5] = [Self::Filter, Self::Mangle, Self::Nat, Self::Raw, Self::Security];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Mangle => "mangle",
            Self::Raw => "raw",
            Self::Security => "security",
        }
    }

    /// The table of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Its built-in chains in the order of the hooks.
    pub fn builtin(self) -> &'static [&'static str] {
        match self {
            Self::Filter | Self::Security => &["INPUT", "FORWARD", "OUTPUT"],
            Self::Nat => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
            Self::Mangle => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
            Self::Raw => &["PREROUTING", "OUTPUT"],
        }
    }
}

/// What a built-in chain does with a packet that no rule decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// It goes on.
    Accept,
    /// It is dropped in silence.
    Drop,
}

impl Policy {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
        }
    }
}

/// An address with a mask, which need not be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Masked {
    /// Of IPv4: the address with the masked bits cleared, and the mask.
    V4(u32, u32),
    /// The same of IPv6.
    V6(u128, u128),
}

impl Default for Masked {
    fn default() -> Self {
        Self::ANY
    }
}

impl Masked {
    /// Any address, of either protocol.
    pub const ANY: Self = Self::V4(0, 0);

    /// Whether `addr` lies in it.
    pub fn contains(self, addr: IpAddr) -> bool {
        match (self, addr) {
            (Self::V4(net, mask), IpAddr::V4(addr)) => u32::from(addr) & mask == net,
            (Self::V6(net, mask), IpAddr::V6(addr)) => u128::from(addr) & mask == net,
            (Self::V4(_, mask), IpAddr::V6(_)) => mask == 0,
            (Self::V6(_, mask), IpAddr::V4(_)) => mask == 0,
        }
    }

    /// The address in this network with the host part of `addr` (`netmap_tg4`). One of the other protocol stays.
    pub fn map(self, addr: IpAddr) -> IpAddr {
        match (self, addr) {
            (Self::V4(net, mask), IpAddr::V4(addr)) => IpAddr::V4((net | u32::from(addr) & !mask).into()),
            (Self::V6(net, mask), IpAddr::V6(addr)) => IpAddr::V6((net | u128::from(addr) & !mask).into()),
            (Self::V4(..), IpAddr::V6(_)) | (Self::V6(..), IpAddr::V4(_)) => addr,
        }
    }

    /// Whether it asks for nothing.
    pub fn is_any(self) -> bool {
        matches!(self, Self::V4(_, 0) | Self::V6(_, 0))
    }

    /// Length of the mask, where it is a prefix.
    pub fn prefix_len(self) -> Option<u32> {
        let (ones, count) = match self {
            Self::V4(_, mask) => (mask.leading_ones(), mask.count_ones()),
            Self::V6(_, mask) => (mask.leading_ones(), mask.count_ones()),
        };
        (count == ones).then_some(ones)
    }
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Whose tables it may stand in.
    pub family: Family,
    /// `-s`.
    pub src: Not<Masked>,
    /// `-d`.
    pub dst: Not<Masked>,
    /// `-i`.
    pub iif: Option<Not<Iface>>,
    /// `-o`.
    pub oif: Option<Not<Iface>>,
    /// `-p`; `None` for any.
    pub protocol: Option<Not<u8>>,
    /// `-f`: second and further fragments, or with `!` all others.
    pub fragment: Option<bool>,
    /// `-m` in order.
    pub matches: Vec<Match>,
    /// `-j` or `-g`.
    pub target: Target,
}

impl Rule {
    /// Has it jump to `new` where it jumped to `old`; says whether it did.
    pub fn rename_jump(&mut self, old: &str, new: &Arc<str>) -> bool {
        let (Target::Jump(chain) | Target::Goto(chain)) = &mut self.target else { return false };
        let is_old = **chain == *old;
        if is_old {
            *chain = new.clone();
        }
        is_old
    }

    /// Whether connections have to be tracked for it.
    pub fn needs_conntrack(&self) -> bool {
        self.target.needs_conntrack() || self.matches.iter().any(Match::needs_conntrack)
    }

    /// The chain that a packet is sent to.
    pub fn jumps_to(&self) -> Option<&Arc<str>> {
        if let Target::Jump(chain) | Target::Goto(chain) = &self.target { Some(chain) } else { None }
    }
}
