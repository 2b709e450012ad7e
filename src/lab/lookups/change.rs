//! What a comparison of lookups changes in its cluster: who remembers answers, and the address of a Service.

use super::Memory;
use crate::api::{ApiRequest, PatchKind};
use crate::base::{Duration, ObjectKey};
use crate::lab::Lab;
use serde_json::{Value, json};

/// Time between two lookups of a Service that changes.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Longer than the kubelet and the plugin `reload` take together to follow a Corefile.
const RELOADED: Duration = Duration::from_secs(180);
/// Longer than new Pods take to come up.
const COMING_UP: Duration = Duration::from_secs(60);

/// Puts a cache on every node.
pub(super) fn add_node_local(lab: &mut Lab) {
    let objects = lab.sim.agent().map(crate::agent::ControlPlane::node_local_dns).unwrap_or_default();
    for value in objects {
        // Those that are there already stay.
        drop(lab.request(&ApiRequest::Create((*value).clone())));
    }
    let limit = lab.now() + COMING_UP;
    lab.settle(limit);
}

/// Changes the cluster so that this one remembers answers, and nobody else.
pub(super) fn remember(lab: &mut Lab, memory: Memory) {
    let corefile = lab.sim.agent().and_then(|agent| Some(agent.corefile()?.0)).unwrap_or_default();
    let mut text = without_cache(&corefile);
    if memory == Memory::CoreDns {
        text = text.replace("kubernetes ", "cache 30\n    kubernetes ");
    }
    let key = ObjectKey::new("ConfigMap", "kube-system", "coredns");
    let patch = json!({ "data": { "Corefile": text } });
    // Without a Corefile of its own the cluster keeps the one it has.
    drop(lab.request(&ApiRequest::Patch { key, kind: PatchKind::Merge, patch }));
    if memory == Memory::Node {
        add_node_local(lab);
    } else {
        let key = ObjectKey::new("DaemonSet", "kube-system", "node-local-dns");
        // Mostly there is none.
        drop(lab.request(&ApiRequest::Delete { key, propagation: None, grace_seconds: None }));
    }
    let limit = lab.now() + RELOADED;
    lab.wait_until(limit);
}

/// A Corefile without the plugin `cache`.
fn without_cache(corefile: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0_usize);
    for line in corefile.lines() {
        let opens = line.matches('{').count();
        let closes = line.matches('}').count();
        if depth > 0 {
            depth = (depth + opens).saturating_sub(closes);
        } else if line.split_whitespace().next() == Some("cache") {
            depth = opens.saturating_sub(closes);
        } else {
            out += line;
            out.push('\n');
        }
    }
    out
}

/// The Service with an address of its own that a whole name stands for.
pub(super) fn service_of(lab: &mut Lab, name: &str) -> Option<ObjectKey> {
    let mut labels = name.split('.');
    let (service, namespace, kind) = (labels.next()?, labels.next()?, labels.next()?);
    let key = ObjectKey::new("Service", namespace, service);
    (kind == "svc" && !addresses(lab, &key).is_empty()).then_some(key)
}

fn addresses(lab: &mut Lab, key: &ObjectKey) -> Vec<String> {
    let service = lab.request(&ApiRequest::Get(key.clone())).unwrap_or_default();
    let all = service["spec"]["clusterIPs"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).filter(|ip| *ip != "None").map(str::to_owned).collect()
}

/// Deletes the Service and makes it again, so that it gets another address.
pub(super) fn make_anew(lab: &mut Lab, key: &ObjectKey) {
    let Ok(mut service) = lab.request(&ApiRequest::Get(key.clone())) else { return };
    for field in ["clusterIP", "clusterIPs"] {
        service["spec"].as_object_mut().and_then(|spec| spec.remove(field));
    }
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        service["metadata"].as_object_mut().and_then(|metadata| metadata.remove(field));
    }
    service.as_object_mut().and_then(|service| service.remove("status"));
    let (key, grace_seconds) = (key.clone(), Some(0));
    // Both are as the user's own requests would be: what is refused does not happen.
    drop(lab.request(&ApiRequest::Delete { key, propagation: None, grace_seconds }));
    drop(lab.request(&ApiRequest::Create(service)));
}

/// Whether a lookup printed an address that the Service does not have.
pub(super) fn is_stale(lab: &mut Lab, key: &ObjectKey, printed: &str) -> bool {
    let present = addresses(lab, key);
    let mut found = printed.lines().filter_map(|line| line.split_whitespace().next());
    found.any(|ip| !present.iter().any(|own| own == ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_taken_out_with_its_block() {
        let text = ".:53 {\n    errors\n    cache 30 {\n       disable success x\n    }\n    loop\n}\n";
        assert_eq!(without_cache(text), ".:53 {\n    errors\n    loop\n}\n");
        assert_eq!(without_cache(".:53 {\n    cache\n    loop\n}\n"), ".:53 {\n    loop\n}\n");
    }
}
