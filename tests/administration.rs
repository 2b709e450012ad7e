//! What an administrator changes, and what real Linux makes of it: addresses with their routes, bridges going down, MTUs
//! of tunnels; and clusters that are not the lesson's.

mod common;

use common::{RECORDED_LAB, lab, run};

fn says(lab: &mut vethscope::lab::Lab, line: &str) -> String {
    run(lab, line).output
}

#[test]
fn a_secondary_address_brings_only_its_own_local_route() {
    let mut lab = lab(RECORDED_LAB, 1);
    run(&mut lab, "a ip addr add 10.244.1.50/24 dev eth0");
    assert_eq!(
        says(&mut lab, "a ip route"),
        "default via 10.244.1.1 dev eth0 \n10.244.0.0/16 via 10.244.1.1 dev eth0 \n\
         10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.10 \n"
    );
    let local = says(&mut lab, "a ip route show table local");
    assert!(
        local.contains("local 10.244.1.50 dev eth0 proto kernel scope host src 10.244.1.10 \n"),
        "{local}"
    );
    assert_eq!(local.matches("broadcast 10.244.1.255").count(), 1, "{local}");
}

#[test]
fn with_the_last_address_every_route_of_the_link_goes() {
    let mut lab = lab(RECORDED_LAB, 1);
    run(&mut lab, "a ip addr add 10.244.1.50/24 dev eth0");
    run(&mut lab, "a ip addr del 10.244.1.10/24 dev eth0");
    assert_eq!(says(&mut lab, "a ip route"), "", "secondaries go with their primary");
    assert_eq!(run(&mut lab, "a ping -c1 10.244.2.10").output, "ping: connect: Network is unreachable\n");
}

#[test]
fn a_bridge_that_goes_down_disables_its_ports() {
    let mut lab = lab(RECORDED_LAB, 1);
    run(&mut lab, "node/node1 ip link set cni0 down");
    let down = says(&mut lab, "node/node1 bridge link");
    assert_eq!(down.matches("state disabled").count(), 2, "{down}");
    run(&mut lab, "node/node1 ip link set cni0 up");
    let up = says(&mut lab, "node/node1 bridge link");
    assert_eq!(up.matches("state forwarding").count(), 2, "{up}");
    assert_eq!(run(&mut lab, "a ping -c1 10.244.1.11").status, 0);
}

#[test]
fn nothing_a_user_sets_makes_a_packet_that_cannot_be() {
    let mut lab = lab(RECORDED_LAB, 1);
    run(&mut lab, "node/node1 ip link set flannel.1 mtu 65535");
    run(&mut lab, "node/node1 ip link set eth0 mtu 65535");
    let ran = run(&mut lab, "node/node1 ping -c1 -W1 -s 65507 10.244.2.0");
    assert_eq!(ran.status, 1, "{}", ran.output);
}

#[test]
fn a_sidecar_counts_as_ready_and_as_running() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  initContainers:\n  \
                - {name: side, image: busybox, command: [sleep, infinity], restartPolicy: Always}\n  - {name: first, image: busybox}\n  \
                containers:\n  - {name: main, image: nginx}\n";
    let mut lab = lab(text, 1);
    let pods = says(&mut lab, "node/node1 kubectl get pods --no-headers");
    let words: Vec<&str> = pods.split_whitespace().take(3).collect();
    assert_eq!(words, ["p", "2/2", "Running"]);
}

#[test]
fn nodes_in_another_network_have_their_router_there() {
    let text = "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n  \
                - {name: n1, address: 10.0.0.5, podCIDR: 10.244.1.0/24}\n";
    let mut lab = lab(text, 1);
    let routes = says(&mut lab, "node/n1 ip route");
    assert!(routes.contains("default via 10.0.0.1 dev eth0 \n"), "{routes}");
    assert_eq!(run(&mut lab, "node/n1 ping -c1 10.0.0.1").status, 0);
}

#[test]
fn a_pod_pasted_with_its_address_keeps_it_whoever_is_written_first() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: first}\nspec: {nodeName: node2, containers: [{name: c, image: nginx}]}\n---\n\
                apiVersion: v1\nkind: Pod\nmetadata: {name: second}\nspec: {nodeName: node2, containers: [{name: c, image: nginx}]}\n\
                status: {podIP: 10.244.2.2}\n";
    let mut lab = lab(text, 1);
    let pods = says(&mut lab, "node/node1 kubectl get pods -o wide --no-headers");
    let of = |name: &str| {
        pods.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_whitespace().nth(5))
    };
    assert_eq!((of("first"), of("second")), (Some("10.244.2.3"), Some("10.244.2.2")), "{pods}");
}
