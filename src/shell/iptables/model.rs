//! A namespace's tables as a command sees and changes them, before any of it reaches the kernel.
//!
//! A command works on a copy; what became different is then asked of the kernel in an order in which it can be done:
//! chains come before the rules that lead to them, and go after these.

use crate::kernel::NetfilterOp;
use crate::trace::Netfilter;
use crate::xtables::{Policy, Rule, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Packets and bytes.
pub(super) type Counters = (u64, u64);

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct ModelRule {
    /// The number that the kernel knows it by; none for one that is new.
    pub(super) handle: Option<u32>,
    pub(super) rule: Arc<Rule>,
    pub(super) counters: Counters,
    /// The line of a file that it stood in.
    pub(super) line: usize,
    /// Whether it took the place of the one with this number, or only its counters were set.
    change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Replaced,
    Counted,
}

impl ModelRule {
    pub(super) fn new(rule: Rule, counters: Counters, line: usize) -> Self {
        Self { handle: None, rule: Arc::new(rule), counters, line, change: Change::None }
    }
}

/// A chain.
#[derive(Clone, Debug)]
pub(super) struct ModelChain {
    pub(super) name: Arc<str>,
    /// Policy of a built-in chain.
    pub(super) policy: Option<Policy>,
    /// Packets and bytes that met the policy; none where it does not count.
    pub(super) counters: Option<Counters>,
    /// Whether these counters were set.
    counted: bool,
    pub(super) rules: Vec<ModelRule>,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelTable {
    /// Whether the kernel has it, or will.
    pub(super) exists: bool,
    /// Built-in chains in the order of the hooks, then the others by name.
    pub(super) chains: Vec<ModelChain>,
    /// Chains that got another name, in order.
    renamed: Vec<(Arc<str>, Arc<str>)>,
}

/// All tables.
#[derive(Clone, Debug)]
pub(super) struct Model {
    tables: BTreeMap<Table, ModelTable>,
}

impl Model {
    /// The tables of a namespace. One that is not there has its built-in chains all the same, for a command shows
    /// them.
    pub(super) fn new(netfilter: &Netfilter) -> Self {
        Self { tables: Table::ALL.into_iter().map(|table| (table, table_of(netfilter, table))).collect() }
    }

    pub(super) fn table(&self, table: Table) -> &ModelTable {
        &self.tables[&table]
    }

    pub(super) fn table_mut(&mut self, table: Table) -> &mut ModelTable {
        self.tables.entry(table).or_default()
    }

    /// What the kernel has to do to get from `before` here.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<NetfilterOp> {
        self.tables
            .iter()
            .flat_map(|(&table, now)| table_changes(table, &before.tables[&table], now))
            .collect()
    }
}

fn table_of(netfilter: &Netfilter, table: Table) -> ModelTable {
    let listed = netfilter.listed(table);
    let chains = listed.iter().map(|chain| ModelChain {
        name: chain.row.name.clone(),
        policy: chain.row.policy,
        counters: chain.counters,
        counted: false,
        rules: netfilter
            .rules_of(chain)
            .map(|state| ModelRule {
                handle: Some(state.row.handle),
                rule: state.row.rule.clone(),
                counters: (state.packets, state.bytes),
                line: 0,
                change: Change::None,
            })
            .collect(),
    });
    let mut model = ModelTable { exists: !listed.is_empty(), chains: chains.collect(), renamed: Vec::new() };
    if listed.is_empty() {
        let builtin = table.builtin().iter();
        model.chains = builtin.map(|name| ModelChain::new(name, Some(Policy::Accept))).collect();
    }
    model
}

fn table_changes(table: Table, before: &ModelTable, now: &ModelTable) -> Vec<NetfilterOp> {
    let mut out = Vec::new();
    match (before.exists, now.exists) {
        (false, true) => out.push(NetfilterOp::Table(table)),
        (true, false) => return vec![NetfilterOp::DelTable(table)],
        (true, true) | (false, false) => {}
    }
    let renames = now.renamed.iter();
    out.extend(renames.map(|(old, new)| NetfilterOp::Rename(table, old.clone(), new.clone())));
    // A chain of before by the name that it has now.
    let name_now = |name: &Arc<str>| {
        now.renamed
            .iter()
            .fold(name.clone(), |name, (old, new)| if *old == name { new.clone() } else { name })
    };
    let old: BTreeMap<Arc<str>, &ModelChain> =
        before.chains.iter().map(|chain| (name_now(&chain.name), chain)).collect();
    let came = now.chains.iter().filter(|chain| chain.policy.is_none() && !old.contains_key(&chain.name));
    out.extend(came.map(|chain| NetfilterOp::NewChain(table, chain.name.clone())));
    for (name, chain) in &old {
        let kept = now.find(name);
        let stays = |handle: u32| {
            kept.is_some_and(|chain| chain.rules.iter().any(|rule| rule.handle == Some(handle)))
        };
        let gone = chain.rules.iter().filter_map(|rule| rule.handle).filter(|handle| !stays(*handle));
        out.extend(gone.map(|handle| NetfilterOp::Delete(table, name.clone(), handle)));
    }
    for chain in &now.chains {
        out.extend(chain_changes(table, old.get(&chain.name).and_then(|old| old.policy), chain));
    }
    let gone = old.keys().filter(|name| now.find(name).is_none());
    out.extend(gone.map(|name| NetfilterOp::DelChain(table, name.clone())));
    out
}

fn chain_changes(table: Table, policy: Option<Policy>, chain: &ModelChain) -> Vec<NetfilterOp> {
    let name = || chain.name.clone();
    let mut out = Vec::new();
    if let Some(new) = chain.policy.filter(|new| chain.counted || policy.unwrap_or(Policy::Accept) != *new) {
        out.push(NetfilterOp::Policy(table, name(), new, chain.counters));
    }
    for (index, rule) in chain.rules.iter().enumerate() {
        match (rule.handle, rule.change) {
            (None, _) => {
                out.push(NetfilterOp::Insert(table, name(), index as u32, rule.rule.clone(), rule.counters));
            }
            (Some(_), Change::None) => {}
            (Some(handle), Change::Replaced) => {
                out.push(NetfilterOp::Replace(table, name(), handle, rule.rule.clone(), rule.counters));
            }
            (Some(handle), Change::Counted) => {
                out.push(NetfilterOp::Counters(table, name(), handle, rule.counters));
            }
        }
    }
    out
}

impl ModelTable {
    pub(super) fn find(&self, name: &str) -> Option<&ModelChain> {
        self.chains.iter().find(|chain| *chain.name == *name)
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut ModelChain> {
        self.chains.iter_mut().find(|chain| *chain.name == *name)
    }

    /// How many rules lead to a chain.
    pub(super) fn references(&self, name: &str) -> usize {
        let rules = self.chains.iter().flat_map(|chain| &chain.rules);
        rules.filter(|rule| rule.rule.jumps_to().is_some_and(|to| **to == *name)).count()
    }

    /// Makes a chain, among the others by name.
    pub(super) fn add(&mut self, name: &str) {
        let chain = ModelChain::new(name, None);
        let after = |other: &ModelChain| other.policy.is_some() || *other.name < *name;
        let at = self.chains.iter().position(|other| !after(other)).unwrap_or(self.chains.len());
        self.chains.insert(at, chain);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.chains.retain(|chain| *chain.name != *name);
    }

    pub(super) fn rename(&mut self, old: &str, new: &str) {
        let Some(at) = self.chains.iter().position(|chain| *chain.name == *old) else { return };
        let mut chain = self.chains.remove(at);
        let name: Arc<str> = new.into();
        self.renamed.push((chain.name, name.clone()));
        chain.name = name.clone();
        self.add(new);
        if let Some(place) = self.find_mut(new) {
            place.rules = chain.rules;
        }
        for rule in self.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
            let mut copy = (*rule.rule).clone();
            if copy.rename_jump(old, &name) {
                rule.rule = Arc::new(copy);
            }
        }
    }
}

impl ModelChain {
    fn new(name: &str, policy: Option<Policy>) -> Self {
        Self { name: name.into(), policy, counters: None, counted: false, rules: Vec::new() }
    }

    /// Sets what the policy's counters begin at; with none it stops to count.
    pub(super) fn count(&mut self, counters: Option<Counters>) {
        self.counted |= counters.is_some() || self.counters.is_some();
        self.counters = counters;
    }

    /// Whether the kernel has it. *Simplified*: of a built-in chain that had rules and has none any more, nothing is
    /// remembered.
    pub(super) fn is_made(&self) -> bool {
        self.policy != Some(Policy::Accept) || self.counters.is_some() || !self.rules.is_empty()
    }

    pub(super) fn replace(&mut self, at: usize, rule: Rule, counters: Counters) {
        let old = &mut self.rules[at];
        (old.rule, old.counters) = (Arc::new(rule), counters);
        if old.handle.is_some() {
            old.change = Change::Replaced;
        }
    }

    /// Sets the counters of a rule, or of all, back to zero.
    pub(super) fn zero(&mut self, at: Option<usize>) {
        if at.is_none() && self.policy.is_some() && self.is_made() {
            self.count(Some((0, 0)));
        }
        for (index, rule) in self.rules.iter_mut().enumerate() {
            if at.is_none_or(|at| at == index) && rule.counters != (0, 0) {
                rule.counters = (0, 0);
                if rule.change == Change::None {
                    rule.change = Change::Counted;
                }
            }
        }
    }
}
