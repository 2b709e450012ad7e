//! `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` (`ValidateServiceClusterIPsRelatedFields`).

use super::kind;
use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::names;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Where the user wrote the cluster IP that the API server calls `spec.clusterIPs[index]`.
pub(super) fn place(spec: &Cursor<'_>, index: usize) -> String {
    if spec.get("clusterIPs").len() > 0 {
        format!("spec.clusterIPs[{index}]")
    } else {
        "spec.clusterIP".to_owned()
    }
}

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    if kind(spec) == "ExternalName" {
        return;
    }
    let (one, all) = (spec.get("clusterIP"), spec.get("clusterIPs"));
    let first = all.items().next();
    if let Some(first) = first {
        if one.text().is_empty() {
            all.fault(report, "invalid.cluster-ips-alone", "invalid.cluster-ips-alone.hint", &[]);
        } else if first.text() != one.text() {
            all.fault(report, "invalid.cluster-ips-first", "invalid.cluster-ips-first.hint", &[one.text()]);
        }
    }
    families(spec, report);
    let Some(ips) = addresses(spec, report) else { return };
    if ips.len() > 1 && ips.windows(2).any(|pair| pair[0].is_ipv4() == pair[1].is_ipv4()) {
        all.fault(report, "invalid.cluster-ips-family", "invalid.cluster-ips-family.hint", &[]);
    }
    let families = spec.get("ipFamilies").items();
    for (index, (ip, family)) in ips.iter().zip(families).enumerate() {
        let wanted = if ip.is_ipv4() { "IPv6" } else { "IPv4" };
        if family.text() == wanted {
            let path = format!("spec.clusterIPs[{index}]");
            let args = [&*format!("{:?}", ip.to_string()), wanted, &index.to_string()];
            let places = (&*place(spec, index), &*path);
            report.error_near(places, "invalid.cluster-ip-family", "invalid.cluster-ip-family.hint", &args);
        }
    }
}

fn families(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for family in spec.get("ipFamilies").items() {
        family.one_of(report, &["IPv4", "IPv6"]);
        if !seen.insert(family.text()) {
            family.duplicate(report);
        }
    }
    let policy = spec.get("ipFamilyPolicy");
    policy.one_of(report, &["PreferDualStack", "RequireDualStack", "SingleStack"]);
}

/// The addresses; none where one of them is wrong, so that nothing is said twice. A headless Service has none.
fn addresses(spec: &Cursor<'_>, report: &mut Report<'_>) -> Option<Vec<IpAddr>> {
    let all = spec.get("clusterIPs");
    let one = spec.get("clusterIP");
    let texts: Vec<&str> = match all.len() {
        0 => Some(one.text()).filter(|text| !text.is_empty()).into_iter().collect(),
        _ => all.items().map(|ip| ip.text()).collect(),
    };
    if texts == ["None"] {
        return None;
    }
    let mut wrong = false;
    if texts.first() == Some(&"None") {
        all.fault(report, "invalid.cluster-ips-none", "invalid.cluster-ips-none.hint", &[]);
        wrong = true;
    }
    for (index, text) in texts.iter().enumerate().skip(usize::from(wrong)) {
        if !names::is_ip(text) {
            let path = format!("spec.clusterIPs[{index}]");
            let places = (&*place(spec, index), &*path);
            report.error_near(places, "invalid.ip", "invalid.ip.hint", &[&format!("{text:?}")]);
            wrong = true;
        }
    }
    if texts.len() > 2 {
        all.fault(report, "invalid.cluster-ips-two", "invalid.cluster-ips-two.hint", &[]);
    }
    if wrong { None } else { texts.iter().map(|text| text.parse().ok()).collect() }
}
