//! Rows of Cilium's eBPF maps beyond endpoints and addresses: what each endpoint's policy map admits, and the
//! connections that were let pass.

use super::Tuple;
use crate::base::{IfIndex, NetnsId};
use crate::xtables;
use std::sync::Arc;

/// A row that came or changed, or one that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CiliumChange {
    /// An entry of a policy map.
    Policy(PolicyRow),
    /// An entry that went.
    PolicyGone(PolicyRow),
    /// A connection.
    Connection(CtRow),
    /// A connection that is not remembered any more.
    ConnectionGone(CtRow),
}

/// An entry of an endpoint's policy map (`cilium_policy_v2_ID`): what may pass. What no entry admits is dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyRow {
    /// Namespace.
    pub netns: NetnsId,
    /// The endpoint, by its interface at the node.
    pub ifindex: IfIndex,
    /// What it admits.
    pub key: PolicyKey,
    /// What it was made from, as `NetworkPolicy/x/front`; empty where the direction is not isolated.
    pub origin: Arc<str>,
}

/// What an entry of a policy map admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    /// Whether it is about what the endpoint sends.
    pub egress: bool,
    /// Identity of the far end; 0 for any.
    pub identity: u32,
    /// IP protocol number; 0 for any.
    pub protocol: u8,
    /// Destination port.
    pub port: u16,
    /// How many bits of the port count; 0 for any port.
    pub port_len: u8,
}

/// A connection in `cilium_ct4_global`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CtRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Whether an endpoint here began it.
    pub egress: bool,
    /// Addresses and ports of its first packet.
    pub tuple: Tuple,
}

impl PolicyKey {
    /// Whether it is about a packet of this protocol to this port.
    pub fn is_about(&self, protocol: u8, port: u16) -> bool {
        let mask = if self.port_len == 0 { 0 } else { u16::MAX << (16 - self.port_len.min(16)) };
        (self.protocol == 0 || self.protocol == protocol) && port & mask == self.port & mask
    }

    /// As `cilium bpf policy get` lists it: direction, identity, port and protocol.
    pub fn text(&self) -> String {
        let way = if self.egress { "Egress" } else { "Ingress" };
        let protocol = match self.protocol {
            0 => "ANY".to_owned(),
            number => xtables::protocol_name(number).to_uppercase(),
        };
        let port = match self.port_len {
            0 => String::new(),
            16 => format!("{}/", self.port),
            len => format!("{}-{}/", self.port, self.port | (u16::MAX >> len)),
        };
        format!("{way} identity {} {port}{protocol}", self.identity)
    }
}

impl CtRow {
    /// As `cilium bpf ct list global` lists it.
    pub fn text(&self) -> String {
        let way = if self.egress { "OUT" } else { "IN" };
        let Tuple { src, sport, protocol, dst, dport } = self.tuple;
        let protocol = xtables::protocol_name(protocol).to_uppercase();
        format!("cilium_ct4_global {protocol} {way} {src}:{sport} -> {dst}:{dport}")
    }
}

impl CiliumChange {
    /// The namespace that the change is of.
    pub fn netns(&self) -> NetnsId {
        match self {
            Self::Policy(row) | Self::PolicyGone(row) => row.netns,
            Self::Connection(row) | Self::ConnectionGone(row) => row.netns,
        }
    }

    /// The row as one line; `ifname` names its interface.
    pub fn text(&self, ifname: impl Fn(IfIndex) -> Arc<str>) -> String {
        match self {
            Self::Policy(row) | Self::PolicyGone(row) => {
                let from =
                    if row.origin.is_empty() { String::new() } else { format!(" from {}", row.origin) };
                format!("cilium_policy dev {} {}{from}", ifname(row.ifindex), row.key.text())
            }
            Self::Connection(row) | Self::ConnectionGone(row) => row.text(),
        }
    }

    /// Whether the row went.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::PolicyGone(_) | Self::ConnectionGone(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_count_by_their_first_bits() {
        let key = PolicyKey { egress: false, identity: 7, protocol: 6, port: 80, port_len: 14 };
        assert!((80..84).all(|port| key.is_about(6, port)) && !key.is_about(6, 84) && !key.is_about(17, 80));
        assert_eq!(key.text(), "Ingress identity 7 80-83/TCP");
        let any = PolicyKey { protocol: 0, port: 0, port_len: 0, ..key };
        assert!(any.is_about(1, 0) && any.is_about(17, 53));
    }
}
