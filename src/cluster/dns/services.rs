//! From a name to what it stands for (`Records`, `findServices`, `findPods`, `Reverse` of `plugin/kubernetes`).

use super::name::{is_reverse, labels_below, reverse_address};
use super::view::{EndpointEntry, Port, ServiceEntry, View};
use super::{Kubernetes, PodMode};
use crate::api::ServiceType;
use std::net::IpAddr;

/// Something that a name stands for (`msg.Service`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The full name it is found under.
    pub(super) name: String,
    /// Where it is.
    pub(super) host: Host,
    /// Its port; -1 for none.
    pub(super) port: i32,
}

/// An address or another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

/// There is no such name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoSuchName;

/// The parts of a name below the zone (`parseRequest`), in lower case.
#[derive(Clone, Debug, Default)]
struct Request {
    pods: bool,
    namespace: String,
    service: String,
    endpoint: String,
    /// Cluster of an endpoint, in a zone of several clusters.
    cluster: String,
    port: String,
    protocol: String,
}

impl Request {
    /// `None` for the zone itself and for `svc` and `pod` right below it, which exist and hold nothing.
    fn parse(labels: &[&str], multicluster: bool) -> Result<Option<Self>, NoSuchName> {
        let lower: Vec<String> = labels.iter().map(|label| label.to_ascii_lowercase()).collect();
        let mut rest: Vec<&str> = lower.iter().map(String::as_str).collect();
        let Some(kind) = rest.pop() else { return Ok(None) };
        if kind != "svc" && kind != "pod" {
            return Err(NoSuchName);
        }
        let Some(namespace) = rest.pop() else { return Ok(None) };
        let mut request = Self { pods: kind == "pod", namespace: namespace.to_owned(), ..Self::default() };
        rest.pop().unwrap_or("").clone_into(&mut request.service);
        match rest[..] {
            [] => {}
            [endpoint] => endpoint.clone_into(&mut request.endpoint),
            [endpoint, cluster]
                if multicluster && !endpoint.starts_with('_') && !cluster.starts_with('_') =>
            {
                endpoint.clone_into(&mut request.endpoint);
                cluster.clone_into(&mut request.cluster);
            }
            [port, protocol] => {
                without_underscore(port).clone_into(&mut request.port);
                without_underscore(protocol).clone_into(&mut request.protocol);
            }
            _ => return Err(NoSuchName),
        }
        Ok(Some(request))
    }

    /// An empty part of the question fits everything.
    fn fits(&self, port: &Port) -> bool {
        (self.port.is_empty() || port.name.eq_ignore_ascii_case(&self.port))
            && (self.protocol.is_empty() || port.protocol.eq_ignore_ascii_case(&self.protocol))
    }
}

pub(super) fn without_underscore(label: &str) -> &str {
    label.strip_prefix('_').unwrap_or(label)
}

impl Kubernetes {
    /// Whether names below this namespace are answered.
    pub(super) fn exposes(&self, view: &View, namespace: &str) -> bool {
        let configured = self.namespaces.is_empty() || self.namespaces.iter().any(|name| name == namespace);
        let labels = view.namespace(namespace);
        configured && labels.is_some_and(|labels| self.namespace_labels.iter().all(|test| test.holds(labels)))
    }

    /// Whether a Service has the labels that are asked for.
    pub(super) fn selects(&self, service: &ServiceEntry) -> bool {
        self.labels.iter().all(|test| test.holds(&service.labels))
    }

    /// What the name stands for; nothing where the name exists and holds nothing.
    pub(super) fn records(&self, view: &View, zone: &str, name: &str) -> Result<Vec<Found>, NoSuchName> {
        let multicluster = self.multicluster.iter().any(|known| known.eq_ignore_ascii_case(zone));
        let Some(request) = Request::parse(&labels_below(zone, name), multicluster)? else {
            return Ok(Vec::new());
        };
        if is_reverse(name) || !self.exposes(view, &request.namespace) {
            return Err(NoSuchName);
        }
        if request.pods {
            return self.find_pods(view, &request, zone);
        }
        if multicluster {
            return self.find_imports(view, &request, zone);
        }
        self.find_services(view, &request, zone)
    }

    /// Services of several clusters (`findMultiClusterServices`).
    fn find_imports(&self, view: &View, request: &Request, zone: &str) -> Result<Vec<Found>, NoSuchName> {
        if request.service.is_empty() {
            return Ok(Vec::new());
        }
        let (namespace, service) = (&request.namespace, &request.service);
        let import = view.import(namespace, service).ok_or(NoSuchName)?;
        let name = format!("{service}.{namespace}.svc.{zone}");
        let mut found = Vec::new();
        if import.headless || !request.endpoint.is_empty() {
            for (cluster, endpoint) in view.imported(namespace, service) {
                let elsewhere =
                    !request.cluster.is_empty() && !cluster.eq_ignore_ascii_case(&request.cluster);
                let name = format!("{cluster}.{name}");
                if !elsewhere {
                    found.extend(self.endpoints(std::slice::from_ref(endpoint), request, &name));
                }
            }
        } else {
            let ports = import.ports.iter().filter(|port| request.fits(port));
            found.extend(ports.flat_map(|port| at_each(&import.ips, port, &name)));
        }
        if found.is_empty() { Err(NoSuchName) } else { Ok(found) }
    }

    fn find_pods(&self, view: &View, request: &Request, zone: &str) -> Result<Vec<Found>, NoSuchName> {
        if self.pods == PodMode::Disabled {
            return Err(NoSuchName);
        }
        let name = &request.service;
        if name.is_empty() {
            return Ok(Vec::new());
        }
        let v4 = name.matches('-').count() == 3 && !name.contains("--");
        let text = name.replace('-', if v4 { "." } else { ":" });
        let ip = text.parse().map_err(|_| NoSuchName)?;
        if self.pods == PodMode::Verified && !view.has_pod(&request.namespace, ip) {
            return Err(NoSuchName);
        }
        let name = format!("{name}.{}.pod.{zone}", request.namespace);
        Ok(vec![Found { name, host: Host::Address(ip), port: 0 }])
    }

    fn find_services(&self, view: &View, request: &Request, zone: &str) -> Result<Vec<Found>, NoSuchName> {
        if request.service.is_empty() {
            return Ok(Vec::new());
        }
        let service = view.service(&request.namespace, &request.service).ok_or(NoSuchName)?;
        if !self.selects(service) {
            return Err(NoSuchName);
        }
        let endpoints =
            if self.no_endpoints { &[] } else { view.endpoints(&service.namespace, &service.name) };
        let name = format!("{}.{}.svc.{zone}", service.name, service.namespace);
        let found = if service.kind == ServiceType::ExternalName {
            external(service, request, name)
        } else if service.headless || !request.endpoint.is_empty() {
            self.endpoints(endpoints, request, &name)
        } else if self.ignore_empty_service && endpoints.is_empty() {
            Vec::new()
        } else {
            let ports = service.ports.iter().filter(|port| request.fits(port));
            if ports.clone().next().is_some() && service.cluster_ips.is_empty() {
                return Ok(Vec::new());
            }
            ports.flat_map(|port| at_each(&service.cluster_ips, port, &name)).collect()
        };
        if found.is_empty() { Err(NoSuchName) } else { Ok(found) }
    }

    fn endpoints(&self, endpoints: &[EndpointEntry], request: &Request, name: &str) -> Vec<Found> {
        let mut found = Vec::new();
        for endpoint in endpoints {
            let host = self.endpoint_name(endpoint);
            if !request.endpoint.is_empty() && !host.eq_ignore_ascii_case(&request.endpoint) {
                continue;
            }
            for port in endpoint.ports.iter().filter(|port| request.fits(port)) {
                let name = format!("{host}.{name}");
                found.push(Found { name, host: Host::Address(endpoint.ip), port: port.number });
            }
        }
        found
    }

    /// Its host name, its Pod's name where that is wanted and fits a label, or its address with dashes
    /// (`endpointHostname`).
    pub(super) fn endpoint_name(&self, endpoint: &EndpointEntry) -> String {
        if let Some(name) = &endpoint.hostname {
            return name.clone();
        }
        if let Some(pod) = endpoint.pod.as_ref().filter(|pod| self.endpoint_pod_names && fits_label(pod)) {
            return pod.clone();
        }
        let text = endpoint.ip.to_string().replace(['.', ':'], "-");
        // A label may not end in a dash (RFC 1035 section 2.3.1).
        if text.ends_with('-') { text + "0" } else { text }
    }

    /// What an address is called.
    pub(super) fn reverse(&self, view: &View, zone: &str, name: &str) -> Result<Vec<String>, NoSuchName> {
        let Some(ip) = reverse_address(name) else {
            return self.records(view, zone, name).map(|_| Vec::new());
        };
        let hidden = |namespace: &str| !self.namespaces.is_empty() && !self.exposes(view, namespace);
        let primary = self.primary_zone();
        if let Some(service) =
            view.service_with_ip(ip).filter(|found| self.selects(found) && !hidden(&found.namespace))
        {
            return Ok(vec![format!("{}.{}.svc.{primary}", service.name, service.namespace)]);
        }
        let mut names = Vec::new();
        for (namespace, service) in
            view.services_with_endpoint(ip).filter(|(namespace, _)| !hidden(namespace))
        {
            for endpoint in view.endpoints(namespace, service).iter().filter(|endpoint| endpoint.ip == ip) {
                let name = format!("{}.{service}.{namespace}.svc.{primary}", self.endpoint_name(endpoint));
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        if names.is_empty() { Err(NoSuchName) } else { Ok(names) }
    }

    /// The first zone that is none of addresses.
    fn primary_zone(&self) -> &str {
        self.zones.iter().find(|zone| !is_reverse(zone)).map_or("cluster.local.", String::as_str)
    }

    /// Names and addresses of the server itself (`nsAddrs`): its Service's where one covers it, else `ns.dns.ZONE`.
    pub(super) fn name_servers(&self, view: &View, zone: &str) -> Vec<(String, IpAddr)> {
        let mut servers = Vec::new();
        for &local in &view.local {
            for (namespace, name) in view.services_with_endpoint(local) {
                let Some(service) = view.service(namespace, name) else { continue };
                let full = format!("{name}.{namespace}.svc.{zone}");
                if service.headless {
                    let endpoints = view.endpoints(namespace, name).iter();
                    servers.extend(endpoints.map(|at| (format!("{}.{full}", self.endpoint_name(at)), at.ip)));
                } else {
                    servers.extend(service.cluster_ips.iter().map(|&ip| (full.clone(), ip)));
                }
            }
        }
        if servers.is_empty() {
            servers.extend(view.local.iter().map(|&local| (format!("ns.dns.{zone}"), local)));
        }
        servers
    }
}

/// Names have no parts below an `ExternalName`.
fn external(service: &ServiceEntry, request: &Request, name: String) -> Vec<Found> {
    let below = !(request.endpoint.is_empty() && request.port.is_empty() && request.protocol.is_empty());
    // An address in place of the name yields nothing.
    if below || service.external_name.parse::<IpAddr>().is_ok() {
        return Vec::new();
    }
    let target = format!("{}.", service.external_name.trim_end_matches('.'));
    vec![Found { name, host: Host::Name(target), port: 0 }]
}

fn at_each<'a>(ips: &'a [IpAddr], port: &'a Port, name: &'a str) -> impl Iterator<Item = Found> + 'a {
    ips.iter().map(|&ip| Found { name: name.to_owned(), host: Host::Address(ip), port: port.number })
}

/// Whether a Pod's name can be a label: at most 63 characters, and no dots.
fn fits_label(name: &str) -> bool {
    name.len() <= 63 && !name.contains('.')
}
