//! Matches: what a rule asks about a packet.

use super::{CountingMatch, Masked, PacketMatch, TtlTest};
use std::sync::Arc;

/// A condition that may be turned round with `!`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Not<T> {
    /// Whether `!` stood before it.
    pub negated: bool,
    /// The condition.
    pub is: T,
}

impl<T> Not<T> {
    /// A condition as it stands.
    pub fn plain(is: T) -> Self {
        Self { negated: false, is }
    }

    /// `! ` or nothing.
    pub fn bang(&self) -> &'static str {
        if self.negated { "! " } else { "" }
    }

    /// `!` or nothing.
    pub fn mark(&self) -> &'static str {
        if self.negated { "!" } else { "" }
    }
}

/// An interface name; one that ends in `+` stands for all that begin so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Iface {
    /// The name without `+`.
    pub name: Arc<str>,
    /// Whether it is only the beginning.
    pub prefix: bool,
}

impl Iface {
    /// Reads a name as it stands after `-i`.
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('+') {
            Some(start) => Self { name: start.into(), prefix: true },
            None => Self { name: text.into(), prefix: false },
        }
    }

    /// Whether `name` is meant. No interface has no name.
    pub fn fits(&self, name: &str) -> bool {
        if self.prefix { name.starts_with(&*self.name) && !name.is_empty() } else { *self.name == *name }
    }

    /// The name as it is written.
    pub fn text(&self) -> String {
        format!("{}{}", self.name, if self.prefix { "+" } else { "" })
    }
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange(pub u16, pub u16);

impl PortRange {
    /// Whether `port` lies in it.
    pub fn contains(self, port: u16) -> bool {
        self.0 <= port && port <= self.1
    }
}

/// `-m NAME` with its options.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Match {
    /// `-m tcp`.
    Tcp(Tcp),
    /// `-m udp`.
    Udp(Udp),
    /// `-m sctp`, which is asked about its ports alone.
    Sctp(Udp),
    /// `-m icmp`.
    Icmp(Not<Icmp>),
    /// `-m comment`.
    Comment(Arc<str>),
    /// `-m conntrack`.
    Conntrack(Box<Conntrack>),
    /// `-m state`.
    State(Not<u16>),
    /// `-m mark`: value and mask.
    Mark(Not<(u32, u32)>),
    /// `-m connmark`: value and mask.
    Connmark(Not<(u32, u32)>),
    /// `-m statistic`.
    Statistic(Not<Statistic>),
    /// `-m recent`.
    Recent(Not<Box<Recent>>),
    /// `-m addrtype`.
    Addrtype(Addrtype),
    /// `-m multiport`.
    Multiport(Not<Multiport>),
    /// `-m set`.
    Set(Not<SetMatch>),
    /// `-m physdev`.
    Physdev(Box<Physdev>),
    /// `-m limit`: packets a day times [`Match::LIMIT_SCALE`], and the burst.
    Limit {
        /// Ten-thousandths of a second for one packet.
        period: u32,
        /// Packets that may come at once.
        burst: u32,
    },
    /// `-m rpfilter`.
    Rpfilter(Rpfilter),
    /// `-m tcpmss`.
    Tcpmss(Not<PortRange>),
    /// `-m owner`.
    Owner(Owner),
    /// `-m ttl`.
    Ttl(TtlTest),
    /// `-m tos`: value and mask.
    Tos(Not<(u8, u8)>),
    /// `-m dscp`: the upper six bits of the type of service.
    Dscp(Not<u8>),
    /// One that a packet alone, the time or its connection answers.
    Packet(PacketMatch),
    /// One that remembers the packets it was asked about.
    Counting(CountingMatch),
}

/// `-m tcp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// `--sport`.
    pub sport: Option<Not<PortRange>>,
    /// `--dport`.
    pub dport: Option<Not<PortRange>>,
    /// `--tcp-flags`: which are looked at, and which of them are set.
    pub flags: Option<Not<(u8, u8)>>,
    /// `--tcp-option`.
    pub option: Option<Not<u8>>,
}

/// `-m owner`: whose socket a packet of this machine's own comes from. First and last number each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// `--socket-exists`.
    pub exists: Option<Not<()>>,
    /// `--uid-owner`.
    pub uid: Option<Not<(u32, u32)>>,
    /// `--gid-owner`.
    pub gid: Option<Not<(u32, u32)>>,
}

/// `-m udp`, and the ports of `-m sctp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Udp {
    /// `--sport`.
    pub sport: Option<Not<PortRange>>,
    /// `--dport`.
    pub dport: Option<Not<PortRange>>,
}

/// `--icmp-type`: a type, and a range of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Icmp {
    /// The type; 255 is any.
    pub kind: u8,
    /// First and last code.
    pub codes: (u8, u8),
}

impl Icmp {
    /// Any message.
    pub const ANY: Self = Self { kind: 255, codes: (0, 255) };
}

/// States of a connection as `-m conntrack` and `-m state` see them.
pub mod ctstate {
    /// `INVALID`.
    pub const INVALID: u16 = 1;
    /// `NEW`.
    pub const NEW: u16 = 2;
    /// `RELATED`.
    pub const RELATED: u16 = 4;
    /// `ESTABLISHED`.
    pub const ESTABLISHED: u16 = 8;
    /// `UNTRACKED`.
    pub const UNTRACKED: u16 = 16;
    /// `SNAT`: its source is translated.
    pub const SNAT: u16 = 32;
    /// `DNAT`: its destination is translated.
    pub const DNAT: u16 = 64;
    /// With their names, in the order in which the tools print them.
    pub const NAMES: [(u16, &str); 7] = [
        (INVALID, "INVALID"),
        (NEW, "NEW"),
        (RELATED, "RELATED"),
        (ESTABLISHED, "ESTABLISHED"),
        (UNTRACKED, "UNTRACKED"),
        (SNAT, "SNAT"),
        (DNAT, "DNAT"),
    ];
}

/// `-m conntrack`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conntrack {
    /// `--ctstate`.
    pub state: Option<Not<u16>>,
    /// `--ctproto`.
    pub proto: Option<Not<u8>>,
    /// `--ctorigsrc`, `--ctorigdst`, `--ctreplsrc`, `--ctrepldst`.
    pub addrs: [Option<Not<Masked>>; 4],
    /// `--ctorigsrcport`, `--ctorigdstport`, `--ctreplsrcport`, `--ctrepldstport`.
    pub ports: [Option<Not<PortRange>>; 4],
    /// `--ctstatus`: 1 EXPECTED, 2 `SEEN_REPLY`, 4 ASSURED, 8 CONFIRMED; 0 is NONE.
    pub status: Option<Not<u16>>,
    /// `--ctexpire`, in seconds.
    pub expire: Option<Not<(u32, u32)>>,
    /// `--ctdir`: whether the packet is one of the replies.
    pub reply: Option<bool>,
}

/// `-m statistic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// `--mode random`: the probability times 2^31.
    Random(u32),
    /// `--mode nth`: one in so many, beginning with this one.
    Nth {
        /// `--every`.
        every: u32,
        /// `--packet`.
        packet: u32,
    },
}

/// What `-m recent` does with its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecentMode {
    /// `--set`.
    Set,
    /// `--rcheck`.
    Rcheck,
    /// `--update`.
    Update,
    /// `--remove`.
    Remove,
}

/// `-m recent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recent {
    /// What it does.
    pub mode: RecentMode,
    /// `--seconds`; 0 for none.
    pub seconds: u32,
    /// `--reap`.
    pub reap: bool,
    /// `--hitcount`; 0 for none.
    pub hitcount: u32,
    /// `--rttl`.
    pub rttl: bool,
    /// `--name`.
    pub name: Arc<str>,
    /// `--mask`.
    pub mask: u32,
    /// Whether the destination is meant (`--rdest`).
    pub dest: bool,
}

/// `-m addrtype`: sets of `RTN_*` as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Addrtype {
    /// `--src-type`.
    pub src: Option<Not<u16>>,
    /// `--dst-type`.
    pub dst: Option<Not<u16>>,
    /// `--limit-iface-in`.
    pub limit_in: bool,
    /// `--limit-iface-out`.
    pub limit_out: bool,
}

impl Addrtype {
    /// Names of the types; the bit is the place.
    pub const NAMES: [&'static str; 12] = [
        "UNSPEC",
        "UNICAST",
        "LOCAL",
        "BROADCAST",
        "ANYCAST",
        "MULTICAST",
        "BLACKHOLE",
        "UNREACHABLE",
        "PROHIBIT",
        "THROW",
        "NAT",
        "XRESOLVE",
    ];
}

/// Which ports `-m multiport` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortSide {
    /// `--sports`.
    Source,
    /// `--dports`.
    Destination,
    /// `--ports`.
    Either,
}

/// `-m multiport`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Multiport {
    /// Which ports.
    pub side: PortSide,
    /// The ranges.
    pub ranges: Vec<PortRange>,
}

/// `-m set --match-set NAME FLAGS`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SetMatch {
    /// Name of the set.
    pub name: Arc<str>,
    /// `src` and `dst` in order; true for `src`.
    pub source: Vec<bool>,
}

/// `-m physdev`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Physdev {
    /// `--physdev-in`.
    pub iif: Option<Not<Iface>>,
    /// `--physdev-is-in`.
    pub is_in: Option<bool>,
    /// `--physdev-out`.
    pub oif: Option<Not<Iface>>,
    /// `--physdev-is-out`.
    pub is_out: Option<bool>,
    /// `--physdev-is-bridged`.
    pub is_bridged: Option<bool>,
}

/// `-m rpfilter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the match under its own name")]
pub struct Rpfilter {
    /// `--loose`.
    pub loose: bool,
    /// `--validmark`.
    pub validmark: bool,
    /// `--accept-local`.
    pub accept_local: bool,
    /// `--invert`.
    pub invert: bool,
}

impl Match {
    /// Units of a second in which `-m limit` counts (`XT_LIMIT_SCALE`).
    pub const LIMIT_SCALE: u32 = 10_000;

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
            Self::Sctp(_) => "sctp",
            Self::Icmp(_) => "icmp",
            Self::Comment(_) => "comment",
            Self::Conntrack(_) => "conntrack",
            Self::State(_) => "state",
            Self::Mark(_) => "mark",
            Self::Connmark(_) => "connmark",
            Self::Statistic(_) => "statistic",
            Self::Recent(_) => "recent",
            Self::Addrtype(_) => "addrtype",
            Self::Multiport(_) => "multiport",
            Self::Set(_) => "set",
            Self::Physdev(_) => "physdev",
            Self::Limit { .. } => "limit",
            Self::Rpfilter(_) => "rpfilter",
            Self::Tcpmss(_) => "tcpmss",
            Self::Owner(_) => "owner",
            Self::Ttl(_) => "ttl",
            Self::Tos(_) => "tos",
            Self::Dscp(_) => "dscp",
            Self::Packet(packet) => packet.name(),
            Self::Counting(counting) => counting.name(),
        }
    }

    /// Whether a connection has to be tracked for it.
    pub fn needs_conntrack(&self) -> bool {
        matches!(
            self,
            Self::Conntrack(_)
                | Self::State(_)
                | Self::Connmark(_)
                | Self::Packet(PacketMatch::Helper(_))
                | Self::Counting(CountingMatch::Connlimit(_))
        )
    }
}

/// The mask of a prefix.
pub fn net_mask(len: u32) -> u32 {
    if len == 0 { 0 } else { u32::MAX << (32 - len) }
}
