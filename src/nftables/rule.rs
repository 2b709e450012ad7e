//! Rules: conditions and statements, asked and carried out from left to right.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its parts in order.
    pub parts: Vec<Part>,
    /// Comment.
    pub comment: Option<&'static str>,
}

/// Which address of a packet is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// `saddr`.
    Source,
    /// `daddr`.
    Destination,
}

/// What an address is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Far {
    /// Ranges, each as it is written, and with its bounds.
    Ranges(Vec<(Arc<str>, (IpAddr, IpAddr))>),
    /// A set by name.
    Set(Arc<str>),
}

/// What a map is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Destination address, protocol and destination port.
    Socket,
    /// Protocol and destination port.
    Port,
}

/// Where an element of a map leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// To a chain, not to come back.
    Goto(Arc<str>),
    /// Nowhere.
    Drop,
}

/// A part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The packet begins a connection.
    New,
    /// An address is one of these, or is none of them.
    Address(Side, bool, Far),
    /// An address is this machine's own (`fib`).
    Local(Side),
    /// The packet came in by an interface, or by another one.
    Interface {
        /// The interface's name.
        name: Arc<str>,
        /// Whether it is the beginning of the name only.
        begins: bool,
        /// Whether it is to be another one.
        negated: bool,
    },
    /// The protocol is this one.
    Protocol(u8),
    /// Protocol and destination port are these.
    Port(u8, u16),
    /// None of these bits of the mark is set.
    Unmarked(u32),
    /// Sets bits of the mark.
    MarkOr(u32),
    /// Turns bits of the mark over.
    MarkXor(u32),
    /// Asks a map; what it holds is done.
    Vmap(Key, Arc<str>),
    /// Goes to one of these chains by chance (`numgen random`).
    Choose(Arc<[Arc<str>]>),
    /// Puts the source into a set, or keeps it there for longer.
    Remember(Arc<str>),
    /// Goes on in a chain, and comes back.
    Jump(Arc<str>),
    /// Goes on in a chain.
    Goto(Arc<str>),
    /// Back to where this chain was called.
    Return,
    /// Drops the packet.
    Drop,
    /// Drops the packet and tells its sender that there is no such port.
    Reject,
    /// Replaces the destination.
    Dnat(SocketAddr),
    /// Replaces the source by an address of this machine.
    Masquerade,
}

impl Part {
    /// The chains that it may lead to.
    pub fn chains(&self) -> &[Arc<str>] {
        match self {
            Self::Jump(to) | Self::Goto(to) => std::slice::from_ref(to),
            Self::Choose(chains) => chains,
            Self::New
            | Self::Address(..)
            | Self::Local(_)
            | Self::Interface { .. }
            | Self::Protocol(_)
            | Self::Port(..)
            | Self::Unmarked(_)
            | Self::MarkOr(_)
            | Self::MarkXor(_)
            | Self::Vmap(..)
            | Self::Remember(_)
            | Self::Return
            | Self::Drop
            | Self::Reject
            | Self::Dnat(_)
            | Self::Masquerade => &[],
        }
    }
}

impl Rule {
    /// As `nft` prints it, in a table of this family.
    pub fn text(&self, is_v6: bool) -> String {
        let family = if is_v6 { "ip6" } else { "ip" };
        let mut words: Vec<String> = self.parts.iter().map(|part| part.text(family)).collect();
        words.extend(self.comment.map(|text| format!("comment \"{text}\"")));
        words.join(" ")
    }
}

impl Part {
    fn text(&self, family: &str) -> String {
        let side = |side: &Side| match side {
            Side::Source => "saddr",
            Side::Destination => "daddr",
        };
        match self {
            Self::New => "ct state new".to_owned(),
            Self::Address(at, negated, far) => {
                let not = if *negated { "!= " } else { "" };
                format!("{family} {} {not}{far}", side(at))
            }
            Self::Local(at) => format!("fib {} type local", side(at)),
            Self::Interface { name, begins, negated } => {
                let (not, star) = (if *negated { "!= " } else { "" }, if *begins { "*" } else { "" });
                format!("iifname {not}\"{name}{star}\"")
            }
            Self::Protocol(protocol) => format!("meta l4proto {}", super::protocol_text(*protocol)),
            Self::Port(protocol, port) => format!("{} dport {port}", super::protocol_text(*protocol)),
            Self::Unmarked(bits) => format!("meta mark & 0x{bits:08x} == 0x00000000"),
            Self::MarkOr(bits) => format!("meta mark set meta mark | 0x{bits:08x}"),
            Self::MarkXor(bits) => format!("meta mark set meta mark ^ 0x{bits:08x}"),
            Self::Vmap(Key::Socket, map) => format!("{family} daddr . meta l4proto . th dport vmap @{map}"),
            Self::Vmap(Key::Port, map) => format!("meta l4proto . th dport vmap @{map}"),
            Self::Choose(chains) => {
                let ways = chains.iter().enumerate().map(|(at, chain)| format!("{at} : goto {chain}"));
                let ways = ways.collect::<Vec<_>>().join(", ");
                format!("numgen random mod {} vmap {{ {ways} }}", chains.len())
            }
            Self::Remember(set) => format!("update @{set} {{ {family} saddr }}"),
            Self::Jump(to) => format!("jump {to}"),
            Self::Goto(to) => format!("goto {to}"),
            Self::Return => "return".to_owned(),
            Self::Drop => "drop".to_owned(),
            Self::Reject => "reject".to_owned(),
            Self::Dnat(to) => format!("dnat to {to}"),
            Self::Masquerade => "masquerade fully-random".to_owned(),
        }
    }
}

impl fmt::Display for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ranges(ranges) => match &ranges[..] {
                [(one, _)] => f.write_str(one),
                many => {
                    let words: Vec<&str> = many.iter().map(|(text, _)| &**text).collect();
                    write!(f, "{{ {} }}", words.join(", "))
                }
            },
            Self::Set(name) => write!(f, "@{name}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Drop => f.write_str("drop"),
        }
    }
}
