//! Probes and hooks (`validateProbe`, `validateLifecycle`, `validateHandler`).

use super::container::Around;
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::names;

/// The probes of a container, and what it runs after its start and before its stop.
pub(super) fn validate(container: &Cursor<'_>, around: &Around<'_>, report: &mut Report<'_>) {
    let lifecycle = container.get("lifecycle");
    if lifecycle.is_set() {
        for hook in ["postStart", "preStop"] {
            handler(&lifecycle.get(hook), around.grace_secs, report);
        }
        stop_signal(&lifecycle.get("stopSignal"), around.spec, report);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        probe(&container.get(name), name, report);
    }
}

/// `validateStopSignal`; which of Linux' many signals it is, is left to the runtime.
fn stop_signal(signal: &Cursor<'_>, spec: &Cursor<'_>, report: &mut Report<'_>) {
    match spec.get("os").get("name").text() {
        _ if !signal.is_set() => {}
        "" => signal.forbidden(report, "may not be set for containers with empty `spec.os.name`"),
        "windows" => signal.one_of(report, &["SIGKILL", "SIGTERM"]),
        _ => {}
    }
}

fn probe(probe: &Cursor<'_>, name: &str, report: &mut Report<'_>) {
    if !probe.is_set() {
        return;
    }
    handler(probe, 0, report);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        probe.get(field).not_negative(report);
    }
    let grace = probe.get("terminationGracePeriodSeconds");
    if grace.is_set() && grace.number() <= 0 {
        grace.fault(report, "invalid.not-positive", "invalid.not-positive.hint", &[]);
    }
    if name == "readinessProbe" && grace.is_set() {
        grace.fault(report, "invalid.readiness-grace", "invalid.readiness-grace.hint", &[]);
    }
    // Zero stands for the default.
    let successes = probe.get("successThreshold");
    if name != "readinessProbe" && !matches!(successes.number(), 0 | 1) {
        successes.fault(report, "invalid.one", "invalid.one.hint", &[]);
    }
}

/// `validateHandler`: exactly one way to ask. Only the first one is looked into.
fn handler(handler: &Cursor<'_>, grace_secs: i64, report: &mut Report<'_>) {
    if !handler.is_set() {
        return;
    }
    let ways = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"].map(|name| handler.get(name));
    let mut set = ways.iter().filter(|way| way.is_set());
    let Some(first) = set.next() else {
        let hint = Some("invalid.handler-none.hint");
        return report.error(&handler.path(), "invalid.handler-none", hint, &[]);
    };
    match &*first.name() {
        "exec" if first.get("command").len() == 0 => first.get("command").required(report),
        "httpGet" => http_get(first, report),
        "tcpSocket" | "grpc" => port(&first.get("port"), report),
        "sleep" => sleep(first, grace_secs, report),
        _ => {}
    }
    for second in set {
        report.error(&second.path(), "invalid.handler-many", Some("invalid.handler-many.hint"), &[]);
    }
}

fn http_get(get: &Cursor<'_>, report: &mut Report<'_>) {
    port(&get.get("port"), report);
    get.get("scheme").one_of_or_empty(report, &["HTTP", "HTTPS"]);
    for header in get.get("httpHeaders").items() {
        let name = header.get("name");
        let path = get.get("httpHeaders").path();
        for (message, _) in names::http_header(name.text()) {
            report.error_near((&name.path(), &path), message, "invalid.name.hint", &[&name.shown()]);
        }
    }
}

/// `ValidatePortNumOrName`.
fn port(port: &Cursor<'_>, report: &mut Report<'_>) {
    match port.value.as_str() {
        Some(name) => port.invalid(report, names::port_name(name)),
        None => port.port(report),
    }
}

fn sleep(sleep: &Cursor<'_>, grace_secs: i64, report: &mut Report<'_>) {
    let secs = sleep.get("seconds");
    if !(0..=grace_secs).contains(&secs.number()) {
        let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace_secs})");
        report.error(&sleep.path(), "invalid.because", Some("invalid.because.hint"), &[&secs.shown(), &why]);
    }
}
