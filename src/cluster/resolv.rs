//! `/etc/resolv.conf` as the kubelet forms it for a Pod (`pkg/kubelet/network/dns/dns.go`) and the container runtime
//! writes it.

use crate::api::{ClusterSpec, DnsPolicy, NodeSpec, Pod, PodDnsConfigOption, ProxyMode};
use crate::base::{Ipv4Addr, Ipv4Net};
use std::fmt::Write as _;

/// The link-local address that the DNS caches of all nodes have (`NodeLocal DNSCache`).
pub const LOCAL_DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 20, 10);
/// Most name servers a resolver takes (`MaxDNSNameservers`).
const NAMESERVERS_MAX: usize = 3;
/// Most search domains (`MaxDNSSearchPaths`).
const SEARCHES_MAX: usize = 32;
/// Most characters in all search domains with the blanks between (`MaxDNSSearchListChars`).
const SEARCH_CHARS_MAX: usize = 2048;
/// Longest search domain, with which glibc does not fail yet (`DNS1123SubdomainMaxLength`).
const SEARCH_MAX: usize = 253;
/// Options of a Pod that asks the cluster's DNS (`defaultDNSOptions`).
const CLUSTER_OPTIONS: &str = "ndots:5";

/// What the kubelet made for a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodDns {
    /// Text of `/etc/resolv.conf`.
    pub text: String,
    /// Events of the Pod: reason and message. All are warnings.
    pub events: Vec<(&'static str, String)>,
}

/// The parts of a `resolv.conf(5)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Resolv {
    nameservers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

fn option_name(text: &str) -> &str {
    text.split(':').next().unwrap_or_default()
}

/// An option takes the place of one of the same name.
fn set_option(options: &mut Vec<String>, option: String) {
    match options.iter_mut().find(|old| option_name(old) == option_name(&option)) {
        Some(old) => *old = option,
        None => options.push(option),
    }
}

impl Resolv {
    /// `parseResolvConf`. Name servers add up, the last search list counts, options replace those of the same name.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut out = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().ok_or("nameserver list is empty ")?;
                    out.nameservers.push(server.to_owned());
                }
                Some("search") => {
                    let words = words.filter(|word| *word != ".");
                    out.searches =
                        words.map(|word| word.strip_suffix('.').unwrap_or(word).to_owned()).collect();
                }
                Some("options") => words.for_each(|word| set_option(&mut out.options, word.to_owned())),
                Some(_) | None => {}
            }
        }
        Ok(out)
    }

    /// The text that the runtime writes (`parseDNSOptions` of containerd).
    fn render(&self) -> String {
        let mut out = String::new();
        if !self.searches.is_empty() {
            let _ = writeln!(out, "search {}", self.searches.join(" "));
        }
        for server in &self.nameservers {
            let _ = writeln!(out, "nameserver {server}");
        }
        if !self.options.is_empty() {
            let _ = writeln!(out, "options {}", self.options.join(" "));
        }
        out
    }
}

/// `/etc/resolv.conf` of a node. Without a text of its own it names the router, as a home router announces itself: the
/// node's gateway, or the first address of its network.
pub fn node_resolv_conf(node: &NodeSpec) -> String {
    node.resolv_conf.clone().unwrap_or_else(|| {
        let net = Ipv4Net::new_assert(node.address, node.prefix_len);
        let first = Ipv4Addr::from(u32::from(net.network()).saturating_add(1));
        format!("nameserver {}\n", node.gateway.unwrap_or(first))
    })
}

/// `/etc/resolv.conf` of a Pod (`Configurer.GetPodDNS`); an error where the node's own cannot be read.
pub fn pod_dns(pod: &Pod, node: &NodeSpec, cluster: &ClusterSpec) -> Result<PodDns, String> {
    let node_text = node_resolv_conf(node);
    let host = Resolv::parse(&node_text)?;
    let mut events = Vec::new();
    let policy = pod.spec.dns_policy.unwrap_or_default();
    let cluster_first = match policy {
        DnsPolicy::ClusterFirst => !pod.spec.host_network,
        DnsPolicy::ClusterFirstWithHostNet => true,
        DnsPolicy::Default | DnsPolicy::None => false,
    };
    // Under IPVS the caches of nodes do not take the cluster's own address: their instructions have the kubelet name theirs.
    let by_cache = cluster.dns.node_local && cluster.proxy.mode == ProxyMode::Ipvs;
    let server = cluster.dns.service_ip.map(|ip| if by_cache { LOCAL_DNS } else { ip });
    let mut resolv = match server {
        _ if policy == DnsPolicy::None => Resolv::default(),
        Some(server) if cluster_first => cluster_dns(pod, &host, cluster, server),
        _ => {
            if cluster_first {
                events.push(("MissingClusterDNS", missing_cluster_dns(pod)));
            }
            of_host(host, node)
        }
    };
    add_dns_config(pod, &mut resolv);
    limit_nameservers(&mut resolv, &mut events);
    limit_searches(&mut resolv, &mut events);
    let mut text = resolv.render();
    if text.is_empty() {
        // With nothing to write the runtime copies the node's file.
        text = node_text;
    }
    Ok(PodDns { text, events })
}

fn missing_cluster_dns(pod: &Pod) -> String {
    let why = "kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.";
    let metadata = &pod.metadata;
    format!(
        "pod: \"{}_{}({})\". {why}",
        metadata.name,
        metadata.namespace,
        metadata.uid.as_deref().unwrap_or("")
    )
}

/// The node's settings. A kubelet that has no file of the node (`--resolv-conf=""`) points at the Pod itself, which
/// amounts to no DNS.
fn of_host(host: Resolv, node: &NodeSpec) -> Resolv {
    if node.resolv_conf.as_deref() != Some("") {
        return host;
    }
    Resolv { nameservers: vec!["127.0.0.1".to_owned()], searches: vec![".".to_owned()], options: Vec::new() }
}

/// The cluster's DNS is the only server; the node's search domains come after the cluster's own.
fn cluster_dns(pod: &Pod, host: &Resolv, cluster: &ClusterSpec, server: Ipv4Addr) -> Resolv {
    let domain = &cluster.dns.cluster_domain;
    let own = [format!("{}.svc.{domain}", pod.metadata.namespace), format!("svc.{domain}"), domain.clone()];
    let mut searches = Vec::new();
    let own = own.into_iter().filter(|_| !domain.is_empty());
    for search in own.chain(host.searches.iter().cloned()) {
        push_new(&mut searches, search);
    }
    Resolv { nameservers: vec![server.to_string()], searches, options: vec![CLUSTER_OPTIONS.to_owned()] }
}

/// `appendDNSConfig`: what the Pod adds comes after, doubles are left out, an option of the Pod wins.
fn add_dns_config(pod: &Pod, resolv: &mut Resolv) {
    let Some(config) = &pod.spec.dns_config else { return };
    for server in &config.nameservers {
        push_new(&mut resolv.nameservers, server.clone());
    }
    for search in &config.searches {
        push_new(&mut resolv.searches, search.clone());
    }
    for PodDnsConfigOption { name, value } in &config.options {
        let value = value.as_deref().filter(|value| !value.is_empty());
        set_option(
            &mut resolv.options,
            value.map_or_else(|| name.clone(), |value| format!("{name}:{value}")),
        );
    }
}

fn push_new(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// `formDNSNameserversFitsLimits`.
fn limit_nameservers(resolv: &mut Resolv, events: &mut Vec<(&'static str, String)>) {
    if resolv.nameservers.len() > NAMESERVERS_MAX {
        resolv.nameservers.truncate(NAMESERVERS_MAX);
        let applied = resolv.nameservers.join(" ");
        events.push((
            "DNSConfigForming",
            format!(
                "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {applied}"
            ),
        ));
    }
}

/// `formDNSSearchFitsLimits`.
fn limit_searches(resolv: &mut Resolv, events: &mut Vec<(&'static str, String)>) {
    let searches = &mut resolv.searches;
    let count = searches.len();
    searches.truncate(SEARCHES_MAX);
    searches.retain(|search| search.len() <= SEARCH_MAX);
    while searches.iter().map(|search| search.len() + 1).sum::<usize>() > SEARCH_CHARS_MAX + 1 {
        searches.pop();
    }
    if searches.len() < count {
        let applied = searches.join(" ");
        events.push((
            "DNSConfigForming",
            format!(
                "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {applied}"
            ),
        ));
    }
}
