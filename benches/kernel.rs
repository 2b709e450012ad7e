//! Wire hops a CPU-second beside the real kernel's, in one run and on the same topology: `make bench` runs it with the
//! command that measures the same in wasm in `VETHSCOPE_BENCH_WASM`.
//!
//! The real cluster is the one of `make oracle` (`tests/live/kernel.rs`): namespaces, veths, bridges, VXLAN and rules as the
//! simulated cluster has them, offloads off. Both sides are measured in CPU time, so that what else the machine does counts
//! little. Of the kernel that is the time of the two programs and of the thread that takes over its receive work.
#![allow(clippy::print_stdout, reason = "a bench prints")]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![cfg(not(target_arch = "wasm32"))]

mod common;
#[allow(dead_code, reason = "the bench uses its own part of this")]
#[path = "../tests/live/kernel.rs"]
mod kernel;
#[allow(dead_code, reason = "the bench uses its own part of this")]
#[path = "../tests/live/simulated.rs"]
mod simulated;

use common::stream::{BYTES, CASES, Case, DATAGRAM, DATAGRAMS, TCP_PORT, UDP_PORT, World};
use kernel::{Machine, Obstacle};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;
use vethscope::app::Transport;
use vethscope::base::NetnsId;
use vethscope::trace::{Inventory, LinkKind};

/// Rounds of each side, taken in turns; the median counts.
const ROUNDS: usize = 5;
/// The real kernel is given so many times as much, for its clock of CPU time is coarser.
const MORE: usize = 5;
/// What the command in `VETHSCOPE_BENCH_WASM` puts before the name of a case.
const WASM_PREFIX: &str = "stream: ";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--source", transport, to] => source(transport, to),
        ["--sink", transport, port] => sink(transport, port),
        _ => compare(),
    }
}

/// Nanoseconds of CPU time of a process, `self` for this one.
fn cpu_ns(process: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The near program on the real kernel. Prints its CPU time.
fn source(transport: &str, to: &str) {
    let to: SocketAddr = to.parse().expect("an address with a port");
    if transport == "udp" {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.connect(to).expect("a route");
        for _ in 0..DATAGRAMS * MORE {
            // An error that an earlier datagram caused is told once.
            let _ = socket.send(&[b'x'; DATAGRAM]);
        }
    } else {
        let mut stream = TcpStream::connect(to).expect("a connection");
        let piece = vec![b'x'; 65_536];
        let mut left = BYTES * MORE;
        while left > 0 {
            let most = left.min(piece.len());
            stream.write_all(&piece[..most]).expect("the far end takes it");
            left -= most;
        }
    }
    println!("{}", cpu_ns("self"));
}

/// The far program on the real kernel. Prints its CPU time once nothing has come for a while, or at the end.
fn sink(transport: &str, port: &str) {
    let mut buffer = vec![0; 65_536];
    if transport == "udp" {
        let socket = UdpSocket::bind(format!("0.0.0.0:{port}")).expect("a free port");
        socket.recv(&mut buffer).expect("a first datagram");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit");
        while socket.recv(&mut buffer).is_ok() {}
    } else {
        let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("a free port");
        let (mut stream, _) = listener.accept().expect("a connection");
        while stream.read(&mut buffer).is_ok_and(|taken| taken > 0) {}
    }
    println!("{}", cpu_ns("self"));
}

/// Hops and CPU nanoseconds of a round.
struct Round {
    hops: f64,
    ns: f64,
}

impl Round {
    /// Thousands of hops a CPU-second.
    fn speed(&self) -> f64 {
        self.hops / self.ns * 1e6
    }
}

fn median(mut speeds: Vec<f64>) -> Option<f64> {
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied()
}

/// A real cluster for a case.
struct Real {
    machine: Machine,
    inventory: Inventory,
    case: Case,
}

impl Real {
    fn build(case: Case) -> Result<Self, String> {
        let mut lab = simulated::lab(&case.text(), 1)?;
        let machine = Machine::build(&mut lab).map_err(|obstacle| match obstacle {
            Obstacle::Lacks(what) => format!("not to be had here: {what}"),
            Obstacle::Failed(why) => why,
        })?;
        Ok(Self { machine, inventory: lab.live().clone(), case })
    }

    fn pod(&self, name: &str) -> NetnsId {
        self.inventory.pods[&("default".into(), name.into())].netns.expect("a Pod that is up has a namespace")
    }

    fn round(&mut self) -> Result<Round, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let program = program.to_string_lossy();
        let (transport, port) = match self.case.transport {
            Transport::Udp => ("udp", UDP_PORT),
            Transport::Tcp => ("tcp", TCP_PORT),
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (port, to) = (port.to_string(), self.case.to.to_string());
        let thread = receive_thread().unwrap_or_default();
        let (hops, ns) = (self.transmitted(), cpu_ns(&thread));
        let sink = self.machine.start(self.pod("b"), &words(&[&program, "--sink", transport, &port]))?;
        std::thread::sleep(Duration::from_millis(200));
        let source = self.machine.start(self.pod("a"), &words(&[&program, "--source", transport, &to]))?;
        let mut spent = cpu_ns(&thread).saturating_sub(ns) as f64;
        for ran in [source.finish(), sink.finish()] {
            let ns: f64 = ran.output.trim().parse().map_err(|_| ran.output.clone())?;
            spent += ns;
        }
        Ok(Round { hops: self.transmitted() - hops, ns: spent })
    }

    /// Frames that the veths of all namespaces have transmitted.
    fn transmitted(&self) -> f64 {
        let mut sum = 0.0;
        for (netns, state) in &self.inventory.netns {
            let text = self.machine.ask(*netns, "ip", &["-s", "-j", "link"]);
            let links: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            for link in links.as_array().into_iter().flatten() {
                let is_wire = state.links.values().any(|own| {
                    matches!(own.kind, LinkKind::Veth { .. } | LinkKind::Physical { .. })
                        && link["ifname"] == *own.name
                });
                if is_wire {
                    sum += link["stats64"]["tx"]["packets"].as_f64().unwrap_or(0.0);
                }
            }
        }
        sum
    }
}

/// The kernel's thread for receive work of the processor that commands run on.
fn receive_thread() -> Option<String> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let comm = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        (comm == "ksoftirqd/0\n").then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

fn native(case: Case) -> Round {
    let mut world = World::warm(case);
    let before = cpu_ns("self");
    let from = world.stream(DATAGRAMS, BYTES);
    let ns = (cpu_ns("self") - before) as f64;
    Round { hops: world.hops(from) as f64, ns }
}

/// Thousands of hops a second of each case, as the command in `VETHSCOPE_BENCH_WASM` prints them in millions.
fn wasm() -> Result<Vec<f64>, String> {
    let command = std::env::var("VETHSCOPE_BENCH_WASM").map_err(|_| "run make bench".to_owned())?;
    let output = Command::new("sh").args(["-c", &command]).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |case: &Case| {
        let line = text.lines().find_map(|line| line.split_once(&format!("{WASM_PREFIX}{}: ", case.name)));
        let (_, rest) = line.ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
        let word = rest.split(' ').next().unwrap_or_default();
        word.parse::<f64>().map(|millions| millions * 1e3).map_err(|error| error.to_string())
    };
    CASES.iter().map(figure).collect()
}

fn compare() {
    println!("wire hops a CPU-second over VXLAN, thousands; the trace recorded; medians of {ROUNDS}\n");
    let obstacle = kernel::reason_to_skip();
    if let Some(reason) = &obstacle {
        println!("the real kernel is left out: {reason}");
    }
    let mut rows = Vec::new();
    for case in CASES {
        let mut real = if obstacle.is_none() { Some(Real::build(case)) } else { None };
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            match &mut real {
                Some(Ok(cluster)) => match cluster.round() {
                    Ok(round) => theirs.push(round.speed()),
                    Err(why) => real = Some(Err(why)),
                },
                Some(Err(why)) => {
                    println!("{}: the real kernel failed: {why}", case.name);
                    real = None;
                }
                None => {}
            }
            ours.push(native(case).speed());
        }
        rows.push((case, median(theirs), median(ours)));
    }
    let wasm = wasm();
    if let Err(why) = &wasm {
        println!("wasm is left out: {why}");
    }
    println!("{:<42} {:>8} {:>16} {:>16}", "", "kernel", "native", "wasm");
    for (index, (case, theirs, ours)) in rows.into_iter().enumerate() {
        let against = |speed: Option<f64>| match (speed, theirs) {
            (Some(speed), Some(theirs)) => format!("{speed:.0} ({:.1} x)", speed / theirs),
            (Some(speed), None) => format!("{speed:.0}"),
            (None, _) => "-".to_owned(),
        };
        let kernel = theirs.map_or_else(|| "-".to_owned(), |speed| format!("{speed:.0}"));
        let in_wasm = wasm.as_ref().ok().and_then(|speeds| speeds.get(index).copied());
        println!("{:<42} {kernel:>8} {:>16} {:>16}", case.name, against(ours), against(in_wasm));
    }
}
