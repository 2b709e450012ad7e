//! The load balancer outside the cluster, and the controller that asks for it (`cloud-provider`'s service controller): a
//! Service of type `LoadBalancer` is given an address of the pool, and a machine beside the nodes takes its traffic
//! and hands it to the Service's node port.
//!
//! *Simplified*: the machine translates both addresses, as balancers that are proxies do, so the client's own address
//! ends there; and it knows at once which nodes have endpoints, in place of asking their `healthCheckNodePort`.

use super::control::ControlPlane;
use super::controllers::finalizers;
use super::fabric::ETH0;
use super::rules::replace;
use super::world::{Patience, Wakeup, World, with};
use crate::api::{EndpointSlice, LoadBalancerIngress, Protocol, Service, ServiceType, TrafficPolicy};
use crate::base::{Duration, Ipv4Addr, Ipv4Net, NetnsId, ObjectKey};
use crate::trace::{KubeEventRow, ObjectRow, Scope, TableChange};
use crate::xtables::Table;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// How long the provider takes to make a load balancer.
const PROVISIONING: Duration = Duration::from_secs(2);
/// What holds a Service as long as it has a load balancer (`LoadBalancerCleanupFinalizer`).
const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// Name of the machine.
const NAME: &str = "balancer";

/// Whether a Service waits for an address: one that names another implementation waits for ever.
fn waits(service: &Service) -> bool {
    service.spec.r#type == ServiceType::LoadBalancer
        && service.spec.load_balancer_class.is_none()
        && service.status.load_balancer.ingress.is_empty()
}

fn balanced_ips(service: &Service) -> impl Iterator<Item = Ipv4Addr> + '_ {
    let is_balanced = service.spec.r#type == ServiceType::LoadBalancer;
    let ingress = service.status.load_balancer.ingress.iter().filter(move |_| is_balanced);
    ingress.filter_map(|way| if let Some(IpAddr::V4(ip)) = way.ip { Some(ip) } else { None })
}

fn object_key(service: &Service) -> ObjectKey {
    ObjectKey::new("Service", &service.metadata.namespace, &service.metadata.name)
}

/// Whether the load balancer of a Service is to go (`needsCleanup`).
fn needs_cleanup(row: &ObjectRow) -> bool {
    finalizers(&row.value).contains(&FINALIZER)
        && (row.deleted.is_some() || row.text(&["spec", "type"]) != Some("LoadBalancer"))
}

impl ControlPlane {
    /// The service controller looks at the Services that wait for an address or want none any more.
    pub(super) fn balancers_changed(&mut self, world: &mut dyn World) {
        let waiting: Vec<Arc<Service>> =
            self.services.all().filter(|service| waits(service)).cloned().collect();
        let mut is_busy = false;
        for service in waiting {
            let key = object_key(&service);
            let Some(row) = self.objects.get(&key).filter(|row| row.deleted.is_none()) else { continue };
            is_busy = true;
            if !finalizers(&row.value).contains(&FINALIZER) {
                Self::service_event(world, &key, false, "EnsuringLoadBalancer", "Ensuring load balancer");
                self.edit(world, &key, |value| match value["metadata"]["finalizers"].as_array_mut() {
                    Some(all) => all.push(json!(FINALIZER)),
                    None => value["metadata"]["finalizers"] = json!([FINALIZER]),
                });
            }
        }
        let leaving: Vec<Arc<ObjectRow>> =
            self.objects_of("Service").filter(|row| needs_cleanup(row)).cloned().collect();
        for row in leaving {
            is_busy = true;
            if self.services.leaving.insert(row.uid.clone()) {
                Self::service_event(world, &row.key, false, "DeletingLoadBalancer", "Deleting load balancer");
            }
        }
        if is_busy && !std::mem::replace(&mut self.services.balancing, true) {
            world.wake_in(PROVISIONING, Patience::Prompt, Wakeup::Balancers);
        }
    }

    /// The provider gives addresses to those that wait, as long as there are any, and takes away what nobody wants.
    pub(super) fn provide_balancers(&mut self, world: &mut dyn World) {
        self.services.balancing = false;
        let waiting: Vec<Arc<Service>> =
            self.services.all().filter(|service| waits(service)).cloned().collect();
        for service in waiting {
            let key = object_key(&service);
            if self.objects.get(&key).is_some_and(|row| row.deleted.is_some()) {
                continue;
            }
            let Some(ip) = self.free_balancer_ip(&service) else {
                let text = "Error syncing load balancer: failed to ensure load balancer: the pool has no free address";
                Self::service_event(world, &key, true, "SyncLoadBalancerFailed", text);
                continue;
            };
            let mut given = (*service).clone();
            given.status.load_balancer.ingress = vec![LoadBalancerIngress {
                ip: Some(IpAddr::V4(ip)),
                ip_mode: Some("VIP".to_owned()),
                hostname: None,
            }];
            self.give_ingress(world, &Arc::new(given), ip);
            Self::service_event(world, &key, false, "EnsuredLoadBalancer", "Ensured load balancer");
        }
        for uid in std::mem::take(&mut self.services.leaving) {
            let Some(row) = self.objects.by_uid(&uid).filter(|row| needs_cleanup(row)).cloned() else {
                continue;
            };
            self.take_balancer(world, &row.key);
        }
    }

    /// The load balancer of a Service is gone: nothing holds its object for that any more.
    fn take_balancer(&mut self, world: &mut dyn World, key: &ObjectKey) {
        self.edit(world, key, |value| {
            if let Some(all) = value["metadata"]["finalizers"].as_array_mut() {
                all.retain(|one| one != FINALIZER);
            }
            if value["metadata"]["finalizers"].as_array().is_some_and(Vec::is_empty)
                && let Some(metadata) = value["metadata"].as_object_mut()
            {
                metadata.remove("finalizers");
            }
            if value["status"].is_object() {
                value["status"]["loadBalancer"] = json!({});
            }
        });
        let known = self.services.get(&(key.namespace.to_string(), key.name.to_string())).cloned();
        if let Some(service) = known.filter(|service| !service.status.load_balancer.ingress.is_empty()) {
            let mut bare = (*service).clone();
            bare.status.load_balancer.ingress.clear();
            self.put_service(world, &Arc::new(bare));
        }
        Self::service_event(world, key, false, "DeletedLoadBalancer", "Deleted load balancer");
        self.go_on_deleting(world, key);
    }

    /// A Service came, changed or went.
    pub(super) fn balancers_watch(
        &mut self,
        world: &mut dyn World,
        (old, new): (Option<&Arc<ObjectRow>>, Option<&Arc<ObjectRow>>),
    ) {
        let Some(new) = new.filter(|row| &*row.key.kind == "Service") else { return };
        let kind = |row: &ObjectRow| row.text(&["spec", "type"]).unwrap_or("ClusterIP").to_owned();
        let kinds = old.map(|old| [kind(old), kind(new)]);
        let is_balanced = |kind: &String| kind == "LoadBalancer";
        if let Some([was, is]) = kinds.filter(|[was, is]| is_balanced(was) != is_balanced(is)) {
            Self::service_event(world, &new.key, false, "Type", &format!("{was} -> {is}"));
        }
        if new.deleted.is_some() {
            self.balancers_changed(world);
        }
    }

    fn give_ingress(&mut self, world: &mut dyn World, service: &Arc<Service>, ip: Ipv4Addr) {
        let key = object_key(service);
        self.put_service(world, service);
        if let Some(row) = self.objects.get(&key).cloned() {
            let mut value = (*row.value).clone();
            value["status"]["loadBalancer"] =
                json!({ "ingress": [{ "ip": ip.to_string(), "ipMode": "VIP" }] });
            self.put(world, &key, &row.api_version, Arc::new(value));
        }
        self.services_applied(world);
    }

    /// The address that a Service asks for, where it is free, or the first free one of the pool. The balancer itself
    /// has the first one.
    fn free_balancer_ip(&self, service: &Service) -> Option<Ipv4Addr> {
        let cluster = self.cluster.as_ref()?;
        let mut taken: BTreeSet<Ipv4Addr> =
            self.services.all().flat_map(|other| balanced_ips(other)).collect();
        taken.extend(cluster.nodes.iter().map(|node| node.address));
        taken.extend(cluster.external.iter().map(|host| host.address));
        let pool = cluster.network.balancer_pool;
        let free = |ip: &Ipv4Addr| !taken.contains(ip);
        let asked = service.spec.load_balancer_ip.as_deref().filter(|text| !text.is_empty());
        match asked {
            Some(text) => text.parse().ok().filter(|ip| pool.contains(ip) && free(ip)),
            None => pool.hosts().skip(1).find(free),
        }
    }

    fn service_event(world: &mut dyn World, key: &ObjectKey, warning: bool, reason: &str, message: &str) {
        world.record(TableChange::KubeEvent(Box::new(KubeEventRow {
            kind: "Service".into(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            warning,
            reason: reason.into(),
            message: message.to_owned(),
            component: "service-controller".into(),
            host: "".into(),
            field_path: "".into(),
        })));
    }

    /// The balancer takes up the addresses of its Services, and the rules for them.
    pub(super) fn sync_balancer(&mut self, world: &mut dyn World) {
        let Some(cluster) = self.cluster.clone() else { return };
        let pool = cluster.network.balancer_pool;
        let services: Vec<Arc<Service>> = self.services.all().cloned().collect();
        let wanted: BTreeSet<Ipv4Addr> = services
            .iter()
            .flat_map(|service| balanced_ips(service))
            .filter(|ip| pool.contains(ip))
            .collect();
        let Some(machine) = self.balancer(world, !wanted.is_empty()) else { return };
        let mut lines: Vec<String> = Vec::new();
        for service in &services {
            let nodes = self.nodes_for(service);
            for ip in balanced_ips(service).filter(|ip| pool.contains(ip)) {
                lines.extend(service_rules(service, ip, &nodes));
            }
        }
        with(world, machine, |netns, ctx| {
            let present: BTreeSet<Ipv4Net> = netns.addrs().iter().map(|row| row.addr).collect();
            let host = |ip: &Ipv4Addr| Ipv4Net::new_assert(*ip, 32);
            for gone in present.iter().filter(|net| net.prefix_len() == 32 && !wanted.contains(&net.addr())) {
                netns.del_addr(ctx, ETH0, *gone);
            }
            for new in wanted.iter().map(host).filter(|net| !present.contains(net)) {
                netns.add_addr(ctx, ETH0, new, None, Scope::Global);
            }
            replace(netns, ctx, Table::Nat, "BALANCER", &lines);
        });
    }

    /// The machine; it is made when it is first needed.
    fn balancer(&mut self, world: &mut dyn World, is_needed: bool) -> Option<NetnsId> {
        if let Some(known) = self.services.balancer.filter(|netns| world.netns(*netns).is_some()) {
            return Some(known);
        }
        let cluster = self.cluster.clone().filter(|_| is_needed)?;
        let made = self.fabric.build_balancer(world, &cluster, NAME)?;
        self.services.balancer = Some(made);
        Some(made)
    }

    /// The nodes that traffic for a Service may go to: all of them, or those with an endpoint.
    fn nodes_for(&self, service: &Service) -> Vec<Ipv4Addr> {
        let is_local = service.spec.external_traffic_policy == Some(TrafficPolicy::Local);
        let own = |slice: &&EndpointSlice| {
            slice.metadata.namespace == service.metadata.namespace
                && slice.service() == Some(&service.metadata.name)
        };
        let ready = |slice: &&'_ EndpointSlice| {
            let endpoints = slice.endpoints.iter().filter(|endpoint| endpoint.is_ready());
            endpoints.filter_map(|endpoint| endpoint.node_name.clone()).collect::<Vec<_>>()
        };
        let with_endpoint: BTreeSet<String> =
            self.services.slices().filter(own).flat_map(|slice| ready(&slice)).collect();
        let nodes = self.store.nodes.values().filter(|node| !self.outages.has(&node.spec.name));
        let nodes = nodes.filter(|node| !is_local || with_endpoint.contains(&node.spec.name));
        nodes.map(|node| node.spec.address).collect()
    }
}

/// The rules for one address of a Service: one node after the other, by chance.
fn service_rules(service: &Service, ip: Ipv4Addr, nodes: &[Ipv4Addr]) -> Vec<String> {
    let mut lines = Vec::new();
    let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
    let ranges = &service.spec.load_balancer_source_ranges;
    let sources: Vec<String> = match ranges.as_slice() {
        [] => vec![String::new()],
        ranges => ranges
            .iter()
            .filter(|range| !range.contains(':'))
            .map(|range| format!(" -s {}", range.trim()))
            .collect(),
    };
    for port in service.spec.ports.iter().filter(|port| port.node_port != 0) {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        for source in &sources {
            for (index, node) in nodes.iter().enumerate() {
                let left = nodes.len() - index;
                let chance = if left > 1 {
                    format!(
                        " -m statistic --mode random --probability {}",
                        crate::cluster::proxy::probability(left as u64)
                    )
                } else {
                    String::new()
                };
                lines.push(format!(
                    "-d {ip}{source} -p {protocol} -m comment --comment \"{namespace}/{name}\" -m {protocol} --dport {}{chance} -j DNAT --to-destination {node}:{}",
                    port.port, port.node_port
                ));
            }
        }
    }
    lines
}
