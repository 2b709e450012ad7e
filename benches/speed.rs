//! Speed of one core, natively: wire hops with the trace recorded, an edit until its picture, the bare event heap.
#![cfg_attr(target_arch = "wasm32", no_main)]
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::stream::{BYTES, CASES, Case, DATAGRAMS, World};
use common::{DATA, LESSON, PINGS};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use std::sync::Arc;
use vethscope::base::{Severity, SimTime};
use vethscope::lab::Lab;
use vethscope::lab::matrix::{Port, Protocol, matrix as ask};
use vethscope::scene::{LayoutOptions, Scene, layout};

fn main() {
    divan::main();
}

/// Items are wire hops.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn warm_ping_over_vxlan(bencher: Bencher<'_, '_>) {
    let hops = {
        let mut lab = common::warm();
        let from = lab.trace().len();
        common::ping(&mut lab, PINGS, DATA);
        common::hops(&lab, from)
    };
    bencher.with_inputs(common::warm).counter(ItemsCount::new(hops)).bench_local_refs(|lab| {
        common::ping(lab, PINGS, DATA);
    });
}

/// Items are wire hops.
#[divan::bench(args = CASES, sample_count = 5, sample_size = 1)]
fn stream_over_vxlan(bencher: Bencher<'_, '_>, case: Case) {
    let hops = World::hops_of_stream(case);
    let warm = || World::warm(case);
    bencher
        .with_inputs(warm)
        .counter(ItemsCount::new(hops))
        .bench_local_refs(|world| world.stream(DATAGRAMS, BYTES));
}

/// Items are events taken from the heap and put back.
#[divan::bench(args = [16, 1_000, 100_000], sample_count = 10, sample_size = 1)]
fn bare_event_heap(bencher: Bencher<'_, '_>, pending: u64) {
    const ROUNDS: u64 = 2_000_000;
    bencher.counter(ItemsCount::new(ROUNDS)).bench_local(|| common::heap(black_box(pending), ROUNDS));
}

/// From the keystroke to the first picture of what it changed: the text is read, the cluster told, the tables folded,
/// the stage laid out. The Pods come up over simulated time, which the next bench measures.
#[divan::bench(args = [10, 1_000])]
fn edit_to_first_frame(bencher: Bencher<'_, '_>, pods: usize) {
    let (text, edited) = common::texts::edited(pods);
    bencher.with_inputs(|| common::settled(&text)).bench_local_refs(|lab| {
        lab.apply(&edited);
        lab.advance(16);
        picture(lab)
    });
}

/// The same until the cluster has settled with the Pods of the new text.
#[divan::bench(args = [10, 1_000])]
fn edit_to_settled_frame(bencher: Bencher<'_, '_>, pods: usize) {
    let (text, edited) = common::texts::edited(pods);
    bencher.with_inputs(|| common::settled(&text)).bench_local_refs(|lab| {
        lab.apply(&edited);
        lab.settle(SimTime(u64::MAX));
        picture(lab)
    });
}

/// Reading and validating a text of Pods, each with two containers, ports, variables, probes and resources.
#[divan::bench(args = [100, 1_000])]
fn validate(bencher: Bencher<'_, '_>, pods: usize) {
    let text = common::texts::pods(pods);
    bencher.counter(ItemsCount::new(pods)).bench_local(|| {
        let parsed = vethscope::manifest::parse(black_box(&text));
        assert_eq!(parsed.objects.len(), pods);
        parsed
    });
}

/// A run of the command line: the lesson's cluster from nothing until a ping is answered.
#[divan::bench]
fn lesson_from_nothing() -> Lab {
    let mut lab = common::settled(LESSON);
    common::ping(&mut lab, 1, DATA);
    lab
}

/// Items are Services of 10 endpoints each: from their being applied until kube-proxy's rules stand in the node's netfilter.
#[divan::bench(args = [10, 1_000], sample_count = 10, sample_size = 1)]
fn kube_proxy_rules(bencher: Bencher<'_, '_>, count: usize) {
    let text = common::services(count, 10);
    let applied = || {
        let mut lab = Lab::new(1);
        let found = lab.apply(&text);
        assert!(found.iter().all(|found| found.severity != Severity::Error), "{found:?}");
        lab
    };
    bencher.counter(ItemsCount::new(count)).with_inputs(applied).bench_local_refs(|lab| {
        lab.settle(SimTime(u64::MAX));
        assert!(lab.live().netns.values().any(|netns| netns.netfilter.rules.len() > count * 30));
    });
}

/// Who reaches whom on one port: the text is read, the cluster comes up under Calico with a policy in each namespace,
/// and a packet goes from every Pod to every Pod. Items are probes.
#[divan::bench(args = [10, 100], sample_count = 5, sample_size = 1)]
fn matrix(bencher: Bencher<'_, '_>, pods: usize) {
    let text = common::texts::guarded(pods);
    let port = Port { protocol: Protocol::Tcp, number: 80 };
    bencher
        .counter(ItemsCount::new(pods * pods))
        .bench_local(|| ask(black_box(&text), &[port], 1).unwrap_or_else(|wrong| panic!("{wrong:?}")));
}

fn picture(lab: &mut Lab) -> Arc<Scene> {
    Arc::new(layout(lab.live(), &LayoutOptions::default()))
}
