//! `AdminNetworkPolicy` and its baseline, as the schemas of their `CustomResourceDefinitions` check them
//! (network-policy-api v0.1, experimental channel), in the words of the API server for such schemas.

use super::address;
use super::cursor::Cursor;
use super::selector;
use crate::manifest::report::Report;

/// Rules of a direction, peers of a rule and ports of a rule (`MaxItems`).
const ITEMS_MAX: usize = 100;
/// Ranges of a peer.
const NETWORKS_MAX: usize = 25;
/// The highest priority.
const PRIORITY_MAX: i64 = 1000;
/// Longest name of a rule.
const NAME_MAX: usize = 100;

pub(super) fn validate(kind: &str, root: &Cursor<'_>, report: &mut Report<'_>) {
    let spec = root.get("spec");
    let is_baseline = kind == "BaselineAdminNetworkPolicy";
    let name = root.get("metadata").get("name");
    if is_baseline && !matches!(name.text(), "" | "default") {
        let why = "Only one baseline admin network policy with metadata.name=\"default\" can be created in the cluster";
        name.because(report, why);
    }
    within(&spec.get("priority"), (0, PRIORITY_MAX), report);
    one_of_fields(&spec.get("subject"), report);
    pods(&spec.get("subject"), report);
    let actions: &[&str] = if is_baseline { &["Allow", "Deny"] } else { &["Allow", "Deny", "Pass"] };
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        let rules = spec.get(rules);
        at_most(&rules, ITEMS_MAX, report);
        for one in rules.items() {
            rule(&one, (peers, actions), report);
        }
    }
}

fn rule(rule: &Cursor<'_>, (peers, actions): (&str, &[&str]), report: &mut Report<'_>) {
    let name = rule.get("name");
    if name.text().len() > NAME_MAX {
        let limit = NAME_MAX.to_string();
        report.error(&name.path(), "invalid.config-size", Some("invalid.because.hint"), &[&limit]);
    }
    let action = rule.get("action");
    action.one_of(report, actions);
    let (peers, ports) = (rule.get(peers), rule.get("ports"));
    at_least_one(&peers, report);
    at_most(&peers, ITEMS_MAX, report);
    for one in peers.items() {
        peer(&one, report);
        if one.get("domainNames").is_set() && action.text() != "Allow" {
            one.get("domainNames").because(report, "domainNames is only supported for Allow rules");
        }
    }
    at_most(&ports, ITEMS_MAX, report);
    for one in ports.items() {
        port(&one, report);
    }
}

fn peer(peer: &Cursor<'_>, report: &mut Report<'_>) {
    one_of_fields(peer, report);
    pods(peer, report);
    selector::validate(&peer.get("nodes"), report);
    let networks = peer.get("networks");
    at_least_one(&networks, report);
    at_most(&networks, NETWORKS_MAX, report);
    let mut seen = Vec::new();
    for range in networks.items() {
        let text = range.text();
        if text.contains(':') == text.contains('.') {
            let why = "CIDR must be either an IPv4 or IPv6 address. IPv4 address embedded in IPv6 addresses are not supported";
            range.because(report, why);
        } else {
            address::cidr(&range, report);
        }
        if seen.contains(&text) {
            range.duplicate(report);
        }
        seen.push(text);
    }
}

/// The two ways to name Pods.
fn pods(at: &Cursor<'_>, report: &mut Report<'_>) {
    selector::validate(&at.get("namespaces"), report);
    let pods = at.get("pods");
    selector::validate(&pods.get("namespaceSelector"), report);
    selector::validate(&pods.get("podSelector"), report);
}

fn port(port: &Cursor<'_>, report: &mut Report<'_>) {
    one_of_fields(port, report);
    let (number, range) = (port.get("portNumber"), port.get("portRange"));
    for (at, fields) in [(&number, &["port"][..]), (&range, &["start", "end"][..])] {
        at.get("protocol").one_of_or_empty(report, &["SCTP", "TCP", "UDP"]);
        for field in fields {
            within(&at.get(field), (1, 65_535), report);
        }
    }
    let (start, end) = (range.get("start"), range.get("end"));
    if start.is_set() && end.is_set() && start.number() >= end.number() {
        range.because(report, "Start port must be less than End port");
    }
}

/// `MinProperties` and `MaxProperties` of 1.
fn one_of_fields(at: &Cursor<'_>, report: &mut Report<'_>) {
    if !at.is_set() {
        return;
    }
    let count = at.entries().filter(|(_, field)| field.is_set()).count();
    if count == 0 {
        let why = format!("{} in body should have at least 1 properties", at.path());
        report.error(&at.path(), "invalid.because", Some("invalid.one-field.hint"), &["0", &why]);
    } else if count > 1 {
        report.error(
            &at.path(),
            "invalid.too-many",
            Some("invalid.one-field.hint"),
            &[&count.to_string(), "1"],
        );
    }
}

fn at_most(list: &Cursor<'_>, most: usize, report: &mut Report<'_>) {
    if list.len() > most {
        let (found, most) = (list.len().to_string(), most.to_string());
        report.error(&list.path(), "invalid.too-many", Some("invalid.too-many.hint"), &[&found, &most]);
    }
}

fn at_least_one(list: &Cursor<'_>, report: &mut Report<'_>) {
    if list.is_set() && list.len() == 0 {
        let why = format!("{} in body should have at least 1 items", list.path());
        report.error(&list.path(), "invalid.because", Some("invalid.because.hint"), &["0", &why]);
    }
}

/// `Minimum` and `Maximum`.
fn within(at: &Cursor<'_>, (least, most): (i64, i64), report: &mut Report<'_>) {
    if !at.is_set() {
        return;
    }
    let number = at.number();
    if number < least {
        at.because(report, &format!("{} in body should be greater than or equal to {least}", at.path()));
    } else if number > most {
        at.because(report, &format!("{} in body should be less than or equal to {most}", at.path()));
    }
}
