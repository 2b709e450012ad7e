//! Set-up time and peak memory of growing clusters. Each size runs in a process of its own, so that one's memory is not
//! another's.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints and looks at the clock")]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::process::Command;
use std::time::Instant;
use vethscope::trace::PodPhase;

const SIZES: [(usize, usize); 3] = [(2, 10), (100, 3_000), (1_000, 30_000)];

fn main() {
    let size = std::env::args().skip_while(|word| word != "--size").nth(1);
    match size.as_deref().and_then(|size| size.split_once('x')) {
        Some((nodes, pods)) => measure(number(nodes), number(pods)),
        None => all(),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("--size NODESxPODS")
}

/// Runs every size and prints how time and memory grow with the number of Pods.
fn all() {
    println!(
        "{:>6} {:>7} {:>10} {:>10} {:>9} {:>10} {:>9}",
        "nodes", "Pods", "events", "set-up ms", "grown by", "peak MB", "grown by"
    );
    let program = std::env::current_exe().expect("a program knows its path");
    let mut last: Option<(usize, f64, f64)> = None;
    for (nodes, pods) in SIZES {
        let output = Command::new(&program)
            .args(["--size", &format!("{nodes}x{pods}")])
            .output()
            .expect("the bench runs itself");
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let &[events, ms, megabytes] = figures.as_slice() else {
            panic!("{nodes} nodes, {pods} Pods: {text}{}", String::from_utf8_lossy(&output.stderr));
        };
        let growth = |now: f64, before: Option<f64>| {
            before.map_or(String::new(), |before| format!("{:.0} x", now / before))
        };
        println!(
            "{nodes:>6} {pods:>7} {events:>10} {ms:>10.1} {:>9} {megabytes:>10.1} {:>9}",
            growth(ms, last.map(|last| last.1)),
            growth(megabytes, last.map(|last| last.2))
        );
        if events >= vethscope::sim::EVENTS_MAX as f64 {
            println!("{:>14} stopped at the limit of the trace, before the cluster had settled", "");
        }
        last = Some((pods, ms, megabytes));
    }
}

/// Sets up one cluster and prints events, milliseconds and megabytes.
fn measure(nodes: usize, pods: usize) {
    let text = common::cluster(nodes, pods);
    let begun = Instant::now();
    let mut lab = common::settled(&text);
    let took = begun.elapsed();
    let stopped = lab.trace().len() >= vethscope::sim::EVENTS_MAX;
    let running = lab.live().pods.values().filter(|pod| pod.phase == PodPhase::Running).count();
    assert!(running == pods || stopped, "{running} of {pods} Pods are up");
    println!("{} {} {}", lab.trace().len(), took.as_secs_f64() * 1e3, peak_megabytes());
}

/// Peak resident memory as Linux counts it.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    let kilobytes: f64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    kilobytes / 1024.0
}
