//! `validateContainers` and `validateInitContainers`.

use super::{Owner, environment, mounts, probe, resources, security, unique};
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::names;
use std::collections::{BTreeMap, BTreeSet};

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
    /// Names of the Pod's volumes, and whether each is a claim, which may be a device.
    pub(super) volumes: &'a BTreeMap<&'a str, bool>,
    /// Names of the Pod's `resourceClaims`.
    pub(super) claims: &'a BTreeSet<&'a str>,
    /// The Pod's specification.
    pub(super) spec: &'a Cursor<'a>,
    /// Whether it is a Pod or a template.
    pub(super) owner: Owner,
    /// The Pod's `terminationGracePeriodSeconds`.
    pub(super) grace_secs: i64,
}

/// A host port that is taken: protocol, address and number.
pub(super) type HostPort<'v> = (&'v str, &'v str, i64);

/// `validateContainerCommon`.
pub(super) fn validate(container: &Cursor<'_>, around: &Around<'_>, report: &mut Report<'_>) {
    let name = container.get("name");
    if name.text().is_empty() {
        name.required(report);
    } else {
        name.invalid(report, names::dns_label(name.text()));
    }
    let image = container.get("image");
    if image.text().is_empty() {
        image.required(report);
    }
    let message = container.get("terminationMessagePolicy");
    message.one_of_or_empty(report, &["File", "FallbackToLogsOnError"]);
    ports(container, report);
    environment::validate(container, report);
    mounts::validate(container, around.volumes, report);
    container.get("imagePullPolicy").one_of_or_empty(report, &["Always", "IfNotPresent", "Never"]);
    resources::validate(&container.get("resources"), around.claims, report);
    resize_policy(container, around, report);
    let has_host_users = *around.spec.get("hostUsers").value != false;
    security::container(&container.get("securityContext"), has_host_users, report);
}

/// Probes, hooks and what depends on whether a container stays.
pub(super) fn after_start(container: &Cursor<'_>, role: Role, around: &Around<'_>, report: &mut Report<'_>) {
    if role == Role::Init {
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            let field = container.get(field);
            if field.is_set() {
                let hint = Some("invalid.forbidden.hint");
                report.error(&field.path(), "invalid.forbidden-init", hint, &[&field.name()]);
            }
        }
        return;
    }
    probe::validate(container, around, report);
    let policy = container.get("restartPolicy");
    if role == Role::Main && policy.is_set() {
        let hint = Some("invalid.forbidden.hint");
        report.error(&policy.path(), "invalid.forbidden-main", hint, &[&policy.name()]);
    }
}

/// `validateContainersOnlyForPod`.
pub(super) fn images(spec: &Cursor<'_>, report: &mut Report<'_>) {
    for list in ["containers", "initContainers"] {
        spec.get(list).items().for_each(|one| image(&one, report));
    }
}

pub(super) fn image(container: &Cursor<'_>, report: &mut Report<'_>) {
    let image = container.get("image");
    if image.text().trim() != image.text() {
        image.fault(report, "invalid.image-space", "invalid.image-space.hint", &[]);
    }
}

/// `validateResizePolicy`, which names the list as the place.
fn resize_policy(container: &Cursor<'_>, around: &Around<'_>, report: &mut Report<'_>) {
    let list = container.get("resizePolicy");
    let mut seen = BTreeSet::new();
    for one in list.items() {
        let (name, policy) = (one.get("resourceName"), one.get("restartPolicy"));
        if !seen.insert(name.text()) {
            let shown = name.shown();
            report.error(&one.path(), "invalid.duplicate", Some("invalid.duplicate.hint"), &[&shown]);
        }
        name.in_place_of(&list).one_of(report, &["cpu", "memory"]);
        policy.in_place_of(&list).one_of(report, &["NotRequired", "RestartContainer"]);
        if around.spec.get("restartPolicy").text() == "Never" && policy.text() != "NotRequired" {
            let why = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            list.because_of(report, &policy.shown(), why);
        }
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
pub(super) fn host_network_ports(container: &Cursor<'_>, report: &mut Report<'_>) {
    for port in container.get("ports").items() {
        let host = port.get("hostPort");
        if host.number() != 0 && host.number() != port.get("containerPort").number() {
            host.fault(report, "invalid.host-network-port", "invalid.host-network-port.hint", &[]);
        }
    }
}

/// `AccumulateUniqueHostPorts`, with the host ports that the defaults set. Of init containers, which are looked at one
/// by one, the API server names the first of the list as the place.
pub(super) fn host_ports<'v>(
    container: &Cursor<'v>,
    list: &Cursor<'v>,
    around: &Around<'_>,
    seen: &mut BTreeSet<HostPort<'v>>,
    report: &mut Report<'_>,
) {
    let is_init = list.name() == "initContainers";
    for (index, port) in container.get("ports").items().enumerate() {
        let (host, inside) = (port.get("hostPort"), port.get("containerPort"));
        let is_of_host = around.spec.get("hostNetwork").is_true() && around.owner.is_pod();
        let place = if host.number() == 0 && is_of_host { &inside } else { &host };
        let key = (port.get("protocol").text_or("TCP"), port.get("hostIP").text(), place.number());
        if place.number() != 0 && !seen.insert(key) {
            let shown = format!("\"{}/{}/{}\"", key.0, key.1, key.2);
            let first = format!("{}[0].ports[{index}].hostPort", list.path());
            let path = if is_init { first } else { host.path() };
            let places = (&*place.path(), &*path);
            report.error_near(places, "invalid.duplicate", "invalid.duplicate.hint", &[&shown]);
        }
    }
}
