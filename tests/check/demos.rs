//! Each finding of the linter with the command that shows it: run in the cluster of the text, it prints what the finding
//! warns of.

use std::fmt::Write as _;
use vethscope::base::SimTime;
use vethscope::lab::{Lab, prompt};

const SETTLE: SimTime = SimTime(600_000_000_000);

fn pod(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{{more}}}\n"
    )
}

fn service(name: &str, spec: &str) -> String {
    format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

const WEB: &str = "containers: [{name: web, image: nginx, ports: [{containerPort: 80, name: http}]}]";

/// Runs what a finding offers and gives its output with its status.
fn shown(text: &str, message: &str) -> (String, u8) {
    let mut lab = Lab::new(1);
    let found = lab.apply(text);
    let finding = found.iter().find(|one| one.message == message);
    let finding = finding.unwrap_or_else(|| panic!("{message} is not among {found:?}"));
    let demo = finding.demo.clone().unwrap_or_else(|| panic!("{message} shows nothing"));
    lab.settle(SETTLE);
    let (target, line) = lab.demonstration(&demo).unwrap_or_else(|| panic!("{message}: {demo:?}"));
    let argv = prompt::argv(&line).expect("a command line");
    let from = lab.trace().len();
    let process = lab.start(&target, &argv).unwrap_or_else(|wrong| panic!("{line}: {wrong:?}"));
    lab.finish(process, SimTime(u64::MAX));
    (lab.trace().written(from, process), lab.status(process).expect("it ended"))
}

/// What a finding is called, a text with it, what its command prints, and whether that ends well.
type Shown = (&'static str, String, &'static str, bool);

#[expect(clippy::too_many_lines, reason = "a table with an entry for each finding")]
fn findings() -> Vec<Shown> {
    let plain = |name: &str| pod(name, WEB);
    let policy = |spec: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec: {{{spec}}}\n"
        )
    };
    let cluster = |network: &str, rest: &str| {
        format!(
            "---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  network: {{{network}}}\n{rest}"
        )
    };
    let set = "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  serviceName: db\n  \
               selector: {matchLabels: {app: db}}\n  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: nginx}]}}\n";
    let two_nodes = "nodeName: node1, containers: [{name: web, image: nginx}]";
    let far = "nodeName: node2, containers: [{name: web, image: nginx}]";
    vec![
        (
            "lint.same-port",
            pod("a", "containers: [{name: one, image: nginx, ports: [{containerPort: 80}]}, {name: two, image: nginx, ports: [{containerPort: 80}]}]"),
            "1/2",
            true,
        ),
        (
            "lint.loopback",
            pod("a", "containers: [{name: web, image: 'python:3', command: [python3, -m, http.server, '8000', --bind, 127.0.0.1], ports: [{containerPort: 8000}]}]"),
            "port 8000",
            false,
        ),
        (
            "lint.ndots",
            pod("a", "containers: [{name: web, image: nginx, env: [{name: URL, value: 'https://api.example.com/v1'}]}]"),
            "",
            false,
        ),
        (
            "lint.host-port",
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 3\n  selector: {matchLabels: {app: d}}\n  template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: nginx, ports: [{containerPort: 80, hostPort: 8080}]}]}}\n".to_owned(),
            "FailedScheduling",
            true,
        ),
        ("lint.no-pods", plain("a") + &service("s", "selector: {app: none}, ports: [{port: 80}]"), "port 80", false),
        (
            "lint.target-name",
            plain("a") + &service("s", "selector: {app: a}, ports: [{port: 81, targetPort: https}]"),
            "port 81",
            false,
        ),
        (
            "lint.target-number",
            plain("a") + &service("s", "selector: {app: a}, ports: [{port: 82, targetPort: 8080}]"),
            "port 82",
            false,
        ),
        (
            "lint.headless",
            pod("a", &format!("hostname: one, {WEB}")) + &service("s", "clusterIP: None, selector: {app: a}, ports: [{name: h, port: 80}]"),
            "can't find one.s.default.svc.cluster.local",
            false,
        ),
        (
            "lint.headless-port",
            plain("a") + &service("s", "clusterIP: None, selector: {app: a}, ports: [{port: 80}]"),
            "- name: \"\"",
            true,
        ),
        ("lint.no-service", set.to_owned(), "can't find db-0.db.default.svc.cluster.local", false),
        (
            "lint.not-headless",
            set.to_owned() + &service("db", "selector: {app: db}, ports: [{port: 80}]"),
            "Name:\tdb.default.svc.cluster.local\nAddress: 10.",
            true,
        ),
        (
            "lint.no-dns",
            cluster("cni: calico", "") + &plain("a") + &policy("podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]"),
            "",
            false,
        ),
        ("lint.policy-no-pods", plain("a") + &policy("podSelector: {matchLabels: {app: none}}"), "No resources found", true),
        (
            "lint.service-block",
            plain("a") + &service("s", "clusterIP: 10.96.0.80, selector: {app: a}, ports: [{port: 80}]")
                + &policy("podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.80/32}}]}, {ports: [{protocol: UDP, port: 53}]}]"),
            "10.96.0.80",
            true,
        ),
        (
            "lint.missing",
            pod("a", "containers: [{name: web, image: nginx, envFrom: [{configMapRef: {name: settings}}]}]"),
            "configmap \"settings\" not found",
            true,
        ),
        (
            "lint.mtu",
            cluster("cni: bridge, backend: gre, bridge: {mtu: 1500}", "") + &pod("a", two_nodes) + &pod("b", far),
            "100% packet loss",
            false,
        ),
        (
            "lint.in-services",
            cluster("cni: flannel", "  external:\n  - {name: db, address: 10.96.7.7}\n"),
            "10.96.0.1",
            true,
        ),
        (
            "lint.in-pods",
            cluster("cni: flannel", "  external:\n  - {name: db, address: 10.244.2.200}\n"),
            "via 10.244.2.0 dev flannel.1",
            true,
        ),
    ]
}

#[test]
fn every_finding_is_shown_by_the_command_it_offers() {
    let mut failures = String::new();
    for (message, text, wanted, well) in &findings() {
        let (out, status) = shown(text, message);
        if !out.contains(wanted) || (status == 0) != *well {
            writeln!(failures, "{message}: status {status}, wanted {wanted:?}, got\n{out}")
                .expect("a text grows");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
