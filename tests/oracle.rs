//! The simulator against a real Linux kernel: every tap of the recorded probes, in order, with addresses, TTLs,
//! lengths, flags, ICMP types and VXLAN headers.
//!
//! A file of `tests/oracle/` holds what to do and the recorded hops, one a line: tap, direction, packet. Host ends of
//! veth pairs are called `veth`. What cannot agree by nature is left out of the notation, here and nowhere else: times,
//! random numbers (MAC addresses, IP and ICMP identifiers but 0, ephemeral and outer source ports), ICMP data, what
//! programs say over TCP (`data` stands for it, and `-` for the length that follows from it).

mod common;

use common::probe::{play, read};
use common::taps::differences;
use std::fmt::Write as _;
use vethscope::lab::Lab;
use vethscope::trace::{EventKind, Inventory, format};
use vethscope::wire::Body;

/// Probes that do not agree yet, each with the reason.
const DIFFER: [(&str, &str); 1] = [(
    "tcp_nobody",
    "the timers of ARP and TCP fall into the same tick after three seconds, and in the kernel the one set last goes off \
     first (`hlist_add_head` in `kernel/time/timer.c`): there no fourth SYN goes out",
)];

#[test]
fn every_tap_of_every_probe_agrees_with_the_recorded_kernel() {
    let mut failures = String::new();
    let mut count = 0;
    let mut files: Vec<_> = std::fs::read_dir("tests/oracle")
        .expect("the probes are there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "txt")) {
        let text = std::fs::read_to_string(path).expect("a probe can be read");
        let name = path.file_stem().expect("a file has a name").to_string_lossy();
        let probe = read(&text);
        for seed in [1, 2, 3] {
            let (lab, from) = play(&probe, seed);
            let found = differences(&probe, &lab, from);
            if DIFFER.iter().any(|(differs, _)| *differs == name) {
                assert!(!found.is_empty(), "{name} agrees now: take it off the list");
                continue;
            }
            if !found.is_empty() {
                let journey = format::text(lab.trace(), from..lab.trace().len());
                let _ = writeln!(failures, "== {name}, seed {seed}\n{found}\n{journey}");
            }
        }
        count += 1;
    }
    assert!(count >= 17, "only {count} probes found");
    assert!(failures.is_empty(), "{failures}");
}

/// Source ports of the SYN segments that left by an interface, in order.
fn ports_of_syns(lab: &Lab, from: usize, tap: &str) -> Vec<u16> {
    let trace = lab.trace();
    let inventory = Inventory::at(trace, from);
    let (netns, link) = tap.rsplit_once('/').expect("a namespace and an interface");
    let state = inventory.netns_named(netns).expect("the namespace is there");
    let ifindex = state.link_named(link).expect("the interface is there").ifindex;
    let sent = trace.events.since(from).filter(|event| {
        (event.netns, event.ifindex, event.kind) == (state.row.netns, ifindex, EventKind::Transmitted)
    });
    let port = |frame: &vethscope::wire::Frame| {
        let Body::Tcp(tcp) = &*frame.ipv4()?.body else { return None };
        (tcp.flags.to_string() == "S").then_some(tcp.src_port)
    };
    sent.filter_map(|event| port(trace.frame_of(event)?)).collect()
}

#[test]
fn masquerading_keeps_ports_where_the_recorded_kernel_did() {
    let text = std::fs::read_to_string("tests/oracle/egress_ports.txt").expect("the probe is there");
    let (lab, from) = play(&read(&text), 1);
    let outside = ports_of_syns(&lab, from, "node1/eth0");
    let inside = ports_of_syns(&lab, from, "default/a/eth0");
    let kept: Vec<bool> = inside.iter().zip(&outside).map(|(inside, outside)| inside == outside).collect();
    assert_eq!(kept, [false, false, true, true], "{inside:?} {outside:?}");

    let text = std::fs::read_to_string("tests/oracle/egress_same_port.txt").expect("the probe is there");
    let (lab, from) = play(&read(&text), 1);
    let outside = ports_of_syns(&lab, from, "node1/eth0");
    assert!(outside.len() == 2 && outside[0] == 40_000 && outside[1] != 40_000, "{outside:?}");
}
