//! The plugin `file` (`tests/dns/zones.txt`): zones, questions, and every record of each answer with its section and
//! place; most of both are transcribed from the tests of CoreDNS's plugin.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use vethscope::base::{Rng, SimTime};
use vethscope::cluster::dns::server::{Served, Server, State, Turn};
use vethscope::cluster::dns::{Answer, Question, Record, View};

/// A server with a block for each zone.
fn server(zones: &BTreeMap<&str, &str>) -> Server {
    let mut corefile = String::new();
    for zone in zones.keys() {
        writeln!(corefile, "{zone}:53 {{\n  file {zone}\n}}").unwrap();
    }
    let files = |path: &str| zones.get(path.trim_start_matches('/')).map(|text| (*text).to_owned());
    Server::new(&corefile, &files).unwrap()
}

fn ask(server: &Server, question: &Question, dnssec: bool) -> Answer {
    let turn = Turn {
        view: &View::default(),
        now: SimTime(0),
        port: 53,
        question,
        client: [10, 244, 1, 2].into(),
        dnssec,
        known: &[],
    };
    match server.serve(&mut State::default(), &turn, &mut Rng::with_seed(1)) {
        Served::Done(done) => done.answer,
        Served::Ask(ask, _) => panic!("nobody is upstream: {ask:?}"),
    }
}

fn told(answer: &Answer) -> String {
    let mut out = answer.rcode.to_string();
    out += if answer.authoritative { " aa\n" } else { "\n" };
    let mut section = |name: &str, records: &[Record]| {
        for record in records {
            writeln!(out, "{name} {record}").unwrap();
        }
    };
    section("answer", &answer.answer);
    section("authority", &answer.authority);
    section("additional", &answer.additional);
    out
}

#[test]
fn zone_files_answer_as_coredns_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dns/zones.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let parts: Vec<(&str, &str)> =
        text.split("=== ").skip(1).map(|part| part.split_once('\n').unwrap()).collect();
    let zones: BTreeMap<&str, &str> =
        parts.iter().map(|(zone, rest)| (*zone, rest.split_once("\n? ").unwrap().0)).collect();
    let server = server(&zones);
    let mut got = String::new();
    for (zone, rest) in parts {
        write!(got, "=== {zone}\n{}\n", zones[zone].trim_end()).unwrap();
        for case in rest.split("\n? ").skip(1) {
            let asked = case.lines().next().unwrap();
            let words: Vec<&str> = asked.split(' ').collect();
            let question = Question { name: words[0].to_owned(), kind: words[1].parse().unwrap() };
            let answer = ask(&server, &question, words.get(2) == Some(&"do"));
            write!(got, "\n? {asked}\n{}", told(&answer)).unwrap();
        }
        got.push('\n');
    }
    let (wanted, got) = (text.trim_end(), got.trim_end());
    let first = wanted.lines().zip(got.lines()).find(|(wanted, got)| wanted != got);
    assert!(wanted == got, "{first:?} in\n{got}");
}
