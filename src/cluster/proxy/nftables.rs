//! The table of kube-proxy's nftables mode (`setupNFTables` and `syncProxyRules` of `pkg/proxy/nftables/proxier.go`).

use super::endpoints::{Categories, Target, categorize};
use super::service::Port;
use super::{Config, Family, Local, Watched};
use crate::api::Protocol;
use crate::base::IpNet;
use crate::nftables::{Base, Chain, Element, Far, Hook, Key, Kind, Part, Ruleset, Set, Shape, Side, Verdict};
use data_encoding::BASE32;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The base chains. The first two stand before the translation, so that they see what a client asked for.
const BASES: [(&str, Kind, Hook, i32); 8] = [
    ("filter-prerouting-pre-dnat", Kind::Filter, Hook::Prerouting, -110),
    ("filter-output-pre-dnat", Kind::Filter, Hook::Output, -110),
    ("filter-input", Kind::Filter, Hook::Input, 0),
    ("filter-forward", Kind::Filter, Hook::Forward, 0),
    ("filter-output", Kind::Filter, Hook::Output, 0),
    ("nat-prerouting", Kind::Nat, Hook::Prerouting, -100),
    ("nat-output", Kind::Nat, Hook::Output, -100),
    ("nat-postrouting", Kind::Nat, Hook::Postrouting, 100),
];

/// Where base chains lead to, and whether for the first packet of a connection only.
const JUMPS: [(&str, &str, bool); 11] = [
    ("nodeport-endpoints-check", "filter-input", true),
    ("service-endpoints-check", "filter-input", true),
    ("service-endpoints-check", "filter-forward", true),
    ("service-endpoints-check", "filter-output", true),
    ("firewall-check", "filter-prerouting-pre-dnat", true),
    ("firewall-check", "filter-output-pre-dnat", true),
    ("services", "nat-output", false),
    ("services", "nat-prerouting", false),
    ("masquerading", "nat-postrouting", false),
    ("cluster-ips-check", "filter-forward", true),
    ("cluster-ips-check", "filter-output", true),
];

const MARK: &str = "mark-for-masquerade";
const REJECT: &str = "reject-chain";
const CLUSTER_IPS: &str = "cluster-ips";
const NODE_PORT_IPS: &str = "nodeport-ips";
const SERVICE_IPS: &str = "service-ips";
const SERVICE_PORTS: &str = "service-nodeports";
const FIREWALL_IPS: &str = "firewall-ips";
const NO_ENDPOINT_IPS: &str = "no-endpoint-services";
const NO_ENDPOINT_PORTS: &str = "no-endpoint-nodeports";

/// The maps and sets that are always there: name, whether it is a map, shape, comment.
const SETS: [(&str, bool, Shape, &str); 6] = [
    (CLUSTER_IPS, false, Shape::Addresses, "Active ClusterIPs"),
    (FIREWALL_IPS, true, Shape::Sockets, "destinations that are subject to LoadBalancerSourceRanges"),
    (
        NO_ENDPOINT_PORTS,
        true,
        Shape::Ports,
        "vmap to drop or reject packets to service nodeports with no endpoints",
    ),
    (NO_ENDPOINT_IPS, true, Shape::Sockets, "vmap to drop or reject packets to services with no endpoints"),
    (SERVICE_IPS, true, Shape::Sockets, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
    (SERVICE_PORTS, true, Shape::Ports, "NodePort traffic"),
];

/// The table for everything watched.
pub fn nftables(config: &Config, watched: &Watched<'_>) -> Ruleset {
    let mut out = Ruleset::default();
    Setup(&mut out).set_up(config);
    for &service in &watched.services {
        for port in Port::all(service, config.family) {
            let endpoints = categorize(&port, watched, config);
            Writer { config, port: &port, endpoints: &endpoints, out: &mut out }.write();
        }
    }
    out
}

/// The chains and sets that do not depend on Services.
struct Setup<'a>(&'a mut Ruleset);

impl Setup<'_> {
    fn set_up(mut self, config: &Config) {
        for (name, kind, hook, priority) in BASES {
            let base = Some(Base { kind, hook, priority });
            self.0.chains.insert(name.into(), Chain { base, ..Chain::default() });
        }
        for (name, is_map, shape, comment) in SETS {
            let set = Set { is_map, shape, comment: Some(comment), timeout: None };
            self.0.sets.insert(name.into(), (set, BTreeMap::new()));
        }
        for (to, from, only_new) in JUMPS {
            self.0.chains.entry(to.into()).or_default();
            let new = only_new.then_some(Part::New);
            self.0.rule(from, new.into_iter().chain([Part::Jump(to.into())]).collect(), None);
        }
        let mark = config.masquerade_mark;
        self.0.rule(MARK, vec![Part::MarkOr(mark)], None);
        self.0.rule("masquerading", vec![Part::Unmarked(mark), Part::Return], None);
        self.0.rule("masquerading", vec![Part::MarkXor(mark)], None);
        self.0.rule("masquerading", vec![Part::Masquerade], None);
        let to = |far| Part::Address(Side::Destination, false, far);
        let invalid = Some("Reject traffic to invalid ports of ClusterIPs");
        self.0.rule("cluster-ips-check", vec![to(Far::Set(CLUSTER_IPS.into())), Part::Reject], invalid);
        let ranges: Vec<_> = config.service_ranges.iter().map(range_of).collect();
        if !ranges.is_empty() {
            let unknown = Some("Drop traffic to unallocated ClusterIPs");
            self.0.rule("cluster-ips-check", vec![to(Far::Ranges(ranges)), Part::Drop], unknown);
        }
        let comment = Some("helper for @no-endpoint-services / @no-endpoint-nodeports");
        self.0.chains.insert(REJECT.into(), Chain { comment, ..Chain::default() });
        self.0.rule(REJECT, vec![Part::Reject], None);
        self.0.rule("service-endpoints-check", vec![Part::Vmap(Key::Socket, NO_ENDPOINT_IPS.into())], None);
        self.0.rule("firewall-check", vec![Part::Vmap(Key::Socket, FIREWALL_IPS.into())], None);
        self.0.rule("services", vec![Part::Vmap(Key::Socket, SERVICE_IPS.into())], None);
        self.node_ports(config);
    }

    /// Which addresses take traffic for node ports; the loopback address never does.
    fn node_ports(&mut self, config: &Config) {
        let ask = |map: &str| Part::Vmap(Key::Port, map.into());
        let (mut check, mut services) = match &config.node_port_ips {
            None => {
                let loopback = match config.family {
                    Family::V4 => "127.0.0.0/8",
                    Family::V6 => "::1",
                };
                let others = Far::Ranges(vec![range(loopback)].into_iter().flatten().collect());
                let not_loopback = Part::Address(Side::Destination, true, others);
                (vec![not_loopback.clone()], vec![Part::Local(Side::Destination), not_loopback])
            }
            Some(ips) => {
                let comment = Some("IPs that accept NodePort traffic");
                let set = Set { is_map: false, shape: Shape::Addresses, comment, timeout: None };
                self.0.sets.insert(NODE_PORT_IPS.into(), (set, BTreeMap::new()));
                for &ip in ips.iter().filter(|ip| config.family.has(**ip) && !ip.is_loopback()) {
                    self.0.add(NODE_PORT_IPS, Element { addr: Some(ip), port: None }, None, None);
                }
                let among = Part::Address(Side::Destination, false, Far::Set(NODE_PORT_IPS.into()));
                (vec![among.clone()], vec![among])
            }
        };
        check.push(ask(NO_ENDPOINT_PORTS));
        services.push(ask(SERVICE_PORTS));
        self.0.rule("nodeport-endpoints-check", check, None);
        self.0.rule("services", services, None);
    }
}

/// A range with its bounds; `None` for what is none.
fn range(text: &str) -> Option<(Arc<str>, (IpAddr, IpAddr))> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((text.into(), (ip, ip)));
    }
    Some(range_of(&text.parse::<IpNet>().ok()?))
}

fn range_of(net: &IpNet) -> (Arc<str>, (IpAddr, IpAddr)) {
    let net = net.trunc();
    (net.to_string().as_str().into(), (net.network(), net.broadcast()))
}

/// `hashAndTruncate`; names are never so long that they would be cut.
fn hashed(name: &str) -> String {
    let hash = BASE32.encode(&Sha256::digest(name));
    format!("{}-{name}", &hash[..8])
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// Writes what is about one port.
struct Writer<'a> {
    config: &'a Config,
    port: &'a Port<'a>,
    endpoints: &'a Categories,
    out: &'a mut Ruleset,
}

impl Writer<'_> {
    fn write(mut self) {
        self.capture_addresses();
        self.capture_node_port();
        self.inside();
        self.outside();
        self.firewall();
        if self.port.sticky_seconds().is_some() {
            self.affinity_sets();
        }
        if self.port.uses_cluster_endpoints() {
            self.choose("service-", &self.endpoints.cluster);
        }
        if self.port.uses_local_endpoints() {
            self.choose("local-", &self.endpoints.local);
        }
        for target in &self.endpoints.reachable {
            self.endpoint(target);
        }
    }

    fn base(&self) -> String {
        let metadata = &self.port.service.metadata;
        let (namespace, name) = (&metadata.namespace, &metadata.name);
        format!("{namespace}/{name}/{}/{}", self.port.protocol(), self.port.spec.name)
    }

    fn chain(&self, prefix: &str) -> Arc<str> {
        format!("{prefix}{}", hashed(&self.base())).into()
    }

    /// A chain or a set of an endpoint (`servicePortEndpointChainNameBase`).
    fn endpoint_name(&self, prefix: &str, target: &Target) -> Arc<str> {
        let port = target.text.rsplit(':').next().unwrap_or("");
        let ip = target.ip.to_string().replace(':', ".");
        format!("{prefix}{}", hashed(&format!("{}__{ip}/{port}", self.base()))).into()
    }

    fn internal_chain(&self) -> Arc<str> {
        self.chain(if self.port.is_internal_local() { "local-" } else { "service-" })
    }

    fn has_internal(&self) -> bool {
        self.endpoints.any && !(self.port.is_internal_local() && self.endpoints.local.is_empty())
    }

    fn has_external(&self) -> bool {
        self.endpoints.any && !(self.port.is_external_local() && self.endpoints.local.is_empty())
    }

    fn uses_firewall(&self) -> bool {
        !self.port.load_balancer_ips.is_empty() && !self.port.source_ranges.is_empty()
    }

    fn socket(&self, ip: IpAddr) -> Element {
        let protocol = protocol_number(self.port.spec.protocol);
        Element { addr: Some(ip), port: Some((protocol, self.port.spec.port)) }
    }

    /// What happens to traffic that no endpoint takes: it is refused where there is none at all, dropped where there is
    /// none here.
    fn without_endpoints(&self) -> (Option<Verdict>, Option<Arc<str>>) {
        let verdict = if self.endpoints.any { Verdict::Drop } else { Verdict::Goto(REJECT.into()) };
        (Some(verdict), Some(self.port.name().into()))
    }

    fn capture_addresses(&mut self) {
        let cluster_ip = self.port.cluster_ip;
        self.out.add(CLUSTER_IPS, Element { addr: Some(cluster_ip), port: None }, None, None);
        let element = self.socket(cluster_ip);
        if self.has_internal() {
            let to = Verdict::Goto(self.internal_chain());
            self.out.add(SERVICE_IPS, element, Some(to), None);
        } else {
            let (verdict, comment) = self.without_endpoints();
            self.out.add(NO_ENDPOINT_IPS, element, verdict, comment);
        }
        let port = self.port;
        for &ip in port.external_ips.iter().chain(&port.load_balancer_ips) {
            let element = self.socket(ip);
            if self.endpoints.any {
                let to = Verdict::Goto(self.chain("external-"));
                self.out.add(SERVICE_IPS, element, Some(to), None);
            }
            if !self.has_external() {
                let (verdict, comment) = self.without_endpoints();
                self.out.add(NO_ENDPOINT_IPS, element, verdict, comment);
            }
        }
        if self.uses_firewall() {
            for &ip in &port.load_balancer_ips {
                let to = Verdict::Goto(self.chain("firewall-"));
                self.out.add(FIREWALL_IPS, self.socket(ip), Some(to), None);
            }
        }
    }

    fn capture_node_port(&mut self) {
        let number = self.port.spec.node_port;
        if number == 0 {
            return;
        }
        let element = Element { addr: None, port: Some((protocol_number(self.port.spec.protocol), number)) };
        if self.endpoints.any {
            let to = Verdict::Goto(self.chain("external-"));
            self.out.add(SERVICE_PORTS, element, Some(to), None);
        }
        if !self.has_external() {
            let (verdict, comment) = self.without_endpoints();
            self.out.add(NO_ENDPOINT_PORTS, element, verdict, comment);
        }
    }

    /// Traffic to the cluster IP from anywhere but a Pod is masqueraded, for the answer has to come back here.
    fn inside(&mut self) {
        let not_local = match &self.config.local {
            _ if !self.has_internal() => return,
            _ if self.config.masquerade_all => None,
            Some(local) => local_part(local, true),
            None => return,
        };
        let ip = self.port.cluster_ip;
        let there = Far::Ranges(vec![(ip.to_string().as_str().into(), (ip, ip))]);
        let port = (protocol_number(self.port.spec.protocol), self.port.spec.port);
        let mut parts = vec![Part::Address(Side::Destination, false, there), Part::Port(port.0, port.1)];
        parts.extend(not_local);
        parts.push(Part::Jump(MARK.into()));
        self.out.rule(&self.internal_chain(), parts, None);
    }

    fn outside(&mut self) {
        if !self.endpoints.any || !self.port.is_external() {
            return;
        }
        let (chain, all) = (self.chain("external-"), self.chain("service-"));
        self.out.chains.entry(chain.clone()).or_default();
        if self.port.is_external_local() {
            if let Some(local) = self.config.local.as_ref().and_then(|local| local_part(local, false)) {
                let comment = Some("short-circuit pod traffic");
                self.out.rule(&chain, vec![local, Part::Goto(all.clone())], comment);
            }
            let own = || Part::Local(Side::Source);
            let comment = Some("masquerade local traffic");
            self.out.rule(&chain, vec![own(), Part::Jump(MARK.into())], comment);
            let comment = Some("short-circuit local traffic");
            self.out.rule(&chain, vec![own(), Part::Goto(all.clone())], comment);
        } else {
            self.out.rule(&chain, vec![Part::Jump(MARK.into())], None);
        }
        if self.has_external() {
            let policy = if self.port.is_external_local() { self.chain("local-") } else { all };
            self.out.rule(&chain, vec![Part::Goto(policy)], None);
        }
    }

    fn firewall(&mut self) {
        if !self.uses_firewall() {
            return;
        }
        let port = self.port;
        let mut ranges: Vec<_> = port.source_ranges.iter().filter_map(|text| range(text)).collect();
        // A node that has the address of the load balancer itself sends with that address as its source.
        let node = self.config.node_ip;
        if ranges.iter().any(|(_, (first, last))| (*first..=*last).contains(&node)) {
            ranges.extend(port.load_balancer_ips.iter().filter_map(|ip| range(&ip.to_string())));
        }
        let parts = vec![Part::Address(Side::Source, true, Far::Ranges(ranges)), Part::Drop];
        self.out.rule(&self.chain("firewall-"), parts, None);
    }

    fn affinity_sets(&mut self) {
        for target in &self.endpoints.reachable {
            let name = self.endpoint_name("affinity-", target);
            let timeout = self.port.sticky_seconds();
            let set = Set { is_map: false, shape: Shape::Addresses, comment: None, timeout };
            self.out.sets.insert(name, (set, BTreeMap::new()));
        }
    }

    /// The choice among endpoints: a client's last one first, then by chance (`writeServiceToEndpointRules`).
    fn choose(&mut self, prefix: &str, targets: &[Target]) {
        let chain = self.chain(prefix);
        if targets.is_empty() {
            return;
        }
        if self.port.sticky_seconds().is_some() {
            for target in targets {
                let known = Far::Set(self.endpoint_name("affinity-", target));
                let to = Part::Goto(self.endpoint_name("endpoint-", target));
                self.out.rule(&chain, vec![Part::Address(Side::Source, false, known), to], None);
            }
        }
        let ways: Vec<Arc<str>> =
            targets.iter().map(|target| self.endpoint_name("endpoint-", target)).collect();
        self.out.rule(&chain, vec![Part::Choose(ways.into())], None);
    }

    fn endpoint(&mut self, target: &Target) {
        let chain = self.endpoint_name("endpoint-", target);
        // A Pod that reaches itself must not see its own address as the source.
        let own = Far::Ranges(vec![(target.ip.to_string().as_str().into(), (target.ip, target.ip))]);
        let itself = Part::Address(Side::Source, false, own);
        self.out.rule(&chain, vec![itself, Part::Jump(MARK.into())], None);
        if self.port.sticky_seconds().is_some() {
            let set = self.endpoint_name("affinity-", target);
            self.out.rule(&chain, vec![Part::Remember(set)], None);
        }
        if let Ok(to) = target.text.parse() {
            let protocol = Part::Protocol(protocol_number(self.port.spec.protocol));
            self.out.rule(&chain, vec![protocol, Part::Dnat(to)], None);
        }
    }
}

/// Traffic of this node's Pods as a condition, or all other traffic (`IfLocalNFT`, `IfNotLocalNFT`).
fn local_part(local: &Local, negated: bool) -> Option<Part> {
    Some(match local {
        Local::Range(text) => Part::Address(Side::Source, negated, Far::Ranges(vec![range(text)?])),
        Local::Interface(name) => {
            let (begin, begins) = name.strip_suffix('+').map_or((&**name, false), |begin| (begin, true));
            Part::Interface { name: begin.into(), begins, negated }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_bear_the_names_that_upstream_gives_them() {
        assert_eq!(hashed("ns1/svc1/tcp/p80"), "ULMVA6XW-ns1/svc1/tcp/p80");
        assert_eq!(hashed("ns1/svc1/tcp/p80__10.180.0.1/80"), "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80");
    }
}
