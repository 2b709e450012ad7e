//! Names of a cluster: what CoreDNS's `kubernetes` plugin answers from Services, endpoints, Pods and namespaces
//! (Kubernetes DNS specification, schema 1.1.0; coredns `plugin/kubernetes` and `plugin/backend_lookup.go`).
//!
//! [`View`] is what the plugin has watched, [`Kubernetes`] how it is configured, and [`Kubernetes::answer`] the
//! answer to one question, without packets and without time. [`server`] is the whole of CoreDNS around it: the other
//! plugins, the cache, and the question's way through them.

mod answer;
mod cache;
mod chain;
pub mod corefile;
mod external;
mod file;
mod forward;
mod listing;
mod name;
pub mod outside;
mod plugin;
mod rewrite;
mod selector;
pub mod server;
mod services;
mod template;
mod transfer;
mod view;
pub mod zonefile;

pub use forward::{Forward, Policy};
pub use name::{is_subdomain, reverse_address};
pub use plugin::{Duties, plugins};
pub use selector::LabelTest;
pub use view::View;

pub use crate::base::dns::{Question, RData, Rcode, Record, Type};
use std::net::IpAddr;

/// How the plugin treats names below `pod.ZONE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodMode {
    /// There are none.
    #[default]
    Disabled,
    /// Any address is echoed.
    Insecure,
    /// Only addresses of Pods are.
    Verified,
}

/// The plugin `kubernetes` as a Corefile configures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// Zones, each with its last dot; the first one that is no reverse zone is the primary one.
    pub zones: Vec<String>,
    /// Namespaces that are exposed; empty for all.
    pub namespaces: Vec<String>,
    /// Names of Pods.
    pub pods: PodMode,
    /// Whether endpoints are named after their Pods.
    pub endpoint_pod_names: bool,
    /// Whether a Service without endpoints has no name.
    pub ignore_empty_service: bool,
    /// Whether endpoints have no names at all.
    pub no_endpoints: bool,
    /// TTL of records, in seconds.
    pub ttl: u32,
    /// Zones in which a name that does not exist is left to the next plugin; `None` for none, empty for all.
    pub fallthrough: Option<Vec<String>>,
    /// Zones that answer from the Services of several clusters.
    pub multicluster: Vec<String>,
    /// Namespaces by label, where `namespace_labels` restricts them.
    pub namespace_labels: Vec<LabelTest>,
    /// Services and endpoints by label, where `labels` restricts them.
    pub labels: Vec<LabelTest>,
}

impl Kubernetes {
    /// The plugin's own defaults for these zones.
    pub fn new(zones: Vec<String>) -> Self {
        Self {
            zones,
            namespaces: Vec::new(),
            pods: PodMode::Disabled,
            endpoint_pod_names: false,
            ignore_empty_service: false,
            no_endpoints: false,
            ttl: 5,
            fallthrough: None,
            multicluster: Vec::new(),
            namespace_labels: Vec::new(),
            labels: Vec::new(),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Response code.
    pub rcode: Rcode,
    /// Whether the server is the authority (AA).
    pub authoritative: bool,
    /// Whether something was left out (TC).
    pub truncated: bool,
    /// Whether recursion is to be had (RA).
    pub recursion_available: bool,
    /// Answer section.
    pub answer: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section.
    pub additional: Vec<Record>,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            rcode: Rcode::NoError,
            authoritative: false,
            truncated: false,
            recursion_available: false,
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }
}

impl Answer {
    /// An answer without records.
    pub fn empty(rcode: Rcode) -> Self {
        Self { rcode, ..Self::default() }
    }
}

/// Another server has to be asked first; the question is answered anew when it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending;

/// What the plugin makes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answers.
    Answered(Answer),
    /// It leaves the question to the next plugin: the name is in none of its zones, or falls through.
    Next,
    /// It refuses: zones are handed over by the plugin `transfer`.
    Refused,
}

/// How the plugin asks for a name that lies in none of its zones: through the whole server, upstream included.
pub trait Upstream {
    /// Asks; `None` where there was no answer.
    fn lookup(&mut self, question: &Question) -> Result<Option<Answer>, Pending>;
}

/// Nobody to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUpstream;

impl Upstream for NoUpstream {
    fn lookup(&mut self, _question: &Question) -> Result<Option<Answer>, Pending> {
        Ok(None)
    }
}

/// The Corefile of a cluster that names none: the one that kubeadm writes.
pub fn default_corefile(domain: &str) -> String {
    format!(
        ".:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    cache 30 {{
       disable success {domain}
       disable denial {domain}
    }}
    loop
    reload
    loadbalance
}}
"
    )
}

/// The template of the Corefile of `NodeLocal DNSCache`: `local` is the caches' own address, `ip` that of the cluster's
/// DNS. The words that are left are filled in by the caches themselves. Under IPVS (`under_ipvs`) the cluster's address
/// stands on `kube-ipvs0` and cannot be a cache's, which asks it instead.
pub fn node_local_corefile(domain: &str, local: &str, (ip, under_ipvs): (IpAddr, bool)) -> String {
    let addresses = if under_ipvs { local.to_owned() } else { format!("{local} {ip}") };
    let cluster = if under_ipvs { ip.to_string() } else { "__PILLAR__CLUSTER__DNS__".to_owned() };
    let block = |zone: &str, cache: &str, more: &str| {
        format!(
            "{zone}:53 {{
    errors
    {cache}
    reload
    loop
    bind {addresses}
    forward . {cluster} {{
            force_tcp
    }}
    prometheus :9253
{more}    }}
"
        )
    };
    let cache = "cache {\n            success 9984 30\n            denial 9984 5\n    }";
    let health = format!("    health {local}:8080\n");
    let mut text = block(domain, cache, &health);
    for zone in ["in-addr.arpa", "ip6.arpa"] {
        text += &block(zone, "cache 30", "");
    }
    let rest = format!(
        ".:53 {{
    errors
    cache 30
    reload
    loop
    bind {addresses}
    forward . __PILLAR__UPSTREAM__SERVERS__
    prometheus :9253
    }}
"
    );
    text + &rest
}
