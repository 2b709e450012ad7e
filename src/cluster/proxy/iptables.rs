//! The rules of kube-proxy's iptables mode (`syncProxyRules` of `pkg/proxy/iptables/proxier.go`), as
//! `iptables-restore` reads them.

use super::endpoints::{Categories, Target, categorize};
use super::service::Port;
use super::{Config, Family, Local, Watched};
use std::fmt::Write as _;
use std::net::IpAddr;

/// The chains and rules of both tables. Chains are named without a policy, rules begin with `-A`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Chains of the table filter.
    pub filter_chains: Vec<String>,
    /// Rules of the table filter in order.
    pub filter: Vec<String>,
    /// Chains of the table nat.
    pub nat_chains: Vec<String>,
    /// Rules of the table nat in order.
    pub nat: Vec<String>,
}

/// A rule of a built-in chain that leads to one of kube-proxy's: table, chain, target, comment, whether for the first
/// packet of a connection only. kube-proxy puts each in
/// front, so the last one comes first.
const JUMPS: [(&str, &str, &str, &str, bool); 14] = [
    ("filter", "INPUT", "KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", true),
    ("filter", "FORWARD", "KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", true),
    ("filter", "INPUT", "KUBE-NODEPORTS", "kubernetes health check service ports", false),
    ("filter", "FORWARD", "KUBE-SERVICES", "kubernetes service portals", true),
    ("filter", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals", true),
    ("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules", false),
    ("filter", "INPUT", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true),
    ("filter", "OUTPUT", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true),
    ("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true),
    ("nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals", false),
    ("nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals", false),
    ("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules", false),
    // The kubelet makes these two as well.
    ("filter", "INPUT", "KUBE-FIREWALL", "", false),
    ("filter", "OUTPUT", "KUBE-FIREWALL", "", false),
];

impl Rules {
    /// The rules as a text for `iptables-restore --noflush`.
    pub fn to_restore(&self) -> String {
        let mut out = String::new();
        for (table, chains, rules) in
            [("filter", &self.filter_chains, &self.filter), ("nat", &self.nat_chains, &self.nat)]
        {
            let _ = writeln!(out, "*{table}");
            for chain in chains {
                let _ = writeln!(out, ":{chain} - [0:0]");
            }
            for rule in rules {
                let _ = writeln!(out, "{rule}");
            }
            out.push_str("COMMIT\n");
        }
        out
    }

    /// The rules of built-in chains that lead to kube-proxy's own, each as arguments of `iptables -t TABLE -I`, in
    /// the order in which they are put in front.
    pub fn jumps() -> impl Iterator<Item = (&'static str, String)> {
        JUMPS.iter().map(|&(table, chain, target, comment, new)| {
            let state = if new { " -m conntrack --ctstate NEW" } else { "" };
            let comment = match comment {
                "" => String::new(),
                text => format!(" -m comment --comment \"{text}\""),
            };
            (table, format!("{chain}{state}{comment} -j {target}"))
        })
    }
}

/// The rules for everything watched.
pub fn iptables(config: &Config, watched: &Watched<'_>) -> Rules {
    let mut rules = Rules::default();
    let mark = format!("{:#x}", config.masquerade_mark);
    let filter = [
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-FIREWALL",
        "KUBE-FORWARD",
        "KUBE-NODEPORTS",
        "KUBE-PROXY-FIREWALL",
    ];
    rules.filter_chains.extend(filter.map(str::to_owned));
    let nat = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"];
    rules.nat_chains.extend(nat.map(str::to_owned));
    rules.nat.extend([
        format!("-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN"),
        // What was marked here must not be marked when it comes by again.
        format!("-A KUBE-POSTROUTING -j MARK --xor-mark {mark}"),
        "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully".to_owned(),
        format!("-A KUBE-MARK-MASQ -j MARK --or-mark {mark}"),
    ]);
    for &service in &watched.services {
        for port in Port::all(service, config.family) {
            let endpoints = categorize(&port, watched, config);
            Writer { config, port: &port, endpoints: &endpoints, rules: &mut rules }.write();
        }
    }
    node_ports(config, &mut rules);
    if config.family == Family::V4 && config.localhost_node_ports {
        // With `route_localnet` a neighbour could reach what listens on the loopback address alone.
        rules.filter.push("-A KUBE-FIREWALL -m comment --comment \"block incoming localnet connections\" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP".to_owned());
    }
    rules.filter.extend([
        "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP".to_owned(),
        format!("-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark {mark}/{mark} -j ACCEPT"),
        "-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT".to_owned(),
    ]);
    rules
}

/// The last rule of `KUBE-SERVICES`: what is for the node itself may be for a node port.
fn node_ports(config: &Config, rules: &mut Rules) {
    let comment = "-m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\"";
    let Some(ips) = &config.node_port_ips else {
        let not_local = match config.family {
            Family::V6 => " ! -d ::1/128",
            Family::V4 if config.localhost_node_ports => "",
            Family::V4 => " ! -d 127.0.0.0/8",
        };
        rules.nat.push(format!(
            "-A KUBE-SERVICES {comment} -m addrtype --dst-type LOCAL{not_local} -j KUBE-NODEPORTS"
        ));
        return;
    };
    let usable = |ip: &&IpAddr| config.family.has(**ip) && (!ip.is_loopback() || loopback_counts(config));
    for ip in ips.iter().filter(usable) {
        rules.nat.push(format!("-A KUBE-SERVICES {comment} -d {ip} -j KUBE-NODEPORTS"));
    }
}

/// Node ports on the loopback address need `route_localnet`, which only IPv4 has.
fn loopback_counts(config: &Config) -> bool {
    config.family == Family::V4 && config.localhost_node_ports
}

/// Writes the rules of one port.
struct Writer<'a> {
    config: &'a Config,
    port: &'a Port<'a>,
    endpoints: &'a Categories,
    rules: &'a mut Rules,
}

impl Writer<'_> {
    fn write(mut self) {
        self.capture_cluster_ip();
        self.capture_outside();
        self.capture_node_port();
        self.inside();
        self.outside();
        self.firewall();
        if self.port.uses_cluster_endpoints() {
            self.choose("KUBE-SVC-", &self.endpoints.cluster);
        }
        if self.port.uses_local_endpoints() {
            self.choose("KUBE-SVL-", &self.endpoints.local);
        }
        for target in &self.endpoints.reachable {
            self.endpoint(target);
        }
    }

    fn chain(&self, prefix: &str) -> String {
        self.port.chain(prefix, "")
    }

    /// `-m PROTOCOL -p PROTOCOL -d IP --dport PORT`.
    fn to(&self, ip: IpAddr) -> String {
        let protocol = self.port.protocol();
        format!("-m {protocol} -p {protocol} -d {ip} --dport {}", self.port.spec.port)
    }

    fn internal_chain(&self) -> String {
        self.chain(if self.port.is_internal_local() { "KUBE-SVL-" } else { "KUBE-SVC-" })
    }

    fn has_internal(&self) -> bool {
        self.endpoints.any && !(self.port.is_internal_local() && self.endpoints.local.is_empty())
    }

    fn has_external(&self) -> bool {
        self.endpoints.any && !(self.port.is_external_local() && self.endpoints.local.is_empty())
    }

    fn uses_firewall(&self) -> bool {
        self.endpoints.any && !self.port.load_balancer_ips.is_empty() && !self.port.source_ranges.is_empty()
    }

    /// Comment and target for traffic that no endpoint takes: refused where there is none at all, dropped where
    /// there is none here.
    fn without_endpoints(&self) -> (String, &'static str) {
        let name = self.port.name();
        if self.endpoints.any {
            (format!("-m comment --comment \"{name} has no local endpoints\""), "DROP")
        } else {
            (format!("-m comment --comment \"{name} has no endpoints\""), "REJECT")
        }
    }

    fn nat(&mut self, rule: String) {
        self.rules.nat.push(rule);
    }

    fn filter(&mut self, rule: String) {
        self.rules.filter.push(rule);
    }

    fn capture_cluster_ip(&mut self) {
        let to = self.to(self.port.cluster_ip);
        if self.has_internal() {
            let (name, chain) = (self.port.name(), self.internal_chain());
            self.nat(format!("-A KUBE-SERVICES -m comment --comment \"{name} cluster IP\" {to} -j {chain}"));
        } else {
            let (comment, target) = self.without_endpoints();
            self.filter(format!("-A KUBE-SERVICES {comment} {to} -j {target}"));
        }
    }

    fn capture_outside(&mut self) {
        let (name, external) = (self.port.name(), self.chain("KUBE-EXT-"));
        let firewall = self.chain("KUBE-FW-");
        let entry = if self.uses_firewall() { firewall.clone() } else { external.clone() };
        let port = self.port;
        for (ips, what, chain) in [
            (&port.external_ips, "external IP", &external),
            (&port.load_balancer_ips, "loadbalancer IP", &entry),
        ] {
            for &ip in ips {
                let to = self.to(ip);
                if self.endpoints.any {
                    self.nat(format!(
                        "-A KUBE-SERVICES -m comment --comment \"{name} {what}\" {to} -j {chain}"
                    ));
                }
                if self.uses_firewall() && what == "loadbalancer IP" {
                    self.filter(format!("-A KUBE-PROXY-FIREWALL -m comment --comment \"{name} traffic not accepted by {firewall}\" {to} -j DROP"));
                }
                if !self.has_external() {
                    let (comment, target) = self.without_endpoints();
                    self.filter(format!("-A KUBE-EXTERNAL-SERVICES {comment} {to} -j {target}"));
                }
            }
        }
    }

    fn capture_node_port(&mut self) {
        let (name, protocol) = (self.port.name(), self.port.protocol());
        let node_port = self.port.spec.node_port;
        let to = format!("-m {protocol} -p {protocol} --dport {node_port}");
        if node_port != 0 {
            let external = self.chain("KUBE-EXT-");
            if self.endpoints.any {
                self.nat(format!("-A KUBE-NODEPORTS -m comment --comment {name} {to} -j {external}"));
            }
            if !self.has_external() {
                let (comment, target) = self.without_endpoints();
                self.filter(format!(
                    "-A KUBE-EXTERNAL-SERVICES {comment} -m addrtype --dst-type LOCAL {to} -j {target}"
                ));
            }
        }
        let health = self.port.service.spec.health_check_node_port;
        if health != 0 {
            self.filter(format!("-A KUBE-NODEPORTS -m comment --comment \"{name} health check node port\" -m tcp -p tcp --dport {health} -j ACCEPT"));
        }
    }

    /// Traffic to the cluster IP from anywhere but a Pod is masqueraded, for the answer has to come back here.
    fn inside(&mut self) {
        let not_local = match &self.config.local {
            _ if !self.has_internal() => return,
            _ if self.config.masquerade_all => String::new(),
            Some(local) => format!(" ! {local}"),
            None => return,
        };
        let (chain, name, to) = (self.internal_chain(), self.port.name(), self.to(self.port.cluster_ip));
        self.nat(format!(
            "-A {chain} -m comment --comment \"{name} cluster IP\" {to}{not_local} -j KUBE-MARK-MASQ"
        ));
    }

    fn outside(&mut self) {
        if !self.endpoints.any || !self.port.is_external() {
            return;
        }
        let (name, chain) = (self.port.name(), self.chain("KUBE-EXT-"));
        self.rules.nat_chains.push(chain.clone());
        let destinations = format!("for {name} external destinations\"");
        let all = self.chain("KUBE-SVC-");
        if self.port.is_external_local() {
            if let Some(local) = self.config.local.clone() {
                self.nat(format!(
                    "-A {chain} -m comment --comment \"pod traffic {destinations} {local} -j {all}"
                ));
            }
            let local = "-m addrtype --src-type LOCAL -j";
            self.nat(format!("-A {chain} -m comment --comment \"masquerade LOCAL traffic {destinations} {local} KUBE-MARK-MASQ"));
            self.nat(format!(
                "-A {chain} -m comment --comment \"route LOCAL traffic {destinations} {local} {all}"
            ));
        } else {
            self.nat(format!(
                "-A {chain} -m comment --comment \"masquerade traffic {destinations} -j KUBE-MARK-MASQ"
            ));
        }
        if self.has_external() {
            let policy = if self.port.is_external_local() { self.chain("KUBE-SVL-") } else { all };
            self.nat(format!("-A {chain} -j {policy}"));
        }
    }

    fn firewall(&mut self) {
        if !self.uses_firewall() {
            return;
        }
        let (name, chain, external) = (self.port.name(), self.chain("KUBE-FW-"), self.chain("KUBE-EXT-"));
        self.rules.nat_chains.push(chain.clone());
        let comment = format!("-m comment --comment \"{name} loadbalancer IP\"");
        let port = self.port;
        for range in &port.source_ranges {
            self.nat(format!("-A {chain} {comment} -s {range} -j {external}"));
        }
        // A node that has the address of the load balancer itself sends with that address as its source.
        if port.source_ranges.iter().any(|range| covers(range, self.config.node_ip)) {
            for ip in &port.load_balancer_ips {
                self.nat(format!("-A {chain} {comment} -s {ip} -j {external}"));
            }
        }
        self.nat(format!("-A {chain} -m comment --comment \"other traffic to {name} will be dropped by KUBE-PROXY-FIREWALL\""));
    }

    /// The choice among endpoints: a client's last one first, then by chance.
    fn choose(&mut self, prefix: &str, targets: &[Target]) {
        if targets.is_empty() {
            return;
        }
        let (name, chain) = (self.port.name(), self.chain(prefix));
        self.rules.nat_chains.push(chain.clone());
        let start =
            |target: &Target| format!("-A {chain} -m comment --comment \"{name} -> {}\"", target.text);
        let own = |target: &Target| self.port.chain("KUBE-SEP-", &target.text);
        let mut rules = Vec::new();
        if let Some(seconds) = self.port.sticky_seconds() {
            rules.extend(targets.iter().map(|target| {
                let own = own(target);
                format!(
                    "{} -m recent --name {own} --rcheck --seconds {seconds} --reap -j {own}",
                    start(target)
                )
            }));
        }
        for (index, target) in targets.iter().enumerate() {
            let left = targets.len() - index;
            let chance = if left > 1 {
                format!(" -m statistic --mode random --probability {}", probability(left as u64))
            } else {
                String::new()
            };
            rules.push(format!("{}{chance} -j {}", start(target), own(target)));
        }
        self.rules.nat.extend(rules);
    }

    fn endpoint(&mut self, target: &Target) {
        let (name, protocol) = (self.port.name(), self.port.protocol());
        let chain = self.port.chain("KUBE-SEP-", &target.text);
        self.rules.nat_chains.push(chain.clone());
        let start = format!("-A {chain} -m comment --comment {name}");
        // A Pod that reaches itself must not see its own address as the source.
        self.nat(format!("{start} -s {} -j KUBE-MARK-MASQ", target.ip));
        let recent = match self.port.sticky_seconds() {
            Some(_) => format!(" -m recent --name {chain} --set"),
            None => String::new(),
        };
        let to = &target.text;
        self.nat(format!("{start}{recent} -m {protocol} -p {protocol} -j DNAT --to-destination {to}"));
    }
}

impl std::fmt::Display for Local {
    /// As a rule asks for it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Range(range) => write!(f, "-s {range}"),
            Self::Interface(name) => write!(f, "-i {name}"),
        }
    }
}

/// `1/n` with ten decimal places, rounded (`computeProbability`).
pub fn probability(n: u64) -> String {
    const UNIT: u64 = 10_000_000_000;
    let scaled = (2 * UNIT + n) / (2 * n);
    format!("{}.{:010}", scaled / UNIT, scaled % UNIT)
}

/// Whether the prefix covers the address.
fn covers(range: &str, ip: IpAddr) -> bool {
    let Some((base, length)) = range.split_once('/') else { return false };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let ((base, width), (ip, other)) = (bits(base), bits(ip));
    let mask = u128::MAX.checked_shl(128 - length.min(width)).unwrap_or(0);
    width == other && length <= width && base & mask == ip & mask
}
