//! A packet's walk through netfilter on its last stretch: hook by hook, table by table, rule by rule. Which rules
//! fitted stands in the trace; those in between were asked and did not fit, which follows from their order.

use super::look;
use super::packet::station_before;
use crate::base::{ChangeId, EventId};
use crate::nftables::{Part, Verdict};
use crate::trace::{
    ConntrackRow, EventKind, Hook, Inventory, NetfilterChange, NetnsState, NftChange, RuleRow, Table,
    TableChange, Trace,
};
use crate::wire::{Body, Frame, Icmp, Ipv4};
use crate::xtables::{self, Target};
use std::sync::Arc;

/// How far after a step the end of its packet is looked for, in events.
const AHEAD: usize = 4_000;

/// The walk on the stretch that led to a step, and where the packet stays, on its last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The hooks passed, in order.
    pub hooks: Vec<HookPassed>,
    /// What address translation made of the packet: before and after.
    pub nat: Option<(String, String)>,
}

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookPassed {
    /// Which one.
    pub hook: Hook,
    /// The connection that the packet was found to belong to.
    pub tracked: Option<Tracked>,
    /// The walk through its tables.
    pub lines: Vec<WalkLine>,
}

/// What connection tracking said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// This connection, as `conntrack -L` prints it.
    Connection(String),
    /// None: the packet is INVALID.
    Invalid,
}

/// A line of the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkLine {
    /// How many chains called one another to get here.
    pub depth: usize,
    /// What it says.
    pub kind: WalkKind,
}

/// What a line of the walk says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalkKind {
    /// A chain begins: table and name.
    Chain(&'static str, Arc<str>),
    /// Rules that did not fit.
    Passed(Vec<String>),
    /// A rule that fitted, and whether it ended the walk through this table.
    Fitted {
        /// The rule as `iptables -S` prints it, without its chain.
        text: String,
        /// Whether nothing after it was asked.
        ends: bool,
        /// Its event.
        event: EventId,
    },
    /// The end of a chain that was called: the walk goes on behind the call.
    Back,
    /// No rule decided, so the policy of the built-in chain does.
    Policy(&'static str),
    /// The table of translations is asked only for the first packet of a connection.
    NotAsked(&'static str),
}

/// The chains of a hook in the order in which they are asked (`enum nf_ip_hook_priorities`).
fn tables_of(hook: Hook) -> &'static [xtables::Table] {
    use xtables::Table::{Filter, Mangle, Nat, Raw, Security};
    match hook {
        Hook::Prerouting => &[Raw, Mangle, Nat],
        Hook::Input => &[Mangle, Filter, Security, Nat],
        Hook::Forward => &[Mangle, Filter, Security],
        Hook::Output => &[Raw, Mangle, Nat, Filter, Security],
        Hook::Postrouting => &[Mangle, Nat],
    }
}

/// The built-in chain of a hook.
pub fn chain_of(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "PREROUTING",
        Hook::Input => "INPUT",
        Hook::Forward => "FORWARD",
        Hook::Output => "OUTPUT",
        Hook::Postrouting => "POSTROUTING",
    }
}

/// The walk that belongs to the step `id`; `tables` as they stand there.
pub fn walk(trace: &Trace, tables: &Inventory, id: EventId) -> Walk {
    let Some(event) = trace.events.get(id.index()) else { return Walk::default() };
    let Some(state) = tables.netns.get(&event.netns) else { return Walk::default() };
    let mut events = stretch(trace, id);
    let (ahead, end) = last_stretch(trace, id);
    events.extend(ahead);
    let mut walk = Walk { hooks: Vec::new(), nat: translation(trace, id, end) };
    let mut hook: Option<(Hook, Vec<EventId>)> = None;
    for id in events {
        if let EventKind::Passed(next) = trace.event(id).kind {
            walk.hooks.extend(hook.take().map(|(hook, asked)| passed(trace, state, hook, &asked)));
            hook = Some((next, Vec::new()));
        } else if let Some((_, asked)) = &mut hook {
            asked.push(id);
        }
    }
    walk.hooks.extend(hook.map(|(hook, asked)| passed(trace, state, hook, &asked)));
    walk
}

/// What happened to the packet in this namespace since its station before, oldest first.
fn stretch(trace: &Trace, id: EventId) -> Vec<EventId> {
    let seen = trace.event(id);
    let mut found = Vec::new();
    let mut at = seen.cause;
    while at.is_some() {
        let here = trace.event(at);
        if here.netns != seen.netns || here.journey != seen.journey || look::step_kind(trace, here).is_some()
        {
            break;
        }
        found.push(at);
        at = here.cause;
    }
    found.reverse();
    found
}

/// For a packet that stays in this namespace: what happens to it after its last station, and the event of its end.
fn last_stretch(trace: &Trace, id: EventId) -> (Vec<EventId>, Option<EventId>) {
    let seen = trace.event(id);
    let mut found = Vec::new();
    if !seen.journey.is_some() || matches!(seen.kind, EventKind::Ended(_)) {
        return (found, None);
    }
    for at in id.index() + 1..trace.len().min(id.index() + AHEAD) {
        let here = &trace.events[at];
        if here.journey != seen.journey {
            continue;
        }
        if matches!(here.kind, EventKind::Ended(_)) && look::step_kind(trace, here).is_none() {
            return (found, Some(EventId(at as u32)));
        }
        if here.netns != seen.netns || look::step_kind(trace, here).is_some() {
            break;
        }
        found.push(EventId(at as u32));
    }
    (Vec::new(), None)
}

fn passed(trace: &Trace, state: &NetnsState, hook: Hook, asked: &[EventId]) -> HookPassed {
    let decided = |id: &EventId| {
        let EventKind::Decided(Table::Netfilter, row) = trace.event(*id).kind else { return None };
        let change = row.is_some().then(|| &trace.changes[row.index()])?;
        if let TableChange::Netfilter(change) = change { Some((*id, change)) } else { None }
    };
    let decisions: Vec<(EventId, &NetfilterChange)> = asked.iter().filter_map(decided).collect();
    let tracked = asked.iter().find_map(|id| {
        let EventKind::Decided(Table::Conntrack, row) = trace.event(*id).kind else { return None };
        Some(connection(trace, row))
    });
    let mut lines = Vec::new();
    for table in tables_of(hook) {
        let own = |(_, change): &&(EventId, &NetfilterChange)| {
            if let NetfilterChange::Rule(row) = change {
                row.table == *table
            } else if let NetfilterChange::Chain(row) = change {
                row.table == *table
            } else {
                false
            }
        };
        let decisions: Vec<(EventId, &NetfilterChange)> = decisions.iter().filter(own).copied().collect();
        let walker = Walker { state, table: *table, stack: Vec::new(), lines: Vec::new() };
        lines.extend(walker.table(chain_of(hook), &decisions));
    }
    lines.extend(nft_lines(&decisions));
    HookPassed { hook, tracked, lines }
}

/// What rules and maps of nftables decided, chain by chain.
fn nft_lines(decisions: &[(EventId, &NetfilterChange)]) -> Vec<WalkLine> {
    let mut lines = Vec::new();
    let mut place: Option<&Arc<str>> = None;
    for (event, change) in decisions {
        let NetfilterChange::Nft(change) = change else { continue };
        let (here, text, ends) = match change {
            NftChange::Rule(row) => {
                let last = row.rule.parts.last();
                let ends = matches!(last, Some(Part::Drop | Part::Reject | Part::Dnat(_) | Part::Masquerade));
                (&row.chain, row.to_string(), ends)
            }
            NftChange::Element(row) => (&row.set, row.to_string(), row.verdict == Some(Verdict::Drop)),
            NftChange::Chain(_)
            | NftChange::Set(_)
            | NftChange::ChainGone(..)
            | NftChange::RuleGone(..)
            | NftChange::SetGone(..)
            | NftChange::ElementGone(..) => continue,
        };
        if place != Some(here) {
            lines.push(WalkLine { depth: 0, kind: WalkKind::Chain("nft", here.clone()) });
            place = Some(here);
        }
        lines.push(WalkLine { depth: 1, kind: WalkKind::Fitted { text, ends, event: *event } });
    }
    lines
}

fn connection(trace: &Trace, row: ChangeId) -> Tracked {
    let row: Option<&ConntrackRow> = match row.is_some().then(|| &trace.changes[row.index()]) {
        Some(TableChange::Netfilter(NetfilterChange::Conntrack(row))) => Some(row),
        _ => None,
    };
    row.map_or(Tracked::Invalid, |row| Tracked::Connection(row.to_string()))
}

/// A chain on the way, and the next rule of it to be asked.
struct Visit {
    chain: Arc<str>,
    next: usize,
}

/// Goes through one table.
struct Walker<'a> {
    state: &'a NetnsState,
    table: xtables::Table,
    stack: Vec<Visit>,
    lines: Vec<WalkLine>,
}

impl Walker<'_> {
    fn table(mut self, base: &'static str, decisions: &[(EventId, &NetfilterChange)]) -> Vec<WalkLine> {
        if self.handles(base).is_empty() && decisions.is_empty() {
            return Vec::new();
        }
        if decisions.is_empty() && self.table == xtables::Table::Nat {
            self.say(WalkKind::NotAsked(base));
            return self.lines;
        }
        self.enter(base.into());
        for (event, change) in decisions {
            let NetfilterChange::Rule(row) = change else { continue };
            if self.fitted(*event, row) {
                return self.lines;
            }
        }
        while self.stack.len() > 1 {
            self.leave();
        }
        self.rest();
        let policy = self.state.netfilter.chains.get(&(self.table, base.into()));
        let policy = policy.and_then(|chain| chain.row.policy).map_or("ACCEPT", xtables::Policy::name);
        self.say(WalkKind::Policy(policy));
        self.lines
    }

    fn say(&mut self, kind: WalkKind) {
        let depth = self.stack.len().saturating_sub(1);
        self.lines.push(WalkLine { depth, kind });
    }

    fn handles(&self, chain: &str) -> &[u32] {
        let chain = self.state.netfilter.chains.get(&(self.table, chain.into()));
        chain.map_or(&[], |chain| &chain.rules)
    }

    fn enter(&mut self, chain: Arc<str>) {
        self.stack.push(Visit { chain: chain.clone(), next: 0 });
        self.say(WalkKind::Chain(self.table.name(), chain));
    }

    /// The rules of the current chain from the next one up to `end` did not fit.
    fn skip(&mut self, end: usize) {
        let Some(visit) = self.stack.last() else { return };
        let handles = self.handles(&visit.chain);
        let asked = handles.get(visit.next..end.min(handles.len())).unwrap_or_default();
        let text = |handle: &u32| Some(self.state.netfilter.rules.get(handle)?.row.rule.to_string());
        let texts: Vec<String> = asked.iter().filter_map(text).collect();
        if !texts.is_empty() {
            self.say(WalkKind::Passed(texts));
        }
    }

    fn rest(&mut self) {
        self.skip(usize::MAX);
    }

    /// The end of the current chain was reached.
    fn leave(&mut self) {
        self.rest();
        self.say(WalkKind::Back);
        self.stack.pop();
    }

    /// A rule fitted. Returns whether that was the end of the walk through this table.
    fn fitted(&mut self, event: EventId, row: &RuleRow) -> bool {
        let place = |walker: &Self| walker.handles(&row.chain).iter().position(|at| *at == row.handle);
        let is_next = |walker: &Self, visit: &Visit| {
            visit.chain == row.chain && place(walker).is_none_or(|place| place >= visit.next)
        };
        while self.stack.len() > 1 && self.stack.last().is_some_and(|visit| !is_next(self, visit)) {
            self.leave();
        }
        if let Some(at) = place(self) {
            self.skip(at);
            if let Some(visit) = self.stack.last_mut() {
                visit.next = at + 1;
            }
        }
        let ends = match &row.rule.target {
            Target::None
            | Target::Log(_)
            | Target::Jump(_)
            | Target::Goto(_)
            | Target::Mark(..)
            | Target::Connmark(_)
            | Target::Notrack(_)
            | Target::Tcpmss(_)
            | Target::Ttl(_)
            | Target::Tos(..)
            | Target::Dscp(_)
            | Target::Side(_)
            | Target::Return => false,
            Target::Accept
            | Target::Drop
            | Target::Reject(_)
            | Target::Dnat(..)
            | Target::Snat(..)
            | Target::Masquerade(..)
            | Target::Redirect(..)
            | Target::Netmap(_) => true,
        };
        self.say(WalkKind::Fitted { text: row.rule.to_string(), ends, event });
        match &row.rule.target {
            Target::Jump(to) => self.enter(to.clone()),
            Target::Goto(to) => {
                // The chain in its place keeps the depth of the caller.
                if self.stack.len() > 1 {
                    self.stack.pop();
                }
                self.enter(to.clone());
            }
            Target::Return if self.stack.len() > 1 => {
                self.say(WalkKind::Back);
                self.stack.pop();
            }
            // In a built-in chain it leaves the packet to the policy.
            Target::Return => self.stack.iter_mut().for_each(|visit| visit.next = usize::MAX),
            Target::None
            | Target::Accept
            | Target::Drop
            | Target::Reject(_)
            | Target::Dnat(..)
            | Target::Snat(..)
            | Target::Masquerade(..)
            | Target::Redirect(..)
            | Target::Mark(..)
            | Target::Connmark(_)
            | Target::Notrack(_)
            | Target::Log(_)
            | Target::Tcpmss(_)
            | Target::Ttl(_)
            | Target::Tos(..)
            | Target::Dscp(_)
            | Target::Netmap(_)
            | Target::Side(_) => {}
        }
        ends
    }
}

/// The packet inside all tunnels.
fn inner(frame: &Frame) -> Option<&Ipv4> {
    frame.ipv4().map(Ipv4::innermost)
}

/// What the stretch made of the packet's addresses and ports, where it changed them.
fn translation(trace: &Trace, id: EventId, end: Option<EventId>) -> Option<(String, String)> {
    let frame = |id: EventId| inner(trace.frame_of(trace.event(id))?);
    let now = frame(id)?;
    let before = match station_before(trace, id) {
        Some(station) => frame(station),
        // The packet as it was made: its first event.
        None => {
            trace.before(id).last().and_then(|first| trace.frame_of(first)).and_then(|frame| inner(frame))
        }
    };
    let changed = |before: &Ipv4, now: &Ipv4| {
        let same = before.protocol() == now.protocol();
        let (before, now) = (ends(before), ends(now));
        (same && before != now).then_some((before, now))
    };
    let after = end.and_then(frame);
    before.and_then(|before| changed(before, now)).or_else(|| changed(now, after?))
}

/// Source and destination of a packet with its ports.
pub fn ends(packet: &Ipv4) -> String {
    let (from, to) = match &*packet.body {
        Body::Tcp(tcp) => (Some(tcp.src_port), Some(tcp.dst_port)),
        Body::Udp(udp) => (Some(udp.src_port), Some(udp.dst_port)),
        Body::Icmp(Icmp::EchoRequest { id, .. } | Icmp::EchoReply { id, .. }) => {
            return format!("{} → {} id {id}", packet.src, packet.dst);
        }
        Body::Icmp(_) | Body::Igmp(_) | Body::Ipip(_) | Body::Gre(_) | Body::Esp(_) | Body::Raw { .. } => {
            (None, None)
        }
    };
    let end =
        |addr, port: Option<u16>| port.map_or_else(|| format!("{addr}"), |port| format!("{addr}:{port}"));
    format!("{} → {}", end(packet.src, from), end(packet.dst, to))
}
