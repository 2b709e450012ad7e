//! Who reaches whom: a probe from every Pod to every Pod, sent as a real packet in the sender's own network namespace.
//! What becomes of the packets is read from the trace; nothing is computed beside them.
//!
//! A cell is allowed when the packet got into the destination's namespace, whether somebody listens there or not, and
//! when what the kernel there answered came back.

mod explain;
mod probe;
mod text;

pub use crate::api::Protocol;
pub use explain::{Reason, reason};
pub use probe::{Fate, Loss};
pub use text::{json, text};

use super::{Lab, Progress};
use crate::agent::ControlPlane;
use crate::api::NamespacedName;
use crate::base::{Diagnostic, Duration, Ipv4Addr, JourneyId, NetnsId, Severity, SimTime};
use crate::cluster::policy;
use crate::sim::EVENTS_MAX;
use probe::{Probe, Watch};
use std::collections::BTreeMap;
use std::fmt;

/// Time that the cluster has to settle.
const SETTLE: SimTime = SimTime(600_000_000_000);
/// Between two rounds of probes. In a round everybody sends to one other Pod, and nobody is sent to twice.
const ROUND: Duration = Duration::from_us(500);
/// A probe of which nothing was heard for so long is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// A port that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Protocol.
    pub protocol: Protocol,
    /// Number.
    pub number: u16,
}

impl fmt::Display for Port {
    /// `TCP 80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", policy::protocol_name(self.protocol), self.number)
    }
}

/// A Pod that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its namespace and name.
    pub name: NamespacedName,
    /// Its address.
    pub ip: Ipv4Addr,
    netns: NetnsId,
}

/// Who reaches whom on one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The port.
    pub port: Port,
    /// The Pods, in the order of their names.
    pub pods: Vec<NamespacedName>,
    /// What became of each probe: by source, then by destination.
    pub cells: Vec<Vec<Fate>>,
    /// Pods that have no network to ask from or to.
    pub absent: Vec<NamespacedName>,
}

impl Matrix {
    /// Whether each probe got through.
    pub fn allowed(&self) -> Vec<Vec<bool>> {
        self.cells.iter().map(|row| row.iter().map(Fate::is_allowed).collect()).collect()
    }
}

/// A matrix being asked for, so that a page can do it in slices.
pub struct Asking {
    lab: Lab,
    text: String,
    members: Vec<Member>,
    absent: Vec<NamespacedName>,
    ports: Vec<Port>,
    /// Port and round that come next.
    next: (usize, usize),
    /// When the next round may be sent; `None` until the cluster has settled.
    at: Option<SimTime>,
    watch: Watch,
    /// How many probes were sent in this lab: each has a source port of its own, so that none belongs to the
    /// connection of an earlier one.
    sent: usize,
}

/// Asks for a matrix of each port. The error is what is wrong with the text.
pub fn matrix(text: &str, ports: &[Port], seed: u64) -> Result<Vec<Matrix>, Vec<Diagnostic>> {
    let mut asking = Asking::new(text, ports, seed)?;
    while asking.advance(u32::MAX) {}
    Ok(asking.matrices())
}

impl Asking {
    /// Begins with a lab of its own.
    pub fn new(text: &str, ports: &[Port], seed: u64) -> Result<Self, Vec<Diagnostic>> {
        let mut asking = Self {
            lab: Lab::new(seed),
            text: String::new(),
            members: Vec::new(),
            absent: Vec::new(),
            ports: Vec::new(),
            next: (0, 0),
            at: None,
            watch: Watch::default(),
            sent: 0,
        };
        let wrong = asking.apply(text, ports);
        if wrong.is_empty() { Ok(asking) } else { Err(wrong) }
    }

    /// Applies another text to the lab as it stands, and asks anew. What is wrong with the text is given back.
    pub fn apply(&mut self, text: &str, ports: &[Port]) -> Vec<Diagnostic> {
        let mut found = self.lab.apply(text);
        found.retain(|diagnostic| diagnostic.severity == Severity::Error);
        text.clone_into(&mut self.text);
        self.ports = ports.to_vec();
        (self.next, self.at) = ((0, 0), None);
        found
    }

    /// Works through some entries of the event queue. Whether there is more to do.
    pub fn advance(&mut self, steps: u32) -> bool {
        for _ in 0..steps {
            if self.lab.sim.trace().len() >= EVENTS_MAX {
                return false;
            }
            let now = self.lab.sim.now();
            match self.at {
                None => match self.lab.settle_step(SETTLE) {
                    Progress::Busy(_) => {}
                    Progress::Idle | Progress::Stopped(_) => self.begin(),
                },
                Some(_) if self.next.0 == self.ports.len() => {
                    self.watch.look(self.lab.sim.trace());
                    if self.watch.is_over(now) || !self.lab.step() {
                        return false;
                    }
                }
                Some(at) => {
                    if self.lab.sim.next_at().is_none_or(|next| next > at) {
                        self.lab.sim.wait_until(at.max(now));
                        self.send_round();
                    } else {
                        self.lab.step();
                    }
                }
            }
        }
        true
    }

    /// The cluster has settled: these are the Pods, and the first round is sent.
    fn begin(&mut self) {
        let live = self.lab.live();
        let (mut members, mut absent) = (Vec::new(), Vec::new());
        for row in live.pods.values() {
            let name = NamespacedName { namespace: row.namespace.to_string(), name: row.name.to_string() };
            match (row.netns, row.ip) {
                (Some(netns), Some(ip)) if !row.deleting => members.push(Member { name, ip, netns }),
                _ => absent.push(name),
            }
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        (self.members, self.absent) = (members, absent);
        self.at = Some(self.lab.sim.now());
        self.watch = Watch::new(self.lab.sim.trace());
    }

    /// Every Pod sends to the one that stands so many places behind it.
    fn send_round(&mut self) {
        let (port_at, round) = self.next;
        let count = self.members.len();
        self.next = if round + 1 < count { (port_at, round + 1) } else { (port_at + 1, 0) };
        let now = self.lab.sim.now();
        self.at = Some(now + ROUND);
        if count == 0 {
            return;
        }
        let deadline = now + PATIENCE;
        for from in 0..count {
            let to = (from + round) % count;
            let (source, target) = (&self.members[from], &self.members[to]);
            let body = probe::body(self.ports[port_at], self.sent);
            self.sent += 1;
            let (dst, netns) = (target.ip, source.netns);
            let sent = self.lab.sim.administer(netns, |netns, ctx| netns.raw_send(ctx, dst, body));
            let probe = Probe { from: netns, to: target.netns, deadline };
            self.watch.add((port_at, from, to), probe, sent.and_then(Result::ok));
        }
    }

    /// What is known: a matrix for each port.
    pub fn matrices(&self) -> Vec<Matrix> {
        let of = |(at, port): (usize, &Port)| {
            let cell = |from, to| self.watch.fate((at, from, to));
            let count = self.members.len();
            Matrix {
                port: *port,
                pods: self.members.iter().map(|member| member.name.clone()).collect(),
                cells: (0..count).map(|from| (0..count).map(|to| cell(from, to)).collect()).collect(),
                absent: self.absent.clone(),
            }
        };
        self.ports.iter().enumerate().map(of).collect()
    }

    /// What the policies alone say of each cell, without a packet: what [`policy::decide`] says of it.
    pub fn decided(&self, matrix: &Matrix) -> Vec<Vec<bool>> {
        let scope = self.lab.sim.agent().map(ControlPlane::policy_scope).unwrap_or_default();
        let cell = |from, to| {
            explain::packet(&scope, matrix, (from, to))
                .is_none_or(|packet| policy::decide(&scope, &packet).passes())
        };
        let count = matrix.pods.len();
        (0..count).map(|from| (0..count).map(|to| cell(from, to)).collect()).collect()
    }

    /// The text that was applied.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lab in which it was asked.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The Pods that take part, in the order of the matrix.
    pub fn members(&self) -> &[Member] {
        &self.members
    }
}

/// Probes by the cell that they are of.
type Cells = BTreeMap<(usize, usize, usize), usize>;
/// Probes by journey.
type Journeys = BTreeMap<JourneyId, usize>;
