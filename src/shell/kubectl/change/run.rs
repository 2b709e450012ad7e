//! `kubectl run`: a single Pod of a command line.

use super::create::{integer, required, sent};
use crate::cluster::patch;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, optional, switch, value};
use crate::shell::out::{not_simulated, refuse};
use serde_json::{Value, json};

const RUN: [Flag; 14] = [
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
];
const RUN_OTHERS: [&str; 7] = ["stdin", "tty", "rm", "attach", "quiet", "pod-running-timeout", "timeout"];

/// `kubectl run`: a single Pod.
pub(in crate::shell::kubectl) fn run(namespace: &str, words: &[String]) -> Command {
    match ran(namespace, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

fn ran(namespace: &str, words: &[String]) -> Result<Command, String> {
    if let Some(word) = words
        .iter()
        .take_while(|word| *word != "--")
        .find(|word| matches!(word.as_str(), "-i" | "-t" | "-it" | "-ti"))
    {
        return Err(not_simulated("kubectl run", word).0);
    }
    let words = flags::read("run", &RUN, &RUN_OTHERS, words)?;
    let Some(name) = words.operands.first() else {
        return Err(
            "error: NAME is required for run\nSee 'kubectl run -h' for help and examples\n".to_owned()
        );
    };
    let image = required(&words, "image")?;
    let mut container = json!({ "name": name, "image": image, "resources": {} });
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
    sent(pod, namespace, &words, ("", String::new()))
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
