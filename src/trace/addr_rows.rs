//! Addresses of interfaces, as `ip addr` shows them.

use super::Scope;
use crate::base::{IfIndex, Ipv4Addr, Ipv4Net, NetnsId, SimTime};
use std::sync::Arc;

/// A lifetime without an end (`INFINITY_LIFE_TIME`).
pub const FOREVER: u32 = u32::MAX;

/// An address of a link (`struct in_ifaddr`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Interface.
    pub ifindex: IfIndex,
    /// Address and length of its network's prefix; the host bits are set.
    pub addr: Ipv4Net,
    /// The other end, where it is not the address itself (`peer`); the network is then that end's.
    pub peer: Option<Ipv4Addr>,
    /// Broadcast address, where one was set.
    pub broadcast: Option<Ipv4Addr>,
    /// Scope.
    pub scope: Scope,
    /// Its label, where that is not the interface's name.
    pub label: Option<Arc<str>>,
    /// Metric of the route to its network.
    pub metric: u32,
    /// Whether that route is not made (`IFA_F_NOPREFIXROUTE`).
    pub no_prefix_route: bool,
    /// Whether another address of its network was there first (`IFA_F_SECONDARY`).
    pub secondary: bool,
    /// How long it is there, if not for ever.
    pub lifetime: Option<AddrLifetime>,
}

/// How long an address is there and to be used (`struct ifa_cacheinfo`), in seconds; [`FOREVER`] for no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddrLifetime {
    /// Until it goes.
    pub valid: u32,
    /// Until it is deprecated.
    pub preferred: u32,
    /// When both began.
    pub since: SimTime,
    /// Whether it is deprecated (`IFA_F_DEPRECATED`).
    pub deprecated: bool,
}

impl AddrLifetime {
    /// What is left of both at a moment. The kernel counts down only while the second one has an end
    /// (`inet_fill_ifaddr`), and shows an address that never goes as preferred for ever.
    pub fn left(&self, now: SimTime) -> (u32, u32) {
        if self.valid == FOREVER {
            return (FOREVER, FOREVER);
        }
        let past = u32::try_from(now.since(self.since).0 / 1_000_000_000).unwrap_or(FOREVER);
        (self.valid.saturating_sub(past), self.preferred.saturating_sub(past))
    }
}

impl AddrRow {
    /// Of a machine's addresses the primary one of `ifindex`, of a scope or a wider one, that shares a network with `towards`,
    /// else its first one, else the first of any other interface (`inet_select_addr`, `man 8 ip-route`, "src").
    pub fn select<I: Iterator<Item = IfIndex>>(
        addrs: &[Self],
        links: impl FnOnce() -> I,
        ifindex: IfIndex,
        (towards, scope): (Option<Ipv4Addr>, Scope),
    ) -> Option<Ipv4Addr> {
        let usable = |row: &&Self| row.scope <= scope && !row.secondary;
        let of = |at: IfIndex| addrs.iter().filter(move |row| row.ifindex == at).filter(usable);
        let matching = towards.and_then(|dst| of(ifindex).find(|row| row.network().contains(&dst)));
        // Interfaces are asked in the order in which they were made; addresses of scope link stay on their own.
        let elsewhere =
            || links().filter(|at| *at != ifindex).flat_map(of).find(|row| row.scope != Scope::Link);
        matching.or_else(|| of(ifindex).next()).or_else(elsewhere).map(|row| row.addr.addr())
    }

    /// An address as `ip addr add ADDR dev IFNAME` makes it: of global scope, without a broadcast address.
    pub fn new(netns: NetnsId, ifindex: IfIndex, addr: Ipv4Net) -> Self {
        Self {
            netns,
            ifindex,
            addr,
            peer: None,
            broadcast: None,
            scope: Scope::Global,
            label: None,
            metric: 0,
            no_prefix_route: false,
            secondary: false,
            lifetime: None,
        }
    }

    /// The network that it is part of: the other end's where it has one (`inet_ifa_match`).
    pub fn network(&self) -> Ipv4Net {
        let end = self.peer.unwrap_or(self.addr.addr());
        Ipv4Net::new_assert(end, self.addr.prefix_len()).trunc()
    }

    /// Whether both are addresses of one network of one link.
    pub fn is_of_one_network(&self, other: &Self) -> bool {
        self.ifindex == other.ifindex && self.network() == other.network()
    }

    /// Whether both are the same address (`find_matching_ifa`), whatever else is said of them.
    pub fn is_same(&self, other: &Self) -> bool {
        self.is_of_one_network(other) && self.addr.addr() == other.addr.addr()
    }

    /// Whether it is deprecated (`IFA_F_DEPRECATED`).
    pub fn is_deprecated(&self) -> bool {
        self.lifetime.is_some_and(|lifetime| lifetime.deprecated)
    }

    /// Whether it never goes by itself (`IFA_F_PERMANENT`).
    pub fn is_permanent(&self) -> bool {
        self.lifetime.is_none_or(|lifetime| lifetime.valid == FOREVER)
    }

    /// The address as `ip` shows it: `10.0.0.1/24`, or `10.0.0.1 peer 10.0.0.2/32`.
    pub fn text(&self) -> String {
        match self.peer {
            Some(peer) => format!("{} peer {peer}/{}", self.addr.addr(), self.addr.prefix_len()),
            None => self.addr.to_string(),
        }
    }

    /// Enters it among `addrs`: secondaries stand behind all others, primaries of a wider scope behind those of a
    /// narrower one (`__inet_insert_ifa`). One that is there already is changed where it stands, unless it has become a
    /// primary.
    pub fn enter(self, addrs: &mut Vec<Self>) {
        if let Some(at) = addrs.iter().position(|row| row.is_same(&self)) {
            if addrs[at].secondary == self.secondary {
                addrs[at] = self;
                return;
            }
            addrs.remove(at);
        }
        let at = self.place_among(addrs);
        addrs.insert(at, self);
    }

    fn place_among(&self, addrs: &[Self]) -> usize {
        if self.secondary {
            return addrs.len();
        }
        let here = || addrs.iter().enumerate().filter(|(_, row)| row.ifindex == self.ifindex);
        let last = here().rfind(|(_, row)| !row.secondary && self.scope <= row.scope);
        last.map_or_else(|| here().next().map_or(addrs.len(), |(first, _)| first), |(at, _)| at + 1)
    }
}
