//! The same name looked up in several ways, each in a cluster of its own made from the same text: what it costs in
//! questions, in time and in load on CoreDNS. Everything is measured on packets that were sent.
//!
//! *Simplified*: lookups follow one another without a pause, each in a process of its own, as by a shell's loop.

mod change;

use super::{Lab, Target};
use crate::agent::Environment;
use crate::api::ApiRequest;
use crate::app::getent::{Database, Getent, Services};
use crate::base::words::{self, Lang};
use crate::base::{Duration, NetnsId, ObjectKey, SimTime};
use crate::trace::NetnsRole;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How often the name is looked up in each way.
pub const LOOKUPS: usize = 50;
/// Simulated time for the cluster to come up, and for one lookup.
const LIMIT: Duration = Duration::from_secs(120);
/// An image whose programs are linked with musl, and one with glibc: the way decides, not the Pod's own image.
const MUSL_IMAGE: &str = "alpine";
const GLIBC_IMAGE: &str = "debian";

/// A way to look a name up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// glibc with this `ndots`.
    Ndots(usize),
    /// The name that was found in the end, with its last dot.
    Whole,
    /// glibc with `options single-request`: A and AAAA one after the other.
    SingleRequest,
    /// musl, which asks for both at once and for one name of the search list after the other.
    Musl,
    /// glibc, with `NodeLocal DNSCache` on every node.
    NodeLocal,
    /// One of the CoreDNS is killed after half of the lookups, and its Deployment makes another.
    OneKilled,
    /// One of the CoreDNS stands still, and nobody has noticed.
    OneHangs,
    /// A lookup a second; after half of them the Service is made anew and has another address. Who remembers answers.
    Changing(Memory),
}

/// Who remembers what CoreDNS answers about the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Nobody: the plugin `cache` is taken out of the Corefile.
    Nobody,
    /// CoreDNS, by `cache 30` for every zone.
    CoreDns,
    /// `NodeLocal DNSCache`.
    Node,
}

/// Every way, in the order in which they are tried.
pub const WAYS: [Way; 11] = [
    Way::Ndots(5),
    Way::Ndots(2),
    Way::Whole,
    Way::SingleRequest,
    Way::Musl,
    Way::NodeLocal,
    Way::OneKilled,
    Way::OneHangs,
    Way::Changing(Memory::Nobody),
    Way::Changing(Memory::CoreDns),
    Way::Changing(Memory::Node),
];

/// What one way came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupRow {
    /// The way.
    pub way: Way,
    /// What it costs, or why it could not be tried.
    pub cost: Result<LookupCost, LookupError>,
}

/// What one way costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LookupCost {
    /// Questions that CoreDNS got for a thousand lookups.
    pub questions: usize,
    /// Those of them that it passed on to another server.
    pub forwarded: usize,
    /// How long the first lookup took, in microseconds.
    pub first_us: u64,
    /// How long all of them took on average, in microseconds.
    pub mean_us: u64,
    /// Lookups of a thousand that found no address.
    pub failed: usize,
    /// Lookups of a thousand that found an address which the Service no longer has.
    pub stale: usize,
}

/// Why a way could not be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// Nothing can be started there, or the name is none: in the words of who refused it.
    Refused(String),
    /// There are no two CoreDNS of which one could hang.
    OneServer,
    /// No Service of the cluster with an address of its own has the name.
    NoService,
}

impl LookupError {
    /// The reason in words.
    pub fn text(&self, lang: Lang) -> String {
        match self {
            Self::Refused(why) => why.clone(),
            Self::OneServer => words::text(lang, "names.compare.alone", &[]),
            Self::NoService => words::text(lang, "names.compare.no-service", &[]),
        }
    }
}

impl LookupCost {
    /// Questions, those passed on, failures, stale answers, the first one's time and the mean, as they stand in a table.
    pub fn cells(&self) -> [String; 6] {
        let ms = |us: u64| format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10);
        let [questions, forwarded, failed, stale] =
            [self.questions, self.forwarded, self.failed, self.stale].map(|count| count.to_string());
        [questions, forwarded, failed, stale, ms(self.first_us), ms(self.mean_us)]
    }
}

impl Way {
    /// The way in words.
    pub fn text(self, lang: Lang) -> String {
        let (key, args) = match self {
            Self::Ndots(dots) => ("names.compare.ndots", vec![dots.to_string()]),
            Self::Whole => ("names.compare.whole", Vec::new()),
            Self::SingleRequest => ("names.compare.single", Vec::new()),
            Self::Musl => ("names.compare.musl", Vec::new()),
            Self::OneKilled => ("names.compare.killed", Vec::new()),
            Self::OneHangs => ("names.compare.hangs", Vec::new()),
            Self::NodeLocal => ("names.compare.local", Vec::new()),
            Self::Changing(Memory::Nobody) => ("names.compare.changing", Vec::new()),
            Self::Changing(Memory::CoreDns) => ("names.compare.changing-cached", Vec::new()),
            Self::Changing(Memory::Node) => ("names.compare.changing-local", Vec::new()),
        };
        words::text(lang, key, &args)
    }

    /// The options of `/etc/resolv.conf` that it adds; later ones win.
    fn options(self) -> String {
        match self {
            Self::Ndots(dots) => format!("options ndots:{dots}\n"),
            Self::SingleRequest => "options single-request\n".to_owned(),
            Self::Whole
            | Self::Musl
            | Self::NodeLocal
            | Self::OneKilled
            | Self::OneHangs
            | Self::Changing(_) => String::new(),
        }
    }
}

/// Looks `name` up from a Pod of the cluster that `text` describes, in every way; a row for each of [`WAYS`].
pub fn compare(text: &str, from: &Target, name: &str) -> Vec<LookupRow> {
    let mut work = LookupComparison::new(text, from, name);
    while work.advance() {}
    work.rows
}

/// A comparison that is worked through bit by bit, so that a page need not wait for it.
pub struct LookupComparison {
    text: String,
    from: Target,
    name: String,
    current: Option<Measuring>,
    /// The ways that are done, in the order of [`WAYS`].
    pub rows: Vec<LookupRow>,
}

impl LookupComparison {
    /// Nothing has been done yet.
    pub fn new(text: &str, from: &Target, name: &str) -> Self {
        let (text, name) = (text.to_owned(), name.to_owned());
        Self { text, from: from.clone(), name, current: None, rows: Vec::new() }
    }

    /// Does the next bit: brings a way's cluster up, or looks the name up once. Says whether there is more to do.
    pub fn advance(&mut self) -> bool {
        let Some(&way) = WAYS.get(self.rows.len()) else { return false };
        let cost = match &mut self.current {
            None => match Measuring::new(&self.text, &self.from, &self.name, way) {
                Ok(measuring) => {
                    self.current = Some(measuring);
                    return true;
                }
                Err(error) => Err(error),
            },
            Some(measuring) => match measuring.look_up() {
                None => return true,
                Some(cost) => Ok(cost),
            },
        };
        self.current = None;
        self.rows.push(LookupRow { way, cost });
        self.rows.len() < WAYS.len()
    }
}

/// One way at work in its cluster.
struct Measuring {
    lab: Lab,
    netns: NetnsId,
    environment: Environment,
    name: String,
    done: usize,
    /// What the lookups took together.
    spent: Duration,
    /// Events of the name servers before the first lookup.
    before: usize,
    /// The Pod that is killed after half of the lookups.
    victim: Option<ObjectKey>,
    /// The Service that is made anew after half of the lookups.
    changing: Option<ObjectKey>,
    cost: LookupCost,
}

impl Measuring {
    fn new(text: &str, from: &Target, name: &str, way: Way) -> Result<Self, LookupError> {
        let mut lab = Lab::new(1);
        lab.apply(text);
        let limit = lab.now() + LIMIT;
        lab.settle(limit);
        lab.need_names(from, &["getent".to_owned()]);
        let (netns, mut environment) =
            lab.find(from).map_err(|error| LookupError::Refused(error.to_string()))?;
        let path = "/etc/resolv.conf";
        let conf = lab.sim.file_of(netns, &environment.mounts, path).unwrap_or_default().into_owned();
        let conf = (conf + &way.options()).into_bytes();
        let written = lab.sim.put_file(netns, &environment.mounts, path, conf);
        debug_assert!(written.is_ok(), "/etc is there");
        let image = if way == Way::Musl { MUSL_IMAGE } else { GLIBC_IMAGE };
        environment.image = Some(image.into());
        let mut name = name.to_owned();
        let (mut victim, mut changing) = (None, None);
        match way {
            Way::Whole => name = whole_name(&mut lab, from, &name).map_err(LookupError::Refused)?,
            Way::OneKilled => victim = Some(one_of_several(&mut lab, netns)?.0),
            Way::OneHangs => {
                let (_, server) = one_of_several(&mut lab, netns)?;
                lab.sim.stop(&[server]);
            }
            Way::NodeLocal => change::add_node_local(&mut lab),
            Way::Changing(memory) => {
                name = whole_name(&mut lab, from, &name).map_err(LookupError::Refused)?;
                changing = Some(change::service_of(&mut lab, &name).ok_or(LookupError::NoService)?);
                change::remember(&mut lab, memory);
            }
            Way::Ndots(_) | Way::SingleRequest | Way::Musl => {}
        }
        let before = lab.live().names.len();
        Ok(Self {
            lab,
            netns,
            environment,
            name,
            done: 0,
            spent: Duration(0),
            before,
            victim,
            changing,
            cost: LookupCost::default(),
        })
    }

    /// Looks the name up once more; the cost once that was the last time.
    fn look_up(&mut self) -> Option<LookupCost> {
        if let Some(key) = self.victim.take_if(|_| self.done == LOOKUPS / 2) {
            // What is gone already cannot be killed.
            drop(self.lab.request(&ApiRequest::Delete { key, propagation: None, grace_seconds: Some(0) }));
        }
        if let Some(key) = &self.changing {
            if self.done == LOOKUPS / 2 {
                change::make_anew(&mut self.lab, key);
            }
            let next = self.lab.now() + change::PAUSE;
            self.lab.wait_until(next);
        }
        let (status, took, out) = look_up(&mut self.lab, (self.netns, &self.environment), &self.name);
        self.spent = self.spent + took;
        self.cost.failed += usize::from(status != Some(0));
        if let Some(key) = &self.changing {
            self.cost.stale += usize::from(change::is_stale(&mut self.lab, key, &out));
        }
        if self.done == 0 {
            self.cost.first_us = took.0 / 1_000;
        }
        self.done += 1;
        (self.done == LOOKUPS).then(|| self.total())
    }

    fn total(&mut self) -> LookupCost {
        let mut cost = self.cost.clone();
        cost.mean_us = self.spent.0 / 1_000 / LOOKUPS as u64;
        let live = self.lab.live();
        // The load on CoreDNS is counted: a node's own cache is none.
        let of_pod = |netns: NetnsId| {
            live.netns.get(&netns).is_some_and(|state| matches!(state.row.role, NetnsRole::Pod { .. }))
        };
        for (_, did) in live.names.iter().skip(self.before).filter(|(_, did)| of_pod(did.netns)) {
            // A CNAME is followed through the server once more; what the client asked has the question's own words.
            let is_asked = did.did == "dns.server.block" && *did.question == did.args[1..].join(" ");
            cost.questions += usize::from(is_asked);
            cost.forwarded += usize::from(did.did == "dns.forward.asks");
        }
        for count in [&mut cost.questions, &mut cost.forwarded, &mut cost.failed, &mut cost.stale] {
            *count = *count * 1_000 / LOOKUPS;
        }
        cost
    }
}

fn look_up(
    lab: &mut Lab,
    (netns, environment): (NetnsId, &Environment),
    name: &str,
) -> (Option<u8>, Duration, String) {
    let (began, from) = (lab.now(), lab.trace().len());
    let process = lab.sim.begin(netns, environment);
    let services = Services { files: true, dns: true };
    let program = Getent { database: Database::Ahosts, keys: vec![name.to_owned()], services, idn: true };
    lab.sim.run(process, Box::new(program), "getent");
    lab.finish(process, SimTime(began.0 + LIMIT.0));
    (lab.status(process), lab.now().since(began), lab.trace().written(from, process))
}

/// The candidate that is found, or the name itself.
fn whole_name(lab: &mut Lab, from: &Target, name: &str) -> Result<String, String> {
    let lookup = lab.lookup(name, from, None)?;
    let found = lookup.tries.into_iter().find(super::lookup::Try::found);
    Ok(found.map_or_else(|| format!("{}.", name.trim_end_matches('.')), |one| one.name))
}

/// A CoreDNS that is not the one who asks, with its namespace, if there are others.
fn one_of_several(lab: &mut Lab, asker: NetnsId) -> Result<(ObjectKey, NetnsId), LookupError> {
    let live = lab.live();
    let servers =
        live.pods.values().filter(|pod| &*pod.namespace == "kube-system" && pod.name.starts_with("coredns-"));
    let servers = servers.filter_map(|pod| {
        let key = ObjectKey { kind: "Pod".into(), namespace: pod.namespace.clone(), name: pod.name.clone() };
        Some((key, pod.netns.filter(|netns| *netns != asker)?))
    });
    let mut servers: Vec<(ObjectKey, NetnsId)> = servers.collect();
    if servers.len() < 2 {
        return Err(LookupError::OneServer);
    }
    Ok(servers.swap_remove(0))
}

/// The keys of the table's heads in the catalogue, after `names.compare.`.
pub const HEADS: [&str; 7] = ["way", "questions", "forwarded", "failed", "stale", "first", "mean"];

/// The table for a person. A way that could not be tried has its reason in place of the figures.
pub fn table(rows: &[LookupRow], lang: Lang) -> String {
    let mut lines: Vec<Vec<String>> =
        vec![HEADS.iter().map(|head| words::text(lang, &format!("names.compare.{head}"), &[])).collect()];
    for row in rows {
        let way = row.way.text(lang);
        lines.push(match &row.cost {
            Ok(cost) => [way].into_iter().chain(cost.cells()).collect(),
            Err(error) => vec![way, error.text(lang)],
        });
    }
    // A reason is no column.
    let full = |line: &&Vec<String>| line.len() == HEADS.len();
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|at| {
            let all = lines.iter().filter(|line| at == 0 || full(line));
            all.map(|line| line[at].chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for line in &lines {
        for (at, word) in line.iter().enumerate() {
            let pad = if full(&line) || at == 0 { widths[at] - word.chars().count() } else { 0 };
            let pad = " ".repeat(pad);
            let _ = if at == 0 { write!(out, "{word}{pad}") } else { write!(out, "  {pad}{word}") };
        }
        out.push('\n');
    }
    out
}

/// The rows for a program: `way` with the fields of [`LookupCost`], or with `error`.
pub fn json(rows: &[LookupRow], lang: Lang) -> Value {
    let row = |row: &LookupRow| {
        let mut value = match &row.cost {
            Ok(cost) => json!(cost),
            Err(error) => json!({ "error": error.text(lang) }),
        };
        value["way"] = json!(row.way.text(lang));
        value
    };
    rows.iter().map(row).collect()
}
