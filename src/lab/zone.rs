//! The records of the cluster's zone as CoreDNS has them at a moment of the trace.

use super::Lab;
use super::names::FOLDER;
use crate::api::{EndpointSlice, Service};
use crate::cluster::dns::server::Server;
use crate::cluster::dns::{Record, View, default_corefile};
use crate::trace::{Inventory, ObjectRow};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

impl Lab {
    /// What the plugin `kubernetes` answers from the objects of `tables`, as the Corefile of that moment has it; why there is
    /// nothing where the Corefile cannot be read.
    pub fn zone_at(&self, tables: &Inventory) -> Result<Vec<Record>, String> {
        let control = self.sim.agent();
        let domain = control.and_then(|control| control.cluster_spec());
        let domain = domain.map_or("cluster.local", |cluster| cluster.dns.cluster_domain.as_str());
        let resolv_conf = control.map(crate::agent::ControlPlane::node_resolv_conf).unwrap_or_default();
        let (corefile, files) =
            corefile(tables).unwrap_or_else(|| (default_corefile(domain), BTreeMap::new()));
        let file = |path: &str| match path {
            "/etc/resolv.conf" => Some(resolv_conf.clone()),
            _ => files.get(path.strip_prefix(FOLDER)?).cloned(),
        };
        let server = Server::new(&corefile, &file).map_err(|wrong| format!("{FOLDER}Corefile:{wrong}"))?;
        let view = view(tables);
        Ok(server.kubernetes().flat_map(|plugin| plugin.listing(&view)).collect())
    }
}

fn objects<'t>(tables: &'t Inventory, kind: &'t str) -> impl Iterator<Item = &'t Arc<ObjectRow>> {
    tables.objects.values().filter(move |row| &*row.key.kind == kind)
}

/// The Corefile and the files beside it.
fn corefile(tables: &Inventory) -> Option<(String, BTreeMap<String, String>)> {
    let mut found = objects(tables, "ConfigMap").filter(|row| &*row.key.name == "coredns");
    let first = found.next()?;
    let own = found.find(|row| &*row.key.namespace == "kube-system").unwrap_or(first);
    let data = own.value["data"].as_object()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut files: BTreeMap<String, String> =
        data.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    Some((files.remove("Corefile")?, files))
}

fn view(tables: &Inventory) -> View {
    let mut view = View::of(std::iter::empty());
    for row in objects(tables, "Namespace") {
        let labels = row.value["metadata"]["labels"].as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = labels.map(|(key, value)| (key.clone(), text(value))).collect();
        view.add_namespace(&row.key.name, &labels);
    }
    for row in objects(tables, "Service") {
        if let Ok(mut service) = serde_json::from_value::<Service>((*row.value).clone()) {
            service.metadata.namespace = row.key.namespace.to_string();
            view.add_service(&service);
        }
    }
    for row in objects(tables, "EndpointSlice") {
        if let Ok(mut slice) = serde_json::from_value::<EndpointSlice>((*row.value).clone()) {
            slice.metadata.namespace = row.key.namespace.to_string();
            view.add_slice(&slice);
        }
    }
    for pod in tables.pods.values() {
        if let Some(ip) = pod.ip.filter(|_| pod.netns.is_some()) {
            view.add_pod(&pod.namespace, IpAddr::V4(ip));
        }
    }
    let dns =
        |slice: &&crate::trace::SliceRow| &*slice.namespace == "kube-system" && &*slice.service == "kube-dns";
    let servers = tables.slices.values().filter(dns).flat_map(|slice| &slice.endpoints);
    view.local = servers.take(1).filter_map(|endpoint| endpoint.address.to_string().parse().ok()).collect();
    view.serial = tables.now.unix_secs() as u32;
    view
}
