//! The plugin `k8s_external`: names of Services by their external addresses (`plugin/k8s_external`, and `external.go`
//! of `plugin/kubernetes`, from whose cluster it answers).

use super::corefile::{CorefileError, Directive, error, zones_of};
use super::name::{labels_below, reverse_address};
use super::plugin::{fallthrough, unknown, wrong_arguments};
use super::services::without_underscore;
use super::view::{Port, View};
use super::{Answer, Kubernetes, Pending, Question, RData, Rcode, Record, Type, Upstream, is_subdomain};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The plugin as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct External {
    pub(super) zones: Vec<String>,
    apex: String,
    hostmaster: String,
    ttl: u32,
    headless: bool,
    pub(super) fallthrough: Option<Vec<String>>,
}

/// Something that a name stands for.
struct Place {
    /// An address, or a load balancer's name.
    host: String,
    port: i32,
    /// The name that it is found under.
    name: String,
}

impl External {
    /// `k8s_external [ZONE...] { ... }`.
    pub(super) fn configured(directive: &Directive, zones: &[String]) -> Result<Self, CorefileError> {
        let own: Vec<String> = directive.args.iter().flat_map(|zone| zones_of(zone)).collect();
        let mut plugin = Self {
            zones: if own.is_empty() { zones.to_vec() } else { own },
            apex: "dns".to_owned(),
            hostmaster: "hostmaster".to_owned(),
            ttl: 5,
            headless: false,
            fallthrough: None,
        };
        for property in &directive.block {
            let first = property.args.first();
            match (property.name.as_str(), first) {
                ("apex", Some(apex)) => plugin.apex.clone_from(apex),
                ("ttl", Some(text)) => {
                    let ttl = text.parse().ok().filter(|ttl| *ttl <= 3600);
                    plugin.ttl = ttl.ok_or_else(|| {
                        error(property.line, format!("ttl must be in range [0, 3600]: {text}"))
                    })?;
                }
                ("headless", None) => plugin.headless = true,
                ("fallthrough", _) => plugin.fallthrough = Some(fallthrough(property)),
                ("apex" | "ttl" | "headless", _) => return Err(wrong_arguments(property)),
                _ => return Err(unknown(property)),
            }
        }
        Ok(plugin)
    }

    fn soa(&self, view: &View, zone: &str) -> Record {
        let server = format!("ns1.{}.{zone}", self.apex);
        let mailbox = format!("{}.{}.{zone}", self.hostmaster, self.apex);
        let data = RData::Soa(server, mailbox, [view.serial, 7200, 1800, 86400, self.ttl]);
        Record { owner: zone.to_owned(), ttl: self.ttl, data }
    }

    /// Answers; `None` where the question is left to the next plugin.
    pub(super) fn answer(
        &self,
        kubernetes: &Kubernetes,
        view: &View,
        question: &Question,
        upstream: &mut dyn Upstream,
    ) -> Result<Option<Answer>, Pending> {
        let lower = question.name.to_ascii_lowercase();
        let zone = self.zones.iter().filter(|zone| is_subdomain(zone, &lower)).max_by_key(|zone| zone.len());
        let Some(zone) = zone else { return Ok(None) };
        let mut answer = Answer { authoritative: true, ..Answer::default() };
        if lower == *zone {
            self.apex(kubernetes, view, question, zone, &mut answer);
        } else if is_subdomain(&format!("{}.{zone}", self.apex), &lower) {
            self.below_apex(kubernetes, view, question, zone, &mut answer);
        } else {
            let places = self.places(kubernetes, view, question.kind, &lower, zone);
            let places = match places {
                Ok(places) => places,
                Err(rcode) => {
                    let falls = super::plugin::falls_through(self.fallthrough.as_deref(), &lower);
                    if falls && rcode == Rcode::NxDomain {
                        return Ok(None);
                    }
                    answer.rcode = rcode;
                    Vec::new()
                }
            };
            self.fill(&places, question, upstream, &mut answer)?;
        }
        if answer.answer.is_empty() {
            answer.authority = vec![self.soa(view, zone)];
        }
        Ok(Some(answer))
    }

    /// The zone itself: `SOA` and `NS`.
    fn apex(
        &self,
        kubernetes: &Kubernetes,
        view: &View,
        question: &Question,
        zone: &str,
        answer: &mut Answer,
    ) {
        match question.kind {
            Type::Soa => answer.answer.push(self.soa(view, zone)),
            Type::Ns => {
                let server = format!("ns1.{}.{}", self.apex, question.name);
                let owner = zone.to_owned();
                answer.answer.push(Record { owner, ttl: self.ttl, data: RData::Ns(server.clone()) });
                let addresses = self.own_addresses(kubernetes, view);
                answer
                    .additional
                    .extend(addresses.into_iter().map(|ip| Record::address(&server, self.ttl, ip)));
            }
            Type::A
            | Type::Aaaa
            | Type::Cname
            | Type::Ptr
            | Type::Srv
            | Type::Txt
            | Type::Mx
            | Type::Other(_) => {}
        }
    }

    /// The part of the zone in which the server itself has its name.
    fn below_apex(
        &self,
        kubernetes: &Kubernetes,
        view: &View,
        question: &Question,
        zone: &str,
        answer: &mut Answer,
    ) {
        let labels = labels_below(zone, &question.name);
        match labels[..] {
            [_] => {}
            [server, _] if server.eq_ignore_ascii_case("ns1") => {
                let addresses = self.own_addresses(kubernetes, view).into_iter();
                let records = addresses.map(|ip| Record::address(&question.name, self.ttl, ip));
                answer.answer.extend(records.filter(|record| record.kind() == question.kind));
            }
            _ => answer.rcode = Rcode::NxDomain,
        }
    }

    /// Addresses from outside of the server itself (`nsAddrs` for the outside).
    fn own_addresses(&self, kubernetes: &Kubernetes, view: &View) -> Vec<IpAddr> {
        let mut found = Vec::new();
        let mut covered = false;
        for &local in &view.local {
            for (namespace, name) in view.services_with_endpoint(local) {
                let Some(service) = view.service(namespace, name).filter(|found| kubernetes.selects(found))
                else {
                    continue;
                };
                covered = true;
                if self.headless && service.headless {
                    found.extend(view.endpoints(namespace, name).iter().map(|endpoint| endpoint.ip));
                } else {
                    found.extend(service.external.iter().filter_map(|text| text.parse::<IpAddr>().ok()));
                }
            }
        }
        if covered { found } else { view.local.clone() }
    }

    /// What a name stands for (`Kubernetes.External`); an error code where it stands for nothing.
    fn places(
        &self,
        kubernetes: &Kubernetes,
        view: &View,
        kind: Type,
        name: &str,
        zone: &str,
    ) -> Result<Vec<Place>, Rcode> {
        if kind == Type::Ptr
            && let Some(ip) = reverse_address(name)
        {
            return self.reverse(kubernetes, view, ip);
        }
        let labels = labels_below(zone, name);
        let (endpoint, port, protocol, service, namespace) = match labels[..] {
            [namespace] if kubernetes.exposes(view, namespace) => return Err(Rcode::NoError),
            [service, namespace] => ("", "", "", service, namespace),
            [endpoint, service, namespace] => (without_underscore(endpoint), "", "", service, namespace),
            [port, protocol, service, namespace] => {
                ("", without_underscore(port), without_underscore(protocol), service, namespace)
            }
            _ => return Err(Rcode::NxDomain),
        };
        if !kubernetes.exposes(view, namespace) {
            return Err(Rcode::NxDomain);
        }
        let found = view.service(namespace, service).filter(|found| kubernetes.selects(found));
        let found = found.ok_or(Rcode::NxDomain)?;
        let fits = |at: &Port| {
            (port.is_empty() || at.name.eq_ignore_ascii_case(port))
                && (protocol.is_empty() || at.protocol.eq_ignore_ascii_case(protocol))
        };
        let base = format!("{service}.{namespace}.{zone}");
        let mut places = Vec::new();
        if self.headless && found.external.is_empty() && (found.headless || !endpoint.is_empty()) {
            for at in view.endpoints(namespace, service) {
                let host = kubernetes.endpoint_name(at);
                if !endpoint.is_empty() && !host.eq_ignore_ascii_case(endpoint) {
                    continue;
                }
                let ports = at.ports.iter().filter(|port| fits(port));
                places.extend(ports.map(|port| Place {
                    host: at.ip.to_string(),
                    port: port.number,
                    name: format!("{host}.{base}"),
                }));
            }
        } else {
            for host in &found.external {
                let ports = found.ports.iter().filter(|port| fits(port));
                places.extend(ports.map(|port| Place {
                    host: host.clone(),
                    port: port.number,
                    name: base.clone(),
                }));
            }
        }
        if places.is_empty() {
            return Err(Rcode::NxDomain);
        }
        // A question for the name of a name has no answer, but the name is there.
        if kind == Type::Ptr { Err(Rcode::NoError) } else { Ok(places) }
    }

    fn reverse(&self, kubernetes: &Kubernetes, view: &View, ip: IpAddr) -> Result<Vec<Place>, Rcode> {
        let exposed =
            |namespace: &str| kubernetes.namespaces.is_empty() || kubernetes.exposes(view, namespace);
        let services = view.services_with_external(ip).filter(|(namespace, _)| exposed(namespace));
        let zone = self.zones.first().map_or("", String::as_str);
        let places: Vec<Place> = services
            .map(|(namespace, service)| Place {
                host: format!("{service}.{namespace}.{zone}"),
                port: 0,
                name: String::new(),
            })
            .collect();
        if places.is_empty() { Err(Rcode::NxDomain) } else { Ok(places) }
    }

    fn fill(
        &self,
        places: &[Place],
        question: &Question,
        upstream: &mut dyn Upstream,
        answer: &mut Answer,
    ) -> Result<(), Pending> {
        match question.kind {
            Type::A | Type::Aaaa => self.addresses(places, question, upstream, answer),
            Type::Srv => self.services(places, question, upstream, answer),
            Type::Ptr => {
                for place in places {
                    let data = RData::Ptr(place.host.clone());
                    push_new(
                        &mut answer.answer,
                        Record { owner: question.name.clone(), ttl: self.ttl, data },
                    );
                }
                Ok(())
            }
            Type::Cname | Type::Txt | Type::Soa | Type::Ns | Type::Mx | Type::Other(_) => Ok(()),
        }
    }

    fn addresses(
        &self,
        places: &[Place],
        question: &Question,
        upstream: &mut dyn Upstream,
        answer: &mut Answer,
    ) -> Result<(), Pending> {
        for place in places {
            if let Ok(ip) = place.host.parse::<IpAddr>() {
                let record = Record::address(&question.name, self.ttl, ip);
                if record.kind() == question.kind {
                    push_new(&mut answer.answer, record);
                }
                continue;
            }
            let target = with_dot(&place.host);
            let data = RData::Cname(target.clone());
            answer.answer.push(Record { owner: question.name.clone(), ttl: self.ttl, data });
            if let Some(found) = upstream.lookup(&Question { name: target, kind: question.kind })? {
                answer.truncated |= found.truncated;
                answer.answer.extend(found.answer);
            }
        }
        Ok(())
    }

    fn services(
        &self,
        places: &[Place],
        question: &Question,
        upstream: &mut dyn Upstream,
        answer: &mut Answer,
    ) -> Result<(), Pending> {
        let weight = 100_usize.checked_div(places.len()).unwrap_or(0) as u16;
        let (mut targets, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for place in places {
            let Ok(port) = u16::try_from(place.port) else { continue };
            let ip = place.host.parse::<IpAddr>().ok();
            let target = if ip.is_some() { place.name.clone() } else { with_dot(&place.host) };
            if targets.insert((target.clone(), port)) {
                let data = RData::Srv(0, weight, port, target.clone());
                answer.answer.push(Record { owner: question.name.clone(), ttl: self.ttl, data });
            }
            if !addresses.insert((target.clone(), place.host.clone())) {
                continue;
            }
            if let Some(ip) = ip {
                answer.additional.push(Record::address(&target, self.ttl, ip));
                continue;
            }
            for kind in [Type::A, Type::Aaaa] {
                let found = upstream.lookup(&Question { name: target.clone(), kind })?;
                answer.additional.extend(found.into_iter().flat_map(|found| found.answer));
            }
        }
        Ok(())
    }
}

fn with_dot(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn push_new(records: &mut Vec<Record>, record: Record) {
    if !records.contains(&record) {
        records.push(record);
    }
}
