//! `kubectl run`: a single Pod of a command line.

use super::create::{integer, required, sent};
use super::{attached, dry_run};
use crate::cluster::patch;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::out::{not_simulated, refuse};
use crate::shell::{Command, Context};
use serde_json::{Value, json};

const RUN: [Flag; 21] = [
    value("image", ' '),
    value("overrides", ' '),
    value("override-type", ' '),
    value("port", ' '),
    value("env", ' '),
    value("labels", 'l'),
    value("annotations", ' '),
    value("restart", ' '),
    value("image-pull-policy", ' '),
    switch("command", ' '),
    switch("expose", ' '),
    switch("privileged", ' '),
    value("output", 'o'),
    optional("dry-run", "unchanged"),
    switch("stdin", 'i'),
    switch("tty", 't'),
    switch("rm", ' '),
    switch("attach", ' '),
    switch("quiet", 'q'),
    switch("leave-stdin-open", ' '),
    value("pod-running-timeout", ' '),
];
const RUN_OTHERS: [&str; 1] = ["timeout"];

/// `kubectl run`: a single Pod.
pub(in crate::shell::kubectl) fn run(context: &Context<'_>, words: &[String]) -> Command {
    match ran(context, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn ran(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let namespace = context.kube_namespace;
    let words = flags::read("run", &RUN, &RUN_OTHERS, words)?;
    let Some(name) = words.operands.first() else {
        return Err(
            "error: NAME is required for run\nSee 'kubectl run -h' for help and examples\n".to_owned()
        );
    };
    let image = required(&words, "image")?;
    let attaches = attaches(&words)?;
    let mut container = json!({ "name": name, "image": image, "resources": {} });
    for flag in ["stdin", "tty"] {
        if words.is_set(flag) {
            container[flag] = json!(true);
        }
    }
    if words.is_set("stdin") && !words.is_set("leave-stdin-open") {
        container["stdinOnce"] = json!(true);
    }
    let more = words.rest.clone().unwrap_or_else(|| words.operands[1..].to_vec());
    if !more.is_empty() {
        container[if words.is_set("command") { "command" } else { "args" }] = json!(more);
    }
    if let Some(port) = integer(&words, "port")? {
        container["ports"] = json!([{ "containerPort": port }]);
    }
    if let Some(policy) = words.value("image-pull-policy") {
        container["imagePullPolicy"] = json!(policy);
    }
    if words.is_set("privileged") {
        container["securityContext"] = json!({ "privileged": true });
    }
    let mut env: Vec<Value> = Vec::new();
    for pair in words.all("env") {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("error: invalid env: {pair}\n"))?;
        env.push(json!({ "name": key, "value": value }));
    }
    if !env.is_empty() {
        container["env"] = json!(env);
    }
    let mut labels = json!({});
    for pair in words.values("labels") {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("error: unexpected label spec: {pair}\n"))?;
        labels[key] = json!(value);
    }
    if labels.as_object().is_none_or(serde_json::Map::is_empty) {
        labels = json!({ "run": name });
    }
    let restart = words.value("restart").unwrap_or("Always");
    if !["Always", "OnFailure", "Never"].contains(&restart) {
        return Err(format!("error: invalid restart policy: {restart}\n"));
    }
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": labels },
        "spec": { "containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": restart },
    });
    if words.is_set("expose") {
        return Err(not_simulated("kubectl run", "--expose").0);
    }
    if let Some(text) = words.value("overrides") {
        pod = overridden(&pod, text, words.value("override-type").unwrap_or("merge"))?;
    }
    if attaches {
        return attached::command(context, pod, &words);
    }
    sent(pod, namespace, &words, ("", String::new()))
}

/// Whether what the container writes is waited for and shown.
fn attaches(words: &Words) -> Result<bool, String> {
    if words.is_set("tty") && !words.is_set("stdin") {
        return Err("error: -i/--stdin is required for containers with -t/--tty=true\n".to_owned());
    }
    let attaches = words.is_set(if words.value("attach").is_some() { "attach" } else { "stdin" });
    if words.is_set("rm") && !attaches {
        return Err("error: --rm should only be used for attached containers\n".to_owned());
    }
    if attaches && dry_run(words.value("dry-run"))?.0 {
        return Err(
            "error: --dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)\n"
                .to_owned(),
        );
    }
    Ok(attaches)
}

/// An object with what `--overrides` says of it.
fn overridden(object: &Value, text: &str, kind: &str) -> Result<Value, String> {
    let change: Value = serde_json::from_str(text).map_err(|_| "error: Invalid JSON Patch\n".to_owned())?;
    let mut made = object.clone();
    match kind {
        "merge" => patch::merge(&mut made, &change),
        "strategic" => patch::strategic(&mut made, &change),
        "json" => patch::operations(&mut made, &change).map_err(|why| format!("error: {why}\n"))?,
        other => {
            return Err(format!(
                "error: invalid override type: {other}. Valid values are json, merge, strategic\n"
            ));
        }
    }
    Ok(made)
}
