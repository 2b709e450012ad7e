//! Changes to chains, rules, sets and connections, as the tools ask for them. Every change is written to the trace.

use super::ipvs::IpvsOp;
use super::tables::{Chain, Entry};
use crate::base::{ChangeId, EventId, IfIndex};
use crate::kernel::{Ctx, Netns};
use crate::nftables::Ruleset;
use crate::trace::{ChainRow, NetfilterChange, RuleRow, SetMember, SetRow, TableChange, Tuple};
use crate::xtables::{Family, Policy, Rule, Table};
use std::sync::Arc;

/// A change that a tool asks for. The tool has checked it against the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetfilterOp {
    /// Makes a table with its built-in chains, if it is not there.
    Table(Table),
    /// Deletes a table with all its chains and rules.
    DelTable(Table),
    /// Sets the policy of a built-in chain, and what its counters begin at, if it is to count.
    Policy(Table, Arc<str>, Policy, Option<(u64, u64)>),
    /// Makes a chain.
    NewChain(Table, Arc<str>),
    /// Deletes a chain that nothing jumps to, with its rules.
    DelChain(Table, Arc<str>),
    /// Gives a chain another name.
    Rename(Table, Arc<str>, Arc<str>),
    /// Adds a rule: table, chain, the number of rules before it, the rule, its counters.
    Insert(Table, Arc<str>, u32, Arc<Rule>, (u64, u64)),
    /// Puts a rule in the place of the one with this handle.
    Replace(Table, Arc<str>, u32, Arc<Rule>, (u64, u64)),
    /// Deletes the rule with this handle.
    Delete(Table, Arc<str>, u32),
    /// Sets the counters of the rule with this handle.
    Counters(Table, Arc<str>, u32, (u64, u64)),
    /// Makes a set: name, kind, timeout of its members.
    NewSet(Arc<str>, Arc<str>, Option<u32>),
    /// Gives a set these members.
    Members(Arc<str>, Vec<SetMember>),
    /// Deletes a set.
    DelSet(Arc<str>),
    /// Gives the table of nftables this content. What packets put into its sets stays.
    Nft(Box<Ruleset>),
    /// Of IPVS.
    Ipvs(IpvsOp),
    /// Forgets a connection.
    Forget(u32),
    /// The same in the tables of IPv6.
    V6(Box<NetfilterOp>),
}

/// The tables of a protocol, as changes name them.
type Place = (Family, Table);

impl Netns {
    /// Carries out a change.
    pub fn change_netfilter(&mut self, ctx: &mut Ctx<'_>, op: NetfilterOp) {
        self.nf_change(ctx, Family::V4, op);
    }

    fn nf_change(&mut self, ctx: &mut Ctx<'_>, family: Family, op: NetfilterOp) {
        match op {
            NetfilterOp::Table(table) => self.nf_table(ctx, (family, table)),
            NetfilterOp::DelTable(table) => self.nf_del_table(ctx, (family, table)),
            NetfilterOp::Policy(table, name, policy, counters) => {
                self.nf_table(ctx, (family, table));
                self.nf_set_policy(ctx, (family, table), &name, (policy, counters));
            }
            NetfilterOp::NewChain(table, name) => {
                self.nf_table(ctx, (family, table));
                self.nf_add_chain(ctx, (family, table), name, None);
            }
            NetfilterOp::DelChain(table, name) => self.nf_del_chain(ctx, (family, table), name),
            NetfilterOp::Rename(table, old, new) => self.nf_rename(ctx, (family, table), &old, &new),
            NetfilterOp::Insert(table, chain, index, rule, counters) => {
                self.nf_table(ctx, (family, table));
                self.nf_insert(ctx, ((family, table), chain), index, rule, counters);
            }
            NetfilterOp::Replace(table, chain, handle, rule, counters) => {
                self.nf_replace(ctx, ((family, table), chain), handle, Some(rule), Some(counters));
            }
            NetfilterOp::Counters(table, chain, handle, counters) => {
                self.nf_replace(ctx, ((family, table), chain), handle, None, Some(counters));
            }
            NetfilterOp::Delete(table, chain, handle) => self.nf_delete(ctx, (family, table), &chain, handle),
            NetfilterOp::NewSet(name, kind, timeout) => {
                let set = super::set::Set { kind, timeout, members: Vec::new() };
                self.netfilter.sets.sets.insert(name.clone(), set);
                self.nf_record_set(ctx, &name);
            }
            NetfilterOp::Members(name, members) => {
                if let Some(set) = self.netfilter.sets.sets.get_mut(&name) {
                    set.members = members;
                }
                self.nf_record_set(ctx, &name);
            }
            NetfilterOp::DelSet(name) => {
                self.netfilter.sets.sets.remove(&name);
                self.nf_record(ctx, Family::V4, NetfilterChange::SetGone(self.id, name));
            }
            NetfilterOp::Nft(ruleset) => self.nft_write(ctx, family, &ruleset),
            NetfilterOp::Ipvs(op) => self.ipvs_change(ctx, op),
            NetfilterOp::Forget(id) => self.kill_conntrack(ctx, id, EventId::NONE),
            NetfilterOp::V6(op) => self.nf_change(ctx, Family::V6, *op),
        }
    }

    fn nf_del_chain(&mut self, ctx: &mut Ctx<'_>, (family, table): Place, name: Arc<str>) {
        let tables = self.netfilter.of_mut(family);
        let Some(gone) = tables.get_mut(table).and_then(|chains| chains.remove(&name)) else { return };
        for entry in &gone.rules {
            tables.discount(&entry.rule);
        }
        self.nf_record(ctx, family, NetfilterChange::ChainGone(self.id, table, name));
    }

    fn nf_del_table(&mut self, ctx: &mut Ctx<'_>, (family, table): Place) {
        let names: Vec<Arc<str>> = self.nf_chain_names(family, table).collect();
        for name in names {
            self.nf_del_chain(ctx, (family, table), name);
        }
        self.netfilter.of_mut(family).remove(table);
    }

    fn nf_delete(&mut self, ctx: &mut Ctx<'_>, (family, table): Place, chain: &str, handle: u32) {
        let tables = self.netfilter.of_mut(family);
        let found = tables.get_mut(table).and_then(|chains| {
            let at = chains.find(chain)?;
            let rules = &mut chains.chain_mut(at)?.rules;
            let at = rules.iter().position(|entry| entry.handle == handle)?;
            Some(rules.remove(at))
        });
        if let Some(gone) = found {
            tables.discount(&gone.rule);
            self.nf_record(ctx, family, NetfilterChange::RuleGone(self.id, handle));
        }
    }

    /// The rules of a chain in order, each with its handle; none where there is no such chain.
    pub fn nf_rules(
        &self,
        family: Family,
        table: Table,
        chain: &str,
    ) -> impl Iterator<Item = (u32, Arc<Rule>)> + '_ {
        let chains = self.netfilter.of(family).get(table);
        let chain = chains.and_then(|chains| chains.chain(chains.find(chain)?));
        chain.into_iter().flat_map(|chain| &chain.rules).map(|entry| (entry.handle, entry.rule.clone()))
    }

    /// The connections that are tracked, each with its number: the direction of its first packet, that of the replies.
    pub fn nf_connections(&self) -> impl Iterator<Item = (u32, Tuple, Tuple)> + '_ {
        let table = &self.netfilter.conntrack;
        let all = table.picked(|_| true).into_iter();
        all.filter_map(|id| table.get(id).map(|conn| (id, conn.orig, conn.reply)))
    }

    /// The members of a set; `None` where there is none of this name.
    pub fn nf_set(&self, name: &str) -> Option<&[SetMember]> {
        self.netfilter.sets.sets.get(name).map(|set| set.members.as_slice())
    }

    /// The names of a table's chains.
    pub fn nf_chain_names(&self, family: Family, table: Table) -> impl Iterator<Item = Arc<str>> + '_ {
        let chains = self.netfilter.of(family).get(table).into_iter();
        chains.flat_map(|chains| chains.list.iter().flatten()).map(|chain| chain.name.clone())
    }

    pub(super) fn nf_record(&self, ctx: &mut Ctx<'_>, family: Family, change: NetfilterChange) -> ChangeId {
        let change = match family {
            Family::V4 => change,
            Family::V6 => NetfilterChange::V6(Box::new(change)),
        };
        ctx.change(self.id, IfIndex::NONE, EventId::NONE, TableChange::Netfilter(change))
    }

    fn nf_table(&mut self, ctx: &mut Ctx<'_>, (family, table): Place) {
        if self.netfilter.of(family).get(table).is_some() {
            return;
        }
        self.netfilter.of_mut(family).insert(table);
        for name in table.builtin() {
            self.nf_add_chain(ctx, (family, table), (*name).into(), Some(Policy::Accept));
        }
    }

    fn nf_add_chain(
        &mut self,
        ctx: &mut Ctx<'_>,
        (family, table): Place,
        name: Arc<str>,
        policy: Option<Policy>,
    ) {
        if self.netfilter.of(family).get(table).is_some_and(|chains| chains.find(&name).is_some()) {
            return;
        }
        let row = ChainRow { netns: self.id, table, name: name.clone(), policy, counters: None };
        let change = self.nf_record(ctx, family, NetfilterChange::Chain(row));
        let chains = self.netfilter.of_mut(family).insert(table);
        chains.add(Chain { name, policy, counts: false, change, rules: Vec::new() });
    }

    fn nf_set_policy(
        &mut self,
        ctx: &mut Ctx<'_>,
        (family, table): Place,
        name: &Arc<str>,
        (policy, counters): (Policy, Option<(u64, u64)>),
    ) {
        let row = ChainRow { netns: self.id, table, name: name.clone(), policy: Some(policy), counters };
        let change = self.nf_record(ctx, family, NetfilterChange::Chain(row));
        let Some(chains) = self.netfilter.of_mut(family).get_mut(table) else { return };
        if let Some(chain) = chains.find(name).and_then(|at| chains.chain_mut(at)) {
            (chain.policy, chain.change) = (Some(policy), change);
            chain.counts = counters.is_some();
        }
    }

    fn nf_insert(
        &mut self,
        ctx: &mut Ctx<'_>,
        ((family, table), name): (Place, Arc<str>),
        index: u32,
        rule: Arc<Rule>,
        counters: (u64, u64),
    ) {
        let handle = self.netfilter.of_mut(family).take_handle();
        let Some(chains) = self.netfilter.of(family).get(table) else { return };
        let Some(at) = chains.find(&name) else { return };
        let jump = rule.jumps_to().and_then(|to| chains.find(to));
        let row = RuleRow {
            netns: self.id,
            table,
            chain: name,
            handle,
            index,
            rule: rule.clone(),
            counters: Some(counters),
        };
        let change = self.nf_record(ctx, family, NetfilterChange::Rule(row));
        let tables = self.netfilter.of_mut(family);
        tables.count(&rule, ctx.now);
        if let Some(chain) = tables.get_mut(table).and_then(|chains| chains.chain_mut(at)) {
            let place = (index as usize).min(chain.rules.len());
            chain.rules.insert(
                place,
                Entry { rule, handle, change, jump, state: std::collections::BTreeMap::new(), counted: None },
            );
        }
    }

    fn nf_replace(
        &mut self,
        ctx: &mut Ctx<'_>,
        ((family, table), name): (Place, Arc<str>),
        handle: u32,
        rule: Option<Arc<Rule>>,
        counters: Option<(u64, u64)>,
    ) {
        let Some(chains) = self.netfilter.of(family).get(table) else { return };
        let Some(at) = chains.find(&name) else { return };
        let Some(entries) = chains.chain(at).map(|chain| &chain.rules) else { return };
        let Some(index) = entries.iter().position(|entry| entry.handle == handle) else { return };
        let old = entries[index].rule.clone();
        let rule = rule.unwrap_or_else(|| old.clone());
        let jump = rule.jumps_to().and_then(|to| chains.find(to));
        let row = RuleRow {
            netns: self.id,
            table,
            chain: name,
            handle,
            index: index as u32,
            rule: rule.clone(),
            counters,
        };
        let change = self.nf_record(ctx, family, NetfilterChange::Rule(row));
        let tables = self.netfilter.of_mut(family);
        // In this order, for what it counted under a name stays.
        tables.count(&rule, ctx.now);
        tables.discount(&old);
        if let Some(chain) = tables.get_mut(table).and_then(|chains| chains.chain_mut(at)) {
            let entry = &mut chain.rules[index];
            (entry.rule, entry.change, entry.jump) = (rule, change, jump);
        }
    }

    /// A chain under another name: the rows of its rules, and of those that jump to it, are written anew.
    fn nf_rename(&mut self, ctx: &mut Ctx<'_>, (family, table): Place, old: &Arc<str>, new: &Arc<str>) {
        let tables = self.netfilter.of_mut(family);
        let Some(at) = tables.get_mut(table).and_then(|chains| chains.rename(old, new)) else { return };
        let row = ChainRow { netns: self.id, table, name: new.clone(), policy: None, counters: None };
        let change = self.nf_record(ctx, family, NetfilterChange::Renamed(old.clone(), row));
        let Some(chains) = self.netfilter.of_mut(family).get_mut(table) else { return };
        if let Some(chain) = chains.chain_mut(at) {
            chain.change = change;
        }
        let mut touched: Vec<(Arc<str>, u32, Arc<Rule>)> = Vec::new();
        for chain in chains.list.iter().flatten() {
            for entry in &chain.rules {
                let mut rule = (*entry.rule).clone();
                let jumps = rule.rename_jump(old, new);
                if jumps || chain.name == *new {
                    touched.push((chain.name.clone(), entry.handle, Arc::new(rule)));
                }
            }
        }
        for (chain, handle, rule) in touched {
            self.nf_replace(ctx, ((family, table), chain), handle, Some(rule), None);
        }
    }

    fn nf_record_set(&self, ctx: &mut Ctx<'_>, name: &Arc<str>) {
        if let Some(set) = self.netfilter.sets.sets.get(name) {
            let row = SetRow {
                netns: self.id,
                name: name.clone(),
                kind: set.kind.clone(),
                members: set.members.clone(),
                timeout: set.timeout,
            };
            self.nf_record(ctx, Family::V4, NetfilterChange::Set(row));
        }
    }
}
