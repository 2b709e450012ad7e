//! What each network plug-in leaves on nodes and in Pods: the tables as the tools print them, and the results that the
//! plug-ins give to the runtime. One file a network in `tests/cni/`: the block `network` of the cluster document, then
//! commands with their output. `result POD` shows a plug-in's result, `request POD` what it was called with.
//!
//! What is drawn by chance is masked: Ethernet addresses but Calico's `ee:ee:ee:ee:ee:ee`, names of interfaces, ids of
//! sandboxes, times. `UPDATE_EXPECT=1` writes the files anew.

mod common;

use std::fmt::Write as _;
use vethscope::lab::Lab;
use vethscope::trace::Steps;

/// Two Pods on node1, one on node2.
const PODS: &str = include_str!("cni/pods.yaml");

fn cni_call(lab: &mut Lab, pod: &str, result: bool) -> String {
    let steps = lab.live().steps.clone();
    let row = steps.iter().rev().map(|(_, row)| row).find(|row| {
        let json = if result { &row.result } else { &row.request };
        row.steps == Steps::Creation && &*row.pod == pod && json.is_some()
    });
    let json = row.and_then(|row| if result { row.result.clone() } else { row.request.clone() });
    let json: serde_json::Value =
        serde_json::from_str(&json.expect("the plug-in was called")).expect("it is JSON");
    serde_json::to_string_pretty(&json).expect("it can be printed") + "\n"
}

fn play(file: &str) -> String {
    let (head, commands) = file.split_once("\n$ ").expect("commands begin with a dollar sign");
    let network = head.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let cluster = "---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n";
    let indented = network.lines().flat_map(|line| ["  ", line, "\n"]).collect::<String>();
    let mut lab = common::lab(&format!("{PODS}{cluster}{indented}"), 1);
    let mut out = format!("{head}\n");
    for command in format!("\n$ {commands}").split("\n$ ").skip(1) {
        let line = command.lines().next().unwrap_or_default();
        let output = match line.split_once(' ') {
            Some(("result", pod)) => cni_call(&mut lab, pod, true),
            Some(("request", pod)) => cni_call(&mut lab, pod, false),
            _ => common::run(&mut lab, line).output,
        };
        let _ = write!(out, "$ {line}\n{}", common::mask::mask(&output));
    }
    out
}

#[test]
fn every_plugin_leaves_what_the_files_say() {
    let mut failures = Vec::new();
    let mut count = 0;
    let entries = std::fs::read_dir("tests/cni").expect("the files are there").flatten();
    for path in
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
    {
        let file = std::fs::read_to_string(&path).expect("a file can be read");
        let played = play(&file);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &played).expect("a file can be written");
        } else if played != file {
            failures.push(format!("== {}\n{played}", path.display()));
        }
        count += 1;
    }
    assert!(count >= 5, "only {count} files found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whether `line`, a ping, is answered.
fn answered(lab: &mut Lab, line: &str) -> bool {
    common::run(lab, line).status == 0
}

#[test]
fn multus_gives_pods_the_interfaces_that_they_ask_for() {
    let mut lab = common::lab(include_str!("cni/multus.yaml"), 1);
    let shown = common::run(&mut lab, "a ip addr show net1").output;
    assert!(shown.contains(": net1@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500"), "{shown}");
    assert!(shown.contains("link-netnsid 0") && shown.contains("inet 192.168.1.70/24"), "{shown}");
    // One address of the range is excluded; the store is one for all nodes.
    assert!(common::run(&mut lab, "b ip addr show net1").output.contains("inet 192.168.1.72/24"));
    assert!(answered(&mut lab, "a ping -c1 -W1 192.168.1.72"), "macvlan to macvlan on another node");
    assert!(answered(&mut lab, "host/ext ping -c1 -W1 192.168.1.70"), "from the nodes' network");
    assert!(!answered(&mut lab, "a ping -c1 -W1 192.168.1.10"), "a macvlan does not reach its own node");
    assert!(answered(&mut lab, "a ping -c1 -W1 10.244.2.2"), "the cluster's own network is still there");
    // The Pods' addresses on the bridge, and its gateway.
    assert!(common::run(&mut lab, "a ip addr show store0").output.contains("inet 172.20.0.20/24"));
    assert!(answered(&mut lab, "a ping -c1 -W1 172.20.0.21"));
    assert!(answered(&mut lab, "a ping -c1 -W1 172.20.0.1"));
    assert!(answered(&mut lab, "c ping -c1 -W1 10.5.0.4"), "VLAN 5 between the nodes");
    assert!(answered(&mut lab, "host/ext ping -c1 -W1 192.168.1.90"), "ipvlan");
    assert!(answered(&mut lab, "host/ext ping -c1 -W1 192.168.1.95"), "a virtual function");
    let yaml = common::run(&mut lab, "node/node1 kubectl get pod a -o yaml").output;
    assert!(yaml.contains("k8s.v1.cni.cncf.io/network-status"), "{yaml}");
    assert!(yaml.contains("infra/storage") && yaml.contains("172.20.0.20"), "{yaml}");
    lab.linger(common::FOR_EVER);
    let faults = common::invariants::faults_at_rest(&lab);
    assert!(faults.is_empty(), "{faults}");
    // With its Pod an interface goes, and its address is free again.
    let text = include_str!("cni/multus.yaml");
    let without: Vec<&str> = text.split("---\n").filter(|part| !part.contains("  name: b\n")).collect();
    common::apply(&mut lab, &without.join("---\n"));
    assert!(!answered(&mut lab, "host/ext ping -c1 -W1 192.168.1.72"));
    lab.linger(common::FOR_EVER);
    let faults = common::invariants::faults_at_rest(&lab);
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn what_multus_does_not_find_keeps_the_pod_from_starting() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {k8s.v1.cni.cncf.io/networks: nowhere}}\n\
               spec: {containers: [{name: app, image: nginx}]}\n";
    let mut lab = common::lab(pod, 1);
    let events = common::run(&mut lab, "node/node1 kubectl get events").output;
    assert!(events.contains("FailedCreatePodSandBox"), "{events}");
    assert!(
        events.contains("cannot find a network-attachment-definition (nowhere) in namespace (default)"),
        "{events}"
    );
}
