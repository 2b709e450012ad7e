//! The queueing discipline at a device's way out, where there is one: netem (`net/sched/sch_netem.c`), which loses,
//! delays, duplicates, reorders and slows down what is sent. *Not modelled*: corruption, distributions from files,
//! slots, loss models with states.

use super::{Ctx, Link, Netns, Skb, Urgency, Work};
use crate::base::{ChangeId, Duration, IfIndex, Rng, SimTime};
use crate::trace::{DropReason, EventKind, Mirror, Mirrors, Netem, QdiscRow, Table};

/// A netem with what waits in it.
#[derive(Clone, Debug)]
pub struct Qdisc {
    /// Its settings.
    pub row: QdiscRow,
    /// The row in the trace that shows them.
    change: ChangeId,
    /// Tells packets that waited in one that is gone.
    epoch: u32,
    /// Packets that wait.
    waiting: u32,
    /// When the last of them is to leave.
    last_at: SimTime,
    /// Packets since one went ahead.
    counter: u32,
    /// Numbers drawn last, on which the next depend.
    last: Drawn,
}

/// The numbers drawn last for each purpose (`struct crndstate`).
#[derive(Clone, Copy, Debug, Default)]
struct Drawn {
    delay: u32,
    loss: u32,
    duplicate: u32,
    reorder: u32,
}

/// A number between 0 and `u32::MAX` that depends on the one before (`get_crandom`).
fn correlated(rng: &mut Rng, last: &mut u32, ppm: u32) -> u32 {
    let value = u64::from(rng.u32(..));
    if ppm == 0 {
        return value as u32;
    }
    let rho = u64::from(scaled(ppm)) + 1;
    let answer = (value * ((1 << 32) - rho) + u64::from(*last) * rho) >> 32;
    *last = answer as u32;
    *last
}

/// A probability in millionths as the kernel keeps it: a part of `u32::MAX`.
fn scaled(ppm: u32) -> u32 {
    (u64::from(ppm.min(1_000_000)) * u64::from(u32::MAX) / 1_000_000) as u32
}

/// Whether something with this probability happens.
fn happens(rng: &mut Rng, last: &mut u32, (ppm, correlation): (u32, u32)) -> bool {
    ppm > 0 && scaled(ppm) >= correlated(rng, last, correlation)
}

impl Qdisc {
    /// When a packet of `len` bytes is to leave; `None` for at once, ahead of all others.
    fn time_to_send(&mut self, rng: &mut Rng, now: SimTime, len: usize) -> Option<SimTime> {
        let netem = self.row.netem;
        let may_go_ahead = netem.gap > 0 && self.counter + 1 >= netem.gap;
        if may_go_ahead && happens(rng, &mut self.last.reorder, (netem.reorder, netem.reorder_correlation)) {
            self.counter = 0;
            return None;
        }
        self.counter += 1;
        let mut delay = self.draw_delay(rng, &netem);
        let mut from = now;
        if let Some(on_wire) = (len as u64 * 8).saturating_mul(1_000_000_000).checked_div(netem.rate) {
            // The last packet in the queue has to be through first; waiting for it counts as delay.
            if self.waiting > 0 {
                delay = delay.saturating_sub(self.last_at.since(now).0);
                from = self.last_at.max(now);
            }
            delay += on_wire;
        }
        Some(from + Duration(delay))
    }

    /// `tabledist` without a table: evenly spread around the delay.
    fn draw_delay(&mut self, rng: &mut Rng, netem: &Netem) -> u64 {
        if netem.jitter == 0 {
            return netem.delay;
        }
        let drawn = u64::from(correlated(rng, &mut self.last.delay, netem.delay_correlation));
        // The kernel draws 32 bits, so a jitter of more than two seconds is no wider than that.
        let spread = drawn % (2 * netem.jitter.min(u64::from(u32::MAX / 2)));
        (netem.delay + spread).saturating_sub(netem.jitter)
    }
}

impl Netns {
    /// Gives a device a queueing discipline, another one, or none (`tc qdisc replace`, `tc qdisc del`). What waited in
    /// the old one is lost, unless only its settings change.
    pub fn set_qdisc(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, netem: Option<Netem>) {
        let handle = self.next_qdisc;
        let Some(link) = self.link_mut(ifindex) else { return };
        match (link.qdisc.take(), netem) {
            (Some(mut old), Some(netem)) => {
                old.row.netem = netem;
                link.extra.qdisc = Some(old.row);
                link.qdisc = Some(old);
            }
            (_, None) => link.extra.qdisc = None,
            (None, Some(netem)) => {
                let row = QdiscRow { handle, netem };
                link.extra.qdisc = Some(row);
                link.qdisc = Some(Box::new(Qdisc {
                    row,
                    change: ChangeId::NONE,
                    epoch: u32::from(handle),
                    waiting: 0,
                    last_at: SimTime::ZERO,
                    counter: 0,
                    last: Drawn::default(),
                }));
                // `qdisc_alloc_handle` counts from 8001: on.
                self.next_qdisc = handle.checked_add(1).unwrap_or(0x8001);
            }
        }
        let change = self.record_link(ctx, ifindex);
        if let Some(Link { qdisc: Some(qdisc), .. }) = self.link_mut(ifindex) {
            qdisc.change = change;
        }
    }

    /// Makes a device ready for filters or no longer so (`tc qdisc add clsact`, `del`).
    pub fn set_clsact(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, is_ready: bool) {
        let Some(link) = self.link_mut(ifindex) else { return };
        link.extra.mirrors = Mirrors { is_ready, ..Mirrors::default() };
        self.record_link(ctx, ifindex);
    }

    /// Has what comes in at a device, or goes out, mirrored to another one (`tc filter add … mirred`), or not.
    pub fn set_mirror(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, incoming: bool, to: Option<Mirror>) {
        let Some(link) = self.link_mut(ifindex) else { return };
        let mirrors = &mut link.extra.mirrors;
        *(if incoming { &mut mirrors.ingress } else { &mut mirrors.egress }) = to;
        self.record_link(ctx, ifindex);
    }

    /// A packet comes to a queueing discipline (`netem_enqueue`); what need not wait comes back.
    pub(super) fn netem_enqueue(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        mut skb: Skb,
        may_duplicate: bool,
    ) {
        let at = (self.id, ifindex);
        let mut rng = self.rng.clone();
        let Some(Link { qdisc: Some(qdisc), .. }) = self.link_mut(ifindex) else {
            self.rng = rng;
            return ctx.drop(at, skb, DropReason::DevReady);
        };
        let netem = qdisc.row.netem;
        let chance = (netem.duplicate, netem.duplicate_correlation);
        let twice = may_duplicate && happens(&mut rng, &mut qdisc.last.duplicate, chance);
        let lost = happens(&mut rng, &mut qdisc.last.loss, (netem.loss, netem.loss_correlation));
        let full = qdisc.waiting >= netem.limit;
        let (change, epoch) = (qdisc.change, qdisc.epoch);
        let leaves = (!full && (twice || !lost))
            .then(|| qdisc.time_to_send(&mut rng, ctx.now, skb.frame.wire_len()).unwrap_or(ctx.now));
        let wait = leaves.map(|leaves| if ctx.now < leaves { leaves.since(ctx.now) } else { Duration::ZERO });
        if let (Some(leaves), Some(_)) = (leaves, wait.filter(|wait| Duration::ZERO < *wait)) {
            qdisc.waiting += 1;
            qdisc.last_at = qdisc.last_at.max(leaves);
        }
        self.rng = rng;
        ctx.note(at, &mut skb, EventKind::Decided(Table::Qdisc, change));
        // A copy that is lost and a packet that is lost come to the same: one of the two is left.
        let copy = (twice && !lost).then(|| ctx.copy(&skb));
        match wait {
            None if lost && !twice => ctx.drop(at, skb, DropReason::NetemLoss),
            None => ctx.drop(at, skb, DropReason::QdiscOverlimit),
            Some(Duration::ZERO) => self.dev_hard_start_xmit(ctx, ifindex, skb),
            Some(wait) => ctx.later(wait, Urgency::Now, Work::Dequeue(ifindex, epoch, skb)),
        }
        if let Some(copy) = copy {
            self.netem_enqueue(ctx, ifindex, copy, false);
        }
    }

    /// A packet has waited long enough (`netem_dequeue`).
    pub(super) fn netem_dequeue(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, epoch: u32, skb: Skb) {
        let at = (self.id, ifindex);
        match self.link_mut(ifindex) {
            Some(Link { qdisc: Some(qdisc), up: true, .. }) if qdisc.epoch == epoch => {
                qdisc.waiting = qdisc.waiting.saturating_sub(1);
                self.dev_hard_start_xmit(ctx, ifindex, skb);
            }
            // `qdisc_reset` empties the queue of a device that goes down or changes its discipline.
            Some(_) | None => ctx.drop(at, skb, DropReason::QdiscDrop),
        }
    }
}
