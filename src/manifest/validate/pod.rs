//! `ValidatePodSpec`, after the defaults of `SetDefaults_PodSpec`, in its order.

mod claims;
mod container;
mod dns;
mod environment;
mod ephemeral;
mod mounts;
mod os;
mod probe;
mod projected;
mod resources;
mod scheduling;
mod security;
mod spread;
mod volumes;

pub(super) use mounts::descending;
pub(super) use scheduling::node_selector;

use super::cursor::Cursor;
use super::{meta, names};
use crate::manifest::report::Report;
use std::collections::BTreeSet;

/// Seconds between `SIGTERM` and `SIGKILL` where none are written (`DefaultTerminationGracePeriodSeconds`).
const GRACE_SECS: i64 = 30;

/// Whose specification it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A new Pod's own.
    Pod,
    /// That of a Pod which is there already, as its identity says.
    Standing,
    /// That of a controller, by which it makes Pods.
    Template,
}

impl Owner {
    /// Whether it is no template.
    pub(super) fn is_pod(self) -> bool {
        match self {
            Self::Pod | Self::Standing => true,
            Self::Template => false,
        }
    }
}

/// Validates a specification; `others` are volumes that come from elsewhere, as from a `StatefulSet`'s claims.
pub(super) fn validate(spec: &Cursor<'_>, owner: Owner, others: &[&str], report: &mut Report<'_>) {
    containers(spec, owner, others, report);
    spec.get("restartPolicy").one_of_or_empty(report, &["Always", "OnFailure", "Never"]);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    spec.get("dnsPolicy").one_of_or_empty(report, &policies);
    meta::labels(&spec.get("nodeSelector"), report);
    security::pod(spec, report);
    scheduling::affinity(&spec.get("affinity"), report);
    dns::validate(spec, report);
    scheduling::gates(spec, report);
    spread::validate(spec, report);
    os::host_processes(spec, report);
    security::host_users(spec, report);
    for field in ["serviceAccountName", "nodeName"] {
        named(&spec.get(field), report);
    }
    let deadline = spec.get("activeDeadlineSeconds");
    if deadline.is_set() && !(1..=i64::from(i32::MAX)).contains(&deadline.number()) {
        deadline.fault(report, "invalid.range", "invalid.range.hint", &["1", &i32::MAX.to_string()]);
    }
    for field in ["hostname", "subdomain"] {
        let name = spec.get(field);
        if !name.text().is_empty() {
            name.invalid(report, names::dns_label(name.text()));
        }
    }
    spec.get("tolerations").items().for_each(|toleration| scheduling::toleration(&toleration, report));
    host_aliases(spec, report);
    for field in ["priorityClassName", "runtimeClassName"] {
        named(&spec.get(field), report);
    }
    spec.get("preemptionPolicy").one_of(report, &["PreemptLowerPriority", "Never"]);
    os::validate(spec, report);
    if owner.is_pod() {
        container::images(spec, report);
    }
    let given = spec.get("ephemeralContainers");
    let why = match owner {
        Owner::Pod => Some("cannot be set on create"),
        Owner::Standing => None,
        Owner::Template => Some("ephemeral containers not allowed in pod template"),
    };
    if let Some(why) = why.filter(|_| given.len() > 0) {
        given.forbidden(report, why);
    }
    let node = spec.get("nodeName");
    if owner.is_pod() && spec.get("schedulingGates").len() > 0 && !node.text().is_empty() {
        node.forbidden(report, "cannot be set until all schedulingGates have been cleared");
    }
}

fn named(name: &Cursor<'_>, report: &mut Report<'_>) {
    if !name.text().is_empty() {
        name.invalid(report, names::dns_subdomain(name.text()));
    }
}

fn containers(spec: &Cursor<'_>, owner: Owner, others: &[&str], report: &mut Report<'_>) {
    let mut volumes = volumes::validate(spec, report);
    volumes.extend(others.iter().map(|name| (*name, true)));
    let claims = claims::validate(&spec.get("resourceClaims"), report);
    let grace = spec.get("terminationGracePeriodSeconds");
    let around = container::Around {
        volumes: &volumes,
        claims: &claims,
        spec,
        owner,
        grace_secs: if grace.is_set() { grace.number() } else { GRACE_SECS },
    };
    let all = spec.get("containers");
    if all.len() == 0 {
        all.required(report);
    }
    let mut names = BTreeSet::new();
    for one in all.items() {
        container::validate(&one, &around, report);
        unique(&one.get("name"), &mut names, report);
        container::after_start(&one, container::Role::Main, &around, report);
    }
    let mut host_ports = BTreeSet::new();
    for one in all.items() {
        container::host_ports(&one, &all, &around, &mut host_ports, report);
    }
    let first = spec.get("initContainers");
    for one in first.items() {
        let sidecar = one.get("restartPolicy").text() == "Always";
        let role = if sidecar { container::Role::Sidecar } else { container::Role::Init };
        container::validate(&one, &around, report);
        one.get("restartPolicy").one_of(report, &["Always"]);
        unique(&one.get("name"), &mut names, report);
        container::host_ports(&one, &first, &around, &mut BTreeSet::new(), report);
        container::after_start(&one, role, &around, report);
    }
    if spec.get("ephemeralContainers").len() > 0 {
        ephemeral::validate(spec, &around, &names, report);
    }
    if spec.get("hostNetwork").is_true() {
        all.items().for_each(|one| container::host_network_ports(&one, report));
    }
}

/// `Duplicate value` where the name was seen before.
pub(super) fn unique<'v>(name: &Cursor<'v>, seen: &mut BTreeSet<&'v str>, report: &mut Report<'_>) {
    if !name.text().is_empty() && !seen.insert(name.text()) {
        name.duplicate(report);
    }
}

fn host_aliases(spec: &Cursor<'_>, report: &mut Report<'_>) {
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
