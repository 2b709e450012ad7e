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
use vethscope::trace::format;

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
