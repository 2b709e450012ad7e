//! What CoreDNS answers: `tests/dns/kubernetes.txt` holds cases transcribed from CoreDNS's own tests, each with the
//! cluster it is asked in (a file of objects beside it), the plugin's configuration as a Corefile has it, the
//! question, and every record of the answer. `*` stands for a TTL that CoreDNS's test does not compare; of a SOA only
//! the primary server is.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use vethscope::cluster::dns::{
    Answer, Kubernetes, Outcome, Pending, Question, Record, Upstream, View, corefile,
};

/// An upstream server that knows one address.
#[derive(Default)]
struct OneName {
    known: Option<(String, std::net::IpAddr)>,
    truncated: bool,
}

impl Upstream for OneName {
    fn lookup(&mut self, question: &Question) -> Result<Option<Answer>, Pending> {
        let Some((name, ip)) = self.known.as_ref() else { return Ok(None) };
        let record = Record::address(&question.name, 5, *ip);
        let found = *name == question.name && record.kind() == question.kind;
        let answer = if found { vec![record] } else { Vec::new() };
        let truncated = self.truncated;
        Ok(Some(Answer { authoritative: true, truncated, answer, ..Answer::default() }))
    }
}

/// The objects of a fixture; `+` joins files that build on each other.
fn view(fixture: &str) -> View {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns");
    let text = std::fs::read_to_string(folder.join(format!("{fixture}.yaml"))).unwrap();
    let parsed = vethscope::manifest::parse(&text);
    assert!(!parsed.has_errors(), "{fixture}: {:?}", parsed.diagnostics);
    let mut view = View::of(parsed.objects.iter().map(|located| &located.object));
    view.local.push("127.0.0.1".parse().unwrap());
    view
}

/// One record of the wanted answer against one of ours.
fn is_same(section: &str, wanted: &str, got: &Record) -> bool {
    let got = got.to_string().replace('"', "");
    let (wanted, got): (Vec<&str>, Vec<&str>) = (wanted.split(' ').collect(), got.split(' ').collect());
    let comparable =
        if section == "authority" || wanted.get(2) == Some(&"SOA") { wanted.len() } else { got.len() };
    wanted.len() == comparable
        && wanted
            .iter()
            .zip(&got)
            .enumerate()
            .all(|(at, (want, have))| want == have || (at == 1 && *want == "*"))
}

fn judge(case: &str) -> Result<(), String> {
    let (head, rest) = case.split_once('\n').unwrap();
    let (config, rest) = rest.split_once("\n? ").unwrap();
    let mut lines = rest.lines().filter(|line| !line.is_empty());
    let (name, kind) = lines.next().unwrap().split_once(' ').unwrap();
    let rcode = lines.next().unwrap();
    let mut words = head.split_once(": ").unwrap().1.split(' ');
    let mut view = view(words.next().unwrap());
    let mut upstream = OneName::default();
    while let Some(word) = words.next() {
        match word {
            "unsynced" => view.unsynced = true,
            "local" => view.local = vec![words.next().unwrap().parse().unwrap()],
            "tc" => upstream.truncated = true,
            "upstream" => {
                let name = format!("{}.", words.next().unwrap().trim_end_matches('.'));
                upstream.known = Some((name, words.next().unwrap().parse().unwrap()));
            }
            other => panic!("{other}"),
        }
    }
    let blocks = corefile::parse(&format!(".:53 {{\n{config}\n}}\n")).unwrap();
    let plugin = Kubernetes::configured(&blocks[0].plugins[0], &blocks[0].zones).unwrap();
    let question = Question { name: name.to_owned(), kind: kind.parse().unwrap() };
    let Ok(Outcome::Answered(answer)) = plugin.answer(&view, &question, &mut upstream) else {
        return Err(format!("{head}: not answered"));
    };
    let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let (section, record) = line.split_once(' ').unwrap();
        wanted.entry(section).or_default().push(record);
    }
    let sections =
        [("answer", &answer.answer), ("authority", &answer.authority), ("additional", &answer.additional)];
    let right = sections.iter().all(|(section, got)| {
        let want = wanted.get(section).cloned().unwrap_or_default();
        want.len() == got.len() && want.iter().all(|want| got.iter().any(|got| is_same(section, want, got)))
    });
    if right && answer.rcode.to_string() == rcode && answer.truncated == upstream.truncated {
        return Ok(());
    }
    let mut text = format!("{head}: {name} {kind}\n  wanted {rcode} {wanted:?}\n  got {}\n", answer.rcode);
    for (section, records) in sections {
        for record in records {
            writeln!(text, "    {section} {record}").unwrap();
        }
    }
    Err(text)
}

#[test]
fn the_kubernetes_plugin_answers_as_coredns_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns/kubernetes.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Vec<&str> = text.split("=== ").skip(1).collect();
    assert!(cases.len() >= 64, "only {} cases were found", cases.len());
    let failures: String = cases.iter().filter_map(|case| judge(case).err()).collect();
    assert!(failures.is_empty(), "{failures}");
}
