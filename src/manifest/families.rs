//! Families of addresses that a Service asks for, against those that the cluster has (`initIPFamilyFields` of
//! `pkg/registry/core/service/storage/alloc.go`).

use serde_json::{Value, json};

/// The families that there are. Of a text it is not asked which of them the cluster has: one of IPv6 is there for `flow`.
pub const ALL: [&str; 2] = ["IPv4", "IPv6"];
/// The family of the addresses that Services are given.
pub const GIVEN: [&str; 1] = ["IPv4"];

/// What is wrong: the path of a field, its value as it is shown, and why.
pub type Objection = (String, String, String);

fn texts<'v>(spec: &'v Value, field: &str) -> Vec<&'v str> {
    spec[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The addresses; a single one may stand alone (`NormalizeClusterIPs`).
fn addresses(spec: &Value) -> Vec<&str> {
    let all = texts(spec, "clusterIPs");
    let alone = spec["clusterIP"].as_str().filter(|ip| !ip.is_empty());
    if all.is_empty() { alone.into_iter().collect() } else { all }
}

fn family_of(ip: &str) -> &'static str {
    if ip.contains(':') { "IPv6" } else { "IPv4" }
}

fn has_address(spec: &Value) -> bool {
    spec["type"] != "ExternalName"
}

/// Whether a Service has neither an address nor a selector: it may have endpoints of families that the cluster does not know.
fn is_free(spec: &Value) -> bool {
    let selects = spec["selector"].as_object().is_some_and(|labels| !labels.is_empty());
    addresses(spec).first() == Some(&"None") && !selects
}

/// Whether nothing is asked anew of a Service that prefers both (`isMatchingPreferDualStackClusterIPFields`).
fn stays(spec: &Value, old: &Value) -> bool {
    let prefers = |spec: &Value| has_address(spec) && spec["ipFamilyPolicy"] == "PreferDualStack";
    let same = |field| {
        let (before, after) = (texts(old, field), texts(spec, field));
        !after.is_empty() && before == after
    };
    prefers(spec) && prefers(old) && same("clusterIPs") && same("ipFamilies")
}

/// Why a Service cannot have the families that it asks for of those that the cluster `has`; `old` is what it was before. Where its policy alone says that it has
/// one family less from now on, the second one is taken out.
pub fn settle(service: &mut Value, old: Option<&Value>, has: &[&str]) -> Vec<Objection> {
    let old = old.map(|old| &old["spec"]);
    let known = |family: &&str| ALL.contains(family);
    let spec = &mut service["spec"];
    let is_sound = texts(spec, "ipFamilies").iter().all(known);
    if !spec.is_object() || !has_address(spec) || !is_sound || old.is_some_and(|old| stays(spec, old)) {
        return Vec::new();
    }
    let before = old.and_then(|old| old["ipFamilyPolicy"].as_str());
    let default = if is_free(spec) { "RequireDualStack" } else { "SingleStack" };
    let policy = spec["ipFamilyPolicy"].as_str().or(before).unwrap_or(default).to_owned();
    let mut found: Vec<Objection> = Vec::new();
    let mut object = |path: &str, shown: Value, why: &str| {
        found.push((format!("spec.{path}"), shown.to_string(), why.to_owned()));
    };
    for (field, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let Some(old) = old else { continue };
        let (was, is) = (texts(old, field), texts(spec, field));
        let shrinks = was.len() == 2 && is.len() == 1 && was.first() == is.first();
        let first = is.first().map(|first| json!([first]));
        if policy == "SingleStack" && was == is && is.len() > 1 {
            spec[field] = json!(first);
        } else if policy != "SingleStack" && shrinks {
            let why = format!("must be 'SingleStack' to release the secondary {what}");
            object("ipFamilyPolicy", json!(policy), &why);
        }
    }
    let (ips, families) = (addresses(spec), texts(spec, "ipFamilies"));
    for (n_asked, what) in [(ips.len(), "cluster IPs"), (families.len(), "IP families")] {
        if policy == "SingleStack" && n_asked == 2 {
            let why =
                format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            object("ipFamilyPolicy", json!(policy), &why);
        }
    }
    for (index, ip) in ips.iter().enumerate().take_while(|(_, ip)| **ip != "None") {
        let family = family_of(ip);
        if index >= families.len() && !has.contains(&family) {
            let why = format!("{family} is not configured on this cluster");
            object(&format!("clusterIPs[{index}]"), json!(ips), &why);
        }
    }
    if is_free(spec) || !found.is_empty() {
        return found;
    }
    let mut object = |path: &str, shown: Value, why: &str| {
        found.push((format!("spec.{path}"), shown.to_string(), why.to_owned()));
    };
    if policy == "RequireDualStack" && has.len() < ALL.len() {
        object("ipFamilyPolicy", json!(policy), "this cluster is not configured for dual-stack services");
    }
    for (index, family) in families.iter().enumerate().filter(|(_, family)| !has.contains(*family)) {
        object(&format!("ipFamilies[{index}]"), json!(family), "not configured on this cluster");
    }
    found
}
