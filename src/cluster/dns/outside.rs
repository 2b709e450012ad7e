//! Names outside of the cluster: what servers there know, from the cluster document.
//!
//! The world is small: its names are those of the hosts outside and the records of their zones. A router is everybody's
//! recursive resolver and knows all of them. Any other host that has a zone answers for that zone and refuses the rest.

use super::zonefile::ZoneFile;
use super::{Answer, Question, RData, Rcode, Record, is_subdomain};
use crate::api::{ClusterSpec, ExternalSpec};
use crate::base::dns::{labels, reverse_name};
use std::net::IpAddr;

/// TTL of the addresses of hosts, in seconds: short, so that one can watch it run out.
const HOST_TTL: u32 = 5;
/// TTL of the root's start of authority, in seconds, which comes with each denial.
const ROOT_TTL: u32 = 86_400;

/// What a server outside knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    records: ZoneFile,
    /// Whether it answers for every name there is.
    recursive: bool,
}

fn name_of(host: &ExternalSpec) -> Option<String> {
    let name = format!("{}.", host.name.trim_end_matches('.'));
    labels(&name).ok().map(|_| name)
}

/// The records of a host's zone, as far as they can be read; the text is checked when it is applied.
fn zone_of(host: &ExternalSpec) -> ZoneFile {
    host.zone.as_deref().and_then(|text| ZoneFile::parse(text, ".").ok()).unwrap_or_default()
}

impl Outside {
    /// What the router knows: everything.
    pub fn everything(cluster: &ClusterSpec) -> Self {
        let mut records = ZoneFile::default();
        for host in &cluster.external {
            records.extend(zone_of(host));
        }
        for host in &cluster.external {
            let Some(name) = name_of(host) else { continue };
            let ip = IpAddr::V4(host.address);
            let named = |record: &&Record| record.owner.eq_ignore_ascii_case(&name);
            if records.records().iter().any(|record| named(&record)) {
                continue;
            }
            records.push(Record::address(&name, HOST_TTL, ip));
            records.push(Record { owner: reverse_name(ip), ttl: HOST_TTL, data: RData::Ptr(name) });
        }
        Self { records, recursive: true }
    }

    /// What the server at this address knows; `None` where none is.
    pub fn at(cluster: &ClusterSpec, address: IpAddr) -> Option<Self> {
        let host = cluster.external.iter().find(|host| IpAddr::V4(host.address) == address)?;
        Self::of(cluster, host)
    }

    /// What a host knows; `None` where it is no server.
    pub fn of(cluster: &ClusterSpec, host: &ExternalSpec) -> Option<Self> {
        if host.router {
            return Some(Self::everything(cluster));
        }
        host.zone.as_ref().map(|_| Self { records: zone_of(host), recursive: false })
    }

    /// Answers a question.
    pub fn answer(&self, question: &Question) -> Answer {
        let zones = self.records.zones();
        let within = zones.iter().filter(|zone| is_subdomain(zone, &question.name));
        let zone = within.max_by_key(|zone| zone.len());
        let zone = zone.map_or(".", String::as_str);
        let cut = self.records.delegation(question, zone).filter(|_| !self.recursive && zones.contains(zone));
        if let Some(referral) = cut {
            return referral;
        }
        let mut answer = self.records.answer(question, zone);
        answer.recursive(self.recursive);
        if zone == "." && !self.recursive && answer.answer.is_empty() && answer.rcode == Rcode::NxDomain {
            return Answer::empty(Rcode::Refused);
        }
        if answer.answer.is_empty() && answer.authority.is_empty() {
            answer.authority.push(root());
        }
        answer
    }
}

impl Answer {
    fn recursive(&mut self, recursive: bool) {
        self.recursion_available = recursive;
        self.authoritative = !recursive;
    }
}

/// The start of authority of the root zone.
fn root() -> Record {
    let (server, mailbox) = ("a.root-servers.net.".to_owned(), "nstld.verisign-grs.com.".to_owned());
    let data = RData::Soa(server, mailbox, [2_026_010_100, 1800, 900, 604_800, 86_400]);
    Record { owner: ".".to_owned(), ttl: ROOT_TTL, data }
}
