//! What a bridge has learnt is forgotten (`net/bridge/br_fdb.c`): by its collector, by a flush, by a shorter ageing time.

use super::effects::Timer;
use super::link::FdbEntry;
use super::{Ctx, Netns, Urgency, Work};
use crate::base::{Duration, EventId, IfIndex, MacAddr};
use crate::trace::TableChange;

/// How much later than an entry's end the collector comes by: `HZ / 100` ticks.
const SLACK: Duration = Duration::from_ms(8);

impl Netns {
    /// Sees to it that the collector comes by when the first entry has not been seen for the ageing time
    /// (`br_fdb_cleanup`). It is only called for where something was learnt.
    pub(super) fn br_fdb_watch(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        let now = ctx.now;
        let Some(state) = self.bridge_mut(bridge) else { return };
        let ageing = state.ageing_in_force();
        let learnt = state.fdb.values().filter(|entry| entry.is_learnt());
        let Some(first) = learnt.map(|entry| entry.updated + ageing).min() else {
            state.gc_at = None;
            return;
        };
        let at = first.max(now) + SLACK;
        if state.gc_at.is_some_and(|set| set <= at && set > now) {
            return;
        }
        state.gc_at = Some(at);
        let timer = Timer::Ageing(bridge, at);
        ctx.later(at.since(now), Urgency::Background, Work::Timer(timer));
    }

    /// The collector comes by.
    pub(super) fn br_fdb_cleanup(
        &mut self,
        ctx: &mut Ctx<'_>,
        bridge: IfIndex,
        deadline: crate::base::SimTime,
    ) {
        let now = ctx.now;
        let Some(state) = self.bridge(bridge).filter(|state| state.gc_at == Some(deadline)) else { return };
        let ageing = state.ageing_in_force();
        self.br_fdb_forget(ctx, bridge, |entry| entry.updated + ageing <= now);
        if let Some(state) = self.bridge_mut(bridge) {
            state.gc_at = None;
        }
        self.br_fdb_watch(ctx, bridge);
    }

    /// Forgets what was learnt and fits (`br_fdb_flush`, `fdb_delete`).
    pub(super) fn br_fdb_forget(
        &mut self,
        ctx: &mut Ctx<'_>,
        bridge: IfIndex,
        fits: impl Fn(&FdbEntry) -> bool,
    ) {
        let Some(state) = self.bridge_mut(bridge) else { return };
        let gone: Vec<((MacAddr, u16), FdbEntry)> = state
            .fdb
            .iter()
            .filter(|(_, entry)| entry.is_learnt() && fits(entry))
            .map(|(key, entry)| (*key, *entry))
            .collect();
        for (key, entry) in gone {
            if let Some(state) = self.bridge_mut(bridge) {
                state.fdb.remove(&key);
            }
            let row = self.bridge_fdb_row(bridge, key, &entry);
            ctx.change(self.id, entry.port, EventId::NONE, TableChange::FdbGone(row));
        }
    }
}
