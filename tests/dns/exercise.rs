//! The course's second exercise: what is missing is said, and the solution has nothing missing.

use vethscope::base::words::Lang;
use vethscope::lab::exercise::{GOALS, Goal, SOLVED, START, Verdict, check};

fn texts(verdicts: &[Verdict], goal: Goal) -> Vec<String> {
    let own = verdicts.iter().find(|verdict| verdict.0 == goal).expect("it was tried");
    own.1.iter().map(|missing| missing.text(Lang::En)).collect()
}

#[test]
fn the_solution_reaches_every_goal() {
    let verdicts = check(SOLVED);
    assert_eq!(verdicts.iter().map(|verdict| verdict.0).collect::<Vec<_>>(), GOALS);
    for goal in GOALS {
        assert_eq!(texts(&verdicts, goal), Vec::<String>::new(), "{goal:?}");
    }
}

#[test]
fn the_beginning_misses_everything_and_says_what() {
    let verdicts = check(START);
    let names = texts(&verdicts, Goal::Names);
    assert_eq!(names.len(), 4);
    assert!(names[1].contains("no Service backend-api in namespace api"), "{names:?}");
    for goal in GOALS {
        let missing = verdicts.iter().find(|verdict| verdict.0 == goal).unwrap();
        assert!(!missing.1.is_empty(), "{goal:?}");
        for one in &missing.1 {
            for lang in [Lang::En, Lang::Ko] {
                assert!(!one.text(lang).contains("exercise."), "{}", one.text(lang));
            }
        }
    }
}

/// Each mistake is found at the goal that it spoils.
#[test]
fn a_solution_with_one_mistake_misses_one_goal() {
    let change = |from: &str, to: &str| {
        assert!(SOLVED.contains(from), "{from}");
        SOLVED.replacen(from, to, 1)
    };
    // Nobody may ask for names any more.
    let verdicts =
        check(&SOLVED.replace(
            "ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]",
            "ports: [{port: 5353}]",
        ));
    assert!(texts(&verdicts, Goal::Names)[0].contains("cannot resolve backend-api.api"), "{verdicts:?}");
    assert_eq!(texts(&verdicts, Goal::Open), Vec::<String>::new(), "addresses still reach");
    // One replica: nobody to share with, and nobody left.
    let verdicts = check(&change("replicas: 3", "replicas: 1"));
    assert!(texts(&verdicts, Goal::Spread)[0].contains("one ready endpoint"), "{verdicts:?}");
    assert!(texts(&verdicts, Goal::Survives)[0].contains("connections to backend-api.api"), "{verdicts:?}");
    assert_eq!(texts(&verdicts, Goal::Open), Vec::<String>::new());
    assert_eq!(texts(&verdicts, Goal::Closed), Vec::<String>::new());
    // A selector that fits nobody.
    let verdicts = check(&change("spec: {selector: {app: database}", "spec: {selector: {app: databse}"));
    assert!(texts(&verdicts, Goal::Names)[0].contains("no ready endpoint"), "{verdicts:?}");
    // A policy that lets frontend in where only backend-api belongs.
    let open = "- from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: api}}, podSelector: {matchLabels: {app: backend-api}}}]";
    let verdicts = check(
        &SOLVED
            .replace(open, "- from: [{namespaceSelector: {}}]")
            .replace("policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]"),
    );
    let closed = texts(&verdicts, Goal::Closed);
    assert!(
        closed.iter().any(|text| text.starts_with("frontend.web reaches database.data at TCP 5432")),
        "{closed:?}"
    );
    assert_eq!(texts(&verdicts, Goal::Open), Vec::<String>::new());
}
