//! Chains and rules as the walk uses them: numbers in place of names.

use super::matches::Place;
use super::packet_match::{Counted, HashTable, HashTables, hashlimits};
use crate::base::{ChangeId, SimTime};
use crate::trace::Hook;
use crate::xtables::{Policy, Rule, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A chain.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) name: Arc<str>,
    /// Policy of a built-in chain.
    pub(super) policy: Option<Policy>,
    /// Whether packets that meet the policy are counted (`nft_base_chain.stats`).
    pub(super) counts: bool,
    /// The row in the trace.
    pub(super) change: ChangeId,
    pub(super) rules: Vec<Entry>,
}

/// A rule in its chain.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) rule: Arc<Rule>,
    pub(super) handle: u32,
    /// The row in the trace.
    pub(super) change: ChangeId,
    /// The chain that its target names, as a number.
    pub(super) jump: Option<usize>,
    /// State of its matches by their place: packets counted by `-m statistic --mode nth`, what is left of `-m quota`, or tokens
    /// of `-m limit` with the moment they were counted in nanoseconds.
    pub(super) state: BTreeMap<usize, (u64, u64)>,
    /// What `-m connlimit` counts.
    pub(super) counted: Option<Box<Counted>>,
}

/// The chains of one table; a number keeps its chain until it is deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Chains {
    pub(super) list: Vec<Option<Chain>>,
    names: BTreeMap<Arc<str>, usize>,
    /// Numbers of the built-in chains by hook.
    base: [Option<usize>; 5],
}

/// All tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    all: [Option<Box<Chains>>; 5],
    /// How many rules need connections tracked (`nf_ct_netns_get`).
    need_conntrack: u32,
    next_handle: u32,
    hashlimits: HashTables,
}

fn hook_number(name: &str) -> Option<usize> {
    ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"].iter().position(|hook| *hook == name)
}

impl Chains {
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn chain(&self, at: usize) -> Option<&Chain> {
        self.list.get(at)?.as_ref()
    }

    pub(super) fn chain_mut(&mut self, at: usize) -> Option<&mut Chain> {
        self.list.get_mut(at)?.as_mut()
    }

    pub(super) fn add(&mut self, chain: Chain) -> usize {
        let at = self.list.len();
        self.names.insert(chain.name.clone(), at);
        if chain.policy.is_some()
            && let Some(hook) = hook_number(&chain.name)
        {
            self.base[hook] = Some(at);
        }
        self.list.push(Some(chain));
        at
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Chain> {
        let at = self.names.remove(name)?;
        self.base.iter_mut().filter(|base| **base == Some(at)).for_each(|base| *base = None);
        self.list[at].take()
    }

    pub(super) fn rename(&mut self, old: &str, new: &Arc<str>) -> Option<usize> {
        let at = self.names.remove(old)?;
        self.names.insert(new.clone(), at);
        self.list[at].as_mut()?.name = new.clone();
        Some(at)
    }

    /// The built-in chain at a hook.
    pub(super) fn base(&self, hook: Hook) -> Option<usize> {
        self.base[hook as usize]
    }
}

impl Tables {
    pub(super) fn is_empty(&self) -> bool {
        self.all.iter().all(Option::is_none)
    }

    pub(super) fn needs_conntrack(&self) -> bool {
        self.need_conntrack != 0
    }

    /// Takes a rule into account that came.
    pub(super) fn count(&mut self, rule: &Rule, now: SimTime) {
        for limit in hashlimits(rule) {
            let table = self.hashlimits.entry(limit.name.clone());
            table.or_insert_with(|| HashTable::new(limit, now)).users += 1;
        }
        self.need_conntrack += u32::from(rule.needs_conntrack());
    }

    /// Takes into account that a rule went.
    pub(super) fn discount(&mut self, rule: &Rule) {
        for limit in hashlimits(rule) {
            if let Some(table) = self.hashlimits.get_mut(&limit.name) {
                table.users -= 1;
            }
            self.hashlimits.retain(|_, table| table.users > 0);
        }
        self.need_conntrack -= u32::from(rule.needs_conntrack());
    }

    pub(super) fn get(&self, table: Table) -> Option<&Chains> {
        self.all[table as usize].as_deref()
    }

    pub(super) fn get_mut(&mut self, table: Table) -> Option<&mut Chains> {
        self.all[table as usize].as_deref_mut()
    }

    /// A rule, by its table, the number of its chain and its place there.
    pub(super) fn entry_mut(&mut self, (table, chain, number): Place) -> Option<&mut Entry> {
        self.get_mut(table)?.chain_mut(chain)?.rules.get_mut(number)
    }

    /// What `-m hashlimit` counts under a name.
    pub(super) fn hashlimit_mut(&mut self, name: &str) -> Option<&mut HashTable> {
        self.hashlimits.get_mut(name)
    }

    pub(super) fn insert(&mut self, table: Table) -> &mut Chains {
        self.all[table as usize].get_or_insert_default()
    }

    pub(super) fn remove(&mut self, table: Table) {
        self.all[table as usize] = None;
    }

    pub(super) fn take_handle(&mut self) -> u32 {
        self.next_handle += 1;
        self.next_handle
    }
}
