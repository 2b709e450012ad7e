//! Answers from zones, for the plugins `file`, `hosts` and `template` and for servers outside the cluster.

use super::name::{is_subdomain, labels_below};
use super::{Answer, Question, RData, Rcode, Record, Type};
pub use crate::base::zone::{ZoneError, ZoneFile};
use std::collections::BTreeSet;

/// Longest chain of `CNAME` records that is followed.
const CNAMES: usize = 8;

impl ZoneFile {
    /// Records of this name and type, as the question writes the name.
    fn find<'r>(&'r self, name: &'r str, kind: Type) -> impl Iterator<Item = Record> + 'r {
        let fits = move |record: &&Record| {
            record.owner.eq_ignore_ascii_case(name) && (record.kind() == kind || kind == Type::ANY)
        };
        self.records()
            .iter()
            .filter(fits)
            .map(move |record| Record { owner: name.to_owned(), ..record.clone() })
    }

    fn has_name(&self, name: &str) -> bool {
        self.records().iter().any(|record| is_subdomain(name, &record.owner))
    }

    /// The records that stand for a name: its own, or those of the wildcard above it (RFC 4592).
    fn source(&self, name: &str, zone: &str) -> Option<String> {
        if self.has_name(name) {
            return Some(name.to_owned());
        }
        let below = labels_below(zone, name);
        for skip in 1..=below.len() {
            let parent = if skip == below.len() {
                zone.to_owned()
            } else {
                format!("{}.{}", below[skip..].join("."), if zone == "." { "" } else { zone })
            };
            let wildcard = format!("*.{parent}");
            if self.records().iter().any(|record| record.owner.eq_ignore_ascii_case(&wildcard)) {
                return Some(wildcard);
            }
            // The closest name that exists ends the search.
            if self.has_name(&parent) {
                return None;
            }
        }
        None
    }

    /// Where the zone leaves a name to the servers of another one: the referral (RFC 1034 section 4.3.2, step 3b).
    pub fn delegation(&self, question: &Question, zone: &str) -> Option<Answer> {
        let is_cut = |record: &&Record| {
            record.kind() == Type::Ns
                && !record.owner.eq_ignore_ascii_case(zone)
                && is_subdomain(zone, &record.owner)
                && is_subdomain(&record.owner, &question.name)
        };
        let cut = self.records().iter().filter(is_cut).min_by_key(|record| record.owner.len())?;
        let authority: Vec<Record> = self.find(&cut.owner, Type::Ns).collect();
        let mut out = Answer { authority, ..Answer::default() };
        for record in out.authority.clone() {
            if let RData::Ns(host) = &record.data {
                out.additional.extend(self.find(host, Type::A));
                out.additional.extend(self.find(host, Type::Aaaa));
            }
        }
        Some(out)
    }

    /// The answer for a question about `zone`, authoritative.
    pub fn answer(&self, question: &Question, zone: &str) -> Answer {
        let mut out = Answer { authoritative: true, ..Answer::default() };
        let mut name = question.name.clone();
        for _ in 0..=CNAMES {
            let Some(source) = self.source(&name, zone) else {
                if out.answer.is_empty() {
                    out.rcode = Rcode::NxDomain;
                }
                break;
            };
            let owned = |record: Record| Record { owner: name.clone(), ..record };
            let found: Vec<Record> = self.find(&source, question.kind).map(owned).collect();
            if !found.is_empty() {
                out.answer.extend(found);
                break;
            }
            let Some(cname) = self.find(&source, Type::Cname).map(owned).next() else { break };
            let RData::Cname(target) = cname.data.clone() else { break };
            out.answer.push(cname);
            if !is_subdomain(zone, &target) {
                break;
            }
            name = target;
        }
        let is_denial = !out.answer.iter().any(|record| record.kind() == question.kind)
            && question.kind != Type::ANY
            && !out.answer.iter().any(|record| record.kind() == Type::Cname);
        if is_denial {
            out.authority.extend(self.find(zone, Type::Soa));
        }
        self.add_glue(&mut out);
        out
    }

    /// Addresses of the hosts that the answer names.
    fn add_glue(&self, out: &mut Answer) {
        let mut hosts = BTreeSet::new();
        for record in &out.answer {
            if let RData::Srv(_, _, _, host) | RData::Mx(_, host) | RData::Ns(host) = &record.data {
                hosts.insert(host.clone());
            }
        }
        for host in &hosts {
            out.additional.extend(self.find(host, Type::A));
            out.additional.extend(self.find(host, Type::Aaaa));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "$TTL 1h
@ IN SOA ns admin (
    1 ; serial
    7200 1800 1d 60 )
  IN NS ns
ns 300 A 192.0.2.53
www CNAME web
web A 192.0.2.1
*.dev IN 5 A 192.0.2.9
a.b.c TXT \"two words\" three
";

    #[test]
    fn a_zone_answers_with_names_wildcards_and_denials() {
        let zone = ZoneFile::parse(ZONE, "example.org.").unwrap();
        let ask = |name: &str, kind| {
            let question = Question { name: format!("{name}.example.org."), kind };
            let answer = zone.answer(&question, "example.org.");
            let all = answer.answer.iter().chain(&answer.authority);
            (answer.rcode, all.map(ToString::to_string).collect::<Vec<_>>())
        };
        let soa = "example.org. 3600 SOA ns.example.org. admin.example.org. 1 7200 1800 86400 60".to_owned();
        assert_eq!(
            ask("www", Type::A).1,
            ["www.example.org. 3600 CNAME web.example.org.", "web.example.org. 3600 A 192.0.2.1"]
        );
        assert_eq!(ask("x.dev", Type::A).1, ["x.dev.example.org. 5 A 192.0.2.9"]);
        assert_eq!(ask("web", Type::Aaaa), (Rcode::NoError, vec![soa.clone()]));
        assert_eq!(ask("b.c", Type::A), (Rcode::NoError, vec![soa.clone()]));
        assert_eq!(ask("none", Type::A), (Rcode::NxDomain, vec![soa]));
        assert_eq!(ask("a.b.c", Type::Txt).1, ["a.b.c.example.org. 3600 TXT \"two words\" \"three\""]);
        assert_eq!(zone.zones().into_iter().collect::<Vec<_>>(), ["example.org."]);
    }
}
