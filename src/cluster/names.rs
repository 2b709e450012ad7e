//! Files that the kubelet writes for a Pod: `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`
//! (`pkg/kubelet/kubelet_pods.go`, `pkg/kubelet/network/dns/dns.go`).

use crate::api::{ClusterSpec, DnsPolicy, NodeSpec, Pod, PodDnsConfigOption};
use crate::base::Ipv4Addr;
use std::fmt::Write as _;

/// Most name servers a resolver takes (`MaxDNSNameservers`).
const NAMESERVERS_MAX: usize = 3;
/// Most search domains, and most characters in all of them (`MaxDNSSearchPaths`, `MaxDNSSearchListChars`).
const SEARCHES_MAX: usize = 32;
const SEARCH_CHARS_MAX: usize = 2048;

/// Host name of a Pod: `spec.hostname`, or its name cut to 63 characters; the node's with `hostNetwork`.
pub fn hostname(pod: &Pod, node: &str) -> String {
    if pod.spec.host_network {
        return node.to_owned();
    }
    let name = pod.spec.hostname.as_deref().unwrap_or(&pod.metadata.name);
    name.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

/// `/etc/hosts` of a Pod with an address of its own (`managedHostsFileContent`).
pub fn hosts_file(pod: &Pod, addr: Ipv4Addr, cluster_domain: &str) -> String {
    let mut out = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
    );
    let host = hostname(pod, "");
    let namespace = &pod.metadata.namespace;
    let _ = match &pod.spec.subdomain {
        Some(subdomain) => {
            writeln!(out, "{addr}\t{host}.{subdomain}.{namespace}.svc.{cluster_domain}\t{host}")
        }
        None => writeln!(out, "{addr}\t{host}"),
    };
    out + &host_aliases(pod)
}

/// `/etc/hosts` of a node or another host.
pub fn node_hosts_file(name: &str) -> String {
    format!("127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n")
}

/// `/etc/hosts` of a Pod in its node's network namespace: the node's own, and the Pod's aliases.
pub fn host_network_hosts_file(pod: &Pod, node: &str) -> String {
    let head = "# Kubernetes-managed hosts file (host network).\n";
    format!("{head}{}{}", node_hosts_file(node), host_aliases(pod))
}

fn host_aliases(pod: &Pod) -> String {
    if pod.spec.host_aliases.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n# Entries added by HostAliases.\n");
    for alias in &pod.spec.host_aliases {
        let _ = writeln!(out, "{}\t{}", alias.ip, alias.hostnames.join("\t"));
    }
    out
}

/// The parts of a `resolv.conf(5)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Resolv {
    nameservers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

impl Resolv {
    fn parse(text: &str) -> Self {
        let mut out = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => out.nameservers.extend(words.next().map(str::to_owned)),
                Some("search") => out.searches = words.map(|word| trim_dot(word).to_owned()).collect(),
                Some("options") => out.options = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        out
    }

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

/// A search domain loses its last dot, but the root stays.
fn trim_dot(word: &str) -> &str {
    if word == "." { word } else { word.strip_suffix('.').unwrap_or(word) }
}

/// `/etc/resolv.conf` of a node without a text of its own: empty, for nothing resolves names outside the cluster yet.
pub fn node_resolv_conf(node: &NodeSpec) -> String {
    node.resolv_conf.clone().unwrap_or_default()
}

/// `/etc/resolv.conf` of a Pod (`Configurer.GetPodDNS`).
pub fn resolv_conf(pod: &Pod, node: &NodeSpec, cluster: &ClusterSpec) -> String {
    let host = Resolv::parse(&node_resolv_conf(node));
    let policy = pod.spec.dns_policy.unwrap_or_default();
    let cluster_first = match policy {
        DnsPolicy::ClusterFirst => !pod.spec.host_network,
        DnsPolicy::ClusterFirstWithHostNet => true,
        DnsPolicy::Default | DnsPolicy::None => false,
    };
    let mut resolv = match policy {
        DnsPolicy::None => Resolv::default(),
        _ if cluster_first => cluster_dns(pod, &host, cluster),
        DnsPolicy::ClusterFirst | DnsPolicy::ClusterFirstWithHostNet | DnsPolicy::Default => host,
    };
    add_dns_config(pod, &mut resolv);
    limit(&mut resolv);
    resolv.render()
}

fn cluster_dns(pod: &Pod, host: &Resolv, cluster: &ClusterSpec) -> Resolv {
    let domain = &cluster.dns.cluster_domain;
    let own = [format!("{}.svc.{domain}", pod.metadata.namespace), format!("svc.{domain}"), domain.clone()];
    let mut searches = Vec::new();
    for search in own.into_iter().chain(host.searches.iter().cloned()) {
        push_new(&mut searches, search);
    }
    Resolv {
        nameservers: vec![cluster.dns.service_ip.to_string()],
        searches,
        options: vec!["ndots:5".to_owned()],
    }
}

/// `appendDNSConfig`: what the Pod adds comes after, doubles are left out, an option of the Pod wins.
fn add_dns_config(pod: &Pod, resolv: &mut Resolv) {
    let Some(config) = &pod.spec.dns_config else { return };
    for server in &config.nameservers {
        push_new(&mut resolv.nameservers, server.clone());
    }
    for search in &config.searches {
        push_new(&mut resolv.searches, trim_dot(search).to_owned());
    }
    for option in &config.options {
        merge_option(&mut resolv.options, option);
    }
}

fn merge_option(options: &mut Vec<String>, option: &PodDnsConfigOption) {
    let text = match &option.value {
        Some(value) => format!("{}:{value}", option.name),
        None => option.name.clone(),
    };
    let name_of = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    match options.iter_mut().find(|old| name_of(old) == option.name) {
        Some(old) => *old = text,
        None => options.push(text),
    }
}

fn push_new(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// `formDNSNameserversFitsLimits` and `formDNSSearchFitsLimits`: what is too much is cut.
fn limit(resolv: &mut Resolv) {
    resolv.nameservers.truncate(NAMESERVERS_MAX);
    resolv.searches.truncate(SEARCHES_MAX);
    while resolv.searches.join(" ").len() > SEARCH_CHARS_MAX {
        resolv.searches.pop();
    }
}
