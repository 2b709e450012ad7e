//! Entries that remember when a packet last asked for them: neighbours and forwarding databases.

use super::{FdbRow, NeighRow, NetnsState};
use crate::base::{ChangeId, SimTime};

/// A neighbour entry with when it was last used.
#[derive(Clone, Debug)]
pub struct Neighbor {
    /// The change that gave the row its present form.
    pub change: ChangeId,
    /// The row.
    pub row: NeighRow,
    /// When a packet last asked for it.
    pub used: SimTime,
}

/// A forwarding database entry with when it was last used.
#[derive(Clone, Debug)]
pub struct Fdb {
    /// The change that gave the row its present form.
    pub change: ChangeId,
    /// The row.
    pub row: FdbRow,
    /// When a frame was last sent by it.
    pub used: SimTime,
}

impl NetnsState {
    pub(super) fn set_neighbor(&mut self, change: ChangeId, row: &NeighRow, now: SimTime) {
        let entry = self.neighbors.entry((row.ifindex, row.addr));
        let used = match &entry {
            std::collections::btree_map::Entry::Occupied(old) => old.get().used,
            std::collections::btree_map::Entry::Vacant(_) => now,
        };
        entry.insert_entry(Neighbor { change, row: *row, used });
    }

    /// A bridge's database has one entry an address, whichever port it is at; a device's own has one an address too.
    pub(super) fn fdb_entry(&mut self, row: &FdbRow) -> Option<&mut Fdb> {
        self.fdb.iter_mut().find(|entry| {
            entry.row.mac == row.mac
                && entry.row.vlan == row.vlan
                && entry.row.master == row.master
                && (row.master.is_some() || entry.row.ifindex == row.ifindex)
        })
    }

    pub(super) fn set_fdb(&mut self, change: ChangeId, row: &FdbRow, now: SimTime) {
        match self.fdb_entry(row) {
            Some(entry) => (entry.change, entry.row) = (change, *row),
            None => self.fdb.push(Fdb { change, row: *row, used: now }),
        }
    }
}
