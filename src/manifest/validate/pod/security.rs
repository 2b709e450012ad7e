//! Security settings (`validatePodSpecSecurityContext`, `ValidateSecurityContext`) and the node's namespaces.

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::names;
use std::collections::BTreeSet;

/// Largest user and group number (`maxUserID`).
const MAX_ID: i64 = i32::MAX as i64;

/// Settings of the whole Pod.
pub(super) fn pod(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let share = spec.get("shareProcessNamespace");
    if share.is_true() && spec.get("hostPID").is_true() {
        share.fault(report, "invalid.share-host-pid", "invalid.share-host-pid.hint", &[]);
    }
    let context = spec.get("securityContext");
    host_users(spec, report);
    if !context.is_set() {
        return;
    }
    ids(&context, &["fsGroup", "runAsUser", "runAsGroup"], report);
    context.get("supplementalGroups").items().for_each(|group| id(&group, report));
    sysctls(spec, &context.get("sysctls"), report);
    context.get("fsGroupChangePolicy").one_of(report, &["Always", "OnRootMismatch"]);
    seccomp(&context.get("seccompProfile"), report);
}

/// Namespaces of the node go with its users only (`validateHostUsers`).
fn host_users(spec: &Cursor<'_>, report: &mut Report<'_>) {
    if *spec.get("hostUsers").value == false {
        for (field, at) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
            let field = spec.get(field);
            if field.is_true() {
                let path = field.path().replace(&*field.name(), at);
                let args = [&*field.name(), "when `pod.Spec.HostUsers` is false"];
                report.error_near(
                    (&field.path(), &path),
                    "invalid.forbidden",
                    "invalid.forbidden.hint",
                    &args,
                );
            }
        }
    }
}

/// Settings of one container.
pub(super) fn container(context: &Cursor<'_>, report: &mut Report<'_>) {
    if !context.is_set() {
        return;
    }
    ids(context, &["runAsUser", "runAsGroup"], report);
    seccomp(&context.get("seccompProfile"), report);
    context.get("procMount").one_of(report, &["Default", "Unmasked"]);
    if *context.get("allowPrivilegeEscalation").value == false {
        if context.get("privileged").is_true() {
            context
                .because(report, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        let mut added = context.get("capabilities").get("add").items();
        if added.any(|capability| capability.text() == "CAP_SYS_ADMIN") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            context.because(report, why);
        }
    }
}

fn ids(context: &Cursor<'_>, fields: &[&str], report: &mut Report<'_>) {
    for field in fields {
        id(&context.get(field), report);
    }
}

/// `IsValidUserID`.
fn id(id: &Cursor<'_>, report: &mut Report<'_>) {
    if !(0..=MAX_ID).contains(&id.number()) {
        id.fault(report, "invalid.range", "invalid.range.hint", &["0", &MAX_ID.to_string()]);
    }
}

fn seccomp(profile: &Cursor<'_>, report: &mut Report<'_>) {
    if !profile.is_set() {
        return;
    }
    let (kind, file) = (profile.get("type"), profile.get("localhostProfile"));
    if kind.text().is_empty() {
        kind.required_because(report, "type is required when seccompProfile is set");
    } else {
        kind.one_of(report, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
    match (kind.text() == "Localhost", file.is_set()) {
        (true, false) => file.required_because(report, "must be set when seccomp type is Localhost"),
        (false, true) => file.because(report, "can only be set when seccomp type is Localhost"),
        (true, true) | (false, false) => {}
    }
}

/// Kernel parameters: a Pod in the node's network namespace cannot have its own (`validateSysctls`).
fn sysctls(spec: &Cursor<'_>, sysctls: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for sysctl in sysctls.items() {
        let name = sysctl.get("name");
        let text = name.text();
        if text.is_empty() {
            name.required(report);
        } else if !names::is_sysctl(text) {
            let form = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            name.because(report, form);
        } else if !seen.insert(text.replace('/', ".")) {
            name.duplicate(report);
        }
        let dotted = text.replace('/', ".");
        if spec.get("hostNetwork").is_true() && dotted.starts_with("net.") {
            name.because(report, "may not be specified when 'hostNetwork' is set to true");
        }
        let shared = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];
        if spec.get("hostIPC").is_true() && shared.iter().any(|prefix| dotted.starts_with(prefix)) {
            name.because(report, "may not be specified when 'hostIPC' is set to true");
        }
    }
}
