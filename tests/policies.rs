//! Network policies: every case of the suites, asked by real packets, under each plug-in that enforces policies; and
//! what the pure decision says of each cell beside it.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use vethscope::base::words::Lang;
use vethscope::lab::matrix::{Asking, Matrix, Port, Protocol, json, reason, text};

const CASES: &str = include_str!("policy/cases.txt");
const SEED: u64 = 1;
const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n";

/// A step of a case.
#[derive(Debug)]
enum Step {
    /// Policies come, or take the place of those with their names.
    Apply(Vec<String>),
    /// A policy goes.
    Delete(String),
    /// An object gets a label.
    Label(String, String),
    /// Who reaches whom on these ports.
    Expect(Vec<Port>, Vec<&'static str>),
}

fn port(text: &str) -> Port {
    let (number, protocol) = text.split_once('/').expect("a port and a protocol");
    let protocol = match protocol {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        other => panic!("unknown protocol {other}"),
    };
    Port { protocol, number: number.parse().expect("a number") }
}

fn step(block: &'static str) -> Step {
    let (head, body) = block.split_once('\n').unwrap_or((block, ""));
    let words: Vec<&str> = head.split_whitespace().collect();
    match words[..] {
        ["apply"] => Step::Apply(body.split("\n---\n").map(|text| format!("{POLICY}{text}\n")).collect()),
        ["delete", name] => Step::Delete(name.to_owned()),
        ["label", kind, name, label] => Step::Label(format!("{kind} {name}"), label.to_owned()),
        _ => Step::Expect(words.into_iter().map(port).collect(), body.lines().collect()),
    }
}

/// The cases by their ids.
fn cases() -> Vec<(&'static str, Vec<Step>)> {
    let case = |text: &'static str| {
        let (head, body) = text.split_once('\n').expect("a head");
        let id = head.split_whitespace().next().expect("an id");
        // Documents of one text are divided by a line of dashes alone.
        (
            id,
            body.split("--- ")
                .filter(|block| !block.is_empty())
                .map(|block| step(block.trim_end()))
                .collect(),
        )
    };
    CASES.split("\n=== ").skip(1).map(case).collect()
}

/// What a policy is called: its line of metadata.
fn name_of(policy: &str) -> String {
    let line = policy.lines().find(|line| line.starts_with("metadata:")).expect("metadata");
    let field = |key: &str| {
        let rest = line.split_once(&format!("{key}: ")).expect(key).1;
        rest.split([',', '}']).next().expect(key).to_owned()
    };
    format!("{}/{}", field("namespace"), field("name"))
}

/// The cluster, its namespaces and Pods, and the policies.
#[derive(Default)]
struct World {
    cni: &'static str,
    labels: BTreeMap<String, Vec<String>>,
    policies: BTreeMap<String, String>,
}

impl World {
    fn text(&self) -> String {
        let mut out = format!(
            "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n  \
             - {{name: node1, address: 192.168.1.10, podCIDR: 10.244.1.0/24}}\n  \
             - {{name: node2, address: 192.168.1.11, podCIDR: 10.244.2.0/24}}\n  \
             - {{name: node3, address: 192.168.1.12, podCIDR: 10.244.3.0/24}}\n  \
             network: {{cni: {}}}\n",
            self.cni
        );
        let more = |key: String| {
            self.labels.get(&key).into_iter().flatten().fold(String::new(), |out, label| {
                let (key, value) = label.split_once('=').expect("a label");
                out + &format!(", {key}: {value}")
            })
        };
        for (namespace, host) in [("x", 11), ("y", 12), ("z", 21)] {
            let labels = more(format!("namespace {namespace}"));
            let _ = write!(
                out,
                "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: \"{namespace}\", labels: {{ns: \"{namespace}\"{labels}}}}}\n"
            );
            for (pod, node) in [("a", 1), ("b", 2), ("c", 3)] {
                let labels = more(format!("pod {namespace}/{pod}"));
                let _ = write!(
                    out,
                    "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}, namespace: \"{namespace}\", labels: {{pod: {pod}{labels}}}}}\n\
                     spec:\n  nodeName: node{node}\n  containers:\n"
                );
                for (number, protocol) in [(80, "TCP"), (81, "TCP"), (80, "UDP"), (81, "UDP")] {
                    let lower = protocol.to_lowercase();
                    let _ = writeln!(
                        out,
                        "  - {{name: cont-{number}-{lower}, image: agnhost, ports: [{{containerPort: {number}, protocol: {protocol}, name: serve-{number}-{lower}}}]}}"
                    );
                }
                let _ = writeln!(out, "status: {{podIP: 10.244.{node}.{host}}}");
            }
        }
        self.policies.values().fold(out, |out, policy| out + "---\n" + policy)
    }
}

fn rows(cells: &[Vec<bool>]) -> Vec<String> {
    let row = |(at, row): (usize, &Vec<bool>)| {
        let sign = |(to, allowed): (usize, &bool)| match (at == to, allowed) {
            (true, _) => '-',
            (false, true) => '.',
            (false, false) => 'X',
        };
        row.iter().enumerate().map(sign).collect()
    };
    cells.iter().enumerate().map(row).collect()
}

fn ask(asking: &mut Asking, world: &World, ports: &[Port]) -> Vec<Matrix> {
    let wrong = asking.apply(&world.text(), ports);
    assert!(wrong.is_empty(), "{wrong:?}");
    while asking.advance(u32::MAX) {}
    asking.matrices()
}

/// Runs all cases in one lab and gives each matrix to `judge`, with the case's own rows.
fn run(cni: &'static str, mut judge: impl FnMut(&str, &Asking, &Matrix, &[&str]) -> Result<(), String>) {
    let mut world = World { cni, ..World::default() };
    let mut asking = Asking::new(&world.text(), &[], SEED).expect("a valid text");
    let (mut found, mut tables) = (String::new(), 0);
    for (id, steps) in cases() {
        (world.labels, world.policies) = (BTreeMap::new(), BTreeMap::new());
        for step in steps {
            match step {
                Step::Apply(policies) => {
                    world.policies.extend(policies.into_iter().map(|text| (name_of(&text), text)));
                }
                Step::Delete(name) => assert!(world.policies.remove(&name).is_some(), "{id}: {name}"),
                Step::Label(object, label) => world.labels.entry(object).or_default().push(label),
                Step::Expect(ports, expected) => {
                    for matrix in ask(&mut asking, &world, &ports) {
                        tables += 1;
                        if let Err(why) = judge(id, &asking, &matrix, &expected) {
                            let _ = writeln!(found, "{id} {}\n{why}", matrix.port);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(tables, 242, "every table was asked for");
    assert!(found.is_empty(), "{found}");
}

/// The packets say what the table says, and the pure decision says it too.
fn agrees(_: &str, asking: &Asking, matrix: &Matrix, expected: &[&str]) -> Result<(), String> {
    let (found, decided) = (rows(&matrix.allowed()), rows(&asking.decided(matrix)));
    if found == expected && decided == expected {
        return Ok(());
    }
    let mut out = String::from("expected   packets    decision\n");
    for ((expected, found), decided) in expected.iter().zip(&found).zip(&decided) {
        let _ = writeln!(out, "{expected}  {found}  {decided}");
    }
    Err(out)
}

#[test]
fn under_calico_packets_go_where_the_suites_say() {
    run("calico", agrees);
}
