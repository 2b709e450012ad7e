//! What the rules of a namespace would do with a packet: the same chains as packets pass, asked without sending one.
//! Where a rule decides by chance or by what it remembers (`-m statistic`, `-m recent`, `-m limit`), both ways are
//! followed. Routes are asked only whether an address is this machine's own.

use super::HookState;
use super::matches::Seen;
use super::tables::Entry;
use super::walk::JUMP_STACK_SIZE;
use crate::base::IfIndex;
use crate::kernel::Netns;
use crate::trace::{Hook, protocol_word};
use crate::xtables::{
    ConnmarkOp, Conntrack, Family, Match, Not, PacketMatch, PktType, Policy, RecentMode, RejectWith, Rule,
    Table, Target, ctstate,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// As many ways as this are followed. kube-proxy makes two for each endpoint of a Service with affinity.
const WAYS_MAX: usize = 10_000;
/// The loopback device.
const LO: IfIndex = IfIndex(1);

/// The first packet of a connection, which is only asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

/// How the walk of a packet ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Accepted,
    /// It is dropped in silence.
    Dropped,
    /// It is dropped, and its sender told.
    Rejected(RejectWith),
}

/// A rule that fitted, or the policy of a built-in chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// A rule of a table and a chain.
    Rule(Table, Arc<str>, Arc<Rule>),
    /// The policy of a built-in chain, to drop.
    Policy(Table, Arc<str>),
    /// A rule of nftables, or the element of a map that held something: the chain or the map, and how `nft` prints it.
    Nft(Arc<str>, String),
    /// A virtual server of IPVS, and the real one that it gives the packet to.
    Ipvs(String),
}

/// What a packet passes at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A table's chain.
    Table(Table),
    /// Base chains of nftables that filter, with this priority.
    Filter(i32),
    /// Those that translate.
    Nat,
    /// The virtual servers of IPVS.
    Ipvs,
}

/// One of the ways that a packet may take through the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its end.
    pub fate: Fate,
    /// The chain whose rule accepted it last, where one did before its chain ended.
    pub accepted_in: Option<Arc<str>>,
    /// The chain whose rule translated its destination.
    pub translated_in: Option<Arc<str>>,
    /// The chain whose rule gives it this machine's address as its source.
    pub masqueraded_in: Option<Arc<str>>,
    /// Where it is going at the end.
    pub dst: (IpAddr, u16),
    /// The rules that fitted, in order.
    pub passed: Vec<Passed>,
}

/// All ways that a packet may take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// The ways.
    pub outcomes: Vec<Outcome>,
    /// Whether there are more than were followed.
    pub is_cut: bool,
}

/// Whether a rule fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    No,
    Yes,
    /// By chance, or by what the rule remembers.
    Perhaps,
}

/// What a rule that fitted has the walk do.
enum Next {
    Continue,
    Jump(usize, bool),
    Return,
    /// The end of this table.
    Done,
    End(Fate),
}

/// A packet on its way.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) probe: Probe,
    /// Whether this machine sent it.
    is_own: bool,
    pub(super) mark: u32,
    pub(super) outcome: Outcome,
    /// Hooks and tables passed so far.
    stage: usize,
    /// Chains that called one another: each with the place to go on at; the last is the one being walked.
    stack: Vec<(usize, usize)>,
    /// The same for chains of nftables, by their names; and the base chains that follow.
    pub(super) nft: Vec<(Arc<str>, usize)>,
    pub(super) bases: Option<Vec<Arc<str>>>,
    /// Whether IPVS sends it on.
    is_sent_on: bool,
}

/// Hooks and tables of a packet that came in.
const CAME_IN: [(Hook, Stage); 5] = [
    (Hook::Prerouting, Stage::Table(Table::Raw)),
    (Hook::Prerouting, Stage::Table(Table::Mangle)),
    (Hook::Prerouting, Stage::Filter(super::BEFORE_DNAT)),
    (Hook::Prerouting, Stage::Table(Table::Nat)),
    (Hook::Prerouting, Stage::Nat),
];
/// Those of one for this machine.
const FOR_US: [(Hook, Stage); 6] = [
    (Hook::Input, Stage::Table(Table::Mangle)),
    (Hook::Input, Stage::Table(Table::Filter)),
    (Hook::Input, Stage::Filter(super::FILTER)),
    (Hook::Input, Stage::Table(Table::Security)),
    (Hook::Input, Stage::Ipvs),
    (Hook::Input, Stage::Table(Table::Nat)),
];
/// Those of one for somebody else.
const FORWARDED: [(Hook, Stage); 7] = [
    (Hook::Forward, Stage::Table(Table::Mangle)),
    (Hook::Forward, Stage::Table(Table::Filter)),
    (Hook::Forward, Stage::Filter(super::FILTER)),
    (Hook::Forward, Stage::Table(Table::Security)),
    (Hook::Postrouting, Stage::Table(Table::Mangle)),
    (Hook::Postrouting, Stage::Table(Table::Nat)),
    (Hook::Postrouting, Stage::Nat),
];
/// Those of one of this machine's own.
const OWN: [(Hook, Stage); 12] = [
    (Hook::Output, Stage::Table(Table::Raw)),
    (Hook::Output, Stage::Table(Table::Mangle)),
    (Hook::Output, Stage::Filter(super::BEFORE_DNAT)),
    (Hook::Output, Stage::Table(Table::Nat)),
    (Hook::Output, Stage::Nat),
    (Hook::Output, Stage::Ipvs),
    (Hook::Output, Stage::Table(Table::Filter)),
    (Hook::Output, Stage::Filter(super::FILTER)),
    (Hook::Output, Stage::Table(Table::Security)),
    (Hook::Postrouting, Stage::Table(Table::Mangle)),
    (Hook::Postrouting, Stage::Table(Table::Nat)),
    (Hook::Postrouting, Stage::Nat),
];
/// Those of one that IPVS sends on; where its destination is translated is settled by then.
const SENT_ON: [(Hook, Stage); 9] = [
    (Hook::Output, Stage::Table(Table::Raw)),
    (Hook::Output, Stage::Table(Table::Mangle)),
    (Hook::Output, Stage::Filter(super::BEFORE_DNAT)),
    (Hook::Output, Stage::Table(Table::Filter)),
    (Hook::Output, Stage::Filter(super::FILTER)),
    (Hook::Output, Stage::Table(Table::Security)),
    (Hook::Postrouting, Stage::Table(Table::Mangle)),
    (Hook::Postrouting, Stage::Table(Table::Nat)),
    (Hook::Postrouting, Stage::Nat),
];
/// Those that one of its own to itself passes after the loopback device; the connection is translated by then.
const CAME_BACK: [(Hook, Stage); 7] = [
    (Hook::Prerouting, Stage::Table(Table::Raw)),
    (Hook::Prerouting, Stage::Table(Table::Mangle)),
    (Hook::Prerouting, Stage::Filter(super::BEFORE_DNAT)),
    (Hook::Input, Stage::Table(Table::Mangle)),
    (Hook::Input, Stage::Table(Table::Filter)),
    (Hook::Input, Stage::Filter(super::FILTER)),
    (Hook::Input, Stage::Table(Table::Security)),
];

impl Way {
    /// The packet as rules see it.
    pub(super) fn seen(&self) -> Seen {
        let probe = &self.probe;
        Seen {
            src: probe.src,
            dst: probe.dst,
            protocol: probe.protocol,
            later_fragment: false,
            sport: probe.sport,
            dport: probe.dport,
            // A connection of TCP begins with SYN.
            tcp_flags: 2,
            mss: None,
            icmp: None,
        }
    }

    /// The hook and table that come next. Which they are depends on where the packet is going by then.
    fn next_stage(&self, netns: &Netns) -> Option<(Hook, Stage)> {
        let at = self.stage;
        if self.is_sent_on {
            return SENT_ON.get(at).copied();
        }
        let is_for_us = || netns.is_own_address(self.probe.dst);
        if self.is_own {
            let back = || CAME_BACK.get(at - OWN.len()).copied().filter(|_| is_for_us());
            return OWN.get(at).copied().or_else(back);
        }
        if let Some(stage) = CAME_IN.get(at) {
            return Some(*stage);
        }
        let rest = at - CAME_IN.len();
        if is_for_us() { FOR_US.get(rest).copied() } else { FORWARDED.get(rest).copied() }
    }
}

impl Netns {
    /// Whether packets to this address are taken in here.
    pub(super) fn is_own_address(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(addr) => self.fib.lookup_local(addr).is_some(),
            IpAddr::V6(addr) => self.addrs6.contains(&addr),
        }
    }

    /// What the rules would do with a packet.
    pub fn flow(&self, probe: Probe) -> Ways {
        let outcome = Outcome {
            fate: Fate::Accepted,
            accepted_in: None,
            translated_in: None,
            masqueraded_in: None,
            dst: (probe.dst, probe.dport),
            passed: Vec::new(),
        };
        let is_own = self.is_own_address(probe.src);
        let mut open = vec![Way {
            probe,
            is_own,
            mark: 0,
            outcome,
            stage: 0,
            stack: Vec::new(),
            nft: Vec::new(),
            bases: None,
            is_sent_on: false,
        }];
        let mut flow = Ways::default();
        while let Some(way) = open.pop() {
            if flow.outcomes.len() + open.len() >= WAYS_MAX {
                flow.is_cut = true;
                break;
            }
            let outcome = self.follow(way, &mut open);
            flow.outcomes.push(outcome);
        }
        flow
    }

    /// Follows a way to its end. Where it parts, the other one is put among those still open.
    fn follow(&self, mut way: Way, open: &mut Vec<Way>) -> Outcome {
        while let Some((hook, stage)) = way.next_stage(self) {
            let fate = match stage {
                Stage::Table(table) => self.pass(&mut way, (hook, table), open),
                Stage::Filter(_) | Stage::Nat => self.pass_nft(&mut way, (hook, stage), open),
                Stage::Ipvs => self.pass_ipvs(&mut way, open),
            };
            if let Some(fate) = fate {
                way.outcome.fate = fate;
                break;
            }
            // Another list of stages begins.
            if stage == Stage::Ipvs && way.is_sent_on {
                way.stage = 0;
                continue;
            }
            way.stack.clear();
            way.nft.clear();
            way.bases = None;
            way.stage += 1;
        }
        way.outcome.dst = (way.probe.dst, way.probe.dport);
        way.outcome
    }

    /// Asks the virtual servers: every real one is a way of its own.
    fn pass_ipvs(&self, way: &mut Way, open: &mut Vec<Way>) -> Option<Fate> {
        if way.outcome.translated_in.is_some() {
            return None;
        }
        let socket = SocketAddr::new(way.probe.dst, way.probe.dport);
        let (service, real) = self.netfilter.ipvs.behind(way.probe.protocol, socket)?;
        let word = protocol_word(way.probe.protocol);
        if real.is_empty() {
            way.outcome.passed.push(Passed::Ipvs(format!("{word} {socket} rr ({service})")));
            return Some(Fate::Rejected(RejectWith::PortUnreachable));
        }
        let given = |mut way: Way, real: SocketAddr| {
            way.outcome.passed.push(Passed::Ipvs(format!("{word} {socket} rr -> {real} ({service})")));
            (way.probe.dst, way.probe.dport) = (real.ip(), real.port());
            way.outcome.translated_in = Some("ipvs".into());
            way.is_sent_on = !self.is_own_address(real.ip());
            way
        };
        for other in real.iter().skip(1) {
            let mut another = given(way.clone(), *other);
            another.stage = if another.is_sent_on { 0 } else { way.stage + 1 };
            open.push(another);
        }
        *way = given(way.clone(), real[0]);
        None
    }

    /// Passes the chains of a table at a hook. A fate where the packet goes no further.
    fn pass(&self, way: &mut Way, (hook, table): (Hook, Table), open: &mut Vec<Way>) -> Option<Fate> {
        let family = if way.probe.dst.is_ipv4() { Family::V4 } else { Family::V6 };
        let chains = self.netfilter.of(family).get(table)?;
        let base = chains.base(hook)?;
        let state = self.flow_devices(way, hook);
        if way.stack.is_empty() {
            way.stack.push((base, 0));
        }
        loop {
            let &(chain, number) = way.stack.last()?;
            let chain = chains.chain(chain)?;
            let next = match chain.rules.get(number) {
                None => Next::Return,
                Some(entry) => {
                    let answer = self.flow_fits(&entry.rule, way, state);
                    way.stack.last_mut()?.1 += 1;
                    if answer == Answer::No {
                        continue;
                    }
                    if answer == Answer::Perhaps {
                        open.push(way.clone());
                    }
                    way.outcome.passed.push(Passed::Rule(table, chain.name.clone(), entry.rule.clone()));
                    Self::flow_target(way, entry, (hook, table), &chain.name)
                }
            };
            match next {
                Next::Continue => {}
                Next::Jump(..) if way.stack.len() > JUMP_STACK_SIZE => return Some(Fate::Dropped),
                Next::Jump(to, true) => way.stack.push((to, 0)),
                Next::Jump(to, false) => *way.stack.last_mut()? = (to, 0),
                Next::Return if way.stack.len() > 1 => {
                    way.stack.pop();
                }
                Next::Return => {
                    let base = chains.chain(base)?;
                    if base.policy != Some(Policy::Drop) {
                        return None;
                    }
                    way.outcome.passed.push(Passed::Policy(table, base.name.clone()));
                    return Some(Fate::Dropped);
                }
                Next::Done => return None,
                Next::End(fate) => return Some(fate),
            }
        }
    }

    /// The devices that rules see. They follow from routes, so those of IPv6 are not known.
    pub(super) fn flow_devices(&self, way: &Way, hook: Hook) -> HookState {
        let towards = |addr: IpAddr| match addr {
            IpAddr::V4(addr) => self.route_towards(addr).and_then(|found| found.route.oif),
            IpAddr::V6(_) => None,
        };
        let is_for_us = self.is_own_address(way.probe.dst);
        let iif = if way.is_own { Some(LO) } else { towards(way.probe.src) };
        let oif = if is_for_us { Some(LO) } else { towards(way.probe.dst) };
        let (has_in, has_out) = match hook {
            Hook::Prerouting | Hook::Input => (true, false),
            Hook::Forward => (true, true),
            Hook::Output | Hook::Postrouting => (false, true),
        };
        HookState {
            hook,
            iif: iif.filter(|_| has_in).unwrap_or(IfIndex::NONE),
            oif: oif.filter(|_| has_out).unwrap_or(IfIndex::NONE),
        }
    }

    fn flow_fits(&self, rule: &Rule, way: &Way, state: HookState) -> Answer {
        let seen = way.seen();
        if !self.nf_head_fits(rule, &seen, state) {
            return Answer::No;
        }
        let mut answer = Answer::Yes;
        for each in &rule.matches {
            match flow_match(each, way) {
                Answer::No => return Answer::No,
                Answer::Yes if !self.nf_header_match(each, &seen, state) => return Answer::No,
                Answer::Yes => {}
                Answer::Perhaps => answer = Answer::Perhaps,
            }
        }
        answer
    }

    /// What a rule that fitted does.
    fn flow_target(way: &mut Way, entry: &Entry, (hook, table): (Hook, Table), chain: &Arc<str>) -> Next {
        match &entry.rule.target {
            Target::None
            | Target::Log(_)
            | Target::Notrack(_)
            | Target::Tcpmss(_)
            | Target::Ttl(_)
            | Target::Tos(..)
            | Target::Dscp(_)
            | Target::Side(_)
            | Target::Connmark(ConnmarkOp::Set(..) | ConnmarkOp::Save(..)) => Next::Continue,
            Target::Accept => {
                if table == Table::Filter {
                    way.outcome.accepted_in = Some(chain.clone());
                }
                Next::Done
            }
            Target::Drop => Next::End(Fate::Dropped),
            Target::Reject(with) => Next::End(Fate::Rejected(*with)),
            Target::Return => Next::Return,
            Target::Jump(_) => entry.jump.map_or(Next::Continue, |to| Next::Jump(to, true)),
            Target::Goto(_) => entry.jump.map_or(Next::Continue, |to| Next::Jump(to, false)),
            Target::Mark(value, mask) => {
                way.mark = (way.mark & !mask) ^ value;
                Next::Continue
            }
            Target::Connmark(ConnmarkOp::Restore(packet, _)) => {
                // A new connection has no mark.
                way.mark &= !packet;
                Next::Continue
            }
            Target::Dnat(range, _) => {
                if let Some((first, _)) = range.addrs {
                    way.probe.dst = first;
                }
                if let Some(ports) = range.ports {
                    way.probe.dport = ports.0;
                }
                way.outcome.translated_in = Some(chain.clone());
                Next::Done
            }
            Target::Redirect(ports, _) => {
                // To the first address of the way in, or to the loopback address; either is this machine's own.
                if hook == Hook::Output {
                    way.probe.dst = match way.probe.dst {
                        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
                        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
                    };
                }
                if let Some(ports) = ports {
                    way.probe.dport = ports.0;
                }
                way.outcome.translated_in = Some(chain.clone());
                Next::Done
            }
            Target::Netmap(network) if matches!(hook, Hook::Prerouting | Hook::Output) => {
                way.probe.dst = network.map(way.probe.dst);
                way.outcome.translated_in = Some(chain.clone());
                Next::Done
            }
            Target::Snat(..) | Target::Masquerade(..) | Target::Netmap(_) => {
                way.outcome.masqueraded_in = Some(chain.clone());
                Next::Done
            }
        }
    }
}

/// What a match says that asks for more than headers, of the first packet of a connection.
fn flow_match(each: &Match, way: &Way) -> Answer {
    let yes = |fits: bool| if fits { Answer::Yes } else { Answer::No };
    match each {
        // An address is always added.
        Match::Recent(recent) if recent.is.mode == RecentMode::Set => yes(!recent.negated),
        // Which program sends, and with which options, is not known.
        Match::Recent(_)
        | Match::Statistic(_)
        | Match::Limit { .. }
        | Match::Owner(_)
        | Match::Ttl(_)
        | Match::Tos(_)
        | Match::Dscp(_)
        | Match::Packet(
            PacketMatch::Length(_)
            | PacketMatch::Mac(_)
            | PacketMatch::String(_)
            | PacketMatch::U32(_)
            | PacketMatch::Time(_)
            | PacketMatch::Ecn(_),
        )
        | Match::Counting(_) => Answer::Perhaps,
        // No helper expects connections.
        Match::Packet(PacketMatch::Helper(name)) => yes(name.negated),
        Match::Packet(PacketMatch::Pkttype(kind)) => yes((kind.is == PktType::Unicast) != kind.negated),
        Match::Mark(Not { negated, is: (value, mask) }) => yes((way.mark & mask == *value) != *negated),
        Match::Connmark(Not { negated, is: (value, _) }) => yes((*value == 0) != *negated),
        Match::State(states) => yes((states.is & ctstate::NEW != 0) != states.negated),
        Match::Conntrack(asked) => yes(flow_conntrack(asked, way)),
        // Frames of Pods on one bridge are not asked about here.
        Match::Physdev(physdev) => yes(physdev.is_in != Some(true)
            && physdev.is_out != Some(true)
            && physdev.is_bridged != Some(true)),
        Match::Tcp(tcp) => yes(tcp.option.as_ref().is_none_or(|option| option.negated)),
        Match::Comment(_)
        | Match::Udp(_)
        | Match::Sctp(_)
        | Match::Icmp(_)
        | Match::Addrtype(_)
        | Match::Multiport(_)
        | Match::Set(_)
        | Match::Rpfilter(_)
        | Match::Packet(PacketMatch::Iprange(_))
        | Match::Tcpmss(_) => Answer::Yes,
    }
}

/// `-m conntrack` about the first packet of a connection: it is new, and its destination may be translated.
fn flow_conntrack(asked: &Conntrack, way: &Way) -> bool {
    let translated = if way.outcome.translated_in.is_some() { ctstate::DNAT } else { 0 };
    let bits = ctstate::NEW | translated;
    let state = asked.state.as_ref().is_none_or(|states| (states.is & bits != 0) != states.negated);
    let proto = asked.proto.is_none_or(|is| (is.is == way.probe.protocol) != is.negated);
    let status = asked.status.is_none_or(|is| (is.is == 0) != is.negated);
    state && proto && status && asked.reply != Some(true)
}
