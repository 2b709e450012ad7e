//! The table of nftables and the walk of a packet through it (`net/netfilter/nf_tables_core.c`): base chains at their
//! hooks, maps to verdicts, sets that packets fill.

use super::matches::Seen;
use super::walk::JUMP_STACK_SIZE;
use super::{CtInfo, HookState, Verdict};
use crate::base::{ChangeId, Duration, IfIndex, SimTime};
use crate::kernel::{Ctx, Netns, Skb};
use crate::nftables::{self, Element, Far, Key, Kind, Part, Rule, Ruleset, Set, Side};
use crate::trace::{
    EventKind, Hook, NetfilterChange, NftChainRow, NftChange, NftElementRow, NftRuleRow, NftSetRow, Table,
};
use crate::xtables::{Family, NatFlags, NatRange, PortRange, RejectWith, Target};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A rule with its handle and its row in the trace.
pub(super) type Held = (u32, Arc<Rule>, ChangeId);

/// A chain.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    base: Option<nftables::Base>,
    comment: Option<&'static str>,
    pub(super) rules: Vec<Held>,
}

/// A set or a map: each element with what a map holds for it, until when it stays, and its row in the trace.
#[derive(Clone, Debug)]
struct Members {
    set: Set,
    elements: BTreeMap<Element, Member>,
}

#[derive(Clone, Debug)]
struct Member {
    verdict: Option<nftables::Verdict>,
    comment: Option<Arc<str>>,
    until: Option<SimTime>,
    change: ChangeId,
}

/// The table of one family.
#[derive(Clone, Debug, Default)]
pub(super) struct Nft {
    chains: BTreeMap<Arc<str>, Chain>,
    sets: BTreeMap<Arc<str>, Members>,
    next_handle: u32,
}

/// A packet as conditions see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) seen: &'a Seen,
    pub(super) mark: u32,
    pub(super) is_new: bool,
    pub(super) iif: IfIndex,
}

fn hook_of(hook: Hook) -> nftables::Hook {
    match hook {
        Hook::Prerouting => nftables::Hook::Prerouting,
        Hook::Input => nftables::Hook::Input,
        Hook::Forward => nftables::Hook::Forward,
        Hook::Output => nftables::Hook::Output,
        Hook::Postrouting => nftables::Hook::Postrouting,
    }
}

/// The element that a packet is asked for in a map.
pub(super) fn key_of(key: Key, seen: &Seen) -> Element {
    let addr = match key {
        Key::Socket => Some(seen.dst),
        Key::Port => None,
    };
    Element { addr, port: Some((seen.protocol, seen.dport)) }
}

/// What the translation of a destination is in the words of the other tables.
fn dnat(to: std::net::SocketAddr) -> Target {
    let range = NatRange { addrs: Some((to.ip(), to.ip())), ports: Some(PortRange(to.port(), to.port())) };
    Target::Dnat(range, NatFlags::default())
}

fn masquerade() -> Target {
    Target::Masquerade(None, NatFlags { fully: true, ..NatFlags::default() })
}

impl Nft {
    pub(super) fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }

    /// The base chains of a kind at a hook; of filters those with this priority.
    pub(super) fn bases(&self, kind: Kind, hook: Hook, priority: Option<i32>) -> Vec<Arc<str>> {
        let fits = |base: &nftables::Base| {
            base.kind == kind
                && base.hook == hook_of(hook)
                && priority.is_none_or(|priority| priority == base.priority)
        };
        let named = self.chains.iter().filter(|(_, chain)| chain.base.as_ref().is_some_and(fits));
        named.map(|(name, _)| name.clone()).collect()
    }

    /// A rule of a chain by its place.
    pub(super) fn rule(&self, chain: &str, at: usize) -> Option<&Held> {
        self.chains.get(chain)?.rules.get(at)
    }

    /// What a map holds for an element, with its row.
    pub(super) fn lookup(&self, map: &str, element: &Element) -> Option<(&nftables::Verdict, ChangeId)> {
        let member = self.sets.get(map)?.elements.get(element)?;
        Some((member.verdict.as_ref()?, member.change))
    }

    /// Whether packets put elements into a set, which then may be there or not.
    pub(super) fn is_dynamic(&self, set: &str) -> bool {
        self.sets.get(set).is_some_and(|members| members.set.timeout.is_some())
    }

    fn contains(&self, set: &str, addr: IpAddr, now: SimTime) -> bool {
        let element = Element { addr: Some(addr), port: None };
        let member = self.sets.get(set).and_then(|members| members.elements.get(&element));
        member.is_some_and(|member| member.until.is_none_or(|until| until > now))
    }

    /// Whether an address is one of these. Sets that packets fill are asked as they stand at `now`.
    pub(super) fn far_has(&self, far: &Far, addr: IpAddr, now: SimTime) -> bool {
        match far {
            Far::Ranges(ranges) => ranges.iter().any(|(_, (first, last))| (*first..=*last).contains(&addr)),
            Far::Set(name) => self.contains(name, addr, now),
        }
    }
}

impl Netns {
    /// What a condition says; `None` for a statement.
    pub(super) fn nft_condition(
        &self,
        family: Family,
        part: &Part,
        asked: Asked<'_>,
        now: SimTime,
    ) -> Option<bool> {
        let side = |side: &Side| match side {
            Side::Source => asked.seen.src,
            Side::Destination => asked.seen.dst,
        };
        Some(match part {
            Part::New => asked.is_new,
            Part::Address(at, negated, far) => {
                self.netfilter.nft_of(family).far_has(far, side(at), now) != *negated
            }
            Part::Local(at) => self.is_own_address(side(at)),
            Part::Interface { name, begins, negated } => {
                let fits = self.link(asked.iif).is_some_and(|link| {
                    if *begins { link.name.starts_with(&**name) } else { link.name == *name }
                });
                fits != *negated
            }
            Part::Protocol(protocol) => asked.seen.protocol == *protocol,
            Part::Port(protocol, port) => {
                asked.seen.protocol == *protocol && asked.seen.dport == *port && !asked.seen.later_fragment
            }
            Part::Unmarked(bits) => asked.mark & bits == 0,
            Part::MarkOr(_)
            | Part::MarkXor(_)
            | Part::Vmap(..)
            | Part::Choose(_)
            | Part::Remember(_)
            | Part::Jump(_)
            | Part::Goto(_)
            | Part::Return
            | Part::Drop
            | Part::Reject
            | Part::Dnat(_)
            | Part::Masquerade => return None,
        })
    }

    /// Whether there is a table of nftables for a family.
    pub fn nft_is_there(&self, family: Family) -> bool {
        !self.netfilter.nft_of(family).is_empty()
    }

    /// A packet passes the filtering base chains of a priority.
    pub(super) fn nft_bases(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        (state, priority): (HookState, i32),
        skb: &mut Skb,
    ) -> Verdict {
        if self.netfilter.nft.is_empty() {
            return Verdict::Accept;
        }
        for base in self.netfilter.nft.bases(Kind::Filter, state.hook, Some(priority)) {
            if self.nft_walk(ctx, at, (base, state), skb) == Verdict::Drop {
                return Verdict::Drop;
            }
        }
        Verdict::Accept
    }

    /// The first packet of a connection passes the translating base chains of a hook.
    pub(super) fn nft_nat(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        state: HookState,
        skb: &mut Skb,
    ) -> Verdict {
        if self.netfilter.nft.is_empty() {
            return Verdict::Accept;
        }
        for base in self.netfilter.nft.bases(Kind::Nat, state.hook, None) {
            if self.nft_walk(ctx, at, (base, state), skb) == Verdict::Drop {
                return Verdict::Drop;
            }
        }
        Verdict::Accept
    }

    /// Walks through a base chain and those it leads to. Its policy is to accept.
    fn nft_walk(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        (base, state): (Arc<str>, HookState),
        skb: &mut Skb,
    ) -> Verdict {
        let mut stack: Vec<(Arc<str>, usize)> = vec![(base, 0)];
        while let Some((chain, number)) = stack.pop() {
            let Some((_, rule, change)) = self.netfilter.nft.rule(&chain, number).cloned() else { continue };
            stack.push((chain, number + 1));
            match self.nft_rule(ctx, at, (&rule, change, state), skb) {
                Next::Continue => {}
                Next::Jump(_) if stack.len() > JUMP_STACK_SIZE => return Verdict::Drop,
                Next::Jump(to) => stack.push((to, 0)),
                Next::Goto(to) => {
                    stack.pop();
                    stack.push((to, 0));
                }
                Next::Return => {
                    stack.pop();
                }
                Next::End(verdict) => return verdict,
            }
        }
        Verdict::Accept
    }

    /// Asks one rule and carries it out.
    fn nft_rule(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        (rule, change, state): (&Rule, ChangeId, HookState),
        skb: &mut Skb,
    ) -> Next {
        let Some(seen) = Seen::of(skb) else { return Next::Continue };
        let mut is_noted = false;
        for part in &rule.parts {
            let is_new = matches!(skb.nf.info, CtInfo::New);
            let asked = Asked { seen: &seen, mark: skb.nf.mark, is_new, iif: state.iif };
            if let Some(fits) = self.nft_condition(Family::V4, part, asked, ctx.now) {
                if fits {
                    continue;
                }
                return Next::Continue;
            }
            // A map that holds nothing decides nothing.
            if let Part::Vmap(key, map) = part {
                let found = self.netfilter.nft.lookup(map, &key_of(*key, &seen));
                let Some((verdict, element)) = found.map(|(verdict, change)| (verdict.clone(), change))
                else {
                    return Next::Continue;
                };
                ctx.note((self.id, at), skb, EventKind::Decided(Table::Netfilter, element));
                return match verdict {
                    nftables::Verdict::Goto(to) => Next::Goto(to),
                    nftables::Verdict::Drop => Next::End(Verdict::Drop),
                };
            }
            if !std::mem::replace(&mut is_noted, true) {
                ctx.note((self.id, at), skb, EventKind::Decided(Table::Netfilter, change));
            }
            let next = self.nft_statement(ctx, at, (part, state), skb);
            if !matches!(next, Next::Continue) {
                return next;
            }
        }
        Next::Continue
    }

    fn nft_statement(
        &mut self,
        ctx: &mut Ctx<'_>,
        at: IfIndex,
        (part, state): (&Part, HookState),
        skb: &mut Skb,
    ) -> Next {
        match part {
            Part::MarkOr(bits) => skb.nf.mark |= bits,
            Part::MarkXor(bits) => skb.nf.mark ^= bits,
            Part::Choose(chains) => {
                let chosen = self.rng.usize(..chains.len());
                return Next::Goto(chains[chosen].clone());
            }
            Part::Remember(set) => self.nft_remember(ctx, set, skb),
            Part::Jump(to) => return Next::Jump(to.clone()),
            Part::Goto(to) => return Next::Goto(to.clone()),
            Part::Return => return Next::Return,
            Part::Drop => return Next::End(Verdict::Drop),
            Part::Reject => {
                self.nf_send_unreach(ctx, at, RejectWith::PortUnreachable, skb);
                return Next::End(Verdict::Drop);
            }
            Part::Dnat(to) => return Next::End(self.nf_nat_target(ctx, &dnat(*to), state, skb)),
            Part::Masquerade => return Next::End(self.nf_nat_target(ctx, &masquerade(), state, skb)),
            Part::New
            | Part::Address(..)
            | Part::Local(_)
            | Part::Interface { .. }
            | Part::Protocol(_)
            | Part::Port(..)
            | Part::Unmarked(_)
            | Part::Vmap(..) => {}
        }
        Next::Continue
    }

    /// Puts a packet's source into a set (`update @set`).
    fn nft_remember(&mut self, ctx: &mut Ctx<'_>, set: &Arc<str>, skb: &Skb) {
        let Some(src) = skb.frame.ipv4().map(|packet| IpAddr::V4(packet.src)) else { return };
        let Some(seconds) = self.netfilter.nft.sets.get(set).and_then(|members| members.set.timeout) else {
            return;
        };
        let element = Element { addr: Some(src), port: None };
        let until = Some(ctx.now + Duration::from_secs(u64::from(seconds)));
        let row =
            NftElementRow { netns: self.id, set: set.clone(), element, verdict: None, comment: None, until };
        let change = self.nft_record(ctx, Family::V4, NftChange::Element(row));
        if let Some(members) = self.netfilter.nft.sets.get_mut(set) {
            members.elements.insert(element, Member { verdict: None, comment: None, until, change });
        }
    }

    fn nft_record(&self, ctx: &mut Ctx<'_>, family: Family, change: NftChange) -> ChangeId {
        self.nf_record(ctx, family, NetfilterChange::Nft(change))
    }

    /// Gives the table this content; rows are written of what differs.
    pub(super) fn nft_write(&mut self, ctx: &mut Ctx<'_>, family: Family, wanted: &Ruleset) {
        let place = match family {
            Family::V4 => &mut self.netfilter.nft,
            Family::V6 => &mut self.netfilter.nft6,
        };
        let mut table = std::mem::take(place);
        self.nft_write_sets(ctx, family, &mut table, wanted);
        self.nft_write_chains(ctx, family, &mut table, wanted);
        let place = match family {
            Family::V4 => &mut self.netfilter.nft,
            Family::V6 => &mut self.netfilter.nft6,
        };
        *place = table;
    }

    fn nft_write_chains(&self, ctx: &mut Ctx<'_>, family: Family, table: &mut Nft, wanted: &Ruleset) {
        let gone: Vec<Arc<str>> =
            table.chains.keys().filter(|name| !wanted.chains.contains_key(*name)).cloned().collect();
        for name in gone {
            table.chains.remove(&name);
            self.nft_record(ctx, family, NftChange::ChainGone(self.id, name));
        }
        for (name, chain) in &wanted.chains {
            let known = table.chains.get(name);
            if known.is_none_or(|known| known.base != chain.base || known.comment != chain.comment) {
                let (base, comment) = (chain.base, chain.comment);
                let row = NftChainRow { netns: self.id, name: name.clone(), base, comment };
                self.nft_record(ctx, family, NftChange::Chain(row));
            }
            let old = table.chains.remove(name).map_or_else(Vec::new, |chain| chain.rules);
            let rules = if old.iter().map(|(_, rule, _)| rule).eq(chain.rules.iter()) {
                old
            } else {
                for (handle, ..) in old {
                    self.nft_record(ctx, family, NftChange::RuleGone(self.id, handle));
                }
                let next = &mut table.next_handle;
                chain.rules.iter().map(|rule| self.nft_new_rule(ctx, (family, name), next, rule)).collect()
            };
            table.chains.insert(name.clone(), Chain { base: chain.base, comment: chain.comment, rules });
        }
    }

    fn nft_new_rule(
        &self,
        ctx: &mut Ctx<'_>,
        (family, chain): (Family, &Arc<str>),
        next_handle: &mut u32,
        rule: &Arc<Rule>,
    ) -> Held {
        *next_handle += 1;
        let handle = *next_handle;
        let row = NftRuleRow {
            netns: self.id,
            is_v6: family == Family::V6,
            chain: chain.clone(),
            handle,
            rule: rule.clone(),
        };
        let change = self.nft_record(ctx, family, NftChange::Rule(row));
        (handle, rule.clone(), change)
    }

    fn nft_write_sets(&self, ctx: &mut Ctx<'_>, family: Family, table: &mut Nft, wanted: &Ruleset) {
        let gone: Vec<Arc<str>> =
            table.sets.keys().filter(|name| !wanted.sets.contains_key(*name)).cloned().collect();
        for name in gone {
            table.sets.remove(&name);
            self.nft_record(ctx, family, NftChange::SetGone(self.id, name));
        }
        for (name, (set, elements)) in &wanted.sets {
            let mut members =
                table.sets.remove(name).filter(|known| known.set == *set).unwrap_or_else(|| {
                    let row = NftSetRow { netns: self.id, name: name.clone(), set: set.clone() };
                    self.nft_record(ctx, family, NftChange::Set(row));
                    Members { set: set.clone(), elements: BTreeMap::new() }
                });
            let is_gone = |(element, member): (&Element, &Member)| {
                (member.until.is_none() && !elements.contains_key(element)).then_some(*element)
            };
            let gone: Vec<Element> = members.elements.iter().filter_map(is_gone).collect();
            for element in gone {
                members.elements.remove(&element);
                self.nft_record(ctx, family, NftChange::ElementGone(self.id, name.clone(), element));
            }
            for (element, (verdict, comment)) in elements {
                let same = |member: &Member| member.verdict == *verdict && member.comment == *comment;
                if members.elements.get(element).is_some_and(same) {
                    continue;
                }
                let (verdict, comment) = (verdict.clone(), comment.clone());
                let row = NftElementRow {
                    netns: self.id,
                    set: name.clone(),
                    element: *element,
                    verdict: verdict.clone(),
                    comment: comment.clone(),
                    until: None,
                };
                let change = self.nft_record(ctx, family, NftChange::Element(row));
                members.elements.insert(*element, Member { verdict, comment, until: None, change });
            }
            table.sets.insert(name.clone(), members);
        }
    }
}

/// What a rule has the walk do.
enum Next {
    /// The rule after it.
    Continue,
    /// Another chain, and back.
    Jump(Arc<str>),
    /// Another chain in the place of this one.
    Goto(Arc<str>),
    /// Back to where this chain was called.
    Return,
    /// The end.
    End(Verdict),
}
