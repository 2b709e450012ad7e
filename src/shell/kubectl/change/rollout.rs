//! `kubectl rollout`.

use super::delete::wrong_limit;
use super::{Next, POLL, client, dry_run, fail, key, list, merge, one, read, refusal, say, shown};
use crate::app::Os;
use crate::base::{Duration, ObjectKey, SimTime};
use crate::manifest;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, Words, optional, switch, value};
use crate::shell::kubectl::json::{at, list as items, number, plain, text};
use crate::shell::kubectl::resources::{Resource, of_kind};
use crate::shell::kubectl::table;
use crate::shell::out::refuse;
use serde_json::{Value, json};
use std::rc::Rc;

/// Annotation with the number of a revision.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Label that tells the Pods of one template from those of another.
const HASH: &str = "pod-template-hash";
/// Annotation in which the cause of a change is written.
const CAUSE: &str = "kubernetes.io/change-cause";

const FLAGS: [Flag; 6] = [
    optional("dry-run", "unchanged"),
    value("revision", ' '),
    value("to-revision", ' '),
    switch("watch", 'w'),
    value("timeout", ' '),
    value("output", 'o'),
];
const OTHERS: [&str; 5] = ["filename", "kustomize", "recursive", "selector", "field-manager"];

/// `kubectl rollout` with these words after it.
pub(in crate::shell::kubectl) fn rollout(namespace: &str, words: &[String]) -> Command {
    let Some((verb, rest)) = words.split_first() else {
        return refuse("error: required rollout subcommand not specified, such as \"status\"\n", 1);
    };
    let verb = verb.clone();
    if !matches!(verb.as_str(), "status" | "restart" | "pause" | "resume" | "undo" | "history") {
        return refuse(
            format!("error: unknown command \"{verb}\"\nSee 'kubectl rollout -h' for help and examples\n"),
            1,
        );
    }
    let read_words = || -> Result<_, String> {
        let known = if verb == "undo" { &FLAGS[..] } else { &FLAGS[1..] };
        let words = flags::read(&format!("rollout {verb}"), known, &OTHERS, rest)?;
        let (resource, name) =
            one(&words.operands).map_err(|_| "error: required resource not specified\n".to_owned())?;
        if !matches!(resource.kind, "Deployment" | "DaemonSet" | "StatefulSet") {
            return Err(match verb.as_str() {
                "restart" | "pause" | "resume" => {
                    format!("error: {} \"{name}\" {verb} is not supported\n", resource.plural_with_group())
                }
                "history" => {
                    format!("error: no history viewer has been implemented for \"{}\"\n", resource.kind)
                }
                "undo" => format!("error: no rollbacker has been implemented for \"{}\"\n", resource.kind),
                _ => format!("error: no status viewer has been implemented for {}\n", resource.kind),
            });
        }
        let dry = dry_run(words.value("dry-run"))?;
        let limit = words.value("timeout").unwrap_or("0s");
        let limit = manifest::duration(limit).ok_or_else(|| wrong_limit(limit))?;
        Ok((words, resource, name, (dry, limit)))
    };
    let (words, resource, name, (dry, limit)) = match read_words() {
        Ok(found) => found,
        Err(text) => return refuse(text, 1),
    };
    let key = key(resource, words.namespace(namespace), &name);
    client(move |os| {
        let live = match read(os, &key) {
            Ok(live) => live,
            Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
        };
        match verb.as_str() {
            "status" => {
                let watch = words.value("watch").is_none_or(|watch| watch != "false");
                let until = (limit != Duration::ZERO).then(|| os.now() + limit);
                waiting(os, &key, (watch, until), "")
            }
            "history" => Next::Done(history(os, resource, &live, &words)),
            "undo" => Next::Done(undo(os, (resource, &key), &live, (&words, dry))),
            verb => Next::Done(change(os, verb, (resource, &key), &live)),
        }
    })
}

fn change(os: &mut dyn Os, verb: &str, (resource, key): (&Resource, &ObjectKey), live: &Value) -> u8 {
    let name = &key.name;
    let paused = *at(live, "spec.paused") == true;
    let what = resource.plural_with_group();
    let (patch, done) = match verb {
        "restart" if paused => {
            return fail(
                os,
                &format!(
                    "error: {what} \"{name}\" can't restart paused deployment (run rollout resume first)\n"
                ),
            );
        }
        "restart" => {
            let now = os.now().rfc3339();
            let annotations = json!({ "kubectl.kubernetes.io/restartedAt": now });
            (json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } }), "restarted")
        }
        "pause" | "resume" if resource.kind != "Deployment" => {
            let doing = if verb == "pause" { "pausing" } else { "resuming" };
            return fail(os, &format!("error: {what} \"{name}\" {doing} is not supported\n"));
        }
        "pause" if paused => return fail(os, &format!("error: {what} \"{name}\" is already paused\n")),
        "pause" => (json!({ "spec": { "paused": true } }), "paused"),
        _ if !paused => return fail(os, &format!("error: {what} \"{name}\" is not paused\n")),
        _ => (json!({ "spec": { "paused": null } }), "resumed"),
    };
    match merge(os, key, patch) {
        Ok(_) => {
            say(os, &format!("{} {done}\n", shown(resource, name)));
            0
        }
        Err(error) => fail(os, &refusal(&error, "")),
    }
}

/// Prints how far it is, and goes on until it is done (`DeploymentStatusViewer` and its like) or the time is up.
fn waiting(os: &mut dyn Os, key: &ObjectKey, (watch, until): (bool, Option<SimTime>), said: &str) -> Next {
    let live = match read(os, key) {
        Ok(live) => live,
        Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
    };
    match progress(&key.kind, &key.name, &live) {
        Err(text) => Next::Done(fail(os, &text)),
        Ok((text, done)) => {
            if text != said {
                say(os, &text);
            }
            if done || !watch {
                return Next::Done(0);
            }
            if until.is_some_and(|until| os.now() >= until) {
                return Next::Done(fail(os, "error: timed out waiting for the condition\n"));
            }
            let key = key.clone();
            Next::Later(POLL, Rc::new(move |os: &mut dyn Os| waiting(os, &key, (watch, until), &text)))
        }
    }
}

/// What the client says of the state of a rollout, and whether it is over.
fn progress(kind: &str, name: &str, live: &Value) -> Result<(String, bool), String> {
    if number(live, "metadata.generation") > number(live, "status.observedGeneration") {
        let what = match kind {
            "DaemonSet" => "daemon set",
            "StatefulSet" => "statefulset",
            _ => "deployment",
        };
        return Ok(going_on(format!("Waiting for {what} spec update to be observed...")));
    }
    match kind {
        "Deployment" => deployment_progress(name, live),
        "DaemonSet" => Ok(daemon_set_progress(name, live)),
        _ => Ok(stateful_set_progress(live)),
    }
}

fn going_on(text: String) -> (String, bool) {
    (text + "\n", false)
}

fn over(text: String) -> (String, bool) {
    (text + "\n", true)
}

fn wanted(live: &Value) -> i64 {
    at(live, "spec.replicas").as_i64().unwrap_or(1)
}

fn deployment_progress(name: &str, live: &Value) -> Result<(String, bool), String> {
    let status = |field: &str| number(live, &format!("status.{field}"));
    let late = items(live, "status.conditions")
        .iter()
        .any(|one| text(one, "type") == "Progressing" && text(one, "reason") == "ProgressDeadlineExceeded");
    if late {
        return Err(format!("error: deployment \"{name}\" exceeded its progress deadline\n"));
    }
    let head = format!("Waiting for deployment \"{name}\" rollout to finish:");
    let wanted = wanted(live);
    let (updated, all, available) =
        (status("updatedReplicas"), status("replicas"), status("availableReplicas"));
    if updated < wanted {
        return Ok(going_on(format!("{head} {updated} out of {wanted} new replicas have been updated...")));
    }
    if all > updated {
        return Ok(going_on(format!("{head} {} old replicas are pending termination...", all - updated)));
    }
    if available < updated {
        return Ok(going_on(format!("{head} {available} of {updated} updated replicas are available...")));
    }
    Ok(over(format!("deployment \"{name}\" successfully rolled out")))
}

fn daemon_set_progress(name: &str, live: &Value) -> (String, bool) {
    let status = |field: &str| number(live, &format!("status.{field}"));
    let head = format!("Waiting for daemon set \"{name}\" rollout to finish:");
    let wanted = status("desiredNumberScheduled");
    let (updated, available) = (status("updatedNumberScheduled"), status("numberAvailable"));
    if updated < wanted {
        return going_on(format!("{head} {updated} out of {wanted} new pods have been updated..."));
    }
    if available < wanted {
        return going_on(format!("{head} {available} of {wanted} updated pods are available..."));
    }
    over(format!("daemon set \"{name}\" successfully rolled out"))
}

fn stateful_set_progress(live: &Value) -> (String, bool) {
    let status = |field: &str| number(live, &format!("status.{field}"));
    let wanted = wanted(live);
    let (ready, updated) = (status("readyReplicas"), status("updatedReplicas"));
    if ready < wanted {
        return going_on(format!("Waiting for {} pods to be ready...", wanted - ready));
    }
    let partition = number(live, "spec.updateStrategy.rollingUpdate.partition");
    if partition > 0 {
        let new = wanted - partition;
        if updated < new {
            let how_far = format!("{updated} out of {new} new pods have been updated...");
            return going_on(format!("Waiting for partitioned roll out to finish: {how_far}"));
        }
        return over(format!("partitioned roll out complete: {updated} new pods have been updated..."));
    }
    let (current, update) = (text(live, "status.currentRevision"), text(live, "status.updateRevision"));
    if update != current {
        let how_far = format!("{updated} pods at revision {update}...");
        return going_on(format!("waiting for statefulset rolling update to complete {how_far}"));
    }
    let pods = status("currentReplicas");
    over(format!("statefulset rolling update complete {pods} pods at revision {current}..."))
}

/// The revisions of a workload, oldest first: of each its number, the object that bears it and its template.
struct Revision {
    number: i64,
    object: Value,
    template: Value,
}

/// `ReplicaSets` of a Deployment, and else the objects that hold revisions (`ControllerRevision`).
fn revisions(os: &mut dyn Os, kind: &str, live: &Value) -> Vec<Revision> {
    let holder = if kind == "Deployment" { "ReplicaSet" } else { "ControllerRevision" };
    let Some(holders) = of_kind(holder) else { return Vec::new() };
    let uid = text(live, "metadata.uid").to_owned();
    let owned =
        |one: &Value| items(one, "metadata.ownerReferences").iter().any(|owner| text(owner, "uid") == uid);
    let found = list(os, holders, text(live, "metadata.namespace")).into_iter().filter(|one| owned(one));
    let revision = |object: Value| {
        let (number, path) = if kind == "Deployment" {
            let noted = at(&object, "metadata.annotations").get(REVISION).map(plain);
            (noted.and_then(|text| text.parse().ok())?, "spec.template")
        } else {
            (at(&object, "revision").as_i64()?, "data.spec.template")
        };
        Some(Revision { number, template: at(&object, path).clone(), object })
    };
    let mut found: Vec<Revision> = found.filter_map(revision).collect();
    found.sort_by_key(|one| one.number);
    found
}

fn history(os: &mut dyn Os, resource: &Resource, live: &Value, words: &Words) -> u8 {
    let name = text(live, "metadata.name");
    let found = revisions(os, resource.kind, live);
    if let Some(wanted) =
        words.value("revision").and_then(|text| text.parse::<i64>().ok()).filter(|one| *one > 0)
    {
        let Some(chosen) = found.iter().find(|one| one.number == wanted) else {
            return fail(os, "error: unable to find the specified revision\n");
        };
        let template = crate::shell::kubectl::describe::template(&chosen.template);
        say(os, &format!("{} with revision #{wanted}\n{template}\n", shown(resource, name)));
        return 0;
    }
    let mut rows = vec![vec!["REVISION".to_owned(), "CHANGE-CAUSE".to_owned()]];
    for one in &found {
        let cause =
            at(&one.object, "metadata.annotations").get(CAUSE).map_or_else(|| "<none>".to_owned(), plain);
        rows.push(vec![one.number.to_string(), cause]);
    }
    say(os, &format!("{} \n{}\n", shown(resource, name), table::narrow(&rows)));
    0
}

/// The revision to go back to: the one asked for, or the one before the present one (`rollback.go`).
fn chosen<'r>(kind: &str, name: &str, found: &'r [Revision], words: &Words) -> Result<&'r Revision, String> {
    let wanted = words.value("to-revision").and_then(|text| text.parse::<i64>().ok()).filter(|one| *one > 0);
    match wanted {
        Some(wanted) => found
            .iter()
            .find(|one| one.number == wanted)
            .ok_or_else(|| format!("error: unable to find specified revision {wanted} in history\n")),
        None => found.iter().rev().nth(1).ok_or_else(|| match kind {
            "Deployment" => format!("error: no rollout history found for deployment \"{name}\"\n"),
            _ => "error: no last revision to roll back to\n".to_owned(),
        }),
    }
}

fn undo(
    os: &mut dyn Os,
    (resource, key): (&Resource, &ObjectKey),
    live: &Value,
    (words, (is_dry, dry)): (&Words, (bool, &'static str)),
) -> u8 {
    let name = &key.name;
    let is_deployment = resource.kind == "Deployment";
    // What only pretends is not asked whether the Deployment stands still.
    let is_shown = is_dry && !dry.contains("server");
    if is_deployment && !is_shown && *at(live, "spec.paused") == true {
        return fail(
            os,
            &format!(
                "error: you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume deployment/{name}' and try again\n"
            ),
        );
    }
    let found = revisions(os, resource.kind, live);
    let chosen = match chosen(resource.kind, name, &found, words) {
        Ok(chosen) => chosen,
        Err(text) => return fail(os, &text),
    };
    let mut template = chosen.template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    if is_shown {
        let before = if is_deployment { "" } else { "will roll back to " };
        let template = crate::shell::kubectl::describe::template(&chosen.template);
        say(os, &format!("{} {before}{template}{dry}\n", shown(resource, name)));
        return 0;
    }
    let filled = |template: &Value| {
        let mut template = template.clone();
        crate::trace::api_defaults::template(&mut template);
        crate::shell::kubectl::yaml::sorted(&template)
    };
    if filled(&template) == filled(at(live, "spec.template")) {
        let number = chosen.number;
        let why = format!("skipped rollback (current template already matches revision {number})");
        say(os, &format!("{} {why}{dry}\n", shown(resource, name)));
        return 0;
    }
    if is_dry {
        say(os, &format!("{} rolled back{dry}\n", shown(resource, name)));
        return 0;
    }
    let patch = json!([{ "op": "replace", "path": "/spec/template", "value": template }]);
    let request =
        crate::api::ApiRequest::Patch { key: key.clone(), kind: crate::api::PatchKind::Json, patch };
    match os.api(&request) {
        Ok(_) => {
            say(os, &format!("{} rolled back\n", shown(resource, name)));
            0
        }
        Err(error) => fail(os, &refusal(&error, "")),
    }
}
