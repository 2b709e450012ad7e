//! Services: whom they select, and whether anybody listens there.

use super::{Pods, Port, View, ports_of};
use crate::api::ClusterSpec;
use crate::base::{DemoPlace, Diagnostic};
use crate::manifest::report::Report;
use crate::manifest::schema::nearest;
use crate::manifest::validate::cursor::Cursor;

/// Longest label of a name in a DNS message, in bytes (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;

pub(super) fn lint(view: &View<'_>, spec: &ClusterSpec, found: &mut Vec<Diagnostic>) {
    for (entry, root) in view.of_kind("Service") {
        let mut report = entry.report();
        let namespace = &entry.located.object.metadata().namespace;
        let selector = root.get("spec").get("selector");
        let external = root.get("spec").get("type").text() == "ExternalName";
        if selector.entries().next().is_some() && !external {
            let selected = view.selected(namespace, &selector);
            if selected.is_empty() {
                selects_nothing(view, namespace, &selector, &mut report);
                demo(&root, root.get("spec").get("ports").items().next().as_ref(), &mut report);
            } else {
                for port in root.get("spec").get("ports").items() {
                    if target(&port, &selected, &mut report) {
                        demo(&root, Some(&port), &mut report);
                    }
                }
                headless(&root, &selected, &mut report);
            }
        }
        if external {
            alias(view, &spec.dns.cluster_domain, (namespace, &root), &mut report);
        }
        found.extend(report.finish());
    }
    for (entry, root) in view.of_kind("StatefulSet") {
        let mut report = entry.report();
        governing(
            view,
            &entry.located.object.metadata().namespace,
            (root.get("metadata").get("name").text(), &root.get("spec").get("serviceName")),
            &mut report,
        );
        found.extend(report.finish());
    }
}

/// The name that a Service stands for: one that leads back to the Service gives no address, and one with a label that no
/// message can carry is never asked for.
fn alias(view: &View<'_>, domain: &str, (namespace, root): (&str, &Cursor<'_>), report: &mut Report<'_>) {
    let place = root.get("spec").get("externalName");
    if let Some(long) = place.text().split('.').find(|label| label.len() > LABEL_MAX) {
        let len = long.len().to_string();
        report.warning(&place.path(), "lint.alias-label", Some("lint.alias-label.hint"), &[&len]);
    }
    let own = (root.get("metadata").get("name").text().to_owned(), namespace.to_owned());
    let (mut at, mut way) = (place.text().to_owned(), Vec::new());
    while let Some(next) = service_named(&at, domain) {
        way.push(at.trim_end_matches('.').to_owned());
        if next == own {
            let way = way.join(" → ");
            report.warning(&place.path(), "lint.alias-loop", Some("lint.alias-loop.hint"), &[&way]);
            let command = format!("nslookup {}", qualified(&own.0, &own.1));
            return report.demo(DemoPlace::AnyPod, command);
        }
        let found = view.of_kind("Service").find(|(entry, root)| {
            entry.located.object.metadata().namespace == next.1
                && root.get("metadata").get("name").text() == next.0
                && root.get("spec").get("type").text() == "ExternalName"
        });
        match found {
            Some((_, root)) if way.len() <= view.entries.len() => {
                root.get("spec").get("externalName").text().clone_into(&mut at);
            }
            Some(_) | None => return,
        }
    }
}

/// Name and namespace of the Service that a whole name of the cluster is of.
fn service_named(name: &str, domain: &str) -> Option<(String, String)> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let rest = name.strip_suffix(&format!(".svc.{}", domain.trim_end_matches('.')))?;
    let (service, namespace) = rest.split_once('.')?;
    Some((service.to_owned(), namespace.to_owned()))
}

/// No Pod of the namespace has these labels; where one label stands in the way, its value is offered.
fn selects_nothing(view: &View<'_>, namespace: &str, selector: &Cursor<'_>, report: &mut Report<'_>) {
    let here: Vec<&Pods<'_>> = view.pods().iter().filter(|pods| pods.namespace == namespace).collect();
    // Pods that all labels but one select, with the value that they have for it.
    let mut offers: Vec<(&String, &str)> = Vec::new();
    for (key, _) in selector.entries() {
        for pods in &here {
            let others = selector.entries().filter(|(other, _)| *other != key);
            let fits = others.into_iter().all(|(other, value)| pods.labels.get(other).text() == value.text());
            let own = pods.labels.get(key).text();
            if fits && !own.is_empty() && !offers.contains(&(key, own)) {
                offers.push((key, own));
            }
        }
    }
    let shown: Vec<String> =
        selector.entries().map(|(key, value)| format!("{key}={}", value.text())).collect();
    let args = [&*shown.join(","), namespace];
    report.warning(&selector.path(), "lint.no-pods", Some("lint.no-pods.hint"), &args);
    let meant = match &offers[..] {
        [only] => Some(*only),
        several => {
            several.iter().find(|(key, value)| nearest(selector.get(key).text(), [*value]).is_some()).copied()
        }
    };
    if let Some((key, value)) = meant {
        report.fix_value(&format!("{}[{key}]", selector.path()), "lint.no-pods.fix", value);
    }
}

/// A port of the Pods behind it must be there to be reached. Whether something was found.
fn target(port: &Cursor<'_>, selected: &[&Pods<'_>], report: &mut Report<'_>) -> bool {
    let protocol = port.get("protocol").text_or("TCP");
    let target = port.get("targetPort");
    let place = if target.is_set() { &target } else { &port.get("port") };
    let (all, others): (Vec<Port<'_>>, Vec<Port<'_>>) = selected
        .iter()
        .flat_map(|pods| pods.containers())
        .flat_map(|container| ports_of(&container))
        .partition(|one| one.protocol == protocol);
    if let Some(name) = target.value.as_str().filter(|name| !name.is_empty()) {
        if all.iter().any(|one| one.name == name) {
            return false;
        }
        let namesake: Vec<&Port<'_>> = others.iter().filter(|one| one.name == name).collect();
        if !namesake.is_empty() {
            return other_protocol((name, protocol), &namesake, place, report);
        }
        let names: Vec<&str> = all.iter().map(|one| one.name).filter(|name| !name.is_empty()).collect();
        let hint = if names.is_empty() { "lint.target-unnamed.hint" } else { "lint.target-name.hint" };
        report.warning(&place.path(), "lint.target-name", Some(hint), &[name, &names.join(", ")]);
        let only =
            if names.len() == 1 { names.first().copied() } else { nearest(name, names.iter().copied()) };
        if let Some(meant) = only {
            report.fix_value(&place.path(), "lint.target.fix", meant);
        }
        return true;
    }
    let number = if target.number() == 0 { port.get("port").number() } else { target.number() };
    // Where nothing is declared and nothing is known of the images, anything may listen.
    let known = selected.iter().all(|pods| pods.containers().iter().all(|one| !ports_of(one).is_empty()));
    if !known || all.iter().any(|one| one.number == number) {
        return false;
    }
    let namesake: Vec<&Port<'_>> =
        others.iter().filter(|one| all.is_empty() || one.number == number).collect();
    if !namesake.is_empty() {
        return other_protocol((&number.to_string(), protocol), &namesake, place, report);
    }
    let mut numbers: Vec<String> = all.iter().map(|one| one.number.to_string()).collect();
    numbers.dedup();
    let args = [&*number.to_string(), &*numbers.join(", ")];
    report.warning(&place.path(), "lint.target-number", Some("lint.target-number.hint"), &args);
    if let [only] = &numbers[..]
        && target.is_set()
    {
        report.fix_value(&place.path(), "lint.target.fix", only);
    }
    true
}

/// The containers have such a port, but of another protocol. It is true that something was found.
fn other_protocol(
    (wanted, protocol): (&str, &str),
    there: &[&Port<'_>],
    place: &Cursor<'_>,
    report: &mut Report<'_>,
) -> bool {
    let mut shown: Vec<String> = there.iter().map(|one| format!("{}/{}", one.number, one.protocol)).collect();
    shown.dedup();
    let args = [wanted, protocol, &*shown.join(", ")];
    report.warning(&place.path(), "lint.target-protocol", Some("lint.target-protocol.hint"), &args);
    true
}

/// A connection to the Service's address from a node; its name where it has no address of its own.
fn demo(root: &Cursor<'_>, port: Option<&Cursor<'_>>, report: &mut Report<'_>) {
    let metadata = root.get("metadata");
    let (namespace, name) = (metadata.get("namespace").text_or("default"), metadata.get("name").text());
    if root.get("spec").get("clusterIP").text() == "None" {
        return report.demo(DemoPlace::AnyPod, format!("nslookup {}", qualified(name, namespace)));
    }
    let Some(port) = port else { return };
    let number = port.get("port").number();
    let command = if port.get("protocol").text_or("TCP") == "UDP" {
        format!("nc -u -w 1 {{service {namespace}/{name}}} {number}")
    } else {
        format!("curl -sS -m 2 http://{{service {namespace}/{name}}}:{number}/")
    };
    report.demo(DemoPlace::Node, command);
}

/// A name within the cluster, in full.
fn qualified(name: &str, namespace: &str) -> String {
    format!("{name}.{namespace}.svc.cluster.local")
}

/// Pods behind a headless Service have names of their own only when they say so.
fn headless(root: &Cursor<'_>, selected: &[&Pods<'_>], report: &mut Report<'_>) {
    let spec = root.get("spec");
    if spec.get("clusterIP").text() != "None" {
        return;
    }
    let name = root.get("metadata").get("name").text();
    let named = |pods: &&&Pods<'_>| {
        pods.entry.located.object.kind() == "StatefulSet" || pods.spec.get("subdomain").text() == name
    };
    let half = selected.iter().any(|pods| !pods.spec.get("hostname").text().is_empty() && !named(&pods));
    if half {
        report.warning("spec.clusterIP", "lint.headless", Some("lint.headless.hint"), &[name]);
        let hosts = selected.iter().map(|pods| pods.spec.get("hostname").text());
        let host = hosts.into_iter().find(|host| !host.is_empty()).unwrap_or("");
        let namespace = root.get("metadata").get("namespace").text_or("default");
        report
            .demo(DemoPlace::AnyPod, format!("nslookup {}", qualified(&format!("{host}.{name}"), namespace)));
    }
    let unnamed = spec.get("ports").items().any(|port| port.get("name").text().is_empty());
    if unnamed {
        let place = spec.get("ports").path();
        report.warning(&place, "lint.headless-port", Some("lint.headless-port.hint"), &[name]);
        let namespace = root.get("metadata").get("namespace").text_or("default");
        report.demo(DemoPlace::Node, format!("kubectl get endpointslices -n {namespace} -o yaml"));
    }
}

/// The Service that gives the Pods of a `StatefulSet` their names.
fn governing(view: &View<'_>, namespace: &str, (set, service): (&str, &Cursor<'_>), report: &mut Report<'_>) {
    let name = service.text();
    if name.is_empty() {
        return;
    }
    let found = view.of_kind("Service").find(|(entry, root)| {
        entry.located.object.metadata().namespace == namespace
            && root.get("metadata").get("name").text() == name
    });
    match &found {
        None => {
            report.warning(&service.path(), "lint.no-service", Some("lint.no-service.hint"), &[name, set]);
        }
        Some((_, root)) if root.get("spec").get("clusterIP").text() != "None" => {
            report.warning(&service.path(), "lint.not-headless", Some("lint.not-headless.hint"), &[name]);
        }
        Some(_) => return,
    }
    let asked = if found.is_some() { name.to_owned() } else { format!("{set}-0.{name}") };
    report.demo(DemoPlace::AnyPod, format!("nslookup {}", qualified(&asked, namespace)));
}
