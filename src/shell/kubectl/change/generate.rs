//! Objects that `kubectl create TYPE NAME` makes of flags, besides workloads, configuration, Services and Ingresses.

use super::generate_ingress::ingress;
use crate::base::quantity;
use crate::shell::kubectl::flags::{Flag, Words, switch, value};
use crate::shell::kubectl::labels;
use crate::shell::kubectl::resources::named;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    let (made, failure) = match kind {
        "quota" => (quota(name, words), "failed to create quota: "),
        "poddisruptionbudget" => (budget(name, words), "failed to create poddisruptionbudgets: "),
        "priorityclass" => (priority(name, words), "failed to create priorityclass: "),
        "role" => (role("Role", name, words), ""),
        "clusterrole" => (role("ClusterRole", name, words), ""),
        "rolebinding" => (binding("RoleBinding", name, words), "failed to create rolebinding: "),
        "clusterrolebinding" => {
            (binding("ClusterRoleBinding", name, words), "failed to create clusterrolebinding: ")
        }
        "ingress" => (ingress(name, words), "failed to create ingress: "),
        _ => return Ok(None),
    };
    let count = words.operands.len();
    if count != 1 {
        return Err(format!(
            "error: exactly one NAME is required, got {count}\nSee 'kubectl create {kind} -h' for help and examples\n"
        ));
    }
    Ok(Some((made?, failure)))
}

/// What is said of the words before anything is made.
pub(super) fn warnings(kind: &str, words: &Words) -> String {
    if !matches!(kind, "role" | "clusterrole") || words.value("resource").is_none() {
        return String::new();
    }
    let unusual = verbs(words).into_iter().filter(|verb| !VERBS.contains(verb));
    unusual.flat_map(|verb| ["Warning: '", verb, "' is not a standard resource verb\n"]).collect()
}

/// Verbs that roles usually name.
const VERBS: [&str; 14] = [
    "*",
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
];

/// Verbs of paths that are no resources.
const PATH_VERBS: [&str; 8] = ["*", "get", "post", "put", "delete", "patch", "head", "options"];

/// Verbs that only go with these resources and groups.
const SPECIAL: [(&str, &[(&str, &str)]); 4] = [
    ("use", &[("podsecuritypolicies", "policy"), ("podsecuritypolicies", "extensions")]),
    ("bind", &[("roles", ROLES), ("clusterroles", ROLES)]),
    ("escalate", &[("roles", ROLES), ("clusterroles", ROLES)]),
    (
        "impersonate",
        &[("users", ""), ("serviceaccounts", ""), ("groups", ""), ("userextras", "authentication.k8s.io")],
    ),
];

const ROLES: &str = "rbac.authorization.k8s.io";

pub(super) fn of(api_version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } })
}

/// What is wrong with a text that is no quantity (`ParseQuantity`).
fn no_quantity(text: &str) -> &'static str {
    let rest = text
        .trim_start_matches(['+', '-'])
        .trim_start_matches(|one: char| one.is_ascii_digit() || one == '.');
    let rest = rest.trim_start_matches(|one: char| "eEinumkKMGTP".contains(one));
    let rest =
        rest.strip_prefix(['+', '-']).unwrap_or(rest).trim_start_matches(|one: char| one.is_ascii_digit());
    if rest.is_empty() && !text.is_empty() {
        "unable to parse quantity's suffix"
    } else {
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    }
}

fn quota(name: &str, words: &Words) -> Result<Value, String> {
    let mut quota = of("v1", "ResourceQuota", name);
    quota["spec"] = json!({});
    let given = |flag: &str| words.value(flag).filter(|text| !text.is_empty()).map(|text| text.split(','));
    for pair in given("hard").into_iter().flatten() {
        let wrong = || format!("error: Invalid argument syntax {pair}, expected <resource>=<value>\n");
        let (resource, amount) = pair.split_once('=').ok_or_else(wrong)?;
        if amount.contains('=') {
            return Err(wrong());
        }
        if quantity::thousandths(amount).is_none() {
            return Err(format!("error: {}\n", no_quantity(amount)));
        }
        quota["spec"]["hard"][resource] = json!(quantity::canonical(&json!(amount)));
    }
    let scopes: Vec<&str> = given("scopes").into_iter().flatten().collect();
    if scopes.contains(&"") {
        return Err("error: invalid resource quota scope \"\"\n".to_owned());
    }
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
    let number = |text: &str| {
        let digits = text.strip_suffix('%').unwrap_or(text);
        text.is_empty() || (!digits.is_empty() && digits.bytes().all(|one| one.is_ascii_digit()))
    };
    for (flag, bound) in [("min-available", least), ("max-unavailable", most)] {
        if !number(bound) {
            return wrong(&format!("invalid format specified for {flag}"));
        }
    }
    let selector = labels::of_object(selector).map_err(|why| format!("error: {why}\n"))?;
    let mut budget = of("policy/v1", "PodDisruptionBudget", name);
    budget["spec"] = json!({ "selector": selector });
    let (field, bound) = if least.is_empty() { ("maxUnavailable", most) } else { ("minAvailable", least) };
    budget["spec"][field] = number_or_text(bound);
    Ok(budget)
}

fn priority(name: &str, words: &Words) -> Result<Value, String> {
    let text = words.value("value").unwrap_or("0");
    let number: i32 = text.parse().map_err(|_| {
        let digits = text.trim_start_matches(['+', '-']);
        let large = !digits.is_empty() && digits.bytes().all(|one| one.is_ascii_digit());
        let why = if large { "value out of range" } else { "invalid syntax" };
        format!(
            "error: invalid argument {text:?} for \"--value\" flag: strconv.ParseInt: parsing {text:?}: {why}\nSee 'kubectl \
             create priorityclass --help' for usage.\n"
        )
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

fn verbs(words: &Words) -> Vec<&str> {
    let verbs = distinct(words.values("verb"));
    if verbs.contains(&"*") { vec!["*"] } else { verbs }
}

/// A resource as a rule is asked for: name, group, and a part behind a slash.
type Asked<'w> = (&'w str, &'w str, Option<&'w str>);

fn asked(words: &Words) -> Vec<Asked<'_>> {
    let mut found = Vec::new();
    for text in words.values("resource") {
        let (main, part) = text.split_once('/').map_or((text, None), |(main, part)| (main, Some(part)));
        let (name, group) = main.split_once('.').unwrap_or((main, ""));
        if text == "*" {
            return vec![("*", "", None)];
        }
        found.push((name, group, part));
    }
    found
}

/// The plural and the group that the API server knows a resource by.
fn known(name: &str, group: &str) -> Option<(&'static str, &'static str)> {
    let word = if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") };
    named(&word).first().map(|one| (one.plural, one.group()))
}

/// Whether resources are there and go with the verbs (`validateResource`).
fn check_resources(asked: &[Asked<'_>], verbs: &[&str]) -> Result<(), String> {
    for (name, group, _) in asked {
        if name.is_empty() {
            return Err("error: resource must be specified if apiGroup/subresource specified\n".to_owned());
        }
        if *name == "*" {
            return Ok(());
        }
        let found = known(name, group);
        let (plural, in_group) = found.unwrap_or((name, group));
        let mut special = false;
        for (verb, those) in SPECIAL.iter().filter(|(verb, _)| verbs.contains(verb)) {
            if !those.contains(&(plural, in_group)) {
                return Err(format!("error: can not perform '{verb}' on '{plural}' in group '{in_group}'\n"));
            }
            special = true;
        }
        if found.is_none() && !special {
            let place = if group.is_empty() { String::new() } else { format!(" in group \"{group}\"") };
            return Err(format!("the server doesn't have a resource type \"{name}\"{place}\n"));
        }
    }
    Ok(())
}

fn check_paths(urls: &[&str], verbs: &[&str]) -> Result<(), String> {
    if let Some(verb) = verbs.iter().find(|verb| !urls.is_empty() && !PATH_VERBS.contains(verb)) {
        return Err(format!("error: invalid verb: '{verb}' for nonResourceURL\n"));
    }
    for url in urls.iter().filter(|url| **url != "*") {
        if !url.starts_with('/') {
            return Err("error: nonResourceURL should start with /\n".to_owned());
        }
        if url.trim_end_matches('*').contains('*') || url.ends_with("**") {
            return Err(
                "error: nonResourceURL only supports wildcard matches when '*' is at the end\n".to_owned()
            );
        }
    }
    Ok(())
}

/// A cluster role that gathers others.
fn gathering(rule: &str, name: &str, words: &Words) -> Result<Value, String> {
    if ["non-resource-url", "verb", "resource", "resource-name"]
        .iter()
        .any(|flag| words.value(flag).is_some())
    {
        return Err("error: aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames\n".to_owned());
    }
    let pairs = rule.split(',').filter_map(|pair| pair.split_once('='));
    let labels: serde_json::Map<String, Value> =
        pairs.map(|(key, value)| (key.to_owned(), json!(value))).collect();
    let mut role = of("rbac.authorization.k8s.io/v1", "ClusterRole", name);
    role["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": labels }] });
    role["rules"] = json!([]);
    Ok(role)
}

fn role(kind: &str, name: &str, words: &Words) -> Result<Value, String> {
    if let Some(rule) = words.value("aggregation-rule").filter(|_| kind == "ClusterRole") {
        return gathering(rule, name, words);
    }
    let verbs = verbs(words);
    if verbs.is_empty() {
        return Err("error: at least one verb must be specified\n".to_owned());
    }
    let urls = distinct(words.values("non-resource-url"));
    let asked = asked(words);
    if asked.is_empty() && (urls.is_empty() || kind == "Role") {
        let what = if kind == "Role" {
            "at least one resource must be specified"
        } else {
            "one of resource or nonResourceURL must be specified"
        };
        return Err(format!("error: {what}\n"));
    }
    let warned = |why: String| warnings(&kind.to_lowercase(), words) + &why;
    check_resources(&asked, &verbs).and_then(|()| check_paths(&urls, &verbs)).map_err(warned)?;
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, group, part) in asked {
        let (plural, group) = known(name, group).unwrap_or((name, group));
        let resource = part.map_or_else(|| plural.to_owned(), |part| format!("{plural}/{part}"));
        let those = groups.entry(group).or_default();
        if !those.contains(&resource) {
            those.push(resource);
        }
    }
    let names = distinct(words.all("resource-name"));
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
    let mut role = of("rbac.authorization.k8s.io/v1", kind, name);
    role["rules"] = json!(rules);
    Ok(role)
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
        subjects.extend(words.all(flag).map(|name| json!({ "apiGroup": group, "kind": kind, "name": name })));
    }
    for account in words.all("serviceaccount") {
        let (namespace, name) = account
            .split_once(':')
            .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains(':'))
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
