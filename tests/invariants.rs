//! What holds of every scenario with every seed: nothing vanishes, time runs forward, frames are true bytes, the tables
//! that the trace tells are the kernel's own, and the same log gives the same trace.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::invariants::{faults, faults_at_rest, replay_faults};
use common::scenario;
use std::fmt::Write as _;
use vethscope::lab::Target;

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
