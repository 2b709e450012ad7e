//! What the servers answer: the zone of a simulated cluster, and what a case has them do instead.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use vethscope::base::dns::{Question, Rcode, Type};
use vethscope::cluster::dns::{Answer, Kubernetes, Outcome, Pending, Upstream, View};
use vethscope::wire::dns::{self, Edns, Message};

/// The cluster whose names are asked for.
const CLUSTER: &str = "
{kind: Namespace, apiVersion: v1, metadata: {name: prod}}
---
{kind: Service, apiVersion: v1, metadata: {name: web, namespace: default}, spec: {clusterIP: 10.96.0.80, ports: [{port: 80}]}}
---
{kind: Service, apiVersion: v1, metadata: {name: api, namespace: prod}, spec: {clusterIP: 10.96.0.81, ports: [{port: 80}]}}
---
{kind: Service, apiVersion: v1, metadata: {name: six, namespace: default}, spec: {clusterIP: 'fd00::66', ipFamilies: [IPv6], ports: [{port: 80}]}}
---
{kind: Service, apiVersion: v1, metadata: {name: www, namespace: default}, spec: {type: ExternalName, externalName: web.default.svc.cluster.local}}
---
{kind: Service, apiVersion: v1, metadata: {name: gone, namespace: default}, spec: {type: ExternalName, externalName: nosuch.example.net}}
---
{kind: Service, apiVersion: v1, metadata: {name: many, namespace: default}, spec: {clusterIP: None, ports: [{port: 80}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: many-1, namespace: default, labels: {kubernetes.io/service-name: many}}
addressType: IPv4
ports: [{port: 80}]
endpoints:
- {addresses: [10.244.1.11]}
- {addresses: [10.244.1.12]}
- {addresses: [10.244.2.13]}
";

/// How late a slow server is, and one that loses what comes meanwhile, in milliseconds.
const SLOW_MS: u64 = 1500;
const RACE_MS: u64 = 30;

/// The address of a server.
pub(crate) fn address(server: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, 1 + server as u8)
}

/// What a server does with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Nothing,
    /// Sends this after so many milliseconds.
    Reply(u64, Vec<u8>),
}

/// All servers of a case.
#[derive(Clone)]
pub(crate) struct Servers {
    plugin: Kubernetes,
    view: View,
    behaviors: Vec<String>,
    /// How often each was asked for each type.
    asked: BTreeMap<(usize, u16), usize>,
    /// Ports that a server has seen, with when it answers them.
    ports: BTreeMap<(usize, u16), u64>,
    seen: BTreeSet<(usize, u16)>,
}

/// The zone asks itself for what a `CNAME` leads to.
struct Itself<'z>(&'z Kubernetes, &'z View);

impl Upstream for Itself<'_> {
    fn lookup(&mut self, question: &Question) -> Result<Option<Answer>, Pending> {
        match self.0.answer(self.1, question, &mut Itself(self.0, self.1))? {
            Outcome::Answered(answer) => Ok(Some(answer)),
            Outcome::Next | Outcome::Refused => Ok(None),
        }
    }
}

impl Servers {
    pub(crate) fn new(behaviors: &[String]) -> Self {
        let parsed = vethscope::manifest::parse(CLUSTER);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        Self {
            plugin: Kubernetes::new(vec!["cluster.local.".to_owned()]),
            view: View::of(parsed.objects.iter().map(|located| &located.object)),
            behaviors: behaviors.to_vec(),
            asked: BTreeMap::new(),
            ports: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.behaviors.len()
    }

    /// Whether anybody listens.
    pub(crate) fn listens(&self, server: usize, tcp: bool) -> bool {
        let behavior = self.behaviors[server].as_str();
        behavior != "closed" && !(tcp && behavior == "cut-only")
    }

    fn behavior(&mut self, server: usize, kind: Type) -> String {
        let text = self.behaviors[server].clone();
        let (first, second) = text.split_once('/').unwrap_or((&text, &text));
        let list: Vec<&str> = if kind == Type::Aaaa { second } else { first }.split(',').collect();
        let times = self.asked.entry((server, kind.number())).or_default();
        let word = list[(*times).min(list.len() - 1)].to_owned();
        *times += 1;
        word
    }

    /// What a server does with a message that came from `port` now, and the question in words.
    pub(crate) fn take(
        &mut self,
        server: usize,
        tcp: bool,
        port: u16,
        now_ms: u64,
        bytes: &[u8],
    ) -> (String, Act) {
        let Ok(query) = Message::parse(bytes) else { return ("malformed".to_owned(), Act::Nothing) };
        let Some(question) = query.questions.first().cloned() else {
            return ("no question".to_owned(), Act::Nothing);
        };
        let what = words(&query, &question);
        let behavior = self.behavior(server, question.kind);
        let mut wait_ms = 0;
        match behavior.as_str() {
            "silent" => return (what, Act::Nothing),
            "slow" => wait_ms = SLOW_MS,
            "one" if !self.seen.insert((server, port)) => return (what, Act::Nothing),
            "race" => {
                let open = self.ports.get(&(server, port)).is_some_and(|until| now_ms < *until);
                if open {
                    return (what, Act::Nothing);
                }
                self.ports.insert((server, port), now_ms + RACE_MS);
                wait_ms = RACE_MS;
            }
            _ => {}
        }
        let mut reply = query.reply();
        reply.set(dns::RA, true);
        reply.edns = query.edns.as_ref().map(|_| Edns { udp_size: 1232, ..Edns::default() });
        match behavior.as_str() {
            "servfail" => reply.rcode = Rcode::ServFail,
            "refused" => reply.rcode = Rcode::Refused,
            "notimp" => reply.rcode = Rcode::NotImp,
            "formerr" => reply.rcode = Rcode::FormErr,
            "nxdomain" => reply.rcode = Rcode::NxDomain,
            "nodata" => {}
            "lame" => reply.set(dns::RA, false),
            "cut" | "cut-only" if !tcp => reply.set(dns::TC, true),
            _ => self.answer(&question, &mut reply),
        }
        (what, Act::Reply(wait_ms, reply.to_bytes(false).unwrap_or_default()))
    }

    fn answer(&self, question: &Question, reply: &mut Message) {
        let mut itself = Itself(&self.plugin, &self.view);
        match self.plugin.answer(&self.view, question, &mut itself) {
            Ok(Outcome::Answered(answer)) => {
                reply.rcode = answer.rcode;
                reply.set(dns::AA, true);
                (reply.answer, reply.authority, reply.additional) =
                    (answer.answer, answer.authority, answer.additional);
            }
            Ok(Outcome::Next | Outcome::Refused) | Err(Pending) => reply.rcode = Rcode::NxDomain,
        }
    }
}

/// A question with all that the resolver set beside it.
fn words(query: &Message, question: &Question) -> String {
    let mut out = format!("{} {}", question.name, question.kind);
    for (flag, name) in [(dns::RD, "rd"), (dns::AD, "ad"), (dns::CD, "cd")] {
        if query.has(flag) {
            out = out + " " + name;
        }
    }
    if let Some(edns) = &query.edns {
        let edns = format!(" edns {} {}", edns.version, edns.udp_size);
        out.push_str(&edns);
    }
    out
}
