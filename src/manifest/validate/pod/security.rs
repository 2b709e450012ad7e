//! Security settings (`validatePodSpecSecurityContext`, `ValidateSecurityContext`) and the node's namespaces.

use super::os;
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::{internal, names};
use std::collections::BTreeSet;

/// Longest path of a profile (`maxLocalhostProfileLength`).
const LONGEST_PATH: usize = 4095;
/// Largest user and group number (`maxUserID`).
const MAX_ID: i64 = i32::MAX as i64;

/// Settings of the whole Pod.
pub(super) fn pod(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let context = spec.get("securityContext");
    ids(&context, &["fsGroup", "runAsUser", "runAsGroup"], report);
    context.get("supplementalGroups").items().for_each(|group| id(&group, report));
    let share = spec.get("shareProcessNamespace");
    if share.is_true() && spec.get("hostPID").is_true() {
        // In the API server's own form the field is a part of the security context.
        let path = format!("{}.shareProcessNamespace", context.path());
        let places = (&*share.path(), &*path);
        report.error_near(places, "invalid.share-host-pid", "invalid.share-host-pid.hint", &["true"]);
    }
    if !context.is_set() {
        return;
    }
    sysctls(spec, &context.get("sysctls"), report);
    context.get("fsGroupChangePolicy").one_of(report, &["Always", "OnRootMismatch"]);
    seccomp(&context.get("seccompProfile"), report);
    os::options(&context.get("windowsOptions"), report);
    app_armor(&context.get("appArmorProfile"), report);
    context.get("supplementalGroupsPolicy").one_of(report, &["Merge", "Strict"]);
}

/// Namespaces of the node go with its users only (`validateHostUsers`).
pub(super) fn host_users(spec: &Cursor<'_>, report: &mut Report<'_>) {
    if *spec.get("hostUsers").value == false {
        for (field, at) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
            let field = spec.get(field);
            if field.is_true() {
                let path = field.path().replace(&*field.name(), at);
                let args = [&*field.name(), "when `hostUsers` is false"];
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
pub(super) fn container(context: &Cursor<'_>, has_host_users: bool, report: &mut Report<'_>) {
    if !context.is_set() {
        return;
    }
    ids(context, &["runAsUser", "runAsGroup"], report);
    let mount = context.get("procMount");
    mount.one_of(report, &["Default", "Unmasked"]);
    if has_host_users && mount.text() == "Unmasked" {
        mount.because(report, "`hostUsers` must be false to use `Unmasked`");
    }
    seccomp(&context.get("seccompProfile"), report);
    if *context.get("allowPrivilegeEscalation").value == false {
        if context.get("privileged").is_true() {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            context.because_of(report, &internal::security_context(context), why);
        }
        let added = context.get("capabilities").get("add").items();
        for _ in added.filter(|capability| capability.text() == "CAP_SYS_ADMIN") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            context.because_of(report, &internal::security_context(context), why);
        }
    }
    os::options(&context.get("windowsOptions"), report);
    app_armor(&context.get("appArmorProfile"), report);
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
        (false, true) => {
            let shown = internal::seccomp_profile(profile);
            file.because_of(report, &shown, "can only be set when seccomp type is Localhost");
        }
        (true, true) => {
            for why in super::descending(file.text()) {
                file.because(report, why);
            }
        }
        (false, false) => {}
    }
}

/// `ValidateAppArmorProfileField`.
fn app_armor(profile: &Cursor<'_>, report: &mut Report<'_>) {
    if !profile.is_set() {
        return;
    }
    let (kind, file) = (profile.get("type"), profile.get("localhostProfile"));
    match kind.text() {
        "" => kind.required_because(report, "type is required when appArmorProfile is set"),
        "Localhost" => {
            if file.text().trim() != file.text() {
                file.because(report, "must not be padded with whitespace");
            } else if file.text().is_empty() {
                file.required_because(report, "must be set when AppArmor type is Localhost");
            }
            if file.text().len() > LONGEST_PATH {
                let most = LONGEST_PATH.to_string();
                report.error(&file.path(), "invalid.config-size", Some("invalid.because.hint"), &[&most]);
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if file.is_set() {
                file.because(report, "can only be set when AppArmor type is Localhost");
            }
        }
        _ => kind.one_of(report, &["Localhost", "RuntimeDefault", "Unconfined"]),
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
            name.because(report, "may not be specified when 'hostNetwork' is true");
        }
        let shared = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];
        if spec.get("hostIPC").is_true() && shared.iter().any(|prefix| dotted.starts_with(prefix)) {
            name.because(report, "may not be specified when 'hostIPC' is true");
        }
    }
}
