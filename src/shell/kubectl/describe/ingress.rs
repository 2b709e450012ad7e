//! Ingresses and their classes.

use super::{Look, annotations, labels, line, network};
use crate::shell::kubectl::json::{at, list, number, plain, text};
use crate::shell::kubectl::resources::of_kind;
use crate::shell::kubectl::view;
use serde_json::Value;
use std::collections::BTreeSet;

/// `describeIngressV1`.
pub(super) fn ingress(ingress: &Value, look: &Look<'_>, out: &mut String) {
    line(out, &format!("Name:\t{}", text(ingress, "metadata.name")));
    labels(ingress, "Labels", "metadata.labels", out);
    let namespace = text(ingress, "metadata.namespace");
    line(out, &format!("Namespace:\t{namespace}"));
    let addresses: BTreeSet<&str> = list(ingress, "status.loadBalancer.ingress")
        .iter()
        .map(|one| if text(one, "ip").is_empty() { text(one, "hostname") } else { text(one, "ip") })
        .filter(|address| !address.is_empty())
        .collect();
    line(out, &format!("Address:\t{}", addresses.into_iter().collect::<Vec<_>>().join(",")));
    line(
        out,
        &format!("Ingress Class:\t{}", at(ingress, "spec.ingressClassName").as_str().unwrap_or("<none>")),
    );
    let services = of_kind("Service").map(|resource| view::objects(look.inventory, resource));
    let services = services.unwrap_or_default();
    let shown = |backend: &Value| shown(namespace, backend, &services, look);
    let default = at(ingress, "spec.defaultBackend");
    let default = if default.is_null() { "<default>".to_owned() } else { shown(default) };
    line(out, &format!("Default backend:\t{default}"));
    let tls = list(ingress, "spec.tls");
    if !tls.is_empty() {
        line(out, "TLS:");
    }
    for one in tls {
        let hosts = list(one, "hosts").iter().map(plain).collect::<Vec<_>>().join(",");
        match text(one, "secretName") {
            "" => line(out, &format!("  SNI routes {hosts}")),
            secret => line(out, &format!("  {secret} terminates {hosts}")),
        }
    }
    line(out, "Rules:\n  Host\tPath\tBackends\n  ----\t----\t--------");
    let rules: Vec<&Value> =
        list(ingress, "spec.rules").iter().filter(|rule| !at(rule, "http").is_null()).collect();
    if rules.is_empty() {
        line(out, &format!("  *\t*\t{default}"));
    }
    for rule in rules {
        let host = text(rule, "host");
        line(out, &format!("  {}\t", if host.is_empty() { "*" } else { host }));
        for path in list(rule, "http.paths") {
            line(out, &format!("    \t{} \t{}", text(path, "path"), shown(at(path, "backend"))));
        }
    }
    annotations(ingress, out);
}

/// A Service with the addresses behind its port, or another object (`describeBackendV1`).
fn shown(namespace: &str, backend: &Value, services: &[Value], look: &Look<'_>) -> String {
    let wanted = at(backend, "service");
    if wanted.is_null() {
        let resource = at(backend, "resource");
        let group = at(resource, "apiGroup").as_str().unwrap_or("<none>");
        return format!(
            "APIGroup: {group}, Kind: {}, Name: {}",
            text(resource, "kind"),
            text(resource, "name")
        );
    }
    let (name, port) = (text(wanted, "name"), at(wanted, "port"));
    let (number_of, name_of) = (number(port, "number"), text(port, "name"));
    let written = match number_of {
        0 => format!("{name}:{name_of}"),
        number => format!("{name}:{number}"),
    };
    let service = services
        .iter()
        .find(|one| text(one, "metadata.namespace") == namespace && text(one, "metadata.name") == name);
    let Some(service) = service else {
        return format!("{written} (<error: services {name:?} not found>)");
    };
    // The last one that fits.
    let own = list(service, "spec.ports").iter().rfind(|own| {
        (number_of != 0 && number(own, "port") == number_of)
            || (!name_of.is_empty() && text(own, "name") == name_of)
    });
    let own = own.map_or("", |own| text(own, "name"));
    format!("{written} ({})", network::endpoints(service, own, look))
}

/// `describeIngressClassV1`.
pub(super) fn class(class: &Value, out: &mut String) {
    line(out, &format!("Name:\t{}", text(class, "metadata.name")));
    labels(class, "Labels", "metadata.labels", out);
    annotations(class, out);
    line(out, &format!("Controller:\t{}", text(class, "spec.controller")));
    let parameters = at(class, "spec.parameters");
    if parameters.is_null() {
        return;
    }
    line(out, "Parameters:");
    if let Some(group) = at(parameters, "apiGroup").as_str() {
        line(out, &format!("  APIGroup:\t{group}"));
    }
    line(out, &format!("  Kind:\t{}\n  Name:\t{}", text(parameters, "kind"), text(parameters, "name")));
}
