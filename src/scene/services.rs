//! A Service as a picture: from its addresses through the rules of a node to the endpoints behind it.

use crate::base::{ChangeId, EventId, NetnsId};
use crate::trace::{
    EventKind, Inventory, NetnsRole, NetnsState, RealServer, RuleState, ServiceRow, Shared, Table, Trace,
    VirtualServerRow, protocol_word,
};
use crate::xtables::{self, Family, Match, Not, Rule, Statistic, Target};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

/// How deep chains are followed.
const DEPTH: usize = 6;

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePicture {
    /// The Service.
    pub row: ServiceRow,
    /// Its entrances on the node: an address with a port, and the rules that lead from there.
    pub entrances: Vec<Entrance>,
    /// The endpoints behind it.
    pub endpoints: Vec<Endpoint>,
}

/// An address and port at which a Service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// `10.96.0.10:53/UDP`, or `:30080/TCP` for a port of every node.
    pub name: String,
    /// The rules that fit it.
    pub rules: Vec<RuleNode>,
}

/// A rule, and those of the chain that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleNode {
    /// The chain it stands in.
    pub chain: Arc<str>,
    /// The rule as `iptables -S` prints it, without its chain.
    pub text: String,
    /// What a packet has to fit, without comments and without what `chance` says.
    pub condition: String,
    /// The comment that kube-proxy gave it.
    pub comment: Option<Arc<str>>,
    /// Target with its options.
    pub target: String,
    /// Per mille of the packets that reach its chain and are sent on by chance, where chance decides in that chain.
    pub chance: Option<u32>,
    /// Packets that it fitted; of a virtual server, connections.
    pub packets: u64,
    /// Whether it is a virtual server of IPVS, or a real one behind it.
    pub is_server: bool,
    /// Whether it fitted the packet that is shown.
    pub used: bool,
    /// Where it sends the connection, if it translates.
    pub to: Option<String>,
    /// The rules of the chain that it leads to.
    pub inner: Vec<RuleNode>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address with the ports: `10.244.2.10:8080`.
    pub address: String,
    /// The Pod behind it.
    pub pod: Option<Arc<str>>,
    /// The node it runs on.
    pub node: Option<Arc<str>>,
    /// Whether it takes traffic.
    pub ready: bool,
    /// Whether it is about to go.
    pub terminating: bool,
    /// Whether a rule that fitted the packet shown leads to it.
    pub used: bool,
}

/// The nodes, by name.
pub fn nodes(tables: &Inventory) -> Vec<(Arc<str>, NetnsId)> {
    let is_node = |state: &&Shared<NetnsState>| state.row.role == NetnsRole::Node;
    tables.netns.values().filter(is_node).map(|state| (state.row.name.clone(), state.row.netns)).collect()
}

/// The rules of netfilter that have fitted the packet of an event on its way so far.
pub fn used_by(trace: &Trace, id: EventId) -> BTreeSet<ChangeId> {
    let Some(event) = trace.events.get(id.index()) else { return BTreeSet::new() };
    let rule = |event: &crate::trace::Event| {
        let EventKind::Decided(Table::Netfilter | Table::Ipvs, row) = event.kind else { return None };
        row.is_some().then_some(row)
    };
    trace.before(id).chain([event]).filter_map(rule).collect()
}

/// Every Service as it is on a node: the user's own, then those that every cluster has.
pub fn pictures(tables: &Inventory, node: NetnsId, used: &BTreeSet<ChangeId>) -> Vec<ServicePicture> {
    let Some(state) = tables.netns.get(&node) else { return Vec::new() };
    let reader = Reader { state, used };
    let mut rows: Vec<&ServiceRow> = tables.services.values().collect();
    rows.sort_by_key(|row| {
        matches!((&*row.namespace, &*row.name), ("kube-system", _) | ("default", "kubernetes"))
    });
    rows.into_iter().map(|row| picture(tables, &reader, row)).collect()
}

fn picture(tables: &Inventory, reader: &Reader<'_>, row: &ServiceRow) -> ServicePicture {
    let mut entrances = Vec::new();
    for port in &row.ports {
        let virtual_ip = std::iter::once(&row.cluster_ip).chain(&row.external);
        for address in virtual_ip.filter(|address| address.parse::<std::net::Ipv4Addr>().is_ok()) {
            let wanted = [format!("-d {address}/32"), format!("--dport {}", port.port)];
            let name = format!("{address}:{}/{}", port.port, port.protocol);
            let mut rules = reader.entrance(&wanted, port.protocol);
            rules.extend(reader.servers(port.protocol, |socket| {
                socket.port() == port.port && *socket.ip().to_string() == **address
            }));
            entrances.push(Entrance { name, rules });
        }
        if port.node_port != 0 {
            let wanted = [format!("--dport {}", port.node_port), "-j KUBE-EXT-".to_string()];
            let name = format!(":{}/{}", port.node_port, port.protocol);
            let mut rules = reader.entrance(&wanted, port.protocol);
            let external: Vec<_> = row.external.iter().map(ToString::to_string).collect();
            rules.extend(reader.servers(port.protocol, |socket| {
                socket.port() == port.node_port && !external.contains(&socket.ip().to_string())
            }));
            entrances.push(Entrance { name, rules });
        }
    }
    let mut used = Vec::new();
    for entrance in &entrances {
        entrance.rules.iter().for_each(|rule| ends_of(rule, &mut used));
    }
    let slices =
        tables.slices.values().filter(|slice| slice.namespace == row.namespace && slice.service == row.name);
    let endpoints = slices.flat_map(|slice| {
        let ports: Vec<String> =
            slice.ports.iter().filter_map(|(_, _, port)| Some(format!("{}", (*port)?))).collect();
        slice.endpoints.iter().map(move |endpoint| {
            let ports = ports.join(",");
            let address = if ports.is_empty() {
                endpoint.address.to_string()
            } else {
                format!("{}:{ports}", endpoint.address)
            };
            Endpoint {
                address,
                pod: endpoint.pod.clone(),
                node: endpoint.node.clone(),
                ready: endpoint.ready,
                terminating: endpoint.terminating,
                used: false,
            }
        })
    });
    let mut endpoints: Vec<Endpoint> = endpoints.collect();
    for endpoint in &mut endpoints {
        let own = endpoint.address.split(':').next().unwrap_or_default();
        endpoint.used = used.iter().any(|to: &String| to.split(':').next() == Some(own));
    }
    ServicePicture { row: row.clone(), entrances, endpoints }
}

/// Where the rules that were used lead to.
fn ends_of(rule: &RuleNode, out: &mut Vec<String>) {
    if rule.used {
        out.extend(rule.to.clone());
    }
    rule.inner.iter().for_each(|inner| ends_of(inner, out));
}

struct Reader<'a> {
    state: &'a NetnsState,
    used: &'a BTreeSet<ChangeId>,
}

impl Reader<'_> {
    /// The rules of the nat table that say all that is wanted, with what they lead to.
    fn entrance(&self, wanted: &[String], protocol: &str) -> Vec<RuleNode> {
        let protocol = format!("-p {} ", protocol.to_lowercase());
        let says = |text: &str, word: &str| {
            let rest = text.split(word).nth(1);
            rest.is_some_and(|rest| word.ends_with('-') || rest.is_empty() || rest.starts_with(' '))
        };
        let rules = self.state.netfilter.rules.values().filter(|rule| {
            rule.row.table == xtables::Table::Nat && {
                let text = rule.row.rule.to_string();
                text.contains(&protocol) && wanted.iter().all(|word| says(&text, word))
            }
        });
        let mut nodes: Vec<RuleNode> = rules.map(|rule| self.node(rule, 0)).collect();
        // Marking comes with every entrance and is told within its chain; what leads on comes first.
        nodes.sort_by_key(|node| node.inner.is_empty());
        nodes
    }

    /// The virtual servers of IPVS at these addresses, each with the real ones behind it.
    fn servers(&self, protocol: &str, wanted: impl Fn(SocketAddr) -> bool) -> Vec<RuleNode> {
        let ipvs = &self.state.netfilter.ipvs;
        let own = ipvs.servers.iter().filter(|(key, _)| {
            protocol_word(key.protocol).eq_ignore_ascii_case(protocol) && wanted(key.socket)
        });
        own.map(|(key, (_, row))| {
            let usable = row.real.iter().filter(|real| real.weight > 0).count() as u32;
            let inner: Vec<RuleNode> = row.real.iter().map(|real| self.real(row, *real, usable)).collect();
            RuleNode {
                chain: "IPVS".into(),
                text: row.to_string(),
                condition: format!("{} {}", protocol_word(key.protocol), key.socket),
                comment: Some(row.service.clone()),
                target: row.persistent.map_or_else(|| "rr".to_owned(), |_| "rr persistent".to_owned()),
                chance: None,
                packets: inner.iter().map(|real| real.packets).sum(),
                is_server: true,
                used: inner.iter().any(|real| real.used),
                to: None,
                inner,
            }
        })
        .collect()
    }

    /// A real server: its connections, and whether the packet shown belongs to one of them.
    fn real(&self, row: &VirtualServerRow, real: RealServer, usable: u32) -> RuleNode {
        let connections = self.state.netfilter.ipvs.connections.values().filter(|connection| {
            let own = &connection.row;
            !own.template
                && (own.protocol, own.server, own.real) == (row.key.protocol, row.key.socket, real.socket)
        });
        let (mut count, mut used) = (0, false);
        for connection in connections {
            count += 1;
            used |= self.used.contains(&connection.change);
        }
        RuleNode {
            chain: "IPVS".into(),
            text: format!("-> {} Masq {}", real.socket, real.weight),
            condition: String::new(),
            comment: None,
            target: format!("Masq {}", real.socket),
            chance: (real.weight > 0).then(|| 1000 / usable.max(1)),
            packets: count,
            is_server: true,
            used,
            to: Some(real.socket.to_string()),
            inner: Vec::new(),
        }
    }

    fn node(&self, rule: &RuleState, depth: usize) -> RuleNode {
        let text = rule.row.rule.to_string();
        let destination = text.split("--to-destination ").nth(1).and_then(|to| to.split(' ').next());
        let to = destination.filter(|_| matches!(rule.row.rule.target, Target::Dnat(..))).map(str::to_owned);
        let chain = rule.row.rule.jumps_to().filter(|chain| ***chain != *"KUBE-MARK-MASQ" && depth < DEPTH);
        let inner = chain.and_then(|name| {
            let chain = self.state.netfilter.chains.get(&(xtables::Table::Nat, name.clone()))?;
            let rules: Vec<&RuleState> = self.state.netfilter.rules_of(chain).collect();
            let mut nodes: Vec<RuleNode> = rules.iter().map(|rule| self.node(rule, depth + 1)).collect();
            share(&mut nodes, &rules);
            Some(nodes)
        });
        let (condition, comment) = condition(&rule.row.rule);
        RuleNode {
            chain: rule.row.chain.clone(),
            text,
            condition,
            comment,
            target: rule.row.rule.target.save(Family::V4),
            chance: None,
            packets: rule.packets,
            is_server: false,
            used: self.used.contains(&rule.change),
            to,
            inner: inner.unwrap_or_default(),
        }
    }
}

/// What a rule asks of a packet, and the comment it bears.
fn condition(rule: &Rule) -> (String, Option<Arc<str>>) {
    let mut bare = rule.clone();
    bare.target = Target::None;
    bare.matches.retain(|each| !matches!(each, Match::Comment(_) | Match::Statistic(_)));
    let comment = rule
        .matches
        .iter()
        .find_map(|each| if let Match::Comment(text) = each { Some(text.clone()) } else { None });
    (bare.to_string(), comment)
}

/// What each rule of a chain gets of what reaches it, where `statistic` spreads it: every rule its part of what those
/// before it left, the one after the last of them the rest.
fn share(nodes: &mut [RuleNode], rules: &[&RuleState]) {
    const ALL: u64 = 1 << 31;
    let probability = |rule: &RuleState| {
        rule.row.rule.matches.iter().find_map(|each| {
            let Match::Statistic(Not { negated: false, is: Statistic::Random(units) }) = each else {
                return None;
            };
            Some(u64::from(*units))
        })
    };
    let Some(last) = rules.iter().rposition(|rule| probability(rule).is_some()) else { return };
    let mut left = ALL;
    for (at, node) in nodes.iter_mut().enumerate().take(last + 2) {
        let part = match probability(rules[at]) {
            Some(units) => left * units / ALL,
            None if at > last => left,
            None => continue,
        };
        left -= part;
        node.chance = Some(((part * 1_000 + ALL / 2) / ALL) as u32);
    }
}
