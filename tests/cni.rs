//! What each network plug-in leaves on nodes and in Pods: the tables as the tools print them, and the results that the
//! plug-ins give to the runtime. One file a network in `tests/cni/`: the block `network` of the cluster document, then
//! commands with their output. `result POD` shows a plug-in's result, `request POD` what it was called with.
//!
//! What is drawn by chance is masked: Ethernet addresses but Calico's `ee:ee:ee:ee:ee:ee`, names of interfaces, ids of
//! sandboxes, times. `UPDATE_EXPECT=1` writes the files anew.

#[path = "cni/attachments.rs"]
mod attachments;
mod common;
#[path = "cni/host_local.rs"]
mod host_local;
#[path = "cni/portmap.rs"]
mod portmap;

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
    common::play_folder("cni", 5, play);
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

/// The command's output is exactly this, for a comparison that shows where it differs.
fn prints(lab: &mut Lab, line: &str, expected: &[&str]) {
    let output = common::run(lab, line).output;
    assert_eq!(output.lines().collect::<Vec<_>>(), expected, "{line}");
}

#[test]
fn host_device_takes_a_card_of_the_node_and_gives_it_back() {
    let text = include_str!("cni/host_device.yaml");
    let without = |pod: &str| {
        let parts: Vec<&str> = text.split("---\n").filter(|part| !part.contains(pod)).collect();
        parts.join("---\n")
    };
    let mut lab = common::lab(&without("networks:"), 1);
    // The switch's own numbers of ports tell which end is whose.
    prints(
        &mut lab,
        "node/node1 ip -br link show eth1",
        &["eth1@if4         UP             02:00:00:00:00:e1 <BROADCAST,MULTICAST,UP,LOWER_UP> "],
    );
    assert!(answered(&mut lab, "host/ext ping -c1 -W1 192.168.1.20"), "a node's second card");
    let status = common::run(&mut lab, "node/node1 ip link show a-rather-long-1");
    assert!(status.output.contains("state UP"), "{}", status.output);

    common::apply(&mut lab, &without("  name: b\n"));
    prints(
        &mut lab,
        "a ip link show net1",
        &[
            "3: net1@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000 qdisc noqueue state UP mode DEFAULT group default qlen 1000",
            "    link/ether 02:00:00:00:00:e1 brd ff:ff:ff:ff:ff:ff link-netnsid 1",
            "    alias eth1",
        ],
    );
    prints(&mut lab, "node/node1 ip link show eth1", &["Device \"eth1\" does not exist."]);
    assert!(answered(&mut lab, "host/ext ping -c1 -W1 192.168.1.60"), "the card is the Pod's now");
    assert!(!answered(&mut lab, "host/ext ping -c1 -W1 192.168.1.20"), "its old address stayed nowhere");
    lab.linger(common::FOR_EVER);
    let faults = common::invariants::faults_at_rest(&lab);
    assert!(faults.is_empty(), "{faults}");

    // A second Pod finds the card gone, until the first one goes.
    common::apply(&mut lab, text);
    let events = common::run(&mut lab, "node/node1 kubectl get events").output;
    assert!(events.contains("failed to find host device: failed to find physical interface"), "{events}");
    common::apply(&mut lab, &without("networks:"));
    prints(
        &mut lab,
        "node/node1 ip link show eth1",
        &[
            "3: eth1@if4: <BROADCAST,MULTICAST> mtu 9000 qdisc noop state DOWN mode DEFAULT group default qlen 1000",
            "    link/ether 02:00:00:00:00:e1 brd ff:ff:ff:ff:ff:ff link-netnsid 0",
        ],
    );
    common::apply(&mut lab, &without("  name: a\n"));
    assert!(common::run(&mut lab, "b ip -br link show net1").output.contains("02:00:00:00:00:e1"));
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

/// host-local's order, asked for as a user would: ranges of nodes, Pods that kept their addresses, the Pods after them.
#[test]
fn host_local_goes_on_behind_the_last_address() {
    for (range, kept, new, wanted) in [
        // The gateway is skipped; an address behind the last one reserved comes first.
        ("10.244.1.0/24", &[][..], 3, "10.244.1.2 10.244.1.3 10.244.1.4"),
        ("10.0.0.0/29", &["10.0.0.4", "10.0.0.5", "10.0.0.3"], 1, "10.0.0.6"),
        ("10.0.0.0/29", &["10.0.0.6"], 1, "10.0.0.2"),
        ("10.0.0.0/30", &[], 1, "10.0.0.2"),
        ("10.0.0.0/30", &["10.0.0.2"], 1, "none"),
    ] {
        let mut text = format!(
            "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes: [{{name: n, address: 192.168.1.10, \
             podCIDR: {range}}}]\n  network: {{podCIDR: 10.0.0.0/8, serviceCIDR: 172.30.0.0/16}}\n  dns: {{serviceIP: \
             172.30.0.10}}\n"
        );
        let pod = |name: String, status: String| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{nodeName: n, containers: [{{name: \
                 app, image: nginx}}]}}\n{status}"
            )
        };
        for (at, ip) in kept.iter().enumerate() {
            text += &pod(format!("kept{at}"), format!("status: {{podIP: {ip}, phase: Running}}\n"));
        }
        let mut lab = common::lab(&text, 1);
        for at in 0..new {
            text += &pod(format!("new{at}"), String::new());
        }
        common::apply(&mut lab, &text);
        let pods = lab.live().pods.clone();
        let given = pods.values().filter(|pod| pod.name.starts_with("new"));
        let given = given.map(|pod| pod.ip.map_or("none".to_owned(), |ip| ip.to_string()));
        assert_eq!(given.collect::<Vec<_>>().join(" "), wanted, "{range} {kept:?}");
    }
}

/// A released address is not given again at once (`ipam-13`), and an empty pool says so in the plug-in's words.
#[test]
fn a_released_address_comes_last_and_an_empty_pool_is_told() {
    let cluster = "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes: [{name: n, address: 192.168.1.10, \
                   podCIDR: 10.0.0.0/29}]\n  network: {podCIDR: 10.0.0.0/8, serviceCIDR: 172.30.0.0/16}\n  dns: {serviceIP: 172.30.0.10}\n";
    let pod = |name: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: app, image: nginx}}]}}\n"
        )
    };
    let ip = |lab: &mut Lab, name: &str| {
        lab.live().pods.get(&("default".into(), name.into())).and_then(|pod| pod.ip).map(|ip| ip.to_string())
    };
    let mut lab = common::lab(&format!("{cluster}{}", pod("a")), 1);
    assert_eq!(ip(&mut lab, "a").as_deref(), Some("10.0.0.2"));
    common::apply(&mut lab, cluster);
    common::apply(&mut lab, &format!("{cluster}{}", pod("b")));
    assert_eq!(ip(&mut lab, "b").as_deref(), Some("10.0.0.3"));
    let all: String = ["b", "c", "d", "e", "f", "g"].iter().map(|name| pod(name)).collect();
    common::apply(&mut lab, &format!("{cluster}{all}"));
    let events = common::run(&mut lab, "node/n kubectl get events").output;
    let text = "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6";
    assert!(events.contains(text), "{events}");
}
