//! `kubectl set env`: variables of the containers of a Pod or of what makes Pods.

use super::set::{pod_spec_of, put_back};
use super::{NO_RESOURCE, Next, client, dry_run, fail, key, one, read, refusal, say, shown};
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Words, optional, switch, value};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The variables that an object's containers have after a change (`updateEnv`).
fn updated(present: &[Value], wanted: &[(String, String)], gone: &[String]) -> Vec<Value> {
    let find = |name: &str| wanted.iter().rev().find(|(known, _)| known == name);
    let mut done: Vec<&str> = gone.iter().map(String::as_str).collect();
    let mut made = Vec::new();
    for variable in present {
        let name = variable["name"].as_str().unwrap_or_default();
        if done.contains(&name) {
            continue;
        }
        match find(name) {
            Some((name, text)) => {
                done.push(name);
                made.push(json!({ "name": name, "value": text }));
            }
            None => made.push(variable.clone()),
        }
    }
    for (name, text) in wanted {
        if !done.contains(&name.as_str()) {
            done.push(name);
            made.push(json!({ "name": name, "value": text }));
        }
    }
    made
}

/// What `--list` prints of a container.
fn listed(kind: &str, name: &str, container: &Value) -> String {
    let mut text = format!("# {kind} {name}, container {}\n", container["name"].as_str().unwrap_or_default());
    for variable in container["env"].as_array().into_iter().flatten() {
        let key = variable["name"].as_str().unwrap_or_default();
        let from = &variable["valueFrom"];
        if let Some(field) = from["fieldRef"]["fieldPath"].as_str() {
            let _ = writeln!(text, "# {key} from field path {field}");
        } else if let Some(of) =
            ["configMapKeyRef", "secretKeyRef"].into_iter().find(|of| from[*of].is_object())
        {
            let what = if of == "secretKeyRef" { "secret" } else { "configmap" };
            let part = |field: &str| from[of][field].as_str().unwrap_or_default();
            let _ = writeln!(text, "# {key} from {what} {}, key {}", part("name"), part("key"));
        } else {
            let _ = writeln!(text, "{key}={}", variable["value"].as_str().unwrap_or_default());
        }
    }
    text
}

/// The words that name variables, and those that name an object.
fn sorted_out(words: &Words) -> (Vec<String>, Vec<String>) {
    let is_change = |word: &String| word.contains('=') || (word.ends_with('-') && word.len() > 1);
    let (mut changes, operands): (Vec<String>, Vec<String>) =
        words.operands.iter().cloned().partition(is_change);
    changes.extend(words.all("env").map(str::to_owned));
    (changes, operands)
}

/// The variables that are set, and the names of those that go.
fn taken_apart(changes: &[String]) -> (Vec<(String, String)>, Vec<String>) {
    let (mut wanted, mut gone) = (Vec::new(), Vec::new());
    for change in changes {
        match change.split_once('=') {
            Some((name, text)) => wanted.push((name.to_owned(), text.to_owned())),
            None => gone.push(change.trim_end_matches('-').to_owned()),
        }
    }
    (wanted, gone)
}

/// `kubectl set env` with these words after it.
pub(super) fn command(namespace: &str, words: &[String]) -> Result<Command, String> {
    let flags = [
        value("output", 'o'),
        value("containers", 'c'),
        value("env", 'e'),
        switch("list", ' '),
        switch("overwrite", ' '),
        optional("dry-run", "unchanged"),
    ];
    let others = ["all", "selector", "local", "filename", "from", "keys", "prefix", "resolve", "recursive"];
    let words = flags::read("set env", &flags, &others, words)?;
    let (changes, operands) = sorted_out(&words);
    if operands.is_empty() {
        return Err(NO_RESOURCE.to_owned());
    }
    let lists = words.is_set("list");
    if changes.is_empty() && !lists {
        return Err("error: at least one environment variable must be provided\n".to_owned());
    }
    let (wanted, gone) = taken_apart(&changes);
    let (resource, name) = one(&operands)?;
    let key = key(resource, words.namespace(namespace), &name);
    let (only, dry) = dry_run(words.value("dry-run"))?;
    Ok(client(move |os| {
        let mut live = match read(os, &key) {
            Ok(live) => live,
            Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
        };
        let path = pod_spec_of(resource.kind);
        let chosen = words.value("containers").unwrap_or("*");
        let containers = live.pointer_mut(&format!("{path}/containers")).and_then(Value::as_array_mut);
        let (mut is_changed, mut is_found) = (false, false);
        for container in containers.into_iter().flatten() {
            if chosen != "*" && container["name"] != chosen {
                continue;
            }
            is_found = true;
            let present = container["env"].as_array().cloned().unwrap_or_default();
            let env = updated(&present, &wanted, &gone);
            is_changed |= env != present;
            if !env.is_empty() || !present.is_empty() {
                container["env"] = json!(env);
            }
            if lists {
                say(os, &listed(resource.kind, &name, container));
            }
        }
        if !is_found {
            let kind = resource.kind;
            fail(os, &format!("warning: {kind}/{name} does not have any containers matching \"{chosen}\"\n"));
            return Next::Done(0);
        }
        if lists || !is_changed {
            return Next::Done(0);
        }
        let line = format!("{} env updated{dry}\n", shown(resource, &name));
        put_back(os, live, only, words.value("output"), &line)
    }))
}
