//! What kube-proxy's IPVS mode writes (`syncProxyRules` of `pkg/proxy/ipvs/proxier.go`): virtual servers and the servers
//! behind them, the addresses of a dummy device, sets, and a fixed number of rules that ask the sets.

use super::endpoints::{Target, categorize, local_targets};
use super::iptables::Rules;
use super::service::Port;
use super::{Config, Family, Local, Watched};
use crate::api::Protocol;
use crate::base::IpvsScheduler;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The device that bears the addresses of Services.
pub const DUMMY: &str = "kube-ipvs0";

/// Sets by their names of IPv4, with their kinds and the comments of the rules that ask them.
const SETS: [(&str, &str, &str); 17] = [
    (LOOP_BACK, "hash:ip,port,ip", "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"),
    (CLUSTER_IP, "hash:ip,port", "Kubernetes service cluster ip + port for masquerade purpose"),
    (EXTERNAL_IP, "hash:ip,port", "Kubernetes service external ip + port for masquerade and filter purpose"),
    (
        EXTERNAL_IP_LOCAL,
        "hash:ip,port",
        "Kubernetes service external ip + port with externalTrafficPolicy=local",
    ),
    (LOAD_BALANCER, "hash:ip,port", "Kubernetes service lb portal"),
    (
        LOAD_BALANCER_FW,
        "hash:ip,port",
        "Kubernetes service load balancer ip + port for load balancer with sourceRange",
    ),
    (
        LOAD_BALANCER_LOCAL,
        "hash:ip,port",
        "Kubernetes service load balancer ip + port with externalTrafficPolicy=local",
    ),
    (
        SOURCE_IP,
        "hash:ip,port,ip",
        "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
    ),
    (
        SOURCE_CIDR,
        "hash:ip,port,net",
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    ),
    (NODE_PORT_TCP, "bitmap:port", "Kubernetes nodeport TCP port for masquerade purpose"),
    (NODE_PORT_LOCAL_TCP, "bitmap:port", "Kubernetes nodeport TCP port with externalTrafficPolicy=local"),
    (NODE_PORT_UDP, "bitmap:port", "Kubernetes nodeport UDP port for masquerade purpose"),
    (NODE_PORT_LOCAL_UDP, "bitmap:port", "Kubernetes nodeport UDP port with externalTrafficPolicy=local"),
    (
        NODE_PORT_SCTP,
        "hash:ip,port",
        "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'",
    ),
    (
        NODE_PORT_LOCAL_SCTP,
        "hash:ip,port",
        "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
    ),
    (HEALTH_CHECK, "bitmap:port", "Kubernetes health check node port"),
    (IPVS_IPS, "hash:ip", ""),
];
const LOOP_BACK: &str = "KUBE-LOOP-BACK";
const CLUSTER_IP: &str = "KUBE-CLUSTER-IP";
const EXTERNAL_IP: &str = "KUBE-EXTERNAL-IP";
const EXTERNAL_IP_LOCAL: &str = "KUBE-EXTERNAL-IP-LOCAL";
const LOAD_BALANCER: &str = "KUBE-LOAD-BALANCER";
const LOAD_BALANCER_FW: &str = "KUBE-LOAD-BALANCER-FW";
const LOAD_BALANCER_LOCAL: &str = "KUBE-LOAD-BALANCER-LOCAL";
const SOURCE_IP: &str = "KUBE-LOAD-BALANCER-SOURCE-IP";
const SOURCE_CIDR: &str = "KUBE-LOAD-BALANCER-SOURCE-CIDR";
const NODE_PORT_TCP: &str = "KUBE-NODE-PORT-TCP";
const NODE_PORT_LOCAL_TCP: &str = "KUBE-NODE-PORT-LOCAL-TCP";
const NODE_PORT_UDP: &str = "KUBE-NODE-PORT-UDP";
const NODE_PORT_LOCAL_UDP: &str = "KUBE-NODE-PORT-LOCAL-UDP";
const NODE_PORT_SCTP: &str = "KUBE-NODE-PORT-SCTP-HASH";
const NODE_PORT_LOCAL_SCTP: &str = "KUBE-NODE-PORT-LOCAL-SCTP-HASH";
const HEALTH_CHECK: &str = "KUBE-HEALTH-CHECK-NODE-PORT";
const IPVS_IPS: &str = "KUBE-IPVS-IPS";

/// Rules that ask a set and lead on, where the set has members: set, table, chain, target, sides, protocol
/// (`ipsetWithIptablesChain`).
const ASKED: [(&str, bool, &str, &str, &str, &str); 12] = [
    (LOOP_BACK, false, "KUBE-POSTROUTING", "MASQUERADE", "dst,dst,src", ""),
    (LOAD_BALANCER, false, "KUBE-SERVICES", "KUBE-LOAD-BALANCER", "dst,dst", ""),
    (LOAD_BALANCER_LOCAL, false, "KUBE-LOAD-BALANCER", "RETURN", "dst,dst", ""),
    (NODE_PORT_LOCAL_TCP, false, "KUBE-NODE-PORT", "RETURN", "dst", "tcp"),
    (NODE_PORT_TCP, false, "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst", "tcp"),
    (NODE_PORT_LOCAL_UDP, false, "KUBE-NODE-PORT", "RETURN", "dst", "udp"),
    (NODE_PORT_UDP, false, "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst", "udp"),
    (NODE_PORT_LOCAL_SCTP, false, "KUBE-NODE-PORT", "RETURN", "dst,dst", "sctp"),
    (NODE_PORT_SCTP, false, "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst,dst", "sctp"),
    (LOAD_BALANCER_FW, true, "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL", "dst,dst", ""),
    (SOURCE_CIDR, true, "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", "dst,dst,src", ""),
    (SOURCE_IP, true, "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", "dst,dst,src", ""),
];

/// Rules of built-in chains that lead to kube-proxy's own, in the order in which each is put in front
/// (`iptablesJumpChain`).
const JUMPS: [(&str, &str, &str, &str); 8] = [
    ("nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
    ("nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
    ("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
    ("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
    ("filter", "INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
    ("filter", "INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
    ("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
    ("filter", "INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
];

/// A member of a set; fields that its kind has not are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetEntry {
    /// First address.
    pub addr: IpAddr,
    /// IP protocol number of the port.
    pub protocol: u8,
    /// Port.
    pub port: u16,
    /// Second address.
    pub other: IpAddr,
    /// Length of its prefix.
    pub other_len: u8,
}

impl SetEntry {
    /// One of IPv4 with nothing set.
    const EMPTY: Self = Self {
        addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        protocol: 0,
        port: 0,
        other: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        other_len: 32,
    };
}

/// A virtual server as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedServer {
    /// IP protocol number.
    pub protocol: u8,
    /// Address and port.
    pub socket: SocketAddr,
    /// How a server is chosen.
    pub scheduler: IpvsScheduler,
    /// Seconds that a client keeps its server, where it does.
    pub persistent: Option<u32>,
    /// Port of the Service, as `namespace/name:port`.
    pub service: String,
    /// The servers behind it in the order in which they are added: of their text.
    pub real: Vec<SocketAddr>,
}

/// Everything that IPVS mode writes on a node for one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpvsPlan {
    /// Chains and rules of iptables.
    pub rules: Rules,
    /// Sets with their kinds and members, in the order in which they are made.
    pub sets: Vec<(String, &'static str, Vec<SetEntry>)>,
    /// Virtual servers.
    pub servers: Vec<WantedServer>,
    /// Addresses that the dummy device bears.
    pub bound: BTreeSet<IpAddr>,
}

impl IpvsPlan {
    /// The rules of built-in chains that lead to kube-proxy's own, as arguments of `iptables -t TABLE -I`.
    pub fn jumps() -> impl Iterator<Item = (&'static str, String)> {
        JUMPS.iter().map(|&(table, chain, target, comment)| {
            (table, format!("{chain} -m comment --comment \"{comment}\" -j {target}"))
        })
    }
}

/// The name of a set: those of IPv6 have names of their own (`NewIPSet`).
fn set_name(family: Family, name: &str) -> String {
    match family {
        Family::V4 => name.to_owned(),
        Family::V6 => name.replacen("KUBE-", "KUBE-6-", 1),
    }
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// What is gathered of Services before rules are written.
struct Gatherer<'c> {
    config: &'c Config,
    /// Addresses of the node's devices, but for the dummy one and the loopback device.
    own: &'c [IpAddr],
    members: BTreeMap<&'static str, BTreeSet<SetEntry>>,
    plan: IpvsPlan,
}

/// What to write for everything watched; `own` are the addresses of the node's devices.
pub fn ipvs(config: &Config, watched: &Watched<'_>, own: &[IpAddr]) -> IpvsPlan {
    let own: Vec<IpAddr> =
        own.iter().copied().filter(|ip| config.family.has(*ip) && !ip.is_loopback()).collect();
    let mut gatherer = Gatherer { config, own: &own, members: BTreeMap::new(), plan: IpvsPlan::default() };
    for &service in &watched.services {
        for port in Port::all(service, config.family) {
            gatherer.port(&port, watched);
        }
        let health = service.spec.health_check_node_port;
        if health != 0 && !Port::all(service, config.family).is_empty() {
            gatherer.add(HEALTH_CHECK, SetEntry { port: health, protocol: 6, ..empty(config.family) });
        }
    }
    gatherer.finish()
}

fn empty(family: Family) -> SetEntry {
    match family {
        Family::V4 => SetEntry::EMPTY,
        Family::V6 => {
            let none = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);
            SetEntry { addr: none, other: none, other_len: 128, ..SetEntry::EMPTY }
        }
    }
}

impl Gatherer<'_> {
    fn add(&mut self, set: &'static str, member: SetEntry) {
        self.members.entry(set).or_default().insert(member);
    }

    fn entry(&self, port: &Port<'_>, addr: IpAddr, number_of: u16) -> SetEntry {
        SetEntry { addr, protocol: number(port.spec.protocol), port: number_of, ..empty(self.config.family) }
    }

    fn port(&mut self, port: &Port<'_>, watched: &Watched<'_>) {
        let found = categorize(port, watched, self.config);
        let sockets = |targets: &[Target]| -> Vec<SocketAddr> {
            targets.iter().filter_map(|target| target.text.parse().ok()).collect()
        };
        // Where no endpoint is on this node all are used, whatever the policy says (`syncEndpoint`).
        let of = |only_local: bool| match (only_local, found.local.is_empty()) {
            (true, false) => sockets(&found.local),
            (true, true) | (false, _) => sockets(&found.cluster),
        };
        for target in local_targets(port, watched, self.config) {
            if let Ok(socket) = target.text.parse::<SocketAddr>() {
                let entry = self.entry(port, target.ip, socket.port());
                self.add(LOOP_BACK, SetEntry { other: target.ip, ..entry });
            }
        }
        self.add(CLUSTER_IP, self.entry(port, port.cluster_ip, port.spec.port));
        self.server(port, (port.cluster_ip, port.spec.port), of(port.is_internal_local()), true);
        let local = port.is_external_local();
        for &ip in &port.external_ips {
            let set = if local { EXTERNAL_IP_LOCAL } else { EXTERNAL_IP };
            self.add(set, self.entry(port, ip, port.spec.port));
            self.server(port, (ip, port.spec.port), of(local), !self.own.contains(&ip));
        }
        for &ip in &port.load_balancer_ips {
            self.load_balancer(port, ip, local);
            self.server(port, (ip, port.spec.port), of(local), !self.own.contains(&ip));
        }
        self.node_port(port, &of(local), local);
    }

    fn load_balancer(&mut self, port: &Port<'_>, ip: IpAddr, local: bool) {
        let entry = self.entry(port, ip, port.spec.port);
        self.add(LOAD_BALANCER, entry);
        if local {
            self.add(LOAD_BALANCER_LOCAL, entry);
        }
        if port.source_ranges.is_empty() {
            return;
        }
        self.add(LOAD_BALANCER_FW, entry);
        let ranges = port.source_ranges.iter().filter_map(|text| text.parse::<crate::base::IpNet>().ok());
        let ranges: Vec<crate::base::IpNet> = ranges.collect();
        for range in &ranges {
            let range = range.trunc();
            self.add(SOURCE_CIDR, SetEntry { other: range.addr(), other_len: range.prefix_len(), ..entry });
        }
        if ranges.iter().any(|range| range.contains(&self.config.node_ip)) {
            self.add(SOURCE_IP, SetEntry { other: ip, ..entry });
        }
    }

    fn node_port(&mut self, port: &Port<'_>, real: &[SocketAddr], local: bool) {
        let number_of = port.spec.node_port;
        let nodes: Vec<IpAddr> = match &self.config.node_port_ips {
            None => self.own.to_vec(),
            Some(ips) => ips.iter().copied().filter(|ip| !ip.is_loopback()).collect(),
        };
        if number_of == 0 || nodes.is_empty() {
            return;
        }
        let (all, kept) = match port.spec.protocol {
            Protocol::Tcp => (NODE_PORT_TCP, NODE_PORT_LOCAL_TCP),
            Protocol::Udp => (NODE_PORT_UDP, NODE_PORT_LOCAL_UDP),
            Protocol::Sctp => (NODE_PORT_SCTP, NODE_PORT_LOCAL_SCTP),
        };
        let members: Vec<SetEntry> = if port.spec.protocol == Protocol::Sctp {
            nodes.iter().map(|ip| self.entry(port, *ip, number_of)).collect()
        } else {
            let none = empty(self.config.family);
            vec![SetEntry { protocol: number(port.spec.protocol), port: number_of, ..none }]
        };
        for member in members {
            self.add(all, member);
            if local {
                self.add(kept, member);
            }
        }
        for ip in nodes {
            self.server(port, (ip, number_of), real.to_vec(), false);
        }
    }

    fn server(
        &mut self,
        port: &Port<'_>,
        (ip, number_of): (IpAddr, u16),
        real: Vec<SocketAddr>,
        binds: bool,
    ) {
        self.plan.servers.push(WantedServer {
            protocol: number(port.spec.protocol),
            socket: SocketAddr::new(ip, number_of),
            scheduler: self.config.scheduler,
            persistent: port.sticky_seconds(),
            service: port.name(),
            real,
        });
        if binds {
            self.plan.bound.insert(ip);
        }
    }

    fn finish(mut self) -> IpvsPlan {
        let family = self.config.family;
        for &ip in &self.plan.bound {
            let member = SetEntry { addr: ip, ..empty(family) };
            self.members.entry(IPVS_IPS).or_default().insert(member);
        }
        self.plan.rules = self.rules();
        for (name, kind, _) in SETS {
            let members = self.members.remove(name).unwrap_or_default();
            self.plan.sets.push((set_name(family, name), kind, members.into_iter().collect()));
        }
        self.plan
    }

    fn has(&self, set: &str) -> bool {
        self.members.get(set).is_some_and(|members| !members.is_empty())
    }

    /// `-m comment … -m set --match-set NAME`, with a blank behind.
    fn asks(&self, set: &str) -> String {
        let comment = SETS.iter().find(|(name, ..)| *name == set).map_or("", |(.., comment)| *comment);
        let name = set_name(self.config.family, set);
        format!("-m comment --comment \"{comment}\" -m set --match-set {name} ")
    }

    /// `writeIptablesRules`.
    fn rules(&self) -> Rules {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut rules = Rules {
            nat_chains: names(&[
                "KUBE-SERVICES",
                "KUBE-POSTROUTING",
                "KUBE-NODE-PORT",
                "KUBE-LOAD-BALANCER",
                "KUBE-MARK-MASQ",
            ]),
            filter_chains: names(&[
                "KUBE-FORWARD",
                "KUBE-NODE-PORT",
                "KUBE-PROXY-FIREWALL",
                "KUBE-SOURCE-RANGES-FIREWALL",
                "KUBE-IPVS-FILTER",
            ]),
            ..Rules::default()
        };
        let loopback = if self.config.family == Family::V4 { "127.0.0.0/8" } else { "::1/128" };
        rules.nat.push(format!("-A KUBE-SERVICES -s {loopback} -j RETURN"));
        for (set, filters, chain, target, sides, protocol) in ASKED {
            if !self.has(set) {
                continue;
            }
            let protocol = if protocol.is_empty() { String::new() } else { format!("-p {protocol} ") };
            let line = format!("-A {chain} {protocol}{}{sides} -j {target}", self.asks(set));
            if filters { rules.filter.push(line) } else { rules.nat.push(line) }
        }
        self.cluster_ip_rules(&mut rules);
        for (set, marks) in [(EXTERNAL_IP, true), (EXTERNAL_IP_LOCAL, false)] {
            if !self.has(set) {
                continue;
            }
            let head = format!("-A KUBE-SERVICES {}dst,dst", self.asks(set));
            if marks {
                rules.nat.push(format!("{head} -j KUBE-MARK-MASQ"));
            }
            rules.nat.push(format!(
                "{head} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT"
            ));
            rules.nat.push(format!("{head} -m addrtype --dst-type LOCAL -j ACCEPT"));
        }
        rules.nat.push("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT".to_owned());
        rules.nat.push("-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ".to_owned());
        rules.filter.push("-A KUBE-SOURCE-RANGES-FIREWALL -j DROP".to_owned());
        for set in [CLUSTER_IP, LOAD_BALANCER] {
            if self.has(set) {
                let name = set_name(self.config.family, set);
                rules.nat.push(format!("-A KUBE-SERVICES -m set --match-set {name} dst,dst -j ACCEPT"));
            }
        }
        self.fixed_rules(&mut rules);
        rules
    }

    /// Who is masqueraded on the way to a cluster IP.
    fn cluster_ip_rules(&self, rules: &mut Rules) {
        if !self.has(CLUSTER_IP) {
            return;
        }
        let head = format!("-A KUBE-SERVICES {}", self.asks(CLUSTER_IP));
        let line = if self.config.masquerade_all {
            format!("{head}dst,dst -j KUBE-MARK-MASQ")
        } else {
            match &self.config.local {
                Some(Local::Range(range)) => format!("{head}dst,dst ! -s {range} -j KUBE-MARK-MASQ"),
                Some(Local::Interface(name)) => format!("{head}dst,dst ! -i {name} -j KUBE-MARK-MASQ"),
                None => format!("{head}src,dst -j KUBE-MARK-MASQ"),
            }
        };
        rules.nat.push(line);
    }

    fn fixed_rules(&self, rules: &mut Rules) {
        let mark = format!("{:#x}", self.config.masquerade_mark);
        let name = |set: &str| set_name(self.config.family, set);
        rules.filter.extend([
            format!("-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark {mark}/{mark} -j ACCEPT"),
            "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".to_owned(),
            format!("-A KUBE-NODE-PORT {}dst -j ACCEPT", self.asks(HEALTH_CHECK)),
        ]);
        for set in [LOAD_BALANCER, CLUSTER_IP, EXTERNAL_IP, EXTERNAL_IP_LOCAL] {
            rules
                .filter
                .push(format!("-A KUBE-IPVS-FILTER -m set --match-set {} dst,dst -j RETURN", name(set)));
        }
        let (health, bound) = (name(HEALTH_CHECK), name(IPVS_IPS));
        rules.filter.extend([
            format!("-A KUBE-IPVS-FILTER -m set --match-set {health} dst -j RETURN"),
            format!(
                "-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set {bound} dst -j REJECT"
            ),
        ]);
        rules.nat.extend([
            format!("-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN"),
            format!("-A KUBE-POSTROUTING -j MARK --xor-mark {mark}"),
            "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully".to_owned(),
            format!("-A KUBE-MARK-MASQ -j MARK --or-mark {mark}"),
        ]);
    }
}

/// The names of all sets, of both families: rules that ask them can be read.
pub fn set_names() -> Vec<String> {
    let of = |family| SETS.iter().map(move |(name, ..)| set_name(family, name));
    of(Family::V4).chain(of(Family::V6)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_the_second_family_have_names_of_their_own() {
        assert_eq!(set_name(Family::V6, CLUSTER_IP), "KUBE-6-CLUSTER-IP");
        assert_eq!(set_names().len(), 34);
    }
}
