//! The API server's store: objects of every kind, how they come, change and go, and what the log makes of it.
mod common;

use common::{FOR_EVER, apply, lab};
use serde_json::{Value, json};
use vethscope::api::{ApiRequest, PatchKind};
use vethscope::base::ObjectKey;
use vethscope::lab::{Lab, Progress};
use vethscope::trace::Inventory;

const TEXT: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: cm, namespace: dev}
data: {a: b}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
";

fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "dev" }, "data": { "x": "1" } })
}

fn data(lab: &mut Lab, name: &str) -> Option<Value> {
    Some(lab.live().objects.get(&ObjectKey::new("ConfigMap", "dev", name))?.value["data"].clone())
}

#[test]
fn every_kind_is_kept_with_what_the_api_server_adds() {
    let mut lab = lab(TEXT, 1);
    let names: Vec<String> = lab.live().objects_of("Namespace").map(|row| row.key.name.to_string()).collect();
    assert_eq!(names, ["default", "dev", "kube-node-lease", "kube-public", "kube-system"]);
    let dev = lab.request(&ApiRequest::Get(ObjectKey::new("Namespace", "", "dev"))).unwrap();
    assert_eq!(dev["metadata"]["labels"]["kubernetes.io/metadata.name"], "dev");
    assert_eq!(dev["status"]["phase"], "Active");
    let policy = lab.request(&ApiRequest::Get(ObjectKey::new("NetworkPolicy", "default", "deny"))).unwrap();
    assert_eq!(policy["metadata"]["generation"], 1);
    assert_eq!(policy["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(policy["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert_eq!(lab.live().objects_of("Node").count(), 2);
}

#[test]
fn an_object_comes_changes_and_goes_by_requests() {
    let mut lab = lab(TEXT, 1);
    let made = lab.request(&ApiRequest::Create(config_map("own"))).unwrap();
    let again = lab.request(&ApiRequest::Create(config_map("own"))).unwrap_err();
    assert_eq!((again.code, again.to_string().as_str()), (409, "configmaps \"own\" already exists"));
    let key = ObjectKey::new("ConfigMap", "dev", "own");
    let patch = json!({ "data": { "x": null, "y": "2" } });
    let patched = ApiRequest::Patch { key: key.clone(), kind: PatchKind::Merge, patch };
    lab.request(&patched).unwrap();
    assert_eq!(data(&mut lab, "own"), Some(json!({ "y": "2" })));
    // The object that was read before the patch is an old one.
    let stale = lab.request(&ApiRequest::Replace(made)).unwrap_err();
    assert_eq!((stale.code, stale.reason), (409, "Conflict"));
    let before = lab.trace().len();
    lab.request(&ApiRequest::Delete { key: key.clone(), propagation: None, grace_seconds: None }).unwrap();
    assert_eq!(data(&mut lab, "own"), None);
    let missing = lab.request(&ApiRequest::Get(key.clone())).unwrap_err();
    assert_eq!((missing.code, missing.to_string().as_str()), (404, "configmaps \"own\" not found"));
    let mut elsewhere = config_map("own");
    elsewhere["metadata"]["namespace"] = json!("nowhere");
    let missing = lab.request(&ApiRequest::Create(elsewhere)).unwrap_err();
    assert_eq!(missing.to_string(), "namespaces \"nowhere\" not found");
    // Time travel: it is still there in the tables of the moment before.
    assert!(Inventory::at(lab.trace(), before).objects.contains_key(&key));
}

#[test]
fn a_log_with_requests_replays_to_the_same() {
    let mut lab = lab(TEXT, 1);
    lab.request(&ApiRequest::Create(config_map("own"))).unwrap();
    lab.settle(FOR_EVER);
    let log: vethscope::lab::LabLog =
        serde_json::from_str(&serde_json::to_string(&lab.log()).unwrap()).unwrap();
    let mut again = Lab::open(&log);
    while matches!(again.advance(10_000), Progress::Busy(_)) {}
    assert_eq!(data(&mut again, "own"), Some(json!({ "x": "1" })));
    assert_eq!(again.trace().hash(), lab.trace().hash());
}

#[test]
fn a_text_takes_back_only_what_a_text_said() {
    let mut lab = lab(TEXT, 1);
    lab.request(&ApiRequest::Create(config_map("own"))).unwrap();
    let key = ObjectKey::new("ConfigMap", "dev", "cm");
    let patch = json!({ "data": { "kept": "yes" } });
    lab.request(&ApiRequest::Patch { key, kind: PatchKind::Merge, patch }).unwrap();
    apply(&mut lab, &TEXT.replace("data: {a: b}", "data: {c: d}").replace("name: deny", "name: other"));
    assert_eq!(data(&mut lab, "cm"), Some(json!({ "c": "d", "kept": "yes" })));
    assert!(data(&mut lab, "own").is_some());
    let policies: Vec<String> =
        lab.live().objects_of("NetworkPolicy").map(|row| row.key.to_string()).collect();
    assert_eq!(policies, ["NetworkPolicy/default/other"]);
}

#[test]
fn a_list_can_be_asked_for_as_it_stood_at_a_version() {
    let mut lab = lab(TEXT, 1);
    let list = |lab: &mut Lab, version| {
        let (kind, namespace) = ("ConfigMap".to_owned(), "dev".to_owned());
        lab.request(&ApiRequest::Snapshot { kind, namespace, version, since: None })
    };
    let names = |list: &Value| {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|one| one["metadata"]["name"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    let before = list(&mut lab, None).unwrap();
    let version: u64 = before["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    lab.request(&ApiRequest::Create(config_map("late"))).unwrap();
    let key = ObjectKey::new("ConfigMap", "dev", "cm");
    let patch = json!({ "data": { "a": "changed" } });
    lab.request(&ApiRequest::Patch { key: key.clone(), kind: PatchKind::Merge, patch }).unwrap();
    lab.request(&ApiRequest::Delete { key, propagation: None, grace_seconds: None }).unwrap();
    assert_eq!(names(&list(&mut lab, None).unwrap()), ["kube-root-ca.crt", "late"]);
    let exact = list(&mut lab, Some(version)).unwrap();
    assert_eq!(names(&exact), ["cm", "kube-root-ca.crt"]);
    assert_eq!(exact["metadata"]["resourceVersion"], version.to_string());
    assert_eq!(exact["items"][0]["data"], json!({ "a": "b" }));
    assert_eq!(list(&mut lab, Some(1_000_000)).unwrap_err().code, 504);
}
