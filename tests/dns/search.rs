//! The search list at work: `search.txt` holds lookups, the questions that reach CoreDNS for each, and what is found.

use super::wire::run;
use std::fmt::Write as _;
use vethscope::base::{Severity, SimTime};
use vethscope::lab::{Lab, Target};

/// The cluster of the DNS specification's fixture with names outside, and a Pod for each number of dots.
fn settled() -> Lab {
    let mut text = super::file("spec.yaml");
    text += "\n---\napiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec:\n  network: {serviceCIDR: 10.3.0.0/16}\n  nodes:\n  - {name: node1, address: 192.168.1.10, podCIDR: 10.244.1.0/24, resolvConf: \"nameserver 192.168.1.1\\nsearch host.example\\n\"}\n  external:\n  - {name: gw, address: 192.168.1.1, router: true}\n  - {name: example.net, address: 13.14.15.16, behind: gw}\n  - {name: foo.example.net, address: 10.10.10.11, behind: gw}\n";
    for dots in [1, 2, 5] {
        writeln!(text, "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: dots-{dots}}}\nspec: {{dnsConfig: {{options: [{{name: ndots, value: \"{dots}\"}}]}}, containers: [{{name: c, image: debian, command: [sleep, infinity]}}]}}").unwrap();
    }
    let mut lab = Lab::new(1);
    let errors: Vec<_> =
        lab.apply(&text).into_iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    lab.settle(SimTime(60_000_000_000));
    lab.need_names(&Target::parse("dots-5", "default", None), &["dig".to_owned()]);
    lab
}

#[test]
fn a_name_is_searched_for_as_its_dots_say() {
    let mut lab = settled();
    let wanted = super::file("search.txt");
    let mut got = String::new();
    for line in wanted.lines().take_while(|line| line.starts_with('#')) {
        writeln!(got, "{line}").unwrap();
    }
    got.push('\n');
    for line in wanted.lines().filter(|line| line.starts_with(|at: char| at.is_ascii_digit())) {
        let (dots, name) = line.split_once(' ').unwrap();
        let (out, status, asked) = run(&mut lab, &format!("dots-{dots}"), &format!("getent ahostsv4 {name}"));
        writeln!(got, "{line}").unwrap();
        for question in asked.iter().filter_map(|question| question.strip_suffix(" A")) {
            writeln!(got, "> {question}").unwrap();
        }
        if status == 0 {
            writeln!(got, "= {}", out.split_whitespace().next().unwrap()).unwrap();
        }
    }
    assert_eq!(got, wanted);
}
