//! Targets: what a rule does with a packet.

use super::{Family, Masked, PortRange, SideTarget, TtlOp};
use crate::base::Ipv4Addr;
use std::net::IpAddr;
use std::sync::Arc;

/// `-j` or `-g`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// None: the rule only counts.
    #[default]
    None,
    /// `ACCEPT`.
    Accept,
    /// `DROP`.
    Drop,
    /// `RETURN`.
    Return,
    /// Another chain, to come back from.
    Jump(Arc<str>),
    /// Another chain in place of this one.
    Goto(Arc<str>),
    /// `REJECT`.
    Reject(RejectWith),
    /// `DNAT`.
    Dnat(NatRange, NatFlags),
    /// `SNAT`.
    Snat(NatRange, NatFlags),
    /// `MASQUERADE`.
    Masquerade(Option<PortRange>, NatFlags),
    /// `REDIRECT`.
    Redirect(Option<PortRange>, NatFlags),
    /// `MARK --set-xmark`: value and mask.
    Mark(u32, u32),
    /// `CONNMARK`.
    Connmark(ConnmarkOp),
    /// `NOTRACK`, or `CT --notrack` where this is false.
    Notrack(bool),
    /// `LOG`.
    Log(Log),
    /// `TCPMSS`.
    Tcpmss(Tcpmss),
    /// `TTL`.
    Ttl(TtlOp),
    /// `TOS`: value and mask.
    Tos(u8, u8),
    /// `DSCP`: the upper six bits of the type of service.
    Dscp(u8),
    /// `NETMAP`: the network that takes the place of an address's own.
    Netmap(Masked),
    /// One after which the packet goes on as it was.
    Side(Box<SideTarget>),
}

/// `REJECT --reject-with`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectWith {
    /// Code 0.
    NetUnreachable,
    /// Code 1.
    HostUnreachable,
    /// Code 2.
    ProtoUnreachable,
    /// Code 3, the default.
    PortUnreachable,
    /// Code 9.
    NetProhibited,
    /// Code 10.
    HostProhibited,
    /// Code 13.
    AdminProhibited,
    /// A TCP segment with RST.
    TcpReset,
}

impl RejectWith {
    /// All of them: the name, the short name, the ICMP code.
    pub const ALL: [(Self, &'static str, &'static str, u8); 8] = [
        (Self::NetUnreachable, "icmp-net-unreachable", "net-unreach", 0),
        (Self::HostUnreachable, "icmp-host-unreachable", "host-unreach", 1),
        (Self::ProtoUnreachable, "icmp-proto-unreachable", "proto-unreach", 2),
        (Self::PortUnreachable, "icmp-port-unreachable", "port-unreach", 3),
        (Self::NetProhibited, "icmp-net-prohibited", "net-prohib", 9),
        (Self::HostProhibited, "icmp-host-prohibited", "host-prohib", 10),
        (Self::TcpReset, "tcp-reset", "tcp-rst", 0),
        (Self::AdminProhibited, "icmp-admin-prohibited", "admin-prohib", 13),
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|entry| entry.0 == self).map_or("", |entry| entry.1)
    }

    /// The name in the tables of this protocol (`libip6t_REJECT.c`).
    pub fn name_in(self, family: Family) -> &'static str {
        match (family, self) {
            (Family::V6, Self::NetUnreachable) => "icmp6-no-route",
            (Family::V6, Self::HostUnreachable) => "icmp6-addr-unreachable",
            (Family::V6, Self::ProtoUnreachable | Self::PortUnreachable) => "icmp6-port-unreachable",
            (Family::V6, Self::NetProhibited | Self::HostProhibited | Self::AdminProhibited) => {
                "icmp6-adm-prohibited"
            }
            (Family::V6, Self::TcpReset) | (Family::V4, _) => self.name(),
        }
    }

    /// The ICMP code, where it is an ICMP error.
    pub fn code(self) -> Option<u8> {
        let entry = Self::ALL.iter().find(|entry| entry.0 == self)?;
        (self != Self::TcpReset).then_some(entry.3)
    }

    /// Reads what stands after `--reject-with` in the tables of this protocol.
    pub fn from_name_in(family: Family, name: &str) -> Option<Self> {
        const V6: [(&str, &str, RejectWith); 5] = [
            ("icmp6-no-route", "no-route", RejectWith::NetUnreachable),
            ("icmp6-adm-prohibited", "adm-prohibited", RejectWith::AdminProhibited),
            ("icmp6-addr-unreachable", "addr-unreach", RejectWith::HostUnreachable),
            ("icmp6-port-unreachable", "port-unreach", RejectWith::PortUnreachable),
            ("tcp-reset", "tcp-reset", RejectWith::TcpReset),
        ];
        match family {
            Family::V4 => Self::from_name(name),
            Family::V6 => {
                let fits = |full: &str| full.starts_with(name);
                V6.iter().find(|(long, short, _)| fits(long) || fits(short)).map(|(_, _, with)| *with)
            }
        }
    }

    /// Reads what stands after `--reject-with`. Beginnings do, as for the real tool.
    pub fn from_name(name: &str) -> Option<Self> {
        let fits = |full: &str| full.starts_with(name);
        Self::ALL.iter().find(|entry| fits(entry.1) || fits(entry.2)).map(|entry| entry.0)
    }
}

/// Addresses and ports to translate to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NatRange {
    /// First and last address.
    pub addrs: Option<(IpAddr, IpAddr)>,
    /// First and last port.
    pub ports: Option<PortRange>,
}

impl NatRange {
    /// First and last address, where they are of IPv4.
    pub fn ipv4(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        match self.addrs? {
            (IpAddr::V4(first), IpAddr::V4(last)) => Some((first, last)),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => None,
        }
    }
}

/// `--random`, `--random-fully`, `--persistent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NatFlags {
    /// `--random`.
    pub random: bool,
    /// `--random-fully`.
    pub fully: bool,
    /// `--persistent`.
    pub persistent: bool,
}

/// What `CONNMARK` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnmarkOp {
    /// `--set-xmark`: value and mask.
    Set(u32, u32),
    /// `--save-mark`: mask of the packet's mark, mask of the connection's.
    Save(u32, u32),
    /// `--restore-mark`: mask of the packet's mark, mask of the connection's.
    Restore(u32, u32),
}

/// `LOG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// `--log-level`, 4 unless set.
    pub level: u8,
    /// `--log-prefix`.
    pub prefix: Arc<str>,
    /// `--log-tcp-sequence` 1, `--log-tcp-options` 2, `--log-ip-options` 4, `--log-uid` 8, `--log-macdecode` 32.
    pub flags: u8,
}

/// `TCPMSS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tcpmss {
    /// `--set-mss`.
    Set(u16),
    /// `--clamp-mss-to-pmtu`.
    Clamp,
}

impl Target {
    /// Whether a connection has to be tracked for it.
    pub fn needs_conntrack(&self) -> bool {
        match self {
            Self::Dnat(..)
            | Self::Snat(..)
            | Self::Masquerade(..)
            | Self::Redirect(..)
            | Self::Netmap(_)
            | Self::Connmark(_) => true,
            Self::None
            | Self::Accept
            | Self::Drop
            | Self::Return
            | Self::Jump(_)
            | Self::Goto(_)
            | Self::Reject(_)
            | Self::Mark(..)
            | Self::Notrack(_)
            | Self::Log(_)
            | Self::Tcpmss(_)
            | Self::Ttl(_)
            | Self::Tos(..)
            | Self::Dscp(_)
            | Self::Side(_) => false,
        }
    }

    /// Name in the column `target`.
    pub fn name(&self) -> &str {
        match self {
            Self::None => "",
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
            Self::Return => "RETURN",
            Self::Jump(chain) | Self::Goto(chain) => chain,
            Self::Reject(_) => "REJECT",
            Self::Dnat(..) => "DNAT",
            Self::Snat(..) => "SNAT",
            Self::Masquerade(..) => "MASQUERADE",
            Self::Redirect(..) => "REDIRECT",
            Self::Mark(..) => "MARK",
            Self::Connmark(_) => "CONNMARK",
            Self::Notrack(_) => "CT",
            Self::Log(_) => "LOG",
            Self::Tcpmss(_) => "TCPMSS",
            Self::Ttl(_) => "TTL",
            Self::Tos(..) => "TOS",
            Self::Dscp(_) => "DSCP",
            Self::Netmap(_) => "NETMAP",
            Self::Side(side) => side.name(),
        }
    }
}
