//! What a mesh's control plane decides (istiod): which Pods have a sidecar and what is put into them, which mode of
//! mutual TLS a workload asks for, and where a connection goes.
//!
//! *Simplified*: nothing has to be installed, for what asks for a sidecar gets one; proxies hear of changes at once and
//! without packets.

mod authorization;
mod probes;

pub use authorization::{Asked, Facts, Policies};
pub use probes::{Prober, STATUS_PORT, VARIABLE};

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

/// The trust domain of the mesh (`meshConfig.trustDomain`).
pub const TRUST_DOMAIN: &str = "cluster.local";
/// The namespace whose policies are for the whole mesh (`meshConfig.rootNamespace`).
pub const ROOT_NAMESPACE: &str = "istio-system";
/// The user and group that a sidecar's proxy runs as, whose packets are left alone.
pub const PROXY_ID: u32 = 1337;
/// Name of the container with the proxy, and of the one that writes the rules before it.
pub const PROXY: &str = "istio-proxy";
const INIT: &str = "istio-init";
/// The image of both.
const IMAGE: &str = "docker.io/istio/proxyv2:1.27.0";
/// Label and annotation of a Pod, and label of a namespace, that ask for a sidecar.
const INJECT: &str = "sidecar.istio.io/inject";
const NAMESPACE_LABEL: &str = "istio-injection";
/// Label by which the mesh knows a workload that can do mutual TLS.
const TLS_MODE: &str = "security.istio.io/tlsMode";
/// Annotation of a Pod: what its certificate is like, for experiments with certificates that do not hold.
pub const CERTIFICATE: &str = "vethscope.dev/workload-certificate";

/// What the annotation [`CERTIFICATE`] asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// One that holds.
    #[default]
    Valid,
    /// One whose time was over an hour ago (`expired`).
    Expired,
    /// One of another mesh's authority (`foreign`).
    Foreign,
}

impl Certificate {
    /// What a Pod's annotations ask for.
    pub fn asked(annotations: &BTreeMap<String, String>) -> Self {
        match annotations.get(CERTIFICATE).map(String::as_str) {
            Some("expired") => Self::Expired,
            Some("foreign") => Self::Foreign,
            Some(_) | None => Self::Valid,
        }
    }
}

/// The mode of mutual TLS at a workload's door (`PeerAuthentication.mtls.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Both: the first bytes tell which it is.
    #[default]
    Permissive,
    /// Only mutual TLS.
    Strict,
    /// Only plain text.
    Disable,
}

impl Mode {
    fn read(value: &Value) -> Option<Self> {
        match value["mode"].as_str()? {
            "STRICT" => Some(Self::Strict),
            "PERMISSIVE" => Some(Self::Permissive),
            "DISABLE" => Some(Self::Disable),
            // `UNSET` leaves it to the policy above.
            _ => None,
        }
    }
}

/// What a port speaks, as the name of a Service's port or its `appProtocol` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spoken {
    /// Nothing is said: the first bytes tell.
    #[default]
    Unknown,
    /// HTTP.
    Http,
    /// Bytes that a proxy does not look at.
    Tcp,
}

impl Spoken {
    /// Reads `appProtocol`, else the name up to its first hyphen, else what is known of the number
    /// (`pkg/config/kube/conversion.go`, `ConvertProtocol`).
    pub fn of(app_protocol: Option<&str>, name: &str, number: u16) -> Self {
        let word = app_protocol.unwrap_or_else(|| name.split('-').next().unwrap_or(name));
        match word.to_ascii_lowercase().as_str() {
            "http" | "http2" | "grpc" | "kubernetes.io/h2c" => Self::Http,
            "tcp" | "https" | "tls" | "mongo" | "mysql" | "redis" | "udp" => Self::Tcp,
            // Programs that speak first would wait for ever (`wellKnownPorts`).
            _ if matches!(number, 22 | 25 | 3306 | 27017 | 6379) => Self::Tcp,
            _ => Self::Unknown,
        }
    }
}

/// Where a proxy sends a connection of its workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To one of a Service's endpoints that are ready, if there are any; each with whether it takes mutual TLS.
    Service(Vec<(SocketAddrV4, bool)>, Spoken),
    /// Where it was going anyway: the mesh does not know it (`PassthroughCluster`).
    Passthrough,
}

/// Whether a Pod gets a sidecar (`pkg/kube/inject`, `injectRequired`): its own word goes before its namespace's.
pub fn wants_sidecar(pod: &Value, namespace: &BTreeMap<String, String>) -> bool {
    let spec = &pod["spec"];
    if spec["hostNetwork"] == json!(true) || has_proxy(spec) {
        return false;
    }
    let metadata = &pod["metadata"];
    let own = metadata["labels"][INJECT].as_str().or_else(|| metadata["annotations"][INJECT].as_str());
    match own {
        Some("true" | "y" | "yes" | "on") => true,
        Some("false" | "n" | "no" | "off") => false,
        Some(_) | None => namespace.get(NAMESPACE_LABEL).is_some_and(|value| value == "enabled"),
    }
}

fn has_proxy(spec: &Value) -> bool {
    let lists = ["containers", "initContainers"];
    lists.iter().any(|list| {
        spec[*list].as_array().into_iter().flatten().any(|container| container["name"] == json!(PROXY))
    })
}

/// Puts the two containers of a sidecar into a Pod, as the injector's template does.
pub fn inject(pod: &mut Value) {
    let user = json!(PROXY_ID);
    let probers = probes::rewrite(pod);
    let rules = [
        "istio-iptables",
        "-p",
        "15001",
        "-z",
        "15006",
        "-u",
        "1337",
        "-m",
        "REDIRECT",
        "-i",
        "*",
        "-x",
        "",
        "-b",
        "*",
        "-d",
        "15090,15021,15020",
    ];
    let init = json!({
        "name": INIT, "image": IMAGE, "args": rules,
        "securityContext": {
            "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": false,
            "capabilities": { "add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"] },
            "runAsGroup": 0, "runAsNonRoot": false, "runAsUser": 0,
        },
    });
    let mut proxy = json!({
        "name": PROXY, "image": IMAGE,
        "args": ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
        "ports": [{ "containerPort": 15090, "protocol": "TCP", "name": "http-envoy-prom" }],
        "env": [
            { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "POD_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
        ],
        "securityContext": {
            "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
            "runAsGroup": user, "runAsNonRoot": true, "runAsUser": user,
        },
    });
    if let (Some(probers), Some(env)) = (probers, proxy["env"].as_array_mut()) {
        env.push(json!({ "name": VARIABLE, "value": probers }));
    }
    let spec = &mut pod["spec"];
    if spec["initContainers"].is_null() {
        spec["initContainers"] = json!([]);
    }
    let lists = [("initContainers", init), ("containers", proxy)];
    for (list, container) in lists {
        if let Some(list) = spec[list].as_array_mut() {
            list.push(container);
        }
    }
    let metadata = &mut pod["metadata"];
    metadata["labels"][TLS_MODE] = json!("istio");
    metadata["annotations"]["sidecar.istio.io/status"] =
        json!(format!("{{\"initContainers\":[\"{INIT}\"],\"containers\":[\"{PROXY}\"]}}"));
}

/// Whether a workload with these labels can do mutual TLS.
pub fn speaks_mtls(labels: &BTreeMap<String, String>) -> bool {
    labels.get(TLS_MODE).is_some_and(|mode| mode == "istio")
}

/// The name of a workload's identity.
pub fn spiffe(namespace: &str, account: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}")
}

/// The mode at one port of a workload: the policies that select it, then those of its namespace, then those of the
/// mesh; among several the oldest is the one that counts, and they come in that order.
pub fn mode<'p>(
    policies: &(impl Iterator<Item = (&'p str, &'p Value)> + Clone),
    (namespace, labels): (&str, &BTreeMap<String, String>),
    port: u16,
) -> Mode {
    let specs = |at: &str| {
        let at = at.to_owned();
        policies.clone().filter(move |(namespace, _)| *namespace == at).map(|(_, policy)| &policy["spec"])
    };
    let own = specs(namespace).find(|spec| selects(spec, labels) == Some(true));
    if let Some(mode) = own.and_then(|spec| Mode::read(&spec["portLevelMtls"][port.to_string()])) {
        return mode;
    }
    let whole = |at: &str| specs(at).find(|spec| selector(spec).is_none());
    let ways = [own, whole(namespace), whole(ROOT_NAMESPACE)];
    ways.into_iter().flatten().find_map(|spec| Mode::read(&spec["mtls"])).unwrap_or_default()
}

/// The labels that a policy selects workloads by; `None` where it is for all.
fn selector(spec: &Value) -> Option<&serde_json::Map<String, Value>> {
    spec["selector"]["matchLabels"].as_object().filter(|wanted| !wanted.is_empty())
}

/// Whether a policy selects a workload with these labels; `None` where it is for all.
fn selects(spec: &Value, labels: &BTreeMap<String, String>) -> Option<bool> {
    let wanted = selector(spec)?;
    Some(wanted.iter().all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_nearest_policy_that_says_something_counts() {
        let strict = json!({ "spec": { "mtls": { "mode": "STRICT" } } });
        let unset = json!({ "spec": { "mtls": { "mode": "UNSET" } } });
        let own = json!({ "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "mtls": { "mode": "PERMISSIVE" }, "portLevelMtls": { "9000": { "mode": "DISABLE" } },
        } });
        let at = |policies: &[(&str, &Value)], app: &str, port| {
            mode(&policies.iter().copied(), ("shop", &labels(&[("app", app)])), port)
        };
        assert_eq!(at(&[], "web", 80), Mode::Permissive);
        assert_eq!(at(&[(ROOT_NAMESPACE, &strict)], "web", 80), Mode::Strict);
        assert_eq!(at(&[("other", &strict)], "web", 80), Mode::Permissive);
        assert_eq!(at(&[("shop", &unset), (ROOT_NAMESPACE, &strict)], "web", 80), Mode::Strict);
        let both = [("shop", &strict), ("shop", &own)];
        assert_eq!(at(&both, "web", 80), Mode::Permissive);
        assert_eq!(at(&both, "web", 9000), Mode::Disable);
        assert_eq!(at(&both, "db", 9000), Mode::Strict);
    }

    #[test]
    fn a_pods_own_word_goes_before_its_namespaces() {
        let enabled = labels(&[(NAMESPACE_LABEL, "enabled")]);
        let pod = |own: Value| json!({ "metadata": own, "spec": { "containers": [{ "name": "web" }] } });
        let with = |value: &str| pod(json!({ "labels": { INJECT: value } }));
        assert!(wants_sidecar(&pod(json!({})), &enabled));
        assert!(!wants_sidecar(&with("false"), &enabled));
        assert!(wants_sidecar(&with("true"), &labels(&[])));
        assert!(wants_sidecar(&pod(json!({ "annotations": { INJECT: "true" } })), &labels(&[])));
        let mut injected = with("true");
        inject(&mut injected);
        assert!(!wants_sidecar(&injected, &enabled), "nobody gets two");
        assert!(speaks_mtls(
            &serde_json::from_value(injected["metadata"]["labels"].clone()).expect("labels")
        ));
    }
}
