//! What Istio's own definitions ask of its objects (`manifests/charts/base/files/crd-all.gen.yaml`): the API server checks
//! them by the schema and the rules that stand there. What istiod's webhook refuses beyond that
//! (`pkg/config/validation`) stands at its line, too.

use super::cursor::Cursor;
use crate::manifest::report::Report;
use std::net::IpAddr;

const MODES: [&str; 4] = ["UNSET", "DISABLE", "PERMISSIVE", "STRICT"];

/// A `PeerAuthentication`.
pub(super) fn peer_authentication(spec: &Cursor<'_>, report: &mut Report<'_>) {
    spec.get("mtls").get("mode").one_of(report, &MODES);
    let selector = spec.get("selector");
    workloads(&selector, report);
    let ports = spec.get("portLevelMtls");
    if !ports.is_set() {
        return;
    }
    if ports.entries().next().is_none() {
        because(&ports, report, "portLevelMtls in body should have at least 1 properties");
    } else if selector.get("matchLabels").entries().next().is_none() {
        because(spec, report, "portLevelMtls requires selector");
    }
    if ports.entries().any(|(port, _)| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        because(&ports, report, "port must be between 1-65535");
    }
    for (_, port) in ports.entries() {
        port.get("mode").one_of(report, &MODES);
    }
}

/// What a source of a rule may say; those of addresses are looked at one by one.
const SOURCE: [&str; 8] = [
    "principals",
    "notPrincipals",
    "requestPrincipals",
    "notRequestPrincipals",
    "namespaces",
    "notNamespaces",
    "serviceAccounts",
    "notServiceAccounts",
];
const BLOCKS: [&str; 4] = ["ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks"];
const OPERATION: [&str; 6] = ["hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"];
const PORTS: [&str; 2] = ["ports", "notPorts"];
/// Conditions that are known by their names; others are by what they begin with.
const KEYS: [&str; 12] = [
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
    "any",
];

/// An `AuthorizationPolicy`.
pub(super) fn authorization_policy(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let action = spec.get("action");
    action.one_of(report, &["ALLOW", "DENY", "AUDIT", "CUSTOM"]);
    let selector = spec.get("selector");
    workloads(&selector, report);
    if selector.is_set() && (spec.get("targetRef").is_set() || spec.get("targetRefs").is_set()) {
        because(spec, report, "only one of targetRefs or selector can be set");
    }
    let (rules, provider) = (spec.get("rules"), spec.get("provider"));
    let is_custom = action.text() == "CUSTOM";
    if is_custom && provider.get("name").text().is_empty() {
        because(spec, report, "`provider.name` must not be empty");
    }
    if provider.is_set() && !is_custom {
        let found = action.text_or("ALLOW");
        because(&provider, report, &format!("`provider` must not be with non CUSTOM action, found {found}"));
    }
    if matches!(action.text(), "DENY" | "CUSTOM") && !rules.is_set() {
        let why = format!(
            "{} action without `rules` is meaningless as it will never be triggered, add an empty rule `{{}}` if you \
             want it be triggered for every request",
            action.text()
        );
        because(spec, report, &why);
    }
    for (number, rule) in rules.items().enumerate() {
        parts(&rule, ("from", "source"), number, report);
        parts(&rule, ("to", "operation"), number, report);
        for when in rule.get("when").items() {
            condition(&when, report);
        }
    }
}

/// Sources or operations of a rule.
fn parts(rule: &Cursor<'_>, (list, field): (&str, &str), number: usize, report: &mut Report<'_>) {
    let items = rule.get(list);
    if items.is_set() && items.len() == 0 {
        because(&items, report, &format!("`{list}` must not be empty, found at rule {number}"));
    }
    for item in items.items() {
        let part = item.get(field);
        let has = |fields: &[&str]| fields.iter().any(|name| part.get(name).len() > 0);
        let words: &[&str] = if list == "from" { &SOURCE } else { &OPERATION };
        let numbers: &[&str] = if list == "from" { &BLOCKS } else { &PORTS };
        if !part.is_set() {
            because(&item, report, &format!("`{list}.{field}` must not be nil, found at rule {number}"));
        } else if !has(words) && !has(numbers) {
            because(&part, report, &format!("`{list}.{field}` must not be empty, found at rule {number}"));
        }
        if has(&SOURCE[6..]) && (has(&SOURCE[..2]) || has(&SOURCE[4..6])) {
            let why =
                format!("cannot set serviceAccounts with namespaces or principals, found at rule {number}");
            because(&part, report, &why);
        }
        for value in numbers.iter().flat_map(|name| part.get(name).items()) {
            if let Some(why) = if list == "from" { bad_block(value.text()) } else { bad_port(value.text()) } {
                value.because(report, &why);
            }
        }
        for name in words {
            for value in part.get(name).items().filter(|value| value.text().is_empty()) {
                let (first, rest) = name.split_at(1);
                let why = format!("empty value not allowed, found in {}{rest}", first.to_uppercase());
                value.because(report, &why);
            }
        }
    }
}

/// A condition of a rule.
fn condition(when: &Cursor<'_>, report: &mut Report<'_>) {
    let key = when.get("key");
    let name = key.text();
    let (values, others) = (when.get("values"), when.get("notValues"));
    if name.is_empty() {
        return;
    }
    if values.len() == 0 && others.len() == 0 {
        let why = format!("at least one of `values` or `notValues` must be set for key {name}");
        return because(when, report, &why);
    }
    let is_map = |prefix: &str| name.starts_with(prefix);
    if is_map("request.headers") || is_map("request.auth.claims") || is_map("experimental.envoy.filters.") {
        let open = name.find('[').filter(|open| *open > 0 && *open + 2 < name.len());
        if open.is_none() || !name.ends_with(']') {
            key.because(report, &format!("bad key ({name}): should have format a[b]"));
        }
        return;
    }
    if !KEYS.contains(&name) {
        return key.because(report, &format!("unknown attribute: {name}"));
    }
    for value in values.items().chain(others.items()) {
        let bad = match name {
            "source.ip" | "remote.ip" | "destination.ip" => bad_block(value.text()),
            "destination.port" => bad_port(value.text()),
            _ => None,
        };
        if let Some(why) = bad {
            value.because(report, &why);
        }
    }
}

/// Why a text is neither an address nor a network.
fn bad_block(text: &str) -> Option<String> {
    let Some((ip, len)) = text.split_once('/') else {
        return text.parse::<IpAddr>().is_err().then(|| format!("bad IP address ({text})"));
    };
    let most = ip.parse::<IpAddr>().ok().map(|ip| if ip.is_ipv4() { 32 } else { 128 });
    let fits = most.is_some_and(|most| len.parse::<u8>().is_ok_and(|len| len <= most));
    (!fits).then(|| format!("bad CIDR range ({text}): invalid CIDR address: {text}"))
}

/// Why a text is no port.
fn bad_port(text: &str) -> Option<String> {
    let why = match text.parse::<u32>() {
        Ok(port) if port <= 65_535 => return None,
        Ok(_) => "<nil>".to_owned(),
        Err(_) => format!("strconv.ParseUint: parsing \"{text}\": invalid syntax"),
    };
    Some(format!("bad port ({text}): {why}"))
}

/// A selector of workloads.
fn workloads(selector: &Cursor<'_>, report: &mut Report<'_>) {
    let labels = selector.get("matchLabels");
    if labels.entries().any(|(key, _)| key.contains('*')) {
        because(&labels, report, "wildcard not allowed in label key match");
    }
    if labels.entries().any(|(key, _)| key.is_empty()) {
        because(&labels, report, "key must not be empty");
    }
    for (_, value) in labels.entries().filter(|(_, value)| value.text().contains('*')) {
        report.error(
            &value.path(),
            "invalid.because",
            Some("invalid.because.hint"),
            &["\"string\"", "wildcard not allowed in label value match"],
        );
    }
}

/// A rule of the definition that an object breaks; of the object itself only its type is shown.
fn because(object: &Cursor<'_>, report: &mut Report<'_>, why: &str) {
    report.error(&object.path(), "invalid.because", Some("invalid.because.hint"), &["\"object\"", why]);
}
