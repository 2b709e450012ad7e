//! The maps of eBPF programs, row by row.

use super::{Entry, said};
use crate::base::ChangeId;
use crate::trace::{BpfMap, BpfRow, NetnsState, PolicyRow, rows_text};

pub(super) fn entries(state: &NetnsState) -> Vec<Entry> {
    let entry = |(change, row): &(ChangeId, BpfRow)| {
        let map = match row.map {
            BpfMap::Endpoints => "cilium_lxc",
            BpfMap::Ipcache => "cilium_ipcache",
        };
        Entry {
            key: format!("{map} {}", row.key),
            change: Some(*change),
            dev: row.ifindex.is_some().then_some(row.ifindex),
            master: None,
            cells: vec![
                map.to_string(),
                rows_text::destination(row.key),
                if row.ifindex.is_some() { state.ifname(row.ifindex).to_string() } else { String::new() },
                row.identity.to_string(),
                said(row.tunnel),
            ],
        }
    };
    state.bpf.iter().map(entry).chain(state.policy_maps.iter().map(|row| policy_entry(state, row))).collect()
}

fn policy_entry(state: &NetnsState, (change, row): &(ChangeId, PolicyRow)) -> Entry {
    Entry {
        key: format!("policy {} {}", row.ifindex.0, row.key.text()),
        change: Some(*change),
        dev: Some(row.ifindex),
        master: None,
        cells: vec![
            "cilium_policy".to_owned(),
            row.key.text(),
            state.ifname(row.ifindex).to_string(),
            row.key.identity.to_string(),
            row.origin.to_string(),
        ],
    }
}
