//! What CoreDNS answers: `tests/dns/kubernetes.txt` (the plugin `kubernetes`) and `server.txt` (others with it) hold
//! cases transcribed from CoreDNS's own tests, each with the cluster it is asked in (a file of objects beside it), the plugin's configuration as a Corefile has it, the
//! question, and every record of the answer. `*` stands for a TTL that CoreDNS's test does not compare; of a SOA only
//! the primary server is.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

#[path = "dns/exchanges.rs"]
mod exchanges;
#[path = "dns/exercise.rs"]
mod exercise;
#[path = "dns/node_local.rs"]
mod node_local;
#[path = "dns/plugins.rs"]
mod plugins;
#[path = "dns/race.rs"]
mod race;
#[path = "dns/resolv.rs"]
mod resolv;
#[path = "dns/search.rs"]
mod search;
#[path = "dns/tools.rs"]
mod tools;
#[path = "dns/turns.rs"]
mod turns;
#[path = "dns/wire.rs"]
mod wire;
#[path = "dns/zones.rs"]
mod zones;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use vethscope::base::{Severity, SimTime};
use vethscope::cluster::dns::{
    Answer, Kubernetes, Outcome, Pending, Question, Record, Upstream, View, corefile,
};
use vethscope::lab::{Lab, Target};

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

/// A case: where it is asked, the plugins, the question, and the answer.
struct Case<'t> {
    name: &'t str,
    fixture: &'t str,
    /// What is special: `unsynced`, `local IP`, `tc`, `upstream NAME IP`, `client NAMESPACE`.
    words: Vec<&'t str>,
    config: &'t str,
    question: Question,
    rcode: &'t str,
    /// Wanted records of each section.
    wanted: BTreeMap<&'t str, Vec<&'t str>>,
}

impl<'t> Case<'t> {
    fn read(case: &'t str) -> Self {
        let (head, rest) = case.split_once('\n').unwrap();
        let (config, rest) = rest.split_once("\n? ").unwrap();
        let mut lines = rest.lines().filter(|line| !line.is_empty());
        let (name, kind) = lines.next().unwrap().split_once(' ').unwrap();
        let question = Question { name: name.to_owned(), kind: kind.parse().unwrap() };
        let rcode = lines.next().unwrap();
        let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in lines {
            let (section, record) = line.split_once(' ').unwrap();
            wanted.entry(section).or_default().push(record);
        }
        let (name, surroundings) = head.split_once(": ").unwrap();
        let mut words = surroundings.split(' ');
        let fixture = words.next().unwrap();
        Self { name, fixture, words: words.collect(), config, question, rcode, wanted }
    }

    /// The word after this one.
    fn word(&self, word: &str) -> Option<&'t str> {
        let at = self.words.iter().position(|known| *known == word)?;
        self.words.get(at + 1).copied()
    }

    fn upstream(&self) -> Option<(String, std::net::IpAddr)> {
        let at = self.words.iter().position(|known| *known == "upstream")?;
        let name = format!("{}.", self.words[at + 1].trim_end_matches('.'));
        Some((name, self.words[at + 2].parse().unwrap()))
    }

    fn judge(&self, got: &[(&str, Vec<String>)], rcode: &str) -> Result<(), String> {
        let right = got.iter().all(|(section, got)| {
            let want = self.wanted.get(section).cloned().unwrap_or_default();
            want.len() == got.len()
                && want.iter().all(|want| got.iter().any(|got| is_same(section, want, got)))
        });
        if right && rcode == self.rcode {
            return Ok(());
        }
        let Self { name, question, wanted, .. } = self;
        let mut text = format!(
            "{name}: {} {}\n  wanted {} {wanted:?}\n  got {rcode}\n",
            question.name, question.kind, self.rcode
        );
        for (section, records) in got {
            for record in records {
                writeln!(text, "    {section} {record}").unwrap();
            }
        }
        Err(text)
    }
}

/// One record of the wanted answer against one of ours.
fn is_same(section: &str, wanted: &str, got: &str) -> bool {
    let got = got.replace('"', "");
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

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns").join(name)).unwrap()
}

#[test]
fn the_kubernetes_plugin_answers_as_coredns_does() {
    let text = file("kubernetes.txt");
    let cases: Vec<Case<'_>> = text.split("=== ").skip(1).map(Case::read).collect();
    assert!(cases.len() >= 105, "only {} cases were found", cases.len());
    let mut failures = String::new();
    for case in &cases {
        let mut view = view(case.fixture);
        view.unsynced = case.words.contains(&"unsynced");
        if let Some(local) = case.word("local") {
            view.local = vec![local.parse().unwrap()];
        }
        let truncated = case.words.contains(&"tc");
        let mut upstream = OneName { known: case.upstream(), truncated };
        let blocks = corefile::parse(&format!(".:53 {{\n{}\n}}\n", case.config)).unwrap();
        let plugin = Kubernetes::configured(&blocks[0].plugins[0], &blocks[0].zones).unwrap();
        let Ok(Outcome::Answered(answer)) = plugin.answer(&view, &case.question, &mut upstream) else {
            writeln!(failures, "{}: not answered", case.name).unwrap();
            continue;
        };
        let texts = |records: &[Record]| records.iter().map(ToString::to_string).collect();
        let got = [
            ("answer", texts(&answer.answer)),
            ("authority", texts(&answer.authority)),
            ("additional", texts(&answer.additional)),
        ];
        if let Err(failure) = case.judge(&got, &answer.rcode.to_string()) {
            failures += &failure;
        }
        assert_eq!(answer.truncated, truncated, "{}", case.name);
    }
    assert!(failures.is_empty(), "{failures}");
}

/// A text for the command line: the objects, the Corefile in its `ConfigMap`, the names outside, the Pod that asks.
fn manifest(case: &Case<'_>) -> String {
    let mut text = file(&format!("{}.yaml", case.fixture));
    let annotations = if case.words.contains(&"unsynced") {
        ", annotations: {vethscope.dev/api-unreachable: \"true\"}"
    } else {
        ""
    };
    write!(
        text,
        "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: coredns, namespace: kube-system{annotations}}}\ndata:\n  Corefile: |\n    .:53 {{\n"
    )
    .unwrap();
    // The plugin binds to the address of the case, which then counts as the server's own.
    for line in case
        .word("local")
        .map(|ip| format!("bind {ip}"))
        .iter()
        .map(String::as_str)
        .chain(case.config.lines())
    {
        writeln!(text, "      {line}").unwrap();
    }
    text += "      forward . /etc/resolv.conf\n    }\n---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  external:\n  - {name: gw, address: 192.168.1.1, router: true}\n";
    if let Some((name, ip)) = case.upstream() {
        let name = name.trim_end_matches('.');
        writeln!(text, "  - {{name: {name}, address: {ip}, behind: gw}}").unwrap();
    }
    if let Some(namespace) = case.word("client") {
        write!(text, "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: client, namespace: {namespace}}}\nspec: {{containers: [{{name: c, image: debian, command: [sleep, infinity]}}]}}\n").unwrap();
    }
    text
}

#[test]
fn the_whole_server_answers_as_coredns_does() {
    let texts = [file("kubernetes.txt"), file("server.txt")];
    let cases: Vec<Case<'_>> =
        texts.iter().flat_map(|text| text.split("=== ").skip(1)).map(Case::read).collect();
    assert!(cases.len() >= 128, "only {} cases were found", cases.len());
    let mut failures = String::new();
    let mut labs: BTreeMap<String, Lab> = BTreeMap::new();
    for case in &cases {
        let text = manifest(case);
        let lab = labs.entry(text.clone()).or_insert_with(|| {
            let mut lab = Lab::new(1);
            let errors: Vec<_> =
                lab.apply(&text).into_iter().filter(|found| found.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", case.name);
            lab.settle(SimTime(60_000_000_000));
            lab
        });
        let client = case.word("client").map(|namespace| Target::parse("client", namespace, None));
        let answer = lab.dns(&case.question, client.as_ref()).unwrap();
        let got =
            [("answer", answer.answer), ("authority", answer.authority), ("additional", answer.additional)];
        if let Err(failure) = case.judge(&got, &answer.rcode) {
            failures += &failure;
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// A server that has no Pod yet is a name server of its zone all the same.
#[test]
fn a_zone_has_a_name_server_also_without_a_pod_that_serves_it() {
    let mut lab = Lab::new(1);
    lab.apply(&file("spec.yaml"));
    lab.settle(SimTime(60_000_000_000));
    let ask = |lab: &mut Lab, name: &str, kind: &str| {
        lab.dns(&vethscope::lab::names::question(name, kind).unwrap(), None).unwrap()
    };
    let answer = ask(&mut lab, "cluster.local", "NS");
    assert_eq!(answer.answer, ["cluster.local. 30 NS ns.dns.cluster.local."]);
    assert_eq!(answer.additional, ["ns.dns.cluster.local. 30 A 127.0.0.1"]);
    let answer = ask(&mut lab, "ns.dns.cluster.local", "A");
    assert_eq!(answer.answer, ["ns.dns.cluster.local. 30 A 127.0.0.1"]);
}
