//! Sockets that see frames (`packet(7)`), as packet capture uses them: a program listens at a device or at all of a
//! namespace, a filter decides what it gets, and a ring is handed over a tenth of a second after its last hand-over
//! at the latest (`TPACKET_V3` with libpcap's time-out).

use super::Simulation;
use crate::agent::Actor;
use crate::app::{CaptureFilter, Captured};
use crate::base::{Duration, IfIndex, NetnsId, ProcessId, SimTime};
use crate::trace::{Event, EventKind, NetfilterChange, TableChange};

/// How long frames wait in the ring.
const HAND_OVER: Duration = Duration::from_ms(100);

/// An open capture.
pub(super) struct Capture {
    process: ProcessId,
    netns: NetnsId,
    /// The device; `None` is all of them.
    ifindex: Option<IfIndex>,
    /// Whether the device is in promiscuous mode for it (`PACKET_MR_PROMISC`).
    is_promiscuous: bool,
    filter: CaptureFilter,
    /// The timer that wakes the program.
    token: u32,
    since: SimTime,
    ring: Vec<Captured>,
}

/// A program that is told of tracked connections.
pub(super) struct Watch {
    process: ProcessId,
    netns: NetnsId,
    /// The timer that wakes the program.
    token: u32,
    waiting: Vec<(SimTime, NetfilterChange)>,
}

/// Whether this is a tap.
fn is_tap(kind: EventKind) -> bool {
    matches!(kind, EventKind::Transmitted | EventKind::Received(_))
}

impl<A: Actor> Simulation<A> {
    pub(super) fn open_capture(
        &mut self,
        process: ProcessId,
        ifindex: Option<IfIndex>,
        filter: CaptureFilter,
        is_promiscuous: bool,
        token: u32,
    ) {
        let netns = self.netns_of(process);
        if let Some(ifindex) = ifindex.filter(|_| is_promiscuous) {
            self.visit_netns(netns, &mut |netns, ctx| netns.inc_promiscuity(ctx, ifindex));
        }
        self.begin_to_tap();
        let (since, ring) = (self.now, Vec::new());
        self.captures.push(Capture { process, netns, ifindex, is_promiscuous, filter, token, since, ring });
    }

    pub(super) fn close_captures(&mut self, process: ProcessId) {
        let (closed, open) =
            std::mem::take(&mut self.captures).into_iter().partition(|capture| capture.process == process);
        self.captures = open;
        let closed: Vec<Capture> = closed;
        for Capture { netns, ifindex, is_promiscuous, .. } in closed {
            if let Some(ifindex) = ifindex.filter(|_| is_promiscuous) {
                self.visit_netns(netns, &mut |netns, ctx| netns.dec_promiscuity(ctx, ifindex));
            }
        }
        self.watches.retain(|watch| watch.process != process);
    }

    /// What is in the trace by now is not for whoever begins to listen.
    fn begin_to_tap(&mut self) {
        if self.captures.is_empty() && self.watches.is_empty() {
            self.n_tapped = self.trace.len();
        }
        self.tap_new();
    }

    pub(super) fn open_watch(&mut self, process: ProcessId, token: u32) {
        self.begin_to_tap();
        let netns = self.netns_of(process);
        self.watches.push(Watch { process, netns, token, waiting: Vec::new() });
    }

    pub(super) fn take_watched(&mut self, process: ProcessId) -> Vec<(SimTime, NetfilterChange)> {
        let watch = self.watches.iter_mut().find(|watch| watch.process == process);
        watch.map_or_else(Vec::new, |watch| std::mem::take(&mut watch.waiting))
    }

    /// Shows the watches an event, where it is of a tracked connection.
    fn tell_watches(&mut self, event: &Event, filled: &mut Vec<(ProcessId, u32, Duration)>) {
        let EventKind::Changed(change) = event.kind else { return };
        let TableChange::Netfilter(change) = &self.trace.changes[change.index()] else { return };
        if !matches!(change, NetfilterChange::Conntrack(_) | NetfilterChange::ConntrackGone(..)) {
            return;
        }
        for watch in self.watches.iter_mut().filter(|watch| watch.netns == event.netns) {
            if watch.waiting.is_empty() {
                filled.push((watch.process, watch.token, Duration::ZERO));
            }
            watch.waiting.push((event.at, change.clone()));
        }
    }

    pub(super) fn take_captured(&mut self, process: ProcessId) -> Vec<Captured> {
        let capture = self.captures.iter_mut().find(|capture| capture.process == process);
        capture.map_or_else(Vec::new, |capture| std::mem::take(&mut capture.ring))
    }

    /// Shows the captures what came into the trace since this was last done.
    pub(super) fn tap_new(&mut self) {
        if self.captures.is_empty() && self.watches.is_empty() {
            return;
        }
        let from = std::mem::replace(&mut self.n_tapped, self.trace.len());
        let mut filled = Vec::new();
        for at in from..self.trace.len() {
            let event = self.trace.events[at];
            self.tell_watches(&event, &mut filled);
            if !is_tap(event.kind) || self.captures.is_empty() {
                continue;
            }
            let received = if let EventKind::Received(kind) = event.kind { Some(kind) } else { None };
            let Some(frame) = self.trace.frame_of(&event) else { continue };
            for capture in self.captures.iter_mut().filter(|capture| capture.netns == event.netns) {
                if capture.ifindex.is_some_and(|only| only != event.ifindex) {
                    continue;
                }
                let captured =
                    Captured { at: event.at, ifindex: event.ifindex, received, frame: frame.clone() };
                if !capture.filter.passes(&captured) {
                    continue;
                }
                if capture.ring.is_empty() {
                    let waited = self.now.since(capture.since).0 % HAND_OVER.0;
                    filled.push((capture.process, capture.token, Duration(HAND_OVER.0 - waited)));
                }
                capture.ring.push(captured);
            }
        }
        for (process, token, after) in filled {
            self.set_timer_of(process, token, after);
        }
    }
}
