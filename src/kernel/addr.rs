//! Addresses (`net/ipv4/devinet.c`); the routes that come and go with them are `addr_routes`'. Secondaries go with their
//! primary, unless `promote_secondaries` has the first of them take its place.

use super::{Ctx, Netns};
use crate::base::{EventId, IFNAME_LEN, IfIndex, Ipv4Addr, Ipv4Net};
use crate::trace::{AddrRow, Scope, TableChange};

impl Netns {
    /// Adds an address, with its routes in the tables local and main.
    pub fn add_addr(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        addr: Ipv4Net,
        broadcast: Option<Ipv4Addr>,
        scope: Scope,
    ) {
        self.insert_addr(ctx, AddrRow { broadcast, scope, ..AddrRow::new(self.id, ifindex, addr) });
    }

    /// Adds an address as it is given (`ip addr add`, `__inet_insert_ifa`); whether it is a secondary is found out here.
    pub fn insert_addr(&mut self, ctx: &mut Ctx<'_>, mut row: AddrRow) {
        row.secondary = self.addrs.iter().any(|other| other.is_of_one_network(&row));
        if let Some(lifetime) = &mut row.lifetime {
            lifetime.since = ctx.now;
        }
        self.record_addr(ctx, row.clone());
        self.add_addr_routes(ctx, &row);
        self.fib_sync_up(ctx, row.ifindex);
        self.check_lifetimes(ctx);
    }

    /// Gives an address that is there another metric and other lifetimes (`ip addr change`, `inet_rtm_newaddr`).
    pub fn change_addr(&mut self, ctx: &mut Ctx<'_>, wanted: &AddrRow) {
        let Some(mut row) = self.addrs.iter().find(|row| row.is_same(wanted)).cloned() else { return };
        if row.metric != wanted.metric {
            self.change_prefix_metric(ctx, &row, wanted.metric);
            row.metric = wanted.metric;
        }
        row.lifetime = wanted.lifetime;
        if let Some(lifetime) = &mut row.lifetime {
            lifetime.since = ctx.now;
        }
        self.record_addr(ctx, row);
        self.check_lifetimes(ctx);
    }

    /// Removes the first address of a link with this prefix length.
    pub fn del_addr(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, addr: Ipv4Net) {
        let row = self.addrs.iter().find(|row| row.ifindex == ifindex && row.addr == addr).cloned();
        if let Some(row) = row {
            self.remove_addr(ctx, &row);
        }
    }

    /// Removes an address with its routes (`__inet_del_ifa`): routes that prefer it as their source go too, and with the
    /// last address every route of the link.
    pub fn remove_addr(&mut self, ctx: &mut Ctx<'_>, gone: &AddrRow) {
        let Some(gone) = self.addrs.iter().find(|row| row.is_same(gone)).cloned() else { return };
        let ifindex = gone.ifindex;
        let mut heirs = Vec::new();
        if !gone.secondary {
            let of_net = |row: &&AddrRow| row.secondary && row.is_of_one_network(&gone);
            heirs = self.addrs.iter().filter(of_net).cloned().collect();
        }
        if self.conf_or(ifindex, |conf| conf.promote_secondaries) {
            for heir in &heirs {
                self.del_addr_routes(ctx, heir, Some(&gone));
            }
        } else {
            for secondary in std::mem::take(&mut heirs) {
                self.remove_addr(ctx, &secondary);
            }
        }
        self.addrs.retain(|row| !row.is_same(&gone));
        self.flush_masquerade(ctx, ifindex, Some(gone.addr.addr()));
        ctx.change(self.id, ifindex, EventId::NONE, TableChange::AddrGone(Box::new(gone.clone())));
        self.del_addr_routes(ctx, &gone, None);
        if let Some(first) = heirs.first_mut() {
            first.secondary = false;
            self.record_addr(ctx, first.clone());
        }
        for heir in &heirs {
            self.add_addr_routes(ctx, heir);
        }
        if !self.addrs.iter().any(|row| row.ifindex == ifindex) {
            // `fib_disable_ip`: without an address the interface speaks no IP, and knows nobody.
            self.fib_sync_down_dev(ctx, ifindex, |route| route.oif == Some(ifindex));
            self.flush_neighbors(ctx, ifindex);
            self.pneigh_ifdown(ctx, ifindex, false);
        }
    }

    /// A device goes with its addresses (`inetdev_destroy`); routes elsewhere that prefer one of them go too.
    pub(super) fn forget_addrs(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let mut gone = Vec::new();
        self.addrs.retain(|row| {
            let goes = row.ifindex == ifindex;
            gone.extend(goes.then_some(row.addr.addr()));
            !goes
        });
        gone.retain(|addr| !self.has_addr(*addr));
        self.drop_routes_from(ctx, ifindex, &gone);
    }

    pub(super) fn record_addr(&mut self, ctx: &mut Ctx<'_>, row: AddrRow) {
        ctx.change(self.id, row.ifindex, EventId::NONE, TableChange::Addr(Box::new(row.clone())));
        row.enter(&mut self.addrs);
    }

    /// Labels follow the name of their device: the first address has the bare name, the others keep what stands behind
    /// the colon, or get their number (`inetdev_changename`).
    pub(super) fn rename_labels(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let Some(name) = self.link(ifindex).map(|link| link.name.clone()) else { return };
        let rows = self.addrs.iter().filter(|row| row.ifindex == ifindex).cloned();
        for (at, mut row) in rows.collect::<Vec<_>>().into_iter().enumerate() {
            let colon =
                row.label.as_deref().and_then(|label| label.find(':').map(|at| label[at..].to_owned()));
            let tail = colon.unwrap_or_else(|| format!(":{}", at + 1));
            let kept = name.len().min(IFNAME_LEN - tail.len().min(IFNAME_LEN));
            row.label = (at > 0).then(|| format!("{}{tail}", &name[..kept]).into());
            self.record_addr(ctx, row);
        }
    }
}
