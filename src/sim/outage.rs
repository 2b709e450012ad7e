//! Cables that are cut and machines that stand still.

use super::{Simulation, Task};
use crate::agent::Actor;
use crate::base::{IfIndex, NetnsId};
use crate::kernel::{Link, Urgency, Work};
use crate::trace::{DropReason, TableChange};

impl<A: Actor> Simulation<A> {
    /// Writes down that a fault came or went, at an interface.
    pub fn record_fault(&mut self, netns: NetnsId, ifindex: IfIndex, change: TableChange) {
        self.administer(netns, |state, ctx| {
            ctx.change(state.id, ifindex, crate::base::EventId::NONE, change);
        });
    }

    /// Cuts the cable at an interface or mends it: both ends lose their carrier or get it back. Whether there is a
    /// cable at all.
    pub fn cut(&mut self, netns: NetnsId, ifindex: IfIndex, cut: bool) -> bool {
        let peer = self.netns(netns).and_then(|state| state.link(ifindex)).and_then(Link::peer);
        let Some(peer) = peer else { return false };
        let is_up = |sim: &Self, netns, ifindex| {
            !sim.stopped.contains_key(&netns)
                && Self::netns(sim, netns).and_then(|state| state.link(ifindex)).is_some_and(|link| link.up)
        };
        let (up_here, up_there) = (is_up(self, netns, ifindex), is_up(self, peer.netns, peer.ifindex));
        self.administer(netns, |state, ctx| state.set_cut(ctx, ifindex, cut, up_there));
        self.administer(peer.netns, |state, ctx| state.set_cut(ctx, peer.ifindex, cut, up_here));
        true
    }

    /// Whether a machine or a namespace on it stands still.
    pub fn is_stopped(&self, netns: NetnsId) -> bool {
        self.stopped.contains_key(&netns)
    }

    /// Has namespaces stand still, as when their machine hangs: what was to happen there waits, what arrives is lost,
    /// and the other ends of their cables lose the carrier.
    pub fn stop(&mut self, namespaces: &[NetnsId]) {
        for &netns in namespaces {
            self.stopped.entry(netns).or_default();
        }
        self.set_carriers(namespaces, false);
    }

    /// Has namespaces go on where they stood still.
    pub fn resume(&mut self, namespaces: &[NetnsId]) {
        for netns in namespaces {
            for task in self.stopped.remove(netns).unwrap_or_default() {
                self.queue.push(self.now, Urgency::Soon, task);
            }
        }
        self.set_carriers(namespaces, true);
    }

    fn set_carriers(&mut self, namespaces: &[NetnsId], carrier: bool) {
        for &netns in namespaces {
            let Some(state) = self.netns(netns) else { continue };
            let ends: Vec<_> = state.links().filter(|link| link.up).filter_map(Link::peer).collect();
            for end in ends.iter().filter(|end| !namespaces.contains(&end.netns)) {
                self.administer(end.netns, |state, ctx| state.set_carrier(ctx, end.ifindex, carrier));
            }
        }
    }

    /// Keeps back what is to happen in a namespace that stands still; gives back what is to happen elsewhere.
    pub(super) fn hold(&mut self, task: Task) -> Option<Task> {
        let netns = match &task {
            Task::Net(netns, _) => *netns,
            Task::Process(process, ..) => self.netns_of(*process),
            Task::Agent(_) => return Some(task),
        };
        let Some(held) = self.stopped.get_mut(&netns) else { return Some(task) };
        match task {
            Task::Net(_, work @ Work::Receive(..)) => self.lose(netns, work, DropReason::CableCut),
            Task::Net(..) | Task::Process(..) | Task::Agent(_) => held.push(task),
        }
        None
    }
}
