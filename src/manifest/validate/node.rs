//! `ValidateNode`.

use super::cursor::Cursor;
use super::names;
use crate::manifest::report::Report;
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(super) fn validate(node: &Cursor<'_>, report: &mut Report<'_>) {
    let spec = node.get("spec");
    let (one, many) = (spec.get("podCIDR"), spec.get("podCIDRs"));
    let ranges = many.items().collect::<Vec<_>>();
    for range in ranges.iter().chain([&one].into_iter().filter(|one| !one.text().is_empty())) {
        if !names::is_cidr(range.text()) {
            range.fault(report, "invalid.cidr", "invalid.cidr.hint", &[]);
        }
    }
    if let Some(first) = ranges.first()
        && one.is_set()
        && first.text() != one.text()
    {
        one.fault(report, "invalid.pod-cidrs", "invalid.pod-cidrs.hint", &[&first.shown()]);
    }
    taints(&spec.get("taints"), report);
    let mut seen = BTreeSet::new();
    for address in node.get("status").get("addresses").items() {
        let kind = address.get("type");
        kind.one_of(report, &["InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS"]);
        let text = address.get("address");
        if kind.text().ends_with("IP") && !names::is_ip(text.text()) {
            text.fault(report, "invalid.ip", "invalid.ip.hint", &[]);
        }
        if !seen.insert((kind.text(), text.text())) {
            text.duplicate(report);
        }
    }
    let extra = node.get("metadata").get("annotations").get("vethscope.dev/extra-addresses");
    for text in extra.text().split([',', ' ']).filter(|text| !text.is_empty()) {
        if text.parse::<IpAddr>().is_err() {
            let place = "metadata.annotations[vethscope.dev/extra-addresses]";
            report.error(place, "invalid.ip", Some("invalid.ip.hint"), &[&format!("{text:?}")]);
        }
    }
}

/// `validateNodeTaints`: a key and an effect together stand once.
pub(super) fn taints(taints: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.get("key"), taint.get("value"), taint.get("effect"));
        key.invalid(report, names::qualified_name(key.text()));
        value.invalid(report, names::label_value(value.text()));
        if effect.text().is_empty() {
            effect.required(report);
        } else {
            effect.one_of(report, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
        if !seen.insert((key.text(), effect.text())) {
            taint.duplicate(report);
        }
    }
}
