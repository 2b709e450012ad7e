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
        lab.request(&ApiRequest::Snapshot { kind, namespace, version })
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

/// Pods as documents of their own, or within one list, with a Service that selects nothing before them.
fn many_pods(count: usize, is_list: bool) -> String {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: lonely}\nspec: {selector: {app: none}, ports: [{port: 80}]}\n";
    let pod = |n: usize| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p{n}\nspec:\n  containers:\n  - name: c\n    image: nginx\n"
        )
    };
    if !is_list {
        return (0..count).fold(service.to_owned(), |text, n| text + "---\n" + &pod(n));
    }
    (0..count).fold(format!("{service}---\napiVersion: v1\nkind: List\nitems:\n"), |text, n| {
        text + "- " + pod(n).trim_end().replace('\n', "\n  ").as_str() + "\n"
    })
}

#[test]
fn a_text_is_read_in_pieces_of_one_object_at_most() {
    for is_list in [false, true] {
        let text = many_pods(400, is_list);
        let mut reading = vethscope::manifest::Reading::new(text.as_str().into());
        let (mut n_pieces, mut before, mut percent) = (1, 0, 0);
        while reading.advance() {
            n_pieces += 1;
            assert!(reading.n_checked() <= before + 1, "a piece checks one object");
            assert!(reading.percent() >= percent && reading.percent() <= 100);
            (before, percent) = (reading.n_checked(), reading.percent());
        }
        assert_eq!(before, 401);
        assert!(n_pieces > 401, "{n_pieces} pieces");
        let parsed = reading.finish();
        assert_eq!(parsed, vethscope::manifest::parse(&text));
        assert_eq!(parsed.objects.len(), 401);
        assert_eq!(parsed.diagnostics.len(), 1, "the Service selects nothing: {:?}", parsed.diagnostics);
    }
}

#[test]
fn an_error_within_a_long_document_stands_at_its_place() {
    let text = many_pods(400, true).replacen("name: p399", "name: [p399", 1);
    assert!(text.len() > 16 << 10, "longer than what is read in one piece");
    let parsed = vethscope::manifest::parse(&text);
    let place = parsed.diagnostics[0].span.expect("a place").place(&text);
    // The bracket stands in the fifth line of the last Pod, and the colon of the next line has no place within it.
    assert_eq!(place.line, 5 + 3 + 399 * 8 + 5, "{:?}", parsed.diagnostics);
    assert_eq!(parsed.objects.len(), 1, "the document before it is read");
}

#[test]
fn a_text_is_applied_in_steps_of_one_moment() {
    let text = many_pods(400, false);
    let mut lab = Lab::new(1);
    lab.apply(&text);
    let (mut left, mut n_steps) = (usize::MAX, 0);
    let mut moments = Vec::new();
    loop {
        lab.advance(1);
        let now = lab.n_unwritten();
        assert!(left == usize::MAX || left - now <= 64, "{left} objects were left, and then {now}");
        left = now;
        n_steps += 1;
        moments.push(lab.now());
        if left == 0 {
            break;
        }
    }
    assert!(n_steps >= 401 / 64, "{n_steps} steps");
    assert!(moments.iter().all(|at| *at == moments[0]));
    lab.settle(FOR_EVER);
    assert_eq!(lab.live().pods.len(), 400);
    // What is pasted next takes them back, in steps as well, and a replay sees the same.
    lab.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n");
    lab.advance(1);
    assert!(lab.n_unwritten() > 0);
    lab.settle(FOR_EVER);
    let mut again = Lab::open(&lab.log());
    while matches!(again.advance(10), Progress::Busy(_)) {}
    while matches!(lab.advance(10), Progress::Busy(_)) {}
    assert_eq!(lab.live().pods.len(), 0);
    assert_eq!(again.trace().hash(), lab.trace().hash());
}
