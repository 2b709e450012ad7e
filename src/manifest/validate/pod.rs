//! `ValidatePodSpec`, after the defaults of `SetDefaults_PodSpec`.

mod container;
mod dns;
mod environment;
mod mounts;
mod probe;
mod resources;
mod scheduling;
mod security;
mod volumes;

use super::cursor::Cursor;
use super::names;
use crate::manifest::report::Report;
use std::collections::BTreeSet;

/// Seconds between `SIGTERM` and `SIGKILL` where none are written (`DefaultTerminationGracePeriodSeconds`).
const GRACE_SECS: i64 = 30;

/// Whose specification it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A Pod's own.
    Pod,
    /// That of a controller, by which it makes Pods.
    Template,
}

pub(super) fn validate(spec: &Cursor<'_>, owner: Owner, report: &mut Report<'_>) {
    containers(spec, owner, report);
    spec.get("restartPolicy").one_of_or_empty(report, &["Always", "OnFailure", "Never"]);
    dns::validate(spec, report);
    host_names(spec, report);
    super::meta::labels(&spec.get("nodeSelector"), report);
    security::pod(spec, report);
    scheduling::validate(spec, report);
    for field in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        let name = spec.get(field);
        if !name.text().is_empty() {
            name.invalid(report, names::dns_subdomain(name.text()));
        }
    }
    let deadline = spec.get("activeDeadlineSeconds");
    if deadline.is_set() && !(1..=i64::from(i32::MAX)).contains(&deadline.number()) {
        deadline.fault(report, "invalid.range", "invalid.range.hint", &["1", &i32::MAX.to_string()]);
    }
    spec.get("preemptionPolicy").one_of(report, &["PreemptLowerPriority", "Never"]);
    spec.get("os").get("name").one_of_or_empty(report, &["linux", "windows"]);
    let gates = spec.get("schedulingGates");
    if gates.len() > 0 && !spec.get("nodeName").text().is_empty() && owner == Owner::Pod {
        spec.get("nodeName").forbidden(report, "cannot be set until all schedulingGates have been cleared");
    }
    let ephemeral = spec.get("ephemeralContainers");
    if ephemeral.len() > 0 {
        let why = match owner {
            Owner::Pod => "cannot be set on create",
            Owner::Template => "ephemeral containers not allowed in pod template",
        };
        ephemeral.forbidden(report, why);
    }
}

fn containers(spec: &Cursor<'_>, owner: Owner, report: &mut Report<'_>) {
    let volumes = volumes::validate(spec, report);
    let grace = spec.get("terminationGracePeriodSeconds");
    let around = container::Around {
        volumes: &volumes,
        host_network: spec.get("hostNetwork").is_true(),
        owner,
        grace_secs: if grace.is_set() { grace.number() } else { GRACE_SECS },
    };
    let all = spec.get("containers");
    if all.len() == 0 {
        all.required(report);
    }
    let mut names = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    for one in all.items() {
        container::validate(&one, container::Role::Main, &around, report);
        unique(&one.get("name"), &mut names, report);
        container::host_ports(&one, &around, &mut host_ports, report);
    }
    for one in spec.get("initContainers").items() {
        let sidecar = one.get("restartPolicy").text() == "Always";
        let role = if sidecar { container::Role::Sidecar } else { container::Role::Init };
        container::validate(&one, role, &around, report);
        unique(&one.get("name"), &mut names, report);
        container::host_ports(&one, &around, &mut BTreeSet::new(), report);
    }
}

/// `Duplicate value` where the name was seen before.
pub(super) fn unique<'v>(name: &Cursor<'v>, seen: &mut BTreeSet<&'v str>, report: &mut Report<'_>) {
    if !name.text().is_empty() && !seen.insert(name.text()) {
        name.duplicate(report);
    }
}

fn host_names(spec: &Cursor<'_>, report: &mut Report<'_>) {
    for field in ["hostname", "subdomain"] {
        let name = spec.get(field);
        if !name.text().is_empty() {
            name.invalid(report, names::dns_label(name.text()));
        }
    }
    for alias in spec.get("hostAliases").items() {
        let ip = alias.get("ip");
        if !names::is_ip(ip.text()) {
            ip.fault(report, "invalid.ip", "invalid.ip.hint", &[]);
        }
        for name in alias.get("hostnames").items() {
            name.invalid(report, names::dns_subdomain(name.text()));
        }
    }
}
