//! `ValidateNode`.

use super::cursor::{Cursor, quoted, sentence};
use super::{internal, names};
use crate::manifest::report::Report;
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(super) fn validate(node: &Cursor<'_>, report: &mut Report<'_>) {
    let spec = node.get("spec");
    taints(&spec.get("taints"), "metadata.taints", report);
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

/// `validateNodeTaints`: a key and an effect together stand once. `list` is what their place is called: the API server
/// takes those of a Node for a part of its metadata.
pub(super) fn taints(taints: &Cursor<'_>, list: &str, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.items().enumerate() {
        let (key, value, effect) = (taint.get("key"), taint.get("value"), taint.get("effect"));
        let path = format!("{list}[{index}]");
        for fault in names::qualified_name(key.text()) {
            key.because_at(report, &format!("{path}.key"), (&quoted(key.text()), &sentence(&fault)));
        }
        let faults = names::label_value(value.text());
        if !faults.is_empty() {
            let why: Vec<String> = faults.iter().map(sentence).collect();
            value.because_at(report, &format!("{path}.value"), (&value.shown(), &why.join(";")));
        }
        let at = format!("{path}.effect");
        let places = (&*effect.path(), &*at);
        let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if effect.text().is_empty() {
            report.error_near(places, "invalid.required", "invalid.required.hint", &["effect"]);
        } else if !known.contains(&effect.text()) {
            let list = known.map(quoted).join(", ");
            let args = [&*effect.shown(), &*list];
            report.error_near(places, "invalid.unsupported", "invalid.unsupported.hint", &args);
        }
        if !seen.insert((key.text(), effect.text())) {
            let shown = internal::taint(&taint);
            let places = (&*taint.path(), &*path);
            report.error_near(places, "invalid.taint-twice", "invalid.duplicate.hint", &[&shown]);
        }
    }
}
