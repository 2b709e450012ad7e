//! Tunnels and devices that stand on others, made by hand as an administrator makes them: what is on the wire, what it
//! costs, what is too large; and that tshark reads all of it.
#![cfg(not(target_arch = "wasm32"))]

mod common;
#[path = "common/tshark.rs"]
mod tshark;

use common::invariants::faults_at_rest;
use common::{RECORDED_LAB, lab, run};
use std::path::PathBuf;
use vethscope::lab::Lab;
use vethscope::trace::rows_text::port_state;
use vethscope::trace::{Disposition, EventKind, pcapng};

/// Runs lines of commands, all of which have to succeed.
fn all(lab: &mut Lab, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let ran = run(lab, line);
        assert_eq!(ran.status, 0, "{line}: {}", ran.output);
    }
}

/// Runs a command and tells what left by `tap`, a namespace and an interface.
fn sent(lab: &mut Lab, command: &str, tap: (&str, &str)) -> Vec<String> {
    let from = lab.trace().len();
    run(lab, command);
    lab.linger(common::FOR_EVER);
    let live = lab.live().clone();
    let trace = lab.trace();
    let is_tap = |netns, ifindex| {
        live.netns_named(tap.0).is_some_and(|state| {
            state.row.netns == netns && state.link_named(tap.1).is_some_and(|link| link.ifindex == ifindex)
        })
    };
    trace
        .events
        .since(from)
        .filter(|event| event.kind == EventKind::Transmitted && is_tap(event.netns, event.ifindex))
        .map(|event| trace.frame_of(event).expect("a tap has a frame"))
        .filter(|frame| frame.inner_ipv4().is_some())
        .map(|frame| format!("{} {frame}", frame.wire_len()))
        .collect()
}

/// Writes all that happened as a capture, which tshark has to read without complaint.
fn well_formed(name: &str, lab: &Lab) -> Vec<String> {
    let faults = faults_at_rest(lab);
    assert!(faults.is_empty(), "{faults}");
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pcapng"));
    std::fs::write(&path, pcapng(lab.trace(), 0..lab.trace().len())).expect("a capture can be written");
    tshark::assert_well_formed(&path).into_iter().map(|frame| frame.protocols).collect()
}

/// Both ends of a tunnel between the nodes, with 10.9.0.1 and 10.9.0.2.
fn between_nodes(kind: &str, options: &str) -> Lab {
    let mut lab = lab(RECORDED_LAB, 1);
    for (node, own, other) in [(1, 10, 11), (2, 11, 10)] {
        all(
            &mut lab,
            &format!(
                "node/node{node} ip link add t0 type {kind} local 192.168.1.{own} remote 192.168.1.{other} {options}
                 node/node{node} ip addr add 10.9.0.{node}/24 dev t0
                 node/node{node} ip link set t0 up"
            ),
        );
    }
    lab
}

fn mtu_of(lab: &mut Lab, node: &str, ifname: &str) -> u32 {
    lab.live().netns_named(node).and_then(|state| state.link_named(ifname)).map_or(0, |link| link.mtu)
}

#[test]
fn each_tunnel_costs_what_its_headers_say() {
    // An echo request of 84 bytes in an Ethernet frame is 98 bytes long.
    for (kind, options, mtu, len) in [
        ("ipip", "", 1480, 98 + 20),
        ("gre", "", 1476, 98 + 24),
        ("gre", "key 5", 1472, 98 + 28),
        ("gre", "key 5 csum seq", 1464, 98 + 36),
        ("gretap", "", 1462, 98 + 38),
    ] {
        let mut lab = between_nodes(kind, options);
        assert_eq!(mtu_of(&mut lab, "node1", "t0"), mtu, "{kind} {options}");
        run(&mut lab, "node/node1 ping -c1 10.9.0.2");
        let out = sent(&mut lab, "node/node1 ping -c1 10.9.0.2", ("node1", "eth0"));
        assert!(out[0].starts_with(&format!("{len} IP 192.168.1.10 > 192.168.1.11: ")), "{}", out[0]);
        assert!(out[0].contains("IP 10.9.0.1 > 10.9.0.2: ICMP echo request, id "), "{}", out[0]);
        // Exactly what fits goes through whole, one byte more is refused.
        let fits = mtu - 28;
        let ran = run(&mut lab, &format!("node/node1 ping -c1 -W1 -M do -s {fits} 10.9.0.2"));
        assert_eq!(ran.status, 0, "{kind} {options}: {}", ran.output);
        let ran = run(&mut lab, &format!("node/node1 ping -c1 -W1 -M do -s {} 10.9.0.2", fits + 1));
        assert_eq!(ran.status, 1, "{kind} {options}: {}", ran.output);
        lab.linger(common::FOR_EVER);
        let read = well_formed(&format!("tunnel-{kind}-{len}"), &lab);
        let inside = match kind {
            "ipip" => "ip:ip:icmp",
            "gretap" => "ip:gre:eth:ethertype:ip:icmp",
            _ => "ip:gre:ip:icmp",
        };
        assert!(read.iter().any(|protocols| protocols.contains(inside)), "{read:#?}");
    }
}

#[test]
fn a_gre_key_keeps_tunnels_apart() {
    let mut lab = between_nodes("gre", "key 5");
    all(&mut lab, "node/node2 ip link del t0\n");
    all(
        &mut lab,
        "node/node2 ip link add t0 type gre local 192.168.1.11 remote 192.168.1.10 key 6
         node/node2 ip addr add 10.9.0.2/24 dev t0
         node/node2 ip link set t0 up",
    );
    let ran = run(&mut lab, "node/node1 ping -c1 -W1 10.9.0.2");
    assert_eq!(ran.status, 1, "{}", ran.output);
}

#[test]
fn a_tunnel_is_printed_as_iproute2_prints_it() {
    let mut lab = between_nodes("gre", "key 5 ttl 9");
    let ran = run(&mut lab, "node/node1 ip -d link show t0");
    let lines: Vec<&str> = ran.output.lines().collect();
    assert!(
        lines[0].ends_with(
            "t0@NONE: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1472 qdisc noqueue state UNKNOWN mode DEFAULT group \
             default qlen 1000"
        ),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1],
        "    link/gre 192.168.1.10 peer 192.168.1.11 promiscuity 0  allmulti 0 minmtu 0 maxmtu 0 "
    );
    assert!(
        lines[2].starts_with(
            "    gre remote 192.168.1.11 local 192.168.1.10 ttl 9 ikey 0.0.0.5 okey 0.0.0.5 addrgenmode eui64 "
        ),
        "{}",
        lines[2]
    );
    let ran = run(&mut lab, "node/node1 ip tunnel");
    assert_eq!(ran.output, "t0: gre/ip remote 192.168.1.11 local 192.168.1.10 ttl 9 key 5\n");
}

#[test]
fn a_tunnel_whose_way_leads_into_itself_sends_nothing() {
    let mut lab = between_nodes("ipip", "");
    all(&mut lab, "node/node1 ip route add 192.168.1.11/32 dev t0");
    let ran = run(&mut lab, "node/node1 ping -c1 -W1 10.9.0.2");
    assert_eq!(ran.status, 1, "{}", ran.output);
    lab.linger(common::FOR_EVER);
    well_formed("tunnel-to-itself", &lab);
    // Two tunnels, each by way of the other, end after a few turns.
    let mut lab = between_nodes("ipip", "");
    all(
        &mut lab,
        "node/node1 ip link add t1 type ipip local 192.168.1.10 remote 10.8.0.9
         node/node1 ip link set t1 up
         node/node1 ip route add 10.8.0.9/32 dev t0
         node/node1 ip route add 192.168.1.11/32 dev t1",
    );
    let ran = run(&mut lab, "node/node1 ping -c1 -W1 10.9.0.2");
    assert_eq!(ran.status, 1, "{}", ran.output);
    lab.linger(common::FOR_EVER);
    well_formed("tunnels-in-a-circle", &lab);
}

#[test]
fn a_vlan_puts_its_tag_on_and_takes_it_off() {
    let mut lab = lab(RECORDED_LAB, 1);
    for node in [1, 2] {
        all(
            &mut lab,
            &format!(
                "node/node{node} ip link add link eth0 name eth0.5 type vlan id 5
                 node/node{node} ip addr add 10.5.0.{node}/24 dev eth0.5
                 node/node{node} ip link set eth0.5 up"
            ),
        );
    }
    let ran = run(&mut lab, "node/node1 ping -c1 -W1 10.5.0.2");
    assert_eq!(ran.status, 0, "{}", ran.output);
    let out = sent(&mut lab, "node/node1 ping -c1 10.5.0.2", ("node1", "eth0"));
    assert_eq!(out.len(), 1, "{out:#?}");
    assert!(out[0].starts_with("102 vlan 5, p 0, IP 10.5.0.1 > 10.5.0.2: ICMP echo request, "), "{out:#?}");
    let details = run(&mut lab, "node/node1 ip -d link show eth0.5").output;
    assert!(details.contains("eth0.5@eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500"), "{details}");
    assert!(details.contains("    vlan protocol 802.1Q id 5 <REORDER_HDR> addrgenmode"), "{details}");
    let read = well_formed("vlan", &lab);
    assert!(read.iter().any(|protocols| protocols.contains("eth:ethertype:vlan:ethertype:ip:icmp")));
    // Without a device for it the tag makes the frame somebody else's (`p17a`).
    all(&mut lab, "node/node2 ip link del eth0.5");
    let ran = run(&mut lab, "node/node1 ping -c1 -W1 10.5.0.2");
    assert_eq!(ran.status, 1, "{}", ran.output);
}

#[test]
fn a_bridge_that_filters_keeps_vlans_apart() {
    let mut lab = lab(RECORDED_LAB, 1);
    let ports: Vec<String> = {
        let live = lab.live();
        let node = live.netns_named("node1").expect("node1 is there");
        node.links.values().filter(|link| link.port.is_some()).map(|link| link.name.to_string()).collect()
    };
    assert_eq!(ports.len(), 2);
    assert_eq!(run(&mut lab, "a ping -c1 -W1 10.244.1.11").status, 0);
    all(&mut lab, "node/node1 ip link set cni0 type bridge vlan_filtering 1");
    assert_eq!(run(&mut lab, "a ping -c1 -W1 10.244.1.11").status, 0, "all are in VLAN 1");
    all(
        &mut lab,
        &format!(
            "node/node1 bridge vlan add dev {0} vid 7 pvid untagged
             node/node1 bridge vlan del dev {0} vid 1",
            ports[0]
        ),
    );
    let shown = run(&mut lab, "node/node1 bridge vlan show").output;
    assert_eq!(
        shown,
        format!(
            "port              vlan-id  \ncni0              1 PVID Egress Untagged\n\
             {:<16}  7 PVID Egress Untagged\n{:<16}  1 PVID Egress Untagged\n",
            ports[0], ports[1]
        )
    );
    assert_eq!(run(&mut lab, "a ping -c1 -W1 10.244.1.11").status, 1, "no way from VLAN 7 to VLAN 1");
    all(
        &mut lab,
        &format!(
            "node/node1 bridge vlan add dev {0} vid 7 pvid untagged
             node/node1 bridge vlan del dev {0} vid 1",
            ports[1]
        ),
    );
    assert_eq!(run(&mut lab, "a ping -c1 -W1 10.244.1.11").status, 0, "both are in VLAN 7");
    lab.linger(common::FOR_EVER);
    well_formed("bridge-vlan", &lab);
}

#[test]
fn macvlan_and_ipvlan_devices_are_reached_from_outside() {
    for (kind, mode) in [("macvlan", "bridge"), ("macvlan", "private"), ("ipvlan", "l2")] {
        let mut lab = lab(RECORDED_LAB, 1);
        all(
            &mut lab,
            &format!(
                "node/node1 ip link add link eth0 name m1 type {kind} mode {mode}
                 node/node1 ip addr add 192.168.1.71/24 dev m1
                 node/node1 ip link set m1 up"
            ),
        );
        let ran = run(&mut lab, "node/node2 ping -c1 -W1 192.168.1.71");
        assert_eq!(ran.status, 0, "{kind} {mode}: {}", ran.output);
        lab.linger(common::FOR_EVER);
        well_formed(&format!("{kind}-{mode}"), &lab);
    }
}

/// States of ports, as `bridge link` tells them, in the order of their names.
fn states(lab: &mut Lab) -> Vec<String> {
    let live = lab.live();
    let node = live.netns_named("node1").expect("node1 is there");
    let ports = node.links.values().filter(|link| link.name.starts_with('l'));
    let mut states: Vec<String> =
        ports.filter_map(|link| Some(format!("{} {}", link.name, port_state(link.port?.state)))).collect();
    states.sort();
    states
}

/// `p17e`: two bridges with two links between them.
#[test]
fn the_spanning_tree_blocks_one_of_two_links_and_takes_it_up_when_the_other_is_cut() {
    let mut lab = lab(RECORDED_LAB, 1);
    all(
        &mut lab,
        "node/node1 ip link add b1 address 02:00:00:00:00:b1 type bridge
         node/node1 ip link add b2 address 02:00:00:00:00:b2 type bridge
         node/node1 ip link set b1 type bridge stp_state 1
         node/node1 ip link set b2 type bridge stp_state 1
         node/node1 ip link add l1a type veth peer name l1b
         node/node1 ip link add l2a type veth peer name l2b
         node/node1 ip link set l1a master b1
         node/node1 ip link set l1b master b2
         node/node1 ip link set l2a master b1
         node/node1 ip link set l2b master b2
         node/node1 ip link set l1a up
         node/node1 ip link set l1b up
         node/node1 ip link set l2a up
         node/node1 ip link set l2b up
         node/node1 ip link set b1 up
         node/node1 ip link set b2 up
         node/node1 sleep 5",
    );
    // The root's ports and the better link listen; the second link is blocked after the first message.
    assert_eq!(states(&mut lab), ["l1a listening", "l1b listening", "l2a listening", "l2b blocking"]);
    all(&mut lab, "node/node1 sleep 12");
    assert_eq!(states(&mut lab), ["l1a learning", "l1b learning", "l2a learning", "l2b blocking"]);
    all(&mut lab, "node/node1 sleep 15");
    assert_eq!(states(&mut lab), ["l1a forwarding", "l1b forwarding", "l2a forwarding", "l2b blocking"]);
    // The bridge that is no root has learnt the root's ports from their messages; the root hears none.
    let mut learnt = |bridge: &str| {
        let shown = run(&mut lab, &format!("node/node1 bridge fdb show br {bridge}")).output;
        shown.lines().filter(|line| !line.contains("permanent")).count()
    };
    assert_eq!((learnt("b1"), learnt("b2")), (0, 1));
    // iproute2 6.1 prints the bridge's own identifier in the root's place; brctl prints the root's.
    let shown = run(&mut lab, "node/node1 ip -d link show b2").output;
    assert!(
        shown.contains(
            "bridge_id 8000.2:0:0:0:0:b2 designated_root 8000.2:0:0:0:0:b2 root_port 1 root_path_cost 2"
        ),
        "{shown}"
    );
    all(&mut lab, "node/node1 ip link set l1a down\nnode/node1 sleep 1");
    assert_eq!(states(&mut lab), ["l1a disabled", "l1b disabled", "l2a forwarding", "l2b listening"]);
    all(&mut lab, "node/node1 sleep 31");
    assert_eq!(states(&mut lab), ["l1a disabled", "l1b disabled", "l2a forwarding", "l2b forwarding"]);
    let read = well_formed("stp", &lab);
    assert!(read.iter().any(|protocols| protocols.ends_with("eth:llc:stp")), "{read:?}");
}

/// Without the spanning tree the same loop carries one broadcast round and round; the run's budget ends it.
#[test]
fn a_broadcast_storm_is_bounded() {
    let mut lab = lab(RECORDED_LAB, 1);
    all(
        &mut lab,
        "node/node1 ip link add b1 type bridge
         node/node1 ip link add b2 type bridge
         node/node1 ip link add l1a type veth peer name l1b
         node/node1 ip link add l2a type veth peer name l2b
         node/node1 ip link set l1a master b1
         node/node1 ip link set l1b master b2
         node/node1 ip link set l2a master b1
         node/node1 ip link set l2b master b2
         node/node1 ip link set l1a up
         node/node1 ip link set l1b up
         node/node1 ip link set l2a up
         node/node1 ip link set l2b up
         node/node1 ip link set b2 up
         node/node1 ip link set b1 up
         node/node1 ip addr add 10.6.0.1/24 dev b1",
    );
    let before = lab.trace().len();
    let target = vethscope::lab::Target::parse("node/node1", "default", None);
    let argv = ["ping", "-c1", "-W1", "10.6.0.2"].map(str::to_owned);
    lab.start(&target, &argv).expect("node1 is there");
    let mut slices = 0;
    while slices < 50 && matches!(lab.advance(10_000), vethscope::lab::Progress::Busy(_)) {
        slices += 1;
    }
    assert_eq!(slices, 50, "the storm goes on");
    assert!(lab.trace().len() - before > 500_000);
}

/// A cluster with this block `network`, one Pod on each of two nodes.
fn cluster(network: &str) -> Lab {
    let pod = |name: &str, node: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  nodeName: {node}\n  containers:\n  \
             - {{name: app, image: nginx}}\n---\n"
        )
    };
    let head = "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n";
    lab(&format!("{}{}{head}  network: {network}\n", pod("a", "node1"), pod("b", "node2")), 1)
}

/// What tshark reads of a capture's inner packets once it has the keys.
fn decrypted(name: &str, lab: &Lab) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pcapng"));
    std::fs::write(&path, pcapng(lab.trace(), 0..lab.trace().len())).expect("a capture can be written");
    let mut tshark = std::process::Command::new("tshark");
    tshark.arg("-r").arg(&path).args(["-o", "esp.enable_encryption_decode:TRUE"]);
    for line in vethscope::trace::esp_sa(lab.trace()).lines() {
        tshark.arg("-o").arg(format!("uat:esp_sa:{line}"));
    }
    let output =
        tshark.args(["-Y", "esp", "-T", "fields", "-e", "frame.protocols", "-e", "icmp.type"]).output();
    String::from_utf8_lossy(&output.expect("tshark can be run").stdout).into_owned()
}

#[test]
fn what_ipsec_encrypts_tshark_decrypts_with_the_keys() {
    let mut lab = cluster("{cni: flannel, backend: ipsec}");
    run(&mut lab, "a ping -c1 10.244.2.2");
    let out = sent(&mut lab, "a ping -c1 10.244.2.2", ("node1", "eth0"));
    // 84 bytes, two of trailer and two of padding between header, vector and check value, inside another header.
    let len = 14 + 20 + 8 + 8 + 88 + 16;
    assert!(out[0].starts_with(&format!("{len} IP 192.168.1.10 > 192.168.1.11: ESP(spi=0x")), "{out:#?}");
    assert!(out[0].contains(",seq=0x2), length 120"), "{out:#?}");
    lab.linger(common::FOR_EVER);
    well_formed("ipsec", &lab);
    let read = decrypted("ipsec", &lab);
    let whole = read.lines().filter(|line| line.contains("ip:esp:ip:icmp"));
    // Both echo requests and replies at the four taps of the cable's ends.
    assert_eq!(whole.clone().count(), read.lines().count(), "{read}");
    assert!(whole.clone().any(|line| line.ends_with('8')) && whole.clone().any(|line| line.ends_with('0')));
}

#[test]
fn ipsec_leaves_room_for_what_its_headers_leave() {
    let mut lab = cluster("{cni: flannel, backend: ipsec, bridge: {mtu: 1500}}");
    assert_eq!(run(&mut lab, "a ping -c1 -W1 -M do -s 1418 10.244.2.2").status, 0);
    let ran = run(&mut lab, "a ping -c1 -W1 -M do -s 1419 10.244.2.2");
    assert!(ran.output.contains("Frag needed and DF set (mtu = 1446)"), "{}", ran.output);
    assert_eq!(run(&mut lab, "a ping -c1 -W1 -M dont -s 3000 10.244.2.2").status, 0);
    lab.linger(common::FOR_EVER);
    well_formed("ipsec-mtu", &lab);
}

#[test]
fn without_the_right_key_nothing_is_opened() {
    let mut lab = cluster("{cni: flannel, backend: ipsec}");
    let shown = run(&mut lab, "node/node2 ip xfrm state").output;
    let spi = |src: &str| {
        let at = shown.find(&format!("src {src} ")).expect("there is one");
        shown[at..]
            .split("spi ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .expect("it has an SPI")
            .to_owned()
    };
    let incoming = spi("192.168.1.10");
    all(
        &mut lab,
        &format!(
            "node/node2 ip xfrm state delete src 192.168.1.10 dst 192.168.1.11 proto esp spi {incoming}
             node/node2 ip xfrm state add src 192.168.1.10 dst 192.168.1.11 proto esp spi {incoming} reqid 11 mode tunnel aead rfc4106(gcm(aes)) 0x0102030405060708090a0b0c0d0e0f1011121314 128"
        ),
    );
    assert_eq!(run(&mut lab, "a ping -c1 -W1 10.244.2.2").status, 1);
    all(&mut lab, "node/node2 ip xfrm state flush");
    assert_eq!(run(&mut lab, "a ping -c1 -W1 10.244.2.2").status, 1);
    all(&mut lab, "node/node1 ip xfrm state flush");
    assert_eq!(run(&mut lab, "a ping -c1 -W1 10.244.2.2").status, 1);
    // In the clear nothing passes either: the other node's policy wants it encrypted.
    all(&mut lab, "node/node1 ip xfrm policy flush");
    assert_eq!(run(&mut lab, "a ping -c1 -W1 10.244.2.2").status, 1);
    let reasons: Vec<&str> = lab
        .trace()
        .events
        .iter()
        .filter_map(|event| {
            let EventKind::Ended(Disposition::Dropped(reason)) = event.kind else { return None };
            Some(reason.name())
        })
        .filter(|name| name.starts_with("XFRM"))
        .collect();
    let wanted = ["XFRM_IN_STATE_PROTO_ERROR", "XFRM_OUT_NO_STATES", "XFRM_IN_TMPL_MISMATCH"];
    assert!(wanted.iter().all(|name| reasons.contains(name)), "{reasons:?}");
}

#[test]
fn backends_add_what_their_headers_take() {
    for (network, mtu, added, inside) in [
        ("{cni: flannel, backend: ipip}", 1480, 20, "ip:ip:icmp"),
        ("{cni: bridge, backend: gre, bridge: {ipMasq: false}}", 1476, 24, "ip:gre:ip:icmp"),
        (
            "{cni: flannel, backend: gre, gre: {key: 9, checksum: true, sequence: true}}",
            1464,
            36,
            "ip:gre:ip:icmp",
        ),
        ("{cni: flannel, backend: vxlan, vxlan: {group: 239.1.1.1, port: 4789}}", 1450, 50, "udp:vxlan:eth"),
        ("{cni: flannel, backend: vxlan}", 1450, 50, "udp"),
        ("{cni: flannel, backend: host-gw}", 1500, 0, "ip:icmp"),
    ] {
        let mut lab = cluster(network);
        assert_eq!(mtu_of(&mut lab, "default/a", "eth0"), mtu, "{network}");
        let ran = run(&mut lab, "a ping -c1 -W2 10.244.2.2");
        assert_eq!(ran.status, 0, "{network}: {}", ran.output);
        let out = sent(&mut lab, "a ping -c1 10.244.2.2", ("node1", "eth0"));
        assert!(out[0].starts_with(&format!("{} IP ", 98 + added)), "{network}: {out:#?}");
        let fits = mtu - 28;
        assert_eq!(
            run(&mut lab, &format!("a ping -c1 -W1 -M do -s {fits} 10.244.2.2")).status,
            0,
            "{network}"
        );
        let out = run(&mut lab, "a ping -c1 -W1 192.168.1.100");
        let answered = !network.contains("ipMasq: false");
        assert_eq!(out.status == 0, answered, "{network}: out of the cluster");
        lab.linger(common::FOR_EVER);
        let read = well_formed(&format!("backend-{mtu}-{added}"), &lab);
        assert!(read.iter().any(|protocols| protocols.contains(inside)), "{network}: {read:#?}");
    }
}
