//! Verbs that change single fields: `label`, `annotate`, `scale`, `patch`.

use super::{NO_RESOURCE, Next, client, dry_run, fail, key, list, merge, one, read, refusal, report, shown};
use crate::api::{ApiRequest, PatchKind};
use crate::app::Os;
use crate::base::ObjectKey;
use crate::cluster::patch;
use crate::manifest;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::kubectl::get::wanted;
use crate::shell::kubectl::json::{at, text};
use crate::shell::kubectl::labels;
use crate::shell::kubectl::resources::Resource;
use crate::shell::kubectl::scale::Subresource;
use crate::shell::out::refuse;
use serde_json::{Value, json};

const LABEL: [Flag; 8] = [
    switch("overwrite", ' '),
    switch("all", ' '),
    switch("all-namespaces", 'A'),
    value("selector", 'l'),
    value("output", 'o'),
    switch("list", ' '),
    optional("dry-run", "unchanged"),
    value("field-manager", ' '),
];

/// `label` or `annotate`: pairs are added, keys with a minus are removed.
pub(in crate::shell::kubectl) fn mark(verb: &'static str, namespace: &str, words: &[String]) -> Command {
    match marks(verb, namespace, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

/// A key with its new value; none for one that is to go.
type Change = (String, Option<String>);

fn marks(verb: &'static str, namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = flags::read(
        verb,
        &LABEL,
        &["filename", "kustomize", "recursive", "local", "resource-version"],
        words,
    )?;
    let is_change = |word: &String| word.contains('=') || (word.len() > 1 && word.ends_with('-'));
    let (changes, operands): (Vec<String>, Vec<String>) = words.operands.iter().cloned().partition(is_change);
    let noun = if verb == "label" { "label" } else { "annotation" };
    let wanted = wanted(verb, &operands, NO_RESOURCE)?;
    if changes.is_empty() && !words.is_set("list") {
        return Err(format!("error: at least one {noun} update is required\n"));
    }
    let (only, dry) = dry_run(words.value("dry-run"))?;
    let labels = labels::of_list(wanted[0].0, words.value("selector"))?;
    let changes: Vec<Change> = changes
        .iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (word.trim_end_matches('-').to_owned(), None),
        })
        .collect();
    let namespace = words.namespace(namespace).to_owned();
    let chosen = words.is_set("all") || !labels.is_empty();
    if !chosen && wanted.iter().any(|(_, names)| names.is_empty()) {
        return Err(NO_RESOURCE.to_owned());
    }
    Ok(client(move |os| {
        let mut status = 0;
        for (resource, names) in &wanted {
            let everywhere = words.is_set("all-namespaces");
            let mut keys: Vec<_> = names.iter().map(|name| key(resource, &namespace, name)).collect();
            if names.is_empty() {
                let found = list(os, resource, if everywhere { "" } else { &namespace });
                let found = found.iter().filter(|one| labels.selects(one));
                keys.extend(
                    found.map(|one| {
                        key(resource, text(one, "metadata.namespace"), text(one, "metadata.name"))
                    }),
                );
            }
            for key in keys {
                let live = match read(os, &key) {
                    Ok(live) => live,
                    Err(error) => {
                        status = fail(os, &refusal(&error, ""));
                        continue;
                    }
                };
                let outcome = mark_one(os, (verb, &changes), (resource, &key, live), (&words, only, dry));
                if let Err(text) = outcome {
                    status = fail(os, &text);
                }
            }
        }
        Next::Done(status)
    }))
}

fn mark_one(
    os: &mut dyn Os,
    (verb, changes): (&str, &[Change]),
    (resource, key, live): (&Resource, &ObjectKey, Value),
    (words, only, dry): (&Words, bool, &str),
) -> Result<(), String> {
    let (patch, done) = patch_of(os, verb, &live, changes, words.is_set("overwrite"))?;
    let line = format!("{} {done}{dry}\n", shown(resource, &key.name));
    let answer =
        if only { Ok(patched_here(&live, (PatchKind::Merge, &patch))) } else { merge(os, key, patch) };
    let object = answer.map_err(|error| refusal(&error, ""))?;
    report(os, words.value("output"), &object, &line);
    Ok(())
}

/// The patch, and what it does in a word.
fn patch_of(
    os: &mut dyn Os,
    verb: &str,
    live: &Value,
    changes: &[Change],
    overwrite: bool,
) -> Result<(Value, &'static str), String> {
    let field = if verb == "label" { "labels" } else { "annotations" };
    let present = at(live, &format!("metadata.{field}")).clone();
    let mut patch = json!({ "metadata": { field: {} } });
    let (mut added, mut removed) = (false, false);
    for (key, value) in changes {
        let old = present.get(key).and_then(Value::as_str);
        match (value, old) {
            (Some(value), Some(old)) if old != value && !overwrite => {
                return Err(if verb == "label" {
                    format!("error: '{key}' already has a value ({old}), and --overwrite is false\n")
                } else {
                    format!(
                        "error: --overwrite is false but found the following declared annotation(s): '{key}' already has a value ({old})\n"
                    )
                });
            }
            (Some(value), old) => added |= old != Some(value),
            (None, Some(_)) => removed = true,
            (None, None) => {
                let noun = if verb == "label" { "label" } else { "annotation" };
                super::say(os, &format!("{noun} \"{key}\" not found.\n"));
            }
        }
        patch["metadata"][field][key] = json!(value);
    }
    let word = match (verb, added, removed) {
        ("label", true, _) => "labeled",
        ("label", false, true) => "unlabeled",
        ("label", false, false) => "not labeled",
        _ => "annotated",
    };
    Ok((patch, word))
}

const SCALE: [Flag; 6] = [
    value("replicas", ' '),
    value("current-replicas", ' '),
    value("output", 'o'),
    optional("dry-run", "unchanged"),
    value("selector", 'l'),
    switch("all", ' '),
];

/// `kubectl scale`.
pub(in crate::shell::kubectl) fn scale(namespace: &str, words: &[String]) -> Command {
    let read_words = || -> Result<_, String> {
        let words =
            flags::read("scale", &SCALE, &["filename", "kustomize", "timeout", "resource-version"], words)?;
        let replicas = words.value("replicas").ok_or("error: required flag(s) \"replicas\" not set\n")?;
        let wrong = || {
            format!(
                "error: invalid argument \"{replicas}\" for \"--replicas\" flag: strconv.ParseInt: parsing \"{replicas}\": invalid syntax\nSee 'kubectl scale --help' for usage.\n"
            )
        };
        let replicas: i64 = replicas.parse().map_err(|_| wrong())?;
        if replicas < 0 {
            let why = "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0";
            return Err(format!("error: {why}\n"));
        }
        let wanted = wanted(
            "scale",
            &words.operands,
            "error: resource(s) were provided, but no name was specified\n",
        )?;
        let (only, dry) = dry_run(words.value("dry-run"))?;
        Ok((words, replicas, wanted, only, dry))
    };
    let (words, replicas, wanted, only, dry) = match read_words() {
        Ok(found) => found,
        Err(text) => return refuse(text, 1),
    };
    let namespace = words.namespace(namespace).to_owned();
    client(move |os| {
        let (mut status, mut n_found) = (0, 0);
        for (resource, names) in &wanted {
            let names: Vec<String> = if names.is_empty() {
                list(os, resource, &namespace)
                    .iter()
                    .map(|one| text(one, "metadata.name").to_owned())
                    .collect()
            } else {
                // One that is not there is passed over.
                names
                    .iter()
                    .filter(|name| read(os, &key(resource, &namespace, name)).is_ok())
                    .cloned()
                    .collect()
            };
            n_found += names.len();
            for name in &names {
                match scale_one(
                    os,
                    resource,
                    (&namespace, name),
                    (replicas, words.value("current-replicas"), only),
                ) {
                    Ok(object) => {
                        report(
                            os,
                            words.value("output"),
                            &object,
                            &format!("{} scaled{dry}\n", shown(resource, name)),
                        );
                    }
                    Err(text) => status = fail(os, &text),
                }
            }
        }
        if n_found == 0 {
            status = fail(os, "error: no objects passed to scale\n");
        }
        Next::Done(status)
    })
}

fn scale_one(
    os: &mut dyn Os,
    resource: &Resource,
    (namespace, name): (&str, &str),
    (replicas, expected, only): (i64, Option<&str>, bool),
) -> Result<Value, String> {
    if !matches!(resource.kind, "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController") {
        let what = resource.plural_with_group();
        return Err(format!(
            "error: cannot scale {what}: the server could not find the requested resource\n"
        ));
    }
    let key = key(resource, namespace, name);
    let live = read(os, &key).map_err(|error| refusal(&error, ""))?;
    let now = at(&live, "spec.replicas").as_i64().unwrap_or(1);
    if let Some(expected) =
        expected.and_then(|text| text.parse::<i64>().ok()).filter(|count| *count >= 0 && *count != now)
    {
        return Err(format!("error: Expected replicas to be {expected}, was {now}\n"));
    }
    let change = json!({ "spec": { "replicas": replicas } });
    if only {
        return Ok(patched_here(&live, (PatchKind::Merge, &change)));
    }
    merge(os, &key, change).map_err(|error| refusal(&error, ""))
}

const PATCH: [Flag; 6] = [
    value("subresource", ' '),
    value("patch", 'p'),
    value("type", ' '),
    value("output", 'o'),
    optional("dry-run", "unchanged"),
    value("patch-file", ' '),
];

/// `kubectl patch`.
pub(in crate::shell::kubectl) fn patch(namespace: &str, words: &[String]) -> Command {
    match patched(namespace, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn patched(namespace: &str, words: &[String]) -> Result<Command, String> {
    let words = flags::read("patch", &PATCH, &["filename", "kustomize", "local"], words)?;
    let file = words.value("patch-file").filter(|file| !file.is_empty()).map(str::to_owned);
    let given = words.value("patch").filter(|text| !text.is_empty());
    if file.is_some() && given.is_some() {
        return Err("error: cannot specify --patch and --patch-file together\n".to_owned());
    }
    if file.is_none() && given.is_none() {
        let why = "must specify --patch or --patch-file containing the contents of the patch";
        return Err(format!("error: {why}\n"));
    }
    let given = given.map(patch_of_text).transpose()?;
    let kind = match words.value("type").unwrap_or("strategic") {
        "strategic" => PatchKind::Strategic,
        "merge" => PatchKind::Merge,
        "json" => PatchKind::Json,
        other => {
            return Err(format!("error: --type must be one of [json merge strategic], not \"{other}\"\n"));
        }
    };
    given.as_ref().map(|patch| fits(kind, patch)).transpose()?;
    let (resource, name) = one(&words.operands)?;
    let (only, dry) = dry_run(words.value("dry-run"))?;
    let subresource = Subresource::read(words.value("subresource"))?;
    let key = key(resource, words.namespace(namespace), &name);
    Ok(client(move |os| {
        let before = match read(os, &key) {
            Ok(before) => before,
            Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
        };
        let patch = match given.clone().map_or_else(|| patch_in(os, file.as_deref(), kind), Ok) {
            Ok(patch) => patch,
            Err(text) => return Next::Done(fail(os, &text)),
        };
        let key = key.clone();
        warn(os, &before, (kind, &patch));
        let pretended = patched_here(&before, (kind, &patch));
        let request = match subresource {
            Subresource::None => ApiRequest::Patch { key, kind, patch },
            Subresource::Status => ApiRequest::PatchStatus { key, kind, patch },
            // Of a scale only the number can be changed, and it has the same place in the object.
            Subresource::Scale => {
                ApiRequest::Patch { key, kind: PatchKind::Merge, patch: scale_patch(&patch) }
            }
        };
        let after = if only { Ok(pretended) } else { os.api(&request) };
        match after {
            Ok(after) => {
                let version = |object| text(object, "metadata.resourceVersion").to_owned();
                let same = if only { before == after } else { version(&before) == version(&after) };
                let none = if same { " (no change)" } else { "" };
                report(
                    os,
                    words.value("output"),
                    &after,
                    &format!("{} patched{none}{dry}\n", shown(resource, &name)),
                );
                Next::Done(0)
            }
            Err(error) => Next::Done(fail(os, &refusal(&error, ""))),
        }
    }))
}

/// The patch in a file.
fn patch_in(os: &mut dyn Os, file: Option<&str>, kind: PatchKind) -> Result<Value, String> {
    let file = file.unwrap_or_default();
    let text =
        os.read_file(file).ok_or_else(|| format!("error: open {file}: no such file or directory\n"))?;
    let patch = patch_of_text(&text)?;
    fits(kind, &patch)?;
    Ok(patch)
}

/// The patch as JSON. A scalar is one, too: it is the server that objects to it.
fn patch_of_text(given: &str) -> Result<Value, String> {
    if let Some(patch) = manifest::value_of(given) {
        return Ok(patch);
    }
    // What YAML reads as one plain word has no colon followed by a blank, and no brackets.
    let plain = given.trim();
    if !plain.is_empty() && !plain.contains(['{', '}', '[', ']', '"', '\'', '\n']) && !plain.contains(": ") {
        return Ok(serde_json::from_str(plain).unwrap_or_else(|_| json!(plain)));
    }
    Err(format!("error: unable to parse {given:?}: yaml: line 1: did not find expected node content\n"))
}

/// Whether a patch has the form of its type; the error is the API server's (`applyPatchToObject`).
fn fits(kind: PatchKind, patch: &Value) -> Result<(), String> {
    let what = match patch {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let why = match kind {
        PatchKind::Strategic if !patch.is_object() => {
            format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")
        }
        PatchKind::Merge if !patch.is_object() => "Invalid JSON Patch".to_owned(),
        PatchKind::Json if !patch.is_array() => {
            format!("json: cannot unmarshal {what} into Go value of type jsonpatch.Patch")
        }
        PatchKind::Strategic | PatchKind::Merge | PatchKind::Json => return Ok(()),
    };
    Err(format!("Error from server (BadRequest): {why}\n"))
}

/// An object with a patch, as the client computes it for `--dry-run`.
fn patched_here(before: &Value, (kind, change): (PatchKind, &Value)) -> Value {
    let mut after = before.clone();
    match kind {
        PatchKind::Strategic => patch::strategic(&mut after, change),
        PatchKind::Merge => patch::merge(&mut after, change),
        PatchKind::Json => drop(patch::operations(&mut after, change)),
    }
    after
}

/// Says which fields of the patched object nobody knows: the server leaves them out and warns.
fn warn(os: &mut dyn Os, before: &Value, (kind, change): (PatchKind, &Value)) {
    let mut after = patched_here(before, (kind, change));
    for said in manifest::prune(&mut after) {
        fail(os, &format!("Warning: {said}\n"));
    }
}

fn scale_patch(patch: &Value) -> Value {
    json!({ "spec": { "replicas": at(patch, "spec.replicas") } })
}
