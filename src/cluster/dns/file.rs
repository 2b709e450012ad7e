//! A zone as the plugin `file` holds it and answers from it (coredns `plugin/file/lookup.go`, `tree`), with its ways of
//! its own: names are told in lower case, `ANY` has no records, the zone itself is only as good as its other records.

use super::name::is_subdomain;
use super::zonefile::ZoneFile;
use super::{Answer, Pending, Question, RData, Rcode, Record, Type, Upstream};
use crate::base::dns::{labels, name_of};
use std::collections::BTreeMap;

/// How many `CNAME` records are followed within the zone.
const CHAIN_MAX: usize = 8;

/// A name as the zone is ordered by (RFC 4034 section 6.1): its labels in lower case, the last one first.
type Key = Vec<Vec<u8>>;

/// Records of one zone.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    /// The zone's name, with its last dot, in lower case.
    pub(super) name: String,
    soa: Record,
    servers: Vec<Record>,
    /// All other records by their owners.
    names: BTreeMap<Key, Vec<Record>>,
}

/// What kind of an answer it is (`file.Result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Success,
    NoSuchName,
    /// Other servers know.
    Delegation,
    /// The name is there, records of that type are not.
    NoData,
    /// Somebody who was asked for the rest has failed.
    Failure,
}

/// Records of answer and additional section, and what they are.
type Found = (Vec<Record>, Vec<Record>, Kind);

fn key(name: &str) -> Key {
    let mut key = labels(name).unwrap_or_default();
    for label in &mut key {
        label.make_ascii_lowercase();
    }
    key.reverse();
    key
}

fn name(key: &[Vec<u8>]) -> String {
    name_of(key.iter().rev().map(Vec::as_slice))
}

/// A record as the zone keeps it: names in lower case, but for the targets of `SRV` (`Zone.Insert`).
fn canonical(record: &Record) -> Record {
    let data = match &record.data {
        RData::Ns(host) => RData::Ns(host.to_ascii_lowercase()),
        RData::Cname(target) => RData::Cname(target.to_ascii_lowercase()),
        RData::Mx(preference, host) => RData::Mx(*preference, host.to_ascii_lowercase()),
        RData::Soa(server, mailbox, numbers) => {
            RData::Soa(server.to_ascii_lowercase(), mailbox.to_ascii_lowercase(), *numbers)
        }
        RData::A(_) | RData::Aaaa(_) | RData::Ptr(_) | RData::Srv(..) | RData::Txt(_) | RData::Other(..) => {
            record.data.clone()
        }
    };
    Record { owner: name(&key(&record.owner)), ttl: record.ttl, data }
}

fn of_kind(records: &[Record], kind: Type) -> Vec<Record> {
    records.iter().filter(|record| record.kind() == kind).cloned().collect()
}

/// Records of a wildcard as those of the name that was asked for.
fn expanded(records: &[Record], kind: Type, owner: &str) -> Vec<Record> {
    let own = |record: Record| Record { owner: owner.to_owned(), ..record };
    of_kind(records, kind).into_iter().map(own).collect()
}

/// The `CNAME` that a `DNAME` makes for a name below it (RFC 6672 section 3.1); `None` where the target is too long or the
/// record is no good.
fn synthesized(asked: &Key, depth: usize, dname: &Record) -> Option<Record> {
    let RData::Other(_, bytes) = &dname.data else { return None };
    let target = crate::base::rdata::text(Type::DNAME, bytes, None)?;
    let mut new = key(&target);
    new.extend(asked[depth..].iter().cloned());
    let target = name(&new);
    labels(&target).ok()?;
    Some(Record { owner: name(asked), ttl: dname.ttl, data: RData::Cname(target) })
}

impl Zone {
    /// The zone `name` of these records; `None` where it has no start of authority.
    pub(super) fn new(name: &str, records: &ZoneFile) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (mut soa, mut servers) = (None, Vec::new());
        let mut names: BTreeMap<Key, Vec<Record>> = BTreeMap::new();
        for record in records.records() {
            let record = canonical(record);
            if record.kind() == Type::Soa {
                soa = Some(record);
            } else if record.kind() == Type::Ns && record.owner == name {
                servers.push(record);
            } else {
                names.entry(key(&record.owner)).or_default().push(record);
            }
        }
        Some(Self { name, soa: soa?, servers, names })
    }

    /// All records in the order in which they are handed over, the start of authority at both ends (`File.Transfer`).
    pub(super) fn transfer(&self) -> Vec<Record> {
        let ends = || [self.soa.clone()].into_iter();
        ends()
            .chain(self.servers.clone())
            .chain(self.names.values().flatten().cloned())
            .chain(ends())
            .collect()
    }

    /// Answers a question about a name in the zone (`Zone.Lookup`); names elsewhere are asked for through `upstream`. `DS`
    /// records come with a delegation where `dnssec` says so.
    pub(super) fn answer(
        &self,
        question: &Question,
        dnssec: bool,
        upstream: &mut dyn Upstream,
    ) -> Result<(Answer, Kind), Pending> {
        let asked = key(&question.name);
        let (answer, additional, kind) = match self.delegation(&asked, question.kind, dnssec) {
            Some((authority, additional)) => {
                let answer = Answer { authority, additional, ..Answer::default() };
                return Ok((answer, Kind::Delegation));
            }
            None => self.found(&asked, question.kind, upstream)?,
        };
        let authority = match answer.first() {
            None => vec![self.soa.clone()],
            // They are the answer already.
            Some(first) if first.kind() == Type::Ns => Vec::new(),
            Some(_) => self.servers.clone(),
        };
        let rcode = match kind {
            Kind::Success | Kind::NoData | Kind::Delegation => Rcode::NoError,
            Kind::NoSuchName => Rcode::NxDomain,
            Kind::Failure => Rcode::ServFail,
        };
        let answer =
            Answer { rcode, authoritative: true, answer, authority, additional, ..Answer::default() };
        Ok((answer, kind))
    }

    /// Depths of the names from below the zone down to the one asked for, the zone's own among them.
    fn depths(&self, asked: &Key) -> std::ops::RangeInclusive<usize> {
        key(&self.name).len()..=asked.len()
    }

    /// The name servers of a zone that is cut off above the name, and the addresses of those of them that lie in it.
    fn delegation(&self, asked: &Key, kind: Type, dnssec: bool) -> Option<(Vec<Record>, Vec<Record>)> {
        for depth in self.depths(asked) {
            let Some(records) = self.names.get(&asked[..depth]) else { continue };
            // A DNAME on the way is used first.
            if depth < asked.len() && !of_kind(records, Type::DNAME).is_empty() {
                return None;
            }
            let mut servers = of_kind(records, Type::Ns);
            // The parent knows the keys of its child.
            if servers.is_empty() || (kind == Type::DS && depth == asked.len()) {
                continue;
            }
            let glue = self.glue(&servers);
            if dnssec {
                servers.extend(of_kind(records, Type::DS));
            }
            return Some((servers, glue));
        }
        None
    }

    fn found(&self, asked: &Key, kind: Type, upstream: &mut dyn Upstream) -> Result<Found, Pending> {
        let at_apex = asked.len() == key(&self.name).len();
        if at_apex && kind == Type::Soa {
            return Ok((vec![self.soa.clone()], Vec::new(), Kind::Success));
        }
        if at_apex && kind == Type::Ns {
            return Ok((self.servers.clone(), self.glue(&self.servers), Kind::Success));
        }
        let mut wildcard = None;
        for depth in self.depths(asked) {
            match self.names.get(&asked[..depth]) {
                Some(records) if depth < asked.len() => {
                    let dname = of_kind(records, Type::DNAME).into_iter().next();
                    let cname = dname.as_ref().and_then(|dname| synthesized(asked, depth, dname));
                    if let (Some(dname), Some(cname)) = (dname, cname) {
                        let (rest, additional, kind) = self.follow(vec![cname], kind, upstream)?;
                        return Ok(([dname].into_iter().chain(rest).collect(), additional, kind));
                    }
                }
                Some(records) => return self.own(records, kind, upstream),
                None if depth > 0 => {
                    let mut above = asked[..depth - 1].to_vec();
                    above.push(b"*".to_vec());
                    wildcard = self.names.get(&above).or(wildcard);
                }
                None => {}
            }
        }
        if let Some(records) = wildcard {
            let owner = name(asked);
            let cnames = expanded(records, Type::Cname, &owner);
            if !cnames.is_empty() && kind != Type::Cname {
                return self.follow(cnames, kind, upstream);
            }
            let own = expanded(records, kind, &owner);
            let kind = if own.is_empty() { Kind::NoData } else { Kind::Success };
            return Ok((own, Vec::new(), kind));
        }
        // A name between others that has no records of its own is there all the same.
        let mut after = self.names.range(asked.clone()..);
        let is_between = after.next().is_some_and(|(next, _)| next.starts_with(asked));
        Ok((Vec::new(), Vec::new(), if is_between { Kind::Success } else { Kind::NoSuchName }))
    }

    /// Records of a name that is there.
    fn own(&self, records: &[Record], kind: Type, upstream: &mut dyn Upstream) -> Result<Found, Pending> {
        let cnames = of_kind(records, Type::Cname);
        if !cnames.is_empty() && kind != Type::Cname {
            return self.follow(cnames, kind, upstream);
        }
        let own = of_kind(records, kind);
        if own.is_empty() {
            return Ok((own, Vec::new(), Kind::NoData));
        }
        let mut additional = Vec::new();
        for record in &own {
            if let RData::Srv(_, _, _, host) | RData::Mx(_, host) = &record.data
                && is_subdomain(&self.name, host)
            {
                additional.extend(self.addresses(host));
            }
        }
        Ok((own, additional, Kind::Success))
    }

    /// Follows a `CNAME`, within the zone and elsewhere (`externalLookup`).
    fn follow(
        &self,
        mut records: Vec<Record>,
        kind: Type,
        upstream: &mut dyn Upstream,
    ) -> Result<Found, Pending> {
        if kind == Type::Cname {
            return Ok((records, Vec::new(), Kind::Success));
        }
        let mut last = records.first().cloned();
        let mut steps = 0;
        while let Some(Record { data: RData::Cname(target), .. }) = last {
            let Some(own) = self.names.get(&key(&target)) else {
                let (rest, kind) = ask(&Question { name: target, kind }, upstream)?;
                records.extend(rest);
                return Ok((records, Vec::new(), kind));
            };
            let cnames = of_kind(own, Type::Cname);
            last = cnames.first().cloned().filter(|_| steps < CHAIN_MAX);
            if cnames.is_empty() {
                records.extend(of_kind(own, kind));
            }
            records.extend(cnames);
            steps += 1;
        }
        Ok((records, Vec::new(), Kind::Success))
    }

    /// Addresses of the servers that lie below what they serve.
    fn glue(&self, servers: &[Record]) -> Vec<Record> {
        let mut glue = Vec::new();
        for record in servers {
            if let RData::Ns(host) = &record.data
                && is_subdomain(&record.owner, host)
            {
                glue.extend(self.addresses(host));
            }
        }
        glue
    }

    fn addresses(&self, host: &str) -> Vec<Record> {
        let records = self.names.get(&key(host)).map_or(&[][..], Vec::as_slice);
        [Type::A, Type::Aaaa].into_iter().flat_map(|kind| of_kind(records, kind)).collect()
    }
}

/// A name elsewhere, asked for through the whole server (`doLookup`).
fn ask(question: &Question, upstream: &mut dyn Upstream) -> Result<(Vec<Record>, Kind), Pending> {
    let Some(found) = upstream.lookup(question)? else { return Ok((Vec::new(), Kind::Success)) };
    let kind = match found.rcode {
        Rcode::NxDomain => Kind::NoSuchName,
        Rcode::ServFail => Kind::Failure,
        Rcode::NoError if found.answer.is_empty() => Kind::NoData,
        Rcode::NoError | Rcode::FormErr | Rcode::NotImp | Rcode::Refused | Rcode::Other(_) => Kind::Success,
    };
    Ok((found.answer, kind))
}
