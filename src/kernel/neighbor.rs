//! The neighbour table (`net/core/neighbour.c`), with the states of RFC 4861 section 7.3 as Linux applies them to
//! ARP. Functions carry the kernel's names. Entries are not collected: below `gc_thresh1` (128) the kernel does not
//! collect either.

use super::{Ctx, Netns, Skb, Timer, Urgency, Work, timer};
use crate::base::{ChangeId, Duration, EventId, IfIndex, Ipv4Addr, MacAddr, SimTime};
use crate::trace::{DropReason, EventKind, NeighRow, Nud, Table, TableChange};
use crate::wire::Body;
use crate::wire::Frame;
use std::collections::VecDeque;

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Neighbor {
    pub(super) row: NeighRow,
    /// The row in the trace.
    change: ChangeId,
    /// When a packet last asked for it.
    used: SimTime,
    /// When its timer goes off.
    deadline: Option<SimTime>,
    /// How long a confirmation lasts: 15 to 45 s, drawn once (`reachable_time`).
    reachable_time: Duration,
    /// Packets that wait for the answer (`arp_queue`).
    queue: VecDeque<Skb>,
}

/// What was heard about a neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    /// The state it suggests.
    pub(super) state: Nud,
    /// Whether it may replace a different address (`NEIGH_UPDATE_F_OVERRIDE`).
    pub(super) may_override: bool,
}

impl Neighbor {
    /// The row in the trace.
    pub(super) fn change(&self) -> ChangeId {
        self.change
    }
}

fn is_connected(state: Nud) -> bool {
    matches!(state, Nud::Permanent | Nud::NoArp | Nud::Reachable)
}

fn is_valid(state: Nud) -> bool {
    is_connected(state) || matches!(state, Nud::Probe | Nud::Stale | Nud::Delay)
}

impl Netns {
    /// Makes an entry without an address if there is none (`neigh_create`).
    pub(super) fn neigh_create(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, addr: Ipv4Addr) {
        if self.neighbors.contains_key(&(ifindex, addr)) {
            return;
        }
        let base = self.sysctl.base_reachable_time;
        let row = NeighRow {
            netns: self.id,
            ifindex,
            addr,
            mac: None,
            state: Nud::Failed,
            probes: 0,
            updated: ctx.now,
            confirmed: SimTime(ctx.now.0.saturating_sub(2 * base.0)),
        };
        let reachable_time = Duration(base.0 / 2 + self.rng.u64(0..=base.0));
        let entry = Neighbor {
            row,
            change: ChangeId::NONE,
            used: ctx.now,
            deadline: None,
            reachable_time,
            queue: VecDeque::new(),
        };
        self.neighbors.insert((ifindex, addr), entry);
    }

    pub(super) fn put_neighbor(&mut self, ctx: &mut Ctx<'_>, row: NeighRow) {
        self.neigh_create(ctx, row.ifindex, row.addr);
        self.neigh_set(ctx, (row.ifindex, row.addr), EventId::NONE, |entry| {
            entry.row = row;
            entry.deadline = None;
        });
    }

    /// Removes an entry (`ip neigh del`, `neigh_delete`). It fails first, so that packets that waited for it are reported
    /// unreachable.
    pub fn del_neighbor(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, addr: Ipv4Addr) {
        let asked = |entry: &Neighbor| matches!(entry.row.state, Nud::Incomplete | Nud::Probe);
        if self.neighbors.get(&(ifindex, addr)).is_some_and(asked) {
            self.neigh_invalidate(ctx, (ifindex, addr));
        }
        self.forget_neighbor(ctx, ifindex, addr);
    }

    /// Takes an entry out. Packets that waited for it are lost.
    fn forget_neighbor(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex, addr: Ipv4Addr) {
        let Some(entry) = self.neighbors.remove(&(ifindex, addr)) else { return };
        for skb in entry.queue {
            ctx.drop((self.id, ifindex), skb, DropReason::NeighDead);
        }
        ctx.change(self.id, ifindex, EventId::NONE, TableChange::NeighGone(self.id, ifindex, addr));
    }

    /// Removes the entries of an interface that goes down (`neigh_ifdown`).
    pub fn flush_neighbors(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let keys: Vec<_> = self.neighbors.keys().filter(|(at, _)| *at == ifindex).copied().collect();
        for (ifindex, addr) in keys {
            self.forget_neighbor(ctx, ifindex, addr);
        }
    }

    /// Without a carrier nothing learnt is believed any more; what was set by hand stays (`neigh_carrier_down`).
    pub(super) fn neigh_carrier_down(&mut self, ctx: &mut Ctx<'_>, ifindex: IfIndex) {
        let learnt = |entry: &Neighbor| entry.row.ifindex == ifindex && entry.row.state != Nud::Permanent;
        let keys: Vec<_> =
            self.neighbors.iter().filter(|(_, entry)| learnt(entry)).map(|(key, _)| *key).collect();
        for (ifindex, addr) in keys {
            self.forget_neighbor(ctx, ifindex, addr);
        }
    }

    /// Changes an entry and writes down its new row.
    fn neigh_set(
        &mut self,
        ctx: &mut Ctx<'_>,
        key: (IfIndex, Ipv4Addr),
        cause: EventId,
        change: impl FnOnce(&mut Neighbor),
    ) {
        let Some(entry) = self.neighbors.get_mut(&key) else { return };
        change(entry);
        entry.change = ctx.change(self.id, key.0, cause, TableChange::Neigh(entry.row));
    }

    fn neigh_add_timer(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr), after: Duration) {
        let Some(entry) = self.neighbors.get_mut(&key) else { return };
        let deadline = timer::expiry(ctx.now, after);
        entry.deadline = Some(deadline);
        let urgency = if entry.row.state == Nud::Reachable { Urgency::Background } else { Urgency::Soon };
        let work = Work::Timer(Timer::Neighbor(key.0, key.1, deadline));
        ctx.later(deadline.since(ctx.now), urgency, work);
    }

    /// Sends a packet to its next hop, now or when the address is known (`neigh_resolve_output`).
    pub(super) fn neigh_output(
        &mut self,
        ctx: &mut Ctx<'_>,
        oif: IfIndex,
        next_hop: Ipv4Addr,
        after: Duration,
        mut skb: Skb,
    ) {
        let key = (oif, next_hop);
        self.neigh_create(ctx, oif, next_hop);
        if skb.confirms
            && let Some(entry) = self.neighbors.get_mut(&key)
        {
            // Word from above (`neigh_confirm`): it counts when the entry's timer goes off, and no row is written for it.
            entry.row.confirmed = ctx.now;
        }
        if !self.neigh_event_send(ctx, key, skb.cause) {
            let change = self.neighbors[&key].change;
            ctx.note((self.id, oif), &mut skb, EventKind::Decided(Table::Neighbor, change));
            return self.neigh_enqueue(ctx, key, skb);
        }
        let entry = &self.neighbors[&key];
        let (change, mac) = (entry.change, entry.row.mac.unwrap_or(MacAddr::ZERO));
        ctx.note((self.id, oif), &mut skb, EventKind::Decided(Table::Neighbor, change));
        self.neigh_xmit(ctx, oif, mac, after, skb);
    }

    fn neigh_xmit(&mut self, ctx: &mut Ctx<'_>, oif: IfIndex, dst: MacAddr, after: Duration, mut skb: Skb) {
        let src = self.link(oif).map_or(MacAddr::ZERO, |link| link.mac);
        let frame: &mut Frame = skb.frame_mut();
        frame.dst = dst;
        frame.src = src;
        ctx.later(after, Urgency::Now, Work::Transmit(oif, skb));
    }

    /// Marks an entry as used and says whether its address can be used; asks for it where there is none
    /// (`__neigh_event_send`).
    fn neigh_event_send(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr), cause: EventId) -> bool {
        let now = ctx.now;
        let Some(entry) = self.neighbors.get_mut(&key) else { return false };
        entry.used = now;
        match entry.row.state {
            Nud::Permanent | Nud::NoArp | Nud::Reachable | Nud::Delay | Nud::Probe => true,
            Nud::Stale => {
                self.neigh_set(ctx, key, cause, |entry| {
                    entry.row.state = Nud::Delay;
                    entry.row.updated = now;
                });
                self.neigh_add_timer(ctx, key, self.sysctl.delay_first_probe_time);
                true
            }
            Nud::Failed => {
                let probes = self.sysctl.ucast_solicit;
                self.neigh_set(ctx, key, cause, |entry| {
                    entry.row.state = Nud::Incomplete;
                    entry.row.probes = probes;
                    entry.row.mac = None;
                    entry.row.updated = now;
                });
                self.neigh_add_timer(ctx, key, self.sysctl.retrans_time);
                false
            }
            Nud::Incomplete => false,
        }
    }

    /// Whether a neighbour's address is known; asks for it where it is not, although no packet waits for it
    /// (`neigh_event_send` without a packet).
    pub(super) fn neigh_ask(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr), cause: EventId) -> bool {
        self.neigh_create(ctx, key.0, key.1);
        let state = self.neighbors[&key].row.state;
        if is_valid(state) {
            return true;
        }
        self.neigh_event_send(ctx, key, cause);
        if state == Nud::Failed {
            self.neigh_probe(ctx, key);
        }
        false
    }

    /// Lets a packet wait; the oldest goes when too many bytes wait. The first to wait triggers the first request.
    fn neigh_enqueue(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr), mut skb: Skb) {
        ctx.note((self.id, key.0), &mut skb, EventKind::Queued);
        let limit = self.sysctl.unres_qlen_bytes;
        let Some(entry) = self.neighbors.get_mut(&key) else { return };
        let first = entry.queue.is_empty() && entry.row.probes == self.sysctl.ucast_solicit;
        entry.queue.push_back(skb);
        // The kernel counts `truesize`, which for small packets is 768 bytes of buffer and bookkeeping.
        let truesize = |skb: &Skb| 768 + skb.frame.wire_len() / 512 * 512;
        let mut bytes: usize = entry.queue.iter().map(truesize).sum();
        let mut lost = Vec::new();
        while bytes > limit
            && let Some(oldest) = entry.queue.pop_front()
        {
            bytes -= truesize(&oldest);
            lost.push(oldest);
        }
        for skb in lost {
            ctx.drop((self.id, key.0), skb, DropReason::NeighQueueFull);
        }
        if first {
            self.neigh_probe(ctx, key);
        }
    }

    /// Sends one request (`neigh_probe`).
    fn neigh_probe(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr)) {
        let Some(entry) = self.neighbors.get(&key) else { return };
        let unicast = entry.row.probes < self.sysctl.ucast_solicit;
        let known = entry.row.mac.filter(|_| unicast);
        let waiting = entry.queue.back().cloned();
        self.arp_solicit(ctx, key.0, key.1, known, waiting.as_ref());
        self.neigh_set(ctx, key, EventId::NONE, |entry| entry.row.probes += 1);
    }

    /// A neighbour's timer went off (`neigh_timer_handler`).
    pub(super) fn neigh_timer_handler(
        &mut self,
        ctx: &mut Ctx<'_>,
        ifindex: IfIndex,
        addr: Ipv4Addr,
        deadline: SimTime,
    ) {
        let key = (ifindex, addr);
        let Some(entry) = self.neighbors.get_mut(&key).filter(|entry| entry.deadline == Some(deadline))
        else {
            return;
        };
        entry.deadline = None;
        match entry.row.state {
            Nud::Reachable => self.reachable_expired(ctx, key),
            Nud::Delay => self.delay_expired(ctx, key),
            Nud::Probe | Nud::Incomplete => self.probe_expired(ctx, key),
            Nud::Stale | Nud::Failed | Nud::Permanent | Nud::NoArp => {}
        }
    }

    fn reachable_expired(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr)) {
        let (now, delay) = (ctx.now, self.sysctl.delay_first_probe_time);
        let entry = &self.neighbors[&key];
        let (confirmed_until, used_until) = (entry.row.confirmed + entry.reachable_time, entry.used + delay);
        if now <= confirmed_until {
            return self.neigh_add_timer(ctx, key, confirmed_until.since(now));
        }
        let state = if now <= used_until { Nud::Delay } else { Nud::Stale };
        self.neigh_set(ctx, key, EventId::NONE, |entry| {
            entry.row.state = state;
            entry.row.updated = now;
        });
        if state == Nud::Delay {
            self.neigh_add_timer(ctx, key, delay);
        }
    }

    fn delay_expired(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr)) {
        let (now, delay) = (ctx.now, self.sysctl.delay_first_probe_time);
        let entry = &self.neighbors[&key];
        let reachable_time = entry.reachable_time;
        let confirmed = now <= entry.row.confirmed + delay;
        let state = if confirmed { Nud::Reachable } else { Nud::Probe };
        self.neigh_set(ctx, key, EventId::NONE, |entry| {
            entry.row.state = state;
            entry.row.probes = 0;
            entry.row.updated = now;
        });
        if confirmed {
            self.neigh_add_timer(ctx, key, reachable_time);
        } else {
            self.neigh_add_timer(ctx, key, self.sysctl.retrans_time);
            self.neigh_probe(ctx, key);
        }
    }

    fn probe_expired(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr)) {
        let entry = &self.neighbors[&key];
        let mcast = if entry.row.state == Nud::Probe { 0 } else { self.sysctl.mcast_solicit };
        if entry.row.probes >= self.sysctl.ucast_solicit + mcast {
            return self.neigh_invalidate(ctx, key);
        }
        self.neigh_add_timer(ctx, key, self.sysctl.retrans_time);
        self.neigh_probe(ctx, key);
    }

    /// Gives up: every packet that waited is reported unreachable (`neigh_invalidate`, `arp_error_report`).
    fn neigh_invalidate(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr)) {
        let now = ctx.now;
        self.neigh_set(ctx, key, EventId::NONE, |entry| {
            entry.row.state = Nud::Failed;
            entry.row.updated = now;
        });
        let Some(entry) = self.neighbors.get_mut(&key) else { return };
        // One report after the other: each takes the time that making an answer takes.
        let mut after = ctx.delays.input;
        for skb in std::mem::take(&mut entry.queue) {
            self.ipv4_link_failure(ctx, key.0, after, skb);
            after = after + ctx.delays.input;
        }
    }

    /// Something was heard about a neighbour (`neigh_update`).
    pub(super) fn neigh_update(
        &mut self,
        ctx: &mut Ctx<'_>,
        key: (IfIndex, Ipv4Addr),
        mac: MacAddr,
        update: Update,
        cause: EventId,
    ) {
        let now = ctx.now;
        let base = self.sysctl.base_reachable_time;
        let Some(entry) = self.neighbors.get_mut(&key) else { return };
        let old = entry.row.state;
        if old == Nud::Permanent || old == Nud::NoArp {
            return;
        }
        if is_connected(update.state) {
            entry.row.confirmed = now;
        }
        let same_mac = entry.row.mac == Some(mac);
        let mut new = update.state;
        if is_valid(old) {
            if !same_mac && !update.may_override {
                return;
            }
            if same_mac && new == Nud::Stale {
                new = old;
            }
        }
        if new == old && same_mac {
            return self.neigh_refresh(ctx, key, cause);
        }
        let reachable_time = entry.reachable_time;
        self.neigh_set(ctx, key, cause, |entry| {
            entry.row.updated = now;
            entry.row.state = new;
            entry.row.mac = Some(mac);
            if !same_mac && !is_connected(new) {
                entry.row.confirmed = SimTime(now.0.saturating_sub(2 * base.0));
            }
            if new != old {
                entry.deadline = None;
            }
        });
        if new != old && new == Nud::Reachable {
            self.neigh_add_timer(ctx, key, reachable_time);
        }
        if !is_valid(old) {
            self.neigh_flush_queue(ctx, key);
        }
    }

    /// A confirmation that changes neither state nor address still counts.
    fn neigh_refresh(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr), cause: EventId) {
        if self.neighbors[&key].row.confirmed == ctx.now {
            self.neigh_set(ctx, key, cause, |_| {});
        }
    }

    /// Whether a TCP segment with this sequence number, from the first of these ends to the second, waits for an answer.
    pub(super) fn neigh_holds(&self, (from, to): ((Ipv4Addr, u16), (Ipv4Addr, u16)), seq: u32) -> bool {
        let mut waiting = self.neighbors.values().flat_map(|entry| &entry.queue);
        waiting.any(|skb| {
            let packet = skb.frame.ipv4().filter(|packet| (packet.src, packet.dst) == (from.0, to.0));
            packet.is_some_and(|packet| match &*packet.body {
                Body::Tcp(tcp) => (tcp.src_port, tcp.dst_port, tcp.seq) == (from.1, to.1, seq),
                Body::Icmp(_)
                | Body::Udp(_)
                | Body::Igmp(_)
                | Body::Ipip(_)
                | Body::Gre(_)
                | Body::Esp(_)
                | Body::Raw { .. } => false,
            })
        })
    }

    fn neigh_flush_queue(&mut self, ctx: &mut Ctx<'_>, key: (IfIndex, Ipv4Addr)) {
        let Some(entry) = self.neighbors.get_mut(&key) else { return };
        for skb in std::mem::take(&mut entry.queue) {
            self.neigh_output(ctx, key.0, key.1, ctx.delays.output, skb);
        }
    }
}
