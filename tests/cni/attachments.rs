//! What the plug-ins of further interfaces say of configurations, as the plug-ins themselves do
//! (`tests/cni/attachments/refusals.txt`), and what they make.

use crate::common::{lab, run};

/// A Pod on node1 that asks for the network of a configuration.
fn cluster(config: &str) -> String {
    format!(
        "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {{name: net}}\n\
         spec:\n  config: '{config}'\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations: \
         {{k8s.v1.cni.cncf.io/networks: net}}\nspec: {{nodeName: node1, containers: [{{name: app, image: nginx}}]}}\n"
    )
}

#[test]
fn configurations_are_refused_in_the_plugins_words() {
    let cases: Vec<(&str, &str)> =
        include_str!("attachments/refusals.txt").lines().filter_map(|line| line.split_once(" -> ")).collect();
    assert!(cases.len() >= 16, "the cases are there");
    for (config, message) in cases {
        let events = run(&mut lab(&cluster(config), 1), "node/node1 kubectl describe pod a").output;
        let whole = format!("error adding container to network \"net\": {message}");
        assert!(events.contains(&whole), "{config} should say {message}:\n{events}");
    }
}

#[test]
fn what_a_configuration_says_is_what_is_made() {
    let shown = |config: &str, command: &str| run(&mut lab(&cluster(config), 1), command).output;
    let link = shown(r#"{"type": "macvlan", "mtu": 1400, "mode": "vepa"}"#, "a ip -d link show net1");
    assert!(link.contains("mtu 1400") && link.contains("macvlan mode vepa"), "{link}");
    let bridge = r#"{"type": "bridge", "bridge": "br1", "mtu": 1300, "hairpinMode": true}"#;
    let ports = shown(bridge, "node/node1 bridge -d link");
    assert!(ports.contains("mtu 1300 master br1") && ports.contains("hairpin on"), "{ports}");
    let promiscuous = r#"{"type": "bridge", "bridge": "br1", "promiscMode": true}"#;
    let link = shown(promiscuous, "node/node1 ip link show br1");
    assert!(link.contains("PROMISC"), "{link}");
}

#[test]
fn two_interfaces_in_one_network_hold_an_address_each() {
    let config =
        r#"{"type": "bridge", "bridge": "br1", "ipam": {"type": "host-local", "subnet": "10.9.0.0/29"}}"#;
    let text = cluster(config).replace("networks: net", "networks: \"net, net\"");
    let mut lab = lab(&text, 1);
    assert!(run(&mut lab, "a ip addr show net1").output.contains("inet 10.9.0.2/29"));
    assert!(run(&mut lab, "a ip addr show net2").output.contains("inet 10.9.0.3/29"));
}
