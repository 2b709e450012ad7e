//! The course's second exercise: four tiers in four namespaces that find each other by name. The text is tried in clusters
//! of its own: names are looked up, connections made, a Pod deleted, and every way probed, all of it with packets. What is
//! missing is said with its reason.

use super::matrix::{self, Asking, Matrix, Port, Protocol};
use super::{Lab, Target};
use crate::api::ApiRequest;
use crate::base::words::{self, Lang};
use crate::base::{Duration, ObjectKey};
use crate::scene::conversation::Conversations;
use crate::trace::Inventory;
use std::collections::BTreeSet;

/// The text that the exercise begins with: the tiers run, and nothing finds or protects them yet.
pub const START: &str = include_str!("lessons/templates/discovery.yaml");
/// A text that solves it.
pub const SOLVED: &str = include_str!("lessons/templates/discovery-solved.yaml");

/// The tiers: the name of the Service and its namespace.
pub const TIERS: [(&str, &str); 4] =
    [("frontend", "web"), ("backend-api", "api"), ("database", "data"), ("cache", "cache")];
/// The ways that have to be open, by place in [`TIERS`]; all others between them have to be closed.
const OPEN: [(usize, usize); 3] = [(0, 1), (1, 2), (1, 3)];
/// The way on which load is spread and a Pod fails.
const SPREAD: (usize, usize) = (0, 1);
/// Connections by which the spread is seen.
const CONNECTIONS: usize = 12;
/// Connections after a Pod was deleted, a second apart.
const AFTERWARDS: usize = 8;
/// Simulated time for the cluster to come up, and for one command.
const LIMIT: Duration = Duration::from_secs(120);

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goal {
    /// Names resolve across namespaces.
    Names,
    /// Load is spread over several Pods.
    Spread,
    /// A Pod may fail.
    Survives,
    /// The ways that are wanted are open.
    Open,
    /// All other ways are closed.
    Closed,
}

/// Every goal in its order.
pub const GOALS: [Goal; 5] = [Goal::Names, Goal::Spread, Goal::Survives, Goal::Open, Goal::Closed];

/// Something that is missing: a key of the catalogue with its arguments, and sentences that say why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    key: &'static str,
    args: Vec<String>,
    why: Vec<[String; 2]>,
}

impl Missing {
    fn new(key: &'static str, args: &[&str]) -> Self {
        Self { key, args: args.iter().map(|arg| (*arg).to_owned()).collect(), why: Vec::new() }
    }

    /// In words.
    pub fn text(&self, lang: Lang) -> String {
        let mut out = words::text(lang, self.key, &self.args);
        for sentence in &self.why {
            out.push(' ');
            out.push_str(&sentence[usize::from(lang == Lang::Ko)]);
        }
        out
    }
}

/// A goal that was tried, with what is missing; nothing where it is reached.
pub type Verdict = (Goal, Vec<Missing>);

/// An exercise that is tried bit by bit, so that a page need not wait for it.
pub struct Exercise {
    text: String,
    lab: Option<Lab>,
    /// The ports at which the Pods of the tiers are reached before one of them is deleted.
    ports: BTreeSet<Port>,
    asking: Option<Asking>,
    /// The goals that were tried, in the order of [`GOALS`].
    pub verdicts: Vec<Verdict>,
}

/// Tries all of it.
pub fn check(text: &str) -> Vec<Verdict> {
    let mut exercise = Exercise::new(text);
    while exercise.advance() {}
    exercise.verdicts
}

fn full(tier: usize) -> String {
    let (name, namespace) = TIERS[tier];
    format!("{name}.{namespace}")
}

impl Exercise {
    /// Nothing was tried yet.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), lab: None, ports: BTreeSet::new(), asking: None, verdicts: Vec::new() }
    }

    /// Does the next bit. Says whether there is more to do.
    pub fn advance(&mut self) -> bool {
        let Some(lab) = &mut self.lab else {
            let mut lab = settled(&self.text);
            let now = lab.live();
            self.ports = (0..TIERS.len()).flat_map(|tier| ports(now, tier)).collect();
            self.lab = Some(lab);
            return true;
        };
        match GOALS.get(self.verdicts.len()) {
            Some(Goal::Names) => self.verdicts.push((Goal::Names, names(lab))),
            Some(Goal::Spread) => self.verdicts.push((Goal::Spread, spread(lab))),
            Some(Goal::Survives) => self.verdicts.push((Goal::Survives, survives(lab))),
            Some(Goal::Open | Goal::Closed) => return self.probe(),
            None => return false,
        }
        true
    }

    /// The ways, by a probe from every Pod to every Pod at the ports of the tiers.
    fn probe(&mut self) -> bool {
        let Some(asking) = &mut self.asking else {
            let ports: Vec<Port> = self.ports.iter().copied().collect();
            match Asking::new(&self.text, &ports, 1) {
                Ok(asking) => self.asking = Some(asking),
                // A text with mistakes has its diagnostics; here nothing can be tried.
                Err(_) => {
                    for goal in [Goal::Open, Goal::Closed] {
                        self.verdicts.push((goal, vec![Missing::new("exercise.mistakes", &[])]));
                    }
                }
            }
            return self.asking.is_some();
        };
        if asking.advance(2_000) {
            return true;
        }
        let Some(lab) = &mut self.lab else { return false };
        let (open, closed) = ways(asking, lab.live());
        self.verdicts.push((Goal::Open, open));
        self.verdicts.push((Goal::Closed, closed));
        false
    }
}

fn settled(text: &str) -> Lab {
    let mut lab = Lab::new(1);
    lab.apply(text);
    let limit = lab.now() + LIMIT;
    lab.settle(limit);
    lab
}

/// Names of the running Pods of a tier: those behind its Service, or without one all of its namespace.
fn pods(tables: &Inventory, tier: usize) -> Vec<String> {
    let namespace = TIERS[tier].1;
    let own = endpoints(tables, tier);
    let all = tables.pods.values().filter(|pod| &*pod.namespace == namespace && !pod.deleting);
    let all = all.filter(|pod| pod.ip.is_some() && pod.netns.is_some()).map(|pod| pod.name.to_string());
    if own.is_empty() { all.collect() } else { own.into_iter().collect() }
}

/// Names of the Pods that are ready behind the Service of a tier.
fn endpoints(tables: &Inventory, tier: usize) -> BTreeSet<String> {
    let (name, namespace) = TIERS[tier];
    let own =
        tables.slices.values().filter(|slice| &*slice.namespace == namespace && &*slice.service == name);
    let ready = own.flat_map(|slice| &slice.endpoints).filter(|endpoint| endpoint.ready);
    ready.filter_map(|endpoint| Some(endpoint.pod.as_ref()?.rsplit('/').next()?.to_owned())).collect()
}

/// The ports at which the Pods of a tier are reached.
fn ports(tables: &Inventory, tier: usize) -> Vec<Port> {
    let (name, namespace) = TIERS[tier];
    let own =
        tables.slices.values().filter(|slice| &*slice.namespace == namespace && &*slice.service == name);
    let ports = own.flat_map(|slice| &slice.ports).filter(|(_, protocol, _)| *protocol == "TCP");
    ports.filter_map(|(_, _, port)| Some(Port { protocol: Protocol::Tcp, number: (*port)? })).collect()
}

/// The first port of the Service of a tier.
fn service_port(tables: &Inventory, tier: usize) -> Option<u16> {
    let (name, namespace) = TIERS[tier];
    let key = (namespace.into(), name.into());
    tables.services.get(&key)?.ports.first().map(|port| port.port)
}

/// Runs a command in a Pod of a tier; its status, and what it wrote.
fn run(lab: &mut Lab, tier: usize, words: &[&str]) -> Option<(u8, String)> {
    let pod = pods(lab.live(), tier).into_iter().next()?;
    let target = Target::Pod { namespace: TIERS[tier].1.to_owned(), name: pod, container: None };
    let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    lab.need_names(&target, &argv);
    let (from, limit) = (lab.trace().len(), lab.now() + LIMIT);
    let process = lab.start(&target, &argv).ok()?;
    lab.finish(process, limit);
    Some((lab.status(process)?, lab.trace().written(from, process).trim().to_owned()))
}

/// What stands in the way of a tier before anything is sent: no Pod, no Service, nobody behind it.
fn absent(tables: &Inventory, tier: usize) -> Option<Missing> {
    let (name, namespace) = TIERS[tier];
    if pods(tables, tier).is_empty() {
        return Some(Missing::new("exercise.no_pod", &[namespace]));
    }
    if !tables.services.contains_key(&(namespace.into(), name.into())) {
        return Some(Missing::new("exercise.no_service", &[name, namespace]));
    }
    if endpoints(tables, tier).is_empty() {
        return Some(Missing::new("exercise.no_endpoints", &[name, namespace]));
    }
    None
}

fn names(lab: &mut Lab) -> Vec<Missing> {
    let now = lab.live();
    let mut missing: Vec<Missing> = (0..TIERS.len()).filter_map(|tier| absent(now, tier)).collect();
    let can_ask = |(from, to): &(usize, usize)| absent(now, *to).is_none() && !pods(now, *from).is_empty();
    let asked: Vec<(usize, usize)> = OPEN.into_iter().filter(can_ask).collect();
    for (from, to) in asked {
        let name = full(to);
        match run(lab, from, &["getent", "hosts", &name]) {
            Some((0, _)) => {}
            _ => missing.push(Missing::new("exercise.unresolved", &[&name, TIERS[from].1])),
        }
    }
    missing
}

/// A connection by name over a way of the exercise; whether it was made.
fn connect(lab: &mut Lab, (from, to): (usize, usize)) -> bool {
    let Some(port) = service_port(lab.live(), to) else { return false };
    let (name, port) = (full(to), port.to_string());
    run(lab, from, &["nc", "-z", "-w", "2", &name, &port]).is_some_and(|(status, _)| status == 0)
}

/// Addresses that connections from the event `since` on went to.
fn reached(lab: &Lab, since: usize, port: u16) -> BTreeSet<String> {
    let mut all = Conversations::default();
    all.extend(lab.trace());
    let new = all.list().iter().filter(|one| {
        one.seen_by_caller.1.1 == port && one.rows.first().is_some_and(|row| row.event().index() >= since)
    });
    new.filter_map(|one| Some(one.seen_by_called?.1.0.to_string())).collect()
}

fn spread(lab: &mut Lab) -> Vec<Missing> {
    let (from, to) = SPREAD;
    let now = lab.live();
    if let Some(missing) = absent(now, to)
        .or_else(|| pods(now, from).is_empty().then(|| Missing::new("exercise.no_pod", &[TIERS[from].1])))
    {
        return vec![missing];
    }
    let name = full(to);
    if endpoints(now, to).len() < 2 {
        return vec![Missing::new("exercise.one_endpoint", &[&name])];
    }
    let port = service_port(now, to).unwrap_or(0);
    let since = lab.trace().len();
    let made = (0..CONNECTIONS).filter(|_| connect(lab, SPREAD)).count();
    if made == 0 {
        return vec![Missing::new("exercise.unreachable", &[&name, TIERS[from].1])];
    }
    match reached(lab, since, port).len() {
        0 | 1 => vec![Missing::new("exercise.one_reached", &[&name, &made.to_string()])],
        _ => Vec::new(),
    }
}

fn survives(lab: &mut Lab) -> Vec<Missing> {
    let (from, to) = SPREAD;
    let now = lab.live();
    if let Some(missing) = absent(now, to) {
        return vec![missing];
    }
    let Some(victim) = endpoints(now, to).into_iter().next() else { return Vec::new() };
    let key = ObjectKey { kind: "Pod".into(), namespace: TIERS[to].1.into(), name: victim.as_str().into() };
    let _ = lab.request(&ApiRequest::Delete { key, propagation: None, grace_seconds: None });
    let mut failed = 0;
    for _ in 0..AFTERWARDS {
        failed += usize::from(!connect(lab, SPREAD));
        let pause = lab.now() + Duration::from_secs(1);
        lab.settle(pause);
    }
    let name = full(to);
    if failed > 0 {
        let counts = [failed.to_string(), AFTERWARDS.to_string()];
        return vec![Missing::new(
            "exercise.failed",
            &[&victim, &counts[0], &counts[1], &name, TIERS[from].1],
        )];
    }
    Vec::new()
}

/// What is missing of the ways that have to be open, and of those that have to be closed.
fn ways(asking: &Asking, now: &Inventory) -> (Vec<Missing>, Vec<Missing>) {
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    let matrices = asking.matrices();
    for to in 0..TIERS.len() {
        if let Some(missing) = absent(now, to) {
            open.push(missing);
            continue;
        }
        let own = ports(now, to);
        for from in (0..TIERS.len()).filter(|from| *from != to) {
            let wanted = OPEN.contains(&(from, to));
            for matrix in matrices.iter().filter(|matrix| own.contains(&matrix.port)) {
                let Some(cell) = cell(matrix, from, to, wanted) else { continue };
                let port = matrix.port.to_string();
                let (key, list) =
                    if wanted { ("exercise.shut", &mut open) } else { ("exercise.not_shut", &mut closed) };
                let mut missing = Missing::new(key, &[&full(from), &full(to), &port]);
                let say = |lang| matrix::reason(asking, matrix, cell, lang).sentences;
                missing.why = say(Lang::En).into_iter().zip(say(Lang::Ko)).map(|(en, ko)| [en, ko]).collect();
                list.push(missing);
            }
        }
    }
    // While nobody can be reached there is nothing that could be closed.
    if closed.is_empty() && (0..TIERS.len()).any(|tier| absent(now, tier).is_some()) {
        closed.push(Missing::new("exercise.nothing_to_shut", &[]));
    }
    (open, closed)
}

/// A cell between two tiers that is not as it is wanted.
fn cell(matrix: &Matrix, from: usize, to: usize, wanted: bool) -> Option<(usize, usize)> {
    let of = |tier: usize| {
        let namespace = TIERS[tier].1;
        matrix.pods.iter().enumerate().filter(move |(_, pod)| pod.namespace == namespace).map(|pod| pod.0)
    };
    let allowed = matrix.allowed();
    of(from)
        .flat_map(|from| of(to).map(move |to| (from, to)))
        .find(|(from, to)| allowed[*from][*to] != wanted)
}
