//! `kubectl cordon`, `uncordon` and `taint`.

use super::{NO_RESOURCE, Next, client, dry_run, fail, key, list, merge, read, refusal, say};
use crate::app::Os;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, optional, switch, value};
use crate::shell::kubectl::json::{at, list as items, text};
use crate::shell::kubectl::labels;
use crate::shell::kubectl::resources::{Resource, of_kind};
use crate::shell::out::refuse;
use serde_json::{Value, json};

/// The type of nodes.
pub(super) fn nodes() -> &'static Resource {
    of_kind("Node").unwrap_or(&crate::shell::kubectl::resources::RESOURCES[5])
}

/// `cordon` or `uncordon`.
pub(in crate::shell::kubectl) fn cordon(verb: &'static str, words: &[String]) -> Command {
    let known = [value("selector", 'l'), optional("dry-run", "unchanged")];
    let read_words = || -> Result<_, String> {
        let words = flags::read(verb, &known, &[], words)?;
        let chosen = labels::of_list(nodes(), words.value("selector"))?;
        let dry = dry_run(words.value("dry-run"))?;
        Ok((words, chosen, dry))
    };
    let (words, chosen, dry) = match read_words() {
        Ok(found) => found,
        Err(text) => return refuse(text, 1),
    };
    if words.operands.is_empty() && words.value("selector").is_none() {
        return refuse(
            format!("error: USAGE: {verb} NODE [flags]\nSee 'kubectl {verb} -h' for help and examples\n"),
            1,
        );
    }
    client(move |os| {
        let mut status = 0;
        let mut names = words.operands.clone();
        if words.value("selector").is_some() {
            let all = list(os, nodes(), "");
            names.extend(
                all.iter().filter(|one| chosen.selects(one)).map(|one| text(one, "metadata.name").to_owned()),
            );
        }
        for name in &names {
            status |= cordon_one(os, name.trim_start_matches("node/"), verb == "cordon", dry);
        }
        Next::Done(status)
    })
}

/// Cordons or uncordons a node, or only says so.
pub(super) fn cordon_one(os: &mut dyn Os, name: &str, on: bool, (only, mark): (bool, &str)) -> u8 {
    let key = key(nodes(), "", name);
    let live = match read(os, &key) {
        Ok(live) => live,
        Err(error) => return fail(os, &refusal(&error, "")),
    };
    let word = if on { "cordoned" } else { "uncordoned" };
    if (*at(&live, "spec.unschedulable") == true) == on {
        say(os, &format!("node/{name} already {word}{mark}\n"));
        return 0;
    }
    if only {
        say(os, &format!("node/{name} {word}{mark}\n"));
        return 0;
    }
    let patch = json!({ "spec": { "unschedulable": if on { Value::Bool(true) } else { Value::Null } } });
    match merge(os, &key, patch) {
        Ok(_) => {
            say(os, &format!("node/{name} {word}\n"));
            0
        }
        Err(error) => fail(os, &refusal(&error, "")),
    }
}

/// `kubectl taint`: `KEY=VALUE:EFFECT` is added, `KEY:EFFECT-` and `KEY-` are removed.
pub(in crate::shell::kubectl) fn taint(words: &[String]) -> Command {
    let words = match flags::read(
        "taint",
        &[switch("overwrite", ' ')],
        &["selector", "all", "dry-run", "output"],
        words,
    ) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let (changes, operands): (Vec<String>, Vec<String>) =
        words.operands.iter().cloned().partition(|word| word.contains(':') || word.ends_with('-'));
    let names: Vec<String> =
        operands.into_iter().filter(|word| !matches!(word.as_str(), "node" | "nodes" | "no")).collect();
    if names.is_empty() || changes.is_empty() {
        return refuse(NO_RESOURCE, 1);
    }
    client(move |os| {
        let mut status = 0;
        for name in &names {
            status |= taint_one(os, name, &changes, words.is_set("overwrite"));
        }
        Next::Done(status)
    })
}

fn taint_one(os: &mut dyn Os, name: &str, changes: &[String], overwrite: bool) -> u8 {
    let key = key(nodes(), "", name);
    let live = match read(os, &key) {
        Ok(live) => live,
        Err(error) => return fail(os, &refusal(&error, "")),
    };
    let mut taints = items(&live, "spec.taints").to_vec();
    let (mut added, mut removed) = (false, false);
    for change in changes {
        let (pair, effect) =
            change.trim_end_matches('-').split_once(':').unwrap_or((change.trim_end_matches('-'), ""));
        let (label, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is = |taint: &Value| {
            text(taint, "key") == label && (effect.is_empty() || text(taint, "effect") == effect)
        };
        if change.ends_with('-') {
            let before = taints.len();
            taints.retain(|taint| !is(taint));
            if before == taints.len() {
                let colon = if effect.is_empty() { String::new() } else { format!(":{effect}") };
                return fail(os, &format!("error: taint \"{label}{colon}\" not found\n"));
            }
            removed = true;
            continue;
        }
        if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            return fail(os, &format!("error: invalid taint effect: {effect}, unsupported taint effect\n"));
        }
        if taints.iter().any(is) && !overwrite {
            return fail(
                os,
                &format!(
                    "error: node {name} already has {label} taint(s) with same effect(s) and --overwrite is false\n"
                ),
            );
        }
        taints.retain(|taint| !is(taint));
        let mut taint = json!({ "key": label, "effect": effect });
        if !value.is_empty() {
            taint["value"] = json!(value);
        }
        taints.push(taint);
        added = true;
    }
    let word = match (added, removed) {
        (true, false) => "tainted",
        (false, true) => "untainted",
        _ => "modified",
    };
    let taints = if taints.is_empty() { Value::Null } else { Value::Array(taints) };
    match merge(os, &key, json!({ "spec": { "taints": taints } })) {
        Ok(_) => {
            say(os, &format!("node/{name} {word}\n"));
            0
        }
        Err(error) => fail(os, &refusal(&error, "")),
    }
}
