//! Interface counters against those recorded on a real kernel: ten pings of 84 bytes with warm caches, received bytes and
//! sent bytes of each interface. Interfaces that are not named count nothing.

mod common;

use std::collections::BTreeMap;
use vethscope::lab::Lab;
use vethscope::trace::{Counters, Inventory};

/// Recorded: interface, bytes received, bytes sent; ten packets each way.
const ACROSS_NODES: [(&str, u64, u64); 12] = [
    ("default/a/eth0", 980, 980),
    ("default/b/eth0", 980, 980),
    ("node1/eth0", 1480, 1480),
    ("node1/cni0", 840, 980),
    ("node1/veth0", 980, 980),
    ("node1/flannel.1", 840, 840),
    ("node2/eth0", 1480, 1480),
    ("node2/cni0", 840, 980),
    ("node2/veth0", 980, 980),
    ("node2/flannel.1", 840, 840),
    ("switch/p-node1", 1480, 1480),
    ("switch/p-node2", 1480, 1480),
];

/// On one bridge neither the bridge nor the node counts anything.
const ON_ONE_NODE: [(&str, u64, u64); 4] = [
    ("default/a/eth0", 980, 980),
    ("default/c/eth0", 980, 980),
    ("node1/veth0", 980, 980),
    ("node1/veth1", 980, 980),
];

/// Counters by interface; host ends of veth pairs are numbered in order.
fn counters(lab: &Lab) -> BTreeMap<String, Counters> {
    let inventory = Inventory::at(lab.trace(), lab.trace().len());
    let mut out = BTreeMap::new();
    for netns in inventory.netns.values() {
        let mut veths = 0;
        for link in netns.links.values() {
            let name = if link.name.starts_with("veth") {
                veths += 1;
                format!("veth{}", veths - 1)
            } else {
                link.name.to_string()
            };
            let counted = netns.counters.get(&link.ifindex).copied().unwrap_or_default();
            out.insert(format!("{}/{name}", netns.row.name), counted);
        }
    }
    out
}

fn check(target: &str, expected: &[(&str, u64, u64)]) {
    let mut lab = common::lab(common::RECORDED_LAB, 1);
    common::run(&mut lab, &format!("a ping -q -c1 {target}"));
    lab.linger(common::FOR_EVER);
    let before = counters(&lab);
    common::run(&mut lab, &format!("a ping -q -c10 -i 0.05 {target}"));
    let mut changed = Vec::new();
    for (name, now) in counters(&lab) {
        let then = before[&name];
        if now != then {
            assert_eq!(now.rx_packets - then.rx_packets, 10, "{name}");
            assert_eq!(now.tx_packets - then.tx_packets, 10, "{name}");
            changed.push((name, now.rx_bytes - then.rx_bytes, now.tx_bytes - then.tx_bytes));
        }
    }
    let mut expected: Vec<_> = expected.iter().map(|(name, rx, tx)| ((*name).to_owned(), *rx, *tx)).collect();
    expected.sort();
    assert_eq!(changed, expected);
}

#[test]
fn ten_pings_across_nodes_are_counted_as_on_a_real_kernel() {
    check("10.244.2.10", &ACROSS_NODES);
}

#[test]
fn ten_pings_on_one_bridge_are_counted_as_on_a_real_kernel() {
    check("10.244.1.11", &ON_ONE_NODE);
}
