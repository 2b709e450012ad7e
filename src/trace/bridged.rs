//! Frames that a bridge sends on behalf of netfilter.

use super::{Event, EventKind, NetnsState, Trace};

/// Whether a bridge sends a frame of one of its ports, because netfilter sent it to another address on the same bridge:
/// the bridge's own device only finds the address of that one, and does not count it (`br_nf_dev_xmit`).
pub(super) fn went_round(trace: &Trace, state: &NetnsState, event: &Event) -> bool {
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
