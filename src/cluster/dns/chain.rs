//! The way of a question through the plugins of a server block.

use super::cache::Hit;
use super::file::Kind;
use super::forward::Forward;
use super::name::{is_subdomain, zone_of};
use super::plugin::{self, Configured, Log, Plugin, falls_through};
use super::server::{Ask, Done, Refresh, Served, Server, State, Step, TOO_MANY, Turn};
use super::template::Made;
use super::{Answer, Kubernetes, Outcome, Pending, PodMode, Question, RData, Rcode, Record, Type, Upstream};
use crate::base::Rng;
use std::net::IpAddr;

/// How often a server may ask itself for one question (`maxreentries`).
const DEPTH_MAX: usize = 10;
/// Query of the plugin `loop` that come back so often mean a loop.
const LOOP_MAX: u32 = 2;

/// What a plugin gives back.
pub(super) enum Reply {
    /// It wrote an answer.
    Written(Answer),
    /// It wrote none; the server writes one with this code. What went wrong.
    Failed(Rcode, Option<String>),
}

/// A question on its way.
pub(super) struct Walk<'a> {
    pub(super) server: &'a Server,
    state: &'a mut State,
    pub(super) turn: &'a Turn<'a>,
    rng: &'a mut Rng,
    steps: Vec<Step>,
    /// Formats of lines for the log.
    pub(super) logs: Vec<String>,
    refresh: Option<Refresh>,
    looped: Option<String>,
    ask: Option<Ask>,
    depth: usize,
}

pub(super) type Flow = Result<Reply, Pending>;

/// The plugins `kubernetes`, `k8s_external` and `file` ask the server for names outside (`upstream.Lookup`): who cannot
/// answer gives an answer without records.
pub(super) struct Inside<'w, 'a>(pub(super) &'w mut Walk<'a>);

impl Upstream for Inside<'_, '_> {
    fn lookup(&mut self, question: &Question) -> Result<Option<Answer>, Pending> {
        match self.0.whole(question)? {
            Reply::Written(answer) => Ok(Some(answer)),
            Reply::Failed(rcode, _) => Ok(Some(Answer::empty(rcode))),
        }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        server: &'a Server,
        state: &'a mut State,
        turn: &'a Turn<'a>,
        rng: &'a mut Rng,
    ) -> Self {
        Self {
            server,
            state,
            turn,
            rng,
            steps: Vec::new(),
            logs: Vec::new(),
            refresh: None,
            looped: None,
            ask: None,
            depth: 0,
        }
    }

    pub(super) fn served(self, reply: Flow) -> Served {
        let (answer, error) = match reply {
            Ok(Reply::Written(answer)) => (answer, None),
            Ok(Reply::Failed(rcode, error)) => (Answer::empty(rcode), error),
            Err(Pending) => match self.ask {
                Some(ask) => return Served::Ask(ask, self.steps),
                None => (Answer::empty(Rcode::ServFail), None),
            },
        };
        Served::Done(Done {
            answer,
            steps: self.steps,
            logs: self.logs,
            error,
            refresh: self.refresh,
            looped: self.looped,
        })
    }

    pub(super) fn step(&mut self, plugin: &'static str, did: &'static str, args: &[&str]) {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.steps.push(Step { plugin, did, args });
    }

    /// The server block with the longest zone that the name lies in.
    pub(super) fn whole(&mut self, question: &Question) -> Flow {
        if self.depth >= DEPTH_MAX {
            return Ok(Reply::Failed(Rcode::ServFail, None));
        }
        let mut best: Option<(usize, &str)> = None;
        for (index, block) in self.server.blocks.iter().enumerate() {
            for (zone, port) in &block.zones {
                let longer = best.is_none_or(|(_, found)| zone.len() > found.len());
                if *port == self.turn.port && longer && is_subdomain(zone, &question.name) {
                    best = Some((index, zone));
                }
            }
        }
        let Some((block, zone)) = best else {
            self.step("server", "dns.server.none", &[&question.name]);
            return Ok(Reply::Failed(Rcode::Refused, None));
        };
        self.step("server", "dns.server.block", &[zone, &question.name, &question.kind.to_string()]);
        self.depth += 1;
        let reply = self.next(block, 0, question);
        self.depth -= 1;
        reply
    }

    /// From a place of the chain on.
    pub(super) fn next(&mut self, block: usize, at: usize, question: &Question) -> Flow {
        let server = self.server;
        let Some(configured) = server.blocks[block].plugins.get(at) else {
            self.step("server", "dns.server.end", &[]);
            return Ok(Reply::Failed(Rcode::ServFail, Some("no next plugin found".to_owned())));
        };
        match &configured.plugin {
            Plugin::Passive => self.next(block, at + 1, question),
            Plugin::Errors => self.errors(block, at, question),
            Plugin::Log(log) => self.log(log, block, at, question),
            Plugin::Loadbalance => self.loadbalance(block, at, question),
            Plugin::Local => self.local(block, at, question),
            Plugin::Minimal => {
                let mut reply = self.next(block, at + 1, question)?;
                if let Reply::Written(answer) = &mut reply
                    && answer.rcode == Rcode::NoError
                    && !answer.answer.is_empty()
                {
                    answer.authority.clear();
                    answer.additional.clear();
                }
                Ok(reply)
            }
            Plugin::Cache(cache) if zone_of(&cache.zones, &question.name).is_none() => {
                self.next(block, at + 1, question)
            }
            Plugin::Cache(_) => self.cache(block, at, question),
            Plugin::Rewrite(rules) => self.rewrite(rules, block, at, question),
            Plugin::Autopath(autopath) => self.autopath(autopath, block, at, question),
            Plugin::Template(template) => match template.answer(question, self.turn.client) {
                Made::Next => self.next(block, at + 1, question),
                Made::Failed(wrong) => Ok(Reply::Failed(Rcode::ServFail, Some(wrong))),
                Made::Answer(answer)
                    if answer.answer.is_empty()
                        && answer.rcode == Rcode::NxDomain
                        && falls_through(template.fallthrough.as_deref(), &question.name) =>
                {
                    self.next(block, at + 1, question)
                }
                Made::Answer(answer) => {
                    self.step("template", "dns.template.made", &[&answer.rcode.to_string()]);
                    Ok(Reply::Written(answer))
                }
            },
            Plugin::Transfer(all) => self.transfer(all, block, at, question),
            Plugin::Hosts(hosts) => self.hosts(hosts, block, at, question),
            Plugin::External(external) => {
                let Some(kubernetes) = kubernetes_of(&server.blocks[block].plugins) else {
                    return self.next(block, at + 1, question);
                };
                let view = self.turn.view;
                match external.answer(kubernetes, view, question, &mut Inside(self))? {
                    Some(answer) => {
                        self.answered("k8s_external", &answer);
                        Ok(Reply::Written(answer))
                    }
                    None => self.next(block, at + 1, question),
                }
            }
            Plugin::Kubernetes(kubernetes) => self.kubernetes(kubernetes, block, at, question),
            Plugin::File(file) => self.file(file, block, at, question),
            Plugin::Loop(zones) => self.looping(zones, block, at, question),
            Plugin::Forward(forward) => self.forward(forward, block, at, question),
            Plugin::Whoami => {
                let record = Record::address(&question.name, 0, self.turn.client);
                let answer = Answer { authoritative: true, additional: vec![record], ..Answer::default() };
                self.answered("whoami", &answer);
                Ok(Reply::Written(answer))
            }
        }
    }

    fn answered(&mut self, plugin: &'static str, answer: &Answer) {
        let count = answer.answer.len().to_string();
        let rcode = answer.rcode.to_string();
        let did = if answer.answer.is_empty() { "dns.answered.none" } else { "dns.answered" };
        self.step(plugin, did, &[&rcode, &count]);
    }

    fn errors(&mut self, block: usize, at: usize, question: &Question) -> Flow {
        let reply = self.next(block, at + 1, question)?;
        if let Reply::Failed(_, Some(error)) = &reply {
            let error = error.clone();
            self.step("errors", "dns.errors.wrote", &[&error]);
        }
        Ok(reply)
    }

    fn log(&mut self, log: &Log, block: usize, at: usize, question: &Question) -> Flow {
        let reply = self.next(block, at + 1, question)?;
        let rcode = match &reply {
            Reply::Written(answer) => answer.rcode,
            Reply::Failed(rcode, _) => *rcode,
        };
        let is_empty = matches!(&reply, Reply::Written(answer) if answer.answer.is_empty());
        let class = match rcode {
            Rcode::NoError if is_empty => "denial",
            Rcode::NoError => "success",
            Rcode::NxDomain => "denial",
            Rcode::FormErr | Rcode::ServFail | Rcode::NotImp | Rcode::Refused | Rcode::Other(_) => "error",
        };
        let wanted = log.classes.iter().any(|wanted| wanted == "all" || wanted == class);
        if wanted && zone_of(&log.zones, &question.name).is_some() {
            self.step("log", "dns.log.wrote", &[]);
            self.logs.push(log.format.clone());
        }
        Ok(reply)
    }

    /// `roundRobin`: names first, then addresses in chance order.
    fn loadbalance(&mut self, block: usize, at: usize, question: &Question) -> Flow {
        let mut reply = self.next(block, at + 1, question)?;
        if let Reply::Written(answer) = &mut reply
            && answer.rcode == Rcode::NoError
        {
            let before = answer.answer.clone();
            for records in [&mut answer.answer, &mut answer.authority, &mut answer.additional] {
                shuffle(records, self.rng);
            }
            if answer.answer != before {
                let count = before.len().to_string();
                self.step("loadbalance", "dns.loadbalance.shuffled", &[&count]);
            }
        }
        Ok(reply)
    }

    /// Names of the machine itself, which other servers need not be asked for.
    fn local(&mut self, block: usize, at: usize, question: &Question) -> Flow {
        let answer = match (question.name.to_ascii_lowercase().as_str(), question.kind) {
            ("localhost.", Type::A) => Record::address(&question.name, 604_800, [127, 0, 0, 1].into()),
            ("localhost.", Type::Aaaa) => {
                Record::address(&question.name, 604_800, IpAddr::V6(std::net::Ipv6Addr::LOCALHOST))
            }
            ("1.0.0.127.in-addr.arpa.", Type::Ptr) => Record {
                owner: question.name.clone(),
                ttl: 604_800,
                data: RData::Ptr("localhost.".to_owned()),
            },
            _ => return self.next(block, at + 1, question),
        };
        let answer = Answer { authoritative: true, answer: vec![answer], ..Answer::default() };
        self.answered("local", &answer);
        Ok(Reply::Written(answer))
    }

    fn cache(&mut self, block: usize, at: usize, question: &Question) -> Flow {
        let Plugin::Cache(cache) = &self.server.blocks[block].plugins[at].plugin else {
            return self.next(block, at + 1, question);
        };
        let (now, dnssec) = (self.turn.now, self.turn.dnssec);
        let memory = self.state.memories.entry((block, at)).or_default();
        let hit = cache.get(memory, question, dnssec, now);
        let refresh = Refresh { cache: (block, at), question: question.clone() };
        match hit {
            Some(Hit::Fresh(answer, left, prefetch)) => {
                let positive = answer.rcode == Rcode::NoError && !answer.answer.is_empty();
                let did = if positive { "dns.cache.hit" } else { "dns.cache.denial" };
                self.step("cache", did, &[&left.to_string(), &answer.rcode.to_string()]);
                if prefetch {
                    self.step("cache", "dns.cache.prefetch", &[]);
                    self.refresh = Some(refresh);
                }
                Ok(Reply::Written(answer))
            }
            Some(Hit::Stale(answer)) if cache.verify_stale => match self.fetch(block, at, question)? {
                Reply::Written(fresh) if matches!(fresh.rcode, Rcode::NoError | Rcode::NxDomain) => {
                    Ok(Reply::Written(fresh))
                }
                Reply::Written(_) | Reply::Failed(..) => {
                    self.step("cache", "dns.cache.stale", &[&answer.rcode.to_string()]);
                    Ok(Reply::Written(answer))
                }
            },
            Some(Hit::Stale(answer)) => {
                self.step("cache", "dns.cache.stale", &[&answer.rcode.to_string()]);
                self.refresh = Some(refresh);
                Ok(Reply::Written(answer))
            }
            None => {
                self.step("cache", "dns.cache.miss", &[]);
                self.fetch(block, at, question)
            }
        }
    }

    /// Asks what comes after a cache, and remembers the answer.
    pub(super) fn fetch(&mut self, block: usize, at: usize, question: &Question) -> Flow {
        let Plugin::Cache(cache) = &self.server.blocks[block].plugins[at].plugin else {
            return self.next(block, at + 1, question);
        };
        let mut reply = self.next(block, at + 1, question)?;
        if let Reply::Written(answer) = &mut reply {
            let memory = self.state.memories.entry((block, at)).or_default();
            match cache.put(memory, question, self.turn.dnssec, answer, self.turn.now) {
                Some(ttl) => {
                    let args = kept(question, self.turn.dnssec, answer, ttl);
                    self.steps.push(Step { plugin: "cache", did: "dns.cache.kept", args });
                }
                None => self.step("cache", "dns.cache.not_kept", &[]),
            }
        }
        Ok(reply)
    }

    fn autopath(
        &mut self,
        autopath: &plugin::Autopath,
        block: usize,
        at: usize,
        question: &Question,
    ) -> Flow {
        let search = match &autopath.search {
            _ if zone_of(&autopath.zones, &question.name).is_none() => Vec::new(),
            Some(search) => search.clone(),
            None => self.search_of_client(autopath, block, question),
        };
        let base = search.first().and_then(|first| {
            let name = &question.name;
            let head = name.len().checked_sub(first.len()).filter(|_| is_subdomain(first, name))?;
            name[..head].strip_suffix('.').filter(|base| !base.is_empty()).map(str::to_owned)
        });
        let Some(base) = base else { return self.next(block, at + 1, question) };
        let mut first = None;
        for search in &search {
            let name = format!("{base}.{search}");
            let tried = Question { name: name.clone(), kind: question.kind };
            let reply = self.next(block, at + 1, &tried)?;
            match reply {
                Reply::Written(mut answer) if answer.rcode != Rcode::NxDomain => {
                    self.step("autopath", "dns.autopath.found", &[&question.name, &name]);
                    add_cname(&mut answer, &question.name);
                    return Ok(Reply::Written(answer));
                }
                reply @ (Reply::Written(_) | Reply::Failed(..)) => {
                    first.get_or_insert(reply);
                }
            }
        }
        Ok(first.unwrap_or(Reply::Failed(Rcode::ServFail, None)))
    }

    /// `Kubernetes.AutoPath`: the search list of the Pod that asks.
    fn search_of_client(
        &self,
        autopath: &plugin::Autopath,
        block: usize,
        question: &Question,
    ) -> Vec<String> {
        let Some(kubernetes) = kubernetes_of(&self.server.blocks[block].plugins) else { return Vec::new() };
        let verified = kubernetes.pods == PodMode::Verified;
        let zone = zone_of(&kubernetes.zones, &question.name).map(|zone| zone.to_ascii_lowercase());
        let namespace = self.turn.view.namespace_of(self.turn.client).filter(|_| verified);
        let (Some(zone), Some(namespace)) = (zone, namespace) else { return Vec::new() };
        let mut search = if zone == "." {
            vec![format!("{namespace}.svc."), "svc.".to_owned(), ".".to_owned()]
        } else {
            vec![format!("{namespace}.svc.{zone}"), format!("svc.{zone}"), zone]
        };
        search.extend(autopath.own.iter().cloned());
        search.push(String::new());
        search
    }

    fn hosts(&mut self, hosts: &plugin::Hosts, block: usize, at: usize, question: &Question) -> Flow {
        let name = &question.name;
        let is_ptr = question.kind == Type::Ptr;
        if zone_of(&hosts.zones, name).is_none() && !is_ptr {
            return self.next(block, at + 1, question);
        }
        let same = |record: &&Record| record.owner.eq_ignore_ascii_case(name);
        let all: Vec<Record> = hosts.records.records().iter().filter(same).cloned().collect();
        let found: Vec<Record> = all
            .iter()
            .filter(|record| record.kind() == question.kind)
            .map(|record| Record { owner: name.clone(), ..record.clone() })
            .collect();
        if is_ptr && found.is_empty() {
            return self.next(block, at + 1, question);
        }
        if all.is_empty() {
            if falls_through(hosts.fallthrough.as_deref(), name) {
                return self.next(block, at + 1, question);
            }
            // Without a start of authority there can be no NXDOMAIN.
            self.step("hosts", "dns.hosts.none", &[]);
            return Ok(Reply::Failed(Rcode::ServFail, None));
        }
        let answer = Answer { authoritative: true, answer: found, ..Answer::default() };
        self.answered("hosts", &answer);
        Ok(Reply::Written(answer))
    }

    fn kubernetes(&mut self, kubernetes: &Kubernetes, block: usize, at: usize, question: &Question) -> Flow {
        let view = self.turn.view;
        let outcome = kubernetes.answer(view, question, &mut Inside(self))?;
        match outcome {
            Outcome::Answered(answer) => {
                self.answered("kubernetes", &answer);
                Ok(Reply::Written(answer))
            }
            Outcome::Refused => Ok(Reply::Failed(Rcode::Refused, None)),
            Outcome::Next => {
                self.step("kubernetes", "dns.kubernetes.next", &[&question.name]);
                self.next(block, at + 1, question)
            }
        }
    }

    fn file(&mut self, file: &plugin::Zones, block: usize, at: usize, question: &Question) -> Flow {
        let fits = file.zones.iter().filter(|zone| is_subdomain(&zone.name, &question.name));
        let Some(zone) = fits.max_by_key(|zone| zone.name.len()) else {
            return self.next(block, at + 1, question);
        };
        if question.kind == Type::AXFR || question.kind == Type::IXFR {
            return Ok(Reply::Failed(Rcode::Refused, None));
        }
        let (answer, kind) = zone.answer(question, self.turn.dnssec, &mut Inside(self))?;
        let may_fall = answer.answer.is_empty() && matches!(kind, Kind::NoSuchName | Kind::Success);
        if may_fall && falls_through(file.fallthrough.as_deref(), &question.name) {
            return self.next(block, at + 1, question);
        }
        self.answered("file", &answer);
        Ok(Reply::Written(answer))
    }

    /// The server sees its own question come back: somebody upstream sends it here again.
    fn looping(&mut self, zones: &[String], block: usize, at: usize, question: &Question) -> Flow {
        let is_own =
            question.kind == Type::HINFO && zones.iter().any(|zone| is_loop_name(&question.name, zone));
        // A question is walked anew when its upstream has answered; it is still the same.
        if is_own && self.turn.known.is_empty() {
            let seen = self.state.loops.entry(block).or_default();
            *seen += 1;
            if *seen > LOOP_MAX {
                let zone = zones.first().cloned().unwrap_or_default();
                self.step("loop", "dns.loop.found", &[&zone]);
                self.looped = Some(zone);
                // The process ends there and then (`log.Fatalf`): nobody is asked any more.
                return Ok(Reply::Failed(Rcode::ServFail, None));
            }
        }
        self.next(block, at + 1, question)
    }

    fn forward(&mut self, forward: &Forward, block: usize, at: usize, question: &Question) -> Flow {
        if !forward.takes(&question.name) {
            return self.next(block, at + 1, question);
        }
        let ask = Ask { forward: (block, at), question: question.clone() };
        let servers: Vec<String> = forward.servers.iter().map(|server| server.ip().to_string()).collect();
        self.step("forward", "dns.forward.asks", &[&question.name, &servers.join(", ")]);
        let known = self.turn.known.iter().find(|(known, _)| *known == ask).map(|(_, got)| got.clone());
        match known {
            None => {
                self.ask = Some(ask);
                Err(Pending)
            }
            Some(Ok(answer)) => {
                self.answered("forward", &answer);
                let after = self.server.blocks[block].plugins.get(at + 1).map(|after| &after.plugin);
                if forward.next.contains(&answer.rcode) && matches!(after, Some(Plugin::Forward(_))) {
                    return self.next(block, at + 1, question);
                }
                Ok(Reply::Written(answer))
            }
            Some(Err(error)) => {
                let rcode = if error.starts_with(TOO_MANY) { Rcode::Refused } else { Rcode::ServFail };
                self.step("forward", "dns.forward.failed", &[&error]);
                Ok(Reply::Failed(rcode, Some(error)))
            }
        }
    }
}

/// The name of a question of the plugin `loop`: two numbers below its zone.
fn is_loop_name(name: &str, zone: &str) -> bool {
    let labels = super::name::labels_below(zone, name);
    is_subdomain(zone, name)
        && labels.len() == 2
        && labels.iter().all(|label| label.len() >= 16 && label.bytes().all(|byte| byte.is_ascii_digit()))
}

fn kubernetes_of(plugins: &[Configured]) -> Option<&Kubernetes> {
    plugins
        .iter()
        .find_map(|at| if let Plugin::Kubernetes(found) = &at.plugin { Some(&**found) } else { None })
}

/// What the step of a cache that keeps an answer says: for how long, the question, the response code, and the records
/// without their TTL, which is that of all.
fn kept(question: &Question, dnssec: bool, answer: &Answer, ttl: u64) -> Vec<String> {
    let wants = if dnssec { " DO" } else { "" };
    let question = format!("{} {}{wants}", question.name.to_ascii_lowercase(), question.kind);
    let records = answer.answer.iter().chain(&answer.authority);
    let records = records.map(|record| format!("{} {} {}", record.owner, record.kind(), record.data));
    [ttl.to_string(), question, answer.rcode.to_string()].into_iter().chain(records).collect()
}

/// The answer's own name may differ from the one asked for; a `CNAME` says so (`cnamer`).
fn add_cname(answer: &mut Answer, asked: &str) {
    let other = answer.answer.iter().find(|record| !record.owner.eq_ignore_ascii_case(asked));
    if let Some(record) = other {
        let data = RData::Cname(record.owner.clone());
        let cname = Record { owner: asked.to_owned(), ttl: record.ttl, data };
        answer.answer.insert(0, cname);
    }
}

fn shuffle(records: &mut Vec<Record>, rng: &mut Rng) {
    let (mut names, mut rest, mut addresses, mut mails) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for record in std::mem::take(records) {
        match record.kind() {
            Type::Cname => names.push(record),
            Type::A | Type::Aaaa => addresses.push(record),
            Type::Mx => mails.push(record),
            Type::Ptr | Type::Srv | Type::Txt | Type::Soa | Type::Ns | Type::Other(_) => rest.push(record),
        }
    }
    for list in [&mut addresses, &mut mails] {
        for at in 0..list.len().saturating_sub(1) {
            let other = at + rng.usize(..list.len() - at);
            list.swap(at, other);
        }
    }
    for list in [names, rest, addresses, mails] {
        records.extend(list);
    }
}
