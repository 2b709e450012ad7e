//! From what a name stands for to records (`ServeDNS` of `plugin/kubernetes`, `plugin/backend_lookup.go`).

use super::Pending;
use super::name::{is_subdomain, labels_below, zone_of};
use super::services::{Found, Host, NoSuchName};
use super::view::View;
use super::{Answer, Kubernetes, Outcome, Question, RData, Rcode, Record, Type, Upstream};
use std::collections::BTreeSet;

/// Longest chain of `CNAME` records that is followed.
const CNAMES: usize = 8;
/// Version of the DNS specification, and how long that may be remembered.
const SCHEMA: (&str, u32) = ("1.1.0", 28800);

/// Why there is no answer yet, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    NoSuchName,
    /// Another server has to be asked first.
    Pending,
}

impl From<NoSuchName> for Stop {
    fn from(_: NoSuchName) -> Self {
        Self::NoSuchName
    }
}

impl From<Pending> for Stop {
    fn from(_: Pending) -> Self {
        Self::Pending
    }
}

/// Answer and additional section.
type Sections = (Vec<Record>, Vec<Record>);

/// A question being answered.
struct Asking<'a> {
    plugin: &'a Kubernetes,
    view: &'a View,
    zone: &'a str,
    upstream: &'a mut dyn Upstream,
    truncated: bool,
}

impl Kubernetes {
    /// Answers `question` from `view`; names outside are asked for through `upstream`.
    pub fn answer(
        &self,
        view: &View,
        question: &Question,
        upstream: &mut dyn Upstream,
    ) -> Result<Outcome, Pending> {
        let Some(zone) = zone_of(&self.zones, &question.name) else { return Ok(Outcome::Next) };
        if question.kind == Type::AXFR || question.kind == Type::IXFR {
            return Ok(Outcome::Refused);
        }
        let mut asking = Asking { plugin: self, view, zone: &zone, upstream, truncated: false };
        let sections = asking.sections(question);
        let truncated = asking.truncated;
        let (rcode, (answer, additional)) = match sections {
            Ok(sections) => (Rcode::NoError, sections),
            Err(Stop::Pending) => return Err(Pending),
            Err(Stop::NoSuchName) if self.falls_through(&question.name) => return Ok(Outcome::Next),
            Err(Stop::NoSuchName) if view.unsynced => (Rcode::ServFail, Sections::default()),
            Err(Stop::NoSuchName) => (Rcode::NxDomain, Sections::default()),
        };
        let authority = if answer.is_empty() { vec![self.soa(view, &zone)] } else { Vec::new() };
        Ok(Outcome::Answered(Answer {
            rcode,
            authoritative: true,
            truncated,
            answer,
            authority,
            additional,
            ..Answer::default()
        }))
    }

    fn falls_through(&self, name: &str) -> bool {
        let zones = self.fallthrough.as_deref();
        zones.is_some_and(|zones| zones.is_empty() || zones.iter().any(|zone| is_subdomain(zone, name)))
    }

    /// Start of authority, which every negative answer carries.
    pub(super) fn soa(&self, view: &View, zone: &str) -> Record {
        let (server, mailbox) = (format!("ns.dns.{zone}"), format!("hostmaster.{zone}"));
        let numbers = [view.serial, 7200, 1800, 86400, self.ttl];
        Record { owner: zone.to_owned(), ttl: self.ttl.min(300), data: RData::Soa(server, mailbox, numbers) }
    }
}

impl Asking<'_> {
    fn sections(&mut self, question: &Question) -> Result<Sections, Stop> {
        let name = &question.name;
        let at_apex = name.eq_ignore_ascii_case(self.zone);
        let only = |records| (records, Vec::new());
        match question.kind {
            Type::A | Type::Aaaa => self.addresses(name, question.kind, &mut Vec::new()).map(only),
            Type::Txt => Ok(only(self.text(name)?)),
            Type::Cname => Ok(only(self.cname(name)?)),
            Type::Ptr => {
                let names = self.plugin.reverse(self.view, self.zone, name)?;
                Ok(only(names.into_iter().map(|target| self.record(name, RData::Ptr(target))).collect()))
            }
            Type::Srv => Ok(self.places(name)?),
            // Nothing in a cluster takes mail, but whether the name exists is told.
            Type::Mx => Ok(self.services(name).map(|_| Sections::default())?),
            Type::Soa if at_apex => Ok(only(vec![self.plugin.soa(self.view, self.zone)])),
            Type::Soa => Ok(Sections::default()),
            Type::Ns if at_apex => Ok(self.name_servers(name)),
            // Whether the name exists is told for any type.
            Type::Ns | Type::Other(_) => {
                self.addresses(name, Type::A, &mut Vec::new()).map(|_| Sections::default())
            }
        }
    }

    fn record(&self, owner: &str, data: RData) -> Record {
        Record { owner: owner.to_owned(), ttl: self.plugin.ttl, data }
    }

    /// `Services`: the server's own name, or what the cluster knows.
    fn services(&self, name: &str) -> Result<Vec<Found>, NoSuchName> {
        let labels = labels_below(self.zone, name);
        if let [ns, dns] = labels[..]
            && ns.eq_ignore_ascii_case("ns")
            && dns.eq_ignore_ascii_case("dns")
        {
            let servers = self.plugin.name_servers(self.view, self.zone).into_iter();
            let found = |(_, ip)| Found { name: name.to_owned(), host: Host::Address(ip), port: 0 };
            return Ok(servers.map(found).collect());
        }
        self.plugin.records(self.view, self.zone, name)
    }

    fn addresses(&mut self, name: &str, kind: Type, seen: &mut Vec<Record>) -> Result<Vec<Record>, Stop> {
        let mut records = Vec::new();
        for found in self.services(name)? {
            match found.host {
                Host::Address(ip) => {
                    let record = Record::address(name, self.plugin.ttl, ip);
                    if record.kind() == kind && !records.contains(&record) {
                        records.push(record);
                    }
                }
                Host::Name(target) => records.extend(self.follow(name, &target, kind, seen)?),
            }
        }
        Ok(records)
    }

    /// Follows a `CNAME`, inside the zone by itself and elsewhere by asking.
    fn follow(
        &mut self,
        name: &str,
        target: &str,
        kind: Type,
        seen: &mut Vec<Record>,
    ) -> Result<Vec<Record>, Pending> {
        let cname = self.record(name, RData::Cname(target.to_owned()));
        if name.eq_ignore_ascii_case(target) || seen.len() >= CNAMES || seen.contains(&cname) {
            return Ok(Vec::new());
        }
        if is_subdomain(self.zone, target) {
            seen.push(cname.clone());
            let next = self.addresses(target, kind, seen);
            seen.pop();
            return match next {
                Ok(next) if next.is_empty() => Ok(Vec::new()),
                Ok(next) => Ok([cname].into_iter().chain(next).collect()),
                Err(Stop::NoSuchName) => Ok(Vec::new()),
                Err(Stop::Pending) => Err(Pending),
            };
        }
        let asked = self.upstream.lookup(&Question { name: target.to_owned(), kind })?;
        let Some(answer) = asked else { return Ok(Vec::new()) };
        self.truncated |= answer.truncated;
        Ok([cname].into_iter().chain(answer.answer).collect())
    }

    /// There is one text only: the version of the specification.
    fn text(&self, name: &str) -> Result<Vec<Record>, NoSuchName> {
        let labels = labels_below(self.zone, name);
        if let [label] = labels[..]
            && label.eq_ignore_ascii_case("dns-version")
        {
            let data = RData::Txt(vec![SCHEMA.0.into()]);
            return Ok(vec![Record { owner: name.to_owned(), ttl: SCHEMA.1, data }]);
        }
        let found = self.plugin.records(self.view, self.zone, name).unwrap_or_default();
        if found.is_empty() { Err(NoSuchName) } else { Ok(Vec::new()) }
    }

    fn cname(&self, name: &str) -> Result<Vec<Record>, NoSuchName> {
        Ok(match self.services(name)?.into_iter().next().map(|found| found.host) {
            Some(Host::Name(target)) => vec![self.record(name, RData::Cname(target))],
            Some(Host::Address(_)) | None => Vec::new(),
        })
    }

    /// `SRV` records, and the addresses of their targets. The weights are shared among all that was found, before
    /// doubles are left out.
    fn places(&self, name: &str) -> Result<Sections, NoSuchName> {
        let found = self.services(name)?;
        let hosts = found.iter().filter_map(|found| match found.host {
            Host::Address(ip) => Some((found, ip)),
            // There are no places behind a name outside.
            Host::Name(_) => None,
        });
        let count = hosts.clone().count();
        let weight = 100_usize.checked_div(count).unwrap_or(0).max(1) as u16;
        let (mut records, mut extra) = Sections::default();
        let (mut places, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for (found, ip) in hosts {
            let Ok(port) = u16::try_from(found.port) else { continue };
            if places.insert((found.name.clone(), port)) {
                records.push(self.record(name, RData::Srv(0, weight, port, found.name.clone())));
            }
            if addresses.insert((found.name.clone(), ip)) {
                extra.push(Record::address(&found.name, self.plugin.ttl, ip));
            }
        }
        Ok((records, extra))
    }

    fn name_servers(&self, name: &str) -> Sections {
        let (mut records, mut extra) = Sections::default();
        for (server, ip) in self.plugin.name_servers(self.view, self.zone) {
            extra.push(Record::address(&server, self.plugin.ttl, ip));
            let record = self.record(name, RData::Ns(server));
            if !records.contains(&record) {
                records.push(record);
            }
        }
        (records, extra)
    }
}
