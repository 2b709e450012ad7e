//! The plugin `transfer`: whole zones are handed to those who may have them (RFC 5936; coredns `plugin/transfer`, and
//! `Transfer` of its plugins `file` and `kubernetes`).
//!
//! *Simplified*: nobody is notified of changes, and a transfer of what changed (RFC 1995) is a whole one.

use super::chain::{Flow, Reply, Walk};
use super::corefile::{CorefileError, Directive, error, zones_of};
use super::name::is_reverse;
use super::plugin::{Configured, Plugin, unknown, wrong_arguments};
use super::view::{EndpointEntry, ServiceEntry, View};
use super::{Answer, Kubernetes, Question, RData, Rcode, Record, Type, is_subdomain};
use crate::api::ServiceType;
use std::net::{IpAddr, SocketAddr};

/// The plugin as it is configured.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    zones: Vec<String>,
    /// Who may have the zones.
    to: Vec<IpAddr>,
    /// Whether everybody may, `to *`.
    everybody: bool,
}

impl Transfer {
    /// `transfer [ZONE...] { to HOST... }`.
    pub(super) fn configured(directive: &Directive, zones: &[String]) -> Result<Self, CorefileError> {
        let own: Vec<String> = directive.args.iter().flat_map(|zone| zones_of(zone)).collect();
        let zones = if own.is_empty() { zones.to_vec() } else { own };
        let mut plugin = Self { zones, to: Vec::new(), everybody: false };
        for property in &directive.block {
            if property.name != "to" {
                return Err(unknown(property));
            }
            if property.args.is_empty() {
                return Err(wrong_arguments(property));
            }
            for host in &property.args {
                let with_port = || host.parse::<SocketAddr>().ok().map(|at| at.ip());
                match host.parse().ok().or_else(with_port) {
                    _ if host == "*" => plugin.everybody = true,
                    Some(ip) => plugin.to.push(ip),
                    None => {
                        return Err(error(property.line, format!("must specify an IP address: `{host}'")));
                    }
                }
            }
        }
        if plugin.to.is_empty() && !plugin.everybody {
            return Err(error(directive.line, "'to' is required"));
        }
        Ok(plugin)
    }
}

impl Walk<'_> {
    /// Hands a zone over, where the question asks for one and a plugin of this block has it.
    pub(super) fn transfer(
        &mut self,
        all: &[Transfer],
        block: usize,
        at: usize,
        question: &Question,
    ) -> Flow {
        let server = self.server;
        let wanted = question.kind == Type::AXFR || question.kind == Type::IXFR;
        let depth = |transfer: &&Transfer| {
            let zones = transfer.zones.iter().filter(|zone| is_subdomain(zone, &question.name));
            zones.map(String::len).max()
        };
        let longest = all.iter().filter(|one| wanted && depth(one).is_some()).max_by_key(depth);
        let Some(transfer) = longest else { return self.next(block, at + 1, question) };
        if !transfer.everybody && !transfer.to.contains(&self.turn.client) {
            self.step("transfer", "dns.transfer.refused", &[&question.name, &self.turn.client.to_string()]);
            return Ok(Reply::Written(Answer::empty(Rcode::Refused)));
        }
        let plugins = &server.blocks[block].plugins;
        let view = self.turn.view;
        let Some(records) = plugins.iter().find_map(|plugin| records_of(plugin, view, &question.name)) else {
            return self.next(block, at + 1, question);
        };
        let count = records.len().to_string();
        self.step("transfer", "dns.transfer.sent", &[&question.name, &count]);
        if let Some(RData::Soa(_, _, [serial, ..])) = records.first().map(|record| &record.data) {
            self.logs.push(format!(
                "plugin/transfer: Outgoing transfer of {count} records of zone {} to {{remote}} for {serial} SOA serial",
                question.name
            ));
        }
        Ok(Reply::Written(Answer { authoritative: true, answer: records, ..Answer::default() }))
    }
}

/// All records of a zone, if this plugin has it.
fn records_of(plugin: &Configured, view: &View, zone: &str) -> Option<Vec<Record>> {
    match &plugin.plugin {
        Plugin::Kubernetes(kubernetes) => kubernetes.transfer(view, zone),
        Plugin::File(file) => file.zones.iter().find(|own| own.name == zone).map(super::file::Zone::transfer),
        Plugin::Passive
        | Plugin::Errors
        | Plugin::Log(_)
        | Plugin::Loadbalance
        | Plugin::Local
        | Plugin::Minimal
        | Plugin::Cache(_)
        | Plugin::Rewrite(_)
        | Plugin::Autopath(_)
        | Plugin::Template(_)
        | Plugin::Transfer(_)
        | Plugin::Hosts(_)
        | Plugin::External(_)
        | Plugin::Loop(_)
        | Plugin::Forward(_)
        | Plugin::Whoami => None,
    }
}

impl Kubernetes {
    /// All records of a zone of names; `None` where it is none of the plugin's own.
    fn transfer(&self, view: &View, zone: &str) -> Option<Vec<Record>> {
        if !self.zones.iter().any(|own| own == zone) || is_reverse(zone) {
            return None;
        }
        let record = |owner: &str, data| Record { owner: owner.to_owned(), ttl: self.ttl, data };
        let soa = self.soa(view, zone);
        let mut out = vec![soa.clone()];
        for (server, ip) in self.name_servers(view, zone) {
            let own = record(zone, RData::Ns(server.clone()));
            if !out.contains(&own) {
                out.push(own);
            }
            out.push(Record::address(&server, self.ttl, ip));
        }
        for service in view.services().filter(|service| self.exposes(view, &service.namespace)) {
            let name = format!("{}.{}.svc.{zone}", service.name, service.namespace);
            if service.kind == ServiceType::ExternalName {
                if service.external_name.parse::<IpAddr>().is_err() {
                    let target = format!("{}.", service.external_name.trim_end_matches('.'));
                    out.push(record(&name, RData::Cname(target)));
                }
            } else if !service.cluster_ips.is_empty() {
                out.extend(service.cluster_ips.iter().map(|&ip| Record::address(&name, self.ttl, ip)));
                self.ports(service, &name, &mut out);
            } else {
                self.ends(view.endpoints(&service.namespace, &service.name), &name, &mut out);
            }
        }
        out.push(soa);
        Some(out)
    }

    /// `SRV` records of a Service's ports: each under its own name, those with names under these as well.
    fn ports(&self, service: &ServiceEntry, name: &str, out: &mut Vec<Record>) {
        for port in &service.ports {
            let Ok(number) = u16::try_from(port.number) else { continue };
            let data = RData::Srv(0, 100, number, name.to_owned());
            out.push(Record { owner: name.to_owned(), ttl: self.ttl, data: data.clone() });
            if !port.name.is_empty() {
                let owner = below(name, port.protocol, &port.name);
                out.push(Record { owner, ttl: self.ttl, data });
            }
        }
    }

    /// Records of a headless Service's endpoints.
    fn ends(&self, endpoints: &[EndpointEntry], name: &str, out: &mut Vec<Record>) {
        let weight = 100_usize.checked_div(endpoints.len()).unwrap_or(0) as u16;
        for endpoint in endpoints {
            let host = format!("{}.{name}", self.endpoint_name(endpoint));
            out.push(Record::address(name, self.ttl, endpoint.ip));
            out.push(Record::address(&host, self.ttl, endpoint.ip));
            for port in endpoint.ports.iter().filter(|port| !port.name.is_empty()) {
                let Ok(number) = u16::try_from(port.number) else { continue };
                let data = RData::Srv(0, weight, number, host.clone());
                out.push(Record { owner: below(name, port.protocol, &port.name), ttl: self.ttl, data });
            }
        }
    }
}

/// The name of a Service's port.
fn below(name: &str, protocol: &str, port: &str) -> String {
    format!("_{}._{}.{name}", port.to_ascii_lowercase(), protocol.to_ascii_lowercase())
}
