//! What is broken on purpose: by actions of the log, by `tc` at a node, and what notices and recovers.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::invariants::faults_at_rest;
use common::{FOR_EVER, RECORDED_LAB, lab, run};
use vethscope::base::{MacAddr, SimTime};
use vethscope::lab::fault::FaultError;
use vethscope::lab::{Action, Lab, LabLog, Progress, Target, share};
use vethscope::trace::{Disposition, DropReason, EventKind, Fault, Netem, Nud, Place};

fn at(place: &str) -> Place {
    Place::parse(place).expect("it is a place")
}

/// The packet loss that ping reports, in percent.
fn loss(lab: &mut Lab, line: &str) -> u32 {
    let output = run(lab, line).output;
    let words: Vec<&str> = output.split_whitespace().collect();
    let word = words.iter().position(|word| *word == "packet").expect("ping sums up");
    let whole = words[word - 1].split(['.', '%']).next().unwrap_or_default();
    whole.parse().expect("it is a number")
}

fn drops(lab: &Lab, from: usize, reason: DropReason) -> usize {
    let is_it = |kind| kind == EventKind::Ended(Disposition::Dropped(reason));
    lab.trace().events.since(from).filter(|event| is_it(event.kind)).count()
}

/// The lab at rest has to be sound, and its log has to make the same lab again.
fn replays(lab: &mut Lab) {
    lab.linger(FOR_EVER);
    let faults = faults_at_rest(lab);
    assert!(faults.is_empty(), "{faults}");
    let log = share::from_file(&share::to_file(&lab.log())).expect("a log can be read back");
    let mut again = Lab::open(&log);
    while matches!(again.advance(100_000), Progress::Busy(_)) {}
    again.wait_until(lab.now());
    assert_eq!(again.trace().hash(), lab.trace().hash(), "the log replays to the same trace");
}

#[test]
fn a_cut_cable_takes_the_carrier_of_both_ends_until_it_is_mended() {
    let mut lab = lab(RECORDED_LAB, 1);
    assert_eq!(loss(&mut lab, "a ping -c2 -i1 10.244.2.10"), 0);
    let number = lab.inject(&Fault::CutCable(at("node1/eth0"))).expect("there is a cable");
    assert_eq!(lab.live().faults[&number].fault.place(), Some(&at("node1/eth0")));
    let shown = run(&mut lab, "node/node1 ip link show eth0").output;
    assert!(shown.contains("<NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500"), "{shown}");
    let port = lab.live().netns_named("switch").and_then(|state| state.link_named("p-node1")).cloned();
    assert!(port.is_some_and(|port| !port.carrier && port.extra.cut));
    let from = lab.trace().len();
    assert_eq!(loss(&mut lab, "a ping -c2 -i1 -W1 10.244.2.10"), 100);
    assert!(drops(&lab, from, DropReason::CableCut) >= 2);
    lab.mend(number).expect("it stands");
    assert!(lab.live().faults.is_empty());
    assert_eq!(lab.mend(number), Err(FaultError::NoSuchFault(number)));
    lab.settle(FOR_EVER);
    assert_eq!(loss(&mut lab, "a ping -c2 -i1 10.244.2.10"), 0);
    replays(&mut lab);
}

#[test]
fn taking_back_the_last_action_of_the_log_undoes_a_fault() {
    let mut lab = lab(RECORDED_LAB, 1);
    lab.inject(&Fault::CutCable(at("node1/eth0"))).expect("there is a cable");
    let mut log: LabLog = lab.log();
    assert!(matches!(log.actions.pop(), Some((_, Action::Fault(Fault::CutCable(_))))));
    let mut undone = Lab::open(&log);
    while matches!(undone.advance(100_000), Progress::Busy(_)) {}
    assert!(undone.live().faults.is_empty());
    assert_eq!(loss(&mut undone, "a ping -c1 10.244.2.10"), 0);
}

#[test]
fn an_impaired_interface_loses_delays_and_doubles_by_its_seed() {
    let mut lab = lab(RECORDED_LAB, 7);
    let netem = Netem { loss: 300_000, ..Netem::default() };
    let number = lab.inject(&Fault::Impair { at: at("node1/eth0"), netem }).expect("it is there");
    let lost = loss(&mut lab, "a ping -c60 -i0.2 -W1 10.244.2.10");
    assert!((12..=48).contains(&lost), "{lost} % of 60 packets at 30 %");
    lab.mend(number).expect("it stands");
    let netem = Netem { delay: 50_000_000, duplicate: 1_000_000, ..Netem::default() };
    lab.inject(&Fault::Impair { at: at("node1/eth0"), netem }).expect("it is there");
    let output = run(&mut lab, "a ping -c1 -W1 10.244.2.10").output;
    let time = output.split("time=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    assert!(time.starts_with("50."), "{output}");
    lab.linger(FOR_EVER);
    let shown = run(&mut lab, "node/node1 tc qdisc show dev eth0").output;
    assert_eq!(shown, "qdisc netem 8002: root refcnt 2 limit 1000 delay 50ms duplicate 100%\n");
    replays(&mut lab);
}

#[test]
fn tc_sets_shows_counts_and_takes_away() {
    let mut lab = lab(RECORDED_LAB, 1);
    let ran = run(&mut lab, "node/node1 tc qdisc add dev eth0 root netem rate 100kbit limit 3");
    assert_eq!((ran.status, &*ran.output), (0, ""));
    let ran = run(&mut lab, "node/node1 tc qdisc add dev eth0 root netem loss 1%");
    assert_eq!((ran.status, &*ran.output), (2, "Error: Exclusivity flag on, cannot modify.\n"));
    let from = lab.trace().len();
    // Ten packets of 1,048 bytes at once into a queue of three, each 85 ms long on the wire.
    assert!(loss(&mut lab, "a ping -q -c10 -i0.01 -s 1000 -W2 10.244.2.10") >= 50);
    lab.linger(FOR_EVER);
    let dropped = drops(&lab, from, DropReason::QdiscOverlimit);
    assert!(dropped >= 5, "{dropped}");
    let shown = run(&mut lab, "node/node1 tc -s qdisc show dev eth0").output;
    assert!(shown.starts_with("qdisc netem 8001: root refcnt 2 limit 3 rate 100Kbit\n Sent "), "{shown}");
    assert!(shown.contains(&format!("(dropped {dropped}, overlimits 0 requeues 0)")), "{shown}");
    assert!(run(&mut lab, "node/node1 ip link show eth0").output.contains("qdisc netem state UP"));
    assert_eq!(run(&mut lab, "node/node1 tc qdisc del dev eth0 root").status, 0);
    let shown = run(&mut lab, "node/node1 tc qdisc show dev eth0").output;
    assert_eq!(shown, "qdisc noqueue 0: root refcnt 2 \n");
    let ran = run(&mut lab, "node/node1 tc qdisc add dev eth0 root tbf rate 1mbit burst 10k latency 50ms");
    assert_eq!((ran.status, &*ran.output), (1, "tc qdisc: not simulated: tbf\n"));
    replays(&mut lab);
}

#[test]
fn reordered_packets_overtake() {
    let mut lab = lab(RECORDED_LAB, 3);
    let line = "node/node1 tc qdisc add dev eth0 root netem delay 30ms reorder 50%";
    assert_eq!(run(&mut lab, line).status, 0);
    let output = run(&mut lab, "a ping -c20 -i0.01 10.244.2.10").output;
    let seqs: Vec<u32> = output
        .lines()
        .filter_map(|line| line.split("icmp_seq=").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(seqs.len(), 20, "{output}");
    assert!(seqs.windows(2).any(|pair| pair[1] < pair[0]), "{seqs:?}");
}

#[test]
fn a_port_is_mirrored_to_another_device() {
    let mut lab = lab(RECORDED_LAB, 1);
    let veth = {
        let node = lab.live().netns_named("node1").expect("node1 is there").clone();
        node.links.values().find(|link| link.port.is_some()).map(|link| link.name.to_string())
    }
    .expect("a Pod is there");
    for line in [
        "ip link add mon0 type dummy".to_owned(),
        "ip link set mon0 up".to_owned(),
        format!("tc qdisc add dev {veth} clsact"),
        format!("tc filter add dev {veth} ingress matchall action mirred egress mirror dev mon0"),
        format!("tc filter add dev {veth} egress matchall action mirred egress mirror dev mon0"),
    ] {
        let ran = run(&mut lab, &format!("node/node1 {line}"));
        assert_eq!(ran.status, 0, "{line}: {}", ran.output);
    }
    run(&mut lab, "a ping -c1 10.244.1.11");
    let mon0 = lab.live().netns_named("node1").and_then(|state| {
        let link = state.link_named("mon0")?.ifindex;
        state.counters.get(&link).copied()
    });
    // Hairpin mode floods the ARP request back to the port it came in at.
    assert_eq!(
        mon0.map(|counters| counters.tx_packets),
        Some(5),
        "the request twice, its answer, the echo's two"
    );
    let shown = run(&mut lab, &format!("node/node1 tc filter show dev {veth} ingress")).output;
    assert!(shown.contains("\taction order 1: mirred (Egress Mirror to device mon0) pipe\n"), "{shown}");
    replays(&mut lab);
}

#[test]
fn a_stale_neighbor_entry_is_found_out() {
    let mut lab = lab(RECORDED_LAB, 1);
    run(&mut lab, "node/node1 ping -c1 192.168.1.11");
    let address = "192.168.1.11".parse().expect("it is an address");
    let fault = Fault::StaleNeighbor { at: at("node1/eth0"), address, mac: None };
    lab.inject(&fault).expect("it is there");
    let output = run(&mut lab, "node/node1 ping -c12 -i1 -W1 192.168.1.11").output;
    let first = output.split("icmp_seq=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    // Five seconds of trust, three probes a second apart, then the question to all.
    assert!(first.is_some_and(|first| (6..=11).contains(&first)), "{output}");
    let entry = lab.live().netns_named("node1").and_then(|state| {
        let eth0 = state.link_named("eth0")?.ifindex;
        state.neighbors.get(&(eth0, address)).map(|entry| entry.row)
    });
    assert!(entry.is_some_and(|row| row.mac != Some(MacAddr([2, 0xde, 0xad, 0, 0, 1]))));
    assert!(entry.is_some_and(|row| matches!(row.state, Nud::Reachable | Nud::Stale | Nud::Delay)));
    replays(&mut lab);
}

#[test]
fn an_address_that_two_machines_have_is_answered_for_twice() {
    let mut lab = lab(RECORDED_LAB, 1);
    let address = "192.168.1.11".parse().expect("it is an address");
    let number = lab.inject(&Fault::DuplicateAddress { at: at("gw/eth0"), address }).expect("gw is there");
    let own = Fault::DuplicateAddress { at: at("node2/eth0"), address };
    assert_eq!(lab.inject(&own), Err(FaultError::OwnAddress("192.168.1.11".to_owned())));
    let from = lab.trace().len();
    run(&mut lab, "node/node1 ping -c1 -W1 192.168.1.11");
    let answers = lab.trace().events.since(from).filter(|event| {
        event.kind == EventKind::Originated
            && lab
                .trace()
                .frame_of(event)
                .is_some_and(|frame| frame.to_string().contains("Reply 192.168.1.11 is-at"))
    });
    assert_eq!(answers.count(), 2, "both answer for the address");
    lab.mend(number).expect("it stands");
    assert!(
        !lab.live()
            .netns_named("gw")
            .expect("gw is there")
            .addrs
            .iter()
            .any(|row| row.addr.addr() == address)
    );
    replays(&mut lab);
}

#[test]
fn a_dead_node_is_noticed_and_comes_back() {
    let mut lab = lab(RECORDED_LAB, 1);
    let number = lab.inject(&Fault::DeadNode("node2".to_owned())).expect("node2 is there");
    assert_eq!(loss(&mut lab, "a ping -c2 -W1 10.244.2.10"), 100);
    let target = Target::parse("node/node2", "default", None);
    let refused = lab.start(&target, &["true".to_owned()]).expect_err("it stands still");
    assert_eq!(refused.to_string(), "error: node/node2 does not answer: its node stands still");
    let status = |lab: &mut Lab| {
        let output = run(lab, "node/node1 kubectl get nodes").output;
        let line = output.lines().find(|line| line.starts_with("node2")).expect("node2 is listed").to_owned();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(status(&mut lab), "Ready", "nobody has noticed yet");
    lab.settle(FOR_EVER);
    assert_eq!(status(&mut lab), "NotReady");
    let events = run(&mut lab, "node/node1 kubectl get events").output;
    assert!(events.contains("Node node2 status is now: NodeNotReady"), "{events}");
    lab.mend(number).expect("it stands");
    lab.settle(FOR_EVER);
    assert_eq!(status(&mut lab), "Ready");
    assert_eq!(loss(&mut lab, "a ping -c2 -W1 10.244.2.10"), 0);
    replays(&mut lab);
}

#[test]
fn links_go_down_and_change_their_mtu_and_come_back() {
    let mut lab = lab(RECORDED_LAB, 1);
    let down = lab.inject(&Fault::LinkDown(at("default/a/eth0"))).expect("it is there");
    assert_eq!(loss(&mut lab, "c ping -c1 -W1 10.244.1.10"), 100);
    lab.mend(down).expect("it stands");
    let mtu = lab.inject(&Fault::Mtu { at: at("node1/eth0"), mtu: 600 }).expect("it is there");
    let shown = run(&mut lab, "node/node1 ip link show eth0").output;
    assert!(shown.contains(" mtu 600 "), "{shown}");
    lab.mend(mtu).expect("it stands");
    assert!(run(&mut lab, "node/node1 ip link show eth0").output.contains(" mtu 1500 "));
    replays(&mut lab);
}

#[test]
fn what_cannot_be_broken_is_refused_and_leaves_no_trace_in_the_log() {
    let mut lab = lab(RECORDED_LAB, 1);
    let before = lab.log();
    for (fault, key) in [
        (Fault::CutCable(at("node1/cni0")), "fault.no_cable"),
        (Fault::CutCable(at("node9/eth0")), "fault.no_such_place"),
        (Fault::DeadNode("node9".to_owned()), "fault.no_such_place"),
        (Fault::Mtu { at: at("node1/eth0"), mtu: 3 }, "fault.out_of_range"),
        (
            Fault::Impair { at: at("node1/eth0"), netem: Netem { loss: 2_000_000, ..Netem::default() } },
            "fault.out_of_range",
        ),
    ] {
        let error = lab.inject(&fault).expect_err("it cannot be");
        assert_eq!(error.words().0, key);
        assert!(!error.to_string().starts_with('['), "{error}");
    }
    assert_eq!(lab.log(), before);
}

/// A log written by hand, as `vethscope replay` reads it.
#[test]
fn a_log_with_faults_is_read_from_json() {
    let json = r#"{"seed": 1, "actions": [
        [1000000000, {"fault": {"impair": {"at": {"namespace": "node1", "interface": "eth0"}, "netem": {"loss": 100000}}}}],
        [2000000000, {"fault": {"deadNode": "node2"}}],
        [3000000000, {"mend": 1}]
    ]}"#;
    let log = share::from_file(json).expect("it is a log");
    let netem = Netem { loss: 100_000, ..Netem::default() };
    let first = Action::Fault(Fault::Impair { at: at("node1/eth0"), netem });
    assert_eq!(log.actions[0], (SimTime(1_000_000_000), first));
    assert_eq!(log.actions[2].1, Action::Mend(1));
}

/// A Pod on a network without tunnels, whose packets of 1,500 bytes meet a link of 1,400 behind the router.
fn narrow() -> Lab {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - {name: app, image: nginx}\n---\n\
                apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  network: {cni: flannel, backend: host-gw}\n";
    let mut lab = lab(text, 1);
    // Neither end knows: what the server announces goes by its own interface, of 1,500.
    let ran = run(&mut lab, "host/gw ip link set eth1 mtu 1400");
    assert_eq!(ran.status, 0, "{}", ran.output);
    lab
}

/// Sends 13,893 bytes to the server behind the narrow link; whether it answered.
fn sends_much(lab: &mut Lab) -> bool {
    let target = Target::parse("a", "default", None);
    let argv = ["sh", "-c", "seq 1 3000 | nc -w5 203.0.113.10 80"].map(str::to_owned);
    let ran = common::run_argv(lab, &target, &argv);
    ran.output.contains("400 Bad Request")
}

/// Sizes that SYN segments name where they leave the node.
fn announced(lab: &mut Lab, from: usize) -> Vec<String> {
    let eth0 = lab.live().netns_named("node1").map(|state| state.row.netns);
    let syn = |line: &String| line.contains("Flags [S]");
    let trace = lab.trace();
    let lines = trace
        .events
        .since(from)
        .filter(|event| event.kind == EventKind::Transmitted && Some(event.netns) != eth0)
        .filter_map(|event| Some(trace.frame_of(event)?.to_string()))
        .filter(syn);
    lines.filter_map(|line| Some(line.split("mss ").nth(1)?.split(',').next()?.to_owned())).collect()
}

#[test]
fn what_is_too_large_for_a_link_on_the_way_is_told_and_remembered() {
    let mut lab = narrow();
    let ran = run(&mut lab, "a ping -c1 -W1 -M do -s 1400 203.0.113.10");
    assert!(ran.output.contains("Frag needed and DF set (mtu = 1400)"), "{}", ran.output);
    let cached = run(&mut lab, "a ip route get 203.0.113.10").output;
    assert!(cached.contains("cache expires ") && cached.contains(" mtu 1400"), "{cached}");
    // What is known is refused at once.
    let ran = run(&mut lab, "a ping -c1 -W1 -M do -s 1400 203.0.113.10");
    assert!(ran.output.contains("message too long, mtu=1400"), "{}", ran.output);
    assert!(sends_much(&mut lab));
    lab.linger(FOR_EVER);
    assert!(faults_at_rest(&lab).is_empty());
}

#[test]
fn where_icmp_is_filtered_large_segments_vanish_until_their_size_is_clamped() {
    let mut lab = narrow();
    let rule = "host/gw iptables -A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP";
    assert_eq!(run(&mut lab, rule).status, 0);
    // The connection stands and small packets pass: nobody is told why the large ones do not.
    assert_eq!(loss(&mut lab, "a ping -c1 -W1 203.0.113.10"), 0);
    let from = lab.trace().len();
    assert!(!sends_much(&mut lab), "a black hole");
    assert!(drops(&lab, from, DropReason::PktTooBig) >= 3, "it is sent again and again");
    let clamp =
        "host/gw iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu";
    let ran = run(&mut lab, clamp);
    assert_eq!(ran.status, 0, "{}", ran.output);
    lab.linger(FOR_EVER);
    let from = lab.trace().len();
    assert!(sends_much(&mut lab), "clamped");
    let sizes = announced(&mut lab, from);
    assert!(sizes.iter().any(|mss| mss == "1460") && sizes.iter().any(|mss| mss == "1360"), "{sizes:?}");
    assert_eq!(drops(&lab, from, DropReason::PktTooBig), 0);
    lab.linger(FOR_EVER);
    assert!(faults_at_rest(&lab).is_empty());
}

/// Two routers that each take the other for the way there: the TTL ends it, and the sender is told.
#[test]
fn routes_in_a_circle_are_ended_by_the_ttl() {
    let mut lab = lab(RECORDED_LAB, 1);
    for (target, line) in [
        ("node/node1", "ip route add 198.51.100.0/24 via 192.168.1.11"),
        ("node/node2", "ip route add 198.51.100.0/24 via 192.168.1.10"),
    ] {
        assert_eq!(run(&mut lab, &format!("{target} {line}")).status, 0);
    }
    // Redirects would use up what a host may be told, as on a real kernel.
    for node in ["node1", "node2"] {
        for of in ["all", "eth0"] {
            let line = format!("node/{node} sysctl -w net.ipv4.conf.{of}.send_redirects=0");
            assert_eq!(run(&mut lab, &line).status, 0);
        }
    }
    assert_eq!(run(&mut lab, "host/ext ip route add 198.51.100.0/24 via 192.168.1.10").status, 0);
    let from = lab.trace().len();
    let ran = run(&mut lab, "host/ext ping -c1 -W2 -t 20 198.51.100.7");
    assert!(ran.output.contains("Time to live exceeded"), "{}", ran.output);
    assert_eq!(drops(&lab, from, DropReason::TtlExceeded), 1);
    lab.linger(FOR_EVER);
    assert!(faults_at_rest(&lab).is_empty());
}
