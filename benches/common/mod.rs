//! What is measured, the same natively and in wasm.
#![allow(dead_code, reason = "each bench uses its own part of this")]

pub(crate) mod names;
pub(crate) mod stream;
pub(crate) mod texts;

/// As the program itself has it.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use vethscope::base::{NetnsId, SimTime};
use vethscope::kernel::{Kind, Netns};
use vethscope::lab::{Lab, Target};
use vethscope::trace::{EventKind, Trace};

/// The lesson's cluster.
pub(crate) const LESSON: &str = include_str!("../../tests/scenarios/recorded_lab.yaml");

/// Pings in one measurement: long enough to be steady, short enough for the trace's limit.
pub(crate) const PINGS: usize = 5_000;
/// Data bytes of a ping as people send it.
pub(crate) const DATA: usize = 56;

const FOR_EVER: SimTime = SimTime(u64::MAX);

/// The lesson's cluster, up, with every table filled that a ping from Pod a to Pod b needs.
pub(crate) fn warm() -> Lab {
    let mut lab = settled(LESSON);
    ping(&mut lab, 3, DATA);
    lab
}

/// A lab with this text applied and settled.
pub(crate) fn settled(text: &str) -> Lab {
    let mut lab = Lab::new(1);
    lab.apply(text);
    lab.settle(FOR_EVER);
    lab
}

/// Has Pod a send so many pings to Pod b, with everything recorded in the trace.
pub(crate) fn ping(lab: &mut Lab, count: usize, size: usize) {
    let line = format!("ping -q -c {count} -i 0.01 -s {size} 10.244.2.10");
    let target = Target::parse("a", "default", None);
    let argv = line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let process = lab.start(&target, &argv).expect("Pod a runs");
    lab.finish(process, FOR_EVER);
    assert_eq!(lab.status(process), Some(0), "every ping is answered");
}

/// Wire hops since event `from`: what veths and network cards handed to their wire. The tunnel's and the bridges' own
/// transmissions are not counted.
pub(crate) fn hops(lab: &Lab, from: usize) -> usize {
    counted(lab.trace(), from, |netns| lab.netns(netns))
}

/// The same of any world, whose namespaces `netns` gives.
pub(crate) fn counted<'a>(trace: &Trace, from: usize, netns: impl Fn(NetnsId) -> Option<&'a Netns>) -> usize {
    let is_wire = |event: &&vethscope::trace::Event| {
        event.kind == EventKind::Transmitted
            && netns(event.netns)
                .and_then(|netns| netns.link(event.ifindex))
                .is_some_and(|link| matches!(link.kind, Kind::Veth(..) | Kind::Physical(_)))
    };
    trace.events.since(from).filter(is_wire).count()
}

/// A cluster of `nodes` nodes with `pods` Pods spread over them by the scheduler.
pub(crate) fn cluster(nodes: usize, pods: usize) -> String {
    let mut out = String::new();
    for pod in 0..pods {
        let _ = writeln!(
            out,
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{pod}}}\nspec: {{containers: [{{name: app, image: nginx}}]}}\n---"
        );
    }
    out += "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  \
            network: {podCIDR: 10.0.0.0/12, serviceCIDR: 172.30.0.0/16}\n  external: []\n  nodes:\n";
    for node in 0..nodes {
        let (high, low) = (node / 250, node % 250 + 1);
        let _ = writeln!(
            out,
            "  - {{name: n{node}, address: 192.168.{high}.{low}/16, podCIDR: 10.{high}.{low}.0/24, gateway: none}}"
        );
    }
    out
}

/// A node, and so many Services with so many endpoints each.
pub(crate) fn services(count: usize, endpoints: usize) -> String {
    let mut out = String::from(
        "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  network: {serviceCIDR: 10.96.0.0/12}\n  nodes: [{name: n1}]\n",
    );
    for service in 0..count {
        let (high, low) = (service / 250, service % 250 + 1);
        let list = (0..endpoints)
            .map(|at| format!("{{addresses: [10.244.{at}.{low}], nodeName: n1}}"))
            .collect::<Vec<_>>()
            .join(", ");
        let _ = writeln!(
            out,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{service}}}\n\
             spec: {{clusterIP: 10.97.{high}.{low}, ports: [{{port: 80}}]}}\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: s{service}-x, labels: {{kubernetes.io/service-name: s{service}}}}}\n\
             addressType: IPv4\nendpoints: [{list}]\nports: [{{port: 80}}]"
        );
    }
    out
}

/// The bare event heap, for scale: `rounds` times the next of `pending` entries is taken and put back later.
pub(crate) fn heap(pending: u64, rounds: u64) -> u64 {
    let mut heap: BinaryHeap<Reverse<(u64, u64)>> =
        (0..pending).map(|at| Reverse((at * 7 % pending, at))).collect();
    let mut seq = pending;
    let mut now = 0;
    for _ in 0..rounds {
        let Some(Reverse((at, _))) = heap.pop() else { break };
        now = at;
        seq += 1;
        heap.push(Reverse((at + 1 + seq * 2_654_435_761 % pending.max(1), seq)));
    }
    now
}
