//! The network itself: MTUs that do not fit, and addresses in ranges of others.

use super::View;
use crate::api::{Backend, ClusterSpec};
use crate::base::{DemoPlace, Diagnostic, Ipv4Addr, Ipv4Net};

pub(super) fn lint(view: &View<'_>, spec: &ClusterSpec, found: &mut Vec<Diagnostic>) {
    let services = spec.network.service_cidr;
    for (entry, root) in view.of_kind("Cluster") {
        let mut report = entry.report();
        let network = root.get("spec").get("network");
        let room = spec.network.mtu.saturating_sub(spec.network.backend.map_or(0, Backend::overhead));
        let bridge = network.get("bridge").get("mtu");
        if bridge.is_set() && bridge.number() > i64::from(room) {
            let args = [&*bridge.number().to_string(), &*room.to_string(), &*spec.network.mtu.to_string()];
            report.warning(&bridge.path(), "lint.mtu", Some("lint.mtu.hint"), &args);
            // A packet as large as the bridge promises, to a Pod on another node.
            if let Some(pods) = view.pods().first() {
                let payload = bridge.number() - 28;
                let command = format!("ping -c 1 -W 1 -M do -s {payload} {{far {}}}", pods.path());
                report.demo(pods.place(), command);
            }
            report.fix_value(&bridge.path(), "lint.mtu.fix", &room.to_string());
        }
        let hosts = ["nodes", "external"].into_iter().flat_map(|list| root.get("spec").get(list).items());
        for host in hosts {
            let field = host.get("address");
            let text = field.text().split('/').next().unwrap_or("");
            let inside = |net: Ipv4Net| text.parse::<Ipv4Addr>().is_ok_and(|address| net.contains(&address));
            if inside(services) {
                let args = [text, &*services.to_string()];
                report.warning(&field.path(), "lint.in-services", Some("lint.in-services.hint"), &args);
                report.demo(DemoPlace::Node, "kubectl get services -A".to_owned());
            }
            if inside(spec.network.pod_cidr) && field.path().starts_with("spec.external") {
                let args = [text, &*spec.network.pod_cidr.to_string()];
                report.warning(&field.path(), "lint.in-pods", Some("lint.in-pods.hint"), &args);
                report.demo(DemoPlace::Node, format!("ip route get {text}"));
            }
        }
        found.extend(report.finish());
    }
}
