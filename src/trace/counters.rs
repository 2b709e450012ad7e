//! What a device counts, and what it does not.

use super::{Event, EventKind, LinkKind, LinkRow, NetnsState, Trace};

/// Interface counters, as `ip -s link` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames received.
    pub rx_packets: u64,
    /// Frames dropped on receiving.
    pub rx_dropped: u64,
    /// Multicast frames received.
    pub rx_multicast: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Frames dropped on sending.
    pub tx_dropped: u64,
}

/// Whether a bridge sends a frame of one of its ports, because netfilter sent it to another address on the same bridge:
/// the bridge's own device only finds the address of that one, and does not count it (`br_nf_dev_xmit`).
pub(super) fn went_round(trace: &Trace, state: &NetnsState, event: &Event) -> bool {
    let is_bridge = |link: &LinkRow| matches!(link.kind, LinkKind::Bridge { .. });
    if event.kind != EventKind::Transmitted || !state.links.get(&event.ifindex).is_some_and(is_bridge) {
        return false;
    }
    let mut at = event;
    while at.cause.is_some() {
        let before = trace.event(at.cause);
        if before.journey != event.journey || before.netns != event.netns {
            return false;
        }
        if matches!(before.kind, EventKind::Received(_)) {
            let port = state.links.get(&before.ifindex).and_then(|link| link.port);
            return port.is_some_and(|port| port.master == event.ifindex);
        }
        at = before;
    }
    false
}

/// Counters of a queueing discipline, as `tc -s qdisc` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QdiscCounters {
    /// Packets it was given.
    pub taken: u64,
    /// Bytes of them.
    pub taken_bytes: u64,
    /// Packets that left.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Packets dropped, lost on purpose or for want of room.
    pub dropped: u64,
    /// Bytes of them.
    pub dropped_bytes: u64,
}

impl std::fmt::Display for QdiscCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.taken.saturating_sub(self.sent + self.dropped);
        let bytes = self.taken_bytes.saturating_sub(self.sent_bytes + self.dropped_bytes);
        let (sent, sent_bytes, dropped) = (self.sent, self.sent_bytes, self.dropped);
        writeln!(f, " Sent {sent_bytes} bytes {sent} pkt (dropped {dropped}, overlimits 0 requeues 0) ")?;
        writeln!(f, " backlog {bytes}b {waiting}p requeues 0")
    }
}
