//! The recorded probes of `tests/oracle/`: what to do, and the hops that a real kernel showed.

use std::collections::BTreeMap;
use vethscope::base::Duration;
use vethscope::lab::{Lab, Target};

/// A recorded probe.
#[expect(clippy::struct_excessive_bools, reason = "each is a line of the file")]
pub(crate) struct Probe<'a> {
    /// The network of the recorded lab: `vxlan`, `hostgw`, `calico`.
    network: &'a str,
    /// The windows and options of SYN segments are compared too.
    pub(crate) detail: bool,
    /// Only ARP was recorded.
    pub(crate) arp_only: bool,
    /// Only taps whose names begin so are compared; all of them where it is empty.
    pub(crate) taps_of: &'a str,
    /// The order of some hops was chance: what came first of two things that do not wait for each other.
    pub(crate) any_order: bool,
    /// What ran before.
    warm: Option<&'a str>,
    steps: Vec<(&'a str, &'a str)>,
    linger: bool,
    /// The recorded hops by tap.
    pub(crate) taps: BTreeMap<String, Vec<String>>,
}

/// Reads a file of `tests/oracle/`.
pub(crate) fn read(text: &str) -> Probe<'_> {
    let (head, hops) = text.split_once("\n\n").expect("an empty line divides head and hops");
    let mut probe = Probe {
        network: "vxlan",
        detail: false,
        arp_only: false,
        taps_of: "",
        any_order: false,
        warm: None,
        steps: Vec::new(),
        linger: false,
        taps: BTreeMap::new(),
    };
    for line in head.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("warm", command) => probe.warm = Some(command),
            ("network", name) => probe.network = name,
            ("detail", "tcp") => probe.detail = true,
            ("only", "arp") => probe.arp_only = true,
            ("only", taps) => probe.taps_of = taps,
            ("order", "chance") => probe.any_order = true,
            ("linger", answer) => probe.linger = answer == "yes",
            step => probe.steps.push(step),
        }
    }
    for line in hops.lines() {
        let (tap, rest) = line.split_once(' ').expect("a hop has a tap");
        probe.taps.entry(tap.to_owned()).or_default().push(rest.to_owned());
    }
    probe
}

/// The recording went on so long after a connection.
const SETTLE: Duration = Duration::from_ms(300);

/// `get: TARGET ADDRESS [PORT [SECONDS [SOURCE-PORT]]]`: asks an HTTP server for its page, and lets it close the connection.
fn get(lab: &mut Lab, line: &str) {
    let mut words = line.split(' ');
    let target = words.next().expect("somebody asks");
    let (address, port) = (words.next().expect("somebody is asked"), words.next().unwrap_or("80"));
    let limit = words.next().unwrap_or("3");
    let own = words.next().map_or_else(String::new, |port| format!("-p {port} "));
    let target = Target::parse(target, "default", None);
    let line = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc {own}-w {limit} {address} {port}");
    super::run_argv(lab, &target, &["sh".to_owned(), "-c".to_owned(), line]);
    lab.wait_until(lab.now() + SETTLE);
}

/// `port: POD COMMAND`: runs a command on node1 in which `%` stands for the Pod's port of the bridge.
fn port(lab: &mut Lab, line: &str) {
    let (pod, command) = line.split_once(' ').expect("a Pod and a command");
    let live = lab.live();
    let own = live
        .netns
        .values()
        .find(|netns| *netns.row.name == *format!("default/{pod}"))
        .expect("the Pod is there");
    let peer = own.links.values().find_map(|link| link.kind.wire()).expect("a veth has a peer");
    let name = live.netns[&peer.0].ifname(peer.1);
    super::run(lab, &format!("node/node1 {}", command.replace('%', &name)));
}

/// `vtep: TARGET SCRIPT`: runs a script in which `%` stands for the Ethernet address of node2's tunnel end.
fn vtep(lab: &mut Lab, line: &str) {
    let live = lab.live();
    let node = live.netns.values().find(|netns| *netns.row.name == *"node2").expect("node2 is there");
    let mac = node.link_named("flannel.1").expect("it has a tunnel end").mac.to_string();
    shell(lab, &line.replace('%', &mac));
}

/// `raw: TARGET DEVICE FROM TO PACKET`: sends a packet, written in hexadecimal, from one Pod's Ethernet address to
/// another's.
fn raw(lab: &mut Lab, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let [target, device, from, to, packet] = words[..] else { panic!("five words: {line}") };
    let live = lab.live();
    let mac = |pod: &str| {
        let netns = live.netns_named(&format!("default/{pod}")).expect("the Pod is there");
        netns.link_named("eth0").expect("it has an interface").mac.to_string()
    };
    let frame = format!("{}{}0800{packet}", mac(to), mac(from));
    shell(lab, &format!("{target} mausezahn {device} {frame}"));
}

/// `sh: TARGET SCRIPT`.
fn shell(lab: &mut Lab, line: &str) {
    let (target, script) = line.split_once(' ').expect("a target and a script");
    let argv = ["sh", "-c", script].map(str::to_owned);
    super::run_argv(lab, &Target::parse(target, "default", None), &argv);
}

/// Plays a probe; returns the lab and the event from which on its hops count.
pub(crate) fn play(probe: &Probe<'_>, seed: u64) -> (Lab, usize) {
    let mut lab = super::lab(&super::recorded_in(probe.network), seed);
    if let Some(command) = probe.warm {
        super::run(&mut lab, command);
        lab.linger(super::FOR_EVER);
    }
    let mut from = lab.trace().len();
    for (verb, argument) in &probe.steps {
        match (*verb, *argument) {
            ("run", command) => {
                super::run(&mut lab, command);
            }
            ("apply", "+x") => {
                super::apply(&mut lab, &(super::RECORDED_LAB.to_owned() + include_str!("../oracle/x.yaml")));
            }
            ("apply", "-x") => super::apply(&mut lab, super::RECORDED_LAB),
            ("get", line) => get(&mut lab, line),
            ("port", line) => port(&mut lab, line),
            ("vtep", line) => vtep(&mut lab, line),
            ("sh", line) => shell(&mut lab, line),
            ("raw", line) => raw(&mut lab, line),
            ("pause", ms) => {
                let ms = ms.parse().expect("milliseconds");
                lab.wait_until(lab.now() + Duration::from_ms(ms));
            }
            ("rest", _) => {
                lab.linger(super::FOR_EVER);
            }
            ("forget", _) => from = lab.trace().len(),
            other => panic!("unknown step {other:?}"),
        }
    }
    if probe.linger {
        lab.linger(super::FOR_EVER);
    }
    (lab, from)
}
