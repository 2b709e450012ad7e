//! The race of parallel A and AAAA questions in connection tracking: what a lookup takes and what is lost on its way, by
//! the resolver's options (`race.txt`, made anew with `UPDATE_EXPECT=1`).

use super::wire::run;
use std::fmt::Write as _;
use vethscope::base::{Duration, Severity};
use vethscope::lab::{Lab, Target};
use vethscope::trace::{Disposition, DropReason, EventKind};

/// The cluster of `race.yaml` with its DNS, and what it is changed by.
fn settled(change: (&str, &str)) -> Lab {
    let mut lab = Lab::new(1);
    let text = super::file("race.yaml").replace(change.0, change.1);
    let errors: Vec<_> =
        lab.apply(&text).into_iter().filter(|found| found.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let limit = lab.now() + Duration::from_secs(60);
    lab.settle(limit);
    lab.need_names(&Target::parse("gnu", "default", None), &["dig".to_owned()]);
    lab
}

/// A line for each Pod: whole milliseconds, and packets that clashed.
fn table(lab: &mut Lab) -> String {
    let mut out = String::new();
    for pod in ["gnu", "single-request", "single-request-reopen", "use-vc", "musl", "one-family"] {
        let (began, from) = (lab.now(), lab.trace().len());
        let (printed, status, _) = run(lab, pod, "getent ahosts web");
        assert_eq!(status, 0, "{pod}: {printed}");
        let took = lab.now().since(began).0 / 1_000_000;
        let lost = |kind: &EventKind| {
            matches!(kind, EventKind::Ended(Disposition::Dropped(DropReason::ConntrackClash)))
        };
        let lost = lab.trace().events.since(from).filter(|event| lost(&event.kind)).count();
        writeln!(out, "  {pod}: {took} ms, {lost} lost").unwrap();
    }
    let counted = run(lab, "node/node1", "conntrack -S").0 + &run(lab, "node/node2", "conntrack -S").0;
    for line in counted.lines().filter(|line| line.starts_with("cpu=1")) {
        let words: Vec<&str> = line.split_whitespace().filter(|word| !word.ends_with("=0")).skip(1).collect();
        writeln!(out, "  conntrack -S: {}", words.join(" ")).unwrap();
    }
    out
}

#[test]
fn parallel_questions_race_only_where_it_was_asked_for() {
    let mut got = String::new();
    for (head, change) in [
        ("kernels before 5.0", ("", "")),
        ("kernels of today", ("conntrackRace: true", "conntrackRace: false")),
        (
            "kernels before 5.0, NodeLocal DNSCache",
            ("spec:\n  network", "spec:\n  dns: {nodeLocal: true}\n  network"),
        ),
    ] {
        writeln!(got, "{head}\n{}", table(&mut settled(change))).unwrap();
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dns/race.txt");
        std::fs::write(path, got).unwrap();
    } else {
        assert_eq!(got, super::file("race.txt"));
    }
}
