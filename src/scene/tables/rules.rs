//! The rules of the routing policy database.

use super::Entry;
use crate::base::{ChangeId, EventId, Ipv4Addr};
use crate::trace::{FibRuleAction, FibRuleRow, NetnsState, Trace};
use crate::wire::Payload;

/// A row for each rule.
pub(super) fn entries(state: &NetnsState) -> Vec<Entry> {
    let entry = |(change, row): &(ChangeId, FibRuleRow)| Entry {
        key: row.to_string(),
        change: change.is_some().then_some(*change),
        dev: None,
        master: None,
        cells: vec![row.priority.to_string(), row.selector(), row.action_text()],
    };
    state.rules.iter().map(entry).collect()
}

/// The rule that led to `table` for the packet of the event `id`: the first that looks it up for these addresses.
pub(super) fn leading(trace: &Trace, id: EventId, state: &NetnsState, table: u32) -> Option<String> {
    let addresses = trace.frame_at(id).and_then(|frame| match &frame.payload {
        Payload::Ipv4(packet) => Some((packet.src, packet.dst)),
        Payload::Arp(_) | Payload::Vlan(_) | Payload::Bpdu(_) | Payload::Other { .. } => None,
    });
    let fits = |row: &&FibRuleRow| {
        let within = |(src, dst): (Ipv4Addr, Ipv4Addr)| row.src.contains(&src) && row.dst.contains(&dst);
        row.action == FibRuleAction::Lookup(table)
            && addresses.is_none_or(|addresses| within(addresses) != row.negated)
    };
    state.rules.iter().map(|(_, row)| row).find(fits).map(FibRuleRow::to_string)
}
