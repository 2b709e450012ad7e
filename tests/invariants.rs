//! What holds of every scenario with every seed: nothing vanishes, time runs forward, frames are true bytes, the tables
//! that the trace tells are the kernel's own, and the same log gives the same trace.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::invariants::{faults, faults_at_rest, faults_of, replay_faults};
use common::scenario;
use std::fmt::Write as _;
use std::sync::Arc;
use vethscope::base::SimTime;
use vethscope::lab::Target;
use vethscope::trace::{Disposition, EventKind};
use vethscope::wire::Payload;

/// Waiting fragments are given up after 30 seconds, which is upkeep that nobody waits for.
fn sleep_until_fragments_are_gone(lab: &mut vethscope::lab::Lab) {
    let node = lab.live().nodes.keys().next().expect("a cluster has a node").to_string();
    common::run_argv(lab, &Target::Node(node), &["sleep".to_owned(), "31".to_owned()]);
    scenario::rest(lab);
}

#[test]
fn nothing_vanishes_and_the_tables_agree() {
    let mut failures = String::new();
    let scenarios = scenario::all();
    assert!(scenarios.len() >= 15, "only {} scenarios found", scenarios.len());
    for scenario in &scenarios {
        for seed in 1..=4 {
            let mut lab = scenario.play(seed);
            sleep_until_fragments_are_gone(&mut lab);
            let found = faults_at_rest(&lab);
            if !found.is_empty() {
                let _ = writeln!(failures, "== {}, seed {seed}\n{found}", scenario.name);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn it_holds_between_any_two_steps_too() {
    for scenario in &scenario::all() {
        let mut lab = scenario.settled(5);
        for step in &scenario.steps {
            scenario.take(&mut lab, step);
            let found = faults(&lab);
            assert!(found.is_empty(), "== {} after {step:?}\n{found}", scenario.name);
        }
    }
}

#[test]
fn the_same_log_gives_the_same_trace() {
    let mut failures = String::new();
    for scenario in &scenario::all() {
        for seed in [1, 7] {
            let lab = scenario.play(seed);
            if lab.trace().hash() != scenario.play(seed).trace().hash() {
                let _ = writeln!(failures, "== {}, seed {seed}: two runs differ", scenario.name);
            }
            let found = replay_faults(&lab);
            if !found.is_empty() {
                let _ = writeln!(
                    failures,
                    "== {}, seed {seed}: the replay of its log differs\n{found}",
                    scenario.name
                );
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn another_seed_gives_another_trace() {
    for scenario in scenario::all().iter().filter(|scenario| scenario.name == "cross_node") {
        assert_ne!(scenario.play(1).trace().hash(), scenario.play(2).trace().hash());
    }
}

#[test]
fn a_run_cut_into_slices_is_the_same_run() {
    for scenario in scenario::all().iter().filter(|scenario| scenario.name == "at_once") {
        let whole = scenario.play(3);
        let mut sliced = vethscope::lab::Lab::open(&whole.log());
        while matches!(sliced.advance(7), vethscope::lab::Progress::Busy(_)) {}
        assert_eq!(sliced.trace().hash(), whole.trace().hash());
    }
}

#[test]
fn a_trace_with_a_fault_is_found_out() {
    let scenarios = scenario::all();
    let lab = scenarios.iter().find(|scenario| scenario.name == "cross_node").expect("it is there").play(1);
    let good = lab.trace();
    assert!(faults_of(good).is_empty());
    let at = |wanted: fn(&EventKind) -> bool| {
        good.events.iter().position(|event| wanted(&event.kind)).expect("such an event")
    };

    let mut late = good.clone();
    late.events[good.len() / 2].at = SimTime::ZERO;
    assert!(faults_of(&late).to_string().contains("comes before"));

    let mut dead = good.clone();
    let received = at(|kind| matches!(kind, EventKind::Received(_)));
    dead.events[received].kind = EventKind::Ended(Disposition::Consumed);
    assert!(faults_of(&dead).to_string().contains("after its end"));

    let mut risen = good.clone();
    let decapsulated = at(|kind| *kind == EventKind::Decapsulated);
    let packet = risen.events[decapsulated].packet.index();
    if let Payload::Ipv4(packet) = &mut Arc::make_mut(&mut risen.packets[packet]).payload {
        packet.ttl += 1;
    }
    assert!(faults_of(&risen).to_string().contains("TTL"), "{}", faults_of(&risen));
}
