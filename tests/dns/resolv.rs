//! `/etc/resolv.conf` of a Pod for each DNS policy: `resolv.txt` holds the settings, and what the kubelet makes of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use vethscope::base::{Severity, SimTime};
use vethscope::lab::{Lab, Target};
use vethscope::trace::{EventKind, TableChange};

/// `X*N` stands for N times X.
fn unfolded(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(' ') {
        let bare = word.trim_end();
        match bare.split_once('*').map(|(letter, count)| (letter, count.parse::<usize>())) {
            Some((letter, Ok(count))) => {
                out += &letter.repeat(count);
                out += &word[bare.len()..];
            }
            _ => out += word,
        }
    }
    out
}

/// Runs a Pod with these settings; its file and the reasons of its warnings.
fn run(case: &str) -> (String, BTreeSet<String>) {
    let mut pod = String::new();
    let mut dns = "{}".to_owned();
    let mut node = String::new();
    for line in case.lines().skip(1).filter(|line| !line.starts_with("> ") && !line.is_empty()) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("policy", policy) => writeln!(pod, "  dnsPolicy: {policy}").unwrap(),
            ("hostNetwork", _) => pod += "  hostNetwork: true\n",
            ("config", config) => writeln!(pod, "  dnsConfig: {config}").unwrap(),
            ("dns", given) => given.clone_into(&mut dns),
            ("node", text) => {
                let text = text.trim_matches('"').replace("\\n", " \\n ").replace("\\t", " \\t ");
                node = unfolded(&text).replace(" \\n ", "\\n").replace(" \\t ", "\\t");
            }
            _ => panic!("{line}"),
        }
    }
    let text = format!(
        "apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n  - {{name: node1, address: 192.168.1.10, podCIDR: 10.244.1.0/24, resolvConf: \"{node}\"}}\n  dns: {dns}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: testns}}\nspec:\n{pod}  containers: [{{name: c, image: debian, command: [sleep, infinity]}}]\n"
    );
    let mut lab = Lab::new(1);
    let errors: Vec<_> =
        lab.apply(&text).into_iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{text}\n{errors:?}");
    lab.settle(SimTime(60_000_000_000));
    let argv = ["cat", "/etc/resolv.conf"].map(str::to_owned);
    let from = lab.trace().len();
    let process = lab.start(&Target::parse("p", "testns", None), &argv).unwrap();
    lab.finish(process, SimTime(u64::MAX));
    let trace = lab.trace();
    let mut out = String::new();
    for event in trace.events.since(from) {
        if let EventKind::Wrote(output) = event.kind {
            out += &trace.outputs[output.index()].text;
        }
    }
    let warnings = trace.changes.iter().filter_map(|change| {
        let TableChange::KubeEvent(row) = change else { return None };
        row.warning.then(|| row.reason.to_string())
    });
    (out, warnings.collect())
}

#[test]
fn a_pod_gets_the_resolv_conf_that_the_kubelet_makes() {
    let text = super::file("resolv.txt");
    let cases: Vec<&str> = text.split("=== ").skip(1).collect();
    assert!(cases.len() >= 30, "only {} cases were found", cases.len());
    let mut failures = String::new();
    for case in cases {
        let (got, warnings) = run(case);
        let mut lines = Vec::new();
        let mut events = BTreeSet::new();
        for wanted in case.lines().filter_map(|line| line.strip_prefix("> ")) {
            match wanted.split_once(' ').unwrap() {
                ("nameserver", servers) => {
                    lines.extend(servers.split(' ').map(|server| format!("nameserver {server}")));
                }
                ("event", reason) => drop(events.insert(reason.to_owned())),
                ("options", options) => {
                    let mut options: Vec<&str> = options.split(' ').collect();
                    options.sort_unstable();
                    lines.push(format!("options {}", options.join(" ")));
                }
                (name, rest) => lines.push(format!("{name} {}", unfolded(rest))),
            }
        }
        // The order of options is nobody's business.
        let sorted = |line: &str| {
            let mut words: Vec<&str> = line.split(' ').collect();
            if words[0] == "options" {
                words[1..].sort_unstable();
            }
            words.join(" ")
        };
        let mut have: Vec<String> =
            got.lines().filter(|line| line.split_whitespace().count() > 1).map(sorted).collect();
        lines.sort();
        have.sort();
        if lines != have || events != warnings {
            writeln!(failures, "{case}got {have:#?} {warnings:?}").unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
