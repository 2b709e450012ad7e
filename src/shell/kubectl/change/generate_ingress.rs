//! Ingresses that `kubectl create ingress` makes of rules.

use super::generate::of;
use crate::shell::kubectl::flags::Words;
use serde_json::{Value, json};

fn backend(text: &str) -> Value {
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    let port =
        port.parse::<i32>().map_or_else(|_| json!({ "name": port }), |number| json!({ "number": number }));
    json!({ "service": { "name": name, "port": port } })
}

/// A rule taken apart.
struct Rule<'r> {
    host: &'r str,
    /// Without the slash it begins with.
    path: &'r str,
    target: &'r str,
    /// What stands behind a comma, and the secret it names.
    tls: Option<&'r str>,
}

/// Takes `host/path=service:port[,tls[=secret]]` apart.
fn rule(text: &str) -> Option<Rule<'_>> {
    let is_word = |one: char| one.is_ascii_alphanumeric() || one == '_' || one == '-';
    let (place, rest) = text.split_once('=')?;
    let (host, path) = place.split_once('/')?;
    let (target, tls) = rest.split_once(',').map_or((rest, None), |(target, tls)| (target, Some(tls)));
    let (service, port) = target.split_once(':')?;
    let secret = match tls {
        Some(tls) => {
            let secret = tls.strip_prefix("tls")?;
            secret.strip_prefix('=').unwrap_or(secret)
        }
        None => "",
    };
    let right = host.chars().all(|one| is_word(one) || one == '*' || one == '.')
        && !path.contains(',')
        && !service.is_empty()
        && !port.is_empty()
        && [service, port, secret].iter().all(|text| text.chars().all(is_word));
    let named = tls.map(|tls| tls.split_once('=').map_or("", |(_, secret)| secret));
    right.then_some(Rule { host, path, target, tls: named })
}

/// Hosts whose traffic is deciphered, by the secret that holds their key (`buildTLSRules`).
fn secrets(rules: &[Rule<'_>]) -> Vec<Value> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for rule in rules {
        let Some(secret) = rule.tls.filter(|_| !known.contains(&rule.host)) else { continue };
        known.push(rule.host);
        if let Some((_, hosts)) = found.iter_mut().find(|(other, _)| *other == secret) {
            hosts.push(rule.host);
        } else if !rule.host.is_empty() {
            found.push((secret, vec![rule.host]));
        } else if !secret.is_empty() {
            found.push((secret, Vec::new()));
        }
    }
    let entry = |(secret, hosts): (&str, Vec<&str>)| {
        let mut entry = json!({});
        if !hosts.is_empty() {
            entry["hosts"] = json!(hosts);
        }
        if !secret.is_empty() {
            entry["secretName"] = json!(secret);
        }
        entry
    };
    found.into_iter().map(entry).collect()
}

fn paths(rules: &[Rule<'_>]) -> Vec<Value> {
    let mut hosts: Vec<(&str, Vec<Value>)> = Vec::new();
    for rule in rules {
        let (path, kind) = rule.path.strip_suffix('*').map_or((rule.path, "Exact"), |path| (path, "Prefix"));
        let path = json!({ "backend": backend(rule.target), "path": format!("/{path}"), "pathType": kind });
        match hosts.iter_mut().find(|(known, _)| *known == rule.host) {
            Some((_, paths)) => paths.push(path),
            None => hosts.push((rule.host, vec![path])),
        }
    }
    let whole = |(host, paths): (&str, Vec<Value>)| {
        let mut rule = json!({ "http": { "paths": paths } });
        if !host.is_empty() {
            rule["host"] = json!(host);
        }
        rule
    };
    hosts.into_iter().map(whole).collect()
}

/// An Ingress of the rules of a command line.
pub(super) fn ingress(name: &str, words: &Words) -> Result<Value, String> {
    let other = words.value("default-backend").filter(|other| !other.is_empty());
    let mut rules = Vec::new();
    for text in words.all("rule") {
        rules.push(rule(text).ok_or_else(|| {
            format!(
                "error: rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]\n"
            )
        })?);
    }
    if rules.is_empty() && other.is_none() {
        return Err("error: not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)\n".to_owned());
    }
    let mut ingress = of("networking.k8s.io/v1", "Ingress", name);
    for text in words.all("annotation") {
        let wrong = || format!("error: annotation {text} is invalid and should be in format key=[value]\n");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        ingress["metadata"]["annotations"][key] = json!(value);
    }
    if other.is_some_and(|other| other.split(':').count() != 2) {
        return Err("error: default-backend should be in format servicename:serviceport\n".to_owned());
    }
    let spec = &mut ingress["spec"];
    if let Some(class) = words.value("class").filter(|class| !class.is_empty()) {
        spec["ingressClassName"] = json!(class);
    }
    if let Some(other) = other {
        spec["defaultBackend"] = backend(other);
    }
    if !rules.is_empty() {
        spec["rules"] = json!(paths(&rules));
    }
    let secrets = secrets(&rules);
    if !secrets.is_empty() {
        spec["tls"] = json!(secrets);
    }
    Ok(ingress)
}
