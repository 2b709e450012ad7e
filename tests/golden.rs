//! Golden traces: the printed trace of some scenarios, from the first command on, as it was when somebody last read
//! and approved it. `UPDATE_GOLDEN=1 cargo test --test golden` writes them anew, to be read again before committing.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::scenario;
use std::fmt::Write as _;
use vethscope::trace::format;

const GOLDEN: [&str; 6] = ["same_node", "cross_node", "no_route", "fragmentation", "ttl", "host_gw"];

#[test]
fn printed_traces_are_as_approved() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let scenarios = scenario::all();
    let mut failures = String::new();
    for name in GOLDEN {
        let scenario =
            scenarios.iter().find(|scenario| scenario.name == name).expect("the scenario is there");
        let from = scenario.settled(1).trace().len();
        let lab = scenario.play(1);
        let text = format::text(lab.trace(), from..lab.trace().len());
        let path = format!("tests/golden/{name}.txt");
        if update {
            std::fs::write(&path, &text).expect("a golden file can be written");
        }
        let approved = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some(at) = text.lines().zip(approved.lines()).position(|(now, then)| now != then) {
            let line = |text: &str| text.lines().nth(at).unwrap_or_default().to_owned();
            let _ = writeln!(
                failures,
                "{path}:{}:\n  approved: {}\n  now:      {}",
                at + 1,
                line(&approved),
                line(&text)
            );
        } else if text != approved {
            let _ = writeln!(
                failures,
                "{path}: {} lines, approved were {}",
                text.lines().count(),
                approved.lines().count()
            );
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
