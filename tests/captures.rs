//! Every scenario as a capture file, read by tshark: no malformed frame, no wrong checksum, VXLAN read down to what it
//! carries.
#![cfg(not(target_arch = "wasm32"))]

mod common;
#[path = "common/tshark.rs"]
mod tshark;

use common::scenario::{self, Scenario, Step};
use std::path::PathBuf;
use vethscope::lab::Lab;
use vethscope::trace::{EventKind, pcapng};
use vethscope::wire::{Body, UdpPayload};

fn capture(name: &str, lab: &Lab, from: usize) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pcapng"));
    std::fs::write(&path, pcapng(lab.trace(), from..lab.trace().len())).expect("a capture can be written");
    path
}

/// How many frames the taps saw from event `from` on, and in how many of them a tunnel can be read.
fn seen(lab: &Lab, from: usize) -> (usize, usize) {
    let trace = lab.trace();
    let taps = trace
        .events
        .since(from)
        .filter(|event| matches!(event.kind, EventKind::Transmitted | EventKind::Received(_)))
        .map(|event| trace.frame_of(event).expect("a tap has a frame"));
    let in_tunnel = |frame: &vethscope::wire::Frame| {
        let body = frame.ipv4().map(|packet| &*packet.body);
        matches!(body, Some(Body::Udp(udp)) if matches!(udp.payload, UdpPayload::Vxlan(_)))
    };
    taps.fold((0, 0), |(all, tunnelled), frame| (all + 1, tunnelled + usize::from(in_tunnel(frame))))
}

/// Exports and reads a run; returns how many tunnelled frames tshark found.
fn check(name: &str, lab: &Lab, from: usize) -> usize {
    let (all, tunnelled) = seen(lab, from);
    let frames = tshark::assert_well_formed(&capture(name, lab, from));
    assert_eq!(frames.len(), all, "{name}: every tapped frame is in the file");
    // An ICMP error may quote a packet of a tunnel.
    let is_tunnel = |protocols: &str| {
        protocols.split_once("udp:vxlan:eth").is_some_and(|(outside, _)| !outside.contains("icmp"))
    };
    let read = frames.iter().filter(|frame| is_tunnel(&frame.protocols)).count();
    assert_eq!(read, tunnelled, "{name}: every tunnel is read down to the frame inside");
    assert!(frames.iter().all(|frame| frame.vnis.is_empty() || frame.protocols.contains(":vxlan:")));
    read
}

/// A scenario cut where the text changes: a machine built anew has its old address and another MAC address, which a
/// reader of one long capture would call a duplicate.
fn parts(scenario: &Scenario) -> Vec<(Lab, usize)> {
    let changes = |step: &Step| matches!(step, Step::Replace(..) | Step::Cut(_) | Step::Without(_));
    let mut parts = Vec::new();
    let mut begins = vec![0];
    begins.extend((0..scenario.steps.len()).filter(|at| changes(&scenario.steps[*at])));
    for (part, &begin) in begins.iter().enumerate() {
        let mut lab = scenario.settled(1);
        for step in &scenario.steps[..begin] {
            scenario.take(&mut lab, step);
        }
        let from = if part == 0 { 0 } else { lab.trace().len() };
        let end = begins.get(part + 1).copied().unwrap_or(scenario.steps.len());
        for step in &scenario.steps[begin..end] {
            scenario.take(&mut lab, step);
        }
        parts.push((lab, from));
    }
    parts
}

#[test]
fn every_scenario_is_a_clean_capture() {
    let scenarios = scenario::all();
    let tunnelled = common::side_by_side(&scenarios, |scenario| {
        let parts = parts(scenario);
        let checked = parts
            .iter()
            .enumerate()
            .map(|(part, (lab, from))| check(&format!("{}-{part}", scenario.name), lab, *from));
        checked.sum::<usize>()
    });
    let mut by_port = [0, 0];
    for (scenario, tunnelled) in scenarios.iter().zip(tunnelled) {
        by_port[usize::from(scenario.text.contains("port: 4789"))] += tunnelled;
    }
    assert!(by_port.iter().all(|tunnelled| *tunnelled > 0), "VXLAN on 8472 and on 4789: {by_port:?} frames");
}

#[test]
fn every_recorded_probe_is_a_clean_capture() {
    let entries = std::fs::read_dir("tests/oracle").expect("the probes are there");
    let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let checked = common::side_by_side(&paths, |path| {
        if path.extension().is_none_or(|ext| ext != "txt") {
            return false;
        }
        let text = std::fs::read_to_string(path).expect("a probe can be read");
        // With Calico every interface of a node speaks for its one address with another MAC address, as in captures of
        // the real thing; a reader calls that a duplicate.
        if text.contains("\nnetwork: calico\n") {
            return false;
        }
        let name = format!("probe-{}", path.file_stem().expect("a name").to_string_lossy());
        check(&name, &common::probe::play(&common::probe::read(&text), 1).0, 0);
        true
    });
    let count = checked.into_iter().filter(|checked| *checked).count();
    assert!(count >= 17, "only {count} probes found");
}
