//! The spanning tree of a bridge (IEEE 802.1D-1998 as `net/bridge/br_stp.c`, `br_stp_if.c`, `br_stp_timer.c` and
//! `br_stp_bpdu.c` do it). Functions carry the kernel's names, after which the conditions can be checked one by one.

use super::stp_timer::{Armed, BridgeTimer, PortTimer};
use super::{Ctx, Kind, Link, Netns, Skb};
use crate::base::{Duration, EventId, IfIndex, MacAddr, ProcessId, SimTime};
use crate::trace::{Designated, Disposition, DropReason, EventKind, PortState, Relation};
use crate::wire::{Bpdu, BpduConfig, BridgeId, Frame, Payload, port_id};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What information ages by at each bridge: a jiffy (`MESSAGE_AGE_INCR`).
const MESSAGE_AGE_INCR: Duration = Duration(4_000_000);
/// A port sends at most one configuration message in this time (`BR_HOLD_TIME`).
const HOLD_TIME: Duration = Duration::from_secs(1);

/// Times that a bridge runs its spanning tree by: its own, or those that the root announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StpTimes {
    /// How old information may become.
    pub max_age: Duration,
    /// How often the root sends.
    pub hello_time: Duration,
    /// How long a port listens, and then learns.
    pub forward_delay: Duration,
}

/// The running state of a bridge's spanning tree, besides what its row shows.
#[derive(Clone, Debug)]
pub struct Stp {
    /// Times in force, from the root.
    pub times: StpTimes,
    /// Deadlines of its timers.
    pub(super) timers: BTreeMap<BridgeTimer, Armed>,
    /// Deadlines of its ports' timers.
    pub(super) port_timers: BTreeMap<(IfIndex, PortTimer), Armed>,
    /// When the information of each port was fresh at the root (`designated_age`).
    pub(super) designated_age: BTreeMap<IfIndex, SimTime>,
}

impl Default for Stp {
    fn default() -> Self {
        let times = StpTimes {
            max_age: Duration::from_secs(20),
            hello_time: Duration::from_secs(2),
            forward_delay: Duration::from_secs(15),
        };
        Self { times, timers: BTreeMap::new(), port_timers: BTreeMap::new(), designated_age: BTreeMap::new() }
    }
}

/// A time in units of 1/256 s, as BPDUs have it (`br_set_ticks`).
fn ticks(time: Duration) -> u16 {
    u16::try_from(time.0.saturating_mul(256) / 1_000_000_000).unwrap_or(u16::MAX)
}

fn from_ticks(ticks: u16) -> Duration {
    Duration((u64::from(ticks) * 1_000_000_000).div_ceil(256))
}

/// Hundredths of seconds, in which administrators set times.
pub(super) fn from_centis(centis: u32) -> Duration {
    Duration(u64::from(centis) * 10_000_000)
}

impl Netns {
    pub(super) fn bridge(&self, ifindex: IfIndex) -> Option<&super::Bridge> {
        match self.link(ifindex) {
            Some(Link { kind: Kind::Bridge(bridge), .. }) => Some(bridge),
            Some(_) | None => None,
        }
    }

    pub(super) fn bridge_mut(&mut self, ifindex: IfIndex) -> Option<&mut super::Bridge> {
        match self.link_mut(ifindex) {
            Some(Link { kind: Kind::Bridge(bridge), .. }) => Some(bridge),
            Some(_) | None => None,
        }
    }

    /// Ports in the order in which the kernel walks them: the newest first.
    pub(super) fn port_list(&self, bridge: IfIndex) -> Vec<IfIndex> {
        self.bridge(bridge).map(|state| state.ports.iter().rev().copied().collect()).unwrap_or_default()
    }

    pub(super) fn port(&self, ifindex: IfIndex) -> Option<super::Port> {
        self.link(ifindex)?.port
    }

    pub(super) fn designated(&self, ifindex: IfIndex) -> Option<Designated> {
        self.port(ifindex)?.extra.designated
    }

    pub(super) fn br_is_root_bridge(&self, bridge: IfIndex) -> bool {
        self.bridge(bridge).is_some_and(|state| state.row.id == state.row.root)
    }

    pub(super) fn runs_stp(&self, bridge: IfIndex) -> bool {
        self.bridge(bridge).is_some_and(|state| state.row.stp)
    }

    pub(super) fn is_up(&self, ifindex: IfIndex) -> bool {
        self.link(ifindex).is_some_and(|link| link.up)
    }

    fn own_port_id(&self, ifindex: IfIndex) -> u16 {
        self.port(ifindex).map_or(0, |port| port_id(port.extra.priority, port.number))
    }

    fn br_is_designated_port(&self, bridge: IfIndex, at: IfIndex) -> bool {
        let (Some(state), Some(designated)) = (self.bridge(bridge), self.designated(at)) else {
            return false;
        };
        designated.bridge == state.row.id && designated.port == self.own_port_id(at)
    }

    /// The port towards the root.
    fn root_port(&self, bridge: IfIndex) -> Option<IfIndex> {
        let number = self.bridge(bridge)?.row.root_port;
        self.port_list(bridge).into_iter().find(|at| self.port(*at).is_some_and(|port| port.number == number))
    }

    fn br_should_become_root_port(&self, bridge: IfIndex, at: IfIndex, best: Option<IfIndex>) -> bool {
        let (Some(state), Some(port), Some(own)) = (self.bridge(bridge), self.port(at), self.designated(at))
        else {
            return false;
        };
        if port.state == PortState::Disabled
            || self.br_is_designated_port(bridge, at)
            || state.row.id <= own.root
        {
            return false;
        }
        let rank = |at: IfIndex, own: Designated| {
            let cost = self.port(at).map_or(0, |port| port.extra.cost);
            (own.root, own.cost.saturating_add(cost), own.bridge, own.port, self.own_port_id(at))
        };
        match best.and_then(|best| Some((best, self.designated(best)?))) {
            Some((best, other)) => rank(at, own) < rank(best, other),
            None => true,
        }
    }

    fn br_root_selection(&mut self, bridge: IfIndex) {
        let mut best = None;
        for at in self.port_list(bridge) {
            let blocked = self.port(at).is_some_and(|port| port.extra.root_block);
            if self.br_should_become_root_port(bridge, at, best) && !blocked {
                best = Some(at);
            }
        }
        let way = best.and_then(|at| Some((self.port(at)?, self.designated(at)?)));
        let Some(state) = self.bridge_mut(bridge) else { return };
        (state.row.root, state.row.root_path_cost, state.row.root_port) = match way {
            Some((port, own)) => (own.root, own.cost.saturating_add(port.extra.cost), port.number),
            None => (state.row.id, 0, 0),
        };
    }

    pub(super) fn br_become_root_bridge(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        let Some(state) = self.bridge_mut(bridge) else { return };
        state.stp.times = state.own_times();
        state.stp.timers.remove(&BridgeTimer::Tcn);
        let hello = state.stp.times.hello_time;
        self.br_topology_change_detection(ctx, bridge);
        if self.is_up(bridge) {
            self.br_config_bpdu_generation(ctx, bridge);
            self.arm_bridge(ctx, bridge, BridgeTimer::Hello, hello);
        }
    }

    /// Announces on a port what this bridge knows.
    pub(super) fn br_transmit_config(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        let Some(state) = self.bridge(bridge) else { return };
        if state.stp.port_timers.contains_key(&(at, PortTimer::Hold)) {
            return self.set_port_extra(at, |extra| extra.config_pending = true);
        }
        let (row, times) = (state.row, state.stp.times);
        let age = match self.root_port(bridge).filter(|_| row.id != row.root) {
            Some(root) => {
                let since = state.stp.designated_age.get(&root).copied().unwrap_or(ctx.now);
                ctx.now.since(since) + MESSAGE_AGE_INCR
            }
            None => Duration::ZERO,
        };
        if times.max_age <= age || !row.stp {
            return;
        }
        let ack = self.port(at).is_some_and(|port| port.extra.topology_change_ack);
        let config = BpduConfig {
            flags: u8::from(row.topology_change) | u8::from(ack) << 7,
            root: row.root,
            root_path_cost: row.root_path_cost,
            bridge: row.id,
            port: self.own_port_id(at),
            message_age: ticks(age),
            max_age: ticks(times.max_age),
            hello_time: ticks(times.hello_time),
            forward_delay: ticks(times.forward_delay),
        };
        self.br_send_bpdu(ctx, at, Bpdu::Config(config));
        self.set_port_extra(at, |extra| {
            (extra.topology_change_ack, extra.config_pending) = (false, false);
        });
        self.arm_port(ctx, (bridge, at), PortTimer::Hold, HOLD_TIME);
    }

    fn br_send_bpdu(&mut self, ctx: &mut Ctx<'_>, at: IfIndex, bpdu: Bpdu) {
        let src = self.link(at).map_or(MacAddr::ZERO, |link| link.mac);
        let frame = Frame { dst: Bpdu::GROUP, src, payload: Payload::Bpdu(bpdu) };
        let mut skb = ctx.fresh(Relation::Unasked, ProcessId::NONE, Arc::new(frame));
        ctx.note((self.id, at), &mut skb, EventKind::Originated);
        ctx.later(Duration::ZERO, super::Urgency::Now, super::Work::Transmit(at, skb));
    }

    pub(super) fn br_transmit_tcn(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        if let Some(at) = self.root_port(bridge).filter(|_| self.runs_stp(bridge)) {
            self.br_send_bpdu(ctx, at, Bpdu::TopologyChange);
        }
    }

    fn br_record_config_information(
        &mut self,
        ctx: &mut Ctx<'_>,
        (bridge, at): (IfIndex, IfIndex),
        bpdu: &BpduConfig,
    ) {
        let heard =
            Designated { root: bpdu.root, cost: bpdu.root_path_cost, bridge: bpdu.bridge, port: bpdu.port };
        self.set_port_extra(at, |extra| extra.designated = Some(heard));
        let age = from_ticks(bpdu.message_age);
        let fresh = SimTime(ctx.now.0.saturating_sub(age.0));
        if let Some(state) = self.bridge_mut(bridge) {
            state.stp.designated_age.insert(at, fresh);
        }
        let left = Duration(from_ticks(bpdu.max_age).0.saturating_sub(age.0));
        self.arm_port(ctx, (bridge, at), PortTimer::MessageAge, left);
    }

    fn br_should_become_designated_port(&self, bridge: IfIndex, at: IfIndex) -> bool {
        let (Some(state), Some(own)) = (self.bridge(bridge), self.designated(at)) else { return true };
        let row = state.row;
        self.br_is_designated_port(bridge, at)
            || own.root != row.root
            || (row.root_path_cost, row.id, self.own_port_id(at)) < (own.cost, own.bridge, own.port)
    }

    fn br_designated_port_selection(&mut self, bridge: IfIndex) {
        for at in self.port_list(bridge) {
            let used = self.port(at).is_some_and(|port| port.state != PortState::Disabled);
            if used && self.br_should_become_designated_port(bridge, at) {
                self.br_become_designated_port(bridge, at);
            }
        }
    }

    pub(super) fn br_become_designated_port(&mut self, bridge: IfIndex, at: IfIndex) {
        let Some(row) = self.bridge(bridge).map(|state| state.row) else { return };
        let port = self.own_port_id(at);
        let own = Designated { root: row.root, cost: row.root_path_cost, bridge: row.id, port };
        self.set_port_extra(at, |extra| extra.designated = Some(own));
    }

    fn br_supersedes_port_info(&self, bridge: IfIndex, at: IfIndex, bpdu: &BpduConfig) -> bool {
        let Some(own) = self.designated(at) else { return true };
        let own_bridge = self.bridge(bridge).map(|state| state.row.id);
        let (heard, known) =
            ((bpdu.root, bpdu.root_path_cost, bpdu.bridge), (own.root, own.cost, own.bridge));
        heard < known || heard == known && (Some(bpdu.bridge) != own_bridge || bpdu.port <= own.port)
    }

    pub(super) fn br_topology_change_detection(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        let Some(state) = self.bridge(bridge).filter(|state| state.row.stp) else { return };
        let (own, detected) = (state.own_times(), state.row.topology_change_detected);
        if self.br_is_root_bridge(bridge) {
            self.br_set_topology_change(bridge, true);
            self.arm_bridge(ctx, bridge, BridgeTimer::TopologyChange, own.forward_delay + own.max_age);
        } else if !detected {
            self.br_transmit_tcn(ctx, bridge);
            self.arm_bridge(ctx, bridge, BridgeTimer::Tcn, own.hello_time);
        }
        if let Some(state) = self.bridge_mut(bridge) {
            state.row.topology_change_detected = true;
        }
        self.record_link(ctx, bridge);
    }

    /// While the topology changes, what was learnt ages in twice the forward delay (`__br_set_topology_change`).
    pub(super) fn br_set_topology_change(&mut self, bridge: IfIndex, on: bool) {
        if let Some(state) = self.bridge_mut(bridge).filter(|state| state.row.stp) {
            state.row.topology_change = on;
        }
    }

    pub(super) fn br_config_bpdu_generation(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        for at in self.port_list(bridge) {
            let used = self.port(at).is_some_and(|port| port.state != PortState::Disabled);
            if used && self.br_is_designated_port(bridge, at) {
                self.br_transmit_config(ctx, bridge, at);
            }
        }
    }

    pub(super) fn br_configuration_update(&mut self, bridge: IfIndex) {
        self.br_root_selection(bridge);
        self.br_designated_port_selection(bridge);
    }

    fn br_make_blocking(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        let Some(port) = self.port(at) else { return };
        if matches!(port.state, PortState::Disabled | PortState::Blocking) {
            return;
        }
        if matches!(port.state, PortState::Forwarding | PortState::Learning) {
            self.br_topology_change_detection(ctx, bridge);
        }
        self.set_port_state(ctx, at, PortState::Blocking);
        self.disarm_port(bridge, at, PortTimer::ForwardDelay);
    }

    fn br_make_forwarding(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        let Some(port) = self.port(at).filter(|port| port.state == PortState::Blocking) else { return };
        debug_assert_eq!(port.master, bridge);
        let delay = self.bridge(bridge).map_or(Duration::ZERO, |state| state.stp.times.forward_delay);
        if !self.runs_stp(bridge) || delay == Duration::ZERO {
            self.set_port_state(ctx, at, PortState::Forwarding);
            self.br_topology_change_detection(ctx, bridge);
            self.disarm_port(bridge, at, PortTimer::ForwardDelay);
        } else {
            self.set_port_state(ctx, at, PortState::Listening);
            self.arm_port(ctx, (bridge, at), PortTimer::ForwardDelay, delay);
        }
    }

    pub(super) fn br_port_state_selection(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        for at in self.port_list(bridge) {
            let Some(port) = self.port(at).filter(|port| port.state != PortState::Disabled) else { continue };
            let is_root_port = self.bridge(bridge).is_some_and(|state| state.row.root_port == port.number);
            let designated = self.br_is_designated_port(bridge, at);
            if is_root_port || !designated {
                self.set_port_extra(at, |extra| {
                    (extra.config_pending, extra.topology_change_ack) = (false, false);
                });
            }
            if is_root_port {
                self.br_make_forwarding(ctx, bridge, at);
            } else if designated {
                self.disarm_port(bridge, at, PortTimer::MessageAge);
                self.br_make_forwarding(ctx, bridge, at);
            } else {
                self.br_make_blocking(ctx, bridge, at);
            }
        }
        self.update_bridge_carrier(ctx, bridge);
    }

    fn br_received_config_bpdu(
        &mut self,
        ctx: &mut Ctx<'_>,
        (bridge, at): (IfIndex, IfIndex),
        bpdu: &BpduConfig,
    ) {
        let was_root = self.br_is_root_bridge(bridge);
        if !self.br_supersedes_port_info(bridge, at, bpdu) {
            if self.br_is_designated_port(bridge, at) {
                self.br_transmit_config(ctx, bridge, at);
            }
            return;
        }
        self.br_record_config_information(ctx, (bridge, at), bpdu);
        self.br_configuration_update(bridge);
        self.br_port_state_selection(ctx, bridge);
        if was_root && !self.br_is_root_bridge(bridge) {
            let Some(state) = self.bridge_mut(bridge) else { return };
            state.stp.timers.remove(&BridgeTimer::Hello);
            if state.row.topology_change_detected {
                state.stp.timers.remove(&BridgeTimer::TopologyChange);
                let hello = state.own_times().hello_time;
                self.br_transmit_tcn(ctx, bridge);
                self.arm_bridge(ctx, bridge, BridgeTimer::Tcn, hello);
            }
        }
        if self.root_port(bridge) == Some(at) {
            self.br_record_config_timeout_values(bridge, bpdu);
            self.br_config_bpdu_generation(ctx, bridge);
            if bpdu.flags & 0x80 != 0
                && let Some(state) = self.bridge_mut(bridge)
            {
                state.row.topology_change_detected = false;
                state.stp.timers.remove(&BridgeTimer::Tcn);
            }
        }
        self.record_link(ctx, at);
        self.record_link(ctx, bridge);
    }

    fn br_record_config_timeout_values(&mut self, bridge: IfIndex, bpdu: &BpduConfig) {
        if let Some(state) = self.bridge_mut(bridge) {
            state.stp.times = StpTimes {
                max_age: from_ticks(bpdu.max_age),
                hello_time: from_ticks(bpdu.hello_time),
                forward_delay: from_ticks(bpdu.forward_delay),
            };
        }
        self.br_set_topology_change(bridge, bpdu.flags & 1 != 0);
    }

    /// A spanning tree packet came in at a port (`br_stp_rcv`).
    pub(super) fn br_stp_rcv(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex, skb: Skb) {
        let here = (self.id, at);
        let Payload::Bpdu(bpdu) = skb.frame.payload else {
            return ctx.drop(here, skb, DropReason::UnhandledProto);
        };
        let Some(port) = self.port(at) else { return ctx.drop(here, skb, DropReason::DevReady) };
        if !self.runs_stp(bridge) || !self.is_up(bridge) || port.state == PortState::Disabled {
            return ctx.drop(here, skb, DropReason::BridgePortState);
        }
        if port.extra.bpdu_guard {
            self.br_stp_disable_port(ctx, bridge, at);
            return ctx.drop(here, skb, DropReason::StpGuard);
        }
        ctx.end(here, skb, Disposition::Consumed);
        match bpdu {
            Bpdu::Config(config) if config.message_age <= config.max_age => {
                self.br_received_config_bpdu(ctx, (bridge, at), &config);
            }
            Bpdu::TopologyChange if self.br_is_designated_port(bridge, at) => {
                self.br_topology_change_detection(ctx, bridge);
                self.set_port_extra(at, |extra| extra.topology_change_ack = true);
                self.br_transmit_config(ctx, bridge, at);
            }
            // The kernel alone speaks version 0 only; what is too old is not believed.
            Bpdu::Config(_) | Bpdu::TopologyChange | Bpdu::Rapid(_) => {}
        }
    }

    /// `br_stp_enable_port`, and `br_init_port`.
    pub(super) fn br_stp_enable_port(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        self.br_become_designated_port(bridge, at);
        self.set_port_extra(at, |extra| {
            (extra.topology_change_ack, extra.config_pending) = (false, false);
        });
        if let Some(link) = self.link_mut(at)
            && let Some(port) = link.port.as_mut()
        {
            port.state = PortState::Blocking;
        }
        self.br_port_state_selection(ctx, bridge);
    }

    /// `br_stp_disable_port`.
    pub(super) fn br_stp_disable_port(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        let was_root = self.br_is_root_bridge(bridge);
        self.br_become_designated_port(bridge, at);
        self.set_port_extra(at, |extra| {
            (extra.topology_change_ack, extra.config_pending) = (false, false);
        });
        self.set_port_state(ctx, at, PortState::Disabled);
        for timer in [PortTimer::MessageAge, PortTimer::ForwardDelay, PortTimer::Hold] {
            self.disarm_port(bridge, at, timer);
        }
        self.br_fdb_delete_by_port(ctx, bridge, at);
        self.br_configuration_update(bridge);
        self.br_port_state_selection(ctx, bridge);
        if !was_root && self.br_is_root_bridge(bridge) {
            self.br_become_root_bridge(ctx, bridge);
        }
        self.record_link(ctx, bridge);
    }

    /// The bridge was set up (`br_stp_enable_bridge`).
    pub(super) fn br_stp_enable_bridge(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        if self.runs_stp(bridge) {
            let hello = self.bridge(bridge).map_or(Duration::ZERO, |state| state.stp.times.hello_time);
            self.arm_bridge(ctx, bridge, BridgeTimer::Hello, hello);
        }
        self.br_config_bpdu_generation(ctx, bridge);
    }

    /// The bridge was set down (`br_stp_disable_bridge`).
    pub(super) fn br_stp_disable_bridge(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        for at in self.port_list(bridge) {
            if self.port(at).is_some_and(|port| port.state != PortState::Disabled) {
                self.br_stp_disable_port(ctx, bridge, at);
            }
        }
        if let Some(state) = self.bridge_mut(bridge) {
            (state.row.topology_change, state.row.topology_change_detected) = (false, false);
            state.stp.timers.clear();
        }
    }

    /// Whether the protocol runs (`br_stp_set_enabled`). Ports keep the state they have.
    pub(super) fn br_stp_set_enabled(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, on: bool) {
        let Some(state) = self.bridge_mut(bridge).filter(|state| state.row.stp != on) else { return };
        state.row.stp = on;
        let hello = state.stp.times.hello_time;
        if on && self.is_up(bridge) {
            self.arm_bridge(ctx, bridge, BridgeTimer::Hello, hello);
        }
        self.br_port_state_selection(ctx, bridge);
    }

    /// The bridge's identifier changed: its address, or its priority (`br_stp_change_bridge_id`,
    /// `br_stp_set_bridge_priority`).
    pub(super) fn br_stp_change_bridge_id(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, id: BridgeId) {
        let was_root = self.br_is_root_bridge(bridge);
        let Some(state) = self.bridge_mut(bridge).filter(|state| state.row.id != id) else { return };
        let old = std::mem::replace(&mut state.row.id, id);
        for at in self.port_list(bridge) {
            self.set_port_extra(at, |extra| {
                if let Some(designated) = &mut extra.designated {
                    for known in [&mut designated.bridge, &mut designated.root] {
                        if *known == old {
                            *known = id;
                        }
                    }
                }
            });
        }
        self.br_configuration_update(bridge);
        self.br_port_state_selection(ctx, bridge);
        if !was_root && self.br_is_root_bridge(bridge) {
            self.br_become_root_bridge(ctx, bridge);
        }
        self.record_link(ctx, bridge);
    }

    /// A bridge whose address was not set by hand has that of its port with the lowest one
    /// (`br_stp_recalculate_bridge_id`).
    pub(super) fn br_stp_recalculate_bridge_id(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        let Some(state) = self.bridge(bridge).filter(|state| !state.own_mac) else { return };
        let lowest = state.ports.iter().filter_map(|at| self.link(*at)).map(|link| link.mac).min();
        let id = BridgeId { mac: lowest.unwrap_or(MacAddr::ZERO), ..state.row.id };
        if id != state.row.id {
            self.change_own_mac(ctx, bridge, id.mac);
        }
    }

    fn set_port_extra(&mut self, at: IfIndex, change: impl FnOnce(&mut crate::trace::PortExtra)) {
        if let Some(port) = self.link_mut(at).and_then(|link| link.port.as_mut()) {
            change(&mut port.extra);
        }
    }

    /// What was learnt at a port is forgotten (`br_fdb_delete_by_port`).
    fn br_fdb_delete_by_port(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        let Some(state) = self.bridge_mut(bridge) else { return };
        let mut gone = Vec::new();
        state.fdb.retain(|key, entry| {
            let goes = entry.port == at && entry.is_learnt();
            if goes {
                gone.push((*key, *entry));
            }
            !goes
        });
        for (key, entry) in gone {
            let row = self.bridge_fdb_row(bridge, key, &entry);
            ctx.change(self.id, at, EventId::NONE, crate::trace::TableChange::FdbGone(row));
        }
    }
}
