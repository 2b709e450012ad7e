//! `vethscope dns`: what the cluster's CoreDNS answers to a question, as it is configured and as the cluster stands.
//! Nothing is sent: the question enters the server's plugins, and upstream servers answer at once from what they know.

use super::{Lab, Target};
use crate::base::dns::{Question, Rcode, Type, labels};
use crate::base::{Rng, words};
use crate::cluster::dns::outside::Outside;
use crate::cluster::dns::server::{Ask, Done, Served, Server, State, Step, Turn};
use crate::cluster::dns::{Answer, default_corefile};
use serde::Serialize;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// Most upstream questions for one question.
const ASKS_MAX: usize = 64;
/// Where the Corefile lies in CoreDNS's container.
pub(super) const FOLDER: &str = "/etc/coredns/";

/// The answer, with records as zone files write them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamesAnswer {
    /// Response code.
    pub rcode: String,
    /// Answer section.
    pub answer: Vec<String>,
    /// Authority section.
    pub authority: Vec<String>,
    /// Additional section.
    pub additional: Vec<String>,
    /// Whether the server is the authority.
    pub aa: bool,
    /// Whether something was left out.
    pub tc: bool,
    /// What each plugin did, in order.
    pub steps: Vec<NamesStep>,
}

/// What a plugin did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamesStep {
    /// The plugin.
    pub plugin: String,
    /// What it did, in words.
    pub did: String,
}

/// Reads a name as it is typed: it need not end in a dot, and stands for itself all the same.
pub fn question(name: &str, kind: &str) -> Result<Question, String> {
    let kind: Type = kind.parse().map_err(|()| format!("no type of record is called {kind:?}"))?;
    let name = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
    labels(&name).map_err(|wrong| format!("not a domain name: {name:?}: {wrong}"))?;
    Ok(Question { name, kind })
}

impl Lab {
    /// Asks the cluster's CoreDNS; `from` is the Pod that asks, or else a node does.
    pub fn dns(&mut self, question: &Question, from: Option<&Target>) -> Result<NamesAnswer, String> {
        let Some(control) = self.sim.agent() else { return Err("there is no cluster".to_owned()) };
        let Some(cluster) = control.cluster_spec().cloned() else {
            return Err("there is no cluster".to_owned());
        };
        let client = match from {
            Some(Target::Pod { namespace, name, .. }) => control
                .pod_address(namespace, name)
                .ok_or_else(|| format!("no Pod with an address is called {namespace}/{name}"))?,
            Some(Target::Node(_) | Target::Host(_)) | None => {
                cluster.nodes.first().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |node| node.address.into())
            }
        };
        let written = control.corefile();
        let (corefile, files) = written.unwrap_or_else(|| {
            (default_corefile(&cluster.dns.cluster_domain), std::collections::BTreeMap::new())
        });
        let resolv_conf = control.node_resolv_conf();
        let file = |path: &str| match path {
            "/etc/resolv.conf" => Some(resolv_conf.clone()),
            _ => files.get(path.strip_prefix(FOLDER)?).cloned(),
        };
        let server = Server::new(&corefile, &file).map_err(|wrong| format!("{FOLDER}Corefile:{wrong}"))?;
        let mut view = control.watched_names();
        let listens = server.listens();
        let port = if listens.contains_key(&53) { 53 } else { listens.keys().next().copied().unwrap_or(53) };
        let bound = listens.get(&port).cloned().unwrap_or_default();
        // Of several replicas one answers; one without a Pod knows itself by the loopback address.
        let mut own: Vec<IpAddr> = control.coredns_addresses().into_iter().take(1).collect();
        if own.is_empty() {
            own.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        view.local = if bound.is_empty() { own } else { bound };
        view.serial = self.sim.now().unix_secs() as u32;
        let mut known: Vec<(Ask, Result<Answer, String>)> = Vec::new();
        // Chance only orders the records of an answer here, and is not the lab's own.
        let mut rng = Rng::with_seed(1);
        let (mut state, now) = (State::default(), self.sim.now());
        let done = loop {
            let turn = Turn { view: &view, now, port, question, client, dnssec: false, known: &known };
            match server.serve(&mut state, &turn, &mut rng) {
                Served::Done(done) => break done,
                Served::Ask(ask, _) if known.len() >= ASKS_MAX => {
                    return Err(format!("more than {ASKS_MAX} questions upstream, the last one {ask:?}"));
                }
                Served::Ask(ask, _) => {
                    let servers = server.forward(ask.forward).map(|forward| forward.servers.clone());
                    let got = servers.unwrap_or_default().into_iter().find_map(|server| {
                        Outside::at(&cluster, IpAddr::V4(*server.ip()))
                            .map(|outside| outside.answer(&ask.question))
                    });
                    known.push((ask, got.ok_or_else(|| "no upstream server answers".to_owned())));
                }
            }
        };
        Ok(NamesAnswer::of(&done))
    }
}

impl NamesAnswer {
    fn of(done: &Done) -> Self {
        let texts = |records: &[crate::base::dns::Record]| records.iter().map(ToString::to_string).collect();
        let answer = &done.answer;
        Self {
            rcode: answer.rcode.to_string(),
            answer: texts(&answer.answer),
            authority: texts(&answer.authority),
            additional: texts(&answer.additional),
            aa: answer.authoritative,
            tc: answer.truncated,
            steps: done.steps.iter().map(NamesStep::of).collect(),
        }
    }

    /// Whether the answer names a record.
    pub fn found(&self) -> bool {
        self.rcode == Rcode::NoError.to_string() && !self.answer.is_empty()
    }

    /// The answer for a person.
    pub fn text(&self) -> String {
        let mut out = self.rcode.clone();
        if self.rcode == "NOERROR" && self.answer.is_empty() {
            out += " (NODATA)";
        }
        for (flag, name) in [(self.aa, "aa"), (self.tc, "tc")] {
            if flag {
                let _ = write!(out, " {name}");
            }
        }
        out.push('\n');
        let sections =
            [("answer", &self.answer), ("authority", &self.authority), ("additional", &self.additional)];
        for (name, records) in sections {
            for record in records {
                let _ = writeln!(out, "{name}: {record}");
            }
        }
        for step in &self.steps {
            let _ = writeln!(out, "  {}: {}", step.plugin, step.did);
        }
        out
    }
}

impl NamesStep {
    fn of(step: &Step) -> Self {
        Self { plugin: step.plugin.to_owned(), did: words::text(words::Lang::En, step.did, &step.args) }
    }
}
