//! Names: lookups a second from the resolver's first question to the program's output, the zone of many Services with its
//! memory, and an endpoint's change until CoreDNS answers otherwise. `--services N` for another number than 5,000.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints and looks at the clock")]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::time::{Duration, Instant};
use vethscope::base::SimTime;
use vethscope::base::dns::{Question, Type};
use vethscope::lab::Lab;

/// Lookups of one measurement, and how often the shorter measurements are made; the median counts.
const LOOKUPS: u32 = 500;
const ROUNDS: usize = 5;
/// Endpoints of each Service.
const ENDPOINTS: usize = 10;

fn main() {
    let count = std::env::args().skip_while(|word| word != "--services").nth(1);
    let count = count.map_or(5_000, |count| count.parse().expect("--services N"));
    println!("{:<58} {:>12}", "lookups of a Service's name, a second", lookups("web"));
    println!(
        "{:<58} {:>12}",
        "lookups of a name outside that CoreDNS has cached, a second",
        lookups("www.example.com.")
    );
    zone(count);
}

/// Whole lookups a second, each of a process of its own, with the trace recorded.
fn lookups(name: &str) -> u32 {
    let mut lab = common::names::asked(name);
    let begun = Instant::now();
    (0..LOOKUPS).for_each(|_| common::names::look_up(&mut lab, name));
    per_second(LOOKUPS, begun.elapsed())
}

fn per_second(count: u32, took: Duration) -> u32 {
    (u64::from(count) * 1_000_000 / (took.as_micros() as u64).max(1)) as u32
}

/// The zone as CoreDNS builds it from what it watches, with one answer; and the same after an endpoint has changed.
fn zone(count: usize) {
    let text = common::services(count, ENDPOINTS);
    let text = text.replace("clusterIP: 10.97.0.1,", "clusterIP: None,");
    let mut lab = common::settled(&text);
    let settled = peak_megabytes();
    let question = Question { name: "s0.default.svc.cluster.local.".to_owned(), kind: Type::A };
    let answer = |lab: &mut Lab| lab.dns(&question, None).expect("CoreDNS answers").answer;
    let took = median((0..ROUNDS).map(|_| timed(|| assert_eq!(answer(&mut lab).len(), ENDPOINTS))).collect());
    println!(
        "{:<58} {:>9} ms",
        format!("the zone of {count} Services with {ENDPOINTS} endpoints each, one answer"),
        ms(took)
    );
    println!(
        "{:<58} {:>9} MB",
        "  memory with the settled cluster, and with the zone",
        format!("{settled}, {}", peak_megabytes())
    );
    let changed = text.replacen("10.244.0.1]", "10.244.0.251]", 1);
    let took = timed(|| {
        lab.apply(&changed);
        lab.settle(SimTime(u64::MAX));
        assert!(answer(&mut lab).iter().any(|record| record.ends_with("10.244.0.251")));
    });
    println!(
        "{:<58} {:>9} ms",
        "an edited endpoint until the new answer, rules of kube-proxy included",
        ms(took)
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64() * 1e3)
}

/// Peak resident memory as Linux counts it.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    let kilobytes: u64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
    kilobytes / 1024
}
