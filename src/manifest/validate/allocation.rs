//! What can be given out once: cluster IPs and node ports (`registry/core/service/{ipallocator,portallocator}`).

use super::across::Entry;
use super::cursor::Cursor;
use crate::api::ClusterSpec;
use crate::base::Diagnostic;
use crate::manifest::families;
use serde_json::Value;
use std::collections::BTreeMap;

/// Services that ask for an address or a port that another one has.
pub(super) fn check(spec: &ClusterSpec, entries: &[Entry<'_>]) -> Vec<Diagnostic> {
    let mut addresses: BTreeMap<String, String> = BTreeMap::new();
    // A port of the nodes is given out once, whatever is spoken there.
    let mut ports: BTreeMap<i64, String> = BTreeMap::new();
    let dns = spec.dns.service_ip.map(|address| address.to_string()).unwrap_or_default();
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.located.object.kind() == "Service") {
        let metadata = entry.located.object.metadata();
        let name = metadata.namespaced_name().to_string();
        let root = Cursor::root(&entry.located.raw);
        let mut report = entry.report();
        // It is looked at first, and alone.
        let refused = families::settle(&mut (*entry.located.raw).clone(), None, &families::ALL);
        if !refused.is_empty() {
            for (path, shown, why) in &refused {
                report.error(path, "allocated.family", Some("allocated.family.hint"), &[shown, why]);
            }
            found.extend(report.finish());
            continue;
        }
        let ip = root.get("spec").get("clusterIP");
        // The cluster's own DNS has its address for itself.
        let is_dns = metadata.namespace == "kube-system";
        let holder = match addresses.get(ip.text()) {
            Some(holder) => Some(holder.clone()),
            None => (ip.text() == dns && !is_dns).then(|| "kube-system/kube-dns".to_owned()),
        };
        if let Some(holder) = holder.filter(|_| !matches!(ip.text(), "" | "None")) {
            let shown = Value::from(vec![ip.text()]).to_string();
            let args = [&*shown, ip.text(), &*holder];
            report.error_near(
                (&ip.path(), "spec.clusterIPs"),
                "allocated.address",
                "allocated.address.hint",
                &args,
            );
        } else {
            addresses.insert(ip.text().to_owned(), name.clone());
        }
        for port in root.get("spec").get("ports").items() {
            let node_port = port.get("nodePort");
            let key = node_port.number();
            if key == 0 {
                continue;
            }
            match ports.get(&key).filter(|holder| **holder != name) {
                Some(holder) => {
                    node_port.fault(&mut report, "allocated.port", "allocated.port.hint", &[holder]);
                }
                None => {
                    ports.insert(key, name.clone());
                }
            }
        }
        found.extend(report.finish());
    }
    found
}
