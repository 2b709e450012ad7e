//! What the timers of spanning trees have left and the times that they run by, as commands read them from the kernel. It is not folded from events, so no
//! other moment than the present has it.

use super::{BridgeRow, Inventory};
use crate::base::{IfIndex, NetnsId};
use std::collections::BTreeMap;

/// A timer of a bridge or of one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StpClock {
    /// Until the root sends.
    Hello,
    /// Until a notification of a change is repeated.
    Tcn,
    /// Until the root stops announcing a change.
    TopologyChange,
    /// Until what a port has heard is too old.
    MessageAge,
    /// Until a port has listened, or learnt, long enough.
    ForwardDelay,
    /// Until a port may send again.
    Hold,
}

/// The spanning trees of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StpTimers {
    /// The timers that run, by bridge or port, with what they have left in hundredths of a second (`br_timer_value`).
    pub left: BTreeMap<(IfIndex, StpClock), u64>,
    /// Forward delay, hello time and maximal age in force at each bridge, which are the root's, in hundredths of a second.
    pub times: BTreeMap<IfIndex, [u32; 3]>,
}

impl Inventory {
    /// What a timer has left, in hundredths of a second; 0 where it does not run.
    pub fn stp_left(&self, netns: NetnsId, ifindex: IfIndex, clock: StpClock) -> u64 {
        self.stp(netns).and_then(|timers| timers.left.get(&(ifindex, clock))).copied().unwrap_or(0)
    }

    /// A bridge with the times in force in the place of its own.
    pub fn with_times_in_force(&self, netns: NetnsId, ifindex: IfIndex, bridge: BridgeRow) -> BridgeRow {
        let Some([forward_delay, hello_time, max_age]) =
            self.stp(netns).and_then(|timers| timers.times.get(&ifindex)).copied()
        else {
            return bridge;
        };
        BridgeRow { forward_delay, hello_time, max_age, ..bridge }
    }

    fn stp(&self, netns: NetnsId) -> Option<&StpTimers> {
        self.stp_timers.as_ref().filter(|(own, _)| *own == netns).map(|(_, timers)| timers)
    }
}

impl BridgeRow {
    /// The ageing time in force, in hundredths of a second, where the other times are those in force: a short one while the
    /// topology changes (`__br_set_topology_change`).
    pub fn ageing(&self, own_secs: u32) -> u32 {
        if self.topology_change { 2 * self.forward_delay } else { own_secs * 100 }
    }
}
