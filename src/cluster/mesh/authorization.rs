//! Who may do what at a workload's door: `AuthorizationPolicy` as istiod makes Envoy's role-based access control of it
//! (istio, `pilot/pkg/security/authz`). What stands in `DENY` goes before what stands in `ALLOW`; where no policy allows
//! anything, everything that is not denied is allowed.
//!
//! *Simplified*: no tokens (`requestPrincipals`, `request.auth.*`), no action `CUSTOM`; `AUDIT` decides nothing. The
//! original client's address (`remoteIpBlocks`) is that of the connection, without gateways before it.

use super::{ROOT_NAMESPACE, selects};
use crate::base::{Ipv4Addr, Ipv4Net};
use serde_json::Value;
use std::collections::BTreeMap;

/// What HTTP says of a request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, which a query may follow.
    pub path: &'a str,
    /// `Host`.
    pub host: &'a str,
    /// Header fields, name and value.
    pub fields: &'a [(String, String)],
}

/// What the proxy knows of a request, or of a connection that is none of HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client's identity, without `spiffe://`; only mutual TLS tells it.
    pub principal: Option<&'a str>,
    /// The client's address.
    pub source: Ipv4Addr,
    /// The workload's address and port.
    pub destination: (Ipv4Addr, u16),
    /// The request, where the connection speaks HTTP.
    pub asked: Option<Asked<'a>>,
}

/// Policies of a workload: those that deny, and those that allow.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    deny: Vec<Value>,
    allow: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Allow,
    Deny,
}

impl Policies {
    /// Those of the mesh and of a namespace that select a workload by its labels.
    pub fn of<'p>(
        policies: impl Iterator<Item = (&'p str, &'p Value)>,
        (namespace, labels): (&str, &BTreeMap<String, String>),
    ) -> Self {
        let mut own = Self::default();
        for (at, policy) in policies.filter(|(at, _)| *at == namespace || *at == ROOT_NAMESPACE) {
            let spec = &policy["spec"];
            // What is for a gateway or a waypoint is not for the proxies beside workloads.
            let is_elsewhere = spec["targetRef"].is_object()
                || spec["targetRefs"].as_array().is_some_and(|targets| !targets.is_empty());
            if is_elsewhere || !selects(spec, labels).unwrap_or(true) {
                continue;
            }
            match spec["action"].as_str().unwrap_or("ALLOW") {
                "ALLOW" => own.allow.push(qualified(&spec["rules"], at)),
                "DENY" => own.deny.push(qualified(&spec["rules"], at)),
                // `AUDIT` asks for a note only; `CUSTOM` asks somebody who is not there.
                _ => {}
            }
        }
        own
    }

    /// Whether it may be.
    pub fn admit(&self, facts: &Facts<'_>) -> bool {
        let any = |policies: &[Value], action| {
            let mut rules = policies.iter().filter_map(Value::as_array).flatten();
            rules.any(|rule| applies(rule, action, facts))
        };
        !any(&self.deny, Action::Deny) && (self.allow.is_empty() || any(&self.allow, Action::Allow))
    }
}

/// Rules whose service accounts have their namespace, which is the policy's own where none is written.
fn qualified(rules: &Value, namespace: &str) -> Value {
    let mut rules = rules.clone();
    let sources = rules.as_array_mut().into_iter().flatten();
    let sources = sources.filter_map(|rule| rule["from"].as_array_mut()).flatten();
    for source in sources.filter_map(|from| from["source"].as_object_mut()) {
        for field in ["serviceAccounts", "notServiceAccounts"] {
            for account in source.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(name) = account.as_str().filter(|name| !name.contains('/')) {
                    *account = Value::String(format!("{namespace}/{name}"));
                }
            }
        }
    }
    rules
}

/// Whether a rule is about this: one of its sources, one of its operations, and all of its conditions.
fn applies(rule: &Value, action: Action, facts: &Facts<'_>) -> bool {
    let one_of = |list: &str, part: &str, conditions: &[Condition]| {
        let list = rule[list].as_array().filter(|list| !list.is_empty());
        list.is_none_or(|list| {
            list.iter().any(|item| conditions.iter().all(|one| one.holds(&item[part], action, facts)))
        })
    };
    let when = rule["when"].as_array().into_iter().flatten().all(|when| condition(when, action, facts));
    when && one_of("from", "source", &SOURCE) && one_of("to", "operation", &OPERATION)
}

/// A field with what must be and what must not be.
struct Condition {
    yes: &'static str,
    no: &'static str,
    key: &'static str,
}

const fn on(yes: &'static str, no: &'static str, key: &'static str) -> Condition {
    Condition { yes, no, key }
}

const SOURCE: [Condition; 6] = [
    on("principals", "notPrincipals", "source.principal"),
    on("namespaces", "notNamespaces", "source.namespace"),
    on("serviceAccounts", "notServiceAccounts", "source.serviceAccount"),
    on("ipBlocks", "notIpBlocks", "source.ip"),
    on("remoteIpBlocks", "notRemoteIpBlocks", "remote.ip"),
    on("requestPrincipals", "notRequestPrincipals", "request.auth.principal"),
];
const OPERATION: [Condition; 4] = [
    on("ports", "notPorts", "destination.port"),
    on("methods", "notMethods", "method"),
    on("paths", "notPaths", "path"),
    on("hosts", "notHosts", "host"),
];

impl Condition {
    fn holds(&self, part: &Value, action: Action, facts: &Facts<'_>) -> bool {
        both(self.key, (&part[self.yes], &part[self.no]), action, facts)
    }
}

/// A condition of `when`.
fn condition(when: &Value, action: Action, facts: &Facts<'_>) -> bool {
    both(when["key"].as_str().unwrap_or(""), (&when["values"], &when["notValues"]), action, facts)
}

/// Whether one of `yes` is so, if there are any, and none of `no` is. A condition that TCP cannot answer makes a rule
/// that allows one for nobody, and one that denies does without it (`checkError`).
fn both(key: &str, (yes, no): (&Value, &Value), action: Action, facts: &Facts<'_>) -> bool {
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        items.map(str::to_owned).collect()
    };
    let (yes, no) = (list(yes), list(no));
    if yes.is_empty() && no.is_empty() {
        return true;
    }
    let of_tcp = key.starts_with("source.") || key.starts_with("destination.") || key == "remote.ip";
    if facts.asked.is_none() && !of_tcp {
        return action == Action::Deny;
    }
    let is = |value: &String| facts.is(key, value);
    (yes.is_empty() || yes.iter().any(is)) && !no.iter().any(is)
}

impl Facts<'_> {
    /// Namespace and service account of the client's identity.
    fn account(&self) -> Option<(&str, &str)> {
        let (_, rest) = self.principal?.split_once("/ns/")?;
        rest.split_once("/sa/")
    }

    fn is(&self, key: &str, value: &str) -> bool {
        let asked = self.asked.as_ref();
        match key {
            "source.principal" => self.principal.is_some_and(|own| matches(value, own)),
            "source.namespace" => self.account().is_some_and(|(own, _)| matches(value, own)),
            "source.serviceAccount" => self.account().is_some_and(|own| value.split_once('/') == Some(own)),
            "source.ip" | "remote.ip" => within(value, self.source),
            "destination.ip" => within(value, self.destination.0),
            "destination.port" => value.parse() == Ok(self.destination.1),
            "method" => asked.is_some_and(|asked| matches(value, asked.method)),
            "path" => asked.is_some_and(|asked| {
                let path = asked.path.split(['?', '#']).next().unwrap_or("");
                let own: Vec<&str> = path.split('/').collect();
                template(value).map_or_else(|| matches(value, path), |parts| fits(&parts, &own))
            }),
            "host" => asked
                .is_some_and(|asked| matches(&value.to_ascii_lowercase(), &asked.host.to_ascii_lowercase())),
            _ => {
                let name = key.strip_prefix("request.headers[").and_then(|rest| rest.strip_suffix(']'));
                let fields = asked.map_or(&[][..], |asked| asked.fields);
                let mut own = fields
                    .iter()
                    .filter(|(known, _)| name.is_some_and(|name| known.eq_ignore_ascii_case(name)));
                own.any(|(_, own)| matches(value, own))
            }
        }
    }
}

/// Exactly, by a beginning (`a*`), by an end (`*a`), or anything that is there (`*`).
fn matches(value: &str, own: &str) -> bool {
    match (value.strip_prefix('*'), value.strip_suffix('*')) {
        (Some(""), _) => !own.is_empty(),
        (Some(end), _) => own.ends_with(end),
        (None, Some(start)) => own.starts_with(start),
        (None, None) => own == value,
    }
}

/// The parts of a path with `{*}` or `{**}` in it.
fn template(value: &str) -> Option<Vec<&str>> {
    (value.contains("{*}") || value.contains("{**}")).then(|| value.split('/').collect())
}

/// Whether a path is as a template says: `{*}` is one part that is not empty, `{**}` any number of them.
fn fits(parts: &[&str], path: &[&str]) -> bool {
    match parts {
        [] => path.is_empty(),
        ["{**}", rest @ ..] => (0..=path.len()).any(|n| fits(rest, &path[n..])),
        ["{*}", rest @ ..] => path.first().is_some_and(|first| !first.is_empty()) && fits(rest, &path[1..]),
        [part, rest @ ..] => path.first() == Some(part) && fits(rest, &path[1..]),
    }
}

/// Whether an address is this one, or in this network.
fn within(value: &str, own: Ipv4Addr) -> bool {
    let net = if value.contains('/') { value.parse::<Ipv4Net>().ok() } else { None };
    net.map_or_else(|| value.parse() == Ok(own), |net| net.contains(&own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CLIENT: &str = "cluster.local/ns/shop/sa/client";

    fn facts<'a>(request: Option<(&'a str, &'a str)>) -> Facts<'a> {
        Facts {
            principal: Some(CLIENT),
            source: Ipv4Addr::new(10, 244, 1, 7),
            destination: (Ipv4Addr::new(10, 244, 2, 2), 80),
            asked: request.map(|(method, path)| Asked { method, path, host: "web.shop", fields: &[] }),
        }
    }

    fn admits(spec: &Value, facts: &Facts<'_>) -> bool {
        let policy = json!({ "spec": spec });
        let none = BTreeMap::new();
        Policies::of([("shop", &policy)].into_iter(), ("shop", &none)).admit(facts)
    }

    #[test]
    fn no_policy_admits_and_an_empty_one_admits_nobody() {
        let get = facts(Some(("GET", "/")));
        assert!(Policies::default().admit(&get));
        assert!(!admits(&json!({}), &get), "`allow-nothing`: no rule");
        assert!(admits(&json!({ "rules": [{}] }), &get), "`allow-all`: a rule for everything");
        assert!(!admits(&json!({ "action": "DENY", "rules": [{}] }), &get));
        assert!(admits(&json!({ "action": "AUDIT", "rules": [{}] }), &get));
        let gate = json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gate" });
        assert!(admits(&json!({ "action": "DENY", "targetRefs": [gate], "rules": [{}] }), &get));
        assert!(admits(&json!({ "targetRef": gate }), &get));
    }

    #[test]
    fn sources_and_operations_are_looked_at_together() {
        let get = facts(Some(("GET", "/info?x=1")));
        let one = |from: Value, to: Value| {
            admits(&json!({ "rules": [{ "from": [{ "source": from }], "to": [{ "operation": to }] }] }), &get)
        };
        assert!(one(json!({ "principals": [CLIENT] }), json!({ "methods": ["GET"], "paths": ["/info*"] })));
        assert!(one(json!({ "principals": ["*/sa/client"] }), json!({ "ports": ["80"] })));
        assert!(one(json!({ "namespaces": ["shop"] }), json!({ "hosts": ["WEB.shop"] })));
        assert!(one(json!({ "serviceAccounts": ["client"] }), json!({ "ports": ["80"] })));
        assert!(!one(json!({ "serviceAccounts": ["other/client"] }), json!({ "ports": ["80"] })));
        assert!(one(json!({ "serviceAccounts": ["shop/client"] }), json!({ "paths": ["/{*}"] })));
        assert!(!one(json!({ "namespaces": ["shop"] }), json!({ "methods": ["POST"] })));
        assert!(!one(json!({ "notNamespaces": ["shop"] }), json!({ "methods": ["GET"] })));
        assert!(one(json!({ "ipBlocks": ["10.244.1.0/24"] }), json!({ "notPaths": ["/admin*"] })));
        assert!(!one(json!({ "ipBlocks": ["10.244.1.8"] }), json!({ "ports": ["80"] })));
    }

    #[test]
    fn of_tcp_a_rule_that_allows_is_for_nobody_and_one_that_denies_is_wider() {
        let rules = json!([{ "to": [{ "operation": { "methods": ["GET"], "ports": ["80"] } }] }]);
        assert!(!admits(&json!({ "rules": rules }), &facts(None)));
        assert!(!admits(&json!({ "action": "DENY", "rules": rules }), &facts(None)));
        let ports = json!([{ "to": [{ "operation": { "ports": ["80"] } }] }]);
        assert!(admits(&json!({ "rules": ports }), &facts(None)));
    }

    #[test]
    fn conditions_ask_for_header_fields() {
        let fields = [("x-token".to_owned(), "admin-7".to_owned())];
        let mut get = facts(Some(("GET", "/")));
        get.asked = get.asked.map(|asked| Asked { fields: &fields, ..asked });
        let when = |value: &str| json!({ "rules": [{ "when": [{ "key": "request.headers[X-Token]", "values": [value] }] }] });
        assert!(admits(&when("admin*"), &get));
        assert!(!admits(&when("user*"), &get));
    }
}
