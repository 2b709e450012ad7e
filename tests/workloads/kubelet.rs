//! What the kubelet does: phases, images, probes, hooks, configuration.

use super::*;
use vethscope::api::RestartPolicy;
use vethscope::cluster::phase::{Phase, State, phase};

fn state(text: &str) -> State {
    let code = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text}"));
    match text {
        "run" => State::Running(false),
        "started" => State::Running(true),
        "wait" => State::Waiting(None),
        _ => match text.strip_prefix("wait(last exit") {
            Some(rest) => State::Waiting(Some(code(rest.trim_end_matches(')')))),
            None => State::Exited(code(text.trim_start_matches("exit"))),
        },
    }
}

/// The states of the named containers, of which some may have none.
fn states(text: &str, names: &[&str]) -> Vec<State> {
    let text = text.replace("(last ", "(last\u{a0}");
    let all: Vec<(String, State)> = text
        .split(' ')
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.to_owned(), state(&value.replace('\u{a0}', " "))))
        .collect();
    let found =
        |name: &&str| all.iter().find(|(known, _)| known == name).map_or(State::Unknown, |(_, state)| *state);
    names.iter().map(found).collect()
}

#[test]
fn phases_follow_from_the_states_of_containers() {
    let mut seen = 0;
    for line in include_str!("phases.txt").lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [policy, inits, init_states, main_states, terminal, wanted] = parts[..] else { panic!("{line}") };
        let policy = match policy {
            "Always" => RestartPolicy::Always,
            "Never" => RestartPolicy::Never,
            _ => RestartPolicy::OnFailure,
        };
        let names: Vec<&str> = inits.split(' ').filter(|name| !name.is_empty()).collect();
        let bare: Vec<&str> = names.iter().map(|name| name.trim_end_matches("(sidecar)")).collect();
        let stays = names.iter().map(|name| name.ends_with("(sidecar)"));
        let inits: Vec<(bool, State)> = stays.zip(states(init_states, &bare)).collect();
        let mains = if line.contains("X Y(sidecar)") { vec!["A"] } else { vec!["A", "B"] };
        let found = match phase(policy, &inits, &states(main_states, &mains), terminal == "yes") {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
        };
        assert_eq!(found, wanted, "{line}");
        seen += 1;
    }
    assert_eq!(seen, 37);
}

const NETEXEC: &str = "args: [netexec, --http-port=8080]";

fn agnhost(name: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec:\n  containers:\n  - name: c\n    image: \
         registry.k8s.io/e2e-test-images/agnhost:2.40\n    {NETEXEC}\n{more}"
    )
}

fn sleeper(name: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n  - name: c\n    image: busybox:1.36\n    command: [sleep, \
         '3600']\n{more}"
    )
}

fn condition(object: &Value, kind: &str) -> (String, String) {
    let list = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = list.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or("").to_owned();
    (text("status"), text("reason"))
}

fn container(lab: &mut Lab, pod: &str) -> Value {
    get(lab, pod)["status"]["containerStatuses"][0].clone()
}

#[test]
fn events_of_a_start() {
    let mut lab = lab(&pod("p", "nginx:1.27", ""), 1);
    let found = events(&mut lab, "Pod/p");
    assert_eq!(found[0], "Normal Scheduled Successfully assigned default/p to node1");
    assert_eq!(found[1], "Normal Pulling Pulling image \"nginx:1.27\"");
    assert!(
        found[2].starts_with("Normal Pulled Successfully pulled image \"nginx:1.27\" in ")
            && found[2].ends_with(" bytes."),
        "{found:?}"
    );
    assert_eq!(found[3..], ["Normal Created Container created", "Normal Started Container started"]);
    let pod = get(&mut lab, "Pod/p");
    assert_eq!(condition(&pod, "ContainersReady").0, "True");
    let status = container(&mut lab, "Pod/p");
    assert_eq!(
        (&status["ready"], &status["started"], &status["restartCount"]),
        (&json!(true), &json!(true), &json!(0))
    );
    // The node has the image now.
    apply(&mut lab, &[pod_on("p", "node1"), pod_on("q", "node1")].join("---\n"));
    let present = "Normal Pulled Container image \"nginx:1.27\" already present on machine and can be accessed by the pod";
    assert!(events(&mut lab, "Pod/q").contains(&present.to_owned()));
}

fn pod_on(name: &str, node: &str) -> String {
    pod(name, "nginx:1.27", &format!("  nodeName: {node}\n"))
}

#[test]
fn an_image_that_is_not_there_is_tried_again_and_again() {
    let mut lab = lab(&pod("p", MISSING, ""), 1);
    assert_eq!(
        events(&mut lab, "Pod/p")[1..],
        [
            format!("Normal Pulling Pulling image \"{MISSING}\""),
            format!(
                "Warning Failed Failed to pull image \"{MISSING}\": rpc error: code = NotFound desc = failed to pull and unpack image \
                 \"{MISSING}\": failed to resolve reference \"{MISSING}\": {MISSING}: not found"
            ),
            "Warning Failed Error: ErrImagePull".to_owned(),
            format!("Normal BackOff Back-off pulling image \"{MISSING}\""),
            "Warning Failed Error: ImagePullBackOff".to_owned(),
        ]
    );
    let pod = get(&mut lab, "Pod/p");
    assert_eq!(pod["status"]["phase"], "Pending");
    let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "ImagePullBackOff");
    assert!(
        waiting["message"]
            .as_str()
            .unwrap_or("")
            .starts_with(&format!("Back-off pulling image \"{MISSING}\": ErrImagePull: "))
    );
    wait(&mut lab, 14);
    assert_eq!(events(&mut lab, "Pod/p").len(), 11);
    // An image that is there mends it in place.
    let image = json!({ "spec": { "containers": [{ "name": "c", "image": "nginx:1.27" }] } });
    patch(&mut lab, "Pod/p", image).expect("a patch");
    assert_eq!(get(&mut lab, "Pod/p")["status"]["phase"], "Running");
}

#[test]
fn an_image_that_is_never_pulled_has_to_be_there() {
    let text = sleeper("p", "    imagePullPolicy: Never\n");
    let mut lab = lab(&text, 1);
    assert_eq!(
        events(&mut lab, "Pod/p")[1..],
        [
            "Warning ErrImageNeverPull Container image \"busybox:1.36\" is not present with pull policy of Never",
            "Warning Failed Error: ErrImageNeverPull",
        ]
    );
}

#[test]
fn a_rollout_past_its_deadline_says_so() {
    let text = workload("Deployment", "web", MISSING, "  replicas: 1\n  progressDeadlineSeconds: 5\n");
    let mut lab = lab(&text, 1);
    let deployment = get(&mut lab, "Deployment/web");
    assert_eq!(
        condition(&deployment, "Progressing"),
        ("False".to_owned(), "ProgressDeadlineExceeded".to_owned())
    );
}

#[test]
fn readiness_comes_by_real_packets() {
    let probe = "    readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1, failureThreshold: 1, initialDelaySeconds: 1}\n";
    let mut lab = lab(&agnhost("p", probe), 1);
    assert_eq!(condition(&get(&mut lab, "Pod/p"), "Ready").0, "True");
    // It was running before it was ready, and the packets are in the trace.
    let rows: Vec<(bool, bool)> = lab
        .trace()
        .changes
        .iter()
        .filter_map(|change| {
            let vethscope::trace::TableChange::Pod(row) = change else { return None };
            let running = row.phase == vethscope::trace::PodPhase::Running;
            let ready = row.conditions.iter().any(|condition| condition.kind == "Ready" && condition.holds);
            (&*row.name == "p").then_some((running, ready))
        })
        .collect();
    assert!(rows.contains(&(true, false)) && rows.last() == Some(&(true, true)), "{rows:?}");
    let asked = lab.trace().packets.iter().any(|frame| {
        let bytes = frame.emit();
        bytes.windows(11).any(|part| part == b"GET /readyz")
    });
    assert!(asked, "a request is on the wire");
}

#[test]
fn a_startup_probe_holds_readiness_back() {
    let probes = "    startupProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 1, initialDelaySeconds: 1}\n    \
                  readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1, failureThreshold: 1}\n";
    let mut lab = lab(&agnhost("p", probes), 1);
    let status = container(&mut lab, "Pod/p");
    assert_eq!((&status["started"], &status["ready"]), (&json!(true), &json!(true)));
}

#[test]
fn probes_that_fail() {
    let mut first = lab(
        &sleeper(
            "p",
            "    readinessProbe: {exec: {command: ['false']}, periodSeconds: 1, failureThreshold: 1}\n",
        ),
        1,
    );
    let unhealthy = "Warning Unhealthy Readiness probe failed: ";
    assert!(events(&mut first, "Pod/p").iter().any(|event| event == unhealthy));
    assert_eq!(container(&mut first, "Pod/p")["restartCount"], 0);
    assert_eq!(condition(&get(&mut first, "Pod/p"), "Ready").0, "False");
    let live = "    livenessProbe: {httpGet: {path: '/echo?code=500', port: 8080}, periodSeconds: 1, failureThreshold: 1}\n";
    let mut second = lab(&agnhost("p", live), 1);
    let found = events(&mut second, "Pod/p");
    assert!(
        found.contains(
            &"Warning Unhealthy Liveness probe failed: HTTP probe failed with statuscode: 500".to_owned()
        ),
        "{found:?}"
    );
    assert!(
        found.contains(&"Normal Killing Container c failed liveness probe, will be restarted".to_owned())
    );
    assert!(container(&mut second, "Pod/p")["restartCount"].as_i64() > Some(0));
    let refused = "    readinessProbe: {tcpSocket: {port: 81}, periodSeconds: 1, failureThreshold: 1}\n";
    let mut third = lab(&agnhost("p", refused), 1);
    let ip = get(&mut third, "Pod/p")["status"]["podIP"].as_str().unwrap_or("").to_owned();
    let wanted =
        format!("Warning Unhealthy Readiness probe failed: dial tcp {ip}:81: connect: connection refused");
    assert!(events(&mut third, "Pod/p").contains(&wanted));
    let well = "    livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, failureThreshold: 1}\n";
    let mut fourth = lab(&agnhost("p", well), 1);
    wait(&mut fourth, 3);
    assert_eq!(container(&mut fourth, "Pod/p")["restartCount"], 0);
    let missing = "    readinessProbe: {exec: {command: [nosuch]}, periodSeconds: 1, failureThreshold: 1}\n";
    let mut fifth = lab(&sleeper("p", missing), 1);
    assert!(
        events(&mut fifth, "Pod/p")
            .iter()
            .any(|event| event.contains("Readiness probe errored and resulted in unknown state"))
    );
}

#[test]
fn hooks_that_fail_are_recorded() {
    let mut first = lab(&sleeper("p", "    lifecycle: {postStart: {exec: {command: ['false']}}}\n"), 1);
    assert!(
        events(&mut first, "Pod/p").iter().any(|event| event.starts_with("Warning FailedPostStartHook "))
    );
    let mut second = lab(&sleeper("p", "    lifecycle: {preStop: {exec: {command: ['false']}}}\n"), 1);
    let deletion = ApiRequest::Delete { key: key("Pod/p"), propagation: None, grace_seconds: Some(5) };
    second.request(&deletion).expect("a deletion");
    second.settle(FOR_EVER);
    assert!(events(&mut second, "Pod/p").iter().any(|event| event.starts_with("Warning FailedPreStopHook ")));
    assert_eq!(names(&mut second, "Pod"), [""; 0]);
}

#[test]
fn a_hook_puts_the_signal_off() {
    let mut lab = lab(&agnhost("p", "    lifecycle: {preStop: {sleep: {seconds: 7}}}\n"), 1);
    let from = lab.now();
    delete(&mut lab, "Pod/p", None);
    let took = lab.now().since(from).as_secs();
    assert!((7..10).contains(&took), "{took} s");
}

#[test]
fn configuration_as_variables_and_files() {
    let text = "
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {greeting: hello, app.conf: \"a=1\\n\"}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {password: c2VjcmV0}
---
apiVersion: v1
kind: Service
metadata: {name: env-link}
spec: {selector: {app: x}, clusterIP: 10.96.7.7, ports: [{port: 8083}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {tier: backend}}
spec:
  nodeName: node1
  containers:
  - name: c
    image: busybox:1.36
    command: [sleep, '3600']
    envFrom: [{configMapRef: {name: cm}, prefix: CM_}]
    env:
    - {name: ADDR, value: '$(ENV_LINK_SERVICE_HOST):$(ENV_LINK_SERVICE_PORT)'}
    - {name: U, value: $(NOPE)}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: s, key: password}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: TIER, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['tier']\"}}}
    volumeMounts: [{name: conf, mountPath: /etc/app}, {name: key, mountPath: /etc/key}]
  volumes:
  - {name: conf, configMap: {name: cm, items: [{key: app.conf, path: sub/app.conf}]}}
  - {name: key, secret: {secretName: s}}
";
    let mut lab = lab(text, 1);
    let env = common::run(&mut lab, "p env").output;
    for line in [
        "ADDR=10.96.7.7:8083",
        "U=$(NOPE)",
        "PASSWORD=secret",
        "NODE=node1",
        "TIER=backend",
        "CM_greeting=hello",
        "ENV_LINK_PORT=tcp://10.96.7.7:8083",
    ] {
        assert!(env.lines().any(|found| found == line), "{line}:\n{env}");
    }
    assert_eq!(common::run(&mut lab, "p cat /etc/app/sub/app.conf").output, "a=1\n");
    assert_eq!(common::run(&mut lab, "p cat /etc/key/password").output, "secret");
    patch(&mut lab, "ConfigMap/cm", json!({ "data": { "app.conf": "a=2\n" } })).expect("a patch");
    wait(&mut lab, 61);
    assert_eq!(common::run(&mut lab, "p cat /etc/app/sub/app.conf").output, "a=2\n");
}

#[test]
fn configuration_that_is_missing() {
    let volume = "  volumes: [{name: v, configMap: {name: cm}}]\n";
    let mut first = lab(&sleeper("p", volume), 1);
    let failed = "Warning FailedMount MountVolume.SetUp failed for volume \"v\" : configmap \"cm\" not found"
        .to_owned();
    assert!(events(&mut first, "Pod/p").contains(&failed));
    first
        .request(&ApiRequest::Create(
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "cm" } }),
        ))
        .expect("made");
    first.settle(FOR_EVER);
    assert_eq!(get(&mut first, "Pod/p")["status"]["phase"], "Running");
    let env = "    env: [{name: A, valueFrom: {configMapKeyRef: {name: cm, key: a}}}]\n";
    let mut second = lab(&sleeper("p", env), 1);
    assert_eq!(container(&mut second, "Pod/p")["state"]["waiting"]["reason"], "CreateContainerConfigError");
    assert!(
        events(&mut second, "Pod/p").contains(&"Warning Failed Error: configmap \"cm\" not found".to_owned())
    );
}

#[test]
fn a_plugin_that_fails_on_demand_is_called_again() {
    let text =
        pod("p", PAUSE, "").replace("name: p,", "name: p, annotations: {vethscope.dev/cni-add-fails: '1'},");
    let mut lab = lab(&text, 1);
    assert_eq!(get(&mut lab, "Pod/p")["status"]["phase"], "Pending");
    assert!(
        events(&mut lab, "Pod/p").iter().any(|event| event.starts_with("Warning FailedCreatePodSandBox "))
    );
    wait(&mut lab, 15);
    assert_eq!(get(&mut lab, "Pod/p")["status"]["phase"], "Running");
}

#[test]
fn nodes_that_do_not_fit_are_told_with_the_schedulers_reasons() {
    let node = |name: &str, spec: &str| {
        format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n{spec}---\n")
    };
    let asks = |resources: &str| sleeper("p", &format!("    resources: {{requests: {{{resources}}}}}\n"));
    let cpu = |cpu: &str| format!("status: {{allocatable: {{cpu: '{cpu}', memory: 8Gi, pods: '110'}}}}\n");
    let text = [
        node("n1", &format!("spec: {{unschedulable: true}}\n{}", cpu("8"))),
        node("n2", &cpu("2")),
        node("n3", &cpu("2")),
        asks("cpu: '4'"),
    ]
    .concat();
    let mut first = lab(&text, 1);
    let wanted = "Warning FailedScheduling 0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. preemption: 0/3 nodes \
                  are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.";
    assert_eq!(events(&mut first, "Pod/p"), [wanted]);
    assert_eq!(
        condition(&get(&mut first, "Pod/p"), "PodScheduled"),
        ("False".to_owned(), "Unschedulable".to_owned())
    );
    patch(&mut first, "Pod/p", json!({})).expect("a patch");
    let text =
        [node("n1", "status: {allocatable: {cpu: '2', memory: '0'}}\n"), asks("cpu: '4', memory: 1Gi")]
            .concat();
    let mut second = lab(&text, 1);
    let wanted = "Warning FailedScheduling 0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: 0/1 nodes are \
                  available: 1 No preemption victims found for incoming pod.";
    assert_eq!(events(&mut second, "Pod/p"), [wanted]);
    let port = |name: &str| sleeper(name, "    ports: [{containerPort: 80, hostPort: 8080}]\n");
    let mut third = lab(&[node("n1", ""), format!("{}---\n", port("a")), port("b")].concat(), 1);
    let wanted = "Warning FailedScheduling 0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: \
                  0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    assert_eq!(events(&mut third, "Pod/b"), [wanted]);
    // Room is made, and the Pod is looked at again.
    delete(&mut third, "Pod/a", None);
    assert_eq!(get(&mut third, "Pod/b")["status"]["phase"], "Running");
}

#[test]
fn a_pod_of_another_scheduler_waits_for_its_binding() {
    let mut lab = lab(&pod("p", PAUSE, "  schedulerName: manual\n"), 1);
    assert_eq!(get(&mut lab, "Pod/p")["status"]["phase"], "Pending");
    lab.request(&ApiRequest::Bind { pod: key("Pod/p"), node: "node2".to_owned() }).expect("a binding");
    lab.settle(FOR_EVER);
    let pod = get(&mut lab, "Pod/p");
    assert_eq!((&pod["spec"]["nodeName"], &pod["status"]["phase"]), (&json!("node2"), &json!("Running")));
}

#[test]
fn a_port_of_the_node_leads_to_the_pod_while_it_is_there() {
    let text = agnhost("p", "    ports: [{containerPort: 8080, hostPort: 8888}]\n  nodeName: node1\n");
    let client = sleeper("client", "  nodeName: node2\n");
    let mut lab = lab(&[text, client.clone()].join("---\n"), 1);
    let ran = common::run(&mut lab, "client wget -q -O- http://192.168.1.10:8888/hostname");
    assert_eq!((ran.output.as_str(), ran.status), ("p", 0));
    let rules = common::run(&mut lab, "node/node1 iptables-save -t nat").output;
    assert!(rules.contains("-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT"), "{rules}");
    assert!(rules.contains("--dport 8888 -j DNAT --to-destination 10.244.1.2:8080"), "{rules}");
    apply(&mut lab, &client);
    let rules = common::run(&mut lab, "node/node1 iptables-save -t nat").output;
    assert!(!rules.contains("CNI-DN-"), "{rules}");
}

#[test]
fn a_lost_node_loses_its_pods_when_their_tolerations_run_out() {
    let mut lab = lab(&workload("Deployment", "web", PAUSE, "  replicas: 1\n"), 1);
    let pod = names(&mut lab, "Pod").remove(0);
    let node = get(&mut lab, &format!("Pod/{pod}"))["spec"]["nodeName"].as_str().unwrap_or("").to_owned();
    let fault = lab.inject(&vethscope::trace::Fault::DeadNode(node.clone())).expect("a fault");
    wait(&mut lab, 60);
    let lost = get(&mut lab, &format!("Pod/{pod}"));
    assert_eq!(condition(&lost, "Ready").0, "False");
    assert!(
        events(&mut lab, &format!("Pod/{pod}"))
            .contains(&"Warning NodeNotReady Node is not ready".to_owned())
    );
    wait(&mut lab, 310);
    let marked = format!("Normal TaintManagerEviction Marking for deletion Pod default/{pod}");
    assert!(events(&mut lab, &format!("Pod/{pod}")).contains(&marked));
    // It stays, as its kubelet says nothing; another one runs elsewhere.
    assert!(!get(&mut lab, &format!("Pod/{pod}"))["metadata"]["deletionTimestamp"].is_null());
    let pods = list(&mut lab, "Pod");
    assert_eq!(pods.len(), 2);
    assert!(
        pods.iter()
            .any(|pod| pod["spec"]["nodeName"] != node.as_str() && pod["status"]["phase"] == "Running")
    );
    // The node comes back, and takes the Pod down at last.
    lab.mend(fault).expect("mended");
    wait(&mut lab, 60);
    assert_eq!(list(&mut lab, "Pod").len(), 1);
}

#[test]
fn a_node_that_comes_back_in_time_keeps_its_pods() {
    let mut lab = lab(&workload("Deployment", "web", PAUSE, "  replicas: 1\n"), 1);
    let pod = names(&mut lab, "Pod").remove(0);
    let node = get(&mut lab, &format!("Pod/{pod}"))["spec"]["nodeName"].as_str().unwrap_or("").to_owned();
    let fault = lab.inject(&vethscope::trace::Fault::DeadNode(node.clone())).expect("a fault");
    wait(&mut lab, 60);
    let ready = condition(&get(&mut lab, &format!("Node//{node}")), "Ready");
    assert_eq!(ready, ("Unknown".to_owned(), "NodeStatusUnknown".to_owned()));
    assert!(
        events(&mut lab, &format!("Node//{node}"))
            .contains(&format!("Normal NodeNotReady Node {node} status is now: NodeNotReady"))
    );
    lab.mend(fault).expect("mended");
    wait(&mut lab, 400);
    assert!(
        events(&mut lab, &format!("Pod/{pod}"))
            .contains(&format!("Normal TaintManagerEviction Cancelling deletion of Pod default/{pod}"))
    );
    assert!(
        events(&mut lab, &format!("Node//{node}"))
            .contains(&format!("Normal NodeReady Node {node} status is now: NodeReady"))
    );
    assert_eq!(names(&mut lab, "Pod"), [pod]);
}

#[test]
fn a_dns_policy_decides_whether_a_bare_name_is_found() {
    let client = |name: &str, policy: &str| {
        sleeper(name, &format!("  nodeName: node1\n  {}\n", policy.replace('|', "\n  ")))
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: svc}\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n";
    let searches = "dnsPolicy: None|dnsConfig: {nameservers: [10.96.0.10], searches: [default.svc.cluster.local], options: [{name: ndots, value: '5'}]}";
    let text = [
        agnhost("web", "  nodeName: node2\n"),
        service.to_owned(),
        client("first", "dnsPolicy: ClusterFirst"),
        client("node", "dnsPolicy: Default"),
        client("none", "dnsPolicy: None|dnsConfig: {nameservers: [10.96.0.10]}"),
        client("searches", searches),
        client("host", "dnsPolicy: ClusterFirstWithHostNet|hostNetwork: true"),
    ]
    .join("---\n");
    let mut lab = lab(&text, 1);
    let mut fetch = |pod: &str, name: &str| {
        let ran = common::run(&mut lab, &format!("{pod} wget -q -O- -T 2 http://{name}/hostname"));
        (ran.status == 0 && ran.output == "web", ran.output)
    };
    for (pod, name, wanted) in [
        ("first", "svc", true),
        ("node", "svc", false),
        ("none", "svc", false),
        ("none", "svc.default.svc.cluster.local", true),
        ("searches", "svc", true),
        ("host", "svc", true),
    ] {
        let (found, output) = fetch(pod, name);
        assert_eq!(found, wanted, "{pod} {name}: {output}");
    }
}
