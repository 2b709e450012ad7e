//! Questions put to a CoreDNS one after the other, as time goes by and its upstream servers change: `turns.txt`, whose answers
//! `UPDATE_EXPECT=1` makes anew. What is wanted there is what the plugins' own tests and sources say, named in each head.
//!
//! Lines of a case: `| ` the Corefile, `upstream NAME TYPE RCODE` with records below (two blanks) or `upstream fails`, `SECONDS
//! NAME TYPE [CLIENT]` a question, `> ` the answer and what each plugin did.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use vethscope::base::zone::ZoneFile;
use vethscope::base::{Rng, SimTime};
use vethscope::cluster::dns::corefile::Wrong;
use vethscope::cluster::dns::server::{Ask, Done, Served, Server, State, Turn};
use vethscope::cluster::dns::{Answer, Question, Rcode, Record, Type, View};

/// What upstream servers answer; `None` where they are silent.
type Upstream = Option<BTreeMap<(String, Type), Answer>>;

struct Asked<'a> {
    server: &'a Server,
    view: &'a View,
    question: Question,
    client: std::net::IpAddr,
    now: SimTime,
}

impl Asked<'_> {
    /// Walks the plugins until the answer is there; `refresh` where the cache fetches something.
    fn serve(&self, state: &mut State, upstream: &Upstream, fetch: Option<&Done>, rng: &mut Rng) -> Done {
        let mut known: Vec<(Ask, Result<Answer, String>)> = Vec::new();
        loop {
            let (question, client) = (&self.question, self.client);
            let turn = Turn {
                view: self.view,
                now: self.now,
                port: 53,
                question,
                client,
                dnssec: false,
                known: &known,
            };
            let served = match fetch.and_then(|done| done.refresh.as_ref()) {
                Some(refresh) => self.server.refresh(state, refresh, &turn, rng),
                None => self.server.serve(state, &turn, rng),
            };
            match served {
                Served::Done(done) => return done,
                Served::Ask(ask, _) => {
                    let key = (ask.question.name.clone(), ask.question.kind);
                    let got = match upstream {
                        None => Err("i/o timeout".to_owned()),
                        Some(known) => {
                            Ok(known.get(&key).cloned().unwrap_or_else(|| Answer::empty(Rcode::NxDomain)))
                        }
                    };
                    known.push((ask, got));
                }
            }
        }
    }
}

fn told(done: &Done) -> String {
    let mut out = format!("> {}\n", done.answer.rcode);
    let mut addresses: Vec<&Record> = done.answer.answer.iter().chain(&done.answer.authority).collect();
    // Where chance orders them, the order is none of the test's business.
    addresses.sort_by_key(ToString::to_string);
    for record in addresses {
        writeln!(out, ">   {record}").unwrap();
    }
    let steps: Vec<String> = done
        .steps
        .iter()
        .filter(|step| step.plugin != "server")
        .map(|step| step.did.trim_start_matches("dns.").to_owned())
        .collect();
    writeln!(out, "> {}", steps.join(", ")).unwrap();
    out
}

fn run(case: &str) -> String {
    let head = case.lines().next().unwrap();
    let corefile: Vec<&str> = case.lines().filter_map(|line| line.strip_prefix("| ")).collect();
    let files = |_: &str| None;
    let mut out = format!("=== {head}\n");
    let server = match Server::new(&corefile.join("\n"), &files) {
        Ok(server) => server,
        Err(wrong) => panic!("{head}: {wrong}"),
    };
    let mut view = super::view("tools");
    view.add_pod("default", "10.244.2.77".parse().unwrap());
    let (mut state, mut upstream, mut rng): (State, Upstream, Rng) =
        (State::default(), Some(BTreeMap::new()), Rng::with_seed(1));
    let mut last = None;
    for line in case.lines().skip(1).filter(|line| !line.starts_with('>')) {
        writeln!(out, "{line}").unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["upstream", "fails"] => upstream = None,
            ["upstream", name, kind, rcode] => {
                let key = (name.to_owned(), kind.parse().unwrap());
                let answer = Answer { recursion_available: true, ..Answer::empty(rcode.parse().unwrap()) };
                upstream.get_or_insert_default().insert(key.clone(), answer);
                last = Some(key);
            }
            [owner, ..] if line.starts_with("  ") && last.is_some() => {
                let records = ZoneFile::parse(line.trim_start(), ".")
                    .unwrap_or_else(|wrong| panic!("{owner}: {wrong:?}"));
                let answer = upstream.as_mut().unwrap().get_mut(last.as_ref().unwrap()).unwrap();
                let record = records.records()[0].clone();
                if record.kind() == Type::Soa {
                    answer.authority.push(record);
                } else {
                    answer.answer.push(record);
                }
            }
            [seconds, name, kind, ref rest @ ..] if seconds.parse::<u64>().is_ok() => {
                let question = Question { name: name.to_owned(), kind: kind.parse().unwrap() };
                let client = rest.first().map_or("10.244.2.9", |client| client).parse().unwrap();
                let now = SimTime(seconds.parse::<u64>().unwrap() * 1_000_000_000);
                let asked = Asked { server: &server, view: &view, question, client, now };
                let done = asked.serve(&mut state, &upstream, None, &mut rng);
                out += &told(&done);
                if done.refresh.is_some() {
                    asked.serve(&mut state, &upstream, Some(&done), &mut rng);
                }
            }
            _ => {}
        }
    }
    out
}

#[test]
fn coredns_answers_in_turn_as_its_plugins_say() {
    let text = super::file("turns.txt");
    let got: String = text.split("=== ").skip(1).map(run).collect();
    let got = format!("{}{got}", text.split("=== ").next().unwrap());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns/turns.txt"), got)
            .unwrap();
    } else {
        assert_eq!(got, text);
    }
}

/// Plugins as CoreDNS takes them and as it refuses them: the tables of the plugins' own tests (`setup_test.go`; of `rewrite` also
/// `rewrite_test.go`, `name_test.go`, `ttl_test.go` and `rcode_test.go`), without what is not simulated. Braces and semicolons between
/// blanks stand for line ends.
#[test]
fn plugins_are_taken_and_refused_as_by_coredns() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns/setups.txt");
    let table = std::fs::read_to_string(path).unwrap();
    let mut failures = String::new();
    for line in table.lines() {
        let (wanted, plugin) = line.split_at(8);
        let block = plugin.replace(" { ", " {\n").replace(" ; ", "\n");
        let block = block.strip_suffix(" }").map_or(block.clone(), |block| format!("{block}\n}}"));
        let got = Server::new(&format!(". {{\n{block}\n}}\n"), &|_| None);
        match (wanted.trim(), got.err()) {
            ("taken", None) => {}
            ("refused", Some(error)) if error.kind == Wrong::Refused => {}
            (_, error) => writeln!(failures, "{line}\n  {error:?}").unwrap(),
        }
    }
    assert!(table.lines().count() >= 179, "the table is too short");
    assert!(failures.is_empty(), "{failures}");
}
