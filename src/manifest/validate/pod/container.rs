//! `validateContainers` and `validateInitContainers`.

use super::{Owner, environment, mounts, probe, resources, security, unique};
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::names;
use std::collections::BTreeSet;

/// What a container is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// One of the Pod's containers.
    Main,
    /// An init container that runs to its end.
    Init,
    /// An init container that stays (`restartPolicy: Always`).
    Sidecar,
}

/// What a container is checked against.
pub(super) struct Around<'a> {
    /// Names of the Pod's volumes.
    pub(super) volumes: &'a BTreeSet<&'a str>,
    /// Whether the Pod lives in the node's network namespace.
    pub(super) host_network: bool,
    /// Whether it is a Pod or a template.
    pub(super) owner: Owner,
    /// The Pod's `terminationGracePeriodSeconds`.
    pub(super) grace_secs: i64,
}

/// A host port that is taken: protocol, address and number.
pub(super) type HostPort<'v> = (&'v str, &'v str, i64);

pub(super) fn validate(container: &Cursor<'_>, role: Role, around: &Around<'_>, report: &mut Report<'_>) {
    let name = container.get("name");
    if name.text().is_empty() {
        name.required(report);
    } else {
        name.invalid(report, names::dns_label(name.text()));
    }
    let image = container.get("image");
    if image.text().is_empty() {
        image.required(report);
    } else if image.text().trim() != image.text() && around.owner == Owner::Pod {
        image.fault(report, "invalid.image-space", "invalid.image-space.hint", &[]);
    }
    let message = container.get("terminationMessagePolicy");
    message.one_of_or_empty(report, &["File", "FallbackToLogsOnError"]);
    ports(container, report);
    environment::validate(container, report);
    mounts::validate(container, around.volumes, report);
    container.get("imagePullPolicy").one_of_or_empty(report, &["Always", "IfNotPresent", "Never"]);
    resources::validate(&container.get("resources"), report);
    security::container(&container.get("securityContext"), report);
    restart_policy(container, role, report);
    if role == Role::Init {
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            let field = container.get(field);
            if field.is_set() {
                let hint = Some("invalid.forbidden.hint");
                report.error(&field.path(), "invalid.forbidden-init", hint, &[&field.name()]);
            }
        }
    } else {
        probe::validate(container, around.grace_secs, report);
    }
    if role == Role::Main && around.host_network {
        host_network_ports(container, report);
    }
}

fn restart_policy(container: &Cursor<'_>, role: Role, report: &mut Report<'_>) {
    let policy = container.get("restartPolicy");
    match role {
        Role::Main if policy.is_set() => {
            let hint = Some("invalid.forbidden.hint");
            report.error(&policy.path(), "invalid.forbidden-main", hint, &[&policy.name()]);
        }
        Role::Main => {}
        Role::Init | Role::Sidecar => policy.one_of(report, &["Always"]),
    }
}

fn ports(container: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for port in container.get("ports").items() {
        let name = port.get("name");
        if !name.text().is_empty() {
            let faults = names::port_name(name.text());
            if faults.is_empty() {
                unique(&name, &mut seen, report);
            }
            name.invalid(report, faults);
        }
        let (number, host) = (port.get("containerPort"), port.get("hostPort"));
        if number.number() == 0 {
            number.required(report);
        }
        for number in [number, host].into_iter().filter(|number| number.number() != 0) {
            number.port(report);
        }
        port.get("protocol").one_of_or_empty(report, &["SCTP", "TCP", "UDP"]);
        // The API server takes any text here; the node that cannot bind it is the one to complain.
        let address = port.get("hostIP");
        if !address.text().is_empty() && !names::is_ip(address.text()) {
            report.warning(&address.path(), "invalid.host-ip", Some("invalid.ip.hint"), &[&address.shown()]);
        }
    }
}

/// `validatePodHostNetworkDeps`. Without a hostPort, the defaults make it the containerPort in a Pod, and in a
/// template it may stay unset until the Pod is made.
fn host_network_ports(container: &Cursor<'_>, report: &mut Report<'_>) {
    for port in container.get("ports").items() {
        let host = port.get("hostPort");
        if host.number() != 0 && host.number() != port.get("containerPort").number() {
            host.fault(report, "invalid.host-network-port", "invalid.host-network-port.hint", &[]);
        }
    }
}

/// `AccumulateUniqueHostPorts`, with the host ports that the defaults set.
pub(super) fn host_ports<'v>(
    container: &Cursor<'v>,
    around: &Around<'_>,
    seen: &mut BTreeSet<HostPort<'v>>,
    report: &mut Report<'_>,
) {
    for port in container.get("ports").items() {
        let (host, inside) = (port.get("hostPort"), port.get("containerPort"));
        let defaulted = host.number() == 0 && around.host_network && around.owner == Owner::Pod;
        let place = if defaulted { &inside } else { &host };
        let key = (port.get("protocol").text_or("TCP"), port.get("hostIP").text(), place.number());
        if place.number() != 0 && !seen.insert(key) {
            let shown = format!("\"{}/{}/{}\"", key.0, key.1, key.2);
            let places = (&*place.path(), &*host.path());
            report.error_near(places, "invalid.duplicate", "invalid.duplicate.hint", &[&shown]);
        }
    }
}
