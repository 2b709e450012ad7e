//! The same command on the same cluster over different networks, side by side: each network gets a lab of its own, and
//! the same packet is followed in each.
//!
//! Pods have other addresses under other plug-ins, so a word of the command that is a Pod's address in the text's own
//! network stands for that Pod, as does `pod/NAME`. The command runs twice; the second run is measured, when every
//! address has been asked for.

mod text;

pub use text::{added, text};

use super::{Lab, Target};
use crate::api::{Backend, Cni, Object};
use crate::base::words::Lang;
use crate::base::{Diagnostic, JourneyId, NetnsId, ProcessId, Severity, SimTime};
use crate::kernel::Urgency;
use crate::manifest;
use crate::sim::EVENTS_MAX;
use crate::trace::{Event, EventKind, Inventory, NetnsRole, Relation, Stream, Table, Trace};
use crate::wire::{Body, Esp, Frame, Ipv4, fields};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Simulated time that a cluster may take to settle, and a command to end.
const LIMIT_NS: u64 = 600_000_000_000;

/// A network to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The plug-in, by its name in the cluster document.
    pub cni: String,
    /// The way between nodes; the plug-in's own where `None`.
    pub backend: Option<String>,
}

impl Choice {
    /// The networks that are compared where nobody says which.
    pub fn usual() -> Vec<Self> {
        let names = [
            "flannel/vxlan",
            "flannel/host-gw",
            "flannel/ipip",
            "calico/ipip",
            "calico/vxlan",
            "calico/bgp",
            "cilium/vxlan",
            "cilium/host-gw",
        ];
        names.into_iter().filter_map(|name| Self::parse(name).ok()).collect()
    }

    /// Reads `CNI` or `CNI/BACKEND`; the error is what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (cni, backend) = text.split_once('/').map_or((text, None), |(cni, way)| (cni, Some(way)));
        let list = |names: Vec<&str>| names.join(", ");
        let Some(plugin) = Cni::ALL.iter().find(|known| known.0 == cni).map(|known| known.1) else {
            let known = list(Cni::ALL.iter().map(|known| known.0).collect());
            return Err(format!("unknown network {text:?}: the plug-in is one of {known}"));
        };
        let name_of = |way: &Backend| Backend::ALL.iter().find(|known| known.1 == *way).map(|known| known.0);
        let ways: Vec<&str> = plugin.backends().iter().filter_map(name_of).collect();
        if backend.is_some_and(|way| !ways.contains(&way)) {
            return Err(format!("unknown network {text:?}: {cni} knows {}", list(ways)));
        }
        Ok(Self { cni: cni.to_owned(), backend: backend.map(str::to_owned) })
    }

    /// Its name: `flannel/vxlan`.
    pub fn name(&self) -> String {
        self.backend.as_ref().map_or_else(|| self.cni.clone(), |backend| format!("{}/{backend}", self.cni))
    }
}

/// A place that the packet passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// Namespace.
    pub namespace: Arc<str>,
    /// What the namespace is: `pod`, `node`, `switch`, `router` or `host`.
    pub role: &'static str,
    /// Interface.
    pub interface: Arc<str>,
    /// Bytes of the frame there.
    pub bytes: usize,
    /// Time since the packet was made, in nanoseconds.
    pub after_ns: u64,
}

/// A header that the network put around the packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Name of the protocol.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: usize,
}

/// What became of the packet in one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    /// The packet, as a line.
    pub packet: String,
    /// The interfaces on its way, in order, its last place included.
    pub path: Vec<Hop>,
    /// Headers around it at its largest.
    pub headers: Vec<Header>,
    /// Bytes of the IPv4 packet that was sent.
    pub packet_bytes: usize,
    /// Bytes of the largest frame that carried it.
    pub wire_bytes: usize,
    /// Time from sending to the end of its way, in nanoseconds.
    pub one_way_ns: u64,
    /// TTL as sent.
    pub ttl_sent: u8,
    /// TTL as it arrived at its last place.
    pub ttl_seen: u8,
    /// Namespaces of nodes whose netfilter hooks saw the packet itself, with the number of hooks.
    pub netfilter: BTreeMap<Arc<str>, usize>,
    /// Namespaces of nodes whose hooks saw it inside a tunnel's packet.
    pub netfilter_outer: BTreeMap<Arc<str>, usize>,
    /// How often an eBPF program decided where it goes.
    pub bpf: usize,
    /// Whether it arrived.
    pub delivered: bool,
}

/// One network's column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Its name.
    pub network: String,
    /// Why nothing could be run.
    pub error: Option<String>,
    /// The command as it was run there.
    pub command: Vec<String>,
    /// Exit status of the command.
    pub status: Option<u8>,
    /// What the command wrote.
    pub output: String,
    /// MTU of the interface that the packet left its sender by, in bytes.
    pub mtu: Option<u32>,
    /// The packet: the first of the largest that the command sent.
    pub followed: Option<Followed>,
}

/// Runs a command over each network. The error is what is wrong with the text itself.
pub fn compare(
    text: &str,
    choices: &[Choice],
    target: &Target,
    argv: &[String],
    seed: u64,
) -> Result<Vec<Outcome>, Vec<Diagnostic>> {
    let mut comparison = Comparison::new(text, choices, target, argv, seed)?;
    while comparison.advance(u32::MAX) {}
    Ok(comparison.outcomes)
}

/// A comparison under way, so that a page can do it in slices.
pub struct Comparison {
    text: String,
    choices: VecDeque<Choice>,
    target: Target,
    argv: Vec<String>,
    seed: u64,
    /// Addresses of the Pods in the text's own network, once they are known.
    homes: Option<Homes>,
    current: Run,
    /// What is known so far, in the order of the choices.
    pub outcomes: Vec<Outcome>,
}

/// One lab of a comparison.
struct Run {
    lab: Lab,
    /// How often the command has run.
    turns: u8,
    running: Option<(ProcessId, usize)>,
    deadline: SimTime,
    outcome: Outcome,
}

impl Run {
    fn new(text: &str, network: String, seed: u64) -> (Self, Vec<Diagnostic>) {
        let mut lab = Lab::new(seed);
        let found = lab.apply(text);
        let errors: Vec<Diagnostic> =
            found.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error).collect();
        let outcome = Outcome {
            network,
            error: errors.first().map(|error| error.message_in(Lang::En)),
            command: Vec::new(),
            status: None,
            output: String::new(),
            mtu: None,
            followed: None,
        };
        (Self { lab, turns: 0, running: None, deadline: SimTime(LIMIT_NS), outcome }, errors)
    }

    /// Whether what the lab is at goes on.
    fn goes_on(&self) -> bool {
        let late = self.lab.sim.next_at().is_none_or(|at| at > self.deadline);
        let waits = match self.running {
            None => !self.lab.sim.is_quiet(Urgency::Now),
            Some((process, _)) => self.lab.sim.status(process).is_none() && !self.lab.asks(process),
        };
        waits && !late && self.lab.sim.trace().len() < EVENTS_MAX
    }

    fn start(&mut self, target: &Target) {
        let from = self.lab.trace().len();
        match self.lab.start(target, &self.outcome.command) {
            Ok(process) => self.running = Some((process, from)),
            Err(error) => self.outcome.error = Some(error.to_string()),
        }
        self.turns += 1;
        self.deadline = SimTime(self.lab.now().0.saturating_add(LIMIT_NS));
    }

    /// The command's second run is over.
    fn measure(&mut self) {
        let Some((process, from)) = self.running else { return };
        let trace = self.lab.trace();
        self.outcome.status = self.lab.status(process);
        self.outcome.output = output(trace, from);
        let inventory = Inventory::at(trace, trace.len());
        let mtu = &mut self.outcome.mtu;
        let journey = packet_of(trace, process, from);
        self.outcome.followed = journey.map(|journey| follow(trace, &inventory, journey, mtu));
    }
}

impl Comparison {
    /// A comparison that has not begun. The error is what is wrong with the text itself.
    pub fn new(
        text: &str,
        choices: &[Choice],
        target: &Target,
        argv: &[String],
        seed: u64,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (current, errors) = Run::new(text, String::new(), seed);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            text: text.to_owned(),
            choices: choices.iter().cloned().collect(),
            target: target.clone(),
            argv: argv.to_vec(),
            seed,
            homes: None,
            current,
            outcomes: Vec::new(),
        })
    }

    /// Works through at most `steps` entries of the current lab's queue. Returns whether there is more to do.
    pub fn advance(&mut self, steps: u32) -> bool {
        for _ in 0..steps {
            if self.current.goes_on() {
                self.current.lab.step();
            } else if !self.turn() {
                return false;
            }
        }
        true
    }

    /// What the current lab was at is over: what comes next.
    fn turn(&mut self) -> bool {
        let run = &mut self.current;
        let Some(homes) = &self.homes else {
            self.homes = Some(pod_addresses(run.lab.live()));
            return self.next();
        };
        if run.outcome.error.is_none() && run.turns < 2 {
            if run.turns == 0 {
                let here = pod_addresses(run.lab.live());
                run.outcome.command = translated(&self.argv, &self.target, homes, &here);
            }
            run.start(&self.target);
            return true;
        }
        run.measure();
        self.outcomes.push(run.outcome.clone());
        self.next()
    }

    fn next(&mut self) -> bool {
        let Some(choice) = self.choices.pop_front() else { return false };
        self.current = Run::new(&with_network(&self.text, &choice), choice.name(), self.seed).0;
        true
    }
}

type Homes = BTreeMap<(Arc<str>, Arc<str>), String>;

fn pod_addresses(inventory: &Inventory) -> Homes {
    let pods = inventory.pods.iter();
    pods.filter_map(|(name, row)| Some((name.clone(), row.ip?.to_string()))).collect()
}

/// The text with another network: the cluster document's block is changed, or a document added.
fn with_network(text: &str, choice: &Choice) -> String {
    let parsed = manifest::parse(text);
    let cluster = parsed.objects.iter().find(|located| matches!(located.object, Object::Cluster(_)));
    let mut raw = cluster.map_or_else(
        || json!({ "apiVersion": "vethscope.dev/v1alpha1", "kind": "Cluster", "spec": {} }),
        |located| (*located.raw).clone(),
    );
    if !raw["spec"].is_object() {
        raw["spec"] = json!({});
    }
    let mut network = raw["spec"]["network"].as_object().cloned().unwrap_or_default();
    let same = network.get("cni").and_then(Value::as_str).unwrap_or("flannel") == choice.cni;
    if !same {
        // Another plug-in has settings and numbers of its own.
        for key in ["bridge", "flannel", "calico", "vxlan"] {
            network.remove(key);
        }
    }
    for key in ["flannel", "calico"] {
        network.remove(key);
    }
    network.insert("cni".to_owned(), json!(choice.cni));
    match &choice.backend {
        Some(backend) => network.insert("backend".to_owned(), json!(backend)),
        None => network.remove("backend"),
    };
    raw["spec"]["network"] = Value::Object(network);
    match cluster {
        Some(located) => {
            let span = located.span;
            format!("{}{raw}\n{}", &text[..span.start], &text[span.end..])
        }
        None if text.trim().is_empty() => format!("{raw}\n"),
        None => format!("{}\n---\n{raw}\n", text.trim_end()),
    }
}

/// The command with the Pods' addresses as they are here.
fn translated(argv: &[String], target: &Target, old: &Homes, new: &Homes) -> Vec<String> {
    let own_namespace = match target {
        Target::Pod { namespace, .. } => namespace.as_str(),
        Target::Node(_) | Target::Host(_) => "default",
    };
    let address = |word: &str| -> Option<String> {
        if let Some(name) = word.strip_prefix("pod/") {
            let (namespace, name) = name.split_once('/').unwrap_or((own_namespace, name));
            return new.get(&(namespace.into(), name.into())).cloned();
        }
        let pod = old.iter().find(|(_, address)| *address == word)?.0;
        new.get(pod).cloned()
    };
    argv.iter().map(|word| replace_addresses(word, &address)).collect()
}

/// Replaces each part of a word that `address` knows; parts are divided by what an address or a name cannot hold.
fn replace_addresses(word: &str, address: &impl Fn(&str) -> Option<String>) -> String {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/');
    if let Some(whole) = address(word) {
        return whole;
    }
    let mut out = String::new();
    let mut part = String::new();
    for c in word.chars().chain(['\0']) {
        if of_name(c) && (c != '/' || part.starts_with("pod")) {
            part.push(c);
            continue;
        }
        out += &address(&part).unwrap_or_else(|| part.clone());
        part.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

fn output(trace: &Trace, from: usize) -> String {
    let pieces = trace.events.since(from).filter_map(|event| {
        if let EventKind::Wrote(id) = event.kind { Some(&trace.outputs[id.index()]) } else { None }
    });
    pieces
        .filter(|piece| matches!(piece.stream, Stream::Stdout | Stream::Stderr))
        .map(|piece| piece.text.as_str())
        .collect()
}

/// The first of the largest packets that a process sent.
fn packet_of(trace: &Trace, process: ProcessId, from: usize) -> Option<JourneyId> {
    let mut best: Option<(usize, JourneyId)> = None;
    for event in trace.events.since(from).filter(|event| event.kind == EventKind::Originated) {
        let info = trace.journeys[event.journey.index()];
        let len = trace.frame_of(event).and_then(|frame| frame.ipv4()).map(Ipv4::wire_len);
        let Some(len) = len.filter(|_| info.process == process && info.relation == Relation::Sent) else {
            continue;
        };
        if best.is_none_or(|(most, _)| len > most) {
            best = Some((len, event.journey));
        }
    }
    best.map(|(_, journey)| journey)
}

fn follow(trace: &Trace, inventory: &Inventory, journey: JourneyId, mtu: &mut Option<u32>) -> Followed {
    let mut followed = Followed::default();
    let family = pieces(trace, journey);
    let events = trace.events.iter().filter(|event| family.contains(&event.journey));
    let mut began = None;
    let mut largest: Option<Arc<Frame>> = None;
    let mut inside = false;
    for event in events {
        let began = *began.get_or_insert(event.at);
        let frame = trace.frame_of(event);
        match event.kind {
            EventKind::Originated => sent(&mut followed, frame),
            EventKind::Transmitted | EventKind::Received(_) => {
                let Some(frame) = frame else { continue };
                let hop = hop(inventory, event, frame.wire_len(), event.at.since(began).0);
                if mtu.is_none() || followed.path.is_empty() {
                    let state = inventory.netns.get(&event.netns);
                    *mtu = state.and_then(|state| state.links.get(&event.ifindex)).map(|link| link.mtu);
                }
                let seen = |last: &Hop| last.namespace == hop.namespace && last.interface == hop.interface;
                if !followed.path.last().is_some_and(seen) {
                    followed.path.push(hop);
                }
                if largest.as_ref().is_none_or(|most| frame.wire_len() > most.wire_len()) {
                    largest = Some(frame.clone());
                }
                followed.ttl_seen = frame.ipv4().map_or(followed.ttl_seen, |packet| packet.ttl);
            }
            EventKind::Passed(_) if is_node(inventory, event.netns) => {
                let seen = if inside { &mut followed.netfilter_outer } else { &mut followed.netfilter };
                *seen.entry(name_of(inventory, event.netns)).or_default() += 1;
            }
            EventKind::Encapsulated => inside = true,
            EventKind::Decapsulated => inside = false,
            EventKind::Decided(Table::Bpf, _) => followed.bpf += 1,
            EventKind::Ended(disposition) => {
                use crate::trace::Disposition::{Consumed, Delivered};
                followed.delivered |= matches!(disposition, Delivered(_) | Consumed);
                followed.one_way_ns = event.at.since(began).0;
            }
            EventKind::Passed(_)
            | EventKind::Decided(..)
            | EventKind::Changed(_)
            | EventKind::Queued
            | EventKind::Wrote(_)
            | EventKind::Started(_)
            | EventKind::Exited(..) => {}
        }
    }
    if let Some(frame) = largest {
        followed.wire_bytes = frame.wire_len();
        followed.headers = match frame.ipv4().map(|packet| &*packet.body) {
            Some(Body::Esp(esp)) => esp_headers(esp, followed.packet_bytes),
            Some(_) | None => headers(&frame),
        };
    }
    followed
}

/// A journey with the fragments that it was cut into and the whole that they became.
fn pieces(trace: &Trace, journey: JourneyId) -> Vec<JourneyId> {
    let mut family = vec![journey];
    for (index, info) in trace.journeys.iter().enumerate().skip(journey.index() + 1) {
        let of_family = info.parent.is_some_and(|parent| family.contains(&parent));
        if of_family && info.relation == Relation::Fragment {
            family.push(JourneyId(index as u32));
        }
    }
    family
}

fn sent(followed: &mut Followed, frame: Option<&Arc<Frame>>) {
    let Some(packet) = frame.and_then(|frame| frame.ipv4()) else { return };
    if followed.packet.is_empty() {
        followed.packet = frame.map(ToString::to_string).unwrap_or_default();
        followed.packet_bytes = packet.wire_len();
        (followed.ttl_sent, followed.ttl_seen) = (packet.ttl, packet.ttl);
    }
}

fn name_of(inventory: &Inventory, netns: NetnsId) -> Arc<str> {
    inventory.netns.get(&netns).map_or_else(|| "".into(), |state| state.row.name.clone())
}

fn is_node(inventory: &Inventory, netns: NetnsId) -> bool {
    inventory.netns.get(&netns).is_some_and(|state| state.row.role == NetnsRole::Node)
}

fn hop(inventory: &Inventory, event: &Event, bytes: usize, after_ns: u64) -> Hop {
    let state = inventory.netns.get(&event.netns);
    let role = state.map_or("", |state| match state.row.role {
        NetnsRole::Node => "node",
        NetnsRole::Pod { .. } => "pod",
        NetnsRole::Switch => "switch",
        NetnsRole::Router => "router",
        NetnsRole::Host => "host",
    });
    Hop {
        namespace: name_of(inventory, event.netns),
        role,
        interface: state.map_or_else(|| "".into(), |state| state.ifname(event.ifindex)),
        bytes,
        after_ns,
    }
}

/// What ESP puts around a packet of `inner` bytes: nobody on the way sees into it, but its length tells.
fn esp_headers(esp: &Esp, inner: usize) -> Vec<Header> {
    let fixed = Esp::IV_LEN + Esp::ICV_LEN;
    let header = |name, bytes| Header { name, bytes };
    vec![
        header("IPv4", Ipv4::HEADER_LEN),
        header("ESP", Esp::HEADER_LEN),
        header("initialization vector", Esp::IV_LEN),
        header("padding and trailer", esp.data.len().saturating_sub(fixed + inner)),
        header("integrity check value", Esp::ICV_LEN),
    ]
}

/// The headers between the outermost Ethernet header and the packet that was sent: everything of the outer tunnels.
fn headers(frame: &Frame) -> Vec<Header> {
    let layers = fields(frame);
    let deepest = layers.iter().filter(|layer| !layer.quoted).map(|layer| layer.depth).max().unwrap_or(0);
    let mut out = Vec::new();
    for (index, layer) in layers.iter().enumerate().filter(|(_, layer)| !layer.quoted) {
        let inner_ethernet = layer.depth == deepest && layer.name == "Ethernet";
        if index == 0 || (layer.depth == deepest && !inner_ethernet) {
            continue;
        }
        out.push(Header { name: layer.name, bytes: layer.range.len() });
    }
    out
}
