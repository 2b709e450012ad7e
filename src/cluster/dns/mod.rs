//! Names of a cluster: what CoreDNS's `kubernetes` plugin answers from Services, endpoints, Pods and namespaces
//! (Kubernetes DNS specification, schema 1.1.0; coredns `plugin/kubernetes` and `plugin/backend_lookup.go`).
//!
//! [`View`] is what the plugin has watched, [`Kubernetes`] how it is configured, and [`Kubernetes::answer`] the
//! answer to one question, without packets and without time.

mod answer;
pub mod corefile;
mod name;
mod services;
mod view;

pub use name::{is_subdomain, reverse_address};
pub use view::View;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        }
    }
}

/// Type of a question (RFC 1035 section 3.2.2, RFC 2782, RFC 3596).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Another name of the same.
    Cname,
    /// Name of an address.
    Ptr,
    /// Place of a service.
    Srv,
    /// Text.
    Txt,
    /// Start of a zone.
    Soa,
    /// Name server of a zone.
    Ns,
    /// Mail exchange.
    Mx,
    /// Any other type, by number.
    Other(u16),
}

/// Data of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RData {
    /// `A`.
    A(Ipv4Addr),
    /// `AAAA`.
    Aaaa(Ipv6Addr),
    /// `CNAME`.
    Cname(String),
    /// `PTR`.
    Ptr(String),
    /// `SRV`: priority, weight, port, target.
    Srv(u16, u16, u16, String),
    /// `TXT`.
    Txt(String),
    /// `NS`.
    Ns(String),
    /// `SOA`: primary server, mailbox, serial, refresh, retry, expire, minimum.
    Soa(String, String, [u32; 5]),
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Owner name, with its last dot.
    pub owner: String,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// Data.
    pub data: RData,
}

impl Record {
    /// An address record of either family.
    pub fn address(owner: &str, ttl: u32, address: IpAddr) -> Self {
        let data = match address {
            IpAddr::V4(v4) => RData::A(v4),
            IpAddr::V6(v6) => RData::Aaaa(v6),
        };
        Self { owner: owner.to_owned(), ttl, data }
    }

    /// Type of the record.
    pub fn kind(&self) -> Type {
        match &self.data {
            RData::A(_) => Type::A,
            RData::Aaaa(_) => Type::Aaaa,
            RData::Cname(_) => Type::Cname,
            RData::Ptr(_) => Type::Ptr,
            RData::Srv(..) => Type::Srv,
            RData::Txt(_) => Type::Txt,
            RData::Ns(_) => Type::Ns,
            RData::Soa(..) => Type::Soa,
        }
    }
}

/// `owner ttl type rdata`, as zone files write it (RFC 1035 section 5.1).
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.owner, self.ttl, self.kind())?;
        match &self.data {
            RData::A(address) => write!(f, "{address}"),
            RData::Aaaa(address) => write!(f, "{address}"),
            RData::Cname(name) | RData::Ptr(name) | RData::Ns(name) => f.write_str(name),
            RData::Srv(priority, weight, port, target) => write!(f, "{priority} {weight} {port} {target}"),
            RData::Txt(text) => write!(f, "{text:?}"),
            RData::Soa(server, mailbox, [serial, refresh, retry, expire, minimum]) => {
                write!(f, "{server} {mailbox} {serial} {refresh} {retry} {expire} {minimum}")
            }
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
            Self::Soa => "SOA",
            Self::Ns => "NS",
            Self::Mx => "MX",
            Self::Other(number) => return write!(f, "TYPE{number}"),
        })
    }
}

impl std::str::FromStr for Type {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match &*text.to_ascii_uppercase() {
            "A" => Self::A,
            "AAAA" => Self::Aaaa,
            "CNAME" => Self::Cname,
            "PTR" => Self::Ptr,
            "SRV" => Self::Srv,
            "TXT" => Self::Txt,
            "SOA" => Self::Soa,
            "NS" => Self::Ns,
            "MX" => Self::Mx,
            other => Self::Other(other.strip_prefix("TYPE").and_then(|text| text.parse().ok()).ok_or(())?),
        })
    }
}

/// Response code (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rcode {
    /// Fine, even if nothing was found.
    NoError,
    /// The server failed.
    ServFail,
    /// There is no such name.
    NxDomain,
    /// The server refuses.
    Refused,
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoError => "NOERROR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::Refused => "REFUSED",
        })
    }
}

/// A question: a name with its last dot, in the case in which it was asked, and a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name.
    pub name: String,
    /// Type.
    pub kind: Type,
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
    /// Answer section.
    pub answer: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section.
    pub additional: Vec<Record>,
}

/// What the plugin makes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answers.
    Answered(Answer),
    /// It leaves the question to the next plugin: the name is in none of its zones, or falls through.
    Next,
}

/// How the plugin asks for a name that lies in none of its zones: through the whole server, upstream included.
pub trait Upstream {
    /// Asks; `None` where there was no answer.
    fn lookup(&mut self, question: &Question) -> Option<Answer>;
}

/// Nobody to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUpstream;

impl Upstream for NoUpstream {
    fn lookup(&mut self, _question: &Question) -> Option<Answer> {
        None
    }
}
