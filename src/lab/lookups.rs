//! The same name looked up in several ways, each in a cluster of its own made from the same text: what it costs in
//! questions, in time and in load on CoreDNS. Everything is measured on packets that were sent.
//!
//! *Simplified*: lookups follow one another without a pause, each in a process of its own, as by a shell's loop.

use super::{Lab, Target};
use crate::agent::Environment;
use crate::app::getent::{Database, Getent};
use crate::base::words::{self, Lang};
use crate::base::{Duration, NetnsId, SimTime};
use serde::Serialize;
use std::fmt::Write as _;

/// How often the name is looked up in each way.
pub const LOOKUPS: usize = 50;
/// Simulated time for the cluster to come up, and for one lookup.
const LIMIT: Duration = Duration::from_secs(120);
/// An image whose programs are linked with musl.
const MUSL_IMAGE: &str = "alpine";

/// A way to look a name up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Ndots(usize),
    /// The name that was found in the end, with its last dot.
    Whole,
    SingleRequest,
    Musl,
    /// One of the CoreDNS stands still, and nobody has noticed.
    OneHangs,
}

const WAYS: [Way; 6] =
    [Way::Ndots(5), Way::Ndots(2), Way::Whole, Way::SingleRequest, Way::Musl, Way::OneHangs];

/// What one way came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LookupRow {
    /// The way, in words.
    pub way: String,
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
}

impl Way {
    /// The way in words.
    fn text(self, lang: Lang) -> String {
        let (key, args) = match self {
            Self::Ndots(dots) => ("names.compare.ndots", vec![dots.to_string()]),
            Self::Whole => ("names.compare.whole", Vec::new()),
            Self::SingleRequest => ("names.compare.single", Vec::new()),
            Self::Musl => ("names.compare.musl", Vec::new()),
            Self::OneHangs => ("names.compare.hangs", Vec::new()),
        };
        words::text(lang, key, &args)
    }

    /// The options of `/etc/resolv.conf` that it adds; later ones win.
    fn options(self) -> String {
        match self {
            Self::Ndots(dots) => format!("options ndots:{dots}\n"),
            Self::SingleRequest => "options single-request\n".to_owned(),
            Self::Whole | Self::Musl | Self::OneHangs => String::new(),
        }
    }
}

/// Looks `name` up from a Pod of the cluster that `text` describes, in every way.
pub fn compare(text: &str, from: &Target, name: &str, lang: Lang) -> Result<Vec<LookupRow>, String> {
    WAYS.iter().map(|way| measure(text, from, name, *way, lang)).collect()
}

fn measure(text: &str, from: &Target, name: &str, way: Way, lang: Lang) -> Result<LookupRow, String> {
    let mut lab = Lab::new(1);
    lab.apply(text);
    let limit = lab.now() + LIMIT;
    lab.settle(limit);
    lab.need_names(from, &["getent".to_owned()]);
    let (netns, mut environment) = lab.find(from).map_err(|error| error.to_string())?;
    let path = "/etc/resolv.conf";
    let conf = lab.sim.file_of(netns, &environment.mounts, path).cloned().unwrap_or_default();
    lab.sim.put_file(netns, &environment.mounts, path, conf + &way.options());
    let mut name = name.to_owned();
    match way {
        Way::Musl => environment.image = Some(MUSL_IMAGE.into()),
        Way::Whole => name = whole_name(&mut lab, from, &name)?,
        Way::OneHangs => hang_one(&mut lab, netns)?,
        Way::Ndots(_) | Way::SingleRequest => {}
    }
    let mut row =
        LookupRow { way: way.text(lang), questions: 0, forwarded: 0, first_us: 0, mean_us: 0, failed: 0 };
    let before = lab.live().names.len();
    let began = lab.now();
    for at in 0..LOOKUPS {
        let (status, took) = look_up(&mut lab, (netns, &environment), &name);
        row.failed += usize::from(status != Some(0));
        if at == 0 {
            row.first_us = took.0 / 1_000;
        }
    }
    row.mean_us = lab.now().since(began).0 / 1_000 / LOOKUPS as u64;
    for (_, did) in &lab.live().names[before..] {
        // A CNAME is followed through the server once more; what the client asked has the question's own words.
        let is_asked = did.did == "dns.server.block" && *did.question == did.args[1..].join(" ");
        row.questions += usize::from(is_asked);
        row.forwarded += usize::from(did.did == "dns.forward.asks");
    }
    for count in [&mut row.questions, &mut row.forwarded, &mut row.failed] {
        *count = *count * 1_000 / LOOKUPS;
    }
    Ok(row)
}

fn look_up(
    lab: &mut Lab,
    (netns, environment): (NetnsId, &Environment),
    name: &str,
) -> (Option<u8>, Duration) {
    let began = lab.now();
    let process = lab.sim.begin(netns, environment);
    let program = Getent { database: Database::Ahosts, keys: vec![name.to_owned()] };
    lab.sim.run(process, Box::new(program), "getent");
    lab.finish(process, SimTime(began.0 + LIMIT.0));
    (lab.status(process), lab.now().since(began))
}

/// The candidate that is found, or the name itself.
fn whole_name(lab: &mut Lab, from: &Target, name: &str) -> Result<String, String> {
    let lookup = lab.lookup(name, from, None)?;
    let found = lookup.tries.into_iter().find(super::lookup::Try::found);
    Ok(found.map_or_else(|| format!("{}.", name.trim_end_matches('.')), |one| one.name))
}

/// Has the CoreDNS stand still that the Pod does not share its node with, if there is such a one.
fn hang_one(lab: &mut Lab, asker: NetnsId) -> Result<(), String> {
    let live = lab.live();
    let servers =
        live.pods.values().filter(|pod| &*pod.namespace == "kube-system" && pod.name.starts_with("coredns-"));
    let mut servers: Vec<NetnsId> =
        servers.filter_map(|pod| pod.netns).filter(|netns| *netns != asker).collect();
    if servers.len() < 2 {
        return Err("there are no two CoreDNS of which one could hang".to_owned());
    }
    servers.truncate(1);
    lab.sim.stop(&servers);
    Ok(())
}

/// The table for a person.
pub fn table(rows: &[LookupRow], lang: Lang) -> String {
    let heads = ["way", "questions", "forwarded", "failed", "first", "mean"];
    let mut lines: Vec<Vec<String>> =
        vec![heads.iter().map(|head| words::text(lang, &format!("names.compare.{head}"), &[])).collect()];
    let ms = |us: u64| format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10);
    for row in rows {
        let counts = [row.questions, row.forwarded, row.failed].map(|count| count.to_string());
        let times = [ms(row.first_us), ms(row.mean_us)];
        lines.push([row.way.clone()].into_iter().chain(counts).chain(times).collect());
    }
    let widths: Vec<usize> = (0..heads.len())
        .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in lines {
        for (at, word) in line.iter().enumerate() {
            let pad = " ".repeat(widths[at] - word.chars().count());
            let _ = if at == 0 { write!(out, "{word}{pad}") } else { write!(out, "  {pad}{word}") };
        }
        out.push('\n');
    }
    out
}
