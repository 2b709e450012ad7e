//! What several tests need: a lab with the recorded topology, and running commands in it.
#![allow(dead_code, reason = "each test target uses its own part of this")]

pub(crate) mod invariants;
pub(crate) mod mask;
pub(crate) mod probe;
pub(crate) mod scenario;
pub(crate) mod taps;

use std::sync::atomic::{AtomicUsize, Ordering};
use vethscope::base::SimTime;
use vethscope::lab::{Lab, Target};

/// The recorded topology.
pub(crate) const RECORDED_LAB: &str = include_str!("../scenarios/recorded_lab.yaml");

/// The recorded topology with the network that a probe was recorded in.
pub(crate) fn recorded_in(network: &str) -> String {
    let text = RECORDED_LAB;
    let with = |lines: &str| text.replace("  network:\n", &format!("  network:\n{lines}"));
    match network {
        "vxlan" => text.to_owned(),
        "hostgw" => with("    backend: host-gw\n"),
        "vxlan4789" => with("    vxlan: {port: 4789}\n"),
        // There each node has a default route, and protects its whole range as one block.
        "calico" => with("    cni: calico\n    backend: bgp\n    calico: {blockSize: 24}\n")
            .replace(", gateway: none", ""),
        // Pod a has servers on one address each.
        "localhost" => {
            let processes =
                r#"{"app": [{"listen": "tcp://127.0.0.1:8088"}, {"listen": "tcp://10.244.1.10:8089"}]}"#;
            text.replace("metadata: {name: a}", &with_processes("a", processes))
                .replace("  network:\n", "  network:\n    delays: {wakeup: 150us}\n")
        }
        // A sniffer at a port of its own.
        "ids" => text.replace("  external:\n", "  external:\n  - {name: ids, address: 192.168.1.99}\n"),
        // Each Pod answers on port 80, and the recorded Services are there.
        "services" => {
            text.replace(
                "{name: app, image: curlimages/curl, command: [sleep, infinity]}",
                "{name: web, image: answers}",
            )
            .replace("{name: web, image: nginx}", "{name: web, image: answers}")
            .replace("metadata: {name: a}", &answers("a"))
            .replace("metadata: {name: b}", &answers("b"))
            .replace("metadata: {name: c}", &answers("c"))
            // The recorded programs were written in Python and took their time.
            .replace("  network:\n", "  network:\n    delays: {wakeup: 150us}\n")
                + include_str!("../oracle/services.yaml")
        }
        other => panic!("unknown network {other:?}"),
    }
}

/// The metadata of a Pod that answers over HTTP, with a label of its name.
fn answers(name: &str) -> String {
    with_processes(name, ANSWERS)
}

const ANSWERS: &str = r#"{"web": [{"listen": "tcp://:80", "serve": "http", "body": "hello"}, {"listen": "udp://:8081", "serve": "say", "body": "an answer that has as many bytes as that of the recorded server"}]}"#;

fn with_processes(name: &str, processes: &str) -> String {
    format!(
        "metadata: {{name: {name}, labels: {{pod: {name}}}, annotations: {{vethscope.dev/processes: '{processes}'}}}}"
    )
}

/// A limit of simulated time that no test comes near.
pub(crate) const FOR_EVER: SimTime = SimTime(u64::MAX);

/// A lab with `text` applied and settled.
pub(crate) fn lab(text: &str, seed: u64) -> Lab {
    let mut lab = Lab::new(seed);
    apply(&mut lab, text);
    lab
}

/// Applies a text and lets the cluster settle.
pub(crate) fn apply(lab: &mut Lab, text: &str) {
    let diagnostics = lab.apply(text);
    let errors: Vec<_> =
        diagnostics.iter().filter(|found| found.severity == vethscope::base::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    lab.settle(FOR_EVER);
}

/// What a command wrote, and its status.
pub(crate) struct Ran {
    pub output: String,
    pub status: u8,
}

/// Runs a command line such as `a ping -c1 10.244.1.11` or `node/node1 ip addr` to its end.
pub(crate) fn run(lab: &mut Lab, line: &str) -> Ran {
    let mut words = line.split_whitespace().map(str::to_owned);
    let target =
        Target::parse(&words.next().expect("a command line begins with its target"), "default", None);
    let argv: Vec<String> = words.collect();
    run_argv(lab, &target, &argv)
}

/// Runs a command to its end.
pub(crate) fn run_argv(lab: &mut Lab, target: &Target, argv: &[String]) -> Ran {
    let from = lab.trace().len();
    let process = lab.start(target, argv).unwrap_or_else(|error| panic!("{argv:?}: {error}"));
    lab.finish(process, FOR_EVER);
    let output = written(lab, from, process);
    Ran { output, status: lab.status(process).expect("a finished process has a status") }
}

/// What a process wrote from an event on.
pub(crate) fn written(lab: &Lab, from: usize, process: vethscope::base::ProcessId) -> String {
    lab.trace().written(from, process)
}

/// Plays every file `tests/FOLDER/*.txt`, of which there are at least `least`, and asks that each comes out as it stands;
/// with `UPDATE_EXPECT=1` it is written anew.
pub(crate) fn play_folder(folder: &str, least: usize, play: impl Fn(&str) -> String) {
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(format!("tests/{folder}")).expect("the files are there").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        count += 1;
        let file = std::fs::read_to_string(&path).expect("a file can be read");
        let played = play(&file);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &played).expect("a file can be written");
        } else if played != file {
            failures.push(format!("== {}\n{played}", path.display()));
        }
    }
    assert!(count >= least, "only {count} files found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Works on all items, on every processor at once; the results in the items' order. A panic of one is a panic of the whole.
pub(crate) fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, work) = (AtomicUsize::new(0), &work);
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let worker = || {
            let places = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            places.map_while(|at| Some((at, work(items.get(at)?)))).collect::<Vec<_>>()
        };
        let n_workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers: Vec<_> = (0..n_workers).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("every item is well")).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The lines that differ, each of the real one's above ours.
pub(crate) fn differing(want: &str, got: &str) -> String {
    let (mut want, mut got) = (want.lines(), got.lines());
    let mut out = String::new();
    loop {
        match (want.next(), got.next()) {
            (None, None) => return out,
            (want, got) if want == got => {}
            (want, got) => {
                out += &["  real: ", want.unwrap_or("-"), "\n  ours: ", got.unwrap_or("-"), "\n"].concat();
            }
        }
    }
}
