//! Objects that `kubectl create TYPE NAME` makes of flags, besides workloads, configuration and Services.

use crate::cluster::quantity;
use crate::shell::kubectl::flags::{Flag, Words, switch, value};
use crate::shell::kubectl::resources::named;
use serde_json::{Value, json};

/// Flags of these types.
pub(super) const FLAGS: [Flag; 25] = [
    value("hard", ' '),
    value("scopes", ' '),
    value("selector", ' '),
    value("min-available", ' '),
    value("max-unavailable", ' '),
    value("value", ' '),
    switch("global-default", ' '),
    value("description", ' '),
    value("preemption-policy", ' '),
    value("verb", ' '),
    value("resource", ' '),
    value("resource-name", ' '),
    value("non-resource-url", ' '),
    value("aggregation-rule", ' '),
    value("role", ' '),
    value("clusterrole", ' '),
    value("user", ' '),
    value("group", ' '),
    value("serviceaccount", ' '),
    value("rule", ' '),
    value("class", ' '),
    value("default-backend", ' '),
    value("annotation", ' '),
    value("annotations", ' '),
    value("labels", ' '),
];

/// An object of this type with this name, and what a refusal begins with; `None` for a type that is not made here.
pub(super) fn object(kind: &str, name: &str, words: &Words) -> Result<Option<(Value, &'static str)>, String> {
    Ok(Some(match kind {
        "quota" | "resourcequota" => (quota(name, words)?, "failed to create quota"),
        "poddisruptionbudget" | "pdb" => (budget(name, words)?, "failed to create poddisruptionbudgets"),
        "priorityclass" | "pc" => (priority(name, words)?, "failed to create priorityclass"),
        "role" => (role("Role", name, words)?, ""),
        "clusterrole" => (role("ClusterRole", name, words)?, ""),
        "rolebinding" => (binding("RoleBinding", name, words)?, "failed to create rolebinding"),
        "clusterrolebinding" => {
            (binding("ClusterRoleBinding", name, words)?, "failed to create clusterrolebinding")
        }
        "ingress" | "ing" => (ingress(name, words)?, "failed to create ingress"),
        _ => return Ok(None),
    }))
}

fn of(api_version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } })
}

/// `key=value` pairs of a flag, apart at commas.
fn pairs(words: &Words, flag: &str, what: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |text: &&str| {
        let found = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        found.ok_or_else(|| format!("error: Invalid argument syntax {text}, expected {what}\n"))
    };
    words.values(flag).iter().filter(|text| !text.is_empty()).map(pair).collect()
}

fn quota(name: &str, words: &Words) -> Result<Value, String> {
    let mut quota = of("v1", "ResourceQuota", name);
    quota["spec"] = json!({});
    for (resource, amount) in pairs(words, "hard", "<resource>=<value>")? {
        if quantity::thousandths(&amount).is_none() {
            return Err("error: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'\n".to_owned());
        }
        quota["spec"]["hard"][resource] = json!(quantity::canonical(&json!(amount)));
    }
    let scopes: Vec<&str> = words.values("scopes").into_iter().filter(|scope| !scope.is_empty()).collect();
    if !scopes.is_empty() {
        quota["spec"]["scopes"] = json!(scopes);
    }
    Ok(quota)
}

/// A number, or per cent, as the API takes either.
fn number_or_text(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
}

fn budget(name: &str, words: &Words) -> Result<Value, String> {
    let text = |flag: &str| words.value(flag).unwrap_or_default();
    let (selector, least, most) = (text("selector"), text("min-available"), text("max-unavailable"));
    let wrong = |why: &str| Err(format!("error: {why}\n"));
    if selector.is_empty() {
        return wrong("a selector must be specified");
    }
    if least.is_empty() && most.is_empty() {
        return wrong("one of min-available or max-unavailable must be specified");
    }
    if !least.is_empty() && !most.is_empty() {
        return wrong("min-available and max-unavailable cannot be both specified");
    }
    let mut labels = json!({});
    for (key, value) in pairs(words, "selector", "<key>=<value>")? {
        labels[key.trim()] = json!(value.trim_start_matches('=').trim());
    }
    let mut budget = of("policy/v1", "PodDisruptionBudget", name);
    budget["spec"] = json!({ "selector": { "matchLabels": labels } });
    let (field, bound) = if least.is_empty() { ("maxUnavailable", most) } else { ("minAvailable", least) };
    budget["spec"][field] = number_or_text(bound);
    Ok(budget)
}

fn priority(name: &str, words: &Words) -> Result<Value, String> {
    let text = words.value("value").unwrap_or("0");
    let number: i32 = text.parse().map_err(|_| {
        format!("error: invalid argument {text:?} for \"--value\" flag: strconv.ParseInt: parsing {text:?}: invalid syntax\n")
    })?;
    let mut class = of("scheduling.k8s.io/v1", "PriorityClass", name);
    class["value"] = json!(number);
    class["preemptionPolicy"] = json!(words.value("preemption-policy").unwrap_or("PreemptLowerPriority"));
    if words.is_set("global-default") {
        class["globalDefault"] = json!(true);
    }
    if let Some(text) = words.value("description") {
        class["description"] = json!(text);
    }
    Ok(class)
}

fn distinct<'w>(texts: impl IntoIterator<Item = &'w str>) -> Vec<&'w str> {
    let mut found: Vec<&str> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

fn role(kind: &str, name: &str, words: &Words) -> Result<Value, String> {
    let verbs = distinct(words.values("verb"));
    let mut role = of("rbac.authorization.k8s.io/v1", kind, name);
    if let Some(rule) = words.value("aggregation-rule").filter(|_| kind == "ClusterRole") {
        let labels: serde_json::Map<String, Value> = rule
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect();
        role["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": labels }] });
        role["rules"] = json!([]);
        return Ok(role);
    }
    if verbs.is_empty() {
        return Err("error: at least one verb must be specified\n".to_owned());
    }
    let verbs = if verbs.contains(&"*") { vec!["*"] } else { verbs };
    let urls = distinct(words.values("non-resource-url"));
    let resources = distinct(words.values("resource"));
    if resources.is_empty() && urls.is_empty() {
        let what = if kind == "Role" {
            "at least one resource must be specified"
        } else {
            "one of resource or nonResourceURL must be specified"
        };
        return Err(format!("error: {what}\n"));
    }
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for text in resources {
        let (group, resource) = group_of(text)?;
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, list)) => list.push(resource),
            None => groups.push((group, vec![resource])),
        }
    }
    let names: Vec<&str> = words.all("resource-name").collect();
    let mut rules: Vec<Value> = Vec::new();
    for (group, resources) in groups {
        let mut rule = json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
        if !names.is_empty() {
            rule["resourceNames"] = json!(names);
        }
        rules.push(rule);
    }
    if !urls.is_empty() {
        rules.push(json!({ "nonResourceURLs": urls, "verbs": verbs }));
    }
    role["rules"] = json!(rules);
    Ok(role)
}

/// The group and the plural of a resource, which may name a part of it behind a slash.
fn group_of(text: &str) -> Result<(String, String), String> {
    if text == "*" {
        return Ok(("*".to_owned(), "*".to_owned()));
    }
    let (word, part) = text.split_once('/').map_or((text, None), |(word, part)| (word, Some(part)));
    let found = named(word).first().copied();
    let resource =
        found.ok_or_else(|| format!("error: the server doesn't have a resource type \"{word}\"\n"))?;
    let part = part.map_or_else(String::new, |part| format!("/{part}"));
    Ok((resource.group().to_owned(), format!("{}{part}", resource.plural)))
}

fn binding(kind: &str, name: &str, words: &Words) -> Result<Value, String> {
    let (role, cluster) =
        (words.value("role").unwrap_or_default(), words.value("clusterrole").unwrap_or_default());
    let reference = match (kind, role, cluster) {
        ("ClusterRoleBinding", _, "") => {
            return Err("error: required flag(s) \"clusterrole\" not set\n".to_owned());
        }
        ("RoleBinding", "", "") | ("RoleBinding", _, _) if role.is_empty() == cluster.is_empty() => {
            return Err("error: exactly one of clusterrole or role must be specified\n".to_owned());
        }
        (_, _, "") => ("Role", role),
        _ => ("ClusterRole", cluster),
    };
    let group = "rbac.authorization.k8s.io";
    let mut subjects: Vec<Value> = Vec::new();
    for (flag, kind) in [("user", "User"), ("group", "Group")] {
        subjects.extend(
            distinct(words.values(flag))
                .into_iter()
                .map(|name| json!({ "apiGroup": group, "kind": kind, "name": name })),
        );
    }
    for account in distinct(words.values("serviceaccount")) {
        let (namespace, name) = account
            .split_once(':')
            .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
            .ok_or("error: serviceaccount must be <namespace>:<name>\n")?;
        subjects.push(json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace }));
    }
    let mut binding = of("rbac.authorization.k8s.io/v1", kind, name);
    binding["roleRef"] = json!({ "apiGroup": group, "kind": reference.0, "name": reference.1 });
    if !subjects.is_empty() {
        binding["subjects"] = json!(subjects);
    }
    Ok(binding)
}

fn backend(text: &str) -> Value {
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    let port =
        port.parse::<u16>().map_or_else(|_| json!({ "name": port }), |number| json!({ "number": number }));
    json!({ "service": { "name": name, "port": port } })
}

fn ingress(name: &str, words: &Words) -> Result<Value, String> {
    let rules: Vec<&str> = words.all("rule").collect();
    let other = words.value("default-backend");
    if rules.is_empty() && other.is_none() {
        return Err("error: not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)\n".to_owned());
    }
    let mut ingress = of("networking.k8s.io/v1", "Ingress", name);
    let spec = &mut ingress["spec"];
    if let Some(class) = words.value("class") {
        spec["ingressClassName"] = json!(class);
    }
    if let Some(other) = other {
        spec["defaultBackend"] = backend(other);
    }
    let mut hosts: Vec<(String, Vec<Value>)> = Vec::new();
    let mut secrets: Vec<Value> = Vec::new();
    for rule in rules {
        let wrong = || {
            format!(
                "error: rule {rule} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]\n"
            )
        };
        let (place, rest) = rule.split_once('=').ok_or_else(wrong)?;
        let (host, path) = place.split_once('/').ok_or_else(wrong)?;
        let (target, tls) = rest.split_once(',').map_or((rest, None), |(target, tls)| (target, Some(tls)));
        if !target.contains(':') {
            return Err(wrong());
        }
        let (path, kind) = path.strip_suffix('*').map_or((path, "Exact"), |path| (path, "Prefix"));
        let path = json!({ "backend": backend(target), "path": format!("/{path}"), "pathType": kind });
        match hosts.iter_mut().find(|(known, _)| known == host) {
            Some((_, paths)) => paths.push(path),
            None => hosts.push((host.to_owned(), vec![path])),
        }
        if let Some(tls) = tls {
            let mut entry = json!({});
            if !host.is_empty() {
                entry["hosts"] = json!([host]);
            }
            if let Some(secret) = tls.strip_prefix("tls=") {
                entry["secretName"] = json!(secret);
            }
            secrets.push(entry);
        }
    }
    let rule = |(host, paths): (String, Vec<Value>)| {
        let mut rule = json!({ "http": { "paths": paths } });
        if !host.is_empty() {
            rule["host"] = json!(host);
        }
        rule
    };
    if !hosts.is_empty() {
        spec["rules"] = hosts.into_iter().map(rule).collect();
    }
    if !secrets.is_empty() {
        spec["tls"] = json!(secrets);
    }
    for (key, value) in pairs(words, "annotation", "<key>=<value>")? {
        ingress["metadata"]["annotations"][key] = json!(value);
    }
    Ok(ingress)
}
