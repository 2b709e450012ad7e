//! Pods: ports that clash, servers that nobody reaches, names that cost queries.

use super::super::cursor::Cursor;
use super::{Pods, View, ports_of, texts};
use crate::api::ClusterSpec;
use crate::api::processes;
use crate::base::{DemoPlace, Diagnostic};
use std::collections::BTreeMap;

/// Dots below which a name is first looked up with every search domain (`options ndots:5`).
const NDOTS: usize = 5;
/// Search domains of a Pod under `ClusterFirst`: its namespace's, that of Services, the cluster's.
const SEARCHES: usize = 3;

pub(super) fn each(view: &View<'_>, spec: &ClusterSpec, found: &mut Vec<Diagnostic>) {
    for pods in view.pods() {
        let mut report = pods.report();
        same_port(pods, &mut report);
        loopback(pods, &mut report);
        processes(pods, &mut report);
        dots(pods, &mut report);
        host_ports(pods, spec, &mut report);
        found.extend(report.finish());
    }
}

type Report<'a> = crate::manifest::report::Report<'a>;

/// Two containers of a Pod on one port: they share one network namespace.
fn same_port(pods: &Pods<'_>, report: &mut Report<'_>) {
    let mut taken: BTreeMap<(i64, &str), &str> = BTreeMap::new();
    for container in pods.containers() {
        let name = container.get("name").text();
        for port in ports_of(&container) {
            let key = (port.number, port.protocol);
            match taken.get(&key) {
                Some(&other) if other != name => {
                    let number = port.number.to_string();
                    let args = [&*number, other, name, port.protocol];
                    report.warning(&port.place.path(), "lint.same-port", Some("lint.same-port.hint"), &args);
                    report.demo(DemoPlace::Node, format!("kubectl get pods -n {} -o wide", pods.namespace));
                }
                Some(_) => {}
                None => {
                    taken.insert(key, name);
                }
            }
        }
    }
}

/// A server that is told to listen on the loopback address only.
fn loopback(pods: &Pods<'_>, report: &mut Report<'_>) {
    for container in pods.containers() {
        for field in ["command", "args"] {
            for word in texts(&container.get(field)) {
                let text = word.text();
                let Some(at) = ["127.0.0.1", "localhost"].into_iter().find(|at| listens_on(text, at)) else {
                    continue;
                };
                let name = container.get("name").text();
                report.warning(&word.path(), "lint.loopback", Some("lint.loopback.hint"), &[at, name]);
                let behind = text.split(at).nth(1).and_then(|rest| rest.strip_prefix(':'));
                let said = behind.and_then(|rest| rest.parse().ok());
                loopback_demo(pods, said, report);
                report.fix_text(&word.path(), "lint.loopback.fix", at, "0.0.0.0");
            }
        }
    }
    let processes = pods.annotations.get(processes::ANNOTATION);
    if processes.text().contains("://127.0.0.1:") {
        let path = format!("{}[{}]", pods.annotations.path(), processes::ANNOTATION);
        report.warning(&path, "lint.loopback", Some("lint.loopback.hint"), &["127.0.0.1", ""]);
        let behind = processes.text().split("://127.0.0.1:").nth(1).unwrap_or("");
        let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
        loopback_demo(pods, digits.parse().ok(), report);
    }
}

/// What the annotation says that sets what containers do, where it cannot be read or names nobody: nothing would come of
/// it.
fn processes(pods: &Pods<'_>, report: &mut Report<'_>) {
    let written = pods.annotations.get(processes::ANNOTATION);
    if !written.is_set() {
        return;
    }
    let path = format!("{}[{}]", pods.annotations.path(), processes::ANNOTATION);
    let is_here = |name: &str| pods.containers().iter().any(|container| container.get("name").text() == name);
    let problem = match processes::parse(written.text()) {
        Ok(all) => all.into_iter().map(|(name, _)| name).find(|name| !is_here(name)).map(|name| {
            let known: Vec<&str> = pods.containers().iter().map(|one| one.get("name").text()).collect();
            ("processes.container", vec![name, known.join(", ")])
        }),
        Err(problem) => Some(problem),
    };
    if let Some((key, args)) = problem {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        report.warning(&path, key, Some("processes.hint"), &args);
    }
}

/// From its node nobody is heard on the port where the server says it listens, or else on the one that is declared.
fn loopback_demo(pods: &Pods<'_>, said: Option<i64>, report: &mut Report<'_>) {
    let declared = || pods.containers().iter().flat_map(ports_of).map(|port| port.number).next();
    if let Some(port) = said.or_else(declared) {
        report.demo(DemoPlace::Node, format!("curl -sS -m 2 http://{{pod {}}}:{port}/", pods.path()));
    }
}

/// Whether a word of a command line makes a server listen on this address: the address alone or with a port, or after
/// an option that binds. An address that something is fetched from stands after `//`.
fn listens_on(text: &str, address: &str) -> bool {
    let Some(at) = text.find(address) else { return false };
    if text.contains("//") {
        return false;
    }
    let before = &text[..at];
    let option =
        ["bind", "listen", "host", "addr", "-b", "-H", "-s"].iter().any(|word| before.contains(word));
    let bare = before.is_empty() && text[address.len()..].chars().all(|c| c == ':' || c.is_ascii_digit());
    option || (bare && text.len() >= address.len())
}

/// A name outside the cluster with few dots is asked for with every search domain first.
fn dots(pods: &Pods<'_>, report: &mut Report<'_>) {
    let policy = pods.spec.get("dnsPolicy").text_or("ClusterFirst");
    let options = pods.spec.get("dnsConfig").get("options");
    let own = options.items().find(|one| one.get("name").text() == "ndots");
    let ndots = own.and_then(|one| one.get("value").text().parse::<usize>().ok()).unwrap_or(NDOTS);
    if policy == "Default" || policy == "None" || pods.spec.get("hostNetwork").is_true() {
        return;
    }
    for container in pods.containers() {
        let words = ["command", "args"].into_iter().flat_map(|field| texts(&container.get(field)));
        let values = container.get("env").items().map(|one| one.get("value")).filter(Cursor::is_set);
        for text in words.chain(values) {
            let Some(host) = outside_host(text.text()) else { continue };
            let dots = host.bytes().filter(|byte| *byte == b'.').count();
            if dots < ndots {
                let wasted = (2 * SEARCHES).to_string();
                let args = [host, &ndots.to_string(), &wasted];
                report.warning(&text.path(), "lint.ndots", Some("lint.ndots.hint"), &args);
                report.demo(pods.place(), format!("ping -c 1 -W 1 {host}"));
                report.fix_text(&text.path(), "lint.ndots.fix", host, &format!("{host}."));
            }
        }
    }
}

/// The host of a URL that lies outside the cluster: a name with dots that is no Service's and no address.
fn outside_host(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("://")?;
    let host = after.split(['/', ':', '?', ' ', '"', '\'']).next()?;
    let top = host.rsplit('.').next()?;
    let is_name = host.contains('.') && top.len() > 1 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    let inside = matches!(top, "local" | "svc" | "cluster");
    (is_name && !inside && !host.ends_with('.')).then_some(host)
}

/// A port of the node can be had once on each node.
fn host_ports(pods: &Pods<'_>, spec: &ClusterSpec, report: &mut Report<'_>) {
    let nodes = spec.nodes.len() as i64;
    let Some(count) = pods.count.filter(|count| *count > nodes) else { return };
    let host_network = pods.spec.get("hostNetwork").is_true();
    for container in pods.containers() {
        for port in container.get("ports").items() {
            let host = port.get("hostPort");
            let field = if host.number() != 0 {
                host
            } else if host_network {
                port.get("containerPort")
            } else {
                continue;
            };
            let (number, count, nodes) = (field.number().to_string(), count.to_string(), nodes.to_string());
            report.warning(
                &field.path(),
                "lint.host-port",
                Some("lint.host-port.hint"),
                &[&number, &count, &nodes],
            );
            report.demo(DemoPlace::Node, format!("kubectl get events -n {}", pods.namespace));
        }
    }
}

/// Single Pods that want the same port of more nodes than there are, or of one node.
pub(super) fn host_port_taken(view: &View<'_>, spec: &ClusterSpec, found: &mut Vec<Diagnostic>) {
    let mut holders: BTreeMap<(i64, String), Vec<(&Pods<'_>, String)>> = BTreeMap::new();
    for pods in view.pods().iter().filter(|pods| pods.entry.located.object.kind() == "Pod") {
        for container in pods.containers() {
            for port in container.get("ports").items().filter(|port| port.get("hostPort").number() != 0) {
                let key = (port.get("hostPort").number(), port.get("protocol").text_or("TCP").to_owned());
                holders.entry(key).or_default().push((pods, port.get("hostPort").path()));
            }
        }
    }
    for ((number, _), all) in holders {
        let mut by_node: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, (pods, path)) in all.iter().enumerate() {
            let node = pods.spec.get("nodeName").text();
            let here = by_node.entry(node).or_default();
            *here += 1;
            let full = (!node.is_empty() && *here > 1) || index >= spec.nodes.len();
            if full {
                let mut report = pods.report();
                let (count, nodes) = (all.len().to_string(), spec.nodes.len().to_string());
                let args = [&*number.to_string(), &*count, &*nodes];
                report.warning(path, "lint.host-port", Some("lint.host-port.hint"), &args);
                report.demo(DemoPlace::Node, format!("kubectl get events -n {}", pods.namespace));
                found.extend(report.finish());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{listens_on, outside_host};

    #[test]
    fn only_what_binds_counts_as_listening() {
        for text in
            ["--bind=127.0.0.1", "127.0.0.1", "127.0.0.1:8080", "--listen 127.0.0.1", "--host=127.0.0.1:80"]
        {
            assert!(listens_on(text, "127.0.0.1"), "{text}");
        }
        for text in ["curl http://127.0.0.1:80", "ping -c1 127.0.0.1", "--upstream=127.0.0.1"] {
            assert!(!listens_on(text, "127.0.0.1"), "{text}");
        }
    }

    #[test]
    fn names_of_the_cluster_are_no_outside_hosts() {
        assert_eq!(outside_host("https://api.example.com/v1"), Some("api.example.com"));
        for text in [
            "http://web",
            "http://web.default.svc",
            "http://10.0.0.1:80",
            "api.example.com",
            "http://a.b.svc.cluster.local",
            "https://example.com./x",
        ] {
            assert_eq!(outside_host(text), None, "{text}");
        }
    }
}
