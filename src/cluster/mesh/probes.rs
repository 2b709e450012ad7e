//! Probes of Pods with a sidecar (istio, `pkg/kube/inject/app_probe.go`): the kubelet has no certificate of the mesh, so
//! it asks the proxy's own program, which asks the workload within the Pod.

use super::PROXY;
use crate::base::Duration;
use crate::cluster::probe::Asks;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where the proxy's program answers (`global.proxy.statusPort`).
pub const STATUS_PORT: u16 = 15020;
/// The variable in which it finds what the workload's probes were (`KubeAppProberEnvName`).
pub const VARIABLE: &str = "ISTIO_KUBE_APP_PROBERS";
/// Annotation of a Pod whose probes are to stay as they are.
const REWRITE: &str = "sidecar.istio.io/rewriteAppHTTPProbers";
/// Probes of a container, each with how its path ends.
const PROBES: [(&str, &str); 3] =
    [("readinessProbe", "readyz"), ("livenessProbe", "livez"), ("startupProbe", "startupz")];

/// Leads the probes of a Pod's containers to the proxy; gives what the proxy has to know of them.
pub(super) fn rewrite(pod: &mut Value) -> Option<String> {
    let asked = pod["metadata"]["annotations"][REWRITE].as_str();
    if matches!(asked, Some("false" | "False" | "FALSE" | "f" | "F" | "0")) {
        return None;
    }
    let mut known = BTreeMap::new();
    for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
        let Some(name) = container["name"].as_str().filter(|name| *name != PROXY).map(str::to_owned) else {
            continue;
        };
        for (field, end) in PROBES {
            let path = format!("/app-health/{name}/{end}");
            let Some(prober) = container.get(field).and_then(|probe| prober(container, probe)) else {
                continue;
            };
            lead(&mut container[field], &path);
            known.insert(path, prober);
        }
    }
    serde_json::to_string(&known).ok()
}

/// What the proxy asks in the kubelet's place; nothing for a command, and for a port by a name that nobody has.
fn prober(container: &Value, probe: &Value) -> Option<Value> {
    let kind = ["httpGet", "tcpSocket", "grpc"].into_iter().find(|kind| probe.get(kind).is_some())?;
    let written = &probe[kind];
    let port = match written["port"].as_str() {
        Some(name) => {
            let mut ports = container["ports"].as_array().into_iter().flatten();
            &ports.find(|port| port["name"] == *name)?["containerPort"]
        }
        None => &written["port"],
    };
    let text = |field: &str, default: &str| {
        json!(written[field].as_str().filter(|text| !text.is_empty()).unwrap_or(default))
    };
    // In the order of the API's own structs, as Go writes them.
    let mut action = match kind {
        "httpGet" => json!({ "path": text("path", "/"), "port": port }),
        _ => json!({ "port": port }),
    };
    for field in ["host", "scheme", "httpHeaders", "service"] {
        match written.get(field) {
            Some(value) => action[field] = value.clone(),
            None if (kind, field) == ("httpGet", "scheme") => action[field] = json!("HTTP"),
            None => {}
        }
    }
    let timeout = probe["timeoutSeconds"].as_i64().unwrap_or(1);
    Some(json!({ kind: action, "timeoutSeconds": timeout }))
}

/// Has the kubelet ask the proxy.
fn lead(probe: &mut Value, path: &str) {
    if let Some(probe) = probe.as_object_mut() {
        probe.remove("tcpSocket");
        probe.remove("grpc");
    }
    let http = &mut probe["httpGet"];
    (http["port"], http["path"]) = (json!(STATUS_PORT), json!(path));
    if http["scheme"] == "HTTPS" {
        http["scheme"] = json!("HTTP");
    }
}

/// What the proxy asks the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prober {
    /// At which port.
    pub port: u16,
    /// What is asked there.
    pub asks: Asks,
    /// How long the answer may take.
    pub timeout: Duration,
}

impl Prober {
    /// The one for a path, as the variable [`VARIABLE`] says.
    pub fn find(variable: &str, path: &str) -> Option<Self> {
        let all: Map<String, Value> = serde_json::from_str(variable).ok()?;
        let prober = all.get(path)?;
        let (http, grpc) = (&prober["httpGet"], &prober["grpc"]);
        let port = [http, grpc, &prober["tcpSocket"]].iter().find_map(|action| action["port"].as_u64())?;
        let asks = match http["path"].as_str() {
            // Header fields come with what the kubelet asks.
            Some(path) => {
                Asks::Http { path: path.to_owned(), is_https: http["scheme"] == "HTTPS", headers: Vec::new() }
            }
            None if grpc.is_object() => {
                Asks::Grpc { service: grpc["service"].as_str().unwrap_or("").to_owned() }
            }
            None => Asks::Connection,
        };
        let seconds = prober["timeoutSeconds"].as_u64().unwrap_or(1);
        Some(Self { port: port.try_into().ok()?, asks, timeout: Duration::from_secs(seconds) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelet_asks_the_proxy_and_the_proxy_the_workload() {
        let mut pod = json!({ "spec": { "containers": [{
            "name": "web", "ports": [{ "name": "http", "containerPort": 8080 }],
            "readinessProbe": { "httpGet": { "port": "http", "path": "/ok", "scheme": "HTTPS" }, "periodSeconds": 3 },
            "livenessProbe": { "tcpSocket": { "port": 9000 }, "timeoutSeconds": 4 },
            "startupProbe": { "exec": { "command": ["true"] } },
        }] } });
        let variable = rewrite(&mut pod).expect("probes are led to the proxy");
        let container = &pod["spec"]["containers"][0];
        assert_eq!(
            container["readinessProbe"],
            json!({ "httpGet": { "port": 15020, "path": "/app-health/web/readyz", "scheme": "HTTP" }, "periodSeconds": 3 })
        );
        assert_eq!(
            container["livenessProbe"],
            json!({ "httpGet": { "port": 15020, "path": "/app-health/web/livez" }, "timeoutSeconds": 4 })
        );
        assert_eq!(container["startupProbe"], json!({ "exec": { "command": ["true"] } }));
        let found = |path| Prober::find(&variable, path).map(|found| (found.port, found.asks, found.timeout));
        let ok = Asks::Http { path: "/ok".to_owned(), is_https: true, headers: Vec::new() };
        assert_eq!(found("/app-health/web/readyz"), Some((8080, ok, Duration::from_secs(1))));
        let connection = Asks::Connection;
        assert_eq!(found("/app-health/web/livez"), Some((9000, connection, Duration::from_secs(4))));
        assert_eq!(found("/app-health/web/startupz"), None);
    }

    #[test]
    fn an_annotation_leaves_the_probes_as_they_are() {
        let mut pod = json!({
            "metadata": { "annotations": { REWRITE: "false" } },
            "spec": { "containers": [{ "name": "web", "readinessProbe": { "tcpSocket": { "port": 80 } } }] },
        });
        let before = pod.clone();
        assert_eq!((rewrite(&mut pod), pod), (None, before));
    }
}
