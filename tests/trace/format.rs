//! The trace as text and as JSON. `UPDATE_GOLDEN=1 cargo test` writes the expectations anew.

use crate::sample::sample;
use std::path::Path;
use vethscope::base::ProcessId;
use vethscope::trace::format::{Selection, json, text};

fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs");
}

#[test]
fn the_trace_as_text() {
    let (trace, start) = sample();
    let selection = Selection { range: start..trace.len(), process: None };
    check("ping.txt", &text(&trace, selection));
}

#[test]
fn the_trace_as_json() {
    let (trace, start) = sample();
    let selection = Selection { range: start..trace.len(), process: None };
    check("ping.json", &(serde_json::to_string_pretty(&json(&trace, selection)).unwrap() + "\n"));
}

#[test]
fn only_what_a_process_caused_is_selected() {
    let (trace, start) = sample();
    let of = |process| Selection { range: 0..trace.len(), process: Some(ProcessId(process)) };
    assert_eq!(of(1).events(&trace).count(), 0);
    let first = of(0).events(&trace).next().unwrap().0;
    assert_eq!(first.index(), start);
    let journeys = json(&trace, of(0)).journeys;
    assert_eq!(journeys.len(), 2);
    assert_eq!(journeys[1].parent, Some(0));
}
