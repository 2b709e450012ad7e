//! Addresses that a machine answers ARP for although they are somebody else's (`ip neigh show proxy`).

use super::{NetnsState, RouteProtocol};
use crate::base::{IfIndex, Ipv4Addr, NetnsId};

/// An entry (`struct pneigh_entry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyRow {
    /// Namespace.
    pub netns: NetnsId,
    /// The address.
    pub addr: Ipv4Addr,
    /// Interface by which it is asked for; `None` for all.
    pub ifindex: Option<IfIndex>,
    /// Whether the address is a router's.
    pub router: bool,
    /// Whether it stays when its interface loses its carrier.
    pub permanent: bool,
    /// Who installed it; `None` for `unspec`.
    pub protocol: Option<RouteProtocol>,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyChange {
    /// It came, or changed.
    Came(ProxyRow),
    /// It went.
    Gone(ProxyRow),
}

impl ProxyRow {
    /// Whether another entry is for the same address by the same interface.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.addr, self.ifindex) == (other.addr, other.ifindex)
    }

    /// Whether it is for an address that is asked for by this interface (`pneigh_lookup`).
    pub fn is_for(&self, addr: Ipv4Addr, ifindex: Option<IfIndex>) -> bool {
        self.addr == addr && (self.ifindex.is_none() || self.ifindex == ifindex)
    }

    /// Puts it into a list in the kernel's order: by its place in a table of 16 lists, each with the newest first
    /// (`pneigh_hash`). One that is there keeps its place.
    pub fn enter(self, list: &mut Vec<Self>) {
        if let Some(old) = list.iter_mut().find(|old| old.is_same(&self)) {
            *old = self;
            return;
        }
        let at = list.partition_point(|other| other.bucket() < self.bucket());
        list.insert(at, self);
    }

    fn bucket(&self) -> u32 {
        let key = u32::from_le_bytes(self.addr.octets());
        let key = key ^ key >> 16;
        let key = key ^ key >> 8;
        (key ^ key >> 4) & 0xf
    }

    /// A line of `ip neigh show proxy`, without its final blank.
    pub fn text(&self, ifname: impl Fn(IfIndex) -> String) -> String {
        let dev = self.ifindex.map_or_else(String::new, |ifindex| format!(" dev {}", ifname(ifindex)));
        let router = if self.router { " router" } else { "" };
        format!("{}{dev}{router} proxy", self.addr)
    }
}

impl ProxyChange {
    /// The entry.
    pub fn row(&self) -> &ProxyRow {
        let (Self::Came(row) | Self::Gone(row)) = self;
        row
    }

    /// The namespace.
    pub fn netns(&self) -> NetnsId {
        self.row().netns
    }

    /// What came or went, in words of the trace.
    pub fn text(&self, ifname: impl Fn(IfIndex) -> String) -> String {
        let gone = if matches!(self, Self::Gone(_)) { "gone " } else { "" };
        gone.to_owned() + &self.row().text(ifname)
    }
}

impl NetnsState {
    pub(super) fn change_proxy(&mut self, change: &ProxyChange) {
        match change {
            ProxyChange::Came(row) => row.enter(&mut self.proxies),
            ProxyChange::Gone(row) => self.proxies.retain(|other| !other.is_same(row)),
        }
    }
}
