//! `kubectl set subject`: for whom a binding is, besides (`set_subject.go`).

use super::set::{Chosen, each};
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, optional, switch, value};
use crate::shell::kubectl::json::text;
use crate::shell::kubectl::resources::Resource;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FLAGS: [Flag; 8] = [
    value("output", 'o'),
    value("selector", 'l'),
    value("user", ' '),
    value("group", ' '),
    value("serviceaccount", ' '),
    value("field-manager", ' '),
    switch("all", ' '),
    optional("dry-run", "unchanged"),
];

/// `kubectl set subject` with these words after it.
pub(super) fn command(namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = flags::read("set subject", &FLAGS, &["local", "filename", "kustomize", "recursive"], words)?;
    let chosen = Chosen::read("set subject", namespace, &words, &words.operands)?;
    let given = |flag: &str| words.all(flag).map(str::to_owned).collect::<BTreeSet<String>>();
    let (users, groups, accounts) = (given("user"), given("group"), given("serviceaccount"));
    if users.is_empty() && groups.is_empty() && accounts.is_empty() {
        let why = "you must specify at least one value of user, group or serviceaccount";
        return Err(format!("error: {why}\n"));
    }
    let named = |kind: &str, names: BTreeSet<String>| -> Vec<Value> {
        let of = |name| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
        names.into_iter().map(of).collect()
    };
    let mut subjects = named("User", users);
    subjects.extend(named("Group", groups));
    let everywhere = chosen.is_of("ClusterRoleBinding");
    let own = words.namespace(namespace);
    for account in &accounts {
        let wrong = "error: serviceaccount must be <namespace>:<name>";
        let (place, name) = match account.split(':').collect::<Vec<_>>()[..] {
            [place, name] if !name.is_empty() => (place, name),
            _ => return Err(format!("{wrong}\n")),
        };
        if place.is_empty() && everywhere {
            return Err(format!("{wrong}, namespace must be specified\n"));
        }
        let place = if place.is_empty() { own } else { place };
        subjects.push(json!({ "kind": "ServiceAccount", "name": name, "namespace": place }));
    }
    let change = move |resource: &Resource, live: &mut Value| {
        if !matches!(resource.kind, "RoleBinding" | "ClusterRoleBinding") {
            let why = "setting subjects is only supported for RoleBinding/ClusterRoleBinding";
            return Err(format!("error: {}/{} {why}\n", resource.plural, text(live, "metadata.name")));
        }
        if !live["subjects"].is_array() {
            live["subjects"] = json!([]);
        }
        let Some(known) = live["subjects"].as_array_mut() else { return Ok(false) };
        let before = known.len();
        let new: Vec<Value> = subjects.iter().filter(|one| !known.contains(one)).cloned().collect();
        known.extend(new);
        Ok(known.len() > before)
    };
    each(chosen, words, "subjects updated", Box::new(change))
}
