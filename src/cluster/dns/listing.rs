//! All that the plugin `kubernetes` answers, as a list of records: each name that the view gives rise to is asked for.

use super::name::is_reverse;
use super::view::View;
use super::{Kubernetes, NoUpstream, Outcome, Question, Record, Type};
use crate::base::dns::reverse_name;

impl Kubernetes {
    /// The records of its zones: the apex, then Service by Service the names, places and endpoints, then the addresses
    /// the other way round. Pods are left out, whose names only repeat their addresses.
    pub fn listing(&self, view: &View) -> Vec<Record> {
        let mut list = Listing { plugin: self, view, records: Vec::new() };
        for zone in self.zones.iter().filter(|zone| !is_reverse(zone)) {
            list.ask(zone, Type::Soa);
            list.ask(zone, Type::Ns);
            list.ask(&format!("dns-version.{zone}"), Type::Txt);
            for service in view.services() {
                let name = format!("{}.{}.svc.{zone}", service.name, service.namespace);
                for kind in [Type::Cname, Type::A, Type::Aaaa] {
                    list.ask(&name, kind);
                }
                for port in service.ports.iter().filter(|port| !port.name.is_empty()) {
                    let protocol = port.protocol.to_ascii_lowercase();
                    list.ask(&format!("_{}._{protocol}.{name}", port.name), Type::Srv);
                }
                for endpoint in view.endpoints(&service.namespace, &service.name) {
                    let kind = if endpoint.ip.is_ipv4() { Type::A } else { Type::Aaaa };
                    list.ask(&format!("{}.{name}", self.endpoint_name(endpoint)), kind);
                }
            }
        }
        for service in view.services() {
            let endpoints = view.endpoints(&service.namespace, &service.name).iter();
            let ips = service.cluster_ips.iter().copied().chain(endpoints.map(|endpoint| endpoint.ip));
            for ip in ips {
                list.ask(&reverse_name(ip), Type::Ptr);
            }
        }
        list.records
    }
}

struct Listing<'a> {
    plugin: &'a Kubernetes,
    view: &'a View,
    records: Vec<Record>,
}

impl Listing<'_> {
    fn ask(&mut self, name: &str, kind: Type) {
        let question = Question { name: name.to_owned(), kind };
        let Ok(Outcome::Answered(answer)) = self.plugin.answer(self.view, &question, &mut NoUpstream) else {
            return;
        };
        for record in answer.answer {
            // What a CNAME leads to is listed where it belongs.
            if record.kind() == kind && record.owner == name && !self.records.contains(&record) {
                self.records.push(record);
            }
        }
    }
}
