//! Services in the API server, and the controllers around them: addresses are allocated when a Service is created,
//! the endpoint controller follows the Pods, and each node's kube-proxy follows both.

use super::control::ControlPlane;
use super::endpoints::Doubtful;
use super::furniture::is_api_service;
use super::health::Servers;
use super::kube_proxy;
use super::world::{Patience, Wakeup, World, with};
use crate::api::{Endpoint, EndpointSlice, Protocol, Service, ServiceSpec, ServiceType, TrafficPolicy};
use crate::base::{Duration, Ipv4Addr, NetnsId, ObjectKey, SimTime};
use crate::cluster::configuration;
use crate::cluster::dns::View;
use crate::cluster::proxy::{self, Config, Family, Frontend, Watched};
use crate::cluster::services;
use crate::kernel::SocketServices;
use crate::trace::{
    EndpointRow, ServiceChange, ServicePortRow, ServiceRow, SliceRow, TableChange, Transport,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// How long a kube-proxy takes after a change of endpoints.
const PROXY: Duration = Duration::from_ms(20);
/// kube-proxy writes its rules at most so often (`iptables.minSyncPeriod`).
const MIN_SYNC: Duration = Duration::from_secs(1);

/// Namespace and name.
pub(super) type Key = (String, String);

/// Services and their endpoints.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    objects: BTreeMap<Key, Arc<Service>>,
    created: BTreeMap<Key, SimTime>,
    /// Slices by namespace and name: those of the endpoint controller and those that the user wrote.
    pub(super) slices: BTreeMap<Key, (Arc<EndpointSlice>, SimTime)>,
    /// The slices that stand for each object of endpoints that the user wrote.
    pub(super) written: BTreeMap<ObjectKey, Vec<Key>>,
    /// Services whose endpoints have hints by their topology mode.
    pub(super) hinted: BTreeSet<Key>,
    /// What the endpoint controllers have to look at.
    pub(super) doubtful: Doubtful,
    /// Whether the kube-proxies are about to write, and when they last did.
    writing: bool,
    wrote: Option<SimTime>,
    /// What Cilium's programs at the sockets of each node know.
    at_sockets: BTreeMap<Arc<str>, Arc<SocketServices>>,
    /// Whether the provider of load balancers is about to look.
    pub(super) balancing: bool,
    /// Identities of the Services whose load balancers are about to go.
    pub(super) leaving: BTreeSet<Arc<str>>,
    /// The machine that balances.
    pub(super) balancer: Option<NetnsId>,
    /// Servers for health checks.
    pub(super) health: Servers,
}

impl Services {
    /// The nodes are gone, with the rules of their kube-proxies.
    pub(super) fn forget_proxies(&mut self) {
        self.wrote = None;
        self.balancer = None;
        self.at_sockets.clear();
        self.health.clear();
    }

    /// All Services in the order of namespace and name.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.objects.values()
    }

    /// A Service.
    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Service>> {
        self.objects.get(key)
    }

    /// Whether the user wrote this slice.
    pub(super) fn is_written(&self, slice: &EndpointSlice) -> bool {
        let (namespace, name) = (&slice.metadata.namespace, &slice.metadata.name);
        self.written.contains_key(&ObjectKey::new("EndpointSlice", namespace, name))
    }

    /// All slices.
    pub(super) fn slices(&self) -> impl Iterator<Item = &EndpointSlice> {
        self.slices.values().map(|(slice, _)| &**slice)
    }

    /// Shows all Services and slices to a DNS server.
    pub(super) fn tell(&self, view: &mut View) {
        self.objects.values().for_each(|service| view.add_service(service));
        self.slices.values().for_each(|(slice, _)| view.add_slice(slice));
    }

    /// Whether a Service has this address.
    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        self.objects.values().any(|service| service.cluster_ips().contains(&ip))
    }

    /// Addresses of the ready endpoints of Services.
    pub(super) fn endpoints_of(&self, is_it: impl Fn(&Service) -> bool) -> Vec<IpAddr> {
        let keys: BTreeSet<(&str, &str)> = self
            .objects
            .values()
            .filter(|service| is_it(service))
            .map(|service| (service.metadata.namespace.as_str(), service.metadata.name.as_str()))
            .collect();
        let own = |slice: &&Arc<EndpointSlice>| {
            slice.service().is_some_and(|name| keys.contains(&(slice.metadata.namespace.as_str(), name)))
        };
        let slices = self.slices.values().map(|(slice, _)| slice).filter(own);
        let ready = slices.flat_map(|slice| slice.endpoints.iter().filter(|endpoint| endpoint.is_ready()));
        ready.flat_map(|endpoint| endpoint.addresses.iter().filter_map(|text| text.parse().ok())).collect()
    }
}

impl ControlPlane {
    /// A Service comes or changes; its object takes the addresses that it was given.
    pub(super) fn write_service(&mut self, world: &mut dyn World, wanted: &Arc<Service>, value: &Arc<Value>) {
        let service = self.apply_service(world, wanted);
        let key = ObjectKey::new("Service", &wanted.metadata.namespace, &wanted.metadata.name);
        self.put(world, &key, &"v1".into(), Arc::new(with_addresses(value, &service.spec)));
        self.services_applied(world);
    }

    /// A Service goes.
    pub(super) fn remove_service(&mut self, world: &mut dyn World, key: &ObjectKey) {
        let at = (key.namespace.to_string(), key.name.to_string());
        let gone = self.services.objects.remove(&at);
        self.services.created.remove(&at);
        world.record(TableChange::Service(ServiceChange::ServiceGone(
            key.namespace.clone(),
            key.name.clone(),
        )));
        self.service_changed(world, (gone.as_deref(), None));
        self.services_applied(world);
    }

    /// The variables by which containers of a namespace know its Services, and the API server's.
    pub(super) fn service_variables(&self, namespace: &str) -> Vec<(String, String)> {
        let of = |(key, _): &(&Key, &Arc<Service>)| {
            key.0 == namespace || (key.0 == "default" && key.1 == "kubernetes")
        };
        configuration::service_variables(
            self.services.objects.iter().filter(of).map(|(_, service)| &**service),
        )
    }

    /// Those who follow Services are woken.
    pub(super) fn services_applied(&mut self, world: &mut dyn World) {
        self.balancers_changed(world);
        self.endpoints_changed(world);
    }

    fn apply_service(&mut self, world: &mut dyn World, wanted: &Arc<Service>) -> Arc<Service> {
        let key = key_of(&wanted.metadata);
        let old = self.services.objects.get(&key).cloned();
        let mut service = (**wanted).clone();
        self.allocate(world, &mut service, old.as_deref());
        if let Some(old) = old.filter(|old| **old == service) {
            return old;
        }
        let service = Arc::new(service);
        self.put_service(world, &service);
        service
    }

    /// A Service as it stands now.
    pub(super) fn put_service(&mut self, world: &mut dyn World, service: &Arc<Service>) {
        let key = key_of(&service.metadata);
        let created = *self.services.created.entry(key.clone()).or_insert(world.now());
        world.record(TableChange::Service(ServiceChange::Service(Box::new(service_row(service, created)))));
        let old = self.services.objects.insert(key, service.clone());
        self.service_changed(world, (old.as_deref(), Some(service)));
    }

    /// Gives a Service the addresses and ports that it does not name itself, the ones it had where it had some.
    fn allocate(&self, world: &mut dyn World, service: &mut Service, old: Option<&Service>) {
        let Some(cluster) = &self.cluster else { return };
        let others = || self.services.objects.values().filter(|other| other.metadata != service.metadata);
        let spec = &mut service.spec;
        if spec.cluster_ip.is_empty() && spec.r#type != ServiceType::ExternalName {
            let mut taken: BTreeSet<Ipv4Addr> =
                others().filter_map(|other| other.spec.cluster_ip.parse().ok()).collect();
            taken.extend(cluster.dns.service_ip);
            let kept = old.map(|old| old.spec.cluster_ip.clone()).filter(|ip| ip.parse::<Ipv4Addr>().is_ok());
            let fresh = || {
                let range = cluster.network.service_cidr;
                services::allocate_cluster_ip(range, &taken, world.rng()).map(|ip| ip.to_string())
            };
            spec.cluster_ip = kept.or_else(fresh).unwrap_or_default();
        }
        if spec.cluster_ips.is_empty() && !spec.cluster_ip.is_empty() {
            spec.cluster_ips = vec![spec.cluster_ip.clone()];
        }
        if !matches!(spec.r#type, ServiceType::NodePort | ServiceType::LoadBalancer) {
            return;
        }
        if spec.r#type == ServiceType::LoadBalancer && service.status.load_balancer.ingress.is_empty() {
            service.status = old.map(|old| old.status.clone()).unwrap_or_default();
        }
        let mut taken: BTreeSet<u16> =
            others().flat_map(|other| &other.spec.ports).map(|port| port.node_port).collect();
        taken.extend(others().map(|other| other.spec.health_check_node_port));
        taken.extend(spec.ports.iter().map(|port| port.node_port));
        taken.insert(spec.health_check_node_port);
        let is_local = spec.external_traffic_policy == Some(TrafficPolicy::Local);
        let is_balanced = spec.r#type == ServiceType::LoadBalancer;
        if is_balanced && is_local && spec.health_check_node_port == 0 {
            let had = old.map(|old| old.spec.health_check_node_port).filter(|port| *port != 0);
            let port = had.or_else(|| services::allocate_node_port(&taken, world.rng()));
            spec.health_check_node_port = port.unwrap_or(0);
            taken.insert(spec.health_check_node_port);
        }
        if is_balanced && spec.allocate_load_balancer_node_ports == Some(false) {
            return;
        }
        // A new Service has one for each of its ports, whatever protocols it has there (`initNodePorts`).
        let is_new = old.is_none();
        let mut given: BTreeMap<u16, u16> = BTreeMap::new();
        for port in spec.ports.iter().rev().filter(|port| is_new && port.node_port != 0) {
            given.insert(port.port, port.node_port);
        }
        for port in spec.ports.iter_mut().filter(|port| port.node_port == 0) {
            if let Some(number) = given.get(&port.port) {
                port.node_port = *number;
                continue;
            }
            let had = old
                .into_iter()
                .flat_map(|old| &old.spec.ports)
                .find(|had| (had.port, had.protocol) == (port.port, port.protocol) && had.node_port != 0);
            let fresh = |rng| services::allocate_node_port(&taken, rng);
            port.node_port = had.map_or_else(|| fresh(world.rng()), |had| Some(had.node_port)).unwrap_or(0);
            taken.insert(port.node_port);
            if is_new {
                given.insert(port.port, port.node_port);
            }
        }
    }

    /// Endpoints or Services changed; the kube-proxies will write their rules.
    pub(super) fn endpoints_changed(&mut self, world: &mut dyn World) {
        // Before the first Service but the API server's own there is nothing to write.
        let idle =
            self.services.wrote.is_none() && self.services.all().all(|service| is_api_service(service));
        if idle || std::mem::replace(&mut self.services.writing, true) {
            return;
        }
        let soonest = world.now() + PROXY;
        let allowed = self.services.wrote.map_or(soonest, |wrote| wrote + MIN_SYNC);
        let after = Duration(soonest.max(allowed).0 - world.now().0);
        world.wake_in(after, Patience::Prompt, Wakeup::ProxyRules);
    }

    /// Every kube-proxy writes the rules for what is there now.
    pub(super) fn sync_proxies(&mut self, world: &mut dyn World) {
        self.services.writing = false;
        self.services.wrote = Some(world.now());
        let Some(cluster) = self.cluster.clone() else { return };
        let watched = self.watched();
        for node in self.store.nodes.values().filter(|node| !self.outages.has(&node.spec.name)) {
            kube_proxy::sync(world, (node.netns, &node.spec), &cluster, &watched);
        }
        if self.is_cilium() {
            let nodes: Vec<IpAddr> = cluster.nodes.iter().map(|node| IpAddr::V4(node.address)).collect();
            let services = self.store.nodes.values().filter_map(|node| {
                let config = Config::of(Family::V4, &node.spec, &cluster)?;
                let frontends = proxy::frontends(&config, &watched, &nodes);
                Some((node.spec.name.as_str().into(), Arc::new(socket_services(frontends))))
            });
            self.services.at_sockets = services.collect();
            self.sync_sockets(world);
        }
        self.sync_health(world, &cluster);
        self.sync_balancer(world);
    }

    /// What the kube-proxies have watched.
    pub(super) fn watched(&self) -> Watched<'_> {
        let services: Vec<&Service> = self.services.objects.values().map(|service| &**service).collect();
        Watched::new(services, self.services.slices.values().map(|(slice, _)| &**slice))
    }

    /// Cilium's agents attach their programs to the sockets of their nodes and Pods.
    fn sync_sockets(&self, world: &mut dyn World) {
        for (name, services) in &self.services.at_sockets {
            let Some(node) = self.store.nodes.get(name) else { continue };
            let pods = self.store.pods_on(name).filter_map(|key| self.store.pods.get(key)?.netns);
            for netns in std::iter::once(node.netns).chain(pods) {
                with(world, netns, |netns, _| netns.set_socket_services(Some(services.clone())));
            }
        }
    }

    /// A Pod's sockets have the programs of its node from the beginning.
    pub(super) fn attach_sockets(&self, world: &mut dyn World, node: &str, netns: NetnsId) {
        if let Some(services) = self.services.at_sockets.get(node) {
            with(world, netns, |netns, _| netns.set_socket_services(Some(services.clone())));
        }
    }
}

/// A Service object with the addresses and ports that it was given.
fn with_addresses(value: &Value, spec: &ServiceSpec) -> Value {
    let mut value = value.clone();
    let fields = &mut value["spec"];
    fields["type"] = json!(spec.r#type);
    if !spec.cluster_ip.is_empty() {
        fields["clusterIP"] = json!(spec.cluster_ip);
        fields["clusterIPs"] = json!(spec.cluster_ips);
    }
    for (index, port) in spec.ports.iter().enumerate().filter(|(_, port)| port.node_port != 0) {
        fields["ports"][index]["nodePort"] = json!(port.node_port);
    }
    if spec.health_check_node_port != 0 {
        fields["healthCheckNodePort"] = json!(spec.health_check_node_port);
    }
    value
}

/// The form in which the kernel takes them. SCTP has no sockets here.
fn socket_services(frontends: Vec<Frontend>) -> SocketServices {
    let ipv4 = |socket: &SocketAddr| if let SocketAddr::V4(socket) = socket { Some(*socket) } else { None };
    SocketServices::new(frontends.into_iter().filter_map(|frontend| {
        let transport = match frontend.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
            Protocol::Sctp => return None,
        };
        let address = ipv4(&frontend.address)?;
        let endpoints = frontend.endpoints.iter().filter_map(ipv4).collect();
        Some((transport, (*address.ip(), address.port()), frontend.name.into(), endpoints))
    }))
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}

fn service_row(service: &Service, created: SimTime) -> ServiceRow {
    let spec = &service.spec;
    let ingress = service.status.load_balancer.ingress.iter();
    let balancers =
        ingress.filter_map(|way| way.ip.map(|ip| ip.to_string()).or_else(|| way.hostname.clone()));
    let external = balancers.chain(spec.external_ips.iter().map(ToString::to_string));
    let kind = match spec.r#type {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::ExternalName => "ExternalName",
    };
    let port = |port: &crate::api::ServicePort| ServicePortRow {
        name: port.name.as_str().into(),
        protocol: protocol_name(port.protocol),
        port: port.port,
        node_port: port.node_port,
    };
    ServiceRow {
        namespace: service.metadata.namespace.as_str().into(),
        name: service.metadata.name.as_str().into(),
        kind: kind.into(),
        cluster_ip: spec.cluster_ip.as_str().into(),
        external: external.map(Into::into).collect(),
        external_name: spec.external_name.as_str().into(),
        ports: spec.ports.iter().map(port).collect(),
        selector: spec.selector.clone(),
        created,
    }
}

pub(super) fn slice_row(slice: &EndpointSlice, created: SimTime) -> SliceRow {
    let endpoint = |endpoint: &Endpoint| EndpointRow {
        address: endpoint.addresses.first().map_or("", String::as_str).into(),
        ready: endpoint.is_ready(),
        terminating: endpoint.conditions.terminating.unwrap_or(false),
        node: endpoint.node_name.as_deref().map(Into::into),
        pod: endpoint.target_ref.as_ref().map(|target| target.name.as_str().into()),
    };
    let ports = slice.ports.iter();
    let ports = ports.map(|port| (port.name.as_str().into(), protocol_name(port.protocol), port.port));
    SliceRow {
        namespace: slice.metadata.namespace.as_str().into(),
        name: slice.metadata.name.as_str().into(),
        service: slice.service().unwrap_or("").into(),
        address_type: slice.address_type.as_str().into(),
        ports: ports.collect(),
        endpoints: slice.endpoints.iter().map(endpoint).collect(),
        created,
    }
}

pub(super) fn key_of(metadata: &crate::api::ObjectMeta) -> Key {
    (metadata.namespace.clone(), metadata.name.clone())
}
