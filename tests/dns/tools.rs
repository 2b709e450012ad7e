//! What the real `dig`, `host`, `nslookup` (BIND 9.18 and busybox 1.35) and `getent` printed when a server answered them
//! from the zone of the simulated cluster in `tools.yaml`: the simulated ones print the same in it, but for identifiers,
//! times and lengths.

use super::wire::run;
use regex_lite::Regex;
use std::fmt::Write as _;
use vethscope::base::{Duration, Severity, SimTime};
use vethscope::lab::{Lab, Target, prompt};

/// What an answer from outside speaks of, and how long CoreDNS may remember it.
const OUTSIDE: [&str; 2] = ["root-servers.net", "203.0.113.10"];
const FORGOTTEN: Duration = Duration::from_secs(40);

/// What is nobody's business, and what stands for it.
const BLANKS: [(&str, &str); 10] = [
    (r"id: \d+", "id: N"),
    (r"Query time: \d+ msec", "Query time: N msec"),
    (r"WHEN: .*", "WHEN: X"),
    (r"rcvd: \d+", "rcvd: N"),
    (r"COOKIE: [0-9a-f]+", "COOKIE: X"),
    (r" in \d+ ms", " in N ms"),
    (r"\d+ usec", "N usec"),
    (r"serial = \d+", "serial = N"),
    (r"Received \d+ bytes", "Received N bytes"),
    (r"\d{10}( 7200| +; serial)", "SERIAL$1"),
];

fn blanked(text: &str) -> String {
    BLANKS.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}

#[test]
fn the_tools_print_what_the_real_ones_print() {
    let mut lab = Lab::new(1);
    let errors: Vec<_> = lab
        .apply(&super::file("tools.yaml"))
        .into_iter()
        .filter(|found| found.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    lab.settle(SimTime(60_000_000_000));
    lab.need_names(&Target::parse("a", "default", None), &["dig".to_owned()]);
    let text = super::file("tools.txt");
    let cases: Vec<&str> = text.split("=== ").skip(1).collect();
    assert!(cases.len() >= 100, "only {} cases were found", cases.len());
    let mut failures = String::new();
    for case in cases {
        let (head, wanted) = case.split_once('\n').unwrap();
        let (pod, command) = head.split_once(' ').unwrap();
        if OUTSIDE.iter().any(|outside| wanted.contains(outside)) {
            // Nothing is remembered of what comes from outside.
            let later = lab.now() + FORGOTTEN;
            lab.wait_until(later);
        }
        let argv = prompt::argv(command).expect("quotes are closed");
        let from = lab.trace().len();
        let process = lab.start(&Target::parse(pod, "default", None), &argv).unwrap();
        lab.finish(process, SimTime(u64::MAX));
        let (out, status) = (lab.trace().written(from, process), lab.status(process).unwrap());
        let got = blanked(&format!("{out}rc={status}\n"));
        if got != blanked(wanted) {
            writeln!(failures, "{pod} {command}\nreal:\n{wanted}simulated:\n{got}").unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn dig_follows_the_zones_from_the_root() {
    let mut lab = Lab::new(1);
    let errors: Vec<_> = lab
        .apply(&super::file("trace.yaml"))
        .into_iter()
        .filter(|found| found.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    lab.settle(SimTime(60_000_000_000));
    let text = super::file("trace.txt");
    let mut got = text.split("=== ").next().unwrap().to_owned();
    for case in text.split("=== ").skip(1) {
        let head = case.lines().next().unwrap();
        let (pod, command) = head.split_once(' ').unwrap();
        let (out, status, _) = run(&mut lab, pod, command);
        write!(got, "=== {head}\n{}", blanked(&format!("{out}rc={status}\n"))).unwrap();
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns/trace.txt"), got)
            .unwrap();
    } else {
        assert_eq!(got, text);
    }
}
