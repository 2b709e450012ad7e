//! Rows of netfilter: chains, rules, sets and connections; and the tables that they fold into.

use super::ipvs::{Ipvs, IpvsChange};
use super::nft::{NftChange, NftTable};
use crate::base::{ChangeId, Duration, Ipv4Addr, NetnsId, SimTime};
use crate::xtables::{self, Policy, Rule};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A row of netfilter that came or changed, or the key of one that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetfilterChange {
    /// A chain came, or its policy changed.
    Chain(ChainRow),
    /// A chain that had this name has another one now, and keeps its rules.
    Renamed(Arc<str>, ChainRow),
    /// A chain went, with its rules.
    ChainGone(NetnsId, xtables::Table, Arc<str>),
    /// A rule came or changed. One whose handle is known stays in its place.
    Rule(RuleRow),
    /// A rule went, by its handle.
    RuleGone(NetnsId, u32),
    /// A connection came to be tracked, or changed.
    Conntrack(ConntrackRow),
    /// A connection is not tracked any more.
    ConntrackGone(NetnsId, u32),
    /// A packet was not the first of its connection to be entered.
    Clash(NetnsId, Clash),
    /// A set came or changed.
    Set(SetRow),
    /// A set went, by name.
    SetGone(NetnsId, Arc<str>),
    /// Of IPVS.
    Ipvs(IpvsChange),
    /// Of nftables.
    Nft(NftChange),
    /// The same in the tables of IPv6.
    V6(Box<NetfilterChange>),
}

/// What the kernel counts when two packets are taken for the first of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// The packet joined the connection that was first: `clash_resolve`.
    Resolved,
    /// The same before Linux 5.0, which counts it as `insert_failed`.
    Joined,
    /// The packet was lost: `insert_failed` and `drop`.
    Lost,
}

/// Counters of connection tracking (`struct ip_conntrack_stat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConntrackStats {
    /// Packets whose connection was entered by another one.
    pub insert_failed: u64,
    /// Packets that were dropped.
    pub drop: u64,
    /// Packets that joined a connection that was first.
    pub clash_resolve: u64,
}

impl ConntrackStats {
    fn count(&mut self, clash: Clash) {
        match clash {
            Clash::Resolved => self.clash_resolve += 1,
            Clash::Joined => self.insert_failed += 1,
            Clash::Lost => {
                self.insert_failed += 1;
                self.drop += 1;
            }
        }
    }
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Table.
    pub table: xtables::Table,
    /// Name.
    pub name: Arc<str>,
    /// Policy of a built-in chain.
    pub policy: Option<Policy>,
    /// What its counters of packets and bytes that met the policy begin at; `None` where it does not count.
    pub counters: Option<(u64, u64)>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Table.
    pub table: xtables::Table,
    /// Chain.
    pub chain: Arc<str>,
    /// Number that the rule keeps as long as it lives, in its namespace.
    pub handle: u32,
    /// How many rules stood before it when it came.
    pub index: u32,
    /// The rule.
    pub rule: Arc<Rule>,
    /// What its counters of packets and bytes begin at; `None` leaves them as they are.
    pub counters: Option<(u64, u64)>,
}

impl fmt::Display for RuleRow {
    /// As `iptables -S` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule.to_string();
        write!(f, "-A {}{}{rule}", self.chain, if rule.is_empty() { "" } else { " " })
    }
}

/// The addresses of one direction of a connection (`struct nf_conntrack_tuple`). Of ICMP, the identifier stands for
/// the source port, type and code for the destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Source address.
    pub src: Ipv4Addr,
    /// Source port.
    pub sport: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Destination port.
    pub dport: u16,
}

impl fmt::Display for Tuple {
    /// As `conntrack -L` prints it, with a blank behind each field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src={} dst={} ", self.src, self.dst)?;
        match self.protocol {
            1 => write!(f, "type={} code={} id={} ", self.dport >> 8, self.dport & 0xff, self.sport),
            6 | 17 | 33 | 132 | 136 => write!(f, "sport={} dport={} ", self.sport, self.dport),
            _ => Ok(()),
        }
    }
}

/// State of a TCP connection as conntrack sees it (`enum tcp_conntrack`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpTracking {
    /// Nothing was seen.
    None,
    /// A SYN was seen.
    SynSent,
    /// A SYN and its SYN-ACK.
    SynRecv,
    /// The handshake is complete.
    Established,
    /// One end has sent FIN.
    FinWait,
    /// That FIN was acknowledged.
    CloseWait,
    /// Both ends have sent FIN.
    LastAck,
    /// The last FIN was acknowledged.
    TimeWait,
    /// It was reset.
    Close,
    /// Both ends have sent SYN.
    SynSent2,
}

impl TcpTracking {
    /// Name in `conntrack -L`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::SynSent2 => "SYN_SENT2",
        }
    }
}

/// A tracked connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConntrackRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Number that the connection keeps as long as it lives, in its namespace.
    pub id: u32,
    /// The direction of the first packet.
    pub orig: Tuple,
    /// The direction of the replies, as they come in.
    pub reply: Tuple,
    /// State, of TCP.
    pub tcp: Option<TcpTracking>,
    /// Whether a reply was seen.
    pub seen_reply: bool,
    /// Whether it is kept when the table is full (`ASSURED`).
    pub assured: bool,
    /// Its mark.
    pub mark: u32,
    /// How long it is kept after a packet.
    pub timeout: Duration,
}

impl fmt::Display for ConntrackRow {
    /// As `conntrack -L` prints it, without the time left.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line("", ""))
    }
}

impl ConntrackRow {
    /// A line of `conntrack -L` with what stands before it and the seconds left, with a blank behind each.
    pub fn line(&self, before: &str, left: &str) -> String {
        let protocol = xtables::protocol_name(self.orig.protocol);
        let protocol = if protocol.parse::<u8>().is_ok() { "unknown".to_owned() } else { protocol };
        let state = self.tcp.map_or_else(String::new, |state| format!("{} ", state.name()));
        let unreplied = if self.seen_reply { "" } else { "[UNREPLIED] " };
        let assured = if self.assured { "[ASSURED] " } else { "" };
        format!(
            "{before}{protocol:<8} {} {left}{state}{}{unreplied}{}{assured}mark={} use=1",
            self.orig.protocol, self.orig, self.reply, self.mark
        )
    }
}

/// A set of `ipset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRow {
    /// Namespace.
    pub netns: NetnsId,
    /// Name.
    pub name: Arc<str>,
    /// What its members are made of, as `hash:ip,port` names it.
    pub kind: Arc<str>,
    /// Its members in the order in which they came.
    pub members: Vec<SetMember>,
    /// `timeout`, in seconds.
    pub timeout: Option<u32>,
}

/// A member of a set; fields that its kind has not are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetMember {
    /// First address.
    pub addr: IpAddr,
    /// Length of its prefix, in sets of networks.
    pub len: u8,
    /// Protocol of the port.
    pub protocol: u8,
    /// Port.
    pub port: u16,
    /// Second address.
    pub other: IpAddr,
    /// Length of its prefix.
    pub other_len: u8,
}

impl SetMember {
    /// One with nothing set.
    pub const EMPTY: Self = Self {
        addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        len: 32,
        protocol: 0,
        port: 0,
        other: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        other_len: 32,
    };
}

/// netfilter's tables of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Netfilter {
    /// Chains by table and name, each with the handles of its rules in order.
    pub chains: BTreeMap<(xtables::Table, Arc<str>), Chain>,
    /// Rules by handle.
    pub rules: BTreeMap<u32, RuleState>,
    /// Connections by number.
    pub conntrack: BTreeMap<u32, Connection>,
    /// What connection tracking counts.
    pub stats: ConntrackStats,
    /// Sets by name.
    pub sets: BTreeMap<Arc<str>, SetRow>,
    /// Virtual servers and their connections.
    pub ipvs: Ipvs,
    /// kube-proxy's table of nftables.
    pub nft: NftTable,
    /// The tables of IPv6, once there are any.
    pub v6: Option<Box<Netfilter>>,
}

/// A chain with its rules.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The change that gave the row its present form.
    pub change: ChangeId,
    /// The row.
    pub row: ChainRow,
    /// Handles of its rules in order.
    pub rules: Vec<u32>,
    /// Packets and bytes that met its policy; `None` where it does not count.
    pub counters: Option<(u64, u64)>,
}

impl Chain {
    fn new(change: ChangeId, row: &ChainRow, rules: Vec<u32>) -> Self {
        Self { change, row: row.clone(), rules, counters: row.counters }
    }
}

/// A rule with its counters.
#[derive(Clone, Debug)]
pub struct RuleState {
    /// The change that gave the row its present form.
    pub change: ChangeId,
    /// The row.
    pub row: RuleRow,
    /// Packets that it fitted.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A connection with when its last packet was seen.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The change that gave the row its present form.
    pub change: ChangeId,
    /// The row.
    pub row: ConntrackRow,
    /// When its last packet was seen.
    pub seen: SimTime,
}

impl Connection {
    /// How long it is kept if no packet comes.
    pub fn left(&self, now: SimTime) -> Duration {
        (self.seen + self.row.timeout).since(now)
    }
}

impl Netfilter {
    /// The chains of a table in the order in which the tools list them: built-in ones, then the others by name.
    pub fn listed(&self, table: xtables::Table) -> Vec<&Chain> {
        let chain = |name: &str| self.chains.get(&(table, name.into()));
        let mut out: Vec<&Chain> = table.builtin().iter().filter_map(|name| chain(name)).collect();
        let of_table = self.chains.iter().filter(|((of, _), _)| *of == table).map(|(_, chain)| chain);
        out.extend(of_table.filter(|chain| chain.row.policy.is_none()));
        out
    }

    /// The rules of a chain in order.
    pub fn rules_of<'a>(&'a self, chain: &'a Chain) -> impl Iterator<Item = &'a RuleState> {
        chain.rules.iter().filter_map(|handle| self.rules.get(handle))
    }

    pub(super) fn apply(&mut self, id: ChangeId, change: &NetfilterChange, now: SimTime) {
        match change {
            NetfilterChange::Chain(row) => {
                let key = (row.table, row.name.clone());
                let rules = self.chains.remove(&key).map_or_else(Vec::new, |chain| chain.rules);
                self.chains.insert(key, Chain::new(id, row, rules));
            }
            NetfilterChange::Renamed(old, row) => {
                let rules =
                    self.chains.remove(&(row.table, old.clone())).map_or_else(Vec::new, |chain| chain.rules);
                self.chains.insert((row.table, row.name.clone()), Chain::new(id, row, rules));
            }
            NetfilterChange::ChainGone(_, table, name) => {
                let gone = self.chains.remove(&(*table, name.clone()));
                for handle in gone.map_or_else(Vec::new, |chain| chain.rules) {
                    self.rules.remove(&handle);
                }
            }
            NetfilterChange::Rule(row) => self.set_rule(id, row),
            NetfilterChange::RuleGone(_, handle) => {
                if let Some(gone) = self.rules.remove(handle)
                    && let Some(chain) = self.chains.get_mut(&(gone.row.table, gone.row.chain.clone()))
                {
                    chain.rules.retain(|at| at != handle);
                }
            }
            NetfilterChange::Conntrack(row) => {
                self.conntrack.insert(row.id, Connection { change: id, row: *row, seen: now });
            }
            NetfilterChange::ConntrackGone(_, id) => {
                self.conntrack.remove(id);
            }
            NetfilterChange::Clash(_, clash) => self.stats.count(*clash),
            NetfilterChange::Set(row) => {
                self.sets.insert(row.name.clone(), row.clone());
            }
            NetfilterChange::SetGone(_, name) => {
                self.sets.remove(name);
            }
            NetfilterChange::Ipvs(change) => self.ipvs.apply(id, change, now),
            NetfilterChange::Nft(change) => self.nft.apply(id, change),
            NetfilterChange::V6(change) => self.v6.get_or_insert_default().apply(id, change, now),
        }
    }

    fn set_rule(&mut self, id: ChangeId, row: &RuleRow) {
        let counters = row.counters;
        if let Some(known) = self.rules.get_mut(&row.handle) {
            (known.change, known.row) = (id, row.clone());
            if let Some((packets, bytes)) = counters {
                (known.packets, known.bytes) = (packets, bytes);
            }
            return;
        }
        let Some(chain) = self.chains.get_mut(&(row.table, row.chain.clone())) else { return };
        chain.rules.insert((row.index as usize).min(chain.rules.len()), row.handle);
        let (packets, bytes) = counters.unwrap_or_default();
        self.rules.insert(row.handle, RuleState { change: id, row: row.clone(), packets, bytes });
    }
}

/// The namespace that a change is of.
pub(super) fn netns_of(change: &NetfilterChange) -> NetnsId {
    match change {
        NetfilterChange::Chain(row) | NetfilterChange::Renamed(_, row) => row.netns,
        NetfilterChange::Rule(row) => row.netns,
        NetfilterChange::Conntrack(row) => row.netns,
        NetfilterChange::Set(row) => row.netns,
        NetfilterChange::ChainGone(netns, ..)
        | NetfilterChange::RuleGone(netns, _)
        | NetfilterChange::ConntrackGone(netns, _)
        | NetfilterChange::Clash(netns, _)
        | NetfilterChange::SetGone(netns, _) => *netns,
        NetfilterChange::Ipvs(change) => change.netns(),
        NetfilterChange::Nft(change) => change.netns(),
        NetfilterChange::V6(change) => netns_of(change),
    }
}

/// The row as one line, with the name of its table before it; `None` for what went.
pub(super) fn row_line(change: &NetfilterChange) -> Option<String> {
    Some(match change {
        NetfilterChange::Chain(row) | NetfilterChange::Renamed(_, row) => match row.policy {
            Some(policy) => format!("{} -P {} {}", row.table.name(), row.name, policy.name()),
            None => format!("{} -N {}", row.table.name(), row.name),
        },
        NetfilterChange::Rule(row) => format!("{} {row}", row.table.name()),
        NetfilterChange::Conntrack(row) => format!("conntrack {row}"),
        NetfilterChange::Set(row) => {
            format!("ipset {} {} ({} members)", row.name, row.kind, row.members.len())
        }
        NetfilterChange::ChainGone(..)
        | NetfilterChange::RuleGone(..)
        | NetfilterChange::ConntrackGone(..)
        | NetfilterChange::Clash(..)
        | NetfilterChange::SetGone(..) => return None,
        NetfilterChange::Ipvs(change) => return change.line(),
        NetfilterChange::Nft(change) => return change.line(),
        NetfilterChange::V6(change) => format!("ip6 {}", row_line(change)?),
    })
}
