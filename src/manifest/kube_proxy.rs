//! kube-proxy's configuration, which a cluster keeps in the `ConfigMap` `kube-proxy` of `kube-system`
//! (`pkg/proxy/apis/config`). Its text is YAML inside a string of the user's YAML.

use super::schema::nearest;
use super::tree;
use super::values::duration;
use super::{Located, Parsed};
use crate::api::{KubeProxySpec, LocalTraffic, NodePortAddresses, ProxyMode};
use crate::base::{IpNet, Ipv4Net, IpvsScheduler};
use serde_json::Value;

/// Keys under which the configuration stands: kubeadm's, and what others use.
const KEYS: [&str; 4] = ["config.conf", "config", "config.yaml", "kube-proxy.conf"];
/// Prefix of the API groups of the configuration.
const GROUP: &str = "kubeproxy.config.k8s.io/";

/// Fields that there are. `localhostNodePorts` and `masqueradeAll` stand in sections of their own; here at the top
/// they are taken as meant for the mode in use.
const FIELDS: [&str; 30] = [
    "apiVersion",
    "bindAddress",
    "bindAddressHardFail",
    "clientConnection",
    "clusterCIDR",
    "configSyncPeriod",
    "conntrack",
    "detectLocal",
    "detectLocalMode",
    "enableProfiling",
    "featureGates",
    "healthzBindAddress",
    "hostnameOverride",
    "iptables",
    "ipvs",
    "kind",
    "localhostNodePorts",
    "logging",
    "masqueradeAll",
    "metadata",
    "metricsBindAddress",
    "mode",
    "nftables",
    "nodePortAddresses",
    "oomScoreAdj",
    "portRange",
    "showHiddenMetricsForVersion",
    "udpIdleTimeout",
    "windowsRunAsService",
    "winkernel",
];
/// Fields of the sections `iptables` and `nftables`.
const SECTION: [&str; 5] =
    ["localhostNodePorts", "masqueradeAll", "masqueradeBit", "minSyncPeriod", "syncPeriod"];

/// Fields of the section `ipvs`.
const IPVS: [&str; 8] = [
    "excludeCIDRs",
    "minSyncPeriod",
    "scheduler",
    "strictARP",
    "syncPeriod",
    "tcpFinTimeout",
    "tcpTimeout",
    "udpTimeout",
];

/// A fault of the configuration: key of the catalogue, key of the remedy, arguments.
pub(super) type Fault = (&'static str, &'static str, Vec<String>);

/// Whether an object holds the configuration.
fn is_configuration(located: &Located) -> bool {
    let metadata = located.object.metadata();
    located.object.kind() == "ConfigMap"
        && metadata.name == "kube-proxy"
        && (metadata.namespace == "kube-system"
            || text(&located.raw).is_some_and(|(_, text)| text.contains(GROUP)))
}

/// The key and the text of the configuration in a `ConfigMap`.
fn text(raw: &Value) -> Option<(&str, &str)> {
    let data = raw.get("data")?.as_object()?;
    let by_name = KEYS.iter().find_map(|key| data.get_key_value(*key));
    let found = by_name
        .or_else(|| data.iter().find(|(_, value)| value.as_str().is_some_and(|text| text.contains(GROUP))));
    found.and_then(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// What is wrong with the configuration in a `ConfigMap` called `kube-proxy`: the key it stands under, and the faults.
pub(super) fn faults(raw: &Value) -> Option<(String, Vec<Fault>)> {
    let name = raw.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    let namespace =
        raw.get("metadata").and_then(|metadata| metadata.get("namespace")).and_then(Value::as_str);
    let (key, text) = text(raw)?;
    if name != Some("kube-proxy") || (namespace != Some("kube-system") && !text.contains(GROUP)) {
        return None;
    }
    let mut reader = Reader { value: &value(text), faults: Vec::new() };
    reader.read(&[]);
    Some((key.to_owned(), reader.faults))
}

/// The first document of the text.
fn value(text: &str) -> Value {
    let (roots, _) = tree::read(0, text);
    roots.first().map_or(Value::Null, tree::Node::to_json)
}

/// How kube-proxy runs. Where the cluster document names the Pods' range, it stands for the `podSubnet` that kubeadm
/// copies into a configuration without `clusterCIDR`; `pods` is what is used where there is no configuration at all.
pub(super) fn resolve(parsed: &Parsed, podsubnet: &[IpNet], pods: Ipv4Net) -> KubeProxySpec {
    let Some(located) = parsed.objects.iter().find(|located| is_configuration(located)) else {
        let pods = if podsubnet.is_empty() { vec![IpNet::V4(pods)] } else { podsubnet.to_vec() };
        return KubeProxySpec { local: LocalTraffic::Ranges(pods), ..KubeProxySpec::default() };
    };
    let value = text(&located.raw).map_or(Value::Null, |(_, text)| value(text));
    Reader { value: &value, faults: Vec::new() }.read(podsubnet)
}

/// Reads a configuration and notes what is wrong.
struct Reader<'v> {
    value: &'v Value,
    faults: Vec<Fault>,
}

impl<'v> Reader<'v> {
    fn fault(&mut self, path: &str, what: &Value, allowed: &str) {
        let args = vec![path.to_owned(), what.to_string(), allowed.to_owned()];
        self.faults.push(("kube-proxy.value", "kube-proxy.value.hint", args));
    }

    fn get(&self, path: &str) -> Option<&'v Value> {
        path.split('.').try_fold(self.value, |value, step| value.get(step)).filter(|value| !value.is_null())
    }

    fn unknown(&mut self, section: &str, known: &[&str]) {
        let fields = if section.is_empty() { Some(self.value) } else { self.get(section) };
        let fields = fields.and_then(Value::as_object);
        for field in fields.into_iter().flat_map(|fields| fields.keys()) {
            if !known.contains(&field.as_str()) {
                let meant = nearest(field, known.iter().copied()).unwrap_or("");
                let path = if section.is_empty() { field.clone() } else { format!("{section}.{field}") };
                let hint = if meant.is_empty() {
                    "kube-proxy.unknown.hint"
                } else {
                    "kube-proxy.unknown.nearest.hint"
                };
                self.faults.push(("kube-proxy.unknown", hint, vec![path, meant.to_owned()]));
            }
        }
    }

    fn flag(&mut self, path: &str) -> Option<bool> {
        let value = self.get(path)?;
        if value.as_bool().is_none() {
            self.fault(path, value, "true, false");
        }
        value.as_bool()
    }

    fn text(&mut self, path: &str) -> Option<&'v str> {
        let value = self.get(path)?;
        if value.as_str().is_none() {
            self.fault(path, value, "a string");
        }
        value.as_str()
    }

    /// Ranges in a list, or in a text with commas between.
    fn ranges(&mut self, path: &str) -> Vec<IpNet> {
        let Some(value) = self.get(path) else { return Vec::new() };
        let texts: Vec<&str> = match value {
            Value::String(text) => text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect(),
            Value::Array(items) => items.iter().map(|item| item.as_str().unwrap_or("?")).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec!["?"],
        };
        let mut found = Vec::new();
        for text in texts {
            match text.parse::<IpNet>() {
                Ok(net) => found.push(net.trunc()),
                Err(_) => self.fault(path, value, "10.244.0.0/16, fd00:10:244::/56"),
            }
        }
        found
    }

    fn read(&mut self, podsubnet: &[IpNet]) -> KubeProxySpec {
        if !self.value.is_object() {
            self.faults.push(("kube-proxy.no-mapping", "kube-proxy.no-mapping.hint", Vec::new()));
            return KubeProxySpec::default();
        }
        self.unknown("", &FIELDS);
        self.unknown("iptables", &SECTION);
        self.unknown("nftables", &SECTION[1..]);
        self.unknown("ipvs", &IPVS);
        let mode = self.mode();
        let section = match mode {
            ProxyMode::Nftables => "nftables",
            // IPVS mode masquerades with rules of iptables, and takes most settings from there.
            ProxyMode::Iptables | ProxyMode::Ipvs => "iptables",
        };
        let own = |name: &str| format!("{section}.{name}");
        let mut spec = KubeProxySpec { mode, local: self.local(podsubnet), ..KubeProxySpec::default() };
        if let Some(all) = self.flag(&own("masqueradeAll")).or(self.flag("masqueradeAll")) {
            spec.masquerade_all = all;
        }
        let localhost = self.flag("iptables.localhostNodePorts").or(self.flag("localhostNodePorts"));
        // Only iptables mode has node ports on the loopback address.
        spec.localhost_node_ports = localhost.unwrap_or(true) && mode == ProxyMode::Iptables;
        let primary =
            |value: &Value| *value == "primary" || value.get(0).is_some_and(|one| *one == "primary");
        let is_given = self.get("nodePortAddresses").is_some_and(|value| value.get(0).is_some());
        // Nftables mode takes the node's first address where nothing is written.
        let by_default = mode == ProxyMode::Nftables && !is_given;
        spec.node_port_addresses = if by_default || self.get("nodePortAddresses").is_some_and(primary) {
            NodePortAddresses::Primary
        } else {
            NodePortAddresses::Ranges(self.ranges("nodePortAddresses"))
        };
        let path = own("masqueradeBit");
        if let Some(value) = self.get(&path) {
            match value.as_u64().filter(|bit| *bit < 32) {
                Some(bit) => spec.masquerade_bit = bit as u8,
                None => self.fault(&path, value, "0 - 31"),
            }
        }
        spec.strict_arp = mode == ProxyMode::Ipvs && self.flag("ipvs.strictARP").unwrap_or(false);
        spec.scheduler = self.scheduler();
        let path =
            if mode == ProxyMode::Ipvs { "ipvs.minSyncPeriod".to_owned() } else { own("minSyncPeriod") };
        if let Some(text) = self.text(&path) {
            match duration(text) {
                Some(period) => spec.min_sync = period,
                None => self.fault(&path, &Value::from(text), "1s"),
            }
        }
        spec
    }

    fn mode(&mut self) -> ProxyMode {
        let Some(name) = self.text("mode").filter(|name| !name.is_empty()) else {
            return ProxyMode::default();
        };
        let found = ProxyMode::ALL.iter().find(|(known, _)| *known == name);
        if found.is_none() {
            self.fault("mode", &Value::from(name), &ProxyMode::ALL.map(|known| known.0).join(", "));
        }
        found.map_or_else(ProxyMode::default, |(_, mode)| *mode)
    }

    fn scheduler(&mut self) -> IpvsScheduler {
        let Some(name) = self.text("ipvs.scheduler").filter(|name| !name.is_empty()) else {
            return IpvsScheduler::default();
        };
        let found = IpvsScheduler::named(name);
        if found.is_none() {
            let known = IpvsScheduler::ALL.map(|(known, _)| known).join(", ");
            self.fault("ipvs.scheduler", &Value::from(name), &known);
        }
        found.unwrap_or_default()
    }

    fn local(&mut self, podsubnet: &[IpNet]) -> LocalTraffic {
        let ranges = self.ranges("clusterCIDR");
        let is_written = self.get("clusterCIDR").is_some();
        let mode = self.text("detectLocalMode");
        match mode {
            Some("NodeCIDR") => LocalTraffic::NodeRange,
            Some("BridgeInterface") => {
                let bridge = self.text("detectLocal.bridgeInterface").unwrap_or("");
                LocalTraffic::Bridge(bridge.to_owned())
            }
            Some("InterfaceNamePrefix") => {
                let prefix = self.text("detectLocal.interfaceNamePrefix").unwrap_or("");
                LocalTraffic::Interfaces(prefix.to_owned())
            }
            Some("ClusterCIDR" | "") | None => {
                let given = if is_written || mode == Some("") { &ranges } else { podsubnet };
                let given = if ranges.is_empty() { given } else { &ranges };
                if given.is_empty() { LocalTraffic::Unknown } else { LocalTraffic::Ranges(given.to_vec()) }
            }
            Some(other) => {
                let allowed = "ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix";
                self.fault("detectLocalMode", &Value::from(other), allowed);
                LocalTraffic::Unknown
            }
        }
    }
}
