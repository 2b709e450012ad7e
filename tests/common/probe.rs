//! The recorded probes of `tests/oracle/`: what to do, and the hops that a real kernel showed.

use std::collections::BTreeMap;
use vethscope::lab::Lab;

/// A recorded probe.
pub(crate) struct Probe<'a> {
    /// The network of the recorded lab: `vxlan`, `hostgw`, `calico`.
    network: &'a str,
    /// Only ARP was recorded.
    pub(crate) arp_only: bool,
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
        arp_only: false,
        warm: None,
        steps: Vec::new(),
        linger: false,
        taps: BTreeMap::new(),
    };
    for line in head.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("warm", command) => probe.warm = Some(command),
            ("network", name) => probe.network = name,
            ("only", "arp") => probe.arp_only = true,
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
            ("forget", _) => from = lab.trace().len(),
            other => panic!("unknown step {other:?}"),
        }
    }
    if probe.linger {
        lab.linger(super::FOR_EVER);
    }
    (lab, from)
}
