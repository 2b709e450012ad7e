//! Addresses that this machine answers ARP for although they are somebody else's (`pneigh_*` in `net/core/neighbour.c`).

use super::{Ctx, Netns};
use crate::base::{EventId, IfIndex, Ipv4Addr};
use crate::trace::{ProxyChange, ProxyRow, TableChange};

impl Netns {
    /// Adds an entry, or changes the one that there is for the address (`ip neigh add proxy`, `pneigh_create`).
    pub fn set_proxy(&mut self, ctx: &mut Ctx<'_>, row: ProxyRow) {
        let old = self.proxies.iter().find(|old| old.is_for(row.addr, row.ifindex));
        let row = ProxyRow { ifindex: old.map_or(row.ifindex, |old| old.ifindex), ..row };
        row.enter(&mut self.proxies);
        let at = row.ifindex.unwrap_or(IfIndex::NONE);
        ctx.change(self.id, at, EventId::NONE, TableChange::Proxy(ProxyChange::Came(row)));
    }

    /// Removes an entry (`ip neigh del proxy`).
    pub fn del_proxy(&mut self, ctx: &mut Ctx<'_>, addr: Ipv4Addr, ifindex: Option<IfIndex>) {
        self.drop_proxies(ctx, |row| (row.addr, row.ifindex) == (addr, ifindex));
    }

    /// An interface goes down: its entries go. Where it has lost its carrier, the permanent ones stay (`pneigh_ifdown`).
    pub(super) fn pneigh_ifdown(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, keeps_permanent: bool) {
        self.drop_proxies(ctx, |row| row.ifindex == Some(ifindex) && !(keeps_permanent && row.permanent));
    }

    fn drop_proxies(&mut self, ctx: &mut Ctx<'_>, goes: impl Fn(&ProxyRow) -> bool) {
        let (gone, left) = std::mem::take(&mut self.proxies).into_iter().partition(goes);
        self.proxies = left;
        let gone: Vec<ProxyRow> = gone;
        for row in gone {
            let at = row.ifindex.unwrap_or(IfIndex::NONE);
            ctx.change(self.id, at, EventId::NONE, TableChange::Proxy(ProxyChange::Gone(row)));
        }
    }

    /// Whether there is an entry for an address that is asked for by an interface.
    pub(super) fn is_proxied(&self, addr: Ipv4Addr, ifindex: IfIndex) -> bool {
        self.proxies.iter().any(|row| row.is_for(addr, Some(ifindex)))
    }
}
