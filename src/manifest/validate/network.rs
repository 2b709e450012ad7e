//! The plug-in of the cluster document: which way between nodes it knows, and what its own settings may be.

use super::cluster::{MIN_MTU, between, mtu};
use super::cursor::Cursor;
use crate::api::{Autodetection, Backend, Cni, Encapsulation};
use crate::manifest::report::Report;

/// Largest VLAN number (IEEE 802.1Q; 4095 is reserved).
const MAX_VLAN: i64 = 4094;

fn named<T: Copy>(all: &[(&str, T)], field: &Cursor<'_>) -> Option<T> {
    all.iter().find(|known| known.0 == field.text()).map(|known| known.1)
}

/// Validates what depends on the plug-in. Names that are not known at all are reported where they stand.
pub(super) fn plugin(network: &Cursor<'_>, report: &mut Report<'_>) {
    let (cni, backend) = (network.get("cni"), network.get("backend"));
    let plugin = if cni.is_set() { named(&Cni::ALL, &cni) } else { Some(Cni::default()) };
    let way = named(&Backend::ALL, &backend);
    let Some(plugin) = plugin else { return mtu(&network.get("mtu"), MIN_MTU, report) };
    if let Some(way) = way {
        combination(plugin, way, &backend, report);
    }
    let way = way.or_else(|| plugin.backends().first().copied().filter(|_| plugin != Cni::Bridge));
    cable(way, &network.get("mtu"), report);
    bridge(plugin, &network.get("bridge"), report);
    let flannel = network.get("flannel").get("directRouting");
    if flannel.value == true && (plugin, way) != (Cni::Flannel, Some(Backend::Vxlan)) {
        flannel.fault(report, "network.direct-routing", "network.direct-routing.hint", &[]);
    }
    calico(plugin, way, &network.get("calico"), report);
}

fn combination(plugin: Cni, way: Backend, field: &Cursor<'_>, report: &mut Report<'_>) {
    let name = Cni::ALL.iter().find(|known| known.1 == plugin).map_or("", |known| known.0);
    if !plugin.backends().contains(&way) {
        let known = |way: &Backend| Backend::ALL.iter().find(|known| known.1 == *way).map(|known| known.0);
        let list = plugin.backends().iter().filter_map(known).collect::<Vec<_>>().join(", ");
        return field.fault(report, "network.combination", "network.combination.hint", &[name, &list]);
    }
    if matches!(way, Backend::Bgp | Backend::Ospf | Backend::Rip) {
        let protocol = field.text().to_uppercase();
        report.info(&field.path(), "network.taught", Some("network.taught.hint"), &[&protocol]);
    }
}

/// The cable must leave room for the tunnel's headers and the smallest packet of a Pod.
fn cable(way: Option<Backend>, field: &Cursor<'_>, report: &mut Report<'_>) {
    let overhead = i64::from(way.map_or(0, Backend::overhead));
    let (number, least) = (field.number(), MIN_MTU + overhead);
    if !field.is_set() || number < MIN_MTU || number >= least {
        return mtu(field, least, report);
    }
    let name = Backend::ALL.iter().find(|known| Some(known.1) == way).map_or("", |known| known.0);
    let args = [name, &overhead.to_string(), &least.to_string()];
    field.fault(report, "cluster.mtu-tunnel", "cluster.mtu-tunnel.hint", &args);
}

fn bridge(plugin: Cni, field: &Cursor<'_>, report: &mut Report<'_>) {
    if field.is_set() && matches!(plugin, Cni::Calico | Cni::Cilium) {
        return field.fault(report, "network.no-bridge", "network.no-bridge.hint", &[]);
    }
    let hairpin = field.get("hairpinMode");
    if hairpin.value == true && field.get("promiscMode").value == true {
        hairpin.fault(report, "network.hairpin-promisc", "network.hairpin-promisc.hint", &[]);
    }
    between(&field.get("vlan"), 0, MAX_VLAN, report);
    if field.get("mtu").is_set() && field.get("mtu").number() != 0 {
        mtu(&field.get("mtu"), MIN_MTU, report);
    }
}

fn calico(plugin: Cni, way: Option<Backend>, field: &Cursor<'_>, report: &mut Report<'_>) {
    if field.is_set() && plugin != Cni::Calico {
        return field.fault(report, "network.no-calico", "network.no-calico.hint", &[]);
    }
    for (name, of) in [("ipipMode", Backend::Ipip), ("vxlanMode", Backend::Vxlan)] {
        let mode = field.get(name);
        mode.one_of(report, &Encapsulation::ALL.map(|known| known.0));
        let used = named(&Encapsulation::ALL, &mode).is_some_and(|mode| mode != Encapsulation::Never);
        if used && way != Some(of) {
            let backend = if of == Backend::Ipip { "ipip" } else { "vxlan" };
            mode.fault(report, "network.mode", "network.mode.hint", &[name, backend]);
        }
    }
    between(&field.get("blockSize"), 20, 32, report);
    let method = field.get("ipAutodetection");
    if method.is_set() && Autodetection::parse(method.text()).is_none() {
        method.fault(report, "network.autodetection", "network.autodetection.hint", &[]);
    }
}
