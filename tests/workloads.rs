//! Controllers and the life of Pods, held against cases from the real systems' own suites.
mod common;

use common::{FOR_EVER, apply, lab};
use serde_json::{Value, json};
use vethscope::api::{ApiError, ApiRequest, PatchKind, Propagation};
use vethscope::base::{ObjectKey, SimTime};
use vethscope::lab::Lab;

const PAUSE: &str = "registry.k8s.io/pause:3.10";
const MISSING: &str = "registry.example/none:404";

/// A workload with one container of `image` and the label `app: web`.
fn workload(kind: &str, name: &str, image: &str, spec: &str) -> String {
    let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec:\n  selector: {{matchLabels: {{app: \
         web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n      - {{name: c, image: '{image}'}}\n\
         {spec}"
    )
}

fn pod(name: &str, image: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec:\n  containers:\n  - {{name: c, image: '{image}'}}\n{spec}"
    )
}

fn key(path: &str) -> ObjectKey {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        [kind, name] => ObjectKey::new(kind, "default", name),
        [kind, namespace, name] => ObjectKey::new(kind, namespace, name),
        _ => panic!("{path}"),
    }
}

fn get(lab: &mut Lab, path: &str) -> Value {
    lab.request(&ApiRequest::Get(key(path))).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list(lab: &mut Lab, kind: &str) -> Vec<Value> {
    let all = lab.request(&ApiRequest::List { kind: kind.to_owned(), namespace: "default".to_owned() });
    all.expect("a list is answered").as_array().expect("a list").clone()
}

fn names(lab: &mut Lab, kind: &str) -> Vec<String> {
    list(lab, kind)
        .iter()
        .map(|object| object["metadata"]["name"].as_str().unwrap_or("").to_owned())
        .collect()
}

fn patch(lab: &mut Lab, path: &str, patch: Value) -> Result<Value, ApiError> {
    let answer = lab.request(&ApiRequest::Patch { key: key(path), kind: PatchKind::Strategic, patch });
    lab.settle(FOR_EVER);
    answer
}

fn set_image(lab: &mut Lab, path: &str, image: &str) {
    let containers = json!([{ "name": "c", "image": image }]);
    patch(lab, path, json!({ "spec": { "template": { "spec": { "containers": containers } } } }))
        .expect("a patch");
}

fn delete(lab: &mut Lab, path: &str, propagation: Option<Propagation>) {
    lab.request(&ApiRequest::Delete { key: key(path), propagation, grace_seconds: None })
        .expect("a deletion");
    lab.settle(FOR_EVER);
}

/// Lets so many seconds pass.
fn wait(lab: &mut Lab, seconds: u64) {
    let at = SimTime(lab.now().0 + seconds * 1_000_000_000);
    lab.wait_until(at);
}

/// Events about an object as `Type Reason Message`, oldest first.
fn events(lab: &mut Lab, path: &str) -> Vec<String> {
    let key = key(path);
    let about =
        lab.live().kube_events.iter().filter(|(_, event)| event.kind == key.kind && event.name == key.name);
    let kind = |warning| if warning { "Warning" } else { "Normal" };
    about.map(|(_, event)| format!("{} {} {}", kind(event.warning), event.reason, event.message)).collect()
}

/// The old and the new ReplicaSet by their images: how many Pods each wants.
fn replicas(lab: &mut Lab, image: &str) -> Option<i64> {
    let sets = list(lab, "ReplicaSet");
    let set = sets.iter().find(|set| set["spec"]["template"]["spec"]["containers"][0]["image"] == image)?;
    set["spec"]["replicas"].as_i64()
}

#[test]
fn a_deployment_makes_one_replica_set_that_makes_pods() {
    let mut lab = lab(&workload("Deployment", "web", PAUSE, "  replicas: 2\n"), 1);
    let sets = list(&mut lab, "ReplicaSet");
    assert_eq!(sets.len(), 1);
    let (set, name) = (&sets[0], sets[0]["metadata"]["name"].as_str().unwrap_or("").to_owned());
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap_or("");
    assert_eq!(name, format!("web-{hash}"));
    assert_eq!(set["metadata"]["ownerReferences"][0]["kind"], "Deployment");
    assert_eq!(set["metadata"]["ownerReferences"][0]["controller"], true);
    let pods = names(&mut lab, "Pod");
    assert_eq!(pods.len(), 2);
    assert!(
        pods.iter().all(|pod| pod.starts_with(&format!("{name}-")) && pod.len() == name.len() + 6),
        "{pods:?}"
    );
    assert_eq!(
        events(&mut lab, "Deployment/web"),
        [format!("Normal ScalingReplicaSet Scaled up replica set {name} from 0 to 2")]
    );
    let made = events(&mut lab, &format!("ReplicaSet/{name}"));
    assert_eq!(made.len(), 2);
    assert!(made[0].starts_with(&format!("Normal SuccessfulCreate Created pod: {name}-")), "{made:?}");
    let status = &get(&mut lab, "Deployment/web")["status"];
    assert_eq!((&status["readyReplicas"], &status["updatedReplicas"]), (&json!(2), &json!(2)));
    assert_eq!(status["conditions"][1]["reason"], "NewReplicaSetAvailable", "{status}");
}

#[test]
fn a_replica_set_of_the_same_template_is_adopted_and_scaled() {
    let text = [
        workload("ReplicaSet", "old", PAUSE, "  replicas: 0\n"),
        workload("Deployment", "web", PAUSE, "  replicas: 2\n"),
    ];
    let mut lab = lab(&text.join("---\n"), 1);
    assert_eq!(names(&mut lab, "ReplicaSet"), ["old"]);
    let set = get(&mut lab, "ReplicaSet/old");
    assert_eq!(
        (&set["spec"]["replicas"], &set["metadata"]["ownerReferences"][0]["name"]),
        (&json!(2), &json!("web"))
    );
}

#[test]
fn scaling_and_restarting() {
    let mut lab = lab(&workload("Deployment", "web", PAUSE, "  replicas: 2\n"), 1);
    patch(&mut lab, "Deployment/web", json!({ "spec": { "replicas": 4 } })).expect("a patch");
    assert_eq!(names(&mut lab, "Pod").len(), 4);
    let before = names(&mut lab, "Pod");
    let at = json!({ "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z" });
    patch(
        &mut lab,
        "Deployment/web",
        json!({ "spec": { "template": { "metadata": { "annotations": at } } } }),
    )
    .expect("a patch");
    let after = list(&mut lab, "Pod");
    assert_eq!(after.len(), 4);
    for pod in &after {
        assert!(!before.contains(&pod["metadata"]["name"].as_str().unwrap_or("").to_owned()));
        assert_eq!(pod["metadata"]["annotations"], at);
    }
    let sets = list(&mut lab, "ReplicaSet");
    let revision = |set: &Value| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone();
    let mut revisions: Vec<Value> = sets.iter().map(revision).collect();
    revisions.sort_by_key(ToString::to_string);
    assert_eq!(revisions, ["1", "2"]);
}

#[test]
fn a_rollback_takes_the_next_revision() {
    let mut lab = lab(&workload("Deployment", "web", PAUSE, "  replicas: 1\n"), 1);
    set_image(&mut lab, "Deployment/web", "registry.k8s.io/pause:3.9");
    set_image(&mut lab, "Deployment/web", PAUSE);
    let sets = list(&mut lab, "ReplicaSet");
    assert_eq!(sets.len(), 2);
    let old = sets.iter().find(|set| set["spec"]["replicas"] == 1).expect("the first set is used again");
    assert_eq!(old["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(old["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(
        get(&mut lab, "Deployment/web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
}

#[test]
fn recreate_waits_until_every_old_pod_is_gone() {
    let mut lab =
        lab(&workload("Deployment", "web", PAUSE, "  replicas: 2\n  strategy: {type: Recreate}\n"), 1);
    let pods = names(&mut lab, "Pod");
    for pod in &pods {
        let held = json!({ "metadata": { "finalizers": ["example.com/hold"] } });
        patch(&mut lab, &format!("Pod/{pod}"), held).expect("a patch");
    }
    set_image(&mut lab, "Deployment/web", "registry.k8s.io/pause:3.9");
    assert_eq!(replicas(&mut lab, PAUSE), Some(0));
    assert_eq!(replicas(&mut lab, "registry.k8s.io/pause:3.9"), None);
    assert!(list(&mut lab, "Pod").iter().all(|pod| !pod["metadata"]["deletionTimestamp"].is_null()));
    for pod in &pods {
        let free = ApiRequest::Patch {
            key: key(&format!("Pod/{pod}")),
            kind: PatchKind::Merge,
            patch: json!({ "metadata": { "finalizers": null } }),
        };
        lab.request(&free).expect("a patch");
    }
    lab.settle(FOR_EVER);
    let pods = list(&mut lab, "Pod");
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod["spec"]["containers"][0]["image"] == "registry.k8s.io/pause:3.9"));
}

#[test]
fn a_rollout_keeps_to_its_bounds() {
    for (bounds, wanted) in
        [("maxSurge: 50%, maxUnavailable: 0", (4, 2)), ("maxSurge: 0, maxUnavailable: 50%", (2, 2))]
    {
        let strategy =
            format!("  replicas: 4\n  strategy: {{type: RollingUpdate, rollingUpdate: {{{bounds}}}}}\n");
        let mut lab = lab(&workload("Deployment", "web", PAUSE, &strategy), 1);
        set_image(&mut lab, "Deployment/web", MISSING);
        let found = (replicas(&mut lab, PAUSE), replicas(&mut lab, MISSING));
        assert_eq!(found, (Some(wanted.0), Some(wanted.1)), "{bounds}");
    }
}

#[test]
fn dependents_go_with_their_owner_or_stay() {
    let text = workload("Deployment", "web", PAUSE, "  replicas: 2\n");
    for propagation in [Some(Propagation::Background), Some(Propagation::Foreground), None] {
        let mut lab = lab(&text, 1);
        delete(&mut lab, "Deployment/web", propagation);
        for kind in ["Deployment", "ReplicaSet", "Pod"] {
            assert_eq!(names(&mut lab, kind), [""; 0], "{propagation:?}");
        }
    }
    let mut lab = lab(&text, 1);
    delete(&mut lab, "Deployment/web", Some(Propagation::Orphan));
    assert_eq!(names(&mut lab, "Deployment"), [""; 0]);
    let sets = list(&mut lab, "ReplicaSet");
    assert!(sets.len() == 1 && sets[0]["metadata"]["ownerReferences"].is_null());
    let pods = list(&mut lab, "Pod");
    assert!(pods.len() == 2 && pods[0]["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet");
}

#[test]
fn a_replica_set_adopts_releases_and_orphans() {
    let set = workload("ReplicaSet", "web", PAUSE, "  replicas: 1\n");
    let mut first = lab(&[pod("lone", PAUSE, ""), set.clone()].join("---\n"), 1);
    assert_eq!(names(&mut first, "Pod"), ["lone"]);
    assert_eq!(get(&mut first, "Pod/lone")["metadata"]["ownerReferences"][0]["name"], "web");
    patch(&mut first, "Pod/lone", json!({ "metadata": { "labels": { "app": "other" } } })).expect("a patch");
    assert_eq!(names(&mut first, "Pod").len(), 2);
    assert!(get(&mut first, "Pod/lone")["metadata"]["ownerReferences"].is_null());
    let held = set.replace("metadata: {name: web,", "metadata: {name: web, finalizers: [orphan],");
    let mut second = lab(&held, 1);
    delete(&mut second, "ReplicaSet/web", None);
    assert_eq!(names(&mut second, "ReplicaSet"), [""; 0]);
    let pods = list(&mut second, "Pod");
    assert!(pods.len() == 1 && pods[0]["metadata"]["ownerReferences"].is_null(), "{pods:?}");
}

#[test]
fn a_pod_is_available_only_after_it_was_ready_for_long_enough() {
    let mut lab = lab(&workload("ReplicaSet", "web", PAUSE, "  replicas: 1\n  minReadySeconds: 60\n"), 1);
    let status = get(&mut lab, "ReplicaSet/web")["status"].clone();
    assert_eq!((&status["readyReplicas"], &status["availableReplicas"]), (&json!(1), &Value::Null));
    wait(&mut lab, 61);
    assert_eq!(get(&mut lab, "ReplicaSet/web")["status"]["availableReplicas"], 1);
}

#[test]
fn numbered_pods_come_in_order_and_go_in_reverse() {
    let mut lab = lab(&workload("StatefulSet", "web", PAUSE, "  replicas: 3\n  serviceName: web\n"), 1);
    assert_eq!(names(&mut lab, "Pod"), ["web-0", "web-1", "web-2"]);
    let made: Vec<String> = events(&mut lab, "StatefulSet/web");
    assert_eq!(made[0], "Normal SuccessfulCreate create Pod web-0 in StatefulSet web successful");
    let pod = get(&mut lab, "Pod/web-1");
    assert_eq!((&pod["spec"]["hostname"], &pod["spec"]["subdomain"]), (&json!("web-1"), &json!("web")));
    assert_eq!(pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"], "1");
    // Each came after the one before was ready.
    let ready: Vec<SimTime> = (0..3)
        .filter_map(|at| {
            lab.live().pods.get(&("default".into(), format!("web-{at}").into())).map(|row| row.created)
        })
        .collect();
    assert!(ready.windows(2).all(|pair| pair[1].0 > pair[0].0 + 300_000_000), "{ready:?}");
    patch(&mut lab, "StatefulSet/web", json!({ "spec": { "replicas": 1 } })).expect("a patch");
    assert_eq!(names(&mut lab, "Pod"), ["web-0"]);
    let gone: Vec<String> = events(&mut lab, "StatefulSet/web").split_off(3);
    assert_eq!(
        gone,
        [2, 1].map(|at| format!("Normal SuccessfulDelete delete Pod web-{at} in StatefulSet web successful"))
    );
    // A Pod that is gone comes back under its name; a new template goes from the highest number down.
    delete(&mut lab, "Pod/web-0", None);
    assert_eq!(names(&mut lab, "Pod"), ["web-0"]);
}

#[test]
fn a_daemon_runs_on_every_node_that_takes_it() {
    let text = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n2}\nspec: {unschedulable: true}\n---\n\
                apiVersion: v1\nkind: Node\nmetadata: {name: n3}\nspec: {taints: [{key: k, effect: NoSchedule}]}\n---\n";
    let set = workload("DaemonSet", "ds", PAUSE, "");
    let mut lab = lab(&format!("{text}{set}"), 1);
    let nodes = |lab: &mut Lab| {
        let mut nodes: Vec<String> = list(lab, "Pod")
            .iter()
            .map(|pod| pod["spec"]["nodeName"].as_str().unwrap_or("").to_owned())
            .collect();
        nodes.sort();
        nodes
    };
    assert_eq!(nodes(&mut lab), ["n1", "n2"]);
    let more = "apiVersion: v1\nkind: Node\nmetadata: {name: n4}\n---\n";
    apply(&mut lab, &format!("{text}{more}{set}"));
    assert_eq!(nodes(&mut lab), ["n1", "n2", "n4"]);
    let spec = list(&mut lab, "Pod")[0]["spec"].clone();
    let terms = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    assert_eq!(terms[0]["matchFields"][0]["key"], "metadata.name");
    assert_eq!(spec["tolerations"].as_array().map(Vec::len), Some(6));
    assert_eq!(get(&mut lab, "DaemonSet/ds")["status"]["numberReady"], 3);
}

#[test]
fn a_job_runs_its_pods_to_their_end() {
    let template = "template: {metadata: {labels: {app: j}}, spec: {restartPolicy: Never, containers: [{name: c, image: 'busybox:1.36', command: [COMMAND]}]}}";
    let job = |spec: &str, command: &str| {
        let template = template.replace("COMMAND", command);
        format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j}}\nspec:\n  {spec}\n  {template}\n")
    };
    let mut first = lab(&job("completions: 3\n  parallelism: 1", "'true'"), 1);
    let status = get(&mut first, "Job/j")["status"].clone();
    assert_eq!(status["succeeded"], 3);
    assert_eq!(status["conditions"][1]["type"], "Complete");
    assert_eq!(
        events(&mut first, "Job/j").last().map(String::as_str),
        Some("Normal Completed Job completed")
    );
    assert_eq!(names(&mut first, "Pod").len(), 3);
    let mut second = lab(&job("backoffLimit: 1", "'false'"), 1);
    let last = events(&mut second, "Job/j").pop();
    assert_eq!(
        last.as_deref(),
        Some("Warning BackoffLimitExceeded Job has reached the specified backoff limit")
    );
    assert_eq!(get(&mut second, "Job/j")["status"]["failed"], 2);
}

#[test]
fn an_object_without_any_living_owner_is_collected() {
    let owner = |uid: &str| format!("{{apiVersion: apps/v1, kind: ReplicaSet, name: x, uid: {uid}}}");
    let text = |owners: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: cm, ownerReferences: [{owners}]}}\n")
    };
    let mut lab = lab(&text(&owner("00000000-0000-0000-0000-000000000000")), 1);
    assert_eq!(names(&mut lab, "ConfigMap"), ["kube-root-ca.crt"]);
    let made = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "owner" } });
    let uid = lab.request(&ApiRequest::Create(made)).expect("made")["metadata"]["uid"]
        .as_str()
        .unwrap_or("")
        .to_owned();
    let absent = json!({ "apiVersion": "v1", "kind": "Secret", "name": "gone", "uid": "11111111-0000-0000-0000-000000000000" });
    let living = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid });
    let owned = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "owned", "ownerReferences": [absent, living] } });
    lab.request(&ApiRequest::Create(owned)).expect("made");
    lab.settle(FOR_EVER);
    assert_eq!(get(&mut lab, "ConfigMap/owned")["metadata"]["ownerReferences"], json!([living]));
}

#[test]
fn a_namespace_goes_with_all_that_is_in_it() {
    let text = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: dev}}\n---\n{}",
        workload("Deployment", "web", PAUSE, "  replicas: 2\n")
            .replace("name: web,", "name: web, namespace: dev,")
    );
    let mut lab = lab(&text, 1);
    assert_eq!(lab.live().pods.len(), 2);
    let namespace = ObjectKey::new("Namespace", "", "dev");
    lab.request(&ApiRequest::Delete { key: namespace.clone(), propagation: None, grace_seconds: None })
        .expect("a deletion");
    let gone = lab.request(&ApiRequest::Get(namespace.clone())).expect("it is still there");
    assert_eq!(gone["status"]["phase"], "Terminating");
    let late = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "late", "namespace": "dev" } });
    let refused = lab.request(&ApiRequest::Create(late)).expect_err("no new content");
    assert_eq!(
        refused.to_string(),
        "configmaps \"late\" is forbidden: unable to create new content in namespace dev because it is being terminated"
    );
    lab.settle(FOR_EVER);
    assert_eq!(lab.live().pods.len(), 0);
    let missing = lab.request(&ApiRequest::Get(namespace)).expect_err("it is gone");
    assert_eq!(missing.to_string(), "namespaces \"dev\" not found");
}

/// Which of two Pods goes first when one is too many; each line names what the first one has and the other has not.
#[test]
fn the_first_to_go_is_chosen_as_by_the_replica_set_controller() {
    use vethscope::cluster::rollout::DeletionRank;
    let plain = DeletionRank {
        assigned: true,
        phase: 2,
        ready: true,
        cost: 0,
        crowd: 1,
        ready_for_ns: Some(8_000_000_000),
        restarts: (0, 0),
        age_ns: 9_000_000_000,
        uid: "m".into(),
    };
    let unready = DeletionRank { ready: false, ready_for_ns: None, ..plain.clone() };
    let first = [
        ("unassigned", DeletionRank { assigned: false, phase: 2, ..plain.clone() }),
        ("pending", DeletionRank { phase: 0, cost: 9, ..plain.clone() }),
        ("unknown", DeletionRank { phase: 1, ..plain.clone() }),
        ("not ready", DeletionRank { cost: 9, ..unready.clone() }),
        ("cheaper", DeletionRank { cost: -1, crowd: 0, ..plain.clone() }),
        ("in a crowd", DeletionRank { crowd: 2, ready_for_ns: Some(80_000_000_000), ..plain.clone() }),
        ("ready for a shorter time", DeletionRank { ready_for_ns: Some(1_000_000_000), ..plain.clone() }),
        ("restarted", DeletionRank { restarts: (1, 0), age_ns: 90_000_000_000, ..plain.clone() }),
        ("its sidecar restarted", DeletionRank { restarts: (0, 1), ..plain.clone() }),
        ("younger", DeletionRank { age_ns: 1_000_000_000, uid: "z".into(), ..plain.clone() }),
        // Within a power of two the identity decides, before restarts are looked at.
        (
            "ready for about as long",
            DeletionRank { ready_for_ns: Some(8_000_000_001), uid: "a".into(), ..plain.clone() },
        ),
        ("about as old", DeletionRank { age_ns: 9_000_000_001, uid: "a".into(), ..plain.clone() }),
    ];
    for (what, rank) in first {
        assert!(rank.compare(&plain).is_lt() && plain.compare(&rank).is_gt(), "{what}");
    }
    let restarted = DeletionRank {
        restarts: (5, 0),
        ready_for_ns: Some(8_000_000_001),
        uid: "z".into(),
        ..plain.clone()
    };
    assert!(plain.compare(&restarted).is_lt());
}

#[test]
fn a_cheap_pod_goes_first_when_a_set_is_scaled_down() {
    let mut lab = lab(&workload("ReplicaSet", "web", PAUSE, "  replicas: 3\n"), 1);
    let pods = names(&mut lab, "Pod");
    let cost =
        json!({ "metadata": { "annotations": { "controller.kubernetes.io/pod-deletion-cost": "-5" } } });
    patch(&mut lab, &format!("Pod/{}", pods[1]), cost).expect("a patch");
    patch(&mut lab, "ReplicaSet/web", json!({ "spec": { "replicas": 2 } })).expect("a patch");
    assert_eq!(names(&mut lab, "Pod"), [pods[0].clone(), pods[2].clone()]);
}

#[path = "workloads/kubelet.rs"]
mod kubelet;
