//! `kubectl cordon`, `uncordon`, `drain` and `taint`.

use super::{Next, client, fail, key, list, merge, read, refusal, say};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::base::ObjectKey;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, Words, switch, value};
use crate::shell::kubectl::json::{at, list as items, text};
use crate::shell::kubectl::resources::{Resource, of_kind};
use crate::shell::out::refuse;
use serde_json::{Value, json};
use std::rc::Rc;

/// The type of nodes.
fn nodes() -> &'static Resource {
    of_kind("Node").unwrap_or(&crate::shell::kubectl::resources::RESOURCES[5])
}

/// `cordon` or `uncordon`.
pub(in crate::shell::kubectl) fn cordon(verb: &'static str, words: &[String]) -> Command {
    let words = match flags::read(verb, &[], &["selector", "dry-run"], words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    if words.operands.is_empty() {
        return refuse(
            format!("error: USAGE: {verb} NODE [flags]\nSee 'kubectl {verb} -h' for help and examples\n"),
            1,
        );
    }
    client(move |os| {
        let mut status = 0;
        for name in &words.operands {
            status |= cordon_one(os, name.trim_start_matches("node/"), verb == "cordon");
        }
        Next::Done(status)
    })
}

fn cordon_one(os: &mut dyn Os, name: &str, on: bool) -> u8 {
    let key = key(nodes(), "", name);
    let live = match read(os, &key) {
        Ok(live) => live,
        Err(error) => return fail(os, &refusal(&error, "")),
    };
    let word = if on { "cordoned" } else { "uncordoned" };
    if (*at(&live, "spec.unschedulable") == true) == on {
        say(os, &format!("node/{name} already {word}\n"));
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

const DRAIN: [Flag; 5] = [
    switch("ignore-daemonsets", ' '),
    switch("force", ' '),
    switch("delete-emptydir-data", ' '),
    value("grace-period", ' '),
    value("timeout", ' '),
];

/// `kubectl drain`: no more Pods for a node, and those that are there go.
pub(in crate::shell::kubectl) fn drain(words: &[String]) -> Command {
    let others = [
        "selector",
        "pod-selector",
        "dry-run",
        "disable-eviction",
        "chunk-size",
        "skip-wait-for-delete-timeout",
    ];
    let words = match flags::read("drain", &DRAIN, &others, words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let Some(name) = words.operands.first().map(|name| name.trim_start_matches("node/").to_owned()) else {
        return refuse("error: USAGE: drain NODE [flags]\nSee 'kubectl drain -h' for help and examples\n", 1);
    };
    client(move |os| {
        if cordon_one(os, &name, true) != 0 {
            return Next::Done(1);
        }
        let Some(pods) = of_kind("Pod") else { return Next::Done(1) };
        let here: Vec<Value> =
            list(os, pods, "").into_iter().filter(|pod| text(pod, "spec.nodeName") == name).collect();
        match objections(&here, &words) {
            Err(why) => {
                let shown =
                    if let [only] = &why[..] { only.clone() } else { format!("[{}]", why.join(", ")) };
                let error = format!(
                    "error: unable to drain node \"{name}\" due to error: {shown}, continuing command..."
                );
                let pending = format!("There are pending nodes to be drained:\n {name}\n{}", why.join("\n"));
                return Next::Done(fail(os, &format!("{error}\n{pending}\n")));
            }
            Ok(warnings) if warnings.is_empty() => {}
            Ok(warnings) => {
                fail(os, &format!("Warning: {}\n", warnings.join("; ")));
            }
        }
        let evictable = here.iter().filter(|pod| owner(pod).as_deref() != Some("DaemonSet"));
        let key_of = |pod: &Value| key(pods, text(pod, "metadata.namespace"), text(pod, "metadata.name"));
        let keys: Vec<ObjectKey> = evictable.map(key_of).collect();
        for key in &keys {
            say(os, &format!("evicting pod {}/{}\n", key.namespace, key.name));
            let grace = words.value("grace-period").and_then(|text| text.parse().ok());
            let request = ApiRequest::Delete { key: key.clone(), propagation: None, grace_seconds: grace };
            if let Err(error) = os.api(&request) {
                return Next::Done(fail(os, &refusal(&error, "")));
            }
        }
        evicted(os, &name, keys)
    })
}

/// The kind of a Pod's controller.
fn owner(pod: &Value) -> Option<String> {
    let owners = items(pod, "metadata.ownerReferences");
    owners.iter().find(|one| *at(one, "controller") == true).map(|one| text(one, "kind").to_owned())
}

/// What stands against evicting these Pods, or what is to be said although nothing does.
fn objections(pods: &[Value], words: &Words) -> Result<Vec<String>, Vec<String>> {
    let of = |is: &dyn Fn(&Value) -> bool| -> String {
        let those = pods.iter().filter(|pod| is(pod));
        let names =
            those.map(|pod| format!("{}/{}", text(pod, "metadata.namespace"), text(pod, "metadata.name")));
        names.collect::<Vec<_>>().join(", ")
    };
    let daemons = of(&|pod| owner(pod).as_deref() == Some("DaemonSet"));
    let alone = of(&|pod| owner(pod).is_none());
    let storage = of(&|pod| items(pod, "spec.volumes").iter().any(|volume| volume.get("emptyDir").is_some()));
    let known = [
        (
            &daemons,
            "ignore-daemonsets",
            "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)",
        ),
        (
            &storage,
            "delete-emptydir-data",
            "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
        ),
        (&alone, "force", "cannot delete Pods that declare no controller (use --force to override)"),
    ];
    let against: Vec<String> = known
        .iter()
        .filter(|(pods, flag, _)| !pods.is_empty() && !words.is_set(flag))
        .map(|(pods, _, why)| format!("{why}: {pods}"))
        .collect();
    if !against.is_empty() {
        return Err(against);
    }
    let said =
        [("ignoring DaemonSet-managed Pods", daemons), ("deleting Pods that declare no controller", alone)];
    Ok(said
        .into_iter()
        .filter(|(_, pods)| !pods.is_empty())
        .map(|(what, pods)| format!("{what}: {pods}"))
        .collect())
}

fn evicted(os: &mut dyn Os, name: &str, keys: Vec<ObjectKey>) -> Next {
    let (left, gone): (Vec<ObjectKey>, Vec<ObjectKey>) =
        keys.into_iter().partition(|key| read(os, key).is_ok());
    for key in gone {
        say(os, &format!("pod/{} evicted\n", key.name));
    }
    if left.is_empty() {
        say(os, &format!("node/{name} drained\n"));
        return Next::Done(0);
    }
    let name = name.to_owned();
    Next::Later(super::POLL, Rc::new(move |os: &mut dyn Os| evicted(os, &name, left.clone())))
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
        return refuse(
            "error: one or more resources must be specified as <resource> <name> or <resource>/<name>\n",
            1,
        );
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
