//! Policies of the administrators: in which order they are asked, what each action does, and which plug-ins enforce them.
//! Every cell is asked by a real packet, and what the pure decision says of it is the same.

use super::{SEED, World, port, rows};
use vethscope::base::words::Lang;
use vethscope::lab::matrix::{Asking, Matrix, Obstacle, Want, policy_for, reason};
use vethscope::manifest;

const NAMES: [&str; 9] = ["x/a", "x/b", "x/c", "y/a", "y/b", "y/c", "z/a", "z/b", "z/c"];
const API: &str = "apiVersion: policy.networking.k8s.io/v1alpha1\n";

/// An `AdminNetworkPolicy` with this priority about all Pods of x.
fn anp(name: &str, priority: u32, rules: &str) -> String {
    format!(
        "---\n{API}kind: AdminNetworkPolicy\nmetadata: {{name: {name}}}\nspec:\n  priority: {priority}\n  \
         subject: {{namespaces: {{matchLabels: {{ns: x}}}}}}\n{rules}"
    )
}

/// The baseline about all Pods of x.
fn banp(rules: &str) -> String {
    format!(
        "---\n{API}kind: BaselineAdminNetworkPolicy\nmetadata: {{name: default}}\nspec:\n  \
         subject: {{namespaces: {{matchLabels: {{ns: x}}}}}}\n{rules}"
    )
}

/// A network policy of x.
fn netpol(spec: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: own, namespace: x}}\nspec: {{{spec}}}\n"
    )
}

fn ask(cni: &'static str, documents: &[String], asked: &str) -> (Asking, Matrix) {
    let text = World { cni, ..World::default() }.text() + &documents.concat();
    let mut asking =
        Asking::new(&text, &[port(asked)], SEED).unwrap_or_else(|wrong| panic!("{wrong:?}\n{text}"));
    while asking.advance(u32::MAX) {}
    let matrix = asking.matrices().remove(0);
    (asking, matrix)
}

/// The packets do what is wanted of each cell, and so does the pure decision.
#[track_caller]
fn check(documents: &[String], asked: &str, wanted: impl Fn(&str, &str) -> bool) {
    let (asking, matrix) = ask("calico", documents, asked);
    let row = |from: &&str| NAMES.iter().map(|to| wanted(from, to)).collect::<Vec<bool>>();
    let wanted = rows(&NAMES.iter().map(row).collect::<Vec<_>>());
    let story = documents.concat();
    assert_eq!(rows(&matrix.allowed()), wanted, "packets to {asked}\n{story}");
    assert_eq!(rows(&asking.decided(&matrix)), wanted, "decided of {asked}\n{story}");
}

fn is_in(namespace: &str, pod: &str) -> bool {
    pod.starts_with(namespace)
}

#[test]
fn a_denial_needs_no_isolation_and_yields_to_nothing() {
    let deny = anp("d", 10, "  ingress:\n  - {action: Deny, from: [{namespaces: {matchLabels: {ns: z}}}]}\n");
    let open = netpol("podSelector: {}, ingress: [{}]");
    for documents in [vec![deny.clone()], vec![deny, open]] {
        check(&documents, "80/TCP", |from, to| !(is_in("x", to) && is_in("z", from)));
    }
}

#[test]
fn an_allowance_goes_before_isolation() {
    let allow =
        anp("a", 10, "  ingress:\n  - {action: Allow, from: [{namespaces: {matchLabels: {ns: y}}}]}\n");
    let closed = netpol("podSelector: {}, policyTypes: [Ingress]");
    check(&[allow, closed], "80/TCP", |from, to| !is_in("x", to) || is_in("y", from));
}

#[test]
fn what_is_passed_on_is_for_network_policies() {
    let pass = anp("p", 10, "  ingress:\n  - {action: Pass, from: [{namespaces: {matchLabels: {ns: y}}}]}\n");
    let deny = anp("d", 20, "  ingress:\n  - {action: Deny, from: [{namespaces: {}}]}\n");
    let own = netpol(
        "podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}, podSelector: {matchLabels: {pod: a}}}]}]",
    );
    check(&[pass.clone(), deny.clone(), own], "80/TCP", |from, to| !is_in("x", to) || from == "y/a");
    // Nothing isolates the Pods, so what is passed on gets through.
    check(&[pass, deny], "80/TCP", |from, to| !is_in("x", to) || is_in("y", from));
}

#[test]
fn the_lowest_priority_is_asked_first_and_within_a_policy_the_first_rule() {
    let late = anp("a", 50, "  ingress:\n  - {action: Allow, from: [{namespaces: {}}]}\n");
    let early = anp(
        "b",
        5,
        "  ingress:\n  - {action: Allow, from: [{pods: {namespaceSelector: {matchLabels: {ns: z}}, podSelector: {matchLabels: {pod: a}}}}]}\n  \
         - {action: Deny, from: [{namespaces: {matchLabels: {ns: z}}}]}\n",
    );
    check(&[late, early], "80/TCP", |from, to| !is_in("x", to) || !is_in("z", from) || from == "z/a");
}

#[test]
fn the_baseline_speaks_where_no_network_policy_isolates() {
    let base = banp(
        "  ingress:\n  - {action: Allow, from: [{namespaces: {matchLabels: {ns: z}}}]}\n  - {action: Deny, from: [{namespaces: {}}]}\n",
    );
    let own = netpol(
        "podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}}]}]",
    );
    check(&[base.clone(), own], "80/TCP", |from, to| {
        !is_in("x", to) || if to == "x/a" { is_in("y", from) } else { is_in("z", from) }
    });
    let pass = anp("p", 0, "  ingress:\n  - {action: Pass, from: [{namespaces: {}}]}\n");
    check(&[base, pass], "80/TCP", |from, to| !is_in("x", to) || is_in("z", from));
}

#[test]
fn egress_may_name_networks_and_ports_in_a_row() {
    let deny = anp(
        "d",
        10,
        "  egress:\n  - action: Deny\n    to: [{networks: [10.244.2.0/24, 10.244.3.7/24, 'fd00::/8']}]\n    \
         ports: [{portRange: {protocol: TCP, start: 80, end: 90}}, {portNumber: {protocol: UDP, port: 81}}]\n",
    );
    for (asked, denied) in [("80/TCP", true), ("81/TCP", true), ("80/UDP", false), ("81/UDP", true)] {
        check(std::slice::from_ref(&deny), asked, |from, to| {
            !(denied && is_in("x", from) && !to.ends_with("/a"))
        });
    }
}

#[test]
fn several_ranges_and_many_ports_of_one_protocol_are_worked_out_in_marks() {
    let ports: Vec<String> =
        (0..16).map(|at| format!("{{portNumber: {{protocol: TCP, port: {}}}}}", 65 + at)).collect();
    let deny = anp(
        "d",
        10,
        &format!(
            "  egress:\n  - action: Deny\n    to: [{{networks: [10.244.2.11/32, 10.244.2.12/32]}}]\n    ports: [{}]\n",
            ports.join(", ")
        ),
    );
    // Of sixteen ports, 65 to 80, iptables takes fifteen in one line.
    check(std::slice::from_ref(&deny), "80/TCP", |from, to| {
        !(is_in("x", from) && matches!(to, "x/b" | "y/b"))
    });
    check(&[deny], "81/TCP", |_, _| true);
}

#[test]
fn what_calico_does_not_understand_closes_the_way_and_check_says_so() {
    let named = anp(
        "n",
        10,
        "  ingress:\n  - {action: Pass, from: [{namespaces: {}}], ports: [{namedPort: serve-80-tcp}]}\n",
    );
    check(std::slice::from_ref(&named), "81/UDP", |_, to| !is_in("x", to));
    let nodes = anp(
        "n",
        10,
        "  egress:\n  - {action: Allow, to: [{nodes: {}}]}\n  - {action: Deny, to: [{namespaces: {}}]}\n",
    );
    check(std::slice::from_ref(&nodes), "80/TCP", |from, _| !is_in("x", from));
    for (document, message, path) in [
        (named, "across.calico-closed", "spec.ingress[0].ports[0].namedPort"),
        (nodes, "across.calico-left-out", "spec.egress[0].to[0].nodes"),
    ] {
        let text = World { cni: "calico", ..World::default() }.text() + &document;
        let found = manifest::parse(&text).diagnostics;
        assert!(found.iter().any(|one| one.message == message && one.path == path), "{found:?}");
    }
}

#[test]
fn the_sentences_say_deny_only_of_administrators() {
    let deny = anp(
        "guard",
        10,
        "  ingress:\n  - {action: Pass, from: [{namespaces: {matchLabels: {ns: y}}}]}\n  - {action: Deny, from: [{namespaces: {}}]}\n",
    );
    let own = netpol("podSelector: {}, policyTypes: [Ingress]");
    let (asking, matrix) = ask("calico", &[deny, own], "80/TCP");
    let why = reason(&asking, &matrix, (6, 0), Lang::En);
    assert_eq!(
        why.sentences[1],
        "x/a: the AdminNetworkPolicy guard denies TCP 80 from z/a by spec.ingress[1]."
    );
    assert_eq!((why.policy.as_deref(), why.path.as_deref()), (Some("guard"), Some("spec.ingress[1]")));
    assert!(why.rule.is_some_and(|rule| rule.contains("cali-pi-")));
    let span = why.span.expect("a place in the text");
    assert!(asking.text()[span.start..span.end].contains("Deny"));
    let passed = reason(&asking, &matrix, (3, 0), Lang::En).sentences;
    assert_eq!(
        passed[1..3],
        [
            "x/a: the AdminNetworkPolicy guard passes TCP 80 from y/a on by spec.ingress[0]: network policies decide.",
            "x/a is isolated for ingress by x/own; no policy that applies admits TCP 80 from y/a."
        ]
    );
    let korean = reason(&asking, &matrix, (6, 0), Lang::Ko).sentences.join(" ");
    assert!(korean.contains("거부합니다"), "{korean}");
    let Err(Obstacle::Administered(by)) = policy_for(&asking, &matrix, (6, 0), Want::Allow) else {
        panic!("no network policy helps against a denial");
    };
    assert_eq!(by.len(), 1);
}

#[test]
fn cilium_and_flannel_enforce_none_and_say_so() {
    let deny = anp("d", 10, "  ingress:\n  - {action: Deny, from: [{namespaces: {}}]}\n");
    for cni in ["cilium", "flannel"] {
        let (asking, matrix) = ask(cni, std::slice::from_ref(&deny), "80/TCP");
        assert!(matrix.allowed().iter().flatten().all(|allowed| *allowed), "{cni}");
        let why = reason(&asking, &matrix, (6, 0), Lang::En).sentences;
        assert!(why.iter().any(|line| line.contains("enforces no AdminNetworkPolicy")), "{why:?}");
        let found = manifest::parse(asking.text()).diagnostics;
        assert!(found.iter().any(|one| one.message == "across.unenforced-admin"), "{found:?}");
    }
}

#[test]
fn edits_take_effect_at_once() {
    let deny = anp("d", 10, "  ingress:\n  - {action: Deny, from: [{namespaces: {}}]}\n");
    let (mut asking, matrix) = ask("calico", std::slice::from_ref(&deny), "80/TCP");
    assert!(!matrix.allowed()[6][0]);
    let allow = deny.replace("Deny", "Allow");
    for (text, allowed) in [(Some(&allow), true), (Some(&deny), false), (None, true)] {
        let text = World { cni: "calico", ..World::default() }.text() + text.map_or("", |text| text);
        assert!(asking.apply(&text, &[matrix.port]).is_empty());
        while asking.advance(u32::MAX) {}
        assert_eq!(asking.matrices()[0].allowed()[6][0], allowed, "{text}");
    }
}
