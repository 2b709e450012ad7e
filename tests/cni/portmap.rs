//! The rules of the plug-ins bridge and portmap held against those that the plug-ins themselves left
//! (`tests/cni/portmap/recorded.txt`). The names of chains hold hashes of container ids, so chains are told apart by the
//! order in which they are jumped to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const RECORDED: &str = include_str!("portmap/recorded.txt");

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: c1}
spec:
  nodeName: node1
  containers:
  - name: web
    image: nginx
    ports:
    - {containerPort: 80, hostPort: 8080}
    - {containerPort: 53, hostPort: 5353, protocol: UDP, hostIP: 192.168.1.10}
---
apiVersion: v1
kind: Pod
metadata: {name: c2}
spec:
  nodeName: node1
  containers:
  - {name: web, image: nginx}
---
apiVersion: vethscope.dev/v1alpha1
kind: Cluster
spec:
  network: {cni: bridge, bridge: {hairpinMode: true, mtu: 1450}}
";

/// A word without what is drawn by chance: the hash in a chain's name and the id of a container.
fn numbered(word: &str, known: &mut Vec<String>) -> String {
    let bare = word.trim_matches(|c: char| "\\\"".contains(c));
    let name = bare.strip_prefix("CNI-DN-").or_else(|| bare.strip_prefix("CNI-")).unwrap_or(bare);
    let is_hash = name.len() >= 21 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_id = bare == "c1" || bare == "c2";
    if !is_hash && !is_id {
        return word.to_owned();
    }
    let at = known.iter().position(|one| one == bare).unwrap_or_else(|| {
        known.push(bare.to_owned());
        known.len() - 1
    });
    word.replace(name, &format!("#{at}"))
}

/// The chains with their rules, in order.
fn chains(saved: &str) -> String {
    let mut known = Vec::new();
    let mut chains: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // The chains that stay the same come first, in whatever order the hashes put them.
    let mut rules: Vec<&str> = saved.lines().filter(|line| line.starts_with("-A ")).collect();
    let own = |line: &str| {
        let name = line.split(' ').nth(1).unwrap_or_default();
        name.starts_with("CNI-") && !name.starts_with("CNI-HOSTPORT")
    };
    rules.sort_by_key(|line| own(line));
    let mut left = rules;
    while !left.is_empty() {
        // A chain is read once its name has been met in a jump.
        let ready = left.iter().position(|line| {
            let name = line.split(' ').nth(1).unwrap_or_default();
            !own(line) || known.iter().any(|one| one == name)
        });
        let line = left.remove(ready.expect("every chain is jumped to"));
        let words: Vec<String> = line.split(' ').map(|word| numbered(word, &mut known)).collect();
        chains.entry(words[1].clone()).or_default().push(words[2..].join(" "));
    }
    let mut out = String::new();
    for (chain, rules) in chains {
        for rule in rules {
            let _ = writeln!(out, "{chain}: {rule}");
        }
    }
    out
}

#[test]
fn the_rules_for_ports_of_a_node_are_those_of_the_plugins() {
    let (added, deleted) = RECORDED.split_once("# After DEL").expect("both states");
    let mut lab = crate::common::lab(PODS, 1);
    let nat = |lab: &mut vethscope::lab::Lab| {
        chains(&crate::common::run(lab, "node/node1 iptables-save -t nat").output)
    };
    assert_eq!(nat(&mut lab), chains(added), "left: simulated, right: the plug-ins");
    let setting = crate::common::run(&mut lab, "node/node1 sysctl net.ipv4.conf.cni0.route_localnet");
    assert_eq!(setting.output, "net.ipv4.conf.cni0.route_localnet = 1\n");
    let page = crate::common::run(&mut lab, "node/node1 curl -s -o /dev/null -w %{http_code} 127.0.0.1:8080");
    assert_eq!(page.output, "200", "from the node's loopback");
    crate::common::run(&mut lab, "node/node1 kubectl delete pod c1 --now");
    lab.linger(crate::common::FOR_EVER);
    assert_eq!(nat(&mut lab), chains(deleted), "left: simulated, right: the plug-ins");
}
