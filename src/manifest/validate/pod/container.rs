//! `validateContainers` and `validateInitContainers`.

use super::unique;
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
    } else if image.text().trim() != image.text() {
        image.fault(report, "invalid.image-space", "invalid.image-space.hint", &[]);
    }
    let pull = container.get("imagePullPolicy");
    if !pull.text().is_empty() {
        pull.one_of(report, &["Always", "IfNotPresent", "Never"]);
    }
    ports(container, around, report);
    environment(container, report);
    mounts(container, around, report);
    restart_policy(container, role, report);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        probe_of(&container.get(probe), probe, role, report);
    }
    let lifecycle = container.get("lifecycle");
    if role == Role::Init && lifecycle.is_set() {
        forbidden(&lifecycle, "invalid.forbidden-init", report);
    }
    for hook in ["postStart", "preStop"] {
        handler(&lifecycle.get(hook), report);
    }
}

fn forbidden(field: &Cursor<'_>, message: &'static str, report: &mut Report<'_>) {
    let name = field.path.rsplit('.').next().unwrap_or("");
    report.error(&field.path, message, Some("invalid.forbidden.hint"), &[name]);
}

fn restart_policy(container: &Cursor<'_>, role: Role, report: &mut Report<'_>) {
    let policy = container.get("restartPolicy");
    match role {
        Role::Main if policy.is_set() => forbidden(&policy, "invalid.forbidden-main", report),
        Role::Main => {}
        Role::Init | Role::Sidecar => policy.one_of(report, &["Always"]),
    }
}

fn ports(container: &Cursor<'_>, around: &Around<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for port in container.get("ports").items() {
        let name = port.get("name");
        if !name.text().is_empty() {
            name.invalid(report, names::port_name(name.text()));
            unique(&name, &mut seen, report);
        }
        let number = port.get("containerPort");
        let host = port.get("hostPort");
        if number.number() == 0 {
            number.required(report);
        } else if !names::port_number(number.number()) {
            number.fault(report, "invalid.port", "invalid.port.hint", &[]);
        }
        if host.number() != 0 && !names::port_number(host.number()) {
            host.fault(report, "invalid.port", "invalid.port.hint", &[]);
        }
        // Without a hostPort, hostNetwork makes it the containerPort.
        if around.host_network && host.number() != 0 && host.number() != number.number() {
            number.fault(report, "invalid.host-network-port", "invalid.host-network-port.hint", &[]);
        }
        let protocol = port.get("protocol");
        if !protocol.text().is_empty() {
            protocol.one_of(report, &["SCTP", "TCP", "UDP"]);
        }
        let address = port.get("hostIP");
        if !address.text().is_empty() && !names::is_ip(address.text()) {
            address.fault(report, "invalid.ip", "invalid.ip.hint", &[]);
        }
    }
}

/// `AccumulateUniqueHostPorts`.
pub(super) fn host_ports<'v>(
    container: &Cursor<'v>,
    seen: &mut BTreeSet<HostPort<'v>>,
    report: &mut Report<'_>,
) {
    for port in container.get("ports").items() {
        let host = port.get("hostPort");
        let protocol = Some(port.get("protocol").text()).filter(|text| !text.is_empty()).unwrap_or("TCP");
        let key = (protocol, port.get("hostIP").text(), host.number());
        if host.number() != 0 && !seen.insert(key) {
            let shown = format!("{}/{}/{}", key.0, key.1, key.2);
            let shown = format!("{shown:?}");
            report.error(&host.path, "invalid.duplicate", Some("invalid.duplicate.hint"), &[&shown]);
        }
    }
}

fn environment(container: &Cursor<'_>, report: &mut Report<'_>) {
    for variable in container.get("env").items() {
        let name = variable.get("name");
        if name.text().is_empty() {
            name.required(report);
        } else {
            name.invalid(report, names::env_name(name.text()));
        }
        let from = variable.get("valueFrom");
        if from.is_set() && !variable.get("value").text().is_empty() {
            from.fault(report, "invalid.env-both", "invalid.env-both.hint", &[]);
        }
    }
}

fn mounts(container: &Cursor<'_>, around: &Around<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for mount in container.get("volumeMounts").items() {
        let name = mount.get("name");
        if !around.volumes.contains(name.text()) {
            name.fault(report, "invalid.no-volume", "invalid.no-volume.hint", &[]);
        }
        let path = mount.get("mountPath");
        if !seen.insert(path.text()) {
            path.fault(report, "invalid.mount-twice", "invalid.mount-twice.hint", &[]);
        }
    }
}

fn probe_of(probe: &Cursor<'_>, name: &str, role: Role, report: &mut Report<'_>) {
    if !probe.is_set() {
        return;
    }
    if role == Role::Init {
        return forbidden(probe, "invalid.forbidden-init", report);
    }
    handler(probe, report);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        let field = probe.get(field);
        if field.number() < 0 {
            field.fault(report, "invalid.negative", "invalid.negative.hint", &[]);
        }
    }
    let grace = probe.get("terminationGracePeriodSeconds");
    if name == "readinessProbe" {
        if grace.is_set() {
            grace.fault(report, "invalid.readiness-grace", "invalid.readiness-grace.hint", &[]);
        }
    } else if grace.is_set() && grace.number() <= 0 {
        grace.fault(report, "invalid.not-positive", "invalid.not-positive.hint", &[]);
    }
    let successes = probe.get("successThreshold");
    if name != "readinessProbe" && successes.is_set() && successes.number() > 1 {
        successes.fault(report, "invalid.one", "invalid.one.hint", &[]);
    }
}

/// `validateHandler`: exactly one way to ask.
fn handler(handler: &Cursor<'_>, report: &mut Report<'_>) {
    if !handler.is_set() {
        return;
    }
    let mut set = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"].map(|name| handler.get(name)).into_iter();
    if set.clone().all(|way| !way.is_set()) {
        let hint = Some("invalid.handler-none.hint");
        return report.error(&handler.path, "invalid.handler-none", hint, &[]);
    }
    for second in set.by_ref().filter(Cursor::is_set).skip(1) {
        report.error(&second.path, "invalid.handler-many", Some("invalid.handler-many.hint"), &[]);
    }
    let command = handler.get("exec").get("command");
    if handler.get("exec").is_set() && command.len() == 0 {
        command.required(report);
    }
    for way in ["httpGet", "tcpSocket", "grpc"] {
        let port = handler.get(way).get("port");
        match port.value.as_str() {
            Some(name) => port.invalid(report, names::port_name(name)),
            None if port.is_set() && !names::port_number(port.number()) => {
                port.fault(report, "invalid.port", "invalid.port.hint", &[]);
            }
            None => {}
        }
    }
}
