//! `ValidatePodSpec`.

mod container;
mod dns;

use super::cursor::Cursor;
use super::names;
use crate::manifest::report::Report;
use std::collections::BTreeSet;

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    containers(spec, report);
    spec.get("restartPolicy").one_of(report, &["Always", "OnFailure", "Never"]);
    dns::validate(spec, report);
    host_names(spec, report);
    numbers(spec, report);
    let node_name = spec.get("nodeName");
    if !node_name.text().is_empty() {
        node_name.invalid(report, names::dns_subdomain(node_name.text()));
    }
    let account = spec.get("serviceAccountName");
    if !account.text().is_empty() {
        account.invalid(report, names::dns_subdomain(account.text()));
    }
    for (key, value) in spec.get("nodeSelector").entries() {
        let selector = spec.get("nodeSelector");
        let both = names::qualified_name(key).into_iter().chain(names::label_value(value.text()));
        selector.invalid(report, both.collect());
    }
    for toleration in spec.get("tolerations").items() {
        tolerations(&toleration, report);
    }
    let share = spec.get("shareProcessNamespace");
    if share.value == true && spec.get("hostPID").value == true {
        share.fault(report, "invalid.share-host-pid", "invalid.share-host-pid.hint", &[]);
    }
}

fn containers(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let volumes = volumes(spec, report);
    let host_network = spec.get("hostNetwork").value == true;
    let around = container::Around { volumes: &volumes, host_network };
    let all = spec.get("containers");
    if all.len() == 0 {
        all.required(report);
    }
    let mut names = BTreeSet::new();
    let mut host_ports = BTreeSet::new();
    for one in all.items() {
        unique(&one.get("name"), &mut names, report);
        container::validate(&one, container::Role::Main, &around, report);
        container::host_ports(&one, &mut host_ports, report);
    }
    for one in spec.get("initContainers").items() {
        unique(&one.get("name"), &mut names, report);
        let sidecar = one.get("restartPolicy").text() == "Always";
        let role = if sidecar { container::Role::Sidecar } else { container::Role::Init };
        container::validate(&one, role, &around, report);
        // They run one by one, so each has the ports to itself.
        container::host_ports(&one, &mut BTreeSet::new(), report);
    }
}

fn volumes<'v>(spec: &Cursor<'v>, report: &mut Report<'_>) -> BTreeSet<&'v str> {
    let mut seen = BTreeSet::new();
    for volume in spec.get("volumes").items() {
        let name = volume.get("name");
        name.invalid(report, names::dns_label(name.text()));
        unique(&name, &mut seen, report);
        let sources = volume.value.as_object().into_iter().flatten();
        let mut sources = sources.filter(|(key, value)| key.as_str() != "name" && !value.is_null()).skip(1);
        if let Some((second, _)) = sources.next() {
            let second = volume.get(second);
            report.error(&second.path, "invalid.one-volume-type", Some("invalid.one-volume-type.hint"), &[]);
        }
    }
    seen
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

fn numbers(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let grace = spec.get("terminationGracePeriodSeconds");
    if grace.number() < 0 {
        grace.fault(report, "invalid.negative", "invalid.negative.hint", &[]);
    }
    let deadline = spec.get("activeDeadlineSeconds");
    if deadline.is_set() && !(1..=i64::from(i32::MAX)).contains(&deadline.number()) {
        deadline.fault(report, "invalid.range", "invalid.range.hint", &["1", &i32::MAX.to_string()]);
    }
}

fn tolerations(toleration: &Cursor<'_>, report: &mut Report<'_>) {
    let key = toleration.get("key");
    let operator = toleration.get("operator");
    if !key.text().is_empty() {
        key.invalid(report, names::qualified_name(key.text()));
    } else if operator.text() != "Exists" {
        operator.fault(report, "invalid.toleration-operator", "invalid.toleration-operator.hint", &[]);
    }
    operator.one_of(report, &["Equal", "Exists"]);
    let value = toleration.get("value");
    if operator.text() == "Exists" && !value.text().is_empty() {
        value.fault(report, "invalid.toleration-value", "invalid.toleration-value.hint", &[]);
    } else {
        value.invalid(report, names::label_value(value.text()));
    }
    let effect = toleration.get("effect");
    if !effect.text().is_empty() {
        effect.one_of(report, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    }
}
