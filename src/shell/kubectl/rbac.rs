//! Asking in somebody else's name (`--as`): who may do what by the Roles and their bindings
//! (`plugin/pkg/auth/authorizer/rbac`).
//!
//! *Simplified*: the client is judged by what its command does first and most.

use super::json::{list, text};
use super::resources::{Resource, named, of_kind};
use super::{usual_roles, view};
use crate::shell::out::not_simulated;
use crate::trace::Inventory;
use serde_json::Value;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    /// User name.
    pub(super) user: String,
    /// Groups, those included that follow from the name.
    pub(super) groups: Vec<String>,
}

impl Who {
    /// Who asks where nobody else is named: kubeadm's administrator.
    pub(super) fn administrator() -> Self {
        let groups = ["kubeadm:cluster-admins", "system:authenticated"];
        Self { user: ADMINISTRATOR.to_owned(), groups: groups.map(str::to_owned).into() }
    }
}

/// Kubeadm's administrator (`admin.conf`).
pub(super) const ADMINISTRATOR: &str = "kubernetes-admin";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    /// Plural, with a part behind a slash, as `pods/log`.
    pub(super) resource: &'a str,
    pub(super) name: &'a str,
    /// Namespace; empty for all, and for what is in none.
    pub(super) namespace: &'a str,
}

/// Takes `--as` and `--as-group` out of a command line.
pub(super) fn impersonated(words: &mut Vec<String>) -> Option<Who> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let rest = words.split_off(end);
    let (mut user, mut groups, mut kept) = (None, Vec::new(), Vec::new());
    let mut own = std::mem::take(words).into_iter();
    while let Some(word) = own.next() {
        let (flag, value) =
            word.split_once('=').map_or((word.as_str(), None), |(flag, value)| (flag, Some(value)));
        let mut taken = || value.map(str::to_owned).or_else(|| own.next()).unwrap_or_default();
        match flag {
            "--as" => user = Some(taken()),
            "--as-group" => groups.push(taken()),
            _ => kept.push(word),
        }
    }
    kept.extend(rest);
    *words = kept;
    let user = user?;
    if let Some((namespace, _)) =
        user.strip_prefix("system:serviceaccount:").and_then(|name| name.split_once(':'))
    {
        groups.extend(["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]);
    }
    let known = if user == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
    groups.push(known.to_owned());
    Some(Who { user, groups })
}

/// The rules by which somebody may do something in a namespace; in none, those that hold everywhere (`VisitRulesFor`).
pub(super) fn rules_for(inventory: &Inventory, who: &Who, namespace: &str) -> Vec<Value> {
    let objects = |kind: &str| of_kind(kind).map(|kind| view::objects(inventory, kind)).unwrap_or_default();
    let everywhere = objects("ClusterRoleBinding").into_iter();
    let here = objects("RoleBinding")
        .into_iter()
        .filter(|one| !namespace.is_empty() && text(one, "metadata.namespace") == namespace);
    let by_bindings = everywhere.chain(here).filter(|binding| is_about(binding, who)).flat_map(|binding| {
        let (kind, name) = (text(&binding, "roleRef.kind"), text(&binding, "roleRef.name"));
        let place = if kind == "Role" { text(&binding, "metadata.namespace") } else { "" };
        let roles = objects(kind);
        let role = roles
            .iter()
            .find(|role| text(role, "metadata.name") == name && text(role, "metadata.namespace") == place);
        match role {
            Some(role) => list(role, "rules").to_vec(),
            None if kind == "ClusterRole" => usual_roles::rules(name),
            None => Vec::new(),
        }
    });
    who.groups.iter().flat_map(|group| usual_roles::bound_to(group)).chain(by_bindings).collect()
}

/// Whether somebody may do something.
pub(super) fn allowed(inventory: &Inventory, who: &Who, ask: Ask<'_>) -> bool {
    rules_for(inventory, who, ask.namespace).iter().any(|rule| covers(rule, ask))
}

/// Whether somebody may do something at a path that is no resource (`NonResourceURLMatches`).
pub(super) fn may_reach(inventory: &Inventory, who: &Who, (verb, path): (&str, &str)) -> bool {
    rules_for(inventory, who, "").iter().any(|rule| {
        let names = |field: &str| list(rule, field).iter().filter_map(Value::as_str);
        names("verbs").any(|one| one == "*" || one == verb)
            && names("nonResourceURLs")
                .any(|one| one == path || one.strip_suffix('*').is_some_and(|begin| path.starts_with(begin)))
    })
}

fn is_about(binding: &Value, who: &Who) -> bool {
    let own = text(binding, "metadata.namespace");
    list(binding, "subjects").iter().any(|subject| {
        let name = text(subject, "name");
        match text(subject, "kind") {
            "User" => name == who.user,
            "Group" => who.groups.iter().any(|group| group == name),
            _ => {
                let namespace = Some(text(subject, "namespace")).filter(|one| !one.is_empty()).unwrap_or(own);
                who.user == format!("system:serviceaccount:{namespace}:{name}")
            }
        }
    })
}

/// Whether a rule allows it.
fn covers(rule: &Value, ask: Ask<'_>) -> bool {
    let has = |field: &str, wanted: &str| {
        list(rule, field).iter().any(|one| one.as_str().is_some_and(|one| one == "*" || one == wanted))
    };
    let part = ask.resource.split_once('/').map(|(_, part)| format!("*/{part}"));
    let resource = has("resources", ask.resource) || part.is_some_and(|part| has("resources", &part));
    let names = list(rule, "resourceNames");
    let named = names.is_empty() || names.iter().any(|one| one == ask.name);
    has("verbs", ask.verb) && has("apiGroups", ask.group) && resource && named
}

/// What the API server says to somebody who may not.
pub(super) fn refusal(who: &Who, ask: Ask<'_>) -> String {
    let plural = ask.resource.split('/').next().unwrap_or(ask.resource);
    let full = if ask.group.is_empty() { plural.to_owned() } else { format!("{plural}.{}", ask.group) };
    let what = if ask.name.is_empty() { full } else { format!("{full} \"{}\"", ask.name) };
    let place = if ask.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", ask.namespace)
    };
    format!(
        "{what} is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
        who.user, ask.verb, ask.resource, ask.group
    )
}

/// Flags of any verb that are followed by a value.
const WITH_VALUE: [&str; 27] = [
    "-n",
    "--namespace",
    "-l",
    "--selector",
    "-o",
    "--output",
    "-c",
    "--container",
    "-p",
    "--patch",
    "--type",
    "--image",
    "--field-selector",
    "--sort-by",
    "-L",
    "--label-columns",
    "--replicas",
    "--port",
    "--for",
    "--timeout",
    "--tail",
    "--grace-period",
    "--name",
    "--target-port",
    "--env",
    "--restart",
    "--subresource",
];

/// The operands of a command line, its namespace, and whether it is about all of them.
fn operands<'w>(words: &'w [String], namespace: &'w str) -> (Vec<&'w str>, &'w str, bool) {
    let (mut found, mut place, mut all) = (Vec::new(), namespace, false);
    let mut words = words.iter().map(String::as_str).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        match word {
            "-n" | "--namespace" => place = words.next().unwrap_or(place),
            "-A" | "--all-namespaces" | "--all-namespaces=true" => all = true,
            flag if WITH_VALUE.contains(&flag) => {
                words.next();
            }
            flag if flag.starts_with('-') => {
                let value = flag.strip_prefix("--namespace=").or_else(|| flag.strip_prefix("-n"));
                place = value.filter(|value| !value.is_empty()).unwrap_or(place);
            }
            operand => found.push(operand),
        }
    }
    (found, place, all)
}

/// Looks whether somebody may do what a command line is about; the error is what the client prints.
pub(super) fn judge(
    inventory: &Inventory,
    namespace: &str,
    who: &Who,
    (verb, words): (&str, &[String]),
) -> Result<(), String> {
    if matches!(verb, "auth" | "api-resources" | "explain" | "version" | "config" | "cluster-info") {
        return Ok(());
    }
    if words
        .iter()
        .any(|word| word.starts_with("-f") || word.starts_with("--filename") || word.starts_with("--raw"))
    {
        return Err(not_simulated(&format!("kubectl {verb}"), "--as with a file").0);
    }
    let (operands, place, all) = operands(words, namespace);
    for (resource, name, verbs) in targets(verb, &operands)? {
        let namespace = if all || !resource.namespaced { "" } else { place };
        for (action, part) in verbs {
            let plural = format!("{}{part}", resource.plural);
            let ask = Ask { verb: action, group: resource.group(), resource: &plural, name, namespace };
            if !allowed(inventory, who, ask) {
                let why = refusal(who, ask);
                return Err(match (verb, operands.first()) {
                    ("create", Some(what)) if resource.kind != "Namespace" => {
                        format!("error: failed to create {what}: {why}\n")
                    }
                    _ => format!("Error from server (Forbidden): {why}\n"),
                });
            }
        }
    }
    Ok(())
}

type Target<'w> = (&'static Resource, &'w str, Vec<(&'static str, &'static str)>);

/// What the operands of a verb are, and what is asked of each.
fn targets<'w>(verb: &str, operands: &[&'w str]) -> Result<Vec<Target<'w>>, String> {
    let verb_of = |name: &str| if name.is_empty() { "list" } else { "get" };
    let actions = |name: &str| -> Vec<(&'static str, &'static str)> {
        match verb {
            "delete" if name.is_empty() => vec![("list", ""), ("deletecollection", "")],
            "delete" => vec![("delete", "")],
            "logs" => vec![("get", ""), ("get", "/log")],
            "exec" | "cp" => vec![("get", ""), ("create", "/exec")],
            "attach" => vec![("get", ""), ("create", "/attach")],
            "port-forward" => vec![("get", ""), ("create", "/portforward")],
            "scale" => vec![("get", ""), ("patch", "/scale")],
            "get" | "describe" | "wait" | "expose" | "events" | "top" => vec![(verb_of(name), "")],
            _ => vec![(verb_of(name), ""), ("patch", "")],
        }
    };
    let kind = |word: &str| named(word).first().copied();
    let (pods, events, nodes) = (of_kind("Pod"), of_kind("Event"), of_kind("Node"));
    Ok(match (verb, operands) {
        ("create", [what, ..]) => {
            kind(what).into_iter().map(|kind| (kind, "", vec![("create", "")])).collect()
        }
        ("run", [..]) => pods.into_iter().map(|kind| (kind, "", vec![("create", "")])).collect(),
        ("events", _) => events.into_iter().map(|kind| (kind, "", vec![("list", "")])).collect(),
        ("cordon" | "uncordon" | "drain", [name, ..]) => {
            nodes.into_iter().map(|kind| (kind, *name, actions(name))).collect()
        }
        ("cp", specs) => {
            let pod = specs.iter().find_map(|spec| spec.split_once(':')).map_or("", |(pod, _)| pod);
            let name = pod.rsplit('/').next().unwrap_or(pod);
            pods.into_iter().map(|kind| (kind, name, actions(name))).collect()
        }
        ("logs" | "exec" | "attach" | "port-forward", [name, ..]) if !name.contains('/') => {
            pods.into_iter().map(|kind| (kind, *name, actions(name))).collect()
        }
        ("rollout" | "set", [_, rest @ ..]) => return targets("patch", rest),
        (_, [first, rest @ ..]) => {
            let alone = (*first, rest.first().copied().unwrap_or(""));
            let (types, name) = first.split_once('/').unwrap_or(alone);
            types.split(',').filter_map(kind).map(|kind| (kind, name, actions(name))).collect()
        }
        (_, []) => Vec::new(),
    })
}

/// What `auth can-i VERB TYPE[/NAME]` asks for.
pub(super) fn can_i(
    inventory: &Inventory,
    who: &Who,
    (verb, what): (&str, &str),
    (namespace, subresource): (&str, &str),
) -> bool {
    let (word, name) = what.split_once('/').unwrap_or((what, ""));
    let resource = named(word).first().copied();
    let plural = resource.map_or(word, |one| one.plural);
    let full = if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") };
    let group = resource.map_or("", Resource::group);
    let place = if resource.is_none_or(|one| one.namespaced) { namespace } else { "" };
    allowed(inventory, who, Ask { verb, group, resource: &full, name, namespace: place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_taken_out_of_the_line() {
        let mut words: Vec<String> =
            ["get", "pods", "--as", "system:serviceaccount:dev:app", "--as-group=x", "--", "--as"]
                .map(str::to_owned)
                .into();
        let who = impersonated(&mut words).unwrap();
        assert_eq!(words, ["get", "pods", "--", "--as"]);
        let groups = ["x", "system:serviceaccounts", "system:serviceaccounts:dev", "system:authenticated"];
        assert_eq!(who.groups, groups);
    }
}
