//! Timers of a bridge's spanning tree. Like the kernel's they go off on the timer wheel, those of hello and hold
//! rounded to whole seconds so that they go off together (`round_jiffies`).

use super::{Ctx, Kind, Netns, Timer, Urgency, Work, timer};
use crate::base::{Duration, IfIndex, SimTime};
use crate::trace::{PortState, StpClock, StpTimers};

/// A timer of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BridgeTimer {
    /// The root sends its configuration message.
    Hello,
    /// A topology change notification is repeated.
    Tcn,
    /// The root stops announcing a change of topology.
    TopologyChange,
}

/// A timer of a bridge port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortTimer {
    /// What was heard is too old.
    MessageAge,
    /// The port has listened, or learnt, long enough.
    ForwardDelay,
    /// The port may send again.
    Hold,
}

/// A timer of the spanning tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StpTimer {
    /// A bridge's.
    Bridge(IfIndex, BridgeTimer),
    /// A port's, after its bridge.
    Port(IfIndex, IfIndex, PortTimer),
}

/// When a timer that runs goes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Armed {
    /// By the timer wheel.
    pub(super) deadline: SimTime,
    /// The jiffy that it was set to.
    expires: u64,
}

impl Armed {
    fn new(now: SimTime, after: Duration, deadline: SimTime) -> Self {
        Self { deadline, expires: now.0 / JIFFY_NS + after.0.div_ceil(JIFFY_NS) }
    }

    /// What it has left, in hundredths of a second (`br_timer_value`).
    fn left(self, now: SimTime) -> u64 {
        self.expires.saturating_sub(now.0 / JIFFY_NS) * JIFFY_NS / 10_000_000
    }
}

/// The jiffy of 250 Hz.
const JIFFY_NS: u64 = 4_000_000;
const JIFFIES_PER_SEC: u64 = 250;

/// Rounds a moment to a whole second, down within a quarter of one after it (`round_jiffies`).
fn round_jiffies(now: SimTime, after: Duration) -> Duration {
    let at = (now.0 + after.0) / JIFFY_NS;
    let rest = at % JIFFIES_PER_SEC;
    let rounded = if rest < JIFFIES_PER_SEC / 4 { at - rest } else { at - rest + JIFFIES_PER_SEC };
    // What would lie in the past is left as it was.
    if rounded * JIFFY_NS <= now.0 { after } else { Duration(rounded * JIFFY_NS - now.0) }
}

impl Netns {
    /// What the timers of all spanning trees have left.
    pub fn stp_timers(&self, now: SimTime) -> StpTimers {
        let mut all = StpTimers::default();
        for link in self.all_links() {
            let Kind::Bridge(bridge) = &link.kind else { continue };
            let times = bridge.stp.times;
            let times = [times.forward_delay, times.hello_time, times.max_age];
            all.times.insert(link.ifindex, times.map(|time| (time.0 / 10_000_000) as u32));
            for (which, armed) in &bridge.stp.timers {
                let clock = match which {
                    BridgeTimer::Hello => StpClock::Hello,
                    BridgeTimer::Tcn => StpClock::Tcn,
                    BridgeTimer::TopologyChange => StpClock::TopologyChange,
                };
                all.left.insert((link.ifindex, clock), armed.left(now));
            }
            for ((port, which), armed) in &bridge.stp.port_timers {
                let clock = match which {
                    PortTimer::MessageAge => StpClock::MessageAge,
                    PortTimer::ForwardDelay => StpClock::ForwardDelay,
                    PortTimer::Hold => StpClock::Hold,
                };
                all.left.insert((*port, clock), armed.left(now));
            }
        }
        all
    }

    pub(super) fn arm_bridge(
        &mut self,
        ctx: &mut Ctx<'_>,
        bridge: IfIndex,
        which: BridgeTimer,
        after: Duration,
    ) {
        let after = if which == BridgeTimer::Hello { round_jiffies(ctx.now, after) } else { after };
        let deadline = timer::expiry(ctx.now, after);
        let Some(state) = self.bridge_mut(bridge) else { return };
        state.stp.timers.insert(which, Armed::new(ctx.now, after, deadline));
        let work = Work::Timer(Timer::Stp(StpTimer::Bridge(bridge, which), deadline));
        ctx.later(deadline.since(ctx.now), Urgency::Background, work);
    }

    pub(super) fn arm_port(
        &mut self,
        ctx: &mut Ctx<'_>,
        (bridge, at): (IfIndex, IfIndex),
        which: PortTimer,
        after: Duration,
    ) {
        let after = if which == PortTimer::Hold { round_jiffies(ctx.now, after) } else { after };
        let deadline = timer::expiry(ctx.now, after);
        let Some(state) = self.bridge_mut(bridge) else { return };
        state.stp.port_timers.insert((at, which), Armed::new(ctx.now, after, deadline));
        // Somebody waits for a port that is about to forward; the rest is upkeep.
        let urgency = if which == PortTimer::ForwardDelay { Urgency::Soon } else { Urgency::Background };
        let work = Work::Timer(Timer::Stp(StpTimer::Port(bridge, at, which), deadline));
        ctx.later(deadline.since(ctx.now), urgency, work);
    }

    pub(super) fn disarm_port(&mut self, bridge: IfIndex, at: IfIndex, which: PortTimer) {
        if let Some(state) = self.bridge_mut(bridge) {
            state.stp.port_timers.remove(&(at, which));
        }
    }

    /// A timer went off, unless it was set anew or taken back meanwhile.
    pub(super) fn stp_timer(&mut self, ctx: &mut Ctx<'_>, which: StpTimer, deadline: SimTime) {
        match which {
            StpTimer::Bridge(bridge, which) => {
                let Some(state) = self.bridge_mut(bridge) else { return };
                if state.stp.timers.get(&which).is_none_or(|armed| armed.deadline != deadline) {
                    return;
                }
                state.stp.timers.remove(&which);
                match which {
                    BridgeTimer::Hello => self.hello_timer_expired(ctx, bridge),
                    BridgeTimer::Tcn => self.tcn_timer_expired(ctx, bridge),
                    BridgeTimer::TopologyChange => self.topology_change_timer_expired(ctx, bridge),
                }
            }
            StpTimer::Port(bridge, at, which) => {
                let Some(state) = self.bridge_mut(bridge) else { return };
                if state.stp.port_timers.get(&(at, which)).is_none_or(|armed| armed.deadline != deadline) {
                    return;
                }
                state.stp.port_timers.remove(&(at, which));
                match which {
                    PortTimer::MessageAge => self.message_age_timer_expired(ctx, bridge, at),
                    PortTimer::ForwardDelay => self.forward_delay_timer_expired(ctx, bridge, at),
                    PortTimer::Hold => self.hold_timer_expired(ctx, bridge, at),
                }
            }
        }
    }

    fn hello_timer_expired(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        if !self.is_up(bridge) {
            return;
        }
        self.br_config_bpdu_generation(ctx, bridge);
        if self.runs_stp(bridge) {
            let hello = self.bridge(bridge).map_or(Duration::ZERO, |state| state.stp.times.hello_time);
            self.arm_bridge(ctx, bridge, BridgeTimer::Hello, hello);
        }
    }

    fn tcn_timer_expired(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        if !self.br_is_root_bridge(bridge) && self.is_up(bridge) {
            self.br_transmit_tcn(ctx, bridge);
            let hello = self.bridge(bridge).map_or(Duration::ZERO, |state| state.own_times().hello_time);
            self.arm_bridge(ctx, bridge, BridgeTimer::Tcn, hello);
        }
    }

    fn topology_change_timer_expired(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex) {
        self.br_set_topology_change(bridge, false);
        if let Some(state) = self.bridge_mut(bridge) {
            state.row.topology_change_detected = false;
        }
        self.record_link(ctx, bridge);
    }

    fn message_age_timer_expired(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        if self.port(at).is_none_or(|port| port.state == PortState::Disabled) {
            return;
        }
        let was_root = self.br_is_root_bridge(bridge);
        self.br_become_designated_port(bridge, at);
        self.br_configuration_update(bridge);
        self.br_port_state_selection(ctx, bridge);
        if !was_root && self.br_is_root_bridge(bridge) {
            self.br_become_root_bridge(ctx, bridge);
        }
        self.record_link(ctx, bridge);
    }

    fn forward_delay_timer_expired(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        let delay = self.bridge(bridge).map_or(Duration::ZERO, |state| state.stp.times.forward_delay);
        match self.port(at).map(|port| port.state) {
            Some(PortState::Listening) => {
                self.set_port_state(ctx, at, PortState::Learning);
                self.arm_port(ctx, (bridge, at), PortTimer::ForwardDelay, delay);
            }
            Some(PortState::Learning) => {
                self.set_port_state(ctx, at, PortState::Forwarding);
                let id = self.bridge(bridge).map(|state| state.row.id);
                let for_some = self.port_list(bridge).into_iter().any(|port| {
                    self.port(port).is_some_and(|row| row.state != PortState::Disabled)
                        && self.designated(port).map(|designated| designated.bridge) == id
                });
                if for_some {
                    self.br_topology_change_detection(ctx, bridge);
                }
            }
            Some(PortState::Disabled | PortState::Forwarding | PortState::Blocking) | None => {}
        }
    }

    fn hold_timer_expired(&mut self, ctx: &mut Ctx<'_>, bridge: IfIndex, at: IfIndex) {
        // The kernel runs timers of one tick last set first; whichever comes first, one message leaves, and none waits
        // for its turn after the tick. Here it is the hello timer's.
        let hello = self.bridge(bridge).and_then(|state| state.stp.timers.get(&BridgeTimer::Hello));
        let hello_is_due = hello.is_some_and(|armed| armed.deadline == ctx.now);
        if !hello_is_due && self.port(at).is_some_and(|port| port.extra.config_pending) {
            self.br_transmit_config(ctx, bridge, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_times_fall_on_whole_seconds() {
        let check = |now_ms: u64, expected_ms: u64| {
            let now = SimTime(now_ms * 1_000_000);
            let after = round_jiffies(now, Duration::from_secs(2));
            assert_eq!((now.0 + after.0) / 1_000_000, expected_ms);
        };
        check(1_000, 3_000);
        check(1_200, 3_000);
        check(1_700, 4_000);
    }
}
