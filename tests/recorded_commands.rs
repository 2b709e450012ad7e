//! The tools in the simulated cluster print what the real ones printed in the recorded one, line by line, wherever the
//! state determines it.
//!
//! What a real system draws or counts is made equal on both sides, here and nowhere else: MAC addresses, names of
//! veths, interface numbers and `link-netnsid`s, states and ages of neighbours, bridge timers, round-trip times.

mod common;

use std::fmt::Write as _;

/// Recordings that show what happened before rather than what is set up: counters, and neighbours or FDB entries of
/// connections that this test does not repeat. `tests/commands.rs` holds their layout byte for byte.
const DEPENDS_ON_TRAFFIC: [&str; 35] = [
    "arp-a-pod",
    "arp-n-incomplete-pod",
    "arp-n-node",
    "arp-n-pod",
    "bridge-fdb-br-cni0-node",
    "bridge-j-fdb-node",
    "bridge-s-fdb-node",
    "busybox-arp-n-incomplete-pod",
    "busybox-ifconfig-pod",
    "conntrack-C-node",
    "conntrack-L-dstnat-node",
    "conntrack-L-icmp-node",
    "conntrack-L-n-tcp-nat-node",
    "conntrack-L-node",
    "conntrack-L-o-extended-node",
    "ifconfig-node",
    "ifconfig-pod",
    "ip-j-neigh-failed-pod",
    "ip-j-neigh-node",
    "ip-j-s-link-pod",
    "ip-neigh-failed-pod",
    "ip-neigh-node",
    "ip-neigh-pod",
    "ip-s-link-eth0-pod",
    "ip-s-neigh-node",
    "ip-s-neigh-pod",
    "ss-Htan-pod",
    "ss-t-pod",
    "ss-tan-pipe-pod",
    "ss-tan-pod",
    "ss-tan-synsent-pod",
    "ss-tan-tty200-pod",
    "ss-tan-tty80-pod",
    "ss-tlnp-80-pod",
    "ss-uan-pod",
];

/// One more shows counters under another name.
const COUNTERS: &str = "ip-s-s-link-eth0-node";

fn is_mac(word: &str) -> bool {
    // The number of a bridge is printed without leading zeros (`ether_ntoa`).
    word.split(':').count() == 6
        && word.split(':').all(|byte| matches!(byte.len(), 1 | 2) && u8::from_str_radix(byte, 16).is_ok())
        && word != "ff:ff:ff:ff:ff:ff"
        && word != "00:00:00:00:00:00"
}

/// The address in a bridge's id, which `ip` prints without leading zeros, as `ether_ntoa(3)` does.
fn is_bridge_address(word: &str) -> bool {
    let bytes: Vec<&str> = word.split(':').collect();
    bytes.len() == 6 && bytes.iter().all(|byte| u8::from_str_radix(byte, 16).is_ok())
}

/// Splits a text into runs of characters that make up words, and the rest between them.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.chars().chain([' ']) {
        if letter.is_ascii_alphanumeric() || ".:@_-".contains(letter) {
            word.push(letter);
            continue;
        }
        out.push_str(&mask_word(&word));
        word.clear();
        out.push(letter);
    }
    out.pop();
    mask_after(&mask_after(&mask_after(&out, "link-netnsid "), "gc_timer "), "\"link_netnsid\":")
}

fn mask_word(word: &str) -> String {
    if is_mac(word) {
        return "MAC".to_owned();
    }
    if word.strip_prefix("8000.").is_some_and(is_bridge_address) {
        return "8000.MAC".to_owned();
    }
    let (name, peer) = word.split_once('@').unwrap_or((word, ""));
    let colon = if word.ends_with(':') { ":" } else { "" };
    let name = if name.starts_with("veth") && name.len() > 8 { "vethN" } else { name.trim_end_matches(':') };
    match peer {
        "" => format!("{name}{colon}"),
        peer if peer.starts_with("if") => format!("{name}@ifN{colon}"),
        peer => format!("{name}@{peer}"),
    }
}

fn mask_after(text: &str, marker: &str) -> String {
    let mut parts = text.split(marker);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        out += marker;
        out += "N";
        out += part.trim_start().trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    }
    out
}

/// Interface numbers at the start of a line and in JSON.
fn without_numbers(text: &str) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => format!("N: {rest}"),
        _ => line.to_owned(),
    };
    let text = text.lines().map(line).collect::<Vec<_>>().join("\n");
    let text = mask_after(&text, "peer_ifindex: ");
    mask_after(&mask_after(&text, "\"ifindex\":"), "\"link_index\":")
}

#[test]
fn commands_in_the_simulated_cluster_print_what_the_real_ones_printed() {
    let mut failures = String::new();
    let mut count = 0;
    let mut lab = common::lab(common::RECORDED_LAB, 1);
    let mut files: Vec<_> = std::fs::read_dir("tests/commands")
        .expect("the recordings are there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for path in files {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        if DEPENDS_ON_TRAFFIC.contains(&name.as_str()) || name == COUNTERS {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a recording can be read");
        let (head, rest) = text.split_once('\n').expect("a recording begins with its command");
        let (label, command) =
            head.trim_start_matches("$ [").split_once("] ").expect("a label and a command");
        let (expected, status) = rest.rsplit_once("rc=").expect("a recording ends with its status");
        let target = if label == "pod" || label == "podA" { "a" } else { "node/node1" };
        let ran = common::run(&mut lab, &format!("{target} {command}"));
        let (want, got) = (without_numbers(&masked(expected)), without_numbers(&masked(&ran.output)));
        count += 1;
        if want.trim_end() != got.trim_end() || status.trim() != ran.status.to_string() {
            let _ = writeln!(
                failures,
                "== {name}: {command} (status {} for {})\n{want}\n--- simulated\n{got}",
                ran.status,
                status.trim()
            );
        }
    }
    assert!(count >= 50, "only {count} recordings were compared");
    assert!(failures.is_empty(), "{failures}");
}
