//! Addresses that are there for a time only (`check_lifetime` in `net/ipv4/devinet.c`). The kernel rounds the moments at
//! which it looks to whole seconds of its own; here they are exact.

use super::{Ctx, Netns, Timer, Urgency, Work};
use crate::base::{Duration, SimTime};
use crate::trace::{AddrLifetime, AddrRow, FOREVER};

/// When an address goes, and when it is deprecated.
fn deadlines(lifetime: AddrLifetime) -> (SimTime, SimTime) {
    let after = |seconds| lifetime.since + Duration::from_secs(u64::from(seconds));
    (after(lifetime.valid), after(lifetime.preferred))
}

impl Netns {
    /// The timer of the addresses goes off.
    pub(super) fn addr_timer(&mut self, ctx: &mut Ctx<'_>, deadline: SimTime) {
        if self.addr_check_at == Some(deadline) {
            self.addr_check_at = None;
            self.check_lifetimes(ctx);
        }
    }

    /// Takes away what has had its time, deprecates what is no longer to be used, and comes back for the next one.
    pub(super) fn check_lifetimes(&mut self, ctx: &mut Ctx<'_>) {
        let mut next = None;
        let limited = |row: &AddrRow| row.lifetime.filter(|lifetime| lifetime.valid != FOREVER);
        let rows: Vec<_> = self.addrs.iter().filter_map(|row| Some((row.clone(), limited(row)?))).collect();
        for (mut row, mut lifetime) in rows {
            let (end, old) = deadlines(lifetime);
            if end <= ctx.now {
                self.remove_addr(ctx, &row);
                continue;
            }
            if old <= ctx.now && !lifetime.deprecated {
                lifetime.deprecated = true;
                row.lifetime = Some(lifetime);
                self.record_addr(ctx, row);
            }
            let due = if lifetime.deprecated { end } else { old };
            next = Some(next.map_or(due, |next: SimTime| next.min(due)));
        }
        if next != self.addr_check_at {
            self.addr_check_at = next;
            if let Some(at) = next {
                let work = Work::Timer(Timer::AddrLifetimes(at));
                ctx.later(at.since(ctx.now), Urgency::Background, work);
            }
        }
    }
}
